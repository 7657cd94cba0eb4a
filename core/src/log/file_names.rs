//! What the files and directories of a log are called.

use ottla_protocol::Uuid;

/// Records.
pub const LOG_SUFFIX: &str = ".log";
/// Relative offset → position.
pub const INDEX_SUFFIX: &str = ".index";
/// Timestamp → relative offset.
pub const TIME_INDEX_SUFFIX: &str = ".timeindex";
/// Aborted transactions.
pub const TXN_INDEX_SUFFIX: &str = ".txnindex";
/// Producer state up to the offset in the name.
pub const SNAPSHOT_SUFFIX: &str = ".snapshot";
/// Renamed, and removed after `file.delete.delay.ms`.
pub const DELETED_SUFFIX: &str = ".deleted";
/// Being written by the cleaner.
pub const CLEANED_SUFFIX: &str = ".cleaned";
/// Finished by the cleaner, about to replace segments.
pub const SWAP_SUFFIX: &str = ".swap";
/// Leader epochs with their start offsets.
pub const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
/// The topic's id.
pub const PARTITION_METADATA: &str = "partition.metadata";
/// Says that recovery has changed what was durable, and has not been followed by a sync yet. Apache Kafka passes over it.
pub const UNSETTLED_FILE: &str = ".ottla_unsettled";
/// Ends the name of a partition directory that is being deleted.
pub const DELETE_DIR_SUFFIX: &str = "-delete";
/// Ends the name of a replica that is being copied from another log directory.
pub const FUTURE_DIR_SUFFIX: &str = "-future";
/// Ends the name of a directory whose replica the metadata does not know.
pub const STRAY_DIR_SUFFIX: &str = "-stray";

/// A directory name is at most this long, in bytes.
const DIR_NAME_MAX: usize = 255;

/// `<20 digits><suffix>`.
pub fn with_offset(offset: i64, suffix: &str) -> String {
    format!("{offset:020}{suffix}")
}

/// The offset in a name that is 20 digits and `suffix`.
pub fn offset_of(name: &str, suffix: &str) -> Option<i64> {
    let digits = name.strip_suffix(suffix)?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// `<topic>-<partition>`.
pub fn partition_dir(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// `<topic>-<partition>.<id in 32 hex digits>-delete`, the topic cut short where the name would be too long.
pub fn delete_dir(topic: &str, partition: i32, unique: Uuid) -> String {
    dir_with_suffix(topic, partition, unique, DELETE_DIR_SUFFIX)
}

/// `<topic>-<partition>.<id in 32 hex digits>-stray`, the topic cut short where the name would be too long.
pub fn stray_dir(topic: &str, partition: i32, unique: Uuid) -> String {
    dir_with_suffix(topic, partition, unique, STRAY_DIR_SUFFIX)
}

fn dir_with_suffix(topic: &str, partition: i32, unique: Uuid, suffix: &str) -> String {
    let id: String = unique.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let suffix = format!("-{partition}.{id}{suffix}");
    let keep = topic.len().min(DIR_NAME_MAX.saturating_sub(suffix.len()));
    format!("{}{suffix}", topic.get(..keep).unwrap_or(topic))
}

/// What a directory in `log.dirs` is, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirName {
    /// A replica.
    Partition {
        /// The topic's name.
        topic: String,
        /// The partition's index.
        partition: i32,
    },
    /// To be removed.
    Delete,
    /// A replica on its way from another log directory.
    Future,
    /// Not in the metadata when the broker last looked.
    Stray,
    /// None of Kafka's.
    Other,
}

impl DirName {
    /// Reads a directory's name.
    pub fn parse(name: &str) -> Self {
        if name.ends_with(DELETE_DIR_SUFFIX) && name.contains('.') {
            return Self::Delete;
        }
        if name.ends_with(FUTURE_DIR_SUFFIX) && name.contains('.') {
            return Self::Future;
        }
        if name.ends_with(STRAY_DIR_SUFFIX) && name.contains('.') {
            return Self::Stray;
        }
        let parts = name.rsplit_once('-').filter(|(topic, _)| !topic.is_empty());
        match parts.and_then(|(topic, partition)| Some((topic, partition.parse::<i32>().ok()?))) {
            Some((topic, partition)) if partition >= 0 => {
                Self::Partition { topic: topic.to_owned(), partition }
            }
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        assert_eq!(with_offset(42, INDEX_SUFFIX), "00000000000000000042.index");
        assert_eq!(offset_of("00000000000000000042.index", INDEX_SUFFIX), Some(42));
        assert_eq!(offset_of("00000000000000000042.timeindex", INDEX_SUFFIX), None);
        assert_eq!(offset_of("42.index", INDEX_SUFFIX), None);
        assert_eq!(offset_of("99999999999999999999.log", LOG_SUFFIX), None);
        let partition = |topic: &str, partition| DirName::Partition { topic: topic.to_owned(), partition };
        assert_eq!(DirName::parse("my-topic-10"), partition("my-topic", 10));
        assert_eq!(DirName::parse("__cluster_metadata-0"), partition("__cluster_metadata", 0));
        let deleting = delete_dir("exam-topic", 3, Uuid([0xab; 16]));
        assert_eq!(deleting, "exam-topic-3.abababababababababababababababab-delete");
        assert_eq!(DirName::parse(&deleting), DirName::Delete);
        assert_eq!(delete_dir(&"t".repeat(249), 0, Uuid([1; 16])).len(), 255);
        for other in ["-1", "topic", "topic-x", ""] {
            assert_eq!(DirName::parse(other), DirName::Other);
        }
    }
}
