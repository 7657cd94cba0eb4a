//! Offsets by time: what ListOffsets asks a log.

use bytes::Bytes;

use super::error::LogError;
use super::log::Log;
use super::segment::{BatchAt, Segment};
use super::store::LogStore;
use crate::record::{Batch, Compressors, record_views};
use crate::time::Timestamp;

/// The end of the log, or of what the reader may see.
pub const LATEST_TIMESTAMP: Timestamp = -1;
/// The log start offset.
pub const EARLIEST_TIMESTAMP: Timestamp = -2;
/// The first record that has the largest timestamp (KIP-734).
pub const MAX_TIMESTAMP: Timestamp = -3;
/// The first offset on local storage (KIP-405).
pub const EARLIEST_LOCAL_TIMESTAMP: Timestamp = -4;
/// The last offset on remote storage (KIP-1005).
pub const LATEST_TIERED_TIMESTAMP: Timestamp = -5;
/// The first offset that remote storage does not have (KIP-1023).
pub const EARLIEST_PENDING_UPLOAD_TIMESTAMP: Timestamp = -6;

/// An answer of ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampAndOffset {
    /// Of the record; −1 where the question was not for a record.
    pub timestamp: Timestamp,
    /// −1 on a log without remote storage, asked about that.
    pub offset: i64,
    /// The leader epoch of the record; −1 or `None` when it is not known.
    pub leader_epoch: Option<i32>,
}

impl<S: LogStore> Log<S> {
    /// The offset for a timestamp or for one of the special ones above; `None` when there is no such record. The latest
    /// is the log end offset: what a consumer may see of it is the partition's to say.
    pub fn fetch_offset_by_timestamp(
        &self,
        store: &mut S,
        compressors: &Compressors,
        timestamp: Timestamp,
    ) -> Result<Option<TimestampAndOffset>, LogError> {
        let without_timestamp =
            |offset, leader_epoch| Ok(Some(TimestampAndOffset { timestamp: -1, offset, leader_epoch }));
        match timestamp {
            EARLIEST_TIMESTAMP | EARLIEST_LOCAL_TIMESTAMP => {
                let earliest =
                    self.epochs.earliest().filter(|entry| entry.start_offset <= self.log_start_offset);
                without_timestamp(self.log_start_offset, earliest.map(|entry| entry.epoch))
            }
            LATEST_TIMESTAMP => without_timestamp(self.log_end_offset, self.epochs.latest_epoch()),
            LATEST_TIERED_TIMESTAMP | EARLIEST_PENDING_UPLOAD_TIMESTAMP => without_timestamp(-1, Some(-1)),
            MAX_TIMESTAMP => self.offset_of_max_timestamp(store, compressors),
            _ => self.offset_at_or_after(store, compressors, timestamp),
        }
    }

    fn offset_of_max_timestamp(
        &self,
        store: &mut S,
        compressors: &Compressors,
    ) -> Result<Option<TimestampAndOffset>, LogError> {
        let newest = self.segments.iter().rev().max_by_key(|segment| segment.newest.timestamp);
        let Some(segment) = newest.filter(|segment| segment.newest.timestamp >= 0) else { return Ok(None) };
        let timestamp = segment.newest.timestamp;
        let mut position = segment.offset_index.lookup(store, segment.newest.offset)?.position;
        while let Some(batch) = self.batch_as_new_as(store, segment, position, timestamp)? {
            let found = self.first_record(store, compressors, segment, &batch, timestamp, i64::MIN)?;
            if found.is_some() {
                return Ok(found);
            }
            position = batch.end();
        }
        Ok(None)
    }

    fn offset_at_or_after(
        &self,
        store: &mut S,
        compressors: &Compressors,
        timestamp: Timestamp,
    ) -> Result<Option<TimestampAndOffset>, LogError> {
        for segment in self.segments.iter().filter(|segment| segment.largest_timestamp() >= timestamp) {
            let mut position = segment.time_search_position(store, timestamp, self.log_start_offset)?;
            while let Some(batch) = self.batch_as_new_as(store, segment, position, timestamp)? {
                let start = self.log_start_offset;
                let found = self.first_record(store, compressors, segment, &batch, timestamp, start)?;
                if found.is_some() {
                    return Ok(found);
                }
                position = batch.end();
            }
        }
        Ok(None)
    }

    fn batch_as_new_as(
        &self,
        store: &mut S,
        segment: &Segment<S::File>,
        position: u64,
        timestamp: Timestamp,
    ) -> Result<Option<BatchAt>, LogError> {
        segment.find_by_timestamp(store, position, timestamp).map_err(|error| error.in_dir(&self.dir))
    }

    /// The first record of a batch that is as new as `timestamp` and not below `offset`.
    fn first_record(
        &self,
        store: &mut S,
        compressors: &Compressors,
        segment: &Segment<S::File>,
        batch: &BatchAt,
        timestamp: Timestamp,
        offset: i64,
    ) -> Result<Option<TimestampAndOffset>, LogError> {
        let corrupt = |reason: String| {
            let path = super::file_names::with_offset(segment.base_offset, super::file_names::LOG_SUFFIX);
            LogError::Corrupt { path, position: batch.position, reason }.in_dir(&self.dir)
        };
        let bytes = Bytes::from(segment.read_batch(store, batch)?);
        let whole = Batch::read(&bytes).map_err(|error| corrupt(error.to_string()))?;
        let body = whole.uncompressed_body(compressors).map_err(|error| corrupt(error.to_string()))?;
        for record in record_views(&body, whole.records_count) {
            let record = record.map_err(|error| corrupt(error.to_string()))?;
            let found = TimestampAndOffset {
                timestamp: record.timestamp(&whole),
                offset: record.offset(&whole),
                leader_epoch: Some(whole.partition_leader_epoch).filter(|epoch| *epoch >= 0),
            };
            if found.timestamp >= timestamp && found.offset >= offset {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
