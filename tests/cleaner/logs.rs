//! Random logs with everything that a cleaning can meet, and the way from memory to the disk and back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ottla_core::log::{AppendBatch, AppendOrigin, Log, LogConfig, LogStore as _, MemoryStore, OpenLog};
use ottla_core::record::{
    Batch, BatchBuilder, BatchOptions, CompressionType, Compressors, EndTxnMarker, HeaderRef, TimestampType,
};
use ottla_core::rng::Rng;
use ottla_core::time::{Instant, Now};
use ottla_tests::program::{class_path, command};

pub const DIR: &str = "topic-0";
const ROUNDS: usize = 5;
/// The peer's `MODIFIED_MS`: what is opened was last written then.
const MODIFIED_MS: i64 = 1_000;
/// When the first record was written.
const BEGIN_MS: i64 = 1_000_000;

/// A log to be cleaned.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    pub config: LogConfig,
    /// Wall clock, and slots of Kafka's offset map.
    pub rounds: Vec<(i64, usize)>,
    pub store: MemoryStore,
}

pub fn now(ms: i64) -> Now {
    Now { monotonic: Instant(0), wall: ms }
}

pub fn open(store: &mut MemoryStore, config: &LogConfig) -> Log<MemoryStore> {
    let options = |recovery_point| OpenLog {
        dir: DIR.to_owned(),
        config: config.clone(),
        log_start_offset: 0,
        recovery_point,
        high_watermark: i64::MAX,
        clean_shutdown: true,
        has_others: false,
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

pub fn case(seed: u64) -> Case {
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

pub fn write(case: &mut Case, root: &Path) -> PathBuf {
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

pub fn load(place: &Path) -> MemoryStore {
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

pub fn names(store: &mut MemoryStore, suffix: &str) -> Vec<String> {
    let entries = store.list(DIR).expect("its entries").into_iter();
    entries.map(|entry| entry.name).filter(|name| name.ends_with(suffix)).collect()
}

/// Apache Kafka's cleaner, about to do `what` to these directories.
pub fn peer(what: &str, places: &[PathBuf]) -> Command {
    let mut java = command(&["java", "-Xmx256m", "-cp", &class_path()]);
    java.args(["tests/cleaner/CleanerPeer.java", what]).args(places);
    java
}

/// A directory that is nobody else's.
pub fn place(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ottla-{name}-{}", std::process::id()))
}
