//! Produce, InitProducerId.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use ottla_core::record::{CompressionType, Compressors};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{InitProducerIdRequest, MetadataRequest, ProduceRequest};
use ottla_protocol::{ApiKey, Records, Str, Uuid};
use ottla_tests::batch::Batch;

use crate::family;
use crate::session::{KEPT, Session};

#[test]
fn produce() {
    family(
        "produce",
        &[ApiKey::Produce],
        &[
            ("acks", acks),
            ("batches", batches),
            ("topics", topics),
            ("idempotence", idempotence),
            ("timestamps", timestamps),
            ("compressed", compressed),
        ],
    );
}

#[test]
fn init_producer_id() {
    family("init-producer-id", &[ApiKey::InitProducerId], &[("all", producer_ids)]);
}

type Topic = (Str, Uuid);

fn request(acks: i16, (name, topic_id): &Topic, index: i32, records: Records) -> ProduceRequest {
    let partition_data = vec![PartitionProduceData { index, records }];
    let topic = TopicProduceData { name: name.clone(), topic_id: *topic_id, partition_data };
    ProduceRequest { acks, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() }
}

fn records(bytes: Bytes) -> Records {
    Records::Bytes(bytes)
}

fn acks(session: &mut Session) {
    let topic = session.topic("acks", 1, KEPT);
    for acks in [-1, 1, 2, -2] {
        session.ask(&format!("acks {acks}"), &request(acks, &topic, 0, records(Batch::of(2).encode())));
    }
    let transactional = ProduceRequest {
        transactional_id: Some("t".into()),
        ..request(-1, &topic, 0, records(Batch::of(1).encode()))
    };
    session.ask("a transactional id without a transaction", &transactional);
    session.ask("nothing", &ProduceRequest { acks: -1, timeout_ms: 1000, ..Default::default() });
}

fn batches(session: &mut Session) {
    let topic = session.topic("batches", 1, &[("retention.ms", "-1"), ("max.message.bytes", "1000")]);
    let good = Batch::of(3);
    let cases: Vec<(&str, Records)> = vec![
        ("good", records(good.encode())),
        ("base offset is overwritten", records(Batch { base_offset: 77, ..good.clone() }.encode())),
        (
            "leader epoch is overwritten",
            records(Batch { partition_leader_epoch: 9, ..good.clone() }.encode()),
        ),
        ("bad crc", records(Batch { crc_error: 1, ..good.clone() }.encode())),
        ("bad last offset delta", records(Batch { last_offset_delta_error: 1, ..good.clone() }.encode())),
        ("bad count", records(Batch { count_error: 1, ..good.clone() }.encode())),
        ("old magic", records(Batch { magic: 1, ..good.clone() }.encode())),
        ("unknown magic", records(Batch { magic: 9, ..good.clone() }.encode())),
        ("unknown compression", records(Batch { attributes: 7, ..good.clone() }.encode())),
        ("gzip in name only", records(Batch { attributes: 1, ..good.clone() }.encode())),
        ("snappy in name only", records(Batch { attributes: 2, ..good.clone() }.encode())),
        ("lz4 in name only", records(Batch { attributes: 3, ..good.clone() }.encode())),
        ("zstd in name only", records(Batch { attributes: 4, ..good.clone() }.encode())),
        ("codec five", records(Batch { attributes: 5, ..good.clone() }.encode())),
        (
            "not from zero, and a bad crc",
            records(Batch { base_offset: 1, crc_error: 1, ..good.clone() }.encode()),
        ),
        (
            "a bad crc of a control batch",
            records(Batch { crc_error: 1, attributes: 1 << 5, ..good.clone() }.encode()),
        ),
        ("control batch", records(Batch { attributes: 1 << 5, ..good.clone() }.encode())),
        ("transactional", records(Batch { attributes: 1 << 4, ..good.clone() }.encode())),
        ("just small enough", records(Batch::sized(900).encode())),
        ("too large", records(Batch::sized(1000).encode())),
        ("no records in a batch", records(Batch::default().encode())),
        ("two batches", records([good.encode(), good.encode()].concat().into())),
        ("no bytes", records(Bytes::new())),
        // Null records are left out: Apache Kafka never answers them.
        ("noise", records(Bytes::from_static(&[7; 100]))),
        ("torn", records(good.encode().slice(..70))),
        ("torn header", records(good.encode().slice(..20))),
        ("an impossible length after the batch", records([&good.encode()[..], &[0; 20]].concat().into())),
        ("a cut batch after the batch", records([&good.encode()[..], &good.encode()[..30]].concat().into())),
        ("noise after the batch", records([&good.encode()[..], &[9; 40]].concat().into())),
        ("a batch without a header", records(headless(32))),
        ("a batch that is all header but six bytes", records(headless(55))),
        ("stamped by the client", records(Batch { attributes: 1 << 3, ..good.clone() }.encode())),
        ("rest after the batch", records([&good.encode()[..], &[0; 5]].concat().into())),
    ];
    for (label, records) in cases {
        session.ask(label, &request(-1, &topic, 0, records));
    }
    // What is wrong in one partition is the whole request's where Kafka looks at it first.
    let other = session.topic("other", 2, KEPT);
    let wrong = [
        ("noise", records(Bytes::from_static(&[7; 100]))),
        ("a bad crc", records(Batch { crc_error: 1, ..good.clone() }.encode())),
        ("two batches", records([good.encode(), good.encode()].concat().into())),
        ("an unknown codec", records(Batch { attributes: 7, ..good.clone() }.encode())),
        ("a transaction", records(Batch { attributes: 1 << 4, ..good.clone() }.encode())),
    ];
    for (label, wrong) in wrong {
        let mut two = request(-1, &other, 0, records(good.encode()));
        two.topic_data[0].partition_data.push(PartitionProduceData { index: 1, records: wrong });
        session.ask(&format!("{label} beside a good batch"), &two);
    }
}

