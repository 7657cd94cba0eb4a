//! `kafka-leader-election.sh`.

use super::pair::Pair;

pub fn play(pair: &mut Pair) {
    let topics = ["--bootstrap-server", "{brokers}"];
    let create = ["--create", "--topic", "led", "--replica-assignment", "1:2:3,3:2:1"];
    pair.once("topics", &[&topics[..], &create].concat());
    let create = ["--create", "--topic", "alone", "--replica-assignment", "3"];
    pair.once("topics", &[&topics[..], &create].concat());
    let describe_alone = [&topics[..], &["--describe", "--topic", "alone"]].concat();
    pair.soon("topics", &describe_alone);
    let describe = [&topics[..], &["--describe", "--topic", "led"]].concat();
    pair.soon("topics", &describe);
    elect(pair, &["--election-type", "preferred", "--topic", "led", "--partition", "0"]);
    elect(pair, &["--election-type", "unclean", "--topic", "led", "--partition", "0"]);
    elect(pair, &["--election-type", "preferred", "--topic", "led", "--partition", "9"]);
    elect(pair, &["--election-type", "preferred", "--topic", "nowhere", "--partition", "0"]);

    pair.kill(3);
    pair.soon_when("topics", &describe, |said| said.contains("Partition: 1 Leader: 2"));
    pair.soon_when("topics", &describe_alone, |said| said.contains("Leader: none"));
    elect(pair, &["--election-type", "preferred", "--topic", "led", "--partition", "1"]);
    elect(pair, &["--election-type", "unclean", "--topic", "alone", "--partition", "0"]);
    elect(pair, &["--election-type", "unclean", "--topic", "led", "--partition", "1"]);
    pair.restart(3);
    pair.soon_when("topics", &describe, |said| said.matches("Isr: 1,2,3").count() == 2);
    pair.soon_when("topics", &describe_alone, |said| said.contains("Leader: 3"));

    pair.write(
        "led.json",
        r#"{"partitions": [{"topic": "led", "partition": 1}, {"topic": "led", "partition": 0}]}"#,
    );
    pair.write(
        "twice.json",
        r#"{"partitions": [{"topic": "led", "partition": 1}, {"topic": "led", "partition": 1}]}"#,
    );
    pair.write("wrong.json", r#"{"partition": "#);
    elect(pair, &["--election-type", "preferred", "--path-to-json-file", "{file:wrong.json}"]);
    elect(pair, &["--election-type", "preferred", "--path-to-json-file", "{file:twice.json}"]);
    elect(pair, &["--election-type", "preferred", "--path-to-json-file", "{file:led.json}"]);
    pair.soon("topics", &describe);
    elect(pair, &["--election-type", "preferred", "--path-to-json-file", "{file:led.json}"]);
    elect(pair, &["--election-type", "preferred", "--all-topic-partitions"]);
    elect(pair, &["--election-type", "preferred", "--all-topic-partitions"]);
    elect(pair, &["--election-type", "unclean", "--all-topic-partitions"]);
    elect(pair, &["--election-type", "any", "--all-topic-partitions"]);
}

fn elect(pair: &mut Pair, arguments: &[&str]) {
    pair.once("leader-election", &[&["--bootstrap-server", "{brokers}"], arguments].concat());
}
