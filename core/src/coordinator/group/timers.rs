//! The deadlines of the groups on one coordinator: an enum and a table.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::Str;

use crate::time::Instant;

/// What a deadline is for; setting it again moves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A member's session, or a pending member's time to come back with its id.
    Session { group: Str, member: Str },
    /// The end of a group's join phase.
    Join { group: Str },
    /// The end of a group's sync phase.
    Sync { group: Str },
    /// The next look for expired offsets.
    Expiry,
    /// Offsets of deleted topics are to go.
    DeletedTopics,
}

/// What the join phase does when its deadline passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum JoinPhase {
    /// Complete with whoever has joined.
    #[default]
    Complete,
    /// The first rebalance of an empty group: extend while new members keep coming and time remains.
    Initial { delay_ms: i32, remaining_ms: i32 },
}

/// All deadlines, in order; equal ones in the order of their timers.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    deadlines: BTreeMap<Timer, Instant>,
    queue: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    /// Sets a timer, or moves it.
    pub fn set(&mut self, timer: Timer, deadline: Instant) {
        if let Some(before) = self.deadlines.insert(timer.clone(), deadline) {
            self.queue.remove(&(before, timer.clone()));
        }
        self.queue.insert((deadline, timer));
    }

    /// Forgets a timer.
    pub fn cancel(&mut self, timer: &Timer) {
        if let Some(deadline) = self.deadlines.remove(timer) {
            self.queue.remove(&(deadline, timer.clone()));
        }
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// Takes the earliest timer whose deadline has passed.
    pub fn take_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.queue.pop_first()?;
        self.deadlines.remove(&timer);
        Some(timer)
    }
}
