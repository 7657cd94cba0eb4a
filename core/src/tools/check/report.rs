//! What was found, as lines.

use std::fmt::Display;

use super::Output;
use crate::log::StoreError;

/// Counts what it says.
pub(super) struct Report<'a> {
    say: &'a mut dyn FnMut(Output),
    faults: u64,
    unreadable: u64,
    /// Bytes of segments that there are.
    pub(super) total: u64,
    /// Bytes of segments that were read.
    bytes: u64,
    pub(super) partitions: u64,
    pub(super) segments: u64,
    pub(super) batches: u64,
    progress_bytes: u64,
    progress_due: u64,
}

impl std::fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Report").field("faults", &self.faults).finish_non_exhaustive()
    }
}

/// A place in a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    Byte(u64),
    /// From 1.
    Line(usize),
    /// The file as a whole.
    Whole,
}

impl<'a> Report<'a> {
    pub(super) fn new(say: &'a mut dyn FnMut(Output), progress_bytes: u64) -> Self {
        Self {
            say,
            faults: 0,
            unreadable: 0,
            total: 0,
            bytes: 0,
            partitions: 0,
            segments: 0,
            batches: 0,
            progress_bytes,
            progress_due: progress_bytes,
        }
    }

    pub(super) fn fault(&mut self, path: &str, at: At, what: impl Display) {
        self.faults = self.faults.saturating_add(1);
        self.line("fault", path, at, &what);
    }

    pub(super) fn note(&mut self, path: &str, at: At, what: impl Display) {
        self.line("note", path, at, &what);
    }

    /// A fault, unless a broker will mend it when it starts.
    pub(super) fn fault_unless(&mut self, mended: bool, path: &str, at: At, what: impl Display) {
        match mended {
            true => self.note(path, at, format_args!("{what} (recovery mends it)")),
            false => self.fault(path, at, what),
        }
    }

    pub(super) fn unreadable(&mut self, path: &str, error: &StoreError) {
        self.unreadable = self.unreadable.saturating_add(1);
        self.line("unreadable", path, At::Whole, &error);
    }

    fn line(&mut self, kind: &str, path: &str, at: At, what: &dyn Display) {
        let stdout = match at {
            At::Byte(byte) => format!("{kind}: {path} at byte {byte}: {what}\n"),
            At::Line(line) => format!("{kind}: {path} at line {line}: {what}\n"),
            At::Whole => format!("{kind}: {path}: {what}\n"),
        };
        (self.say)(Output { stdout, ..Output::default() });
    }

    /// So many bytes of a segment were read.
    pub(super) fn advance(&mut self, path: &str, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= self.progress_due {
            self.progress_due = self.bytes.saturating_add(self.progress_bytes);
            let stderr = format!("{} of {} MiB: {path}\n", self.bytes >> 20, self.total >> 20);
            (self.say)(Output { stderr, ..Output::default() });
        }
    }

    /// The last line; answers the exit code.
    pub(super) fn finish(self) -> i32 {
        let Self { partitions, segments, batches, bytes, faults, unreadable, .. } = self;
        let mut stdout =
            format!("{partitions} partitions, {segments} segments, {batches} batches, {bytes} bytes: ");
        stdout.push_str(&match (faults, unreadable) {
            (0, 0) => "no fault\n".to_owned(),
            (faults, 0) => format!("faults: {faults}\n"),
            (faults, unreadable) => format!("faults: {faults}; could not be read: {unreadable}\n"),
        });
        (self.say)(Output { stdout, ..Output::default() });
        match (faults, unreadable) {
            (_, 1..) => 2,
            (1.., 0) => 1,
            (0, 0) => 0,
        }
    }
}
