//! Against bytes that Apache Kafka wrote, and against damage.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]

use bytes::Bytes;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::*;

const T: i64 = 1_700_000_000_000;

/// The bytes that `testdata/kafka.txt` has under a name.
pub(super) fn fixture(name: &str) -> Bytes {
    let line = include_str!("testdata/kafka.txt")
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let digits = line.unwrap_or_else(|| panic!("no fixture {name}")).as_bytes();
    let digit = |at: usize| (digits[at] as char).to_digit(16).unwrap() as u8;
    (0..digits.len() / 2).map(|at| digit(2 * at) << 4 | digit(2 * at + 1)).collect()
}

type Row = (i64, Option<&'static str>, Option<String>, Vec<(&'static str, Option<&'static str>)>);

/// Timestamp, key, value and headers of the records in the fixtures.
fn rows() -> Vec<Row> {
    vec![
        (T, Some("k1"), Some("value one".into()), vec![("h", Some("x")), ("empty", None)]),
        (T + 5, None, Some("keyless".into()), vec![]),
        (T - 10, Some("tombstone"), None, vec![]),
        (T + 400, Some(""), Some("r".repeat(300)), vec![]),
    ]
}

fn append_rows(builder: &mut BatchBuilder) {
    for (timestamp, key, value, headers) in rows() {
        let headers: Vec<HeaderRef<'_>> =
            headers.iter().map(|(key, value)| (key.as_bytes(), value.map(str::as_bytes))).collect();
        builder.append(timestamp, key.map(str::as_bytes), value.as_deref().map(str::as_bytes), &headers);
    }
}

fn assert_rows(records: &[Record], first_offset: i64) {
    assert_eq!(records.len(), rows().len());
    for ((record, (timestamp, key, value, headers)), offset) in records.iter().zip(rows()).zip(first_offset..)
    {
        assert_eq!((record.offset, record.timestamp), (offset, timestamp));
        assert_eq!(record.key.as_deref(), key.map(str::as_bytes));
        assert_eq!(record.value.as_deref(), value.as_deref().map(str::as_bytes));
        let found: Vec<_> =
            record.headers.iter().map(|header| (header.key_text(), header.value.as_deref())).collect();
        let expected: Vec<_> =
            headers.iter().map(|(key, value)| ((*key).into(), value.map(str::as_bytes))).collect();
        assert_eq!(found, expected);
    }
}

fn records(batch: &Batch) -> Vec<Record> {
    batch.records(&Compressors::default()).unwrap().map(Result::unwrap).collect()
}

#[test]
fn batches_of_every_codec_are_read() {
    for kind in CompressionType::ALL {
        let batch = Batch::read(&fixture(&format!("v2-{}", kind.name()))).unwrap();
        batch.check_crc().unwrap();
        assert_eq!(batch.compression(), Some(kind));
        assert_eq!((batch.base_offset, batch.last_offset(), batch.records_count), (1234, 1237, 4));
        assert_eq!((batch.base_timestamp, batch.max_timestamp), (T, T + 400));
        assert_eq!((batch.producer_id, batch.producer_epoch, batch.base_sequence), (42, 3, 7));
        assert_eq!((batch.last_sequence(), batch.partition_leader_epoch), (10, 5));
        assert!(batch.is_transactional() && !batch.is_control());
        assert_rows(&records(&batch), 1234);
    }
}

#[test]
fn long_batches_of_every_codec_are_read() {
    let mut text = String::new();
    let mut state = 12_345u64;
    for index in 0..9_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text += &(state >> 59).to_string();
        text += if index % 3 == 0 { " offset " } else { " leader epoch " };
    }
    for bytes in [
        include_bytes!("testdata/long-gzip.batch").as_slice(),
        include_bytes!("testdata/long-snappy.batch"),
        include_bytes!("testdata/long-lz4.batch"),
        include_bytes!("testdata/long-zstd.batch"),
        include_bytes!("testdata/long-zstd-19.batch"),
    ] {
        let batch = Batch::read(&Bytes::from_static(bytes)).unwrap();
        batch.check_crc().unwrap();
        let records = records(&batch);
        assert!(records[0].value.as_deref() == Some(text.as_bytes()), "{:?}", batch.compression());
    }
}

