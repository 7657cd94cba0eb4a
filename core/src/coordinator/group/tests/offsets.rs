//! Committing, fetching and deleting offsets.

use ottla_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use ottla_protocol::records::group::OffsetCommitValue;
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::harness::{House, Member, commit_request, error, replayed};
use crate::coordinator::group::{GroupRecord, GroupRequest, GroupResponse, offset_fetch};
use crate::coordinator::{Append, Coordinator, ReplayAt};

/// Offset, epoch and the client's own words come back as they were committed.
#[test]
fn what_was_committed_is_fetched() {
    let mut house = House::new();
    let mut request = commit_request(&Member::new(), "t", 7);
    request.topics[0].partitions[0].committed_leader_epoch = 3;
    request.topics[0].partitions[0].committed_metadata = Some(Str::from("마지막"));
    request.topics[0].partitions.push(OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 8,
        ..OffsetCommitRequestPartition::default()
    });
    assert_eq!(house.commit_with(request, 9), ErrorCode::None);

    let all = OffsetFetchRequestGroup { group_id: Str::from("group"), topics: None, ..Default::default() };
    let fetched = house.fetch(all, false);
    assert_eq!((fetched.topics.len(), &*fetched.topics[0].name), (1, "t"));
    let [first, second] = &fetched.topics[0].partitions[..] else { panic!("{fetched:?}") };
    assert_eq!((first.partition_index, first.committed_offset, first.committed_leader_epoch), (0, 7, 3));
    assert_eq!(first.metadata.as_deref(), Some("마지막"));
    assert_eq!((second.partition_index, second.committed_offset, second.committed_leader_epoch), (1, 8, -1));
    assert_eq!(second.metadata.as_deref(), Some(""));

    let asked = OffsetFetchRequestTopics {
        name: Str::from("t"),
        partition_indexes: vec![1, 9],
        ..Default::default()
    };
    let some = OffsetFetchRequestGroup {
        group_id: Str::from("group"),
        topics: Some(vec![asked]),
        ..Default::default()
    };
    let offsets: Vec<i64> = house.fetch(some, false).topics[0]
        .partitions
        .iter()
        .map(|partition| partition.committed_offset)
        .collect();
    assert_eq!(offsets, [8, -1]);
    assert_eq!(house.committed("nowhere", "t"), -1);
}

/// Whoever has no generation commits into an empty group only; generations must be right.
#[test]
fn who_may_commit() {
    let mut house = House::new();
    let nobody = Member::new();
    let with_generation = |generation_id| Member { generation_id, member_id: "x".into(), ..Member::new() };
    assert_eq!(
        house.commit_with(commit_request(&with_generation(1), "t", 1), 8),
        ErrorCode::IllegalGeneration
    );
    assert_eq!(house.commit_with(commit_request(&with_generation(1), "t", 1), 9), ErrorCode::GroupIdNotFound);
    assert_eq!(house.commit(&nobody, "t", 1), ErrorCode::None, "a simple group");
    assert_eq!(house.described("group"), "Empty 0");
    assert_eq!(house.commit(&with_generation(0), "t", 1), ErrorCode::UnknownMemberId);

    let [member] = house.settle([Member::new()]);
    assert_eq!(house.commit(&member, "t", 2), ErrorCode::None);
    assert_eq!(house.commit(&nobody, "t", 3), ErrorCode::UnknownMemberId);
    assert_eq!(house.commit(&with_generation(1), "t", 3), ErrorCode::UnknownMemberId);
    let stale = Member { generation_id: 0, ..member.clone() };
    assert_eq!(house.commit(&stale, "t", 3), ErrorCode::IllegalGeneration);
    let anonymous = Member { generation_id: -1, ..member };
    assert_eq!(house.commit(&anonymous, "t", 3), ErrorCode::IllegalGeneration);
    assert_eq!(house.committed("group", "t"), 2);
}

/// The client's words may be 4096 UTF-16 units long; the rest of the commit counts.
#[test]
fn too_many_words_are_refused_for_their_partition() {
    let mut house = House::new();
    let mut request = commit_request(&Member::new(), "t", 7);
    request.topics[0].partitions[0].committed_metadata = Some(Str::from("가".repeat(4_097)));
    request.topics[0].partitions.push(OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 8,
        committed_metadata: Some(Str::from("가".repeat(4_096))),
        ..OffsetCommitRequestPartition::default()
    });
    let GroupResponse::OffsetCommit(response) =
        house.answer(GroupRequest::OffsetCommit { version: 9, request })
    else {
        panic!("committed")
    };
    let errors: Vec<i16> =
        response.topics[0].partitions.iter().map(|partition| partition.error_code).collect();
    assert_eq!(errors, [ErrorCode::OffsetMetadataTooLarge.code(), 0]);
    assert_eq!(house.log.records.len(), 1);
}

