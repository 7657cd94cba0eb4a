//! Three nodes, each a controller and a broker, killed in turn under load.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{FetchRequest, MetadataRequest, ProduceRequest};
use ottla_protocol::{ErrorCode, Request};
use ottla_tests::batch::Batch;
use ottla_tests::peer::Kind::{self, Kafka, Ottla};
use ottla_tests::peer::cluster::{Cluster, Quorum, Roles};
use ottla_tests::wire::{ANSWER_MAX, create_topic, frame, response};
use tungstenite::{Error, HandshakeError, Message, WebSocket};

const TOPIC: &str = "cluster";
const PARTITIONS: usize = 3;
const REPLICATION: &[(&str, &str)] = &[
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("offsets.topic.replication.factor", "3"),
    ("group.initial.rebalance.delay.ms", "0"),
];

/// Writes numbers with an idempotent producer until it is told to stop: how many.
fn produce(brokers: &str, is_over: &AtomicBool) -> u64 {
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", brokers, "-P", "-E", "-t", TOPIC, "-X", "enable.idempotence=true", "-X", "linger.ms=5"]);
    let mut kcat = kcat.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kcat runs");
    let mut input = kcat.stdin.take().expect("piped");
    let mut written = 0;
    'load: while !is_over.load(Ordering::Relaxed) {
        for _ in 0..20 {
            // What it says at its end tells why it takes no more.
            if writeln!(input, "{written}").is_err() {
                break 'load;
            }
            written += 1;
        }
        thread::sleep(Duration::from_millis(10));
    }
    drop(input);
    let ended = kcat.wait_with_output().expect("kcat ends");
    assert!(ended.status.success(), "some were not delivered: {}", String::from_utf8_lossy(&ended.stderr));
    written
}

/// All records: the partition and what it holds, in order.
fn consume(brokers: &str) -> BTreeMap<usize, Vec<u64>> {
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", brokers, "-C", "-t", TOPIC, "-o", "beginning", "-e", "-q", "-f", "%p %s\\n"]);
    let said = kcat.output().expect("kcat runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let mut found: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&said.stdout).lines() {
        let (partition, number) = line.split_once(' ').expect("a partition and a number");
        let (partition, number) =
            (partition.parse().expect("a partition"), number.parse().expect("a number"));
        found.entry(partition).or_default().push(number);
    }
    found
}

#[test]
fn a_cluster_loses_nothing_while_its_nodes_are_killed() {
    loses_nothing(&[Ottla, Ottla, Ottla], &[1, 2, 3, 1, 2, 3]);
}

#[test]
fn a_cluster_with_apache_kafka_in_it_loses_nothing_while_its_nodes_are_killed() {
    loses_nothing(&[Ottla, Kafka, Ottla], &[1, 2, 3]);
}

fn loses_nothing(kinds: &[Kind], killed: &[usize]) {
    let mut cluster = Cluster::start(kinds, Roles::Both, REPLICATION);
    let partitions = PARTITIONS.to_string();
    cluster.until_created(TOPIC, &partitions);
    cluster.until_in_sync(TOPIC);
    let (brokers, is_over) = (cluster.brokers(), Arc::new(AtomicBool::new(false)));
    let producer = {
        let (brokers, is_over) = (brokers.clone(), Arc::clone(&is_over));
        thread::spawn(move || produce(&brokers, &is_over))
    };
    for &id in killed {
        thread::sleep(Duration::from_millis(700));
        cluster.kill(id);
        thread::sleep(Duration::from_millis(700));
        cluster.restart(id);
        cluster.until_in_sync(TOPIC);
    }
    is_over.store(true, Ordering::Relaxed);
    let written = producer.join().expect("the producer ran");
    let found = consume(&brokers);
    println!("{written} records written");
    for (partition, numbers) in &found {
        assert!(
            numbers.is_sorted_by(|one, next| one < next),
            "partition {partition}: out of order, or twice"
        );
    }
    let mut all: Vec<u64> = found.into_values().flatten().collect();
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..written), "{} of {written} records are there", all.len());
    for id in 1..=3 {
        cluster.kill(id);
    }
    for partition in 0..PARTITIONS {
        let log = |id: usize| {
            let path = format!("{TOPIC}-{partition}/00000000000000000000.log");
            std::fs::read(cluster.data(id).join(path)).expect("a log")
        };
        assert!(log(1) == log(2) && log(2) == log(3), "partition {partition}: the replicas differ");
    }
}

