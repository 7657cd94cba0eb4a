//! WriteTxnMarkers: a transaction coordinator ends transactions in the partitions that this broker leads (KIP-98, KIP-890).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use ottla_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersResponse,
};
use ottla_protocol::{ErrorCode, Str};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::data::{DataRequest, MarkerPart, TxnEnd};
use crate::broker::fan_out::{FanOut, led_here};
use crate::broker::request::Request;
use crate::log::LogStore;
use crate::metadata::MetadataImage;
use crate::record::{EndTxnMarker, NO_PRODUCER_EPOCH, NO_PRODUCER_ID};

/// The answer so far.
pub type Join = super::join::Join<WriteTxnMarkersResponse, (usize, usize, usize)>;

/// Where the answers stand: one for each producer, with each topic and partition once. A producer that ends nothing has none.
#[derive(Debug, Default)]
struct Slots {
    producers: BTreeMap<i64, usize>,
    topics: BTreeMap<(usize, Str), usize>,
    partitions: BTreeMap<(usize, usize, i32), usize>,
}

impl Slots {
    fn place(
        &mut self,
        response: &mut WriteTxnMarkersResponse,
        producer_id: i64,
        topic: &Str,
        partition_index: i32,
    ) -> (usize, usize, usize) {
        let markers = &mut response.markers;
        let next = markers.len();
        let marker = *self.producers.entry(producer_id).or_insert(next);
        if marker == next {
            markers.push(WritableTxnMarkerResult { producer_id, ..Default::default() });
        }
        let Some(topics) = markers.get_mut(marker).map(|marker| &mut marker.topics) else {
            return (marker, 0, 0);
        };
        let next = topics.len();
        let at = *self.topics.entry((marker, topic.clone())).or_insert(next);
        if at == next {
            topics.push(WritableTxnMarkerTopicResult { name: topic.clone(), ..Default::default() });
        }
        let Some(partitions) = topics.get_mut(at).map(|topic| &mut topic.partitions) else {
            return (marker, at, 0);
        };
        let next = partitions.len();
        let place = *self.partitions.entry((marker, at, partition_index)).or_insert(next);
        if place == next {
            partitions.push(WritableTxnMarkerPartitionResult { partition_index, error_code: 0 });
        }
        (marker, at, place)
    }
}

fn answer(
    response: &mut WriteTxnMarkersResponse,
    (marker, topic, place): (usize, usize, usize),
    error: ErrorCode,
) {
    let topic = response.markers.get_mut(marker).and_then(|marker| marker.topics.get_mut(topic));
    if let Some(answer) = topic.and_then(|topic| topic.partitions.get_mut(place)) {
        answer.error_code = error.code();
    }
}

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: WriteTxnMarkersRequest = request.decode(body)?;
    let mut join = Join::new();
    let mut fan_out = FanOut::over(env.shards);
    let mut slots = Slots::default();
    if asked.markers.iter().any(|marker| cannot_be_built(env.image(), marker)) {
        for marker in &asked.markers {
            for topic in &marker.topics {
                for &index in &topic.partition_indexes {
                    let place = slots.place(&mut join.response, marker.producer_id, &topic.name, index);
                    answer(&mut join.response, place, ErrorCode::UnknownServerError);
                }
            }
        }
        return Ok(Outcome::Reply(request.respond(&join.response, [])));
    }
    for marker in &asked.markers {
        let end = TxnEnd {
            producer_id: marker.producer_id,
            producer_epoch: marker.producer_epoch,
            marker: EndTxnMarker {
                is_commit: marker.transaction_result,
                coordinator_epoch: marker.coordinator_epoch,
            },
            transaction_version: marker.transaction_version,
        };
        let mut ended: BTreeSet<(&Str, i32)> = BTreeSet::new();
        for topic in &marker.topics {
            for &partition_index in &topic.partition_indexes {
                if !ended.insert((&topic.name, partition_index)) {
                    continue;
                }
                let place = slots.place(&mut join.response, marker.producer_id, &topic.name, partition_index);
                let index = join.places.add(place);
                match led_here(env.image(), env.config, &topic.name, partition_index) {
                    Ok(partition) => fan_out.add(partition, MarkerPart { index, partition, end }),
                    Err(error) => answer(&mut join.response, place, error),
                }
            }
        }
    }
    let ask = |parts| DataRequest::WriteTxnMarkers { parts };
    Ok(join.ask(env, request, fan_out, ask, Pending::WriteTxnMarkers))
}

/// A marker of nobody, for a partition that is there: Kafka falls over it, with all that is asked beside it.
fn cannot_be_built(image: &MetadataImage, marker: &WritableTxnMarker) -> bool {
    let is_there = |topic: &WritableTxnMarkerTopic| {
        image.topic(&topic.name).is_some_and(|known| {
            topic.partition_indexes.iter().any(|index| known.partitions.contains_key(index))
        })
    };
    (marker.producer_id == NO_PRODUCER_ID || marker.producer_epoch == NO_PRODUCER_EPOCH)
        && marker.topics.iter().any(is_there)
}

pub fn resume<S: LogStore>(
    request: &Request,
    join: Join,
    parts: Vec<(usize, Result<(), ErrorCode>)>,
) -> Outcome<S> {
    let fill = |response: &mut WriteTxnMarkersResponse, place, written: Result<(), ErrorCode>| {
        answer(response, place, written.err().unwrap_or_default());
    };
    join.answered(request, parts, fill, Pending::WriteTxnMarkers)
}
