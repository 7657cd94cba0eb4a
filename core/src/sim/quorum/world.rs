//! [`World`]: replicas and what travels between them, in one queue ordered by (instant, number).

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ottla_protocol::messages::ApiVersionsResponse;
use ottla_protocol::messages::api_versions_response::SupportedFeatureKey;
use ottla_protocol::{ApiKey, Str};

use super::checkers::Checkers;
use super::ledger::Ledger;
use super::network::Network;
use super::node::{Asker, Node};
use crate::log::{AppendBatch, LogStore as _};
use crate::quorum::join;
use crate::quorum::raft::{
    AppendError, Failure, Peer, Quorum, QuorumCx, QuorumEffect, QuorumEvent, ReplicaKey, Request, RequestId,
    Response,
};
use crate::record::BatchView;
use crate::rng::Rng;
use crate::sim::mutation::Planted;
use crate::sim::{Disk as _, Losses, SimDisk};

/// Bytes read at a time by the state machine above.
const READ_BYTES: u64 = 1 << 16;
/// Lines of the journal.
const JOURNAL_MAX: usize = 60;
/// Events at one instant, at most: with more a replica asks to be woken again and again.
const EVENTS_AT_ONCE_MAX: u64 = 20_000;
/// The port that replicas listen on.
pub const PORT: u16 = 9093;

/// What happens at an instant.
#[derive(Clone, Debug)]
enum Happening {
    Request { to: i32, asker: Asker, body: Bytes },
    Response { to: i32, life: u64, correlation: u64, api_key: ApiKey, version: i16, body: Bytes },
    NoResponse { to: i32, life: u64, correlation: u64, failure: Failure },
    Synced { node: i32, life: u64, token: u64, pending: <SimDisk as crate::sim::Disk>::Pending },
    Wake { node: i32, life: u64 },
}

impl Happening {
    fn node(&self) -> i32 {
        match self {
            Self::Request { to, .. } | Self::Response { to, .. } | Self::NoResponse { to, .. } => *to,
            Self::Synced { node, .. } | Self::Wake { node, .. } => *node,
        }
    }
}

/// What has come to pass, for the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events handled.
    pub events: u64,
    /// Messages sent ...
    pub messages: u64,
    /// ... of them lost ...
    pub lost: u64,
    /// ... or repeated.
    pub repeated: u64,
    /// Syncs that ended.
    pub syncs: u64,
    /// Leaders that were elected.
    pub elections: u64,
    /// Snapshots taken ...
    pub snapshots: u64,
    /// ... and installed.
    pub installed: u64,
    /// Voters that an administrator added ...
    pub voters_added: u64,
    /// ... and removed.
    pub voters_removed: u64,
    /// What power losses took.
    pub losses: Losses,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.messages += other.messages;
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.syncs += other.syncs;
        self.elections += other.elections;
        self.snapshots += other.snapshots;
        self.installed += other.installed;
        self.voters_added += other.voters_added;
        self.voters_removed += other.voters_removed;
        self.losses += other.losses;
    }
}

/// Replicas, their network and their disks.
#[derive(Clone, Debug)]
pub struct World {
    /// µs since it began.
    pub now_us: u64,
    /// By id.
    pub nodes: BTreeMap<i32, Node>,
    /// Between them.
    pub network: Network,
    /// What they promise.
    pub checkers: Checkers,
    /// What has come to pass.
    pub counts: Counts,
    /// What happened last, for whoever looks into a seed.
    pub journal: VecDeque<String>,
    /// One in so many syncs takes long.
    pub slow_syncs: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    next_number: u64,
    next_request: u64,
    rng: Rng,
    planted: Planted,
    hash: u64,
}

