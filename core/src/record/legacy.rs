//! Message sets of the formats v0 and v1, which clients before Kafka 0.11 produce: read, and turned into batches by
//! [`super::validate`]. They are never written.
//!
//! ```text
//!  0  offset      i64
//!  8  size        i32   bytes that follow
//! 12  crc         u32   CRC-32 (IEEE) of everything after it
//! 16  magic       i8    0 or 1
//! 17  attributes  i8    bits 0–2 compression, 3 timestamp type (v1)
//! 18  timestamp   i64   ms; v1 only
//!  …  key, value        each after an i32 length, -1 for null
//! ```
//!
//! A compressed message is a wrapper: its value is a message set, compressed. In v1 the offsets inside are relative and
//! the wrapper's own offset is that of its last message.

use crate::crc::{CrcAlgorithm, checksum};
use bytes::Bytes;

use super::compression::{CompressionType, Compressors, DecompressError, lz4_with_valid_header};
use super::header::{LOG_OVERHEAD, MAGIC_V0, MAGIC_V1, NO_TIMESTAMP, TimestampType};
use super::records::RecordError;
use super::validate::ValidationError;
use super::varint::Cursor;

const COMPRESSION_MASK: u8 = 0x07;
const LOG_APPEND_TIME: u8 = 0x08;

/// A message of a legacy set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyRecord {
    pub offset: i64,
    /// ms; [`NO_TIMESTAMP`] in v0.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

/// A legacy set with its wrappers opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageSet {
    pub records: Vec<LegacyRecord>,
    /// The codec of the wrapper, if the set is one.
    pub compression: CompressionType,
    /// LogAppendTime if any message or wrapper says so.
    pub timestamp_type: TimestampType,
}

/// Why bytes are not a legacy message set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyError {
    /// A size, a length or the magic is impossible.
    Malformed,
    CrcMismatch,
    /// A codec that the format does not have (zstd), or none.
    UnsupportedCompression,
    /// A wrapper inside a wrapper.
    NestedTooDeep,
    /// A wrapper beside other messages.
    WrapperNotAlone,
    Decompress(DecompressError),
}

impl LegacyError {
    pub(super) fn of_produce(self, batch_bytes_max: usize) -> ValidationError {
        match self {
            Self::Malformed | Self::CrcMismatch | Self::NestedTooDeep => ValidationError::Corrupt,
            Self::WrapperNotAlone => ValidationError::MoreThanOneBatch,
            Self::UnsupportedCompression => ValidationError::UnsupportedCompression,
            Self::Decompress(error) => {
                ValidationError::of_records(RecordError::Decompress(error), batch_bytes_max)
            }
        }
    }
}

/// Reads all whole messages of `bytes`, or the one wrapper; a cut last one is left out. Checksums are checked.
pub fn message_set(bytes: &Bytes, compressors: &Compressors) -> Result<MessageSet, LegacyError> {
    let mut set = MessageSet::default();
    let mut rest = bytes.clone();
    while let Some(message) = Message::read(&rest)? {
        rest = rest.slice(message.size_in_bytes..);
        let compression = message.compression()?;
        if set.compression != CompressionType::None
            || compression != CompressionType::None && !set.records.is_empty()
        {
            return Err(LegacyError::WrapperNotAlone);
        }
        set.compression = compression;
        if message.timestamp_type() == TimestampType::LogAppendTime {
            set.timestamp_type = TimestampType::LogAppendTime;
        }
        if compression == CompressionType::None {
            set.records.push(message.record());
        } else {
            open_wrapper(&message, compression, compressors, &mut set.records)?;
        }
    }
    Ok(set)
}

