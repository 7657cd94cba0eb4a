//! Compaction: of every key the last record stays.
//!
//! A [`Cleaning`] takes one log through two passes. The first reads the dirty part and notes the last offset of each key, as many
//! keys as memory allows. The second writes all segments up to there anew, without what has a later record, without what was
//! aborted, without tombstones and markers whose time is over; several small segments become one. Offsets, timestamps, headers
//! and compression stay what they were. The active segment, and all that is not replicated or not decided, is not touched.
//!
//! A cleaning does no IO of its own and never waits: its owner steps it, does something else in between (appends and reads go
//! on), and has synced what it asks to be synced. It may be dropped at any time.

mod choice;
mod filter;
mod index;
mod offset_map;
mod reader;
mod rewrite;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;
mod transactions;

use std::collections::VecDeque;

pub use choice::LogToClean;
pub use offset_map::ENTRY_BYTES;

use index::Indexing;
use offset_map::OffsetMap;
use reader::BatchReader;
use rewrite::{Group, Rewrite};
use transactions::Transactions;

use super::error::LogError;
use super::file_names::{LOG_SUFFIX, with_offset};
use super::log::Log;
use super::segment::Segment;
use super::store::{LogStore, StoreError};
use crate::record::{Batch, Compressors, RecordError};
use crate::time::{Now, Timestamp};

/// What a compressed byte weighs in the budget of a step, against one that is only copied.
const COMPRESSED_BYTE_COST: u64 = 16;
/// Bytes that are read at once whatever the configuration says.
const CHUNK_BYTES_MIN: usize = 1 << 10;
/// What a step may take at most: well under a millisecond.
const STEP_BYTES_MAX: usize = 128 << 10;

/// How much a cleaner may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanerLimits {
    /// Its memory, in entries of [`ENTRY_BYTES`].
    pub slots: usize,
    /// How many of them keys may take.
    pub keys_max: usize,
    /// Bytes read at once.
    pub chunk_bytes: usize,
    /// Bytes after which a step ends; a compressed one counts sixteen times.
    pub step_bytes: u64,
}

impl CleanerLimits {
    /// From `log.cleaner.dedupe.buffer.size`, `log.cleaner.io.buffer.load.factor` and `log.cleaner.io.buffer.size`, which `cleaners`
    /// share.
    pub fn new(dedupe_buffer_bytes: i64, load_factor: f64, io_buffer_bytes: i32, cleaners: u16) -> Self {
        let cleaners = u64::from(cleaners.max(1));
        let share = |bytes: u64| bytes.checked_div(cleaners).unwrap_or(0);
        let memory = share(u64::try_from(dedupe_buffer_bytes).unwrap_or(0)).min(i32::MAX as u64);
        let slots = memory.checked_div(ENTRY_BYTES).unwrap_or(0);
        // As Kafka: the product of two numbers that a double holds, cut off.
        let keys = (slots as f64 * load_factor.clamp(0.0, 1.0)) as u64;
        let io_buffer = share(u64::try_from(io_buffer_bytes).unwrap_or(0));
        let chunk_bytes = usize::try_from(io_buffer / 2).unwrap_or(usize::MAX).max(CHUNK_BYTES_MIN);
        Self {
            slots: usize::try_from(slots).unwrap_or(usize::MAX).max(1),
            keys_max: usize::try_from(keys).unwrap_or(usize::MAX).max(1),
            chunk_bytes,
            step_bytes: chunk_bytes.min(STEP_BYTES_MAX) as u64,
        }
    }
}

/// What a step came to.
#[derive(Clone, Debug)]
pub enum Step<F> {
    /// There is more to do; so many bytes were read and written.
    Worked {
        /// For the throttle.
        io_bytes: u64,
    },
    /// The next step may only be taken when these are durable.
    Sync {
        /// New files; none if it is only the directory.
        files: Vec<F>,
        /// The log's directory.
        directory: String,
        /// For the throttle.
        io_bytes: u64,
    },
    /// The log is clean up to [`Log::cleaned_up_to`].
    Done(CleaningStats),
    /// The log was shortened, or is not to be compacted any more: what was begun has been undone.
    Abandoned,
}

