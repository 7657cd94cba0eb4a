//! Walking the batches of a segment from its file, in bounded pieces.

use crate::crc::{CrcAlgorithm, Digest, checksum};

use super::error::LogError;
use super::producer_state::Marker;
use super::segment::{BatchAt, Segment};
use super::store::{LogStore, StoreError};
use crate::record::{BATCH_HEADER_SIZE, BatchError, BatchHeader, BatchView};

/// Bytes held of a file while it is walked.
const CHUNK_BYTES: usize = 64 << 10;
/// A control batch is at most this large; a larger one holds no marker.
const CONTROL_BATCH_BYTES_MAX: usize = 4 << 10;
/// The checksum of format v2 covers what follows this byte.
const CRC_START: usize = 21;
/// In a legacy message, offset, size and checksum come first; the checksum covers the rest.
const LEGACY_CRC_START: usize = 16;
const LEGACY_SIZE_MIN: i32 = 14;

/// A walk over a segment's batches.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Where the next batch begins.
    pub position: u64,
    buffer: Vec<u8>,
    buffer_position: u64,
}

/// A batch that was walked over.
#[derive(Clone, Copy, Debug)]
pub struct Scanned {
    /// Its header and place.
    pub batch: BatchAt,
    /// What a control batch holds.
    pub marker: Option<Marker>,
}

/// Why a walk stopped before the end of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// Storage failed.
    Store(StoreError),
    /// What is at the position is no whole, valid batch.
    Torn(String),
    /// A valid message of format v0 or v1.
    Legacy,
}

impl From<StoreError> for ScanError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Scan {
    /// A walk that begins at `position`.
    pub fn starting_at(position: u64) -> Self {
        Self { position, buffer: Vec::new(), buffer_position: 0 }
    }

    /// The next batch; `None` at the end. With `check` its checksum is computed; without, only headers are read.
    pub fn next<S: LogStore>(
        &mut self,
        store: &mut S,
        segment: &Segment<S::File>,
        check: bool,
    ) -> Result<Option<Scanned>, ScanError> {
        let position = self.position;
        let remaining = segment.size.saturating_sub(position);
        if remaining == 0 {
            return Ok(None);
        }
        let header = match BatchHeader::read(self.fill(store, segment, BATCH_HEADER_SIZE)?) {
            Ok(header) => header,
            Err(BatchError::UnsupportedMagic { magic: 0 | 1 }) if self.is_legacy(store, segment)? => {
                return Err(ScanError::Legacy);
            }
            Err(error) => return Err(ScanError::Torn(error.to_string())),
        };
        let size = header.size_in_bytes();
        if size as u64 > remaining {
            return Err(ScanError::Torn(format!("batch of {size} bytes ends after {remaining}")));
        }
        if header.last_offset_delta < 0 {
            return Err(ScanError::Torn(format!(
                "last offset delta {} is negative",
                header.last_offset_delta
            )));
        }
        if check {
            self.check_crc(store, segment, &header)?;
        }
        let mut marker = None;
        if header.is_control() && header.has_producer_id() && size <= CONTROL_BATCH_BYTES_MAX {
            let body = self.fill(store, segment, size)?.get(BATCH_HEADER_SIZE..size);
            marker = body.and_then(|body| Marker::read(&header, body));
        }
        self.position = position.saturating_add(size as u64);
        Ok(Some(Scanned { batch: BatchAt { position, header }, marker }))
    }

    fn check_crc<S: LogStore>(
        &mut self,
        store: &mut S,
        segment: &Segment<S::File>,
        header: &BatchHeader,
    ) -> Result<(), ScanError> {
        let size = header.size_in_bytes();
        let torn = |error: BatchError| ScanError::Torn(error.to_string());
        if size <= CHUNK_BYTES {
            return BatchView::read(self.fill(store, segment, size)?)
                .and_then(|batch| batch.check_crc())
                .map_err(torn);
        }
        let computed = self.digest(store, segment, CrcAlgorithm::Crc32Iscsi, CRC_START, size)?;
        if computed != u64::from(header.crc) {
            let computed = u32::try_from(computed).unwrap_or(0);
            return Err(torn(BatchError::CrcMismatch { stored: header.crc, computed }));
        }
        Ok(())
    }