fn open_wrapper(
    wrapper: &Message,
    compression: CompressionType,
    compressors: &Compressors,
    records: &mut Vec<LegacyRecord>,
) -> Result<(), LegacyError> {
    let value = wrapper.value.clone().ok_or(LegacyError::Malformed)?;
    // Clients of v0 computed the checksum in the header of an lz4 frame over the wrong bytes.
    let is_broken = wrapper.magic == MAGIC_V0 && compression == CompressionType::Lz4;
    let value = if is_broken { lz4_with_valid_header(&value) } else { value };
    let mut rest = compressors.decompress(compression, &value).map_err(LegacyError::Decompress)?;
    let first = records.len();
    while let Some(message) = Message::read(&rest)? {
        rest = rest.slice(message.size_in_bytes..);
        if message.compression()? != CompressionType::None {
            return Err(LegacyError::NestedTooDeep);
        }
        if message.magic != wrapper.magic {
            return Err(LegacyError::Malformed);
        }
        let mut record = message.record();
        if wrapper.timestamp_type() == TimestampType::LogAppendTime {
            record.timestamp = wrapper.timestamp;
        }
        records.push(record);
    }
    let inner = records.get_mut(first..).unwrap_or_default();
    let last_relative = inner.last().ok_or(LegacyError::Malformed)?.offset;
    if wrapper.magic == MAGIC_V1 {
        let base = wrapper.offset.wrapping_sub(last_relative);
        for record in inner {
            record.offset = record.offset.wrapping_add(base);
        }
    }
    Ok(())
}

struct Message {
    offset: i64,
    magic: i8,
    attributes: u8,
    timestamp: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
    size_in_bytes: usize,
}

impl Message {
    /// `None` if the bytes end before the message does.
    fn read(bytes: &Bytes) -> Result<Option<Self>, LegacyError> {
        let mut cursor = Cursor::new(bytes);
        let (Some(offset), Some(size)) = (cursor.array(), cursor.array()) else { return Ok(None) };
        let size = usize::try_from(i32::from_be_bytes(size)).map_err(|_| LegacyError::Malformed)?;
        let Some(body) = cursor.take(size) else { return Ok(None) };
        Self::read_body(bytes, i64::from_be_bytes(offset), body).map(Some)
    }

    fn read_body(bytes: &Bytes, offset: i64, body: &[u8]) -> Result<Self, LegacyError> {
        let mut cursor = Cursor::new(body);
        let stored = cursor.array().map(u32::from_be_bytes).ok_or(LegacyError::Malformed)?;
        if checksum(CrcAlgorithm::Crc32IsoHdlc, cursor.rest()) != u64::from(stored) {
            return Err(LegacyError::CrcMismatch);
        }
        let [magic, attributes] = cursor.array().ok_or(LegacyError::Malformed)?;
        let magic = i8::from_be_bytes([magic]);
        let timestamp = match magic {
            MAGIC_V0 => NO_TIMESTAMP,
            MAGIC_V1 => cursor.array().map(i64::from_be_bytes).ok_or(LegacyError::Malformed)?,
            _ => return Err(LegacyError::Malformed),
        };
        let mut nullable = || {
            let length = cursor.array().map(i32::from_be_bytes)?;
            match usize::try_from(length) {
                Ok(length) => Some(Some(bytes.slice_ref(cursor.take(length)?))),
                Err(_) => Some(None),
            }
        };
        let key = nullable().ok_or(LegacyError::Malformed)?;
        let value = nullable().ok_or(LegacyError::Malformed)?;
        if !cursor.is_empty() {
            return Err(LegacyError::Malformed);
        }
        let size_in_bytes = LOG_OVERHEAD.saturating_add(body.len());
        Ok(Self { offset, magic, attributes, timestamp, key, value, size_in_bytes })
    }

    fn compression(&self) -> Result<CompressionType, LegacyError> {
        match CompressionType::from_id(i16::from(self.attributes & COMPRESSION_MASK)) {
            Some(CompressionType::Zstd) | None => Err(LegacyError::UnsupportedCompression),
            Some(compression) => Ok(compression),
        }
    }

    fn timestamp_type(&self) -> TimestampType {
        if self.magic == MAGIC_V1 && self.attributes & LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    fn record(&self) -> LegacyRecord {
        LegacyRecord {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.clone(),
            value: self.value.clone(),
        }
    }
}
