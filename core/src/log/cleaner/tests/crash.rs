//! A cleaning that is cut off at every operation of the store, by a crash or a power loss.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::ops::Range;

use super::*;
use crate::log::memory::MemorySlice;
use crate::log::store::Entry;
use crate::log::{FlushScope, OpenLog, StoreError};
use crate::machine::SyncTarget;
use crate::rng::Rng;
use crate::sim::disk::{Disk as _, DiskFile, SimDisk};

/// A disk that refuses everything after some operations, or that is full.
#[derive(Clone, Debug)]
struct Faulty {
    disk: SimDisk,
    /// Changes that still succeed.
    left: u64,
    is_full: bool,
}

impl Faulty {
    fn change<T>(
        &mut self,
        act: impl FnOnce(&mut SimDisk) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| StoreError::Io("crashed".to_owned()))?;
        act(&mut self.disk)
    }

    fn sync(&mut self, files: Vec<DiskFile>, directory: String) -> Result<(), StoreError> {
        self.change(|disk| {
            let files = files.into_iter().map(SyncTarget::File);
            let targets: Vec<_> = files.chain([SyncTarget::Directory(directory)]).collect();
            let pending = disk.begin_sync(&targets);
            _ = disk.synced(pending);
            Ok(())
        })
    }
}

impl LogStore for Faulty {
    type File = DiskFile;
    type Slice = MemorySlice;

    fn create_dir(&mut self, path: &str) -> Result<(), StoreError> {
        self.change(|disk| disk.create_dir(path))
    }

    fn list(&mut self, path: &str) -> Result<Vec<Entry>, StoreError> {
        self.disk.list(path)
    }

    fn create(&mut self, path: &str) -> Result<DiskFile, StoreError> {
        self.change(|disk| disk.create(path))
    }

    fn open(&mut self, path: &str) -> Result<DiskFile, StoreError> {
        self.disk.open(path)
    }

    fn len(&mut self, file: &DiskFile) -> Result<u64, StoreError> {
        self.disk.len(file)
    }

