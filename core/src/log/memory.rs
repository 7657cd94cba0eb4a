//! [`MemoryStore`]: a file system that is a value.
//!
//! Cloning it is O(1) and the clones share everything that neither has changed: directories and files are persistent maps, a
//! file is a persistent list of pages. A slice is a clone of its file's pages, so truncating, overwriting or removing
//! the file never changes what a slice shows. The page size is that of a disk's page cache, which lets the simulator keep a
//! second `MemoryStore` for what is durable and copy single pages into it.

use std::fmt;
use std::io::IoSlice;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use rpds::{RedBlackTreeMapSync, VectorSync};

use super::store::{Entry, LogStore, StoreError};

/// Bytes in a page: what a disk writes whole or not at all.
pub const PAGE_SIZE: usize = 4096;

/// A file by identity: it stays the same file through renames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode(pub u64);

/// Files and directories in memory.
#[derive(Clone, Default)]
pub struct MemoryStore {
    nodes: RedBlackTreeMapSync<String, Node>,
    files: RedBlackTreeMapSync<u64, Content>,
    next_inode: u64,
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A file.
    File(Inode),
}

/// The bytes of a file at one moment, in pages of [`PAGE_SIZE`] (the last may be shorter).
#[derive(Clone, Default)]
pub struct Content {
    pages: VectorSync<Bytes>,
    len: u64,
}

/// A range of a file as it was when the slice was made.
#[derive(Clone)]
pub struct MemorySlice {
    content: Content,
    range: Range<u64>,
}

impl Content {
    /// A file of these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        content.append(bytes);
        content
    }

    /// Bytes in all.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The page at `index`, counted from 0.
    pub fn page(&self, index: usize) -> Option<&Bytes> {
        self.pages.get(index)
    }

    /// How many pages there are.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Replaces a page that is there by another of the same length; anything else changes nothing. For simulated disks.
    #[must_use]
    pub fn with_page(&self, index: usize, page: Bytes) -> Self {
        match self.pages.get(index) {
            Some(old) if old.len() == page.len() => Self {
                pages: self.pages.set(index, page).unwrap_or_else(|| self.pages.clone()),
                len: self.len,
            },
            _ => self.clone(),
        }
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, mut bytes: &[u8]) {
        self.len = self.len.saturating_add(bytes.len() as u64);
        if let Some(last) = self.pages.last().filter(|last| last.len() < PAGE_SIZE) {
            let (now, later) = bytes.split_at(bytes.len().min(PAGE_SIZE.saturating_sub(last.len())));
            let mut page = BytesMut::with_capacity(last.len().saturating_add(now.len()));
            page.extend_from_slice(last);
            page.extend_from_slice(now);
            self.pages.drop_last_mut();
            self.pages.push_back_mut(page.freeze());
            bytes = later;
        }
        for page in bytes.chunks(PAGE_SIZE) {
            self.pages.push_back_mut(Bytes::copy_from_slice(page));
        }
    }

    /// Cuts to `len` bytes, or adds zeros up to it.
    pub fn resize(&mut self, len: u64) {
        if len >= self.len {
            let mut missing = len.saturating_sub(self.len);
            while missing > 0 {
                let zeros = missing.min(PAGE_SIZE as u64);
                self.append([0; PAGE_SIZE].get(..zeros as usize).unwrap_or_default());
                missing = missing.saturating_sub(zeros);
            }
            return;
        }
        if len == 0 {
            *self = Self::default();
            return;
        }
        let keep = len.div_ceil(PAGE_SIZE as u64);
        while self.pages.len() as u64 > keep {
            self.pages.drop_last_mut();
        }
        let within = page_of(len.saturating_sub(1)).1.saturating_add(1);
        if let Some(last) = self.pages.last() {
            let last = last.slice(..within.min(last.len()));
            self.pages.drop_last_mut();
            self.pages.push_back_mut(last);
        }
        self.len = len;
    }

    /// Reads up to `into.len()` bytes at `at`.
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> usize {
        let mut at = at;
        let mut filled = 0_usize;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let (index, within) = page_of(at);
            let Some(page) = self.pages.get(index) else { break };
            let from = page.get(within..).unwrap_or_default();
            let count = from.len().min(rest.len());
            if count == 0 {
                break;
            }
            if let (Some(rest), Some(from)) = (rest.get_mut(..count), from.get(..count)) {
                rest.copy_from_slice(from);
            }
            filled = filled.saturating_add(count);
            at = at.saturating_add(count as u64);
        }
        filled
    }

    /// A copy of a range; shorter where the file ends.
    pub fn bytes(&self, range: Range<u64>) -> Bytes {
        let end = range.end.min(self.len);
        let len = usize::try_from(end.saturating_sub(range.start)).unwrap_or(0);
        let mut bytes = BytesMut::zeroed(len);
        let read = self.read_at(range.start, &mut bytes);
        bytes.truncate(read);
        bytes.freeze()
    }
}

