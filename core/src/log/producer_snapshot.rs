//! `.snapshot` files: the producers of a log up to the offset in the name.
//!
//! Version 1: `version i16, crc u32 (CRC-32C of what follows), count i32`, then 46 bytes for each producer: id, epoch, last
//! sequence, last offset, offset delta, timestamp, coordinator epoch, first offset of the open transaction (−1: none). Of the
//! batches only the last one is kept.

use std::fmt;

use crate::crc::{CrcAlgorithm, checksum};

use super::producer_state::{BatchMetadata, ProducerEntry, ProducerState};
use crate::record::NO_SEQUENCE;

const VERSION: i16 = 1;
const ENTRY_SIZE: usize = 46;

/// The file's bytes.
pub fn encode(state: &ProducerState) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut count = 0_i32;
    for (producer_id, entry) in state.producers() {
        let last = entry.batches.back();
        entries.extend_from_slice(&producer_id.to_be_bytes());
        entries.extend_from_slice(&entry.producer_epoch.to_be_bytes());
        entries.extend_from_slice(&entry.last_sequence().to_be_bytes());
        entries.extend_from_slice(&entry.last_offset().to_be_bytes());
        entries.extend_from_slice(&last.map_or(0, |batch| batch.offset_delta).to_be_bytes());
        entries.extend_from_slice(&entry.last_timestamp.to_be_bytes());
        entries.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        entries.extend_from_slice(&entry.current_txn_first_offset.unwrap_or(-1).to_be_bytes());
        count = count.saturating_add(1);
    }
    let mut checked = count.to_be_bytes().to_vec();
    checked.append(&mut entries);
    let mut bytes = VERSION.to_be_bytes().to_vec();
    bytes.extend_from_slice(&crc(&checked).to_be_bytes());
    bytes.append(&mut checked);
    bytes
}

/// Why a file is no snapshot; shown in Apache Kafka's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    UnknownVersion(i16),
    /// The file ends before its entries do, or goes on after them.
    Malformed,
    CrcMismatch {
        stored: u32,
        computed: u32,
    },
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVersion(version) => write!(
                f,
                "Snapshot failed schema validation: Snapshot contained an unknown file version {version}"
            ),
            Self::Malformed => {
                f.write_str("Snapshot failed schema validation: its size is not that of its entries")
            }
            Self::CrcMismatch { stored, computed } => write!(
                f,
                "Snapshot is corrupt (CRC is no longer valid). Stored crc: {stored}. Computed crc: {computed}"
            ),
        }
    }
}

impl std::error::Error for SnapshotError {}

/// Reads a file written when the log ended at `offset`; `None` if it is broken.
pub fn decode(bytes: &[u8], offset: i64) -> Option<ProducerState> {
    let mut state = ProducerState::starting_at(offset);
    for (producer_id, entry) in read(bytes).ok()? {
        state.load(producer_id, entry);
    }
    Some(state)
}

/// The producers in a file, in its order.
pub fn read(bytes: &[u8]) -> Result<Vec<(i64, ProducerEntry)>, SnapshotError> {
    let (version, rest) = bytes.split_first_chunk::<2>().ok_or(SnapshotError::Malformed)?;
    let version = i16::from_be_bytes(*version);
    if version != VERSION {
        return Err(SnapshotError::UnknownVersion(version));
    }
    let (stored, checked) = rest.split_first_chunk::<4>().ok_or(SnapshotError::Malformed)?;
    let (count, entries) = checked.split_first_chunk::<4>().ok_or(SnapshotError::Malformed)?;
    let (entries, rest) = entries.as_chunks::<ENTRY_SIZE>();
    // A count that the bytes cannot hold is Kafka's schema error; any other damage is for the checksum to tell.
    let count = usize::try_from(i32::from_be_bytes(*count)).map_err(|_| SnapshotError::Malformed)?;
    if count > entries.len() {
        return Err(SnapshotError::Malformed);
    }
    let (stored, computed) = (u32::from_be_bytes(*stored), crc(checked));
    if stored != computed {
        return Err(SnapshotError::CrcMismatch { stored, computed });
    }
    if count < entries.len() || !rest.is_empty() {
        return Err(SnapshotError::Malformed);
    }
    entries.iter().map(|entry| producer(entry).ok_or(SnapshotError::Malformed)).collect()
}

/// Where the entries of a file begin, in bytes.
pub fn positions() -> impl Iterator<Item = u64> {
    // After version, checksum and count.
    (10_u64..).step_by(ENTRY_SIZE)
}

fn producer(entry: &[u8; ENTRY_SIZE]) -> Option<(i64, ProducerEntry)> {
    let mut bytes = entry.as_slice();
    let producer_id = i64::from_be_bytes(take(&mut bytes)?);
    let producer_epoch = i16::from_be_bytes(take(&mut bytes)?);
    let last_sequence = i32::from_be_bytes(take(&mut bytes)?);
    let last_offset = i64::from_be_bytes(take(&mut bytes)?);
    let offset_delta = i32::from_be_bytes(take(&mut bytes)?);
    let timestamp = i64::from_be_bytes(take(&mut bytes)?);
    let coordinator_epoch = i32::from_be_bytes(take(&mut bytes)?);
    let current_txn_first_offset = i64::from_be_bytes(take(&mut bytes)?);
    let batch = BatchMetadata { last_sequence, last_offset, offset_delta, timestamp };
    let entry = ProducerEntry {
        producer_epoch,
        coordinator_epoch,
        last_timestamp: timestamp,
        current_txn_first_offset: (current_txn_first_offset >= 0).then_some(current_txn_first_offset),
        batches: (last_sequence != NO_SEQUENCE && last_offset >= 0).then_some(batch).into_iter().collect(),
    };
    Some((producer_id, entry))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

fn crc(bytes: &[u8]) -> u32 {
    u32::try_from(checksum(CrcAlgorithm::Crc32Iscsi, bytes)).unwrap_or(u32::MAX)
}
