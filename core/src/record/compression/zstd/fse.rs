//! Finite state entropy: tables that code symbols in fractions of bits.

use super::bits::{ForwardBits, ReverseBits};

const SYMBOLS_MAX: usize = 256;

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    symbol: u8,
    bits: u8,
    baseline: u16,
}

/// A table of `1 << accuracy_log` states.
#[derive(Clone, Debug, Default)]
pub(super) struct FseTable {
    cells: Vec<Cell>,
    accuracy_log: u32,
}

impl FseTable {
    /// A table that always gives this symbol.
    pub fn of_symbol(symbol: u8) -> Self {
        Self { cells: vec![Cell { symbol, bits: 0, baseline: 0 }], accuracy_log: 0 }
    }

    /// Reads a description and answers the bytes after it.
    pub fn read(bytes: &[u8], accuracy_log_max: u32, symbol_max: u8) -> Option<(Self, &[u8])> {
        let mut bits = ForwardBits::new(bytes);
        let accuracy_log = bits.read(4)?.saturating_add(5);
        if accuracy_log > accuracy_log_max {
            return None;
        }
        let mut counts = Vec::with_capacity(SYMBOLS_MAX);
        let mut remaining = 1u32 << accuracy_log;
        while remaining > 0 {
            let count = read_count(&mut bits, remaining)?;
            remaining = remaining.checked_sub(u32::from(count.unsigned_abs()))?;
            counts.push(count);
            if count == 0 {
                loop {
                    let repeat = bits.read(2)?;
                    counts.resize(counts.len().saturating_add(repeat as usize), 0);
                    if repeat != 3 {
                        break;
                    }
                }
            }
            if counts.len() > usize::from(symbol_max).saturating_add(1) {
                return None;
            }
        }
        Some((Self::of_counts(&counts, accuracy_log)?, bits.rest()))
    }

    /// The counts, of which -1 stands for a probability of less than one state, add up to the number of states.
    pub fn of_counts(counts: &[i16], accuracy_log: u32) -> Option<Self> {
        let size = 1usize << accuracy_log;
        let mut cells = vec![Cell::default(); size];
        let mut next = [0u16; SYMBOLS_MAX];
        let mut high = size;
        for ((symbol, &count), next) in (0u8..=255).zip(counts).zip(&mut next) {
            *next = count.unsigned_abs();
            if count == -1 {
                high = high.checked_sub(1)?;
                cells.get_mut(high)?.symbol = symbol;
            }
        }
        let step = (size >> 1).saturating_add(size >> 3).saturating_add(3);
        let mask = size.saturating_sub(1);
        let mut position = 0usize;
        for (symbol, &count) in (0u8..=255).zip(counts) {
            for _ in 0..count.max(0) {
                cells.get_mut(position)?.symbol = symbol;
                position = position.saturating_add(step) & mask;
                while position >= high && high > 0 {
                    position = position.saturating_add(step) & mask;
                }
            }
        }
        for cell in &mut cells {
            let state = next.get_mut(usize::from(cell.symbol))?;
            let bits = accuracy_log.checked_sub(state.checked_ilog2()?)?;
            cell.bits = bits as u8;
            cell.baseline = ((usize::from(*state) << bits).checked_sub(size)?) as u16;
            *state = state.saturating_add(1);
        }
        Some(Self { cells, accuracy_log })
    }

    pub fn start(&self, bits: &mut ReverseBits<'_>) -> FseState {
        FseState(bits.read(self.accuracy_log) as usize)
    }

    #[inline]
    pub fn symbol(&self, state: FseState) -> u8 {
        self.cells.get(state.0).map_or(0, |cell| cell.symbol)
    }

    #[inline]
    pub fn advance(&self, state: &mut FseState, bits: &mut ReverseBits<'_>) {
        let cell = self.cells.get(state.0).copied().unwrap_or_default();
        state.0 = usize::from(cell.baseline).saturating_add(bits.read(u32::from(cell.bits)) as usize);
    }
}

/// An index into the table that it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct FseState(usize);

/// A count takes as many bits as `remaining` demands, and one less if it is small.
fn read_count(bits: &mut ForwardBits<'_>, remaining: u32) -> Option<i16> {
    let range = remaining.saturating_add(1);
    let width = range.checked_ilog2()?.saturating_add(1);
    let value = bits.read(width)?;
    let half = 1u32 << width.saturating_sub(1);
    let threshold = (half << 1).saturating_sub(1).saturating_sub(range);
    let low = value & half.saturating_sub(1);
    let value = if low < threshold {
        bits.unread(1);
        low
    } else if value >= half {
        value.saturating_sub(threshold)
    } else {
        value
    };
    (value as i16).checked_sub(1)
}
