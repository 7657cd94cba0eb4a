//! `ottla check DIR...`: looks over log directories that no broker runs on, and names file, position and fault.
//!
//! Everything in a log directory is read: segments batch by batch and record by record, indexes, producer snapshots, leader epochs,
//! checkpoints, `meta.properties`, the metadata log with its snapshots, and each file is held against the others. Nothing is
//! ever written: the tool sees its store through [`ReadOnly`].
//!
//! A *fault* is what no broker leaves behind. A *note* is what one may leave, and deals with when it starts: what a deletion or a
//! cleaner had not finished, stray replicas, and after an unclean stop what recovery rebuilds or cuts off.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

mod aborted;
mod indexes;
mod log_dir;
mod metadata;
mod partition;
mod report;
mod segment;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;

use self::log_dir::LogDir;
use self::metadata::Metadata;
use self::report::Report;
use super::{Exit, Output};
use crate::log::{LogStore, ReadOnly};
use crate::record::Compressors;

/// The name of the command.
pub const CHECK: &str = "check";

const HELP: &str = "\
ottla check DIR...
  Looks over log directories offline: every batch and record, every index, snapshot and checkpoint, the metadata log, and
  whether they agree with each other. Name all directories of a node together. Nothing is changed.

  Each fault is a line on standard output with its file and position; so is, as a note, what a broker deals with itself
  when it starts: unfinished deletions and compactions, stray replicas, what an unclean stop left to recovery. How far
  it has come is said on standard error.

  Ends with 0 if there is no fault, 1 if there is one, 2 if something could not be read.
";

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Check {
    directories: Vec<String>,
    progress_bytes: u64,
}

/// Bytes after which it is said how far the check has come.
const PROGRESS_BYTES: u64 = 1 << 30;

impl Check {
    /// Reads the arguments.
    pub fn start(arguments: &[String]) -> Result<Self, Exit> {
        if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
            return Err(Exit { stdout: HELP.to_owned(), stderr: String::new(), code: 0 });
        }
        if let Some(option) = arguments.iter().find(|argument| argument.starts_with('-')) {
            return Err(unusable(&format!("{option} is no option of ottla check: see ottla check --help")));
        }
        if arguments.is_empty() {
            return Err(unusable("a log directory is needed: see ottla check --help"));
        }
        let directory = |argument: &String| match argument.trim_end_matches('/') {
            "" => "/".to_owned(),
            directory => directory.to_owned(),
        };
        Ok(Self { directories: arguments.iter().map(directory).collect(), progress_bytes: PROGRESS_BYTES })
    }

    /// The log directories.
    pub fn directories(&self) -> &[String] {
        &self.directories
    }

    /// Checks them all, saying things as it goes; answers the exit code.
    pub fn run<S: LogStore>(
        &self,
        store: &mut S,
        compressors: &Compressors,
        say: &mut dyn FnMut(Output),
    ) -> i32 {
        let mut store = ReadOnly(store);
        let report = Report::new(say, self.progress_bytes);
        let mut run = Run { store: &mut store, compressors, report };
        let mut log_dirs = Vec::new();
        for directory in &self.directories {
            log_dirs.extend(LogDir::open(&mut run, directory));
        }
        run.report.total = log_dirs.iter().map(|log_dir| log_dir.bytes).fold(0, u64::saturating_add);
        log_dir::compare(&mut run, &log_dirs);
        let metadata = Metadata::read(&mut run, &log_dirs);
        for log_dir in &log_dirs {
            log_dir.check(&mut run, metadata.as_ref());
        }
        run.report.finish()
    }
}

/// A check under way.
struct Run<'a, S> {
    store: &'a mut S,
    compressors: &'a Compressors,
    report: Report<'a>,
}

impl<S: LogStore> Run<'_, S> {
    /// The whole of a small file. `None` if it is not there, or cannot be read, which is reported.
    fn small_file(&mut self, path: &str) -> Option<Vec<u8>> {
        match self.store.read(path) {
            Ok(bytes) => Some(bytes),
            Err(crate::log::StoreError::NotFound) => None,
            Err(error) => {
                self.report.unreadable(path, &error);
                None
            }
        }
    }
}

fn unusable(sentence: &str) -> Exit {
    Exit { stdout: String::new(), stderr: format!("{sentence}\n"), code: 2 }
}
