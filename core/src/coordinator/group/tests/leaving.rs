//! Members go: alone, in a batch, by instance id, before they ever joined.

use ottla_protocol::ErrorCode;

use super::harness::{House, Member, error};

/// Before version 3 one member leaves, and its error is the answer's.
#[test]
fn one_leaves_and_the_rest_rebalances() {
    let mut house = House::new();
    let [leader, follower] = house.settle([Member::new(), Member::new()]);
    assert_eq!(house.leave(2, "group", &[(&leader.member_id, None)]).error_code, 0);
    assert_eq!(house.heartbeat(&leader), ErrorCode::UnknownMemberId);
    assert_eq!(house.heartbeat(&follower), ErrorCode::RebalanceInProgress);
    let token = house.join(&follower);
    let joined = house.joined(token);
    assert_eq!((joined.leader, joined.generation_id), (follower.id(), 2));

    let gone = house.leave(2, "group", &[(&leader.member_id, None)]);
    assert_eq!((error(gone.error_code), gone.members.len()), (ErrorCode::UnknownMemberId, 0));
    let nowhere = house.leave(2, "nowhere", &[(&leader.member_id, None)]);
    assert_eq!(error(nowhere.error_code), ErrorCode::UnknownMemberId);
}

/// A batch names members by id or by instance; each has its own answer, and one rebalance follows.
#[test]
fn a_batch_leaves_and_each_has_an_answer() {
    let mut house = House::new();
    let [_, dynamic, fixed] = house.settle([Member::new(), Member::new(), Member::fixed("three")]);
    let response = house.leave(
        5,
        "group",
        &[
            (&dynamic.member_id, None),
            ("", Some("three")),
            ("stranger", None),
            ("", Some("four")),
            (&dynamic.member_id, None),
            ("", None),
        ],
    );
    let errors: Vec<ErrorCode> = response.members.iter().map(|member| error(member.error_code)).collect();
    assert_eq!(
        errors,
        [
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownMemberId,
        ]
    );
    assert_eq!(response.members[1].group_instance_id.as_deref(), Some("three"));
    assert_eq!(house.described("group"), "PreparingRebalance 1");
    assert_eq!(house.heartbeat(&fixed), ErrorCode::UnknownMemberId);
}

/// A static member's id and instance must belong together.
#[test]
fn a_fenced_member_cannot_leave_for_its_successor() {
    let mut house = House::new();
    let [old] = house.settle([Member::fixed("one")]);
    house.join(&Member::fixed("one"));
    let response = house.leave(5, "group", &[(&old.member_id, Some("one"))]);
    assert_eq!(error(response.members[0].error_code), ErrorCode::FencedInstanceId);
    assert_eq!(house.described("group"), "Stable 1");
}

/// Leaving in a batch from a group that does not exist is UNKNOWN_MEMBER_ID for each, not for the batch.
#[test]
fn nobody_leaves_a_group_that_is_not() {
    let mut house = House::new();
    let response = house.leave(5, "nowhere", &[("a", None), ("b", None)]);
    assert_eq!(error(response.error_code), ErrorCode::None);
    assert!(response.members.iter().all(|member| error(member.error_code) == ErrorCode::UnknownMemberId));
    assert_eq!(error(house.leave(5, "", &[("a", None)]).error_code), ErrorCode::InvalidGroupId);
}

/// An id that was given and not yet used can be given back; the join phase need not wait for it.
#[test]
fn a_pending_member_leaves() {
    let mut house = House::new();
    let [leader] = house.settle([Member::new()]);
    let token = house.join(&Member::new());
    let pending = house.joined(token).member_id;
    let token = house.join(&leader);
    assert_eq!(house.take(token), None);
    let response = house.leave(5, "group", &[(&pending, None)]);
    assert_eq!(response.members[0].error_code, 0);
    assert_eq!(house.joined(token).generation_id, 2);
}

/// A parked join whose member leaves is told that it is not one.
#[test]
fn a_parked_join_ends_when_its_member_leaves() {
    let mut house = House::new();
    let [leader, follower] = house.settle([Member::new(), Member::new()]);
    let parked = house.join(&leader);
    house.leave(5, "group", &[(&leader.member_id, None)]);
    let refused = house.joined(parked);
    assert_eq!((error(refused.error_code), refused.member_id.len()), (ErrorCode::UnknownMemberId, 0));
    assert_eq!(house.heartbeat(&follower), ErrorCode::RebalanceInProgress);
}

/// The last one that leaves makes the group Empty at once, in a generation of its own.
#[test]
fn the_last_one_turns_off_the_light() {
    let mut house = House::new();
    let [member] = house.settle([Member::new()]);
    house.leave(5, "group", &[(&member.member_id, None)]);
    assert_eq!(house.described("group"), "Empty 0");
    let next = Member { version: 3, ..Member::new() };
    let token = house.join(&next);
    house.pass(3_000);
    assert_eq!(house.joined(token).generation_id, 3);
}
