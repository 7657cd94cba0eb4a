//! What is promised of one node, and whether it was kept. Every checker counts how often there was something to check.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::{ErrorCode, Str, Uuid};

use super::admin::{ABSENT, Known, Subject};
use super::workload::{Acknowledged, ProducerKind, Read, STATIC_GROUP, TOPICS, Tag};
use super::{Host, SimDisk};
use crate::ids::TopicPartition;
use crate::log::{FetchIsolation, LogStore};
use crate::record::{Compressors, batches};

/// What is read of a log at once: little, so that reads begin in the middle of segments.
const READ_BYTES: u64 = 2_000;

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
    /// After the faults everybody makes progress.
    Recovers,
}

impl Checker {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::CrashKeepsLogs,
        Self::PowerLossKeepsPrefix,
        Self::PowerLossKeepsSynced,
        Self::LogsAreSound,
        Self::HighWatermarkInLog,
        Self::AcknowledgedIsThere,
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

/// A record as a log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    offset: i64,
    producer_id: i64,
    tag: Option<Tag>,
    digest: u64,
}

/// A log at one moment.
#[derive(Clone, Debug, Default)]
struct StoredLog {
    recovery_point: i64,
    end: i64,
    leader_epoch: i32,
    records: Vec<Stored>,
}

/// All that a node should remember, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    logs: BTreeMap<TopicPartition, StoredLog>,
    committed: BTreeMap<(Str, TopicPartition), i64>,
    generations: BTreeMap<Str, i32>,
    topics: BTreeMap<Str, (Uuid, usize)>,
    /// It let clients in.
    was_open: bool,
    epoch: i32,
    next_producer_id: i64,
}

/// The checkers and what they have seen.
#[derive(Clone, Debug, Default)]
pub struct Checkers {
    exercised: BTreeMap<Checker, u64>,
    violations: Vec<(Checker, String)>,
    acknowledged: Vec<Acknowledged>,
    /// What power losses took.
    lost: BTreeSet<(TopicPartition, i64, Tag)>,
    /// Every (place, record) that was ever seen in a log.
    ever: BTreeSet<(TopicPartition, i64, Tag)>,
    /// What was handed out and not yet compared with a log.
    to_compare: Vec<(TopicPartition, i64, Option<Tag>)>,
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
    /// The highest epoch of the quorum in which clients were let in.
    epoch_seen: i32,
}

impl Checkers {
    /// How often each had something to check.
    pub fn exercised(&self) -> &BTreeMap<Checker, u64> {
        &self.exercised
    }

