//! Random logs against a list of records and the rules in plain words.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::log::producer_state::ProducerEntry;
use crate::record::increment_sequence;
use crate::rng::Rng;

/// A record as the model knows it.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    offset: i64,
    timestamp: i64,
    key: Option<String>,
    value: Option<String>,
    headers: usize,
}

/// A batch as the model knows it.
#[derive(Clone, Debug)]
struct ExpectedBatch {
    records: Vec<Expected>,
    is_aborted: bool,
    horizon: Option<i64>,
}

#[derive(Debug, Default)]
struct Model {
    batches: Vec<ExpectedBatch>,
    /// Transactions that are open: producer → its batches.
    open: BTreeMap<i64, Vec<usize>>,
}

impl Model {
    /// What a cleaning of `from..to` leaves at `now_ms`. The last segment that it writes anew reaches up to `reach`.
    fn clean(&mut self, (from, to, reach): (i64, i64, i64), now_ms: i64, delete_retention_ms: i64) {
        let mut last = BTreeMap::new();
        for batch in self.batches.iter().filter(|batch| !batch.is_aborted) {
            for record in batch.records.iter().filter(|record| (from..to).contains(&record.offset)) {
                if let Some(key) = &record.key {
                    last.insert(key.clone(), record.offset);
                }
            }
        }
        for batch in &mut self.batches {
            let is_over = batch.horizon.is_some_and(|horizon| horizon <= now_ms);
            let is_aborted = batch.is_aborted;
            batch.records.retain(|record| {
                if record.offset >= to {
                    return record.offset >= reach || !is_aborted;
                }
                let Some(key) = record.key.as_ref() else { return false };
                let is_last = last.get(key).is_none_or(|last| record.offset >= *last);
                !is_aborted && is_last && (record.value.is_some() || !is_over)
            });
            let has_tombstone =
                batch.records.iter().any(|record| record.value.is_none() && record.offset < reach);
            if has_tombstone && batch.horizon.is_none() {
                batch.horizon = Some(now_ms + delete_retention_ms);
            }
        }
    }

    fn records(&self) -> Vec<Expected> {
        self.batches.iter().flat_map(|batch| batch.records.clone()).collect()
    }

    /// What a reader who reads everything that is committed knows in the end.
    fn table(&self) -> BTreeMap<String, String> {
        let mut table = BTreeMap::new();
        for batch in self.batches.iter().filter(|batch| !batch.is_aborted) {
            for record in &batch.records {
                let Some(key) = record.key.clone() else { continue };
                match record.value.clone() {
                    Some(value) => _ = table.insert(key, value),
                    None => _ = table.remove(&key),
                }
            }
        }
        table
    }
}

fn append_random(
    log: &mut Log<MemoryStore>,
    store: &mut MemoryStore,
    model: &mut Model,
    rng: &mut Rng,
    at: i64,
) {
    let producer_id = rng.below(4) as i64;
    let is_open = model.open.contains_key(&producer_id);
    let is_transactional = producer_id > 0 && (is_open || rng.chance(1, 3));
    let next = |entry: &ProducerEntry| increment_sequence(entry.last_sequence(), 1);
    let base_sequence = log.producers().producer(producer_id).map_or(0, next);
    let compression = CompressionType::ALL[rng.below(5) as usize].into();
    let options = match producer_id {
        0 => BatchOptions { compression, ..BatchOptions::default() },
        _ => BatchOptions { compression, ..of_producer(producer_id, base_sequence, is_transactional) },
    };
    let mut builder = BatchBuilder::new(options);
    let mut records = Vec::new();
    for n in 0..1 + rng.below(4) as i64 {
        let key = rng.chance(19, 20).then(|| rng.below(12).to_string());
        let value = rng.chance(3, 4).then(|| "v".repeat(1 + rng.below(30) as usize));
        let headers: [HeaderRef<'_>; 2] = [(b"k", Some(b"v")), (b"n", None)];
        let headers = &headers[..rng.below(3) as usize];
        let timestamp = at + rng.below(50) as i64 - 25;
        builder.append(
            timestamp,
            key.as_ref().map(String::as_bytes),
            value.as_ref().map(String::as_bytes),
            headers,
        );
        records.push(Expected {
            offset: log.log_end_offset() + n,
            timestamp,
            key,
            value,
            headers: headers.len(),
        });
    }
    append(log, store, &Batch::read(&builder.build(&Compressors::default())).unwrap(), at);
    if is_transactional {
        model.open.entry(producer_id).or_default().push(model.batches.len());
    }
    model.batches.push(ExpectedBatch { records, is_aborted: false, horizon: None });
}

fn end_random(log: &mut Log<MemoryStore>, store: &mut MemoryStore, model: &mut Model, rng: &mut Rng) {
    let Some((producer_id, its)) = model.open.pop_first() else { return };
    let is_commit = rng.chance(1, 2);
    end_transaction(log, store, producer_id, is_commit);
    for index in its {
        model.batches[index].is_aborted = !is_commit;
    }
}

fn seen(log: &Log<MemoryStore>, store: &mut MemoryStore) -> Vec<Expected> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let expected = |record: Record| Expected {
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key.as_ref().map(text),
        value: record.value.as_ref().map(text),
        headers: record.headers.len(),
    };
    records(log, store).into_iter().map(expected).collect()
}

