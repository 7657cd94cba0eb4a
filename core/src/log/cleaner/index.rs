//! The first pass of a cleaning: which is the last offset of each key in the part of the log that is not compacted yet.

use std::collections::VecDeque;

use super::filter::read_marker;
use super::offset_map::OffsetMap;
use super::reader::BatchReader;
use super::transactions::Transactions;
use super::{Work, in_batch};
use crate::log::error::LogError;
use crate::log::log::Log;
use crate::log::segment::Segment;
use crate::log::store::LogStore;
use crate::record::{Batch, Compressors, RecordError, record_views};

/// A walk over the dirty segments.
#[derive(Clone, Debug)]
pub(super) struct Indexing {
    /// Records below are compacted.
    from: i64,
    /// The segments to walk over: base offset, and where the next one begins.
    ahead: VecDeque<(i64, i64)>,
    reader: Option<BatchReader>,
    transactions: Transactions,
}

impl Indexing {
    /// A walk over the segments that hold `from..to`; `to` is the beginning of one.
    pub fn start<S: LogStore>(store: &mut S, log: &Log<S>, from: i64, to: i64) -> Result<Self, LogError> {
        let segments = log.segments_between(from, to);
        let ends = segments.iter().skip(1).map(|segment| segment.base_offset).chain([to]);
        let ahead = segments.iter().map(|segment| segment.base_offset).zip(ends).collect();
        let mut transactions = Transactions::default();
        let first = log.segment_index(from).unwrap_or(0);
        transactions.expect_aborted(log.aborted_between(store, first, from, to)?);
        Ok(Self { from, ahead, reader: None, transactions })
    }

    /// Walks on until the budget is spent. True at the end, which is also where the map is full.
    pub fn step<S: LogStore>(
        &mut self,
        work: &mut Work<'_, S>,
        log: &Log<S>,
        map: &mut OffsetMap,
    ) -> Result<bool, LogError> {
        while !work.is_done() {
            let Some((base_offset, end)) = self.ahead.front().copied() else { return Ok(true) };
            let Some(segment) = log.segment_at(base_offset) else { return Ok(true) };
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None => {
                    let start = segment.offset_index.lookup(work.store, self.from)?;
                    self.reader.insert(BatchReader::starting_at(start.position))
                }
            };
            let position = reader.position();
            let Some(batch) = work.next_batch(reader, segment)? else {
                // Offsets that no batch has are no news.
                map.set_latest_offset(end.saturating_sub(1));
                self.reader = None;
                self.ahead.pop_front();
                continue;
            };
            let added = self.add(&batch, map, work.compressors);
            if !added.map_err(|error| in_batch(segment, position, &error))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts the keys of a batch into the map. False if it is full.
    fn add(
        &mut self,
        batch: &Batch,
        map: &mut OffsetMap,
        compressors: &Compressors,
    ) -> Result<bool, RecordError> {
        let header = batch.header();
        if header.is_control() {
            self.transactions.saw_control(header, read_marker(batch).as_ref());
        } else if !self.transactions.saw_batch(header) {
            let body = batch.uncompressed_body(compressors)?;
            for record in record_views(&body, header.records_count) {
                let record = record?;
                let offset = record.offset(header);
                let Some(key) = record.key.filter(|_| offset >= self.from) else { continue };
                if map.is_full() {
                    return Ok(false);
                }
                map.put(key, offset);
            }
        }
        if header.last_offset() >= self.from {
            map.set_latest_offset(header.last_offset());
        }
        Ok(true)
    }
}

impl<S: LogStore> Log<S> {
    /// The segments from the one that would hold `from` on, up to those that begin at `to` or later.
    pub(super) fn segments_between(&self, from: i64, to: i64) -> &[Segment<S::File>] {
        let first = self.segment_index(from).unwrap_or(0);
        let end = self.segments.partition_point(|segment| segment.base_offset < to);
        if from < to { self.segments.get(first..end).unwrap_or_default() } else { &[] }
    }

    /// The segment with this base offset.
    pub(super) fn segment_at(&self, base_offset: i64) -> Option<&Segment<S::File>> {
        let index = self.segments.binary_search_by_key(&base_offset, |segment| segment.base_offset).ok()?;
        self.segments.get(index)
    }
}
