//! The reserve of a log directory: room that is given back when the disk is full, so that deletion, checkpoints, group
//! commits under way and compaction have some. Whether it can be taken again tells that there is room.

use std::io::IoSlice;

use super::store::{LogStore, StoreError};

/// A file in the directory; Apache Kafka passes over files there that it does not know.
pub const RESERVE_FILE: &str = ".ottla_reserve";

/// Bytes that are written at a time.
const STEP_BYTES: usize = 64 * 1024;

/// More than the reserve has to be free before a full disk counts as one with room, or it would be full again at once.
const SPARE_BYTES_MIN: u64 = 64 * 1024;

/// Sees to it that the directory has `bytes` in reserve. An error, which may be [`StoreError::NoSpace`], leaves none.
pub fn take<S: LogStore>(store: &mut S, directory: &str, bytes: u64) -> Result<(), StoreError> {
    if bytes == 0 { give_back(store, directory) } else { grow(store, directory, bytes) }
}

/// [`take`] for a disk that was full: there has to be as much room besides.
pub fn take_with_spare<S: LogStore>(store: &mut S, directory: &str, bytes: u64) -> Result<(), StoreError> {
    grow(store, directory, bytes.saturating_add(bytes.max(SPARE_BYTES_MIN)))?;
    let file = store.open(&path(directory))?;
    store.truncate(&file, bytes)?;
    take(store, directory, bytes)
}

fn grow<S: LogStore>(store: &mut S, directory: &str, bytes: u64) -> Result<(), StoreError> {
    let path = path(directory);
    let file = match store.open(&path) {
        Err(StoreError::NotFound) => store.create(&path)?,
        opened => opened?,
    };
    let mut missing = bytes.saturating_sub(store.len(&file)?);
    while missing > 0 {
        let step = usize::try_from(missing).unwrap_or(STEP_BYTES).min(STEP_BYTES);
        if let Err(error) =
            store.append(&file, &[IoSlice::new([0; STEP_BYTES].get(..step).unwrap_or_default())])
        {
            give_back(store, directory)?;
            return Err(error);
        }
        missing = missing.saturating_sub(step as u64);
    }
    Ok(())
}

/// Gives the room back.
pub fn give_back<S: LogStore>(store: &mut S, directory: &str) -> Result<(), StoreError> {
    match store.remove(&path(directory)) {
        Ok(()) | Err(StoreError::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

fn path(directory: &str) -> String {
    format!("{directory}/{RESERVE_FILE}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::log::MemoryStore;

    #[test]
    fn it_is_taken_once_and_given_back_whole() {
        let mut store = MemoryStore::new();
        store.create_dir("data").unwrap();
        for bytes in [100_000, 100_000, 150_000] {
            take(&mut store, "data", bytes).unwrap();
            let entries = store.list("data").unwrap();
            assert_eq!(entries.iter().map(|entry| entry.len).collect::<Vec<_>>(), [bytes]);
        }
        take_with_spare(&mut store, "data", 150_000).unwrap();
        assert_eq!(store.list("data").unwrap().first().map(|entry| entry.len), Some(150_000));
        give_back(&mut store, "data").unwrap();
        give_back(&mut store, "data").unwrap();
        assert!(store.list("data").unwrap().is_empty());
    }
}
