//! What a cleaning keeps, rule by rule.

use super::*;
use crate::log::{FetchIsolation, LogError, OpenLog};
use crate::record::TimestampType;

#[test]
fn the_last_record_of_each_key_stays_where_it_was() {
    let (mut store, mut log) = fresh(config());
    put(&mut log, &mut store, &[("a", Some("1")), ("b", Some("2")), ("a", Some("3"))]);
    put(&mut log, &mut store, &[("b", Some("4"))]);
    put(&mut log, &mut store, &[("c", Some("5"))]);
    append(&mut log, &mut store, &keyed(BatchOptions::default(), &[("c", Some("6"))], 100), 100);
    log.set_high_watermark(6);
    let stats = clean(&mut log, &mut store, 1_000);
    // The active segment is not looked at: what it says of `c` is not known.
    let pair = |offset, key: &str, value: &str| (offset, key.to_owned(), Some(value.to_owned()));
    let expected = [pair(2, "a", "3"), pair(3, "b", "4"), pair(4, "c", "5"), pair(5, "c", "6")];
    assert_eq!(pairs(&log, &mut store), expected);
    assert_eq!((stats.first_dirty_offset, stats.next_dirty_offset), (0, 5));
    assert_eq!((stats.records_read, stats.records_kept, stats.keys), (5, 3, 3));
    assert_eq!((log.cleaned_up_to(), log.log_end_offset()), (Some(5), 6));
    // The batch still says which offsets it stood for.
    let first = batches(&log, &mut store)[0].clone();
    assert_eq!((first.base_offset, first.last_offset(), first.records_count), (0, 2, 1));
}

#[test]
fn a_record_without_a_key_goes() {
    let (mut store, mut log) = fresh(config());
    put_batch(&mut log, &mut store, &crate::log::tests::batch(2, 10, 100));
    put(&mut log, &mut store, &[("a", Some("1"))]);
    let stats = clean(&mut log, &mut store, 1_000);
    assert_eq!((stats.records_without_key, offsets(&log, &mut store)), (2, vec![2]));
}

#[test]
fn a_tombstone_stays_for_the_retention_time_after_the_first_cleaning() {
    let (mut store, mut log) = fresh(config());
    put(&mut log, &mut store, &[("a", Some("1")), ("b", Some("2"))]);
    put(&mut log, &mut store, &[("a", None), ("c", Some("3"))]);
    put(&mut log, &mut store, &[("d", Some("4"))]);
    clean(&mut log, &mut store, 5_000);
    assert_eq!(offsets(&log, &mut store), [1, 2, 3, 4]);
    let tombstone = batches(&log, &mut store)[1].clone();
    assert_eq!(tombstone.delete_horizon_ms(), Some(6_000));
    // The horizon has taken the place of the base timestamp, and the timestamps are what they were.
    let times: Vec<_> = records(&log, &mut store).iter().map(|record| record.timestamp).collect();
    assert_eq!(times, [101, 100, 101, 100]);
    let before = batches(&log, &mut store);
    clean(&mut log, &mut store, 5_999);
    assert_eq!(batches(&log, &mut store), before);
    clean(&mut log, &mut store, 6_000);
    assert_eq!(offsets(&log, &mut store), [1, 3, 4]);
    assert_eq!(batches(&log, &mut store)[1].delete_horizon_ms(), Some(6_000));
}

#[test]
fn a_tombstone_takes_older_values_along_and_gives_way_to_newer() {
    let (mut store, mut log) = fresh(config());
    put(&mut log, &mut store, &[("a", Some("1"))]);
    put(&mut log, &mut store, &[("a", None)]);
    put(&mut log, &mut store, &[("b", None)]);
    put(&mut log, &mut store, &[("b", Some("2"))]);
    clean(&mut log, &mut store, 1_000);
    assert_eq!(offsets(&log, &mut store), [1, 3]);
}

