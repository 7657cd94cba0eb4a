//! ElectLeaders (KIP-460).

use ottla_protocol::messages::elect_leaders_request::ElectLeadersRequest;
use ottla_protocol::messages::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::PartitionChangeRecord;
use ottla_protocol::{ErrorCode, Str};

use super::ApiError;
use crate::metadata::topics::NO_LEADER;
use crate::metadata::{BrokerRegistration, MetadataImage, TopicImage};

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

/// Decides which partitions get another leader. Without partitions, all of them are asked for, and those that need none are
/// not mentioned.
pub fn elect_leaders(
    image: &MetadataImage,
    request: &ElectLeadersRequest,
) -> (Vec<MetadataRecord>, ElectLeadersResponse) {
    let all = request.topic_partitions.is_none();
    let asked: Vec<(Str, Vec<i32>)> = match &request.topic_partitions {
        Some(topics) => topics.iter().map(|topic| (topic.topic.clone(), topic.partitions.clone())).collect(),
        None => image
            .topics_by_name()
            .map(|topic| (topic.name.clone(), topic.partitions.keys().copied().collect()))
            .collect(),
    };
    let is_known = matches!(request.election_type, PREFERRED | UNCLEAN);
    let mut records = Vec::new();
    let mut results = Vec::new();
    for (name, partitions) in asked {
        let mut partition_result = Vec::new();
        for partition_id in partitions {
            let outcome = if is_known {
                elect(image, &name, partition_id, request.election_type)
                    .map(|record| records.push(record.into()))
            } else {
                let sentence = format!("Unknown election type {}", request.election_type);
                Err(ApiError::new(ErrorCode::InvalidRequest, sentence))
            };
            if all && outcome.as_ref().is_err_and(|error| error.code == ErrorCode::ElectionNotNeeded) {
                continue;
            }
            let (error_code, error_message) = ApiError::split(outcome);
            partition_result.push(PartitionResult { partition_id, error_code, error_message });
        }
        results.push(ReplicaElectionResult { topic: name, partition_result });
    }
    let error_code = if is_known { 0 } else { ErrorCode::InvalidRequest.code() };
    (records, ElectLeadersResponse { throttle_time_ms: 0, error_code, replica_election_results: results })
}

fn elect(
    image: &MetadataImage,
    name: &str,
    partition_id: i32,
    election_type: i8,
) -> Result<PartitionChangeRecord, ApiError> {
    let unknown = |sentence: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, sentence);
    let topic: &TopicImage = image.topic(name).ok_or_else(|| unknown(format!("No such topic as {name}")))?;
    let partition = topic
        .partitions
        .get(&partition_id)
        .ok_or_else(|| unknown(format!("No such partition as {name}-{partition_id}")))?;
    let not_needed = Err(ApiError::standard(ErrorCode::ElectionNotNeeded));
    let is_active = |id: &i32| image.broker(*id).is_some_and(BrokerRegistration::is_active);
    let change =
        PartitionChangeRecord { partition_id, topic_id: topic.id, ..PartitionChangeRecord::default() };
    if election_type == PREFERRED {
        if partition.has_preferred_leader() {
            return not_needed;
        }
        let preferred = partition.replicas.first().copied().unwrap_or(NO_LEADER);
        if !partition.isr.contains(&preferred) || !is_active(&preferred) {
            return Err(ApiError::standard(ErrorCode::PreferredLeaderNotAvailable));
        }
        return Ok(PartitionChangeRecord { leader: preferred, ..change });
    }
    if partition.leader != NO_LEADER {
        return not_needed;
    }
    let clean = partition.isr.iter().copied().find(is_active);
    if let Some(leader) = clean {
        return Ok(PartitionChangeRecord { leader, ..change });
    }
    match partition.replicas.iter().copied().find(is_active) {
        Some(leader) => {
            Ok(PartitionChangeRecord { leader, isr: Some(vec![leader]), leader_recovery_state: 1, ..change })
        }
        None => Err(ApiError::standard(ErrorCode::EligibleLeadersNotAvailable)),
    }
}
