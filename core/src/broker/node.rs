//! A node: a handful of machines and the routes between them.
//!
//! Both shells build the same node with [`Node::open`] and differ only in how they drive it. Natively every machine gets a mailbox
//! and threads; the simulator and the page use [`Node::deliver`], which runs all of them from one queue.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::lifecycle::Myself;
use super::loggers::Levels;
use super::{
    Connection, ConnectionEvent, Lifecycle, LifecycleEvent, Message, Peer, Quotas, QuotasEvent, Shard,
    ShardEvent,
};
use crate::config::BrokerConfig;
use crate::controller::{self, Controller, ControllerEvent};
use crate::ids::{ConnectionId, ShardId};
use crate::log::log_dirs::{LogDirs, LogDirsEvent};
use crate::log::{LogStore, reserve};
use crate::machine::{Cx, Effect, LinkOwner, Machine, SyncCompletion, SyncOutcome, Waiter};
use crate::metadata::Published;
use crate::network::LinkEvent;
use crate::quorum::OpenError;
use crate::rng::Rng;
use crate::time::Instant;

/// The machines of a node.
#[derive(Clone, Debug)]
pub struct Node<S: LogStore> {
    /// The configuration they were built from.
    pub config: Arc<BrokerConfig>,
    /// By id.
    pub shards: Vec<Shard<S>>,
    /// The metadata quorum and its decisions.
    pub controller: Controller<S>,
    /// The keeper of the log directories.
    pub log_dirs: LogDirs<S>,
    /// What keeps the broker in its cluster.
    pub lifecycle: Lifecycle,
    /// What clients have used of it.
    pub quotas: Quotas,
    /// The metadata that new connections begin with.
    pub published: Arc<Published>,
    /// What a log would say of it.
    pub levels: Levels,
    /// Clients.
    pub connections: BTreeMap<ConnectionId, Connection<S>>,
    rng: Rng,
}

impl<S: LogStore> Node<S> {
    /// Opens what the log directories hold, formatting them when they are empty. The error is a sentence for the user.
    pub fn open(cx: &mut Cx<'_, S>, config: Arc<BrokerConfig>, seed: u64) -> Result<Self, String> {
        let mut rng = Rng::from_seed(seed);
        let controller_rng = rng.fork();
        let mut opened = controller::open(cx, &config, controller_rng.clone());
        if opened.as_ref().is_err_and(OpenError::is_no_space) {
            // What is kept back is for this: without its metadata the node could not serve reads either.
            reserve::give_back(cx.store, &config.metadata_log_dir).map_err(|error| error.to_string())?;
            opened = controller::open(cx, &config, controller_rng);
        }
        let (controller, published) = opened.map_err(|error| error.to_string())?;
        let (mut log_dirs, mut checkpoints) =
            LogDirs::open(cx, &config).map_err(|error| error.to_string())?;
        let is_alone = controller.is_alone();
        let mut found = None;
        if is_alone {
            log_dirs
                .set_strays_aside(cx, &mut checkpoints, &mut rng, &published.image)
                .map_err(|error| error.to_string())?;
            found = Some(Arc::new(checkpoints));
            if let Some(registered) = published.image.broker(config.node_id) {
                log_dirs.handle(cx, LogDirsEvent::Registered { epoch: registered.epoch });
            }
        } else {
            log_dirs.hold(checkpoints, rng.fork(), config.process_roles.broker);
        }
        let count = super::shard_count(&config);
        let mut shards = Vec::with_capacity(usize::from(count));
        for id in 0..count {
            let (config, found) = (config.clone(), found.clone());
            let mut shard = Shard::new(ShardId(id), count, config, found, cx.now.monotonic, rng.fork());
            shard.handle(cx, ShardEvent::Metadata(published.clone()));
            shards.push(shard);
        }
        // A node that is alone has registered its broker already.
        let registered = published.image.broker(config.node_id).filter(|_| is_alone);
        let me = Myself {
            incarnation_id: registered.map_or_else(|| rng.uuid(), |broker| broker.incarnation_id),
            directories: log_dirs.online().collect(),
            previous_epoch: log_dirs.previous_broker_epoch(),
        };
        let lifecycle = Lifecycle::new(config.clone(), count, me, published.clone(), is_alone);
        let (connections, quotas) = (BTreeMap::new(), Quotas::new(&config));
        let levels = Levels::default();
        Ok(Self {
            config,
            shards,
            controller,
            log_dirs,
            lifecycle,
            quotas,
            published,
            levels,
            connections,
            rng,
        })
    }

