//! Real clients, each producing, consuming, committing and seeking through a broker.
//!
//! Every suite takes a broker's address only, so that it runs on Apache Kafka too:
//! `OTTLA_TEST_PEERS=kafka,ottla`.

mod java;
mod kcat;
mod node;
mod python;
mod quotas;
mod streams;
mod tools;

use ottla_tests::peer::{Peer, chosen};

/// Runs a suite on each chosen broker.
fn on_each_peer(suite: fn(&Peer)) {
    for kind in chosen() {
        let peer = Peer::shared(kind);
        println!("on {kind:?} at {}", peer.bootstrap());
        suite(peer);
    }
}
