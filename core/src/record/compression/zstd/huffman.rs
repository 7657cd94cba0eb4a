//! Huffman coding of literals.

use super::bits::ReverseBits;
use super::fse::FseTable;

const CODE_BITS_MAX: u32 = 11;
const WEIGHTS_MAX: usize = 255;
const WEIGHTS_ACCURACY_LOG_MAX: u32 = 6;
const WEIGHT_MAX: u8 = CODE_BITS_MAX as u8;

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    symbol: u8,
    bits: u8,
}

/// A table indexed by the next `code_bits` bits.
#[derive(Clone, Debug, Default)]
pub(super) struct HuffmanTable {
    cells: Vec<Cell>,
    code_bits: u32,
}

impl HuffmanTable {
    /// Reads a description and answers the bytes after it.
    pub fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&header, bytes) = bytes.split_first()?;
        let mut weights = Vec::with_capacity(WEIGHTS_MAX.saturating_add(1));
        let rest = match header.checked_sub(127) {
            Some(count) if header >= 128 => {
                let (packed, rest) = bytes.split_at_checked(usize::from(count).div_ceil(2))?;
                weights
                    .extend(packed.iter().flat_map(|&byte| [byte >> 4, byte & 0xf]).take(usize::from(count)));
                rest
            }
            _ => {
                let (packed, rest) = bytes.split_at_checked(usize::from(header))?;
                read_weights(packed, &mut weights)?;
                rest
            }
        };
        Some((Self::of_weights(weights)?, rest))
    }

    /// The last weight is left out of a description: it completes the tree.
    fn of_weights(mut weights: Vec<u8>) -> Option<Self> {
        if weights.iter().any(|&weight| weight > WEIGHT_MAX) {
            return None;
        }
        let states = |weight: u8| if weight == 0 { 0 } else { 1usize << (weight & 31) >> 1 };
        let sum: usize = weights.iter().map(|&weight| states(weight)).sum();
        let code_bits = sum.checked_ilog2()?.saturating_add(1);
        let size = 1usize << code_bits;
        let missing = size.checked_sub(sum)?;
        if code_bits > CODE_BITS_MAX || !missing.is_power_of_two() {
            return None;
        }
        weights.push((missing.ilog2() as u8).saturating_add(1));
        let mut cells = Vec::with_capacity(size);
        for weight in 1..=(code_bits as u8) {
            let bits = (code_bits as u8).saturating_add(1).saturating_sub(weight);
            for (symbol, _) in (0u8..=255).zip(&weights).filter(|(_, found)| **found == weight) {
                cells.resize(cells.len().saturating_add(states(weight)), Cell { symbol, bits });
            }
        }
        (cells.len() == size).then_some(Self { cells, code_bits })
    }

    /// Appends `count` symbols, which must be all that the stream holds.
    pub fn decode(&self, stream: &[u8], count: usize, into: &mut Vec<u8>) -> Option<()> {
        let mut bits = ReverseBits::new(stream)?;
        for _ in 0..count {
            let cell = self.cells.get(bits.peek(self.code_bits) as usize)?;
            into.push(cell.symbol);
            bits.consume(u32::from(cell.bits));
        }
        bits.is_exhausted().then_some(())
    }
}

/// Weights coded by two states that take turns, until the bits are used up.
fn read_weights(bytes: &[u8], weights: &mut Vec<u8>) -> Option<()> {
    let (table, stream) = FseTable::read(bytes, WEIGHTS_ACCURACY_LOG_MAX, WEIGHT_MAX)?;
    let mut bits = ReverseBits::new(stream)?;
    let mut current = table.start(&mut bits);
    let mut other = table.start(&mut bits);
    if bits.is_overrun() {
        return None;
    }
    loop {
        weights.push(table.symbol(current));
        table.advance(&mut current, &mut bits);
        if weights.len() >= WEIGHTS_MAX {
            return None;
        }
        if bits.is_overrun() {
            weights.push(table.symbol(other));
            return Some(());
        }
        std::mem::swap(&mut current, &mut other);
    }
}
