//! What a log knows of its producers: idempotence (KIP-98, KIP-360) and open transactions.
//!
//! For each producer id the last five batches are remembered, so that a repeated one is recognised and answered with its first
//! offset. The checks and the effects are apart: [`ProducerState::check`] reads, [`ProducerState::append`] writes and
//! cannot fail, so that nothing has to be undone when storage refuses.

use std::collections::{BTreeMap, VecDeque};

use super::error::LogError;
use crate::record::{BatchHeader, EndTxnMarker, NO_PRODUCER_EPOCH, NO_SEQUENCE, record_views};
use crate::time::Timestamp;
use crate::tree::IntoTree as _;

/// Batches remembered for each producer; the reason why a client may have at most five requests in flight.
pub const BATCHES_MAX: usize = 5;

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A client's Produce request: sequences are checked.
    Client,
    /// A coordinator of this broker: markers, group and transaction state.
    Coordinator,
    /// The leader of the metadata quorum.
    RaftLeader,
    /// What a leader sent: it has checked.
    Replication,
}

/// A batch as producer state remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMetadata {
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Last offset less first offset.
    pub offset_delta: i32,
    /// Its largest timestamp.
    pub timestamp: Timestamp,
}

impl BatchMetadata {
    /// Offset of its first record.
    pub fn first_offset(&self) -> i64 {
        self.last_offset.saturating_sub(i64::from(self.offset_delta))
    }

    /// Sequence of its first record.
    pub fn first_sequence(&self) -> i32 {
        crate::record::decrement_sequence(self.last_sequence, self.offset_delta)
    }
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// The newest epoch seen; −1 if only nothing was.
    pub producer_epoch: i16,
    /// The epoch of the coordinator that wrote the last marker; −1 before one.
    pub coordinator_epoch: i32,
    /// Of the last batch or marker.
    pub last_timestamp: Timestamp,
    /// Where its open transaction begins.
    pub current_txn_first_offset: Option<i64>,
    /// The last batches of the epoch, oldest first, at most [`BATCHES_MAX`].
    pub batches: VecDeque<BatchMetadata>,
}

impl Default for ProducerEntry {
    fn default() -> Self {
        Self {
            producer_epoch: NO_PRODUCER_EPOCH,
            coordinator_epoch: -1,
            last_timestamp: -1,
            current_txn_first_offset: None,
            batches: VecDeque::new(),
        }
    }
}

impl ProducerEntry {
    /// Sequence of the last record of the last batch; −1 without one.
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    /// Offset of the last record of the last batch; −1 without one.
    pub fn last_offset(&self) -> i64 {
        self.batches.back().map_or(-1, |batch| batch.last_offset)
    }

    fn set_epoch(&mut self, epoch: i16) {
        if self.producer_epoch != epoch {
            self.batches.clear();
            self.producer_epoch = epoch;
        }
    }

