//! [`MetadataDelta`]: what changed between two images.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::{Str, Uuid};

use super::configs::{ConfigResource, ConfigResourceType};
use super::{MetadataImage, MetadataRecord};
use crate::tree::IntoTree as _;

/// What changed, by name; the values are in the image. It may name what ended as it began, never miss a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetadataDelta {
    /// Topics that are new.
    pub topics_created: BTreeSet<Uuid>,
    /// Topics that are gone, with the names they had.
    pub topics_deleted: BTreeMap<Uuid, Str>,
    /// New and changed partitions of the topics that exist.
    pub partitions_changed: BTreeMap<Uuid, BTreeSet<i32>>,
    /// Brokers registered, changed or gone.
    pub brokers_changed: BTreeSet<i32>,
    /// Controllers registered.
    pub controllers_changed: BTreeSet<i32>,
    /// Resources of which some configuration was set or removed.
    pub configs_changed: BTreeSet<ConfigResource>,
    /// Finalized features.
    pub features_changed: bool,
    /// Client quotas.
    pub client_quotas_changed: bool,
    /// Access control entries.
    pub acls_changed: bool,
    /// SCRAM credentials.
    pub scram_changed: bool,
    /// Delegation tokens.
    pub delegation_tokens_changed: bool,
}

impl MetadataDelta {
    /// Everything in an image: what its first reader has to take in.
    pub fn everything(image: &MetadataImage) -> Self {
        Self {
            topics_created: image.topics.by_id.keys().copied().into_set(),
            topics_deleted: BTreeMap::new(),
            partitions_changed: image
                .topics
                .by_id
                .iter()
                .map(|(id, topic)| (*id, topic.partitions.keys().copied().into_set()))
                .into_map(),
            brokers_changed: image.cluster.brokers.keys().copied().into_set(),
            controllers_changed: image.cluster.controllers.keys().copied().into_set(),
            configs_changed: image.configs.resources.keys().cloned().into_set(),
            features_changed: true,
            client_quotas_changed: true,
            acls_changed: true,
            scram_changed: true,
            delegation_tokens_changed: true,
        }
    }

    /// Everything in `after`, which stands for something else than `before`.
    pub fn replacing(before: &MetadataImage, after: &MetadataImage) -> Self {
        let mut delta = Self::everything(after);
        let gone = before.topics.by_id.values().filter(|topic| !after.topics.by_id.contains_key(&topic.id));
        delta.topics_deleted = gone.map(|topic| (topic.id, topic.name.clone())).into_map();
        delta.brokers_changed.extend(before.cluster.brokers.keys());
        delta.controllers_changed.extend(before.cluster.controllers.keys());
        delta.configs_changed.extend(before.configs.resources.keys().cloned());
        delta
    }

    /// What `records` changed on the way from `before` to `after`.
    pub fn between<'a>(
        before: &MetadataImage,
        after: &MetadataImage,
        records: impl IntoIterator<Item = &'a MetadataRecord>,
    ) -> Self {
        let mut delta = Self::default();
        for record in records {
            delta.note(before, record);
        }
        // Records of an aborted transaction, and topics that came and went, leave no trace.
        delta.topics_created.retain(|id| after.topics.by_id.contains_key(id));
        delta.topics_deleted.retain(|id, _| !after.topics.by_id.contains_key(id));
        delta.partitions_changed.retain(|id, _| after.topics.by_id.contains_key(id));
        delta
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether any configuration of this topic changed.
    pub fn topic_configs_changed(&self, name: &str) -> bool {
        self.configs_changed.contains(&ConfigResource::new(ConfigResourceType::Topic, name))
    }

    fn note(&mut self, before: &MetadataImage, record: &MetadataRecord) {
        match record {
            MetadataRecord::RegisterBroker(record) => _ = self.brokers_changed.insert(record.broker_id),
            MetadataRecord::UnregisterBroker(record) => _ = self.brokers_changed.insert(record.broker_id),
            MetadataRecord::FenceBroker(record) => _ = self.brokers_changed.insert(record.id),
            MetadataRecord::UnfenceBroker(record) => _ = self.brokers_changed.insert(record.id),
            MetadataRecord::BrokerRegistrationChange(record) => {
                _ = self.brokers_changed.insert(record.broker_id);
            }
            MetadataRecord::RegisterController(record) => {
                _ = self.controllers_changed.insert(record.controller_id);
            }
            MetadataRecord::Topic(record) => _ = self.topics_created.insert(record.topic_id),
            MetadataRecord::RemoveTopic(record) => {
                if let Some(topic) = before.topic_by_id(record.topic_id) {
                    self.topics_deleted.insert(record.topic_id, topic.name.clone());
                }
            }
            MetadataRecord::Partition(record) => self.note_partition(record.topic_id, record.partition_id),
            MetadataRecord::PartitionChange(record) => {
                self.note_partition(record.topic_id, record.partition_id);
            }
            MetadataRecord::ClearElr(record) => {
                let cleared = |name: &Str| record.topic_name.is_empty() || *name == record.topic_name;
                for topic in before.topics_by_name().filter(|topic| cleared(&topic.name)) {
                    for index in topic.partitions.keys() {
                        self.note_partition(topic.id, *index);
                    }
                }
            }
            MetadataRecord::Config(record) => {
                let resource =
                    ConfigResource { kind: record.resource_type, name: record.resource_name.clone() };
                self.configs_changed.insert(resource);
            }
            MetadataRecord::FeatureLevel(_) => self.features_changed = true,
            MetadataRecord::ClientQuota(_) => self.client_quotas_changed = true,
            MetadataRecord::AccessControlEntry(_) | MetadataRecord::RemoveAccessControlEntry(_) => {
                self.acls_changed = true;
            }
            MetadataRecord::UserScramCredential(_) | MetadataRecord::RemoveUserScramCredential(_) => {
                self.scram_changed = true;
            }
            MetadataRecord::DelegationToken(_) | MetadataRecord::RemoveDelegationToken(_) => {
                self.delegation_tokens_changed = true;
            }
            MetadataRecord::ProducerIds(_)
            | MetadataRecord::NoOp(_)
            | MetadataRecord::ZkMigrationState(_)
            | MetadataRecord::BeginTransaction(_)
            | MetadataRecord::EndTransaction(_)
            | MetadataRecord::AbortTransaction(_) => {}
        }
    }

    fn note_partition(&mut self, topic: Uuid, partition: i32) {
        self.partitions_changed.entry(topic).or_default().insert(partition);
    }
}
