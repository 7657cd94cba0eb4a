//! Disks that are full, and directories that fail: nothing acknowledged is lost, what can be served is, and what was refused is
//! served again when its reason has gone.

mod cluster;
mod places;
mod writer;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::{DeleteRecordsRequest, ListOffsetsRequest};
use ottla_tests::peer::{Kind, Peer};

use places::{Small, bring_back, take_away};
use writer::{TOPIC, Writer, metadata_of};

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_heals() {
    let Some(disk) = Small::mount("full") else { return };
    let data = disk.0.join("data").display().to_string();
    let overrides = [
        ("log.dirs", data.as_str()),
        ("log.retention.check.interval.ms", "200"),
        ("log.initial.task.delay.ms", "200"),
    ];
    let mut peer = Peer::start(Kind::Ottla, &overrides);
    let mut writer = Writer::new(&[peer.address()]);
    let configs = [("segment.bytes", "1048576"), ("file.delete.delay.ms", "100"), ("retention.ms", "-1")];
    writer.client().create_topic(TOPIC, 2, &configs);

    let full = |writer: &mut Writer| {
        for partition in [0, 1] {
            while let Ok(()) = writer.write(partition) {}
            assert_eq!(writer.write(partition), Err(ErrorCode::KafkaStorageError));
        }
    };
    disk.take(5 << 20);
    full(&mut writer);
    disk.fill();
    // More than one look of the broker at the disk.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2_500) {
        full(&mut writer);
        writer.check(0, 0);
        writer.check(1, 0);
    }

    println!("room comes from elsewhere");
    disk.free();
    writer.write_at_last(0);
    writer.write_at_last(1);
    full(&mut writer);
    disk.fill();

    println!("room comes from deletion");
    let until = writer.acknowledged[&0].last_key_value().map(|(offset, _)| *offset).expect("written");
    let partition = DeleteRecordsPartition { partition_index: 0, offset: until };
    let topic = DeleteRecordsTopic { name: TOPIC.into(), partitions: vec![partition] };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 10_000 };
    let answer = writer.client().ask(&request, 2).expect("DeleteRecords is answered");
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    writer.write_at_last(0);
    writer.write_at_last(1);
    full(&mut writer);
    disk.fill();

    println!("kill -9 while it is full");
    peer.kill();
    disk.free();
    peer.restart();
    writer.write_at_last(0);

    println!("a start on a disk without room");
    peer.kill();
    disk.fill();
    peer.restart();
    // Both are read again once they are recovered, with what was in reserve.
    for partition in [0, 1] {
        let began = Instant::now();
        while let error @ ErrorCode::NotLeaderOrFollower = end(&mut writer, partition) {
            assert!(began.elapsed() < Duration::from_secs(30), "partition {partition}: still {error:?}");
        }
    }
    writer.check(0, until);
    writer.check(1, 0);
    full(&mut writer);
    disk.free();
    writer.write_at_last(0);
    writer.write_at_last(1);
    writer.check(0, until);
    writer.check(1, 0);
    assert!(peer.stop(), "a clean stop");
}

#[test]
fn a_directory_that_fails_goes_alone() {
    let place = std::env::temp_dir().join(format!("ottla-directories-{}", std::process::id()));
    let [kept, lost] = ["kept", "lost"].map(|name| place.join(name));
    fs::create_dir_all(&place).expect("a directory");
    let dirs = format!("{},{}", kept.display(), lost.display());
    let mut peer = Peer::start(Kind::Ottla, &[("log.dirs", &dirs)]);
    let mut writer = Writer::new(&[peer.address()]);
    writer.client().create_topic(TOPIC, 4, &[("segment.bytes", "1048576"), ("retention.ms", "-1")]);
    for _ in 0..5 {
        (0..4).for_each(|partition| writer.write_at_last(partition));
    }
    let is_in = |directory: &Path, partition: &i32| directory.join(format!("{TOPIC}-{partition}")).exists();
    let (staying, going): (Vec<i32>, Vec<i32>) = (0..4).partition(|partition| is_in(&kept, partition));
    assert!(
        !staying.is_empty() && going.iter().all(|partition| is_in(&lost, partition)),
        "{staying:?} {going:?}"
    );

    take_away(&lost);
    // The next segment cannot be made.
    let error = (0..50).find_map(|_| writer.write(going[0]).err());
    assert_eq!(error, Some(ErrorCode::KafkaStorageError));
    let served = |writer: &mut Writer| {
        for _ in 0..3 {
            for partition in &going {
                let error = writer.write(*partition).expect_err("its directory is offline");
                assert!(
                    matches!(error, ErrorCode::KafkaStorageError | ErrorCode::NotLeaderOrFollower),
                    "{error:?}"
                );
            }
            staying.iter().for_each(|partition| writer.write_at_last(*partition));
        }
        staying.iter().for_each(|partition| writer.check(*partition, 0));
    };
    // The other partition of the directory hears of it from the keeper of the directories, soon.
    let began = Instant::now();
    while going.iter().any(|partition| writer.write(*partition).is_ok()) {
        assert!(began.elapsed() < Duration::from_secs(30), "a partition of a failed directory is served");
    }
    served(&mut writer);

    println!("a start without it");
    peer.kill();
    peer.restart();
    served(&mut writer);

    println!("a start with it");
    assert!(peer.stop(), "a clean stop");
    bring_back(&lost);
    peer.restart();
    for partition in 0..4 {
        writer.write_at_last(partition);
        writer.check(partition, 0);
    }
    drop(peer);
    fs::remove_dir_all(&place).expect("removed");
}

