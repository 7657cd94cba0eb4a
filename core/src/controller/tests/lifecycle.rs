//! Durability, epochs, snapshots, and what a node refuses to open.

use ottla_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use ottla_protocol::messages::{DescribeQuorumRequest, UnregisterBrokerRequest};
use ottla_protocol::records::MetadataRecord;

use super::*;
use crate::log::{LogStore as _, StoreError};
use crate::metadata::MetadataState;
use crate::quorum::{QuorumState, SnapshotId};
use crate::sim::{SimDisk, Trouble};

#[test]
fn a_new_node_is_formatted_and_registered() {
    let mut world = World::new();
    let first = world.published.first().expect("an image").clone();
    let broker = first.image.broker(1).expect("it is registered");
    assert!(!broker.fenced && broker.directories.len() == 1);
    assert_eq!(broker.endpoint("PLAINTEXT").map(|endpoint| endpoint.port), Some(9092));
    assert_eq!(first.image.controllers().count(), 1);
    assert_eq!(first.image.features().level("metadata.version"), 30);
    assert_eq!(first.image.features().level("eligible.leader.replicas.version"), 1);
    assert_eq!(first.image.features().level("transaction.version"), 0);
    assert!(first.delta.brokers_changed.contains(&1));
    assert!(world.high_watermark() < world.end_offset());
    world.sync();
    assert_eq!(world.high_watermark(), world.end_offset());
    for file in ["meta.properties", "bootstrap.checkpoint", "__cluster_metadata-0/quorum-state"] {
        assert!(world.store.open(&format!("./data/{file}")).is_ok(), "{file}");
    }
}

#[test]
fn answers_wait_for_the_disk() {
    let mut world = World::new();
    world.sync();
    world.published.clear();
    let create = |name: &str| {
        let topics = vec![topic(name, 1)];
        ControllerRequest::CreateTopics(CreateTopicsRequest { topics, ..CreateTopicsRequest::default() })
    };
    world.submit(create("a"));
    world.submit(create("b"));
    world.submit(create("a"));
    assert!(world.answers.is_empty() && world.published.is_empty());
    assert_eq!(world.waiting.len(), 1, "one sync at a time");
    let token = world.waiting.pop().expect("a sync");
    world.handle(ControllerEvent::Synced { token, outcome: SyncOutcome::Done });
    assert_eq!(world.answers.len(), 1, "only the first was written when the sync began");
    assert!(world.image().topic("a").is_some() && world.image().topic("b").is_none());
    world.sync();
    assert_eq!(world.answers.len(), 3);
    let codes: Vec<_> = world
        .answers
        .iter()
        .map(|answer| match answer {
            ControllerResponse::CreateTopics(response) => {
                response.topics.iter().map(|topic| topic.error_code).sum()
            }
            _ => -1,
        })
        .collect();
    assert_eq!(codes, [0, 0, 36], "the third saw the tip");
    assert_eq!(world.published.len(), 2);
}

#[test]
fn a_failed_sync_stops_the_node() {
    let mut world = World::new();
    let token = world.waiting.pop().expect("a sync");
    world.handle(ControllerEvent::Synced { token, outcome: SyncOutcome::Failed("EIO".to_owned()) });
    assert!(world.halted.is_some_and(|reason| reason.contains("EIO")));
}

#[test]
fn a_restart_finds_everything_and_begins_an_epoch() {
    let mut world = World::new();
    world.create(vec![topic("a", 3)], false);
    let (epoch, cluster_id) = (world.controller.quorum().epoch(), world.image().cluster_id.clone());
    let (topic_id, broker_epoch) =
        (world.image().topic("a").expect("it exists").id, world.image().broker(1).expect("registered").epoch);
    let mut world = world.restart();
    world.sync();
    let image = &world.published.first().expect("an image").image;
    assert_eq!(world.controller.quorum().epoch(), epoch + 1);
    assert_eq!(image.cluster_id, cluster_id);
    let partition = image.partition(topic_id, 2).expect("it is there");
    assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (1, 1, 1));
    assert!(image.broker(1).is_some_and(|broker| !broker.fenced && broker.epoch > broker_epoch));
    let mut store = world.store;
    let state = store.read("./data/__cluster_metadata-0/quorum-state").expect("it is there");
    let state = QuorumState::parse(&String::from_utf8_lossy(&state)).expect("it is whole");
    assert_eq!(state, QuorumState::leader(1, epoch + 1));
}

