//! Three nodes, each a controller and a broker, killed in turn under load.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ottla_tests::peer::Kind::{self, Kafka, Ottla};
use ottla_tests::peer::cluster::{Cluster, Roles};
use ottla_tests::wire::create_topic;

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
