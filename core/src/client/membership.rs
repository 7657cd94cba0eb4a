//! A member of a classic group: find the coordinator, join, sync, heartbeat, leave.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_protocol::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupResponse,
    SyncGroupResponse,
};
use ottla_protocol::records::embedded::consumer_protocol_assignment::{
    ConsumerProtocolAssignment, TopicPartition as AssignedTopic,
};
use ottla_protocol::records::embedded::consumer_protocol_subscription::{
    ConsumerProtocolSubscription, TopicPartition as OwnedTopic,
};
use ottla_protocol::{Decoder, Encoder, ErrorCode, Str};

use super::assignor::{Assignor, Subscription, TopicPartition};
use super::session::{Destination, Session, Topics};
use crate::network::{Reply, RequestId, Target};
use crate::small_map::SmallMap;
use crate::time::Instant;
use crate::tree::IntoTree as _;

const PROTOCOL_TYPE: &str = "consumer";
/// The version of subscriptions and assignments that this client writes.
const EMBEDDED_VERSION: i16 = 3;

/// Settings of a member, by Kafka's names.
#[derive(Clone, Debug)]
pub struct MembershipConfig {
    /// `group.id`
    pub group_id: Str,
    /// `group.instance.id`
    pub group_instance_id: Option<Str>,
    /// `session.timeout.ms`
    pub session_timeout_ms: i32,
    /// `heartbeat.interval.ms`
    pub heartbeat_interval_ms: i64,
    /// `max.poll.interval.ms`: how long a rebalance waits for this member.
    pub rebalance_timeout_ms: i32,
    /// `partition.assignment.strategy`, the preferred first.
    pub assignors: Vec<Assignor>,
}

impl Default for MembershipConfig {
    fn default() -> Self {
        Self {
            group_id: Str::default(),
            group_instance_id: None,
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 3_000,
            rebalance_timeout_ms: 300_000,
            assignors: vec![Assignor::Range, Assignor::CooperativeSticky],
        }
    }
}

/// What the consumer has to do about its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipEvent {
    /// The group rebalances: commit, and (unless cooperative) stop reading.
    Rebalancing,
    /// These are its partitions now.
    Assigned(Vec<TopicPartition>),
    /// It was thrown out, or the session was lost: nothing is its own any more.
    Lost,
    /// The group will not have it; retrying is of no use.
    Fatal(ErrorCode),
}

#[derive(Clone, Debug)]
enum State {
    /// Nobody is asked before this time.
    Idle {
        not_before: Instant,
    },
    FindingCoordinator(RequestId),
    /// The coordinator is known; join at this time.
    Joining {
        not_before: Instant,
    },
    JoinSent(RequestId),
    /// This member leads and has to know the partitions of all topics first.
    AwaitingMetadata {
        members: BTreeMap<Str, Subscription>,
        protocol: Assignor,
        epoch: u64,
    },
    SyncSent(RequestId),
    Stable {
        next_heartbeat: Instant,
        heartbeat: Option<RequestId>,
        last_answer: Instant,
    },
    Left,
}

/// One consumer's membership.
#[derive(Clone, Debug)]
pub struct Membership {
    config: MembershipConfig,
    topics: Vec<Str>,
    owned: Vec<TopicPartition>,
    state: State,
    coordinator: Option<Target>,
    member_id: Str,
    generation_id: i32,
    protocol: Option<Assignor>,
    events: Vec<MembershipEvent>,
}

impl Membership {
    /// Not a member yet.
    pub fn new(config: MembershipConfig, topics: Vec<Str>) -> Self {
        Self {
            config,
            topics,
            owned: Vec::new(),
            state: State::Idle { not_before: Instant(0) },
            coordinator: None,
            member_id: Str::default(),
            generation_id: -1,
            protocol: None,
            events: Vec::new(),
        }
    }

    /// The settings.
    pub fn config(&self) -> &MembershipConfig {
        &self.config
    }

    /// Where offsets are committed to, once known.
    pub fn coordinator(&self) -> Option<&Target> {
        self.coordinator.as_ref()
    }

    /// The coordinator is not there any more.
    pub fn lose_coordinator(&mut self, now: Instant) {
        self.coordinator = None;
        if !matches!(self.state, State::Left | State::FindingCoordinator(_)) {
            self.state = State::Idle { not_before: now };
        }
    }

    /// Member id and generation, for commits.
    pub fn identity(&self) -> (Str, i32) {
        (self.member_id.clone(), self.generation_id)
    }

    /// Whether a rebalance takes nothing away that is not given to another member (KIP-429).
    pub fn is_cooperative(&self) -> bool {
        self.config.assignors.iter().all(|assignor| assignor.is_cooperative())
    }

    /// Whether it has its partitions and nothing is changing.
    pub fn is_stable(&self) -> bool {
        matches!(self.state, State::Stable { .. })
    }

