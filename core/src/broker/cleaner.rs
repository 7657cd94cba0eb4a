//! A shard's cleaner: compacts one partition at a time, the dirtiest first, in small steps between requests.

use std::collections::BTreeSet;

use super::shard::Partitions;
use crate::config::BrokerConfig;
use crate::ids::TopicIdPartition;
use crate::log::LogStore;
use crate::log::cleaner::{CleanerLimits, Cleaning, LogToClean, Step};
use crate::machine::{Cx, SyncOutcome, SyncTarget};
use crate::partition::{NotCleaned, Partition};
use crate::rng::Rng;
use crate::time::Instant;

/// Rest between two steps, for everybody else.
const REST_US: u64 = 1_000;

/// Everything about compaction in one shard.
#[derive(Clone, Debug)]
pub struct Cleaner<S: LogStore> {
    enabled: bool,
    limits: CleanerLimits,
    backoff_ms: i64,
    bytes_per_second: f64,
    /// The partitions that are to be compacted; no others are ever looked at.
    compacted: BTreeSet<TopicIdPartition>,
    /// Those that could not be.
    uncleanable: BTreeSet<TopicIdPartition>,
    current: Option<(TopicIdPartition, Cleaning<S>)>,
    /// Those whose logs the cleaner has changed since somebody asked.
    touched: Vec<TopicIdPartition>,
    /// Files of the current one are on their way to the disk.
    is_syncing: bool,
    /// When to go on; `None` while there is nothing to look at.
    due: Option<Instant>,
    rng: Rng,
}

/// What is to be made durable before the cleaner goes on.
pub(super) type ToSync<S> = (TopicIdPartition, Vec<SyncTarget<S>>);

impl<S: LogStore> Cleaner<S> {
    /// The share of one shard among `shards`.
    pub(super) fn new(config: &BrokerConfig, shards: u16, rng: Rng) -> Self {
        let mut cleaner = Self {
            enabled: config.log_cleaner_enable,
            limits: CleanerLimits::new(0, 0.0, 0, shards),
            backoff_ms: 0,
            bytes_per_second: f64::MAX,
            compacted: BTreeSet::new(),
            uncleanable: BTreeSet::new(),
            current: None,
            touched: Vec::new(),
            is_syncing: false,
            due: None,
            rng,
        };
        cleaner.reconfigured(config, shards);
        cleaner
    }

    /// Acts on what can be changed at run time; a cleaning that has begun keeps its memory.
    pub(super) fn reconfigured(&mut self, config: &BrokerConfig, shards: u16) {
        self.limits = CleanerLimits::new(
            config.log_cleaner_dedupe_buffer_size,
            config.log_cleaner_io_buffer_load_factor,
            config.log_cleaner_io_buffer_size,
            shards,
        );
        self.backoff_ms = config.log_cleaner_backoff_ms;
        self.bytes_per_second = config.log_cleaner_io_max_bytes_per_second / f64::from(shards.max(1));
    }

    /// The partitions that could not be compacted, for views and metrics.
    pub fn uncleanable(&self) -> impl Iterator<Item = TopicIdPartition> {
        self.uncleanable.iter().copied()
    }

