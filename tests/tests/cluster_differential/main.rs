//! Apache Kafka's tools against three nodes of Ottla and three of Apache Kafka: what they say, and how they end, must be the same.
//!
//! One file for each family of tools; the families run one after another on the same two clusters ([`pair`]). Ports, ids and times are masked
//! ([`masks`]). `OTTLA_TEST_PEERS=kafka` compares Apache Kafka with itself, which proves the masks; `OTTLA_TEST_SHOW=1` prints everything, and
//! `OTTLA_TEST_FAMILY=NAME` runs one family.

mod known;
mod masks;
mod pair;

mod configs;
mod describing;
mod elections;
mod features;
mod quorum;
mod reassignments;
mod security;
mod topics;
mod upgrade;

use std::fs;

use ottla_tests::peer::cluster::{Cluster, Quorum};
use ottla_tests::peer::{Kind, chosen};

use pair::Pair;

const FAMILIES: &[(&str, fn(&mut Pair))] = &[
    ("topics", topics::play),
    ("elections", elections::play),
    ("describing", describing::play),
    ("configs", configs::play),
    ("reassignments", reassignments::play),
    ("features", features::play),
    ("quorum", quorum::play),
];

#[test]
fn tools_say_the_same() {
    let only = std::env::var("OTTLA_TEST_FAMILY").ok();
    for kind in chosen() {
        let mut pair = Pair::start(kind, Quorum::Dynamic);
        pair.settle();
        let replication = ["--bootstrap-server", "{brokers}", "describe", "--replication"];
        pair.soon_when("metadata-quorum", &replication, |said| said.matches("follower").count() == 3);
        for (name, play) in FAMILIES {
            if only.as_ref().is_none_or(|only| only == name) {
                let started = std::time::Instant::now();
                play(&mut pair);
                println!("{name}: {:?}", started.elapsed());
            }
        }
        // Apache Kafka has no excuse.
        let stale = if kind == Kind::Ottla && only.is_none() { pair.stale() } else { Vec::new() };
        assert!(stale.is_empty(), "known.rs lists what does not differ any more: {stale:?}");
        if kind == Kind::Ottla {
            known::KNOWN.iter().for_each(|known| println!("differs: {}: {}", known.step, known.why));
        }
        assert_alike(pair, kind);
    }
}

/// Every step has said the same of both.
#[track_caller]
fn assert_alike(pair: Pair, kind: Kind) {
    let (differences, compared) = pair.differences();
    println!("{compared} steps compared with {kind:?}");
    assert!(
        differences.is_empty(),
        "{} of {compared} steps differ from Apache Kafka's:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// A quorum with `controller.quorum.voters` goes over to `kraft.version` 1, and has its voters in its log from then on.
#[test]
fn a_static_quorum_is_upgraded() {
    for kind in chosen() {
        let mut pair = Pair::start(kind, Quorum::Static);
        pair.settle();
        upgrade::play(&mut pair);
        assert_alike(pair, kind);
    }
}

/// Controllers of each kind, and a broker of Apache Kafka that passes on to them what its clients ask.
#[test]
fn security_is_decided_alike() {
    for kind in chosen() {
        let mut pair = Pair::start_secured(kind);
        pair.settle();
        security::play(&mut pair);
        assert_alike(pair, kind);
    }
}

/// The id of the directory that holds a node's metadata.
fn directory(cluster: &Cluster, id: usize) -> String {
    let properties = fs::read_to_string(cluster.data(id).join("meta.properties")).expect("it is formatted");
    let line = properties.lines().find_map(|line| line.strip_prefix("directory.id="));
    line.expect("it has an id").to_owned()
}
