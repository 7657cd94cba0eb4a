//! WriteTxnMarkers, DescribeProducers: transactions as the leaders of their partitions see them.

use ottla_protocol::messages::describe_producers_request::TopicRequest;
use ottla_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use ottla_protocol::messages::{DescribeProducersRequest, WriteTxnMarkersRequest};
use ottla_protocol::{ApiKey, Str};
use ottla_tests::batch::Batch;

use crate::family;
use crate::session::{KEPT, Session};

#[test]
fn write_txn_markers() {
    family("write-txn-markers", &[ApiKey::WriteTxnMarkers], &[("all", markers)]);
}

#[test]
fn describe_producers() {
    family("describe-producers", &[ApiKey::DescribeProducers], &[("all", producers)]);
}

fn marker(producer_id: i64, producer_epoch: i16, topics: &[(&Str, &[i32])]) -> WritableTxnMarker {
    let topic = |(name, indexes): &(&Str, &[i32])| WritableTxnMarkerTopic {
        name: (*name).clone(),
        partition_indexes: indexes.to_vec(),
    };
    WritableTxnMarker {
        producer_id,
        producer_epoch,
        transaction_result: true,
        topics: topics.iter().map(topic).collect(),
        coordinator_epoch: 3,
        transaction_version: 0,
    }
}

fn markers(session: &mut Session) {
    let topic = session.topic("marked", 2, KEPT);
    session.fill(&topic, &[Batch::of(2).encode()]);
    let missing = session.name("missing");
    let mut write = |label: &str, markers: Vec<WritableTxnMarker>| {
        session.ask(label, &WriteTxnMarkersRequest { markers });
    };
    write("none", vec![]);
    write("a commit", vec![marker(9001, 5, &[(&topic.0, &[0])])]);
    write(
        "an abort",
        vec![WritableTxnMarker { transaction_result: false, ..marker(9001, 5, &[(&topic.0, &[0])]) }],
    );
    write("an older epoch", vec![marker(9001, 4, &[(&topic.0, &[0])])]);
    write(
        "an older coordinator",
        vec![WritableTxnMarker { coordinator_epoch: 2, ..marker(9001, 5, &[(&topic.0, &[0])]) }],
    );
    for transaction_version in [1, 2] {
        for epoch in [4, 5, 6] {
            let marker =
                WritableTxnMarker { transaction_version, ..marker(9001, epoch, &[(&topic.0, &[0])]) };
            write(&format!("epoch {epoch} with transaction version {transaction_version}"), vec![marker]);
        }
    }
    write("several partitions, some unknown", vec![marker(9002, 0, &[(&topic.0, &[0, 1, 7, -1])])]);
    write("an unknown topic", vec![marker(9003, 0, &[(&missing, &[0])])]);
    write("an empty name", vec![marker(9003, 0, &[(&Str::default(), &[0])])]);
    write("no topics", vec![marker(9004, 0, &[])]);
    write("no partitions", vec![marker(9004, 0, &[(&topic.0, &[])])]);
    // A partition twice, or a producer, is left out: Apache Kafka never answers that.
    write("a topic twice", vec![marker(9004, 0, &[(&topic.0, &[0]), (&topic.0, &[7])])]);
    write("a negative epoch", vec![marker(9005, -1, &[(&topic.0, &[1])])]);
    write("an epoch below none", vec![marker(9005, -2, &[(&topic.0, &[1])])]);
    write("a producer that is none", vec![marker(-1, 0, &[(&topic.0, &[1])])]);
    write(
        "a negative epoch beside another producer",
        vec![marker(9008, 0, &[(&topic.0, &[0])]), marker(9009, -1, &[(&topic.0, &[1]), (&missing, &[0])])],
    );
    write("a negative epoch of an unknown topic", vec![marker(9009, -1, &[(&missing, &[0])])]);
    write(
        "two producers",
        vec![marker(9006, 0, &[(&topic.0, &[0, 1])]), marker(9007, 0, &[(&topic.0, &[1])])],
    );
}

fn producers(session: &mut Session) {
    let topic = session.topic("producers", 2, KEPT);
    let batch =
        |producer_id, base_sequence| Batch { producer_id, producer_epoch: 1, base_sequence, ..Batch::of(2) };
    session.fill(&topic, &[batch(7001, 0).encode(), batch(7001, 2).encode(), batch(7002, 0).encode()]);
    let missing = session.name("missing");
    let mut ask = |label: &str, topics: &[(&Str, &[i32])]| {
        let topics = topics.iter().map(|(name, indexes)| TopicRequest {
            name: (*name).clone(),
            partition_indexes: indexes.to_vec(),
        });
        session.ask(label, &DescribeProducersRequest { topics: topics.collect() });
    };
    ask("known", &[(&topic.0, &[0, 1])]);
    ask("unknown partitions", &[(&topic.0, &[7, -1])]);
    ask("an unknown topic", &[(&missing, &[0])]);
    ask("a bad name", &[(&"no spaces".into(), &[0])]);
    ask("nothing", &[]);
    ask("no partitions", &[(&topic.0, &[])]);
    ask("no partitions of an unknown topic", &[(&missing, &[])]);
    ask("an empty name", &[(&Str::default(), &[0])]);
    ask("a long name", &[(&"n".repeat(250).into(), &[0])]);
    ask("a partition twice", &[(&topic.0, &[0, 0])]);
    ask("a topic twice", &[(&topic.0, &[0]), (&topic.0, &[1])]);
    session.quietly(&WriteTxnMarkersRequest { markers: vec![marker(7001, 2, &[(&topic.0, &[0])])] });
    session.ask(
        "after a marker",
        &DescribeProducersRequest {
            topics: vec![TopicRequest { name: topic.0.clone(), partition_indexes: vec![0] }],
        },
    );
}
