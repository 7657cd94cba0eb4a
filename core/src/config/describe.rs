//! DescribeConfigs: what a resource's keys are worth and who says so, as Kafka answers (KIP-226, KIP-524, KIP-569).

use std::collections::BTreeMap;

use super::broker::BrokerConfig;
use super::key::{ConfigKey, Scope, UpdateMode};
use super::settings::Settings;
use super::synonym::{broker_synonyms, group_synonym, topic_synonyms};
use super::table;
use super::topic::topic_value;
use super::value::Value;
use crate::tree::IntoTree as _;

/// Who set a value; the numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    DynamicTopicConfig = 1,
    DynamicBrokerConfig = 2,
    DynamicDefaultBrokerConfig = 3,
    StaticBrokerConfig = 4,
    DefaultConfig = 5,
    DynamicBrokerLoggerConfig = 6,
    ClientMetricsConfig = 7,
    GroupConfig = 8,
}

/// A key that could have given the value, with what it is worth, the strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedSynonym {
    pub name: String,
    pub value: Option<String>,
    pub source: ConfigSource,
}

/// One entry of a DescribeConfigs response, complete: the handler drops synonyms and documentation that were not asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConfig {
    pub name: String,
    /// `None` for null, and always for what is sensitive.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub read_only: bool,
    pub is_sensitive: bool,
    /// `ConfigType::id`, 0 for a key that the table does not have.
    pub config_type: i8,
    pub synonyms: Vec<DescribedSynonym>,
    pub documentation: Option<&'static str>,
}

/// Every key of this broker, and what else its file sets. Ordered by name.
pub fn describe_broker(broker: &BrokerConfig) -> Vec<DescribedConfig> {
    let settings = &broker.settings;
    let mut names: Vec<&str> = table::keys(Scope::Broker).filter(|k| !k.internal).map(|k| k.name).collect();
    names.extend(settings.fixed.keys().map(String::as_str));
    names.extend(settings.cluster.keys().map(String::as_str));
    names.extend(settings.broker.keys().map(String::as_str));
    names.sort_unstable();
    names.dedup();
    let describe = |name: &&str| {
        let key = table::key(Scope::Broker, name);
        let synonyms = synonyms_of(settings, name, key);
        let value = match key {
            Some(_) => settings.effective(name).render(),
            None => settings.text(name).map(str::to_owned),
        };
        described(name, key, value, synonyms, key.is_none_or(|k| k.update_mode == UpdateMode::ReadOnly))
    };
    names.iter().map(describe).collect()
}

/// What was set for all brokers at run time: the resource BROKER with an empty name.
pub fn describe_cluster_default(broker: &BrokerConfig) -> Vec<DescribedConfig> {
    let describe = |(name, value): (&String, &String)| {
        let key = table::key(Scope::Broker, name);
        let synonyms = synonyms_of(&broker.settings, name, key)
            .into_iter()
            .filter(|s| s.source == ConfigSource::DynamicDefaultBrokerConfig)
            .collect();
        let read_only = key.is_none_or(|k| k.update_mode == UpdateMode::ReadOnly);
        described(name, key, Some(value.clone()), synonyms, read_only)
    };
    broker.settings.cluster.iter().map(describe).collect()
}

/// Every key of a topic with the settings `overrides`. Ordered by name.
pub fn describe_topic<'a>(
    broker: &BrokerConfig,
    overrides: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<DescribedConfig> {
    let overrides: Vec<(&str, &str)> = overrides.into_iter().collect();
    let describe = |name: &str| {
        let key = table::key(Scope::Topic, name);
        let set = overrides.iter().rev().find(|(n, _)| *n == name);
        let value = match (key, set) {
            (None, set) => set.map(|(_, text)| (*text).to_owned()),
            (Some(_), _) => topic_value(&broker.settings, &overrides, name).render(),
        };
        let inherited = topic_synonyms(name).first().map_or(Vec::new(), |(strongest, _)| {
            synonyms_of(&broker.settings, strongest, table::key(Scope::Broker, strongest))
        });
        let synonyms = own_first(name, set.is_some(), &value, ConfigSource::DynamicTopicConfig, inherited);
        described(name, key, value, synonyms, false)
    };
    names_of(Scope::Topic, &overrides).into_iter().map(describe).collect()
}

/// Every key of a group with the settings `overrides`. Ordered by name.
pub fn describe_group<'a>(
    broker: &BrokerConfig,
    overrides: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<DescribedConfig> {
    let overrides: Vec<(&str, &str)> = overrides.into_iter().collect();
    let describe = |name: &str| {
        let key = table::key(Scope::Group, name);
        let set = overrides.iter().rev().find(|(n, _)| *n == name);
        let value = match (key, set) {
            (Some(key), Some((_, text))) => {
                key.parse(text).unwrap_or(Value::Text((*text).to_owned())).render()
            }
            (Some(_), None) => group_default(broker, name).render(),
            (None, set) => set.map(|(_, text)| (*text).to_owned()),
        };
        let inherited = match (group_synonym(name), key) {
            (Some(synonym), _) => synonyms_of(&broker.settings, synonym, table::key(Scope::Broker, synonym)),
            (None, Some(key)) => {
                vec![synonym(name, key.default_value().render(), ConfigSource::DefaultConfig)]
            }
            (None, None) => Vec::new(),
        };
        let synonyms = own_first(name, set.is_some(), &value, ConfigSource::GroupConfig, inherited);
        described(name, key, value, synonyms, false)
    };
    names_of(Scope::Group, &overrides).into_iter().map(describe).collect()
}

