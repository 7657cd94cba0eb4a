//! What a broker sees of produced bytes before it validates them: one entry after the other, of whatever format.

use std::fmt;

use super::header::{ATTRIBUTES_OFFSET, Attributes, LOG_OVERHEAD, MAGIC_OFFSET, MAGIC_V2};

/// The smallest legacy message without its log overhead: nothing in a log is shorter.
const ENTRY_BYTES_MIN: i32 = 14;

/// A batch, or a legacy message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Bytes, log overhead included.
    pub size: usize,
    /// The version of its format.
    pub magic: i8,
    /// Of a batch; a legacy message has none that matter here.
    pub attributes: Attributes,
}

/// Bytes that cannot be an entry: CORRUPT_MESSAGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorruptEntry {
    /// Shorter than the smallest message.
    TooShort { size: i32 },
    /// A format that there is not.
    Magic { magic: i8 },
}

impl fmt::Display for CorruptEntry {
    /// In Kafka's words: clients see them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { size } => {
                write!(f, "Record size {size} is less than the minimum record overhead ({ENTRY_BYTES_MIN})")
            }
            Self::Magic { magic } => write!(f, "Invalid magic found in record: {magic}"),
        }
    }
}

/// The entries of a buffer, in order; what is cut off at the end is none.
pub fn entries(bytes: &[u8]) -> Entries<'_> {
    Entries { rest: bytes }
}

/// See [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl Entries<'_> {
    fn read(&mut self) -> Result<Option<Entry>, CorruptEntry> {
        let Some(&[.., a, b, c, d]) = self.rest.first_chunk::<LOG_OVERHEAD>() else { return Ok(None) };
        let size = i32::from_be_bytes([a, b, c, d]);
        if size < ENTRY_BYTES_MIN {
            return Err(CorruptEntry::TooShort { size });
        }
        let Some(&magic) = self.rest.get(MAGIC_OFFSET) else { return Ok(None) };
        let magic = i8::from_be_bytes([magic]);
        if !(0..=MAGIC_V2).contains(&magic) {
            return Err(CorruptEntry::Magic { magic });
        }
        let end = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(LOG_OVERHEAD);
        let Some((entry, rest)) = self.rest.split_at_checked(end) else { return Ok(None) };
        self.rest = rest;
        let attributes = entry.get(ATTRIBUTES_OFFSET..).and_then(|bytes| bytes.first_chunk::<2>());
        let attributes =
            attributes.filter(|_| magic == MAGIC_V2).map_or(0, |bytes| i16::from_be_bytes(*bytes));
        Ok(Some(Entry { size: end, magic, attributes: Attributes(attributes) }))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, CorruptEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.read();
        if entry.is_err() {
            self.rest = &[];
        }
        entry.transpose()
    }
}
