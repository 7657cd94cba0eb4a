//! One replica's directory: its files by their names, leader epochs, producer snapshots.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{At, Report};
use super::segment::{Segments, Walk};
use super::{LogStore, Run};
use crate::log::checkpoint::parse_epochs;
use crate::log::file_names::{
    CLEANED_SUFFIX, DELETED_SUFFIX, INDEX_SUFFIX, LEADER_EPOCH_CHECKPOINT, LOG_SUFFIX, PARTITION_METADATA,
    SNAPSHOT_SUFFIX, SWAP_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, offset_of, with_offset,
};
use crate::log::producer_snapshot;
use crate::quorum::{METADATA_DIR, checkpoint::SnapshotId, quorum_state};
use crate::record::Batch;

/// What is told of every batch that is whole: path, position, batch.
pub(super) type OnBatch<'a> = &'a mut dyn FnMut(&mut Report<'_>, &str, u64, &Batch);

/// A replica's directory, and what is known of it from outside.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) dir: String,
    /// The last stop was clean.
    pub(super) clean: bool,
    /// Below, recovery believes what it finds.
    pub(super) recovery_point: i64,
    /// Compaction may have taken records.
    pub(super) may_have_gaps: bool,
}

/// The offsets in a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Of its first segment.
    pub(super) base_offset: i64,
    pub(super) log_end_offset: i64,
}

/// The files of a replica.
#[derive(Debug, Default)]
struct Files {
    logs: BTreeSet<i64>,
    /// Indexes of all kinds: base offset, suffix.
    indexes: BTreeSet<(i64, &'static str)>,
    snapshots: Vec<i64>,
}

impl Place {
    /// Whether it holds the metadata log.
    pub(super) fn is_metadata(&self) -> bool {
        self.dir.ends_with(&format!("/{METADATA_DIR}"))
    }

    /// Checks all files. `None` if nothing can be said of the log as a whole.
    pub(super) fn check<S: LogStore>(&self, run: &mut Run<'_, S>, on_batch: OnBatch<'_>) -> Option<Extent> {
        run.report.partitions = run.report.partitions.saturating_add(1);
        let files = self.files(run)?;
        let epochs = self.epochs(run);
        let mut walk = Walk::new(epochs.as_deref().unwrap_or_default());
        let segments = Segments { place: self, indexes: &files.indexes };
        let mut bases = files.logs.iter().copied().peekable();
        while let Some(base_offset) = bases.next() {
            segments.check(run, (base_offset, bases.peek().copied()), &mut walk, on_batch);
        }
        let Some(base_offset) = files.logs.first().copied() else {
            run.report.fault_unless(!self.clean, &self.dir, At::Whole, "there is no segment");
            return None;
        };
        let extent = Extent { base_offset, log_end_offset: walk.next_offset? };
        self.epochs_within(run, &epochs.unwrap_or_default(), extent);
        for offset in files.snapshots {
            self.producer_snapshot(run, offset, extent);
        }
        Some(extent)
    }

    fn files<S: LogStore>(&self, run: &mut Run<'_, S>) -> Option<Files> {
        let entries = match run.store.list(&self.dir) {
            Ok(entries) => entries,
            Err(error) => {
                run.report.unreadable(&self.dir, &error);
                return None;
            }
        };
        let mut files = Files::default();
        for entry in entries {
            let name = entry.name.as_str();
            if let Some(base_offset) = offset_of(name, LOG_SUFFIX) {
                files.logs.insert(base_offset);
            } else if let Some(offset) = offset_of(name, SNAPSHOT_SUFFIX) {
                files.snapshots.push(offset);
            } else if let Some(index) = [INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX]
                .into_iter()
                .find_map(|suffix| Some((offset_of(name, suffix)?, suffix)))
            {
                files.indexes.insert(index);
            } else if let Some(what) = self.leftover(name) {
                run.report.note(&format!("{}/{name}", self.dir), At::Whole, what);
            }
        }
        for (base_offset, suffix) in files.indexes.iter().filter(|(base, _)| !files.logs.contains(base)) {
            let path = format!("{}/{}", self.dir, with_offset(*base_offset, suffix));
            run.report.note(&path, At::Whole, "there is no segment for this index");
        }
        Some(files)
    }

