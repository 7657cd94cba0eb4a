//! One process for each log directory: `.lock`, as Apache Kafka has it.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::fs::FlockOperation;

/// The locks of a node, held until they are dropped.
#[derive(Debug)]
pub struct DirectoryLocks {
    _files: Vec<File>,
}

impl DirectoryLocks {
    /// Locks every directory, creating those that are not there. The error is a sentence.
    pub fn take<'a>(directories: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let files = directories.into_iter().map(lock).collect::<Result<_, _>>()?;
        Ok(Self { _files: files })
    }
}

fn lock(directory: &str) -> Result<File, String> {
    let failed = |error: std::io::Error| format!("{directory}: cannot be used as a log directory: {error}");
    std::fs::create_dir_all(directory).map_err(failed)?;
    let path = Path::new(directory).join(".lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
            Err(format!("{directory}: another process uses this log directory"))
        }
        Err(error) => Err(failed(error.into())),
    }
}
