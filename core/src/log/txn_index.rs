//! `.txnindex`: the transactions that were aborted in a segment (KIP-98), as `read_committed` fetches report them.
//!
//! An entry is 34 bytes: version 0, producer id, first and last offset, and the last stable offset when the abort marker was written.
//! The file is created by the first abort.

use std::io::IoSlice;

use super::store::{LogStore, StoreError};

/// Bytes in an entry.
pub const TXN_INDEX_ENTRY_SIZE: usize = 34;

/// An aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Whose.
    pub producer_id: i64,
    /// Its first record.
    pub first_offset: i64,
    /// Its marker.
    pub last_offset: i64,
    /// The last stable offset once it had ended.
    pub last_stable_offset: i64,
}

impl AbortedTxn {
    /// The entry's bytes.
    pub fn to_array(self) -> [u8; TXN_INDEX_ENTRY_SIZE] {
        let numbers = [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset];
        let mut entry = [0; TXN_INDEX_ENTRY_SIZE];
        let (chunks, _) = entry.split_at_mut(2).1.as_chunks_mut::<8>();
        for (chunk, number) in chunks.iter_mut().zip(numbers) {
            *chunk = number.to_be_bytes();
        }
        entry
    }

    /// Reads an entry; `None` for an unknown version.
    pub fn from_array(entry: &[u8; TXN_INDEX_ENTRY_SIZE]) -> Option<Self> {
        let (version, numbers) = entry.split_first_chunk::<2>()?;
        let (&[producer_id, first_offset, last_offset, last_stable_offset], _) =
            numbers.as_chunks::<8>().0.split_first_chunk::<4>()?;
        (*version == [0, 0]).then_some(Self {
            producer_id: i64::from_be_bytes(producer_id),
            first_offset: i64::from_be_bytes(first_offset),
            last_offset: i64::from_be_bytes(last_offset),
            last_stable_offset: i64::from_be_bytes(last_stable_offset),
        })
    }
}

/// Adds an entry.
pub fn append<S: LogStore>(store: &mut S, file: &S::File, aborted: AbortedTxn) -> Result<(), StoreError> {
    store.append(file, &[IoSlice::new(&aborted.to_array())])
}

/// All entries, in the order of their markers; `None` if the file is not made of entries.
pub fn read_all<S: LogStore>(store: &mut S, file: &S::File) -> Result<Option<Vec<AbortedTxn>>, StoreError> {
    let len = usize::try_from(store.len(file)?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len];
    let read = store.read_at(file, 0, &mut bytes)?;
    Ok(entries(bytes.get(..read).unwrap_or_default()))
}

/// The entries in the bytes of an index file; `None` if they are not entries of a known version.
pub fn entries(bytes: &[u8]) -> Option<Vec<AbortedTxn>> {
    let (entries, rest) = bytes.as_chunks::<TXN_INDEX_ENTRY_SIZE>();
    rest.is_empty().then(|| entries.iter().map(AbortedTxn::from_array).collect())?
}
