//! Making a log shorter at its end: a follower that has what its leader has not.

use super::error::LogError;
use super::file_names::{SNAPSHOT_SUFFIX, with_offset};
use super::log::Log;
use super::producer_state::ProducerState;
use super::recovery;
use super::segment::Segment;
use super::store::{LogStore, StoreError};
use crate::sim::mutation::Mutation;
use crate::time::Now;

impl<S: LogStore> Log<S> {
    /// Drops the records from `offset` on, and those that share a batch with it. False if the log ends there or before: then it is a reign without
    /// records that goes, and the file has not heard of that.
    pub fn truncate_to(&mut self, store: &mut S, now: Now, offset: i64) -> Result<bool, LogError> {
        if offset >= self.log_end_offset {
            if self.epochs.truncate_from_end(self.log_end_offset)
                && self.epochs_unwritten.take_if(|oldest| *oldest >= self.log_end_offset).is_none()
            {
                self.write_epochs(store)?;
            }
            return Ok(false);
        }
        if self.segments.first().is_none_or(|first| first.base_offset > offset) {
            self.truncate_fully_and_start_at(store, now, offset)?;
            return Ok(true);
        }
        if offset < self.recovery_point {
            self.unsettle(store, self.recovery_point)?;
        }
        let keep = self.segments.partition_point(|segment| segment.base_offset <= offset);
        let deleted: Vec<_> = self.segments.drain(keep..).map(|segment| segment.base_offset).collect();
        self.delete_segments(store, now, &deleted)?;
        if let Some(active) = self.segments.last_mut() {
            let end = active.truncate_to(store, offset, now.wall).map_err(|error| error.in_dir(&self.dir))?;
            // A batch that was cut in its middle is gone as a whole.
            self.recovery_point = self.recovery_point.min(end);
        }
        self.ends_at(offset);
        self.log_start_offset = self.log_start_offset.min(offset);
        if self.epochs.truncate_from_end(offset) {
            self.write_epochs(store)?;
        }
        self.reload_producers(store, now)?;
        Ok(true)
    }

    /// Drops everything; the next record will be at `offset`. A follower that fell behind its leader's log start offset, or a
    /// replica that begins with a snapshot.
    pub fn truncate_fully_and_start_at(
        &mut self,
        store: &mut S,
        now: Now,
        offset: i64,
    ) -> Result<(), LogError> {
        self.unsettle(store, self.recovery_point)?;
        let deleted: Vec<_> = self.segments.drain(..).map(|segment| segment.base_offset).collect();
        self.delete_segments(store, now, &deleted)?;
        self.remove_snapshots(store, |_| true)?;
        self.segments.push(Segment::create(store, &self.dir, offset, now.wall)?);
        self.log_start_offset = offset;
        self.ends_at(offset);
        self.high_watermark = offset;
        self.epochs.clear();
        self.write_epochs(store)?;
        self.producers = ProducerState::starting_at(offset);
        self.last_snapshot_offset = offset;
        Ok(())
    }

    fn ends_at(&mut self, offset: i64) {
        self.log_end_offset = offset;
        self.recovery_point = self.recovery_point.min(offset);
        self.high_watermark = self.high_watermark.min(offset);
        self.high_watermark_position = None;
        self.generation = self.generation.wrapping_add(1);
        self.flushing_up_to = 0;
        self.layout = self.layout.wrapping_add(1);
        let active_base_offset = self.active().map_or(offset, |active| active.base_offset);
        self.cleaned_up_to = self.cleaned_up_to.map(|cleaned| cleaned.min(active_base_offset));
        self.directory_changed = true;
    }

    /// Producer state as of the log's end, from the newest snapshot and the batches after it.
    fn reload_producers(&mut self, store: &mut S, now: Now) -> Result<(), LogError> {
        let end = self.log_end_offset;
        let start = self.log_start_offset;
        self.remove_snapshots(store, |offset| offset > end || offset <= start)?;
        let mut producers = self.load_snapshot(store, now, end)?;
        let from = self.segment_index(producers.map_end_offset()).unwrap_or(0);
        for segment in self.segments.iter().skip(from) {
            recovery::replay_producers(store, segment, &mut producers)
                .map_err(|error| error.in_dir(&self.dir))?;
        }
        producers.set_map_end_offset(end);
        producers.high_watermark_advanced(self.high_watermark);
        self.producers = producers;
        self.take_producer_snapshot(store)
    }

    /// The state in the newest snapshot up to `end` that can be read; broken ones are removed. Without one, an empty state at the log
    /// start offset.
    pub(super) fn load_snapshot(
        &mut self,
        store: &mut S,
        now: Now,
        end: i64,
    ) -> Result<ProducerState, LogError> {
        let candidates: Vec<_> =
            self.snapshots.iter().copied().filter(|offset| *offset <= end).rev().collect();
        for offset in candidates {
            let bytes = store.read(&self.path(&with_offset(offset, SNAPSHOT_SUFFIX)))?;
            if let Some(mut state) = super::producer_snapshot::decode(&bytes, offset) {
                state.remove_expired(now.wall, self.config.producer_id_expiration_ms);
                self.last_snapshot_offset = offset;
                if self.config.planted.is(Mutation::SnapshotIgnored) {
                    state = ProducerState::starting_at(offset);
                }
                return Ok(state);
            }
            self.remove_snapshots(store, |snapshot| snapshot == offset)?;
        }
        self.last_snapshot_offset = self.log_start_offset;
        Ok(ProducerState::starting_at(self.log_start_offset))
    }

    pub(super) fn remove_snapshots(
        &mut self,
        store: &mut S,
        which: impl Fn(i64) -> bool,
    ) -> Result<(), LogError> {
        let (removed, kept): (Vec<i64>, Vec<i64>) = self.snapshots.iter().partition(|offset| which(**offset));
        self.snapshots = kept;
        for offset in removed {
            match store.remove(&self.path(&with_offset(offset, SNAPSHOT_SUFFIX))) {
                Ok(()) | Err(StoreError::NotFound) => self.directory_changed = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