#[test]
fn unsynced_records_may_be_torn() {
    let mut world = World::new();
    world.create(vec![topic("kept", 1)], false);
    let path = "./data/__cluster_metadata-0/00000000000000000000.log";
    let file = world.store.open(path).expect("the log");
    let whole = world.store.len(&file).expect("its length");
    let topics = vec![topic("torn", 1)];
    let create = CreateTopicsRequest { topics, ..CreateTopicsRequest::default() };
    world.submit(ControllerRequest::CreateTopics(create));
    assert!(world.store.len(&file).expect("its length") > whole);
    world.store.truncate(&file, whole + 70).expect("it is cut");
    let world = world.restart();
    assert!(world.image().topic("kept").is_some() && world.image().topic("torn").is_none());
}

#[test]
fn snapshots() {
    let small = config(&[("metadata.log.max.record.bytes.between.snapshots", "2000")]);
    let mut world = World::open(MemoryStore::new(), small).expect("it opens");
    for number in 0..60 {
        world.create(vec![topic(&format!("t{number}"), 2)], false);
    }
    let entries = world.store.list("./data/__cluster_metadata-0").expect("the directory");
    let snapshots: Vec<_> = entries.iter().filter_map(|entry| SnapshotId::parse(&entry.name)).collect();
    assert_eq!(snapshots.len(), 2, "older ones went: {entries:?}");
    let before = world.image().clone();
    let mut state = MetadataState::new(MetadataImage::empty(before.cluster_id.clone()));
    for record in before.to_records() {
        state.replay(&record).expect("it follows");
    }
    assert_eq!(*state.image(), before);
    let world = world.restart();
    assert_eq!(world.image().topics.by_name, before.topics.by_name);
    assert_eq!(world.image().configs, before.configs);
}

#[test]
fn producer_ids_are_given_once() {
    let mut world = World::new();
    let next = |world: &mut World| match world.ask(ControllerRequest::NextProducerId) {
        ControllerResponse::NextProducerId(producer_id) => producer_id,
        other => panic!("{other:?}"),
    };
    let first: Vec<_> = (0..1_002).map(|_| next(&mut world)).collect();
    assert_eq!((first.first(), first.last()), (Some(&0), Some(&1_001)));
    assert!(first.is_sorted_by(|one, other| one < other));
    assert_eq!(world.image().next_producer_id, Some(2_000));
    let mut world = world.restart();
    assert_eq!(next(&mut world), 2_000);
}

#[test]
fn describing_the_quorum() {
    let mut world = World::new();
    let partition = |name: &str, partition_index| TopicData {
        topic_name: name.into(),
        partitions: vec![PartitionData { partition_index }],
    };
    let mut describe = |topics: Vec<TopicData>| world.describe_quorum(DescribeQuorumRequest { topics });
    let response = describe(vec![partition("__cluster_metadata", 0)]);
    let own = response.topics.iter().flat_map(|topic| &topic.partitions).next().expect("described");
    assert_eq!((own.leader_id, own.leader_epoch), (1, 1));
    assert_eq!(own.current_voters.iter().map(|voter| voter.replica_id).collect::<Vec<_>>(), [1]);
    assert_eq!(response.nodes.iter().map(|node| node.node_id).collect::<Vec<_>>(), [1]);
    let response = describe(vec![partition("foo", 0)]);
    let other = response.topics.iter().flat_map(|topic| &topic.partitions).next().expect("described");
    assert_eq!((other.error_code, response.nodes.len()), (3, 0));
    assert_eq!(own.high_watermark, world.high_watermark());
}

#[test]
fn what_does_not_belong_here_is_refused() {
    let mut world = World::new();
    world.sync();
    let refused = |store: &MemoryStore, settings: &[(&str, &str)]| {
        World::open(store.clone(), config(settings)).err().map(|error| error.to_string()).expect("a refusal")
    };
    assert!(refused(&world.store, &[("node.id", "2")]).contains("node.id=1"));
    let mut mixed = world.store.clone();
    mixed.create_dir("./other").expect("a directory");
    let properties = b"version=1\ncluster.id=another\nnode.id=1\n";
    mixed.write_replacing("./other/meta.properties", properties).expect("it is written");
    assert!(refused(&mixed, &[("log.dirs", "./data,./other")]).contains("belongs to the cluster"));
}

