//! A node over files: what a client wrote is there after a clean stop and after none.

#[allow(dead_code)]
mod kafka;

use std::time::{Duration, Instant};

use ottla_core::record::compression::Compressors;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla_protocol::{ErrorCode, Records};
use ottla_server::store::FileStore;

fn fetch_request(offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partitions = vec![FetchPartition {
        partition: 0,
        fetch_offset: offset,
        partition_max_bytes: 50_000_000,
        ..Default::default()
    }];
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 50_000_000,
        topics: vec![FetchTopic { topic: "t".into(), partitions, ..Default::default() }],
        ..FetchRequest::default()
    }
}

/// The values from `offset` on.
async fn fetch(client: &mut kafka::Client, offset: i64) -> Vec<Vec<u8>> {
    let response = client.call(12, &fetch_request(offset, 100)).await;
    let partition = &response.responses[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    let Records::Bytes(records) = &partition.records else { return Vec::new() };
    kafka::values(records, &Compressors::default())
}

/// Where the partition ends; asked again, as clients do, while it is not open yet.
async fn end_offset(client: &mut kafka::Client) -> i64 {
    let partitions = vec![ListOffsetsPartition { partition_index: 0, timestamp: -1, ..Default::default() }];
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions }];
    let request = ListOffsetsRequest { topics, replica_id: -1, ..Default::default() };
    loop {
        let response = client.call(7, &request).await;
        let partition = &response.topics[0].partitions[0];
        if partition.error_code != ErrorCode::NotLeaderOrFollower.code() {
            return partition.offset;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn records_survive_stops_of_both_kinds() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().display().to_string();
    // One record is small, one is long enough to leave by sendfile.
    let long = vec![b'x'; 300_000];
    let mut expected: Vec<Vec<u8>> = Vec::new();
    for round in 0..4 {
        let node = kafka::start(FileStore::default(), &path, &[]).await;
        let mut client = node.connect().await;
        if round == 0 {
            client.create_topic("t", 1).await;
        }
        assert_eq!(end_offset(&mut client).await, expected.len() as i64, "round {round}");
        for value in [format!("small {round}").as_bytes(), &long] {
            assert_eq!(client.produce("t", 0, value).await, Ok(expected.len() as i64));
            expected.push(value.to_vec());
        }
        assert!(fetch(&mut client, 0).await == expected, "round {round}");
        let last = expected.len() - 1;
        assert!(fetch(&mut client, last as i64).await == expected[last..], "round {round}");
        drop(client);
        let clean = directory.path().join(".kafka_cleanshutdown");
        if round % 2 == 0 {
            node.stop().await;
            assert!(clean.exists(), "after a clean stop");
        } else {
            node.kill();
            assert!(!clean.exists(), "while a node runs");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fetch_waits_for_news_and_no_longer() {
    let directory = tempfile::tempdir().expect("directory");
    let node = kafka::start(FileStore::default(), &directory.path().display().to_string(), &[]).await;
    let (mut consumer, mut producer) = (node.connect().await, node.connect().await);
    producer.create_topic("t", 1).await;

    let begin = Instant::now();
    let empty = consumer.call(12, &fetch_request(0, 300)).await;
    assert_eq!(empty.responses.first().map_or(0, |topic| topic.partitions[0].error_code), 0);
    assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_millis(2_000), "{:?}", begin.elapsed());

    let begin = Instant::now();
    consumer.send(12, &fetch_request(0, 20_000)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    producer.produce("t", 0, b"news").await.expect("produced");
    let response = consumer.receive::<FetchRequest>(12).await;
    assert!(matches!(response.responses[0].partitions[0].records, Records::Bytes(_)));
    assert!(begin.elapsed() < Duration::from_millis(5_000), "{:?}", begin.elapsed());
    node.stop().await;
}
