//! The numbers inside a record: zig-zag varints, least significant group first, and a cursor that cannot run over.

/// The most bytes that a varint of 32 bits takes.
const VARINT_BYTES_MAX: u32 = 5;
/// The most bytes that a varint of 64 bits takes.
const VARLONG_BYTES_MAX: u32 = 10;

/// A cursor over borrowed bytes. Every read answers `None` when the bytes end or a number is too long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    #[inline]
    pub fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// A length that the remaining bytes can hold.
    #[inline]
    pub fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok().filter(|&length| length <= self.rest.len())
    }

    /// Bytes after their length; a negative length is null.
    #[inline]
    pub fn nullable_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match usize::try_from(self.varint()?) {
            Ok(length) => Some(Some(self.take(length)?)),
            Err(_) => Some(None),
        }
    }

    #[inline]
    pub fn varint(&mut self) -> Option<i32> {
        let value = self.unsigned(VARINT_BYTES_MAX)? as u32;
        Some((value >> 1) as i32 ^ ((value & 1) as i32).wrapping_neg())
    }

    #[inline]
    pub fn varlong(&mut self) -> Option<i64> {
        let value = self.unsigned(VARLONG_BYTES_MAX)?;
        Some((value >> 1) as i64 ^ ((value & 1) as i64).wrapping_neg())
    }

    #[inline]
    fn unsigned(&mut self, bytes_max: u32) -> Option<u64> {
        let mut value = 0u64;
        for group in 0..bytes_max {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << group.wrapping_mul(7);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

pub(super) fn put_varint(into: &mut Vec<u8>, value: i32) {
    put_unsigned(into, u64::from((value.wrapping_shl(1) ^ (value >> 31)) as u32));
}

pub(super) fn put_varlong(into: &mut Vec<u8>, value: i64) {
    put_unsigned(into, (value.wrapping_shl(1) ^ (value >> 63)) as u64);
}

/// Length and bytes; -1 for null.
pub(super) fn put_nullable_bytes(into: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varint(into, length_i32(bytes));
            into.extend_from_slice(bytes);
        }
        None => put_varint(into, -1),
    }
}

pub(super) fn varint_len(value: i32) -> usize {
    unsigned_len(u64::from((value.wrapping_shl(1) ^ (value >> 31)) as u32))
}

pub(super) fn varlong_len(value: i64) -> usize {
    unsigned_len((value.wrapping_shl(1) ^ (value >> 63)) as u64)
}

pub(super) fn nullable_bytes_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint_len(length_i32(bytes)).saturating_add(bytes.len()))
}

/// Nothing of 2 GiB or more fits into a batch, whose own length is an `i32`: such a length is cut here and the batch
/// refused by its size.
pub(super) fn length_i32(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

fn put_unsigned(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

fn unsigned_len(value: u64) -> usize {
    let bits = u64::BITS.saturating_sub(value.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_are_as_long_as_announced() {
        let mut values: Vec<i64> =
            (0..64).flat_map(|bit| [1i64 << bit, !(1i64 << bit), (1i64 << bit).wrapping_sub(1)]).collect();
        values.extend([0, -1, i64::MIN, i64::MAX, i64::from(i32::MIN), i64::from(i32::MAX)]);
        for value in values {
            let mut bytes = Vec::new();
            put_varlong(&mut bytes, value);
            assert_eq!((Cursor::new(&bytes).varlong(), bytes.len()), (Some(value), varlong_len(value)));
            let value = value as i32;
            bytes.clear();
            put_varint(&mut bytes, value);
            assert_eq!((Cursor::new(&bytes).varint(), bytes.len()), (Some(value), varint_len(value)));
        }
    }

    #[test]
    fn a_number_that_never_ends_is_none() {
        assert_eq!(Cursor::new(&[0xff; 5]).varint(), None);
        assert_eq!(Cursor::new(&[0xff; 10]).varlong(), None);
        assert_eq!(Cursor::new(&[0x80, 0x80]).varlong(), None);
        assert_eq!(Cursor::new(&[]).varint(), None);
    }
}
