//! kafkajs, from npm.

use ottla_tests::peer::Peer;
use ottla_tests::program::{command, run};

use crate::on_each_peer;

fn scenario(peer: &Peer, name: &str) {
    let mut node = command(&["node", "tests/clients/node/kafkajs.js", &peer.bootstrap(), name]);
    node.env("NODE_PATH", ottla_tests::tools().join("node/node_modules"));
    node.env("KAFKAJS_NO_PARTITIONER_WARNING", "1").env("NODE_NO_WARNINGS", "1");
    run(node).ok();
}

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            on_each_peer(|peer| scenario(peer, stringify!($name)));
        })*
    };
}

scenarios!(
    produce_and_consume,
    idempotent_producer,
    gzip,
    groups_share_commit_and_go_on,
    seek_and_times,
    commit_metadata,
    administration,
    group_administration,
);