    /// What a file is that does not belong to the log as it stands. `None` if it does.
    fn leftover(&self, name: &str) -> Option<&'static str> {
        if [LEADER_EPOCH_CHECKPOINT, PARTITION_METADATA].contains(&name)
            || self.is_metadata() && (name == quorum_state::FILE || SnapshotId::parse(name).is_some())
        {
            return None;
        }
        let leftovers = [
            (DELETED_SUFFIX, "a deletion was not finished"),
            (CLEANED_SUFFIX, "the cleaner had not finished it"),
            (SWAP_SUFFIX, "the cleaner had not put it in its place"),
            (".tmp", "it was being written"),
            (".part", "it was being written"),
        ];
        let found = leftovers.into_iter().find(|(suffix, _)| name.ends_with(suffix));
        Some(found.map_or("not a file of a log", |(_, what)| what))
    }

    fn epochs<S: LogStore>(&self, run: &mut Run<'_, S>) -> Option<Vec<(i32, i64)>> {
        let path = format!("{}/{LEADER_EPOCH_CHECKPOINT}", self.dir);
        let bytes = run.small_file(&path)?;
        if bytes.is_empty() {
            return Some(Vec::new());
        }
        match parse_epochs(&bytes) {
            Ok(epochs) => Some(epochs),
            Err(error) => {
                run.report.fault_unless(!self.clean, &path, At::Line(error.line), error.reason);
                None
            }
        }
    }

    fn epochs_within<S: LogStore>(&self, run: &mut Run<'_, S>, epochs: &[(i32, i64)], extent: Extent) {
        let path = format!("{}/{LEADER_EPOCH_CHECKPOINT}", self.dir);
        let mended = !self.clean;
        let mut before: Option<(i32, i64)> = None;
        // Two lines come before the entries.
        for (line, &(epoch, start_offset)) in (3..).zip(epochs) {
            if before.is_some_and(|before| before.0 >= epoch || before.1 >= start_offset) {
                let what = format_args!(
                    "epoch {epoch} from offset {start_offset} does not come after the one before"
                );
                run.report.fault_unless(mended, &path, At::Line(line), what);
            }
            if start_offset > extent.log_end_offset {
                let what = format_args!(
                    "epoch {epoch} begins with offset {start_offset}, and the log ends with {}",
                    extent.log_end_offset
                );
                run.report.fault_unless(mended, &path, At::Line(line), what);
            }
            before = Some((epoch, start_offset));
        }
    }

    fn producer_snapshot<S: LogStore>(&self, run: &mut Run<'_, S>, offset: i64, extent: Extent) {
        let path = format!("{}/{}", self.dir, with_offset(offset, SNAPSHOT_SUFFIX));
        let Some(bytes) = run.small_file(&path) else { return };
        if offset > extent.log_end_offset {
            let what = format_args!("the log ends with {}", extent.log_end_offset);
            run.report.note(&path, At::Whole, what);
        }
        let producers = match producer_snapshot::read(&bytes) {
            Ok(producers) => producers,
            Err(error) => return run.report.fault_unless(!self.clean, &path, At::Byte(0), error),
        };
        let mut seen = BTreeMap::new();
        for (position, (producer_id, producer)) in producer_snapshot::positions().zip(producers) {
            let last = producer.batches.back().map_or(-1, |batch| batch.last_offset);
            let first = producer.current_txn_first_offset.unwrap_or(-1);
            let newest = last.max(first);
            if newest >= offset {
                let what =
                    format_args!("producer {producer_id} has written offset {newest}, which comes later");
                run.report.fault(&path, At::Byte(position), what);
            }
            if seen.insert(producer_id, ()).is_some() {
                let what = format_args!("producer {producer_id} is in it twice");
                run.report.fault(&path, At::Byte(position), what);
            }
        }
    }
}
