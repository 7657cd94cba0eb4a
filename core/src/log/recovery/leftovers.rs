//! What an earlier life has left in a partition's directory and that is no part of the log.

use crate::log::error::LogError;
use crate::log::file_names::{self, CLEANED_SUFFIX, DELETED_SUFFIX, LOG_SUFFIX, SWAP_SUFFIX, UNSETTLED_FILE};
use crate::log::store::{Entry, LogStore};
use crate::log::swap;
use crate::sim::mutation::{Mutation, Planted};

/// A partition's directory.
#[derive(Debug)]
pub(super) struct Found {
    /// The files that stay.
    pub entries: Vec<Entry>,
    /// Others have been removed, or have got other names.
    pub has_changed: bool,
    /// An earlier life was interrupted while it changed what the log is made of.
    pub was_interrupted: bool,
    /// Its recovery was: the disk may not have what that has done.
    pub is_unsettled: bool,
}

/// Removes what an interrupted deletion or cleaning left, and indexes without a log.
pub(super) fn remove<S: LogStore>(store: &mut S, dir: &str, planted: Planted) -> Result<Found, LogError> {
    misplace_swaps(store, dir, planted)?;
    let has_swapped = swap::finish(store, dir)?;
    let mut found = Found {
        entries: Vec::new(),
        has_changed: has_swapped,
        was_interrupted: has_swapped,
        is_unsettled: false,
    };
    let entries = store.list(dir)?;
    let bases = offsets(&entries, LOG_SUFFIX);
    for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
        if entry.name == UNSETTLED_FILE {
            (found.is_unsettled, found.was_interrupted) = (true, true);
            continue;
        }
        let orphan = [file_names::INDEX_SUFFIX, file_names::TIME_INDEX_SUFFIX, file_names::TXN_INDEX_SUFFIX]
            .iter()
            .find_map(|suffix| file_names::offset_of(&entry.name, suffix))
            .is_some_and(|offset| bases.binary_search(&offset).is_err());
        // Snapshots of the metadata log have a scheme of their own for deletion, and are not ours.
        let is_deleted = entry.name.ends_with(DELETED_SUFFIX) && !planted.is(Mutation::DeletedKept);
        let is_cleaned = entry.name.ends_with(CLEANED_SUFFIX);
        let leftover =
            (is_deleted && !entry.name.contains(".checkpoint")) || is_cleaned || entry.name.ends_with(".tmp");
        if orphan || leftover {
            store.remove(&format!("{dir}/{}", entry.name))?;
            found.has_changed = true;
            found.was_interrupted |= orphan || is_cleaned;
        } else {
            found.entries.push(entry);
        }
    }
    Ok(found)
}

/// The planted bugs of interrupted swaps.
fn misplace_swaps<S: LogStore>(store: &mut S, dir: &str, planted: Planted) -> Result<(), LogError> {
    let renames = [
        (Mutation::CleanedTakenForWhole, CLEANED_SUFFIX, SWAP_SUFFIX),
        (Mutation::SwapNotCompleted, SWAP_SUFFIX, CLEANED_SUFFIX),
    ];
    let Some((_, from, to)) = renames.into_iter().find(|(mutation, ..)| planted.is(*mutation)) else {
        return Ok(());
    };
    for entry in store.list(dir)? {
        if let Some(plain) = entry.name.strip_suffix(from) {
            store.rename(&format!("{dir}/{}", entry.name), &format!("{dir}/{plain}{to}"))?;
        }
    }
    Ok(())
}

/// The offsets in the names that end with `suffix`, rising.
pub(super) fn offsets(entries: &[Entry], suffix: &str) -> Vec<i64> {
    let mut offsets: Vec<_> = entries
        .iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| file_names::offset_of(&entry.name, suffix))
        .collect();
    offsets.sort_unstable();
    offsets
}
