//! Leaving records out of a batch: compaction.

use bytes::Bytes;

use super::batch::Batch;
use super::builder::{BatchBuilder, BatchOptions, empty_batch};
use super::compression::{Compression, CompressionType, Compressors};
use super::header::{Attributes, BatchHeader, NO_TIMESTAMP};
use super::records::{RecordError, RecordView, record_views};

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilteredBatch {
    /// All records stay, and the batch with its bytes.
    Unchanged,
    /// Some records stay, or a delete horizon was set. Offsets stay what they were, gaps included.
    Rewritten(Bytes),
    /// No record stays. The bytes are a batch without records, which keeps the producer's last sequence and epoch; the
    /// caller decides whether that is still needed.
    Empty(Bytes),
}

/// From when on the tombstones and markers of a batch may go (KIP-534).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeleteHorizon {
    /// ms; what to set in a batch that has none and keeps a tombstone.
    pub new_ms: Option<i64>,
    /// The batch is a marker whose transaction has no records left: it gets a horizon too.
    pub is_marker_of_empty_transaction: bool,
}

impl Batch {
    /// The batch with those of its records that `keep` wants. Records whose offsets do not rise, or leave the batch, are
    /// malformed.
    pub fn filter(
        &self,
        horizon: DeleteHorizon,
        compressors: &Compressors,
        mut keep: impl FnMut(&RecordView<'_>) -> bool,
    ) -> Result<FilteredBatch, RecordError> {
        let header = self.header();
        let body = self.uncompressed_body(compressors)?;
        let mut kept = Vec::new();
        let mut has_tombstone = false;
        let mut is_whole = true;
        for record in record_views(&body, header.records_count) {
            let record = record?;
            if keep(&record) {
                has_tombstone |= record.value.is_none();
                kept.push(record);
            } else {
                is_whole = false;
            }
        }
        if kept.is_empty() {
            return Ok(FilteredBatch::Empty(self.without_records()));
        }
        let needs_horizon = (has_tombstone || horizon.is_marker_of_empty_transaction)
            && header.delete_horizon_ms().is_none()
            && horizon.new_ms.is_some();
        if is_whole && !needs_horizon {
            return Ok(FilteredBatch::Unchanged);
        }
        let delete_horizon_ms = header.delete_horizon_ms().or(horizon.new_ms.filter(|_| needs_horizon));
        let mut builder = BatchBuilder::new(BatchOptions { delete_horizon_ms, ..BatchOptions::like(header) });
        for record in kept {
            let offset = record.offset(header);
            let is_in_place = offset >= builder.next_offset().max(0) && offset <= header.last_offset();
            if !is_in_place || offset == i64::MAX {
                return Err(RecordError::Malformed { index: builder.records_count().unsigned_abs() });
            }
            builder.append_at(offset, record.timestamp(header), record.key, record.value, record.headers());
        }
        builder.set_last_offset(header.last_offset());
        Ok(FilteredBatch::Rewritten(builder.build(compressors)))
    }
}

impl Batch {
    /// The batch without its records: what keeps a producer's last sequence and epoch, and the last offset.
    pub fn without_records(&self) -> Bytes {
        empty_batch(&without_records(self.header()))
    }
}

impl BatchOptions {
    /// What a batch with this header was built with.
    fn like(header: &BatchHeader) -> Self {
        let compression: CompressionType = header.compression().unwrap_or_default();
        Self {
            base_offset: header.base_offset,
            partition_leader_epoch: header.partition_leader_epoch,
            compression: Compression::from(compression),
            timestamp_type: header.timestamp_type(),
            log_append_time: header.max_timestamp,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            is_transactional: header.is_transactional(),
            is_control: header.is_control(),
            delete_horizon_ms: header.delete_horizon_ms(),
        }
    }
}

fn without_records(header: &BatchHeader) -> BatchHeader {
    let attributes = Attributes::new(CompressionType::None, header.timestamp_type())
        .with_transactional(header.is_transactional())
        .with_control(header.is_control());
    BatchHeader { attributes, base_timestamp: NO_TIMESTAMP, records_count: 0, ..*header }
}