/// The page that a position is on, and where on it.
fn page_of(position: u64) -> (usize, usize) {
    let (page, within) = (position.div_euclid(4096), position.rem_euclid(4096));
    (usize::try_from(page).unwrap_or(usize::MAX), usize::try_from(within).unwrap_or(0))
}

impl MemorySlice {
    /// Its bytes, copied out of the pages.
    pub fn bytes(&self) -> Bytes {
        self.content.bytes(self.range.clone())
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

impl MemoryStore {
    /// An empty file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every path with what it names, sorted.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), *node))
    }

    /// What a path names.
    pub fn node(&self, path: &str) -> Option<Node> {
        self.nodes.get(path).copied()
    }

    /// A file's present content.
    pub fn content(&self, inode: Inode) -> Option<&Content> {
        self.files.get(&inode.0)
    }

    /// A file's present content, by path.
    pub fn content_at(&self, path: &str) -> Option<&Content> {
        match self.nodes.get(path)? {
            Node::File(inode) => self.content(*inode),
            Node::Directory => None,
        }
    }

    /// Sets a file's content as a whole (for simulated disks: what a power loss leaves).
    pub fn set_content(&mut self, inode: Inode, content: Content) {
        self.files.insert_mut(inode.0, content);
        self.next_inode = self.next_inode.max(inode.0.saturating_add(1));
    }

    /// Makes a path name something (for simulated disks).
    pub fn set_node(&mut self, path: &str, node: Option<Node>) {
        match node {
            Some(node) => self.nodes.insert_mut(path.to_owned(), node),
            None => {
                self.nodes.remove_mut(path);
            }
        }
    }

    fn edit(&mut self, file: Inode, change: impl FnOnce(&mut Content)) -> Result<(), StoreError> {
        let content = self.files.get_mut(&file.0).ok_or(StoreError::NotFound)?;
        change(content);
        Ok(())
    }

    fn below<'a>(&'a self, directory: &str) -> impl Iterator<Item = (&'a String, &'a Node)> {
        let prefix = format!("{}/", directory.trim_end_matches('/'));
        self.nodes.range(prefix.clone()..).take_while(move |(path, _)| path.starts_with(&prefix))
    }
}

impl LogStore for MemoryStore {
    type File = Inode;
    type Slice = MemorySlice;

    fn create_dir(&mut self, path: &str) -> Result<(), StoreError> {
        let path = path.trim_end_matches('/');
        let parents = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        for end in parents.chain([path.len()]) {
            let parent = path.get(..end).unwrap_or_default();
            match self.nodes.get(parent) {
                Some(Node::File(_)) => return Err(StoreError::AlreadyExists),
                Some(Node::Directory) => {}
                None => self.nodes.insert_mut(parent.to_owned(), Node::Directory),
            }
        }
        Ok(())
    }

