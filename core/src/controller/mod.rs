//! The controller: decides what happens to topics, configurations, features and brokers, and writes it into the metadata log.
//!
//! Every node has a replica of that log, and [`Controller`] is the machine around it: it publishes what is committed, takes snapshots,
//! speaks to the other replicas and, where the replica leads, lets [`Decisions`] decide on the shared decide/replay runtime and answers.
//! One file per API.

mod acls;
mod allocate_producer_ids;
mod alter_client_quotas;
pub mod alter_configs;
mod alter_partition;
mod alter_user_scram_credentials;
mod assign_replicas_to_dirs;
mod broker_heartbeat;
mod broker_registration;
mod cluster;
mod controller_registration;
mod create_partitions;
mod create_topics;
mod decisions;
mod delegation_tokens;
mod delete_topics;
mod elections;
mod error;
mod heartbeats;
mod introduction;
mod leadership;
mod leading;
pub mod mutation_quotas;
pub(crate) mod names;
mod partition_change;
mod peers;
mod placement;
mod producer_ids;
pub(crate) mod racks;
mod reassignments;
mod registration;
mod request;
mod rhythms;
mod suspects;
mod unregister_broker;
mod update_features;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use ottla_protocol::records::metadata::RemoveTopicRecord;
use ottla_protocol::{ErrorCode, Uuid};

pub use decisions::Decisions;
pub use delegation_tokens::{split_principal, token_owner};
pub use error::ApiError;
pub use registration::registration_request;
pub use request::{ControllerEvent, ControllerRequest, ControllerResponse};
pub use update_features::QuorumFacts;

use self::introduction::Introduction;
use self::leading::Leading;
use self::mutation_quotas::Asker;
use self::peers::{Answered, Look, Peers};
use self::producer_ids::ProducerIds;
use self::rhythms::Rhythms;
use self::suspects::Suspects;
use crate::broker::{ConnectionEvent, LifecycleEvent, Message, RequestContext};
use crate::config::BrokerConfig;
use crate::coordinator::Token;
use crate::ids::ConnectionId;
use crate::log::LogStore;
use crate::machine::{Cx, Effect, LinkOwner, Machine, SyncCompletion, Waiter};
use crate::metadata::cluster::BrokerRegistration;
use crate::metadata::{MetadataDelta, MetadataImage, MetadataRecord, MetadataState, Published};
use crate::network::Target;
use crate::quorum::checkpoint::{Checkpoint, SnapshotId};
use crate::quorum::open::{first_records, load_snapshot};
use crate::quorum::raft::{
    Quorum, QuorumCx, QuorumEffect, QuorumEvent, Request as QuorumRequest, RequestId, VoterSet,
};
use crate::quorum::{self, OpenError, Opened, records};
use crate::rng::Rng;
use crate::sim::mutation::Mutation;
use crate::small_map::SmallMap;
use crate::time::Instant;
use crate::trace::TraceEvent;

/// How long a leader of the quorum that stops may take to hand over, ms.
const HAND_OVER_MS: i64 = 2_000;
/// How long a client may wait to hear who leads instead of a broker that this node has lost sight of, ms.
const NEWS_MS: i64 = 500;
/// Committed bytes that are replayed at a time.
const REPLAY_BYTES: u64 = 8 << 20;

/// A node's replica of the metadata log, and the decisions of the one that leads.
#[derive(Clone, Debug)]
pub struct Controller<S: LogStore> {
    config: Arc<BrokerConfig>,
    quorum: Quorum<S>,
    quorum_deadline: Option<Instant>,
    peers: Peers,
    role: Role,
    rng: Rng,
    introduction: Introduction,
    producer_ids: ProducerIds,
    suspects: Suspects,
    rhythms: Rhythms,
    /// Brokers that this node has lost sight of, and until when that is news.
    lost: SmallMap<i32, Instant>,
    /// The ids of the log directories that can be used.
    directories: Vec<Uuid>,
    /// Requests that the quorum will answer.
    asked: SmallMap<RequestId, Token>,
    next_request: u64,
    published: MetadataImage,
    has_published: bool,
    /// Who was said to lead.
    leader_published: i32,
    /// The `kraft.version` that was published last: its change is no record of the metadata.
    kraft_version_published: i16,
    /// Committed since.
    unseen: Vec<MetadataRecord>,
    /// The first image speaks of everything below, committed or not.
    opened_up_to: i64,
    /// When the last record was written that is replayed, ms.
    timestamp: i64,
    snapshot: SnapshotPlan,
}

