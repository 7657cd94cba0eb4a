//! Dynamic configuration: what was set with IncrementalAlterConfigs or at the creation of a topic.

use std::collections::BTreeMap;

use crate::tree::IntoTree as _;
use ottla_protocol::Str;
use rpds::RedBlackTreeMapSync;

/// Kinds of resource that carry configuration, by Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResourceType {
    /// A topic.
    Topic,
    /// A broker by id, or with an empty name the default of all brokers.
    Broker,
    /// A broker's loggers; never stored.
    BrokerLogger,
    /// A subscription to client metrics (KIP-714).
    ClientMetrics,
    /// A group.
    Group,
}

impl ConfigResourceType {
    /// Kafka's number.
    pub fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    /// By Kafka's number.
    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group]
            .into_iter()
            .find(|kind| kind.code() == code)
    }

    /// Kafka's name of it, as in its messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "TOPIC",
            Self::Broker => "BROKER",
            Self::BrokerLogger => "BROKER_LOGGER",
            Self::ClientMetrics => "CLIENT_METRICS",
            Self::Group => "GROUP",
        }
    }
}

/// Something that carries configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigResource {
    /// What it is, by Kafka's number: a record may carry one that this build does not know.
    pub kind: i8,
    /// Its name.
    pub name: Str,
}

impl ConfigResource {
    /// A resource of a known kind.
    pub fn new(kind: ConfigResourceType, name: impl Into<Str>) -> Self {
        Self { kind: kind.code(), name: name.into() }
    }
}

impl std::fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = ConfigResourceType::from_code(self.kind).map_or("UNKNOWN", ConfigResourceType::name);
        write!(f, "ConfigResource(type={kind}, name='{}')", self.name)
    }
}

/// All dynamic configuration. A resource without any is not in the map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigurationsImage {
    /// Values by key by resource.
    pub resources: RedBlackTreeMapSync<ConfigResource, RedBlackTreeMapSync<Str, Str>>,
}

impl ConfigurationsImage {
    /// What was set for a resource.
    pub fn of(&self, resource: &ConfigResource) -> BTreeMap<Str, Str> {
        let configs = self.resources.get(resource);
        configs.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).into_map()
    }

    /// One value.
    pub fn value(&self, resource: &ConfigResource, key: &str) -> Option<&Str> {
        self.resources.get(resource)?.get(key)
    }

    pub(super) fn set(&mut self, resource: ConfigResource, key: Str, value: Option<Str>) {
        let mut configs = self.resources.get(&resource).cloned().unwrap_or_default();
        match value {
            Some(value) => configs.insert_mut(key, value),
            None => _ = configs.remove_mut(&key),
        }
        if configs.is_empty() {
            self.resources.remove_mut(&resource);
        } else {
            self.resources.insert_mut(resource, configs);
        }
    }
}
