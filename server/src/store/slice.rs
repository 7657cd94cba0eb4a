//! [`Slice`]: bytes of a log file on their way to a client.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::file::Open;

/// (inode, range): it holds the descriptor, so the bytes stay readable whatever becomes of the file's name and length.
#[derive(Clone, Debug)]
pub struct Slice {
    open: Arc<Open>,
    range: Range<u64>,
}

impl Slice {
    pub(super) fn new(open: Arc<Open>, range: Range<u64>) -> Self {
        Self { open, range }
    }

    /// Where in the file it begins, and where it ends.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Whether it holds no byte.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Forgets the first `bytes`, which have been sent.
    pub fn advance(&mut self, bytes: u64) {
        self.range.start = self.range.end.min(self.range.start.saturating_add(bytes));
    }

    /// Whether its first byte is in the page cache; `true` when the file system cannot tell.
    pub fn is_resident(&self) -> bool {
        if self.is_empty() {
            return true;
        }
        let mut probe = [0; 1];
        let mut into = [io::IoSliceMut::new(&mut probe)];
        let flags = rustix::io::ReadWriteFlags::NOWAIT;
        match rustix::io::preadv2(self.open.file(), &mut into, self.range.start, flags) {
            Err(rustix::io::Errno::AGAIN) => false,
            Ok(_) | Err(_) => true,
        }
    }

    /// Reads its bytes into the page cache and forgets them: for a thread that may wait for a disk.
    pub fn warm(&self) -> io::Result<()> {
        let mut scratch = [0; 64 * 1024];
        let mut at = self.range.start;
        while at < self.range.end {
            let wanted = usize::try_from(self.range.end - at).unwrap_or(usize::MAX).min(scratch.len());
            match self.open.read_at(at, scratch.get_mut(..wanted).unwrap_or_default())? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => at += read as u64,
            }
        }
        Ok(())
    }

    /// Its bytes.
    pub fn read(&self) -> io::Result<Bytes> {
        let len = usize::try_from(self.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut bytes = BytesMut::zeroed(len);
        self.read_into(&mut bytes)?;
        Ok(bytes.freeze())
    }

    /// Fills `into`, which is as long as the slice.
    pub fn read_into(&self, into: &mut [u8]) -> io::Result<()> {
        if self.open.read_at(self.range.start, into)? < into.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

impl AsFd for Slice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.open.file().as_fd()
    }
}
