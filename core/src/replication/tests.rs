//! Three brokers and a partition: produced, copied, cut off, elected, truncated.

mod cluster;
mod groups;
mod leaving;
mod random;

use ottla_protocol::ErrorCode;
use ottla_protocol::records::metadata::{
    FeatureLevelRecord, FenceBrokerRecord, PartitionChangeRecord, PartitionRecord,
};

use self::cluster::{Cluster, ID, directory, registration, unchanged};
use crate::broker::data::{
    DataRequest, DataResponse, DeleteRecordsPart, Fetched, Isolation, ListOffsetsPart, Place, Reader,
    WatchPart,
};
use crate::log::log_dirs::LogDirState;
use crate::log::{LogStore as _, MemoryStore};
use crate::metadata::topics::{DIRECTORY_LOST, DIRECTORY_UNASSIGNED};

fn cluster() -> Cluster {
    Cluster::new(|_| {})
}

/// With two replicas that have to be in sync.
fn with_min_isr() -> Cluster {
    Cluster::new(|config| config.topic_defaults.min_insync_replicas = 2)
}

fn consumer() -> Reader {
    Reader { isolation: Isolation::ReadUncommitted, replica: None, leader_only: false, place: None }
}

fn part(fetch_offset: i64) -> WatchPart {
    WatchPart {
        index: 0,
        partition: ID,
        fetch_offset,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        max_bytes: 1 << 20,
    }
}

fn read(
    cluster: &mut Cluster,
    broker: i32,
    offset: i64,
    reader: Reader,
) -> Result<Fetched<MemoryStore>, ErrorCode> {
    let parts = vec![part(offset)];
    let number =
        cluster.ask(broker, DataRequest::Read { parts, reader, max_bytes: 1 << 20, first_batch_whole: true });
    match cluster.answer(number) {
        Some(DataResponse::Read(mut read)) => read.pop().unwrap().1,
        other => panic!("{other:?}"),
    }
}

