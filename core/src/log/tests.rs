//! Scenarios over a whole log on a [`MemoryStore`].

use super::memory::MemoryStore;
use super::*;
use crate::record::{Batch, BatchBuilder, BatchOptions, Compressors};
use crate::time::{Instant, Now};

mod crash;
mod follower;
mod hostile;
mod log_dirs;
mod model;
mod producers;
mod recovery;
mod retention;

pub(super) const DIR: &str = "data/t-0";

pub(super) fn now(ms: i64) -> Now {
    Now { monotonic: Instant(ms.unsigned_abs() * 1_000), wall: ms }
}

/// A batch of `count` records, each of `size` bytes, with timestamps from `timestamp` on.
pub(super) fn batch(count: i32, size: usize, timestamp: i64) -> Batch {
    batch_of(BatchOptions::default(), count, size, timestamp)
}

pub(super) fn batch_of(options: BatchOptions, count: i32, size: usize, timestamp: i64) -> Batch {
    let mut builder = BatchBuilder::new(options);
    for n in 0..count {
        builder.append(timestamp + i64::from(n), None, Some(&vec![n as u8; size]), &[]);
    }
    Batch::read(&builder.build(&Compressors::default())).unwrap()
}

pub(super) fn options(config: LogConfig) -> OpenLog {
    OpenLog {
        dir: DIR.to_owned(),
        config,
        log_start_offset: 0,
        recovery_point: 0,
        high_watermark: 0,
        clean_shutdown: false,
        has_others: false,
    }
}

/// Segments of about three of the batches that tests append, and an index entry for every other one.
pub(super) fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 1_000,
        index_interval_bytes: 300,
        file_delete_delay_ms: 1_000,
        ..LogConfig::default()
    }
}

pub(super) fn fresh(config: LogConfig) -> (MemoryStore, Log<MemoryStore>) {
    let mut store = MemoryStore::new();
    let (log, report) = Log::open(&mut store, now(0), options(config)).unwrap();
    assert_eq!(report, RecoveryReport::default());
    (store, log)
}

pub(super) fn append(
    log: &mut Log<MemoryStore>,
    store: &mut MemoryStore,
    batch: &Batch,
    at: i64,
) -> LogAppendInfo {
    try_append(log, store, batch, at).unwrap()
}

pub(super) fn try_append(
    log: &mut Log<MemoryStore>,
    store: &mut MemoryStore,
    batch: &Batch,
    at: i64,
) -> Result<LogAppendInfo, LogError> {
    let body = batch.body();
    let batches = [AppendBatch { header: *batch.header(), body: &body }];
    log.append_as_leader(store, now(at), 0, AppendOrigin::Client, &batches)
}

/// The base offsets of the batches that a read returns.
pub(super) fn read_bases(
    log: &mut Log<MemoryStore>,
    store: &mut MemoryStore,
    offset: i64,
    max_bytes: u64,
) -> Vec<i64> {
    let data = log.read(store, offset, max_bytes, FetchIsolation::LogEnd, true, None).unwrap();
    let bytes = data.records.map(|slice| store.read_slice(&slice).unwrap()).unwrap_or_default();
    assert_eq!(bytes.len() as u64, data.size);
    crate::record::batches(&bytes).map(|batch| batch.unwrap().base_offset).collect()
}
