//! [`Lifecycle`]: keeps a broker in its cluster: registers it, sends its heartbeats, brings its leaders' proposals to the controller, and
//! takes it out before it stops (KIP-631, KIP-841).
//!
//! What it asks goes to the node's own controller machine, which decides or passes it on to the active one.

use std::sync::Arc;

use ottla_protocol::messages::{
    AlterPartitionResponse, AssignReplicasToDirsResponse, BrokerHeartbeatRequest, BrokerHeartbeatResponse,
    BrokerRegistrationResponse,
};
use ottla_protocol::{ErrorCode, Uuid};

use super::{Message, RequestContext, ShardEvent};
use crate::config::BrokerConfig;
use crate::controller::{ControllerEvent, ControllerRequest, ControllerResponse, registration_request};
use crate::coordinator::Token;
use crate::ids::{ConnectionId, ShardId, TopicIdPartition};
use crate::log::LogStore;
use crate::log::log_dirs::LogDirsEvent;
use crate::machine::{Cx, Effect, Machine};
use crate::metadata::{BrokerRegistration, MetadataImage, Published};
use crate::replication::{AlterPartitions, DirectoryAssignments, IsrAnswer, IsrProposal};
use crate::small_map::SmallMap;
use crate::time::Instant;

/// Pause before something that failed is tried again, ms.
const RETRY_MS: i64 = 50;
/// How often a broker that is fenced asks to be let in, ms, if nothing else reminds it.
const FENCED_INTERVAL_MS: i64 = 100;
/// The longest pause between two heartbeats that another controller of Ottla may take for usual, ms: silence is noticed the sooner.
const FAST_INTERVAL_MS: i64 = 500;
/// How often a broker that leaves asks whether it may go, ms.
const LEAVING_INTERVAL_MS: i64 = 2;
/// How long the leaderships of a broker that stops may take to move elsewhere, ms.
const HAND_OVER_MS: i64 = 30_000;

/// What can happen to it.
#[derive(Clone, Debug)]
pub enum LifecycleEvent {
    /// New metadata was committed.
    Metadata(Arc<Published>),
    /// The controller answered.
    Answered {
        /// What.
        request: u64,
        /// How.
        response: ControllerResponse,
    },
    /// Leaders want other in-sync replicas.
    Proposed(Vec<IsrProposal>),
    /// A replica is in this directory, and the metadata does not say so.
    Placed(TopicIdPartition, Uuid),
    /// A log directory went offline, and stays so while the node runs.
    DirectoryFailed(Uuid),
    /// The node's leaderships are to go elsewhere: [`Effect::Relieved`] says when they have. Clients are served until then.
    Leave,
    /// The node is to stop; it leaves first, if it has not.
    Stop,
    /// The node's replica of the metadata log has handed over.
    ControllerStopped,
    /// A deadline passed.
    Tick,
}

/// A broker's place in its cluster.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    config: Arc<BrokerConfig>,
    shards: u16,
    me: Myself,
    /// Its own controller is the whole quorum, and has registered it.
    is_alone: bool,
    published: Arc<Published>,
    phase: Phase,
    /// The registration or heartbeat under way.
    asked: Option<u64>,
    /// Up to where the last heartbeat said that the metadata is known.
    said_offset: i64,
    next_request: u64,
    /// When to ask again; nothing is asked before there is metadata.
    due: Option<Instant>,
    alter: AlterPartitions,
    alter_asked: Option<u64>,
    alter_due: Option<Instant>,
    assignments: DirectoryAssignments,
    assign_asked: Option<u64>,
    assign_due: Option<Instant>,
    /// The directories that have failed, and by when the controller has to know; `None` once it does.
    failed: SmallMap<Uuid, Option<Instant>>,
    /// Those that the heartbeat under way tells of.
    said_failed: Vec<Uuid>,
    /// It stops once it has left.
    is_stopping: bool,
}

