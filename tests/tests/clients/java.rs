//! Apache Kafka's own Java client.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ottla_tests::peer::Peer;
use ottla_tests::program::{class_path, command, java_with, run};

use crate::on_each_peer;

/// Compiles the client program once.
fn classes() -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let classes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("java-clients");
        let mut javac = command(&["javac", "-nowarn", "-d"]);
        javac.arg(&classes).args(["-cp", &class_path(), "tests/clients/java/Clients.java"]);
        run(javac).ok();
        classes
    })
}

fn scenario(peer: &Peer, name: &str) {
    let class_path = format!("{}:{}", classes().display(), class_path());
    run(java_with(&class_path, "Clients", &[&peer.bootstrap(), name])).ok();
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
    idempotent_producer,
    compressions,
    groups_of_each_assignor,
    static_membership,
    commit_metadata_and_resume,
    seek_and_times,
    max_bytes_and_pause,
    topic_administration,
    config_administration,
    group_administration,
    delete_records,
    cluster_description,
    refusals,
);
