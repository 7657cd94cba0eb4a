//! A run: load, faults, and what all come to once the faults are over.

use std::collections::{BTreeMap, BTreeSet};

use super::checkers::{Promise, Promises, is_registered, newest, unwell};
use super::disks::BadDisk;
use super::nemesis::{Fault, pick};
use super::nodes::Shape;
use crate::broker::cluster_view::OFFSETS_TOPIC;
use crate::client::Target;
use crate::ids::TopicPartition;
use crate::metadata::Published;
use crate::rng::Rng;
use crate::sim::admin::Chore;
use crate::sim::checkers::{Checker, Checkers};
use crate::sim::mutation::{Mutation, Planted};
use crate::sim::workload::{
    Client, GROUPS, KEYS, Order, PARTITIONS, PRODUCERS, ProducerKind, TOPICS, Tag, Task, is_compacted,
};
use crate::sim::{Network, ProcessId, SimDisk, Tally, World, WorldConfig};
use crate::time::Instant;
use crate::trace::TraceEvent;

/// Steps with load and faults.
const STEPS: u32 = 28;
/// A step, µs at most.
const STEP_MAX_US: u64 = 1_600_000;
/// How often the nodes are looked at, µs.
const WATCH_US: u64 = 100_000;
/// Steps between two looks into all logs.
const INSPECT_STEPS: u32 = 7;
/// Of the topics so many, the first, are not compacted.
const LOOSE_TOPICS: usize = 2;
/// How long the cluster may take until it has its topics, µs.
const CREATION_US: u64 = 12_000_000;
/// How long a node may take to stop while its cluster is well, µs.
const STOP_MAX_US: u64 = 45_000_000;
/// How long everybody has to find back after the last fault, s.
const RECOVERY_MAX_S: u64 = 120;

/// Which of its steps a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// So many.
    pub steps: u32,
    /// Those whose bit is set are without faults.
    pub without: u64,
}

impl Default for Trim {
    fn default() -> Self {
        Self { steps: STEPS, without: 0 }
    }
}

/// What a run has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// A digest of everything that happened.
    pub hash: u64,
    /// How often what was done to the cluster.
    pub faults: BTreeMap<Fault, u64>,
    /// What that did to messages and disks.
    pub tally: Tally,
    /// Leaders of partitions, and of the quorum, that were elected.
    pub elections: (u64, u64),
    /// How often each checker of the cluster had something to check ...
    pub exercised: BTreeMap<Promise, u64>,
    /// ... and of what its leaders have committed.
    pub exercised_of_logs: BTreeMap<Checker, u64>,
    /// Broken promises.
    pub violations: Vec<(String, String)>,
    /// What happened, for whoever looks into a seed.
    pub journal: Vec<String>,
}

/// A run that goes on step by step.
#[derive(Clone, Debug)]
pub struct Scenario {
    seed: u64,
    trim: Trim,
    pub(super) shape: Shape,
    pub(super) world: World<SimDisk, Client>,
    pub(super) rng: Rng,
    pub(super) checkers: Checkers,
    pub(super) promises: Promises,
    bootstrap: Vec<Target>,
    producers: Vec<(ProcessId, u32)>,
    consumers: Vec<Member>,
    next_member: usize,
    pub(super) admin: ProcessId,
    /// Those that this run may meet.
    pub(super) faults_met: Vec<Fault>,
    pub(super) faults: BTreeMap<Fault, u64>,
    /// When nodes that are down start again, µs.
    pub(super) down: BTreeMap<i32, u64>,
    /// Nodes that were asked to stop: when, µs, and how long they are down then.
    pub(super) stopping: BTreeMap<i32, (u64, u64)>,
    /// Nodes that are still to be restarted, one after the other.
    pub(super) rolling: Vec<i32>,
    /// Brokers that have lost what they had not synced, and have not said so yet.
    pub(super) weak: BTreeSet<i32>,
    /// Disks that have failed, of these nodes.
    pub(super) bad_disks: BTreeMap<i32, BadDisk>,
    /// The newest metadata that was ever published.
    pub(super) seen_offset: i64,
    step: u32,
    is_done: bool,
    journal: Vec<String>,
    /// The metadata of each partition, as the journal knows it.
    known: BTreeMap<TopicPartition, String>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    process: ProcessId,
    group: &'static str,
    number: usize,
}

