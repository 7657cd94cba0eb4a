//! Appending: by a leader, which assigns offsets, and by a follower, which keeps them.

use std::collections::BTreeMap;
use std::io::IoSlice;

use super::error::LogError;
use super::log::{Log, LogOffsetMetadata};
use super::producer_state::{AppendOrigin, BatchMetadata, Checked, Marker, ProducerEntry, ProducerState};
use super::segment::{RollParams, Segment};
use super::store::LogStore;
use super::txn_index::AbortedTxn;
use crate::record::{BatchHeader, NO_SEQUENCE, TimestampType, ValidatedBatch, batch_views};
use crate::sim::mutation::Mutation;
use crate::time::{Now, Timestamp};

/// A batch to be appended by a leader: final but for base offset and leader epoch, which are outside its checksum.
#[derive(Clone, Copy, Debug)]
pub struct AppendBatch<'a> {
    /// The 61 bytes before the records.
    pub header: BatchHeader,
    /// The records, compressed or not.
    pub body: &'a [u8],
}

impl<'a> From<&'a ValidatedBatch> for AppendBatch<'a> {
    fn from(batch: &'a ValidatedBatch) -> Self {
        Self { header: *batch.header(), body: batch.body() }
    }
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogAppendInfo {
    /// Offset of the first record; of the batch that is in the log already, for a duplicate.
    pub first_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The largest timestamp; −1 without one.
    pub max_timestamp: Timestamp,
    /// The append time under LogAppendTime, else −1; of a duplicate, the timestamp of the batch that is there.
    pub log_append_time: Timestamp,
    /// The first offset of the log.
    pub log_start_offset: i64,
    /// The epoch of the last batch.
    pub last_leader_epoch: i32,
    /// Bytes written.
    pub size: u64,
    /// The batch was in the log already: nothing was written, and the answer is that of the first time.
    pub is_duplicate: bool,
    /// A new segment was begun, with the first of these records.
    pub has_rolled: bool,
    /// The log's end before.
    pub appended_at: LogOffsetMetadata,
}

/// Batches with their final offsets, about to be written.
struct Pending<'a> {
    headers: &'a [BatchHeader],
    markers: &'a [Option<Marker>],
    parts: &'a [IoSlice<'a>],
}

