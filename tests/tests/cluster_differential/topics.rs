//! `kafka-topics.sh`.

use super::pair::Pair;

pub fn play(pair: &mut Pair) {
    let mut topics = Topics { pair };
    // One partition more would be placed at random.
    topics.once(&["--create", "--topic", "wide", "--replica-assignment", "1:2:3,2:3:1,3:1:2"]);
    topics.soon(&["--describe", "--topic", "wide"]);
    // Who has their replicas is drawn: they go before they are described.
    topics.once(&["--create", "--topic", "drawn", "--partitions", "1", "--replication-factor", "3"]);
    topics.once(&["--alter", "--topic", "drawn", "--partitions", "5"]);
    topics.once(&["--delete", "--topic", "drawn"]);
    topics.once(&[
        "--create",
        "--topic",
        "narrow",
        "--replica-assignment",
        "2:3,3",
        "--config",
        "retention.ms=1000",
    ]);
    topics.once(&["--create", "--topic", "narrow", "--replica-assignment", "1:2,2:3"]);
    topics.once(&["--create", "--topic", "wide", "--partitions", "1"]);
    topics.once(&["--create", "--topic", "wide", "--partitions", "1", "--if-not-exists"]);
    topics.once(&["--create", "--topic", "much", "--partitions", "1", "--replication-factor", "4"]);
    topics.once(&["--create", "--topic", "much", "--replica-assignment", "1:9"]);
    topics.once(&["--create", "--topic", "much", "--replica-assignment", "1:1"]);
    topics.once(&["--create", "--topic", "much", "--partitions", "0"]);
    topics.once(&["--create", "--topic", "a b", "--partitions", "1"]);
    topics.once(&["--create", "--topic", "a.b_c", "--replica-assignment", "1"]);
    topics.once(&["--create", "--topic", "a_b.c", "--replica-assignment", "1"]);
    topics.once(&["--create", "--topic", "odd", "--partitions", "1", "--config", "min.insync.replicas=none"]);
    topics.once(&["--create", "--topic", "odd", "--partitions", "1", "--config", "no.such.key=1"]);
    topics.soon(&["--list"]);
    topics.soon(&["--describe", "--topic", "narrow"]);
    topics.once(&["--describe", "--topic", "nowhere"]);
    for which in [
        "--under-replicated-partitions",
        "--unavailable-partitions",
        "--at-min-isr-partitions",
        "--under-min-isr-partitions",
        "--topics-with-overrides",
    ] {
        topics.soon(&["--describe", which]);
    }
    topics.once(&[
        "--alter",
        "--topic",
        "wide",
        "--partitions",
        "5",
        "--replica-assignment",
        "1,1,1,1:3,2:3",
    ]);
    topics.once(&[
        "--alter",
        "--topic",
        "wide",
        "--partitions",
        "5",
        "--replica-assignment",
        "1,1,1,1:2:3,2:3:1",
    ]);
    topics.soon(&["--describe", "--topic", "wide"]);
    topics.once(&["--alter", "--topic", "wide", "--partitions", "2"]);
    topics.once(&["--alter", "--topic", "nowhere", "--partitions", "4"]);
    topics.once(&["--delete", "--topic", "narrow"]);
    topics.once(&["--delete", "--topic", "narrow"]);
    topics.soon(&["--list"]);

    // A broker that is gone.
    topics.pair.kill(3);
    let fenced = |said: &str| said.matches("Isr: 1,2 ").count() == 3;
    topics.soon_when(&["--describe", "--topic", "wide"], fenced);
    for which in ["--under-replicated-partitions", "--unavailable-partitions", "--at-min-isr-partitions"] {
        topics.soon(&["--describe", which]);
    }
    topics.once(&["--create", "--topic", "less", "--partitions", "1", "--replication-factor", "3"]);
    topics.once(&["--create", "--topic", "given", "--replica-assignment", "3:2,1:3"]);
    topics.soon(&["--describe", "--topic", "given"]);
    topics.once(&["--create", "--topic", "gone", "--replica-assignment", "3"]);
    topics.pair.restart(3);
    topics.soon_when(&["--describe", "--topic", "wide"], |said| !said.contains("Elr: 3"));
    topics.once(&["--delete", "--topic", "g.*"]);
}

struct Topics<'a> {
    pair: &'a mut Pair,
}

impl Topics<'_> {
    fn once(&mut self, arguments: &[&str]) {
        self.pair.once("topics", &[&["--bootstrap-server", "{brokers}"], arguments].concat());
    }

    fn soon(&mut self, arguments: &[&str]) {
        self.soon_when(arguments, |_| true);
    }

    fn soon_when(&mut self, arguments: &[&str], is_so: impl Fn(&str) -> bool) {
        let all = [&["--bootstrap-server", "{brokers}"], arguments].concat();
        self.pair.soon_when("topics", &all, is_so);
    }
}
