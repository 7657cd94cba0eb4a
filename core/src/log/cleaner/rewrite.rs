//! The second pass of a cleaning: segments are written anew, several small ones into one, and take the place of the old.

use std::collections::VecDeque;
use std::io::IoSlice;

use super::filter::Filter;
use super::offset_map::OffsetMap;
use super::reader::BatchReader;
use super::transactions::Transactions;
use super::{CleaningStats, Work, in_batch};
use crate::log::error::LogError;
use crate::log::file_names::CLEANED_SUFFIX;
use crate::log::log::Log;
use crate::log::segment::Segment;
use crate::log::store::{LogStore, StoreError};
use crate::log::txn_index::AbortedTxn;
use crate::record::{Batch, BatchHeader};
use crate::time::Timestamp;

/// A file of records is at most this long, for its index to hold all positions.
const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;

/// Segments that become one, by base offset; the new one has that of the first.
pub(super) type Group = VecDeque<i64>;

/// Divides the segments that begin below `end` into runs whose records and whose indexes fit into one segment, and whose offsets fit
/// into one index. What comes together is at most as large as a full segment, so that cleaning does not make ever smaller ones.
pub(super) fn groups<S: LogStore>(log: &Log<S>, end: i64, first_uncleanable_offset: i64) -> VecDeque<Group> {
    let segments = log.segments_between(i64::MIN, end);
    let nexts = segments.iter().skip(1).map(|segment| segment.base_offset).chain([first_uncleanable_offset]);
    let config = log.config();
    let mut groups: VecDeque<Group> = VecDeque::new();
    let mut sizes = [0_u64; 3];
    for (segment, next) in segments.iter().zip(nexts) {
        let own = segment.sizes();
        let mut together = own;
        for (sum, before) in together.iter_mut().zip(sizes) {
            *sum = sum.saturating_add(before);
        }
        let [records, offset_index, time_index] = together;
        let fits = |first: i64| {
            let reach = next.saturating_sub(1).saturating_sub(first);
            records <= config.segment_bytes
                && offset_index <= config.segment_index_bytes
                && time_index <= config.segment_index_bytes
                && (segment.size() == 0 || reach <= i64::from(i32::MAX))
        };
        match groups.back_mut().filter(|group| group.front().copied().is_some_and(fits)) {
            Some(group) => {
                group.push_back(segment.base_offset);
                sizes = together;
            }
            None => {
                groups.push_back(VecDeque::from([segment.base_offset]));
                sizes = own;
            }
        }
    }
    groups
}

/// A group on its way into one segment.
#[derive(Clone, Debug)]
pub(super) struct Rewrite<F> {
    /// All of it.
    pub sources: Group,
    /// Not walked over yet; the first is being.
    ahead: Group,
    reader: Option<BatchReader>,
    pub target: Segment<F>,
}

impl<F: Clone> Rewrite<F> {
    /// Creates the `.cleaned` files of the new segment. The group is not empty.
    pub fn start<S: LogStore<File = F>>(
        store: &mut S,
        log: &Log<S>,
        sources: Group,
        now_ms: Timestamp,
    ) -> Result<Self, LogError> {
        let base_offset = sources.front().copied().unwrap_or(0);
        discard(store, log, base_offset)?;
        let target = Segment::create_cleaned(store, log.dir(), base_offset, now_ms)?;
        Ok(Self { ahead: sources.clone(), sources, reader: None, target })
    }

    /// Writes on until the budget is spent. True when the new segment is whole, but for being durable.
    pub fn step<S: LogStore<File = F>>(
        &mut self,
        work: &mut Work<'_, S>,
        log: &Log<S>,
        map: &OffsetMap,
        transactions: &mut Transactions,
        rules: (Timestamp, i64),
        stats: &mut CleaningStats,
    ) -> Result<bool, LogError> {
        let (started_ms, first_uncleanable_offset) = rules;
        let filter = Filter {
            map,
            producers: log.producers(),
            now_ms: started_ms,
            delete_retention_ms: log.config().delete_retention_ms,
            first_uncleanable_offset,
        };
        let mut output = Output::default();
        while !work.is_done() {
            let Some(segment) = self.ahead.front().and_then(|base_offset| log.segment_at(*base_offset))
            else {
                break;
            };
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None => {
                    transactions.expect_aborted(log.aborted_in(work.store, segment.base_offset)?);
                    self.reader.insert(BatchReader::starting_at(0))
                }
            };
            let position = reader.position();
            let Some(batch) = work.next_batch(reader, segment)? else {
                self.reader = None;
                self.ahead.pop_front();
                continue;
            };
            stats.bytes_read = stats.bytes_read.saturating_add(batch.bytes().len() as u64);
            let cleaned = filter.clean(&batch, transactions, work.compressors, stats);
            let cleaned = cleaned.map_err(|error| in_batch(segment, position, &error))?;
            output.aborted.extend(cleaned.aborted);
            if let Some(bytes) = cleaned.batch {
                let batch = Batch::read(&bytes).map_err(|error| segment.corrupt(position, error))?;
                output.headers.push(*batch.header());
                output.bytes.extend_from_slice(&bytes);
            }
        }
        self.write(work, log, &output, stats)?;
        if !self.ahead.is_empty() {
            return Ok(false);
        }
        self.target.write_out_indexes(work.store, true)?;
        if let Some(last) = self.sources.back().and_then(|last| log.segment_at(*last)) {
            self.target.as_old_as(last);
        }
        Ok(true)
    }

    fn write<S: LogStore<File = F>>(
        &mut self,
        work: &mut Work<'_, S>,
        log: &Log<S>,
        output: &Output,
        stats: &mut CleaningStats,
    ) -> Result<(), LogError> {
        let bytes = output.bytes.len() as u64;
        let size = self.target.size().saturating_add(bytes);
        let last_offset = output.headers.last().map_or(self.target.base_offset, BatchHeader::last_offset);
        if size > SEGMENT_BYTES_MAX || !self.target.fits(last_offset) {
            return Err(LogError::LargerThanSegment { size, segment_bytes: log.config().segment_bytes });
        }
        let interval = log.config().index_interval_bytes;
        if bytes > 0 {
            let parts = [IoSlice::new(&output.bytes)];
            self.target.append(work.store, &parts, &output.headers, interval, 0)?;
        }
        for aborted in &output.aborted {
            self.target.append_aborted(work.store, log.dir(), CLEANED_SUFFIX, *aborted)?;
        }
        work.io_bytes = work.io_bytes.saturating_add(bytes);
        stats.bytes_written = stats.bytes_written.saturating_add(bytes);
        Ok(())
    }
}

/// What a step adds to the new segment.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    headers: Vec<BatchHeader>,
    aborted: Vec<AbortedTxn>,
}

/// Removes what was written for a group that begins with `base_offset`.
pub(super) fn discard<S: LogStore>(store: &mut S, log: &Log<S>, base_offset: i64) -> Result<(), StoreError> {
    for name in Segment::<S::File>::file_names(base_offset) {
        match store.remove(&format!("{}/{name}{CLEANED_SUFFIX}", log.dir())) {
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl<S: LogStore> Log<S> {
    /// The transactions aborted among the records of a segment.
    fn aborted_in(&self, store: &mut S, base_offset: i64) -> Result<Vec<AbortedTxn>, LogError> {
        let Some(index) = self.segment_index(base_offset) else { return Ok(Vec::new()) };
        let next = index.checked_add(1).and_then(|next| self.segments.get(next));
        let end = next.map_or(self.log_end_offset, |next| next.base_offset);
        self.aborted_between(store, index, base_offset, end)
    }
}
