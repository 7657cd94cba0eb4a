//! The group coordinator: members share partitions among themselves, and commit how far they read.
//!
//! One [`GroupCoordinator`] lives beside each partition of `__consumer_offsets` that the node leads, driven by the
//! decide/replay [`Runtime`](crate::coordinator::Runtime). [`GroupState`] is what the partition says: groups at the end of their last
//! rebalance, and committed offsets. The coordinator itself is soft: members' sessions, parked joins and syncs, a rebalance on its way.
//! Groups are of the classic protocol; records of other types are kept and not acted upon.
//!
//! | file | what happens there |
//! |---|---|
//! | `join_group` `sync_group` `heartbeat` `leave_group` | one API each |
//! | `rebalance` | join phase, sync phase, deadlines |
//! | `offset_commit` `offset_fetch` `offset_delete` | offsets, and deleting groups |
//! | `describe_groups` | describing and listing |
//! | `expiry` | retention of offsets and groups |
//! | `classic_group` `member` `turn` `timers` | soft state |
//! | `state` `offsets` `record` | replicated state and its log |

mod classic_group;
mod config;
mod describe_groups;
mod expiry;
mod heartbeat;
mod join_group;
mod leave_group;
mod member;
mod offset_commit;
mod offset_delete;
pub mod offset_fetch;
pub mod offsets;
mod rebalance;
mod record;
mod request;
mod state;
mod subscription;
mod sync_group;
#[cfg(test)]
mod tests;
mod timers;
mod turn;

use std::borrow::Cow;
use std::collections::BTreeMap;

use ottla_protocol::records::group::GroupMetadataValue;
use ottla_protocol::{ErrorCode, Str};

use self::classic_group::ClassicGroup;
use self::expiry::Sweep;
use self::member::ClassicGroupMember;
use self::timers::{Timer, Timers};
use self::turn::Turn;
use crate::coordinator::{Coordinator, DecideCx, Decision, ReplayAt, Token};
use crate::time::{Instant, Now, Timestamp};
use crate::trace::TraceEvent;

pub use classic_group::ClassicGroupState;
pub use config::GroupConfig;
pub use record::GroupRecord;
pub use request::{GroupRequest, GroupResponse};
pub use state::GroupState;

/// The partition of `__consumer_offsets` whose leader coordinates `group`, of `partitions` in all: Kafka's rule, Java's string hash.
pub fn partition_for(group: &str, partitions: i32) -> i32 {
    let hash =
        group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.checked_abs().and_then(|hash| hash.checked_rem(partitions)).unwrap_or(0)
}

type Cx<'a> = DecideCx<'a, GroupState>;
type Decided = Decision<GroupCoordinator>;

/// Traces that nobody fetched, kept at most.
const TRACES_MAX: usize = 10_000;

/// The soft state of a group coordinator.
#[derive(Clone, Debug)]
pub struct GroupCoordinator {
    config: GroupConfig,
    /// Groups with members, or of which more is known than the log says.
    groups: BTreeMap<Str, ClassicGroup>,
    timers: Timers,
    expiry_sweep: Sweep,
    topic_sweep: Sweep,
    /// What to take back should the last decision's records not be written.
    undo: Option<Undo>,
    traces: Vec<TraceEvent>,
}

/// What a failed append takes back.
#[derive(Clone, Debug)]
enum Undo {
    /// A group that did not exist.
    NewGroup { group: Str },
    /// An assignment: the group rebalances once more.
    Assignment { group: Str },
    /// A static member's new id.
    StaticMember { group: Str, new_member_id: Str, old: Box<ClassicGroupMember> },
    /// Tombstones of a sweep.
    Sweep,
}

