//! [`LogStore`]: the only seam between the core and storage.
//!
//! Paths are plain strings as the configuration gives them (`./data/exam-topic-0/00000000000000000000.log`), separated
//! by `/`. A store is lent to a machine for one event; natively it is a cheap handle on the file system, in the simulator it
//! is the node's disk. Calls may touch the page cache and never wait for a disk: making bytes durable is
//! [`Effect::Sync`](crate::machine::Effect::Sync), with a completion event.

use std::fmt::Debug;
use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

/// Why a store refused. The partition or directory concerned decides what that costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No such file or directory.
    NotFound,
    /// `create` of a file that is there.
    AlreadyExists,
    /// The device has no room; what was written of this append has been cut off again.
    NoSpace,
    /// The device failed: the directory is not to be trusted any more.
    Io(String),
}

/// What [`LogStore::list`] says of an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Name within its directory.
    pub name: String,
    /// Whether it is itself a directory.
    pub is_dir: bool,
    /// Bytes; 0 for a directory.
    pub len: u64,
}

/// What a file system has, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// All of it.
    pub total: u64,
    /// What this process may still take.
    pub usable: u64,
}

/// Files and directories of one node.
pub trait LogStore: Debug {
    /// A logical handle: cheap, opened on demand through a bounded cache, following the file through renames.
    type File: Clone + Debug;
    /// (inode, range): bytes of a file that stay readable when the file is truncated, renamed or removed.
    type Slice: Clone + Debug;

    /// Creates a directory and its parents; one that exists is fine.
    fn create_dir(&mut self, path: &str) -> Result<(), StoreError>;
    /// The entries of a directory, sorted by name.
    fn list(&mut self, path: &str) -> Result<Vec<Entry>, StoreError>;
    /// Creates an empty file.
    fn create(&mut self, path: &str) -> Result<Self::File, StoreError>;
    /// Opens an existing file.
    fn open(&mut self, path: &str) -> Result<Self::File, StoreError>;
    /// Bytes in the file.
    fn len(&mut self, file: &Self::File) -> Result<u64, StoreError>;
    /// Appends all parts or nothing: a short write is cut back before the error returns.
    fn append(&mut self, file: &Self::File, parts: &[IoSlice<'_>]) -> Result<(), StoreError>;
    /// Reads up to `into.len()` bytes at `at`; fewer only at the end of the file.
    fn read_at(&mut self, file: &Self::File, at: u64, into: &mut [u8]) -> Result<usize, StoreError>;
    /// A slice of the file; `range` lies within its present length.
    fn slice(&mut self, file: &Self::File, range: Range<u64>) -> Result<Self::Slice, StoreError>;
    /// The bytes of a slice, for those who cannot send it from the file (WebSocket, TLS, the simulated network).
    fn read_slice(&mut self, slice: &Self::Slice) -> Result<Bytes, StoreError>;
    /// Cuts the file to `len`. Slices that are out keep their bytes.
    fn truncate(&mut self, file: &Self::File, len: u64) -> Result<(), StoreError>;
    /// Renames a file or directory, replacing a file that is there.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), StoreError>;
    /// Removes a file, or a directory with all it holds. Slices that are out keep their bytes.
    fn remove(&mut self, path: &str) -> Result<(), StoreError>;

    /// How large the volume is that a directory is on, and how much of it is left; `None` where nobody knows.
    fn volume(&self, _path: &str) -> Option<Volume> {
        None
    }

    /// The whole of a small file (checkpoints, `meta.properties`).
    fn read(&mut self, path: &str) -> Result<Vec<u8>, StoreError> {
        let file = self.open(path)?;
        let len = usize::try_from(self.len(&file)?).map_err(|_| StoreError::Io("file too large".into()))?;
        let mut bytes = vec![0; len];
        let read = self.read_at(&file, 0, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Replaces a small file: written beside it as `.tmp`, then renamed over it. Durable once both the file
    /// (before the rename) and its directory are synced; see [`SyncTarget`](crate::machine::SyncTarget).
    fn write_replacing(&mut self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let temporary = format!("{path}.tmp");
        match self.remove(&temporary) {
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(error),
        }
        let file = self.create(&temporary)?;
        self.append(&file, &[IoSlice::new(bytes)])?;
        self.rename(&temporary, path)
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such file or directory"),
            Self::AlreadyExists => f.write_str("the file exists"),
            Self::NoSpace => f.write_str("no space left on the device"),
            Self::Io(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for StoreError {}
