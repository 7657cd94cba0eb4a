//! gzip (RFC 1952): one member per batch is written; any number of them is read.
//!
//! The frame is written and read here, around raw deflate: what the decoder brings for it would be a second implementation of CRC-32.

use std::io::Write;

use flate2::Compression;
use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::{DecompressError, read_bounded};
use crate::crc::{CrcAlgorithm, checksum};

/// ID1, ID2, and the only method.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// Behind the deflated bytes: their CRC-32 and their number, both little endian.
const TRAILER_BYTES: usize = 8;
const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

pub(super) fn compress(input: &[u8], level: Option<i32>, output: &mut Vec<u8>) {
    let level = level
        .and_then(|level| u32::try_from(level).ok())
        .map_or(Compression::default(), |level| Compression::new(level.min(Compression::best().level())));
    // What kind of compressor it was: the slowest, the fastest, or another.
    let kind = match level.level() {
        9.. => 2,
        1 => 4,
        _ => 0,
    };
    output.extend_from_slice(&MAGIC);
    // No flags, no time, and an unknown operating system.
    output.extend_from_slice(&[0, 0, 0, 0, 0, kind, 255]);
    let mut encoder = DeflateEncoder::new(&mut *output, level);
    // Writing to memory does not fail.
    let _ = encoder.write_all(input).and_then(|()| encoder.try_finish());
    drop(encoder);
    output.extend_from_slice(&trailer(input));
}

pub(super) fn decompress(
    input: &[u8],
    output_max: usize,
    output: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    let start = output.len();
    let mut rest = input;
    loop {
        let Some(deflated) = after_header(rest) else {
            // What follows the first member and is none is ignored, as it is in Java.
            return if rest.len() < input.len() { Ok(()) } else { Err(DecompressError::Corrupt) };
        };
        let before = output.len();
        let room = output_max.saturating_sub(before.saturating_sub(start));
        let mut member = DeflateDecoder::new(deflated);
        read_bounded(&mut member, room, output).map_err(|error| match error {
            DecompressError::TooLarge { .. } => DecompressError::TooLarge { bytes_max: output_max },
            error => error,
        })?;
        let (found, after) =
            member.into_inner().split_at_checked(TRAILER_BYTES).ok_or(DecompressError::Corrupt)?;
        if found != trailer(output.get(before..).unwrap_or_default()) {
            return Err(DecompressError::Corrupt);
        }
        rest = after;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

fn trailer(plain: &[u8]) -> [u8; TRAILER_BYTES] {
    // Both modulo 2^32, as the format has it.
    let (crc, length) = (checksum(CrcAlgorithm::Crc32IsoHdlc, plain) as u32, plain.len() as u32);
    let [a, b, c, d] = crc.to_le_bytes();
    let [e, f, g, h] = length.to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

/// What follows the header of a member, if there is a whole one.
fn after_header(member: &[u8]) -> Option<&[u8]> {
    let (fixed, mut rest) = member.split_at_checked(10)?;
    let flags = *fixed.strip_prefix(&MAGIC)?.first()?;
    if flags & EXTRA != 0 {
        let (length, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end.checked_add(1)?..)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        let header = member.get(..member.len().checked_sub(rest.len())?)?;
        let (crc, after) = rest.split_first_chunk::<2>()?;
        if u16::from_le_bytes(*crc) != checksum(CrcAlgorithm::Crc32IsoHdlc, header) as u16 {
            return None;
        }
        rest = after;
    }
    Some(rest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, GzBuilder};

    use super::*;

    fn unpacked(input: &[u8]) -> Result<Vec<u8>, DecompressError> {
        let mut output = b"before".to_vec();
        decompress(input, 1_000, &mut output).map(|()| output.split_off(6))
    }

    #[test]
    fn bytes_are_those_of_another_encoder() {
        for (level, kind) in [(None, 6), (Some(1), 1), (Some(9), 9)] {
            let mut own = Vec::new();
            compress(b"what is written here is written there", level, &mut own);
            let mut other = flate2::write::GzEncoder::new(Vec::new(), Compression::new(kind));
            other.write_all(b"what is written here is written there").unwrap();
            assert_eq!(own, other.finish().unwrap(), "level {level:?}");
        }
    }

    #[test]
    fn headers_may_hold_more() {
        let builder = GzBuilder::new().extra(vec![1, 2, 3]).filename("name").comment("comment").mtime(7);
        let mut encoder = builder.write(Vec::new(), Compression::best());
        encoder.write_all(b"text").unwrap();
        let member = encoder.finish().unwrap();
        assert_eq!(unpacked(&member), Ok(b"text".to_vec()));
        // The same with a checksum of the header: behind the three bytes, the name and the comment.
        let mut checked = member;
        checked[3] |= HEADER_CRC;
        let end = 10 + 2 + 3 + 5 + 8;
        let crc = checksum(CrcAlgorithm::Crc32IsoHdlc, &checked[..end]) as u16;
        checked.splice(end..end, crc.to_le_bytes());
        assert_eq!(unpacked(&checked), Ok(b"text".to_vec()));
        checked[end] ^= 1;
        assert_eq!(unpacked(&checked), Err(DecompressError::Corrupt));
    }

    #[test]
    fn members_follow_each_other_and_damage_is_noticed() {
        let mut members = Vec::new();
        compress(b"one", None, &mut members);
        let first = members.len();
        compress(b"two", None, &mut members);
        assert_eq!(unpacked(&members), Ok(b"onetwo".to_vec()));
        assert_eq!(unpacked(&[&members[..], b"and what is none"].concat()), Ok(b"onetwo".to_vec()));
        for at in [0, 2, first - 8, first - 1, members.len() - 1] {
            let mut damaged = members.clone();
            damaged[at] ^= 0x40;
            assert_eq!(unpacked(&damaged), Err(DecompressError::Corrupt), "byte {at}");
        }
        for end in 0..first {
            assert_eq!(unpacked(&members[..end]), Err(DecompressError::Corrupt), "{end} bytes");
        }
    }
}
