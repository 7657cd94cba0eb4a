//! The records that an image is made of, for snapshots (KIP-630).

use ottla_protocol::records::metadata::{
    ClientQuotaRecord, ConfigRecord, FeatureLevelRecord, PartitionRecord, ProducerIdsRecord,
    RegisterBrokerRecord, RegisterControllerRecord, TopicRecord, UserScramCredentialRecord,
    client_quota_record, register_broker_record, register_controller_record,
};
use ottla_protocol::{Str, Uuid};

use super::cluster::{BrokerRegistration, ControllerRegistration};
use super::features::METADATA_VERSION;
use super::{MetadataImage, MetadataRecord, MetadataVersion, PartitionRegistration};

impl MetadataImage {
    /// Records that, replayed on an empty image, give this one. `metadata.version` comes first.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let version = self.features.metadata_version();
        let mut records = Vec::new();
        self.write_features(&mut records);
        let brokers = self.cluster.brokers.values();
        records.extend(brokers.map(|broker| register_broker(broker, version).into()));
        if version.has_controller_registrations() {
            let controllers = self.cluster.controllers.values();
            records.extend(controllers.map(|controller| register_controller(controller).into()));
        }
        self.write_topics(version, &mut records);
        self.write_configs(&mut records);
        self.write_client_quotas(&mut records);
        records.extend(self.next_producer_id.map(|next_producer_id| {
            ProducerIdsRecord { broker_id: -1, broker_epoch: -1, next_producer_id }.into()
        }));
        records.extend(self.acls.iter().map(|(id, acl)| acl.to_record(*id).into()));
        if version.has_scram() {
            self.write_scram(&mut records);
        }
        if version.has_delegation_tokens() {
            self.write_delegation_tokens(&mut records);
        }
        records
    }

    fn write_features(&self, records: &mut Vec<MetadataRecord>) {
        let level = |name: Str, feature_level| FeatureLevelRecord { name, feature_level }.into();
        records.extend(
            self.features.metadata_version.map(|version| level(METADATA_VERSION.into(), version.level())),
        );
        records
            .extend(self.features.finalized.iter().map(|(name, finalized)| level(name.clone(), *finalized)));
    }

    fn write_topics(&self, version: MetadataVersion, records: &mut Vec<MetadataRecord>) {
        for topic in self.topics.by_id.values() {
            records.push(TopicRecord { name: topic.name.clone(), topic_id: topic.id }.into());
            for (index, partition) in &topic.partitions {
                records.push(partition.to_record(topic.id, *index, version).into());
            }
        }
    }

    fn write_configs(&self, records: &mut Vec<MetadataRecord>) {
        for (resource, configs) in &self.configs.resources {
            records.extend(configs.iter().map(|(name, value)| {
                ConfigRecord {
                    resource_type: resource.kind,
                    resource_name: resource.name.clone(),
                    name: name.clone(),
                    value: Some(value.clone()),
                }
                .into()
            }));
        }
    }

    fn write_client_quotas(&self, records: &mut Vec<MetadataRecord>) {
        for (entity, quotas) in &self.client_quotas.entities {
            let entity: Vec<_> = entity
                .iter()
                .map(|(kind, name)| client_quota_record::EntityData {
                    entity_type: kind.clone(),
                    entity_name: name.clone(),
                })
                .collect();
            records.extend(quotas.iter().map(|(key, value)| {
                ClientQuotaRecord { entity: entity.clone(), key: key.clone(), value: *value, remove: false }
                    .into()
            }));
        }
    }

    fn write_scram(&self, records: &mut Vec<MetadataRecord>) {
        records.extend(self.scram.iter().map(|((mechanism, name), credential)| {
            UserScramCredentialRecord {
                name: name.clone(),
                mechanism: *mechanism,
                salt: credential.salt.clone(),
                stored_key: credential.stored_key.clone(),
                server_key: credential.server_key.clone(),
                iterations: credential.iterations,
            }
            .into()
        }));
    }

    fn write_delegation_tokens(&self, records: &mut Vec<MetadataRecord>) {
        records.extend(self.delegation_tokens.iter().map(|(id, token)| token.to_record(id).into()));
    }
}

impl PartitionRegistration {
    /// As a record of the version that `metadata_version` asks for.
    pub fn to_record(&self, topic_id: Uuid, partition_id: i32, version: MetadataVersion) -> PartitionRecord {
        let elr =
            |list: &Vec<i32>| (version >= MetadataVersion::ELR && !list.is_empty()).then(|| list.clone());
        PartitionRecord {
            partition_id,
            topic_id,
            replicas: self.replicas.clone(),
            isr: self.isr.clone(),
            removing_replicas: self.removing_replicas.clone(),
            adding_replicas: self.adding_replicas.clone(),
            leader: self.leader,
            leader_recovery_state: self.leader_recovery_state,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: if version.has_directories() { self.directories.clone() } else { Vec::new() },
            eligible_leader_replicas: elr(&self.elr),
            last_known_elr: elr(&self.last_known_elr),
        }
    }
}

fn register_broker(broker: &BrokerRegistration, version: MetadataVersion) -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker_id: broker.id,
        is_migrating_zk_broker: broker.is_migrating_zk_broker,
        incarnation_id: broker.incarnation_id,
        broker_epoch: broker.epoch,
        end_points: broker
            .endpoints
            .iter()
            .map(|endpoint| register_broker_record::BrokerEndpoint {
                name: endpoint.name.clone(),
                host: endpoint.host.clone(),
                port: endpoint.port,
                security_protocol: endpoint.security_protocol,
            })
            .collect(),
        features: broker
            .features
            .iter()
            .map(|(name, range)| register_broker_record::BrokerFeature {
                name: name.clone(),
                min_supported_version: range.min,
                max_supported_version: range.max,
            })
            .collect(),
        rack: broker.rack.clone(),
        fenced: broker.fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        log_dirs: if version.has_directories() { broker.directories.clone() } else { Vec::new() },
        cordoned_log_dirs: broker.cordoned_directories.clone().filter(|_| version.has_cordoned_directories()),
    }
}

fn register_controller(controller: &ControllerRegistration) -> RegisterControllerRecord {
    RegisterControllerRecord {
        controller_id: controller.id,
        incarnation_id: controller.incarnation_id,
        zk_migration_ready: controller.zk_migration_ready,
        end_points: controller
            .endpoints
            .iter()
            .map(|endpoint| register_controller_record::ControllerEndpoint {
                name: endpoint.name.clone(),
                host: endpoint.host.clone(),
                port: endpoint.port,
                security_protocol: endpoint.security_protocol,
            })
            .collect(),
        features: controller
            .features
            .iter()
            .map(|(name, range)| register_controller_record::ControllerFeature {
                name: name.clone(),
                min_supported_version: range.min,
                max_supported_version: range.max,
            })
            .collect(),
    }
}
