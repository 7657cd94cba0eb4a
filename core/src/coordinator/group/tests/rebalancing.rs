//! A settled group is disturbed: members come back, are late, are gone.

use ottla_protocol::ErrorCode;

use super::harness::{House, Member, commit_request, error, subscription};

/// The leader that joins again asks for a new assignment; a follower that repeats itself is up to date.
#[test]
fn the_leader_may_ask_for_a_rebalance_and_a_follower_may_repeat_itself() {
    let mut house = House::new();
    let [mut leader, mut follower] = house.settle([Member::new(), Member::new()]);

    let token = house.join(&follower);
    let again = house.joined(token);
    assert_eq!((again.error_code, again.generation_id, again.members.len()), (0, 1, 0));
    assert_eq!(again.leader, leader.id());
    assert_eq!(house.described("group"), "Stable 2");

    let token = house.join(&leader);
    assert_eq!(house.described("group"), "PreparingRebalance 2");
    assert_eq!(house.heartbeat(&follower), ErrorCode::RebalanceInProgress);
    assert_eq!(house.sync_error(&follower), ErrorCode::RebalanceInProgress);
    assert_eq!(
        house.commit(&follower, "t", 5),
        ErrorCode::None,
        "offsets are committed before partitions go"
    );
    let other = house.join(&follower);
    let (joined, follows) = (house.joined(token), house.joined(other));
    assert_eq!((joined.generation_id, joined.members.len()), (2, 2));
    assert_eq!((follows.generation_id, follows.members.len()), (2, 0));

    // The old generation is over.
    assert_eq!(house.heartbeat(&follower), ErrorCode::IllegalGeneration);
    assert_eq!(house.sync_error(&follower), ErrorCode::IllegalGeneration);
    assert_eq!(house.commit(&follower, "t", 6), ErrorCode::IllegalGeneration);
    leader.learn(&joined);
    follower.learn(&follows);
    assert_eq!(house.commit(&follower, "t", 6), ErrorCode::RebalanceInProgress);
    assert_eq!(house.heartbeat(&follower), ErrorCode::None);
}

/// A follower with new metadata disturbs the group; so does a new member.
#[test]
fn new_metadata_and_new_members_disturb_the_group() {
    let mut house = House::new();
    let [leader, mut follower] = house.settle([Member::new(), Member::new()]);
    follower.protocols = vec![("range", subscription(&["t", "u"]))];
    house.join(&follower);
    assert_eq!(house.described("group"), "PreparingRebalance 2");
    assert_eq!(house.heartbeat(&leader), ErrorCode::RebalanceInProgress);

    let mut house = House::new();
    house.settle([Member::new()]);
    let mut late = Member::new();
    house.join_with_id(&mut late);
    assert_eq!(house.described("group"), "PreparingRebalance 2");
}

/// Between join and sync a member that repeats its join gets the same answer, the leader with all members.
#[test]
fn a_join_that_is_repeated_before_the_sync_gets_the_same_answer() {
    let mut house = House::new();
    let mut member = Member::new();
    let token = house.join_with_id(&mut member);
    house.pass(3_000);
    let first = house.joined(token);
    let token = house.join(&member);
    assert_eq!(house.joined(token), first);
    assert_eq!(house.described("group"), "CompletingRebalance 1");
}

/// Followers that sync first wait for the leader; a member that it forgot gets an empty assignment.
#[test]
fn the_assignment_reaches_those_who_wait_and_those_who_ask_later() {
    let mut house = House::new();
    let mut members = [Member::new(), Member::new(), Member::new()];
    let tokens: Vec<_> = members.iter_mut().map(|member| house.join_with_id(member)).collect();
    house.pass(6_000);
    for (member, token) in members.iter_mut().zip(tokens) {
        let joined = house.joined(token);
        member.learn(&joined);
    }
    let [leader, early, late] = members;
    let waits = house.sync(&early, &[]);
    assert_eq!(house.take(waits), None);
    let token = house.sync(&leader, &[(&leader, "a"), (&early, "b")]);
    let synced = house.synced(token);
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"a"[..]));
    assert_eq!(synced.protocol_name.as_deref(), Some("range"));
    assert_eq!(&house.synced(waits).assignment[..], b"b");
    let token = house.sync(&late, &[]);
    let synced = house.synced(token);
    assert_eq!((synced.error_code, synced.assignment.len()), (0, 0));
    assert_eq!(house.described("group"), "Stable 3");
}

#[test]
fn a_sync_for_another_protocol_is_inconsistent() {
    let mut house = House::new();
    let [mut member] = house.settle([Member::new()]);
    member.protocols[0].0 = "roundrobin";
    assert_eq!(house.sync_error(&member), ErrorCode::InconsistentGroupProtocol);
}

/// Whoever waits for the assignment when the rebalance begins anew is told to join again.
#[test]
fn a_waiting_sync_is_refused_when_the_rebalance_begins_anew() {
    let mut house = House::new();
    let mut members = [Member::new(), Member::new()];
    let tokens: Vec<_> = members.iter_mut().map(|member| house.join_with_id(member)).collect();
    house.pass(6_000);
    for (member, token) in members.iter_mut().zip(tokens) {
        let joined = house.joined(token);
        member.learn(&joined);
    }
    let [_, follower] = members;
    let waits = house.sync(&follower, &[]);
    let mut late = Member::new();
    house.join_with_id(&mut late);
    assert_eq!(error(house.synced(waits).error_code), ErrorCode::RebalanceInProgress);
    assert_eq!(house.heartbeat(&follower), ErrorCode::RebalanceInProgress, "still a member");
}

