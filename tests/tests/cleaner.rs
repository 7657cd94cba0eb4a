//! Apache Kafka's cleaner and ours, given the same segments: what is left must be the same, offset by offset and byte by byte.
//!
//! Every log is cleaned several times, each time both from what Apache Kafka left the time before. Batches that were compressed anew
//! are compared as what they hold: two implementations of a codec need not give the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ottla_core::log::cleaner::{CleanerLimits, Cleaning};
use ottla_core::log::{AppendBatch, AppendOrigin, Log, LogConfig, LogStore as _, MemoryStore, OpenLog};
use ottla_core::record::{
    Batch, BatchBuilder, BatchHeader, BatchOptions, CompressionType, Compressors, EndTxnMarker, HeaderRef,
    Record, TimestampType, batches,
};
use ottla_core::rng::Rng;
use ottla_core::time::{Instant, Now};
use ottla_tests::program::{class_path, command, run};

const DIR: &str = "topic-0";
const LOGS: u64 = 24;
const ROUNDS: usize = 5;
/// The peer's `MODIFIED_MS`: what is opened was last written then.
const MODIFIED_MS: i64 = 1_000;
/// When the first record was written.
const BEGIN_MS: i64 = 1_000_000;

/// A log to be cleaned.
struct Case {
    name: String,
    config: LogConfig,
    /// Wall clock, and slots of Kafka's offset map.
    rounds: Vec<(i64, usize)>,
    store: MemoryStore,
}

/// What there was to be cleaned, and how far it came.
type Summary = [i64; 6];

fn now(ms: i64) -> Now {
    Now { monotonic: Instant(0), wall: ms }
}

fn open(store: &mut MemoryStore, config: &LogConfig) -> Log<MemoryStore> {
    let options = |recovery_point| OpenLog {
        dir: DIR.to_owned(),
        config: config.clone(),
        log_start_offset: 0,
        recovery_point,
        high_watermark: i64::MAX,
        clean_shutdown: true,
    };
    // A clean shutdown is believed of a log that ends at its recovery point.
    let (log, _) = Log::open(&mut store.clone(), now(MODIFIED_MS), options(0)).expect("it opens");
    let (log, report) = Log::open(store, now(MODIFIED_MS), options(log.log_end_offset())).expect("it opens");
    assert_eq!((report.scanned_bytes, report.rebuilt_indexes), (0, Vec::new()));
    log
}

/// Producers of one log: the next sequence of each, its epoch, and whether it has a transaction open.
type Producers = BTreeMap<i64, (i32, i16, bool)>;

