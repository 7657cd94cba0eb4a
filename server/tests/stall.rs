//! A disk that stalls under one shard for a second: other shards, groups, metadata and the page do not notice.

#[allow(dead_code)]
mod kafka;

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_core::ids::TopicIdPartition;
use ottla_core::log::store::{Entry, LogStore, StoreError};
use ottla_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_protocol::messages::sync_group_request::SyncGroupRequest;
use ottla_server::store::{Durable, File, FileStore, Slice};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const STALL: Duration = Duration::from_millis(1_000);
/// What nobody else may exceed. The machine that runs the tests is shared: an undisturbed answer takes well under a
/// millisecond, a disturbed one a second.
const UNNOTICED: Duration = Duration::from_millis(700);

/// Files, one of which takes a second for every append while `is_stalling`.
#[derive(Clone, Debug)]
struct StallingStore {
    files: FileStore,
    of: &'static str,
    is_stalling: Arc<AtomicBool>,
    stalls: Arc<AtomicUsize>,
}

impl LogStore for StallingStore {
    type File = File;
    type Slice = Slice;

    fn append(&mut self, file: &File, parts: &[IoSlice<'_>]) -> Result<(), StoreError> {
        if self.is_stalling.load(Ordering::SeqCst) && format!("{file:?}").contains(self.of) {
            self.stalls.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(STALL);
        }
        self.files.append(file, parts)
    }

    fn create_dir(&mut self, path: &str) -> Result<(), StoreError> {
        self.files.create_dir(path)
    }
    fn list(&mut self, path: &str) -> Result<Vec<Entry>, StoreError> {
        self.files.list(path)
    }
    fn create(&mut self, path: &str) -> Result<File, StoreError> {
        self.files.create(path)
    }
    fn open(&mut self, path: &str) -> Result<File, StoreError> {
        self.files.open(path)
    }
    fn len(&mut self, file: &File) -> Result<u64, StoreError> {
        self.files.len(file)
    }
    fn read_at(&mut self, file: &File, at: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.files.read_at(file, at, into)
    }
    fn slice(&mut self, file: &File, range: Range<u64>) -> Result<Slice, StoreError> {
        self.files.slice(file, range)
    }
    fn read_slice(&mut self, slice: &Slice) -> Result<Bytes, StoreError> {
        self.files.read_slice(slice)
    }
    fn truncate(&mut self, file: &File, len: u64) -> Result<(), StoreError> {
        self.files.truncate(file, len)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), StoreError> {
        self.files.rename(from, to)
    }
    fn remove(&mut self, path: &str) -> Result<(), StoreError> {
        self.files.remove(path)
    }
}

impl Durable for StallingStore {
    fn sync_file(&self, file: &File) -> Result<(), StoreError> {
        self.files.sync_file(file)
    }
    fn sync_directory(&self, path: &str) -> Result<(), StoreError> {
        self.files.sync_directory(path)
    }
    fn sync_tree(&self, path: &str) -> Result<(), StoreError> {
        self.files.sync_tree(path)
    }
}

const PARTITIONS: i32 = 24;
const SHARDS: u16 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_stalled_shard_delays_nobody_else() {
    let directory = tempfile::tempdir().expect("directory");
    let is_stalling = Arc::new(AtomicBool::new(false));
    let stalls = Arc::new(AtomicUsize::new(0));
    let store = StallingStore {
        files: FileStore::default(),
        of: "/t-0/",
        is_stalling: Arc::clone(&is_stalling),
        stalls: Arc::clone(&stalls),
    };
    let shards = SHARDS.to_string();
    let path = directory.path().display().to_string();
    let node =
        kafka::start(store, &path, &[("ottla.shards", &shards), ("offsets.topic.num.partitions", "8")]).await;
    let page = node.serve_http().await.port();
    let mut client = node.connect().await;
    client.create_topic("t", PARTITIONS).await;
    let shard_of = shards_of(&mut client).await;
    let group = group_elsewhere(&mut client, shard_of[0]).await;
    for (partition, _) in (0..).zip(&shard_of) {
        client.produce("t", partition, b"before").await.expect("produced");
    }

    is_stalling.store(true, Ordering::SeqCst);
    let begin = Instant::now();
    let mut stalled = Vec::new();
    for _ in 0..3 {
        // Several clients wait for the same shard at once.
        let mut client = node.connect().await;
        stalled.push(tokio::spawn(async move {
            client.produce("t", 0, b"stalled").await.expect("produced");
            begin.elapsed()
        }));
    }
    while stalls.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut slowest: Vec<(Duration, &str)> = Vec::new();
    while begin.elapsed() < STALL * 2 {
        for (partition, shard) in (0..).zip(&shard_of) {
            if *shard != shard_of[0] {
                slowest.push((timed(client.produce("t", partition, b"meanwhile")).await, "produce"));
            }
        }
        let heartbeat = HeartbeatRequest { group_id: group.id.as_str().into(), ..group.heartbeat() };
        slowest.push((timed(client.call(4, &heartbeat)).await, "heartbeat"));
        slowest.push((timed(client.call(12, &MetadataRequest::default())).await, "metadata"));
        slowest.push((timed(get(page, "/health")).await, "page"));
        slowest.push((timed(node.connect()).await, "connect"));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    is_stalling.store(false, Ordering::SeqCst);
    slowest.sort();
    let worst = slowest.last().expect("some");
    assert!(slowest.len() > 100, "only {} answers", slowest.len());
    assert!(worst.0 < UNNOTICED, "{worst:?}, {:?}", &slowest[slowest.len() - 10..]);
    for stalled in stalled {
        assert!(stalled.await.expect("answered in the end") >= STALL);
    }
    node.stop().await;
}

async fn timed<T>(action: impl Future<Output = T>) -> Duration {
    let begin = Instant::now();
    action.await;
    begin.elapsed()
}

/// The shard of each partition of `t`.
async fn shards_of(client: &mut kafka::Client) -> Vec<u16> {
    let topics = vec![MetadataRequestTopic { name: Some("t".into()), ..Default::default() }];
    let metadata = client.call(12, &MetadataRequest { topics: Some(topics), ..Default::default() }).await;
    let topic_id = metadata.topics[0].topic_id;
    (0..PARTITIONS).map(|partition| TopicIdPartition { topic_id, partition }.shard(SHARDS).0).collect()
}

struct Group {
    id: String,
    member_id: String,
    generation_id: i32,
}

impl Group {
    fn heartbeat(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: self.id.as_str().into(),
            generation_id: self.generation_id,
            member_id: self.member_id.as_str().into(),
            ..HeartbeatRequest::default()
        }
    }
}

/// A group of one member whose coordinator is on another shard than `stalled`.
async fn group_elsewhere(client: &mut kafka::Client, stalled: u16) -> Group {
    // The first lookup makes the topic of the coordinators.
    loop {
        let request = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
        if client.call(4, &request).await.coordinators[0].error_code == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let topics = vec![MetadataRequestTopic { name: Some("__consumer_offsets".into()), ..Default::default() }];
    let metadata = client.call(12, &MetadataRequest { topics: Some(topics), ..Default::default() }).await;
    let topic_id = metadata.topics[0].topic_id;
    let id = (0..)
        .map(|number| format!("group-{number}"))
        .find(|id| {
            let hash =
                id.bytes().fold(0_i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte)));
            let partition = (hash & i32::MAX) % 8;
            TopicIdPartition { topic_id, partition }.shard(SHARDS).0 != stalled
        })
        .expect("some group is elsewhere");
    let mut member_id = String::new();
    loop {
        let protocols =
            vec![JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::from_static(b"m") }];
        let request = JoinGroupRequest {
            group_id: id.as_str().into(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            member_id: member_id.as_str().into(),
            protocol_type: "consumer".into(),
            protocols,
            ..Default::default()
        };
        let joined = client.call(9, &request).await;
        member_id = joined.member_id.to_string();
        if joined.error_code == 0 {
            let generation_id = joined.generation_id;
            let request = SyncGroupRequest {
                group_id: id.as_str().into(),
                generation_id,
                member_id: member_id.as_str().into(),
                protocol_type: Some("consumer".into()),
                protocol_name: Some("range".into()),
                ..Default::default()
            };
            assert_eq!(client.call(5, &request).await.error_code, 0);
            return Group { id, member_id, generation_id };
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("read");
    response
}
