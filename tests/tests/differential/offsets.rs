//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla_protocol::messages::{DeleteRecordsRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest};
use ottla_protocol::{ApiKey, Str};
use ottla_tests::batch::Batch;

use crate::family;
use crate::session::{KEPT, Session};

#[test]
fn list_offsets() {
    family("list-offsets", &[ApiKey::ListOffsets], &[("times", times), ("refusals", list_refused)]);
}

#[test]
fn offset_for_leader_epoch() {
    family("offset-for-leader-epoch", &[ApiKey::OffsetForLeaderEpoch], &[("all", leader_epochs)]);
}

#[test]
fn delete_records() {
    family("delete-records", &[ApiKey::DeleteRecords], &[("all", deletions)]);
}

const START: i64 = 1_700_000_000_000;

fn listing(name: &Str, partitions: &[(i32, i64, i32)]) -> ListOffsetsRequest {
    let partition = |&(partition_index, timestamp, current_leader_epoch): &(i32, i64, i32)| {
        ListOffsetsPartition { partition_index, timestamp, current_leader_epoch, ..Default::default() }
    };
    let topic =
        ListOffsetsTopic { name: name.clone(), partitions: partitions.iter().map(partition).collect() };
    ListOffsetsRequest { replica_id: -1, topics: vec![topic], timeout_ms: 1000, ..Default::default() }
}

fn times(session: &mut Session) {
    let topic = session.topic("times", 2, KEPT);
    // The second batch is the latest in time, the third goes back.
    let batches = [(0, 3), (60_000, 4), (30_000, 5)];
    session.fill(&topic, &batches.map(|(delay, count)| Batch::of(count).at(START + delay).encode()));
    for special in -7..=0 {
        session.ask(&format!("time {special}"), &listing(&topic.0, &[(0, special, -1)]));
        session.ask(&format!("time {special} when empty"), &listing(&topic.0, &[(1, special, -1)]));
    }
    for delay in [-1, 0, 1, 3, 30_000, 30_001, 60_000, 60_003, 60_004] {
        session.ask(&format!("time + {delay}"), &listing(&topic.0, &[(0, START + delay, -1)]));
    }
    let committed = ListOffsetsRequest { isolation_level: 1, ..listing(&topic.0, &[(0, -1, -1)]) };
    session.ask("read committed", &committed);
    session.ask("several", &listing(&topic.0, &[(0, -1, -1), (1, -2, -1), (5, -1, -1)]));
}

fn list_refused(session: &mut Session) {
    let topic = session.topic("refused", 1, KEPT);
    let missing = session.name("missing");
    session.ask("unknown topic", &listing(&missing, &[(0, -1, -1)]));
    session.ask("bad name", &listing(&"no spaces".into(), &[(0, -1, -1)]));
    session.ask("negative partition", &listing(&topic.0, &[(-1, -1, -1)]));
    session.ask("a partition twice", &listing(&topic.0, &[(0, -1, -1), (0, -2, -1)]));
    for epoch in [-2, 0, 1, 100] {
        session.ask(&format!("leader epoch {epoch}"), &listing(&topic.0, &[(0, -1, epoch)]));
    }
    let replica = ListOffsetsRequest { replica_id: 7, ..listing(&topic.0, &[(0, -1, -1)]) };
    session.ask("a replica that is none", &replica);
    session.ask("no topics", &ListOffsetsRequest { replica_id: -1, ..Default::default() });
    let consumer = ListOffsetsRequest { replica_id: -2, ..listing(&topic.0, &[(0, -1, -1)]) };
    session.ask("a consumer that debugs", &consumer);
    for isolation_level in [-1, 2, 7] {
        let request = ListOffsetsRequest { isolation_level, ..listing(&topic.0, &[(0, -1, -1)]) };
        session.ask(&format!("isolation level {isolation_level}"), &request);
    }
    let mut twice = listing(&topic.0, &[(0, -1, -1)]);
    twice.topics.extend(listing(&topic.0, &[(7, -1, -1), (0, -1, -1)]).topics);
    session.ask("a topic twice", &twice);
    session.ask("no partitions", &listing(&topic.0, &[]));
    session.ask("an unknown partition twice", &listing(&topic.0, &[(7, -1, -1), (7, -1, -1)]));
    session.ask("an impossible time of an unknown topic", &listing(&missing, &[(0, -9, -1)]));
    session.ask("an empty name", &listing(&Str::default(), &[(0, -1, -1)]));
    session.ask("a long name", &listing(&"n".repeat(250).into(), &[(0, -1, -1)]));
}

