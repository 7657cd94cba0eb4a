//! Compaction while clients write and read.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::config::{CleanupPolicy, Origin, Setting};
use crate::log::{Log, LogStore as _};
use crate::rng::Rng;
use crate::sim::SimDisk;
use crate::trace::TraceEvent;

const TOPIC: &str = "exam-topic";

fn compacting(delete: bool) -> BrokerConfig {
    compacting_at("1000000", delete)
}

/// At most so many bytes a second.
fn compacting_at(rate: &str, delete: bool) -> BrokerConfig {
    let settings = [
        ("log.cleaner.backoff.ms", "500"),
        ("log.cleaner.io.buffer.size", "4096"),
        ("log.cleaner.io.max.bytes.per.second", rate),
        ("replica.high.watermark.checkpoint.interval.ms", "1000"),
        ("ottla.shards", "2"),
    ];
    let setting = |(name, value): (&str, &str)| {
        (name.to_owned(), Setting { value: value.to_owned(), origin: Origin::SingleNode })
    };
    let mut config = BrokerConfig::resolve(settings.map(setting), true).unwrap().config;
    let defaults = &mut config.topic_defaults;
    defaults.segment_bytes = 2_000;
    defaults.file_delete_delay_ms = 1_000;
    defaults.cleanup_policy = CleanupPolicy { compact: true, delete };
    config
}

fn world_of(config: BrokerConfig) -> TestWorld {
    let mut world = World::new(WorldConfig { seed: 3, ..WorldConfig::default() });
    world.add_host(Arc::new(config), MemoryStore::new()).unwrap();
    world
}

fn write(world: &mut TestWorld, writer: ProcessId, from: u32, to: u32) {
    for n in from..to {
        let key = Some(Bytes::from(format!("key {}", n % 7)));
        let value = Some(Bytes::from(format!("{n}, {}", "and so on ".repeat(10))));
        world.tell(writer, ProducerRecord { topic: TOPIC.into(), key, value, ..ProducerRecord::default() });
        if n % 10 == 0 {
            seconds(world, 1);
        }
    }
    seconds(world, 3);
}

fn log<'a>(world: &'a TestWorld, topic: &str) -> Vec<&'a Log<MemoryStore>> {
    let node = world.hosts().next().unwrap().1.node().unwrap();
    let partitions = node.shards.iter().flat_map(|shard| shard.partitions());
    partitions
        .filter(|partition| *partition.name().topic == *topic)
        .map(crate::partition::Partition::log)
        .collect()
}

fn cleaned(world: &mut TestWorld, topic: &str) -> u64 {
    let is_of = |event: &TraceEvent| matches!(event, TraceEvent::LogCleaned { partition, .. } if *partition.topic == *topic);
    world.take_traces().iter().filter(|(_, _, event)| is_of(event)).count() as u64
}

#[test]
fn only_the_newest_of_each_key_is_kept_and_read() {
    let mut world = world_of(compacting(false));
    let writer = producer(&mut world);
    write(&mut world, writer, 0, 300);
    let [partition] = log(&world, TOPIC)[..] else { panic!("one partition") };
    assert_eq!((partition.log_start_offset(), partition.log_end_offset()), (0, 300));
    assert!(partition.size() < 6_000, "{}", partition.size());
    let checkpoint = partition.cleaned_up_to().unwrap();
    assert!(checkpoint > 200, "{checkpoint}");
    assert!(cleaned(&mut world, TOPIC) > 3);

    let reader = consumer(&mut world);
    seconds(&mut world, 40);
    let read = values(&world, reader);
    assert!((7..40).contains(&read.len()), "{read:?}");
    for n in 293..300 {
        assert!(read.iter().any(|value| value.starts_with(&format!("{n}, "))), "{n}");
    }
    // What groups commit is compacted, too, once there is enough of it.
    assert!(log(&world, "__consumer_offsets").iter().any(|log| log.config().compact));

    // The checkpoint is Kafka's, and the next start goes on from there.
    let (_, host) = world.hosts().next().unwrap();
    let text = host.store.clone().read("./data/cleaner-offset-checkpoint").unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(&format!("\n{TOPIC} 0 {checkpoint}\n")), "{text}");
    world.crash_host(1);
    world.start_host(1).unwrap();
    seconds(&mut world, 5);
    assert_eq!(log(&world, TOPIC)[0].cleaned_up_to(), Some(checkpoint));
    assert_eq!(cleaned(&mut world, TOPIC), 0);
    write(&mut world, writer, 300, 400);
    assert!(log(&world, TOPIC)[0].cleaned_up_to() > Some(checkpoint));
}

