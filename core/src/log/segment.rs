//! A segment: a stretch of the log in one `.log` file, with its indexes beside it.

use std::io::IoSlice;
use std::ops::Range;

use super::LogConfig;
use super::error::LogError;
use super::file_names::{
    self, CLEANED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX,
};
use super::offset_index::{OFFSET_INDEX_ENTRY_SIZE, OffsetIndex};
use super::store::{LogStore, StoreError};
use super::time_index::{TIME_INDEX_ENTRY_SIZE, TimeIndex, TimestampOffset};
use super::txn_index::{self, AbortedTxn};
use crate::record::{BATCH_HEADER_SIZE, BatchError, BatchHeader};
use crate::time::Timestamp;

/// Offsets of a segment are within this of its base offset, so that indexes can hold them.
const RELATIVE_OFFSET_MAX: i64 = i32::MAX as i64;

/// One segment. `F` is the store's file handle.
#[derive(Clone, Debug)]
pub struct Segment<F> {
    /// The offset in the file names: no record is below it.
    pub base_offset: i64,
    pub(super) log: F,
    pub(super) size: u64,
    pub(super) offset_index: OffsetIndex<F>,
    pub(super) time_index: TimeIndex<F>,
    pub(super) txn_index: Option<F>,
    /// The newest timestamp and the last offset of the first batch that has it; −1 before there is one.
    pub(super) newest: TimestampOffset,
    pub(super) bytes_since_last_index_entry: u64,
    /// Wall clock: when the first record's timestamp is not known, `segment.ms` counts from here.
    created_ms: Timestamp,
    /// Wall clock of the last append, or of opening.
    last_modified_ms: Timestamp,
    /// Largest timestamp of the first batch; `segment.ms` counts from it.
    pub(super) rolling_based_timestamp: Option<Timestamp>,
}

/// A batch and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAt {
    /// Bytes from the start of the segment.
    pub position: u64,
    /// The batch's header.
    pub header: BatchHeader,
}

impl BatchAt {
    /// The position after the batch.
    pub fn end(&self) -> u64 {
        self.position.saturating_add(self.header.size_in_bytes() as u64)
    }
}

/// What is known about an append before it happens.
#[derive(Clone, Copy, Debug)]
pub struct RollParams {
    /// Bytes to append.
    pub size: u64,
    /// The largest timestamp in them; −1 for none.
    pub max_timestamp: Timestamp,
    /// Their last offset.
    pub last_offset: i64,
    /// The wall clock.
    pub now_ms: Timestamp,
    /// Taken off `segment.ms`.
    pub jitter_ms: i64,
}

impl<F: Clone> Segment<F> {
    /// Creates the files of a new segment, replacing any of the same name that a crash left behind.
    pub fn create<S: LogStore<File = F>>(
        store: &mut S,
        dir: &str,
        base_offset: i64,
        now_ms: Timestamp,
    ) -> Result<Self, LogError> {
        Self::create_as(store, dir, base_offset, "", now_ms)
    }

    /// [`Segment::create`] for the cleaner: files whose names end with `.cleaned`.
    pub(super) fn create_cleaned<S: LogStore<File = F>>(
        store: &mut S,
        dir: &str,
        base_offset: i64,
        now_ms: Timestamp,
    ) -> Result<Self, LogError> {
        Self::create_as(store, dir, base_offset, CLEANED_SUFFIX, now_ms)
    }

    fn create_as<S: LogStore<File = F>>(
        store: &mut S,
        dir: &str,
        base_offset: i64,
        ending: &str,
        now_ms: Timestamp,
    ) -> Result<Self, LogError> {
        let clear = |store: &mut S, suffix: &str| {
            let path = format!("{}{ending}", path(dir, base_offset, suffix));
            match store.remove(&path) {
                Ok(()) | Err(StoreError::NotFound) => Ok(path),
                Err(error) => Err(error),
            }
        };
        let create = |store: &mut S, suffix: &str| {
            let path = clear(store, suffix)?;
            store.create(&path)
        };
        // Created with the first transaction that is aborted.
        clear(store, TXN_INDEX_SUFFIX)?;
        let log = create(store, LOG_SUFFIX)?;
        let index = create(store, INDEX_SUFFIX)?;
        let time_index = create(store, TIME_INDEX_SUFFIX)?;
        Self::assemble(store, base_offset, (log, 0), (index, 0), (time_index, 0), None, now_ms)
    }

