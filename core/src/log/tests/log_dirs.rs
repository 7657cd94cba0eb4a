//! The keeper of the log directories: checkpoints on schedule, and a clean stop.

use crate::broker::{Message, ShardEvent};
use crate::config::BrokerConfig;
use crate::ids::{LogDirId, ShardId, TopicPartition};
use crate::log::log_dirs::{Checkpoints, LogDirState, LogDirs, LogDirsEvent, PartitionOffsets};
use crate::log::reserve::RESERVE_FILE;
use crate::log::{LogStore as _, MemoryStore, StoreError};
use crate::machine::{Cx, Effect, Effects, Machine as _, SyncOutcome};
use crate::metadata::MetadataImage;
use crate::record::Compressors;
use crate::rng::Rng;
use crate::time::Now;
use crate::trace::Traces;
use ottla_protocol::Uuid;
use ottla_protocol::records::metadata::{PartitionRecord, TopicRecord};

use super::now;
use crate::small_map::SmallSet;

struct World {
    store: MemoryStore,
    effects: Effects<MemoryStore>,
    config: BrokerConfig,
}

impl World {
    fn new(log_dirs: &[&str]) -> Self {
        let config = BrokerConfig {
            log_dirs: log_dirs.iter().map(ToString::to_string).collect(),
            ottla_log_reserve_bytes: 0,
            ottla_shards: 2,
            ..BrokerConfig::default()
        };
        Self { store: MemoryStore::new(), effects: Effects::default(), config }
    }

