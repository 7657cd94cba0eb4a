//! `kafka-reassign-partitions.sh`.

use super::pair::Pair;

const MOVE: &str = r#"{"version": 1, "partitions": [
    {"topic": "moved", "partition": 0, "replicas": [2, 3]},
    {"topic": "moved", "partition": 1, "replicas": [3, 2, 1]}]}"#;
const BACK: &str = r#"{"version": 1, "partitions": [
    {"topic": "moved", "partition": 0, "replicas": [1, 2]},
    {"topic": "moved", "partition": 1, "replicas": [2, 3]}]}"#;
const NOWHERE: &str =
    r#"{"version": 1, "partitions": [{"topic": "nowhere", "partition": 0, "replicas": [1, 2]}]}"#;
const NOBODY: &str =
    r#"{"version": 1, "partitions": [{"topic": "moved", "partition": 0, "replicas": [1, 9]}]}"#;
const TWICE: &str =
    r#"{"version": 1, "partitions": [{"topic": "moved", "partition": 0, "replicas": [1, 1]}]}"#;

const STUCK: &str = r#"{"version": 1, "partitions": [
    {"topic": "stuck", "partition": 0, "replicas": [1, 3]},
    {"topic": "stuck", "partition": 1, "replicas": [3, 2, 1]}]}"#;
const OTHER: &str = r#"{"version": 1, "partitions": [{"topic": "stuck", "partition": 0, "replicas": [3]}]}"#;

pub fn play(pair: &mut Pair) {
    at_once(pair);
    cancelled(pair);
}

fn at_once(pair: &mut Pair) {
    let topics = ["--bootstrap-server", "{brokers}"];
    let create = ["--create", "--topic", "moved", "--replica-assignment", "1:2,2:3"];
    pair.once("topics", &[&topics[..], &create].concat());
    let describe = [&topics[..], &["--describe", "--topic", "moved"]].concat();
    pair.soon("topics", &describe);
    for (name, text) in [
        ("move.json", MOVE),
        ("back.json", BACK),
        ("nowhere.json", NOWHERE),
        ("nobody.json", NOBODY),
        ("twice.json", TWICE),
        ("wrong.json", r#"{"version": 1, "partitions": ["#),
        ("topics.json", r#"{"version": 1, "topics": [{"topic": "moved"}]}"#),
        ("unknown.json", r#"{"version": 1, "topics": [{"topic": "nowhere"}]}"#),
    ] {
        pair.write(name, text);
    }
    // A proposal for one broker is the same whatever is drawn.
    for (file, brokers) in [("topics", "1"), ("unknown", "1,2"), ("wrong", "1")] {
        let file = format!("{{file:{file}.json}}");
        reassign(pair, &["--generate", "--topics-to-move-json-file", &file, "--broker-list", brokers]);
    }
    for file in ["wrong", "nowhere", "nobody", "twice"] {
        let file = format!("{{file:{file}.json}}");
        reassign(pair, &["--execute", "--reassignment-json-file", &file]);
        // What is said of a broker that is not there the tool waits for.
        if !file.contains("nobody") {
            reassign(pair, &["--verify", "--reassignment-json-file", &file]);
            reassign(pair, &["--cancel", "--reassignment-json-file", &file]);
        }
    }
    reassign(pair, &["--list"]);
    reassign(pair, &["--execute", "--reassignment-json-file", "{file:move.json}"]);
    soon(pair, &["--verify", "--reassignment-json-file", "{file:move.json}"], |said| {
        said.matches("is completed").count() == 2
    });
    pair.soon("topics", &describe);
    let throttled = ["--execute", "--reassignment-json-file", "{file:back.json}", "--throttle", "10000000"];
    reassign(pair, &[&throttled[..], &["--replica-alter-log-dirs-throttle", "20000000"]].concat());
    for entity in [&["--entity-type", "brokers"][..], &["--entity-type", "topics", "--entity-name", "moved"]]
    {
        pair.soon("configs", &[&topics[..], &["--describe"], entity].concat());
    }
    let verify = ["--verify", "--reassignment-json-file", "{file:back.json}"];
    soon(pair, &[&verify[..], &["--preserve-throttles"]].concat(), |said| {
        said.matches("is completed").count() == 2
    });
    reassign(pair, &verify);
    for entity in [&["--entity-type", "brokers"][..], &["--entity-type", "topics", "--entity-name", "moved"]]
    {
        pair.soon("configs", &[&topics[..], &["--describe"], entity].concat());
    }

    // There is nothing under way any more.
    reassign(pair, &["--cancel", "--reassignment-json-file", "{file:back.json}"]);
    reassign(pair, &["--list"]);
}

/// What may be copied at a byte a second is under way until it is cancelled.
fn cancelled(pair: &mut Pair) {
    let topics = ["--bootstrap-server", "{brokers}"];
    let create = ["--create", "--topic", "stuck", "--replica-assignment", "1:2,2:1"];
    pair.once("topics", &[&topics[..], &create].concat());
    let describe = [&topics[..], &["--describe", "--topic", "stuck"]].concat();
    pair.soon("topics", &describe);
    let records =
        ["--topic", "stuck", "--num-records", "20000", "--record-size", "1000", "--throughput", "-1"];
    let properties = ["--producer-props", "bootstrap.servers={brokers}", "acks=all"];
    pair.quietly("producer-performance", &[&records[..], &properties].concat());
    pair.write("stuck.json", STUCK);
    pair.write("other.json", OTHER);

    let stuck = ["--reassignment-json-file", "{file:stuck.json}"];
    reassign(pair, &[&["--execute", "--throttle", "1"], &stuck[..]].concat());
    soon(pair, &["--list"], |said| said.contains("stuck-1"));
    soon(pair, &[&["--verify"], &stuck[..]].concat(), |said| said.matches("still in progress").count() == 2);
    let other = ["--execute", "--reassignment-json-file", "{file:other.json}"];
    reassign(pair, &other);

    reassign(pair, &[&["--cancel"], &stuck[..]].concat());
    soon(pair, &["--list"], |said| !said.contains("stuck"));
    pair.soon("topics", &describe);
    reassign(pair, &[&["--cancel"], &stuck[..]].concat());
    let entity = ["--describe", "--entity-type", "topics", "--entity-name", "stuck"];
    pair.soon("configs", &[&topics[..], &entity].concat());
    pair.soon("configs", &[&topics[..], &["--describe", "--entity-type", "brokers"]].concat());
}

fn reassign(pair: &mut Pair, arguments: &[&str]) {
    pair.once("reassign-partitions", &[&["--bootstrap-server", "{brokers}"], arguments].concat());
}

fn soon(pair: &mut Pair, arguments: &[&str], is_so: impl Fn(&str) -> bool) {
    let all = [&["--bootstrap-server", "{brokers}"], arguments].concat();
    pair.soon_when("reassign-partitions", &all, is_so);
}
