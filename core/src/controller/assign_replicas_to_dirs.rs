//! AssignReplicasToDirs (KIP-858): a broker says where its replicas are.

use std::collections::BTreeSet;

use ottla_protocol::messages::assign_replicas_to_dirs_request::AssignReplicasToDirsRequest;
use ottla_protocol::messages::assign_replicas_to_dirs_response::{
    AssignReplicasToDirsResponse, DirectoryData, PartitionData, TopicData,
};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::{ErrorCode, Uuid};

use super::cluster::{Candidates, Cluster};
use super::leadership::{self, Event};
use super::partition_change::PartitionChange;

/// Notes the directories. Replicas in one that is offline leave their ISRs.
pub fn assign_replicas_to_dirs(
    cluster: Cluster<'_>,
    request: &AssignReplicasToDirsRequest,
) -> (Vec<MetadataRecord>, AssignReplicasToDirsResponse) {
    let has_directories = cluster.image.features.metadata_version().has_directories();
    let broker = match cluster.registered(request.broker_id, request.broker_epoch) {
        Ok(broker) if has_directories => broker,
        refused => {
            let error = if has_directories { refused.err() } else { Some(ErrorCode::UnsupportedVersion) };
            let response = AssignReplicasToDirsResponse {
                error_code: error.map_or(0, ErrorCode::code),
                ..AssignReplicasToDirsResponse::default()
            };
            return (Vec::new(), response);
        }
    };
    let mut records = Vec::new();
    let mut offline = BTreeSet::new();
    let mut directories = Vec::with_capacity(request.directories.len());
    for directory in &request.directories {
        let is_online = broker.has_online_directory(directory.id);
        let mut topics = Vec::with_capacity(directory.topics.len());
        for topic in &directory.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let at = (topic.topic_id, partition.partition_index);
                let outcome = assign(cluster, broker.id, at, directory.id);
                let error_code = outcome.as_ref().err().map_or(0, |error| error.code());
                if let Ok(record) = outcome {
                    records.extend(record);
                    if !is_online {
                        offline.insert(at);
                    }
                }
                partitions.push(PartitionData { partition_index: partition.partition_index, error_code });
            }
            topics.push(TopicData { topic_id: topic.topic_id, partitions });
        }
        directories.push(DirectoryData { id: directory.id, topics });
    }
    if !offline.is_empty() {
        let is_offline = |topic_id, index, _: &_| offline.contains(&(topic_id, index));
        records.extend(leadership::reelect(cluster, Event::Goes(broker.id), is_offline));
    }
    (records, AssignReplicasToDirsResponse { throttle_time_ms: 0, error_code: 0, directories })
}

fn assign(
    cluster: Cluster<'_>,
    broker: i32,
    (topic_id, index): (Uuid, i32),
    directory: Uuid,
) -> Result<Option<MetadataRecord>, ErrorCode> {
    let topic = cluster.image.topic_by_id(topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    let partition = topic.partitions.get(&index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if !partition.replicas.contains(&broker) {
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    let candidates = Candidates::new(cluster.image);
    let mut change = PartitionChange::new(cluster, cluster.rules(topic), partition, candidates);
    change.directory = Some((broker, directory));
    Ok(change.build(topic_id, index).map(MetadataRecord::from))
}