    /// A client came.
    pub fn connect(&mut self, peer: Peer) {
        let (id, shards) = (peer.id, u16::try_from(self.shards.len()).unwrap_or(1));
        let seed = self.rng.next_u64();
        let connection = Connection::new(peer, self.config.clone(), self.published.clone(), shards, seed);
        self.connections.insert(id, connection);
    }

    /// A client went.
    pub fn disconnect(&mut self, cx: &mut Cx<'_, S>, id: ConnectionId) -> Vec<Effect<S>> {
        if self.connections.remove(&id).is_some() {
            for shard in &mut self.shards {
                shard.handle(cx, ShardEvent::ConnectionClosed(id));
            }
            self.controller.handle(cx, ControllerEvent::ConnectionClosed(id));
            self.quotas.handle(cx, QuotasEvent::Forget(id));
        }
        self.settle(cx)
    }

    /// Hands a message to its machine, and all that follows from it to theirs; what concerns the outside is returned, in order.
    pub fn deliver(&mut self, cx: &mut Cx<'_, S>, message: Message<S>) -> Vec<Effect<S>> {
        self.run(cx, VecDeque::from([message]))
    }

    /// Carries out what the machines asked for outside of [`Node::deliver`]: at the start.
    pub fn settle(&mut self, cx: &mut Cx<'_, S>) -> Vec<Effect<S>> {
        self.run(cx, VecDeque::new())
    }

