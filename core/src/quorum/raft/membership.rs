//! Changing the voters, one at a time: the next change waits until the last one is committed (KIP-853).

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AddRaftVoterRequest, ApiVersionsResponse, RemoveRaftVoterRequest, UpdateRaftVoterRequest,
    UpdateRaftVoterResponse,
};

use super::peers::Peer;
use super::role::Role;
use super::rpc::voters::{self as rpc, Outcome};
use super::rpc::{Request, Response};
use super::voters::{ReplicaKey, VoterSet, key_of};
use super::{Quorum, QuorumCx, QuorumError, RequestId};
use crate::log::LogStore;
use crate::network::introduction;
use crate::quorum::control::{self, Voter};
use crate::record::{BatchBuilder, ControlRecordType};
use crate::sim::mutation::Mutation;
use crate::time::Instant;

const KRAFT_VERSION: &str = "kraft.version";

/// A change of the voters that somebody waits for.
#[derive(Clone, Debug)]
pub(super) struct Change {
    from: RequestId,
    kind: Kind,
    /// Where the record is that makes it; `None` while the new voter is asked what it supports.
    offset: Option<i64>,
    /// When whoever waits hears that it took too long. The change itself may come true all the same.
    pub until: Instant,
}

#[derive(Clone, Debug)]
enum Kind {
    Add { voter: Voter, ack_when_committed: bool },
    Remove,
}

impl<S: LogStore> Quorum<S> {
    /// How it ended, or nothing yet.
    pub(super) fn handle_add_voter(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        from: RequestId,
        request: &AddRaftVoterRequest,
    ) -> Option<Outcome> {
        self.add_voter(cx, from, request).err().map(Err)
    }

    fn add_voter(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        from: RequestId,
        request: &AddRaftVoterRequest,
    ) -> Result<(), (ErrorCode, Option<String>)> {
        self.check_cluster(request.cluster_id.as_deref())?;
        self.check_leader_request(self.epoch).map_err(|error| (error, None))?;
        let key = ReplicaKey { id: request.voter_id, directory_id: request.voter_directory_id };
        if key.id < 0 || key.directory_id.is_zero() {
            return Err(invalid("Add voter request didn't include a valid voter".to_owned()));
        }
        let endpoints = rpc::add_endpoints(request);
        let Some(peer) = Peer::at(key.id, &endpoints, &self.config.listener) else {
            return Err(invalid(format!(
                "Add voter request didn't include the endpoint ({endpoints:?}) for the default listener ListenerName({})",
                self.config.listener
            )));
        };
        self.check_no_change(cx, "adding")?;
        if self.voters().get(key.id).is_some() {
            let known: Vec<String> = self.voters().iter().map(describe).collect();
            let known = known.join(", ");
            return Err((
                ErrorCode::DuplicateVoter,
                Some(format!(
                    "The voter id for {} is already part of the set of voters [{known}].",
                    describe_key(key)
                )),
            ));
        }
        if !self.is_ready(cx, key.id) {
            let sentence = format!("New voter {} is not ready to receive requests", describe_key(key));
            return Err((ErrorCode::RequestTimedOut, Some(sentence)));
        }
        let voter = Voter { id: key.id, directory_id: key.directory_id, endpoints, kraft_versions: (0, 0) };
        let kind = Kind::Add { voter, ack_when_committed: request.ack_when_committed };
        let until = cx.now.monotonic.plus_ms(self.config.request_timeout_ms);
        if let Role::Leader(leader) = &mut self.role {
            leader.change = Some(Change { from, kind, offset: None, until });
        }
        self.send(cx, peer, Request::ApiVersions(introduction()));
        Ok(())
    }