    fn append_data(&mut self, header: &BatchHeader) {
        self.set_epoch(header.producer_epoch);
        if self.batches.len() >= BATCHES_MAX {
            self.batches.pop_front();
        }
        self.batches.push_back(BatchMetadata {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        self.last_timestamp = header.max_timestamp;
        if header.is_transactional() && self.current_txn_first_offset.is_none() {
            self.current_txn_first_offset = Some(header.base_offset);
        }
    }

    fn check_data(&self, header: &BatchHeader, origin: AppendOrigin) -> Result<(), LogError> {
        self.check_epoch(header, origin)?;
        if origin == AppendOrigin::Client {
            self.check_sequence(header)?;
        }
        if self.current_txn_first_offset.is_some()
            && !header.is_transactional()
            && origin != AppendOrigin::Replication
        {
            return Err(LogError::InvalidTxnState { producer_id: header.producer_id });
        }
        Ok(())
    }

    fn check_epoch(&self, header: &BatchHeader, origin: AppendOrigin) -> Result<(), LogError> {
        if header.producer_epoch < self.producer_epoch && origin != AppendOrigin::Replication {
            return Err(LogError::InvalidProducerEpoch {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                current_epoch: self.producer_epoch,
            });
        }
        Ok(())
    }

    /// A producer that is not known (any more: retention, DeleteRecords, expiry) may begin with any sequence.
    fn check_sequence(&self, header: &BatchHeader) -> Result<(), LogError> {
        let first_sequence = header.base_sequence;
        let last_sequence = self.last_sequence();
        let is_next = if self.producer_epoch == NO_PRODUCER_EPOCH {
            true
        } else if header.producer_epoch != self.producer_epoch {
            first_sequence == 0
        } else {
            i64::from(first_sequence) == i64::from(last_sequence).saturating_add(1)
                || (first_sequence == 0 && last_sequence == i32::MAX)
        };
        if is_next {
            return Ok(());
        }
        Err(LogError::OutOfOrderSequence { producer_id: header.producer_id, first_sequence, last_sequence })
    }

    fn check_marker(
        &self,
        header: &BatchHeader,
        marker: &Marker,
        origin: AppendOrigin,
    ) -> Result<(), LogError> {
        self.check_epoch(header, origin)?;
        let coordinator_epoch = marker.marker.coordinator_epoch;
        if coordinator_epoch < self.coordinator_epoch && origin != AppendOrigin::Replication {
            return Err(LogError::TransactionCoordinatorFenced {
                producer_id: header.producer_id,
                coordinator_epoch,
                current_epoch: self.coordinator_epoch,
            });
        }
        Ok(())
    }

    fn duplicate_of(&self, header: &BatchHeader) -> Option<BatchMetadata> {
        if header.producer_epoch != self.producer_epoch {
            return None;
        }
        let last_sequence = header.last_sequence();
        let same = |batch: &&BatchMetadata| {
            batch.first_sequence() == header.base_sequence && batch.last_sequence == last_sequence
        };
        self.batches.iter().find(same).copied()
    }

    fn is_expired(&self, now_ms: Timestamp, expiration_ms: i64) -> bool {
        self.current_txn_first_offset.is_none() && now_ms.saturating_sub(self.last_timestamp) >= expiration_ms
    }
}

/// The marker in a control batch, with its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Commit or abort, and by whom.
    pub marker: EndTxnMarker,
    /// Of the record.
    pub timestamp: Timestamp,
}

impl Marker {
    /// Reads the body of a control batch; `None` if it holds no marker (a cleaned batch, a record of the quorum).
    pub fn read(header: &BatchHeader, body: &[u8]) -> Option<Self> {
        let record = record_views(body, header.records_count).next()?.ok()?;
        let marker = EndTxnMarker::read(record.key?, record.value?)?;
        Some(Self { marker, timestamp: record.timestamp(header) })
    }
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// May be appended.
    New,
    /// Is in the log already.
    Duplicate(BatchMetadata),
}

/// A transaction that has ended. The index of aborted transactions is to be written before
/// [`ProducerState::complete`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTxn {
    /// Whose.
    pub producer_id: i64,
    /// Its first record.
    pub first_offset: i64,
    /// Its marker.
    pub last_offset: i64,
    /// Abort, not commit.
    pub is_aborted: bool,
}

/// The producers of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerState {
    producers: BTreeMap<i64, ProducerEntry>,
    /// First offset → producer of the transactions that are open.
    ongoing: BTreeMap<i64, i64>,
    /// First offset → marker's offset of those that have ended above the high watermark.
    unreplicated: BTreeMap<i64, i64>,
    /// All batches below are accounted for.
    map_end_offset: i64,
}

impl ProducerState {
    /// No producers, from `offset` on.
    pub fn starting_at(offset: i64) -> Self {
        Self { map_end_offset: offset, ..Self::default() }
    }

    /// This state, restricted to one producer.
    pub(super) fn only(&self, producer_id: i64) -> Self {
        let entry = self.producers.get(&producer_id).map(|entry| (producer_id, entry.clone()));
        Self { producers: entry.into_iter().into_map(), ..Self::default() }
    }

    /// Whether a batch may be appended. `marker` is what a control batch holds.
    pub fn check(
        &self,
        header: &BatchHeader,
        marker: Option<&Marker>,
        origin: AppendOrigin,
    ) -> Result<Checked, LogError> {
        if !header.has_producer_id() {
            return Ok(Checked::New);
        }
        let unknown = ProducerEntry::default();
        let entry = self.producers.get(&header.producer_id).unwrap_or(&unknown);
        if header.is_control() {
            marker.map_or(Ok(()), |marker| entry.check_marker(header, marker, origin))?;
        } else {
            if origin == AppendOrigin::Client
                && let Some(duplicate) = entry.duplicate_of(header)
            {
                return Ok(Checked::Duplicate(duplicate));
            }
            entry.check_data(header, origin)?;
        }
        Ok(Checked::New)
    }

