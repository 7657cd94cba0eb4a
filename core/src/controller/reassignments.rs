//! AlterPartitionReassignments and ListPartitionReassignments (KIP-455, KIP-860).
//!
//! A partition that moves has its new replicas first and those on their way out at the end of its list, all of them at work. Once the new
//! ones are in sync the old ones go: with the change of the ISR that makes it so, see [`PartitionChange`].

use std::collections::BTreeSet;

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
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::{ErrorCode, Str};

use super::cluster::{Candidates, Cluster};
use super::partition_change::{Election, PartitionChange};
use super::{ApiError, placement};
use crate::metadata::{MetadataImage, PartitionRegistration};
use crate::tree::IntoTree as _;

/// Decides about assignments of replicas.
pub fn alter_partition_reassignments(
    cluster: Cluster<'_>,
    request: &AlterPartitionReassignmentsRequest,
) -> (Vec<MetadataRecord>, AlterPartitionReassignmentsResponse) {
    let mut records = Vec::new();
    let mut responses = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let allow_change = request.allow_replication_factor_change;
            let outcome = reassign(cluster, &topic.name, partition, allow_change);
            let (error_code, error_message) = ApiError::split(outcome.map(|record| records.extend(record)));
            let partition_index = partition.partition_index;
            partitions.push(ReassignablePartitionResponse { partition_index, error_code, error_message });
        }
        responses.push(ReassignableTopicResponse { name: topic.name.clone(), partitions });
    }
    let response = AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses,
        // Kafka's answer to a request for nothing is that of the protocol's defaults.
        error_message: request.topics.is_empty().then(Str::default),
        ..AlterPartitionReassignmentsResponse::default()
    };
    (records, response)
}

fn reassign(
    cluster: Cluster<'_>,
    name: &Str,
    asked: &ReassignablePartition,
    allow_change: bool,
) -> Result<Option<MetadataRecord>, ApiError> {
    let unknown = |sentence: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, sentence);
    let index = asked.partition_index;
    let topic =
        cluster.image.topic(name).ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let partition = topic
        .partitions
        .get(&index)
        .ok_or_else(|| unknown(format!("Unable to find partition {name}:{index}.")))?;
    let rules = cluster.rules(topic);
    let mut change = PartitionChange::new(cluster, rules, partition, Candidates::new(cluster.image));
    match &asked.replicas {
        None => {
            let is_unclean = cancel(&mut change, partition)?;
            if is_unclean && !rules.allows_unclean_election {
                let sentence = format!(
                    "Unable to revert partition assignment for {name}:{index} because it would require an unclean leader \
                     election."
                );
                return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, sentence));
            }
            if rules.allows_unclean_election {
                change.election = Election::Unclean;
            }
        }
        Some(replicas) => {
            placement::validate_manual(cluster.image, replicas, None)?;
            if !allow_change {
                check_replication_factor(partition, replicas.len())?;
            }
            move_to(&mut change, partition, replicas);
        }
    }
    Ok(change.build(topic.id, index).map(MetadataRecord::from))
}

/// Those that are new are added, those that are not wanted any more removed. What the request leaves as it is may still be on its way.
fn move_to(change: &mut PartitionChange<'_>, partition: &PartitionRegistration, target: &[i32]) {
    let difference = |one: &[i32], other: &[i32]| -> Vec<i32> {
        let sorted: BTreeSet<i32> = one.iter().copied().filter(|replica| !other.contains(replica)).into_set();
        sorted.into_iter().collect()
    };
    let removing = difference(&partition.replicas, target);
    let adding = difference(target, &partition.replicas);
    change.replicas = target.iter().chain(&removing).copied().collect();
    if !removing.is_empty() {
        change.removing = removing;
    }
    if !adding.is_empty() {
        change.adding = adding;
    }
}

/// Takes back what was added and keeps what was to go. When nobody is in sync but those that were added, another has to lead that
/// may lack records: whether that is so.
fn cancel(change: &mut PartitionChange<'_>, partition: &PartitionRegistration) -> Result<bool, ApiError> {
    if !partition.is_reassigning() {
        return Err(ApiError::bare(ErrorCode::NoReassignmentInProgress));
    }
    let was_there = |replica: &i32| !partition.adding_replicas.contains(replica);
    change.replicas.retain(was_there);
    change.isr.retain(was_there);
    change.removing.clear();
    change.adding.clear();
    if !change.isr.is_empty() {
        return Ok(false);
    }
    let sentence = "Invalid replica assignment: addingReplicas contains all replicas.";
    let first = change.replicas.first();
    let first = first.ok_or_else(|| ApiError::new(ErrorCode::InvalidReplicaAssignment, sentence))?;
    change.isr = vec![*first];
    Ok(true)
}

/// The number that counts while replicas move is the one after the move.
fn check_replication_factor(partition: &PartitionRegistration, asked: usize) -> Result<(), ApiError> {
    let all: BTreeSet<i32> = partition.replicas.iter().chain(&partition.adding_replicas).copied().into_set();
    let before = all.iter().filter(|replica| !partition.removing_replicas.contains(replica)).count();
    if before == asked {
        return Ok(());
    }
    let sentence = format!("The replication factor is changed from {before} to {asked}");
    Err(ApiError::new(ErrorCode::InvalidReplicationFactor, sentence))
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
