//! UnregisterBroker (KIP-500).

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::unregister_broker_request::UnregisterBrokerRequest;
use ottla_protocol::messages::unregister_broker_response::UnregisterBrokerResponse;
use ottla_protocol::records::MetadataRecord;

use super::cluster::Cluster;
use super::heartbeats::Heartbeats;
use super::{ApiError, leadership};

/// Forgets a broker, dead or alive.
pub fn unregister_broker(
    cluster: Cluster<'_>,
    heartbeats: &mut Heartbeats,
    request: &UnregisterBrokerRequest,
) -> (Vec<MetadataRecord>, UnregisterBrokerResponse) {
    let (records, outcome) = match cluster.image.broker(request.broker_id) {
        Some(broker) => {
            heartbeats.remove(broker.id);
            (leadership::unregister(cluster, broker), Ok(()))
        }
        None => {
            let sentence = format!("Broker ID {} is not currently registered", request.broker_id);
            (Vec::new(), Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, sentence)))
        }
    };
    let (error_code, error_message) = ApiError::split(outcome);
    (records, UnregisterBrokerResponse { throttle_time_ms: 0, error_code, error_message })
}
