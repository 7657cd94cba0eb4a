//! What a client knows of the cluster: brokers, topics, leaders.

use std::collections::BTreeMap;

use ottla_protocol::messages::MetadataResponse;
use ottla_protocol::{ErrorCode, Str, Uuid};

use crate::network::Target;
use crate::small_map::SmallMap;
use crate::tree::IntoTree as _;

/// A client's view of the cluster, as of the last Metadata answers.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Brokers by id.
    pub brokers: SmallMap<i32, Target>,
    /// Whom to send what only the controller does; brokers forward it anyway.
    pub controller: Option<i32>,
    /// `cluster.id`.
    pub cluster_id: Option<Str>,
    /// Topics by name.
    pub topics: BTreeMap<Str, Topic>,
}

/// A topic as a client knows it.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    /// Its id; zero from brokers that do not tell.
    pub id: Uuid,
    /// Why nothing is known of it, when nothing is.
    pub error: Option<ErrorCode>,
    /// Whether it belongs to the brokers.
    pub is_internal: bool,
    /// Partitions by index.
    pub partitions: BTreeMap<i32, PartitionInfo>,
}

/// A partition as a client knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionInfo {
    /// The leader, −1 without one.
    pub leader: i32,
    /// Its epoch, −1 from brokers that do not tell.
    pub leader_epoch: i32,
    /// All replicas.
    pub replicas: Vec<i32>,
    /// In-sync replicas.
    pub isr: Vec<i32>,
    /// Replicas that do not serve.
    pub offline_replicas: Vec<i32>,
}

impl Cluster {
    /// Takes a Metadata answer in. `all_topics` says that it listed all there are.
    ///
    /// What it says of a partition counts unless a later leader was heard of (KIP-320): a broker may be behind.
    pub fn update(&mut self, answer: &MetadataResponse, all_topics: bool) {
        self.brokers = answer
            .brokers
            .iter()
            .filter_map(|broker| {
                let port = u16::try_from(broker.port).ok()?;
                Some((broker.node_id, Target { host: broker.host.detached(), port }))
            })
            .collect();
        self.controller = (answer.controller_id >= 0).then_some(answer.controller_id);
        self.cluster_id = answer.cluster_id.as_ref().map(Str::detached);
        let mut before = std::mem::take(&mut self.topics);
        for topic in &answer.topics {
            let Some(name) = &topic.name else { continue };
            let before = before.remove(name).filter(|before| before.id == topic.topic_id);
            let newer = |index: i32, leader_epoch: i32| {
                let known = before.as_ref()?.partitions.get(&index)?;
                (leader_epoch >= 0 && leader_epoch < known.leader_epoch).then(|| known.clone())
            };
            let error = ErrorCode::from_code(topic.error_code).filter(|error| *error != ErrorCode::None);
            let partitions = topic.partitions.iter().map(|partition| {
                let info = PartitionInfo {
                    leader: partition.leader_id,
                    leader_epoch: partition.leader_epoch,
                    replicas: partition.replica_nodes.clone(),
                    isr: partition.isr_nodes.clone(),
                    offline_replicas: partition.offline_replicas.clone(),
                };
                let index = partition.partition_index;
                (index, newer(index, info.leader_epoch).unwrap_or(info))
            });
            let known = Topic {
                id: topic.topic_id,
                error,
                is_internal: topic.is_internal,
                partitions: partitions.into_map(),
            };
            self.topics.insert(name.detached(), known);
        }
        if !all_topics {
            for (name, topic) in before {
                self.topics.entry(name).or_insert(topic);
            }
        }
    }

    /// The epoch of a partition's leader, −1 if it is not known.
    pub fn leader_epoch(&self, topic: &str, partition: i32) -> i32 {
        let partition = self.topics.get(topic).and_then(|topic| topic.partitions.get(&partition));
        partition.map_or(-1, |partition| partition.leader_epoch)
    }

    /// The leader of a partition and where it listens.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<(i32, &Target)> {
        let leader = self.topics.get(topic)?.partitions.get(&partition)?.leader;
        Some((leader, self.brokers.get(&leader)?))
    }

    /// Partitions of a topic, 0 while it is unknown.
    pub fn partition_count(&self, topic: &str) -> i32 {
        let topic = self.topics.get(topic);
        topic.map_or(0, |topic| i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

    use super::*;

    fn answer(id: u64, leader_id: i32, leader_epoch: i32) -> MetadataResponse {
        let partition = MetadataResponsePartition { leader_id, leader_epoch, ..Default::default() };
        let topic = MetadataResponseTopic {
            name: Some("exam-topic".into()),
            topic_id: Uuid::from_u128(id.into()),
            partitions: vec![partition],
            ..MetadataResponseTopic::default()
        };
        MetadataResponse { topics: vec![topic], ..MetadataResponse::default() }
    }

    #[test]
    fn a_broker_that_is_behind_is_not_believed_unless_the_topic_is_another() {
        let mut cluster = Cluster::default();
        let leader = |cluster: &Cluster| cluster.topics["exam-topic"].partitions[&0].leader;
        cluster.update(&answer(1, 2, 5), true);
        cluster.update(&answer(1, 1, 4), true);
        assert_eq!((leader(&cluster), cluster.leader_epoch("exam-topic", 0)), (2, 5));
        cluster.update(&answer(1, 3, 5), false);
        assert_eq!(leader(&cluster), 3);
        cluster.update(&answer(9, 1, 0), true);
        assert_eq!((leader(&cluster), cluster.leader_epoch("exam-topic", 0)), (1, 0));
    }
}
