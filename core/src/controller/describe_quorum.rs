//! DescribeQuorum (KIP-595, KIP-853).

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_quorum_request::{DescribeQuorumRequest, TopicData as TopicAsked};
use ottla_protocol::messages::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};

use super::ApiError;
use crate::quorum::{METADATA_TOPIC, Voter};
use crate::time::Timestamp;

/// The quorum as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumView {
    /// The leader, this node.
    pub leader_id: i32,
    /// Its epoch.
    pub leader_epoch: i32,
    /// Everything below is committed.
    pub high_watermark: i64,
    /// Where the next record goes.
    pub log_end_offset: i64,
    /// Who votes.
    pub voters: Vec<Voter>,
}

/// Answers from the leader's own state.
pub fn describe_quorum(
    quorum: &QuorumView,
    now: Timestamp,
    request: &DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    // The nodes are told to who asks for the one partition and nothing else.
    let is_alone = matches!(&request.topics[..], [topic] if is_quorum(topic) && topic.partitions.len() == 1);
    let topics: Vec<TopicData> = request
        .topics
        .iter()
        .map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                if *topic.topic_name != *METADATA_TOPIC || partition.partition_index != 0 {
                    let (error_code, error_message) =
                        ApiError::split(Err(ApiError::standard(ErrorCode::UnknownTopicOrPartition)));
                    let partition_index = partition.partition_index;
                    return PartitionData {
                        partition_index,
                        error_code,
                        error_message,
                        ..PartitionData::default()
                    };
                }
                describe(quorum, now)
            });
            TopicData { topic_name: topic.topic_name.clone(), partitions: partitions.collect() }
        })
        .collect();
    let nodes = quorum.voters.iter().map(|voter| Node {
        node_id: voter.id,
        listeners: voter
            .endpoints
            .iter()
            .map(|(name, host, port)| Listener { name: name.clone(), host: host.clone(), port: *port })
            .collect(),
    });
    DescribeQuorumResponse {
        error_code: 0,
        error_message: Some("".into()),
        topics,
        nodes: if is_alone { nodes.collect() } else { Vec::new() },
    }
}

fn is_quorum(topic: &TopicAsked) -> bool {
    *topic.topic_name == *METADATA_TOPIC && topic.partitions.iter().all(|asked| asked.partition_index == 0)
}

fn describe(quorum: &QuorumView, now: Timestamp) -> PartitionData {
    let voters = quorum.voters.iter().map(|voter| ReplicaState {
        replica_id: voter.id,
        replica_directory_id: voter.directory_id,
        log_end_offset: quorum.log_end_offset,
        last_fetch_timestamp: now,
        last_caught_up_timestamp: now,
    });
    PartitionData {
        partition_index: 0,
        error_code: 0,
        error_message: Some("".into()),
        leader_id: quorum.leader_id,
        leader_epoch: quorum.leader_epoch,
        high_watermark: quorum.high_watermark,
        current_voters: voters.collect(),
        observers: Vec::new(),
    }
}
