//! `kafka-dump-log` beside Apache Kafka's own, on files that are right and on files that are wrong.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use ottla_core::record::compression::CompressionType;
use ottla_core::record::{
    BatchBuilder, BatchOptions, Compressors, ControlRecordType, EndTxnMarker, TimestampType,
};
use ottla_protocol::records::embedded::consumer_protocol_assignment::TopicPartition;
use ottla_protocol::records::embedded::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ottla_protocol::records::group::group_metadata_value::MemberMetadata;
use ottla_protocol::records::group::{GroupMetadataKey, GroupMetadataValue};
use ottla_protocol::records::remote::remote_log_segment_metadata_record::{
    RemoteLogSegmentMetadataRecord, SegmentLeaderEpochEntry,
};
use ottla_protocol::records::remote::{
    RemoteLogSegmentMetadataSnapshotRecord, RemoteLogSegmentMetadataUpdateRecord,
    RemotePartitionDeleteMetadataRecord,
};
use ottla_protocol::records::{GroupKey, GroupValue};
use ottla_protocol::{Encoder, Message as _, Uuid};
use ottla_tests::dump::dumped_alike;

const NOW: i64 = 1_760_000_000_000;

/// A directory of a test's own.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ottla-dump-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("it is written");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A batch of three records, their headers and empty and missing values with them.
fn batch(options: BatchOptions) -> Vec<u8> {
    let mut batch = BatchBuilder::new(options);
    batch.append(NOW, Some(b"key"), Some("커피 주문".as_bytes()), &[(b"one", Some(b"1")), (b"two", None)]);
    batch.append(NOW + 5, None, Some(b""), &[]);
    batch.append(NOW + 3, Some(b"\xff\xed\xa0\x80\xed\xa1+\xe0\x80\xf0\x9f\x98"), None, &[(b"", Some(b""))]);
    batch.build(&Compressors::default()).to_vec()
}

fn at(base_offset: i64) -> BatchOptions {
    BatchOptions { base_offset, partition_leader_epoch: 3, ..BatchOptions::default() }
}

/// Batches of three records, one after the other, and where each begins.
fn log(batches: i64) -> (Vec<u8>, Vec<u32>) {
    let (mut bytes, mut positions) = (Vec::new(), Vec::new());
    for number in 0..batches {
        positions.push(bytes.len() as u32);
        bytes.extend(batch(at(number * 3)));
    }
    (bytes, positions)
}

fn offset_index(entries: &[(u32, u32)]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|(offset, position)| [offset.to_be_bytes(), position.to_be_bytes()].concat())
        .collect()
}

fn time_index(entries: &[(i64, u32)]) -> Vec<u8> {
    let entry =
        |(timestamp, offset): &(i64, u32)| [&timestamp.to_be_bytes()[..], &offset.to_be_bytes()].concat();
    entries.iter().flat_map(entry).collect()
}

#[test]
fn batches_of_every_kind() {
    let directory = Directory::new("kinds");
    let mut bytes = Vec::new();
    let mut offset = 0;
    for codec in CompressionType::ALL {
        for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            bytes.extend(batch(BatchOptions {
                compression: codec.into(),
                timestamp_type,
                log_append_time: NOW + 100,
                ..at(offset)
            }));
            offset += 3;
        }
    }
    // Sequences wrap; offsets leave room as after compaction.
    let idempotent = BatchOptions {
        producer_id: 4_000,
        producer_epoch: 2,
        base_sequence: i32::MAX - 1,
        is_transactional: true,
        ..at(offset + 10)
    };
    bytes.extend(batch(idempotent));
    bytes.extend(batch(BatchOptions { delete_horizon_ms: Some(NOW - 7), ..at(offset + 13) }));
    let marker = EndTxnMarker { is_commit: false, coordinator_epoch: 17 };
    bytes.extend_from_slice(&marker.batch(4_000, 2, NOW, 3));
    let mut unknown = BatchBuilder::new(BatchOptions { is_control: true, ..at(offset + 20) });
    unknown.append(NOW, Some(&[0, 0, 0, 99]), Some(b"?"), &[]);
    bytes.extend_from_slice(&unknown.build(&Compressors::default()));
    let mut kraft = BatchBuilder::control(offset + 21, 5);
    kraft.append_control(NOW, ControlRecordType::SnapshotFooter, &[0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&kraft.build(&Compressors::default()));
    let file = directory.file("00000000000000000000.log", bytes);
    for options in [
        &[][..],
        &["--deep-iteration"],
        &["--print-data-log"],
        &["--print-data-log", "--skip-record-metadata"],
        &["--deep-iteration", "--skip-record-metadata"],
        &["--max-bytes", "400", "--deep-iteration"],
    ] {
        dumped_alike(options, &[&file]);
    }
    let (said, complaints) = dumped_alike(&["--print-data-log"], &[&file]);
    assert!(said.contains("payload: 커피 주문") && said.contains("endTxnMarker: ABORT coordinatorEpoch: 17"));
    assert!(complaints.contains("Non-consecutive offsets in "), "{complaints}");
}

