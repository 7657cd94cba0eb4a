//! [`MetadataLog`]: the log of a quorum of one, what of it is committed, and what has to be synced for more to be.

use ottla_protocol::records::MetadataRecord;
use ottla_protocol::{Bytes, ErrorCode};

use super::checkpoint::{Checkpoint, SnapshotId, metadata_batch};
use super::control::Voter;
use super::join;
use crate::coordinator::{Append, Appended};
use crate::log::producer_state::AppendOrigin;
use crate::log::{AppendBatch, FlushPlan, FlushScope, Log, LogError, LogStore, StoreError};
use crate::metadata::{MetadataImage, MetadataState, MetadataVersion};
use crate::record::compression::Compressors;
use crate::record::{BatchBuilder, BatchView};
use crate::time::Now;

/// What has to be made durable before a completion with this token is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToSync<F> {
    /// Bytes of these files.
    pub files: Vec<F>,
    /// Entries of these directories.
    pub directories: Vec<String>,
    /// To be handed back.
    pub token: u64,
}

impl<F> ToSync<F> {
    /// Nothing yet.
    pub fn new(token: u64) -> Self {
        Self { files: Vec::new(), directories: Vec::new(), token }
    }
}

/// The metadata log and its snapshots.
#[derive(Clone, Debug)]
pub struct MetadataLog<S: LogStore> {
    log: Log<S>,
    node_id: i32,
    epoch: i32,
    kraft_version: i16,
    voters: Vec<Voter>,
    high_watermark: i64,
    /// Files written beside the log that the next sync has to cover.
    beside: ToSync<S::File>,
    in_flight: Option<FlushPlan<S::File>>,
    next_token: u64,
    /// Appended and not yet published: (offset of the last record, the records).
    unpublished: Vec<(i64, Vec<MetadataRecord>)>,
    snapshots: Vec<SnapshotId>,
    bytes_since_snapshot: u64,
    last_append_timestamp: i64,
}

impl<S: LogStore> MetadataLog<S> {
    /// A log that was opened and read by the leader of `epoch`.
    pub(super) fn new(log: Log<S>, node_id: i32, epoch: i32, kraft_version: i16, voters: Vec<Voter>) -> Self {
        Self {
            high_watermark: log.log_start_offset(),
            log,
            node_id,
            epoch,
            kraft_version,
            voters,
            beside: ToSync::new(0),
            in_flight: None,
            next_token: 0,
            unpublished: Vec::new(),
            snapshots: Vec::new(),
            bytes_since_snapshot: 0,
            last_append_timestamp: 0,
        }
    }

    /// The epoch that this node leads.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// This node.
    pub fn node_id(&self) -> i32 {
        self.node_id
    }

    /// The finalized `kraft.version`.
    pub fn kraft_version(&self) -> i16 {
        self.kraft_version
    }

    /// The voters.
    pub fn voters(&self) -> &[Voter] {
        &self.voters
    }

    /// Everything below is committed.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// Where the next record goes.
    pub fn log_end_offset(&self) -> i64 {
        self.log.log_end_offset()
    }

    pub(super) fn set_snapshots(&mut self, snapshots: Vec<SnapshotId>) {
        self.snapshots = snapshots;
    }

    pub(super) fn sync_beside(&mut self, file: S::File, directory: impl Into<String>) {
        self.beside.files.push(file);
        self.beside.directories.push(directory.into());
    }

    pub(super) fn sync_directory(&mut self, directory: String) {
        self.beside.directories.push(directory);
    }

    /// Appends a batch; its offsets and epoch are final.
    fn append_batch(&mut self, store: &mut S, now: Now, batch: &BatchBuilder) -> Result<i64, LogError> {
        let bytes = batch.build(&Compressors::default());
        let view = BatchView::read(&bytes).map_err(|error| LogError::InvalidRecords(error.to_string()))?;
        let batch = AppendBatch { header: *view.header(), body: view.body() };
        let info = self.log.append_as_leader(store, now, self.epoch, AppendOrigin::RaftLeader, &[batch])?;
        self.bytes_since_snapshot = self.bytes_since_snapshot.saturating_add(info.size);
        self.last_append_timestamp = now.wall;
        Ok(info.first_offset)
    }

