//! The partitions of a shard that were found on the disk and are not served yet.
//!
//! A start opens none of them. They wait here, and are opened in the background, a bounded number of bytes a step, so that the shard's
//! other partitions are served meanwhile. Whichever a client asks for goes first; after a clean stop it is opened at once.
//! Until then it is as if it were not here: NOT_LEADER_OR_FOLLOWER, upon which clients ask again.
//!
//! What was not stopped cleanly is served once the disk has what its recovery did: what was cut off must not come back. The disk is asked once for
//! all that a directory has ready, and again for those that have become ready meanwhile. What ends where it was last synced needs not to wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::config::{BrokerConfig, TopicConfig};
use crate::ids::{LogDirId, TopicIdPartition, TopicPartition};
use crate::log::LogStore;
use crate::log::log_dirs::Checkpoints;
use crate::machine::{Cx, SyncTarget};
use crate::metadata::MetadataImage;
use crate::partition::{Opening, Partition};
use crate::small_map::SmallMap;

/// Bytes of records that are read and checked before others have their turn.
pub(super) const STEP_BYTES: u64 = 1 << 20;
/// Partitions that are opened before others have their turn.
pub(super) const STEP_PARTITIONS: usize = 32;
/// Recovered partitions whose files are synced one by one; more of them have the whole directory synced.
const SYNCED_APART_MAX: usize = 4;

/// The partitions that are not open yet.
#[derive(Clone, Debug)]
pub(super) struct Openings<S: LogStore> {
    stages: BTreeMap<TopicIdPartition, Stage<S>>,
    /// Asked for by clients.
    urgent: VecDeque<TopicIdPartition>,
    queue: VecDeque<TopicIdPartition>,
    /// Recovered, by directory.
    recovered: SmallMap<LogDirId, Recovered<S>>,
    /// Could not be opened: KAFKA_STORAGE_ERROR.
    failed: BTreeSet<TopicIdPartition>,
}

#[derive(Clone, Debug)]
enum Stage<S: LogStore> {
    Waiting,
    /// Waiting too, but in the first row.
    Urgent,
    Opening(Box<Opening<S>>),
    Syncing(Box<Partition<S>>),
}

/// Partitions of a directory that wait for the disk.
#[derive(Clone, Debug)]
struct Recovered<S: LogStore> {
    /// What has to be synced, and up to which offset of which generation each log is durable then.
    waiting: Vec<(Vec<SyncTarget<S>>, TopicIdPartition, (i64, u32))>,
    /// The same for the sync under way.
    syncing: Vec<(TopicIdPartition, (i64, u32))>,
}

/// How far an opening has come.
#[derive(Debug)]
pub(super) enum Opened<S: LogStore> {
    /// It can be served.
    Ready(Box<Partition<S>>),
    /// There is more to read, or to [sync](Openings::take_syncs).
    More,
    /// It cannot be opened.
    Failed(String),
}

/// What partitions are opened with.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenWith<'a> {
    /// Its name.
    pub name: &'a TopicPartition,
    /// The broker's configuration.
    pub broker: &'a BrokerConfig,
    /// The topic's.
    pub config: &'a Arc<TopicConfig>,
    /// What the log directories said.
    pub checkpoints: &'a Checkpoints,
    /// Other brokers have replicas.
    pub has_others: bool,
}

