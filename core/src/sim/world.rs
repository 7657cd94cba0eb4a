//! [`World`]: hosts, clients and the links between them, run from one queue of events.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::Str;

use super::Losses;
use super::mutation::Planted;
use super::{Disk, Host, Network};
use crate::broker::Peer;
use crate::client::{LinkEffect, LinkEvent, LinkId, Target};
use crate::config::BrokerConfig;
use crate::ids::ConnectionId;
use crate::machine::{Chunk, Effect, Frame, SyncCompletion};
use crate::record::Compressors;
use crate::rng::Rng;
use crate::time::{Instant, Now, Timestamp};
use crate::trace::TraceEvent;

/// How long a disk takes to sync, in microseconds: at least, at most.
const SYNC_US: (u64, u64) = (500, 4_000);
/// Events of one instant before a world is said to be stuck.
const EVENTS_PER_INSTANT_MAX: u32 = 100_000;
/// Bytes in front of every frame.
const LENGTH_PREFIX: usize = 4;

/// What a world begins with.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Everything random comes from it.
    pub seed: u64,
    /// The wall clock at the beginning, ms.
    pub wall_start: Timestamp,
    /// How messages travel.
    pub network: Network,
}

impl Default for WorldConfig {
    fn default() -> Self {
        // 2026-01-01 00:00:00 UTC.
        Self { seed: 0, wall_start: 1_767_225_600_000, network: Network::default() }
    }
}

/// A client process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId(pub u32);

/// What runs outside of brokers: a tool in a terminal, a producer of a workload.
pub trait Program: Clone + std::fmt::Debug {
    /// What its user may tell it.
    type Input;

    /// One of its links changed, its user said something, or a deadline passed. A fresh program is ticked first.
    fn handle(&mut self, now: Now, compressors: &Compressors, event: ProgramEvent<Self::Input>);

    /// When it wants to be ticked.
    fn deadline(&self) -> Option<Instant>;

    /// What to do with its links.
    fn take_effects(&mut self) -> Vec<LinkEffect>;
}

/// What happens to a program.
#[derive(Clone, Debug)]
pub enum ProgramEvent<I> {
    /// Of one of its links.
    Link(LinkEvent),
    /// Of its user.
    Input(I),
    /// A deadline passed.
    Tick,
}

#[derive(Clone, Debug)]
struct Process<P> {
    program: P,
    tick_at: Option<Instant>,
}

/// A world.
#[derive(Clone, Debug)]
pub struct World<S: Disk, P> {
    now: Instant,
    config: WorldConfig,
    rng: Rng,
    queue: BTreeMap<(Instant, u64), Event<S::Pending>>,
    next_event: u64,
    hosts: BTreeMap<i32, Host<S>>,
    host_ticks: BTreeMap<i32, Instant>,
    last_sync: BTreeMap<i32, Instant>,
    processes: BTreeMap<ProcessId, Process<P>>,
    next_process: u32,
    links: BTreeMap<ConnectionId, Link>,
    next_connection: u64,
    traces: Vec<(Instant, i32, TraceEvent)>,
    planted: Planted,
    tally: Tally,
    hash: u64,
    at_this_instant: u32,
}

/// What happened to messages and disks so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events in all.
    pub events: u64,
    /// Frames that were sent.
    pub frames: u64,
    /// Frames that took longer than any network without faults.
    pub frames_delayed: u64,
    /// Frames that were on their way when their connection broke.
    pub frames_lost: u64,
    /// Brokers that ended because they could not go on.
    pub halts: u64,
    /// What power losses did to disks.
    pub losses: Losses,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.frames += other.frames;
        self.frames_delayed += other.frames_delayed;
        self.frames_lost += other.frames_lost;
        self.halts += other.halts;
        self.losses += other.losses;
    }
}

/// A connection, seen from both ends.
#[derive(Clone, Debug)]
struct Link {
    process: ProcessId,
    link: LinkId,
    host: i32,
    incarnation: u64,
    last_to_host: Instant,
    last_to_client: Instant,
}

