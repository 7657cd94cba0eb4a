//! [`LogDirs`]: the keeper of what belongs to a log directory as a whole.
//!
//! It reads the checkpoint files when the node starts, hears from the shards where their partitions stand, writes the checkpoints on
//! Kafka's schedule (the recovery points sooner, when there is news), and ends a clean stop with `.kafka_cleanshutdown`. A checkpoint is written beside the old one, synced,
//! and renamed over it; a directory that refuses a sync is left alone from then on.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;

use ottla_protocol::Uuid;

use super::checkpoint::{
    CLEANER_OFFSET_CHECKPOINT, LOG_START_OFFSET_CHECKPOINT, OffsetCheckpoint, RECOVERY_POINT_CHECKPOINT,
    REPLICATION_OFFSET_CHECKPOINT, format_offsets,
};
use super::file_names;
use super::log_dir_files::{self, CLEAN_SHUTDOWN_FILE};
use super::{LogError, LogStore, StoreError, reserve};
use crate::broker::{LifecycleEvent, Message, ShardEvent, shard_count};
use crate::config::BrokerConfig;
use crate::ids::{LogDirId, ShardId, TopicPartition};
use crate::machine::{Cx, Effect, Machine, SyncCompletion, SyncOutcome, SyncTarget, Waiter};
use crate::metadata::{MetadataImage, Published};
use crate::quorum::METADATA_TOPIC;
use crate::rng::Rng;
use crate::sim::mutation::Mutation;
use crate::small_map::{SmallMap, SmallSet};
use crate::time::Instant;
use crate::trace::TraceEvent;
use crate::tree::IntoTree as _;

/// What the keeper of the log directories is told.
#[derive(Clone, Debug)]
pub enum LogDirsEvent {
    /// Where the partitions of a shard stand; for the checkpoint files.
    Offsets {
        /// Whose.
        shard: ShardId,
        /// All of them.
        offsets: Vec<PartitionOffsets>,
    },
    /// A partition is gone.
    Removed(TopicPartition),
    /// Storage refused a partition of this directory.
    Refused {
        /// Which directory.
        log_dir: LogDirId,
        /// How.
        error: StoreError,
    },
    /// A shard has brought everything to the disk and serves no more.
    Stopped {
        /// Which.
        shard: ShardId,
        /// Where its partitions ended.
        offsets: Vec<PartitionOffsets>,
        /// The directories in which a partition had failed.
        unclean: SmallSet<LogDirId>,
    },
    /// A sync that was asked for ended.
    Synced {
        /// The number it was asked for with.
        token: u64,
        /// How it ended.
        outcome: SyncOutcome,
    },
    /// New metadata was committed.
    Metadata(Arc<Published>),
    /// The broker is registered.
    Registered {
        /// Its epoch, for the clean-shutdown file.
        epoch: i64,
    },
    /// A deadline passed.
    Tick,
}

/// What a log directory can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDirState {
    /// Everything.
    Online,
    /// Reads, and what makes room.
    Full,
    /// Nothing.
    Offline,
}

/// Where a partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOffsets {
    /// Which.
    pub partition: TopicPartition,
    /// Its directory.
    pub log_dir: LogDirId,
    /// For `recovery-point-offset-checkpoint`.
    pub recovery_point: i64,
    /// For `replication-offset-checkpoint`.
    pub high_watermark: i64,
    /// For `log-start-offset-checkpoint`.
    pub log_start_offset: i64,
    /// For `cleaner-offset-checkpoint`; `None` if it was never compacted.
    pub cleaned_up_to: Option<i64>,
}

/// What the files of the log directories said when the node started.
#[derive(Clone, Debug, Default)]
pub struct Checkpoints {
    /// By partition that was found, with the topic id that its directory names.
    partitions: BTreeMap<TopicPartition, (Option<Uuid>, PartitionOffsets)>,
    /// By directory; `None` if it is offline.
    directories: Vec<Option<Found>>,
    /// By directory, those too that went offline since.
    ids: Vec<Option<Uuid>>,
}