/// What is answered to who asks where a partition ends.
fn end(writer: &mut Writer, partition: i32) -> ErrorCode {
    let asked = ListOffsetsPartition {
        partition_index: partition,
        timestamp: -1,
        current_leader_epoch: -1,
        ..Default::default()
    };
    let topic = ListOffsetsTopic { name: TOPIC.into(), partitions: vec![asked] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let ends = writer.client().until("an answer", |client| client.ask(&request, 5).ok());
    ErrorCode::from_code(ends.topics[0].partitions[0].error_code).expect("an error code of Kafka's")
}

/// What clients are told of a partition: by the metadata, and when they write or ask for its end.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    metadata: ErrorCode,
    has_leader: bool,
    isr: usize,
    offline: usize,
    write: Result<(), ErrorCode>,
    end: ErrorCode,
}

/// Which of the two Apache Kafka says of a directory that is gone depends on what it had heard of the leader when it looked for it.
fn either(error: ErrorCode) -> ErrorCode {
    if error == ErrorCode::KafkaStorageError { ErrorCode::NotLeaderOrFollower } else { error }
}

fn told(writer: &mut Writer, partition: i32) -> Told {
    let found = metadata_of(writer.client(), partition).expect("the partition");
    Told {
        metadata: ErrorCode::from_code(found.error_code).expect("an error code of Kafka's"),
        has_leader: found.leader_id >= 0,
        isr: found.isr_nodes.len(),
        offline: found.offline_replicas.len(),
        write: writer.write(partition).map_err(either),
        end: either(end(writer, partition)),
    }
}

/// A start without one of two directories; what is told of a partition in it, and of one in the other.
fn told_without_a_directory(kind: Kind) -> [Told; 2] {
    let place = std::env::temp_dir().join(format!("ottla-without-{kind:?}-{}", std::process::id()));
    let [kept, lost] = ["kept", "lost"].map(|name| place.join(name));
    fs::create_dir_all(&place).expect("a directory");
    let dirs = format!("{},{}", kept.display(), lost.display());
    let metadata = kept.display().to_string();
    let mut peer = Peer::start(kind, &[("log.dirs", &dirs), ("metadata.log.dir", &metadata)]);
    let mut writer = Writer::new(&[peer.address()]);
    writer.client().create_topic(TOPIC, 4, &[("retention.ms", "-1")]);
    (0..4).for_each(|partition| writer.write_at_last(partition));
    let is_lost = |partition: &i32| lost.join(format!("{TOPIC}-{partition}")).exists();
    let going = (0..4).find(is_lost).expect("a partition there");
    let staying = (0..4).find(|partition| !is_lost(partition)).expect("a partition here");
    assert!(peer.stop(), "a clean stop");
    take_away(&lost);
    peer.restart();
    writer.write_at_last(staying);
    writer.client().until("the controller to have heard of it", |client| {
        metadata_of(client, going).filter(|found| found.leader_id < 0 && !found.offline_replicas.is_empty())
    });
    let answers = [going, staying].map(|partition| told(&mut writer, partition));
    drop(peer);
    fs::remove_dir_all(&place).expect("removed");
    answers
}

#[test]
fn a_partition_without_its_directory_is_told_of_as_apache_kafka_does() {
    let of_kafka = told_without_a_directory(Kind::Kafka);
    println!("{of_kafka:#?}");
    assert_eq!(told_without_a_directory(Kind::Ottla), of_kafka);
}
