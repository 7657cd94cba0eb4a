//! [`QuorumLog`]: the replicated log with its snapshots, and what they say about voters.

use ottla_protocol::Bytes;

use super::voters::{VoterHistory, VoterSet};
use super::{QuorumConfig, QuorumError};
use crate::log::producer_state::AppendOrigin;
use crate::log::{
    AppendBatch, FetchIsolation, FlushPlan, FlushScope, Log, LogError, LogStore, OpenLog, StoreError,
    partition_metadata,
};
use crate::quorum::checkpoint::SnapshotId;
use crate::quorum::control::Control;
use crate::quorum::join;
use crate::record::compression::Compressors;
use crate::record::{BatchView, batches};
use crate::time::Now;

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;

/// Snapshots that are kept: the log begins at the older one, so that a follower need not fetch the newest while it is the only one.
const SNAPSHOTS_KEPT: usize = 2;
/// Bytes read at a time while a log is opened.
const REPLAY_BYTES: u64 = 8 << 20;
/// What a snapshot is called until it is whole and durable.
pub(super) const PART_SUFFIX: &str = ".part";

/// Where a follower's log stands against its leader's (KIP-595, KIP-630).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It is the beginning of the leader's.
    Valid,
    /// It is not: of this epoch the leader has records up to here.
    Diverging { epoch: i32, end_offset: i64 },
    /// The leader no longer has what follows; this snapshot stands for it.
    Snapshot(SnapshotId),
}

/// A replicated log, its snapshots, and the voters they name.
#[derive(Clone, Debug)]
pub struct QuorumLog<S: LogStore> {
    log: Log<S>,
    /// Durable, rising.
    snapshots: Vec<SnapshotId>,
    voters: VoterHistory,
    /// The sync under way, and its token.
    flushing: Option<(u64, FlushPlan<S::File>)>,
    bytes_since_snapshot: u64,
}

impl<S: LogStore> QuorumLog<S> {
    /// Opens what is there; an empty log if there is nothing. A torn tail is cut.
    pub fn open(store: &mut S, now: Now, config: &QuorumConfig) -> Result<Self, QuorumError> {
        let dir = &config.dir;
        store.create_dir(dir).map_err(|error| QuorumError::Store(dir.clone(), error))?;
        let mut snapshots = list_snapshots(store, dir)?;
        let mut voters = VoterHistory::new(VoterSet::new(config.static_voters.clone()));
        let mut broken = None;
        while let Some(id) = snapshots.last() {
            let path = join(dir, &id.file_name());
            match read_control(store, &path, *id, &mut voters) {
                Ok(()) => break,
                Err(QuorumError::Broken(reason)) => {
                    broken.get_or_insert((path, reason));
                    snapshots.pop();
                }
                Err(error) => return Err(error),
            }
        }
        let options = OpenLog {
            dir: dir.clone(),
            config: config.log.clone(),
            log_start_offset: 0,
            recovery_point: 0,
            high_watermark: 0,
            clean_shutdown: false,
            has_others: false,
        };
        let (log, _) = Log::open(store, now, options)?;
        let loaded = snapshots.last().copied().unwrap_or_default();
        if let Some((path, reason)) = broken {
            if log.log_start_offset() > loaded.end_offset {
                return Err(QuorumError::Broken(reason));
            }
            store.remove(&path).map_err(|error| QuorumError::Store(path, error))?;
        }
        if partition_metadata::read(store, dir).map_err(QuorumError::Log)?.is_none() {
            partition_metadata::write(store, dir, config.topic_id).map_err(QuorumError::Log)?;
        }
        let mut opened = Self { log, snapshots, voters, flushing: None, bytes_since_snapshot: 0 };
        opened.truncate_to_newest_snapshot(store, now)?;
        opened.replay_control(store, loaded.end_offset.max(opened.log.log_start_offset()))?;
        Ok(opened)
    }

    /// The first offset that can be read.
    pub fn start_offset(&self) -> i64 {
        self.log.log_start_offset()
    }

    /// Where the next record goes.
    pub fn end_offset(&self) -> i64 {
        self.log.log_end_offset()
    }

    /// Everything below is on the disk.
    pub fn synced_offset(&self) -> i64 {
        self.log.recovery_point()
    }

    /// Whether nothing is lost with the power.
    pub fn is_synced(&self) -> bool {
        self.log.recovery_point() >= self.log.log_end_offset()
    }

    /// The epoch of the last record, be it in a snapshot; 0 without any.
    pub fn last_epoch(&self) -> i32 {
        let of_snapshot = self.snapshots.last().filter(|id| id.end_offset >= self.end_offset());
        match self.log.latest_epoch() {
            -1 => of_snapshot.map_or(0, |id| id.epoch),
            epoch => epoch,
        }
    }

