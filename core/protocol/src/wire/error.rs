//! What can be wrong with a frame, or with a message at a version.

use std::fmt::{self, Write as _};

/// A frame that does not read as the message it should be.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Detail<DecodeErrorKind>>);

/// A message that cannot be written at a version.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodeError(Box<Detail<EncodeErrorKind>>);

#[derive(Clone, PartialEq, Eq)]
struct Detail<K> {
    kind: K,
    path: String,
    position: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The frame ends before the value does; so many bytes were needed.
    Truncated { needed: u64, remaining: usize },
    /// A length below zero (below -1 where null is allowed).
    NegativeLength(i64),
    /// More array elements than the rest of the frame can hold.
    TooManyElements { count: u64, remaining: usize },
    /// More array elements than the message may have, when so many were left.
    TooManyInAll { count: u64, left: usize },
    /// Null where the version does not allow it.
    UnexpectedNull,
    /// A string of more bytes than Kafka's 32,767.
    StringTooLong(usize),
    /// A variable-length integer of more than its 5 or 10 bytes.
    VarintOverflow,
    /// A tagged field whose value is shorter or longer than its declared size.
    TaggedFieldSize { tag: u32, declared: usize, actual: usize },
    /// Bytes after the end of the message.
    TrailingBytes(usize),
    /// A version that this codec does not have.
    UnsupportedVersion(i16),
    /// An API key or record type that this codec does not have.
    UnknownType(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// A value other than the default in a field that the version lacks.
    FieldNotInVersion(i16),
    /// Null where the version does not allow it.
    UnexpectedNull,
    /// A string, array or bytes longer than its length prefix can say.
    TooLong(usize),
    /// A version that this codec does not have.
    UnsupportedVersion(i16),
    /// The message holds records as a slice of a log, so it is not one run of bytes.
    HasSlices,
}

impl DecodeError {
    pub(crate) fn new(kind: DecodeErrorKind, position: usize) -> Self {
        Self(Box::new(Detail { kind, path: String::new(), position }))
    }

    pub fn kind(&self) -> DecodeErrorKind {
        self.0.kind
    }

    /// The field, such as `Topics[3].Partitions[0].Records`; empty outside of any field.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Where in the frame, in bytes from its start.
    pub fn position(&self) -> usize {
        self.0.position
    }

    pub(crate) fn in_field(mut self, name: &str) -> Self {
        self.0.prepend(name);
        self
    }

    pub(crate) fn in_element(mut self, at: usize) -> Self {
        self.0.prepend(&format!("[{at}]"));
        self
    }
}

impl EncodeError {
    pub(crate) fn new(kind: EncodeErrorKind) -> Self {
        Self(Box::new(Detail { kind, path: String::new(), position: 0 }))
    }

    pub fn kind(&self) -> EncodeErrorKind {
        self.0.kind
    }

    /// The field, such as `Topics[3].Partitions[0].Records`; empty outside of any field.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    pub(crate) fn in_field(mut self, name: &str) -> Self {
        self.0.prepend(name);
        self
    }

    pub(crate) fn in_element(mut self, at: usize) -> Self {
        self.0.prepend(&format!("[{at}]"));
        self
    }
}

impl<K> Detail<K> {
    fn prepend(&mut self, step: &str) {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{dot}{}", self.path);
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, remaining } => write!(f, "{needed} bytes wanted, {remaining} left"),
            Self::NegativeLength(length) => write!(f, "a length of {length}"),
            Self::TooManyElements { count, remaining } => {
                write!(f, "{count} elements cannot stand in the {remaining} bytes left")
            }
            Self::TooManyInAll { count, left } => {
                write!(f, "{count} elements more, where a message may have {left}")
            }
            Self::UnexpectedNull => f.write_str("null, which this version does not allow"),
            Self::StringTooLong(length) => write!(f, "a string of {length} bytes"),
            Self::VarintOverflow => f.write_str("a variable-length integer that does not end"),
            Self::TaggedFieldSize { tag, declared, actual } => {
                write!(f, "tagged field {tag} declares {declared} bytes and takes {actual}")
            }
            Self::TrailingBytes(count) => write!(f, "{count} bytes after the end"),
            Self::UnsupportedVersion(version) => write!(f, "no version {version}"),
            Self::UnknownType(kind) => write!(f, "no type {kind}"),
        }
    }
}

impl fmt::Display for EncodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldNotInVersion(version) => write!(f, "a value that version {version} cannot carry"),
            Self::UnexpectedNull => f.write_str("null, which this version does not allow"),
            Self::TooLong(length) => write!(f, "a length of {length}, which does not fit its prefix"),
            Self::UnsupportedVersion(version) => write!(f, "no version {version}"),
            Self::HasSlices => f.write_str("records that are a slice of a log"),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(f, "{}: ", self.0.path)?;
        }
        write!(f, "{} (at byte {})", self.0.kind, self.0.position)
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(f, "{}: ", self.0.path)?;
        }
        write!(f, "{}", self.0.kind)
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecodeError(")?;
        fmt::Display::fmt(self, f)?;
        f.write_char(')')
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncodeError(")?;
        fmt::Display::fmt(self, f)?;
        f.write_char(')')
    }
}

impl std::error::Error for DecodeError {}
impl std::error::Error for EncodeError {}
