#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]

use super::*;
use crate::record::{Record, RejectedRecord};

const NOW: i64 = 1_700_000_001_000;
const CLIENT: AppendOrigin = AppendOrigin::Client { produce_version: 9 };

/// Where we answer otherwise than Kafka, on purpose.
const STRICTER: [(&str, &str); 2] = [
    // Kafka appends a batch whose offsets have gaps under a header that says that there are none …
    ("gaps-none", "INVALID_RECORD"),
    // … and fails with an internal error when it is compressed.
    ("gaps-gzip", "INVALID_RECORD"),
];

/// Kafka takes each message of a legacy set for a batch of one, and stops at the first that it rejects.
const OTHER_INDEXES: [&str; 2] = ["legacy0-keyless-none", "legacy1-keyless-none"];

#[test]
fn kafkas_validator_agrees() {
    let rows = include_str!("../testdata/validate.txt").lines().filter(|line| !line.starts_with('#'));
    let mut rows_count = 0;
    for row in rows {
        rows_count += 1;
        let words: Vec<&str> = row.split(' ').collect();
        let [name, timestamp_type, compacted, before, after, compression, input, outcome, ..] = words[..]
        else {
            panic!("{row}");
        };
        let rules = BatchRules {
            timestamp_type: match timestamp_type {
                "create" => TimestampType::CreateTime,
                _ => TimestampType::LogAppendTime,
            },
            is_compacted: compacted == "true",
            timestamp_before_max_ms: before.parse().unwrap(),
            timestamp_after_max_ms: after.parse().unwrap(),
            compression: CompressionType::from_name(compression).map(Compression::from),
            ..BatchRules::default()
        };
        let produce_version = if name.starts_with("legacy") { 2 } else { 9 };
        let origin = AppendOrigin::Client { produce_version };
        let result = validate(&unhex(input), origin, &rules, NOW, &Compressors::default());
        if let Some((_, code)) = STRICTER.iter().find(|(stricter, _)| *stricter == name) {
            assert_eq!(result.unwrap_err().error_code().name(), *code, "{name}");
        } else if outcome == "ok" {
            let batch = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_same_batch(name, &batch, &unhex(words[8]));
        } else {
            let error = result.unwrap_err();
            assert_eq!(error.error_code().name(), words[8], "{name}: {error}");
            if !OTHER_INDEXES.contains(&name) {
                let indexes: Vec<i32> = words[9..].iter().map(|index| index.parse().unwrap()).collect();
                let found: Vec<i32> =
                    error.rejected_records().iter().map(|record| record.batch_index).collect();
                assert_eq!(found, indexes, "{name}");
            }
        }
    }
    assert!(rows_count > 50);
}

fn assert_same_batch(name: &str, ours: &ValidatedBatch, theirs: &Bytes) {
    let bytes = Bytes::from([ours.stamped(77, 5).as_slice(), ours.body()].concat());
    let (ours_read, theirs_read) = (Batch::read(&bytes).unwrap(), Batch::read(theirs).unwrap());
    ours_read.check_crc().unwrap();
    if ours_read.is_compressed() && ours.is_rebuilt {
        // Our codec's bytes, Kafka's records.
        let BatchHeader { batch_length, crc, .. } = *ours_read.header();
        assert_eq!(*ours_read.header(), BatchHeader { batch_length, crc, ..*theirs_read.header() }, "{name}");
        assert_eq!(records(&ours_read), records(&theirs_read), "{name}");
    } else {
        assert_eq!(ours_read, theirs_read, "{name}");
        assert_eq!(bytes, theirs, "{name}");
    }
    if name.starts_with("client-append-time") {
        return; // The largest timestamp is then the header's, which no record need have.
    }
    let offset = 77 + i64::from(ours.max_timestamp_offset_delta);
    let record = records(&ours_read).into_iter().find(|record| record.offset == offset).unwrap();
    assert_eq!(record.timestamp, ours_read.max_timestamp, "{name}");
}

fn records(batch: &Batch) -> Vec<Record> {
    batch.records(&Compressors::default()).unwrap().map(Result::unwrap).collect()
}

