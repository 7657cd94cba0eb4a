//! Copying from one broker: what to fetch, when, and from where on (KIP-74, 227, 279, 595).
//!
//! A fetcher has one Fetch on its way at a time and says in it only what has changed. Where a replica stands is not remembered here: the log says so
//! whenever a request is built. A partition that was refused pauses; the others go on.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_request::{FetchRequest, ReplicaState};
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla_protocol::messages::{FetchResponse, ListOffsetsResponse};

use super::session::Session;
use crate::config::BrokerConfig;
use crate::ids::{TopicIdPartition, TopicPartition};
use crate::log::list_offsets::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP};
use crate::network::{Lane, RequestId};
use crate::time::Instant;

/// The versions of Fetch that a replica speaks: topics have ids (13), it has an epoch (15).
pub const FETCH_VERSIONS: (i16, i16) = (15, 17);
/// The versions of ListOffsets that a replica speaks: it names its leader epoch (4).
pub const LIST_OFFSETS_VERSIONS: (i16, i16) = (4, 9);

/// By what name a shard of a broker asks others.
pub fn client_id(node_id: i32, shard: u16) -> String {
    format!("broker-{node_id}-fetcher-{shard}")
}

/// Whether that is the name of a broker's shard.
pub fn is_client_id(client_id: &str) -> bool {
    client_id.strip_prefix("broker-").is_some_and(|rest| rest.contains("-fetcher-"))
}
/// The first pause of a partition whose leader has not heard yet that it leads, in ms; each further one is twice as long.
const FIRST_PAUSE_MS: i64 = 10;

/// Where a replica goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPosition {
    /// The end of its log.
    pub fetch_offset: i64,
    /// The beginning of its log.
    pub log_start_offset: i64,
    /// The epoch that it follows.
    pub current_leader_epoch: i32,
    /// The epoch of its last record; −1 without one.
    pub last_fetched_epoch: i32,
}

/// Who fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Myself {
    /// `node.id`
    pub broker: i32,
    /// As it is registered; −1 before.
    pub broker_epoch: i64,
}

/// What becomes of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fetching,
    /// Again at this time; the next pause would be so long, in ms.
    Paused(Instant, i64),
    /// Its log and the leader's have nothing in common that is known: the leader is asked for one of its ends.
    Asking(i64),
}

/// The end of a leader's log that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaderEnd {
    /// The first offset.
    Earliest(i64),
    /// The offset after the last.
    Latest(i64),
}

/// The fetcher from one broker.
#[derive(Clone, Debug, Default)]
pub struct Fetcher {
    partitions: BTreeMap<TopicIdPartition, State>,
    /// Those that may stand elsewhere than the session says.
    changed: BTreeSet<TopicIdPartition>,
    paused: BTreeSet<(Instant, TopicIdPartition)>,
    asking: BTreeSet<TopicIdPartition>,
    session: Session,
    /// The one on the link that is not in use.
    left_behind: Session,
    fetch: Option<RequestId>,
    is_second_link: bool,
    lookup: Option<(RequestId, Vec<TopicIdPartition>)>,
    /// The broker did not answer: not before then.
    retry_at: Option<Instant>,
}

impl Fetcher {
    /// Fetches a partition from now on; what was known of it is forgotten.
    ///
    /// A Fetch that waits at the broker for records of others is not waited for: a leader that was just elected commits nothing before its
    /// followers have fetched. It is left behind on its link, and a new session begins on another.
    pub fn add(&mut self, id: TopicIdPartition) {
        self.set(id, State::Fetching);
        self.leave_fetch_behind();
    }

    fn leave_fetch_behind(&mut self) {
        if self.fetch.take().is_some() {
            std::mem::swap(&mut self.session, &mut self.left_behind);
            self.session.lost();
            self.is_second_link = !self.is_second_link;
        }
    }

    /// The link that its Fetches are sent on.
    pub fn lane(&self) -> Lane {
        if self.is_second_link { Lane::Coordination } else { Lane::Data }
    }

    /// Fetches it no more.
    pub fn remove(&mut self, id: TopicIdPartition) {
        self.leave(id);
        self.partitions.remove(&id);
        self.changed.insert(id);
    }

    /// Whether it fetches nothing.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The replica stands elsewhere.
    pub fn changed(&mut self, id: TopicIdPartition) {
        if self.partitions.contains_key(&id) {
            self.changed.insert(id);
        }
    }

    /// The broker came back, or listens elsewhere.
    pub fn source_changed(&mut self) {
        self.retry_at = None;
        self.leave_fetch_behind();
        self.session.lost();
    }

