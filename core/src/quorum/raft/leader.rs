//! Leading: how far the other replicas are, what a majority of the voters has on its disks, and their fetches.

use ottla_protocol::messages::{
    DescribeQuorumRequest, DescribeQuorumResponse, FetchRequest, FetchResponse, FetchSnapshotRequest,
    FetchSnapshotResponse,
};
use ottla_protocol::{Bytes, ErrorCode};

use super::log::Validity;
use super::membership::Change;
use super::role::Role;
use super::rpc::{Answer, Response, describe_quorum, fetch, fetch_snapshot};
use super::voters::{ReplicaKey, VoterSet, key_of, majority};
use super::{Quorum, QuorumConfig, QuorumCx, QuorumError, RequestId};
use crate::log::{FetchIsolation, LogStore};
use crate::quorum::checkpoint::SnapshotId;
use crate::quorum::join;
use crate::sim::mutation::Mutation;
use crate::small_map::{SmallMap, SmallSet};
use crate::time::{Instant, Now};

/// Without fetches of a majority for so many halves of `controller.quorum.fetch.timeout.ms` a leader gives up.
const CHECK_QUORUM_HALVES: i64 = 3;
/// An observer that has not fetched for so long is forgotten, ms.
const OBSERVER_SESSION_TIMEOUT_MS: i64 = 300_000;
/// Observers that are remembered.
const OBSERVERS_MAX: usize = 10_000;
/// Fetches that wait for something new.
const PARKED_MAX: usize = 10_000;
/// Bytes in an answer, whatever is asked for (but always one whole batch).
const FETCH_BYTES_MAX: i32 = 8 << 20;

/// How far a replica is.
#[derive(Clone, Debug)]
struct Progress {
    key: ReplicaKey,
    /// What it has on its disk ends here.
    end_offset: Option<i64>,
    last_fetch: Option<Now>,
    /// Where the leader's log ended when it fetched last.
    leader_end_offset: i64,
    /// Wall clock, ms; −1 if it never had all that there was.
    last_caught_up: i64,
}

/// A fetch that waits.
#[derive(Clone, Debug)]
struct Parked {
    from: RequestId,
    version: i16,
    fetch: fetch::Fetch,
    until: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Leader {
    /// Where the record is that began its epoch.
    pub epoch_start_offset: i64,
    /// Known to be committed since it leads.
    pub high_watermark: Option<i64>,
    /// Everything from before its epoch is committed, and it was said that it leads.
    pub has_claimed: bool,
    /// The voters want another leader.
    pub is_to_resign: bool,
    /// When to tell voters that do not fetch that it leads.
    pub begin_at: Instant,
    /// The change of the voters that waits for something.
    pub change: Option<Change>,
    /// What the voters have said about themselves, to be written with `kraft.version` 1: before that the log does not say who votes.
    pub said: VoterSet,
    voters: SmallMap<i32, Progress>,
    observers: SmallMap<ReplicaKey, Progress>,
    /// Voters that have fetched since a majority had last.
    fetched: SmallSet<i32>,
    check_quorum_at: Instant,
    check_quorum_ms: i64,
    parked: Vec<Parked>,
}

/// What a leader knows of the replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// That it leads.
    pub epoch: i32,
    /// −1 while it is not known.
    pub high_watermark: i64,
    /// By id.
    pub voters: Vec<ReplicaView>,
    /// By key.
    pub observers: Vec<ReplicaView>,
}

/// What a leader knows of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    /// Which.
    pub key: ReplicaKey,
    /// Where its log ends; −1 while it is not known.
    pub end_offset: i64,
    /// Wall clock, ms; −1 for never.
    pub last_fetch_timestamp: i64,
    /// Wall clock, ms; −1 for never.
    pub last_caught_up_timestamp: i64,
}

impl Progress {
    fn new(key: ReplicaKey) -> Self {
        Self { key, end_offset: None, last_fetch: None, leader_end_offset: -1, last_caught_up: -1 }
    }

    fn fetched(&mut self, now: Now, offset: i64, leader_end_offset: i64) {
        if offset >= leader_end_offset {
            self.last_caught_up = self.last_caught_up.max(now.wall);
        } else if self.leader_end_offset > 0 && offset >= self.leader_end_offset {
            // It has by now what there was when it fetched before.
            let before = self.last_fetch.map_or(-1, |fetch| fetch.wall);
            self.last_caught_up = self.last_caught_up.max(before);
        }
        self.leader_end_offset = leader_end_offset;
        self.last_fetch = Some(now);
        self.end_offset = Some(offset);
    }

