//! KRaft: a replica of a replicated log, as a machine without IO (KIP-595, 630, 853, 996, 1166).
//!
//! [`Quorum`] keeps one log with the other voters. It is told requests, answers, completed syncs and the time, and asks for messages to
//! be sent and files to be synced. What the records mean is no business of its own but for control records: the same machine keeps the
//! cluster's metadata and may keep any other log.
//!
//! * `election` — who leads: pre-votes, votes, resigning.
//! * `leader` — how far the others are, the high watermark, their fetches.
//! * `follower` — fetching, truncating, fetching a snapshot.
//! * `membership` — adding, removing and updating voters.
//! * `log`, `snapshots`, `state_file` — what is on the disk. `rpc` — what is on the wire.
//!
//! **Durable first.** `quorum-state` is synced before anything leaves that was said after it changed: messages wait in an outbox. Records
//! count for the high watermark once their replica has synced them: a follower does not fetch on before, a leader does not count itself.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

mod config;
mod election;
mod follower;
mod leader;
mod log;
mod membership;
mod peers;
mod role;
pub mod rpc;
mod snapshots;
mod state_file;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;
pub mod voters;

use std::collections::VecDeque;
use std::sync::Arc;

use ottla_protocol::{Bytes, ErrorCode};

pub use config::QuorumConfig;
pub use leader::{Description, ReplicaView};
pub use log::{QuorumLog, Validity};
pub use peers::Peer;
pub use role::RoleName;
pub use rpc::{Request, Response};
pub use voters::{ReplicaKey, VoterHistory, VoterSet};

use self::follower::Download;
use self::peers::Links;
use self::role::Role;
use self::rpc::{Answer, LeaderView};
use self::snapshots::Writing;
use self::state_file::StateFile;
use super::checkpoint::SnapshotId;
use super::control::{KRAFT_VERSIONS, Voter};
use super::quorum_state::QuorumState;
use crate::log::{FetchIsolation, LogError, LogStore, StoreError};
use crate::machine::{SyncOutcome, SyncTarget};
use crate::rng::Rng;
use crate::sim::mutation::{Mutation, Planted};
use crate::time::{Instant, Now};

/// Names a request to whoever will send the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What can happen to a replica.
#[derive(Clone, Debug)]
pub enum QuorumEvent {
    /// Somebody asks something.
    Request {
        /// To be answered.
        from: RequestId,
        /// Of the API.
        version: i16,
        /// What.
        request: Request,
    },
    /// A request of this replica was answered, or will not be.
    Response {
        /// The request's.
        correlation: u64,
        /// The answer.
        outcome: Result<Response, Failure>,
    },
    /// What [`QuorumEffect::Sync`] asked for.
    Synced {
        /// The effect's.
        token: u64,
        /// How it ended.
        outcome: SyncOutcome,
    },
    /// The state machine above has written down all that is committed below the end of this snapshot: the whole file.
    Snapshot {
        /// Up to where.
        id: SnapshotId,
        /// The file.
        bytes: Bytes,
    },
    /// Gives up leading this epoch.
    Resign {
        /// Nothing happens in another.
        epoch: i32,
    },
    /// Stops: a leader hands over first, if that is possible in time.
    Stop {
        /// How long it may take.
        timeout_ms: i64,
    },
    /// A deadline has passed.
    Tick,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The connection failed.
    Disconnected,
    /// Nobody said anything in time.
    TimedOut,
    /// The other side has no version of the API that can say this.
    UnsupportedVersion,
}

/// What a replica asks for, and says.
#[derive(Clone, Debug)]
pub enum QuorumEffect<S: LogStore> {
    /// Send a request.
    Send {
        /// To whom.
        to: Peer,
        /// To be handed back with the answer.
        correlation: u64,
        /// What.
        request: Request,
    },
    /// Answer a request.
    Reply {
        /// Which.
        to: RequestId,
        /// How.
        response: Response,
    },
    /// Make files and directories durable.
    Sync {
        /// Which.
        targets: Vec<SyncTarget<S>>,
        /// To be handed back.
        token: u64,
    },
    /// Somebody leads, or nobody as far as is known. That it is this replica is said once all that was committed before is.
    LeaderChanged {
        /// Who.
        leader_id: Option<i32>,
        /// In which epoch.
        epoch: i32,
    },
    /// Everything below is committed.
    HighWatermarkAdvanced {
        /// Never goes back.
        high_watermark: i64,
    },
    /// A snapshot took the place of the log: what is committed begins with it.
    SnapshotInstalled {
        /// Which.
        id: SnapshotId,
    },
    /// It has stopped.
    Stopped,
    /// It cannot go on.
    Failed {
        /// Why, for the log.
        reason: String,
    },
}