#[test]
fn damaged_logs() {
    let directory = Directory::new("damaged");
    let (whole, positions) = log(4);
    let second = positions[1] as usize;
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        bytes
    };
    let cases: [(&str, Vec<u8>); 9] = [
        ("checksum", changed(&|bytes| bytes[second + 17] ^= 1)),
        ("torn", changed(&|bytes| bytes.truncate(bytes.len() - 9))),
        ("torn-header", changed(&|bytes| bytes.truncate(second + 15))),
        ("zeros", changed(&|bytes| bytes.extend([0; 100]))),
        ("few-zeros", changed(&|bytes| bytes.extend([0; 12]))),
        ("size", changed(&|bytes| bytes[second + 11] = 3)),
        ("codec", changed(&|bytes| bytes[second + 22] |= 7)),
        ("count", changed(&|bytes| bytes[second + 60] = 9)),
        ("empty", Vec::new()),
    ];
    for (name, bytes) in cases {
        let place = Directory::new(&format!("damaged-{name}"));
        let file = place.file("00000000000000000000.log", bytes);
        dumped_alike(&["--print-data-log"], &[&file]);
        if name == "checksum" {
            let (said, _) = dumped_alike(&[], &[&file]);
            assert!(said.contains("isvalid: false"), "{said}");
        }
    }
    for name in [
        "first.log",
        "00000000000000000003-0000000007.checkpoint",
        "other.checkpoint",
        "no-extension",
        "x.properties",
    ] {
        dumped_alike(&[], &[directory.file(name, &whole)]);
    }
    dumped_alike(&[], &[directory.0.join("00000000000000000009.log")]);
}

#[test]
fn offset_indexes() {
    let (bytes, at) = log(4);
    let cases: [(&str, Vec<u8>); 8] = [
        ("right", offset_index(&[(5, at[1]), (11, at[3])])),
        ("wrong", offset_index(&[(4, at[1]), (9, at[2]), (11, at[3])])),
        ("empty", Vec::new()),
        ("room", offset_index(&[(5, at[1]), (0, 0), (0, 0)])),
        ("torn", [offset_index(&[(5, at[1])]), vec![0; 3]].concat()),
        ("beyond", offset_index(&[(5, at[1]), (99, 1 << 20)])),
        ("at-the-end", offset_index(&[(5, bytes.len() as u32)])),
        ("falling", offset_index(&[(5, at[1]), (u32::MAX, at[2])])),
    ];
    for (name, index) in cases {
        let place = Directory::new(&format!("index-{name}"));
        place.file("00000000000000000000.log", &bytes);
        let file = place.file("00000000000000000000.index", index);
        for options in [&[][..], &["--verify-index-only"], &["--index-sanity-check"]] {
            dumped_alike(options, &[&file]);
        }
        if name == "right" {
            dumped_alike(&["--max-message-size", "50"], &[&file]);
        }
    }
    let alone = Directory::new("index-alone");
    dumped_alike(&[], &[alone.file("00000000000000000000.index", offset_index(&[(5, 0)]))]);
}

