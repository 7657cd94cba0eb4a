//! How each record changes the image: the same at run time, at load and on followers. What is kept is copied out of the record, which
//! is a slice of a frame or of a log.

use ottla_protocol::records::metadata::{
    BrokerRegistrationChangeRecord, ClearElrRecord, ClientQuotaRecord, ConfigRecord, DelegationTokenRecord,
    FeatureLevelRecord, PartitionChangeRecord, PartitionRecord, RegisterBrokerRecord,
    RegisterControllerRecord, RemoveTopicRecord, TopicRecord, UserScramCredentialRecord,
};
use ottla_protocol::{Bytes, Str, Uuid};

use super::acls::Acl;
use super::cluster::{BrokerRegistration, ControllerRegistration, Endpoint, VersionRange};
use super::configs::{ConfigResource, ConfigResourceType};
use super::features::{KNOWN, METADATA_VERSION, SUPPORTED};
use super::scram::ScramCredential;
use super::tokens::DelegationToken;
use super::topics::TopicImage;
use super::{MetadataImage, MetadataRecord, MetadataVersion, PartitionRegistration};
use crate::tree::IntoTree as _;

/// Why a record does not follow from the image before it. The node stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// A topic id that no topic has.
    UnknownTopicId(Uuid),
    /// A topic name that no topic has.
    UnknownTopic(Str),
    /// A name that another topic has.
    TopicExists(Str),
    /// An id that another topic has.
    TopicIdExists(Uuid),
    /// An index that the topic does not have.
    UnknownPartition(Uuid, i32),
    /// As many directories as replicas, or none, are allowed.
    BadDirectories(Uuid, i32),
    /// No registration of that id and epoch.
    UnknownBroker(i32, i64),
    /// A fencing or shutdown change that Kafka does not know.
    UnknownChange(i32, i8),
    /// An id that no access control entry has.
    UnknownAcl(Uuid),
    /// A user without a credential of that mechanism.
    UnknownCredential(Str),
    /// A feature that this build does not know at that level.
    UnsupportedFeature(Str, i16),
    /// Metadata transactions do not nest, and do not end before they begin.
    OutOfTransaction(&'static str),
}

impl std::fmt::Display for ReplayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownTopicId(id) => write!(f, "no topic has the id {id}"),
            Self::UnknownTopic(name) => write!(f, "there is no topic {name}"),
            Self::TopicExists(name) => write!(f, "there is a topic {name} already"),
            Self::TopicIdExists(id) => write!(f, "there is a topic with the id {id} already"),
            Self::UnknownPartition(id, index) => write!(f, "the topic with id {id} has no partition {index}"),
            Self::BadDirectories(id, index) => {
                write!(
                    f,
                    "partition {index} of the topic with id {id} has not as many directories as replicas"
                )
            }
            Self::UnknownBroker(id, epoch) => {
                write!(f, "no broker is registered with id {id} and epoch {epoch}")
            }
            Self::UnknownChange(id, change) => {
                write!(f, "unknown change {change} of the registration of broker {id}")
            }
            Self::UnknownAcl(id) => write!(f, "no access control entry has the id {id}"),
            Self::UnknownCredential(user) => write!(f, "the user {user} has no such credential"),
            Self::UnsupportedFeature(name, level) => {
                write!(f, "the feature {name} is finalized at level {level}, ")?;
                match SUPPORTED.iter().find(|(supported, ..)| *name == **supported) {
                    Some((_, min, max)) => write!(f, "this build supports {min} to {max}"),
                    None if *name == *METADATA_VERSION => write!(
                        f,
                        "this build supports {} to {}",
                        MetadataVersion::MINIMUM.level(),
                        MetadataVersion::LATEST.level()
                    ),
                    None => f.write_str("this build does not know it"),
                }
            }
            Self::OutOfTransaction(record) => write!(f, "a {record} out of turn"),
        }
    }
}

impl std::error::Error for ReplayError {}

