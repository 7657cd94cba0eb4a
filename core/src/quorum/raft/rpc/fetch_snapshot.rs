//! FetchSnapshot (KIP-630), by a replica's key (KIP-853).

use ottla_protocol::messages::fetch_snapshot_request::{
    FetchSnapshotRequest, PartitionSnapshot, SnapshotId as SnapshotAsked, TopicSnapshot,
};
use ottla_protocol::messages::fetch_snapshot_response::{
    FetchSnapshotResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionSnapshot as PartitionAnswer,
    SnapshotId as SnapshotAnswer, TopicSnapshot as TopicAnswer,
};
use ottla_protocol::{Bytes, ErrorCode, Records};

use super::{Answer, LeaderView, error_of, single};
use crate::quorum::checkpoint::SnapshotId;
use crate::quorum::raft::QuorumConfig;
use crate::quorum::raft::voters::ReplicaKey;

/// What a follower asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchSnapshot {
    /// Who asks.
    pub replica: ReplicaKey,
    /// The epoch it is in.
    pub epoch: i32,
    /// Of which snapshot.
    pub id: SnapshotId,
    /// From which byte on.
    pub position: i64,
    /// Bytes at most.
    pub max_bytes: i32,
}

/// What a leader answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedSnapshot {
    /// Error, and who leads.
    pub answer: Answer,
    /// Of which snapshot.
    pub id: SnapshotId,
    /// Bytes in all.
    pub size: i64,
    /// Where these are.
    pub position: i64,
    /// A piece of it.
    pub bytes: Bytes,
}

pub fn request(config: &QuorumConfig, fetch: &FetchSnapshot) -> FetchSnapshotRequest {
    let partition = PartitionSnapshot {
        partition: 0,
        current_leader_epoch: fetch.epoch,
        snapshot_id: SnapshotAsked { end_offset: fetch.id.end_offset, epoch: fetch.id.epoch },
        position: fetch.position,
        replica_directory_id: fetch.replica.directory_id,
    };
    FetchSnapshotRequest {
        cluster_id: Some(config.cluster_id.clone()),
        replica_id: fetch.replica.id,
        max_bytes: fetch.max_bytes,
        topics: vec![TopicSnapshot { name: config.topic.clone(), partitions: vec![partition] }],
    }
}

/// The error is one of the whole request; [`ErrorCode::UnknownTopicOrPartition`] is said of the partition asked for.
pub fn read(config: &QuorumConfig, request: &FetchSnapshotRequest) -> Result<FetchSnapshot, ErrorCode> {
    if !config.is_cluster(request.cluster_id.as_ref()) {
        return Err(ErrorCode::InconsistentClusterId);
    }
    let topic = single(&request.topics).ok_or(ErrorCode::InvalidRequest)?;
    let partition = single(&topic.partitions).ok_or(ErrorCode::InvalidRequest)?;
    if !config.is_partition(&topic.name, partition.partition) {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let id = &partition.snapshot_id;
    Ok(FetchSnapshot {
        replica: ReplicaKey { id: request.replica_id, directory_id: partition.replica_directory_id },
        epoch: partition.current_leader_epoch,
        id: SnapshotId { end_offset: id.end_offset, epoch: id.epoch },
        position: partition.position,
        max_bytes: request.max_bytes,
    })
}

pub fn refusal(request: &FetchSnapshotRequest, error: ErrorCode) -> FetchSnapshotResponse {
    let asked = single(&request.topics).filter(|_| error == ErrorCode::UnknownTopicOrPartition);
    let asked = asked.and_then(|topic| Some((topic, single(&topic.partitions)?)));
    let Some((topic, partition)) = asked else {
        return FetchSnapshotResponse { error_code: error.code(), ..FetchSnapshotResponse::default() };
    };
    let answer = PartitionAnswer {
        index: partition.partition,
        error_code: error.code(),
        unaligned_records: Records::Bytes(Bytes::new()),
        ..PartitionAnswer::default()
    };
    let topics = vec![TopicAnswer { name: topic.name.detached(), partitions: vec![answer] }];
    FetchSnapshotResponse { topics, ..FetchSnapshotResponse::default() }
}

pub fn response(config: &QuorumConfig, version: i16, fetched: FetchedSnapshot) -> FetchSnapshotResponse {
    let FetchedSnapshot { answer, id, size, position, bytes } = fetched;
    let partition = PartitionAnswer {
        index: 0,
        error_code: answer.error.code(),
        snapshot_id: SnapshotAnswer { end_offset: id.end_offset, epoch: id.epoch },
        current_leader: LeaderIdAndEpoch {
            leader_id: answer.leader.leader_id,
            leader_epoch: answer.leader.epoch,
        },
        size,
        position,
        unaligned_records: Records::Bytes(bytes),
    };
    let node = answer.leader.node(&config.listener).filter(|_| version >= 1);
    FetchSnapshotResponse {
        topics: vec![TopicAnswer { name: config.topic.clone(), partitions: vec![partition] }],
        node_endpoints: node
            .map(|(node_id, host, port)| NodeEndpoint { node_id, host, port })
            .into_iter()
            .collect(),
        ..FetchSnapshotResponse::default()
    }
}

/// The error is one of the whole answer.
pub fn read_response(
    config: &QuorumConfig,
    response: &FetchSnapshotResponse,
) -> Result<FetchedSnapshot, ErrorCode> {
    if response.error_code != 0 {
        return Err(error_of(response.error_code));
    }
    let topic = single(&response.topics).ok_or(ErrorCode::InvalidRequest)?;
    let partition = single(&topic.partitions).ok_or(ErrorCode::InvalidRequest)?;
    let current = &partition.current_leader;
    let node = response.node_endpoints.iter().find(|node| node.node_id == current.leader_id);
    let address = node.map(|node| (node.host.detached(), node.port));
    let leader = LeaderView::read(current.leader_id, current.leader_epoch, &config.listener, address);
    let id = &partition.snapshot_id;
    Ok(FetchedSnapshot {
        answer: Answer::new(partition.error_code, leader),
        id: SnapshotId { end_offset: id.end_offset, epoch: id.epoch },
        size: partition.size,
        position: partition.position,
        bytes: partition.unaligned_records.bytes().cloned().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use ottla_protocol::{Encoder, Message as _};

    use super::*;

    #[test]
    fn a_refusal_can_be_written() {
        let topic =
            TopicSnapshot { partitions: vec![PartitionSnapshot::default()], ..TopicSnapshot::default() };
        let request = FetchSnapshotRequest { topics: vec![topic], ..FetchSnapshotRequest::default() };
        for version in 0..=1 {
            let answer = refusal(&request, ErrorCode::UnknownTopicOrPartition);
            let encoded = answer.encode(&mut Encoder::new(), version);
            assert!(encoded.is_ok(), "version {version}: {encoded:?}");
        }
    }
}