impl World {
    /// An empty one.
    pub fn new(rng: Rng, planted: Planted) -> Self {
        Self {
            now_us: 0,
            nodes: BTreeMap::new(),
            network: Network::default(),
            checkers: Checkers::default(),
            counts: Counts::default(),
            journal: VecDeque::new(),
            slow_syncs: 0,
            queue: BTreeMap::new(),
            next_number: 0,
            next_request: 0,
            rng,
            planted,
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// A digest of everything that happened.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The bug that all have.
    pub fn planted(&self) -> Planted {
        self.planted
    }

    /// Notes something in the journal.
    pub fn tell_of(&mut self, id: i32, what: std::fmt::Arguments<'_>) {
        if self.journal.len() >= JOURNAL_MAX {
            self.journal.pop_front();
        }
        self.journal.push_back(format!("{:>12} {id}: {what}", self.now_us));
    }

    fn note(&mut self, what: u64) {
        for byte in what.to_be_bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn at(&mut self, at_us: u64, happening: Happening) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.queue.insert((at_us, number), happening);
        number
    }

    /// Lets time pass.
    pub fn run(&mut self, microseconds: u64) {
        let end = self.now_us + microseconds;
        let mut at_once = 0;
        while let Some((&(at_us, number), _)) = self.queue.first_key_value() {
            if at_us > end {
                break;
            }
            let Some(happening) = self.queue.remove(&(at_us, number)) else { break };
            at_once = if at_us > self.now_us { 0 } else { at_once + 1 };
            self.now_us = at_us.max(self.now_us);
            if at_once > EVENTS_AT_ONCE_MAX {
                self.checkers.failed(happening.node(), &format!("time stands still at {happening:?}"));
                return;
            }
            let paused_until = self.nodes.get(&happening.node()).map_or(0, |node| node.paused_until_us);
            if paused_until > self.now_us {
                // It has its place among what waits.
                self.queue.insert((paused_until, number), happening);
                continue;
            }
            self.counts.events += 1;
            self.happen(happening);
        }
        self.now_us = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Request { to, asker, body } => self.deliver(to, asker, body),
            Happening::Response { to, life, correlation, api_key, version, body } => {
                let response = Response::decode(api_key, version, body).and_then(Result::ok);
                let outcome = response.ok_or(Failure::Disconnected);
                self.handle_in(to, life, QuorumEvent::Response { correlation, outcome });
            }
            Happening::NoResponse { to, life, correlation, failure } => {
                let outcome = Err(failure);
                self.handle_in(to, life, QuorumEvent::Response { correlation, outcome });
            }
            Happening::Synced { node, life, token, pending } => {
                let Some(host) = self.nodes.get_mut(&node).filter(|node| node.life == life) else { return };
                let outcome = host.disk.synced(pending);
                self.counts.syncs += 1;
                if !self.dies(node) {
                    self.handle_in(node, life, QuorumEvent::Synced { token, outcome });
                }
            }
            Happening::Wake { node, life } => {
                if let Some(node) = self.nodes.get_mut(&node).filter(|node| node.life == life) {
                    node.wake = None;
                }
                self.handle_in(node, life, QuorumEvent::Tick);
            }
        }
    }

    fn deliver(&mut self, to: i32, asker: Asker, body: Bytes) {
        let Asker::Replica { id, life, correlation, api_key, version, .. } = asker else { return };
        let delay = self.network.delay(&mut self.rng);
        let Some(node) = self.nodes.get_mut(&to).filter(|node| node.quorum.is_some()) else {
            let failure = Failure::Disconnected;
            if !self.network.is_cut(to, id) {
                self.at(self.now_us + delay, Happening::NoResponse { to: id, life, correlation, failure });
            }
            return;
        };
        let Some(Ok(request)) = Request::decode(api_key, version, body) else { return };
        if api_key == ApiKey::ApiVersions {
            let feature =
                SupportedFeatureKey { name: "kraft.version".into(), min_version: 0, max_version: 1 };
            let response =
                ApiVersionsResponse { supported_features: vec![feature], ..ApiVersionsResponse::default() };
            self.answer(to, asker, Response::ApiVersions(response));
            return;
        }
        let from = RequestId(self.next_request);
        self.next_request += 1;
        node.askers.insert(from, asker);
        let life = node.life;
        self.handle_in(to, life, QuorumEvent::Request { from, version, request });
    }

    /// The administrator asks a node something, at the newest version.
    pub fn ask(&mut self, to: i32, request: Request) {
        let Some(node) = self.nodes.get_mut(&to) else { return };
        let from = RequestId(self.next_request);
        self.next_request += 1;
        node.askers.insert(from, Asker::Admin);
        let (life, version) = (node.life, node.newest_version(request.api_key()));
        self.handle_in(to, life, QuorumEvent::Request { from, version, request });
    }

    /// Tells a node something, if it is up.
    pub fn tell(&mut self, to: i32, event: QuorumEvent) {
        let Some(life) = self.nodes.get(&to).map(|node| node.life) else { return };
        self.handle_in(to, life, event);
    }

    fn handle_in(&mut self, id: i32, life: u64, event: QuorumEvent) {
        let (now_us, planted) = (self.now_us, self.planted);
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.life == life) else { return };
        let Some(quorum) = &mut node.quorum else { return };
        let mut effects = Vec::new();
        let now = node.clock.now(now_us);
        let mut cx = QuorumCx { now, store: &mut node.disk, effects: &mut effects, planted };
        quorum.handle(&mut cx, event);
        self.follow(id, effects);
    }

