//! A shard: owner of a part of the node's partitions, and of the group coordinators on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_protocol::{ErrorCode, Str};

use super::acknowledgements::{Acknowledgements, Unsynced};
use super::cleaner::Cleaner;
use super::cluster_view::OFFSETS_TOPIC;
use super::coordinators::GroupCoordinators;
use super::data::{DataRequest, DataResponse, DescribedLog, MarkerPart, WatchPart};
use super::due::Due;
use super::openings::{OpenWith, Opened, Openings, STEP_BYTES, STEP_PARTITIONS, name_of};
use super::watches::{Watch, Watches};
use super::{ConnectionEvent, Message, ShardEvent};
use crate::config::{BrokerConfig, TopicConfig};
use crate::coordinator::Token;
use crate::ids::{LogDirId, ShardId, TopicIdPartition, TopicPartition};
use crate::log::LogStore;
use crate::log::file_names::LOG_SUFFIX;
use crate::log::log_dirs::{self, Checkpoints, LogDirState, LogDirsEvent, PartitionOffsets};
use crate::machine::{Cx, Effect, Machine, SyncCompletion, SyncOutcome, SyncTarget, Waiter};
use crate::metadata::{MetadataImage, PartitionRegistration, Published};
use crate::partition::{self, Opening, Partition};
use crate::rng::Rng;
use crate::sim::mutation::Mutation;
use crate::time::Instant;
use crate::trace::TraceEvent;

/// The resource type of broker configurations in metadata.
const BROKER_CONFIG: i8 = 4;

/// Replicas, and groups, of a shard that a survey tells of at most.
const SURVEY_MAX: usize = 1000;

/// Partitions that are idle and being synced at a time: enough to get on, and nobody notices.
const RESTING_MAX: usize = 2;

/// The partitions that are open. Boxed: the nodes of a map keep room for twice as many.
pub(super) type Partitions<S> = BTreeMap<TopicIdPartition, Box<Partition<S>>>;

/// The machine of one shard.
#[derive(Clone, Debug)]
pub struct Shard<S: LogStore> {
    id: ShardId,
    shards: u16,
    config: Arc<BrokerConfig>,
    /// `config` with what was set dynamically: what topics inherit.
    in_force: Arc<BrokerConfig>,
    published: Arc<Published>,
    checkpoints: Arc<Checkpoints>,
    partitions: Partitions<S>,
    openings: Openings<S>,
    /// The last topic that was asked for: its partitions come together, and share it.
    topic_config: Option<(Str, Arc<TopicConfig>)>,
    /// The deadlines of those partitions that have one.
    due: Due,
    /// When partitions that have records to be synced have been idle for long enough.
    resting: Due,
    /// How many of them are being synced.
    rests: usize,
    /// The partitions that something has happened to since the checkpoints heard of them.
    touched: BTreeSet<TopicIdPartition>,
    coordinators: GroupCoordinators,
    cleaner: Cleaner<S>,
    watches: Watches,
    acknowledgements: Acknowledgements<S>,
    /// Partitions that could not be created, and the directory that refused: KAFKA_STORAGE_ERROR, until there is room.
    not_created: BTreeMap<TopicIdPartition, LogDirId>,
    /// What the log directories can take, where that has changed.
    log_dirs: BTreeMap<LogDirId, LogDirState>,
    /// When the directories of deleted partitions go.
    doomed: Vec<(Instant, LogDirId, String)>,
    /// Syncs under way.
    syncs: BTreeMap<u64, Purpose>,
    next_sync: u64,
    chores: Chores,
    stopping: bool,
    rng: Rng,
}

/// What a sync is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// The log will be durable up to this offset, of this generation.
    Flush(TopicIdPartition, (i64, u32)),
    /// The same for a partition that is idle.
    Rest(TopicIdPartition, (i64, u32)),
    /// The cleaner goes on.
    Cleaning(TopicIdPartition),
    /// Partitions of a directory can be served.
    Opening(LogDirId),
}

/// When the periodic chores are due.
#[derive(Clone, Copy, Debug)]
struct Chores {
    retention: Instant,
    checkpoint: Instant,
}

