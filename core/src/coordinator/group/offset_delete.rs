//! OffsetDelete and DeleteGroups: an administrator makes a group forget (KIP-496, KIP-229).

use ottla_protocol::messages::delete_groups_response::DeletableGroupResult;
use ottla_protocol::messages::offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestTopic};
use ottla_protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use ottla_protocol::{ErrorCode, Str};

use super::classic_group::ClassicGroupState;
use super::offsets;
use super::record::GroupRecord;
use super::request::GroupResponse;
use super::state::GroupState;
use super::{Cx, Decided, GroupCoordinator};
use crate::coordinator::Token;

impl GroupCoordinator {
    pub(super) fn offset_delete(&self, cx: &Cx<'_>, token: Token, request: &OffsetDeleteRequest) -> Decided {
        let refuse = |error: ErrorCode| {
            let response =
                OffsetDeleteResponse { error_code: error.code(), ..OffsetDeleteResponse::default() };
            Decided::reply(token, GroupResponse::OffsetDelete(response))
        };
        if request.group_id.is_empty() {
            return refuse(ErrorCode::InvalidGroupId);
        }
        let Some(group) = self.view(cx.tip, &request.group_id) else {
            return refuse(ErrorCode::GroupIdNotFound);
        };
        if !group.is(ClassicGroupState::Empty) && !group.uses_consumer_group_protocol() {
            // What the members read cannot be known.
            return refuse(ErrorCode::NonEmptyGroup);
        }
        let group_id = request.group_id.detached();
        let mut records = Vec::new();
        let topics = request.topics.iter().map(|topic| {
            let subscribed = group.is_subscribed_to_topic(&topic.name);
            if !subscribed {
                delete_topic(cx.tip, &group_id, topic, &mut records);
            }
            answer(topic, if subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None })
        });
        let response = OffsetDeleteResponse { topics: topics.collect(), ..OffsetDeleteResponse::default() };
        Decided::write(records, token, GroupResponse::OffsetDelete(response))
    }

    pub(super) fn delete_groups(&mut self, cx: &Cx<'_>, token: Token, groups: &[Str]) -> Decided {
        let mut records = Vec::new();
        let mut results = Vec::with_capacity(groups.len());
        for group_id in groups {
            let error = match self.view(cx.tip, group_id) {
                None => ErrorCode::GroupIdNotFound,
                Some(group) if !group.is(ClassicGroupState::Empty) => ErrorCode::NonEmptyGroup,
                Some(_) => ErrorCode::None,
            };
            if error == ErrorCode::None {
                let group_id = group_id.detached();
                delete_all_offsets(cx.tip, &group_id, &mut records);
                self.forget_group(&group_id);
                records.push(GroupRecord::GroupMetadata { group: group_id, value: None });
            }
            results.push(DeletableGroupResult { group_id: group_id.clone(), error_code: error.code() });
        }
        Decided::write(records, token, GroupResponse::DeleteGroups(results))
    }
}

fn delete_topic(
    state: &GroupState,
    group: &Str,
    topic: &OffsetDeleteRequestTopic,
    records: &mut Vec<GroupRecord>,
) {
    let name = topic.name.detached();
    for partition in &topic.partitions {
        let partition = partition.partition_index;
        if state.offsets().get(group, &name, partition).is_some()
            || state.has_pending_transactional_offset(group, &name, partition)
        {
            records.push(GroupRecord::offset_tombstone(group, &name, partition));
        }
    }
}

fn answer(topic: &OffsetDeleteRequestTopic, error: ErrorCode) -> OffsetDeleteResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetDeleteResponsePartition {
        partition_index: partition.partition_index,
        error_code: error.code(),
    });
    OffsetDeleteResponseTopic { name: topic.name.clone(), partitions: partitions.collect() }
}

/// A tombstone for every offset of the group, those in open transactions too.
fn delete_all_offsets(state: &GroupState, group: &Str, records: &mut Vec<GroupRecord>) {
    if let Some(topics) = state.offsets().of_group(group) {
        for (topic, partition, _) in offsets::partitions(topics) {
            records.push(GroupRecord::offset_tombstone(group, topic, partition));
        }
    }
    for pending in state.transactional_offsets() {
        let Some(topics) = pending.of_group(group) else { continue };
        for (topic, partition, _) in offsets::partitions(topics) {
            if state.offsets().get(group, topic, partition).is_none() {
                records.push(GroupRecord::offset_tombstone(group, topic, partition));
            }
        }
    }
}
