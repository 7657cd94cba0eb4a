//! One log on one disk, from one seed: appends, transactions, leader epochs, rolls, flushes and deletions, and deaths in the middle
//! of every one of them. After each opening all that the log derives from its records is held against the records themselves.

use std::collections::BTreeMap;

use super::mutation::{Mutation, Planted};
use super::trouble::find_batch;
use super::{Disk, DiskOp, SimDisk};
use crate::log::producer_state::AppendOrigin;
use crate::log::{
    AppendBatch, FetchIsolation, FlushPlan, FlushScope, Log, LogConfig, LogError, LogStore, OpenLog,
};
use crate::machine::{SyncOutcome, SyncTarget};
use crate::record::{Batch, BatchBuilder, BatchOptions, Compressors, EndTxnMarker, batches};
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// What is done in a run.
const STEPS: u64 = 160;
/// Operations of the disk until the process dies in the middle of one, at most.
const DYING_OPS: u64 = 6;
/// Steps that it may take until then.
const DYING_STEPS: u64 = 12;
/// Producers; the later half send transactions.
const PRODUCERS: u64 = 6;
/// Where the log is.
const DIR: &str = "./data/exam-topic-0";
/// On which disk.
const DATA: &str = "./data";

type Plan = FlushPlan<<SimDisk as LogStore>::File>;

/// What befalls the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogFault {
    /// The process ends.
    Crash,
    /// ... in the middle of an operation of its disk.
    CrashAt(DiskOp),
    /// The machine loses its power.
    PowerLoss,
    /// ... in the middle of an operation of its disk.
    PowerLossAt(DiskOp),
    /// The machine loses its power after a clean stop.
    PowerLossStopped,
    /// What says that the last stop was clean is older than the last life.
    CleanStopIsStale,
    /// It is stopped as it should be.
    Stop,
    /// The process dies while it opens the log.
    DeathOpening,
    /// A bit turns over in what was not synced.
    BitFlipped,
}

impl LogFault {
    /// All of them. Directories are created and files cut only while a log is opened.
    pub fn all() -> Vec<Self> {
        let only_opening = |op: &DiskOp| matches!(op, DiskOp::CreateDirectory | DiskOp::Truncate);
        let ops = DiskOp::ALL.into_iter().filter(|op| !only_opening(op));
        let others = [
            Self::Crash,
            Self::PowerLoss,
            Self::PowerLossStopped,
            Self::CleanStopIsStale,
            Self::Stop,
            Self::DeathOpening,
            Self::BitFlipped,
        ];
        others.into_iter().chain(ops.flat_map(|op| [Self::CrashAt(op), Self::PowerLossAt(op)])).collect()
    }
}

/// What must hold of a log that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogChecker {
    /// It opens.
    Opens,
    /// A crash takes nothing, a power loss nothing that was synced, and what is left is a prefix.
    KeepsRecords,
    /// What a flipped bit has broken is cut, with a reason.
    CutsWhatIsBroken,
    /// It begins where it did, or where it is known to have begun.
    KeepsStart,
    /// Leader epochs are those of the batches.
    LeaderEpochs,
    /// The index of aborted transactions knows those that the markers speak of.
    AbortedTransactions,
    /// The last stable offset is that of the first open transaction.
    LastStableOffset,
    /// Sequences and open transactions of the producers are those of their batches.
    Producers,
    /// Records are found by offset and by time.
    Lookups,
}

impl LogChecker {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Opens,
        Self::KeepsRecords,
        Self::CutsWhatIsBroken,
        Self::KeepsStart,
        Self::LeaderEpochs,
        Self::AbortedTransactions,
        Self::LastStableOffset,
        Self::Producers,
        Self::Lookups,
    ];
}

