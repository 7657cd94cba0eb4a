//! A swap that was interrupted, at every step of it: both open the directory and must find the same log.

use std::collections::BTreeSet;
use std::fs;
use std::io::IoSlice;
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use ottla_core::log::cleaner::{CleanerLimits, Cleaning};
use ottla_core::log::memory::{Inode, MemorySlice};
use ottla_core::log::store::{Entry, StoreError};
use ottla_core::log::{Log, LogConfig, LogStore, MemoryStore, OpenLog};
use ottla_core::record::Compressors;
use ottla_tests::program::run;

use crate::logs::{DIR, case, load, names, now, peer, place, write};

const LOGS: u64 = 1;

/// A store that remembers how it looked after each change of a directory.
#[derive(Clone, Debug)]
struct Recorder {
    store: MemoryStore,
    states: Vec<MemoryStore>,
}

impl Recorder {
    fn changed<T>(
        &mut self,
        change: impl FnOnce(&mut MemoryStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let changed = change(&mut self.store)?;
        self.states.push(self.store.clone());
        Ok(changed)
    }
}

impl LogStore for Recorder {
    type File = Inode;
    type Slice = MemorySlice;

    fn create_dir(&mut self, path: &str) -> Result<(), StoreError> {
        self.store.create_dir(path)
    }

    fn list(&mut self, path: &str) -> Result<Vec<Entry>, StoreError> {
        self.store.list(path)
    }

    fn create(&mut self, path: &str) -> Result<Inode, StoreError> {
        self.changed(|store| store.create(path))
    }

    fn open(&mut self, path: &str) -> Result<Inode, StoreError> {
        self.store.open(path)
    }

    fn len(&mut self, file: &Inode) -> Result<u64, StoreError> {
        self.store.len(file)
    }

    fn append(&mut self, file: &Inode, parts: &[IoSlice<'_>]) -> Result<(), StoreError> {
        self.store.append(file, parts)
    }

    fn read_at(&mut self, file: &Inode, at: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.store.read_at(file, at, into)
    }

    fn slice(&mut self, file: &Inode, range: Range<u64>) -> Result<MemorySlice, StoreError> {
        self.store.slice(file, range)
    }

    fn read_slice(&mut self, slice: &MemorySlice) -> Result<Bytes, StoreError> {
        self.store.read_slice(slice)
    }

    fn truncate(&mut self, file: &Inode, len: u64) -> Result<(), StoreError> {
        self.store.truncate(file, len)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StoreError> {
        self.changed(|store| store.rename(from, to))
    }

    fn remove(&mut self, path: &str) -> Result<(), StoreError> {
        self.changed(|store| store.remove(path))
    }
}

fn open<S: LogStore>(store: &mut S, config: &LogConfig) -> Log<S> {
    let options = OpenLog {
        dir: DIR.to_owned(),
        config: config.clone(),
        log_start_offset: 0,
        recovery_point: 0,
        high_watermark: i64::MAX,
        clean_shutdown: false,
        has_others: false,
    };
    let (log, report) = Log::open(store, now(0), options).expect("it opens");
    assert_eq!(report.truncation, None);
    log
}

/// Every state of the directory in the course of a cleaning.
fn states(store: MemoryStore, config: &LogConfig, at: i64) -> Vec<MemoryStore> {
    let mut recorder = Recorder { store, states: Vec::new() };
    let mut log = open(&mut recorder, config);
    recorder.states.clear();
    let found = log.to_clean(&mut recorder, at, i64::MAX).expect("it is looked at");
    let limits = CleanerLimits { slots: 1_000, keys_max: 750, chunk_bytes: 700, step_bytes: 700 };
    let cleaning = Cleaning::start(&mut recorder, &log, &found, limits, [3, 4], at).expect("it begins");
    let done =
        cleaning.run(&mut recorder, &Compressors::default(), &mut log, now(at)).expect("it is cleaned");
    assert!(done.is_some());
    recorder.states
}

#[test]
fn an_interrupted_swap_ends_as_apache_kafka_ends_it() {
    let root = place("swap");
    let mut interrupted = Vec::new();
    for seed in 0..LOGS {
        // Nothing is open at the end, so that there is something to clean.
        let case = case(2 * seed + 1);
        let at = case.rounds[0].0;
        let states = states(case.store.clone(), &case.config, at);
        // Apache Kafka syncs each file that it opens after a crash. The groups of segments are of several lengths, so that every
        // step of a swap is among these.
        for (number, store) in states.into_iter().enumerate().step_by(3) {
            let mut state =
                crate::logs::Case { name: format!("{}-{number}", case.name), store, ..case.clone() };
            let place = write(&mut state, &root);
            interrupted.push((place, state));
        }
    }
    let places: Vec<PathBuf> = interrupted.iter().map(|(place, _)| place.clone()).collect();
    run(peer("open", &places)).ok();
    let mut seen = BTreeSet::new();
    for (place, state) in &mut interrupted {
        let mut all = names(&mut state.store, "");
        all.retain(|name| [".swap", ".cleaned", ".deleted"].iter().any(|suffix| name.ends_with(suffix)));
        seen.extend(all.iter().filter_map(|name| name.split_once('.')).map(|(_, suffix)| suffix.to_owned()));
        drop(open(&mut state.store, &state.config));
        let mut theirs = load(&place.join(DIR));
        for suffix in [".log", ".txnindex", ".swap", ".cleaned"] {
            let ours = names(&mut state.store, suffix);
            assert_eq!(ours, names(&mut theirs, suffix), "{}: {all:?}", state.name);
            for name in ours {
                let path = format!("{DIR}/{name}");
                assert_eq!(state.store.read(&path), theirs.read(&path), "{} {name}: {all:?}", state.name);
            }
        }
    }
    println!("{} states, {seen:?}", interrupted.len());
    assert!(interrupted.len() > 40 && seen.len() >= 12, "{} states, {seen:?}", interrupted.len());
    fs::remove_dir_all(root).expect("it goes");
}
