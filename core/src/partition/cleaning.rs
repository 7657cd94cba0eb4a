//! Compaction of a partition's log, as the shard's cleaner asks for it.

use super::Partition;
use crate::log::cleaner::{CleanerLimits, Cleaning, LogToClean, Step};
use crate::log::{LogError, LogStore, StoreError};
use crate::machine::Cx;
use crate::trace::TraceEvent;

/// Why a cleaning did not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCleaned {
    /// The disk is full: later, perhaps.
    NoSpace,
    /// Storage failed, and the partition does not serve any more.
    Failed,
    /// This log cannot be cleaned. It serves as before.
    Uncleanable,
}

impl<S: LogStore> Partition<S> {
    /// `cleanup.policy` contains `compact`.
    pub fn is_compacted(&self) -> bool {
        self.log.config().compact
    }

    /// What there is to clean, if it is worth it.
    pub fn to_clean(&mut self, cx: &mut Cx<'_, S>) -> Result<Option<LogToClean>, NotCleaned> {
        if self.failure.is_some() {
            return Ok(None);
        }
        match self.log.to_clean(cx.store, cx.now.wall, self.log.recovery_point()) {
            Ok(to_clean) => {
                Ok(Some(to_clean).filter(|found| found.is_due(self.log.config().min_cleanable_dirty_ratio)))
            }
            Err(error) => Err(self.not_cleaned(cx, &error)),
        }
    }

    /// Begins to clean.
    pub fn start_cleaning(
        &mut self,
        cx: &mut Cx<'_, S>,
        to_clean: &LogToClean,
        limits: CleanerLimits,
        hash_key: [u64; 2],
    ) -> Result<Cleaning<S>, NotCleaned> {
        Cleaning::start(cx.store, &self.log, to_clean, limits, hash_key, cx.now.wall)
            .map_err(|error| self.not_cleaned(cx, &error))
    }

    /// Cleans on.
    pub fn step_cleaning(
        &mut self,
        cx: &mut Cx<'_, S>,
        cleaning: &mut Cleaning<S>,
    ) -> Result<Step<S::File>, NotCleaned> {
        let step = match self.failure {
            Some(_) => return Err(NotCleaned::Failed),
            None => cleaning.step(cx.store, cx.compressors, &mut self.log, cx.now),
        };
        let step = step.map_err(|error| {
            self.abandon_cleaning(cx, cleaning);
            self.not_cleaned(cx, &error)
        })?;
        if let Step::Done(stats) = &step {
            cx.traces.emit(|| TraceEvent::LogCleaned {
                partition: self.name.clone(),
                first_dirty_offset: stats.first_dirty_offset,
                next_dirty_offset: stats.next_dirty_offset,
                bytes_before: stats.bytes_read,
                bytes_after: stats.bytes_written,
                records_before: stats.records_read,
                records_after: stats.records_kept,
            });
        }
        Ok(step)
    }

    /// Removes what a cleaning has begun. What cannot be removed is when the log is opened.
    pub fn abandon_cleaning(&mut self, cx: &mut Cx<'_, S>, cleaning: &mut Cleaning<S>) {
        if let Err(error) = cleaning.abandon(cx.store, &self.log) {
            self.failed(cx, &error);
        }
    }

    /// Deletes segments of a compacted log that retention does not cover, or that lie below the log start offset.
    pub fn delete_after_cleaning(&mut self, cx: &mut Cx<'_, S>) {
        if self.failure.is_none() {
            self.delete_old_segments(cx);
        }
    }

    fn not_cleaned(&mut self, cx: &mut Cx<'_, S>, error: &LogError) -> NotCleaned {
        let reason = error.to_string();
        match error {
            LogError::Store(StoreError::NoSpace) => NotCleaned::NoSpace,
            LogError::Store(_) | LogError::HalfDone(_) => {
                self.failed(cx, error);
                cx.traces.fault(TraceEvent::StorageFailed { path: self.name.to_string(), reason });
                NotCleaned::Failed
            }
            _ => {
                cx.traces.fault(TraceEvent::PartitionUncleanable { partition: self.name.clone(), reason });
                NotCleaned::Uncleanable
            }
        }
    }
}
