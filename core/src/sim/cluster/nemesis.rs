//! What is done to a cluster.

use std::collections::BTreeMap;

use super::checkers::{is_registered, newest};
use super::scenario::Scenario;
use crate::metadata::PartitionRegistration;
use crate::rng::Rng;
use crate::sim::admin::Chore;
use crate::sim::workload::{Client, PARTITIONS, TOPICS, Task};
use crate::sim::world::CLIENTS;
use crate::sim::{Host, Network, SimDisk};

/// How long a process is down, µs at most.
const DOWN_MAX_US: u64 = 6_000_000;
/// How long it stands still, µs at most.
const PAUSE_MAX_US: u64 = 6_000_000;
/// How far a wall clock jumps, ms at most.
const CLOCK_JUMP_MAX_MS: u64 = 4_000;

/// What is done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A node's process is killed.
    Crash,
    /// The process of the active controller is.
    CrashController,
    /// A node loses its power.
    PowerLoss,
    /// All nodes do.
    PowerLossOfAll,
    /// A node is stopped as it should be.
    Stop,
    /// All are, one after the other.
    RollingRestart,
    /// A process stands still for a while.
    Pause,
    /// A node is cut off from the others, in both directions.
    Isolate,
    /// ... and from clients, too.
    IsolateFromAll,
    /// Nothing that it sends arrives.
    Mute,
    /// Nothing arrives that is sent to it.
    Deafen,
    /// Two nodes are cut off from each other, and others see both.
    Bridge,
    /// Everything that was cut is joined.
    Join,
    /// The network is slow.
    Slow,
    /// One direction is.
    SlowLine,
    /// A connection breaks.
    CutConnection,
    /// A wall clock jumps.
    ClockJump,
    /// A client is killed, and another takes its place.
    ClientKilled,
    /// A partition moves to other brokers.
    Reassign,
    /// Preferred leaders are elected.
    Elect,
    /// A disk of a broker fails: with another it lives on, without it ends.
    DirectoryFailed,
    /// A disk of a broker is full for a while.
    DiskFull,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Crash,
        Self::CrashController,
        Self::PowerLoss,
        Self::PowerLossOfAll,
        Self::Stop,
        Self::RollingRestart,
        Self::Pause,
        Self::Isolate,
        Self::IsolateFromAll,
        Self::Mute,
        Self::Deafen,
        Self::Bridge,
        Self::Join,
        Self::Slow,
        Self::SlowLine,
        Self::CutConnection,
        Self::ClockJump,
        Self::ClientKilled,
        Self::Reassign,
        Self::Elect,
        Self::DirectoryFailed,
        Self::DiskFull,
    ];

    /// Those that a run may meet: some of them, so that those are met together more often.
    pub fn some(rng: &mut Rng) -> Vec<Self> {
        let some: Vec<Self> = Self::ALL.into_iter().filter(|_| rng.chance(2, 5)).collect();
        if some.is_empty() { vec![Self::Crash] } else { some }
    }
}

impl Scenario {
    /// Does something to the cluster.
    pub(super) fn strike(&mut self, rng: &mut Rng) {
        let Some(fault) = pick(rng, &self.faults_met).copied() else { return };
        let nodes = self.shape.nodes();
        let Some(node) = pick(rng, &nodes).copied() else { return };
        let others: Vec<i32> = nodes.iter().copied().filter(|other| *other != node).collect();
        let has_struck = match fault {
            Fault::Crash => self.kill(rng, node, false),
            Fault::CrashController => self.active_controller().is_some_and(|id| self.kill(rng, id, false)),
            Fault::PowerLoss => self.kill(rng, node, true),
            Fault::PowerLossOfAll => {
                self.shape.syncs_first && nodes.iter().filter(|id| self.kill(rng, **id, true)).count() > 0
            }
            Fault::Stop => self.stop(node, rng.below(DOWN_MAX_US)),
            Fault::RollingRestart => {
                let is_next = self.rolling.is_empty();
                if is_next {
                    self.rolling = nodes;
                }
                is_next
            }
            Fault::Pause => {
                let runs = self.is_up(node);
                self.world.pause_host(node, 50_000 + rng.below(PAUSE_MAX_US));
                runs
            }
            Fault::Isolate | Fault::IsolateFromAll => {
                let clients = [CLIENTS].into_iter().filter(|_| fault == Fault::IsolateFromAll);
                for other in others.into_iter().chain(clients) {
                    self.world.cut(node, other);
                    self.world.cut(other, node);
                }
                true
            }
            Fault::Mute => {
                others.iter().for_each(|other| self.world.cut(node, *other));
                true
            }
            Fault::Deafen => {
                others.iter().for_each(|other| self.world.cut(*other, node));
                true
            }
            Fault::Bridge => pick(rng, &others).copied().is_some_and(|other| {
                self.world.cut(node, other);
                self.world.cut(other, node);
                true
            }),
            Fault::Join => {
                self.world.join();
                self.world.set_network(Network::default());
                true
            }
            Fault::Slow => {
                self.world.set_network(Network { delay_min_us: 1_000, delay_max_us: 300_000 });
                true
            }
            Fault::SlowLine => pick(rng, &others).copied().is_some_and(|other| {
                let slow = Network { delay_min_us: 100_000, delay_max_us: 1_500_000 };
                self.world.set_line(node, other, slow);
                true
            }),
            Fault::CutConnection => self.world.cut_connection(),
            Fault::ClockJump => {
                let far = i64::try_from(rng.below(2 * CLOCK_JUMP_MAX_MS)).unwrap_or(0);
                let off = far - CLOCK_JUMP_MAX_MS.cast_signed();
                self.world.host_mut(node).map(|host| host.wall_off_ms = off).is_some()
            }
            Fault::ClientKilled => {
                self.kill_client(rng);
                true
            }
            Fault::Reassign => self.move_partition(rng),
            Fault::Elect => {
                for topic in TOPICS {
                    for partition in 0..PARTITIONS {
                        self.world.tell(self.admin, Task::Do(Chore::Elect(topic.into(), partition)));
                    }
                }
                true
            }
            Fault::DirectoryFailed => self.break_disk(rng, node, false),
            Fault::DiskFull => self.break_disk(rng, node, true),
        };
        if has_struck {
            // A coordinator may move that could not write down which member has taken another's place.
            self.checkers.starts_again();
            self.note(format_args!("{fault:?} (of {node}, if it is of one)"));
            *self.faults.entry(fault).or_default() += 1;
        }
    }

