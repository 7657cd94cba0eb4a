//! Reading a `.log` file by itself, batch by batch: what `ottla check` does.

use bytes::Bytes;

use super::error::LogError;
use super::store::LogStore;
use crate::record::{BATCH_HEADER_SIZE, Batch, BatchError, BatchHeader};

/// A walk over the batches of a file.
#[derive(Clone, Debug)]
pub struct LogFile<F> {
    path: String,
    file: F,
    len: u64,
    position: u64,
}

impl<F: Clone> LogFile<F> {
    /// Opens a file.
    pub fn open<S: LogStore<File = F>>(store: &mut S, path: &str) -> Result<Self, LogError> {
        let file = store.open(path)?;
        let len = store.len(&file)?;
        Ok(Self { path: path.to_owned(), file, len, position: 0 })
    }

    /// Bytes in the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the next batch begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next batch and its position; `None` at the end. The checksum is the caller's to check.
    ///
    /// Errors: [`LogError::Corrupt`] where no whole batch is; asking again gives the same error.
    pub fn next<S: LogStore<File = F>>(&mut self, store: &mut S) -> Result<Option<(u64, Batch)>, LogError> {
        let position = self.position;
        if position >= self.len {
            return Ok(None);
        }
        let mut header = [0; BATCH_HEADER_SIZE];
        let read = store.read_at(&self.file, position, &mut header)?;
        let header =
            BatchHeader::read(header.get(..read).unwrap_or_default()).map_err(|e| self.corrupt(&e))?;
        let size = header.size_in_bytes();
        let available = self.len.saturating_sub(position);
        if size as u64 > available {
            let available = usize::try_from(available).unwrap_or(usize::MAX);
            return Err(self.corrupt(&BatchError::Incomplete { needed: Some(size), available }));
        }
        let mut bytes = vec![0; size];
        let read = store.read_at(&self.file, position, &mut bytes)?;
        bytes.truncate(read);
        let batch = Batch::read(&Bytes::from(bytes)).map_err(|error| self.corrupt(&error))?;
        self.position = position.saturating_add(size as u64);
        Ok(Some((position, batch)))
    }

    fn corrupt(&self, error: &BatchError) -> LogError {
        LogError::Corrupt { path: self.path.clone(), position: self.position, reason: error.to_string() }
    }
}
