//! One segment: its batches, and its indexes against them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::aborted::AbortedTransactions;
use super::indexes::{OffsetEntries, TimeEntries};
use super::partition::{OnBatch, Place};
use super::report::At;
use super::{LogStore, Run};
use crate::log::file_names::{INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, with_offset};
use crate::log::log_file::LogFile;
use crate::log::{LeaderEpochs, LogError};
use crate::record::{Batch, BatchHeader};

/// What is carried from one segment to the next.
#[derive(Debug)]
pub(super) struct Walk {
    /// The offset after the last batch; `None` before the first segment, and where a segment cannot be read to its end.
    pub(super) next_offset: Option<i64>,
    epochs: LeaderEpochs,
    /// Where the transactions that are open begin, by their producers.
    pub(super) open_transactions: BTreeMap<i64, i64>,
}

impl Walk {
    /// With the entries of the `leader-epoch-checkpoint`; without any, epochs are not compared.
    pub(super) fn new(entries: &[(i32, i64)]) -> Self {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start_offset) in entries {
            epochs.assign(*epoch, *start_offset);
        }
        Self { next_offset: None, epochs, open_transactions: BTreeMap::new() }
    }
}

/// The segments of a replica.
#[derive(Debug)]
pub(super) struct Segments<'a> {
    pub(super) place: &'a Place,
    pub(super) indexes: &'a BTreeSet<(i64, &'static str)>,
}

/// One of them while it is walked.
struct Segment<'a> {
    place: &'a Place,
    path: String,
    base_offset: i64,
    /// Recovery reads it whole, rebuilds its indexes, and cuts off what is torn.
    mended: bool,
    is_last: bool,
    /// Said once for a segment.
    epochs_differ: bool,
}

impl Segments<'_> {
    /// Checks the segment with this base offset, whose successor has the second.
    pub(super) fn check<S: LogStore>(
        &self,
        run: &mut Run<'_, S>,
        (base_offset, next_base): (i64, Option<i64>),
        walk: &mut Walk,
        on_batch: OnBatch<'_>,
    ) {
        let place = self.place;
        run.report.segments = run.report.segments.saturating_add(1);
        let mut segment = Segment {
            place,
            path: self.path(base_offset, LOG_SUFFIX),
            base_offset,
            mended: !place.clean && next_base.is_none_or(|next| next > place.recovery_point),
            is_last: next_base.is_none(),
            epochs_differ: false,
        };
        segment.begins(run, walk);
        let mut offsets = self.index(run, &segment, INDEX_SUFFIX, OffsetEntries::read);
        let mut times = self.index(run, &segment, TIME_INDEX_SUFFIX, TimeEntries::read);
        let mut aborted = AbortedTransactions::read(
            run,
            self.path(base_offset, TXN_INDEX_SUFFIX),
            (base_offset, next_base),
            segment.mended,
        );
        let path = segment.path.clone();
        let mut file = match LogFile::open(run.store, &path) {
            Ok(file) => file,
            Err(error) => return unreadable(run, &path, error),
        };
        // What is known of the records: without it, nothing is said of what follows from them.
        let mut sound = true;
        loop {
            let (position, batch) = match file.next(run.store) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(error) => {
                    walk.next_offset = None;
                    return segment.ends_early(run, error);
                }
            };
            run.report.batches = run.report.batches.saturating_add(1);
            run.report.advance(&path, batch.header().size_in_bytes() as u64);
            sound &= segment.batch(run, position, &batch, walk);
            offsets.pass(run, position, batch.header());
            if sound {
                times.pass(run, batch.header());
                aborted.pass(run, &batch, walk);
                on_batch(&mut run.report, &path, position, &batch);
            }
        }
        let next_offset = walk.next_offset.unwrap_or(base_offset);
        offsets.finish(run, next_offset, file.len());
        if sound {
            times.finish(run, next_offset);
            aborted.finish(run, place.may_have_gaps);
        }
    }

    /// Reads one of the indexes that every segment has.
    fn index<S: LogStore, I: Default>(
        &self,
        run: &mut Run<'_, S>,
        segment: &Segment<'_>,
        suffix: &'static str,
        read: impl Fn(&mut Run<'_, S>, String, i64, bool) -> I,
    ) -> I {
        let path = self.path(segment.base_offset, suffix);
        if self.indexes.contains(&(segment.base_offset, suffix)) {
            return read(run, path, segment.base_offset, segment.mended);
        }
        run.report.fault_unless(segment.mended, &path, At::Whole, "it is missing");
        I::default()
    }

    fn path(&self, base_offset: i64, suffix: &str) -> String {
        format!("{}/{}", self.place.dir, with_offset(base_offset, suffix))
    }
}

