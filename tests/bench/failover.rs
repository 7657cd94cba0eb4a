//! `cargo xtask bench --failover`: how long producers wait when a broker dies, hangs or is restarted.
//!
//! Three nodes, each a broker and a controller, with the configuration that they come with; a topic of one partition with three replicas;
//! Apache Kafka's Java producer and librdkafka (kcat) at acks=all, both with the settings that they come with, in the same run, each new whenever
//! something is done: clients try nodes that they have lost once less and less often. What counts is the longest time between two
//! acknowledgements, from what is done to a node until all replicas are in sync again.

mod topology;

use std::thread;
use std::time::{Duration, Instant};

use ottla_tests::peer::Kind::{self, Kafka, Ottla};
use ottla_tests::peer::cluster::{Cluster, Roles};

use self::topology::Topology;
use crate::load::Producer;

const TOPIC: &str = "failover";
/// What the Java client writes to while a leader hangs: one partition for each node.
const SPREAD: &str = "spread";
/// Producers run for so long before something is done to the cluster.
const CALM: Duration = Duration::from_secs(1);
/// How long a process is stopped.
const HANG: Duration = Duration::from_secs(15);
/// Replicas as they are wanted by whoever has three nodes.
const REPLICATION: &[(&str, &str)] = &[
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("offsets.topic.replication.factor", "3"),
];

/// What is done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    KilledLeader,
    KilledLeaderAndController,
    Restarted,
    HungLeader,
    HungLeaderAndController,
}

/// How long a client waited, once.
#[derive(Clone, Copy, Debug)]
struct Measured {
    kind: Kind,
    case: Case,
    client: &'static str,
    gap: Duration,
}

/// Runs all cases or `only` the kills, restarts or hangs, `rounds` times each kill, and prints the table.
pub fn measure(rounds: u64, only: Option<&str>, kinds: &[Kind]) {
    let mut measured = Vec::new();
    for kind in kinds {
        let began = Instant::now();
        measured.extend(of(*kind, rounds, only));
        println!("{kind:?}: {:.0} s\n", began.elapsed().as_secs_f64());
    }
    print(&measured);
}

fn of(kind: Kind, rounds: u64, only: Option<&str>) -> Vec<Measured> {
    println!("{kind:?}: starting three nodes");
    let mut run = Run::start(kind);
    let times = |what: &str, of_all: u64| match only {
        None => of_all,
        Some(only) => rounds * u64::from(only == what),
    };
    for round in 1..=times("kills", rounds) {
        for case in [Case::KilledLeader, Case::KilledLeaderAndController] {
            run.kill(case, round);
        }
    }
    for round in 1..=times("restarts", rounds.div_ceil(5)) {
        (1..=3).for_each(|id| run.restart(id, round));
    }
    for round in 1..=times("hangs", rounds.div_ceil(10)) {
        run.hang(Case::HungLeader, round);
        run.hang(Case::HungLeaderAndController, round);
    }
    run.measured
}

/// A cluster with its producers.
struct Run {
    kind: Kind,
    cluster: Cluster,
    topology: Topology,
    producers: Vec<Producer>,
    measured: Vec<Measured>,
}

impl Run {
    fn start(kind: Kind) -> Self {
        let cluster = Cluster::start_as_it_comes(&[kind; 3], Roles::Both, REPLICATION);
        cluster.until_created(TOPIC, "1");
        cluster.until_created(SPREAD, "3");
        let mut topology = Topology::new((1..=3).map(|id| cluster.broker_address(id)).collect());
        topology.until_whole(TOPIC);
        Self { kind, cluster, topology, producers: Vec::new(), measured: Vec::new() }
    }

    /// Waits until every client has something acknowledged that came later.
    fn until_acknowledged(&self, since: Instant) {
        topology::wait("acknowledgements", || {
            self.producers.iter().all(|producer| producer.has_acknowledged(since)).then_some(())
        });
    }

    /// Has a node lead, and producers write to it.
    fn calm(&mut self, leader: i32) {
        self.producers.clear();
        self.topology.lead(TOPIC, 0, leader);
        self.topology.until_whole(TOPIC);
        let brokers = self.cluster.brokers();
        self.producers = vec![Producer::librdkafka(&brokers, TOPIC), Producer::java(&brokers, TOPIC, 1)];
        self.until_acknowledged(Instant::now());
        // The first requests are the slowest.
        thread::sleep(CALM);
    }

