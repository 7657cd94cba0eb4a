//! snappy in the framing of xerial's snappy-java, which Kafka's clients write: a magic, two versions, then blocks, each
//! after its length. Some clients send one bare block instead; that is read too.

use snap::raw::{Decoder, Encoder, decompress_len};

use super::DecompressError;
use crate::record::varint::Cursor;

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const VERSION: u32 = 1;
const BLOCK_BYTES: usize = 32 << 10;
/// A copy of three bytes produces at most 64.
const RATIO_MAX: usize = 22;

pub(super) fn compress(input: &[u8], _level: Option<i32>, output: &mut Vec<u8>) {
    output.extend_from_slice(&MAGIC);
    output.extend_from_slice(&VERSION.to_be_bytes());
    output.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = Encoder::new();
    for block in input.chunks(BLOCK_BYTES) {
        // A block this small cannot fail: the only error is an input of more than 4 GiB.
        let compressed = encoder.compress_vec(block).unwrap_or_default();
        output.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
        output.extend_from_slice(&compressed);
    }
}

pub(super) fn decompress(
    input: &[u8],
    output_max: usize,
    output: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    let mut cursor = Cursor::new(input);
    if cursor.array() != Some(MAGIC) {
        return block(input, output_max, output_max, output).map(drop);
    }
    let _versions: [u8; 8] = cursor.array().ok_or(DecompressError::Corrupt)?;
    let mut room = output_max;
    while !cursor.is_empty() {
        // Less than a length is no block, and ignored, as it is in Java.
        let Some(length) = cursor.array::<4>() else { break };
        let compressed = cursor.take(u32::from_be_bytes(length) as usize).ok_or(DecompressError::Corrupt)?;
        room = block(compressed, room, output_max, output)?;
    }
    Ok(())
}

/// Appends one block and answers the room that is left.
fn block(
    input: &[u8],
    room: usize,
    output_max: usize,
    output: &mut Vec<u8>,
) -> Result<usize, DecompressError> {
    let length = decompress_len(input).map_err(|_| DecompressError::Corrupt)?;
    let left = room.checked_sub(length).ok_or(DecompressError::TooLarge { bytes_max: output_max })?;
    if length > input.len().saturating_mul(RATIO_MAX) {
        return Err(DecompressError::Corrupt);
    }
    let at = output.len();
    output.resize(at.saturating_add(length), 0);
    let into = output.get_mut(at..).unwrap_or_default();
    match Decoder::new().decompress(input, into) {
        Ok(written) if written == length => Ok(left),
        _ => {
            output.truncate(at);
            Err(DecompressError::Corrupt)
        }
    }
}
