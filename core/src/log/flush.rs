//! What has to be synced. The log does not sync: its owner asks the driver, and says when that is done.

use super::error::LogError;
use super::file_names::{LEADER_EPOCH_CHECKPOINT, PARTITION_METADATA};
use super::log::Log;
use super::segment::Segment;
use super::store::{LogStore, StoreError};
use crate::time::{Instant, Now};

/// Files and directories to be made durable, and what is then known to be.
#[derive(Clone, Debug)]
pub struct FlushPlan<F> {
    /// Everything below is durable afterwards: the new recovery point.
    pub up_to: i64,
    /// Files, in the order of the log.
    pub files: Vec<F>,
    /// Directories whose entries have changed.
    pub directories: Vec<String>,
    generation: u32,
}

/// How much to flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushScope {
    /// The segments that are complete: due after each roll.
    Inactive,
    /// Everything.
    All,
}

impl<S: LogStore> Log<S> {
    /// Records that a power loss may take.
    pub fn unflushed_messages(&self) -> i64 {
        self.log_end_offset.saturating_sub(self.recovery_point)
    }

    /// What is due by now: what recovery has found, and a completed segment, at once; everything after `flush.messages` records or `flush.ms`.
    pub fn flush_due(&self, now: Instant) -> Option<FlushScope> {
        let unflushed = self.log_end_offset.saturating_sub(self.flushing_up_to.max(self.recovery_point));
        let overdue = self.unflushed_messages() > 0 && now.ms_since(self.last_flush) >= self.config.flush_ms;
        if self.unsettled || unflushed >= self.config.flush_messages || overdue {
            return Some(FlushScope::All);
        }
        self.rolled.then_some(FlushScope::Inactive)
    }

    /// When [`Log::flush_due`] will ask for something because of `flush.ms`.
    pub fn flush_deadline(&self) -> Option<Instant> {
        let bounded = self.unflushed_messages() > 0 && self.config.flush_ms < i64::MAX;
        bounded.then(|| self.last_flush.plus_ms(self.config.flush_ms))
    }

    /// Says what to sync, and hands what the indexes hold back to their files. Call [`Log::flushed`] when it has been synced.
    pub fn plan_flush(
        &mut self,
        store: &mut S,
        now: Now,
        scope: FlushScope,
    ) -> Result<FlushPlan<S::File>, LogError> {
        self.plan(store, now, scope, false)
    }

    fn plan(
        &mut self,
        store: &mut S,
        now: Now,
        scope: FlushScope,
        closing: bool,
    ) -> Result<FlushPlan<S::File>, LogError> {
        let active_base_offset = self.active().map_or(self.log_end_offset, |active| active.base_offset);
        let mut up_to = match scope {
            FlushScope::Inactive => active_base_offset,
            FlushScope::All => self.log_end_offset,
        };
        // The last entries of a completed segment's indexes are written when it is completed, though all its records may be synced.
        let synced = self.recovery_point.saturating_sub(i64::from(self.rolled || self.unsettled));
        let first = self.segment_index(synced).unwrap_or(0);
        let has_news = self.recovery_point < self.log_end_offset;
        let mut files = Vec::new();
        for segment in self.segments.iter_mut().skip(first) {
            let is_inactive = segment.base_offset != active_base_offset;
            if is_inactive
                || (scope == FlushScope::All
                    && (write_out_indexes(segment, store, closing)? || has_news || self.unsettled))
            {
                files.extend(segment.files());
            }
        }
        if self.epochs_unwritten.is_some_and(|start_offset| start_offset < self.log_end_offset) {
            self.write_epochs(store)?;
            if self.epochs_unwritten.is_some() {
                // There is no room. Recovery reads the epochs from the batches, but not from those that it believes.
                if closing {
                    return Err(StoreError::NoSpace.into());
                }
                up_to = self.recovery_point;
            }
        }
        if std::mem::take(&mut self.epochs_changed) {
            files.push(store.open(&self.path(LEADER_EPOCH_CHECKPOINT))?);
        }
        let directories = std::mem::take(&mut self.directory_changed).then(|| self.dir.clone());
        let is_new = std::mem::take(&mut self.is_new);
        if is_new && let Ok(metadata) = store.open(&self.path(PARTITION_METADATA)) {
            files.push(metadata);
        }
        let parent = is_new.then(|| self.dir.rsplit_once('/')).flatten();
        let parent = parent.map(|(parent, _)| parent.to_owned()).filter(|parent| !parent.is_empty());
        self.rolled = false;
        self.flushing_up_to = up_to;
        if scope == FlushScope::All {
            self.last_flush = now.monotonic;
            self.unsettled = false;
        }
        Ok(FlushPlan {
            up_to,
            files,
            directories: directories.into_iter().chain(parent).collect(),
            generation: self.generation,
        })
    }

    /// The plan has been carried out. A plan from before a truncation proves nothing.
    pub fn flushed(&mut self, plan: &FlushPlan<S::File>) {
        self.flushed_up_to(plan.up_to, plan.generation);
    }

    /// [`Log::flushed`], for owners that keep numbers instead of the plan.
    pub fn flushed_up_to(&mut self, up_to: i64, generation: u32) {
        if generation == self.generation {
            self.recovery_point = self.recovery_point.max(up_to.min(self.log_end_offset));
        }
    }

    /// Nothing was written for a while. The plan includes what a start after an unclean stop would have to read records for, if nothing is written any
    /// more: the indexes, and the producers.
    pub fn rest(&mut self, store: &mut S, now: Now) -> Result<FlushPlan<S::File>, LogError> {
        let end = self.log_end_offset;
        self.producers.set_map_end_offset(end);
        match self.take_producer_snapshot(store) {
            // They are read from the records' headers.
            Ok(()) | Err(LogError::Store(StoreError::NoSpace)) => {}
            Err(error) => return Err(error),
        }
        // Where it rested before nobody begins to read; the beginnings of segments are Kafka's.
        let bases: Vec<_> = self.segments.iter().map(|segment| segment.base_offset).collect();
        self.remove_snapshots(store, |offset| offset != end && bases.binary_search(&offset).is_err())?;
        self.plan(store, now, FlushScope::All, false)
    }

    /// Before a clean shutdown: indexes and producer state reach their files. The plan has to be carried out before
    /// `.kafka_cleanshutdown` is written.
    pub fn close(&mut self, store: &mut S, now: Now) -> Result<FlushPlan<S::File>, LogError> {
        self.producers.set_map_end_offset(self.log_end_offset);
        self.take_producer_snapshot(store)?;
        self.plan(store, now, FlushScope::All, true)
    }
}

/// Without room the entries stay in memory: records are more important, and an unclean stop has the indexes rebuilt.
fn write_out_indexes<S: LogStore>(
    segment: &mut Segment<S::File>,
    store: &mut S,
    closing: bool,
) -> Result<bool, StoreError> {
    match segment.write_out_indexes(store, closing) {
        Err(StoreError::NoSpace) if !closing => Ok(false),
        written => written,
    }
}

impl<F> FlushPlan<F> {
    /// For [`Log::flushed_up_to`].
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether there is nothing to sync.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directories.is_empty()
    }
}
