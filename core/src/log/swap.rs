//! How a cleaned segment takes the place of those that it was made of, through every crash.
//!
//! Its files are written as `.cleaned` and synced, renamed to `.swap` when they are whole, and to their plain names when what
//! they replace is renamed to `.deleted`. The renames reach the disk in their order. What has reached `.swap` as a whole is finished
//! when the log is opened; a `.cleaned` file at or below shows that it has not, and that the old segments are all there.

use super::error::LogError;
use super::file_names::{self, CLEANED_SUFFIX, SNAPSHOT_SUFFIX, SWAP_SUFFIX};
use super::log::Log;
use super::segment::Segment;
use super::store::{LogStore, StoreError};
use crate::record::{BATCH_HEADER_SIZE, BatchHeader};
use crate::time::Now;

impl<S: LogStore> Log<S> {
    /// Puts `cleaned`, whose files end with `.cleaned` and are synced, in the place of the segments with these base offsets (rising), of
    /// which the first is its own. Reads go on: slices of the old files stay. The directory is to be synced before anything relies on it.
    pub(super) fn replace_segments(
        &mut self,
        store: &mut S,
        now: Now,
        cleaned: Segment<S::File>,
        replaced: &[i64],
    ) -> Result<(), LogError> {
        let base_offset = cleaned.base_offset;
        let names: Vec<_> = Segment::<S::File>::file_names(base_offset)
            .into_iter()
            .filter(|name| cleaned.txn_index.is_some() || !name.ends_with(file_names::TXN_INDEX_SUFFIX))
            .map(|name| self.path(&name))
            .collect();
        for path in &names {
            store.rename(&format!("{path}{CLEANED_SUFFIX}"), &format!("{path}{SWAP_SUFFIX}"))?;
        }
        let mut old: Vec<_> =
            replaced.iter().flat_map(|base| Segment::<S::File>::file_names(*base)).collect();
        // The producers at the beginning of a segment that is none any more.
        let gone = |offset: &i64| *offset != base_offset && replaced.binary_search(offset).is_ok();
        old.extend(
            replaced
                .iter()
                .filter(|base| gone(base))
                .map(|base| file_names::with_offset(*base, SNAPSHOT_SUFFIX)),
        );
        self.snapshots.retain(|offset| !gone(offset));
        self.remove_later(store, now, old)?;
        for path in &names {
            store.rename(&format!("{path}{SWAP_SUFFIX}"), path)?;
        }
        let first = self.segments.partition_point(|segment| segment.base_offset < base_offset);
        let is_replaced = |segment: &Segment<S::File>| replaced.binary_search(&segment.base_offset).is_ok();
        self.segments.retain(|segment| !is_replaced(segment));
        self.segments.insert(first.min(self.segments.len()), cleaned);
        self.layout = self.layout.wrapping_add(1);
        self.high_watermark_position = self
            .high_watermark_position
            .filter(|at| replaced.binary_search(&at.segment_base_offset).is_err());
        Ok(())
    }
}

/// Finishes or undoes what an interrupted cleaner (Apache Kafka's too) left. True if there was something to finish.
pub fn finish<S: LogStore>(store: &mut S, dir: &str) -> Result<bool, LogError> {
    let names: Vec<_> =
        store.list(dir)?.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect();
    let cleaned = names.iter().filter_map(|name| offset(name.strip_suffix(CLEANED_SUFFIX)?)).min();
    let mut swaps = Vec::new();
    for name in names.iter().filter(|name| name.ends_with(SWAP_SUFFIX)) {
        let plain = name.trim_end_matches(SWAP_SUFFIX);
        let is_whole = offset(plain).is_some_and(|offset| cleaned.is_none_or(|cleaned| offset < cleaned));
        if is_whole {
            swaps.push((name, plain));
        } else {
            remove(store, dir, name)?;
        }
    }
    let mut range: Option<(i64, i64)> = None;
    for (name, plain) in &swaps {
        let Some(base_offset) = file_names::offset_of(plain, file_names::LOG_SUFFIX) else { continue };
        let end = end_offset(store, &format!("{dir}/{name}"), base_offset)?;
        let (from, to) = range.unwrap_or((base_offset, end));
        range = Some((from.min(base_offset), to.max(end)));
    }
    if let Some((from, to)) = range {
        for name in
            names.iter().filter(|name| offset(name).is_some_and(|offset| (from..to).contains(&offset)))
        {
            remove(store, dir, name)?;
        }
    }
    for (name, plain) in &swaps {
        store.rename(&format!("{dir}/{name}"), &format!("{dir}/{plain}"))?;
    }
    Ok(!swaps.is_empty())
}

/// The offset in the plain name of one of a segment's files.
fn offset(name: &str) -> Option<i64> {
    [
        file_names::LOG_SUFFIX,
        file_names::INDEX_SUFFIX,
        file_names::TIME_INDEX_SUFFIX,
        file_names::TXN_INDEX_SUFFIX,
        file_names::SNAPSHOT_SUFFIX,
    ]
    .iter()
    .find_map(|suffix| file_names::offset_of(name, suffix))
}

fn remove<S: LogStore>(store: &mut S, dir: &str, name: &str) -> Result<(), LogError> {
    match store.remove(&format!("{dir}/{name}")) {
        Ok(()) | Err(StoreError::NotFound) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The offset after the last batch of a file.
fn end_offset<S: LogStore>(store: &mut S, path: &str, base_offset: i64) -> Result<i64, LogError> {
    let file = store.open(path)?;
    let len = store.len(&file)?;
    let (mut position, mut end) = (0_u64, base_offset);
    while position < len {
        let mut header = [0; BATCH_HEADER_SIZE];
        let read = store.read_at(&file, position, &mut header)?;
        let header = BatchHeader::read(header.get(..read).unwrap_or_default());
        let corrupt = |reason: String| LogError::Corrupt { path: path.to_owned(), position, reason };
        let header = header.map_err(|error| corrupt(error.to_string()))?;
        end = header.next_offset();
        position = position.saturating_add(header.size_in_bytes() as u64);
    }
    Ok(end)
}
