//! Following: fetching what the leader has, dropping what it has not, and beginning with a snapshot where it must.

use std::io::IoSlice;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{FetchResponse, FetchSnapshotResponse};

use super::log::{PART_SUFFIX, Validity};
use super::peers::Peer;
use super::role::{Follower, Role};
use super::rpc::{Request, fetch, fetch_snapshot, voters as voters_rpc};
use super::snapshots::{Purpose, Writing};
use super::voters::key_of;
use super::{Quorum, QuorumCx, QuorumError};
use crate::log::{LogStore, StoreError};
use crate::quorum::checkpoint::SnapshotId;
use crate::quorum::join;
use crate::sim::mutation::Mutation;
use crate::time::Instant;

/// Failed connections to the leader, one after the other, that a follower takes for an accident.
const REFUSALS_BORNE: u8 = 1;
/// Between the turns of voters that have seen the leader go, ms: those who stand at once split the votes, and wait for
/// `controller.quorum.election.timeout.ms`.
const TURN_MS: i64 = 50;
/// How long a leader without news may take to answer a fetch, ms.
const FETCH_WAIT_MAX_MS: i32 = 500;

/// A snapshot on its way from the leader.
#[derive(Clone, Debug)]
pub(super) struct Download<F> {
    pub id: SnapshotId,
    pub file: F,
    /// Bytes that have come.
    pub position: i64,
}

impl<S: LogStore> Quorum<S> {
    /// Fetches on, or gives the leader up. True if the role is another one now.
    pub(super) fn poll_follower(&mut self, cx: &mut QuorumCx<'_, S>) -> bool {
        let now = cx.now.monotonic;
        let Role::Follower(role) = &self.role else { return false };
        let is_its_turn = role.stands_at.is_some_and(|at| at <= now);
        if self.is_voter() && (role.fetch_timeout_at <= now || is_its_turn) {
            self.become_prospective(cx);
            return true;
        }
        if role.update_voter_at <= now && self.settle_membership(cx) {
            return false;
        }
        self.fetch(cx);
        false
    }

    /// The connection to the leader failed, or was refused. When that happens again at once its process is gone: the others are asked
    /// whether they think so too, by one voter after the other.
    pub(super) fn leader_refused(&mut self, now: Instant, peer: i32) {
        let (is_enabled, is_voter) = (self.config.fast_election, self.is_voter());
        let (own, voters) = (self.config.node_id, self.voters().ids());
        let Role::Follower(role) = &mut self.role else { return };
        if role.leader_id != peer || !is_enabled || !is_voter {
            return;
        }
        role.refusals = role.refusals.saturating_add(1);
        if role.refusals > REFUSALS_BORNE && role.stands_at.is_none() {
            let before = voters.into_iter().filter(|id| *id < own && *id != peer).count();
            let turns = i64::try_from(before).unwrap_or(i64::MAX);
            role.stands_at = Some(now.plus_ms(turns.saturating_mul(TURN_MS)));
        }
    }

    pub(super) fn follower_deadline(&self, role: &Follower, now: Instant) -> Option<Instant> {
        let fetch = self.is_voter().then_some(role.fetch_timeout_at);
        let update = (role.update_voter_at > now).then_some(role.update_voter_at);
        fetch.into_iter().chain(update).chain(role.stands_at).min()
    }

