//! What is known of the log directories as a whole.

use std::collections::BTreeMap;

use crate::ids::{LogDirId, ShardId, TopicPartition};

/// What the keeper of the log directories is told.
#[derive(Clone, Debug)]
pub enum LogDirsEvent {
    /// Where the partitions of a shard stand; for the checkpoint files.
    Offsets { shard: ShardId, offsets: Vec<PartitionOffsets> },
    /// A partition is gone.
    Removed(TopicPartition),
    /// A shard has brought everything to the disk and serves no more; `clean` unless a partition had failed.
    Stopped { shard: ShardId, offsets: Vec<PartitionOffsets>, clean: bool },
    /// A sync that was asked for ended.
    Synced { token: u64, outcome: crate::machine::SyncOutcome },
    /// A deadline passed.
    Tick,
}

/// Where a partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOffsets {
    /// Which.
    pub partition: TopicPartition,
    /// Its directory.
    pub log_dir: LogDirId,
    /// For `recovery-point-offset-checkpoint`.
    pub recovery_point: i64,
    /// For `replication-offset-checkpoint`.
    pub high_watermark: i64,
    /// For `log-start-offset-checkpoint`.
    pub log_start_offset: i64,
}

/// What the files of the log directories said when the node started.
#[derive(Clone, Debug, Default)]
pub struct Checkpoints {
    /// By partition that was found.
    pub partitions: BTreeMap<TopicPartition, PartitionOffsets>,
    /// By directory: whether the last stop was clean.
    pub clean_shutdown: Vec<bool>,
}

impl Checkpoints {
    /// Where a partition is, or should be created.
    pub fn of(&self, partition: &TopicPartition) -> PartitionOffsets {
        self.partitions.get(partition).cloned().unwrap_or_else(|| PartitionOffsets {
            partition: partition.clone(),
            log_dir: LogDirId(0),
            recovery_point: 0,
            high_watermark: 0,
            log_start_offset: 0,
        })
    }

    /// Whether the last stop of a directory was clean.
    pub fn is_clean(&self, log_dir: LogDirId) -> bool {
        self.clean_shutdown.get(usize::from(log_dir.0)).copied().unwrap_or(false)
    }
}