    /// Appends control records.
    pub(super) fn append_control(
        &mut self,
        store: &mut S,
        now: Now,
        batch: &BatchBuilder,
    ) -> Result<i64, LogError> {
        self.append_batch(store, now, batch)
    }

    /// Appends metadata records as one batch: all or none.
    pub fn append(
        &mut self,
        store: &mut S,
        now: Now,
        version: MetadataVersion,
        records: &[MetadataRecord],
    ) -> Result<i64, LogError> {
        let batch = metadata_batch(self.log_end_offset(), self.epoch, version, now.wall, records);
        let base_offset = self.append_batch(store, now, &batch)?;
        self.unpublished.push((self.log_end_offset().saturating_sub(1), records.to_vec()));
        Ok(base_offset)
    }

    /// What to sync so that everything appended is committed; `None` when that is so or under way.
    pub fn take_sync(&mut self, store: &mut S, now: Now) -> Result<Option<ToSync<S::File>>, LogError> {
        let nothing_new = self.high_watermark >= self.log_end_offset() && self.beside.files.is_empty();
        if self.in_flight.is_some() || nothing_new {
            return Ok(None);
        }
        let plan = self.log.plan_flush(store, now, FlushScope::All)?;
        self.next_token = self.next_token.saturating_add(1);
        let mut sync = std::mem::replace(&mut self.beside, ToSync::new(0));
        sync.token = self.next_token;
        sync.files.extend(plan.files.iter().cloned());
        sync.directories.extend(plan.directories.iter().cloned());
        sync.directories.sort_unstable();
        sync.directories.dedup();
        self.in_flight = Some(plan);
        Ok(Some(sync))
    }

    /// A sync ended well: the high watermark after it. Completions of an unknown token change nothing.
    pub fn synced(&mut self, token: u64) -> i64 {
        if token == self.next_token
            && let Some(plan) = self.in_flight.take()
        {
            self.log.flushed(&plan);
            self.high_watermark = self.high_watermark.max(plan.up_to);
            self.log.set_high_watermark(self.high_watermark);
        }
        self.high_watermark
    }

    /// A sync ended well: see [`Log::settle`].
    pub fn settle(&mut self, store: &mut S) -> Result<(), LogError> {
        self.log.settle(store)
    }

    /// The records committed since the last call.
    pub fn take_committed(&mut self) -> Vec<MetadataRecord> {
        let high_watermark = self.high_watermark;
        let committed = self.unpublished.partition_point(|(last_offset, _)| *last_offset < high_watermark);
        self.unpublished.drain(..committed).flat_map(|(_, records)| records).collect()
    }

    /// Everything that was appended at opening counts as published with the first image.
    pub fn forget_unpublished(&mut self) {
        self.unpublished.clear();
    }

    /// Bytes appended since the last snapshot.
    pub fn bytes_since_snapshot(&self) -> u64 {
        self.bytes_since_snapshot
    }

    pub(super) fn count_bytes_since_snapshot(&mut self, bytes: u64) {
        self.bytes_since_snapshot = self.bytes_since_snapshot.saturating_add(bytes);
    }

    /// Writes a snapshot of the committed image, and removes snapshots and segments that two newer ones make superfluous.
    pub fn write_snapshot(
        &mut self,
        store: &mut S,
        now: Now,
        image: &MetadataImage,
    ) -> Result<SnapshotId, LogError> {
        let id = SnapshotId { end_offset: self.high_watermark, epoch: self.epoch };
        self.bytes_since_snapshot = 0;
        if self.snapshots.last() >= Some(&id) {
            return Ok(id);
        }
        let checkpoint = Checkpoint {
            last_contained_log_timestamp: self.last_append_timestamp,
            kraft_version: (self.kraft_version > 0).then_some(self.kraft_version),
            voters: (self.kraft_version > 0).then(|| self.voters.clone()),
            records: image.to_records(),
        };
        let bytes = checkpoint.encode(id.epoch, image.features.metadata_version(), now.wall);
        let path = join(self.log.dir(), &id.file_name());
        store.write_replacing(&path, &bytes)?;
        let file = store.open(&path)?;
        let directory = self.log.dir().to_owned();
        self.sync_beside(file, directory);
        self.snapshots.push(id);
        Ok(id)
    }

