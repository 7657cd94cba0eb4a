//! Compression of batches: the codecs that Kafka names, as values that the shell lends.
//!
//! [`Compressors::default`] holds codecs in pure Rust that give the same bytes on every target; the simulator and the
//! page use them. A native server may put its own in their place (C zstd compresses better). Whatever decompresses
//! keeps to the bound that it is given: a few bytes from a client never become more memory than [`DecompressionLimits`]
//! allow.

mod gzip;
mod lz4;
mod snappy;
mod window;
mod xxhash;
mod zstd;

use std::fmt;
use std::io::Read;

use bytes::Bytes;

/// Compresses all of `input` and appends the result to `output`. The level is the codec's own (`compression.*.level`);
/// `None` is its default.
pub type Compress = fn(input: &[u8], level: Option<i32>, output: &mut Vec<u8>);

/// Decompresses all of `input` and appends at most `output_max` bytes to `output`; after an error, what could be read
/// before it.
pub type Decompress =
    fn(input: &[u8], output_max: usize, output: &mut Vec<u8>) -> Result<(), DecompressError>;

/// One codec: two functions without state.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    pub compress: Compress,
    pub decompress: Decompress,
}

/// How much a compressed batch may become: `min(bytes_max, max(bytes_free, ratio_max × its size))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecompressionLimits {
    /// Bytes that no batch may exceed.
    pub bytes_max: usize,
    /// Bytes allowed at any ratio: small batches of repeated text compress without measure.
    pub bytes_free: usize,
    /// Output bytes per input byte.
    pub ratio_max: usize,
}

impl DecompressionLimits {
    pub const BYTES_MAX: usize = 128 << 20;
    pub const BYTES_FREE: usize = 16 << 20;
    pub const RATIO_MAX: usize = 1 << 10;

    fn output_max(&self, input_bytes: usize) -> usize {
        input_bytes.saturating_mul(self.ratio_max).max(self.bytes_free).min(self.bytes_max)
    }
}

impl Default for DecompressionLimits {
    fn default() -> Self {
        Self { bytes_max: Self::BYTES_MAX, bytes_free: Self::BYTES_FREE, ratio_max: Self::RATIO_MAX }
    }
}

/// Why bytes could not be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecompressError {
    /// They are not what the codec writes, end too early, or a checksum of theirs is wrong.
    Corrupt,
    /// They would become more than this many bytes.
    TooLarge { bytes_max: usize },
}

impl fmt::Display for DecompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt => f.write_str("compressed data is corrupt"),
            Self::TooLarge { bytes_max } => write!(f, "compressed data grows beyond {bytes_max} bytes"),
        }
    }
}

impl std::error::Error for DecompressError {}

/// The codecs that the shell lends, and the bounds on what they may produce.
#[derive(Clone, Copy, Debug)]
pub struct Compressors {
    pub gzip: Codec,
    pub snappy: Codec,
    pub lz4: Codec,
    pub zstd: Codec,
    pub limits: DecompressionLimits,
}

impl Default for Compressors {
    /// Pure Rust, the same bytes on every target.
    fn default() -> Self {
        Self {
            gzip: Codec { compress: gzip::compress, decompress: gzip::decompress },
            snappy: Codec { compress: snappy::compress, decompress: snappy::decompress },
            lz4: Codec { compress: lz4::compress, decompress: lz4::decompress },
            zstd: Codec { compress: zstd::compress, decompress: zstd::decompress },
            limits: DecompressionLimits::default(),
        }
    }
}

impl Compressors {
    /// Appends `input` to `output`, compressed.
    pub fn compress(&self, compression: Compression, input: &[u8], output: &mut Vec<u8>) {
        match self.codec(compression.kind) {
            Some(codec) => (codec.compress)(input, compression.level, output),
            None => output.extend_from_slice(input),
        }
    }

    /// All of `input`, decompressed, within the limits.
    pub fn decompress(&self, kind: CompressionType, input: &Bytes) -> Result<Bytes, DecompressError> {
        let Some(codec) = self.codec(kind) else { return Ok(input.clone()) };
        let mut output = Vec::new();
        if kind == CompressionType::Zstd && input.is_empty() {
            // No frames are no bytes, to this codec alone.
            return Ok(Bytes::new());
        }
        (codec.decompress)(input, self.limits.output_max(input.len()), &mut output)?;
        Ok(output.into())
    }

    /// What can be decompressed of `input` before it proves corrupt, within the limits.
    pub fn readable_part(&self, kind: CompressionType, input: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        if let Some(codec) = self.codec(kind) {
            // However it ends.
            let _ = (codec.decompress)(input, self.limits.output_max(input.len()), &mut output);
        }
        output
    }

    fn codec(&self, kind: CompressionType) -> Option<&Codec> {
        match kind {
            CompressionType::None => None,
            CompressionType::Gzip => Some(&self.gzip),
            CompressionType::Snappy => Some(&self.snappy),
            CompressionType::Lz4 => Some(&self.lz4),
            CompressionType::Zstd => Some(&self.zstd),
        }
    }
}

/// A codec and its level (KIP-390).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    pub kind: CompressionType,
    /// `None` is the codec's default. Snappy has no levels.
    pub level: Option<i32>,
}

impl From<CompressionType> for Compression {
    fn from(kind: CompressionType) -> Self {
        Self { kind, level: None }
    }
}

pub(super) use lz4::with_valid_header as lz4_with_valid_header;

/// Appends what `reader` gives, chunk by chunk, until it ends or the bound is passed.
fn read_bounded(
    mut reader: impl Read,
    output_max: usize,
    output: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    const CHUNK_BYTES: usize = 8 << 10;
    let mut chunk = [0; CHUNK_BYTES];
    let mut room = output_max;
    loop {
        let read = reader.read(&mut chunk).map_err(|_| DecompressError::Corrupt)?;
        if read == 0 {
            return Ok(());
        }
        room = room.checked_sub(read).ok_or(DecompressError::TooLarge { bytes_max: output_max })?;
        output.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
}

/// The codec of a batch: the low three bits of its attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompressionType {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl CompressionType {
    pub const ALL: [CompressionType; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in the attributes of a batch.
    pub const fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// `None` for the three numbers that no codec has.
    pub const fn from_id(id: i16) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The name in `compression.type`; a topic says `uncompressed` where a producer says `none`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Reads a name of `compression.type`: a producer's (`none`) or a topic's (`uncompressed`). A topic's `producer`
    /// is no codec and gives `None`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "none" | "uncompressed" => Some(Self::None),
            "gzip" => Some(Self::Gzip),
            "snappy" => Some(Self::Snappy),
            "lz4" => Some(Self::Lz4),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
