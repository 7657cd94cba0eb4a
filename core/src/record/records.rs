//! The records inside a batch: borrowed views for walks that allocate nothing, and owned records that share the
//! batch's buffer.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::compression::{CompressionType, Compressors, DecompressError};
use super::varint::Cursor;
use super::{Batch, BatchHeader, HeaderRef, TimestampType};

/// One record. Key, value and headers are slices of the batch (of its decompressed body if it was compressed).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub offset: i64,
    /// ms; the append time of the batch if its timestamp type is LogAppendTime.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

/// A header of a record (KIP-82). The key is UTF-8 on the client's side; nothing checks it on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

impl Header {
    /// The key as clients see it.
    pub fn key_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.key)
    }
}

/// Why the body of a batch is not what its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// A record, its key, value or a header runs over the end of what holds it, or a number is too long.
    Malformed {
        index: u32,
    },
    /// The body ends before the declared count of records, or goes on after it.
    CountMismatch {
        declared: i32,
        found: u32,
    },
    /// The attributes name no codec.
    UnknownCompression {
        id: i16,
    },
    Decompress(DecompressError),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { index } => write!(f, "record {index} of the batch is malformed"),
            Self::CountMismatch { declared, found } => {
                write!(f, "the batch declares {declared} records and holds {found} or other bytes")
            }
            Self::UnknownCompression { id } => write!(f, "compression type {id} is unknown"),
            Self::Decompress(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RecordError {}

impl From<DecompressError> for RecordError {
    fn from(error: DecompressError) -> Self {
        Self::Decompress(error)
    }
}

/// One record, borrowed, with deltas as they are in the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// The whole record, its length included, in bytes.
    pub size_in_bytes: usize,
    /// ms after the base timestamp of the batch.
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers_count: u32,
    headers: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Reads one record and checks it to its last byte, headers included. `None` if it is malformed.
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let before = cursor.rest().len();
        let length = cursor.length()?;
        let mut inner = Cursor::new(cursor.take(length)?);
        let _attributes = inner.byte()?;
        let timestamp_delta = inner.varlong()?;
        let offset_delta = inner.varint()?;
        let key = inner.nullable_bytes()?;
        let value = inner.nullable_bytes()?;
        let headers_count = u32::try_from(inner.varint()?).ok()?;
        let headers = inner.rest();
        for _ in 0..headers_count {
            let key_length = inner.length()?;
            inner.take(key_length)?;
            inner.nullable_bytes()?;
        }
        inner.is_empty().then_some(Self {
            size_in_bytes: before.saturating_sub(cursor.rest().len()),
            timestamp_delta,
            offset_delta,
            key,
            value,
            headers_count,
            headers,
        })
    }

    pub fn headers(&self) -> impl Iterator<Item = HeaderRef<'a>> + Clone + use<'a> {
        let mut cursor = Cursor::new(self.headers);
        std::iter::from_fn(move || {
            let length = cursor.length()?;
            Some((cursor.take(length)?, cursor.nullable_bytes()?))
        })
    }

    /// The offset, given the header of the batch.
    pub fn offset(&self, header: &BatchHeader) -> i64 {
        header.base_offset.saturating_add(i64::from(self.offset_delta))
    }

    /// The timestamp in ms, given the header of the batch.
    pub fn timestamp(&self, header: &BatchHeader) -> i64 {
        match header.timestamp_type() {
            TimestampType::LogAppendTime => header.max_timestamp,
            TimestampType::CreateTime => header.base_timestamp.wrapping_add(self.timestamp_delta),
        }
    }
}

/// The records of an uncompressed body, as many as `records_count` says; after them the body must be over. Ends after
/// the first error.
pub fn record_views(body: &[u8], records_count: i32) -> RecordViews<'_> {
    RecordViews { cursor: Cursor::new(body), declared: records_count, found: 0, ended: false }
}

/// The index of the first record that is malformed, of a body that breaks off: what breaks off with it is none.
pub(super) fn malformed_record(body: &[u8]) -> Option<u32> {
    let mut cursor = Cursor::new(body);
    for index in 0.. {
        let mut ahead = cursor;
        let length = ahead.varint()?;
        if usize::try_from(length).is_ok_and(|length| length > ahead.rest().len()) {
            return None;
        }
        if RecordView::read(&mut cursor).is_none() {
            return Some(index);
        }
    }
    None
}

/// See [`record_views`].
#[derive(Clone, Debug)]
pub struct RecordViews<'a> {
    cursor: Cursor<'a>,
    declared: i32,
    found: u32,
    ended: bool,
}

impl<'a> Iterator for RecordViews<'a> {
    type Item = Result<RecordView<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let declared = u32::try_from(self.declared).unwrap_or(0);
        if self.found >= declared || self.cursor.is_empty() {
            self.ended = true;
            let is_whole = self.found == declared && self.declared >= 0 && self.cursor.is_empty();
            return (!is_whole)
                .then_some(Err(RecordError::CountMismatch { declared: self.declared, found: self.found }));
        }
        match RecordView::read(&mut self.cursor) {
            Some(record) => {
                self.found = self.found.saturating_add(1);
                Some(Ok(record))
            }
            None => {
                self.ended = true;
                Some(Err(RecordError::Malformed { index: self.found }))
            }
        }
    }
}

impl Batch {
    /// The body as records: itself, or decompressed within the compressors' bounds.
    pub fn uncompressed_body(&self, compressors: &Compressors) -> Result<Bytes, RecordError> {
        uncompressed_body(self.header(), &self.body(), compressors)
    }

    /// The records, in order. Ends after the first error. The checksum is the caller's to check.
    pub fn records(&self, compressors: &Compressors) -> Result<Records, RecordError> {
        let body = self.uncompressed_body(compressors)?;
        Ok(Records { header: *self.header(), body, position: 0, found: 0, ended: false })
    }
}

pub(super) fn uncompressed_body(
    header: &BatchHeader,
    body: &Bytes,
    compressors: &Compressors,
) -> Result<Bytes, RecordError> {
    match header.compression() {
        Some(CompressionType::None) => Ok(body.clone()),
        Some(compression) => Ok(compressors.decompress(compression, body)?),
        None => Err(RecordError::UnknownCompression { id: header.attributes.0 & 7 }),
    }
}

/// The records of one batch; see [`Batch::records`].
#[derive(Clone, Debug)]
pub struct Records {
    header: BatchHeader,
    body: Bytes,
    position: usize,
    found: u32,
    ended: bool,
}

impl Iterator for Records {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut views = RecordViews {
            cursor: Cursor::new(self.body.get(self.position..).unwrap_or_default()),
            declared: self.header.records_count,
            found: self.found,
            ended: self.ended,
        };
        let record = views.next();
        self.found = views.found;
        self.ended = views.ended;
        Some(record?.map(|view| {
            let share = |bytes: &[u8]| self.body.slice_ref(bytes);
            let record = Record {
                offset: view.offset(&self.header),
                timestamp: view.timestamp(&self.header),
                key: view.key.map(share),
                value: view.value.map(share),
                headers: view
                    .headers()
                    .map(|(key, value)| Header { key: share(key), value: value.map(share) })
                    .collect(),
            };
            self.position = self.position.saturating_add(view.size_in_bytes);
            record
        }))
    }
}
