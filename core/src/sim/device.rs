//! Devices: what a disk keeps when the power goes.
//!
//! A [`Device`] is a page cache over a disk. Everything is readable from the cache at once, and a killed process loses
//! nothing of it. After a power loss there is what was synced, and of the rest whatever the disk happened to have written: pages of
//! 4 KiB in any order (a size without its pages reads as zeros), the last one torn, and of what was created, renamed and
//! removed in a directory the first few operations since its last sync.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

use crate::log::memory::{Content, Inode, MemorySlice, MemoryStore, Node, PAGE_SIZE};
use crate::log::store::Entry;
use crate::log::{LogStore, StoreError};
use crate::machine::SyncTarget;
use crate::rng::Rng;

/// What a power loss did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Files that ended up with other bytes than were written last.
    pub files: u64,
    /// Creations, renames and removals that were undone.
    pub entries: u64,
}

impl std::ops::AddAssign for Losses {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.entries += other.entries;
    }
}

/// A directory by identity: it stays the same directory through renames. 0 is the root.
type DirectoryId = u64;

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Child {
    File(Inode),
    Directory(DirectoryId),
}

/// A change to a directory.
#[derive(Clone, Debug)]
enum Change {
    Link(String, Child),
    Unlink(String),
    Rename(String, String),
}

/// A disk and the page cache before it.
#[derive(Clone, Default)]
pub struct Device {
    cache: MemoryStore,
    /// The directories in the cache, by path.
    directories: BTreeMap<String, DirectoryId>,
    next_directory: DirectoryId,
    /// Changes that are not known to be durable, in order.
    journal: Vec<(u64, DirectoryId, Change)>,
    next_number: u64,
    durable_directories: BTreeMap<DirectoryId, BTreeMap<String, Child>>,
    /// What is durable of each file, and the number of the sync that made it so.
    durable_files: BTreeMap<u64, (u64, Content)>,
    /// What failed syncs were to write.
    forsaken: BTreeMap<u64, Content>,
}

/// A sync under way on a [`Device`].
#[derive(Clone, Debug)]
pub struct PendingSync {
    number: u64,
    files: Vec<(Inode, Content)>,
    directories: Vec<DirectoryId>,
}

impl PendingSync {
    /// Whether it covers files.
    pub fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Whether it covers directories.
    pub fn has_directories(&self) -> bool {
        !self.directories.is_empty()
    }
}

impl Device {
    /// An empty device.
    pub fn new() -> Self {
        Self { next_directory: 1, ..Self::default() }
    }

    /// An empty device on which a directory was made long ago.
    pub fn with_directory(path: &str) -> Self {
        let mut disk = Self::new();
        // The path names no file: there are none.
        _ = disk.create_dir(path);
        disk.settle(|_, _| true);
        disk
    }

