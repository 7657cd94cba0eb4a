//! [`Decisions`]: the controller as a coordinator of its log.

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::ProducerIdsRecord;

use super::alter_configs::{alter_configs, incremental_alter_configs};
use super::create_partitions::create_partitions;
use super::create_topics::create_topics;
use super::delete_topics::delete_topics;
use super::elections::elect_leaders;
use super::reassignments::{alter_partition_reassignments, list_partition_reassignments};
use super::request::{ControllerRequest, ControllerResponse};
use super::update_features::update_features;
use crate::config::BrokerConfig;
use crate::coordinator::{Coordinator, DecideCx, Decision, ReplayAt, Token};
use crate::metadata::{MetadataState, record};
use crate::sim::mutation::{Mutation, Planted};
use crate::time::{Instant, Now};

/// Producer ids in one block (KIP-730).
const PRODUCER_ID_BLOCK: i64 = 1_000;

/// What the controller knows besides its log.
#[derive(Clone, Debug)]
pub struct Decisions {
    config: Arc<BrokerConfig>,
    kraft_version: i16,
    /// Producer ids that are this node's to give: the next, and the end.
    producer_ids: std::ops::Range<i64>,
    planted: Planted,
}

impl Decisions {
    /// For a node that has just begun to lead.
    pub fn new(config: Arc<BrokerConfig>, kraft_version: i16, planted: Planted) -> Self {
        Self { config, kraft_version, producer_ids: 0..0, planted }
    }

    fn next_producer_id(&mut self, state: &MetadataState, token: Token) -> Decision<Self> {
        if let Some(producer_id) = self.producer_ids.next() {
            if self.planted.is(Mutation::ProducerIdsReused) {
                let again = producer_id.saturating_sub(1);
                return Decision::reply(token, ControllerResponse::NextProducerId(again));
            }
            return Decision::reply(token, ControllerResponse::NextProducerId(producer_id));
        }
        let first = state.tip().next_producer_id.unwrap_or(0);
        let next_producer_id = first.saturating_add(PRODUCER_ID_BLOCK);
        self.producer_ids = first.saturating_add(1)..next_producer_id;
        let broker_id = self.config.node_id;
        let broker_epoch = state.tip().broker(broker_id).map_or(-1, |broker| broker.epoch);
        let next_producer_id =
            if self.planted.is(Mutation::ProducerIdsNotPersisted) { first } else { next_producer_id };
        let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id };
        Decision::write(vec![record.into()], token, ControllerResponse::NextProducerId(first))
    }
}

impl Coordinator for Decisions {
    type State = MetadataState;
    type Record = MetadataRecord;
    type Request = ControllerRequest;
    type Response = ControllerResponse;

    fn decide(
        &mut self,
        cx: &mut DecideCx<'_, MetadataState>,
        token: Token,
        request: ControllerRequest,
    ) -> Decision<Self> {
        let (image, committed) = (cx.tip.tip(), cx.committed.image());
        let config = &*self.config;
        let (records, response) = match request {
            ControllerRequest::CreateTopics(request) => {
                let (records, response) = create_topics(image, config, cx.rng, &request);
                (records, ControllerResponse::CreateTopics(response))
            }
            ControllerRequest::DeleteTopics(request) => {
                let (mut records, response) = delete_topics(image, config, &request);
                if self.planted.is(Mutation::TopicDeletionNotWritten) {
                    records.clear();
                }
                (records, ControllerResponse::DeleteTopics(response))
            }
            ControllerRequest::CreatePartitions(request) => {
                let (records, response) = create_partitions(image, cx.rng, &request);
                (records, ControllerResponse::CreatePartitions(response))
            }
            ControllerRequest::IncrementalAlterConfigs(request) => {
                let (records, response) = incremental_alter_configs(image, config, &request);
                (records, ControllerResponse::IncrementalAlterConfigs(response))
            }
            ControllerRequest::AlterConfigs(request) => {
                let (records, response) = alter_configs(image, config, &request);
                (records, ControllerResponse::AlterConfigs(response))
            }
            ControllerRequest::UpdateFeatures(request) => {
                let (records, response) =
                    update_features(image, config.node_id, self.kraft_version, &request);
                (records, ControllerResponse::UpdateFeatures(response))
            }
            ControllerRequest::ElectLeaders(request) => {
                let (records, response) = elect_leaders(image, &request);
                (records, ControllerResponse::ElectLeaders(response))
            }
            ControllerRequest::AlterPartitionReassignments(request) => {
                let response = alter_partition_reassignments(image, &request);
                (Vec::new(), ControllerResponse::AlterPartitionReassignments(response))
            }
            ControllerRequest::ListPartitionReassignments(request) => {
                let response = list_partition_reassignments(committed, &request);
                (Vec::new(), ControllerResponse::ListPartitionReassignments(response))
            }
            ControllerRequest::NextProducerId => return self.next_producer_id(cx.tip, token),
        };
        Decision { records, replies: vec![(token, response)] }
    }

    fn tick(&mut self, _cx: &mut DecideCx<'_, MetadataState>) -> Decision<Self> {
        Decision::none()
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// # Panics
    /// If the record does not follow: this node wrote it.
    fn replay(state: &mut MetadataState, at: ReplayAt, written: &MetadataRecord) {
        if let Err(error) = state.replay(written) {
            panic!("a {} at offset {} that does not follow: {error}", record::name(written), at.offset);
        }
    }

    fn loaded(&mut self, _now: Now, _state: &MetadataState) {}

    fn append_failed(
        &mut self,
        _now: Now,
        error: ErrorCode,
        replies: Vec<(Token, ControllerResponse)>,
    ) -> Vec<(Token, ControllerResponse)> {
        self.producer_ids = 0..0;
        replies.into_iter().map(|(token, _)| (token, ControllerResponse::Failed(error))).collect()
    }
}