#[derive(Clone, Debug)]
enum Event<D> {
    /// A client's connection reaches the host.
    Connect {
        connection: ConnectionId,
    },
    /// A frame reaches the host.
    ToHost {
        connection: ConnectionId,
        frame: Bytes,
    },
    /// The host sees that the client has closed.
    CloseAtHost {
        connection: ConnectionId,
    },
    /// Something reaches the client.
    ToClient {
        connection: ConnectionId,
        event: LinkEvent,
    },
    /// Nobody listens there.
    Refused {
        process: ProcessId,
        link: LinkId,
        reason: String,
    },
    Synced {
        host: i32,
        incarnation: u64,
        completion: SyncCompletion,
        pending: D,
    },
    HostTick {
        host: i32,
    },
    ProcessTick {
        process: ProcessId,
    },
}

impl<S: Disk, P: Program> World<S, P> {
    /// An empty world.
    pub fn new(config: WorldConfig) -> Self {
        Self {
            now: Instant(0),
            rng: Rng::from_seed(config.seed),
            config,
            queue: BTreeMap::new(),
            next_event: 0,
            hosts: BTreeMap::new(),
            host_ticks: BTreeMap::new(),
            last_sync: BTreeMap::new(),
            processes: BTreeMap::new(),
            next_process: 0,
            links: BTreeMap::new(),
            next_connection: 0,
            traces: Vec::new(),
            planted: Planted::default(),
            tally: Tally::default(),
            hash: 0xcbf2_9ce4_8422_2325,
            at_this_instant: 0,
        }
    }

    /// The virtual time.
    pub fn now(&self) -> Now {
        let wall = self.config.wall_start + i64::try_from(self.now.0 / 1_000).unwrap_or(0);
        Now { monotonic: self.now, wall }
    }

    /// Randomness for what is decided outside of the queue.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// A digest of everything that happened so far.
    pub fn trace_hash(&self) -> u64 {
        self.hash
    }

    /// What happened to messages and disks so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Events that are still to come.
    pub fn pending_events(&self) -> usize {
        self.queue.len()
    }

    /// Brokers' machines by id.
    pub fn hosts(&self) -> impl Iterator<Item = (i32, &Host<S>)> {
        self.hosts.iter().map(|(id, host)| (*id, host))
    }

    /// A broker's machine.
    pub fn host_mut(&mut self, id: i32) -> Option<&mut Host<S>> {
        self.hosts.get_mut(&id)
    }

    /// What brokers traced since the last call: when, who, what.
    pub fn take_traces(&mut self) -> Vec<(Instant, i32, TraceEvent)> {
        std::mem::take(&mut self.traces)
    }

