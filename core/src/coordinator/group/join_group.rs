//! JoinGroup: becoming a member, and joining again.

use bytes::Bytes;
use ottla_protocol::messages::join_group_request::JoinGroupRequest;
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use ottla_protocol::{ErrorCode, Str};

use super::classic_group::{ClassicGroup, ClassicGroupState};
use super::member::{ClassicGroupMember, Waiting, own_protocols};
use super::request::GroupResponse;
use super::turn::Turn;
use super::{Cx, Decided, GroupCoordinator, Undo};
use crate::coordinator::Token;
use crate::rng::Rng;

/// From here on a new dynamic member is sent back with an id before it may join (KIP-394).
const MEMBER_ID_REQUIRED_VERSION: i16 = 4;
/// From here on the protocol's name may be null.
const NULLABLE_PROTOCOL_NAME_VERSION: i16 = 7;
/// From here on a returning static leader is told not to assign anew (KIP-814).
const SKIP_ASSIGNMENT_VERSION: i16 = 9;

/// Who joins, beside what the message says.
pub(super) struct Client {
    pub version: i16,
    pub client_id: Str,
    pub client_host: Str,
}

impl GroupCoordinator {
    pub(super) fn join_group(
        &mut self,
        cx: &mut Cx<'_>,
        token: Token,
        client: &Client,
        mut request: JoinGroupRequest,
    ) -> Decided {
        let version = client.version;
        let refuse = |member_id: &Str, error| {
            Decided::reply(token, GroupResponse::JoinGroup(refusal(version, member_id.clone(), error)))
        };
        if request.group_id.is_empty() {
            return refuse(&request.member_id, ErrorCode::InvalidGroupId);
        }
        let sessions = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
        if !sessions.contains(&request.session_timeout_ms) {
            return refuse(&request.member_id, ErrorCode::InvalidSessionTimeout);
        }
        if version == 0 {
            request.rebalance_timeout_ms = request.session_timeout_ms;
        }
        let metadata = request
            .protocols
            .iter()
            .map(|protocol| protocol.name.len().saturating_add(protocol.metadata.len()));
        let metadata_max = usize::try_from(self.config.member_metadata_max_bytes).unwrap_or(0);
        if metadata.fold(0, usize::saturating_add) > metadata_max {
            // What Apache Kafka answers when it cannot store a group.
            return refuse(&request.member_id, ErrorCode::UnknownServerError);
        }
        if cx.tip.is_other_group(&request.group_id) {
            return refuse(&Str::default(), ErrorCode::InconsistentGroupProtocol);
        }
        let unknown = request.member_id.is_empty();
        let exists = self.exists(cx.tip, &request.group_id);
        if !exists && !unknown {
            return refuse(&request.member_id, ErrorCode::UnknownMemberId);
        }
        let id = request.group_id.detached();
        if !exists {
            self.groups.insert(id.clone(), ClassicGroup::new(cx.now.wall));
        }
        let Some(mut turn) = self.turn(cx.tip, cx.now, &id) else {
            return refuse(&request.member_id, ErrorCode::UnknownMemberId);
        };
        if turn.accepts(&request.member_id) {
            let waiting = Waiting { token, version };
            if unknown {
                turn.join_new_member(cx.rng, client, waiting, &request);
            } else {
                turn.join_existing_member(client, waiting, &request);
            }
        } else {
            turn.group.remove(&request.member_id);
            turn.refuse_join(Waiting { token, version }, Str::default(), ErrorCode::GroupMaxSizeReached);
        }
        if !exists && turn.decided.records.is_empty() {
            // The group exists from now on, members or not.
            turn.decided.records.push(super::empty_group_record(&id, cx.now.wall));
            turn.undo.get_or_insert(Undo::NewGroup { group: id.clone() });
        }
        turn.decided
    }
}

