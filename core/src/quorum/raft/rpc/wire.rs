//! Bodies of requests and responses as bytes, at a version.

use ottla_protocol::messages::*;
use ottla_protocol::{ApiKey, Bytes, DecodeError, Decoder, EncodeError, Encoder, Message};

use super::{Request, Response, fetch};

/// The APIs by which replicas talk, and the versions at which they do. A Fetch of before 12 could not say how the log ends.
pub const VERSIONS: [(ApiKey, i16, i16); 10] = [
    (ApiKey::Fetch, 12, 18),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::Vote, 0, 2),
    (ApiKey::BeginQuorumEpoch, 0, 1),
    (ApiKey::EndQuorumEpoch, 0, 1),
    (ApiKey::DescribeQuorum, 0, 2),
    (ApiKey::FetchSnapshot, 0, 1),
    (ApiKey::AddRaftVoter, 0, 1),
    (ApiKey::RemoveRaftVoter, 0, 0),
    (ApiKey::UpdateRaftVoter, 0, 0),
];

fn bytes_of(message: &impl Message, version: i16) -> Result<Bytes, EncodeError> {
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, version)?;
    encoder.into_bytes()
}

impl Request {
    /// Of which API.
    pub fn api_key(&self) -> ApiKey {
        match self {
            Self::Vote(_) => ApiKey::Vote,
            Self::BeginQuorumEpoch(_) => ApiKey::BeginQuorumEpoch,
            Self::EndQuorumEpoch(_) => ApiKey::EndQuorumEpoch,
            Self::Fetch(_) => ApiKey::Fetch,
            Self::FetchSnapshot(_) => ApiKey::FetchSnapshot,
            Self::DescribeQuorum(_) => ApiKey::DescribeQuorum,
            Self::AddRaftVoter(_) => ApiKey::AddRaftVoter,
            Self::RemoveRaftVoter(_) => ApiKey::RemoveRaftVoter,
            Self::UpdateRaftVoter(_) => ApiKey::UpdateRaftVoter,
            Self::ApiVersions(_) => ApiKey::ApiVersions,
        }
    }

    /// Its body. A version that cannot say what it says is an error.
    pub fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
        match self {
            Self::Vote(request) => bytes_of(request, version),
            Self::BeginQuorumEpoch(request) => bytes_of(request, version),
            Self::EndQuorumEpoch(request) => {
                // One list or the other.
                let mut request = request.clone();
                let partitions = request.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
                partitions.for_each(|partition| match version {
                    0 => partition.preferred_candidates.clear(),
                    _ => partition.preferred_successors.clear(),
                });
                bytes_of(&request, version)
            }
            Self::Fetch(request) => {
                let mut request = request.clone();
                fetch::for_version(&mut request, version);
                bytes_of(&request, version)
            }
            Self::FetchSnapshot(request) => {
                let mut request = request.clone();
                let partitions = request.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
                if version == 0 {
                    partitions
                        .for_each(|partition| partition.replica_directory_id = ottla_protocol::Uuid::ZERO);
                }
                bytes_of(&request, version)
            }
            Self::DescribeQuorum(request) => bytes_of(request, version),
            Self::AddRaftVoter(request) => bytes_of(request, version),
            Self::RemoveRaftVoter(request) => bytes_of(request, version),
            Self::UpdateRaftVoter(request) => bytes_of(request, version),
            Self::ApiVersions(request) => bytes_of(request, version),
        }
    }

    /// Reads a body; `None` if the API is none of these.
    pub fn decode(api_key: ApiKey, version: i16, body: Bytes) -> Option<Result<Self, DecodeError>> {
        let mut body = Decoder::new(body);
        Some(match api_key {
            ApiKey::Vote => VoteRequest::decode(&mut body, version).map(Self::Vote),
            ApiKey::BeginQuorumEpoch => {
                BeginQuorumEpochRequest::decode(&mut body, version).map(Self::BeginQuorumEpoch)
            }
            ApiKey::EndQuorumEpoch => {
                EndQuorumEpochRequest::decode(&mut body, version).map(Self::EndQuorumEpoch)
            }
            ApiKey::Fetch => FetchRequest::decode(&mut body, version).map(Self::Fetch),
            ApiKey::FetchSnapshot => {
                FetchSnapshotRequest::decode(&mut body, version).map(Self::FetchSnapshot)
            }
            ApiKey::DescribeQuorum => {
                DescribeQuorumRequest::decode(&mut body, version).map(Self::DescribeQuorum)
            }
            ApiKey::AddRaftVoter => AddRaftVoterRequest::decode(&mut body, version).map(Self::AddRaftVoter),
            ApiKey::RemoveRaftVoter => {
                RemoveRaftVoterRequest::decode(&mut body, version).map(Self::RemoveRaftVoter)
            }
            ApiKey::UpdateRaftVoter => {
                UpdateRaftVoterRequest::decode(&mut body, version).map(Self::UpdateRaftVoter)
            }
            ApiKey::ApiVersions => ApiVersionsRequest::decode(&mut body, version).map(Self::ApiVersions),
            _ => return None,
        })
    }
}

impl Response {
    /// Its body.
    pub fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
        match self {
            Self::Vote(response) => bytes_of(response, version),
            Self::BeginQuorumEpoch(response) => bytes_of(response, version),
            Self::EndQuorumEpoch(response) => bytes_of(response, version),
            Self::Fetch(response) => bytes_of(response, version),
            Self::FetchSnapshot(response) => bytes_of(response, version),
            Self::DescribeQuorum(response) => bytes_of(response, version),
            Self::AddRaftVoter(response) => bytes_of(response, version),
            Self::RemoveRaftVoter(response) => bytes_of(response, version),
            Self::UpdateRaftVoter(response) => bytes_of(response, version),
            Self::ApiVersions(response) => bytes_of(response, version),
        }
    }

    /// Reads a body; `None` if the API is none of these.
    pub fn decode(api_key: ApiKey, version: i16, body: Bytes) -> Option<Result<Self, DecodeError>> {
        let mut body = Decoder::new(body);
        Some(match api_key {
            ApiKey::Vote => VoteResponse::decode(&mut body, version).map(Self::Vote),
            ApiKey::BeginQuorumEpoch => {
                BeginQuorumEpochResponse::decode(&mut body, version).map(Self::BeginQuorumEpoch)
            }
            ApiKey::EndQuorumEpoch => {
                EndQuorumEpochResponse::decode(&mut body, version).map(Self::EndQuorumEpoch)
            }
            ApiKey::Fetch => FetchResponse::decode(&mut body, version).map(Self::Fetch),
            ApiKey::FetchSnapshot => {
                FetchSnapshotResponse::decode(&mut body, version).map(Self::FetchSnapshot)
            }
            ApiKey::DescribeQuorum => {
                DescribeQuorumResponse::decode(&mut body, version).map(Self::DescribeQuorum)
            }
            ApiKey::AddRaftVoter => AddRaftVoterResponse::decode(&mut body, version).map(Self::AddRaftVoter),
            ApiKey::RemoveRaftVoter => {
                RemoveRaftVoterResponse::decode(&mut body, version).map(Self::RemoveRaftVoter)
            }
            ApiKey::UpdateRaftVoter => {
                UpdateRaftVoterResponse::decode(&mut body, version).map(Self::UpdateRaftVoter)
            }
            ApiKey::ApiVersions => ApiVersionsResponse::decode(&mut body, version).map(Self::ApiVersions),
            _ => return None,
        })
    }
}
