//! Opening a log: what is past the recovery point is read and checked, in steps; a torn tail is cut.
//!
//! After a clean shutdown only the last few batches are looked at, and so they are without one where the log ends at its recovery point: it was
//! synced as it is. Otherwise every segment from the one that holds the recovery point on is read whole: checksums are verified, the indexes, the leader epochs and the index of aborted transactions are rebuilt,
//! the first batch that is not whole ends the log. Below the recovery point it does so only if nothing valid follows: a hole
//! in the middle is an error, for the operator to look at. Segments below are believed; one whose index is missing or
//! impossible is read whole too, and must be sound. Producer state comes from the newest snapshot and the batches after
//! it.

use super::LogConfig;
use super::error::LogError;
use super::file_names::{self, LEADER_EPOCH_CHECKPOINT, LOG_SUFFIX, SNAPSHOT_SUFFIX};
use super::log::Log;
use super::producer_state::ProducerState;
use super::read::Readers;
use super::scan::{self, Scan, ScanError, Scanned};
use super::segment::Segment;
use super::store::{LogStore, StoreError};
use super::txn_index::AbortedTxn;
use crate::sim::mutation::Mutation;
use crate::time::Now;

mod believed;
mod leftovers;

/// What a log is opened with.
#[derive(Clone, Debug)]
pub struct OpenLog {
    /// The partition's directory; created if it is not there.
    pub dir: String,
    /// What the log acts on.
    pub config: LogConfig,
    /// From `log-start-offset-checkpoint`; 0 without an entry.
    pub log_start_offset: i64,
    /// From `recovery-point-offset-checkpoint`; 0 without an entry.
    pub recovery_point: i64,
    /// From `replication-offset-checkpoint`; 0 without an entry.
    pub high_watermark: i64,
    /// `.kafka_cleanshutdown` was in the log directory. It is believed of a log that ends at its recovery point: a power
    /// loss can bring the file back.
    pub clean_shutdown: bool,
    /// Other brokers have replicas of it. What is broken is cut off then with all that follows, as Apache Kafka does: the leader has it. Below
    /// the recovery point of the only replica it is not for us to drop.
    pub has_others: bool,
}

/// What was found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The end of the log now.
    pub log_end_offset: i64,
    /// Bytes read and checked.
    pub scanned_bytes: u64,
    /// Where the log was cut, if it was.
    pub truncation: Option<Truncation>,
    /// Segments whose indexes were rebuilt though the log is believed there.
    pub rebuilt_indexes: Vec<i64>,
    /// Where records may be missing, if compaction has not taken them: nobody can tell, but a leader has them.
    pub doubtful_from: Option<i64>,
}

/// A torn tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The file that was cut.
    pub path: String,
    /// To how many bytes.
    pub position: u64,
    /// Why.
    pub reason: String,
    /// Bytes cut off, later segments included.
    pub bytes: u64,
}

/// A log on its way to being open. Step it until it is done.
#[derive(Clone, Debug)]
pub struct Recovery<S: LogStore> {
    log: Log<S>,
    options: OpenLog,
    report: RecoveryReport,
    /// For each segment: whether it is read whole.
    whole: Vec<bool>,
    producers: ProducerState,
    /// The segment being walked, and how far that has come.
    current: usize,
    scan: Option<Scan>,
    /// The offset after the last batch walked over.
    next_offset: i64,
}

impl<S: LogStore> Log<S> {
    /// Opens a log, however much there is to recover. See [`Recovery`] for doing it in steps.
    pub fn open(store: &mut S, now: Now, options: OpenLog) -> Result<(Self, RecoveryReport), LogError> {
        let mut recovery = Recovery::start(store, now, options)?;
        while !recovery.step(store, u64::MAX)? {}
        recovery.finish(store, now)
    }
}

