//! A partition's log: segments, indexes, recovery, retention, producer state, leader epochs.
//!
//! [`Log`] is what the rest of the node uses. Beside it stand the files of a log directory as a whole (checkpoints, `meta.properties`,
//! `.kafka_cleanshutdown`) and the storage seam, [`LogStore`]. All files are byte for byte those of Apache Kafka.
//! Nothing here panics on what it reads from a disk.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

mod append;
pub mod checkpoint;
pub mod cleaner;
mod config;
mod error;
pub mod file_names;
mod flush;
mod index_file;
pub mod leader_epochs;
pub mod list_offsets;
#[allow(clippy::module_inception)]
mod log;
pub mod log_dir_files;
pub mod log_dirs;
pub mod log_file;
pub mod memory;
pub mod meta_properties;
pub mod offset_index;
pub mod partition_metadata;
pub mod producer_snapshot;
pub mod producer_state;
mod read;
mod read_only;
mod recovery;
pub mod reserve;
mod retention;
pub mod scan;
pub mod segment;
pub mod store;
mod swap;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;
pub mod time_index;
mod truncation;
pub mod txn_index;

pub use append::{AppendBatch, LogAppendInfo};
pub use config::LogConfig;
pub use error::LogError;
pub use flush::{FlushPlan, FlushScope};
pub use leader_epochs::{EpochEntry, LeaderEpochs};
pub use list_offsets::TimestampAndOffset;
pub use log::{Log, LogOffsetMetadata, SegmentPosition};
pub use memory::MemoryStore;
pub use producer_state::{AppendOrigin, ProducerState};
pub use read::{FetchDataInfo, FetchIsolation, ReadHint};
pub use read_only::ReadOnly;
pub use recovery::{OpenLog, Recovery, RecoveryReport, Truncation};
pub use segment::Segment;
pub use store::{LogStore, StoreError};
pub use txn_index::AbortedTxn;
