//! The data path between connections and shards: partitions of a request, and what a shard says of them.

use bytes::Bytes;
use ottla_protocol::{ErrorCode, Str};

use crate::ids::{LogDirId, TopicIdPartition};
use crate::log::LogStore;
use crate::record::EndTxnMarker;

/// Partitions of one request that one shard owns.
#[derive(Clone, Debug)]
pub enum DataRequest {
    /// Append a batch to each partition; with acks=all the answer waits for the in-sync replicas, at most `timeout_ms`. A broker that leaves
    /// may pass on what others lead.
    Produce { version: i16, acks: i16, timeout_ms: i32, may_pass_on: bool, parts: Vec<ProducePart> },
    /// Say what is readable now, and again whenever that grows, until `Unwatch` or `Read`. Of a follower it says what that has.
    Watch { parts: Vec<WatchPart>, reader: Reader },
    /// Stop watching.
    Unwatch,
    /// Read up to `max_bytes` over all parts, in order; ends the watch.
    Read { parts: Vec<WatchPart>, reader: Reader, max_bytes: u64, first_batch_whole: bool },
    /// Look up offsets by timestamp.
    ListOffsets { parts: Vec<ListOffsetsPart>, isolation: Isolation },
    /// Where an epoch ended.
    OffsetForLeaderEpoch { parts: Vec<EpochPart> },
    /// Move the log start offset up; the answer waits until all replicas have, at most `timeout_ms`.
    DeleteRecords { timeout_ms: i32, parts: Vec<DeleteRecordsPart> },
    /// End a transaction in each partition.
    WriteTxnMarkers { parts: Vec<MarkerPart> },
    /// The idempotent producers that a partition knows.
    DescribeProducers { parts: Vec<Part> },
    /// The size and lag of every log of this shard.
    DescribeLogs,
}

impl DataRequest {
    /// The partitions that it names.
    pub fn partitions(&self) -> Vec<TopicIdPartition> {
        match self {
            Self::Produce { parts, .. } => parts.iter().map(|part| part.partition).collect(),
            Self::Watch { parts, .. } | Self::Read { parts, .. } => {
                parts.iter().map(|part| part.partition).collect()
            }
            Self::ListOffsets { parts, .. } => parts.iter().map(|part| part.partition).collect(),
            Self::OffsetForLeaderEpoch { parts } => parts.iter().map(|part| part.partition).collect(),
            Self::DeleteRecords { parts, .. } => parts.iter().map(|part| part.partition).collect(),
            Self::WriteTxnMarkers { parts } => parts.iter().map(|part| part.partition).collect(),
            Self::DescribeProducers { parts } => parts.iter().map(|part| part.partition).collect(),
            Self::Unwatch | Self::DescribeLogs => Vec::new(),
        }
    }
}

/// What a shard answers; part by part, in the order asked.
#[derive(Clone, Debug)]
pub enum DataResponse<S: LogStore> {
    /// To `Produce`.
    Produced(Vec<(usize, Result<Produced, ProduceError>)>),
    /// To `Watch`, first of all parts, then of those that changed.
    Watched(Vec<(usize, Result<Readable, ErrorCode>)>),
    /// To `Read`.
    Read(Vec<(usize, Result<Fetched<S>, ErrorCode>)>),
    /// To `ListOffsets`.
    Offsets(Vec<(usize, Result<ListedOffset, ErrorCode>)>),
    /// To `OffsetForLeaderEpoch`: (epoch, its end offset).
    EpochEnds(Vec<(usize, Result<(i32, i64), ErrorCode>)>),
    /// To `DeleteRecords`: the low watermark.
    Deleted(Vec<(usize, Result<i64, ErrorCode>)>),
    /// To `WriteTxnMarkers`.
    Marked(Vec<(usize, Result<(), ErrorCode>)>),
    /// To `DescribeProducers`.
    Producers(Vec<(usize, Result<Vec<ActiveProducer>, ErrorCode>)>),
    /// To `DescribeLogs`.
    Logs(DescribedLogs),
}

/// The read rules of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset.
    ReadCommitted,
    /// Up to the end of the log: replicas.
    LogEnd,
}

/// Who fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Which bound counts.
    pub isolation: Isolation,
    /// A replica on another broker.
    pub replica: Option<Replica>,
    /// Followers do not serve it: a replica, or a consumer from before KIP-392.
    pub leader_only: bool,
    /// Where a consumer is that had better be sent to a replica nearby, if the broker does that.
    pub place: Option<Place>,
}

/// A replica that fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its broker.
    pub broker: i32,
    /// The epoch of its broker, −1 when it does not say.
    pub broker_epoch: i64,
}

/// Where a consumer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `client.rack`
    pub rack: Str,
    /// The listener that it came by.
    pub listener: Str,
}

/// A partition that a request names; `index` is its place in the request.
#[derive(Clone, Debug)]
pub struct Part {
    /// Place in the request.
    pub index: usize,
    /// Which partition.
    pub partition: TopicIdPartition,
}

/// One partition of a Produce request.
#[derive(Clone, Debug)]
pub struct ProducePart {
    /// Place in the request.
    pub index: usize,
    /// Which partition.
    pub partition: TopicIdPartition,
    /// The batch as the client sent it.
    pub records: Bytes,
}

/// Where a produced batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Offset of its first record.
    pub base_offset: i64,
    /// ms, or −1 when the topic keeps the producer's time.
    pub log_append_time: i64,
    /// The partition's log start offset.
    pub log_start_offset: i64,
}

