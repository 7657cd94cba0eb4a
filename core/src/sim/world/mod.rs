//! [`World`]: hosts, clients and the links between them, run from one queue of events.

mod faults;
mod flights;
mod links;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use self::faults::FOREVER;
use self::flights::Flights;
pub use self::flights::{Flight, Party};
pub use self::links::CLIENTS;
use self::links::{End, Links};
use super::mutation::Planted;
use super::{Disk, Host, Losses, Network};
use crate::client::{LinkEffect, LinkEvent, LinkId};
use crate::config::BrokerConfig;
use crate::ids::ConnectionId;
use crate::machine::{Effect, SyncCompletion};
use crate::record::Compressors;
use crate::rng::Rng;
use crate::small_map::{SmallMap, SmallSet};
use crate::time::{Instant, Now, Timestamp};
use crate::trace::TraceEvent;

/// How long a disk takes to sync, in microseconds: at least, at most.
const SYNC_US: (u64, u64) = (500, 4_000);
/// Events of one instant before a world is said to be stuck.
const EVENTS_PER_INSTANT_MAX: u32 = 100_000;

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
    hosts: SmallMap<i32, Host<S>>,
    host_ticks: SmallMap<i32, Instant>,
    last_sync: SmallMap<i32, Instant>,
    processes: SmallMap<ProcessId, Process<P>>,
    next_process: u32,
    links: Links,
    flights: Flights,
    /// Directions between hosts, or with clients, that carry nothing ...
    cut: SmallSet<(i32, i32)>,
    /// ... and what waits in them.
    held: SmallMap<(i32, i32), Vec<Event<S::Pending>>>,
    /// Directions that are slow.
    slow: SmallMap<(i32, i32), Network>,
    /// Hosts to which nothing happens until then.
    paused: SmallMap<i32, Instant>,
    /// Why brokers could not go on.
    halts: Vec<(i32, String)>,
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

