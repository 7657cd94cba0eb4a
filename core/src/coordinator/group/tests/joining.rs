//! How a group forms: ids, the initial delay, who leads, which protocol.

use ottla_protocol::ErrorCode;

use super::harness::{House, Member, subscription};
use crate::coordinator::group::GroupConfig;

/// From version 4 on a new member is sent back with an id, and joins with it.
#[test]
fn a_new_member_comes_back_with_its_id() {
    let mut house = House::new();
    let mut first = Member::new();
    let token = house.join(&first);
    let refused = house.joined(token);
    assert_eq!(refused.error_code, ErrorCode::MemberIdRequired.code());
    assert!(refused.member_id.starts_with("client-"), "{}", refused.member_id);
    assert_eq!(refused.member_id.len(), "client-".len() + 36);

    first.member_id = refused.member_id.to_string();
    let token = house.join(&first);
    house.pass(2_999);
    assert_eq!(house.take(token), None);
    house.pass(1);
    let joined = house.joined(token);
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!((joined.leader.clone(), joined.members.len()), (joined.member_id, 1));
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(house.described("group"), "CompletingRebalance 1");
}

/// Before version 4 it is a member at once; what was null later is an empty string then.
#[test]
fn an_old_member_joins_at_once() {
    let mut house = House::new();
    let member = Member { version: 3, ..Member::new() };
    let token = house.join(&member);
    house.pass(3_000);
    assert_eq!(house.joined(token).generation_id, 1);

    let stranger = Member { version: 3, member_id: "stranger".into(), ..Member::new() };
    let token = house.join(&stranger);
    let refused = house.joined(token);
    assert_eq!(refused.error_code, ErrorCode::UnknownMemberId.code());
    assert_eq!(refused.protocol_name.as_deref(), Some(""));
}

/// Every new member extends the initial delay, up to the rebalance timeout.
#[test]
fn the_initial_delay_is_extended_while_members_come() {
    let mut house = House::new();
    let member = Member { rebalance_timeout_ms: 7_000, version: 3, ..Member::new() };
    let first = house.join(&member);
    house.pass(2_000);
    house.join(&member);
    house.pass(2_000);
    assert_eq!(house.take(first), None, "extended at 3 s, until 6 s");
    house.join(&member);
    house.pass(2_500);
    assert_eq!(house.take(first), None, "extended at 6 s, until 7 s");
    house.pass(500);
    assert_eq!(house.joined(first).members.len(), 3);
}

/// The protocol is one that all support, and that most prefer.
#[test]
fn the_protocol_is_chosen_by_vote() {
    let mut house = House::new();
    let protocols = |names: &[&'static str]| names.iter().map(|name| (*name, subscription(&["t"]))).collect();
    let member = |names: &[&'static str]| Member { version: 3, protocols: protocols(names), ..Member::new() };
    let first = house.join(&member(&["range", "sticky", "roundrobin"]));
    house.join(&member(&["roundrobin", "range"]));
    house.join(&member(&["sticky", "roundrobin", "range"]));
    house.join(&member(&["roundrobin", "range"]));
    house.pass(6_000);
    let joined = house.joined(first);
    assert_eq!(joined.protocol_name.as_deref(), Some("roundrobin"));
    assert_eq!(joined.members.len(), 4);

    assert_eq!(house.join_error(&member(&["sticky"])), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(house.join_error(&member(&[])), ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn what_is_refused_before_anything_is_looked_at() {
    let mut house = House::new();
    let too_short = Member { session_timeout_ms: 5_999, ..Member::new() };
    assert_eq!(house.join_error(&too_short), ErrorCode::InvalidSessionTimeout);
    let too_long = Member { session_timeout_ms: 1_800_001, ..Member::new() };
    assert_eq!(house.join_error(&too_long), ErrorCode::InvalidSessionTimeout);
    assert_eq!(house.join_error(&Member { group: "", ..Member::new() }), ErrorCode::InvalidGroupId);
    let stranger = Member { member_id: "stranger".into(), ..Member::new() };
    assert_eq!(house.join_error(&stranger), ErrorCode::UnknownMemberId);
    assert_eq!(house.described("group"), "Dead 0", "a refused stranger makes no group");
}

/// `group.max.size` refuses who comes last.
#[test]
fn a_full_group_refuses() {
    let mut house = House::with(GroupConfig { max_size: 2, ..GroupConfig::default() });
    let member = Member { version: 3, ..Member::new() };
    house.join(&member);
    house.join(&member);
    assert_eq!(house.join_error(&member), ErrorCode::GroupMaxSizeReached);
    house.pass(6_000);
    assert_eq!(house.join_error(&member), ErrorCode::GroupMaxSizeReached);
    assert_eq!(house.described("group"), "CompletingRebalance 2");
}

/// `message.max.bytes` bounds what a member brings, which is kept until its session ends.
#[test]
fn what_could_not_be_stored_is_not_kept() {
    let mut house = House::with(GroupConfig { member_metadata_max_bytes: 4, ..GroupConfig::default() });
    let member = Member { version: 3, ..Member::new() };
    assert_eq!(house.join_error(&member), ErrorCode::UnknownServerError);
}

/// An id that nobody comes back for is forgotten with the session timeout; until then the join phase waits for it.
#[test]
fn a_pending_member_holds_the_join_phase_until_its_session_ends() {
    let mut house = House::new();
    let [mut leader] = house.settle([Member::new()]);
    let mut pending = Member::new();
    let token = house.join(&pending);
    pending.member_id = house.joined(token).member_id.to_string();
    let token = house.join(&leader);
    house.pass(9_999);
    assert_eq!(house.take(token), None);
    house.pass(1);
    let joined = house.joined(token);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
    leader.learn(&joined);
    assert_eq!(house.join_error(&pending), ErrorCode::UnknownMemberId);
}
