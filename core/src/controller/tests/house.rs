//! [`House`]: decisions for a cluster of several brokers, over a log in memory.

use std::sync::Arc;

use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use ottla_protocol::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use ottla_protocol::messages::broker_registration_request::{BrokerRegistrationRequest, Feature};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{ConfigRecord, FeatureLevelRecord, TopicRecord};
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::config;
use crate::config::BrokerConfig;
use crate::controller::update_features::QuorumFacts;
use crate::controller::{ControllerRequest, ControllerResponse, Decisions};
use crate::coordinator::{Append, Appended, Runtime, Token};
use crate::ids::ConnectionId;
use crate::metadata::{
    BrokerRegistration, ConfigResourceType, MetadataImage, MetadataState, MetadataVersion,
    PartitionRegistration,
};
use crate::rng::Rng;
use crate::sim::mutation::Planted;
use crate::time::{Instant, Now};

pub const TOPIC: Uuid = Uuid::from_u128(1_001);

/// Everything that was written, committed at once.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub records: Vec<MetadataRecord>,
    /// Records of each write.
    pub writes: Vec<usize>,
    /// So many writes more, and then none.
    pub room: Option<usize>,
}

impl Append<MetadataRecord> for Log {
    fn next_offset(&self) -> i64 {
        i64::try_from(self.records.len()).expect("few")
    }

    fn append(&mut self, _now: Now, records: &[MetadataRecord]) -> Result<Appended, ErrorCode> {
        if let Some(room) = &mut self.room {
            *room = room.checked_sub(1).ok_or(ErrorCode::KafkaStorageError)?;
        }
        let base_offset = self.next_offset();
        self.records.extend_from_slice(records);
        self.writes.push(records.len());
        Ok(Appended { base_offset, high_watermark: self.next_offset() })
    }
}

/// The active controller of a cluster.
#[derive(Clone, Debug)]
pub struct House {
    pub runtime: Runtime<Decisions>,
    pub log: Log,
    pub now: Now,
    config: Arc<BrokerConfig>,
}

impl House {
    /// A cluster with eligible leader replicas, of nobody.
    pub fn new() -> Self {
        Self::with(&[], true)
    }

    pub fn with(settings: &[(&str, &str)], has_elr: bool) -> Self {
        let level =
            |name: &str, feature_level| FeatureLevelRecord { name: name.into(), feature_level }.into();
        let mut records = vec![level("metadata.version", MetadataVersion::LATEST.level())];
        if has_elr {
            records.push(level("eligible.leader.replicas.version", 1));
        }
        Self::loaded(config(settings), Log { records, ..Log::default() }, Now::default())
    }

    fn loaded(config: Arc<BrokerConfig>, log: Log, now: Now) -> Self {
        let mut state = MetadataState::new(MetadataImage::empty("house"));
        for record in &log.records {
            state.replay(record).expect("it follows");
        }
        let mut decisions = Decisions::new(config.clone(), Planted::default());
        decisions.set_quorum(QuorumFacts { kraft_version: 1, ..QuorumFacts::default() });
        let runtime = Runtime::loaded(decisions, state, now, Rng::from_seed(5));
        Self { runtime, log, now, config }
    }

    /// With `brokers` registered and unfenced.
    pub fn of(brokers: &[i32]) -> Self {
        let mut house = Self::new();
        house.start(brokers);
        house
    }

    pub fn start(&mut self, brokers: &[i32]) {
        for broker in brokers {
            self.register(&registration(*broker, 1));
            let response = self.beat(*broker, |_| ());
            assert_eq!((response.error_code, response.is_fenced, response.is_caught_up), (0, false, true));
        }
    }

    /// A new life of a broker begins, after a clean stop.
    pub fn restart(&mut self, broker: i32, life: u128) {
        let previous_broker_epoch = self.broker(broker).epoch;
        let request = BrokerRegistrationRequest { previous_broker_epoch, ..registration(broker, life) };
        assert_eq!(self.register(&request).0, ErrorCode::None);
        assert!(!self.beat(broker, |_| ()).is_fenced);
    }

    /// Another controller takes over.
    pub fn fail_over(self) -> Self {
        Self::loaded(self.config, self.log, self.now)
    }

    pub fn ask(&mut self, request: ControllerRequest) -> ControllerResponse {
        let token = Token { connection: ConnectionId(1), request: 1 };
        self.runtime.submit(self.now, &mut self.log, token, request);
        let (_, response) = self.runtime.take_ready().pop().expect("an answer");
        response
    }