/// What a directory said of itself.
#[derive(Clone, Copy, Debug)]
struct Found {
    id: Option<Uuid>,
    /// Whether the last stop was clean.
    is_clean: bool,
}

/// What was found, until it can be handed out.
#[derive(Clone, Debug)]
struct Held {
    checkpoints: Checkpoints,
    rng: Rng,
    is_broker: bool,
    /// The newest.
    published: Option<Arc<Published>>,
}

impl Checkpoints {
    /// Where a partition is, or should be created: in the directory that the metadata assigns, if it has one here, else spread by name.
    /// What was found under the name of a topic with another id (deleted and created again) is not this partition's. `None` when it is, or
    /// may be, in a directory that is offline.
    pub fn of(
        &self,
        partition: &TopicPartition,
        topic_id: Uuid,
        assigned: Option<Uuid>,
    ) -> Option<PartitionOffsets> {
        match self.partitions.get(partition) {
            Some((found, offsets)) if found.is_none_or(|found| found == topic_id) => Some(offsets.clone()),
            _ => Some(PartitionOffsets {
                partition: partition.clone(),
                log_dir: self.place(partition, assigned)?,
                recovery_point: 0,
                high_watermark: 0,
                log_start_offset: 0,
                cleaned_up_to: None,
            }),
        }
    }

    /// A directory went offline: nothing is created in it.
    pub fn went_offline(&mut self, log_dir: LogDirId) {
        if let Some(directory) = self.directories.get_mut(usize::from(log_dir.0)) {
            *directory = None;
        }
    }

    /// Whether a directory was offline when it was looked at, or is since.
    pub fn is_offline(&self, log_dir: LogDirId) -> bool {
        matches!(self.directories.get(usize::from(log_dir.0)), Some(None))
    }

    /// What the cluster knows a directory by; `None` if it could not be read.
    pub fn directory_id(&self, log_dir: LogDirId) -> Option<Uuid> {
        self.ids.get(usize::from(log_dir.0)).copied().flatten()
    }

    /// Whether a partition was found.
    pub fn has(&self, partition: &TopicPartition, topic_id: Uuid) -> bool {
        let found = self.partitions.get(partition);
        found.is_some_and(|(found, _)| found.is_none_or(|found| found == topic_id))
    }

