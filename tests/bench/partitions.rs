//! Many partitions: how soon a node with thousands of them answers after a clean stop and after `kill -9` under load, and what they
//! cost in memory.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{ListOffsetsRequest, MetadataRequest, ProduceRequest};
use ottla_tests::batch::Batch;
use ottla_tests::peer::{Kind, Peer};
use ottla_tests::wire::{Wire, create_topic};

/// One of so many partitions is written to before the second `kill -9`.
const SOME: usize = 100;
/// Kafka's checkpoints and ours are written within this.
const CHECKPOINTS: Duration = Duration::from_secs(6);
/// A topic's share of the partitions.
const PER_TOPIC: i32 = 1_000;
/// How long a broker may take to create them, to stop or to be ready.
const PATIENCE: Duration = Duration::from_secs(300);
/// Kafka's name for the offset after the last record.
const LATEST: i64 = -1;
const LOAD: Duration = Duration::from_secs(5);
const LOADERS: usize = 4;
const BATCH_BYTES: usize = 10_000;

/// What many partitions cost one broker.
#[derive(Debug, Clone, Copy)]
struct Figures {
    stopped: Duration,
    after_stop: Start,
    loaded_mb: f64,
    after_kill: Start,
    some_mb: f64,
    after_some: Start,
}

/// A start, from exec on.
#[derive(Debug, Clone, Copy)]
struct Start {
    /// To a Metadata answer that names a leader for every partition.
    answers: Duration,
    /// Resident memory then.
    rss_mib: f64,
    /// To the moment when every partition has told where it ends.
    serves_all: Duration,
    /// Resident memory then.
    rss_all_mib: f64,
}

/// Measures both brokers, or Ottla alone, and prints a table.
pub fn measure(partitions: i32, with_kafka: bool) {
    let topics = (partitions / PER_TOPIC).max(1);
    let ottla = of(Kind::Ottla, topics);
    println!("{ottla:.3?}");
    let kafka = with_kafka.then(|| of(Kind::Kafka, topics));
    println!("\n{} partitions, each with a leader\n", topics * PER_TOPIC);
    println!("| | Apache Kafka 4.3.1 | Ottla |\n|---|---:|---:|");
    let row = |what: &str, field: &dyn Fn(&Figures) -> f64| {
        let kafka = kafka.map_or("not measured".to_owned(), |kafka| format!("{:.0}", field(&kafka)));
        println!("| {what} | {kafka} | {:.0} |", field(&ottla));
    };
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    row("clean stop, ms", &|it| ms(it.stopped));
    row("then: exec to all leaders in a Metadata answer, ms", &|it| ms(it.after_stop.answers));
    row("then: resident memory, MiB", &|it| it.after_stop.rss_mib);
    row("then: exec to an answer of every partition, ms", &|it| ms(it.after_stop.serves_all));
    row("then: resident memory, MiB", &|it| it.after_stop.rss_all_mib);
    row("written before `kill -9`, MB", &|it| it.loaded_mb);
    row("then: exec to all leaders in a Metadata answer, ms", &|it| ms(it.after_kill.answers));
    row("then: resident memory, MiB", &|it| it.after_kill.rss_mib);
    row("then: exec to an answer of every partition, ms", &|it| ms(it.after_kill.serves_all));
    row("then: resident memory, MiB", &|it| it.after_kill.rss_all_mib);
    row("written to a hundredth of them before another `kill -9`, MB", &|it| it.some_mb);
    row("then: exec to all leaders in a Metadata answer, ms", &|it| ms(it.after_some.answers));
    row("then: exec to an answer of every partition, ms", &|it| ms(it.after_some.serves_all));
}

fn of(kind: Kind, topics: i32) -> Figures {
    println!("{kind:?}: {topics} topics of {PER_TOPIC} partitions");
    let mut peer = Peer::start(kind, &[]);
    for topic in 0..topics {
        create_topic(peer.address(), &name(topic), PER_TOPIC);
    }
    wait(&peer, topics, all_lead);
    let stopping = Instant::now();
    assert!(peer.stop_within(PATIENCE), "{kind:?} did not stop in time");
    let stopped = stopping.elapsed();
    let after_stop = start(&mut peer, topics);
    println!("  after a clean stop in {stopped:.3?}: {after_stop:.3?}");
    let loaded_mb = load(&peer, topics, 1);
    peer.kill();
    let after_kill = start(&mut peer, topics);
    println!("  after kill -9 with {loaded_mb:.0} MB: {after_kill:.3?}");
    // What was recovered is checkpointed; then a few are written to.
    thread::sleep(CHECKPOINTS);
    let some_mb = load(&peer, topics, SOME);
    peer.kill();
    let after_some = start(&mut peer, topics);
    println!("  after kill -9 with {some_mb:.0} MB in some: {after_some:.3?}");
    Figures { stopped, after_stop, loaded_mb, after_kill, some_mb, after_some }
}

