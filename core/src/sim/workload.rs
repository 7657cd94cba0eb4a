//! What simulated clients do all day: producers of three kinds send records that can be told apart, members of groups read them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::{ErrorCode, Str};

use super::admin::{AdminClient, Chore};
use super::{Program, ProgramEvent};
use crate::broker::cluster_view::OFFSETS_TOPIC;
use crate::client::{
    AutoOffsetReset, Consumer, ConsumerConfig, ConsumerEvent, LinkEffect, MembershipConfig, Producer,
    ProducerConfig, ProducerRecord, RecordId, SessionConfig, Target,
};
use crate::config::{BrokerConfig, Origin, Setting};
use crate::ids::TopicPartition;
use crate::record::Compressors;
use crate::rng::Rng;
use crate::time::{Instant, Now, Timestamp};

/// The topics that the workload writes to: one that keeps everything, one that retention shortens, one that is compacted, one that is both.
pub const TOPICS: [&str; 4] = ["exam-topic", "other-topic", "latest-topic", "ledger-topic"];
/// Partitions of each.
pub const PARTITIONS: i32 = 3;
/// The groups that read all topics, and how many members each has.
pub const GROUPS: [(&str, usize); 2] = [("readers", 2), ("auditors", 1)];

/// `retention.ms` of the topics that retention shortens.
pub const RETENTION_MS: i64 = 9_000;
/// `retention.bytes` of them.
pub const RETENTION_BYTES: u64 = 12_000;
/// `delete.retention.ms` of the compacted topics.
pub const DELETE_RETENTION_MS: i64 = 1_500;
/// Keys of a compacted partition.
pub const KEYS: u64 = 9;

/// Whether only the newest record of each key is kept.
pub fn is_compacted(topic: &str) -> bool {
    matches!(topic, "latest-topic" | "ledger-topic" | OFFSETS_TOPIC)
}

/// Whether old records are deleted.
pub fn is_shortened(topic: &str) -> bool {
    matches!(topic, "other-topic" | "ledger-topic")
}

/// What a topic is created with.
pub fn settings(topic: &str) -> Vec<(&'static str, String)> {
    let policy = match (is_compacted(topic), is_shortened(topic)) {
        (true, true) => "compact,delete",
        (true, false) => "compact",
        _ => "delete",
    };
    let mut settings = vec![("cleanup.policy", policy.to_owned())];
    if is_shortened(topic) {
        settings.push(("retention.ms", RETENTION_MS.to_string()));
        settings.push(("retention.bytes", RETENTION_BYTES.to_string()));
    }
    if topic == OFFSETS_TOPIC {
        settings.push(("internal.segment.bytes", "3000".to_owned()));
    }
    if is_compacted(topic) && topic != OFFSETS_TOPIC {
        settings.push(("delete.retention.ms", DELETE_RETENTION_MS.to_string()));
    }
    if is_compacted(topic) {
        settings.push(("min.cleanable.dirty.ratio", "0.1".to_owned()));
        settings.push(("max.compaction.lag.ms", "3000".to_owned()));
    }
    settings
}

/// A record of the workload: which producer, and which of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// Which producer.
    pub producer: u32,
    /// From 0.
    pub number: u32,
}

impl Tag {
    /// The tag in a record's value, if it is one of ours.
    pub fn read(value: &[u8]) -> Option<Self> {
        let (producer, rest) = value.split_first_chunk::<4>()?;
        let (number, _) = rest.split_first_chunk::<4>()?;
        Some(Self { producer: u32::from_be_bytes(*producer), number: u32::from_be_bytes(*number) })
    }

    /// The tag of a record: in its value, or in the first header of a tombstone.
    pub fn of<'a>(value: Option<&'a [u8]>, header: Option<&'a [u8]>) -> Option<Self> {
        Self::read(value.or(header)?)
    }

    fn value(self, padding: usize) -> Bytes {
        let mut value = Vec::with_capacity(8 + padding);
        value.extend_from_slice(&self.producer.to_be_bytes());
        value.extend_from_slice(&self.number.to_be_bytes());
        value.resize(8 + padding, b'x');
        Bytes::from(value)
    }
}

/// The member of this group has a name of its own (`group.instance.id`): who takes its place is the same member.
pub const STATIC_GROUP: &str = "auditors";

/// What a producer promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerKind {
    /// `enable.idempotence`, `acks=all`
    Idempotent,
    /// `acks=all`
    Plain,
    /// As idempotent, with sequences that soon reach the largest and begin anew.
    Wrapping,
    /// `acks=1`
    LeaderOnly,
}