    /// What happened.
    pub fn take_events(&mut self) -> Vec<MembershipEvent> {
        std::mem::take(&mut self.events)
    }

    /// Joins once more, with other topics.
    pub fn subscribe(&mut self, now: Instant, topics: Vec<Str>) {
        if topics != self.topics {
            self.topics = topics;
            if self.is_stable() {
                self.rejoin(now);
            }
        }
    }

    fn rejoin(&mut self, now: Instant) {
        self.events.push(MembershipEvent::Rebalancing);
        self.state = State::Joining { not_before: now };
    }

    fn lose_membership(&mut self, now: Instant) {
        self.member_id = Str::default();
        self.generation_id = -1;
        self.owned.clear();
        self.events.push(MembershipEvent::Lost);
        self.state = State::Joining { not_before: now };
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant, session: &mut Session) {
        match &mut self.state {
            State::Idle { not_before } if *not_before <= now => self.find_coordinator(now, session),
            State::Joining { not_before } if *not_before <= now => self.join(now, session),
            State::AwaitingMetadata { epoch, .. } if session.metadata_epoch() > *epoch => {
                self.lead(now, session);
            }
            State::Stable { heartbeat: Some(_), last_answer, .. }
                if last_answer.plus_ms(i64::from(self.config.session_timeout_ms)) <= now =>
            {
                self.lose_coordinator(now);
            }
            State::Stable { next_heartbeat, heartbeat: None, .. } if *next_heartbeat <= now => {
                self.send_heartbeat(now, session);
            }
            _ => {}
        }
    }