/// Offsets of a topic that was deleted and created again under another id are not its offsets.
#[test]
fn an_offset_belongs_to_its_topic_id() {
    let mut house = House::new();
    let [old, new] = [Uuid([1; 16]), Uuid([2; 16])];
    let mut request = commit_request(&Member::new(), "t", 7);
    request.topics[0].topic_id = old;
    assert_eq!(house.commit_with(request, 10), ErrorCode::None);
    let mut fetch = |topic_id| {
        let topics =
            vec![OffsetFetchRequestTopics { name: Str::from("t"), topic_id, partition_indexes: vec![0] }];
        let group = OffsetFetchRequestGroup {
            group_id: Str::from("group"),
            topics: Some(topics),
            ..Default::default()
        };
        let fetched = house.fetch(group, false).topics.remove(0);
        assert_eq!(fetched.topic_id, topic_id);
        fetched.partitions[0].committed_offset
    };
    assert_eq!((fetch(old), fetch(new), fetch(Uuid::ZERO)), (7, -1, 7));
}

/// Before the high watermark passes a commit, it is neither answered nor seen; who requires stable offsets waits for it.
#[test]
fn a_commit_counts_when_it_is_committed() {
    let mut house = House::new();
    assert_eq!(house.commit(&Member::new(), "t", 1), ErrorCode::None);
    house.log.holds_back = true;
    let request = commit_request(&Member::new(), "t", 2);
    let commit = house.ask(GroupRequest::OffsetCommit { version: 9, request });
    let topics = vec![OffsetFetchRequestTopics {
        name: Str::from("t"),
        partition_indexes: vec![0],
        ..Default::default()
    }];
    let group =
        OffsetFetchRequestGroup { group_id: Str::from("group"), topics: Some(topics), ..Default::default() };
    let unstable = house.ask(GroupRequest::OffsetFetch { group: group.clone(), require_stable: false });
    let stable = house.ask(GroupRequest::OffsetFetch { group, require_stable: true });
    assert_eq!((house.take(commit), house.take(stable)), (None, None));
    house.commit_log();
    let mut offset = |token| match house.take(token) {
        Some(GroupResponse::OffsetFetch(response)) => response.topics[0].partitions[0].committed_offset,
        other => panic!("{other:?}"),
    };
    assert_eq!((offset(unstable), offset(stable)), (1, 2));
    assert!(house.take(commit).is_some());
}

/// What an open transaction holds is unstable for those who ask for stable offsets.
#[test]
fn an_open_transaction_makes_offsets_unstable() {
    let mut house = House::new();
    house.commit(&Member::new(), "t", 1);
    let value = OffsetCommitValue { offset: 2, expire_timestamp: -1, ..OffsetCommitValue::default() };
    let record = GroupRecord::offset_commit(&Str::from("group"), &Str::from("t"), 0, value);
    let mut state = replayed(&house.log);
    let at = ReplayAt { offset: 1, timestamp: 0, producer_id: 5, producer_epoch: 0 };
    crate::coordinator::group::GroupCoordinator::replay(&mut state, at, &record);

    let all = OffsetFetchRequestGroup { group_id: Str::from("group"), topics: None, ..Default::default() };
    let mut rng = crate::rng::Rng::from_seed(0);
    let now = super::harness::now(0);
    let cx =
        crate::coordinator::DecideCx { now, rng: &mut rng, next_offset: 2, tip: &state, committed: &state };
    let token = house.ask(GroupRequest::ListGroups(Default::default()));
    let fetch = |require_stable| {
        let mut decided = offset_fetch::offset_fetch(&cx, token, &all, require_stable);
        let Some((_, GroupResponse::OffsetFetch(mut response))) = decided.replies.pop() else { panic!() };
        let partition = response.topics[0].partitions.remove(0);
        (error(partition.error_code), partition.committed_offset)
    };
    assert_eq!(fetch(true), (ErrorCode::UnstableOffsetCommit, -1));
    assert_eq!(fetch(false), (ErrorCode::None, 1));
}