/// Batches whose records are compressed, whole and damaged.
fn compressed(session: &mut Session) {
    let topic = session.topic("compressed", 1, KEPT);
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 7] = [
        ("whole", |_| {}),
        ("half of it", |bytes| bytes.truncate(bytes.len() / 2)),
        ("without its end", |bytes| bytes.truncate(bytes.len() - 1)),
        ("without its head", |bytes| _ = bytes.drain(..4)),
        ("nothing of it", Vec::clear),
        ("a few bytes of it", |bytes| bytes.truncate(3)),
        ("with more behind it", |bytes| bytes.extend([1, 2, 3])),
    ];
    for kind in [CompressionType::Gzip, CompressionType::Snappy, CompressionType::Lz4, CompressionType::Zstd]
    {
        for (damage, apply) in damages {
            let batch = repacked(&Batch::of(40).encode(), kind, apply);
            session.ask(&format!("{} {damage}", kind.name()), &request(-1, &topic, 0, records(batch)));
        }
    }
}

/// The batch with its records compressed, then damaged; length and checksum are right.
fn repacked(plain: &Bytes, kind: CompressionType, damage: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    const ATTRIBUTES: usize = 21;
    const RECORDS: usize = 61;
    let mut body = Vec::new();
    Compressors::default().compress(kind.into(), &plain[RECORDS..], &mut body);
    damage(&mut body);
    let mut batch = [&plain[..RECORDS], &body].concat();
    batch[8..12].copy_from_slice(&((RECORDS - 12 + body.len()) as i32).to_be_bytes());
    batch[ATTRIBUTES..ATTRIBUTES + 2].copy_from_slice(&kind.id().to_be_bytes());
    let sum = checksum(CrcAlgorithm::Crc32Iscsi, &batch[ATTRIBUTES..]) as u32;
    batch[17..21].copy_from_slice(&sum.to_be_bytes());
    batch.into()
}

/// So many bytes that claim to be a batch.
fn headless(size: u8) -> Bytes {
    let mut bytes = vec![0; size.into()];
    bytes[11] = size - 12;
    bytes[16] = 2;
    bytes.into()
}

fn topics(session: &mut Session) {
    let topic = session.topic("topic", 2, KEPT);
    let compacted = session.topic("compacted", 1, &[("retention.ms", "-1"), ("cleanup.policy", "compact")]);
    let missing = (session.name("missing"), Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0));
    let good = || records(Batch::of(1).encode());
    session.ask("second partition", &request(-1, &topic, 1, good()));
    session.ask("unknown partition", &request(-1, &topic, 2, good()));
    session.ask("negative partition", &request(-1, &topic, -1, good()));
    session.ask("unknown topic", &request(-1, &missing, 0, good()));
    session.ask("bad name", &request(-1, &("no spaces".into(), missing.1), 0, good()));
    let keyless = Batch { records: vec![(None, Some("v".into()))], ..Batch::default() };
    session.ask("keyless to a compacted topic", &request(-1, &compacted, 0, records(keyless.encode())));
    let mixed = Batch {
        records: vec![(Some("k".into()), Some("v".into())), (None, Some("v".into()))],
        ..Batch::default()
    };
    session.ask("one keyless to a compacted topic", &request(-1, &compacted, 0, records(mixed.encode())));
    session.ask("keyed to a compacted topic", &request(-1, &compacted, 0, good()));
    let mut both = request(-1, &topic, 0, good());
    both.topic_data.extend(request(-1, &missing, 0, good()).topic_data);
    session.ask("a known and an unknown topic", &both);
    let mut parts = request(-1, &topic, 0, good());
    parts.topic_data[0].partition_data.push(PartitionProduceData { index: 1, records: good() });
    session.ask("two partitions", &parts);
    parts.topic_data[0].partition_data.push(PartitionProduceData { index: 1, records: good() });
    session.ask("a partition twice", &parts);
    let mut twice = request(-1, &topic, 0, good());
    twice.topic_data.extend(request(-1, &topic, 1, good()).topic_data);
    session.ask("a topic twice", &twice);
    let group = session.name("group");
    crate::groups::ready(session, &group);
    let offsets = Str::from("__consumer_offsets");
    let internal = session.quietly(&MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: Some(offsets.clone()), ..Default::default() }]),
        ..Default::default()
    });
    let internal = (offsets, internal.topics[0].topic_id);
    session.ask("an internal topic", &request(-1, &internal, 0, good()));
    session.ask("an empty name", &request(-1, &(Str::default(), Uuid::ZERO), 0, good()));
    session.ask("a long name", &request(-1, &("n".repeat(250).into(), missing.1), 0, good()));
    session.ask("no partitions", &{
        let mut none = request(-1, &topic, 0, good());
        none.topic_data[0].partition_data.clear();
        none
    });
    let both_wrong = request(2, &missing, 0, good());
    session.ask("an unknown topic and impossible acks", &both_wrong);
    session.ask("noise and impossible acks", &request(2, &topic, 0, records(Bytes::from_static(&[7; 100]))));
    session.ask("nothing and impossible acks", &request(2, &topic, 0, records(Bytes::new())));
    // With acks 0 there is no answer; an error closes the connection, which the next request finds.
    for (label, bytes) in [("no acks", good()), ("no acks and noise", records(Bytes::from_static(&[7; 100])))]
    {
        session.tell(&request(0, &topic, 0, bytes));
        session.ask(&format!("after {label}"), &request(-1, &topic, 0, good()));
    }
}

