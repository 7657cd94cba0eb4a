//! AlterPartitionReassignments and ListPartitionReassignments.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;

use super::alter_partition::ask_for;
use super::house::House;
use crate::controller::{ControllerRequest, ControllerResponse};

fn reassign(
    house: &mut House,
    replicas: Option<&[i32]>,
    allow_replication_factor_change: bool,
) -> (i16, Option<String>) {
    let partition = ReassignablePartition { partition_index: 0, replicas: replicas.map(<[i32]>::to_vec) };
    let topic = ReassignableTopic { name: "t".into(), partitions: vec![partition] };
    let request = AlterPartitionReassignmentsRequest {
        allow_replication_factor_change,
        topics: vec![topic],
        ..AlterPartitionReassignmentsRequest::default()
    };
    match house.ask(ControllerRequest::AlterPartitionReassignments(request)) {
        ControllerResponse::AlterPartitionReassignments(mut response) => {
            let result = response.responses[0].partitions.remove(0);
            (result.error_code, result.error_message.map(String::from))
        }
        other => panic!("{other:?}"),
    }
}

/// `replicas +adding -removing` as they are listed, or nothing.
fn listed(house: &mut House) -> String {
    let request = ListPartitionReassignmentsRequest { topics: None, ..Default::default() };
    match house.ask(ControllerRequest::ListPartitionReassignments(request)) {
        ControllerResponse::ListPartitionReassignments(response) => {
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            let lines = partitions.map(|one| {
                format!("{:?} +{:?} -{:?}", one.replicas, one.adding_replicas, one.removing_replicas)
            });
            lines.collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_move_ends_with_the_isr_that_has_the_new_ones() {
    let mut house = House::of(&[1, 2, 3, 4]);
    house.topic(&[&[1, 2]]);
    assert_eq!(reassign(&mut house, Some(&[3, 4]), true), (0, None));
    assert_eq!(listed(&mut house), "[3, 4, 1, 2] +[3, 4] -[1, 2]");
    assert_eq!((house.shape(0), house.partition(0).leader_epoch), ("1 [1, 2] []".to_owned(), 0));
    assert_eq!(house.partition(0).directories.len(), 4);
    assert_eq!(ask_for(&mut house, &[1, 2, 3]).0, ErrorCode::None);
    assert_eq!(
        ask_for(&mut house, &[1, 2, 3, 4]).0,
        ErrorCode::NewLeaderElected,
        "the leader is one of those that go"
    );
    assert_eq!(listed(&mut house), "");
    assert_eq!((house.shape(0), &house.partition(0).replicas[..]), ("3 [3, 4] []".to_owned(), &[3, 4][..]));
    assert_eq!(house.partition(0).directories, [3, 4].map(super::house::directory));
}

#[test]
fn another_order_is_done_at_once() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1, 2]]);
    assert_eq!(reassign(&mut house, Some(&[2, 1]), false), (0, None));
    assert_eq!(listed(&mut house), "");
    assert_eq!((house.shape(0), &house.partition(0).replicas[..]), ("1 [1, 2] []".to_owned(), &[2, 1][..]));
    assert_eq!(house.partition(0).directories, [2, 1].map(super::house::directory));
}

#[test]
fn fewer_replicas_wait_until_all_that_stay_are_in_sync() {
    let mut house = House::of(&[1, 2, 3]);
    house.topic(&[&[1, 2, 3]]);
    ask_for(&mut house, &[1, 3]);
    assert_eq!(reassign(&mut house, Some(&[1, 2]), true), (0, None));
    assert_eq!(listed(&mut house), "[1, 2, 3] +[] -[3]");
    assert_eq!(ask_for(&mut house, &[1, 3, 2]).0, ErrorCode::None);
    assert_eq!((house.shape(0), listed(&mut house)), ("1 [1, 2] []".to_owned(), String::new()));
    assert_eq!(house.partition(0).leader_epoch, 1, "a replica is gone");
}

#[test]
fn taken_back() {
    let mut house = House::of(&[1, 2, 3]);
    house.topic(&[&[1, 2]]);
    assert_eq!(reassign(&mut house, None, true), (85, None));
    reassign(&mut house, Some(&[3]), true);
    ask_for(&mut house, &[1, 2]);
    assert_eq!(listed(&mut house), "[3, 1, 2] +[3] -[1, 2]");
    assert_eq!(reassign(&mut house, None, true), (0, None));
    assert_eq!((house.shape(0), listed(&mut house)), ("1 [1, 2] []".to_owned(), String::new()));
    assert_eq!(house.partition(0).replicas, [1, 2]);
}

#[test]
fn taking_back_may_need_an_unclean_election() {
    let mut house = House::of(&[1, 2, 3]);
    house.topic(&[&[1]]);
    reassign(&mut house, Some(&[2, 3]), true);
    ask_for(&mut house, &[1, 2]);
    house.kill(1);
    assert_eq!(house.shape(0), "2 [2] []");
    let sentence =
        "Unable to revert partition assignment for t:0 because it would require an unclean leader election.";
    assert_eq!(reassign(&mut house, None, true), (39, Some(sentence.to_owned())));
    house.set("unclean.leader.election.enable", "true");
    house.restart(1, 2);
    assert_eq!(reassign(&mut house, None, true), (0, None));
    assert_eq!(house.partition(0).replicas, [1]);
    assert_eq!(house.partition(0).leader, 1);
}

#[test]
fn what_is_refused() {
    let mut house = House::of(&[1, 2, 3]);
    house.topic(&[&[1, 2]]);
    let sentence = "The replication factor is changed from 2 to 3";
    assert_eq!(reassign(&mut house, Some(&[1, 2, 3]), false), (38, Some(sentence.to_owned())));
    assert_eq!(reassign(&mut house, Some(&[]), true).0, 39);
    assert_eq!(reassign(&mut house, Some(&[1, 1]), true).0, 39);
    let sentence = "The manual partition assignment includes broker 9, but no such broker is registered.";
    assert_eq!(reassign(&mut house, Some(&[1, 9]), true), (39, Some(sentence.to_owned())));
    reassign(&mut house, Some(&[1, 3]), false);
    assert_eq!(listed(&mut house), "[1, 3, 2] +[3] -[2]");
    assert_eq!(reassign(&mut house, Some(&[3, 2]), false), (0, None), "2 is what it is changed from");
}
