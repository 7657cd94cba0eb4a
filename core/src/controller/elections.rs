//! ElectLeaders (KIP-460), and the elections that nobody asks for.

use ottla_protocol::messages::elect_leaders_request::ElectLeadersRequest;
use ottla_protocol::messages::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::{ErrorCode, Str};

use super::ApiError;
use super::cluster::{Candidates, Cluster};
use super::partition_change::{Election, PartitionChange};
use crate::metadata::topics::NO_LEADER;
use crate::metadata::{PartitionRegistration, TopicImage};

/// Elections in one decision that nobody asked for; the next follows at once.
pub const ELECTIONS_MAX: usize = 1_000;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

/// Decides which partitions get another leader. Without partitions, all of them are asked for, and those that need none are
/// not mentioned.
pub fn elect_leaders(
    cluster: Cluster<'_>,
    request: &ElectLeadersRequest,
) -> (Vec<MetadataRecord>, ElectLeadersResponse) {
    let all = request.topic_partitions.is_none();
    let asked: Vec<(Str, Vec<i32>)> = match &request.topic_partitions {
        Some(topics) => topics.iter().map(|topic| (topic.topic.clone(), topic.partitions.clone())).collect(),
        None => cluster
            .image
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
                elect(cluster, &name, partition_id, request.election_type).map(|record| records.push(record))
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

/// The record that elects, or why none does.
fn elect(
    cluster: Cluster<'_>,
    name: &str,
    partition_id: i32,
    election_type: i8,
) -> Result<MetadataRecord, ApiError> {
    let unknown = |sentence: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, sentence);
    let topic = cluster.image.topic(name).ok_or_else(|| unknown(format!("No such topic as {name}")))?;
    let partition = topic
        .partitions
        .get(&partition_id)
        .ok_or_else(|| unknown(format!("No such partition as {name}-{partition_id}")))?;
    let (election, is_needed, unavailable) = match election_type {
        PREFERRED => {
            (Election::Preferred, !partition.has_preferred_leader(), ErrorCode::PreferredLeaderNotAvailable)
        }
        _ => (Election::Unclean, partition.leader == NO_LEADER, ErrorCode::EligibleLeadersNotAvailable),
    };
    if !is_needed {
        return Err(ApiError::standard(ErrorCode::ElectionNotNeeded));
    }
    let record = elected(cluster, topic, partition_id, partition, election);
    record.ok_or_else(|| ApiError::standard(unavailable))
}

fn elected(
    cluster: Cluster<'_>,
    topic: &TopicImage,
    partition_id: i32,
    partition: &PartitionRegistration,
    election: Election,
) -> Option<MetadataRecord> {
    let candidates = Candidates::new(cluster.image);
    let mut change = PartitionChange::new(cluster, cluster.rules(topic), partition, candidates);
    change.election = election;
    change.build(topic.id, partition_id).map(MetadataRecord::from)
}

/// Preferred replicas that are in sync take over from others, [`ELECTIONS_MAX`] at a time
/// (`auto.leader.rebalance.enable`).
pub fn rebalance(cluster: Cluster<'_>) -> Vec<MetadataRecord> {
    let imbalanced = partitions(cluster).filter(|(_, _, partition)| !partition.has_preferred_leader());
    imbalanced
        .filter_map(|(topic, index, partition)| {
            elected(cluster, topic, index, partition, Election::Preferred)
        })
        .take(ELECTIONS_MAX)
        .collect()
}

/// Partitions without a leader get any replica that is alive, [`ELECTIONS_MAX`] at a time, where their topic allows it
/// (`unclean.leader.election.enable`).
pub fn elect_uncleanly(cluster: Cluster<'_>) -> Vec<MetadataRecord> {
    partitions(cluster)
        .filter(|(_, _, partition)| partition.leader == NO_LEADER)
        .filter(|(topic, ..)| cluster.rules(topic).allows_unclean_election)
        .filter_map(|(topic, index, partition)| elected(cluster, topic, index, partition, Election::Unclean))
        .take(ELECTIONS_MAX)
        .collect()
}

fn partitions<'a>(
    cluster: Cluster<'a>,
) -> impl Iterator<Item = (&'a TopicImage, i32, &'a PartitionRegistration)> {
    let topics = cluster.image.topics.by_id.values();
    topics.flat_map(|topic| topic.partitions.iter().map(move |(index, one)| (topic, *index, one)))
}