impl<S: LogStore> Log<S> {
    /// Appends batches, assigning offsets from the log's end on and `leader_epoch`. All or none are appended; a batch that is
    /// in the log already answers for all (a client sends one for each partition).
    ///
    /// Errors: see [`LogError`]; unless it is [`LogError::Store`], nothing has changed.
    pub fn append_as_leader(
        &mut self,
        store: &mut S,
        now: Now,
        leader_epoch: i32,
        origin: AppendOrigin,
        batches: &[AppendBatch<'_>],
    ) -> Result<LogAppendInfo, LogError> {
        if let [batch] = batches {
            let header = self.assign(&batch.header, self.log_end_offset, leader_epoch);
            let marker = marker(&header, batch.body);
            let mut checked = self.producers.check(&header, marker.as_ref(), origin)?;
            if self.config.planted.is(Mutation::DuplicateSequenceAccepted) {
                checked = Checked::New;
            }
            self.refuse_planted(&header, checked)?;
            if let Checked::Duplicate(duplicate) = checked {
                return Ok(self.duplicate(duplicate));
            }
            let stamped = header.to_array();
            let parts = [IoSlice::new(&stamped), IoSlice::new(batch.body)];
            return self.append(
                store,
                now,
                &Pending { headers: &[header], markers: &[marker], parts: &parts },
            );
        }
        let mut next_offset = self.log_end_offset;
        let mut headers = Vec::with_capacity(batches.len());
        let mut markers = Vec::with_capacity(batches.len());
        let mut checks = Checks::new(&self.producers);
        for batch in batches {
            let header = self.assign(&batch.header, next_offset, leader_epoch);
            let marker = marker(&header, batch.body);
            if let Checked::Duplicate(duplicate) = checks.check(&header, marker.as_ref(), origin)? {
                return Ok(self.duplicate(duplicate));
            }
            next_offset = header.next_offset();
            headers.push(header);
            markers.push(marker);
        }
        let stamped: Vec<_> = headers.iter().map(BatchHeader::to_array).collect();
        let parts: Vec<_> = stamped
            .iter()
            .zip(batches)
            .flat_map(|(stamped, batch)| [IoSlice::new(stamped), IoSlice::new(batch.body)])
            .collect();
        self.append(store, now, &Pending { headers: &headers, markers: &markers, parts: &parts })
    }

    /// Appends whole batches as a leader sent them, offsets and epochs included. What follows the last whole batch is ignored: a fetch
    /// may cut it off. Batches that end below the log's end are left out (they are in the log already), and so is what begins with a batch of an
    /// epoch above `leader_epoch`: the leader that wrote it is another one than was asked.
    ///
    /// Errors: [`LogError::InvalidRecords`] for bytes that are no batches or whose checksum is wrong,
    /// [`LogError::UnexpectedOffset`] for offsets that go back.
    pub fn append_as_follower(
        &mut self,
        store: &mut S,
        now: Now,
        leader_epoch: i32,
        records: &[u8],
    ) -> Result<LogAppendInfo, LogError> {
        let mut headers = Vec::new();
        let mut markers = Vec::new();
        let mut next_offset = self.log_end_offset;
        let (mut start, mut end) = (0_usize, 0_usize);
        for batch in batch_views(records) {
            let batch = match batch {
                Ok(batch) => batch,
                Err(crate::record::BatchError::Incomplete { .. }) => break,
                Err(error) => return Err(LogError::InvalidRecords(error.to_string())),
            };
            if batch.partition_leader_epoch > leader_epoch {
                break;
            }
            batch.check_crc().map_err(|error| LogError::InvalidRecords(error.to_string()))?;
            end = end.saturating_add(batch.bytes().len());
            if headers.is_empty() && batch.last_offset() < self.log_end_offset {
                start = end;
                continue;
            }
            if batch.base_offset < next_offset || batch.last_offset_delta < 0 {
                return Err(LogError::UnexpectedOffset {
                    first_offset: batch.base_offset,
                    log_end_offset: next_offset,
                });
            }
            next_offset = batch.next_offset();
            markers.push(marker(batch.header(), batch.body()));
            headers.push(*batch.header());
        }
        let size = |headers: &[BatchHeader]| headers.iter().map(BatchHeader::size_in_bytes).sum::<usize>();
        let mut done: Option<LogAppendInfo> = None;
        let (mut headers, mut markers) = (headers.as_slice(), markers.as_slice());
        loop {
            // The leader's segments may be larger than this log's.
            let segment_bytes = usize::try_from(self.config.segment_bytes).unwrap_or(usize::MAX);
            let mut count = headers.len();
            while count > 1 && headers.get(..count).is_some_and(|some| size(some) > segment_bytes) {
                count /= 2;
            }
            let (Some((some, others)), Some((their_markers, other_markers))) =
                (headers.split_at_checked(count), markers.split_at_checked(count))
            else {
                break;
            };
            let stop = start.saturating_add(size(some));
            let parts = [IoSlice::new(records.get(start..stop).unwrap_or_default())];
            let info =
                self.append(store, now, &Pending { headers: some, markers: their_markers, parts: &parts })?;
            done = Some(match done {
                None => info,
                Some(before) => LogAppendInfo {
                    first_offset: before.first_offset,
                    max_timestamp: before.max_timestamp.max(info.max_timestamp),
                    size: before.size.saturating_add(info.size),
                    has_rolled: before.has_rolled || info.has_rolled,
                    appended_at: before.appended_at,
                    ..info
                },
            });
            (headers, markers, start) = (others, other_markers, stop);
            if headers.is_empty() {
                break;
            }
        }
        if self.config.planted.is(Mutation::FollowerForgetsProducers) {
            self.producers = ProducerState::default();
            self.producers.set_map_end_offset(self.log_end_offset);
        }
        Ok(done.unwrap_or_else(|| self.nothing_appended()))
    }

    /// The planted bugs that refuse a sequence that is right.
    fn refuse_planted(&self, header: &BatchHeader, checked: Checked) -> Result<(), LogError> {
        let planted = self.config.planted;
        let (producer_id, first_sequence) = (header.producer_id, header.base_sequence);
        let last_sequence =
            || self.producers.producer(producer_id).map_or(NO_SEQUENCE, ProducerEntry::last_sequence);
        let refused = match checked {
            Checked::Duplicate(_) => planted.is(Mutation::DuplicateRefused),
            Checked::New => planted.is(Mutation::SequenceNeverWraps) && last_sequence() > first_sequence,
        };
        if refused {
            let last_sequence = last_sequence();
            return Err(LogError::OutOfOrderSequence { producer_id, first_sequence, last_sequence });
        }
        Ok(())
    }

    fn assign(&self, header: &BatchHeader, base_offset: i64, leader_epoch: i32) -> BatchHeader {
        BatchHeader { base_offset, partition_leader_epoch: leader_epoch, ..*header }
    }

    fn append(&mut self, store: &mut S, now: Now, pending: &Pending<'_>) -> Result<LogAppendInfo, LogError> {
        let appended_at = self.log_end_offset_metadata();
        let (Some(first), Some(last)) = (pending.headers.first(), pending.headers.last()) else {
            return Ok(self.nothing_appended());
        };
        let size =
            pending.headers.iter().fold(0_u64, |size, h| size.saturating_add(h.size_in_bytes() as u64));
        if size > self.config.segment_bytes {
            return Err(LogError::LargerThanSegment { size, segment_bytes: self.config.segment_bytes });
        }
        let max_timestamp = pending.headers.iter().map(|header| header.max_timestamp).max().unwrap_or(-1);
        let append = RollParams {
            size,
            max_timestamp,
            last_offset: last.last_offset(),
            now_ms: now.wall,
            jitter_ms: self.roll_jitter_ms(),
        };
        let has_rolled = self.active().is_none_or(|active| active.should_roll(&self.config, append));
        if has_rolled {
            self.roll(store, now, first.base_offset)?;
        }
        let Some(active) = self.segments.last_mut() else { return Ok(self.nothing_appended()) };
        let interval = self.config.index_interval_bytes;
        active.append(store, pending.parts, pending.headers, interval, now.wall)?;
        self.log_end_offset = last.next_offset();
        if self.config.planted.is(Mutation::OffsetSkipped) && last.last_offset() % 7 == 6 {
            self.log_end_offset = last.next_offset().saturating_add(1);
        }
        self.account(store, pending)?;
        Ok(LogAppendInfo {
            first_offset: first.base_offset,
            last_offset: last.last_offset(),
            max_timestamp,
            log_append_time: match last.timestamp_type() {
                TimestampType::LogAppendTime => last.max_timestamp,
                TimestampType::CreateTime => -1,
            },
            log_start_offset: self.log_start_offset,
            last_leader_epoch: last.partition_leader_epoch,
            size,
            is_duplicate: false,
            has_rolled,
            appended_at,
        })
    }

    /// Leader epochs, producers and aborted transactions of what was written.
    fn account(&mut self, store: &mut S, pending: &Pending<'_>) -> Result<(), LogError> {
        for (header, marker) in pending.headers.iter().zip(pending.markers) {
            if self.epochs.latest_epoch().is_none_or(|latest| header.partition_leader_epoch > latest) {
                self.assign_epoch_start_offset(header.partition_leader_epoch, header.base_offset);
            }
            let Some(completed) = self.producers.append(header, marker.as_ref()) else { continue };
            if completed.is_aborted
                && let Some(active) = self.segments.last_mut()
            {
                let aborted = AbortedTxn {
                    producer_id: completed.producer_id,
                    first_offset: completed.first_offset,
                    last_offset: completed.last_offset,
                    last_stable_offset: self.producers.last_stable_offset_after(&completed),
                };
                self.directory_changed |= active.txn_index.is_none();
                // The marker is in the log already.
                active.append_aborted(store, &self.dir, "", aborted).map_err(LogError::HalfDone)?;
            }
            self.producers.complete(&completed);
        }
        if self.epochs_unwritten.is_some() {
            self.write_epochs(store)?;
        }
        Ok(())
    }

    /// Begins a new segment at the log's end or, where a follower's log has a hole, at the first offset after it.
    pub fn roll(&mut self, store: &mut S, now: Now, first_offset: i64) -> Result<(), LogError> {
        let base_offset = first_offset.max(self.log_end_offset);
        if let Some(active) = self.segments.last_mut() {
            if active.base_offset == base_offset {
                // An empty segment that may not take the batch (its `segment.ms` is counted anew).
                self.segments.pop();
            } else {
                active.write_out_indexes(store, true)?;
            }
        }
        if self.config.planted.is(Mutation::ProducersForgottenOnRoll) {
            self.producers = ProducerState::default();
        }
        self.producers.set_map_end_offset(base_offset);
        self.take_producer_snapshot(store)?;
        self.segments.push(Segment::create(store, &self.dir, base_offset, now.wall)?);
        self.directory_changed = true;
        self.rolled = true;
        if self.high_watermark == self.log_end_offset {
            self.high_watermark_position = None;
        }
        Ok(())
    }

    fn duplicate(&self, duplicate: BatchMetadata) -> LogAppendInfo {
        LogAppendInfo {
            first_offset: duplicate.first_offset(),
            last_offset: duplicate.last_offset,
            max_timestamp: duplicate.timestamp,
            // Kafka tells it whatever the topic's timestamp type.
            log_append_time: duplicate.timestamp,
            is_duplicate: true,
            ..self.nothing_appended()
        }
    }

    fn nothing_appended(&self) -> LogAppendInfo {
        LogAppendInfo {
            first_offset: -1,
            last_offset: -1,
            max_timestamp: -1,
            log_append_time: -1,
            log_start_offset: self.log_start_offset,
            last_leader_epoch: -1,
            size: 0,
            is_duplicate: false,
            has_rolled: false,
            appended_at: self.log_end_offset_metadata(),
        }
    }
}

/// Checks of several batches, each against the state that the ones before it will leave.
struct Checks<'a> {
    before: &'a ProducerState,
    after: BTreeMap<i64, ProducerState>,
}

impl<'a> Checks<'a> {
    fn new(before: &'a ProducerState) -> Self {
        Self { before, after: BTreeMap::new() }
    }

    fn check(
        &mut self,
        header: &BatchHeader,
        marker: Option<&Marker>,
        origin: AppendOrigin,
    ) -> Result<Checked, LogError> {
        if !header.has_producer_id() {
            return Ok(Checked::New);
        }
        let before = self.before;
        let state = self.after.entry(header.producer_id).or_insert_with(|| before.only(header.producer_id));
        let checked = state.check(header, marker, origin)?;
        if checked == Checked::New {
            state.append(header, marker);
        }
        Ok(checked)
    }
}

fn marker(header: &BatchHeader, body: &[u8]) -> Option<Marker> {
    (header.is_control() && header.has_producer_id()).then(|| Marker::read(header, body))?
}
