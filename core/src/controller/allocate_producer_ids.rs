//! AllocateProducerIds (KIP-730).

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use ottla_protocol::messages::allocate_producer_ids_response::AllocateProducerIdsResponse;
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::ProducerIdsRecord;

use super::cluster::Cluster;

/// Producer ids in one block.
pub const PRODUCER_ID_BLOCK: i32 = 1_000;

/// Gives a broker a block of producer ids that nobody else gets.
pub fn allocate_producer_ids(
    cluster: Cluster<'_>,
    request: &AllocateProducerIdsRequest,
) -> (Vec<MetadataRecord>, AllocateProducerIdsResponse) {
    let (broker_id, broker_epoch) = (request.broker_id, request.broker_epoch);
    let first = cluster.image.next_producer_id.unwrap_or(0);
    let next = first.checked_add(i64::from(PRODUCER_ID_BLOCK)).ok_or(ErrorCode::UnknownServerError);
    match cluster.registered(broker_id, broker_epoch).and(next) {
        Ok(next_producer_id) => {
            let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id };
            let response = AllocateProducerIdsResponse {
                throttle_time_ms: 0,
                error_code: 0,
                producer_id_start: first,
                producer_id_len: PRODUCER_ID_BLOCK,
            };
            (vec![record.into()], response)
        }
        Err(error) => {
            let response = AllocateProducerIdsResponse {
                error_code: error.code(),
                ..AllocateProducerIdsResponse::default()
            };
            (Vec::new(), response)
        }
    }
}
