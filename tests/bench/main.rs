//! Ottla beside Apache Kafka in one run: Apache Kafka's own ProducerPerformance and ConsumerPerformance against each
//! broker in turn, what the broker spent from `/proc`, and a table for the README.
//!
//! `cargo xtask bench [--rounds N] [--records N]`; `--partitions N [--ottla-only]` looks at a node with many partitions instead, and
//! `--failover [--rounds N] [--only kills|restarts|hangs] [--ottla-only | --kafka-only]` at three nodes of which one dies, hangs or is restarted,
//! and `--replicated [--rounds N] [--records N]` at what three replicas cost.

mod failover;
mod load;
mod partitions;
mod replicated;

use std::fs;
use std::time::Duration;

use ottla_tests::peer::{Kind, Peer};
use ottla_tests::program::{java, run};
use ottla_tests::wire::create_topic;

const RECORD_BYTES: u64 = 1000;
const PARTITIONS: i32 = 4;
/// Sent and read before anything is measured: a JVM wants to be warm.
const WARM_UP_RECORDS: u64 = 200_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(default, |at| arguments[at + 1].parse().expect("a number"))
    };
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let with_kafka = !has("--ottla-only");
    let mut kinds = vec![Kind::Ottla, Kind::Kafka];
    kinds.retain(|kind| !has(if *kind == Kind::Kafka { "--ottla-only" } else { "--kafka-only" }));
    if has("--failover") {
        let only =
            arguments.iter().position(|argument| argument == "--only").map(|at| arguments[at + 1].as_str());
        return failover::measure(option("--rounds", 10), only, &kinds);
    }
    if has("--replicated") {
        return replicated::measure_all(option("--rounds", 3), option("--records", 1_000_000), &kinds);
    }
    let partitions = option("--partitions", 0);
    if partitions > 0 {
        return partitions::measure(i32::try_from(partitions).expect("partitions"), with_kafka);
    }
    let (rounds, records) = (option("--rounds", 3), option("--records", 1_000_000));
    let mut measured = [Vec::new(), Vec::new()];
    for round in 1..=rounds {
        for (kind, into) in [Kind::Kafka, Kind::Ottla].into_iter().zip(&mut measured) {
            println!("round {round} of {rounds}: {kind:?}, {records} records of {RECORD_BYTES} bytes");
            let figures = measure(kind, records);
            println!("  {figures:.3?}");
            into.push(figures);
        }
    }
    let [kafka, ottla] = measured.map(|rounds| Figures::median(&rounds));
    print_table(&kafka, &ottla, rounds, records);
}

/// What one round says of one broker.
#[derive(Debug, Clone, Copy)]
struct Figures {
    produced_per_second: f64,
    produce_p99_ms: f64,
    consumed_per_second: f64,
    produce_cpu_per_gb: f64,
    consume_cpu_per_gb: f64,
    peak_rss_mb: f64,
    first_answer_ms: f64,
}

impl Figures {
    fn median(rounds: &[Self]) -> Self {
        let of = |field: fn(&Self) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(field).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            produced_per_second: of(|it| it.produced_per_second),
            produce_p99_ms: of(|it| it.produce_p99_ms),
            consumed_per_second: of(|it| it.consumed_per_second),
            produce_cpu_per_gb: of(|it| it.produce_cpu_per_gb),
            consume_cpu_per_gb: of(|it| it.consume_cpu_per_gb),
            peak_rss_mb: of(|it| it.peak_rss_mb),
            first_answer_ms: of(|it| it.first_answer_ms),
        }
    }
}

