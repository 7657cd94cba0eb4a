//! Kafka Streams and Kafka Connect, unmodified: what they ask of a broker that plain clients do not.

use std::fs;

use ottla_tests::program::{java, run};

use crate::on_each_peer;

/// The demo counts, ends, and goes on counting in another life that has nothing but the changelog.
#[test]
fn word_count() {
    on_each_peer(|peer| {
        for (life, before) in [("first", "0"), ("second", "300")] {
            let state = peer.directory().join(format!("streams-{life}")).display().to_string();
            run(java("tests/clients/java/WordCount.java", &[&peer.bootstrap(), &state, before])).ok();
        }
    });
}

#[test]
fn connect_distributed() {
    on_each_peer(|peer| {
        let directory = peer.directory().join("connect");
        fs::create_dir_all(&directory).expect("the peer's directory can be written");
        let directory = directory.display().to_string();
        run(java("tests/clients/java/Connect.java", &[&peer.bootstrap(), &directory])).ok();
    });
}