/// A client asks an Apache Kafka broker, which passes the request on in an envelope, to an active controller of each kind.
#[test]
fn what_apache_kafka_brokers_pass_on_is_decided() {
    let mut cluster = Cluster::start(&[Ottla, Kafka, Ottla], Roles::Both, REPLICATION);
    cluster.until_brokers_know_each_other();
    let asked: SocketAddr = (Ipv4Addr::LOCALHOST, cluster.ports(2).1).into();
    let mut decided = Vec::new();
    while decided.len() < 2 {
        let leader = cluster.until("a leader", |status| status.leader_id > 0).leader_id;
        let kind = cluster.kind(leader);
        if decided.contains(&kind) {
            assert!(cluster.stop(leader), "a clean stop");
            cluster.until("another leader", |status| status.leader_id != leader);
            cluster.restart(leader);
            cluster.until_brokers_know_each_other();
            continue;
        }
        let topic = format!("passed-on-to-{leader}");
        create_topic(asked, &topic, 2);
        cluster.until_in_sync_replicas(&topic, 1);
        decided.push(kind);
    }
}

/// A page's connection to a node of the cluster, by way of the one that serves the page.
struct Page(WebSocket<TcpStream>);

impl Page {
    /// The error is the status of an upgrade that was refused.
    fn open(page: SocketAddr, node: i32) -> Result<Self, u16> {
        let stream = TcpStream::connect(page).expect("the page is served");
        stream.set_read_timeout(Some(ANSWER_MAX)).expect("a timeout");
        match tungstenite::client(format!("ws://{page}/kafka/{node}"), stream) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(HandshakeError::Failure(Error::Http(response))) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.0.send(Message::Binary(frame(request, version).expect("a frame"))).expect("sent");
        let answer = self.0.read().expect("an answer").into_data();
        response::<R>(answer, version).expect("a response")
    }

    /// Who leads the first partition of the topic.
    fn leader(&mut self) -> i32 {
        let topic = MetadataRequestTopic { name: Some(TOPIC.into()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        self.call(&request, 12).topics[0].partitions[0].leader_id
    }

    fn until_led_by(&mut self, node: i32) {
        let began = Instant::now();
        while self.leader() != node {
            assert!(began.elapsed() < Duration::from_secs(60), "node {node} does not lead");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Writes two records: the offset of the first.
    fn produce(&mut self) -> Result<i64, ErrorCode> {
        let partition = PartitionProduceData { index: 0, records: Batch::of(2).encode().into() };
        let topic =
            TopicProduceData { name: TOPIC.into(), partition_data: vec![partition], ..Default::default() };
        let request =
            ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() };
        let answer = self.call(&request, 9);
        let part = &answer.responses[0].partition_responses[0];
        match ErrorCode::from_code(part.error_code).expect("an error code of Kafka's") {
            ErrorCode::None => Ok(part.base_offset),
            error => Err(error),
        }
    }

    /// Bytes of records and the high watermark.
    fn fetch(&mut self) -> (usize, i64) {
        let asked = FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() };
        let topic = FetchTopic { topic: TOPIC.into(), partitions: vec![asked], ..Default::default() };
        let request = FetchRequest { max_wait_ms: 100, topics: vec![topic], ..Default::default() };
        let mut answer = self.call(&request, 12);
        let part = answer.responses.remove(0).partitions.remove(0);
        assert_eq!(part.error_code, 0);
        (part.records.bytes().map_or(0, |records| records.len()), part.high_watermark)
    }
}

#[test]
fn a_page_reaches_every_broker_through_one() {
    let page =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|port| port.local_addr()).expect("a port");
    let listener = page.to_string();
    let mut cluster = Cluster::start_with(&[Ottla; 3], Roles::Both, Quorum::Static, |id| {
        let page = (id == 1).then_some(("ottla.http.listeners", listener.as_str()));
        REPLICATION.iter().copied().chain(page).collect()
    });
    cluster.until_brokers_know_each_other();
    cluster.topics(&["--create", "--topic", TOPIC, "--replica-assignment", "2:3:1"]).ok();
    cluster.until_in_sync(TOPIC);
    let mut first = Page::open(page, 1).expect("the node itself");
    assert_eq!(first.leader(), 2);
    assert_eq!(first.produce(), Err(ErrorCode::NotLeaderOrFollower));
    let mut second = Page::open(page, 2).expect("a tunnel");
    assert_eq!(second.leader(), 2);
    assert_eq!(second.produce(), Ok(0));
    assert_eq!(Page::open(page, 9).err(), Some(404));

    cluster.kill(2);
    let end = second.0.read().expect("an end").to_string();
    assert_eq!(end, "closed by the other node");
    first.until_led_by(3);
    assert_eq!(Page::open(page, 2).err(), Some(404), "it is fenced");
    let mut third = Page::open(page, 3).expect("a tunnel");
    assert_eq!(third.produce(), Ok(2));
    let (bytes, high_watermark) = third.fetch();
    assert_eq!((bytes, high_watermark), (2 * Batch::of(2).encode().len(), 4));
}