    /// Whether a valid message of format v0 or v1 is at the position: a batch of format v2 of which a page was lost can look like one.
    fn is_legacy<S: LogStore>(
        &mut self,
        store: &mut S,
        segment: &Segment<S::File>,
    ) -> Result<bool, ScanError> {
        let bytes = self.fill(store, segment, LEGACY_CRC_START)?;
        let Some(&[_, _, _, _, _, _, _, _, a, b, c, d, e, f, g, h]) = bytes.first_chunk::<LEGACY_CRC_START>()
        else {
            return Ok(false);
        };
        let (length, stored) = (i32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let size = usize::try_from(length).unwrap_or(0).saturating_add(12);
        if length < LEGACY_SIZE_MIN || self.position.saturating_add(size as u64) > segment.size {
            return Ok(false);
        }
        let computed = if size <= CHUNK_BYTES {
            let bytes = self.fill(store, segment, size)?.get(LEGACY_CRC_START..size).unwrap_or_default();
            checksum(CrcAlgorithm::Crc32IsoHdlc, bytes)
        } else {
            self.digest(store, segment, CrcAlgorithm::Crc32IsoHdlc, LEGACY_CRC_START, size)?
        };
        Ok(computed == u64::from(stored))
    }

    /// Checksum of a range of an entry that is larger than the buffer.
    fn digest<S: LogStore>(
        &mut self,
        store: &mut S,
        segment: &Segment<S::File>,
        algorithm: CrcAlgorithm,
        from: usize,
        to: usize,
    ) -> Result<u64, ScanError> {
        let mut digest = Digest::new(algorithm);
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut done = from;
        while done < to {
            let wanted = to.saturating_sub(done).min(CHUNK_BYTES);
            let at = self.position.saturating_add(done as u64);
            let read = store.read_at(&segment.log, at, chunk.get_mut(..wanted).unwrap_or_default())?;
            if read == 0 {
                return Err(ScanError::Torn("the file ends early".to_owned()));
            }
            digest.update(chunk.get(..read).unwrap_or_default());
            done = done.saturating_add(read);
        }
        Ok(digest.finalize())
    }

    /// The bytes at the position: at least `wanted` (no more than the buffer holds) unless the file ends before.
    fn fill<S: LogStore>(
        &mut self,
        store: &mut S,
        segment: &Segment<S::File>,
        wanted: usize,
    ) -> Result<&[u8], StoreError> {
        let held = |scan: &Self| {
            let skip = scan.position.checked_sub(scan.buffer_position)?;
            let skip = usize::try_from(skip).ok().filter(|skip| *skip <= scan.buffer.len())?;
            Some(skip)
        };
        let enough = held(self).is_some_and(|skip| self.buffer.len().saturating_sub(skip) >= wanted);
        let remaining = usize::try_from(segment.size.saturating_sub(self.position)).unwrap_or(usize::MAX);
        if !enough {
            self.buffer.resize(CHUNK_BYTES.min(remaining), 0);
            let read = store.read_at(&segment.log, self.position, &mut self.buffer)?;
            self.buffer.truncate(read);
            self.buffer_position = self.position;
        }
        Ok(held(self).and_then(|skip| self.buffer.get(skip..)).unwrap_or_default())
    }
}

/// Whether a valid batch follows what is broken at `position`: then that is not the end of the log. Such a batch would have an
/// offset from `next_offset` on. Looks at every byte, and is only for logs that are known to be damaged.
pub fn continues_after<S: LogStore>(
    store: &mut S,
    segment: &Segment<S::File>,
    position: u64,
    next_offset: i64,
) -> Result<bool, StoreError> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut start = position.saturating_add(1);
    while start < segment.size {
        let read = store.read_at(&segment.log, start, &mut chunk)?;
        let bytes = chunk.get(..read).unwrap_or_default();
        for (at, window) in bytes.windows(BATCH_HEADER_SIZE).enumerate() {
            let Ok(header) = BatchHeader::read(window) else { continue };
            let begin = start.saturating_add(at as u64);
            let fits = begin.saturating_add(header.size_in_bytes() as u64) <= segment.size;
            if fits && header.base_offset >= next_offset && segment.fits(header.last_offset()) {
                let mut scan = Scan::starting_at(begin);
                match scan.next(store, segment, true) {
                    Ok(Some(_)) => return Ok(true),
                    Ok(None) | Err(ScanError::Torn(_) | ScanError::Legacy) => {}
                    Err(ScanError::Store(error)) => return Err(error),
                }
            }
        }
        let step = read.saturating_sub(BATCH_HEADER_SIZE.saturating_sub(1));
        if step == 0 {
            break;
        }
        start = start.saturating_add(step as u64);
    }
    Ok(false)
}

impl ScanError {
    /// As an error of the log, for a segment that must be whole.
    pub fn at<F: Clone>(self, segment: &Segment<F>, position: u64) -> LogError {
        let reason = match self {
            Self::Store(error) => return error.into(),
            Self::Torn(reason) => reason,
            Self::Legacy => "messages of format v0 and v1 are not supported".to_owned(),
        };
        let path = super::file_names::with_offset(segment.base_offset, super::file_names::LOG_SUFFIX);
        LogError::Corrupt { path, position, reason }
    }
}
