//! BrokerRegistration, ControllerRegistration, UnregisterBroker, AllocateProducerIds, AssignReplicasToDirs.

use ottla_protocol::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use ottla_protocol::messages::assign_replicas_to_dirs_request::{
    AssignReplicasToDirsRequest, DirectoryData, PartitionData, TopicData,
};
use ottla_protocol::messages::broker_registration_request::BrokerRegistrationRequest;
use ottla_protocol::messages::controller_registration_request::{
    ControllerRegistrationRequest, Feature, Listener,
};
use ottla_protocol::messages::unregister_broker_request::UnregisterBrokerRequest;
use ottla_protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_protocol::records::metadata::FeatureLevelRecord;
use ottla_protocol::{ErrorCode, Uuid};

use super::house::{House, TOPIC, directory, registration};
use crate::controller::{ControllerRequest, ControllerResponse};
use crate::coordinator::Append;
use crate::metadata::topics::DIRECTORY_LOST;

#[test]
fn a_broker_registers_fenced_in_an_epoch_of_the_log() {
    let mut house = House::new();
    let next_offset = house.log.next_offset();
    assert_eq!(house.register(&registration(1, 1)), (ErrorCode::None, next_offset));
    let broker = house.broker(1);
    assert!(broker.fenced && broker.epoch == next_offset);
    assert_eq!(broker.directories, [directory(1)]);
    assert_eq!(broker.features.size(), 3);
}

#[test]
fn who_is_not_let_in() {
    let mut house = House::of(&[1]);
    let mut refused = |change: &dyn Fn(&mut BrokerRegistrationRequest)| {
        let mut request = registration(2, 1);
        change(&mut request);
        let (error, epoch) = house.register(&request);
        assert!(epoch == -1 && house.image().broker(2).is_none(), "{error:?}");
        error
    };
    assert_eq!(refused(&|one| one.cluster_id = "another".into()), ErrorCode::InconsistentClusterId);
    assert_eq!(refused(&|one| one.is_migrating_zk_broker = true), ErrorCode::BrokerIdNotRegistered);
    assert_eq!(refused(&|one| one.log_dirs.clear()), ErrorCode::InvalidRegistration);
    assert_eq!(refused(&|one| one.log_dirs = vec![DIRECTORY_LOST]), ErrorCode::InvalidRegistration);
    assert_eq!(refused(&|one| one.log_dirs.push(directory(2))), ErrorCode::InvalidRegistration);
    assert_eq!(refused(&|one| one.log_dirs.push(directory(1))), ErrorCode::InvalidRegistration);
    assert_eq!(refused(&|one| one.features[0].max_supported_version = 29), ErrorCode::UnsupportedVersion);
    assert_eq!(refused(&|one| one.features[1].name = "other".into()), ErrorCode::UnsupportedVersion);
    assert_eq!(refused(&|one| one.features[2].max_supported_version = 0), ErrorCode::UnsupportedVersion);
    assert_eq!(refused(&|one| _ = one.features.remove(0)), ErrorCode::InvalidRegistration);
}

#[test]
fn one_life_at_a_time() {
    let mut house = House::of(&[1]);
    let epoch = house.broker(1).epoch;
    assert_eq!(house.register(&registration(1, 2)).0, ErrorCode::DuplicateBrokerRegistration);
    let amended = house.register(&registration(1, 1));
    assert_eq!(amended, (ErrorCode::None, epoch), "the same life says more of itself");
    assert!(!house.is_fenced(1));
    house.wait(10_000);
    assert!(house.is_fenced(1), "its session is over");
    let (error, later) = house.register(&registration(1, 2));
    assert!(error == ErrorCode::None && later > epoch && house.is_fenced(1));
    assert_eq!(
        house.beat(1, |beat| beat.broker_epoch = epoch).error_code,
        ErrorCode::StaleBrokerEpoch.code()
    );
}

#[test]
fn a_fenced_life_that_is_heard_of_is_not_replaced_either() {
    let mut house = House::new();
    house.register(&registration(1, 1));
    assert_eq!(house.register(&registration(1, 2)).0, ErrorCode::None, "it was never heard of");
    house.beat(1, |beat| beat.want_fence = true);
    assert_eq!(house.register(&registration(1, 3)).0, ErrorCode::DuplicateBrokerRegistration);
}