    /// What the new voter supports; `None` if it did not say.
    pub(super) fn handle_api_versions(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        peer: i32,
        response: Option<&ApiVersionsResponse>,
    ) -> Result<(), QuorumError> {
        let Role::Leader(leader) = &mut self.role else { return Ok(()) };
        let is_awaited = |change: &mut Change| {
            change.offset.is_none() && matches!(&change.kind, Kind::Add { voter, .. } if voter.id == peer)
        };
        let Some(mut change) = leader.change.take_if(is_awaited) else { return Ok(()) };
        let Kind::Add { voter, ack_when_committed } = &mut change.kind else { return Ok(()) };
        let key = key_of(voter);
        let is_caught_up = leader.is_caught_up(key, cx.now);
        let Some(response) = response.filter(|response| response.error_code == 0) else {
            let error = response
                .map_or(ErrorCode::BrokerNotAvailable, |response| super::rpc::error_of(response.error_code));
            let sentence = format!(
                "Aborted add voter operation for since API_VERSIONS returned an error {}",
                error.name()
            );
            self.end_change(&change, Err((ErrorCode::RequestTimedOut, Some(sentence))));
            return Ok(());
        };
        let finalized = self.log.voters().kraft_version();
        let supported = response.supported_features.iter().find(|feature| *feature.name == *KRAFT_VERSION);
        voter.kraft_versions = supported.map_or((0, 0), |feature| (feature.min_version, feature.max_version));
        if !(voter.kraft_versions.0..=voter.kraft_versions.1).contains(&finalized) {
            let sentence = format!(
                "Aborted add voter operation for {} since the {KRAFT_VERSION} range (min: {}, max: {}) doesn't support the finalized version {finalized}",
                describe_key(key),
                voter.kraft_versions.0,
                voter.kraft_versions.1
            );
            self.end_change(&change, Err((ErrorCode::InvalidRequest, Some(sentence))));
            return Ok(());
        }
        if !is_caught_up {
            let sentence =
                format!("Aborted add voter operation for {} since it is lagging behind", describe_key(key));
            self.end_change(&change, Err((ErrorCode::RequestTimedOut, Some(sentence))));
            return Ok(());
        }
        let Some(voters) = self.log.voters().last().with(voter.clone()) else { return Ok(()) };
        let waits = *ack_when_committed;
        change.offset = Some(self.append_voters(cx, &voters)?);
        match &mut self.role {
            Role::Leader(leader) if waits => leader.change = Some(change),
            _ => self.end_change(&change, Ok(())),
        }
        Ok(())
    }

    /// How it ended, or nothing yet.
    pub(super) fn handle_remove_voter(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        from: RequestId,
        request: &RemoveRaftVoterRequest,
    ) -> Result<Option<Outcome>, QuorumError> {
        let voters = match self.remaining_voters(cx, request) {
            Ok(voters) => voters,
            Err(refusal) => return Ok(Some(Err(refusal))),
        };
        let offset = Some(self.append_voters(cx, &voters)?);
        let until = cx.now.monotonic.plus_ms(self.config.request_timeout_ms);
        if let Role::Leader(leader) = &mut self.role {
            leader.change = Some(Change { from, kind: Kind::Remove, offset, until });
        }
        Ok(None)
    }

    fn remaining_voters(
        &self,
        cx: &QuorumCx<'_, S>,
        request: &RemoveRaftVoterRequest,
    ) -> Result<VoterSet, (ErrorCode, Option<String>)> {
        self.check_cluster(request.cluster_id.as_deref())?;
        self.check_leader_request(self.epoch).map_err(|error| (error, None))?;
        let key = ReplicaKey { id: request.voter_id, directory_id: request.voter_directory_id };
        if key.id < 0 || key.directory_id.is_zero() {
            return Err(invalid("Remove voter request didn't include a valid voter".to_owned()));
        }
        self.check_no_change(cx, "removing")?;
        self.voters().without(key).ok_or_else(|| {
            let voters: Vec<String> = self.voters().iter().map(describe).collect();
            let sentence = format!(
                "Cannot remove voter {} from the set of voters [{}]",
                describe_key(key),
                voters.join(", ")
            );
            (ErrorCode::VoterNotFound, Some(sentence))
        })
    }