    /// A partition that was found is there no more.
    pub fn forget(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    /// Whether the last stop of a directory was clean.
    pub fn is_clean(&self, log_dir: LogDirId) -> bool {
        self.directories.get(usize::from(log_dir.0)).copied().flatten().is_some_and(|found| found.is_clean)
    }

    /// The partitions that were found.
    pub fn found(&self) -> impl Iterator<Item = (&TopicPartition, Option<Uuid>)> {
        self.partitions.iter().map(|(partition, (topic_id, _))| (partition, *topic_id))
    }

    /// Consecutive partitions of a topic go to consecutive directories.
    fn place(&self, partition: &TopicPartition, assigned: Option<Uuid>) -> Option<LogDirId> {
        let online = || (0..).zip(&self.directories).filter_map(|(id, found)| Some((id, (*found)?)));
        if let Some((id, _)) = online().find(|(_, found)| assigned.is_some() && found.id == assigned) {
            return Some(LogDirId(id));
        }
        let online: Vec<u16> = online().map(|(id, _)| id).collect();
        if assigned.is_some() && online.len() < self.directories.len() {
            return None;
        }
        let hash = partition
            .topic
            .bytes()
            .fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let nth = hash.wrapping_add(u64::from(partition.partition.unsigned_abs()));
        let nth = nth.checked_rem(online.len() as u64).and_then(|nth| usize::try_from(nth).ok());
        Some(LogDirId(nth.and_then(|nth| online.get(nth)).copied().unwrap_or(0)))
    }
}

/// The machine.
#[derive(Clone, Debug)]
pub struct LogDirs<S: LogStore> {
    directories: Vec<Directory>,
    /// Shards that are still serving.
    serving: SmallSet<ShardId>,
    stop: Stop,
    /// What is to be done when a sync has ended.
    pending: SmallMap<u64, Pending<S>>,
    next_token: u64,
    /// A partition has gone that the checkpoints still name.
    forgotten: bool,
    /// The checkpoints that say less than is known: no other is written again.
    news: SmallSet<&'static str>,
    high_watermarks: Schedule,
    recovery_points: Schedule,
    log_start_offsets: Schedule,
    broker_epoch: i64,
    previous_broker_epoch: i64,
    /// What was found, while nobody knows whose it is.
    held: Option<Held>,
    node_id: i32,
    shards: u16,
    reserve_bytes: u64,
    metadata_log_dir: String,
}

/// How long a full directory is left alone.
const LOOK_AGAIN_MS: i64 = 1_000;

#[derive(Clone, Debug)]
struct Directory {
    path: String,
    /// What the cluster knows it by; `None` if it was offline from the start.
    id: Option<Uuid>,
    state: LogDirState,
    /// When to see whether there is room again.
    look_again: Option<Instant>,
    /// No partition in it has failed.
    is_clean: bool,
    offsets: BTreeMap<TopicPartition, PartitionOffsets>,
}

/// How far a clean stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Serving.
    Waiting,
    /// The checkpoints are being written.
    Checkpoints,
    /// The clean-shutdown files are being written.
    CleanShutdown,
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Schedule {
    due: Instant,
    interval_ms: i64,
}

/// Files written beside the ones that they are to replace.
#[derive(Clone, Debug)]
struct Pending<S: LogStore> {
    directory: usize,
    names: Vec<&'static str>,
    files: Vec<S::File>,
    /// The renames have been done, and are being synced.
    renamed: bool,
}

impl<S: LogStore> LogDirs<S> {
    /// Looks at the directories of `log.dirs`. One that storage refuses is offline; all of them, an error.
    pub fn open(cx: &mut Cx<'_, S>, config: &BrokerConfig) -> Result<(Self, Checkpoints), LogError> {
        let mut checkpoints = Checkpoints::default();
        let mut directories = Vec::new();
        let (mut refused, mut previous, mut is_whole) = (None, None, true);
        for (id, path) in (0..).zip(&config.log_dirs) {
            let mut directory = Directory {
                path: path.clone(),
                id: None,
                state: LogDirState::Online,
                look_again: None,
                is_clean: true,
                offsets: BTreeMap::new(),
            };
            match log_dir_files::open(cx.store, path) {
                Ok(contents) => {
                    let found = Found { id: contents.directory_id, is_clean: contents.clean_shutdown };
                    checkpoints.directories.push(Some(found));
                    checkpoints.ids.push(found.id);
                    directory.id = found.id;
                    is_whole &= previous.is_none_or(|previous| Some(previous) == contents.broker_epoch);
                    previous = contents.broker_epoch;
                    is_whole &= previous.is_some();
                    for reason in &contents.broken {
                        let (path, reason) = (path.clone(), reason.clone());
                        cx.traces.fault(TraceEvent::StorageFailed { path, reason });
                    }
                    for found in &contents.partitions {
                        let offsets = offsets_of(&contents, found, LogDirId(id));
                        let partition = offsets.partition.clone();
                        checkpoints.partitions.insert(partition.clone(), (found.topic_id, offsets.clone()));
                        directory.offsets.insert(partition, offsets);
                    }
                }
                Err(error) => {
                    checkpoints.directories.push(None);
                    checkpoints.ids.push(None);
                    directory.state = LogDirState::Offline;
                    let (path, reason) = (path.clone(), error.to_string());
                    cx.traces.fault(TraceEvent::StorageFailed { path, reason });
                    refused = Some(error);
                }
            }
            directories.push(directory);
        }
        if !directories.iter().any(Directory::is_online) {
            return Err(refused.unwrap_or(LogError::Store(StoreError::NotFound)));
        }
        let schedule =
            |interval_ms: i64| Schedule { due: cx.now.monotonic.plus_ms(interval_ms), interval_ms };
        let mut log_dirs = Self {
            directories,
            serving: (0..shard_count(config)).map(ShardId).collect(),
            stop: Stop::Waiting,
            pending: SmallMap::new(),
            next_token: 0,
            forgotten: false,
            news: SmallSet::new(),
            high_watermarks: schedule(config.replica_high_watermark_checkpoint_interval_ms),
            recovery_points: schedule(i64::from(config.log_flush_offset_checkpoint_interval_ms)),
            log_start_offsets: schedule(i64::from(config.log_flush_start_offset_checkpoint_interval_ms)),
            broker_epoch: -1,
            previous_broker_epoch: previous.filter(|_| is_whole).unwrap_or(-1),
            held: None,
            node_id: config.node_id,
            shards: shard_count(config),
            reserve_bytes: u64::try_from(config.ottla_log_reserve_bytes).unwrap_or(0),
            metadata_log_dir: config.metadata_log_dir.clone(),
        };
        for index in 0..log_dirs.directories.len() {
            log_dirs.look_for_room(cx, index);
        }
        Ok((log_dirs, checkpoints))
    }

