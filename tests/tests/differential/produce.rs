//! Produce, InitProducerId.

use bytes::Bytes;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{InitProducerIdRequest, ProduceRequest};
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
        ("compressed in name only", records(Batch { attributes: 1, ..good.clone() }.encode())),
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
        ("rest after the batch", records([&good.encode()[..], &[0; 5]].concat().into())),
    ];
    for (label, records) in cases {
        session.ask(label, &request(-1, &topic, 0, records));
    }
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
