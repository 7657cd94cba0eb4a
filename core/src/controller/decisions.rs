//! [`Decisions`]: the controller as a coordinator of its log.

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::ProducerIdsRecord;

use super::acls::{create_acls, delete_acls};
use super::allocate_producer_ids::{PRODUCER_ID_BLOCK, allocate_producer_ids};
use super::alter_client_quotas::alter_client_quotas;
use super::alter_configs::{alter_configs, incremental_alter_configs};
use super::alter_partition::alter_partition;
use super::alter_user_scram_credentials::alter_user_scram_credentials;
use super::assign_replicas_to_dirs::assign_replicas_to_dirs;
use super::broker_heartbeat::broker_heartbeat;
use super::broker_registration::broker_registration;
use super::cluster::Cluster;
use super::controller_registration::controller_registration;
use super::create_partitions::create_partitions;
use super::create_topics::create_topics;
use super::delegation_tokens::{EXPIRATIONS_MAX, Tokens};
use super::delete_topics::delete_topics;
use super::elections::{ELECTIONS_MAX, elect_leaders, elect_uncleanly, rebalance};
use super::heartbeats::Heartbeats;
use super::leadership;
use super::mutation_quotas::{Asker, MutationQuotas};
use super::reassignments::{alter_partition_reassignments, list_partition_reassignments};
use super::request::{ControllerRequest, ControllerResponse};
use super::unregister_broker::unregister_broker;
use super::update_features::{QuorumFacts, update_features};
use crate::config::BrokerConfig;
use crate::coordinator::{Coordinator, DecideCx, Decision, ReplayAt, Token};
use crate::metadata::{MetadataState, record};
use crate::sim::mutation::{Mutation, Planted};
use crate::time::{Instant, Now};

/// What the controller knows besides its log.
#[derive(Clone, Debug)]
pub struct Decisions {
    config: Arc<BrokerConfig>,
    quorum: QuorumFacts,
    /// The `kraft.version` that the last decision wants the quorum to go over to.
    kraft_upgrade: Option<i16>,
    /// Producer ids that are this node's to give: the next, and the end.
    producer_ids: std::ops::Range<i64>,
    heartbeats: Heartbeats,
    mutation_quotas: MutationQuotas,
    /// Who asks for what is decided next.
    asker: Asker,
    /// Whose session the last decision ended.
    expired: Option<i32>,
    /// When preferred replicas are next given the lead; never without `auto.leader.rebalance.enable`.
    rebalance_due: Option<Instant>,
    /// When partitions without a leader are next looked at for an unclean election.
    unclean_elections_due: Option<Instant>,
    /// When delegation tokens that have expired are next removed.
    token_expirations_due: Option<Instant>,
    planted: Planted,
}

impl Decisions {
    /// For a node that has just begun to lead.
    pub fn new(config: Arc<BrokerConfig>, planted: Planted) -> Self {
        Self {
            heartbeats: Heartbeats::new(i64::from(config.broker_session_timeout_ms)),
            mutation_quotas: MutationQuotas::new(&config),
            asker: Asker::default(),
            config,
            quorum: QuorumFacts::default(),
            kraft_upgrade: None,
            producer_ids: 0..0,
            expired: None,
            rebalance_due: None,
            unclean_elections_due: None,
            token_expirations_due: None,
            planted,
        }
    }

    /// What the quorum is by now.
    pub fn set_quorum(&mut self, quorum: QuorumFacts) {
        self.quorum = quorum;
    }

    /// Who asks for what is decided next.
    pub fn set_asker(&mut self, asker: Asker) {
        self.asker = asker;
    }

    /// What the last decision wants of the quorum.
    pub fn take_kraft_upgrade(&mut self) -> Option<i16> {
        self.kraft_upgrade.take()
    }

    /// A broker is known to be gone.
    pub fn lose(&mut self, broker: i32, epoch: i64) {
        self.heartbeats.lose(broker, epoch);
    }

    /// When to look at leaders again after so many were elected: at once when there may be more.
    fn rebalance_after(&self, now: Instant, elected: usize) -> Option<Instant> {
        let interval_ms = self.config.leader_imbalance_check_interval_seconds.saturating_mul(1_000);
        let due = now.plus_ms(if elected < ELECTIONS_MAX { interval_ms } else { 0 });
        self.config.auto_leader_rebalance_enable.then_some(due)
    }

