//! Disks: a machine's devices, and what may befall them.
//!
//! A [`SimDisk`] has a [`Device`] for each log directory. A process can die in the middle of an operation; a device can be full,
//! refuse a single operation, fail a sync, or die.

use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

use super::device::{Device, Losses, PendingSync};
use super::mutation::{Mutation, Planted};
use crate::log::memory::{Inode, MemorySlice, MemoryStore};
use crate::log::store::Entry;
use crate::log::{LogStore, StoreError};
use crate::machine::{SyncOutcome, SyncTarget};
use crate::rng::Rng;

/// A store that knows what of it is durable.
pub trait Disk: LogStore + Clone {
    /// What a sync under way will make durable.
    type Pending: Clone + std::fmt::Debug;

    /// A sync begins: it covers what is there now.
    fn begin_sync(&mut self, targets: &[SyncTarget<Self>]) -> Self::Pending;

    /// It has ended: what it covered is durable, or it failed.
    fn synced(&mut self, pending: Self::Pending) -> SyncOutcome;

    /// The power was lost while no process was running any more.
    fn power_loss(&mut self, rng: &mut Rng) -> Losses;

    /// Where the process died, if that was in the middle of what it has just been writing: the disk as it was left.
    fn take_remains(&mut self) -> Option<Self> {
        None
    }
}

/// Memory that never forgets.
impl Disk for MemoryStore {
    type Pending = ();

    fn begin_sync(&mut self, _: &[SyncTarget<Self>]) {}

    fn synced(&mut self, (): ()) -> SyncOutcome {
        SyncOutcome::Done
    }

    fn power_loss(&mut self, _: &mut Rng) -> Losses {
        Losses::default()
    }
}

/// What a process asks of a disk that changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskOp {
    /// A file is created.
    Create,
    /// A directory is created.
    CreateDirectory,
    /// Bytes are appended.
    Write,
    /// A file or directory is renamed.
    Rename,
    /// A file is cut.
    Truncate,
    /// A file or directory is removed.
    Remove,
    /// A file, or all below a directory, is synced: when that begins, and when it ends.
    Sync,
    /// A directory is synced.
    SyncDirectory,
}

impl DiskOp {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::CreateDirectory,
        Self::Write,
        Self::Rename,
        Self::Truncate,
        Self::Remove,
        Self::Sync,
        Self::SyncDirectory,
    ];
}

/// What befalls a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It has room for so many bytes more.
    Full(u64),
    /// It fails to read once, after so many more reads.
    ReadFails(u64),
    /// It fails to write once, after so many more writes.
    WriteFails(u64),
    /// It fails to sync once: what was to be synced is lost.
    SyncFails,
    /// It fails whatever it is asked for.
    Dead,
}

/// A machine's devices.
#[derive(Clone, Debug)]
pub struct SimDisk {
    devices: Vec<Slot>,
    fuse: Fuse,
    planted: Planted,
}

#[derive(Clone, Debug)]
struct Slot {
    /// Where it is mounted.
    path: String,
    device: Device,
    trouble: Option<Trouble>,
    /// How often it has refused something.
    refusals: u64,
}

/// When the process dies in the middle of an operation.
#[derive(Clone, Debug, Default)]
enum Fuse {
    #[default]
    None,
    /// At the one after so many more of this kind.
    Lit(DiskOp, u64),
    /// It has: the disk as it was then.
    Blown(Box<SimDisk>),
}

/// A file on one of the devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskFile {
    device: usize,
    inode: Inode,
}

impl SimDisk {
    /// A device on which a directory was made long ago.
    pub fn with_directory(path: &str) -> Self {
        Self::with_directories(&[path])
    }

    /// A device for each directory, all made long ago.
    pub fn with_directories(paths: &[&str]) -> Self {
        let slot = |path: &&str| Slot {
            path: (*path).to_owned(),
            device: Device::with_directory(path),
            trouble: None,
            refusals: 0,
        };
        Self { devices: paths.iter().map(slot).collect(), fuse: Fuse::None, planted: Planted::default() }
    }

