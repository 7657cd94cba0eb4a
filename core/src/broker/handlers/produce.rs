//! Produce: appends batches (KIP-98, 467, 516, 951).

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest};
use ottla_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceResponse,
    TopicProduceResponse,
};
use ottla_protocol::{ErrorCode, Records, Str, Uuid};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::cluster_view::is_internal;
use crate::broker::current_leaders::CurrentLeaders;
use crate::broker::data::{DataRequest, ProduceError, ProducePart, Produced};
use crate::broker::fan_out::{FanOut, held_here, held_here_by_id, led_here, led_here_by_id};
use crate::broker::request::Request;
use crate::broker::{Message, ShardEvent};
use crate::controller::ApiError;
use crate::ids::TopicIdPartition;
use crate::log::LogStore;
use crate::record::{CompressionType, MAGIC_V2, entries};
use crate::replication::fetcher;

/// From here on topics are named by id (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;
/// From here on clients are told who leads instead (KIP-951).
const CURRENT_LEADER_VERSION: i16 = 10;
/// The first version that may carry zstd (KIP-110).
const PRODUCE_VERSION_ZSTD: i16 = 7;
/// A batch that is shorter has no producer id.
const PRODUCER_ID_END: usize = 51;
/// The client id of those who may write to internal topics.
const ADMIN_CLIENT: &str = "__admin_client";

/// The answer so far.
#[derive(Clone, Debug)]
pub struct Join {
    response: ProduceResponse,
    /// Where each part stands.
    places: Vec<(usize, usize)>,
    waiting: usize,
    acks: i16,
}

/// A partition of the request: where it is and what it gets, or why not.
type Decided = Result<(TopicIdPartition, Bytes), ErrorCode>;

/// Where the answer for a topic, and for each of its partitions, stands. What is named twice is answered once.
#[derive(Debug, Default)]
struct Slots {
    topics: BTreeMap<(Str, Uuid), usize>,
    partitions: BTreeMap<(usize, i32), usize>,
}

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    if request.version < 3 {
        return Err(format!(
            "Produce v{} is advertised for librdkafka and not served (KAFKA-18659)",
            request.version
        ));
    }
    let asked: ProduceRequest = request.decode(body)?;
    let (acks, timeout_ms) = (asked.acks, asked.timeout_ms);
    let refused = refuse_whole(&asked, request.version).err();
    let may_pass_on = may_pass_on(env, request);
    let mut slots = Slots::default();
    let mut response = ProduceResponse::default();
    let mut decided: Vec<Vec<Decided>> = Vec::with_capacity(asked.topic_data.len());
    for topic in asked.topic_data.into_iter().filter(|topic| !topic.partition_data.is_empty()) {
        let at = slots.topic(&mut response, &topic.name, topic.topic_id);
        if at == decided.len() {
            decided.push(Vec::with_capacity(topic.partition_data.len()));
        }
        let (Some(answer), Some(decided)) = (response.responses.get_mut(at), decided.get_mut(at)) else {
            continue;
        };
        for PartitionProduceData { index, records } in topic.partition_data {
            let decision = match &refused {
                Some(refused) => Err(refused.code),
                None => {
                    let partition = (&topic.name, topic.topic_id, index);
                    decide(env, request, (acks, may_pass_on), partition, records)
                }
            };
            match decided.get_mut(slots.partition(answer, at, index)) {
                Some(again) => *again = decision,
                None => decided.push(decision),
            }
        }
    }
    let mut join = Join { response, places: Vec::new(), waiting: 0, acks };
    let mut fan_out = FanOut::over(env.shards);
    for (at, partitions) in decided.into_iter().enumerate() {
        let topic = join.response.responses.get_mut(at);
        let answers = topic.into_iter().flat_map(|topic| &mut topic.partition_responses);
        for (place, (answer, decision)) in answers.zip(partitions).enumerate() {
            let index = join.places.len();
            join.places.push((at, place));
            match decision {
                Ok((id, records)) => fan_out.add(id, ProducePart { index, partition: id, records }),
                Err(code) => {
                    let message = refused.as_ref().and_then(|refused| refused.message.clone());
                    refuse(answer, ProduceError { message, ..ProduceError::of(code) });
                }
            }
        }
    }
    join.waiting = fan_out.len();
    if fan_out.is_empty() {
        return finish(env, request, join);
    }
    let token = env.token(request);
    let version = request.version;
    for (shard, parts) in fan_out.into_parts() {
        let request = DataRequest::Produce { version, acks, timeout_ms, may_pass_on, parts };
        env.cx.effects.tell(Message::Shard(shard, ShardEvent::Data { token, request }));
    }
    Ok(Outcome::Wait(Box::new(Pending::Produce(join))))
}