impl<S: LogStore> Shard<S> {
    /// A shard without partitions; they come with the first metadata.
    pub fn new(
        id: ShardId,
        shards: u16,
        config: Arc<BrokerConfig>,
        checkpoints: Arc<Checkpoints>,
        now: Instant,
        mut rng: Rng,
    ) -> Self {
        let chores = Chores {
            retention: now.plus_ms(config.log_initial_task_delay_ms),
            checkpoint: now.plus_ms(config.replica_high_watermark_checkpoint_interval_ms),
        };
        Self {
            id,
            shards,
            coordinators: GroupCoordinators::new(&config),
            in_force: config.clone(),
            cleaner: Cleaner::new(&config, shards, rng.fork()),
            config,
            published: Published::first(MetadataImage::default(), -1, -1, 0),
            checkpoints,
            partitions: BTreeMap::new(),
            openings: Openings::new(),
            topic_config: None,
            due: Due::default(),
            resting: Due::default(),
            rests: 0,
            touched: BTreeSet::new(),
            watches: Watches::default(),
            acknowledgements: Acknowledgements::default(),
            not_created: BTreeMap::new(),
            log_dirs: BTreeMap::new(),
            doomed: Vec::new(),
            syncs: BTreeMap::new(),
            next_sync: 0,
            chores,
            stopping: false,
            rng,
        }
    }

