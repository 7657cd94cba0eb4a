//! A growing frame, with holes for slices of logs.

use bytes::Bytes;

use super::{EncodeError, EncodeErrorKind};
use crate::Uuid;

/// Records at least as long are not copied into the frame: they become a piece of their own.
const COPY_MAX: usize = 1024;

/// Writes a frame. What it writes is a list of [`Piece`]s: its own bytes, interleaved with records that were not
/// copied.
#[derive(Debug, Default)]
pub struct Encoder {
    buffer: Vec<u8>,
    /// Pieces that stand before the byte at this position of the buffer.
    inserts: Vec<(usize, Piece)>,
    inserted: usize,
    counting: bool,
}

/// A run of an encoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Bytes(Bytes),
    /// So many bytes of a log: the slices of the message, in the order of its fields.
    Slice {
        len: u32,
    },
}

/// Where a frame starts: in the buffer, and counting what is not in the buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameStart {
    position: usize,
    len: usize,
}

impl Encoder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_capacity(bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Goes on writing at the end of this buffer.
    pub fn from_buffer(buffer: Vec<u8>) -> Self {
        Self { buffer, ..Self::default() }
    }

    /// Keeps the length only.
    pub(crate) fn counter() -> Self {
        Self { counting: true, ..Self::default() }
    }

    /// Bytes written so far, slices included.
    pub fn len(&self) -> usize {
        self.buffer.len() + self.inserted
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame as one run of bytes; an error when it holds slices of a log.
    pub fn into_bytes(self) -> Result<Bytes, EncodeError> {
        if self.inserts.is_empty() {
            return Ok(Bytes::from(self.buffer));
        }
        let mut whole = Vec::with_capacity(self.len());
        for piece in self.into_pieces() {
            match piece {
                Piece::Bytes(bytes) => whole.extend_from_slice(&bytes),
                Piece::Slice { .. } => return Err(EncodeError::new(EncodeErrorKind::HasSlices)),
            }
        }
        Ok(Bytes::from(whole))
    }

    /// The frame as runs, to be sent one after the other.
    pub fn into_pieces(self) -> Vec<Piece> {
        let mut buffer = Bytes::from(self.buffer);
        let mut pieces = Vec::with_capacity(self.inserts.len() * 2 + 1);
        let mut taken = 0;
        for (at, piece) in self.inserts {
            if at > taken {
                pieces.push(Piece::Bytes(buffer.split_to(at - taken)));
                taken = at;
            }
            pieces.push(piece);
        }
        if !buffer.is_empty() {
            pieces.push(Piece::Bytes(buffer));
        }
        pieces
    }

    /// Leaves room for a frame's size; [`Encoder::end_frame`] fills it in.
    pub(crate) fn start_frame(&mut self) -> FrameStart {
        let start = FrameStart { position: self.buffer.len(), len: self.len() };
        self.put_i32(0);
        start
    }

    pub(crate) fn end_frame(&mut self, start: FrameStart) -> Result<(), EncodeError> {
        let size = self.len() - start.len - size_of::<i32>();
        let size = i32::try_from(size).map_err(|_| EncodeError::new(EncodeErrorKind::TooLong(size)))?;
        if let Some(place) = self.buffer.get_mut(start.position..start.position + size_of::<i32>()) {
            place.copy_from_slice(&size.to_be_bytes());
        }
        Ok(())
    }

    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        if self.counting {
            self.inserted += bytes.len();
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Records, copied only when they are few.
    pub(crate) fn put_records(&mut self, bytes: &Bytes) {
        if self.counting || bytes.len() < COPY_MAX {
            self.put(bytes);
        } else {
            self.insert(Piece::Bytes(bytes.clone()), bytes.len());
        }
    }

    pub(crate) fn put_hole(&mut self, len: u32) {
        if self.counting {
            self.inserted += len as usize;
        } else if len > 0 {
            self.insert(Piece::Slice { len }, len as usize);
        }
    }

    fn insert(&mut self, piece: Piece, len: usize) {
        self.inserts.push((self.buffer.len(), piece));
        self.inserted += len;
    }

    pub fn put_i8(&mut self, value: i8) {
        self.put(&value.to_be_bytes());
    }

    pub fn put_i16(&mut self, value: i16) {
        self.put(&value.to_be_bytes());
    }

    pub fn put_i32(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }

    pub fn put_i64(&mut self, value: i64) {
        self.put(&value.to_be_bytes());
    }

    pub fn put_uuid(&mut self, value: &Uuid) {
        self.put(&value.0);
    }

    /// An unsigned variable-length integer (KIP-482).
    pub fn put_varint(&mut self, mut value: u32) {
        if value < 0x80 {
            return self.put(&[value as u8]);
        }
        let mut bytes = [0_u8; 5];
        let mut count = 0;
        for byte in &mut bytes {
            count += 1;
            *byte = value as u8 & 0x7f;
            value >>= 7;
            if value == 0 {
                break;
            }
            *byte |= 0x80;
        }
        self.put(bytes.get(..count).unwrap_or_default());
    }
}
