//! A run of the workload under faults, all from one seed.

use std::collections::BTreeMap;

use super::checkers::{Checker, Checkers};
use super::mutation::{Mutation, Planted};
use super::workload::{Client, GROUPS, Order, PARTITIONS, PRODUCERS, TOPICS, broker};
use super::{Network, ProcessId, SimDisk, World, WorldConfig};
use crate::rng::Rng;
use crate::time::Instant;
use crate::trace::TraceEvent;

/// Steps with load and faults.
const STEPS: u64 = 24;
/// A step, µs at most.
const STEP_MAX_US: u64 = 900_000;
/// How long everybody has to find back after the last fault, s.
const RECOVERY_MAX_S: u64 = 90;
/// The only broker.
const BROKER: i32 = 1;

/// What is done to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A connection is cut.
    Cut,
    /// The network is slow for a while.
    Slow,
    /// The broker's process is killed and started again.
    Crash,
    /// The machine loses its power and is started again.
    PowerLoss,
}

/// What a run has shown.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed that repeats it.
    pub seed: u64,
    /// A digest of everything that happened.
    pub hash: u64,
    /// How often what was done to the world.
    pub faults: BTreeMap<Fault, u64>,
    /// How often each checker had something to check.
    pub exercised: BTreeMap<Checker, u64>,
    /// Broken promises.
    pub violations: Vec<(Checker, String)>,
}

struct Run {
    world: World<SimDisk, Client>,
    rng: Rng,
    checkers: Checkers,
    producers: Vec<ProcessId>,
    consumers: Vec<(ProcessId, &'static str)>,
    faults: BTreeMap<Fault, u64>,
}

/// Runs a seed, with a bug planted or without.
pub fn run(seed: u64, mutation: Option<Mutation>) -> Report {
    let mut run = Run::new(seed, mutation);
    run.all();
    Report {
        seed,
        hash: run.world.trace_hash(),
        faults: run.faults,
        exercised: run.checkers.exercised().clone(),
        violations: run.checkers.violations().to_vec(),
    }
}

impl Run {
    fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        let mut rng = Rng::from_seed(seed);
        let mut world = World::new(WorldConfig { seed: rng.next_u64(), ..WorldConfig::default() });
        let mut checkers = Checkers::default();
        world.plant(Planted::new(mutation));
        if let Err(reason) = world.add_host(broker(&mut rng), SimDisk::with_directory("./data")) {
            checkers.check(Checker::Recovers, false, || format!("the first start: {reason}"));
        }
        let producers = (0..)
            .zip(PRODUCERS)
            .map(|(id, kind)| world.spawn(Client::producer(id, kind, rng.fork())))
            .collect();
        let consumers = GROUPS
            .iter()
            .flat_map(|(group, members)| (0..*members).map(move |number| (*group, number)))
            .map(|(group, number)| (world.spawn(Client::consumer(group, number)), group))
            .collect();
        Self { world, rng, checkers, producers, consumers, faults: BTreeMap::new() }
    }

    fn all(&mut self) {
        for _ in 0..STEPS {
            self.produce();
            let wait = self.rng.below(STEP_MAX_US);
            self.pass(wait);
            match self.rng.below(12) {
                0..3 => {
                    let was_cut = self.world.cut_connection();
                    *self.faults.entry(Fault::Cut).or_default() += u64::from(was_cut);
                }
                3 => {
                    let network = Network { delay_min_us: 1_000, delay_max_us: 400_000 };
                    self.world.set_network(network);
                    self.count(Fault::Slow);
                }
                4 => self.world.set_network(Network::default()),
                5 | 6 => self.kill(Fault::Crash),
                7 => self.kill(Fault::PowerLoss),
                _ => {}
            }
            if !self.checkers.violations().is_empty() {
                return;
            }
        }
        self.heal();
    }

