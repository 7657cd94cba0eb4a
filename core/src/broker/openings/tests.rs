//! A shard whose partitions were there before it.

use std::io::IoSlice;

use bytes::Bytes;
use ottla_protocol::records::metadata::{PartitionRecord, TopicRecord};
use ottla_protocol::{ErrorCode, Uuid};

use super::*;
use crate::broker::data::{DataRequest, DataResponse, Isolation, ListOffsetsPart, ProducePart};
use crate::broker::{ConnectionEvent, Message, Shard, ShardEvent};
use crate::coordinator::Token;
use crate::coordinator::group::{GroupRequest, GroupResponse};
use crate::ids::{ConnectionId, LogDirId, ShardId};
use crate::log::MemoryStore;
use crate::log::log_dirs::{LogDirs, LogDirsEvent};
use crate::machine::{Effect, Effects, Machine as _, SyncOutcome};
use crate::metadata::{MetadataDelta, Published};
use crate::record::{BatchBuilder, BatchOptions, Compressors};
use crate::rng::Rng;
use crate::sim::{SimDisk, Trouble};
use crate::small_map::{SmallMap, SmallSet};
use crate::time::{Instant, Now};
use crate::trace::Traces;

const TOPIC_ID: Uuid = Uuid([7; 16]);
const PARTITIONS: i32 = 3;

fn id(partition: i32) -> TopicIdPartition {
    TopicIdPartition { topic_id: TOPIC_ID, partition }
}

/// A node's disk, and the shard of the life that it is in.
struct World<S: LogStore = MemoryStore> {
    config: Arc<BrokerConfig>,
    published: Arc<Published>,
    store: S,
    shard: Shard<S>,
    now: Now,
}

impl World {
    /// A topic that this node has just created.
    fn new(topic: &str) -> Self {
        Self::of(topic, PARTITIONS)
    }

    fn of(topic: &str, partitions: i32) -> Self {
        World::on(MemoryStore::new(), topic, partitions)
    }
}

impl<S: LogStore> World<S> {
    fn on(store: S, topic: &str, partitions: i32) -> Self {
        let config = Arc::new(BrokerConfig {
            node_id: 1,
            ottla_shards: 1,
            log_dirs: vec!["data".to_owned()],
            ottla_log_reserve_bytes: 0,
            ..BrokerConfig::default()
        });
        let mut image = MetadataImage::default();
        image.replay(&TopicRecord { name: topic.into(), topic_id: TOPIC_ID }.into()).unwrap();
        for partition_id in 0..partitions {
            let record = PartitionRecord {
                partition_id,
                topic_id: TOPIC_ID,
                replicas: vec![1],
                isr: vec![1],
                leader: 1,
                leader_epoch: 0,
                ..PartitionRecord::default()
            };
            image.replay(&record.into()).unwrap();
        }
        let published = Published::first(image, 1, 1, 0);
        let shard =
            Shard::new(ShardId(0), 1, config.clone(), Some(Arc::default()), Instant(0), Rng::from_seed(1));
        let mut world = Self { config, published, store, shard, now: Now::default() };
        world.restart();
        world
    }

    /// Another process begins on the same disk.
    fn restart(&mut self) {
        let config = self.config.clone();
        let (_, checkpoints) = self.with(|_, cx| LogDirs::open(cx, &config)).unwrap();
        let (checkpoints, rng) = (Arc::new(checkpoints), Rng::from_seed(1));
        self.shard = Shard::new(ShardId(0), 1, config, Some(checkpoints), Instant(0), rng);
        self.handle(ShardEvent::Metadata(self.published.clone()));
    }

    /// What a clean stop leaves.
    fn stop_cleanly(&mut self) {
        self.checkpoint();
        self.store.write_replacing("data/.kafka_cleanshutdown", b"").unwrap();
    }

    /// As if everything had been synced up to where it is now.
    fn checkpoint(&mut self) {
        let offsets = self.shard.offsets();
        let lines = offsets
            .iter()
            .map(|it| format!("{} {} {}\n", it.partition.topic, it.partition.partition, it.high_watermark));
        let text = format!("0\n{}\n{}", offsets.len(), lines.collect::<String>());
        for (name, text) in
            [("recovery-point-offset-checkpoint", text.as_str()), ("replication-offset-checkpoint", &text)]
        {
            self.store.write_replacing(&format!("data/{name}"), text.as_bytes()).unwrap();
        }
    }