    /// Time goes by, in steps of 100 ms.
    pub fn wait(&mut self, ms: i64) {
        for _ in 0..ms / 100 {
            self.now.monotonic = Instant::plus_ms(self.now.monotonic, 100);
            self.runtime.tick(self.now, &mut self.log);
        }
    }

    pub fn register(&mut self, request: &BrokerRegistrationRequest) -> (ErrorCode, i64) {
        match self.ask(ControllerRequest::BrokerRegistration(request.clone())) {
            ControllerResponse::BrokerRegistration(response) => {
                (ErrorCode::from_code(response.error_code).expect("a code"), response.broker_epoch)
            }
            other => panic!("{other:?}"),
        }
    }

    /// A heartbeat of a broker that has all metadata, but for what `change` says.
    pub fn beat(
        &mut self,
        broker: i32,
        change: impl FnOnce(&mut BrokerHeartbeatRequest),
    ) -> BrokerHeartbeatResponse {
        let mut request = BrokerHeartbeatRequest {
            broker_id: broker,
            broker_epoch: self.broker(broker).epoch,
            current_metadata_offset: self.log.next_offset() - 1,
            cordoned_log_dirs: None,
            ..BrokerHeartbeatRequest::default()
        };
        change(&mut request);
        match self.ask(ControllerRequest::BrokerHeartbeat(request)) {
            ControllerResponse::BrokerHeartbeat(response) => response,
            other => panic!("{other:?}"),
        }
    }

    pub fn image(&self) -> &MetadataImage {
        self.runtime.tip().image()
    }

    pub fn broker(&self, id: i32) -> &BrokerRegistration {
        self.image().broker(id).expect("it is registered")
    }

    pub fn is_fenced(&self, id: i32) -> bool {
        self.broker(id).fenced
    }

    /// Something that was written before.
    pub fn write(&mut self, records: Vec<MetadataRecord>) {
        let Appended { base_offset, .. } = self.log.append(self.now, &records).expect("it is written");
        self.runtime.appended_elsewhere(base_offset, |state| {
            for record in &records {
                state.replay(record).expect("it follows");
            }
        });
        self.runtime.high_watermark_advanced(self.log.next_offset());
    }

    /// Creates the topic `t`, with one partition for each list of replicas; all of them in sync, the first leads.
    pub fn topic(&mut self, partitions: &[&[i32]]) {
        let mut records = vec![TopicRecord { name: "t".into(), topic_id: TOPIC }.into()];
        for (index, replicas) in (0..).zip(partitions) {
            let partition = PartitionRegistration {
                replicas: replicas.to_vec(),
                isr: replicas.to_vec(),
                leader: replicas[0],
                directories: replicas.iter().map(|id| directory(*id)).collect(),
                ..PartitionRegistration::default()
            };
            records.push(partition.to_record(TOPIC, index, MetadataVersion::LATEST).into());
        }
        self.write(records);
    }

    pub fn set(&mut self, key: &str, value: &str) {
        let record = ConfigRecord {
            resource_type: ConfigResourceType::Topic.code(),
            resource_name: "t".into(),
            name: key.into(),
            value: Some(value.into()),
        };
        self.write(vec![record.into()]);
    }

    pub fn partition(&self, index: i32) -> &PartitionRegistration {
        self.image().partition(TOPIC, index).expect("it is there")
    }

    /// `leader isr elr` of a partition.
    pub fn shape(&self, index: i32) -> String {
        let partition = self.partition(index);
        format!("{} {:?} {:?}", partition.leader, partition.isr, partition.elr)
    }

    pub fn kill(&mut self, broker: i32) {
        let response = self.beat(broker, |beat| (beat.want_fence, beat.want_shut_down) = (true, true));
        assert!(response.should_shut_down);
    }
}

/// The one directory of a broker.
pub fn directory(broker: i32) -> Uuid {
    Uuid::from_u128(500_000 + u128::from(broker.unsigned_abs()))
}

/// What the broker `id` sends in its `life`.
pub fn registration(id: i32, life: u128) -> BrokerRegistrationRequest {
    let feature = |name: &str, max_supported_version| Feature {
        name: name.into(),
        min_supported_version: if name == "metadata.version" { 7 } else { 0 },
        max_supported_version,
    };
    BrokerRegistrationRequest {
        broker_id: id,
        cluster_id: Str::from("house"),
        incarnation_id: Uuid::from_u128(1_000_000 * life + 1),
        features: vec![
            feature("metadata.version", MetadataVersion::LATEST.level()),
            feature("eligible.leader.replicas.version", 1),
            feature("kraft.version", 1),
        ],
        rack: None,
        log_dirs: vec![directory(id)],
        previous_broker_epoch: -1,
        ..BrokerRegistrationRequest::default()
    }
}
