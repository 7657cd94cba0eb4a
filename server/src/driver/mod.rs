//! The driver: the machines of one node, the routes between them, and how threads take their turns.
//!
//! Whoever brings an event drives the machine it is for, and then the machines that were told something meanwhile. Machines
//! that may touch a disk (shards, controller, log directories) come last, one at a time, and what waits behind them is left where
//! any thread can take it: a stalled disk delays nobody else.

mod alarms;
mod connections;
mod links;
mod meters;
mod ready;
mod session;
mod slot;
mod syncer;
mod time;

use std::fmt;
use std::sync::{Arc, Weak};

use ottla_core::broker::{
    ConnectionEvent, Identity, Lifecycle, LifecycleEvent, Message, Node, Quotas, QuotasEvent, Shard,
    ShardEvent, node,
};
use ottla_core::config::BrokerConfig;
use ottla_core::controller::Controller;
use ottla_core::ids::ShardId;
use ottla_core::log::log_dirs::{LogDirs, LogDirsEvent};
use ottla_core::machine::{Cx, Effect, Effects, Machine, Waiter};
use ottla_core::metadata::Published;
use ottla_core::record::compression::Compressors;
use ottla_core::trace::Traces;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::dispatcher::Dispatcher;
use crate::events::{Events, Watched};
use crate::logging;
use crate::store::Durable;
use alarms::Target;
use connections::{Client, Connections};
use links::Links;
use meters::Meters;
use ready::{Leftovers, Ready, Storage};
use slot::{Seat, Slot, Timer};
use syncer::Syncer;
pub use time::Clock;

/// Events that a machine handles before its thread looks after others.
const EVENTS_MAX: usize = 64;

/// One node.
pub struct Driver<S: Durable> {
    this: Weak<Self>,
    config: Arc<BrokerConfig>,
    identity: Identity,
    shards: Box<[Slot<S, Shard<S>>]>,
    controller: Slot<S, Controller<S>>,
    log_dirs: Slot<S, LogDirs<S>>,
    lifecycle: Slot<S, Lifecycle>,
    quotas: Slot<S, Quotas>,
    connections: Connections<S>,
    leftovers: Leftovers,
    links: Links,
    /// The metadata log's syncs do not queue behind those of partitions.
    quorum_syncer: Syncer<S>,
    syncer: Syncer<S>,
    store: S,
    compressors: Compressors,
    clock: Clock,
    dispatcher: Dispatcher,
    events: Events,
    meters: Meters,
    halt: Box<dyn Fn(&str) + Send + Sync>,
    relieved: Notify,
    stopped: Notify,
    published: Notify,
}

/// What a driver is built from, besides the node.
pub struct Surroundings<S> {
    /// Files.
    pub store: S,
    /// The compressors lent to machines.
    pub compressors: Compressors,
    /// The clocks.
    pub clock: Clock,
    /// The thread for timers and wakes.
    pub dispatcher: Dispatcher,
    /// Where syncs run.
    pub runtime: Handle,
    /// Called with the reason when the node cannot go on.
    pub halt: Box<dyn Fn(&str) + Send + Sync>,
    /// From which connections draw their randomness.
    pub seed: u64,
}

