//! WriteTxnMarkers: a transaction coordinator ends transactions in the partitions that this broker leads (KIP-98, KIP-890).

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::write_txn_markers_request::WriteTxnMarkersRequest;
use ottla_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersResponse,
};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::data::{DataRequest, MarkerPart, TxnEnd};
use crate::broker::fan_out::{FanOut, led_here};
use crate::broker::request::Request;
use crate::broker::{Message, ShardEvent};
use crate::log::LogStore;
use crate::record::EndTxnMarker;

/// The answer so far.
#[derive(Clone, Debug)]
pub struct Join {
    response: WriteTxnMarkersResponse,
    /// (marker, topic, partition) positions by part index.
    places: Vec<(usize, usize, usize)>,
    waiting: usize,
}

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: WriteTxnMarkersRequest = request.decode(body)?;
    let mut join = Join { response: WriteTxnMarkersResponse::default(), places: Vec::new(), waiting: 0 };
    let mut fan_out = FanOut::over(env.shards);
    for (at_marker, marker) in asked.markers.iter().enumerate() {
        let end = TxnEnd {
            producer_id: marker.producer_id,
            producer_epoch: marker.producer_epoch,
            marker: EndTxnMarker {
                is_commit: marker.transaction_result,
                coordinator_epoch: marker.coordinator_epoch,
            },
            transaction_version: marker.transaction_version,
        };
        let mut result = WritableTxnMarkerResult { producer_id: marker.producer_id, ..Default::default() };
        for (at_topic, topic) in marker.topics.iter().enumerate() {
            let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
            for (at_partition, &partition_index) in topic.partition_indexes.iter().enumerate() {
                let index = join.places.len();
                join.places.push((at_marker, at_topic, at_partition));
                let found = led_here(env.image(), env.config, &topic.name, partition_index);
                let error = match found {
                    Ok(partition) => {
                        fan_out.add(partition, MarkerPart { index, partition, end });
                        ErrorCode::None
                    }
                    Err(error) => error,
                };
                partitions
                    .push(WritableTxnMarkerPartitionResult { partition_index, error_code: error.code() });
            }
            result.topics.push(WritableTxnMarkerTopicResult { name: topic.name.clone(), partitions });
        }
        join.response.markers.push(result);
    }
    join.waiting = fan_out.len();
    if fan_out.is_empty() {
        return Ok(Outcome::Reply(request.respond(&join.response, [])));
    }
    let token = env.token(request);
    for (shard, parts) in fan_out.into_parts() {
        let request = DataRequest::WriteTxnMarkers { parts };
        env.cx.effects.tell(Message::Shard(shard, ShardEvent::Data { token, request }));
    }
    Ok(Outcome::Wait(Box::new(Pending::WriteTxnMarkers(join))))
}

pub fn resume<S: LogStore>(
    request: &Request,
    mut join: Join,
    parts: Vec<(usize, Result<(), ErrorCode>)>,
) -> Outcome<S> {
    for (index, written) in parts {
        let Some(&(marker, topic, place)) = join.places.get(index) else { continue };
        let topic = join.response.markers.get_mut(marker).and_then(|marker| marker.topics.get_mut(topic));
        let Some(answer) = topic.and_then(|topic| topic.partitions.get_mut(place)) else { continue };
        answer.error_code = written.err().unwrap_or_default().code();
    }
    join.waiting -= 1;
    if join.waiting > 0 {
        return Outcome::Wait(Box::new(Pending::WriteTxnMarkers(join)));
    }
    Outcome::Reply(request.respond(&join.response, []))
}
