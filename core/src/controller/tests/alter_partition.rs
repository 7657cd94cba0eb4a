//! AlterPartition: what a leader may do to its ISR.

use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState, PartitionData, TopicData,
};
use ottla_protocol::messages::alter_partition_response;
use ottla_protocol::{ErrorCode, Uuid};

use super::house::{House, TOPIC};
use crate::controller::{ControllerRequest, ControllerResponse};

/// What broker 1 asks as the leader of partition 0, in the epochs that hold.
pub fn asked(house: &House, isr: &[i32]) -> AlterPartitionRequest {
    let partition = house.partition(0);
    let member = |id: &i32| BrokerState {
        broker_id: *id,
        broker_epoch: house.image().broker(*id).map_or(-1, |broker| broker.epoch),
    };
    let data = PartitionData {
        partition_index: 0,
        leader_epoch: partition.leader_epoch,
        new_isr_with_epochs: isr.iter().map(member).collect(),
        leader_recovery_state: 0,
        partition_epoch: partition.partition_epoch,
        ..PartitionData::default()
    };
    AlterPartitionRequest {
        broker_id: 1,
        broker_epoch: house.broker(1).epoch,
        topics: vec![TopicData { topic_id: TOPIC, partitions: vec![data] }],
    }
}

pub fn alter(
    house: &mut House,
    request: AlterPartitionRequest,
) -> (ErrorCode, alter_partition_response::PartitionData) {
    match house.ask(ControllerRequest::AlterPartition(request)) {
        ControllerResponse::AlterPartition(mut response) => {
            assert_eq!(response.error_code, 0);
            let data = response.topics[0].partitions.remove(0);
            (ErrorCode::from_code(data.error_code).expect("a code"), data)
        }
        other => panic!("{other:?}"),
    }
}

/// Broker 1 asks for another ISR.
pub fn ask_for(house: &mut House, isr: &[i32]) -> (ErrorCode, alter_partition_response::PartitionData) {
    let request = asked(house, isr);
    alter(house, request)
}

#[test]
fn shrinking_and_growing() {
    let mut house = House::of(&[1, 2, 3]);
    house.topic(&[&[1, 2, 3]]);
    let (error, data) = ask_for(&mut house, &[1, 3]);
    assert_eq!(error, ErrorCode::None);
    assert_eq!((data.leader_id, data.leader_epoch, data.partition_epoch), (1, 0, 1));
    assert_eq!((data.isr, house.shape(0)), (vec![1, 3], "1 [1, 3] []".to_owned()));
    let (error, data) = ask_for(&mut house, &[1, 3, 2]);
    assert_eq!((error, data.isr, data.partition_epoch), (ErrorCode::None, vec![1, 3, 2], 2));
    let (error, data) = ask_for(&mut house, &[1, 3, 2]);
    assert_eq!((error, data.partition_epoch), (ErrorCode::None, 2), "that is so already");
    let mut old = asked(&house, &[]);
    old.topics[0].partitions[0].new_isr = vec![1];
    assert_eq!(alter(&mut house, old).0, ErrorCode::None, "version 2 has no epochs");
    assert_eq!(house.shape(0), "1 [1] []");
}

#[test]
fn what_is_refused() {
    let mut house = House::of(&[1, 2, 3, 4]);
    house.topic(&[&[1, 2, 3]]);
    house.kill(3);
    let mut refused = |isr: &[i32], change: &dyn Fn(&mut AlterPartitionRequest)| {
        let mut request = asked(&house, isr);
        change(&mut request);
        let before = house.shape(0);
        let error = alter(&mut house, request).0;
        assert_eq!(house.shape(0), before);
        error
    };
    assert_eq!(refused(&[1], &|one| one.topics[0].topic_id = Uuid::ONE), ErrorCode::UnknownTopicId);
    assert_eq!(refused(&[1], &|one| at(one).partition_index = 9), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(refused(&[1], &|one| at(one).leader_epoch += 1), ErrorCode::NotController);
    assert_eq!(refused(&[1], &|one| at(one).partition_epoch += 1), ErrorCode::NotController);
    assert_eq!(refused(&[1], &|one| at(one).leader_epoch -= 1), ErrorCode::FencedLeaderEpoch);
    assert_eq!(refused(&[1], &|one| at(one).partition_epoch -= 1), ErrorCode::InvalidUpdateVersion);
    assert_eq!(refused(&[1, 4], &|_| ()), ErrorCode::InvalidRequest, "4 is no replica");
    assert_eq!(refused(&[2], &|_| ()), ErrorCode::InvalidRequest, "the leader is in sync with itself");
    assert_eq!(refused(&[1, 2, 2], &|_| ()), ErrorCode::InvalidRequest);
    assert_eq!(refused(&[1], &|one| at(one).leader_recovery_state = 1), ErrorCode::InvalidRequest);
    assert_eq!(refused(&[1, 2, 3], &|_| ()), ErrorCode::IneligibleReplica, "3 is fenced");
    let stale = |one: &mut AlterPartitionRequest| at(one).new_isr_with_epochs[1].broker_epoch -= 1;
    assert_eq!(refused(&[1, 2], &stale), ErrorCode::IneligibleReplica, "2 has another life");
}

fn at(request: &mut AlterPartitionRequest) -> &mut PartitionData {
    &mut request.topics[0].partitions[0]
}

#[test]
fn only_the_leader_may() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[2, 1]]);
    assert_eq!(ask_for(&mut house, &[2]).0, ErrorCode::InvalidRequest);
    let mut stale = asked(&house, &[1]);
    stale.broker_epoch -= 1;
    match house.ask(ControllerRequest::AlterPartition(stale)) {
        ControllerResponse::AlterPartition(response) => {
            assert_eq!((response.error_code, response.topics.len()), (ErrorCode::StaleBrokerEpoch.code(), 0));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_is_shutting_down_joins_no_isr() {
    let mut house = House::of(&[1, 2, 3]);
    house.topic(&[&[1, 2, 3], &[2, 1]]);
    house.beat(2, |beat| beat.want_shut_down = true);
    assert_eq!(house.shape(0), "1 [1, 3] []");
    assert_eq!(ask_for(&mut house, &[1, 2, 3]).0, ErrorCode::IneligibleReplica);
}

#[test]
fn recovery_ends_when_the_leader_says_so() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1, 2]]);
    house.set("unclean.leader.election.enable", "true");
    house.kill(1);
    house.kill(2);
    house.restart(1, 2);
    assert_eq!((house.shape(0), house.partition(0).leader_recovery_state), ("1 [1] []".to_owned(), 1));
    house.restart(2, 2);
    let mut still = asked(&house, &[1, 2]);
    at(&mut still).leader_recovery_state = 1;
    assert_eq!(alter(&mut house, still).0, ErrorCode::InvalidRequest);
    assert_eq!(ask_for(&mut house, &[1, 2]).0, ErrorCode::None);
    assert_eq!((house.shape(0), house.partition(0).leader_recovery_state), ("1 [1, 2] []".to_owned(), 0));
}
