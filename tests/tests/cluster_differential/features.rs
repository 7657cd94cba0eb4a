//! `kafka-features.sh`.

use super::pair::Pair;

pub fn play(pair: &mut Pair) {
    features(pair, &["describe"]);
    features(pair, &["describe", "--node-id", "2"]);
    pair.once("features", &["--bootstrap-controller", "{controllers}", "describe"]);
    features(pair, &["upgrade", "--feature", "metadata.version=31"]);
    features(pair, &["upgrade", "--feature", "metadata.version=30"]);
    features(pair, &["downgrade", "--feature", "metadata.version=29"]);
    features(pair, &["downgrade", "--feature", "metadata.version=6"]);
    features(pair, &["upgrade", "--feature", "no.such.feature=1"]);
    features(pair, &["upgrade", "--feature", "kraft.version=1"]);
    features(pair, &["upgrade", "--feature", "kraft.version=2"]);
    features(pair, &["downgrade", "--feature", "kraft.version=0"]);
    features(pair, &["upgrade", "--feature", "eligible.leader.replicas.version=2"]);
    features(pair, &["downgrade", "--feature", "eligible.leader.replicas.version=0", "--dry-run"]);
    features(pair, &["disable", "--feature", "eligible.leader.replicas.version"]);
    pair.soon("features", &["--bootstrap-server", "{brokers}", "describe"]);
    features(pair, &["upgrade", "--feature", "eligible.leader.replicas.version=1"]);
    pair.soon("features", &["--bootstrap-server", "{brokers}", "describe"]);
}

fn features(pair: &mut Pair, arguments: &[&str]) {
    pair.once("features", &[&["--bootstrap-server", "{brokers}"], arguments].concat());
}
