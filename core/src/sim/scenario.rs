//! A run of the workload under faults, all from one seed.

use std::collections::BTreeMap;

use super::admin::Chore;
use super::checkers::{Checker, Checkers, Kept, Snapshot};
use super::mutation::{Mutation, Planted};
use super::workload::{
    Client, GROUPS, KEYS, Order, PARTITIONS, PRODUCERS, TOPICS, Tag, Task, alone, broker, is_compacted,
};
use super::{DiskOp, Host, Network, ProcessId, SimDisk, Tally, World, WorldConfig, trouble::Injected};
use crate::broker::cluster_view::OFFSETS_TOPIC;
use crate::rng::Rng;
use crate::time::Instant;
use crate::trace::TraceEvent;

/// Steps with load and faults.
const STEPS: u64 = 24;
/// A step, µs at most.
const STEP_MAX_US: u64 = 900_000;
/// How long a broker is down, µs at most.
const DOWN_MAX_US: u64 = 2_000_000;
/// How long everybody has to find back after the last fault, s.
const RECOVERY_MAX_S: u64 = 90;
/// How long the creation of the topics may take, µs.
const CREATION_US: u64 = 3_000_000;
/// How long a broker may take to stop, µs.
const STOP_MAX_US: u64 = 5_000_000;
/// Writes until a process dies in the middle of one, at most.
const DYING_WRITES: u64 = 40;
/// Other operations until it dies in the middle of one, at most.
const DYING_OTHERS: u64 = 8;
/// How long a process that is to die in the middle of an operation may take to come so far, µs.
const DYING_MAX_US: u64 = 1_500_000;
/// The same while it starts, µs.
const STARTING_MAX_US: u64 = 20_000;
/// Its log directories, at most.
const LOG_DIRS: [&str; 3] = ["./data", "./data-2", "./data-3"];
/// The only broker.
pub(super) const BROKER: i32 = 1;
/// Topics that the administrator creates and deletes.
const SCRATCH_TOPICS: usize = 3;
/// Partitions of such a topic at most.
const SCRATCH_PARTITIONS_MAX: i32 = 4;
/// Groups without members that the administrator commits for.
const SCRATCH_GROUPS: u64 = 2;

/// What is done to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A connection is cut.
    Cut,
    /// The network is slow for a while.
    Slow,
    /// A client is killed, and another takes its place.
    ClientKilled,
    /// The broker is stopped and started again.
    Stop,
    /// The broker's process is killed and started again.
    Crash,
    /// The machine loses its power.
    PowerLoss,
    /// The machine loses its power once the broker has stopped.
    PowerLossStopped,
    /// The broker's process dies in the middle of an operation of its disk ...
    CrashAt(DiskOp),
    /// ... while it starts,
    CrashStarting,
    /// ... while it stops.
    CrashStopping,
    /// The machine loses its power in the middle of an operation of its disk ...
    PowerLossAt(DiskOp),
    /// ... while the broker starts,
    PowerLossStarting,
    /// ... while it stops.
    PowerLossStopping,
    /// A log directory is full for a while.
    DiskFull,
    /// It fails to read once.
    ReadFailed,
    /// It fails to write once.
    WriteFailed,
    /// It fails to sync once.
    SyncFailed,
    /// It fails whatever it is asked for, until the broker is started again.
    DirectoryDied,
    /// A bit turns over in what was not synced.
    BitFlippedUnsynced,
    /// A bit turns over in what was.
    BitFlippedCold,
}

impl Fault {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let ops = DiskOp::ALL.into_iter().flat_map(|op| [Self::CrashAt(op), Self::PowerLossAt(op)]);
        let others = [
            Self::Cut,
            Self::Slow,
            Self::ClientKilled,
            Self::Stop,
            Self::Crash,
            Self::PowerLoss,
            Self::PowerLossStopped,
            Self::CrashStarting,
            Self::CrashStopping,
            Self::PowerLossStarting,
            Self::PowerLossStopping,
            Self::DiskFull,
            Self::ReadFailed,
            Self::WriteFailed,
            Self::SyncFailed,
            Self::DirectoryDied,
            Self::BitFlippedUnsynced,
            Self::BitFlippedCold,
        ];
        others.into_iter().chain(ops).collect()
    }
}

