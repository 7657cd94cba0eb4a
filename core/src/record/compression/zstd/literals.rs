//! The first section of a compressed block: the bytes that sequences copy from.

use super::huffman::HuffmanTable;
use super::little_endian;

/// Keeps the last Huffman table of the frame, which later blocks may use again.
#[derive(Debug, Default)]
pub(super) struct LiteralsDecoder {
    table: Option<HuffmanTable>,
    bytes: Vec<u8>,
}

impl LiteralsDecoder {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Decodes the literals of a block and answers the sections after them.
    pub fn read<'a>(&mut self, block: &'a [u8], literals_max: usize) -> Option<&'a [u8]> {
        let first = *block.first()?;
        let (kind, format) = (first & 3, first >> 2 & 3);
        self.bytes.clear();
        if kind < 2 {
            let (header_len, shift) = match format {
                1 => (2, 4),
                3 => (3, 4),
                _ => (1, 3),
            };
            let (header, rest) = block.split_at_checked(header_len)?;
            let size = (little_endian(header) >> shift) as usize;
            if size > literals_max {
                return None;
            }
            let (content, rest) = rest.split_at_checked(if kind == 0 { size } else { 1 })?;
            match kind {
                0 => self.bytes.extend_from_slice(content),
                _ => self.bytes.resize(size, *content.first()?),
            }
            return Some(rest);
        }
        let (header_len, size_bits) = match format {
            2 => (4, 14),
            3 => (5, 18),
            _ => (3, 10),
        };
        let (header, rest) = block.split_at_checked(header_len)?;
        let header = little_endian(header) >> 4;
        let size = (header & (1u64 << size_bits).wrapping_sub(1)) as usize;
        let (content, rest) = rest.split_at_checked((header >> size_bits) as usize)?;
        if size > literals_max {
            return None;
        }
        self.decode(content, kind == 2, format == 0, size)?;
        Some(rest)
    }

    fn decode(&mut self, content: &[u8], has_table: bool, is_single: bool, size: usize) -> Option<()> {
        let mut streams = content;
        if has_table {
            let (table, rest) = HuffmanTable::read(content)?;
            self.table = Some(table);
            streams = rest;
        }
        let table = self.table.as_ref()?;
        if is_single {
            return table.decode(streams, size, &mut self.bytes);
        }
        let (lengths, mut streams) = streams.split_first_chunk::<6>()?;
        let part = size.div_ceil(4);
        for length in lengths.as_chunks::<2>().0 {
            let (stream, rest) = streams.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            table.decode(stream, part, &mut self.bytes)?;
            streams = rest;
        }
        table.decode(streams, size.checked_sub(part.saturating_mul(3))?, &mut self.bytes)
    }
}
