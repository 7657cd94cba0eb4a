//! A partition: its log, its leadership, and what clients are told of it.

mod cleaning;
mod follower;
mod leader;
mod opening;
mod produce;
mod read;
mod replication;

pub use cleaning::NotCleaned;
pub use follower::{Followed, LeaderData};
pub use leader::{Follower, FollowerFetch, Leadership, ProposalContext};
pub use opening::{Opening, dir, rename_for_deletion};

use std::sync::Arc;

use ottla_protocol::ErrorCode;

use crate::broker::data::{ActiveProducer, Bounds};
use crate::config::{BrokerConfig, TopicConfig};
use crate::coordinator::ReplayAt;
use crate::ids::{LogDirId, TopicIdPartition, TopicPartition};
use crate::log::log_dirs::{self, LogDirState, PartitionOffsets};
use crate::log::producer_state::Marker;
use crate::log::{FetchIsolation, FlushPlan, Log, LogConfig, LogError, LogStore, ReadHint, StoreError};
use crate::machine::{Cx, SyncTarget};
use crate::metrics::{MeasuredReplica, Meters};
use crate::record::{BatchRules, Compression, CompressionType, TimestampType};
use crate::sim::mutation::{Mutation, Planted};
use crate::time::Instant;
use crate::trace::TraceEvent;

/// What a log says, one record at a time.
#[derive(Clone, Copy, Debug)]
pub enum LogRecord<'a> {
    /// A record of a client or coordinator.
    Data { key: Option<&'a [u8]>, value: Option<&'a [u8]> },
    /// The transaction of this producer ended.
    EndTxn { is_commit: bool },
}

/// A replica on this node.
#[derive(Clone, Debug)]
pub struct Partition<S: LogStore> {
    id: TopicIdPartition,
    name: TopicPartition,
    log_dir: LogDirId,
    log: Log<S>,
    config: Arc<TopicConfig>,
    rules: BatchRules,
    leader_epoch: i32,
    /// Counts the changes that the controller made.
    partition_epoch: i32,
    role: Role,
    /// Records may be missing from here on: it has them from its leader, if it finds one.
    doubtful_from: Option<i64>,
    /// Where the last sequential reader stands.
    hint: Option<ReadHint>,
    /// Nothing is committed before it is durable (`ottla.log.sync=batch`).
    syncs_first: bool,
    /// Its directory takes writes.
    has_room: bool,
    /// Why it does not serve, when it does not.
    failure: Option<String>,
    meters: Meters,
}

/// What a replica does.
#[derive(Clone, Debug)]
enum Role {
    /// Nobody has said.
    Idle,
    /// It leads, and there is no other replica: what it has is committed.
    Sole,
    /// It leads others.
    Leader(Box<Leadership>),
    /// It follows, or waits for somebody to lead.
    Follower,
}

impl<S: LogStore> Partition<S> {
    /// Its topic's id and its index.
    pub fn id(&self) -> TopicIdPartition {
        self.id
    }

    /// Its topic's name and its index.
    pub fn name(&self) -> &TopicPartition {
        &self.name
    }

    /// The directory that holds it.
    pub fn log_dir(&self) -> LogDirId {
        self.log_dir
    }

    /// Bytes on disk.
    pub fn size(&self) -> u64 {
        self.log.size()
    }

    /// The log itself, for views and checkers.
    pub fn log(&self) -> &Log<S> {
        &self.log
    }

    /// Its leader epoch.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// Of the metadata that it acts upon.
    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    /// The first offset kept.
    pub fn log_start_offset(&self) -> i64 {
        self.log.log_start_offset()
    }

    /// The first offset that consumers may not read.
    pub fn high_watermark(&self) -> i64 {
        self.log.high_watermark()
    }

    /// How long its files outlive it, in ms.
    pub fn file_delete_delay_ms(&self) -> i64 {
        self.config.file_delete_delay_ms
    }