    fn view(&self) -> ReplicaView {
        ReplicaView {
            key: self.key,
            end_offset: self.end_offset.unwrap_or(-1),
            last_fetch_timestamp: self.last_fetch.map_or(-1, |fetch| fetch.wall),
            last_caught_up_timestamp: self.last_caught_up,
        }
    }
}

impl Leader {
    pub fn new(config: &QuorumConfig, now: Instant, epoch_start_offset: i64, voters: &VoterSet) -> Self {
        let check_quorum_ms = config.fetch_timeout_ms.saturating_mul(CHECK_QUORUM_HALVES).saturating_div(2);
        let said = voters.clone();
        let voters = voters.iter().map(|voter| (voter.id, Progress::new(key_of(voter))));
        Self {
            epoch_start_offset,
            high_watermark: None,
            has_claimed: false,
            is_to_resign: false,
            begin_at: now,
            change: None,
            said,
            voters: voters.collect(),
            observers: SmallMap::new(),
            fetched: SmallSet::new(),
            check_quorum_at: now.plus_ms(check_quorum_ms),
            check_quorum_ms,
            parked: Vec::new(),
        }
    }

    /// A majority of the voters has not fetched for too long.
    pub fn has_lost_quorum(&self, now: Instant) -> bool {
        self.voters.len() > 1 && self.check_quorum_at <= now
    }

    pub fn deadline(&self) -> Option<Instant> {
        let check_quorum = (self.voters.len() > 1).then_some(self.check_quorum_at);
        let begin = (self.voters.len() > 1).then_some(self.begin_at);
        let change = self.change.as_ref().map(|change| change.until);
        let parked = self.parked.iter().map(|parked| parked.until).min();
        check_quorum.into_iter().chain(begin).chain(change).chain(parked).min()
    }

    /// Voters other than `own` that have not fetched for so long, ms.
    pub fn silent_voters(&self, now: Instant, pause_ms: i64, own: i32) -> Vec<ReplicaKey> {
        let is_silent = |progress: &&Progress| {
            progress.last_fetch.is_none_or(|fetch| now.ms_since(fetch.monotonic) >= pause_ms)
        };
        let others = self.voters.values().filter(|progress| progress.key.id != own);
        others.filter(is_silent).map(|progress| progress.key).collect()
    }

    /// Voters other than `own`, those with the longest logs first.
    pub fn voters_by_progress(&self, own: i32) -> Vec<ReplicaKey> {
        let mut others: Vec<_> = self.voters.values().filter(|progress| progress.key.id != own).collect();
        others.sort_unstable_by_key(|progress| (std::cmp::Reverse(progress.end_offset), progress.key));
        others.into_iter().map(|progress| progress.key).collect()
    }

    /// Whether an observer has had all that there was, within the last hour.
    pub fn is_caught_up(&self, key: ReplicaKey, now: Now) -> bool {
        const RECENTLY_MS: i64 = 3_600_000;
        self.observers.get(&key).is_some_and(|progress| {
            let is_recent = progress
                .last_fetch
                .is_some_and(|fetch| now.monotonic.ms_since(fetch.monotonic) < RECENTLY_MS);
            progress.last_caught_up > 0 && is_recent
        })
    }

    /// Other voters than before; what is known of a replica stays known.
    fn set_voters(&mut self, set: &VoterSet) {
        let mut known = std::mem::take(&mut self.voters);
        for voter in set.iter() {
            let key = key_of(voter);
            let progress = known
                .remove(&voter.id)
                .filter(|progress| progress.key.stands_for(key))
                .or_else(|| self.observers.remove(&key));
            self.observers.remove(&key);
            self.voters.insert(voter.id, Progress { key, ..progress.unwrap_or_else(|| Progress::new(key)) });
        }
        for (_, progress) in known {
            self.observers.insert(progress.key, progress);
        }
        self.fetched.retain(|id| self.voters.contains_key(id));
    }

    fn progress_of(&mut self, key: ReplicaKey, now: Instant) -> Option<&mut Progress> {
        if self.voters.get(&key.id).is_some_and(|progress| progress.key.stands_for(key)) {
            return self.voters.get_mut(&key.id);
        }
        if self.observers.len() >= OBSERVERS_MAX && !self.observers.contains_key(&key) {
            self.forget_observers(now);
            if self.observers.len() >= OBSERVERS_MAX {
                return None;
            }
        }
        Some(self.observers.or_insert_with(key, || Progress::new(key)))
    }