impl GroupCoordinator {
    /// A coordinator that knows of no group yet; see [`Coordinator::loaded`].
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            groups: BTreeMap::new(),
            timers: Timers::default(),
            expiry_sweep: Sweep::default(),
            topic_sweep: Sweep::default(),
            undo: None,
            traces: Vec::new(),
        }
    }

    /// The state of a group that has members or is getting them, as Kafka names it.
    pub fn state_of(&self, group: &str) -> Option<&'static str> {
        self.groups.get(group).map(|group| group.state().name())
    }

    /// New settings; they count from the next request on.
    pub fn set_config(&mut self, config: GroupConfig) {
        self.config = config;
    }

    /// What happened to groups and offsets since the last call.
    pub fn take_traces(&mut self) -> Vec<TraceEvent> {
        std::mem::take(&mut self.traces)
    }

    /// The node does not lead the partition any more: everybody who waits is told NOT_COORDINATOR.
    pub fn unloaded(&mut self) -> Vec<(Token, GroupResponse)> {
        let mut replies = Vec::new();
        for (_, mut group) in std::mem::take(&mut self.groups) {
            refuse_parked(&mut group, ErrorCode::NotCoordinator, &mut replies);
        }
        *self = Self::new(self.config.clone());
        replies
    }

    fn exists(&self, state: &GroupState, id: &Str) -> bool {
        self.groups.contains_key(id) || state.has_group(id)
    }

    /// The group as it is now, to be looked at; `None` too when the name belongs to a group of another type.
    fn view(&self, state: &GroupState, id: &Str) -> Option<Cow<'_, ClassicGroup>> {
        if state.is_other_group(id) {
            return None;
        }
        match self.groups.get(id) {
            Some(group) => Some(Cow::Borrowed(group)),
            None if state.has_group(id) => Some(Cow::Owned(from_state(state, id))),
            None => None,
        }
    }

    /// The group as it is now, if the committed log knows of it.
    fn committed_view(&self, cx: &Cx<'_>, id: &Str) -> Option<Cow<'_, ClassicGroup>> {
        if cx.committed.has_group(id) { self.view(cx.committed, id) } else { None }
    }

    /// The group as it is now, to be changed.
    fn turn<'a>(&'a mut self, tip: &GroupState, now: Now, id: &'a Str) -> Option<Turn<'a>> {
        if !self.groups.contains_key(id) {
            if !tip.has_group(id) || tip.is_other_group(id) {
                return None;
            }
            self.restore(tip, now, id);
        }
        let Self { config, groups, timers, undo, traces, .. } = self;
        let group = groups.get_mut(id)?;
        Some(Turn { id, group, timers, config, now, decided: Decided::none(), undo, traces })
    }

    /// Takes a group from the log into soft state, its members' sessions beginning now.
    fn restore(&mut self, state: &GroupState, now: Now, id: &Str) {
        let group = from_state(state, id);
        for member in group.members() {
            let timer = Timer::Session { group: id.clone(), member: member.member_id.clone() };
            self.timers.set(timer, now.monotonic.plus_ms(i64::from(member.session_timeout_ms)));
        }
        self.groups.insert(id.clone(), group);
    }

    /// Drops a group's soft state and its timers.
    fn forget_group(&mut self, id: &Str) -> Option<ClassicGroup> {
        let group = self.groups.remove(id)?;
        for member in group.member_ids().into_iter().chain(group.pending_ids()) {
            self.timers.cancel(&Timer::Session { group: id.clone(), member });
        }
        self.timers.cancel(&Timer::Join { group: id.clone() });
        self.timers.cancel(&Timer::Sync { group: id.clone() });
        Some(group)
    }

    fn begin(&mut self) {
        self.undo = None;
        if self.traces.len() > TRACES_MAX {
            self.traces.clear();
        }
    }
}

impl Coordinator for GroupCoordinator {
    type State = GroupState;
    type Record = GroupRecord;
    type Request = GroupRequest;
    type Response = GroupResponse;

    fn decide(
        &mut self,
        cx: &mut DecideCx<'_, GroupState>,
        token: Token,
        request: GroupRequest,
    ) -> Decision<Self> {
        self.begin();
        match request {
            GroupRequest::JoinGroup { version, client_id, client_host, request } => {
                let client = join_group::Client { version, client_id, client_host };
                self.join_group(cx, token, &client, request)
            }
            GroupRequest::SyncGroup { version, request } => self.sync_group(cx, token, version, &request),
            GroupRequest::Heartbeat(request) => self.heartbeat(cx, token, &request),
            GroupRequest::LeaveGroup { version, request } => self.leave_group(cx, token, version, &request),
            GroupRequest::OffsetCommit { version, request } => {
                self.offset_commit(cx, token, version, &request)
            }
            GroupRequest::OffsetFetch { group, require_stable } => {
                offset_fetch::offset_fetch(cx, token, &group, require_stable)
            }
            GroupRequest::DescribeGroups { version, groups } => {
                self.describe_groups(cx, token, version, &groups)
            }
            GroupRequest::ListGroups(request) => self.list_groups(cx, token, &request),
            GroupRequest::DeleteGroups { groups } => self.delete_groups(cx, token, &groups),
            GroupRequest::OffsetDelete(request) => self.offset_delete(cx, token, &request),
        }
    }