impl<S: LogStore> Recovery<S> {
    /// Opens the files. Reads index ends, the leader epochs and a producer snapshot, and no records.
    ///
    /// Errors: [`LogError::Store`].
    pub fn start(store: &mut S, now: Now, mut options: OpenLog) -> Result<Self, LogError> {
        let dir = options.dir.clone();
        store.create_dir(&dir)?;
        let leftovers::Found { entries, has_changed, was_interrupted, is_unsettled } =
            leftovers::remove(store, &dir, options.config.planted)?;
        let (epochs, epochs_broken) = believed::load_epochs(store, &dir, options.clean_shutdown)?;
        let mut segments = Vec::new();
        let mut whole = Vec::new();
        for base_offset in leftovers::offsets(&entries, LOG_SUFFIX) {
            let has_indexes = believed::has_index_files(&entries, base_offset);
            let segment = Segment::open(store, &dir, base_offset, now.wall)?;
            let sound = has_indexes && believed::index_is_possible(store, &segment)?;
            segments.push(segment);
            whole.push(!sound);
        }
        if options.config.planted.is(Mutation::LogStartForgotten) {
            options.log_start_offset = 0;
        }
        // Without records there is nothing to read them from.
        let epochs_broken = epochs_broken && segments.iter().any(|segment| segment.size > 0);
        let is_last_sound = whole.last().is_some_and(|whole| !whole);
        whole.iter_mut().for_each(|whole| *whole |= epochs_broken);
        options.clean_shutdown = options.config.planted.is(Mutation::RecoverySkipped)
            || (options.clean_shutdown && believed::ends_at_recovery_point(store, &mut segments, &options)?);
        let has_epochs = entries.iter().any(|entry| entry.name == LEADER_EPOCH_CHECKPOINT);
        let is_believed = options.clean_shutdown
            || (!was_interrupted
                && !epochs_broken
                && (options.recovery_point > 0 || !has_epochs)
                && is_last_sound
                && believed::is_as_synced(store, &mut segments, &options)?);
        // The roll that has begun the last segment may not have reached the disk.
        let has_just_rolled = segments.len() > 1
            && segments.last().is_some_and(|last| last.base_offset == options.recovery_point);
        let mut report = RecoveryReport::default();
        let first_unflushed =
            segments.partition_point(|segment| segment.base_offset <= options.recovery_point).max(1);
        for (index, (segment, whole)) in segments.iter().zip(&mut whole).enumerate() {
            if !is_believed && index >= first_unflushed.saturating_sub(1) {
                *whole = true;
                continue;
            }
            // All its records may have been synced before it was completed: then its indexes' last entries were not.
            let is_last_believed = index.saturating_add(2) == first_unflushed;
            let lacks_entries = match options.clean_shutdown {
                false => is_last_believed && !segment.has_whole_indexes(store)?,
                true => is_last_believed && has_just_rolled && segment.lacks_index_entries(store)?,
            };
            if *whole || lacks_entries {
                *whole = true;
                report.rebuilt_indexes.push(segment.base_offset);
            }
        }
        let is_new = entries.is_empty() || !options.clean_shutdown;
        let is_unknown = !options.clean_shutdown && !entries.is_empty();
        if segments.is_empty() {
            segments.push(Segment::create(store, &dir, options.log_start_offset, now.wall)?);
            whole.push(false);
        }
        let first_base_offset = segments.first().map_or(0, |first| first.base_offset);
        let mut log = Log {
            dir,
            config: options.config.clone(),
            segments,
            log_start_offset: options.log_start_offset.max(first_base_offset),
            log_end_offset: i64::MAX,
            high_watermark: 0,
            high_watermark_position: None,
            recovery_point: if is_unsettled { first_base_offset } else { options.recovery_point },
            epochs,
            producers: ProducerState::default(),
            snapshots: leftovers::offsets(&entries, SNAPSHOT_SUFFIX),
            last_snapshot_offset: 0,
            readers: Readers::default(),
            removals: std::collections::VecDeque::new(),
            generation: 0,
            layout: 0,
            cleaned_up_to: None,
            last_flush: now.monotonic,
            directory_changed: has_changed || is_new || !report.rebuilt_indexes.is_empty(),
            is_new,
            flushing_up_to: 0,
            epochs_changed: is_unknown && has_epochs,
            epochs_unwritten: None,
            rolled: is_unknown && has_just_rolled,
            unsettled: (is_unknown && !is_believed) || !report.rebuilt_indexes.is_empty(),
            unsettled_below: is_unsettled.then_some(options.recovery_point),
        };
        if !report.rebuilt_indexes.is_empty() {
            log.unsettle(store, options.recovery_point)?;
        }
        let next_offset = log.log_start_offset;
        let producers = load_producers(store, now, &mut log, &whole)?;
        let unscanned = log.segment_index(producers.map_end_offset()).unwrap_or(0);
        let first_whole = whole.iter().position(|whole| *whole).unwrap_or(usize::MAX);
        let current = unscanned.min(first_whole).min(log.segments.len().saturating_sub(1));
        Ok(Self { log, options, report, whole, producers, current, scan: None, next_offset })
    }