#[test]
fn a_directory_that_comes_later_gets_an_id() {
    let world = World::new();
    let mut store = world.store;
    let two = config(&[("log.dirs", "./data,./more")]);
    let world = World::open(store.clone(), two).expect("it opens");
    assert_eq!(world.image().broker(1).map(|broker| broker.directories.len()), Some(2));
    assert_eq!(store.read("./more/meta.properties"), Err(StoreError::NotFound));
}

#[test]
fn unknown_records_and_features_stop_the_node() {
    use ottla_protocol::records::metadata::FeatureLevelRecord;

    let mut world = World::new();
    world.sync();
    let write = |records: &[MetadataRecord]| {
        let mut store = world.store.clone();
        append_to_log(&mut store, records);
        World::open(store, world.config.clone()).err().map(|error| error.to_string())
    };
    let group: MetadataRecord = FeatureLevelRecord { name: "group.version".into(), feature_level: 1 }.into();
    assert!(
        write(&[group]).is_some_and(|reason| reason.contains("group.version") && reason.contains("level 1"))
    );
    let future: MetadataRecord =
        FeatureLevelRecord { name: "metadata.version".into(), feature_level: 31 }.into();
    assert!(write(&[future]).is_some_and(|reason| reason.contains("at offset") && reason.contains("31")));
}

#[test]
fn a_restart_adds_the_log_to_the_snapshot() {
    let small = config(&[("metadata.log.max.record.bytes.between.snapshots", "3000")]);
    let mut world = World::open(MemoryStore::new(), small).expect("it opens");
    for life in 0..3 {
        for number in 0..20 {
            world.create(vec![topic(&format!("t{life}-{number}"), 3)], false);
            let before = world.image().topics.by_name.clone();
            let again = World::open(world.store.clone(), world.config.clone()).expect("it opens");
            assert_eq!(again.image().topics.by_name, before, "life {life}, topic {number}");
        }
        world = world.restart();
    }
}

#[test]
fn a_snapshot_waits_until_what_it_speaks_of_is_committed() {
    let mut world = World::new();
    for number in 0..10 {
        world.create(vec![topic(&format!("t{number}"), 3)], false);
    }
    let small = config(&[("metadata.log.max.record.bytes.between.snapshots", "1000")]);
    let mut again = World::open(world.store.clone(), small).expect("it opens");
    let snapshots = |world: &mut World| {
        let entries = world.store.list("./data/__cluster_metadata-0").expect("the directory");
        entries.iter().filter_map(|entry| SnapshotId::parse(&entry.name)).collect::<Vec<_>>()
    };
    let before = snapshots(&mut again);
    again.handle(ControllerEvent::Tick);
    assert_eq!(snapshots(&mut again), before, "the start of the epoch is not synced");
    again.sync();
    assert!(snapshots(&mut again).last().is_some_and(|id| id.end_offset == again.controller.opened_up_to));
}

#[test]
fn what_was_written_before_the_disk_was_full_is_synced() {
    let mut world = World::open(SimDisk::with_directory("./data"), config(&[])).expect("it opens");
    for name in ["a", "b"] {
        assert_eq!(world.create(vec![topic(name, 6_000)], false), [(name.to_owned(), 0, None)]);
    }
    let before = world.end_offset();
    // One write of 10,000 records, and not the rest.
    world.store.trouble(0, Some(Trouble::Full(600_000)));
    world.submit(ControllerRequest::UnregisterBroker(UnregisterBrokerRequest { broker_id: 1 }));
    assert_eq!(world.halted, None);
    assert_eq!(world.end_offset(), before + 10_000);
    assert_eq!(world.waiting.len(), 1, "what was written is on its way to the disk");
    world.store.trouble(0, None);
    world.sync();
    assert_eq!(world.high_watermark(), world.end_offset());
    world.create(vec![topic("c", 1)], false);
    assert!(world.image().topic("c").is_some());
}

#[test]
fn lost_brokers_are_news_where_news_comes_fast() {
    for (enable, expected) in [("true", vec![2]), ("false", vec![])] {
        let settings = [("ottla.broker.fast.fencing.enable", enable)];
        let mut world = World::open(MemoryStore::new(), config(&settings)).expect("it opens");
        world.sync();
        world.handle(ControllerEvent::Lost(2));
        let lost = world.published.last().map(|published| published.lost.keys().copied().collect());
        assert_eq!(lost, Some(expected), "{enable}");
    }
}