/// What a run has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// The seed that repeats it.
    pub seed: u64,
    /// A digest of the logs that were opened.
    pub hash: u64,
    /// How often what befell it.
    pub faults: BTreeMap<LogFault, u64>,
    /// How often each checker had something to check.
    pub exercised: BTreeMap<LogChecker, u64>,
    /// Broken promises.
    pub violations: Vec<(LogChecker, String)>,
}

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Appended {
    base_offset: i64,
    last_offset: i64,
    epoch: i32,
    timestamp: i64,
    crc: u32,
    producer_id: i64,
    last_sequence: i32,
    is_transactional: bool,
    /// It ends a transaction: whether it aborts it.
    aborts: Option<bool>,
}

/// What the checkpoint files of the log's directory say of it.
#[derive(Clone, Copy, Debug, Default)]
struct Checkpoint {
    log_start_offset: i64,
    recovery_point: i64,
    is_clean: bool,
}

struct Run {
    rng: Rng,
    planted: Planted,
    disk: SimDisk,
    log: Option<Log<SimDisk>>,
    /// Everything that was appended and not lost, also what was deleted since.
    model: Vec<Appended>,
    /// The highest offset that it has begun with.
    log_start_offset: i64,
    /// Everything below is on the disk.
    durable: i64,
    checkpoint: Checkpoint,
    epoch: i32,
    clock_ms: i64,
    next_sequences: BTreeMap<i64, i32>,
    report: LogReport,
}

/// Runs a seed, with a bug planted or without.
pub fn run(seed: u64, mutation: Option<Mutation>) -> LogReport {
    let mut disk = SimDisk::with_directory(DATA);
    disk.plant(Planted::new(mutation));
    let mut run = Run {
        rng: Rng::from_seed(seed),
        planted: Planted::new(mutation),
        disk,
        log: None,
        model: Vec::new(),
        log_start_offset: 0,
        durable: 0,
        checkpoint: Checkpoint::default(),
        epoch: 0,
        clock_ms: 1_700_000_000_000,
        next_sequences: BTreeMap::new(),
        report: LogReport { seed, ..LogReport::default() },
    };
    run.open(None, false);
    for _ in 0..STEPS {
        if !run.report.violations.is_empty() {
            break;
        }
        match run.rng.below(16) {
            0 => run.end(),
            _ => run.act(),
        }
    }
    run.report
}

impl Run {
    fn now(&mut self) -> Now {
        self.clock_ms += 1 + i64::try_from(self.rng.below(400)).unwrap_or(0);
        Now { monotonic: Instant(self.clock_ms.unsigned_abs() * 1_000), wall: self.clock_ms }
    }

    fn count(&mut self, fault: LogFault) {
        *self.report.faults.entry(fault).or_default() += 1;
    }

    fn check(&mut self, checker: LogChecker, holds: bool, say: impl FnOnce() -> String) {
        *self.report.exercised.entry(checker).or_default() += 1;
        if !holds {
            self.report.violations.push((checker, say()));
        }
    }

    fn end_offset(&self) -> i64 {
        // A log that has lost everything begins anew where it is known to have begun.
        self.model.last().map_or(0, |last| last.last_offset + 1).max(self.checkpoint.log_start_offset)
    }

    /// The first offset of the transaction that each producer has open; producer, first offset and marker of each that was aborted.
    fn transactions(&self) -> (BTreeMap<i64, i64>, Vec<(i64, i64, i64)>) {
        let (mut open, mut aborted) = (BTreeMap::new(), Vec::new());
        for batch in self.model.iter().filter(|batch| batch.is_transactional) {
            let Some(aborts) = batch.aborts else {
                open.entry(batch.producer_id).or_insert(batch.base_offset);
                continue;
            };
            if let Some(first) = open.remove(&batch.producer_id)
                && aborts
            {
                aborted.push((batch.producer_id, first, batch.base_offset));
            }
        }
        (open, aborted)
    }

