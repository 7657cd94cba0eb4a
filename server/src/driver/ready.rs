//! What a thread has yet to drive, and what it leaves to others.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::connections::Client;
use crate::store::Durable;

/// A machine that is no client's; all but the last two may touch a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    Shard(usize),
    Controller,
    LogDirs,
    Lifecycle,
    Quotas,
}

/// The machines that a thread found free when it told them something.
#[derive(Debug)]
pub(super) struct Ready<S: Durable> {
    clients: VecDeque<Arc<Client<S>>>,
    storage: Vec<Storage>,
}

/// Machines whose thread is busy with another one; any thread that has nothing else to do takes them.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    left: Mutex<Left>,
    pub(super) are_watched: AtomicBool,
}

#[derive(Debug, Default)]
struct Left {
    queue: VecDeque<(Instant, Storage)>,
    /// Something was left since the last look.
    is_news: bool,
}

impl<S: Durable> Ready<S> {
    pub(super) fn client(&mut self, client: Arc<Client<S>>) {
        self.clients.push_back(client);
    }

    pub(super) fn storage(&mut self, storage: Storage) {
        if !self.storage.contains(&storage) {
            self.storage.push(storage);
        }
    }

    /// Clients go first: they never wait for a disk.
    pub(super) fn next_client(&mut self) -> Option<Arc<Client<S>>> {
        self.clients.pop_front()
    }

    /// One machine to be driven now; what is ready besides is left to whoever is first.
    pub(super) fn next_storage(&mut self, leftovers: &Leftovers) -> Option<Storage> {
        match self.storage.len() {
            0 => leftovers.take(),
            1 => self.storage.pop(),
            _ => {
                let now = Instant::now();
                let first = self.storage.remove(0);
                leftovers.leave(self.storage.drain(..).map(|storage| (now, storage)));
                Some(first)
            }
        }
    }
}

impl<S: Durable> Default for Ready<S> {
    fn default() -> Self {
        Self { clients: VecDeque::new(), storage: Vec::new() }
    }
}

impl Leftovers {
    fn leave(&self, storage: impl Iterator<Item = (Instant, Storage)>) {
        let mut left = self.lock();
        left.queue.extend(storage);
        left.is_news = true;
    }

    fn take(&self) -> Option<Storage> {
        self.lock().queue.pop_front().map(|(_, storage)| storage)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// Whether anything was left since the last look, and since when the oldest waits.
    pub(super) fn look(&self) -> (bool, Option<Instant>) {
        let mut left = self.lock();
        let oldest = left.queue.front().map(|(since, _)| *since);
        (std::mem::take(&mut left.is_news) || oldest.is_some(), oldest)
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
