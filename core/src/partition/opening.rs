//! A partition on its way to being served: its log is opened, and recovered where need be, in steps.

use std::sync::Arc;

use ottla_protocol::Uuid;

use super::{Partition, Role, log_config, rules};
use crate::config::{BrokerConfig, TopicConfig};
use crate::ids::{LogDirId, TopicIdPartition, TopicPartition};
use crate::log::log_dirs::{self, PartitionOffsets};
use crate::log::{LogError, LogStore, OpenLog, Recovery, StoreError, file_names, partition_metadata};
use crate::machine::Cx;
use crate::metrics::Meters;
use crate::trace::TraceEvent;

/// A partition whose log is being opened. Step it until it is done.
#[derive(Clone, Debug)]
pub struct Opening<S: LogStore> {
    id: TopicIdPartition,
    name: TopicPartition,
    log_dir: LogDirId,
    config: Arc<TopicConfig>,
    cleaned_up_to: Option<i64>,
    syncs_first: bool,
    recovery: Recovery<S>,
}

impl<S: LogStore> Opening<S> {
    /// Opens the files that are at `place`, or creates them; reads no records. The error is a sentence for the log.
    pub fn start(
        cx: &mut Cx<'_, S>,
        id: TopicIdPartition,
        broker: &BrokerConfig,
        config: Arc<TopicConfig>,
        place: PartitionOffsets,
        clean_shutdown: bool,
        has_others: bool,
    ) -> Result<Self, String> {
        let PartitionOffsets { partition: name, log_dir, cleaned_up_to, .. } = place;
        let options = OpenLog {
            dir: dir(broker, log_dir, &name).ok_or("there is no log directory")?,
            config: log_config(broker, &config, cx.traces.planted()),
            log_start_offset: place.log_start_offset,
            recovery_point: place.recovery_point,
            high_watermark: place.high_watermark,
            clean_shutdown,
            has_others,
        };
        let recovery = Recovery::start(cx.store, cx.now, options);
        let recovery = recovery.map_err(|error| refused(cx, log_dir, &name, &error))?;
        let syncs_first = broker.syncs_batches();
        Ok(Self { id, name, log_dir, config, cleaned_up_to, syncs_first, recovery })
    }

    /// Reads and checks about `budget` bytes, which it takes off. True when there is nothing left to do but [`Opening::finish`].
    pub fn step(&mut self, cx: &mut Cx<'_, S>, budget: &mut u64) -> Result<bool, String> {
        let before = self.recovery.walked_bytes();
        let done = self.recovery.step(cx.store, *budget);
        let done = done.map_err(|error| refused(cx, self.log_dir, &self.name, &error))?;
        let walked = self.recovery.walked_bytes().saturating_sub(before);
        *budget = if done { budget.saturating_sub(walked) } else { 0 };
        Ok(done)
    }

    /// The partition, open, however much there is to read: for one that is new.
    pub fn finish_now(mut self, cx: &mut Cx<'_, S>) -> Result<Partition<S>, String> {
        while !self.step(cx, &mut { u64::MAX })? {}
        self.finish(cx)
    }

    /// The partition, open.
    pub fn finish(self, cx: &mut Cx<'_, S>) -> Result<Partition<S>, String> {
        let Self { id, name, log_dir, config, cleaned_up_to, syncs_first, recovery } = self;
        let recovered = recovery.finish(cx.store, cx.now);
        let (mut log, report) = recovered.map_err(|error| refused(cx, log_dir, &name, &error))?;
        log.set_cleaned_up_to(cleaned_up_to);
        let found = partition_metadata::read(cx.store, log.dir()).and_then(|found| match found {
            None => partition_metadata::write(cx.store, log.dir(), id.topic_id).map(|()| id.topic_id),
            Some(found) => Ok(found),
        });
        let found = found.map_err(|error| refused(cx, log_dir, &name, &error))?;
        if found != id.topic_id {
            return Err(format!("{name}: its directory belongs to a topic with id {found}"));
        }
        if let Some(truncation) = report.truncation {
            let (partition, log_end_offset) = (name.clone(), log.log_end_offset());
            let (truncated_bytes, reason) = (truncation.bytes, truncation.reason);
            cx.traces.fault(TraceEvent::LogRecovered { partition, log_end_offset, truncated_bytes, reason });
        }
        Ok(Partition {
            id,
            name,
            log_dir,
            log,
            rules: rules(&config),
            config,
            leader_epoch: -1,
            partition_epoch: -1,
            role: Role::Idle,
            doubtful_from: report.doubtful_from,
            hint: None,
            has_room: true,
            syncs_first,
            failure: None,
            meters: Meters::default(),
        })
    }
}

/// Where a partition's files are.
pub fn dir(broker: &BrokerConfig, log_dir: LogDirId, name: &TopicPartition) -> Option<String> {
    let parent = broker.log_dirs.get(usize::from(log_dir.0))?;
    Some(format!("{parent}/{}", file_names::partition_dir(&name.topic, name.partition)))
}

/// Renames a partition's directory so that a new topic of this name has no trouble with it; answers its new path.
pub fn rename_for_deletion<S: LogStore>(
    cx: &mut Cx<'_, S>,
    dir: &str,
    name: &TopicPartition,
    unique: Uuid,
) -> Result<String, StoreError> {
    let parent = dir.rsplit_once('/').map_or(".", |(parent, _)| parent);
    let path = format!("{parent}/{}", file_names::delete_dir(&name.topic, name.partition, unique));
    cx.store.rename(dir, &path)?;
    Ok(path)
}

/// A log cannot be opened. A directory that refuses is told of to its keeper.
fn refused<S: LogStore>(
    cx: &mut Cx<'_, S>,
    log_dir: LogDirId,
    name: &TopicPartition,
    error: &LogError,
) -> String {
    if let LogError::Store(error) = error {
        log_dirs::refused(cx, log_dir, error);
    }
    format!("{name}: {error}")
}
