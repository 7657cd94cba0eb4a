//! The rebalance: join phase, sync phase, and what the deadlines do to them.

use bytes::Bytes;
use ottla_protocol::messages::sync_group_response::SyncGroupResponse;
use ottla_protocol::{ErrorCode, Str};

use crate::sim::mutation::Mutation;

use super::classic_group::ClassicGroupState;
use super::request::GroupResponse;
use super::timers::{JoinPhase, Timer};
use super::turn::Turn;

impl Turn<'_> {
    /// Begins a rebalance, or ends the join phase of the running one if nobody is missing.
    pub fn rebalance_or_complete_join(&mut self) {
        if self.group.can_rebalance() {
            self.prepare_rebalance();
        } else {
            self.maybe_complete_join();
        }
    }

    /// Asks everybody to join again. The first members of an empty group wait for others
    /// (`group.initial.rebalance.delay.ms`, KIP-134).
    pub fn prepare_rebalance(&mut self) {
        if self.group.is(ClassicGroupState::CompletingRebalance) {
            self.propagate_error(ErrorCode::RebalanceInProgress);
        }
        self.group.pending_sync.clear();
        self.timers.cancel(&Timer::Sync { group: self.id.clone() });

        let initial = self.group.is(ClassicGroupState::Empty);
        self.transition_to(ClassicGroupState::PreparingRebalance);
        if initial {
            let delay_ms = self.config.initial_rebalance_delay_ms;
            let remaining_ms = self.group.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            self.set_join_deadline(JoinPhase::Initial { delay_ms, remaining_ms }, delay_ms);
        } else if self.group.has_all_members_joined() {
            self.complete_join();
        } else {
            self.set_join_deadline(JoinPhase::Complete, self.group.rebalance_timeout_ms());
        }
    }

    /// Ends the join phase if everybody is there. An initial rebalance waits for its deadline.
    pub fn maybe_complete_join(&mut self) {
        if self.group.is(ClassicGroupState::PreparingRebalance)
            && !self.group.is_initial_rebalance()
            && self.group.has_all_members_joined()
        {
            self.complete_join();
        }
    }

    /// The deadline of the join phase passed.
    pub fn join_deadline_passed(&mut self) {
        match std::mem::take(&mut self.group.join_phase) {
            JoinPhase::Initial { delay_ms, remaining_ms }
                if self.group.new_member_added && remaining_ms != 0 =>
            {
                self.group.new_member_added = false;
                let next_delay_ms = self.config.initial_rebalance_delay_ms.min(remaining_ms);
                let remaining_ms = remaining_ms.saturating_sub(delay_ms).max(0);
                let phase = JoinPhase::Initial { delay_ms: next_delay_ms, remaining_ms };
                self.set_join_deadline(phase, next_delay_ms);
            }
            _ => {
                self.complete_join();
            }
        }
    }

    /// Ends the join phase: who has not joined is out (static members stay), the next generation begins, and everybody
    /// learns of it, the leader of all members.
    pub fn complete_join(&mut self) {
        self.timers.cancel(&Timer::Join { group: self.id.clone() });
        self.group.join_phase = JoinPhase::Complete;
        let missing: Vec<Str> = self
            .group
            .members()
            .filter(|member| !member.is_awaiting_join() && member.group_instance_id.is_none())
            .map(|member| member.member_id.clone())
            .collect();
        for member_id in &missing {
            self.remove_member(member_id);
        }

        if !self.group.maybe_elect_new_joined_leader() && self.group.member_count() > 0 {
            // Only static members that are away: their sessions decide.
            self.set_join_deadline(JoinPhase::Complete, self.group.rebalance_timeout_ms());
            return;
        }
        self.group.init_next_generation(self.now.wall);
        if self.config.planted.is(Mutation::GenerationNotRaised) {
            self.group.generation_id = 1;
        }
        self.trace();
        if self.group.is(ClassicGroupState::Empty) {
            self.write_group();
            return;
        }
        for member_id in self.group.member_ids() {
            let response = super::join_group::joined(self.group, &member_id);
            if let Some(waiting) = self.group.take_awaiting_join(&member_id) {
                self.reply(waiting.token, GroupResponse::JoinGroup(response));
            }
            self.extend_session(&member_id);
            if let Some(member) = self.group.member_mut(&member_id) {
                member.is_new = false;
            }
            self.group.pending_sync.insert(member_id);
        }
        let deadline = self.now.monotonic.plus_ms(i64::from(self.group.rebalance_timeout_ms()));
        self.timers.set(Timer::Sync { group: self.id.clone() }, deadline);
    }

    /// The deadline of the sync phase passed: members that never asked for their assignment are out.
    pub fn sync_deadline_passed(&mut self) {
        let settling =
            matches!(self.group.state(), ClassicGroupState::CompletingRebalance | ClassicGroupState::Stable);
        if !settling || self.group.has_received_sync_from_all() {
            return;
        }
        for member_id in std::mem::take(&mut self.group.pending_sync) {
            self.remove_member(&member_id);
        }
        self.prepare_rebalance();
    }

    /// A session ended without a heartbeat, or a pending member did not come back.
    pub fn session_expired(&mut self, member_id: &Str) {
        if self.group.is_pending(member_id) {
            self.group.remove(member_id);
            if self.group.is(ClassicGroupState::PreparingRebalance) && self.group.has_all_members_joined() {
                self.complete_join();
            }
        } else if self.group.member(member_id).is_some_and(|member| !member.has_satisfied_heartbeat()) {
            self.remove_member(member_id);
            match self.group.state() {
                ClassicGroupState::Stable | ClassicGroupState::CompletingRebalance => {
                    self.rebalance_or_complete_join();
                }
                ClassicGroupState::PreparingRebalance if self.group.has_all_members_joined() => {
                    self.complete_join();
                }
                _ => {}
            }
        }
    }

    /// Everybody who waits for an assignment gets it; their sessions, which nobody watched meanwhile, begin anew.
    pub fn propagate_assignment(&mut self) {
        for member_id in self.group.member_ids() {
            let Some(waiting) = self.group.take_awaiting_sync(&member_id) else { continue };
            let response = super::sync_group::assigned(self.group, &member_id);
            self.reply(waiting.token, GroupResponse::SyncGroup(response));
            self.extend_session(&member_id);
        }
    }

    /// Nobody has an assignment any more; who waits for one gets `error`.
    pub fn propagate_error(&mut self, error: ErrorCode) {
        for member_id in self.group.member_ids() {
            if let Some(member) = self.group.member_mut(&member_id) {
                member.assignment = Bytes::new();
            }
            let Some(waiting) = self.group.take_awaiting_sync(&member_id) else { continue };
            let response = SyncGroupResponse { error_code: error.code(), ..SyncGroupResponse::default() };
            self.reply(waiting.token, GroupResponse::SyncGroup(response));
            self.extend_session(&member_id);
        }
    }
}