    fn forget_observers(&mut self, now: Instant) {
        self.observers.retain(|_, progress| {
            progress
                .last_fetch
                .is_some_and(|fetch| now.ms_since(fetch.monotonic) < OBSERVER_SESSION_TIMEOUT_MS)
        });
    }

    /// A voter has shown that it follows.
    fn heard_from(&mut self, key: ReplicaKey, own: ReplicaKey, now: Instant) {
        if self.voters.get(&key.id).is_some_and(|progress| progress.key.stands_for(key)) {
            self.fetched.insert(key.id);
        }
        let is_voter = self.voters.get(&own.id).is_some_and(|progress| progress.key.stands_for(own));
        let needed = majority(self.voters.len()).saturating_sub(usize::from(is_voter));
        if self.fetched.len() >= needed {
            self.fetched.clear();
            self.check_quorum_at = now.plus_ms(self.check_quorum_ms);
        }
    }

    /// What a majority of the voters has on its disks.
    fn majority_offset(&self) -> Option<i64> {
        let mut offsets: Vec<Option<i64>> =
            self.voters.values().map(|progress| progress.end_offset).collect();
        offsets.sort_unstable_by_key(|offset| std::cmp::Reverse(*offset));
        offsets.get(self.voters.len().saturating_div(2)).copied().flatten()
    }
}

impl<S: LogStore> Quorum<S> {
    /// Something was appended: it is there for the others at once, and for the leader when it is on its disk.
    pub(super) fn appended(&mut self, cx: &mut QuorumCx<'_, S>) {
        let voters = self.log.voters().last().clone();
        if let Role::Leader(leader) = &mut self.role {
            leader.set_voters(&voters);
        }
        self.answer_parked(cx);
        self.local_progress(cx);
    }

    /// More of its own log is on its disk, perhaps.
    pub(super) fn local_progress(&mut self, cx: &mut QuorumCx<'_, S>) {
        let own = self.key();
        let counts_unsynced = cx.planted.is(Mutation::OwnAppendNotSynced);
        if !self.state_file.is_durable() && !counts_unsynced {
            return;
        }
        let offset = if counts_unsynced { self.log.end_offset() } else { self.log.synced_offset() };
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(progress) = leader.voters.get_mut(&own.id).filter(|progress| progress.key.stands_for(own))
        {
            progress.end_offset = Some(offset);
        }
        self.maybe_commit(cx);
    }

    /// Commits what a majority has, if that includes something of this epoch: older records alone may yet be replaced.
    fn maybe_commit(&mut self, cx: &mut QuorumCx<'_, S>) {
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(offset) = leader.majority_offset() else { return };
        let is_of_this_epoch =
            offset > leader.epoch_start_offset || cx.planted.is(Mutation::OldEpochCommitted);
        if !is_of_this_epoch || leader.high_watermark >= Some(offset) {
            return;
        }
        leader.high_watermark = Some(offset);
        leader.has_claimed = true;
        self.advance_high_watermark(cx, offset);
        self.change_committed(offset);
        self.answer_parked(cx);
    }

    /// Answers the fetches that have something to hear now.
    fn answer_parked(&mut self, cx: &mut QuorumCx<'_, S>) {
        let end_offset = self.log.end_offset();
        let Role::Leader(leader) = &mut self.role else { return };
        let high_watermark = leader.high_watermark.unwrap_or(-1);
        let has_news = |parked: &Parked| {
            parked.fetch.offset < end_offset || parked.fetch.high_watermark < high_watermark
        };
        let (ready, waiting) = std::mem::take(&mut leader.parked).into_iter().partition(has_news);
        leader.parked = waiting;
        self.answer_fetches(cx, ready);
    }

    fn answer_fetches(&mut self, cx: &mut QuorumCx<'_, S>, parked: Vec<Parked>) {
        for Parked { from, version, fetch, .. } in parked {
            let fetched = self.fetched(cx, &fetch);
            let response = fetch::response(&self.config, version, self.log.start_offset(), fetched);
            self.reply(from, Response::Fetch(response));
        }
    }

    /// Answers what has waited long enough.
    pub(super) fn expire(&mut self, cx: &mut QuorumCx<'_, S>) {
        let now = cx.now.monotonic;
        let Role::Leader(leader) = &mut self.role else { return };
        leader.forget_observers(now);
        let is_due = |parked: &Parked| parked.until <= now;
        let (due, waiting) = std::mem::take(&mut leader.parked).into_iter().partition(is_due);
        leader.parked = waiting;
        self.answer_fetches(cx, due);
        self.expire_change(cx);
    }