/// How the broker's process ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Death {
    /// The machine loses its power, too.
    pub is_power_loss: bool,
    pub when: When,
}

/// When the broker's process ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Now,
    /// In the middle of an operation.
    Serving(DiskOp),
    Stopping(DiskOp),
    Starting(DiskOp),
    /// After it has stopped as it should.
    Stopped,
}

/// What a run has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The seed that repeats it.
    pub seed: u64,
    /// A digest of everything that happened.
    pub hash: u64,
    /// How often what was done to the world.
    pub faults: BTreeMap<Fault, u64>,
    /// What that did to messages and disks.
    pub tally: Tally,
    /// How often each checker had something to check.
    pub exercised: BTreeMap<Checker, u64>,
    /// Broken promises.
    pub violations: Vec<(Checker, String)>,
}

/// A run that goes on step by step. A clone goes on the same way.
#[derive(Clone, Debug)]
pub struct Scenario {
    seed: u64,
    pub(super) world: World<SimDisk, Client>,
    pub(super) rng: Rng,
    pub(super) checkers: Checkers,
    producers: Vec<(ProcessId, u32)>,
    consumers: Vec<Member>,
    next_member: usize,
    admin: ProcessId,
    /// Partitions of the administrator's topics, once it has done what it was told.
    scratch: [i32; SCRATCH_TOPICS],
    faults: BTreeMap<Fault, u64>,
    /// What is the matter with a device.
    pub(super) trouble: Option<Injected>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    process: ProcessId,
    group: &'static str,
    /// Tells members apart that were in the same place one after the other.
    number: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Load and faults, for so many steps more.
    Load(u64),
    /// The broker does not run.
    Down {
        left: u64,
        death: Death,
        kept: Kept,
        before: Option<Box<Snapshot>>,
    },
    /// No more faults.
    Healing,
    Done,
}

/// Runs a seed, with a bug planted or without.
pub fn run(seed: u64, mutation: Option<Mutation>) -> Report {
    let mut scenario = Scenario::new(seed, mutation);
    while scenario.step() {}
    scenario.report()
}