impl Turn<'_> {
    /// Whether `group.max.size` leaves room for this member.
    fn accepts(&self, member_id: &Str) -> bool {
        let max = usize::try_from(self.config.max_size).unwrap_or(0);
        match self.group.state() {
            ClassicGroupState::Empty | ClassicGroupState::Dead => true,
            // Members that joined first stay, those that come back last may find the group full.
            ClassicGroupState::PreparingRebalance => {
                self.group.member(member_id).is_some_and(ClassicGroupMember::is_awaiting_join)
                    || self.group.awaiting_join_count() < max
            }
            ClassicGroupState::CompletingRebalance | ClassicGroupState::Stable => {
                self.group.has_member(member_id) || self.group.member_count() < max
            }
        }
    }

    fn join_new_member(
        &mut self,
        rng: &mut Rng,
        client: &Client,
        waiting: Waiting,
        request: &JoinGroupRequest,
    ) {
        if !self.group.supports_protocols(&request.protocol_type, &request.protocols) {
            return self.refuse_join(waiting, Str::default(), ErrorCode::InconsistentGroupProtocol);
        }
        let instance_id = request.group_instance_id.as_ref();
        let member_id = new_member_id(rng, instance_id.unwrap_or(&client.client_id));
        let replaced = instance_id.and_then(|instance_id| self.group.static_member_id(instance_id).cloned());
        if let Some(old_member_id) = replaced {
            self.replace_static_member(waiting, request, &old_member_id, &member_id);
        } else if instance_id.is_none() && waiting.version >= MEMBER_ID_REQUIRED_VERSION {
            self.group.add_pending(member_id.clone());
            self.extend_session_by(&member_id, request.session_timeout_ms);
            self.refuse_join(waiting, member_id, ErrorCode::MemberIdRequired);
        } else {
            self.add_member(client, waiting, request, member_id);
        }
    }

    fn join_existing_member(&mut self, client: &Client, waiting: Waiting, request: &JoinGroupRequest) {
        let member_id = &request.member_id;
        if !self.group.supports_protocols(&request.protocol_type, &request.protocols) {
            return self.refuse_join(waiting, member_id.clone(), ErrorCode::InconsistentGroupProtocol);
        }
        if self.group.is_pending(member_id) {
            if request.group_instance_id.is_some() {
                // A static member is never sent away for an id.
                return self.refuse_join(waiting, Str::default(), ErrorCode::UnknownServerError);
            }
            return self.add_member(client, waiting, request, member_id.detached());
        }
        if let Err(error) = self.group.validate_member(member_id, request.group_instance_id.as_ref()) {
            return self.refuse_join(waiting, member_id.clone(), error);
        }
        let unchanged = self.group.member(member_id).is_some_and(|member| member.matches(&request.protocols));
        match self.group.state() {
            // A member that repeats its join missed the answer; a follower that does is up to date.
            ClassicGroupState::CompletingRebalance if unchanged => {
                let response = joined(self.group, member_id);
                self.reply(waiting.token, GroupResponse::JoinGroup(response));
            }
            ClassicGroupState::Stable if unchanged && !self.group.is_leader(member_id) => {
                let response = joined(self.group, member_id);
                self.reply(waiting.token, GroupResponse::JoinGroup(response));
            }
            // The leader joins again when something outside the group asks for a new assignment.
            ClassicGroupState::PreparingRebalance
            | ClassicGroupState::CompletingRebalance
            | ClassicGroupState::Stable => {
                self.update_member(member_id, request, waiting);
                self.rebalance_or_complete_join();
            }
            ClassicGroupState::Empty | ClassicGroupState::Dead => {
                self.refuse_join(waiting, member_id.clone(), ErrorCode::UnknownMemberId);
            }
        }
    }

    fn add_member(&mut self, client: &Client, waiting: Waiting, request: &JoinGroupRequest, member_id: Str) {
        if self.group.is_initial_rebalance() {
            self.group.new_member_added = true;
        }
        self.group.insert(ClassicGroupMember {
            member_id: member_id.clone(),
            group_instance_id: request.group_instance_id.as_ref().map(Str::detached),
            client_id: client.client_id.detached(),
            client_host: client.client_host.detached(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocol_type: request.protocol_type.detached(),
            protocols: own_protocols(&request.protocols),
            assignment: Bytes::new(),
            awaiting_sync: None,
            is_new: true,
            awaiting_join: Some(waiting),
        });
        // A new member does not know its id and cannot send heartbeats; if its client is gone, nothing else would end its join.
        self.extend_session_by(&member_id, self.config.new_member_join_timeout_ms);
        self.rebalance_or_complete_join();
    }

    fn update_member(&mut self, member_id: &Str, request: &JoinGroupRequest, waiting: Waiting) {
        self.group.update_member(
            member_id,
            &request.protocols,
            request.rebalance_timeout_ms,
            request.session_timeout_ms,
            Some(waiting),
        );
    }

    /// A static member is back under a new id (KIP-345). In a stable group whose protocol it does not change, it takes its place
    /// without a rebalance.
    fn replace_static_member(
        &mut self,
        waiting: Waiting,
        request: &JoinGroupRequest,
        old_member_id: &Str,
        new_member_id: &Str,
    ) {
        let Some(instance_id) = request.group_instance_id.as_ref().map(Str::detached) else { return };
        let old_leader = self.group.leader_id.clone();
        let Some(old) = self.group.replace_static_member(&instance_id, old_member_id, new_member_id) else {
            return;
        };
        self.fence(&old);
        self.cancel_session(old_member_id);
        self.extend_session(new_member_id);
        self.update_member(new_member_id, request, waiting);
        match self.group.state() {
            ClassicGroupState::Stable if self.group.protocol_name == self.group.select_protocol() => {
                self.group.take_awaiting_join(new_member_id);
                let mut response = joined(self.group, new_member_id);
                if waiting.version >= SKIP_ASSIGNMENT_VERSION {
                    response.skip_assignment = self.group.is_leader(new_member_id);
                } else {
                    // Not to be asked for an assignment, it must not learn that it leads.
                    response.leader = old_leader.unwrap_or_default();
                    response.members = Vec::new();
                }
                self.reply(waiting.token, GroupResponse::JoinGroup(response));
                self.write_group();
                *self.undo = Some(Undo::StaticMember {
                    group: self.id.clone(),
                    new_member_id: new_member_id.clone(),
                    old: Box::new(old),
                });
            }
            ClassicGroupState::Stable => self.rebalance_or_complete_join(),
            // The leader may be assigning to the old id at this moment.
            ClassicGroupState::CompletingRebalance => self.prepare_rebalance(),
            _ => self.maybe_complete_join(),
        }
    }

    /// Refuses what a replaced member is still waiting for.
    fn fence(&mut self, old: &ClassicGroupMember) {
        if let Some(waiting) = old.awaiting_join {
            self.refuse_join(waiting, old.member_id.clone(), ErrorCode::FencedInstanceId);
        }
        if let Some(waiting) = old.awaiting_sync {
            let response = super::sync_group::refusal(ErrorCode::FencedInstanceId);
            self.reply(waiting.token, GroupResponse::SyncGroup(response));
        }
    }

    fn refuse_join(&mut self, waiting: Waiting, member_id: Str, error: ErrorCode) {
        let response = refusal(waiting.version, member_id, error);
        self.reply(waiting.token, GroupResponse::JoinGroup(response));
    }
}

