//! One request, many partitions, several shards: who gets which part.

use ottla_protocol::{ErrorCode, Uuid};

use crate::config::BrokerConfig;
use crate::ids::{ShardId, TopicIdPartition};
use crate::metadata::MetadataImage;
use crate::small_map::SmallMap;

/// Parts by the shard that owns them.
#[derive(Clone, Debug)]
pub struct FanOut<P> {
    shards: u16,
    parts: SmallMap<ShardId, Vec<P>>,
}

impl<P> FanOut<P> {
    /// No parts yet.
    pub fn over(shards: u16) -> Self {
        Self { shards, parts: SmallMap::new() }
    }

    /// Adds a part for the owner of `partition`.
    pub fn add(&mut self, partition: TopicIdPartition, part: P) {
        self.parts.or_default(partition.shard(self.shards)).push(part);
    }

    /// How many shards are concerned.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The parts of each shard.
    pub fn into_parts(self) -> impl Iterator<Item = (ShardId, Vec<P>)> {
        self.parts.into_iter()
    }
}

/// The partition of this name, when this node leads it.
pub fn led_here(
    image: &MetadataImage,
    config: &BrokerConfig,
    topic: &str,
    partition: i32,
) -> Result<TopicIdPartition, ErrorCode> {
    let topic = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let registration = topic.partitions.get(&partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if registration.leader != config.node_id {
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    Ok(TopicIdPartition { topic_id: topic.id, partition })
}

/// The partition of this name, when this node has a replica of it.
pub fn held_here(
    image: &MetadataImage,
    config: &BrokerConfig,
    topic: &str,
    partition: i32,
) -> Result<TopicIdPartition, ErrorCode> {
    let topic = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let registration = topic.partitions.get(&partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if !registration.replicas.contains(&config.node_id) {
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    Ok(TopicIdPartition { topic_id: topic.id, partition })
}

/// As [`held_here`], by id.
pub fn held_here_by_id(
    image: &MetadataImage,
    config: &BrokerConfig,
    topic_id: Uuid,
    partition: i32,
) -> Result<TopicIdPartition, ErrorCode> {
    let topic = image.topic_by_id(topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    held_here(image, config, &topic.name, partition)
}

/// As [`led_here`], by id.
pub fn led_here_by_id(
    image: &MetadataImage,
    config: &BrokerConfig,
    topic_id: Uuid,
    partition: i32,
) -> Result<TopicIdPartition, ErrorCode> {
    let topic = image.topic_by_id(topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    led_here(image, config, &topic.name, partition)
}
