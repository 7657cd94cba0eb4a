//! Heartbeat: staying a member, and learning of a rebalance.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::heartbeat_response::HeartbeatResponse;

use super::classic_group::ClassicGroupState;
use super::request::GroupResponse;
use super::turn::Turn;
use super::{Cx, Decided, GroupCoordinator};
use crate::coordinator::Token;

impl GroupCoordinator {
    pub(super) fn heartbeat(&mut self, cx: &Cx<'_>, token: Token, request: &HeartbeatRequest) -> Decided {
        let error = if request.group_id.is_empty() {
            ErrorCode::InvalidGroupId
        } else {
            self.turn(cx.tip, cx.now, &request.group_id)
                .map_or(ErrorCode::UnknownMemberId, |mut turn| turn.beat(request))
        };
        let response = HeartbeatResponse { error_code: error.code(), ..HeartbeatResponse::default() };
        Decided::reply(token, GroupResponse::Heartbeat(response))
    }
}

impl Turn<'_> {
    fn beat(&mut self, request: &HeartbeatRequest) -> ErrorCode {
        if let Err(error) = self.group.validate_member(&request.member_id, request.group_instance_id.as_ref())
        {
            return error;
        }
        if request.generation_id != self.group.generation_id {
            return ErrorCode::IllegalGeneration;
        }
        match self.group.state() {
            ClassicGroupState::Empty | ClassicGroupState::Dead => ErrorCode::UnknownMemberId,
            ClassicGroupState::PreparingRebalance => {
                self.extend_session(&request.member_id);
                ErrorCode::RebalanceInProgress
            }
            ClassicGroupState::CompletingRebalance | ClassicGroupState::Stable => {
                self.extend_session(&request.member_id);
                ErrorCode::None
            }
        }
    }
}