    /// Appends to the log of a node that leads: (epoch, offset).
    pub fn append(&mut self, id: i32, batch: &Bytes) -> Option<(i32, i64)> {
        let (now_us, planted) = (self.now_us, self.planted);
        let node = self.nodes.get_mut(&id)?;
        if node.paused_until_us > now_us {
            return None;
        }
        let quorum = node.quorum.as_mut()?;
        let mut effects = Vec::new();
        let now = node.clock.now(now_us);
        let mut cx = QuorumCx { now, store: &mut node.disk, effects: &mut effects, planted };
        let view = BatchView::read(batch).ok()?;
        let epoch = quorum.epoch();
        let append = AppendBatch { header: *view.header(), body: view.body() };
        let appended = quorum.append(&mut cx, epoch, append);
        if let Err(AppendError::Log(error)) = &appended {
            effects.push(QuorumEffect::Failed { reason: error.to_string() });
        }
        self.follow(id, effects);
        Some((epoch, appended.ok()?))
    }

    /// Starts a node that is down. False if it could not.
    pub fn start(&mut self, id: i32) -> bool {
        let (now_us, planted) = (self.now_us, self.planted);
        let rng = self.rng.fork();
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.quorum.is_none()) else { return false };
        node.life += 1;
        node.failure = None;
        node.wake = None;
        node.paused_until_us = 0;
        let mut effects = Vec::new();
        let now = node.clock.now(now_us);
        let mut cx = QuorumCx { now, store: &mut node.disk, effects: &mut effects, planted };
        match Quorum::open(&mut cx, node.config.clone(), rng) {
            Ok(quorum) => {
                let newest = quorum.log().snapshots().last().copied().filter(|id| id.end_offset > 0);
                node.ledger = Ledger::default();
                node.quorum = Some(quorum);
                if let Some(newest) = newest {
                    let path = join(&node.config.dir, &newest.file_name());
                    let bytes = node.disk.read(&path).unwrap_or_default();
                    node.ledger = Ledger::load(newest, &bytes.into());
                }
                if !self.dies(id) {
                    self.tell_of(id, format_args!("started"));
                    self.checkers.started(&self.nodes, id);
                    self.follow(id, effects);
                }
                true
            }
            Err(error) => {
                if !self.dies(id) {
                    self.checkers.failed(id, &error.to_string());
                }
                false
            }
        }
    }

    /// A process that was to die in the middle of an operation of its disk has: only the disk is left.
    fn dies(&mut self, id: i32) -> bool {
        let Some(node) = self.nodes.get_mut(&id) else { return false };
        let Some(remains) = node.disk.take_remains() else { return false };
        self.checkers.stopped(&self.nodes, id);
        let Some(node) = self.nodes.get_mut(&id) else { return false };
        node.disk = remains;
        node.quorum = None;
        node.life += 1;
        node.askers.clear();
        self.note(0xdead);
        true
    }

    /// Kills the process; with the power gone the disk loses what was not synced.
    pub fn kill(&mut self, id: i32, is_power_loss: bool) {
        let mut rng = self.rng.fork();
        self.checkers.stopped(&self.nodes, id);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.quorum = None;
        node.life += 1;
        node.askers.clear();
        node.disk.live_on();
        if is_power_loss {
            let losses = node.disk.power_loss(&mut rng);
            self.counts.losses += losses;
        }
        self.note(0xdead ^ u64::from(is_power_loss));
        self.tell_of(id, format_args!("killed, with the power: {is_power_loss}"));
    }

    /// Does what a node asks for.
    fn follow(&mut self, id: i32, effects: Vec<QuorumEffect<SimDisk>>) {
        if self.dies(id) {
            return;
        }
        let Some((life, clock)) = self.nodes.get(&id).map(|node| (node.life, node.clock)) else { return };
        self.note(self.now_us);
        self.note(u64::from(id.unsigned_abs()));
        for effect in effects {
            match effect {
                QuorumEffect::Send { to, correlation, request } => {
                    self.checkers.sent(&self.nodes, id, &request);
                    self.send(id, life, &to, correlation, &request);
                }
                QuorumEffect::Reply { to, response } => {
                    let asker = self.nodes.get_mut(&id).and_then(|node| node.askers.remove(&to));
                    if let Some(asker) = asker {
                        self.checkers.replied(id, self.nodes.get(&id).map(Node::key), &asker, &response);
                        self.answer(id, asker, response);
                    }
                }
                QuorumEffect::Sync { targets, token } => {
                    let slow = self.slow_syncs > 0 && self.rng.chance(1, self.slow_syncs);
                    let takes = 100 + self.rng.below(if slow { 300_000 } else { 3_000 });
                    let Some(node) = self.nodes.get_mut(&id) else { return };
                    let pending = node.disk.begin_sync(&targets);
                    if self.dies(id) {
                        return;
                    }
                    self.at(self.now_us + takes, Happening::Synced { node: id, life, token, pending });
                }
                QuorumEffect::LeaderChanged { leader_id, epoch } => {
                    let role = self.nodes.get(&id).and_then(|node| Some(node.quorum.as_ref()?.role()));
                    self.tell_of(id, format_args!("{role:?} in epoch {epoch}, led by {leader_id:?}"));
                    self.note(
                        u64::from(epoch.unsigned_abs()) << 32
                            | u64::from(leader_id.unwrap_or(0).unsigned_abs()),
                    );
                }
                QuorumEffect::HighWatermarkAdvanced { high_watermark } => {
                    self.note(high_watermark.unsigned_abs());
                    self.apply(id, high_watermark);
                }
                QuorumEffect::SnapshotInstalled { id: snapshot } => {
                    self.counts.installed += 1;
                    let Some(node) = self.nodes.get_mut(&id) else { return };
                    let path = join(&node.config.dir, &snapshot.file_name());
                    let bytes = node.disk.read(&path).unwrap_or_default();
                    node.ledger = Ledger::load(snapshot, &bytes.into());
                    self.checkers.installed(id, &node.ledger);
                }
                QuorumEffect::Stopped => self.kill(id, false),
                QuorumEffect::Failed { reason } => {
                    self.checkers.stopped(&self.nodes, id);
                    if let Some(node) = self.nodes.get_mut(&id) {
                        node.failure = Some(reason);
                        node.quorum = None;
                        node.life += 1;
                        node.askers.clear();
                    }
                    return;
                }
            }
        }
        self.checkers.look(&self.nodes, id, &mut self.counts.elections);
        self.wake(id, life, clock);
    }

    fn wake(&mut self, id: i32, life: u64, clock: super::node::Clock) {
        let now_us = self.now_us;
        let Some(node) = self.nodes.get(&id).filter(|node| node.life == life) else { return };
        let deadline = node.quorum.as_ref().and_then(|quorum| quorum.deadline(clock.now(now_us).monotonic));
        let Some(due) = deadline.map(|deadline| clock.world_us(deadline).max(now_us)) else { return };
        if node.wake.is_some_and(|(at_us, _)| at_us <= due) {
            return;
        }
        let before = node.wake;
        if let Some(before) = before {
            self.queue.remove(&before);
        }
        let number = self.at(due, Happening::Wake { node: id, life });
        if let Some(node) = self.nodes.get_mut(&id) {
            node.wake = Some((due, number));
        }
    }

    fn send(&mut self, from: i32, life: u64, to: &Peer, correlation: u64, request: &Request) {
        self.counts.messages += 1;
        let target = node_at(&to.host);
        let api_key = request.api_key();
        let newest = |id: i32| self.nodes.get(&id).map(|node| node.newest_version(api_key));
        let (Some(own), Some(target)) = (newest(from), target) else { return };
        // An address at which nobody ever was refuses connections.
        let version = newest(target).map_or(own, |theirs| theirs.min(own));
        let Ok(body) = request.encode(version) else {
            let failure = Failure::UnsupportedVersion;
            self.at(self.now_us + 10, Happening::NoResponse { to: from, life, correlation, failure });
            return;
        };
        let vote = vote_asked(request);
        let asker = Asker::Replica { id: from, life, correlation, api_key, version, vote };
        let delays = self.network.carry(from, target, &mut self.rng);
        self.counts.lost += u64::from(delays.is_empty());
        self.counts.repeated += u64::from(delays.len() > 1);
        for delay in delays {
            self.at(self.now_us + delay, Happening::Request { to: target, asker, body: body.clone() });
        }
    }

    fn answer(&mut self, from: i32, asker: Asker, response: Response) {
        let Asker::Replica { id, life, correlation, api_key, version, .. } = asker else {
            match response {
                Response::AddRaftVoter(answer) => {
                    self.counts.voters_added += u64::from(answer.error_code == 0);
                }
                Response::RemoveRaftVoter(answer) => {
                    self.counts.voters_removed += u64::from(answer.error_code == 0);
                }
                _ => {}
            }
            return;
        };
        self.counts.messages += 1;
        let body = match response.encode(version) {
            Ok(body) => body,
            Err(error) => {
                self.checkers
                    .failed(from, &format!("{api_key:?} {version} cannot say {response:?}: {error:?}"));
                return;
            }
        };
        let delays = self.network.carry(from, id, &mut self.rng);
        self.counts.lost += u64::from(delays.is_empty());
        self.counts.repeated += u64::from(delays.len() > 1);
        for delay in delays {
            let body = body.clone();
            let happening = Happening::Response { to: id, life, correlation, api_key, version, body };
            self.at(self.now_us + delay, happening);
        }
    }

    /// The state machine above takes in what is committed.
    fn apply(&mut self, id: i32, high_watermark: i64) {
        self.checkers.high_watermark(&self.nodes, id, high_watermark);
        loop {
            let Some(node) = self.nodes.get_mut(&id) else { return };
            let Some(quorum) = &mut node.quorum else { return };
            if node.ledger.next_offset >= high_watermark {
                return;
            }
            let offset = node.ledger.next_offset;
            let bytes = match quorum.read_committed(&mut node.disk, offset, READ_BYTES) {
                Ok(bytes) if !bytes.is_empty() => bytes,
                Ok(_) => return,
                Err(error) => {
                    self.checkers.failed(id, &format!("reading at offset {offset}: {error}"));
                    return;
                }
            };
            let ledger = &mut node.ledger;
            self.checkers.committed(id, ledger, &bytes);
        }
    }

    /// A node writes a snapshot of what it has applied, if it has enough.
    pub fn snapshot(&mut self, id: i32) {
        let now_us = self.now_us;
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.paused_until_us <= now_us) else {
            return;
        };
        let Some(quorum) = node.quorum.as_ref().filter(|quorum| quorum.may_snapshot()) else { return };
        let Some(snapshot) = quorum.log().snapshot_id(node.ledger.next_offset) else { return };
        if quorum.log().snapshots().contains(&snapshot) {
            return;
        }
        let history = quorum.log().voters();
        let (version, voters) =
            (history.kraft_version_before(snapshot.end_offset), history.before(snapshot.end_offset));
        let bytes = node.ledger.snapshot(snapshot, node.clock.now(now_us).wall, version, voters);
        self.counts.snapshots += 1;
        self.tell(id, QuorumEvent::Snapshot { id: snapshot, bytes });
    }
}

/// The vote that a request asks for: for whom, and in which epoch. A pre-vote asks for none.
pub fn vote_asked(request: &Request) -> Option<(ReplicaKey, i32)> {
    let Request::Vote(request) = request else { return None };
    let asked = request.topics.first()?.partitions.first().filter(|asked| !asked.pre_vote)?;
    let key = ReplicaKey { id: asked.replica_id, directory_id: asked.replica_directory_id };
    Some((key, asked.replica_epoch))
}

/// The node that has a name.
fn node_at(host: &Str) -> Option<i32> {
    host.strip_prefix('n')?.parse().ok()
}

/// The name that a node has.
pub fn host(id: i32) -> Str {
    format!("n{id}").into()
}
