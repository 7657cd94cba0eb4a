//! [`Log`]: one partition's replica on disk, and what is known about it in memory.
//!
//! A log is a value without a store: every operation that touches files is lent one. It holds no record bytes and no index
//! pages, so that an idle partition is a few hundred bytes. An operation that fails with [`LogError::Store`] may have left the
//! memory ahead of the files or the files ahead of the memory; its owner takes the log directory offline and reopens it.
//!
//! What the other files of this directory add to it: `append` writes, `read` reads, `list_offsets` finds offsets by time,
//! `retention` and `truncation` shorten it, `cleaner` compacts it, `flush` says what has to be synced, `recovery` opens it.

use std::collections::VecDeque;

use super::LogConfig;
use super::error::LogError;
use super::file_names::{self, DELETED_SUFFIX, LEADER_EPOCH_CHECKPOINT, SNAPSHOT_SUFFIX, UNSETTLED_FILE};
use super::leader_epochs::LeaderEpochs;
use super::producer_snapshot;
use super::producer_state::ProducerState;
use super::read::Readers;
use super::segment::Segment;
use super::store::{LogStore, StoreError};
use crate::crc::{CrcAlgorithm, checksum};
use crate::rng::Rng;
use crate::sim::mutation::Mutation;
use crate::time::{Instant, Now, Timestamp};

/// A partition's log. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Log<S: LogStore> {
    pub(super) dir: String,
    pub(super) config: LogConfig,
    /// By base offset; never empty; the last is the active one.
    pub(super) segments: Vec<Segment<S::File>>,
    pub(super) log_start_offset: i64,
    pub(super) log_end_offset: i64,
    pub(super) high_watermark: i64,
    /// Where the high watermark is, once somebody had to know.
    pub(super) high_watermark_position: Option<SegmentPosition>,
    /// Everything below is on the disk.
    pub(super) recovery_point: i64,
    /// It was opened after an unclean stop and has not been synced since: what recovery has cut off, in this life or in one that ended too
    /// soon, may come back.
    pub(super) unsettled: bool,
    /// The checkpoint may name a recovery point up to this one that is not true any more: a file says so, should this life end too soon as well.
    pub(super) unsettled_below: Option<i64>,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: ProducerState,
    /// Offsets of the `.snapshot` files, rising.
    pub(super) snapshots: Vec<i64>,
    pub(super) last_snapshot_offset: i64,
    pub(super) readers: Readers,
    pub(super) removals: VecDeque<Removal>,
    /// Changes when the log is truncated: flushes and cleanings of before are void.
    pub(super) generation: u32,
    /// Changes whenever positions may have changed their meaning: read hints of before are void.
    pub(super) layout: u32,
    /// Compacted below; `None` before the first time.
    pub(super) cleaned_up_to: Option<i64>,
    pub(super) last_flush: Instant,
    /// Files were created, renamed or removed since the directory was last synced.
    pub(super) directory_changed: bool,
    /// Its directory may not be entered durably in the one above.
    pub(super) is_new: bool,
    /// What has been planned to be synced ends here; it may be on its way.
    pub(super) flushing_up_to: i64,
    /// The leader epochs were written since they were last synced.
    pub(super) epochs_changed: bool,
    /// Where the oldest leader epoch begins that the file does not have: until there are records of it, and room.
    pub(super) epochs_unwritten: Option<i64>,
    /// A segment was completed that has not been synced.
    pub(super) rolled: bool,
}

/// A position within the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentPosition {
    /// Which segment.
    pub segment_base_offset: i64,
    /// Bytes from its start.
    pub position: u64,
}

/// An offset and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffsetMetadata {
    /// The offset.
    pub offset: i64,
    /// The start of the batch that has it, or the end of the log.
    pub at: SegmentPosition,
}

/// Files that wait for `file.delete.delay.ms`.
#[derive(Clone, Debug)]
pub(super) struct Removal {
    pub due: Instant,
    pub names: Vec<String>,
}

