//! OffsetCommit: where a consumer is.

use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition};
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::records::group::OffsetCommitValue;
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::classic_group::ClassicGroupState;
use super::record::GroupRecord;
use super::request::{GroupResponse, refuse_commit};
use super::turn::Turn;
use super::{Cx, Decided, GroupCoordinator};
use crate::coordinator::Token;
use crate::ids::TopicPartition;
use crate::sim::mutation::Mutation;
use crate::time::Timestamp;
use crate::trace::TraceEvent;

/// From here on a group that does not exist is said not to, whatever its protocol (KIP-848).
const GROUP_ID_NOT_FOUND_VERSION: i16 = 9;

impl GroupCoordinator {
    pub(super) fn offset_commit(
        &mut self,
        cx: &Cx<'_>,
        token: Token,
        version: i16,
        request: &OffsetCommitRequest,
    ) -> Decided {
        let reply = |response| GroupResponse::OffsetCommit(response);
        if let Err(error) = self.validate_commit(cx, version, request) {
            return Decided::reply(token, reply(refuse_commit(request, error)));
        }
        let expire_timestamp = match request.retention_time_ms {
            -1 => -1,
            retention_ms => cx.now.wall.saturating_add(retention_ms),
        };
        let metadata_max = usize::try_from(self.config.offset_metadata_max_bytes).unwrap_or(0);
        let group = request.group_id.detached();
        let mut records = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let name = topic.name.detached();
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let metadata = partition.committed_metadata.as_ref();
                // Java's length, in UTF-16 units.
                let too_large = metadata.is_some_and(|text| text.encode_utf16().count() > metadata_max);
                let error = if too_large { ErrorCode::OffsetMetadataTooLarge } else { ErrorCode::None };
                if !too_large {
                    let mut value = commit_value(partition, topic.topic_id, cx.now.wall, expire_timestamp);
                    if self.config.planted.is(Mutation::CommitOneTooHigh) {
                        value.offset = value.offset.saturating_add(1);
                    }
                    records.push(GroupRecord::offset_commit(&group, &name, partition.partition_index, value));
                    self.traces.push(TraceEvent::OffsetCommitted {
                        group: group.clone(),
                        partition: TopicPartition {
                            topic: name.clone(),
                            partition: partition.partition_index,
                        },
                        offset: partition.committed_offset,
                    });
                }
                partitions.push(OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: error.code(),
                });
            }
            topics.push(OffsetCommitResponseTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions,
            });
        }
        let response = OffsetCommitResponse { topics, ..OffsetCommitResponse::default() };
        Decided::write(records, token, reply(response))
    }

    fn validate_commit(
        &mut self,
        cx: &Cx<'_>,
        version: i16,
        request: &OffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        if cx.tip.is_other_group(&request.group_id) {
            // Members of those groups commit through protocols that are not built.
            return Err(ErrorCode::GroupIdNotFound);
        }
        match self.turn(cx.tip, cx.now, &request.group_id) {
            Some(mut turn) => turn.validate_commit(request),
            // A consumer without a group, or an administrator: the commit makes a simple group.
            None if request.generation_id_or_member_epoch < 0 => Ok(()),
            None if version >= GROUP_ID_NOT_FOUND_VERSION => Err(ErrorCode::GroupIdNotFound),
            None => Err(ErrorCode::IllegalGeneration),
        }
    }
}

impl Turn<'_> {
    /// Members commit in their generation, anybody into an empty group. A commit keeps the member's session alive.
    fn validate_commit(&mut self, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        let generation_id = request.generation_id_or_member_epoch;
        let empty = self.group.is(ClassicGroupState::Empty);
        if generation_id < 0 && empty {
            return Ok(());
        }
        if generation_id >= 0 || !request.member_id.is_empty() || request.group_instance_id.is_some() {
            self.group.validate_member(&request.member_id, request.group_instance_id.as_ref())?;
            if generation_id != self.group.generation_id {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if !empty {
            return Err(ErrorCode::UnknownMemberId);
        }
        match self.group.state() {
            // The member knows the generation, but its partitions are being given away.
            ClassicGroupState::CompletingRebalance => return Err(ErrorCode::RebalanceInProgress),
            ClassicGroupState::Stable | ClassicGroupState::PreparingRebalance => {
                self.extend_session(&request.member_id);
            }
            ClassicGroupState::Empty | ClassicGroupState::Dead => {}
        }
        Ok(())
    }
}

fn commit_value(
    partition: &OffsetCommitRequestPartition,
    topic_id: Uuid,
    now: Timestamp,
    expire_timestamp: Timestamp,
) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_ref().map(Str::detached).unwrap_or_default(),
        commit_timestamp: now,
        expire_timestamp,
        topic_id,
    }
}