/// One of each. A producer that is killed is followed by another of its kind.
pub const PRODUCERS: [ProducerKind; 4] =
    [ProducerKind::Idempotent, ProducerKind::Plain, ProducerKind::LeaderOnly, ProducerKind::Wrapping];

/// Records in a partition until the sequences of [`ProducerKind::Wrapping`] begin anew.
const SEQUENCES_LEFT: i32 = 4;

impl ProducerKind {
    /// Of the producer with this number.
    pub fn of(producer: u32) -> Self {
        PRODUCERS[producer as usize % PRODUCERS.len()]
    }

    /// Whether no record of it is in a log twice.
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::Idempotent | Self::Wrapping)
    }
}

/// A record that a producer was told has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Where.
    pub partition: TopicPartition,
    /// At which offset; −1 when the broker no longer knew.
    pub offset: i64,
    /// Which.
    pub tag: Tag,
    /// Its key.
    pub key: Option<Bytes>,
    /// Whether it deletes that key.
    pub is_tombstone: bool,
    /// Its timestamp, or an earlier one.
    pub timestamp: Timestamp,
}

/// What happened to a member of a group, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// It owns these partitions now.
    Assigned { generation_id: i32, partitions: Vec<TopicPartition> },
    /// It owns nothing.
    Revoked,
    /// A record was handed out.
    Record { partition: TopicPartition, offset: i64, tag: Option<Tag> },
    /// A batch could not be read.
    Corrupt(TopicPartition, String),
    /// The group refused it for good: somebody has to start it anew.
    Refused(ErrorCode),
}

/// A producer with its memory.
#[derive(Clone, Debug)]
pub struct ProducerClient {
    id: u32,
    producer: Producer,
    next: u32,
    under_way: BTreeMap<RecordId, Sent>,
    acknowledged: Vec<Acknowledged>,
    failed: u64,
    producer_id: Option<i64>,
    /// Producer ids after the first.
    renewed: u64,
}

/// What is remembered of a record until it is delivered.
#[derive(Clone, Debug)]
struct Sent {
    tag: Tag,
    key: Option<Bytes>,
    is_tombstone: bool,
    timestamp: Timestamp,
}

/// A group member with its memory.
#[derive(Clone, Debug)]
pub struct ConsumerClient {
    /// Its group.
    pub group: &'static str,
    consumer: Consumer,
    read: Vec<Read>,
    is_refused: bool,
}

/// A client of the workload.
#[derive(Clone, Debug)]
pub enum Client {
    /// Sends.
    Producer(Box<ProducerClient>),
    /// Reads.
    Consumer(Box<ConsumerClient>),
    /// Administers.
    Admin(Box<AdminClient>),
}

/// What a client is told to do.
#[derive(Clone, Debug)]
pub enum Task {
    /// A producer's.
    Send(Order),
    /// The administrator's.
    Do(Chore),
}

/// A record to be sent.
#[derive(Clone, Debug)]
pub struct Order {
    /// To which topic.
    pub topic: &'static str,
    /// To which partition.
    pub partition: i32,
    /// With which key.
    pub key: Option<u64>,
    /// Bytes of the value beyond the tag; without any the record is a tombstone.
    pub padding: Option<usize>,
}

/// Where clients find a broker that is alone.
pub fn alone() -> Vec<Target> {
    vec![Target { host: "localhost".into(), port: 9092 }]
}

fn session(bootstrap: &[Target], client_id: String) -> SessionConfig {
    SessionConfig {
        bootstrap: bootstrap.to_vec(),
        client_id: client_id.into(),
        request_timeout_ms: 5_000,
        ..SessionConfig::default()
    }
}

impl Client {
    /// A producer; what kind follows from its number.
    pub fn producer(bootstrap: &[Target], id: u32, rng: Rng) -> Self {
        let kind = ProducerKind::of(id);
        let config = ProducerConfig {
            session: session(bootstrap, format!("producer-{id}")),
            acks: if kind == ProducerKind::LeaderOnly { 1 } else { -1 },
            enable_idempotence: kind.is_idempotent(),
            batch_size: 3_000,
            linger_ms: 20,
            delivery_timeout_ms: 30_000,
            max_block_ms: 30_000,
            first_sequence: if kind == ProducerKind::Wrapping { i32::MAX - SEQUENCES_LEFT } else { 0 },
            ..ProducerConfig::default()
        };
        Self::Producer(Box::new(ProducerClient {
            id,
            producer: Producer::new(config, rng),
            next: 0,
            under_way: BTreeMap::new(),
            acknowledged: Vec::new(),
            failed: 0,
            producer_id: None,
            renewed: 0,
        }))
    }

