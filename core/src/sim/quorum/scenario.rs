//! A quorum under faults, all from one seed.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::Uuid;
use ottla_protocol::messages::add_raft_voter_request::Listener;
use ottla_protocol::messages::{AddRaftVoterRequest, RemoveRaftVoterRequest};

use super::checkers::{Checker, Checkers};
use super::ledger::{Ledger, batch};
use super::node::{Clock, Node, ROOT};
use super::world::{Counts, PORT, World, host};
use crate::log::{LogConfig, LogStore as _};
use crate::machine::SyncTarget;
use crate::quorum::control::{Endpoints, KRAFT_VERSIONS, Voter};
use crate::quorum::raft::{QuorumConfig, QuorumEvent, Request, RoleName, VoterSet};
use crate::quorum::{METADATA_DIR, METADATA_TOPIC, SnapshotId, join};
use crate::rng::Rng;
use crate::sim::mutation::{Mutation, Planted};
use crate::sim::{Disk as _, DiskOp, SimDisk, Trouble};

/// Steps with load and faults.
const STEPS: u64 = 18;
/// A step, µs at most.
const STEP_MAX_US: u64 = 3_000_000;
/// Between two looks at the world, µs.
const SLICE_US: u64 = 50_000;
/// How long the first election may take, and one after everything has healed, µs.
const ELECTION_MAX_US: u64 = 30_000_000;
/// How long all may take to have everything after that, µs.
const CONVERGENCE_MAX_US: u64 = 60_000_000;
/// How long a replica is in trouble while the others are well, µs.
const TROUBLE_US: u64 = 6_000_000;
/// Replicas at most.
const REPLICAS_MAX: i32 = 7;
/// Keys of the state machine.
const KEYS: u64 = 40;
/// The listener.
const LISTENER: &str = "CONTROLLER";

/// What is done to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A process is killed.
    Crash,
    /// A machine loses its power.
    PowerLoss,
    /// A process dies in the middle of an operation of its disk.
    CrashAt(DiskOp),
    /// A machine loses its power then.
    PowerLossAt(DiskOp),
    /// All processes are killed at once.
    CrashOfAll,
    /// All machines lose their power at once.
    PowerLossOfAll,
    /// A process is stopped as it should be.
    Stop,
    /// A leader resigns.
    Resign,
    /// Nothing happens to a process for a while.
    Pause,
    /// Nothing comes through from one replica to another.
    CutOneWay,
    /// A replica is cut off from all others.
    CutOff,
    /// The replicas are cut in two.
    Split,
    /// Two parts see each other through one replica only.
    Bridge,
    /// Messages are lost.
    Lossy,
    /// Messages arrive twice.
    Repeating,
    /// Messages take long, and overtake each other.
    Slow,
    /// Syncs take long.
    SlowDisk,
    /// A sync fails.
    SyncFailed,
    /// A wall clock jumps.
    ClockJump,
    /// A replica becomes a voter.
    VoterAdded,
    /// A voter is no longer one.
    VoterRemoved,
    /// Nor is the leader.
    LeaderRemoved,
    /// A replica comes back with an empty disk.
    DiskReplaced,
    /// A replica comes back at another port.
    PortChanged,
}

impl Fault {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let ops = DiskOp::ALL.into_iter().flat_map(|op| [Self::CrashAt(op), Self::PowerLossAt(op)]);
        let others = [
            Self::Crash,
            Self::PowerLoss,
            Self::CrashOfAll,
            Self::PowerLossOfAll,
            Self::Stop,
            Self::Resign,
            Self::Pause,
            Self::CutOneWay,
            Self::CutOff,
            Self::Split,
            Self::Bridge,
            Self::Lossy,
            Self::Repeating,
            Self::Slow,
            Self::SlowDisk,
            Self::SyncFailed,
            Self::ClockJump,
            Self::VoterAdded,
            Self::VoterRemoved,
            Self::LeaderRemoved,
            Self::DiskReplaced,
            Self::PortChanged,
        ];
        others.into_iter().chain(ops).collect()
    }
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
    /// How often each promise was looked at.
    pub exercised: BTreeMap<Checker, u64>,
    /// Broken promises.
    pub violations: Vec<(Checker, String)>,
    /// What has come to pass.
    pub counts: Counts,
    /// What happened last, where a promise was broken.
    pub journal: Vec<String>,
}

