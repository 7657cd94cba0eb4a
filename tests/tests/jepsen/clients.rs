//! Producers and consumers that follow the leaders and write down what they are told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ottla_core::record::{Compressors, batches};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{FetchRequest, InitProducerIdRequest, MetadataRequest};
use ottla_tests::batch::Batch;
use ottla_tests::load::Client;

use super::TOPIC;
use super::history::{Read, Written};

/// How long one answer is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// How long one thing is tried: no fault lasts as long.
const GIVE_UP: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// What all clients of a run know.
#[derive(Debug)]
pub struct Shared {
    brokers: Vec<SocketAddr>,
    is_over: AtomicBool,
    has_failed: AtomicBool,
}

/// Says that a thread ended in a panic.
struct Alarm<'a>(&'a Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.has_failed.store(true, Ordering::Relaxed);
        }
    }
}

impl Shared {
    pub fn new(brokers: Vec<SocketAddr>) -> Self {
        Self { brokers, is_over: AtomicBool::new(false), has_failed: AtomicBool::new(false) }
    }

    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    #[track_caller]
    pub fn assert_nobody_gave_up(&self) {
        assert!(!self.has_failed.load(Ordering::Relaxed), "a client saw what cannot be");
    }
}

/// A client of one partition.
struct Partition {
    index: i32,
    clients: Vec<Client>,
    /// Who leads, and in which epoch; epochs never go back.
    leader: Option<usize>,
    epoch: i32,
}

impl Partition {
    fn new(shared: &Shared, index: i32) -> Self {
        let clients = shared.brokers.iter().map(|address| Client::with_patience(*address, ANSWER_MAX));
        Self { index, clients: clients.collect(), leader: None, epoch: 0 }
    }

    /// The leader's client, once somebody knows it.
    fn leader(&mut self) -> Option<&mut Client> {
        if self.leader.is_none() {
            self.look();
        }
        self.clients.get_mut(self.leader?)
    }

    /// Asks somebody else the next time.
    fn lost(&mut self) {
        self.leader = None;
        thread::sleep(PAUSE);
    }

