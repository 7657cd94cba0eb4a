//! What a log has held, and what of it must be there still: everything that was not lost to a fault, but for what retention and
//! compaction may take.

use std::collections::BTreeMap;

use super::workload::{Acknowledged, Tag};
use crate::time::Timestamp;

/// A record as a log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where.
    pub offset: i64,
    /// Who wrote it.
    pub producer_id: i64,
    /// Which of the workload's it is.
    pub tag: Option<Tag>,
    /// A digest of its key.
    pub key: Option<u64>,
    /// It has no value.
    pub is_tombstone: bool,
    /// When, in ms.
    pub timestamp: Timestamp,
    /// A digest of all of it.
    pub digest: u64,
}

/// A log at one moment.
#[derive(Clone, Debug, Default)]
pub struct StoredLog {
    /// On which device.
    pub device: usize,
    /// Everything below is on the disk.
    pub recovery_point: i64,
    /// Where it begins.
    pub start: i64,
    /// Where it ends.
    pub end: i64,
    /// Everything below is committed.
    pub high_watermark: i64,
    /// Who leads.
    pub leader_epoch: i32,
    /// Bytes.
    pub size: u64,
    /// `cleanup.policy` contains `compact`.
    pub is_compacted: bool,
    /// It contains `delete`.
    pub is_shortened: bool,
    /// `retention.ms`
    pub retention_ms: i64,
    /// `retention.bytes`
    pub retention_bytes: i64,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
    /// Files that an opening should have removed.
    pub leftovers: Vec<String>,
    /// What can be read of it.
    pub records: Vec<Stored>,
}

impl StoredLog {
    /// The record at an offset.
    pub fn at(&self, offset: i64) -> Option<&Stored> {
        let index = self.records.binary_search_by_key(&offset, |record| record.offset);
        self.records.get(index.ok()?)
    }

    /// The records from an offset to another.
    pub fn between(&self, from: i64, to: i64) -> &[Stored] {
        let index = |offset| self.records.partition_point(|record| record.offset < offset);
        self.records.get(index(from)..index(to)).unwrap_or_default()
    }
}

/// A record that a log is known to have held.
#[derive(Clone, Copy, Debug)]
struct Known {
    tag: Option<Tag>,
    key: Option<u64>,
    is_tombstone: bool,
    /// Its timestamp; until it was seen, when it was sent.
    timestamp: Timestamp,
    is_acknowledged: bool,
}

/// Everything that a log is known to have held and not to have lost.
#[derive(Clone, Debug, Default)]
pub struct History {
    known: BTreeMap<i64, Known>,
    /// By key: deletions that were asked for and are not known to have arrived.
    deletions: BTreeMap<u64, u64>,
    /// The highest that was seen.
    pub log_start_offset: i64,
}

/// What a look at a log has shown.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Acknowledged records that are there.
    pub kept: u64,
    /// Records that are not there, with good reason.
    pub compacted: u64,
    /// Deleted keys of which nothing is there any more.
    pub forgotten: u64,
    /// What should be there and is not.
    pub missing: Vec<String>,
    /// Records of keys that were deleted and forgotten.
    pub undead: Vec<String>,
    /// Records that were deleted before their time.
    pub hasty: Vec<String>,
    /// How many were deleted.
    pub expired: u64,
}

impl History {
    /// A key is to be deleted.
    pub fn deletes(&mut self, key: u64) {
        *self.deletions.entry(key).or_default() += 1;
    }

    /// A record has been acknowledged.
    pub fn acknowledged(&mut self, ack: &Acknowledged, key: Option<u64>) -> Result<(), String> {
        if let Some(open) = key.filter(|_| ack.is_tombstone).and_then(|key| self.deletions.get_mut(&key)) {
            *open = open.saturating_sub(1);
        }
        if ack.offset < self.log_start_offset {
            return Ok(());
        }
        let known = self.known.entry(ack.offset).or_insert(Known {
            tag: Some(ack.tag),
            key,
            is_tombstone: ack.is_tombstone,
            timestamp: ack.timestamp,
            is_acknowledged: true,
        });
        known.is_acknowledged = true;
        if known.tag == Some(ack.tag) {
            Ok(())
        } else {
            Err(format!("{ack:?} was acknowledged, there is {:?}", known.tag))
        }
    }

