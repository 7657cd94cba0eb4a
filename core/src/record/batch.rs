//! The batch header, read in place, and the walk over a run of batches.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};

use super::CompressionType;

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

/// Why bytes are not a batch. All of them are CORRUPT_MESSAGE on the wire, except that an incomplete batch at the end of
/// a fetched buffer is normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// The buffer ends inside the batch. `needed` is the size of the whole batch in bytes if its length could be read.
    Incomplete { needed: Option<usize>, available: usize },
    /// The length field is smaller than the header of its magic, or negative.
    InvalidLength { batch_length: i32 },
    /// The magic is 0 or 1 (a legacy message set: see [`super::legacy`]) or unknown.
    UnsupportedMagic { magic: i8 },
    /// The CRC-32C of the bytes is not the one stored.
    CrcMismatch { stored: u32, computed: u32 },
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete { needed: Some(needed), available } => {
                write!(f, "batch of {needed} bytes ends after {available}")
            }
            Self::Incomplete { needed: None, available } => {
                write!(f, "batch header ends after {available} bytes")
            }
            Self::InvalidLength { batch_length } => write!(f, "batch length {batch_length} is impossible"),
            Self::UnsupportedMagic { magic } => write!(f, "magic {magic} is not the batch format"),
            Self::CrcMismatch { stored, computed } => {
                write!(f, "stored crc {stored:#010x}, computed {computed:#010x}")
            }
        }
    }
}

impl std::error::Error for BatchError {}

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

/// One whole batch, borrowed. Dereferences to its header.
#[derive(Clone, Copy)]
pub struct BatchView<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// Reads the batch at the start of `bytes`; what follows it is ignored. The checksum is not computed.
    pub fn read(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let header = BatchHeader::read(bytes)?;
        let size = header.size_in_bytes();
        match bytes.get(..size) {
            Some(bytes) => Ok(Self { header, bytes }),
            None => Err(BatchError::Incomplete { needed: Some(size), available: bytes.len() }),
        }
    }

    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header: the records, compressed or not.
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(BATCH_HEADER_SIZE..).unwrap_or_default()
    }

    /// CRC-32C of the bytes that it covers.
    pub fn compute_crc(&self) -> u32 {
        crc32c(self.bytes.get(ATTRIBUTES_OFFSET..).unwrap_or_default())
    }

    /// One pass over the bytes.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let computed = self.compute_crc();
        if computed == self.header.crc {
            Ok(())
        } else {
            Err(BatchError::CrcMismatch { stored: self.header.crc, computed })
        }
    }
}

impl Deref for BatchView<'_> {
    type Target = BatchHeader;

    fn deref(&self) -> &BatchHeader {
        &self.header
    }
}

impl fmt::Debug for BatchView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BatchView").field(&self.header).finish()
    }
}

/// One whole batch that shares its buffer. Dereferences to its header.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// Reads the batch at the start of `bytes`; what follows it is ignored. The checksum is not computed.
    pub fn read(bytes: &Bytes) -> Result<Self, BatchError> {
        let view = BatchView::read(bytes)?;
        Ok(Self { header: view.header, bytes: bytes.slice(..view.bytes.len()) })
    }

    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// What follows the header: the records, compressed or not.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(BATCH_HEADER_SIZE.min(self.bytes.len())..)
    }

    pub fn view(&self) -> BatchView<'_> {
        BatchView { header: self.header, bytes: &self.bytes }
    }

    /// One pass over the bytes.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        self.view().check_crc()
    }
}

impl Deref for Batch {
    type Target = BatchHeader;

    fn deref(&self) -> &BatchHeader {
        &self.header
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Batch").field(&self.header).finish()
    }
}

/// The batches of a buffer, in order. Ends after the first error; a batch that the buffer cuts off is
/// [`BatchError::Incomplete`], which a fetch ignores.
pub fn batches(bytes: &Bytes) -> Batches {
    Batches { rest: bytes.clone() }
}

