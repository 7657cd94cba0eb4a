//! What befalls the devices of a scenario's broker while it runs, and bits that turn over while it does not.

use bytes::Bytes;

use super::checkers::{Checker, Kept, Snapshot};
use super::scenario::{BROKER, Death, Fault, Phase, Scenario, When};
use super::workload::{PARTITIONS, TOPICS};
use super::{SimDisk, Trouble};
use crate::log::{LogStore, file_names};
use crate::record::batches;

/// Bytes that a disk takes until it is full, at most.
const ROOM_MAX: u64 = 6_000;
/// Reads or writes until one fails, at most.
const SOUND_MAX: u64 = 20;
/// Bytes of a batch that its checksum does not cover.
const UNCHECKED_BYTES: usize = 21;

/// What is the matter with a device.
#[derive(Clone, Copy, Debug)]
pub struct Injected {
    /// Which.
    pub device: usize,
    /// What.
    pub fault: Fault,
    /// It has been noticed.
    pub has_struck: bool,
}

impl Scenario {
    /// Something befalls a device, unless there is trouble enough.
    pub(super) fn begin_trouble(&mut self) {
        if let Some(Injected { fault: Fault::DiskFull, device, .. }) = self.trouble {
            // There is room again.
            if self.checkers.failed_in(self.host(), device) == 0 {
                self.with_disk(|disk| disk.trouble(device, None));
                self.trouble = None;
            }
            return;
        }
        if self.trouble.is_some() {
            return;
        }
        let devices = self.host().map_or(1, |host| host.store.devices());
        let device = self.below(devices);
        let (fault, trouble) = match self.rng.below(6) {
            0 | 1 => (Fault::DiskFull, Trouble::Full(self.rng.below(ROOM_MAX))),
            2 => (Fault::ReadFailed, Trouble::ReadFails(self.rng.below(SOUND_MAX))),
            3 => (Fault::WriteFailed, Trouble::WriteFails(self.rng.below(SOUND_MAX))),
            4 => (Fault::SyncFailed, Trouble::SyncFails),
            _ => (Fault::DirectoryDied, Trouble::Dead),
        };
        self.with_disk(|disk| disk.trouble(device, Some(trouble)));
        self.trouble = Some(Injected { device, fault, has_struck: false });
    }

    /// Lets time pass; a broker without a directory that it needs may end meanwhile.
    pub(super) fn pass_in_trouble(&mut self, left: u64, microseconds: u64) -> Option<Phase> {
        let Some(trouble) = self.trouble else {
            self.pass(microseconds);
            return None;
        };
        let before = self.run_until_dead(microseconds);
        self.note_trouble();
        self.listen();
        if self.host().is_some_and(|host| host.node().is_some()) {
            self.directory_goes_alone();
            return None;
        }
        let devices = self.host().map_or(1, |host| host.store.devices());
        let struck = self.trouble.is_some_and(|trouble| trouble.has_struck);
        let excused = struck && (trouble.device == 0 || devices == 1);
        self.checkers.check(Checker::DirectoryGoesAlone, excused, || {
            format!("the broker ended, though only directory {} of {devices} failed", trouble.device)
        });
        let now = self.world.now().wall;
        let before = before.and_then(|host| self.checkers.snapshot(&host, now));
        self.world.crash_host(BROKER);
        let death = Death { is_power_loss: false, when: When::Now };
        Some(Phase::Down { left, death, kept: Kept::AtLeastEverything, before: before.map(Box::new) })
    }

    /// Counts what has befallen a device once the broker has met with it.
    pub(super) fn note_trouble(&mut self) {
        let Some(mut trouble) = self.trouble.filter(|trouble| !trouble.has_struck) else { return };
        if self.host().is_some_and(|host| host.store.refusals(trouble.device) > 0) {
            trouble.has_struck = true;
            self.count(trouble.fault);
            self.trouble = Some(trouble);
        }
    }