impl<S: LogStore> Log<S> {
    /// The directory that holds the files.
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// What the log acts on.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Acts on another configuration from now on.
    pub fn set_config(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// Milliseconds to take off `segment.ms` of the active segment, below `segment.jitter.ms`: other ones for each segment of each log, so that
    /// those of a broker do not roll together.
    pub(super) fn roll_jitter_ms(&self) -> i64 {
        let max = self.config.segment_jitter_ms.min(self.config.segment_ms);
        let (Ok(max @ 1..), Some(active)) = (u64::try_from(max), self.active()) else { return 0 };
        let seed = checksum(CrcAlgorithm::Crc32Iscsi, self.dir.as_bytes()).wrapping_shl(32)
            ^ active.base_offset.unsigned_abs();
        i64::try_from(Rng::from_seed(seed).below(max)).unwrap_or(0)
    }

    /// The first offset that may be read.
    pub fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    /// The offset after the last record.
    pub fn log_end_offset(&self) -> i64 {
        self.log_end_offset
    }

    /// Where the next record goes.
    pub fn log_end_offset_metadata(&self) -> LogOffsetMetadata {
        let at = self
            .active()
            .map_or(SegmentPosition { segment_base_offset: self.log_end_offset, position: 0 }, |active| {
                SegmentPosition { segment_base_offset: active.base_offset, position: active.size }
            });
        LogOffsetMetadata { offset: self.log_end_offset, at }
    }

    /// The offset up to which records are replicated: consumers see what is below.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The offset below which no transaction is open: `read_committed` consumers see what is below.
    pub fn last_stable_offset(&self) -> i64 {
        let unstable = self.producers.first_unstable_offset();
        unstable
            .map_or(self.high_watermark, |offset| offset.max(self.log_start_offset).min(self.high_watermark))
    }

    /// Everything below is on the disk.
    pub fn recovery_point(&self) -> i64 {
        self.recovery_point
    }

    /// The offset up to which the log has been compacted, for `cleaner-offset-checkpoint`; `None` if it never was.
    pub fn cleaned_up_to(&self) -> Option<i64> {
        self.cleaned_up_to
    }

    /// What the checkpoint said when the log was opened.
    pub fn set_cleaned_up_to(&mut self, offset: Option<i64>) {
        self.cleaned_up_to = offset;
    }

    /// Bytes of records.
    pub fn size(&self) -> u64 {
        self.segments.iter().fold(0, |size, segment| size.saturating_add(segment.size))
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> &[Segment<S::File>] {
        &self.segments
    }

    /// The leader epochs of the records.
    pub fn leader_epochs(&self) -> &LeaderEpochs {
        &self.epochs
    }

    /// The producers of the records.
    pub fn producers(&self) -> &ProducerState {
        &self.producers
    }

    /// The epoch of the last record; −1 without one.
    pub fn latest_epoch(&self) -> i32 {
        self.epochs.latest_epoch().unwrap_or(-1)
    }

    /// The answer to OffsetForLeaderEpoch; see [`LeaderEpochs::end_offset_for`].
    pub fn end_offset_for_epoch(&self, leader_epoch: i32) -> (i32, i64) {
        self.epochs.end_offset_for(leader_epoch, self.log_end_offset)
    }

    /// A leader takes over: records from the log's end on are of `leader_epoch`. The file hears of it with the first of them: a reign
    /// without records has nothing to say to anybody, and a start touches no file of an idle partition.
    pub fn assign_epoch_start_offset(&mut self, leader_epoch: i32, start_offset: i64) {
        let noted = !self.config.planted.is(Mutation::LeaderEpochNotNoted);
        if noted && self.epochs.assign(leader_epoch, start_offset) {
            let oldest = self.epochs_unwritten.unwrap_or(start_offset);
            self.epochs_unwritten = Some(oldest.min(start_offset));
        }
    }

    /// Moves the high watermark up to `high_watermark`, never beyond the log's end and never down. Returns it if it moved.
    pub fn maybe_increment_high_watermark(&mut self, high_watermark: i64) -> Option<i64> {
        let new = high_watermark.min(self.log_end_offset);
        (new > self.high_watermark).then(|| self.set_high_watermark(new))
    }

    /// Moves the high watermark, up or down, within the log (a follower does what its leader says). Returns what it is now.
    pub fn set_high_watermark(&mut self, high_watermark: i64) -> i64 {
        let mut new = high_watermark.max(self.log_start_offset).min(self.log_end_offset);
        if self.config.planted.is(Mutation::HighWatermarkTooHigh) {
            new = new.saturating_add(1);
        }
        if new != self.high_watermark || new == self.log_end_offset {
            self.high_watermark = new;
            self.high_watermark_position =
                (new == self.log_end_offset).then(|| self.log_end_offset_metadata().at);
            self.producers.high_watermark_advanced(new);
        }
        new
    }

    /// Forgets producers that have been silent for `producer.id.expiration.ms`.
    pub fn remove_expired_producers(&mut self, now_ms: Timestamp) {
        self.producers.remove_expired(now_ms, self.config.producer_id_expiration_ms);
    }

    /// When [`Log::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.removals.front().map(|removal| removal.due)
    }

    /// Removes the files whose `file.delete.delay.ms` has passed.
    pub fn tick(&mut self, store: &mut S, now: Now) -> Result<(), LogError> {
        while let Some(removal) = self.removals.pop_front_if(|removal| removal.due <= now.monotonic) {
            for name in removal.names {
                match store.remove(&format!("{}/{name}", self.dir)) {
                    Ok(()) | Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Before what was durable is changed: should this process be killed, the page cache shows the next one what the disk may not have, and
    /// that a log which ends at the recovery point that the checkpoint names, `checkpointed`, was not synced there.
    pub(super) fn unsettle(&mut self, store: &mut S, checkpointed: i64) -> Result<(), LogError> {
        self.unsettled = true;
        self.unsettled_below = self.unsettled_below.max(Some(checkpointed));
        match store.create(&self.path(UNSETTLED_FILE)) {
            Ok(_) | Err(StoreError::AlreadyExists) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A sync has ended well: what the checkpoint names is true again once the log is durable up to there.
    pub fn settle(&mut self, store: &mut S) -> Result<(), LogError> {
        if self.unsettled_below.take_if(|below| *below <= self.recovery_point).is_none() {
            return Ok(());
        }
        match store.remove(&self.path(UNSETTLED_FILE)) {
            Ok(()) | Err(StoreError::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn active(&self) -> Option<&Segment<S::File>> {
        self.segments.last()
    }

    /// The position in `segments` of the segment that would hold `offset`.
    pub(super) fn segment_index(&self, offset: i64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.base_offset <= offset).checked_sub(1)
    }

    pub(super) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    pub(super) fn write_epochs(&mut self, store: &mut S) -> Result<(), LogError> {
        let text = self.epochs.to_text();
        match store.write_replacing(&self.path(LEADER_EPOCH_CHECKPOINT), text.as_bytes()) {
            Ok(()) => self.epochs_unwritten = None,
            // Every batch carries its epoch: the file can wait for room, and recovery does without it.
            Err(StoreError::NoSpace) => {
                self.epochs_unwritten.get_or_insert(self.log_start_offset);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        self.epochs_changed = true;
        self.directory_changed = true;
        Ok(())
    }

    /// Renames files of a segment that is no longer part of the log, and removes them later.
    pub(super) fn remove_later(
        &mut self,
        store: &mut S,
        now: Now,
        names: Vec<String>,
    ) -> Result<(), LogError> {
        let mut renamed = Vec::new();
        for name in names {
            let deleted = format!("{name}{DELETED_SUFFIX}");
            match store.rename(&self.path(&name), &self.path(&deleted)) {
                Ok(()) => renamed.push(deleted),
                Err(StoreError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.directory_changed = true;
        let due = now.monotonic.plus_ms(self.config.file_delete_delay_ms);
        self.removals.push_back(Removal { due, names: renamed });
        Ok(())
    }

    /// Writes the producers to a `.snapshot` file, if there is news since the last one.
    pub(super) fn take_producer_snapshot(&mut self, store: &mut S) -> Result<(), LogError> {
        let offset = self.producers.map_end_offset();
        if offset <= self.last_snapshot_offset {
            return Ok(());
        }
        let bytes = producer_snapshot::encode(&self.producers);
        store.write_replacing(&self.path(&file_names::with_offset(offset, SNAPSHOT_SUFFIX)), &bytes)?;
        self.directory_changed = true;
        self.last_snapshot_offset = offset;
        if self.snapshots.last().is_none_or(|last| *last < offset) {
            self.snapshots.push(offset);
        }
        Ok(())
    }
}
