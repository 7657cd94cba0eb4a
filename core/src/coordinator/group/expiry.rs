//! Expiry: offsets that nobody uses go after their retention, groups without offsets and members go with them (KIP-211);
//! offsets of deleted topics go at once.

use std::collections::BTreeSet;

use ottla_protocol::Str;

use super::classic_group::{ClassicGroup, ClassicGroupState};
use super::offsets::{OffsetAndMetadata, partitions};
use super::record::GroupRecord;
use super::state::GroupState;
use super::timers::Timer;
use super::{Cx, Decided, GroupCoordinator, Undo};
use crate::time::{Instant, Timestamp};

/// Tombstones in one write; a sweep that needs more goes on with another.
const TOMBSTONES_MAX: usize = 1_000;
/// Groups looked at in one turn.
const GROUPS_PER_TURN_MAX: usize = 1_000;

/// How far the present sweep has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweep {
    /// The last group that was finished.
    after: Option<Str>,
    /// Topics whose offsets go.
    deleted_topics: BTreeSet<Str>,
}

impl GroupCoordinator {
    /// Topics were deleted: their offsets follow at the next tick, which is due now.
    pub fn topics_deleted(&mut self, now: Instant, topics: impl IntoIterator<Item = Str>) {
        let before = self.topic_sweep.deleted_topics.len();
        self.topic_sweep.deleted_topics.extend(topics);
        if self.topic_sweep.deleted_topics.len() > before {
            // Groups already swept may hold offsets of the new ones.
            self.topic_sweep.after = None;
            self.timers.set(Timer::DeletedTopics, now);
        }
    }

    /// Looks for expired offsets and abandoned groups.
    pub(super) fn expire(&mut self, cx: &Cx<'_>) -> Decided {
        let mut records = Vec::new();
        for _ in 0..GROUPS_PER_TURN_MAX {
            let Some(id) = cx.tip.next_group(self.expiry_sweep.after.as_ref()).cloned() else {
                self.expiry_sweep.after = None;
                self.set_expiry(cx.now.monotonic);
                return self.swept(records);
            };
            if !self.expire_group(cx, &id, &mut records) {
                break;
            }
            self.expiry_sweep.after = Some(id);
        }
        self.timers.set(Timer::Expiry, cx.now.monotonic);
        self.swept(records)
    }

    /// Sets when expired offsets are looked for next.
    pub(super) fn set_expiry(&mut self, now: Instant) {
        self.timers.set(Timer::Expiry, now.plus_ms(self.config.offsets_retention_check_interval_ms.max(1)));
    }

    /// Deletes the offsets of deleted topics.
    pub(super) fn expire_deleted_topics(&mut self, cx: &Cx<'_>) -> Decided {
        let mut records = Vec::new();
        for _ in 0..GROUPS_PER_TURN_MAX {
            let Some(id) = cx.tip.next_group(self.topic_sweep.after.as_ref()).cloned() else {
                self.topic_sweep = Sweep::default();
                return self.swept(records);
            };
            if !delete_topics(cx.tip, &id, &self.topic_sweep.deleted_topics, &mut records) {
                break;
            }
            self.topic_sweep.after = Some(id);
        }
        self.timers.set(Timer::DeletedTopics, cx.now.monotonic);
        self.swept(records)
    }

    /// A sweep could not write: it begins again later.
    pub(super) fn postpone_sweeps(&mut self, now: Instant) {
        self.expiry_sweep.after = None;
        self.topic_sweep.after = None;
        self.set_expiry(now);
        if !self.topic_sweep.deleted_topics.is_empty() {
            let deadline = now.plus_ms(self.config.offsets_retention_check_interval_ms.max(1));
            self.timers.set(Timer::DeletedTopics, deadline);
        }
    }

    fn swept(&mut self, records: Vec<GroupRecord>) -> Decided {
        if !records.is_empty() {
            self.undo = Some(Undo::Sweep);
        }
        Decided::records(records)
    }

    /// False when the write is full and the group is not finished.
    fn expire_group(&mut self, cx: &Cx<'_>, id: &Str, records: &mut Vec<GroupRecord>) -> bool {
        let Some(group) = self.view(cx.tip, id) else { return true };
        let mut all_expired = !cx.tip.has_open_transaction(id);
        if let Some(topics) = cx.tip.offsets().of_group(id) {
            let Some(base) = Base::of(&group) else { return true };
            for (topic, partition, offset) in partitions(topics) {
                let expired = !group.is_subscribed_to_topic(topic)
                    && base.expired(offset, cx.now.wall, self.config.offsets_retention_ms)
                    && !cx.tip.has_pending_transactional_offset(id, topic, partition);
                if !expired {
                    all_expired = false;
                    continue;
                }
                if records.len() >= TOMBSTONES_MAX {
                    return false;
                }
                records.push(GroupRecord::offset_tombstone(id, topic, partition));
            }
        }
        let idle = group.is(ClassicGroupState::Empty) && !group.has_pending();
        let written = cx
            .tip
            .group_metadata(id)
            .is_none_or(|value| value.members.is_empty() && value.generation == group.generation_id);
        if idle && all_expired {
            self.forget_group(id);
            records.push(GroupRecord::GroupMetadata { group: id.clone(), value: None });
        } else if idle && written {
            // The log says everything that there is to know.
            self.forget_group(id);
        }
        true
    }
}

/// From when an offset's retention counts.
enum Base {
    /// Since the group became empty.
    Since(Timestamp),
    /// Since the offset was committed.
    Commit,
}

impl Base {
    /// `None`: offsets of this group do not expire now.
    fn of(group: &ClassicGroup) -> Option<Self> {
        if group.protocol_type.is_none() {
            return Some(Self::Commit);
        }
        match group.state() {
            ClassicGroupState::Empty if group.state_timestamp >= 0 => {
                Some(Self::Since(group.state_timestamp))
            }
            ClassicGroupState::Empty => Some(Self::Commit),
            ClassicGroupState::Stable
                if group.uses_consumer_group_protocol() && group.subscribed_topics().is_some() =>
            {
                Some(Self::Commit)
            }
            _ => None,
        }
    }

    fn expired(&self, offset: &OffsetAndMetadata, now: Timestamp, retention_ms: Timestamp) -> bool {
        if offset.expire_timestamp >= 0 {
            return now >= offset.expire_timestamp;
        }
        let since = match self {
            Self::Since(timestamp) => *timestamp,
            Self::Commit => offset.commit_timestamp,
        };
        now.saturating_sub(since) >= retention_ms
    }
}

/// Tombstones for a group's offsets of `topics`; false when the write is full before the group is finished.
fn delete_topics(
    state: &GroupState,
    group: &Str,
    topics: &BTreeSet<Str>,
    records: &mut Vec<GroupRecord>,
) -> bool {
    let committed = state.offsets().of_group(group);
    let pending = state.transactional_offsets().filter_map(|offsets| offsets.of_group(group));
    let mut gone = BTreeSet::new();
    for offsets in committed.into_iter().chain(pending) {
        for (topic, partition, _) in partitions(offsets).filter(|(topic, ..)| topics.contains(*topic)) {
            if !gone.insert((topic.clone(), partition)) {
                continue;
            }
            if records.len() >= TOMBSTONES_MAX {
                return false;
            }
            records.push(GroupRecord::offset_tombstone(group, topic, partition));
        }
    }
    true
}
