//! Who leads: how a replica takes its place, asks for votes, grants them, and gives the lead up.

use ottla_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, EndQuorumEpochRequest, EndQuorumEpochResponse,
    VoteRequest, VoteResponse,
};
use ottla_protocol::{ErrorCode, Str};

use super::leader::Leader;
use super::peers::Peer;
use super::role::{Candidate, Election, Follower, Prospective, Resigned, Role, Unattached};
use super::rpc::{self, Request, begin_quorum_epoch, end_quorum_epoch, vote};
use super::voters::{ReplicaKey, key_of};
use super::{Quorum, QuorumCx, QuorumError};
use crate::log::{AppendBatch, LogStore};
use crate::quorum::control::{self, Endpoints};
use crate::quorum::quorum_state::QuorumState;
use crate::record::compression::Compressors;
use crate::record::{BatchBuilder, BatchView, ControlRecordType};
use crate::sim::mutation::Mutation;
use crate::time::Instant;

impl<S: LogStore> Quorum<S> {
    /// Takes the place that the disk remembers.
    pub(super) fn begin(&mut self, now: Instant, found: Option<QuorumState>) {
        let own = self.key();
        let last_epoch = self.log.last_epoch();
        let election_at = self.random_timeout(now);
        let unattached = |leader_id| Role::Unattached(Unattached { leader_id, election_at });
        let found = found.filter(|found| found.leader_epoch >= last_epoch);
        self.epoch = found.as_ref().map_or(last_epoch, |found| found.leader_epoch);
        let Some(found) = found else {
            self.role = unattached(None);
            self.begin_alone(now);
            return;
        };
        let voted = ReplicaKey { id: found.voted_id, directory_id: found.voted_directory_id };
        self.voted = (voted.id >= 0).then_some(voted);
        let leader_id = Some(found.leader_id).filter(|id| *id >= 0);
        let endpoints = leader_id.map(|id| self.voters().endpoints(id)).unwrap_or_default();
        let has_own_vote = self.voted.is_some_and(|voted| voted.id == own.id && voted.stands_for(own));
        self.role = match leader_id {
            Some(id) if id == own.id => {
                self.voted = None;
                Role::Resigned(Resigned {
                    unacknowledged: self.voters().ids().into_iter().filter(|id| *id != own.id).collect(),
                    preferred: Vec::new(),
                    timeout_at: election_at,
                })
            }
            Some(leader_id) if !endpoints.is_empty() => {
                Role::Follower(self.new_follower(now, leader_id, endpoints))
            }
            // Records of the epoch for which it stood: it was decided, though that did not come to be written down.
            None if has_own_vote && last_epoch < self.epoch => {
                let election = Election::new(self.voters(), own.id);
                Role::Candidate(Candidate { election, timeout_at: election_at })
            }
            leader_id => unattached(leader_id),
        };
        self.begin_alone(now);
    }

    /// The only voter waits for nobody.
    fn begin_alone(&mut self, now: Instant) {
        let is_candidate = matches!(self.role, Role::Candidate(_));
        if self.voters().is_only_voter(self.key()) && !is_candidate {
            let election = Election::new(self.voters(), self.config.node_id);
            let timeout_at = self.random_timeout(now);
            self.role = Role::Prospective(Prospective { leader: None, election, timeout_at });
        }
    }

