//! What is measured, each step a function of its own for whoever counts.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use ottla_core::config::BrokerConfig;
use ottla_core::controller::{ControllerRequest, ControllerResponse, Decisions};
use ottla_core::coordinator::{Append, Appended, Runtime, Token};
use ottla_core::ids::ConnectionId;
use ottla_core::metadata::{MetadataDelta, MetadataImage, MetadataState, MetadataVersion, record};
use ottla_core::record::{BatchBuilder, BatchOptions, Compressors, batches};
use ottla_core::rng::Rng;
use ottla_core::sim::mutation::Planted;
use ottla_core::time::{Instant, Now};
use ottla_protocol::messages::BrokerHeartbeatRequest;
use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState, PartitionData, TopicData,
};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{
    FeatureLevelRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord,
};
use ottla_protocol::{ErrorCode, Uuid};

use crate::{BROKERS, CHANGES, DEAD, PER_TOPIC};

pub const LOAD: &str = "load";
pub const CHANGE: &str = "change";
pub const BURY: &str = "bury";

const REPLICAS: i32 = 3;
/// Longer than a session of 9 s, as two halves.
const HALF_SESSION_MS: i64 = 5_000;

/// The snapshot of a cluster: a batch for each topic, after one for the brokers.
pub fn snapshot(partitions: i32) -> Vec<Bytes> {
    let level = |name: &str, feature_level| FeatureLevelRecord { name: name.into(), feature_level }.into();
    let mut records: Vec<MetadataRecord> = vec![
        level("metadata.version", MetadataVersion::LATEST.level()),
        level("eligible.leader.replicas.version", 1),
    ];
    records.extend((1..=BROKERS).map(|broker_id| {
        let broker = RegisterBrokerRecord {
            broker_id,
            broker_epoch: broker_id.into(),
            incarnation_id: Uuid::from_u128(id(broker_id)),
            log_dirs: vec![Uuid::from_u128(id(broker_id))],
            fenced: false,
            rack: None,
            ..RegisterBrokerRecord::default()
        };
        MetadataRecord::from(broker)
    }));
    let topics = (0..partitions / PER_TOPIC).flat_map(|topic| {
        let mut records =
            vec![TopicRecord { name: format!("topic-{topic:04}").into(), topic_id: topic_id(topic) }.into()];
        records.extend((0..PER_TOPIC).map(|index| MetadataRecord::from(partition(topic, index))));
        [batch(&records)]
    });
    [batch(&records)].into_iter().chain(topics).collect()
}

fn batch(records: &[MetadataRecord]) -> Bytes {
    let mut batch = BatchBuilder::new(BatchOptions::default());
    for one in records {
        let value = record::encode(one, MetadataVersion::LATEST).expect("a record");
        batch.append(0, None, Some(&value), &[]);
    }
    batch.build(&Compressors::default())
}

fn id(broker: i32) -> u128 {
    u128::from(broker.unsigned_abs()) << 64
}

fn topic_id(topic: i32) -> Uuid {
    Uuid::from_u128(u128::from(topic.unsigned_abs() + 1) << 80)
}

/// Leaders take turns, and so do the distances between a leader and its followers.
fn replicas(topic: i32, index: i32) -> Vec<i32> {
    let first = (topic * 7 + index) % BROKERS;
    let stride = 1 + (index / BROKERS) % 33;
    (0..REPLICAS).map(|nth| 1 + (first + nth * stride) % BROKERS).collect()
}

fn partition(topic: i32, partition_id: i32) -> PartitionRecord {
    let replicas = replicas(topic, partition_id);
    PartitionRecord {
        topic_id: topic_id(topic),
        partition_id,
        isr: replicas.clone(),
        leader: replicas[0],
        leader_epoch: 0,
        partition_epoch: 0,
        leader_recovery_state: 0,
        directories: replicas.iter().map(|broker| Uuid::from_u128(id(*broker))).collect(),
        eligible_leader_replicas: None,
        last_known_elr: None,
        replicas,
        ..PartitionRecord::default()
    }
}

/// What a node does with a snapshot.
#[inline(never)]
pub fn load(snapshot: &[Bytes]) -> MetadataState {
    let mut state = MetadataState::new(MetadataImage::empty("scale"));
    for bytes in snapshot {
        for batch in batches(bytes) {
            for one in batch.expect("a batch").records(&Compressors::default()).expect("records") {
                let value = one.expect("a record").value.expect("a value");
                let (record, _) = MetadataRecord::decode(value).expect("a record");
                state.replay(&record).expect("it follows");
            }
        }
    }
    state
}