    fn parent_and_name<'a>(&self, path: &'a str) -> (DirectoryId, &'a str) {
        match path.rsplit_once('/') {
            Some((parent, name)) if !parent.is_empty() => {
                (self.directories.get(parent).copied().unwrap_or(0), name)
            }
            _ => (0, path),
        }
    }

    fn note(&mut self, directory: DirectoryId, change: Change) {
        self.journal.push((self.next_number, directory, change));
        self.next_number += 1;
    }

    fn link(&mut self, path: &str, child: Child) {
        let (parent, name) = self.parent_and_name(path);
        let name = name.to_owned();
        self.note(parent, Change::Link(name, child));
    }

    fn apply(&mut self, directory: DirectoryId, change: Change) {
        let entries = self.durable_directories.entry(directory).or_default();
        match change {
            Change::Link(name, child) => _ = entries.insert(name, child),
            Change::Unlink(name) => _ = entries.remove(&name),
            Change::Rename(from, to) => {
                if let Some(child) = entries.remove(&from) {
                    entries.insert(to, child);
                }
            }
        }
    }

    /// Applies the changes that `keep` lets through, in order, and forgets the others that `drop` names.
    fn settle(&mut self, mut durable: impl FnMut(u64, DirectoryId) -> bool) {
        let journal = std::mem::take(&mut self.journal);
        for (number, directory, change) in journal {
            if durable(number, directory) {
                self.apply(directory, change);
            } else {
                self.journal.push((number, directory, change));
            }
        }
    }

    /// A sync begins: it covers what is there now.
    pub fn pending(&mut self, targets: &[SyncTarget<Device>]) -> PendingSync {
        let mut pending =
            PendingSync { number: self.next_number, files: Vec::new(), directories: Vec::new() };
        // Of two syncs the one that began later covers more.
        self.next_number += 1;
        for target in targets {
            match target {
                SyncTarget::File(inode) => {
                    pending.files.extend(self.cache.content(*inode).map(|content| (*inode, content.clone())));
                }
                SyncTarget::Directory(path) => {
                    pending.directories.extend(self.directories.get(path.trim_end_matches('/')));
                }
                SyncTarget::Tree(path) => {
                    let below = format!("{path}/");
                    let is_below = |name: &str| name == path || name.starts_with(&below);
                    let directories = self.directories.iter().filter(|(name, _)| is_below(name));
                    pending.directories.extend(directories.map(|(_, id)| *id));
                    for (_, node) in self.cache.nodes().filter(|(name, _)| is_below(name)) {
                        let Node::File(inode) = node else { continue };
                        pending
                            .files
                            .extend(self.cache.content(inode).map(|content| (inode, content.clone())));
                    }
                }
            }
        }
        pending
    }

    /// A sync has ended: what it covered is durable.
    pub fn make_durable(&mut self, pending: PendingSync) {
        let PendingSync { number, files, directories } = pending;
        for (inode, mut content) in files {
            let entry = self.durable_files.entry(inode.0).or_default();
            if number >= entry.0 {
                if let Some(forsaken) = self.forsaken.get(&inode.0) {
                    content = without(&content, forsaken, &entry.1);
                }
                *entry = (number, content);
            }
        }
        self.settle(|changed, directory| changed < number && directories.contains(&directory));
    }

    /// What a file holds after the power has come back.
    fn survives(&self, inode: Inode, rng: &mut Rng) -> Content {
        let durable =
            self.durable_files.get(&inode.0).map(|(_, content)| content.clone()).unwrap_or_default();
        match self.cache.content(inode) {
            Some(cached) => torn(&durable, cached, rng),
            None => durable,
        }
    }

    fn differs(&self, inode: Inode, content: &Content) -> bool {
        let cached = self.cache.content(inode);
        cached.is_some_and(|cached| {
            cached.len() != content.len()
                || (0..cached.pages()).any(|index| cached.page(index) != content.page(index))
        })
    }

    fn rebuild(&mut self, path: &str, directory: DirectoryId, rng: &mut Rng, into: &mut Rebuilt) {
        let entries = self.durable_directories.get(&directory).cloned().unwrap_or_default();
        for (name, child) in &entries {
            let path = if directory == 0 { name.clone() } else { format!("{path}/{name}") };
            match child {
                Child::File(inode) => {
                    let content = self.survives(*inode, rng);
                    into.damaged += u64::from(self.differs(*inode, &content));
                    into.store.set_content(*inode, content.clone());
                    into.store.set_node(&path, Some(Node::File(*inode)));
                    // A sync that was under way has not come to its end.
                    into.files.insert(inode.0, (self.next_number, content));
                }
                Child::Directory(id) => {
                    into.store.set_node(&path, Some(Node::Directory));
                    into.paths.insert(path.clone(), *id);
                    self.rebuild(&path, *id, rng, into);
                }
            }
        }
        into.directories.insert(directory, entries);
    }
}

#[derive(Default)]
struct Rebuilt {
    store: MemoryStore,
    paths: BTreeMap<String, DirectoryId>,
    files: BTreeMap<u64, (u64, Content)>,
    directories: BTreeMap<DirectoryId, BTreeMap<String, Child>>,
    damaged: u64,
}

/// `new` without the pages that are as in `forsaken`: those are as in `old`.
fn without(new: &Content, forsaken: &Content, old: &Content) -> Content {
    let mut kept = new.clone();
    for index in (0..new.pages()).filter(|index| new.page(*index) == forsaken.page(*index)) {
        let Some(page) = new.page(index) else { continue };
        let mut bytes = old.page(index).map(|page| page.to_vec()).unwrap_or_default();
        bytes.resize(page.len(), 0);
        kept = kept.with_page(index, Bytes::from(bytes));
    }
    kept
}

/// A file of which `old` was durable and `new` was in the cache.
fn torn(old: &Content, new: &Content, rng: &mut Rng) -> Content {
    if new.len() <= old.len() {
        return if rng.chance(1, 2) { new.clone() } else { old.clone() };
    }
    let is_one_write = old.is_empty() && new.len() <= PAGE_SIZE as u64;
    let len = match rng.below(4) {
        0 => old.len(),
        _ if is_one_write => new.len(),
        1 => new.len(),
        _ => old.len() + rng.below(new.len() - old.len() + 1),
    };
    let wanted = new.bytes(0..len);
    let mut bytes = old.bytes(0..old.len()).to_vec();
    let durable = bytes.len();
    bytes.resize(wanted.len(), 0);
    let all = rng.chance(1, 3);
    for (index, (page, wanted)) in bytes.chunks_mut(PAGE_SIZE).zip(wanted.chunks(PAGE_SIZE)).enumerate() {
        let is_durable = (index + 1) * PAGE_SIZE <= durable;
        if all || (!is_durable && rng.chance(2, 3)) {
            page.copy_from_slice(wanted);
        }
    }
    Content::from_bytes(&bytes)
}