    pub(super) fn handle_update_voter(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        request: &UpdateRaftVoterRequest,
    ) -> Result<UpdateRaftVoterResponse, QuorumError> {
        let voter = rpc::read_update(request);
        let error = match self.check_update(cx, request, &voter) {
            Err(error) => error,
            // The log says it once `kraft.version` is 1.
            Ok(()) if self.kraft_version() == 0 => self.remember_voter(voter),
            Ok(()) => match self.voters().updated(voter.clone()) {
                None => ErrorCode::VoterNotFound,
                Some(_) if !self.voters().is_outdated(&voter) => ErrorCode::None,
                Some(voters) => {
                    self.append_voters(cx, &voters)?;
                    ErrorCode::None
                }
            },
        };
        Ok(rpc::update_response(&self.config, error, &self.leader_view()))
    }

    fn remember_voter(&mut self, voter: Voter) -> ErrorCode {
        let Role::Leader(leader) = &mut self.role else { return ErrorCode::NotLeaderOrFollower };
        match leader.said.updated_by_id(voter) {
            Some(said) => {
                leader.said = said;
                ErrorCode::None
            }
            None => ErrorCode::VoterNotFound,
        }
    }

    /// Why the quorum cannot go over to a `kraft.version`: a leader knows only of voters that have told it about themselves.
    pub fn upgrade_refusal(&self, version: i16) -> Option<String> {
        let Role::Leader(leader) = &self.role else { return None };
        (!leader.said.support(version)).then(|| {
            format!(
                "Invalid upgrade of {KRAFT_VERSION} to KRAFT_VERSION_{version} because not all of the voters support it"
            )
        })
    }

    /// Goes over to a `kraft.version` that all voters support: from then on the log says who votes.
    pub fn upgrade(&mut self, cx: &mut QuorumCx<'_, S>, version: i16) -> Result<(), QuorumError> {
        let Role::Leader(leader) = &self.role else { return Ok(()) };
        if version <= self.kraft_version() || !leader.said.support(version) {
            return Ok(());
        }
        let mut batch = BatchBuilder::control(self.log.end_offset(), self.epoch);
        let voters = control::voters(&leader.said.to_vec());
        let record = control::kraft_version(version);
        batch.append_control(cx.now.wall, ControlRecordType::KRaftVersion, &record);
        batch.append_control(cx.now.wall, ControlRecordType::KRaftVoters, &voters);
        self.append_control(cx, &batch)?;
        Ok(())
    }

    fn check_update(
        &self,
        cx: &QuorumCx<'_, S>,
        request: &UpdateRaftVoterRequest,
        voter: &Voter,
    ) -> Result<(), ErrorCode> {
        if !self.config.is_cluster(request.cluster_id.as_ref()) {
            return Err(ErrorCode::InconsistentClusterId);
        }
        self.check_leader_request(request.current_leader_epoch)?;
        let (min, max) = voter.kraft_versions;
        let has_endpoint = Peer::at(voter.id, &voter.endpoints, &self.config.listener).is_some();
        if voter.id < 0 || voter.directory_id.is_zero() || !has_endpoint || min < 0 || max < min {
            return Err(ErrorCode::InvalidRequest);
        }
        if self.kraft_version() > 0 {
            self.check_no_change(cx, "updating").map_err(|(error, _)| error)?;
        }
        let is_supported = (min..=max).contains(&self.kraft_version());
        is_supported.then_some(()).ok_or(ErrorCode::InvalidRequest)
    }

    fn append_voters(&mut self, cx: &mut QuorumCx<'_, S>, voters: &VoterSet) -> Result<i64, QuorumError> {
        let mut batch = BatchBuilder::control(self.log.end_offset(), self.epoch);
        let record = control::voters(&voters.to_vec());
        batch.append_control(cx.now.wall, ControlRecordType::KRaftVoters, &record);
        self.append_control(cx, &batch)
    }