#[test]
fn what_is_old_goes_from_a_log_that_is_compacted_and_deleted() {
    let mut config = compacting(true);
    config.topic_defaults.retention_ms = 20_000;
    let mut world = world_of(config);
    let writer = producer(&mut world);
    write(&mut world, writer, 0, 200);
    let start = |world: &TestWorld| log(world, TOPIC)[0].log_start_offset();
    let first = start(&world);
    seconds(&mut world, 30);
    write(&mut world, writer, 200, 201);
    assert!(cleaned(&mut world, TOPIC) > 0 && start(&world) > first, "{} {first}", start(&world));
}

#[test]
fn no_compaction_without_the_cleaner_and_none_of_what_is_damaged() {
    let mut config = compacting(false);
    config.log_cleaner_enable = false;
    let mut world = world_of(config);
    let writer = producer(&mut world);
    write(&mut world, writer, 0, 100);
    assert_eq!((cleaned(&mut world, TOPIC), log(&world, TOPIC)[0].cleaned_up_to()), (0, None));

    let mut config = compacting(false);
    config.topic_defaults.min_cleanable_dirty_ratio = 1.0;
    let mut world = world_of(config);
    let writer = producer(&mut world);
    write(&mut world, writer, 0, 100);
    let path = format!("{}/{:020}.log", log(&world, TOPIC)[0].dir(), 0);
    let store = &mut world.host_mut(1).unwrap().store;
    let mut bytes = store.read(&path).unwrap();
    bytes[100] ^= 1;
    let file = store.open(&path).unwrap();
    store.truncate(&file, 0).unwrap();
    store.append(&file, &[std::io::IoSlice::new(&bytes)]).unwrap();
    // It is told that it cannot be, once, and goes on serving.
    let mut lenient = (**world.hosts().next().map(|(_, host)| &host.config).unwrap()).clone();
    lenient.topic_defaults.min_cleanable_dirty_ratio = 0.1;
    world.host_mut(1).unwrap().config = Arc::new(lenient);
    world.crash_host(1);
    world.start_host(1).unwrap();
    world.take_traces();
    write(&mut world, writer, 100, 120);
    let traces = world.take_traces();
    let told = |event: &TraceEvent| matches!(event, TraceEvent::PartitionUncleanable { .. });
    assert_eq!(traces.iter().filter(|(_, _, event)| told(event)).count(), 1);
    assert_eq!(log(&world, TOPIC)[0].log_end_offset(), 120);
    let node = world.hosts().next().unwrap().1.node().unwrap();
    assert_eq!(node.shards.iter().flat_map(|shard| shard.cleaner().uncleanable()).count(), 1);
}

/// A broker that compacts slowly and is killed at any time, and what it may have lost.
struct Killed {
    world: World<SimDisk, Client>,
    rng: Rng,
    writer: ProcessId,
    /// Key of each record that was sent, by number.
    sent: Vec<u64>,
    /// Records that a power loss took. Those that the producer sends again may come back.
    lost: BTreeSet<usize>,
}

impl Killed {
    fn new(seed: u64) -> Self {
        let mut config = compacting_at("40000", false);
        config.topic_defaults.segment_bytes = 1_500;
        let mut world = World::new(WorldConfig { seed, ..WorldConfig::default() });
        world.add_host(Arc::new(config), SimDisk::with_directory("./data")).unwrap();
        let rng = Rng::from_seed(seed);
        let producer = Producer::new(
            ProducerConfig { session: session(), linger_ms: 5, ..ProducerConfig::default() },
            world.rng().fork(),
        );
        let writer = world.spawn(Client::Producer(Box::new(producer), Vec::new()));
        Self { world, rng, writer, sent: Vec::new(), lost: BTreeSet::new() }
    }

    fn pass(&mut self, ms: u64) {
        let until = Instant(self.world.now().monotonic.0 + ms * 1_000);
        self.world.run_until(until);
    }

    fn write(&mut self) {
        for _ in 0..self.rng.below(12) {
            let key = self.rng.below(6);
            let value = format!("{} {}", self.sent.len(), "and so on ".repeat(10));
            self.sent.push(key);
            let (key, value) = (Some(Bytes::from(key.to_string())), Some(Bytes::from(value)));
            self.world.tell(
                self.writer,
                ProducerRecord { topic: TOPIC.into(), key, value, ..ProducerRecord::default() },
            );
        }
    }

    /// The last record of each key that the log holds, by number.
    fn table(&self) -> BTreeMap<u64, usize> {
        self.table_below(|_| i64::MAX)
    }