/// What the node does with the metadata log.
#[derive(Clone, Debug)]
enum Role {
    /// Replays what others have committed: the state below `next_offset`.
    Following { state: MetadataState, next_offset: i64 },
    /// Writes it.
    Leading(Box<Leading>),
}

/// When the next snapshot is due.
#[derive(Clone, Copy, Debug)]
struct SnapshotPlan {
    bytes_max: u64,
    interval_ms: i64,
    /// If anything was written by then.
    due: Instant,
}

/// Opens a node's metadata, formatting its directories if they are all empty, and takes its place in the quorum. The image is what the node
/// starts with: a voter that is alone leads at once, registers itself, and knows all that its log holds; others know nothing yet.
pub fn open<S: LogStore>(
    cx: &mut Cx<'_, S>,
    config: &Arc<BrokerConfig>,
    mut rng: Rng,
) -> Result<(Controller<S>, Arc<Published>), OpenError> {
    let Opened { quorum, effects, state, next_offset, directories } =
        quorum::open::open(cx, &mut rng, config)?;
    // A driver that gives every life of a node the same seed still gets other ids in each.
    let life = u64::try_from(quorum.epoch()).unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut rng = Rng::from_seed(rng.next_u64().wrapping_add(life));
    let own = config.log_dirs.iter().filter_map(|directory| directories.get(directory).copied());
    let interval_ms = config.metadata_log_max_snapshot_interval_ms;
    let bytes_max = config.metadata_log_max_record_bytes_between_snapshots;
    let mut controller = Controller {
        directories: own.collect(),
        config: config.clone(),
        published: MetadataImage::empty(state.image().cluster_id.clone()),
        role: Role::Following { state, next_offset },
        quorum_deadline: None,
        quorum,
        peers: Peers::new(config.node_id),
        introduction: Introduction::new(rng.uuid()),
        producer_ids: ProducerIds::default(),
        suspects: Suspects::default(),
        lost: SmallMap::new(),
        rhythms: Rhythms::new(i64::from(config.broker_session_timeout_ms)),
        rng,
        asked: SmallMap::new(),
        next_request: 0,
        has_published: false,
        leader_published: -1,
        kraft_version_published: 0,
        unseen: Vec::new(),
        opened_up_to: 0,
        timestamp: cx.now.wall,
        snapshot: SnapshotPlan {
            bytes_max: u64::try_from(bytes_max).unwrap_or(u64::MAX),
            interval_ms,
            due: cx.now.monotonic.plus_ms(interval_ms),
        },
    };
    let mut effects = VecDeque::from(effects);
    if controller.quorum.epoch_start_offset().is_some() {
        effects.extend(controller.lead_alone(cx)?);
    }
    let delta = MetadataDelta::everything(&controller.published);
    let published = controller.to_publish(delta, controller.opened_up_to);
    controller.leader_published = published.leader_id;
    controller.kraft_version_published = published.kraft_version;
    controller.carry_out(cx, effects)?;
    Ok((controller, Arc::new(published)))
}

impl<S: LogStore> Machine<S> for Controller<S> {
    type Event = ControllerEvent;

