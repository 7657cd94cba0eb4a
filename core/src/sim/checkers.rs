//! What is promised of one node, and whether it was kept. Every checker counts how often there was something to check.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ottla_protocol::{ErrorCode, Str, Uuid};

use super::admin::{ABSENT, Known, Subject};
use super::history::{History, Stored, StoredLog};
use super::workload::{
    Acknowledged, ProducerKind, Read, STATIC_GROUP, TOPICS, Tag, is_compacted, is_shortened,
};
use super::{Host, SimDisk};
use crate::broker::cluster_view::OFFSETS_TOPIC;
use crate::coordinator::group::partition_for;
use crate::ids::TopicPartition;
use crate::log::{FetchIsolation, Log, LogStore};
use crate::record::{Compressors, batches};
use crate::time::Timestamp;

/// What is read of a log at once: little, so that reads begin in the middle of segments.
const READ_BYTES: u64 = 2_000;

/// Records of a log whose time is looked up, about.
const TIMES_MAX: usize = 3;

/// How the names of files end that are there only until a log is opened the next time.
const LEFTOVERS: [&str; 4] = [".deleted", ".cleaned", ".swap", ".tmp"];

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checker {
    /// After a process crash every log holds what it held.
    CrashKeepsLogs,
    /// After a power loss every log is a prefix of what it was.
    PowerLossKeepsPrefix,
    /// ... and holds at least what was synced.
    PowerLossKeepsSynced,
    /// Offsets of a log rise by one, checksums are right.
    LogsAreSound,
    /// The high watermark lies within the log.
    HighWatermarkInLog,
    /// What was acknowledged is in the log, unless a power loss took it.
    AcknowledgedIsThere,
    /// Compaction keeps the newest record of each key.
    CompactionKeepsNewest,
    /// A key whose deletion was forgotten has no records.
    DeletedStaysDeleted,
    /// Retention deletes what is old or too much, and nothing else.
    RetentionKeepsRecent,
    /// What a reader was led past is not there.
    NothingSkipped,
    /// An idempotent producer's record is in the log once.
    NoDuplicate,
    /// Records of a producer are in the order of sending.
    ProducerOrder,
    /// A producer id belongs to one producer.
    ProducerIdsUnique,
    /// No sequence of a producer is refused, unless a power loss took what it follows.
    SequencesAccepted,
    /// The leader epochs of a log are those of its batches, and every start raises them.
    LeaderEpochsRise,
    /// A consumer reads what is in the log, offset by offset.
    ReadInOrder,
    /// A group reads every record.
    EverythingIsRead,
    /// A group never commits past what was handed to its members.
    CommitsBehindReads,
    /// After a process crash a group's offsets and generation are what they were.
    CrashKeepsGroups,
    /// What a group coordinator acknowledged is so, unless a power loss undid it.
    AcknowledgedOffsets,
    /// The generations of a group rise, unless a power loss undid one.
    GenerationsRise,
    /// A partition has one owner in a generation.
    OneOwner,
    /// Metadata that was published is never lost.
    MetadataKept,
    /// Topics are what was acknowledged.
    AcknowledgedTopics,
    /// The quorum's epoch and producer ids never go back; every start raises the epoch.
    EpochRises,
    /// The first record from a point in time on is found.
    TimesAreFound,
    /// A log that was opened has no files of what was deleted or not finished.
    NothingLeftOver,
    /// A log directory that fails goes offline alone.
    DirectoryGoesAlone,
    /// A record of which a bit has turned over is cut or refused, and never served.
    CorruptionRefused,
    /// After the faults everybody makes progress.
    Recovers,
}

impl Checker {
    /// All of them.
    pub const ALL: [Self; 30] = [
        Self::CrashKeepsLogs,
        Self::PowerLossKeepsPrefix,
        Self::PowerLossKeepsSynced,
        Self::LogsAreSound,
        Self::HighWatermarkInLog,
        Self::AcknowledgedIsThere,
        Self::CompactionKeepsNewest,
        Self::DeletedStaysDeleted,
        Self::RetentionKeepsRecent,
        Self::NothingSkipped,
        Self::NoDuplicate,
        Self::ProducerOrder,
        Self::ProducerIdsUnique,
        Self::SequencesAccepted,
        Self::LeaderEpochsRise,
        Self::ReadInOrder,
        Self::EverythingIsRead,
        Self::CommitsBehindReads,
        Self::CrashKeepsGroups,
        Self::AcknowledgedOffsets,
        Self::GenerationsRise,
        Self::OneOwner,
        Self::MetadataKept,
        Self::AcknowledgedTopics,
        Self::EpochRises,
        Self::TimesAreFound,
        Self::NothingLeftOver,
        Self::DirectoryGoesAlone,
        Self::CorruptionRefused,
        Self::Recovers,
    ];
}