/// All that a replica may touch while it handles one event.
#[derive(Debug)]
pub struct QuorumCx<'a, S: LogStore> {
    /// The clocks.
    pub now: Now,
    /// Storage, lent.
    pub store: &'a mut S,
    /// Where effects go.
    pub effects: &'a mut Vec<QuorumEffect<S>>,
    /// The bug that is planted, if any.
    pub planted: Planted,
}

/// Why a replica cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumError {
    /// Storage failed, at this path.
    Store(String, StoreError),
    /// The log failed.
    Log(LogError),
    /// What is on the disk, or what a leader sent, contradicts what is committed or cannot be read.
    Broken(String),
}

/// Why nothing was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// It does not lead in this epoch.
    NotLeader,
    /// The log refused.
    Log(LogError),
}

/// A replica of a replicated log.
#[derive(Clone, Debug)]
pub struct Quorum<S: LogStore> {
    config: Arc<QuorumConfig>,
    rng: Rng,
    role: Role,
    epoch: i32,
    /// Whom it voted for in this epoch.
    voted: Option<ReplicaKey>,
    /// Known to be committed; `None` before anybody has said.
    high_watermark: Option<i64>,
    log: QuorumLog<S>,
    state_file: StateFile,
    links: Links,
    /// A snapshot on its way from the leader.
    download: Option<Download<S::File>>,
    /// A snapshot on its way to the disk.
    writing: Option<Writing<S::File>>,
    /// What may leave once `quorum-state` has come so far.
    outbox: VecDeque<(u64, Outgoing)>,
    next_token: u64,
    /// Who was said to lead last.
    told: (i32, Option<i32>),
    stopping: Option<Instant>,
    has_ended: bool,
}

#[derive(Clone, Debug)]
enum Outgoing {
    Send(Peer, u64, Request),
    Reply(RequestId, Response),
}

impl<S: LogStore> Quorum<S> {
    /// Opens what is on the disk and takes its place in the quorum.
    pub fn open(cx: &mut QuorumCx<'_, S>, config: Arc<QuorumConfig>, rng: Rng) -> Result<Self, QuorumError> {
        let log = QuorumLog::open(cx.store, cx.now, &config)?;
        let (state_file, found) = StateFile::open(cx.store, &config)?;
        let links = Links::new(config.request_timeout_ms, config.retry_backoff_ms);
        let mut quorum = Self {
            config,
            rng,
            role: Role::default(),
            epoch: 0,
            voted: None,
            high_watermark: None,
            log,
            state_file,
            links,
            download: None,
            writing: None,
            outbox: VecDeque::new(),
            next_token: 0,
            told: (0, None),
            stopping: None,
            has_ended: false,
        };
        quorum.begin(cx.now.monotonic, found);
        quorum.poll(cx)?;
        Ok(quorum)
    }

    /// Handles one event.
    pub fn handle(&mut self, cx: &mut QuorumCx<'_, S>, event: QuorumEvent) {
        if self.has_ended {
            return;
        }
        if let Err(error) = self.try_handle(cx, event).and_then(|()| self.poll(cx)) {
            self.has_ended = true;
            cx.effects.push(QuorumEffect::Failed { reason: error.to_string() });
        }
    }