    /// Renames the directories of replicas that are not this node's (their topic was deleted while the node was on its way down, perhaps created
    /// again), so that nothing takes them for what they are not. Nobody removes them: that is for the operator, as in
    /// Apache Kafka.
    pub fn set_strays_aside(
        &mut self,
        cx: &mut Cx<'_, S>,
        checkpoints: &mut Checkpoints,
        rng: &mut Rng,
        image: &MetadataImage,
    ) -> Result<(), LogError> {
        let is_ours = |partition: &TopicPartition, topic_id: Option<Uuid>| {
            let topic = match topic_id {
                Some(topic_id) => image.topic_by_id(topic_id),
                // Its file was lost: whose it is only the name says.
                None => image.topic(&partition.topic),
            };
            let replica = topic.and_then(|topic| topic.partitions.get(&partition.partition));
            replica.is_some_and(|replica| replica.replicas.contains(&self.node_id))
        };
        let found = std::mem::take(&mut checkpoints.partitions);
        for (partition, (topic_id, offsets)) in found {
            let (topic, index) = (&partition.topic, partition.partition);
            let directory = self.directories.get_mut(usize::from(offsets.log_dir.0));
            if **topic == *METADATA_TOPIC || is_ours(&partition, topic_id) {
                checkpoints.partitions.insert(partition, (topic_id, offsets));
            } else if let Some(directory) = directory {
                let from = format!("{}/{}", directory.path, file_names::partition_dir(topic, index));
                let to = format!("{}/{}", directory.path, file_names::stray_dir(topic, index, rng.uuid()));
                cx.store.rename(&from, &to)?;
                directory.offsets.remove(&partition);
                cx.traces.fault(TraceEvent::ReplicaSetAside { partition, path: to });
            }
        }
        Ok(())
    }

    /// Keeps what was found until the metadata says whose it is: not before it knows of this life of the broker, which may have
    /// lost what the one before was trusted with.
    pub fn hold(&mut self, checkpoints: Checkpoints, rng: Rng, is_broker: bool) {
        self.held = Some(Held { checkpoints, rng, is_broker, published: None });
    }

    fn metadata(&mut self, cx: &mut Cx<'_, S>, published: &Arc<Published>) {
        if let Some(held) = &mut self.held {
            held.published = Some(Arc::clone(published));
            self.hand_out(cx);
        }
    }

    /// Tells the shards what was found, if the time has come.
    fn hand_out(&mut self, cx: &mut Cx<'_, S>) {
        let (node_id, epoch) = (self.node_id, self.broker_epoch);
        let is_planted = cx.traces.planted().is(Mutation::ServedBeforeRegistered);
        let is_known = |held: &mut Held| {
            let image = held.published.as_ref().map(|published| &published.image);
            let registered = image.and_then(|image| image.broker(node_id));
            image.is_some() && (!held.is_broker || is_planted)
                || registered.is_some_and(|broker| broker.epoch == epoch)
        };
        let Some(Held { mut checkpoints, mut rng, published: Some(published), .. }) =
            self.held.take_if(is_known)
        else {
            return;
        };
        if let Err(error) = self.set_strays_aside(cx, &mut checkpoints, &mut rng, &published.image) {
            return cx.effects.push(Effect::Halt { reason: error.to_string() });
        }
        let checkpoints = Arc::new(checkpoints);
        for id in 0..self.shards {
            cx.effects.tell(Message::Shard(ShardId(id), ShardEvent::Found(Arc::clone(&checkpoints))));
        }
    }

