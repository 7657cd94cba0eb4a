//! A broker's machine in a simulated world: its process, when it runs, and its disk, which stays.

use std::sync::Arc;

use super::mutation::{Mutation, Planted};
use crate::broker::node::{linked, synced};
use crate::broker::{ConnectionEvent, Message, Node, Peer};
use crate::config::{BrokerConfig, Listener};
use crate::ids::ConnectionId;
use crate::log::LogStore;
use crate::machine::{Cx, Effect, Effects, LinkOwner, SyncCompletion, SyncOutcome};
use crate::network::LinkEvent;
use crate::record::Compressors;
use crate::time::{Instant, Now};
use crate::trace::{TraceEvent, Traces};

/// A machine that a broker runs on.
#[derive(Clone, Debug)]
pub struct Host<S: LogStore> {
    /// What the broker is started with.
    pub config: Arc<BrokerConfig>,
    /// Its disk.
    pub store: S,
    node: Option<Node<S>>,
    /// Of the process before, as it was at its end.
    remains: Option<Node<S>>,
    effects: Effects<S>,
    traces: Traces,
    compressors: Compressors,
    /// Counts its processes: what was meant for an earlier one is lost.
    incarnation: u64,
    /// When it was last driven.
    now: Now,
    /// Syncs that its start asked for and that have not ended: nobody is let in before.
    opening: usize,
    /// Clients have been let in.
    is_let_in: bool,
    /// ms that its wall clock is off.
    pub wall_off_ms: i64,
}

impl<S: LogStore + Clone> Host<S> {
    /// A machine that is switched on, and no broker on it.
    pub fn new(config: Arc<BrokerConfig>, store: S, planted: Planted) -> Self {
        Self {
            config,
            store,
            node: None,
            remains: None,
            effects: Effects::default(),
            traces: Traces::listening().with(planted),
            compressors: Compressors::default(),
            incarnation: 0,
            now: Now::default(),
            opening: 0,
            is_let_in: false,
            wall_off_ms: 0,
        }
    }

    /// The broker, when it runs.
    pub fn node(&self) -> Option<&Node<S>> {
        self.node.as_ref()
    }

    /// The broker, or as it was when its process ended: for whoever shows what is left of it.
    pub fn last_node(&self) -> Option<&Node<S>> {
        self.node.as_ref().or(self.remains.as_ref())
    }

    /// Counts its processes.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Starts the broker.
    pub fn start(&mut self, now: Now, seed: u64) -> Result<Vec<Effect<S>>, String> {
        self.incarnation += 1;
        self.is_let_in = false;
        self.now = now;
        let mut cx = Cx {
            now,
            store: &mut self.store,
            compressors: &self.compressors,
            effects: &mut self.effects,
            traces: &mut self.traces,
        };
        let mut node = Node::open(&mut cx, self.config.clone(), seed)?;
        let outside = node.settle(&mut cx);
        self.node = Some(node);
        self.remains = None;
        self.opening = outside.iter().filter(|effect| matches!(effect, Effect::Sync { .. })).count();
        Ok(outside)
    }

    /// Asks the broker to stop.
    pub fn stop(&mut self, now: Now) -> Vec<Effect<S>> {
        self.deliver(now, Node::stop_message())
    }

    /// The process is gone, whatever it was doing.
    pub fn crash(&mut self) {
        self.remains = self.node.take().or(self.remains.take());
        self.effects = Effects::default();
    }

    /// A client connected.
    pub fn connect(&mut self, peer: Peer) {
        if let Some(node) = &mut self.node {
            node.connect(peer);
        }
    }

    /// A client went.
    pub fn disconnect(&mut self, now: Now, connection: ConnectionId) -> Vec<Effect<S>> {
        self.with_node(now, |node, cx| node.disconnect(cx, connection))
    }

    /// A frame came in, without its length prefix.
    pub fn received(&mut self, now: Now, connection: ConnectionId, frame: bytes::Bytes) -> Vec<Effect<S>> {
        self.deliver(now, Message::Connection(connection, ConnectionEvent::Received(frame)))
    }

    /// Whether the broker runs, and what its start has written is durable: it lets clients in.
    pub fn is_open(&self) -> bool {
        self.node.is_some() && self.opening == 0
    }

    /// The listener of a port, if it accepts: the controllers' does once the node is open, the brokers' when the cluster has let the
    /// broker in.
    pub fn admits(&mut self, port: u16) -> Option<&str> {
        if !self.is_open() {
            return None;
        }
        let is_it = |listener: &&Listener| listener.port == port;
        if let Some(listener) = self.config.advertised_controller_listeners.iter().find(is_it) {
            return Some(&listener.name);
        }
        let node = self.node.as_ref()?;
        let image = &node.published.image;
        self.is_let_in |= match self.traces.planted().is(Mutation::ServedBeforeRegistered) {
            false => node.lifecycle.identity().is_let_in(image),
            true => image.broker(self.config.node_id).is_some_and(|broker| !broker.fenced),
        };
        let listener = self.config.advertised_listeners.iter().find(is_it).filter(|_| self.is_let_in);
        listener.map(|listener| listener.name.as_str())
    }

    /// Something happened to a link of one of its machines.
    pub fn linked(&mut self, now: Now, owner: LinkOwner, event: LinkEvent) -> Vec<Effect<S>> {
        self.deliver(now, linked(owner, event))
    }

    /// A sync ended. Those of a machine end in the order in which they were asked for.
    pub fn synced(&mut self, now: Now, completion: SyncCompletion, outcome: SyncOutcome) -> Vec<Effect<S>> {
        self.opening = self.opening.saturating_sub(1);
        self.deliver(now, synced(completion, outcome))
    }

    fn deliver(&mut self, now: Now, message: Message<S>) -> Vec<Effect<S>> {
        self.with_node(now, |node, cx| node.deliver(cx, message))
    }

    /// Wakes what is due.
    pub fn tick(&mut self, now: Now) -> Vec<Effect<S>> {
        self.with_node(now, |node, cx| node.tick(cx))
    }

    /// When [`Host::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.node.as_ref().and_then(Node::deadline)
    }

    /// The broker and its disk as they would be had everything that waits to be opened been opened at once: what a checker looks at.
    pub fn all_open(&self) -> Option<(Node<S>, S)> {
        let (mut node, mut store) = (self.node.clone()?, self.store.clone());
        let (mut effects, mut traces) = (Effects::default(), Traces::default().with(self.traces.planted()));
        let mut cx = Cx {
            now: self.now,
            store: &mut store,
            compressors: &self.compressors,
            effects: &mut effects,
            traces: &mut traces,
        };
        node.shards.iter_mut().for_each(|shard| shard.open_all(&mut cx));
        Some((node, store))
    }

    /// What was traced since the last call.
    pub fn take_traces(&mut self) -> Vec<TraceEvent> {
        self.traces.take()
    }

    fn with_node(
        &mut self,
        now: Now,
        act: impl FnOnce(&mut Node<S>, &mut Cx<'_, S>) -> Vec<Effect<S>>,
    ) -> Vec<Effect<S>> {
        let Some(node) = &mut self.node else { return Vec::new() };
        self.now = now;
        let mut cx = Cx {
            now,
            store: &mut self.store,
            compressors: &self.compressors,
            effects: &mut self.effects,
            traces: &mut self.traces,
        };
        act(node, &mut cx)
    }
}
