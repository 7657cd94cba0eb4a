//! What a leader demands of a produced batch, and what it makes of it before it is appended.
//!
//! An uncompressed batch costs one pass for the checksum and one walk over its varints; nothing is allocated. A
//! compressed batch is decompressed for the walk and appended as it came, unless the topic wants another codec.

mod error;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use error::{REJECTED_RECORDS_MAX, RejectedRecord, RejectionReason, ValidationError};

use super::batch::Batch;
use super::builder::{BatchBuilder, BatchOptions};
use super::compression::{Compression, CompressionType, Compressors, DecompressError};
use super::entries::{Entry, entries};
use super::header::{BATCH_HEADER_SIZE, BatchHeader, MAGIC_V2, NO_TIMESTAMP, TimestampType};
use super::legacy;
use super::records::{RecordError, malformed_record, record_views, uncompressed_body};

/// The first Produce version that carries batches of format v2, and nothing else.
const PRODUCE_VERSION_BATCHES: i16 = 3;
/// The first Produce version that may carry zstd (KIP-110).
const PRODUCE_VERSION_ZSTD: i16 = 7;

/// A legacy message becomes smaller in a batch by no more than this factor.
const LEGACY_SHRINK_MAX: usize = 4;

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

/// Validates the records of one partition of a Produce request. `now_ms` is the wall clock. What follows the first batch
/// must be less than a batch, and is dropped.
pub fn validate(
    records: &Bytes,
    origin: AppendOrigin,
    rules: &BatchRules,
    now_ms: i64,
    compressors: &Compressors,
) -> Result<ValidatedBatch, ValidationError> {
    let mut entries = entries(records);
    let Some(first) = entries.next() else { return Err(ValidationError::NoBatch) };
    let Entry { size, magic, attributes } = first?;
    if let AppendOrigin::Client { produce_version } = origin {
        if (magic == MAGIC_V2) != (produce_version >= PRODUCE_VERSION_BATCHES) {
            return Err(ValidationError::UnexpectedMagic { magic, produce_version });
        }
        if attributes.compression() == Some(CompressionType::Zstd) && produce_version < PRODUCE_VERSION_ZSTD {
            return Err(ValidationError::UnsupportedCompression);
        }
    }
    if magic != MAGIC_V2 {
        return Validation { rules, now_ms, compressors }.convert(records);
    }
    if entries.next().transpose()?.is_some() {
        return Err(ValidationError::MoreThanOneBatch);
    }
    if size < BATCH_HEADER_SIZE {
        return Err(ValidationError::Corrupt);
    }
    let batch = Batch::read(records)?;
    check_envelope(&batch, origin, rules)?;
    check_header(batch.header(), origin)?;
    Validation { rules, now_ms, compressors }.in_place(&batch)
}

/// What is looked at before the batch is believed: its place, its size, its checksum.
fn check_envelope(batch: &Batch, origin: AppendOrigin, rules: &BatchRules) -> Result<(), ValidationError> {
    let &BatchHeader { base_offset, attributes, .. } = batch.header();
    if base_offset != 0 && matches!(origin, AppendOrigin::Client { .. }) {
        return Err(ValidationError::BaseOffset { base_offset });
    }
    let size_in_bytes = batch.size_in_bytes();
    if size_in_bytes > rules.batch_bytes_max {
        return Err(ValidationError::TooLarge { size_in_bytes, batch_bytes_max: rules.batch_bytes_max });
    }
    batch.check_crc()?;
    attributes.compression().map(drop).ok_or(ValidationError::UnknownCompression)
}

