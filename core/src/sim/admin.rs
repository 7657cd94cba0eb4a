//! The workload's administrator: creates, grows and deletes topics, commits and deletes offsets of groups without members, and
//! keeps a ledger of what it was told is so.

use std::collections::{BTreeMap, VecDeque};

use ottla_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::{
    AlterPartitionReassignmentsResponse, CreatePartitionsResponse, CreateTopicsResponse, DeleteGroupsRequest,
    DeleteGroupsResponse, DeleteTopicsRequest, DeleteTopicsResponse, ElectLeadersResponse,
    OffsetCommitResponse, OffsetDeleteResponse,
};
use ottla_protocol::{ErrorCode, Str};

use super::workload::{PARTITIONS, TOPICS, settings};
use crate::client::{Destination, Failure, LinkEffect, LinkEvent, Reply, RequestId, Session, SessionConfig};
use crate::time::Instant;

/// No offset is committed; the topic is not there.
pub const ABSENT: i64 = -1;

/// How long the controller may take; without time it answers that there was none.
const TIMEOUT_MS: i32 = 30_000;

/// What the ledger speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A topic: how many partitions it has.
    Topic(Str),
    /// A partition of the first topic in a group: the committed offset.
    Offset(Str, i32),
}

/// What is known of a subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What was acknowledged last; `None` when a power loss may have undone it.
    pub acknowledged: Option<i64>,
    /// What was asked for and not answered yet.
    pub asked: Option<i64>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Create a topic with so many partitions.
    CreateTopic(Str, i32),
    /// Give a topic so many partitions in all.
    GrowTopic(Str, i32),
    /// Delete a topic.
    DeleteTopic(Str),
    /// Commit an offset of a partition of the first topic.
    Commit(Str, i32, i64),
    /// Delete the offset of a partition of the first topic.
    DeleteOffset(Str, i32),
    /// Delete a group.
    DeleteGroup(Str),
    /// Have a partition of a topic on these brokers.
    Reassign(Str, i32, Vec<i32>),
    /// Have the first replica of a partition lead it.
    Elect(Str, i32),
}

/// How an attempt at a chore ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Again,
    Refused(ErrorCode),
}

/// The administrator.
#[derive(Clone, Debug)]
pub struct AdminClient {
    session: Session,
    /// Of topics that it creates.
    replication_factor: i16,
    chores: VecDeque<Chore>,
    asked: Option<RequestId>,
    /// Which of the brokers is asked: another one after each that does not do it, until it is the right one.
    turn: usize,
    not_before: Instant,
    /// The request that is under way may have been answered before a power loss.
    doubtful: bool,
    ledger: BTreeMap<Subject, Known>,
    refused: Vec<(Chore, ErrorCode)>,
}

impl Chore {
    /// What is so once it is done.
    fn results(&self) -> Vec<(Subject, i64)> {
        match self {
            Self::CreateTopic(topic, count) | Self::GrowTopic(topic, count) => {
                vec![(Subject::Topic(topic.clone()), i64::from(*count))]
            }
            Self::DeleteTopic(topic) => vec![(Subject::Topic(topic.clone()), ABSENT)],
            Self::Commit(group, partition, offset) => {
                vec![(Subject::Offset(group.clone(), *partition), *offset)]
            }
            Self::DeleteOffset(group, partition) => {
                vec![(Subject::Offset(group.clone(), *partition), ABSENT)]
            }
            Self::DeleteGroup(group) => {
                (0..PARTITIONS).map(|partition| (Subject::Offset(group.clone(), partition), ABSENT)).collect()
            }
            Self::Reassign(..) | Self::Elect(..) => Vec::new(),
        }
    }

