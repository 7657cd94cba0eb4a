//! Cleanings of whole logs.

use bytes::Bytes;

use super::*;
use crate::log::file_names::LOG_SUFFIX;
use crate::log::log_file::LogFile;
use crate::log::store::LogStore;
use crate::log::tests::{append, fresh, now, options};
use crate::log::{AppendBatch, AppendOrigin, LogConfig, MemoryStore};
use crate::record::{
    BatchBuilder, BatchOptions, CompressionType, Compressors, EndTxnMarker, HeaderRef, Record,
};

mod choice;
mod crash;
mod model;
mod rules;

pub(super) fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 1_000,
        compact: true,
        delete: false,
        delete_retention_ms: 1_000,
        file_delete_delay_ms: 50,
        ..LogConfig::default()
    }
}

pub(super) const LIMITS: CleanerLimits =
    CleanerLimits { slots: 1_500, keys_max: 1_000, chunk_bytes: 64, step_bytes: 64 };

/// A key, and a value or none.
pub(super) type Pair<'a> = (&'a str, Option<&'a str>);

pub(super) fn keyed(options: BatchOptions, pairs: &[Pair<'_>], timestamp: i64) -> Batch {
    let mut builder = BatchBuilder::new(options);
    for (n, (key, value)) in (0..).zip(pairs) {
        builder.append(timestamp + n, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    }
    Batch::read(&builder.build(&Compressors::default())).unwrap()
}

/// Appends a batch, and another segment after it.
pub(super) fn put(log: &mut Log<MemoryStore>, store: &mut MemoryStore, pairs: &[Pair<'_>]) {
    put_batch(log, store, &keyed(BatchOptions::default(), pairs, 100));
}

pub(super) fn put_batch(log: &mut Log<MemoryStore>, store: &mut MemoryStore, batch: &Batch) {
    append(log, store, batch, 100);
    let end = log.log_end_offset();
    log.roll(store, now(100), end).unwrap();
    log.set_high_watermark(end);
}

pub(super) fn of_producer(producer_id: i64, base_sequence: i32, is_transactional: bool) -> BatchOptions {
    BatchOptions {
        producer_id,
        producer_epoch: 0,
        base_sequence,
        is_transactional,
        ..BatchOptions::default()
    }
}

pub(super) fn end_transaction(
    log: &mut Log<MemoryStore>,
    store: &mut MemoryStore,
    producer_id: i64,
    is_commit: bool,
) {
    let marker = EndTxnMarker { is_commit, coordinator_epoch: 3 };
    let batch = Batch::read(&marker.batch(producer_id, 0, 150, 0)).unwrap();
    let body = batch.body();
    let batches = [AppendBatch { header: *batch.header(), body: &body }];
    log.append_as_leader(store, now(150), 0, AppendOrigin::Coordinator, &batches).unwrap();
    let end = log.log_end_offset();
    log.roll(store, now(150), end).unwrap();
    log.set_high_watermark(end);
}

/// Cleans what there is to clean, whether or not it is worth it.
pub(super) fn clean(log: &mut Log<MemoryStore>, store: &mut MemoryStore, at: i64) -> CleaningStats {
    clean_with(log, store, at, LIMITS)
}

pub(super) fn clean_with(
    log: &mut Log<MemoryStore>,
    store: &mut MemoryStore,
    at: i64,
    limits: CleanerLimits,
) -> CleaningStats {
    let to_clean = log.to_clean(store, at, i64::MAX).unwrap();
    let cleaning = Cleaning::start(store, log, &to_clean, limits, [1, 2], at).unwrap();
    cleaning.run(store, &Compressors::default(), log, now(at)).unwrap().unwrap()
}

pub(super) fn batches<S: LogStore>(log: &Log<S>, store: &mut S) -> Vec<Batch> {
    let mut found = Vec::new();
    for segment in log.segments() {
        let path = format!("{}/{}", log.dir(), with_offset(segment.base_offset, LOG_SUFFIX));
        let mut file = LogFile::open(store, &path).unwrap();
        while let Some((_, batch)) = file.next(store).unwrap() {
            batch.check_crc().unwrap();
            found.push(batch);
        }
    }
    found
}

pub(super) fn records<S: LogStore>(log: &Log<S>, store: &mut S) -> Vec<Record> {
    let data = batches(log, store).into_iter().filter(|batch| !batch.is_control());
    data.flat_map(|batch| batch.records(&Compressors::default()).unwrap().map(Result::unwrap)).collect()
}

/// Offset, key and value of each record that is not a marker.
pub(super) fn pairs<S: LogStore>(log: &Log<S>, store: &mut S) -> Vec<(i64, String, Option<String>)> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let pair = |record: Record| {
        let key = record.key.as_ref().map_or(String::new(), text);
        (record.offset, key, record.value.as_ref().map(text))
    };
    records(log, store).into_iter().map(pair).collect()
}

pub(super) fn offsets<S: LogStore>(log: &Log<S>, store: &mut S) -> Vec<i64> {
    records(log, store).iter().map(|record| record.offset).collect()
}

pub(super) fn bases<S: LogStore>(log: &Log<S>) -> Vec<i64> {
    log.segments().iter().map(|segment| segment.base_offset).collect()
}

pub(super) fn names<S: LogStore>(log: &Log<S>, store: &mut S) -> Vec<String> {
    store.list(log.dir()).unwrap().into_iter().map(|entry| entry.name).collect()
}
