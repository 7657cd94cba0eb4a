//! [`File`]: a logical file; [`Open`]: one descriptor on its inode.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts that one `pwritev` takes (IOV_MAX).
const PARTS_MAX: usize = 1_024;

/// A logical file: cheap to clone, opened on demand, following its renames.
#[derive(Clone)]
pub struct File(pub(super) Arc<Inner>);

/// What all handles on one file share.
#[derive(Debug)]
pub(super) struct Inner {
    state: Mutex<State>,
    /// Used since the cache last looked.
    pub(super) used: AtomicBool,
}

#[derive(Debug)]
pub(super) struct State {
    /// `None` once it was removed or replaced.
    pub(super) path: Option<String>,
    pub(super) open: Option<Arc<Open>>,
    pub(super) inode: Arc<Inode>,
}

/// What all descriptors on one inode share; its count of holders tells whether slices are out.
#[derive(Debug, Default)]
pub(super) struct Inode {
    /// Bytes; valid once `open` has been there.
    len: AtomicU64,
}

/// An open descriptor. Slices hold it; the cache holds at most one for each file.
#[derive(Debug)]
pub(super) struct Open {
    file: std::fs::File,
    inode: Arc<Inode>,
}

impl File {
    /// Its present path, or what became of it.
    pub(super) fn path_for_errors(&self) -> String {
        self.0.state().path.clone().unwrap_or_else(|| "(removed)".to_owned())
    }

    /// Something that handles on one file share, and no others have while it lives.
    pub fn key(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// Whether two handles are the same file.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({})", self.path_for_errors())
    }
}

impl Inner {
    pub(super) fn new(path: String) -> Self {
        let state = State { path: Some(path), open: None, inode: Arc::default() };
        Self { state: Mutex::new(state), used: AtomicBool::new(true) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn renamed(&self, path: String) {
        self.state().path = Some(path);
    }

    /// Lets go of the descriptor, unless somebody is at the file just now. `true` when none is left.
    pub(super) fn try_close(&self) -> bool {
        match self.state.try_lock() {
            Ok(mut state) => {
                state.open = None;
                true
            }
            Err(_) => false,
        }
    }

    /// The name is gone; the inode goes with its last slice.
    pub(super) fn removed(&self) {
        let mut state = self.state();
        state.path = None;
        state.open = None;
    }
}

impl State {
    /// Whether anybody but the cache and the caller, who holds `open`, has a descriptor on this inode.
    pub(super) fn has_slices_out(&self, open: &Arc<Open>) -> bool {
        let cached = usize::from(self.open.is_some());
        // The inode is held by this state and by each descriptor; `open` is the only one that is not a slice's.
        Arc::strong_count(open) > 1 + cached || Arc::strong_count(&self.inode) > 2
    }
}

impl Open {
    /// Takes a descriptor on `inode` into use.
    pub(super) fn new(file: std::fs::File, inode: Arc<Inode>) -> io::Result<Self> {
        inode.len.store(file.metadata()?.len(), Ordering::Release);
        Ok(Self { file, inode })
    }

    pub(super) fn file(&self) -> &std::fs::File {
        &self.file
    }

    pub(super) fn len(&self) -> u64 {
        self.inode.len.load(Ordering::Acquire)
    }

    /// Writes all parts behind the end; what was written of a failed append is cut off again.
    pub(super) fn append(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let begin = self.len();
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let mut written = 0;
        while written < total {
            match self.write_from(parts, written, begin) {
                Ok(0) => return self.cut_back(begin, io::ErrorKind::WriteZero.into()),
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.cut_back(begin, error),
            }
        }
        self.inode.len.store(begin + total as u64, Ordering::Release);
        Ok(())
    }

    /// One write of what is left after `written` bytes of `parts`, which begin at `begin`.
    fn write_from(&self, parts: &[IoSlice<'_>], written: usize, begin: u64) -> io::Result<usize> {
        if written == 0 {
            let parts = parts.get(..PARTS_MAX).unwrap_or(parts);
            return Ok(rustix::io::pwritev(&self.file, parts, begin)?);
        }
        let mut skip = written;
        let mut rest = Vec::with_capacity(parts.len());
        for part in parts {
            let left = part.get(skip.min(part.len())..).unwrap_or_default();
            skip -= part.len() - left.len();
            if !left.is_empty() && rest.len() < PARTS_MAX {
                rest.push(IoSlice::new(left));
            }
        }
        Ok(rustix::io::pwritev(&self.file, &rest, begin + written as u64)?)
    }

    /// Removes a partial append, and returns why it was partial. Should even that fail, the next append overwrites it.
    fn cut_back(&self, len: u64, cause: io::Error) -> io::Result<()> {
        if let Err(error) = self.file.set_len(len) {
            tracing::error!(target: "kafka.log", %error, %cause, len, "a partial append could not be cut back");
        }
        Err(cause)
    }

    /// Reads until `into` is full or the file ends.
    pub(super) fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            match self.file.read_at(into.get_mut(filled..).unwrap_or_default(), at + filled as u64) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.inode.len.store(len, Ordering::Release);
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