    /// The epoch of the broker when all directories were left in a clean stop; −1 if they were not.
    pub fn previous_broker_epoch(&self) -> i64 {
        self.previous_broker_epoch
    }

    /// What the cluster knows the directories by that serve.
    pub fn online(&self) -> impl Iterator<Item = Uuid> {
        self.directories.iter().filter(|directory| directory.is_online()).filter_map(|directory| directory.id)
    }

    /// The directories that do not serve.
    pub fn offline(&self) -> impl Iterator<Item = &str> {
        self.directories
            .iter()
            .filter(|directory| !directory.is_online())
            .map(|directory| directory.path.as_str())
    }

    fn hear(&mut self, offsets: Vec<PartitionOffsets>) {
        for offsets in offsets {
            let Some(directory) = self.directories.get_mut(usize::from(offsets.log_dir.0)) else { continue };
            let before = directory.offsets.insert(offsets.partition.clone(), offsets.clone());
            let names = [
                RECOVERY_POINT_CHECKPOINT,
                REPLICATION_OFFSET_CHECKPOINT,
                LOG_START_OFFSET_CHECKPOINT,
                CLEANER_OFFSET_CHECKPOINT,
            ];
            let is_news = |name: &&str| {
                before.as_ref().and_then(|before| Directory::value(before, name))
                    != Directory::value(&offsets, name)
            };
            self.news.extend(names.into_iter().filter(is_news));
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_, S>) {
        let now = cx.now.monotonic;
        for index in 0..self.directories.len() {
            if self
                .directories
                .get(index)
                .and_then(|directory| directory.look_again)
                .is_some_and(|at| at <= now)
            {
                self.look_for_room(cx, index);
            }
        }
        let schedules = [
            (&mut self.high_watermarks, REPLICATION_OFFSET_CHECKPOINT),
            (&mut self.recovery_points, RECOVERY_POINT_CHECKPOINT),
            (&mut self.log_start_offsets, LOG_START_OFFSET_CHECKPOINT),
        ];
        let mut names = Vec::new();
        for (schedule, name) in schedules {
            if schedule.due <= now {
                schedule.due = now.plus_ms(schedule.interval_ms.max(1));
                names.push(name);
            }
        }
        // What a crash has to read again is what lies past the recovery points: news of them go with the high watermarks.
        if !names.is_empty() {
            names.extend([RECOVERY_POINT_CHECKPOINT, CLEANER_OFFSET_CHECKPOINT]);
        }
        let names: SmallSet<_> = names.into_iter().filter(|name| self.news.remove(name)).collect();
        self.checkpoint(cx, &names.into_iter().collect::<Vec<_>>());
    }

    /// Writes what names a partition that has gone anew, once the files are free.
    fn forget(&mut self, cx: &mut Cx<'_, S>) {
        if self.forgotten && self.pending.is_empty() && self.stop == Stop::Waiting {
            self.forgotten = false;
            self.checkpoint(cx, &[RECOVERY_POINT_CHECKPOINT, CLEANER_OFFSET_CHECKPOINT]);
        }
    }

    /// Begins to write checkpoint files of all directories.
    fn checkpoint(&mut self, cx: &mut Cx<'_, S>, names: &[&'static str]) {
        for index in 0..self.directories.len() {
            let Some(directory) = self.directories.get(index).filter(|directory| directory.is_online())
            else {
                continue;
            };
            let busy: SmallSet<_> = self
                .pending
                .values()
                .filter(|pending| pending.directory == index)
                .flat_map(|pending| pending.names.iter().copied())
                .collect();
            let is_free = |name: &&&'static str| !busy.contains(*name) || self.stop == Stop::Checkpoints;
            let texts: Vec<_> =
                names.iter().filter(is_free).map(|name| (*name, directory.text(name))).collect();
            self.news.extend(names.iter().filter(|name| !is_free(name)).copied());
            self.write(cx, index, texts);
        }
    }