fn unhex(digits: &str) -> Bytes {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn batch(compression: CompressionType, base_offset: i64) -> Bytes {
    let options = BatchOptions { base_offset, compression: compression.into(), ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    builder.append(NOW, Some(b"key"), Some(b"value"), &[]);
    builder.append(NOW, None, Some(b"value"), &[]);
    builder.build(&Compressors::default())
}

fn outcome(
    bytes: &Bytes,
    origin: AppendOrigin,
    rules: &BatchRules,
) -> Result<ValidatedBatch, ValidationError> {
    validate(bytes, origin, rules, NOW, &Compressors::default())
}

#[test]
fn an_uncompressed_batch_is_not_copied() {
    let bytes = batch(CompressionType::None, 0);
    let validated = outcome(&bytes, CLIENT, &BatchRules::default()).unwrap();
    assert_eq!(validated.body().as_ptr(), bytes[BATCH_HEADER_SIZE..].as_ptr());
    assert!(!validated.is_rebuilt);
}

#[test]
fn a_request_carries_one_whole_batch() {
    let one = batch(CompressionType::None, 0);
    let rules = BatchRules::default();
    for cut in [0, 5, 12, 16, 17, 60, one.len() - 1] {
        assert_eq!(outcome(&one.slice(..cut), CLIENT, &rules), Err(ValidationError::NoBatch), "{cut}");
    }
    let mut more = one.to_vec();
    more.extend_from_slice(&one[..one.len() - 1]);
    assert!(outcome(&more.clone().into(), CLIENT, &rules).is_ok(), "a cut second batch is dropped");
    more.push(one[one.len() - 1]);
    assert_eq!(outcome(&more.into(), CLIENT, &rules), Err(ValidationError::MoreThanOneBatch));
}

#[test]
fn the_request_version_limits_the_format() {
    let rules = BatchRules::default();
    let at = |produce_version| AppendOrigin::Client { produce_version };
    let zstd = batch(CompressionType::Zstd, 0);
    assert_eq!(outcome(&zstd, at(6), &rules), Err(ValidationError::UnsupportedCompression));
    assert!(outcome(&zstd, at(7), &rules).is_ok());
    let plain = batch(CompressionType::None, 0);
    assert_eq!(
        outcome(&plain, at(2), &rules),
        Err(ValidationError::UnexpectedMagic { magic: 2, produce_version: 2 })
    );
    let legacy = crate::record::tests::fixture("v1-none");
    assert_eq!(
        outcome(&legacy, at(3), &rules),
        Err(ValidationError::UnexpectedMagic { magic: 1, produce_version: 3 })
    );
}

#[test]
fn sizes_and_offsets_are_checked() {
    let bytes = batch(CompressionType::None, 0);
    let size_in_bytes = bytes.len();
    let exactly = BatchRules { batch_bytes_max: size_in_bytes, ..BatchRules::default() };
    assert!(outcome(&bytes, CLIENT, &exactly).is_ok());
    let batch_bytes_max = size_in_bytes - 1;
    let less = BatchRules { batch_bytes_max, ..exactly };
    assert_eq!(
        outcome(&bytes, CLIENT, &less),
        Err(ValidationError::TooLarge { size_in_bytes, batch_bytes_max })
    );
    let bytes = batch(CompressionType::None, 3);
    let rules = BatchRules::default();
    assert_eq!(outcome(&bytes, CLIENT, &rules), Err(ValidationError::BaseOffset { base_offset: 3 }));
    assert_eq!(outcome(&bytes, AppendOrigin::Coordinator, &rules).unwrap().header().base_offset, 0);
}

#[test]
fn recompression_must_fit_too() {
    let options = BatchOptions { compression: CompressionType::Gzip.into(), ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    builder.append(NOW, None, Some(&[7; 10_000]), &[]);
    let bytes = builder.build(&Compressors::default());
    let rules = BatchRules {
        batch_bytes_max: 5_000,
        compression: Some(Compression::default()),
        ..BatchRules::default()
    };
    let error = outcome(&bytes, CLIENT, &rules).unwrap_err();
    assert_eq!(error.error_code(), ottla_protocol::ErrorCode::MessageTooLarge);
    let rules = BatchRules { batch_bytes_max: 11_000, ..rules };
    assert_eq!(outcome(&bytes, CLIENT, &rules).unwrap().header().compression(), Some(CompressionType::None));
}

#[test]
fn markers_pass_for_coordinators_only() {
    let marker = crate::record::EndTxnMarker { is_commit: true, coordinator_epoch: 1 }.batch(9, 1, NOW, -1);
    let rules = BatchRules { compression: Some(CompressionType::Lz4.into()), ..BatchRules::default() };
    assert_eq!(outcome(&marker, CLIENT, &rules), Err(ValidationError::ControlBatch));
    let validated = outcome(&marker, AppendOrigin::Coordinator, &rules).unwrap();
    assert_eq!(validated.header().compression(), Some(CompressionType::None), "markers stay as they are");
}

#[test]
fn rejected_records_are_listed_up_to_a_bound() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for _ in 0..REJECTED_RECORDS_MAX + 10 {
        builder.append(NOW, None, Some(b"v"), &[]);
    }
    let rules = BatchRules { is_compacted: true, ..BatchRules::default() };
    let error = outcome(&builder.build(&Compressors::default()), CLIENT, &rules).unwrap_err();
    assert_eq!(error.rejected_records().len(), REJECTED_RECORDS_MAX);
    assert_eq!(
        error.rejected_records()[0],
        RejectedRecord { batch_index: 0, reason: RejectionReason::NoKey }
    );
}

#[test]
fn a_batch_that_explodes_is_too_large() {
    let mut compressors = Compressors::default();
    compressors.limits.bytes_max = 100_000;
    for kind in CompressionType::ALL.into_iter().skip(1) {
        let mut builder =
            BatchBuilder::new(BatchOptions { compression: kind.into(), ..BatchOptions::default() });
        builder.append(NOW, None, Some(&[0; 100_001]), &[]);
        let bytes = builder.build(&compressors);
        let error = validate(&bytes, CLIENT, &BatchRules::default(), NOW, &compressors).unwrap_err();
        assert_eq!(error.error_code(), ottla_protocol::ErrorCode::MessageTooLarge, "{kind:?}");
    }
}