fn check_header(header: &BatchHeader, origin: AppendOrigin) -> Result<(), ValidationError> {
    let &BatchHeader { records_count, last_offset_delta, base_sequence, .. } = header;
    if records_count <= 0 || i64::from(last_offset_delta).saturating_add(1) != i64::from(records_count) {
        return Err(ValidationError::Count { records_count, last_offset_delta });
    }
    if origin == AppendOrigin::Coordinator {
        return Ok(());
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
}

impl Walk {
    const START: Self = Self { max_timestamp: NO_TIMESTAMP, max_timestamp_offset_delta: 0 };
}

impl Validation<'_> {
    fn in_place(&self, batch: &Batch) -> Result<ValidatedBatch, ValidationError> {
        let header = batch.header();
        let source = header.compression().ok_or(ValidationError::UnknownCompression)?;
        let uncompressed = uncompressed_body(header, &batch.body(), self.compressors)
            .map_err(|error| self.unreadable(batch, source, error))?;
        let walk = self.walk(header, &uncompressed)?;
        let keeps_codec = self.rules.compression.is_none_or(|target| target.kind == source)
            || (header.is_control() && source == CompressionType::None);
        if !keeps_codec {
            return self.rebuild(header, &uncompressed, &walk);
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
        let mut walk = Walk::START;
        let mut rejected = Vec::new();
        for (index, record) in (0i32..).zip(record_views(uncompressed, header.records_count)) {
            let record = record.map_err(|error| self.of_records(error))?;
            let timestamp = record.timestamp(header);
            if record.offset_delta != index {
                return Err(ValidationError::OffsetDelta {
                    batch_index: index,
                    offset_delta: record.offset_delta,
                });
            }
            if timestamp > walk.max_timestamp {
                walk.max_timestamp = timestamp;
                walk.max_timestamp_offset_delta = index;
            }
            if let Some(reason) = self.rejection(record.key, record.value, timestamp, header.timestamp_type())
                && rejected.len() < REJECTED_RECORDS_MAX
            {
                rejected.push(RejectedRecord { batch_index: index, reason });
            }
        }
        if rejected.is_empty() { Ok(walk) } else { Err(ValidationError::Rejected(rejected)) }
    }

    #[inline]
    fn rejection(
        &self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: i64,
        sent: TimestampType,
    ) -> Option<RejectionReason> {
        if self.rules.is_compacted && key.is_none() {
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
        let bytes = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len);
        (sent == TimestampType::LogAppendTime).then(|| RejectionReason::TimestampType {
            timestamp,
            key_bytes: bytes(key),
            value_bytes: bytes(value),
        })
    }

    /// The same records in the codec of the topic.
    fn rebuild(
        &self,
        header: &BatchHeader,
        uncompressed: &[u8],
        walk: &Walk,
    ) -> Result<ValidatedBatch, ValidationError> {
        let mut builder = BatchBuilder::new(BatchOptions {
            compression: self.rules.compression.unwrap_or_default(),
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
        if size_in_bytes > rules.batch_bytes_max.saturating_mul(LEGACY_SHRINK_MAX) {
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
        let mut walk = Walk::START;
        let mut rejected = Vec::new();
        for (index, record) in (0i32..).zip(&set.records) {
            if record.timestamp > walk.max_timestamp {
                walk.max_timestamp = record.timestamp;
                walk.max_timestamp_offset_delta = index;
            }
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            if let Some(reason) = self.rejection(key, value, record.timestamp, set.timestamp_type)
                && rejected.len() < REJECTED_RECORDS_MAX
            {
                rejected.push(RejectedRecord { batch_index: index, reason });
            }
            builder.append(record.timestamp, key, value, &[]);
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

    /// Kafka reads record by record: what is wrong with one is found before the end of what can be decompressed.
    fn unreadable(&self, batch: &Batch, source: CompressionType, error: RecordError) -> ValidationError {
        if error == RecordError::Decompress(DecompressError::Corrupt) {
            let part = self.compressors.readable_part(source, &batch.body());
            if let Some(index) = malformed_record(&part) {
                return ValidationError::Records(RecordError::Malformed { index });
            }
        }
        self.of_records(error)
    }

    fn of_records(&self, error: RecordError) -> ValidationError {
        ValidationError::of_records(error, self.rules.batch_bytes_max)
    }
}
