//! BrokerHeartbeat (KIP-631, KIP-841, KIP-858, KIP-1066).

use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use ottla_protocol::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use ottla_protocol::records::MetadataRecord;

use super::cluster::Cluster;
use super::heartbeats::Heartbeats;
use super::leadership;
use crate::metadata::{BrokerRegistration, MetadataImage};
use crate::time::Instant;

/// What the controller thinks of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fenced,
    Unfenced,
    ControlledShutdown,
    /// It is fenced, and may stop at once.
    ShutdownNow,
}

/// Hears of a broker, and decides what it may do from now on.
pub fn broker_heartbeat(
    cluster: Cluster<'_>,
    heartbeats: &mut Heartbeats,
    now: Instant,
    next_offset: i64,
    request: &BrokerHeartbeatRequest,
) -> (Vec<MetadataRecord>, BrokerHeartbeatResponse) {
    let broker = match cluster.registered(request.broker_id, request.broker_epoch) {
        Ok(broker) => broker,
        Err(error) => {
            let response =
                BrokerHeartbeatResponse { error_code: error.code(), ..BrokerHeartbeatResponse::default() };
            return (Vec::new(), response);
        }
    };
    heartbeats.know(broker.id, broker.epoch);
    let is_caught_up = request.current_metadata_offset >= heartbeats.registered_at(broker.id);
    let current = match heartbeats.shutdown_offset(broker.id) {
        _ if broker.fenced => State::Fenced,
        Some(_) if broker.in_controlled_shutdown => State::ControlledShutdown,
        _ => State::Unfenced,
    };
    let next = next_state(cluster.image, heartbeats, broker, current, is_caught_up, request);
    let mut records = match next {
        next if next == current => Vec::new(),
        State::Fenced | State::ShutdownNow => leadership::fence(cluster, broker),
        State::Unfenced => leadership::unfence(cluster, broker, &request.offline_log_dirs),
        State::ControlledShutdown => leadership::begin_controlled_shutdown(cluster, broker),
    };
    let is_fenced = matches!(next, State::Fenced | State::ShutdownNow);
    heartbeats.touch(now, broker.id, request.current_metadata_offset, is_fenced);
    if next == State::ShutdownNow {
        heartbeats.end(broker.id);
    }
    let version = cluster.image.features.metadata_version();
    if version.has_directories() {
        records.extend(leadership::directories_offline(cluster, broker, &request.offline_log_dirs));
    }
    if version.has_cordoned_directories()
        && let Some(cordoned) = &request.cordoned_log_dirs
    {
        records.extend(leadership::directories_cordoned(broker, cordoned));
    }
    if records.iter().any(|record| matches!(record, MetadataRecord::BrokerRegistrationChange(_))) {
        heartbeats.registration_changed(broker.id);
    }
    if next == State::ControlledShutdown && next != current {
        let written = i64::try_from(records.len()).unwrap_or(i64::MAX);
        heartbeats.begin_shutdown(broker.id, next_offset.saturating_add(written).saturating_sub(1));
    }
    let response = BrokerHeartbeatResponse {
        throttle_time_ms: 0,
        error_code: 0,
        is_caught_up,
        is_fenced,
        should_shut_down: next == State::ShutdownNow,
    };
    (records, response)
}

fn next_state(
    image: &MetadataImage,
    heartbeats: &Heartbeats,
    broker: &BrokerRegistration,
    current: State,
    is_caught_up: bool,
    request: &BrokerHeartbeatRequest,
) -> State {
    match current {
        State::Fenced if request.want_shut_down => State::ShutdownNow,
        State::Fenced if !request.want_fence && is_caught_up => State::Unfenced,
        State::Fenced => State::Fenced,
        State::Unfenced if request.want_fence && request.want_shut_down => State::ShutdownNow,
        State::Unfenced if request.want_fence => State::Fenced,
        State::Unfenced if request.want_shut_down && leads(image, broker.id) => State::ControlledShutdown,
        State::Unfenced if request.want_shut_down => State::ShutdownNow,
        State::Unfenced => State::Unfenced,
        // Whoever may still send it clients has to know of the new leaders first.
        State::ControlledShutdown | State::ShutdownNow => {
            let is_known =
                heartbeats.shutdown_offset(broker.id) <= Some(heartbeats.lowest_active_offset(image));
            if is_known && !leads(image, broker.id) { State::ShutdownNow } else { State::ControlledShutdown }
        }
    }
}

fn leads(image: &MetadataImage, broker: i32) -> bool {
    let mut partitions = image.topics.by_id.values().flat_map(|topic| topic.partitions.values());
    partitions.any(|partition| partition.leader == broker)
}
