//! lz4 in its frame format (version 1.6). Written as Kafka's clients write it: independent blocks of 64 KiB, no content
//! size, no checksums but the header's. Read: any frame without a dictionary, one after another.
//!
//! The compressor is our own because its bytes must be the same on 32 and 64 bits: it is greedy, with one table of the
//! last position of each hash.

use bytes::Bytes;

use super::DecompressError;
use super::window::{Bound, OrCorrupt, Stop, Window};
use super::xxhash::xxh32;
use crate::record::varint::Cursor;

const MAGIC: u32 = 0x184d_2204;
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
const SKIPPABLE_MASK: u32 = 0xffff_fff0;

const FLAG_VERSION: u8 = 0b0100_0000;
const FLAG_VERSION_MASK: u8 = 0b1100_0000;
const FLAG_INDEPENDENT: u8 = 0b0010_0000;
const FLAG_BLOCK_CHECKSUM: u8 = 0b0001_0000;
const FLAG_CONTENT_SIZE: u8 = 0b0000_1000;
const FLAG_CONTENT_CHECKSUM: u8 = 0b0000_0100;
const FLAG_DICTIONARY: u8 = 0b0000_0001;

/// The descriptor's code for blocks of 64 KiB.
const BLOCK_64_KIB: u8 = 4 << 4;
const BLOCK_BYTES: usize = 64 << 10;
const BLOCK_STORED: u32 = 1 << 31;

const MATCH_MIN: usize = 4;
/// A block ends in at least this many literals.
const LITERALS_AT_END: usize = 5;
/// No match starts in the last bytes of a block.
const MATCH_START_MARGIN: usize = 12;
const HASH_BITS: u32 = 13;
/// After this many misses (as a power of two) the search takes longer steps.
const SKIP_TRIGGER_BITS: usize = 6;

pub(super) fn compress(input: &[u8], _level: Option<i32>, output: &mut Vec<u8>) {
    let descriptor = [FLAG_VERSION | FLAG_INDEPENDENT, BLOCK_64_KIB];
    output.extend_from_slice(&MAGIC.to_le_bytes());
    output.extend_from_slice(&descriptor);
    output.push(header_checksum(&descriptor));
    let mut table = [0; 1 << HASH_BITS];
    let mut compressed = Vec::new();
    for block in input.chunks(BLOCK_BYTES) {
        compressed.clear();
        compress_block(block, &mut table, &mut compressed);
        let (length, bytes) = if compressed.len() < block.len() {
            (compressed.len() as u32, compressed.as_slice())
        } else {
            (block.len() as u32 | BLOCK_STORED, block)
        };
        output.extend_from_slice(&length.to_le_bytes());
        output.extend_from_slice(bytes);
    }
    output.extend_from_slice(&[0; 4]);
}

pub(super) fn decompress(
    input: &[u8],
    output_max: usize,
    output: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    let bound = Bound::after(output, output_max);
    let mut cursor = Cursor::new(input);
    loop {
        frame(&mut cursor, &bound, output).map_err(|stop| bound.error(stop))?;
        // What follows a frame and is none is ignored, as it is in Java.
        let magic = cursor.rest().first_chunk().map(|magic| u32::from_le_bytes(*magic));
        if !magic.is_some_and(|magic| magic == MAGIC || magic & SKIPPABLE_MASK == SKIPPABLE_MAGIC) {
            return Ok(());
        }
    }
}

/// The frame with the header checksum that it should have, for those that got it wrong. What is too short or no frame
/// stays as it is.
pub(in crate::record) fn with_valid_header(frame: &Bytes) -> Bytes {
    const DESCRIPTOR_START: usize = 4;
    let Some(flags) = frame.get(DESCRIPTOR_START) else { return frame.clone() };
    let descriptor_len = if flags & FLAG_CONTENT_SIZE != 0 { 10 } else { 2 };
    let mut frame = frame.to_vec();
    if let Some((descriptor, [stored, ..])) =
        frame.get_mut(DESCRIPTOR_START..).and_then(|rest| rest.split_at_mut_checked(descriptor_len))
    {
        *stored = header_checksum(descriptor);
    }
    frame.into()
}

/// The byte after the descriptor: the second of its hash.
fn header_checksum(descriptor: &[u8]) -> u8 {
    (xxh32(descriptor) >> 8) as u8
}

fn frame(cursor: &mut Cursor<'_>, bound: &Bound, output: &mut Vec<u8>) -> Result<(), Stop> {
    let magic = read_u32(cursor)?;
    if magic & SKIPPABLE_MASK == SKIPPABLE_MAGIC {
        let length = read_u32(cursor)? as usize;
        return cursor.take(length).map(drop).or_corrupt();
    }
    let descriptor = cursor.rest();
    let [flags, block_descriptor] = cursor.array().or_corrupt()?;
    if magic != MAGIC || flags & FLAG_VERSION_MASK != FLAG_VERSION || flags & FLAG_DICTIONARY != 0 {
        return Err(Stop::Corrupt);
    }
    let content_size = match flags & FLAG_CONTENT_SIZE {
        0 => None,
        _ => Some(u64::from_le_bytes(cursor.array().or_corrupt()?)),
    };
    let descriptor_len = descriptor.len().saturating_sub(cursor.rest().len());
    if cursor.byte() != descriptor.get(..descriptor_len).map(header_checksum) {
        return Err(Stop::Corrupt);
    }
    let block_max = block_bytes(block_descriptor).or_corrupt()?;
    let frame_start = output.len();
    loop {
        let length = read_u32(cursor)?;
        if length == 0 {
            break;
        }
        let block = cursor.take((length & !BLOCK_STORED) as usize).or_corrupt()?;
        if flags & FLAG_BLOCK_CHECKSUM != 0 && read_u32(cursor)? != xxh32(block) {
            return Err(Stop::Corrupt);
        }
        let start = if flags & FLAG_INDEPENDENT != 0 { output.len() } else { frame_start };
        bound.block(output, start, block_max, |window| {
            if length & BLOCK_STORED != 0 { window.literals(block) } else { decompress_block(block, window) }
        })?;
    }
    let content = output.get(frame_start..).unwrap_or_default();
    if content_size.is_some_and(|size| size != content.len() as u64) {
        return Err(Stop::Corrupt);
    }
    if flags & FLAG_CONTENT_CHECKSUM != 0 && read_u32(cursor)? != xxh32(content) {
        return Err(Stop::Corrupt);
    }
    Ok(())
}

