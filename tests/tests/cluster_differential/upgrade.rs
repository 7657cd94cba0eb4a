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

    let quorum = |pair: &mut Pair, arguments: &[&str]| {
        pair.once("metadata-quorum", &[&["--bootstrap-server", "{brokers}"], arguments].concat());
    };
    let remove = |id| ["remove-controller", "--controller-id", id, "--controller-directory-id"];
    quorum(pair, &[&remove("3")[..], &["ottlaOttlaOttlaOttlaTA"]].concat());
    // One more, and gone again.
    pair.add_controller();
    pair.soon_when("metadata-quorum", &replication, |said| said.contains("Observer"));
    let add = |id| ["--bootstrap-server", "{brokers}", "--command-config", id, "add-controller"];
    pair.until_done("metadata-quorum", &add("{properties:4}"));
    pair.soon_when("metadata-quorum", &replication, |said| said.matches("follower").count() == 4);
    quorum(pair, &[&remove("4")[..], &["{directory:4}"]].concat());
    pair.soon_when("metadata-quorum", &replication, |said| said.matches("follower").count() == 3);
    // One of the first voters, which its own configuration still calls one.
    quorum(pair, &[&remove("3")[..], &["{directory:3}"]].concat());
    pair.soon_when("metadata-quorum", &replication, |said| said.matches("follower").count() == 2);
    quorum(pair, &[&remove("3")[..], &["{directory:3}"]].concat());
    pair.kill(3);
    pair.restart(3);
    pair.soon_when("metadata-quorum", &replication, |said| {
        said.matches("follower").count() == 2 && said.matches("Observer").count() == 2
    });
    pair.until_done("metadata-quorum", &add("{properties:3}"));
    pair.soon_when("metadata-quorum", &replication, |said| said.matches("follower").count() == 3);
    pair.soon("features", &describe);
}
