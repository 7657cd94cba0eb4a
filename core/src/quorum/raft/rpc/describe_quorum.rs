//! DescribeQuorum (KIP-595, KIP-836, KIP-853), as the leader of the quorum answers it.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_quorum_request::DescribeQuorumRequest;
use ottla_protocol::messages::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};

use super::single;
use crate::quorum::control::Voter;
use crate::quorum::raft::QuorumConfig;
use crate::quorum::raft::leader::{Description, ReplicaView};

pub fn refusal(request: &DescribeQuorumRequest, error: ErrorCode) -> DescribeQuorumResponse {
    if error != ErrorCode::UnknownTopicOrPartition {
        let (error_code, error_message) = (error.code(), Some(error.message().into()));
        return DescribeQuorumResponse { error_code, error_message, ..DescribeQuorumResponse::default() };
    }
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| PartitionData {
            partition_index: partition.partition_index,
            error_code: error.code(),
            error_message: Some(error.message().into()),
            ..PartitionData::default()
        });
        TopicData { topic_name: topic.topic_name.detached(), partitions: partitions.collect() }
    });
    DescribeQuorumResponse { topics: topics.collect(), ..DescribeQuorumResponse::default() }
}

/// Whether the one partition that there is was asked for.
pub fn is_valid(config: &QuorumConfig, request: &DescribeQuorumRequest) -> bool {
    let topic = single(&request.topics);
    let partition = topic.and_then(|topic| Some((topic, single(&topic.partitions)?)));
    partition
        .is_some_and(|(topic, partition)| config.is_partition(&topic.topic_name, partition.partition_index))
}

pub fn response<'a>(
    config: &QuorumConfig,
    version: i16,
    description: &Description,
    voters: impl Iterator<Item = &'a Voter>,
) -> DescribeQuorumResponse {
    let state = |view: &ReplicaView| ReplicaState {
        replica_id: view.key.id,
        replica_directory_id: view.key.directory_id,
        log_end_offset: view.end_offset,
        last_fetch_timestamp: view.last_fetch_timestamp,
        last_caught_up_timestamp: view.last_caught_up_timestamp,
    };
    let partition = PartitionData {
        partition_index: 0,
        error_code: 0,
        leader_id: config.node_id,
        leader_epoch: description.epoch,
        high_watermark: description.high_watermark,
        current_voters: description.voters.iter().map(state).collect(),
        observers: description.observers.iter().map(state).collect(),
        ..PartitionData::default()
    };
    let nodes = voters.filter(|_| version >= 2).map(|voter| Node {
        node_id: voter.id,
        listeners: voter
            .endpoints
            .iter()
            .map(|(name, host, port)| Listener { name: name.clone(), host: host.clone(), port: *port })
            .collect(),
    });
    DescribeQuorumResponse {
        topics: vec![TopicData { topic_name: config.topic.clone(), partitions: vec![partition] }],
        nodes: nodes.collect(),
        ..DescribeQuorumResponse::default()
    }
}
