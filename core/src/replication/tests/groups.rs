//! A group's coordinator moves with the partition that it writes to.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};

use super::cluster::Cluster;
use crate::coordinator::group::{GroupRequest, GroupResponse};
use crate::sim::mutation::Planted;

fn cluster() -> Cluster {
    Cluster::of("__consumer_offsets", Planted::default(), |config| {
        config.topic_defaults.min_insync_replicas = 2;
    })
}

/// Commits an offset of a consumer without a group's membership.
fn commit(cluster: &mut Cluster, broker: i32, committed_offset: i64) -> u64 {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset,
        committed_metadata: None,
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: "t".into(),
        partitions: vec![partition],
        ..OffsetCommitRequestTopic::default()
    };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: -1,
        group_instance_id: None,
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    cluster.ask_group(broker, GroupRequest::OffsetCommit { version: 8, request })
}

fn outcome(cluster: &mut Cluster, number: u64) -> Option<ErrorCode> {
    match cluster.group_answer(number)? {
        GroupResponse::OffsetCommit(answer) => {
            ErrorCode::from_code(answer.topics[0].partitions[0].error_code)
        }
        other => panic!("{other:?}"),
    }
}

fn committed(cluster: &mut Cluster, broker: i32) -> Result<i64, ErrorCode> {
    let topic = OffsetFetchRequestTopics {
        name: "t".into(),
        partition_indexes: vec![0],
        ..OffsetFetchRequestTopics::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: "g".into(),
        member_id: None,
        topics: Some(vec![topic]),
        ..OffsetFetchRequestGroup::default()
    };
    let number = cluster.ask_group(broker, GroupRequest::OffsetFetch { group, require_stable: false });
    match cluster.group_answer(number) {
        Some(GroupResponse::OffsetFetch(answer)) => match ErrorCode::from_code(answer.error_code).unwrap() {
            ErrorCode::None => Ok(answer.topics[0].partitions[0].committed_offset),
            error => Err(error),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_coordinator_knows_what_was_acknowledged_before_it_knows_that_it_is_committed() {
    let mut cluster = cluster();
    let first = commit(&mut cluster, 1, 7);
    cluster.settle();
    assert_eq!(outcome(&mut cluster, first), Some(ErrorCode::None));
    assert_eq!(committed(&mut cluster, 1), Ok(7));
    assert_eq!(committed(&mut cluster, 2), Err(ErrorCode::NotCoordinator));
    // The followers have the record, and have not heard how far the leader had committed.
    assert_eq!((cluster.ends(1), cluster.ends(2)), ((1, 1), (1, 0)));
    cluster.cut(2, 3);
    cluster.kill(1);
    cluster.elect(2, &[2, 3]);
    let next = commit(&mut cluster, 2, 9);
    cluster.settle();
    assert_eq!(outcome(&mut cluster, next), None, "broker 3 has not fetched");
    cluster.cut.clear();
    cluster.advance(1_500);
    assert_eq!(outcome(&mut cluster, next), Some(ErrorCode::None));
    assert_eq!(committed(&mut cluster, 2), Ok(9));
    cluster.elect(3, &[2, 3]);
    assert_eq!(committed(&mut cluster, 3), Ok(9));
}

#[test]
fn a_coordinator_that_moves_tells_those_who_wait() {
    let mut cluster = cluster();
    cluster.cut(1, 2);
    cluster.cut(1, 3);
    let waiting = commit(&mut cluster, 1, 7);
    cluster.settle();
    assert_eq!(outcome(&mut cluster, waiting), None);
    cluster.elect(2, &[2, 3]);
    assert_eq!(outcome(&mut cluster, waiting), Some(ErrorCode::NotCoordinator));
    cluster.cut(2, 3);
    cluster.elect(2, &[2]);
    let refused = commit(&mut cluster, 2, 8);
    assert_eq!(outcome(&mut cluster, refused), Some(ErrorCode::CoordinatorNotAvailable));
}

#[test]
fn a_commit_that_nobody_follows_is_given_up_and_may_count_all_the_same() {
    let mut cluster = cluster();
    cluster.cut(1, 2);
    cluster.cut(1, 3);
    let waiting = commit(&mut cluster, 1, 7);
    cluster.advance(4_900);
    assert_eq!(outcome(&mut cluster, waiting), None);
    cluster.advance(200);
    assert_eq!(outcome(&mut cluster, waiting), Some(ErrorCode::CoordinatorNotAvailable));
    cluster.cut.clear();
    cluster.advance(2_000);
    assert_eq!(committed(&mut cluster, 1), Ok(7));
}
