//! The 61 bytes before the records of a batch, read in place.

use std::fmt;

use crate::crc::{CrcAlgorithm, checksum};

use super::batch::BatchError;
use super::compression::CompressionType;

/// Base offset and length: what precedes the bytes that `batch_length` counts.
pub const LOG_OVERHEAD: usize = 12;
/// Where the magic is, in every version of the format.
pub const MAGIC_OFFSET: usize = 16;
/// A batch of format v2 without its records.
pub const BATCH_HEADER_SIZE: usize = 61;
/// Everything before this byte is outside the checksum.
pub(super) const ATTRIBUTES_OFFSET: usize = 21;

pub const MAGIC_V0: i8 = 0;
pub const MAGIC_V1: i8 = 1;
pub const MAGIC_V2: i8 = 2;

pub const NO_PRODUCER_ID: i64 = -1;
pub const NO_PRODUCER_EPOCH: i16 = -1;
pub const NO_SEQUENCE: i32 = -1;
pub const NO_TIMESTAMP: i64 = -1;
pub const NO_PARTITION_LEADER_EPOCH: i32 = -1;

/// What the timestamps of a batch mean: `message.timestamp.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    #[default]
    CreateTime,
    LogAppendTime,
}

/// The attributes of a batch, as they are on the wire.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    const COMPRESSION: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    pub const fn new(compression: CompressionType, timestamp_type: TimestampType) -> Self {
        Self(compression.id()).with_timestamp_type(timestamp_type)
    }

    /// `None` if the bits name no codec.
    pub const fn compression(self) -> Option<CompressionType> {
        CompressionType::from_id(self.0 & Self::COMPRESSION)
    }

    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// The base timestamp is the time from which tombstones and markers in the batch may be removed (KIP-534).
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    pub const fn with_compression(self, compression: CompressionType) -> Self {
        Self(self.0 & !Self::COMPRESSION | compression.id())
    }

    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        self.with(Self::LOG_APPEND_TIME, matches!(timestamp_type, TimestampType::LogAppendTime))
    }

    pub const fn with_transactional(self, set: bool) -> Self {
        self.with(Self::TRANSACTIONAL, set)
    }

    pub const fn with_control(self, set: bool) -> Self {
        self.with(Self::CONTROL, set)
    }

    pub const fn with_delete_horizon(self, set: bool) -> Self {
        self.with(Self::DELETE_HORIZON, set)
    }

    const fn with(self, bit: i16, set: bool) -> Self {
        if set { Self(self.0 | bit) } else { Self(self.0 & !bit) }
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attributes")
            .field("compression", &self.compression())
            .field("timestamp_type", &self.timestamp_type())
            .field("transactional", &self.is_transactional())
            .field("control", &self.is_control())
            .field("delete_horizon", &self.has_delete_horizon())
            .finish()
    }
}

