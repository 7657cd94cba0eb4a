//! [`FileStore`]: the core's storage seam over the file system.
//!
//! A handle is cheap to clone and safe to lend to several threads: what they share is a table of logical files (so that a file is
//! one thing however often it is opened, and follows its renames) and a bounded cache of open descriptors.

mod error;
mod file;
mod open_files;
mod slice;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::io::IoSlice;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use ottla_core::log::store::{Entry, LogStore, StoreError, Volume};

use error::store_error;
pub use file::File;
use file::Inner;
use open_files::OpenFiles;
pub use slice::Slice;

/// Descriptors kept open when the limit of the process is not known to be smaller.
pub const OPEN_FILES_MAX: usize = 4_096;

/// The same for tools, which go from file to file.
const OPEN_FILES_MAX_OF_TOOLS: usize = 16;

/// Files under any directory, by plain paths.
#[derive(Clone, Debug)]
pub struct FileStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Every logical file somebody still holds, by its present path.
    files: Mutex<BTreeMap<String, Weak<Inner>>>,
    open: OpenFiles,
}

/// What a driver needs of a store beyond what machines may do: to make durable, off their path.
pub trait Durable: LogStore<File = File, Slice = Slice> + Clone + Send + Sync + 'static {
    /// Waits until the file's bytes and length are on the device.
    fn sync_file(&self, file: &File) -> Result<(), StoreError>;
    /// Waits until the directory's entries are on the device.
    fn sync_directory(&self, path: &str) -> Result<(), StoreError>;
    /// Waits until all that was written below the directory is on the device.
    fn sync_tree(&self, path: &str) -> Result<(), StoreError>;
}

impl FileStore {
    /// A store that keeps at most `open_files_max` descriptors open (slices on their way out not counted).
    pub fn new(open_files_max: usize) -> Self {
        Self::with(OpenFiles::new(open_files_max, true))
    }

    /// A store for tools that only look: its files are opened for reading alone, so that they may be another user's.
    pub fn for_reading() -> Self {
        Self::with(OpenFiles::new(OPEN_FILES_MAX_OF_TOOLS, false))
    }

    fn with(open: OpenFiles) -> Self {
        Self { shared: Arc::new(Shared { files: Mutex::default(), open }) }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Weak<Inner>>> {
        self.shared.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one logical file at `path`.
    fn logical(&self, path: String) -> File {
        let mut files = self.files();
        if let Some(file) = files.get(&path).and_then(Weak::upgrade) {
            return File(file);
        }
        // The table is swept when it has grown, so that it stays in proportion to what is held.
        if files.len() >= 1_024 && files.len().is_power_of_two() {
            files.retain(|_, file| file.strong_count() > 0);
        }
        let file = Arc::new(Inner::new(path.clone()));
        files.insert(path, Arc::downgrade(&file));
        File(file)
    }

    /// Takes every logical file at or under `path` out of the table.
    fn take_under(files: &mut BTreeMap<String, Weak<Inner>>, path: &str) -> Vec<(String, Arc<Inner>)> {
        let below = format!("{path}/");
        let keys: Vec<String> = files
            .get_key_value(path)
            .map(|(key, _)| key.clone())
            .into_iter()
            .chain(
                files
                    .range(below.clone()..)
                    .map(|(key, _)| key.clone())
                    .take_while(|key| key.starts_with(&below)),
            )
            .collect();
        keys.into_iter().filter_map(|key| Some((key.clone(), files.remove(&key)?.upgrade()?))).collect()
    }
}

impl Default for FileStore {
    /// A cache sized to the process's limit of descriptors, half of which stay for sockets.
    fn default() -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let half = limit.map_or(OPEN_FILES_MAX, |limit| usize::try_from(limit / 2).unwrap_or(OPEN_FILES_MAX));
        Self::new(half.clamp(16, OPEN_FILES_MAX))
    }
}

impl LogStore for FileStore {
    type File = File;
    type Slice = Slice;

    fn create_dir(&mut self, path: &str) -> Result<(), StoreError> {
        fs::create_dir_all(path).map_err(|error| store_error(path, "create the directory", &error))
    }

    fn volume(&self, path: &str) -> Option<Volume> {
        let found = rustix::fs::statvfs(path).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Some(Volume { total: bytes(found.f_blocks), usable: bytes(found.f_bavail) })
    }