    fn handle(&mut self, cx: &mut Cx<'_, S>, event: ControllerEvent) {
        if let Err(error) = self.try_handle(cx, event) {
            cx.effects.push(Effect::Halt { reason: error.to_string() });
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let own = [self.quorum_deadline, self.snapshot_deadline(), self.brokers_deadline()];
        let others = [self.peers.deadline(), self.introduction.deadline()];
        let suspicions = [self.suspects.deadline(), self.rhythms.deadline()];
        let deadlines = own.into_iter().chain(others).chain(suspicions);
        deadlines.flatten().min()
    }
}

impl<S: LogStore> Controller<S> {
    /// The metadata as of the high watermark.
    pub fn image(&self) -> &MetadataImage {
        &self.published
    }

    /// Whether this node is a cluster of its own: the only voter, and a broker.
    pub fn is_alone(&self) -> bool {
        self.config.process_roles.broker && self.quorum.voters().is_only_voter(self.quorum.key())
    }

    /// The ids of the log directories that can be used.
    pub fn directories(&self) -> &[Uuid] {
        &self.directories
    }

    /// The replica of the metadata log.
    pub fn quorum(&self) -> &Quorum<S> {
        &self.quorum
    }

    fn try_handle(&mut self, cx: &mut Cx<'_, S>, event: ControllerEvent) -> Result<(), OpenError> {
        match event {
            ControllerEvent::Request { token, context, request, version } => {
                // Whoever asks a controller that is not the active one is to look for that.
                let is_of_controller = self.config.is_controller_listener(&context.listener);
                if let ControllerRequest::BrokerHeartbeat(heartbeat) = &request
                    && token.connection != ConnectionId::BROKER
                {
                    let (broker, epoch) = (heartbeat.broker_id, heartbeat.broker_epoch);
                    self.suspects.heard(token.connection, broker, epoch);
                    if !self.may_pause(broker) {
                        self.rhythms.heard(cx.now.monotonic, broker, epoch);
                    }
                }
                if context.envelope.is_some() && matches!(self.role, Role::Following { .. }) {
                    reply(cx, token, ControllerResponse::Failed(ErrorCode::NotController));
                    return Ok(());
                }
                self.decide(cx, (token, context), request, version, is_of_controller)
            }
            ControllerEvent::Quorum { token, request, is_of_broker: true, .. }
                if let (Role::Following { .. }, Some(leader)) = (&self.role, self.quorum.leader_peer()) =>
            {
                let timeout_ms = i64::from(self.config.controller_socket_timeout_ms);
                self.peers.forward_to_quorum(cx.now.monotonic, &leader, token, request, timeout_ms);
                self.take_answers(cx)
            }
            ControllerEvent::Quorum { token, version, request, .. } => {
                if let QuorumRequest::Fetch(fetch) = &request {
                    let id = fetch.replica_state.replica_id.max(fetch.replica_id);
                    if let Some(broker) = self.published.broker(id).filter(|broker| !broker.fenced) {
                        self.suspects.heard(token.connection, id, broker.epoch);
                    }
                }
                let from = RequestId(self.next_request);
                self.next_request = self.next_request.saturating_add(1);
                self.asked.insert(from, token);
                self.tell_quorum(cx, QuorumEvent::Request { from, version, request })
            }
            ControllerEvent::Synced { token, outcome } => {
                self.tell_quorum(cx, QuorumEvent::Synced { token, outcome })
            }
            ControllerEvent::Link(event) => {
                self.peers.handle(event);
                self.take_answers(cx)
            }
            ControllerEvent::ConnectionClosed(connection) => {
                self.suspects.closed(cx.now.monotonic, connection);
                self.look_at_suspects(cx)
            }
            // Without fast fencing the news would come too late for those who wait.
            ControllerEvent::Lost(broker) if self.config.ottla_broker_fast_fencing_enable => {
                let now = cx.now.monotonic;
                self.lost.retain(|_, until| *until > now);
                self.lost.insert(broker, now.plus_ms(NEWS_MS));
                if self.has_published {
                    self.publish_again(cx);
                }
                Ok(())
            }
            ControllerEvent::Lost(_) => Ok(()),
            ControllerEvent::Stop => self.tell_quorum(cx, QuorumEvent::Stop { timeout_ms: HAND_OVER_MS }),
            ControllerEvent::Tick => {
                self.peers.tick(cx.now.monotonic);
                self.take_answers(cx)?;
                self.tell_quorum(cx, QuorumEvent::Tick)?;
                self.look_at_suspects(cx)?;
                self.look_after_brokers(cx)?;
                self.maybe_snapshot(cx)
            }
        }
    }