    /// The same of the records below an offset.
    fn table_below(&self, end: impl Fn(&Log<SimDisk>) -> i64) -> BTreeMap<u64, usize> {
        let (_, host) = self.world.hosts().next().unwrap();
        let Some((node, mut store)) = host.all_open() else { return BTreeMap::new() };
        let mut table = BTreeMap::new();
        for partition in node.shards.iter().flat_map(|shard| shard.partitions()) {
            if *partition.name().topic != *TOPIC {
                continue;
            }
            let mut last = -1;
            for segment in partition.log().segments() {
                let path = format!("{}/{:020}.log", partition.log().dir(), segment.base_offset);
                let bytes = Bytes::from(store.read(&path).unwrap());
                for batch in crate::record::batches(&bytes) {
                    let batch = batch.unwrap();
                    batch.check_crc().unwrap();
                    for record in batch.records(&Compressors::default()).unwrap() {
                        let record = record.unwrap();
                        assert!(record.offset > last, "{} after {last}", record.offset);
                        last = record.offset;
                        if last >= end(partition.log()) {
                            break;
                        }
                        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
                        let value = text(record.value.unwrap());
                        let number = value.split(' ').next().unwrap().parse().unwrap();
                        table.insert(text(record.key.unwrap()).parse().unwrap(), number);
                    }
                }
            }
        }
        table
    }

    /// Every key has the last of its records up to the newest that there is, but for those that were lost.
    fn check(&mut self, seed: u64) {
        let table = self.table();
        let Some(Client::Producer(_, deliveries)) = self.world.program(self.writer) else { panic!() };
        // After a power loss the producer may have to give records up.
        let failed = deliveries.iter().filter(|delivery| delivery.outcome.is_err());
        let failed: BTreeSet<_> = failed.map(|delivery| delivery.id.0 as usize).collect();
        let newest = table.values().max().copied().unwrap_or(0);
        for (key, number) in &table {
            self.lost.remove(number);
            let later = (number + 1..=newest).filter(|later| self.sent[*later] == *key);
            let missing: Vec<_> =
                later.filter(|later| !self.lost.contains(later) && !failed.contains(later)).collect();
            assert_eq!(missing, [0; 0], "seed {seed}: key {key} stands at {number} of {newest}");
        }
    }
}

fn kill_and_clean(seed: u64) -> [usize; 3] {
    let mut killed = Killed::new(seed);
    let mut happened = [0; 3];
    for _ in 0..40 {
        killed.write();
        let ms = killed.rng.below(700);
        killed.pass(ms);
        killed.check(seed);
        if !killed.rng.chance(1, 3) {
            continue;
        }
        let (before, synced) = (killed.table(), killed.table_below(|log| log.recovery_point()));
        let (_, host) = killed.world.hosts().next().unwrap();
        let is_interrupted = host.store.clone().list(&format!("./data/{TOPIC}-0")).is_ok_and(|entries| {
            entries.iter().any(|entry| entry.name.ends_with(".cleaned") || entry.name.ends_with(".swap"))
        });
        happened[0] += usize::from(is_interrupted);
        let is_power_loss = killed.rng.chance(1, 2);
        if is_power_loss {
            killed.world.power_loss(1);
        } else {
            killed.world.crash_host(1);
        }
        killed.world.start_host(1).unwrap();
        let after = killed.table();
        if is_power_loss {
            let newest = |table: &BTreeMap<u64, usize>| table.values().max().map_or(0, |newest| newest + 1);
            // Any record may be gone that was not on the disk, and in a compacted log nobody can tell.
            let is_gone = |n: &usize| after.get(&killed.sent[*n]).is_none_or(|left| n > left);
            killed.lost.extend((0..newest(&before)).filter(is_gone));
            for (key, number) in synced {
                assert!(after.get(&key) >= Some(&number), "seed {seed}: key {key} lost {number}");
            }
        } else {
            assert_eq!(after, before, "seed {seed}");
        }
        killed.check(seed);
        happened[1] += 1;
    }
    killed.pass(60_000);
    killed.check(seed);
    for (_, _, event) in killed.world.take_traces() {
        assert!(
            !matches!(event, TraceEvent::StorageFailed { .. } | TraceEvent::PartitionUncleanable { .. }),
            "seed {seed}: {event:?}"
        );
        happened[2] += usize::from(matches!(event, TraceEvent::LogCleaned { .. }));
    }
    happened
}

#[test]
fn a_broker_that_is_killed_while_it_compacts_keeps_the_newest_of_each_key() {
    let mut happened = [0; 3];
    for seed in 0..12 {
        for (sum, one) in happened.iter_mut().zip(kill_and_clean(seed)) {
            *sum += one;
        }
    }
    let [interrupted, kills, cleanings] = happened;
    assert!(interrupted > 20 && kills > 100 && cleanings > 100, "{happened:?}");
}
