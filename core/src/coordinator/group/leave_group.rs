//! LeaveGroup: members go, alone or in a batch, by their id or (an administrator's) by their instance id.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};

use super::classic_group::ClassicGroupState;
use super::request::GroupResponse;
use super::turn::Turn;
use super::{Cx, Decided, GroupCoordinator};
use crate::coordinator::Token;

/// From here on several members may leave at once (KIP-345).
const BATCH_VERSION: i16 = 3;

impl GroupCoordinator {
    pub(super) fn leave_group(
        &mut self,
        cx: &Cx<'_>,
        token: Token,
        version: i16,
        request: &LeaveGroupRequest,
    ) -> Decided {
        let reply = |response| GroupResponse::LeaveGroup(response);
        if request.group_id.is_empty() {
            let error_code = ErrorCode::InvalidGroupId.code();
            let response = LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() };
            return Decided::reply(token, reply(response));
        }
        let alone = [MemberIdentity { member_id: request.member_id.clone(), ..MemberIdentity::default() }];
        let leaving = if version < BATCH_VERSION { &alone[..] } else { &request.members };
        let Some(mut turn) = self.turn(cx.tip, cx.now, &request.group_id) else {
            let members = leaving.iter().map(|member| left(member, ErrorCode::UnknownMemberId)).collect();
            return Decided::reply(token, reply(respond(version, members)));
        };
        let members: Vec<MemberResponse> =
            leaving.iter().map(|member| left(member, turn.leave(member))).collect();
        if members.iter().any(|member| member.error_code == ErrorCode::None.code()) {
            match turn.group.state() {
                ClassicGroupState::Stable | ClassicGroupState::CompletingRebalance => {
                    turn.rebalance_or_complete_join();
                }
                ClassicGroupState::PreparingRebalance => turn.maybe_complete_join(),
                ClassicGroupState::Empty | ClassicGroupState::Dead => {}
            }
        }
        turn.reply(token, reply(respond(version, members)));
        turn.decided
    }
}

impl Turn<'_> {
    fn leave(&mut self, member: &MemberIdentity) -> ErrorCode {
        let MemberIdentity { member_id, group_instance_id, .. } = member;
        if member_id.is_empty() {
            let known = group_instance_id.as_ref().and_then(|id| self.group.static_member_id(id)).cloned();
            let Some(known) = known else { return ErrorCode::UnknownMemberId };
            self.remove_member(&known);
        } else if self.group.is_pending(member_id) {
            self.cancel_session(member_id);
            self.group.remove(member_id);
        } else if let Err(error) = self.group.validate_member(member_id, group_instance_id.as_ref()) {
            return error;
        } else {
            self.remove_member(member_id);
        }
        ErrorCode::None
    }
}

fn left(member: &MemberIdentity, error: ErrorCode) -> MemberResponse {
    MemberResponse {
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        error_code: error.code(),
    }
}

/// Before batches, the only member's error is the answer's.
fn respond(version: i16, members: Vec<MemberResponse>) -> LeaveGroupResponse {
    if version >= BATCH_VERSION {
        return LeaveGroupResponse { members, ..LeaveGroupResponse::default() };
    }
    let error_code = members.first().map_or(0, |member| member.error_code);
    LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() }
}
