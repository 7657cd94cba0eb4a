//! Snapshots of the metadata log: `<end offset>-<epoch>.checkpoint` (KIP-630), and `bootstrap.checkpoint` in the same format.

use ottla_protocol::Bytes;
use ottla_protocol::records::MetadataRecord;

use super::control::{self, Control, Voter};
use crate::metadata::{MetadataVersion, record};
use crate::record::compression::Compressors;
use crate::record::{BatchBuilder, BatchOptions, ControlRecordType, batches};

/// What a snapshot is called by: everything below `end_offset`, whose last record was of `epoch`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The first offset that is not in it.
    pub end_offset: i64,
    /// Leader epoch of its last record.
    pub epoch: i32,
}

/// The ending of a snapshot's name.
const SUFFIX: &str = ".checkpoint";
/// Records in one batch of a snapshot.
const BATCH_RECORDS_MAX: usize = 1_000;

impl SnapshotId {
    /// `00000000000000000000-0000000000.checkpoint`
    pub fn file_name(&self) -> String {
        format!("{:020}-{:010}{SUFFIX}", self.end_offset, self.epoch)
    }

    /// Parses the name of a complete snapshot.
    pub fn parse(name: &str) -> Option<Self> {
        let (end_offset, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        (end_offset.len() == 20 && epoch.len() == 10).then_some(())?;
        Some(Self { end_offset: end_offset.parse().ok()?, epoch: epoch.parse().ok()? })
    }
}

/// What a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Timestamp in ms of the last record that it stands for; 0 for none.
    pub last_contained_log_timestamp: i64,
    /// `kraft.version`, where the snapshot states it.
    pub kraft_version: Option<i16>,
    /// The voters, where the snapshot states them.
    pub voters: Option<Vec<Voter>>,
    /// The metadata.
    pub records: Vec<MetadataRecord>,
}

impl Checkpoint {
    /// The file.
    pub fn encode(&self, epoch: i32, version: MetadataVersion, now: i64) -> Vec<u8> {
        let none = Compressors::default();
        let mut header = BatchBuilder::control(0, epoch);
        let value = control::snapshot_header(self.last_contained_log_timestamp);
        header.append_control(now, ControlRecordType::SnapshotHeader, &value);
        if let Some(kraft_version) = self.kraft_version {
            header.append_control(
                now,
                ControlRecordType::KRaftVersion,
                &control::kraft_version(kraft_version),
            );
        }
        if let Some(voters) = &self.voters {
            header.append_control(now, ControlRecordType::KRaftVoters, &control::voters(voters));
        }
        let mut next_offset = header.next_offset();
        let mut bytes = header.build(&none).to_vec();
        for records in self.records.chunks(BATCH_RECORDS_MAX) {
            let batch = metadata_batch(next_offset, epoch, version, now, records);
            next_offset = batch.next_offset();
            bytes.extend_from_slice(&batch.build(&none));
        }
        let mut footer = BatchBuilder::control(next_offset, epoch);
        footer.append_control(now, ControlRecordType::SnapshotFooter, &control::snapshot_footer());
        bytes.extend_from_slice(&footer.build(&none));
        bytes
    }

    /// Reads a file. The error says where in it and what: nothing is skipped.
    pub fn decode(bytes: &Bytes, compressors: &Compressors) -> Result<Self, String> {
        let mut checkpoint = Self::default();
        let mut ended = false;
        for batch in batches(bytes) {
            let batch = batch.map_err(|error| format!("a broken batch: {error}"))?;
            let offset = batch.header().base_offset;
            let at = |reason: String| format!("in the batch at offset {offset}: {reason}");
            batch.check_crc().map_err(|error| at(error.to_string()))?;
            if ended {
                return Err(at("records after the footer".to_owned()));
            }
            for record in batch.records(compressors).map_err(|error| at(error.to_string()))? {
                let record = record.map_err(|error| at(error.to_string()))?;
                let value = record.value.unwrap_or_default();
                if !batch.header().is_control() {
                    let (record, _) = MetadataRecord::decode(value).map_err(|error| at(error.to_string()))?;
                    checkpoint.records.push(record);
                    continue;
                }
                match Control::decode(&record.key.unwrap_or_default(), &value).map_err(at)? {
                    Control::SnapshotHeader(timestamp) => checkpoint.last_contained_log_timestamp = timestamp,
                    Control::SnapshotFooter => ended = true,
                    Control::KRaftVersion(version) => checkpoint.kraft_version = Some(version),
                    Control::Voters(voters) => checkpoint.voters = Some(voters),
                    Control::LeaderChange => return Err(at("a leader change in a snapshot".to_owned())),
                }
            }
        }
        if ended { Ok(checkpoint) } else { Err("it has no footer".to_owned()) }
    }
}

/// Metadata records as one batch, not yet built.
///
/// # Panics
/// If a record does not encode: what the image holds always does.
pub(crate) fn metadata_batch(
    base_offset: i64,
    epoch: i32,
    version: MetadataVersion,
    now: i64,
    records: &[MetadataRecord],
) -> BatchBuilder {
    let options = BatchOptions { base_offset, partition_leader_epoch: epoch, ..BatchOptions::default() };
    let mut batch = BatchBuilder::new(options);
    for one in records {
        match record::encode(one, version) {
            Ok(value) => batch.append(now, None, Some(&value), &[]),
            Err(error) => panic!("a {} that does not encode: {error}", record::name(one)),
        };
    }
    batch
}
