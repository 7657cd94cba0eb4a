//! Two versions of one state: what is committed, and what is appended.

use std::collections::VecDeque;

/// A state of which every appended version is kept until it commits. Cloning `S` is O(1).
#[derive(Clone, Debug)]
pub struct Replicated<S> {
    committed: S,
    /// (offset of the last record of a write, the state after it).
    pending: VecDeque<(i64, S)>,
    tip: S,
}

impl<S: Clone> Replicated<S> {
    /// A state that is committed as it stands.
    pub fn new(state: S) -> Self {
        Self { committed: state.clone(), pending: VecDeque::new(), tip: state }
    }

    /// Every record up to the high watermark.
    pub fn committed(&self) -> &S {
        &self.committed
    }

    /// Every appended record.
    pub fn tip(&self) -> &S {
        &self.tip
    }

    /// The tip, to be changed by replay; call [`Replicated::appended`] after the last record of the write.
    pub fn tip_mut(&mut self) -> &mut S {
        &mut self.tip
    }

    /// A write ended at `last_offset`.
    pub fn appended(&mut self, last_offset: i64) {
        self.pending.push_back((last_offset, self.tip.clone()));
    }

    /// Everything below `high_watermark` is committed.
    pub fn committed_up_to(&mut self, high_watermark: i64) {
        while self.pending.front().is_some_and(|(offset, _)| *offset < high_watermark) {
            if let Some((_, state)) = self.pending.pop_front() {
                self.committed = state;
            }
        }
    }

    /// The offset of the last write that is not committed.
    pub fn last_pending(&self) -> Option<i64> {
        self.pending.back().map(|(offset, _)| *offset)
    }

    /// Forgets every write at or past `offset`.
    pub fn revert_to(&mut self, offset: i64) {
        self.pending.retain(|(last, _)| *last < offset);
        self.tip = self.pending.back().map_or_else(|| self.committed.clone(), |(_, state)| state.clone());
    }
}