    /// Walks over about `budget` bytes. True when there is nothing left to do but [`Recovery::finish`].
    ///
    /// Errors: [`LogError::Corrupt`] for what is wrong below the recovery point, [`LogError::Store`].
    pub fn step(&mut self, store: &mut S, budget: u64) -> Result<bool, LogError> {
        let mut walked = 0_u64;
        while walked < budget {
            if self.scan.is_none() && !self.begin_segment(store)? {
                return Ok(true);
            }
            walked = walked.saturating_add(self.walk(store)?);
        }
        Ok(false)
    }

    /// The log, open.
    pub fn finish(mut self, store: &mut S, now: Now) -> Result<(Log<S>, RecoveryReport), LogError> {
        let log = &mut self.log;
        let last_is_whole = self.whole.last().copied().unwrap_or(false);
        log.log_end_offset = match log.segments.last_mut() {
            Some(active) if !last_is_whole => {
                active.load_tail(store).map_err(|error| error.in_dir(&log.dir))?
            }
            _ => self.next_offset,
        };
        log.producers = self.producers;
        if log.log_end_offset < self.options.log_start_offset {
            // The files are older than what is known of the log: they hold nothing that may be read.
            log.unsettle(store, self.options.recovery_point)?;
            log.truncate_fully_and_start_at(store, now, self.options.log_start_offset)?;
        }
        let log_end_offset = log.log_end_offset;
        if self.options.clean_shutdown {
            log.recovery_point = log_end_offset;
        } else {
            log.recovery_point = log.recovery_point.min(log_end_offset);
        }
        if let Some(first) = self.report.rebuilt_indexes.first() {
            // Until they are synced, a power loss can bring back what they were.
            log.recovery_point = log.recovery_point.min(*first);
        }
        let from_end = !log.config.planted.is(Mutation::EpochsPastEndKept)
            && log.epochs.truncate_from_end(log_end_offset);
        if log.epochs.truncate_from_start(log.log_start_offset)
            || from_end
            || log.epochs_unwritten.is_some()
            || !self.report.rebuilt_indexes.is_empty()
        {
            log.write_epochs(store)?;
        }
        log.set_high_watermark(self.options.high_watermark);
        log.remove_snapshots(store, |offset| offset > log_end_offset)?;
        log.producers.set_map_end_offset(log_end_offset);
        room_or_later(log.take_producer_snapshot(store))?;
        self.report.log_end_offset = log_end_offset;
        Ok((self.log, self.report))
    }

    /// Bytes walked so far.
    pub fn walked_bytes(&self) -> u64 {
        self.report.scanned_bytes
    }

