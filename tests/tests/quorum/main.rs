//! Metadata quorums of several controllers: Ottla's alone, and Ottla's with Apache Kafka's.

mod passed_on;
mod security;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use ottla_protocol::messages::broker_registration_request::{Feature, Listener};
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{BrokerRegistrationRequest, IncrementalAlterConfigsRequest};
use ottla_protocol::{ErrorCode, Uuid};
use ottla_tests::peer::Kind;
use ottla_tests::peer::cluster::{CLUSTER_ID, Cluster, Roles, Status};
use ottla_tests::program;
use ottla_tests::wire::Wire;

use Kind::{Kafka, Ottla};

/// A snapshot for every few records, of which only the newest are kept.
const SNAPSHOTS: [(&str, &str); 2] =
    [("metadata.log.max.record.bytes.between.snapshots", "4000"), ("metadata.max.retention.bytes", "8000")];
/// Apache Kafka looks for what may go once a minute.
const SNAPSHOTS_PATIENCE: Duration = Duration::from_secs(150);

/// All have all of it.
fn is_caught_up(status: &Status) -> bool {
    status.max_follower_lag == 0
}

/// Kills the leader, waits for another one, and brings the old one back: who led, and who does.
fn another_leader(quorum: &mut Cluster) -> (usize, usize) {
    let before = quorum.until("a leader", is_caught_up);
    quorum.kill(before.leader_id);
    // One that has just been elected does not know what is committed.
    let after = quorum.until("another leader", |status| {
        let is_another = status.leader_id != before.leader_id && status.leader_epoch > before.leader_epoch;
        is_another && status.high_watermark >= 0
    });
    assert!(
        after.high_watermark >= before.high_watermark,
        "nothing committed is lost: {before:?}, {after:?}"
    );
    quorum.restart(before.leader_id);
    quorum.until("the old leader to follow", is_caught_up);
    (before.leader_id, after.leader_id)
}

/// What the log of a controller holds, as far as all have it.
fn log(quorum: &Cluster, id: usize) -> Vec<u8> {
    let path = quorum.data(id).join("__cluster_metadata-0/00000000000000000000.log");
    std::fs::read(path).expect("a log")
}

/// The logs of controllers that have stopped: each is the beginning of the longest.
fn are_the_same(quorum: &Cluster, ids: impl Iterator<Item = usize>) {
    let logs: Vec<_> = ids.map(|id| log(quorum, id)).collect();
    let shortest = logs.iter().map(Vec::len).min().expect("logs");
    assert!(shortest > 0);
    // Of the records. Apache Kafka preallocates nothing here, and a log may lack what was written last.
    assert!(
        logs.iter().all(|log| log[..shortest] == logs[0][..shortest]),
        "logs of {shortest} bytes and more"
    );
}

#[test]
fn three_controllers_elect_another_one() {
    let mut quorum = Cluster::start(&[Ottla, Ottla, Ottla], Roles::Controllers, &[]);
    for _ in 0..3 {
        another_leader(&mut quorum);
    }
    let replication = quorum.tool(&["describe", "--replication"]).ok();
    assert_eq!(replication.lines().filter(|line| line.contains("Follower")).count(), 2, "{replication}");
    for id in 1..=3 {
        assert!(quorum.stop(id), "a clean stop");
    }
    are_the_same(&quorum, 1..=3);
}

#[test]
fn leadership_moves_between_ottla_and_apache_kafka() {
    let mut quorum = Cluster::start(&[Ottla, Kafka, Ottla], Roles::Controllers, &[]);
    let mut moves = Vec::new();
    while !(moves.contains(&(Ottla, Kafka)) && moves.contains(&(Kafka, Ottla))) {
        let (before, after) = another_leader(&mut quorum);
        moves.push((quorum.kind(before), quorum.kind(after)));
        assert!(moves.len() < 40, "{moves:?}");
    }
    println!("{moves:?}");
    for id in 1..=3 {
        assert!(quorum.stop(id), "a clean stop");
    }
    are_the_same(&quorum, 1..=3);
}

#[test]
fn snapshots_are_fetched_from_ottla_and_from_apache_kafka() {
    let mut quorum = Cluster::start(&[Ottla, Kafka, Ottla], Roles::Controllers, &SNAPSHOTS);
    let mut fetched = Vec::new();
    while !(fetched.contains(&(Ottla, Kafka)) && fetched.contains(&(Kafka, Ottla))) {
        let leader_id = quorum.until("a leader that all follow", is_caught_up).leader_id;
        let leader = quorum.kind(leader_id);
        if fetched.iter().any(|(from, _)| *from == leader) {
            another_leader(&mut quorum);
            continue;
        }
        let follower = (1..=3).find(|id| quorum.kind(*id) != leader).expect("one of the other kind");
        assert!(quorum.stop(follower), "a clean stop");
        let end = quorum.until("what is committed", |_| true).high_watermark;
        // What a snapshot stands for goes once it is not the oldest any more.
        let oldest = |end: i64| {
            configure(&quorum, leader_id);
            checkpoints(&quorum, leader_id).into_keys().next().filter(|oldest| *oldest > end)
        };
        let first = until(&quorum, "a snapshot of what the follower lacks", || oldest(end));
        until(&quorum, "the leader to forget", || oldest(first));
        quorum.restart(follower);
        until(&quorum, "a snapshot of the leader's", || {
            let (held, theirs) = (checkpoints(&quorum, follower), checkpoints(&quorum, leader_id));
            let read = |path: &PathBuf| std::fs::read(path).unwrap_or_default();
            let is_same =
                |(offset, path): &(i64, PathBuf)| held.get(offset).is_some_and(|it| read(it) == read(path));
            theirs.into_iter().find(|it| it.0 > end && is_same(it))
        });
        quorum.until("the follower to have all of it", |status| status.max_follower_lag == 0);
        fetched.push((leader, quorum.kind(follower)));
    }
}

