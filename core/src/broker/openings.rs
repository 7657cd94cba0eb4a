//! The partitions of a shard that were found on the disk and are not served yet.
//!
//! A start opens none of them. They wait here, and are opened in the background, a bounded number of bytes a step, so that the shard's
//! other partitions are served meanwhile. Whichever a client asks for goes first; after a clean stop it is opened at once.
//! Until then it is as if it were not here: NOT_LEADER_OR_FOLLOWER, upon which clients ask again.
//!
//! What was not stopped cleanly is served once the disk has what its recovery did: what was cut off must not come back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::config::{BrokerConfig, TopicConfig};
use crate::ids::{TopicIdPartition, TopicPartition};
use crate::log::LogStore;
use crate::log::log_dirs::Checkpoints;
use crate::machine::{Cx, SyncTarget};
use crate::metadata::MetadataImage;
use crate::partition::{Opening, Partition};

/// Bytes of records that are read and checked before others have their turn.
pub(super) const STEP_BYTES: u64 = 1 << 20;
/// Partitions that are opened before others have their turn.
pub(super) const STEP_PARTITIONS: usize = 32;

/// The partitions that are not open yet.
#[derive(Clone, Debug)]
pub(super) struct Openings<S: LogStore> {
    stages: BTreeMap<TopicIdPartition, Stage<S>>,
    /// Asked for by clients.
    urgent: VecDeque<TopicIdPartition>,
    queue: VecDeque<TopicIdPartition>,
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

/// How far an opening has come.
#[derive(Debug)]
pub(super) enum Opened<S: LogStore> {
    /// It can be served.
    Ready(Box<Partition<S>>),
    /// It can be once this is synced: [`Openings::synced`].
    Sync(Vec<SyncTarget<S>>, (i64, u32)),
    /// There is more to read.
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
}

impl<S: LogStore> Openings<S> {
    /// None yet.
    pub fn new() -> Self {
        Self {
            stages: BTreeMap::new(),
            urgent: VecDeque::new(),
            queue: VecDeque::new(),
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
                self.stages.insert(id, Stage::Syncing(partition));
                Opened::Sync(targets, reached)
            }
            None => Opened::Ready(partition),
        }
    }

    /// The sync that [`Opened::Sync`] asked for ended. `None` if the partition has gone meanwhile.
    pub fn synced(&mut self, id: TopicIdPartition) -> Option<Partition<S>> {
        match self.stages.remove(&id)? {
            Stage::Syncing(partition) => Some(*partition),
            other => {
                self.stages.insert(id, other);
                None
            }
        }
    }
}

fn start<S: LogStore>(
    cx: &mut Cx<'_, S>,
    id: TopicIdPartition,
    with: OpenWith<'_>,
) -> Result<Box<Opening<S>>, String> {
    let place = with.checkpoints.of(with.name, id.topic_id, None).ok_or("its directory is offline")?;
    let (config, is_clean) = (with.config.clone(), with.checkpoints.is_clean(place.log_dir));
    Opening::start(cx, id, with.broker, config, place, is_clean).map(Box::new)
}

/// A partition's name, while its topic is there.
pub(super) fn name_of(image: &MetadataImage, id: TopicIdPartition) -> Option<TopicPartition> {
    let topic = image.topic_by_id(id.topic_id)?;
    Some(TopicPartition { topic: topic.name.clone(), partition: id.partition })
}

#[cfg(test)]
mod tests;