impl Slots {
    fn topic(&mut self, response: &mut ProduceResponse, name: &Str, topic_id: Uuid) -> usize {
        *self.topics.entry((name.clone(), topic_id)).or_insert_with(|| {
            let name = name.clone();
            response.responses.push(TopicProduceResponse { name, topic_id, ..Default::default() });
            response.responses.len() - 1
        })
    }

    fn partition(&mut self, topic: &mut TopicProduceResponse, at: usize, index: i32) -> usize {
        *self.partitions.entry((at, index)).or_insert_with(|| {
            topic.partition_responses.push(PartitionProduceResponse { index, ..Default::default() });
            topic.partition_responses.len() - 1
        })
    }
}

/// What is wrong with a request as a whole: of the first entry of each partition, that it is none, a transaction's, or
/// that Kafka falls over it.
fn refuse_whole(asked: &ProduceRequest, version: i16) -> Result<(), ApiError> {
    let mut is_fatal = false;
    for partition in asked.topic_data.iter().flat_map(|topic| &topic.partition_data) {
        let Records::Bytes(records) = &partition.records else { continue };
        let Some(first) = entries(records).next() else { continue };
        let first = first.map_err(|error| ApiError::new(ErrorCode::CorruptMessage, error.to_string()))?;
        if first.attributes.is_transactional() {
            // Also with a transactional id: transactions are not built, no producer can have been given one.
            return Err(ApiError::bare(ErrorCode::TransactionalIdAuthorizationFailed));
        }
        // A codec is looked at early where zstd may not be sent; a producer id, wherever there is room for one.
        is_fatal |= first.magic == MAGIC_V2
            && (first.size < PRODUCER_ID_END
                || version < PRODUCE_VERSION_ZSTD && first.attributes.compression().is_none());
    }
    if is_fatal { Err(ApiError::bare(ErrorCode::UnknownServerError)) } else { Ok(()) }
}

/// Whether this broker leaves, and may pass on what it has handed over: not what another broker has passed on to it, and not for a client that
/// has asked here who leads. That one needs a refusal to ask again, where others ask elsewhere once they are parted from.
fn may_pass_on<S: LogStore>(env: &Env<'_, '_, S>, request: &Request) -> bool {
    let is_broker = || request.context.client_id.as_deref().is_some_and(fetcher::is_client_id);
    leaves(env) && !env.has_named_leaders && !is_broker()
}

fn leaves<S: LogStore>(env: &Env<'_, '_, S>) -> bool {
    env.image().broker(env.config.node_id).is_some_and(|broker| broker.in_controlled_shutdown)
}

/// What becomes of one partition; the reasons in the order in which Kafka finds them.
fn decide<S: LogStore>(
    env: &Env<'_, '_, S>,
    request: &Request,
    (acks, may_pass_on): (i16, bool),
    (name, topic_id, index): (&Str, Uuid, i32),
    records: Records,
) -> Decided {
    let (image, config) = (env.image(), env.config);
    let found = match (request.version, may_pass_on) {
        (TOPIC_ID_VERSION.., false) => led_here_by_id(image, config, topic_id, index),
        (TOPIC_ID_VERSION.., true) => held_here_by_id(image, config, topic_id, index),
        (_, false) => led_here(image, config, name, index),
        (_, true) => held_here(image, config, name, index),
    };
    if let Err(error) = found
        && error != ErrorCode::NotLeaderOrFollower
    {
        return Err(error);
    }
    let Records::Bytes(records) = records else { return Err(ErrorCode::InvalidRecord) };
    check_format(&records, request.version)?;
    if !(-1..=1).contains(&acks) {
        return Err(ErrorCode::InvalidRequiredAcks);
    }
    let id = found?;
    let topic = env.image().topic_by_id(id.topic_id);
    if topic.is_some_and(|topic| is_internal(&topic.name))
        && request.context.client_id.as_deref() != Some(ADMIN_CLIENT)
    {
        return Err(ErrorCode::InvalidTopicException);
    }
    Ok((id, records))
}

