//! The metadata quorum: its files, its log and its snapshots.
//!
//! [`raft`] is KRaft for any number of replicas; [`open`] makes a replica of it from the directories of a node. A node runs a quorum of
//! one yet.

pub mod checkpoint;
pub mod control;
mod directories;
pub mod format;
pub mod open;
pub mod quorum_state;
pub mod raft;
pub(crate) mod records;

#[cfg(test)]
mod tests;

pub use checkpoint::SnapshotId;
pub use control::Voter;
pub use format::{FirstVoters, FormatError, FormatOptions, Formatted, format};
pub use open::{OpenError, Opened};
pub use quorum_state::QuorumState;

use crate::config::BrokerConfig;

/// What has to be made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToSync<F> {
    /// Bytes of these files.
    pub files: Vec<F>,
    /// Entries of these directories.
    pub directories: Vec<String>,
}

impl<F> Default for ToSync<F> {
    fn default() -> Self {
        Self { files: Vec::new(), directories: Vec::new() }
    }
}

/// The directory of the metadata log within `metadata.log.dir`.
pub const METADATA_DIR: &str = "__cluster_metadata-0";
/// The topic of the metadata log.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// The path of the metadata log.
pub fn metadata_dir(config: &BrokerConfig) -> String {
    join(&config.metadata_log_dir, METADATA_DIR)
}

/// `directory/name`.
pub fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

/// The directories of a node that carry `meta.properties`: `log.dirs` and `metadata.log.dir`.
pub fn log_dirs(config: &BrokerConfig) -> Vec<String> {
    let mut dirs = config.log_dirs.clone();
    if !dirs.contains(&config.metadata_log_dir) {
        dirs.push(config.metadata_log_dir.clone());
    }
    dirs
}
