//! Incremental fetch sessions (KIP-227): the client names what changed, the broker answers what is new.
//!
//! Sessions live with the connection that opened them; a client that reconnects is told `FETCH_SESSION_ID_NOT_FOUND` and opens
//! another, as after an eviction.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::fetch_request::{FetchRequest, FetchTopic};
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::data::Bounds;
use crate::rng::Rng;
use crate::time::Instant;
use crate::tree::IntoTree as _;

/// A session that nobody used for so long makes room for another (`min.incremental.fetch.session.eviction.ms`).
const EVICTION_MS: i64 = 120_000;
/// Sessions of one connection at once. Clients have one for each broker that they fetch from.
const SESSIONS_MAX: usize = 8;
/// Partitions of all sessions of one connection: more than any broker leads, and few enough to remember.
const PARTITIONS_MAX: usize = 100_000;
/// So many changes are looked up one by one; for more, all partitions are put in order first.
const CHANGES_FEW: usize = 8;
const INVALID_SESSION_ID: i32 = 0;
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

/// A partition as a fetch names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name (up to version 12).
    pub topic: Str,
    /// Id (from version 13).
    pub topic_id: Uuid,
    /// Index.
    pub partition: i32,
    /// First offset wanted.
    pub fetch_offset: i64,
    /// What the client believes; −1 when it does not say.
    pub current_leader_epoch: i32,
    /// −1 when the client does not say.
    pub last_fetched_epoch: i32,
    /// The first offset that a replica has; −1 of others.
    pub log_start_offset: i64,
    /// Bytes at most.
    pub max_bytes: i32,
}

/// What a request comes to.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Session to name in the answer, 0 without one.
    pub session_id: i32,
    /// Whether unchanged partitions are left out of the answer.
    pub incremental: bool,
    /// All partitions to fetch, in order.
    pub wanted: Vec<Wanted>,
}

#[derive(Clone, Debug)]
struct Session {
    /// Epoch that the next request must carry.
    epoch: i32,
    by_id: bool,
    /// In the order in which they are served.
    partitions: Vec<Cached>,
    last_used: Instant,
}

#[derive(Clone, Debug)]
struct Cached {
    wanted: Wanted,
    /// What the last answer said.
    answered: Option<(Bounds, bool)>,
}

/// What takes an answer back: the client is to hear nothing of it.
#[derive(Clone, Debug)]
pub struct Unanswered {
    session_id: i32,
    /// The session as it was; `None` of one that the request opened.
    before: Option<Session>,
}

/// The sessions of one connection.
#[derive(Clone, Debug)]
pub struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    slots_max: usize,
    rng: Rng,
}

impl FetchSessions {
    /// No session; at most `slots_max` at once, and never more than some.
    pub fn new(slots_max: i32, rng: Rng) -> Self {
        let slots_max = usize::try_from(slots_max).unwrap_or(0).min(SESSIONS_MAX);
        Self { sessions: BTreeMap::new(), slots_max, rng }
    }

