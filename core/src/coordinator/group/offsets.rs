//! Committed offsets: group → topic → partition.

use ottla_protocol::records::group::OffsetCommitValue;
use ottla_protocol::{Str, Uuid};
use rpds::RedBlackTreeMapSync;

use crate::time::Timestamp;

/// A committed offset and what was said with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The next record to read.
    pub committed_offset: i64,
    /// Epoch of the leader that the last read record came from; −1 when not known.
    pub leader_epoch: i32,
    /// The client's own words.
    pub metadata: Str,
    /// When it was committed, in ms.
    pub commit_timestamp: Timestamp,
    /// When it expires, by the client's wish; −1: by the broker's retention.
    pub expire_timestamp: Timestamp,
    /// Zero when the client did not say.
    pub topic_id: Uuid,
    /// Where the commit stands in `__consumer_offsets`.
    pub record_offset: i64,
}

impl OffsetAndMetadata {
    /// The offset that a record at `record_offset` speaks of.
    pub fn from_record(value: &OffsetCommitValue, record_offset: i64) -> Self {
        Self {
            committed_offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.clone(),
            commit_timestamp: value.commit_timestamp,
            expire_timestamp: value.expire_timestamp,
            topic_id: value.topic_id,
            record_offset,
        }
    }

    /// Whether it was committed for another topic of the same name. Ids that are not known match.
    pub fn is_of_other_topic(&self, topic_id: &Uuid) -> bool {
        *topic_id != Uuid::ZERO && self.topic_id != Uuid::ZERO && self.topic_id != *topic_id
    }
}

/// Offsets by partition.
pub type PartitionOffsets = RedBlackTreeMapSync<i32, OffsetAndMetadata>;
/// Offsets by topic.
pub type TopicOffsets = RedBlackTreeMapSync<Str, PartitionOffsets>;

/// Offsets by group; cloning is O(1), a commit O(log n).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets(RedBlackTreeMapSync<Str, TopicOffsets>);

impl Offsets {
    /// The offsets of one group.
    pub fn of_group(&self, group: &str) -> Option<&TopicOffsets> {
        self.0.get(group)
    }

    /// One offset.
    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&OffsetAndMetadata> {
        self.0.get(group)?.get(topic)?.get(&partition)
    }

    /// Sets one offset.
    pub fn insert(&mut self, group: &Str, topic: &Str, partition: i32, offset: OffsetAndMetadata) {
        let mut topics = self.0.get(&**group).cloned().unwrap_or_default();
        let mut partitions = topics.get(&**topic).cloned().unwrap_or_default();
        partitions.insert_mut(partition, offset);
        topics.insert_mut(topic.clone(), partitions);
        self.0.insert_mut(group.clone(), topics);
    }

    /// Removes one offset; true when it was there.
    pub fn remove(&mut self, group: &str, topic: &str, partition: i32) -> bool {
        let Some(mut topics) = self.0.get(group).cloned() else { return false };
        let Some(mut partitions) = topics.get(topic).cloned() else { return false };
        if !partitions.remove_mut(&partition) {
            return false;
        }
        // `group` and `topic` are borrowed text; the maps keep their own keys.
        if partitions.is_empty() {
            topics.remove_mut(topic);
        } else {
            topics.insert_mut(Str::from(topic), partitions);
        }
        if topics.is_empty() {
            self.0.remove_mut(group);
        } else {
            self.0.insert_mut(Str::from(group), topics);
        }
        true
    }

    /// All groups, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Str, &TopicOffsets)> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Every partition of a group's offsets, in order.
pub fn partitions(topics: &TopicOffsets) -> impl Iterator<Item = (&Str, i32, &OffsetAndMetadata)> {
    topics.iter().flat_map(|(topic, partitions)| {
        partitions.iter().map(move |(partition, offset)| (topic, *partition, offset))
    })
}
