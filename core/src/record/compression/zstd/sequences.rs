//! The second section of a compressed block: how many literals to take, and what to repeat.

use super::bits::ReverseBits;
use super::fse::FseTable;
use crate::record::compression::window::{OrCorrupt, Stop, Window};
use crate::record::varint::Cursor;

/// What one of the three numbers of a sequence is coded with.
struct Coding {
    accuracy_log_max: u32,
    symbol_max: u8,
    default_counts: &'static [i16],
    default_accuracy_log: u32,
}

const LITERAL_LENGTHS: Coding = Coding {
    accuracy_log_max: 9,
    symbol_max: 35,
    default_counts: &[
        4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1,
        -1, -1, -1,
    ],
    default_accuracy_log: 6,
};

const OFFSETS: Coding = Coding {
    accuracy_log_max: 8,
    symbol_max: 31,
    default_counts: &[
        1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
    ],
    default_accuracy_log: 5,
};

const MATCH_LENGTHS: Coding = Coding {
    accuracy_log_max: 9,
    symbol_max: 52,
    default_counts: &[
        1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
    ],
    default_accuracy_log: 6,
};

/// Codes below 16 are the length itself; from here on: the first length, and how many bits are added to it.
const LITERAL_LENGTH_CODES: [(u32, u32); 20] = [
    (16, 1),
    (18, 1),
    (20, 1),
    (22, 1),
    (24, 2),
    (28, 2),
    (32, 3),
    (40, 3),
    (48, 4),
    (64, 6),
    (128, 7),
    (256, 8),
    (512, 9),
    (1024, 10),
    (2048, 11),
    (4096, 12),
    (8192, 13),
    (16_384, 14),
    (32_768, 15),
    (65_536, 16),
];

/// Codes below 32 are the length less 3; from here on as above.
const MATCH_LENGTH_CODES: [(u32, u32); 21] = [
    (35, 1),
    (37, 1),
    (39, 1),
    (41, 1),
    (43, 2),
    (47, 2),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 5),
    (131, 7),
    (259, 8),
    (515, 9),
    (1027, 10),
    (2051, 11),
    (4099, 12),
    (8195, 13),
    (16_387, 14),
    (32_771, 15),
    (65_539, 16),
];

/// Keeps tables and recent offsets of the frame, which later blocks may use again.
#[derive(Debug)]
pub(super) struct SequencesDecoder {
    literal_lengths: Option<FseTable>,
    offsets: Option<FseTable>,
    match_lengths: Option<FseTable>,
    recent: [usize; 3],
}

impl Default for SequencesDecoder {
    fn default() -> Self {
        Self { literal_lengths: None, offsets: None, match_lengths: None, recent: [1, 4, 8] }
    }
}

impl SequencesDecoder {
    /// Runs the sequences of a block over its literals.
    pub fn execute(&mut self, section: &[u8], literals: &[u8], window: &mut Window<'_>) -> Result<(), Stop> {
        let mut cursor = Cursor::new(section);
        let mut literals = Cursor::new(literals);
        let count = read_count(&mut cursor).or_corrupt()?;
        if count > 0 {
            self.read_tables(&mut cursor).or_corrupt()?;
            self.run(cursor.rest(), count, &mut literals, window)?;
        } else if !cursor.is_empty() {
            return Err(Stop::Corrupt);
        }
        window.literals(literals.rest())
    }

    fn read_tables(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let modes = cursor.byte()?;
        if modes & 3 != 0 {
            return None;
        }
        read_table(&mut self.literal_lengths, modes >> 6, &LITERAL_LENGTHS, cursor)?;
        read_table(&mut self.offsets, modes >> 4, &OFFSETS, cursor)?;
        read_table(&mut self.match_lengths, modes >> 2, &MATCH_LENGTHS, cursor)
    }

