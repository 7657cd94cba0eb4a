//! Kafka's framing on a byte stream: four bytes of length, then a request.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::memory::{COUNTED_MIN, Charge, Memory};

/// Longest response of another node that is read: what it may answer to a fetch, and room beside it.
pub const RESPONSE_BYTES_MAX: usize = 256 << 20;
/// Room made for a read when nothing is known of what comes.
const READ_MIN: usize = 8 * 1024;
/// Room made at once on the word of a length prefix; a longer frame gets room as its bytes arrive.
const TRUSTED_MAX: usize = 256 * 1024;

/// Cuts a stream into frames. A frame shares the buffer that it was read into, which is used again once the frames in it
/// are dropped.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    frame_bytes_max: usize,
    /// Length of the last frame and its prefix: the next one is likely to be about as long.
    last: usize,
    memory: Arc<Memory>,
    /// Of the frame that is being read, if it is a long one.
    charge: Option<Charge>,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The length prefix is negative.
    Negative(i32),
    /// The length prefix exceeds `socket.request.max.bytes`.
    TooLarge {
        /// What it says.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
}

impl FrameReader {
    /// A reader of frames of at most `frame_bytes_max` bytes (`socket.request.max.bytes`).
    /// A long one takes of `memory`.
    pub fn new(frame_bytes_max: usize, memory: Arc<Memory>) -> Self {
        Self { buffer: BytesMut::new(), frame_bytes_max, last: 0, memory, charge: None }
    }

    /// The next frame, without its prefix; `None` when it has not arrived whole.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(len) = self.announced()? else { return Ok(None) };
        if self.buffer.len() - PREFIX_BYTES < len {
            return Ok(None);
        }
        self.last = PREFIX_BYTES + len;
        self.buffer.advance(PREFIX_BYTES);
        let frame = self.buffer.split_to(len).freeze();
        Ok(Some(match self.charge.take() {
            Some(charge) => charge.tie(frame),
            None if len >= COUNTED_MIN => self.memory.take(len).tie(frame),
            None => frame,
        }))
    }

    /// Whether there has to be memory before more is read: a long frame has begun to arrive, and nothing is taken for it yet.
    pub fn wants_memory(&self) -> bool {
        self.charge.is_none()
            && self.buffer.len() >= COUNTED_MIN
            && self.announced().is_ok_and(|len| len.is_some_and(|len| PREFIX_BYTES + len > self.buffer.len()))
    }

    /// What the frame that is being read holds.
    pub fn charge(&self) -> Option<&Charge> {
        self.charge.as_ref()
    }

    /// Whether nothing has arrived of a frame that is not whole yet.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Reads once; 0 is the end of the stream. Cancelling loses nothing.
    pub async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        if self.buffer.is_empty() && self.buffer.capacity() > TRUSTED_MAX {
            self.buffer = BytesMut::new();
        }
        let buffered = self.buffer.len();
        if self.wants_memory()
            && let Ok(Some(len)) = self.announced()
        {
            self.charge = Some(self.memory.take(len));
        }
        let missing = match self.announced() {
            Ok(Some(len)) => (len + PREFIX_BYTES).saturating_sub(buffered),
            Ok(None) | Err(_) => self.last,
        };
        let trusted_max = if self.memory.is_used_up() { COUNTED_MIN } else { TRUSTED_MAX };
        self.buffer.reserve(missing.min(trusted_max.max(buffered)).max(READ_MIN));
        from.read_buf(&mut self.buffer).await
    }

    /// What the prefix in front says.
    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*prefix);
        let bytes = usize::try_from(announced).map_err(|_| FrameError::Negative(announced))?;
        let bytes_max = self.frame_bytes_max;
        if bytes > bytes_max { Err(FrameError::TooLarge { bytes, bytes_max }) } else { Ok(Some(bytes)) }
    }
}

const PREFIX_BYTES: usize = 4;

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative(length) => write!(f, "the length of a request is {length}"),
            Self::TooLarge { bytes, bytes_max } => {
                write!(f, "a request of {bytes} bytes exceeds socket.request.max.bytes={bytes_max}")
            }
        }
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut bytes = i32::try_from(body.len()).expect("short").to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    /// Feeds `stream` in pieces of `step` bytes and returns the frames.
    async fn read(stream: &[u8], step: usize, frame_bytes_max: usize) -> Result<Vec<Bytes>, FrameError> {
        let mut reader = FrameReader::new(frame_bytes_max, Memory::new(-1));
        let mut frames = Vec::new();
        for mut piece in stream.chunks(step) {
            while !piece.is_empty() {
                reader.fill(&mut piece).await.expect("slices do not fail");
            }
            while let Some(frame) = reader.next_frame()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[tokio::test]
    async fn frames_come_out_whole_however_they_come_in() {
        let long = vec![7; 1_000_000];
        let bodies: [&[u8]; 5] = [b"first", b"", b"third", &long, b"last"];
        let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
        for step in [1_000, 4_097, stream.len()] {
            assert_eq!(read(&stream, step, long.len()).await.expect("frames"), bodies);
        }
        assert_eq!(read(&stream[..20], 1, 100).await.expect("frames"), [&b"first"[..], b""]);
    }

    #[tokio::test]
    async fn bad_lengths_are_refused() {
        let refused = read(&[0xff; 4], 1, 100).await;
        assert_eq!(refused, Err(FrameError::Negative(-1)));
        let refused = read(&101_i32.to_be_bytes(), 4, 100).await;
        assert_eq!(refused, Err(FrameError::TooLarge { bytes: 101, bytes_max: 100 }));
    }

    #[tokio::test]
    async fn a_prefix_alone_gets_little_memory() {
        let mut reader = FrameReader::new(100 << 20, Memory::new(-1));
        let mut stream: &[u8] = &(100_i32 << 20).to_be_bytes();
        reader.fill(&mut stream).await.expect("read");
        assert_eq!(reader.next_frame(), Ok(None));
        let _ = reader.fill(&mut stream).await;
        assert!(reader.buffer.capacity() < 1 << 20);
    }
}
