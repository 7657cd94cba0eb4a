//! A client that outlives its broker: it connects anew and asks again, so that what was acknowledged can be counted.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_core::record::{Compressors, Record, batches};
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{CreateTopicsRequest, FetchRequest, InitProducerIdRequest, ProduceRequest};
use ottla_protocol::{ErrorCode, Request};

use crate::wire::{ANSWER_MAX, Wire};

/// How long one thing is tried: a broker that starts needs less.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A connection that is made again when it breaks.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    answer_max: Duration,
    wire: Option<Wire>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self::with_patience(address, ANSWER_MAX)
    }

    /// One that waits so long for an answer.
    pub fn with_patience(address: SocketAddr, answer_max: Duration) -> Self {
        Self { address, answer_max, wire: None }
    }

    pub fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).into(),
            value: Some((*value).into()),
        };
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        let answer = self.ask(&request, 7).expect("CreateTopics is answered");
        assert_eq!(answer.topics[0].error_code, 0, "{:?}", answer.topics[0].error_message);
    }

    /// The id and epoch of an idempotent producer.
    pub fn producer_id(&mut self) -> (i64, i16) {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        self.until("a producer id", |client| {
            let answer = client.ask(&request, 4).ok().filter(|answer| answer.error_code == 0)?;
            Some((answer.producer_id, answer.producer_epoch))
        })
    }

    /// Sends a batch until it is acknowledged; its base offset.
    pub fn produce(&mut self, topic: &str, index: i32, batch: &Bytes) -> i64 {
        self.until("an acknowledgement", |client| match client.try_produce(topic, index, batch) {
            Ok(Ok(base_offset)) => Some(base_offset),
            Ok(Err(
                ErrorCode::NotLeaderOrFollower
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::LeaderNotAvailable
                | ErrorCode::KafkaStorageError
                | ErrorCode::RequestTimedOut,
            ))
            | Err(_) => None,
            Ok(Err(other)) => panic!("{topic}-{index}: {other:?}"),
        })
    }

    /// Sends a batch once with acks=all: its base offset, or why not.
    pub fn try_produce(
        &mut self,
        topic: &str,
        index: i32,
        batch: &Bytes,
    ) -> io::Result<Result<i64, ErrorCode>> {
        let partition = PartitionProduceData { index, records: batch.clone().into() };
        let topic =
            TopicProduceData { name: topic.into(), partition_data: vec![partition], ..Default::default() };
        let request =
            ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() };
        // Version 9 still names its topics.
        let answer = self.ask(&request, 9)?;
        let part = &answer.responses[0].partition_responses[0];
        Ok(match ErrorCode::from_code(part.error_code) {
            Some(ErrorCode::None) => Ok(part.base_offset),
            Some(error) => Err(error),
            None => return Err(io::Error::other(format!("error code {}", part.error_code))),
        })
    }

    /// The records of a partition from an offset on.
    pub fn read_from(&mut self, topic: &str, partition: i32, mut fetch_offset: i64) -> Vec<Record> {
        let mut records = Vec::<Record>::new();
        loop {
            let asked = FetchPartition {
                partition,
                fetch_offset,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            };
            let topic = FetchTopic { topic: topic.into(), partitions: vec![asked], ..Default::default() };
            let request = FetchRequest { max_wait_ms: 100, topics: vec![topic], ..Default::default() };
            let part = self.until("records", |client| {
                // Version 12 is the last that names its topics.
                let mut answer = client.ask(&request, 12).ok()?;
                Some(answer.responses.pop()?.partitions.pop().expect("a partition"))
            });
            assert_eq!(part.error_code, 0, "fetch from {fetch_offset}");
            for batch in part.records.bytes().into_iter().flat_map(batches) {
                // The last one may be cut off.
                let Ok(batch) = batch else { break };
                fetch_offset = batch.view().header().next_offset();
                let read = batch.records(&Compressors::default()).expect("records");
                records.extend(read.map(|record| record.expect("a record")));
            }
            if fetch_offset >= part.high_watermark {
                return records;
            }
        }
    }

    pub fn ask<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response> {
        let wire = match self.wire.take() {
            Some(wire) => self.wire.insert(wire),
            None => self.wire.insert(Wire::connect_within(self.address, self.answer_max)?),
        };
        let answer = wire.call(request, version);
        if answer.is_err() {
            self.wire = None;
        }
        answer
    }

    /// Tries until there is an answer.
    pub fn until<T>(&mut self, what: &str, mut attempt: impl FnMut(&mut Self) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(done) = attempt(self) {
                return done;
            }
            assert!(started.elapsed() < RETRY_MAX, "no {what} within {RETRY_MAX:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }
}
