//! Whether a topic, a group, a subscription or a running broker may have these settings.

use std::collections::BTreeMap;

use super::broker::BrokerConfig;
use super::error::ConfigError;
use super::key::{Scope, Status, UpdateMode};
use super::table;
use super::topic::TopicConfig;
use super::value::Value;

/// Settings of one resource: name and value.
type Configs = BTreeMap<String, String>;

/// One topic setting by itself.
pub fn validate_topic_config(name: &str, value: &str) -> Result<(), ConfigError> {
    let key = table::key(Scope::Topic, name)
        .ok_or_else(|| ConfigError::UnknownKey { scope: Scope::Topic, name: name.to_owned() })?;
    key.parse(value).map(drop)
}

/// All settings that a topic would have, where it had `existing` ones: names first, then values, then what they mean
/// together with the broker's.
pub fn validate_topic_configs(
    broker: &BrokerConfig,
    existing: &Configs,
    configs: &Configs,
) -> Result<(), ConfigError> {
    check_all(Scope::Topic, configs)?;
    let topic = TopicConfig::new(broker, pairs(configs));
    let rule = |sentence: &str| Err(ConfigError::Rule(sentence.to_owned()));
    if topic.min_compaction_lag_ms > topic.max_compaction_lag_ms {
        return Err(ConfigError::Rule(format!(
            "conflict topic config setting min.compaction.lag.ms ({}) > max.compaction.lag.ms ({})",
            topic.min_compaction_lag_ms, topic.max_compaction_lag_ms
        )));
    }
    if topic.remote_storage_enable {
        // `remote.log.storage.system.enable` is not built, so this is where it ends, as on any Kafka without it.
        return rule(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log \
             storage.",
        );
    }
    let was_remote =
        existing.get("remote.storage.enable").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    if was_remote && !topic.remote_log_delete_on_disable {
        return rule("Remote storage cannot be disabled without `remote.log.delete.on.disable=true`.");
    }
    Ok(())
}

/// All settings that a group would have.
pub fn validate_group_configs(broker: &BrokerConfig, configs: &Configs) -> Result<(), ConfigError> {
    check_all(Scope::Group, configs)?;
    // A key is compared with the broker's bounds for it even when it has its default.
    for (name, only_if_set) in BOUNDED_GROUP_KEYS {
        if *only_if_set && !configs.contains_key(*name) {
            continue;
        }
        let value = group_number(configs, name);
        let (family, rest) = name.split_once('.').unwrap_or((name, ""));
        let rest = if *name == "streams.num.standby.replicas" { "standby.replicas" } else { rest };
        let bound = |which: &str| format!("group.{family}.{which}.{rest}");
        let (low, high) = (bound("min"), bound("max"));
        if let Value::Number(limit) = broker.settings.effective(&low)
            && value < limit
        {
            return Err(ConfigError::Rule(format!("{name} must be greater than or equal to {low}")));
        }
        if let Value::Number(limit) = broker.settings.effective(&high)
            && value > limit
        {
            return Err(ConfigError::Rule(format!("{name} must be less than or equal to {high}")));
        }
    }
    for family in ["consumer", "share", "streams"] {
        let (session, heartbeat) =
            (format!("{family}.session.timeout.ms"), format!("{family}.heartbeat.interval.ms"));
        if group_number(configs, &session) <= group_number(configs, &heartbeat) {
            return Err(ConfigError::Rule(format!("{session} must be greater than {heartbeat}")));
        }
    }
    Ok(())
}

/// In Kafka's order; the flag says "only when the group sets it".
const BOUNDED_GROUP_KEYS: &[(&str, bool)] = &[
    ("consumer.heartbeat.interval.ms", false),
    ("consumer.session.timeout.ms", false),
    ("consumer.assignment.interval.ms", true),
    ("share.heartbeat.interval.ms", false),
    ("share.session.timeout.ms", false),
    ("share.record.lock.duration.ms", false),
    ("share.delivery.count.limit", false),
    ("share.partition.max.record.locks", false),
    ("share.assignment.interval.ms", true),
    ("streams.heartbeat.interval.ms", false),
    ("streams.session.timeout.ms", false),
    ("streams.num.standby.replicas", false),
    ("streams.assignment.interval.ms", true),
];

fn group_number(configs: &Configs, name: &str) -> i64 {
    let Some(key) = table::key(Scope::Group, name) else { return 0 };
    let set = configs.get(name).and_then(|text| key.parse(text).ok());
    match set.unwrap_or_else(|| key.default_value()) {
        Value::Number(number) => number,
        _ => 0,
    }
}

/// All settings that a client metrics subscription would have (KIP-714).
pub fn validate_client_metrics_configs(name: &str, configs: &Configs) -> Result<(), ConfigError> {
    if name.is_empty() {
        return Err(ConfigError::Rule("Subscription name can't be empty".into()));
    }
    check_all(Scope::ClientMetrics, configs)?;
    if let Some(text) = configs.get("interval.ms")
        && !text.trim().parse::<i64>().is_ok_and(|ms| (100..=3_600_000).contains(&ms))
    {
        return Err(ConfigError::Rule(format!(
            "Invalid value {text} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
        )));
    }
    Ok(())
}

