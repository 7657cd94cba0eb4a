//! CreatePartitions.

use std::collections::BTreeSet;

use ottla_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_protocol::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::{ErrorCode, Str};

use super::create_topics::PARTITIONS_PER_REQUEST_MAX;
use super::mutation_quotas::MutationQuota;
use super::{ApiError, placement};
use crate::metadata::{MetadataImage, PartitionRegistration};
use crate::rng::Rng;
use crate::tree::IntoTree as _;

/// Decides which topics grow, and what is written.
pub fn create_partitions(
    image: &MetadataImage,
    rng: &mut Rng,
    quota: &mut MutationQuota<'_>,
    request: &CreatePartitionsRequest,
) -> (Vec<MetadataRecord>, CreatePartitionsResponse) {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&Str> =
        request.topics.iter().map(|topic| &topic.name).filter(|name| !seen.insert(*name)).into_set();
    let mut records = Vec::new();
    let mut results: Vec<CreatePartitionsTopicResult> = twice
        .iter()
        .map(|name| result(name, Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))))
        .collect();
    for topic in request.topics.iter().filter(|topic| !twice.contains(&topic.name)) {
        let outcome = grow(image, rng, quota, topic).map(|mut written| records.append(&mut written));
        results.push(result(&topic.name, outcome));
    }
    if request.validate_only {
        records.clear();
    }
    (records, CreatePartitionsResponse { throttle_time_ms: quota.throttle_time_ms(), results })
}

fn result(name: &Str, outcome: Result<(), ApiError>) -> CreatePartitionsTopicResult {
    let (error_code, error_message) = ApiError::split(outcome);
    CreatePartitionsTopicResult { name: name.clone(), error_code, error_message }
}

fn grow(
    image: &MetadataImage,
    rng: &mut Rng,
    quota: &mut MutationQuota<'_>,
    request: &CreatePartitionsTopic,
) -> Result<Vec<MetadataRecord>, ApiError> {
    let Some(topic) = image.topic(&request.name) else {
        return Err(ApiError::bare(ErrorCode::UnknownTopicOrPartition));
    };
    let present = i32::try_from(topic.partitions.size()).unwrap_or(i32::MAX);
    let invalid = |sentence: String| Err(ApiError::new(ErrorCode::InvalidPartitions, sentence));
    if request.count == present {
        return invalid(format!("Topic already has {present} partition(s)."));
    }
    if request.count < present {
        return invalid(format!(
            "The topic {} currently has {present} partition(s); {} would not be an increase.",
            topic.name, request.count
        ));
    }
    let additional = request.count.saturating_sub(present);
    if i64::from(additional) > PARTITIONS_PER_REQUEST_MAX {
        return Err(ApiError::bare(ErrorCode::UnknownServerError));
    }
    if let Some(assignments) = &request.assignments
        && i32::try_from(assignments.len()) != Ok(additional)
    {
        return Err(ApiError::new(
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            ),
        ));
    }
    quota.take(usize::try_from(additional).unwrap_or(0))?;
    let replication_factor = topic.partitions.get(&0).map_or(1, |partition| partition.replicas.len());
    let partitions: Vec<PartitionRegistration> = match &request.assignments {
        None => {
            let replication_factor = i16::try_from(replication_factor).unwrap_or(i16::MAX);
            placement::place(image, rng, present, additional, replication_factor)?
        }
        Some(assignments) => {
            let assigned = (present..).zip(assignments).map(|(index, assignment)| {
                placement::assigned_partition(image, index, &assignment.broker_ids, Some(replication_factor))
            });
            assigned.collect::<Result<_, _>>()?
        }
    };
    let version = image.features.metadata_version();
    let indexed = (present..).zip(partitions);
    Ok(indexed.map(|(index, partition)| partition.to_record(topic.id, index, version).into()).collect())
}
