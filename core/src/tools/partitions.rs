//! Where partitions are, and their offsets.

use std::collections::BTreeMap;

use ottla_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_protocol::messages::{ListOffsetsResponse, MetadataResponse};
use ottla_protocol::{ErrorCode, Str};

use super::admin::Admin;
use crate::client::{Destination, Failure, Reply};
use crate::time::Instant;

/// A partition by its topic and its number.
pub type TopicPartition = (Str, i32);

/// ListOffsets' timestamp for the end of a partition.
pub const LATEST: i64 = -1;
/// And for its beginning.
pub const EARLIEST: i64 = -2;

/// Asks for topics, or for all there are.
pub fn ask_metadata(now: Instant, admin: &mut Admin, topics: Option<&mut dyn Iterator<Item = Str>>) {
    let named = |name: Str| MetadataRequestTopic { name: Some(name), ..Default::default() };
    let request = MetadataRequest {
        topics: topics.map(|topics| topics.map(named).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    admin.ask(now, &Destination::Any, (4, 13), request);
}

/// What is wrong with a topic or a partition, if anything is.
pub fn error_of(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

/// Partitions by their leaders.
pub type ByLeader = BTreeMap<i32, Vec<TopicPartition>>;

/// Those that are wanted; `None` while one of them has no leader.
pub fn by_leader(answer: &MetadataResponse, wanted: impl Fn(&Str, i32) -> bool) -> Option<ByLeader> {
    let mut leaders = ByLeader::new();
    for topic in &answer.topics {
        let Some(name) = topic.name.as_ref().map(Str::detached) else { continue };
        for partition in topic.partitions.iter().filter(|partition| wanted(&name, partition.partition_index))
        {
            if partition.leader_id < 0 {
                return None;
            }
            leaders.entry(partition.leader_id).or_default().push((name.clone(), partition.partition_index));
        }
    }
    Some(leaders)
}

/// Asks the leaders for the offsets of a timestamp.
pub fn ask_offsets(now: Instant, admin: &mut Admin, leaders: &ByLeader, timestamp: i64) {
    for (leader, partitions) in leaders {
        let mut topics: BTreeMap<&Str, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for (topic, partition_index) in partitions {
            let partition_index = *partition_index;
            let partition = ListOffsetsPartition { partition_index, timestamp, ..Default::default() };
            topics.entry(topic).or_default().push(partition);
        }
        let topics = topics.into_iter();
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: topics
                .map(|(name, partitions)| ListOffsetsTopic { name: name.clone(), partitions })
                .collect(),
            ..Default::default()
        };
        admin.ask(now, &Destination::Node(*leader), (1, 11), request);
    }
}

/// What the leaders answered, by partition.
pub fn offsets(replies: &[Reply]) -> Result<BTreeMap<TopicPartition, Result<i64, ErrorCode>>, Failure> {
    let mut offsets = BTreeMap::new();
    for reply in replies {
        let answer: ListOffsetsResponse = reply.decode()?;
        for topic in answer.topics {
            let name = topic.name.detached();
            for partition in topic.partitions {
                let offset = match error_of(partition.error_code) {
                    ErrorCode::None => Ok(partition.offset),
                    error => Err(error),
                };
                offsets.insert((name.clone(), partition.partition_index), offset);
            }
        }
    }
    Ok(offsets)
}
