//! BeginQuorumEpoch (KIP-595): a leader says that it leads; to a voter by its key (KIP-853).

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::begin_quorum_epoch_request::{
    BeginQuorumEpochRequest, LeaderEndpoint, PartitionData, TopicData,
};
use ottla_protocol::messages::begin_quorum_epoch_response::{
    BeginQuorumEpochResponse, NodeEndpoint, PartitionData as PartitionAnswer, TopicData as TopicAnswer,
};

use super::{Answer, LeaderView, error_of, single};
use crate::quorum::raft::QuorumConfig;
use crate::quorum::raft::voters::ReplicaKey;

/// Who leads, and the voter that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// With all its listeners, unless the request is too old for them.
    pub leader: LeaderView,
    /// Who is told, if it says so.
    pub voter: Option<ReplicaKey>,
}

pub fn request(config: &QuorumConfig, epoch: i32, voter: ReplicaKey) -> BeginQuorumEpochRequest {
    let partition = PartitionData {
        partition_index: 0,
        voter_directory_id: voter.directory_id,
        leader_id: config.node_id,
        leader_epoch: epoch,
    };
    let endpoints = config.endpoints.iter();
    BeginQuorumEpochRequest {
        cluster_id: Some(config.cluster_id.clone()),
        voter_id: voter.id,
        topics: vec![TopicData { topic_name: config.topic.clone(), partitions: vec![partition] }],
        leader_endpoints: endpoints
            .map(|(name, host, port)| LeaderEndpoint { name: name.clone(), host: host.clone(), port: *port })
            .collect(),
    }
}

/// The error is one of the whole request.
pub fn read(config: &QuorumConfig, request: &BeginQuorumEpochRequest) -> Result<Begin, ErrorCode> {
    if !config.is_cluster(request.cluster_id.as_ref()) {
        return Err(ErrorCode::InconsistentClusterId);
    }
    let topic = single(&request.topics).ok_or(ErrorCode::InvalidRequest)?;
    let partition = single(&topic.partitions).ok_or(ErrorCode::InvalidRequest)?;
    if !config.is_partition(&topic.topic_name, partition.partition_index) {
        return Err(ErrorCode::InvalidRequest);
    }
    let endpoints = request.leader_endpoints.iter();
    let leader = LeaderView {
        leader_id: partition.leader_id,
        epoch: partition.leader_epoch,
        endpoints: endpoints.map(|one| (one.name.detached(), one.host.detached(), one.port)).collect(),
    };
    let voter = ReplicaKey { id: request.voter_id, directory_id: partition.voter_directory_id };
    Ok(Begin { leader, voter: (voter.id >= 0).then_some(voter) })
}

pub fn refusal(error: ErrorCode) -> BeginQuorumEpochResponse {
    BeginQuorumEpochResponse { error_code: error.code(), ..BeginQuorumEpochResponse::default() }
}

pub fn response(
    config: &QuorumConfig,
    version: i16,
    error: ErrorCode,
    leader: &LeaderView,
) -> BeginQuorumEpochResponse {
    let partition = PartitionAnswer {
        partition_index: 0,
        error_code: error.code(),
        leader_id: leader.leader_id,
        leader_epoch: leader.epoch,
    };
    let node = leader.node(&config.listener).filter(|_| version >= 1);
    BeginQuorumEpochResponse {
        error_code: 0,
        topics: vec![TopicAnswer { topic_name: config.topic.clone(), partitions: vec![partition] }],
        node_endpoints: node
            .map(|(node_id, host, port)| NodeEndpoint { node_id, host, port })
            .into_iter()
            .collect(),
    }
}

/// The error is one of the whole answer.
pub fn read_response(
    config: &QuorumConfig,
    response: &BeginQuorumEpochResponse,
) -> Result<Answer, ErrorCode> {
    if response.error_code != 0 {
        return Err(error_of(response.error_code));
    }
    let topic = single(&response.topics).ok_or(ErrorCode::InvalidRequest)?;
    let partition = single(&topic.partitions).ok_or(ErrorCode::InvalidRequest)?;
    let node = response.node_endpoints.iter().find(|node| node.node_id == partition.leader_id);
    let address = node.map(|node| (node.host.detached(), node.port));
    let leader = LeaderView::read(partition.leader_id, partition.leader_epoch, &config.listener, address);
    Ok(Answer::new(partition.error_code, leader))
}
