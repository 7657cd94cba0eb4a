//! Elections: asked for, and those that nobody asks for.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};

use super::house::House;
use crate::controller::{ControllerRequest, ControllerResponse};
use crate::coordinator::Append;

fn elect(house: &mut House, election_type: i8, index: i32) -> ErrorCode {
    let topic = TopicPartitions { topic: "t".into(), partitions: vec![index] };
    let request = ElectLeadersRequest {
        election_type,
        topic_partitions: Some(vec![topic]),
        ..ElectLeadersRequest::default()
    };
    match house.ask(ControllerRequest::ElectLeaders(request)) {
        ControllerResponse::ElectLeaders(response) => {
            let result = &response.replica_election_results[0].partition_result[0];
            ErrorCode::from_code(result.error_code).expect("a code")
        }
        other => panic!("{other:?}"),
    }
}

/// Keeps `brokers` alive for so long.
fn live(house: &mut House, brokers: &[i32], ms: i64) {
    for _ in 0..ms / 5_000 {
        for broker in brokers {
            house.beat(*broker, |_| ());
        }
        house.wait(5_000);
    }
}

#[test]
fn preferred() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1, 2], &[1]]);
    assert_eq!(elect(&mut house, 0, 0), ErrorCode::ElectionNotNeeded);
    house.kill(1);
    assert_eq!(elect(&mut house, 0, 0), ErrorCode::PreferredLeaderNotAvailable);
    assert_eq!(elect(&mut house, 0, 1), ErrorCode::PreferredLeaderNotAvailable);
    house.restart(1, 2);
    assert_eq!(elect(&mut house, 0, 0), ErrorCode::PreferredLeaderNotAvailable, "it is not in sync");
    let mut request = super::alter_partition::asked(&house, &[2, 1]);
    (request.broker_id, request.broker_epoch) = (2, house.broker(2).epoch);
    assert_eq!(super::alter_partition::alter(&mut house, request).0, ErrorCode::None);
    assert_eq!(elect(&mut house, 0, 0), ErrorCode::None);
    assert_eq!(house.shape(0), "1 [2, 1] []");
}

#[test]
fn unclean() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1, 2]]);
    assert_eq!(elect(&mut house, 1, 0), ErrorCode::ElectionNotNeeded);
    house.kill(2);
    house.kill(1);
    assert_eq!(elect(&mut house, 1, 0), ErrorCode::EligibleLeadersNotAvailable);
    house.restart(2, 2);
    assert_eq!(house.shape(0), "-1 [] [1]");
    assert_eq!(elect(&mut house, 1, 0), ErrorCode::None, "whoever asks for it need not have allowed it");
    assert_eq!((house.shape(0), house.partition(0).leader_recovery_state), ("2 [2] []".to_owned(), 1));
}

#[test]
fn leaders_go_back_to_preferred_replicas_by_themselves() {
    for enabled in ["true", "false"] {
        let mut house = House::with(&[("auto.leader.rebalance.enable", enabled)], true);
        house.start(&[1, 2]);
        house.topic(&[&[1, 2]]);
        house.kill(1);
        house.restart(1, 2);
        let mut request = super::alter_partition::asked(&house, &[2, 1]);
        (request.broker_id, request.broker_epoch) = (2, house.broker(2).epoch);
        super::alter_partition::alter(&mut house, request);
        live(&mut house, &[1, 2], 295_000);
        assert_eq!(house.shape(0), "2 [2, 1] []");
        live(&mut house, &[1, 2], 10_000);
        assert_eq!(house.shape(0), if enabled == "true" { "1 [2, 1] []" } else { "2 [2, 1] []" });
    }
}

#[test]
fn a_thousand_elections_at_a_time() {
    let mut house = House::of(&[1, 2]);
    let replicas: Vec<&[i32]> = vec![&[1, 2]; 2_500];
    house.topic(&replicas);
    let moved = (0..2_500).map(|index| {
        let change = ottla_protocol::records::metadata::PartitionChangeRecord {
            topic_id: super::house::TOPIC,
            partition_id: index,
            leader: 2,
            ..Default::default()
        };
        change.into()
    });
    house.write(moved.collect());
    let mut full = house.clone();
    house.log.writes.clear();
    live(&mut house, &[1, 2], 300_000);
    assert_eq!(house.log.writes, [1_000, 1_000, 500]);
    assert_eq!(house.shape(2_499), "1 [1, 2] []");
    live(&mut full, &[1, 2], 295_000);
    full.log.room = Some(1);
    live(&mut full, &[1, 2], 5_000);
    full.log.room = None;
    full.log.writes.clear();
    live(&mut full, &[1, 2], 300_000);
    assert_eq!(full.log.writes, [1_000, 500], "what there was no room for waits for the next time");
}

#[test]
fn partitions_without_a_leader_are_looked_at_again() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1, 2]]);
    house.kill(2);
    house.kill(1);
    house.restart(2, 2);
    assert_eq!(house.shape(0), "-1 [] [1]");
    live(&mut house, &[2], 300_000);
    assert_eq!(house.shape(0), "-1 [] [1]", "it is not allowed");
    house.set("unclean.leader.election.enable", "true");
    live(&mut house, &[2], 300_000);
    assert_eq!(house.shape(0), "2 [2] []");
    let written = house.log.next_offset();
    live(&mut house, &[2], 300_000);
    assert_eq!(house.log.next_offset(), written);
}