    /// For the checkpoint files.
    pub fn offsets(&self) -> PartitionOffsets {
        PartitionOffsets {
            partition: self.name.clone(),
            log_dir: self.log_dir,
            recovery_point: self.log.recovery_point(),
            high_watermark: self.log.high_watermark(),
            log_start_offset: self.log.log_start_offset(),
            cleaned_up_to: self.log.cleaned_up_to(),
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            log_start_offset: self.log.log_start_offset(),
            high_watermark: self.log.high_watermark(),
            last_stable_offset: self.log.last_stable_offset(),
        }
    }

    /// Tells those who watch where it stands.
    pub fn trace(&self, cx: &mut Cx<'_, S>) {
        cx.traces.emit(|| TraceEvent::PartitionServed {
            partition: self.name.clone(),
            leader_epoch: self.leader_epoch,
            log_start_offset: self.log.log_start_offset(),
            last_stable_offset: self.log.last_stable_offset(),
            high_watermark: self.log.high_watermark(),
            log_end_offset: self.log.log_end_offset(),
        });
    }

    /// How it stands.
    pub fn measure(&self) -> MeasuredReplica {
        let (is_leader, leadership) = (self.is_leader(), self.leadership());
        let is_at_min_isr = |it: &Leadership| it.is_at_min_isr(self.config.min_insync_replicas);
        MeasuredReplica {
            partition: self.name.clone(),
            log_dir: self.log_dir,
            size: self.log.size(),
            segments: self.log.segments().len(),
            start_offset: self.log.log_start_offset(),
            end_offset: self.log.log_end_offset(),
            is_leader,
            is_under_replicated: leadership.is_some_and(|it| it.isr().len() <= it.followers().len()),
            is_under_min_isr: self.has_too_few_in_sync(),
            is_at_min_isr: is_leader && leadership.is_none_or(is_at_min_isr),
            has_failed: self.failure.is_some(),
        }
    }

    /// What was done with its records since it was opened.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Acts on another configuration from now on.
    pub fn reconfigure(&mut self, broker: &BrokerConfig, config: Arc<TopicConfig>) {
        self.log.set_config(log_config(broker, &config, self.log.config().planted));
        self.rules = rules(&config);
        self.config = config;
    }

    /// Storage failed, or the log cannot be understood: it answers `KAFKA_STORAGE_ERROR` from now on.
    pub fn fail(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
    }

    /// Why it does not serve, when it does not.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// What its directory can take has changed.
    pub fn log_dir_changed(&mut self, state: LogDirState) {
        self.has_room = state == LogDirState::Online;
        if state == LogDirState::Offline {
            self.fail("its directory is offline".to_owned());
        }
    }

    /// A log operation failed. A full disk is waited for, a broken one takes the directory along.
    fn failed(&mut self, cx: &mut Cx<'_, S>, error: &LogError) {
        if let LogError::Store(error) = error {
            log_dirs::refused(cx, self.log_dir, error);
        }
        match error {
            LogError::Store(StoreError::NoSpace) => self.has_room = false,
            error => self.fail(error.to_string()),
        }
    }

    fn serving(&self) -> Result<(), ErrorCode> {
        if self.failure.is_some() { Err(ErrorCode::KafkaStorageError) } else { Ok(()) }
    }

    fn writable(&self) -> Result<(), ErrorCode> {
        if self.has_room { self.serving() } else { Err(ErrorCode::KafkaStorageError) }
    }

