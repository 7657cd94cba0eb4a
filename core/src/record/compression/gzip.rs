//! gzip: one member per batch is written; any number of them is read.

use std::io::Write;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{DecompressError, read_bounded};

pub(super) fn compress(input: &[u8], level: Option<i32>, output: &mut Vec<u8>) {
    let level = level
        .and_then(|level| u32::try_from(level).ok())
        .map_or(Compression::default(), |level| Compression::new(level.min(Compression::best().level())));
    let mut encoder = GzEncoder::new(output, level);
    // Writing to memory does not fail.
    let _ = encoder.write_all(input).and_then(|()| encoder.try_finish());
}

pub(super) fn decompress(
    input: &[u8],
    output_max: usize,
    output: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    read_bounded(MultiGzDecoder::new(input), output_max, output)
}
