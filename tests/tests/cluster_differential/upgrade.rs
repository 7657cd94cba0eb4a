//! `kraft.version` 0 to 1 (KIP-853).

use super::pair::Pair;

pub fn play(pair: &mut Pair) {
    let describe = ["--bootstrap-server", "{brokers}", "describe"];
    pair.soon_when("features", &describe, |said| said.contains("metadata.version"));
    let replication = ["--bootstrap-server", "{brokers}", "describe", "--replication"];
    pair.soon_when("metadata-quorum", &replication, |said| said.matches("follower").count() == 3);
    let upgrade = ["--bootstrap-server", "{brokers}", "upgrade", "--feature"];
    pair.once("features", &[&upgrade[..], &["kraft.version=2"]].concat());
    // Voters tell their leader about themselves a while after it has begun to lead.
    let rehearsed = [&upgrade[..], &["kraft.version=1", "--dry-run"]].concat();
    pair.soon_when("features", &rehearsed, |said| said.contains("exit code Some(0)"));
    pair.soon_when("features", &describe, |said| said.contains("metadata.version"));
    pair.once("features", &[&upgrade[..], &["kraft.version=1"]].concat());
    pair.soon_when("features", &describe, |said| said.contains("metadata.version"));
    pair.once("features", &[&upgrade[..], &["kraft.version=1"]].concat());
    let downgrade = ["--bootstrap-server", "{brokers}", "downgrade", "--feature", "kraft.version=0"];
    pair.once("features", &downgrade);
    pair.soon_when("metadata-quorum", &replication, |said| said.matches("follower").count() == 3);
    pair.soon("metadata-quorum", &["--bootstrap-server", "{brokers}", "describe", "--status"]);
    let remove =
        ["remove-controller", "--controller-id", "3", "--controller-directory-id", "ottlaOttlaOttlaOttlaTA"];
    pair.once("metadata-quorum", &[&["--bootstrap-server", "{brokers}"], &remove[..]].concat());
}
