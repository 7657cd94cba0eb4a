//! A member of a classic group.

use std::collections::BTreeSet;

use bytes::Bytes;
use ottla_protocol::Str;
use ottla_protocol::messages::describe_groups_response::DescribedGroupMember;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::records::group::group_metadata_value::MemberMetadata;

use crate::coordinator::Token;

/// A request that is answered later, and the version in which it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub token: Token,
    pub version: i16,
}

/// One protocol that a member supports, with what it wants the leader to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberProtocol {
    pub name: Str,
    pub metadata: Bytes,
}

/// A member: what it said when it joined, what it was assigned, what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassicGroupMember {
    pub member_id: Str,
    pub group_instance_id: Option<Str>,
    pub client_id: Str,
    pub client_host: Str,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub protocol_type: Str,
    /// In the member's order of preference.
    pub protocols: Vec<MemberProtocol>,
    /// Empty until the leader assigned something.
    pub assignment: Bytes,
    /// Its parked SyncGroup.
    pub awaiting_sync: Option<Waiting>,
    /// It has not finished its first join: it does not know its id yet and cannot send heartbeats.
    pub is_new: bool,
    /// Its parked JoinGroup; [`super::classic_group::ClassicGroup`] counts these.
    pub(super) awaiting_join: Option<Waiting>,
}

impl ClassicGroupMember {
    /// The member as the log remembers it.
    pub fn from_record(member: &MemberMetadata, protocol_type: &Str, protocol: Option<&Str>) -> Self {
        let rebalance_timeout_ms = match member.rebalance_timeout {
            -1 => member.session_timeout,
            timeout => timeout,
        };
        Self {
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout,
            protocol_type: protocol_type.clone(),
            protocols: vec![MemberProtocol {
                name: protocol.cloned().unwrap_or_default(),
                metadata: member.subscription.clone(),
            }],
            assignment: member.assignment.clone(),
            awaiting_sync: None,
            is_new: false,
            awaiting_join: None,
        }
    }

    /// How the log is to remember it.
    pub fn to_record(&self, protocol: Option<&Str>) -> MemberMetadata {
        MemberMetadata {
            member_id: self.member_id.clone(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout: self.rebalance_timeout_ms,
            session_timeout: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }

    /// How DescribeGroups shows it; the metadata only when the group's protocol is settled.
    pub fn describe(&self, protocol: Option<&Str>) -> DescribedGroupMember {
        DescribedGroupMember {
            member_id: self.member_id.clone(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            member_metadata: self.metadata(protocol),
            member_assignment: self.assignment.clone(),
        }
    }

    /// What it said for `protocol`; empty when it does not support it.
    pub fn metadata(&self, protocol: Option<&Str>) -> Bytes {
        self.protocols
            .iter()
            .find(|supported| Some(&supported.name) == protocol)
            .map_or_else(Bytes::new, |supported| supported.metadata.clone())
    }

    /// Its protocols' names, each once.
    pub fn protocol_names(&self) -> BTreeSet<&Str> {
        self.protocols.iter().map(|protocol| &protocol.name).collect()
    }

    /// Whether a join repeats exactly what the member said before.
    pub fn matches(&self, protocols: &[JoinGroupRequestProtocol]) -> bool {
        self.protocols.len() == protocols.len()
            && std::iter::zip(&self.protocols, protocols)
                .all(|(ours, theirs)| ours.name == theirs.name && ours.metadata == theirs.metadata)
    }

    /// Whether its JoinGroup is parked.
    pub fn is_awaiting_join(&self) -> bool {
        self.awaiting_join.is_some()
    }

    /// Whether it needs no heartbeat now: it is parked in a rebalance, and not for the first time.
    pub fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}

/// The protocols of a request in memory of their own.
pub(super) fn own_protocols(protocols: &[JoinGroupRequestProtocol]) -> Vec<MemberProtocol> {
    protocols
        .iter()
        .map(|protocol| MemberProtocol {
            name: protocol.name.detached(),
            metadata: Bytes::copy_from_slice(&protocol.metadata),
        })
        .collect()
}
