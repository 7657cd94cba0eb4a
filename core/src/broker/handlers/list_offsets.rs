//! ListOffsets: offsets by timestamp, or by one of Kafka's negative names.

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_offsets_request::ListOffsetsRequest;
use ottla_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::data::{DataRequest, Isolation, ListOffsetsPart, ListedOffset};
use crate::broker::fan_out::{FanOut, Places, led_here};
use crate::broker::request::Request;
use crate::broker::{Message, ShardEvent};
use crate::log::LogStore;

/// The lowest version that knows each negative name (KIP-734, 405, 1005, 1023).
const NAMED: [(i64, i16); 6] = [(-1, 1), (-2, 1), (-3, 7), (-4, 8), (-5, 9), (-6, 11)];

/// The answer so far.
#[derive(Clone, Debug)]
pub struct Join {
    response: ListOffsetsResponse,
    places: Places,
    waiting: usize,
}

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: ListOffsetsRequest = request.decode(body)?;
    let mut join = Join { response: ListOffsetsResponse::default(), places: Places::default(), waiting: 0 };
    let mut fan_out = FanOut::over(env.shards);
    for (at, topic) in asked.topics.iter().enumerate() {
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for (place, partition) in topic.partitions.iter().enumerate() {
            let index = join.places.add(at, place);
            let repeated =
                topic.partitions.iter().filter(|p| p.partition_index == partition.partition_index).count()
                    > 1;
            let found = if repeated {
                Err(ErrorCode::InvalidRequest)
            } else {
                known_name(partition.timestamp, request.version)
                    .and_then(|()| led_here(env.image(), env.config, &topic.name, partition.partition_index))
            };
            let mut answer = ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                ..ListOffsetsPartitionResponse::default()
            };
            match found {
                Ok(partition_id) => fan_out.add(
                    partition_id,
                    ListOffsetsPart {
                        index,
                        partition: partition_id,
                        current_leader_epoch: partition.current_leader_epoch,
                        timestamp: partition.timestamp,
                    },
                ),
                Err(error) => answer.error_code = error.code(),
            }
            answers.push(answer);
        }
        let name = topic.name.clone();
        join.response.topics.push(ListOffsetsTopicResponse { name, partitions: answers });
    }
    join.waiting = fan_out.len();
    if fan_out.is_empty() {
        return Ok(Outcome::Reply(request.respond(&join.response, [])));
    }
    let isolation =
        if asked.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let token = env.token(request);
    for (shard, parts) in fan_out.into_parts() {
        let request = DataRequest::ListOffsets { parts, isolation };
        env.cx.effects.tell(Message::Shard(shard, ShardEvent::Data { token, request }));
    }
    Ok(Outcome::Wait(Box::new(Pending::ListOffsets(join))))
}

fn known_name(timestamp: i64, version: i16) -> Result<(), ErrorCode> {
    match NAMED.iter().find(|(name, _)| *name == timestamp) {
        Some((_, since)) if version < *since => Err(ErrorCode::UnsupportedVersion),
        Some(_) => Ok(()),
        None if timestamp < 0 => Err(ErrorCode::UnsupportedVersion),
        None => Ok(()),
    }
}

pub fn resume<S: LogStore>(
    request: &Request,
    mut join: Join,
    parts: Vec<(usize, Result<ListedOffset, ErrorCode>)>,
) -> Outcome<S> {
    for (index, found) in parts {
        let Some((topic, place)) = join.places.of(index) else { continue };
        let topic = join.response.topics.get_mut(topic);
        let Some(answer) = topic.and_then(|topic| topic.partitions.get_mut(place)) else { continue };
        match found {
            Ok(ListedOffset { offset, timestamp, leader_epoch }) => {
                (answer.offset, answer.timestamp) = (offset, timestamp);
                if request.version >= 4 {
                    answer.leader_epoch = leader_epoch;
                }
            }
            Err(error) => answer.error_code = error.code(),
        }
    }
    join.waiting -= 1;
    if join.waiting > 0 {
        return Outcome::Wait(Box::new(Pending::ListOffsets(join)));
    }
    Outcome::Reply(request.respond(&join.response, []))
}