/// Old requests name one group at the top; version 1 has no place for an error but the partitions.
#[test]
fn old_fetches_are_translated() {
    let topic = OffsetFetchRequestTopic { name: Str::from("t"), partition_indexes: vec![3] };
    let request = OffsetFetchRequest {
        group_id: Str::from("group"),
        topics: Some(vec![topic]),
        ..OffsetFetchRequest::default()
    };
    for version in [1, 2, 7] {
        let asked = offset_fetch::groups_of(request.clone(), version);
        assert_eq!((asked.len(), &*asked[0].group_id), (1, "group"));
        let refused = OffsetFetchResponseGroup {
            error_code: ErrorCode::NotCoordinator.code(),
            ..OffsetFetchResponseGroup::default()
        };
        let response = offset_fetch::response_of(vec![refused], &asked, version);
        assert_eq!(error(response.error_code), ErrorCode::NotCoordinator);
        if version == 1 {
            let partition = &response.topics[0].partitions[0];
            assert_eq!(partition.partition_index, 3);
            assert_eq!(error(partition.error_code), ErrorCode::NotCoordinator);
            assert_eq!((partition.committed_offset, partition.metadata.as_deref()), (-1, Some("")));
        } else {
            assert_eq!(response.topics.len(), 0);
        }
    }
}

fn delete(house: &mut House, group: &str, topics: &[&str]) -> (ErrorCode, Vec<ErrorCode>) {
    let topics = topics.iter().map(|topic| OffsetDeleteRequestTopic {
        name: Str::from(*topic),
        partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
    });
    let request = OffsetDeleteRequest { group_id: Str::from(group), topics: topics.collect() };
    let GroupResponse::OffsetDelete(response) = house.answer(GroupRequest::OffsetDelete(request)) else {
        panic!("deleted")
    };
    let partitions = response.topics.iter().map(|topic| error(topic.partitions[0].error_code));
    (error(response.error_code), partitions.collect())
}

/// Offsets of topics that the members read stay; of others they may be deleted, there or not.
#[test]
fn offsets_of_subscribed_topics_are_not_deleted() {
    let mut house = House::new();
    house.commit(&Member::new(), "t", 1);
    house.commit(&Member::new(), "old", 1);
    house.settle([Member::new()]);
    let result = delete(&mut house, "group", &["t", "old", "never"]);
    assert_eq!(
        result,
        (ErrorCode::None, vec![ErrorCode::GroupSubscribedToTopic, ErrorCode::None, ErrorCode::None])
    );
    assert_eq!((house.committed("group", "t"), house.committed("group", "old")), (1, -1));
    assert_eq!(delete(&mut house, "nowhere", &["t"]), (ErrorCode::GroupIdNotFound, vec![]));
    assert_eq!(delete(&mut house, "", &["t"]), (ErrorCode::InvalidGroupId, vec![]));
}

fn delete_groups(house: &mut House, groups: &[&str]) -> Vec<ErrorCode> {
    let groups = groups.iter().map(|group| Str::from(*group)).collect();
    let GroupResponse::DeleteGroups(results) = house.answer(GroupRequest::DeleteGroups { groups }) else {
        panic!("deleted")
    };
    results.iter().map(|result| error(result.error_code)).collect()
}

/// Only empty groups are deleted; with them go their offsets, and the log holds tombstones for all of it.
#[test]
fn empty_groups_are_deleted_with_their_offsets() {
    let mut house = House::new();
    let [member] = house.settle([Member::new()]);
    house.commit(&member, "t", 1);
    assert_eq!(
        delete_groups(&mut house, &["group", "nowhere"]),
        [ErrorCode::NonEmptyGroup, ErrorCode::GroupIdNotFound]
    );
    house.leave(5, "group", &[(&member.member_id, None)]);
    assert_eq!(delete_groups(&mut house, &["group"]), [ErrorCode::None]);
    assert_eq!(house.described("group"), "Dead 0");
    assert_eq!(house.committed("group", "t"), -1);
    assert_eq!(replayed(&house.log), super::super::GroupState::default());
    // A group of that name begins from nothing.
    let [next] = house.settle([Member::new()]);
    assert_eq!(next.generation_id, 1);
}

/// A commit that cannot be written is refused as Kafka refuses it.
#[test]
fn a_commit_that_is_not_written_is_refused() {
    for (failure, told) in [
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
    ] {
        let mut house = House::new();
        house.log.failure = Some(failure);
        assert_eq!(house.commit(&Member::new(), "t", 1), told);
        assert_eq!(house.committed("group", "t"), -1);
    }
}

/// The log of this test is the harness's own; that it can fail is what the others rely on.
#[test]
fn the_log_fails_when_told() {
    let mut house = House::new();
    house.log.failure = Some(ErrorCode::KafkaStorageError);
    assert_eq!(house.log.append(super::harness::now(0), &[]), Err(ErrorCode::KafkaStorageError));
}
