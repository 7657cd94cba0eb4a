//! DescribeProducers: the producers whose state the leaders of partitions hold (KIP-664).

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_producers_request::DescribeProducersRequest;
use ottla_protocol::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::data::{ActiveProducer, DataRequest, Part};
use crate::broker::fan_out::{FanOut, Places, led_here};
use crate::broker::request::Request;
use crate::broker::{Message, ShardEvent};
use crate::controller::{ApiError, names};
use crate::log::LogStore;

/// The answer so far.
#[derive(Clone, Debug)]
pub struct Join {
    response: DescribeProducersResponse,
    places: Places,
    waiting: usize,
}

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: DescribeProducersRequest = request.decode(body)?;
    let mut join =
        Join { response: DescribeProducersResponse::default(), places: Places::default(), waiting: 0 };
    let mut fan_out = FanOut::over(env.shards);
    for (at, topic) in asked.topics.iter().enumerate() {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for (place, &partition_index) in topic.partition_indexes.iter().enumerate() {
            let index = join.places.add(at, place);
            let mut answer =
                PartitionResponse { partition_index, error_message: None, ..PartitionResponse::default() };
            let known = names::validate(&topic.name).and_then(|()| match env.image().topic(&topic.name) {
                Some(_) => Ok(()),
                None => Err(ApiError::standard(ErrorCode::UnknownTopicOrPartition)),
            });
            // Of a topic that is there, what is wrong with a partition has no sentence.
            let found = known.and_then(|()| {
                led_here(env.image(), env.config, &topic.name, partition_index).map_err(ApiError::bare)
            });
            match found {
                Ok(partition) => fan_out.add(partition, Part { index, partition }),
                Err(error) => (answer.error_code, answer.error_message) = ApiError::split(Err(error)),
            }
            partitions.push(answer);
        }
        join.response.topics.push(TopicResponse { name: topic.name.clone(), partitions });
    }
    join.waiting = fan_out.len();
    if fan_out.is_empty() {
        return Ok(Outcome::Reply(request.respond(&join.response, [])));
    }
    let token = env.token(request);
    for (shard, parts) in fan_out.into_parts() {
        let request = DataRequest::DescribeProducers { parts };
        env.cx.effects.tell(Message::Shard(shard, ShardEvent::Data { token, request }));
    }
    Ok(Outcome::Wait(Box::new(Pending::DescribeProducers(join))))
}

pub fn resume<S: LogStore>(
    request: &Request,
    mut join: Join,
    parts: Vec<(usize, Result<Vec<ActiveProducer>, ErrorCode>)>,
) -> Outcome<S> {
    for (index, found) in parts {
        let Some((topic, place)) = join.places.of(index) else { continue };
        let topic = join.response.topics.get_mut(topic);
        let Some(answer) = topic.and_then(|topic| topic.partitions.get_mut(place)) else { continue };
        match found {
            Ok(producers) => answer.active_producers = producers.into_iter().map(state).collect(),
            Err(error) => answer.error_code = error.code(),
        }
    }
    join.waiting -= 1;
    if join.waiting > 0 {
        return Outcome::Wait(Box::new(Pending::DescribeProducers(join)));
    }
    Outcome::Reply(request.respond(&join.response, []))
}

fn state(producer: ActiveProducer) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: i32::from(producer.producer_epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.current_txn_start_offset,
    }
}