/// The 61 bytes of a batch of format v2 before its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Bytes after this field; see [`BatchHeader::size_in_bytes`].
    pub batch_length: i32,
    pub partition_leader_epoch: i32,
    pub magic: i8,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    /// ms; of the first record, or the delete horizon.
    pub base_timestamp: i64,
    /// ms; the append time if the timestamp type is LogAppendTime.
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub records_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which need not hold the records. The magic and the length are checked,
    /// nothing else; a header that is returned has `size_in_bytes() >= 61`.
    pub fn read(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(header) = bytes.first_chunk::<BATCH_HEADER_SIZE>() else {
            return Err(match log_entry_size(bytes) {
                Ok(Some((_, Some(magic)))) if magic != MAGIC_V2 => BatchError::UnsupportedMagic { magic },
                Ok(Some((size, _))) => BatchError::Incomplete { needed: Some(size), available: bytes.len() },
                Ok(None) => BatchError::Incomplete { needed: None, available: bytes.len() },
                Err(error) => error,
            });
        };
        let header = Self::from_array(header);
        if header.magic != MAGIC_V2 {
            return Err(BatchError::UnsupportedMagic { magic: header.magic });
        }
        if header.batch_length < (BATCH_HEADER_SIZE - LOG_OVERHEAD) as i32 {
            return Err(BatchError::InvalidLength { batch_length: header.batch_length });
        }
        Ok(header)
    }

    #[rustfmt::skip]
    fn from_array(h: &[u8; BATCH_HEADER_SIZE]) -> Self {
        Self {
            base_offset: i64::from_be_bytes([h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]]),
            batch_length: i32::from_be_bytes([h[8], h[9], h[10], h[11]]),
            partition_leader_epoch: i32::from_be_bytes([h[12], h[13], h[14], h[15]]),
            magic: i8::from_be_bytes([h[16]]),
            crc: u32::from_be_bytes([h[17], h[18], h[19], h[20]]),
            attributes: Attributes(i16::from_be_bytes([h[21], h[22]])),
            last_offset_delta: i32::from_be_bytes([h[23], h[24], h[25], h[26]]),
            base_timestamp: i64::from_be_bytes([h[27], h[28], h[29], h[30], h[31], h[32], h[33], h[34]]),
            max_timestamp: i64::from_be_bytes([h[35], h[36], h[37], h[38], h[39], h[40], h[41], h[42]]),
            producer_id: i64::from_be_bytes([h[43], h[44], h[45], h[46], h[47], h[48], h[49], h[50]]),
            producer_epoch: i16::from_be_bytes([h[51], h[52]]),
            base_sequence: i32::from_be_bytes([h[53], h[54], h[55], h[56]]),
            records_count: i32::from_be_bytes([h[57], h[58], h[59], h[60]]),
        }
    }

    /// The bytes of this header, with the checksum as it stands.
    pub fn to_array(&self) -> [u8; BATCH_HEADER_SIZE] {
        let mut h = [0; BATCH_HEADER_SIZE];
        h[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        h[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        h[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        h[16..17].copy_from_slice(&self.magic.to_be_bytes());
        h[17..21].copy_from_slice(&self.crc.to_be_bytes());
        h[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        h[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        h[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        h[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        h[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        h[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        h[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        h[57..61].copy_from_slice(&self.records_count.to_be_bytes());
        h
    }

    /// Header and records, log overhead included.
    pub fn size_in_bytes(&self) -> usize {
        LOG_OVERHEAD.saturating_add(usize::try_from(self.batch_length).unwrap_or(0))
    }

    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset after the batch.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// `None` if the bits name no codec.
    pub fn compression(&self) -> Option<CompressionType> {
        self.attributes.compression()
    }

    pub fn is_compressed(&self) -> bool {
        self.compression() != Some(CompressionType::None)
    }

    pub fn timestamp_type(&self) -> TimestampType {
        self.attributes.timestamp_type()
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes.is_transactional()
    }

    pub fn is_control(&self) -> bool {
        self.attributes.is_control()
    }

    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// The sequence of the last record; [`NO_SEQUENCE`] if there is none.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            NO_SEQUENCE
        } else {
            increment_sequence(self.base_sequence, self.last_offset_delta)
        }
    }

    /// Time from which tombstones and markers in the batch may be removed, in ms, if the cleaner has set one (KIP-534).
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }
}

/// Sequences wrap from the largest `i32` to 0.
pub fn increment_sequence(sequence: i32, increment: i32) -> i32 {
    const MODULUS: i64 = i32::MAX as i64 + 1;
    i64::from(sequence).saturating_add(i64::from(increment)).rem_euclid(MODULUS) as i32
}

/// The inverse of [`increment_sequence`].
pub fn decrement_sequence(sequence: i32, decrement: i32) -> i32 {
    const MODULUS: i64 = i32::MAX as i64 + 1;
    i64::from(sequence).saturating_sub(i64::from(decrement)).rem_euclid(MODULUS) as i32
}

/// Size and, if it is there, magic of the entry at the start of `bytes`, of whatever version; `None` if not even the
/// length is there.
fn log_entry_size(bytes: &[u8]) -> Result<Option<(usize, Option<i8>)>, BatchError> {
    let Some(&[.., a, b, c, d]) = bytes.first_chunk::<LOG_OVERHEAD>() else { return Ok(None) };
    let batch_length = i32::from_be_bytes([a, b, c, d]);
    let magic = bytes.get(MAGIC_OFFSET).map(|&magic| i8::from_be_bytes([magic]));
    match usize::try_from(batch_length) {
        Ok(length) => Ok(Some((LOG_OVERHEAD.saturating_add(length), magic))),
        Err(_) => Err(BatchError::InvalidLength { batch_length }),
    }
}

pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}