/// What a broker says of itself.
#[derive(Clone, Debug)]
pub struct Myself {
    /// Of this life.
    pub incarnation_id: Uuid,
    /// Of the directories that can be used.
    pub directories: Vec<Uuid>,
    /// The epoch in which it stopped cleanly; −1 if it did not.
    pub previous_epoch: i64,
}

/// A broker in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    id: i32,
    incarnation_id: Uuid,
}

impl Identity {
    /// The metadata knows of this life, not only of one before it.
    pub fn is_registered(&self, image: &MetadataImage) -> bool {
        image.broker(self.id).is_some_and(|broker| broker.incarnation_id == self.incarnation_id)
    }

    /// The cluster lets clients in to it.
    pub fn is_let_in(&self, image: &MetadataImage) -> bool {
        self.is_registered(image) && image.broker(self.id).is_some_and(|broker| !broker.fenced)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Registering,
    Registered {
        epoch: i64,
    },
    /// Its leaderships are being moved, for as long as this.
    Leaving {
        epoch: i64,
        until: Instant,
    },
    /// The controller of this node hands over.
    Resigning,
    /// Nobody needs it any more.
    Left,
    Stopped,
}

impl Lifecycle {
    /// Of a broker that is not registered yet, or is a cluster of its own.
    pub fn new(
        config: Arc<BrokerConfig>,
        shards: u16,
        me: Myself,
        published: Arc<Published>,
        is_alone: bool,
    ) -> Self {
        let epoch = published.image.broker(config.node_id).map_or(-1, |broker| broker.epoch);
        Self {
            config,
            shards,
            me,
            is_alone,
            published,
            phase: if is_alone { Phase::Registered { epoch } } else { Phase::Registering },
            asked: None,
            said_offset: -1,
            next_request: 0,
            due: None,
            alter: AlterPartitions::default(),
            alter_asked: None,
            alter_due: None,
            assignments: DirectoryAssignments::default(),
            assign_asked: None,
            assign_due: None,
            failed: SmallMap::new(),
            said_failed: Vec::new(),
            is_stopping: false,
        }
    }

    /// Which broker it is, in which of its lives.
    pub fn identity(&self) -> Identity {
        Identity { id: self.config.node_id, incarnation_id: self.me.incarnation_id }
    }

    fn ask<S: LogStore>(&mut self, cx: &mut Cx<'_, S>, request: ControllerRequest) -> u64 {
        let number = self.next_request;
        self.next_request = self.next_request.saturating_add(1);
        cx.effects.tell(Message::Controller(ControllerEvent::Request {
            token: Token { connection: ConnectionId::BROKER, request: number },
            context: RequestContext::anonymous(self.config.inter_broker_listener_name.as_str(), ""),
            request,
            version: None,
        }));
        number
    }

    fn epoch(&self) -> Option<i64> {
        match self.phase {
            Phase::Registered { epoch } | Phase::Leaving { epoch, .. } => Some(epoch),
            Phase::Registering | Phase::Resigning | Phase::Left | Phase::Stopped => None,
        }
    }

    /// Whether there is somebody to be in a cluster with, or something that only heartbeats tell.
    fn has_company(&self) -> bool {
        !self.is_alone || self.published.image.brokers().count() > 1 || !self.failed.is_empty()
    }

    fn has_directories(&self) -> bool {
        self.published.image.features.metadata_version().has_directories()
    }

    /// Whether it is, or wants to be, in the cluster.
    fn is_there(&self) -> bool {
        self.epoch().is_some() || self.phase == Phase::Registering && self.config.process_roles.broker
    }

