//! gzip: one member per batch is written; any number of them is read.

use std::io::Write;

use flate2::Compression;
use flate2::bufread::GzDecoder;
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
    let start = output.len();
    let mut rest = input;
    loop {
        let room = output_max.saturating_sub(output.len().saturating_sub(start));
        let mut member = GzDecoder::new(rest);
        match read_bounded(&mut member, room, output) {
            Ok(()) => rest = member.into_inner(),
            // What follows the first member and is none is ignored, as it is in Java.
            Err(DecompressError::Corrupt) if rest.len() < input.len() && member.header().is_none() => {
                return Ok(());
            }
            Err(DecompressError::TooLarge { .. }) => {
                return Err(DecompressError::TooLarge { bytes_max: output_max });
            }
            Err(error) => return Err(error),
        }
        if rest.is_empty() {
            return Ok(());
        }
    }
}