#[test]
fn the_builder_writes_what_kafka_writes() {
    let compressors = Compressors::default();
    let options = BatchOptions {
        base_offset: 1234,
        partition_leader_epoch: 5,
        producer_id: 42,
        producer_epoch: 3,
        base_sequence: 7,
        is_transactional: true,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    append_rows(&mut builder);
    assert_eq!(builder.build(&compressors), fixture("v2-none"));
    assert_eq!(builder.estimated_size_in_bytes(), fixture("v2-none").len());

    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: 9,
        timestamp_type: TimestampType::LogAppendTime,
        log_append_time: 1_800_000_000_000,
        ..BatchOptions::default()
    });
    append_rows(&mut builder);
    assert_eq!(builder.build(&compressors), fixture("v2-log-append-time"));

    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: 100,
        partition_leader_epoch: 4,
        delete_horizon_ms: Some(1_750_000_000_000),
        ..BatchOptions::default()
    });
    builder.append_at(100, T, Some(b"a"), Some(b"1"), std::iter::empty());
    builder.append_at(107, T + 9, Some(b"b"), None, std::iter::empty());
    let batch = builder.build(&compressors);
    assert_eq!(batch, fixture("v2-delete-horizon"));
    let batch = Batch::read(&batch).unwrap();
    assert_eq!(batch.delete_horizon_ms(), Some(1_750_000_000_000));
    let timestamps: Vec<i64> = records(&batch).iter().map(|record| record.timestamp).collect();
    assert_eq!(timestamps, [T, T + 9]);
}

#[test]
fn control_batches_are_kafkas() {
    for (name, is_commit) in [("marker-commit", true), ("marker-abort", false)] {
        let marker = EndTxnMarker { is_commit, coordinator_epoch: 11 };
        let ours = marker.batch(42, 3, T, 6);
        let header = *BatchView::read(&ours).unwrap().header();
        let stamped = [header.stamped(55, 6).as_slice(), &ours[BATCH_HEADER_SIZE..]].concat();
        assert_eq!(stamped, fixture(name));
        let record = &records(&Batch::read(&fixture(name)).unwrap())[0];
        assert_eq!(
            EndTxnMarker::read(record.key.as_ref().unwrap(), record.value.as_ref().unwrap()),
            Some(marker)
        );
    }
    for (name, base_offset, kind) in [
        ("leader-change", 7, ControlRecordType::LeaderChange),
        ("snapshot-header", 0, ControlRecordType::SnapshotHeader),
        ("snapshot-footer", 9, ControlRecordType::SnapshotFooter),
        ("kraft-version", 1, ControlRecordType::KRaftVersion),
    ] {
        let theirs = Batch::read(&fixture(name)).unwrap();
        let record = &records(&theirs)[0];
        assert_eq!(ControlRecordType::from_key(record.key.as_ref().unwrap()), Some(kind));
        let mut builder = BatchBuilder::control(base_offset, 3);
        builder.append_control(T, kind, record.value.as_ref().unwrap());
        assert_eq!(builder.build(&Compressors::default()), theirs.into_bytes());
    }
}

#[test]
fn compaction_leaves_what_kafkas_leaves() {
    let batch = Batch::read(&fixture("v2-none")).unwrap();
    let compressors = Compressors::default();
    let horizon = DeleteHorizon { new_ms: Some(T + 150_000), ..DeleteHorizon::default() };
    let filtered = |horizon, offsets: &[i64]| {
        batch.filter(horizon, &compressors, |record| offsets.contains(&record.offset(&batch))).unwrap()
    };
    let some = filtered(horizon, &[1235, 1236]);
    assert_eq!(some, FilteredBatch::Rewritten(fixture("filter-some")));
    let all = [1234, 1235, 1236, 1237];
    assert_eq!(filtered(horizon, &all), FilteredBatch::Rewritten(fixture("filter-all")));
    assert_eq!(filtered(DeleteHorizon::default(), &all), FilteredBatch::Unchanged);
    assert_eq!(filtered(horizon, &[]), FilteredBatch::Empty(fixture("filter-none-left")));
    // A horizon that is set stays as it is.
    let again = Batch::read(&fixture("filter-some")).unwrap();
    let later = DeleteHorizon { new_ms: Some(T + 999_000), ..DeleteHorizon::default() };
    let kept = again.filter(later, &compressors, |record| record.value.is_none()).unwrap();
    let FilteredBatch::Rewritten(kept) = kept else { panic!("{kept:?}") };
    let kept = Batch::read(&kept).unwrap();
    assert_eq!((kept.delete_horizon_ms(), kept.last_offset()), (Some(T + 150_000), 1237));
    assert_eq!(records(&kept)[0].timestamp, T - 10);
}

#[test]
fn compaction_refuses_offsets_outside_of_the_batch() {
    let good = fixture("v2-none");
    for (base_offset, last_offset_delta) in [(0, 2), (-5, 3), (i64::MIN, 3), (i64::MAX - 1, 3), (i64::MAX, 3)]
    {
        let header = BatchHeader { base_offset, last_offset_delta, ..BatchHeader::read(&good).unwrap() };
        let bytes = Bytes::from([header.to_array().as_slice(), &good[BATCH_HEADER_SIZE..]].concat());
        let filtered = Batch::read(&bytes).unwrap().filter(
            DeleteHorizon { new_ms: Some(T), ..DeleteHorizon::default() },
            &Compressors::default(),
            |_| true,
        );
        assert!(matches!(filtered, Err(RecordError::Malformed { .. })), "{base_offset}");
    }
}