    /// Every machine set up from now on has this bug.
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
    }

    /// Sets up a machine and starts its broker.
    pub fn add_host(&mut self, config: Arc<BrokerConfig>, store: S) -> Result<(), String> {
        let id = config.node_id;
        self.hosts.insert(id, Host::new(config, store, self.planted));
        self.start_host(id)
    }

    /// Starts the broker of a machine where none runs.
    pub fn start_host(&mut self, id: i32) -> Result<(), String> {
        let (now, seed) = (self.now(), self.rng.next_u64());
        let Some(host) = self.hosts.get_mut(&id) else { return Err(format!("there is no broker {id}")) };
        let effects = host.start(now, seed)?;
        self.carry_out(id, effects);
        Ok(())
    }

    /// Asks the broker to stop; where it was stands still once it has.
    pub fn stop_host(&mut self, id: i32) {
        let now = self.now();
        let effects = self.hosts.get_mut(&id).map(|host| host.stop(now));
        self.carry_out(id, effects.unwrap_or_default());
    }

    /// Kills the broker's process; its disk keeps what was written. What was on its way to clients arrives, or is lost with the
    /// connections.
    pub fn crash_host(&mut self, id: i32) {
        if let Some(host) = self.hosts.get_mut(&id) {
            host.crash();
        }
        let broken: Vec<ConnectionId> =
            self.links.iter().filter(|(_, link)| link.host == id).map(|(id, _)| *id).collect();
        let reset = self.rng.chance(1, 2);
        for connection in broken {
            if reset {
                self.reset(connection);
            } else {
                self.closed_by_host(connection, "the broker is gone");
            }
        }
    }

    /// The machine's power is lost: the process is gone, and what the disk had not written.
    pub fn power_loss(&mut self, id: i32) {
        self.crash_host(id);
        let mut rng = self.rng.fork();
        if let Some(host) = self.hosts.get_mut(&id) {
            self.tally.losses += host.store.power_loss(&mut rng);
        }
    }

    /// When the last of what a host has sent arrives.
    pub fn last_arrival(&self, id: i32) -> Instant {
        let links = self.links.values().filter(|link| link.host == id);
        links.map(|link| link.last_to_client).max().unwrap_or(self.now)
    }

    /// How messages travel from now on.
    pub fn set_network(&mut self, network: Network) {
        self.config.network = network;
    }

    /// Cuts a connection of those there are, chosen at random; what was on its way is lost. False when there is none.
    pub fn cut_connection(&mut self) -> bool {
        let chosen = self.rng.below(self.links.len() as u64);
        let chosen = self.links.keys().nth(usize::try_from(chosen).unwrap_or(0)).copied();
        let Some(link) = chosen.and_then(|connection| Some((connection, self.reset(connection)?))) else {
            return false;
        };
        let (connection, Link { host: host_id, incarnation, .. }) = link;
        let now = self.now();
        let alive = |host: &&mut Host<S>| host.incarnation() == incarnation;
        let effects = self.hosts.get_mut(&host_id).filter(alive).map(|host| host.disconnect(now, connection));
        self.carry_out(host_id, effects.unwrap_or_default());
        true
    }

    /// Breaks a connection: the client hears of it, what was on its way is lost.
    fn reset(&mut self, connection: ConnectionId) -> Option<Link> {
        let link = self.links.remove(&connection)?;
        let at = Instant(self.now.0 + self.config.network.delay_max_us);
        let reason = "connection reset".to_owned();
        self.schedule(at, Event::Refused { process: link.process, link: link.link, reason });
        Some(link)
    }

    /// Runs a program.
    pub fn spawn(&mut self, program: P) -> ProcessId {
        let id = ProcessId(self.next_process);
        self.next_process += 1;
        self.processes.insert(id, Process { program, tick_at: Some(self.now) });
        self.schedule(self.now, Event::ProcessTick { process: id });
        id
    }

    /// A program that runs.
    pub fn program(&self, id: ProcessId) -> Option<&P> {
        self.processes.get(&id).map(|process| &process.program)
    }

    /// A program that runs, to take from it what it has for its user.
    pub fn program_mut(&mut self, id: ProcessId) -> Option<&mut P> {
        self.processes.get_mut(&id).map(|process| &mut process.program)
    }

    /// Tells a program something.
    pub fn tell(&mut self, id: ProcessId, input: P::Input) {
        self.pass(id, ProgramEvent::Input(input));
    }

    fn pass(&mut self, id: ProcessId, event: ProgramEvent<P::Input>) {
        let now = self.now();
        let Some(process) = self.processes.get_mut(&id) else { return };
        process.program.handle(now, &Compressors::default(), event);
        self.after_process(id);
    }

    /// Forgets a process: its connections break.
    pub fn reap(&mut self, id: ProcessId) {
        self.processes.remove(&id);
        let its: Vec<ConnectionId> =
            self.links.iter().filter(|(_, link)| link.process == id).map(|(id, _)| *id).collect();
        for connection in its {
            self.close_by_client(connection);
        }
    }

    /// When the next event happens.
    pub fn next_event_at(&self) -> Option<Instant> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// Lets the next event happen; false when there is none up to `until`, where the clock then stands.
    pub fn step(&mut self, until: Instant) -> bool {
        match self.queue.first_key_value() {
            Some(((at, _), _)) if *at <= until => {}
            _ => {
                self.now = self.now.max(until);
                return false;
            }
        }
        let Some(((at, number), event)) = self.queue.pop_first() else { return false };
        self.at_this_instant = if at > self.now { 0 } else { self.at_this_instant + 1 };
        assert!(
            self.at_this_instant < EVENTS_PER_INSTANT_MAX,
            "time stands still at {:?}: somebody asks to be woken and does nothing, lately {event:?}",
            self.now
        );
        self.now = self.now.max(at);
        self.digest(&at.0.to_le_bytes());
        self.digest(&number.to_le_bytes());
        self.tally.events += 1;
        self.happen(event);
        true
    }

    /// Lets everything happen up to `until`.
    pub fn run_until(&mut self, until: Instant) {
        while self.step(until) {}
    }

    fn digest(&mut self, bytes: &[u8]) {
        self.hash = bytes
            .iter()
            .fold(self.hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }

    fn schedule(&mut self, at: Instant, event: Event<S::Pending>) {
        self.queue.insert((at, self.next_event), event);
        self.next_event += 1;
    }

    fn happen(&mut self, event: Event<S::Pending>) {
        let now = self.now();
        match event {
            Event::Connect { connection } => self.connected(connection),
            Event::ToHost { connection, frame } => {
                self.digest(&frame);
                let Some(host) = self.host_of(connection) else { return self.tally.frames_lost += 1 };
                let effects = self.hosts.get_mut(&host).map(|host| host.received(now, connection, frame));
                self.carry_out(host, effects.unwrap_or_default());
            }
            Event::CloseAtHost { connection } => {
                let Some(host) = self.host_of(connection) else { return };
                self.links.remove(&connection);
                let effects = self.hosts.get_mut(&host).map(|host| host.disconnect(now, connection));
                self.carry_out(host, effects.unwrap_or_default());
            }
            Event::ToClient { connection, event } => {
                let Some(link) = self.links.get(&connection) else {
                    return self.tally.frames_lost += u64::from(matches!(event, LinkEvent::Received(..)));
                };
                let process = link.process;
                if let LinkEvent::Received(_, frame) = &event {
                    let frame = frame.clone();
                    self.digest(&frame);
                }
                if matches!(event, LinkEvent::Closed(..)) {
                    self.links.remove(&connection);
                }
                self.pass(process, ProgramEvent::Link(event));
            }
            Event::Refused { process, link, reason } => {
                self.pass(process, ProgramEvent::Link(LinkEvent::Closed(link, reason)));
            }
            Event::Synced { host, incarnation, completion, pending } => {
                let Some(entry) = self.hosts.get_mut(&host).filter(|host| host.incarnation() == incarnation)
                else {
                    return;
                };
                let outcome = entry.store.synced(pending);
                let effects = entry.synced(now, completion, outcome);
                self.carry_out(host, effects);
            }
            // An alarm that was set again since is not the one.
            Event::HostTick { host } => {
                if self.host_ticks.get(&host) != Some(&self.now) {
                    return;
                }
                self.host_ticks.remove(&host);
                let effects = self.hosts.get_mut(&host).map(|host| host.tick(now));
                self.carry_out(host, effects.unwrap_or_default());
            }
            Event::ProcessTick { process } => {
                let Some(entry) = self.processes.get_mut(&process) else { return };
                if entry.tick_at.take_if(|at| *at == self.now).is_none() {
                    return;
                }
                self.pass(process, ProgramEvent::Tick);
            }
        }
    }

    /// The host of a connection, while it is the process that was connected to.
    fn host_of(&self, connection: ConnectionId) -> Option<i32> {
        let link = self.links.get(&connection)?;
        let host = self.hosts.get(&link.host)?;
        (host.incarnation() == link.incarnation && host.node().is_some()).then_some(link.host)
    }

    fn connected(&mut self, connection: ConnectionId) {
        let Some(link) = self.links.get(&connection) else { return };
        let (host_id, link_id, process) = (link.host, link.link, link.process);
        let listener = self.hosts.get(&host_id).filter(|host| host.is_open()).and_then(|host| {
            let listener = host.config.advertised_listeners.first()?;
            Some((Str::from(listener.name.as_str()), host.incarnation()))
        });
        let Some((listener, incarnation)) = listener else {
            self.links.remove(&connection);
            let reason = "connection refused".to_owned();
            let event = LinkEvent::Closed(link_id, reason);
            return self.pass(process, ProgramEvent::Link(event));
        };
        let peer = Peer { id: connection, listener, host: format!("/10.0.0.{}", process.0 % 250 + 2).into() };
        if let Some(host) = self.hosts.get_mut(&host_id) {
            host.connect(peer);
        }
        if let Some(link) = self.links.get_mut(&connection) {
            link.incarnation = incarnation;
            let at = self.config.network.arrival(self.now, &mut link.last_to_client, &mut self.rng);
            self.schedule(at, Event::ToClient { connection, event: LinkEvent::Opened(link_id) });
        }
    }

    fn closed_by_host(&mut self, connection: ConnectionId, reason: &str) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        let at = self.config.network.arrival(self.now, &mut link.last_to_client, &mut self.rng);
        let event = LinkEvent::Closed(link.link, reason.to_owned());
        self.schedule(at, Event::ToClient { connection, event });
    }

    fn close_by_client(&mut self, connection: ConnectionId) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        let at = self.config.network.arrival(self.now, &mut link.last_to_host, &mut self.rng);
        self.schedule(at, Event::CloseAtHost { connection });
    }

    /// What a host asks of the outside.
    fn carry_out(&mut self, host_id: i32, effects: Vec<Effect<S>>) {
        if self.died_writing(host_id) {
            return;
        }
        for effect in effects {
            match effect {
                Effect::Send { connection, frame } => self.send(host_id, connection, &frame),
                Effect::Close { connection, reason } => self.closed_by_host(connection, &reason),
                Effect::Sync { targets, then } => {
                    let Some(host) = self.hosts.get_mut(&host_id) else { continue };
                    let (incarnation, pending) = (host.incarnation(), host.store.begin_sync(&targets));
                    if self.died_writing(host_id) {
                        return;
                    }
                    // A machine's syncs end in the order in which they were asked for.
                    let at = Instant(self.now.0 + SYNC_US.0 + self.rng.below(SYNC_US.1 - SYNC_US.0));
                    let last = self.last_sync.entry(host_id).or_insert(at);
                    let at = at.max(*last);
                    *last = at;
                    let host = host_id;
                    self.schedule(at, Event::Synced { host, incarnation, completion: then, pending });
                }
                Effect::Halt { reason } => {
                    self.digest(reason.as_bytes());
                    self.tally.halts += 1;
                    self.crash_host(host_id);
                }
                Effect::Stopped => self.crash_host(host_id),
                // A quorum of one speaks to nobody, and is relieved by nobody.
                Effect::Link { .. } | Effect::Relieved => {}
                // Delivered by the node itself.
                Effect::Tell(_) | Effect::Publish(_) => {}
            }
        }
        let Some(host) = self.hosts.get_mut(&host_id) else { return };
        let traces = host.take_traces();
        let deadline = host.deadline();
        self.traces.extend(traces.into_iter().map(|event| (self.now, host_id, event)));
        if let Some(deadline) = deadline
            && self.host_ticks.get(&host_id).is_none_or(|at| deadline < *at)
        {
            let at = deadline.max(self.now);
            self.host_ticks.insert(host_id, at);
            self.schedule(at, Event::HostTick { host: host_id });
        }
    }

    /// Whether the process died in the middle of what it was writing: then nothing else of it has happened.
    fn died_writing(&mut self, host_id: i32) -> bool {
        let remains = self.hosts.get_mut(&host_id).and_then(|host| Some((host.store.take_remains()?, host)));
        let Some((remains, host)) = remains else { return false };
        host.store = remains;
        _ = host.take_traces();
        self.crash_host(host_id);
        true
    }

    fn send(&mut self, host_id: i32, connection: ConnectionId, frame: &Frame<S::Slice>) {
        let Some(host) = self.hosts.get_mut(&host_id) else { return };
        let mut bytes = Vec::with_capacity(frame.len);
        for chunk in &frame.chunks {
            match chunk {
                Chunk::Bytes(chunk) => bytes.extend_from_slice(chunk),
                Chunk::Slice(slice) => match host.store.read_slice(slice) {
                    Ok(slice) => bytes.extend_from_slice(&slice),
                    Err(_) => return self.closed_by_host(connection, "the log could not be read"),
                },
            }
        }
        let Some(link) = self.links.get_mut(&connection) else { return };
        let at = self.config.network.arrival(self.now, &mut link.last_to_client, &mut self.rng);
        let event = LinkEvent::Received(link.link, Bytes::from(bytes).slice(LENGTH_PREFIX..));
        self.count_frame(at);
        self.schedule(at, Event::ToClient { connection, event });
    }

    /// What a process asks of its links, and when it wants to be woken.
    fn after_process(&mut self, id: ProcessId) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        let effects = process.program.take_effects();
        let deadline = process.program.deadline();
        if let Some(deadline) = deadline
            && process.tick_at.is_none_or(|at| deadline < at)
        {
            let at = deadline.max(self.now);
            process.tick_at = Some(at);
            self.schedule(at, Event::ProcessTick { process: id });
        }
        for effect in effects {
            match effect {
                LinkEffect::Open { link, target } => self.open(id, link, &target),
                LinkEffect::Send { link, frame } => {
                    if let Some(connection) = self.connection(id, link)
                        && let Some(entry) = self.links.get_mut(&connection)
                        && frame.len() >= LENGTH_PREFIX
                    {
                        let at =
                            self.config.network.arrival(self.now, &mut entry.last_to_host, &mut self.rng);
                        self.count_frame(at);
                        self.schedule(at, Event::ToHost { connection, frame: frame.slice(LENGTH_PREFIX..) });
                    }
                }
                LinkEffect::Close { link } => {
                    if let Some(connection) = self.connection(id, link) {
                        self.close_by_client(connection);
                    }
                }
            }
        }
    }

    fn count_frame(&mut self, arrival: Instant) {
        self.tally.frames += 1;
        let travels_us = arrival.0.saturating_sub(self.now.0);
        self.tally.frames_delayed += u64::from(travels_us > Network::default().delay_max_us);
    }

    fn connection(&self, process: ProcessId, link: LinkId) -> Option<ConnectionId> {
        let its = |entry: &Link| entry.process == process && entry.link == link;
        self.links.iter().find(|(_, entry)| its(entry)).map(|(id, _)| *id)
    }

    fn open(&mut self, process: ProcessId, link: LinkId, target: &Target) {
        let Some(host) = self.resolve(target) else {
            let at = Instant(self.now.0 + self.config.network.delay_max_us);
            let reason = format!("{}:{}: connection refused", target.host, target.port);
            return self.schedule(at, Event::Refused { process, link, reason });
        };
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let mut entry =
            Link { process, link, host, incarnation: 0, last_to_host: self.now, last_to_client: self.now };
        let at = self.config.network.arrival(self.now, &mut entry.last_to_host, &mut self.rng);
        self.links.insert(connection, entry);
        self.schedule(at, Event::Connect { connection });
    }

    /// The machine that an address leads to: by the port of its listener, and the name where ports repeat.
    fn resolve(&self, target: &Target) -> Option<i32> {
        let listens = |host: &Host<S>| {
            host.config.advertised_listeners.iter().any(|listener| {
                listener.port == target.port
                    && (listener.host == *target.host || is_here(&target.host) || self.hosts.len() == 1)
            })
        };
        self.hosts.iter().find(|(_, host)| listens(host)).map(|(id, _)| *id)
    }
}

/// Names that stand for the machine one sits at.
fn is_here(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1" | "kafka")
}
