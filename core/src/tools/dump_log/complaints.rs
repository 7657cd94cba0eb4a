//! What does not fit, told on standard error once all files have been dumped.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// By the absolute paths of the files.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// Offset index entries: their offset, and the last offset of the batch that they point at.
    index: BTreeMap<String, BTreeMap<Reverse<i64>, i64>>,
    /// Time index entries: their timestamp, and the newest one in the batch.
    timestamps: BTreeMap<String, Vec<(i64, i64)>>,
    /// Time index entries: their timestamp, and that of the entry before.
    order: BTreeMap<String, Vec<(i64, i64)>>,
    /// Time index entries: their offset, and the last offset of the batch found for it, or −1.
    not_found: BTreeMap<String, Vec<(i64, i64)>>,
    /// Records: the offset before, and their own.
    skips: BTreeMap<String, BTreeMap<i64, i64>>,
}

impl Complaints {
    pub(super) fn index_mismatch(&mut self, path: &str, indexed: i64, found: i64) {
        self.index.entry(path.to_owned()).or_default().insert(Reverse(indexed), found);
    }

    pub(super) fn timestamp_mismatch(&mut self, path: &str, indexed: i64, found: i64) {
        self.timestamps.entry(path.to_owned()).or_default().push((indexed, found));
    }

    pub(super) fn out_of_order(&mut self, path: &str, timestamp: i64, before: i64) {
        self.order.entry(path.to_owned()).or_default().push((timestamp, before));
    }

    pub(super) fn not_found(&mut self, path: &str, indexed: i64, found: i64) {
        self.not_found.entry(path.to_owned()).or_default().push((indexed, found));
    }

    pub(super) fn skip(&mut self, path: &str, before: i64, offset: i64) {
        self.skips.entry(path.to_owned()).or_default().insert(before, offset);
    }

    /// The lines, in the order in which Apache Kafka's tool has the kinds.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for (path, mismatches) in &self.index {
            let _ = writeln!(text, "Mismatches in :{path}");
            for (Reverse(indexed), found) in mismatches {
                let _ = writeln!(text, "  Index offset: {indexed}, log offset: {found}");
            }
        }
        for (path, mismatches) in &self.timestamps {
            let _ = writeln!(text, "Found timestamp mismatch in :{path}");
            for (indexed, found) in mismatches {
                let _ = writeln!(text, "  Index timestamp: {indexed}, log timestamp: {found}");
            }
        }
        for (path, entries) in &self.order {
            let _ = writeln!(text, "Found out of order timestamp in :{path}");
            for (timestamp, before) in entries {
                let _ =
                    writeln!(text, "  Index timestamp: {timestamp}, Previously indexed timestamp: {before}");
            }
        }
        for (path, entries) in &self.not_found {
            let _ = writeln!(text, "The following indexed offsets are not found in :{path}");
            for (indexed, found) in entries {
                let _ = writeln!(text, "Indexed offset: {indexed}, found log offset: {found}");
            }
        }
        for (path, skips) in &self.skips {
            let _ = writeln!(text, "Non-consecutive offsets in {path}");
            for (before, offset) in skips {
                let _ = writeln!(text, "  {before} is followed by {offset}");
            }
        }
        text
    }
}
