//! AlterPartition (KIP-497, KIP-841, KIP-903): a leader changes its ISR.

use std::collections::BTreeSet;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_request::{AlterPartitionRequest, PartitionData as Asked};
use ottla_protocol::messages::alter_partition_response::{AlterPartitionResponse, PartitionData, TopicData};
use ottla_protocol::records::MetadataRecord;

use super::cluster::{Candidates, Cluster};
use super::partition_change::{Election, PartitionChange, RECOVERED, RECOVERING};
use crate::metadata::topics::NO_LEADER_CHANGE;
use crate::metadata::{MetadataImage, PartitionRegistration, TopicImage};

/// Decides about the ISRs that a leader asks for. One that completes a reassignment may cost it the lead: then the change
/// is written, and the leader told that there is another.
pub fn alter_partition(
    cluster: Cluster<'_>,
    request: &AlterPartitionRequest,
) -> (Vec<MetadataRecord>, AlterPartitionResponse) {
    if let Err(error) = cluster.registered(request.broker_id, request.broker_epoch) {
        let response =
            AlterPartitionResponse { error_code: error.code(), ..AlterPartitionResponse::default() };
        return (Vec::new(), response);
    }
    let mut records = Vec::new();
    let topics = request.topics.iter().map(|asked| {
        let topic = cluster.image.topic_by_id(asked.topic_id);
        let partitions = asked.partitions.iter().map(|asked| {
            let outcome = match topic {
                Some(topic) => alter(cluster, request.broker_id, topic, asked, &mut records),
                None => Err(ErrorCode::UnknownTopicId),
            };
            let partition_index = asked.partition_index;
            match outcome {
                Ok(partition) => PartitionData {
                    partition_index,
                    error_code: 0,
                    leader_id: partition.leader,
                    leader_epoch: partition.leader_epoch,
                    isr: partition.isr,
                    leader_recovery_state: partition.leader_recovery_state,
                    partition_epoch: partition.partition_epoch,
                },
                Err(error) => {
                    PartitionData { partition_index, error_code: error.code(), ..PartitionData::default() }
                }
            }
        });
        TopicData { topic_id: asked.topic_id, partitions: partitions.collect() }
    });
    let topics = topics.collect();
    (records, AlterPartitionResponse { throttle_time_ms: 0, error_code: 0, topics })
}

/// The partition as it is after the change, which may be none.
fn alter(
    cluster: Cluster<'_>,
    leader: i32,
    topic: &TopicImage,
    asked: &Asked,
    records: &mut Vec<MetadataRecord>,
) -> Result<PartitionRegistration, ErrorCode> {
    let partition = topic.partitions.get(&asked.partition_index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let isr = isr_with_epochs(asked);
    check(cluster.image, leader, partition, asked, &isr)?;
    let rules = cluster.rules(topic);
    let mut change = PartitionChange::new(cluster, rules, partition, Candidates::new(cluster.image));
    change.isr = isr.iter().map(|(broker, _)| *broker).collect();
    change.leader_recovery_state = asked.leader_recovery_state;
    if rules.allows_unclean_election {
        change.election = Election::Unclean;
    }
    let Some(record) = change.build(topic.id, asked.partition_index) else { return Ok(partition.clone()) };
    let altered = partition.merge(&record);
    let has_other_leader = record.leader != NO_LEADER_CHANGE && record.leader != leader;
    records.push(record.into());
    if has_other_leader { Err(ErrorCode::NewLeaderElected) } else { Ok(altered) }
}

/// Members with the epochs of the lives that the leader has in mind; −1 where the version of the request has none.
fn isr_with_epochs(asked: &Asked) -> Vec<(i32, i64)> {
    let with = asked.new_isr_with_epochs.iter().map(|member| (member.broker_id, member.broker_epoch));
    asked.new_isr.iter().map(|broker| (*broker, -1)).chain(with).collect()
}

fn check(
    image: &MetadataImage,
    leader: i32,
    partition: &PartitionRegistration,
    asked: &Asked,
    isr: &[(i32, i64)],
) -> Result<(), ErrorCode> {
    // A leader that knows more than this controller has heard of a newer one.
    if asked.leader_epoch > partition.leader_epoch || asked.partition_epoch > partition.partition_epoch {
        return Err(ErrorCode::NotController);
    }
    if asked.leader_epoch < partition.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if leader != partition.leader {
        return Err(ErrorCode::InvalidRequest);
    }
    if asked.partition_epoch < partition.partition_epoch {
        return Err(ErrorCode::InvalidUpdateVersion);
    }
    let mut members = BTreeSet::new();
    let are_replicas =
        isr.iter().all(|(broker, _)| partition.replicas.contains(broker) && members.insert(*broker));
    let is_possible = match (asked.leader_recovery_state, partition.leader_recovery_state) {
        (RECOVERED, _) => true,
        // Whoever is recovering has nobody beside it.
        (RECOVERING, RECOVERING) => isr.len() <= 1,
        _ => false,
    };
    if !are_replicas || !members.contains(&leader) || !is_possible {
        return Err(ErrorCode::InvalidRequest);
    }
    let is_eligible = |(broker, epoch): &(i32, i64)| {
        let registered = image.broker(*broker).filter(|broker| broker.is_active());
        registered.is_some_and(|broker| *epoch == -1 || *epoch == broker.epoch)
    };
    if isr.iter().all(is_eligible) { Ok(()) } else { Err(ErrorCode::IneligibleReplica) }
}