    /// It leads no longer: whoever waits is told.
    pub(super) fn abandon(&mut self, leader: Leader, error: ErrorCode) {
        for Parked { from, version, .. } in leader.parked {
            let fetched = self.not_fetched(error);
            let response = fetch::response(&self.config, version, self.log.start_offset(), fetched);
            self.reply(from, Response::Fetch(response));
        }
        if let Some(change) = leader.change {
            self.end_change(&change, Err((ErrorCode::NotLeaderOrFollower, None)));
        }
    }

    /// What must hold of any request that is meant for the leader.
    pub(super) fn check_leader_request(&self, epoch: i32) -> Result<(), ErrorCode> {
        if epoch < self.epoch {
            Err(ErrorCode::FencedLeaderEpoch)
        } else if epoch > self.epoch {
            Err(ErrorCode::UnknownLeaderEpoch)
        } else if !matches!(self.role, Role::Leader(_)) {
            Err(ErrorCode::NotLeaderOrFollower)
        } else if self.stopping.is_some() {
            Err(ErrorCode::BrokerNotAvailable)
        } else {
            Ok(())
        }
    }

    /// The answer, or none yet: the fetch waits for something new.
    pub(super) fn handle_fetch(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        from: RequestId,
        version: i16,
        request: &FetchRequest,
    ) -> Result<Option<FetchResponse>, QuorumError> {
        let asked = match fetch::read(&self.config, version, request) {
            Ok(asked) => asked,
            Err(error) => return Ok(Some(fetch::refusal(error))),
        };
        let is_impossible = asked.max_wait_ms < 0
            || asked.offset < 0
            || asked.last_epoch < 0
            || asked.last_epoch > asked.epoch;
        let checked = if is_impossible {
            Err(ErrorCode::InvalidRequest)
        } else {
            self.check_leader_request(asked.epoch).and_then(|()| {
                let is_own = asked.replica.id == self.config.node_id;
                if is_own { Err(ErrorCode::UnknownServerError) } else { Ok(()) }
            })
        };
        let fetched = match checked {
            Ok(()) => {
                self.follower_is_at(cx, &asked);
                self.fetched(cx, &asked)
            }
            Err(error) => self.not_fetched(error),
        };
        let is_complete = fetched.answer.error != ErrorCode::None
            || !fetched.records.is_empty()
            || asked.max_wait_ms == 0
            || fetched.validity != Validity::Valid
            || asked.high_watermark < fetched.high_watermark;
        if let Role::Leader(leader) = &mut self.role
            && !is_complete
            && leader.parked.len() < PARKED_MAX
        {
            let until = cx.now.monotonic.plus_ms(i64::from(asked.max_wait_ms));
            leader.parked.push(Parked { from, version, fetch: asked, until });
            return Ok(None);
        }
        Ok(Some(fetch::response(&self.config, version, self.log.start_offset(), fetched)))
    }

    /// What a replica fetches from it has on its disk: that may commit something.
    fn follower_is_at(&mut self, cx: &mut QuorumCx<'_, S>, asked: &fetch::Fetch) {
        let (own, now) = (self.key(), cx.now);
        let is_valid = self.validate(asked) == Validity::Valid;
        let end_offset = self.log.end_offset();
        let Role::Leader(leader) = &mut self.role else { return };
        if !is_valid || asked.replica.id < 0 {
            return;
        }
        if let Some(progress) = leader.progress_of(asked.replica, now.monotonic) {
            progress.fetched(now, asked.offset, end_offset);
        }
        leader.heard_from(asked.replica, own, now.monotonic);
        self.maybe_commit(cx);
    }

    fn validate(&self, asked: &fetch::Fetch) -> Validity {
        // A log that is empty is filled faster by a snapshot.
        let newest = self.log.snapshots().last().filter(|id| **id != SnapshotId::default());
        match newest {
            Some(newest) if asked.offset == 0 => Validity::Snapshot(*newest),
            _ => self.log.validate(asked.offset, asked.last_epoch),
        }
    }

    fn fetched(&mut self, cx: &mut QuorumCx<'_, S>, asked: &fetch::Fetch) -> fetch::Fetched {
        let validity = self.validate(asked);
        let records = match validity {
            Validity::Valid => {
                let max_bytes = u64::try_from(asked.max_bytes.min(FETCH_BYTES_MAX)).unwrap_or(0);
                match self.log.read(cx.store, asked.offset, max_bytes, FetchIsolation::LogEnd) {
                    Ok(records) => records,
                    Err(_) => return self.not_fetched(ErrorCode::UnknownServerError),
                }
            }
            Validity::Diverging { .. } | Validity::Snapshot(_) => Bytes::new(),
        };
        let high_watermark = match &self.role {
            Role::Leader(leader) => leader.high_watermark.unwrap_or(-1),
            _ => -1,
        };
        let answer = Answer { error: ErrorCode::None, leader: self.leader_view() };
        fetch::Fetched { answer, high_watermark, validity, records }
    }

