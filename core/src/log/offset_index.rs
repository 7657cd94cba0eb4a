//! `.index`: offset → position, one entry about every `index.interval.bytes`.
//!
//! An entry is 8 bytes: the offset relative to the segment's base offset and the position of the batch that
//! it is the last offset of, both unsigned for what they mean and `i32` on the disk.

use super::index_file::IndexFile;
use super::store::{LogStore, StoreError};

/// Bytes in an entry.
pub const OFFSET_INDEX_ENTRY_SIZE: usize = 8;

/// An entry: the batch at `position` ends with `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetPosition {
    /// Absolute.
    pub offset: i64,
    /// Bytes from the start of the segment.
    pub position: u64,
}

/// An offset index.
#[derive(Clone, Debug)]
pub struct OffsetIndex<F> {
    base_offset: i64,
    entries: IndexFile<F, OFFSET_INDEX_ENTRY_SIZE>,
    last_offset: i64,
}

impl<F: Clone> OffsetIndex<F> {
    /// An index over a file that holds `len` bytes; its entries are believed.
    pub fn open<S: LogStore<File = F>>(
        store: &mut S,
        file: F,
        base_offset: i64,
        len: u64,
    ) -> Result<Self, StoreError> {
        let mut index = Self { base_offset, entries: IndexFile::new(file, len), last_offset: base_offset };
        index.last_offset = index.last(store)?.map_or(base_offset, |last| last.offset);
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

    /// Whether no entry fits below `segment.index.bytes`.
    pub fn is_full(&self, segment_index_bytes: u64) -> bool {
        u64::from(self.entries())
            >= segment_index_bytes.checked_div(OFFSET_INDEX_ENTRY_SIZE as u64).unwrap_or(0)
    }

    /// Makes sure that [`OffsetIndex::push`] needs no storage.
    pub fn reserve<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<(), StoreError> {
        self.entries.reserve(store)
    }

    /// Adds an entry; one that does not rise is left out.
    pub fn push(&mut self, offset: i64, position: u64) {
        let relative = u32::try_from(offset.saturating_sub(self.base_offset));
        let (Ok(relative), Ok(position)) = (relative, u32::try_from(position)) else { return };
        if self.entries() > 0 && offset <= self.last_offset {
            return;
        }
        let [a, b, c, d] = relative.to_be_bytes();
        let [e, f, g, h] = position.to_be_bytes();
        self.entries.push([a, b, c, d, e, f, g, h]);
        self.last_offset = offset;
    }

    /// Brings the file up to date. False if it was.
    pub fn write_out<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<bool, StoreError> {
        self.entries.write_out(store)
    }

    /// The newest entry.
    pub fn last<S: LogStore<File = F>>(&self, store: &mut S) -> Result<Option<OffsetPosition>, StoreError> {
        Ok(self.entries.last(store)?.map(|entry| self.parse(entry)))
    }

    /// The entry at `slot`, counted from 0.
    pub fn entry<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        slot: u32,
    ) -> Result<Option<OffsetPosition>, StoreError> {
        Ok(self.entries.entry(store, slot)?.map(|entry| self.parse(entry)))
    }

    /// Where to start looking for `offset`: the last entry at or below it, or the start of the segment.
    pub fn lookup<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        offset: i64,
    ) -> Result<OffsetPosition, StoreError> {
        let after = self.entries.partition_point(store, 0, |entry| self.parse(*entry).offset <= offset)?;
        self.before(store, after)
    }

    /// The last entry whose batch begins at or below `position`, and its slot; or the start of the segment.
    /// `from` is a slot that is known to lie below.
    pub fn lookup_position<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        from: u32,
        position: u64,
    ) -> Result<(u32, OffsetPosition), StoreError> {
        let after =
            self.entries.partition_point(store, from, |entry| self.parse(*entry).position <= position)?;
        Ok((after.saturating_sub(1), self.before(store, after)?))
    }

    /// Whether every entry is above the one before it.
    pub fn rises<S: LogStore<File = F>>(&self, store: &mut S) -> Result<bool, StoreError> {
        self.entries.rises(store, |before, after| {
            let (before, after) = (self.parse(*before), self.parse(*after));
            before.offset < after.offset && before.position < after.position
        })
    }

    /// Drops all entries, whatever the file holds.
    pub fn clear<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<(), StoreError> {
        self.entries.clear(store)?;
        self.last_offset = self.base_offset;
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
        self.last_offset = self.last(store)?.map_or(self.base_offset, |last| last.offset);
        Ok(())
    }

    fn before<S: LogStore<File = F>>(&self, store: &mut S, slot: u32) -> Result<OffsetPosition, StoreError> {
        let found = match slot.checked_sub(1) {
            Some(slot) => self.entry(store, slot)?,
            None => None,
        };
        Ok(found.unwrap_or(OffsetPosition { offset: self.base_offset, position: 0 }))
    }

    fn parse(&self, entry: [u8; OFFSET_INDEX_ENTRY_SIZE]) -> OffsetPosition {
        parse(self.base_offset, entry)
    }
}

/// The entries in the bytes of an index file; a last, torn entry is left out. `base_offset` is in the file's name.
pub fn entries(bytes: &[u8], base_offset: i64) -> impl Iterator<Item = OffsetPosition> {
    bytes.as_chunks().0.iter().map(move |entry| parse(base_offset, *entry))
}

fn parse(base_offset: i64, [a, b, c, d, e, f, g, h]: [u8; OFFSET_INDEX_ENTRY_SIZE]) -> OffsetPosition {
    OffsetPosition {
        offset: base_offset.saturating_add(i64::from(u32::from_be_bytes([a, b, c, d]))),
        position: u64::from(u32::from_be_bytes([e, f, g, h])),
    }
}