    /// Registers, or sends a heartbeat, if it is time to.
    fn communicate<S: LogStore>(&mut self, cx: &mut Cx<'_, S>) {
        let now = cx.now.monotonic;
        if !self.has_company() || self.asked.is_some() || self.due.is_none_or(|due| due > now) {
            return;
        }
        let request = match self.phase {
            Phase::Registering if !self.config.process_roles.broker => return,
            Phase::Registering => {
                let (image, config) = (&self.published.image, &self.config);
                ControllerRequest::BrokerRegistration(registration_request(image, config, &self.me))
            }
            Phase::Registered { epoch } | Phase::Leaving { epoch, .. } => {
                self.said_offset = self.published.offset;
                if self.has_directories() {
                    self.said_failed = self.failed.keys().copied().collect();
                }
                ControllerRequest::BrokerHeartbeat(BrokerHeartbeatRequest {
                    broker_id: self.config.node_id,
                    broker_epoch: epoch,
                    current_metadata_offset: self.published.offset,
                    // What happened before it was registered is known to it first.
                    want_fence: self.published.offset < epoch,
                    want_shut_down: matches!(self.phase, Phase::Leaving { .. }),
                    offline_log_dirs: self.said_failed.clone(),
                    ..BrokerHeartbeatRequest::default()
                })
            }
            Phase::Resigning | Phase::Left | Phase::Stopped => return,
        };
        self.asked = Some(self.ask(cx, request));
    }

    /// Brings what leaders propose to the controller, one request at a time.
    fn propose<S: LogStore>(&mut self, cx: &mut Cx<'_, S>) {
        let is_early = self.alter_due.is_some_and(|due| due > cx.now.monotonic);
        let Some(epoch) = self.epoch().filter(|_| self.alter_asked.is_none() && !is_early) else { return };
        if let Some(request) = self.alter.next_request(self.config.node_id, epoch) {
            self.alter_due = None;
            self.alter_asked = Some(self.ask(cx, ControllerRequest::AlterPartition(request)));
        }
    }

    /// Says where replicas are, one request at a time.
    fn assign<S: LogStore>(&mut self, cx: &mut Cx<'_, S>) {
        let is_early = self.assign_due.is_some_and(|due| due > cx.now.monotonic);
        let may_ask = self.assign_asked.is_none() && !is_early && self.has_directories();
        let Some(epoch) = self.epoch().filter(|_| may_ask) else { return };
        self.assign_due = None;
        let next = self.assignments.next_request(&self.published.image, self.config.node_id, epoch);
        if let Some(request) = next {
            self.assign_asked = Some(self.ask(cx, ControllerRequest::AssignReplicasToDirs(request)));
        }
    }

    fn assigned(&mut self, now: Instant, response: Option<&AssignReplicasToDirsResponse>) {
        self.assignments.answered(response);
        if self.assignments.is_due() {
            self.assign_due = Some(now.plus_ms(RETRY_MS));
        }
    }

    fn answered<S: LogStore>(&mut self, cx: &mut Cx<'_, S>, request: u64, response: &ControllerResponse) {
        let now = cx.now.monotonic;
        if self.alter_asked.take_if(|asked| *asked == request).is_some() {
            let response = match response {
                ControllerResponse::AlterPartition(response) => Some(response),
                _ => None,
            };
            return self.isr_answered(cx, response);
        }
        if self.assign_asked.take_if(|asked| *asked == request).is_some() {
            let response = match response {
                ControllerResponse::AssignReplicasToDirs(response) => Some(response),
                _ => None,
            };
            return self.assigned(now, response);
        }
        if self.asked.take_if(|asked| *asked == request).is_none() {
            return;
        }
        self.due = Some(now.plus_ms(RETRY_MS));
        match response {
            ControllerResponse::BrokerRegistration(response) => self.registered(cx, response),
            ControllerResponse::BrokerHeartbeat(response) => self.heartbeat_answered(cx, response),
            _ => {}
        }
    }

    fn registered<S: LogStore>(&mut self, cx: &mut Cx<'_, S>, response: &BrokerRegistrationResponse) {
        if response.error_code != ErrorCode::None.code() || self.phase != Phase::Registering {
            return;
        }
        let epoch = response.broker_epoch;
        self.phase = Phase::Registered { epoch };
        self.due = Some(cx.now.monotonic);
        cx.effects.tell(Message::LogDirs(LogDirsEvent::Registered { epoch }));
    }

