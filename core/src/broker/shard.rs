//! A shard: owner of a part of the node's partitions, and of the group coordinators on them.

mod directories;
mod opening;
mod passing_on;
mod placing;
mod replicas;
mod requests;
mod syncing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_protocol::Str;

use self::replicas::Replicas;
use super::acknowledgements::Acknowledgements;
use super::cleaner::Cleaner;
use super::coordinators::GroupCoordinators;
use super::due::Due;
use super::openings::Openings;
use super::watches::Watches;
use super::{ConnectionEvent, Message, ShardEvent};
use crate::config::{BrokerConfig, TopicConfig};
use crate::ids::{LogDirId, ShardId, TopicIdPartition};
use crate::log::LogStore;
use crate::log::log_dirs::{self, Checkpoints, LogDirState, LogDirsEvent, PartitionOffsets};
use crate::machine::{Cx, Effect, Machine};
use crate::metadata::quotas::QuotaKind;
use crate::metadata::{MetadataDelta, MetadataImage, Published};
use crate::metrics::{Measured, Meters};
use crate::partition::Partition;
use crate::replication::Throttles;
use crate::rng::Rng;
use crate::small_map::SmallMap;
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
    /// It does not know what is in the log directories yet: the newest metadata waits.
    is_waiting: bool,
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
    replicas: Replicas,
    throttles: Throttles,
    /// Partitions that could not be created, and the directory that refused: KAFKA_STORAGE_ERROR, until there is room.
    not_created: BTreeMap<TopicIdPartition, LogDirId>,
    /// What the log directories can take, where that has changed.
    log_dirs: SmallMap<LogDirId, LogDirState>,
    /// When the directories of deleted partitions go.
    doomed: Vec<(Instant, LogDirId, String)>,
    /// Syncs under way.
    syncs: SmallMap<u64, Purpose>,
    next_sync: u64,
    chores: Chores,
    /// What was done with replicas that are not here any more.
    retired: Meters,
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
    /// A shard without partitions; they come with the first metadata, once it is known what the log directories hold.
    pub fn new(
        id: ShardId,
        shards: u16,
        config: Arc<BrokerConfig>,
        checkpoints: Option<Arc<Checkpoints>>,
        now: Instant,
        mut rng: Rng,
    ) -> Self {
        let chores = Chores {
            retention: now.plus_ms(config.log_initial_task_delay_ms),
            checkpoint: now.plus_ms(config.replica_high_watermark_checkpoint_interval_ms),
        };
        let replicas = Replicas::new(config.node_id, id.0);
        Self {
            id,
            shards,
            coordinators: GroupCoordinators::new(&config),
            in_force: config.clone(),
            cleaner: Cleaner::new(&config, shards, rng.fork()),
            config,
            published: Published::first(MetadataImage::default(), -1, -1, 0),
            is_waiting: checkpoints.is_none(),
            checkpoints: checkpoints.unwrap_or_default(),
            partitions: BTreeMap::new(),
            openings: Openings::new(),
            topic_config: None,
            due: Due::default(),
            resting: Due::default(),
            rests: 0,
            touched: BTreeSet::new(),
            watches: Watches::default(),
            acknowledgements: Acknowledgements::default(),
            replicas,
            throttles: Throttles::default(),
            not_created: BTreeMap::new(),
            log_dirs: SmallMap::new(),
            doomed: Vec::new(),
            syncs: SmallMap::new(),
            next_sync: 0,
            chores,
            retired: Meters::default(),
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

    /// Something has happened to a partition: it may have another deadline, and news for the checkpoints.
    fn touched(&mut self, id: TopicIdPartition) {
        self.due.set(id, self.partitions.get(&id).and_then(|partition| partition.deadline()));
        self.touched.insert(id);
    }

    /// For those who begin to watch; bounded, as what they draw is.
    fn survey(&self, cx: &mut Cx<'_, S>) {
        self.partitions.values().take(SURVEY_MAX).for_each(|partition| partition.trace(cx));
        self.coordinators.trace(cx, SURVEY_MAX);
    }

    fn measure(&self, cx: &mut Cx<'_, S>) {
        let (mut topics, mut total) = (BTreeMap::<Str, Meters>::new(), self.retired);
        for partition in self.partitions.values() {
            topics.entry(partition.name().topic.clone()).or_default().add(partition.meters());
            total.add(partition.meters());
        }
        cx.effects.push(Effect::Measured(Box::new(Measured {
            shard: self.id,
            topics,
            total,
            replicas: self.partitions.values().map(|partition| partition.measure()).collect(),
            waiting: self.openings.ids().count(),
            groups: self.coordinators.groups(),
            delayed_fetches: self.watches.len(),
            delayed_produces: self.acknowledgements.len(),
            offline_log_dirs: self.offline_log_dirs().count(),
        })));
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
        self.expire_acknowledgements(cx);
        self.shrink_isrs(cx);
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
            ShardEvent::Data { token, request } => {
                if self.published.image.client_quotas.is_limited(QuotaKind::Request) {
                    cx.effects.push(Effect::Time(token.connection));
                }
                self.data(cx, token, request);
            }
            ShardEvent::Group { token, partition, request } => {
                if let Some(id) = self.coordinators.waits_for(partition) {
                    self.open_first(cx, &[id]);
                }
                self.coordinators.submit(cx, &mut self.partitions, token, partition, request);
                self.send_group_replies(cx);
            }
            ShardEvent::ConnectionClosed(connection) => self.watches.remove_connection(connection),
            ShardEvent::Found(checkpoints) => {
                (self.checkpoints, self.is_waiting) = (checkpoints, false);
                let published = (*self.published).clone();
                let delta = MetadataDelta::everything(&published.image);
                self.metadata(cx, Arc::new(Published { delta, ..published }));
            }
            ShardEvent::Metadata(published) if self.is_waiting => self.published = published,
            ShardEvent::Metadata(published) => self.metadata(cx, published),
            ShardEvent::LogDir { log_dir, state } => self.log_dir_changed(cx, log_dir, state),
            ShardEvent::Link(event) => self.link(event),
            ShardEvent::IsrAnswered(answers) => self.isr_answered(cx, answers),
            ShardEvent::Survey => self.survey(cx),
            ShardEvent::Measure => self.measure(cx),
            ShardEvent::Synced { token, outcome } => self.synced(cx, token, &outcome),
            ShardEvent::Stop => self.stop(cx),
            ShardEvent::Tick => self.tick(cx),
        }
        self.replicate(cx);
        self.reach_out(cx);
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
            self.acknowledgements.deadline(),
            self.replicas.deadline(),
            self.cleaner.deadline(),
            self.coordinators.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