    fn run(
        &mut self,
        stream: &[u8],
        count: usize,
        literals: &mut Cursor<'_>,
        window: &mut Window<'_>,
    ) -> Result<(), Stop> {
        let mut bits = ReverseBits::new(stream).or_corrupt()?;
        let literal_lengths = self.literal_lengths.as_ref().or_corrupt()?;
        let offsets = self.offsets.as_ref().or_corrupt()?;
        let match_lengths = self.match_lengths.as_ref().or_corrupt()?;
        let mut literal_length_state = literal_lengths.start(&mut bits);
        let mut offset_state = offsets.start(&mut bits);
        let mut match_length_state = match_lengths.start(&mut bits);
        for left in (0..count).rev() {
            let offset_bits = u32::from(offsets.symbol(offset_state)).min(31);
            let offset_value = (1usize << offset_bits).saturating_add(bits.read(offset_bits) as usize);
            let code = match_lengths.symbol(match_length_state);
            let match_length = length(code, 32, 3, &MATCH_LENGTH_CODES, &mut bits).or_corrupt()?;
            let code = literal_lengths.symbol(literal_length_state);
            let literal_length = length(code, 16, 0, &LITERAL_LENGTH_CODES, &mut bits).or_corrupt()?;
            if left > 0 {
                literal_lengths.advance(&mut literal_length_state, &mut bits);
                match_lengths.advance(&mut match_length_state, &mut bits);
                offsets.advance(&mut offset_state, &mut bits);
            }
            if bits.is_overrun() {
                return Err(Stop::Corrupt);
            }
            window.literals(literals.take(literal_length).or_corrupt()?)?;
            let distance = distance(&mut self.recent, offset_value, literal_length == 0).or_corrupt()?;
            window.copy(distance, match_length)?;
        }
        if bits.is_exhausted() { Ok(()) } else { Err(Stop::Corrupt) }
    }
}

fn read_count(cursor: &mut Cursor<'_>) -> Option<usize> {
    let first = usize::from(cursor.byte()?);
    Some(match first {
        0..128 => first,
        128..255 => (first & 0x7f) << 8 | usize::from(cursor.byte()?),
        _ => usize::from(u16::from_le_bytes(cursor.array()?)).saturating_add(0x7f00),
    })
}

fn read_table(
    table: &mut Option<FseTable>,
    mode: u8,
    coding: &Coding,
    cursor: &mut Cursor<'_>,
) -> Option<()> {
    match mode & 3 {
        0 => *table = Some(FseTable::of_counts(coding.default_counts, coding.default_accuracy_log)?),
        1 => {
            let symbol = cursor.byte().filter(|&symbol| symbol <= coding.symbol_max)?;
            *table = Some(FseTable::of_symbol(symbol));
        }
        2 => {
            let (read, rest) = FseTable::read(cursor.rest(), coding.accuracy_log_max, coding.symbol_max)?;
            *cursor = Cursor::new(rest);
            *table = Some(read);
        }
        _ => drop(table.as_ref()?),
    }
    Some(())
}

#[inline]
fn length(
    code: u8,
    plain: u8,
    base: usize,
    codes: &[(u32, u32)],
    bits: &mut ReverseBits<'_>,
) -> Option<usize> {
    match code.checked_sub(plain) {
        None => Some(usize::from(code).saturating_add(base)),
        Some(index) => {
            let &(first, added) = codes.get(usize::from(index))?;
            Some((first as usize).saturating_add(bits.read(added) as usize))
        }
    }
}

/// The values 1 to 3 stand for recent offsets; without literals they stand for one further, and 3 for the last less 1.
#[inline]
fn distance(recent: &mut [usize; 3], value: usize, is_without_literals: bool) -> Option<usize> {
    let [first, second, third] = *recent;
    let (distance, rotated) = match value.saturating_add(usize::from(is_without_literals)) {
        _ if value > 3 => (value.saturating_sub(3), [0, first, second]),
        1 => (first, [0, second, third]),
        2 => (second, [0, first, third]),
        3 => (third, [0, first, second]),
        _ => (first.saturating_sub(1), [0, first, second]),
    };
    *recent = rotated;
    recent[0] = distance;
    (distance > 0).then_some(distance)
}
