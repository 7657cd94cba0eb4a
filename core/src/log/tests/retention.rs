//! Segments that go: by time, by size, by DeleteRecords; and those that are rolled.

use super::*;
use crate::sim::{Disk as _, DiskOp, SimDisk};

/// Segments of three batches of two records each.
fn log_of(batches: i64) -> (MemoryStore, Log<MemoryStore>) {
    let (mut store, mut log) = fresh(small());
    for n in 0..batches {
        append(&mut log, &mut store, &batch(2, 100, n * 1_000), n * 1_000);
    }
    log.set_high_watermark(log.log_end_offset());
    (store, log)
}

fn bases(log: &Log<MemoryStore>) -> Vec<i64> {
    log.segments().iter().map(|segment| segment.base_offset).collect()
}

fn names(store: &mut MemoryStore) -> Vec<String> {
    store.list(DIR).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn old_segments_go_and_their_files_later() {
    let (mut store, mut log) = log_of(10);
    assert_eq!(bases(&log), [0, 6, 12, 18]);
    let slice = log.read(&mut store, 0, 1_000, FetchIsolation::HighWatermark, true, None).unwrap();
    let bytes = store.read_slice(slice.records.as_ref().unwrap()).unwrap();
    log.set_config(LogConfig { retention_ms: 4_000, ..small() });
    assert_eq!(log.delete_old_segments(&mut store, now(9_000)).unwrap(), 1);
    assert_eq!((bases(&log), log.log_start_offset()), (vec![6, 12, 18], 6));
    assert!(names(&mut store).contains(&"00000000000000000000.log.deleted".to_owned()));
    assert_eq!(log.deadline(), Some(now(10_000).monotonic));
    log.tick(&mut store, now(10_000)).unwrap();
    assert!(names(&mut store).iter().all(|name| !name.ends_with(".deleted")));
    assert_eq!(store.read_slice(slice.records.as_ref().unwrap()).unwrap(), bytes);
    assert!(matches!(
        log.read(&mut store, 5, 1, FetchIsolation::HighWatermark, true, None),
        Err(LogError::OffsetOutOfRange { .. })
    ));
    // All of it: an empty segment takes the place of the active one.
    assert_eq!(log.delete_old_segments(&mut store, now(100_000)).unwrap(), 3);
    assert_eq!((bases(&log), log.log_start_offset(), log.size()), (vec![20], 20, 0));
    assert_eq!(log.delete_old_segments(&mut store, now(900_000)).unwrap(), 0);
    assert_eq!(append(&mut log, &mut store, &batch(1, 1, 0), 0).first_offset, 20);
}

#[test]
fn size_counts_whole_segments() {
    let (mut store, mut log) = log_of(10);
    let segment = log.segments()[0].size() as i64;
    let all = log.size() as i64;
    for (retention_bytes, left) in
        [(all, 4), (all - segment + 1, 4), (all - segment, 3), (all - 2 * segment - 1, 2), (0, 1)]
    {
        let (mut store, mut log) = (store.clone(), log.clone());
        log.set_config(LogConfig { retention_bytes, retention_ms: -1, ..small() });
        log.delete_old_segments(&mut store, now(0)).unwrap();
        assert_eq!(log.segments().len(), left, "{retention_bytes}");
    }
    log.set_config(LogConfig { retention_bytes: 0, delete: false, ..small() });
    assert_eq!(log.delete_old_segments(&mut store, now(i64::MAX / 2_000)).unwrap(), 0);
}

#[test]
fn nothing_goes_beyond_the_high_watermark() {
    let (mut store, mut log) = log_of(10);
    log.set_high_watermark(11);
    log.set_config(LogConfig { retention_bytes: 0, ..small() });
    log.delete_old_segments(&mut store, now(0)).unwrap();
    assert_eq!(bases(&log), [6, 12, 18]);
    assert!(matches!(
        log.increment_log_start_offset(&mut store, 12),
        Err(LogError::OffsetOutOfRange { upper_bound: 11, .. })
    ));
    assert!(log.increment_log_start_offset(&mut store, 11).unwrap());
    assert!(!log.increment_log_start_offset(&mut store, 8).unwrap());
    assert_eq!(log.log_start_offset(), 11);
    // The record before shares a batch with it, which is read whole.
    assert_eq!(read_bases(&mut log, &mut store, 11, 1), [10]);
}

#[test]
fn segments_roll_by_size_time_and_index() {
    let config = LogConfig { segment_ms: 5_000, segment_index_bytes: 24, ..small() };
    let (mut store, mut log) = fresh(LogConfig { segment_bytes: 1 << 20, ..config });
    let roll = |log: &mut Log<MemoryStore>, store: &mut MemoryStore, timestamp: i64, at: i64| {
        append(log, store, &batch(1, 10, timestamp), at).has_rolled
    };
    assert!(!roll(&mut log, &mut store, 1_000, 0));
    assert!(!roll(&mut log, &mut store, 6_000, 0));
    // More than `segment.ms` after the first batch, by the batches' own time.
    assert!(roll(&mut log, &mut store, 6_001, 0));
    assert!(!roll(&mut log, &mut store, 11_001, 0));
    assert!(roll(&mut log, &mut store, 11_002, 0));
    // The time index has room for two entries, of which one is for the end.
    let mut rolled = 0;
    for _ in 0..20 {
        rolled += i32::from(roll(&mut log, &mut store, 11_003, 0));
    }
    assert!((1..5).contains(&rolled), "{rolled}");
    let too_large = batch(1, 2_000, 0);
    log.set_config(small());
    assert!(matches!(
        try_append(&mut log, &mut store, &too_large, 0),
        Err(LogError::LargerThanSegment { .. })
    ));
}

#[test]
fn segments_roll_earlier_each_by_a_jitter_of_its_own() {
    let config = LogConfig { segment_ms: 10_000, segment_jitter_ms: 4_000, ..LogConfig::default() };
    let (mut store, mut log) = fresh(config);
    let mut ages = Vec::new();
    let (mut began, mut at) = (0, 0);
    while ages.len() < 8 {
        if append(&mut log, &mut store, &batch(1, 10, at), 0).has_rolled {
            ages.push(at - began);
            began = at;
        }
        at += 100;
    }
    assert!(ages.iter().all(|age| (6_000..=10_100).contains(age)), "{ages:?}");
    assert!(ages.windows(2).any(|pair| pair[0] != pair[1]), "{ages:?}");
}

#[test]
fn offsets_are_found_by_time() {
    use crate::log::list_offsets::*;
    let (mut store, log) = log_of(10);
    let none = Compressors::default();
    let mut find = |timestamp| {
        let found = log.fetch_offset_by_timestamp(&mut store, &none, timestamp).unwrap();
        found.map(|found| (found.timestamp, found.offset, found.leader_epoch))
    };
    // Records have the times 0, 1, 1000, 1001, 2000 …
    assert_eq!(find(0), Some((0, 0, Some(0))));
    assert_eq!(find(1), Some((1, 1, Some(0))));
    assert_eq!(find(2), Some((1_000, 2, Some(0))));
    assert_eq!(find(2_001), Some((2_001, 5, Some(0))));
    assert_eq!(find(2_002), Some((3_000, 6, Some(0))));
    assert_eq!(find(9_001), Some((9_001, 19, Some(0))));
    assert_eq!(find(9_002), None);
    assert_eq!(find(LATEST_TIMESTAMP), Some((-1, 20, Some(0))));
    assert_eq!(find(EARLIEST_TIMESTAMP), Some((-1, 0, Some(0))));
    assert_eq!(find(EARLIEST_LOCAL_TIMESTAMP), Some((-1, 0, Some(0))));
    assert_eq!(find(MAX_TIMESTAMP), Some((9_001, 19, Some(0))));
    assert_eq!(find(LATEST_TIERED_TIMESTAMP), Some((-1, -1, Some(-1))));
    let (mut store, mut log) = (store, log);
    log.increment_log_start_offset(&mut store, 3).unwrap();
    let found = log.fetch_offset_by_timestamp(&mut store, &none, 0).unwrap().unwrap();
    assert_eq!((found.timestamp, found.offset), (1_001, 3));
    let (mut store, log) = fresh(small());
    assert_eq!(log.fetch_offset_by_timestamp(&mut store, &none, MAX_TIMESTAMP).unwrap(), None);
    assert_eq!(log.fetch_offset_by_timestamp(&mut store, &none, 0).unwrap(), None);
}

/// A crash in the middle of a deletion: every record that is still there has its leader epoch.
#[test]
fn a_deletion_that_is_interrupted_forgets_no_epoch_of_what_is_left() {
    let config = LogConfig { retention_ms: 2_000, ..small() };
    for renames in 0..20 {
        let mut disk = SimDisk::with_directory("data");
        let (mut log, _) = Log::open(&mut disk, now(0), options(config.clone())).unwrap();
        for n in 0..10 {
            let batch = batch(2, 100, n * 1_000);
            let body = batch.body();
            let batches = [AppendBatch { header: *batch.header(), body: &body }];
            let epoch = i32::try_from(n / 2).unwrap();
            log.append_as_leader(&mut disk, now(n), epoch, AppendOrigin::Client, &batches).unwrap();
        }
        log.set_high_watermark(log.log_end_offset());
        disk.die_at(DiskOp::Rename, renames);
        assert!(log.delete_old_segments(&mut disk, now(9_000)).unwrap() > 0);
        let Some(mut remains) = disk.take_remains() else { return assert!(renames > 8) };
        // What was flushed is believed, its epochs too.
        let opened = OpenLog { recovery_point: log.log_end_offset(), ..options(config.clone()) };
        let (log, _) = Log::open(&mut remains, now(9_000), opened).unwrap();
        for offset in log.log_start_offset()..log.log_end_offset() {
            let epoch = i32::try_from(offset / 4).unwrap();
            assert_eq!(log.leader_epochs().epoch_for_offset(offset), Some(epoch), "{offset} after {renames}");
        }
    }
    panic!("it never came to an end");
}
