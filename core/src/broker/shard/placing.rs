//! Which partitions a shard has: what metadata and log directories say.

use std::sync::Arc;

use ottla_protocol::ErrorCode;

use super::{BROKER_CONFIG, Shard, topic_config};
use crate::broker::Message;
use crate::broker::cluster_view::OFFSETS_TOPIC;
use crate::broker::data::DataResponse;
use crate::ids::{LogDirId, TopicIdPartition, TopicPartition};
use crate::log::LogStore;
use crate::log::log_dirs::{self, LogDirState, LogDirsEvent};
use crate::machine::Cx;
use crate::metadata::{MetadataImage, PartitionRegistration, Published};
use crate::partition::{self, Opening};
use crate::trace::TraceEvent;

impl<S: LogStore> Shard<S> {
    pub(super) fn metadata(&mut self, cx: &mut Cx<'_, S>, published: Arc<Published>) {
        let image = &published.image;
        let delta = &published.delta;
        self.topic_config = None;
        for topic_id in delta.topics_deleted.keys() {
            let first = TopicIdPartition { topic_id: *topic_id, partition: i32::MIN };
            let last = TopicIdPartition { topic_id: *topic_id, partition: i32::MAX };
            let open = self.partitions.range(first..=last).map(|(id, _)| *id);
            let gone: Vec<_> = open.chain(self.openings.of_topic(first..=last)).collect();
            self.not_created.retain(|id, _| id.topic_id != *topic_id);
            for id in gone {
                self.remove(cx, id, ErrorCode::UnknownTopicOrPartition);
            }
        }
        self.coordinators.topics_deleted(cx.now.monotonic, delta.topics_deleted.values());
        let brokers_reconfigured =
            delta.configs_changed.iter().any(|resource| resource.kind == BROKER_CONFIG);
        if brokers_reconfigured {
            self.in_force = Arc::new(image.in_force(&self.config));
            self.cleaner.reconfigured(&self.in_force, self.shards);
        }
        if !delta.configs_changed.is_empty() || !delta.topics_deleted.is_empty() {
            self.throttles.configure(image, &self.in_force, self.shards);
        }
        if !delta.brokers_changed.is_empty() {
            self.brokers_changed(cx, image, delta.brokers_changed.iter().copied());
        }
        for (topic_id, changed) in &delta.partitions_changed {
            let Some(topic) = image.topic_by_id(*topic_id) else { continue };
            for partition in changed {
                let id = TopicIdPartition { topic_id: *topic_id, partition: *partition };
                if id.shard(self.shards) != self.id {
                    continue;
                }
                let Some(registration) = topic.partitions.get(partition) else { continue };
                let name = TopicPartition { topic: topic.name.clone(), partition: *partition };
                self.place(cx, image, id, name.clone(), registration);
                self.report_directory(cx, image, id, &name, registration);
            }
        }
        if !delta.configs_changed.is_empty() {
            for (id, partition) in &mut self.partitions {
                let name = &partition.name().topic.clone();
                if delta.topic_configs_changed(name) || brokers_reconfigured {
                    let config = topic_config(&mut self.topic_config, &self.in_force, image, name);
                    partition.reconfigure(&self.in_force, config);
                    self.cleaner.configured(cx, partition);
                    self.due.set(*id, partition.deadline());
                }
            }
        }
        self.published = published;
        self.send_group_replies(cx);
    }

    /// Creates a partition that is new here, or takes over its new leader epoch. One that was found on the disk is opened when its turn comes.
    pub(super) fn place(
        &mut self,
        cx: &mut Cx<'_, S>,
        image: &MetadataImage,
        id: TopicIdPartition,
        name: TopicPartition,
        registration: &PartitionRegistration,
    ) {
        if !registration.replicas.contains(&self.config.node_id) {
            self.not_created.remove(&id);
            self.remove(cx, id, ErrorCode::NotLeaderOrFollower);
            return;
        }
        if self.openings.contains(id) || self.openings.has_failed(id) {
            return;
        }
        if !self.partitions.contains_key(&id) {
            if self.checkpoints.has(&name, id.topic_id) {
                self.openings.add(id);
                if *name.topic == *OFFSETS_TOPIC && registration.leader == self.config.node_id {
                    self.coordinators.expect(name.partition, id);
                    self.openings.urge(id);
                }
                return;
            }
            let assigned = registration.directory_of(self.config.node_id);
            let place = self.checkpoints.of(&name, id.topic_id, assigned);
            let log_dir = place.as_ref().map(|place| place.log_dir);
            let config = topic_config(&mut self.topic_config, &self.in_force, image, &name.topic);
            let created = place.ok_or_else(|| format!("{name}: its directory is offline"));
            let created = created.and_then(|place| {
                Opening::start(cx, id, &self.in_force, config, place, false, false)?.finish_now(cx)
            });
            match created {
                Ok(mut partition) => {
                    self.cleaner.configured(cx, &mut partition);
                    self.partitions.insert(id, Box::new(partition));
                    self.not_created.remove(&id);
                }
                Err(reason) => {
                    self.not_created.extend(log_dir.map(|log_dir| (id, log_dir)));
                    cx.traces.fault(TraceEvent::StorageFailed { path: name.to_string(), reason });
                    return;
                }
            }
        }
        self.assign_as_of(cx, image, id, registration);
    }

