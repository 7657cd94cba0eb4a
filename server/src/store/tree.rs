//! Making all that is below a directory durable at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The kernel from which on syncfs(2) tells of writes that failed.
const SYNCFS_TELLS: (u32, u32) = (5, 8);

/// Waits until the device has all of it: the file system is asked, and those of directories in it that are mounted from elsewhere or linked to.
/// A file system holds more than this tree, so that one pays for many files what others have left to write.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    if !syncfs_tells() {
        return sync_each(path);
    }
    let mut file_systems = BTreeMap::from([(fs::metadata(path)?.dev(), path.to_owned())]);
    for (path, metadata) in entries(path)? {
        if metadata.is_dir() {
            file_systems.entry(metadata.dev()).or_insert(path);
        }
    }
    file_systems.values().try_for_each(|path| Ok(rustix::fs::syncfs(File::open(path)?)?))
}

/// File by file, and then the directories that name them.
fn sync_each(path: &Path) -> io::Result<()> {
    for (path, metadata) in entries(path)? {
        let synced = match metadata.is_dir() {
            true => sync_each(&path),
            false => File::open(&path).and_then(|file| file.sync_data()),
        };
        // What was removed meanwhile needs no durability any more.
        synced.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    }
    File::open(path)?.sync_all()
}

fn entries(path: &Path) -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        match fs::metadata(&path) {
            Ok(metadata) => entries.push((path, metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

fn syncfs_tells() -> bool {
    let system = rustix::system::uname();
    let mut numbers = system.release().to_str().unwrap_or_default().split(['.', '-']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return false };
    (major, minor) >= SYNCFS_TELLS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_synced_either_way() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(directory.path().join("a/b")).expect("created");
        fs::write(directory.path().join("a/b/file"), b"x").expect("written");
        std::os::unix::fs::symlink("nowhere", directory.path().join("a/link")).expect("linked");
        sync(directory.path()).expect("synced");
        sync_each(directory.path()).expect("synced");
        let gone = directory.path().join("gone");
        assert_eq!(sync(&gone).map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    }
}
