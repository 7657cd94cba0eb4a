//! Building batches: the producer's accumulator, coordinators, control batches and recompression.

use bytes::Bytes;

use super::compression::{Compression, CompressionType, Compressors};
use super::header::{
    ATTRIBUTES_OFFSET, Attributes, BATCH_HEADER_SIZE, BatchHeader, LOG_OVERHEAD, MAGIC_V2,
    NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, TimestampType,
    crc32c,
};
use super::varint::{
    length_i32, nullable_bytes_len, put_nullable_bytes, put_varint, put_varlong, varint_len, varlong_len,
};

/// The most bytes that a record takes beside its key, value and headers.
const RECORD_OVERHEAD_MAX: usize = 21;

/// A header of a record that is appended: key and value.
pub type HeaderRef<'a> = (&'a [u8], Option<&'a [u8]>);

/// What all records of a batch share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    pub base_offset: i64,
    pub partition_leader_epoch: i32,
    pub compression: Compression,
    pub timestamp_type: TimestampType,
    /// ms; the largest timestamp of the batch if the type is LogAppendTime.
    pub log_append_time: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub is_transactional: bool,
    pub is_control: bool,
    /// ms; takes the place of the base timestamp (KIP-534).
    pub delete_horizon_ms: Option<i64>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            base_offset: 0,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            compression: Compression::default(),
            timestamp_type: TimestampType::CreateTime,
            log_append_time: NO_TIMESTAMP,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            is_transactional: false,
            is_control: false,
            delete_horizon_ms: None,
        }
    }
}

/// Builds one batch of format v2. Whoever appends keeps the batch under a bound of its own (`batch.size`,
/// `max.message.bytes`) with the help of [`BatchBuilder::has_room_for`].
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    records: Vec<u8>,
    records_count: i32,
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    last_offset: i64,
    compression_ratio: f32,
}

impl BatchBuilder {
    /// What an estimate is multiplied with, since the real ratio may be worse.
    const COMPRESSION_RATIO_MARGIN: f32 = 1.05;

    pub fn new(options: BatchOptions) -> Self {
        Self {
            options,
            records: Vec::new(),
            records_count: 0,
            base_timestamp: options.delete_horizon_ms,
            max_timestamp: NO_TIMESTAMP,
            last_offset: options.base_offset.saturating_sub(1),
            compression_ratio: 1.0,
        }
    }