    fn decide(
        &mut self,
        cx: &mut Cx<'_, S>,
        (token, context): (Token, RequestContext),
        request: ControllerRequest,
        version: Option<i16>,
        is_of_controller: bool,
    ) -> Result<(), OpenError> {
        let Role::Leading(leading) = &mut self.role else {
            return self.pass_on(
                cx,
                token,
                request,
                version.map(|version| (version, context)),
                is_of_controller,
            );
        };
        let asker = Asker {
            user: context.user(),
            is_strict: request.is_strict(version),
            client_id: context.client_id,
        };
        let effects = leading.submit(cx, &mut self.quorum, (token, asker), request)?;
        self.carry_out(cx, effects.into())
    }

    /// Another one decides. Who asked a controller that is not the active one is to look for that; what was asked of a broker is passed on.
    fn pass_on(
        &mut self,
        cx: &mut Cx<'_, S>,
        mut token: Token,
        mut request: ControllerRequest,
        mut asked: Option<(i16, RequestContext)>,
        is_of_controller: bool,
    ) -> Result<(), OpenError> {
        if request == ControllerRequest::NextProducerId {
            if let Some(id) = self.producer_ids.next(token) {
                reply(cx, token, ControllerResponse::NextProducerId(id));
                return Ok(());
            }
            let id = self.config.node_id;
            let epoch = self.published.broker(id).map_or(-1, |broker| broker.epoch);
            let Some(wanted) = self.producer_ids.wanted(id, epoch) else { return Ok(()) };
            (token, request, asked) = (producer_ids::TOKEN, wanted, None);
        }
        let is_own = token.connection == ConnectionId::BROKER;
        match self.quorum.leader_peer() {
            Some(leader) if is_own || !is_of_controller => {
                let timeout_ms = i64::from(self.config.controller_socket_timeout_ms);
                self.peers.forward(cx.now.monotonic, &leader, token, (request, asked), timeout_ms);
            }
            _ => self.peers.refuse(token, request.refusal(ErrorCode::NotController)),
        }
        self.take_answers(cx)
    }

    /// When something is due for a broker, or for tokens, which are given to clients of other brokers; never on a node that is alone with its
    /// broker, which lives and dies with it.
    fn brokers_deadline(&self) -> Option<Instant> {
        match &self.role {
            Role::Leading(leading) if !self.is_alone() || self.published.brokers().count() > 1 => {
                leading.deadline()
            }
            _ => None,
        }
    }

    /// Looks whether brokers are there whose connection has closed.
    fn look_at_suspects(&mut self, cx: &mut Cx<'_, S>) -> Result<(), OpenError> {
        let now = cx.now.monotonic;
        if !matches!(self.role, Role::Leading(_)) || !self.config.ottla_broker_fast_fencing_enable {
            self.suspects.forget();
            self.rhythms.forget();
            return Ok(());
        }
        while let Some((broker, epoch)) = self.rhythms.take_silent(now) {
            self.lose(cx, broker, epoch)?;
        }
        for id in self.suspects.take_due(now) {
            let broker = self.published.broker(id).filter(|broker| !broker.fenced);
            let endpoint = broker.and_then(|broker| {
                let between_brokers = broker.endpoint(&self.config.inter_broker_listener_name);
                between_brokers.or(broker.endpoints.first())
            });
            match endpoint {
                Some(at) => {
                    self.peers.look(now, id, &Target { host: at.host.clone(), port: at.port });
                }
                None => _ = self.suspects.looked(now, id, Look::Answered, true),
            }
        }
        self.take_answers(cx)
    }