    fn kill(&mut self, case: Case, round: u64) {
        let controller = self.topology.controller();
        let node = if case == Case::KilledLeader { controller % 3 + 1 } else { controller };
        self.calm(node);
        let since = Instant::now();
        self.cluster.kill(id(node));
        self.topology.until_led_by_another(TOPIC, node);
        self.until_acknowledged(Instant::now());
        self.cluster.restart(id(node));
        self.topology.until_whole(TOPIC);
        self.note(case, since, round, &format!("killed {node}"));
    }

    fn restart(&mut self, node: i32, round: u64) {
        self.calm(node);
        let since = Instant::now();
        assert!(self.cluster.stop(id(node)), "{:?} {node} did not stop in time", self.kind);
        let stopped = since.elapsed();
        self.cluster.restart(id(node));
        self.topology.until_whole(TOPIC);
        self.note(
            Case::Restarted,
            since,
            round,
            &format!("{node} stopped within {} ms", stopped.as_millis()),
        );
    }

    fn hang(&mut self, case: Case, round: u64) {
        let controller = self.topology.controller();
        let node = if case == Case::HungLeader { controller % 3 + 1 } else { controller };
        (0..3).for_each(|partition| self.topology.lead(SPREAD, partition, (node + partition - 1) % 3 + 1));
        self.topology.until_whole(SPREAD);
        self.producers.clear();
        let producer = Producer::java(&self.cluster.brokers(), SPREAD, 3);
        let began = Instant::now();
        topology::wait("an acknowledgement", || producer.has_acknowledged(began).then_some(()));
        thread::sleep(CALM);
        let since = Instant::now();
        self.cluster.signal(id(node), "-STOP");
        while since.elapsed() < HANG {
            thread::sleep(Duration::from_millis(100));
        }
        let (any, own) = (producer.longest_gap(since, None), producer.longest_gap(since, Some(0)));
        self.cluster.signal(id(node), "-CONT");
        self.topology.until_whole(SPREAD);
        self.topology.until_whole(TOPIC);
        println!(
            "  {case:?} {round}: stopped {node}; Java {} ms without any acknowledgement of the topic, {} ms or more of its partition",
            any.as_millis(),
            own.as_millis()
        );
        self.measured.push(Measured { kind: self.kind, case, client: producer.name, gap: any });
    }

    fn note(&mut self, case: Case, since: Instant, round: u64, what: &str) {
        let whole = since.elapsed().as_millis();
        self.until_acknowledged(Instant::now());
        let mut said = String::new();
        for producer in &self.producers {
            let gap = producer.longest_gap(since, None);
            said.push_str(&format!("; {} {} ms", producer.name, gap.as_millis()));
            self.measured.push(Measured { kind: self.kind, case, client: producer.name, gap });
        }
        println!("  {case:?} {round}: {what}{said}; in sync after {whole} ms");
    }
}

fn id(node: i32) -> usize {
    usize::try_from(node).expect("nodes are 1, 2 and 3")
}

fn print(measured: &[Measured]) {
    println!(
        "| longest time between acknowledgements, median / worst of n, ms | Apache Kafka 4.3.1 | Ottla |\n|---|---:|---:|"
    );
    let rows = [
        (Case::KilledLeader, "kill -9 of a leader"),
        (Case::KilledLeaderAndController, "kill -9 of a leader that is the active controller"),
        (Case::HungLeader, "SIGSTOP of a leader: of a topic with a partition on each node"),
        (Case::HungLeaderAndController, "SIGSTOP of a leader that is the active controller: of such a topic"),
        (Case::Restarted, "rolling restart"),
    ];
    for (case, what) in rows {
        for client in ["librdkafka", "Java"] {
            let cell = |kind: Kind| {
                let of = |one: &&Measured| (one.kind, one.case, one.client) == (kind, case, client);
                let mut gaps: Vec<u128> = measured.iter().filter(of).map(|one| one.gap.as_millis()).collect();
                gaps.sort_unstable();
                let worst = gaps.last()?;
                let median = (gaps[(gaps.len() - 1) / 2] + gaps[gaps.len() / 2]) / 2;
                Some(format!("{median} / {worst} of {}", gaps.len()))
            };
            let (kafka, ottla) = (cell(Kafka), cell(Ottla));
            if kafka.is_some() || ottla.is_some() {
                let [kafka, ottla] = [kafka, ottla].map(|cell| cell.unwrap_or_else(|| "–".to_owned()));
                println!("| {what}, {client} | {kafka} | {ottla} |");
            }
        }
    }
}
