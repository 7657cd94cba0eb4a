//! Disks that fill, and directories that fail.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of a few megabytes.
pub struct Small(pub PathBuf);

impl Small {
    /// `None` without the right to mount one.
    pub fn mount(name: &str) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("ottla-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(&path).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        eprintln!("NOT RUN: this user may not mount a small file system");
        None
    }

    /// Takes some room.
    pub fn take(&self, bytes: usize) {
        fs::write(self.filler(), vec![0; bytes]).expect("room");
    }

    /// Takes the last byte.
    pub fn fill(&self) {
        let mut filler =
            fs::OpenOptions::new().append(true).create(true).open(self.filler()).expect("a file");
        for bytes in [1 << 20, 1 << 12, 1] {
            let piece = vec![0; bytes];
            while filler.write_all(&piece).is_ok() {}
        }
    }

    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("removed");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

/// Puts a file where a directory was: whatever is opened or made in it fails.
pub fn take_away(directory: &Path) {
    fs::rename(directory, directory.with_extension("away")).expect("renamed");
    fs::write(directory, "no directory").expect("written");
}

pub fn bring_back(directory: &Path) {
    fs::remove_file(directory).expect("removed");
    fs::rename(directory.with_extension("away"), directory).expect("renamed");
}