    /// Does what the role asks for by now. True if it is another one now.
    pub(super) fn poll_role(&mut self, cx: &mut QuorumCx<'_, S>) -> Result<bool, QuorumError> {
        let now = cx.now.monotonic;
        let is_stopping = self.stopping.is_some();
        match &self.role {
            Role::Unattached(role) => {
                if self.is_voter() && !is_stopping && role.election_at <= now {
                    self.become_prospective(cx);
                    return Ok(true);
                }
                self.fetch_from_anybody(cx);
            }
            Role::Prospective(role) => {
                let (is_granted, is_rejected) = (role.election.is_granted(), role.election.is_rejected());
                if is_granted {
                    self.become_candidate(cx);
                    return Ok(true);
                }
                if is_rejected || (!is_stopping && role.timeout_at <= now) {
                    self.lose_pre_vote(cx);
                    return Ok(true);
                }
                self.ask_for_votes(cx, true);
            }
            Role::Candidate(role) => {
                if role.election.is_granted() {
                    self.become_leader(cx)?;
                    return Ok(true);
                }
                if !is_stopping && role.timeout_at <= now {
                    self.become_prospective(cx);
                    return Ok(true);
                }
                if !role.election.is_rejected() {
                    self.ask_for_votes(cx, false);
                }
            }
            Role::Leader(leader) => {
                if is_stopping || leader.is_to_resign || leader.has_lost_quorum(now) {
                    self.resign(cx);
                    return Ok(true);
                }
                self.say_that_it_leads(cx);
            }
            Role::Follower(_) => return Ok(self.poll_follower(cx)),
            Role::Resigned(role) => {
                if !is_stopping && role.timeout_at <= now {
                    let epoch = self.epoch.saturating_add(1);
                    self.become_unattached(cx, epoch, None);
                    return Ok(true);
                }
                self.say_that_it_resigned(cx);
            }
        }
        Ok(false)
    }

    /// When the role asks for something by itself.
    pub(super) fn role_deadline(&self, now: Instant) -> Option<Instant> {
        if self.stopping.is_some() {
            return None;
        }
        match &self.role {
            Role::Unattached(role) => self.is_voter().then_some(role.election_at),
            Role::Prospective(role) => Some(role.timeout_at),
            Role::Candidate(role) => Some(role.timeout_at),
            Role::Leader(leader) => leader.deadline(),
            Role::Follower(role) => self.follower_deadline(role, now),
            Role::Resigned(role) => Some(role.timeout_at),
        }
    }

    /// Whether a replica that is asked to stop need not hand anything over.
    pub(super) fn may_stop(&self) -> bool {
        let is_alone = self.voters().is_only_voter(self.key());
        !self.is_voter() || is_alone || matches!(self.role, Role::Follower(_))
    }

    // Transitions.

    fn set_role(&mut self, cx: &mut QuorumCx<'_, S>, role: Role) {
        self.links.reset_all();
        self.drop_download(cx);
        let parked_error = match &role {
            Role::Resigned(_) => ErrorCode::BrokerNotAvailable,
            _ => ErrorCode::NotLeaderOrFollower,
        };
        if let Role::Leader(leader) = std::mem::replace(&mut self.role, role) {
            self.abandon(*leader, parked_error);
        }
    }