impl Segment<'_> {
    /// It follows the segment before.
    fn begins<S: LogStore>(&self, run: &mut Run<'_, S>, walk: &mut Walk) {
        let next_offset = *walk.next_offset.get_or_insert(self.base_offset);
        if self.base_offset < next_offset {
            let what =
                format_args!("the segment before it goes on to offset {}", next_offset.saturating_sub(1));
            run.report.fault(&self.path, At::Whole, what);
        } else if self.base_offset > next_offset && !self.place.may_have_gaps {
            // What lies below the recovery point was on the disk.
            let mended = self.mended && next_offset >= self.place.recovery_point;
            let what = missing(next_offset, self.base_offset);
            run.report.fault_unless(mended, &self.path, At::Whole, what);
        }
        walk.next_offset = Some(next_offset.max(self.base_offset));
    }

    /// What comes next is no batch, or cannot be read.
    fn ends_early<S: LogStore>(&self, run: &mut Run<'_, S>, error: LogError) {
        match error {
            LogError::Corrupt { position, reason, .. } => {
                let mended = self.mended && self.is_last;
                run.report.fault_unless(mended, &self.path, At::Byte(position), reason);
            }
            error => unreadable(run, &self.path, error),
        }
    }

    /// False if the batch's records are not to be believed.
    fn batch<S: LogStore>(
        &mut self,
        run: &mut Run<'_, S>,
        position: u64,
        batch: &Batch,
        walk: &mut Walk,
    ) -> bool {
        let header = batch.header();
        let next_offset = walk.next_offset.unwrap_or(self.base_offset);
        let path = self.path.as_str();
        let mut fault = |what: &dyn Display| run.report.fault(path, At::Byte(position), what);
        if let Err(error) = batch.check_crc() {
            fault(&error);
            // Its offsets may be right, and what follows is not to be told as missing.
            walk.next_offset = Some(next_offset.max(header.next_offset()));
            return false;
        }
        if header.last_offset_delta < 0 {
            fault(&format_args!("last offset delta {} is negative", header.last_offset_delta));
            return false;
        }
        if header.base_offset < self.base_offset {
            fault(&format_args!("offset {} is below the offset in the file's name", header.base_offset));
        } else if header.base_offset < next_offset {
            fault(&format_args!(
                "offset {} comes after offset {}",
                header.base_offset,
                next_offset.saturating_sub(1)
            ));
        } else if header.base_offset > next_offset && !self.place.may_have_gaps {
            fault(&missing(next_offset, header.base_offset));
        }
        if let Some(what) = records_fault(batch, run.compressors) {
            run.report.fault(path, At::Byte(position), what);
        }
        self.epoch(run, position, header, walk);
        walk.next_offset = Some(next_offset.max(header.next_offset()));
        true
    }

    /// The batch was written in the epoch that the checkpoint says.
    fn epoch<S: LogStore>(&mut self, run: &mut Run<'_, S>, position: u64, header: &BatchHeader, walk: &Walk) {
        let Some(earliest) = walk.epochs.earliest() else { return };
        let known = walk.epochs.epoch_for_offset(header.base_offset);
        let written = header.partition_leader_epoch;
        let below_start = header.base_offset < earliest.start_offset;
        if self.epochs_differ || written < 0 || below_start || known == Some(written) {
            return;
        }
        self.epochs_differ = true;
        let known = known.unwrap_or(-1);
        let what =
            format_args!("written in leader epoch {written}, and leader-epoch-checkpoint says {known}");
        run.report.fault_unless(self.mended, &self.path, At::Byte(position), what);
    }
}

/// The offsets from `next_offset` up to `found` are not there.
fn missing(next_offset: i64, found: i64) -> String {
    match found.saturating_sub(1) {
        last if last == next_offset => format!("offset {last} is missing before it"),
        last => format!("offsets {next_offset} to {last} are missing before it"),
    }
}

/// What is wrong with the records of a batch.
fn records_fault(batch: &Batch, compressors: &crate::record::Compressors) -> Option<String> {
    let header = batch.header();
    let records = match batch.records(compressors) {
        Ok(records) => records,
        Err(error) => return Some(error.to_string()),
    };
    let mut last = header.base_offset.saturating_sub(1);
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(error) => return Some(error.to_string()),
        };
        if record.offset <= last || record.offset > header.last_offset() {
            return Some(format!("record offset {} comes after {last} or the batch's last", record.offset));
        }
        last = record.offset;
    }
    None
}

fn unreadable<S: LogStore>(run: &mut Run<'_, S>, path: &str, error: LogError) {
    match error {
        LogError::Store(error) => run.report.unreadable(path, &error),
        error => run.report.fault(path, At::Whole, error),
    }
}