    /// Does something with the log while it is open.
    fn act(&mut self) {
        let now = self.now();
        let Some(mut log) = self.log.take() else { return };
        let done = match self.rng.below(20) {
            0..10 => self.append(&mut log, now),
            10..13 => self.end_transaction(&mut log, now),
            13 => {
                self.epoch += 1;
                Ok(())
            }
            14 if self.rng.chance(1, 2) => {
                let plan = log.rest(&mut self.disk, now);
                plan.and_then(|plan| self.carry_out(&mut log, &plan))
            }
            14 => log.roll(&mut self.disk, now, log.log_end_offset()),
            15 | 16 => {
                let scope = if self.rng.chance(1, 2) { FlushScope::All } else { FlushScope::Inactive };
                self.flush(&mut log, now, scope)
            }
            17 => {
                let (start, end) = (log.log_start_offset(), log.log_end_offset());
                let to = start + self.below(end - start + 1);
                log.increment_log_start_offset(&mut self.disk, to)
                    .and_then(|_| log.delete_old_segments(&mut self.disk, now).map(|_| ()))
            }
            18 => log.tick(&mut self.disk, now),
            _ => {
                self.checkpoint = Checkpoint {
                    log_start_offset: log.log_start_offset(),
                    recovery_point: self.durable,
                    is_clean: false,
                };
                Ok(())
            }
        };
        if let Err(error) = done {
            self.check(LogChecker::Opens, false, || format!("a sound disk was refused: {error}"));
        }
        let end = log.log_end_offset();
        log.set_high_watermark(end);
        self.log_start_offset = self.log_start_offset.max(log.log_start_offset());
        self.log = Some(log);
    }

    fn below(&mut self, bound: i64) -> i64 {
        i64::try_from(self.rng.below(bound.unsigned_abs().max(1))).unwrap_or(0)
    }