    fn unclean_elections_after(&self, now: Instant, elected: usize) -> Option<Instant> {
        let interval_ms = self.config.unclean_leader_election_interval_ms;
        Some(now.plus_ms(if elected < ELECTIONS_MAX { interval_ms } else { 0 }))
    }

    fn token_expirations_after(&self, now: Instant, removed: usize) -> Option<Instant> {
        let interval_ms = self.config.delegation_token_expiry_check_interval_ms;
        Some(now.plus_ms(if removed < EXPIRATIONS_MAX { interval_ms } else { 0 }))
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
        let next_producer_id = first.saturating_add(i64::from(PRODUCER_ID_BLOCK));
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
        let config = self.config.clone();
        let (config, now) = (&*config, cx.now.monotonic);
        let cluster = Cluster { image, config, planted: self.planted };
        let tokens = Tokens { image, config, now: cx.now.wall };
        let mut is_atomic = true;
        self.expired = None;
        let mut quota = self.mutation_quotas.of(now, &committed.client_quotas, &self.asker);
        let (records, response) = match request {
            ControllerRequest::CreateTopics(request) => {
                let (records, response) = create_topics(image, config, cx.rng, &mut quota, &request);
                (records, ControllerResponse::CreateTopics(response))
            }
            ControllerRequest::DeleteTopics(request) => {
                let (mut records, response) = delete_topics(image, config, &mut quota, &request);
                if self.planted.is(Mutation::TopicDeletionNotWritten) {
                    records.clear();
                }
                (records, ControllerResponse::DeleteTopics(response))
            }
            ControllerRequest::CreatePartitions(request) => {
                let (records, response) = create_partitions(image, cx.rng, &mut quota, &request);
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
                let (changes, response) = update_features(cluster, &self.quorum, &request);
                self.kraft_upgrade = changes.kraft_version;
                (changes.records, ControllerResponse::UpdateFeatures(response))
            }
            ControllerRequest::ElectLeaders(request) => {
                let (records, response) = elect_leaders(cluster, &request);
                is_atomic = false;
                (records, ControllerResponse::ElectLeaders(response))
            }
            ControllerRequest::AlterPartitionReassignments(request) => {
                let (records, response) = alter_partition_reassignments(cluster, &request);
                (records, ControllerResponse::AlterPartitionReassignments(response))
            }
            ControllerRequest::ListPartitionReassignments(request) => {
                let response = list_partition_reassignments(committed, &request);
                (Vec::new(), ControllerResponse::ListPartitionReassignments(response))
            }
            ControllerRequest::NextProducerId => return self.next_producer_id(cx.tip, token),
            ControllerRequest::BrokerRegistration(request) => {
                let (heartbeats, kraft_version) = (&mut self.heartbeats, self.quorum.kraft_version);
                let (records, response) =
                    broker_registration(cluster, heartbeats, kraft_version, now, cx.next_offset, &request);
                is_atomic = false;
                (records, ControllerResponse::BrokerRegistration(response))
            }
            ControllerRequest::BrokerHeartbeat(request) => {
                let (records, response) =
                    broker_heartbeat(cluster, &mut self.heartbeats, now, cx.next_offset, &request);
                is_atomic = false;
                (records, ControllerResponse::BrokerHeartbeat(response))
            }
            ControllerRequest::ControllerRegistration(request) => {
                let (records, response) = controller_registration(image, &request);
                (records, ControllerResponse::ControllerRegistration(response))
            }
            ControllerRequest::AlterPartition(request) => {
                let (records, response) = alter_partition(cluster, &request);
                is_atomic = false;
                (records, ControllerResponse::AlterPartition(response))
            }
            ControllerRequest::AllocateProducerIds(request) => {
                let (records, response) = allocate_producer_ids(cluster, &request);
                (records, ControllerResponse::AllocateProducerIds(response))
            }
            ControllerRequest::UnregisterBroker(request) => {
                let (records, response) = unregister_broker(cluster, &mut self.heartbeats, &request);
                is_atomic = false;
                (records, ControllerResponse::UnregisterBroker(response))
            }
            ControllerRequest::AlterClientQuotas(request) => {
                let (records, response) = alter_client_quotas(image, &request);
                (records, ControllerResponse::AlterClientQuotas(response))
            }
            ControllerRequest::CreateAcls(request) => {
                let (records, response) = create_acls(image, cx.rng, &request);
                (records, ControllerResponse::CreateAcls(response))
            }
            ControllerRequest::DeleteAcls(request) => {
                let (records, response) = delete_acls(image, &request);
                (records, ControllerResponse::DeleteAcls(response))
            }
            ControllerRequest::AlterUserScramCredentials(request) => {
                let (records, response) = alter_user_scram_credentials(image, &request);
                (records, ControllerResponse::AlterUserScramCredentials(response))
            }
            ControllerRequest::CreateDelegationToken(principal, request) => {
                let (records, response) = tokens.create(cx.rng, &principal, &request);
                (records, ControllerResponse::CreateDelegationToken(response))
            }
            ControllerRequest::RenewDelegationToken(principal, request) => {
                let (records, response) = tokens.renew(&principal, &request);
                (records, ControllerResponse::RenewDelegationToken(response))
            }
            ControllerRequest::ExpireDelegationToken(principal, request) => {
                let (records, response) = tokens.expire(&principal, &request);
                (records, ControllerResponse::ExpireDelegationToken(response))
            }
            ControllerRequest::AssignReplicasToDirs(request) => {
                let (records, response) = assign_replicas_to_dirs(cluster, &request);
                is_atomic = false;
                (records, ControllerResponse::AssignReplicasToDirs(response))
            }
        };
        Decision { is_atomic, ..Decision::write(records, token, response) }
    }