    fn with<T>(&mut self, now: Now, run: impl FnOnce(&mut Cx<'_, MemoryStore>) -> T) -> T {
        let (compressors, mut traces) = (Compressors::default(), Traces::default());
        run(&mut Cx {
            now,
            store: &mut self.store,
            compressors: &compressors,
            effects: &mut self.effects,
            traces: &mut traces,
        })
    }

    /// Carries out syncs until nothing is asked for. True if the stop has ended.
    fn settle(&mut self, log_dirs: &mut LogDirs<MemoryStore>, outcome: &SyncOutcome) -> bool {
        let mut stopped = false;
        loop {
            let effects: Vec<_> = self.effects.drain().collect();
            if effects.is_empty() {
                return stopped;
            }
            for effect in effects {
                match effect {
                    Effect::Sync { then, .. } => {
                        let event = LogDirsEvent::Synced { token: then.token, outcome: outcome.clone() };
                        self.with(now(0), |cx| log_dirs.handle(cx, event));
                    }
                    Effect::Stopped => stopped = true,
                    Effect::Tell(Message::Shard(_, ShardEvent::LogDir { .. })) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// What the shards were told of the directory `d`.
    fn told(&mut self) -> Vec<(u16, LogDirState)> {
        let told = |effect| match effect {
            Effect::Tell(Message::Shard(shard, ShardEvent::LogDir { log_dir: LogDirId(0), state })) => {
                (shard.0, state)
            }
            other => panic!("{other:?}"),
        };
        self.effects.drain().map(told).collect()
    }

    fn text(&mut self, path: &str) -> String {
        self.store
            .read(path)
            .map_or_else(|error| error.to_string(), |bytes| String::from_utf8(bytes).unwrap())
    }
}

fn offsets(partition: i32) -> PartitionOffsets {
    PartitionOffsets {
        partition: TopicPartition { topic: "t".into(), partition },
        log_dir: LogDirId(0),
        recovery_point: 10,
        high_watermark: 20,
        log_start_offset: i64::from(partition),
        cleaned_up_to: (partition > 0).then_some(7),
    }
}

#[test]
fn checkpoints_follow_their_schedules() {
    let mut world = World::new(&["d"]);
    let config = world.config.clone();
    let (mut dirs, _) = world.with(now(0), |cx| LogDirs::open(cx, &config)).unwrap();
    let told = LogDirsEvent::Offsets { shard: ShardId(0), offsets: vec![offsets(0), offsets(1)] };
    world.with(now(0), |cx| dirs.handle(cx, told));
    assert_eq!(dirs.deadline(), Some(now(5_000).monotonic));
    world.with(now(5_000), |cx| dirs.handle(cx, LogDirsEvent::Tick));
    world.settle(&mut dirs, &SyncOutcome::Done);
    assert_eq!(world.text("d/replication-offset-checkpoint"), "0\n2\nt 0 20\nt 1 20\n");
    assert_eq!(world.text("d/recovery-point-offset-checkpoint"), "0\n2\nt 0 10\nt 1 10\n");
    assert_eq!(world.text("d/cleaner-offset-checkpoint"), "0\n1\nt 1 7\n");
    assert_eq!(world.text("d/log-start-offset-checkpoint"), "no such file or directory");
    world.with(now(60_000), |cx| {
        dirs.handle(cx, LogDirsEvent::Removed(offsets(0).partition));
        dirs.handle(cx, LogDirsEvent::Tick);
    });
    world.settle(&mut dirs, &SyncOutcome::Done);
    assert_eq!(world.text("d/recovery-point-offset-checkpoint"), "0\n1\nt 1 10\n");
    assert_eq!(world.text("d/log-start-offset-checkpoint"), "0\n1\nt 1 1\n");
}

#[test]
fn a_clean_stop_is_remembered_once() {
    let mut world = World::new(&["d", "e"]);
    let config = world.config.clone();
    let (mut dirs, found) = world.with(now(0), |cx| LogDirs::open(cx, &config)).unwrap();
    assert!(!found.is_clean(LogDirId(0)));
    world.store.create_dir("d/t-1").unwrap();
    for shard in 0..2 {
        assert!(!world.settle(&mut dirs, &SyncOutcome::Done));
        let offsets = vec![offsets(i32::from(shard))];
        let event = LogDirsEvent::Stopped { shard: ShardId(shard), offsets, unclean: SmallSet::new() };
        world.with(now(0), |cx| dirs.handle(cx, event));
    }
    assert!(world.settle(&mut dirs, &SyncOutcome::Done));
    for dir in ["d", "e"] {
        assert_eq!(world.text(&format!("{dir}/.kafka_cleanshutdown")), r#"{"version":0,"brokerEpoch":-1}"#);
    }
    let (_, found) = world.with(now(0), |cx| LogDirs::open(cx, &config)).unwrap();
    assert!(found.is_clean(LogDirId(0)) && found.is_clean(LogDirId(1)));
    let topic_id = Uuid([1; 16]);
    assert_eq!(found.of(&offsets(1).partition, topic_id, None), Some(offsets(1)));
    assert_eq!(found.of(&offsets(0).partition, topic_id, None).map(|it| it.recovery_point), Some(0));
    let (_, found) = world.with(now(0), |cx| LogDirs::open(cx, &config)).unwrap();
    assert!(!found.is_clean(LogDirId(0)));
}

#[test]
fn a_refused_sync_is_never_a_clean_stop() {
    let mut world = World::new(&["d"]);
    let config = world.config.clone();
    let (mut dirs, _) = world.with(now(0), |cx| LogDirs::open(cx, &config)).unwrap();
    for shard in 0..2 {
        let event =
            LogDirsEvent::Stopped { shard: ShardId(shard), offsets: Vec::new(), unclean: SmallSet::new() };
        world.with(now(0), |cx| dirs.handle(cx, event));
    }
    assert!(world.settle(&mut dirs, &SyncOutcome::Failed("device".to_owned())));
    assert_eq!(dirs.offline().collect::<Vec<_>>(), ["d"]);
    assert_eq!(world.text("d/.kafka_cleanshutdown"), "no such file or directory");
}

#[test]
fn a_replica_of_a_deleted_topic_is_set_aside() {
    let mut world = World::new(&["d"]);
    let config = world.config.clone();
    for name in ["d/t-0", "d/t-1", "d/__cluster_metadata-0"] {
        world.store.create_dir(name).unwrap();
    }
    let mut rng = Rng::from_seed(1);
    let (mut dirs, mut found) = world.with(now(0), |cx| LogDirs::open(cx, &config)).unwrap();
    let mut image = MetadataImage::default();
    let topic = TopicRecord { name: "t".into(), topic_id: Uuid::ONE };
    let replicas = vec![config.node_id];
    let partition =
        PartitionRecord { partition_id: 1, topic_id: Uuid::ONE, replicas, ..PartitionRecord::default() };
    image.replay(&topic.into()).unwrap();
    image.replay(&partition.into()).unwrap();
    world.with(now(0), |cx| dirs.set_strays_aside(cx, &mut found, &mut rng, &image)).unwrap();
    let names: Vec<_> = world.store.list("d").unwrap().into_iter().map(|entry| entry.name).collect();
    let [metadata, aside, kept] = names.as_slice() else { panic!("{names:?}") };
    assert_eq!((metadata.as_str(), kept.as_str()), ("__cluster_metadata-0", "t-1"));
    assert!(aside.starts_with("t-0.") && aside.ends_with("-stray"), "{aside}");
    assert!(found.found().all(|(partition, _)| partition.partition != 0 || *partition.topic != *"t"));
}

#[test]
fn a_full_disk_gets_the_reserve_and_is_looked_at_again() {
    let mut world = World::new(&["d", "e"]);
    world.config.ottla_log_reserve_bytes = 5_000;
    let config = world.config.clone();
    let (mut dirs, _) = world.with(now(0), |cx| LogDirs::open(cx, &config)).unwrap();
    let reserve = format!("d/{RESERVE_FILE}");
    assert_eq!(world.text(&reserve).len(), 5_000);

    let refused = |error| LogDirsEvent::Refused { log_dir: LogDirId(0), error };
    for _ in 0..2 {
        world.with(now(2_000), |cx| dirs.handle(cx, refused(StoreError::NoSpace)));
    }
    assert_eq!(world.text(&reserve), "no such file or directory");
    assert_eq!(world.told(), [(0, LogDirState::Full), (1, LogDirState::Full)]);
    assert_eq!(dirs.deadline(), Some(now(3_000).monotonic));

    world.with(now(3_000), |cx| dirs.handle(cx, LogDirsEvent::Tick));
    assert_eq!(world.text(&reserve).len(), 5_000);
    assert_eq!(world.told(), [(0, LogDirState::Online), (1, LogDirState::Online)]);
    assert_eq!(dirs.deadline(), Some(now(5_000).monotonic));

    world.with(now(4_000), |cx| dirs.handle(cx, refused(StoreError::Io("device".to_owned()))));
    assert_eq!(world.told(), [(0, LogDirState::Offline), (1, LogDirState::Offline)]);
    assert_eq!(dirs.offline().collect::<Vec<_>>(), ["d"]);
}

#[test]
fn without_a_directory_the_node_ends() {
    let mut world = World::new(&["d"]);
    let config = world.config.clone();
    let (mut dirs, _) = world.with(now(0), |cx| LogDirs::open(cx, &config)).unwrap();
    let error = StoreError::Io("device".to_owned());
    world.with(now(0), |cx| dirs.handle(cx, LogDirsEvent::Refused { log_dir: LogDirId(0), error }));
    assert!(world.effects.drain().any(|effect| matches!(effect, Effect::Halt { .. })));
}

#[test]
fn nothing_is_created_in_a_directory_that_went_offline() {
    let mut world = World::new(&["d", "e"]);
    let config = world.config.clone();
    let (_, mut found) = world.with(now(0), |cx| LogDirs::open(cx, &config)).unwrap();
    let place = |found: &Checkpoints, n| {
        let partition = TopicPartition { topic: "t".into(), partition: n };
        found.of(&partition, Uuid::ZERO, None).map(|place| place.log_dir)
    };
    assert_ne!(place(&found, 0), place(&found, 1));
    found.went_offline(LogDirId(1));
    assert_eq!([place(&found, 0), place(&found, 1)], [Some(LogDirId(0)); 2]);
}
