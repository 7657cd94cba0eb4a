//! The node's own registration, as records at every start.

use ottla_protocol::Uuid;
use ottla_protocol::messages::{BrokerRegistrationRequest, broker_registration_request};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{
    BrokerRegistrationChangeRecord, PartitionChangeRecord, RegisterBrokerRecord, RegisterControllerRecord,
    register_broker_record, register_controller_record,
};

use crate::broker::lifecycle::Myself;
use crate::config::BrokerConfig;
use crate::metadata::features::{METADATA_VERSION, OTTLA_VERSION, SUPPORTED};
use crate::metadata::topics::NO_LEADER;
use crate::metadata::{MetadataImage, MetadataVersion, PartitionRegistration};
use crate::quorum::format::controller_endpoints;
use crate::rng::Rng;

const UNFENCED: i8 = -1;

/// The records of a start: the controller, the broker (its epoch is the offset of its record), and a new leader epoch for every partition
/// that it leads, because what it had not synced may be gone. `directories` are those that are online: while others are not, a partition that is in
/// none of these has no leader.
pub fn register(
    image: &MetadataImage,
    config: &BrokerConfig,
    directories: &[Uuid],
    controller_incarnation_id: Uuid,
    rng: &mut Rng,
    first_offset: i64,
) -> Vec<MetadataRecord> {
    let version = image.features.metadata_version();
    let mut records: Vec<MetadataRecord> = Vec::new();
    if config.process_roles.controller && version.has_controller_registrations() {
        records.push(register_controller(config, controller_incarnation_id).into());
    }
    if !config.process_roles.broker {
        return records;
    }
    let offset = i64::try_from(records.len()).unwrap_or(i64::MAX).saturating_add(first_offset);
    records.push(register_broker(config, version, directories, rng.uuid(), offset).into());
    let unfence = BrokerRegistrationChangeRecord {
        broker_id: config.node_id,
        broker_epoch: offset,
        fenced: UNFENCED,
        ..BrokerRegistrationChangeRecord::default()
    };
    records.push(unfence.into());
    records.extend(lead_again(image, config, directories));
    records
}

fn lead_again(image: &MetadataImage, config: &BrokerConfig, online: &[Uuid]) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    let (node_id, are_all_online) = (config.node_id, online.len() == config.log_dirs.len());
    let has_elr = image.features.has_eligible_leader_replicas();
    for topic in image.topics.by_id.values() {
        for (index, partition) in &topic.partitions {
            let directory = partition.directory_of(node_id).filter(|_| !are_all_online);
            let is_offline = directory.is_some_and(|its| !online.contains(&its));
            let change = match is_offline {
                true => lose_lead(partition, node_id, has_elr),
                false => take_lead(partition, node_id),
            };
            if let Some(change) = change {
                records.push(
                    PartitionChangeRecord { partition_id: *index, topic_id: topic.id, ..change }.into(),
                );
            }
        }
    }
    records
}

/// Kafka empties the ISR of a broker that stops, and remembers it as eligible (KIP-966).
fn take_lead(partition: &PartitionRegistration, node_id: i32) -> Option<PartitionChangeRecord> {
    let change = PartitionChangeRecord { leader: node_id, ..PartitionChangeRecord::default() };
    if partition.leader == node_id || partition.leader == NO_LEADER && partition.isr.contains(&node_id) {
        return Some(change);
    }
    let is_eligible = partition.elr.contains(&node_id) || partition.last_known_elr.contains(&node_id);
    if partition.leader != NO_LEADER || !partition.isr.is_empty() || !is_eligible {
        return None;
    }
    let others = partition.elr.iter().copied().filter(|id| *id != node_id).collect();
    Some(PartitionChangeRecord {
        isr: Some(vec![node_id]),
        eligible_leader_replicas: Some(others),
        last_known_elr: Some(Vec::new()),
        ..change
    })
}