    fn move_partition(&mut self, rng: &mut Rng) -> bool {
        let mut brokers = self.shape.brokers.clone();
        let mut replicas = Vec::new();
        while replicas.len() < 3 && !brokers.is_empty() {
            let index = usize::try_from(rng.below(brokers.len() as u64)).unwrap_or(0);
            replicas.push(brokers.remove(index));
        }
        let Some(topic) = pick(rng, &TOPICS) else { return false };
        let partition = i32::try_from(rng.below(3)).unwrap_or(0);
        // As in Apache Kafka one that replaces another may name a replica as coming and as going, and then waits to be cancelled.
        let hosts = self.hosts();
        let known = newest(&hosts).and_then(|newest| newest.image.topic(topic)?.partitions.get(&partition));
        let is_idle = self.world.program(self.admin).is_some_and(Client::is_idle);
        if !is_idle || known.is_none_or(PartitionRegistration::is_reassigning) {
            return false;
        }
        let chore = Chore::Reassign((*topic).into(), partition, replicas);
        self.world.tell(self.admin, Task::Do(chore));
        true
    }

    /// Who leads the quorum, as far as anybody knows.
    fn active_controller(&self) -> Option<i32> {
        let leader = newest(&self.hosts())?.leader_id;
        self.is_up(leader).then_some(leader)
    }

    /// Kills a node that is up, unless that could take what is committed from all who have it.
    fn kill(&mut self, rng: &mut Rng, id: i32, is_power_loss: bool) -> bool {
        let may = self.is_up(id) && !self.bad_disks.contains_key(&id) && self.may_die(id, is_power_loss);
        if !may {
            return false;
        }
        self.checkers.starts_again();
        if is_power_loss {
            self.world.power_loss(id);
            self.weak.insert(id);
        } else {
            self.world.crash_host(id);
        }
        self.stopping.remove(&id);
        let again = self.world.now().monotonic.0 + rng.below(DOWN_MAX_US);
        self.down.insert(id, again);
        true
    }

    /// Whether every partition keeps a replica with all that is committed if a node dies now. With `acks=all` that is a promise as long as fewer than
    /// `min.insync.replicas` of those that the controller believes in end uncleanly: after a power loss all others stay until that one has registered.
    pub(super) fn may_die(&self, id: i32, is_power_loss: bool) -> bool {
        if self.shape.syncs_first || !self.shape.brokers.contains(&id) {
            return true;
        }
        if !self.weak.is_empty() || is_power_loss && self.shape.min_insync_replicas < 2 {
            return false;
        }
        let hosts = self.hosts();
        // Nodes that have just started may know less than others did before.
        let newest = newest(&hosts).filter(|newest| newest.offset >= self.seen_offset);
        let Some(newest) = newest else { return !is_power_loss };
        let is_whole = |member: &i32| {
            let node = hosts.get(member).and_then(|host| host.node());
            !self.stopping.contains_key(member) && node.is_some_and(|node| is_registered(node, newest))
        };
        let mut partitions = newest.image.topics_by_name().flat_map(|topic| topic.partitions.values());
        partitions.all(|partition| {
            let mut members = partition.isr.iter().chain(&partition.elr).filter(|member| **member != id);
            if is_power_loss && partition.isr.iter().chain(&partition.elr).any(|member| *member == id) {
                return members.clone().count() > 0 && members.all(is_whole);
            }
            // Who led last may be behind those who are eligible, and leads if they are not any more.
            partition.last_known_elr.is_empty() || members.any(is_whole)
        })
    }

    pub(super) fn hosts(&self) -> BTreeMap<i32, &Host<SimDisk>> {
        self.world.hosts().collect()
    }

    pub(super) fn is_up(&self, id: i32) -> bool {
        self.world.hosts().any(|(host_id, host)| host_id == id && host.node().is_some())
    }
}

pub(super) fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> Option<&'a T> {
    all.get(usize::try_from(rng.below(all.len() as u64)).unwrap_or(0))
}
