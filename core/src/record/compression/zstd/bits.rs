//! The two bit streams of zstd: forwards, in table descriptions, and backwards, in what they code.

/// The most bits that one read takes.
const READ_BITS_MAX: u32 = 56;

/// Reads from the end to the beginning. The highest set bit of the last byte marks the end of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReverseBits<'a> {
    bytes: &'a [u8],
    /// Bits not yet read.
    left: usize,
    is_overrun: bool,
}

impl<'a> ReverseBits<'a> {
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let marker = bytes.last()?.checked_ilog2()? as usize;
        let left = bytes.len().saturating_sub(1).saturating_mul(8).saturating_add(marker);
        Some(Self { bytes, left, is_overrun: false })
    }

    /// The next bits without reading them, at most [`READ_BITS_MAX`]; zeros follow the last.
    #[inline]
    pub fn peek(&self, bits: u32) -> u64 {
        debug_assert!(bits <= READ_BITS_MAX);
        if bits == 0 {
            return 0;
        }
        let end = self.left.div_ceil(8);
        let unused = (end.saturating_mul(8).saturating_sub(self.left)) as u32;
        let behind = self.bytes.get(..end).unwrap_or_default();
        let word = match behind.last_chunk::<8>() {
            Some(word) => u64::from_le_bytes(*word),
            None => {
                let word = behind.iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte));
                word.checked_shl((64u32).saturating_sub((end as u32).saturating_mul(8))).unwrap_or(0)
            }
        };
        (word << (unused & 63)) >> (64u32.wrapping_sub(bits) & 63)
    }

    #[inline]
    pub fn consume(&mut self, bits: u32) {
        self.is_overrun |= bits as usize > self.left;
        self.left = self.left.saturating_sub(bits as usize);
    }

    #[inline]
    pub fn read(&mut self, bits: u32) -> u64 {
        let value = self.peek(bits);
        self.consume(bits);
        value
    }

    /// More was read than there was.
    pub fn is_overrun(&self) -> bool {
        self.is_overrun
    }

    /// All was read, and nothing more.
    pub fn is_exhausted(&self) -> bool {
        self.left == 0 && !self.is_overrun
    }
}

/// Reads from the beginning, the low bits of each byte first.
#[derive(Clone, Copy, Debug)]
pub(super) struct ForwardBits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> ForwardBits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// At most 16 bits.
    pub fn read(&mut self, bits: u32) -> Option<u32> {
        let first = self.position >> 3;
        let mut word = 0u32;
        for (index, &byte) in self.bytes.iter().skip(first).take(3).enumerate() {
            word |= u32::from(byte) << (index << 3);
        }
        self.position = self.position.saturating_add(bits as usize);
        if self.position > self.bytes.len().saturating_mul(8) {
            return None;
        }
        let offset = self.position.saturating_sub(bits as usize) & 7;
        Some(word >> offset & (1u32 << bits).wrapping_sub(1))
    }

    pub fn unread(&mut self, bits: usize) {
        self.position = self.position.saturating_sub(bits);
    }

    /// What follows the byte of the last bit.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position.div_ceil(8)..).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_from_the_end() {
        let mut bits = ReverseBits::new(&[0b1010_0101, 0b0001_1100]).unwrap();
        assert_eq!((bits.read(2), bits.read(3), bits.peek(7)), (0b11, 0b001, 0b010_0101));
        assert_eq!(bits.read(7), 0b010_0101);
        assert!(bits.is_exhausted());
        assert_eq!(bits.read(3), 0);
        assert!(bits.is_overrun() && !bits.is_exhausted());
        assert!(ReverseBits::new(&[1, 0]).is_none(), "no end mark");
        let mut long = ReverseBits::new(&[0xff; 20]).unwrap();
        assert_eq!(long.read(56), (1 << 56) - 1);
        assert_eq!(long.read(56), (1 << 56) - 1);
        assert_eq!(long.peek(56), ((1 << 47) - 1) << 9);
    }

    #[test]
    fn bits_come_from_the_beginning() {
        let mut bits = ForwardBits::new(&[0b1010_0101, 0b0001_1100]);
        assert_eq!((bits.read(4), bits.read(6)), (Some(0b0101), Some(0b00_1010)));
        bits.unread(1);
        assert_eq!((bits.read(1), bits.rest()), (Some(0), [].as_slice()));
        assert_eq!((bits.read(6), bits.read(1)), (Some(0b000_111), None));
    }
}