    /// When [`Cleaner::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.filter(|_| !self.is_syncing)
    }

    /// A partition has come, or its configuration has changed.
    pub(super) fn configured(&mut self, cx: &mut Cx<'_, S>, partition: &mut Partition<S>) {
        let id = partition.id();
        if !partition.is_compacted() {
            self.abandon_if(cx, partition);
            self.compacted.remove(&id);
        } else if self.enabled && self.compacted.insert(id) {
            self.due = self.due.or(Some(cx.now.monotonic));
        }
    }

    /// A partition has gone, and its directory is going.
    pub(super) fn removed(&mut self, now: Instant, id: TopicIdPartition) {
        self.compacted.remove(&id);
        self.uncleanable.remove(&id);
        if self.current.as_ref().is_some_and(|(current, _)| *current == id) {
            self.finished(now);
        }
    }

    /// Before a clean stop: what is not finished is undone.
    pub(super) fn stop(&mut self, cx: &mut Cx<'_, S>, partitions: &mut Partitions<S>) {
        if let Some(partition) = self.current.as_ref().and_then(|(id, _)| partitions.get_mut(id)) {
            self.abandon_if(cx, partition);
        }
        self.due = None;
    }

    /// The partitions whose logs have changed since the last call.
    pub(super) fn take_touched(&mut self) -> Vec<TopicIdPartition> {
        std::mem::take(&mut self.touched)
    }

    /// Goes on if it is time.
    pub(super) fn tick(&mut self, cx: &mut Cx<'_, S>, partitions: &mut Partitions<S>) -> Option<ToSync<S>> {
        let now = cx.now.monotonic;
        if self.deadline().is_none_or(|due| due > now) {
            return None;
        }
        if self.current.is_none() {
            self.current = self.choose(cx, partitions);
        }
        let Some((id, mut cleaning)) = self.current.take() else {
            self.delete_old_segments(cx, partitions);
            self.due = (!self.compacted.is_empty()).then(|| now.plus_ms(self.backoff_ms.max(1)));
            return None;
        };
        let Some(partition) = partitions.get_mut(&id) else {
            self.finished(now);
            return None;
        };
        match partition.step_cleaning(cx, &mut cleaning) {
            Ok(Step::Worked { io_bytes }) => {
                self.due = Some(self.after(now, io_bytes));
                self.current = Some((id, cleaning));
            }
            Ok(Step::Sync { files, directory, io_bytes }) => {
                self.due = Some(self.after(now, io_bytes));
                self.current = Some((id, cleaning));
                self.is_syncing = true;
                let files = files.into_iter().map(SyncTarget::File);
                return Some((id, files.chain([SyncTarget::Directory(directory)]).collect()));
            }
            Ok(Step::Done(_)) => {
                self.touched.push(id);
                self.finished(now);
                self.delete_old_segments(cx, partitions);
            }
            Ok(Step::Abandoned) => self.finished(now),
            Err(error) => self.not_cleaned(now, id, error),
        }
        None
    }

    /// A sync that [`Cleaner::tick`] asked for ended; a failed one has been told to the partition.
    pub(super) fn synced(&mut self, now: Instant, id: TopicIdPartition, outcome: &SyncOutcome) {
        if self.current.as_ref().is_some_and(|(current, _)| *current == id) {
            self.is_syncing = false;
            if *outcome != SyncOutcome::Done {
                self.finished(now);
            }
        }
    }

    /// The dirtiest of those that are worth it.
    fn choose(
        &mut self,
        cx: &mut Cx<'_, S>,
        partitions: &mut Partitions<S>,
    ) -> Option<(TopicIdPartition, Cleaning<S>)> {
        let mut dirtiest: Option<(TopicIdPartition, LogToClean)> = None;
        let ids: Vec<_> = self.compacted.difference(&self.uncleanable).copied().collect();
        for id in ids {
            match partitions.get_mut(&id).map(|partition| partition.to_clean(cx)) {
                Some(Ok(Some(found))) => {
                    let is_dirtier = |(_, other): &(_, LogToClean)| found.dirty_ratio() > other.dirty_ratio();
                    if dirtiest.as_ref().is_none_or(is_dirtier) {
                        dirtiest = Some((id, found));
                    }
                }
                Some(Err(error)) => self.not_cleaned(cx.now.monotonic, id, error),
                Some(Ok(None)) | None => {}
            }
        }
        let (id, to_clean) = dirtiest?;
        let hash_key = [self.rng.next_u64(), self.rng.next_u64()];
        match partitions.get_mut(&id)?.start_cleaning(cx, &to_clean, self.limits, hash_key) {
            Ok(cleaning) => Some((id, cleaning)),
            Err(error) => {
                self.not_cleaned(cx.now.monotonic, id, error);
                None
            }
        }
    }

    fn not_cleaned(&mut self, now: Instant, id: TopicIdPartition, error: NotCleaned) {
        self.finished(now);
        match error {
            NotCleaned::Uncleanable => _ = self.uncleanable.insert(id),
            NotCleaned::NoSpace => self.due = Some(now.plus_ms(self.backoff_ms.max(1))),
            NotCleaned::Failed => {}
        }
    }

    /// What retention does for a compacted log, between two cleanings.
    fn delete_old_segments(&mut self, cx: &mut Cx<'_, S>, partitions: &mut Partitions<S>) {
        for id in self.compacted.difference(&self.uncleanable) {
            let Some(partition) = partitions.get_mut(id) else { continue };
            let before = partition.deadline();
            partition.delete_after_cleaning(cx);
            if partition.deadline() != before {
                self.touched.push(*id);
            }
        }
    }

    fn abandon_if(&mut self, cx: &mut Cx<'_, S>, partition: &mut Partition<S>) {
        let id = partition.id();
        if let Some((_, mut cleaning)) = self.current.take_if(|(current, _)| *current == id) {
            partition.abandon_cleaning(cx, &mut cleaning);
            self.finished(cx.now.monotonic);
        }
    }

    /// Nothing is being cleaned; the next may be chosen.
    fn finished(&mut self, now: Instant) {
        self.current = None;
        self.is_syncing = false;
        self.due = Some(self.after(now, 0));
    }

    /// When so many bytes have been paid for (`log.cleaner.io.max.bytes.per.second`).
    fn after(&self, now: Instant, io_bytes: u64) -> Instant {
        let us = io_bytes as f64 * 1_000_000.0 / self.bytes_per_second;
        Instant(now.0.saturating_add((us as u64).max(REST_US)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ottla_protocol::records::metadata::ConfigRecord;

    use super::*;
    use crate::broker::{Shard, ShardEvent};
    use crate::ids::ShardId;
    use crate::log::MemoryStore;
    use crate::machine::{Effects, Machine as _};
    use crate::metadata::{MetadataImage, Published};
    use crate::record::Compressors;
    use crate::time::Now;
    use crate::trace::Traces;

    #[test]
    fn bytes_are_paid_for_with_time() {
        let mut config = BrokerConfig::default();
        let after = |config: &BrokerConfig, bytes| {
            Cleaner::<MemoryStore>::new(config, 4, Rng::from_seed(1)).after(Instant(500), bytes)
        };
        assert_eq!(after(&config, u64::MAX), Instant(500 + REST_US));
        config.log_cleaner_io_max_bytes_per_second = 4_000_000.0;
        assert_eq!(after(&config, 250_000), Instant(500 + 250_000));
        assert_eq!(after(&config, 10), Instant(500 + REST_US));
        config.log_cleaner_io_max_bytes_per_second = 0.0;
        assert_eq!(after(&config, 1), Instant(u64::MAX));
    }

    #[test]
    fn what_the_cluster_sets_takes_effect() {
        let config = Arc::new(BrokerConfig::default());
        let rng = Rng::from_seed(1);
        let mut shard = Shard::new(ShardId(0), 1, config, Some(Arc::default()), Instant(0), rng);
        assert_eq!(shard.cleaner().backoff_ms, 15_000);
        let mut image = MetadataImage::default();
        for (name, value) in
            [("log.cleaner.backoff.ms", "7"), ("log.cleaner.io.max.bytes.per.second", "1000.5")]
        {
            let record = ConfigRecord {
                resource_type: 4,
                resource_name: "".into(),
                name: name.into(),
                value: Some(value.into()),
            };
            image.replay(&record.into()).expect("a record");
        }
        let (mut store, mut effects, mut traces) =
            (MemoryStore::new(), Effects::default(), Traces::default());
        let compressors = Compressors::default();
        let mut cx = Cx {
            now: Now::default(),
            store: &mut store,
            compressors: &compressors,
            effects: &mut effects,
            traces: &mut traces,
        };
        shard.handle(&mut cx, ShardEvent::Metadata(Published::first(image, 1, 1, 0)));
        let cleaner = shard.cleaner();
        assert_eq!((cleaner.backoff_ms, cleaner.bytes_per_second.to_bits()), (7, 1000.5_f64.to_bits()));
    }
}
