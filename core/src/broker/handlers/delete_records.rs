//! DeleteRecords: moves the log start offset up (KIP-107).

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::messages::delete_records_request::DeleteRecordsRequest;
use ottla_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use ottla_protocol::{ErrorCode, Str};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::cluster_view::is_internal;
use crate::broker::data::{DataRequest, DeleteRecordsPart};
use crate::broker::fan_out::{FanOut, led_here};
use crate::broker::request::Request;
use crate::log::LogStore;

/// The answer so far.
pub type Join = super::join::Join<DeleteRecordsResponse>;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: DeleteRecordsRequest = request.decode(body)?;
    let mut join = Join::new();
    let mut fan_out = FanOut::over(env.shards);
    // A partition that is named twice counts once, as it was said last.
    let mut places: BTreeMap<&Str, usize> = BTreeMap::new();
    let mut wanted: Vec<BTreeMap<i32, i64>> = Vec::new();
    for topic in asked.topics.iter().filter(|topic| !topic.partitions.is_empty()) {
        let next = wanted.len();
        let at = *places.entry(&topic.name).or_insert(next);
        if at == next {
            wanted.push(BTreeMap::new());
            let name = topic.name.clone();
            join.response.topics.push(DeleteRecordsTopicResult { name, partitions: Vec::new() });
        }
        let offsets = topic.partitions.iter().map(|partition| (partition.partition_index, partition.offset));
        wanted.get_mut(at).into_iter().for_each(|wanted| wanted.extend(offsets.clone()));
    }
    for (at, (topic, offsets)) in join.response.topics.iter_mut().zip(wanted).enumerate() {
        for (place, (partition_index, offset)) in offsets.into_iter().enumerate() {
            let index = join.places.add((at, place));
            let mut answer =
                DeleteRecordsPartitionResult { partition_index, low_watermark: -1, error_code: 0 };
            let found = led_here(env.image(), env.config, &topic.name, partition_index);
            let allowed =
                if is_internal(&topic.name) { Err(ErrorCode::InvalidTopicException) } else { Ok(()) };
            match found.and_then(|partition| allowed.map(|()| partition)) {
                Ok(partition) => fan_out.add(partition, DeleteRecordsPart { index, partition, offset }),
                Err(error) => answer.error_code = error.code(),
            }
            topic.partitions.push(answer);
        }
    }
    let timeout_ms = asked.timeout_ms;
    let ask = |parts| DataRequest::DeleteRecords { timeout_ms, parts };
    Ok(join.ask(env, request, fan_out, ask, Pending::DeleteRecords))
}

pub fn resume<S: LogStore>(
    request: &Request,
    join: Join,
    parts: Vec<(usize, Result<i64, ErrorCode>)>,
) -> Outcome<S> {
    let fill = |response: &mut DeleteRecordsResponse,
                (topic, place): (usize, usize),
                found: Result<i64, ErrorCode>| {
        let topic = response.topics.get_mut(topic);
        let Some(answer) = topic.and_then(|topic| topic.partitions.get_mut(place)) else { return };
        match found {
            Ok(low_watermark) => answer.low_watermark = low_watermark,
            Err(error) => answer.error_code = error.code(),
        }
    };
    join.answered(request, parts, fill, Pending::DeleteRecords)
}