/// The batches of a borrowed buffer, in order; ends like [`batches`].
pub fn batch_views(bytes: &[u8]) -> BatchViews<'_> {
    BatchViews { rest: bytes }
}

/// See [`batches`].
#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
}

impl Iterator for Batches {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = Batch::read(&self.rest);
        match &batch {
            Ok(batch) => self.rest = self.rest.slice(batch.bytes.len()..),
            Err(_) => self.rest = Bytes::new(),
        }
        Some(batch)
    }
}

/// See [`batch_views`].
#[derive(Clone, Debug)]
pub struct BatchViews<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for BatchViews<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = BatchView::read(self.rest);
        self.rest = match &batch {
            Ok(batch) => self.rest.get(batch.bytes.len()..).unwrap_or_default(),
            Err(_) => &[],
        };
        Some(batch)
    }
}

/// Size and, if it is there, magic of the entry at the start of `bytes`, of whatever version; `None` if not even the
/// length is there.
pub(super) fn log_entry_size(bytes: &[u8]) -> Result<Option<(usize, Option<i8>)>, BatchError> {
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

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]
mod tests {
    use super::*;

    fn header() -> BatchHeader {
        BatchHeader {
            base_offset: 100,
            batch_length: 49 + 3,
            partition_leader_epoch: 7,
            magic: 2,
            crc: 0,
            attributes: Attributes::new(CompressionType::Lz4, TimestampType::LogAppendTime),
            last_offset_delta: 4,
            base_timestamp: 1_000,
            max_timestamp: 2_000,
            producer_id: 9,
            producer_epoch: 1,
            base_sequence: i32::MAX - 1,
            records_count: 5,
        }
    }

    fn bytes() -> Vec<u8> {
        let mut bytes = header().to_array().to_vec();
        bytes.extend_from_slice(b"abc");
        let crc = crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    #[test]
    fn a_header_reads_back_as_written() {
        let bytes = bytes();
        let batch = BatchView::read(&bytes).unwrap();
        assert_eq!(*batch.header(), BatchHeader { crc: batch.crc, ..header() });
        assert_eq!((batch.last_offset(), batch.next_offset(), batch.size_in_bytes()), (104, 105, 64));
        assert_eq!(batch.last_sequence(), 2);
        assert_eq!(batch.body(), b"abc");
        batch.check_crc().unwrap();
    }

    #[test]
    fn every_flipped_bit_under_the_checksum_is_seen() {
        let good = bytes();
        for at in 17..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert!(matches!(
                BatchView::read(&bad).unwrap().check_crc(),
                Err(BatchError::CrcMismatch { .. })
            ));
        }
    }

    #[test]
    fn a_run_of_batches_ends_at_the_cut() {
        let run = Bytes::from([bytes(), bytes(), bytes()].concat());
        assert_eq!(batches(&run).filter(Result::is_ok).count(), 3);
        for cut in 1..64 {
            let seen: Vec<_> = batches(&run.slice(..128 + cut)).collect();
            assert_eq!(seen.len(), 3);
            let needed = (cut >= 12).then_some(64);
            assert_eq!(seen[2], Err(BatchError::Incomplete { needed, available: cut }));
            assert_eq!(batch_views(&run[..128 + cut]).filter(Result::is_ok).count(), 2);
        }
    }

    #[test]
    fn impossible_headers_are_errors() {
        let mut short = bytes();
        short[8..12].copy_from_slice(&48i32.to_be_bytes());
        assert_eq!(BatchView::read(&short).unwrap_err(), BatchError::InvalidLength { batch_length: 48 });
        short[8..12].copy_from_slice(&(-1i32).to_be_bytes());
        assert_eq!(BatchView::read(&short).unwrap_err(), BatchError::InvalidLength { batch_length: -1 });
        let mut legacy = bytes();
        legacy[16] = 1;
        assert_eq!(BatchView::read(&legacy).unwrap_err(), BatchError::UnsupportedMagic { magic: 1 });
    }
}
