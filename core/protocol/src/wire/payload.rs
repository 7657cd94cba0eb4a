//! The `records` type.

use bytes::Bytes;

/// Record batches inside a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Records {
    #[default]
    Null,
    /// The batches themselves; decoding gives a slice of the frame.
    Bytes(Bytes),
    /// So many bytes of a log, which the connection sends in their place: encoding writes the length, and the
    /// encoder remembers the hole ([`Piece::Slice`](super::Piece::Slice)).
    Slice { len: u32 },
}

impl Records {
    /// Bytes on the wire; null has none.
    pub fn len(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::Slice { len } => *len as usize,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches, where they are at hand.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Null | Self::Slice { .. } => None,
        }
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}