fn list(cluster: &mut Cluster, broker: i32, isolation: Isolation) -> Result<i64, ErrorCode> {
    let parts = vec![ListOffsetsPart { index: 0, partition: ID, current_leader_epoch: -1, timestamp: -1 }];
    let number = cluster.ask(broker, DataRequest::ListOffsets { parts, isolation });
    match cluster.answer(number) {
        Some(DataResponse::Offsets(found)) => found[0].1.map(|found| found.offset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_all_in_sync_replicas_have_is_acknowledged_and_the_logs_are_the_same() {
    let mut cluster = cluster();
    let numbers: Vec<u64> = (0..5).map(|n| cluster.produce(1, -1, 10 + n)).collect();
    assert_eq!(cluster.ends(1), (5, 0));
    assert!(cluster.produced(numbers[4]).is_none());
    cluster.settle();
    for (number, offset) in numbers.into_iter().zip(0..) {
        assert_eq!(cluster.produced(number).unwrap().unwrap().base_offset, offset);
    }
    assert_eq!(cluster.ends(1), (5, 5));
    // The followers hear of the high watermark with the next answer.
    cluster.advance(600);
    assert_eq!((cluster.ends(2), cluster.ends(3)), ((5, 5), (5, 5)));
    cluster.assert_identical();
}

#[test]
fn consumers_see_what_is_committed_wherever_they_read() {
    let mut cluster = cluster();
    cluster.cut(1, 3);
    cluster.produce(1, 1, 10);
    cluster.settle();
    // One of the in-sync replicas does not have it.
    assert_eq!((cluster.ends(1), cluster.ends(2), cluster.ends(3)), ((1, 0), (1, 0), (0, 0)));
    for broker in [1, 2] {
        let fetched = read(&mut cluster, broker, 0, consumer()).unwrap();
        assert!(fetched.records.is_none() && fetched.bounds.high_watermark == 0, "broker {broker}");
    }
    cluster.cut.clear();
    cluster.advance(2_000);
    for broker in 1..=3 {
        let fetched = read(&mut cluster, broker, 0, consumer()).unwrap();
        assert!(fetched.records.is_some() && fetched.bounds.high_watermark == 1, "broker {broker}");
    }
    let old = Reader { leader_only: true, ..consumer() };
    assert_eq!(read(&mut cluster, 2, 0, old).unwrap_err(), ErrorCode::NotLeaderOrFollower);
    assert_eq!(list(&mut cluster, 2, Isolation::ReadUncommitted), Err(ErrorCode::NotLeaderOrFollower));
}

#[test]
fn a_consumer_is_sent_to_the_replica_in_its_rack() {
    let mut cluster = cluster();
    cluster.produce(1, -1, 10);
    cluster.advance(1_000);
    for (rack, expected) in [("rack-1", None), ("rack-2", Some(2)), ("rack-9", None)] {
        let place = Some(Place { rack: rack.into(), listener: "PLAINTEXT".into() });
        let fetched = read(&mut cluster, 1, 0, Reader { place, ..consumer() }).unwrap();
        assert_eq!(fetched.preferred_read_replica, expected, "{rack}");
        assert_eq!(fetched.records.is_none(), expected.is_some(), "{rack}");
    }
}

#[test]
fn a_follower_that_is_gone_leaves_the_isr_and_joins_again_once_it_has_caught_up() {
    let mut cluster = cluster();
    cluster.kill(3);
    let number = cluster.produce(1, -1, 10);
    cluster.settle();
    assert!(cluster.produced(number).is_none());
    // Longer than it waits: it was appended all the same, and the answer says where.
    cluster.advance(6_000);
    let error = cluster.produced(number).unwrap().unwrap_err();
    assert_eq!((error.code, error.appended.unwrap().base_offset), (ErrorCode::RequestTimedOut, 0));
    cluster.advance(60_000);
    assert_eq!(cluster.registration().isr, [1, 2]);
    assert_eq!(cluster.ends(1), (1, 1));
    let number = cluster.produce(1, -1, 10);
    cluster.settle();
    assert_eq!(cluster.produced(number).unwrap().unwrap().base_offset, 1);
    cluster.publish(vec![registration(3, 11)]);
    cluster.start(3);
    cluster.advance(2_000);
    assert_eq!(cluster.registration().isr, [1, 2, 3]);
    cluster.assert_identical();
}

#[test]
fn who_is_fenced_does_not_join() {
    let mut cluster = cluster();
    cluster.publish(vec![FenceBrokerRecord { id: 3, epoch: 10 }.into()]);
    cluster.elect(1, &[1, 2]);
    cluster.advance(2_000);
    assert_eq!(cluster.ends(3).0, cluster.ends(1).0);
    assert_eq!(cluster.registration().isr, [1, 2]);
    // It is there, and has everything; but it is of another life.
    cluster.publish(vec![registration(3, 12)]);
    cluster.kill(3);
    cluster.start(3);
    cluster.advance(2_000);
    assert_eq!(cluster.registration().isr, [1, 2, 3]);
}

#[test]
fn a_replica_that_may_not_join_is_proposed_again() {
    let mut cluster = cluster();
    cluster.refuse = Some(ErrorCode::IneligibleReplica);
    cluster.elect(1, &[1, 2]);
    cluster.advance(2_000);
    assert_eq!(cluster.registration().isr, [1, 2, 3]);
    assert!(cluster.refuse.is_none());
}

#[test]
fn too_few_in_sync_replicas_refuse_what_all_should_have() {
    let mut cluster = with_min_isr();
    cluster.cut(1, 2);
    cluster.cut(1, 3);
    let before = cluster.produce(1, -1, 10);
    cluster.advance(4_000);
    assert!(cluster.produced(before).is_none());
    cluster.elect(1, &[1]);
    let refused = cluster.produce(1, -1, 10);
    assert_eq!(cluster.produced(refused).unwrap().unwrap_err().code, ErrorCode::NotEnoughReplicas);
    // Alone it commits nothing.
    assert_eq!(cluster.ends(1), (1, 0));
    let alone = cluster.produce(1, 1, 10);
    assert_eq!(cluster.produced(alone).unwrap().unwrap().base_offset, 1);
    assert_eq!(cluster.ends(1), (2, 0));
    cluster.advance(2_000);
    assert_eq!(cluster.produced(before).unwrap().unwrap_err().code, ErrorCode::RequestTimedOut);
    cluster.cut.clear();
    cluster.advance(2_000);
    assert_eq!((cluster.registration().isr.len(), cluster.ends(1)), (3, (2, 2)));
}

#[test]
fn what_only_a_lost_leader_had_is_truncated() {
    let mut cluster = cluster();
    cluster.produce(1, -1, 10);
    cluster.settle();
    cluster.cut(1, 2);
    cluster.cut(1, 3);
    let waiting = cluster.produce(1, -1, 20);
    for _ in 0..3 {
        cluster.produce(1, 1, 30);
    }
    assert_eq!(cluster.ends(1), (5, 1));
    cluster.elect(2, &[2, 3]);
    assert_eq!(cluster.produced(waiting).unwrap().unwrap_err().code, ErrorCode::NotLeaderOrFollower);
    let refused = cluster.produce(1, 1, 10);
    assert_eq!(cluster.produced(refused).unwrap().unwrap_err().code, ErrorCode::NotLeaderOrFollower);
    for _ in 0..2 {
        let number = cluster.produce(2, -1, 40);
        cluster.settle();
        cluster.produced(number).unwrap().unwrap();
    }
    assert_eq!((cluster.ends(2), cluster.ends(3).0), ((3, 3), 3));
    cluster.cut.clear();
    cluster.advance(2_000);
    assert_eq!(cluster.registration().isr, [2, 3, 1]);
    assert_eq!(cluster.ends(1), (3, 3));
    cluster.assert_identical();
    // And back again, with a reign in between that left no record.
    cluster.elect(3, &[1, 2, 3]);
    cluster.elect(1, &[1, 2, 3]);
    let number = cluster.produce(1, -1, 50);
    cluster.advance(1_000);
    assert_eq!(cluster.produced(number).unwrap().unwrap().base_offset, 3);
    cluster.assert_identical();
}

#[test]
fn followers_of_a_new_leader_do_not_wait_for_what_they_had_asked_it_before() {
    let mut cluster = cluster();
    // Broker 2 leads another partition, so that the others wait at it for records.
    let other = PartitionRecord {
        partition_id: 1,
        topic_id: ID.topic_id,
        replicas: vec![2, 1, 3],
        isr: vec![2, 1, 3],
        leader: 2,
        leader_epoch: 0,
        partition_epoch: 0,
        ..PartitionRecord::default()
    };
    cluster.publish(vec![other.into()]);
    cluster.settle();
    for leader in [2, 3, 2, 1, 2] {
        cluster.elect(leader, &[1, 2, 3]);
        let number = cluster.produce(leader, -1, 10);
        cluster.settle();
        cluster.produced(number).expect("an answer at once").unwrap();
        // Longer than a Fetch waits.
        cluster.advance(600);
    }
}

#[test]
fn a_leader_that_registers_again_is_fetched_from_as_before() {
    let mut cluster = cluster();
    for epoch in 11..14 {
        cluster.publish(vec![registration(1, epoch)]);
        let number = cluster.produce(1, -1, 10);
        cluster.settle();
        cluster.produced(number).expect("an answer at once").unwrap();
        cluster.advance(600);
    }
}

#[test]
fn a_new_leader_does_not_say_what_is_committed_before_it_knows() {
    let mut cluster = cluster();
    cluster.produce(1, 1, 10);
    cluster.settle();
    // The others have the record, and have not heard that it is committed.
    assert_eq!((cluster.ends(1), cluster.ends(2), cluster.ends(3)), ((1, 1), (1, 0), (1, 0)));
    cluster.cut(2, 3);
    cluster.kill(1);
    cluster.elect(2, &[2, 3]);
    assert_eq!(cluster.ends(2), (1, 0));
    assert_eq!(list(&mut cluster, 2, Isolation::ReadUncommitted), Err(ErrorCode::OffsetNotAvailable));
    assert_eq!(list(&mut cluster, 2, Isolation::LogEnd), Ok(1));
    cluster.cut.clear();
    cluster.advance(1_500);
    assert_eq!(list(&mut cluster, 2, Isolation::ReadUncommitted), Ok(1));
}

#[test]
fn a_follower_begins_anew_where_the_leader_does() {
    let mut cluster = cluster();
    cluster.produce(1, -1, 10);
    cluster.settle();
    cluster.kill(3);
    cluster.elect(1, &[1, 2]);
    for _ in 0..4 {
        cluster.produce(1, -1, 10);
    }
    cluster.advance(1_000);
    let parts = vec![DeleteRecordsPart { index: 0, partition: ID, offset: 3 }];
    cluster.publish(vec![FenceBrokerRecord { id: 3, epoch: 10 }.into()]);
    let deleted = cluster.ask(1, DataRequest::DeleteRecords { timeout_ms: 10_000, parts });
    assert!(cluster.answer(deleted).is_none(), "broker 2 has them still");
    cluster.advance(2_000);
    let answer = cluster.answer(deleted);
    assert!(matches!(&answer, Some(DataResponse::Deleted(answers)) if answers[0].1 == Ok(3)), "{answer:?}");
    assert_eq!(cluster.replica(2).log_start_offset(), 3);
    cluster.publish(vec![registration(3, 13)]);
    cluster.start(3);
    cluster.advance(3_000);
    let replica = cluster.replica(3);
    assert_eq!((replica.log_start_offset(), replica.log_end_offset()), (3, 5));
    assert_eq!(cluster.registration().isr, [1, 2, 3]);
}

#[test]
fn what_only_a_lost_leader_had_is_dropped_where_the_new_one_has_deleted_its_own() {
    // It ends where the new leader begins, or beyond.
    for lost in [2, 3] {
        dropped_below_the_start(lost);
    }
}

fn dropped_below_the_start(lost: i64) {
    let mut cluster = cluster();
    cluster.produce(1, -1, 10);
    cluster.settle();
    cluster.cut(1, 2);
    cluster.cut(1, 3);
    for _ in 0..lost {
        cluster.produce(1, 1, 30);
    }
    assert_eq!(cluster.ends(1), (1 + lost, 1));
    cluster.elect(2, &[2, 3]);
    for _ in 0..2 {
        cluster.produce(2, -1, 40);
    }
    cluster.settle();
    let parts = vec![DeleteRecordsPart { index: 0, partition: ID, offset: 3 }];
    cluster.publish(vec![FenceBrokerRecord { id: 1, epoch: 10 }.into()]);
    let deleted = cluster.ask(2, DataRequest::DeleteRecords { timeout_ms: 10_000, parts });
    cluster.advance(2_000);
    assert!(matches!(cluster.answer(deleted), Some(DataResponse::Deleted(answers)) if answers[0].1 == Ok(3)));
    cluster.publish(vec![registration(1, 13)]);
    cluster.cut.clear();
    cluster.advance(2_000);
    assert_eq!(cluster.registration().isr, [2, 3, 1]);
    assert_eq!((cluster.replica(1).log_start_offset(), cluster.ends(1)), (3, (3, 3)));
    assert!(cluster.bytes(1).is_empty(), "it kept records that its leader never had");
}

#[test]
fn what_an_in_sync_replica_has_vouched_for_it_keeps_wherever_its_leader_begins() {
    let mut cluster = cluster();
    for _ in 0..3 {
        cluster.produce(1, -1, 10);
    }
    cluster.settle();
    cluster.cut(1, 3);
    cluster.advance(600);
    // All have three records, of which one has not heard that they are committed.
    assert_eq!((cluster.ends(2), cluster.ends(3)), ((3, 3), (3, 1)));
    cluster.cut(2, 3);
    cluster.kill(1);
    cluster.publish(vec![FenceBrokerRecord { id: 1, epoch: 10 }.into()]);
    cluster.elect(2, &[2, 3]);
    let parts = vec![DeleteRecordsPart { index: 0, partition: ID, offset: 2 }];
    let deleted = cluster.ask(2, DataRequest::DeleteRecords { timeout_ms: 10_000, parts });
    cluster.cut.clear();
    cluster.advance(2_000);
    assert!(cluster.answer(deleted).is_some());
    assert_eq!((cluster.replica(3).log_start_offset(), cluster.ends(3)), (2, (3, 3)));
    assert_eq!(cluster.bytes(2), cluster.bytes(3), "nothing was fetched again");
}

#[test]
fn a_replica_that_is_assigned_elsewhere_goes() {
    let mut cluster = cluster();
    cluster.produce(1, -1, 10);
    cluster.advance(1_000);
    let change = PartitionChangeRecord { replicas: Some(vec![1, 2]), isr: Some(vec![1, 2]), ..unchanged() };
    cluster.change(change);
    assert_eq!(cluster.brokers[&3].shard.partitions().count(), 0);
    let names: Vec<_> = cluster.stores.get_mut(&3).unwrap().list("data").unwrap();
    assert!(names.iter().all(|entry| entry.name != "t-0"), "{names:?}");
    // It comes back, and has nothing.
    cluster.change(PartitionChangeRecord { replicas: Some(vec![1, 2, 3]), ..unchanged() });
    cluster.advance(1_000);
    assert_eq!(cluster.registration().isr, [1, 2, 3]);
    cluster.assert_identical();
}

#[test]
fn with_a_disk_that_is_waited_for_a_follower_vouches_for_what_is_on_it() {
    let mut cluster = Cluster::new(|config| config.ottla_log_sync = "batch".to_owned());
    for n in 0..3 {
        let number = cluster.produce(1, -1, 10);
        cluster.settle();
        assert_eq!(cluster.produced(number).unwrap().unwrap().base_offset, n);
    }
    for broker in 1..=3 {
        assert_eq!(cluster.replica(broker).recovery_point(), 3);
    }
    cluster.assert_identical();
}

/// Knows directories; the replica of the first broker is assigned to none.
fn with_directories() -> Cluster {
    let mut cluster = cluster();
    cluster.publish(vec![FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 }.into()]);
    cluster.change(in_directory(DIRECTORY_UNASSIGNED));
    cluster
}

fn in_directory(first: ottla_protocol::Uuid) -> PartitionChangeRecord {
    PartitionChangeRecord { directories: Some(vec![first, directory(2), directory(3)]), ..unchanged() }
}

/// What was said, once where it was said again.
fn placed(cluster: &mut Cluster) -> Vec<(i32, ottla_protocol::Uuid)> {
    cluster.placed.dedup();
    std::mem::take(&mut cluster.placed)
}

#[test]
fn brokers_say_where_their_replicas_are_if_the_metadata_does_not() {
    let mut cluster = with_directories();
    assert_eq!(cluster.placed, [(1, directory(1))]);
    cluster.placed.clear();
    cluster.change(in_directory(directory(1)));
    assert!(cluster.placed.is_empty());
}

#[test]
fn a_replica_whose_disk_is_full_is_left_to_others() {
    let mut cluster = with_directories();
    cluster.change(in_directory(directory(1)));
    cluster.placed.clear();
    cluster.log_dir(1, LogDirState::Full);
    assert_eq!(placed(&mut cluster), [(1, DIRECTORY_LOST)], "it leads, and others are in sync");
    cluster.change(PartitionChangeRecord {
        leader: 2,
        isr: Some(vec![2, 3]),
        ..in_directory(DIRECTORY_LOST)
    });
    assert!(cluster.placed.is_empty(), "the disk is still full");
    cluster.log_dir(1, LogDirState::Online);
    assert_eq!(placed(&mut cluster), [(1, directory(1))]);
    // The next leader is the last in sync: what it has it serves as long as it can be read.
    cluster.change(PartitionChangeRecord { isr: Some(vec![2]), ..in_directory(directory(1)) });
    cluster.log_dir(2, LogDirState::Full);
    assert!(cluster.placed.is_empty());
}

#[test]
fn a_replica_that_was_left_by_the_last_leads_again() {
    let mut cluster = with_directories();
    cluster.change(in_directory(directory(1)));
    cluster.log_dir(1, LogDirState::Full);
    cluster.placed.clear();
    // The others went before the controller heard of it.
    cluster.change(PartitionChangeRecord { leader: -1, isr: Some(vec![1]), ..in_directory(DIRECTORY_LOST) });
    assert_eq!(placed(&mut cluster), [(1, directory(1))]);
    cluster.change(in_directory(directory(1)));
    assert_eq!(placed(&mut cluster), [(1, directory(1))], "for the controller to elect");
}