    /// Compares what a client believes with the leader epoch (KIP-320); −1 believes nothing.
    fn check_epoch(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        match current_leader_epoch {
            -1 => Ok(()),
            epoch if epoch < self.leader_epoch => Err(ErrorCode::FencedLeaderEpoch),
            epoch if epoch > self.leader_epoch => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// A failed log operation: what clients are told, and whether the partition goes on.
    fn log_error(&mut self, cx: &mut Cx<'_, S>, error: &LogError) -> ErrorCode {
        match error {
            LogError::Store(_) | LogError::HalfDone(_) | LogError::Corrupt { .. } => {
                self.failed(cx, error);
                ErrorCode::KafkaStorageError
            }
            LogError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            LogError::InvalidRecords(_) => ErrorCode::CorruptMessage,
            LogError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            LogError::UnexpectedOffset { .. } => ErrorCode::UnknownServerError,
            LogError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            LogError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            LogError::TransactionCoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
            LogError::InvalidTxnState { .. } => ErrorCode::InvalidTxnState,
        }
    }

    /// Deletes what lies below `offset` (−1: below the high watermark); answers the log start offset.
    pub fn delete_records(&mut self, cx: &mut Cx<'_, S>, offset: i64) -> Result<i64, ErrorCode> {
        self.leading()?;
        if !self.config.cleanup_policy.delete {
            return Err(ErrorCode::PolicyViolation);
        }
        let offset = if offset == -1 { self.log.high_watermark() } else { offset };
        if offset < 0 {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let moved = self.log.increment_log_start_offset(cx.store, offset);
        match moved {
            Ok(true) => self.log_start_moved(cx),
            Ok(false) => {}
            Err(error) => return Err(self.log_error(cx, &error)),
        }
        Ok(self.log.log_start_offset())
    }

    fn log_start_moved(&self, cx: &mut Cx<'_, S>) {
        let (partition, log_start_offset) = (&self.name, self.log.log_start_offset());
        cx.traces
            .emit(|| TraceEvent::LogStartOffsetAdvanced { partition: partition.clone(), log_start_offset });
    }

    /// Deletes segments that retention no longer covers, forgets producers that were silent for long. A compacted log's segments are the
    /// cleaner's to delete, which works on them.
    pub fn retain(&mut self, cx: &mut Cx<'_, S>) {
        if self.failure.is_some() {
            return;
        }
        self.log.remove_expired_producers(cx.now.wall);
        if !self.is_compacted() {
            self.delete_old_segments(cx);
        }
    }

    fn delete_old_segments(&mut self, cx: &mut Cx<'_, S>) {
        match self.log.delete_old_segments(cx.store, cx.now) {
            Ok(0) => {}
            Ok(_) => self.log_start_moved(cx),
            Err(error) => self.failed(cx, &error),
        }
    }

    /// The idempotent producers whose sequences are remembered.
    pub fn producers(&self) -> Vec<ActiveProducer> {
        let active =
            |(producer_id, entry): (i64, &crate::log::producer_state::ProducerEntry)| ActiveProducer {
                producer_id,
                producer_epoch: entry.producer_epoch,
                last_sequence: entry.last_sequence(),
                last_timestamp: entry.last_timestamp,
                coordinator_epoch: entry.coordinator_epoch,
                current_txn_start_offset: entry.current_txn_first_offset.unwrap_or(-1),
            };
        self.log.producers().producers().map(active).collect()
    }

    /// When [`Partition::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = self.log.deadline().into_iter().chain(self.log.flush_deadline());
        deadlines.min().filter(|_| self.failure.is_none())
    }

    /// Removes files whose time has come.
    pub fn tick(&mut self, cx: &mut Cx<'_, S>) {
        if let Err(error) = self.log.tick(cx.store, cx.now) {
            self.failed(cx, &error);
        }
    }

    /// What has to be synced now, with the offset and generation to report in [`Partition::synced`].
    pub fn to_sync(&mut self, cx: &mut Cx<'_, S>) -> Option<(Vec<SyncTarget<S>>, (i64, u32))> {
        let scope = self.log.flush_due(cx.now.monotonic).filter(|_| self.failure.is_none())?;
        let plan = self.log.plan_flush(cx.store, cx.now, scope);
        self.planned(cx, plan)
    }

    fn planned(
        &mut self,
        cx: &mut Cx<'_, S>,
        plan: Result<FlushPlan<S::File>, LogError>,
    ) -> Option<(Vec<SyncTarget<S>>, (i64, u32))> {
        match plan {
            Ok(plan) if plan.is_empty() => None,
            Ok(mut plan) => {
                if self.log.config().planted.is(Mutation::DirectoryNotSynced) {
                    plan.directories.clear();
                }
                if self.log.config().planted.is(Mutation::SegmentsNotSynced) {
                    plan.files.clear();
                }
                let reached = (plan.up_to, plan.generation());
                if self.log.config().planted.is(Mutation::RecoveryPointTooEarly) {
                    self.log.flushed_up_to(self.log.log_end_offset(), plan.generation());
                }
                let files = plan.files.into_iter().map(SyncTarget::File);
                Some((
                    files.chain(plan.directories.into_iter().map(SyncTarget::Directory)).collect(),
                    reached,
                ))
            }
            Err(error) => {
                self.failed(cx, &error);
                None
            }
        }
    }

    /// A sync ended well. True if more is committed than before.
    pub fn synced(&mut self, cx: &mut Cx<'_, S>, (up_to, generation): (i64, u32)) -> bool {
        if self.failure.is_some() {
            // After a sync that failed, one that succeeds proves nothing: the pages may be gone from the cache.
            return false;
        }
        self.log.flushed_up_to(up_to, generation);
        if let Err(error) = self.log.settle(cx.store) {
            self.failed(cx, &error);
        }
        self.commit(cx)
    }

    /// What an acknowledgement of everything appended waits for: `None` if it need not wait.
    pub fn unsynced(&self) -> Option<i64> {
        let end = self.log.log_end_offset();
        (self.syncs_first && self.log.recovery_point() < end).then_some(end)
    }

    /// What an acknowledgement by all in-sync replicas waits for: `None` if it need not wait.
    pub fn uncommitted(&self) -> Option<i64> {
        let end = self.log.log_end_offset();
        if self.log.config().planted.is(Mutation::AcknowledgedTooEarly) {
            return None;
        }
        (self.log.high_watermark() < end).then_some(end)
    }

    /// Everything below is durable.
    pub fn recovery_point(&self) -> i64 {
        self.log.recovery_point()
    }

    /// A sync failed: what it was to make durable may be gone from the page cache, so nothing is tried again.
    pub fn sync_failed(&mut self, cx: &mut Cx<'_, S>, reason: &str) {
        self.failed(cx, &LogError::Store(StoreError::Io(reason.to_owned())));
    }

    /// It has been idle for a while: what was written is to be synced.
    pub fn rest(&mut self, cx: &mut Cx<'_, S>) -> Option<(Vec<SyncTarget<S>>, (i64, u32))> {
        if self.failure.is_some() || !self.has_room || !self.is_unflushed() {
            return None;
        }
        let plan = self.log.rest(cx.store, cx.now);
        self.planned(cx, plan)
    }

    /// A power loss may take records of it.
    pub fn is_unflushed(&self) -> bool {
        self.log.unflushed_messages() > 0
    }

    /// Before a clean stop: what memory holds back goes to the files, which are then to be synced.
    pub fn close(&mut self, cx: &mut Cx<'_, S>) -> Option<(Vec<SyncTarget<S>>, (i64, u32))> {
        if self.failure.is_some() {
            return None;
        }
        let plan = self.log.close(cx.store, cx.now);
        if let Err(error) = &plan {
            self.fail(error.to_string());
        }
        self.planned(cx, plan)
    }

    /// Replays records from `from` up to `end`, whole batches, at least one, about `bytes_max` in all; answers where to go on.
    pub fn for_each_record(
        &mut self,
        cx: &mut Cx<'_, S>,
        from: i64,
        end: i64,
        bytes_max: u64,
        mut each: impl FnMut(ReplayAt, LogRecord<'_>) -> Result<(), String>,
    ) -> Result<i64, String> {
        if from >= end {
            return Ok(end);
        }
        let read = self.log.read(cx.store, from, bytes_max, FetchIsolation::LogEnd, true, None);
        let read = read.map_err(|error| error.to_string())?;
        let Some(slice) = read.records else { return Ok(end) };
        let bytes = cx.store.read_slice(&slice).map_err(|error| error.to_string())?;
        let mut next = from;
        for batch in crate::record::batches(&bytes) {
            let batch = batch.map_err(|error| error.to_string())?;
            let header = *batch.header();
            next = header.next_offset();
            // A producer's records count when its transaction commits; without one they count at once.
            let (producer_id, producer_epoch) = if header.is_transactional() {
                (header.producer_id, header.producer_epoch)
            } else {
                (-1, -1)
            };
            if header.is_control() {
                if let Some(Marker { marker, timestamp }) = Marker::read(&header, batch.view().body()) {
                    let at = ReplayAt { offset: header.base_offset, timestamp, producer_id, producer_epoch };
                    each(at, LogRecord::EndTxn { is_commit: marker.is_commit })?;
                }
                continue;
            }
            for record in batch.records(cx.compressors).map_err(|error| error.to_string())? {
                let record = record.map_err(|error| error.to_string())?;
                if record.offset < from {
                    continue;
                }
                let at = ReplayAt {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    producer_id,
                    producer_epoch,
                };
                each(at, LogRecord::Data { key: record.key.as_deref(), value: record.value.as_deref() })?;
            }
        }
        Ok(next)
    }
}

/// A log's share of the configuration.
fn log_config(broker: &BrokerConfig, config: &TopicConfig, planted: Planted) -> LogConfig {
    let bytes = |value: i32| u64::try_from(value).unwrap_or(0);
    LogConfig {
        segment_bytes: bytes(config.segment_bytes),
        segment_ms: config.segment_ms_max(),
        segment_jitter_ms: config.segment_jitter_ms,
        segment_index_bytes: bytes(config.segment_index_bytes),
        index_interval_bytes: bytes(config.index_interval_bytes),
        retention_ms: config.retention_ms,
        retention_bytes: config.retention_bytes,
        delete: config.cleanup_policy.delete,
        compact: config.cleanup_policy.compact,
        min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
        max_compaction_lag_ms: config.max_compaction_lag_ms,
        delete_retention_ms: config.delete_retention_ms,
        file_delete_delay_ms: config.file_delete_delay_ms,
        flush_messages: if broker.syncs_batches() { 1 } else { config.flush_messages },
        flush_ms: config.flush_ms,
        max_message_bytes: config.max_message_bytes,
        producer_id_expiration_ms: i64::from(broker.producer_id_expiration_ms),
        planted,
    }
}

/// A batch's share of the configuration.
fn rules(config: &TopicConfig) -> BatchRules {
    use crate::config::{CompressionType as Configured, TimestampType as Stamp};
    let compression = |kind, level| Some(Compression { kind, level });
    BatchRules {
        batch_bytes_max: usize::try_from(config.max_message_bytes).unwrap_or(0),
        compression: match config.compression_type {
            Configured::Producer => None,
            Configured::Uncompressed => compression(CompressionType::None, None),
            Configured::Gzip => compression(CompressionType::Gzip, Some(config.compression_gzip_level)),
            Configured::Snappy => compression(CompressionType::Snappy, None),
            Configured::Lz4 => compression(CompressionType::Lz4, Some(config.compression_lz4_level)),
            Configured::Zstd => compression(CompressionType::Zstd, Some(config.compression_zstd_level)),
        },
        timestamp_type: match config.message_timestamp_type {
            Stamp::CreateTime => TimestampType::CreateTime,
            Stamp::LogAppendTime => TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: config.message_timestamp_before_max_ms,
        timestamp_after_max_ms: config.message_timestamp_after_max_ms,
        is_compacted: config.cleanup_policy.compact,
    }
}