impl Device {
    /// The power was lost: what was not synced is gone, or torn.
    pub fn power_loss(&mut self, rng: &mut Rng) -> Losses {
        self.next_number += 1;
        // Of each directory's changes the first few have reached the disk.
        let mut waiting: BTreeMap<DirectoryId, u64> = BTreeMap::new();
        for (_, directory, _) in &self.journal {
            *waiting.entry(*directory).or_default() += 1;
        }
        for left in waiting.values_mut() {
            *left = rng.below(*left + 1);
        }
        self.settle(|_, directory| match waiting.get_mut(&directory) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        });
        let entries = self.journal.len() as u64;
        self.journal.clear();
        self.forsaken.clear();
        let mut rebuilt = Rebuilt::default();
        self.rebuild("", 0, rng, &mut rebuilt);
        // Inodes that are gone are not used again: what was sliced from them is not what comes next.
        let Rebuilt { store, paths, files, directories, damaged } = rebuilt;
        self.cache = store;
        (self.directories, self.durable_files, self.durable_directories) = (paths, files, directories);
        Losses { files: damaged, entries }
    }

    /// A sync has failed: what it was to write counts as clean, and is never written.
    pub fn forsake(&mut self, pending: PendingSync) {
        self.forsaken.extend(pending.files.into_iter().map(|(inode, content)| (inode.0, content)));
    }

    /// Bytes in a file.
    pub fn len_of(&self, inode: Inode) -> u64 {
        self.cache.content(inode).map_or(0, Content::len)
    }

    /// Bytes in a file, or in all the files of a directory.
    pub fn len_at(&self, path: &str) -> u64 {
        let prefix = format!("{path}/");
        let below = self.cache.nodes().filter(|(name, _)| *name == path || name.starts_with(&prefix));
        below
            .filter_map(|(_, node)| match node {
                Node::File(inode) => Some(self.len_of(inode)),
                Node::Directory => None,
            })
            .sum()
    }

    /// Turns a bit over, in the cache and on the disk.
    pub fn flip(&mut self, inode: Inode, position: u64, bit: u8) {
        let turned = |content: &Content| {
            let index = usize::try_from(position / PAGE_SIZE as u64).unwrap_or(usize::MAX);
            let within = usize::try_from(position % PAGE_SIZE as u64).unwrap_or(0);
            let mut page = content.page(index)?.to_vec();
            *page.get_mut(within)? ^= 1 << (bit % 8);
            Some(content.with_page(index, Bytes::from(page)))
        };
        if let Some(content) = self.cache.content(inode).and_then(turned) {
            self.cache.set_content(inode, content);
        }
        if let Some((_, durable)) = self.durable_files.get_mut(&inode.0)
            && let Some(content) = turned(durable)
        {
            *durable = content;
        }
    }
}

impl LogStore for Device {
    type File = Inode;
    type Slice = MemorySlice;