    fn set_epoch(&mut self, epoch: i32) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.voted = None;
        }
    }

    /// Knows no leader that it could follow, in this epoch.
    pub(super) fn become_unattached(&mut self, cx: &mut QuorumCx<'_, S>, epoch: i32, leader_id: Option<i32>) {
        // What is left of a wait stays: others may not put an election off by naming new epochs.
        let election_at = match &self.role {
            Role::Unattached(role) => role.election_at,
            Role::Candidate(role) => role.timeout_at,
            Role::Prospective(role) if !role.election.is_rejected() => role.timeout_at,
            Role::Resigned(role) => role.timeout_at,
            _ => self.random_timeout(cx.now.monotonic),
        };
        self.set_epoch(epoch);
        self.set_role(cx, Role::Unattached(Unattached { leader_id, election_at }));
    }

    /// Follows a leader.
    pub(super) fn become_follower(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        epoch: i32,
        leader_id: i32,
        endpoints: Endpoints,
    ) {
        self.set_epoch(epoch);
        let follower = self.new_follower(cx.now.monotonic, leader_id, endpoints);
        self.set_role(cx, Role::Follower(follower));
    }

    fn new_follower(&self, now: Instant, leader_id: i32, endpoints: Endpoints) -> Follower {
        Follower {
            leader_id,
            endpoints,
            fetch_timeout_at: now.plus_ms(self.config.fetch_timeout_ms),
            has_fetched: false,
            refusals: 0,
            stands_at: None,
            has_told: false,
            update_voter_at: now.plus_ms(self.config.fetch_timeout_ms),
        }
    }

    /// Asks whether it would be elected.
    pub(super) fn become_prospective(&mut self, cx: &mut QuorumCx<'_, S>) {
        let leader = match &self.role {
            Role::Follower(role) => Some((role.leader_id, role.endpoints.clone())),
            Role::Unattached(role) => role.leader_id.map(|id| (id, Endpoints::new())),
            _ => None,
        };
        let election = Election::new(self.voters(), self.config.node_id);
        let timeout_at = self.random_timeout(cx.now.monotonic);
        self.set_role(cx, Role::Prospective(Prospective { leader, election, timeout_at }));
    }

    /// Stands for election in the next epoch.
    pub(super) fn become_candidate(&mut self, cx: &mut QuorumCx<'_, S>) {
        self.set_epoch(self.epoch.saturating_add(1));
        self.voted = Some(self.key());
        let election = Election::new(self.voters(), self.config.node_id);
        let timeout_at = self.random_timeout(cx.now.monotonic);
        self.set_role(cx, Role::Candidate(Candidate { election, timeout_at }));
    }

    fn lose_pre_vote(&mut self, cx: &mut QuorumCx<'_, S>) {
        let Role::Prospective(role) = &self.role else { return };
        match role.leader.clone() {
            Some((leader_id, endpoints)) if !endpoints.is_empty() => {
                self.become_follower(cx, self.epoch, leader_id, endpoints);
            }
            leader => self.become_unattached(cx, self.epoch, leader.map(|(id, _)| id)),
        }
    }

    /// Leads: the first record of its epoch says so, and which voters it found.
    fn become_leader(&mut self, cx: &mut QuorumCx<'_, S>) -> Result<(), QuorumError> {
        let Role::Candidate(candidate) = &self.role else { return Ok(()) };
        let (granting, voters) = (candidate.election.granting(), self.voters().clone());
        let epoch_start_offset = self.log.end_offset();
        let mut batch = BatchBuilder::control(epoch_start_offset, self.epoch);
        let change = control::leader_change(self.config.node_id, &voters.ids(), &granting);
        batch.append_control(cx.now.wall, ControlRecordType::LeaderChange, &change);
        let kraft_version = self.kraft_version();
        let is_from_format = self.log.voters().last_offset() == Some(-1);
        if kraft_version > 0 && (is_from_format || voters.is_outdated(&self.as_voter())) {
            let updated = voters.updated(self.as_voter()).unwrap_or_else(|| voters.clone());
            let version = control::kraft_version(kraft_version);
            batch.append_control(cx.now.wall, ControlRecordType::KRaftVersion, &version);
            let record = control::voters(&updated.to_vec());
            batch.append_control(cx.now.wall, ControlRecordType::KRaftVoters, &record);
        }
        let mut leader = Leader::new(&self.config, cx.now.monotonic, epoch_start_offset, &voters);
        leader.said = voters.unheard().updated_by_id(self.as_voter()).unwrap_or_default();
        self.voted = None;
        self.set_role(cx, Role::Leader(Box::new(leader)));
        self.append_control(cx, &batch)?;
        Ok(())
    }

    /// Appends control records of the leader's own: where they begin. What they say about voters holds at once.
    pub(super) fn append_control(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        batch: &BatchBuilder,
    ) -> Result<i64, QuorumError> {
        let bytes = batch.build(&Compressors::default());
        let view = BatchView::read(&bytes).map_err(|error| QuorumError::Broken(error.to_string()))?;
        let append = AppendBatch { header: *view.header(), body: view.body() };
        let base_offset = self.log.append_as_leader(cx.store, cx.now, self.epoch, append)?;
        self.log.note_control(view, base_offset)?;
        self.appended(cx);
        Ok(base_offset)
    }

    /// Leads no longer, and tells the voters, so that they need not find out.
    pub(super) fn resign(&mut self, cx: &mut QuorumCx<'_, S>) {
        let Role::Leader(leader) = &self.role else { return };
        let preferred = leader.voters_by_progress(self.config.node_id);
        let unacknowledged =
            self.voters().ids().into_iter().filter(|id| *id != self.config.node_id).collect();
        let timeout_at = self.random_timeout(cx.now.monotonic);
        self.set_role(cx, Role::Resigned(Resigned { unacknowledged, preferred, timeout_at }));
    }

    // Requests.

    fn ask_for_votes(&mut self, cx: &mut QuorumCx<'_, S>, pre_vote: bool) {
        let unrecorded = match &self.role {
            Role::Prospective(role) => role.election.unrecorded(),
            Role::Candidate(role) => role.election.unrecorded(),
            _ => return,
        };
        for id in unrecorded {
            let listener = &self.config.listener;
            let Some(peer) = self.voters().peer(id, listener).filter(|_| self.is_ready(cx, id)) else {
                continue;
            };
            let voter = self.voters().get(id).map(key_of);
            let vote = vote::Vote {
                replica: self.key(),
                epoch: self.epoch,
                last_epoch: self.log.last_epoch(),
                last_offset: self.log.end_offset(),
                pre_vote,
                voter,
            };
            let request = vote::request(&self.config, &vote);
            self.send(cx, peer, Request::Vote(request));
        }
    }

    fn say_that_it_leads(&mut self, cx: &mut QuorumCx<'_, S>) {
        let (now, pause) = (cx.now.monotonic, self.config.fetch_timeout_ms.saturating_div(2));
        let Role::Leader(leader) = &mut self.role else { return };
        let silent = leader.silent_voters(now, pause, self.config.node_id);
        if leader.begin_at > now {
            return;
        }
        leader.begin_at = now.plus_ms(pause);
        let voters: Vec<(Peer, ReplicaKey)> = silent
            .into_iter()
            .filter_map(|key| Some((self.voters().peer(key.id, &self.config.listener)?, key)))
            .filter(|(peer, _)| self.is_ready(cx, peer.id))
            .collect();
        for (peer, key) in voters {
            let request = begin_quorum_epoch::request(&self.config, self.epoch, key);
            self.send(cx, peer, Request::BeginQuorumEpoch(request));
        }
    }

    fn say_that_it_resigned(&mut self, cx: &mut QuorumCx<'_, S>) {
        let Role::Resigned(role) = &self.role else { return };
        let preferred = role.preferred.clone();
        let peer = |id: &i32| self.voters().peer(*id, &self.config.listener);
        let peers: Vec<Peer> = role.unacknowledged.iter().filter_map(peer).collect();
        for peer in peers.into_iter().filter(|peer| self.is_ready(cx, peer.id)).collect::<Vec<_>>() {
            let request = end_quorum_epoch::request(&self.config, self.epoch, &preferred);
            self.send(cx, peer, Request::EndQuorumEpoch(request));
        }
    }

    pub(super) fn is_ready(&self, cx: &QuorumCx<'_, S>, id: i32) -> bool {
        self.links.is_ready(id, cx.now.monotonic)
    }

    // What others ask.

    pub(super) fn handle_vote(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        version: i16,
        request: &VoteRequest,
    ) -> VoteResponse {
        let asked = match vote::read(&self.config, request) {
            Ok(asked) => asked,
            Err(error) => return vote::refusal(error),
        };
        let outcome = self.vote(cx, &asked);
        let (error, granted) =
            outcome.map_or_else(|error| (error, false), |granted| (ErrorCode::None, granted));
        vote::response(&self.config, version, error, &self.leader_view(), granted)
    }

    /// Whether it votes for the one that asks, and would, if it only wants to know.
    fn vote(&mut self, cx: &mut QuorumCx<'_, S>, asked: &vote::Vote) -> Result<bool, ErrorCode> {
        let is_epoch_possible =
            if asked.pre_vote { asked.last_epoch <= asked.epoch } else { asked.last_epoch < asked.epoch };
        if asked.last_offset < 0 || asked.last_epoch < 0 || !is_epoch_possible {
            return Err(ErrorCode::InvalidRequest);
        }
        self.check_voter_request(asked.replica.id, asked.epoch)?;
        if asked.epoch > self.epoch {
            self.become_unattached(cx, asked.epoch, None);
        }
        if !self.is_meant(asked.voter) {
            return Err(ErrorCode::InvalidVoterKey);
        }
        let own = (self.log.last_epoch(), self.log.end_offset());
        let is_up_to_date =
            (asked.last_epoch, asked.last_offset) >= own || cx.planted.is(Mutation::VoteForShorterLog);
        let is_granted = match &self.role {
            Role::Unattached(_) | Role::Prospective(_) if asked.pre_vote => is_up_to_date,
            Role::Unattached(_) | Role::Prospective(_) => match self.voted {
                Some(voted) => voted.stands_for(asked.replica),
                None => {
                    self.leader_id().is_none() && is_up_to_date && asked.replica.id != self.config.node_id
                }
            },
            Role::Follower(role) => {
                let ignores = cx.planted.is(Mutation::PreVoteIgnoresLeader);
                let may_be_gone = !role.has_fetched || role.stands_at.is_some();
                asked.pre_vote && (may_be_gone || ignores) && is_up_to_date
            }
            Role::Candidate(_) | Role::Resigned(_) => asked.pre_vote && is_up_to_date,
            Role::Leader(_) => {
                asked.pre_vote && is_up_to_date && cx.planted.is(Mutation::PreVoteIgnoresLeader)
            }
        };
        if is_granted && !asked.pre_vote && self.voted.is_none() {
            self.voted = Some(asked.replica);
            let election_at = self.random_timeout(cx.now.monotonic);
            match &mut self.role {
                Role::Unattached(role) => role.election_at = election_at,
                Role::Prospective(role) => role.timeout_at = election_at,
                _ => {}
            }
        }
        Ok(is_granted)
    }

    /// What must hold of any request of a voter.
    fn check_voter_request(&self, remote_id: i32, epoch: i32) -> Result<(), ErrorCode> {
        if epoch < self.epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if remote_id < 0 {
            return Err(ErrorCode::InvalidRequest);
        }
        Ok(())
    }

    /// Whether a request that names whom it is for is for this replica.
    fn is_meant(&self, voter: Option<ReplicaKey>) -> bool {
        voter.is_none_or(|key| key.stands_for(self.key()))
    }

    pub(super) fn handle_vote_response(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        peer: i32,
        response: &VoteResponse,
    ) -> bool {
        let read = vote::read_response(&self.config, response);
        let (answer, granted) = match read {
            Ok(read) => read,
            Err(ErrorCode::UnsupportedVersion) if matches!(self.role, Role::Prospective(_)) => {
                self.become_candidate(cx);
                return true;
            }
            Err(_) => return false,
        };
        if let Some(well) = self.handle_answer(cx, &answer) {
            return well;
        }
        match &mut self.role {
            _ if answer.error != ErrorCode::None => return false,
            Role::Prospective(role) => role.election.record(peer, granted),
            Role::Candidate(role) => role.election.record(peer, granted),
            _ => {}
        }
        true
    }

    pub(super) fn handle_begin_quorum_epoch(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        version: i16,
        request: &BeginQuorumEpochRequest,
    ) -> BeginQuorumEpochResponse {
        let begin = match begin_quorum_epoch::read(&self.config, request) {
            Ok(begin) => begin,
            Err(error) => return begin_quorum_epoch::refusal(error),
        };
        let outcome = self
            .hear_of_leader(cx, begin.leader)
            .and_then(|()| self.is_meant(begin.voter).then_some(()).ok_or(ErrorCode::InvalidVoterKey));
        let error = outcome.err().unwrap_or(ErrorCode::None);
        begin_quorum_epoch::response(&self.config, version, error, &self.leader_view())
    }

    fn hear_of_leader(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        mut leader: rpc::LeaderView,
    ) -> Result<(), ErrorCode> {
        self.check_voter_request(leader.leader_id, leader.epoch)?;
        if leader.endpoints.is_empty() {
            leader.endpoints = self.voters().endpoints(leader.leader_id);
        }
        self.maybe_transition(cx, &leader).then_some(()).ok_or(ErrorCode::UnknownServerError)
    }

    pub(super) fn handle_end_quorum_epoch(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        version: i16,
        request: &EndQuorumEpochRequest,
    ) -> EndQuorumEpochResponse {
        let end = match end_quorum_epoch::read(&self.config, request) {
            Ok(end) => end,
            Err(error) => return end_quorum_epoch::refusal(error),
        };
        let leader_id = end.leader.leader_id;
        let error = self.hear_of_leader(cx, end.leader).err().unwrap_or(ErrorCode::None);
        let wait = self.wait_after_resignation(&end.preferred);
        if let Role::Follower(role) = &mut self.role
            && error == ErrorCode::None
            && role.leader_id == leader_id
        {
            role.fetch_timeout_at = cx.now.monotonic.plus_ms(wait);
        }
        end_quorum_epoch::response(&self.config, version, error, &self.leader_view())
    }

    /// The one with the longest log stands at once, the others each later than the one before.
    fn wait_after_resignation(&self, preferred: &[ReplicaKey]) -> i64 {
        let longest = self.config.election_backoff_max_ms;
        let Some(position) = preferred.iter().position(|key| key.stands_for(self.key())) else {
            return longest;
        };
        let Some(doublings) = position.checked_sub(1) else { return 0 };
        let halvings = u32::try_from(preferred.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let shortest = longest.checked_shr(halvings).unwrap_or(0);
        let doublings = u32::try_from(doublings).unwrap_or(u32::MAX);
        shortest.saturating_mul(2_i64.saturating_pow(doublings)).min(longest)
    }

    pub(super) fn handle_end_response(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        peer: i32,
        response: &EndQuorumEpochResponse,
    ) -> bool {
        let Ok(answer) = end_quorum_epoch::read_response(&self.config, response) else { return false };
        if let Some(well) = self.handle_answer(cx, &answer) {
            return well;
        }
        if let Role::Resigned(role) = &mut self.role
            && answer.error == ErrorCode::None
        {
            role.unacknowledged.remove(&peer);
        }
        answer.error == ErrorCode::None
    }

    /// Between one and two times `controller.quorum.election.timeout.ms` from now.
    pub(super) fn random_timeout(&mut self, now: Instant) -> Instant {
        let timeout_ms = self.config.election_timeout_ms.max(1);
        let jitter = self.rng.below(u64::try_from(timeout_ms).unwrap_or(1));
        now.plus_ms(timeout_ms.saturating_add(i64::try_from(jitter).unwrap_or(0)))
    }

    /// Whom to ask who leads: bootstrap servers, which have negative ids, or else the voters.
    pub(super) fn anybody(&self) -> Vec<Peer> {
        let bootstrap =
            (2..).zip(&self.config.bootstrap_servers).map(|(number, (host, port)): (i32, &(Str, u16))| {
                Peer { id: number.saturating_neg(), host: host.clone(), port: *port }
            });
        let bootstrap: Vec<Peer> = bootstrap.collect();
        if !bootstrap.is_empty() {
            return bootstrap;
        }
        let others = self.voters().ids().into_iter().filter(|id| *id != self.config.node_id);
        others.filter_map(|id| self.voters().peer(id, &self.config.listener)).collect()
    }
}