    /// Bytes still to be walked, about.
    pub fn remaining_bytes(&self) -> u64 {
        let sizes = self.log.segments.iter().skip(self.current).map(|segment| segment.size);
        let walked = self.scan.as_ref().map_or(0, |scan| scan.position);
        sizes.fold(0_u64, u64::saturating_add).saturating_sub(walked)
    }

    /// Where the segment before the one that comes ended, if records are missing between the two: above the recovery point that is
    /// what a power loss leaves of a segment of which only the beginning was written, or compaction took them.
    fn gap(&self) -> Option<i64> {
        let before = self.current.checked_sub(1)?;
        let next = self.log.segments.get(self.current)?;
        let was_read = self.whole.get(before).copied().unwrap_or(false);
        let is_gap = was_read
            && !self.options.config.planted.is(Mutation::GapOverlooked)
            && !self.options.clean_shutdown
            && self.next_offset < next.base_offset
            && self.next_offset >= self.options.recovery_point;
        is_gap.then_some(self.next_offset)
    }

    /// False when no segment is left.
    fn begin_segment(&mut self, store: &mut S) -> Result<bool, LogError> {
        let gap = self.gap();
        if self.options.config.compact {
            self.report.doubtful_from = self.report.doubtful_from.or(gap);
        } else if let Some(offset) = gap {
            self.current = self.current.saturating_sub(1);
            let end = self.log.segments.get(self.current).map_or(0, |segment| segment.size);
            self.cut(store, end, format!("the next segment does not begin with offset {offset}"))?;
            return Ok(false);
        }
        let count = self.log.segments.len();
        let (Some(segment), Some(whole)) =
            (self.log.segments.get_mut(self.current), self.whole.get(self.current))
        else {
            return Ok(false);
        };
        let base_offset = segment.base_offset;
        let mut position = 0;
        self.next_offset = base_offset;
        if *whole {
            if !self.options.config.planted.is(Mutation::IndexNotRebuilt) {
                segment.reset_indexes(store)?;
            }
            if !self.options.config.planted.is(Mutation::TxnIndexNotCut) {
                segment.truncate_txn_index(store, i64::MIN)?;
            }
        } else {
            let done = self.producers.map_end_offset();
            let first = segment.find(store, done).map_err(|error| error.in_dir(&self.log.dir))?;
            position = first.map_or(segment.size, |first| first.position);
        }
        if self.producers.map_end_offset() <= base_offset {
            self.producers.set_map_end_offset(base_offset);
            // One for each of the last two segments, so that losing the tail once does not mean reading everything.
            if self.current.saturating_add(2) >= count && base_offset > self.log.log_start_offset {
                std::mem::swap(&mut self.log.producers, &mut self.producers);
                let taken = self.log.take_producer_snapshot(store);
                std::mem::swap(&mut self.log.producers, &mut self.producers);
                room_or_later(taken)?;
            }
        }
        self.scan = Some(Scan::starting_at(position));
        Ok(true)
    }