    /// What a request asks for, with what its session remembers.
    pub fn resolve(
        &mut self,
        now: Instant,
        request: &FetchRequest,
        version: i16,
    ) -> Result<Resolved, ErrorCode> {
        let by_id = version >= 13;
        if request.session_epoch == FINAL_EPOCH || request.session_epoch == INITIAL_EPOCH {
            // A full fetch closes the session that it names.
            self.sessions.remove(&request.session_id);
            let wanted = wanted(&request.topics);
            let session_id = if request.session_epoch == FINAL_EPOCH {
                INVALID_SESSION_ID
            } else {
                self.open(now, by_id, &wanted)
            };
            return Ok(Resolved { session_id, incremental: false, wanted });
        }
        let session = self.sessions.get_mut(&request.session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        session.epoch = if session.epoch == i32::MAX { 1 } else { session.epoch + 1 };
        session.last_used = now;
        session.change(request, by_id);
        if self.partitions() > PARTITIONS_MAX {
            self.sessions.remove(&request.session_id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        let Some(session) = self.sessions.get(&request.session_id) else {
            return Err(ErrorCode::FetchSessionIdNotFound);
        };
        let resolved = Resolved {
            session_id: request.session_id,
            incremental: true,
            wanted: session.partitions.iter().map(|cached| cached.wanted.clone()).collect(),
        };
        if session.partitions.is_empty() {
            self.sessions.remove(&request.session_id);
            return Ok(Resolved { session_id: INVALID_SESSION_ID, ..resolved });
        }
        Ok(resolved)
    }

    /// What takes back what is about to be answered.
    pub fn unanswered(&self, resolved: &Resolved) -> Unanswered {
        let Resolved { session_id, incremental, .. } = *resolved;
        Unanswered { session_id, before: self.sessions.get(&session_id).filter(|_| incremental).cloned() }
    }

    /// Takes an answer back: the session to name instead.
    pub fn take_back(&mut self, Unanswered { session_id, before }: Unanswered) -> i32 {
        match before {
            Some(session) => {
                self.sessions.insert(session_id, session);
                session_id
            }
            None => {
                self.sessions.remove(&session_id);
                INVALID_SESSION_ID
            }
        }
    }

    /// Whether partition number `index` belongs into the answer; remembers what it will say.
    ///
    /// Partitions with records or errors always do and go to the end of the order, so that all get their turn.
    pub fn answers(
        &mut self,
        resolved: &Resolved,
        index: usize,
        bounds: Option<Bounds>,
        has_news: bool,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&resolved.session_id) else { return true };
        let Some(cached) = session.partitions.get_mut(index) else { return true };
        let said = bounds.map(|bounds| (bounds, false));
        let changed = has_news || cached.answered != said;
        cached.answered = if bounds.is_none() { None } else { said };
        !resolved.incremental || changed
    }

    /// Moves partitions that were answered with records behind the others.
    pub fn rotate(&mut self, resolved: &Resolved, with_records: &[bool]) {
        let Some(session) = self.sessions.get_mut(&resolved.session_id) else { return };
        if session.partitions.len() != with_records.len() {
            return;
        }
        let partitions = std::mem::take(&mut session.partitions);
        let (last, first): (Vec<_>, Vec<_>) =
            partitions.into_iter().zip(with_records).partition(|(_, records)| **records);
        session.partitions = first.into_iter().chain(last).map(|(cached, _)| cached).collect();
    }

    /// Of all sessions.
    fn partitions(&self) -> usize {
        self.sessions.values().map(|session| session.partitions.len()).sum()
    }

    fn open(&mut self, now: Instant, by_id: bool, wanted: &[Wanted]) -> i32 {
        if wanted.len().saturating_add(self.partitions()) > PARTITIONS_MAX {
            return INVALID_SESSION_ID;
        }
        if self.sessions.len() >= self.slots_max {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.last_used);
            match oldest.map(|(id, session)| (*id, now.ms_since(session.last_used))) {
                Some((id, idle)) if idle > EVICTION_MS => self.sessions.remove(&id),
                _ => return INVALID_SESSION_ID,
            };
        }
        let id = loop {
            let id = i32::try_from(self.rng.below(i32::MAX as u64 - 1) + 1).unwrap_or(1);
            if !self.sessions.contains_key(&id) {
                break id;
            }
        };
        let partitions =
            wanted.iter().map(|wanted| Cached { wanted: wanted.clone(), answered: None }).collect();
        self.sessions.insert(id, Session { epoch: 1, by_id, partitions, last_used: now });
        id
    }
}

impl Session {
    fn change(&mut self, request: &FetchRequest, by_id: bool) {
        let changed = wanted(&request.topics);
        let places: Option<BTreeMap<_, _>> = (changed.len() > CHANGES_FEW).then(|| {
            self.partitions.iter().zip(0..).map(|(cached, at)| (cached.wanted.key(by_id), at)).into_map()
        });
        let place = |new: &Wanted| match &places {
            Some(places) => places.get(&new.key(by_id)).copied(),
            None => self.partitions.iter().position(|cached| cached.wanted.key(by_id) == new.key(by_id)),
        };
        let found: Vec<Option<usize>> = changed.iter().map(place).collect();
        for (new, place) in changed.into_iter().zip(found) {
            match place.and_then(|place| self.partitions.get_mut(place)) {
                Some(cached) => cached.wanted = new,
                None => self.partitions.push(Cached { wanted: new, answered: None }),
            }
        }
        if request.forgotten_topics_data.is_empty() {
            return;
        }
        let forgotten: BTreeSet<Key<'_>> = request
            .forgotten_topics_data
            .iter()
            .flat_map(|topic| {
                let name = if by_id { "" } else { &*topic.topic };
                let id = if by_id { topic.topic_id } else { Uuid::ZERO };
                topic.partitions.iter().map(move |partition| (*partition, id, name))
            })
            .into_set();
        self.partitions.retain(|cached| !forgotten.contains(&cached.wanted.key(by_id)));
    }
}

/// Which partition: its index, and the id or the name of its topic.
type Key<'a> = (i32, Uuid, &'a str);

impl Wanted {
    fn key(&self, by_id: bool) -> Key<'_> {
        match by_id {
            true => (self.partition, self.topic_id, ""),
            false => (self.partition, Uuid::ZERO, &self.topic),
        }
    }
}

