//! The clients that are connected, and the metadata that they start with.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_core::broker::Connection;
use ottla_core::ids::ConnectionId;
use ottla_core::metadata::Published;
use tokio::sync::Notify;

use super::slot::Slot;
use crate::outbox::Outbox;
use crate::store::Durable;

/// A client's machine and its transport.
pub(super) struct Client<S: Durable> {
    pub(super) id: ConnectionId,
    pub(super) slot: Slot<S, Connection<S>>,
    pub(super) outbox: Arc<dyn Outbox>,
    /// What the machine said at the end of its last turn.
    wants_more: AtomicBool,
    /// Its transport has stopped reading and waits to be told.
    is_paused: AtomicBool,
    pub(super) resumed: Arc<Notify>,
}

/// Requests that may wait in the mailbox of a machine that another thread drives.
const WAITING_MAX: usize = 16;

/// All clients of a node.
#[derive(Debug)]
pub(super) struct Connections<S: Durable> {
    table: Mutex<Table<S>>,
}

#[derive(Debug)]
struct Table<S: Durable> {
    clients: HashMap<ConnectionId, Arc<Client<S>>>,
    next: u64,
    seed: u64,
    published: Arc<Published>,
}

impl<S: Durable> Connections<S> {
    pub(super) fn new(published: Arc<Published>, seed: u64) -> Self {
        Self { table: Mutex::new(Table { clients: HashMap::new(), next: 0, seed, published }) }
    }

    /// Adds a client; `make` gets its number, the newest metadata and a seed. No metadata is published in between.
    pub(super) fn add(
        &self,
        outbox: Arc<dyn Outbox>,
        make: impl FnOnce(ConnectionId, Arc<Published>, u64) -> Slot<S, Connection<S>>,
    ) -> Arc<Client<S>> {
        let mut table = self.table();
        let id = ConnectionId(table.next);
        table.next += 1;
        // Each connection draws from a stream of its own: the node's seed, stepped by an odd number.
        let seed = table.seed.wrapping_add(id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let client = Arc::new(Client {
            id,
            slot: make(id, Arc::clone(&table.published), seed),
            outbox,
            wants_more: AtomicBool::new(true),
            is_paused: AtomicBool::new(false),
            resumed: Arc::default(),
        });
        table.clients.insert(id, Arc::clone(&client));
        client
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<Arc<Client<S>>> {
        self.table().clients.get(&id).cloned()
    }

    pub(super) fn remove(&self, id: ConnectionId) {
        let removed = self.table().clients.remove(&id);
        drop(removed);
    }

    /// Takes newer metadata for those to come, and tells those that are there.
    pub(super) fn publish(&self, published: &Arc<Published>, mut tell: impl FnMut(&Arc<Client<S>>)) {
        let mut table = self.table();
        table.published = Arc::clone(published);
        table.clients.values().for_each(&mut tell);
    }

    pub(super) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.table().published)
    }

    pub(super) fn len(&self) -> usize {
        self.table().clients.len()
    }

    fn table(&self) -> MutexGuard<'_, Table<S>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Durable> Client<S> {
    pub(super) fn set_wants_more(&self, wants_more: bool) {
        self.wants_more.store(wants_more, Ordering::SeqCst);
    }

    /// Whether its transport may read on; if not, it will be told at the end of a turn.
    pub(super) fn wants_more(&self) -> bool {
        let wants_more =
            || self.wants_more.load(Ordering::SeqCst) && self.slot.mailbox.waiting() < WAITING_MAX;
        if wants_more() {
            return true;
        }
        self.is_paused.store(true, Ordering::SeqCst);
        // The turn that would have told it may have ended just before.
        wants_more()
    }

    /// Whether the transport waits to be told that a turn has ended.
    pub(super) fn is_paused_no_more(&self) -> bool {
        self.is_paused.load(Ordering::SeqCst) && self.is_paused.swap(false, Ordering::SeqCst)
    }
}

impl<S: Durable> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("id", &self.id).field("outbox", &self.outbox).finish_non_exhaustive()
    }
}
