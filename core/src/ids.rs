//! Newtypes for the numbers that cross a boundary between machines.

use ottla_protocol::{Str, Uuid};
use serde::{Deserialize, Serialize};

/// `node.id` of a broker or controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub i32);

/// A client's connection, unique within one life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// What the broker itself asks under, where others ask by their connections.
    pub const BROKER: Self = Self(u64::MAX);
}

/// One of a node's shards: the owner of a part of its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// One of the directories in `log.dirs`, by position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogDirId(pub u16);

/// A partition by the name of its topic, as log directories and old protocol versions know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Str,
    /// The partition's index, from 0.
    pub partition: i32,
}

/// A partition by the id of its topic, which a deleted and recreated topic does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIdPartition {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's index, from 0.
    pub partition: i32,
}

impl TopicIdPartition {
    /// The shard that owns this partition among `shards` of them (FNV-1a over id and index).
    pub fn shard(&self, shards: u16) -> ShardId {
        let bytes = self.topic_id.0.iter().copied().chain(self.partition.to_le_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        ShardId(u16::try_from(hash % u64::from(shards.max(1))).unwrap_or(0))
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
