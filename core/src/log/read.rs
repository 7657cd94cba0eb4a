//! Reading: slices of the log, never bytes.

use super::error::LogError;
use super::log::{Log, LogOffsetMetadata, SegmentPosition};
use super::segment::{BatchAt, Segment};
use super::store::LogStore;
use super::txn_index::AbortedTxn;

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchIsolation {
    /// To the end of the log: followers.
    LogEnd,
    /// To the high watermark: `read_uncommitted` consumers.
    HighWatermark,
    /// To the last stable offset: `read_committed` consumers, who are also told what was aborted.
    TxnCommitted,
}

/// Where a reader stands, so that the next read in sequence finds its position without a search. Void hints are
/// harmless: they are recognised and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadHint {
    offset: i64,
    at: SegmentPosition,
    /// A slot of the segment's offset index at or before the position.
    slot: u32,
    layout: u32,
}

/// Readers that a log remembers.
const READERS_MAX: usize = 8;

/// Where the last readers of a log stand, so that those who follow the log find their place without a search even if they
/// bring no hint. Empty until somebody reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Readers {
    hints: Vec<ReadHint>,
    /// The one to be forgotten next.
    oldest: usize,
}

impl Readers {
    fn find(&self, offset: i64, layout: u32) -> Option<ReadHint> {
        self.hints.iter().find(|hint| hint.offset == offset && hint.layout == layout).copied()
    }

    fn remember(&mut self, hint: ReadHint) {
        if self.hints.contains(&hint) {
            return;
        }
        if self.hints.len() < READERS_MAX {
            self.hints.push(hint);
        } else if let Some(forgotten) = self.hints.get_mut(self.oldest) {
            *forgotten = hint;
            self.oldest = self.oldest.saturating_add(1) % READERS_MAX;
        }
    }
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct FetchDataInfo<L> {
    /// Where the read began: the start of the batch that holds the offset asked for.
    pub fetch_offset: LogOffsetMetadata,
    /// Whole batches; `None` when there are none to be seen, or the first one is larger than `max_bytes`.
    pub records: Option<L>,
    /// Bytes in `records`.
    pub size: u64,
    /// The first batch is larger than `max_bytes`, and so was left out.
    pub first_entry_incomplete: bool,
    /// For `TxnCommitted`: the transactions aborted among these records, in the order of their first offsets.
    pub aborted_transactions: Vec<AbortedTxn>,
    /// For the next read in sequence.
    pub next: Option<ReadHint>,
}

impl<S: LogStore> Log<S> {
    /// Reads whole batches from the one that holds `offset` on (so the first may begin below it), within one segment and up to `max_bytes`.
    /// With `min_one_message` the first batch is returned whatever its size.
    ///
    /// Errors: [`LogError::OffsetOutOfRange`] below the log start offset and above the log end offset; between what
    /// `isolation` shows and the log end there is just nothing to be seen.
    pub fn read(
        &mut self,
        store: &mut S,
        offset: i64,
        max_bytes: u64,
        isolation: FetchIsolation,
        min_one_message: bool,
        hint: Option<&ReadHint>,
    ) -> Result<FetchDataInfo<S::Slice>, LogError> {
        self.check_range(offset)?;
        let bound = self.upper_bound(store, isolation)?;
        if offset >= bound.offset {
            return Ok(nothing(if offset == bound.offset { bound } else { self.log_end_offset_metadata() }));
        }
        let Some((index, start)) = self.find_start(store, offset, hint)? else {
            return Ok(nothing(self.log_end_offset_metadata()));
        };
        let Some(segment) = self.segments.get(index) else { return Ok(nothing(bound)) };
        let segment_base_offset = segment.base_offset;
        let fetch_offset = LogOffsetMetadata {
            offset,
            at: SegmentPosition { segment_base_offset, position: start.position },
        };
        let end = if segment_base_offset == bound.at.segment_base_offset {
            bound.at.position
        } else {
            segment.size
        };
        let stop = match end.checked_sub(start.position) {
            None | Some(0) => return Ok(nothing(fetch_offset)),
            Some(available) if available <= max_bytes => {
                Stop { position: end, next_offset: None, slot: start.slot }
            }
            Some(_) => match self.stop_within(store, segment, &start, max_bytes, min_one_message)? {
                Some(stop) => stop,
                None => return Ok(FetchDataInfo { first_entry_incomplete: true, ..nothing(fetch_offset) }),
            },
        };
        let next = self.hint(segment, index, &stop, (end, bound.offset));
        let size = stop.position.saturating_sub(start.position);
        let records = segment.slice(store, start.position..stop.position)?;
        if let Some(next) = next {
            self.readers.remember(next);
        }
        let aborted_transactions = match isolation {
            FetchIsolation::TxnCommitted => {
                let upper = next.map_or(bound.offset, |next| next.offset).min(bound.offset);
                self.aborted_between(store, index, offset, upper)?
            }
            FetchIsolation::LogEnd | FetchIsolation::HighWatermark => Vec::new(),
        };
        Ok(FetchDataInfo {
            fetch_offset,
            records: Some(records),
            size,
            first_entry_incomplete: false,
            aborted_transactions,
            next,
        })
    }