#[test]
fn a_clean_stop_is_told_from_a_crash_by_the_epoch() {
    for (previous, elr) in [(true, "[3]"), (false, "[]")] {
        let mut house = House::of(&[1, 2, 3]);
        house.topic(&[&[1, 2, 3]]);
        house.set("min.insync.replicas", "3");
        house.kill(3);
        assert_eq!(house.shape(0), "1 [1, 2] [3]");
        let mut again = registration(3, 2);
        if previous {
            again.previous_broker_epoch = house.broker(3).epoch;
        }
        assert_eq!(house.register(&again).0, ErrorCode::None);
        assert_eq!(house.shape(0), format!("1 [1, 2] {elr}"));
    }
}

#[test]
fn a_crash_costs_the_last_replica_its_place() {
    let mut house = House::of(&[1]);
    house.topic(&[&[1]]);
    house.wait(10_000);
    assert_eq!(house.shape(0), "-1 [] [1]");
    assert_eq!(house.partition(0).last_known_elr, [1]);
    let mut clean = house.clone();
    let epoch = clean.broker(1).epoch;
    let mut again = registration(1, 2);
    assert_eq!(house.register(&again).0, ErrorCode::None);
    assert_eq!(house.shape(0), "-1 [] []");
    house.beat(1, |_| ());
    assert_eq!(house.shape(0), "1 [1] []", "the last leader leads again, and has to recover");
    assert_eq!((house.partition(0).leader_recovery_state, house.partition(0).last_known_elr.len()), (1, 0));
    again.previous_broker_epoch = epoch;
    clean.register(&again);
    assert_eq!(clean.shape(0), "-1 [] [1]");
    clean.beat(1, |_| ());
    assert_eq!((clean.shape(0), clean.partition(0).leader_recovery_state), ("1 [1] []".to_owned(), 0));
}

#[test]
fn without_a_list_of_the_eligible_the_last_one_stays_in_the_isr() {
    let mut house = House::with(&[], false);
    house.start(&[1, 2]);
    house.topic(&[&[1, 2]]);
    house.kill(1);
    assert_eq!(house.shape(0), "2 [2] []");
    house.kill(2);
    assert_eq!(house.shape(0), "-1 [2] []");
    house.restart(1, 2);
    assert_eq!(house.shape(0), "-1 [2] []", "it was not in sync");
    house.restart(2, 2);
    assert_eq!(house.shape(0), "2 [2] []");
}

#[test]
fn controllers_register() {
    let mut house = House::new();
    let request = ControllerRegistrationRequest {
        controller_id: 3_000,
        incarnation_id: Uuid::ONE,
        listeners: vec![Listener {
            name: "CONTROLLER".into(),
            host: "h".into(),
            port: 9093,
            security_protocol: 0,
        }],
        features: vec![Feature {
            name: "metadata.version".into(),
            min_supported_version: 7,
            max_supported_version: 29,
        }],
        ..ControllerRegistrationRequest::default()
    };
    let ControllerResponse::ControllerRegistration(response) =
        house.ask(ControllerRequest::ControllerRegistration(request))
    else {
        panic!("another answer");
    };
    assert_eq!((response.error_code, response.error_message), (0, None));
    let controller = house.image().controllers().next().expect("it is registered");
    assert_eq!((controller.id, controller.endpoints[0].port), (3_000, 9093));
}

#[test]
fn features_are_those_of_everybody() {
    let mut house = House::with(&[], false);
    let mut old = registration(2, 1);
    old.features[1].max_supported_version = 0;
    house.register(&old);
    let update = |house: &mut House, feature: &str, level| {
        let update = FeatureUpdateKey {
            feature: feature.into(),
            max_version_level: level,
            upgrade_type: 1,
            ..FeatureUpdateKey::default()
        };
        let request =
            UpdateFeaturesRequest { feature_updates: vec![update], ..UpdateFeaturesRequest::default() };
        match house.ask(ControllerRequest::UpdateFeatures(request)) {
            ControllerResponse::UpdateFeatures(response) => {
                response.error_message.map(String::from).unwrap_or_default()
            }
            other => panic!("{other:?}"),
        }
    };
    let elr = "eligible.leader.replicas.version";
    let said = update(&mut house, elr, 1);
    assert!(said.ends_with("Broker 2 does not support this feature."), "{said}");
    old.features[1].max_supported_version = 1;
    old.incarnation_id = Uuid::from_u128(77);
    house.register(&old);
    assert_eq!(update(&mut house, elr, 1), "");
    assert_eq!(house.image().features().level(elr), 1);
    let min_isr = house.image().cluster_configs().get("min.insync.replicas").cloned();
    assert_eq!(min_isr.as_deref(), Some("1"), "one value for all brokers");
    house.write(vec![FeatureLevelRecord { name: "metadata.version".into(), feature_level: 29 }.into()]);
    let mut behind = registration(3, 1);
    behind.features[0].max_supported_version = 29;
    house.register(&behind);
    let said = update(&mut house, "metadata.version", 30);
    assert!(said.ends_with("Broker 3 only supports versions 7-29"), "{said}");
}