#[test]
fn what_makes_a_record_is_kept_under_every_codec() {
    for kind in CompressionType::ALL {
        for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            let (mut store, mut log) = fresh(config());
            let options = BatchOptions {
                compression: kind.into(),
                timestamp_type,
                log_append_time: 777,
                partition_leader_epoch: 0,
                ..BatchOptions::default()
            };
            let headers: [HeaderRef<'_>; 2] = [(b"h", Some(b"v")), (b"null", None)];
            let mut builder = BatchBuilder::new(options);
            for (n, key) in ["a", "b", "a"].into_iter().enumerate() {
                builder.append(500 - n as i64, Some(key.as_bytes()), Some(b"value"), &headers[n % 2..]);
            }
            let batch = Batch::read(&builder.build(&Compressors::default())).unwrap();
            put_batch(&mut log, &mut store, &batch);
            let before = records(&log, &mut store);
            put(&mut log, &mut store, &[("c", Some("1"))]);
            clean(&mut log, &mut store, 1_000);
            let after = batches(&log, &mut store)[0].clone();
            assert_eq!((after.compression(), after.timestamp_type()), (Some(kind), timestamp_type));
            assert_eq!(after.partition_leader_epoch, 0);
            assert_eq!(records(&log, &mut store)[..2], before[1..]);
        }
    }
}

#[test]
fn what_was_aborted_goes_at_once_and_its_marker_last() {
    let (mut store, mut log) = fresh(config());
    put_batch(&mut log, &mut store, &keyed(of_producer(7, 0, true), &[("a", Some("1"))], 100));
    put_batch(&mut log, &mut store, &keyed(of_producer(8, 0, true), &[("a", Some("2"))], 100));
    put(&mut log, &mut store, &[("b", Some("3"))]);
    end_transaction(&mut log, &mut store, 8, false);
    end_transaction(&mut log, &mut store, 7, true);
    // Both producers go on, so that nothing is kept for their sakes.
    for producer_id in [7, 8] {
        put_batch(&mut log, &mut store, &keyed(of_producer(producer_id, 1, false), &[("x", Some("y"))], 100));
    }
    put(&mut log, &mut store, &[("z", Some("9"))]);
    let aborted = |log: &Log<MemoryStore>, store: &mut MemoryStore| -> usize {
        log.segments().iter().map(|segment| segment.aborted(store).unwrap().len()).sum()
    };
    let markers = |log: &Log<MemoryStore>, store: &mut MemoryStore| -> Vec<(i64, Option<i64>)> {
        let control = batches(log, store).into_iter().filter(|batch| batch.is_control());
        control.map(|batch| (batch.base_offset, batch.delete_horizon_ms())).collect()
    };
    // The record of the aborted transaction was the last of its key, and is none. Its batch was there, so the marker stays as it is.
    clean(&mut log, &mut store, 1_000);
    assert_eq!(offsets(&log, &mut store), [0, 2, 6, 7]);
    assert_eq!(markers(&log, &mut store), [(3, None), (4, None)]);
    assert_eq!(aborted(&log, &mut store), 1);
    // Now nothing is left of the aborted one: its marker may go when readers have had their time.
    clean(&mut log, &mut store, 2_000);
    assert_eq!(markers(&log, &mut store), [(3, Some(3_000)), (4, None)]);
    assert_eq!(aborted(&log, &mut store), 0);
    put(&mut log, &mut store, &[("a", Some("new"))]);
    clean(&mut log, &mut store, 2_999);
    assert_eq!(offsets(&log, &mut store), [2, 6, 7, 8]);
    assert_eq!(markers(&log, &mut store), [(3, Some(3_000)), (4, None)]);
    clean(&mut log, &mut store, 3_000);
    assert_eq!(markers(&log, &mut store), [(4, Some(4_000))]);
    clean(&mut log, &mut store, 4_000);
    assert_eq!(markers(&log, &mut store), []);
}