    fn append(&mut self, file: &DiskFile, parts: &[IoSlice<'_>]) -> Result<(), StoreError> {
        if self.is_full {
            return Err(StoreError::NoSpace);
        }
        self.change(|disk| disk.append(file, parts))
    }

    fn read_at(&mut self, file: &DiskFile, at: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.disk.read_at(file, at, into)
    }

    fn slice(&mut self, file: &DiskFile, range: Range<u64>) -> Result<MemorySlice, StoreError> {
        self.disk.slice(file, range)
    }

    fn read_slice(&mut self, slice: &MemorySlice) -> Result<Bytes, StoreError> {
        self.disk.read_slice(slice)
    }

    fn truncate(&mut self, file: &DiskFile, len: u64) -> Result<(), StoreError> {
        self.change(|disk| disk.truncate(file, len))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StoreError> {
        self.change(|disk| disk.rename(from, to))
    }

    fn remove(&mut self, path: &str) -> Result<(), StoreError> {
        self.change(|disk| disk.remove(path))
    }
}

fn open(store: &mut Faulty, recovery_point: i64, config: &LogConfig) -> Log<Faulty> {
    let options = OpenLog { recovery_point, high_watermark: i64::MAX, ..options(config.clone()) };
    let (log, report) = Log::open(store, now(0), options).unwrap();
    assert_eq!(report.truncation, None);
    log
}

/// A log of several groups of segments, with all that a cleaning can meet, on the disk. `flushed` is its recovery point.
fn prepared(flushed: i64) -> (Faulty, Log<Faulty>, LogConfig) {
    let config = LogConfig { segment_bytes: 400, file_delete_delay_ms: 0, ..config() };
    let disk = SimDisk::with_directory("data");
    let mut store = Faulty { disk, left: u64::MAX, is_full: false };
    let mut log = open(&mut store, 0, &config);
    let append = |log: &mut Log<Faulty>, store: &mut Faulty, batch: &Batch| {
        let body = batch.body();
        let batches = [AppendBatch { header: *batch.header(), body: &body }];
        log.append_as_leader(store, now(100), 0, AppendOrigin::Coordinator, &batches).unwrap();
        let end = log.log_end_offset();
        log.roll(store, now(100), end).unwrap();
    };
    for n in 0..6_i32 {
        let name = n.to_string();
        let old: [Pair<'_>; 3] = [("a", Some("1")), (&name, Some("2")), ("gone", None)];
        append(&mut log, &mut store, &keyed(BatchOptions::default(), &old, 100));
        append(&mut log, &mut store, &keyed(of_producer(7, n, true), &[("a", Some("x"))], 100));
        let marker = EndTxnMarker { is_commit: n % 2 == 0, coordinator_epoch: 3 };
        append(&mut log, &mut store, &Batch::read(&marker.batch(7, 0, 150, 0)).unwrap());
    }
    let end = log.log_end_offset();
    log.set_high_watermark(end);
    if flushed > 0 {
        let plan = log.plan_flush(&mut store, now(100), FlushScope::All).unwrap();
        for directory in plan.directories.clone() {
            store.sync(plan.files.clone(), directory).unwrap();
        }
        log.flushed(&plan);
    }
    (store, log, config)
}

/// Cleans until the store refuses; true if it came to the end.
fn clean_until_refused(
    store: &mut Faulty,
    log: &mut Log<Faulty>,
) -> Result<CleaningStats, crate::log::LogError> {
    let to_clean = log.to_clean(store, 1_000, i64::MAX)?;
    let mut cleaning = Cleaning::start(store, log, &to_clean, LIMITS, [1, 2], 1_000)?;
    loop {
        match cleaning.step(store, &Compressors::default(), log, now(1_000))? {
            Step::Worked { .. } => {}
            Step::Sync { files, directory, .. } => store.sync(files, directory)?,
            Step::Done(stats) => return Ok(stats),
            Step::Abandoned => unreachable!(),
        }
    }
}

/// Whether the batches of the transactions that [`prepared`] aborts, as far as they are there, are in the index.
fn says_what_was_aborted(log: &Log<Faulty>, store: &mut Faulty) -> bool {
    let known: Vec<_> = log.segments().iter().flat_map(|segment| segment.aborted(store).unwrap()).collect();
    let is_known =
        |offset: i64| known.iter().any(|txn| (txn.first_offset..txn.last_offset).contains(&offset));
    let is_aborted =
        |batch: &Batch| batch.is_transactional() && !batch.is_control() && batch.base_offset / 5 % 2 == 1;
    batches(log, store).iter().filter(|batch| is_aborted(batch)).all(|batch| is_known(batch.base_offset))
}

type Contents = Vec<(i64, String, Option<String>)>;

#[test]
fn a_cleaning_that_was_cut_off_is_done_undone_or_done_in_part() {
    let (mut store, mut log, _) = prepared(1);
    let before: Contents = pairs(&log, &mut store);
    clean_until_refused(&mut store, &mut log).unwrap();
    let after: Contents = pairs(&log, &mut store);
    let markers = batches(&log, &mut store).len();
    assert!(after.len() < before.len() / 2 && bases(&log).len() > 3, "{after:?} {:?}", bases(&log));
    let all = u64::MAX - store.left;
    let prepared_with = u64::MAX - prepared(1).0.left;
    let mut outcomes = BTreeSet::new();
    for operations in 0..=all - prepared_with {
        for seed in 0..6 {
            let (mut store, mut log, config) = prepared(1);
            let end = log.log_end_offset();
            store.left = operations;
            let finished = clean_until_refused(&mut store, &mut log).is_ok();
            assert_eq!(finished, operations == all - prepared_with);
            if seed > 0 {
                store.disk.power_loss(&mut Rng::from_seed(seed));
            }
            // The recovery may be cut off, too.
            for left in [seed * 3, u64::MAX] {
                store.left = left;
                let options = OpenLog { recovery_point: end, high_watermark: end, ..options(config.clone()) };
                if Log::open(&mut store, now(0), options).is_ok() {
                    break;
                }
            }
            store.left = u64::MAX;
            // A crash that is not known to have been none: everything is read and checked.
            let mut log = open(&mut store, if seed == 0 { 0 } else { end }, &config);
            assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, end), "{operations} {seed}");
            let found: Contents = pairs(&log, &mut store);
            let told = format!("{operations} of {}, seed {seed}: {found:?}", all - prepared_with);
            assert!(after.iter().all(|pair| found.contains(pair)), "{told}");
            assert!(found.iter().all(|pair| before.contains(pair)), "{told}");
            assert!(found.is_sorted(), "{told}");
            assert!(names(&log, &mut store).iter().all(|name| {
                ![".cleaned", ".swap", ".deleted"].iter().any(|suffix| name.ends_with(suffix))
            }));
            assert!(says_what_was_aborted(&log, &mut store), "{told}");
            outcomes.insert(match &found {
                found if *found == before => "undone",
                found if *found == after => "done",
                _ => "in part",
            });
            assert!(!finished || found == after);
            // The next cleaning makes it what it would have been.
            clean_until_refused(&mut store, &mut log).unwrap();
            let now_found: Contents = pairs(&log, &mut store);
            assert_eq!(
                (now_found, batches(&log, &mut store).len() <= markers),
                (after.clone(), true),
                "{told}"
            );
        }
    }
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
}

#[test]
fn a_disk_without_room_leaves_all_as_it_was() {
    let (mut store, mut log, _) = prepared(1);
    let before = (names(&log, &mut store), batches(&log, &mut store));
    store.is_full = true;
    let to_clean = log.to_clean(&mut store, 1_000, i64::MAX).unwrap();
    let cleaning = Cleaning::start(&mut store, &log, &to_clean, LIMITS, [1, 2], 1_000).unwrap();
    let refused = cleaning.run(&mut store, &Compressors::default(), &mut log, now(1_000));
    assert_eq!(refused, Err(StoreError::NoSpace.into()));
    assert_eq!((names(&log, &mut store), batches(&log, &mut store)), before);
    store.is_full = false;
    clean_until_refused(&mut store, &mut log).unwrap();
}
