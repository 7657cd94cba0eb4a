//! Where a machine sits: its mailbox, what it is lent, and its timer.

use std::sync::atomic::{AtomicU64, Ordering};

use ottla_core::log::LogStore;
use ottla_core::machine::{Effects, Machine};
use ottla_core::time::Instant;
use ottla_core::trace::Traces;

use crate::mailbox::Mailbox;

/// A machine in its place.
#[derive(Debug)]
pub(super) struct Slot<S: LogStore, M: Machine<S>> {
    pub(super) mailbox: Mailbox<Seat<S, M>, M::Event>,
    pub(super) timer: Timer,
}

/// What the thread that drives a machine has in its hands.
#[derive(Debug)]
pub(super) struct Seat<S: LogStore, M> {
    pub(super) machine: M,
    pub(super) store: S,
    pub(super) effects: Effects<S>,
    pub(super) traces: Traces,
}

impl<S: LogStore + Clone, M: Machine<S>> Slot<S, M> {
    pub(super) fn new(machine: M, store: &S) -> Self {
        let seat =
            Seat { machine, store: store.clone(), effects: Effects::default(), traces: Traces::default() };
        Self { mailbox: Mailbox::new(seat), timer: Timer::default() }
    }
}

/// A machine's deadline, and the earliest alarm that is set for it.
///
/// Deadlines move with almost every request, mostly to later; alarms are left as they are and look at the deadline when they ring.
#[derive(Debug)]
pub(super) struct Timer {
    deadline: AtomicU64,
    armed: AtomicU64,
}

/// No deadline, no alarm.
const NEVER: u64 = u64::MAX;

impl Timer {
    /// The machine's deadline after a turn.
    pub(super) fn set(&self, deadline: Option<Instant>) {
        self.deadline.store(deadline.map_or(NEVER, |at| at.0), Ordering::SeqCst);
    }

    /// When the caller is to set an alarm, because none rings early enough.
    pub(super) fn to_arm(&self) -> Option<Instant> {
        let deadline = self.deadline.load(Ordering::SeqCst);
        (deadline < self.armed.fetch_min(deadline, Ordering::SeqCst)).then_some(Instant(deadline))
    }

    /// An alarm rang. `true` when the deadline has passed; else [`to_arm`](Self::to_arm) is to be asked again.
    pub(super) fn rang(&self, now: Instant) -> bool {
        self.armed.store(NEVER, Ordering::SeqCst);
        let deadline = self.deadline.load(Ordering::SeqCst);
        // Until the machine has seen its tick, the passed deadline is not to set another alarm.
        let passed = deadline <= now.0;
        if passed {
            let _ = self.deadline.compare_exchange(deadline, NEVER, Ordering::SeqCst, Ordering::SeqCst);
        }
        passed
    }
}

impl Default for Timer {
    fn default() -> Self {
        Self { deadline: AtomicU64::new(NEVER), armed: AtomicU64::new(NEVER) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_serves_later_deadlines_too() {
        let timer = Timer::default();
        assert_eq!(timer.to_arm(), None);
        timer.set(Some(Instant(500)));
        assert_eq!(timer.to_arm(), Some(Instant(500)));
        assert_eq!(timer.to_arm(), None);
        timer.set(Some(Instant(900)));
        assert_eq!(timer.to_arm(), None);
        assert!(!timer.rang(Instant(500)));
        assert_eq!(timer.to_arm(), Some(Instant(900)));
        timer.set(Some(Instant(600)));
        assert_eq!(timer.to_arm(), Some(Instant(600)));
        assert!(timer.rang(Instant(600)));
        assert_eq!(timer.to_arm(), None);
        timer.set(None);
        assert!(!timer.rang(Instant(900)));
    }
}
