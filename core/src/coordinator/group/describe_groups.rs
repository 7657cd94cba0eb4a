//! DescribeGroups and ListGroups: what can be seen from outside.

use ottla_protocol::messages::describe_groups_response::DescribedGroup;
use ottla_protocol::messages::list_groups_request::ListGroupsRequest;
use ottla_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use ottla_protocol::{ErrorCode, Str};

use super::classic_group::{ClassicGroup, ClassicGroupState};
use super::request::GroupResponse;
use super::state::GroupState;
use super::{Cx, Decided, GroupCoordinator};
use crate::coordinator::Token;

/// From here on a group that does not exist is an error and not merely dead (KIP-1043).
const NOT_FOUND_VERSION: i16 = 6;

/// How ListGroups calls the groups of this protocol.
const CLASSIC_TYPE: &str = "classic";

impl GroupCoordinator {
    pub(super) fn describe_groups(&self, cx: &Cx<'_>, token: Token, version: i16, groups: &[Str]) -> Decided {
        let described = groups.iter().map(|group_id| match self.committed_view(cx, group_id) {
            Some(group) => describe(group_id, &group),
            None => not_found(cx.committed, version, group_id),
        });
        Decided::reply(token, GroupResponse::DescribeGroups(described.collect()))
    }

    pub(super) fn list_groups(&self, cx: &Cx<'_>, token: Token, request: &ListGroupsRequest) -> Decided {
        let states: Vec<String> =
            request.states_filter.iter().map(|state| state.trim().to_lowercase()).collect();
        let types = &request.types_filter;
        let of_type = types.is_empty() || types.iter().any(|kind| kind.eq_ignore_ascii_case(CLASSIC_TYPE));
        let mut listed = Vec::new();
        for (group_id, _) in cx.committed.groups().filter(|_| of_type) {
            let Some(group) = self.view(cx.committed, group_id) else { continue };
            let state = group.state().name();
            if states.is_empty() || states.iter().any(|wanted| state.eq_ignore_ascii_case(wanted)) {
                listed.push(ListedGroup {
                    group_id: group_id.clone(),
                    protocol_type: group.protocol_type.clone().unwrap_or_default(),
                    group_state: Str::from(state),
                    group_type: Str::from(CLASSIC_TYPE),
                });
            }
        }
        let response = ListGroupsResponse { groups: listed, ..ListGroupsResponse::default() };
        Decided::reply(token, GroupResponse::ListGroups(response))
    }
}

/// The members' metadata is shown when the group has settled on a protocol.
fn describe(group_id: &Str, group: &ClassicGroup) -> DescribedGroup {
    let protocol = group.protocol_name.as_ref().filter(|_| group.is(ClassicGroupState::Stable));
    DescribedGroup {
        group_id: group_id.clone(),
        group_state: Str::from(group.state().name()),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        protocol_data: protocol.cloned().unwrap_or_default(),
        members: group.members().map(|member| member.describe(protocol)).collect(),
        ..DescribedGroup::default()
    }
}

fn not_found(state: &GroupState, version: i16, group_id: &Str) -> DescribedGroup {
    let dead = DescribedGroup {
        group_id: group_id.clone(),
        group_state: Str::from(ClassicGroupState::Dead.name()),
        ..DescribedGroup::default()
    };
    if version < NOT_FOUND_VERSION {
        return dead;
    }
    let message = if state.is_other_group(group_id) {
        format!("Group {group_id} is not a classic group.")
    } else {
        format!("Group {group_id} not found.")
    };
    DescribedGroup {
        error_code: ErrorCode::GroupIdNotFound.code(),
        error_message: Some(Str::from(message)),
        ..dead
    }
}