    /// One thing at a time, so that each sees what became of the one before.
    fn tick(&mut self, cx: &mut DecideCx<'_, MetadataState>) -> Decision<Self> {
        let now = cx.now.monotonic;
        let cluster = Cluster { image: cx.tip.tip(), config: &self.config, planted: self.planted };
        self.expired = None;
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        let records = if let Some((broker, epoch)) = self.heartbeats.take_expired(now) {
            self.expired = Some(broker);
            let registered = cluster.registered(broker, epoch);
            registered.map_or_else(|_| Vec::new(), |broker| leadership::fence(cluster, broker))
        } else if is_due(self.rebalance_due) {
            let records = rebalance(cluster);
            self.rebalance_due = self.rebalance_after(now, records.len());
            records
        } else if is_due(self.unclean_elections_due) {
            let records = elect_uncleanly(cluster);
            self.unclean_elections_due = self.unclean_elections_after(now, records.len());
            records
        } else if is_due(self.token_expirations_due) {
            let tokens = Tokens { image: cluster.image, config: &self.config, now: cx.now.wall };
            let records = tokens.sweep();
            self.token_expirations_due = self.token_expirations_after(now, records.len());
            records
        } else {
            Vec::new()
        };
        Decision::records(records).divisible()
    }

    fn deadline(&self) -> Option<Instant> {
        let elections = [self.rebalance_due, self.unclean_elections_due];
        let others = [self.heartbeats.deadline(), self.token_expirations_due];
        elections.into_iter().chain(others).flatten().min()
    }

    /// # Panics
    /// If the record does not follow: this node wrote it.
    fn replay(state: &mut MetadataState, at: ReplayAt, written: &MetadataRecord) {
        if let Err(error) = state.replay(written) {
            panic!("a {} at offset {} that does not follow: {error}", record::name(written), at.offset);
        }
    }

    /// A controller that begins to lead knows when nobody was heard of last: every broker that is not fenced gets a whole session.
    fn loaded(&mut self, now: Now, state: &MetadataState) {
        self.heartbeats.load(now.monotonic, state.tip());
        self.rebalance_due = self.rebalance_after(now.monotonic, 0);
        self.unclean_elections_due = self.unclean_elections_after(now.monotonic, 0);
        self.token_expirations_due = self.token_expirations_after(now.monotonic, 0);
    }

    fn append_failed(
        &mut self,
        now: Now,
        error: ErrorCode,
        replies: Vec<(Token, ControllerResponse)>,
    ) -> Vec<(Token, ControllerResponse)> {
        self.producer_ids = 0..0;
        if let Some(broker) = self.expired.take() {
            self.heartbeats.renew(now.monotonic, broker);
        }
        // Elections and expirations of which there were too many for one decision do not go on at once.
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now.monotonic);
        if is_due(self.rebalance_due) {
            self.rebalance_due = self.rebalance_after(now.monotonic, 0);
        }
        if is_due(self.unclean_elections_due) {
            self.unclean_elections_due = self.unclean_elections_after(now.monotonic, 0);
        }
        if is_due(self.token_expirations_due) {
            self.token_expirations_due = self.token_expirations_after(now.monotonic, 0);
        }
        replies.into_iter().map(|(token, _)| (token, ControllerResponse::Failed(error))).collect()
    }
}
