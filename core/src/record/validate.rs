//! What a leader demands of a produced batch, and what it makes of it before it is appended.
//!
//! An uncompressed batch costs one pass for the checksum and one walk over its varints; nothing is allocated. A
//! compressed batch is decompressed for the walk and appended as it came, unless the topic wants another codec.

use std::fmt;

use bytes::Bytes;
use ottla_protocol::ErrorCode;

use super::batch::{
    BATCH_HEADER_SIZE, Batch, BatchError, BatchHeader, MAGIC_V2, NO_TIMESTAMP, TimestampType, log_entry_size,
};
use super::builder::{BatchBuilder, BatchOptions};
use super::compression::{Compression, CompressionType, Compressors, DecompressError};
use super::legacy;
use super::records::{RecordError, record_views, uncompressed_body};

/// The first Produce version that carries batches of format v2, and nothing else.
const PRODUCE_VERSION_BATCHES: i16 = 3;
/// The first Produce version that may carry zstd (KIP-110).
const PRODUCE_VERSION_ZSTD: i16 = 7;
/// The most rejected records that are listed; one is enough to refuse the batch.
pub const REJECTED_RECORDS_MAX: usize = 1_000;

/// The topic's configuration, as far as batches are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRules {
    /// `max.message.bytes`: the largest batch, header included.
    pub batch_bytes_max: usize,
    /// `compression.type` and its level; `None` is `producer`: as it comes.
    pub compression: Option<Compression>,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy` contains `compact`: every record needs a key.
    pub is_compacted: bool,
}

impl Default for BatchRules {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            batch_bytes_max: 1_048_588,
            compression: None,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            is_compacted: false,
        }
    }
}

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A client, by a Produce request of this version. Control batches are not for clients.
    Client { produce_version: i16 },
    /// A coordinator or another part of the broker.
    Coordinator,
}

/// A batch that may be appended once it is stamped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatedBatch {
    header: BatchHeader,
    body: Bytes,
    /// The first record with the largest timestamp, as an offset delta; under LogAppendTime the last record.
    pub max_timestamp_offset_delta: i32,
    /// The bytes are not the producer's: codec or format were converted.
    pub is_rebuilt: bool,
}

impl ValidatedBatch {
    /// Final but for base offset and leader epoch; the base offset is 0.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// What follows the header. A slice of the request's frame unless the batch was rebuilt.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The header to append before [`ValidatedBatch::body`].
    pub fn stamped(&self, base_offset: i64, partition_leader_epoch: i32) -> [u8; BATCH_HEADER_SIZE] {
        self.header.stamped(base_offset, partition_leader_epoch)
    }

    pub fn size_in_bytes(&self) -> usize {
        self.header.size_in_bytes()
    }
}

/// Why a produced batch is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidationError {
    /// There is no whole batch.
    NoBatch,
    MoreThanOneBatch,
    /// The format does not go with the version of the request.
    UnexpectedMagic {
        magic: i8,
        produce_version: i16,
    },
    /// Length, checksum or compressed data are wrong.
    Corrupt,
    TooLarge {
        size_in_bytes: usize,
        batch_bytes_max: usize,
    },
    UnsupportedCompression,
    /// A client's offsets begin at 0.
    BaseOffset {
        base_offset: i64,
    },
    /// Count and last offset delta disagree, or there are no records.
    Count {
        records_count: i32,
        last_offset_delta: i32,
    },
    ControlBatch,
    /// A producer id without a sequence.
    Sequence {
        base_sequence: i32,
    },
    /// The records are not what the header says.
    Records(RecordError),
    /// Well-formed records that the topic's configuration refuses; at most [`REJECTED_RECORDS_MAX`].
    Rejected(Vec<RejectedRecord>),
}

/// A record that is refused, for `record_errors` of the Produce response (KIP-467).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// The index of the record in the batch.
    pub batch_index: i32,
    pub reason: RejectionReason,
}

impl RejectedRecord {
    fn is_about_timestamp(&self) -> bool {
        !matches!(self.reason, RejectionReason::NoKey)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionReason {
    /// A compacted topic needs keys.
    NoKey,
    /// ms; not within `[earliest, latest]`.
    TimestampOutOfRange { timestamp: i64, earliest: i64, latest: i64 },
    /// LogAppendTime is the broker's to set.
    TimestampType,
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("a compacted topic does not take a record without a key"),
            Self::TimestampOutOfRange { timestamp, earliest, latest } => {
                write!(f, "timestamp {timestamp} is not between {earliest} and {latest}")
            }
            Self::TimestampType => f.write_str("a producer must not set the timestamp type to LogAppendTime"),
        }
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBatch => f.write_str("there is no whole record batch"),
            Self::MoreThanOneBatch => f.write_str("there is more than one record batch"),
            Self::UnexpectedMagic { magic, produce_version } => {
                write!(f, "magic {magic} does not go with Produce version {produce_version}")
            }
            Self::Corrupt => f.write_str("the record batch is corrupt"),
            Self::TooLarge { size_in_bytes, batch_bytes_max } => {
                write!(
                    f,
                    "the record batch has {size_in_bytes} bytes, max.message.bytes is {batch_bytes_max}"
                )
            }
            Self::UnsupportedCompression => {
                f.write_str("the compression type is not supported by this version")
            }
            Self::BaseOffset { base_offset } => write!(f, "the base offset is {base_offset} and should be 0"),
            Self::Count { records_count, last_offset_delta } => {
                write!(f, "the batch declares {records_count} records up to offset delta {last_offset_delta}")
            }
            Self::ControlBatch => f.write_str("clients may not write control records"),
            Self::Sequence { base_sequence } => write!(f, "sequence {base_sequence} with a producer id"),
            Self::Records(error) => error.fmt(f),
            Self::Rejected(records) => {
                write!(f, "{} records were rejected", records.len())?;
                records
                    .first()
                    .map_or(Ok(()), |first| write!(f, ", record {}: {}", first.batch_index, first.reason))
            }
        }
    }
}

impl std::error::Error for ValidationError {}

impl From<BatchError> for ValidationError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Incomplete { .. } => Self::NoBatch,
            _ => Self::Corrupt,
        }
    }
}

impl ValidationError {
    /// What the Produce response says.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Corrupt => ErrorCode::CorruptMessage,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
            Self::Rejected(records) if records.iter().any(RejectedRecord::is_about_timestamp) => {
                ErrorCode::InvalidTimestamp
            }
            Self::NoBatch
            | Self::MoreThanOneBatch
            | Self::UnexpectedMagic { .. }
            | Self::BaseOffset { .. }
            | Self::Count { .. }
            | Self::ControlBatch
            | Self::Sequence { .. }
            | Self::Records(_)
            | Self::Rejected(_) => ErrorCode::InvalidRecord,
        }
    }

    /// What goes into `record_errors` of the Produce response; empty unless single records are to blame.
    pub fn rejected_records(&self) -> &[RejectedRecord] {
        match self {
            Self::Rejected(records) => records,
            _ => &[],
        }
    }

    pub(super) fn of_records(error: RecordError, batch_bytes_max: usize) -> Self {
        match error {
            RecordError::Decompress(DecompressError::TooLarge { bytes_max }) => {
                Self::TooLarge { size_in_bytes: bytes_max, batch_bytes_max }
            }
            RecordError::Decompress(DecompressError::Corrupt) => Self::Corrupt,
            RecordError::UnknownCompression { .. } => Self::UnsupportedCompression,
            RecordError::Malformed { .. } | RecordError::CountMismatch { .. } => Self::Records(error),
        }
    }
}

/// Validates the records of one partition of a Produce request. `now_ms` is the wall clock. What follows the first batch
/// must be less than a batch, and is dropped.
pub fn validate(
    records: &Bytes,
    origin: AppendOrigin,
    rules: &BatchRules,
    now_ms: i64,
    compressors: &Compressors,
) -> Result<ValidatedBatch, ValidationError> {
    let (_, magic) = log_entry_size(records)?.ok_or(ValidationError::NoBatch)?;
    let magic = magic.ok_or(ValidationError::NoBatch)?;
    if let AppendOrigin::Client { produce_version } = origin
        && (magic == MAGIC_V2) != (produce_version >= PRODUCE_VERSION_BATCHES)
    {
        return Err(ValidationError::UnexpectedMagic { magic, produce_version });
    }
    if magic != MAGIC_V2 {
        return Validation { rules, now_ms, compressors }.convert(records);
    }
    let batch = Batch::read(records)?;
    let rest = records.get(batch.bytes().len()..).unwrap_or_default();
    if log_entry_size(rest)?.is_some_and(|(size, _)| size <= rest.len()) {
        return Err(ValidationError::MoreThanOneBatch);
    }
    check_header(batch.header(), origin, rules)?;
    batch.check_crc()?;
    Validation { rules, now_ms, compressors }.in_place(&batch)
}

fn check_header(
    header: &BatchHeader,
    origin: AppendOrigin,
    rules: &BatchRules,
) -> Result<(), ValidationError> {
    let compression = header.compression().ok_or(ValidationError::UnsupportedCompression)?;
    let size_in_bytes = header.size_in_bytes();
    if size_in_bytes > rules.batch_bytes_max {
        return Err(ValidationError::TooLarge { size_in_bytes, batch_bytes_max: rules.batch_bytes_max });
    }
    let &BatchHeader { records_count, last_offset_delta, base_sequence, base_offset, .. } = header;
    if records_count <= 0 || i64::from(last_offset_delta).saturating_add(1) != i64::from(records_count) {
        return Err(ValidationError::Count { records_count, last_offset_delta });
    }
    let AppendOrigin::Client { produce_version } = origin else { return Ok(()) };
    if compression == CompressionType::Zstd && produce_version < PRODUCE_VERSION_ZSTD {
        return Err(ValidationError::UnsupportedCompression);
    }
    if base_offset != 0 {
        return Err(ValidationError::BaseOffset { base_offset });
    }
    if header.is_control() {
        return Err(ValidationError::ControlBatch);
    }
    if header.has_producer_id() && base_sequence < 0 {
        return Err(ValidationError::Sequence { base_sequence });
    }
    Ok(())
}

struct Validation<'a> {
    rules: &'a BatchRules,
    now_ms: i64,
    compressors: &'a Compressors,
}

/// What the walk over the records of a batch found.
struct Walk {
    max_timestamp: i64,
    max_timestamp_offset_delta: i32,
    /// Offset deltas are 0, 1, 2 …
    is_contiguous: bool,
}

impl Validation<'_> {
    fn in_place(&self, batch: &Batch) -> Result<ValidatedBatch, ValidationError> {
        let header = batch.header();
        let source = header.compression().ok_or(ValidationError::UnsupportedCompression)?;
        let uncompressed = uncompressed_body(header, &batch.body(), self.compressors)
            .map_err(|error| self.of_records(error))?;
        let walk = self.walk(header, &uncompressed)?;
        let keeps_codec = self.rules.compression.is_none_or(|target| target.kind == source)
            || (header.is_control() && source == CompressionType::None);
        if !walk.is_contiguous && source == CompressionType::None {
            let found = header.records_count.unsigned_abs();
            return Err(ValidationError::Records(RecordError::CountMismatch {
                declared: header.records_count,
                found,
            }));
        }
        if !keeps_codec || !walk.is_contiguous {
            return self.rebuild(header, &uncompressed, source, &walk);
        }
        let timestamps = (self.rules.timestamp_type, self.max_timestamp(&walk));
        let header = BatchHeader { base_offset: 0, ..*header }.with_max_timestamp(timestamps.0, timestamps.1);
        Ok(ValidatedBatch {
            max_timestamp_offset_delta: self.max_timestamp_offset_delta(&header, &walk),
            header,
            body: batch.body(),
            is_rebuilt: false,
        })
    }

    fn walk(&self, header: &BatchHeader, uncompressed: &[u8]) -> Result<Walk, ValidationError> {
        let mut walk =
            Walk { max_timestamp: NO_TIMESTAMP, max_timestamp_offset_delta: 0, is_contiguous: true };
        let mut rejected = Vec::new();
        for (index, record) in (0i32..).zip(record_views(uncompressed, header.records_count)) {
            let record = record.map_err(|error| self.of_records(error))?;
            let timestamp = record.timestamp(header);
            walk.is_contiguous &= record.offset_delta == index;
            if timestamp > walk.max_timestamp {
                walk.max_timestamp = timestamp;
                walk.max_timestamp_offset_delta = index;
            }
            if let Some(reason) = self.rejection(record.key.is_some(), timestamp, header.timestamp_type())
                && rejected.len() < REJECTED_RECORDS_MAX
            {
                rejected.push(RejectedRecord { batch_index: index, reason });
            }
        }
        if rejected.is_empty() { Ok(walk) } else { Err(ValidationError::Rejected(rejected)) }
    }

    #[inline]
    fn rejection(&self, has_key: bool, timestamp: i64, sent: TimestampType) -> Option<RejectionReason> {
        if self.rules.is_compacted && !has_key {
            return Some(RejectionReason::NoKey);
        }
        if self.rules.timestamp_type == TimestampType::CreateTime && timestamp != NO_TIMESTAMP {
            let earliest = self.now_ms.saturating_sub(self.rules.timestamp_before_max_ms);
            let latest = self.now_ms.saturating_add(self.rules.timestamp_after_max_ms);
            let is_within = (earliest..=latest).contains(&timestamp);
            return (!is_within).then_some(RejectionReason::TimestampOutOfRange {
                timestamp,
                earliest,
                latest,
            });
        }
        (sent == TimestampType::LogAppendTime).then_some(RejectionReason::TimestampType)
    }

    /// The same records with offsets from 0, in the codec of the topic.
    fn rebuild(
        &self,
        header: &BatchHeader,
        uncompressed: &[u8],
        source: CompressionType,
        walk: &Walk,
    ) -> Result<ValidatedBatch, ValidationError> {
        let mut builder = BatchBuilder::new(BatchOptions {
            compression: self.rules.compression.unwrap_or(source.into()),
            timestamp_type: self.rules.timestamp_type,
            log_append_time: self.now_ms,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            is_transactional: header.is_transactional(),
            is_control: header.is_control(),
            ..BatchOptions::default()
        });
        for record in record_views(uncompressed, header.records_count) {
            let record = record.map_err(|error| self.of_records(error))?;
            let offset = builder.next_offset();
            builder.append_at(offset, record.timestamp(header), record.key, record.value, record.headers());
        }
        self.finish(&builder, walk)
    }

    /// A legacy message set (Produce 0 to 2) as a batch.
    fn convert(&self, records: &Bytes) -> Result<ValidatedBatch, ValidationError> {
        let rules = self.rules;
        let size_in_bytes = records.len();
        if size_in_bytes > rules.batch_bytes_max.saturating_add(BATCH_HEADER_SIZE) {
            return Err(ValidationError::TooLarge { size_in_bytes, batch_bytes_max: rules.batch_bytes_max });
        }
        let set = legacy::message_set(records, self.compressors)
            .map_err(|error| error.of_produce(rules.batch_bytes_max))?;
        if set.records.is_empty() {
            return Err(ValidationError::NoBatch);
        }
        let mut builder = BatchBuilder::new(BatchOptions {
            compression: rules.compression.unwrap_or(set.compression.into()),
            timestamp_type: rules.timestamp_type,
            log_append_time: self.now_ms,
            ..BatchOptions::default()
        });
        let mut walk =
            Walk { max_timestamp: NO_TIMESTAMP, max_timestamp_offset_delta: 0, is_contiguous: true };
        let mut rejected = Vec::new();
        for (index, record) in (0i32..).zip(&set.records) {
            if record.timestamp > walk.max_timestamp {
                walk.max_timestamp = record.timestamp;
                walk.max_timestamp_offset_delta = index;
            }
            if let Some(reason) = self.rejection(record.key.is_some(), record.timestamp, set.timestamp_type)
                && rejected.len() < REJECTED_RECORDS_MAX
            {
                rejected.push(RejectedRecord { batch_index: index, reason });
            }
            builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &[]);
        }
        if rejected.is_empty() {
            self.finish(&builder, &walk)
        } else {
            Err(ValidationError::Rejected(rejected))
        }
    }

    fn finish(&self, builder: &BatchBuilder, walk: &Walk) -> Result<ValidatedBatch, ValidationError> {
        let batch = Batch::read(&builder.build(self.compressors))?;
        let size_in_bytes = batch.size_in_bytes();
        if size_in_bytes > self.rules.batch_bytes_max {
            return Err(ValidationError::TooLarge {
                size_in_bytes,
                batch_bytes_max: self.rules.batch_bytes_max,
            });
        }
        Ok(ValidatedBatch {
            header: *batch.header(),
            body: batch.body(),
            max_timestamp_offset_delta: self.max_timestamp_offset_delta(batch.header(), walk),
            is_rebuilt: true,
        })
    }

    fn max_timestamp(&self, walk: &Walk) -> i64 {
        match self.rules.timestamp_type {
            TimestampType::CreateTime => walk.max_timestamp,
            TimestampType::LogAppendTime => self.now_ms,
        }
    }

    fn max_timestamp_offset_delta(&self, header: &BatchHeader, walk: &Walk) -> i32 {
        match self.rules.timestamp_type {
            TimestampType::CreateTime => walk.max_timestamp_offset_delta,
            TimestampType::LogAppendTime => header.last_offset_delta,
        }
    }

    fn of_records(&self, error: RecordError) -> ValidationError {
        ValidationError::of_records(error, self.rules.batch_bytes_max)
    }
}
