//! What a server's `/events` sends, and how such messages are framed: bincode behind a hash of their schema.
//!
//! Who listens hears [`Feed::Begins`] first, then how everything stands, as the traces that would have led there, then
//! what happens. A view is a fold over that. Who cannot keep up hears `Begins` again and forgets what it knew.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::ids::NodeId;
use crate::time::Timestamp;
use crate::trace::TraceEvent;

/// One message of a server.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Feed {
    /// A survey of this node follows; what was known before counts no more.
    Begins { node: NodeId },
    /// Something happened, or stands like this.
    Happened { at_ms: Timestamp, event: TraceEvent },
}

/// A hash of the sources that define [`Feed`].
pub const SCHEMA: u64 =
    schema(&[include_bytes!("trace.rs"), include_bytes!("ids.rs"), include_bytes!("feed.rs")]);

/// Why a frame could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// The other program was built from other types.
    Schema,
    /// The body is not what the schema says.
    Malformed,
}

/// FNV-1a, 64 bits, over the sources that define what is sent.
pub const fn schema(sources: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut source = 0;
    while source < sources.len() {
        let mut index = 0;
        while index < sources[source].len() {
            hash = (hash ^ sources[source][index] as u64).wrapping_mul(0x0100_0000_01b3);
            index += 1;
        }
        source += 1;
    }
    hash
}

/// A message behind its schema: eight bytes, little endian, then bincode.
pub fn encode<T: Serialize>(schema: u64, message: &T) -> Vec<u8> {
    let mut frame = schema.to_le_bytes().to_vec();
    // Plain data into memory: there is nothing in it that serde could refuse.
    if let Ok(body) = bincode::serde::encode_to_vec(message, bincode::config::standard()) {
        frame.extend(body);
    }
    frame
}

/// The message in a frame; one of another schema is recognised before anything is decoded.
pub fn decode<T: DeserializeOwned>(schema: u64, frame: &[u8]) -> Result<T, FrameError> {
    let (hash, body) = frame.split_first_chunk::<8>().ok_or(FrameError::Malformed)?;
    if u64::from_le_bytes(*hash) != schema {
        return Err(FrameError::Schema);
    }
    match bincode::serde::decode_from_slice(body, bincode::config::standard()) {
        Ok((message, length)) if length == body.len() => Ok(message),
        _ => Err(FrameError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_whole() {
        let partition = crate::ids::TopicPartition { topic: "exam-topic".into(), partition: 2 };
        let event = TraceEvent::HighWatermarkAdvanced { partition, high_watermark: 5 };
        let feed = Feed::Happened { at_ms: 7, event };
        assert_eq!(decode(SCHEMA, &encode(SCHEMA, &feed)), Ok(feed));
    }

    #[test]
    fn another_schema_is_refused_before_the_body_is_read() {
        let frame = encode(SCHEMA ^ 1, &Feed::Begins { node: NodeId(1) });
        assert_eq!(decode::<Feed>(SCHEMA, &frame), Err(FrameError::Schema));
    }

    #[test]
    fn short_and_long_frames_are_refused() {
        assert_eq!(decode::<Feed>(SCHEMA, &[1, 2, 3]), Err(FrameError::Malformed));
        let mut frame = encode(SCHEMA, &Feed::Begins { node: NodeId(1) });
        frame.push(0);
        assert_eq!(decode::<Feed>(SCHEMA, &frame), Err(FrameError::Malformed));
    }
}