    /// When it wants to be woken.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.has_ended {
            return None;
        }
        let of_role = self.role_deadline(now);
        of_role
            .into_iter()
            .chain(self.links.deadline(now))
            .chain(self.log.deadline())
            .chain(self.stopping)
            .min()
    }

    /// Appends one batch of records as the leader of `epoch`: the offset of its first. It is committed once the high watermark says so.
    pub fn append(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        epoch: i32,
        batch: crate::log::AppendBatch<'_>,
    ) -> Result<i64, AppendError> {
        if self.has_ended || epoch != self.epoch || !matches!(self.role, Role::Leader(_)) {
            return Err(AppendError::NotLeader);
        }
        let base_offset =
            self.log.append_as_leader(cx.store, cx.now, epoch, batch).map_err(AppendError::Log)?;
        self.appended(cx);
        if let Err(error) = self.poll(cx) {
            self.has_ended = true;
            cx.effects.push(QuorumEffect::Failed { reason: error.to_string() });
        }
        Ok(base_offset)
    }

    /// Committed batches from `offset` on, at least one if there is one.
    pub fn read_committed(&mut self, store: &mut S, offset: i64, max_bytes: u64) -> Result<Bytes, LogError> {
        if self.high_watermark.is_none_or(|high_watermark| offset >= high_watermark) {
            return Ok(Bytes::new());
        }
        self.log.read(store, offset, max_bytes, FetchIsolation::HighWatermark)
    }

    /// Batches from `offset` on, committed or not, at least one if there is one.
    pub fn read(&mut self, store: &mut S, offset: i64, max_bytes: u64) -> Result<Bytes, LogError> {
        self.log.read(store, offset, max_bytes, FetchIsolation::LogEnd)
    }

    /// What it acts on.
    pub fn config(&self) -> &QuorumConfig {
        &self.config
    }

    /// The epoch it is in.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Whom it voted for in this epoch.
    pub fn voted(&self) -> Option<ReplicaKey> {
        self.voted
    }

    /// Who leads, as far as it knows.
    pub fn leader_id(&self) -> Option<i32> {
        self.role.leader_id(self.config.node_id)
    }

    /// Where the leader is reached, if that is known and another one.
    pub fn leader_peer(&self) -> Option<Peer> {
        let leader_id = self.leader_id().filter(|id| *id != self.config.node_id)?;
        Peer::at(leader_id, self.role.leader_endpoints()?, &self.config.listener)
    }

    /// Where the epoch that it leads began; `None` if it does not lead.
    pub fn epoch_start_offset(&self) -> Option<i64> {
        match &self.role {
            Role::Leader(leader) => Some(leader.epoch_start_offset),
            _ => None,
        }
    }

    /// Whether it leads, and everything from before its epoch is committed.
    pub fn has_claimed(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.has_claimed)
    }

    /// Whether what it has to remember about epochs, votes and leaders is on its disk.
    pub fn is_remembered(&self) -> bool {
        self.state_file.is_durable()
    }

    /// Everything below is committed; `None` before it has heard.
    pub fn high_watermark(&self) -> Option<i64> {
        self.high_watermark
    }

    /// Its log.
    pub fn log(&self) -> &QuorumLog<S> {
        &self.log
    }

    /// What it is at the moment.
    pub fn role(&self) -> RoleName {
        self.role.name()
    }

    /// Who votes: what is appended counts, committed or not.
    pub fn voters(&self) -> &VoterSet {
        self.log.voters().last()
    }

    /// The finalized `kraft.version`.
    pub fn kraft_version(&self) -> i16 {
        self.log.voters().kraft_version()
    }

    /// Whether it votes.
    pub fn is_voter(&self) -> bool {
        self.voters().is_voter(self.key())
    }

    /// What the others know it by.
    pub fn key(&self) -> ReplicaKey {
        ReplicaKey { id: self.config.node_id, directory_id: self.config.directory_id }
    }

    fn as_voter(&self) -> Voter {
        // Voters have no directories before `kraft.version` 1.
        Voter {
            id: self.config.node_id,
            directory_id: self.config.directory_id,
            endpoints: self.config.endpoints.clone(),
            kraft_versions: KRAFT_VERSIONS,
        }
    }

    fn leader_view(&self) -> LeaderView {
        let leader_id = self.leader_id();
        let endpoints = match &self.role {
            Role::Leader(_) | Role::Resigned(_) => self.config.endpoints.clone(),
            role => role.leader_endpoints().cloned().unwrap_or_default(),
        };
        LeaderView { leader_id: leader_id.unwrap_or(-1), epoch: self.epoch, endpoints }
    }

    fn try_handle(&mut self, cx: &mut QuorumCx<'_, S>, event: QuorumEvent) -> Result<(), QuorumError> {
        match event {
            QuorumEvent::Request { from, version, request } => {
                self.handle_request(cx, from, version, request)
            }
            QuorumEvent::Response { correlation, outcome } => {
                let now = cx.now.monotonic;
                let Some(peer) = self.links.expected_from(correlation, now) else { return Ok(()) };
                let well = self.handle_response(cx, peer, outcome)?;
                self.links.answered(correlation, well, now);
                Ok(())
            }
            QuorumEvent::Synced { token, outcome: SyncOutcome::Done } => self.synced(cx, token),
            QuorumEvent::Synced { outcome: SyncOutcome::Failed(reason), .. } => {
                Err(QuorumError::Store(self.config.dir.clone(), StoreError::Io(reason)))
            }
            QuorumEvent::Snapshot { id, bytes } => self.write_snapshot(cx, id, &bytes),
            QuorumEvent::Resign { epoch } => {
                if epoch == self.epoch && matches!(self.role, Role::Leader(_)) {
                    self.resign(cx);
                }
                Ok(())
            }
            QuorumEvent::Stop { timeout_ms } => {
                self.stopping.get_or_insert(cx.now.monotonic.plus_ms(timeout_ms));
                Ok(())
            }
            QuorumEvent::Tick => {
                self.links.tick(cx.now.monotonic);
                self.expire(cx);
                Ok(self.log.tick(cx.store, cx.now)?)
            }
        }
    }

    fn handle_request(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        from: RequestId,
        version: i16,
        request: Request,
    ) -> Result<(), QuorumError> {
        let response = match request {
            Request::Vote(request) => Response::Vote(self.handle_vote(cx, version, &request)),
            Request::BeginQuorumEpoch(request) => {
                Response::BeginQuorumEpoch(self.handle_begin_quorum_epoch(cx, version, &request))
            }
            Request::EndQuorumEpoch(request) => {
                Response::EndQuorumEpoch(self.handle_end_quorum_epoch(cx, version, &request))
            }
            Request::Fetch(request) => {
                let Some(response) = self.handle_fetch(cx, from, version, &request)? else { return Ok(()) };
                Response::Fetch(response)
            }
            Request::FetchSnapshot(request) => {
                Response::FetchSnapshot(self.handle_fetch_snapshot(cx, version, &request)?)
            }
            Request::DescribeQuorum(request) => {
                Response::DescribeQuorum(self.handle_describe_quorum(cx, version, &request))
            }
            Request::AddRaftVoter(request) => {
                let Some(outcome) = self.handle_add_voter(cx, from, &request) else { return Ok(()) };
                Response::AddRaftVoter(rpc::voters::add_response(outcome))
            }
            Request::RemoveRaftVoter(request) => {
                let Some(outcome) = self.handle_remove_voter(cx, from, &request)? else { return Ok(()) };
                Response::RemoveRaftVoter(rpc::voters::remove_response(outcome))
            }
            Request::UpdateRaftVoter(request) => {
                Response::UpdateRaftVoter(self.handle_update_voter(cx, &request)?)
            }
            Request::ApiVersions(_) => return Ok(()),
        };
        self.reply(from, response);
        Ok(())
    }

    /// Whether the answer was of use; after one that was not its sender is left alone for a moment.
    fn handle_response(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        peer: i32,
        outcome: Result<Response, Failure>,
    ) -> Result<bool, QuorumError> {
        match outcome {
            Ok(Response::Vote(response)) => Ok(self.handle_vote_response(cx, peer, &response)),
            Ok(Response::BeginQuorumEpoch(response)) => {
                let answer = rpc::begin_quorum_epoch::read_response(&self.config, &response);
                Ok(answer.is_ok_and(|answer| {
                    self.handle_answer(cx, &answer).unwrap_or(answer.error == ErrorCode::None)
                }))
            }
            Ok(Response::EndQuorumEpoch(response)) => Ok(self.handle_end_response(cx, peer, &response)),
            Ok(Response::Fetch(response)) => self.handle_fetch_response(cx, &response),
            Ok(Response::FetchSnapshot(response)) => self.handle_fetch_snapshot_response(cx, &response),
            Ok(Response::UpdateRaftVoter(response)) => {
                let answer = rpc::voters::read_update_response(&self.config, &response);
                if let Role::Follower(role) = &mut self.role
                    && role.leader_id == peer
                {
                    role.has_told |= answer.error == ErrorCode::None;
                }
                Ok(self.handle_answer(cx, &answer).unwrap_or(true))
            }
            Ok(Response::ApiVersions(response)) => {
                self.handle_api_versions(cx, peer, Some(&response))?;
                Ok(true)
            }
            // The leader has said what it thinks of it; whether it has come true the log will say.
            Ok(Response::AddRaftVoter(_) | Response::RemoveRaftVoter(_)) => Ok(true),
            Ok(Response::DescribeQuorum(_)) => Ok(false),
            Err(failure) => {
                if failure == Failure::UnsupportedVersion && matches!(self.role, Role::Prospective(_)) {
                    // Somebody does not know pre-votes.
                    self.become_candidate(cx);
                    return Ok(true);
                }
                if failure == Failure::Disconnected {
                    self.leader_refused(cx.now.monotonic, peer);
                }
                self.handle_api_versions(cx, peer, None)?;
                Ok(false)
            }
        }
    }

    /// What every answer is looked at for: `Some` if that was all there is to it, true if it was of use.
    fn handle_answer(&mut self, cx: &mut QuorumCx<'_, S>, answer: &Answer) -> Option<bool> {
        let Answer { error, leader } = answer;
        let mut leader = leader.clone();
        if leader.endpoints.is_empty() && leader.leader_id >= 0 {
            leader.endpoints = self.voters().endpoints(leader.leader_id);
        }
        if leader.epoch < self.epoch || *error == ErrorCode::UnknownLeaderEpoch {
            return Some(true);
        }
        if leader.epoch > self.epoch
            || matches!(error, ErrorCode::FencedLeaderEpoch | ErrorCode::NotLeaderOrFollower)
        {
            self.maybe_transition(cx, &leader);
            return Some(true);
        }
        if leader.leader_id >= 0 && self.leader_id().is_none() && leader.leader_id != self.config.node_id {
            if leader.endpoints.is_empty() {
                return Some(false);
            }
            self.become_follower(cx, leader.epoch, leader.leader_id, leader.endpoints);
            return (*error != ErrorCode::None).then_some(true);
        }
        match error {
            ErrorCode::BrokerNotAvailable => Some(false),
            ErrorCode::InvalidVoterKey => Some(true),
            _ => None,
        }
    }

    /// Follows what a message says about who leads, if that is news. False if it contradicts what is known.
    fn maybe_transition(&mut self, cx: &mut QuorumCx<'_, S>, leader: &LeaderView) -> bool {
        let leader_id = Some(leader.leader_id).filter(|id| *id >= 0);
        let is_consistent = if leader_id == Some(self.config.node_id) {
            leader.epoch == self.epoch && matches!(self.role, Role::Leader(_))
        } else {
            leader.epoch != self.epoch
                || leader_id.is_none()
                || self.leader_id().is_none()
                || leader_id == self.leader_id()
        };
        if !is_consistent || leader.epoch < self.epoch {
            return is_consistent;
        }
        let known = self.role.leader_endpoints().map_or(0, Vec::len);
        let is_newer = leader.epoch > self.epoch;
        let is_news = is_newer || self.leader_id().is_none() || leader.endpoints.len() > known;
        match leader_id {
            Some(id) if id == self.config.node_id => {}
            Some(id) if !leader.endpoints.is_empty() && is_news => {
                self.become_follower(cx, leader.epoch, id, leader.endpoints.clone());
            }
            // Without its address it cannot be followed.
            leader_id if is_newer => self.become_unattached(cx, leader.epoch, leader_id),
            _ => {}
        }
        true
    }

    /// Does what is due, until nothing is.
    fn poll(&mut self, cx: &mut QuorumCx<'_, S>) -> Result<(), QuorumError> {
        if let Some(timeout) = self.stopping
            && (timeout <= cx.now.monotonic || self.may_stop())
        {
            self.has_ended = true;
            self.release(cx);
            cx.effects.push(QuorumEffect::Stopped);
            return Ok(());
        }
        while self.poll_role(cx)? {}
        self.remember();
        if cx.planted.is(Mutation::VoteNotSynced) {
            self.state_file.pretend();
        }
        self.tell_leader(cx);
        self.plan_syncs(cx)?;
        self.release(cx);
        Ok(())
    }

    /// Writes down what must not be forgotten.
    fn remember(&mut self) {
        let leader_id = self.leader_id().unwrap_or(-1);
        let voted = self.voted.unwrap_or(ReplicaKey { id: -1, ..ReplicaKey::default() });
        self.state_file.write(QuorumState {
            leader_id,
            leader_epoch: self.epoch,
            voted_id: voted.id,
            voted_directory_id: voted.directory_id,
        });
        // Nothing of before the change waits for it.
        let number = self.state_file.number();
        for (waits_for, _) in self.outbox.iter_mut().filter(|(waits_for, _)| *waits_for == u64::MAX) {
            *waits_for = number;
        }
    }

    fn tell_leader(&mut self, cx: &mut QuorumCx<'_, S>) {
        let leader_id = match &self.role {
            Role::Leader(leader) => leader.has_claimed.then_some(self.config.node_id),
            Role::Resigned(_) => None,
            role => role.leader_id(self.config.node_id),
        };
        let news = (self.epoch, leader_id);
        if news != self.told {
            self.told = news;
            cx.effects.push(QuorumEffect::LeaderChanged { leader_id, epoch: self.epoch });
        }
    }

    fn plan_syncs(&mut self, cx: &mut QuorumCx<'_, S>) -> Result<(), QuorumError> {
        let token = self.next_token.saturating_add(1);
        let planned = self.state_file.plan_sync(cx.store, token)?;
        self.ask_sync(cx, planned);
        let token = self.next_token.saturating_add(1);
        let planned = self.log.plan_sync(cx.store, cx.now, token)?;
        self.ask_sync(cx, planned);
        let token = self.next_token.saturating_add(1);
        let planned = self.plan_snapshot_sync(token);
        self.ask_sync(cx, planned);
        Ok(())
    }

    fn ask_sync(&mut self, cx: &mut QuorumCx<'_, S>, planned: Option<log::Sync<S>>) {
        let Some((files, directories)) = planned else { return };
        self.next_token = self.next_token.saturating_add(1);
        let files = files.into_iter().map(SyncTarget::File);
        let targets = files.chain(directories.into_iter().map(SyncTarget::Directory)).collect();
        cx.effects.push(QuorumEffect::Sync { targets, token: self.next_token });
    }

    fn synced(&mut self, cx: &mut QuorumCx<'_, S>, token: u64) -> Result<(), QuorumError> {
        let was_state = self.state_file.synced(cx.store, token)?;
        if !was_state && !self.log.synced(cx.store, token)? {
            self.snapshot_synced(cx, token)?;
        }
        self.local_progress(cx);
        Ok(())
    }

    fn send(&mut self, cx: &QuorumCx<'_, S>, to: Peer, request: Request) {
        let correlation = self.links.sent(to.id, cx.now.monotonic);
        self.outbox.push_back((u64::MAX, Outgoing::Send(to, correlation, request)));
    }

    fn reply(&mut self, to: RequestId, response: Response) {
        self.outbox.push_back((u64::MAX, Outgoing::Reply(to, response)));
    }

    /// Lets out what waits for nothing any more.
    fn release(&mut self, cx: &mut QuorumCx<'_, S>) {
        let durable = self.state_file.durable();
        while let Some((_, outgoing)) = self.outbox.pop_front_if(|(waits_for, _)| *waits_for <= durable) {
            cx.effects.push(match outgoing {
                Outgoing::Send(to, correlation, request) => QuorumEffect::Send { to, correlation, request },
                Outgoing::Reply(to, response) => QuorumEffect::Reply { to, response },
            });
        }
    }

    /// Moves the high watermark up, as far as the log reaches.
    fn advance_high_watermark(&mut self, cx: &mut QuorumCx<'_, S>, high_watermark: i64) {
        let news = high_watermark.min(self.log.end_offset());
        if self.high_watermark.is_some_and(|known| known >= news) {
            return;
        }
        self.high_watermark = Some(news);
        self.log.set_high_watermark(news);
        cx.effects.push(QuorumEffect::HighWatermarkAdvanced { high_watermark: news });
    }
}

impl From<LogError> for QuorumError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl std::fmt::Display for QuorumError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(path, error) => write!(f, "{path}: {error}"),
            Self::Log(error) => write!(f, "{error}"),
            Self::Broken(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for QuorumError {}
