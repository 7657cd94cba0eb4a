//! zstd (RFC 8878) in pure Rust. It compresses weakly, at one level.

use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{DecompressError, read_bounded};

pub(super) fn compress(input: &[u8], _level: Option<i32>, output: &mut Vec<u8>) {
    output.extend_from_slice(&compress_to_vec(input, CompressionLevel::Fastest));
}

pub(super) fn decompress(
    input: &[u8],
    output_max: usize,
    output: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    let decoder = StreamingDecoder::new(input).map_err(|_| DecompressError::Corrupt)?;
    read_bounded(decoder, output_max, output)
}