    fn may_pause(&self, broker: i32) -> bool {
        self.published.broker(broker).is_none_or(BrokerRegistration::may_pause)
    }

    /// A broker is gone, or hangs.
    fn lose(&mut self, cx: &mut Cx<'_, S>, broker: i32, epoch: i64) -> Result<(), OpenError> {
        let Role::Leading(leading) = &mut self.role else { return Ok(()) };
        leading.lose(broker, epoch);
        self.look_after_brokers(cx)
    }

    fn look_after_brokers(&mut self, cx: &mut Cx<'_, S>) -> Result<(), OpenError> {
        let is_due = self.brokers_deadline().is_some_and(|due| due <= cx.now.monotonic);
        let Role::Leading(leading) = &mut self.role else { return Ok(()) };
        if !is_due {
            return Ok(());
        }
        let effects = leading.tick(cx, &mut self.quorum)?;
        self.carry_out(cx, effects.into())
    }

    fn take_answers(&mut self, cx: &mut Cx<'_, S>) -> Result<(), OpenError> {
        for answer in self.peers.take_answers() {
            match answer {
                Answered::Quorum(event) => self.tell_quorum(cx, event)?,
                Answered::Forwarded(producer_ids::TOKEN, response) => {
                    let answers = self.producer_ids.answered(&response);
                    answers.into_iter().for_each(|(token, response)| reply(cx, token, response));
                }
                Answered::Forwarded(token, response) => reply(cx, token, response),
                Answered::Look { broker, look } => {
                    let may_pause = self.may_pause(broker);
                    if let Some(epoch) = self.suspects.looked(cx.now.monotonic, broker, look, may_pause) {
                        self.lose(cx, broker, epoch)?;
                    }
                }
                Answered::Registration(is_done) => self.introduction.answered(cx.now.monotonic, is_done),
            }
        }
        self.use_links(cx);
        Ok(())
    }

    fn tell_quorum(&mut self, cx: &mut Cx<'_, S>, event: QuorumEvent) -> Result<(), OpenError> {
        let (mut effects, planted) = (Vec::new(), cx.traces.planted());
        let mut quorum_cx = QuorumCx { now: cx.now, store: cx.store, effects: &mut effects, planted };
        self.quorum.handle(&mut quorum_cx, event);
        self.carry_out(cx, effects.into())
    }

    /// Does what the quorum asks for, and what follows from it.
    fn carry_out(
        &mut self,
        cx: &mut Cx<'_, S>,
        mut effects: VecDeque<QuorumEffect<S>>,
    ) -> Result<(), OpenError> {
        let timeout_ms = self.quorum.config().request_timeout_ms;
        while let Some(effect) = effects.pop_front() {
            match effect {
                QuorumEffect::Send { to, correlation, request } => {
                    self.peers.send(cx.now.monotonic, &to, correlation, request, timeout_ms);
                }
                QuorumEffect::Reply { to, response } => {
                    if let Some(token) = self.asked.remove(&to) {
                        reply(cx, token, ControllerResponse::Quorum(response));
                    }
                }
                QuorumEffect::Sync { targets, token } => {
                    let then = SyncCompletion { waiter: Waiter::Controller, token };
                    cx.effects.push(Effect::Sync { targets, then });
                }
                QuorumEffect::LeaderChanged { leader_id, epoch } => {
                    // A controller that hangs answers nothing more; whoever asked asks the next one.
                    self.peers.refuse_forwarded();
                    effects.extend(self.leader_changed(cx, leader_id, epoch)?);
                    if self.has_published && self.quorum.leader_id().unwrap_or(-1) != self.leader_published {
                        self.publish_again(cx);
                    }
                }
                QuorumEffect::HighWatermarkAdvanced { high_watermark } => {
                    self.committed(cx, high_watermark)?;
                }
                QuorumEffect::SnapshotInstalled { id } => self.snapshot_installed(cx, id)?,
                QuorumEffect::Stopped => {
                    cx.effects.tell(Message::Lifecycle(LifecycleEvent::ControllerStopped));
                }
                QuorumEffect::Failed { reason } => return Err(OpenError::Quorum(reason)),
            }
        }
        if let Role::Leading(leading) = &mut self.role {
            leading.take_ready().into_iter().for_each(|(token, response)| reply(cx, token, response));
        }
        if self.peers.has_refused() {
            self.take_answers(cx)?;
        }
        self.introduce(cx)?;
        self.use_links(cx);
        self.quorum_deadline = self.quorum.deadline(cx.now.monotonic);
        Ok(())
    }

