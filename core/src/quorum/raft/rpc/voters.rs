//! AddRaftVoter, RemoveRaftVoter, UpdateRaftVoter (KIP-853).

use ottla_protocol::messages::add_raft_voter_request::{AddRaftVoterRequest, Listener};
use ottla_protocol::messages::update_raft_voter_request::{
    KRaftVersionFeature, Listener as UpdatedListener, UpdateRaftVoterRequest,
};
use ottla_protocol::messages::update_raft_voter_response::{CurrentLeader, UpdateRaftVoterResponse};
use ottla_protocol::messages::{AddRaftVoterResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse};
use ottla_protocol::{ErrorCode, Str};

use super::{Answer, LeaderView};
use crate::quorum::control::{Endpoints, Voter};
use crate::quorum::raft::QuorumConfig;
use crate::quorum::raft::voters::ReplicaKey;

/// How a change of the voters ended: the error, and a sentence where Kafka has one.
pub type Outcome = Result<(), (ErrorCode, Option<String>)>;

fn split(outcome: Outcome) -> (i16, Option<Str>) {
    match outcome {
        Ok(()) => (0, None),
        Err((error, message)) => {
            (error.code(), Some(message.map_or_else(|| Str::from(error.message()), Str::from)))
        }
    }
}

/// Asks the leader to make the node itself a voter (auto-join): it need not wait for the commit.
pub fn add_request(config: &QuorumConfig) -> AddRaftVoterRequest {
    let listeners = config.endpoints.iter();
    AddRaftVoterRequest {
        cluster_id: Some(config.cluster_id.clone()),
        timeout_ms: config.request_timeout_ms.try_into().unwrap_or(i32::MAX),
        voter_id: config.node_id,
        voter_directory_id: config.directory_id,
        listeners: listeners
            .map(|(name, host, port)| Listener { name: name.clone(), host: host.clone(), port: *port })
            .collect(),
        ack_when_committed: false,
    }
}

pub fn add_endpoints(request: &AddRaftVoterRequest) -> Endpoints {
    let listeners = request.listeners.iter();
    listeners.map(|one| (one.name.detached(), one.host.detached(), one.port)).collect()
}

pub fn add_response(outcome: Outcome) -> AddRaftVoterResponse {
    let (error_code, error_message) = split(outcome);
    AddRaftVoterResponse { throttle_time_ms: 0, error_code, error_message }
}

/// Asks the leader to remove the voter that has this node's id and another directory (auto-join).
pub fn remove_request(config: &QuorumConfig, key: ReplicaKey) -> RemoveRaftVoterRequest {
    RemoveRaftVoterRequest {
        cluster_id: Some(config.cluster_id.clone()),
        voter_id: key.id,
        voter_directory_id: key.directory_id,
    }
}

pub fn remove_response(outcome: Outcome) -> RemoveRaftVoterResponse {
    let (error_code, error_message) = split(outcome);
    RemoveRaftVoterResponse { throttle_time_ms: 0, error_code, error_message }
}

pub fn update_request(config: &QuorumConfig, epoch: i32, voter: &Voter) -> UpdateRaftVoterRequest {
    let listeners = voter.endpoints.iter();
    UpdateRaftVoterRequest {
        cluster_id: Some(config.cluster_id.clone()),
        current_leader_epoch: epoch,
        voter_id: voter.id,
        voter_directory_id: voter.directory_id,
        listeners: listeners
            .map(|(name, host, port)| UpdatedListener { name: name.clone(), host: host.clone(), port: *port })
            .collect(),
        kraft_version_feature: KRaftVersionFeature {
            min_supported_version: voter.kraft_versions.0,
            max_supported_version: voter.kraft_versions.1,
        },
    }
}

/// What a voter says about itself.
pub fn read_update(request: &UpdateRaftVoterRequest) -> Voter {
    let listeners = request.listeners.iter();
    let feature = &request.kraft_version_feature;
    Voter {
        id: request.voter_id,
        directory_id: request.voter_directory_id,
        endpoints: listeners.map(|one| (one.name.detached(), one.host.detached(), one.port)).collect(),
        kraft_versions: (feature.min_supported_version, feature.max_supported_version),
    }
}

pub fn update_response(
    config: &QuorumConfig,
    error: ErrorCode,
    leader: &LeaderView,
) -> UpdateRaftVoterResponse {
    let (host, port) =
        leader.node(&config.listener).map_or((Str::default(), 0), |(_, host, port)| (host, i32::from(port)));
    let current_leader =
        CurrentLeader { leader_id: leader.leader_id, leader_epoch: leader.epoch, host, port };
    UpdateRaftVoterResponse { throttle_time_ms: 0, error_code: error.code(), current_leader }
}

pub fn read_update_response(config: &QuorumConfig, response: &UpdateRaftVoterResponse) -> Answer {
    let current = &response.current_leader;
    let port = u16::try_from(current.port).ok().filter(|_| !current.host.is_empty());
    let address = port.map(|port| (current.host.detached(), port));
    let leader = LeaderView::read(current.leader_id, current.leader_epoch, &config.listener, address);
    Answer::new(response.error_code, leader)
}