/// The last in-sync replica is in a directory that is offline: it stays one, or becomes eligible where there is a list of those (KIP-966).
fn lose_lead(
    partition: &PartitionRegistration,
    node_id: i32,
    has_elr: bool,
) -> Option<PartitionChangeRecord> {
    let change = PartitionChangeRecord { leader: NO_LEADER, ..PartitionChangeRecord::default() };
    if has_elr && partition.isr == [node_id] {
        let eligible = partition.elr.iter().copied().filter(|id| *id != node_id).chain([node_id]).collect();
        return Some(PartitionChangeRecord {
            isr: Some(Vec::new()),
            eligible_leader_replicas: Some(eligible),
            ..change
        });
    }
    (partition.leader == node_id).then_some(change)
}

/// Every feature that this build supports, with its levels.
fn features() -> impl Iterator<Item = (&'static str, i16, i16)> {
    let metadata = (METADATA_VERSION, MetadataVersion::MINIMUM.level(), MetadataVersion::LATEST.level());
    SUPPORTED.into_iter().chain([metadata])
}

/// What a controller says of itself.
pub fn register_controller(config: &BrokerConfig, incarnation_id: Uuid) -> RegisterControllerRecord {
    let protocol = |name: &str| {
        let listener = config.listeners.iter().find(|listener| listener.name == *name);
        listener.map_or(0, |listener| listener.security_protocol.id())
    };
    RegisterControllerRecord {
        controller_id: config.node_id,
        incarnation_id,
        zk_migration_ready: false,
        end_points: controller_endpoints(config)
            .into_iter()
            .map(|(name, host, port)| register_controller_record::ControllerEndpoint {
                security_protocol: protocol(&name),
                name,
                host,
                port,
            })
            .collect(),
        features: features()
            .map(|(name, min_supported_version, max_supported_version)| {
                register_controller_record::ControllerFeature {
                    name: name.into(),
                    min_supported_version,
                    max_supported_version,
                }
            })
            .collect(),
    }
}

/// What a broker asks for its place in the cluster with.
pub fn registration_request(
    image: &MetadataImage,
    config: &BrokerConfig,
    me: &Myself,
) -> BrokerRegistrationRequest {
    let version = image.features.metadata_version();
    let record = register_broker(config, version, &me.directories, me.incarnation_id, -1);
    let listeners = record.end_points.into_iter().map(|endpoint| broker_registration_request::Listener {
        name: endpoint.name,
        host: endpoint.host,
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    });
    let features = record.features.into_iter().map(|feature| broker_registration_request::Feature {
        name: feature.name,
        min_supported_version: feature.min_supported_version,
        max_supported_version: feature.max_supported_version,
    });
    BrokerRegistrationRequest {
        broker_id: config.node_id,
        cluster_id: image.cluster_id.clone(),
        incarnation_id: me.incarnation_id,
        listeners: listeners.collect(),
        features: features.collect(),
        rack: record.rack,
        log_dirs: me.directories.clone(),
        previous_broker_epoch: me.previous_epoch,
        ..BrokerRegistrationRequest::default()
    }
}

fn register_broker(
    config: &BrokerConfig,
    version: MetadataVersion,
    directories: &[Uuid],
    incarnation_id: Uuid,
    broker_epoch: i64,
) -> RegisterBrokerRecord {
    let end_points =
        config.advertised_listeners.iter().map(|listener| register_broker_record::BrokerEndpoint {
            name: listener.name.as_str().into(),
            host: if listener.host.is_empty() { "localhost".into() } else { listener.host.as_str().into() },
            port: listener.port,
            security_protocol: listener.security_protocol.id(),
        });
    let features = features().chain([(OTTLA_VERSION, 0, 0)]);
    let features = features.map(|(name, min_supported_version, max_supported_version)| {
        register_broker_record::BrokerFeature {
            name: name.into(),
            min_supported_version,
            max_supported_version,
        }
    });
    RegisterBrokerRecord {
        broker_id: config.node_id,
        is_migrating_zk_broker: false,
        incarnation_id,
        broker_epoch,
        end_points: end_points.collect(),
        features: features.collect(),
        rack: config.broker_rack.as_deref().map(Into::into),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: if version.has_directories() { directories.to_vec() } else { Vec::new() },
        cordoned_log_dirs: version.has_cordoned_directories().then(Vec::new),
    }
}