    /// The first offset that `isolation` hides, and where it is.
    pub fn upper_bound(
        &mut self,
        store: &mut S,
        isolation: FetchIsolation,
    ) -> Result<LogOffsetMetadata, LogError> {
        let offset = match isolation {
            FetchIsolation::LogEnd => return Ok(self.log_end_offset_metadata()),
            FetchIsolation::HighWatermark => self.high_watermark,
            FetchIsolation::TxnCommitted => self.last_stable_offset(),
        };
        if offset != self.high_watermark {
            return self.offset_metadata(store, offset);
        }
        if let Some(at) = self.high_watermark_position {
            return Ok(LogOffsetMetadata { offset, at });
        }
        let metadata = self.offset_metadata(store, offset)?;
        self.high_watermark_position = Some(metadata.at);
        Ok(metadata)
    }

    /// Where `offset` is. An offset at the end of a segment is at the start of the next.
    ///
    /// Errors: [`LogError::OffsetOutOfRange`].
    pub fn offset_metadata(&mut self, store: &mut S, offset: i64) -> Result<LogOffsetMetadata, LogError> {
        self.check_range(offset)?;
        if offset == self.log_end_offset {
            return Ok(self.log_end_offset_metadata());
        }
        if let Some(at) = self.high_watermark_position.filter(|_| offset == self.high_watermark) {
            return Ok(LogOffsetMetadata { offset, at });
        }
        match self.find_start(store, offset, None)? {
            Some((index, start)) => {
                let segment_base_offset = self.segments.get(index).map_or(0, |segment| segment.base_offset);
                let at = SegmentPosition { segment_base_offset, position: start.position };
                self.readers.remember(ReadHint { offset, at, slot: start.slot, layout: self.layout });
                Ok(LogOffsetMetadata { offset, at })
            }
            None => Ok(self.log_end_offset_metadata()),
        }
    }

    /// Bytes from one position to a later one; what `fetch.min.bytes` counts.
    pub fn bytes_between(&self, from: SegmentPosition, to: SegmentPosition) -> u64 {
        if from.segment_base_offset == to.segment_base_offset {
            return to.position.saturating_sub(from.position);
        }
        let between = |segment: &&Segment<S::File>| {
            (from.segment_base_offset..to.segment_base_offset).contains(&segment.base_offset)
        };
        let sizes =
            self.segments.iter().filter(between).fold(0_u64, |sum, segment| sum.saturating_add(segment.size));
        sizes.saturating_sub(from.position).saturating_add(to.position)
    }

    pub(super) fn check_range(&self, offset: i64) -> Result<(), LogError> {
        if (self.log_start_offset..=self.log_end_offset).contains(&offset) {
            return Ok(());
        }
        Err(LogError::OffsetOutOfRange {
            offset,
            log_start_offset: self.log_start_offset,
            upper_bound: self.log_end_offset,
        })
    }

