//! Any bytes as produced records, as a fetched buffer and as compressed data. Nothing panics, nothing outgrows its
//! bound, and what is validated is a batch that reads.

use bytes::Bytes;
use ottla_core::record::compression::{Compressors, DecompressError};
use ottla_core::record::{
    AppendOrigin, Batch, BatchRules, BatchView, CompressionType, DeleteHorizon, TimestampType, batches,
    legacy, validate,
};

const OUTPUT_BYTES_MAX: usize = 1 << 20;
const NOW_MS: i64 = 1_700_000_000_000;

pub fn run(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else { return };
    let mut compressors = Compressors::default();
    compressors.limits.bytes_max = OUTPUT_BYTES_MAX;
    let kind = CompressionType::ALL[usize::from(choice) % CompressionType::ALL.len()];
    let bytes = Bytes::copy_from_slice(input);

    match compressors.decompress(kind, &bytes) {
        Ok(output) => assert!(output.len() <= OUTPUT_BYTES_MAX || kind == CompressionType::None),
        Err(DecompressError::TooLarge { bytes_max }) => assert_eq!(bytes_max, OUTPUT_BYTES_MAX),
        Err(DecompressError::Corrupt) => {}
    }
    for batch in batches(&bytes).flatten() {
        let _ = batch.records(&compressors).map(|records| records.flatten().count());
        let _ = batch.filter(DeleteHorizon::default(), &compressors, |record| record.key.is_some());
    }
    let _ = legacy::message_set(&bytes, &compressors);

    let rules = BatchRules {
        compression: (choice & 0x20 != 0).then(|| kind.into()),
        timestamp_type: if choice & 0x40 == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        },
        is_compacted: choice & 0x80 != 0,
        ..BatchRules::default()
    };
    for (bytes, produce_version) in [(mended(&bytes), 9), (bytes, 2)] {
        let origin = AppendOrigin::Client { produce_version };
        let Ok(validated) = validate(&bytes, origin, &rules, NOW_MS, &compressors) else { continue };
        let stamped = Bytes::from([validated.stamped(5, 1).as_slice(), validated.body()].concat());
        let batch = Batch::read(&stamped).expect("what was validated reads");
        batch.check_crc().expect("the stamped checksum is right");
        let records = batch.records(&compressors).expect("the body opens");
        assert_eq!(records.map(|record| record.expect("it reads").offset).last(), Some(batch.last_offset()));
    }
}

/// The first batch with the checksum that it should have, so that the fuzzer gets past it.
fn mended(bytes: &Bytes) -> Bytes {
    let Ok(batch) = BatchView::read(bytes) else { return bytes.clone() };
    let crc = batch.compute_crc().to_be_bytes();
    [&batch.bytes()[..17], &crc, &batch.bytes()[21..]].concat().into()
}