    fn ask(
        &self,
        session: &mut Session,
        now: Instant,
        to: &Destination,
        replication_factor: i16,
    ) -> Option<RequestId> {
        match self {
            Self::CreateTopic(name, num_partitions) => {
                let topic = CreatableTopic {
                    name: name.clone(),
                    num_partitions: *num_partitions,
                    replication_factor,
                    configs: settings(name)
                        .into_iter()
                        .map(|(name, value)| CreatableTopicConfig {
                            name: name.into(),
                            value: Some(value.into()),
                        })
                        .collect(),
                    ..CreatableTopic::default()
                };
                let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
                session.send(now, to, (2, 7), request)
            }
            Self::GrowTopic(name, count) => {
                let topic = CreatePartitionsTopic { name: name.clone(), count: *count, assignments: None };
                let request = CreatePartitionsRequest {
                    topics: vec![topic],
                    timeout_ms: TIMEOUT_MS,
                    ..CreatePartitionsRequest::default()
                };
                session.send(now, to, (0, 3), request)
            }
            Self::DeleteTopic(name) => {
                let topic_names = vec![name.clone()];
                session.send(
                    now,
                    to,
                    (1, 5),
                    DeleteTopicsRequest {
                        topic_names,
                        timeout_ms: TIMEOUT_MS,
                        ..DeleteTopicsRequest::default()
                    },
                )
            }
            Self::Commit(group_id, partition_index, committed_offset) => {
                let partition = OffsetCommitRequestPartition {
                    partition_index: *partition_index,
                    committed_offset: *committed_offset,
                    committed_metadata: None,
                    ..OffsetCommitRequestPartition::default()
                };
                let topic = OffsetCommitRequestTopic {
                    name: TOPICS[0].into(),
                    partitions: vec![partition],
                    ..OffsetCommitRequestTopic::default()
                };
                let request = OffsetCommitRequest {
                    group_id: group_id.clone(),
                    topics: vec![topic],
                    group_instance_id: None,
                    ..OffsetCommitRequest::default()
                };
                session.send(now, to, (2, 9), request)
            }
            Self::DeleteOffset(group_id, partition_index) => {
                let partition = OffsetDeleteRequestPartition { partition_index: *partition_index };
                let topic = OffsetDeleteRequestTopic { name: TOPICS[0].into(), partitions: vec![partition] };
                let request = OffsetDeleteRequest { group_id: group_id.clone(), topics: vec![topic] };
                session.send(now, to, (0, 0), request)
            }
            Self::DeleteGroup(group) => {
                session.send(now, to, (0, 2), DeleteGroupsRequest { groups_names: vec![group.clone()] })
            }
            Self::Reassign(name, partition_index, replicas) => {
                let partitions = vec![ReassignablePartition {
                    partition_index: *partition_index,
                    replicas: Some(replicas.clone()),
                }];
                let request = AlterPartitionReassignmentsRequest {
                    timeout_ms: TIMEOUT_MS,
                    topics: vec![ReassignableTopic { name: name.clone(), partitions }],
                    ..AlterPartitionReassignmentsRequest::default()
                };
                session.send(now, to, (0, 1), request)
            }
            Self::Elect(topic, partition) => {
                let of_topic = TopicPartitions { topic: topic.clone(), partitions: vec![*partition] };
                let request = ElectLeadersRequest {
                    election_type: 0,
                    topic_partitions: Some(vec![of_topic]),
                    timeout_ms: TIMEOUT_MS,
                };
                session.send(now, to, (1, 2), request)
            }
        }
    }

    /// Reads the answer. A chore that turns out to be done already was done by an attempt whose answer was lost.
    fn outcome(&self, reply: &Reply) -> Result<Outcome, Failure> {
        let read =
            |code: Option<i16>| code.and_then(ErrorCode::from_code).unwrap_or(ErrorCode::UnknownServerError);
        let (code, already) = match self {
            Self::CreateTopic(..) => {
                let answer = reply.decode::<CreateTopicsResponse>()?;
                (read(answer.topics.first().map(|topic| topic.error_code)), ErrorCode::TopicAlreadyExists)
            }
            Self::GrowTopic(..) => {
                let answer = reply.decode::<CreatePartitionsResponse>()?;
                (read(answer.results.first().map(|topic| topic.error_code)), ErrorCode::InvalidPartitions)
            }
            Self::DeleteTopic(..) => {
                let answer = reply.decode::<DeleteTopicsResponse>()?;
                let code = read(answer.responses.first().map(|topic| topic.error_code));
                (code, ErrorCode::UnknownTopicOrPartition)
            }
            Self::Commit(..) => {
                let answer = reply.decode::<OffsetCommitResponse>()?;
                let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
                (read(partition.map(|partition| partition.error_code)), ErrorCode::None)
            }
            Self::DeleteOffset(..) => {
                let answer = reply.decode::<OffsetDeleteResponse>()?;
                let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
                let code = match answer.error_code {
                    0 => partition.map(|partition| partition.error_code),
                    code => Some(code),
                };
                (read(code), ErrorCode::GroupIdNotFound)
            }
            Self::DeleteGroup(..) => {
                let answer = reply.decode::<DeleteGroupsResponse>()?;
                (read(answer.results.first().map(|group| group.error_code)), ErrorCode::GroupIdNotFound)
            }
            Self::Reassign(..) => {
                let answer = reply.decode::<AlterPartitionReassignmentsResponse>()?;
                let partition = answer.responses.first().and_then(|topic| topic.partitions.first());
                let code = match answer.error_code {
                    0 => partition.map(|partition| partition.error_code),
                    code => Some(code),
                };
                (read(code), ErrorCode::None)
            }
            Self::Elect(..) => {
                let answer = reply.decode::<ElectLeadersResponse>()?;
                let results = answer.replica_election_results.first();
                let partition = results.and_then(|topic| topic.partition_result.first());
                let code = match answer.error_code {
                    0 => partition.map_or(Some(0), |partition| Some(partition.error_code)),
                    code => Some(code),
                };
                match read(code) {
                    // It is down, or behind: then it does not lead.
                    ErrorCode::PreferredLeaderNotAvailable => (ErrorCode::None, ErrorCode::None),
                    code => (code, ErrorCode::ElectionNotNeeded),
                }
            }
        };
        Ok(match code {
            ErrorCode::None => Outcome::Done,
            code if code == already => Outcome::Done,
            code if code.is_retriable() => Outcome::Again,
            // Brokers are about to register.
            ErrorCode::InvalidReplicationFactor => Outcome::Again,
            code => Outcome::Refused(code),
        })
    }
}

