//! Retention (KIP-211): offsets of empty groups and of topics that nobody reads any more expire; groups follow.

use ottla_protocol::{ErrorCode, Str};

use super::harness::{House, Member, commit_request, now, replayed};
use crate::coordinator::group::{GroupConfig, GroupState};

const DAY_MS: i64 = 24 * 3_600_000;
const CHECK_MS: i64 = 600_000;

/// Seven days after a simple group's last commit of a partition, that offset goes; the last one takes the group with it.
#[test]
fn offsets_of_a_simple_group_expire_since_their_commit() {
    let mut house = House::new();
    let nobody = Member::new();
    house.commit(&nobody, "t", 1);
    house.pass(3 * DAY_MS);
    house.commit(&nobody, "u", 2);
    house.pass(4 * DAY_MS - 1);
    assert_eq!(house.committed("group", "t"), 1);
    house.pass(CHECK_MS);
    assert_eq!((house.committed("group", "t"), house.committed("group", "u")), (-1, 2));
    assert_eq!(house.described("group"), "Empty 0");
    house.pass(3 * DAY_MS);
    assert_eq!(house.described("group"), "Dead 0");
    assert_eq!(replayed(&house.log), GroupState::default());
}

/// A group's offsets stay as long as it has members that read the topic, and seven days beyond.
#[test]
fn offsets_of_a_consumer_group_expire_since_it_is_empty() {
    let mut house = House::new();
    let long = Member { session_timeout_ms: 1_800_000, ..Member::new() };
    let [member] = house.settle([long]);
    house.commit(&member, "t", 1);
    house.commit(&member, "old", 2);
    let beat = |house: &mut House, days: i64| {
        for _ in 0..days * 96 {
            house.pass(DAY_MS / 96);
            assert_eq!(house.heartbeat(&member), ErrorCode::None);
        }
    };
    beat(&mut house, 6);
    assert_eq!(house.committed("group", "old"), 2);
    beat(&mut house, 2);
    assert_eq!((house.committed("group", "t"), house.committed("group", "old")), (1, -1));
    house.leave(5, "group", &[(&member.member_id, None)]);
    house.pass(7 * DAY_MS - CHECK_MS);
    assert_eq!(house.committed("group", "t"), 1);
    house.pass(2 * CHECK_MS);
    assert_eq!(house.committed("group", "t"), -1);
    assert_eq!(house.described("group"), "Dead 0");
}

/// Before version 5 a commit could say how long it wants to be kept.
#[test]
fn a_commit_may_name_its_own_retention() {
    let mut house = House::new();
    let mut request = commit_request(&Member::new(), "t", 1);
    request.retention_time_ms = 3_600_000;
    house.commit_with(request, 4);
    house.commit(&Member::new(), "u", 1);
    house.pass(3_600_000 - 1);
    assert_eq!(house.committed("group", "t"), 1);
    house.pass(CHECK_MS);
    assert_eq!((house.committed("group", "t"), house.committed("group", "u")), (-1, 1));
}

/// An empty group without offsets is gone at the next look; one that somebody is about to join is not.
#[test]
fn a_group_without_members_and_offsets_is_forgotten() {
    let mut house =
        House::with(GroupConfig { offsets_retention_check_interval_ms: 5_000, ..GroupConfig::default() });
    let mut member = Member::new();
    let token = house.join(&member);
    member.member_id = house.joined(token).member_id.to_string();
    house.pass(5_000);
    assert_eq!(house.described("group"), "Empty 0");
    house.pass(5_000);
    assert_eq!(house.join_error(&member), ErrorCode::UnknownMemberId);
    house.pass(5_000);
    assert_eq!(house.described("group"), "Dead 0");
}

/// More than one write's worth of offsets goes in several writes, all due at once; a failed write is tried again later.
#[test]
fn a_sweep_is_written_in_pieces() {
    let mut house = House::new();
    let groups: Vec<&'static str> = (0..30).map(|group| &*format!("group-{group:02}").leak()).collect();
    for group in &groups {
        let mut request = commit_request(&Member { group, ..Member::new() }, "t", 1);
        let one = request.topics[0].partitions[0].clone();
        request.topics[0].partitions = (0..100)
            .map(|index| {
                let mut one = one.clone();
                one.partition_index = index;
                one
            })
            .collect();
        house.commit_with(request, 9);
    }
    house.log.failure = Some(ErrorCode::NotEnoughReplicas);
    house.pass(7 * DAY_MS);
    assert_eq!(house.log.records.len(), 3_000, "the first write failed");
    house.pass(CHECK_MS);
    assert_eq!(house.log.records.len(), 3_000 + 3_000 + 30);
    assert_eq!(replayed(&house.log), GroupState::default());
    assert_eq!(house.runtime.tip(), &GroupState::default());
}

/// The offsets of deleted topics go with the next tick; groups and other topics stay.
#[test]
fn deleted_topics_take_their_offsets_along() {
    let mut house = House::new();
    let [member] = house.settle([Member::new()]);
    house.commit(&member, "t", 1);
    house.commit(&member, "u", 2);
    house.commit(&Member { group: "other", ..Member::new() }, "t", 3);
    let instant = now(house.now_ms).monotonic;
    house.runtime.coordinator_mut().topics_deleted(instant, [Str::from("t")]);
    house.pass(0);
    assert_eq!((house.committed("group", "t"), house.committed("group", "u")), (-1, 2));
    assert_eq!((house.committed("other", "t"), house.described("other")), (-1, "Empty 0".to_owned()));
    let before = house.log.records.len();
    house.runtime.coordinator_mut().topics_deleted(instant, [Str::from("never")]);
    house.pass(1);
    assert_eq!(house.log.records.len(), before);
}