/// Runs a seed.
pub fn run(seed: u64, mutation: Option<Mutation>) -> Report {
    let mut scenario = Scenario::new(seed, mutation);
    scenario.run();
    scenario.report()
}

/// An append that is not known to be committed.
#[derive(Clone, Copy, Debug)]
struct Pending {
    node: i32,
    life: u64,
    epoch: i32,
    offset: i64,
}

/// A run under way.
#[derive(Clone, Debug)]
pub struct Scenario {
    seed: u64,
    rng: Rng,
    world: World,
    template: QuorumConfig,
    faults: BTreeMap<Fault, u64>,
    pending: Vec<Pending>,
    acknowledged: Vec<(i32, i64)>,
    next_value: u64,
    /// Replicas that are to die in the middle of an operation, with the power or without.
    dying: BTreeMap<i32, (DiskOp, bool)>,
}

impl Scenario {
    /// The replicas of a seed, formatted.
    pub fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        let mut rng = Rng::from_seed(seed);
        let planted = Planted::new(mutation);
        let mut world = World::new(rng.fork(), planted);
        let counts = [1, 2, 3, 3, 3, 3, 4, 5, 5, 7];
        let voters = counts.get(usize::try_from(rng.below(10)).unwrap_or(0)).copied().unwrap_or(3);
        let observers = i32::try_from(rng.below(3)).unwrap_or(0).min(REPLICAS_MAX - voters);
        let is_dynamic = rng.chance(3, 4);
        let directories: Vec<Uuid> = (0..voters + observers).map(|_| rng.uuid()).collect();
        let voter = |id: i32, directory_id: Uuid| Voter {
            id,
            directory_id: if is_dynamic { directory_id } else { Uuid::ZERO },
            endpoints: endpoints(id, PORT),
            kraft_versions: KRAFT_VERSIONS,
        };
        let set: Vec<Voter> =
            (1..=voters).zip(&directories).map(|(id, directory)| voter(id, *directory)).collect();
        let template = QuorumConfig {
            node_id: 0,
            directory_id: Uuid::ZERO,
            cluster_id: "a-cluster".into(),
            topic: METADATA_TOPIC.into(),
            topic_id: Uuid::METADATA_TOPIC,
            dir: join(ROOT, METADATA_DIR),
            log: LogConfig {
                segment_bytes: 1_000 + rng.below(8_000),
                delete: false,
                compact: false,
                file_delete_delay_ms: 1_000,
                ..LogConfig::default()
            },
            listener: LISTENER.into(),
            endpoints: Endpoints::new(),
            static_voters: if is_dynamic { Vec::new() } else { set.clone() },
            bootstrap_servers: match is_dynamic || rng.chance(1, 2) {
                true => (1..=voters + observers).map(|id| (host(id), PORT)).collect(),
                false => Vec::new(),
            },
            auto_join: is_dynamic && rng.chance(1, 3),
            election_timeout_ms: 1_000,
            fast_election: true,
            fetch_timeout_ms: 2_000,
            election_backoff_max_ms: 1_000,
            request_timeout_ms: 2_000,
            retry_backoff_ms: 20,
            fetch_max_bytes: 500 + i32::try_from(rng.below(5_000)).unwrap_or(0),
            fetch_snapshot_max_bytes: 200 + i32::try_from(rng.below(2_000)).unwrap_or(0),
        };
        let has_old = rng.chance(1, 4);
        for (id, directory_id) in (1..=voters + observers).zip(&directories) {
            let mut disk = new_disk(planted);
            if is_dynamic && id <= voters {
                format(&mut disk, &template.dir, &VoterSet::new(set.clone()));
            }
            let node = Node {
                id,
                directory_id: *directory_id,
                config: config_of(&template, id, *directory_id, PORT),
                disk,
                quorum: None,
                life: 0,
                clock: Clock {
                    drift_ppm: i64::try_from(rng.below(100_001)).unwrap_or(0) - 50_000,
                    wall_off_ms: i64::try_from(rng.below(4_001)).unwrap_or(0) - 2_000,
                },
                paused_until_us: 0,
                is_old: has_old && rng.chance(1, 3),
                ledger: Ledger::default(),
                askers: BTreeMap::new(),
                wake: None,
                failure: None,
            };
            world.nodes.insert(id, node);
        }
        Self {
            seed,
            rng,
            world,
            template,
            faults: BTreeMap::new(),
            pending: Vec::new(),
            acknowledged: Vec::new(),
            next_value: 0,
            dying: BTreeMap::new(),
        }
    }

    /// All of it.
    pub fn run(&mut self) {
        for id in self.ids() {
            self.world.start(id);
        }
        self.await_leader();
        for _ in 0..STEPS {
            self.disturb();
            let length = SLICE_US + self.rng.below(STEP_MAX_US);
            self.pass(length, true);
            if self.is_broken() {
                return;
            }
            if self.rng.chance(1, 3) {
                self.heal();
                self.pass(STEP_MAX_US, true);
            }
        }
        self.heal();
        self.await_leader();
        self.await_convergence();
        if !self.is_broken() {
            // Whoever has missed the leader has found it again.
            self.pass(TROUBLE_US, false);
            self.await_convergence();
            self.leave_in_peace();
        }
        if !self.is_broken() {
            self.heal();
            self.await_leader();
            self.pass(1_000_000, true);
            self.await_convergence();
            self.compare();
        }
    }

    /// What it has shown.
    pub fn report(self) -> Report {
        let Checkers { violations, exercised, .. } = self.world.checkers.clone();
        let journal = if violations.is_empty() { Vec::new() } else { self.world.journal.clone().into() };
        Report {
            seed: self.seed,
            journal,
            hash: self.world.hash(),
            faults: self.faults,
            exercised,
            violations,
            counts: self.world.counts,
        }
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.world
    }

    fn is_broken(&self) -> bool {
        !self.world.checkers.violations.is_empty()
    }

    fn ids(&self) -> Vec<i32> {
        self.world.nodes.keys().copied().collect()
    }

    fn pick(&mut self, from: &[i32]) -> Option<i32> {
        let index = usize::try_from(self.rng.below(from.len() as u64)).unwrap_or(0);
        from.get(index).copied()
    }

    fn count(&mut self, fault: Fault) {
        self.world.tell_of(0, format_args!("{fault:?}"));
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Replicas for which something holds.
    fn those(&self, is_meant: impl Fn(&Node) -> bool) -> Vec<i32> {
        self.world.nodes.values().filter(|node| is_meant(node)).map(|node| node.id).collect()
    }

    /// The one that leads in the newest epoch in which somebody does, and has claimed it.
    fn leader(&self) -> Option<i32> {
        let leads = |node: &&Node| node.quorum.as_ref().is_some_and(|quorum| quorum.has_claimed());
        let leaders = self.world.nodes.values().filter(leads);
        leaders.max_by_key(|node| node.quorum.as_ref().map(|quorum| quorum.epoch())).map(|node| node.id)
    }

    /// Who votes, as the leader sees it.
    fn voters(&self) -> Option<VoterSet> {
        let leader = self.world.nodes.get(&self.leader()?)?;
        Some(leader.quorum.as_ref()?.voters().clone())
    }

    fn is_dynamic(&self) -> bool {
        self.template.static_voters.is_empty()
    }

    // Time.

    /// Lets time pass, with load or without.
    fn pass(&mut self, microseconds: u64, with_load: bool) {
        let end = self.world.now_us + microseconds;
        while self.world.now_us < end && !self.is_broken() {
            self.world.run(SLICE_US.min(end - self.world.now_us));
            self.bury();
            self.acknowledge();
            if with_load {
                self.produce();
                if self.rng.chance(1, 60) {
                    let ids = self.ids();
                    if let Some(id) = self.pick(&ids) {
                        self.world.snapshot(id);
                    }
                }
            }
        }
    }

    /// Everybody that claims to lead is asked to append something.
    fn produce(&mut self) {
        let leaders =
            self.those(|node| node.quorum.as_ref().is_some_and(|quorum| quorum.role() == RoleName::Leader));
        for id in leaders {
            if !self.rng.chance(2, 3) {
                continue;
            }
            let changes: Vec<(u32, u64)> = (0..1 + self.rng.below(4))
                .map(|_| {
                    self.next_value += 1;
                    (u32::try_from(self.rng.below(KEYS)).unwrap_or(0), self.next_value)
                })
                .collect();
            let node = self.world.nodes.get(&id);
            let (life, wall) =
                node.map_or((0, 0), |node| (node.life, node.clock.now(self.world.now_us).wall));
            if let Some((epoch, offset)) = self.world.append(id, &batch(wall, &changes)) {
                self.pending.push(Pending { node: id, life, epoch, offset });
            }
        }
    }

    /// What the leader that appended it has committed in the same epoch counts.
    fn acknowledge(&mut self) {
        let (mut acknowledged, mut waiting) = (Vec::new(), Vec::new());
        for pending in std::mem::take(&mut self.pending) {
            let node = self.world.nodes.get(&pending.node).filter(|node| node.life == pending.life);
            let Some(quorum) = node.and_then(|node| node.quorum.as_ref()) else { continue };
            let leads = quorum.epoch() == pending.epoch && quorum.role() == RoleName::Leader;
            if leads && quorum.high_watermark() > Some(pending.offset) {
                acknowledged.push((pending.epoch, pending.offset));
            } else if leads {
                waiting.push(pending);
            }
        }
        self.pending = waiting;
        for (epoch, offset) in acknowledged {
            self.world.checkers.acknowledged(epoch, offset);
            self.acknowledged.push((epoch, offset));
        }
    }

    /// Replicas that have died as they were to are counted; one that gave up for no reason breaks a promise.
    fn bury(&mut self) {
        for id in self.ids() {
            let Some(node) = self.world.nodes.get_mut(&id) else { continue };
            if let Some(failure) = node.failure.take() {
                let had_trouble = node.disk.refusals(0) > 0;
                if had_trouble {
                    let mut rng = self.rng.fork();
                    node.disk.remount(0, &mut rng);
                    self.count(Fault::SyncFailed);
                } else {
                    self.world.checkers.failed(id, &failure);
                }
                continue;
            }
            if node.quorum.is_none()
                && let Some((op, is_power_loss)) = self.dying.remove(&id)
            {
                if is_power_loss {
                    self.world.kill(id, true);
                    self.count(Fault::PowerLossAt(op));
                } else {
                    self.count(Fault::CrashAt(op));
                }
            }
        }
    }

    // Faults.

    fn disturb(&mut self) {
        let up = self.those(|node| node.quorum.is_some());
        let down = self.those(|node| node.quorum.is_none());
        // Most of what is down comes back soon.
        for id in down {
            if self.rng.chance(1, 2) {
                self.world.start(id);
            }
        }
        let (all, leader) = (self.ids(), self.leader());
        let Some(mut victim) = self.pick(if up.is_empty() { &all } else { &up }) else { return };
        if let Some(leader) = leader.filter(|_| self.rng.chance(1, 2)) {
            victim = leader;
        }
        match self.rng.below(26) {
            0 | 1 => {
                self.world.kill(victim, false);
                self.count(Fault::Crash);
            }
            2..=4 => {
                self.world.kill(victim, true);
                self.count(Fault::PowerLoss);
            }
            5..=7 => self.die_at(victim),
            8 => {
                let is_power_loss = self.rng.chance(2, 3);
                all.iter().for_each(|id| self.world.kill(*id, is_power_loss));
                all.iter().for_each(|id| _ = self.world.start(*id));
                self.count(if is_power_loss { Fault::PowerLossOfAll } else { Fault::CrashOfAll });
            }
            9 => {
                self.world.tell(victim, QuorumEvent::Stop { timeout_ms: 2_000 });
                self.count(Fault::Stop);
            }
            10 => {
                let epoch = leader
                    .and_then(|id| self.world.nodes.get(&id)?.quorum.as_ref().map(|quorum| quorum.epoch()));
                if let (Some(leader), Some(epoch)) = (leader, epoch) {
                    self.world.tell(leader, QuorumEvent::Resign { epoch });
                    self.count(Fault::Resign);
                }
            }
            11 | 12 => {
                let length = 100_000 + self.rng.below(5_000_000);
                if let Some(node) = self.world.nodes.get_mut(&victim) {
                    node.paused_until_us = self.world.now_us + length;
                }
                self.count(Fault::Pause);
            }
            13..=16 => self.cut(victim, &all),
            17 => {
                self.world.network.lost_permille = 20 + self.rng.below(300);
                self.count(Fault::Lossy);
            }
            18 => {
                self.world.network.repeated_permille = 50 + self.rng.below(400);
                self.count(Fault::Repeating);
            }
            19 => {
                self.world.network.delay_max_us = 10_000 + self.rng.below(400_000);
                self.world.network.straggling_us = 3_000_000;
                self.count(Fault::Slow);
            }
            20 => {
                self.world.slow_syncs = 1 + self.rng.below(10);
                self.count(Fault::SlowDisk);
            }
            21 => {
                // Counted once it has struck.
                if let Some(node) = self.world.nodes.get_mut(&victim) {
                    node.disk.trouble(0, Some(Trouble::SyncFails));
                }
            }
            22 => {
                if let Some(node) = self.world.nodes.get_mut(&victim) {
                    node.clock.wall_off_ms += i64::try_from(self.rng.below(200_001)).unwrap_or(0) - 100_000;
                }
                self.count(Fault::ClockJump);
            }
            23 => self.add_voter(),
            24 => self.remove_voter(),
            _ => self.come_back_changed(victim),
        }
    }

    fn die_at(&mut self, victim: i32) {
        let ops = DiskOp::ALL.len() as u64;
        let op = DiskOp::ALL.get(usize::try_from(self.rng.below(ops)).unwrap_or(0)).copied();
        let after = self.rng.below(4);
        let is_power_loss = self.rng.chance(1, 2);
        if let (Some(op), Some(node)) = (op, self.world.nodes.get_mut(&victim))
            && node.quorum.is_some()
        {
            node.disk.die_at(op, after);
            self.dying.insert(victim, (op, is_power_loss));
        }
    }

    fn cut(&mut self, victim: i32, all: &[i32]) {
        let others: Vec<i32> = all.iter().copied().filter(|id| *id != victim).collect();
        let Some(other) = self.pick(&others) else { return };
        let network = &mut self.world.network;
        match self.rng.below(4) {
            0 => {
                network.cut(victim, other);
                self.count(Fault::CutOneWay);
            }
            1 => {
                for other in others {
                    network.cut(victim, other);
                    network.cut(other, victim);
                }
                self.count(Fault::CutOff);
            }
            kind => {
                let sides: Vec<(i32, bool)> = others.iter().map(|id| (*id, self.rng.chance(1, 2))).collect();
                for (one, left) in &sides {
                    for (other, right) in &sides {
                        if left != right {
                            self.world.network.cut(*one, *other);
                        }
                    }
                    // Without a bridge the victim is on one side.
                    if kind == 2 && *left {
                        self.world.network.cut(victim, *one);
                        self.world.network.cut(*one, victim);
                    }
                }
                self.count(if kind == 2 { Fault::Split } else { Fault::Bridge });
            }
        }
    }

    fn add_voter(&mut self) {
        let (Some(leader), Some(voters)) = (self.leader(), self.voters()) else { return };
        if !self.is_dynamic() {
            return;
        }
        let candidates = self.those(|node| node.quorum.is_some() && voters.get(node.id).is_none());
        let Some(id) = self.pick(&candidates) else { return };
        let Some(node) = self.world.nodes.get(&id) else { return };
        let listeners = node.config.endpoints.iter();
        let request = AddRaftVoterRequest {
            cluster_id: Some(self.template.cluster_id.clone()),
            timeout_ms: 2_000,
            voter_id: id,
            voter_directory_id: node.directory_id,
            listeners: listeners
                .map(|(name, host, port)| Listener { name: name.clone(), host: host.clone(), port: *port })
                .collect(),
            ack_when_committed: self.rng.chance(1, 2),
        };
        self.world.ask(leader, Request::AddRaftVoter(request));
        self.count(Fault::VoterAdded);
        if self.rng.chance(1, 2) {
            // Another change on its heels.
            let length = self.rng.below(20_000);
            self.world.run(length);
            self.remove_voter();
        }
    }

    fn remove_voter(&mut self) {
        let (Some(leader), Some(voters)) = (self.leader(), self.voters()) else { return };
        // With two voters, a leader that is removed and gone before the other has heard of it leaves nobody who could be elected.
        if !self.is_dynamic() || voters.len() < 3 {
            return;
        }
        let ids = voters.ids();
        for _ in 0..1 + self.rng.below(2) {
            let Some(id) = self.pick(&ids) else { return };
            let Some(voter) = voters.get(id) else { return };
            // An administrator who leaves more voters that are gone for good than others gets what was asked for.
            let is_there = |voter: &&Voter| {
                self.world.nodes.get(&voter.id).is_some_and(|node| node.directory_id == voter.directory_id)
            };
            let left = voters.iter().filter(|voter| voter.id != id).filter(is_there).count();
            if left * 2 < voters.len() {
                return;
            }
            let request = RemoveRaftVoterRequest {
                cluster_id: Some(self.template.cluster_id.clone()),
                voter_id: id,
                voter_directory_id: voter.directory_id,
            };
            self.world.ask(leader, Request::RemoveRaftVoter(request));
            self.count(if id == leader { Fault::LeaderRemoved } else { Fault::VoterRemoved });
        }
    }

    /// A replica comes back with an empty disk, or at another port.
    fn come_back_changed(&mut self, victim: i32) {
        if !self.is_dynamic() {
            return;
        }
        let (port, is_replaced) = (PORT + 1, self.rng.chance(1, 2) && self.may_lose_disk(victim));
        self.world.kill(victim, false);
        let new_directory = self.rng.uuid();
        let disk = new_disk(self.world.planted());
        let Some(node) = self.world.nodes.get_mut(&victim) else { return };
        if is_replaced {
            node.disk = disk;
            node.directory_id = new_directory;
        }
        let port =
            node.config.endpoints.first().map_or(port, |(.., now)| if is_replaced { *now } else { port });
        node.config = config_of(&self.template, victim, node.directory_id, port);
        self.world.start(victim);
        self.count(if is_replaced { Fault::DiskReplaced } else { Fault::PortChanged });
    }

    /// Whether the voters can do without a disk: of those that are left a majority has what is committed. Where nobody leads nobody knows.
    fn may_lose_disk(&self, victim: i32) -> bool {
        let Some(voters) = self.voters() else { return false };
        // Any set that a replica takes for the newest counts: it may be the one that is committed in the end.
        let sets =
            self.world.nodes.values().filter_map(|node| node.quorum.as_ref()).map(|quorum| quorum.voters());
        let is_left = |voter: &&Voter| {
            let node = self.world.nodes.get(&voter.id);
            voter.id != victim && node.is_some_and(|node| node.directory_id == voter.directory_id)
        };
        // All others have all of it, so that what is committed is not on a bare majority of which one goes.
        let committed = self.world.nodes.get(&self.leader().unwrap_or(0));
        let end = committed.and_then(|node| Some(node.quorum.as_ref()?.log().end_offset()));
        let has_all = |voter: &Voter| {
            let node = self.world.nodes.get(&voter.id);
            node.and_then(|node| Some(node.quorum.as_ref()?.log().synced_offset())) >= end
        };
        sets.chain([&voters]).all(|set| {
            set.len() > 2
                && set.iter().filter(is_left).filter(|voter| has_all(voter)).count() >= set.majority()
        })
    }

    // The end.

    /// Everything is well again.
    fn heal(&mut self) {
        let network = &mut self.world.network;
        *network = super::network::Network::default();
        self.world.slow_syncs = 0;
        for id in self.ids() {
            let now_us = self.world.now_us;
            let Some(node) = self.world.nodes.get_mut(&id) else { continue };
            node.paused_until_us = node.paused_until_us.min(now_us);
            if node.disk.refusals(0) == 0 {
                node.disk.trouble(0, None);
            }
            if node.disk.live_on() {
                self.dying.remove(&id);
            }
        }
        self.bury();
        for id in self.those(|node| node.quorum.is_none()) {
            self.world.start(id);
        }
    }

    fn await_leader(&mut self) {
        let end = self.world.now_us + ELECTION_MAX_US;
        while self.leader().is_none() && self.world.now_us < end && !self.is_broken() {
            self.pass(SLICE_US, false);
            self.restart_the_stopped();
        }
        let (has_leader, roles) = (self.leader().is_some(), self.roles());
        if !self.is_broken() {
            self.world.checkers.check(Checker::ElectionEnds, has_leader, || {
                format!("nobody leads after {} s: {roles}", ELECTION_MAX_US / 1_000_000)
            });
        }
    }

    /// A replica that was told to stop before everything was well.
    fn restart_the_stopped(&mut self) {
        for id in self.those(|node| node.quorum.is_none()) {
            self.world.start(id);
        }
    }

    fn await_convergence(&mut self) {
        let end = self.world.now_us + CONVERGENCE_MAX_US;
        while !self.is_converged() && self.world.now_us < end && !self.is_broken() {
            self.pass(SLICE_US, false);
            self.restart_the_stopped();
        }
        let (is_converged, roles) = (self.is_converged(), self.roles());
        if !self.is_broken() {
            self.world.checkers.check(Checker::Converges, is_converged, || {
                format!("not all have everything after {} s: {roles}", CONVERGENCE_MAX_US / 1_000_000)
            });
        }
    }

    fn is_converged(&self) -> bool {
        let Some(leader) = self.leader().and_then(|id| self.world.nodes.get(&id)?.quorum.as_ref()) else {
            return false;
        };
        let (end, epoch) = (leader.log().end_offset(), leader.epoch());
        self.world.nodes.values().all(|node| {
            node.quorum.as_ref().is_some_and(|quorum| {
                matches!(quorum.role(), RoleName::Leader | RoleName::Follower)
                    && quorum.log().end_offset() == end
                    && quorum.high_watermark() == Some(end)
                    && quorum.epoch() == epoch
                    && node.ledger.next_offset == end
                    && !quorum.voters().is_outdated(&Voter {
                        id: node.id,
                        directory_id: node.directory_id,
                        endpoints: node.config.endpoints.clone(),
                        kraft_versions: KRAFT_VERSIONS,
                    }) | !self.is_dynamic()
            })
        })
    }

    fn roles(&self) -> String {
        let states = self.world.nodes.values().map(|node| match &node.quorum {
            Some(quorum) => format!(
                "{} {:?} epoch {} follows {:?} votes {} voters {:?} at {:?} synced {} log {}..{} high watermark {:?} applied {}",
                node.id,
                quorum.role(),
                quorum.epoch(),
                quorum.leader_id(),
                quorum.is_voter(),
                quorum.voters().ids(),
                quorum.log().voters().last_offset(),
                quorum.log().synced_offset(),
                quorum.log().start_offset(),
                quorum.log().end_offset(),
                quorum.high_watermark(),
                node.ledger.next_offset
            ),
            None => format!("{} down", node.id),
        });
        states.collect::<Vec<_>>().join("; ")
    }

    /// One voter is in trouble, and all others are well: the leader goes on leading.
    fn leave_in_peace(&mut self) {
        let (Some(leader), Some(voters)) = (self.leader(), self.voters()) else { return };
        let live = |id: &i32| {
            let key = self.world.nodes.get(id).map(Node::key);
            key.is_some_and(|key| voters.is_voter(key))
        };
        let others: Vec<i32> = voters.ids().into_iter().filter(|id| *id != leader).filter(live).collect();
        // The leader and enough others are well without the one. Where somebody does not know pre-votes nobody asks for them.
        let has_old = self.world.nodes.values().any(|node| node.is_old);
        if has_old || others.len() < 2 || others.len() < voters.majority() {
            return;
        }
        let Some(victim) = self.pick(&others) else { return };
        let epoch = |scenario: &Self| {
            let leader = scenario.world.nodes.get(&leader)?.quorum.as_ref()?;
            leader.has_claimed().then(|| leader.epoch())
        };
        let before = epoch(self);
        let kind = self.rng.below(4);
        self.world.tell_of(victim, format_args!("is in trouble ({kind})"));
        match kind {
            0 => self.world.network.cut(leader, victim),
            1 => {
                for other in self.ids() {
                    self.world.network.cut(victim, other);
                    self.world.network.cut(other, victim);
                }
            }
            2 => {
                let until = self.world.now_us + TROUBLE_US;
                if let Some(node) = self.world.nodes.get_mut(&victim) {
                    node.paused_until_us = until;
                }
            }
            _ => self.world.kill(victim, true),
        }
        self.pass(TROUBLE_US, false);
        self.heal();
        self.pass(TROUBLE_US, false);
        let after = epoch(self);
        if !self.is_broken() {
            self.world.checkers.check(Checker::LeaderUndisturbed, before == after, || {
                format!("{leader} led in epoch {before:?} and leads in {after:?} after {victim} was in trouble ({kind})")
            });
        }
    }

    /// All have the same, and what was acknowledged.
    fn compare(&mut self) {
        for id in self.ids() {
            let Some(node) = self.world.nodes.get_mut(&id) else { continue };
            let Some(quorum) = &mut node.quorum else { continue };
            let mut offset = quorum.log().start_offset();
            while offset < quorum.log().end_offset() {
                let bytes = quorum.read_committed(&mut node.disk, offset, u64::MAX).unwrap_or_default();
                let next = crate::record::batches(&bytes)
                    .map_while(Result::ok)
                    .last()
                    .map(|last| last.next_offset());
                let Some(next) = next.filter(|next| *next > offset) else { break };
                self.world.checkers.log_is(id, &bytes);
                offset = next;
            }
        }
        for (epoch, offset) in std::mem::take(&mut self.acknowledged) {
            self.world.checkers.acknowledged(epoch, offset);
        }
        self.world.checkers.check(Checker::NobodyFails, true, String::new);
    }
}

