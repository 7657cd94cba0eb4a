//! Whole batches, in place, and the walk over a run of them.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use super::header::{ATTRIBUTES_OFFSET, BATCH_HEADER_SIZE, BatchHeader, crc32c};

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

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::record::{Attributes, CompressionType, TimestampType};

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
