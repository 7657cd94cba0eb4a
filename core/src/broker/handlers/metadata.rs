//! Metadata: brokers, topics and who leads what; creates topics on demand where that is configured.

use std::collections::BTreeSet;

use bytes::Bytes;
use ottla_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::Message;
use crate::broker::authorizer::{CLUSTER_OPERATIONS, TOPIC_OPERATIONS};
use crate::broker::cluster_view::{self, OFFSETS_TOPIC, is_internal};
use crate::broker::request::Request;
use crate::config::BrokerConfig;
use crate::controller::names;
use crate::controller::{ControllerEvent, ControllerRequest};
use crate::coordinator::Token;
use crate::log::LogStore;
use crate::metadata::{MetadataImage, Published, TopicImage};
use crate::time::Instant;

/// The number of a request whose answer nobody waits for.
const NOBODY: u64 = u64::MAX;

/// A request that waits to hear who leads instead of a broker that this node has lost sight of. A client that is told that the broker leads
/// tries it, and asks again up to a second later; the news takes a tenth of that.
#[derive(Clone, Debug)]
pub struct Join {
    /// What was asked, undecoded: it is asked again.
    pub asked: Bytes,
    /// It waits no longer.
    pub until: Instant,
}

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: MetadataRequest = request.decode(body.clone())?;
    let version = request.version;
    let all = match &asked.topics {
        None => true,
        Some(topics) => version == 0 && topics.is_empty(),
    };
    let mut missing: Vec<Str> = Vec::new();
    let topics = match asked.topics {
        _ if all => env.image().topics_by_name().map(|topic| describe(env.image(), topic, request)).collect(),
        None => Vec::new(),
        Some(topics) => {
            if let Some(error) = refusal(&topics, version) {
                return Ok(Outcome::Reply(request.respond(&refuse(topics, error, version), [])));
            }
            let by_id = topics.iter().any(|topic| topic.topic_id != Uuid::ZERO);
            // Beside ids, names are not looked at; what is named twice is described once.
            let mut seen: BTreeSet<(Uuid, Option<Str>)> = BTreeSet::new();
            let mut named = topics;
            named.retain(|topic| match by_id {
                true => topic.topic_id != Uuid::ZERO && seen.insert((topic.topic_id, None)),
                false => seen.insert((Uuid::ZERO, topic.name.clone())),
            });
            let mut answers = Vec::with_capacity(named.len());
            for topic in named {
                if by_id {
                    answers.push(match env.image().topic_by_id(topic.topic_id) {
                        Some(found) => describe(env.image(), found, request),
                        None => absent(None, topic.topic_id, ErrorCode::UnknownTopicId),
                    });
                    continue;
                }
                let name = topic.name.unwrap_or_default();
                answers.push(match env.image().topic(&name) {
                    Some(found) => describe(env.image(), found, request),
                    None => {
                        let error = if names::validate(&name).is_ok() {
                            missing.push(name.detached());
                            ErrorCode::UnknownTopicOrPartition
                        } else {
                            ErrorCode::InvalidTopicException
                        };
                        absent(Some(name), Uuid::ZERO, error)
                    }
                });
            }
            answers
        }
    };
    if let Some(until) = awaited(env.published, &topics).filter(|until| *until > env.cx.now.monotonic) {
        return Ok(Outcome::Wait(Box::new(Pending::Metadata(Join { asked: body, until }))));
    }
    let allowed = version < 4 || asked.allow_auto_topic_creation;
    if allowed && env.config.auto_create_topics_enable && !missing.is_empty() {
        auto_create(env, request, &missing);
    }
    let image = env.image();
    let brokers = image.unfenced_brokers().filter_map(|broker| {
        let (host, port) = cluster_view::endpoint(image, broker.id, &request.context.listener)?;
        Some(MetadataResponseBroker { node_id: broker.id, host, port, rack: broker.rack.clone() })
    });
    let response = MetadataResponse {
        brokers: brokers.collect(),
        cluster_id: Some(image.cluster_id.clone()),
        controller_id: cluster_view::controller_id(image),
        topics,
        cluster_authorized_operations: if asked.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..MetadataResponse::default()
    };
    let mut response = response;
    if asked.include_topic_authorized_operations {
        for topic in response.topics.iter_mut().filter(|topic| topic.error_code == 0) {
            topic.topic_authorized_operations = TOPIC_OPERATIONS;
        }
    }
    Ok(Outcome::Reply(request.respond(&response, [])))
}

