//! What is promised of a cluster, beyond what is promised of the logs that its leaders have committed ([`Checkers`]).

use std::collections::BTreeMap;

use crate::broker::Node;
use crate::broker::cluster_view::OFFSETS_TOPIC;
use crate::coordinator::group::partition_for;
use crate::ids::{TopicIdPartition, TopicPartition};
use crate::metadata::Published;
use crate::partition::Partition;
use crate::quorum::raft::RoleName;
use crate::sim::checkers::{Checkers, Snapshot};
use crate::sim::history::StoredLog;
use crate::sim::workload::{PARTITIONS, TOPICS};
use crate::sim::{Host, SimDisk};
use crate::time::Timestamp;

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// A partition has one leader in an epoch.
    OneLeaderPerEpoch,
    /// So has the quorum.
    OneActiveController,
    /// What was committed stays, wherever the leadership goes.
    CommittedKept,
    /// In-sync replicas have what is committed.
    InSyncHaveCommitted,
    /// Replicas agree on what is committed.
    ReplicasAgree,
    /// The metadata at an offset is the same everywhere.
    MetadataAgrees,
    /// No node gives up, and every one starts again.
    NodesRun,
    /// A node that is to stop does.
    NodesStop,
    /// After the faults all replicas are in sync.
    AllInSyncAgain,
    /// Nobody leads from a directory that has failed.
    FailedDirectoriesLeave,
}

impl Promise {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::OneLeaderPerEpoch,
        Self::OneActiveController,
        Self::CommittedKept,
        Self::InSyncHaveCommitted,
        Self::ReplicasAgree,
        Self::MetadataAgrees,
        Self::NodesRun,
        Self::NodesStop,
        Self::AllInSyncAgain,
        Self::FailedDirectoriesLeave,
    ];
}

/// What is known to be committed of a partition.
#[derive(Clone, Debug, Default)]
struct Committed {
    /// Everything below.
    up_to: i64,
    /// The highest leader epoch that anybody has heard of.
    leader_epoch: i32,
    /// By offset: the digest of a record, and who had it when.
    records: BTreeMap<i64, (u64, String)>,
}

/// The promises, and what was seen of them.
#[derive(Clone, Debug, Default)]
pub struct Promises {
    exercised: BTreeMap<Promise, u64>,
    violations: Vec<(Promise, String)>,
    leaders: BTreeMap<(TopicIdPartition, i32), (i32, u64)>,
    controllers: BTreeMap<i32, i32>,
    committed: BTreeMap<TopicPartition, Committed>,
    images: BTreeMap<i64, u64>,
}

type Hosts<'a> = &'a BTreeMap<i32, &'a Host<SimDisk>>;

/// The newest metadata that a node has published.
pub fn newest<'a>(hosts: Hosts<'a>) -> Option<&'a Published> {
    let published = hosts.values().filter_map(|host| Some(&*host.node()?.published));
    published.max_by_key(|published| published.offset)
}

/// Whether a broker runs, and the metadata knows this life of it.
pub fn is_registered(node: &Node<SimDisk>, published: &Published) -> bool {
    node.lifecycle.identity().is_registered(&published.image)
}

fn partitions(node: &Node<SimDisk>) -> impl Iterator<Item = &Partition<SimDisk>> {
    node.shards.iter().flat_map(|shard| shard.partitions()).filter(|partition| partition.failure().is_none())
}

/// A topic of the workload, or of the groups: those are never deleted.
fn is_lasting(topic: &str) -> bool {
    TOPICS.contains(&topic) || topic == OFFSETS_TOPIC
}

impl Promises {
    /// How often each had something to check.
    pub fn exercised(&self) -> &BTreeMap<Promise, u64> {
        &self.exercised
    }

    /// What was broken.
    pub fn violations(&self) -> &[(Promise, String)] {
        &self.violations
    }

    /// Leaders of partitions, and of the quorum, that were seen.
    pub fn elections(&self) -> (u64, u64) {
        (self.leaders.len() as u64, self.controllers.len() as u64)
    }

    /// Counts, and notes what is broken.
    pub fn check(&mut self, promise: Promise, is_kept: bool, say: impl FnOnce() -> String) {
        *self.exercised.entry(promise).or_default() += 1;
        if !is_kept {
            self.violations.push((promise, say()));
        }
    }

    /// A producer was told that all in-sync replicas have a record.
    pub fn acknowledged(&mut self, partition: &TopicPartition, offset: i64) {
        let known = self.committed.entry(partition.clone()).or_default();
        known.up_to = known.up_to.max(offset + 1);
    }

