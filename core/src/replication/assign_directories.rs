//! AssignReplicasToDirs: which directories a broker's replicas are in, brought to the controller (KIP-858).

use std::collections::BTreeMap;

use ottla_protocol::messages::assign_replicas_to_dirs_request::{
    AssignReplicasToDirsRequest, DirectoryData, PartitionData, TopicData,
};
use ottla_protocol::messages::assign_replicas_to_dirs_response::AssignReplicasToDirsResponse;
use ottla_protocol::{ErrorCode, Uuid};

use crate::ids::TopicIdPartition;
use crate::metadata::MetadataImage;
use crate::metadata::topics::NO_LEADER;

/// Replicas in one request at most, as in Apache Kafka: the answer is one write of the controller.
const REPLICAS_MAX: usize = 2_250;

/// Where replicas of all shards are, of which one request at a time goes to the controller.
#[derive(Clone, Debug, Default)]
pub struct DirectoryAssignments {
    waiting: BTreeMap<TopicIdPartition, Uuid>,
    in_flight: BTreeMap<TopicIdPartition, Uuid>,
}

impl DirectoryAssignments {
    /// A replica is in this directory; what was to be said of it before is out of date.
    pub fn add(&mut self, partition: TopicIdPartition, directory: Uuid) {
        self.waiting.insert(partition, directory);
    }

    /// Whether something waits, and may be sent.
    pub fn is_due(&self) -> bool {
        self.in_flight.is_empty() && !self.waiting.is_empty()
    }

    /// What waits and is news to the metadata, as a request; `None` while one is on its way.
    pub fn next_request(
        &mut self,
        image: &MetadataImage,
        broker_id: i32,
        broker_epoch: i64,
    ) -> Option<AssignReplicasToDirsRequest> {
        if !self.in_flight.is_empty() {
            return None;
        }
        self.waiting.retain(|id, directory| {
            let known = image.partition(id.topic_id, id.partition);
            known.is_some_and(|known| {
                let is_said = known.directory(broker_id) == Some(*directory) && known.leader != NO_LEADER;
                known.replicas.contains(&broker_id) && !is_said
            })
        });
        while self.in_flight.len() < REPLICAS_MAX
            && let Some((id, directory)) = self.waiting.pop_first()
        {
            self.in_flight.insert(id, directory);
        }
        let mut directories: BTreeMap<Uuid, Vec<TopicData>> = BTreeMap::new();
        for (id, directory) in &self.in_flight {
            let topics = directories.entry(*directory).or_default();
            let partition = PartitionData { partition_index: id.partition };
            match topics.last_mut() {
                Some(last) if last.topic_id == id.topic_id => last.partitions.push(partition),
                _ => topics.push(TopicData { topic_id: id.topic_id, partitions: vec![partition] }),
            }
        }
        let directories: Vec<_> =
            directories.into_iter().map(|(id, topics)| DirectoryData { id, topics }).collect();
        (!directories.is_empty()).then_some(AssignReplicasToDirsRequest {
            broker_id,
            broker_epoch,
            directories,
        })
    }

    /// The controller's answer, or `None` when there is none. What it has not noted is said again.
    pub fn answered(&mut self, response: Option<&AssignReplicasToDirsResponse>) {
        let mut asked = std::mem::take(&mut self.in_flight);
        let settled = response.filter(|response| response.error_code == ErrorCode::None.code());
        let topics =
            settled.into_iter().flat_map(|response| &response.directories).flat_map(|one| &one.topics);
        for topic in topics {
            for partition in topic.partitions.iter().filter(|one| one.error_code == ErrorCode::None.code()) {
                asked.remove(&TopicIdPartition {
                    topic_id: topic.topic_id,
                    partition: partition.partition_index,
                });
            }
        }
        for (id, directory) in asked {
            self.waiting.entry(id).or_insert(directory);
        }
    }
}
