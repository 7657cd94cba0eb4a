//! `kill -9` in the middle of a mixed load with compaction on, again and again: no acknowledged record or commit is missing, an
//! idempotent producer's records are there once, compaction keeps the newest of each key and every offset, and the broker answers
//! again within a second.
//!
//! `OTTLA_KILL9_ROUNDS` (20) sets how often.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use ottla_core::record::Record;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::{FindCoordinatorRequest, OffsetCommitRequest, OffsetFetchRequest};
use ottla_tests::batch::Batch;
use ottla_tests::load::Client;
use ottla_tests::peer::{Kind, Peer, chosen};

const TOPIC: &str = "kill9";
const COMPACTED: &str = "kill9-compacted";
const GROUP: &str = "kill9";
const PARTITIONS: i32 = 4;
const COMPACTED_PARTITIONS: i32 = 2;
const KEYS: u64 = 16;
const ROUNDS: usize = 20;
/// Apache Kafka waits for its old session to end before it serves again: only Ottla is held to a second, and to what the disk itself takes.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// Syncs that a start waits for one after the other, with room.
const SYNCS_OF_A_START: u32 = 6;
/// The cleaner does not rest, and segments are ready for it after a moment.
const CLEANER: &[(&str, &str)] = &[("log.cleaner.backoff.ms", "50")];
const COMPACTING: &[(&str, &str)] =
    &[("cleanup.policy", "compact"), ("segment.ms", "100"), ("min.cleanable.dirty.ratio", "0.01")];

/// What a producer knows: the number that was acknowledged at each offset, and how many it sent.
struct Sent {
    acknowledged: BTreeMap<i64, u64>,
    count: u64,
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    let rounds =
        std::env::var("OTTLA_KILL9_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    for kind in chosen() {
        // Apache Kafka takes many seconds for each start.
        let rounds = if kind == Kind::Kafka { rounds.min(ROUNDS) } else { rounds };
        let mut peer = Peer::start(kind, CLEANER);
        let mut client = Client::new(peer.address());
        client.create_topic(TOPIC, PARTITIONS, &[]);
        client.create_topic(COMPACTED, COMPACTED_PARTITIONS, COMPACTING);
        let stop = Arc::new(AtomicBool::new(false));
        let start = |topic: &'static str, partition| {
            let (address, stop) = (peer.address(), Arc::clone(&stop));
            (topic, partition, thread::spawn(move || produce(address, topic, partition, &stop)))
        };
        let producers: Vec<(_, _, JoinHandle<Sent>)> = (0..PARTITIONS)
            .map(|partition| start(TOPIC, partition))
            .chain((0..COMPACTED_PARTITIONS).map(|partition| start(COMPACTED, partition)))
            .collect();
        let committer = {
            let (address, stop) = (peer.address(), Arc::clone(&stop));
            thread::spawn(move || commit(address, &stop))
        };
        let mut slowest = Duration::ZERO;
        for round in 1..=rounds {
            // A different moment each time, so that it falls into different places.
            thread::sleep(Duration::from_millis(150 + (round as u64 * 37) % 200));
            peer.kill();
            // What a broker has to mend when it starts is no fault.
            let checked = peer.checked();
            assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.err);
            let (answered, disk) = while_watching_the_disk(|| {
                peer.restart();
                peer.started_within()
            });
            println!("round {round}: answered after {answered:?}, a sync of the disk took up to {disk:?}");
            slowest = slowest.max(answered);
            let in_time = answered < ANSWERS_WITHIN + disk * SYNCS_OF_A_START;
            assert!(
                kind == Kind::Kafka || in_time,
                "first answer after {answered:?}, the disk syncs in {disk:?}"
            );
        }
        thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
        let (mut acknowledged, mut compacted_away) = (0, 0);
        for (topic, partition, producer) in producers {
            let sent = producer.join().expect("the producer ran");
            let found = client.read_from(topic, partition, 0);
            acknowledged += sent.acknowledged.len();
            if topic == COMPACTED {
                check_compacted(partition, &sent, &found);
                compacted_away += sent.acknowledged.len().saturating_sub(found.len());
            } else {
                check(partition, &sent, &found);
            }
        }
        let (known, asked) = committer.join().expect("the committer ran");
        let committed = committed(&mut client);
        assert!((known..=asked).contains(&committed), "committed {committed}, not {known}..={asked}");
        println!(
            "{kind:?}: {acknowledged} records acknowledged, {compacted_away} compacted away, {known} commits, \
             slowest first answer {slowest:?}"
        );
        assert!(acknowledged > rounds * 10 && known > rounds as i64, "too little load to prove anything");
        assert!(compacted_away > 0, "nothing was compacted");
    }
}

/// Does something, and says how long the slowest sync of a small file took meanwhile.
fn while_watching_the_disk<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let path = std::env::temp_dir().join(format!("ottla-kill9-sync-{}", std::process::id()));
    let is_over = AtomicBool::new(false);
    let sync = || {
        let mut slowest = Duration::ZERO;
        while !is_over.load(Ordering::Relaxed) {
            let start = Instant::now();
            let mut file = File::create(&path).expect("a file");
            file.write_all(b"x").and_then(|()| file.sync_all()).expect("it is synced");
            slowest = slowest.max(start.elapsed());
            thread::sleep(Duration::from_millis(5));
        }
        slowest
    };
    let (done, slowest) = thread::scope(|scope| {
        let watcher = scope.spawn(sync);
        let done = act();
        is_over.store(true, Ordering::Relaxed);
        (done, watcher.join().expect("the watcher ran"))
    });
    std::fs::remove_file(&path).expect("it is removed");
    (done, slowest)
}

