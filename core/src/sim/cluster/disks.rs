//! Disks of a cluster that fail, and what becomes of the partitions on them.

use super::checkers::{Promise, newest};
use super::scenario::Scenario;
use crate::rng::Rng;
use crate::sim::Trouble;

/// How long a disk is bad, µs at most: producers give up what cannot be delivered for half a minute. One that is bad when the other faults are over
/// may stay so a little longer, until it was seen what became of it.
const BAD_MAX_US: u64 = 8_000_000;
/// How long a node is down whose disk is replaced, µs at most.
const DOWN_MAX_US: u64 = 3_000_000;

/// What is the matter with one of a node's disks.
#[derive(Clone, Copy, Debug)]
pub(super) struct BadDisk {
    device: usize,
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
    /// A disk of a broker fails, and keeps what was synced; a node with another lives on.
    pub(super) fn break_disk(&mut self, rng: &mut Rng, id: i32) -> bool {
        let may = self.shape.brokers.contains(&id)
            && self.is_up(id)
            && !self.stopping.contains_key(&id)
            && !self.bad_disks.contains_key(&id)
            && self.may_lose_a_disk(id);
        let until_us = self.world.now().monotonic.0 + rng.below(BAD_MAX_US);
        let Some(host) = self.world.host_mut(id).filter(|_| may) else { return false };
        // Mostly one that the node can do without, if it has one.
        let device = host.store.devices().saturating_sub(1).min(usize::from(rng.chance(3, 4)));
        let trouble = if rng.chance(1, 2) { Trouble::Dead } else { Trouble::SyncFails };
        host.store.trouble(device, Some(trouble));
        self.bad_disks.insert(id, BadDisk { device, until_us });
        self.weak.insert(id);
        true
    }

    /// One at a time: without a majority of the quorum nobody could be told.
    fn may_lose_a_disk(&self, id: i32) -> bool {
        self.may_die(id, true) && self.bad_disks.is_empty()
    }

    /// Disks that failed are mounted again: their nodes start anew.
    pub(super) fn mend_disks(&mut self, now_us: u64) {
        let due: Vec<_> = self
            .bad_disks
            .iter()
            .filter(|(_, bad)| bad.until_us <= now_us)
            .map(|(id, bad)| (*id, *bad))
            .collect();
        for (id, BadDisk { device, .. }) in due {
            self.bad_disks.remove(&id);
            self.note(format_args!("the disk of {id} is mended"));
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
        for (id, bad) in &self.bad_disks {
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