    /// Forgets a partition whose topic is gone, or that other brokers have now; its directory goes later. Those who wait for it are told `error`.
    pub(super) fn remove(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition, error: ErrorCode) {
        let known = match self.partitions.remove(&id) {
            Some(partition) => {
                self.retired.add(partition.meters());
                let (dir, delay) = (partition.log().dir().to_owned(), partition.file_delete_delay_ms());
                Some((partition.name().clone(), partition.log_dir(), dir, delay))
            }
            None if self.openings.remove(id) => self.found(id).and_then(|(name, log_dir)| {
                let image = &self.published.image;
                let config = topic_config(&mut None, &self.in_force, image, &name.topic);
                Some((
                    name.clone(),
                    log_dir,
                    partition::dir(&self.config, log_dir, &name)?,
                    config.file_delete_delay_ms,
                ))
            }),
            None => None,
        };
        let Some((name, log_dir, dir, delay)) = known else { return };
        self.due.set(id, None);
        self.resting.set(id, None);
        self.cleaner.removed(cx.now.monotonic, id);
        self.stop_copying(id);
        Arc::make_mut(&mut self.checkpoints).forget(&name);
        self.refuse_unsynced(cx, id, error);
        for (token, part, _) in self.watches.of(id) {
            self.reply(cx, token, DataResponse::Watched(vec![(part.index, Err(error))]));
        }
        if *name.topic == *OFFSETS_TOPIC {
            self.coordinators.unload(cx.now, name.partition);
        }
        cx.traces.emit(|| TraceEvent::PartitionRemoved { partition: name.clone() });
        cx.effects.tell(Message::LogDirs(LogDirsEvent::Removed(name.clone())));
        match partition::rename_for_deletion(cx, &dir, &name, self.rng.uuid()) {
            Ok(path) => self.doomed.push((cx.now.monotonic.plus_ms(delay), log_dir, path)),
            Err(error) => {
                log_dirs::refused(cx, log_dir, &error);
                let (path, reason) = (name.to_string(), error.to_string());
                cx.traces.fault(TraceEvent::StorageFailed { path, reason });
            }
        }
    }

    pub(super) fn log_dir_changed(&mut self, cx: &mut Cx<'_, S>, log_dir: LogDirId, state: LogDirState) {
        self.log_dirs.insert(log_dir, state);
        match state {
            LogDirState::Online => {
                self.openings.retry();
                self.create_again(cx, log_dir);
            }
            // The reserve is free: recovery can do with that.
            LogDirState::Full => self.openings.retry(),
            LogDirState::Offline => Arc::make_mut(&mut self.checkpoints).went_offline(log_dir),
        }
        let mut concerned = Vec::new();
        for (id, partition) in self.partitions.iter_mut().filter(|(_, it)| it.log_dir() == log_dir) {
            partition.log_dir_changed(state);
            self.replicas.changed(*id);
            concerned.push(*id);
        }
        // What could not be made durable without room may be now; who waits for what has failed is told.
        for id in concerned {
            self.flush(cx, id);
        }
        self.report_directories_in(cx, log_dir);
    }

    /// There is room for partitions that could not be created.
    pub(super) fn create_again(&mut self, cx: &mut Cx<'_, S>, log_dir: LogDirId) {
        let published = self.published.clone();
        let refused = self.not_created.iter().filter(|(_, refused)| **refused == log_dir);
        for id in refused.map(|(id, _)| *id).collect::<Vec<_>>() {
            let topic = published.image.topic_by_id(id.topic_id);
            if let Some(topic) = topic
                && let Some(registration) = topic.partitions.get(&id.partition)
            {
                let name = TopicPartition { topic: topic.name.clone(), partition: id.partition };
                self.place(cx, &published.image, id, name.clone(), registration);
                self.report_directory(cx, &published.image, id, &name, registration);
            }
        }
    }
}