/// What a cleaning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleaningStats {
    /// Where it began.
    pub first_dirty_offset: i64,
    /// Where the next one begins.
    pub next_dirty_offset: i64,
    /// Bytes of the segments before.
    pub bytes_read: u64,
    /// Bytes of the segments now.
    pub bytes_written: u64,
    /// Records before; those of batches that went as a whole included.
    pub records_read: u64,
    /// Records now.
    pub records_kept: u64,
    /// Records that went because they had no key.
    pub records_without_key: u64,
    /// Keys in memory.
    pub keys: usize,
}

/// One log on its way to being clean.
#[derive(Clone, Debug)]
pub struct Cleaning<S: LogStore> {
    first_uncleanable_offset: i64,
    limits: CleanerLimits,
    started_ms: Timestamp,
    generation: u32,
    map: OffsetMap,
    phase: Phase<S::File>,
    stats: CleaningStats,
}

#[derive(Clone, Debug)]
enum Phase<F> {
    /// The keys of the dirty part are read.
    Indexing(Indexing),
    /// Segments are written anew.
    Rewriting {
        transactions: Transactions,
        /// Not begun.
        ahead: VecDeque<Group>,
        current: Option<Rewrite<F>>,
        /// The current one is whole.
        is_written: bool,
    },
}

impl<S: LogStore> Cleaning<S> {
    /// Begins. Only the indexes of aborted transactions are read. `hash_key` is random.
    pub fn start(
        store: &mut S,
        log: &Log<S>,
        to_clean: &LogToClean,
        limits: CleanerLimits,
        hash_key: [u64; 2],
        now_ms: Timestamp,
    ) -> Result<Self, LogError> {
        let (from, to) = (to_clean.first_dirty_offset, to_clean.first_uncleanable_offset);
        let offsets = usize::try_from(to.saturating_sub(from).max(0)).unwrap_or(usize::MAX);
        let mut map = OffsetMap::new(hash_key, limits.slots, limits.keys_max, offsets);
        // No key below is a later one of its like.
        map.set_latest_offset(from.saturating_sub(1));
        Ok(Self {
            first_uncleanable_offset: to,
            limits,
            started_ms: now_ms,
            generation: log.generation,
            map,
            phase: Phase::Indexing(Indexing::start(store, log, from, to)?),
            stats: CleaningStats { first_dirty_offset: from, ..CleaningStats::default() },
        })
    }

    /// Does a bounded piece of work: a chunk of the log, at least a batch.
    ///
    /// Errors: [`LogError::Corrupt`] and [`LogError::LargerThanSegment`] if this log cannot be cleaned, [`LogError::Store`]; nothing has
    /// changed then that [`Cleaning::abandon`] does not undo, unless storage failed otherwise than for want of space.
    pub fn step(
        &mut self,
        store: &mut S,
        compressors: &Compressors,
        log: &mut Log<S>,
        now: Now,
    ) -> Result<Step<S::File>, LogError> {
        if log.generation != self.generation || !log.config.compact || !self.has_its_segments(log) {
            self.abandon(store, log)?;
            return Ok(Step::Abandoned);
        }
        self.proceed(store, compressors, log, now).map_err(|error| error.in_dir(log.dir()))
    }

    /// Whether what is being written anew is still part of the log.
    fn has_its_segments(&self, log: &Log<S>) -> bool {
        match &self.phase {
            Phase::Rewriting { current: Some(rewrite), .. } => {
                rewrite.sources.iter().all(|base_offset| log.segment_at(*base_offset).is_some())
            }
            _ => true,
        }
    }

    /// Removes what is not finished.
    pub fn abandon(&mut self, store: &mut S, log: &Log<S>) -> Result<(), LogError> {
        if let Phase::Rewriting { current, .. } = &mut self.phase
            && let Some(rewrite) = current.take()
        {
            rewrite::discard(store, log, rewrite.target.base_offset)?;
        }
        Ok(())
    }

    /// Takes all steps at once. For tests and for logs that nobody else uses: nothing is synced in between.
    pub fn run(
        mut self,
        store: &mut S,
        compressors: &Compressors,
        log: &mut Log<S>,
        now: Now,
    ) -> Result<Option<CleaningStats>, LogError> {
        loop {
            match self.step(store, compressors, log, now) {
                Ok(Step::Worked { .. } | Step::Sync { .. }) => {}
                Ok(Step::Done(stats)) => return Ok(Some(stats)),
                Ok(Step::Abandoned) => return Ok(None),
                Err(error) => {
                    self.abandon(store, log)?;
                    return Err(error);
                }
            }
        }
    }