    /// Writes files beside the ones that they replace, and has them synced.
    fn write(&mut self, cx: &mut Cx<'_, S>, index: usize, texts: Vec<(&'static str, String)>) {
        let Some(directory) = self.directories.get(index).filter(|_| !texts.is_empty()) else { return };
        let path = directory.path.clone();
        let mut pending = Pending { directory: index, names: Vec::new(), files: Vec::new(), renamed: false };
        // A write that is still on its way loses its file to this one, which says the same and more.
        for (name, text) in texts {
            let path = format!("{path}/{name}");
            let mut written = write_beside(cx.store, &path, &text);
            if matches!(written, Err(StoreError::NoSpace)) {
                self.ran_out(cx, index);
                written = write_beside(cx.store, &path, &text);
            }
            match written {
                Ok(file) => {
                    pending.names.push(name);
                    pending.files.push(file);
                }
                // The file on the disk says less, which costs work after an unclean stop, and nothing else.
                Err(StoreError::NoSpace) => _ = self.news.insert(name),
                Err(error) => return self.fail(cx, index, &error.to_string()),
            }
        }
        if pending.files.is_empty() {
            return;
        }
        let targets = pending.files.iter().cloned().map(SyncTarget::File).collect();
        self.sync(cx, targets, pending);
    }

    fn sync(&mut self, cx: &mut Cx<'_, S>, targets: Vec<SyncTarget<S>>, pending: Pending<S>) {
        let token = self.next_token;
        self.next_token = token.wrapping_add(1);
        self.pending.insert(token, pending);
        cx.effects.push(Effect::Sync { targets, then: SyncCompletion { waiter: Waiter::LogDirs, token } });
    }

    fn synced(&mut self, cx: &mut Cx<'_, S>, token: u64, outcome: SyncOutcome) {
        let Some(mut pending) = self.pending.remove(&token) else { return };
        let index = pending.directory;
        if let SyncOutcome::Failed(reason) = outcome {
            self.fail(cx, index, &reason);
        } else if !pending.renamed
            && let Some(directory) = self.directories.get(index).filter(|directory| directory.is_online())
        {
            let path = directory.path.clone();
            for name in &pending.names {
                match cx.store.rename(&format!("{path}/{name}.tmp"), &format!("{path}/{name}")) {
                    // A newer write has taken the file along.
                    Ok(()) | Err(StoreError::NotFound) => {}
                    Err(error) => {
                        self.fail(cx, index, &error.to_string());
                        return self.proceed(cx);
                    }
                }
            }
            pending.renamed = true;
            self.sync(cx, vec![SyncTarget::Directory(path)], pending);
        }
        self.proceed(cx);
    }

    /// The directory is not to be trusted any more. Without any, or without that of the metadata, the node cannot go on, as in Apache Kafka.
    fn fail(&mut self, cx: &mut Cx<'_, S>, index: usize, reason: &str) {
        let Some(directory) = self.directories.get_mut(index).filter(|directory| directory.is_online())
        else {
            return;
        };
        directory.look_again = None;
        let (path, id, reason) = (directory.path.clone(), directory.id, reason.to_owned());
        self.set_state(cx, index, LogDirState::Offline);
        if let Some(id) = id {
            cx.effects.tell(Message::Lifecycle(LifecycleEvent::DirectoryFailed(id)));
        }
        cx.traces.fault(TraceEvent::StorageFailed { path: path.clone(), reason: reason.clone() });
        let needed = match self.directories.iter().any(Directory::is_online) {
            false => Some("no log directory is left"),
            true if path == self.metadata_log_dir => Some("the directory of the metadata is gone"),
            true => None,
        };
        if let Some(needed) = needed.filter(|_| self.stop == Stop::Waiting) {
            cx.effects.push(Effect::Halt { reason: format!("{needed}: {reason}") });
        }
    }

