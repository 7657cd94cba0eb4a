//! SyncGroup: the leader's assignment on its way to the members.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::messages::sync_group_request::SyncGroupRequest;
use ottla_protocol::messages::sync_group_response::SyncGroupResponse;
use ottla_protocol::{ErrorCode, Str};

use super::classic_group::{ClassicGroup, ClassicGroupState};
use super::member::Waiting;
use super::request::GroupResponse;
use super::turn::Turn;
use super::{Cx, Decided, GroupCoordinator, Undo};
use crate::coordinator::Token;
use crate::sim::mutation::Mutation;

/// From here on a member says for which protocol it asks (KIP-559).
const MANDATORY_PROTOCOL_VERSION: i16 = 5;

impl GroupCoordinator {
    pub(super) fn sync_group(
        &mut self,
        cx: &Cx<'_>,
        token: Token,
        version: i16,
        request: &SyncGroupRequest,
    ) -> Decided {
        let refuse = |error| Decided::reply(token, GroupResponse::SyncGroup(refusal(error)));
        if version >= MANDATORY_PROTOCOL_VERSION
            && (request.protocol_type.is_none() || request.protocol_name.is_none())
        {
            return refuse(ErrorCode::InconsistentGroupProtocol);
        }
        if request.group_id.is_empty() {
            return refuse(ErrorCode::InvalidGroupId);
        }
        let Some(mut turn) = self.turn(cx.tip, cx.now, &request.group_id) else {
            return refuse(ErrorCode::UnknownMemberId);
        };
        turn.sync(Waiting { token, version }, request);
        turn.decided
    }
}

impl Turn<'_> {
    fn sync(&mut self, waiting: Waiting, request: &SyncGroupRequest) {
        let refuse = |error| GroupResponse::SyncGroup(refusal(error));
        if let Err(error) = self.validate_sync(request) {
            return self.reply(waiting.token, refuse(error));
        }
        let member_id = &request.member_id;
        match self.group.state() {
            ClassicGroupState::PreparingRebalance => {
                self.reply(waiting.token, refuse(ErrorCode::RebalanceInProgress));
            }
            ClassicGroupState::CompletingRebalance => {
                if let Some(member) = self.group.member_mut(member_id) {
                    member.awaiting_sync = Some(waiting);
                }
                self.member_has_synced(member_id);
                if self.group.is_leader(member_id) {
                    self.assign(request);
                }
            }
            ClassicGroupState::Stable => {
                self.member_has_synced(member_id);
                let response = assigned(self.group, member_id);
                self.reply(waiting.token, GroupResponse::SyncGroup(response));
            }
            ClassicGroupState::Empty | ClassicGroupState::Dead => {
                self.reply(waiting.token, refuse(ErrorCode::UnknownMemberId));
            }
        }
    }

    fn validate_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        if self.group.is(ClassicGroupState::Empty) {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.group.validate_member(&request.member_id, request.group_instance_id.as_ref())?;
        if request.generation_id != self.group.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |asked: &Option<Str>, ours: &Option<Str>| matches!((asked, ours), (Some(asked), Some(ours)) if asked != ours);
        if differs(&request.protocol_type, &self.group.protocol_type)
            || differs(&request.protocol_name, &self.group.protocol_name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// The leader has spoken: members that it forgot get nothing. The answers wait for the record.
    fn assign(&mut self, request: &SyncGroupRequest) {
        let mut assignments: BTreeMap<&Str, &Bytes> = BTreeMap::new();
        for assignment in &request.assignments {
            assignments.insert(&assignment.member_id, &assignment.assignment);
        }
        if self.config.planted.is(Mutation::AssignmentToAll)
            && let Some(first) = request.assignments.first()
        {
            assignments.values_mut().for_each(|assignment| *assignment = &first.assignment);
        }
        for member_id in self.group.member_ids() {
            if let Some(member) = self.group.member_mut(&member_id) {
                member.assignment = assignments
                    .get(&member_id)
                    .map_or_else(Bytes::new, |bytes| Bytes::copy_from_slice(bytes));
            }
        }
        self.propagate_assignment();
        self.transition_to(ClassicGroupState::Stable);
        self.write_group();
        *self.undo = Some(Undo::Assignment { group: self.id.clone() });
    }

    fn member_has_synced(&mut self, member_id: &Str) {
        self.group.pending_sync.remove(member_id);
    }
}

/// A member's assignment in the present generation.
pub(super) fn assigned(group: &ClassicGroup, member_id: &Str) -> SyncGroupResponse {
    SyncGroupResponse {
        protocol_type: group.protocol_type.clone(),
        protocol_name: group.protocol_name.clone(),
        assignment: group.member(member_id).map(|member| member.assignment.clone()).unwrap_or_default(),
        ..SyncGroupResponse::default()
    }
}

/// A sync refused.
pub(super) fn refusal(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: error.code(), ..SyncGroupResponse::default() }
}
