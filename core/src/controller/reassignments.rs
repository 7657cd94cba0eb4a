//! AlterPartitionReassignments and ListPartitionReassignments (KIP-455).
//!
//! A reassignment needs somebody to catch up. In a cluster of one broker every valid assignment is the present one, so that
//! nothing is ever under way; what would need another broker was refused because it is not registered.

use ottla_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition,
};
use ottla_protocol::messages::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use ottla_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use ottla_protocol::messages::list_partition_reassignments_response::{
    ListPartitionReassignmentsResponse, OngoingPartitionReassignment, OngoingTopicReassignment,
};
use ottla_protocol::{ErrorCode, Str};

use super::{ApiError, placement};
use crate::metadata::MetadataImage;

/// Decides about assignments of replicas.
pub fn alter_partition_reassignments(
    image: &MetadataImage,
    request: &AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let responses = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let allow_change = request.allow_replication_factor_change;
            let (error_code, error_message) =
                ApiError::split(reassign(image, &topic.name, partition, allow_change));
            ReassignablePartitionResponse {
                partition_index: partition.partition_index,
                error_code,
                error_message,
            }
        });
        ReassignableTopicResponse { name: topic.name.clone(), partitions: partitions.collect() }
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses: responses.collect(),
        // Kafka's answer to a request for nothing is that of the protocol's defaults.
        error_message: request.topics.is_empty().then(Str::default),
        ..AlterPartitionReassignmentsResponse::default()
    }
}

fn reassign(
    image: &MetadataImage,
    topic: &Str,
    asked: &ReassignablePartition,
    allow_change: bool,
) -> Result<(), ApiError> {
    let unknown = |sentence: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, sentence);
    let index = asked.partition_index;
    let found =
        image.topic(topic).ok_or_else(|| unknown(format!("Unable to find a topic named {topic}.")))?;
    let partition = found
        .partitions
        .get(&index)
        .ok_or_else(|| unknown(format!("Unable to find partition {topic}:{index}.")))?;
    let Some(replicas) = &asked.replicas else {
        return if partition.is_reassigning() {
            Err(not_built())
        } else {
            Err(ApiError::bare(ErrorCode::NoReassignmentInProgress))
        };
    };
    placement::validate_manual(image, replicas, None)?;
    if !allow_change && replicas.len() != partition.replicas.len() {
        return Err(ApiError::bare(ErrorCode::InvalidReplicationFactor));
    }
    if *replicas == partition.replicas && !partition.is_reassigning() { Ok(()) } else { Err(not_built()) }
}

fn not_built() -> ApiError {
    let sentence = "This build does not move replicas between brokers.";
    ApiError::new(ErrorCode::InvalidReplicaAssignment, sentence)
}

/// What is under way.
pub fn list_partition_reassignments(
    image: &MetadataImage,
    request: &ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let asked = |name: &Str, index: i32| match &request.topics {
        None => true,
        Some(topics) => {
            topics.iter().any(|topic| topic.name == *name && topic.partition_indexes.contains(&index))
        }
    };
    let topics = image.topics_by_name().filter_map(|topic| {
        let moving = topic
            .partitions
            .iter()
            .filter(|(index, one)| one.is_reassigning() && asked(&topic.name, **index));
        let partitions: Vec<_> = moving
            .map(|(index, partition)| OngoingPartitionReassignment {
                partition_index: *index,
                replicas: partition.replicas.clone(),
                adding_replicas: partition.adding_replicas.clone(),
                removing_replicas: partition.removing_replicas.clone(),
            })
            .collect();
        (!partitions.is_empty()).then(|| OngoingTopicReassignment { name: topic.name.clone(), partitions })
    });
    let topics = topics.collect();
    ListPartitionReassignmentsResponse { throttle_time_ms: 0, error_code: 0, error_message: None, topics }
}