/// One batch of format v2, in a codec that the version may carry.
fn check_format(records: &Bytes, version: i16) -> Result<(), ErrorCode> {
    let corrupt = |_| ErrorCode::CorruptMessage;
    let mut entries = entries(records);
    let first = entries.next().ok_or(ErrorCode::InvalidRecord)?.map_err(corrupt)?;
    if first.magic != MAGIC_V2 {
        return Err(ErrorCode::InvalidRecord);
    }
    if version < PRODUCE_VERSION_ZSTD && first.attributes.compression() == Some(CompressionType::Zstd) {
        return Err(ErrorCode::UnsupportedCompressionType);
    }
    match entries.next().transpose().map_err(corrupt)? {
        Some(_) => Err(ErrorCode::InvalidRecord),
        None => Ok(()),
    }
}

fn refuse(answer: &mut PartitionProduceResponse, error: ProduceError) {
    answer.error_code = error.code.code();
    answer.base_offset = error.appended.map_or(-1, |appended| appended.base_offset);
    answer.log_append_time_ms = error.appended.map_or(-1, |appended| appended.log_append_time);
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
    env: &Env<'_, '_, S>,
    request: &Request,
    mut join: Join,
    parts: Vec<(usize, Result<Produced, ProduceError>)>,
) -> Handled<S> {
    for (index, outcome) in parts {
        let Some(&(topic, place)) = join.places.get(index) else { continue };
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
    finish(env, request, join)
}

/// Tells clients who leads the partitions that this broker does not (KIP-951).
fn name_leaders<S: LogStore>(env: &Env<'_, '_, S>, request: &Request, response: &mut ProduceResponse) {
    let (mut leaders, leaves) = (CurrentLeaders::default(), leaves(env));
    for topic in &mut response.responses {
        let topic_id = match request.version {
            TOPIC_ID_VERSION.. => Some(topic.topic_id),
            _ => env.image().topic(&topic.name).map(|topic| topic.id),
        };
        for answer in &mut topic.partition_responses {
            let Some(topic_id) = topic_id else { continue };
            let leads = || {
                let registration = env.image().partition(topic_id, answer.index);
                registration.is_none_or(|it| it.leader == env.config.node_id)
            };
            // What was passed on was not led here: the next batch goes straight there.
            let is_passed_on = leaves && answer.error_code == ErrorCode::None.code() && !leads();
            if (answer.error_code == ErrorCode::NotLeaderOrFollower.code() || is_passed_on)
                && let Some((leader_id, leader_epoch)) = leaders.of(env.image(), topic_id, answer.index)
            {
                answer.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch };
            }
        }
    }
    response.node_endpoints = leaders
        .endpoints(env.image(), &request.context.listener)
        .map(|(node_id, host, port, rack)| NodeEndpoint { node_id, host, port, rack })
        .collect();
}

/// With acks=0 nobody listens: an error closes the connection so that the producer notices.
fn finish<S: LogStore>(env: &Env<'_, '_, S>, request: &Request, mut join: Join) -> Handled<S> {
    if join.acks != 0 {
        if request.version >= CURRENT_LEADER_VERSION {
            name_leaders(env, request, &mut join.response);
        }
        return Ok(Outcome::Reply(request.respond(&join.response, [])));
    }
    let failed = |answer: &&PartitionProduceResponse| answer.error_code != 0;
    let answers = join.response.responses.iter().flat_map(|topic| &topic.partition_responses);
    match answers.filter(failed).map(|answer| ErrorCode::from_code(answer.error_code)).next() {
        Some(error) => Err(format!("a Produce request with acks=0 failed with {error:?}")),
        None => Ok(Outcome::Silent),
    }
}