    /// Asks all until one knows an epoch that is no older than what is known.
    fn look(&mut self) {
        let topic = MetadataRequestTopic { name: Some(TOPIC.into()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        for asked in 0..self.clients.len() {
            let Ok(mut answer) = self.clients[asked].ask(&request, 9) else { continue };
            let Some(topic) = answer.topics.pop() else { continue };
            let found = topic.partitions.iter().find(|one| one.partition_index == self.index);
            let Some(found) = found.filter(|found| found.leader_epoch >= self.epoch) else { continue };
            if let Ok(leader @ 1..) = usize::try_from(found.leader_id) {
                (self.leader, self.epoch) = (Some(leader - 1), found.leader_epoch);
                return;
            }
        }
    }

    fn until<T>(&mut self, what: &str, mut attempt: impl FnMut(&mut Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(done) = attempt(self) {
                return done;
            }
            assert!(began.elapsed() < GIVE_UP, "partition {}: no {what} within {GIVE_UP:?}", self.index);
            self.lost();
        }
    }

    fn producer_id(&mut self) -> (i64, i16) {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        self.until("producer id", |partition| {
            let answer = partition.leader()?.ask(&request, 4).ok()?;
            (answer.error_code == 0).then_some((answer.producer_id, answer.producer_epoch))
        })
    }

    /// Sends a batch until it is acknowledged: its base offset.
    fn produce(&mut self, batch: &Bytes) -> i64 {
        self.until("acknowledgement", |partition| {
            let index = partition.index;
            match partition.leader()?.try_produce(TOPIC, index, batch) {
                Ok(Ok(base_offset)) => Some(base_offset),
                Ok(Err(
                    ErrorCode::NotLeaderOrFollower
                    | ErrorCode::UnknownTopicOrPartition
                    | ErrorCode::LeaderNotAvailable
                    | ErrorCode::NotEnoughReplicas
                    | ErrorCode::NotEnoughReplicasAfterAppend
                    | ErrorCode::KafkaStorageError
                    | ErrorCode::RequestTimedOut,
                ))
                | Err(_) => None,
                Ok(Err(other)) => panic!("partition {index}: {other:?}"),
            }
        })
    }

    /// What is committed from an offset on, or nothing where the leader changes just now.
    fn fetch(&mut self, fetch_offset: i64) -> Option<Vec<(i64, String)>> {
        let (partition, current_leader_epoch) = (self.index, self.epoch);
        let leader = self.leader()?;
        let asked = FetchPartition {
            partition,
            fetch_offset,
            current_leader_epoch,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let topic = FetchTopic { topic: TOPIC.into(), partitions: vec![asked], ..Default::default() };
        let request =
            FetchRequest { max_wait_ms: 100, min_bytes: 1, topics: vec![topic], ..Default::default() };
        // Version 12 is the last that names its topics.
        let part = leader.ask(&request, 12).ok()?.responses.pop()?.partitions.pop()?;
        match ErrorCode::from_code(part.error_code) {
            Some(ErrorCode::None) => {}
            Some(ErrorCode::OffsetOutOfRange) => {
                panic!("partition {partition}: offset {fetch_offset} was shown and is not there any more")
            }
            _ => return None,
        }
        let mut found = Vec::new();
        for batch in part.records.bytes().into_iter().flat_map(batches) {
            // The last one may be cut off.
            let Ok(batch) = batch else { break };
            let read = batch.records(&Compressors::default()).expect("records");
            for record in read.map(|record| record.expect("a record")) {
                let value = String::from_utf8_lossy(record.value.as_deref().expect("a value")).into_owned();
                if record.offset >= fetch_offset {
                    found.push((record.offset, value));
                }
            }
        }
        Some(found)
    }
}

/// Writes batches of one to three numbers, one after the other, until the end; the last is acknowledged, too.
pub fn produce(shared: &Shared, index: i32, number: u64) -> Written {
    let _alarm = Alarm(shared);
    let mut partition = Partition::new(shared, index);
    let (producer_id, producer_epoch) = partition.producer_id();
    let mut written = Written { name: format!("{index}.{number}"), ..Written::default() };
    let mut sequence = 0;
    while !shared.is_over() {
        let count = 1 + sequence % 3;
        let values: Vec<String> =
            (sequence..sequence + count).map(|number| format!("{}-{number}", written.name)).collect();
        let records = values.iter().map(|value| (None, Some(Bytes::from(value.clone())))).collect();
        let batch = Batch { records, ..Batch::default() }.at(now_ms());
        let batch = batch.sequenced(producer_id, producer_epoch, sequence);
        written.acknowledged.push((partition.produce(&batch.encode()), values));
        sequence += count;
        thread::sleep(Duration::from_millis(2));
    }
    written
}

/// Records of long ago would be deleted.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// Reads along until the end, and from time to time again what it has read.
pub fn consume(shared: &Shared, index: i32) -> Read {
    let _alarm = Alarm(shared);
    let (mut partition, mut read) = (Partition::new(shared, index), Read::default());
    let mut next = 0;
    for poll in 0_i64.. {
        if shared.is_over() {
            break;
        }
        let again = poll % 16 == 15;
        let from = if again { next / 2 } else { next };
        let Some(found) = partition.fetch(from) else {
            partition.lost();
            continue;
        };
        for (at, (offset, value)) in (from..).zip(found) {
            assert_eq!(offset, at, "partition {index}: an offset is missing");
            read.shows(offset, value);
            next = next.max(offset + 1);
        }
        thread::sleep(Duration::from_millis(5));
    }
    read
}

/// All that is committed once nothing is written any more: until nothing comes.
pub fn read_all(shared: &Shared, index: i32) -> Vec<(i64, String)> {
    let mut partition = Partition::new(shared, index);
    let mut log: Vec<(i64, String)> = Vec::new();
    loop {
        let from = log.last().map_or(0, |(offset, _)| offset + 1);
        let found = partition.until("records", |partition| partition.fetch(from));
        if found.is_empty() {
            return log;
        }
        log.extend(found);
    }
}
