//! `.timeindex`: timestamp → offset, for lookups by time.
//!
//! An entry is 12 bytes: a timestamp, and an offset relative to the segment's base offset such that no record up to
//! that offset is newer. Entries rise in both.

use super::index_file::IndexFile;
use super::store::{LogStore, StoreError};

/// Bytes in an entry.
pub const TIME_INDEX_ENTRY_SIZE: usize = 12;

/// A timestamp in ms (−1: none) and an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// ms since the epoch.
    pub timestamp: i64,
    /// Absolute.
    pub offset: i64,
}

/// A time index.
#[derive(Clone, Debug)]
pub struct TimeIndex<F> {
    base_offset: i64,
    entries: IndexFile<F, TIME_INDEX_ENTRY_SIZE>,
    last: TimestampOffset,
}

impl<F: Clone> TimeIndex<F> {
    /// An index over a file that holds `len` bytes; its entries are believed.
    pub fn open<S: LogStore<File = F>>(
        store: &mut S,
        file: F,
        base_offset: i64,
        len: u64,
    ) -> Result<Self, StoreError> {
        let none = TimestampOffset { timestamp: -1, offset: base_offset };
        let mut index = Self { base_offset, entries: IndexFile::new(file, len), last: none };
        index.last = index.read_last(store)?;
        Ok(index)
    }

    /// The file.
    pub fn file(&self) -> &F {
        self.entries.file()
    }

    /// How many entries there are.
    pub fn entries(&self) -> u32 {
        self.entries.entries()
    }

    /// The newest entry; timestamp −1 when there is none.
    pub fn last(&self) -> TimestampOffset {
        self.last
    }

    /// Whether `segment.index.bytes` leaves room for the closing entry only.
    pub fn is_full(&self, segment_index_bytes: u64) -> bool {
        u64::from(self.entries()).saturating_add(1)
            >= segment_index_bytes.checked_div(TIME_INDEX_ENTRY_SIZE as u64).unwrap_or(0)
    }

    /// Makes sure that [`TimeIndex::push`] needs no storage.
    pub fn reserve<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<(), StoreError> {
        self.entries.reserve(store)
    }

    /// Adds an entry if its timestamp is newer than the last one's.
    pub fn push(&mut self, entry: TimestampOffset) {
        let Ok(relative) = u32::try_from(entry.offset.saturating_sub(self.base_offset)) else { return };
        if entry.timestamp <= self.last.timestamp || (self.entries() > 0 && entry.offset < self.last.offset) {
            return;
        }
        let [a, b, c, d, e, f, g, h] = entry.timestamp.to_be_bytes();
        let [i, j, k, l] = relative.to_be_bytes();
        self.entries.push([a, b, c, d, e, f, g, h, i, j, k, l]);
        self.last = entry;
    }

    /// Brings the file up to date. False if it was.
    pub fn write_out<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<bool, StoreError> {
        self.entries.write_out(store)
    }

    /// The entry at `slot`, counted from 0.
    pub fn entry<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        slot: u32,
    ) -> Result<Option<TimestampOffset>, StoreError> {
        Ok(self.entries.entry(store, slot)?.map(|entry| self.parse(entry)))
    }

    /// The last entry that is not newer than `timestamp`; (−1, base offset) when there is none.
    pub fn lookup<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        timestamp: i64,
    ) -> Result<TimestampOffset, StoreError> {
        let after =
            self.entries.partition_point(store, 0, |entry| self.parse(*entry).timestamp <= timestamp)?;
        let found = match after.checked_sub(1) {
            Some(slot) => self.entry(store, slot)?,
            None => None,
        };
        Ok(found.unwrap_or(TimestampOffset { timestamp: -1, offset: self.base_offset }))
    }

    /// Whether every entry is newer than the one before it, and none goes back.
    pub fn rises<S: LogStore<File = F>>(&self, store: &mut S) -> Result<bool, StoreError> {
        self.entries.rises(store, |before, after| {
            let (before, after) = (self.parse(*before), self.parse(*after));
            before.timestamp < after.timestamp && before.offset <= after.offset
        })
    }

    /// Drops all entries, whatever the file holds.
    pub fn clear<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<(), StoreError> {
        self.entries.clear(store)?;
        self.last = TimestampOffset { timestamp: -1, offset: self.base_offset };
        Ok(())
    }

    /// Drops the entries from `offset` on.
    pub fn truncate_to<S: LogStore<File = F>>(
        &mut self,
        store: &mut S,
        offset: i64,
    ) -> Result<(), StoreError> {
        let keep = self.entries.partition_point(store, 0, |entry| self.parse(*entry).offset < offset)?;
        self.entries.truncate(store, keep)?;
        self.last = self.read_last(store)?;
        Ok(())
    }

    fn read_last<S: LogStore<File = F>>(&self, store: &mut S) -> Result<TimestampOffset, StoreError> {
        let last = self.entries.last(store)?.map(|entry| self.parse(entry));
        Ok(last.unwrap_or(TimestampOffset { timestamp: -1, offset: self.base_offset }))
    }

    fn parse(&self, entry: [u8; TIME_INDEX_ENTRY_SIZE]) -> TimestampOffset {
        parse(self.base_offset, entry)
    }
}

/// The entries in the bytes of an index file; a last, torn entry is left out. `base_offset` is in the file's name.
pub fn entries(bytes: &[u8], base_offset: i64) -> impl Iterator<Item = TimestampOffset> {
    bytes.as_chunks().0.iter().map(move |entry| parse(base_offset, *entry))
}

fn parse(base_offset: i64, entry: [u8; TIME_INDEX_ENTRY_SIZE]) -> TimestampOffset {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = entry;
    TimestampOffset {
        timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        offset: base_offset.saturating_add(i64::from(u32::from_be_bytes([i, j, k, l]))),
    }
}
