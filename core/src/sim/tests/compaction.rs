//! Compaction while clients write and read.

use super::*;
use crate::config::{CleanupPolicy, Origin, Setting};
use crate::log::{Log, LogStore as _};
use crate::trace::TraceEvent;

const TOPIC: &str = "exam-topic";

fn compacting(delete: bool) -> BrokerConfig {
    let settings = [
        ("log.cleaner.backoff.ms", "500"),
        ("log.cleaner.io.buffer.size", "8192"),
        ("log.cleaner.io.max.bytes.per.second", "1000000"),
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