impl<S: Durable> Driver<S> {
    /// Opens a node's files, which may take a while, and wakes every machine once. The error is a sentence for the user.
    pub fn open(config: Arc<BrokerConfig>, around: Surroundings<S>) -> Result<Arc<Self>, String> {
        let Surroundings { mut store, compressors, clock, dispatcher, runtime, halt, seed } = around;
        let (mut asked, mut traces) = (Effects::default(), Traces::default());
        let mut cx = Cx {
            now: clock.now(),
            store: &mut store,
            compressors: &compressors,
            effects: &mut asked,
            traces: &mut traces,
        };
        let node = Node::open(&mut cx, config, seed)?;
        traces.take().iter().for_each(logging::happened);
        let driver = Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            config: node.config,
            identity: node.lifecycle.identity(),
            shards: node.shards.into_iter().map(|shard| Slot::new(shard, &store)).collect(),
            controller: Slot::new(node.controller, &store),
            log_dirs: Slot::new(node.log_dirs, &store),
            lifecycle: Slot::new(node.lifecycle, &store),
            quotas: Slot::new(node.quotas, &store),
            connections: Connections::new(node.published, seed),
            leftovers: Leftovers::default(),
            links: Links::new(runtime.clone()),
            quorum_syncer: Syncer::new(runtime.clone()),
            syncer: Syncer::new(runtime),
            store,
            compressors,
            clock,
            dispatcher,
            events: Events::default(),
            meters: Meters::default(),
            halt,
            relieved: Notify::new(),
            stopped: Notify::new(),
            published: Notify::new(),
        });
        let mut ready = Ready::default();
        // Nobody is let in before what the start has written is durable: a leader epoch that a client has seen is never begun again.
        let mut syncs = Vec::new();
        for effect in asked.drain() {
            match effect {
                Effect::Sync { targets, then } => syncs.push((targets, then)),
                effect => driver.perform(effect, None, &mut ready),
            }
        }
        let outcomes = syncer::sync_all(&driver.store, &syncs);
        for ((_, then), outcome) in syncs.iter().zip(outcomes) {
            driver.post(node::synced(*then, outcome), &mut ready);
        }
        for storage in driver.all_storage() {
            driver.tick(storage, &mut ready);
        }
        driver.run(ready);
        Ok(driver)
    }

    /// Tells a machine something and drives whatever that sets in motion.
    pub fn tell(&self, message: Message<S>) {
        let mut ready = Ready::default();
        self.post(message, &mut ready);
        self.run(ready);
    }

    /// Has the leaderships of the node moved elsewhere, and waits until that is done; clients are still served.
    pub async fn leave(&self) {
        self.tell(Node::leave_message());
        self.relieved.notified().await;
    }

    /// Begins a clean stop and waits for its end: everything flushed, checkpoints and `.kafka_cleanshutdown` written.
    pub async fn stop(&self) {
        self.tell(Node::stop_message());
        self.stopped.notified().await;
    }

    /// The newest metadata that was published.
    pub fn published(&self) -> Arc<Published> {
        self.connections.published()
    }

    /// Waits until the broker may serve clients: the cluster has let it in.
    pub async fn let_in(&self) {
        loop {
            let published = self.published.notified();
            if self.identity.is_let_in(&self.published().image) {
                return;
            }
            published.await;
        }
    }

    /// The configuration it was opened with.
    pub fn config(&self) -> &Arc<BrokerConfig> {
        &self.config
    }

    /// Clients connected just now.
    pub fn connected(&self) -> usize {
        self.connections.len()
    }

    /// Drives until nothing is left to drive.
    fn run(&self, mut ready: Ready<S>) {
        loop {
            while let Some(client) = ready.next_client() {
                if self.turn_client(&client, &mut ready) {
                    ready.client(client);
                }
            }
            let Some(storage) = ready.next_storage(&self.leftovers) else { return };
            self.watch_leftovers();
            if self.turn_storage(storage, &mut ready) {
                ready.storage(storage);
            }
        }
    }

    fn turn_client(&self, client: &Arc<Client<S>>, ready: &mut Ready<S>) -> bool {
        let more = self.turn(&client.slot, Some(client), ready, |machine| {
            client.set_wants_more(machine.wants_more());
        });
        client.outbox.flush();
        if client.is_paused_no_more() {
            self.dispatcher.wake(Arc::clone(&client.resumed));
        }
        if let Some(at) = client.slot.timer.to_arm() {
            self.set_alarm(at, Target::Client(Arc::downgrade(client)));
        }
        more == Some(true)
    }

    fn turn_storage(&self, storage: Storage, ready: &mut Ready<S>) -> bool {
        let more = match storage {
            Storage::Shard(shard) => match self.shards.get(shard) {
                Some(slot) => self.turn(slot, None, ready, |_| ()),
                None => None,
            },
            Storage::Controller => self.turn(&self.controller, None, ready, |_| ()),
            Storage::LogDirs => self.turn(&self.log_dirs, None, ready, |_| ()),
            Storage::Lifecycle => self.turn(&self.lifecycle, None, ready, |_| ()),
            Storage::Quotas => self.turn(&self.quotas, None, ready, |_| ()),
        };
        if let Some(at) = self.timer(storage).and_then(Timer::to_arm) {
            self.set_alarm(at, Target::Storage(storage));
        }
        more == Some(true)
    }

    /// One turn of a machine. `None` when another thread has it or nothing waits for it; else whether more waits.
    fn turn<M: Machine<S>>(
        &self,
        slot: &Slot<S, M>,
        client: Option<&Arc<Client<S>>>,
        ready: &mut Ready<S>,
        at_the_end: impl FnOnce(&M),
    ) -> Option<bool> {
        let mut turn = slot.mailbox.claim(EVENTS_MAX)?;
        while let Some(event) = turn.next_event() {
            let Seat { machine, store, effects, traces } = turn.machine();
            let now = self.clock.now();
            traces.listen(self.events.are_watched() || logging::wants_traces());
            let _turn =
                tracing::trace_span!(target: "kafka.server", "turn", machine = std::any::type_name::<M>())
                    .entered();
            let mut cx = Cx { now, store, compressors: &self.compressors, effects, traces };
            machine.handle(&mut cx, event);
            for effect in effects.drain() {
                match effect {
                    Effect::Time(connection) => {
                        let spent = self.clock.now().monotonic - now.monotonic;
                        let us = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
                        self.post(Message::Quotas(QuotasEvent::Spent(connection, us)), ready);
                    }
                    effect => self.perform(effect, client, ready),
                }
            }
            for event in traces.take() {
                logging::happened(&event);
                self.events.happened(now.wall, event);
            }
        }
        let machine = &turn.machine().machine;
        slot.timer.set(machine.deadline());
        at_the_end(machine);
        Some(turn.release())
    }

    /// Carries out an effect as far as that is possible while a machine is held: nothing here waits or drives.
    fn perform(&self, effect: Effect<S>, client: Option<&Arc<Client<S>>>, ready: &mut Ready<S>) {
        match effect {
            Effect::Tell(message) => self.post(message, ready),
            Effect::Send { connection, frame } => match client.filter(|client| client.id == connection) {
                Some(client) => client.outbox.push(frame),
                None => {
                    if let Some(client) = self.connections.get(connection) {
                        client.outbox.push(frame);
                        ready.client(client);
                    }
                }
            },
            Effect::Close { connection, reason } => {
                if let Some(client) = self.connections.get(connection) {
                    client.outbox.close(&reason);
                }
            }
            Effect::Sync { targets, then } => {
                if let Some(driver) = self.this.upgrade() {
                    self.syncer(then.waiter).add(targets, then, driver);
                }
            }
            Effect::Link { owner, effect } => self.links.perform(owner, effect, &self.this),
            Effect::Answered(answered) => {
                let connection = client.map_or(0, |client| client.id.0);
                logging::answered(connection, &answered);
                self.meters.answered(connection, &answered);
            }
            Effect::Measured(measured) => self.meters.measured(*measured),
            Effect::Publish(published) => self.publish(&published, ready),
            // Only who has seen the event begin can say.
            Effect::Time(_) => {}
            Effect::SetLevels(changes) => logging::set_levels(&changes),
            Effect::SayLevels { connection, request } => {
                let event = ConnectionEvent::Levels { request, levels: logging::levels() };
                self.post(Message::Connection(connection, event), ready);
            }
            Effect::Halt { reason } => (self.halt)(&reason),
            Effect::Relieved => self.relieved.notify_one(),
            Effect::Stopped => self.stopped.notify_one(),
        }
    }

    fn publish(&self, published: &Arc<Published>, ready: &mut Ready<S>) {
        self.post(Message::LogDirs(LogDirsEvent::Metadata(Arc::clone(published))), ready);
        self.post(Message::Lifecycle(LifecycleEvent::Metadata(Arc::clone(published))), ready);
        for (index, slot) in self.shards.iter().enumerate() {
            if slot.mailbox.post(ShardEvent::Metadata(Arc::clone(published))) {
                ready.storage(Storage::Shard(index));
            }
        }
        self.connections.publish(published, |client| {
            if client.slot.mailbox.post(ConnectionEvent::Metadata(Arc::clone(published))) {
                ready.client(Arc::clone(client));
            }
        });
        self.published.notify_waiters();
    }

    fn post(&self, message: Message<S>, ready: &mut Ready<S>) {
        match message {
            Message::Connection(id, event) => {
                let Some(client) = self.connections.get(id) else { return };
                if client.slot.mailbox.post(event) {
                    ready.client(client);
                }
            }
            Message::Shard(ShardId(shard), event) => {
                let shard = usize::from(shard);
                if self.shards.get(shard).is_some_and(|slot| slot.mailbox.post(event)) {
                    ready.storage(Storage::Shard(shard));
                }
            }
            Message::Controller(event) => {
                if self.controller.mailbox.post(event) {
                    ready.storage(Storage::Controller);
                }
            }
            Message::LogDirs(event) => {
                if self.log_dirs.mailbox.post(event) {
                    ready.storage(Storage::LogDirs);
                }
            }
            Message::Lifecycle(event) => {
                if self.lifecycle.mailbox.post(event) {
                    ready.storage(Storage::Lifecycle);
                }
            }
            Message::Quotas(event) => {
                if self.quotas.mailbox.post(event) {
                    ready.storage(Storage::Quotas);
                }
            }
        }
    }

    fn syncer(&self, waiter: Waiter) -> &Syncer<S> {
        match waiter {
            Waiter::Controller => &self.quorum_syncer,
            Waiter::Shard(_) | Waiter::LogDirs => &self.syncer,
        }
    }

    fn all_storage(&self) -> impl Iterator<Item = Storage> {
        (0..self.shards.len()).map(Storage::Shard).chain([
            Storage::Controller,
            Storage::LogDirs,
            Storage::Lifecycle,
        ])
    }
}

impl<S: Durable> Watched for Driver<S> {
    fn events(&self) -> &Events {
        &self.events
    }

    fn survey(&self) {
        let mut ready = Ready::default();
        for (index, slot) in self.shards.iter().enumerate() {
            if slot.mailbox.post(ShardEvent::Survey) {
                ready.storage(Storage::Shard(index));
            }
        }
        self.run(ready);
    }
}

impl<S: Durable> fmt::Debug for Driver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shards = self.shards.len();
        f.debug_struct("Driver")
            .field("shards", &shards)
            .field("connected", &self.connected())
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Surroundings<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Surroundings")
    }
}
