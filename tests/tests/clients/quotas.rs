//! What Apache Kafka and Ottla let clients have that have quotas: its own ProducerPerformance and ConsumerPerformance with 1 MB/s, and
//! connections.

use std::thread;
use std::time::{Duration, Instant};

use ottla_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use ottla_protocol::messages::{AlterClientQuotasRequest, ApiVersionsRequest};
use ottla_tests::peer::{Kind, Peer};
use ottla_tests::program::{java, run};
use ottla_tests::wire::{Wire, create_topic};

const MB: f64 = 1_048_576.0;
/// Bytes a second.
const LIMIT: f64 = MB;
/// A client may use at once what all windows but one allow: with three of a second that is a small part of what it sends here.
const WINDOWS: &str = "3";
const RECORDS: &str = "12000";
const RECORD_BYTES: f64 = 1_000.0;

#[test]
fn a_quota_is_what_producers_and_consumers_get() {
    let [theirs, ours] = [Kind::Kafka, Kind::Ottla].map(|kind| thread::spawn(move || figures(kind)));
    let (theirs, ours) = (theirs.join().expect("Apache Kafka"), ours.join().expect("Ottla"));
    for (what, theirs, ours) in [("produced", theirs.0, ours.0), ("consumed", theirs.1, ours.1)] {
        println!("{what} with a quota of 1 MB/s: Apache Kafka {theirs:.3} MB/s, Ottla {ours:.3} MB/s");
        // However slow the machine is, no more; and what it allows, Apache Kafka shows.
        assert!(ours <= 1.1, "{what}: {ours} MB/s");
        assert!(ours >= theirs.min(1.0) * 0.8, "{what}: {ours} MB/s, where Apache Kafka has {theirs}");
    }
}

/// MB/s produced and consumed.
fn figures(kind: Kind) -> (f64, f64) {
    let peer = Peer::start(kind, &[("quota.window.num", WINDOWS), ("quota.window.size.seconds", "1")]);
    limit(&peer, "client-id", &[("producer_byte_rate", LIMIT), ("consumer_byte_rate", LIMIT)]);
    create_topic(peer.address(), "limited", 1);
    (produced(&peer), consumed(&peer))
}

/// Sets limits for everybody.
fn limit(peer: &Peer, entity_type: &str, limits: &[(&str, f64)]) {
    let op = |(key, value): &(&str, f64)| OpData { key: (*key).into(), value: *value, remove: false };
    let everybody = EntityData { entity_type: entity_type.into(), entity_name: None };
    let entry = EntryData { entity: vec![everybody], ops: limits.iter().map(op).collect() };
    let request = AlterClientQuotasRequest { entries: vec![entry], validate_only: false };
    let mut wire = Wire::connect(peer.address()).expect("it listens");
    let altered = wire.call(&request, 1).expect("it answers");
    assert_eq!(altered.entries[0].error_code, 0, "{altered:?}");
}

fn produced(peer: &Peer) -> f64 {
    let properties = format!("bootstrap.servers={}", peer.bootstrap());
    let size = RECORD_BYTES.to_string();
    let arguments = [
        ["--topic", "limited"],
        ["--num-records", RECORDS],
        ["--record-size", &size],
        ["--throughput", "-1"],
        ["--producer-props", &properties],
    ];
    let printed = run(java("org.apache.kafka.tools.ProducerPerformance", &arguments.concat())).ok();
    let last = printed.lines().rfind(|line| line.contains("99th")).expect("a line of percentiles");
    // "12000 records sent, 1217.3 records/sec (1.16 MB/sec), …"
    let word = last.split(" records/sec").next().and_then(|start| start.rsplit(' ').next());
    let a_second: f64 = word.and_then(|word| word.parse().ok()).expect("records per second");
    a_second * RECORD_BYTES / MB
}

fn consumed(peer: &Peer) -> f64 {
    let bootstrap = peer.bootstrap();
    let arguments = [
        ["--bootstrap-server", &bootstrap],
        ["--topic", "limited"],
        ["--num-records", RECORDS],
        // Little at a time, so that the last of it does not weigh.
        ["--fetch-size", "65536"],
        ["--timeout", "60000"],
    ];
    let printed = run(java("org.apache.kafka.tools.ConsumerPerformance", &arguments.concat())).ok();
    // start.time, end.time, data.consumed.in.MB, …, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
    let figures = printed.lines().last().expect("a line of figures");
    let figure = |at: usize| figures.split(", ").nth(at).and_then(|word| word.trim().parse::<f64>().ok());
    let (megabytes, ms) = (figure(2).expect("megabytes"), figure(7).expect("milliseconds"));
    megabytes / (ms / 1_000.0)
}

/// Two windows of ten seconds, so that ten connections may come at once with one a second.
const SLOWLY: [(&str, &str); 2] = [("quota.window.num", "2"), ("quota.window.size.seconds", "10")];
const AT_ONCE: usize = 10;
const MORE: usize = 4;

fn connect(peer: &Peer) -> Vec<Wire> {
    let connect = |_| Wire::connect(peer.address()).expect("the system takes it");
    (0..AT_ONCE + MORE).map(connect).collect()
}

fn is_answered(wire: &mut Wire) -> bool {
    wire.call(&ApiVersionsRequest::default(), 0).is_ok()
}

#[test]
fn an_address_that_connects_too_fast_is_sent_away() {
    for kind in [Kind::Kafka, Kind::Ottla] {
        let peer = Peer::start(kind, &SLOWLY);
        limit(&peer, "ip", &[("connection_creation_rate", 1.0)]);
        create_topic(peer.address(), "settled", 1);
        let mut wires = connect(&peer);
        let answered = wires.iter_mut().map(is_answered).filter(|is_answered| *is_answered).count();
        println!("{kind:?}: {answered} of {} connections are let in", wires.len());
        // One came before, or did not, and a slow machine allows one more for every second.
        assert!((AT_ONCE - 1..wires.len()).contains(&answered), "{kind:?}: {answered}");
    }
}

#[test]
fn a_broker_accepts_connections_no_faster_than_it_may() {
    for kind in [Kind::Kafka, Kind::Ottla] {
        let rate = [("max.connection.creation.rate", "1")];
        let peer = Peer::start(kind, &[&SLOWLY[..], &rate].concat());
        let since = Instant::now();
        assert!(connect(&peer).iter_mut().all(is_answered), "{kind:?}: all are let in");
        let took = since.elapsed();
        println!("{kind:?}: {} connections in {took:?}", AT_ONCE + MORE);
        assert!(took > Duration::from_secs(MORE as u64 - 1), "{kind:?}: {took:?}");
    }
}
