//! [`ReadOnly`]: a store lent to those who only look.

use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

use super::store::{Entry, LogStore, StoreError};

/// A store that refuses whatever would change it.
#[derive(Debug)]
pub struct ReadOnly<'a, S>(pub &'a mut S);

fn refused<T>() -> Result<T, StoreError> {
    Err(StoreError::Io("the store is read-only".to_owned()))
}

impl<S: LogStore> LogStore for ReadOnly<'_, S> {
    type File = S::File;
    type Slice = S::Slice;

    fn list(&mut self, path: &str) -> Result<Vec<Entry>, StoreError> {
        self.0.list(path)
    }

    fn open(&mut self, path: &str) -> Result<S::File, StoreError> {
        self.0.open(path)
    }

    fn len(&mut self, file: &S::File) -> Result<u64, StoreError> {
        self.0.len(file)
    }

    fn read_at(&mut self, file: &S::File, at: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.0.read_at(file, at, into)
    }

    fn slice(&mut self, file: &S::File, range: Range<u64>) -> Result<S::Slice, StoreError> {
        self.0.slice(file, range)
    }

    fn read_slice(&mut self, slice: &S::Slice) -> Result<Bytes, StoreError> {
        self.0.read_slice(slice)
    }

    fn create_dir(&mut self, _: &str) -> Result<(), StoreError> {
        refused()
    }

    fn create(&mut self, _: &str) -> Result<S::File, StoreError> {
        refused()
    }

    fn append(&mut self, _: &S::File, _: &[IoSlice<'_>]) -> Result<(), StoreError> {
        refused()
    }

    fn truncate(&mut self, _: &S::File, _: u64) -> Result<(), StoreError> {
        refused()
    }

    fn rename(&mut self, _: &str, _: &str) -> Result<(), StoreError> {
        refused()
    }

    fn remove(&mut self, _: &str) -> Result<(), StoreError> {
        refused()
    }
}