    /// It has this bug.
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
    }

    /// How many devices there are.
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// The same with nothing that befalls it.
    pub fn untroubled(&self) -> Self {
        let mut disk = self.clone();
        disk.fuse = Fuse::None;
        for slot in &mut disk.devices {
            slot.trouble = None;
        }
        disk
    }

    /// Something befalls a device, or is over.
    pub fn trouble(&mut self, device: usize, trouble: Option<Trouble>) {
        if let Some(slot) = self.devices.get_mut(device) {
            slot.trouble = trouble;
            slot.refusals = 0;
        }
    }

    /// How often a device has refused something since its trouble began.
    pub fn refusals(&self, device: usize) -> u64 {
        self.devices.get(device).map_or(0, |slot| slot.refusals)
    }

    /// A device comes back after its failure: what was not synced is gone, or torn.
    pub fn remount(&mut self, device: usize, rng: &mut Rng) -> Losses {
        self.trouble(device, None);
        self.devices.get_mut(device).map(|slot| slot.device.power_loss(rng)).unwrap_or_default()
    }

    /// Turns a bit of a file over.
    pub fn flip(&mut self, file: &DiskFile, position: u64, bit: u8) {
        if let Some(slot) = self.devices.get_mut(file.device) {
            slot.device.flip(file.inode, position, bit);
        }
    }

    /// The process dies in the middle of an operation of this kind, after so many more of them.
    pub fn die_at(&mut self, op: DiskOp, after: u64) {
        self.fuse = Fuse::Lit(op, after);
    }

    /// No death is planned any more. True if one was, and has not happened.
    pub fn live_on(&mut self) -> bool {
        matches!(std::mem::take(&mut self.fuse), Fuse::Lit(..))
    }

    /// Counts an operation that is about to happen. When it is the process's last, `partly` does what is done of it.
    fn burn(&mut self, op: DiskOp, partly: impl FnOnce(&mut Self)) {
        match &mut self.fuse {
            Fuse::Lit(lit, 0) if *lit == op => {
                self.fuse = Fuse::None;
                let mut remains = self.clone();
                partly(&mut remains);
                self.fuse = Fuse::Blown(Box::new(remains));
            }
            Fuse::Lit(lit, left) if *lit == op => *left -= 1,
            Fuse::None | Fuse::Lit(..) | Fuse::Blown(_) => {}
        }
    }

    fn index(&self, path: &str) -> usize {
        let is_in = |slot: &Slot| {
            path.strip_prefix(slot.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.devices.iter().position(is_in).unwrap_or(0)
    }

    /// The device, for something that changes it or looks at its directories.
    fn device(&mut self, index: usize) -> Result<&mut Device, StoreError> {
        let slot = self.devices.get_mut(index).ok_or(StoreError::NotFound)?;
        if slot.trouble == Some(Trouble::Dead) {
            return Err(slot.refuse());
        }
        Ok(&mut slot.device)
    }

    fn at(&mut self, path: &str) -> Result<&mut Device, StoreError> {
        let index = self.index(path);
        self.device(index)
    }

    /// Gives room back.
    fn freed(&mut self, index: usize, bytes: u64) {
        if let Some(Slot { trouble: Some(Trouble::Full(room)), .. }) = self.devices.get_mut(index) {
            *room = room.saturating_add(bytes);
        }
    }

    fn split(&mut self, targets: &[SyncTarget<Self>]) -> Vec<PendingSync> {
        let mut of: Vec<Vec<SyncTarget<Device>>> = vec![Vec::new(); self.devices.len()];
        for target in targets {
            let (index, target) = match target {
                SyncTarget::File(file) => (file.device, SyncTarget::File(file.inode)),
                SyncTarget::Directory(path) => (self.index(path), SyncTarget::Directory(path.clone())),
                SyncTarget::Tree(path) => (self.index(path), SyncTarget::Tree(path.clone())),
            };
            of.get_mut(index).into_iter().for_each(|its| its.push(target.clone()));
        }
        self.devices.iter_mut().zip(of).map(|(slot, its)| slot.device.pending(&its)).collect()
    }

    fn make_durable(&mut self, pending: Vec<PendingSync>) {
        for (slot, pending) in self.devices.iter_mut().zip(pending) {
            slot.device.make_durable(pending);
        }
    }
}

impl Slot {
    fn refuse(&mut self) -> StoreError {
        self.refusals += 1;
        StoreError::Io("input/output error".to_owned())
    }

    /// Whether a single failure is due; `left` counts down to it.
    fn fails(&mut self, left: u64, next: impl FnOnce(u64) -> Trouble) -> Result<(), StoreError> {
        match left.checked_sub(1) {
            Some(left) => {
                self.trouble = Some(next(left));
                Ok(())
            }
            None => {
                self.trouble = None;
                Err(self.refuse())
            }
        }
    }

    fn write(&mut self, bytes: u64) -> Result<(), StoreError> {
        match self.trouble {
            Some(Trouble::Dead) => Err(self.refuse()),
            Some(Trouble::WriteFails(left)) => self.fails(left, Trouble::WriteFails),
            Some(Trouble::Full(room)) => match room.checked_sub(bytes) {
                Some(room) => {
                    self.trouble = Some(Trouble::Full(room));
                    Ok(())
                }
                None => {
                    self.refusals += 1;
                    Err(StoreError::NoSpace)
                }
            },
            _ => Ok(()),
        }
    }
}

impl Disk for SimDisk {
    type Pending = Vec<PendingSync>;

    fn begin_sync(&mut self, targets: &[SyncTarget<Self>]) -> Vec<PendingSync> {
        for (index, target) in targets.iter().enumerate() {
            let op = match target {
                SyncTarget::File(_) | SyncTarget::Tree(_) => DiskOp::Sync,
                SyncTarget::Directory(_) => DiskOp::SyncDirectory,
            };
            // A process that dies here leaves durable what came before.
            self.burn(op, |remains| {
                let done = remains.split(targets.get(..index).unwrap_or_default());
                remains.make_durable(done);
            });
        }
        self.split(targets)
    }

    fn synced(&mut self, pending: Vec<PendingSync>) -> SyncOutcome {
        for (op, is_meant) in [
            (DiskOp::Sync, pending.iter().any(PendingSync::has_files)),
            (DiskOp::SyncDirectory, pending.iter().any(PendingSync::has_directories)),
        ] {
            if is_meant {
                self.burn(op, |remains| remains.make_durable(pending.clone()));
            }
        }
        let mut outcome = SyncOutcome::Done;
        for (slot, pending) in self.devices.iter_mut().zip(pending) {
            let is_meant = pending.has_files() || pending.has_directories();
            let fails = matches!(slot.trouble, Some(Trouble::Dead | Trouble::SyncFails));
            if !is_meant || !fails {
                slot.device.make_durable(pending);
                continue;
            }
            slot.trouble.take_if(|trouble| *trouble == Trouble::SyncFails);
            outcome = SyncOutcome::Failed(slot.refuse().to_string());
            slot.device.forsake(pending);
        }
        outcome
    }

    fn power_loss(&mut self, rng: &mut Rng) -> Losses {
        let mut losses = Losses::default();
        for slot in &mut self.devices {
            losses += slot.device.power_loss(rng);
        }
        losses
    }

    fn take_remains(&mut self) -> Option<Self> {
        match std::mem::take(&mut self.fuse) {
            Fuse::Blown(remains) => Some(*remains),
            fuse => {
                self.fuse = fuse;
                None
            }
        }
    }
}

impl LogStore for SimDisk {
    type File = DiskFile;
    type Slice = MemorySlice;

    fn create_dir(&mut self, path: &str) -> Result<(), StoreError> {
        self.burn(DiskOp::CreateDirectory, |_| {});
        self.at(path)?.create_dir(path)
    }

    fn list(&mut self, path: &str) -> Result<Vec<Entry>, StoreError> {
        self.at(path)?.list(path)
    }

    fn create(&mut self, path: &str) -> Result<DiskFile, StoreError> {
        self.burn(DiskOp::Create, |_| {});
        let device = self.index(path);
        let inode = self.device(device)?.create(path)?;
        Ok(DiskFile { device, inode })
    }

    fn open(&mut self, path: &str) -> Result<DiskFile, StoreError> {
        let device = self.index(path);
        let inode = self.device(device)?.open(path)?;
        Ok(DiskFile { device, inode })
    }

    fn len(&mut self, file: &DiskFile) -> Result<u64, StoreError> {
        self.device(file.device)?.len(&file.inode)
    }

    fn append(&mut self, file: &DiskFile, parts: &[IoSlice<'_>]) -> Result<(), StoreError> {
        // A process that is killed in the middle of a write leaves the beginning of it.
        self.burn(DiskOp::Write, |remains| {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            _ = remains
                .device(file.device)
                .and_then(|device| device.append(&file.inode, &[IoSlice::new(half)]));
        });
        let slot = self.devices.get_mut(file.device).ok_or(StoreError::NotFound)?;
        let written = slot.write(parts.iter().map(|part| part.len() as u64).sum());
        if written == Err(StoreError::NoSpace)
            && self.planted.is(Mutation::ShortWriteKept)
            && let Some(part) = parts.first()
        {
            slot.device
                .append(&file.inode, &[IoSlice::new(part.get(..part.len() / 2).unwrap_or_default())])?;
        }
        written?;
        slot.device.append(&file.inode, parts)
    }

    fn read_at(&mut self, file: &DiskFile, at: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        let slot = self.devices.get_mut(file.device).ok_or(StoreError::NotFound)?;
        if let Some(Trouble::ReadFails(left)) = slot.trouble {
            slot.fails(left, Trouble::ReadFails)?;
        }
        self.device(file.device)?.read_at(&file.inode, at, into)
    }

    fn slice(&mut self, file: &DiskFile, range: Range<u64>) -> Result<MemorySlice, StoreError> {
        self.device(file.device)?.slice(&file.inode, range)
    }

    fn read_slice(&mut self, slice: &MemorySlice) -> Result<Bytes, StoreError> {
        Ok(slice.bytes())
    }

    fn truncate(&mut self, file: &DiskFile, len: u64) -> Result<(), StoreError> {
        self.burn(DiskOp::Truncate, |_| {});
        let device = self.device(file.device)?;
        let before = device.len_of(file.inode);
        device.truncate(&file.inode, len)?;
        self.freed(file.device, before.saturating_sub(len));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StoreError> {
        self.burn(DiskOp::Rename, |_| {});
        if self.index(from) != self.index(to) {
            return Err(StoreError::Io("invalid cross-device link".to_owned()));
        }
        let index = self.index(to);
        let device = self.device(index)?;
        let replaced = if from == to { 0 } else { device.len_at(to) };
        device.rename(from, to)?;
        self.freed(index, replaced);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), StoreError> {
        self.burn(DiskOp::Remove, |_| {});
        let index = self.index(path);
        let device = self.device(index)?;
        let bytes = device.len_at(path);
        device.remove(path)?;
        self.freed(index, bytes);
        Ok(())
    }
}
