//! `kafka-metadata-quorum.sh`.

use super::pair::Pair;

pub fn play(pair: &mut Pair) {
    quorum(pair, &["describe", "--status"]);
    quorum(pair, &["describe", "--replication"]);
    pair.once("metadata-quorum", &["--bootstrap-controller", "{controllers}", "describe", "--status"]);
    pair.once("metadata-quorum", &["--bootstrap-controller", "{controllers}", "describe", "--replication"]);

    pair.add_controller();
    let status = ["--bootstrap-server", "{brokers}", "describe", "--replication"];
    pair.soon_when("metadata-quorum", &status, |said| said.contains("Observer"));
    let add = ["--command-config", "{properties:4}", "add-controller"];
    quorum(pair, &[&add[..], &["--dry-run"]].concat());
    pair.until_done("metadata-quorum", &[&["--bootstrap-server", "{brokers}"], &add[..]].concat());
    pair.soon_when("metadata-quorum", &status, |said| said.matches("follower").count() == 4);
    quorum(pair, &add);
    quorum(pair, &["describe", "--status"]);
    let remove = ["remove-controller", "--controller-id", "4", "--controller-directory-id"];
    quorum(pair, &[&remove[..], &["ottlaOttlaOttlaOttlaTA"]].concat());
    quorum(pair, &[&remove[..], &["{directory:4}", "--dry-run"]].concat());
    quorum(pair, &[&remove[..], &["{directory:4}"]].concat());
    pair.soon_when("metadata-quorum", &status, |said| said.matches("follower").count() == 3);
    quorum(pair, &[&remove[..], &["{directory:4}"]].concat());
    pair.once(
        "metadata-quorum",
        &[&["--bootstrap-controller", "{controllers}"], &remove[..], &["{directory:4}"]].concat(),
    );
    pair.until_done("metadata-quorum", &[&["--bootstrap-controller", "{controllers}"], &add[..]].concat());
    pair.soon_when("metadata-quorum", &status, |said| said.matches("follower").count() == 4);
    pair.soon("features", &["--bootstrap-controller", "{controllers}", "describe"]);
}

fn quorum(pair: &mut Pair, arguments: &[&str]) {
    pair.once("metadata-quorum", &[&["--bootstrap-server", "{brokers}"], arguments].concat());
}