/// What a fault leaves of what a node held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Everything.
    Everything,
    /// Everything, and what it was writing.
    AtLeastEverything,
    /// Of each log a prefix, and perhaps something of what was being written.
    Prefix,
}

/// All that a node should remember, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The wall clock.
    pub at: Timestamp,
    /// By partition.
    pub logs: BTreeMap<TopicPartition, StoredLog>,
    /// What groups have committed, with the partition of the offsets topic that says so.
    pub committed: BTreeMap<(Str, TopicPartition), i64>,
    /// The partitions of the offsets topic that have a coordinator.
    pub coordinated: BTreeSet<i32>,
    generations: BTreeMap<Str, i32>,
    /// Ids, and how many partitions.
    pub topics: BTreeMap<Str, (Uuid, usize)>,
    /// It let clients in.
    was_open: bool,
    epoch: i32,
    next_producer_id: i64,
}

/// A log of which a bit has turned over.
#[derive(Clone, Debug)]
struct Damage {
    partition: TopicPartition,
    /// Of the batch.
    offset: i64,
    /// From here on there is what was written since.
    fresh_from: i64,
    /// It was synced, and may not be looked at when the log is opened.
    is_cold: bool,
    /// The broker has said so.
    is_told: bool,
}

/// The checkers and what they have seen.
#[derive(Clone, Debug, Default)]
pub struct Checkers {
    exercised: BTreeMap<Checker, u64>,
    violations: Vec<(Checker, String)>,
    acknowledged: Vec<Acknowledged>,
    /// How many of them the histories know.
    acknowledged_known: usize,
    histories: BTreeMap<TopicPartition, History>,
    /// Every (place, record) that was ever seen in a log.
    ever: BTreeSet<(TopicPartition, i64, Tag)>,
    /// What was handed out and not yet compared with a log.
    to_compare: Vec<(TopicPartition, i64, Option<Tag>)>,
    /// What readers of a log that grows shorter were led past, and not yet compared with it.
    skipped: Vec<(TopicPartition, Range<i64>)>,
    producer_ids: BTreeMap<i64, u32>,
    /// By member and partition: how often it has gone back.
    went_back: BTreeMap<(usize, TopicPartition), u32>,
    /// Next offset of each member and partition.
    expected: BTreeMap<(usize, TopicPartition), i64>,
    /// By group and partition: one past the highest offset handed out.
    read_up_to: BTreeMap<(&'static str, TopicPartition), i64>,
    read_tags: BTreeMap<&'static str, BTreeSet<Tag>>,
    owners: BTreeMap<(&'static str, u32, i32, TopicPartition), usize>,
    /// The last generation that a member heard of, and how often that was lower than the one before.
    generations: BTreeMap<(&'static str, usize), (i32, u32)>,
    ledger: BTreeMap<Subject, Known>,
    /// Offsets below were there before a power loss: a group may stand past what has taken their place.
    forgiven: BTreeMap<TopicPartition, i64>,
    power_losses: u32,
    /// How often the broker was started again, and how often since then a static member was fenced: each start may fence one.
    restarts: u32,
    fenced: u32,
    damage: Option<Damage>,
    /// The highest epoch of the quorum in which clients were let in.
    epoch_seen: i32,
    /// What is looked at is what the leaders of a cluster have committed.
    is_cluster: bool,
}

impl Checkers {
    /// Of a cluster: an append need not be in order there unless its producer is idempotent; what is not committed may go, and each replica
    /// is shortened and compacted by itself.
    pub fn of_cluster() -> Self {
        Self { is_cluster: true, ..Self::default() }
    }

    /// How often each had something to check.
    pub fn exercised(&self) -> &BTreeMap<Checker, u64> {
        &self.exercised
    }

    /// What was broken.
    pub fn violations(&self) -> &[(Checker, String)] {
        &self.violations
    }

    /// A bit of a record has turned over; a log that is cut before its batch ends at `fresh_from`.
    pub fn damaged(&mut self, topic: &str, partition: i32, offset: i64, fresh_from: i64, is_cold: bool) {
        let partition = TopicPartition { topic: topic.into(), partition };
        self.damage = Some(Damage { partition, offset, fresh_from, is_cold, is_told: false });
    }

    /// Whether there is a log of which a bit has turned over.
    pub fn has_damage(&self) -> bool {
        self.damage.is_some()
    }

    /// Whether it is this one.
    pub fn is_damaged(&self, topic: &str, partition: i32) -> bool {
        let is_it =
            |damage: &Damage| *damage.partition.topic == *topic && damage.partition.partition == partition;
        self.damage.as_ref().is_some_and(is_it)
    }

    /// The broker has cut or refused a log; whether that is one of which a bit has turned over.
    pub fn refused(&mut self, name: &str) -> bool {
        let Some(damage) = &mut self.damage else { return false };
        let is_it = damage.partition.to_string() == name;
        damage.is_told |= is_it;
        is_it
    }

    /// Partitions of a device that have failed.
    pub fn failed_in(&self, host: Option<&Host<SimDisk>>, device: usize) -> usize {
        let shards = host.and_then(|host| host.node()).map(|node| node.shards.iter()).into_iter().flatten();
        shards
            .flat_map(|shard| shard.partitions())
            .filter(|partition| usize::from(partition.log_dir().0) == device && partition.failure().is_some())
            .count()
    }

    /// Counts, and notes what is broken.
    pub fn check(&mut self, checker: Checker, holds: bool, say: impl FnOnce() -> String) {
        *self.exercised.entry(checker).or_default() += 1;
        if !holds {
            self.violations.push((checker, say()));
        }
    }

    /// A producer was told that records have arrived.
    pub fn acknowledged(&mut self, records: Vec<Acknowledged>) {
        self.acknowledged.extend(records);
    }

    /// A key is to be deleted: until that is acknowledged nobody can say what its newest record is.
    pub fn deletes(&mut self, partition: TopicPartition, key: &[u8]) {
        self.histories.entry(partition).or_default().deletes(digest(&[key]));
    }

    /// What the administrator was told is so.
    pub fn told(&mut self, ledger: &BTreeMap<Subject, Known>) {
        self.ledger.clone_from(ledger);
    }

    /// How often a producer whose every record arrived has needed a new id.
    pub fn renewed(&mut self, producer: u32, times: u64) {
        let holds = times == 0 || self.power_losses > 0 || self.damage.is_some();
        self.check(Checker::SequencesAccepted, holds, || {
            format!("producer {producer} had to begin {times} new sequences")
        });
    }

    /// Whether every group has read a record, or stands past it since before a power loss.
    pub fn all_have_read(&self, tag: Tag, groups: &[(&'static str, usize)]) -> bool {
        let is_forgiven = |ack: &Acknowledged| {
            let below = self.forgiven.get(&ack.partition).copied().unwrap_or(0);
            let start = self.histories.get(&ack.partition).map_or(0, |history| history.log_start_offset);
            ack.tag == tag && (0..below.max(start)).contains(&ack.offset)
        };
        if self.acknowledged.iter().rev().any(is_forgiven) {
            return true;
        }
        groups.iter().all(|(group, _)| self.read_tags.get(group).is_some_and(|tags| tags.contains(&tag)))
    }

    /// What happened to a member of a group.
    pub fn read(&mut self, group: &'static str, member: usize, events: Vec<Read>) {
        for event in events {
            match event {
                Read::Assigned { generation_id, partitions } => {
                    self.expected.retain(|(owner, _), _| *owner != member);
                    let (last, fallen) = self.generations.entry((group, member)).or_default();
                    let before = std::mem::replace(last, generation_id);
                    *fallen += u32::from(generation_id < before);
                    let rises = before <= generation_id || *fallen <= self.power_losses;
                    self.check(Checker::GenerationsRise, rises, || {
                        format!("member {member} of {group} went from generation {before} to {generation_id}")
                    });
                    for partition in partitions {
                        let key = (group, self.power_losses, generation_id, partition);
                        let owner = *self.owners.entry(key.clone()).or_insert(member);
                        let is_one = owner == member || group == STATIC_GROUP;
                        self.check(Checker::OneOwner, is_one, || {
                            format!("{key:?} belongs to members {owner} and {member}")
                        });
                    }
                }
                Read::Revoked => self.expected.retain(|(owner, _), _| *owner != member),
                // The coordinator has not written down that the member had taken another's place.
                Read::Refused(ErrorCode::FencedInstanceId) if self.fenced < self.restarts => self.fenced += 1,
                Read::Refused(error) => self.check(Checker::Recovers, false, || {
                    format!("{group} refuses its member {member} for good: {error:?}")
                }),
                Read::Corrupt(partition, reason) => {
                    let is_damaged = self.is_damaged(&partition.topic, partition.partition);
                    self.check(Checker::CorruptionRefused, is_damaged, || format!("{partition}: {reason}"));
                }
                Read::Record { partition, offset, tag } => {
                    let next = self.expected.insert((member, partition.clone()), offset + 1);
                    if let Some(next) = next {
                        let grows_shorter = is_compacted(&partition.topic) || is_shortened(&partition.topic);
                        if grows_shorter && next < offset {
                            self.skipped.push((partition.clone(), next..offset));
                        }
                        let holds = next == offset
                            || (grows_shorter && next < offset)
                            || self.is_damaged(&partition.topic, partition.partition)
                            || self.may_go_back(member, &partition, offset, next);
                        self.check(Checker::ReadInOrder, holds, || {
                            format!("{group} reads {offset} of {partition} where {next} follows")
                        });
                    }
                    let up_to = self.read_up_to.entry((group, partition.clone())).or_default();
                    *up_to = (*up_to).max(offset + 1);
                    self.read_tags.entry(group).or_default().extend(tag);
                    self.to_compare.push((partition, offset, tag));
                }
            }
        }
    }

    /// Whether a power loss explains that a member begins again further down: each does so once. Where records are deleted, so may a leader that
    /// is cut off: it alone begins where it was told to, and sends those who read below away to one that still begins further down.
    fn may_go_back(&mut self, member: usize, partition: &TopicPartition, offset: i64, next: i64) -> bool {
        let times = self.went_back.entry((member, partition.clone())).or_default();
        *times += 1;
        let is_cut_off = is_shortened(&partition.topic);
        let times_max = if is_cut_off { self.power_losses.max(self.restarts) } else { self.power_losses };
        offset < next && *times <= times_max
    }

    /// Looks at a node that runs, and holds what clients were told against it. `None` when none runs.
    pub fn snapshot(&mut self, host: &Host<SimDisk>, now: Timestamp) -> Option<Snapshot> {
        let snapshot = self.look(host, now)?;
        self.compare(&snapshot);
        Some(snapshot)
    }

    /// Looks at a node that runs. `None` when none does.
    pub fn look(&mut self, host: &Host<SimDisk>, now: Timestamp) -> Option<Snapshot> {
        let mut sound = host.clone();
        sound.store = host.store.untroubled();
        let (node, mut store) = sound.all_open()?;
        let mut snapshot = Snapshot::default();
        for partition in node.shards.iter().flat_map(|shard| shard.partitions()) {
            let name = partition.name().clone();
            let mut log = partition.log().clone();
            let (high_watermark, end) = (log.high_watermark(), log.log_end_offset());
            self.check(Checker::HighWatermarkInLog, high_watermark <= end, || {
                format!("{name}: high watermark {high_watermark}, end {end}")
            });
            let (recovery_point, leader_epoch) = (log.recovery_point(), partition.leader_epoch());
            let config = log.config();
            let mut stored = StoredLog {
                device: usize::from(partition.log_dir().0),
                recovery_point,
                start: log.log_start_offset(),
                end,
                leader_epoch,
                size: log.size(),
                is_compacted: config.compact,
                is_shortened: config.delete,
                retention_ms: config.retention_ms,
                retention_bytes: config.retention_bytes,
                delete_retention_ms: config.delete_retention_ms,
                high_watermark,
                leftovers: leftovers(&mut store, log.dir()),
                records: Vec::new(),
            };
            self.check(Checker::LogsAreSound, recovery_point <= end, || {
                format!("{name}: {recovery_point} is the recovery point, {end} the end")
            });
            let newest = log.leader_epochs().latest();
            self.check(
                Checker::LeaderEpochsRise,
                newest.is_none_or(|entry| entry.start_offset <= end),
                || format!("{name}: {newest:?}, it ends at {end}"),
            );
            let mut next = log.log_start_offset();
            while next < end {
                let before = next;
                let read = log.read(&mut store, next, READ_BYTES, FetchIsolation::LogEnd, true, None);
                // Compaction may have left nothing up to the end.
                if stored.is_compacted && read.as_ref().is_ok_and(|read| read.records.is_none()) {
                    break;
                }
                let slice = read.ok().and_then(|read| read.records);
                let bytes = slice.and_then(|slice| store.read_slice(&slice).ok()).unwrap_or_default();
                for batch in batches(&bytes) {
                    let Ok(batch) = batch else { break };
                    let header = *batch.header();
                    let follows = match stored.is_compacted {
                        true => header.base_offset >= next,
                        false => header.base_offset == next,
                    };
                    let is_corrupt = batch.check_crc().is_err();
                    if is_corrupt && self.is_damaged(&name.topic, name.partition) {
                        self.check_refusal(&name, header.base_offset);
                        // Where it ends is not to be believed either.
                        next = next.max(header.base_offset) + 1;
                        continue;
                    }
                    let follows = follows || self.is_damaged(&name.topic, name.partition);
                    let sound = !is_corrupt && follows;
                    self.check(Checker::LogsAreSound, sound, || {
                        format!("{name}: a batch from {} where {next} follows", header.base_offset)
                    });
                    let (of_batch, of_log) = (
                        header.partition_leader_epoch,
                        log.leader_epochs().epoch_for_offset(header.base_offset),
                    );
                    // A start of the log that its leader has moved up may be forgotten in a crash, which the epochs are not.
                    let first = log.leader_epochs().earliest().map_or(0, |entry| entry.start_offset);
                    let is_before = self.is_cluster && header.base_offset < first;
                    let known = (is_before || of_log == Some(of_batch)) && of_batch <= leader_epoch;
                    self.check(Checker::LeaderEpochsRise, known, || {
                        let offset = header.base_offset;
                        format!("{name}: {offset} is of epoch {of_batch}, the log says {of_log:?}, {leader_epoch} leads")
                    });
                    let Ok(records) = batch.records(&Compressors::default()) else { break };
                    for record in records.flatten() {
                        if record.offset < next {
                            continue;
                        }
                        let (key, value) = (record.key.as_deref(), record.value.as_deref());
                        let workload = !name.topic.starts_with("__");
                        let first = record.headers.first().and_then(|header| header.value.as_deref());
                        stored.records.push(Stored {
                            offset: record.offset,
                            producer_id: header.producer_id,
                            tag: if workload { Tag::of(value, first) } else { None },
                            key: key.map(|key| digest(&[key])),
                            is_tombstone: value.is_none(),
                            timestamp: record.timestamp,
                            digest: digest(&[key.unwrap_or_default(), value.unwrap_or_default()]),
                        });
                    }
                    next = header.next_offset();
                }
                if next == before {
                    let is_damaged = self.is_damaged(&name.topic, name.partition);
                    let nothing = || format!("{name}: nothing to read at {next}");
                    self.check(Checker::LogsAreSound, is_damaged, nothing);
                    break;
                }
            }
            if !self.is_damaged(&name.topic, name.partition) {
                self.check_times(&name, &log, &mut store, &stored.records);
            }
            if self.is_damaged(&name.topic, name.partition) {
                // What can be read is right; nothing else is asked of it.
                for record in &stored.records {
                    let Some(tag) = record.tag else { continue };
                    let key = (name.clone(), record.offset, tag);
                    // Of a compacted log it may have come and gone between two looks.
                    let first = Tag { producer: 0, number: 0 };
                    let others =
                        (name.clone(), record.offset, first)..(name.clone(), record.offset + 1, first);
                    let is_unknown = stored.is_compacted && self.ever.range(others).next().is_none();
                    let known =
                        record.offset >= self.fresh_from(&name) || is_unknown || self.ever.contains(&key);
                    self.check(Checker::CorruptionRefused, known, || {
                        format!("{name}: {tag:?} is read at {}, where it never was", record.offset)
                    });
                }
                continue;
            }
            snapshot.logs.insert(name, stored);
        }
        for (index, runtime) in node.shards.iter().flat_map(|shard| shard.coordinators().active()) {
            snapshot.coordinated.insert(index);
            let state = runtime.committed();
            for (group, topics) in state.offsets().iter() {
                for (topic, partition, offset) in crate::coordinator::group::offsets::partitions(topics) {
                    let partition = TopicPartition { topic: topic.clone(), partition };
                    snapshot.committed.insert((group.clone(), partition), offset.committed_offset);
                }
            }
            for (group, value) in state.groups() {
                snapshot.generations.extend(value.map(|value| (group.clone(), value.generation)));
            }
        }
        snapshot.at = now;
        snapshot.was_open = host.is_open();
        let image = &node.published.image;
        snapshot.topics = image
            .topics_by_name()
            .map(|topic| (topic.name.clone(), (topic.id, topic.partitions.size())))
            .collect();
        snapshot.epoch = node.controller.quorum().epoch();
        snapshot.next_producer_id = image.next_producer_id.unwrap_or(0);
        Some(snapshot)
    }

    /// What must hold of a node at every moment.
    pub fn compare(&mut self, snapshot: &Snapshot) {
        for (name, log) in &snapshot.logs {
            let mut newest: BTreeMap<u32, u32> = BTreeMap::new();
            let mut seen: BTreeSet<Tag> = BTreeSet::new();
            for record in &log.records {
                let Some(tag) = record.tag else { continue };
                self.ever.insert((name.clone(), record.offset, tag));
                let is_idempotent = ProducerKind::of(tag.producer).is_idempotent();
                let is_first = seen.insert(tag);
                if is_idempotent {
                    self.check(Checker::NoDuplicate, is_first, || format!("{name}: {tag:?} is there twice"));
                    let owner = *self.producer_ids.entry(record.producer_id).or_insert(tag.producer);
                    self.check(Checker::ProducerIdsUnique, owner == tag.producer, || {
                        format!("{} is the id of producers {owner} and {}", record.producer_id, tag.producer)
                    });
                }
                // Of a record that is there twice, compaction may have left the second.
                if is_first && (is_idempotent || !(log.is_compacted || self.is_cluster)) {
                    let before = newest.insert(tag.producer, tag.number);
                    self.check(
                        Checker::ProducerOrder,
                        before.is_none_or(|before| before < tag.number),
                        || format!("{name}: {tag:?} comes after {before:?}"),
                    );
                }
            }
        }
        self.compare_with_histories(snapshot);
        for (partition, offset, tag) in std::mem::take(&mut self.to_compare) {
            if self.is_damaged(&partition.topic, partition.partition) {
                continue;
            }
            let grows_shorter = is_compacted(&partition.topic) || is_shortened(&partition.topic);
            let log = snapshot.logs.get(&partition);
            if self.is_cluster && log.is_none_or(|log| offset >= log.end) {
                self.to_compare.push((partition, offset, tag));
                continue;
            }
            // It may have come, been read and gone between two looks.
            let is_gone = grows_shorter && log.is_none_or(|log| log.at(offset).is_none());
            let known =
                tag.is_some_and(|tag| is_gone || self.ever.contains(&(partition.clone(), offset, tag)));
            self.check(Checker::ReadInOrder, known, || {
                format!("{tag:?} was read at {offset} of {partition}, where it never was")
            });
        }
        for ((group, partition), committed) in &snapshot.committed {
            let Some(group) =
                super::workload::GROUPS.iter().map(|(name, _)| *name).find(|name| **name == **group)
            else {
                continue;
            };
            let read = self.read_up_to.get(&(group, partition.clone())).copied().unwrap_or(0);
            let log = snapshot.logs.get(partition);
            // Without a leader nobody can say what there was to read.
            if self.is_cluster && log.is_none() {
                continue;
            }
            // What was compacted or deleted is passed by, not read.
            let is_passed = |log: &StoredLog| {
                let grows_shorter = is_compacted(&partition.topic) || is_shortened(&partition.topic);
                grows_shorter && log.between(read, *committed).is_empty()
            };
            let holds = *committed <= read || log.is_some_and(is_passed);
            let holds = holds || self.is_damaged(&partition.topic, partition.partition);
            self.check(Checker::CommitsBehindReads, holds, || {
                format!("{group} has committed {committed} of {partition} and read up to {read}")
            });
        }
        for (subject, known) in std::mem::take(&mut self.ledger) {
            if let (Some(acknowledged), Some((checker, is))) = (known.acknowledged, snapshot.at(&subject)) {
                self.check(checker, is == acknowledged || known.asked == Some(is), || {
                    format!("{subject:?} is {is}, known: {known:?}")
                });
            }
            self.ledger.insert(subject, known);
        }
    }

    /// Looks up the times of some of its records.
    fn check_times(
        &mut self,
        name: &TopicPartition,
        log: &Log<SimDisk>,
        store: &mut SimDisk,
        records: &[Stored],
    ) {
        for record in records.iter().step_by((records.len() / TIMES_MAX).max(1)) {
            let first = records.iter().find(|other| other.timestamp >= record.timestamp);
            let expected = first.map(|first| first.offset);
            let found = log.fetch_offset_by_timestamp(store, &Compressors::default(), record.timestamp);
            let holds = found.as_ref().is_ok_and(|found| found.map(|found| found.offset) == expected);
            self.check(Checker::TimesAreFound, holds, || {
                format!("{name}: {} is first at {expected:?}, found {found:?}", record.timestamp)
            });
        }
    }

    /// A batch that is still in a damaged log, and wrong: it was synced, or the log was not opened since.
    fn check_refusal(&mut self, name: &TopicPartition, offset: i64) {
        let Some(damage) = self.damage.clone() else { return };
        let holds = damage.is_cold && damage.offset == offset;
        self.check(Checker::CorruptionRefused, holds, || format!("{name}: {damage:?} is still there"));
    }

    /// From where on a damaged log may hold what was written since.
    fn fresh_from(&self, name: &TopicPartition) -> i64 {
        let is_it = |damage: &&Damage| damage.partition == *name;
        self.damage.as_ref().filter(is_it).map_or(0, |damage| damage.fresh_from)
    }

    /// Takes what producers were told into the histories of the logs.
    pub fn learn_acknowledged(&mut self) {
        let fresh = self.acknowledged.split_off(self.acknowledged_known);
        for ack in fresh {
            let is_damaged = self.is_damaged(&ack.partition.topic, ack.partition.partition);
            if ack.offset >= 0 && !is_damaged {
                let history = self.histories.entry(ack.partition.clone()).or_default();
                let known = history.acknowledged(&ack, ack.key.as_deref().map(|key| digest(&[key])));
                self.check(Checker::AcknowledgedIsThere, known.is_ok(), || {
                    format!("{}: {known:?}", ack.partition)
                });
            }
            self.acknowledged.push(ack);
        }
        self.acknowledged_known = self.acknowledged.len();
    }

    /// Holds every log against everything that was ever known of it.
    fn compare_with_histories(&mut self, snapshot: &Snapshot) {
        self.learn_acknowledged();
        for (name, log) in &snapshot.logs {
            let findings = self.histories.entry(name.clone()).or_default().look(log, snapshot.at);
            let keeps = match log.is_compacted {
                true => Checker::CompactionKeepsNewest,
                false => Checker::AcknowledgedIsThere,
            };
            let exercised = [
                (keeps, if log.is_compacted { findings.compacted } else { findings.kept }),
                (Checker::DeletedStaysDeleted, findings.forgotten),
                (Checker::RetentionKeepsRecent, findings.expired),
            ];
            for (checker, times) in exercised.into_iter().filter(|(_, times)| *times > 0) {
                *self.exercised.entry(checker).or_default() += times;
            }
            let broken = [
                (keeps, findings.missing),
                (Checker::DeletedStaysDeleted, findings.undead),
                (Checker::RetentionKeepsRecent, findings.hasty),
            ];
            let is_kept_by_each = |checker: Checker| {
                !matches!(checker, Checker::DeletedStaysDeleted | Checker::RetentionKeepsRecent)
            };
            let broken = broken.into_iter().filter(|(it, _)| !self.is_cluster || is_kept_by_each(*it));
            for (checker, sentences) in broken {
                self.violations
                    .extend(sentences.into_iter().map(|what| (checker, format!("{name}: {what}"))));
            }
        }
        for (partition, range) in std::mem::take(&mut self.skipped) {
            // Another leader may not have been shortened or compacted as far.
            if self.is_cluster {
                continue;
            }
            let there =
                snapshot.logs.get(&partition).map_or(&[][..], |log| log.between(range.start, range.end));
            self.check(Checker::NothingSkipped, there.is_empty(), || {
                format!("a reader of {partition} was led past {range:?}, where there is {there:?}")
            });
        }
    }

    /// Whether a log is what it was, as far as both reach.
    fn agrees(
        &self,
        name: &TopicPartition,
        before: &StoredLog,
        after: &StoredLog,
        kept: Kept,
    ) -> Result<(), String> {
        let range = (before.start.max(after.start), before.end.min(after.end));
        let (was, is) = (before.between(range.0, range.1), after.between(range.0, range.1));
        if before.start > after.start && kept != Kept::Prefix {
            return Err(format!("{name} began at {}, begins at {}", before.start, after.start));
        }
        if before.start < after.start && !before.is_shortened {
            return Err(format!("{name} began at {}, begins at {}", before.start, after.start));
        }
        if !before.is_compacted {
            let differs = was.iter().zip(is).position(|(a, b)| a != b);
            let agrees = differs.is_none() && was.len() == is.len();
            let lens = (was.len(), is.len());
            return if agrees {
                Ok(())
            } else {
                Err(format!("{name}: {range:?} differs at {differs:?}, {lens:?}"))
            };
        }
        // Less may be there; after a power loss also what was there before the last compaction.
        let history = self.histories.get(name);
        let is_known = |record: &Stored| {
            before.at(record.offset) == Some(record)
                || (kept == Kept::Prefix && history.is_some_and(|history| history.has_held(record)))
        };
        match is.iter().find(|record| !is_known(record)) {
            Some(record) => Err(format!("{name}: {record:?} was not there")),
            None => Ok(()),
        }
    }

    /// The broker is about to be started again.
    pub fn starts_again(&mut self) {
        self.restarts += 1;
    }

    /// A node that was killed is back.
    pub fn restarted(&mut self, before: &Snapshot, after: &Snapshot, death: Kept, weak: Option<usize>) {
        for (name, log) in &after.logs {
            self.check(Checker::NothingLeftOver, log.leftovers.is_empty(), || {
                format!("{name} was opened, and there is {:?}", log.leftovers)
            });
        }
        for (name, log) in &before.logs {
            if self.is_damaged(&name.topic, name.partition) {
                continue;
            }
            // Of a device that failed is left what a power loss would leave.
            let kept = if weak == Some(log.device) { Kept::Prefix } else { death };
            let none = StoredLog::default();
            let now = after.logs.get(name).unwrap_or(&none);
            let agrees = self.agrees(name, log, now, kept);
            match kept {
                Kept::Prefix => {
                    self.check(Checker::PowerLossKeepsPrefix, agrees.is_ok(), || {
                        agrees.err().unwrap_or_default()
                    });
                    if log.recovery_point > 0 {
                        self.check(Checker::PowerLossKeepsSynced, now.end >= log.recovery_point, || {
                            format!("{name}: {} was synced, it ends at {}", log.recovery_point, now.end)
                        });
                    }
                    self.histories.entry(name.clone()).or_default().lost(log, now);
                }
                Kept::Everything | Kept::AtLeastEverything => {
                    let ends = log.end == now.end || (kept == Kept::AtLeastEverything && log.end < now.end);
                    let holds = ends && agrees.is_ok();
                    self.check(Checker::CrashKeepsLogs, holds, || {
                        format!("{name}: was up to {}, is up to {}: {agrees:?}", log.end, now.end)
                    });
                }
            }
            if let Some(now) = after.logs.get(name)
                && before.was_open
            {
                self.check(Checker::LeaderEpochsRise, now.leader_epoch > log.leader_epoch, || {
                    format!("{name}: leader epoch {} became {}", log.leader_epoch, now.leader_epoch)
                });
            }
        }
        match if weak.is_some() { Kept::Prefix } else { death } {
            Kept::Prefix => {
                if let Some(damage) = &mut self.damage {
                    damage.fresh_from = 0;
                }
                self.power_losses += 1;
                self.expected.clear();
                for (name, log) in &before.logs {
                    let below = self.forgiven.entry(name.clone()).or_default();
                    *below = (*below).max(log.end);
                }
            }
            Kept::AtLeastEverything => {}
            Kept::Everything => {
                self.check(Checker::CrashKeepsGroups, before.committed == after.committed, || {
                    format!("offsets {:?} became {:?}", before.committed, after.committed)
                });
                self.check(Checker::CrashKeepsGroups, before.generations == after.generations, || {
                    format!("generations {:?} became {:?}", before.generations, after.generations)
                });
            }
        }
        for (name, topic) in &before.topics {
            // The administrator's come and go, and are held against its ledger.
            if self.ledger.contains_key(&Subject::Topic(name.clone())) && !TOPICS.contains(&&**name) {
                continue;
            }
            self.check(Checker::MetadataKept, after.topics.get(name) == Some(topic), || {
                format!("topic {name} {topic:?} became {:?}", after.topics.get(name))
            });
        }
        if before.was_open {
            self.epoch_seen = self.epoch_seen.max(before.epoch);
        }
        let rises = after.epoch > self.epoch_seen && after.next_producer_id >= before.next_producer_id;
        let seen = self.epoch_seen;
        self.check(Checker::EpochRises, rises, || {
            let ids = (before.next_producer_id, after.next_producer_id);
            format!("epoch {} became {}, producer ids {ids:?}", seen, after.epoch)
        });
    }

    /// The end: groups have had the time to read everything.
    pub fn finish(&mut self, last: &Snapshot, groups: &[(&'static str, usize)]) {
        for (group, _) in groups {
            let tags = self.read_tags.get(group).cloned().unwrap_or_default();
            for (name, log) in &last.logs {
                // A replica may keep what compaction has taken from the one that was read.
                if self.is_cluster && is_compacted(&name.topic) {
                    continue;
                }
                let forgiven = self.forgiven.get(name).copied().unwrap_or(0);
                for record in log.records.iter().filter(|record| record.offset >= forgiven) {
                    let Some(tag) = record.tag else { continue };
                    self.check(Checker::EverythingIsRead, tags.contains(&tag), || {
                        format!("{group} never read {tag:?} at {} of {name}", record.offset)
                    });
                }
            }
        }
    }
}

impl Snapshot {
    /// The device of a partition, and its recovery point.
    pub fn place(&self, topic: &str, partition: i32) -> Option<(usize, i64)> {
        let log = self.logs.get(&TopicPartition { topic: topic.into(), partition })?;
        Some((log.device, log.recovery_point))
    }

    /// What is so of a subject of the ledger, and who checks it; nothing where nobody can say.
    fn at(&self, subject: &Subject) -> Option<(Checker, i64)> {
        match subject {
            Subject::Topic(name) => {
                let count = self.topics.get(name).and_then(|(_, count)| i64::try_from(*count).ok());
                Some((Checker::AcknowledgedTopics, count.unwrap_or(ABSENT)))
            }
            Subject::Offset(group, partition) => {
                // A partition whose directory has failed has no coordinator.
                let (_, partitions) = self.topics.get(OFFSETS_TOPIC)?;
                let place = partition_for(group, i32::try_from(*partitions).ok()?);
                self.coordinated.get(&place)?;
                let partition = TopicPartition { topic: TOPICS[0].into(), partition: *partition };
                let committed = self.committed.get(&(group.clone(), partition)).copied();
                Some((Checker::AcknowledgedOffsets, committed.unwrap_or(ABSENT)))
            }
        }
    }
}

/// Files in a log's directory that are there only until it is opened the next time.
fn leftovers(store: &mut SimDisk, dir: &str) -> Vec<String> {
    let names = store.list(dir).unwrap_or_default().into_iter().map(|entry| entry.name);
    names.filter(|name| LEFTOVERS.iter().any(|suffix| name.ends_with(suffix))).collect()
}

fn digest(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter().chain(&[0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
