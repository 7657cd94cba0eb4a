//! Everything that can be watched, declared once.
//!
//! Machines emit [`TraceEvent`]s in the past tense; the server logs the faults among them and sends all of them to
//! whoever watches. A sink that nobody listens to costs one branch.

use ottla_protocol::{ApiKey, Str};
use serde::{Deserialize, Serialize};

use crate::ids::{ConnectionId, TopicPartition};
use crate::sim::mutation::Planted;

/// What happened, to whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TraceEvent {
    /// A request was read whole.
    RequestReceived { connection: ConnectionId, api: ApiKey, version: i16, bytes: usize },
    /// Its response was handed to the network.
    ResponseSent { connection: ConnectionId, api: ApiKey, bytes: usize },
    /// A connection was closed by this side.
    ConnectionClosed { connection: ConnectionId, reason: String },
    /// A replica is here and stands like this: it was opened, leads in a new epoch, or was asked for.
    PartitionServed {
        partition: TopicPartition,
        leader_epoch: i32,
        log_start_offset: i64,
        last_stable_offset: i64,
        high_watermark: i64,
        log_end_offset: i64,
    },
    /// A replica left with its topic.
    PartitionRemoved { partition: TopicPartition },
    /// Records entered a log.
    RecordsAppended { partition: TopicPartition, base_offset: i64, last_offset: i64, bytes: usize },
    /// Records became visible to consumers.
    HighWatermarkAdvanced { partition: TopicPartition, high_watermark: i64 },
    /// The oldest offset moved up.
    LogStartOffsetAdvanced { partition: TopicPartition, log_start_offset: i64 },
    /// A segment was begun.
    SegmentRolled { partition: TopicPartition, base_offset: i64 },
    /// A log was compacted: segments of so many bytes became others of so many, and of their records so many stayed.
    LogCleaned {
        partition: TopicPartition,
        first_dirty_offset: i64,
        next_dirty_offset: i64,
        bytes_before: u64,
        bytes_after: u64,
        records_before: u64,
        records_after: u64,
    },
    /// A log could not be compacted, and is left as it is until the node starts again.
    PartitionUncleanable { partition: TopicPartition, reason: String },
    /// A log was opened after an unclean stop, and this was cut from it.
    LogRecovered { partition: TopicPartition, log_end_offset: i64, truncated_bytes: u64, reason: String },
    /// A directory held a replica that the metadata does not know, and was renamed.
    ReplicaSetAside { partition: TopicPartition, path: String },
    /// A log directory has no room, and its partitions answer reads only; or it has room again.
    DiskFull { path: String, is_full: bool },
    /// A log directory or partition stopped serving.
    StorageFailed { path: String, reason: String },
    /// A classic or consumer group changed state.
    GroupChanged { group: Str, state: Str, generation_id: i32, members: usize },
    /// Offsets were committed.
    OffsetCommitted { group: Str, partition: TopicPartition, offset: i64 },
    /// Metadata was published up to this offset.
    MetadataPublished { offset: i64 },
}

/// The sink that a driver lends. Faults are always kept; the rest only while somebody listens.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    listening: bool,
    events: Vec<TraceEvent>,
    planted: Planted,
}

impl Traces {
    /// A sink that keeps everything.
    pub fn listening() -> Self {
        Self { listening: true, ..Self::default() }
    }

    /// Keeps everything from now on, or only faults.
    pub fn listen(&mut self, listening: bool) {
        self.listening = listening;
    }

    /// The same sink for a node with a planted bug.
    #[must_use]
    pub fn with(self, planted: Planted) -> Self {
        Self { planted, ..self }
    }

    /// The bug that is planted in this node: none, outside of simulations that look for it.
    pub fn planted(&self) -> Planted {
        self.planted
    }

    /// Records an event, built only when somebody listens.
    pub fn emit(&mut self, event: impl FnOnce() -> TraceEvent) {
        if self.listening {
            self.events.push(event());
        }
    }

    /// Records what an operator has to hear of, listening or not.
    pub fn fault(&mut self, event: TraceEvent) {
        self.events.push(event);
    }

    /// What was recorded since the last call.
    pub fn take(&mut self) -> Vec<TraceEvent> {
        std::mem::take(&mut self.events)
    }
}
