//! What replicas say to each other: messages to and from what the machine thinks in. One file per API.

pub(super) mod begin_quorum_epoch;
pub(super) mod describe_quorum;
pub(super) mod end_quorum_epoch;
pub(super) mod fetch;
pub(super) mod fetch_snapshot;
pub(super) mod vote;
pub(super) mod voters;
mod wire;

use ottla_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, ApiVersionsRequest, ApiVersionsResponse,
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    EndQuorumEpochRequest, EndQuorumEpochResponse, FetchRequest, FetchResponse, FetchSnapshotRequest,
    FetchSnapshotResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse, UpdateRaftVoterRequest,
    UpdateRaftVoterResponse, VoteRequest, VoteResponse,
};
use ottla_protocol::{ErrorCode, Str};

pub use wire::VERSIONS;

use super::QuorumConfig;
use crate::quorum::control::Endpoints;

/// A request to a replica, or from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Vote(VoteRequest),
    BeginQuorumEpoch(BeginQuorumEpochRequest),
    EndQuorumEpoch(EndQuorumEpochRequest),
    Fetch(FetchRequest),
    FetchSnapshot(FetchSnapshotRequest),
    DescribeQuorum(DescribeQuorumRequest),
    AddRaftVoter(AddRaftVoterRequest),
    RemoveRaftVoter(RemoveRaftVoterRequest),
    UpdateRaftVoter(UpdateRaftVoterRequest),
    /// Only sent; whoever accepts connections answers it.
    ApiVersions(ApiVersionsRequest),
}

impl Request {
    /// What a client is told of whose request no leader was found; `None` of what replicas ask each other.
    pub fn refusal(&self) -> Option<Response> {
        let refused = || Err((ErrorCode::NotController, None));
        match self {
            Self::DescribeQuorum(request) => Some(Response::DescribeQuorum(describe_quorum::refusal(
                request,
                ErrorCode::NotLeaderOrFollower,
            ))),
            Self::AddRaftVoter(_) => Some(Response::AddRaftVoter(voters::add_response(refused()))),
            Self::RemoveRaftVoter(_) => Some(Response::RemoveRaftVoter(voters::remove_response(refused()))),
            _ => None,
        }
    }
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    Vote(VoteResponse),
    BeginQuorumEpoch(BeginQuorumEpochResponse),
    EndQuorumEpoch(EndQuorumEpochResponse),
    Fetch(FetchResponse),
    FetchSnapshot(FetchSnapshotResponse),
    DescribeQuorum(DescribeQuorumResponse),
    AddRaftVoter(AddRaftVoterResponse),
    RemoveRaftVoter(RemoveRaftVoterResponse),
    UpdateRaftVoter(UpdateRaftVoterResponse),
    ApiVersions(ApiVersionsResponse),
}

/// Who leads, as the one that answers sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderView {
    /// −1 while it is not known.
    pub leader_id: i32,
    /// The epoch of the one that answers.
    pub epoch: i32,
    /// The leader's listeners, as far as they are known.
    pub endpoints: Endpoints,
}

/// What every answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of the partition.
    pub error: ErrorCode,
    /// Who leads.
    pub leader: LeaderView,
}

impl LeaderView {
    /// The leader and where it listens, if that is known.
    pub fn node(&self, listener: &Str) -> Option<(i32, Str, u16)> {
        let (_, host, port) = self.endpoints.iter().find(|(name, ..)| name == listener)?;
        (self.leader_id >= 0).then(|| (self.leader_id, host.clone(), *port))
    }

    /// What an answer says: it names one address, that of the listener by which it was asked.
    pub fn read(leader_id: i32, epoch: i32, listener: &Str, address: Option<(Str, u16)>) -> Self {
        let endpoints = address.map(|(host, port)| (listener.clone(), host, port)).into_iter().collect();
        Self { leader_id, epoch, endpoints }
    }
}

impl Answer {
    /// Of an error code and who leads.
    pub fn new(error_code: i16, leader: LeaderView) -> Self {
        Self { error: error_of(error_code), leader }
    }
}

/// The error of a code; one that is not known is unexpected.
pub fn error_of(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

impl QuorumConfig {
    /// Whether a request is meant for this cluster. One that does not say is.
    pub(super) fn is_cluster(&self, cluster_id: Option<&Str>) -> bool {
        cluster_id.is_none_or(|id| *id == self.cluster_id)
    }

    /// Whether these are the one topic and its one partition.
    pub(super) fn is_partition(&self, topic: &str, partition: i32) -> bool {
        *topic == *self.topic && partition == 0
    }
}

/// The one entry of a list with one.
pub(super) fn single<T>(entries: &[T]) -> Option<&T> {
    match entries {
        [entry] => Some(entry),
        _ => None,
    }
}
