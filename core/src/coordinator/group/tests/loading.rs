//! A coordinator moves: what is loaded equals what was, and writes that fail are taken back.

use ottla_protocol::records::group::OffsetCommitValue;
use ottla_protocol::{ErrorCode, Str};

use super::harness::{House, Log, Member, error, now, replayed};
use crate::coordinator::Append;
use crate::coordinator::group::{GroupConfig, GroupRecord, GroupResponse};

/// Members go on in their generation with a session that begins at the load; the silent ones are gone after it.
#[test]
fn a_group_goes_on_after_a_load() {
    let mut house = House::new();
    let [leader, follower] = house.settle([Member::new(), Member::fixed("two")]);
    house.commit(&leader, "t", 42);
    let live = house.runtime.tip().clone();
    assert_eq!(replayed(&house.log), live);

    let mut house = House::load(house.log.clone(), GroupConfig::default(), house.now_ms + 60_000, 8);
    assert_eq!(house.runtime.tip(), &live);
    assert_eq!(house.described("group"), "Stable 2");
    assert_eq!(house.committed("group", "t"), 42);
    house.pass(9_999);
    assert_eq!(house.heartbeat(&leader), ErrorCode::None);
    house.pass(1);
    assert_eq!(house.heartbeat(&leader), ErrorCode::RebalanceInProgress);
    assert_eq!(house.heartbeat(&follower), ErrorCode::UnknownMemberId);
    let token = house.join(&leader);
    assert_eq!(house.joined(token).generation_id, 2);
}

/// A rebalance on its way is forgotten: the log knows the generation before, and members join again.
#[test]
fn a_rebalance_does_not_survive_a_load() {
    let mut house = House::new();
    let [leader, follower] = house.settle([Member::new(), Member::new()]);
    let parked = house.join(&leader);
    let mut log = house.log.clone();
    let replies = house.runtime.coordinator_mut().unloaded();
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].0, parked);
    let GroupResponse::JoinGroup(refused) = &replies[0].1 else { panic!("{replies:?}") };
    assert_eq!(error(refused.error_code), ErrorCode::NotCoordinator);
    assert_eq!(house.runtime.deadline(), None);

    log.failure = None;
    let mut house = House::load(log, GroupConfig::default(), house.now_ms, 8);
    assert_eq!(house.described("group"), "Stable 2");
    assert_eq!(house.heartbeat(&follower), ErrorCode::None);
}

/// A group that is larger than a lowered `group.max.size` rebalances, and who comes back last is refused.
#[test]
fn an_oversized_group_shrinks_after_a_load() {
    let mut house = House::new();
    let [leader, follower] = house.settle([Member::new(), Member::new()]);
    let config = GroupConfig { max_size: 1, ..GroupConfig::default() };
    let mut house = House::load(house.log.clone(), config, house.now_ms, 8);
    assert_eq!(house.heartbeat(&leader), ErrorCode::RebalanceInProgress);
    let token = house.join(&follower);
    assert_eq!(house.join_error(&leader), ErrorCode::GroupMaxSizeReached);
    house.pass(60_000);
    let joined = house.joined(token);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
}

/// An assignment that cannot be written reaches nobody: who waits is told why, and the group rebalances.
#[test]
fn an_assignment_that_is_not_written_is_taken_back() {
    let mut house = House::new();
    let mut members = [Member::new(), Member::new()];
    let tokens: Vec<_> = members.iter_mut().map(|member| house.join_with_id(member)).collect();
    house.pass(6_000);
    for (member, token) in members.iter_mut().zip(tokens) {
        let joined = house.joined(token);
        member.learn(&joined);
    }
    let [leader, follower] = members;
    let waits = house.sync(&follower, &[]);
    house.log.failure = Some(ErrorCode::NotEnoughReplicas);
    let token = house.sync(&leader, &[(&leader, "a"), (&follower, "b")]);
    for token in [token, waits] {
        let refused = house.synced(token);
        assert_eq!(error(refused.error_code), ErrorCode::CoordinatorNotAvailable);
        assert_eq!(refused.assignment.len(), 0);
    }
    assert_eq!(house.described("group"), "PreparingRebalance 2");
    let (first, second) = (house.join(&leader), house.join(&follower));
    assert_eq!((house.joined(first).generation_id, house.joined(second).generation_id), (2, 2));
}

/// A static member's new id that cannot be written leaves the old one in its place.
#[test]
fn a_replacement_that_is_not_written_is_taken_back() {
    let mut house = House::new();
    let [member] = house.settle([Member::fixed("one")]);
    house.log.failure = Some(ErrorCode::KafkaStorageError);
    assert_eq!(house.join_error(&Member::fixed("one")), ErrorCode::NotCoordinator);
    assert_eq!(house.heartbeat(&member), ErrorCode::None);
    assert_eq!(house.described("group"), "Stable 1");
    let token = house.join(&member);
    assert_eq!(house.joined(token).leader, member.id());
}

/// A group that could not be created does not exist.
#[test]
fn a_group_that_is_not_written_is_not() {
    let mut house = House::new();
    house.log.failure = Some(ErrorCode::NotEnoughReplicas);
    assert_eq!(house.join_error(&Member::fixed("one")), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(house.described("group"), "Dead 0");
    let [member] = house.settle([Member::fixed("one")]);
    assert_eq!(member.generation_id, 1);
}

/// The assignment is told when its record is committed, not before.
#[test]
fn an_assignment_waits_for_the_high_watermark() {
    let mut house = House::new();
    let mut member = Member::new();
    let token = house.join_with_id(&mut member);
    house.pass(3_000);
    let joined = house.joined(token);
    member.learn(&joined);
    house.log.holds_back = true;
    let token = house.sync(&member, &[(&member, "a")]);
    assert_eq!(house.take(token), None);
    house.commit_log();
    assert_eq!(&house.synced(token).assignment[..], b"a");
}

/// The offsets of a KIP-848 group that another broker wrote can be read; all else leaves the group alone.
#[test]
fn a_group_of_another_type_is_left_alone() {
    let mut log = Log::default();
    let value = OffsetCommitValue { offset: 7, expire_timestamp: -1, ..OffsetCommitValue::default() };
    let offset = GroupRecord::offset_commit(&Str::from("group"), &Str::from("t"), 0, value);
    // ConsumerGroupMetadata, compacted to stand after its offsets.
    let epoch = GroupRecord::decode(b"\0\x03\0\x05group", Some(&[0, 0, 0, 0, 0, 3, 0])).unwrap();
    log.append(now(0), &[offset, epoch]).unwrap();
    let mut house = House::load(log, GroupConfig::default(), 0, 1);
    assert_eq!(house.committed("group", "t"), 7);
    assert_eq!(house.join_error(&Member::new()), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(house.commit(&Member::new(), "t", 8), ErrorCode::GroupIdNotFound);
    assert_eq!(house.heartbeat(&Member::new()), ErrorCode::UnknownMemberId);
    assert_eq!(house.described("group"), "Dead 0");
    house.pass(30 * 24 * 3_600_000);
    assert_eq!(house.committed("group", "t"), 7);
    assert_eq!(house.log.records.len(), 2);
}