fn endpoints(id: i32, port: u16) -> Endpoints {
    vec![(LISTENER.into(), host(id), port)]
}

fn config_of(template: &QuorumConfig, id: i32, directory_id: Uuid, port: u16) -> Arc<QuorumConfig> {
    let endpoints = endpoints(id, port);
    Arc::new(QuorumConfig { node_id: id, directory_id, endpoints, ..template.clone() })
}

fn new_disk(planted: Planted) -> SimDisk {
    let mut disk = SimDisk::with_directory(ROOT);
    disk.plant(planted);
    disk
}

/// What the storage tool does: a snapshot that names the voters, durable.
fn format(disk: &mut SimDisk, dir: &str, voters: &VoterSet) {
    let bytes: Bytes = Ledger::default().snapshot(SnapshotId::default(), 1_700_000_000_000, 1, Some(voters));
    let path = join(dir, &SnapshotId::default().file_name());
    let mut write = || {
        disk.create_dir(dir)?;
        let file = disk.create(&path)?;
        disk.append(&file, &[IoSlice::new(&bytes)])?;
        let targets = [
            SyncTarget::File(file),
            SyncTarget::Directory(dir.to_owned()),
            SyncTarget::Directory(ROOT.to_owned()),
        ];
        let pending = disk.begin_sync(&targets);
        disk.synced(pending);
        Ok::<_, crate::log::StoreError>(())
    };
    // A new disk takes everything.
    assert_eq!(write(), Ok(()));
}