/// What a member learns of its generation; the leader also of the members.
pub(super) fn joined(group: &ClassicGroup, member_id: &Str) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id: group.generation_id,
        protocol_type: group.protocol_type.clone(),
        protocol_name: group.protocol_name.clone(),
        leader: group.leader_id.clone().unwrap_or_default(),
        member_id: member_id.clone(),
        members: if group.is_leader(member_id) { group.join_response_members() } else { Vec::new() },
        ..JoinGroupResponse::default()
    }
}

/// A join refused.
pub(super) fn refusal(version: i16, member_id: Str, error: ErrorCode) -> JoinGroupResponse {
    let protocol_name = if version < NULLABLE_PROTOCOL_NAME_VERSION { Some(Str::default()) } else { None };
    JoinGroupResponse { error_code: error.code(), member_id, protocol_name, ..JoinGroupResponse::default() }
}

/// A parked join whose member was removed: the client may begin again.
pub(super) fn unknown_member(version: i16) -> JoinGroupResponse {
    refusal(version, Str::default(), ErrorCode::UnknownMemberId)
}

/// `prefix` and a random (version 4) UUID in hexadecimal.
fn new_member_id(rng: &mut Rng, prefix: &Str) -> Str {
    let high = (rng.next_u64() & 0xffff_ffff_ffff_0fff) | 0x4000;
    let low = (rng.next_u64() & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
    let (fourth, fifth) = (low >> 48, low & 0xffff_ffff_ffff);
    Str::from(format!("{prefix}-{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{fifth:012x}"))
}