#[test]
fn a_transaction_that_is_open_is_not_touched() {
    let (mut store, mut log) = fresh(config());
    put(&mut log, &mut store, &[("a", Some("1"))]);
    put(&mut log, &mut store, &[("a", Some("2"))]);
    put_batch(&mut log, &mut store, &keyed(of_producer(7, 0, true), &[("b", Some("1"))], 100));
    put(&mut log, &mut store, &[("b", Some("2"))]);
    let stats = clean(&mut log, &mut store, 1_000);
    assert_eq!((stats.next_dirty_offset, offsets(&log, &mut store)), (2, vec![1, 2, 3]));
    end_transaction(&mut log, &mut store, 7, true);
    put(&mut log, &mut store, &[("c", Some("1"))]);
    clean(&mut log, &mut store, 1_000);
    assert_eq!(offsets(&log, &mut store), [1, 3, 5]);
}

#[test]
fn producers_are_known_after_their_records_are_gone() {
    let (mut store, mut log) = fresh(config());
    put_batch(
        &mut log,
        &mut store,
        &keyed(of_producer(7, 0, false), &[("a", Some("1")), ("b", Some("1"))], 100),
    );
    put_batch(&mut log, &mut store, &keyed(of_producer(8, 0, false), &[("a", Some("2"))], 100));
    put_batch(&mut log, &mut store, &keyed(of_producer(8, 1, false), &[("a", Some("3"))], 100));
    put(&mut log, &mut store, &[("a", Some("4")), ("b", Some("4"))]);
    clean(&mut log, &mut store, 1_000);
    assert_eq!(offsets(&log, &mut store), [4, 5]);
    let empty: Vec<_> =
        batches(&log, &mut store).into_iter().filter(|batch| batch.records_count == 0).collect();
    let summary: Vec<_> =
        empty.iter().map(|batch| (batch.producer_id, batch.last_offset(), batch.last_sequence())).collect();
    assert_eq!(summary, [(7, 1, 1), (8, 3, 1)]);
    // Without snapshots the producers come from what is left, and a repeated batch is recognised.
    for name in names(&log, &mut store) {
        if name.ends_with(".snapshot") {
            store.remove(&format!("{}/{name}", log.dir())).unwrap();
        }
    }
    let (mut log, _) = Log::open(&mut store, now(0), options(config())).unwrap();
    let again = keyed(of_producer(8, 1, false), &[("a", Some("3"))], 100);
    assert!(append(&mut log, &mut store, &again, 100).is_duplicate);
    // Another cleaning changes nothing of that.
    log.set_high_watermark(6);
    clean(&mut log, &mut store, 5_000);
    assert_eq!(batches(&log, &mut store).iter().filter(|batch| batch.records_count == 0).count(), 2);
}

#[test]
fn the_last_batch_stays_without_its_records() {
    let (mut store, mut log) = fresh(config());
    put(&mut log, &mut store, &[("a", Some("1"))]);
    put_batch(&mut log, &mut store, &crate::log::tests::batch(2, 10, 100));
    clean(&mut log, &mut store, 1_000);
    let left: Vec<_> =
        batches(&log, &mut store).iter().map(|batch| (batch.last_offset(), batch.records_count)).collect();
    assert_eq!(left, [(0, 1), (2, 0)]);
}

#[test]
fn small_segments_become_one_up_to_the_configured_sizes() {
    let (mut store, mut log) = fresh(config());
    let size = keyed(BatchOptions::default(), &[("0", Some("v"))], 100).size_in_bytes() as u64;
    for n in 0..7 {
        put(&mut log, &mut store, &[(&n.to_string(), Some("v"))]);
    }
    log.set_config(LogConfig { segment_bytes: 3 * size, ..config() });
    clean(&mut log, &mut store, 1_000);
    assert_eq!(bases(&log), [0, 3, 6, 7]);
    assert_eq!(offsets(&log, &mut store), [0, 1, 2, 3, 4, 5, 6]);
    // An entry of the time index closes each segment.
    log.set_config(LogConfig { segment_index_bytes: 12, ..config() });
    clean(&mut log, &mut store, 1_000);
    assert_eq!(bases(&log), [0, 3, 6, 7]);
    log.set_config(LogConfig { segment_index_bytes: 24, ..config() });
    clean(&mut log, &mut store, 1_000);
    assert_eq!(bases(&log), [0, 6, 7]);
    for offset in 0..7 {
        assert_eq!(crate::log::tests::read_bases(&mut log, &mut store, offset, 1), [offset]);
    }
    log.tick(&mut store, now(10_000)).unwrap();
    assert!(
        names(&log, &mut store).iter().all(|name| !name.contains(".deleted") && !name.contains(".cleaned"))
    );
}

