//! OffsetForLeaderEpoch: where an epoch ended (KIP-101, 320).

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use ottla_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::data::{DataRequest, EpochPart};
use crate::broker::fan_out::{FanOut, Places, led_here};
use crate::broker::request::Request;
use crate::broker::{Message, ShardEvent};
use crate::log::LogStore;

/// The answer so far.
#[derive(Clone, Debug)]
pub struct Join {
    response: OffsetForLeaderEpochResponse,
    places: Places,
    waiting: usize,
}

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: OffsetForLeaderEpochRequest = request.decode(body)?;
    let mut join =
        Join { response: OffsetForLeaderEpochResponse::default(), places: Places::default(), waiting: 0 };
    let mut fan_out = FanOut::over(env.shards);
    for (at, topic) in asked.topics.iter().enumerate() {
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for (place, asked) in topic.partitions.iter().enumerate() {
            let index = join.places.add(at, place);
            let mut answer = EpochEndOffset { partition: asked.partition, ..EpochEndOffset::default() };
            match led_here(env.image(), env.config, &topic.topic, asked.partition) {
                Ok(partition) => fan_out.add(
                    partition,
                    EpochPart {
                        index,
                        partition,
                        current_leader_epoch: asked.current_leader_epoch,
                        leader_epoch: asked.leader_epoch,
                    },
                ),
                Err(error) => answer.error_code = error.code(),
            }
            answers.push(answer);
        }
        let topic = topic.topic.clone();
        join.response.topics.push(OffsetForLeaderTopicResult { topic, partitions: answers });
    }
    join.waiting = fan_out.len();
    if fan_out.is_empty() {
        return Ok(Outcome::Reply(request.respond(&join.response, [])));
    }
    let token = env.token(request);
    for (shard, parts) in fan_out.into_parts() {
        let request = DataRequest::OffsetForLeaderEpoch { parts };
        env.cx.effects.tell(Message::Shard(shard, ShardEvent::Data { token, request }));
    }
    Ok(Outcome::Wait(Box::new(Pending::OffsetForLeaderEpoch(join))))
}

pub fn resume<S: LogStore>(
    request: &Request,
    mut join: Join,
    parts: Vec<(usize, Result<(i32, i64), ErrorCode>)>,
) -> Outcome<S> {
    for (index, found) in parts {
        let Some((topic, place)) = join.places.of(index) else { continue };
        let topic = join.response.topics.get_mut(topic);
        let Some(answer) = topic.and_then(|topic| topic.partitions.get_mut(place)) else { continue };
        match found {
            Ok((leader_epoch, end_offset)) => {
                (answer.leader_epoch, answer.end_offset) = (leader_epoch, end_offset);
            }
            Err(error) => answer.error_code = error.code(),
        }
    }
    join.waiting -= 1;
    if join.waiting > 0 {
        return Outcome::Wait(Box::new(Pending::OffsetForLeaderEpoch(join)));
    }
    Outcome::Reply(request.respond(&join.response, []))
}