    /// Voters and `kraft.version` along the log.
    pub fn voters(&self) -> &VoterHistory {
        &self.voters
    }

    /// Snapshots that are durable, oldest first.
    pub fn snapshots(&self) -> &[SnapshotId] {
        &self.snapshots
    }

    /// Bytes appended since the newest snapshot.
    pub fn bytes_since_snapshot(&self) -> u64 {
        self.bytes_since_snapshot
    }

    /// The snapshot that would stand for everything below an offset.
    pub fn snapshot_id(&self, end_offset: i64) -> Option<SnapshotId> {
        if let Some(id) = self.snapshots.iter().find(|id| id.end_offset == end_offset) {
            return Some(*id);
        }
        let last = end_offset.checked_sub(1).filter(|last| *last >= self.start_offset())?;
        let epoch = self.log.leader_epochs().epoch_for_offset(last)?;
        (end_offset <= self.end_offset()).then_some(SnapshotId { end_offset, epoch })
    }

    /// The largest epoch not above `epoch` of which there are records, and where they end.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> (i32, i64) {
        let (found, end_offset) = self.log.end_offset_for_epoch(epoch);
        if found < 0 {
            return (self.last_epoch(), self.end_offset());
        }
        match self.oldest_snapshot() {
            Some(oldest) if oldest.end_offset == end_offset && found == epoch => (oldest.epoch, end_offset),
            _ => (found, end_offset),
        }
    }

    /// The first snapshot that the log follows on: one that was fetched leaves older ones behind, which the log no longer touches.
    fn oldest_snapshot(&self) -> Option<&SnapshotId> {
        self.snapshots.iter().find(|id| id.end_offset >= self.start_offset())
    }

    /// How a follower's log that ends at `offset` with a record of `epoch` stands against this one.
    pub fn validate(&self, offset: i64, epoch: i32) -> Validity {
        let start_offset = self.start_offset();
        if start_offset == 0 && offset == 0 && epoch == 0 {
            return Validity::Valid;
        }
        if let (Some(oldest), Some(newest)) = (self.oldest_snapshot(), self.snapshots.last())
            && (offset < start_offset
                || (offset == start_offset && start_offset != 0 && epoch != oldest.epoch)
                || epoch < oldest.epoch)
        {
            return Validity::Snapshot(*newest);
        }
        let (found, end_offset) = self.end_offset_for_epoch(epoch);
        if found != epoch || end_offset < offset {
            return Validity::Diverging { epoch: found, end_offset };
        }
        Validity::Valid
    }

    /// Appends one batch as the leader of `epoch`: the offset of its first record. Its control records hold at once.
    pub fn append_as_leader(
        &mut self,
        store: &mut S,
        now: Now,
        epoch: i32,
        batch: AppendBatch<'_>,
    ) -> Result<i64, LogError> {
        let info = self.log.append_as_leader(store, now, epoch, AppendOrigin::RaftLeader, &[batch])?;
        self.bytes_since_snapshot = self.bytes_since_snapshot.saturating_add(info.size);
        Ok(info.first_offset)
    }

    /// Appends what the leader of `epoch` sent: batches that follow the log's end without a gap.
    pub fn append_as_follower(
        &mut self,
        store: &mut S,
        now: Now,
        epoch: i32,
        records: &Bytes,
    ) -> Result<(), QuorumError> {
        let from = self.end_offset();
        let mut next_offset = from;
        for batch in batches(records).map_while(Result::ok) {
            let header = batch.header();
            if header.base_offset != next_offset || header.partition_leader_epoch > epoch {
                let found = (header.base_offset, header.partition_leader_epoch);
                return Err(QuorumError::Broken(format!(
                    "records that do not follow: (offset, epoch) {found:?} after offset {next_offset} in epoch {epoch}"
                )));
            }
            next_offset = header.next_offset();
        }
        let info = self.log.append_as_follower(store, now, epoch, records)?;
        self.bytes_since_snapshot = self.bytes_since_snapshot.saturating_add(info.size);
        for batch in batches(records).map_while(Result::ok).filter(|batch| batch.next_offset() <= next_offset)
        {
            note_control(&mut self.voters, batch.view(), from)?;
        }
        Ok(())
    }

    /// Notes what the control records of a batch that was just appended say.
    pub fn note_control(&mut self, batch: BatchView<'_>, base_offset: i64) -> Result<(), QuorumError> {
        note_control_at(&mut self.voters, batch, base_offset, i64::MIN)
    }

    /// Whole batches from `offset` on, at least one if there is one.
    pub fn read(
        &mut self,
        store: &mut S,
        offset: i64,
        max_bytes: u64,
        isolation: FetchIsolation,
    ) -> Result<Bytes, LogError> {
        let fetched = self.log.read(store, offset, max_bytes, isolation, true, None)?;
        match fetched.records {
            Some(slice) => Ok(store.read_slice(&slice)?),
            None => Ok(Bytes::new()),
        }
    }

    /// Drops what the leader does not have: of `epoch` it has records up to `end_offset`. Answers where the log ends now.
    pub fn truncate_to_end_of(
        &mut self,
        store: &mut S,
        now: Now,
        epoch: i32,
        end_offset: i64,
    ) -> Result<i64, LogError> {
        let (own_epoch, own_end) = self.end_offset_for_epoch(epoch);
        let offset = if own_epoch == epoch { own_end.min(end_offset) } else { own_end };
        self.log.truncate_to(store, now, offset)?;
        self.voters.truncate_from_end(self.end_offset());
        Ok(self.end_offset())
    }

    /// Drops the whole log if the newest snapshot is ahead of it.
    pub fn truncate_to_newest_snapshot(&mut self, store: &mut S, now: Now) -> Result<bool, LogError> {
        let Some(newest) = self.snapshots.last().copied() else { return Ok(false) };
        let latest_epoch = self.log.latest_epoch();
        let is_ahead = newest.epoch > latest_epoch
            || (newest.epoch == latest_epoch && newest.end_offset > self.end_offset());
        if is_ahead && newest.end_offset > 0 && !(latest_epoch < 0 && newest.end_offset == self.end_offset())
        {
            self.log.truncate_fully_and_start_at(store, now, newest.end_offset)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// What to sync so that everything appended is durable; nothing while a sync is under way.
    pub fn plan_sync(&mut self, store: &mut S, now: Now, token: u64) -> Result<Option<Sync<S>>, LogError> {
        let is_needed = !self.is_synced() || self.log.flush_due(now.monotonic).is_some();
        if self.flushing.is_some() || !is_needed {
            return Ok(None);
        }
        let plan = self.log.plan_flush(store, now, FlushScope::All)?;
        let sync = (plan.files.clone(), plan.directories.clone());
        self.flushing = Some((token, plan));
        Ok(Some(sync))
    }

    /// A sync has ended well. True if it was this log's.
    pub fn synced(&mut self, store: &mut S, token: u64) -> Result<bool, LogError> {
        let Some((_, plan)) = self.flushing.take_if(|(waiting, _)| *waiting == token) else {
            return Ok(false);
        };
        self.log.flushed(&plan);
        self.log.settle(store)?;
        Ok(true)
    }

    /// Everything below is committed.
    pub fn set_high_watermark(&mut self, high_watermark: i64) {
        self.log.set_high_watermark(high_watermark);
    }

    /// A snapshot is durable under its own name: older ones and the segments that they stand for may go.
    pub fn add_snapshot(&mut self, store: &mut S, now: Now, id: SnapshotId) -> Result<(), LogError> {
        if self.snapshots.last() < Some(&id) {
            self.snapshots.push(id);
            self.bytes_since_snapshot = 0;
        }
        let superfluous = self.snapshots.len().saturating_sub(SNAPSHOTS_KEPT);
        for id in self.snapshots.drain(..superfluous) {
            match store.remove(&join(self.log.dir(), &id.file_name())) {
                Ok(()) | Err(StoreError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(oldest) = self.snapshots.first().filter(|_| superfluous > 0)
            && oldest.end_offset <= self.log.high_watermark()
        {
            self.log.increment_log_start_offset(store, oldest.end_offset)?;
            self.log.delete_old_segments(store, now)?;
            self.voters.truncate_from_start(oldest.end_offset);
        }
        Ok(())
    }

    /// A snapshot that was fetched takes the place of the log.
    pub fn install(&mut self, store: &mut S, now: Now, id: SnapshotId) -> Result<(), QuorumError> {
        let dir = self.log.dir().to_owned();
        self.snapshots.push(id);
        self.log.truncate_fully_and_start_at(store, now, id.end_offset)?;
        self.voters.clear();
        read_control(store, &join(&dir, &id.file_name()), id, &mut self.voters)?;
        self.bytes_since_snapshot = 0;
        Ok(self.add_snapshot(store, now, id)?)
    }

    /// Files whose time has come to be removed.
    pub fn tick(&mut self, store: &mut S, now: Now) -> Result<(), LogError> {
        self.log.tick(store, now)
    }

    /// When that is.
    pub fn deadline(&self) -> Option<crate::time::Instant> {
        self.log.deadline()
    }

    fn replay_control(&mut self, store: &mut S, from: i64) -> Result<(), QuorumError> {
        let mut next_offset = from;
        while next_offset < self.end_offset() {
            let bytes = self.read(store, next_offset, REPLAY_BYTES, FetchIsolation::LogEnd)?;
            self.bytes_since_snapshot = self.bytes_since_snapshot.saturating_add(bytes.len() as u64);
            let before = next_offset;
            for batch in batches(&bytes) {
                let batch = batch.map_err(|error| QuorumError::Broken(error.to_string()))?;
                note_control(&mut self.voters, batch.view(), from)?;
                next_offset = batch.next_offset();
            }
            if next_offset == before {
                break;
            }
        }
        Ok(())
    }
}

/// Files and directories to be made durable.
pub(super) type Sync<S> = (Vec<<S as LogStore>::File>, Vec<String>);

/// Lists whole snapshots, oldest first, and removes what was left unfinished.
fn list_snapshots<S: LogStore>(store: &mut S, dir: &str) -> Result<Vec<SnapshotId>, QuorumError> {
    let failed = |error| QuorumError::Store(dir.to_owned(), error);
    let entries = store.list(dir).map_err(failed)?;
    for entry in entries.iter().filter(|entry| entry.name.ends_with(PART_SUFFIX)) {
        store.remove(&join(dir, &entry.name)).map_err(failed)?;
    }
    let mut ids: Vec<_> = entries.iter().filter_map(|entry| SnapshotId::parse(&entry.name)).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Reads what a snapshot says about voters. The whole file is looked at: one that a power loss has torn is [`QuorumError::Broken`].
fn read_control<S: LogStore>(
    store: &mut S,
    path: &str,
    id: SnapshotId,
    voters: &mut VoterHistory,
) -> Result<(), QuorumError> {
    let broken = |reason: String| QuorumError::Broken(format!("{path}: {reason}"));
    let bytes = store.read(path).map_err(|error| QuorumError::Store(path.to_owned(), error))?;
    let bytes = Bytes::from(bytes);
    let (mut found, mut has_ended) = (VoterHistory::default(), false);
    for batch in batches(&bytes) {
        let batch = batch.map_err(|error| broken(error.to_string()))?;
        batch.check_crc().map_err(|error| broken(error.to_string()))?;
        for control in controls(batch.view()).map_err(broken)? {
            let at = id.end_offset.saturating_sub(1);
            match control {
                Control::KRaftVersion(version) => found.kraft_version_at(at, version),
                Control::Voters(voters) => found.voters_at(at, VoterSet::new(voters)),
                Control::SnapshotFooter => has_ended = true,
                Control::SnapshotHeader(_) | Control::LeaderChange => {}
            }
        }
    }
    if !has_ended {
        return Err(broken("it has no footer".to_owned()));
    }
    voters.clear();
    if let Some(offset) = found.last_offset() {
        voters.voters_at(offset, found.last().clone());
    }
    voters.kraft_version_at(id.end_offset.saturating_sub(1), found.kraft_version());
    Ok(())
}

fn note_control(voters: &mut VoterHistory, batch: BatchView<'_>, from: i64) -> Result<(), QuorumError> {
    note_control_at(voters, batch, batch.base_offset, from)
}

fn note_control_at(
    voters: &mut VoterHistory,
    batch: BatchView<'_>,
    base_offset: i64,
    from: i64,
) -> Result<(), QuorumError> {
    let controls = controls(batch).map_err(QuorumError::Broken)?;
    for (offset, control) in (base_offset..).zip(controls).filter(|(offset, _)| *offset >= from) {
        match control {
            Control::KRaftVersion(version) => voters.kraft_version_at(offset, version),
            Control::Voters(set) => voters.voters_at(offset, VoterSet::new(set)),
            Control::LeaderChange | Control::SnapshotHeader(_) | Control::SnapshotFooter => {}
        }
    }
    Ok(())
}

/// The control records of a batch; none if it is not a control batch.
fn controls(batch: BatchView<'_>) -> Result<Vec<Control>, String> {
    if !batch.is_control() {
        return Ok(Vec::new());
    }
    let batch = crate::record::Batch::read(&Bytes::copy_from_slice(batch.bytes()))
        .map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for record in batch.records(&Compressors::default()).map_err(|error| error.to_string())? {
        let record = record.map_err(|error| error.to_string())?;
        found.push(Control::decode(&record.key.unwrap_or_default(), &record.value.unwrap_or_default())?);
    }
    Ok(found)
}