    fn leave(&mut self, id: TopicIdPartition) {
        if let Some(State::Paused(until, _)) = self.partitions.get(&id) {
            self.paused.remove(&(*until, id));
        }
        self.asking.remove(&id);
    }

    fn set(&mut self, id: TopicIdPartition, state: State) {
        self.leave(id);
        match state {
            State::Paused(until, _) => _ = self.paused.insert((until, id)),
            State::Asking(_) => _ = self.asking.insert(id),
            State::Fetching => {}
        }
        self.partitions.insert(id, state);
        self.changed.insert(id);
    }

    /// A partition was refused: again after `pause_ms`.
    pub fn pause(&mut self, now: Instant, id: TopicIdPartition, pause_ms: i64) {
        if self.partitions.contains_key(&id) {
            self.set(id, State::Paused(now.plus_ms(pause_ms), pause_ms));
        }
    }

    /// The leader has not heard of its office, or this broker has heard too early: again soon, then later and later up to `pause_ms_max`.
    pub fn pause_briefly(&mut self, now: Instant, id: TopicIdPartition, pause_ms_max: i64) {
        let next_ms = match self.partitions.get(&id) {
            Some(State::Paused(_, last_ms)) => last_ms.saturating_mul(2),
            Some(State::Fetching | State::Asking(_)) => FIRST_PAUSE_MS,
            None => return,
        };
        let pause_ms = next_ms.min(pause_ms_max);
        self.set(id, State::Paused(now.plus_ms(pause_ms), pause_ms));
    }

    /// A partition is out of the leader's range: the leader is asked for the end of its log.
    pub fn ask_latest(&mut self, id: TopicIdPartition) {
        self.set(id, State::Asking(LATEST_TIMESTAMP));
    }

    /// Asks for the beginning of the leader's log.
    pub fn ask_earliest(&mut self, id: TopicIdPartition) {
        self.set(id, State::Asking(EARLIEST_TIMESTAMP));
    }

    /// The next Fetch, if one is due; it counts as sent once [`Fetcher::sent`] was told.
    pub fn next_fetch(
        &mut self,
        now: Instant,
        config: &BrokerConfig,
        me: Myself,
        mut position: impl FnMut(TopicIdPartition) -> Option<FetchPosition>,
    ) -> Option<FetchRequest> {
        if self.fetch.is_some() || self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        self.retry_at = None;
        let ripe: Vec<_> = self.paused.iter().take_while(|(at, _)| *at <= now).copied().collect();
        for (at, id) in ripe {
            // It stays in its state, so that the next pause is longer.
            self.paused.remove(&(at, id));
            self.changed.insert(id);
        }
        if self.session.is_full() {
            self.changed.extend(self.partitions.keys());
        }
        if self.changed.is_empty() && self.partitions.is_empty() {
            return None;
        }
        let mut request = FetchRequest {
            cluster_id: None,
            replica_state: ReplicaState { replica_id: me.broker, replica_epoch: me.broker_epoch },
            max_wait_ms: config.replica_fetch_wait_max_ms,
            min_bytes: config.replica_fetch_min_bytes,
            max_bytes: config.replica_fetch_response_max_bytes,
            ..FetchRequest::default()
        };
        let (partitions, paused) = (&self.partitions, &self.paused);
        let changed = std::mem::take(&mut self.changed).into_iter().map(|id| {
            let is_fetched = match partitions.get(&id) {
                Some(State::Fetching) => true,
                Some(State::Paused(until, _)) => !paused.contains(&(*until, id)),
                Some(State::Asking(_)) | None => false,
            };
            (id, if is_fetched { position(id) } else { None })
        });
        self.session.name(&mut request, changed, config.replica_fetch_max_bytes).then_some(request)
    }

    /// A Fetch was sent.
    pub fn sent(&mut self, id: RequestId) {
        self.fetch = Some(id);
    }

    /// The broker has answered since it was last found to be gone.
    pub fn is_in_session(&self) -> bool {
        !self.session.is_full()
    }

    /// Whether an answer is that to the Fetch on its way.
    pub fn is_fetch(&self, id: RequestId) -> bool {
        self.fetch == Some(id)
    }

