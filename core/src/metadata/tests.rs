//! Every record type: what it does to the image, and that a snapshot keeps it.

use ottla_protocol::records::metadata::*;
use ottla_protocol::{Bytes, Str, Uuid};

use super::topics::{DIRECTORY_MIGRATING, NO_LEADER_CHANGE};
use super::*;

const T1: Uuid = Uuid::from_u128(101);
const DIR: Uuid = Uuid::from_u128(7_000_000);

fn replayed(records: &[MetadataRecord]) -> MetadataImage {
    let mut image = MetadataImage::empty("cluster");
    for record in records {
        image.replay(record).expect("the record follows");
    }
    image
}

/// Replays, snapshots through bytes, and replays again.
fn assert_kept(records: &[MetadataRecord]) -> MetadataImage {
    let image = replayed(records);
    let version = image.features.metadata_version();
    let snapshot = image.to_records();
    let bytes: Vec<Bytes> =
        snapshot.iter().map(|one| record::encode(one, version).expect("it encodes")).collect();
    let decoded: Vec<_> =
        bytes.into_iter().map(|one| MetadataRecord::decode(one).expect("it decodes").0).collect();
    assert_eq!(decoded, snapshot, "records through bytes");
    let again = replayed(&decoded);
    assert_eq!(again, image, "snapshot(load(x)) == x");
    assert_eq!(again.to_records(), snapshot, "the same snapshot again");
    assert!(image != replayed(&[level(METADATA, 30)]), "the record left something to keep");
    image
}

const METADATA: &str = "metadata.version";

fn level(name: &str, feature_level: i16) -> MetadataRecord {
    FeatureLevelRecord { name: name.into(), feature_level }.into()
}

fn with(records: impl IntoIterator<Item = MetadataRecord>) -> Vec<MetadataRecord> {
    std::iter::once(level(METADATA, 30)).chain(records).collect()
}

fn topic(name: &str, topic_id: Uuid) -> MetadataRecord {
    TopicRecord { name: name.into(), topic_id }.into()
}

fn partition(topic_id: Uuid, partition_id: i32) -> PartitionRecord {
    PartitionRecord {
        partition_id,
        topic_id,
        replicas: vec![1, 2, 3],
        isr: vec![1, 2],
        leader: 1,
        leader_epoch: 4,
        partition_epoch: 9,
        directories: vec![DIR, Uuid::from_u128(7_000_001), Uuid::from_u128(7_000_002)],
        eligible_leader_replicas: Some(vec![3]),
        last_known_elr: Some(vec![2]),
        ..Default::default()
    }
}

fn broker(broker_id: i32, broker_epoch: i64) -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker_id,
        broker_epoch,
        incarnation_id: Uuid::from_u128(5),
        end_points: vec![register_broker_record::BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: vec![register_broker_record::BrokerFeature {
            name: METADATA.into(),
            min_supported_version: 7,
            max_supported_version: 30,
        }],
        rack: Some("r1".into()),
        fenced: true,
        log_dirs: vec![DIR],
        cordoned_log_dirs: Some(vec![]),
        ..Default::default()
    }
}

#[test]
fn features() {
    let image = assert_kept(&with([level("eligible.leader.replicas.version", 1), level("group.version", 1)]));
    assert_eq!(image.features().level("group.version"), 1);
    assert_eq!(image.features().level(METADATA), 30);
    assert!(image.features().unsupported().is_some(), "group.version is not built");
    let removed = replayed(&with([level("group.version", 1), level("group.version", 0)]));
    assert_eq!(removed.features().unsupported(), None);
    let mut image = MetadataImage::empty("");
    assert!(image.replay(&level(METADATA, 31)).is_err());
    assert!(image.replay(&level("nobody.knows", 1)).is_err());
    assert!(image.replay(&level("transaction.version", 3)).is_err());
}

#[test]
fn brokers() {
    let image = assert_kept(&with([broker(1, 13).into(), broker(2, 14).into()]));
    assert_eq!(image.unfenced_brokers().count(), 0);
    let change = |fenced, in_controlled_shutdown| {
        BrokerRegistrationChangeRecord {
            broker_id: 1,
            broker_epoch: 13,
            fenced,
            in_controlled_shutdown,
            ..Default::default()
        }
        .into()
    };
    let image = assert_kept(&with([broker(1, 13).into(), change(-1, 0), change(0, 1)]));
    assert!(image.broker(1).is_some_and(|broker| !broker.fenced && broker.in_controlled_shutdown));
    let unfenced = UnfenceBrokerRecord { id: 1, epoch: 13 };
    let fenced = FenceBrokerRecord { id: 1, epoch: 13 };
    assert_kept(&with([broker(1, 13).into(), unfenced.clone().into()]));
    assert_kept(&with([broker(1, 13).into(), unfenced.into(), fenced.into()]));
    let mut image = replayed(&with([broker(1, 13).into()]));
    assert_eq!(
        image.replay(&UnfenceBrokerRecord { id: 1, epoch: 12 }.into()),
        Err(ReplayError::UnknownBroker(1, 12))
    );
    image
        .replay(&UnregisterBrokerRecord { broker_id: 1, broker_epoch: 13 }.into())
        .expect("it is registered");
    assert_eq!(image.brokers().count(), 0);
}

