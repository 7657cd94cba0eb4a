//! What a broker's settings must be to each other.

use super::broker::{BrokerConfig, RACK_AWARE_REPLICA_SELECTOR};
use super::error::ConfigError;
use super::listener::{Listener, SecurityProtocol};
use super::settings::Settings;
use super::value::Value;

/// The first rule that is broken, with the key whose setting should change.
pub(super) fn check(config: &BrokerConfig, settings: &Settings) -> Result<(), (&'static str, ConfigError)> {
    check_roles(config, settings)?;
    check_listeners(config)?;
    check_advertised(config)?;
    check_numbers(config, settings)
}

type Broken = (&'static str, ConfigError);

fn broken(key: &'static str, sentence: impl Into<String>) -> Result<(), Broken> {
    Err((key, ConfigError::Rule(sentence.into())))
}

fn check_roles(config: &BrokerConfig, settings: &Settings) -> Result<(), Broken> {
    const VOTERS: &str = "controller.quorum.voters";
    if let Value::Number(old) = settings.effective("broker.id")
        && old != -1
        && old != i64::from(config.node_id)
    {
        let both = format!("broker.id={old} and node.id={} are two names of one thing", config.node_id);
        return broken("broker.id", both);
    }
    let Value::List(voters) = settings.effective(VOTERS) else { return Ok(()) };
    let is_this_node = |voter: &String| {
        voter.split_once('@').and_then(|(id, _)| id.trim().parse().ok()) == Some(config.node_id)
    };
    if config.process_roles.controller && !voters.is_empty() && !voters.iter().any(is_this_node) {
        return broken(
            VOTERS,
            format!("{VOTERS} does not name this node, whose node.id is {}", config.node_id),
        );
    }
    Ok(())
}

fn check_listeners(config: &BrokerConfig) -> Result<(), Broken> {
    let plaintext = |l: &Listener| l.security_protocol == SecurityProtocol::Plaintext;
    if let Some(secure) = config.listeners.iter().find(|l| !plaintext(l)) {
        return broken(
            "listeners",
            format!(
                "listener {} asks for {:?}, and only PLAINTEXT is built yet",
                secure.name, secure.security_protocol
            ),
        );
    }
    let of_controller = |l: &Listener| config.controller_listener_names.contains(&l.name);
    if !config.process_roles.broker {
        return match config.listeners.iter().all(of_controller) {
            true => Ok(()),
            false => {
                broken("listeners", "listeners of a controller must all be in controller.listener.names")
            }
        };
    }
    if config.listeners.iter().all(of_controller) {
        return broken("listeners", "listeners leaves none for clients: all are controller.listener.names");
    }
    Ok(())
}

fn check_advertised(config: &BrokerConfig) -> Result<(), Broken> {
    const KEY: &str = "advertised.listeners";
    for advertised in config.advertised_listeners.iter().chain(&config.advertised_controller_listeners) {
        let name = &advertised.name;
        if !config.listeners.iter().any(|l| l.name == *name) {
            return broken(KEY, format!("{KEY} has {name}, which is not in listeners"));
        }
        // Only what was written: the default takes the host from `listeners`, where it means "every interface".
        let written = !config.listeners.contains(advertised);
        if written && matches!(advertised.host.as_str(), "0.0.0.0" | "::") {
            return broken(KEY, format!("{KEY} has {}, which no client can reach", advertised.host));
        }
    }
    let selector = config.replica_selector_class.as_deref().filter(|class| !class.is_empty());
    if selector.is_some() && !config.selects_replicas() {
        let key = "replica.selector.class";
        return broken(key, format!("{key} can be {RACK_AWARE_REPLICA_SELECTOR} only"));
    }
    let inter_broker = &config.inter_broker_listener_name;
    if config.process_roles.broker && !config.advertised_listeners.iter().any(|l| l.name == *inter_broker) {
        return broken(
            "inter.broker.listener.name",
            format!("inter.broker.listener.name is {inter_broker}, which is not in {KEY}"),
        );
    }
    Ok(())
}

fn check_numbers(config: &BrokerConfig, settings: &Settings) -> Result<(), Broken> {
    for key in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
        if settings.effective(key) == Value::Number(0) {
            return broken(key, format!("{key} must be -1, for ever, or at least 1"));
        }
    }
    if config.group_min_session_timeout_ms > config.group_max_session_timeout_ms {
        let key = "group.min.session.timeout.ms";
        return broken(key, format!("{key} is greater than group.max.session.timeout.ms"));
    }
    if config.queued_max_request_bytes > 0
        && config.queued_max_request_bytes < i64::from(config.socket_request_max_bytes)
    {
        let key = "queued.max.request.bytes";
        return broken(key, format!("{key} must be at least socket.request.max.bytes, or -1 for no bound"));
    }
    if config.max_connections_per_ip == 0 && config.max_connections_per_ip_overrides.is_empty() {
        let key = "max.connections.per.ip";
        return broken(key, format!("{key}=0 needs max.connections.per.ip.overrides, or nobody can connect"));
    }
    if i64::from(config.broker_heartbeat_interval_ms) * 2 > i64::from(config.broker_session_timeout_ms) {
        let key = "broker.heartbeat.interval.ms";
        return broken(key, format!("{key} must be at most half of broker.session.timeout.ms"));
    }
    if i64::from(config.replica_fetch_wait_max_ms) > config.replica_lag_time_max_ms {
        let key = "replica.fetch.wait.max.ms";
        return broken(key, format!("{key} must not be greater than replica.lag.time.max.ms"));
    }
    let (low, high) = ("log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms");
    if let (Value::Number(min), Value::Number(max)) = (settings.effective(low), settings.effective(high))
        && min > max
    {
        return broken(low, format!("{low} ({min}) is greater than {high} ({max})"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{file_settings, parse_properties};
    use super::*;

    fn start(properties: &str) -> String {
        let settings = file_settings("server.properties", parse_properties(properties).unwrap());
        match BrokerConfig::resolve(settings, false) {
            Ok(_) => "started".into(),
            Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }

    /// The settings of the file that Apache Kafka comes with.
    #[test]
    fn kafkas_own_properties_start() {
        let properties = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:9093\n\
            listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
            advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
            controller.listener.names=CONTROLLER\nlistener.security.protocol.map=CONTROLLER:PLAINTEXT,\
            PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\nnum.network.threads=3\n\
            num.io.threads=8\nsocket.send.buffer.bytes=102400\nsocket.receive.buffer.bytes=102400\n\
            socket.request.max.bytes=104857600\nlog.dirs=/tmp/kraft-combined-logs\nnum.partitions=1\n\
            num.recovery.threads.per.data.dir=2\noffsets.topic.replication.factor=1\n\
            share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n\
            transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\nlog.retention.hours=168\n\
            log.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n";
        assert_eq!(start(properties), "started");
    }

    #[test]
    fn each_rule_names_file_and_line() {
        for (properties, expected) in [
            ("node.id=2\nbroker.id=3", "server.properties:2: broker.id=3 and node.id=2"),
            ("controller.quorum.voters=2@a:1", "server.properties:1: controller.quorum.voters does not name"),
            ("listeners=SSL://:1", "server.properties:1: listener SSL asks for Ssl"),
            ("\n\nlisteners=CONTROLLER://:1", "server.properties:3: listeners leaves none"),
            ("advertised.listeners=X://h:1", "server.properties:1: Invalid value X://h:1"),
            ("advertised.listeners=SSL://h:1", "server.properties:1: advertised.listeners has SSL"),
            (
                "advertised.listeners=PLAINTEXT://0.0.0.0:1",
                "server.properties:1: advertised.listeners has 0.0.0.0",
            ),
            ("inter.broker.listener.name=X", "server.properties:1: inter.broker.listener.name is X"),
            ("log.retention.minutes=0", "server.properties:1: log.retention.minutes must be -1"),
            (
                "group.min.session.timeout.ms=9999999",
                "server.properties:1: group.min.session.timeout.ms is greater",
            ),
            ("queued.max.request.bytes=5", "server.properties:1: queued.max.request.bytes must be at least"),
            ("max.connections.per.ip=0", "server.properties:1: max.connections.per.ip=0 needs"),
            ("ssl.keystore.location=/k", "server.properties:1: ssl.keystore.location=/k asks for"),
        ] {
            let said = start(properties);
            assert!(said.starts_with(expected), "{properties:?}: {said}");
        }
    }
}