    /// What can be seen of the nodes at any moment without looking into their logs.
    pub fn watch(&mut self, hosts: Hosts<'_>) {
        let Some(newest) = newest(hosts) else { return };
        for topic in newest.image.topics_by_name().filter(|topic| is_lasting(&topic.name)) {
            for (index, registration) in &topic.partitions {
                let name = TopicPartition { topic: topic.name.clone(), partition: *index };
                let known = self.committed.entry(name).or_default();
                known.leader_epoch = known.leader_epoch.max(registration.leader_epoch);
            }
        }
        for (id, host) in hosts {
            let Some(node) = host.node() else { continue };
            let quorum = node.controller.quorum();
            if quorum.role() == RoleName::Leader && quorum.is_remembered() {
                let leader = *self.controllers.entry(quorum.epoch()).or_insert(*id);
                self.check(Promise::OneActiveController, leader == *id, || {
                    format!("{leader} and {id} lead the quorum in epoch {}", quorum.epoch())
                });
            }
            if !is_registered(node, &node.published) {
                continue;
            }
            for partition in partitions(node).filter(|partition| partition.is_leader()) {
                let (epoch, me) = (partition.leader_epoch(), (*id, host.incarnation()));
                let leader = *self.leaders.entry((partition.id(), epoch)).or_insert(me);
                self.check(Promise::OneLeaderPerEpoch, leader == me, || {
                    format!("{leader:?} and {me:?} lead {} in epoch {epoch}", partition.name())
                });
                let known = self.committed.entry(partition.name().clone()).or_default();
                if epoch >= known.leader_epoch && is_lasting(&partition.name().topic) {
                    known.up_to = known.up_to.max(partition.high_watermark());
                }
                self.in_sync(hosts, newest, partition);
            }
        }
    }

    /// The in-sync replicas of a leader that the metadata names have what it has committed.
    fn in_sync(&mut self, hosts: Hosts<'_>, newest: &Published, leader: &Partition<SimDisk>) {
        let id = leader.id();
        let Some(registration) = newest.image.partition(id.topic_id, id.partition) else { return };
        // A leader has its answers from the controller before the others have the record.
        let is_older = registration.partition_epoch < leader.partition_epoch();
        if registration.leader_epoch != leader.leader_epoch() || is_older {
            return;
        }
        let high_watermark = leader.high_watermark();
        for member in &registration.isr {
            let node = hosts.get(member).and_then(|host| host.node());
            let Some(node) = node.filter(|node| is_registered(node, newest)) else { continue };
            let Some(replica) = partitions(node).find(|replica| replica.id() == id) else { continue };
            let end = replica.log_end_offset();
            self.check(Promise::InSyncHaveCommitted, high_watermark <= end, || {
                format!(
                    "{}: {high_watermark} is committed, {member} is in sync and ends at {end}",
                    leader.name()
                )
            });
        }
    }

    /// Looks into all logs: what the leaders have committed, as one node would hold it. `None` if nobody knows of any metadata.
    pub fn inspect(&mut self, checkers: &mut Checkers, hosts: Hosts<'_>, now: Timestamp) -> Option<Snapshot> {
        self.watch(hosts);
        let newest = newest(hosts)?;
        let looks: BTreeMap<i32, Snapshot> =
            hosts.iter().filter_map(|(id, host)| Some((*id, checkers.look(host, now)?))).collect();
        let mut merged = Snapshot::default();
        merged.at = now;
        for name in lasting() {
            if let Some(leader) = self.leader(hosts, newest, &name) {
                merged.logs.extend(self.partition(&looks, leader, &name).map(|log| (name.clone(), log)));
                if &*name.topic == OFFSETS_TOPIC
                    && let Some(look) = looks.get(&leader)
                {
                    merged.coordinated.extend(look.coordinated.get(&name.partition));
                    let is_its = |group: &str| partition_for(group, PARTITIONS) == name.partition;
                    let its = look.committed.iter().filter(|((group, _), _)| is_its(group));
                    merged.committed.extend(its.map(|(key, offset)| (key.clone(), *offset)));
                }
            }
        }
        for host in hosts.values() {
            let Some(node) = host.node() else { continue };
            let state = digest(&format!("{:?}", node.published.image.to_records()));
            let offset = node.published.offset;
            let before = *self.images.entry(offset).or_insert(state);
            self.check(Promise::MetadataAgrees, before == state, || {
                format!("at {offset} node {} has other metadata than another", node.config.node_id)
            });
        }
        let topics = newest.image.topics_by_name();
        merged.topics =
            topics.map(|topic| (topic.name.clone(), (topic.id, topic.partitions.size()))).collect();
        checkers.compare(&merged);
        Some(merged)
    }

    /// Who leads a partition, if that is beyond doubt.
    fn leader(&self, hosts: Hosts<'_>, newest: &Published, name: &TopicPartition) -> Option<i32> {
        let topic = newest.image.topic(&name.topic)?;
        let registration = topic.partitions.get(&name.partition)?;
        let node = hosts.get(&registration.leader)?.node().filter(|node| is_registered(node, newest))?;
        let replica = partitions(node).find(|replica| replica.name() == name)?;
        let epoch = self.committed.get(name).map_or(0, |known| known.leader_epoch);
        (replica.is_leader() && replica.leader_epoch() == epoch && registration.leader_epoch == epoch)
            .then_some(registration.leader)
    }