#[test]
fn broker_directories() {
    let change = BrokerRegistrationChangeRecord {
        broker_id: 1,
        broker_epoch: 13,
        log_dirs: vec![Uuid::from_u128(9), Uuid::from_u128(8)],
        cordoned_log_dirs: Some(vec![Uuid::from_u128(8)]),
        ..Default::default()
    };
    let image = assert_kept(&with([broker(1, 13).into(), change.into()]));
    let broker = image.broker(1).expect("it is registered");
    assert_eq!(broker.directories, [Uuid::from_u128(8), Uuid::from_u128(9)]);
    assert_eq!(broker.cordoned_directories.as_deref(), Some(&[Uuid::from_u128(8)][..]));
}

#[test]
fn controllers() {
    let record = RegisterControllerRecord {
        controller_id: 3,
        incarnation_id: Uuid::from_u128(6),
        zk_migration_ready: false,
        end_points: vec![register_controller_record::ControllerEndpoint {
            name: "CONTROLLER".into(),
            host: "localhost".into(),
            port: 9093,
            security_protocol: 0,
        }],
        features: vec![register_controller_record::ControllerFeature {
            name: "kraft.version".into(),
            min_supported_version: 0,
            max_supported_version: 1,
        }],
    };
    let image = assert_kept(&with([record.into()]));
    assert_eq!(image.controllers().map(|controller| controller.id).collect::<Vec<_>>(), [3]);
}

#[test]
fn topics_and_partitions() {
    let records = with([topic("a", T1), partition(T1, 0).into(), partition(T1, 1).into()]);
    let image = assert_kept(&records);
    assert_eq!(image.topic("a").map(|topic| topic.partitions.size()), Some(2));
    assert_eq!(image.partition(T1, 1).and_then(|one| one.directory(1)), Some(DIR));
    let mut image = image;
    assert_eq!(image.replay(&topic("a", Uuid::from_u128(102))), Err(ReplayError::TopicExists("a".into())));
    let set = ConfigRecord {
        resource_type: 2,
        resource_name: "a".into(),
        name: "retention.ms".into(),
        value: Some("1".into()),
    };
    image.replay(&set.into()).expect("a config");
    image.replay(&RemoveTopicRecord { topic_id: T1 }.into()).expect("it exists");
    assert_eq!(image, replayed(&with([])), "nothing of it is left, its configuration neither");
    assert_eq!(image.replay(&partition(T1, 0).into()), Err(ReplayError::UnknownTopicId(T1)));
}

#[test]
fn partition_changes() {
    let change = |change: PartitionChangeRecord| -> MetadataRecord {
        PartitionChangeRecord { topic_id: T1, partition_id: 0, ..change }.into()
    };
    let before = with([topic("a", T1), partition(T1, 0).into()]);
    let with_change = |record: MetadataRecord| {
        let image = assert_kept(&[&before[..], &[record]].concat());
        image.partition(T1, 0).cloned().expect("it exists")
    };
    let led =
        with_change(change(PartitionChangeRecord { leader: 2, isr: Some(vec![2]), ..Default::default() }));
    assert_eq!((led.leader, led.leader_epoch, led.partition_epoch), (2, 5, 10));
    let shrunk = with_change(change(PartitionChangeRecord {
        isr: Some(vec![1]),
        leader: NO_LEADER_CHANGE,
        leader_recovery_state: 1,
        ..Default::default()
    }));
    assert_eq!((shrunk.leader, shrunk.leader_epoch, shrunk.partition_epoch), (1, 4, 10));
    assert_eq!(shrunk.leader_recovery_state, 1);
    let moving = with_change(change(PartitionChangeRecord {
        replicas: Some(vec![1, 4]),
        directories: Some(vec![DIR, Uuid::from_u128(99)]),
        adding_replicas: Some(vec![4]),
        removing_replicas: Some(vec![2, 3]),
        eligible_leader_replicas: Some(vec![]),
        last_known_elr: Some(vec![]),
        ..Default::default()
    }));
    assert!(moving.is_reassigning() && moving.elr.is_empty());
    assert_eq!(moving.directory(4), Some(Uuid::from_u128(99)));
    let mut image = replayed(&before);
    let elsewhere = PartitionChangeRecord { topic_id: T1, partition_id: 5, ..Default::default() };
    assert_eq!(image.replay(&elsewhere.into()), Err(ReplayError::UnknownPartition(T1, 5)));
}

