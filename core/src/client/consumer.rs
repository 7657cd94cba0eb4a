//! The consumer: partitions of its own or of its group, positions, fetches, commits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopic};
use ottla_protocol::messages::{
    FetchResponse, ListOffsetsResponse, OffsetCommitResponse, OffsetFetchResponse,
};
use ottla_protocol::{ErrorCode, Records, Str};

use super::assignor::TopicPartition;
use super::membership::{Membership, MembershipConfig, MembershipEvent};
use super::session::{Destination, Session, SessionConfig, Topics};
use crate::network::{Failure, LinkEvent, Reply, RequestId};
use crate::record::{Compressors, batches};
use crate::small_map::{SmallMap, SmallSet};
use crate::time::{Instant, Now};
use crate::tree::IntoTree as _;

/// Fetch by name, without sessions of its own: a fetch names all partitions of its broker.
const FETCH_VERSIONS: (i16, i16) = (4, 12);
/// Records kept ready for the caller before fetching pauses.
const BUFFERED_MAX: usize = 10_000;

/// What to do without a committed offset, or with one that is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoOffsetReset {
    /// Begin with the oldest record.
    Earliest,
    /// Begin with the next record.
    Latest,
    /// Tell the caller.
    None,
}

/// Settings of a consumer, by Kafka's names.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// What every client has.
    pub session: SessionConfig,
    /// The group, when it is in one.
    pub membership: Option<MembershipConfig>,
    /// `auto.offset.reset`
    pub auto_offset_reset: AutoOffsetReset,
    /// `isolation.level` is `read_committed`.
    pub read_committed: bool,
    /// `enable.auto.commit`
    pub enable_auto_commit: bool,
    /// `auto.commit.interval.ms`
    pub auto_commit_interval_ms: i64,
    /// `fetch.min.bytes`
    pub fetch_min_bytes: i32,
    /// `fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `fetch.max.wait.ms`
    pub fetch_max_wait_ms: i32,
    /// `max.partition.fetch.bytes`
    pub max_partition_fetch_bytes: i32,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            session: SessionConfig::default(),
            membership: None,
            auto_offset_reset: AutoOffsetReset::Latest,
            read_committed: false,
            enable_auto_commit: true,
            auto_commit_interval_ms: 5_000,
            fetch_min_bytes: 1,
            fetch_max_bytes: 52_428_800,
            fetch_max_wait_ms: 500,
            max_partition_fetch_bytes: 1_048_576,
        }
    }
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// Its topic.
    pub topic: Str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// ms.
    pub timestamp: i64,
    /// Whether the broker set the timestamp.
    pub log_append_time: bool,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    /// −1 from brokers that do not tell.
    pub leader_epoch: i32,
}

/// What a caller may have to know besides records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerEvent {
    /// These partitions are its own now.
    Assigned(Vec<TopicPartition>),
    /// Nothing is its own any more, until the next assignment.
    Revoked,
    /// The group refused it for good.
    Fatal(ErrorCode),
    /// A partition has no offset to begin at and `auto.offset.reset` is none.
    NoOffset(TopicPartition),
    /// A topic cannot be read.
    TopicError(Str, ErrorCode),
    /// A record could not be read: the batch is skipped.
    Corrupt(TopicPartition, String),
    /// What the group has of these offsets now: all, or an error instead.
    Committed { offsets: Vec<(TopicPartition, i64)>, error: Option<ErrorCode> },
}

/// Where a partition stands.
#[derive(Clone, Debug, Default)]
struct Position {
    /// The next offset to fetch, once known.
    fetch: Option<i64>,
    /// The next offset to hand out; what is committed.
    consumed: Option<i64>,
    /// What the group had committed last.
    committed: Option<i64>,
    /// The timestamp to look up, when the position must be found: −2 earliest, −1 latest, or a time.
    look_up: Option<i64>,
    leader_epoch: i32,
    high_watermark: Option<i64>,
    paused: bool,
    not_before: Instant,
}

/// A consumer.
#[derive(Clone, Debug)]
pub struct Consumer {
    config: ConsumerConfig,
    session: Session,
    membership: Option<Membership>,
    positions: BTreeMap<TopicPartition, Position>,
    buffered: VecDeque<ConsumerRecord>,
    events: Vec<ConsumerEvent>,
    asked: SmallMap<RequestId, Asked>,
    /// Brokers that a fetch is under way to.
    fetching: SmallSet<i32>,
    next_auto_commit: Instant,
    commits_under_way: usize,
    /// An eager rebalance goes on: nothing is handed out.
    suspended: bool,
    closing: bool,
    leaving: Option<RequestId>,
    /// Topics whose error has been told.
    told: SmallSet<Str>,
}

