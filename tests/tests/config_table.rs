//! The table of configuration keys against what Apache Kafka's own classes say by reflection
//! (`tests/config/ConfigFacts.java`).

use std::collections::BTreeMap;

use ottla_core::config::{
    Bounds, ConfigKey, Importance, Preset, Scope, UpdateMode, broker_synonyms, group_synonym, keys,
    topic_synonyms,
};
use ottla_tests::program::{class_path, command, run};

#[test]
fn the_table_is_kafkas() {
    let mut java = command(&["java", "-cp", &class_path()]);
    java.arg("tests/config/ConfigFacts.java");
    let facts = run(java).ok();
    let theirs: BTreeMap<&str, &str> = facts.lines().filter_map(split_key).collect();
    assert!(theirs.len() > 400, "{} keys", theirs.len());
    let scopes =
        [Scope::Broker, Scope::Topic, Scope::Group, Scope::ClientMetrics, Scope::ClientQuota, Scope::IpQuota];
    let ours: BTreeMap<String, String> = scopes
        .into_iter()
        .flat_map(keys)
        .filter(|key| !key.name.starts_with("ottla."))
        .map(|key| (format!("{}\t{}", scope(key.scope), key.name), row(key)))
        .collect();
    for (name, row) in &ours {
        let kafkas = theirs.get(name.as_str()).unwrap_or_else(|| panic!("Kafka has no {name}"));
        assert_eq!(row, kafkas, "{name}");
    }
    for name in theirs.keys() {
        assert!(ours.contains_key(*name), "the table lacks {name}");
    }
}

/// `scope \t name` and the rest.
fn split_key(line: &str) -> Option<(&str, &str)> {
    let (first, _) = line.match_indices('\t').nth(1)?;
    Some((&line[..first], &line[first + 1..]))
}

/// The facts of one key, as `ConfigFacts` prints them.
fn row(key: &ConfigKey) -> String {
    let default = match key.preset {
        Preset::Required => "<none>".to_owned(),
        Preset::Null => "<null>".to_owned(),
        Preset::Is(_) => key.default_value().render().expect("a default that parses"),
    };
    let importance = match key.importance {
        Importance::High => "HIGH",
        Importance::Medium => "MEDIUM",
        Importance::Low => "LOW",
    };
    let mode = match key.update_mode {
        UpdateMode::ReadOnly => "read-only",
        UpdateMode::PerBroker => "per-broker",
        UpdateMode::ClusterWide => "cluster-wide",
        UpdateMode::Entity => scope(key.scope),
    };
    let synonyms: Vec<&str> = match key.scope {
        Scope::Broker => broker_synonyms(key.name),
        Scope::Topic => topic_synonyms(key.name).iter().map(|(name, _)| *name).collect(),
        Scope::Group => group_synonym(key.name).into_iter().collect(),
        Scope::ClientMetrics | Scope::ClientQuota | Scope::IpQuota => Vec::new(),
    };
    let visibility = if key.internal { "internal" } else { "public" };
    [key.config_type.name(), &default, importance, &bounds(key), mode, visibility, &synonyms.join(",")]
        .join("\t")
}

/// The validator's own words for itself.
fn bounds(key: &ConfigKey) -> String {
    let set = |values: &[&str]| format!("[{}]", values.join(", "));
    match key.bounds {
        // A validator that only refuses null says so; a value of ours is never null.
        Bounds::Any if key.name == "authorizer.class.name" => "non-null string".into(),
        Bounds::Any | Bounds::Distinct | Bounds::DistinctNonEmpty => String::new(),
        Bounds::AtLeast(low) => format!("[{low},...]"),
        Bounds::Between(low, high) => format!("[{low},...,{high}]"),
        Bounds::LevelOrMinusOne(low, high) => format!("[{low},...,{high}] or -1"),
        Bounds::UpTo(high) => format!("[0,...,{high}]"),
        Bounds::OneOf(values) | Bounds::SetOf(values) | Bounds::NonEmptySetOf(values) => set(values),
        Bounds::OneOfIgnoringCase(values) => format!("(case insensitive) {}", set(values)),
        Bounds::NonEmptyString => "non-empty string".into(),
        Bounds::ThrottledReplicas => "[partitionId]:[brokerId],[partitionId]:[brokerId],...".into(),
        Bounds::QuorumVoters | Bounds::BootstrapServers => "non-empty list".into(),
        Bounds::ShareOffsetReset => "[latest, earliest, by_duration:PnDTnHnMn.nS]".into(),
    }
}

const fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Broker => "broker",
        Scope::Topic => "topic",
        Scope::Group => "group",
        Scope::ClientMetrics => "client-metrics",
        Scope::ClientQuota => "client-quota",
        Scope::IpQuota => "ip-quota",
    }
}
