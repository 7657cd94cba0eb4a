//! What the suites over the codec share.

pub mod random;

use bytes::Bytes;
use ottla_protocol::{Decoder, EncodeError, Encoder, Struct, registry::Entry};

/// Repeats a run: `OTTLA_CODEC_SEED`.
pub fn seed() -> u64 {
    std::env::var("OTTLA_CODEC_SEED").map_or(431, |seed| seed.parse().expect("a seed is a number"))
}

/// Random messages per message and version; `OTTLA_CODEC_COUNT` deepens a run.
pub fn count() -> usize {
    std::env::var("OTTLA_CODEC_COUNT").map_or(6, |count| count.parse().expect("a count is a number"))
}

pub fn encode(entry: &Entry, version: i16, message: &dyn Struct) -> Result<Bytes, EncodeError> {
    let mut encoder = Encoder::new();
    entry.spec.encode(&mut encoder, version, message)?;
    encoder.into_bytes()
}

/// Decodes a whole frame and encodes what was read.
pub fn again(entry: &Entry, version: i16, frame: Bytes) -> Result<Bytes, String> {
    let mut message = (entry.make)();
    let mut decoder = Decoder::new(frame);
    entry.spec.decode(&mut decoder, version, Some(&mut *message)).map_err(|error| error.to_string())?;
    decoder.finish().map_err(|error| error.to_string())?;
    encode(entry, version, &*message).map_err(|error| error.to_string())
}