impl Scenario {
    /// A broker that has just been started, and its clients.
    pub fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        let mut rng = Rng::from_seed(seed);
        let mut world = World::new(WorldConfig { seed: rng.next_u64(), ..WorldConfig::default() });
        let mut checkers = Checkers::default();
        world.plant(Planted::new(mutation));
        let directories = &LOG_DIRS[..rng.below(3) as usize + 1];
        let mut disk = SimDisk::with_directories(directories);
        disk.plant(Planted::new(mutation));
        if let Err(reason) = world.add_host(broker(&mut rng, directories), disk) {
            checkers.check(Checker::Recovers, false, || format!("the first start: {reason}"));
        }
        let admin = world.spawn(Client::admin(&alone(), 1));
        for topic in TOPICS.into_iter().chain([OFFSETS_TOPIC]) {
            world.tell(admin, Task::Do(Chore::CreateTopic(topic.into(), PARTITIONS)));
        }
        world.run_until(Instant(CREATION_US));
        let created = world.program(admin).is_some_and(Client::is_idle);
        checkers.check(Checker::Recovers, created, || "the topics were not created".to_owned());
        let producers = (0..)
            .zip(PRODUCERS)
            .map(|(id, _)| (world.spawn(Client::producer(&alone(), id, rng.fork())), id))
            .collect();
        let consumers: Vec<Member> = GROUPS
            .iter()
            .flat_map(|(group, members)| std::iter::repeat_n(*group, *members))
            .enumerate()
            .map(|(number, group)| Member {
                process: world.spawn(Client::consumer(&alone(), group, number)),
                group,
                number,
            })
            .collect();
        Self {
            seed,
            world,
            rng,
            checkers,
            producers,
            next_member: consumers.len(),
            consumers,
            admin,
            scratch: [0; SCRATCH_TOPICS],
            faults: BTreeMap::new(),
            trouble: None,
            phase: Phase::Load(STEPS),
        }
    }

    /// Goes on for a while; false when the run has ended.
    pub fn step(&mut self) -> bool {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Done) {
            Phase::Done => return false,
            _ if !self.checkers.violations().is_empty() => Phase::Done,
            Phase::Load(0) if self.trouble.is_some() => {
                let is_power_loss = self.rng.chance(1, 2);
                self.die(0, Death { is_power_loss, when: When::Now })
            }
            Phase::Load(0) => Phase::Healing,
            Phase::Load(left) => self.load(left - 1),
            Phase::Down { left, death, kept, before } => {
                self.start_again(death, kept, before);
                Phase::Load(left)
            }
            Phase::Healing => {
                self.heal();
                Phase::Done
            }
        };
        true
    }

    /// What it has shown so far.
    pub fn report(&self) -> Report {
        Report {
            seed: self.seed,
            hash: self.world.trace_hash(),
            faults: self.faults.clone(),
            tally: *self.world.tally(),
            exercised: self.checkers.exercised().clone(),
            violations: self.checkers.violations().to_vec(),
        }
    }

    /// The world.
    pub fn world(&self) -> &World<SimDisk, Client> {
        &self.world
    }

    fn load(&mut self, left: u64) -> Phase {
        self.produce();
        self.administer();
        let wait = self.rng.below(STEP_MAX_US);
        if let Some(down) = self.pass_in_trouble(left, wait) {
            return down;
        }
        let death = match self.rng.below(22) {
            0..3 => {
                if self.world.cut_connection() {
                    self.count(Fault::Cut);
                }
                return Phase::Load(left);
            }
            3 => {
                self.world.set_network(Network { delay_min_us: 1_000, delay_max_us: 400_000 });
                self.count(Fault::Slow);
                return Phase::Load(left);
            }
            4 => {
                self.world.set_network(Network::default());
                return Phase::Load(left);
            }
            5 => {
                self.kill_client();
                return Phase::Load(left);
            }
            6 => Death { is_power_loss: false, when: When::Now },
            7 => Death { is_power_loss: true, when: When::Now },
            8 => Death { is_power_loss: self.rng.chance(1, 2), when: When::Stopped },
            9 | 10 => Death { is_power_loss: self.rng.chance(1, 2), when: When::Serving(self.operation()) },
            11 | 12 => Death { is_power_loss: self.rng.chance(1, 2), when: When::Starting(self.operation()) },
            13 => Death { is_power_loss: self.rng.chance(1, 2), when: When::Stopping(self.operation()) },
            14..18 => {
                self.begin_trouble();
                return Phase::Load(left);
            }
            _ => return Phase::Load(left),
        };
        self.die(left, death)
    }

    fn die(&mut self, left: u64, death: Death) -> Phase {
        let (before, kept) = self.kill(death);
        Phase::Down { left, death, kept, before: before.map(Box::new) }
    }

    fn operation(&mut self) -> DiskOp {
        DiskOp::ALL[self.below(DiskOp::ALL.len())]
    }

    pub(super) fn count(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    fn produce(&mut self) {
        for _ in 0..self.rng.below(9) {
            let index = self.below(self.producers.len());
            let Some((producer, _)) = self.producers.get(index).copied() else { return };
            for _ in 0..=self.rng.below(4) {
                let order = self.order();
                self.world.tell(producer, Task::Send(order));
            }
        }
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).unwrap_or(0)
    }

    fn order(&mut self) -> Order {
        let topic = TOPICS[self.below(TOPICS.len())];
        let key = is_compacted(topic).then(|| self.rng.below(KEYS));
        let is_tombstone = key.is_some() && self.rng.chance(1, 5);
        let padding = self.below(1_200);
        Order { topic, partition: self.partition(), key, padding: (!is_tombstone).then_some(padding) }
    }

    fn partition(&mut self) -> i32 {
        i32::try_from(self.rng.below(PARTITIONS.unsigned_abs().into())).unwrap_or(0)
    }

    fn administer(&mut self) {
        let chore = match self.rng.below(8) {
            0 | 1 => self.topic_chore(),
            2 | 3 => {
                let (group, partition) = (self.scratch_group(), self.partition());
                let offset = i64::try_from(self.rng.below(1_000)).unwrap_or(0);
                Chore::Commit(group, partition, offset)
            }
            4 => Chore::DeleteOffset(self.scratch_group(), self.partition()),
            5 => Chore::DeleteGroup(self.scratch_group()),
            _ => return,
        };
        self.world.tell(self.admin, Task::Do(chore));
    }

    fn scratch_group(&mut self) -> ottla_protocol::Str {
        format!("visitors-{}", self.rng.below(SCRATCH_GROUPS)).into()
    }

    fn topic_chore(&mut self) -> Chore {
        let index = self.below(SCRATCH_TOPICS);
        let name: ottla_protocol::Str = format!("scratch-{index}").into();
        let grows = self.rng.chance(1, 2);
        let partitions = &mut self.scratch[index];
        match *partitions {
            0 => {
                *partitions = 1;
                Chore::CreateTopic(name, 1)
            }
            count if grows && count < SCRATCH_PARTITIONS_MAX => {
                *partitions = count + 1;
                Chore::GrowTopic(name, count + 1)
            }
            _ => {
                *partitions = 0;
                Chore::DeleteTopic(name)
            }
        }
    }

    /// Lets time pass, and looks at what clients and the broker have to say.
    pub(super) fn pass(&mut self, microseconds: u64) {
        let until = Instant(self.world.now().monotonic.0 + microseconds);
        self.world.run_until(until);
        self.listen();
    }

    pub(super) fn listen(&mut self) {
        for (process, _) in &self.producers {
            if let Some(Client::Producer(client)) = self.world.program_mut(*process) {
                self.checkers.acknowledged(client.take_acknowledged());
                if client.failed() == 0 {
                    self.checkers.renewed(client.id(), client.renewed());
                }
            }
        }
        for index in 0..self.consumers.len() {
            let Member { process, group, number } = self.consumers[index];
            if let Some(Client::Consumer(client)) = self.world.program_mut(process) {
                self.checkers.read(group, number, client.take_read());
                if client.is_refused() {
                    self.replace_member(index);
                }
            }
        }
        if let Some(Client::Admin(client)) = self.world.program_mut(self.admin) {
            for (chore, error) in client.take_refused() {
                self.checkers.check(Checker::AcknowledgedTopics, false, || {
                    format!("{chore:?} was refused: {error:?}")
                });
            }
            self.checkers.told(client.ledger());
        }
        for (at, _, event) in self.world.take_traces() {
            match event {
                TraceEvent::StorageFailed { path, reason } => {
                    let excused = self.trouble.is_some() || self.checkers.refused(&path);
                    self.checkers.check(Checker::Recovers, excused, || format!("{at:?} {path}: {reason}"));
                }
                TraceEvent::LogRecovered { partition, .. } => {
                    self.checkers.refused(&partition.to_string());
                }
                TraceEvent::PartitionUncleanable { partition, reason } => {
                    let excused = self.checkers.refused(&partition.to_string());
                    self.checkers.check(Checker::Recovers, excused, || {
                        format!("{at:?} {partition} cannot be cleaned: {reason}")
                    });
                }
                _ => {}
            }
        }
    }

    pub(super) fn host(&self) -> Option<&Host<SimDisk>> {
        self.world.hosts().next().map(|(_, host)| host)
    }

    fn snapshot(&mut self) -> Option<Snapshot> {
        self.listen();
        let now = self.world.now().wall;
        let (_, host) = self.world.hosts().next()?;
        self.checkers.snapshot(host, now)
    }

    /// A client dies without a word, and another takes its place.
    fn kill_client(&mut self) {
        self.listen();
        self.count(Fault::ClientKilled);
        let index = self.below(self.producers.len() + self.consumers.len());
        if let Some((process, id)) = self.producers.get_mut(index) {
            self.world.reap(*process);
            *id += PRODUCERS.len() as u32;
            *process = self.world.spawn(Client::producer(&alone(), *id, self.rng.fork()));
        } else {
            self.replace_member(index - self.producers.len());
        }
    }

    fn replace_member(&mut self, index: usize) {
        let member = &mut self.consumers[index];
        self.world.reap(member.process);
        member.number = self.next_member;
        self.next_member += 1;
        member.process = self.world.spawn(Client::consumer(&alone(), member.group, member.number));
    }

    /// Ends the broker's process; answers what it held just before, and what it leaves of that.
    fn kill(&mut self, death: Death) -> (Option<Snapshot>, Kept) {
        let now = self.host().cloned();
        let halts = self.world.tally().halts;
        let (before, at) = match death.when {
            When::Now | When::Starting(_) => (now, None),
            // It may end at once, before anything else happens.
            When::Stopped => (self.stop().or(now), None),
            When::Serving(op) => {
                self.plan_death(op);
                let before = self.run_until_dead(DYING_MAX_US);
                (before.or(now), Some(op))
            }
            When::Stopping(op) => {
                self.plan_death(op);
                let before = self.stop();
                (before.or(now), Some(op))
            }
        };
        let at = at.filter(|_| !self.live_on());
        let is_stopped = matches!(death.when, When::Stopped | When::Stopping(_))
            && at.is_none()
            && self.world.tally().halts == halts;
        self.count(match (death.is_power_loss, at) {
            (true, Some(op)) => Fault::PowerLossAt(op),
            (false, Some(op)) => Fault::CrashAt(op),
            (true, None) if is_stopped => Fault::PowerLossStopped,
            (false, None) if is_stopped => Fault::Stop,
            (true, None) => Fault::PowerLoss,
            (false, None) => Fault::Crash,
        });
        if matches!(death.when, When::Stopping(_)) && at.is_some() {
            self.count(if death.is_power_loss { Fault::PowerLossStopping } else { Fault::CrashStopping });
        }
        self.note_trouble();
        let before = before.and_then(|host| {
            self.listen();
            self.checkers.snapshot(&host, self.world.now().wall)
        });
        self.end(death);
        let kept = match (death.is_power_loss, at) {
            _ if is_stopped && self.trouble.is_none() => Kept::Everything,
            _ if is_stopped => Kept::AtLeastEverything,
            (true, _) => Kept::Prefix,
            (false, Some(_)) => Kept::AtLeastEverything,
            // It may have ended of itself, in the middle of something.
            (false, None) if self.trouble.is_some() => Kept::AtLeastEverything,
            (false, None) => Kept::Everything,
        };
        (before, kept)
    }

    /// Stops the broker; answers the machine as it was before the last thing that it did.
    fn stop(&mut self) -> Option<Host<SimDisk>> {
        self.world.stop_host(BROKER);
        let before = self.run_until_dead(STOP_MAX_US);
        let stopped = self.host().is_some_and(|host| host.node().is_none());
        self.checkers.check(Checker::Recovers, stopped, || "a broker that is to stop runs on".to_owned());
        before
    }

    fn end(&mut self, death: Death) {
        if death.is_power_loss {
            self.world.power_loss(BROKER);
        } else {
            self.world.crash_host(BROKER);
        }
    }

    fn plan_death(&mut self, op: DiskOp) {
        let most = if op == DiskOp::Write { DYING_WRITES } else { DYING_OTHERS };
        let after = self.rng.below(most);
        self.with_disk(|disk| disk.die_at(op, after));
    }

    /// No death is planned any more; true if one was, and has not happened.
    fn live_on(&mut self) -> bool {
        self.world.host_mut(BROKER).is_some_and(|host| host.store.live_on())
    }

    pub(super) fn with_disk(&mut self, act: impl FnOnce(&mut SimDisk)) {
        if let Some(host) = self.world.host_mut(BROKER) {
            act(&mut host.store);
        }
    }

    /// Goes on until the broker's process is gone, for so long at most; answers the machine as it was just before that.
    pub(super) fn run_until_dead(&mut self, microseconds: u64) -> Option<Host<SimDisk>> {
        let until = Instant(self.world.now().monotonic.0 + microseconds);
        self.host().filter(|host| host.node().is_some())?;
        // The same happens to a twin, but for the last thing.
        let mut twin = self.world.clone();
        let mut steps = 0_u64;
        while self.world.step(until) {
            if self.host()?.node().is_none() {
                for _ in 0..steps {
                    twin.step(until);
                }
                return twin.hosts().next().map(|(_, host)| host.clone());
            }
            steps += 1;
        }
        self.host().cloned()
    }

    /// Lets time pass while the broker is down; what it has sent has arrived then.
    fn pass_down(&mut self) {
        let down = self.rng.below(DOWN_MAX_US);
        let arrived = self.world.last_arrival(BROKER).0.saturating_sub(self.world.now().monotonic.0);
        self.pass(down.max(arrived));
        self.checkers.learn_acknowledged();
    }

    fn start_again(&mut self, death: Death, mut kept: Kept, mut before: Option<Box<Snapshot>>) {
        self.pass_down();
        let mut weak = self.repair(death);
        if kept != Kept::Prefix && weak.is_none() {
            self.flip_a_bit(before.as_deref());
        }
        if let When::Starting(op) = death.when {
            self.plan_death(op);
            _ = self.world.start_host(BROKER);
            let has_started = self.restarted(before.as_deref(), kept, weak);
            let last = self.run_until_dead(STARTING_MAX_US);
            if self.live_on() {
                self.count(if death.is_power_loss { Fault::PowerLoss } else { Fault::Crash });
            } else if death.is_power_loss {
                self.count(Fault::PowerLossAt(op));
                self.count(Fault::PowerLossStarting);
            } else {
                self.count(Fault::CrashAt(op));
                self.count(Fault::CrashStarting);
            }
            self.listen();
            if has_started {
                let now = self.world.now().wall;
                before = last.and_then(|host| self.checkers.snapshot(&host, now)).map(Box::new);
                weak = None;
                kept = if death.is_power_loss { Kept::Prefix } else { Kept::AtLeastEverything };
            }
            self.end(death);
            self.pass_down();
        }
        let started = self.world.start_host(BROKER);
        self.checkers
            .check(Checker::Recovers, started.is_ok(), || format!("a start after {death:?}: {started:?}"));
        self.restarted(before.as_deref(), kept, weak);
    }

    /// Holds a broker that was started against what was there before; false if it does not run.
    fn restarted(&mut self, before: Option<&Snapshot>, kept: Kept, weak: Option<usize>) -> bool {
        self.checkers.starts_again();
        self.listen();
        if (kept == Kept::Prefix || weak.is_some())
            && let Some(Client::Admin(client)) = self.world.program_mut(self.admin)
        {
            client.power_lost();
            self.checkers.told(client.ledger());
        }
        let now = self.world.now().wall;
        let Some((_, host)) = self.world.hosts().next() else { return false };
        let Some(after) = self.checkers.look(host, now) else { return false };
        // What clients were told before the fault is held against what was there before it.
        if let Some(before) = before {
            self.checkers.restarted(before, &after, kept, weak);
        }
        self.checkers.compare(&after);
        true
    }

    /// No more faults: everybody finds back, sends and reads again.
    fn heal(&mut self) {
        self.world.set_network(Network::default());
        self.pass(15_000_000);
        let mut last = Vec::new();
        for topic in TOPICS {
            for partition in 0..PARTITIONS {
                if self.checkers.is_damaged(topic, partition) {
                    continue;
                }
                for (producer, id) in self.producers.clone() {
                    last.extend(self.world.program(producer).and_then(Client::next_tag));
                    // A key of its own: nothing takes its place.
                    let key = is_compacted(topic).then_some(KEYS + u64::from(id));
                    let order = Order { topic, partition, key, padding: Some(10) };
                    self.world.tell(producer, Task::Send(order));
                }
            }
        }
        let mut waiting = Vec::new();
        for second in 0..RECOVERY_MAX_S {
            self.pass(1_000_000);
            waiting = self.waiting(&last);
            if waiting.is_empty() {
                break;
            }
            if second % 10 == 9 {
                self.snapshot();
            }
        }
        self.checkers.check(Checker::Recovers, waiting.is_empty(), || {
            format!("{RECOVERY_MAX_S} s after the last fault there still wait {}", waiting.join(", "))
        });
        // Offsets are committed and segments flushed.
        self.pass(2_000_000);
        if let Some(end) = self.snapshot() {
            self.checkers.finish(&end, &GROUPS);
        } else {
            self.checkers.check(Checker::Recovers, false, || "the broker does not run".to_owned());
        }
    }
}