    /// The administrator, of topics with so many replicas.
    pub fn admin(bootstrap: &[Target], replication_factor: i16) -> Self {
        let session = session(bootstrap, "admin".to_owned());
        Self::Admin(Box::new(AdminClient::new(session, replication_factor)))
    }

    /// A member of a group that reads all topics.
    pub fn consumer(bootstrap: &[Target], group: &'static str, number: usize) -> Self {
        let membership = MembershipConfig {
            group_id: group.into(),
            group_instance_id: (group == STATIC_GROUP).then(|| "auditor".into()),
            session_timeout_ms: 8_000,
            heartbeat_interval_ms: 1_000,
            rebalance_timeout_ms: 8_000,
            ..MembershipConfig::default()
        };
        let config = ConsumerConfig {
            session: session(bootstrap, format!("{group}-{number}")),
            membership: Some(membership),
            auto_offset_reset: AutoOffsetReset::Earliest,
            auto_commit_interval_ms: 700,
            max_partition_fetch_bytes: 4_000,
            ..ConsumerConfig::default()
        };
        let consumer = Consumer::subscribe(config, TOPICS.map(Str::from).to_vec());
        Self::Consumer(Box::new(ConsumerClient { group, consumer, read: Vec::new(), is_refused: false }))
    }

    /// The tag of the record that the next order will become.
    pub fn next_tag(&self) -> Option<Tag> {
        match self {
            Self::Producer(client) => Some(Tag { producer: client.id, number: client.next }),
            Self::Consumer(_) | Self::Admin(_) => None,
        }
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        match self {
            Self::Producer(client) => client.producer.is_idle(),
            Self::Consumer(_) => true,
            Self::Admin(client) => client.is_idle(),
        }
    }
}

impl ProducerClient {
    /// What was acknowledged since the last call.
    pub fn take_acknowledged(&mut self) -> Vec<Acknowledged> {
        std::mem::take(&mut self.acknowledged)
    }

    /// Records given up so far.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Which.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How often its sequences were refused, or it gave up on one: each time it takes a new producer id.
    pub fn renewed(&self) -> u64 {
        self.renewed
    }

    fn send(&mut self, now: Now, compressors: &Compressors, order: Order) {
        let tag = Tag { producer: self.id, number: self.next };
        self.next += 1;
        let key = order.key.map(|key| Bytes::from(format!("key {key}")));
        let value = order.padding.map(|padding| tag.value(padding));
        let headers = match value {
            Some(_) => Vec::new(),
            None => vec![(Bytes::from_static(b"tag"), Some(tag.value(0)))],
        };
        let sent = Sent { tag, key: key.clone(), is_tombstone: value.is_none(), timestamp: now.wall };
        let record = ProducerRecord {
            topic: order.topic.into(),
            partition: Some(order.partition),
            key,
            value,
            headers,
            ..ProducerRecord::default()
        };
        let id = self.producer.send(now, record);
        self.under_way.insert(id, sent);
        self.producer.tick(now, compressors);
    }

    fn note_deliveries(&mut self) {
        if let Some(producer_id) = self.producer.producer_id()
            && self.producer_id != Some(producer_id)
        {
            self.renewed += u64::from(self.producer_id.replace(producer_id).is_some());
        }
        for delivery in self.producer.take_deliveries() {
            let Some(sent) = self.under_way.remove(&delivery.id) else { continue };
            match delivery.outcome {
                Ok(metadata) => self.acknowledged.push(Acknowledged {
                    partition: TopicPartition { topic: delivery.topic, partition: metadata.partition },
                    offset: metadata.offset,
                    tag: sent.tag,
                    key: sent.key,
                    is_tombstone: sent.is_tombstone,
                    timestamp: sent.timestamp,
                }),
                Err(_) => self.failed += 1,
            }
        }
    }
}

impl ConsumerClient {
    /// Whether the group will not have it any more.
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// What happened since the last call.
    pub fn take_read(&mut self) -> Vec<Read> {
        std::mem::take(&mut self.read)
    }

    fn note(&mut self) {
        let generation_id = self.consumer.group_identity().map_or(-1, |(_, generation_id)| generation_id);
        for event in self.consumer.take_events() {
            match event {
                ConsumerEvent::Assigned(partitions) => {
                    let named = |(topic, partition)| TopicPartition { topic, partition };
                    let partitions = partitions.into_iter().map(named).collect();
                    self.read.push(Read::Assigned { generation_id, partitions });
                }
                ConsumerEvent::Revoked => self.read.push(Read::Revoked),
                ConsumerEvent::Corrupt((topic, partition), reason) => {
                    self.read.push(Read::Corrupt(TopicPartition { topic, partition }, reason));
                }
                ConsumerEvent::Fatal(error) => {
                    self.is_refused = true;
                    self.read.push(Read::Refused(error));
                }
                ConsumerEvent::NoOffset(_)
                | ConsumerEvent::TopicError(..)
                | ConsumerEvent::Committed { .. } => {}
            }
        }
        for record in self.consumer.poll(usize::MAX) {
            let header = record.headers.first().and_then(|(_, value)| value.as_deref());
            self.read.push(Read::Record {
                partition: TopicPartition { topic: record.topic, partition: record.partition },
                offset: record.offset,
                tag: Tag::of(record.value.as_deref(), header),
            });
        }
    }
}