    fn with<T>(&mut self, run: impl FnOnce(&mut Shard<S>, &mut Cx<'_, S>) -> T) -> T {
        let (compressors, mut effects, mut traces) =
            (Compressors::default(), Effects::default(), Traces::default());
        let mut cx = Cx {
            now: self.now,
            store: &mut self.store,
            compressors: &compressors,
            effects: &mut effects,
            traces: &mut traces,
        };
        run(&mut self.shard, &mut cx)
    }

    fn handle(&mut self, event: ShardEvent) -> Vec<Effect<S>> {
        self.with(|shard, cx| {
            shard.handle(cx, event);
            cx.effects.drain().collect()
        })
    }

    /// Ends the syncs that were asked for; how many there were.
    fn sync(&mut self, effects: Vec<Effect<S>>) -> usize {
        self.end_syncs(effects, &SyncOutcome::Done)
    }

    fn end_syncs(&mut self, effects: Vec<Effect<S>>, outcome: &SyncOutcome) -> usize {
        let syncs = effects.into_iter().filter_map(|effect| match effect {
            Effect::Sync { then, .. } => Some(then.token),
            _ => None,
        });
        let syncs: Vec<_> = syncs.collect();
        for token in &syncs {
            self.handle(ShardEvent::Synced { token: *token, outcome: outcome.clone() });
        }
        syncs.len()
    }

    fn ask(&mut self, request: DataRequest) -> DataResponse<S> {
        let effects = self.handle(ShardEvent::Data { token: token(), request });
        let answer = effects.into_iter().find_map(|effect| match effect {
            Effect::Tell(Message::Connection(_, ConnectionEvent::Shard { response, .. })) => Some(response),
            _ => None,
        });
        answer.expect("an answer")
    }

    fn end(&mut self, partition: i32) -> Result<i64, ErrorCode> {
        let part =
            ListOffsetsPart { index: 0, partition: id(partition), current_leader_epoch: -1, timestamp: -1 };
        let request = DataRequest::ListOffsets { parts: vec![part], isolation: Isolation::ReadUncommitted };
        let DataResponse::Offsets(answers) = self.ask(request) else { panic!("another answer") };
        answers[0].1.map(|found| found.offset)
    }

    fn produce(&mut self, partition: i32, bytes: usize) {
        let parts = vec![ProducePart { index: 0, partition: id(partition), records: records(bytes) }];
        let answer = self.ask(DataRequest::Produce {
            version: 9,
            acks: -1,
            timeout_ms: 30_000,
            may_pass_on: true,
            parts,
        });
        assert!(matches!(answer, DataResponse::Produced(answers) if answers[0].1.is_ok()));
    }

    fn open(&self) -> Vec<i32> {
        self.shard.partitions().map(|partition| partition.id().partition).collect()
    }
}

/// A batch of one record.
fn records(bytes: usize) -> Bytes {
    let mut batch = BatchBuilder::new(BatchOptions::default());
    batch.append(0, None, Some(&vec![1; bytes]), &[]);
    batch.build(&Compressors::default())
}

fn token() -> Token {
    Token { connection: ConnectionId(1), request: 1 }
}

#[test]
fn after_a_clean_stop_partitions_are_opened_when_asked_for() {
    let mut world = World::new("t");
    assert_eq!(world.open(), [0, 1, 2]);
    world.produce(1, 10);
    world.stop_cleanly();
    world.restart();
    assert_eq!(world.open(), []);
    assert_eq!(world.end(1), Ok(1));
    assert_eq!(world.open(), [1]);
    let effects = world.handle(ShardEvent::Tick);
    assert_eq!((world.sync(effects), world.open()), (0, vec![0, 1, 2]));
}

#[test]
fn after_an_unclean_stop_they_are_served_once_the_disk_has_what_recovery_did() {
    let mut world = World::new("t");
    world.produce(1, 10);
    world.restart();
    assert_eq!(world.end(1), Err(ErrorCode::NotLeaderOrFollower));
    let effects = world.handle(ShardEvent::Tick);
    // Nothing was written to the others: they end where they were synced.
    assert_eq!((world.end(0), world.end(1)), (Ok(0), Err(ErrorCode::NotLeaderOrFollower)));
    assert_eq!(world.sync(effects), 1);
    assert_eq!(world.end(1), Ok(1));
}

#[test]
fn the_disk_is_asked_once_for_what_many_recoveries_did() {
    for outcome in [SyncOutcome::Done, SyncOutcome::Failed("broken".to_owned())] {
        let mut world = World::of("t", 6);
        (0..5).for_each(|partition| world.produce(partition, 10));
        world.restart();
        let effects = world.handle(ShardEvent::Tick);
        let targets = effects.iter().filter_map(|effect| match effect {
            Effect::Sync { targets, .. } => Some(targets),
            _ => None,
        });
        let targets: Vec<_> = targets.flatten().collect();
        assert!(
            matches!(targets[..], [SyncTarget::Tree(path)] if path == "data"),
            "{} targets",
            targets.len()
        );
        world.end_syncs(effects, &outcome);
        let expected = match outcome {
            SyncOutcome::Done => Ok(1),
            SyncOutcome::Failed(_) => Err(ErrorCode::KafkaStorageError),
        };
        for partition in 0..5 {
            assert_eq!(world.end(partition), expected);
        }
        // That of which the disk knew all is not concerned.
        assert_eq!(world.end(5), Ok(0));
    }
}

#[test]
fn what_is_idle_is_synced_a_few_at_a_time_and_not_read_again() {
    let mut world = World::new("t");
    (0..3).for_each(|partition| world.produce(partition, 10));
    let syncs = |effects: &[Effect<MemoryStore>]| {
        effects.iter().filter(|effect| matches!(effect, Effect::Sync { .. })).count()
    };
    let at_s = |world: &mut World, seconds: u64| {
        world.now.monotonic = Instant(seconds * 1_000_000);
        world.handle(ShardEvent::Tick)
    };
    let effects = at_s(&mut world, 5);
    assert_eq!(syncs(&effects), 0);
    world.produce(2, 10);
    at_s(&mut world, 10);
    let effects = at_s(&mut world, 66);
    assert_eq!(world.sync(effects), 2);
    let effects = at_s(&mut world, 71);
    assert_eq!(world.sync(effects), 1);
    let synced: Vec<_> = world.shard.offsets().iter().map(|offsets| offsets.recovery_point).collect();
    assert_eq!(synced, [1, 1, 2]);
    let effects = at_s(&mut world, 300);
    assert_eq!(syncs(&effects), 0);
    world.checkpoint();
    world.restart();
    let files = world.store.list("data/t-2").unwrap();
    let effects = world.handle(ShardEvent::Tick);
    assert_eq!((syncs(&effects), world.end(2)), (0, Ok(2)));
    assert_eq!(world.store.list("data/t-2").unwrap(), files);
}

#[test]
fn a_long_recovery_leaves_turns_to_others() {
    let mut world = World::new("t");
    for _ in 0..6 {
        world.produce(0, 500_000);
    }
    world.produce(1, 10);
    world.restart();
    // Who is asked for goes first.
    assert_eq!(world.end(1), Err(ErrorCode::NotLeaderOrFollower));
    let mut turns = 0;
    while world.end(0).is_err() {
        let effects = world.handle(ShardEvent::Tick);
        world.sync(effects);
        turns += 1;
        assert_eq!(world.end(1), Ok(1), "turn {turns}");
    }
    assert!(turns >= 3, "three megabytes in {turns} turns");
    assert_eq!(world.end(0), Ok(6));
}

#[test]
fn groups_are_told_to_wait_while_their_partition_is_not_open() {
    let mut world = World::new("__consumer_offsets");
    // A recovery was interrupted: it has to be repeated.
    world.store.create("data/__consumer_offsets-0/.ottla_unsettled").unwrap();
    world.restart();
    let fetch = |world: &mut World| {
        let request = GroupRequest::OffsetFetch { group: Default::default(), require_stable: false };
        let effects = world.handle(ShardEvent::Group { token: token(), partition: 0, request });
        let code = effects.into_iter().find_map(|effect| match effect {
            Effect::Tell(Message::Connection(
                _,
                ConnectionEvent::Group { response: GroupResponse::OffsetFetch(response), .. },
            )) => Some(response.error_code),
            _ => None,
        });
        code.and_then(ErrorCode::from_code)
    };
    assert_eq!(fetch(&mut world), Some(ErrorCode::CoordinatorLoadInProgress));
    let effects = world.handle(ShardEvent::Tick);
    assert_eq!(fetch(&mut world), Some(ErrorCode::CoordinatorLoadInProgress));
    world.sync(effects);
    assert_eq!(fetch(&mut world), Some(ErrorCode::None));
}

#[test]
fn a_topic_can_be_deleted_before_it_is_open() {
    let mut world = World::new("t");
    world.restart();
    let deleted =
        MetadataDelta { topics_deleted: [(TOPIC_ID, "t".into())].into(), ..MetadataDelta::default() };
    let image = MetadataImage::default();
    let published = Published {
        image,
        delta: deleted,
        offset: 2,
        epoch: 1,
        leader_id: 1,
        kraft_version: 0,
        lost: SmallMap::new(),
    };
    world.handle(ShardEvent::Metadata(Arc::new(published)));
    let entries = world.store.list("data").unwrap();
    let going = entries.iter().filter(|entry| entry.is_dir && entry.name.ends_with("-delete"));
    assert_eq!(going.count(), 3);
    let effects = world.handle(ShardEvent::Tick);
    assert_eq!((world.sync(effects), world.open()), (0, vec![]));
}

#[test]
fn a_stop_is_as_clean_as_what_was_not_opened() {
    let unclean = |world: &mut World| {
        let told = world.handle(ShardEvent::Stop).into_iter().find_map(|effect| match effect {
            Effect::Tell(Message::LogDirs(LogDirsEvent::Stopped { unclean, .. })) => Some(unclean),
            _ => None,
        });
        told.expect("the keeper is told")
    };
    let mut world = World::new("t");
    world.restart();
    assert_eq!(unclean(&mut world), SmallSet::from([LogDirId(0)]));
    let mut world = World::new("t");
    world.stop_cleanly();
    world.restart();
    assert_eq!(unclean(&mut world), SmallSet::new());
}

#[test]
fn what_cannot_be_opened_says_so_and_is_tried_again() {
    let mut world = World::new("t");
    world.produce(0, 10);
    world.stop_cleanly();
    let path = "data/t-0/partition.metadata";
    let text = world.store.read(path).unwrap();
    world.store.write_replacing(path, b"version: 1\ntopic_id: x").unwrap();
    world.restart();
    assert_eq!(world.end(0), Err(ErrorCode::KafkaStorageError));
    world.store.remove(path).unwrap();
    let file = world.store.create(path).unwrap();
    world.store.append(&file, &[IoSlice::new(&text)]).unwrap();
    let state = crate::log::log_dirs::LogDirState::Online;
    world.handle(ShardEvent::LogDir { log_dir: LogDirId(0), state });
    assert_eq!(world.end(0), Ok(1));
}

#[test]
fn what_could_not_be_created_without_room_is_created_once_there_is_some() {
    let mut disk = SimDisk::with_directory("data");
    disk.trouble(0, Some(Trouble::Full(0)));
    let mut world = World::on(disk, "t", PARTITIONS);
    assert_eq!(world.end(0), Err(ErrorCode::KafkaStorageError));
    assert_eq!(world.open(), []);
    world.store.trouble(0, None);
    let state = crate::log::log_dirs::LogDirState::Online;
    let effects = world.handle(ShardEvent::LogDir { log_dir: LogDirId(0), state });
    world.sync(effects);
    assert_eq!((world.open(), world.end(0)), (vec![0, 1, 2], Ok(0)));
    world.produce(0, 10);
}

#[test]
fn what_could_not_be_made_durable_without_room_is_once_there_is_some() {
    let mut world = World::on(SimDisk::with_directory("data"), "t", 1);
    let config = BrokerConfig { ottla_log_sync: "batch".to_owned(), ..(*world.config).clone() };
    world.config = Arc::new(config);
    world.restart();
    let effects = world.handle(ShardEvent::Tick);
    world.sync(effects);
    // For the records, and not for the file that names their epoch.
    world.store.trouble(0, Some(Trouble::Full(72)));
    let parts = vec![ProducePart { index: 0, partition: id(0), records: records(1) }];
    let request = DataRequest::Produce { version: 9, acks: -1, timeout_ms: 30_000, may_pass_on: true, parts };
    let effects = world.handle(ShardEvent::Data { token: token(), request });
    assert!(world.sync(effects) > 0);
    assert_eq!(world.shard.offsets()[0].recovery_point, 0);
    world.store.trouble(0, None);
    let state = crate::log::log_dirs::LogDirState::Online;
    let effects = world.handle(ShardEvent::LogDir { log_dir: LogDirId(0), state });
    world.sync(effects);
    assert_eq!(world.shard.offsets()[0].recovery_point, 1);
}
