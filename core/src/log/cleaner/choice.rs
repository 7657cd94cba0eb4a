//! Which log is worth cleaning, and how far.

use crate::log::error::LogError;
use crate::log::log::Log;
use crate::log::segment::Segment;
use crate::log::store::LogStore;
use crate::time::Timestamp;

/// The part of a log that can be cleaned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogToClean {
    /// Everything below was cleaned before.
    pub first_dirty_offset: i64,
    /// Nothing from here on may be cleaned; the beginning of a segment.
    pub first_uncleanable_offset: i64,
    /// Bytes of the segments below the first dirty offset.
    pub clean_bytes: u64,
    /// Bytes of the segments between.
    pub cleanable_bytes: u64,
    /// By how much `max.compaction.lag.ms` is exceeded, in ms; 0 if it is not.
    pub max_compaction_delay_ms: i64,
}

impl LogToClean {
    /// The part of the log that is dirty, of what is clean or cleanable; 0 of nothing.
    pub fn dirty_ratio(&self) -> f64 {
        match self.clean_bytes.saturating_add(self.cleanable_bytes) {
            0 => 0.0,
            total => self.cleanable_bytes as f64 / total as f64,
        }
    }

    /// Whether the log is dirty enough, or has waited long enough.
    pub fn is_due(&self, min_cleanable_dirty_ratio: f64) -> bool {
        self.cleanable_bytes > 0
            && (self.max_compaction_delay_ms > 0 || self.dirty_ratio() > min_cleanable_dirty_ratio)
    }
}

impl<S: LogStore> Log<S> {
    /// What can be cleaned now: below the active segment, the last stable offset (and so the high watermark), and the first segment
    /// with a record younger than `min.compaction.lag.ms`; and below `durable`, or a power loss could take the newer record for which the older
    /// one was removed. A checkpoint that does not fit the log is set back to the log start offset.
    ///
    /// Errors: those of reading the first batch of a segment, which is only looked at under `max.compaction.lag.ms`.
    pub fn to_clean(
        &mut self,
        store: &mut S,
        now_ms: Timestamp,
        durable: i64,
    ) -> Result<LogToClean, LogError> {
        let start = self.log_start_offset;
        let first_dirty_offset = match self.cleaned_up_to {
            Some(checkpoint) if (start..=self.log_end_offset).contains(&checkpoint) => checkpoint,
            Some(_) => {
                self.cleaned_up_to = Some(start);
                start
            }
            None => start,
        };
        let active_base_offset = self.active().map_or(start, |active| active.base_offset);
        let too_young = self.first_too_young(first_dirty_offset, now_ms).unwrap_or(i64::MAX);
        let bound = self.last_stable_offset().min(active_base_offset).min(too_young).min(durable);
        let bound = bound.max(first_dirty_offset);
        let first_uncleanable_offset = self
            .inactive_segments_from(bound)
            .first()
            .map_or(active_base_offset, |segment| segment.base_offset);
        let bytes = |segments: &[Segment<S::File>]| {
            segments.iter().fold(0_u64, |sum, segment| sum.saturating_add(segment.size()))
        };
        let dirty_from = first_dirty_offset.min(first_uncleanable_offset);
        Ok(LogToClean {
            first_dirty_offset,
            first_uncleanable_offset,
            clean_bytes: bytes(self.segments_between(i64::MIN, first_dirty_offset)),
            cleanable_bytes: bytes(self.segments_between(dirty_from, first_uncleanable_offset)),
            max_compaction_delay_ms: self.max_compaction_delay_ms(store, first_dirty_offset, now_ms)?,
        })
    }

    fn first_too_young(&self, from: i64, now_ms: Timestamp) -> Option<i64> {
        let min_lag_ms = self.config.min_compaction_lag_ms;
        if min_lag_ms <= 0 {
            return None;
        }
        let bound = now_ms.saturating_sub(min_lag_ms);
        let dirty = self.inactive_segments_from(from);
        dirty.iter().find(|segment| segment.largest_timestamp() > bound).map(|segment| segment.base_offset)
    }

    fn max_compaction_delay_ms(
        &mut self,
        store: &mut S,
        from: i64,
        now_ms: Timestamp,
    ) -> Result<i64, LogError> {
        let bound = now_ms.saturating_sub(self.config.max_compaction_lag_ms.max(0));
        if bound <= 0 {
            return Ok(0);
        }
        let count = self.inactive_segments_from(from).len();
        let end = self.segments.len().saturating_sub(1);
        let mut oldest = i64::MAX;
        for segment in self.segments.get_mut(end.saturating_sub(count)..end).unwrap_or_default() {
            let first = segment.first_batch_timestamp(store).map_err(|error| error.in_dir(&self.dir))?;
            oldest = oldest.min(first.filter(|timestamp| *timestamp > 0).unwrap_or(i64::MAX));
        }
        Ok(bound.saturating_sub(oldest).max(0))
    }

    /// The segments but the active one, from the one that holds `from` on.
    fn inactive_segments_from(&self, from: i64) -> &[Segment<S::File>] {
        match self.segments.split_last() {
            Some((active, inactive)) if from < active.base_offset => {
                let after = inactive.partition_point(|segment| segment.base_offset <= from);
                inactive.get(after.saturating_sub(1)..).unwrap_or_default()
            }
            _ => &[],
        }
    }
}
