//! Requests and what becomes of them, over a store in memory.

mod acls;
mod alter_partition;
mod client_quotas;
mod configs;
mod delegation_tokens;
mod elections;
mod features;
mod heartbeats;
mod house;
mod lifecycle;
mod partition_change;
mod placing;
mod reassignments;
mod registration;
mod scram;
mod topics;

use std::sync::Arc;

use ottla_protocol::Str;
use ottla_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::*;
use crate::broker::RequestContext;
use crate::config::{Origin, Setting};
use crate::coordinator::Token;
use crate::ids::ConnectionId;
use crate::log::producer_state::AppendOrigin;
use crate::log::{AppendBatch, Log, LogConfig, MemoryStore, OpenLog};
use crate::machine::{Effects, SyncOutcome};
use crate::quorum::checkpoint::metadata_batch;
use crate::quorum::raft::rpc;
use crate::record::{BatchView, Compressors};
use crate::time::Now;
use crate::trace::Traces;

/// A controller with its store, driven one event at a time.
struct World<S: LogStore = MemoryStore> {
    config: Arc<BrokerConfig>,
    store: S,
    controller: Controller<S>,
    now: Now,
    waiting: Vec<u64>,
    published: Vec<Arc<Published>>,
    answers: Vec<ControllerResponse>,
    halted: Option<String>,
}

fn config(settings: &[(&str, &str)]) -> Arc<BrokerConfig> {
    let setting = |(name, value): &(&str, &str)| {
        ((*name).to_owned(), Setting { value: (*value).to_owned(), origin: Origin::Override })
    };
    Arc::new(BrokerConfig::resolve(settings.iter().map(setting), true).expect("they are valid").config)
}

impl World {
    fn new() -> Self {
        Self::open(MemoryStore::new(), config(&[])).expect("it opens")
    }
}

impl<S: LogStore> World<S> {
    fn open(mut store: S, config: Arc<BrokerConfig>) -> Result<Self, OpenError> {
        let now = Now { wall: 1_700_000_000_000, ..Now::default() };
        let (mut effects, mut traces) = (Effects::default(), Traces::default());
        let compressors = Compressors::default();
        let mut cx = Cx {
            now,
            store: &mut store,
            compressors: &compressors,
            effects: &mut effects,
            traces: &mut traces,
        };
        let (controller, published) = open(&mut cx, &config, Rng::from_seed(7))?;
        let mut world = Self {
            config,
            store,
            controller,
            now,
            waiting: Vec::new(),
            published: vec![published],
            answers: Vec::new(),
            halted: None,
        };
        world.take(&mut effects);
        Ok(world)
    }

    fn take(&mut self, effects: &mut Effects<S>) {
        for effect in effects.drain() {
            match effect {
                Effect::Sync { then, .. } => self.waiting.push(then.token),
                Effect::Publish(published) => self.published.push(published),
                Effect::Tell(Message::Connection(_, ConnectionEvent::Controller { response, .. })) => {
                    self.answers.push(response);
                }
                Effect::Halt { reason } => self.halted = Some(reason),
                effect => panic!("unexpected: {effect:?}"),
            }
        }
    }

    fn handle(&mut self, event: ControllerEvent) {
        let (mut effects, mut traces) = (Effects::default(), Traces::default());
        let compressors = Compressors::default();
        let mut cx = Cx {
            now: self.now,
            store: &mut self.store,
            compressors: &compressors,
            effects: &mut effects,
            traces: &mut traces,
        };
        self.controller.handle(&mut cx, event);
        self.take(&mut effects);
    }

    fn submit(&mut self, request: ControllerRequest) {
        let token = Token { connection: ConnectionId(1), request: 1 };
        let context = RequestContext::anonymous("PLAINTEXT", "/127.0.0.1");
        self.handle(ControllerEvent::Request { token, context, request, version: None });
    }

    /// Completes every sync that is under way.
    fn sync(&mut self) {
        while !self.waiting.is_empty() {
            for token in std::mem::take(&mut self.waiting) {
                self.handle(ControllerEvent::Synced { token, outcome: SyncOutcome::Done });
            }
        }
    }

    /// The answer, once it is durable.
    fn ask(&mut self, request: ControllerRequest) -> ControllerResponse {
        self.sync();
        self.submit(request);
        self.sync();
        assert_eq!(self.halted, None);
        self.answers.pop().expect("an answer")
    }

    fn create(
        &mut self,
        topics: Vec<CreatableTopic>,
        validate_only: bool,
    ) -> Vec<(String, i16, Option<String>)> {
        let request = CreateTopicsRequest { topics, timeout_ms: 1_000, validate_only };
        match self.ask(ControllerRequest::CreateTopics(request)) {
            ControllerResponse::CreateTopics(response) => response
                .topics
                .into_iter()
                .map(|topic| (topic.name.into(), topic.error_code, topic.error_message.map(String::from)))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    fn high_watermark(&self) -> i64 {
        self.controller.quorum().high_watermark().unwrap_or(0)
    }

    fn end_offset(&self) -> i64 {
        self.controller.quorum().log().end_offset()
    }

    fn describe_quorum(&mut self, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
        self.sync();
        let token = Token { connection: ConnectionId(1), request: 1 };
        let request = rpc::Request::DescribeQuorum(request);
        self.handle(ControllerEvent::Quorum { token, version: 2, request, is_of_broker: false });
        match self.answers.pop() {
            Some(ControllerResponse::Quorum(rpc::Response::DescribeQuorum(response))) => response,
            other => panic!("{other:?}"),
        }
    }

    fn image(&self) -> &MetadataImage {
        self.controller.image()
    }

    /// A new life of the node on the same disk.
    fn restart(self) -> Self {
        Self::open(self.store, self.config).expect("it opens again")
    }
}

/// As if another one had written them.
fn append_to_log(store: &mut MemoryStore, records: &[MetadataRecord]) {
    let options = OpenLog {
        dir: "./data/__cluster_metadata-0".to_owned(),
        config: LogConfig::default(),
        log_start_offset: 0,
        recovery_point: 0,
        high_watermark: 0,
        clean_shutdown: false,
        has_others: false,
    };
    let (mut log, _) = Log::open(store, Now::default(), options).expect("it opens");
    let version = crate::metadata::MetadataVersion::LATEST;
    let epoch = log.latest_epoch();
    let batch =
        metadata_batch(log.log_end_offset(), epoch, version, 0, records).build(&Compressors::default());
    let view = BatchView::read(&batch).expect("it is whole");
    let batch = AppendBatch { header: *view.header(), body: view.body() };
    let appended = log.append_as_leader(store, Now::default(), epoch, AppendOrigin::RaftLeader, &[batch]);
    appended.expect("it is appended");
}

fn topic(name: &str, num_partitions: i32) -> CreatableTopic {
    CreatableTopic { name: name.into(), num_partitions, replication_factor: -1, ..CreatableTopic::default() }
}

fn with_configs(topic: CreatableTopic, configs: &[(&str, Option<&str>)]) -> CreatableTopic {
    let configs = configs
        .iter()
        .map(|(name, value)| CreatableTopicConfig { name: (*name).into(), value: value.map(Str::from) });
    CreatableTopic { configs: configs.collect(), ..topic }
}
