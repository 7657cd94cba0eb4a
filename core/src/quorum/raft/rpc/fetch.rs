//! Fetch of the replicated log (KIP-595), by a replica's key (KIP-853), with the high watermark it knows (KIP-1166).

use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ReplicaState};
use ottla_protocol::messages::fetch_response::{
    EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
    SnapshotId as SnapshotAnswer,
};
use ottla_protocol::{Bytes, ErrorCode, Records};

use super::{Answer, LeaderView, error_of, single};
use crate::quorum::checkpoint::SnapshotId;
use crate::quorum::raft::QuorumConfig;
use crate::quorum::raft::log::Validity;
use crate::quorum::raft::voters::ReplicaKey;

/// What a follower asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Who asks; a negative id is no replica.
    pub replica: ReplicaKey,
    /// The epoch it is in.
    pub epoch: i32,
    /// Where its log ends.
    pub offset: i64,
    /// The epoch of its last record.
    pub last_epoch: i32,
    /// What it knows to be committed: −1 for nothing, the largest number if it does not say.
    pub high_watermark: i64,
    /// How long to wait for something, ms.
    pub max_wait_ms: i32,
    /// Bytes at most.
    pub max_bytes: i32,
}

/// What a leader answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Error, and who leads.
    pub answer: Answer,
    /// −1 while it is not known.
    pub high_watermark: i64,
    /// What to do about a log that does not fit; records otherwise.
    pub validity: Validity,
    /// Whole batches, perhaps with the beginning of another.
    pub records: Bytes,
}

pub fn request(config: &QuorumConfig, fetch: &Fetch) -> FetchRequest {
    let partition = FetchPartition {
        partition: 0,
        current_leader_epoch: fetch.epoch,
        fetch_offset: fetch.offset,
        last_fetched_epoch: fetch.last_epoch,
        log_start_offset: -1,
        partition_max_bytes: 0,
        replica_directory_id: fetch.replica.directory_id,
        high_watermark: fetch.high_watermark,
    };
    let topic =
        FetchTopic { topic: config.topic.clone(), topic_id: config.topic_id, partitions: vec![partition] };
    FetchRequest {
        cluster_id: Some(config.cluster_id.clone()),
        replica_state: ReplicaState { replica_id: fetch.replica.id, replica_epoch: -1 },
        max_wait_ms: fetch.max_wait_ms,
        max_bytes: fetch.max_bytes,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

/// Puts the id of the replica where a version has it.
pub fn for_version(request: &mut FetchRequest, version: i16) {
    if version < 15 {
        request.replica_id = request.replica_state.replica_id;
        request.replica_state = ReplicaState::default();
    }
}

/// The error is one of the whole request.
pub fn read(config: &QuorumConfig, version: i16, request: &FetchRequest) -> Result<Fetch, ErrorCode> {
    if !config.is_cluster(request.cluster_id.as_ref()) {
        return Err(ErrorCode::InconsistentClusterId);
    }
    let topic = single(&request.topics).ok_or(ErrorCode::InvalidRequest)?;
    let partition = single(&topic.partitions).ok_or(ErrorCode::InvalidRequest)?;
    let is_topic =
        if version >= 13 { topic.topic_id == config.topic_id } else { topic.topic == config.topic };
    if !is_topic || partition.partition != 0 {
        return Err(ErrorCode::InvalidRequest);
    }
    let id = if version >= 15 { request.replica_state.replica_id } else { request.replica_id };
    Ok(Fetch {
        replica: ReplicaKey { id, directory_id: partition.replica_directory_id },
        epoch: partition.current_leader_epoch,
        offset: partition.fetch_offset,
        last_epoch: partition.last_fetched_epoch,
        high_watermark: partition.high_watermark,
        max_wait_ms: request.max_wait_ms,
        max_bytes: request.max_bytes,
    })
}

pub fn refusal(error: ErrorCode) -> FetchResponse {
    FetchResponse { error_code: error.code(), ..FetchResponse::default() }
}

pub fn response(config: &QuorumConfig, version: i16, start_offset: i64, fetched: Fetched) -> FetchResponse {
    let Fetched { answer, high_watermark, validity, records } = fetched;
    let mut partition = PartitionData {
        partition_index: 0,
        error_code: answer.error.code(),
        high_watermark,
        log_start_offset: start_offset,
        current_leader: LeaderIdAndEpoch {
            leader_id: answer.leader.leader_id,
            leader_epoch: answer.leader.epoch,
        },
        aborted_transactions: None,
        records: Records::Bytes(records),
        ..PartitionData::default()
    };
    match validity {
        Validity::Valid => {}
        Validity::Diverging { epoch, end_offset } => {
            partition.diverging_epoch = EpochEndOffset { epoch, end_offset };
        }
        Validity::Snapshot(id) => {
            partition.snapshot_id = SnapshotAnswer { end_offset: id.end_offset, epoch: id.epoch };
        }
    }
    let topic = FetchableTopicResponse {
        topic: config.topic.clone(),
        topic_id: config.topic_id,
        partitions: vec![partition],
    };
    let node = answer.leader.node(&config.listener).filter(|_| version >= 16);
    let node =
        node.map(|(node_id, host, port)| NodeEndpoint { node_id, host, port: i32::from(port), rack: None });
    FetchResponse {
        responses: vec![topic],
        node_endpoints: node.into_iter().collect(),
        ..FetchResponse::default()
    }
}

/// The error is one of the whole answer.
pub fn read_response(config: &QuorumConfig, response: &FetchResponse) -> Result<Fetched, ErrorCode> {
    if response.error_code != 0 {
        return Err(error_of(response.error_code));
    }
    let topic = single(&response.responses).ok_or(ErrorCode::InvalidRequest)?;
    let partition = single(&topic.partitions).ok_or(ErrorCode::InvalidRequest)?;
    let current = &partition.current_leader;
    let node = response.node_endpoints.iter().find(|node| node.node_id == current.leader_id);
    let address = node.and_then(|node| Some((node.host.detached(), u16::try_from(node.port).ok()?)));
    let leader = LeaderView::read(current.leader_id, current.leader_epoch, &config.listener, address);
    let (diverging, snapshot) = (&partition.diverging_epoch, &partition.snapshot_id);
    let validity = if diverging.epoch >= 0 {
        Validity::Diverging { epoch: diverging.epoch, end_offset: diverging.end_offset }
    } else if snapshot.epoch >= 0 || snapshot.end_offset >= 0 {
        Validity::Snapshot(SnapshotId { end_offset: snapshot.end_offset, epoch: snapshot.epoch })
    } else {
        Validity::Valid
    };
    Ok(Fetched {
        answer: Answer::new(partition.error_code, leader),
        high_watermark: partition.high_watermark,
        validity,
        records: partition.records.bytes().cloned().unwrap_or_default(),
    })
}
