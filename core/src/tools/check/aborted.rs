//! The index of aborted transactions, held against the markers in the log.

use std::collections::BTreeMap;

use super::report::At;
use super::segment::Walk;
use super::{LogStore, Run};
use crate::log::AbortedTxn;
use crate::log::txn_index::TXN_INDEX_ENTRY_SIZE;
use crate::record::{Batch, EndTxnMarker};

/// `.txnindex` of one segment.
#[derive(Debug)]
pub(super) struct AbortedTransactions {
    path: String,
    mended: bool,
    /// By the offsets of their markers, with where they stand.
    entries: BTreeMap<i64, (u64, AbortedTxn)>,
}

impl AbortedTransactions {
    /// Reads a file, which is not there where nothing was aborted.
    pub(super) fn read<S: LogStore>(
        run: &mut Run<'_, S>,
        path: String,
        (base_offset, next_base): (i64, Option<i64>),
        mended: bool,
    ) -> Self {
        let bytes = run.small_file(&path).unwrap_or_default();
        let (entries, rest) = bytes.as_chunks::<TXN_INDEX_ENTRY_SIZE>();
        let mut read = Self { path, mended, entries: BTreeMap::new() };
        let position = |slot: usize| (slot as u64).saturating_mul(TXN_INDEX_ENTRY_SIZE as u64);
        let mut last = base_offset.saturating_sub(1);
        for (slot, bytes) in entries.iter().enumerate() {
            let at = position(slot);
            let Some(entry) = AbortedTxn::from_array(bytes) else {
                read.fault(run, at, "an entry of an unknown version");
                continue;
            };
            let AbortedTxn { first_offset, last_offset, last_stable_offset, .. } = entry;
            if last_offset <= last || next_base.is_some_and(|next| last_offset >= next) {
                read.fault(
                    run,
                    at,
                    format_args!("the marker's offset {last_offset} is out of order or of another segment"),
                );
            }
            if first_offset > last_offset || last_stable_offset > last_offset.saturating_add(1) {
                let what = format_args!(
                    "first offset {first_offset}, last offset {last_offset} and last stable offset {last_stable_offset} \
                     do not fit together"
                );
                read.fault(run, at, what);
            }
            last = last.max(last_offset);
            read.entries.insert(last_offset, (at, entry));
        }
        if !rest.is_empty() {
            read.fault(run, position(entries.len()), "the last entry is cut");
        }
        read
    }

    /// Follows the transactions of the log: whose abort marker goes by must be in the index if records of it went by.
    pub(super) fn pass<S: LogStore>(&mut self, run: &mut Run<'_, S>, batch: &Batch, walk: &mut Walk) {
        let header = batch.header();
        if !header.is_transactional() {
            return;
        }
        if !header.is_control() {
            walk.open_transactions.entry(header.producer_id).or_insert(header.base_offset);
            return;
        }
        let Some(marker) = marker_of(batch) else { return };
        let first_offset = walk.open_transactions.remove(&header.producer_id);
        let listed = self.entries.remove(&header.base_offset);
        match (listed, first_offset) {
            (Some((at, entry)), _) if marker.is_commit || entry.producer_id != header.producer_id => {
                let what = format_args!(
                    "producer {} at offset {}: there is no marker of its abort",
                    entry.producer_id, entry.last_offset
                );
                self.fault(run, at, what);
            }
            (None, Some(first_offset)) if !marker.is_commit => {
                let what = format_args!(
                    "producer {} aborted offsets {first_offset} to {}: no entry says so",
                    header.producer_id, header.base_offset
                );
                run.report.fault_unless(self.mended, &self.path, At::Whole, what);
            }
            _ => {}
        }
    }

    /// What is left has no marker; compaction may have taken it.
    pub(super) fn finish<S: LogStore>(self, run: &mut Run<'_, S>, may_have_gaps: bool) {
        for (at, entry) in self.entries.values().filter(|_| !may_have_gaps) {
            let what = format_args!("there is no marker of an abort at offset {}", entry.last_offset);
            self.fault(run, *at, what);
        }
    }

    fn fault<S: LogStore>(&self, run: &mut Run<'_, S>, at: u64, what: impl std::fmt::Display) {
        run.report.fault_unless(self.mended, &self.path, At::Byte(at), what);
    }
}

fn marker_of(batch: &Batch) -> Option<EndTxnMarker> {
    let record = batch.records(&crate::record::Compressors::default()).ok()?.next()?.ok()?;
    EndTxnMarker::read(&record.key?, &record.value?)
}