    /// Opens the files of a segment; indexes that are missing are created empty. Nothing is checked.
    pub fn open<S: LogStore<File = F>>(
        store: &mut S,
        dir: &str,
        base_offset: i64,
        now_ms: Timestamp,
    ) -> Result<Self, LogError> {
        let open = |store: &mut S, suffix: &str| {
            let path = path(dir, base_offset, suffix);
            let file = match store.open(&path) {
                Err(StoreError::NotFound) if suffix != LOG_SUFFIX => store.create(&path)?,
                opened => opened?,
            };
            let len = store.len(&file)?;
            Ok::<_, StoreError>((file, len))
        };
        let log = open(store, LOG_SUFFIX)?;
        let index = open(store, INDEX_SUFFIX)?;
        let time_index = open(store, TIME_INDEX_SUFFIX)?;
        let txn_index = match store.open(&path(dir, base_offset, TXN_INDEX_SUFFIX)) {
            Ok(file) => Some(file),
            Err(StoreError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        Self::assemble(store, base_offset, log, index, time_index, txn_index, now_ms)
    }

    fn assemble<S: LogStore<File = F>>(
        store: &mut S,
        base_offset: i64,
        (log, size): (F, u64),
        (index, index_len): (F, u64),
        (time_index, time_index_len): (F, u64),
        txn_index: Option<F>,
        now_ms: Timestamp,
    ) -> Result<Self, LogError> {
        let time_index = TimeIndex::open(store, time_index, base_offset, time_index_len)?;
        Ok(Self {
            base_offset,
            log,
            size,
            offset_index: OffsetIndex::open(store, index, base_offset, index_len)?,
            newest: time_index.last(),
            time_index,
            txn_index,
            bytes_since_last_index_entry: 0,
            created_ms: now_ms,
            last_modified_ms: now_ms,
            rolling_based_timestamp: None,
        })
    }

    /// Bytes of records.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of records, of the offset index and of the time index.
    pub fn sizes(&self) -> [u64; 3] {
        let bytes = |entries: u32, size: usize| u64::from(entries).saturating_mul(size as u64);
        [
            self.size,
            bytes(self.offset_index.entries(), OFFSET_INDEX_ENTRY_SIZE),
            bytes(self.time_index.entries(), TIME_INDEX_ENTRY_SIZE),
        ]
    }

    /// The newest timestamp; the time of the last append if no record has one.
    pub fn largest_timestamp(&self) -> Timestamp {
        if self.newest.timestamp >= 0 { self.newest.timestamp } else { self.last_modified_ms }
    }

    /// The largest timestamp of the first batch; `None` without one.
    pub(super) fn first_batch_timestamp<S: LogStore<File = F>>(
        &mut self,
        store: &mut S,
    ) -> Result<Option<Timestamp>, LogError> {
        if self.rolling_based_timestamp.is_none() {
            let first = self.batch_at(store, 0)?.map(|first| first.header.max_timestamp);
            self.rolling_based_timestamp = first.filter(|timestamp| *timestamp >= 0);
        }
        Ok(self.rolling_based_timestamp)
    }

    /// Takes over the age of a segment that this one stands for.
    pub(super) fn as_old_as(&mut self, original: &Self) {
        self.last_modified_ms = original.last_modified_ms;
    }

    /// Whether the next batches belong into a new segment.
    pub fn should_roll(&self, config: &LogConfig, append: RollParams) -> bool {
        let waited = match self.rolling_based_timestamp {
            Some(first) if append.max_timestamp >= 0 => append.max_timestamp.saturating_sub(first),
            _ => append.now_ms.saturating_sub(self.created_ms),
        };
        let overdue = waited > config.segment_ms.saturating_sub(append.jitter_ms);
        self.size > config.segment_bytes.saturating_sub(append.size)
            || (self.size > 0 && overdue)
            || self.offset_index.is_full(config.segment_index_bytes)
            || self.time_index.is_full(config.segment_index_bytes)
            || !self.fits(append.last_offset)
    }

    /// Whether the indexes can hold `offset`.
    pub fn fits(&self, offset: i64) -> bool {
        (0..=RELATIVE_OFFSET_MAX).contains(&offset.saturating_sub(self.base_offset))
    }

    /// Appends batches, whose bytes are `parts`, and indexes them. Nothing has happened if it fails.
    pub fn append<S: LogStore<File = F>>(
        &mut self,
        store: &mut S,
        parts: &[IoSlice<'_>],
        headers: &[BatchHeader],
        index_interval_bytes: u64,
        now_ms: Timestamp,
    ) -> Result<(), StoreError> {
        self.offset_index.reserve(store)?;
        self.time_index.reserve(store)?;
        store.append(&self.log, parts)?;
        let mut position = self.size;
        for header in headers {
            self.index_batch(&BatchAt { position, header: *header }, index_interval_bytes);
            position = position.saturating_add(header.size_in_bytes() as u64);
        }
        self.size = position;
        self.last_modified_ms = now_ms;
        Ok(())
    }

    /// Notes a batch that is in the file; the indexes get an entry about every `index_interval_bytes`.
    pub(super) fn index_batch(&mut self, batch: &BatchAt, index_interval_bytes: u64) {
        let header = &batch.header;
        if batch.position == 0 && header.max_timestamp >= 0 {
            self.rolling_based_timestamp = Some(header.max_timestamp);
        }
        if header.max_timestamp > self.newest.timestamp {
            self.newest = TimestampOffset { timestamp: header.max_timestamp, offset: header.last_offset() };
        }
        if self.bytes_since_last_index_entry > index_interval_bytes {
            self.offset_index.push(header.last_offset(), batch.position);
            self.time_index.push(self.newest);
            self.bytes_since_last_index_entry = 0;
        }
        self.bytes_since_last_index_entry =
            self.bytes_since_last_index_entry.saturating_add(header.size_in_bytes() as u64);
    }

    /// Writes what the indexes hold back; with `closing`, the newest timestamp gets its entry first. False if they held
    /// nothing back.
    pub fn write_out_indexes<S: LogStore<File = F>>(
        &mut self,
        store: &mut S,
        closing: bool,
    ) -> Result<bool, StoreError> {
        if closing && self.newest.timestamp >= 0 {
            self.time_index.push(self.newest);
        }
        let offsets = self.offset_index.write_out(store)?;
        Ok(self.time_index.write_out(store)? || offsets)
    }

    /// The header of the batch at `position`; `None` at the end of the segment.
    pub fn batch_at<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        position: u64,
    ) -> Result<Option<BatchAt>, LogError> {
        if position >= self.size {
            return Ok(None);
        }
        let mut bytes = [0; BATCH_HEADER_SIZE];
        let read = store.read_at(&self.log, position, &mut bytes)?;
        let batch = BatchHeader::read(bytes.get(..read).unwrap_or_default())
            .map(|header| BatchAt { position, header })
            .map_err(|error| self.corrupt(position, error))?;
        if batch.end() > self.size {
            let needed = Some(batch.header.size_in_bytes());
            let available = usize::try_from(self.size.saturating_sub(position)).unwrap_or(usize::MAX);
            return Err(self.corrupt(position, BatchError::Incomplete { needed, available }));
        }
        Ok(Some(batch))
    }

    /// The first batch, from `position` on, whose last offset is not below `offset`.
    pub fn find_from<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        mut position: u64,
        offset: i64,
    ) -> Result<Option<BatchAt>, LogError> {
        while let Some(batch) = self.batch_at(store, position)? {
            if batch.header.last_offset() >= offset {
                return Ok(Some(batch));
            }
            position = batch.end();
        }
        Ok(None)
    }

    /// The first batch whose last offset is not below `offset`, by way of the index.
    pub fn find<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        offset: i64,
    ) -> Result<Option<BatchAt>, LogError> {
        let start = self.offset_index.lookup(store, offset)?;
        self.find_from(store, start.position, offset)
    }