#[derive(Clone, Debug)]
enum Asked {
    Fetch(i32, Vec<(TopicPartition, i64)>),
    ListOffsets(Vec<TopicPartition>),
    Committed(Vec<TopicPartition>),
    Commit(Vec<(TopicPartition, i64)>),
}

impl Consumer {
    /// A consumer of whole topics, in a group when the configuration names one.
    pub fn subscribe(config: ConsumerConfig, topics: Vec<Str>) -> Self {
        let membership = config.membership.clone().map(|group| Membership::new(group, topics.clone()));
        let mut consumer = Self::new(config, membership);
        consumer.session.want_topics(Instant(0), Topics::Named(topics), true);
        consumer
    }

    /// A consumer of partitions that it was told, each from an offset or by `auto.offset.reset`.
    pub fn assign(config: ConsumerConfig, partitions: Vec<(TopicPartition, Option<i64>)>) -> Self {
        let mut consumer = Self::new(ConsumerConfig { membership: None, ..config }, None);
        let mut topics: Vec<Str> = partitions.iter().map(|((topic, _), _)| topic.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        consumer.session.want_topics(Instant(0), Topics::Named(topics), true);
        for (partition, from) in partitions {
            let mut position = Position { leader_epoch: -1, ..Position::default() };
            match from {
                Some(offset) if offset >= 0 => {
                    (position.fetch, position.consumed) = (Some(offset), Some(offset));
                }
                Some(name) => position.look_up = Some(name),
                None => position.look_up = consumer.reset_timestamp(),
            }
            consumer.positions.insert(partition, position);
        }
        consumer
    }

    fn new(config: ConsumerConfig, membership: Option<Membership>) -> Self {
        Self {
            session: Session::new(config.session.clone()),
            config,
            membership,
            positions: BTreeMap::new(),
            buffered: VecDeque::new(),
            events: Vec::new(),
            asked: SmallMap::new(),
            fetching: SmallSet::new(),
            next_auto_commit: Instant(0),
            commits_under_way: 0,
            suspended: false,
            closing: false,
            leaving: None,
            told: SmallSet::new(),
        }
    }

    /// The same over a session that knows the cluster already.
    pub fn over(mut self, mut session: Session, now: Instant) -> Self {
        session.want_topics(now, self.session.topics().clone(), true);
        self.session = session;
        self
    }

    fn reset_timestamp(&self) -> Option<i64> {
        match self.config.auto_offset_reset {
            AutoOffsetReset::Earliest => Some(-2),
            AutoOffsetReset::Latest => Some(-1),
            AutoOffsetReset::None => None,
        }
    }

    /// What is known of the cluster, and the links.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The partitions it reads.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.positions.keys()
    }

    /// Its member id and generation, when it is in a group.
    pub fn group_identity(&self) -> Option<(Str, i32)> {
        self.membership.as_ref().map(Membership::identity)
    }

