//! Making a log shorter at its beginning: DeleteRecords, and retention by time and size.

use super::error::LogError;
use super::file_names::{SNAPSHOT_SUFFIX, with_offset};
use super::log::Log;
use super::segment::Segment;
use super::store::LogStore;
use crate::time::Now;

impl<S: LogStore> Log<S> {
    /// DeleteRecords: records below `log_start_offset` are gone, their segments go with [`Log::delete_old_segments`].
    /// False if it was that far already.
    ///
    /// Errors: [`LogError::OffsetOutOfRange`] above the high watermark.
    pub fn increment_log_start_offset(
        &mut self,
        store: &mut S,
        log_start_offset: i64,
    ) -> Result<bool, LogError> {
        if log_start_offset > self.high_watermark {
            return Err(LogError::OffsetOutOfRange {
                offset: log_start_offset,
                log_start_offset: self.log_start_offset,
                upper_bound: self.high_watermark,
            });
        }
        if log_start_offset <= self.log_start_offset {
            return Ok(false);
        }
        self.log_start_offset = log_start_offset;
        self.producers.log_start_offset_advanced(log_start_offset);
        if self.epochs.truncate_from_start(log_start_offset) {
            self.write_epochs(store)?;
        }
        Ok(true)
    }

    /// Deletes the segments that lie below the log start offset or that `retention.bytes` or `retention.ms` no longer covers, oldest
    /// first and never beyond the high watermark. Returns how many.
    pub fn delete_old_segments(&mut self, store: &mut S, now: Now) -> Result<usize, LogError> {
        let below_start = self.deletable(|_, upper_bound, start| upper_bound <= start);
        // The active segment stays for as long as it is only the log start offset that has passed it.
        let below_start = below_start.min(self.segments.len().saturating_sub(1));
        let mut deleted = self.delete_first(store, now, below_start)?;
        if !self.config.delete {
            return Ok(deleted);
        }
        if let Ok(retention_bytes) = u64::try_from(self.config.retention_bytes) {
            let mut surplus = self.size().checked_sub(retention_bytes);
            let by_size = self.deletable(|segment, _, _| {
                surplus = surplus.and_then(|surplus| surplus.checked_sub(segment.size));
                surplus.is_some()
            });
            deleted = deleted.saturating_add(self.delete_first(store, now, by_size)?);
        }
        if self.config.retention_ms >= 0 {
            let retention_ms = self.config.retention_ms;
            let by_time = self.deletable(|segment, _, _| {
                now.wall.saturating_sub(segment.largest_timestamp()) > retention_ms
            });
            deleted = deleted.saturating_add(self.delete_first(store, now, by_time)?);
        }
        Ok(deleted)
    }

    /// How many of the oldest segments `may_go`, which is told the segment, the offset after it and the log start offset.
    fn deletable(&self, mut may_go: impl FnMut(&Segment<S::File>, i64, i64) -> bool) -> usize {
        let nexts = self.segments.iter().skip(1).map(|next| next.base_offset).chain([self.log_end_offset]);
        let last = self.segments.len().saturating_sub(1);
        self.segments
            .iter()
            .zip(nexts)
            .enumerate()
            .take_while(|(index, (segment, upper_bound))| {
                self.high_watermark >= *upper_bound
                    && (*index < last || segment.size > 0)
                    && may_go(segment, *upper_bound, self.log_start_offset)
            })
            .count()
    }

    fn delete_first(&mut self, store: &mut S, now: Now, count: usize) -> Result<usize, LogError> {
        if count == 0 {
            return Ok(0);
        }
        if count >= self.segments.len() {
            // There is always an active segment.
            self.roll(store, now, self.log_end_offset)?;
        }
        let deleted: Vec<_> = self.segments.drain(..count).map(|segment| segment.base_offset).collect();
        let start = self.segments.first().map_or(self.log_end_offset, |first| first.base_offset);
        // In this order, so that a crash between the two leaves no records of epochs that are forgotten.
        let removed = self.delete_segments(store, now, &deleted);
        self.increment_log_start_offset(store, start)?;
        removed?;
        Ok(count)
    }

    /// Files of segments that are out of the log, producer snapshots at their base offsets included.
    pub(super) fn delete_segments(
        &mut self,
        store: &mut S,
        now: Now,
        base_offsets: &[i64],
    ) -> Result<(), LogError> {
        let mut names = Vec::new();
        for base_offset in base_offsets {
            names.extend(Segment::<S::File>::file_names(*base_offset));
            names.push(with_offset(*base_offset, SNAPSHOT_SUFFIX));
        }
        self.snapshots.retain(|snapshot| !base_offsets.contains(snapshot));
        self.remove_later(store, now, names)
    }
}
