//! BrokerRegistration (KIP-631, KIP-858, KIP-966).

use std::collections::BTreeSet;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::broker_registration_request::{BrokerRegistrationRequest, Listener};
use ottla_protocol::messages::broker_registration_response::BrokerRegistrationResponse;
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{RegisterBrokerRecord, register_broker_record};

use super::cluster::Cluster;
use super::heartbeats::Heartbeats;
use super::leadership;
use crate::metadata::features::{KRAFT_VERSION, METADATA_VERSION};
use crate::metadata::topics::is_reserved_directory;
use crate::sim::mutation::Mutation;
use crate::time::Instant;
use crate::tree::IntoTree as _;

/// Decides whether a broker is let in. A new life of it begins fenced, in an epoch that is `next_offset`, and with what the one
/// before had taken from it: its places in the ISRs, and unless it stopped cleanly those among the eligible replicas too.
pub fn broker_registration(
    cluster: Cluster<'_>,
    heartbeats: &mut Heartbeats,
    kraft_version: i16,
    now: Instant,
    next_offset: i64,
    request: &BrokerRegistrationRequest,
) -> (Vec<MetadataRecord>, BrokerRegistrationResponse) {
    if let Err(error) = check(cluster, heartbeats, kraft_version, now, request) {
        let response =
            BrokerRegistrationResponse { error_code: error.code(), ..BrokerRegistrationResponse::default() };
        return (Vec::new(), response);
    }
    let registered = cluster.image.broker(request.broker_id);
    let amended = registered.filter(|broker| broker.incarnation_id == request.incarnation_id);
    let mut records = Vec::new();
    if amended.is_none() {
        // What an older version of the request leaves out is no proof of a clean stop.
        let is_clean = registered.is_some_and(|broker| broker.epoch == request.previous_broker_epoch)
            || cluster.planted.is(Mutation::StaleCleanShutdownTrusted);
        records = leadership::replace(cluster, request.broker_id, is_clean);
    }
    let broker_epoch = amended.map_or(next_offset, |broker| broker.epoch);
    let at = i64::try_from(records.len()).unwrap_or(i64::MAX).saturating_add(next_offset);
    heartbeats.register(request.broker_id, broker_epoch, at);
    let has_directories = cluster.image.features.metadata_version().has_directories();
    let record = RegisterBrokerRecord {
        broker_id: request.broker_id,
        is_migrating_zk_broker: false,
        incarnation_id: request.incarnation_id,
        broker_epoch,
        end_points: request.listeners.iter().map(end_point).collect(),
        features: request
            .features
            .iter()
            .map(|feature| register_broker_record::BrokerFeature {
                name: feature.name.detached(),
                min_supported_version: feature.min_supported_version,
                max_supported_version: feature.max_supported_version,
            })
            .collect(),
        rack: request.rack.as_ref().map(|rack| rack.detached()),
        fenced: amended.is_none_or(|broker| broker.fenced),
        in_controlled_shutdown: amended.is_some_and(|broker| broker.in_controlled_shutdown),
        log_dirs: if has_directories { request.log_dirs.clone() } else { Vec::new() },
        cordoned_log_dirs: None,
    };
    records.push(record.into());
    let response = BrokerRegistrationResponse { throttle_time_ms: 0, error_code: 0, broker_epoch };
    (records, response)
}

fn end_point(listener: &Listener) -> register_broker_record::BrokerEndpoint {
    register_broker_record::BrokerEndpoint {
        name: listener.name.detached(),
        host: listener.host.detached(),
        port: listener.port,
        security_protocol: listener.security_protocol,
    }
}

fn check(
    cluster: Cluster<'_>,
    heartbeats: &Heartbeats,
    kraft_version: i16,
    now: Instant,
    request: &BrokerRegistrationRequest,
) -> Result<(), ErrorCode> {
    let image = cluster.image;
    if request.cluster_id != image.cluster_id {
        return Err(ErrorCode::InconsistentClusterId);
    }
    if let Some(broker) = image.broker(request.broker_id)
        && broker.incarnation_id != request.incarnation_id
        && heartbeats.has_session(now, broker.id, broker.epoch)
    {
        return Err(ErrorCode::DuplicateBrokerRegistration);
    }
    if request.is_migrating_zk_broker {
        return Err(ErrorCode::BrokerIdNotRegistered);
    }
    if image.features.metadata_version().has_directories() {
        check_directories(cluster, request)?;
    }
    check_features(cluster, kraft_version, request)
}

/// A directory has one owner, and a broker has some.
fn check_directories(cluster: Cluster<'_>, request: &BrokerRegistrationRequest) -> Result<(), ErrorCode> {
    let own: BTreeSet<_> = request.log_dirs.iter().copied().into_set();
    let others = cluster.image.brokers().filter(|broker| broker.id != request.broker_id);
    let is_taken = others.flat_map(|broker| &broker.directories).any(|directory| own.contains(directory));
    let is_nonsense = own.is_empty()
        || own.len() != request.log_dirs.len()
        || own.iter().any(|one| is_reserved_directory(*one));
    if is_taken || is_nonsense { Err(ErrorCode::InvalidRegistration) } else { Ok(()) }
}

/// Every finalized level has to be one that the broker supports; a feature that it does not name it supports at 0.
fn check_features(
    cluster: Cluster<'_>,
    kraft_version: i16,
    request: &BrokerRegistrationRequest,
) -> Result<(), ErrorCode> {
    let finalized = |name: &str| match name {
        KRAFT_VERSION => kraft_version,
        name => cluster.image.features.level(name),
    };
    let named = |name: &str| request.features.iter().any(|feature| *feature.name == *name);
    let misfit = request.features.iter().any(|feature| {
        let range = feature.min_supported_version..=feature.max_supported_version;
        !range.contains(&finalized(&feature.name))
    });
    let mut levels = cluster.image.features.iter();
    levels.push((KRAFT_VERSION.into(), kraft_version));
    if misfit {
        return Err(ErrorCode::UnsupportedVersion);
    }
    if !named(METADATA_VERSION) {
        return Err(ErrorCode::InvalidRegistration);
    }
    let is_missing = levels.iter().any(|(name, level)| *level != 0 && !named(name));
    if is_missing { Err(ErrorCode::UnsupportedVersion) } else { Ok(()) }
}