fn start(peer: &mut Peer, topics: i32) -> Start {
    let begun = Instant::now();
    peer.restart_within(PATIENCE);
    wait(peer, topics, all_lead);
    let (answers, rss_mib) = (begun.elapsed(), resident_mib(peer.pid()));
    wait(peer, topics, all_tell_their_end);
    Start { answers, rss_mib, serves_all: begun.elapsed(), rss_all_mib: resident_mib(peer.pid()) }
}

fn wait(peer: &Peer, topics: i32, is_so: fn(&Peer, i32) -> io::Result<bool>) {
    let begun = Instant::now();
    while !is_so(peer, topics).unwrap_or(false) {
        assert!(begun.elapsed() < PATIENCE, "{:?} is not ready", peer.kind());
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a Metadata answer names a leader for every partition.
fn all_lead(peer: &Peer, topics: i32) -> io::Result<bool> {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let answer = Wire::connect(peer.address())?.call(&request, 8)?;
    let ours = answer.topics.iter().filter(|topic| topic.name.as_deref().is_some_and(is_ours));
    let led = ours.flat_map(|topic| &topic.partitions).filter(|partition| partition.leader_id >= 0);
    Ok(led.count() == (topics * PER_TOPIC) as usize)
}

/// Whether every partition answers ListOffsets.
fn all_tell_their_end(peer: &Peer, topics: i32) -> io::Result<bool> {
    let mut wire = Wire::connect(peer.address())?;
    for topic in 0..topics {
        let end = |partition_index| ListOffsetsPartition {
            partition_index,
            timestamp: LATEST,
            current_leader_epoch: -1,
            ..Default::default()
        };
        let partitions = (0..PER_TOPIC).map(end).collect();
        let topic = ListOffsetsTopic { name: name(topic).into(), partitions };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let answer = wire.call(&request, 5)?;
        if answer.topics.iter().flat_map(|topic| &topic.partitions).any(|partition| partition.error_code != 0)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes to one of `apart` partitions in turn, from several connections. Returns what was acknowledged, in MB.
fn load(peer: &Peer, topics: i32, apart: usize) -> f64 {
    let (stop, batches) = (AtomicBool::new(false), AtomicU64::new(0));
    let now = UNIX_EPOCH.elapsed().expect("a clock after 1970").as_millis();
    let batch = Batch::sized(BATCH_BYTES).at(i64::try_from(now).expect("milliseconds")).encode();
    thread::scope(|scope| {
        for loader in 0..LOADERS {
            let (address, stop, batches, batch) = (peer.address(), &stop, &batches, &batch);
            scope.spawn(move || {
                let mut wire = Wire::connect(address).expect("the broker listens");
                let turns = (0..topics * PER_TOPIC).step_by(apart).cycle().skip(loader).step_by(LOADERS);
                for partition in turns.take_while(|_| !stop.load(Ordering::Relaxed)) {
                    produce(&mut wire, partition, batch).expect("Produce is answered");
                    batches.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(LOAD);
        stop.store(true, Ordering::Relaxed);
    });
    (batches.into_inner() * batch.len() as u64) as f64 / 1e6
}

fn produce(wire: &mut Wire, partition: i32, batch: &Bytes) -> io::Result<()> {
    let data = PartitionProduceData { index: partition % PER_TOPIC, records: batch.clone().into() };
    let name = name(partition / PER_TOPIC).into();
    let topic = TopicProduceData { name, partition_data: vec![data], ..Default::default() };
    let request =
        ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 10_000, topic_data: vec![topic] };
    let answer = wire.call(&request, 9)?;
    let code = answer.responses[0].partition_responses[0].error_code;
    if code == 0 { Ok(()) } else { Err(io::Error::other(format!("error code {code}"))) }
}

fn name(topic: i32) -> String {
    format!("many-{topic}")
}

fn is_ours(name: &str) -> bool {
    name.starts_with("many-")
}

fn resident_mib(pid: u32) -> f64 {
    crate::memory_kb(pid, "VmRSS:") as f64 / 1024.0
}
