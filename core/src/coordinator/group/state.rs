//! [`GroupState`]: what one partition of `__consumer_offsets` says.

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::Str;
use ottla_protocol::records::group::{GroupMetadataValue, OffsetCommitKey, OffsetCommitValue};
use rpds::RedBlackTreeMapSync;

use super::offsets::{OffsetAndMetadata, Offsets};
use super::record::{GroupRecord, group_of_other};
use crate::coordinator::ReplayAt;

/// The replicated state of a group coordinator: the groups that exist and their offsets. Cloning is O(1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupState {
    /// `None`: a simple group, known by its offsets alone.
    groups: RedBlackTreeMapSync<Str, Option<Arc<GroupMetadataValue>>>,
    offsets: Offsets,
    /// Offsets inside open transactions, by producer id.
    transactional: RedBlackTreeMapSync<i64, Offsets>,
    /// Records of group types that are not acted upon, by key.
    others: RedBlackTreeMapSync<Bytes, Bytes>,
    /// How many of those records each group has.
    other_groups: RedBlackTreeMapSync<Str, usize>,
}

impl GroupState {
    /// Whether the group exists, as a classic or simple one.
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Whether the name belongs to a group of another type (consumer, share, streams).
    pub fn is_other_group(&self, group: &str) -> bool {
        self.other_groups.contains_key(group)
    }

    /// A classic group's last settled generation.
    pub fn group_metadata(&self, group: &str) -> Option<&Arc<GroupMetadataValue>> {
        self.groups.get(group)?.as_ref()
    }

    /// All groups in the order of their names; `None` stands for a simple one.
    pub fn groups(&self) -> impl Iterator<Item = (&Str, Option<&Arc<GroupMetadataValue>>)> {
        self.groups.iter().map(|(group, value)| (group, value.as_ref()))
    }

    /// The first group past `after`.
    pub fn next_group(&self, after: Option<&Str>) -> Option<&Str> {
        use std::ops::Bound::{Excluded, Unbounded};
        let range = (after.map_or(Unbounded, Excluded), Unbounded);
        self.groups.range::<Str, _>(range).next().map(|(group, _)| group)
    }

    /// Committed offsets.
    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// Whether an open transaction holds an offset of this partition.
    pub fn has_pending_transactional_offset(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.transactional.values().any(|offsets| offsets.get(group, topic, partition).is_some())
    }

    /// Offsets inside open transactions, one collection per producer.
    pub fn transactional_offsets(&self) -> impl Iterator<Item = &Offsets> {
        self.transactional.values()
    }

    /// Whether an open transaction holds offsets of this group.
    pub fn has_open_transaction(&self, group: &str) -> bool {
        self.transactional.values().any(|offsets| offsets.of_group(group).is_some())
    }

    /// Applies one record.
    pub fn replay(&mut self, at: ReplayAt, record: &GroupRecord) {
        match record {
            GroupRecord::OffsetCommit { key, value } => self.replay_offset_commit(at, key, value.as_ref()),
            GroupRecord::GroupMetadata { group, value: Some(value) } => {
                self.groups.insert_mut(group.clone(), Some(Arc::clone(value)));
            }
            GroupRecord::GroupMetadata { group, value: None } => {
                self.groups.remove_mut(&**group);
            }
            GroupRecord::Other { key, value } => self.replay_other(key, value.as_ref()),
        }
    }

    /// A transaction of `producer_id` ended: its offsets count if it committed, unless a later commit was there first.
    pub fn replay_end_marker(&mut self, producer_id: i64, committed: bool) {
        let Some(pending) = self.transactional.get(&producer_id).cloned() else { return };
        self.transactional.remove_mut(&producer_id);
        if !committed {
            return;
        }
        for (group, topics) in pending.iter() {
            for (topic, partition, offset) in super::offsets::partitions(topics) {
                let before = self.offsets.get(group, topic, partition);
                if before.is_none_or(|before| before.record_offset < offset.record_offset) {
                    self.offsets.insert(group, topic, partition, offset.clone());
                }
            }
        }
    }

    fn replay_offset_commit(
        &mut self,
        at: ReplayAt,
        key: &OffsetCommitKey,
        value: Option<&OffsetCommitValue>,
    ) {
        let OffsetCommitKey { group, topic, partition, .. } = key;
        let Some(value) = value else {
            self.offsets.remove(group, topic, *partition);
            self.remove_transactional(group, topic, *partition);
            return;
        };
        if !self.has_group(group) && !self.is_other_group(group) {
            self.groups.insert_mut(group.clone(), None);
        }
        let offset = OffsetAndMetadata::from_record(value, at.offset);
        if at.producer_id < 0 {
            self.offsets.insert(group, topic, *partition, offset);
        } else {
            let mut offsets = self.transactional.get(&at.producer_id).cloned().unwrap_or_default();
            offsets.insert(group, topic, *partition, offset);
            self.transactional.insert_mut(at.producer_id, offsets);
        }
    }

    /// A deleted offset is deleted from open transactions too; an emptied transaction stays open.
    fn remove_transactional(&mut self, group: &Str, topic: &Str, partition: i32) {
        let holders: Vec<i64> = self
            .transactional
            .iter()
            .filter(|(_, offsets)| offsets.get(group, topic, partition).is_some())
            .map(|(producer_id, _)| *producer_id)
            .collect();
        for producer_id in holders {
            if let Some(mut offsets) = self.transactional.get(&producer_id).cloned() {
                offsets.remove(group, topic, partition);
                self.transactional.insert_mut(producer_id, offsets);
            }
        }
    }

    fn replay_other(&mut self, key: &Bytes, value: Option<&Bytes>) {
        let had = self.others.contains_key(key);
        match value {
            Some(value) => self.others.insert_mut(key.clone(), value.clone()),
            None => {
                self.others.remove_mut(key);
            }
        }
        let Some(group) = group_of_other(key) else { return };
        let count = self.other_groups.get(&*group).copied().unwrap_or(0);
        match (had, value.is_some()) {
            (false, true) => self.other_groups.insert_mut(group, count.saturating_add(1)),
            (true, false) if count <= 1 => {
                self.other_groups.remove_mut(&*group);
            }
            (true, false) => self.other_groups.insert_mut(group, count.saturating_sub(1)),
            _ => {}
        }
    }
}