impl<S: LogStore> Openings<S> {
    /// None yet.
    pub fn new() -> Self {
        Self {
            stages: BTreeMap::new(),
            urgent: VecDeque::new(),
            queue: VecDeque::new(),
            recovered: SmallMap::new(),
            failed: BTreeSet::new(),
        }
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether a partition waits.
    pub fn contains(&self, id: TopicIdPartition) -> bool {
        self.stages.contains_key(&id)
    }

    /// Whether a partition could not be opened.
    pub fn has_failed(&self, id: TopicIdPartition) -> bool {
        self.failed.contains(&id)
    }

    /// Those that wait.
    pub fn ids(&self) -> impl Iterator<Item = TopicIdPartition> {
        self.stages.keys().copied()
    }

    /// The first by id of those that wait.
    pub fn first(&self) -> Option<TopicIdPartition> {
        self.stages.keys().next().copied()
    }

    /// Those in a range that wait or have failed.
    pub fn of_topic(
        &self,
        range: RangeInclusive<TopicIdPartition>,
    ) -> impl Iterator<Item = TopicIdPartition> {
        let waiting = self.stages.range(range.clone()).map(|(id, _)| *id);
        waiting.chain(self.failed.range(range).copied())
    }

    /// Those that are not open at a stop, and whether they are as the last stop left them.
    pub fn unopened(&self) -> impl Iterator<Item = (TopicIdPartition, bool)> {
        let is_untouched = |stage: &Stage<S>| matches!(stage, Stage::Waiting | Stage::Urgent);
        let waiting = self.stages.iter().map(move |(id, stage)| (*id, is_untouched(stage)));
        waiting.chain(self.failed.iter().map(|id| (*id, false)))
    }

    /// What could not be opened is tried again: its directory may have room now.
    pub fn retry(&mut self) {
        for id in std::mem::take(&mut self.failed) {
            self.add(id);
        }
    }

    /// Another one waits.
    pub fn add(&mut self, id: TopicIdPartition) {
        if self.stages.insert(id, Stage::Waiting).is_none() {
            self.queue.push_back(id);
        }
    }

    /// A client asks for one: it is the next. False if it does not wait.
    pub fn urge(&mut self, id: TopicIdPartition) -> bool {
        let Some(stage) = self.stages.get_mut(&id) else { return false };
        if matches!(stage, Stage::Waiting) {
            *stage = Stage::Urgent;
            self.urgent.push_back(id);
        }
        true
    }

    /// One that is deleted needs not to be opened. True if it was here.
    pub fn remove(&mut self, id: TopicIdPartition) -> bool {
        self.failed.remove(&id) || self.stages.remove(&id).is_some()
    }

    /// Whether there is something to [step](Self::step).
    pub fn has_work(&self) -> bool {
        !self.urgent.is_empty() || !self.queue.is_empty()
    }

    /// The next to be stepped.
    pub fn next(&mut self) -> Option<TopicIdPartition> {
        loop {
            let id = *self.urgent.front().or(self.queue.front())?;
            match self.stages.get(&id) {
                Some(Stage::Waiting | Stage::Urgent | Stage::Opening(_)) => return Some(id),
                Some(Stage::Syncing(_)) | None => self.pop(id),
            }
        }
    }

    fn pop(&mut self, id: TopicIdPartition) {
        self.urgent.pop_front_if(|first| *first == id);
        self.queue.pop_front_if(|first| *first == id);
    }

    /// Goes on with one; takes what it has read off `budget`.
    pub fn step(
        &mut self,
        cx: &mut Cx<'_, S>,
        id: TopicIdPartition,
        budget: &mut u64,
        with: OpenWith<'_>,
    ) -> Opened<S> {
        let opening = match self.stages.remove(&id) {
            Some(Stage::Opening(opening)) => Ok(opening),
            Some(Stage::Waiting | Stage::Urgent) => start(cx, id, with),
            Some(stage @ Stage::Syncing(_)) => {
                self.stages.insert(id, stage);
                return Opened::More;
            }
            None => return Opened::More,
        };
        let stepped = opening.and_then(|mut opening| match opening.step(cx, budget)? {
            true => opening.finish(cx).map(|partition| Ok(Box::new(partition))),
            false => Ok(Err(opening)),
        });
        let mut partition = match stepped {
            Ok(Ok(partition)) => partition,
            Ok(Err(opening)) => {
                self.stages.insert(id, Stage::Opening(opening));
                return Opened::More;
            }
            Err(reason) => {
                self.failed.insert(id);
                return Opened::Failed(reason);
            }
        };
        match partition.to_sync(cx) {
            Some((targets, reached)) => {
                let recovered = self.recovered.or_default(partition.log_dir());
                recovered.waiting.push((targets, id, reached));
                self.stages.insert(id, Stage::Syncing(partition));
                Opened::More
            }
            None => Opened::Ready(partition),
        }
    }

    /// What has to be synced now for the partitions of a directory to be served; `paths` are those of the directories.
    pub fn take_syncs(&mut self, paths: &[String]) -> Vec<(LogDirId, Vec<SyncTarget<S>>)> {
        let mut syncs = Vec::new();
        for (log_dir, recovered) in &mut self.recovered {
            if recovered.waiting.is_empty() || !recovered.syncing.is_empty() {
                continue;
            }
            let is_many = recovered.waiting.len() > SYNCED_APART_MAX;
            let mut targets = Vec::new();
            for (its, id, reached) in recovered.waiting.drain(..) {
                targets.extend(its.into_iter().filter(|_| !is_many));
                recovered.syncing.push((id, reached));
            }
            if is_many {
                targets.extend(paths.get(usize::from(log_dir.0)).cloned().map(SyncTarget::Tree));
            }
            syncs.push((*log_dir, targets));
        }
        syncs
    }

    /// A sync of [`Openings::take_syncs`] ended: these partitions can be served, and are durable up to these offsets, of these generations.
    pub fn synced(&mut self, log_dir: LogDirId) -> Vec<(Box<Partition<S>>, (i64, u32))> {
        let Some(recovered) = self.recovered.get_mut(&log_dir) else { return Vec::new() };
        let syncing = std::mem::take(&mut recovered.syncing);
        syncing.into_iter().filter_map(|(id, reached)| Some((self.take_synced(id)?, reached))).collect()
    }

    /// A partition that waits for the disk, as if that had what it waits for. `None` if it does not, or has gone.
    pub fn take_synced(&mut self, id: TopicIdPartition) -> Option<Box<Partition<S>>> {
        match self.stages.remove(&id)? {
            Stage::Syncing(partition) => Some(partition),
            other => {
                self.stages.insert(id, other);
                None
            }
        }
    }
}

impl<S: LogStore> Default for Recovered<S> {
    fn default() -> Self {
        Self { waiting: Vec::new(), syncing: Vec::new() }
    }
}

fn start<S: LogStore>(
    cx: &mut Cx<'_, S>,
    id: TopicIdPartition,
    with: OpenWith<'_>,
) -> Result<Box<Opening<S>>, String> {
    let place = with.checkpoints.of(with.name, id.topic_id, None).ok_or("its directory is offline")?;
    let (config, is_clean) = (with.config.clone(), with.checkpoints.is_clean(place.log_dir));
    Opening::start(cx, id, with.broker, config, place, is_clean, with.has_others).map(Box::new)
}

/// A partition's name, while its topic is there.
pub(super) fn name_of(image: &MetadataImage, id: TopicIdPartition) -> Option<TopicPartition> {
    let topic = image.topic_by_id(id.topic_id)?;
    Some(TopicPartition { topic: topic.name.clone(), partition: id.partition })
}

#[cfg(test)]
mod tests;