    fn list(&mut self, path: &str) -> Result<Vec<Entry>, StoreError> {
        let path = path.trim_end_matches('/');
        if self.nodes.get(path) != Some(&Node::Directory) {
            return Err(StoreError::NotFound);
        }
        let skip = path.len().saturating_add(1);
        let mut entries = Vec::new();
        for (name, node) in self.below(path) {
            let name = name.get(skip..).unwrap_or_default();
            if name.contains('/') {
                continue;
            }
            entries.push(match node {
                Node::Directory => Entry { name: name.to_owned(), is_dir: true, len: 0 },
                Node::File(inode) => Entry {
                    name: name.to_owned(),
                    is_dir: false,
                    len: self.files.get(&inode.0).map_or(0, Content::len),
                },
            });
        }
        entries.sort_unstable();
        Ok(entries)
    }

    fn create(&mut self, path: &str) -> Result<Inode, StoreError> {
        if self.nodes.contains_key(path) {
            return Err(StoreError::AlreadyExists);
        }
        if let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty())
            && self.nodes.get(parent) != Some(&Node::Directory)
        {
            return Err(StoreError::NotFound);
        }
        let inode = Inode(self.next_inode);
        self.next_inode = self.next_inode.saturating_add(1);
        self.nodes.insert_mut(path.to_owned(), Node::File(inode));
        self.files.insert_mut(inode.0, Content::default());
        Ok(inode)
    }

    fn open(&mut self, path: &str) -> Result<Inode, StoreError> {
        match self.nodes.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            _ => Err(StoreError::NotFound),
        }
    }

    fn len(&mut self, file: &Inode) -> Result<u64, StoreError> {
        self.files.get(&file.0).map(Content::len).ok_or(StoreError::NotFound)
    }

    fn append(&mut self, file: &Inode, parts: &[IoSlice<'_>]) -> Result<(), StoreError> {
        self.edit(*file, |content| parts.iter().for_each(|part| content.append(part)))
    }

    fn read_at(&mut self, file: &Inode, at: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.files.get(&file.0).map(|content| content.read_at(at, into)).ok_or(StoreError::NotFound)
    }

    fn slice(&mut self, file: &Inode, range: Range<u64>) -> Result<MemorySlice, StoreError> {
        let content = self.files.get(&file.0).ok_or(StoreError::NotFound)?.clone();
        if range.start > range.end || range.end > content.len() {
            return Err(StoreError::Io(format!("a slice {range:?} of {} bytes", content.len())));
        }
        Ok(MemorySlice { content, range })
    }

    fn read_slice(&mut self, slice: &MemorySlice) -> Result<Bytes, StoreError> {
        Ok(slice.bytes())
    }

    fn truncate(&mut self, file: &Inode, len: u64) -> Result<(), StoreError> {
        self.edit(*file, |content| content.resize(len.min(content.len)))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StoreError> {
        let (from, to) = (from.trim_end_matches('/'), to.trim_end_matches('/'));
        let node = *self.nodes.get(from).ok_or(StoreError::NotFound)?;
        if from == to {
            return Ok(());
        }
        match (node, self.nodes.get(to).copied()) {
            (_, Some(Node::Directory)) | (Node::Directory, Some(_)) => return Err(StoreError::AlreadyExists),
            (Node::File(_), Some(Node::File(replaced))) => {
                self.files.remove_mut(&replaced.0);
            }
            (_, None) => {}
        }
        let moved: Vec<_> = match node {
            Node::File(_) => Vec::new(),
            Node::Directory => self.below(from).map(|(path, node)| (path.clone(), *node)).collect(),
        };
        for (path, node) in moved {
            let rest = path.get(from.len()..).unwrap_or_default();
            self.nodes.insert_mut(format!("{to}{rest}"), node);
            self.nodes.remove_mut(&path);
        }
        self.nodes.remove_mut(from);
        self.nodes.insert_mut(to.to_owned(), node);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), StoreError> {
        let path = path.trim_end_matches('/');
        let node = *self.nodes.get(path).ok_or(StoreError::NotFound)?;
        let below: Vec<_> = match node {
            Node::File(_) => Vec::new(),
            Node::Directory => self.below(path).map(|(path, node)| (path.clone(), *node)).collect(),
        };
        for (path, node) in below.into_iter().chain([(path.to_owned(), node)]) {
            self.nodes.remove_mut(&path);
            if let Node::File(inode) = node {
                self.files.remove_mut(&inode.0);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lens = self.nodes.iter().map(|(path, node)| match node {
            Node::Directory => (path, None),
            Node::File(inode) => (path, self.files.get(&inode.0).map(Content::len)),
        });
        f.debug_map().entries(lens).finish()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("len", &self.len).finish_non_exhaustive()
    }
}

impl fmt::Debug for MemorySlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemorySlice").field(&self.range).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn store_with(path: &str, bytes: &[u8]) -> (MemoryStore, Inode) {
        let mut store = MemoryStore::new();
        store.create_dir("a/b").unwrap();
        let file = store.create(path).unwrap();
        store.append(&file, &[IoSlice::new(bytes)]).unwrap();
        (store, file)
    }

    #[test]
    fn slices_survive_truncation_rewriting_and_removal() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        let (mut store, file) = store_with("a/b/f", &bytes);
        let slice = store.slice(&file, 4_000..9_000).unwrap();
        store.truncate(&file, 4_100).unwrap();
        store.append(&file, &[IoSlice::new(&[0xff; 6_000])]).unwrap();
        assert_eq!(store.len(&file).unwrap(), 10_100);
        store.rename("a/b/f", "a/b/g").unwrap();
        store.remove("a/b/g").unwrap();
        assert_eq!(store.read_slice(&slice).unwrap(), bytes[4_000..9_000]);
    }

    #[test]
    fn a_clone_does_not_see_later_changes() {
        let (mut store, file) = store_with("a/b/f", b"one");
        let mut before = store.clone();
        store.append(&file, &[IoSlice::new(b"two"), IoSlice::new(b"three")]).unwrap();
        assert_eq!(before.read("a/b/f").unwrap(), b"one");
        assert_eq!(store.read("a/b/f").unwrap(), b"onetwothree");
    }

    #[test]
    fn renaming_a_directory_takes_its_files_along() {
        let (mut store, file) = store_with("a/b/f", b"one");
        store.rename("a/b", "a/c").unwrap();
        assert_eq!(store.list("a/b"), Err(StoreError::NotFound));
        assert_eq!(store.list("a").unwrap().len(), 1);
        assert_eq!(store.read("a/c/f").unwrap(), b"one");
        assert_eq!(store.len(&file).unwrap(), 3);
    }

    #[test]
    fn resizing_keeps_the_prefix_and_fills_with_zeros() {
        for len in [0, 1, 4_095, 4_096, 4_097, 8_192, 9_000] {
            let bytes: Vec<u8> = (0..9_000_u32).map(|n| (n % 251) as u8).collect();
            let mut content = Content::from_bytes(&bytes);
            content.resize(len);
            assert_eq!(content.bytes(0..u64::MAX), bytes[..len as usize]);
            content.resize(len + 5_000);
            assert_eq!(content.bytes(len..u64::MAX), vec![0; 5_000]);
            assert_eq!(content.len(), len + 5_000);
        }
    }

    #[test]
    fn a_replaced_file_is_whole() {
        let (mut store, _) = store_with("a/b/f", b"old");
        store.write_replacing("a/b/f", b"new").unwrap();
        store.write_replacing("a/b/f", b"newer").unwrap();
        assert_eq!(store.read("a/b/f").unwrap(), b"newer");
        assert_eq!(store.list("a/b").unwrap().len(), 1);
    }
}