    /// The partitions of this shard, for views and checkers.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition<S>> {
        self.partitions.values().map(|partition| &**partition)
    }

    /// The coordinators of this shard, for views and checkers.
    pub fn coordinators(&self) -> &GroupCoordinators {
        &self.coordinators
    }

    /// The cleaner of this shard, for views and metrics.
    pub fn cleaner(&self) -> &Cleaner<S> {
        &self.cleaner
    }

    /// Where every partition stands, for the checkpoint files.
    pub fn offsets(&self) -> Vec<PartitionOffsets> {
        self.partitions().map(Partition::offsets).collect()
    }

    fn data(&mut self, cx: &mut Cx<'_, S>, token: Token, request: DataRequest) {
        if !self.openings.is_empty() {
            self.open_first(cx, &request.partitions());
        }
        let response = match request {
            DataRequest::Produce { version, acks, parts } => {
                let mut grown = Vec::with_capacity(parts.len());
                let mut answers = Vec::with_capacity(parts.len());
                let mut unsynced = Vec::new();
                for part in parts {
                    let answer = match self.partitions.get_mut(&part.partition) {
                        Some(partition) => partition.produce(cx, version, acks, &part.records),
                        None => Err(super::data::ProduceError::of(self.absent(part.partition))),
                    };
                    if answer.is_ok() {
                        grown.push(part.partition);
                        unsynced.extend(self.unsynced(part.partition, part.index));
                    }
                    answers.push((part.index, answer));
                }
                self.acknowledge(cx, token, DataResponse::Produced(answers), unsynced);
                for partition in grown {
                    self.grew(cx, partition);
                }
                return;
            }
            DataRequest::Watch { parts, isolation } => {
                let seen =
                    parts.iter().map(|part| (part.index, self.readable(cx, part, isolation))).collect();
                self.watches.add(token, Watch { parts, isolation });
                DataResponse::Watched(seen)
            }
            DataRequest::Unwatch => return self.watches.remove(token),
            DataRequest::Read { parts, isolation, max_bytes, mut first_batch_whole } => {
                self.watches.remove(token);
                let mut left = max_bytes;
                let mut read = Vec::with_capacity(parts.len());
                for part in &parts {
                    let fetched = match self.partitions.get_mut(&part.partition) {
                        Some(partition) => partition.read(cx, part, isolation, left, first_batch_whole),
                        None => Err(self.absent(part.partition)),
                    };
                    if let Ok(super::data::Fetched { records: Some((_, len)), .. }) = &fetched {
                        left = left.saturating_sub(u64::from(*len));
                        first_batch_whole = false;
                    }
                    read.push((part.index, fetched));
                }
                DataResponse::Read(read)
            }
            DataRequest::ListOffsets { parts, isolation } => {
                let found =
                    |part: &super::data::ListOffsetsPart| match self.partitions.get_mut(&part.partition) {
                        Some(partition) => partition.list_offset(cx, part, isolation),
                        None => Err(self.absent(part.partition)),
                    };
                let mut found = found;
                DataResponse::Offsets(parts.iter().map(|part| (part.index, found(part))).collect())
            }
            DataRequest::OffsetForLeaderEpoch { parts } => {
                let end = |part: &super::data::EpochPart| match self.partitions.get(&part.partition) {
                    Some(partition) => partition.epoch_end(part.current_leader_epoch, part.leader_epoch),
                    None => Err(self.absent(part.partition)),
                };
                DataResponse::EpochEnds(parts.iter().map(|part| (part.index, end(part))).collect())
            }
            DataRequest::DeleteRecords { parts } => {
                let mut moved = Vec::with_capacity(parts.len());
                for part in &parts {
                    let answer = match self.partitions.get_mut(&part.partition) {
                        Some(partition) => partition.delete_records(cx, part.offset),
                        None => Err(self.absent(part.partition)),
                    };
                    moved.push((part.index, answer));
                    self.touched(part.partition);
                }
                DataResponse::Deleted(moved)
            }
            DataRequest::WriteTxnMarkers { parts } => {
                let answers = parts.iter().map(|part| (part.index, self.end_transaction(cx, part))).collect();
                let unsynced = parts.iter().filter_map(|part| self.unsynced(part.partition, part.index));
                let unsynced = unsynced.collect();
                return self.acknowledge(cx, token, DataResponse::Marked(answers), unsynced);
            }
            DataRequest::DescribeProducers { parts } => {
                let known = |part: &super::data::Part| match self.partitions.get(&part.partition) {
                    Some(partition) => Ok(partition.producers()),
                    None => Err(self.absent(part.partition)),
                };
                DataResponse::Producers(parts.iter().map(|part| (part.index, known(part))).collect())
            }
            DataRequest::DescribeLogs => DataResponse::Logs(self.describe_logs(cx)),
        };
        self.reply(cx, token, response);
    }

    /// What is answered for a partition that is not among those that are served.
    fn absent(&self, id: TopicIdPartition) -> ErrorCode {
        if self.openings.has_failed(id) || self.not_created.contains_key(&id) {
            ErrorCode::KafkaStorageError
        } else {
            ErrorCode::NotLeaderOrFollower
        }
    }

    fn describe_logs(&self, cx: &mut Cx<'_, S>) -> Vec<DescribedLog> {
        let open = self.partitions.values().map(|partition| DescribedLog {
            partition: partition.id(),
            log_dir: partition.log_dir(),
            size: partition.size(),
        });
        let open: Vec<_> = open.collect();
        let waiting = self.openings.ids().filter_map(|id| {
            let (name, log_dir) = self.found(id)?;
            let files = cx.store.list(&partition::dir(&self.config, log_dir, &name)?).ok()?;
            let logs = files.iter().filter(|file| file.name.ends_with(LOG_SUFFIX));
            let size = logs.fold(0_u64, |size, file| size.saturating_add(file.len));
            Some(DescribedLog { partition: id, log_dir, size })
        });
        open.into_iter().chain(waiting).collect()
    }

    fn end_transaction(&mut self, cx: &mut Cx<'_, S>, part: &MarkerPart) -> Result<(), ErrorCode> {
        let absent = self.absent(part.partition);
        let partition = self.partitions.get_mut(&part.partition).ok_or(absent)?;
        let offset = partition.write_txn_marker(cx, part.end)?;
        let name = partition.name();
        if *name.topic == *OFFSETS_TOPIC {
            self.coordinators.transaction_ended(name.partition, partition, offset, part.end);
        }
        self.grew(cx, part.partition);
        Ok(())
    }

    /// Answers what was appended once it is as durable as the configuration asks for.
    fn acknowledge(
        &mut self,
        cx: &mut Cx<'_, S>,
        token: Token,
        response: DataResponse<S>,
        unsynced: Vec<Unsynced>,
    ) {
        if unsynced.is_empty() {
            self.reply(cx, token, response);
        } else {
            self.acknowledgements.add(token, response, unsynced);
        }
    }

    fn unsynced(&self, partition: TopicIdPartition, index: usize) -> Option<Unsynced> {
        let up_to = self.partitions.get(&partition)?.unsynced()?;
        Some(Unsynced { partition, up_to, index })
    }

    fn reply(&self, cx: &mut Cx<'_, S>, token: Token, response: DataResponse<S>) {
        let event = ConnectionEvent::Shard { request: token.request, shard: self.id, response };
        cx.effects.tell(Message::Connection(token.connection, event));
    }

    fn readable(
        &mut self,
        cx: &mut Cx<'_, S>,
        part: &WatchPart,
        isolation: super::data::Isolation,
    ) -> Result<super::data::Readable, ErrorCode> {
        match self.partitions.get_mut(&part.partition) {
            Some(partition) => partition.readable(cx, part, isolation),
            None => Err(self.absent(part.partition)),
        }
    }

    /// Records were appended: whoever waits hears of it, segments that were closed become durable.
    fn grew(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition) {
        for (token, part, isolation) in self.watches.of(id) {
            let seen = self.readable(cx, &part, isolation);
            self.reply(cx, token, DataResponse::Watched(vec![(part.index, seen)]));
        }
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if let Some((targets, reached)) = partition.to_sync(cx) {
            self.sync(cx, targets, Purpose::Flush(id, reached));
        } else if partition.failure().is_some() {
            self.refuse_unsynced(cx, id, ErrorCode::KafkaStorageError);
        }
        self.touched(id);
    }

    /// Something has happened to a partition: it may have another deadline, and news for the checkpoints.
    fn touched(&mut self, id: TopicIdPartition) {
        self.due.set(id, self.partitions.get(&id).and_then(|partition| partition.deadline()));
        self.touched.insert(id);
    }

    fn sync(&mut self, cx: &mut Cx<'_, S>, targets: Vec<SyncTarget<S>>, purpose: Purpose) {
        let token = self.next_sync;
        self.next_sync += 1;
        self.syncs.insert(token, purpose);
        cx.effects
            .push(Effect::Sync { targets, then: SyncCompletion { waiter: Waiter::Shard(self.id), token } });
    }

    /// A clean stop: everything goes to the disk, then the keeper of the directories is told where each partition ended.
    fn stop(&mut self, cx: &mut Cx<'_, S>) {
        self.stopping = true;
        self.cleaner.stop(cx, &mut self.partitions);
        let plans: Vec<_> = self
            .partitions
            .iter_mut()
            .filter_map(|(id, partition)| {
                partition.close(cx).map(|(targets, reached)| (*id, targets, reached))
            })
            .collect();
        for (id, targets, reached) in plans {
            self.sync(cx, targets, Purpose::Flush(id, reached));
        }
        self.stopped_when_synced(cx);
    }

    fn stopped_when_synced(&mut self, cx: &mut Cx<'_, S>) {
        if self.stopping && self.syncs.is_empty() {
            let failed = self.partitions().filter(|partition| partition.failure().is_some());
            let unopened = self.openings.unopened().filter_map(|(id, is_untouched)| {
                let (_, log_dir) = self.found(id)?;
                (!is_untouched || !self.checkpoints.is_clean(log_dir)).then_some(log_dir)
            });
            let not_created = self.not_created.values().copied();
            let unclean = failed.map(Partition::log_dir).chain(unopened).chain(not_created).collect();
            let event = LogDirsEvent::Stopped { shard: self.id, offsets: self.offsets(), unclean };
            cx.effects.tell(Message::LogDirs(event));
        }
    }

    fn synced(&mut self, cx: &mut Cx<'_, S>, token: u64, outcome: &SyncOutcome) {
        let Some(purpose) = self.syncs.remove(&token) else { return };
        match purpose {
            Purpose::Flush(id, reached) => self.flushed(cx, id, reached, outcome),
            Purpose::Rest(id, reached) => {
                self.rests -= 1;
                self.flushed(cx, id, reached, outcome);
                self.sync_idle(cx);
            }
            Purpose::Cleaning(id) => {
                self.cleaner.synced(cx.now.monotonic, id, outcome);
                if let SyncOutcome::Failed(reason) = outcome {
                    self.sync_failed(cx, id, reason);
                }
                self.touched(id);
            }
            Purpose::Opening(log_dir) if !self.stopping => {
                for (partition, reached) in self.openings.synced(log_dir) {
                    let id = partition.id();
                    self.partitions.insert(id, partition);
                    self.flushed(cx, id, reached, outcome);
                    self.opened(cx, id);
                }
                self.sync_opened(cx);
            }
            Purpose::Opening(_) => {}
        }
        self.stopped_when_synced(cx);
    }

    fn flushed(
        &mut self,
        cx: &mut Cx<'_, S>,
        id: TopicIdPartition,
        reached: (i64, u32),
        outcome: &SyncOutcome,
    ) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        match outcome {
            SyncOutcome::Done => {
                let has_committed = partition.synced(cx, reached);
                let acknowledged = self.acknowledgements.synced(id, partition.recovery_point());
                if has_committed {
                    self.committed(cx, id);
                }
                for (token, response) in acknowledged {
                    self.reply(cx, token, response);
                }
            }
            SyncOutcome::Failed(reason) => self.sync_failed(cx, id, reason),
        }
        self.touched(id);
    }

    fn sync_failed(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition, reason: &str) {
        if cx.traces.planted().is(Mutation::FailedSyncRetried) {
            return;
        }
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let (path, reason) = (partition.name().to_string(), reason.to_owned());
        partition.sync_failed(cx, &reason);
        cx.traces.fault(TraceEvent::StorageFailed { path, reason });
        self.refuse_unsynced(cx, id, ErrorCode::KafkaStorageError);
    }

    /// Has partitions synced that have been idle for a while, a few at a time.
    fn sync_idle(&mut self, cx: &mut Cx<'_, S>) {
        while !self.stopping
            && self.rests < RESTING_MAX
            && let Some(id) = self.resting.next(cx.now.monotonic)
        {
            self.resting.set(id, None);
            let plan = self.partitions.get_mut(&id).and_then(|partition| partition.rest(cx));
            if let Some((targets, reached)) = plan {
                self.rests += 1;
                self.sync(cx, targets, Purpose::Rest(id, reached));
            }
        }
    }

    /// Has the disk asked for what recovery did.
    fn sync_opened(&mut self, cx: &mut Cx<'_, S>) {
        for (log_dir, targets) in self.openings.take_syncs(&self.config.log_dirs) {
            self.sync(cx, targets, Purpose::Opening(log_dir));
        }
    }

    /// What was durable is committed now: whoever waits hears of it.
    fn committed(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition) {
        if let Some(partition) = self.partitions.get(&id)
            && *partition.name().topic == *OFFSETS_TOPIC
        {
            self.coordinators.committed(partition.name().partition, partition);
        }
        self.grew(cx, id);
        self.send_group_replies(cx);
    }

    fn log_dir_changed(&mut self, cx: &mut Cx<'_, S>, log_dir: LogDirId, state: LogDirState) {
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
        let mut failed = Vec::new();
        for (id, partition) in self.partitions.iter_mut().filter(|(_, it)| it.log_dir() == log_dir) {
            partition.log_dir_changed(state);
            failed.extend(partition.failure().is_some().then_some(*id));
        }
        for id in failed {
            self.refuse_unsynced(cx, id, ErrorCode::KafkaStorageError);
        }
    }

    /// There is room for partitions that could not be created.
    fn create_again(&mut self, cx: &mut Cx<'_, S>, log_dir: LogDirId) {
        let published = self.published.clone();
        let refused = self.not_created.iter().filter(|(_, refused)| **refused == log_dir);
        for id in refused.map(|(id, _)| *id).collect::<Vec<_>>() {
            let topic = published.image.topic_by_id(id.topic_id);
            if let Some(topic) = topic
                && let Some(registration) = topic.partitions.get(&id.partition)
            {
                let name = TopicPartition { topic: topic.name.clone(), partition: id.partition };
                self.place(cx, &published.image, id, name, registration);
            }
        }
    }

    fn refuse_unsynced(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition, error: ErrorCode) {
        for (token, response) in self.acknowledgements.failed(id, error) {
            self.reply(cx, token, response);
        }
    }

    fn metadata(&mut self, cx: &mut Cx<'_, S>, published: Arc<Published>) {
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
                self.remove(cx, id);
            }
        }
        self.coordinators.topics_deleted(cx.now.monotonic, delta.topics_deleted.values());
        let brokers_reconfigured =
            delta.configs_changed.iter().any(|resource| resource.kind == BROKER_CONFIG);
        if brokers_reconfigured {
            self.in_force = Arc::new(image.in_force(&self.config));
            self.cleaner.reconfigured(&self.in_force, self.shards);
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
                self.place(cx, image, id, name, registration);
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
    fn place(
        &mut self,
        cx: &mut Cx<'_, S>,
        image: &MetadataImage,
        id: TopicIdPartition,
        name: TopicPartition,
        registration: &PartitionRegistration,
    ) {
        if !registration.replicas.contains(&self.config.node_id)
            || self.openings.contains(id)
            || self.openings.has_failed(id)
        {
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
                Opening::start(cx, id, &self.in_force, config, place, false)?.finish_now(cx)
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
        self.lead(cx, id, registration);
    }

    /// Leads a partition that is open, if the metadata says so.
    fn lead(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition, registration: &PartitionRegistration) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if registration.leader == self.config.node_id {
            partition.become_leader(cx, registration);
            let name = partition.name().clone();
            if *name.topic == *OFFSETS_TOPIC {
                let rng = self.rng.fork();
                self.coordinators.load(cx, name.partition, partition, rng);
            }
        }
        if let Some((targets, reached)) = partition.to_sync(cx) {
            self.sync(cx, targets, Purpose::Flush(id, reached));
        }
        self.touched(id);
    }

    /// Opens what a client asks for, as far as that is soon done; the rest of it comes next.
    fn open_first(&mut self, cx: &mut Cx<'_, S>, asked: &[TopicIdPartition]) {
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
    fn found(&self, id: TopicIdPartition) -> Option<(TopicPartition, LogDirId)> {
        let name = name_of(&self.published.image, id)?;
        let log_dir = self.checkpoints.of(&name, id.topic_id, None)?.log_dir;
        Some((name, log_dir))
    }

    fn open_some(&mut self, cx: &mut Cx<'_, S>) {
        let mut budget = STEP_BYTES;
        for _ in 0..STEP_PARTITIONS {
            match self.openings.next() {
                Some(id) if budget > 0 => self.open_step(cx, id, &mut budget),
                _ => break,
            }
        }
        self.sync_opened(cx);
    }

    fn open_step(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition, budget: &mut u64) {
        let image = &self.published.image;
        let Some(name) = name_of(image, id) else {
            self.openings.remove(id);
            return;
        };
        let config = &topic_config(&mut self.topic_config, &self.in_force, image, &name.topic);
        let with = OpenWith { name: &name, broker: &self.in_force, config, checkpoints: &self.checkpoints };
        match self.openings.step(cx, id, budget, with) {
            Opened::Ready(partition) => {
                self.partitions.insert(id, partition);
                self.opened(cx, id);
            }
            Opened::More => {}
            Opened::Failed(reason) => {
                if *name.topic == *OFFSETS_TOPIC {
                    self.coordinators.unload(name.partition);
                }
                let path = name.to_string();
                cx.traces.fault(TraceEvent::StorageFailed { path, reason });
            }
        }
    }

    /// A partition that had waited is open: the metadata may have changed meanwhile.
    fn opened(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition) {
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
            self.lead(cx, id, registration);
        }
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

    /// Forgets a partition whose topic is gone; its directory goes later.
    fn remove(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition) {
        let known = match self.partitions.remove(&id) {
            Some(partition) => {
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
        self.refuse_unsynced(cx, id, ErrorCode::UnknownTopicOrPartition);
        for (token, part, _) in self.watches.of(id) {
            let gone = Err(ErrorCode::UnknownTopicOrPartition);
            self.reply(cx, token, DataResponse::Watched(vec![(part.index, gone)]));
        }
        if *name.topic == *OFFSETS_TOPIC {
            self.coordinators.unload(name.partition);
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

    /// For those who begin to watch; bounded, as what they draw is.
    fn survey(&self, cx: &mut Cx<'_, S>) {
        self.partitions.values().take(SURVEY_MAX).for_each(|partition| partition.trace(cx));
        self.coordinators.trace(cx, SURVEY_MAX);
    }

    fn tick(&mut self, cx: &mut Cx<'_, S>) {
        let now = cx.now.monotonic;
        let (due, later) = std::mem::take(&mut self.doomed).into_iter().partition(|(at, ..)| *at <= now);
        self.doomed = later;
        let due: Vec<(Instant, LogDirId, String)> = due;
        for (_, log_dir, path) in due {
            if let Err(error) = cx.store.remove(&path) {
                log_dirs::refused(cx, log_dir, &error);
                cx.traces.fault(TraceEvent::StorageFailed { path, reason: error.to_string() });
            }
        }
        if self.chores.retention <= now {
            self.chores.retention = now.plus_ms(self.config.log_retention_check_interval_ms);
            for (id, partition) in &mut self.partitions {
                let before = partition.log_start_offset();
                partition.retain(cx);
                self.due.set(*id, partition.deadline());
                if partition.log_start_offset() != before {
                    self.touched.insert(*id);
                }
            }
        }
        for id in self.due.by(now) {
            let Some(partition) = self.partitions.get_mut(&id) else { continue };
            partition.tick(cx);
            if let Some((targets, reached)) = partition.to_sync(cx) {
                self.sync(cx, targets, Purpose::Flush(id, reached));
            }
            self.touched(id);
        }
        self.sync_idle(cx);
        self.open_some(cx);
        if let Some((id, targets)) = self.cleaner.tick(cx, &mut self.partitions) {
            self.sync(cx, targets, Purpose::Cleaning(id));
        }
        for id in self.cleaner.take_touched() {
            self.touched(id);
        }
        if self.chores.checkpoint <= now {
            self.chores.checkpoint = now.plus_ms(self.config.replica_high_watermark_checkpoint_interval_ms);
            let idle_at = now.plus_ms(self.config.ottla_log_flush_idle_ms);
            let mut offsets = Vec::with_capacity(self.touched.len());
            for id in std::mem::take(&mut self.touched) {
                let Some(partition) = self.partitions.get(&id) else { continue };
                self.resting.set(id, partition.is_unflushed().then_some(idle_at));
                offsets.push(partition.offsets());
            }
            if !offsets.is_empty() {
                cx.effects.tell(Message::LogDirs(LogDirsEvent::Offsets { shard: self.id, offsets }));
            }
        }
        self.coordinators.tick(cx, &mut self.partitions);
        self.send_group_replies(cx);
    }

    /// Sends what coordinators have ready, and tells those who watch the offsets topic.
    fn send_group_replies(&mut self, cx: &mut Cx<'_, S>) {
        for (token, response) in self.coordinators.take_ready() {
            let event = ConnectionEvent::Group { request: token.request, response };
            cx.effects.tell(Message::Connection(token.connection, event));
        }
        for id in self.coordinators.take_grown() {
            self.grew(cx, id);
        }
    }
}

/// A topic's settings over the broker's; `last` is the one that was asked for before.
fn topic_config(
    last: &mut Option<(Str, Arc<TopicConfig>)>,
    broker: &BrokerConfig,
    image: &MetadataImage,
    topic: &Str,
) -> Arc<TopicConfig> {
    if let Some((name, config)) = last
        && name == topic
    {
        return config.clone();
    }
    let own = image.topic_configs(topic);
    let config = TopicConfig::new(broker, own.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let config = Arc::new(config);
    *last = Some((topic.clone(), config.clone()));
    config
}

impl<S: LogStore> Machine<S> for Shard<S> {
    type Event = ShardEvent;

    fn handle(&mut self, cx: &mut Cx<'_, S>, event: ShardEvent) {
        if self.stopping && !matches!(event, ShardEvent::Synced { .. }) {
            return;
        }
        match event {
            ShardEvent::Data { token, request } => self.data(cx, token, request),
            ShardEvent::Group { token, partition, request } => {
                if let Some(id) = self.coordinators.waits_for(partition) {
                    self.open_first(cx, &[id]);
                }
                self.coordinators.submit(cx, &mut self.partitions, token, partition, request);
                self.send_group_replies(cx);
            }
            ShardEvent::ConnectionClosed(connection) => self.watches.remove_connection(connection),
            ShardEvent::Metadata(published) => self.metadata(cx, published),
            ShardEvent::LogDir { log_dir, state } => self.log_dir_changed(cx, log_dir, state),
            ShardEvent::Survey => self.survey(cx),
            ShardEvent::Synced { token, outcome } => self.synced(cx, token, &outcome),
            ShardEvent::Stop => self.stop(cx),
            ShardEvent::Tick => self.tick(cx),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.stopping {
            return None;
        }
        let doomed = self.doomed.iter().map(|(at, ..)| *at).min();
        [
            self.openings.has_work().then_some(Instant(0)),
            Some(self.chores.retention),
            Some(self.chores.checkpoint),
            doomed,
            self.due.first(),
            self.resting.first().filter(|_| self.rests < RESTING_MAX),
            self.cleaner.deadline(),
            self.coordinators.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
