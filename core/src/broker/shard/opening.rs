//! Opening the partitions of a shard that were there before it.

use super::{Shard, topic_config};
use crate::broker::cluster_view::OFFSETS_TOPIC;
use crate::broker::openings::{OpenWith, Opened, STEP_BYTES, STEP_PARTITIONS, name_of};
use crate::ids::{LogDirId, TopicIdPartition, TopicPartition};
use crate::log::LogStore;
use crate::machine::Cx;
use crate::trace::TraceEvent;

impl<S: LogStore> Shard<S> {
    /// Opens what a client asks for, as far as that is soon done; the rest of it comes next.
    pub(super) fn open_first(&mut self, cx: &mut Cx<'_, S>, asked: &[TopicIdPartition]) {
        let mut budget = STEP_BYTES;
        for id in asked {
            let is_clean = |(_, log_dir)| self.checkpoints.is_clean(log_dir);
            if self.openings.urge(*id) && budget > 0 && self.found(*id).is_some_and(is_clean) {
                self.open_step(cx, *id, &mut budget);
            }
        }
        self.sync_opened(cx);
    }

    /// The name of a partition that was found, and the directory that it is in.
    pub(super) fn found(&self, id: TopicIdPartition) -> Option<(TopicPartition, LogDirId)> {
        let name = name_of(&self.published.image, id)?;
        let log_dir = self.checkpoints.of(&name, id.topic_id, None)?.log_dir;
        Some((name, log_dir))
    }

    pub(super) fn open_some(&mut self, cx: &mut Cx<'_, S>) {
        let mut budget = STEP_BYTES;
        for _ in 0..STEP_PARTITIONS {
            match self.openings.next() {
                Some(id) if budget > 0 => self.open_step(cx, id, &mut budget),
                _ => break,
            }
        }
        self.sync_opened(cx);
    }

    pub(super) fn open_step(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition, budget: &mut u64) {
        let image = &self.published.image;
        let Some(name) = name_of(image, id) else {
            self.openings.remove(id);
            return;
        };
        let config = &topic_config(&mut self.topic_config, &self.in_force, image, &name.topic);
        let registered = image.partition(id.topic_id, id.partition);
        let has_others = registered.is_some_and(|registered| registered.replicas.len() > 1);
        let (broker, checkpoints) = (&self.in_force, &self.checkpoints);
        let with = OpenWith { name: &name, broker, config, checkpoints, has_others };
        match self.openings.step(cx, id, budget, with) {
            Opened::Ready(partition) => {
                self.partitions.insert(id, partition);
                self.opened(cx, id);
            }
            Opened::More => {}
            Opened::Failed(reason) => {
                self.report_directory_of(cx, id);
                if *name.topic == *OFFSETS_TOPIC {
                    self.coordinators.unload(cx.now, name.partition);
                }
                let path = name.to_string();
                cx.traces.fault(TraceEvent::StorageFailed { path, reason });
            }
        }
    }

    /// A partition that had waited is open: the metadata may have changed meanwhile.
    pub(super) fn opened(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition) {
        let published = self.published.clone();
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if let Some(state) = self.log_dirs.get(&partition.log_dir()) {
            partition.log_dir_changed(*state);
        }
        let topic = &partition.name().topic;
        let config = topic_config(&mut self.topic_config, &self.in_force, &published.image, topic);
        partition.reconfigure(&self.in_force, config);
        self.cleaner.configured(cx, partition);
        let topic = published.image.topic_by_id(id.topic_id);
        if let Some(registration) = topic.and_then(|topic| topic.partitions.get(&id.partition)) {
            self.assign(cx, id, registration);
        }
        self.report_directory_of(cx, id);
    }

    /// Opens all that waits, without waiting for the disk: for checkers, on a copy.
    pub fn open_all(&mut self, cx: &mut Cx<'_, S>) {
        while let Some(id) = self.openings.first() {
            self.open_step(cx, id, &mut { u64::MAX });
            if let Some(partition) = self.openings.take_synced(id) {
                self.partitions.insert(id, partition);
                self.opened(cx, id);
            }
        }
        while self.coordinators.are_loading() {
            self.coordinators.tick(cx, &mut self.partitions);
        }
    }
}
