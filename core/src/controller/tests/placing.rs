//! Where new partitions go: racks, fenced brokers, refusals.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest,
};

use super::house::{House, registration};
use super::topic;
use crate::controller::{ControllerRequest, ControllerResponse};
use crate::metadata::PartitionRegistration;

fn create(house: &mut House, topic: CreatableTopic) -> (i16, String) {
    let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
    match house.ask(ControllerRequest::CreateTopics(request)) {
        ControllerResponse::CreateTopics(mut response) => {
            let result = response.topics.remove(0);
            (result.error_code, result.error_message.map(String::from).unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

fn grow(house: &mut House, topic: CreatePartitionsTopic) -> (i16, String) {
    let request = CreatePartitionsRequest { topics: vec![topic], ..CreatePartitionsRequest::default() };
    match house.ask(ControllerRequest::CreatePartitions(request)) {
        ControllerResponse::CreatePartitions(mut response) => {
            let result = response.results.remove(0);
            (result.error_code, result.error_message.map(String::from).unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

fn replicated(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { replication_factor, ..topic(name, num_partitions) }
}

fn partitions(house: &House, name: &str) -> Vec<PartitionRegistration> {
    house.image().topic(name).expect("it exists").partitions.values().cloned().collect()
}

fn manual(partitions: &[&[i32]]) -> CreatableTopic {
    let assignments = (0..).zip(partitions).map(|(partition_index, brokers)| CreatableReplicaAssignment {
        partition_index,
        broker_ids: brokers.to_vec(),
    });
    CreatableTopic { assignments: assignments.collect(), ..topic("m", -1) }
}

#[test]
fn every_broker_leads_as_much_as_any_other() {
    let mut house = House::of(&[1, 2, 3, 4]);
    assert_eq!(create(&mut house, replicated("a", 40, 3)), (0, String::new()));
    let mut leads: BTreeMap<i32, usize> = BTreeMap::new();
    let mut holds: BTreeMap<i32, usize> = BTreeMap::new();
    let mut pairs = BTreeSet::new();
    for partition in partitions(&house, "a") {
        let distinct: BTreeSet<i32> = partition.replicas.iter().copied().collect();
        assert_eq!((distinct.len(), &partition.isr), (3, &partition.replicas));
        assert_eq!(partition.leader, partition.replicas[0]);
        *leads.entry(partition.leader).or_default() += 1;
        distinct.iter().for_each(|broker| *holds.entry(*broker).or_default() += 1);
        pairs.insert((partition.replicas[0], partition.replicas[1]));
    }
    assert!(leads.values().all(|count| *count == 10), "{leads:?}");
    assert!(holds.values().all(|count| *count == 30), "{holds:?}");
    assert!(pairs.len() > 4, "not always the same follow the same: {pairs:?}");
}

#[test]
fn replicas_are_in_different_racks() {
    let mut house = House::new();
    for broker in 1..=6 {
        let mut request = registration(broker, 1);
        request.rack = Some(["a", "b", "c"][usize::try_from(broker % 3).expect("small")].into());
        house.register(&request);
        house.beat(broker, |_| ());
    }
    create(&mut house, replicated("r", 30, 3));
    for partition in partitions(&house, "r") {
        let racks: BTreeSet<i32> = partition.replicas.iter().map(|broker| broker % 3).collect();
        assert_eq!(racks.len(), 3, "{:?}", partition.replicas);
    }
    create(&mut house, replicated("s", 10, 5));
    for partition in partitions(&house, "s") {
        let distinct: BTreeSet<i32> = partition.replicas.iter().copied().collect();
        assert_eq!(distinct.len(), 5);
    }
}

#[test]
fn fenced_brokers_come_last_and_never_lead() {
    let mut house = House::of(&[1, 2, 3]);
    house.kill(3);
    create(&mut house, replicated("f", 12, 2));
    assert!(partitions(&house, "f").iter().all(|one| !one.replicas.contains(&3)));
    create(&mut house, replicated("g", 12, 3));
    for partition in partitions(&house, "g") {
        assert_eq!(partition.replicas[2], 3);
        assert_eq!(partition.isr, partition.replicas[..2]);
    }
    house.beat(2, |beat| beat.want_shut_down = true);
    assert!(house.broker(2).in_controlled_shutdown);
    create(&mut house, replicated("h", 4, 2));
    assert!(partitions(&house, "h").iter().all(|one| one.replicas == [1, 3] && one.isr == [1]));
}

#[test]
fn what_cannot_be_placed() {
    let mut house = House::of(&[1, 2]);
    let sentence = "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because only \
                    2 broker(s) are registered or some brokers have all their log directories cordoned.";
    assert_eq!(create(&mut house, replicated("a", 1, 3)), (38, sentence.to_owned()));
    assert_eq!(create(&mut house, replicated("a", 1, 2)).0, 0);
    house.kill(1);
    house.kill(2);
    let sentence = "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have all their log \
                    directories cordoned.";
    assert_eq!(create(&mut house, replicated("b", 1, 1)), (38, sentence.to_owned()));
    let more = CreatePartitionsTopic { name: "a".into(), count: 2, assignments: None };
    assert_eq!(grow(&mut house, more).0, 38);
}

#[test]
fn the_replicas_of_a_topic_grow_with_it() {
    let mut house = House::of(&[1, 2, 3]);
    create(&mut house, replicated("a", 1, 2));
    let more = CreatePartitionsTopic { name: "a".into(), count: 7, assignments: None };
    assert_eq!(grow(&mut house, more), (0, String::new()));
    assert!(partitions(&house, "a").iter().all(|one| one.replicas.len() == 2 && one.isr.len() == 2));
    house.kill(3);
    let by_hand = vec![CreatePartitionsAssignment { broker_ids: vec![3, 1] }];
    let more = CreatePartitionsTopic { name: "a".into(), count: 8, assignments: Some(by_hand) };
    assert_eq!(grow(&mut house, more), (0, String::new()));
    let last = partitions(&house, "a").pop().expect("one");
    assert_eq!((last.leader, last.replicas, last.isr), (1, vec![3, 1], vec![1]));
    let by_hand = vec![CreatePartitionsAssignment { broker_ids: vec![1] }];
    let more = CreatePartitionsTopic { name: "a".into(), count: 9, assignments: Some(by_hand) };
    assert_eq!(grow(&mut house, more).0, 39);
}

#[test]
fn by_hand() {
    let mut house = House::of(&[1, 2, 3]);
    house.kill(2);
    assert_eq!(create(&mut house, manual(&[&[2, 1], &[3, 2]])), (0, String::new()));
    let made = partitions(&house, "m");
    assert_eq!(
        (made[0].leader, &made[0].isr[..], made[1].leader, &made[1].isr[..]),
        (1, &[1][..], 3, &[3][..])
    );
    let sentence = "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled \
                    shutdown.";
    let refused = CreatableTopic { name: "n".into(), ..manual(&[&[2]]) };
    assert_eq!(create(&mut house, refused), (39, sentence.to_owned()));
}
