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
        let files = directories.into_iter().map(|directory| lock(directory)?).collect::<Result<_, _>>()?;
        Ok(Self { _files: files })
    }

    /// Locks the directories that can be used; the others are for the node to find, which may do without some.
    pub fn take_usable<'a>(directories: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut files = Vec::new();
        for directory in directories {
            files.extend(lock(directory)?);
        }
        Ok(Self { _files: files })
    }

    /// Keeps brokers out of directories that are only looked at, changing nothing: where no broker has been there is nothing to lock.
    pub fn share<'a>(directories: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut files = Vec::new();
        for directory in directories {
            let Ok(file) = File::open(Path::new(directory).join(".lock")) else { continue };
            // A file system without locks has no broker on it.
            match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockShared) {
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => return Err(used(directory)),
                _ => files.push(file),
            }
        }
        Ok(Self { _files: files })
    }
}

fn used(directory: &str) -> String {
    format!("{directory}: another process uses this log directory")
}

/// The outer error: somebody else has it. The inner one: it cannot be used.
fn lock(directory: &str) -> Result<Result<File, String>, String> {
    let opened = create(Path::new(directory)).and_then(|()| {
        let path = Path::new(directory).join(".lock");
        OpenOptions::new().create(true).truncate(false).write(true).open(path)
    });
    let failed = |error: std::io::Error| format!("{directory}: cannot be used as a log directory: {error}");
    let file = match opened {
        Ok(file) => file,
        Err(error) => return Ok(Err(failed(error))),
    };
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Ok(file)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Err(used(directory)),
        Err(error) => Ok(Err(failed(error.into()))),
    }
}

/// Makes a directory and what is missing above it, so that a power loss does not take it again.
fn create(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create(parent)?;
    std::fs::create_dir(directory)?;
    File::open(parent)?.sync_all()
}
