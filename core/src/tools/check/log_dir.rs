//! One log directory: whose it is, what its checkpoint files say, and which replicas are in it.

use std::collections::BTreeMap;

use ottla_protocol::Uuid;

use super::metadata::Metadata;
use super::partition::{Extent, Place};
use super::report::At;
use super::{LogStore, Run};
use crate::log::checkpoint::{
    CLEANER_OFFSET_CHECKPOINT, LOG_START_OFFSET_CHECKPOINT, OffsetCheckpoint, RECOVERY_POINT_CHECKPOINT,
    REPLICATION_OFFSET_CHECKPOINT, parse_offsets,
};
use crate::log::file_names::{DirName, LOG_SUFFIX};
use crate::log::log_dir_files::CLEAN_SHUTDOWN_FILE;
use crate::log::meta_properties::{META_PROPERTIES, MetaProperties};
use crate::log::{StoreError, partition_metadata};
use crate::quorum::METADATA_DIR;

/// A log directory that can be read.
#[derive(Debug)]
pub(super) struct LogDir {
    pub(super) path: String,
    pub(super) properties: Option<MetaProperties>,
    /// The last stop was clean: nothing is left to recovery.
    pub(super) clean: bool,
    /// Of all segments.
    pub(super) bytes: u64,
    partitions: Vec<(String, i32)>,
    recovery_points: OffsetCheckpoint,
    cleaner_offsets: OffsetCheckpoint,
}

impl LogDir {
    /// Looks at what is in it. `None` if that cannot be done.
    pub(super) fn open<S: LogStore>(run: &mut Run<'_, S>, path: &str) -> Option<Self> {
        let entries = match run.store.list(path) {
            Ok(entries) => entries,
            Err(error) => {
                run.report.unreadable(path, &error);
                return None;
            }
        };
        let mut log_dir = Self {
            path: path.to_owned(),
            properties: None,
            clean: entries.iter().any(|entry| entry.name == CLEAN_SHUTDOWN_FILE),
            bytes: 0,
            partitions: Vec::new(),
            recovery_points: OffsetCheckpoint::new(),
            cleaner_offsets: OffsetCheckpoint::new(),
        };
        log_dir.properties = properties(run, path);
        for entry in entries.iter().filter(|entry| entry.is_dir) {
            let directory = format!("{path}/{}", entry.name);
            let what = match DirName::parse(&entry.name) {
                DirName::Partition { topic, partition } => {
                    log_dir.partitions.push((topic, partition));
                    log_dir.bytes = log_dir.bytes.saturating_add(segment_bytes(run, &directory));
                    continue;
                }
                DirName::Delete => "a replica that was being deleted",
                DirName::Future => "a replica on its way from another log directory; it is not checked",
                DirName::Stray => "a replica that the metadata did not know; it is not checked",
                DirName::Other => "not the directory of a partition",
            };
            run.report.note(&directory, At::Whole, what);
        }
        log_dir.recovery_points = checkpoint(run, path, RECOVERY_POINT_CHECKPOINT);
        log_dir.cleaner_offsets = checkpoint(run, path, CLEANER_OFFSET_CHECKPOINT);
        Some(log_dir)
    }

    /// Its id, where it has one.
    pub(super) fn id(&self) -> Option<Uuid> {
        self.properties.as_ref()?.directory_id
    }

    /// Whether the metadata log is in it.
    pub(super) fn has_metadata(&self) -> bool {
        self.partitions.iter().any(|(topic, partition)| format!("{topic}-{partition}") == METADATA_DIR)
    }

    /// How a replica's files are to be looked at.
    pub(super) fn place(&self, topic: &str, partition: i32, may_have_gaps: bool) -> Place {
        let key = (topic.to_owned(), partition);
        Place {
            dir: format!("{}/{topic}-{partition}", self.path),
            clean: self.clean,
            recovery_point: self.recovery_points.get(&key).copied().unwrap_or(0),
            may_have_gaps: may_have_gaps || self.cleaner_offsets.contains_key(&key),
        }
    }

    /// Checks every replica but the metadata log, and the checkpoint files against them.
    pub(super) fn check<S: LogStore>(&self, run: &mut Run<'_, S>, metadata: Option<&Metadata>) {
        let mut extents = BTreeMap::new();
        for (topic, partition) in &self.partitions {
            let place = self.place(topic, *partition, metadata.is_none_or(|known| known.compacts(topic)));
            if place.dir.ends_with(&format!("/{METADATA_DIR}")) {
                continue;
            }
            self.identity(run, &place.dir, (topic, *partition), metadata);
            extents.insert((topic.clone(), *partition), place.check(run, &mut |_, _, _, _| {}));
        }
        if let Some(metadata) = metadata {
            metadata.missing_replicas(run, self, &extents);
        }
        for name in [
            RECOVERY_POINT_CHECKPOINT,
            REPLICATION_OFFSET_CHECKPOINT,
            LOG_START_OFFSET_CHECKPOINT,
            CLEANER_OFFSET_CHECKPOINT,
        ] {
            self.checkpoint_within(run, name, &extents);
        }
    }