    /// Says what is new about this voter, or joins; true if a request was sent.
    fn settle_membership(&mut self, cx: &mut QuorumCx<'_, S>) -> bool {
        let pause = self.config.fetch_timeout_ms;
        let has_versions = self.kraft_version() > 0;
        let (own, voters) = (self.as_voter(), self.voters().clone());
        let Role::Follower(role) = &mut self.role else { return false };
        let Some(leader) = Peer::at(role.leader_id, &role.endpoints, &self.config.listener) else {
            return false;
        };
        let request = if voters.is_voter(key_of(&own)) {
            let is_outdated = if has_versions { voters.is_outdated(&own) } else { !role.has_told };
            is_outdated
                .then(|| Request::UpdateRaftVoter(voters_rpc::update_request(&self.config, self.epoch, &own)))
        } else if has_versions && self.config.auto_join {
            Some(match voters.get(own.id) {
                Some(old) => Request::RemoveRaftVoter(voters_rpc::remove_request(&self.config, key_of(old))),
                None => Request::AddRaftVoter(voters_rpc::add_request(&self.config)),
            })
        } else {
            None
        };
        let Some(request) = request else {
            role.update_voter_at = cx.now.monotonic.plus_ms(pause);
            return false;
        };
        if self.links.any_in_flight(cx.now.monotonic) || !self.links.is_ready(leader.id, cx.now.monotonic) {
            return false;
        }
        role.update_voter_at = cx.now.monotonic.plus_ms(pause);
        self.send(cx, leader, request);
        true
    }

    /// Asks the leader for more, or somebody else who leads when the leader does not answer.
    fn fetch(&mut self, cx: &mut QuorumCx<'_, S>) {
        let now = cx.now.monotonic;
        let Role::Follower(role) = &self.role else { return };
        let leader = Peer::at(role.leader_id, &role.endpoints, &self.config.listener);
        let Some(leader) = leader else { return self.fetch_from_anybody(cx) };
        if self.links.has_timed_out(leader.id, now) {
            self.links.reset(leader.id);
            self.fetch_from_anybody(cx);
        } else if self.links.is_backing_off(leader.id, now) {
            self.fetch_from_anybody(cx);
        } else if !self.links.any_in_flight(now) && self.may_fetch(cx) {
            let request = match &self.download {
                Some(download) => {
                    let fetch = fetch_snapshot::FetchSnapshot {
                        replica: self.key(),
                        epoch: self.epoch,
                        id: download.id,
                        position: download.position,
                        max_bytes: self.config.fetch_snapshot_max_bytes,
                    };
                    Request::FetchSnapshot(fetch_snapshot::request(&self.config, &fetch))
                }
                None => self.fetch_request(),
            };
            self.send(cx, leader, request);
        }
    }

    /// What it has told is durable: the leader counts on it.
    fn may_fetch(&self, cx: &QuorumCx<'_, S>) -> bool {
        let is_synced = self.log.is_synced() || cx.planted.is(Mutation::FetchBeforeSync);
        is_synced && !self.is_installing()
    }

    pub(super) fn fetch_from_anybody(&mut self, cx: &mut QuorumCx<'_, S>) {
        let now = cx.now.monotonic;
        if !self.may_fetch(cx) || self.links.any_in_flight(now) {
            return;
        }
        let mut ready: Vec<Peer> =
            self.anybody().into_iter().filter(|peer| self.links.is_ready(peer.id, now)).collect();
        if ready.is_empty() {
            return;
        }
        let chosen = self.rng.below(u64::try_from(ready.len()).unwrap_or(1));
        let peer = ready.swap_remove(usize::try_from(chosen).unwrap_or(0));
        let request = self.fetch_request();
        self.send(cx, peer, request);
    }

    fn fetch_request(&self) -> Request {
        let fetch = fetch::Fetch {
            replica: self.key(),
            epoch: self.epoch,
            offset: self.log.end_offset(),
            last_epoch: self.log.last_epoch(),
            high_watermark: self.high_watermark.unwrap_or(-1),
            max_wait_ms: FETCH_WAIT_MAX_MS,
            max_bytes: self.config.fetch_max_bytes,
        };
        Request::Fetch(fetch::request(&self.config, &fetch))
    }

