//! OffsetForLeaderEpoch: where an epoch ended (KIP-101, 320).

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use ottla_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::data::{DataRequest, EpochPart};
use crate::broker::fan_out::{FanOut, led_here};
use crate::broker::request::Request;
use crate::log::LogStore;

/// The answer so far.
pub type Join = super::join::Join<OffsetForLeaderEpochResponse>;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: OffsetForLeaderEpochRequest = request.decode(body)?;
    let mut join = Join::new();
    let mut fan_out = FanOut::over(env.shards);
    for (at, topic) in asked.topics.iter().enumerate() {
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for (place, asked) in topic.partitions.iter().enumerate() {
            let index = join.places.add((at, place));
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
    let ask = |parts| DataRequest::OffsetForLeaderEpoch { parts };
    Ok(join.ask(env, request, fan_out, ask, Pending::OffsetForLeaderEpoch))
}

pub fn resume<S: LogStore>(
    request: &Request,
    join: Join,
    parts: Vec<(usize, Result<(i32, i64), ErrorCode>)>,
) -> Outcome<S> {
    let fill = |response: &mut OffsetForLeaderEpochResponse,
                (topic, place): (usize, usize),
                found: Result<(i32, i64), ErrorCode>| {
        let topic = response.topics.get_mut(topic);
        let Some(answer) = topic.and_then(|topic| topic.partitions.get_mut(place)) else { return };
        match found {
            Ok((leader_epoch, end_offset)) => {
                (answer.leader_epoch, answer.end_offset) = (leader_epoch, end_offset);
            }
            Err(error) => answer.error_code = error.code(),
        }
    };
    join.answered(request, parts, fill, Pending::OffsetForLeaderEpoch)
}