impl MetadataImage {
    /// Applies one record. Those of metadata transactions are [`MetadataState`](super::MetadataState)'s business and change nothing here.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::RegisterBroker(record) => self.replay_register_broker(record),
            MetadataRecord::UnregisterBroker(record) => {
                self.broker_at(record.broker_id, record.broker_epoch)?;
                self.cluster.brokers.remove_mut(&record.broker_id);
            }
            MetadataRecord::FenceBroker(record) => {
                self.change_broker(record.id, record.epoch, |broker| broker.fenced = true)?;
            }
            MetadataRecord::UnfenceBroker(record) => {
                self.change_broker(record.id, record.epoch, |broker| broker.fenced = false)?;
            }
            MetadataRecord::BrokerRegistrationChange(record) => {
                self.replay_broker_registration_change(record)?;
            }
            MetadataRecord::RegisterController(record) => self.replay_register_controller(record),
            MetadataRecord::Topic(record) => self.replay_topic(record)?,
            MetadataRecord::RemoveTopic(record) => self.replay_remove_topic(record)?,
            MetadataRecord::Partition(record) => self.replay_partition(record)?,
            MetadataRecord::PartitionChange(record) => self.replay_partition_change(record)?,
            MetadataRecord::ClearElr(record) => self.replay_clear_elr(record)?,
            MetadataRecord::Config(record) => self.replay_config(record),
            MetadataRecord::FeatureLevel(record) => self.replay_feature_level(record)?,
            MetadataRecord::ClientQuota(record) => self.replay_client_quota(record),
            MetadataRecord::ProducerIds(record) => self.next_producer_id = Some(record.next_producer_id),
            MetadataRecord::AccessControlEntry(record) => {
                self.acls.insert_mut(record.id, Acl::from_record(record));
            }
            MetadataRecord::RemoveAccessControlEntry(record) => {
                if !self.acls.remove_mut(&record.id) {
                    return Err(ReplayError::UnknownAcl(record.id));
                }
            }
            MetadataRecord::UserScramCredential(record) => self.replay_user_scram_credential(record),
            MetadataRecord::RemoveUserScramCredential(record) => {
                if !self.scram.remove_mut(&(record.mechanism, record.name.detached())) {
                    return Err(ReplayError::UnknownCredential(record.name.detached()));
                }
            }
            MetadataRecord::DelegationToken(record) => self.replay_delegation_token(record),
            MetadataRecord::RemoveDelegationToken(record) => {
                _ = self.delegation_tokens.remove_mut(&record.token_id);
            }
            // ZooKeeper is history: Kafka 4 reads the record and forgets it.
            MetadataRecord::ZkMigrationState(_)
            | MetadataRecord::NoOp(_)
            | MetadataRecord::BeginTransaction(_)
            | MetadataRecord::EndTransaction(_)
            | MetadataRecord::AbortTransaction(_) => {}
        }
        Ok(())
    }

    fn replay_register_broker(&mut self, record: &RegisterBrokerRecord) {
        let mut directories = record.log_dirs.clone();
        directories.sort_unstable();
        let registration = BrokerRegistration {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            is_migrating_zk_broker: record.is_migrating_zk_broker,
            endpoints: record
                .end_points
                .iter()
                .map(|endpoint| Endpoint {
                    name: endpoint.name.detached(),
                    host: endpoint.host.detached(),
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                })
                .collect(),
            features: record
                .features
                .iter()
                .map(|feature| {
                    let range = VersionRange {
                        min: feature.min_supported_version,
                        max: feature.max_supported_version,
                    };
                    (feature.name.detached(), range)
                })
                .collect(),
            rack: record.rack.as_ref().map(Str::detached),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            directories,
            cordoned_directories: record.cordoned_log_dirs.clone(),
        };
        self.cluster.brokers.insert_mut(registration.id, registration);
    }

    fn broker_at(&self, id: i32, epoch: i64) -> Result<&BrokerRegistration, ReplayError> {
        let broker = self.cluster.brokers.get(&id).filter(|broker| broker.epoch == epoch);
        broker.ok_or(ReplayError::UnknownBroker(id, epoch))
    }

    fn change_broker(
        &mut self,
        id: i32,
        epoch: i64,
        change: impl FnOnce(&mut BrokerRegistration),
    ) -> Result<(), ReplayError> {
        let mut broker = self.broker_at(id, epoch)?.clone();
        change(&mut broker);
        self.cluster.brokers.insert_mut(id, broker);
        Ok(())
    }

    fn replay_broker_registration_change(
        &mut self,
        record: &BrokerRegistrationChangeRecord,
    ) -> Result<(), ReplayError> {
        if !(-1..=1).contains(&record.fenced) {
            return Err(ReplayError::UnknownChange(record.broker_id, record.fenced));
        }
        if !(0..=1).contains(&record.in_controlled_shutdown) {
            return Err(ReplayError::UnknownChange(record.broker_id, record.in_controlled_shutdown));
        }
        self.change_broker(record.broker_id, record.broker_epoch, |broker| {
            match record.fenced {
                1 => broker.fenced = true,
                -1 => broker.fenced = false,
                _ => {}
            }
            if record.in_controlled_shutdown == 1 {
                broker.in_controlled_shutdown = true;
            }
            if !record.log_dirs.is_empty() {
                broker.directories = record.log_dirs.clone();
                broker.directories.sort_unstable();
            }
            if let Some(cordoned) = &record.cordoned_log_dirs {
                broker.cordoned_directories = Some(cordoned.clone());
            }
        })
    }

    fn replay_register_controller(&mut self, record: &RegisterControllerRecord) {
        let registration = ControllerRegistration {
            id: record.controller_id,
            incarnation_id: record.incarnation_id,
            zk_migration_ready: record.zk_migration_ready,
            endpoints: record
                .end_points
                .iter()
                .map(|endpoint| Endpoint {
                    name: endpoint.name.detached(),
                    host: endpoint.host.detached(),
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                })
                .collect(),
            features: record
                .features
                .iter()
                .map(|feature| {
                    let range = VersionRange {
                        min: feature.min_supported_version,
                        max: feature.max_supported_version,
                    };
                    (feature.name.detached(), range)
                })
                .collect(),
        };
        self.cluster.controllers.insert_mut(registration.id, registration);
    }

    fn replay_topic(&mut self, record: &TopicRecord) -> Result<(), ReplayError> {
        if self.topics.by_name.contains_key(&record.name) {
            return Err(ReplayError::TopicExists(record.name.detached()));
        }
        if self.topics.by_id.contains_key(&record.topic_id) {
            return Err(ReplayError::TopicIdExists(record.topic_id));
        }
        let topic =
            TopicImage { name: record.name.detached(), id: record.topic_id, partitions: Default::default() };
        self.topics.by_name.insert_mut(record.name.detached(), record.topic_id);
        self.topics.by_id.insert_mut(record.topic_id, topic);
        Ok(())
    }

    fn replay_remove_topic(&mut self, record: &RemoveTopicRecord) -> Result<(), ReplayError> {
        let topic =
            self.topics.by_id.get(&record.topic_id).ok_or(ReplayError::UnknownTopicId(record.topic_id))?;
        let name = topic.name.clone();
        self.topics.by_id.remove_mut(&record.topic_id);
        self.topics.by_name.remove_mut(&name);
        self.configs.resources.remove_mut(&ConfigResource::new(ConfigResourceType::Topic, name));
        Ok(())
    }

    fn replay_partition(&mut self, record: &PartitionRecord) -> Result<(), ReplayError> {
        if !record.directories.is_empty() && record.directories.len() != record.replicas.len() {
            return Err(ReplayError::BadDirectories(record.topic_id, record.partition_id));
        }
        self.put_partition(record.topic_id, record.partition_id, PartitionRegistration::from_record(record))
    }

    fn replay_partition_change(&mut self, record: &PartitionChangeRecord) -> Result<(), ReplayError> {
        let (topic_id, index) = (record.topic_id, record.partition_id);
        let topic = self.topics.by_id.get(&topic_id).ok_or(ReplayError::UnknownTopicId(topic_id))?;
        let partition = topic.partitions.get(&index).ok_or(ReplayError::UnknownPartition(topic_id, index))?;
        if let (Some(replicas), Some(directories)) = (&record.replicas, &record.directories)
            && !directories.is_empty()
            && directories.len() != replicas.len()
        {
            return Err(ReplayError::BadDirectories(topic_id, index));
        }
        let merged = partition.merge(record);
        self.put_partition(topic_id, index, merged)
    }

    fn put_partition(
        &mut self,
        topic_id: Uuid,
        index: i32,
        partition: PartitionRegistration,
    ) -> Result<(), ReplayError> {
        let topic = self.topics.by_id.get(&topic_id).ok_or(ReplayError::UnknownTopicId(topic_id))?;
        let mut topic = topic.clone();
        topic.partitions.insert_mut(index, partition);
        self.topics.by_id.insert_mut(topic_id, topic);
        Ok(())
    }

    /// An empty name clears every topic.
    fn replay_clear_elr(&mut self, record: &ClearElrRecord) -> Result<(), ReplayError> {
        let topics: Vec<Uuid> = if record.topic_name.is_empty() {
            self.topics.by_id.keys().copied().collect()
        } else {
            let id = self.topics.by_name.get(&record.topic_name);
            vec![*id.ok_or_else(|| ReplayError::UnknownTopic(record.topic_name.clone()))?]
        };
        for topic_id in topics {
            let topic = self.topics.by_id.get(&topic_id).ok_or(ReplayError::UnknownTopicId(topic_id))?;
            let with_elr: Vec<i32> = topic
                .partitions
                .iter()
                .filter(|(_, partition)| !partition.elr.is_empty() || !partition.last_known_elr.is_empty())
                .map(|(index, _)| *index)
                .collect();
            for partition_id in with_elr {
                self.replay_partition_change(&PartitionChangeRecord {
                    partition_id,
                    topic_id,
                    eligible_leader_replicas: Some(Vec::new()),
                    last_known_elr: Some(Vec::new()),
                    ..Default::default()
                })?;
            }
        }
        Ok(())
    }

    fn replay_config(&mut self, record: &ConfigRecord) {
        let resource = ConfigResource { kind: record.resource_type, name: record.resource_name.detached() };
        self.configs.set(resource, record.name.detached(), record.value.as_ref().map(Str::detached));
    }

    fn replay_feature_level(&mut self, record: &FeatureLevelRecord) -> Result<(), ReplayError> {
        let unsupported = || ReplayError::UnsupportedFeature(record.name.detached(), record.feature_level);
        if *record.name == *METADATA_VERSION {
            self.features.metadata_version =
                Some(MetadataVersion::from_level(record.feature_level).ok_or_else(unsupported)?);
            return Ok(());
        }
        if record.feature_level == 0 {
            self.features.finalized.remove_mut(&record.name);
            return Ok(());
        }
        // A level that Kafka 4.3 has is kept even where this build does not act on it: whether the node may run with it is
        // asked when it opens, once all records are known.
        let known = KNOWN
            .iter()
            .any(|(name, max)| *record.name == **name && (1..=*max).contains(&record.feature_level));
        if !known {
            return Err(unsupported());
        }
        self.features.finalized.insert_mut(record.name.detached(), record.feature_level);
        Ok(())
    }

    fn replay_client_quota(&mut self, record: &ClientQuotaRecord) {
        let entity = record
            .entity
            .iter()
            .map(|part| (part.entity_type.detached(), part.entity_name.as_ref().map(Str::detached)))
            .into_map();
        self.client_quotas.set(entity, record.key.detached(), (!record.remove).then_some(record.value));
    }

    fn replay_user_scram_credential(&mut self, record: &UserScramCredentialRecord) {
        let credential = ScramCredential {
            salt: Bytes::copy_from_slice(&record.salt),
            stored_key: Bytes::copy_from_slice(&record.stored_key),
            server_key: Bytes::copy_from_slice(&record.server_key),
            iterations: record.iterations,
        };
        self.scram.insert_mut((record.mechanism, record.name.detached()), credential);
    }

    fn replay_delegation_token(&mut self, record: &DelegationTokenRecord) {
        let token = DelegationToken {
            owner: record.owner.detached(),
            requester: record.requester.detached(),
            renewers: record.renewers.iter().map(Str::detached).collect(),
            issue_timestamp: record.issue_timestamp,
            max_timestamp: record.max_timestamp,
            expiration_timestamp: record.expiration_timestamp,
        };
        self.delegation_tokens.insert_mut(record.token_id.detached(), token);
    }
}

impl super::FeaturesImage {
    /// The first finalized feature that this build cannot run with.
    pub fn unsupported(&self) -> Option<ReplayError> {
        let mut levels = self.finalized.iter();
        let (name, level) = levels.find(|(name, level)| {
            !SUPPORTED
                .iter()
                .any(|(supported, min, max)| ***name == **supported && (*min..=*max).contains(level))
        })?;
        Some(ReplayError::UnsupportedFeature(name.clone(), *level))
    }
}