impl Scenario {
    /// A cluster that has just been started, and its clients.
    pub fn new(seed: u64, mutation: Option<Mutation>, trim: Trim) -> Self {
        let mut rng = Rng::from_seed(seed);
        let planted = Planted::new(mutation);
        let shape = Shape::random(&mut rng);
        let mut world = World::new(WorldConfig { seed: rng.next_u64(), ..WorldConfig::default() });
        world.plant(planted);
        let mut promises = Promises::default();
        for (config, disk) in shape.build(&mut rng, planted) {
            let id = config.node_id;
            let started = world.add_host(config, disk);
            promises.check(Promise::NodesRun, started.is_ok(), || {
                format!("the first start of {id}: {started:?}")
            });
        }
        let bootstrap = shape.bootstrap();
        let admin = world.spawn(Client::admin(&bootstrap, 3));
        for topic in TOPICS.into_iter().chain([OFFSETS_TOPIC]) {
            world.tell(admin, Task::Do(Chore::CreateTopic(topic.into(), PARTITIONS)));
        }
        let faults_met = Fault::some(&mut rng);
        let mut scenario = Self {
            seed,
            trim,
            shape,
            world,
            checkers: Checkers::of_cluster(),
            promises,
            producers: Vec::new(),
            consumers: Vec::new(),
            next_member: 0,
            admin,
            faults_met,
            faults: BTreeMap::new(),
            down: BTreeMap::new(),
            stopping: BTreeMap::new(),
            rolling: Vec::new(),
            weak: BTreeSet::new(),
            bad_disks: BTreeMap::new(),
            step: 0,
            is_done: false,
            seen_offset: -1,
            journal: Vec::new(),
            known: BTreeMap::new(),
            bootstrap,
            rng,
        };
        scenario.pass(CREATION_US);
        let created = scenario.world.program(admin).is_some_and(Client::is_idle);
        scenario.promises.check(Promise::NodesRun, created, || "the topics were not created".to_owned());
        for (id, _) in (0..).zip(PRODUCERS) {
            let process =
                scenario.world.spawn(Client::producer(&scenario.bootstrap, id, scenario.rng.fork()));
            scenario.producers.push((process, id));
        }
        for (group, members) in GROUPS {
            for _ in 0..members {
                let number = scenario.next_member;
                scenario.next_member += 1;
                let process = scenario.world.spawn(Client::consumer(&scenario.bootstrap, group, number));
                scenario.consumers.push(Member { process, group, number });
            }
        }
        scenario
    }

    fn is_broken(&self) -> bool {
        !self.promises.violations().is_empty() || !self.checkers.violations().is_empty()
    }

