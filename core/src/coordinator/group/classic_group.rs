//! [`ClassicGroup`]: the members of one group and where they are in the rebalance.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::join_group_response::JoinGroupResponseMember;
use ottla_protocol::records::group::GroupMetadataValue;
use ottla_protocol::{ErrorCode, Str};

use super::member::{ClassicGroupMember, Waiting, own_protocols};
use super::subscription::subscribed_topics;
use super::timers::JoinPhase;
use crate::time::Timestamp;
use crate::tree::IntoTree as _;

/// The protocol type of Kafka's consumers.
const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Where a classic group is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassicGroupState {
    /// No members; offsets may remain.
    Empty,
    /// Waiting for the members to join again.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment, or can fetch it.
    Stable,
    /// Gone.
    Dead,
}

impl ClassicGroupState {
    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// A group of the classic protocol: soft state, of which the log knows the last settled generation.
#[derive(Clone, Debug)]
pub(super) struct ClassicGroup {
    state: ClassicGroupState,
    previous_state: ClassicGroupState,
    /// When it entered its state, in ms; −1 when an old record does not say.
    pub state_timestamp: Timestamp,
    pub protocol_type: Option<Str>,
    pub protocol_name: Option<Str>,
    pub generation_id: i32,
    pub leader_id: Option<Str>,
    members: BTreeMap<Str, ClassicGroupMember>,
    /// `group.instance.id` → member id.
    static_members: BTreeMap<Str, Str>,
    /// Members that were given an id and have not come back with it.
    pending_join: BTreeSet<Str>,
    /// Members that have not asked for this generation's assignment.
    pub pending_sync: BTreeSet<Str>,
    /// `None`: not known.
    subscribed_topics: Option<BTreeSet<Str>>,
    /// A member came during the initial rebalance since its deadline was last extended.
    pub new_member_added: bool,
    /// What the join phase does at its deadline.
    pub join_phase: JoinPhase,
    awaiting_join_count: usize,
    /// How many members support each protocol.
    supported_protocols: BTreeMap<Str, usize>,
}

impl ClassicGroup {
    /// A group that nobody has joined.
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: ClassicGroupState::Empty,
            previous_state: ClassicGroupState::Dead,
            state_timestamp: now,
            protocol_type: None,
            protocol_name: None,
            generation_id: 0,
            leader_id: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            subscribed_topics: None,
            new_member_added: false,
            join_phase: JoinPhase::Complete,
            awaiting_join_count: 0,
            supported_protocols: BTreeMap::new(),
        }
    }

    /// The group as the log remembers it: Empty or Stable.
    pub fn from_record(value: &GroupMetadataValue) -> Self {
        let mut group = Self::new(value.current_state_timestamp);
        group.generation_id = value.generation;
        group.protocol_type = Some(value.protocol_type.clone()).filter(|name| !name.is_empty());
        group.protocol_name.clone_from(&value.protocol);
        group.leader_id.clone_from(&value.leader);
        if !value.members.is_empty() {
            group.state = ClassicGroupState::Stable;
        }
        for member in &value.members {
            let member =
                ClassicGroupMember::from_record(member, &value.protocol_type, value.protocol.as_ref());
            group.insert(member);
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// How the log is to remember it.
    pub fn to_record(&self) -> GroupMetadataValue {
        GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation_id,
            protocol: self.protocol_name.clone(),
            leader: self.leader_id.clone(),
            current_state_timestamp: self.state_timestamp,
            members: self
                .members
                .values()
                .map(|member| member.to_record(self.protocol_name.as_ref()))
                .collect(),
        }
    }

    pub fn state(&self) -> ClassicGroupState {
        self.state
    }

    pub fn is(&self, state: ClassicGroupState) -> bool {
        self.state == state
    }

    /// Whether this is the first rebalance of an empty group.
    pub fn is_initial_rebalance(&self) -> bool {
        self.state == ClassicGroupState::PreparingRebalance && self.previous_state == ClassicGroupState::Empty
    }

    /// Whether a rebalance may begin.
    pub fn can_rebalance(&self) -> bool {
        matches!(
            self.state,
            ClassicGroupState::Stable | ClassicGroupState::CompletingRebalance | ClassicGroupState::Empty
        )
    }

    pub fn transition_to(&mut self, state: ClassicGroupState, now: Timestamp) {
        self.previous_state = self.state;
        self.state = state;
        self.state_timestamp = now;
    }

    // ---- members ----

    pub fn members(&self) -> impl Iterator<Item = &ClassicGroupMember> {
        self.members.values()
    }

    pub fn member(&self, member_id: &str) -> Option<&ClassicGroupMember> {
        self.members.get(member_id)
    }

    /// A member to be changed in what the group does not count (its assignment, its parked sync).
    pub fn member_mut(&mut self, member_id: &str) -> Option<&mut ClassicGroupMember> {
        self.members.get_mut(member_id)
    }

    pub fn member_ids(&self) -> Vec<Str> {
        self.members.keys().cloned().collect()
    }

    pub fn has_member(&self, member_id: &str) -> bool {
        self.members.contains_key(member_id)
    }

    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    pub fn static_member_id(&self, group_instance_id: &str) -> Option<&Str> {
        self.static_members.get(group_instance_id)
    }

    pub fn is_leader(&self, member_id: &str) -> bool {
        self.leader_id.as_deref() == Some(member_id)
    }

    pub fn awaiting_join_count(&self) -> usize {
        self.awaiting_join_count
    }

    pub fn is_pending(&self, member_id: &str) -> bool {
        self.pending_join.contains(member_id)
    }

    pub fn has_pending(&self) -> bool {
        !self.pending_join.is_empty()
    }

    pub fn pending_ids(&self) -> Vec<Str> {
        self.pending_join.iter().cloned().collect()
    }

    pub fn add_pending(&mut self, member_id: Str) {
        self.pending_join.insert(member_id);
    }

    /// Every member is parked in its JoinGroup, and nobody is expected to come back with an id.
    pub fn has_all_members_joined(&self) -> bool {
        self.members.len() == self.awaiting_join_count && self.pending_join.is_empty()
    }

    pub fn has_received_sync_from_all(&self) -> bool {
        self.pending_sync.is_empty()
    }

    /// The longest time that a member asked for to join again.
    pub fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0).max(0)
    }

    /// Adds a member whose protocols were checked; the first one leads.
    pub fn insert(&mut self, member: ClassicGroupMember) {
        if let Some(instance_id) = &member.group_instance_id {
            self.static_members.insert(instance_id.clone(), member.member_id.clone());
        }
        if self.members.is_empty() {
            self.protocol_type = Some(member.protocol_type.clone()).filter(|name| !name.is_empty());
        }
        if self.leader_id.is_none() {
            self.leader_id = Some(member.member_id.clone());
        }
        self.pending_join.remove(&member.member_id);
        self.count(&member);
        self.members.insert(member.member_id.clone(), member);
    }

    /// Removes a member or a pending one. Its parked requests are the caller's to answer.
    pub fn remove(&mut self, member_id: &str) -> Option<ClassicGroupMember> {
        let removed = self.members.remove(member_id);
        if let Some(member) = &removed {
            self.discount(member);
            if let Some(instance_id) = &member.group_instance_id {
                self.static_members.remove(instance_id);
            }
        }
        if self.is_leader(member_id) {
            self.leader_id = self.members.keys().next().cloned();
        }
        self.pending_join.remove(member_id);
        self.pending_sync.remove(member_id);
        removed
    }

    /// Gives a static member's place to a new member id. Returns the old member, whose parked requests are to be refused.
    pub fn replace_static_member(
        &mut self,
        group_instance_id: &Str,
        old_member_id: &str,
        new_member_id: &Str,
    ) -> Option<ClassicGroupMember> {
        let old = self.members.remove(old_member_id)?;
        self.discount(&old);
        let new = ClassicGroupMember {
            member_id: new_member_id.clone(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
            ..old.clone()
        };
        self.count(&new);
        self.members.insert(new_member_id.clone(), new);
        if self.is_leader(old_member_id) {
            self.leader_id = Some(new_member_id.clone());
        }
        self.static_members.insert(group_instance_id.clone(), new_member_id.clone());
        Some(old)
    }

    /// Puts a replaced static member back as it was.
    pub fn restore_static_member(&mut self, new_member_id: &str, old: ClassicGroupMember) {
        if let Some(new) = self.members.remove(new_member_id) {
            self.discount(&new);
        }
        if self.is_leader(new_member_id) {
            self.leader_id = Some(old.member_id.clone());
        }
        self.insert(ClassicGroupMember { awaiting_join: None, awaiting_sync: None, ..old });
    }

    /// What a member says when it joins again.
    pub fn update_member(
        &mut self,
        member_id: &str,
        protocols: &[JoinGroupRequestProtocol],
        rebalance_timeout_ms: i32,
        session_timeout_ms: i32,
        waiting: Option<Waiting>,
    ) {
        let Some(mut member) = self.members.remove(member_id) else { return };
        self.discount(&member);
        member.protocols = own_protocols(protocols);
        member.rebalance_timeout_ms = rebalance_timeout_ms;
        member.session_timeout_ms = session_timeout_ms;
        member.awaiting_join = waiting;
        self.count(&member);
        self.members.insert(member.member_id.clone(), member);
    }

    /// Takes a member's parked JoinGroup, to answer it.
    pub fn take_awaiting_join(&mut self, member_id: &str) -> Option<Waiting> {
        let waiting = self.members.get_mut(member_id)?.awaiting_join.take()?;
        self.awaiting_join_count = self.awaiting_join_count.saturating_sub(1);
        Some(waiting)
    }

    /// Takes a member's parked SyncGroup, to answer it.
    pub fn take_awaiting_sync(&mut self, member_id: &str) -> Option<Waiting> {
        self.members.get_mut(member_id)?.awaiting_sync.take()
    }

    fn count(&mut self, member: &ClassicGroupMember) {
        self.awaiting_join_count =
            self.awaiting_join_count.saturating_add(usize::from(member.is_awaiting_join()));
        for name in member.protocol_names() {
            let count = self.supported_protocols.entry(name.clone()).or_insert(0);
            *count = count.saturating_add(1);
        }
    }

    fn discount(&mut self, member: &ClassicGroupMember) {
        self.awaiting_join_count =
            self.awaiting_join_count.saturating_sub(usize::from(member.is_awaiting_join()));
        for name in member.protocol_names() {
            if let Some(count) = self.supported_protocols.get_mut(name) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.supported_protocols.remove(name);
                }
            }
        }
    }

    // ---- checks ----

    /// Whether this is a member of the group, and its static identity is still its own.
    pub fn validate_member(&self, member_id: &str, group_instance_id: Option<&Str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = group_instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(existing) if **existing != *member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.has_member(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Whether a member with these protocols fits: some protocol of its must be one that everybody supports.
    pub fn supports_protocols(&self, protocol_type: &Str, protocols: &[JoinGroupRequestProtocol]) -> bool {
        if self.is(ClassicGroupState::Empty) {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_ref() == Some(protocol_type)
            && protocols.iter().any(|protocol| {
                self.supported_protocols.get(&protocol.name).copied().unwrap_or(0) == self.members.len()
            })
    }

    /// The leader has joined, or somebody else who has joined leads now. False when nobody has.
    pub fn maybe_elect_new_joined_leader(&mut self) -> bool {
        let Some(leader_id) = &self.leader_id else { return false };
        if self.members.get(leader_id).is_some_and(ClassicGroupMember::is_awaiting_join) {
            return true;
        }
        let joined = self.members.values().find(|member| member.is_awaiting_join());
        let Some(joined) = joined.map(|member| member.member_id.clone()) else { return false };
        self.leader_id = Some(joined);
        true
    }

    /// The protocol that most members prefer among those that all support. A tie goes to the one that the leader prefers.
    pub fn select_protocol(&self) -> Option<Str> {
        let candidates: BTreeSet<&Str> = self
            .supported_protocols
            .iter()
            .filter(|(_, count)| **count == self.members.len())
            .map(|(name, _)| name)
            .into_set();
        let mut votes: BTreeMap<&Str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let vote =
                member.protocols.iter().map(|protocol| &protocol.name).find(|name| candidates.contains(name));
            if let Some(name) = vote {
                let count = votes.entry(name).or_insert(0);
                *count = count.saturating_add(1);
            }
        }
        let most = votes.values().max()?;
        let leader = self.leader_id.as_ref().and_then(|leader_id| self.members.get(leader_id));
        let preferences =
            leader.into_iter().flat_map(|leader| leader.protocols.iter().map(|protocol| &protocol.name));
        preferences.chain(votes.keys().copied()).find(|name| votes.get(name) == Some(most)).cloned()
    }

    // ---- generations ----

    /// Begins the next generation: with members in CompletingRebalance, without in Empty.
    pub fn init_next_generation(&mut self, now: Timestamp) {
        self.generation_id = self.generation_id.checked_add(1).unwrap_or(1);
        self.protocol_name = self.select_protocol();
        self.subscribed_topics = self.compute_subscribed_topics();
        self.pending_sync.clear();
        let next = if self.members.is_empty() {
            ClassicGroupState::Empty
        } else {
            ClassicGroupState::CompletingRebalance
        };
        self.transition_to(next, now);
    }

    /// What the leader is told of the members.
    pub fn join_response_members(&self) -> Vec<JoinGroupResponseMember> {
        self.members
            .values()
            .map(|member| JoinGroupResponseMember {
                member_id: member.member_id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                metadata: member.metadata(self.protocol_name.as_ref()),
            })
            .collect()
    }

    // ---- topics ----

    /// Whether Kafka's consumers make up the group.
    pub fn uses_consumer_group_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// The topics that the members subscribe to; `None` when not known.
    pub fn subscribed_topics(&self) -> Option<&BTreeSet<Str>> {
        self.subscribed_topics.as_ref()
    }

    /// Whether offsets of `topic` must stay: unknown subscriptions of consumers count as all topics.
    pub fn is_subscribed_to_topic(&self, topic: &Str) -> bool {
        self.subscribed_topics
            .as_ref()
            .map_or_else(|| self.uses_consumer_group_protocol(), |topics| topics.contains(topic))
    }

    fn compute_subscribed_topics(&self) -> Option<BTreeSet<Str>> {
        if !self.uses_consumer_group_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = Some(self.protocol_name.as_ref()?);
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.append(&mut subscribed_topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }
}
