//! The metadata quorum: its files, its log and its snapshots.
//!
//! [`raft`] is KRaft for any number of replicas. A node runs a quorum of one yet, with [`MetadataLog`]: the leader is elected by writing
//! down that it is, and what is durable on its own disk is committed.

pub mod checkpoint;
pub mod control;
pub mod format;
pub mod metadata_log;
pub mod open;
pub mod quorum_state;
pub mod raft;

#[cfg(test)]
mod tests;

pub use checkpoint::SnapshotId;
pub use control::Voter;
pub use format::{FormatError, FormatOptions, Formatted, format};
pub use metadata_log::{Appender, MetadataLog, ToSync};
pub use open::{OpenError, Opened};
pub use quorum_state::QuorumState;

use crate::config::BrokerConfig;

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
