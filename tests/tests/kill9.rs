//! `kill -9` in the middle of acks=all load, again and again: no acknowledged record is missing, an idempotent
//! producer's records are there once, and the broker answers again within a second.
//!
//! `OTTLA_KILL9_ROUNDS` (20) sets how often.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{FetchRequest, InitProducerIdRequest, ProduceRequest};
use ottla_protocol::{Decoder, Encoder, ErrorCode, Message, Request, ResponseHeader, encode_request};
use ottla_tests::batch::Batch;
use ottla_tests::peer::{Kind, Peer, chosen};
use ottla_tests::wire::{Wire, create_topic};

const TOPIC: &str = "kill9";
const PARTITIONS: i32 = 4;
const ROUNDS: usize = 20;
/// Apache Kafka waits for its old session to end before it serves again: only Ottla is held to a second.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// How long a producer goes on trying one batch: a broker that starts needs less.
const RETRY_MAX: Duration = Duration::from_secs(60);

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    let rounds =
        std::env::var("OTTLA_KILL9_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    for kind in chosen() {
        let mut peer = Peer::start(kind, &[]);
        create_topic(peer.address(), TOPIC, PARTITIONS);
        let stop = Arc::new(AtomicBool::new(false));
        let producers: Vec<_> = (0..PARTITIONS)
            .map(|partition| {
                let (address, stop) = (peer.address(), Arc::clone(&stop));
                thread::spawn(move || produce(address, partition, &stop))
            })
            .collect();
        let mut slowest = Duration::ZERO;
        for round in 1..=rounds {
            // A different moment each time, so that it falls into different places.
            thread::sleep(Duration::from_millis(150 + (round as u64 * 37) % 200));
            peer.kill();
            peer.restart();
            println!("round {round}: answered after {:?}", peer.started_within());
            slowest = slowest.max(peer.started_within());
        }
        thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
        let mut acknowledged_all = 0;
        for (partition, producer) in producers.into_iter().enumerate() {
            let (acknowledged, sent) = producer.join().expect("the producer ran");
            let found = read(peer.address(), partition as i32);
            check(partition, &acknowledged, sent, &found);
            acknowledged_all += acknowledged.len();
        }
        println!("{kind:?}: {acknowledged_all} records acknowledged, slowest first answer {slowest:?}");
        assert!(acknowledged_all > rounds * 10, "too little load to prove anything");
        assert!(kind == Kind::Kafka || slowest < ANSWERS_WITHIN, "first answer after {slowest:?}");
    }
}

/// Every acknowledged record is at its offset, no sequence number is there twice, and all are in order.
fn check(partition: usize, acknowledged: &BTreeMap<i64, u64>, sent: u64, found: &[(i64, u64)]) {
    let at: BTreeMap<i64, u64> = found.iter().copied().collect();
    for (offset, number) in acknowledged {
        assert_eq!(at.get(offset), Some(number), "partition {partition}: acknowledged record at {offset}");
    }
    let numbers: BTreeSet<u64> = found.iter().map(|&(_, number)| number).collect();
    assert_eq!(numbers.len(), found.len(), "partition {partition}: a record is there twice");
    assert!(found.iter().map(|&(_, number)| number).is_sorted(), "partition {partition}: out of order");
    assert!(numbers.iter().all(|&number| number < sent), "partition {partition}: a record nobody sent");
    for (index, &(offset, _)) in found.iter().enumerate() {
        assert_eq!(offset, index as i64, "partition {partition}: offsets without gaps");
    }
}

/// Sends numbered records until told to stop, five a batch, each batch until it is acknowledged.
/// Gives the acknowledged records by offset, and how many were sent.
fn produce(address: SocketAddr, partition: i32, stop: &AtomicBool) -> (BTreeMap<i64, u64>, u64) {
    let mut client = Client { address, wire: None };
    let producer = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let started = Instant::now();
    let (id, epoch) = loop {
        let answer = client.ask(&producer, 4);
        match answer {
            Ok(answer) if answer.error_code == 0 => break (answer.producer_id, answer.producer_epoch),
            _ => assert!(started.elapsed() < RETRY_MAX, "no producer id"),
        }
    };
    let (mut acknowledged, mut next) = (BTreeMap::new(), 0_u64);
    while !stop.load(Ordering::Relaxed) {
        let records = (next..next + 5).map(|n| (None, Some(Bytes::from(format!("{n:020}"))))).collect();
        let batch = Batch { records, ..Batch::default() }.sequenced(id, epoch, next as i32);
        let base_offset = client.produce(partition, &batch.encode());
        for (delta, number) in (next..next + 5).enumerate() {
            acknowledged.insert(base_offset + delta as i64, number);
        }
        next += 5;
    }
    (acknowledged, next)
}