    /// One batch, or the end of the segment. Returns the bytes walked over.
    fn walk(&mut self, store: &mut S) -> Result<u64, LogError> {
        let whole = self.whole.get(self.current).copied().unwrap_or(false);
        let is_last = self.current.saturating_add(1) == self.log.segments.len();
        let (Some(scan), Some(segment)) = (&mut self.scan, self.log.segments.get_mut(self.current)) else {
            return Ok(0);
        };
        let position = scan.position;
        let check = whole && !self.options.config.planted.is(Mutation::RecoveryIgnoresChecksum);
        let next = scan.next(store, segment, check).and_then(|next| match next {
            Some(next) if whole && !follows(&next, segment, self.next_offset) => {
                let offset = next.batch.header.base_offset;
                Err(ScanError::Torn(format!("offset {offset} cannot follow, {} does", self.next_offset)))
            }
            next => Ok(next),
        });
        match next {
            Ok(Some(scanned)) => {
                if self.options.config.planted.is(Mutation::RecoveryDropsLastBatch)
                    && is_last
                    && segment.size == self.scan.as_ref().map_or(0, |scan| scan.position)
                {
                    self.cut(store, position, "planted".to_owned())?;
                    return Ok(0);
                }
                self.next_offset = scanned.batch.header.next_offset();
                self.take_in(store, &scanned, whole)?;
                let size = scanned.batch.header.size_in_bytes() as u64;
                self.report.scanned_bytes = self.report.scanned_bytes.saturating_add(size);
                Ok(size)
            }
            Ok(None) => {
                if whole && !is_last {
                    segment.write_out_indexes(store, true)?;
                }
                self.scan = None;
                self.current = self.current.saturating_add(1);
                Ok(0)
            }
            Err(ScanError::Torn(reason)) if whole && !self.options.clean_shutdown => {
                let is_kept = !self.options.has_others;
                let below = is_kept && self.next_offset < self.options.recovery_point;
                if below && self.continues_after(store, position)? {
                    return Err(self.corrupt(ScanError::Torn(reason), position));
                }
                self.cut(store, position, reason)?;
                Ok(0)
            }
            Err(error) => Err(self.corrupt(error, position)),
        }
    }

    /// Whether what is broken at `position` lies in the middle of the log: then it is not for us to drop what follows.
    fn continues_after(&self, store: &mut S, position: u64) -> Result<bool, LogError> {
        let mut from_here = self.log.segments.iter().skip(self.current);
        let Some(segment) = from_here.next() else { return Ok(false) };
        if from_here.any(|later| later.size > 0) {
            return Ok(true);
        }
        Ok(scan::continues_after(store, segment, position, self.next_offset)?)
    }

    fn corrupt(&self, error: ScanError, position: u64) -> LogError {
        match self.log.segments.get(self.current) {
            Some(segment) => error.at(segment, position).in_dir(&self.log.dir),
            None => LogError::InvalidRecords("there is no such segment".to_owned()),
        }
    }

    /// A batch is sound: indexes, leader epochs and producers hear of it.
    fn take_in(&mut self, store: &mut S, scanned: &Scanned, whole: bool) -> Result<(), LogError> {
        let header = &scanned.batch.header;
        let Some(segment) = self.log.segments.get_mut(self.current) else { return Ok(()) };
        if whole {
            segment.offset_index.reserve(store)?;
            segment.time_index.reserve(store)?;
            if !self.options.config.planted.is(Mutation::IndexNotRebuilt) {
                segment.index_batch(&scanned.batch, self.log.config.index_interval_bytes);
            }
            if self.options.config.planted.is(Mutation::TimeIndexNotRebuilt) {
                segment.time_index.clear(store)?;
                segment.newest = segment.time_index.last();
            }
            let epoch = header.partition_leader_epoch;
            if self.log.epochs.latest_epoch().is_none_or(|latest| epoch > latest)
                && self.log.epochs.assign(epoch, header.base_offset)
            {
                // Written at the end: an opening that does not get there leaves no file with a part of them to be believed.
                self.log.epochs_unwritten.get_or_insert(header.base_offset);
            }
        }
        let forgets = self.options.config.planted.is(Mutation::RecoveryForgetsProducers);
        if forgets || header.base_offset < self.producers.map_end_offset() {
            return Ok(());
        }
        let Some(completed) = self.producers.append(header, scanned.marker.as_ref()) else { return Ok(()) };
        if whole
            && completed.is_aborted
            && !self.options.config.planted.is(Mutation::TxnIndexNotRebuilt)
            && let Some(segment) = self.log.segments.get_mut(self.current)
        {
            let aborted = AbortedTxn {
                producer_id: completed.producer_id,
                first_offset: completed.first_offset,
                last_offset: completed.last_offset,
                last_stable_offset: self.producers.last_stable_offset_after(&completed),
            };
            segment.append_aborted(store, &self.log.dir, "", aborted)?;
        }
        self.producers.complete(&completed);
        Ok(())
    }