/// All settings that a broker (`per_broker`) or the cluster's default for brokers would have at run time. Keys that the
/// table does not know are let through, as Kafka lets plugins' keys through.
pub fn validate_broker_configs(
    broker: &BrokerConfig,
    configs: &Configs,
    per_broker: bool,
) -> Result<(), ConfigError> {
    let known = || configs.iter().filter_map(|(name, text)| Some((table::key(Scope::Broker, name)?, text)));
    let refuse = |sentence: &str, mode: UpdateMode| {
        let names: Vec<&str> =
            known().filter(|(key, _)| key.update_mode == mode).map(|(key, _)| key.name).collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(ConfigError::Rule(format!("{sentence}: [{}]", names.join(", "))))
    };
    refuse("Cannot update these configs dynamically", UpdateMode::ReadOnly)?;
    for (key, text) in known() {
        let value = key.parse(text)?;
        if key.status == Status::NotBuilt && value != key.default_value() {
            let value = if key.is_sensitive() { "[hidden]" } else { text };
            return Err(ConfigError::NotBuilt { name: key.name.into(), value: value.into() });
        }
    }
    if !per_broker {
        let sentence = "Cannot update these configs at default cluster level, broker id must be specified";
        refuse(sentence, UpdateMode::PerBroker)?;
    }
    broker.try_with_dynamic(configs, per_broker).map(drop)
}

/// Names first, then values.
fn check_all(scope: Scope, configs: &Configs) -> Result<(), ConfigError> {
    if let Some(name) = configs.keys().find(|name| table::key(scope, name).is_none()) {
        return Err(ConfigError::UnknownKey { scope, name: name.clone() });
    }
    for key in table::keys(scope) {
        if let Some(text) = configs.get(key.name) {
            key.parse(text)?;
        }
    }
    Ok(())
}

fn pairs(configs: &Configs) -> impl Iterator<Item = (&str, &str)> {
    configs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(pairs: &[(&str, &str)]) -> Configs {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn topic(pairs: &[(&str, &str)]) -> String {
        let result = validate_topic_configs(&BrokerConfig::default(), &Configs::new(), &configs(pairs));
        result.map_or_else(|e| e.to_string(), |()| "fine".into())
    }

    fn group(pairs: &[(&str, &str)]) -> String {
        let result = validate_group_configs(&BrokerConfig::default(), &configs(pairs));
        result.map_or_else(|e| e.to_string(), |()| "fine".into())
    }

    fn broker(pairs: &[(&str, &str)], per_broker: bool) -> String {
        let result = validate_broker_configs(&BrokerConfig::default(), &configs(pairs), per_broker);
        result.map_or_else(|e| e.to_string(), |()| "fine".into())
    }

    #[test]
    fn topics() {
        assert_eq!(topic(&[("retention.ms", "-1"), ("cleanup.policy", "compact")]), "fine");
        assert_eq!(topic(&[("no.such", "1"), ("retention.ms", "x")]), "Unknown topic config name: no.such");
        assert_eq!(
            topic(&[("retention.ms", "x")]),
            "Invalid value x for configuration retention.ms: Not a number of type LONG"
        );
        assert_eq!(
            topic(&[("cleanup.policy", "delete,foo")]),
            "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"
        );
        assert_eq!(
            topic(&[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")]),
            "conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (4)"
        );
        assert!(
            topic(&[("remote.storage.enable", "true")])
                .starts_with("Tiered Storage functionality is disabled")
        );
    }

    #[test]
    fn groups() {
        assert_eq!(group(&[("consumer.session.timeout.ms", "50000")]), "fine");
        assert_eq!(group(&[("no.such", "1")]), "Unknown group config name: no.such");
        assert_eq!(
            group(&[("consumer.session.timeout.ms", "1000")]),
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"
        );
        assert_eq!(
            group(&[("streams.num.standby.replicas", "3")]),
            "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas"
        );
        assert_eq!(
            group(&[("share.auto.offset.reset", "none")]),
            "Invalid value none for configuration share.auto.offset.reset: Invalid value `none` for configuration \
             share.auto.offset.reset. The value must be either 'earliest', 'latest' or of the format \
             'by_duration:<PnDTnHnMn.nS>'."
        );
    }

    #[test]
    fn running_brokers() {
        assert_eq!(broker(&[("log.retention.ms", "5"), ("plugin.key", "x")], false), "fine");
        assert_eq!(
            broker(&[("num.partitions", "5"), ("log.dirs", "/x")], true),
            "Cannot update these configs dynamically: [log.dirs, num.partitions]"
        );
        assert!(
            broker(&[("listeners", "PLAINTEXT://:1")], false)
                .starts_with("Cannot update these configs at default")
        );
        assert!(broker(&[("ssl.keystore.location", "/k")], true).contains("does not have yet"));
        assert!(broker(&[("message.max.bytes", "-1")], true).contains("at least 0"));
    }

    #[test]
    fn client_metrics() {
        assert!(validate_client_metrics_configs("m", &configs(&[("interval.ms", "100")])).is_ok());
        assert!(validate_client_metrics_configs("m", &configs(&[("interval.ms", "99")])).is_err());
        assert!(validate_client_metrics_configs("", &configs(&[])).is_err());
        let unknown = validate_client_metrics_configs("m", &configs(&[("x", "1")])).unwrap_err();
        assert_eq!(unknown.to_string(), "Unknown client metrics configuration: x");
    }
}