    /// Appends a record at the next offset and answers that offset. `timestamp` is in ms.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) -> i64 {
        let offset = self.next_offset();
        self.append_at(offset, timestamp, key, value, headers.iter().copied());
        offset
    }

    /// Appends a record at an offset, which must be past all before it: compaction leaves gaps.
    ///
    /// # Panics
    /// If the offset is not.
    pub fn append_at<'h>(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = HeaderRef<'h>> + Clone,
    ) {
        assert!(offset > self.last_offset, "offset {offset} after {}", self.last_offset);
        let base_timestamp = *self.base_timestamp.get_or_insert(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let offset_delta = offset.wrapping_sub(self.options.base_offset) as i32;
        let size = body_size(timestamp_delta, offset_delta, key, value, headers.clone());
        let into = &mut self.records;
        put_varint(into, size as i32);
        into.push(0);
        put_varlong(into, timestamp_delta);
        put_varint(into, offset_delta);
        put_nullable_bytes(into, key);
        put_nullable_bytes(into, value);
        put_varint(into, headers.clone().count() as i32);
        for (key, value) in headers {
            put_nullable_bytes(into, Some(key));
            put_nullable_bytes(into, value);
        }
        self.last_offset = offset;
        self.records_count = self.records_count.saturating_add(1);
        self.max_timestamp = self.max_timestamp.max(timestamp);
    }

    pub fn is_empty(&self) -> bool {
        self.records_count == 0
    }

    pub fn records_count(&self) -> i32 {
        self.records_count
    }

    /// The offset of the next record.
    pub fn next_offset(&self) -> i64 {
        self.last_offset.saturating_add(1)
    }

    /// ms; [`NO_TIMESTAMP`] while there are no records.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// Bytes of the records before compression.
    pub fn uncompressed_bytes(&self) -> usize {
        self.records.len()
    }

    /// Gives the batch its producer, when it is drained by an idempotent producer.
    pub fn set_producer(
        &mut self,
        producer_id: i64,
        producer_epoch: i16,
        base_sequence: i32,
        is_transactional: bool,
    ) {
        self.options =
            BatchOptions { producer_id, producer_epoch, base_sequence, is_transactional, ..self.options };
    }

    /// Lets the batch end at this offset though its last records are gone.
    ///
    /// # Panics
    /// If a record of the batch is past it.
    pub fn set_last_offset(&mut self, last_offset: i64) {
        assert!(last_offset >= self.last_offset, "last offset {last_offset} after {}", self.last_offset);
        self.last_offset = last_offset;
    }

    /// Output over input bytes that the producer has seen on this topic with this codec.
    pub fn set_estimated_compression_ratio(&mut self, ratio: f32) {
        self.compression_ratio = ratio;
    }

    /// The size of the batch, exact without compression and an estimate with it.
    pub fn estimated_size_in_bytes(&self) -> usize {
        let records = if self.options.compression.kind == CompressionType::None {
            self.records.len()
        } else {
            (self.records.len() as f32 * self.compression_ratio * Self::COMPRESSION_RATIO_MARGIN) as usize
        };
        BATCH_HEADER_SIZE.saturating_add(records)
    }

    /// Whether the batch, with this record, is estimated at no more than `batch_bytes_max`. An empty batch takes any
    /// record.
    pub fn has_room_for(
        &self,
        batch_bytes_max: usize,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) -> bool {
        let base_timestamp = self.base_timestamp.unwrap_or(timestamp);
        let offset_delta = self.next_offset().wrapping_sub(self.options.base_offset) as i32;
        let body = body_size(
            timestamp.wrapping_sub(base_timestamp),
            offset_delta,
            key,
            value,
            headers.iter().copied(),
        );
        let record = body.saturating_add(varint_len(body as i32));
        self.is_empty() || self.estimated_size_in_bytes().saturating_add(record) <= batch_bytes_max
    }

    /// The header that the batch would have uncompressed, without length and checksum.
    fn header(&self) -> BatchHeader {
        let options = &self.options;
        let attributes = Attributes::new(options.compression.kind, options.timestamp_type)
            .with_transactional(options.is_transactional)
            .with_control(options.is_control)
            .with_delete_horizon(options.delete_horizon_ms.is_some());
        BatchHeader {
            base_offset: options.base_offset,
            batch_length: 0,
            partition_leader_epoch: options.partition_leader_epoch,
            magic: MAGIC_V2,
            crc: 0,
            attributes,
            last_offset_delta: self.last_offset.wrapping_sub(options.base_offset) as i32,
            base_timestamp: self.base_timestamp.unwrap_or(NO_TIMESTAMP),
            max_timestamp: match options.timestamp_type {
                TimestampType::LogAppendTime => options.log_append_time,
                TimestampType::CreateTime => self.max_timestamp,
            },
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            records_count: self.records_count,
        }
    }

    /// The batch; no bytes if there are no records.
    ///
    /// # Panics
    /// If the batch has 2 GiB or more.
    pub fn build(&self, compressors: &Compressors) -> Bytes {
        if self.is_empty() {
            return Bytes::new();
        }
        let mut batch = Vec::with_capacity(BATCH_HEADER_SIZE.saturating_add(self.records.len()));
        batch.resize(BATCH_HEADER_SIZE, 0);
        compressors.compress(self.options.compression, &self.records, &mut batch);
        seal(self.header(), batch)
    }
}

/// A batch of its header alone.
pub(super) fn empty_batch(header: &BatchHeader) -> Bytes {
    seal(*header, vec![0; BATCH_HEADER_SIZE])
}

/// The most bytes that a batch of this one record can take, before compression.
pub fn estimate_size_upper_bound(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[HeaderRef<'_>],
) -> usize {
    let payload = payload_size(key, value, headers.iter().copied());
    BATCH_HEADER_SIZE.saturating_add(RECORD_OVERHEAD_MAX).saturating_add(payload)
}

/// Writes length, checksum and header into the space that `batch` begins with.
fn seal(header: BatchHeader, mut batch: Vec<u8>) -> Bytes {
    let batch_length = batch.len().saturating_sub(LOG_OVERHEAD);
    assert!(i32::try_from(batch_length).is_ok(), "a batch of {batch_length} bytes");
    let mut header = BatchHeader { batch_length: batch_length as i32, ..header };
    put_header(&mut batch, &header);
    header.crc = crc32c(batch.get(ATTRIBUTES_OFFSET..).unwrap_or_default());
    put_header(&mut batch, &header);
    batch.into()
}

fn put_header(batch: &mut [u8], header: &BatchHeader) {
    if let Some(space) = batch.first_chunk_mut::<BATCH_HEADER_SIZE>() {
        *space = header.to_array();
    }
}

/// A record without its length field.
fn body_size<'h>(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = HeaderRef<'h>> + Clone,
) -> usize {
    let attributes = 1usize;
    attributes
        .saturating_add(varlong_len(timestamp_delta))
        .saturating_add(varint_len(offset_delta))
        .saturating_add(payload_size(key, value, headers))
}

fn payload_size<'h>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = HeaderRef<'h>> + Clone,
) -> usize {
    let mut size = nullable_bytes_len(key)
        .saturating_add(nullable_bytes_len(value))
        .saturating_add(varint_len(headers.clone().count() as i32));
    for (key, value) in headers {
        size = size
            .saturating_add(varint_len(length_i32(key)))
            .saturating_add(key.len())
            .saturating_add(nullable_bytes_len(value));
    }
    size
}