    /// The disk is full: what is in reserve is given back for what makes room.
    fn ran_out(&mut self, cx: &mut Cx<'_, S>, index: usize) {
        let Some(directory) = self.directories.get_mut(index).filter(|directory| directory.is_online())
        else {
            return;
        };
        directory.look_again = Some(cx.now.monotonic.plus_ms(LOOK_AGAIN_MS));
        let path = directory.path.clone();
        match reserve::give_back(cx.store, &path) {
            Ok(()) => {
                self.set_state(cx, index, LogDirState::Full);
            }
            Err(error) => self.fail(cx, index, &error.to_string()),
        }
    }

    /// There is room if the reserve can be taken.
    fn look_for_room(&mut self, cx: &mut Cx<'_, S>, index: usize) {
        let Some(directory) = self.directories.get_mut(index).filter(|directory| directory.is_online())
        else {
            return;
        };
        directory.look_again = None;
        let path = directory.path.clone();
        let taken = match directory.state {
            LogDirState::Full => reserve::take_with_spare(cx.store, &path, self.reserve_bytes),
            LogDirState::Online | LogDirState::Offline => reserve::take(cx.store, &path, self.reserve_bytes),
        };
        match taken {
            Ok(()) => self.set_state(cx, index, LogDirState::Online),
            Err(StoreError::NoSpace) => self.ran_out(cx, index),
            Err(error) => self.fail(cx, index, &error.to_string()),
        }
    }

    fn set_state(&mut self, cx: &mut Cx<'_, S>, index: usize, state: LogDirState) {
        let Some(directory) = self.directories.get_mut(index) else { return };
        if std::mem::replace(&mut directory.state, state) == state {
            return;
        }
        if state != LogDirState::Offline {
            let (path, is_full) = (directory.path.clone(), state == LogDirState::Full);
            cx.traces.fault(TraceEvent::DiskFull { path, is_full });
        }
        let log_dir = LogDirId(u16::try_from(index).unwrap_or(u16::MAX));
        for shard in 0..self.shards {
            cx.effects.tell(Message::Shard(ShardId(shard), ShardEvent::LogDir { log_dir, state }));
        }
    }

    fn stopped(&mut self, cx: &mut Cx<'_, S>, shard: ShardId, unclean: &SmallSet<LogDirId>) {
        self.serving.remove(&shard);
        for (id, directory) in (0..).zip(&mut self.directories) {
            directory.is_clean &= !unclean.contains(&LogDirId(id));
        }
        self.proceed(cx);
    }

    /// The next step of a clean stop, once the one before is on the disk.
    fn proceed(&mut self, cx: &mut Cx<'_, S>) {
        while self.pending.is_empty() && self.serving.is_empty() {
            match self.stop {
                Stop::Waiting => {
                    self.stop = Stop::Checkpoints;
                    let all = [
                        RECOVERY_POINT_CHECKPOINT,
                        REPLICATION_OFFSET_CHECKPOINT,
                        LOG_START_OFFSET_CHECKPOINT,
                        CLEANER_OFFSET_CHECKPOINT,
                    ];
                    self.checkpoint(cx, &all);
                }
                Stop::Checkpoints => {
                    self.stop = Stop::CleanShutdown;
                    for index in 0..self.directories.len() {
                        let is_clean = |directory: &Directory| directory.is_online() && directory.is_clean;
                        if self.directories.get(index).is_some_and(is_clean) {
                            let text = log_dir_files::clean_shutdown_text(self.broker_epoch);
                            self.write(cx, index, vec![(CLEAN_SHUTDOWN_FILE, text)]);
                        }
                    }
                }
                Stop::CleanShutdown => {
                    self.stop = Stop::Done;
                    cx.effects.push(Effect::Stopped);
                }
                Stop::Done => return,
            }
        }
    }
}

impl Directory {
    fn is_online(&self) -> bool {
        self.state != LogDirState::Offline
    }