#[test]
fn unregistering() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1, 2]]);
    let unregister = |house: &mut House| {
        let request = UnregisterBrokerRequest { broker_id: 1 };
        match house.ask(ControllerRequest::UnregisterBroker(request)) {
            ControllerResponse::UnregisterBroker(response) => {
                (response.error_code, response.error_message.map(String::from))
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(unregister(&mut house), (0, None));
    assert!(house.image().broker(1).is_none());
    assert_eq!(house.shape(0), "2 [2] []");
    assert_eq!(unregister(&mut house), (102, Some("Broker ID 1 is not currently registered".to_owned())));
    house.wait(10_000);
}

#[test]
fn blocks_of_producer_ids() {
    let mut house = House::of(&[1, 2]);
    let mut allocate = |broker: i32, stale: i64| {
        let broker_epoch = house.broker(broker).epoch - stale;
        let request = AllocateProducerIdsRequest { broker_id: broker, broker_epoch };
        match house.ask(ControllerRequest::AllocateProducerIds(request)) {
            ControllerResponse::AllocateProducerIds(response) => {
                (response.error_code, response.producer_id_start, response.producer_id_len)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(allocate(1, 0), (0, 0, 1_000));
    assert_eq!(allocate(2, 0), (0, 1_000, 1_000));
    assert_eq!(allocate(1, 1).0, ErrorCode::StaleBrokerEpoch.code());
    assert_eq!(house.image().next_producer_id, Some(2_000));
}

#[test]
fn replicas_are_assigned_to_directories() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1, 2], &[2]]);
    let assign = |house: &mut House, directory: Uuid, index: i32| {
        let partitions = vec![PartitionData { partition_index: index }];
        let topics = vec![TopicData { topic_id: TOPIC, partitions }];
        let request = AssignReplicasToDirsRequest {
            broker_id: 1,
            broker_epoch: house.broker(1).epoch,
            directories: vec![DirectoryData { id: directory, topics }],
        };
        match house.ask(ControllerRequest::AssignReplicasToDirs(request)) {
            ControllerResponse::AssignReplicasToDirs(response) => {
                response.directories[0].topics[0].partitions[0].error_code
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(assign(&mut house, directory(1), 1), ErrorCode::NotLeaderOrFollower.code());
    assert_eq!(assign(&mut house, directory(1), 2), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(assign(&mut house, directory(1), 0), 0);
    assert_eq!(house.shape(0), "1 [1, 2] []");
    assert_eq!(assign(&mut house, DIRECTORY_LOST, 0), 0);
    assert_eq!(house.partition(0).directories, [DIRECTORY_LOST, directory(2)]);
    assert_eq!(house.shape(0), "2 [2] []", "a replica in a directory that is offline is not in sync");
}

#[test]
fn brokers_configure_themselves() {
    use ottla_protocol::messages::incremental_alter_configs_request::{
        AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    };

    let mut house = House::of(&[1, 2]);
    let mut set = |broker: &str| {
        let config = AlterableConfig {
            name: "num.replica.fetchers".into(),
            config_operation: 0,
            value: Some("2".into()),
        };
        let resource =
            AlterConfigsResource { resource_type: 4, resource_name: broker.into(), configs: vec![config] };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        match house.ask(ControllerRequest::IncrementalAlterConfigs(request)) {
            ControllerResponse::IncrementalAlterConfigs(response) => response.responses[0].error_code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((set("2"), set("3")), (0, ErrorCode::InvalidRequest.code()));
    assert_eq!(house.image().broker_configs(2).len(), 1);
}