fn idempotence(session: &mut Session) {
    let topic = session.topic("idempotent", 1, KEPT);
    let id = session.producer_id();
    let cases = [
        ("first", 0, 0, 3),
        ("next", 0, 3, 2),
        ("the last again", 0, 3, 2),
        ("the first again", 0, 0, 3),
        ("a gap", 0, 9, 1),
        ("a part of one before", 0, 3, 1),
        ("newer epoch not from zero", 1, 5, 1),
        ("newer epoch", 1, 0, 1),
        ("older epoch", 0, 5, 1),
    ];
    for (label, epoch, sequence, count) in cases {
        let batch = Batch::of(count).sequenced(id, epoch, sequence);
        session.ask(label, &request(-1, &topic, 0, records(batch.encode())));
    }
    let unknown = Batch::of(1).sequenced(id + 1_000_000, 0, 5);
    session.ask("an unknown producer not from zero", &request(-1, &topic, 0, records(unknown.encode())));
    let negative = Batch::of(1).sequenced(id, 1, -1);
    session.ask("an id without a sequence", &request(-1, &topic, 0, records(negative.encode())));
    let two = [Batch::of(1).sequenced(id, 1, 1).encode(), Batch::of(1).sequenced(id, 1, 2).encode()];
    session.ask("two batches of a producer", &request(-1, &topic, 0, records(two.concat().into())));
}

fn timestamps(session: &mut Session) {
    let bounded =
        session.topic("bounded", 1, &[("retention.ms", "-1"), ("message.timestamp.after.max.ms", "3600000")]);
    let stamped =
        session.topic("stamped", 1, &[("retention.ms", "-1"), ("message.timestamp.type", "LogAppendTime")]);
    let at = |time: i64| records(Batch::of(2).at(time).encode());
    session.ask("past", &request(-1, &bounded, 0, at(1_000)));
    session.ask("minus one", &request(-1, &bounded, 0, at(-1)));
    session.ask("far future", &request(-1, &bounded, 0, at(9_000_000_000_000)));
    session.ask("stamped by the broker", &request(-1, &stamped, 0, at(1_000)));
    let as_if = Batch { attributes: 1 << 3, ..Batch::of(2).at(1_000) };
    session.ask("stamped by the client", &request(-1, &bounded, 0, records(as_if.encode())));
    session.ask("stamped by both", &request(-1, &stamped, 0, records(as_if.encode())));
    let id = session.producer_id();
    for label in ["sequenced", "sequenced again"] {
        let batch = Batch::of(2).at(1_000).sequenced(id, 0, 0);
        session.ask(label, &request(-1, &stamped, 0, records(batch.encode())));
    }
}

fn producer_ids(session: &mut Session) {
    let plain = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    session.producer_id();
    session.ask("plain", &plain);
    session.ask(
        "with an id and epoch",
        &InitProducerIdRequest { producer_id: 5, producer_epoch: 3, ..plain.clone() },
    );
    session.ask(
        "empty transactional id",
        &InitProducerIdRequest { transactional_id: Some("".into()), ..plain.clone() },
    );
    session.ask("an id without an epoch", &InitProducerIdRequest { producer_id: 5, ..plain.clone() });
    session.ask("an epoch without an id", &InitProducerIdRequest { producer_epoch: 5, ..plain });
}