#[test]
fn time_indexes() {
    let (bytes, at) = log(4);
    let cases: [(&str, Vec<u8>); 7] = [
        ("right", time_index(&[(NOW + 5, 5)])),
        ("wrong", time_index(&[(NOW + 4, 2), (NOW + 5, 5), (NOW + 5, 8), (NOW + 9, 10), (NOW + 10, 90)])),
        ("empty", Vec::new()),
        ("room", time_index(&[(NOW + 5, 5), (0, 0), (0, 0)])),
        ("torn", [time_index(&[(NOW + 5, 5)]), vec![0; 3]].concat()),
        ("falling", time_index(&[(NOW + 5, 5), (NOW + 6, 2)])),
        ("below", time_index(&[(NOW + 5, u32::MAX)])),
    ];
    for (name, index) in cases {
        let place = Directory::new(&format!("timeindex-{name}"));
        place.file("00000000000000000000.log", &bytes);
        place.file("00000000000000000000.index", offset_index(&[(5, at[1]), (11, at[3])]));
        let file = place.file("00000000000000000000.timeindex", index);
        for options in [&[][..], &["--verify-index-only"], &["--index-sanity-check"]] {
            dumped_alike(options, &[&file]);
        }
    }
    let place = Directory::new("timeindex-zeros");
    place.file("00000000000000000000.log", [bytes, vec![0; 100]].concat());
    place.file("00000000000000000000.index", b"");
    dumped_alike(&[], &[place.file("00000000000000000000.timeindex", time_index(&[(NOW + 5, 2)]))]);
}

#[test]
fn producers_and_aborted_transactions() {
    let directory = Directory::new("producers");
    let mut snapshot = [&[0, 0, 0, 2][..]].concat();
    for (id, first) in [(9_i64, -1_i64), (4, 11)] {
        snapshot.extend(id.to_be_bytes());
        snapshot.extend(3_i16.to_be_bytes());
        snapshot.extend(if first < 0 { 41_i32 } else { -1 }.to_be_bytes());
        snapshot.extend(if first < 0 { 77_i64 } else { -1 }.to_be_bytes());
        snapshot.extend(2_i32.to_be_bytes());
        snapshot.extend(NOW.to_be_bytes());
        snapshot.extend(8_i32.to_be_bytes());
        snapshot.extend(first.to_be_bytes());
    }
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &snapshot) as u32;
    let whole = [&[0, 1][..], &crc.to_be_bytes(), &snapshot].concat();
    let mut broken = whole.clone();
    broken[20] ^= 1;
    let files = [
        directory.file("00000000000000000100.snapshot", &whole),
        directory.file("00000000000000000101.snapshot", &broken),
        directory.file("00000000000000000102.snapshot", [&[0, 9][..], &whole[2..]].concat()),
        directory.file("00000000000000000104.snapshot", &whole[..whole.len() - 1]),
    ];
    let (said, complaints) = dumped_alike(&[], &files);
    assert!(said.contains("currentTxnFirstOffset: OptionalLong[11]"), "{said}");
    assert!(complaints.contains("Snapshot is corrupt (CRC is no longer valid)"), "{complaints}");
    dumped_alike(&[], &[directory.file("00000000000000000103.snapshot", b"")]);

    let entry = |version: i16, numbers: [i64; 4]| {
        [&version.to_be_bytes()[..], &numbers.map(i64::to_be_bytes).concat()].concat()
    };
    let entries = [entry(0, [9, 0, 10, 11]), entry(0, [4, 11, 19, 20])].concat();
    let (said, _) = dumped_alike(&[], &[directory.file("00000000000000000000.txnindex", &entries)]);
    assert!(said.contains("lastStableOffset: 20"), "{said}");
    dumped_alike(&[], &[directory.file("00000000000000000001.txnindex", b"")]);
    for version in [7, 7 << 8] {
        let newer = [entries.clone(), entry(version, [1, 2, 3, 4])].concat();
        dumped_alike(&[], &[directory.file("00000000000000000002.txnindex", newer)]);
    }
}