    /// Holds the replicas of a partition against what was committed, and each other; answers what is committed, as its leader has it.
    fn partition(
        &mut self,
        looks: &BTreeMap<i32, Snapshot>,
        leader: i32,
        name: &TopicPartition,
    ) -> Option<StoredLog> {
        let mut log = looks.get(&leader)?.logs.get(name)?.clone();
        let mut known = self.committed.remove(name).unwrap_or_default();
        let (up_to, end) = (known.up_to, log.end);
        self.check(Promise::CommittedKept, up_to <= end, || {
            format!("{name}: {up_to} was committed, and {leader}, which leads, ends at {end}")
        });
        log.records.retain(|record| record.offset < up_to);
        log.end = end.min(up_to);
        let start = log.start;
        if !log.is_compacted {
            let gone = known.records.keys().find(|offset| **offset >= start && log.at(**offset).is_none());
            self.check(Promise::CommittedKept, gone.is_none(), || {
                format!("{name}: {gone:?} was committed, and {leader}, which leads, has nothing there")
            });
        }
        for (id, look) in looks {
            let Some(replica) = look.logs.get(name) else { continue };
            let end = replica.high_watermark.min(up_to).min(replica.end);
            let end = if *id == leader { up_to } else { end };
            for record in replica.between(replica.start, end) {
                let seen = known.records.entry(record.offset).or_insert_with(|| {
                    let (end, high_watermark, tag) = (replica.end, replica.high_watermark, record.tag);
                    let who = format!("{id}, which ended at {end}, {high_watermark} committed");
                    (record.digest, format!("{tag:?} at {} of {who}, while {leader} led", look.at))
                });
                let (before, first) = (seen.0, seen.1.clone());
                let promise = if *id == leader { Promise::CommittedKept } else { Promise::ReplicasAgree };
                self.check(promise, before == record.digest, || {
                    format!("{name}: {record:?} is in the log of {id}, and was {first}")
                });
            }
        }
        self.committed.insert(name.clone(), known);
        Some(log)
    }

    /// After everything: all replicas of a partition hold the same.
    pub fn finish(&mut self, hosts: Hosts<'_>, checkers: &mut Checkers, now: Timestamp) {
        let Some(newest) = newest(hosts) else { return };
        let looks: BTreeMap<i32, Snapshot> =
            hosts.iter().filter_map(|(id, host)| Some((*id, checkers.look(host, now)?))).collect();
        for name in lasting() {
            let Some(topic) = newest.image.topic(&name.topic) else { continue };
            let Some(registration) = topic.partitions.get(&name.partition) else { continue };
            let logs: Vec<(i32, &StoredLog)> = registration
                .replicas
                .iter()
                .filter_map(|id| Some((*id, looks.get(id)?.logs.get(&name)?)))
                .collect();
            self.check(Promise::ReplicasAgree, logs.len() == registration.replicas.len(), || {
                format!("{name}: of {:?} {} have a log", registration.replicas, logs.len())
            });
            let Some((first, one)) = logs.first() else { continue };
            for (other, log) in &logs[1..] {
                let (start, end) = (one.start.max(log.start), one.end.min(log.end));
                let differs = one.between(start, end).iter().find(|record| match log.at(record.offset) {
                    Some(there) => there != *record,
                    None => !log.is_compacted,
                });
                self.check(Promise::ReplicasAgree, differs.is_none(), || {
                    format!("{name}: {differs:?} of {first} is not what {other} has")
                });
            }
        }
    }
}

/// The partitions that are never deleted.
fn lasting() -> impl Iterator<Item = TopicPartition> {
    let topics = TOPICS.into_iter().chain([OFFSETS_TOPIC]);
    topics.flat_map(|topic| {
        (0..PARTITIONS).map(move |partition| TopicPartition { topic: topic.into(), partition })
    })
}

/// What is not as it should be once all is well.
pub fn unwell(hosts: Hosts<'_>) -> Option<String> {
    let newest = newest(hosts)?;
    if let Some((id, _)) = hosts.iter().find(|(_, host)| host.node().is_none()) {
        return Some(format!("{id} does not run"));
    }
    if let Some(broker) = newest.image.brokers().find(|broker| broker.fenced) {
        return Some(format!("broker {} is fenced", broker.id));
    }
    let committed =
        |host: &Host<SimDisk>| host.node().and_then(|node| node.controller.quorum().high_watermark());
    if let Some((id, _)) = hosts.iter().find(|(_, host)| committed(host) <= Some(newest.offset)) {
        return Some(format!("the metadata of {id} is behind"));
    }
    for topic in newest.image.topics_by_name() {
        for (index, registration) in &topic.partitions {
            let mut isr = registration.isr.clone();
            let mut replicas = registration.replicas.clone();
            isr.sort_unstable();
            replicas.sort_unstable();
            if isr != replicas || registration.leader < 0 || registration.is_reassigning() {
                return Some(format!("{}-{index}: {registration:?}", topic.name));
            }
        }
    }
    None
}

fn digest(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
