#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

use super::*;

/// Empty, short, random, repetitive, text-like and long inputs.
fn inputs() -> Vec<Vec<u8>> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut inputs = vec![vec![], vec![1], b"abcabcabcabcabcabcabc".to_vec(), vec![0; 1 << 20]];
    for length in [5usize, 12, 13, 100, 65_535, 65_536, 65_537, 200_000] {
        let mut noise = vec![0; length];
        rng.fill_bytes(&mut noise);
        inputs.push(noise);
        let words = ["offset", "leader", "epoch", " ", "\n", "partition", "0", "17"];
        let mut text = Vec::new();
        while text.len() < length {
            text.extend_from_slice(words[rng.random_range(0..words.len())].as_bytes());
        }
        inputs.push(text);
    }
    inputs
}

fn codecs() -> impl Iterator<Item = CompressionType> {
    CompressionType::ALL.into_iter().skip(1)
}

fn compressed(kind: CompressionType, input: &[u8]) -> Bytes {
    let mut output = Vec::new();
    Compressors::default().compress(kind.into(), input, &mut output);
    output.into()
}

#[test]
fn what_is_compressed_comes_back() {
    for kind in codecs() {
        for input in inputs() {
            let output = compressed(kind, &input);
            let back = Compressors::default().decompress(kind, &output);
            assert_eq!(back.as_deref(), Ok(input.as_slice()), "{kind:?} of {} bytes", input.len());
        }
    }
}

#[test]
fn repetition_shrinks() {
    for kind in codecs() {
        assert!(compressed(kind, &[7; 100_000]).len() < 10_000, "{kind:?}");
    }
}

#[test]
fn the_bound_holds() {
    let limits = DecompressionLimits { bytes_max: 50_000, bytes_free: 50_000, ratio_max: 1 };
    let compressors = Compressors { limits, ..Compressors::default() };
    for kind in codecs() {
        let just = compressed(kind, &[7; 50_000]);
        assert_eq!(compressors.decompress(kind, &just).map(|bytes| bytes.len()), Ok(50_000), "{kind:?}");
        for length in [50_001, 1 << 20] {
            let over = compressed(kind, &vec![7; length]);
            let result = compressors.decompress(kind, &over);
            assert_eq!(result, Err(DecompressError::TooLarge { bytes_max: 50_000 }), "{kind:?}");
        }
    }
}

#[test]
fn damaged_input_is_an_error_or_other_bytes_and_never_a_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for kind in codecs() {
        for input in inputs().iter().filter(|input| input.len() <= 70_000) {
            let good = compressed(kind, input);
            for _ in 0..40 {
                let mut bad = good.to_vec();
                for _ in 0..rng.random_range(1..4) {
                    let at = rng.random_range(0..bad.len());
                    match rng.random_range(0..3) {
                        0 => bad[at] ^= 1 << rng.random_range(0..8),
                        1 => bad[at] = rng.random(),
                        _ => bad.truncate(at + 1),
                    }
                }
                let _ = Compressors::default().decompress(kind, &bad.into());
            }
        }
    }
}

/// What every target must give: the simulator's runs are compared across targets. A codec that is updated may change
/// its number.
#[test]
fn the_bytes_are_the_same_everywhere() {
    let digests: Vec<u64> = codecs()
        .map(|kind| {
            let mut bytes = Vec::new();
            for input in inputs() {
                Compressors::default().compress(kind.into(), &input, &mut bytes);
            }
            xxhash::xxh64(&bytes)
        })
        .collect();
    assert_eq!(
        digests,
        [0x1e5b_88c9_4323_c1ac, 0xd7d7_9292_8d17_f88c, 0xcb75_7efe_abf3_2a44, 0x3bcc_a5bc_ce6a_fb85]
    );
}