    fn heartbeat_answered<S: LogStore>(&mut self, cx: &mut Cx<'_, S>, response: &BrokerHeartbeatResponse) {
        let now = cx.now.monotonic;
        match ErrorCode::from_code(response.error_code) {
            Some(ErrorCode::None) => {}
            Some(ErrorCode::StaleBrokerEpoch | ErrorCode::BrokerIdNotRegistered)
                if matches!(self.phase, Phase::Registered { .. }) =>
            {
                self.phase = Phase::Registering;
                return;
            }
            _ => return,
        }
        for directory in std::mem::take(&mut self.said_failed) {
            self.failed.insert(directory, None);
        }
        let interval_ms = match (self.phase, response.is_fenced) {
            (Phase::Leaving { .. }, _) => LEAVING_INTERVAL_MS,
            (_, true) => FENCED_INTERVAL_MS,
            _ if self.is_waited_for() || self.untold().is_some() => 0,
            _ => self.heartbeat_interval_ms(),
        };
        self.due = Some(now.plus_ms(interval_ms));
        if response.should_shut_down && matches!(self.phase, Phase::Leaving { .. }) {
            self.resign(cx);
        }
    }

    fn isr_answered<S: LogStore>(&mut self, cx: &mut Cx<'_, S>, response: Option<&AlterPartitionResponse>) {
        let mut by_shard: SmallMap<ShardId, Vec<IsrAnswer>> = SmallMap::new();
        for answer in self.alter.answered(response) {
            by_shard.or_default(answer.partition.shard(self.shards)).push(answer);
        }
        for (shard, answers) in by_shard {
            cx.effects.tell(Message::Shard(shard, ShardEvent::IsrAnswered(answers)));
        }
        if self.alter.is_due() {
            self.alter_due = Some(cx.now.monotonic.plus_ms(RETRY_MS));
        }
    }

    fn leave<S: LogStore>(&mut self, cx: &mut Cx<'_, S>) {
        match self.phase {
            Phase::Registering | Phase::Registered { .. } if !self.has_company() => {
                self.phase = Phase::Left;
                cx.effects.push(Effect::Relieved);
            }
            Phase::Registered { epoch } if self.config.controlled_shutdown_enable => {
                self.phase = Phase::Leaving { epoch, until: cx.now.monotonic.plus_ms(HAND_OVER_MS) };
                self.due = Some(cx.now.monotonic);
            }
            Phase::Registering | Phase::Registered { .. } => self.resign(cx),
            Phase::Leaving { .. } | Phase::Resigning | Phase::Left | Phase::Stopped => {}
        }
    }

    fn resign<S: LogStore>(&mut self, cx: &mut Cx<'_, S>) {
        self.phase = Phase::Resigning;
        cx.effects.push(Effect::Relieved);
        cx.effects.tell(Message::Controller(ControllerEvent::Stop));
    }

    fn stop_shards<S: LogStore>(&mut self, cx: &mut Cx<'_, S>) {
        self.phase = Phase::Stopped;
        (0..self.shards).for_each(|id| cx.effects.tell(Message::Shard(ShardId(id), ShardEvent::Stop)));
    }

    fn heartbeat_interval_ms(&self) -> i64 {
        let configured = i64::from(self.config.broker_heartbeat_interval_ms);
        match self.config.ottla_broker_fast_fencing_enable {
            true => configured.min(FAST_INTERVAL_MS),
            false => configured,
        }
    }

    /// Whether a broker that leaves waits to hear that this one knows who leads its partitions now. An interval later would be soon enough for
    /// Apache Kafka, whose stops take as long.
    fn is_waited_for(&self) -> bool {
        let leaves = |broker: &BrokerRegistration| broker.in_controlled_shutdown && !broker.fenced;
        self.said_offset < self.published.offset && self.published.image.brokers().any(leaves)
    }

    /// By when the controller has to be told of a directory that failed.
    fn untold(&self) -> Option<Instant> {
        self.failed.values().flatten().min().copied().filter(|_| self.has_directories())
    }