    /// What a checkpoint says of a partition.
    fn value(offsets: &PartitionOffsets, name: &str) -> Option<i64> {
        match name {
            RECOVERY_POINT_CHECKPOINT => Some(offsets.recovery_point),
            REPLICATION_OFFSET_CHECKPOINT => Some(offsets.high_watermark),
            CLEANER_OFFSET_CHECKPOINT => offsets.cleaned_up_to,
            _ => (offsets.log_start_offset > 0).then_some(offsets.log_start_offset),
        }
    }

    fn text(&self, name: &str) -> String {
        let offsets: OffsetCheckpoint = self
            .offsets
            .values()
            .filter_map(|offsets| {
                let partition = &offsets.partition;
                Some(((partition.topic.to_string(), partition.partition), Self::value(offsets, name)?))
            })
            .into_map();
        format_offsets(&offsets)
    }
}

impl<S: LogStore> Machine<S> for LogDirs<S> {
    type Event = LogDirsEvent;

    fn handle(&mut self, cx: &mut Cx<'_, S>, event: LogDirsEvent) {
        match event {
            LogDirsEvent::Offsets { offsets, .. } => self.hear(offsets),
            LogDirsEvent::Removed(partition) => {
                for directory in &mut self.directories {
                    directory.offsets.remove(&partition);
                }
                // A new topic of this name must not be taken for a log that was synced so far.
                self.forgotten = true;
                self.forget(cx);
            }
            LogDirsEvent::Refused { log_dir, error } => {
                let index = usize::from(log_dir.0);
                match error {
                    StoreError::NoSpace => self.ran_out(cx, index),
                    error => self.fail(cx, index, &error.to_string()),
                }
            }
            LogDirsEvent::Stopped { shard, offsets, unclean } => {
                self.hear(offsets);
                self.stopped(cx, shard, &unclean);
            }
            LogDirsEvent::Synced { token, outcome } => {
                self.synced(cx, token, outcome);
                self.forget(cx);
            }
            LogDirsEvent::Metadata(published) => self.metadata(cx, &published),
            LogDirsEvent::Registered { epoch } => {
                self.broker_epoch = epoch;
                self.hand_out(cx);
            }
            LogDirsEvent::Tick => self.tick(cx),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let schedules = [self.high_watermarks, self.recovery_points, self.log_start_offsets];
        let looks = self.directories.iter().filter_map(|directory| directory.look_again);
        let dues = schedules.iter().map(|schedule| schedule.due).chain(looks);
        (self.stop == Stop::Waiting).then(|| dues.min())?
    }
}

/// Tells the keeper of the directories what storage has refused in one of them, if that is the directory's affair.
pub fn refused<S: LogStore>(cx: &mut Cx<'_, S>, log_dir: LogDirId, error: &StoreError) {
    if let StoreError::NoSpace | StoreError::Io(_) = error {
        cx.effects.tell(Message::LogDirs(LogDirsEvent::Refused { log_dir, error: error.clone() }));
    }
}

fn offsets_of(
    contents: &log_dir_files::LogDirContents,
    found: &log_dir_files::FoundPartition,
    log_dir: LogDirId,
) -> PartitionOffsets {
    let key = (found.topic.clone(), found.partition);
    let of = |offsets: &OffsetCheckpoint| offsets.get(&key).copied().unwrap_or(0);
    PartitionOffsets {
        partition: TopicPartition { topic: found.topic.as_str().into(), partition: found.partition },
        log_dir,
        recovery_point: of(&contents.recovery_points),
        high_watermark: of(&contents.high_watermarks),
        log_start_offset: of(&contents.log_start_offsets),
        cleaned_up_to: contents.cleaner_offsets.get(&key).copied(),
    }
}

fn write_beside<S: LogStore>(store: &mut S, path: &str, text: &str) -> Result<S::File, StoreError> {
    let path = format!("{path}.tmp");
    match store.remove(&path) {
        Ok(()) | Err(StoreError::NotFound) => {}
        Err(error) => return Err(error),
    }
    let file = store.create(&path)?;
    store.append(&file, &[IoSlice::new(text.as_bytes())])?;
    Ok(file)
}
