//! The metadata log: its records and snapshots, `quorum-state` and `bootstrap.checkpoint`, and what it says of the replicas.

use std::collections::BTreeMap;

use ottla_protocol::Uuid;
use ottla_protocol::records::MetadataRecord;

use super::log_dir::LogDir;
use super::partition::Extent;
use super::report::{At, Report};
use super::{LogStore, Run};
use crate::log::file_names::PARTITION_METADATA;
use crate::log::partition_metadata;
use crate::metadata::{MetadataImage, MetadataState};
use crate::quorum::checkpoint::{Checkpoint, SnapshotId};
use crate::quorum::control::Control;
use crate::quorum::format::BOOTSTRAP_FILE;
use crate::quorum::join;
use crate::quorum::quorum_state::{self, QuorumState};
use crate::record::{Batch, Compressors};

/// What the metadata log says.
#[derive(Debug)]
pub(super) struct Metadata {
    image: MetadataImage,
    node_id: Option<i32>,
}

impl Metadata {
    /// Checks the metadata log of the node, and reads it. `None` if it is in none of the directories.
    pub(super) fn read<S: LogStore>(run: &mut Run<'_, S>, log_dirs: &[LogDir]) -> Option<Self> {
        let log_dir = log_dirs.iter().find(|log_dir| log_dir.has_metadata())?;
        let properties = log_dir.properties.as_ref();
        let cluster_id = properties.map(|properties| properties.cluster_id.clone()).unwrap_or_default();
        let place = log_dir.place("__cluster_metadata", 0, false);
        let mut state = MetadataState::new(MetadataImage::empty(cluster_id));
        bootstrap(run, &log_dir.path);
        quorum_state(run, &place.dir, log_dir.clean);
        let snapshots = snapshots(run, &place.dir);
        let loaded = load_newest(run, &place.dir, &snapshots, &mut state, log_dir.clean);
        let compressors = *run.compressors;
        let mut replay = Replay { state, from: loaded.end_offset, broken: false };
        let extent = place.check(run, &mut |report, path, position, batch| {
            replay.batch(report, (path, position), batch, &compressors);
        });
        if let Some(extent) = extent {
            snapshots_within(run, &place.dir, &snapshots, loaded, extent);
        }
        topic_id(run, &place.dir);
        let node_id = properties.map(|properties| properties.node_id);
        Some(Self { image: replay.state.image().clone(), node_id })
    }

    /// The id of a topic.
    #[cfg(test)]
    pub(super) fn topic_id(&self, topic: &str) -> Option<Uuid> {
        Some(self.image.topic(topic)?.id)
    }

    /// Whether records of a topic may have been taken by compaction.
    pub(super) fn compacts(&self, topic: &str) -> bool {
        let own = self.image.topic_configs(topic);
        let cluster = self.image.cluster_configs();
        let policy = own.get("cleanup.policy").or_else(|| cluster.get("log.cleanup.policy"));
        policy.is_some_and(|policy| policy.contains("compact"))
    }

    /// A replica is the one that the metadata knows by this name.
    pub(super) fn identify<S: LogStore>(
        &self,
        run: &mut Run<'_, S>,
        log_dir: &LogDir,
        path: &str,
        (topic, partition): (&str, i32),
        topic_id: Option<Uuid>,
    ) {
        let Some(known) = self.image.topic(topic) else {
            return run.report.note(
                path,
                At::Whole,
                format_args!("stray: the metadata has no topic {topic}"),
            );
        };
        if let Some(topic_id) = topic_id.filter(|topic_id| *topic_id != known.id) {
            let what = format_args!("topic id {topic_id}, and the metadata says {} of {topic}", known.id);
            return run.report.fault(path, At::Whole, what);
        }
        let Some(node_id) = self.node_id else { return };
        let registration = known.partitions.get(&partition);
        if registration.is_none_or(|registration| !registration.replicas.contains(&node_id)) {
            let what =
                format_args!("stray: the metadata has no replica of {topic}-{partition} on node {node_id}");
            return run.report.note(path, At::Whole, what);
        }
        let assigned = registration.and_then(|registration| registration.directory_of(node_id));
        if assigned.is_some() && log_dir.id().is_some() && assigned != log_dir.id() {
            let assigned = assigned.unwrap_or(Uuid::ZERO);
            let what = format_args!("the metadata assigns the replica to the directory {assigned}");
            run.report.note(path, At::Whole, what);
        }
    }

    /// Every replica that is assigned to the directory is in it.
    pub(super) fn missing_replicas<S: LogStore>(
        &self,
        run: &mut Run<'_, S>,
        log_dir: &LogDir,
        found: &BTreeMap<(String, i32), Option<Extent>>,
    ) {
        let (Some(node_id), Some(directory_id)) = (self.node_id, log_dir.id()) else { return };
        for topic in self.image.topics_by_name() {
            for (partition, registration) in &topic.partitions {
                let is_here = registration.directory_of(node_id) == Some(directory_id);
                if is_here && !found.contains_key(&(topic.name.to_string(), *partition)) {
                    let path = format!("{}/{}-{partition}", log_dir.path, topic.name);
                    let what = "it is missing: the metadata assigns the replica to this directory";
                    run.report.fault_unless(!log_dir.clean, &path, At::Whole, what);
                }
            }
        }
    }
}

