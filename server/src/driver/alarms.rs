//! What the driver does at a time: ticks for machines whose deadline has passed, and a look at what was left behind.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ottla_core::broker::LifecycleEvent;
use ottla_core::broker::{ConnectionEvent, ShardEvent};
use ottla_core::controller::ControllerEvent;
use ottla_core::log::log_dirs::LogDirsEvent;

use super::Driver;
use super::connections::Client;
use super::ready::{Ready, Storage};
use super::slot::Timer;
use crate::dispatcher::Work;
use crate::store::Durable;

/// How long a machine may wait behind another on the same thread; it may be twice that before somebody looks.
const PATIENCE: Duration = Duration::from_millis(10);

/// What an alarm is for.
#[derive(Debug)]
pub(super) enum Target<S: Durable> {
    Client(Weak<Client<S>>),
    Storage(Storage),
    Leftovers,
}

#[derive(Debug)]
struct Alarm<S: Durable> {
    driver: Weak<Driver<S>>,
    target: Target<S>,
}

impl<S: Durable> Work for Alarm<S> {
    fn is_needed(&self) -> bool {
        match &self.target {
            Target::Client(_) | Target::Storage(_) => true,
            Target::Leftovers => self.driver.upgrade().is_some_and(|driver| driver.are_leftovers_stuck()),
        }
    }

    fn run(self: Arc<Self>) {
        let Some(driver) = self.driver.upgrade() else { return };
        match &self.target {
            Target::Client(client) => {
                if let Some(client) = client.upgrade() {
                    driver.client_alarm(&client);
                }
            }
            Target::Storage(storage) => driver.storage_alarm(*storage),
            Target::Leftovers => driver.run(Ready::default()),
        }
    }
}

impl<S: Durable> Driver<S> {
    /// Has somebody look at `target` at `at`.
    pub(super) fn set_alarm(&self, at: ottla_core::time::Instant, target: Target<S>) {
        self.set_alarm_at(self.clock.instant(at), target);
    }

    fn set_alarm_at(&self, at: Instant, target: Target<S>) {
        self.dispatcher.run_at(at, Arc::new(Alarm { driver: Weak::clone(&self.this), target }));
    }

    fn client_alarm(&self, client: &Arc<Client<S>>) {
        if self.is_due(&client.slot.timer, || Target::Client(Arc::downgrade(client)))
            && client.slot.mailbox.post(ConnectionEvent::Tick)
        {
            let mut ready = Ready::default();
            ready.client(Arc::clone(client));
            self.run(ready);
        }
    }

    fn storage_alarm(&self, storage: Storage) {
        if self.timer(storage).is_some_and(|timer| self.is_due(timer, || Target::Storage(storage))) {
            let mut ready = Ready::default();
            self.tick(storage, &mut ready);
            self.run(ready);
        }
    }

    /// Whether a deadline has passed; if it has moved, the alarm is set again.
    fn is_due(&self, timer: &Timer, target: impl FnOnce() -> Target<S>) -> bool {
        let is_due = timer.rang(self.clock.monotonic());
        if let Some(at) = timer.to_arm() {
            self.set_alarm(at, target());
        }
        is_due
    }

    pub(super) fn timer(&self, storage: Storage) -> Option<&Timer> {
        Some(match storage {
            Storage::Shard(shard) => &self.shards.get(shard)?.timer,
            Storage::Controller => &self.controller.timer,
            Storage::LogDirs => &self.log_dirs.timer,
            Storage::Lifecycle => &self.lifecycle.timer,
            // It waits for nothing.
            Storage::Quotas => return None,
        })
    }

    pub(super) fn tick(&self, storage: Storage, ready: &mut Ready<S>) {
        let is_free = match storage {
            Storage::Shard(shard) => {
                self.shards.get(shard).is_some_and(|slot| slot.mailbox.post(ShardEvent::Tick))
            }
            Storage::Controller => self.controller.mailbox.post(ControllerEvent::Tick),
            Storage::LogDirs => self.log_dirs.mailbox.post(LogDirsEvent::Tick),
            Storage::Lifecycle => self.lifecycle.mailbox.post(LifecycleEvent::Tick),
            Storage::Quotas => false,
        };
        if is_free {
            ready.storage(storage);
        }
    }

    /// Sees to it that somebody looks after the leftovers if this thread gets stuck.
    pub(super) fn watch_leftovers(&self) {
        if !self.leftovers.is_empty() && !self.leftovers.are_watched.swap(true, Ordering::SeqCst) {
            self.set_alarm_at(Instant::now() + PATIENCE, Target::Leftovers);
        }
    }

    /// Whether the oldest has waited for too long. The watch ends once nothing was left behind in a whole round.
    fn are_leftovers_stuck(&self) -> bool {
        let (left, oldest) = self.leftovers.look();
        if left {
            self.set_alarm_at(Instant::now() + PATIENCE, Target::Leftovers);
        } else {
            self.leftovers.are_watched.store(false, Ordering::SeqCst);
            // Somebody may have left something since, and found the watch still on.
            self.watch_leftovers();
        }
        oldest.is_some_and(|since| since.elapsed() >= PATIENCE)
    }
}