#[test]
fn partitions_without_directories_are_migrating() {
    let record = PartitionRecord { directories: vec![], ..partition(T1, 0) };
    let image = replayed(&[level(METADATA, 7), topic("a", T1), record.into()]);
    assert_eq!(image.partition(T1, 0).map(|one| one.directories.clone()), Some(vec![DIRECTORY_MIGRATING; 3]));
    let snapshot = image.to_records();
    assert!(
        snapshot
            .iter()
            .any(|one| matches!(one, MetadataRecord::Partition(one) if one.directories.is_empty()))
    );
}

#[test]
fn clearing_eligible_leader_replicas() {
    let clear = |name: &str| -> MetadataRecord { ClearElrRecord { topic_name: name.into() }.into() };
    for name in ["a", ""] {
        let image = assert_kept(&with([topic("a", T1), partition(T1, 0).into(), clear(name)]));
        let partition = image.partition(T1, 0).expect("it exists");
        assert!(partition.elr.is_empty() && partition.last_known_elr.is_empty());
        assert_eq!(partition.partition_epoch, 10);
    }
    assert_eq!(replayed(&with([])).replay(&clear("a")), Err(ReplayError::UnknownTopic("a".into())));
}

#[test]
fn configs() {
    let set = |resource_type, resource_name: &str, name: &str, value: Option<&str>| -> MetadataRecord {
        ConfigRecord {
            resource_type,
            resource_name: resource_name.into(),
            name: name.into(),
            value: value.map(Str::from),
        }
        .into()
    };
    let image = assert_kept(&with([
        set(2, "a", "retention.ms", Some("1")),
        set(2, "a", "retention.ms", Some("2")),
        set(4, "1", "log.cleaner.threads", Some("")),
        set(4, "", "min.insync.replicas", Some("1")),
        set(32, "g", "consumer.session.timeout.ms", Some("45000")),
        set(16, "m", "interval.ms", Some("100")),
    ]));
    assert_eq!(image.topic_configs("a").get("retention.ms").map(|value| &**value), Some("2"));
    assert_eq!(image.broker_configs(1).len(), 1);
    assert_eq!(image.cluster_configs().len(), 1);
    assert_eq!(image.group_configs("g").len(), 1);
    let unset = replayed(&with([set(2, "a", "retention.ms", Some("1")), set(2, "a", "retention.ms", None)]));
    assert_eq!(unset, replayed(&with([])), "an empty resource is none");
}

#[test]
fn client_quotas() {
    let set = |name: Option<&str>, value, remove| -> MetadataRecord {
        let entity = |kind: &str, name: Option<&str>| client_quota_record::EntityData {
            entity_type: kind.into(),
            entity_name: name.map(Str::from),
        };
        ClientQuotaRecord {
            entity: vec![entity("user", name), entity("client-id", None)],
            key: "producer_byte_rate".into(),
            value,
            remove,
        }
        .into()
    };
    assert_kept(&with([set(Some("alice"), 1024.5, false), set(None, 7.0, false)]));
    let removed = replayed(&with([set(None, 7.0, false), set(None, 0.0, true)]));
    assert_eq!(removed, replayed(&with([])));
}

#[test]
fn producer_ids() {
    let block = ProducerIdsRecord { broker_id: 1, broker_epoch: 13, next_producer_id: 1000 };
    assert_eq!(assert_kept(&with([block.into()])).next_producer_id, Some(1000));
}

#[test]
fn acls() {
    let acl = AccessControlEntryRecord {
        id: Uuid::from_u128(55),
        resource_type: 2,
        resource_name: "a".into(),
        pattern_type: 3,
        principal: "User:alice".into(),
        host: "*".into(),
        operation: 3,
        permission_type: 3,
    };
    let mut image = assert_kept(&with([acl.into()]));
    let remove = RemoveAccessControlEntryRecord { id: Uuid::from_u128(55) };
    image.replay(&remove.clone().into()).expect("it is there");
    assert_eq!(image.replay(&remove.into()), Err(ReplayError::UnknownAcl(Uuid::from_u128(55))));
}