/// Records of the log on their way into the metadata.
struct Replay {
    state: MetadataState,
    /// Records before are in the snapshot.
    from: i64,
    /// A record was no record: what follows need not fit.
    broken: bool,
}

impl Replay {
    fn batch(
        &mut self,
        report: &mut Report<'_>,
        (path, position): (&str, u64),
        batch: &Batch,
        compressors: &Compressors,
    ) {
        // What the records lack in themselves has been said.
        for record in batch.records(compressors).into_iter().flatten().flatten() {
            let offset = record.offset;
            let value = record.value.unwrap_or_default();
            let done = if batch.header().is_control() {
                Control::decode(&record.key.unwrap_or_default(), &value).map(drop)
            } else {
                MetadataRecord::decode(value)
                    .map_err(|error| error.to_string())
                    .and_then(|(record, _)| self.replay(offset, &record))
            };
            if let Err(reason) = done {
                self.broken = true;
                report.fault(
                    path,
                    At::Byte(position),
                    format_args!("the record at offset {offset}: {reason}"),
                );
            }
        }
    }

    fn replay(&mut self, offset: i64, record: &MetadataRecord) -> Result<(), String> {
        if offset < self.from || self.broken {
            return Ok(());
        }
        let name = crate::metadata::record::name(record);
        self.state.replay(record).map_err(|error| format!("{name}: {error}"))
    }
}

fn bootstrap<S: LogStore>(run: &mut Run<'_, S>, log_dir: &str) {
    let path = join(log_dir, BOOTSTRAP_FILE);
    let Some(bytes) = run.small_file(&path) else { return };
    if let Err(reason) = Checkpoint::decode(&bytes.into(), run.compressors) {
        run.report.fault(&path, At::Whole, reason);
    }
}

fn quorum_state<S: LogStore>(run: &mut Run<'_, S>, dir: &str, clean: bool) {
    let path = join(dir, quorum_state::FILE);
    match run.small_file(&path) {
        None => run.report.note(&path, At::Whole, "it is missing"),
        Some(bytes) => {
            if let Err(reason) = QuorumState::parse(&String::from_utf8_lossy(&bytes)) {
                run.report.fault_unless(!clean, &path, At::Whole, reason);
            }
        }
    }
}

fn topic_id<S: LogStore>(run: &mut Run<'_, S>, dir: &str) {
    let path = join(dir, PARTITION_METADATA);
    match partition_metadata::read(run.store, dir) {
        Ok(None | Some(Uuid::METADATA_TOPIC)) => {}
        Ok(Some(other)) => {
            run.report.fault(
                &path,
                At::Whole,
                format_args!("topic id {other} is not that of the metadata log"),
            );
        }
        Err(error) => run.report.fault(&path, At::Whole, error),
    }
}

fn snapshots<S: LogStore>(run: &mut Run<'_, S>, dir: &str) -> Vec<SnapshotId> {
    // What cannot be listed is said when the partition is checked.
    let entries = run.store.list(dir).unwrap_or_default();
    let mut ids: Vec<SnapshotId> =
        entries.iter().filter_map(|entry| SnapshotId::parse(&entry.name)).collect();
    ids.sort_unstable();
    ids
}

/// Checks every snapshot, and loads the newest that is whole; answers which.
fn load_newest<S: LogStore>(
    run: &mut Run<'_, S>,
    dir: &str,
    snapshots: &[SnapshotId],
    state: &mut MetadataState,
    clean: bool,
) -> SnapshotId {
    let mut loaded = None;
    for id in snapshots.iter().rev() {
        let path = join(dir, &id.file_name());
        let Some(bytes) = run.small_file(&path) else { continue };
        let mut attempt = MetadataState::new(state.image().clone());
        let replayed = Checkpoint::decode(&bytes.into(), run.compressors).and_then(|checkpoint| {
            checkpoint.records.iter().try_for_each(|record| {
                let name = crate::metadata::record::name(record);
                attempt.replay(record).map_err(|error| format!("{name}: {error}"))
            })
        });
        match replayed {
            Ok(()) if loaded.is_none() => loaded = Some((*id, attempt)),
            Ok(()) => {}
            Err(reason) => run.report.fault_unless(!clean, &path, At::Whole, reason),
        }
    }
    let Some((id, newest)) = loaded else { return SnapshotId::default() };
    *state = newest;
    id
}

/// Log and snapshots together hold everything.
fn snapshots_within<S: LogStore>(
    run: &mut Run<'_, S>,
    dir: &str,
    snapshots: &[SnapshotId],
    loaded: SnapshotId,
    extent: Extent,
) {
    for id in snapshots.iter().filter(|id| id.end_offset > extent.log_end_offset) {
        let path = join(dir, &id.file_name());
        run.report.note(&path, At::Whole, format_args!("the log ends with {}", extent.log_end_offset));
    }
    if extent.base_offset > loaded.end_offset {
        let what = format_args!(
            "the log begins with offset {}, and no snapshot goes beyond {}",
            extent.base_offset, loaded.end_offset
        );
        run.report.fault(dir, At::Whole, what);
    }
}
