//! Walking over the batches of a segment that is to be compacted, a piece of the file at a time.

use bytes::Bytes;

use crate::log::error::LogError;
use crate::log::segment::Segment;
use crate::log::store::LogStore;
use crate::record::{BATCH_HEADER_SIZE, Batch, BatchError, BatchHeader};

/// A walk over a segment's batches.
#[derive(Clone, Debug)]
pub(super) struct BatchReader {
    position: u64,
    /// What has been read and not been walked over.
    buffer: Bytes,
}

impl BatchReader {
    /// A walk that begins at `position`, where a batch begins.
    pub fn starting_at(position: u64) -> Self {
        Self { position, buffer: Bytes::new() }
    }

    /// Where the next batch begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next batch; `None` at the end of the segment. Reads `chunk_bytes` at once, or a batch that is larger.
    ///
    /// Errors: [`LogError::Corrupt`] for what is no whole batch, or has a wrong checksum: rewriting it would give it a right one.
    pub fn next<S: LogStore>(
        &mut self,
        store: &mut S,
        segment: &Segment<S::File>,
        chunk_bytes: usize,
    ) -> Result<Option<Batch>, LogError> {
        let remaining = segment.size().saturating_sub(self.position);
        if remaining == 0 {
            return Ok(None);
        }
        let corrupt = |error: BatchError| segment.corrupt(self.position, error);
        if !holds_batch(&self.buffer) {
            let mut bytes = read(store, segment, self.position, (chunk_bytes as u64).min(remaining))?;
            let size = BatchHeader::read(&bytes).map_err(corrupt)?.size_in_bytes();
            if bytes.len() < size {
                if size as u64 > remaining {
                    let available = usize::try_from(remaining).unwrap_or(usize::MAX);
                    return Err(corrupt(BatchError::Incomplete { needed: Some(size), available }));
                }
                bytes = read(store, segment, self.position, size as u64)?;
            }
            self.buffer = bytes;
        }
        let batch = Batch::read(&self.buffer).map_err(corrupt)?;
        batch.check_crc().map_err(corrupt)?;
        let size = batch.bytes().len();
        self.buffer = self.buffer.slice(size..);
        self.position = self.position.saturating_add(size as u64);
        Ok(Some(batch))
    }
}

fn holds_batch(buffer: &[u8]) -> bool {
    BatchHeader::read(buffer).is_ok_and(|header| header.size_in_bytes() <= buffer.len())
}

fn read<S: LogStore>(
    store: &mut S,
    segment: &Segment<S::File>,
    position: u64,
    wanted: u64,
) -> Result<Bytes, LogError> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).max(BATCH_HEADER_SIZE);
    let mut bytes = vec![0; wanted];
    let read = store.read_at(&segment.log, position, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes.into())
}
