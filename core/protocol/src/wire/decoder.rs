//! A cursor over a frame.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bytes::Bytes;

use super::{DecodeError, DecodeErrorKind};
use crate::{Str, Uuid};

/// Reads a frame from front to back. Every length is checked against what remains before it is believed; strings
/// and bytes are slices of the frame.
#[derive(Clone, Debug)]
pub struct Decoder {
    frame: Bytes,
    at: usize,
    end: usize,
    elements_left: usize,
}

impl Decoder {
    pub fn new(frame: impl Into<Bytes>) -> Self {
        let frame = frame.into();
        let end = frame.len();
        Self { frame, at: 0, end, elements_left: usize::MAX }
    }

    /// Refuses a message whose arrays have more elements than that, all of them together: one of a byte on the wire may be a hundred in
    /// memory.
    #[must_use]
    pub fn with_elements_max(self, elements_max: usize) -> Self {
        Self { elements_left: elements_max, ..self }
    }

    /// The elements of one more array.
    pub(crate) fn take_elements(&mut self, count: usize) -> Result<(), DecodeError> {
        let left = self.elements_left.checked_sub(count);
        self.elements_left = left.ok_or_else(|| {
            self.error(DecodeErrorKind::TooManyInAll { count: count as u64, left: self.elements_left })
        })?;
        Ok(())
    }

    /// Bytes read so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub fn remaining(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> Bytes {
        if self.at <= self.end { self.frame.slice(self.at..self.end) } else { Bytes::new() }
    }

    /// Insists that the frame was read to its end.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(self.error(DecodeErrorKind::TrailingBytes(count))),
        }
    }

    pub(crate) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.at)
    }

    /// Bounds what follows to `size` bytes; gives the bound to restore with [`Decoder::widen`].
    pub(crate) fn narrow(&mut self, size: usize) -> usize {
        let end = self.end;
        self.end = self.at.saturating_add(size).min(end);
        end
    }

    pub(crate) fn widen(&mut self, end: usize) {
        self.end = end;
    }

    #[inline]
    fn advance(&mut self, count: usize) -> Result<usize, DecodeError> {
        let remaining = self.remaining();
        if count > remaining {
            return Err(self.error(DecodeErrorKind::Truncated { needed: count as u64, remaining }));
        }
        let from = self.at;
        self.at = from.saturating_add(count);
        Ok(from)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let from = self.advance(N)?;
        let bytes = self.frame.get(from..self.at).and_then(|bytes| bytes.first_chunk());
        bytes
            .copied()
            .ok_or_else(|| self.error(DecodeErrorKind::Truncated { needed: N as u64, remaining: 0 }))
    }

    #[inline]
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array().map(i8::from_be_bytes)
    }

    #[inline]
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.array().map(f64::from_be_bytes)
    }

    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.array().map(Uuid)
    }

    /// An unsigned variable-length integer (KIP-482), five bytes at most.
    #[inline]
    pub fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0_u32;
        // One byte most of the time: it leaves from the loop's first round.
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                // The fifth byte has room for four bits.
                let overflows = shift == 28 && byte > 0x0f;
                return if overflows { Err(self.error(DecodeErrorKind::VarintOverflow)) } else { Ok(value) };
            }
        }
        Err(self.error(DecodeErrorKind::VarintOverflow))
    }

    /// So many bytes, as a slice of the frame.
    pub fn bytes(&mut self, count: usize) -> Result<Bytes, DecodeError> {
        let from = self.advance(count)?;
        Ok(self.frame.slice(from..self.at))
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<(), DecodeError> {
        self.advance(count).map(drop)
    }

    /// So many bytes of UTF-8, as a slice of the frame. What is none becomes U+FFFD, as it does in Kafka.
    pub fn str(&mut self, count: usize) -> Result<Str, DecodeError> {
        let bytes = self.bytes(count)?;
        Ok(Str::from_utf8(bytes.clone())
            .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into()))
    }

    /// The length of what has one: an `i16` (strings) or `i32`, or compact (plus one, zero for null); `None` is null.
    pub(crate) fn length(&mut self, prefix: Prefix) -> Result<Option<usize>, DecodeError> {
        let from = self.at;
        let length = match prefix {
            Prefix::Compact => i64::from(self.varint()?).saturating_sub(1),
            Prefix::Int16 => i64::from(self.i16()?),
            Prefix::Int32 => i64::from(self.i32()?),
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(DecodeError::new(DecodeErrorKind::NegativeLength(length), from)),
        }
    }
}

/// How a length is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prefix {
    Compact,
    Int16,
    Int32,
}