#[test]
fn levels_that_a_node_does_not_know_are_refused_alike() {
    let mut quorum = Cluster::start(&[Ottla, Kafka, Ottla], Roles::Controllers, &[]);
    let mut said: Vec<(Kind, Vec<String>)> = Vec::new();
    while said.len() < 2 {
        let leader_id = quorum.until("a leader that all follow", is_caught_up).leader_id;
        let leader = quorum.kind(leader_id);
        if said.iter().any(|(kind, _)| *kind == leader) {
            another_leader(&mut quorum);
            continue;
        }
        // One that only Apache Kafka knows, those of a release to come, and one of nobody's.
        let levels = ["share.version=1", "metadata.version=31", "metadata.version=99", "nothing.version=1"];
        let mut answers = levels.map(|level| upgrade(&quorum, level)).to_vec();
        answers.extend([None, Some(29), Some(30)].map(|max| registration(&quorum, leader_id, max)));
        said.push((leader, answers));
    }
    for (answer, others) in said[0].1.iter().zip(&said[1].1) {
        println!("{answer}");
        assert_eq!(answer, others, "{:?} and {:?}", said[0].0, said[1].0);
    }
    assert_eq!(said[0].1.iter().filter(|answer| answer.contains("does not support")).count(), 2);
}

/// What the active controller says to a feature's new level, whoever it or the one that it speaks of is.
fn upgrade(quorum: &Cluster, level: &str) -> String {
    let bootstrap = quorum.bootstrap();
    let all = ["--bootstrap-controller", &bootstrap, "upgrade", "--feature", level];
    let ended = program::run(program::java("org.apache.kafka.tools.FeatureCommand", &all));
    let said =
        format!("{:?} {}{}", ended.code, ended.out, ended.err).replace("Local controller", "Controller");
    (1..=3).fold(said, |said, id| said.replace(&format!("Controller {id} "), "Controller ID "))
}

/// What the active controller says to a broker that knows `metadata.version` up to this level, or not at all.
fn registration(quorum: &Cluster, leader_id: usize, max: Option<i16>) -> String {
    let feature = |max_supported_version| Feature {
        name: "metadata.version".into(),
        min_supported_version: 7,
        max_supported_version,
    };
    let listener =
        Listener { name: "PLAINTEXT".into(), host: "127.0.0.1".into(), port: 1, security_protocol: 0 };
    let request = BrokerRegistrationRequest {
        broker_id: 9,
        cluster_id: CLUSTER_ID.into(),
        incarnation_id: Uuid::from_u128(9 << 64),
        listeners: vec![listener],
        features: max.map(feature).into_iter().collect(),
        rack: None,
        log_dirs: vec![Uuid::from_u128(10 << 64)],
        ..BrokerRegistrationRequest::default()
    };
    let address = (Ipv4Addr::LOCALHOST, quorum.ports(leader_id).0).into();
    let answer = Wire::connect(address).and_then(|mut wire| wire.call(&request, 4)).expect("an answer");
    format!("registration with metadata.version {max:?}: {:?}", ErrorCode::from_code(answer.error_code))
}

/// Has something written that is worth a snapshot.
fn configure(quorum: &Cluster, leader_id: usize) {
    let address = (Ipv4Addr::LOCALHOST, quorum.ports(leader_id).0).into();
    let config =
        AlterableConfig { name: "noise".into(), config_operation: 0, value: Some("x".repeat(5_000).into()) };
    // A broker's, of which controllers check nothing.
    let resource =
        AlterConfigsResource { resource_type: 4, resource_name: "1".into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = Wire::connect(address).and_then(|mut wire| wire.call(&request, 1));
    assert_eq!(answer.expect("an answer").responses[0].error_code, 0);
}

/// The snapshots that a controller has, by the offset that follows them.
fn checkpoints(quorum: &Cluster, id: usize) -> BTreeMap<i64, PathBuf> {
    let directory = quorum.data(id).join("__cluster_metadata-0");
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let (offset, _) = name.strip_suffix(".checkpoint")?.split_once('-')?;
        Some((offset.parse().ok()?, entry.path()))
    });
    named.collect()
}

#[track_caller]
fn until<T>(quorum: &Cluster, what: &str, look: impl Fn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        let held: Vec<_> =
            (1..=3).map(|id| checkpoints(quorum, id).into_keys().collect::<Vec<_>>()).collect();
        assert!(started.elapsed() < SNAPSHOTS_PATIENCE, "{what}: {held:?}");
        thread::sleep(Duration::from_millis(100));
    }
}
