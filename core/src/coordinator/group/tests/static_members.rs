//! Static membership (KIP-345): a member with a `group.instance.id` may restart without a rebalance.

use ottla_protocol::ErrorCode;

use super::harness::{House, Member, error, subscription};

/// It comes back without an id: same place, same assignment, no rebalance; its old id is fenced.
#[test]
fn a_restart_takes_the_place_without_a_rebalance() {
    let mut house = House::new();
    let [leader, follower] = house.settle([Member::fixed("one"), Member::fixed("two")]);
    assert!(follower.member_id.starts_with("two-"), "{}", follower.member_id);

    let mut restarted = Member::fixed("two");
    let token = house.join(&restarted);
    let joined = house.joined(token);
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!((joined.leader.clone(), joined.skip_assignment), (leader.id(), false));
    assert_ne!(joined.member_id, follower.id());
    restarted.learn(&joined);
    let token = house.sync(&restarted, &[]);
    assert_eq!(&house.synced(token).assignment[..], b"share");

    assert_eq!(house.heartbeat(&follower), ErrorCode::FencedInstanceId);
    assert_eq!(house.sync_error(&follower), ErrorCode::FencedInstanceId);
    assert_eq!(house.commit(&follower, "t", 1), ErrorCode::FencedInstanceId);
    assert_eq!(house.join_error(&follower), ErrorCode::FencedInstanceId);
    assert_eq!(house.described("group"), "Stable 2");
    let stranger = Member { instance_id: Some("three"), ..restarted };
    assert_eq!(house.heartbeat(&stranger), ErrorCode::UnknownMemberId);
}

/// A leader that restarts learns the members and that it need not assign (version 9); before, it must not learn that it leads.
#[test]
fn a_restarted_leader_does_not_assign_anew() {
    let mut house = House::new();
    let [leader] = house.settle([Member::fixed("one")]);
    let token = house.join(&Member::fixed("one"));
    let joined = house.joined(token);
    assert_eq!((joined.leader.clone(), joined.skip_assignment), (joined.member_id.clone(), true));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.members[0].group_instance_id.as_deref(), Some("one"));
    assert_ne!(joined.member_id, leader.id());

    let token = house.join(&Member { version: 8, ..Member::fixed("one") });
    let older = house.joined(token);
    assert_eq!((older.leader, older.skip_assignment), (joined.member_id, false));
    assert_eq!(older.members.len(), 0);
    assert_eq!(house.described("group"), "Stable 1");
}

/// New metadata that leaves the protocol as it was does not disturb either; another protocol does.
#[test]
fn a_restart_with_another_protocol_rebalances() {
    let mut house = House::new();
    let both = |first: &'static str, second: &'static str| Member {
        protocols: vec![(first, subscription(&["t"])), (second, subscription(&["t"]))],
        ..Member::fixed("one")
    };
    house.settle([both("range", "sticky")]);
    let token = house.join(&both("sticky", "range"));
    let joined = house.joined(token);
    assert_eq!((joined.generation_id, joined.protocol_name.as_deref()), (2, Some("sticky")));
    assert_eq!(house.described("group"), "CompletingRebalance 1");
}

/// While the leader assigns, a restart begins the rebalance anew: the assignment would go to the old id.
#[test]
fn a_restart_during_the_sync_phase_rebalances() {
    let mut house = House::new();
    let mut members = [Member::fixed("one"), Member::fixed("two")];
    let tokens: Vec<_> = members.iter_mut().map(|member| house.join_with_id(member)).collect();
    house.pass(6_000);
    for (member, token) in members.iter_mut().zip(tokens) {
        let joined = house.joined(token);
        member.learn(&joined);
    }
    let [leader, follower] = members;
    let waits = house.sync(&follower, &[]);
    let token = house.join(&Member::fixed("two"));
    assert_eq!(error(house.synced(waits).error_code), ErrorCode::FencedInstanceId);
    assert_eq!(house.sync_error(&leader), ErrorCode::RebalanceInProgress);
    let other = house.join(&leader);
    assert_eq!((house.joined(token).generation_id, house.joined(other).generation_id), (2, 2));
}

/// A parked join is fenced by the restart that takes its place.
#[test]
fn a_parked_join_is_fenced_by_a_restart() {
    let mut house = House::new();
    let [_, follower] = house.settle([Member::new(), Member::fixed("two")]);
    let mut late = Member::new();
    house.join_with_id(&mut late);
    let parked = house.join(&follower);
    assert_eq!(house.take(parked), None);
    house.join(&Member::fixed("two"));
    let fenced = house.joined(parked);
    assert_eq!((error(fenced.error_code), fenced.member_id), (ErrorCode::FencedInstanceId, follower.id()));
}

/// A static member that is away keeps its place through rebalances, until its session ends.
#[test]
fn an_absent_static_member_keeps_its_place() {
    let mut house = House::new();
    let away = Member { session_timeout_ms: 300_000, ..Member::fixed("two") };
    let [leader, _] = house.settle([Member::new(), away]);
    let token = house.join(&leader);
    house.pass(60_000);
    let joined = house.joined(token);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 2));
}

/// When only static members are left and none of them joins, the join phase waits for their sessions.
#[test]
fn absent_static_members_alone_keep_the_join_phase_open() {
    let mut house = House::new();
    let away = Member { session_timeout_ms: 150_000, ..Member::fixed("two") };
    let [leader, _] = house.settle([Member::new(), away]);
    house.leave(5, "group", &[(&leader.member_id, None)]);
    house.pass(140_000);
    assert_eq!(house.described("group"), "PreparingRebalance 1");
    house.pass(10_000);
    assert_eq!(house.described("group"), "Empty 0");
}