/// The partitions in order; what is named twice counts once, where it stood first, as it was said last.
fn wanted(topics: &[FetchTopic]) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut places = BTreeMap::new();
    for topic in topics {
        let name = topic.topic.detached();
        for partition in &topic.partitions {
            let new = Wanted {
                topic: name.clone(),
                topic_id: topic.topic_id,
                partition: partition.partition,
                fetch_offset: partition.fetch_offset,
                current_leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
                log_start_offset: partition.log_start_offset,
                max_bytes: partition.partition_max_bytes,
            };
            let place = *places.entry((&*topic.topic, topic.topic_id, new.partition)).or_insert(wanted.len());
            match wanted.get_mut(place) {
                Some(before) => *before = new,
                None => wanted.push(new),
            }
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::fetch_request::{FetchPartition, ForgottenTopic};

    use super::*;

    const VERSION: i16 = 13;

    fn request(session_id: i32, session_epoch: i32, partitions: std::ops::Range<i32>) -> FetchRequest {
        let partition = |partition| FetchPartition { partition, ..FetchPartition::default() };
        let partitions = partitions.map(partition).collect();
        let topic = FetchTopic { topic_id: Uuid::from_u128(7), partitions, ..FetchTopic::default() };
        FetchRequest { session_id, session_epoch, topics: vec![topic], ..FetchRequest::default() }
    }

    fn sessions() -> FetchSessions {
        FetchSessions::new(1_000, Rng::from_seed(1))
    }

    fn resolve(sessions: &mut FetchSessions, request: &FetchRequest) -> Result<Resolved, ErrorCode> {
        sessions.resolve(Instant(0), request, VERSION)
    }

    fn partitions(resolved: &Resolved) -> Vec<i32> {
        resolved.wanted.iter().map(|wanted| wanted.partition).collect()
    }

    /// As many as there may be, each changed and each forgotten: looked up one by one that would be ten billion steps.
    #[test]
    fn many_partitions_change_at_once() {
        let (mut sessions, max) = (sessions(), PARTITIONS_MAX as i32);
        let id = resolve(&mut sessions, &request(0, 0, 0..max)).unwrap().session_id;
        assert_ne!(id, INVALID_SESSION_ID);
        let mut all = request(id, 1, 0..max);
        all.topics[0].partitions.reverse();
        assert_eq!(partitions(&resolve(&mut sessions, &all).unwrap()), (0..max).collect::<Vec<_>>());
        let forgotten = (1..max).map(|partition| ForgottenTopic {
            topic_id: Uuid::from_u128(7),
            partitions: vec![partition],
            ..ForgottenTopic::default()
        });
        let forget = FetchRequest { forgotten_topics_data: forgotten.collect(), ..request(id, 2, 0..0) };
        assert_eq!(partitions(&resolve(&mut sessions, &forget).unwrap()), [0]);
    }

    #[test]
    fn few_and_many_changes_come_to_the_same() {
        for changes in [CHANGES_FEW as i32, CHANGES_FEW as i32 + 1] {
            let mut sessions = sessions();
            let id = resolve(&mut sessions, &request(0, 0, 0..20)).unwrap().session_id;
            let mut change = request(id, 1, 20 - changes + 1..21);
            for partition in &mut change.topics[0].partitions {
                partition.fetch_offset = 5;
            }
            let resolved = resolve(&mut sessions, &change).unwrap();
            assert_eq!(partitions(&resolved), (0..21).collect::<Vec<_>>());
            let moved = resolved.wanted.iter().filter(|wanted| wanted.fetch_offset == 5).count();
            assert_eq!(moved, changes as usize);
        }
    }

    #[test]
    fn a_connection_has_few_sessions_of_few_partitions() {
        let (mut sessions, max) = (sessions(), PARTITIONS_MAX as i32);
        let first = resolve(&mut sessions, &request(0, 0, 0..max - 1)).unwrap().session_id;
        assert_ne!(first, INVALID_SESSION_ID);
        // Who has no session is served all the same.
        let too_many = resolve(&mut sessions, &request(0, 0, 0..2)).unwrap();
        assert_eq!((too_many.session_id, too_many.wanted.len()), (INVALID_SESSION_ID, 2));
        // One that grows too large is forgotten.
        let grown = resolve(&mut sessions, &request(first, 1, max..max + 2));
        assert_eq!(grown.unwrap_err(), ErrorCode::FetchSessionIdNotFound);
        for _ in 0..SESSIONS_MAX {
            assert_ne!(resolve(&mut sessions, &request(0, 0, 0..1)).unwrap().session_id, INVALID_SESSION_ID);
        }
        assert_eq!(resolve(&mut sessions, &request(0, 0, 0..1)).unwrap().session_id, INVALID_SESSION_ID);
    }
}