    pub(super) fn handle_fetch_response(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        response: &FetchResponse,
    ) -> Result<bool, QuorumError> {
        let Ok(fetched) = fetch::read_response(&self.config, response) else { return Ok(false) };
        if let Some(well) = self.handle_answer(cx, &fetched.answer) {
            return Ok(well);
        }
        let is_follower = matches!(self.role, Role::Follower(_));
        if fetched.answer.error != ErrorCode::None || !is_follower {
            return Ok(false);
        }
        match fetched.validity {
            Validity::Diverging { epoch, end_offset } => {
                if self.high_watermark.is_some_and(|high_watermark| end_offset < high_watermark) {
                    return Err(QuorumError::Broken(format!(
                        "the leader of epoch {} asks for a truncation to offset {end_offset}, below the high watermark {:?}",
                        self.epoch, self.high_watermark
                    )));
                }
                if !cx.planted.is(Mutation::TruncationForgotten) {
                    self.log.truncate_to_end_of(cx.store, cx.now, epoch, end_offset)?;
                }
            }
            Validity::Snapshot(id) => {
                if id.epoch < 0 || id.end_offset < 0 {
                    return Ok(false);
                }
                self.begin_download(cx, id)?;
            }
            Validity::Valid => {
                if !fetched.records.is_empty() {
                    self.log.append_as_follower(cx.store, cx.now, self.epoch, &fetched.records)?;
                }
                if fetched.high_watermark >= 0 {
                    self.advance_high_watermark(cx, fetched.high_watermark);
                }
            }
        }
        self.heard_from_leader(cx);
        Ok(true)
    }

    fn heard_from_leader(&mut self, cx: &QuorumCx<'_, S>) {
        let timeout = cx.now.monotonic.plus_ms(self.config.fetch_timeout_ms);
        if let Role::Follower(role) = &mut self.role {
            role.fetch_timeout_at = timeout;
            role.has_fetched = true;
            role.refusals = 0;
            role.stands_at = None;
        }
    }

    // Snapshots.

    fn part_path(&self, id: SnapshotId) -> String {
        join(&self.config.dir, &format!("{}{PART_SUFFIX}", id.file_name()))
    }

    fn begin_download(&mut self, cx: &mut QuorumCx<'_, S>, id: SnapshotId) -> Result<(), QuorumError> {
        if self.log.snapshots().contains(&id) || self.writing.is_some() {
            return Ok(());
        }
        let path = self.part_path(id);
        let failed = |error| QuorumError::Store(path.clone(), error);
        match cx.store.remove(&path) {
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(failed(error)),
        }
        let file = cx.store.create(&path).map_err(failed)?;
        self.download = Some(Download { id, file, position: 0 });
        Ok(())
    }

    pub(super) fn drop_download(&mut self, cx: &mut QuorumCx<'_, S>) {
        if let Some(download) = self.download.take() {
            // What cannot be removed now is at the next start.
            _ = cx.store.remove(&self.part_path(download.id));
        }
    }

    pub(super) fn handle_fetch_snapshot_response(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        response: &FetchSnapshotResponse,
    ) -> Result<bool, QuorumError> {
        let Ok(fetched) = fetch_snapshot::read_response(&self.config, response) else { return Ok(false) };
        if let Some(well) = self.handle_answer(cx, &fetched.answer) {
            return Ok(well);
        }
        if !matches!(self.role, Role::Follower(_)) {
            return Ok(false);
        }
        let error = fetched.answer.error;
        if error == ErrorCode::SnapshotNotFound || fetched.id.end_offset < 0 || fetched.id.epoch < 0 {
            // The leader has a newer one by now.
            self.drop_download(cx);
            self.heard_from_leader(cx);
            return Ok(true);
        }
        let Some(download) = &mut self.download else { return Ok(false) };
        if error != ErrorCode::None || fetched.id != download.id || fetched.position != download.position {
            return Ok(false);
        }
        let path = join(&self.config.dir, &download.id.file_name());
        let written = cx.store.append(&download.file, &[IoSlice::new(&fetched.bytes)]);
        written.map_err(|error| QuorumError::Store(path, error))?;
        let bytes = i64::try_from(fetched.bytes.len()).unwrap_or(i64::MAX);
        download.position = download.position.saturating_add(bytes);
        if download.position >= fetched.size
            && let Some(download) = self.download.take()
        {
            self.writing = Some(Writing::new(download.id, download.file, Purpose::Fetched));
        }
        self.heard_from_leader(cx);
        Ok(true)
    }
}
