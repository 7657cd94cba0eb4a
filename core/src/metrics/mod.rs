//! What a node measures: machines count as they go, and [`exposition`] writes it down the way Prometheus reads it.
//!
//! Counters only grow while a node runs. A machine that is asked (`ShardEvent::Measure`) answers with an effect, so that nothing is shared.

mod exposition;
mod requests;

use std::collections::BTreeMap;

use ottla_protocol::Str;

pub use exposition::{CONTENT_TYPE, Facts, exposition};
pub use requests::{Answered, RequestMeters};

use crate::ids::{LogDirId, ShardId, TopicPartition};

/// What was done with a replica's records since it was opened; Kafka's `BrokerTopicMetrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meters {
    /// Records that clients and coordinators wrote.
    pub messages_in: u64,
    /// Their bytes, in batches.
    pub bytes_in: u64,
    /// Bytes that consumers read.
    pub bytes_out: u64,
    /// Bytes that were copied from a leader.
    pub replication_bytes_in: u64,
    /// Bytes that followers read.
    pub replication_bytes_out: u64,
    /// Batches that clients asked to have appended.
    pub produce_requests: u64,
    /// Those that were refused.
    pub failed_produce_requests: u64,
    /// Reads of consumers.
    pub fetch_requests: u64,
    /// Those that were refused.
    pub failed_fetch_requests: u64,
}

/// One replica as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredReplica {
    /// Which.
    pub partition: TopicPartition,
    /// Where.
    pub log_dir: LogDirId,
    /// Bytes in its segments.
    pub size: u64,
    /// How many segments it has.
    pub segments: usize,
    /// The first offset.
    pub start_offset: i64,
    /// The offset after the last.
    pub end_offset: i64,
    /// It leads.
    pub is_leader: bool,
    /// It leads, and not all replicas are in sync.
    pub is_under_replicated: bool,
    /// It leads, and fewer replicas are in sync than `min.insync.replicas`.
    pub is_under_min_isr: bool,
    /// It leads, and would be under that with one fewer.
    pub is_at_min_isr: bool,
    /// It does not serve: its storage failed.
    pub has_failed: bool,
}

/// What a shard says when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Who says it.
    pub shard: ShardId,
    /// By topic.
    pub topics: BTreeMap<Str, Meters>,
    /// Of all topics, with what was done with replicas that are not here any more.
    pub total: Meters,
    /// The replicas that are open.
    pub replicas: Vec<MeasuredReplica>,
    /// Replicas that wait to be opened.
    pub waiting: usize,
    /// Groups that it coordinates.
    pub groups: usize,
    /// Fetches that wait for records.
    pub delayed_fetches: usize,
    /// Acknowledgements that wait for replicas or the disk.
    pub delayed_produces: usize,
    /// Log directories of the node that are offline.
    pub offline_log_dirs: usize,
}

impl Meters {
    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.messages_in, other.messages_in),
            (&mut self.bytes_in, other.bytes_in),
            (&mut self.bytes_out, other.bytes_out),
            (&mut self.replication_bytes_in, other.replication_bytes_in),
            (&mut self.replication_bytes_out, other.replication_bytes_out),
            (&mut self.produce_requests, other.produce_requests),
            (&mut self.failed_produce_requests, other.failed_produce_requests),
            (&mut self.fetch_requests, other.fetch_requests),
            (&mut self.failed_fetch_requests, other.failed_fetch_requests),
        ] {
            *own = own.saturating_add(other);
        }
    }
}

/// One more of something.
pub(crate) fn count(meter: &mut u64, by: u64) {
    *meter = meter.saturating_add(by);
}
