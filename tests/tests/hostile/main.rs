//! Thousands of clients that mean no good, while others are served: nobody's bytes take the server's memory, and nothing is lost.
//!
//! Of time nothing is asserted but that there is an end: how long the others wait is printed.

mod attackers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, process, thread};

use bytes::Bytes;
use ottla_core::record::{BatchBuilder, BatchOptions, Compressors};
use ottla_tests::load::Client;
use ottla_tests::peer::{Kind, Peer};
use ottla_tests::program::{command, run};
use ottla_tests::wire::create_topic;

const IDLE: usize = 5_000;
const SLOW_READERS: usize = 500;
const SLOW_WRITERS: usize = 200;
const PRODUCERS: i32 = 4;
/// How long it goes on once everybody is there.
const ATTACK: Duration = Duration::from_secs(30);
/// With glibc told to give large blocks back (`MALLOC_MMAP_THRESHOLD_`, as `cargo xtask test --full` does); else it keeps as much again.
const RESIDENT_MIB_MAX: u64 = 150;

/// Kafka has no bound on what all requests together may hold unless it is told one.
const BOUNDS: &[(&str, &str)] = &[
    ("socket.request.max.bytes", "8388608"),
    ("queued.max.request.bytes", "16777216"),
    ("auto.create.topics.enable", "false"),
    // Thousands that come at once would be turned away by the system, one second each.
    ("socket.listen.backlog.size", "4096"),
];

#[test]
fn others_are_served() {
    // Each connection is a descriptor here, too.
    let descriptors = (IDLE + SLOW_READERS + SLOW_WRITERS) * 2;
    run(command(&["prlimit", "--pid", &process::id().to_string(), &format!("--nofile={descriptors}:")])).ok();
    let peer = Peer::start(Kind::Ottla, BOUNDS);
    let address = peer.address();
    create_topic(address, "large", 1);
    create_topic(address, "good", PRODUCERS);
    let mut client = Client::new(address);
    for _ in 0..40 {
        client.produce("large", 0, &batch(&[7; 500_000]));
    }
    println!("before: {} MiB resident", resident_mib(&peer));

    let over = Arc::new(AtomicBool::new(false));
    let attackers = attackers::start(address, &over);
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|partition| {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                let mut client = Client::new(address);
                let (mut acknowledged, mut waited) = (Vec::new(), Vec::new());
                while !over.load(Ordering::Relaxed) {
                    let value = format!("{partition}-{}", acknowledged.len());
                    let asked = Instant::now();
                    client.produce("good", partition, &batch(value.as_bytes()));
                    waited.push(asked.elapsed());
                    acknowledged.push(value);
                    thread::sleep(Duration::from_millis(5));
                }
                (acknowledged, waited)
            })
        })
        .collect();
    let (started, mut peak) = (Instant::now(), 0);
    while !attackers.are_all_there() || started.elapsed() < ATTACK {
        assert!(peer.runs() && started.elapsed() < 10 * ATTACK, "{}", peer.last_words());
        peak = peak.max(resident_mib(&peer));
        thread::sleep(Duration::from_millis(100));
    }
    over.store(true, Ordering::Relaxed);
    println!("{}", attackers.end());

    let mut waited = Vec::new();
    for (partition, producer) in (0..).zip(producers) {
        let (acknowledged, took) = producer.join().expect("it is served");
        let read = client.read_from("good", partition, 0);
        let values: Vec<_> = read.iter().map(|record| record.value.clone().unwrap_or_default()).collect();
        // What was sent again because the first answer was late may be there twice.
        for value in &acknowledged {
            assert!(values.iter().any(|there| *there == value.as_bytes()), "{value} is lost");
        }
        waited.extend(took);
    }
    waited.sort();
    let at = |part: usize| waited[(waited.len() - 1) * part / 1_000];
    println!(
        "{} requests served: median {:?}, p99 {:?}, worst {:?}; at most {peak} MiB resident, {} MiB afterwards",
        waited.len(),
        at(500),
        at(990),
        at(1_000),
        resident_mib(&peer)
    );
    assert!(peak <= RESIDENT_MIB_MAX, "{peak} MiB resident");
}

fn batch(value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    // Of now, or it is deleted for its age.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    builder.append(now as i64, None, Some(value), &[]);
    builder.build(&Compressors::default())
}

fn resident_mib(peer: &Peer) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", peer.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}
