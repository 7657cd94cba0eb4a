//! [`Cluster`]: what the controller decides upon.

use ottla_protocol::{ErrorCode, Str};

use crate::config::BrokerConfig;
use crate::metadata::{
    BrokerRegistration, ConfigResource, ConfigResourceType, MetadataImage, PartitionRegistration, TopicImage,
};
use crate::sim::mutation::Planted;

/// The metadata with every appended record, and the controller's own settings for what it leaves open.
#[derive(Clone, Copy, Debug)]
pub struct Cluster<'a> {
    /// The metadata.
    pub image: &'a MetadataImage,
    /// The controller's settings.
    pub config: &'a BrokerConfig,
    /// The bug that is planted in it.
    pub planted: Planted,
}

/// What matters of a topic's configuration when leaders change.
#[derive(Clone, Copy, Debug)]
pub struct TopicRules {
    /// `min.insync.replicas`, but no more than the topic has replicas.
    pub min_isr: usize,
    /// `unclean.leader.election.enable`
    pub allows_unclean_election: bool,
}

impl<'a> Cluster<'a> {
    /// A broker as it is registered, if with this epoch.
    pub fn registered(&self, id: i32, epoch: i64) -> Result<&'a BrokerRegistration, ErrorCode> {
        let broker = self.image.broker(id).filter(|broker| broker.epoch == epoch);
        broker.ok_or(ErrorCode::StaleBrokerEpoch)
    }

    /// What holds for a topic.
    pub fn rules(&self, topic: &TopicImage) -> TopicRules {
        let own = |key| self.setting(&topic.name, key);
        let min_isr = own("min.insync.replicas").and_then(|text| text.trim().parse().ok());
        let min_isr: i32 = min_isr.unwrap_or(self.config.min_insync_replicas);
        let replicas = topic.partitions.get(&0).map_or(0, |partition| partition.replicas.len());
        let allows =
            own("unclean.leader.election.enable").map(|text| text.trim().eq_ignore_ascii_case("true"));
        TopicRules {
            min_isr: usize::try_from(min_isr).unwrap_or(0).min(replicas),
            allows_unclean_election: allows.unwrap_or(self.config.unclean_leader_election_enable),
        }
    }

    /// A value set at run time: for the topic, for this node, or for all brokers.
    fn setting(&self, topic: &Str, key: &str) -> Option<&'a Str> {
        let value = |kind, name: Str| self.image.configs.value(&ConfigResource::new(kind, name), key);
        value(ConfigResourceType::Topic, topic.clone())
            .or_else(|| value(ConfigResourceType::Broker, self.config.node_id.to_string().into()))
            .or_else(|| value(ConfigResourceType::Broker, "".into()))
    }
}

/// Who may lead: active brokers that have the replica's directory online.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    image: &'a MetadataImage,
    without: Option<i32>,
    with: Option<i32>,
}

impl<'a> Candidates<'a> {
    /// As the metadata stands.
    pub fn new(image: &'a MetadataImage) -> Self {
        Self { image, without: None, with: None }
    }

    /// A broker that is about to go never may.
    pub fn without(self, broker: i32) -> Self {
        Self { without: Some(broker), ..self }
    }

    /// A broker that is about to be unfenced may already.
    pub fn with(self, broker: i32) -> Self {
        Self { with: Some(broker), ..self }
    }

    /// Whether a broker may lead a partition.
    pub fn accepts(&self, partition: &PartitionRegistration, broker: i32) -> bool {
        let (Some(registration), Some(directory)) = (self.image.broker(broker), partition.directory(broker))
        else {
            return false;
        };
        let is_active = self.with == Some(broker) || registration.is_active();
        self.without != Some(broker) && is_active && registration.has_online_directory(directory)
    }
}
