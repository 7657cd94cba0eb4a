//! What is seen from outside: describing, listing, which partition coordinates.

use ottla_protocol::messages::list_groups_request::ListGroupsRequest;
use ottla_protocol::{ErrorCode, Str};

use super::harness::{House, Member, error};
use crate::coordinator::group::{GroupRequest, GroupResponse, partition_for};

fn list(house: &mut House, states: &[&str], types: &[&str]) -> Vec<String> {
    let request = ListGroupsRequest {
        states_filter: states.iter().map(|state| Str::from(*state)).collect(),
        types_filter: types.iter().map(|kind| Str::from(*kind)).collect(),
    };
    let GroupResponse::ListGroups(response) = house.answer(GroupRequest::ListGroups(request)) else {
        panic!("listed")
    };
    let groups = response.groups.iter();
    groups
        .map(|group| {
            format!("{} {} {} {}", group.group_id, group.protocol_type, group.group_state, group.group_type)
        })
        .collect()
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut house = House::new();
    house.settle([Member { group: "settled", ..Member::new() }]);
    house.commit(&Member { group: "simple", ..Member::new() }, "t", 1);
    let all = ["settled consumer Stable classic", "simple  Empty classic"];
    assert_eq!(list(&mut house, &[], &[]), all);
    assert_eq!(list(&mut house, &[" sTaBle "], &[]), all[..1]);
    assert_eq!(list(&mut house, &["Empty", "Dead"], &["CLASSIC"]), all[1..]);
    assert_eq!(list(&mut house, &["nonsense"], &[]), [""; 0]);
    assert_eq!(list(&mut house, &[], &["consumer"]), [""; 0]);
    assert_eq!(list(&mut house, &[], &["consumer", "classic"]), all);
}

/// Members' metadata is shown once the protocol is settled; from version 6 on, a group that is not is an error.
#[test]
fn a_description_shows_what_is_settled() {
    let mut house = House::new();
    let [member] = house.settle([Member::fixed("one")]);
    let mut describe = |version, group: &str| {
        let request = GroupRequest::DescribeGroups { version, groups: vec![Str::from(group)] };
        let GroupResponse::DescribeGroups(mut groups) = house.answer(request) else { panic!("described") };
        groups.remove(0)
    };
    let stable = describe(5, "group");
    assert_eq!((&*stable.group_state, &*stable.protocol_data), ("Stable", "range"));
    assert_eq!(&*stable.protocol_type, "consumer");
    let shown = &stable.members[0];
    assert_eq!((&*shown.client_id, &*shown.client_host), ("client", "/127.0.0.1"));
    assert_eq!((&shown.member_id, shown.group_instance_id.as_deref()), (&member.id(), Some("one")));
    assert_eq!(
        (&shown.member_metadata[..], &shown.member_assignment[..]),
        (&member.protocols[0].1[..], &b"share"[..])
    );

    let dead = describe(5, "nowhere");
    assert_eq!((dead.error_code, &*dead.group_state), (0, "Dead"));
    let dead = describe(6, "nowhere");
    assert_eq!((error(dead.error_code), &*dead.group_state), (ErrorCode::GroupIdNotFound, "Dead"));
    assert_eq!(dead.error_message.as_deref(), Some("Group nowhere not found."));

    house.join(&member);
    let request = GroupRequest::DescribeGroups { version: 5, groups: vec![Str::from("group")] };
    let GroupResponse::DescribeGroups(groups) = house.answer(request) else { panic!("described") };
    assert_eq!((&*groups[0].group_state, &*groups[0].protocol_data), ("CompletingRebalance", ""));
    assert_eq!(groups[0].members[0].member_metadata.len(), 0);
}

/// A group whose creation is not committed is not seen, and the answer waits until it could be.
#[test]
fn what_is_not_committed_is_not_described() {
    let mut house = House::new();
    house.log.holds_back = true;
    house.join(&Member::fixed("one"));
    let request = GroupRequest::DescribeGroups { version: 5, groups: vec![Str::from("group")] };
    let token = house.ask(request);
    assert_eq!(house.take(token), None);
    house.commit_log();
    let Some(GroupResponse::DescribeGroups(groups)) = house.take(token) else { panic!("described") };
    assert_eq!(&*groups[0].group_state, "Dead");
    assert_eq!(house.described("group"), "PreparingRebalance 1");
}

/// The absolute value of Java's `String.hashCode`, modulo the partitions.
#[test]
fn a_group_belongs_to_the_partition_that_kafka_says() {
    for (group, partition) in [("", 0), ("group", 47), ("my-group", 12), ("그룹", 19)] {
        assert_eq!(partition_for(group, 50), partition, "{group}");
    }
    assert_eq!(partition_for("group", 0), 0);
    assert_eq!(partition_for("polygenelubricants", 50), 0, "whose hash has no absolute value");
}
