//! What compaction keeps of a batch.

use bytes::Bytes;

use super::CleaningStats;
use super::offset_map::OffsetMap;
use super::transactions::{Ended, Transactions};
use crate::log::producer_state::{Marker, ProducerState};
use crate::log::txn_index::AbortedTxn;
use crate::record::{Batch, BatchHeader, Compressors, DeleteHorizon, FilteredBatch, RecordError, RecordView};
use crate::time::Timestamp;

/// The rules of one cleaning.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    /// The last offset of each key.
    pub map: &'a OffsetMap,
    /// Producers whose sequences have to survive.
    pub producers: &'a ProducerState,
    /// Wall clock when the cleaning began.
    pub now_ms: Timestamp,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// Nothing from here on is cleaned. The batch before it stays, so that the offset it ends with is not lost.
    pub first_uncleanable_offset: i64,
}

/// What becomes of a batch.
#[derive(Debug)]
pub(super) struct Cleaned {
    /// The batch, as it was or without some of its records; `None` if it goes.
    pub batch: Option<Bytes>,
    /// For the index of aborted transactions: one that ended with this batch and has records left.
    pub aborted: Option<AbortedTxn>,
}

impl Filter<'_> {
    /// Cleans the next batch of the log.
    pub fn clean(
        &self,
        batch: &Batch,
        transactions: &mut Transactions,
        compressors: &Compressors,
        stats: &mut CleaningStats,
    ) -> Result<Cleaned, RecordError> {
        let header = batch.header();
        let mut aborted = None;
        let (is_discarded, is_marker_of_empty_transaction) = if header.is_control() {
            match transactions.saw_control(header, read_marker(batch).as_ref()) {
                Ended::Empty => (self.has_passed(header.delete_horizon_ms()), true),
                Ended::HadBatches(of) => {
                    aborted = of;
                    (false, false)
                }
            }
        } else {
            (transactions.saw_batch(header), false)
        };
        stats.records_read =
            stats.records_read.saturating_add(u64::try_from(header.records_count).unwrap_or(0));
        let stays_when_empty =
            self.is_last_of_producer(header) || header.next_offset() == self.first_uncleanable_offset;
        let empty = || stays_when_empty.then(|| batch.without_records());
        if is_discarded {
            return Ok(Cleaned { batch: empty(), aborted });
        }
        let horizon = DeleteHorizon {
            new_ms: Some(self.now_ms.saturating_add(self.delete_retention_ms)),
            is_marker_of_empty_transaction,
        };
        let mut kept = 0_u64;
        let filtered = batch.filter(horizon, compressors, |record| {
            let keep = header.is_control() || self.keeps(header, record, stats);
            kept = kept.saturating_add(u64::from(keep));
            keep
        })?;
        stats.records_kept = stats.records_kept.saturating_add(kept);
        let batch = match filtered {
            FilteredBatch::Unchanged => Some(batch.bytes().clone()),
            FilteredBatch::Rewritten(bytes) => Some(bytes),
            FilteredBatch::Empty(_) => empty(),
        };
        Ok(Cleaned { batch, aborted })
    }

    /// The last record of its key stays, unless it is a tombstone whose time is over. What the map does not reach stays.
    fn keeps(&self, header: &BatchHeader, record: &RecordView<'_>, stats: &mut CleaningStats) -> bool {
        let offset = record.offset(header);
        if offset > self.map.latest_offset() {
            return true;
        }
        let Some(key) = record.key else {
            stats.records_without_key = stats.records_without_key.saturating_add(1);
            return false;
        };
        let is_last = self.map.get(key).is_none_or(|last| offset >= last);
        is_last && (record.value.is_some() || !self.has_passed(header.delete_horizon_ms()))
    }

    fn has_passed(&self, delete_horizon_ms: Option<Timestamp>) -> bool {
        delete_horizon_ms.is_some_and(|horizon| horizon <= self.now_ms)
    }

    /// Whether an active producer's last sequence, or where there is none its epoch, is known by this batch.
    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        if !header.has_producer_id() {
            return false;
        }
        self.producers.producer(header.producer_id).is_some_and(|producer| match producer.last_offset() {
            0.. => header.last_offset() == producer.last_offset(),
            _ => header.is_control() && header.producer_epoch == producer.producer_epoch,
        })
    }
}

/// What a control batch says.
pub(super) fn read_marker(batch: &Batch) -> Option<Marker> {
    Marker::read(batch.header(), batch.view().body())
}
