//! `kafka-configs.sh`.

use super::pair::Pair;

pub fn play(pair: &mut Pair) {
    let create =
        ["--bootstrap-server", "{brokers}", "--create", "--topic", "told", "--replica-assignment", "1:2:3"];
    pair.once("topics", &create);
    let mut configs = Configs { pair };
    let topic = ["--entity-type", "topics", "--entity-name", "told"];
    configs.soon(&topic, &["--describe"]);
    configs.once(&topic, &["--describe", "--all"]);
    configs.once(&topic, &["--alter", "--add-config", "retention.ms=100000,cleanup.policy=[compact,delete]"]);
    configs.soon(&topic, &["--describe"]);
    configs.once(&topic, &["--alter", "--add-config", "retention.ms=soon"]);
    configs.once(&topic, &["--alter", "--add-config", "no.such.key=1"]);
    configs.once(&topic, &["--alter", "--delete-config", "retention.ms"]);
    configs.once(&topic, &["--alter", "--delete-config", "retention.ms"]);
    configs.once(
        &topic,
        &[
            "--alter",
            "--add-config",
            "leader.replication.throttled.replicas=0:1,follower.replication.throttled.replicas=*",
        ],
    );
    configs.once(&topic, &["--alter", "--add-config", "leader.replication.throttled.replicas=zero"]);
    configs.soon(&topic, &["--describe"]);
    configs.once(&["--entity-type", "topics", "--entity-name", "nowhere"], &["--describe"]);
    configs.once(
        &["--entity-type", "topics", "--entity-name", "nowhere"],
        &["--alter", "--add-config", "retention.ms=1"],
    );

    let (two, default) = (
        ["--entity-type", "brokers", "--entity-name", "2"],
        ["--entity-type", "brokers", "--entity-default"],
    );
    configs.once(&two, &["--describe"]);
    configs.once(&two, &["--describe", "--all"]);
    configs.once(&two, &["--alter", "--add-config", "message.max.bytes=2000000"]);
    configs
        .once(&default, &["--alter", "--add-config", "message.max.bytes=3000000,log.retention.ms=5000000"]);
    configs.soon(&two, &["--describe"]);
    configs.soon(&default, &["--describe"]);
    configs.soon(&["--entity-type", "brokers"], &["--describe"]);
    let throttles = "leader.replication.throttled.rate=1000000,follower.replication.throttled.rate=2000000";
    configs.once(&two, &["--alter", "--add-config", throttles]);
    configs.once(&two, &["--alter", "--add-config", "replica.alter.log.dirs.io.max.bytes.per.second=7"]);
    configs.once(&two, &["--alter", "--add-config", "leader.replication.throttled.rate=-1"]);
    configs.soon(&two, &["--describe"]);
    configs.once(&two, &["--alter", "--add-config", "log.retention.ms=soon"]);
    configs.once(&two, &["--alter", "--add-config", "node.id=4"]);
    configs.once(&two, &["--alter", "--add-config", "log.cleaner.threads=2"]);
    configs.once(&default, &["--alter", "--add-config", "ssl.keystore.location=/nowhere"]);
    configs
        .once(&two, &["--alter", "--delete-config", "message.max.bytes,leader.replication.throttled.rate"]);
    let keys = "follower.replication.throttled.rate,replica.alter.log.dirs.io.max.bytes.per.second";
    configs.once(&two, &["--alter", "--delete-config", keys]);
    configs.once(&default, &["--alter", "--delete-config", "message.max.bytes,log.retention.ms"]);
    configs.soon(&two, &["--describe"]);
    configs.once(&["--entity-type", "brokers", "--entity-name", "x"], &["--describe"]);
    for loggers in ["1", "2"] {
        let loggers = ["--entity-type", "broker-loggers", "--entity-name", loggers];
        configs.once(&loggers, &["--alter", "--add-config", "no.such.logger=INFO"]);
        configs.once(&loggers, &["--alter", "--add-config", "kafka.server.KafkaApis=LOUD"]);
    }
    configs.once(&["--entity-type", "clients", "--entity-name", "c"], &["--describe"]);
    configs.once(&["--entity-type", "groups", "--entity-name", "g"], &["--describe"]);
    configs.once(&["--entity-type", "client-metrics", "--entity-name", "m"], &["--describe"]);
}

struct Configs<'a> {
    pair: &'a mut Pair,
}

impl Configs<'_> {
    fn once(&mut self, entity: &[&str], arguments: &[&str]) {
        self.pair.once("configs", &[&["--bootstrap-server", "{broker:1}"], arguments, entity].concat());
    }

    fn soon(&mut self, entity: &[&str], arguments: &[&str]) {
        self.pair.soon("configs", &[&["--bootstrap-server", "{broker:1}"], arguments, entity].concat());
    }
}