#[test]
fn scram_credentials() {
    let credential = UserScramCredentialRecord {
        name: "alice".into(),
        mechanism: 1,
        salt: Bytes::from_static(b"salt"),
        stored_key: Bytes::from_static(b"stored"),
        server_key: Bytes::from_static(b"server"),
        iterations: 4096,
    };
    let mut image = assert_kept(&with([credential.into()]));
    assert!(!format!("{image:?}").contains("stored"), "secrets stay out of logs");
    let remove = |mechanism| RemoveUserScramCredentialRecord { name: "alice".into(), mechanism }.into();
    assert!(image.replay(&remove(2)).is_err());
    image.replay(&remove(1)).expect("it is there");
}

#[test]
fn delegation_tokens() {
    let token = DelegationTokenRecord {
        owner: "User:alice".into(),
        requester: "User:bob".into(),
        renewers: vec!["User:carol".into()],
        issue_timestamp: 1,
        max_timestamp: 3,
        expiration_timestamp: 2,
        token_id: "t".into(),
    };
    let mut image = assert_kept(&with([token.into()]));
    image.replay(&RemoveDelegationTokenRecord { token_id: "t".into() }.into()).expect("it is there");
    assert_eq!(image, replayed(&with([])));
}

#[test]
fn records_that_leave_nothing() {
    let image = replayed(&with([NoOpRecord::default().into(), ZkMigrationStateRecord::default().into()]));
    assert_eq!(image, replayed(&with([])));
}

#[test]
fn transactions_publish_at_their_end() {
    let begin = || MetadataRecord::from(BeginTransactionRecord { name: Some("bootstrap".into()) });
    let end = || MetadataRecord::from(EndTransactionRecord::default());
    let abort = || MetadataRecord::from(AbortTransactionRecord::default());
    let mut state = MetadataState::new(MetadataImage::empty(""));
    state.replay(&begin()).expect("none is open");
    state.replay(&topic("a", T1)).expect("a topic");
    assert!(state.image().topic("a").is_none() && state.tip().topic("a").is_some());
    assert!(state.replay(&begin()).is_err(), "they do not nest");
    state.replay(&abort()).expect("one is open");
    assert!(state.tip().topic("a").is_none());
    state.replay(&begin()).expect("none is open");
    state.replay(&topic("b", T1)).expect("a topic");
    state.replay(&end()).expect("one is open");
    assert!(state.image().topic("b").is_some());
    assert!(state.replay(&end()).is_err() && state.replay(&abort()).is_err());
}

#[test]
fn deltas_name_what_changed() {
    let gone = Uuid::from_u128(103);
    let before = replayed(&with([topic("a", T1), partition(T1, 0).into(), topic("gone", gone)]));
    let records = [
        PartitionChangeRecord { topic_id: T1, partition_id: 0, leader: 2, ..Default::default() }.into(),
        RemoveTopicRecord { topic_id: gone }.into(),
        topic("new", Uuid::from_u128(104)),
        topic("brief", Uuid::from_u128(105)),
        RemoveTopicRecord { topic_id: Uuid::from_u128(105) }.into(),
        broker(1, 13).into(),
    ];
    let mut after = before.clone();
    for record in &records {
        after.replay(record).expect("it follows");
    }
    let delta = MetadataDelta::between(&before, &after, &records);
    assert_eq!(delta.topics_created.iter().copied().collect::<Vec<_>>(), [Uuid::from_u128(104)]);
    assert_eq!(delta.topics_deleted.get(&gone).map(|name| &**name), Some("gone"));
    assert_eq!(delta.partitions_changed.len(), 1);
    assert!(delta.brokers_changed.contains(&1) && !delta.features_changed);
}

#[test]
fn versions_of_records() {
    let version = |change: BrokerRegistrationChangeRecord| {
        let bytes = record::encode(&change.into(), MetadataVersion::LATEST).expect("it encodes");
        MetadataRecord::decode(bytes).expect("it decodes").1
    };
    assert_eq!(version(BrokerRegistrationChangeRecord { fenced: -1, ..Default::default() }), 0);
    assert_eq!(
        version(BrokerRegistrationChangeRecord { in_controlled_shutdown: 1, ..Default::default() }),
        1
    );
    assert_eq!(version(BrokerRegistrationChangeRecord { log_dirs: vec![DIR], ..Default::default() }), 2);
    assert_eq!(
        version(BrokerRegistrationChangeRecord { cordoned_log_dirs: Some(vec![]), ..Default::default() }),
        3
    );
}