/// Every key of a client metrics subscription with the settings `overrides`. Ordered by name.
pub fn describe_client_metrics<'a>(
    overrides: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<DescribedConfig> {
    let overrides: Vec<(&str, &str)> = overrides.into_iter().collect();
    let describe = |name: &str| {
        let key = table::key(Scope::ClientMetrics, name);
        let set = overrides.iter().rev().find(|(n, _)| *n == name);
        let value = match (key, set) {
            (Some(key), Some((_, text))) => {
                key.parse(text).unwrap_or(Value::Text((*text).to_owned())).render()
            }
            (Some(key), None) => key.default_value().render(),
            (None, set) => set.map(|(_, text)| (*text).to_owned()),
        };
        let synonyms = own_first(name, set.is_some(), &value, ConfigSource::ClientMetricsConfig, Vec::new());
        described(name, key, value, synonyms, false)
    };
    names_of(Scope::ClientMetrics, &overrides).into_iter().map(describe).collect()
}

/// What the broker gives a group that does not set `name` itself.
pub(super) fn group_default(broker: &BrokerConfig, name: &str) -> Value {
    match (group_synonym(name), table::key(Scope::Group, name)) {
        (Some(synonym), _) => broker.settings.effective(synonym),
        (None, Some(key)) => key.default_value(),
        (None, None) => Value::Null,
    }
}

fn names_of<'a>(scope: Scope, overrides: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let mut names: Vec<&str> = table::keys(scope).filter(|k| !k.internal).map(|k| k.name).collect();
    names.extend(overrides.iter().map(|(name, _)| *name));
    names.sort_unstable();
    names.dedup();
    names
}

fn own_first(
    name: &str,
    set: bool,
    value: &Option<String>,
    source: ConfigSource,
    inherited: Vec<DescribedSynonym>,
) -> Vec<DescribedSynonym> {
    let own = set.then(|| synonym(name, value.clone(), source));
    own.into_iter().chain(inherited).collect()
}

fn synonym(name: &str, value: Option<String>, source: ConfigSource) -> DescribedSynonym {
    DescribedSynonym { name: name.to_owned(), value, source }
}

fn described(
    name: &str,
    key: Option<&'static ConfigKey>,
    value: Option<String>,
    synonyms: Vec<DescribedSynonym>,
    read_only: bool,
) -> DescribedConfig {
    // Kafka hides what it does not know: it might be a secret of some plugin.
    let is_sensitive = key.is_none_or(ConfigKey::is_sensitive);
    let hide = |value: Option<String>| value.filter(|_| !is_sensitive);
    DescribedConfig {
        name: name.to_owned(),
        value: hide(value),
        source: synonyms.first().map_or(ConfigSource::DefaultConfig, |s| s.source),
        read_only,
        is_sensitive,
        config_type: key.map_or(0, |k| k.config_type.id()),
        synonyms: synonyms.into_iter().map(|s| DescribedSynonym { value: hide(s.value), ..s }).collect(),
        documentation: key.map(|k| k.documentation.trim()),
    }
}

/// Every setting and default of a broker key's family, from the strongest on. As in Kafka, what precedes the key's own
/// first appearance is dropped, so that a key which only a weaker synonym sets has none.
fn synonyms_of(settings: &Settings, name: &str, key: Option<&'static ConfigKey>) -> Vec<DescribedSynonym> {
    let family = key.map_or(vec![name], |_| broker_synonyms(name));
    let fixed: BTreeMap<&str, &str> =
        family.iter().filter_map(|n| Some((*n, settings.fixed.get(*n)?.value.as_str()))).into_map();
    let mut synonyms = Vec::new();
    let mut layer = |source, text: &dyn Fn(&str) -> Option<String>| {
        synonyms.extend(family.iter().filter_map(|n| Some(synonym(n, Some(text(n)?), source))));
    };
    layer(ConfigSource::DynamicBrokerConfig, &|n| settings.broker.get(n).cloned());
    layer(ConfigSource::DynamicDefaultBrokerConfig, &|n| settings.cluster.get(n).cloned());
    layer(ConfigSource::StaticBrokerConfig, &|n| fixed.get(n).map(|text| (*text).to_owned()));
    // Of keys that are only set at run time Kafka has no default to show.
    let is_dynamic = |n: &str| table::DYNAMIC_ONLY.iter().any(|key| key.name == n);
    layer(ConfigSource::DefaultConfig, &|n| {
        let key = table::key(Scope::Broker, n).filter(|_| !is_dynamic(n))?;
        key.default_value().render()
    });
    synonyms.into_iter().skip_while(|s| s.name != name).collect()
}
