//! The compressors that this shell lends to the core: C zstd in place of the pure Rust one, which compresses weakly.

use std::cell::RefCell;
use std::io::Read as _;

use ottla_core::record::compression::{Codec, Compressors, DecompressError};
use zstd::bulk::Compressor;
use zstd::stream::read::Decoder;

/// Kafka's default for `compression.zstd.level`.
const ZSTD_LEVEL: i32 = 3;

/// Pure Rust but for zstd.
pub fn compressors() -> Compressors {
    Compressors { zstd: Codec { compress, decompress }, ..Compressors::default() }
}

fn compress(input: &[u8], level: Option<i32>, output: &mut Vec<u8>) {
    thread_local! {
        /// A context costs more to make than a small batch to compress.
        static CONTEXT: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    }
    let level = level.unwrap_or(ZSTD_LEVEL);
    let begin = output.len();
    let done = CONTEXT.with_borrow_mut(|context| {
        if context.is_none() {
            *context = Compressor::new(level).ok();
        }
        let compressor = context.as_mut()?;
        compressor.set_compression_level(level).ok()?;
        output.resize(begin + zstd::zstd_safe::compress_bound(input.len()), 0);
        compressor.compress_to_buffer(input, output.get_mut(begin..)?).ok()
    });
    output.truncate(begin + done.unwrap_or(0));
    if done.is_none() {
        // No memory for a context: the pure codec needs less.
        (Compressors::default().zstd.compress)(input, Some(level), output);
    }
}

fn decompress(input: &[u8], output_max: usize, output: &mut Vec<u8>) -> Result<(), DecompressError> {
    let corrupt = |_| DecompressError::Corrupt;
    let mut decoder = Decoder::with_buffer(input).map_err(corrupt)?;
    // The window is memory too: 8 MiB, which every decoder is to support, and no more than what may come out.
    let window_log_max = usize::BITS - output_max.leading_zeros();
    decoder.window_log_max(window_log_max.clamp(23, 27)).map_err(corrupt)?;
    let begin = output.len();
    let bound = u64::try_from(output_max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(bound).read_to_end(output).map_err(corrupt)?;
    if output.len() - begin > output_max {
        return Err(DecompressError::TooLarge { bytes_max: output_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|index| (index * index / 7 % 64) as u8).collect()
    }

    #[test]
    fn both_codecs_read_each_other() {
        let pure = Compressors::default().zstd;
        for len in [0, 1, 100, 70_000, 3_000_000] {
            let input = sample(len);
            for (from, to) in [(compress as _, pure.decompress), (pure.compress, decompress as _)] {
                let (mut compressed, mut output) = (Vec::new(), b"kept".to_vec());
                from(&input, None, &mut compressed);
                to(&compressed, len, &mut output).expect("decompressed");
                assert_eq!(output[..4], *b"kept");
                assert_eq!(output[4..], input);
            }
        }
    }

    #[test]
    fn levels_differ_and_the_bound_holds() {
        let input: Vec<u8> =
            (0..200_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 20).to_le_bytes()).collect();
        let [mut fast, mut small] = [Vec::new(), Vec::new()];
        compress(&input, Some(1), &mut fast);
        compress(&input, Some(19), &mut small);
        assert!(small.len() < fast.len());
        let mut output = Vec::new();
        let refused = decompress(&fast, input.len() - 1, &mut output);
        assert_eq!(refused, Err(DecompressError::TooLarge { bytes_max: input.len() - 1 }));
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let mut good = Vec::new();
        compress(&sample(1_000), None, &mut good);
        for len in 0..good.len() {
            assert!(decompress(&good[..len], 1 << 20, &mut Vec::new()).is_err() || len == 0);
        }
        assert!(decompress(b"not zstd at all", 1 << 20, &mut Vec::new()).is_err());
    }
}