    fn proceed(
        &mut self,
        store: &mut S,
        compressors: &Compressors,
        log: &mut Log<S>,
        now: Now,
    ) -> Result<Step<S::File>, LogError> {
        let mut work = Work::new(store, compressors, self.limits);
        match &mut self.phase {
            Phase::Indexing(indexing) => {
                if indexing.step(&mut work, log, &mut self.map)? {
                    self.stats.keys = self.map.len();
                    let end = self.map.latest_offset().saturating_add(1);
                    self.stats.next_dirty_offset = end;
                    self.phase = Phase::Rewriting {
                        transactions: Transactions::default(),
                        ahead: rewrite::groups(log, end, self.first_uncleanable_offset),
                        current: None,
                        is_written: false,
                    };
                }
            }
            Phase::Rewriting { current, is_written, .. } if *is_written => {
                *is_written = false;
                if let Some(rewrite) = current.take() {
                    let replaced: Vec<i64> = rewrite.sources.into_iter().collect();
                    let swapped = log.replace_segments(store, now, rewrite.target, &replaced);
                    swapped.map_err(|error| match error {
                        // Half of it may have happened: there is no putting it off any more.
                        LogError::Store(StoreError::NoSpace) => LogError::HalfDone(StoreError::NoSpace),
                        error => error,
                    })?;
                }
                let directory = log.dir().to_owned();
                return Ok(Step::Sync { files: Vec::new(), directory, io_bytes: 0 });
            }
            Phase::Rewriting { transactions, ahead, current, is_written } => {
                let rewrite = match current {
                    Some(rewrite) => rewrite,
                    None => {
                        let Some(group) = ahead.pop_front() else {
                            log.cleaned_up_to = Some(self.stats.next_dirty_offset);
                            return Ok(Step::Done(self.stats));
                        };
                        current.insert(Rewrite::start(work.store, log, group, self.started_ms)?)
                    }
                };
                let rules = (self.started_ms, self.first_uncleanable_offset);
                if rewrite.step(&mut work, log, &self.map, transactions, rules, &mut self.stats)? {
                    *is_written = true;
                    let files = rewrite.target.files().collect();
                    let (directory, io_bytes) = (log.dir().to_owned(), work.io_bytes);
                    return Ok(Step::Sync { files, directory, io_bytes });
                }
            }
        }
        Ok(Step::Worked { io_bytes: work.io_bytes })
    }
}

/// What a step is lent, and how much it has done.
struct Work<'a, S: LogStore> {
    store: &'a mut S,
    compressors: &'a Compressors,
    limits: CleanerLimits,
    /// Bytes read and written.
    io_bytes: u64,
    spent: u64,
}

impl<'a, S: LogStore> Work<'a, S> {
    fn new(store: &'a mut S, compressors: &'a Compressors, limits: CleanerLimits) -> Self {
        Self { store, compressors, limits, io_bytes: 0, spent: 0 }
    }

    fn is_done(&self) -> bool {
        self.spent >= self.limits.step_bytes
    }

    fn next_batch(
        &mut self,
        reader: &mut BatchReader,
        segment: &Segment<S::File>,
    ) -> Result<Option<Batch>, LogError> {
        let batch = reader.next(self.store, segment, self.limits.chunk_bytes)?;
        if let Some(batch) = &batch {
            let bytes = batch.bytes().len() as u64;
            let cost = if batch.is_compressed() { COMPRESSED_BYTE_COST } else { 1 };
            self.io_bytes = self.io_bytes.saturating_add(bytes);
            self.spent = self.spent.saturating_add(bytes.saturating_mul(cost));
        }
        Ok(batch)
    }
}

/// An error in the records of a batch, as one of its segment.
fn in_batch<F: Clone>(segment: &Segment<F>, position: u64, error: &RecordError) -> LogError {
    let path = with_offset(segment.base_offset, LOG_SUFFIX);
    LogError::Corrupt { path, position, reason: error.to_string() }
}
