//! Vote (KIP-595), to a voter by its key (KIP-853), and as a question only (pre-vote, KIP-996).

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::vote_request::{PartitionData, TopicData, VoteRequest};
use ottla_protocol::messages::vote_response::{
    NodeEndpoint, PartitionData as PartitionAnswer, TopicData as TopicAnswer, VoteResponse,
};

use super::{Answer, LeaderView, error_of, single};
use crate::quorum::raft::QuorumConfig;
use crate::quorum::raft::voters::ReplicaKey;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Who wants to lead.
    pub replica: ReplicaKey,
    /// In which epoch; a pre-vote names the one it is in.
    pub epoch: i32,
    /// The epoch of its last record.
    pub last_epoch: i32,
    /// Where its log ends.
    pub last_offset: i64,
    /// It wants to know only.
    pub pre_vote: bool,
    /// Who is asked, if it says so.
    pub voter: Option<ReplicaKey>,
}

pub fn request(config: &QuorumConfig, vote: &Vote) -> VoteRequest {
    let voter = vote.voter.unwrap_or(ReplicaKey { id: -1, ..ReplicaKey::default() });
    let partition = PartitionData {
        partition_index: 0,
        replica_epoch: vote.epoch,
        replica_id: vote.replica.id,
        replica_directory_id: vote.replica.directory_id,
        voter_directory_id: voter.directory_id,
        last_offset_epoch: vote.last_epoch,
        last_offset: vote.last_offset,
        pre_vote: vote.pre_vote,
    };
    VoteRequest {
        cluster_id: Some(config.cluster_id.clone()),
        voter_id: voter.id,
        topics: vec![TopicData { topic_name: config.topic.clone(), partitions: vec![partition] }],
    }
}

/// The error is one of the whole request.
pub fn read(config: &QuorumConfig, request: &VoteRequest) -> Result<Vote, ErrorCode> {
    if !config.is_cluster(request.cluster_id.as_ref()) {
        return Err(ErrorCode::InconsistentClusterId);
    }
    let topic = single(&request.topics).ok_or(ErrorCode::InvalidRequest)?;
    let partition = single(&topic.partitions).ok_or(ErrorCode::InvalidRequest)?;
    if !config.is_partition(&topic.topic_name, partition.partition_index) {
        return Err(ErrorCode::InvalidRequest);
    }
    let voter = ReplicaKey { id: request.voter_id, directory_id: partition.voter_directory_id };
    Ok(Vote {
        replica: ReplicaKey { id: partition.replica_id, directory_id: partition.replica_directory_id },
        epoch: partition.replica_epoch,
        last_epoch: partition.last_offset_epoch,
        last_offset: partition.last_offset,
        pre_vote: partition.pre_vote,
        voter: (voter.id >= 0).then_some(voter),
    })
}

pub fn refusal(error: ErrorCode) -> VoteResponse {
    VoteResponse { error_code: error.code(), ..VoteResponse::default() }
}

pub fn response(
    config: &QuorumConfig,
    version: i16,
    error: ErrorCode,
    leader: &LeaderView,
    vote_granted: bool,
) -> VoteResponse {
    let partition = PartitionAnswer {
        partition_index: 0,
        error_code: error.code(),
        leader_id: leader.leader_id,
        leader_epoch: leader.epoch,
        vote_granted,
    };
    let node = leader.node(&config.listener).filter(|_| version >= 1);
    VoteResponse {
        error_code: 0,
        topics: vec![TopicAnswer { topic_name: config.topic.clone(), partitions: vec![partition] }],
        node_endpoints: node
            .map(|(node_id, host, port)| NodeEndpoint { node_id, host, port })
            .into_iter()
            .collect(),
    }
}

/// Who leads, and whether the vote was granted. The error is one of the whole answer.
pub fn read_response(config: &QuorumConfig, response: &VoteResponse) -> Result<(Answer, bool), ErrorCode> {
    if response.error_code != 0 {
        return Err(error_of(response.error_code));
    }
    let topic = single(&response.topics).ok_or(ErrorCode::InvalidRequest)?;
    let partition = single(&topic.partitions).ok_or(ErrorCode::InvalidRequest)?;
    let node = response.node_endpoints.iter().find(|node| node.node_id == partition.leader_id);
    let address = node.map(|node| (node.host.detached(), node.port));
    let leader = LeaderView::read(partition.leader_id, partition.leader_epoch, &config.listener, address);
    Ok((Answer::new(partition.error_code, leader), partition.vote_granted))
}