/// Until when there may be news of what is described.
fn awaited(published: &Published, topics: &[MetadataResponseTopic]) -> Option<Instant> {
    let partitions = topics.iter().flat_map(|topic| &topic.partitions);
    let led = partitions.filter(|partition| partition.error_code == 0);
    led.filter_map(|partition| published.lost.get(&partition.leader_id)).max().copied()
}

/// Ids came with version 10 and count from version 12; somebody must be named.
fn refusal(topics: &[MetadataRequestTopic], version: i16) -> Option<ErrorCode> {
    let nobody = |topic: &MetadataRequestTopic| topic.name.is_none();
    let by_id = |topic: &MetadataRequestTopic| topic.topic_id != Uuid::ZERO;
    if version < 12 && topics.iter().any(|topic| nobody(topic) || by_id(topic)) {
        return Some(ErrorCode::InvalidRequest);
    }
    // Kafka falls over a name that is null.
    (topics.iter().any(nobody) && !topics.iter().any(by_id)).then_some(ErrorCode::UnknownServerError)
}

fn refuse(topics: Vec<MetadataRequestTopic>, error: ErrorCode, version: i16) -> MetadataResponse {
    let topics = topics.into_iter().map(|topic| MetadataResponseTopic {
        error_code: error.code(),
        name: Some(topic.name.unwrap_or_default()),
        topic_id: topic.topic_id,
        ..Default::default()
    });
    MetadataResponse {
        cluster_id: None,
        topics: topics.collect(),
        error_code: if version >= 13 { error.code() } else { 0 },
        ..MetadataResponse::default()
    }
}

fn describe(image: &MetadataImage, topic: &TopicImage, request: &Request) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().map(|(index, partition)| {
        let led = cluster_view::endpoint(image, partition.leader, &request.context.listener).is_some();
        let offline = cluster_view::offline_replicas(image, partition);
        MetadataResponsePartition {
            error_code: if led { 0 } else { ErrorCode::LeaderNotAvailable.code() },
            partition_index: *index,
            leader_id: partition.leader,
            leader_epoch: partition.leader_epoch,
            replica_nodes: partition.replicas.clone(),
            isr_nodes: partition.isr.clone(),
            offline_replicas: offline,
        }
    });
    MetadataResponseTopic {
        error_code: 0,
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: partitions.collect(),
        topic_authorized_operations: i32::MIN,
    }
}

fn absent(name: Option<Str>, topic_id: Uuid, error: ErrorCode) -> MetadataResponseTopic {
    let is_internal = name.as_deref().is_some_and(is_internal);
    MetadataResponseTopic { error_code: error.code(), name, topic_id, is_internal, ..Default::default() }
}

/// What the offsets topic is created with.
fn offsets_topic_configs(broker: &BrokerConfig) -> Vec<CreatableTopicConfig> {
    let config =
        |name: &str, value: String| CreatableTopicConfig { name: name.into(), value: Some(value.into()) };
    vec![
        config("cleanup.policy", "compact".into()),
        config("compression.type", "producer".into()),
        config("segment.bytes", broker.offsets_topic_segment_bytes.to_string()),
    ]
}

/// Asks the controller for topics that somebody needs; the client asks again.
pub fn auto_create<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, names: &[Str]) {
    let config = env.config;
    let topics = names.iter().map(|name| {
        let offsets = **name == *OFFSETS_TOPIC;
        CreatableTopic {
            name: name.clone(),
            num_partitions: if offsets { config.offsets_topic_num_partitions } else { -1 },
            replication_factor: if offsets { config.offsets_topic_replication_factor } else { -1 },
            configs: if offsets { offsets_topic_configs(config) } else { Vec::new() },
            ..CreatableTopic::default()
        }
    });
    let create = CreateTopicsRequest { topics: topics.collect(), timeout_ms: 30_000, ..Default::default() };
    env.cx.effects.tell(Message::Controller(ControllerEvent::Request {
        token: Token { connection: env.connection, request: NOBODY },
        context: request.context.clone(),
        version: 7,
        request: ControllerRequest::CreateTopics(create),
    }));
}

#[cfg(test)]
mod tests;
