//! Disks of a cluster that fail, and what becomes of the partitions on them.

use super::checkers::{Promise, newest};
use super::nemesis::Fault;
use super::scenario::Scenario;
use crate::rng::Rng;
use crate::sim::Trouble;

/// How long a disk is bad, µs at most: producers give up what cannot be delivered for half a minute. One that is bad when the other faults are over
/// may stay so a little longer, until it was seen what became of it.
const BAD_MAX_US: u64 = 8_000_000;
/// How long a disk is full, µs at most.
const FULL_MAX_US: u64 = 25_000_000;
/// How long a cluster may take until nobody leads from a directory that has failed, µs.
const HAND_OVER_US: u64 = 8_000_000;
/// What a disk that fills up has room for, bytes at most.
const ROOM_MAX: u64 = 6_000;
/// How long a node is down whose disk is replaced, µs at most.
const DOWN_MAX_US: u64 = 3_000_000;

/// What is the matter with one of a node's disks.
#[derive(Clone, Copy, Debug)]
pub(super) struct BadDisk {
    device: usize,
    /// It has no room, and holds what it held.
    is_full: bool,
    /// When it is mended, µs.
    until_us: u64,
}

impl BadDisk {
    /// Whether a node may end for it: its metadata is there, it has no other, or for long it could not tell the controller.
    pub(super) fn excuses(&self, reason: &str) -> bool {
        self.device == 0 || reason.contains("could not be told")
    }
}

impl Scenario {
    /// A disk of a broker fills up, or fails and keeps what was synced; a node with another lives on.
    pub(super) fn break_disk(&mut self, rng: &mut Rng, id: i32, is_full: bool) -> bool {
        let until_us =
            self.world.now().monotonic.0 + rng.below(if is_full { FULL_MAX_US } else { BAD_MAX_US });
        // Mostly one that the node can do without, if it has one.
        let device = self.devices(id).saturating_sub(1).min(usize::from(rng.chance(3, 4)));
        let trouble = match rng.chance(1, 2) {
            _ if is_full => Trouble::Full(rng.below(ROOM_MAX)),
            true => Trouble::Dead,
            false => Trouble::SyncFails,
        };
        self.trouble(id, trouble, BadDisk { device, is_full, until_us })
    }

    fn devices(&mut self, id: i32) -> usize {
        self.world.host_mut(id).map_or(0, |host| host.store.devices())
    }

    fn trouble(&mut self, id: i32, trouble: Trouble, bad: BadDisk) -> bool {
        let may = self.shape.brokers.contains(&id)
            && self.is_up(id)
            && !self.stopping.contains_key(&id)
            // One at a time: without a majority of the quorum nobody could be told.
            && self.bad_disks.is_empty()
            && self.may_die(id, !bad.is_full);
        let Some(host) = self.world.host_mut(id).filter(|_| may) else { return false };
        host.store.trouble(bad.device, Some(trouble));
        self.bad_disks.insert(id, bad);
        if !bad.is_full {
            self.weak.insert(id);
        }
        true
    }

    /// A run that may meet disks that fail ends with one, of a node that can do without it: what becomes of that is looked at.
    pub(super) fn lose_a_directory(&mut self) {
        if !self.faults_met.contains(&Fault::DirectoryFailed) {
            return;
        }
        let bad = BadDisk { device: 1, is_full: false, until_us: u64::MAX };
        let brokers = self.shape.brokers.clone();
        let fails = |id: &i32| self.devices(*id) > 1 && self.trouble(*id, Trouble::Dead, bad);
        if brokers.iter().any(fails) {
            self.pass(HAND_OVER_US);
        }
    }

    /// There is room again on disks that were full; those that failed are mounted again, and their nodes start anew.
    pub(super) fn mend_disks(&mut self, now_us: u64) {
        let due: Vec<_> = self
            .bad_disks
            .iter()
            .filter(|(_, bad)| bad.until_us <= now_us)
            .map(|(id, bad)| (*id, *bad))
            .collect();
        for (id, BadDisk { device, is_full, .. }) in due {
            self.bad_disks.remove(&id);
            self.note(format_args!("the disk of {id} is mended"));
            if is_full {
                if let Some(host) = self.world.host_mut(id) {
                    host.store.trouble(device, None);
                }
                if !self.is_up(id) {
                    self.down.insert(id, now_us);
                }
                continue;
            }
            self.checkers.starts_again();
            self.world.crash_host(id);
            let mut rng = self.rng.fork();
            if let Some(host) = self.world.host_mut(id) {
                host.store.remount(device, &mut rng);
            }
            self.weak.insert(id);
            self.down.insert(id, now_us + rng.below(DOWN_MAX_US));
        }
    }

    /// All disks are mended, but for those that have failed and that their nodes can do without.
    pub(super) fn mend_most_disks(&mut self) {
        for bad in self.bad_disks.values_mut() {
            bad.until_us = if bad.device == 0 { 0 } else { u64::MAX };
        }
    }

    /// Some time after everything else was over, nobody leads from a directory that has failed; then it is mended.
    pub(super) fn hand_over(&mut self) {
        let hosts = self.hosts();
        let mut seen = Vec::new();
        for (id, bad) in self.bad_disks.iter().filter(|(_, bad)| !bad.is_full) {
            let node = hosts.get(id).and_then(|host| host.node());
            let (Some(node), Some(newest)) = (node, newest(&hosts)) else { continue };
            let partitions = node.shards.iter().flat_map(|shard| shard.partitions());
            for partition in partitions.filter(|one| usize::from(one.log_dir().0) == bad.device) {
                let known = newest.image.partition(partition.id().topic_id, partition.id().partition);
                if let (Some(known), Some(_)) = (known, partition.failure()) {
                    let is_moved = known.leader != *id;
                    let registered = newest.image.broker(*id).map(|broker| &broker.directories);
                    let say = format!(
                        "{id}, which has {registered:?}, leads {} from a directory that failed: {known:?}",
                        partition.name()
                    );
                    seen.push((is_moved, say));
                }
            }
        }
        for (is_moved, say) in seen {
            self.promises.check(Promise::FailedDirectoriesLeave, is_moved, || say);
        }
        self.bad_disks.values_mut().for_each(|bad| bad.until_us = 0);
    }
}