/// Every acknowledged record is at its offset, no number is there twice, and all are in order.
fn check(partition: i32, sent: &Sent, found: &[Record]) {
    let at: BTreeMap<i64, u64> = found.iter().map(|record| (record.offset, number(record))).collect();
    for (offset, number) in &sent.acknowledged {
        assert_eq!(at.get(offset), Some(number), "partition {partition}: acknowledged record at {offset}");
    }
    let numbers: BTreeSet<u64> = found.iter().map(number).collect();
    assert_eq!(numbers.len(), found.len(), "partition {partition}: a record is there twice");
    assert!(found.iter().map(number).is_sorted(), "partition {partition}: out of order");
    assert!(numbers.iter().all(|&number| number < sent.count), "partition {partition}: nobody sent this");
    for (index, record) in found.iter().enumerate() {
        assert_eq!(record.offset, index as i64, "partition {partition}: offsets without gaps");
    }
}

/// The newest acknowledged record of each key is there, or a newer one; what is there is where it was acknowledged.
fn check_compacted(partition: i32, sent: &Sent, found: &[Record]) {
    assert!(found.is_sorted_by(|one, next| one.offset < next.offset), "partition {partition}: out of order");
    assert!(found.iter().map(number).is_sorted_by(|one, next| one < next), "partition {partition}: twice");
    for record in found {
        let acknowledged = sent.acknowledged.get(&record.offset);
        assert!(
            acknowledged.is_none_or(|acknowledged| *acknowledged == number(record)),
            "partition {partition}"
        );
        assert_eq!(record.key, Some(key(number(record))), "partition {partition}: another's key");
        assert!(number(record) < sent.count, "partition {partition}: nobody sent this");
    }
    for nth in 0..KEYS {
        let newest = sent.acknowledged.values().copied().filter(|number| number % KEYS == nth).max();
        let kept = found.iter().map(number).filter(|number| number % KEYS == nth).max();
        assert!(
            kept >= newest,
            "partition {partition}: of key {nth} {newest:?} was acknowledged, {kept:?} is there"
        );
    }
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("key {}", number % KEYS))
}

fn number(record: &Record) -> u64 {
    let text = std::str::from_utf8(record.value.as_deref().expect("a value")).expect("digits");
    text.parse().expect("a number")
}

/// Sends numbered records until told to stop, five a batch, each batch until it is acknowledged.
fn produce(address: SocketAddr, topic: &str, partition: i32, stop: &AtomicBool) -> Sent {
    let mut client = Client::new(address);
    let (id, epoch) = client.producer_id();
    let mut sent = Sent { acknowledged: BTreeMap::new(), count: 0 };
    while !stop.load(Ordering::Relaxed) {
        let first = sent.count;
        let record = |number| (Some(key(number)), Some(Bytes::from(format!("{number:020}"))));
        let batch = Batch { records: (first..first + 5).map(record).collect(), ..Batch::default() };
        // Segments are rolled by the records' time.
        let now = UNIX_EPOCH.elapsed().expect("after 1970").as_millis() as i64;
        let batch = batch.at(now).sequenced(id, epoch, first as i32);
        sent.count += 5;
        let base_offset = client.produce(topic, partition, &batch.encode());
        sent.acknowledged.extend((base_offset..).zip(first..first + 5));
    }
    sent
}

/// Commits 1, 2, 3, … until told to stop: the last that was acknowledged, and the last that was asked for.
fn commit(address: SocketAddr, stop: &AtomicBool) -> (i64, i64) {
    let mut client = Client::new(address);
    // Whoever looks for the coordinator has the offsets topic made.
    let find = FindCoordinatorRequest { key: GROUP.into(), ..Default::default() };
    client.until("a coordinator", |client| client.ask(&find, 3).ok().filter(|answer| answer.error_code == 0));
    let (mut acknowledged, mut asked) = (-1, 0);
    while !stop.load(Ordering::Relaxed) {
        asked += 1;
        let partition = OffsetCommitRequestPartition { committed_offset: asked, ..Default::default() };
        let topic = OffsetCommitRequestTopic {
            name: TOPIC.into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: GROUP.into(),
            generation_id_or_member_epoch: -1,
            group_instance_id: None,
            topics: vec![topic],
            ..Default::default()
        };
        // Version 8 still names its topics.
        if client.ask(&request, 8).is_ok_and(|answer| answer.topics[0].partitions[0].error_code == 0) {
            acknowledged = asked;
        } else {
            thread::sleep(Duration::from_millis(2));
        }
    }
    (acknowledged, asked)
}

fn committed(client: &mut Client) -> i64 {
    let topic =
        OffsetFetchRequestTopics { name: TOPIC.into(), partition_indexes: vec![0], ..Default::default() };
    let group = OffsetFetchRequestGroup {
        group_id: GROUP.into(),
        member_id: None,
        topics: Some(vec![topic]),
        ..Default::default()
    };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    client.until("the committed offset", |client| {
        let answer = client.ask(&request, 8).ok()?;
        let group = answer.groups.first().filter(|group| group.error_code == 0)?;
        Some(group.topics.first()?.partitions.first()?.committed_offset)
    })
}
