//! DescribeProducers: the producers whose state the leaders of partitions hold (KIP-664).

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_producers_request::DescribeProducersRequest;
use ottla_protocol::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::data::{ActiveProducer, DataRequest, Part};
use crate::broker::fan_out::{FanOut, led_here};
use crate::broker::request::Request;
use crate::controller::{ApiError, names};
use crate::log::LogStore;

/// The answer so far.
pub type Join = super::join::Join<DescribeProducersResponse>;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: DescribeProducersRequest = request.decode(body)?;
    let mut join = Join::new();
    let mut fan_out = FanOut::over(env.shards);
    for (at, topic) in asked.topics.iter().enumerate() {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for (place, &partition_index) in topic.partition_indexes.iter().enumerate() {
            let index = join.places.add((at, place));
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
    let ask = |parts| DataRequest::DescribeProducers { parts };
    Ok(join.ask(env, request, fan_out, ask, Pending::DescribeProducers))
}

pub fn resume<S: LogStore>(
    request: &Request,
    join: Join,
    parts: Vec<(usize, Result<Vec<ActiveProducer>, ErrorCode>)>,
) -> Outcome<S> {
    let fill = |response: &mut DescribeProducersResponse,
                (topic, place): (usize, usize),
                found: Result<Vec<ActiveProducer>, ErrorCode>| {
        let topic = response.topics.get_mut(topic);
        let Some(answer) = topic.and_then(|topic| topic.partitions.get_mut(place)) else { return };
        match found {
            Ok(producers) => answer.active_producers = producers.into_iter().map(state).collect(),
            Err(error) => answer.error_code = error.code(),
        }
    };
    join.answered(request, parts, fill, Pending::DescribeProducers)
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