    fn create_dir(&mut self, path: &str) -> Result<(), StoreError> {
        self.cache.create_dir(path)?;
        let path = path.trim_end_matches('/');
        let parents: Vec<usize> = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).collect();
        for end in parents.into_iter().chain([path.len()]) {
            let directory = path.get(..end).unwrap_or_default();
            if !self.directories.contains_key(directory) {
                let id = self.next_directory;
                self.next_directory += 1;
                self.link(directory, Child::Directory(id));
                self.directories.insert(directory.to_owned(), id);
            }
        }
        Ok(())
    }

    fn list(&mut self, path: &str) -> Result<Vec<Entry>, StoreError> {
        self.cache.list(path)
    }

    fn create(&mut self, path: &str) -> Result<Inode, StoreError> {
        let inode = self.cache.create(path)?;
        self.link(path, Child::File(inode));
        Ok(inode)
    }

    fn open(&mut self, path: &str) -> Result<Inode, StoreError> {
        self.cache.open(path)
    }

    fn len(&mut self, file: &Inode) -> Result<u64, StoreError> {
        self.cache.len(file)
    }

    fn append(&mut self, file: &Inode, parts: &[IoSlice<'_>]) -> Result<(), StoreError> {
        self.cache.append(file, parts)
    }

    fn read_at(&mut self, file: &Inode, at: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.cache.read_at(file, at, into)
    }

    fn slice(&mut self, file: &Inode, range: Range<u64>) -> Result<MemorySlice, StoreError> {
        self.cache.slice(file, range)
    }

    fn read_slice(&mut self, slice: &MemorySlice) -> Result<Bytes, StoreError> {
        self.cache.read_slice(slice)
    }

    fn truncate(&mut self, file: &Inode, len: u64) -> Result<(), StoreError> {
        self.cache.truncate(file, len)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StoreError> {
        self.cache.rename(from, to)?;
        let (from, to) = (from.trim_end_matches('/'), to.trim_end_matches('/'));
        if from == to {
            return Ok(());
        }
        let (from_parent, from_name) = self.parent_and_name(from);
        let (to_parent, to_name) = self.parent_and_name(to);
        if from_parent == to_parent {
            let change = Change::Rename(from_name.to_owned(), to_name.to_owned());
            self.note(from_parent, change);
        } else {
            let child = match self.cache.node(to) {
                Some(Node::File(inode)) => Child::File(inode),
                _ => Child::Directory(self.directories.get(from).copied().unwrap_or(0)),
            };
            let (unlink, link) =
                (Change::Unlink(from_name.to_owned()), Change::Link(to_name.to_owned(), child));
            self.note(to_parent, link);
            self.note(from_parent, unlink);
        }
        let prefix = format!("{from}/");
        let moved: Vec<(String, DirectoryId)> = self
            .directories
            .iter()
            .filter(|(path, _)| *path == from || path.starts_with(&prefix))
            .map(|(path, id)| (path.clone(), *id))
            .collect();
        for (path, id) in moved {
            self.directories.remove(&path);
            self.directories.insert(format!("{to}{}", path.get(from.len()..).unwrap_or_default()), id);
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), StoreError> {
        self.cache.remove(path)?;
        let path = path.trim_end_matches('/');
        let (parent, name) = self.parent_and_name(path);
        let change = Change::Unlink(name.to_owned());
        self.note(parent, change);
        let prefix = format!("{path}/");
        self.directories.retain(|directory, _| directory != path && !directory.starts_with(&prefix));
        Ok(())
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("cache", &self.cache).field("journal", &self.journal).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync(disk: &mut Device, targets: &[SyncTarget<Device>]) {
        let pending = disk.pending(targets);
        disk.make_durable(pending);
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_may_go() {
        let (mut lost, mut kept, mut zeros) = (0, 0, 0);
        for seed in 0..200 {
            let mut rng = Rng::from_seed(seed);
            let mut disk = Device::new();
            disk.create_dir("d").unwrap();
            let file = disk.create("d/f").unwrap();
            disk.append(&file, &[IoSlice::new(&[7; 5_000])]).unwrap();
            sync(&mut disk, &[SyncTarget::File(file), SyncTarget::Directory("d".into())]);
            disk.settle(|_, directory| directory == 0);
            disk.append(&file, &[IoSlice::new(&[8; 20_000])]).unwrap();
            let other = disk.create("d/g").unwrap();
            disk.append(&other, &[IoSlice::new(b"new")]).unwrap();
            disk.power_loss(&mut rng);
            let bytes = disk.read("d/f").unwrap();
            assert!(bytes.get(..5_000).unwrap().iter().all(|byte| *byte == 7));
            zeros += usize::from(bytes.contains(&0));
            match disk.read("d/g") {
                Ok(_) => kept += 1,
                Err(_) => lost += 1,
            }
        }
        assert!(lost > 20 && kept > 20 && zeros > 20, "{lost} {kept} {zeros}");
    }

    #[test]
    fn a_rename_is_undone_without_a_sync_of_its_directory_and_stays_with_one() {
        for seed in 0..50 {
            let mut rng = Rng::from_seed(seed);
            let mut disk = Device::new();
            disk.create_dir("d/e").unwrap();
            disk.write_replacing("d/e/f", b"one").unwrap();
            let file = disk.open("d/e/f").unwrap();
            let all = ["d", "d/e"].map(|path| SyncTarget::Directory(path.into()));
            sync(&mut disk, &all);
            sync(&mut disk, &[SyncTarget::File(file)]);
            disk.settle(|_, directory| directory == 0);
            disk.write_replacing("d/e/f", b"two").unwrap();
            let file = disk.open("d/e/f").unwrap();
            sync(&mut disk, &[SyncTarget::File(file)]);
            let mut synced = disk.clone();
            sync(&mut synced, &all);
            disk.power_loss(&mut rng);
            synced.power_loss(&mut rng);
            assert!(matches!(&*disk.read("d/e/f").unwrap(), b"one" | b"two"));
            assert_eq!(synced.read("d/e/f").unwrap(), b"two");
            disk.rename("d/e", "d/x").unwrap();
            sync(&mut disk, &[SyncTarget::Directory("d".into())]);
            disk.power_loss(&mut rng);
            assert_eq!(disk.read("d/x/f").is_ok(), disk.node_count() > 2);
        }
    }

    impl Device {
        fn node_count(&self) -> usize {
            self.cache.nodes().count()
        }
    }
}