    fn not_fetched(&self, error: ErrorCode) -> fetch::Fetched {
        let answer = Answer { error, leader: self.leader_view() };
        fetch::Fetched { answer, high_watermark: -1, validity: Validity::Valid, records: Bytes::new() }
    }

    pub(super) fn handle_fetch_snapshot(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        version: i16,
        request: &FetchSnapshotRequest,
    ) -> Result<FetchSnapshotResponse, QuorumError> {
        let asked = match fetch_snapshot::read(&self.config, request) {
            Ok(asked) => asked,
            Err(error) => return Ok(fetch_snapshot::refusal(request, error)),
        };
        let checked = self.check_leader_request(asked.epoch);
        let own = self.key();
        if let Role::Leader(leader) = &mut self.role
            && checked.is_ok()
        {
            leader.heard_from(asked.replica, own, cx.now.monotonic);
        }
        let found = checked.and_then(|()| self.snapshot_piece(cx, &asked));
        let leader = self.leader_view();
        let fetched = match found {
            Ok((size, bytes)) => fetch_snapshot::FetchedSnapshot {
                answer: Answer { error: ErrorCode::None, leader },
                id: asked.id,
                size,
                position: asked.position,
                bytes,
            },
            Err(error) => fetch_snapshot::FetchedSnapshot {
                answer: Answer { error, leader },
                id: SnapshotId::default(),
                size: 0,
                position: 0,
                bytes: Bytes::new(),
            },
        };
        Ok(fetch_snapshot::response(&self.config, version, fetched))
    }

    /// Its size, and the bytes asked for.
    fn snapshot_piece(
        &self,
        cx: &mut QuorumCx<'_, S>,
        asked: &fetch_snapshot::FetchSnapshot,
    ) -> Result<(i64, Bytes), ErrorCode> {
        if !self.log.snapshots().contains(&asked.id) {
            return Err(ErrorCode::SnapshotNotFound);
        }
        let path = join(&self.config.dir, &asked.id.file_name());
        let failed = |_| ErrorCode::UnknownServerError;
        let file = cx.store.open(&path).map_err(failed)?;
        let size = cx.store.len(&file).map_err(failed)?;
        let position = u64::try_from(asked.position).ok().filter(|position| *position < size);
        let position = position.ok_or(ErrorCode::PositionOutOfRange)?;
        let max_bytes = u64::try_from(asked.max_bytes.min(FETCH_BYTES_MAX)).unwrap_or(0);
        let wanted = size.saturating_sub(position).min(max_bytes);
        let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(0)];
        let read = cx.store.read_at(&file, position, &mut bytes).map_err(failed)?;
        bytes.truncate(read);
        Ok((i64::try_from(size).unwrap_or(i64::MAX), Bytes::from(bytes)))
    }

    /// What it knows of the replicas, if it leads.
    pub fn describe(&self, now: Now) -> Option<Description> {
        let Role::Leader(leader) = &self.role else { return None };
        let own = self.key();
        let view = |progress: &Progress| match progress.key.stands_for(own) {
            true => ReplicaView {
                end_offset: self.log.end_offset(),
                last_fetch_timestamp: now.wall,
                last_caught_up_timestamp: now.wall,
                ..progress.view()
            },
            false => progress.view(),
        };
        Some(Description {
            epoch: self.epoch,
            high_watermark: leader.high_watermark.unwrap_or(-1),
            voters: leader.voters.values().map(view).collect(),
            observers: leader.observers.values().map(view).collect(),
        })
    }

    pub(super) fn handle_describe_quorum(
        &self,
        cx: &QuorumCx<'_, S>,
        version: i16,
        request: &DescribeQuorumRequest,
    ) -> DescribeQuorumResponse {
        if !describe_quorum::is_valid(&self.config, request) {
            return describe_quorum::refusal(request, ErrorCode::UnknownTopicOrPartition);
        }
        match self.describe(cx.now) {
            Some(description) => {
                describe_quorum::response(&self.config, version, &description, self.voters().iter())
            }
            None => describe_quorum::refusal(request, ErrorCode::NotLeaderOrFollower),
        }
    }
}