    /// Goes on for a while; false when the run has ended.
    pub fn step(&mut self) -> bool {
        if self.is_done || self.is_broken() {
            return false;
        }
        if self.step >= self.trim.steps {
            self.heal();
            self.is_done = true;
            return true;
        }
        // What is drawn in one step does not depend on what was done in those before.
        let mut rng =
            Rng::from_seed(self.seed ^ u64::from(self.step + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.produce(&mut rng.fork());
        self.commit(&mut rng.fork());
        let mut strikes = rng.fork();
        if self.trim.without & (1 << self.step) == 0 && strikes.chance(3, 4) {
            self.strike(&mut strikes);
        }
        self.pass(rng.below(STEP_MAX_US));
        self.step += 1;
        if self.step.is_multiple_of(INSPECT_STEPS) {
            self.inspect();
        }
        true
    }

    /// What it has shown so far.
    pub fn report(&self) -> Report {
        let of_logs = self.checkers.violations().iter().map(|(it, say)| (format!("{it:?}"), say.clone()));
        let own = self.promises.violations().iter().map(|(it, say)| (format!("{it:?}"), say.clone()));
        Report {
            hash: self.world.trace_hash(),
            faults: self.faults.clone(),
            tally: *self.world.tally(),
            elections: self.promises.elections(),
            exercised: self.promises.exercised().clone(),
            exercised_of_logs: self.checkers.exercised().clone(),
            violations: own.chain(of_logs).collect(),
            journal: self.journal.clone(),
        }
    }

    fn produce(&mut self, rng: &mut Rng) {
        for _ in 0..rng.below(7) {
            let Some((producer, id)) = pick(rng, &self.producers).copied() else { return };
            for _ in 0..=rng.below(4) {
                // What only its leader has is nobody's to expect: of a key nobody could say what the newest is.
                let is_loose = ProducerKind::of(id) == ProducerKind::LeaderOnly;
                let topics = &TOPICS[..if is_loose { LOOSE_TOPICS } else { TOPICS.len() }];
                let topic = pick(rng, topics).copied().unwrap_or_default();
                let partition = i32::try_from(rng.below(PARTITIONS.unsigned_abs().into())).unwrap_or(0);
                let key = is_compacted(topic).then(|| rng.below(KEYS));
                let is_tombstone = key.is_some() && rng.chance(1, 5);
                let padding = usize::try_from(rng.below(800)).unwrap_or(0);
                let padding = (!is_tombstone).then_some(padding);
                if let Some(key) = key.filter(|_| is_tombstone) {
                    let partition = TopicPartition { topic: topic.into(), partition };
                    self.checkers.deletes(partition, format!("key {key}").as_bytes());
                }
                self.world.tell(producer, Task::Send(Order { topic, partition, key, padding }));
            }
        }
    }

    /// An administrator commits for a group without members, or deletes what it has committed.
    fn commit(&mut self, rng: &mut Rng) {
        let group = format!("visitors-{}", rng.below(2)).into();
        let partition = i32::try_from(rng.below(3)).unwrap_or(0);
        let chore = match rng.below(5) {
            0 | 1 => Chore::Commit(group, partition, i64::try_from(rng.below(1_000)).unwrap_or(0)),
            2 => Chore::DeleteOffset(group, partition),
            _ => return,
        };
        self.world.tell(self.admin, Task::Do(chore));
    }

    /// Lets time pass; nodes that are to start do, and everybody is looked at now and then.
    pub(super) fn pass(&mut self, microseconds: u64) {
        let end = self.world.now().monotonic.0 + microseconds;
        loop {
            let now = self.world.now().monotonic.0;
            self.restart_nodes(now);
            self.watch();
            if now >= end || self.is_broken() {
                return;
            }
            let next = self.down.values().copied().min().unwrap_or(u64::MAX);
            self.world.run_until(Instant(next.min(now + WATCH_US).min(end).max(now + 1)));
        }
    }

    fn restart_nodes(&mut self, now_us: u64) {
        let due: Vec<i32> = self.down.iter().filter(|(_, at)| **at <= now_us).map(|(id, _)| *id).collect();
        for id in due {
            self.down.remove(&id);
            self.note(format_args!("{id} starts"));
            let started = self.world.start_host(id);
            self.promises
                .check(Promise::NodesRun, started.is_ok(), || format!("a start of {id}: {started:?}"));
        }
        for (id, reason) in self.world.take_halts() {
            let is_excused = self.bad_disks.get(&id).is_some_and(|bad| bad.excuses(&reason));
            self.note(format_args!("{id} gives up: {reason}"));
            self.promises.check(Promise::NodesRun, is_excused, || format!("{id} gives up: {reason}"));
        }
        self.mend_disks(now_us);
        for (id, (since_us, down_us)) in self.stopping.clone() {
            if !self.is_up(id) {
                self.note(format_args!("{id} has stopped"));
                self.stopping.remove(&id);
                self.down.insert(id, now_us + down_us);
                self.promises.check(Promise::NodesStop, true, String::new);
            } else if now_us > since_us + STOP_MAX_US {
                self.stopping.remove(&id);
                self.promises.check(Promise::NodesStop, false, || {
                    format!("{id} was asked to stop at {since_us} µs, and runs at {now_us}")
                });
            }
        }
        if self.stopping.is_empty()
            && self.down.is_empty()
            && self.is_well()
            && let Some(next) = self.rolling.pop()
        {
            self.stop(next, 200_000);
        }
    }

    fn is_well(&self) -> bool {
        self.rolling.is_empty() || unwell(&self.hosts()).is_none()
    }

    /// Asks a node that is up to stop, unless those who lead then may have lost what is committed.
    pub(super) fn stop(&mut self, id: i32, down_us: u64) -> bool {
        let is_stopping = self.stopping.contains_key(&id) || self.world.is_paused(id);
        let is_spared = is_stopping || self.bad_disks.contains_key(&id);
        if !self.is_up(id) || is_spared || !self.may_die(id, false) {
            return false;
        }
        self.checkers.starts_again();
        self.world.stop_host(id);
        self.stopping.insert(id, (self.world.now().monotonic.0, down_us));
        true
    }

    fn watch(&mut self) {
        self.listen();
        let hosts: BTreeMap<_, _> = self.world.hosts().collect();
        if let Some(newest) = newest(&hosts) {
            self.seen_offset = self.seen_offset.max(newest.offset);
            self.weak.retain(|id| {
                let node = hosts.get(id).and_then(|host| host.node());
                let is_whole =
                    node.is_some_and(|node| is_registered(node, newest)) && !self.bad_disks.contains_key(id);
                if is_whole {
                    self.journal.push(format!("{} {id} has registered again", self.world.now().monotonic.0));
                }
                !is_whole
            });
        }
        self.promises.watch(&hosts);
        for (name, state) in newest(&hosts).map(states).unwrap_or_default() {
            if self.known.get(&name) != Some(&state) {
                self.journal.push(format!("{} {name}: {state}", self.world.now().monotonic.0));
                self.known.insert(name, state);
            }
        }
        for (at, id, event) in self.world.take_traces() {
            if let TraceEvent::LogRecovered { .. } | TraceEvent::StorageFailed { .. } = event {
                self.journal.push(format!("{} {id}: {event:?}", at.0));
            }
        }
    }

    /// Notes something in the journal.
    pub(super) fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.journal.push(format!("{} {what}", self.world.now().monotonic.0));
    }

    fn listen(&mut self) {
        for (process, id) in &self.producers {
            let Some(Client::Producer(client)) = self.world.program_mut(*process) else { continue };
            let acknowledged = client.take_acknowledged();
            if ProducerKind::of(*id) == ProducerKind::LeaderOnly {
                continue;
            }
            for ack in acknowledged.iter().filter(|ack| ack.offset >= 0) {
                self.promises.acknowledged(&ack.partition, ack.offset);
            }
            self.checkers.acknowledged(acknowledged);
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
        }
    }

    fn inspect(&mut self) {
        self.listen();
        let now = self.world.now().wall;
        let hosts: BTreeMap<_, _> = self.world.hosts().collect();
        self.promises.inspect(&mut self.checkers, &hosts, now);
    }

    pub(super) fn kill_client(&mut self, rng: &mut Rng) {
        self.listen();
        // What a member that is dead has sent may arrive after another has taken its place.
        self.checkers.starts_again();
        let index = rng.below((self.producers.len() + self.consumers.len()) as u64);
        let index = usize::try_from(index).unwrap_or(0);
        if let Some((process, id)) = self.producers.get_mut(index) {
            self.world.reap(*process);
            *id += PRODUCERS.len() as u32;
            *process = self.world.spawn(Client::producer(&self.bootstrap, *id, rng.fork()));
        } else {
            self.replace_member(index - self.producers.len());
        }
    }

    fn replace_member(&mut self, index: usize) {
        let Some(member) = self.consumers.get_mut(index) else { return };
        self.world.reap(member.process);
        member.number = self.next_member;
        self.next_member += 1;
        member.process = self.world.spawn(Client::consumer(&self.bootstrap, member.group, member.number));
    }

    /// No more faults: everybody finds back, sends and reads again.
    fn heal(&mut self) {
        self.world.join();
        self.world.set_network(Network::default());
        self.rolling.clear();
        for id in self.shape.nodes() {
            if let Some(host) = self.world.host_mut(id) {
                host.wall_off_ms = 0;
            }
        }
        self.mend_most_disks();
        self.pass(8_000_000);
        self.lose_a_directory();
        self.hand_over();
        self.pass(12_000_000);
        let mut last = Vec::new();
        for topic in TOPICS {
            for partition in 0..PARTITIONS {
                for (producer, id) in self.producers.clone() {
                    if ProducerKind::of(id) == ProducerKind::LeaderOnly {
                        continue;
                    }
                    last.extend(self.world.program(producer).and_then(Client::next_tag));
                    let key = is_compacted(topic).then_some(KEYS + u64::from(id));
                    let order = Order { topic, partition, key, padding: Some(10) };
                    self.world.tell(producer, Task::Send(order));
                }
            }
        }
        let mut waiting = Vec::new();
        for _ in 0..RECOVERY_MAX_S {
            self.pass(1_000_000);
            waiting = self.waiting(&last);
            if waiting.is_empty() || self.is_broken() {
                break;
            }
        }
        if self.is_broken() {
            return;
        }
        self.promises.check(Promise::AllInSyncAgain, waiting.is_empty(), || {
            format!("{RECOVERY_MAX_S} s after the last fault: {}", waiting.join(", "))
        });
        // Offsets are committed.
        self.pass(2_000_000);
        self.listen();
        let now = self.world.now().wall;
        let hosts: BTreeMap<_, _> = self.world.hosts().collect();
        if let Some(Client::Admin(client)) = self.world.program(self.admin) {
            self.checkers.told(client.ledger());
        }
        if let Some(end) = self.promises.inspect(&mut self.checkers, &hosts, now) {
            self.checkers.finish(&end, &GROUPS);
        }
        self.promises.finish(&hosts, &mut self.checkers, now);
    }

    /// What is not done yet.
    fn waiting(&self, last: &[Tag]) -> Vec<String> {
        let is_busy = |process| !self.world.program(process).is_some_and(Client::is_idle);
        let producers = self.producers.iter().filter(|(process, _)| is_busy(*process));
        let admin = match self.world.program(self.admin) {
            Some(Client::Admin(client)) => client.chore().map(|chore| format!("{chore:?} is not done")),
            _ => None,
        };
        let unread = last.iter().find(|tag| !self.checkers.all_have_read(**tag, &GROUPS));
        producers
            .map(|(_, id)| format!("producer {id} is busy"))
            .chain(admin)
            .chain(unread.map(|tag| format!("{tag:?} was not read by all")))
            .chain(unwell(&self.hosts()))
            .collect()
    }
}

/// Who leads each partition, and who is in sync.
fn states(published: &Published) -> Vec<(TopicPartition, String)> {
    let topics = published.image.topics_by_name();
    let partitions = topics.flat_map(|topic| topic.partitions.iter().map(move |it| (topic.name.clone(), it)));
    partitions
        .map(|(topic, (index, it))| {
            let (epochs, isr) = ((it.leader_epoch, it.partition_epoch), &it.isr);
            let (elr, last) = (&it.elr, &it.last_known_elr);
            let state = format!(
                "{} leads of {:?} in epochs {epochs:?}, in sync {isr:?}, eligible {elr:?}, last {last:?}",
                it.leader, it.replicas
            );
            (TopicPartition { topic, partition: *index }, state)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_kept_over_a_few_seeds() {
        for seed in 0..3 {
            let report = super::super::run(seed, None, Trim::default());
            assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
        }
    }

    #[test]
    fn a_seed_repeats_itself() {
        let run = || super::super::run(3, None, Trim { steps: 6, without: 2 });
        assert_eq!(run(), run());
    }
}
