//! What a broker that is not the active controller passes on: every version of it is answered as by Apache Kafka.

use std::fmt::Debug;

use ottla_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use ottla_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::elect_leaders_request::TopicPartitions;
use ottla_protocol::messages::update_features_request::FeatureUpdateKey;
use ottla_protocol::messages::{
    AlterClientQuotasRequest, AlterConfigsRequest, AlterPartitionReassignmentsRequest,
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, ElectLeadersRequest,
    UpdateFeaturesRequest,
};
use ottla_protocol::{Request, Str, Uuid};
use ottla_tests::peer::cluster::{Cluster, Roles};
use ottla_tests::wire::Wire;

use crate::Kind::{Kafka, Ottla};

#[test]
fn every_version_that_is_passed_on_is_answered_alike() {
    let [theirs, ours] = [Kafka, Ottla].map(|kind| {
        let mut cluster = Cluster::start(&[kind, kind], Roles::Both, &[]);
        let leader = cluster.until("a leader", |status| status.high_watermark > 0).leader_id;
        cluster.until_brokers_know_each_other();
        let said = ask_all(&cluster, 3 - leader);
        (1..=2).for_each(|id| cluster.kill(id));
        said
    });
    let differing: Vec<_> = theirs.iter().zip(&ours).filter(|(theirs, ours)| theirs != ours).collect();
    println!("{} answers compared", theirs.len());
    assert!(theirs.len() == ours.len() && differing.is_empty(), "{differing:#?}");
}

fn ask_all(cluster: &Cluster, broker: usize) -> Vec<String> {
    let mut wire = Wire::connect(cluster.broker_address(broker)).expect("it listens");
    let mut said = Vec::new();
    let name = |version: i16| Str::from(format!("t{version}"));
    for version in 2..=7 {
        let topic = CreatableTopic {
            name: name(version),
            num_partitions: 1,
            replication_factor: 2,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, validate_only: false };
        let mut answer = wire.call(&request, version).expect("an answer");
        answer.topics.iter_mut().for_each(|topic| topic.topic_id = Uuid::ZERO);
        said.push(format!("CreateTopics v{version}: {answer:?}"));
    }
    for version in 0..=3 {
        let topic = |count| CreatePartitionsTopic { name: name(2), count, assignments: None };
        let topics = vec![topic(i32::from(version) + 2)];
        let request = CreatePartitionsRequest { topics, timeout_ms: 10_000, validate_only: false };
        said.push(call(&mut wire, &request, version));
    }
    for version in 0..=2 {
        let config = AlterableConfig { name: "retention.ms".into(), value: Some("1000".into()) };
        let resource =
            AlterConfigsResource { resource_type: 2, resource_name: name(3), configs: vec![config] };
        let request = AlterConfigsRequest { resources: vec![resource], validate_only: false };
        said.push(call(&mut wire, &request, version));
        let topics = vec![TopicPartitions { topic: name(3), partitions: vec![0] }];
        let request =
            ElectLeadersRequest { election_type: 0, topic_partitions: Some(topics), timeout_ms: 10_000 };
        said.push(call(&mut wire, &request, version));
        for (feature, level, allow_downgrade, upgrade_type) in [
            ("eligible.leader.replicas.version", 0, true, 2),
            ("eligible.leader.replicas.version", 0, false, 1),
            ("eligible.leader.replicas.version", 1, false, 1),
            ("no.such.feature", 1, false, 1),
        ] {
            let update = FeatureUpdateKey {
                feature: feature.into(),
                max_version_level: level,
                allow_downgrade: version == 0 && allow_downgrade,
                upgrade_type: if version == 0 { 1 } else { upgrade_type },
            };
            let request = UpdateFeaturesRequest {
                timeout_ms: 10_000,
                feature_updates: vec![update],
                validate_only: false,
            };
            said.push(call(&mut wire, &request, version));
        }
    }
    for version in 0..=1 {
        let partition = ReassignablePartition { partition_index: 0, replicas: Some(vec![2]) };
        let topic = ReassignableTopic { name: name(4), partitions: vec![partition] };
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![topic],
            ..AlterPartitionReassignmentsRequest::default()
        };
        said.push(call(&mut wire, &request, version));
    }
    for version in 1..=6 {
        let names = vec![name(version + 1), name(99)];
        let request = match version {
            6 => DeleteTopicsRequest {
                topics: names
                    .into_iter()
                    .map(|name| DeleteTopicState { name: Some(name), ..Default::default() })
                    .collect(),
                timeout_ms: 10_000,
                ..DeleteTopicsRequest::default()
            },
            _ => DeleteTopicsRequest {
                topic_names: names,
                timeout_ms: 10_000,
                ..DeleteTopicsRequest::default()
            },
        };
        let mut answer = wire.call(&request, version).expect("an answer");
        answer.responses.iter_mut().for_each(|topic| topic.topic_id = Uuid::ZERO);
        answer.responses.sort_by_key(|topic| topic.name.clone());
        said.push(format!("DeleteTopics v{version}: {answer:?}"));
    }
    said.push(until_limited(&mut wire));
    said
}

/// The active controller knows whose request was passed on: a limit of its client holds.
fn until_limited(wire: &mut Wire) -> String {
    let limit = EntryData {
        entity: vec![EntityData { entity_type: "client-id".into(), entity_name: Some("tests".into()) }],
        ops: vec![OpData { key: "controller_mutation_rate".into(), value: 0.1, remove: false }],
    };
    let request = AlterClientQuotasRequest { entries: vec![limit], validate_only: false };
    let altered = wire.call(&request, 1).expect("an answer");
    assert!(altered.entries.iter().all(|entry| entry.error_code == 0), "{altered:?}");
    for number in 0..20 {
        let name = Str::from(format!("limited{number}"));
        let topic =
            CreatableTopic { name, num_partitions: 5, replication_factor: 1, ..CreatableTopic::default() };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, validate_only: false };
        let answer = wire.call(&request, 7).expect("an answer");
        if answer.topics[0].error_code != 0 {
            let topic = &answer.topics[0];
            let is_throttled = answer.throttle_time_ms > 0;
            return format!("{} {:?} {is_throttled}", topic.error_code, topic.error_message);
        }
    }
    "never limited".to_owned()
}

fn call<R: Request + Debug>(wire: &mut Wire, request: &R, version: i16) -> String
where
    R::Response: Debug,
{
    let answer = wire.call(request, version).map_or("no answer".to_owned(), |answer| format!("{answer:?}"));
    // Who leads is chance.
    let answer = answer.replace("Local controller 1", "Local controller 2");
    format!("v{version} {request:?}: {answer}")
}
