//! DescribeTopicPartitions: partitions page by page (KIP-966).

use bytes::Bytes;
use ottla_protocol::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use ottla_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use ottla_protocol::{ErrorCode, Str};

use super::{Env, Handled, Outcome};
use crate::broker::authorizer::TOPIC_OPERATIONS;
use crate::broker::cluster_view::{self, is_internal};
use crate::broker::request::Request;
use crate::controller::names;
use crate::log::LogStore;
use crate::metadata::PartitionRegistration;

/// `max.request.partition.size.limit` bounds what a client may ask for.
pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: DescribeTopicPartitionsRequest = request.decode(body)?;
    if !is_valid(&asked) {
        return Ok(Outcome::Reply(request.respond(&refuse(&asked, ErrorCode::InvalidRequest), [])));
    }
    // Kafka falls over an empty name where it would tell what may be done with the topic.
    let from = asked.cursor.as_ref().map_or("", |cursor| &cursor.topic_name);
    if from.is_empty() && asked.topics.iter().any(|topic| topic.name.is_empty()) {
        let refused = refuse(&asked, ErrorCode::UnknownServerError);
        return Ok(Outcome::Reply(request.respond(&refused, [])));
    }
    let limit = asked.response_partition_limit.min(env.config.max_request_partition_size_limit);
    let cursor = asked.cursor.as_ref();
    let image = env.image();
    let fetch_all = asked.topics.is_empty();
    let mut names: Vec<Str> = if fetch_all {
        image.topics_by_name().map(|topic| topic.name.clone()).collect()
    } else {
        asked.topics.into_iter().map(|topic| topic.name).collect()
    };
    names.sort_unstable();
    names.dedup();
    names.retain(|name| cursor.is_none_or(|cursor| *name >= cursor.topic_name));
    // One partition at least.
    let mut left = usize::try_from(limit).unwrap_or(0).max(1);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names {
        if left == 0 {
            response.next_cursor = Some(Cursor { topic_name: name, partition_index: 0 });
            break;
        }
        let Some(topic) = image.topic(&name) else {
            let error = if names::validate(&name).is_ok() {
                ErrorCode::UnknownTopicOrPartition
            } else {
                ErrorCode::InvalidTopicException
            };
            response.topics.push(DescribeTopicPartitionsResponseTopic {
                error_code: error.code(),
                is_internal: is_internal(&name),
                name: Some(name),
                topic_authorized_operations: TOPIC_OPERATIONS,
                ..Default::default()
            });
            continue;
        };
        let first =
            cursor.filter(|cursor| cursor.topic_name == name).map_or(0, |cursor| cursor.partition_index);
        let mut wanted = topic.partitions.range(first..);
        let described = |index: i32, partition: &PartitionRegistration| {
            let led = cluster_view::endpoint(image, partition.leader, &request.context.listener).is_some();
            DescribeTopicPartitionsResponsePartition {
                error_code: if led { 0 } else { ErrorCode::LeaderNotAvailable.code() },
                partition_index: index,
                leader_id: partition.leader,
                leader_epoch: partition.leader_epoch,
                replica_nodes: partition.replicas.clone(),
                isr_nodes: partition.isr.clone(),
                eligible_leader_replicas: Some(partition.elr.clone()),
                last_known_elr: Some(partition.last_known_elr.clone()),
                offline_replicas: cluster_view::offline_replicas(image, partition),
            }
        };
        let partitions: Vec<_> =
            wanted.by_ref().take(left).map(|(index, partition)| described(*index, partition)).collect();
        left -= partitions.len();
        response.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: 0,
            name: Some(name.clone()),
            topic_id: topic.id,
            is_internal: is_internal(&name),
            partitions,
            topic_authorized_operations: TOPIC_OPERATIONS,
        });
        if let Some((index, _)) = wanted.next() {
            response.next_cursor = Some(Cursor { topic_name: name, partition_index: *index });
            break;
        }
    }
    Ok(Outcome::Reply(request.respond(&response, [])))
}

/// A cursor stands at a partition of a topic that is asked for.
fn is_valid(asked: &DescribeTopicPartitionsRequest) -> bool {
    asked.cursor.as_ref().is_none_or(|cursor| {
        let named = asked.topics.iter().any(|topic| topic.name == cursor.topic_name);
        cursor.partition_index >= 0 && (named || asked.topics.is_empty())
    })
}

fn refuse(asked: &DescribeTopicPartitionsRequest, error: ErrorCode) -> DescribeTopicPartitionsResponse {
    let topics = asked.topics.iter().map(|topic| DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        name: Some(topic.name.clone()),
        ..Default::default()
    });
    DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() }
}
