//! EndQuorumEpoch (KIP-595): a leader says that it no longer leads, and who had best come after it.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::end_quorum_epoch_request::{
    EndQuorumEpochRequest, LeaderEndpoint, PartitionData, ReplicaInfo, TopicData,
};
use ottla_protocol::messages::end_quorum_epoch_response::{
    EndQuorumEpochResponse, NodeEndpoint, PartitionData as PartitionAnswer, TopicData as TopicAnswer,
};

use super::{Answer, LeaderView, error_of, single};
use crate::quorum::raft::QuorumConfig;
use crate::quorum::raft::voters::ReplicaKey;

/// Who led, and who had best come after it, the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// With all its listeners, unless the request is too old for them.
    pub leader: LeaderView,
    /// An old request names ids only.
    pub preferred: Vec<ReplicaKey>,
}

pub fn request(config: &QuorumConfig, epoch: i32, preferred: &[ReplicaKey]) -> EndQuorumEpochRequest {
    let candidates = preferred
        .iter()
        .map(|key| ReplicaInfo { candidate_id: key.id, candidate_directory_id: key.directory_id });
    let partition = PartitionData {
        partition_index: 0,
        leader_id: config.node_id,
        leader_epoch: epoch,
        preferred_successors: preferred.iter().map(|key| key.id).collect(),
        preferred_candidates: candidates.collect(),
    };
    let endpoints = config.endpoints.iter();
    EndQuorumEpochRequest {
        cluster_id: Some(config.cluster_id.clone()),
        topics: vec![TopicData { topic_name: config.topic.clone(), partitions: vec![partition] }],
        leader_endpoints: endpoints
            .map(|(name, host, port)| LeaderEndpoint { name: name.clone(), host: host.clone(), port: *port })
            .collect(),
    }
}

/// The error is one of the whole request.
pub fn read(config: &QuorumConfig, request: &EndQuorumEpochRequest) -> Result<End, ErrorCode> {
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
    let by_id =
        partition.preferred_successors.iter().map(|id| ReplicaKey { id: *id, ..ReplicaKey::default() });
    let by_key = partition
        .preferred_candidates
        .iter()
        .map(|one| ReplicaKey { id: one.candidate_id, directory_id: one.candidate_directory_id });
    let preferred =
        if partition.preferred_candidates.is_empty() { by_id.collect() } else { by_key.collect() };
    Ok(End { leader, preferred })
}

pub fn refusal(error: ErrorCode) -> EndQuorumEpochResponse {
    EndQuorumEpochResponse { error_code: error.code(), ..EndQuorumEpochResponse::default() }
}

pub fn response(
    config: &QuorumConfig,
    version: i16,
    error: ErrorCode,
    leader: &LeaderView,
) -> EndQuorumEpochResponse {
    let partition = PartitionAnswer {
        partition_index: 0,
        error_code: error.code(),
        leader_id: leader.leader_id,
        leader_epoch: leader.epoch,
    };
    let node = leader.node(&config.listener).filter(|_| version >= 1);
    EndQuorumEpochResponse {
        error_code: 0,
        topics: vec![TopicAnswer { topic_name: config.topic.clone(), partitions: vec![partition] }],
        node_endpoints: node
            .map(|(node_id, host, port)| NodeEndpoint { node_id, host, port })
            .into_iter()
            .collect(),
    }
}

/// The error is one of the whole answer.
pub fn read_response(config: &QuorumConfig, response: &EndQuorumEpochResponse) -> Result<Answer, ErrorCode> {
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