#[test]
fn a_segment_of_which_nothing_is_left_stays_empty() {
    let (mut store, mut log) = fresh(config());
    put(&mut log, &mut store, &[("a", Some("1"))]);
    put(&mut log, &mut store, &[("b", Some("2")), ("a", Some("3"))]);
    put(&mut log, &mut store, &[("b", Some("4"))]);
    log.set_config(LogConfig { segment_bytes: 1, ..config() });
    clean(&mut log, &mut store, 1_000);
    assert_eq!((bases(&log), log.segments()[0].size()), (vec![0, 1, 3, 4], 0));
    assert_eq!(crate::log::tests::read_bases(&mut log, &mut store, 0, 1), [1]);
    assert_eq!(log.log_start_offset(), 0);
}

#[test]
fn little_memory_means_several_cleanings() {
    let (mut store, mut log) = fresh(config());
    for n in 0..10 {
        let key = (n % 5).to_string();
        put(&mut log, &mut store, &[(&key, Some("v")), ("same", Some("v"))]);
    }
    let limits = CleanerLimits { keys_max: 2, ..LIMITS };
    let mut ends = Vec::new();
    for _ in 0..20 {
        let stats = clean_with(&mut log, &mut store, 1_000, limits);
        assert!(stats.keys <= 2);
        ends.push(stats.next_dirty_offset);
        if stats.next_dirty_offset == 20 {
            break;
        }
    }
    assert_eq!(ends, [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    assert_eq!(offsets(&log, &mut store), [10, 12, 14, 16, 18, 19]);
}

#[test]
fn memory_is_shared_and_counted_as_in_kafka() {
    let of = |cleaners| CleanerLimits::new(128 << 20, 0.9, 524_288, cleaners);
    let counts = |limits: CleanerLimits| (limits.slots, limits.keys_max, limits.chunk_bytes);
    assert_eq!(counts(of(1)), (5_592_405, 5_033_164, 262_144));
    assert_eq!(counts(of(4)), (1_398_101, 1_258_290, 65_536));
    assert_eq!((of(1).step_bytes, of(4).step_bytes), (131_072, 65_536));
    assert_eq!(CleanerLimits::new(1 << 40, 1.0, 0, 1).keys_max, 89_478_485);
    assert_eq!(counts(CleanerLimits::new(-1, f64::NAN, -1, 0)), (1, 1, 1_024));
}

#[test]
fn a_damaged_batch_is_an_error_that_leaves_all_as_it_was() {
    for (at, what) in [(0_usize, 70_usize), (1, 70), (1, 8)] {
        let (mut store, mut log) = fresh(config());
        put(&mut log, &mut store, &[("a", Some("11111111"))]);
        put(&mut log, &mut store, &[("a", Some("22222222"))]);
        log.set_config(LogConfig { segment_bytes: 1, ..config() });
        let path = format!("{}/{}", log.dir(), with_offset(at as i64, LOG_SUFFIX));
        let mut bytes = store.read(&path).unwrap();
        bytes[what] ^= 0x40;
        store.write_replacing(&path, &bytes).unwrap();
        let end = log.log_end_offset();
        let closed =
            OpenLog { recovery_point: end, high_watermark: end, clean_shutdown: true, ..options(config()) };
        let (mut log, _) = Log::open(&mut store, now(0), closed).unwrap();
        let before = names(&log, &mut store);
        let to_clean = log.to_clean(&mut store, 1_000, i64::MAX).unwrap();
        let cleaning = Cleaning::start(&mut store, &log, &to_clean, LIMITS, [1, 2], 1_000).unwrap();
        let error = cleaning.run(&mut store, &Compressors::default(), &mut log, now(1_000)).unwrap_err();
        assert!(
            matches!(&error, LogError::Corrupt { path: found, position: 0, .. } if *found == path),
            "{error}"
        );
        assert_eq!((names(&log, &mut store), log.cleaned_up_to()), (before, None));
    }
}

#[test]
fn a_log_that_was_shortened_or_is_not_compacted_any_more_is_left_alone() {
    for what in ["truncated", "deleted from", "not compacted"] {
        let (mut store, mut log) = fresh(config());
        for n in 0..4 {
            put(&mut log, &mut store, &[("a", Some("1")), (&n.to_string(), Some("2"))]);
        }
        let to_clean = log.to_clean(&mut store, 1_000, i64::MAX).unwrap();
        let mut cleaning = Cleaning::start(&mut store, &log, &to_clean, LIMITS, [1, 2], 1_000).unwrap();
        let compressors = Compressors::default();
        while !names(&log, &mut store).iter().any(|name| name.ends_with(".cleaned")) {
            cleaning.step(&mut store, &compressors, &mut log, now(1_000)).unwrap();
        }
        match what {
            "truncated" => _ = log.truncate_to(&mut store, now(1_000), 6).unwrap(),
            "deleted from" => {
                log.increment_log_start_offset(&mut store, 4).unwrap();
                log.delete_old_segments(&mut store, now(1_000)).unwrap();
            }
            _ => log.set_config(LogConfig { compact: false, ..config() }),
        }
        let step = cleaning.step(&mut store, &compressors, &mut log, now(1_000)).unwrap();
        assert!(matches!(step, Step::Abandoned));
        assert!(names(&log, &mut store).iter().all(|name| !name.ends_with(".cleaned")));
        assert_eq!(log.cleaned_up_to(), None);
    }
}

#[test]
fn reads_and_appends_go_on() {
    let (mut store, mut log) = fresh(config());
    for n in 0..4 {
        put(&mut log, &mut store, &[("a", Some("1")), (&n.to_string(), Some("2"))]);
    }
    let read = |log: &mut Log<MemoryStore>, store: &mut MemoryStore, offset: i64| {
        log.read(store, offset, 1, FetchIsolation::HighWatermark, true, None).unwrap()
    };
    let before = read(&mut log, &mut store, 2);
    let slice = before.records.unwrap();
    let bytes = store.read_slice(&slice).unwrap();
    let to_clean = log.to_clean(&mut store, 1_000, i64::MAX).unwrap();
    let mut cleaning = Cleaning::start(&mut store, &log, &to_clean, LIMITS, [1, 2], 1_000).unwrap();
    loop {
        let step = cleaning.step(&mut store, &Compressors::default(), &mut log, now(1_000)).unwrap();
        match step {
            // A chunk or a batch is read, and what is left of it written.
            Step::Worked { io_bytes } | Step::Sync { io_bytes, .. } => assert!(io_bytes < 500, "{io_bytes}"),
            Step::Done(_) => break,
            Step::Abandoned => panic!("nobody disturbs it"),
        }
        let end = log.log_end_offset();
        append(&mut log, &mut store, &keyed(BatchOptions::default(), &[("a", Some("9"))], 100), 100);
        log.set_high_watermark(end + 1);
        let found = read(&mut log, &mut store, end).records.unwrap();
        assert_eq!(
            crate::record::batches(&store.read_slice(&found).unwrap()).next().unwrap().unwrap().base_offset,
            end
        );
    }
    // What was read is still there, and the place that was remembered is not where the next batch is.
    assert_eq!(store.read_slice(&slice).unwrap(), bytes);
    let next = log.read(&mut store, 4, 1, FetchIsolation::HighWatermark, true, before.next.as_ref()).unwrap();
    let next = store.read_slice(&next.records.unwrap()).unwrap();
    assert_eq!(crate::record::batches(&next).next().unwrap().unwrap().base_offset, 4);
    assert_eq!(offsets(&log, &mut store)[..5], [1, 3, 5, 6, 7]);
}
