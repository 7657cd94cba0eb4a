//! zstd (RFC 8878) in pure Rust.
//!
//! The decompressor is our own, for what it must promise: no panic on any bytes, and no block or frame that becomes
//! more than its bound, which is checked before each copy. Dictionaries are not supported; nothing in Kafka sends them.
//! The compressor is ruzstd's, at its one level.

mod bits;
mod fse;
mod huffman;
mod literals;
mod sequences;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use self::literals::LiteralsDecoder;
use self::sequences::SequencesDecoder;
use super::DecompressError;
use super::window::{Bound, OrCorrupt, Stop};
use super::xxhash::xxh64;
use crate::record::varint::Cursor;

const MAGIC: u32 = 0xfd2f_b528;
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
const SKIPPABLE_MASK: u32 = 0xffff_fff0;

const FLAG_SINGLE_SEGMENT: u8 = 0b10_0000;
const FLAG_RESERVED: u8 = 0b1000;
const FLAG_CHECKSUM: u8 = 0b100;

/// No block is larger, compressed or not.
const BLOCK_BYTES_MAX: usize = 128 << 10;

pub(super) fn compress(input: &[u8], _level: Option<i32>, output: &mut Vec<u8>) {
    output.extend_from_slice(&compress_to_vec(input, CompressionLevel::Fastest));
}

pub(super) fn decompress(
    input: &[u8],
    output_max: usize,
    output: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    let bound = Bound::after(output, output_max);
    let mut cursor = Cursor::new(input);
    while !cursor.is_empty() {
        frame(&mut cursor, &bound, output).map_err(|stop| bound.error(stop))?;
    }
    Ok(())
}

fn frame(cursor: &mut Cursor<'_>, bound: &Bound, output: &mut Vec<u8>) -> Result<(), Stop> {
    let magic = cursor.array().map(u32::from_le_bytes).or_corrupt()?;
    if magic & SKIPPABLE_MASK == SKIPPABLE_MAGIC {
        let length = cursor.array().map(u32::from_le_bytes).or_corrupt()?;
        return cursor.take(length as usize).map(drop).or_corrupt();
    }
    if magic != MAGIC {
        return Err(Stop::Corrupt);
    }
    let header = FrameHeader::read(cursor).or_corrupt()?;
    let start = output.len();
    let mut literals = LiteralsDecoder::default();
    let mut sequences = SequencesDecoder::default();
    loop {
        let word = little_endian(cursor.take(3).or_corrupt()?) as usize;
        let (is_last, kind, size) = (word & 1 != 0, word >> 1 & 3, word >> 3);
        if size > header.block_bytes_max {
            return Err(Stop::Corrupt);
        }
        let content = cursor.take(if kind == 1 { 1 } else { size }).or_corrupt()?;
        bound.block(output, start, header.block_bytes_max, |window| match kind {
            0 => window.literals(content),
            1 => window.fill(content.first().copied().or_corrupt()?, size),
            2 => {
                let section = literals.read(content, header.block_bytes_max).or_corrupt()?;
                sequences.execute(section, literals.bytes(), window)
            }
            _ => Err(Stop::Corrupt),
        })?;
        if is_last {
            break;
        }
    }
    let content = output.get(start..).unwrap_or_default();
    if header.content_size.is_some_and(|size| size != content.len() as u64) {
        return Err(Stop::Corrupt);
    }
    if header.has_checksum && cursor.array().map(u32::from_le_bytes).or_corrupt()? != xxh64(content) as u32 {
        return Err(Stop::Corrupt);
    }
    Ok(())
}

struct FrameHeader {
    block_bytes_max: usize,
    content_size: Option<u64>,
    has_checksum: bool,
}

impl FrameHeader {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let flags = cursor.byte()?;
        if flags & FLAG_RESERVED != 0 {
            return None;
        }
        let is_single_segment = flags & FLAG_SINGLE_SEGMENT != 0;
        let window = if is_single_segment { None } else { Some(window_size(cursor.byte()?)) };
        let dictionary_len = [0, 1, 2, 4].get(usize::from(flags & 3)).copied()?;
        if little_endian(cursor.take(dictionary_len)?) != 0 {
            return None;
        }
        let content_size = match (flags >> 6, is_single_segment) {
            (0, false) => None,
            (0, true) => Some(u64::from(cursor.byte()?)),
            (1, _) => Some(little_endian(cursor.take(2)?).saturating_add(256)),
            (2, _) => Some(little_endian(cursor.take(4)?)),
            (_, _) => Some(little_endian(cursor.take(8)?)),
        };
        let window = window.or(content_size)?;
        Some(Self {
            block_bytes_max: usize::try_from(window).unwrap_or(usize::MAX).min(BLOCK_BYTES_MAX),
            content_size,
            has_checksum: flags & FLAG_CHECKSUM != 0,
        })
    }
}

fn window_size(descriptor: u8) -> u64 {
    let base = 1u64 << (descriptor >> 3).saturating_add(10);
    base.saturating_add((base >> 3).saturating_mul(u64::from(descriptor & 7)))
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}