/// The largest block, by the descriptor's code.
fn block_bytes(descriptor: u8) -> Option<usize> {
    match descriptor >> 4 & 7 {
        4 => Some(64 << 10),
        5 => Some(256 << 10),
        6 => Some(1 << 20),
        7 => Some(4 << 20),
        _ => None,
    }
}

fn read_u32(cursor: &mut Cursor<'_>) -> Result<u32, Stop> {
    cursor.array().map(u32::from_le_bytes).or_corrupt()
}

fn decompress_block(input: &[u8], window: &mut Window<'_>) -> Result<(), Stop> {
    let mut cursor = Cursor::new(input);
    loop {
        let token = cursor.byte().or_corrupt()?;
        let literals_len = long_length(&mut cursor, token >> 4).or_corrupt()?;
        window.literals(cursor.take(literals_len).or_corrupt()?)?;
        if cursor.is_empty() {
            return Ok(());
        }
        let distance = usize::from(u16::from_le_bytes(cursor.array().or_corrupt()?));
        let length = long_length(&mut cursor, token & 0xf).or_corrupt()?.saturating_add(MATCH_MIN);
        window.copy(distance, length)?;
    }
}

fn long_length(cursor: &mut Cursor<'_>, nibble: u8) -> Option<usize> {
    let mut length = usize::from(nibble);
    if nibble == 0xf {
        loop {
            let byte = cursor.byte()?;
            length = length.saturating_add(usize::from(byte));
            if byte != 0xff {
                break;
            }
        }
    }
    Some(length)
}

/// Blocks are at most 64 KiB, so that a position fits 16 bits.
fn compress_block(input: &[u8], table: &mut [u16; 1 << HASH_BITS], output: &mut Vec<u8>) {
    table.fill(0);
    let mut literals_start = 0usize;
    let mut at = 1usize;
    let search_end = input.len().saturating_sub(MATCH_START_MARGIN);
    let mut misses = 1usize << SKIP_TRIGGER_BITS;
    while at < search_end {
        let Some(word) = word_at(input, at) else { break };
        let Some(entry) = table.get_mut(hash(word)) else { break };
        let candidate = usize::from(*entry);
        *entry = at as u16;
        if word_at(input, candidate) != Some(word) || candidate >= at {
            at = at.saturating_add(misses >> SKIP_TRIGGER_BITS);
            misses = misses.saturating_add(1);
            continue;
        }
        misses = 1 << SKIP_TRIGGER_BITS;
        let forward = common_prefix(
            input.get(candidate.saturating_add(MATCH_MIN)..).unwrap_or_default(),
            input
                .get(at.saturating_add(MATCH_MIN)..input.len().saturating_sub(LITERALS_AT_END))
                .unwrap_or_default(),
        );
        let literals = input.get(literals_start..at).unwrap_or_default();
        put_sequence(literals, Some((at.saturating_sub(candidate), forward)), output);
        at = at.saturating_add(MATCH_MIN).saturating_add(forward);
        literals_start = at;
    }
    put_sequence(input.get(literals_start..).unwrap_or_default(), None, output);
}

/// Literals, then a match of a distance and a length beyond the shortest.
fn put_sequence(literals: &[u8], found: Option<(usize, usize)>, output: &mut Vec<u8>) {
    let length = found.map_or(0, |(_, length)| length);
    output.push((literals.len().min(0xf) << 4 | length.min(0xf)) as u8);
    put_long_length(literals.len(), output);
    output.extend_from_slice(literals);
    if let Some((distance, length)) = found {
        output.extend_from_slice(&(distance as u16).to_le_bytes());
        put_long_length(length, output);
    }
}

fn put_long_length(length: usize, output: &mut Vec<u8>) {
    let Some(mut rest) = length.checked_sub(0xf) else { return };
    while rest >= 0xff {
        output.push(0xff);
        rest = rest.saturating_sub(0xff);
    }
    output.push(rest as u8);
}

fn word_at(input: &[u8], at: usize) -> Option<u32> {
    input.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn hash(word: u32) -> usize {
    (word.wrapping_mul(2_654_435_761) >> (32 - HASH_BITS)) as usize
}

fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    let (left_words, _) = left.as_chunks::<8>();
    let (right_words, _) = right.as_chunks::<8>();
    let mut length = 0usize;
    for (left, right) in left_words.iter().zip(right_words) {
        let difference = u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right);
        if difference != 0 {
            return length.saturating_add(difference.trailing_zeros() as usize / 8);
        }
        length = length.saturating_add(8);
    }
    let tails = left.get(length..).unwrap_or_default().iter().zip(right.get(length..).unwrap_or_default());
    length.saturating_add(tails.take_while(|(left, right)| left == right).count())
}