    fn append(&mut self, log: &mut Log<SimDisk>, now: Now) -> Result<(), LogError> {
        let producer_id = self.below(PRODUCERS as i64);
        let is_transactional = producer_id >= PRODUCERS as i64 / 2;
        let is_large = self.rng.chance(1, 12);
        let (records, size) = if is_large { (1, 5_000) } else { (1 + self.below(4), self.below(400)) };
        let base_sequence = self.next_sequences.get(&producer_id).copied().unwrap_or(0);
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id,
            producer_epoch: 0,
            base_sequence,
            is_transactional,
            ..BatchOptions::default()
        });
        for _ in 0..records {
            let value = vec![b'v'; usize::try_from(size).unwrap_or(0)];
            builder.append(now.wall, None, Some(&value), &[]);
        }
        let Some(batch) = Batch::read(&builder.build(&Compressors::default())).ok() else { return Ok(()) };
        self.next_sequences.insert(producer_id, base_sequence + i32::try_from(records).unwrap_or(0));
        self.write(log, now, &batch, AppendOrigin::Client, None)
    }

    fn end_transaction(&mut self, log: &mut Log<SimDisk>, now: Now) -> Result<(), LogError> {
        let open: Vec<i64> = self.transactions().0.into_keys().collect();
        if open.is_empty() {
            return Ok(());
        }
        let producer_id = open[usize::try_from(self.below(open.len() as i64)).unwrap_or(0)];
        let is_commit = self.rng.chance(1, 2);
        let marker = EndTxnMarker { is_commit, coordinator_epoch: 0 };
        let Ok(batch) = Batch::read(&marker.batch(producer_id, 0, now.wall, self.epoch)) else {
            return Ok(());
        };
        self.write(log, now, &batch, AppendOrigin::Coordinator, Some(!is_commit))
    }

    fn write(
        &mut self,
        log: &mut Log<SimDisk>,
        now: Now,
        batch: &Batch,
        origin: AppendOrigin,
        aborts: Option<bool>,
    ) -> Result<(), LogError> {
        let body = batch.body();
        let batches = [AppendBatch { header: *batch.header(), body: &body }];
        let info = log.append_as_leader(&mut self.disk, now, self.epoch, origin, &batches)?;
        let header = batch.header();
        self.model.push(Appended {
            base_offset: info.first_offset,
            last_offset: info.last_offset,
            epoch: self.epoch,
            timestamp: now.wall,
            crc: header.crc,
            producer_id: header.producer_id,
            last_sequence: header.last_sequence(),
            is_transactional: header.attributes.is_transactional(),
            aborts,
        });
        Ok(())
    }

    fn flush(&mut self, log: &mut Log<SimDisk>, now: Now, scope: FlushScope) -> Result<(), LogError> {
        let plan = log.plan_flush(&mut self.disk, now, scope)?;
        self.carry_out(log, &plan)
    }

    /// What a partition does with a plan.
    fn carry_out(&mut self, log: &mut Log<SimDisk>, plan: &Plan) -> Result<(), LogError> {
        self.sync(plan);
        log.flushed(plan);
        self.durable = self.durable.max(log.recovery_point());
        log.settle(&mut self.disk)
    }

    fn sync(&mut self, plan: &Plan) {
        let files = plan.files.iter().copied().map(SyncTarget::File);
        let directories = plan.directories.iter().cloned().map(SyncTarget::Directory);
        let targets: Vec<_> = match self.rng.below(4) {
            0 => vec![SyncTarget::Tree(DATA.to_owned())],
            _ => files.chain(directories).collect(),
        };
        let pending = self.disk.begin_sync(&targets);
        let outcome = self.disk.synced(pending);
        self.check(LogChecker::Opens, outcome == SyncOutcome::Done, || format!("{outcome:?}"));
    }

    /// The log is open no longer, in one way or another; then it is opened again.
    fn end(&mut self) {
        let is_power_loss = self.rng.chance(1, 2);
        let op = DiskOp::ALL[usize::try_from(self.below(DiskOp::ALL.len() as i64)).unwrap_or(0)];
        let mut at_least = false;
        match self.rng.below(4) {
            0 => self.count(if is_power_loss { LogFault::PowerLoss } else { LogFault::Crash }),
            1 => {
                self.stop();
                self.count(if is_power_loss { LogFault::PowerLossStopped } else { LogFault::Stop });
            }
            _ => {
                self.disk.die_at(op, self.rng.below(DYING_OPS));
                let known = self.run_until_dead();
                let Some((model, durable, checkpoint)) = known else {
                    self.disk.live_on();
                    return;
                };
                // It died in the middle of something: that counts if it is there.
                at_least = self.model.len() > model.len();
                (self.durable, self.checkpoint) = (durable, checkpoint);
                if !at_least {
                    self.model = model;
                }
                self.count(if is_power_loss { LogFault::PowerLossAt(op) } else { LogFault::CrashAt(op) });
            }
        }
        self.log = None;
        if is_power_loss {
            self.lose_power();
        }
        let flipped = (!is_power_loss && !self.checkpoint.is_clean && self.rng.chance(1, 5))
            .then(|| self.flip_a_bit())
            .flatten();
        if self.rng.chance(1, 4) && flipped.is_none() {
            self.die_opening(is_power_loss);
        }
        self.open(flipped, is_power_loss || at_least);
    }

    fn lose_power(&mut self) {
        let mut rng = self.rng.fork();
        self.disk.power_loss(&mut rng);
        // What is newer than the file that says so has not been stopped cleanly.
        if !self.checkpoint.is_clean && self.rng.chance(1, 6) {
            self.checkpoint.is_clean = true;
            self.count(LogFault::CleanStopIsStale);
        }
    }

    /// Goes on until the process has died; answers what was so before the step in which it did.
    fn run_until_dead(&mut self) -> Option<(Vec<Appended>, i64, Checkpoint)> {
        for _ in 0..DYING_STEPS {
            let before = (self.model.clone(), self.durable, self.checkpoint);
            self.act();
            if let Some(remains) = self.disk.take_remains() {
                self.disk = remains;
                return Some(before);
            }
        }
        None
    }

    fn stop(&mut self) {
        let now = self.now();
        let Some(mut log) = self.log.take() else { return };
        match log.close(&mut self.disk, now) {
            Ok(plan) => {
                self.sync(&plan);
                log.flushed(&plan);
                self.durable = log.log_end_offset();
                self.checkpoint = Checkpoint {
                    log_start_offset: log.log_start_offset(),
                    recovery_point: log.recovery_point(),
                    is_clean: true,
                };
            }
            Err(error) => self.check(LogChecker::Opens, false, || format!("a stop was refused: {error}")),
        }
    }

    /// Turns a bit of an unsynced batch over; answers the batch's offset.
    fn flip_a_bit(&mut self) -> Option<i64> {
        let (which, at, bit) = (self.rng.next_u64(), self.rng.next_u64(), self.rng.below(8) as u8);
        let found = find_batch(&mut self.disk, DIR, which, at)?;
        if found.offset < self.checkpoint.recovery_point.max(self.log_start_offset) {
            return None;
        }
        self.disk.flip(&found.file, found.position, bit);
        self.count(LogFault::BitFlipped);
        Some(found.offset)
    }

    fn options(&self) -> OpenLog {
        OpenLog {
            dir: DIR.to_owned(),
            config: LogConfig {
                segment_bytes: 6_000,
                index_interval_bytes: 300,
                file_delete_delay_ms: 1_000,
                retention_ms: -1,
                planted: self.planted,
                ..LogConfig::default()
            },
            log_start_offset: self.checkpoint.log_start_offset,
            recovery_point: self.checkpoint.recovery_point,
            high_watermark: 0,
            clean_shutdown: self.checkpoint.is_clean,
            has_others: false,
        }
    }

    /// The process dies while it opens the log.
    fn die_opening(&mut self, is_power_loss: bool) {
        let op = DiskOp::ALL[usize::try_from(self.below(DiskOp::ALL.len() as i64)).unwrap_or(0)];
        self.disk.die_at(op, self.rng.below(DYING_OPS));
        let (now, options, durable) = (self.now(), self.options(), self.durable);
        if let Ok((mut log, _)) = Log::open(&mut self.disk, now, options)
            && let Err(error) = self.flush(&mut log, now, FlushScope::All)
        {
            self.check(LogChecker::Opens, false, || error.to_string());
        }
        if let Some(remains) = self.disk.take_remains() {
            (self.disk, self.durable) = (remains, durable);
            self.count(LogFault::DeathOpening);
        }
        self.disk.live_on();
        self.checkpoint.is_clean = false;
        if is_power_loss {
            let mut rng = self.rng.fork();
            self.disk.power_loss(&mut rng);
        }
    }

    /// Opens the log and holds it against what it must be.
    fn open(&mut self, flipped: Option<i64>, may_be_shorter: bool) {
        let (now, options) = (self.now(), self.options());
        let (mut log, report) = match Log::open(&mut self.disk, now, options) {
            Ok(opened) => opened,
            Err(error) => return self.check(LogChecker::Opens, false, || error.to_string()),
        };
        self.check(LogChecker::Opens, true, String::new);
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        log.set_high_watermark(end);
        let found = self.contents(&mut log);
        let kept = self.model.partition_point(|batch| batch.last_offset < end);
        if let Some(offset) = flipped {
            self.check(LogChecker::CutsWhatIsBroken, end == offset && report.truncation.is_some(), || {
                format!("{offset} was broken, the log ends at {end}: {:?}", report.truncation)
            });
        } else {
            let is_enough = end == self.end_offset() || (may_be_shorter && end >= self.durable);
            let wanted = (self.durable, self.end_offset());
            self.check(LogChecker::KeepsRecords, is_enough, || {
                format!("of {wanted:?} there is what lies below {end}: {:?}", report.truncation)
            });
        }
        self.model.truncate(kept);
        let first = self.model.partition_point(|batch| batch.last_offset < start);
        let expected = self.model.get(first..).unwrap_or_default();
        let is_same = expected.iter().map(|batch| (batch.base_offset, batch.crc)).eq(found.iter().copied());
        let lens = (expected.len(), found.len());
        self.check(LogChecker::KeepsRecords, is_same, || format!("from {start} to {end}: batches {lens:?}"));
        let range = (self.checkpoint.log_start_offset, self.log_start_offset.max(end));
        self.check(LogChecker::KeepsStart, (range.0..=range.1).contains(&start), || {
            format!("it begins at {start}, known is {range:?}")
        });
        for (offset, crc) in found {
            self.report.hash =
                (self.report.hash ^ (offset as u64) ^ u64::from(crc)).wrapping_mul(0x0100_0000_01b3);
        }
        self.check_epochs(&log);
        self.check_transactions(&mut log);
        self.check_producers(&log);
        self.check_lookups(&mut log);
        // What recovery did is brought to the disk before anything else.
        if let Err(error) = self.flush(&mut log, now, FlushScope::All) {
            self.check(LogChecker::Opens, false, || error.to_string());
        }
        self.durable = self.durable.min(end).max(log.recovery_point());
        self.checkpoint = Checkpoint {
            recovery_point: self.checkpoint.recovery_point.min(end),
            is_clean: false,
            ..self.checkpoint
        };
        self.log_start_offset = self.log_start_offset.min(end);
        let producers = log.producers().producers();
        self.next_sequences = producers.map(|(id, entry)| (id, entry.last_sequence() + 1)).collect();
        self.log = Some(log);
    }

    /// Base offset and checksum of each batch that can be read.
    fn contents(&mut self, log: &mut Log<SimDisk>) -> Vec<(i64, u32)> {
        let mut found = Vec::new();
        let (mut offset, end) = (log.log_start_offset(), log.log_end_offset());
        while offset < end {
            let before = offset;
            let read = log.read(&mut self.disk, offset, 3_000, FetchIsolation::LogEnd, true, None);
            let slice = read.ok().and_then(|read| read.records);
            let bytes = slice.and_then(|slice| self.disk.read_slice(&slice).ok()).unwrap_or_default();
            for batch in batches(&bytes).map_while(Result::ok) {
                let is_sound = batch.check_crc().is_ok();
                self.check(LogChecker::KeepsRecords, is_sound, || format!("{} is broken", batch.base_offset));
                found.push((batch.base_offset, batch.header().crc));
                offset = batch.next_offset();
            }
            if offset == before {
                self.check(LogChecker::KeepsRecords, false, || format!("nothing to read at {offset}"));
                break;
            }
        }
        found
    }

    fn check_epochs(&mut self, log: &Log<SimDisk>) {
        // What was deleted and has come back with a crash has none.
        let (start, end) = (log.log_start_offset().max(self.log_start_offset), log.log_end_offset());
        let latest = log.leader_epochs().latest();
        // The first epoch begins where the log does, be it empty.
        let holds = latest.is_none_or(|entry| entry.start_offset < end || entry.start_offset <= start);
        self.check(LogChecker::LeaderEpochs, holds, || format!("{latest:?}, the log ends at {end}"));
        for batch in self.model.clone() {
            if batch.base_offset < start {
                continue;
            }
            let is = log.leader_epochs().epoch_for_offset(batch.base_offset);
            self.check(LogChecker::LeaderEpochs, is == Some(batch.epoch), || {
                format!("{batch:?} is of {is:?}")
            });
        }
    }

    fn check_transactions(&mut self, log: &mut Log<SimDisk>) {
        let start = log.log_start_offset();
        let (open, aborted) = self.transactions();
        // Of a transaction whose beginning was deleted the log may know less.
        if open.values().all(|first| *first >= start) {
            let (is, expected) =
                (log.last_stable_offset(), open.values().min().copied().unwrap_or(log.log_end_offset()));
            self.check(LogChecker::LastStableOffset, is == expected, || {
                format!("{is} is the last stable offset, {expected} should be")
            });
        }
        let stable = log.last_stable_offset();
        let (mut offset, mut told) = (start, Vec::new());
        while offset < stable {
            let read = log.read(&mut self.disk, offset, 1 << 20, FetchIsolation::TxnCommitted, true, None);
            let Ok(read) = read else { break };
            told.extend(
                read.aborted_transactions
                    .iter()
                    .map(|txn| (txn.producer_id, txn.first_offset, txn.last_offset)),
            );
            let slice = read.records.and_then(|slice| self.disk.read_slice(&slice).ok()).unwrap_or_default();
            let Some(last) = batches(&slice).map_while(Result::ok).last() else { break };
            offset = last.next_offset();
        }
        told.sort_unstable();
        told.dedup();
        let wanted = aborted.iter().filter(|(_, first, _)| (start..stable).contains(first));
        let missing: Vec<_> = wanted.filter(|txn| told.binary_search(txn).is_err()).collect();
        let others = told.iter().filter(|(producer_id, first, last)| {
            !aborted
                .iter()
                .any(|txn| txn.0 == *producer_id && txn.2 == *last && (txn.1 == *first || txn.1 < start))
        });
        let others: Vec<_> = others.collect();
        let holds = missing.is_empty() && others.is_empty();
        self.check(LogChecker::AbortedTransactions, holds, || {
            format!("from {start} to {stable}: {missing:?} are not told, {others:?} were not aborted")
        });
    }

    fn check_producers(&mut self, log: &Log<SimDisk>) {
        let start = log.log_start_offset();
        let (open, _) = self.transactions();
        let mut newest: BTreeMap<i64, Appended> = BTreeMap::new();
        for batch in self.model.iter().filter(|batch| batch.aborts.is_none()) {
            newest.insert(batch.producer_id, *batch);
        }
        for (producer_id, batch) in newest.into_iter().filter(|(_, batch)| batch.base_offset >= start) {
            let entry = log.producers().producer(producer_id);
            let is = entry.map(|entry| (entry.last_sequence(), entry.current_txn_first_offset));
            let first = open.get(&producer_id).copied();
            let holds = is.is_some_and(|(last_sequence, txn)| {
                last_sequence == batch.last_sequence
                    && (txn == first || first.is_some_and(|first| first < start))
            });
            self.check(LogChecker::Producers, holds, || {
                format!("{is:?}, it wrote {batch:?}, open from {first:?}")
            });
        }
    }

    fn check_lookups(&mut self, log: &mut Log<SimDisk>) {
        let start = log.log_start_offset();
        let from = self.model.partition_point(|batch| batch.last_offset < start);
        for index in (from..self.model.len()).step_by(3) {
            let batch = self.model[index];
            let offset = batch.last_offset.max(start);
            let read = log.read(&mut self.disk, offset, 1, FetchIsolation::LogEnd, true, None);
            let slice = read.ok().and_then(|read| read.records);
            let bytes = slice.and_then(|slice| self.disk.read_slice(&slice).ok()).unwrap_or_default();
            let found = batches(&bytes).next().and_then(Result::ok).map(|found| found.base_offset);
            self.check(LogChecker::Lookups, found == Some(batch.base_offset), || {
                format!("{offset} was looked up, found {found:?} instead of {}", batch.base_offset)
            });
            let found =
                log.fetch_offset_by_timestamp(&mut self.disk, &Compressors::default(), batch.timestamp);
            let expected = batch.base_offset.max(start);
            let holds = found.as_ref().is_ok_and(|found| found.is_some_and(|found| found.offset == expected));
            self.check(LogChecker::Lookups, holds, || {
                format!("{} was looked up, found {found:?} instead of {expected}", batch.timestamp)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_kept_over_a_few_seeds() {
        let mut exercised = BTreeMap::new();
        for seed in 0..60 {
            let report = run(seed, None);
            assert_eq!(report.violations, [], "seed {seed}");
            exercised.extend(report.exercised);
        }
        assert_eq!(exercised.len(), LogChecker::ALL.len());
    }
}
