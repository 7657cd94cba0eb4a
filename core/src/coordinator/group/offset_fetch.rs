//! OffsetFetch: where the consumers of a group are.

use ottla_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use ottla_protocol::{ErrorCode, Str};

use super::offsets::OffsetAndMetadata;
use super::request::GroupResponse;
use super::state::GroupState;
use super::{Cx, Decided};
use crate::coordinator::Token;

/// From here on a request asks for several groups at once (KIP-709).
const GROUPS_VERSION: i16 = 8;
/// From here on an answer has an error of its own, beside its partitions'.
const TOP_LEVEL_ERROR_VERSION: i16 = 2;

/// The groups that a request of any version asks for.
pub fn groups_of(request: OffsetFetchRequest, version: i16) -> Vec<OffsetFetchRequestGroup> {
    if version >= GROUPS_VERSION {
        return request.groups;
    }
    let topics = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
                ..OffsetFetchRequestTopics::default()
            })
            .collect()
    });
    vec![OffsetFetchRequestGroup { group_id: request.group_id, topics, ..OffsetFetchRequestGroup::default() }]
}

/// The answer to a request of any version, from the answers for its groups in their order. `asked` is what
/// [`groups_of`] gave: before errors had a place of their own, every partition that was asked for carries them.
pub fn response_of(
    groups: Vec<OffsetFetchResponseGroup>,
    asked: &[OffsetFetchRequestGroup],
    version: i16,
) -> OffsetFetchResponse {
    if version >= GROUPS_VERSION {
        return OffsetFetchResponse { groups, ..OffsetFetchResponse::default() };
    }
    let Some(mut group) = groups.into_iter().next() else { return OffsetFetchResponse::default() };
    if version < TOP_LEVEL_ERROR_VERSION && group.error_code != ErrorCode::None.code() {
        let asked = asked.first().and_then(|group| group.topics.as_deref()).unwrap_or_default();
        group.topics = asked.iter().map(|topic| refused(topic, group.error_code)).collect();
    }
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetFetchResponsePartition {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: partition.metadata,
                error_code: partition.error_code,
            })
            .collect(),
    });
    OffsetFetchResponse {
        topics: topics.collect(),
        error_code: group.error_code,
        ..OffsetFetchResponse::default()
    }
}

/// Looks the offsets up: in what is committed, or (`require_stable`, KIP-447) in everything that is appended, for which the answer then waits.
pub(super) fn offset_fetch(
    cx: &Cx<'_>,
    token: Token,
    group: &OffsetFetchRequestGroup,
    require_stable: bool,
) -> Decided {
    let state = if require_stable { cx.tip } else { cx.committed };
    let topics = match &group.topics {
        Some(topics) => {
            topics.iter().map(|topic| fetch_topic(state, &group.group_id, topic, require_stable)).collect()
        }
        None => fetch_all(state, &group.group_id, require_stable),
    };
    let response = OffsetFetchResponseGroup {
        group_id: group.group_id.clone(),
        topics,
        ..OffsetFetchResponseGroup::default()
    };
    Decided::reply(token, GroupResponse::OffsetFetch(response))
}

fn fetch_topic(
    state: &GroupState,
    group: &Str,
    topic: &OffsetFetchRequestTopics,
    require_stable: bool,
) -> OffsetFetchResponseTopics {
    let exists = state.has_group(group) || state.is_other_group(group);
    let partitions = topic.partition_indexes.iter().map(|partition| {
        let offset = state.offsets().get(group, &topic.name, *partition);
        let offset = offset.filter(|offset| exists && !offset.is_of_other_topic(&topic.topic_id));
        let unstable =
            require_stable && state.has_pending_transactional_offset(group, &topic.name, *partition);
        fetched(*partition, offset, unstable)
    });
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
    }
}

fn fetch_all(state: &GroupState, group: &Str, require_stable: bool) -> Vec<OffsetFetchResponseTopics> {
    if !state.has_group(group) && !state.is_other_group(group) {
        return Vec::new();
    }
    let Some(topics) = state.offsets().of_group(group) else { return Vec::new() };
    topics
        .iter()
        .map(|(topic, partitions)| OffsetFetchResponseTopics {
            name: topic.clone(),
            partitions: partitions
                .iter()
                .map(|(partition, offset)| {
                    let unstable =
                        require_stable && state.has_pending_transactional_offset(group, topic, *partition);
                    fetched(*partition, Some(offset), unstable)
                })
                .collect(),
            ..OffsetFetchResponseTopics::default()
        })
        .collect()
}

fn fetched(
    partition: i32,
    offset: Option<&OffsetAndMetadata>,
    unstable: bool,
) -> OffsetFetchResponsePartitions {
    let nothing = OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Str::default()),
        ..OffsetFetchResponsePartitions::default()
    };
    match offset {
        _ if unstable => {
            OffsetFetchResponsePartitions { error_code: ErrorCode::UnstableOffsetCommit.code(), ..nothing }
        }
        None => nothing,
        Some(offset) => OffsetFetchResponsePartitions {
            committed_offset: offset.committed_offset,
            committed_leader_epoch: offset.leader_epoch,
            metadata: Some(offset.metadata.clone()),
            ..nothing
        },
    }
}

fn refused(topic: &OffsetFetchRequestTopics, error_code: i16) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.iter();
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions
            .map(|partition| OffsetFetchResponsePartitions { error_code, ..fetched(*partition, None, false) })
            .collect(),
    }
}