    /// A directory that has failed serves nothing any more, and the others serve.
    fn directory_goes_alone(&mut self) {
        let Some(Injected { device, fault, has_struck: true }) = self.trouble else { return };
        let Some(node) = self.host().and_then(|host| host.node()) else { return };
        let partitions = node.shards.iter().flat_map(|shard| shard.partitions());
        let wrong: Vec<_> = partitions
            .filter(|partition| {
                !self.checkers.is_damaged(&partition.name().topic, partition.name().partition)
            })
            .filter(|partition| {
                let is_here = usize::from(partition.log_dir().0) == device;
                match (fault, partition.failure()) {
                    // What memory no longer vouches for waits for the next start.
                    (Fault::DiskFull, failure) => failure.is_some_and(|why| !why.starts_with("half done")),
                    (_, failure) => is_here != failure.is_some(),
                }
            })
            .map(|partition| (partition.name().to_string(), partition.failure().map(str::to_owned)))
            .collect();
        self.checkers.check(Checker::DirectoryGoesAlone, wrong.is_empty(), || {
            format!("{fault:?} of directory {device}: {wrong:?}")
        });
    }

    /// Before the next start devices are sound again; answers one that has lost what was not synced.
    pub(super) fn repair(&mut self, death: Death) -> Option<usize> {
        // What the process that died had asked for may have failed since.
        self.note_trouble();
        let Injected { device, fault, has_struck } = self.trouble.take()?;
        if has_struck && matches!(fault, Fault::SyncFailed | Fault::DirectoryDied) {
            let mut rng = self.rng.fork();
            self.with_disk(|disk| _ = disk.remount(device, &mut rng));
            return Some(device);
        }
        self.with_disk(|disk| disk.trouble(device, None));
        // A stop does not bring to the disk what a failed directory holds.
        let was_stopped = matches!(death.when, When::Stopped | When::Stopping(_));
        (was_stopped && death.is_power_loss).then_some(device)
    }

    /// Turns a bit of a record over while the broker is down; once in a run, and not in all.
    pub(super) fn flip_a_bit(&mut self, before: Option<&Snapshot>) {
        let Some(before) = before.filter(|_| !self.checkers.has_damage() && self.rng.chance(1, 6)) else {
            return;
        };
        let (topic, partition) = (TOPICS[self.below(TOPICS.len())], self.below(PARTITIONS as usize) as i32);
        let (which, bit, at) = (self.rng.next_u64(), self.rng.below(8) as u8, self.rng.next_u64());
        let Some((device, recovery_point)) = before.place(topic, partition) else { return };
        let Some(host) = self.world.host_mut(BROKER) else { return };
        let Some(root) = host.config.log_dirs.get(device) else { return };
        let dir = format!("{root}/{}", file_names::partition_dir(topic, partition));
        let Some(Found { file, position, offset, follows }) = find_batch(&mut host.store, &dir, which, at)
        else {
            return;
        };
        host.store.flip(&file, position, bit);
        let is_cold = offset < recovery_point;
        self.count(if is_cold { Fault::BitFlippedCold } else { Fault::BitFlippedUnsynced });
        self.checkers.damaged(topic, partition, offset, follows, is_cold);
    }
}

/// A byte of a batch.
pub(super) struct Found {
    pub file: <SimDisk as LogStore>::File,
    /// Of the byte in the file.
    pub position: u64,
    /// Of the batch.
    pub offset: i64,
    /// Where a log that is cut before the batch ends: of a compacted one that is further down.
    pub follows: i64,
}

/// A byte of a batch in a directory.
pub(super) fn find_batch(store: &mut SimDisk, dir: &str, which: u64, at: u64) -> Option<Found> {
    let mut found = Vec::new();
    for entry in store.list(dir).ok()? {
        if let Some(mut follows) = file_names::offset_of(&entry.name, file_names::LOG_SUFFIX) {
            let path = format!("{dir}/{}", entry.name);
            let bytes = Bytes::from(store.read(&path).ok()?);
            let mut position = 0;
            for batch in batches(&bytes).map_while(Result::ok) {
                let len = batch.bytes().len();
                found.push((path.clone(), position, len, batch.base_offset, follows));
                follows = batch.next_offset();
                position += len as u64;
            }
        }
    }
    let (path, position, len, offset, follows) =
        found.get(usize::try_from(which % (found.len() as u64).max(1)).ok()?)?;
    let within = UNCHECKED_BYTES as u64 + at % (*len as u64 - UNCHECKED_BYTES as u64);
    let (file, position) = (store.open(path).ok()?, position + within);
    Some(Found { file, position, offset: *offset, follows: *follows })
}