#[test]
fn keys_and_values_that_no_decoder_knows() {
    let directory = Directory::new("decoders");
    let file = |name: &str, records: &[(Option<&[u8]>, Option<&[u8]>)]| {
        let mut batch = BatchBuilder::new(at(0));
        for (key, value) in records {
            batch.append(NOW, *key, *value, &[]);
        }
        directory.file(name, batch.build(&Compressors::default()))
    };
    let group = |kind: u8| [0, kind, 0, 1, b'g'];
    let coordinators = file(
        "00000000000000000000.log",
        &[
            (Some(&group(2)), None),
            (Some(&group(99)), Some(b"x")),
            (Some(&group(2)), Some(&[0, 9, 1])),
            (Some(&[0]), None),
            (None, Some(b"v")),
        ],
    );
    for decoder in ["--offsets-decoder", "--transaction-log-decoder", "--share-group-state-decoder"] {
        dumped_alike(&[decoder], &[&coordinators]);
    }
    dumped_alike(&["--cluster-metadata-decoder"], &[&coordinators]);
    let numbers =
        file("00000000000000000001.log", &[(Some(&[0, 0, 1, 0]), Some(&[255; 8])), (None, Some(b"six"))]);
    let class = |name: &str| format!("org.apache.kafka.tools.api.{name}Decoder");
    let decoders = ["--key-decoder-class", &class("Integer"), "--value-decoder-class", &class("Long")];
    dumped_alike(&decoders, &[numbers]);
}

/// Java and Rust do not agree on how many characters cannot be read in what is no UTF-8.
#[test]
fn bytes_that_are_no_text() {
    let directory = Directory::new("bytes");
    let mut batch = BatchBuilder::new(at(0));
    let parts = [0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc3, 0xe0, 0xe1, 0xed, 0xf0, 0xf4, 0xf5, 0xff];
    for first in parts {
        for second in parts {
            for third in parts {
                for value in [
                    &[first, second, third][..],
                    &[first, second, third, 0x80, b'.'],
                    &[first, second, third, b'.'],
                ] {
                    batch.append(NOW, None, Some(value), &[]);
                }
            }
        }
    }
    let file = directory.file("00000000000000000000.log", batch.build(&Compressors::default()));
    dumped_alike(&["--print-data-log"], &[file]);
}

