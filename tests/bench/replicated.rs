//! `cargo xtask bench --replicated`: three nodes, each a broker and a controller, and a topic with three replicas: Apache Kafka's own
//! ProducerPerformance at acks=all, and what all three processes spend.

use std::thread;
use std::time::{Duration, Instant};

use ottla_tests::peer::Kind;
use ottla_tests::peer::cluster::{Cluster, Roles};

use crate::{PARTITIONS, RECORD_BYTES, cpu, memory_kb, produce};

const REPLICATION: &[(&str, &str)] = &[
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("offsets.topic.replication.factor", "3"),
];
/// How long a cluster that has nothing to do is looked at.
const IDLE: Duration = Duration::from_secs(5);

/// What one round says of one cluster.
#[derive(Clone, Copy, Debug)]
struct Figures {
    produced_per_second: f64,
    produce_p99_ms: f64,
    cpu_per_gb: f64,
    idle_rss_mb: f64,
    peak_rss_mb: f64,
    idle_cpu_percent: f64,
}

/// Runs `rounds` and prints the table of their medians.
pub fn measure_all(rounds: u64, records: u64, kinds: &[Kind]) {
    let mut measured = Vec::new();
    for round in 1..=rounds {
        for kind in kinds {
            println!(
                "round {round} of {rounds}: three of {kind:?}, {records} records of {RECORD_BYTES} bytes"
            );
            let figures = measure(*kind, records);
            println!("  {figures:.3?}");
            measured.push((*kind, figures));
        }
    }
    println!(
        "\n{records} records of {RECORD_BYTES} bytes, {PARTITIONS} partitions with 3 replicas on 3 nodes, acks=all; the median of {rounds} rounds\n"
    );
    println!("| | Apache Kafka 4.3.1 | Ottla | Ottla / Kafka |\n|---|---:|---:|---:|");
    let row = |what: &str, field: fn(&Figures) -> f64, digits: usize| {
        let median = |kind: Kind| {
            let of = measured.iter().filter(|(of, _)| *of == kind);
            let mut values: Vec<f64> = of.map(|(_, figures)| field(figures)).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let (one, other) = (median(Kind::Kafka), median(Kind::Ottla));
        println!("| {what} | {one:.digits$} | {other:.digits$} | {:.2} |", other / one);
    };
    row("produced, records/s", |it| it.produced_per_second, 0);
    row("produce latency p99, ms", |it| it.produce_p99_ms, 0);
    row("CPU-seconds of the cluster per GB produced", |it| it.cpu_per_gb, 2);
    row("peak resident memory of the cluster, MB", |it| it.peak_rss_mb, 0);
    row("resident memory of the idle cluster, MB", |it| it.idle_rss_mb, 0);
    row("CPU of the idle cluster, percent of a core", |it| it.idle_cpu_percent, 1);
}

fn measure(kind: Kind, records: u64) -> Figures {
    let cluster = Cluster::start_as_it_comes(&[kind; 3], Roles::Both, REPLICATION);
    let (partitions, brokers) = (PARTITIONS.to_string(), cluster.brokers());
    for topic in ["warm-up", "bench"] {
        cluster.until_created(topic, &partitions);
        cluster.until_in_sync(topic);
    }
    let pids = [1, 2, 3].map(|id| cluster.pid(id));
    let cpu_of_all = || pids.map(cpu).iter().sum::<Duration>();
    let memory_of_all = |name: &str| pids.map(|pid| memory_kb(pid, name)).iter().sum::<u64>() as f64 / 1000.0;
    let (began, spent) = (Instant::now(), cpu_of_all());
    thread::sleep(IDLE);
    let idle_cpu_percent = (cpu_of_all() - spent).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    let idle_rss_mb = memory_of_all("VmRSS:");
    produce(&brokers, "warm-up", records);
    let start = cpu_of_all();
    let (produced_per_second, produce_p99_ms) = produce(&brokers, "bench", records);
    let gigabytes = (records * RECORD_BYTES) as f64 / 1e9;
    Figures {
        produced_per_second,
        produce_p99_ms,
        cpu_per_gb: (cpu_of_all() - start).as_secs_f64() / gigabytes,
        idle_rss_mb,
        peak_rss_mb: memory_of_all("VmHWM:"),
        idle_cpu_percent,
    }
}