    /// The largest position up to `end` at which a batch ends, at or after `start`, which is such a position too.
    /// `slot` is an index slot at or before `start`; the slot returned serves the next call.
    pub fn batch_boundary<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        slot: u32,
        start: u64,
        end: u64,
    ) -> Result<Boundary, LogError> {
        let (slot, entry) = self.offset_index.lookup_position(store, slot, end)?;
        let mut boundary = Boundary { position: start.max(entry.position), next_offset: None, slot };
        while let Some(batch) = self.batch_at(store, boundary.position)? {
            if batch.end() > end {
                boundary.next_offset = Some(batch.header.base_offset);
                break;
            }
            boundary.position = batch.end();
            boundary.next_offset = Some(batch.header.next_offset());
        }
        Ok(boundary)
    }

    /// Reads the batches after the last index entry: the offset after the last batch is returned, the newest timestamp and the distance
    /// from the index entry are brought up to date.
    pub fn load_tail<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<i64, LogError> {
        let indexed = self.offset_index.last(store)?;
        let mut position = indexed.map_or(0, |entry| entry.position);
        let mut next_offset = self.base_offset;
        self.newest = self.time_index.last();
        self.bytes_since_last_index_entry = 0;
        while let Some(batch) = self.batch_at(store, position)? {
            next_offset = batch.header.next_offset();
            position = batch.end();
            if batch.header.max_timestamp > self.newest.timestamp {
                let timestamp = batch.header.max_timestamp;
                self.newest = TimestampOffset { timestamp, offset: batch.header.last_offset() };
            }
            self.bytes_since_last_index_entry =
                self.bytes_since_last_index_entry.saturating_add(batch.header.size_in_bytes() as u64);
        }
        self.first_batch_timestamp(store)?;
        Ok(next_offset)
    }

    /// Whether the indexes are as the completion of the segment has left them: entries rise, and that of the newest timestamp is
    /// the last. An offset index that ends early is as good.
    pub(super) fn has_whole_indexes<S: LogStore<File = F>>(&self, store: &mut S) -> Result<bool, LogError> {
        self.has_indexes_of(store, self.size)
    }

    /// Whether the indexes are as they are while the segment grows up to `end`, and the aborted transactions, too.
    pub(super) fn has_sound_indexes<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        end: i64,
    ) -> Result<bool, LogError> {
        let indexed = self.offset_index.last(store)?.map_or(0, |last| last.position.saturating_add(1));
        if !self.has_indexes_of(store, indexed)? {
            return Ok(false);
        }
        self.has_sound_txn_index(store, end)
    }

    /// Whether the indexes are not as the completion of the segment has left them, though nothing is wrong with its batches.
    pub(super) fn lacks_index_entries<S: LogStore<File = F>>(&self, store: &mut S) -> Result<bool, LogError> {
        match self.check_indexes(store, self.size) {
            Err(LogError::Corrupt { .. }) => Ok(false),
            checked => Ok(!checked?),
        }
    }

    fn has_indexes_of<S: LogStore<File = F>>(&self, store: &mut S, position: u64) -> Result<bool, LogError> {
        match self.check_indexes(store, position) {
            Err(LogError::Corrupt { .. }) => Ok(false),
            checked => checked,
        }
    }

    /// Whether the entries of the indexes rise, and no batch that begins below `position` is newer than the time index says.
    ///
    /// Errors: [`LogError::Corrupt`] for a batch on the way that is none.
    fn check_indexes<S: LogStore<File = F>>(&self, store: &mut S, position: u64) -> Result<bool, LogError> {
        if !self.offset_index.rises(store)? || !self.time_index.rises(store)? {
            return Ok(false);
        }
        let last = self.time_index.last();
        let mut next = match self.time_index.entries() {
            0 => self.batch_at(store, 0)?,
            _ => self.find(store, last.offset)?,
        };
        let is_named = |batch: BatchAt| {
            (batch.header.max_timestamp, batch.header.last_offset()) == (last.timestamp, last.offset)
        };
        if self.time_index.entries() > 0 && !next.is_some_and(is_named) {
            return Ok(false);
        }
        while let Some(batch) = next.filter(|batch| batch.position < position) {
            if batch.header.max_timestamp > last.timestamp {
                return Ok(false);
            }
            next = self.batch_at(store, batch.end())?;
        }
        Ok(true)
    }

    /// Drops the batches that contain `offset` or later ones. Returns the offset after the last batch that stays.
    pub fn truncate_to<S: LogStore<File = F>>(
        &mut self,
        store: &mut S,
        offset: i64,
        now_ms: Timestamp,
    ) -> Result<i64, LogError> {
        let cut = self.find(store, offset)?.map_or(self.size, |batch| batch.position);
        self.offset_index.truncate_to(store, offset)?;
        self.time_index.truncate_to(store, offset)?;
        self.truncate_txn_index(store, offset)?;
        if cut < self.size {
            store.truncate(&self.log, cut)?;
            self.size = cut;
        }
        if self.size == 0 {
            self.created_ms = now_ms;
            self.rolling_based_timestamp = None;
        }
        self.load_tail(store)
    }

    /// Empties the indexes, for them to be rebuilt.
    pub(super) fn reset_indexes<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<(), StoreError> {
        self.offset_index.clear(store)?;
        self.time_index.clear(store)?;
        self.newest = self.time_index.last();
        self.bytes_since_last_index_entry = 0;
        self.rolling_based_timestamp = None;
        Ok(())
    }

    /// The batch that an entry of the time index leads to: the first, from `position` on, that has a record as new as
    /// `timestamp`.
    pub fn find_by_timestamp<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        mut position: u64,
        timestamp: Timestamp,
    ) -> Result<Option<BatchAt>, LogError> {
        while let Some(batch) = self.batch_at(store, position)? {
            if batch.header.max_timestamp >= timestamp {
                return Ok(Some(batch));
            }
            position = batch.end();
        }
        Ok(None)
    }

    /// Where a search by time starts: the newest index entry that cannot be too late.
    pub fn time_search_position<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        timestamp: Timestamp,
        starting_offset: i64,
    ) -> Result<u64, LogError> {
        let entry = self.time_index.lookup(store, timestamp)?;
        Ok(self.offset_index.lookup(store, entry.offset.max(starting_offset))?.position)
    }

    /// The bytes of a batch.
    pub fn read_batch<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        batch: &BatchAt,
    ) -> Result<Vec<u8>, LogError> {
        let mut bytes = vec![0; batch.header.size_in_bytes()];
        let read = store.read_at(&self.log, batch.position, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// A slice of the records.
    pub fn slice<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        range: Range<u64>,
    ) -> Result<S::Slice, StoreError> {
        store.slice(&self.log, range)
    }

    /// Notes an aborted transaction, creating the file for the first; its name ends with `ending`.
    pub fn append_aborted<S: LogStore<File = F>>(
        &mut self,
        store: &mut S,
        dir: &str,
        ending: &str,
        aborted: AbortedTxn,
    ) -> Result<(), StoreError> {
        let file = match &self.txn_index {
            Some(file) => file.clone(),
            None => {
                let path = format!("{}{ending}", path(dir, self.base_offset, TXN_INDEX_SUFFIX));
                self.txn_index.insert(store.create(&path)?).clone()
            }
        };
        txn_index::append(store, &file, aborted)
    }

    /// The segment's aborted transactions.
    pub fn aborted<S: LogStore<File = F>>(&self, store: &mut S) -> Result<Vec<AbortedTxn>, LogError> {
        let Some(file) = &self.txn_index else { return Ok(Vec::new()) };
        txn_index::read_all(store, file)?.ok_or_else(|| LogError::Corrupt {
            path: file_names::with_offset(self.base_offset, TXN_INDEX_SUFFIX),
            position: 0,
            reason: "not made of entries of a known version".to_owned(),
        })
    }

    /// Whether the newest record of the time index is one of a segment that ends at `end`.
    pub(super) fn times_end_below(&self, end: i64) -> bool {
        self.time_index.entries() == 0 || self.time_index.last().offset < end
    }

    /// Whether the index of aborted transactions is one of a segment that ends at `end`: what was not synced of it may be torn, or zeros.
    pub(super) fn has_sound_txn_index<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        end: i64,
    ) -> Result<bool, LogError> {
        let Some(file) = &self.txn_index else { return Ok(true) };
        let Some(aborted) = txn_index::read_all(store, file)? else { return Ok(false) };
        let mut next = self.base_offset;
        Ok(aborted.iter().all(|aborted| {
            let is_sound =
                (next..end).contains(&aborted.last_offset) && aborted.first_offset < aborted.last_offset;
            next = aborted.last_offset.saturating_add(1);
            is_sound
        }))
    }

    pub(super) fn truncate_txn_index<S: LogStore<File = F>>(
        &mut self,
        store: &mut S,
        offset: i64,
    ) -> Result<(), LogError> {
        let Some(file) = self.txn_index.clone() else { return Ok(()) };
        let keep = txn_index::read_all(store, &file)?
            .unwrap_or_default()
            .iter()
            .take_while(|aborted| aborted.last_offset < offset)
            .count();
        let len = keep.saturating_mul(txn_index::TXN_INDEX_ENTRY_SIZE);
        store.truncate(&file, len as u64)?;
        Ok(())
    }

    /// The files of this segment that have to be synced.
    pub fn files(&self) -> impl Iterator<Item = F> {
        let files = [self.log.clone(), self.offset_index.file().clone(), self.time_index.file().clone()];
        files.into_iter().chain(self.txn_index.clone())
    }

    /// The names of the files that a segment may have.
    pub fn file_names(base_offset: i64) -> [String; 4] {
        [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX]
            .map(|suffix| file_names::with_offset(base_offset, suffix))
    }

    pub(super) fn corrupt(&self, position: u64, error: BatchError) -> LogError {
        LogError::Corrupt {
            path: file_names::with_offset(self.base_offset, LOG_SUFFIX),
            position,
            reason: error.to_string(),
        }
    }
}

/// Where a read ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// The end of the last whole batch.
    pub position: u64,
    /// What a reader who has read so far asks for next, where that is known.
    pub next_offset: Option<i64>,
    /// An index slot at or before `position`.
    pub slot: u32,
}

fn path(dir: &str, base_offset: i64, suffix: &str) -> String {
    format!("{dir}/{}", file_names::with_offset(base_offset, suffix))
}
