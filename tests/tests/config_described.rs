//! DescribeConfigs of a broker with this file and these run-time settings says what Apache Kafka 4.3.1 said of the same
//! (`tests/config/described.tsv`, printed by `tests/config/DescribeConfigs.java`).

use std::collections::BTreeMap;
use std::path::Path;

use ottla_core::config::{
    BrokerConfig, ConfigSource, DescribedConfig, describe_broker, describe_client_metrics,
    describe_cluster_default, describe_group, describe_topic, file_settings, parse_properties,
};

#[test]
fn every_entry_is_kafkas() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect(name);
    let properties = parse_properties(&read("server.properties")).expect("properties");
    let fixed =
        BrokerConfig::resolve(file_settings("server.properties", properties), false).expect("it starts");
    let cluster =
        [("log.segment.bytes", "3145728"), ("log.roll.ms", "7200000"), ("min.insync.replicas", "1")];
    let own = [("message.max.bytes", "2000000"), ("log.flush.interval.ms", "60000")];
    let broker = fixed.config.with_dynamic(map(&cluster), map(&own));

    let topic = [("retention.ms", "5"), ("segment.bytes", "2097152")];
    let group = [("consumer.session.timeout.ms", "50000"), ("share.isolation.level", "read_committed")];
    let resources = [
        ("BROKER", "1", describe_broker(&broker)),
        ("BROKER", "", describe_cluster_default(&broker)),
        ("TOPIC", "t", describe_topic(&broker, topic)),
        ("GROUP", "g", describe_group(&broker, group)),
        ("CLIENT_METRICS", "m", describe_client_metrics([("interval.ms", "50000")])),
    ];
    let ours: Vec<String> = resources
        .iter()
        .flat_map(|(kind, name, entries)| {
            let kafkas = entries.iter().filter(|entry| !entry.name.starts_with("ottla."));
            kafkas.map(move |entry| format!("{kind}\t{name}\t{}", shown(entry)))
        })
        .collect();
    let described = read("described.tsv");
    let theirs: Vec<&str> = described.lines().collect();
    assert!(theirs.len() > 390, "{} lines", theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// An entry as the Java client prints it.
fn shown(entry: &DescribedConfig) -> String {
    const TYPES: [&str; 10] =
        ["UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"];
    let null = "null".to_owned();
    let value = |value: &Option<String>| value.as_ref().unwrap_or(&null).clone();
    let synonyms: String = entry
        .synonyms
        .iter()
        .map(|synonym| format!("{}={}@{};", synonym.name, value(&synonym.value), source(synonym.source)))
        .collect();
    [
        entry.name.clone(),
        value(&entry.value),
        source(entry.source).to_owned(),
        entry.is_sensitive.to_string(),
        entry.read_only.to_string(),
        TYPES[usize::try_from(entry.config_type).expect("a type")].to_owned(),
        synonyms,
    ]
    .join("\t")
}

fn source(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::DynamicTopicConfig => "DYNAMIC_TOPIC_CONFIG",
        ConfigSource::DynamicBrokerConfig => "DYNAMIC_BROKER_CONFIG",
        ConfigSource::DynamicDefaultBrokerConfig => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        ConfigSource::StaticBrokerConfig => "STATIC_BROKER_CONFIG",
        ConfigSource::DefaultConfig => "DEFAULT_CONFIG",
        ConfigSource::DynamicBrokerLoggerConfig => "DYNAMIC_BROKER_LOGGER_CONFIG",
        ConfigSource::ClientMetricsConfig => "DYNAMIC_CLIENT_METRICS_CONFIG",
        ConfigSource::GroupConfig => "DYNAMIC_GROUP_CONFIG",
    }
}