    /// What was broken.
    pub fn violations(&self) -> &[(Checker, String)] {
        &self.violations
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

    /// What the administrator was told is so.
    pub fn told(&mut self, ledger: &BTreeMap<Subject, Known>) {
        self.ledger.clone_from(ledger);
    }

    /// How often a producer whose every record arrived has needed a new id.
    pub fn renewed(&mut self, producer: u32, times: u64) {
        let holds = times == 0 || self.power_losses > 0;
        self.check(Checker::SequencesAccepted, holds, || {
            format!("producer {producer} had to begin {times} new sequences")
        });
    }

    /// Whether every group has read a record, or stands past it since before a power loss.
    pub fn all_have_read(&self, tag: Tag, groups: &[(&'static str, usize)]) -> bool {
        let is_forgiven = |ack: &Acknowledged| {
            let below = self.forgiven.get(&ack.partition).copied().unwrap_or(0);
            ack.tag == tag && (0..below).contains(&ack.offset)
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
                // The coordinator has lost what it knew of the member that took another's place.
                Read::Refused(ErrorCode::FencedInstanceId) if self.power_losses > 0 => {}
                Read::Refused(error) => self.check(Checker::Recovers, false, || {
                    format!("{group} refuses its member {member} for good: {error:?}")
                }),
                Read::Corrupt(reason) => self.check(Checker::ReadInOrder, false, || reason),
                Read::Record { partition, offset, tag } => {
                    let next = self.expected.insert((member, partition.clone()), offset + 1);
                    if let Some(next) = next {
                        let holds = next == offset || self.may_go_back(member, &partition, offset, next);
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

    /// Whether a power loss explains that a member begins again further down: each does so once.
    fn may_go_back(&mut self, member: usize, partition: &TopicPartition, offset: i64, next: i64) -> bool {
        let times = self.went_back.entry((member, partition.clone())).or_default();
        *times += 1;
        offset < next && *times <= self.power_losses
    }

    /// Looks at a node that runs, and holds what clients were told against it. `None` when none runs.
    pub fn snapshot(&mut self, host: &Host<SimDisk>) -> Option<Snapshot> {
        let snapshot = self.look(host)?;
        self.compare(&snapshot);
        Some(snapshot)
    }

    /// Looks at a node that runs. `None` when none does.
    pub fn look(&mut self, host: &Host<SimDisk>) -> Option<Snapshot> {
        let (node, mut store) = host.all_open()?;
        let mut snapshot = Snapshot::default();
        for partition in node.shards.iter().flat_map(|shard| shard.partitions()) {
            let name = partition.name().clone();
            let mut log = partition.log().clone();
            let (high_watermark, end) = (log.high_watermark(), log.log_end_offset());
            self.check(Checker::HighWatermarkInLog, high_watermark <= end, || {
                format!("{name}: high watermark {high_watermark}, end {end}")
            });
            if let Some(reason) = partition.failure() {
                self.check(Checker::LogsAreSound, false, || format!("{name} has failed: {reason}"));
            }
            let (recovery_point, leader_epoch) = (log.recovery_point(), partition.leader_epoch());
            let mut stored = StoredLog { recovery_point, end, leader_epoch, records: Vec::new() };
            let mut next = log.log_start_offset();
            while next < end {
                let before = next;
                let read = log.read(&mut store, next, READ_BYTES, FetchIsolation::LogEnd, true, None);
                let slice = read.ok().and_then(|read| read.records);
                let bytes = slice.and_then(|slice| store.read_slice(&slice).ok()).unwrap_or_default();
                for batch in batches(&bytes) {
                    let Ok(batch) = batch else { break };
                    let header = *batch.header();
                    let sound = batch.check_crc().is_ok() && header.base_offset == next;
                    self.check(Checker::LogsAreSound, sound, || {
                        format!("{name}: a batch from {} where {next} follows", header.base_offset)
                    });
                    let (of_batch, of_log) = (
                        header.partition_leader_epoch,
                        log.leader_epochs().epoch_for_offset(header.base_offset),
                    );
                    let known = of_log == Some(of_batch) && of_batch <= leader_epoch;
                    self.check(Checker::LeaderEpochsRise, known, || {
                        let offset = header.base_offset;
                        format!("{name}: {offset} is of epoch {of_batch}, the log says {of_log:?}, {leader_epoch} leads")
                    });
                    let Ok(records) = batch.records(&Compressors::default()) else { break };
                    for record in records.flatten() {
                        let key = record.key.as_deref().unwrap_or_default();
                        let value = record.value.as_deref().unwrap_or_default();
                        let workload = !name.topic.starts_with("__");
                        stored.records.push(Stored {
                            offset: record.offset,
                            producer_id: header.producer_id,
                            tag: if workload { Tag::read(value) } else { None },
                            digest: digest(&[key, value]),
                        });
                    }
                    next = header.next_offset();
                }
                if next == before {
                    self.check(Checker::LogsAreSound, false, || format!("{name}: nothing to read at {next}"));
                    break;
                }
            }
            snapshot.logs.insert(name, stored);
        }
        for (_, runtime) in node.shards.iter().flat_map(|shard| shard.coordinators().active()) {
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
        snapshot.was_open = host.is_open();
        let image = &node.published.image;
        snapshot.topics = image
            .topics_by_name()
            .map(|topic| (topic.name.clone(), (topic.id, topic.partitions.size())))
            .collect();
        snapshot.epoch = node.controller.log().epoch();
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
                if is_first {
                    let before = newest.insert(tag.producer, tag.number);
                    self.check(
                        Checker::ProducerOrder,
                        before.is_none_or(|before| before < tag.number),
                        || format!("{name}: {tag:?} comes after {before:?}"),
                    );
                }
            }
        }
        for ack in std::mem::take(&mut self.acknowledged) {
            if ack.offset < 0 {
                continue;
            }
            let log = snapshot.logs.get(&ack.partition);
            let place = log.and_then(|log| {
                let index = log.records.binary_search_by_key(&ack.offset, |record| record.offset);
                log.records.get(index.ok()?)?.tag
            });
            let lost = self.lost.contains(&(ack.partition.clone(), ack.offset, ack.tag));
            self.check(Checker::AcknowledgedIsThere, lost || place == Some(ack.tag), || {
                format!("{ack:?} was acknowledged, there is {place:?}")
            });
            self.acknowledged.push(ack);
        }
        for (partition, offset, tag) in std::mem::take(&mut self.to_compare) {
            let known = tag.is_some_and(|tag| self.ever.contains(&(partition.clone(), offset, tag)));
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
            self.check(Checker::CommitsBehindReads, *committed <= read, || {
                format!("{group} has committed {committed} of {partition} and read up to {read}")
            });
        }
        for (subject, known) in std::mem::take(&mut self.ledger) {
            if let Some(acknowledged) = known.acknowledged {
                let (checker, is) = snapshot.at(&subject);
                self.check(checker, is == acknowledged || known.asked == Some(is), || {
                    format!("{subject:?} is {is}, known: {known:?}")
                });
            }
            self.ledger.insert(subject, known);
        }
    }

    /// A node that was killed is back.
    pub fn restarted(&mut self, before: &Snapshot, after: &Snapshot, kept: Kept) {
        for (name, log) in &before.logs {
            let none = StoredLog::default();
            let now = after.logs.get(name).unwrap_or(&none);
            let common = log.records.len().min(now.records.len());
            let agrees = log.records.get(..common) == now.records.get(..common);
            match kept {
                Kept::Prefix => {
                    self.check(Checker::PowerLossKeepsPrefix, agrees, || {
                        let differs = log.records.iter().zip(&now.records).position(|(a, b)| a != b);
                        format!("{name}: was up to {}, is up to {}, differs at {differs:?}", log.end, now.end)
                    });
                    if log.recovery_point > 0 {
                        self.check(Checker::PowerLossKeepsSynced, now.end >= log.recovery_point, || {
                            format!("{name}: {} was synced, it ends at {}", log.recovery_point, now.end)
                        });
                    }
                    for record in log.records.get(common..).unwrap_or_default() {
                        self.lost.extend(record.tag.map(|tag| (name.clone(), record.offset, tag)));
                    }
                }
                Kept::Everything | Kept::AtLeastEverything => {
                    let holds = agrees
                        && common == log.records.len()
                        && (kept == Kept::AtLeastEverything || common == now.records.len());
                    self.check(Checker::CrashKeepsLogs, holds, || {
                        format!("{name}: was up to {}, is up to {}", log.end, now.end)
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
        match kept {
            Kept::Prefix => {
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
            if self.ledger.contains_key(&Subject::Topic(name.clone())) {
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
    /// What is so of a subject of the ledger, and who checks it.
    fn at(&self, subject: &Subject) -> (Checker, i64) {
        match subject {
            Subject::Topic(name) => {
                let count = self.topics.get(name).and_then(|(_, count)| i64::try_from(*count).ok());
                (Checker::AcknowledgedTopics, count.unwrap_or(ABSENT))
            }
            Subject::Offset(group, partition) => {
                let partition = TopicPartition { topic: TOPICS[0].into(), partition: *partition };
                let committed = self.committed.get(&(group.clone(), partition)).copied();
                (Checker::AcknowledgedOffsets, committed.unwrap_or(ABSENT))
            }
        }
    }
}

fn digest(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter().chain(&[0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