    /// The log ends here: what follows was never known to be on the disk.
    fn cut(&mut self, store: &mut S, position: u64, reason: String) -> Result<(), LogError> {
        self.log.unsettle(store, self.options.recovery_point)?;
        let Some(segment) = self.log.segments.get_mut(self.current) else { return Ok(()) };
        let mut bytes = segment.size.saturating_sub(position);
        if !self.options.config.planted.is(Mutation::TornTailKept) {
            store.truncate(&segment.log, position)?;
        }
        segment.size = position;
        // Until this file is synced, a power loss can bring back what is cut off.
        self.log.recovery_point = self.log.recovery_point.min(segment.base_offset);
        let path = format!("{}/{}", self.log.dir, file_names::with_offset(segment.base_offset, LOG_SUFFIX));
        let keep = self.current.saturating_add(1);
        let removed: Vec<_> = self.log.segments.drain(keep..).collect();
        self.whole.truncate(keep);
        for segment in &removed {
            bytes = bytes.saturating_add(segment.size);
            for name in Segment::<S::File>::file_names(segment.base_offset) {
                match store.remove(&self.log.path(&name)) {
                    Ok(()) | Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        self.report.truncation = Some(Truncation { path, position, reason, bytes });
        self.scan = None;
        self.current = keep;
        Ok(())
    }
}

/// Replays the batches of a segment from where `producers` stands to its end.
pub(super) fn replay_producers<S: LogStore>(
    store: &mut S,
    segment: &Segment<S::File>,
    producers: &mut ProducerState,
) -> Result<(), LogError> {
    let first = segment.find(store, producers.map_end_offset())?;
    let mut scan = Scan::starting_at(first.map_or(segment.size, |first| first.position));
    loop {
        let position = scan.position;
        let Some(scanned) = scan.next(store, segment, false).map_err(|error| error.at(segment, position))?
        else {
            return Ok(());
        };
        if let Some(completed) = producers.append(&scanned.batch.header, scanned.marker.as_ref()) {
            producers.complete(&completed);
        }
    }
}

/// Producer state from which the walk begins: the newest snapshot below the first segment that is read whole. Snapshots
/// above speak of records that may turn out not to be there.
fn load_producers<S: LogStore>(
    store: &mut S,
    now: Now,
    log: &mut Log<S>,
    whole: &[bool],
) -> Result<ProducerState, LogError> {
    let start = log.log_start_offset;
    if log.config.planted.is(Mutation::NewerSnapshotBelieved) {
        return log.load_snapshot(store, now, i64::MAX);
    }
    let end = match whole.iter().position(|whole| *whole).and_then(|index| log.segments.get(index)) {
        Some(segment) => segment.base_offset,
        None => match log.segments.last_mut() {
            Some(active) => active.load_tail(store).map_err(|error| error.in_dir(&log.dir))?,
            None => 0,
        },
    };
    let bases: Vec<_> = log.segments.iter().map(|segment| segment.base_offset).collect();
    let newest = log.snapshots.iter().copied().filter(|offset| *offset <= end).max();
    log.remove_snapshots(store, |offset| {
        offset > end || offset <= start || (Some(offset) != newest && bases.binary_search(&offset).is_err())
    })?;
    log.load_snapshot(store, now, end)
}

/// What serves the next opening only can do without, on a disk that is full.
fn room_or_later(written: Result<(), LogError>) -> Result<(), LogError> {
    match written {
        Err(LogError::Store(StoreError::NoSpace)) => Ok(()),
        written => written,
    }
}

fn follows<F: Clone>(scanned: &Scanned, segment: &Segment<F>, next_offset: i64) -> bool {
    let header = &scanned.batch.header;
    header.base_offset >= next_offset && segment.fits(header.last_offset())
}