    fn check_cluster(&self, cluster_id: Option<&str>) -> Result<(), (ErrorCode, Option<String>)> {
        match cluster_id {
            Some(id) if *id != *self.config.cluster_id => Err((
                ErrorCode::InconsistentClusterId,
                Some(format!(
                    "The given id \"{id}\" doesn't match the cluster id \"{}\"",
                    self.config.cluster_id
                )),
            )),
            _ => Ok(()),
        }
    }

    /// A change begins only when none is under way, this epoch has committed something, and the last change is committed. Two changes
    /// that are not committed could give two majorities that do not meet.
    fn check_no_change(&self, cx: &QuorumCx<'_, S>, doing: &str) -> Result<(), (ErrorCode, Option<String>)> {
        let Role::Leader(leader) = &self.role else { return Err((ErrorCode::NotLeaderOrFollower, None)) };
        let timed_out = |sentence: String| Err((ErrorCode::RequestTimedOut, Some(sentence)));
        let is_lax = cx.planted.is(Mutation::VoterChangesOverlap);
        if leader.change.is_some() && !is_lax {
            let sentence = "Request timed out waiting for leader to handle previous voter change request";
            return timed_out(sentence.to_owned());
        }
        let Some(high_watermark) = leader.high_watermark else {
            return timed_out(
                "Request timed out waiting for leader to establish HWM and fence previous voter changes"
                    .to_owned(),
            );
        };
        let history = self.log.voters();
        if history.kraft_version() == 0 {
            let sentence =
                format!("Cluster doesn't support {doing} voter because the {KRAFT_VERSION} feature is 0");
            return Err((ErrorCode::UnsupportedVersion, Some(sentence)));
        }
        let offset = history.last_offset();
        if offset.is_none_or(|offset| offset >= high_watermark) && !is_lax {
            return timed_out(format!(
                "Request timed out waiting for voters to commit the latest voter change at {offset:?} with HWM {high_watermark}"
            ));
        }
        Ok(())
    }

    /// More is committed: a change that is gets its answer, and a leader that is no voter any more has done its work.
    pub(super) fn change_committed(&mut self, high_watermark: i64) {
        let is_voter = self.is_voter();
        let are_committed = self.log.voters().last_offset().is_none_or(|offset| offset < high_watermark);
        let Role::Leader(leader) = &mut self.role else { return };
        if are_committed && !is_voter {
            leader.is_to_resign = true;
        }
        let is_done = |change: &mut Change| change.offset.is_some_and(|offset| offset < high_watermark);
        if let Some(change) = leader.change.take_if(is_done) {
            self.end_change(&change, Ok(()));
        }
    }

    pub(super) fn expire_change(&mut self, cx: &QuorumCx<'_, S>) {
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(change) = leader.change.take_if(|change| change.until <= cx.now.monotonic) {
            self.end_change(&change, Err((ErrorCode::RequestTimedOut, None)));
        }
    }

    pub(super) fn end_change(&mut self, change: &Change, outcome: Outcome) {
        let response = match change.kind {
            Kind::Add { .. } => Response::AddRaftVoter(rpc::add_response(outcome)),
            Kind::Remove => Response::RemoveRaftVoter(rpc::remove_response(outcome)),
        };
        self.reply(change.from, response);
    }
}

fn invalid(sentence: String) -> (ErrorCode, Option<String>) {
    (ErrorCode::InvalidRequest, Some(sentence))
}

fn describe(voter: &Voter) -> String {
    describe_key(key_of(voter))
}

fn describe_key(key: ReplicaKey) -> String {
    if key.directory_id.is_zero() {
        return format!("ReplicaKey(id={}, directoryId=<undefined>)", key.id);
    }
    format!("ReplicaKey(id={}, directoryId={})", key.id, key.directory_id)
}
