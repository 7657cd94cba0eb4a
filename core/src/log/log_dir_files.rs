//! The files at the top of a log directory, and what they say when a node starts.

use super::checkpoint::{
    CLEANER_OFFSET_CHECKPOINT, LOG_START_OFFSET_CHECKPOINT, OffsetCheckpoint, RECOVERY_POINT_CHECKPOINT,
    REPLICATION_OFFSET_CHECKPOINT, parse_offsets,
};
use super::error::LogError;
use super::file_names::DirName;
use super::meta_properties::MetaProperties;
use super::partition_metadata;
use super::store::{LogStore, StoreError};
use ottla_protocol::Uuid;

/// Says that the last stop was clean. It is removed before anything is written.
pub const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";

/// A log directory as it was found.
#[derive(Clone, Debug, Default)]
pub struct LogDirContents {
    /// Whether the last stop was clean.
    pub clean_shutdown: bool,
    /// From `meta.properties`.
    pub directory_id: Option<Uuid>,
    /// The replicas in it.
    pub partitions: Vec<FoundPartition>,
    /// `recovery-point-offset-checkpoint`.
    pub recovery_points: OffsetCheckpoint,
    /// `replication-offset-checkpoint`.
    pub high_watermarks: OffsetCheckpoint,
    /// The broker's epoch that the clean-shutdown file names.
    pub broker_epoch: Option<i64>,
    /// `log-start-offset-checkpoint`.
    pub log_start_offsets: OffsetCheckpoint,
    /// `cleaner-offset-checkpoint`.
    pub cleaner_offsets: OffsetCheckpoint,
    /// Checkpoint files that could not be read and count as empty, each with the reason.
    pub broken: Vec<String>,
}

/// A replica that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPartition {
    /// The topic's name.
    pub topic: String,
    /// The partition's index.
    pub partition: i32,
    /// From `partition.metadata`, if it is there and can be read.
    pub topic_id: Option<Uuid>,
}

/// Looks at a log directory, creating it if need be. Directories whose deletion was interrupted and the clean-shutdown file
/// are removed: sync the directory before counting on that.
pub fn open<S: LogStore>(store: &mut S, path: &str) -> Result<LogDirContents, LogError> {
    store.create_dir(path)?;
    let mut contents = LogDirContents::default();
    for entry in store.list(path)? {
        if !entry.is_dir {
            contents.clean_shutdown |= entry.name == CLEAN_SHUTDOWN_FILE;
            continue;
        }
        match DirName::parse(&entry.name) {
            DirName::Delete => store.remove(&format!("{path}/{}", entry.name))?,
            DirName::Partition { topic, partition } => {
                let topic_id = match partition_metadata::read(store, &format!("{path}/{}", entry.name)) {
                    Ok(topic_id) => topic_id,
                    Err(LogError::Store(error)) => return Err(error.into()),
                    Err(_) => None,
                };
                contents.partitions.push(FoundPartition { topic, partition, topic_id });
            }
            DirName::Future | DirName::Stray | DirName::Other => {}
        }
    }
    contents.directory_id = MetaProperties::read(store, path)?.and_then(|properties| properties.directory_id);
    let mut checkpoint = |name: &str| match store.read(&format!("{path}/{name}")) {
        Ok(bytes) => Ok(parse_offsets(&bytes).unwrap_or_else(|error| {
            contents.broken.push(format!("{path}/{name}: {error}"));
            OffsetCheckpoint::new()
        })),
        Err(StoreError::NotFound) => Ok(OffsetCheckpoint::new()),
        Err(error) => Err(error),
    };
    contents.recovery_points = checkpoint(RECOVERY_POINT_CHECKPOINT)?;
    contents.high_watermarks = checkpoint(REPLICATION_OFFSET_CHECKPOINT)?;
    contents.log_start_offsets = checkpoint(LOG_START_OFFSET_CHECKPOINT)?;
    contents.cleaner_offsets = checkpoint(CLEANER_OFFSET_CHECKPOINT)?;
    if contents.clean_shutdown {
        let path_of_it = format!("{path}/{CLEAN_SHUTDOWN_FILE}");
        contents.broker_epoch = store.read(&path_of_it).ok().and_then(|text| broker_epoch(&text));
        store.remove(&format!("{path}/{CLEAN_SHUTDOWN_FILE}"))?;
    }
    Ok(contents)
}

/// The epoch that a clean-shutdown file names, if it names one.
fn broker_epoch(text: &[u8]) -> Option<i64> {
    let (_, rest) = std::str::from_utf8(text).ok()?.split_once("\"brokerEpoch\"")?;
    let number = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = number.find(|letter: char| !letter.is_ascii_digit() && letter != '-').unwrap_or(number.len());
    number.get(..end)?.parse().ok()
}

/// The text of the clean-shutdown file. `broker_epoch` is −1 when it is not known.
pub fn clean_shutdown_text(broker_epoch: i64) -> String {
    format!(r#"{{"version":0,"brokerEpoch":{broker_epoch}}}"#)
}