    /// Takes account of a batch with its final offsets.
    pub fn append(&mut self, header: &BatchHeader, marker: Option<&Marker>) -> Option<CompletedTxn> {
        self.map_end_offset = header.next_offset();
        if !header.has_producer_id() || (header.is_control() && marker.is_none()) {
            return None;
        }
        let producer_id = header.producer_id;
        let entry = self.producers.entry(producer_id).or_default();
        let Some(marker) = marker.filter(|_| header.is_control()) else {
            entry.append_data(header);
            if entry.current_txn_first_offset == Some(header.base_offset) {
                self.ongoing.insert(header.base_offset, producer_id);
            }
            return None;
        };
        entry.set_epoch(header.producer_epoch);
        entry.coordinator_epoch = marker.marker.coordinator_epoch;
        entry.last_timestamp = marker.timestamp;
        let first_offset = entry.current_txn_first_offset.take()?;
        let is_aborted = !marker.marker.is_commit;
        Some(CompletedTxn { producer_id, first_offset, last_offset: header.base_offset, is_aborted })
    }

    /// The last stable offset once `completed` is complete.
    pub fn last_stable_offset_after(&self, completed: &CompletedTxn) -> i64 {
        let other = self.ongoing.iter().find(|(_, producer_id)| **producer_id != completed.producer_id);
        other.map_or(completed.last_offset.saturating_add(1), |(first_offset, _)| *first_offset)
    }

    /// The transaction is over; it is stable once the high watermark has passed its marker.
    pub fn complete(&mut self, completed: &CompletedTxn) {
        self.ongoing.remove(&completed.first_offset);
        self.unreplicated.insert(completed.first_offset, completed.last_offset);
    }

    /// Everything below `high_watermark` is replicated.
    pub fn high_watermark_advanced(&mut self, high_watermark: i64) {
        self.unreplicated.retain(|_, last_offset| *last_offset >= high_watermark);
    }

    /// Where the first transaction begins that is open, or whose end is not replicated.
    pub fn first_unstable_offset(&self) -> Option<i64> {
        let ongoing = self.ongoing.first_key_value();
        let unreplicated = self.unreplicated.first_key_value();
        ongoing.into_iter().chain(unreplicated).map(|(first_offset, _)| *first_offset).min()
    }

    /// Where the first transaction begins that is open.
    pub fn first_undecided_offset(&self) -> Option<i64> {
        self.ongoing.first_key_value().map(|(first_offset, _)| *first_offset)
    }

    /// Everything below is accounted for.
    pub fn map_end_offset(&self) -> i64 {
        self.map_end_offset
    }

    /// Accounts for everything below `offset`.
    pub fn set_map_end_offset(&mut self, offset: i64) {
        self.map_end_offset = offset;
    }

    /// The log now starts at `log_start_offset`. Entries stay until they expire.
    pub fn log_start_offset_advanced(&mut self, log_start_offset: i64) {
        self.high_watermark_advanced(log_start_offset);
        self.map_end_offset = self.map_end_offset.max(log_start_offset);
    }

    /// Forgets producers that have been silent for `producer.id.expiration.ms` and have no transaction open.
    pub fn remove_expired(&mut self, now_ms: Timestamp, expiration_ms: i64) {
        self.producers.retain(|_, entry| !entry.is_expired(now_ms, expiration_ms));
    }

    /// All producers, by id.
    pub fn producers(&self) -> impl Iterator<Item = (i64, &ProducerEntry)> {
        self.producers.iter().map(|(producer_id, entry)| (*producer_id, entry))
    }

    /// One producer.
    pub fn producer(&self, producer_id: i64) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty() && self.unreplicated.is_empty()
    }

    /// Adds a producer from a snapshot.
    pub fn load(&mut self, producer_id: i64, entry: ProducerEntry) {
        if let Some(first_offset) = entry.current_txn_first_offset {
            self.ongoing.insert(first_offset, producer_id);
        }
        self.producers.insert(producer_id, entry);
    }
}