#[test]
fn members_of_a_group() {
    let directory = Directory::new("members");
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["커피".into()],
        user_data: Some(Bytes::from_static(b"mine")),
        generation_id: 5,
        rack_id: None,
        ..ConsumerProtocolSubscription::default()
    };
    let partitions = TopicPartition { topic: "커피".into(), partitions: vec![0, 2] };
    let assignment = ConsumerProtocolAssignment { assigned_partitions: vec![partitions], user_data: None };
    let embedded = |version: i16, message: &dyn Fn(&mut Encoder)| {
        let mut encoder = Encoder::new();
        encoder.put_i16(version);
        message(&mut encoder);
        encoder.into_bytes().expect("it encodes")
    };
    let write = |version: i16| MemberMetadata {
        member_id: format!("member-{version}").into(),
        group_instance_id: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        subscription: embedded(version, &|to| subscription.encode(to, version).expect("it encodes")),
        assignment: embedded(version, &|to| assignment.encode(to, version).expect("it encodes")),
        ..MemberMetadata::default()
    };
    let broken =
        MemberMetadata { subscription: Bytes::from_static(&[1]), assignment: Bytes::new(), ..write(0) };
    let mut batch = BatchBuilder::new(at(0));
    for protocol_type in ["consumer", "connect"] {
        let group = GroupMetadataValue {
            protocol_type: protocol_type.into(),
            protocol: Some("range".into()),
            leader: None,
            members: vec![write(3), write(1), broken.clone()],
            ..GroupMetadataValue::default()
        };
        let key = GroupKey::from(GroupMetadataKey { group: "g".into() }).encode().expect("it encodes");
        let value = GroupValue::from(group).encode(3).expect("it encodes");
        batch.append(NOW, Some(&key), Some(&value), &[]);
    }
    let file = directory.file("00000000000000000000.log", batch.build(&Compressors::default()));
    let (said, _) = dumped_alike(&["--offsets-decoder"], &[file]);
    assert!(said.contains(r#""subscription":{"topics":["커피"],"userData":"bWluZQ==""#), "{said}");
}

#[test]
fn metadata_of_remote_logs() {
    let directory = Directory::new("remote");
    let id = |last: u8| Uuid([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, last]);
    let framed = |kind: u32, message: &dyn Fn(&mut Encoder)| {
        let mut encoder = Encoder::new();
        [1, kind, 0].into_iter().for_each(|number| encoder.put_varint(number));
        message(&mut encoder);
        encoder.into_bytes().expect("it encodes")
    };
    let mut segment = RemoteLogSegmentMetadataRecord {
        start_offset: 5,
        end_offset: 90,
        broker_id: 2,
        max_timestamp_ms: NOW,
        event_timestamp_ms: NOW + 1,
        segment_leader_epochs: vec![
            SegmentLeaderEpochEntry { leader_epoch: 4, offset: 50 },
            SegmentLeaderEpochEntry { leader_epoch: 1, offset: 5 },
        ],
        segment_size_in_bytes: 700,
        custom_metadata: Some(Bytes::from_static(b"five.")),
        remote_log_segment_state: 1,
        txn_index_empty: true,
        ..Default::default()
    };
    segment.remote_log_segment_id.id = id(1);
    segment.remote_log_segment_id.topic_id_partition.id = id(2);
    segment.remote_log_segment_id.topic_id_partition.name = "커피".into();
    segment.remote_log_segment_id.topic_id_partition.partition = 7;
    let plain = RemoteLogSegmentMetadataRecord {
        custom_metadata: None,
        remote_log_segment_state: 0,
        txn_index_empty: false,
        ..segment.clone()
    };
    let without_epochs =
        RemoteLogSegmentMetadataRecord { segment_leader_epochs: Vec::new(), ..segment.clone() };
    let update = RemoteLogSegmentMetadataUpdateRecord {
        broker_id: 2,
        event_timestamp_ms: NOW,
        custom_metadata: None,
        remote_log_segment_state: 3,
        ..Default::default()
    };
    let delete = RemotePartitionDeleteMetadataRecord {
        broker_id: 3,
        event_timestamp_ms: NOW,
        remote_partition_delete_state: 2,
        ..Default::default()
    };
    let snapshot = RemoteLogSegmentMetadataSnapshotRecord {
        segment_id: id(3),
        end_offset: 8,
        segment_leader_epochs: vec![Default::default()],
        custom_metadata: None,
        remote_log_segment_state: 2,
        ..Default::default()
    };
    let values = [
        framed(0, &|to| segment.encode(to, 0).expect("it encodes")),
        framed(0, &|to| plain.encode(to, 0).expect("it encodes")),
        framed(0, &|to| without_epochs.encode(to, 0).expect("it encodes")),
        framed(1, &|to| update.encode(to, 0).expect("it encodes")),
        framed(2, &|to| delete.encode(to, 0).expect("it encodes")),
        framed(3, &|to| snapshot.encode(to, 0).expect("it encodes")),
        framed(9, &|_| {}),
        framed(2, &|to| {
            delete.encode(to, 0).expect("it encodes");
            to.put_i16(0);
        }),
        Bytes::new(),
    ];
    let mut batch = BatchBuilder::new(at(0));
    for value in values {
        batch.append(NOW, Some(b"key"), Some(&value), &[]);
    }
    let file = directory.file("00000000000000000000.log", batch.build(&Compressors::default()));
    let (said, _) = dumped_alike(&["--remote-log-metadata-decoder"], &[file]);
    assert!(said.contains("segmentLeaderEpochs={1=5, 4=50}"), "{said}");
}

#[test]
fn paths_are_spelt_as_java_spells_them() {
    let directory = Directory::new("paths");
    directory.file("00000000000000000000.log", log(1).0);
    dumped_alike(&[], &[format!("{}//00000000000000000000.log", directory.0.display())]);
}