    /// A controller, voter or not, tells the active one that it is there; where it is that itself, it writes it down.
    fn introduce(&mut self, cx: &mut Cx<'_, S>) -> Result<(), OpenError> {
        if !self.config.process_roles.controller || !self.has_published {
            return Ok(());
        }
        let id = self.introduction.incarnation_id();
        let image = match &self.role {
            Role::Leading(leading) => leading.tip().tip(),
            Role::Following { state, .. } => state.image(),
        };
        let is_known = image.cluster.controllers.get(&self.config.node_id);
        let is_known = is_known.is_some_and(|controller| controller.incarnation_id == id);
        if is_known || !image.features.metadata_version().has_controller_registrations() {
            self.introduction.done();
            return Ok(());
        }
        let record = registration::register_controller(&self.config, id);
        match &mut self.role {
            Role::Leading(leading) => {
                self.introduction.done();
                let version = leading.tip().tip().features.metadata_version();
                let records = vec![record.into()];
                let effects = leading.write(cx, &mut self.quorum, version, records)?;
                self.carry_out(cx, effects.into())
            }
            Role::Following { .. } => {
                let now = cx.now.monotonic;
                if !self.introduction.is_due(now) {
                    return Ok(());
                }
                match self.quorum.leader_peer() {
                    Some(leader) => {
                        let timeout_ms = self.quorum.config().request_timeout_ms;
                        self.introduction.sent(now, timeout_ms);
                        self.peers.register(now, &leader, introduction::request(record), timeout_ms);
                    }
                    // It is called again when there is one.
                    None => self.introduction.done(),
                }
                Ok(())
            }
        }
    }

    fn use_links(&mut self, cx: &mut Cx<'_, S>) {
        for effect in self.peers.take_effects() {
            cx.effects.push(Effect::Link { owner: LinkOwner::Controller, effect });
        }
    }