/// Changes of ISRs, one after the other: a follower leaves, or comes back.
#[inline(never)]
pub fn change(leader: &mut Leader) {
    for nth in 0..CHANGES {
        let (topic, index) = (nth % 10, nth / 10);
        let mut isr = replicas(topic, index);
        isr.pop();
        leader.alter(topic, index, &isr);
    }
}

/// The session of a broker ends: (partitions that got another leader, partitions that changed).
#[inline(never)]
pub fn bury(leader: &mut Leader) -> (usize, usize) {
    let before = leader.log.written.len();
    while leader.runtime.tip().image().broker(DEAD).is_some_and(|broker| !broker.fenced) {
        leader.runtime.tick(leader.now, &mut leader.log);
    }
    leader.publish();
    let changes = leader.log.written[before..].iter().filter_map(|record| match record {
        MetadataRecord::PartitionChange(change) => Some(change.leader),
        _ => None,
    });
    let leaders: Vec<i32> = changes.collect();
    (leaders.iter().filter(|leader| **leader >= 0).count(), leaders.len())
}

/// What was written, encoded as it goes to disk, committed at once.
#[derive(Debug, Default)]
pub struct Log {
    written: Vec<MetadataRecord>,
    end: i64,
}

impl Append<MetadataRecord> for Log {
    fn next_offset(&self) -> i64 {
        self.end
    }

    fn append(&mut self, _now: Now, records: &[MetadataRecord]) -> Result<Appended, ErrorCode> {
        black_box(batch(records));
        let base_offset = self.end;
        self.written.extend_from_slice(records);
        self.end += i64::try_from(records.len()).expect("a count");
        Ok(Appended { base_offset, high_watermark: self.end })
    }
}

/// An active controller, and a broker that follows it.
pub struct Leader {
    runtime: Runtime<Decisions>,
    log: Log,
    now: Now,
    follower: MetadataState,
    published: usize,
}

impl Leader {
    /// All brokers have sent a heartbeat.
    pub fn new(state: MetadataState) -> Self {
        let settings = BTreeMap::new();
        let config = BrokerConfig::resolve(settings, true).expect("the defaults").config;
        let decisions = Decisions::new(Arc::new(config), Planted::default());
        let (now, follower) = (Now::default(), state.clone());
        let runtime = Runtime::loaded(decisions, state, now, Rng::from_seed(1));
        let log = Log { end: 2_000_000, ..Log::default() };
        let mut leader = Self { runtime, log, now, follower, published: 0 };
        (1..=BROKERS).for_each(|broker| leader.beat(broker));
        leader
    }

    /// More than a session passes without this broker.
    pub fn fall_silent(&mut self, silent: i32) {
        for _ in 0..2 {
            self.now.monotonic = Instant::plus_ms(self.now.monotonic, HALF_SESSION_MS);
            (1..=BROKERS).filter(|broker| *broker != silent).for_each(|broker| self.beat(broker));
        }
    }

    fn beat(&mut self, broker_id: i32) {
        let request = BrokerHeartbeatRequest {
            broker_id,
            broker_epoch: broker_id.into(),
            current_metadata_offset: self.log.end - 1,
            cordoned_log_dirs: None,
            ..BrokerHeartbeatRequest::default()
        };
        self.ask(ControllerRequest::BrokerHeartbeat(request));
    }

    fn alter(&mut self, topic: i32, partition_index: i32, isr: &[i32]) {
        let leader = isr[0];
        let new_isr_with_epochs = isr
            .iter()
            .map(|broker| BrokerState { broker_id: *broker, broker_epoch: (*broker).into() })
            .collect();
        let partition = PartitionData { partition_index, new_isr_with_epochs, ..PartitionData::default() };
        let topic = TopicData { topic_id: topic_id(topic), partitions: vec![partition] };
        let request =
            AlterPartitionRequest { broker_id: leader, broker_epoch: leader.into(), topics: vec![topic] };
        let response = self.ask(ControllerRequest::AlterPartition(request));
        let ControllerResponse::AlterPartition(response) = response else { panic!("{response:?}") };
        let codes = (response.error_code, response.topics[0].partitions[0].error_code);
        assert_eq!(codes, (0, 0));
        self.publish();
    }

    fn ask(&mut self, request: ControllerRequest) -> ControllerResponse {
        let token = Token { connection: ConnectionId(1), request: 1 };
        self.runtime.submit(self.now, &mut self.log, token, request);
        self.runtime.take_ready().pop().expect("an answer").1
    }

    /// A broker takes in what was written.
    fn publish(&mut self) {
        let before = self.follower.image().clone();
        let news = &self.log.written[self.published..];
        for record in news {
            self.follower.replay(record).expect("it follows");
        }
        black_box(MetadataDelta::between(&before, self.follower.image(), news));
        self.published = self.log.written.len();
    }
}
