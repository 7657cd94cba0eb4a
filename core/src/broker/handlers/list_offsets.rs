//! ListOffsets: offsets by timestamp, or by one of Kafka's negative names.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsRequest, ListOffsetsTopic};
use ottla_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_protocol::{ErrorCode, Str};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::data::{DataRequest, Isolation, ListOffsetsPart, ListedOffset};
use crate::broker::fan_out::{FanOut, led_here};
use crate::broker::request::Request;
use crate::log::LogStore;

/// The lowest version that knows each negative name (KIP-734, 405, 1005, 1023).
const NAMED: [(i64, i16); 6] = [(-1, 1), (-2, 1), (-3, 7), (-4, 8), (-5, 9), (-6, 11)];

/// The replica id of those who are none.
const CONSUMER: i32 = -1;
/// From here on "not available yet" has a code of its own; before, clients are told that there is no leader (KIP-207).
const OFFSET_NOT_AVAILABLE_VERSION: i16 = 5;

/// The answer so far.
pub type Join = super::join::Join<ListOffsetsResponse>;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: ListOffsetsRequest = request.decode(body)?;
    let mut join = Join::new();
    let isolation = match asked.isolation_level {
        0 => Isolation::ReadUncommitted,
        1 => Isolation::ReadCommitted,
        _ => return Ok(Outcome::Reply(request.respond(&fail(&asked), []))),
    };
    // A replica asks for where the log ends.
    let isolation = if asked.replica_id == CONSUMER { isolation } else { Isolation::LogEnd };
    let mut fan_out = FanOut::over(env.shards);
    let mut topics: BTreeMap<&Str, usize> = BTreeMap::new();
    // Places of partitions, and whether they were named before: such are refused, once.
    let mut named: BTreeMap<(usize, i32), bool> = BTreeMap::new();
    for topic in asked.topics.iter().filter(|topic| !topic.partitions.is_empty()) {
        let next = topics.len();
        let at = *topics.entry(&topic.name).or_insert(next);
        for partition in &topic.partitions {
            named.entry((at, partition.partition_index)).and_modify(|again| *again = true).or_insert(false);
        }
    }
    for topic in &asked.topics {
        let Some(&at) = topics.get(&topic.name) else { continue };
        if at == join.response.topics.len() {
            let name = topic.name.clone();
            join.response.topics.push(ListOffsetsTopicResponse { name, partitions: Vec::new() });
        }
        let Some(answers) = join.response.topics.get_mut(at).map(|topic| &mut topic.partitions) else {
            continue;
        };
        for partition in &topic.partitions {
            let Some(again) = named.remove(&(at, partition.partition_index)) else { continue };
            let index = join.places.add((at, answers.len()));
            let found = if again {
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
    }
    let ask = |parts| DataRequest::ListOffsets { parts, isolation };
    Ok(join.ask(env, request, fan_out, ask, Pending::ListOffsets))
}

/// An isolation level that there is not: Kafka falls over it.
fn fail(asked: &ListOffsetsRequest) -> ListOffsetsResponse {
    let refused = |topic: &ListOffsetsTopic| ListOffsetsTopicResponse {
        name: topic.name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                error_code: ErrorCode::UnknownServerError.code(),
                ..ListOffsetsPartitionResponse::default()
            })
            .collect(),
    };
    ListOffsetsResponse {
        topics: asked.topics.iter().map(refused).collect(),
        ..ListOffsetsResponse::default()
    }
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
    join: Join,
    parts: Vec<(usize, Result<ListedOffset, ErrorCode>)>,
) -> Outcome<S> {
    let fill = |response: &mut ListOffsetsResponse,
                (topic, place): (usize, usize),
                found: Result<ListedOffset, ErrorCode>| {
        let topic = response.topics.get_mut(topic);
        let Some(answer) = topic.and_then(|topic| topic.partitions.get_mut(place)) else { return };
        match found {
            Ok(ListedOffset { offset, timestamp, leader_epoch }) => {
                (answer.offset, answer.timestamp) = (offset, timestamp);
                if request.version >= 4 {
                    answer.leader_epoch = leader_epoch;
                }
            }
            Err(ErrorCode::OffsetNotAvailable) if request.version < OFFSET_NOT_AVAILABLE_VERSION => {
                answer.error_code = ErrorCode::LeaderNotAvailable.code();
            }
            Err(error) => answer.error_code = error.code(),
        }
    };
    join.answered(request, parts, fill, Pending::ListOffsets)
}