    /// Whose replica it is, by `partition.metadata` and the metadata log.
    fn identity<S: LogStore>(
        &self,
        run: &mut Run<'_, S>,
        dir: &str,
        (topic, partition): (&str, i32),
        metadata: Option<&Metadata>,
    ) {
        let path = format!("{dir}/{}", crate::log::file_names::PARTITION_METADATA);
        let topic_id = match partition_metadata::read(run.store, dir) {
            Ok(Some(topic_id)) => Some(topic_id),
            Ok(None) => {
                run.report.note(&path, At::Whole, "it is missing or empty");
                None
            }
            Err(crate::log::LogError::Corrupt { reason, .. }) => {
                run.report.fault(&path, At::Whole, reason);
                None
            }
            Err(crate::log::LogError::Store(error)) => return run.report.unreadable(&path, &error),
            Err(error) => return run.report.fault(&path, At::Whole, error),
        };
        if let Some(metadata) = metadata {
            metadata.identify(run, self, &path, (topic, partition), topic_id);
        }
    }

    /// Every offset of a checkpoint file lies within its log.
    fn checkpoint_within<S: LogStore>(
        &self,
        run: &mut Run<'_, S>,
        name: &str,
        extents: &BTreeMap<(String, i32), Option<Extent>>,
    ) {
        let path = format!("{}/{name}", self.path);
        let Some(bytes) = run.small_file(&path) else { return };
        let entries = match parse_offsets(&bytes) {
            Ok(entries) => entries,
            Err(error) => return run.report.fault(&path, At::Line(error.line), error.reason),
        };
        for ((topic, partition), offset) in entries {
            let line = line_of(&bytes, &topic, partition);
            let Some(extent) = extents.get(&(topic.clone(), partition)) else {
                run.report.note(&path, line, format_args!("there is no replica of {topic}-{partition}"));
                continue;
            };
            let Some(extent) = extent else { continue };
            if offset < 0 || offset > extent.log_end_offset {
                let what = format_args!(
                    "offset {offset} of {topic}-{partition} is not in its log, which ends with {}",
                    extent.log_end_offset
                );
                // A power loss takes records of which a checkpoint already knew.
                run.report.fault_unless(!self.clean, &path, line, what);
            }
        }
    }
}

/// All directories are one node's, and each is itself.
pub(super) fn compare<S: LogStore>(run: &mut Run<'_, S>, log_dirs: &[LogDir]) {
    let known = || log_dirs.iter().filter_map(|log_dir| Some((log_dir, log_dir.properties.as_ref()?)));
    let Some((first_dir, first)) = known().next() else { return };
    for (at, (log_dir, properties)) in known().enumerate().skip(1) {
        let path = format!("{}/{META_PROPERTIES}", log_dir.path);
        let mut differs = |what: &str, theirs: &dyn std::fmt::Display, ours: &dyn std::fmt::Display| {
            let sentence = format!("{what} is {theirs}, and that of {} is {ours}", first_dir.path);
            run.report.fault(&path, At::Whole, sentence);
        };
        if properties.cluster_id != first.cluster_id {
            differs("cluster.id", &properties.cluster_id, &first.cluster_id);
        }
        if properties.node_id != first.node_id {
            differs("node.id", &properties.node_id, &first.node_id);
        }
        let twin = known().take(at).find(|(other, _)| log_dir.id().is_some() && other.id() == log_dir.id());
        if let Some((twin, _)) = twin {
            run.report.fault(&path, At::Whole, format_args!("{} has the same directory.id", twin.path));
        }
    }
    let mut places: BTreeMap<(&str, i32), &str> = BTreeMap::new();
    for log_dir in log_dirs {
        for (topic, partition) in &log_dir.partitions {
            if let Some(other) = places.insert((topic, *partition), &log_dir.path) {
                let path = format!("{}/{topic}-{partition}", log_dir.path);
                run.report.fault(&path, At::Whole, format_args!("{other} holds this replica too"));
            }
        }
    }
}

fn properties<S: LogStore>(run: &mut Run<'_, S>, log_dir: &str) -> Option<MetaProperties> {
    let path = format!("{log_dir}/{META_PROPERTIES}");
    let text = match run.store.read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(StoreError::NotFound) => {
            run.report.fault(
                &path,
                At::Whole,
                "it is missing: this is no log directory, or not a formatted one",
            );
            return None;
        }
        Err(error) => {
            run.report.unreadable(&path, &error);
            return None;
        }
    };
    let properties =
        MetaProperties::parse(&text).map_err(|reason| run.report.fault(&path, At::Whole, reason));
    properties.ok()
}

/// One that is not readable is told of when the replicas are held against it.
fn checkpoint<S: LogStore>(run: &mut Run<'_, S>, log_dir: &str, name: &str) -> OffsetCheckpoint {
    let bytes = run.small_file(&format!("{log_dir}/{name}")).unwrap_or_default();
    parse_offsets(&bytes).unwrap_or_default()
}

/// The line of an entry.
fn line_of(bytes: &[u8], topic: &str, partition: i32) -> At {
    let text = String::from_utf8_lossy(bytes);
    let start = format!("{topic} {partition} ");
    (1..)
        .zip(text.lines())
        .find(|(_, line)| line.starts_with(&start))
        .map_or(At::Whole, |(line, _)| At::Line(line))
}

fn segment_bytes<S: LogStore>(run: &mut Run<'_, S>, directory: &str) -> u64 {
    // What cannot be listed is said when the partition is checked.
    let entries = run.store.list(directory).unwrap_or_default();
    let segments = entries.iter().filter(|entry| entry.name.ends_with(LOG_SUFFIX));
    segments.map(|entry| entry.len).fold(0, u64::saturating_add)
}
