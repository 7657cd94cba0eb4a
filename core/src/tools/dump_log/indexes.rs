//! `.index` and `.timeindex`: their entries, and whether they fit their log.
//!
//! What a running or killed broker left room for in a file counts as entries, as it does for Apache Kafka's tool: an entry
//! for the base offset that is not the first ends the file.

use super::entries::Entries;
use super::{Dump, IndexView, Refusal, failed, storage};
use crate::log::LogStore;
use crate::log::offset_index::OFFSET_INDEX_ENTRY_SIZE;
use crate::log::time_index::TIME_INDEX_ENTRY_SIZE;
use crate::record::{Compressors, TimestampType};

const CORRUPT_INDEX: &str = "org.apache.kafka.storage.internals.log.CorruptIndexException";
/// Bytes at the end of an index that Apache Kafka's lookup tries first.
const WARM_BYTES: usize = 8 << 10;

/// A file in its bytes.
struct IndexBytes<const N: usize> {
    bytes: Vec<u8>,
    base_offset: i64,
}

impl<const N: usize> IndexBytes<N> {
    fn read<S: LogStore>(store: &mut S, path: &str, base_offset: i64) -> Result<Self, Refusal> {
        let bytes = store.read(path).map_err(|error| storage(path, &error))?;
        Ok(Self { bytes, base_offset })
    }

    fn entries(&self) -> &[[u8; N]] {
        self.bytes.as_chunks().0
    }

    fn is_whole(&self) -> bool {
        self.bytes.len().checked_rem(N) == Some(0)
    }

    fn offset(&self, relative: [u8; 4]) -> i64 {
        self.base_offset.saturating_add(i64::from(i32::from_be_bytes(relative)))
    }
}

impl IndexBytes<OFFSET_INDEX_ENTRY_SIZE> {
    /// Offset and position.
    fn parse(&self, &[a, b, c, d, e, f, g, h]: &[u8; OFFSET_INDEX_ENTRY_SIZE]) -> (i64, i32) {
        (self.offset([a, b, c, d]), i32::from_be_bytes([e, f, g, h]))
    }

    /// The position of the last entry at or below `offset`, found as Apache Kafka finds it, which matters where entries do not rise.
    fn lookup(&self, offset: i64) -> i32 {
        let entries = self.entries();
        let at = |slot: usize| entries.get(slot).map_or((i64::MAX, 0), |entry| self.parse(entry));
        let Some(last) = entries.len().checked_sub(1) else { return 0 };
        let warm = last.saturating_sub(WARM_BYTES.checked_div(OFFSET_INDEX_ENTRY_SIZE).unwrap_or(0));
        let (mut low, mut high) = if at(warm).0 < offset {
            (warm, last)
        } else if at(0).0 > offset {
            return 0;
        } else {
            (0, warm)
        };
        while low < high {
            let middle = low.saturating_add(high).saturating_add(1) >> 1;
            match at(middle).0.cmp(&offset) {
                std::cmp::Ordering::Greater => high = middle.saturating_sub(1),
                std::cmp::Ordering::Equal => return at(middle).1,
                std::cmp::Ordering::Less => low = middle,
            }
        }
        at(low).1
    }
}

impl IndexBytes<TIME_INDEX_ENTRY_SIZE> {
    /// Timestamp and offset.
    fn parse(&self, entry: &[u8; TIME_INDEX_ENTRY_SIZE]) -> (i64, i64) {
        let &[a, b, c, d, e, f, g, h, i, j, k, l] = entry;
        (i64::from_be_bytes([a, b, c, d, e, f, g, h]), self.offset([i, j, k, l]))
    }
}

