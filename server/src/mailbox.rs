//! Mailboxes: how threads drive machines without waiting for one another.
//!
//! Every event enters its machine's FIFO mailbox. A thread that posts and finds the machine free drives it itself. While it does,
//! others post and go on: whoever holds the machine sees their events when it gives it back. So an uncontended request
//! costs no thread hop, a machine never has two drivers, and no event is left behind.
//!
//! The primitives come from the parent module: `std`'s here, `loom`'s in `tests/mailbox_model.rs`, which tries every
//! interleaving.

use std::collections::VecDeque;
use std::fmt;

use super::sync::{Mutex, MutexGuard};

/// A machine and what it has not seen yet.
pub struct Mailbox<M, E> {
    inbox: Mutex<Inbox<M, E>>,
}

struct Inbox<M, E> {
    events: VecDeque<E>,
    /// `None` while a thread drives it.
    machine: Option<Box<M>>,
}

/// The right to drive a machine: at most one exists for each.
pub struct Turn<'a, M, E> {
    mailbox: &'a Mailbox<M, E>,
    /// Returned to the mailbox by `release` only.
    machine: Box<M>,
    events: VecDeque<E>,
}

impl<M, E> Mailbox<M, E> {
    /// A free machine with an empty mailbox.
    pub fn new(machine: M) -> Self {
        let inbox = Inbox { events: VecDeque::new(), machine: Some(Box::new(machine)) };
        Self { inbox: Mutex::new(inbox) }
    }

    /// Puts an event behind those that wait. `true` when the machine is free: then the caller is to
    /// [`claim`](Self::claim) it once it drives no other; else its present driver will see the event.
    #[must_use = "a free machine needs a driver"]
    pub fn post(&self, event: E) -> bool {
        let mut inbox = self.lock();
        inbox.events.push_back(event);
        inbox.machine.is_some()
    }

    /// How many events wait.
    pub fn waiting(&self) -> usize {
        self.lock().events.len()
    }

    /// What a machine says that nobody drives and nothing waits for.
    pub fn at_rest<R>(&self, look: impl FnOnce(&M) -> R) -> Option<R> {
        let inbox = self.lock();
        inbox.machine.as_deref().filter(|_| inbox.events.is_empty()).map(look)
    }

    /// Takes the machine and up to `events_max` events; `None` when another thread has it or nothing waits.
    pub fn claim(&self, events_max: usize) -> Option<Turn<'_, M, E>> {
        let mut inbox = self.lock();
        if inbox.events.is_empty() {
            return None;
        }
        let machine = inbox.machine.take()?;
        let events = if inbox.events.len() <= events_max {
            std::mem::take(&mut inbox.events)
        } else {
            inbox.events.drain(..events_max).collect()
        };
        Some(Turn { mailbox: self, machine, events })
    }

    fn lock(&self) -> MutexGuard<'_, Inbox<M, E>> {
        self.inbox.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<M, E> Turn<'_, M, E> {
    /// The machine.
    pub fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The next event of this turn.
    pub fn next_event(&mut self) -> Option<E> {
        self.events.pop_front()
    }

    /// Gives the machine back. `true` when more events wait: then it is the caller's to come again.
    #[must_use = "events that wait need a driver"]
    pub fn release(self) -> bool {
        let Self { mailbox, machine, events } = self;
        let mut inbox = mailbox.lock();
        inbox.machine = Some(machine);
        if inbox.events.is_empty() {
            // The turn's queue is kept for its room.
            inbox.events = events;
            return false;
        }
        true
    }
}

impl<M, E> fmt::Debug for Mailbox<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl<M, E> fmt::Debug for Turn<'_, M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("left", &self.events.len()).finish_non_exhaustive()
    }
}
