//! The tools that only look.

use super::pair::Pair;

const BROKERS: [&str; 2] = ["--bootstrap-server", "{brokers}"];

pub fn play(pair: &mut Pair) {
    let create = ["--create", "--topic", "seen", "--replica-assignment", "1:2:3,2:3:1"];
    pair.once("topics", &[&BROKERS[..], &create].concat());
    pair.soon("topics", &[&BROKERS[..], &["--describe", "--topic", "seen"]].concat());

    pair.once("cluster", &[&["cluster-id"], &BROKERS[..]].concat());
    pair.once("cluster", &["cluster-id", "--bootstrap-controller", "{controllers}"]);
    pair.once("cluster", &[&["list-endpoints"], &BROKERS[..]].concat());
    pair.once("cluster", &[&["list-endpoints", "--include-fenced-brokers"], &BROKERS[..]].concat());
    pair.once("cluster", &["list-endpoints", "--bootstrap-controller", "{controllers}"]);
    pair.once("cluster", &[&["unregister", "--id", "9"], &BROKERS[..]].concat());
    pair.once("cluster", &["unregister", "--id", "9", "--bootstrap-controller", "{controllers}"]);

    pair.once("get-offsets", &[&BROKERS[..], &["--topic", "seen"]].concat());
    pair.once("get-offsets", &[&BROKERS[..], &["--topic", "seen", "--time", "earliest"]].concat());
    pair.once(
        "get-offsets",
        &[&BROKERS[..], &["--topic-partitions", "seen:1", "--time", "max-timestamp"]].concat(),
    );
    pair.once("get-offsets", &[&BROKERS[..], &["--topic", "nowhere"]].concat());

    pair.once("log-dirs", &[&BROKERS[..], &["--describe", "--topic-list", "seen"]].concat());
    pair.once(
        "log-dirs",
        &[&BROKERS[..], &["--describe", "--topic-list", "seen", "--broker-list", "2,3"]].concat(),
    );
    pair.once("log-dirs", &[&BROKERS[..], &["--describe", "--topic-list", "nowhere"]].concat());
    pair.once("log-dirs", &[&BROKERS[..], &["--describe", "--broker-list", "7"]].concat());

    pair.once("consumer-groups", &[&BROKERS[..], &["--list"]].concat());
    pair.once("consumer-groups", &[&BROKERS[..], &["--describe", "--group", "nobody"]].concat());
    let reset = ["--reset-offsets", "--group", "readers", "--topic", "seen", "--to-earliest", "--execute"];
    pair.once("consumer-groups", &[&BROKERS[..], &reset].concat());
    pair.soon("consumer-groups", &[&BROKERS[..], &["--list", "--state"]].concat());
    pair.soon("consumer-groups", &[&BROKERS[..], &["--describe", "--group", "readers"]].concat());
    pair.once(
        "consumer-groups",
        &[&BROKERS[..], &["--describe", "--group", "readers", "--members"]].concat(),
    );
}
