//! The offset index and the time index of a segment, held against its batches as those go by.

use super::report::At;
use super::{LogStore, Run};
use crate::log::offset_index::OFFSET_INDEX_ENTRY_SIZE;
use crate::log::time_index::TIME_INDEX_ENTRY_SIZE;
use crate::log::{offset_index, time_index};
use crate::record::BatchHeader;

/// An index's file, and which of its entries comes next.
#[derive(Debug)]
struct Entries<T> {
    path: String,
    mended: bool,
    entry_size: u64,
    entries: Vec<T>,
    next: usize,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self { path: String::new(), mended: false, entry_size: 1, entries: Vec::new(), next: 0 }
    }
}

impl<T: Copy> Entries<T> {
    /// Reads a file whose size has to be one of entries. Room that an unclean stop left at its end is cut off.
    fn read<S: LogStore>(
        run: &mut Run<'_, S>,
        path: String,
        mended: bool,
        entry_size: usize,
        parse: impl Fn(&[u8]) -> Vec<T>,
    ) -> Self {
        let mut bytes = run.small_file(&path).unwrap_or_default();
        if bytes.len().checked_rem(entry_size) != Some(0) {
            let torn = bytes.len().saturating_sub(bytes.len().checked_rem(entry_size).unwrap_or(0));
            let what = format_args!("{} bytes are not entries of {entry_size}", bytes.len());
            run.report.fault_unless(mended, &path, At::Byte(torn as u64), what);
        }
        if mended {
            let used = bytes.chunks(entry_size).rposition(|entry| entry.iter().any(|byte| *byte != 0));
            bytes.truncate(used.map_or(0, |last| last.saturating_add(1).saturating_mul(entry_size)));
        }
        Self { path, mended, entry_size: entry_size as u64, entries: parse(&bytes), next: 0 }
    }

    fn current(&self) -> Option<T> {
        self.entries.get(self.next).copied()
    }

    /// The entry is right, or was told.
    fn passed(&mut self) {
        self.next = self.next.saturating_add(1);
    }

    fn fault<S: LogStore>(&self, run: &mut Run<'_, S>, slot: usize, what: impl std::fmt::Display) {
        let at = At::Byte((slot as u64).saturating_mul(self.entry_size));
        run.report.fault_unless(self.mended, &self.path, at, what);
    }

    /// Where entries do not rise.
    fn order<S: LogStore>(&self, run: &mut Run<'_, S>, rises: impl Fn(T, T) -> bool) {
        for (slot, pair) in (1..).zip(self.entries.windows(2)) {
            if let [before, after] = *pair
                && !rises(before, after)
            {
                self.fault(run, slot, "the entry does not come after the one before");
            }
        }
    }
}

/// `.index`
#[derive(Debug, Default)]
pub(super) struct OffsetEntries(Entries<offset_index::OffsetPosition>);

impl OffsetEntries {
    pub(super) fn read<S: LogStore>(
        run: &mut Run<'_, S>,
        path: String,
        base_offset: i64,
        mended: bool,
    ) -> Self {
        let parse = |bytes: &[u8]| offset_index::entries(bytes, base_offset).collect();
        let entries = Entries::read(run, path, mended, OFFSET_INDEX_ENTRY_SIZE, parse);
        entries.order(run, |before, after| before.offset < after.offset && before.position < after.position);
        Self(entries)
    }

    /// The batch at `position`: an entry that points at it has an offset of it or of a later one.
    pub(super) fn pass<S: LogStore>(&mut self, run: &mut Run<'_, S>, position: u64, header: &BatchHeader) {
        while let Some(entry) = self.0.current().filter(|entry| entry.position <= position) {
            if entry.position < position {
                let what = format_args!("no batch begins at byte {} of the log", entry.position);
                self.0.fault(run, self.0.next, what);
            } else if entry.offset < header.base_offset {
                let what = format_args!(
                    "offset {} points at byte {position}, where offset {} is",
                    entry.offset, header.base_offset
                );
                self.0.fault(run, self.0.next, what);
            }
            self.0.passed();
        }
    }

    pub(super) fn finish<S: LogStore>(&mut self, run: &mut Run<'_, S>, next_offset: i64, len: u64) {
        while let Some(entry) = self.0.current() {
            let what =
                format_args!("byte {} is not in the log's batches, whose file has {len}", entry.position);
            self.0.fault(run, self.0.next, what);
            self.0.passed();
        }
        let beyond = self.0.entries.iter().position(|entry| entry.offset >= next_offset);
        if let Some(slot) = beyond {
            self.0.fault(run, slot, format_args!("the segment ends before offset {next_offset}"));
        }
    }
}

/// `.timeindex`
#[derive(Debug, Default)]
pub(super) struct TimeEntries {
    entries: Entries<time_index::TimestampOffset>,
    /// Of the batches so far; the second without the last of them.
    newest: i64,
    newest_before: i64,
}

impl TimeEntries {
    pub(super) fn read<S: LogStore>(
        run: &mut Run<'_, S>,
        path: String,
        base_offset: i64,
        mended: bool,
    ) -> Self {
        let parse = |bytes: &[u8]| time_index::entries(bytes, base_offset).collect();
        let entries = Entries::read(run, path, mended, TIME_INDEX_ENTRY_SIZE, parse);
        entries
            .order(run, |before, after| before.timestamp < after.timestamp && before.offset <= after.offset);
        Self { entries, newest: -1, newest_before: -1 }
    }

    /// No record before the offset of an entry is newer than the entry.
    pub(super) fn pass<S: LogStore>(&mut self, run: &mut Run<'_, S>, header: &BatchHeader) {
        self.newest_before = self.newest;
        self.newest = self.newest.max(header.max_timestamp);
        while let Some(entry) = self.entries.current().filter(|entry| entry.offset <= header.last_offset()) {
            if self.newest_before > entry.timestamp {
                let what = format_args!(
                    "timestamp {} at offset {}: a record before it has {}",
                    entry.timestamp, entry.offset, self.newest_before
                );
                self.entries.fault(run, self.entries.next, what);
            } else if self.newest < entry.timestamp {
                let what = format_args!(
                    "timestamp {} at offset {}: no record up to it is as new, {} is the newest",
                    entry.timestamp, entry.offset, self.newest
                );
                self.entries.fault(run, self.entries.next, what);
            }
            self.entries.passed();
        }
    }

    pub(super) fn finish<S: LogStore>(&mut self, run: &mut Run<'_, S>, next_offset: i64) {
        while let Some(entry) = self.entries.current() {
            let what = format_args!(
                "offset {} is not in the segment, which ends before {next_offset}",
                entry.offset
            );
            self.entries.fault(run, self.entries.next, what);
            self.entries.passed();
        }
    }
}