    /// The batch that holds `offset`, or the first after it: its segment (by index) and position.
    fn find_start(
        &self,
        store: &mut S,
        offset: i64,
        hint: Option<&ReadHint>,
    ) -> Result<Option<(usize, Start)>, LogError> {
        let Some(mut index) = self.segment_index(offset) else { return Ok(None) };
        let given = hint.filter(|hint| hint.offset == offset && hint.layout == self.layout).copied();
        if let Some(hint) = given.or_else(|| self.readers.find(offset, self.layout))
            && let Some(segment) = self.segments.get(index)
            && segment.base_offset == hint.at.segment_base_offset
            && hint.at.position < segment.size
        {
            return Ok(Some((index, Start { position: hint.at.position, slot: hint.slot, first: None })));
        }
        while let Some(segment) = self.segments.get(index) {
            let planted = self.config.planted.is(crate::sim::mutation::Mutation::LookupOffByOne);
            let wanted = offset.saturating_add(i64::from(planted));
            let found = segment.find(store, wanted).map_err(|error| error.in_dir(&self.dir))?;
            if let Some(first) = found {
                return Ok(Some((index, Start { position: first.position, slot: 0, first: Some(first) })));
            }
            index = index.saturating_add(1);
        }
        Ok(None)
    }

    /// Where a read of at most `max_bytes` ends; `None` if it may not have even one batch.
    fn stop_within(
        &self,
        store: &mut S,
        segment: &Segment<S::File>,
        start: &Start,
        max_bytes: u64,
        min_one_message: bool,
    ) -> Result<Option<Stop>, LogError> {
        let first = match start.first {
            Some(first) => Some(first),
            None => segment.batch_at(store, start.position).map_err(|error| error.in_dir(&self.dir))?,
        };
        let Some(first) = first else { return Ok(None) };
        let first_stop =
            Stop { position: first.end(), next_offset: Some(first.header.next_offset()), slot: start.slot };
        let end = start.position.saturating_add(max_bytes);
        if first.end() >= end {
            return Ok((min_one_message || first.end() == end).then_some(first_stop));
        }
        let boundary = segment
            .batch_boundary(store, start.slot, first.end(), end)
            .map_err(|error| error.in_dir(&self.dir))?;
        Ok(Some(Stop { position: boundary.position, next_offset: boundary.next_offset, slot: boundary.slot }))
    }

    /// The next read begins where this one stopped, in this segment or in the next.
    fn hint(
        &self,
        segment: &Segment<S::File>,
        index: usize,
        stop: &Stop,
        (end, bound): (u64, i64),
    ) -> Option<ReadHint> {
        let here = SegmentPosition { segment_base_offset: segment.base_offset, position: stop.position };
        let next = index.checked_add(1).and_then(|next| self.segments.get(next));
        let (offset, at, slot) = match (stop.next_offset, next) {
            (_, Some(next)) if stop.position == segment.size => {
                let at = SegmentPosition { segment_base_offset: next.base_offset, position: 0 };
                (next.base_offset, at, 0)
            }
            (Some(offset), _) => (offset, here, stop.slot),
            (None, _) if stop.position == end => (bound, here, stop.slot),
            (None, _) => return None,
        };
        Some(ReadHint { offset, at, slot, layout: self.layout })
    }

    /// The transactions aborted among the records of `from..to`, from the segment at `index` on.
    pub(super) fn aborted_between(
        &self,
        store: &mut S,
        index: usize,
        from: i64,
        to: i64,
    ) -> Result<Vec<AbortedTxn>, LogError> {
        let mut found = Vec::new();
        for segment in self.segments.iter().skip(index) {
            let mut complete = false;
            for aborted in segment.aborted(store).map_err(|error| error.in_dir(&self.dir))? {
                if aborted.last_offset >= from && aborted.first_offset < to {
                    found.push(aborted);
                }
                complete |= aborted.last_stable_offset >= to;
            }
            if complete {
                break;
            }
        }
        found.sort_by_key(|aborted| aborted.first_offset);
        Ok(found)
    }
}

struct Start {
    position: u64,
    slot: u32,
    first: Option<BatchAt>,
}

struct Stop {
    position: u64,
    next_offset: Option<i64>,
    slot: u32,
}

fn nothing<L>(fetch_offset: LogOffsetMetadata) -> FetchDataInfo<L> {
    FetchDataInfo {
        fetch_offset,
        records: None,
        size: 0,
        first_entry_incomplete: false,
        aborted_transactions: Vec::new(),
        next: None,
    }
}