impl Scenario {
    /// Who has something under way, or has not read one of these records.
    fn waiting(&self, last: &[Tag]) -> Vec<String> {
        let is_busy = |process| !self.world.program(process).is_some_and(Client::is_idle);
        let producers = self.producers.iter().filter(|(process, _)| is_busy(*process));
        let admin = is_busy(self.admin).then(|| "the administrator".to_owned());
        let unread = last.iter().find(|tag| !self.checkers.all_have_read(**tag, &GROUPS));
        producers
            .map(|(_, id)| format!("producer {id}"))
            .chain(admin)
            .chain(unread.map(|tag| format!("readers of {tag:?}")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Trouble;

    /// Unoptimised builds run few; `cargo xtask sim` runs many.
    const SEEDS: u64 = 12;

    #[test]
    fn promises_are_kept_over_a_few_seeds_and_every_checker_had_work() {
        let mut exercised: BTreeMap<Checker, u64> = BTreeMap::new();
        let mut broken = Vec::new();
        for seed in 0..SEEDS {
            let report = run(seed, None);
            if !report.violations.is_empty() {
                broken.push((seed, report.violations));
            }
            for (checker, count) in report.exercised {
                *exercised.entry(checker).or_default() += count;
            }
        }
        assert!(broken.is_empty(), "{broken:#?}");
        for checker in Checker::ALL {
            assert!(exercised.contains_key(&checker), "{checker:?} had nothing to check");
        }
    }

    /// Clones are taken while the broker runs and while it is down, with frames, syncs and timers on their way.
    #[test]
    fn a_clone_in_the_middle_of_the_faults_goes_on_the_same_way() {
        let mut original = Scenario::new(9, None);
        let (mut clones, mut down, mut steps) = (Vec::new(), 0, 0);
        while original.step() {
            steps += 1;
            if steps % 4 == 0 || matches!(original.phase, Phase::Down { .. }) {
                assert!(original.world.pending_events() > 0 || matches!(original.phase, Phase::Done));
                down += u32::from(original.host().is_some_and(|host| host.node().is_none()));
                clones.push(original.clone());
            }
        }
        let report = original.report();
        assert!(clones.len() > 6 && down > 2, "{} clones, {down} of a broker that is down", clones.len());
        assert!(report.faults.len() > 5, "{:?}", report.faults);
        for mut clone in clones {
            while clone.step() {}
            assert_eq!(clone.report(), report);
        }
    }

    /// What a power loss then takes would be missed otherwise.
    #[test]
    fn a_broker_that_ends_at_once_when_it_is_to_stop_was_looked_at_before() {
        let mut scenario = Scenario::new(1, None);
        scenario.produce();
        scenario.pass(1_000_000);
        let devices = scenario.host().map_or(0, |host| host.store.devices());
        for device in 0..devices {
            scenario.with_disk(|disk| disk.trouble(device, Some(Trouble::Dead)));
        }
        let (before, _) = scenario.kill(Death { is_power_loss: true, when: When::Stopped });
        assert_eq!(scenario.world.tally().halts, 1, "no directory is left");
        assert!(before.is_some());
    }

    #[test]
    fn a_seed_repeats_itself() {
        assert_eq!(run(5, None), run(5, None));
    }
}