    fn count(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    fn produce(&mut self) {
        for _ in 0..self.rng.below(6) {
            let index = self.rng.below(self.producers.len() as u64);
            let Some(producer) = self.producers.get(usize::try_from(index).unwrap_or(0)).copied() else {
                return;
            };
            for _ in 0..=self.rng.below(4) {
                let order = self.order();
                self.world.tell(producer, order);
            }
        }
    }

    fn order(&mut self) -> Order {
        let topic = TOPICS[usize::from(self.rng.chance(1, 3))];
        let partition = i32::try_from(self.rng.below(PARTITIONS.unsigned_abs().into())).unwrap_or(0);
        let padding = usize::try_from(self.rng.below(1_200)).unwrap_or(0);
        Order { topic, partition, padding }
    }

    /// Lets time pass, and looks at what clients and the broker have to say.
    fn pass(&mut self, microseconds: u64) {
        let until = Instant(self.world.now().monotonic.0 + microseconds);
        self.world.run_until(until);
        self.listen();
    }

    fn listen(&mut self) {
        for producer in &self.producers {
            if let Some(Client::Producer(client)) = self.world.program_mut(*producer) {
                self.checkers.acknowledged(client.take_acknowledged());
            }
        }
        for (member, (process, group)) in self.consumers.iter().enumerate() {
            if let Some(Client::Consumer(client)) = self.world.program_mut(*process) {
                self.checkers.read(group, member, client.take_read());
            }
        }
        for (at, _, event) in self.world.take_traces() {
            if let TraceEvent::StorageFailed { path, reason } = event {
                self.checkers.check(Checker::Recovers, false, || format!("{at:?} {path}: {reason}"));
            }
        }
    }

    fn snapshot(&mut self) -> Option<super::checkers::Snapshot> {
        let (_, host) = self.world.hosts().next()?;
        self.checkers.snapshot(host)
    }

    fn kill(&mut self, fault: Fault) {
        self.count(fault);
        let before = self.snapshot();
        if fault == Fault::PowerLoss {
            self.world.power_loss(BROKER);
        } else {
            self.world.crash_host(BROKER);
        }
        let down = self.rng.below(2_000_000);
        self.pass(down);
        let started = self.world.start_host(BROKER);
        self.checkers
            .check(Checker::Recovers, started.is_ok(), || format!("a start after {fault:?}: {started:?}"));
        // What clients were told before the fault is held against what was there before it.
        let host = self.world.hosts().next().map(|(_, host)| host.clone());
        if let (Some(before), Some(host)) = (before, host) {
            let mut looking = self.checkers.clone();
            if let Some(after) = looking.snapshot(&host) {
                self.checkers.restarted(&before, &after, fault == Fault::PowerLoss);
            }
            self.snapshot();
        }
        self.listen();
    }

    /// No more faults: everybody finds back, sends and reads again.
    fn heal(&mut self) {
        self.world.set_network(Network::default());
        self.pass(15_000_000);
        let mut last = Vec::new();
        for topic in TOPICS {
            for partition in 0..PARTITIONS {
                for producer in self.producers.clone() {
                    last.extend(self.world.program(producer).and_then(Client::next_tag));
                    self.world.tell(producer, Order { topic, partition, padding: 10 });
                }
            }
        }
        let mut waited = 0;
        let done = loop {
            self.pass(1_000_000);
            let idle = self
                .producers
                .iter()
                .all(|producer| self.world.program(*producer).is_some_and(Client::is_idle));
            let read = last.iter().all(|tag| self.checkers.all_have_read(*tag, &GROUPS));
            waited += 1;
            if (idle && read) || waited >= RECOVERY_MAX_S {
                break idle && read;
            }
        };
        self.checkers.check(Checker::Recovers, done, || {
            format!("{RECOVERY_MAX_S} s after the last fault somebody still waits")
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_seed_repeats_itself() {
        let (one, other) = (run(5, None), run(5, None));
        assert_eq!((one.hash, one.exercised), (other.hash, other.exercised));
    }
}

#[cfg(all(test, feature = "mutations"))]
mod planted {
    use super::*;

    #[test]
    fn every_planted_bug_is_caught() {
        let mut missed = Vec::new();
        for mutation in Mutation::ALL {
            let caught =
                (0..40).map(|seed| run(seed, Some(mutation))).find(|report| !report.violations.is_empty());
            match caught {
                Some(report) => {
                    println!("{mutation:?}: seed {} {:?}", report.seed, report.violations.first());
                }
                None => missed.push(mutation),
            }
        }
        assert!(missed.is_empty(), "not caught: {missed:?}");
    }
}