impl Program for Client {
    type Input = Task;

    fn handle(&mut self, now: Now, compressors: &Compressors, event: ProgramEvent<Task>) {
        match self {
            Self::Producer(client) => {
                match event {
                    ProgramEvent::Link(event) => client.producer.handle(now, compressors, event),
                    ProgramEvent::Input(Task::Do(_)) => {}
                    ProgramEvent::Input(Task::Send(order)) => client.send(now, compressors, order),
                    ProgramEvent::Tick => client.producer.tick(now, compressors),
                }
                client.note_deliveries();
            }
            Self::Consumer(client) => {
                match event {
                    ProgramEvent::Link(event) => client.consumer.handle(now, compressors, event),
                    ProgramEvent::Input(_) | ProgramEvent::Tick => client.consumer.tick(now, compressors),
                }
                client.note();
            }
            Self::Admin(client) => match event {
                ProgramEvent::Link(event) => client.handle(now.monotonic, event),
                ProgramEvent::Input(Task::Do(chore)) => client.add(now.monotonic, chore),
                ProgramEvent::Input(Task::Send(_)) | ProgramEvent::Tick => client.tick(now.monotonic),
            },
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Producer(client) => client.producer.deadline(),
            Self::Consumer(client) => client.consumer.deadline(),
            Self::Admin(client) => client.deadline(),
        }
    }

    fn take_effects(&mut self) -> Vec<LinkEffect> {
        match self {
            Self::Producer(client) => client.producer.session().take_effects(),
            Self::Consumer(client) => client.consumer.session().take_effects(),
            Self::Admin(client) => client.take_effects(),
        }
    }
}

/// A broker with small segments, short waits, and a flush policy that the seed chooses.
pub fn broker(rng: &mut Rng, directories: &[&str]) -> Arc<BrokerConfig> {
    configured(rng, directories, &[])
}

/// The same with more settings.
pub fn configured(rng: &mut Rng, directories: &[&str], more: &[(&str, String)]) -> Arc<BrokerConfig> {
    const SETTINGS: [(&str, &str); 12] = [
        ("offsets.topic.num.partitions", "3"),
        ("num.partitions", "3"),
        ("group.initial.rebalance.delay.ms", "300"),
        ("log.flush.offset.checkpoint.interval.ms", "2000"),
        ("replica.high.watermark.checkpoint.interval.ms", "1500"),
        ("metadata.log.max.record.bytes.between.snapshots", "2000"),
        ("log.retention.check.interval.ms", "3000"),
        ("log.initial.task.delay.ms", "1000"),
        ("log.cleaner.backoff.ms", "400"),
        ("log.cleaner.io.buffer.size", "4096"),
        ("ottla.log.reserve.bytes", "16000"),
        ("ottla.shards", "2"),
    ];
    let setting =
        |(name, value): (&str, String)| (name.to_owned(), Setting { value, origin: Origin::SingleNode });
    let common = SETTINGS.into_iter().map(|(name, value)| (name, value.to_owned()));
    let settings =
        common.chain([("log.dirs", directories.join(","))]).chain(more.iter().cloned()).map(setting);
    let mut config = match BrokerConfig::resolve(settings, more.is_empty()) {
        Ok(resolved) => resolved.config,
        Err(errors) => panic!("the workload's broker: {errors:?}"),
    };
    let defaults = &mut config.topic_defaults;
    defaults.segment_bytes = 6_000;
    defaults.file_delete_delay_ms = 1_000;
    defaults.index_interval_bytes = 500;
    defaults.flush_messages = [i64::MAX, 4, 40][usize::try_from(rng.below(3)).unwrap_or(0)];
    // Who flushes by number does not rest, who does not, does.
    if defaults.flush_messages == i64::MAX {
        config.ottla_log_flush_idle_ms = 1_500;
    }
    // Slow enough to be interrupted.
    config.log_cleaner_io_max_bytes_per_second = [20_000.0, 200_000.0][usize::from(rng.chance(1, 2))];
    Arc::new(config)
}