    fn tick(&mut self, cx: &mut DecideCx<'_, GroupState>) -> Decision<Self> {
        self.begin();
        let Some(timer) = self.timers.take_due(cx.now.monotonic) else { return Decision::none() };
        let id = match &timer {
            Timer::Expiry => return self.expire(cx),
            Timer::DeletedTopics => return self.expire_deleted_topics(cx),
            Timer::Session { group, .. } | Timer::Join { group } | Timer::Sync { group } => group,
        };
        if !self.groups.contains_key(id) {
            return Decision::none();
        }
        let Some(mut turn) = self.turn(cx.tip, cx.now, id) else { return Decision::none() };
        match &timer {
            Timer::Session { member, .. } => turn.session_expired(member),
            Timer::Join { .. } => turn.join_deadline_passed(),
            Timer::Sync { .. } => turn.sync_deadline_passed(),
            Timer::Expiry | Timer::DeletedTopics => {}
        }
        turn.decided
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn replay(state: &mut GroupState, at: ReplayAt, record: &GroupRecord) {
        state.replay(at, record);
    }

    fn loaded(&mut self, now: Now, state: &GroupState) {
        self.begin();
        self.set_expiry(now.monotonic);
        let with_members =
            state.groups().filter(|(_, value)| value.is_some_and(|value| !value.members.is_empty()));
        let ids: Vec<Str> = with_members.map(|(id, _)| id.clone()).collect();
        for id in &ids {
            let Some(mut turn) = self.turn(state, now, id) else { continue };
            turn.trace();
            let max = usize::try_from(turn.config.max_size).unwrap_or(0);
            if turn.group.member_count() > max {
                // `group.max.size` was lowered: the members get to commit, then the last to come back are refused.
                turn.prepare_rebalance();
            }
        }
    }

    fn append_failed(
        &mut self,
        now: Now,
        error: ErrorCode,
        replies: Vec<(Token, GroupResponse)>,
    ) -> Vec<(Token, GroupResponse)> {
        let error = request::append_error(error);
        self.traces.clear();
        let mut failed: Vec<_> =
            replies.into_iter().map(|(token, response)| (token, response.failed(error))).collect();
        match self.undo.take() {
            None => {}
            Some(Undo::Sweep) => self.postpone_sweeps(now.monotonic),
            Some(Undo::NewGroup { group }) => {
                if let Some(mut group) = self.forget_group(&group) {
                    refuse_parked(&mut group, error, &mut failed);
                }
            }
            Some(Undo::Assignment { group }) => {
                if let Some(mut turn) = self.turn(&GroupState::default(), now, &group) {
                    turn.propagate_error(error);
                    turn.prepare_rebalance();
                    failed.append(&mut turn.decided.replies);
                }
            }
            Some(Undo::StaticMember { group, new_member_id, old }) => {
                if let Some(mut turn) = self.turn(&GroupState::default(), now, &group) {
                    let old_member_id = old.member_id.clone();
                    turn.cancel_session(&new_member_id);
                    turn.group.restore_static_member(&new_member_id, *old);
                    turn.extend_session(&old_member_id);
                }
            }
        }
        failed
    }
}

/// A group that soft state does not know: what the log says, or a simple group.
fn from_state(state: &GroupState, id: &Str) -> ClassicGroup {
    state.group_metadata(id).map_or_else(|| ClassicGroup::new(-1), |value| ClassicGroup::from_record(value))
}

/// The record of a group that was just created.
fn empty_group_record(id: &Str, now: Timestamp) -> GroupRecord {
    let value = GroupMetadataValue { current_state_timestamp: now, ..GroupMetadataValue::default() };
    GroupRecord::GroupMetadata { group: id.clone(), value: Some(value.into()) }
}

/// Answers every parked request of a group.
fn refuse_parked(group: &mut ClassicGroup, error: ErrorCode, replies: &mut Vec<(Token, GroupResponse)>) {
    for member_id in group.member_ids() {
        if let Some(waiting) = group.take_awaiting_join(&member_id) {
            let response = join_group::refusal(waiting.version, member_id.clone(), error);
            replies.push((waiting.token, GroupResponse::JoinGroup(response)));
        }
        if let Some(waiting) = group.take_awaiting_sync(&member_id) {
            replies.push((waiting.token, GroupResponse::SyncGroup(sync_group::refusal(error))));
        }
    }
}
