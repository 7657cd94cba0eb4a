//! Against bytes that Apache Kafka wrote, and against damage.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]

use super::*;

#[test]
fn records_come_back_as_appended() {
    for kind in CompressionType::ALL {
        let compressors = Compressors::default();
        let options = BatchOptions { base_offset: 40, compression: kind.into(), ..BatchOptions::default() };
        let mut builder = BatchBuilder::new(options);
        assert_eq!(builder.append(5, Some(b"k"), Some(b"v"), &[(b"h", Some(b"1")), (b"h", None)]), 40);
        assert_eq!(builder.append(3, None, None, &[]), 41);
        builder.append_at(50, 9, Some(b""), Some(b""), std::iter::empty());
        let bytes = builder.build(&compressors);
        let batch = Batch::read(&bytes).unwrap();
        batch.check_crc().unwrap();
        assert_eq!((batch.base_timestamp, batch.max_timestamp, batch.last_offset()), (5, 9, 50));
        let records: Vec<Record> = batch.records(&compressors).unwrap().map(Result::unwrap).collect();
        let some = |text: &'static [u8]| Some(bytes::Bytes::from_static(text));
        let headers =
            vec![Header { key: "h".into(), value: some(b"1") }, Header { key: "h".into(), value: None }];
        assert_eq!(
            records,
            [
                Record { offset: 40, timestamp: 5, key: some(b"k"), value: some(b"v"), headers },
                Record { offset: 41, timestamp: 3, ..Record::default() },
                Record { offset: 50, timestamp: 9, key: some(b""), value: some(b""), headers: vec![] },
            ]
        );
    }
}
