//! [`Turn`]: one group while something happens to it.

use crate::sim::mutation::Mutation;
use ottla_protocol::Str;

use super::classic_group::{ClassicGroup, ClassicGroupState};
use super::config::GroupConfig;
use super::member::ClassicGroupMember;
use super::record::GroupRecord;
use super::request::GroupResponse;
use super::timers::{JoinPhase, Timer, Timers};
use super::{Decided, Undo};
use crate::coordinator::Token;
use crate::time::Now;
use crate::trace::TraceEvent;

/// A group, lent together with its timers; what follows is collected in `decided`.
pub(super) struct Turn<'a> {
    pub id: &'a Str,
    pub group: &'a mut ClassicGroup,
    pub timers: &'a mut Timers,
    pub config: &'a GroupConfig,
    pub now: Now,
    pub decided: Decided,
    pub undo: &'a mut Option<Undo>,
    pub traces: &'a mut Vec<TraceEvent>,
}

impl Turn<'_> {
    /// Answers somebody.
    pub fn reply(&mut self, token: Token, response: GroupResponse) {
        self.decided.replies.push((token, response));
    }

    /// Writes the group as it stands.
    pub fn write_group(&mut self) {
        let mut value = self.group.to_record();
        if self.config.planted.is(Mutation::GenerationNotPersisted) {
            value.generation = 0;
        }
        let value = Some(value.into());
        self.decided.records.push(GroupRecord::GroupMetadata { group: self.id.clone(), value });
    }

    /// Moves on, and says so.
    pub fn transition_to(&mut self, state: ClassicGroupState) {
        self.group.transition_to(state, self.now.wall);
        self.trace();
    }

    /// Tells who watches where the group is.
    pub fn trace(&mut self) {
        self.traces.push(TraceEvent::GroupChanged {
            group: self.id.clone(),
            state: Str::from_static(self.group.state().name()),
            generation_id: self.group.generation_id,
            members: self.group.member_count(),
        });
    }

    /// Begins a member's session anew.
    pub fn extend_session(&mut self, member_id: &Str) {
        let Some(member) = self.group.member(member_id) else { return };
        self.extend_session_by(member_id, member.session_timeout_ms);
    }

    /// Begins a session of `timeout_ms`.
    pub fn extend_session_by(&mut self, member_id: &Str, timeout_ms: i32) {
        let timer = Timer::Session { group: self.id.clone(), member: member_id.clone() };
        self.timers.set(timer, self.now.monotonic.plus_ms(i64::from(timeout_ms)));
    }

    /// Ends a member's session without a word.
    pub fn cancel_session(&mut self, member_id: &Str) {
        self.timers.cancel(&Timer::Session { group: self.id.clone(), member: member_id.clone() });
    }

    /// Sets when the join phase ends, and how.
    pub fn set_join_deadline(&mut self, phase: JoinPhase, in_ms: i32) {
        self.group.join_phase = phase;
        self.timers.set(Timer::Join { group: self.id.clone() }, self.now.monotonic.plus_ms(i64::from(in_ms)));
    }

    /// Removes a member; a join of its that is still parked is told that it is not one any more.
    pub fn remove_member(&mut self, member_id: &Str) -> Option<ClassicGroupMember> {
        if let Some(waiting) = self.group.take_awaiting_join(member_id) {
            let response = super::join_group::unknown_member(waiting.version);
            self.reply(waiting.token, GroupResponse::JoinGroup(response));
        }
        self.cancel_session(member_id);
        self.group.remove(member_id)
    }
}
