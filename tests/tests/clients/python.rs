//! kafka-python and confluent-kafka, from PyPI.

use ottla_tests::peer::Peer;
use ottla_tests::program::{command, python, run};

use crate::on_each_peer;

fn scenario(peer: &Peer, program: &str, name: &str) {
    let program = format!("tests/clients/python/{program}.py");
    run(command(&[&python().display().to_string(), &program, &peer.bootstrap(), name])).ok();
}

macro_rules! scenarios {
    ($program:ident: $($name:ident),* $(,)?) => {
        mod $program {
            $(#[test]
            fn $name() {
                super::on_each_peer(|peer| super::scenario(peer, stringify!($program), stringify!($name)));
            })*
        }
    };
}

scenarios!(kafka_python: produce_and_consume, idempotence, compressions, groups, seek_and_times,
    commit_metadata, administration);
scenarios!(confluent: produce_and_consume, compressions, groups, static_membership, commit_and_seek, times,
    administration, group_administration);