    fn leader_changed(
        &mut self,
        cx: &mut Cx<'_, S>,
        leader_id: Option<i32>,
        epoch: i32,
    ) -> Result<Vec<QuorumEffect<S>>, OpenError> {
        let leads = leader_id == Some(self.config.node_id);
        // It is said to lead once all from before is committed; a voter that is alone does not wait for that.
        let still_leads = self.quorum.epoch_start_offset().is_some();
        match &mut self.role {
            Role::Following { .. } if leads => self.lead(cx, epoch),
            Role::Leading(leading) if leading.epoch() != epoch || !still_leads => {
                let (state, refusals) = leading.abandon(cx.now);
                let next_offset = self.quorum.high_watermark().unwrap_or(0);
                self.role = Role::Following { state, next_offset };
                refusals.into_iter().for_each(|(token, response)| reply(cx, token, response));
                if leads { self.lead(cx, epoch) } else { Ok(Vec::new()) }
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Begins to decide: what is committed has been replayed, and there is nothing else in the log but that it leads.
    fn lead(&mut self, cx: &mut Cx<'_, S>, epoch: i32) -> Result<Vec<QuorumEffect<S>>, OpenError> {
        let Role::Following { state, .. } = &self.role else { return Ok(Vec::new()) };
        let state = state.clone();
        let (version, records) = first_records(cx, &self.config, &state)?;
        let decisions = Decisions::new(self.config.clone(), cx.traces.planted());
        let mut leading = Leading::new(epoch, decisions, state, cx.now, self.rng.fork());
        let effects = leading.write(cx, &mut self.quorum, version, records)?;
        if let Some(unsupported) = leading.tip().image().features.unsupported() {
            return Err(OpenError::Unsupported(unsupported));
        }
        self.role = Role::Leading(Box::new(leading));
        // Who led before may have taken its broker with it.
        let others = self.published.unfenced_brokers().filter(|broker| broker.id != self.config.node_id);
        self.suspects.suspect(cx.now.monotonic, others.map(|broker| (broker.id, broker.epoch)));
        Ok(effects)
    }

    /// Begins to decide as the only voter, for itself: all that is in the log counts, and so does that this node is there.
    fn lead_alone(&mut self, cx: &mut Cx<'_, S>) -> Result<Vec<QuorumEffect<S>>, OpenError> {
        let mut effects = self.lead(cx, self.quorum.epoch())?;
        let Role::Leading(leading) = &mut self.role else { return Ok(effects) };
        let image = leading.tip().image().clone();
        let end_offset = self.quorum.log().end_offset();
        let incarnation_id = self.introduction.incarnation_id();
        let (config, directories) = (&self.config, &self.directories);
        let mut records =
            registration::register(&image, config, directories, incarnation_id, &mut self.rng, end_offset);
        if cx.traces.planted().is(Mutation::LeaderEpochNotRaised) {
            records.retain(|record| !matches!(record, MetadataRecord::PartitionChange(_)));
        }
        effects.extend(leading.write(cx, &mut self.quorum, image.features.metadata_version(), records)?);
        self.published = leading.publish_tip();
        self.has_published = true;
        self.opened_up_to = self.quorum.log().end_offset();
        Ok(effects)
    }

    /// Everything below is committed.
    fn committed(&mut self, cx: &mut Cx<'_, S>, high_watermark: i64) -> Result<(), OpenError> {
        let mut records = Vec::new();
        match &mut self.role {
            Role::Leading(leading) => {
                records = leading.high_watermark_advanced(high_watermark);
                self.timestamp = leading.timestamp();
            }
            Role::Following { state, next_offset } => {
                while *next_offset < high_watermark {
                    let bytes = self.quorum.read_committed(cx.store, *next_offset, REPLAY_BYTES)?;
                    let decoded = records::decode(&bytes, cx.compressors, *next_offset)?;
                    if decoded.next_offset == *next_offset {
                        break;
                    }
                    (*next_offset, self.timestamp) = (decoded.next_offset, decoded.timestamp);
                    records.extend(records::replay(decoded, state)?);
                }
            }
        }
        self.unseen.extend(records);
        self.publish(cx, high_watermark);
        if self.snapshot.bytes_max <= self.quorum.log().bytes_since_snapshot() {
            self.maybe_snapshot(cx)?;
        }
        Ok(())
    }

    /// What is committed.
    fn state(&self) -> &MetadataState {
        match &self.role {
            Role::Leading(leading) => leading.committed(),
            Role::Following { state, .. } => state,
        }
    }

    fn publish(&mut self, cx: &mut Cx<'_, S>, high_watermark: i64) {
        let state = self.state();
        // A metadata transaction shows when it ends (KIP-868).
        let has_news = !self.unseen.is_empty() || self.quorum.kraft_version() != self.kraft_version_published;
        if state.in_transaction() || self.has_published && !has_news {
            return;
        }
        let image = state.image().clone();
        let delta = match self.has_published {
            true => MetadataDelta::between(&self.published, &image, &self.unseen),
            false => MetadataDelta::everything(&image),
        };
        self.unseen.clear();
        self.publish_image(cx, image, delta, high_watermark);
    }

    /// The metadata is as it was, and what else is published is not.
    fn publish_again(&mut self, cx: &mut Cx<'_, S>) {
        let (image, end_offset) = (self.published.clone(), self.quorum.high_watermark());
        let end_offset = end_offset.unwrap_or(0).max(self.opened_up_to);
        self.publish_image(cx, image, MetadataDelta::default(), end_offset);
    }

    fn publish_image(
        &mut self,
        cx: &mut Cx<'_, S>,
        image: MetadataImage,
        delta: MetadataDelta,
        end_offset: i64,
    ) {
        self.has_published = true;
        self.published = image;
        let published = self.to_publish(delta, end_offset);
        let offset = published.offset;
        self.leader_published = published.leader_id;
        self.kraft_version_published = published.kraft_version;
        cx.effects.push(Effect::Publish(Arc::new(published)));
        cx.traces.emit(|| TraceEvent::MetadataPublished { offset });
    }

    fn to_publish(&self, delta: MetadataDelta, end_offset: i64) -> Published {
        Published {
            image: self.published.clone(),
            delta,
            offset: end_offset.saturating_sub(1),
            epoch: self.quorum.epoch(),
            leader_id: self.quorum.leader_id().unwrap_or(-1),
            kraft_version: self.quorum.kraft_version(),
            lost: self.lost.clone(),
        }
    }

    /// A snapshot took the place of what was replayed.
    fn snapshot_installed(&mut self, cx: &mut Cx<'_, S>, id: SnapshotId) -> Result<(), OpenError> {
        let dir = &self.quorum.config().dir;
        let state = load_snapshot(cx.store, cx.compressors, dir, id, &self.published)?;
        let image = state.image().clone();
        let delta = MetadataDelta::replacing(&self.published, &image);
        self.unseen.clear();
        self.role = Role::Following { state, next_offset: id.end_offset };
        self.publish_image(cx, image, delta, id.end_offset);
        Ok(())
    }

    fn snapshot_deadline(&self) -> Option<Instant> {
        let is_wanted = self.snapshot.interval_ms > 0 && self.quorum.log().bytes_since_snapshot() > 0;
        is_wanted.then_some(self.snapshot.due)
    }

    fn maybe_snapshot(&mut self, cx: &mut Cx<'_, S>) -> Result<(), OpenError> {
        let is_due = self.snapshot_deadline().is_some_and(|due| due <= cx.now.monotonic);
        let is_large = self.quorum.log().bytes_since_snapshot() >= self.snapshot.bytes_max;
        let Some(high_watermark) = self.quorum.high_watermark() else { return Ok(()) };
        let is_shown = high_watermark >= self.opened_up_to && self.unseen.is_empty() && self.has_published;
        if !is_shown || !is_due && !is_large || !self.quorum.may_snapshot() {
            return Ok(());
        }
        self.snapshot.due = cx.now.monotonic.plus_ms(self.snapshot.interval_ms);
        let Some(id) = self.quorum.log().snapshot_id(high_watermark) else { return Ok(()) };
        let mut image = self.published.clone();
        if cx.traces.planted().is(Mutation::MetadataSnapshotIncomplete)
            && let Some(topic_id) = image.topics_by_name().last().map(|topic| topic.id)
        {
            _ = image.replay(&RemoveTopicRecord { topic_id }.into());
        }
        let voters = self.quorum.log().voters();
        let kraft_version = voters.kraft_version_before(high_watermark);
        let checkpoint = Checkpoint {
            last_contained_log_timestamp: self.timestamp,
            kraft_version: (kraft_version > 0).then_some(kraft_version),
            voters: voters.before(high_watermark).filter(|_| kraft_version > 0).map(VoterSet::to_vec),
            records: image.to_records(),
        };
        let bytes = checkpoint.encode(id.epoch, image.features.metadata_version(), cx.now.wall);
        self.tell_quorum(cx, QuorumEvent::Snapshot { id, bytes: bytes.into() })
    }
}

fn reply<S: LogStore>(cx: &mut Cx<'_, S>, token: Token, response: ControllerResponse) {
    if token.connection == ConnectionId::BROKER {
        let request = token.request;
        return cx.effects.tell(Message::Lifecycle(LifecycleEvent::Answered { request, response }));
    }
    let event = ConnectionEvent::Controller { request: token.request, response };
    cx.effects.push(Effect::Tell(Message::Connection(token.connection, event)));
}
