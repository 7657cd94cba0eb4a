//! Which partitions of a shard have something to do, and when: nobody looks at the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::TopicIdPartition;
use crate::time::Instant;

/// The deadlines of partitions, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Due {
    by_time: BTreeSet<(Instant, TopicIdPartition)>,
    by_partition: BTreeMap<TopicIdPartition, Instant>,
}

impl Due {
    /// A partition's deadline is this now.
    pub fn set(&mut self, id: TopicIdPartition, deadline: Option<Instant>) {
        let before = match deadline {
            Some(at) => self.by_partition.insert(id, at),
            None => self.by_partition.remove(&id),
        };
        if before != deadline {
            before.map(|at| self.by_time.remove(&(at, id)));
            self.by_time.extend(deadline.map(|at| (at, id)));
        }
    }

    /// The earliest deadline.
    pub fn first(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// The partition whose deadline has passed first by `now`.
    pub fn next(&self, now: Instant) -> Option<TopicIdPartition> {
        self.by_time.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }

    /// The partitions whose deadlines have passed by `now`, earliest first.
    pub fn by(&self, now: Instant) -> Vec<TopicIdPartition> {
        self.by_time.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::Uuid;

    use super::*;

    #[test]
    fn a_deadline_that_moves_leaves_nothing_behind() {
        let id = |partition| TopicIdPartition { topic_id: Uuid::ZERO, partition };
        let mut due = Due::default();
        assert_eq!(due.first(), None);
        due.set(id(1), Some(Instant(20)));
        due.set(id(2), Some(Instant(10)));
        assert_eq!((due.first(), due.by(Instant(20))), (Some(Instant(10)), vec![id(2), id(1)]));
        due.set(id(2), Some(Instant(30)));
        assert_eq!((due.first(), due.by(Instant(25))), (Some(Instant(20)), vec![id(1)]));
        due.set(id(1), None);
        due.set(id(2), None);
        assert_eq!((due.first(), due.by(Instant(99))), (None, vec![]));
    }
}