fn measure(kind: Kind, records: u64) -> Figures {
    let mut peer = Peer::start(kind, &[]);
    // The first start formats; the one that counts comes after an orderly stop.
    assert!(peer.stop(), "{kind:?} did not stop in time");
    peer.restart();
    let first_answer = peer.started_within();
    create_topic(peer.address(), "warm-up", PARTITIONS);
    create_topic(peer.address(), "bench", PARTITIONS);
    produce(&peer.bootstrap(), "warm-up", WARM_UP_RECORDS);
    consume(&peer, "warm-up", WARM_UP_RECORDS);
    let gigabytes = (records * RECORD_BYTES) as f64 / 1e9;
    let start = cpu(peer.pid());
    let produced = produce(&peer.bootstrap(), "bench", records);
    let between = cpu(peer.pid());
    let consumed_per_second = consume(&peer, "bench", records);
    let end = cpu(peer.pid());
    Figures {
        produced_per_second: produced.0,
        produce_p99_ms: produced.1,
        consumed_per_second,
        produce_cpu_per_gb: (between - start).as_secs_f64() / gigabytes,
        consume_cpu_per_gb: (end - between).as_secs_f64() / gigabytes,
        peak_rss_mb: memory_kb(peer.pid(), "VmHWM:") as f64 / 1000.0,
        first_answer_ms: first_answer.as_secs_f64() * 1000.0,
    }
}

/// Records per second and the 99th percentile of latency in milliseconds.
fn produce(bootstrap: &str, topic: &str, records: u64) -> (f64, f64) {
    let (count, size) = (records.to_string(), RECORD_BYTES.to_string());
    let properties = format!("bootstrap.servers={bootstrap}");
    let arguments = [
        "--topic",
        topic,
        "--num-records",
        &count,
        "--record-size",
        &size,
        "--throughput",
        "-1",
        "--producer-props",
        &properties,
        "acks=all",
        "batch.size=65536",
        "linger.ms=5",
    ];
    let printed = run(java("org.apache.kafka.tools.ProducerPerformance", &arguments)).ok();
    let last = printed.lines().rfind(|line| line.contains("99th")).expect("a line of percentiles");
    // "1000000 records sent, 97560.9 records/sec (93.04 MB/sec), …, 395 ms 99th, 400 ms 99.9th."
    let before = |unit: &str| {
        let end = last.find(unit).expect("ProducerPerformance prints this unit");
        let word = last[..end].split([' ', ',']).rfind(|word| !word.is_empty());
        word.and_then(|word| word.parse().ok()).expect("a number")
    };
    (before(" records/sec"), before(" ms 99th"))
}

/// Records per second, without the time that joining the group takes.
fn consume(peer: &Peer, topic: &str, records: u64) -> f64 {
    let count = records.to_string();
    let arguments = [
        "--bootstrap-server",
        &peer.bootstrap(),
        "--topic",
        topic,
        "--num-records",
        &count,
        "--timeout",
        "60000",
    ];
    let printed = run(java("org.apache.kafka.tools.ConsumerPerformance", &arguments)).ok();
    let figures = printed.lines().last().expect("a line of figures");
    // …, fetch.MB.sec, fetch.nMsg.sec
    figures.rsplit(", ").next().and_then(|word| word.trim().parse().ok()).expect("records per second")
}

/// User and system time of a process. The kernel counts in hundredths of a second.
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the broker runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<u64>().expect("a number of ticks");
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// A line of `/proc/<pid>/status`: the most that was resident (`VmHWM:`), or what is (`VmRSS:`).
fn memory_kb(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the broker runs");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line of memory");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("kilobytes")
}

fn print_table(kafka: &Figures, ottla: &Figures, rounds: u64, records: u64) {
    println!(
        "\n{records} records of {RECORD_BYTES} bytes, {PARTITIONS} partitions, acks=all; the median of {rounds} rounds\n"
    );
    println!("| | Apache Kafka 4.3.1 | Ottla | Ottla / Kafka |\n|---|---:|---:|---:|");
    let row = |what: &str, field: fn(&Figures) -> f64, digits: usize| {
        let (one, other) = (field(kafka), field(ottla));
        println!("| {what} | {one:.digits$} | {other:.digits$} | {:.2} |", other / one);
    };
    row("produced, records/s", |it| it.produced_per_second, 0);
    row("produce latency p99, ms", |it| it.produce_p99_ms, 0);
    row("consumed, records/s", |it| it.consumed_per_second, 0);
    row("broker CPU-seconds per GB produced", |it| it.produce_cpu_per_gb, 2);
    row("broker CPU-seconds per GB consumed", |it| it.consume_cpu_per_gb, 2);
    row("peak resident memory, MB", |it| it.peak_rss_mb, 0);
    row("exec to first Metadata answer, ms", |it| it.first_answer_ms, 0);
}