/// A member that neither beats nor joins is gone when its session ends, and the rest goes on without it.
#[test]
fn a_silent_member_is_removed() {
    let mut house = House::new();
    let [mut leader, follower] = house.settle([Member::new(), Member::new()]);
    house.pass(9_000);
    assert_eq!(house.heartbeat(&leader), ErrorCode::None);
    house.pass(1_000);
    assert_eq!(house.described("group"), "PreparingRebalance 1");
    assert_eq!(house.heartbeat(&leader), ErrorCode::RebalanceInProgress);
    assert_eq!(house.heartbeat(&follower), ErrorCode::UnknownMemberId);
    assert_eq!(house.sync_error(&follower), ErrorCode::UnknownMemberId);
    assert_eq!(house.commit(&follower, "t", 1), ErrorCode::UnknownMemberId);
    assert_eq!(house.join_error(&follower), ErrorCode::UnknownMemberId);
    let token = house.join(&leader);
    let joined = house.joined(token);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
    leader.learn(&joined);
    house.pass(10_000);
    assert_eq!(house.described("group"), "Empty 0");
    assert_eq!(house.heartbeat(&leader), ErrorCode::UnknownMemberId);
}

/// Commits are signs of life.
#[test]
fn a_commit_extends_the_session() {
    let mut house = House::new();
    let [member] = house.settle([Member::new()]);
    for offset in 0..5 {
        house.pass(9_000);
        assert_eq!(house.commit(&member, "t", offset), ErrorCode::None);
    }
    assert_eq!(house.heartbeat(&member), ErrorCode::None);
}

/// When the leader is late, whoever joined leads; the late one is out when the rebalance timeout has passed.
#[test]
fn a_late_leader_loses_the_lead_and_its_place() {
    let mut house = House::new();
    let [leader, mut follower] = house.settle([Member::new(), Member::new()]);
    follower.protocols = vec![("range", subscription(&["u"]))];
    let token = house.join(&follower);
    for _ in 0..11 {
        house.pass(5_000);
        assert_eq!(house.heartbeat(&leader), ErrorCode::RebalanceInProgress);
    }
    assert_eq!(house.take(token), None);
    house.pass(5_000);
    let joined = house.joined(token);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
    assert_eq!(joined.leader, follower.id());
    assert_eq!(house.heartbeat(&leader), ErrorCode::UnknownMemberId);
}

/// Members that joined and never sync are out when the rebalance timeout has passed, though they beat.
#[test]
fn who_never_syncs_is_removed() {
    let mut house = House::new();
    let mut members = [Member::new(), Member::new()];
    let tokens: Vec<_> = members.iter_mut().map(|member| house.join_with_id(member)).collect();
    house.pass(6_000);
    for (member, token) in members.iter_mut().zip(tokens) {
        let joined = house.joined(token);
        member.learn(&joined);
    }
    let [leader, lazy] = members;
    house.sync(&leader, &[(&leader, "all")]);
    for _ in 0..12 {
        assert_eq!(house.heartbeat(&leader), ErrorCode::None);
        assert_eq!(house.heartbeat(&lazy), ErrorCode::None);
        house.pass(5_000);
    }
    assert_eq!(house.described("group"), "PreparingRebalance 1");
    assert_eq!(house.heartbeat(&lazy), ErrorCode::UnknownMemberId);
    assert_eq!(house.heartbeat(&leader), ErrorCode::RebalanceInProgress);
}

/// A parked join needs no heartbeats; a first join that nobody renews ends after five minutes.
#[test]
fn a_parked_join_outlives_the_session_but_a_first_one_not_for_ever() {
    let mut house = House::new();
    let long = Member { rebalance_timeout_ms: 3_600_000, session_timeout_ms: 6_000, ..Member::new() };
    let [leader, follower] = house.settle([long.clone(), long.clone()]);
    let token = house.join(&leader);
    let mut new = long;
    let first = house.join_with_id(&mut new);
    for _ in 0..59 {
        house.pass(5_000);
        assert_eq!(house.heartbeat(&follower), ErrorCode::RebalanceInProgress);
    }
    assert_eq!((house.take(token), house.take(first)), (None, None));
    house.pass(5_000);
    assert_eq!(error(house.joined(first).error_code), ErrorCode::UnknownMemberId);
    assert_eq!(house.take(token), None);
}

/// Two members whose sessions end at one instant: each is removed once, the group is empty, and the record says so.
#[test]
fn the_last_members_leave_an_empty_generation() {
    let mut house = House::new();
    let [member, _] = house.settle([Member::new(), Member::new()]);
    house.pass(10_000 + 60_000);
    assert_eq!(house.described("group"), "Empty 0");
    assert_eq!(house.commit_with(commit_request(&member, "t", 1), 9), ErrorCode::UnknownMemberId);
    let mut next = Member::new();
    let token = house.join_with_id(&mut next);
    house.pass(3_000);
    assert_eq!(house.joined(token).generation_id, 3, "the empty generation counts");
}