fn append_random(
    log: &mut Log<MemoryStore>,
    store: &mut MemoryStore,
    producers: &mut Producers,
    rng: &mut Rng,
    at: i64,
    codecs: bool,
) {
    let id = rng.below(5) as i64;
    let known = producers.entry(id).or_default();
    let (base_sequence, producer_epoch, is_open) = *known;
    let is_transactional = id > 1 && (is_open || rng.chance(1, 2));
    let kind = CompressionType::ALL[if codecs { rng.below(5) as usize } else { 0 }];
    let timestamp_type =
        if rng.chance(1, 5) { TimestampType::LogAppendTime } else { TimestampType::CreateTime };
    let options = BatchOptions {
        compression: kind.into(),
        timestamp_type,
        log_append_time: at,
        ..BatchOptions::default()
    };
    let options = match id {
        0 => options,
        _ => BatchOptions { producer_id: id, producer_epoch, base_sequence, is_transactional, ..options },
    };
    let count = 1 + rng.below(5) as i32;
    let mut builder = BatchBuilder::new(options);
    for _ in 0..count {
        let key = rng.chance(29, 30).then(|| format!("key {}", rng.below(16)));
        let value = rng.chance(4, 5).then(|| "value ".repeat(rng.below(30) as usize));
        let headers: [HeaderRef<'_>; 2] = [("kopf".as_bytes(), Some(b"header")), (b"", None)];
        let headers = &headers[..rng.below(3) as usize];
        let timestamp = at + rng.below(100) as i64 - 50;
        builder.append(
            timestamp,
            key.as_ref().map(String::as_bytes),
            value.as_ref().map(String::as_bytes),
            headers,
        );
    }
    append(log, store, &Batch::read(&builder.build(&Compressors::default())).expect("a batch"), at);
    *known = (base_sequence + count, producer_epoch, is_transactional);
}

fn append(log: &mut Log<MemoryStore>, store: &mut MemoryStore, batch: &Batch, at: i64) {
    let body = batch.body();
    let batches = [AppendBatch { header: *batch.header(), body: &body }];
    log.append_as_leader(store, now(at), 0, AppendOrigin::Coordinator, &batches).expect("it is appended");
}

/// Ends a transaction; with `bump` in a new epoch, as version 2 of the protocol does.
fn end_random(
    log: &mut Log<MemoryStore>,
    store: &mut MemoryStore,
    producers: &mut Producers,
    rng: &mut Rng,
    at: i64,
) {
    let Some((id, known)) = producers.iter_mut().find(|(_, (_, _, is_open))| *is_open) else { return };
    let bump = i16::from(rng.chance(1, 2));
    let marker = EndTxnMarker { is_commit: rng.chance(1, 2), coordinator_epoch: 0 };
    let (sequence, epoch, _) = *known;
    append(log, store, &Batch::read(&marker.batch(*id, epoch + bump, at, 0)).expect("a marker"), at);
    *known = (if bump > 0 { 0 } else { sequence }, epoch + bump, false);
}

fn case(seed: u64) -> Case {
    let mut rng = Rng::from_seed(seed);
    let min_compaction_lag_ms = if rng.chance(1, 4) { 3_000 } else { 0 };
    let config = LogConfig {
        segment_bytes: 1_000 + rng.below(3_000),
        segment_index_bytes: if rng.chance(1, 4) { 96 } else { 10 << 20 },
        index_interval_bytes: rng.below(600),
        compact: true,
        delete: false,
        // Two rounds, to the millisecond.
        delete_retention_ms: 8_000,
        min_compaction_lag_ms,
        max_compaction_lag_ms: if rng.chance(1, 2) { 4_000 } else { i64::MAX },
        ..LogConfig::default()
    };
    let codecs = rng.chance(1, 2);
    let mut store = MemoryStore::new();
    store.create_dir(DIR).expect("a directory");
    let mut log = open(&mut store, &config);
    let mut producers = Producers::new();
    let mut at = BEGIN_MS;
    for _ in 0..30 + rng.below(60) {
        at += 100;
        append_random(&mut log, &mut store, &mut producers, &mut rng, at, codecs);
        if rng.chance(1, 4) {
            end_random(&mut log, &mut store, &mut producers, &mut rng, at);
        }
    }
    if rng.chance(1, 2) {
        while producers.values().any(|(_, _, is_open)| *is_open) {
            end_random(&mut log, &mut store, &mut producers, &mut rng, at);
        }
    }
    log.set_high_watermark(i64::MAX);
    log.close(&mut store, now(at)).expect("it closes");
    let rounds = (0..ROUNDS as i64)
        .map(|round| {
            let slots = if rng.chance(1, 2) { 3 + rng.below(12) as usize } else { 1_000 };
            (at + 2_000 + round * 4_000, slots)
        })
        .collect();
    Case { name: format!("seed-{seed}"), config, rounds, store }
}

fn write(case: &mut Case, root: &Path) -> PathBuf {
    let place = root.join(&case.name);
    fs::create_dir_all(place.join(DIR)).expect("a directory");
    for entry in case.store.list(DIR).expect("its entries") {
        let bytes = case.store.read(&format!("{DIR}/{}", entry.name)).expect("its bytes");
        fs::write(place.join(DIR).join(entry.name), bytes).expect("it is written");
    }
    let config = &case.config;
    let properties = format!(
        "cleanup.policy=compact\ninternal.segment.bytes={}\nsegment.index.bytes={}\nindex.interval.bytes={}\n\
         delete.retention.ms={}\nmin.compaction.lag.ms={}\nmax.compaction.lag.ms={}\n",
        config.segment_bytes,
        config.segment_index_bytes,
        config.index_interval_bytes,
        config.delete_retention_ms,
        config.min_compaction_lag_ms,
        config.max_compaction_lag_ms
    );
    fs::write(place.join("topic.properties"), properties).expect("it is written");
    let rounds: String = case.rounds.iter().map(|(at, slots)| format!("{at} {slots}\n")).collect();
    fs::write(place.join("rounds"), rounds).expect("it is written");
    place
}

fn load(place: &Path) -> MemoryStore {
    let mut store = MemoryStore::new();
    store.create_dir(DIR).expect("a directory");
    for entry in fs::read_dir(place).expect("its entries") {
        let entry = entry.expect("an entry");
        let name = format!("{DIR}/{}", entry.file_name().to_string_lossy());
        let file = store.create(&name).expect("a file");
        let bytes = fs::read(entry.path()).expect("its bytes");
        store.append(&file, &[std::io::IoSlice::new(&bytes)]).expect("it is written");
    }
    store
}

/// Cleans with ours.
fn clean(log: &mut Log<MemoryStore>, store: &mut MemoryStore, (at, slots): (i64, usize)) -> Summary {
    let found = log.to_clean(store, at).expect("it is looked at");
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

fn names(store: &mut MemoryStore, suffix: &str) -> Vec<String> {
    let entries = store.list(DIR).expect("its entries").into_iter();
    entries.map(|entry| entry.name).filter(|name| name.ends_with(suffix)).collect()
}

#[test]
fn what_is_left_is_what_apache_kafka_leaves() {
    let root = std::env::temp_dir().join(format!("ottla-cleaner-{}", std::process::id()));
    let mut cases: Vec<Case> = (0..LOGS).map(case).collect();
    let places: Vec<PathBuf> = cases.iter_mut().map(|case| write(case, &root)).collect();
    let mut java = command(&["java", "-Xmx256m", "-cp", &class_path()]);
    java.arg("tests/cleaner/CleanerPeer.java").args(&places);
    let printed = run(java).ok();
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
