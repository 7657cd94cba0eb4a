//! The bounded cache of open descriptors.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read as _};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ottla_core::log::store::StoreError;

use super::error::store_error;
use super::file::{Inner, Inode, Open};

/// Second chance: a file that was used since the hand last passed stays open.
#[derive(Debug)]
pub(super) struct OpenFiles {
    max: usize,
    /// Whether files are opened for writing too.
    writes: bool,
    /// Files with an open descriptor, in the order in which the hand will pass them.
    clock: Mutex<VecDeque<Weak<Inner>>>,
}

impl OpenFiles {
    pub(super) fn new(max: usize, writes: bool) -> Self {
        Self { max: max.max(1), writes, clock: Mutex::default() }
    }

    /// The descriptor of a file, opened if need be.
    pub(super) fn get(&self, file: &Arc<Inner>) -> Result<Arc<Open>, StoreError> {
        let mut state = file.state();
        if let Some(open) = &state.open {
            if !file.used.load(Ordering::Relaxed) {
                file.used.store(true, Ordering::Relaxed);
            }
            return Ok(Arc::clone(open));
        }
        let path = state.path.clone().ok_or(StoreError::NotFound)?;
        let inode = Arc::clone(&state.inode);
        let open = self
            .with_room(|| fs::OpenOptions::new().read(true).write(self.writes).open(&path))
            .and_then(|opened| Open::new(opened, inode))
            .map_err(|error| store_error(&path, "open", &error))?;
        let open = Arc::new(open);
        state.open = Some(Arc::clone(&open));
        drop(state);
        self.entered(file);
        Ok(open)
    }

    /// Takes in the descriptor of a file just created.
    pub(super) fn adopt(&self, file: &Arc<Inner>, opened: fs::File) -> Result<(), StoreError> {
        let mut state = file.state();
        // A file removed from outside and created anew: whatever was known of the old inode is void.
        state.inode = Arc::default();
        let open = Open::new(opened, Arc::clone(&state.inode));
        let path = state.path.clone().unwrap_or_default();
        state.open = Some(Arc::new(open.map_err(|error| store_error(&path, "create", &error))?));
        drop(state);
        self.entered(file);
        Ok(())
    }

    /// Cuts a file to `len` bytes. While slices of it are out its inode keeps its length: the kept prefix becomes a new
    /// file under the same name, and the old one dies with its last slice.
    pub(super) fn truncate(&self, file: &Arc<Inner>, len: u64) -> Result<(), StoreError> {
        let open = self.get(file)?;
        let mut state = file.state();
        let path = state.path.clone().ok_or(StoreError::NotFound)?;
        let failed = |error: &io::Error| store_error(&path, "truncate", error);
        if len >= open.len() {
            return Ok(());
        }
        if !state.has_slices_out(&open) {
            return open.set_len(len).map_err(|error| failed(&error));
        }
        let inode = Arc::<Inode>::default();
        let prefix = copy_prefix(&path, len).and_then(|copy| Open::new(copy, Arc::clone(&inode)));
        state.open = Some(Arc::new(prefix.map_err(|error| failed(&error))?));
        state.inode = inode;
        Ok(())
    }

    /// Opens something; when the process has no descriptor left, once more after closing what the cache can spare.
    pub(super) fn with_room(&self, open: impl Fn() -> io::Result<fs::File>) -> io::Result<fs::File> {
        match open() {
            Err(error) if is_out_of_descriptors(&error) => {
                self.shrink_to(self.max / 2);
                open()
            }
            opened => opened,
        }
    }

    fn entered(&self, file: &Arc<Inner>) {
        let over = {
            let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
            clock.push_back(Arc::downgrade(file));
            clock.len() > self.max
        };
        if over {
            self.shrink_to(self.max);
        }
    }

    /// Closes the files that were not used lately until `target` are left. A file that somebody holds locked is passed by.
    fn shrink_to(&self, target: usize) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        // Twice round: the first pass takes every second chance away.
        for _ in 0..clock.len() * 2 {
            if clock.len() <= target {
                return;
            }
            let Some(oldest) = clock.pop_front() else { return };
            let Some(file) = oldest.upgrade() else { continue };
            let stays = file.used.swap(false, Ordering::Relaxed) || !file.try_close();
            if stays {
                clock.push_back(oldest);
            }
        }
    }
}

/// Copies the first `len` bytes of the file at `path` into a new file that then takes its place. The name that it has until
/// then is one that Kafka and we remove when a log is opened.
fn copy_prefix(path: &str, len: u64) -> io::Result<fs::File> {
    let temporary = format!("{path}.truncated.deleted");
    let mut copy =
        fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&temporary)?;
    let copied = io::copy(&mut fs::File::open(path)?.take(len), &mut copy)?;
    if copied < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // The prefix may be durable already: the rename must not undo that.
    copy.sync_data()?;
    fs::rename(&temporary, path)?;
    Ok(copy)
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
