//! Produce: appends batches (KIP-98, 467, 516, 951).

use bytes::Bytes;
use ottla_protocol::messages::produce_request::ProduceRequest;
use ottla_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use ottla_protocol::{ErrorCode, Records};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::data::{DataRequest, ProduceError, ProducePart, Produced};
use crate::broker::fan_out::{FanOut, Places, led_here, led_here_by_id};
use crate::broker::request::Request;
use crate::broker::{Message, ShardEvent};
use crate::log::LogStore;

/// The answer so far.
#[derive(Clone, Debug)]
pub struct Join {
    response: ProduceResponse,
    places: Places,
    waiting: usize,
    acks: i16,
}

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    if request.version < 3 {
        return Err(format!(
            "Produce v{} is advertised for librdkafka and not served (KAFKA-18659)",
            request.version
        ));
    }
    let asked: ProduceRequest = request.decode(body)?;
    let refusal = refuse_whole(&asked);
    let mut join = Join {
        response: ProduceResponse::default(),
        places: Places::default(),
        waiting: 0,
        acks: asked.acks,
    };
    let mut fan_out = FanOut::over(env.shards);
    for (at, topic) in asked.topic_data.into_iter().enumerate() {
        let mut answers = Vec::with_capacity(topic.partition_data.len());
        for (place, partition) in topic.partition_data.into_iter().enumerate() {
            let index = join.places.add(at, place);
            let id = match refusal {
                Some(error) => Err(error),
                None if request.version >= 13 => {
                    led_here_by_id(env.image(), env.config, topic.topic_id, partition.index)
                }
                None => led_here(env.image(), env.config, &topic.name, partition.index),
            };
            let mut answer = PartitionProduceResponse { index: partition.index, ..Default::default() };
            match (id, partition.records) {
                (Ok(id), Records::Bytes(records)) if !records.is_empty() => {
                    fan_out.add(id, ProducePart { index, partition: id, records });
                }
                (Ok(_), _) => refuse(&mut answer, ProduceError::of(ErrorCode::InvalidRecord)),
                (Err(error), _) => refuse(&mut answer, ProduceError::of(error)),
            }
            answers.push(answer);
        }
        join.response.responses.push(TopicProduceResponse {
            name: topic.name,
            topic_id: topic.topic_id,
            partition_responses: answers,
        });
    }
    join.waiting = fan_out.len();
    if fan_out.is_empty() {
        return finish(request, &join);
    }
    let token = env.token(request);
    let (version, acks) = (request.version, join.acks);
    for (shard, parts) in fan_out.into_parts() {
        let request = DataRequest::Produce { version, acks, parts };
        env.cx.effects.tell(Message::Shard(shard, ShardEvent::Data { token, request }));
    }
    Ok(Outcome::Wait(Box::new(Pending::Produce(join))))
}

/// What is wrong with a request as a whole.
fn refuse_whole(asked: &ProduceRequest) -> Option<ErrorCode> {
    if !(-1..=1).contains(&asked.acks) {
        return Some(ErrorCode::InvalidRequiredAcks);
    }
    // Transactions are not built: no producer can have been given this id.
    asked.transactional_id.as_ref().map(|_| ErrorCode::TransactionalIdAuthorizationFailed)
}

fn refuse(answer: &mut PartitionProduceResponse, error: ProduceError) {
    answer.error_code = error.code.code();
    answer.base_offset = -1;
    answer.log_append_time_ms = -1;
    answer.log_start_offset = error.log_start_offset;
    answer.error_message = error.message;
    answer.record_errors = error
        .records
        .into_iter()
        .map(|(batch_index, message)| BatchIndexAndErrorMessage {
            batch_index,
            batch_index_error_message: message,
        })
        .collect();
}

pub fn resume<S: LogStore>(
    request: &Request,
    mut join: Join,
    parts: Vec<(usize, Result<Produced, ProduceError>)>,
) -> Handled<S> {
    for (index, outcome) in parts {
        let Some((topic, place)) = join.places.of(index) else { continue };
        let topic = join.response.responses.get_mut(topic);
        let Some(answer) = topic.and_then(|topic| topic.partition_responses.get_mut(place)) else { continue };
        match outcome {
            Ok(Produced { base_offset, log_append_time, log_start_offset }) => {
                answer.base_offset = base_offset;
                answer.log_append_time_ms = log_append_time;
                answer.log_start_offset = log_start_offset;
            }
            Err(error) => refuse(answer, error),
        }
    }
    join.waiting -= 1;
    if join.waiting > 0 {
        return Ok(Outcome::Wait(Box::new(Pending::Produce(join))));
    }
    finish(request, &join)
}

/// With acks=0 nobody listens: an error closes the connection so that the producer notices.
fn finish<S: LogStore>(request: &Request, join: &Join) -> Handled<S> {
    if join.acks != 0 {
        return Ok(Outcome::Reply(request.respond(&join.response, [])));
    }
    let failed = |answer: &&PartitionProduceResponse| answer.error_code != 0;
    let answers = join.response.responses.iter().flat_map(|topic| &topic.partition_responses);
    match answers.filter(failed).map(|answer| ErrorCode::from_code(answer.error_code)).next() {
        Some(error) => Err(format!("a Produce request with acks=0 failed with {error:?}")),
        None => Ok(Outcome::Silent),
    }
}
