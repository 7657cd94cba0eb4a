//! Three real nodes, each a controller and a broker, with a network of its own each: killed, stopped, hung, restarted one after the other, cut off
//! in both directions or one, all under load. Idempotent producers write numbers at acks=all and consumers read along; the whole history is checked.
//!
//! `OTTLA_JEPSEN_SECONDS` (25) sets for how long there are faults, `OTTLA_JEPSEN_SEED` which.

mod clients;
mod history;
mod nemesis;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla_core::rng::Rng;
use ottla_tests::peer::Kind::Ottla;
use ottla_tests::peer::cluster::{Cluster, Roles};

use self::clients::Shared;
use self::nemesis::Nemesis;

const TOPIC: &str = "jepsen";
const PARTITIONS: i32 = 3;
/// Of each partition.
const PRODUCERS: u64 = 2;
const SECONDS: u64 = 25;
const CONFIG: &[(&str, &str)] = &[
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("offsets.topic.replication.factor", "3"),
];

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_under_faults() {
    let seconds = from_environment("OTTLA_JEPSEN_SECONDS").unwrap_or(SECONDS);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = from_environment("OTTLA_JEPSEN_SEED").unwrap_or_else(now);
    println!("seed {seed}: {seconds} s of faults");
    let mut cluster = Cluster::start_apart(&[Ottla; 3], Roles::Both, CONFIG);
    if cluster.network().is_none() {
        println!("no network namespaces here: links are not cut");
    }
    cluster.until_created(TOPIC, &PARTITIONS.to_string());
    cluster.until_in_sync(TOPIC);
    let shared = Arc::new(Shared::new((1..=3).map(|id| cluster.broker_address(id)).collect()));
    let producers: Vec<_> = (0..PARTITIONS)
        .flat_map(|partition| (0..PRODUCERS).map(move |number| (partition, number)))
        .map(|(partition, number)| {
            let shared = Arc::clone(&shared);
            (partition, thread::spawn(move || clients::produce(&shared, partition, number)))
        })
        .collect();
    let consumers: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let shared = Arc::clone(&shared);
            (partition, thread::spawn(move || clients::consume(&shared, partition)))
        })
        .collect();
    let mut nemesis = Nemesis::new(Rng::from_seed(seed));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(seconds) {
        nemesis.act(&mut cluster);
        shared.assert_nobody_gave_up();
    }
    println!("everything heals; faults: {:?}", nemesis.tally());
    cluster.until_in_sync(TOPIC);
    // Whatever was sent is to be acknowledged now.
    shared.end();
    let written: Vec<_> =
        producers.into_iter().map(|(partition, one)| (partition, one.join().expect("a producer"))).collect();
    let read: Vec<_> =
        consumers.into_iter().map(|(partition, one)| (partition, one.join().expect("a consumer"))).collect();
    for partition in 0..PARTITIONS {
        let log = clients::read_all(&shared, partition);
        let of = |writer: &&(i32, history::Written)| writer.0 == partition;
        let writers: Vec<_> = written.iter().filter(of).map(|(_, written)| written).collect();
        let readers: Vec<_> = read.iter().filter(|(of, _)| *of == partition).map(|(_, read)| read).collect();
        history::check(partition, &log, &writers, &readers);
        println!("partition {partition}: {} records, all as they were acknowledged and read", log.len());
    }
    cluster.until_in_sync(TOPIC);
    (1..=3).for_each(|id| _ = cluster.stop(id));
    for partition in 0..PARTITIONS {
        let log = |id: usize| {
            let path = format!("{TOPIC}-{partition}/00000000000000000000.log");
            std::fs::read(cluster.data(id).join(path)).expect("a log")
        };
        assert!(log(1) == log(2) && log(2) == log(3), "partition {partition}: the replicas differ");
    }
}