impl<S: LogStore> Dump<'_, S> {
    pub(super) fn offset_index(&mut self, path: &str, base_offset: i64) -> Result<(), Refusal> {
        let log_path = companion(path, ".log");
        let log = self.open(&log_path)?;
        let index = IndexBytes::<OFFSET_INDEX_ENTRY_SIZE>::read(self.store, path, base_offset)?;
        let Some(last) = index.entries().last().map(|entry| index.parse(entry).0) else {
            self.line(format_args!("{path} is empty."));
            return Ok(());
        };
        if self.tool.index == IndexView::SanityCheck {
            let file = self.absolute(path);
            if last < base_offset {
                return Err(failed(
                    CORRUPT_INDEX,
                    format!(
                        "Corrupt index found, index file {file} has non-zero size but the last offset is {last} which is less \
                     than the base offset {base_offset}"
                    ),
                ));
            }
            if !index.is_whole() {
                return Err(failed(
                    CORRUPT_INDEX,
                    format!(
                        "Index file {file} is corrupt, found {} bytes which is neither positive nor a multiple of 8",
                        index.bytes.len()
                    ),
                ));
            }
            self.line(format_args!("{path} passed sanity check."));
            return Ok(());
        }
        for (at, entry) in index.entries().iter().enumerate() {
            let (offset, position) = index.parse(entry);
            if at > 0 && offset == base_offset {
                break;
            }
            let from = (self.position(&log_path, position)?, self.tool.message_bytes_max);
            let first = Entries::new(self.store, &log_path, &log, from)?.next_header(self.store)?;
            let Some((_, batch)) = first else {
                let message =
                    format!("no batch of at most {} bytes is at byte {position} of {log_path}", from.1);
                return Err(failed("java.util.NoSuchElementException", message));
            };
            if batch.last_offset() != offset {
                let path = self.absolute(path);
                self.complaints.index_mismatch(&path, offset, batch.last_offset());
            }
            if self.tool.index == IndexView::Entries {
                self.line(format_args!("offset: {offset} position: {position}"));
            }
        }
        Ok(())
    }

    pub(super) fn time_index(&mut self, path: &str, base_offset: i64) -> Result<(), Refusal> {
        let log_path = companion(path, ".log");
        let log = self.open(&log_path)?;
        let index_path = companion(path, ".index");
        let offsets = IndexBytes::<OFFSET_INDEX_ENTRY_SIZE>::read(self.store, &index_path, base_offset)?;
        let index = IndexBytes::<TIME_INDEX_ENTRY_SIZE>::read(self.store, path, base_offset)?;
        if self.tool.index == IndexView::SanityCheck {
            self.time_index_is_sane(path, &index)?;
            self.line(format_args!("{path} passed sanity check."));
            return Ok(());
        }
        let file = self.absolute(path);
        let mut before = -1;
        for (at, entry) in index.entries().iter().enumerate() {
            let (timestamp, offset) = index.parse(entry);
            if at > 0 && offset == base_offset {
                break;
            }
            let position = self.position(&log_path, offsets.lookup(offset))?;
            let mut batches = Entries::new(self.store, &log_path, &log, (position, i32::MAX as u64))?;
            let mut found = None;
            // Apache Kafka's tool reads to the end of the file each time, and so notices what is wrong there: once is enough.
            while found.is_none() || at == 0 {
                let Some((position, header)) = batches.next_header(self.store)? else { break };
                found = found.or_else(|| (header.last_offset() >= offset).then_some((position, header)));
            }
            match found {
                Some((position, header)) if header.last_offset() == offset => {
                    let batch = batches.batch_at(self.store, position, header.size_in_bytes())?;
                    let newest = newest_record(&batch, self.lent.compressors)?;
                    if newest != timestamp {
                        self.complaints.timestamp_mismatch(&file, timestamp, newest);
                    }
                    if before >= timestamp {
                        self.complaints.out_of_order(&file, timestamp, before);
                    }
                }
                found => {
                    let found = found.map_or(-1, |(_, header)| header.last_offset());
                    self.complaints.not_found(&file, offset, found);
                }
            }
            if self.tool.index == IndexView::Entries {
                self.line(format_args!("timestamp: {timestamp} offset: {offset}"));
            }
            before = timestamp;
        }
        Ok(())
    }

    fn time_index_is_sane(
        &self,
        path: &str,
        index: &IndexBytes<TIME_INDEX_ENTRY_SIZE>,
    ) -> Result<(), Refusal> {
        let file = self.absolute(path);
        let corrupt = |reason: String| Err(failed(CORRUPT_INDEX, reason));
        let base_offset = index.base_offset;
        let entries = index.entries();
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            let ((first, _), (newest, last)) = (index.parse(first), index.parse(last));
            let what =
                format!("Corrupt time index found, time index file ({file}) has non-zero size but the last");
            if newest < first {
                return corrupt(format!(
                    "{what} timestamp is {newest} which is less than the first timestamp {first}"
                ));
            }
            if last < base_offset {
                return corrupt(format!(
                    "{what} offset is {last} which is less than the first offset {base_offset}"
                ));
            }
        }
        if !index.is_whole() {
            return corrupt(format!(
                "Time index file {file} is corrupt, found {} bytes which is neither positive nor a multiple of 12",
                index.bytes.len()
            ));
        }
        Ok(())
    }

    fn position(&self, log_path: &str, position: i32) -> Result<u64, Refusal> {
        u64::try_from(position).map_err(|_| {
            let message = format!("Invalid position: {position} in read from {log_path}");
            failed("java.lang.IllegalArgumentException", message)
        })
    }
}

/// The newest timestamp of a batch's records.
fn newest_record(batch: &crate::record::Batch, compressors: &Compressors) -> Result<i64, Refusal> {
    if batch.header().timestamp_type() == TimestampType::LogAppendTime && batch.header().records_count > 0 {
        return Ok(batch.header().max_timestamp);
    }
    let mut newest = -1;
    let records = batch.records(compressors).map_err(|error| super::unreadable_records(&error))?;
    for record in records {
        newest = newest.max(record.map_err(|error| super::unreadable_records(&error))?.timestamp);
    }
    Ok(newest)
}

/// The file beside `path` with another suffix.
fn companion(path: &str, suffix: &str) -> String {
    let (directory, name) = path.rsplit_once('/').map_or(("", path), |(directory, name)| (directory, name));
    let stem = name.split('.').next().unwrap_or(name);
    if path.contains('/') { format!("{directory}/{stem}{suffix}") } else { format!("{stem}{suffix}") }
}