    /// Lets go of what the newest two snapshots make superfluous. To be called once the newest is durable.
    pub fn clean_up(&mut self, store: &mut S, now: Now) -> Result<(), LogError> {
        let superfluous = self.snapshots.len().saturating_sub(2);
        for id in self.snapshots.drain(..superfluous) {
            store.remove(&join(self.log.dir(), &id.file_name()))?;
        }
        if superfluous > 0
            && let Some(oldest) = self.snapshots.first()
        {
            self.log.increment_log_start_offset(store, oldest.end_offset)?;
            self.log.delete_old_segments(store, now)?;
        }
        Ok(())
    }
}

/// A metadata log with the store it writes to, as the runtime wants it.
#[derive(Debug)]
pub struct Appender<'a, S: LogStore> {
    /// The log.
    pub log: &'a mut MetadataLog<S>,
    /// Where it is.
    pub store: &'a mut S,
    /// The finalized `metadata.version`.
    pub version: MetadataVersion,
    /// Why the last append failed, when it was the storage: the log is not to be trusted any more.
    pub failure: Option<LogError>,
}

impl<S: LogStore> Append<MetadataRecord> for Appender<'_, S> {
    fn next_offset(&self) -> i64 {
        self.log.log_end_offset()
    }

    fn append(&mut self, now: Now, records: &[MetadataRecord]) -> Result<Appended, ErrorCode> {
        match self.log.append(self.store, now, self.version, records) {
            Ok(base_offset) => Ok(Appended { base_offset, high_watermark: self.log.high_watermark() }),
            // More than a segment holds: nothing was written, and only this request is refused.
            Err(LogError::LargerThanSegment { .. }) => Err(ErrorCode::RecordListTooLarge),
            Err(LogError::Store(StoreError::NoSpace)) => Err(ErrorCode::KafkaStorageError),
            Err(error) => {
                self.failure = Some(error);
                Err(ErrorCode::KafkaStorageError)
            }
        }
    }
}

/// Reads every record of the log from `offset` on into `state`, control records into `on_control`. The error says where and what.
pub(super) fn replay<S: LogStore>(
    log: &mut Log<S>,
    store: &mut S,
    compressors: &Compressors,
    offset: i64,
    state: &mut MetadataState,
    mut on_control: impl FnMut(super::control::Control),
) -> Result<u64, String> {
    const READ_MAX_BYTES: u64 = 8 << 20;
    let mut next_offset = offset;
    let mut bytes_read = 0_u64;
    while next_offset < log.log_end_offset() {
        let failed = |error: LogError| format!("{}: {error}", log_file(next_offset));
        let fetched = log
            .read(store, next_offset, READ_MAX_BYTES, crate::log::FetchIsolation::LogEnd, true, None)
            .map_err(failed)?;
        let Some(slice) = fetched.records else { break };
        let bytes: Bytes = store.read_slice(&slice).map_err(|error| failed(error.into()))?;
        bytes_read = bytes_read.saturating_add(fetched.size);
        let before = next_offset;
        for batch in crate::record::batches(&bytes) {
            let batch = batch.map_err(|error| format!("{}: {error}", log_file(next_offset)))?;
            for record in
                batch.records(compressors).map_err(|error| format!("{}: {error}", log_file(next_offset)))?
            {
                let record = record.map_err(|error| format!("{}: {error}", log_file(next_offset)))?;
                if record.offset < offset {
                    continue;
                }
                let at =
                    |reason: String| format!("{} at offset {}: {reason}", super::METADATA_DIR, record.offset);
                let value = record.value.unwrap_or_default();
                if batch.header().is_control() {
                    let key = record.key.unwrap_or_default();
                    on_control(super::control::Control::decode(&key, &value).map_err(at)?);
                    continue;
                }
                let (metadata, _) = MetadataRecord::decode(value).map_err(|error| at(error.to_string()))?;
                let name = crate::metadata::record::name(&metadata);
                state.replay(&metadata).map_err(|error| at(format!("{name}: {error}")))?;
            }
            next_offset = batch.header().next_offset();
        }
        if next_offset == before {
            break;
        }
    }
    Ok(bytes_read)
}

fn log_file(offset: i64) -> String {
    format!("{} at offset {offset}", super::METADATA_DIR)
}
