//! What is believed of a log without its records being read.

use super::OpenLog;
use crate::log::error::LogError;
use crate::log::file_names::{self, LEADER_EPOCH_CHECKPOINT};
use crate::log::leader_epochs::LeaderEpochs;
use crate::log::offset_index::OFFSET_INDEX_ENTRY_SIZE;
use crate::log::segment::Segment;
use crate::log::store::{Entry, LogStore, StoreError};
use crate::log::time_index::TIME_INDEX_ENTRY_SIZE;

/// Whether the log is as a clean stop leaves it.
pub(super) fn ends_at_recovery_point<S: LogStore>(
    store: &mut S,
    segments: &mut [Segment<S::File>],
    options: &OpenLog,
) -> Result<bool, LogError> {
    let Some(last) = segments.last_mut() else { return Ok(true) };
    match last.load_tail(store) {
        // An index that leads past the end of the file hides what is before.
        Ok(end) => Ok(end == options.recovery_point
            && last.times_end_below(end)
            && index_is_possible(store, last)?
            && last.has_sound_txn_index(store, end)?),
        Err(LogError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the log is as its last sync has left it, though nobody has stopped it: it ends at its recovery point, so that all of its records were
/// synced, and what may have been written to the indexes since then has not reached them. What is in `segments` has sound ends of indexes.
pub(super) fn is_as_synced<S: LogStore>(
    store: &mut S,
    segments: &mut [Segment<S::File>],
    options: &OpenLog,
) -> Result<bool, LogError> {
    let Some(last) = segments.last_mut().filter(|_| options.log_start_offset <= options.recovery_point)
    else {
        return Ok(false);
    };
    // An index that was to be rebuilt, and was not: as before, but nobody would find anything with it.
    let batch_bytes_max = u64::try_from(options.config.max_message_bytes).unwrap_or(0);
    let unindexed_max = options.config.index_interval_bytes.saturating_add(batch_bytes_max.saturating_mul(2));
    match last.load_tail(store) {
        Ok(end) if end == options.recovery_point => {
            Ok(last.bytes_since_last_index_entry <= unindexed_max && last.has_sound_indexes(store, end)?)
        }
        Ok(_) | Err(LogError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The leader epochs, and whether they have to be read from the batches: the file is broken, or a power loss took it.
pub(super) fn load_epochs<S: LogStore>(
    store: &mut S,
    dir: &str,
    clean_shutdown: bool,
) -> Result<(LeaderEpochs, bool), LogError> {
    match store.read(&format!("{dir}/{LEADER_EPOCH_CHECKPOINT}")) {
        Ok(bytes) => {
            Ok(LeaderEpochs::parse(&bytes).map_or((LeaderEpochs::default(), true), |epochs| (epochs, false)))
        }
        Err(StoreError::NotFound) => Ok((LeaderEpochs::default(), !clean_shutdown)),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn has_index_files(entries: &[Entry], base_offset: i64) -> bool {
    let len_of = |suffix: &str| {
        let name = file_names::with_offset(base_offset, suffix);
        entries.iter().find(|entry| entry.name == name).map(|entry| entry.len)
    };
    let whole = |suffix, size: usize| len_of(suffix).is_some_and(|len| len.is_multiple_of(size as u64));
    whole(file_names::INDEX_SUFFIX, OFFSET_INDEX_ENTRY_SIZE)
        && whole(file_names::TIME_INDEX_SUFFIX, TIME_INDEX_ENTRY_SIZE)
}

/// Whether the last entries of the indexes can be right: that of the offset index names the batch that is there.
pub(super) fn index_is_possible<S: LogStore>(
    store: &mut S,
    segment: &Segment<S::File>,
) -> Result<bool, LogError> {
    let newest = segment.time_index.last();
    if segment.time_index.entries() > 0 && (newest.timestamp < 0 || !segment.fits(newest.offset)) {
        return Ok(false);
    }
    let Some(last) = segment.offset_index.last(store)? else { return Ok(true) };
    match segment.batch_at(store, last.position) {
        Ok(Some(batch)) => Ok(batch.header.last_offset() == last.offset),
        Ok(None) | Err(LogError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
