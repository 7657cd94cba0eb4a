//! A broker, a producer and a consumer in one world.

mod compaction;

use std::sync::Arc;

use bytes::Bytes;

use super::{ProcessId, Program, ProgramEvent, SimDisk, World, WorldConfig};
use crate::client::{
    AutoOffsetReset, Consumer, ConsumerConfig, ConsumerRecord, Delivery, LinkEffect, MembershipConfig,
    Producer, ProducerConfig, ProducerRecord, SessionConfig, Target,
};
use crate::config::{BrokerConfig, Origin, Setting};
use crate::log::MemoryStore;
use crate::record::Compressors;
use crate::time::{Instant, Now};

#[derive(Clone, Debug)]
enum Client {
    Producer(Box<Producer>, Vec<Delivery>),
    Consumer(Box<Consumer>, Vec<ConsumerRecord>),
}

impl Program for Client {
    type Input = ProducerRecord;

    fn handle(&mut self, now: Now, compressors: &Compressors, event: ProgramEvent<ProducerRecord>) {
        match self {
            Self::Producer(producer, deliveries) => {
                match event {
                    ProgramEvent::Link(event) => producer.handle(now, compressors, event),
                    ProgramEvent::Input(record) => {
                        producer.send(now, record);
                        producer.tick(now, compressors);
                    }
                    ProgramEvent::Tick => producer.tick(now, compressors),
                }
                deliveries.extend(producer.take_deliveries());
            }
            Self::Consumer(consumer, records) => {
                match event {
                    ProgramEvent::Link(event) => consumer.handle(now, compressors, event),
                    _ => consumer.tick(now, compressors),
                }
                records.extend(consumer.poll(usize::MAX));
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Producer(producer, _) => producer.deadline(),
            Self::Consumer(consumer, _) => consumer.deadline(),
        }
    }

    fn take_effects(&mut self) -> Vec<LinkEffect> {
        match self {
            Self::Producer(producer, _) => producer.session().take_effects(),
            Self::Consumer(consumer, _) => consumer.session().take_effects(),
        }
    }
}

type TestWorld = World<MemoryStore, Client>;

fn session() -> SessionConfig {
    let bootstrap = vec![Target { host: "localhost".into(), port: 9092 }];
    SessionConfig { bootstrap, client_id: "test".into(), ..SessionConfig::default() }
}

fn world(seed: u64) -> TestWorld {
    let mut world = World::new(WorldConfig { seed, ..WorldConfig::default() });
    world.add_host(Arc::new(BrokerConfig::default()), MemoryStore::new()).unwrap();
    world
}

fn producer(world: &mut TestWorld) -> ProcessId {
    producer_with(world, ProducerConfig { session: session(), ..ProducerConfig::default() })
}

fn producer_with(world: &mut TestWorld, config: ProducerConfig) -> ProcessId {
    let rng = world.rng().fork();
    world.spawn(Client::Producer(Box::new(Producer::new(config, rng)), Vec::new()))
}

fn consumer(world: &mut TestWorld) -> ProcessId {
    let membership = MembershipConfig { group_id: "readers".into(), ..MembershipConfig::default() };
    let config = ConsumerConfig {
        session: session(),
        membership: Some(membership),
        auto_offset_reset: AutoOffsetReset::Earliest,
        ..ConsumerConfig::default()
    };
    let consumer = Consumer::subscribe(config, vec!["exam-topic".into()]);
    world.spawn(Client::Consumer(Box::new(consumer), Vec::new()))
}

fn record(value: String) -> ProducerRecord {
    ProducerRecord {
        topic: "exam-topic".into(),
        value: Some(Bytes::from(value)),
        ..ProducerRecord::default()
    }
}

fn seconds(world: &mut TestWorld, count: u64) {
    let until = Instant(world.now().monotonic.0 + count * 1_000_000);
    world.run_until(until);
}

fn values(world: &TestWorld, id: ProcessId) -> Vec<String> {
    let Some(Client::Consumer(_, records)) = world.program(id) else { panic!("no consumer") };
    records
        .iter()
        .map(|record| String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into())
        .collect()
}

#[test]
fn without_acknowledgements_records_are_settled_once_they_are_sent() {
    let mut world = world(1);
    seconds(&mut world, 1);
    let sender =
        producer_with(&mut world, ProducerConfig { session: session(), acks: 0, ..Default::default() });
    for n in 0..20 {
        world.tell(sender, record(format!("{n} {}", "x".repeat(10_000))));
    }
    seconds(&mut world, 2);
    let Some(Client::Producer(producer, deliveries)) = world.program(sender) else { panic!("no producer") };
    assert!(producer.is_idle() && deliveries.len() == 20, "{} of 20", deliveries.len());
}

#[test]
fn what_is_produced_is_consumed_in_a_group_and_survives_a_crash() {
    let mut world = world(1);
    seconds(&mut world, 1);
    let sender = producer(&mut world);
    for n in 0..20 {
        world.tell(sender, record(format!("before {n}")));
    }
    seconds(&mut world, 5);
    let Some(Client::Producer(producer, deliveries)) = world.program(sender) else { panic!("no producer") };
    assert!(producer.is_idle(), "{producer:?}");
    assert_eq!(deliveries.len(), 20);
    assert!(deliveries.iter().all(|delivery| delivery.outcome.is_ok()), "{deliveries:?}");

    let reader = consumer(&mut world);
    seconds(&mut world, 20);
    assert_eq!(values(&world, reader).len(), 20, "{:?}", world.program(reader));

    world.crash_host(1);
    seconds(&mut world, 2);
    world.start_host(1).unwrap();
    for n in 0..5 {
        world.tell(sender, record(format!("after {n}")));
    }
    seconds(&mut world, 60);
    let read = values(&world, reader);
    assert_eq!(read.len(), 25, "{read:?}");
}

/// Of 20 acknowledged records, how many a power loss leaves.
fn left_by_a_power_loss(sync: &str, seed: u64) -> i64 {
    let setting = Setting { value: sync.to_owned(), origin: Origin::SingleNode };
    let config = BrokerConfig::resolve([("ottla.log.sync".to_owned(), setting)], true).unwrap().config;
    let mut world: World<SimDisk, Client> = World::new(WorldConfig { seed, ..WorldConfig::default() });
    world.add_host(Arc::new(config), SimDisk::with_directory("./data")).unwrap();
    let config = ProducerConfig { session: session(), ..ProducerConfig::default() };
    let rng = world.rng().fork();
    let sender = world.spawn(Client::Producer(Box::new(Producer::new(config, rng)), Vec::new()));
    (0..20).for_each(|n| world.tell(sender, record(n.to_string())));
    let delivered = |world: &World<SimDisk, Client>| match world.program(sender) {
        Some(Client::Producer(_, deliveries)) => deliveries.len(),
        _ => 0,
    };
    while delivered(&world) < 20 {
        let soon = Instant(world.now().monotonic.0 + 100);
        world.run_until(soon);
    }
    world.power_loss(1);
    world.start_host(1).unwrap();
    // Partitions are opened in the background.
    let later = Instant(world.now().monotonic.0 + 1_000_000);
    world.run_until(later);
    let node = world.hosts().next().and_then(|(_, host)| host.node()).unwrap();
    let partitions = node.shards.iter().flat_map(|shard| shard.partitions());
    let logs = partitions.filter(|partition| &*partition.name().topic == "exam-topic");
    logs.map(|partition| partition.log().log_end_offset()).sum()
}

#[test]
fn a_power_loss_takes_nothing_acknowledged_if_batches_are_synced() {
    assert!((0..8).all(|seed| left_by_a_power_loss("batch", seed) == 20));
    assert!((0..8).any(|seed| left_by_a_power_loss("none", seed) < 20), "these seeds show nothing");
}

#[test]
fn a_clone_goes_on_the_same_way() {
    let mut one = world(7);
    let sender = producer(&mut one);
    let reader = consumer(&mut one);
    for n in 0..10 {
        one.tell(sender, record(n.to_string()));
    }
    seconds(&mut one, 3);
    let mut other = one.clone();
    seconds(&mut one, 30);
    seconds(&mut other, 30);
    assert_eq!(one.trace_hash(), other.trace_hash());
    assert_eq!(values(&one, reader), values(&other, reader));
    assert_eq!(values(&one, reader).len(), 10);
}