    fn list(&mut self, path: &str) -> Result<Vec<Entry>, StoreError> {
        let failed = |error: &std::io::Error| store_error(path, "list", error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            let metadata = match fs::metadata(entry.path()) {
                Ok(metadata) => metadata,
                // Removed meanwhile, or a dangling link: not an entry.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&error)),
            };
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_dir = metadata.is_dir();
            entries.push(Entry { name, is_dir, len: if is_dir { 0 } else { metadata.len() } });
        }
        entries.sort_unstable();
        Ok(entries)
    }

    fn create(&mut self, path: &str) -> Result<File, StoreError> {
        let path = normal(path);
        let opened = self
            .shared
            .open
            .with_room(|| fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path))
            .map_err(|error| store_error(&path, "create", &error))?;
        let file = self.logical(path);
        self.shared.open.adopt(&file.0, opened)?;
        Ok(file)
    }

    fn open(&mut self, path: &str) -> Result<File, StoreError> {
        let file = self.logical(normal(path));
        self.shared.open.get(&file.0)?;
        Ok(file)
    }

    fn len(&mut self, file: &File) -> Result<u64, StoreError> {
        Ok(self.shared.open.get(&file.0)?.len())
    }

    fn append(&mut self, file: &File, parts: &[IoSlice<'_>]) -> Result<(), StoreError> {
        let open = self.shared.open.get(&file.0)?;
        open.append(parts).map_err(|error| store_error(&file.path_for_errors(), "append to", &error))
    }

    fn read_at(&mut self, file: &File, at: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        let open = self.shared.open.get(&file.0)?;
        open.read_at(at, into).map_err(|error| store_error(&file.path_for_errors(), "read", &error))
    }

    fn slice(&mut self, file: &File, range: Range<u64>) -> Result<Slice, StoreError> {
        let open = self.shared.open.get(&file.0)?;
        let len = open.len();
        if range.start > range.end || range.end > len {
            let path = file.path_for_errors();
            return Err(StoreError::Io(format!("{path}: a slice {range:?} of {len} bytes")));
        }
        Ok(Slice::new(open, range))
    }

    fn read_slice(&mut self, slice: &Slice) -> Result<Bytes, StoreError> {
        slice.read().map_err(|error| store_error("a slice", "read", &error))
    }

    fn truncate(&mut self, file: &File, len: u64) -> Result<(), StoreError> {
        self.shared.open.truncate(&file.0, len)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StoreError> {
        let (from, to) = (normal(from), normal(to));
        let mut files = self.files();
        fs::rename(&from, &to).map_err(|error| store_error(&from, "rename", &error))?;
        if from == to {
            return Ok(());
        }
        // What stood at the target is gone; whoever still holds it must not find the new file by its path.
        for (_, replaced) in Self::take_under(&mut files, &to) {
            replaced.removed();
        }
        for (path, file) in Self::take_under(&mut files, &from) {
            let path = format!("{to}{}", path.get(from.len()..).unwrap_or_default());
            file.renamed(path.clone());
            files.insert(path, Arc::downgrade(&file));
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), StoreError> {
        let path = normal(path);
        let is_dir = fs::symlink_metadata(&path).map(|metadata| metadata.is_dir());
        let removed = match is_dir {
            Ok(true) => fs::remove_dir_all(&path),
            Ok(false) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        removed.map_err(|error| store_error(&path, "remove", &error))?;
        for (_, file) in Self::take_under(&mut self.files(), &path) {
            file.removed();
        }
        Ok(())
    }
}

impl Durable for FileStore {
    fn sync_file(&self, file: &File) -> Result<(), StoreError> {
        let open = self.shared.open.get(&file.0)?;
        open.sync().map_err(|error| store_error(&file.path_for_errors(), "sync", &error))
    }

    fn sync_directory(&self, path: &str) -> Result<(), StoreError> {
        let synced = fs::File::open(Path::new(path)).and_then(|directory| directory.sync_all());
        synced.map_err(|error| store_error(path, "sync the directory", &error))
    }

    fn sync_tree(&self, path: &str) -> Result<(), StoreError> {
        tree::sync(Path::new(path)).map_err(|error| store_error(path, "sync all below", &error))
    }
}

/// One spelling for each path, so that the table of files finds it: no doubled and no trailing separators, no `.` steps.
fn normal(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    if path.starts_with('/') {
        normal.push('/');
    }
    for (index, step) in path.split('/').filter(|step| !step.is_empty() && *step != ".").enumerate() {
        if index > 0 {
            normal.push('/');
        }
        normal.push_str(step);
    }
    if normal.is_empty() { ".".to_owned() } else { normal }
}