#[derive(Clone, Debug)]
enum Event<D> {
    /// A connection reaches the host.
    Connect {
        connection: ConnectionId,
    },
    /// A frame reaches the host.
    ToHost {
        connection: ConnectionId,
        frame: Bytes,
        flight: u64,
    },
    /// The host sees that the other end has closed.
    CloseAtHost {
        connection: ConnectionId,
    },
    /// Something reaches whoever opened the connection.
    ToOpener {
        connection: ConnectionId,
        event: LinkEvent,
        /// 0 for what is no frame.
        flight: u64,
    },
    /// Its end knows that a connection is gone, or never was.
    Gone {
        opener: End,
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
            hosts: SmallMap::new(),
            host_ticks: SmallMap::new(),
            last_sync: SmallMap::new(),
            processes: SmallMap::new(),
            next_process: 0,
            links: Links::default(),
            flights: Flights::default(),
            cut: SmallSet::new(),
            held: SmallMap::new(),
            slow: SmallMap::new(),
            paused: SmallMap::new(),
            halts: Vec::new(),
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

    /// What a host's clocks show.
    fn now_at(&self, id: i32) -> Now {
        let mut now = self.now();
        now.wall += self.hosts.get(&id).map_or(0, |host| host.wall_off_ms);
        now
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
        let (now, seed) = (self.now_at(id), self.rng.next_u64());
        let Some(host) = self.hosts.get_mut(&id) else { return Err(format!("there is no broker {id}")) };
        let effects = host.start(now, seed)?;
        self.carry_out(id, effects);
        Ok(())
    }

    /// Asks the broker to stop; where it was stands still once it has.
    pub fn stop_host(&mut self, id: i32) {
        let now = self.now_at(id);
        let effects = self.hosts.get_mut(&id).map(|host| host.stop(now));
        self.carry_out(id, effects.unwrap_or_default());
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
        for connection in self.links.of(|link| link.opener == End::Process(id)) {
            self.closed_by_opener(connection);
        }
    }

    /// When the next event happens, if anything ever does.
    pub fn next_event_at(&self) -> Option<Instant> {
        self.queue.keys().next().map(|(at, _)| *at).filter(|at| *at < FOREVER)
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
        if let Some(way) = self.way(&event).filter(|way| self.cut.contains(way)) {
            self.held.or_default(way).push(event);
        } else if let Some(until) = self.postponed(&event) {
            // It has its place among what waits.
            self.queue.insert((until, number), event);
        } else {
            self.happen(event);
        }
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

    /// Until when something has to wait for a process that stands still.
    fn postponed(&mut self, event: &Event<S::Pending>) -> Option<Instant> {
        if self.paused.is_empty() {
            return None;
        }
        let host = self.host_acting(event)?;
        let until = self.paused.get(&host).copied().filter(|until| self.now < *until)?;
        if let Event::HostTick { host } = event {
            if self.host_ticks.get(host) != Some(&self.now) {
                return None;
            }
            self.host_ticks.insert(*host, until);
        }
        Some(until)
    }

    /// The host whose process something happens to; its system alone accepts connections.
    fn host_acting(&self, event: &Event<S::Pending>) -> Option<i32> {
        match event {
            Event::ToHost { connection, .. } | Event::CloseAtHost { connection } => {
                self.links.get(*connection).map(|link| link.host)
            }
            Event::ToOpener { connection, .. } => self.links.get(*connection).map(|link| link.opener.place()),
            Event::Gone { opener, .. } => Some(opener.place()),
            Event::Synced { host, .. } | Event::HostTick { host } => Some(*host),
            Event::Connect { .. } | Event::ProcessTick { .. } => None,
        }
    }

    fn happen(&mut self, event: Event<S::Pending>) {
        match event {
            Event::Connect { connection } => self.connected(connection),
            Event::ToHost { connection, frame, flight } => {
                self.flights.end(flight);
                self.digest(&frame);
                let Some(host) = self.host_of(connection) else { return self.tally.frames_lost += 1 };
                let now = self.now_at(host);
                let effects = self.hosts.get_mut(&host).map(|host| host.received(now, connection, frame));
                self.carry_out(host, effects.unwrap_or_default());
            }
            Event::CloseAtHost { connection } => {
                let host = self.host_of(connection);
                self.links.remove(connection);
                let Some(host) = host else { return };
                let now = self.now_at(host);
                let effects = self.hosts.get_mut(&host).map(|host| host.disconnect(now, connection));
                self.carry_out(host, effects.unwrap_or_default());
            }
            Event::ToOpener { connection, event, flight } => {
                self.flights.end(flight);
                let Some(opener) = self.links.get(connection).map(|link| link.opener) else {
                    return self.tally.frames_lost += u64::from(matches!(event, LinkEvent::Received(..)));
                };
                if let LinkEvent::Received(_, frame) = &event {
                    self.digest(frame);
                }
                if matches!(event, LinkEvent::Closed(..)) {
                    self.links.remove(connection);
                }
                self.tell_opener(opener, event);
            }
            Event::Gone { opener, link, reason } => {
                self.tell_opener(opener, LinkEvent::Closed(link, reason));
            }
            Event::Synced { host, incarnation, completion, pending } => {
                let now = self.now_at(host);
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
                let now = self.now_at(host);
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
                    let last = self.last_sync.or_insert_with(host_id, || at);
                    let at = at.max(*last);
                    *last = at;
                    let host = host_id;
                    self.schedule(at, Event::Synced { host, incarnation, completion: then, pending });
                }
                Effect::Halt { reason } => {
                    self.digest(reason.as_bytes());
                    self.tally.halts += 1;
                    self.halts.push((host_id, reason));
                    self.crash_host(host_id);
                    break;
                }
                Effect::Stopped => {
                    self.crash_host(host_id);
                    break;
                }
                Effect::Link { owner, effect } => {
                    let Some(host) = self.hosts.get(&host_id) else { continue };
                    let opener = End::Host { id: host_id, incarnation: host.incarnation(), owner };
                    self.link(opener, effect);
                }
                // Clients find out by themselves.
                Effect::Relieved => {}
                // Nobody asks for numbers.
                Effect::Measured(_) | Effect::Answered(_) => {}
                // Delivered by the node itself.
                Effect::Tell(_)
                | Effect::Publish(_)
                | Effect::Time(_)
                | Effect::SetLevels(_)
                | Effect::SayLevels { .. } => {}
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
            self.link(End::Process(id), effect);
        }
    }
}