/// What must be known of producers whatever was cleaned.
fn producers(log: &Log<MemoryStore>) -> Vec<(i64, i16, i32, i64, Option<i64>)> {
    let of = |(id, entry): (i64, &ProducerEntry)| {
        let (sequence, offset) = (entry.last_sequence(), entry.last_offset());
        (id, entry.producer_epoch, sequence, offset, entry.current_txn_first_offset)
    };
    log.producers().producers().map(of).collect()
}

/// Opened with everything read anew.
fn rebuilt(log: &Log<MemoryStore>, store: &MemoryStore) -> (MemoryStore, Log<MemoryStore>) {
    let mut store = store.clone();
    for name in names(log, &mut store) {
        if [".snapshot", ".index", ".timeindex"].iter().any(|suffix| name.ends_with(suffix)) {
            store.remove(&format!("{}/{name}", log.dir())).unwrap();
        }
    }
    let options =
        crate::log::OpenLog { high_watermark: log.high_watermark(), ..options(log.config().clone()) };
    let (log, report) = Log::open(&mut store, now(0), options).unwrap();
    assert_eq!(report.truncation, None);
    (store, log)
}

fn run(seed: u64) -> BTreeSet<&'static str> {
    let mut rng = Rng::from_seed(seed);
    let mut happened = BTreeSet::new();
    let config = LogConfig { segment_bytes: 600, index_interval_bytes: 150, ..config() };
    let (mut store, mut log) = fresh(config.clone());
    let mut model = Model::default();
    let mut clock = 10_000;
    for _ in 0..40 {
        clock += 100;
        for _ in 0..rng.below(6) {
            append_random(&mut log, &mut store, &mut model, &mut rng, clock);
        }
        if rng.chance(1, 2) {
            end_random(&mut log, &mut store, &mut model, &mut rng);
        }
        log.set_high_watermark(log.log_end_offset());
        if rng.chance(1, 4) {
            log.set_high_watermark(log.high_watermark() - rng.below(10) as i64);
        }
        if !rng.chance(1, 2) {
            continue;
        }
        let table = model.table();
        let (known, stable) = (producers(&log), log.last_stable_offset());
        let (segments, count) = (bases(&log), log.segments().len());
        let to_clean = log.to_clean(&mut store, clock, i64::MAX).unwrap();
        assert!(to_clean.first_uncleanable_offset <= stable.max(to_clean.first_dirty_offset));
        let keys_max = if rng.chance(1, 4) { 1 + rng.below(12) as usize } else { 1_000 };
        let stats =
            clean_with(&mut log, &mut store, clock, CleanerLimits { keys_max, step_bytes: 300, ..LIMITS });
        let (from, to) = (stats.first_dirty_offset, stats.next_dirty_offset);
        let reach = segments.into_iter().find(|base_offset| *base_offset >= to).unwrap();
        model.clean((from, to, reach), clock, config.delete_retention_ms);
        assert_eq!(seen(&log, &mut store), model.records(), "seed {seed}");
        assert_eq!(model.table(), table, "seed {seed}");
        assert_eq!((producers(&log), log.last_stable_offset()), (known.clone(), stable));
        let (mut copy, mut reopened) = rebuilt(&log, &store);
        assert_eq!(reopened.log_end_offset(), log.log_end_offset());
        let all_replicated = |log: &Log<MemoryStore>| {
            let mut log = log.clone();
            log.set_high_watermark(i64::MAX);
            log.last_stable_offset()
        };
        assert_eq!(all_replicated(&reopened), all_replicated(&log), "seed {seed}");
        assert_eq!(producers(&reopened), known, "seed {seed}");
        for offset in offsets(&log, &mut store) {
            let found = crate::log::tests::read_bases(&mut log, &mut store, offset, 1);
            assert_eq!(crate::log::tests::read_bases(&mut reopened, &mut copy, offset, 1), found);
        }
        happened.extend((log.segments().len() < count).then_some("merged"));
        happened.extend(
            (stats.next_dirty_offset < to_clean.first_uncleanable_offset).then_some("memory was full"),
        );
        happened.extend((stats.records_kept < stats.records_read).then_some("records went"));
        happened.extend(
            batches(&log, &mut store).iter().any(|batch| batch.records_count == 0).then_some("empty batch"),
        );
        happened.extend(model.batches.iter().any(|batch| batch.is_aborted).then_some("aborted"));
        happened.extend(
            (model.batches.iter().any(|batch| batch.horizon.is_some_and(|at| at <= clock)))
                .then_some("tombstones over"),
        );
        happened.extend((!model.open.is_empty()).then_some("open transaction"));
        log.tick(&mut store, now(clock)).unwrap();
    }
    happened
}

#[test]
fn a_cleaned_log_is_what_the_rules_say() {
    let mut happened = BTreeMap::new();
    for seed in 0..60 {
        for what in run(seed) {
            *happened.entry(what).or_insert(0) += 1;
        }
    }
    assert_eq!(happened.len(), 7, "{happened:?}");
}
