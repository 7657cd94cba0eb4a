//! [`MetadataImage`]: all cluster metadata at one offset.

use std::collections::BTreeMap;

use ottla_protocol::{Str, Uuid};

use super::acls::AclsImage;
use super::cluster::{BrokerRegistration, ClusterImage, ControllerRegistration};
use super::configs::{ConfigResource, ConfigResourceType, ConfigurationsImage};
use super::features::FeaturesImage;
use super::quotas::ClientQuotasImage;
use super::scram::ScramImage;
use super::tokens::DelegationTokensImage;
use super::topics::{PartitionRegistration, TopicImage, TopicsImage};
use crate::config::BrokerConfig;
use crate::tree::IntoTree as _;

/// All cluster metadata at one offset, in persistent maps: cloning is O(1), a change O(log n).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetadataImage {
    /// `cluster.id`, which no record carries.
    pub cluster_id: Str,
    /// Finalized features.
    pub features: FeaturesImage,
    /// Brokers and controllers.
    pub cluster: ClusterImage,
    /// Topics and partitions.
    pub topics: TopicsImage,
    /// Dynamic configuration.
    pub configs: ConfigurationsImage,
    /// Client quotas.
    pub client_quotas: ClientQuotasImage,
    /// Producer ids.
    pub next_producer_id: ProducerIdsImage,
    /// Access control entries.
    pub acls: AclsImage,
    /// SCRAM credentials.
    pub scram: ScramImage,
    /// Delegation tokens.
    pub delegation_tokens: DelegationTokensImage,
}

/// The first producer id that is in no block handed out; `None` before the first block.
pub type ProducerIdsImage = Option<i64>;

impl MetadataImage {
    /// The image of a cluster of which nothing is known but its id.
    pub fn empty(cluster_id: impl Into<Str>) -> Self {
        Self { cluster_id: cluster_id.into(), ..Self::default() }
    }

    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<&TopicImage> {
        self.topics.topic(name)
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<&TopicImage> {
        self.topics.by_id.get(&id)
    }

    /// All topics in order of name.
    pub fn topics_by_name(&self) -> impl Iterator<Item = &TopicImage> {
        self.topics.by_name.values().filter_map(|id| self.topics.by_id.get(id))
    }

    /// A partition by its topic's id.
    pub fn partition(&self, topic_id: Uuid, index: i32) -> Option<&PartitionRegistration> {
        self.topic_by_id(topic_id)?.partitions.get(&index)
    }

    /// Brokers in order of id, fenced ones included.
    pub fn brokers(&self) -> impl Iterator<Item = &BrokerRegistration> {
        self.cluster.brokers.values()
    }

    /// Brokers in order of id that clients may be sent to.
    pub fn unfenced_brokers(&self) -> impl Iterator<Item = &BrokerRegistration> {
        self.brokers().filter(|broker| !broker.fenced)
    }

    /// A broker by id.
    pub fn broker(&self, id: i32) -> Option<&BrokerRegistration> {
        self.cluster.brokers.get(&id)
    }

    /// Controllers in order of id.
    pub fn controllers(&self) -> impl Iterator<Item = &ControllerRegistration> {
        self.cluster.controllers.values()
    }

    /// Finalized features in order of name.
    pub fn features(&self) -> &FeaturesImage {
        &self.features
    }

    /// What was set for a topic (defaults are not in here).
    pub fn topic_configs(&self, name: &str) -> BTreeMap<Str, Str> {
        self.configs.of(&ConfigResource::new(ConfigResourceType::Topic, name))
    }

    /// What was set dynamically for one broker.
    pub fn broker_configs(&self, id: i32) -> BTreeMap<Str, Str> {
        self.configs.of(&ConfigResource::new(ConfigResourceType::Broker, id.to_string()))
    }

    /// What was set dynamically for all brokers.
    pub fn cluster_configs(&self) -> BTreeMap<Str, Str> {
        self.configs.of(&ConfigResource::new(ConfigResourceType::Broker, ""))
    }

    /// A broker's configuration with what was set dynamically over it.
    pub fn in_force(&self, broker: &BrokerConfig) -> BrokerConfig {
        let texts = |configs: BTreeMap<Str, Str>| -> BTreeMap<String, String> {
            configs.into_iter().map(|(key, value)| (key.into(), value.into())).into_map()
        };
        broker.with_dynamic(texts(self.cluster_configs()), texts(self.broker_configs(broker.node_id)))
    }

    /// What was set for a group.
    pub fn group_configs(&self, group: &str) -> BTreeMap<Str, Str> {
        self.configs.of(&ConfigResource::new(ConfigResourceType::Group, group))
    }
}