/// Why a batch was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceError {
    /// Kafka's code.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: Option<Str>,
    /// (index in the batch, sentence) of each offending record.
    pub records: Vec<(i32, Option<Str>)>,
    /// The log start offset where the answer carries it.
    pub log_start_offset: i64,
    /// Where the batch went all the same: only its replication failed, or took too long.
    pub appended: Option<Produced>,
}

/// One partition of a Fetch, as far as waiting is concerned.
#[derive(Clone, Debug)]
pub struct WatchPart {
    /// Place in the request.
    pub index: usize,
    /// Which partition.
    pub partition: TopicIdPartition,
    /// First offset wanted.
    pub fetch_offset: i64,
    /// What the client believes; −1 when it does not say.
    pub current_leader_epoch: i32,
    /// Epoch of the last record the client has; −1 when it does not say.
    pub last_fetched_epoch: i32,
    /// The first offset that a replica has; −1 of others.
    pub log_start_offset: i64,
    /// Bytes wanted at most; Kafka fails on a number below zero, where there is something to read.
    pub max_bytes: i64,
}

/// What could be read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readable {
    /// Bytes from the fetch offset to the bound of the isolation level.
    pub bytes: u64,
    /// Answer at once, whatever the bytes: the log diverged, or an older segment is to be read.
    pub at_once: bool,
    /// Where the partition stands.
    pub bounds: Bounds,
}

/// Where a partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First offset kept.
    pub log_start_offset: i64,
    /// First offset that a consumer may not read.
    pub high_watermark: i64,
    /// First offset that a `read_committed` consumer may not read.
    pub last_stable_offset: i64,
}

/// What was read of one partition.
#[derive(Clone, Debug)]
pub struct Fetched<S: LogStore> {
    /// Where the partition stands.
    pub bounds: Bounds,
    /// The bytes, in order; whole batches.
    pub records: Option<(S::Slice, u32)>,
    /// (producer id, first offset) of each aborted transaction in range.
    pub aborted: Option<Vec<(i64, i64)>>,
    /// (epoch, end offset) where the client's log diverges from ours.
    pub diverging: Option<(i32, i64)>,
    /// The replica that the consumer had better read from.
    pub preferred_read_replica: Option<i32>,
}

impl<S: LogStore> Fetched<S> {
    /// No records.
    pub fn nothing(bounds: Bounds) -> Self {
        Self { bounds, records: None, aborted: None, diverging: None, preferred_read_replica: None }
    }
}

/// One partition of a ListOffsets.
#[derive(Clone, Debug)]
pub struct ListOffsetsPart {
    /// Place in the request.
    pub index: usize,
    /// Which partition.
    pub partition: TopicIdPartition,
    /// What the client believes; −1 when it does not say.
    pub current_leader_epoch: i32,
    /// ms, or one of Kafka's negative names.
    pub timestamp: i64,
}

/// An offset found by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// −1 when there is none.
    pub offset: i64,
    /// ms, −1 when the request named no time.
    pub timestamp: i64,
    /// −1 when unknown.
    pub leader_epoch: i32,
}

/// One partition of an OffsetForLeaderEpoch.
#[derive(Clone, Debug)]
pub struct EpochPart {
    /// Place in the request.
    pub index: usize,
    /// Which partition.
    pub partition: TopicIdPartition,
    /// What the client believes; −1 when it does not say.
    pub current_leader_epoch: i32,
    /// The epoch whose end is asked for.
    pub leader_epoch: i32,
}

/// One partition of a DeleteRecords.
#[derive(Clone, Debug)]
pub struct DeleteRecordsPart {
    /// Place in the request.
    pub index: usize,
    /// Which partition.
    pub partition: TopicIdPartition,
    /// Delete below this; −1 for the high watermark.
    pub offset: i64,
}

/// One partition of a marker in a WriteTxnMarkers.
#[derive(Clone, Copy, Debug)]
pub struct MarkerPart {
    /// Place in the request.
    pub index: usize,
    /// Which partition.
    pub partition: TopicIdPartition,
    /// What is to be written.
    pub end: TxnEnd,
}

/// The end of a producer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnEnd {
    /// Whose.
    pub producer_id: i64,
    /// The epoch that ends it.
    pub producer_epoch: i16,
    /// Commit or abort, and by which coordinator.
    pub marker: EndTxnMarker,
    /// `transaction.version` of the transaction: 2 and more end it with an epoch of its own (KIP-890).
    pub transaction_version: i8,
}

/// A producer that a partition knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Last sequence number, −1 without one.
    pub last_sequence: i32,
    /// ms of its last append.
    pub last_timestamp: i64,
    /// −1 outside transactions.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction, −1 without one.
    pub current_txn_start_offset: i64,
}

/// What a shard says of the log directories.
#[derive(Clone, Debug, Default)]
pub struct DescribedLogs {
    /// Its logs.
    pub logs: Vec<DescribedLog>,
    /// The directories that are offline.
    pub offline: Vec<LogDirId>,
}

/// One log, for DescribeLogDirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedLog {
    /// Which.
    pub partition: TopicIdPartition,
    /// The directory that holds it.
    pub log_dir: LogDirId,
    /// Bytes on disk.
    pub size: u64,
}

impl ProduceError {
    /// A refusal without details.
    pub fn of(code: ErrorCode) -> Self {
        Self { code, message: None, records: Vec::new(), log_start_offset: -1, appended: None }
    }
}
