//! A file of fixed-size entries, in rising order: what the offset index and the time index have in common.
//!
//! New entries wait in a small tail in memory and reach the file together, so that an append of records costs one write and not
//! three. Nothing is lost by that: after an unclean stop the indexes of the segments that could be concerned are rebuilt from
//! the records. Entries in the file are read when they are searched; nothing of them is kept.

use std::io::IoSlice;

use super::store::{LogStore, StoreError};

/// Bytes of entries that may wait in memory.
const TAIL_BYTES_MAX: usize = 4_096;
/// Bytes that the last step of a search reads at once.
const BLOCK_BYTES: usize = 4_096;

/// Entries of `N` bytes.
#[derive(Clone, Debug)]
pub struct IndexFile<F, const N: usize> {
    file: F,
    /// Entries in the file.
    written: u32,
    /// Entries after those, not in the file yet.
    tail: Vec<[u8; N]>,
}

impl<F: Clone, const N: usize> IndexFile<F, N> {
    /// An index over a file that holds `len` bytes; a last, torn entry is not counted.
    pub fn new(file: F, len: u64) -> Self {
        let written = u32::try_from(len.checked_div(N as u64).unwrap_or(0)).unwrap_or(u32::MAX);
        Self { file, written, tail: Vec::new() }
    }

    /// The file, to be synced once [`IndexFile::write_out`] has been called.
    pub fn file(&self) -> &F {
        &self.file
    }

    /// How many entries there are.
    pub fn entries(&self) -> u32 {
        self.written.saturating_add(u32::try_from(self.tail.len()).unwrap_or(u32::MAX))
    }

    /// Makes room in the tail, so that the next [`IndexFile::push`] needs no storage.
    pub fn reserve<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<(), StoreError> {
        if self.tail.len().saturating_add(1).saturating_mul(N) > TAIL_BYTES_MAX {
            self.write_out(store)?;
        }
        Ok(())
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: [u8; N]) {
        self.tail.push(entry);
    }

    /// Writes the tail to the file and gives its memory back. False if there was none.
    pub fn write_out<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<bool, StoreError> {
        if self.tail.is_empty() {
            return Ok(false);
        }
        store.append(&self.file, &[IoSlice::new(self.tail.as_flattened())])?;
        self.written = self.entries();
        self.tail = Vec::new();
        Ok(true)
    }

    /// The entry at `index`, counted from 0.
    pub fn entry<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        index: u32,
    ) -> Result<Option<[u8; N]>, StoreError> {
        if index >= self.written {
            let index = usize::try_from(index.saturating_sub(self.written)).unwrap_or(usize::MAX);
            return Ok(self.tail.get(index).copied());
        }
        let mut entry = [0; N];
        let read = store.read_at(&self.file, position::<N>(index), &mut entry)?;
        Ok((read == N).then_some(entry))
    }

    /// The newest entry.
    pub fn last<S: LogStore<File = F>>(&self, store: &mut S) -> Result<Option<[u8; N]>, StoreError> {
        match self.entries().checked_sub(1) {
            Some(last) => self.entry(store, last),
            None => Ok(None),
        }
    }

    /// How many entries, from `from` on, come before the first one for which `before` is false. `before` is true for a prefix
    /// of the entries.
    pub fn partition_point<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        from: u32,
        mut before: impl FnMut(&[u8; N]) -> bool,
    ) -> Result<u32, StoreError> {
        if let Some(first) = self.tail.first()
            && (from >= self.written || before(first))
        {
            let in_tail = self.tail.partition_point(before);
            return Ok(self.written.saturating_add(u32::try_from(in_tail).unwrap_or(u32::MAX)));
        }
        let block_entries = u32::try_from(BLOCK_BYTES.checked_div(N).unwrap_or(1)).unwrap_or(1);
        let (mut low, mut high) = (from, self.written);
        // Sequential readers find what they look for in the first block after `from`.
        let near = from.saturating_add(block_entries);
        if from > 0 && near < high {
            match self.entry(store, near)? {
                Some(entry) if before(&entry) => low = near,
                _ => high = near,
            }
        }
        while high.saturating_sub(low) > block_entries {
            let middle = low.midpoint(high);
            match self.entry(store, middle)? {
                Some(entry) if before(&entry) => low = middle.saturating_add(1),
                _ => high = middle,
            }
        }
        let mut block = [0; BLOCK_BYTES];
        let wanted = usize::try_from(high.saturating_sub(low)).unwrap_or(0).saturating_mul(N);
        let Some(block) = block.get_mut(..wanted) else { return Ok(low) };
        let read = store.read_at(&self.file, position::<N>(low), block)?;
        let (entries, _) = block.get(..read).unwrap_or_default().as_chunks::<N>();
        let found = entries.partition_point(before);
        Ok(low.saturating_add(u32::try_from(found).unwrap_or(u32::MAX)))
    }

    /// Whether each entry may follow the one before it.
    pub fn rises<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        follows: impl Fn(&[u8; N], &[u8; N]) -> bool,
    ) -> Result<bool, StoreError> {
        let mut before = None;
        let mut rises = |entry: &[u8; N]| before.replace(*entry).is_none_or(|before| follows(&before, entry));
        let mut block = [0; BLOCK_BYTES];
        let (mut next, whole) = (0, BLOCK_BYTES.saturating_sub(BLOCK_BYTES.checked_rem(N).unwrap_or(0)));
        while next < self.written {
            let read =
                store.read_at(&self.file, position::<N>(next), block.get_mut(..whole).unwrap_or_default())?;
            let (entries, _) = block.get(..read).unwrap_or_default().as_chunks::<N>();
            if entries.is_empty() || !entries.iter().all(&mut rises) {
                return Ok(false);
            }
            next = next.saturating_add(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        }
        Ok(self.tail.iter().all(rises))
    }

    /// Drops all entries, and a torn one.
    pub fn clear<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<(), StoreError> {
        store.truncate(&self.file, 0)?;
        self.written = 0;
        self.tail = Vec::new();
        Ok(())
    }

    /// Keeps the first `entries` only.
    pub fn truncate<S: LogStore<File = F>>(&mut self, store: &mut S, entries: u32) -> Result<(), StoreError> {
        if entries >= self.written {
            let keep = usize::try_from(entries.saturating_sub(self.written)).unwrap_or(usize::MAX);
            self.tail.truncate(keep);
            return Ok(());
        }
        store.truncate(&self.file, position::<N>(entries))?;
        self.written = entries;
        self.tail = Vec::new();
        Ok(())
    }
}

fn position<const N: usize>(index: u32) -> u64 {
    u64::from(index).saturating_mul(N as u64)
}