impl AdminClient {
    /// An administrator with nothing to do.
    pub fn new(config: SessionConfig, replication_factor: i16) -> Self {
        Self {
            session: Session::new(config),
            replication_factor,
            chores: VecDeque::new(),
            asked: None,
            turn: 0,
            not_before: Instant(0),
            doubtful: false,
            ledger: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// Something more to do, after what there is.
    pub fn add(&mut self, now: Instant, chore: Chore) {
        self.chores.push_back(chore);
        self.tick(now);
    }

    /// Whether everything is done.
    pub fn is_idle(&self) -> bool {
        self.chores.is_empty()
    }

    /// What it is about.
    pub fn chore(&self) -> Option<&Chore> {
        self.chores.front()
    }

    /// What it was told is so.
    pub fn ledger(&self) -> &BTreeMap<Subject, Known> {
        &self.ledger
    }

    /// The chores that were refused since the last call.
    pub fn take_refused(&mut self) -> Vec<(Chore, ErrorCode)> {
        std::mem::take(&mut self.refused)
    }

    /// The broker's machine has lost its power: what coordinators acknowledged may be undone.
    pub fn power_lost(&mut self) {
        self.doubtful = self.asked.is_some();
        for (subject, known) in &mut self.ledger {
            if matches!(subject, Subject::Offset(..)) {
                known.acknowledged = None;
            }
        }
    }

    /// Takes what a link says.
    pub fn handle(&mut self, now: Instant, event: LinkEvent) {
        self.session.handle(now, event);
        self.tick(now);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        self.session.tick(now);
        for reply in self.session.take_replies(now) {
            if self.asked == Some(reply.id) {
                self.asked = None;
                self.take_reply(now, &reply);
            }
        }
        if self.asked.is_none()
            && self.not_before <= now
            && self.session.is_ready()
            && let Some(chore) = self.chores.front()
        {
            for (subject, value) in chore.results() {
                self.ledger.entry(subject).or_default().asked = Some(value);
            }
            let brokers = &self.session.cluster().brokers;
            let turn = self.turn.checked_rem(brokers.len()).unwrap_or(0);
            let to = brokers.keys().nth(turn).map_or(Destination::Any, |id| Destination::Node(*id));
            self.asked = chore.ask(&mut self.session, now, &to, self.replication_factor);
            self.doubtful = false;
        }
    }

    fn take_reply(&mut self, now: Instant, reply: &Reply) {
        let Some(chore) = self.chores.front() else { return };
        let outcome = chore.outcome(reply).unwrap_or(Outcome::Again);
        if outcome == Outcome::Again {
            self.turn = self.turn.wrapping_add(1);
            // There may be more brokers by now.
            self.session.refresh_soon(now);
            self.not_before = now.plus_ms(self.session.config().retry_backoff_ms);
            return;
        }
        for (subject, value) in chore.results() {
            let is_topic = matches!(subject, Subject::Topic(_));
            let is_kept = is_topic || !self.doubtful;
            let known = self.ledger.entry(subject).or_default();
            known.asked = None;
            if outcome == Outcome::Done {
                // A coordinator that is none any more, and does not know, finds nothing that it had to delete (as Apache Kafka's).
                if value == ABSENT && !is_topic && self.replication_factor > 1 {
                    known.asked = known.acknowledged;
                }
                known.acknowledged = is_kept.then_some(value);
            }
        }
        if let (Outcome::Refused(code), Some(chore)) = (outcome, self.chores.front()) {
            self.refused.push((chore.clone(), code));
        }
        self.chores.pop_front();
    }

    /// When [`AdminClient::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let due = self.asked.is_none() && !self.chores.is_empty() && self.session.is_ready();
        [due.then_some(self.not_before), self.session.deadline()].into_iter().flatten().min()
    }

    /// What to do with its links.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.session.take_effects()
    }
}
