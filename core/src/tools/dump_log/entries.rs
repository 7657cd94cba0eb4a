//! The batches of a `.log` or `.checkpoint` file as Apache Kafka's reader finds them: it ends where no whole batch is left, and
//! fails only at a size that no batch has.

use bytes::Bytes;

use super::{Refusal, failed, storage};
use crate::log::LogStore;
use crate::record::{Batch, BatchHeader, LOG_OVERHEAD};

/// Up to the magic.
const HEADER_UP_TO_MAGIC: usize = 17;
/// The smallest size that a message of format v0 has.
const SIZE_MIN: i32 = 14;

/// A walk over a part of a file.
#[derive(Debug)]
pub(super) struct Entries<'a, F> {
    path: &'a str,
    file: F,
    /// Where the next batch begins.
    pub(super) position: u64,
    end: u64,
}

impl<'a, F: Clone> Entries<'a, F> {
    /// From `position` on, at most `bytes_max` of the file.
    pub(super) fn new<S: LogStore<File = F>>(
        store: &mut S,
        path: &'a str,
        file: &F,
        (position, bytes_max): (u64, u64),
    ) -> Result<Self, Refusal> {
        let len = store.len(file).map_err(|error| storage(path, &error))?;
        if position > len {
            let message = format!("Slice from position {position} exceeds end position {len} of {path}");
            return Err(failed("java.lang.IllegalArgumentException", message));
        }
        let end = len.min(position.saturating_add(bytes_max));
        Ok(Self { path, file: file.clone(), position, end })
    }

    /// Bytes that no batch was found in.
    pub(super) fn rest(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }

    /// Position and size of the next entry, whatever its format.
    fn bounds<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<Option<(u64, usize)>, Refusal> {
        if self.rest() <= HEADER_UP_TO_MAGIC as u64 {
            return Ok(None);
        }
        let mut head = [0; HEADER_UP_TO_MAGIC];
        store.read_at(&self.file, self.position, &mut head).map_err(|error| storage(self.path, &error))?;
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = head;
        let size = i32::from_be_bytes([a, b, c, d]);
        if size < SIZE_MIN {
            let message = format!(
                "Found record size {size} smaller than minimum record overhead ({SIZE_MIN}) in file {}.",
                self.path
            );
            return Err(failed("org.apache.kafka.common.errors.CorruptRecordException", message));
        }
        let size = LOG_OVERHEAD.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
        if size as u64 > self.rest() {
            return Ok(None);
        }
        let position = self.position;
        self.position = position.saturating_add(size as u64);
        Ok(Some((position, size)))
    }

    /// The header of the next batch.
    pub(super) fn next_header<S: LogStore<File = F>>(
        &mut self,
        store: &mut S,
    ) -> Result<Option<(u64, BatchHeader)>, Refusal> {
        let Some((position, size)) = self.bounds(store)? else { return Ok(None) };
        let bytes = self.read(store, position, size.min(crate::record::BATCH_HEADER_SIZE))?;
        Ok(Some((position, BatchHeader::read(&bytes).map_err(|error| self.unreadable(position, &error))?)))
    }

    /// The next batch and its position.
    pub(super) fn next<S: LogStore<File = F>>(
        &mut self,
        store: &mut S,
    ) -> Result<Option<(u64, Batch)>, Refusal> {
        let Some((position, size)) = self.bounds(store)? else { return Ok(None) };
        self.batch_at(store, position, size).map(|batch| Some((position, batch)))
    }

    /// The batch that a header was read of.
    pub(super) fn batch_at<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        position: u64,
        size: usize,
    ) -> Result<Batch, Refusal> {
        let bytes = self.read(store, position, size)?;
        Batch::read(&Bytes::from(bytes)).map_err(|error| self.unreadable(position, &error))
    }

    fn read<S: LogStore<File = F>>(
        &self,
        store: &mut S,
        position: u64,
        size: usize,
    ) -> Result<Vec<u8>, Refusal> {
        let mut bytes = vec![0; size];
        let read = store.read_at(&self.file, position, &mut bytes);
        bytes.truncate(read.map_err(|error| storage(self.path, &error))?);
        Ok(bytes)
    }

    /// A message of format v0 or v1, or no batch at all.
    fn unreadable(&self, position: u64, error: &dyn std::fmt::Display) -> Refusal {
        let message = format!("{} at byte {position}: {error}", self.path);
        failed("org.apache.kafka.common.errors.CorruptRecordException", message)
    }
}