fn leader_epochs(session: &mut Session) {
    let topic = session.topic("epochs", 2, KEPT);
    session.fill(&topic, &[Batch::of(3).encode()]);
    let of = |name: &Str, partition, current_leader_epoch, leader_epoch| {
        let partitions = vec![OffsetForLeaderPartition { partition, current_leader_epoch, leader_epoch }];
        let topics = vec![OffsetForLeaderTopic { topic: name.clone(), partitions }];
        OffsetForLeaderEpochRequest { replica_id: -1, topics }
    };
    for epoch in [-2, -1, 0, 1, 100] {
        session.ask(&format!("epoch {epoch}"), &of(&topic.0, 0, -1, epoch));
        session.ask(&format!("epoch {epoch} when empty"), &of(&topic.0, 1, -1, epoch));
        session.ask(&format!("current epoch {epoch}"), &of(&topic.0, 0, epoch, 0));
    }
    let missing = session.name("missing");
    session.ask("unknown topic", &of(&missing, 0, -1, 0));
    session.ask("unknown partition", &of(&topic.0, 9, -1, 0));
    session.ask("negative partition", &of(&topic.0, -1, -1, 0));
    session.ask("an empty name", &of(&Str::default(), 0, -1, 0));
    session.ask("nothing", &OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![] });
    let mut twice = of(&topic.0, 0, -1, 0);
    twice.topics[0].partitions.push(OffsetForLeaderPartition {
        partition: 0,
        current_leader_epoch: -1,
        leader_epoch: 9,
    });
    session.ask("a partition twice", &twice);
    let mut topic_twice = of(&topic.0, 0, -1, 0);
    topic_twice.topics.extend(of(&topic.0, 1, -1, 0).topics);
    session.ask("a topic twice", &topic_twice);
    let mut none = of(&topic.0, 0, -1, 0);
    none.topics[0].partitions.clear();
    session.ask("no partitions", &none);
    session.ask("a replica", &OffsetForLeaderEpochRequest { replica_id: 7, ..of(&topic.0, 0, -1, 0) });
}

fn deletions(session: &mut Session) {
    let topic = session.topic("deleted", 2, KEPT);
    let compacted = session.topic("compacted", 1, &[("retention.ms", "-1"), ("cleanup.policy", "compact")]);
    session.fill(&topic, &[3, 4, 5].map(|count| Batch::of(count).encode()));
    let of = |name: &Str, partition_index, offset| {
        let partitions = vec![DeleteRecordsPartition { partition_index, offset }];
        let topics = vec![DeleteRecordsTopic { name: name.clone(), partitions }];
        DeleteRecordsRequest { topics, timeout_ms: 10_000 }
    };
    let missing = session.name("missing");
    for (label, offset) in [
        ("nothing", 0),
        ("in a batch", 2),
        ("less than before", 1),
        ("at a batch", 7),
        ("past the end", 13),
        ("minus two", -2),
        ("all", -1),
        ("the end", 12),
    ] {
        session.ask(label, &of(&topic.0, 0, offset));
    }
    session.ask("an empty partition", &of(&topic.0, 1, -1));
    session.ask("unknown partition", &of(&topic.0, 9, 0));
    session.ask("unknown topic", &of(&missing, 0, 0));
    session.ask("a compacted topic", &of(&compacted.0, 0, 0));
    session.ask("then", &listing(&topic.0, &[(0, -2, -1)]));
    session.ask("a negative partition", &of(&topic.0, -1, 0));
    session.ask("an empty name", &of(&Str::default(), 0, 0));
    session.ask("an internal topic", &of(&"__consumer_offsets".into(), 0, 0));
    session.ask("an internal topic that is none", &of(&"__share_group_state".into(), 0, 0));
    let mut twice = of(&topic.0, 0, 12);
    twice.topics[0].partitions.push(DeleteRecordsPartition { partition_index: 0, offset: 99 });
    session.ask("a partition twice", &twice);
    let mut topic_twice = of(&topic.0, 0, 12);
    topic_twice.topics.extend(of(&topic.0, 1, 0).topics);
    session.ask("a topic twice", &topic_twice);
    let mut none = of(&topic.0, 0, 12);
    none.topics[0].partitions.clear();
    session.ask("no partitions", &none);
    session.ask("without time", &DeleteRecordsRequest { timeout_ms: 0, ..of(&topic.0, 0, 12) });
    session.ask("with less than no time", &DeleteRecordsRequest { timeout_ms: -1, ..of(&topic.0, 0, 12) });
    session.ask("nothing asked", &DeleteRecordsRequest { timeout_ms: 1000, ..Default::default() });
}
