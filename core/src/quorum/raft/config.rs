//! What a replica is told about itself, its log and the others.

use ottla_protocol::{Str, Uuid};

use crate::log::LogConfig;
use crate::quorum::control::{Endpoints, Voter};

/// What a replica acts on.
#[derive(Clone, Debug)]
pub struct QuorumConfig {
    /// `node.id`.
    pub node_id: i32,
    /// Of the directory that the log is in.
    pub directory_id: Uuid,
    /// Of the cluster.
    pub cluster_id: Str,
    /// The topic that the log counts as; it has one partition.
    pub topic: Str,
    /// Its id.
    pub topic_id: Uuid,
    /// The directory of the log's files; `quorum-state` and the snapshots are there too.
    pub dir: String,
    /// What the log acts on.
    pub log: LogConfig,
    /// The listener by which replicas reach each other: the first of `controller.listener.names`.
    pub listener: Str,
    /// This node's listeners for other replicas; none for one that cannot vote.
    pub endpoints: Endpoints,
    /// `controller.quorum.voters`.
    pub static_voters: Vec<Voter>,
    /// `controller.quorum.bootstrap.servers`: whom to ask who leads. Without any, the voters.
    pub bootstrap_servers: Vec<(Str, u16)>,
    /// `controller.quorum.auto.join.enable`, of a node that can vote.
    pub auto_join: bool,
    /// `ottla.broker.fast.fencing.enable`: a leader that refuses connections is given up before its time.
    pub fast_election: bool,
    /// `controller.quorum.election.timeout.ms`
    pub election_timeout_ms: i64,
    /// `controller.quorum.fetch.timeout.ms`
    pub fetch_timeout_ms: i64,
    /// `controller.quorum.election.backoff.max.ms`
    pub election_backoff_max_ms: i64,
    /// `controller.quorum.request.timeout.ms`
    pub request_timeout_ms: i64,
    /// `controller.quorum.retry.backoff.ms`
    pub retry_backoff_ms: i64,
    /// `controller.quorum.fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `controller.quorum.fetch.snapshot.max.bytes`
    pub fetch_snapshot_max_bytes: i32,
}