    /// Takes an answer: for each partition where the fetch began, and what the leader says.
    pub fn fetched(
        &mut self,
        now: Instant,
        config: &BrokerConfig,
        response: &FetchResponse,
    ) -> Vec<(TopicIdPartition, FetchPosition, PartitionData)> {
        match ErrorCode::from_code(response.error_code) {
            Some(ErrorCode::None) => {}
            Some(
                ErrorCode::FetchSessionIdNotFound
                | ErrorCode::InvalidFetchSessionEpoch
                | ErrorCode::FetchSessionTopicIdError,
            ) => {
                self.fetch = None;
                self.session.answered(response);
                return Vec::new();
            }
            _ => {
                self.fetch_failed(now, config);
                return Vec::new();
            }
        }
        self.fetch = None;
        let mut found = Vec::new();
        for topic in &response.responses {
            for data in &topic.partitions {
                let id = TopicIdPartition { topic_id: topic.topic_id, partition: data.partition_index };
                let Some(position) = self.session.position(id) else { continue };
                found.push((id, position, data.clone()));
            }
        }
        self.session.answered(response);
        found
    }

    /// There is no answer, or none that can be used: everything again, after a pause.
    pub fn fetch_failed(&mut self, now: Instant, config: &BrokerConfig) {
        self.fetch = None;
        self.session.lost();
        self.retry_at = Some(now.plus_ms(i64::from(config.replica_fetch_backoff_ms)));
    }

    /// A partition was fetched, or can be again: its next pause is a short one.
    pub fn went_well(&mut self, id: TopicIdPartition) {
        match self.partitions.get(&id) {
            Some(State::Fetching) => _ = self.changed.insert(id),
            Some(State::Paused(..) | State::Asking(_)) => self.set(id, State::Fetching),
            None => {}
        }
    }

    /// The next question for ends of the leader's logs, if there is one: first those who ask for the same end.
    pub fn next_lookup(
        &self,
        me: Myself,
        mut name: impl FnMut(TopicIdPartition) -> Option<(TopicPartition, i32)>,
    ) -> Option<(ListOffsetsRequest, Vec<TopicIdPartition>)> {
        if self.lookup.is_some() {
            return None;
        }
        let wanted = |id: &TopicIdPartition| match self.partitions.get(id) {
            Some(State::Asking(timestamp)) => Some(*timestamp),
            _ => None,
        };
        let timestamp = wanted(self.asking.first()?)?;
        let mut topics: Vec<ListOffsetsTopic> = Vec::new();
        let mut ids = Vec::new();
        for id in self.asking.iter().filter(|id| wanted(id) == Some(timestamp)) {
            let Some((name, current_leader_epoch)) = name(*id) else { continue };
            let partition = ListOffsetsPartition {
                partition_index: id.partition,
                current_leader_epoch,
                timestamp,
                ..ListOffsetsPartition::default()
            };
            match topics.last_mut() {
                Some(last) if last.name == name.topic => last.partitions.push(partition),
                _ => topics.push(ListOffsetsTopic { name: name.topic, partitions: vec![partition] }),
            }
            ids.push(*id);
        }
        let request = ListOffsetsRequest { replica_id: me.broker, topics, ..ListOffsetsRequest::default() };
        (!ids.is_empty()).then_some((request, ids))
    }

    /// A question was sent.
    pub fn asked(&mut self, id: RequestId, partitions: Vec<TopicIdPartition>) {
        self.lookup = Some((id, partitions));
    }

    /// Whether an answer is that to the question on its way.
    pub fn is_lookup(&self, id: RequestId) -> bool {
        self.lookup.as_ref().is_some_and(|(asked, _)| *asked == id)
    }

    /// Takes an answer, or that there is none: what is known of each partition that was asked for and still is.
    pub fn found(
        &mut self,
        response: Option<&ListOffsetsResponse>,
        mut name: impl FnMut(TopicIdPartition) -> Option<TopicPartition>,
    ) -> Vec<(TopicIdPartition, Option<LeaderEnd>)> {
        let Some((_, ids)) = self.lookup.take() else { return Vec::new() };
        let offset_of = |name: &TopicPartition| {
            let topic = response?.topics.iter().find(|topic| topic.name == name.topic)?;
            let found = topic.partitions.iter().find(|found| found.partition_index == name.partition)?;
            (found.error_code == ErrorCode::None.code() && found.offset >= 0).then_some(found.offset)
        };
        let mut ends = Vec::new();
        for id in ids {
            let Some(State::Asking(timestamp)) = self.partitions.get(&id) else { continue };
            let offset = name(id).and_then(|name| offset_of(&name));
            let end = offset.map(|offset| match *timestamp {
                LATEST_TIMESTAMP => LeaderEnd::Latest(offset),
                _ => LeaderEnd::Earliest(offset),
            });
            ends.push((id, end));
        }
        ends
    }

    /// When a pause ends.
    pub fn deadline(&self) -> Option<Instant> {
        if self.fetch.is_some() {
            return None;
        }
        self.retry_at.or_else(|| self.paused.first().map(|(at, _)| *at))
    }
}
