//! The same segments to both cleaners, several times over.
//!
//! Every log is cleaned several times, each time both from what Apache Kafka left the time before. Batches that were compressed anew
//! are compared as what they hold: two implementations of a codec need not give the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use ottla_core::log::cleaner::{CleanerLimits, Cleaning};
use ottla_core::log::{Log, LogStore as _, MemoryStore};
use ottla_core::record::{Batch, BatchHeader, Compressors, Record, batches};
use ottla_tests::program::run;

use crate::logs::{Case, DIR, case, load, names, now, open, peer, place, write};

const LOGS: u64 = 24;

/// What there was to be cleaned, and how far it came.
type Summary = [i64; 6];

/// Cleans with ours.
fn clean(log: &mut Log<MemoryStore>, store: &mut MemoryStore, (at, slots): (i64, usize)) -> Summary {
    let found = log.to_clean(store, at, i64::MAX).expect("it is looked at");
    let mut next = found.first_dirty_offset;
    if found.cleanable_bytes > 0 {
        let limits = CleanerLimits { slots, keys_max: slots * 3 / 4, chunk_bytes: 700, step_bytes: 700 };
        let cleaning = Cleaning::start(store, log, &found, limits, [3, 4], at).expect("it begins");
        let stats = cleaning.run(store, &Compressors::default(), log, now(at)).expect("it is cleaned");
        next = stats.expect("nobody disturbs it").next_dirty_offset;
    }
    let bytes = |bytes: u64| i64::try_from(bytes).expect("few bytes");
    [
        found.first_dirty_offset,
        found.first_uncleanable_offset,
        bytes(found.clean_bytes),
        bytes(found.cleanable_bytes),
        found.max_compaction_delay_ms,
        next,
    ]
}

/// A batch without what a codec may choose, and its records.
#[derive(Debug, PartialEq)]
struct Content {
    header: BatchHeader,
    records: Vec<Record>,
    /// All of it, where no codec was at work.
    bytes: Option<Bytes>,
}

fn contents(bytes: Vec<u8>) -> Vec<Content> {
    let content = |batch: Batch| {
        batch.check_crc().expect("it is whole");
        let records =
            batch.records(&Compressors::default()).expect("records").map(|record| record.expect("one"));
        Content {
            header: BatchHeader { crc: 0, batch_length: 0, ..*batch.header() },
            records: records.collect(),
            bytes: (!batch.is_compressed()).then(|| batch.bytes().clone()),
        }
    };
    batches(&bytes.into()).map(|batch| content(batch.expect("a batch"))).collect()
}

#[test]
fn what_is_left_is_what_apache_kafka_leaves() {
    let root = place("cleaner");
    let mut cases: Vec<Case> = (0..LOGS).map(case).collect();
    let places: Vec<PathBuf> = cases.iter_mut().map(|case| write(case, &root)).collect();
    let printed = run(peer("clean", &places)).ok();
    let mut told = printed.lines().filter(|line| line.starts_with("seed-"));
    let mut happened: BTreeMap<&str, usize> = BTreeMap::new();
    for (case, place) in cases.iter_mut().zip(&places) {
        let (mut store, mut checkpoint) = (case.store.clone(), None);
        for (round, parameters) in case.rounds.iter().enumerate() {
            let at = format!("{} round {round}", case.name);
            let line = told.next().unwrap_or_else(|| panic!("{at} is missing"));
            let theirs: Vec<i64> =
                line.split(' ').skip(1).map(|word| word.parse().expect("a number")).collect();
            let mut log = open(&mut store, &case.config);
            log.set_cleaned_up_to(checkpoint);
            let before = log.size();
            let ours = clean(&mut log, &mut store, *parameters);
            assert_eq!(ours.as_slice(), theirs, "{at}: {parameters:?} {:?}", case.config);
            let mut after = load(&place.join(format!("after-{round}")));
            for suffix in [".log", ".txnindex"] {
                assert_eq!(names(&mut store, suffix), names(&mut after, suffix), "{at}");
            }
            for name in names(&mut store, ".log") {
                let path = format!("{DIR}/{name}");
                let ours = contents(store.read(&path).expect("its bytes"));
                let theirs = contents(after.read(&path).expect("its bytes"));
                let mut note = |what, is: bool| *happened.entry(what).or_default() += usize::from(is);
                for batch in &ours {
                    note("empty batches", batch.records.is_empty());
                    note("horizons", batch.header.delete_horizon_ms().is_some());
                    note("markers", batch.header.is_control());
                    note("compressed", batch.bytes.is_none());
                    note("headers", batch.records.iter().any(|record| !record.headers.is_empty()));
                }
                assert_eq!(ours, theirs, "{at} {name}");
            }
            let is_plain = names(&mut store, ".log").iter().all(|name| {
                contents(store.read(&format!("{DIR}/{name}")).expect("its bytes"))
                    .iter()
                    .all(|batch| batch.bytes.is_some())
            });
            for suffix in if is_plain { &[".txnindex", ".index", ".timeindex"][..] } else { &[".txnindex"] } {
                let mut all = names(&mut store, suffix);
                if *suffix != ".txnindex" {
                    // The active segment's are still in memory.
                    all.pop();
                }
                for name in all {
                    let path = format!("{DIR}/{name}");
                    assert_eq!(store.read(&path), after.read(&path), "{at} {name}");
                    *happened.entry(*suffix).or_default() += 1;
                }
            }
            *happened.entry("smaller").or_default() += usize::from(log.size() < before);
            let [_, uncleanable, _, _, delay, next] = ours;
            *happened.entry("full memory").or_default() += usize::from(next < uncleanable);
            *happened.entry("overdue").or_default() += usize::from(delay > 0);
            *happened.entry("bounded").or_default() +=
                usize::from(uncleanable < log.segments().last().expect("one").base_offset);
            checkpoint = theirs.last().copied();
            store = after;
        }
    }
    println!("{happened:?}");
    for (what, times) in &happened {
        assert!(*times >= 10, "{what}: {times}");
    }
    assert_eq!(happened.len(), 12, "{happened:?}");
    fs::remove_dir_all(root).expect("it goes");
}
