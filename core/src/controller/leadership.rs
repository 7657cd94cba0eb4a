//! What becomes of partitions when a broker comes, goes or loses a directory: ISRs, eligible replicas and leaders.
//!
//! Any number of the first records of each answer makes sense without the others: partitions come before what is said of the broker
//! where it goes, and after it where it comes.

use std::collections::BTreeSet;

use ottla_protocol::Uuid;
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{BrokerRegistrationChangeRecord, UnregisterBrokerRecord};

use super::cluster::{Candidates, Cluster};
use super::partition_change::{Election, PartitionChange};
use crate::metadata::topics::NO_LEADER;
use crate::metadata::{BrokerRegistration, PartitionRegistration};
use crate::sim::mutation::Mutation;

const FENCE: i8 = 1;
const UNFENCE: i8 = -1;
const IN_CONTROLLED_SHUTDOWN: i8 = 1;

/// What happens to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It may lead from now on.
    Comes(i32),
    /// It leaves the ISRs; what it has is whole, and it may become eligible.
    Goes(i32),
    /// It was here without having said that it went: what it had not synced may be gone, so it is eligible nowhere.
    CameBackLossy(i32),
}

/// The changes of the partitions that `is_concerned` picks.
pub fn reelect(
    cluster: Cluster<'_>,
    event: Event,
    is_concerned: impl Fn(Uuid, i32, &PartitionRegistration) -> bool,
) -> Vec<MetadataRecord> {
    let candidates = Candidates::new(cluster.image);
    let (candidates, gone, lossy) = match event {
        Event::Comes(broker) => (candidates.with(broker), None, None),
        Event::Goes(broker) => (candidates.without(broker), Some(broker), None),
        Event::CameBackLossy(broker) => (candidates.without(broker), Some(broker), Some(broker)),
    };
    let mut records = Vec::new();
    for topic in cluster.image.topics.by_id.values() {
        let mut known = None;
        for (index, partition) in &topic.partitions {
            if !is_concerned(topic.id, *index, partition) {
                continue;
            }
            let rules = *known.get_or_insert_with(|| cluster.rules(topic));
            let mut change = PartitionChange::new(cluster, rules, partition, candidates);
            change.lossy = lossy;
            change.isr.retain(|replica| Some(*replica) != gone);
            if rules.allows_unclean_election || cluster.planted.is(Mutation::UncleanElection) {
                change.election = Election::Unclean;
            }
            records.extend(change.build(topic.id, *index).map(MetadataRecord::from));
        }
    }
    records
}

/// A broker is fenced: its leaderships move, it leaves the ISRs, and then it is.
pub fn fence(cluster: Cluster<'_>, broker: &BrokerRegistration) -> Vec<MetadataRecord> {
    let mut records = leave_isrs(cluster, broker.id);
    records.push(BrokerRegistrationChangeRecord { fenced: FENCE, ..unchanged(broker) }.into());
    records
}

/// A broker is unfenced, and leads what has waited for it, but for what is in directories of which it says that they are offline.
pub fn unfence(cluster: Cluster<'_>, broker: &BrokerRegistration, offline: &[Uuid]) -> Vec<MetadataRecord> {
    let change = BrokerRegistrationChangeRecord { fenced: UNFENCE, ..unchanged(broker) };
    let mut records = vec![change.into()];
    let leaderless = |_, _, partition: &PartitionRegistration| {
        let is_offline = partition.directory(broker.id).is_some_and(|its| offline.contains(&its));
        partition.leader == NO_LEADER && !is_offline
    };
    records.extend(reelect(cluster, Event::Comes(broker.id), leaderless));
    records
}

/// A broker wants to stop: its leaderships move, and it gets no new ones.
pub fn begin_controlled_shutdown(cluster: Cluster<'_>, broker: &BrokerRegistration) -> Vec<MetadataRecord> {
    let change = (!broker.in_controlled_shutdown).then(|| BrokerRegistrationChangeRecord {
        in_controlled_shutdown: IN_CONTROLLED_SHUTDOWN,
        ..unchanged(broker)
    });
    change.into_iter().map(MetadataRecord::from).chain(leave_isrs(cluster, broker.id)).collect()
}

/// A new life of a broker registers: the one before is over. `is_clean` if it is known to have synced everything.
pub fn replace(cluster: Cluster<'_>, broker: i32, is_clean: bool) -> Vec<MetadataRecord> {
    if is_clean || !cluster.image.features.has_eligible_leader_replicas() {
        return leave_isrs(cluster, broker);
    }
    let in_sync = reelect(cluster, Event::CameBackLossy(broker), |_, _, one| one.isr.contains(&broker));
    let eligible = reelect(cluster, Event::CameBackLossy(broker), |_, _, one| one.elr.contains(&broker));
    in_sync.into_iter().chain(eligible).collect()
}

/// A broker is forgotten.
pub fn unregister(cluster: Cluster<'_>, broker: &BrokerRegistration) -> Vec<MetadataRecord> {
    let (id, epoch) = (broker.id, broker.epoch);
    let mut records = leave_isrs(cluster, id);
    records.extend(reelect(cluster, Event::Goes(id), |_, _, one| one.elr.contains(&id)));
    records.push(UnregisterBrokerRecord { broker_id: id, broker_epoch: epoch }.into());
    records
}

/// Directories of a broker are offline, of which `offline` may name some that are known to be (KIP-858).
pub fn directories_offline(
    cluster: Cluster<'_>,
    broker: &BrokerRegistration,
    offline: &[Uuid],
) -> Vec<MetadataRecord> {
    let (lost, left): (BTreeSet<Uuid>, BTreeSet<Uuid>) =
        broker.directories.iter().copied().partition(|directory| offline.contains(directory));
    if lost.is_empty() {
        return Vec::new();
    }
    let is_in_lost = |_, _, partition: &PartitionRegistration| {
        partition.directory(broker.id).is_some_and(|directory| lost.contains(&directory))
    };
    let mut records = reelect(cluster, Event::Goes(broker.id), is_in_lost);
    let log_dirs = left.into_iter().collect();
    records.push(BrokerRegistrationChangeRecord { log_dirs, ..unchanged(broker) }.into());
    records
}

/// A broker says which of its directories take no new replicas (KIP-1066).
pub fn directories_cordoned(broker: &BrokerRegistration, cordoned: &[Uuid]) -> Option<MetadataRecord> {
    let as_set = |list: &[Uuid]| -> BTreeSet<Uuid> { list.iter().copied().collect() };
    let is_known =
        broker.cordoned_directories.as_deref().is_some_and(|known| as_set(known) == as_set(cordoned));
    let change =
        BrokerRegistrationChangeRecord { cordoned_log_dirs: Some(cordoned.to_vec()), ..unchanged(broker) };
    (!is_known).then(|| change.into())
}

fn leave_isrs(cluster: Cluster<'_>, broker: i32) -> Vec<MetadataRecord> {
    reelect(cluster, Event::Goes(broker), |_, _, partition| partition.isr.contains(&broker))
}

fn unchanged(broker: &BrokerRegistration) -> BrokerRegistrationChangeRecord {
    BrokerRegistrationChangeRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        ..BrokerRegistrationChangeRecord::default()
    }
}