    fn run(&mut self, cx: &mut Cx<'_, S>, mut queue: VecDeque<Message<S>>) -> Vec<Effect<S>> {
        let mut outside = Vec::new();
        self.take_effects(cx, &mut queue, &mut outside);
        while let Some(message) = queue.pop_front() {
            match message {
                Message::Connection(id, event) => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.handle(cx, event);
                    }
                }
                Message::Shard(id, event) => {
                    if let Some(shard) = self.shards.get_mut(usize::from(id.0)) {
                        shard.handle(cx, event);
                    }
                }
                Message::Controller(event) => self.controller.handle(cx, event),
                Message::LogDirs(event) => self.log_dirs.handle(cx, event),
                Message::Lifecycle(event) => self.lifecycle.handle(cx, event),
                Message::Quotas(event) => self.quotas.handle(cx, event),
            }
            self.take_effects(cx, &mut queue, &mut outside);
        }
        outside
    }

    fn take_effects(
        &mut self,
        cx: &mut Cx<'_, S>,
        queue: &mut VecDeque<Message<S>>,
        outside: &mut Vec<Effect<S>>,
    ) {
        for effect in cx.effects.drain() {
            match effect {
                Effect::Tell(message) => queue.push_back(message),
                Effect::Publish(published) => {
                    self.published = published.clone();
                    queue.extend(announcements(self.shards.len(), self.connections.keys(), &published));
                }
                Effect::Close { connection, reason } => {
                    self.connections.remove(&connection);
                    let closed = |id| Message::Shard(ShardId(id), ShardEvent::ConnectionClosed(connection));
                    queue.extend((0..u16::try_from(self.shards.len()).unwrap_or(u16::MAX)).map(closed));
                    queue.push_back(Message::Controller(ControllerEvent::ConnectionClosed(connection)));
                    queue.push_back(Message::Quotas(QuotasEvent::Forget(connection)));
                    outside.push(Effect::Close { connection, reason });
                }
                Effect::SetLevels(changes) => self.levels.apply(&changes),
                Effect::SayLevels { connection, request } => {
                    let event = ConnectionEvent::Levels { request, levels: self.levels.clone() };
                    queue.push_back(Message::Connection(connection, event));
                }
                // No time passes while a machine works.
                Effect::Time(_) => {}
                effect => outside.push(effect),
            }
        }
    }

    /// Wakes every machine whose deadline has passed.
    pub fn tick(&mut self, cx: &mut Cx<'_, S>) -> Vec<Effect<S>> {
        let now = cx.now.monotonic;
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let mut due = Vec::new();
        for (id, shard) in (0..).zip(&self.shards) {
            if is_due(shard.deadline()) {
                due.push(Message::Shard(ShardId(id), ShardEvent::Tick));
            }
        }
        if is_due(self.controller.deadline()) {
            due.push(Message::Controller(ControllerEvent::Tick));
        }
        if is_due(self.log_dirs.deadline()) {
            due.push(Message::LogDirs(LogDirsEvent::Tick));
        }
        if is_due(Machine::<S>::deadline(&self.lifecycle)) {
            due.push(Message::Lifecycle(LifecycleEvent::Tick));
        }
        for (id, connection) in &self.connections {
            if is_due(connection.deadline()) {
                due.push(Message::Connection(*id, ConnectionEvent::Tick));
            }
        }
        due.into_iter().flat_map(|message| self.deliver(cx, message)).collect()
    }

    /// When [`Node::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let shards = self.shards.iter().filter_map(|shard| shard.deadline());
        let connections = self.connections.values().filter_map(|connection| connection.deadline());
        let others = [self.controller.deadline(), self.log_dirs.deadline()];
        let lifecycle = Machine::<S>::deadline(&self.lifecycle);
        shards.chain(connections).chain(others.into_iter().flatten()).chain(lifecycle).min()
    }

    /// The message that has the node's leaderships moved while it still serves its clients; they have when [`Effect::Relieved`] appears.
    pub fn leave_message() -> Message<S> {
        Message::Lifecycle(LifecycleEvent::Leave)
    }

    /// The message that begins a clean stop; it has ended when [`Effect::Stopped`] appears.
    pub fn stop_message() -> Message<S> {
        Message::Lifecycle(LifecycleEvent::Stop)
    }
}

/// Who is told of new metadata: shards before connections, so that a partition is there when a client hears of it.
/// The keeper of the log directories comes first: it knows what the shards may take.
pub fn announcements<'a, S: LogStore>(
    shards: usize,
    connections: impl Iterator<Item = &'a ConnectionId>,
    published: &Arc<Published>,
) -> Vec<Message<S>> {
    let others = [
        Message::LogDirs(LogDirsEvent::Metadata(published.clone())),
        Message::Lifecycle(LifecycleEvent::Metadata(published.clone())),
    ];
    let shards = (0..u16::try_from(shards).unwrap_or(u16::MAX))
        .map(|id| Message::Shard(ShardId(id), ShardEvent::Metadata(published.clone())));
    let connections =
        connections.map(|id| Message::Connection(*id, ConnectionEvent::Metadata(published.clone())));
    others.into_iter().chain(shards).chain(connections).collect()
}

/// The message that tells a machine what happened to one of its links.
pub fn linked<S: LogStore>(owner: LinkOwner, event: LinkEvent) -> Message<S> {
    match owner {
        LinkOwner::Controller => Message::Controller(ControllerEvent::Link(event)),
        LinkOwner::Shard(id) => Message::Shard(id, ShardEvent::Link(event)),
    }
}

/// The message that tells a machine how its sync ended.
pub fn synced<S: LogStore>(completion: SyncCompletion, outcome: SyncOutcome) -> Message<S> {
    let token = completion.token;
    match completion.waiter {
        Waiter::Controller => Message::Controller(ControllerEvent::Synced { token, outcome }),
        Waiter::Shard(id) => Message::Shard(id, ShardEvent::Synced { token, outcome }),
        Waiter::LogDirs => Message::LogDirs(LogDirsEvent::Synced { token, outcome }),
    }
}