    /// A directory failed: the controller moves what it led.
    fn directory_failed(&mut self, now: Instant, directory: Uuid) {
        let until = now.plus_ms(self.config.log_dir_failure_timeout_ms);
        self.failed.insert(directory, Some(until));
        if matches!(self.phase, Phase::Registered { .. } | Phase::Leaving { .. }) {
            self.due = Some(now);
        }
    }

    /// It was registered when the cluster did not know of directories, and does now: it registers again, in the same epoch.
    fn names_directories(&mut self, now: Instant) {
        let registered = self.published.image.broker(self.config.node_id);
        let is_nameless = registered.is_some_and(|broker| {
            broker.incarnation_id == self.me.incarnation_id && broker.directories.is_empty()
        });
        if is_nameless && self.has_directories() && matches!(self.phase, Phase::Registered { .. }) {
            self.phase = Phase::Registering;
            self.due = Some(now);
        }
    }

    fn metadata(&mut self, now: Instant, published: Arc<Published>) {
        let id = self.config.node_id;
        let is_led_by_another = self.published.leader_id != published.leader_id;
        self.published = published;
        let is_fenced = self.published.image.broker(id).is_none_or(|broker| broker.fenced);
        // While it is fenced, every piece of news may be what it waits for. A new controller does not know yet which connection is whose.
        if self.due.is_none() || is_fenced || is_led_by_another || self.is_waited_for() {
            self.due = Some(self.due.map_or(now, |due| due.min(now)));
        }
        self.names_directories(now);
    }
}

impl<S: LogStore> Machine<S> for Lifecycle {
    type Event = LifecycleEvent;

    fn handle(&mut self, cx: &mut Cx<'_, S>, event: LifecycleEvent) {
        match event {
            LifecycleEvent::Metadata(published) => self.metadata(cx.now.monotonic, published),
            LifecycleEvent::Answered { request, response } => self.answered(cx, request, &response),
            LifecycleEvent::Proposed(proposals) => {
                proposals.into_iter().for_each(|proposal| self.alter.add(proposal));
            }
            LifecycleEvent::Placed(partition, directory) => self.assignments.add(partition, directory),
            LifecycleEvent::DirectoryFailed(directory) => self.directory_failed(cx.now.monotonic, directory),
            LifecycleEvent::Leave => self.leave(cx),
            LifecycleEvent::Stop => {
                self.is_stopping = true;
                self.leave(cx);
            }
            LifecycleEvent::ControllerStopped => {
                if self.phase == Phase::Resigning {
                    self.phase = Phase::Left;
                }
            }
            LifecycleEvent::Tick => {
                if matches!(self.phase, Phase::Leaving { until, .. } if until <= cx.now.monotonic) {
                    self.resign(cx);
                }
                if self.epoch().is_some() && self.untold().is_some_and(|until| until <= cx.now.monotonic) {
                    let reason = "the controller could not be told of a log directory that failed".to_owned();
                    cx.effects.push(Effect::Halt { reason });
                }
            }
        }
        if self.is_stopping && self.phase == Phase::Left {
            self.stop_shards(cx);
        }
        self.communicate(cx);
        self.propose(cx);
        self.assign(cx);
    }

    fn deadline(&self) -> Option<Instant> {
        let due = self.due.filter(|_| self.has_company() && self.asked.is_none() && self.is_there());
        let until = match self.phase {
            Phase::Leaving { until, .. } => Some(until),
            _ => None,
        };
        let alter = self.alter_due.filter(|_| self.alter_asked.is_none() && self.epoch().is_some());
        let assign = self.assign_due.filter(|_| self.assign_asked.is_none() && self.epoch().is_some());
        let untold = self.untold().filter(|_| self.epoch().is_some());
        due.into_iter().chain(until).chain(alter).chain(assign).chain(untold).min()
    }
}

#[cfg(test)]
mod tests;