    /// When [`Membership::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Idle { not_before } | State::Joining { not_before } => Some(*not_before),
            State::Stable { heartbeat: Some(_), last_answer, .. } => {
                Some(last_answer.plus_ms(i64::from(self.config.session_timeout_ms)))
            }
            State::Stable { next_heartbeat, .. } => Some(*next_heartbeat),
            _ => None,
        }
    }

    fn find_coordinator(&mut self, now: Instant, session: &mut Session) {
        let request = FindCoordinatorRequest { key: self.config.group_id.clone(), ..Default::default() };
        match session.send(now, &Destination::Any, (0, 3), request) {
            Some(id) => self.state = State::FindingCoordinator(id),
            None => self.back_off(now, session),
        }
    }

    fn back_off(&mut self, now: Instant, session: &Session) {
        self.state = State::Idle { not_before: now.plus_ms(session.config().retry_backoff_ms) };
    }

    fn join(&mut self, now: Instant, session: &mut Session) {
        let Some(target) = self.coordinator.clone() else {
            self.state = State::Idle { not_before: now };
            return;
        };
        let subscription = self.subscription();
        let protocols = self.config.assignors.iter().map(|assignor| JoinGroupRequestProtocol {
            name: assignor.name().into(),
            metadata: subscription.clone(),
        });
        let request = JoinGroupRequest {
            group_id: self.config.group_id.clone(),
            session_timeout_ms: self.config.session_timeout_ms,
            rebalance_timeout_ms: self.config.rebalance_timeout_ms,
            member_id: self.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: protocols.collect(),
            ..JoinGroupRequest::default()
        };
        // The answer comes when the rebalance has ended.
        let patience = i64::from(self.config.rebalance_timeout_ms) + 5_000;
        let lowest = if self.config.group_instance_id.is_some() { 5 } else { 0 };
        let sent =
            session.send_within(now, &Destination::Coordinator(target), (lowest, 9), request, patience);
        match sent {
            Some(id) => self.state = State::JoinSent(id),
            None => self.back_off(now, session),
        }
    }

    fn subscription(&self) -> Bytes {
        let mut owned: SmallMap<Str, Vec<i32>> = SmallMap::new();
        for (topic, partition) in &self.owned {
            owned.or_default(topic.clone()).push(*partition);
        }
        let subscription = ConsumerProtocolSubscription {
            topics: self.topics.clone(),
            owned_partitions: owned
                .into_iter()
                .map(|(topic, partitions)| OwnedTopic { topic, partitions })
                .collect(),
            generation_id: self.generation_id,
            ..ConsumerProtocolSubscription::default()
        };
        embed(&subscription)
    }

    fn send_heartbeat(&mut self, now: Instant, session: &mut Session) {
        let Some(target) = self.coordinator.clone() else { return self.lose_coordinator(now) };
        let request = HeartbeatRequest {
            group_id: self.config.group_id.clone(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
        };
        let sent = session.send(now, &Destination::Coordinator(target), (0, 4), request);
        if let State::Stable { next_heartbeat, heartbeat, .. } = &mut self.state {
            *next_heartbeat = now.plus_ms(self.config.heartbeat_interval_ms);
            *heartbeat = sent;
        }
    }

    /// Leaves the group, so that its partitions go to others at once; names the request. A static member stays.
    pub fn leave(&mut self, now: Instant, session: &mut Session) -> Option<RequestId> {
        let mut sent = None;
        if let (Some(target), None) = (&self.coordinator, &self.config.group_instance_id)
            && !self.member_id.is_empty()
        {
            let member = MemberIdentity {
                member_id: self.member_id.clone(),
                reason: Some("the consumer is being closed".into()),
                ..MemberIdentity::default()
            };
            let request = LeaveGroupRequest {
                group_id: self.config.group_id.clone(),
                members: vec![member],
                ..LeaveGroupRequest::default()
            };
            sent = session.send(now, &Destination::Coordinator(target.clone()), (3, 5), request);
        }
        self.state = State::Left;
        sent
    }

    /// Takes an answer, if it is one of this member's.
    pub fn take_reply(&mut self, now: Instant, session: &mut Session, reply: &Reply) -> bool {
        match &mut self.state {
            State::FindingCoordinator(id) if *id == reply.id => self.coordinator_found(now, session, reply),
            State::JoinSent(id) if *id == reply.id => self.joined(now, session, reply),
            State::SyncSent(id) if *id == reply.id => self.synced(now, session, reply),
            State::Stable { heartbeat, .. } if *heartbeat == Some(reply.id) => {
                self.heartbeat_answered(now, reply);
            }
            _ => return false,
        }
        true
    }

    fn coordinator_found(&mut self, now: Instant, session: &mut Session, reply: &Reply) {
        let answer = reply.decode::<FindCoordinatorResponse>().ok();
        let refused = answer.as_ref().and_then(|answer| ErrorCode::from_code(answer.error_code));
        if let Some(error) = refused.filter(|error| *error != ErrorCode::None && !error.is_retriable()) {
            return self.refused(now, session, error);
        }
        let target = answer.filter(|answer| answer.error_code == 0).and_then(|answer| {
            Some(Target { host: answer.host.detached(), port: u16::try_from(answer.port).ok()? })
        });
        match target {
            Some(target) => {
                self.coordinator = Some(target);
                self.state = State::Joining { not_before: now };
            }
            None => self.back_off(now, session),
        }
    }

    fn joined(&mut self, now: Instant, session: &mut Session, reply: &Reply) {
        let Ok(answer) = reply.decode::<JoinGroupResponse>() else { return self.lose_coordinator(now) };
        let error = ErrorCode::from_code(answer.error_code).unwrap_or(ErrorCode::UnknownServerError);
        match error {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired => {
                self.member_id = answer.member_id.detached();
                self.state = State::Joining { not_before: now };
                return;
            }
            error => return self.refused(now, session, error),
        }
        self.member_id = answer.member_id.detached();
        self.generation_id = answer.generation_id;
        let protocol = answer.protocol_name.as_deref().and_then(Assignor::by_name);
        self.protocol = protocol;
        if answer.leader != self.member_id || answer.skip_assignment {
            return self.sync(now, session, Vec::new());
        }
        let Some(protocol) = protocol else {
            return self.refused(now, session, ErrorCode::InconsistentGroupProtocol);
        };
        let members: BTreeMap<Str, Subscription> = answer
            .members
            .iter()
            .map(|member| (member.member_id.detached(), subscription_of(&member.metadata)))
            .into_map();
        let mut topics: Vec<Str> = members.values().flat_map(|member| member.topics.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        let epoch = session.metadata_epoch();
        session.want_topics(now, Topics::Named(topics), true);
        session.refresh_soon(now);
        self.state = State::AwaitingMetadata { members, protocol, epoch };
    }

    /// Shares the partitions out, now that they are known.
    fn lead(&mut self, now: Instant, session: &mut Session) {
        let State::AwaitingMetadata { members, protocol, .. } = &self.state else { return };
        let cluster = session.cluster();
        let wanted = members.values().flat_map(|member| &member.topics);
        let counts: BTreeMap<Str, i32> = wanted
            .map(|topic| (topic.clone(), cluster.partition_count(topic)))
            .filter(|(_, count)| *count > 0)
            .into_map();
        let shares = protocol.assign(&counts, members);
        let assignments = shares
            .into_iter()
            .map(|(member_id, partitions)| SyncGroupRequestAssignment {
                member_id,
                assignment: assignment(&partitions),
            })
            .collect();
        self.sync(now, session, assignments);
    }

    fn sync(&mut self, now: Instant, session: &mut Session, assignments: Vec<SyncGroupRequestAssignment>) {
        let Some(target) = self.coordinator.clone() else { return self.lose_coordinator(now) };
        let request = SyncGroupRequest {
            group_id: self.config.group_id.clone(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: self.protocol.map(|protocol| protocol.name().into()),
            assignments,
        };
        match session.send(now, &Destination::Coordinator(target), (0, 5), request) {
            Some(id) => self.state = State::SyncSent(id),
            None => self.back_off(now, session),
        }
    }

    fn synced(&mut self, now: Instant, session: &mut Session, reply: &Reply) {
        let Ok(answer) = reply.decode::<SyncGroupResponse>() else { return self.lose_coordinator(now) };
        match ErrorCode::from_code(answer.error_code).unwrap_or(ErrorCode::UnknownServerError) {
            ErrorCode::None => {}
            error => return self.refused(now, session, error),
        }
        let assigned = assigned_partitions(&answer.assignment);
        let gave_up = self.owned.iter().any(|owned| !assigned.contains(owned));
        self.owned.clone_from(&assigned);
        self.events.push(MembershipEvent::Assigned(assigned));
        if gave_up && self.protocol.is_some_and(Assignor::is_cooperative) {
            // What was given up goes to others in the next rebalance.
            self.state = State::Joining { not_before: now };
            return;
        }
        let next_heartbeat = now.plus_ms(self.config.heartbeat_interval_ms);
        self.state = State::Stable { next_heartbeat, heartbeat: None, last_answer: now };
    }

    fn heartbeat_answered(&mut self, now: Instant, reply: &Reply) {
        let Ok(answer) = reply.decode::<HeartbeatResponse>() else { return self.lose_coordinator(now) };
        match ErrorCode::from_code(answer.error_code).unwrap_or(ErrorCode::UnknownServerError) {
            ErrorCode::None => {
                if let State::Stable { heartbeat, last_answer, .. } = &mut self.state {
                    (*heartbeat, *last_answer) = (None, now);
                }
            }
            ErrorCode::RebalanceInProgress => self.rejoin(now),
            ErrorCode::IllegalGeneration | ErrorCode::UnknownMemberId => self.lose_membership(now),
            ErrorCode::FencedInstanceId => {
                self.events.push(MembershipEvent::Fatal(ErrorCode::FencedInstanceId));
            }
            _ => self.lose_coordinator(now),
        }
    }

    fn refused(&mut self, now: Instant, session: &Session, error: ErrorCode) {
        let backoff = now.plus_ms(session.config().retry_backoff_ms);
        match error {
            ErrorCode::RebalanceInProgress => self.state = State::Joining { not_before: now },
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => self.lose_membership(now),
            ErrorCode::CoordinatorLoadInProgress => self.state = State::Joining { not_before: backoff },
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.coordinator = None;
                self.state = State::Idle { not_before: backoff };
            }
            error if error.is_retriable() => self.state = State::Joining { not_before: backoff },
            error => {
                self.state = State::Left;
                self.events.push(MembershipEvent::Fatal(error));
            }
        }
    }
}

/// A version, then the message: how the consumer protocol is put into the group protocol.
fn embed(message: &impl ottla_protocol::Message) -> Bytes {
    let mut encoder = Encoder::new();
    encoder.put_i16(EMBEDDED_VERSION);
    let encoded = message.encode(&mut encoder, EMBEDDED_VERSION).and_then(|()| encoder.into_bytes());
    encoded.unwrap_or_default()
}

fn unembed<M: ottla_protocol::Message>(bytes: &Bytes) -> Option<M> {
    let mut input = Decoder::new(bytes.clone());
    let version = input.i16().ok()?.clamp(0, EMBEDDED_VERSION);
    M::decode(&mut input, version).ok()
}

fn subscription_of(metadata: &Bytes) -> Subscription {
    let read: ConsumerProtocolSubscription = unembed(metadata).unwrap_or_default();
    let owned = read.owned_partitions.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.topic.detached(), *partition)).collect::<Vec<_>>()
    });
    Subscription { topics: read.topics.iter().map(Str::detached).collect(), owned: owned.collect() }
}

fn assignment(partitions: &[TopicPartition]) -> Bytes {
    let mut topics: SmallMap<Str, Vec<i32>> = SmallMap::new();
    for (topic, partition) in partitions {
        topics.or_default(topic.clone()).push(*partition);
    }
    let assigned_partitions =
        topics.into_iter().map(|(topic, partitions)| AssignedTopic { topic, partitions }).collect();
    embed(&ConsumerProtocolAssignment { assigned_partitions, user_data: None })
}

/// The partitions that a member's assignment names.
pub fn assigned_partitions(assignment: &Bytes) -> Vec<TopicPartition> {
    let read: ConsumerProtocolAssignment = unembed(assignment).unwrap_or_default();
    let partitions = |topic: &AssignedTopic| {
        topic.partitions.iter().map(|partition| (topic.topic.detached(), *partition)).collect::<Vec<_>>()
    };
    read.assigned_partitions.iter().flat_map(partitions).collect()
}