#[test]
fn legacy_sets_are_read() {
    for magic in [0, 1] {
        for kind in
            [CompressionType::None, CompressionType::Gzip, CompressionType::Snappy, CompressionType::Lz4]
        {
            let name = format!("v{magic}-{}", kind.name());
            let set = legacy::message_set(&fixture(&name), &Compressors::default()).unwrap();
            assert_eq!((set.compression, set.timestamp_type), (kind, TimestampType::CreateTime), "{name}");
            for ((record, (timestamp, key, value, _)), offset) in set.records.iter().zip(rows()).zip(20..) {
                assert_eq!(record.offset, offset, "{name}");
                assert_eq!(record.timestamp, if magic == 0 { NO_TIMESTAMP } else { timestamp });
                assert_eq!(record.key.as_deref(), key.map(str::as_bytes));
                assert_eq!(record.value.as_deref(), value.as_deref().map(str::as_bytes));
            }
            assert_eq!(set.records.len(), 4);
        }
    }
}

#[test]
fn records_come_back_as_appended() {
    for kind in CompressionType::ALL {
        let options = BatchOptions { base_offset: 40, compression: kind.into(), ..BatchOptions::default() };
        let mut builder = BatchBuilder::new(options);
        append_rows(&mut builder);
        builder.append_at(50, 9, None, None, std::iter::empty());
        let batch = Batch::read(&builder.build(&Compressors::default())).unwrap();
        batch.check_crc().unwrap();
        assert_eq!((batch.base_timestamp, batch.max_timestamp, batch.last_offset()), (T, T + 400, 50));
        let records = records(&batch);
        assert_rows(&records[..4], 40);
        assert_eq!(records[4], Record { offset: 50, timestamp: 9, ..Record::default() });
    }
}

#[test]
fn a_body_must_hold_what_its_header_declares() {
    let batch = Batch::read(&fixture("v2-none")).unwrap();
    let body = batch.body();
    let outcome = |body: &[u8], count| record_views(body, count).find_map(Result::err);
    assert_eq!(outcome(&body, 4), None);
    for count in [-1, 0, 3, 5, i32::MAX] {
        let found = count.clamp(0, 4) as u32;
        assert_eq!(outcome(&body, count), Some(RecordError::CountMismatch { declared: count, found }));
    }
    for cut in 0..body.len() {
        assert!(outcome(&body[..cut], 4).is_some());
    }
}

#[test]
fn an_estimate_is_no_less_than_the_batch() {
    for (timestamp, key, value, headers) in rows() {
        let headers: Vec<HeaderRef<'_>> =
            headers.iter().map(|(key, value)| (key.as_bytes(), value.map(str::as_bytes))).collect();
        let (key, value) = (key.map(str::as_bytes), value.as_deref().map(str::as_bytes));
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let upper = estimate_size_upper_bound(key, value, &headers);
        builder.append(timestamp, key, value, &headers);
        let size = builder.build(&Compressors::default()).len();
        assert!(size <= upper);
        builder.append(timestamp, key, value, &headers);
        let two = builder.build(&Compressors::default()).len();
        let mut one = BatchBuilder::new(BatchOptions::default());
        assert!(one.has_room_for(0, timestamp, key, value, &headers));
        one.append(timestamp, key, value, &headers);
        assert!(one.has_room_for(two, timestamp, key, value, &headers));
        assert!(!one.has_room_for(two - 1, timestamp, key, value, &headers));
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let compressors = Compressors::default();
    let names = include_str!("testdata/kafka.txt").lines().filter_map(|line| line.split_once(' '));
    let fixtures: Vec<Bytes> =
        names.filter(|(name, _)| *name != "#").map(|(name, _)| fixture(name)).collect();
    for round in 0..4_000 {
        let mut bytes = fixtures[round % fixtures.len()].to_vec();
        bytes.extend_from_slice(&fixtures[rng.random_range(0..fixtures.len())]);
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..4) {
                0 => bytes[at] ^= 1 << rng.random_range(0..8),
                1 => bytes[at] = rng.random(),
                2 => bytes[at] = [0, 0x7f, 0x80, 0xff][rng.random_range(0..4)],
                _ => bytes.truncate(at + 1),
            }
        }
        let mut bytes = Bytes::from(bytes);
        for batch in batches(&bytes).flatten() {
            if let Ok(records) = batch.records(&compressors) {
                for record in records.flatten() {
                    let _ = EndTxnMarker::read(
                        &record.key.unwrap_or_default(),
                        &record.value.unwrap_or_default(),
                    );
                }
            }
        }
        let _ = legacy::message_set(&bytes, &compressors);
        // With the checksum made right, so that validation goes deeper.
        if let Ok(batch) = BatchView::read(&bytes) {
            let mut mended = batch.bytes().to_vec();
            mended[..8].fill(0);
            mended[17..21].copy_from_slice(&batch.compute_crc().to_be_bytes());
            bytes = mended.into();
        }
        for produce_version in [2, 9] {
            let origin = AppendOrigin::Client { produce_version };
            let _ = validate(&bytes, origin, &BatchRules::default(), T, &compressors);
        }
    }
}