    /// The next offset it hands out.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.positions.get(partition)?.consumed
    }

    /// What happened.
    pub fn take_events(&mut self) -> Vec<ConsumerEvent> {
        std::mem::take(&mut self.events)
    }

    /// Up to `max` records, in the order of each partition; handing them out moves the position.
    pub fn poll(&mut self, max: usize) -> Vec<ConsumerRecord> {
        if self.suspended {
            return Vec::new();
        }
        let count = max.min(self.buffered.len());
        let records: Vec<_> = self.buffered.drain(..count).collect();
        for record in &records {
            if let Some(position) = self.positions.get_mut(&(record.topic.clone(), record.partition)) {
                position.consumed = Some(record.offset + 1);
            }
        }
        self.catch_up();
        records
    }

    /// What holds no records for the caller (control batches, aborted transactions) is consumed with what came before it.
    fn catch_up(&mut self) {
        if self.buffered.is_empty() {
            for position in self.positions.values_mut().filter(|position| position.fetch.is_some()) {
                position.consumed = position.fetch;
            }
        }
    }

    /// Reads on from `offset`.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        self.buffered.retain(|record| (&record.topic, record.partition) != (&partition.0, partition.1));
        if let Some(position) = self.positions.get_mut(partition) {
            (position.fetch, position.consumed, position.look_up) = (Some(offset), Some(offset), None);
        }
    }

    /// Stops or goes on fetching a partition.
    pub fn pause(&mut self, partition: &TopicPartition, paused: bool) {
        if let Some(position) = self.positions.get_mut(partition) {
            position.paused = paused;
        }
    }

    /// Commits what was handed out. Whether anything was, and could be asked for: [`ConsumerEvent::Committed`] follows then.
    pub fn commit(&mut self, now: Instant) -> bool {
        let consumed: Vec<_> = self
            .positions
            .iter()
            .filter_map(|(partition, position)| {
                let offset = position.consumed.filter(|offset| position.committed != Some(*offset))?;
                Some((partition.clone(), offset, position.leader_epoch))
            })
            .collect();
        if consumed.is_empty() {
            return false;
        }
        let Some(membership) = &self.membership else { return false };
        let Some(target) = membership.coordinator().cloned() else { return false };
        let (member_id, generation_id) = membership.identity();
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for ((topic, partition), offset, leader_epoch) in &consumed {
            let entry = OffsetCommitRequestPartition {
                partition_index: *partition,
                committed_offset: *offset,
                committed_leader_epoch: *leader_epoch,
                committed_metadata: Some(Str::default()),
                ..OffsetCommitRequestPartition::default()
            };
            match topics.last_mut().filter(|last| last.name == *topic) {
                Some(last) => last.partitions.push(entry),
                None => topics.push(OffsetCommitRequestTopic {
                    name: topic.clone(),
                    partitions: vec![entry],
                    ..OffsetCommitRequestTopic::default()
                }),
            }
        }
        let request = OffsetCommitRequest {
            group_id: membership.config().group_id.clone(),
            generation_id_or_member_epoch: generation_id,
            member_id,
            group_instance_id: membership.config().group_instance_id.clone(),
            topics,
            ..OffsetCommitRequest::default()
        };
        let sent = self.session.send(now, &Destination::Coordinator(target), (2, 9), request);
        if let Some(id) = sent {
            self.commits_under_way += 1;
            let mut offsets = Vec::new();
            for (partition, offset, _) in consumed {
                if let Some(position) = self.positions.get_mut(&partition) {
                    position.committed = Some(offset);
                }
                offsets.push((partition, offset));
            }
            self.asked.insert(id, Asked::Commit(offsets));
        }
        sent.is_some()
    }

    /// Commits, leaves the group; [`Consumer::is_closed`] when that has been said.
    pub fn close(&mut self, now: Instant) {
        if self.closing {
            return;
        }
        self.closing = true;
        if self.config.enable_auto_commit {
            self.commit(now);
        }
        if self.commits_under_way == 0 {
            self.leave(now);
        }
    }

    fn leave(&mut self, now: Instant) {
        if let Some(membership) = &mut self.membership {
            self.leaving = membership.leave(now, &mut self.session);
        }
    }

    /// Whether nothing is left to be said after [`Consumer::close`].
    pub fn is_closed(&self) -> bool {
        self.closing && self.commits_under_way == 0 && self.leaving.is_none()
    }

    /// Takes what the shell says.
    pub fn handle(&mut self, now: Now, compressors: &Compressors, event: LinkEvent) {
        self.session.handle(now.monotonic, event);
        self.tick(now, compressors);
    }

    /// Does what is due; call it after [`Consumer::poll`] too.
    pub fn tick(&mut self, now: Now, compressors: &Compressors) {
        let at = now.monotonic;
        self.session.tick(at);
        for position in self.positions.values_mut().filter(|position| position.not_before <= at) {
            position.not_before = Instant(0);
        }
        for reply in self.session.take_replies(at) {
            if self.leaving == Some(reply.id) {
                self.leaving = None;
            }
            let mine = self.membership.as_mut().is_some_and(|m| m.take_reply(at, &mut self.session, &reply));
            if !mine {
                self.take_reply(at, compressors, &reply);
            }
        }
        if self.closing {
            return;
        }
        self.tell_of_topics();
        if let Some(membership) = &mut self.membership {
            membership.tick(at, &mut self.session);
            for event in membership.take_events() {
                self.membership_changed(at, event);
            }
        } else {
            self.adopt_whole_topics();
        }
        if self.config.enable_auto_commit && self.membership.is_some() && self.next_auto_commit <= at {
            let begun = self.next_auto_commit > Instant(0);
            self.next_auto_commit = at.plus_ms(self.config.auto_commit_interval_ms);
            if begun {
                self.commit(at);
            }
        }
        self.find_committed(at);
        self.find_positions(at);
        self.fetch(at);
    }

    /// When [`Consumer::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let membership = self.membership.as_ref().and_then(Membership::deadline);
        let commit = (self.config.enable_auto_commit && self.membership.is_some() && !self.closing)
            .then_some(self.next_auto_commit);
        let backoffs = self.positions.values().map(|position| position.not_before);
        let backoffs = backoffs.filter(|at| !self.closing && (1..u64::MAX).contains(&at.0)).min();
        [membership, commit, backoffs, self.session.deadline()].into_iter().flatten().min()
    }

    /// Says once of each topic that it cannot be read.
    fn tell_of_topics(&mut self) {
        for (name, topic) in &self.session.cluster().topics {
            if let Some(error) = topic.error.filter(|error| !error.is_retriable())
                && self.told.insert(name.clone())
            {
                self.events.push(ConsumerEvent::TopicError(name.clone(), error));
            }
        }
    }

    /// Without a group and without named partitions, all partitions of its topics are its own.
    fn adopt_whole_topics(&mut self) {
        if self.config.membership.is_some() || !self.positions.is_empty() {
            return;
        }
        let look_up = self.reset_timestamp();
        let mut assigned = Vec::new();
        for (name, topic) in &self.session.cluster().topics {
            for index in topic.partitions.keys() {
                assigned.push((name.clone(), *index));
            }
        }
        if assigned.is_empty() {
            return;
        }
        for partition in &assigned {
            let position = Position { look_up, leader_epoch: -1, ..Position::default() };
            self.positions.insert(partition.clone(), position);
        }
        self.events.push(ConsumerEvent::Assigned(assigned));
    }

    fn membership_changed(&mut self, now: Instant, event: MembershipEvent) {
        match event {
            MembershipEvent::Rebalancing => {
                if self.config.enable_auto_commit {
                    self.commit(now);
                }
                self.suspended = self.membership.as_ref().is_some_and(|m| !m.is_cooperative());
            }
            MembershipEvent::Assigned(partitions) => {
                self.suspended = false;
                let kept: BTreeSet<TopicPartition> = partitions.iter().cloned().into_set();
                self.positions.retain(|partition, _| kept.contains(partition));
                self.buffered.retain(|record| kept.contains(&(record.topic.clone(), record.partition)));
                for partition in &partitions {
                    let fresh = || Position { leader_epoch: -1, ..Position::default() };
                    self.positions.entry(partition.clone()).or_insert_with(fresh);
                }
                let mut topics: Vec<Str> = partitions.iter().map(|(topic, _)| topic.clone()).collect();
                topics.dedup();
                self.session.want_topics(now, Topics::Named(topics), true);
                self.events.push(ConsumerEvent::Assigned(partitions));
            }
            MembershipEvent::Lost => {
                self.positions.clear();
                self.buffered.clear();
                self.events.push(ConsumerEvent::Revoked);
            }
            MembershipEvent::Fatal(error) => self.events.push(ConsumerEvent::Fatal(error)),
        }
    }

    fn is_asked(&self, partition: &TopicPartition) -> bool {
        self.asked.values().any(|asked| match asked {
            Asked::ListOffsets(partitions) | Asked::Committed(partitions) => partitions.contains(partition),
            Asked::Fetch(..) | Asked::Commit(_) => false,
        })
    }

    /// Asks the group where the partitions stand that are new here.
    fn find_committed(&mut self, now: Instant) {
        let Some(membership) = &self.membership else { return };
        let Some(target) = membership.coordinator().cloned() else { return };
        let unknown: Vec<TopicPartition> = self
            .positions
            .iter()
            .filter(|(partition, position)| {
                position.fetch.is_none()
                    && position.look_up.is_none()
                    && position.not_before <= now
                    && !self.is_asked(partition)
            })
            .map(|(partition, _)| partition.clone())
            .collect();
        if unknown.is_empty() {
            return;
        }
        let mut topics: Vec<OffsetFetchRequestTopic> = Vec::new();
        for (topic, partition) in &unknown {
            match topics.last_mut().filter(|last| last.name == *topic) {
                Some(last) => last.partition_indexes.push(*partition),
                None => topics.push(OffsetFetchRequestTopic {
                    name: topic.clone(),
                    partition_indexes: vec![*partition],
                }),
            }
        }
        let request = OffsetFetchRequest {
            group_id: membership.config().group_id.clone(),
            topics: Some(topics),
            ..OffsetFetchRequest::default()
        };
        if let Some(id) = self.session.send(now, &Destination::Coordinator(target), (1, 7), request) {
            self.asked.insert(id, Asked::Committed(unknown));
        }
    }

    /// Looks up the offsets to begin at.
    fn find_positions(&mut self, now: Instant) {
        let mut by_leader: SmallMap<i32, Vec<(TopicPartition, i64)>> = SmallMap::new();
        for (partition, position) in &self.positions {
            let Some(timestamp) = position.look_up.filter(|_| position.not_before <= now) else { continue };
            if self.is_asked(partition) {
                continue;
            }
            if let Some((leader, _)) = self.session.cluster().leader(&partition.0, partition.1) {
                by_leader.or_default(leader).push((partition.clone(), timestamp));
            }
        }
        for (leader, partitions) in by_leader {
            let mut topics: Vec<ListOffsetsTopic> = Vec::new();
            for ((topic, partition_index), timestamp) in &partitions {
                let entry = ListOffsetsPartition {
                    partition_index: *partition_index,
                    current_leader_epoch: self.session.cluster().leader_epoch(topic, *partition_index),
                    timestamp: *timestamp,
                    ..ListOffsetsPartition::default()
                };
                match topics.last_mut().filter(|last| last.name == *topic) {
                    Some(last) => last.partitions.push(entry),
                    None => topics.push(ListOffsetsTopic { name: topic.clone(), partitions: vec![entry] }),
                }
            }
            let request = ListOffsetsRequest {
                replica_id: -1,
                isolation_level: i8::from(self.config.read_committed),
                topics,
                ..ListOffsetsRequest::default()
            };
            if let Some(id) = self.session.send(now, &Destination::Node(leader), (1, 10), request) {
                let partitions = partitions.into_iter().map(|(partition, _)| partition).collect();
                self.asked.insert(id, Asked::ListOffsets(partitions));
            }
        }
    }

    /// One fetch to each broker that leads something this consumer can go on with.
    fn fetch(&mut self, now: Instant) {
        if self.buffered.len() >= BUFFERED_MAX {
            return;
        }
        let mut by_leader: SmallMap<i32, Vec<(TopicPartition, i64)>> = SmallMap::new();
        let mut leaderless = false;
        for (partition, position) in &self.positions {
            let Some(offset) = position.fetch.filter(|_| !position.paused && position.not_before <= now)
            else {
                continue;
            };
            match self.session.cluster().leader(&partition.0, partition.1) {
                Some((leader, _)) if self.fetching.contains(&leader) => {}
                Some((leader, _)) => by_leader.or_default(leader).push((partition.clone(), offset)),
                None => leaderless = true,
            }
        }
        if leaderless {
            self.session.refresh_after_backoff(now);
        }
        for (leader, partitions) in by_leader {
            let mut topics: Vec<FetchTopic> = Vec::new();
            for ((topic, partition), fetch_offset) in &partitions {
                let entry = FetchPartition {
                    partition: *partition,
                    current_leader_epoch: self.session.cluster().leader_epoch(topic, *partition),
                    fetch_offset: *fetch_offset,
                    partition_max_bytes: self.config.max_partition_fetch_bytes,
                    ..FetchPartition::default()
                };
                match topics.last_mut().filter(|last| last.topic == *topic) {
                    Some(last) => last.partitions.push(entry),
                    None => topics.push(FetchTopic {
                        topic: topic.clone(),
                        partitions: vec![entry],
                        ..FetchTopic::default()
                    }),
                }
            }
            let request = FetchRequest {
                max_wait_ms: self.config.fetch_max_wait_ms,
                min_bytes: self.config.fetch_min_bytes,
                max_bytes: self.config.fetch_max_bytes,
                isolation_level: i8::from(self.config.read_committed),
                topics,
                ..FetchRequest::default()
            };
            let patience = self.config.session.request_timeout_ms + i64::from(self.config.fetch_max_wait_ms);
            let sent =
                self.session.send_within(now, &Destination::Node(leader), FETCH_VERSIONS, request, patience);
            if let Some(id) = sent {
                self.fetching.insert(leader);
                self.asked.insert(id, Asked::Fetch(leader, partitions));
            }
        }
    }

    fn take_reply(&mut self, now: Instant, compressors: &Compressors, reply: &Reply) {
        match self.asked.remove(&reply.id) {
            Some(Asked::Fetch(leader, partitions)) => {
                self.fetching.remove(&leader);
                match reply.decode::<FetchResponse>() {
                    Ok(answer) => self.fetched(now, compressors, &partitions, &answer),
                    Err(failure) => self.fetch_failed(now, &partitions, &failure),
                }
            }
            Some(Asked::ListOffsets(partitions)) => self.positions_found(now, &partitions, reply),
            Some(Asked::Committed(partitions)) => self.committed_found(now, &partitions, reply),
            Some(Asked::Commit(offsets)) => {
                self.commits_under_way = self.commits_under_way.saturating_sub(1);
                self.commit_answered(now, offsets, reply);
                if self.closing && self.commits_under_way == 0 {
                    self.leave(now);
                }
            }
            None => {}
        }
    }

    fn back_off(&mut self, now: Instant, partition: &TopicPartition) {
        let until = now.plus_ms(self.config.session.retry_backoff_ms);
        if let Some(position) = self.positions.get_mut(partition) {
            position.not_before = until;
        }
        self.session.refresh_after_backoff(now);
    }

    fn fetch_failed(&mut self, now: Instant, partitions: &[(TopicPartition, i64)], _failure: &Failure) {
        for (partition, _) in partitions {
            self.back_off(now, partition);
        }
    }

    fn fetched(
        &mut self,
        now: Instant,
        compressors: &Compressors,
        asked: &[(TopicPartition, i64)],
        answer: &FetchResponse,
    ) {
        for topic in &answer.responses {
            let name = topic.topic.detached();
            for data in &topic.partitions {
                let partition = (name.clone(), data.partition_index);
                let from = asked.iter().find(|(other, _)| *other == partition).map(|(_, offset)| *offset);
                // The position was moved while the fetch was under way.
                let current = self.positions.get(&partition).and_then(|position| position.fetch);
                if from.is_none() || from != current {
                    continue;
                }
                match ErrorCode::from_code(data.error_code).unwrap_or(ErrorCode::UnknownServerError) {
                    ErrorCode::None => {
                        if let Some(position) = self.positions.get_mut(&partition) {
                            position.high_watermark = Some(data.high_watermark);
                        }
                        let aborted = data.aborted_transactions.iter().flatten();
                        let aborted = aborted.map(|txn| (txn.producer_id, txn.first_offset)).collect();
                        self.take_records(now, compressors, &partition, &data.records, aborted);
                    }
                    ErrorCode::OffsetOutOfRange => self.out_of_range(&partition),
                    ErrorCode::TopicAuthorizationFailed => {
                        let error = ErrorCode::TopicAuthorizationFailed;
                        self.events.push(ConsumerEvent::TopicError(partition.0.clone(), error));
                        self.back_off(now, &partition);
                    }
                    _ => self.back_off(now, &partition),
                }
            }
        }
    }

    fn out_of_range(&mut self, partition: &TopicPartition) {
        let look_up = self.reset_timestamp();
        if look_up.is_none() {
            self.events.push(ConsumerEvent::NoOffset(partition.clone()));
        }
        if let Some(position) = self.positions.get_mut(partition) {
            (position.fetch, position.look_up) = (None, look_up);
            position.not_before = if look_up.is_none() { Instant(u64::MAX) } else { position.not_before };
        }
    }

    fn take_records(
        &mut self,
        now: Instant,
        compressors: &Compressors,
        partition: &TopicPartition,
        records: &Records,
        mut aborted: VecDeque<(i64, i64)>,
    ) {
        let Some(bytes) = records.bytes().filter(|bytes| !bytes.is_empty()) else { return };
        let Some(position) = self.positions.get_mut(partition) else { return };
        let from = position.fetch.unwrap_or(0);
        let mut next = from;
        let mut aborting: SmallSet<i64> = SmallSet::new();
        for batch in batches(bytes) {
            // The last batch may be cut off.
            let Ok(batch) = batch else { break };
            let header = *batch.header();
            next = next.max(header.next_offset());
            while aborted.front().is_some_and(|(_, first)| *first <= header.last_offset()) {
                if let Some((producer_id, _)) = aborted.pop_front() {
                    aborting.insert(producer_id);
                }
            }
            if header.is_control() {
                aborting.remove(&header.producer_id);
                continue;
            }
            if self.config.read_committed
                && header.is_transactional()
                && aborting.contains(&header.producer_id)
            {
                continue;
            }
            let read = batch.check_crc().map_err(|error| error.to_string());
            let read = read.and_then(|_| batch.records(compressors).map_err(|error| error.to_string()));
            let records = match read {
                Ok(records) => records,
                Err(reason) => {
                    self.events.push(ConsumerEvent::Corrupt(partition.clone(), reason));
                    continue;
                }
            };
            for record in records {
                let Ok(record) = record else { break };
                if record.offset < from {
                    continue;
                }
                let headers = record.headers.into_iter().map(|header| (header.key, header.value));
                self.buffered.push_back(ConsumerRecord {
                    topic: partition.0.clone(),
                    partition: partition.1,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    log_append_time: header.timestamp_type() == crate::record::TimestampType::LogAppendTime,
                    key: record.key,
                    value: record.value,
                    headers: headers.collect(),
                    leader_epoch: header.partition_leader_epoch,
                });
            }
        }
        position.fetch = Some(next);
        if next == from {
            // Not one whole batch: nothing that can be read will come from there soon.
            position.not_before = now.plus_ms(self.config.session.retry_backoff_ms);
        }
        self.catch_up();
    }

    fn positions_found(&mut self, now: Instant, partitions: &[TopicPartition], reply: &Reply) {
        let Ok(answer) = reply.decode::<ListOffsetsResponse>() else {
            for partition in partitions {
                self.back_off(now, partition);
            }
            return;
        };
        for topic in &answer.topics {
            for found in &topic.partitions {
                let partition = (topic.name.detached(), found.partition_index);
                if found.error_code != 0 {
                    self.back_off(now, &partition);
                    continue;
                }
                if let Some(position) = self.positions.get_mut(&partition)
                    && position.look_up.is_some()
                {
                    if found.offset < 0 {
                        // No record is as new as the time asked for: begin with the next one.
                        position.look_up = Some(-1);
                        continue;
                    }
                    (position.fetch, position.consumed) = (Some(found.offset), Some(found.offset));
                    position.look_up = None;
                }
            }
        }
    }

    fn committed_found(&mut self, now: Instant, partitions: &[TopicPartition], reply: &Reply) {
        let answer = reply.decode::<OffsetFetchResponse>().ok().filter(|answer| answer.error_code == 0);
        let Some(answer) = answer else {
            for partition in partitions {
                self.back_off(now, partition);
            }
            return;
        };
        let look_up = self.reset_timestamp();
        for topic in &answer.topics {
            for found in &topic.partitions {
                let partition = (topic.name.detached(), found.partition_index);
                if found.error_code != 0 {
                    self.back_off(now, &partition);
                    continue;
                }
                let Some(position) = self.positions.get_mut(&partition) else { continue };
                if found.committed_offset >= 0 {
                    let offset = Some(found.committed_offset);
                    (position.fetch, position.consumed, position.committed) = (offset, offset, offset);
                } else {
                    position.look_up = look_up;
                    if look_up.is_none() {
                        position.not_before = Instant(u64::MAX);
                        self.events.push(ConsumerEvent::NoOffset(partition));
                    }
                }
            }
        }
    }

    fn commit_answered(&mut self, now: Instant, offsets: Vec<(TopicPartition, i64)>, reply: &Reply) {
        let error = match reply.decode::<OffsetCommitResponse>() {
            Ok(answer) => {
                let codes = answer.topics.iter().flat_map(|topic| &topic.partitions);
                let refused = codes.map(|partition| partition.error_code).find(|code| *code != 0);
                refused.map(|code| ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError))
            }
            Err(Failure::Disconnected(_)) => Some(ErrorCode::NetworkException),
            Err(_) => Some(ErrorCode::RequestTimedOut),
        };
        let has_moved = matches!(
            error,
            Some(
                ErrorCode::NotCoordinator
                    | ErrorCode::CoordinatorNotAvailable
                    | ErrorCode::NetworkException
                    | ErrorCode::RequestTimedOut
            )
        );
        if has_moved {
            for position in self.positions.values_mut() {
                position.committed = None;
            }
            if let Some(membership) = &mut self.membership {
                membership.lose_coordinator(now);
            }
        }
        self.events.push(ConsumerEvent::Committed { offsets, error });
    }
}