    /// Whether a record was there and is not lost, as far as anybody knows: it may have come and gone between two looks.
    pub fn has_held(&self, record: &Stored) -> bool {
        let is_it = |known: &Known| known.key == record.key && known.tag == record.tag;
        record.offset < self.log_start_offset || self.known.get(&record.offset).is_none_or(is_it)
    }

    /// A fault has taken what was not on the disk.
    pub fn lost(&mut self, before: &StoredLog, after: &StoredLog) {
        self.known.retain(|offset, _| {
            // What was not there before it was not taken by it.
            let was_unsynced = *offset >= before.recovery_point && before.at(*offset).is_some();
            *offset < after.end && !(was_unsynced && after.at(*offset).is_none())
        });
    }

    /// Holds a log against what it has held, and learns what is new.
    pub fn look(&mut self, log: &StoredLog, now: Timestamp) -> Findings {
        let mut findings = Findings::default();
        self.shorten(log, now, &mut findings);
        // What comes back after a power loss though it was deleted is nobody's to expect.
        for record in log.between(self.log_start_offset, i64::MAX) {
            let seen = Known {
                tag: record.tag,
                key: record.key,
                is_tombstone: record.is_tombstone,
                timestamp: record.timestamp,
                is_acknowledged: false,
            };
            self.known.entry(record.offset).or_insert(seen).timestamp = record.timestamp;
        }
        if log.is_compacted {
            self.look_at_keys(log, now, &mut findings);
        } else {
            for (offset, known) in self.known.iter().filter(|(_, known)| known.is_acknowledged) {
                match log.at(*offset) {
                    Some(record) if record.tag == known.tag => findings.kept += 1,
                    other => findings.missing.push(format!("{offset}: {known:?}, there is {other:?}")),
                }
            }
        }
        findings
    }

    /// What lies below the log's start is gone, if that was to be expected.
    fn shorten(&mut self, log: &StoredLog, now: Timestamp, findings: &mut Findings) {
        if log.start <= self.log_start_offset {
            return;
        }
        self.log_start_offset = log.start;
        let kept = self.known.split_off(&log.start);
        let gone = std::mem::replace(&mut self.known, kept);
        findings.expired = gone.len() as u64;
        let newest = gone.values().map(|known| known.timestamp).max().unwrap_or(i64::MIN);
        let is_old = newest < now - log.retention_ms;
        // Of a compacted log more may have gone since.
        let is_large =
            log.is_compacted || i64::try_from(log.size).is_ok_and(|size| size >= log.retention_bytes);
        if !log.is_shortened || !(is_old || is_large) {
            let (start, size) = (log.start, log.size);
            findings
                .hasty
                .push(format!("the log begins at {start}, has {size} bytes; {newest} was deleted at {now}"));
        }
    }

    /// Compaction: the newest of each key is there; one that deletes, for a while.
    fn look_at_keys(&self, log: &StoredLog, now: Timestamp, findings: &mut Findings) {
        let mut newest: BTreeMap<u64, (i64, &Known)> = BTreeMap::new();
        for (offset, known) in &self.known {
            // Without a key it is not kept at all.
            let Some(key) = known.key else { continue };
            if let Some((before, _)) = newest.insert(key, (*offset, known)) {
                findings.compacted += u64::from(log.at(before).is_none());
            }
        }
        for (key, (offset, known)) in newest {
            let is_there =
                log.at(offset).is_some_and(|record| record.key == Some(key) && record.tag == known.tag);
            if is_there {
                findings.kept += 1;
            } else if known.is_tombstone && known.timestamp < now - log.delete_retention_ms {
                findings.forgotten += 1;
                let undead = log.records.iter().find(|record| record.key == Some(key));
                findings.undead.extend(undead.map(|record| format!("{record:?} was deleted at {offset}")));
            } else if self.deletions.get(&key).is_none_or(|open| *open == 0) {
                let there: Vec<_> = log.records.iter().map(|record| record.offset).collect();
                let (start, end) = (log.start, log.end);
                findings.missing.push(format!(
                    "{offset}, the newest of its key: {known:?}; there are {there:?} from {start} up to {end}"
                ));
            }
        }
    }
}