/// Reads a partition to its end: (offset, number) of each record.
fn read(address: SocketAddr, partition: i32) -> Vec<(i64, u64)> {
    let mut client = Client { address, wire: None };
    let mut records = Vec::new();
    loop {
        let fetch_offset = records.last().map_or(0, |&(offset, _): &(i64, u64)| offset + 1);
        let asked =
            FetchPartition { partition, fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
        let topic = FetchTopic { topic: TOPIC.into(), partitions: vec![asked], ..Default::default() };
        let request = FetchRequest { max_wait_ms: 100, topics: vec![topic], ..Default::default() };
        // Version 12 is the last that names its topics.
        let answer = client.ask(&request, 12).expect("Fetch is answered");
        let part = &answer.responses[0].partitions[0];
        assert_eq!(part.error_code, 0, "fetch from {fetch_offset}");
        records.extend(part.records.bytes().into_iter().flat_map(numbers));
        if records.last().map_or(0, |&(offset, _)| offset + 1) >= part.high_watermark {
            return records;
        }
    }
}

/// The records of uncompressed batches with fixed-width values: enough for what [`produce`] sent.
fn numbers(batches: &Bytes) -> Vec<(i64, u64)> {
    let mut records = Vec::new();
    let mut rest = &batches[..];
    while rest.len() >= 61 {
        let base = i64::from_be_bytes(rest[..8].try_into().expect("eight bytes"));
        let length = 12 + i32::from_be_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        if rest.len() < length {
            break;
        }
        // Length, attributes, timestamp delta, offset delta, null key, value length, value, no headers:
        // one byte each but for the value.
        for (delta, record) in rest[61..length].chunks_exact(1 + 26).enumerate() {
            let number = std::str::from_utf8(&record[6..26]).expect("digits").parse().expect("a number");
            records.push((base + delta as i64, number));
        }
        rest = &rest[length..];
    }
    records
}

/// A connection that is made again when it breaks.
struct Client {
    address: SocketAddr,
    wire: Option<Wire>,
}

impl Client {
    /// Sends a batch until it is acknowledged; its base offset.
    fn produce(&mut self, index: i32, batch: &Bytes) -> i64 {
        let partition = PartitionProduceData { index, records: batch.clone().into() };
        let topic =
            TopicProduceData { name: TOPIC.into(), partition_data: vec![partition], ..Default::default() };
        let request =
            ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() };
        let started = Instant::now();
        loop {
            // Version 9 still names its topics.
            if let Ok(answer) = self.ask(&request, 9) {
                let part = &answer.responses[0].partition_responses[0];
                match ErrorCode::from_code(part.error_code) {
                    Some(ErrorCode::None) => return part.base_offset,
                    Some(
                        ErrorCode::NotLeaderOrFollower
                        | ErrorCode::UnknownTopicOrPartition
                        | ErrorCode::LeaderNotAvailable
                        | ErrorCode::KafkaStorageError
                        | ErrorCode::RequestTimedOut,
                    ) => {}
                    other => panic!("partition {index}: {other:?}"),
                }
            }
            assert!(started.elapsed() < RETRY_MAX, "partition {index}: not acknowledged");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn ask<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response> {
        let mut encoder = Encoder::new();
        encode_request(&mut encoder, version, 1, Some("kill9".into()), request).map_err(io::Error::other)?;
        let frame = encoder.into_bytes().map_err(io::Error::other)?;
        let wire = match self.wire.take() {
            Some(wire) => self.wire.insert(wire),
            None => self.wire.insert(Wire::connect(self.address)?),
        };
        let answer = wire.ask(&frame[4..]);
        if answer.is_err() {
            self.wire = None;
        }
        let mut decoder = Decoder::new(answer?);
        let header = R::API_KEY.response_header_version(version);
        ResponseHeader::decode(&mut decoder, header).map_err(io::Error::other)?;
        R::Response::decode(&mut decoder, version).map_err(io::Error::other)
    }
}
