//! What the page and the engine say to each other: bincode behind a hash of the schema.
//!
//! Both programs are loaded separately, and a cache may hold an old one of them. A frame therefore starts with
//! [`SCHEMA`], eight bytes, little endian; a peer that was built from other types is recognised before anything is decoded.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::playground::{Input, View};

/// From the page to the engine.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Command {
    /// Begins a world; the one before it is gone.
    Start {
        seed: u64,
    },
    /// What the visitor did. The engine records it with its virtual time.
    Input(Input),
    Play,
    Pause,
    /// Runs to the next event and stays paused.
    Step,
    /// Virtual seconds per second.
    Speed(f64),
}

/// From the engine to the page.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Report {
    View(Box<View>),
    /// Time passed and nothing else changed.
    Clock {
        now_us: u64,
    },
    /// The engine stopped: a rule of its own was broken. The same seed and inputs break it again.
    Failed {
        now_us: u64,
        reason: String,
    },
}

/// A hash (FNV-1a, 64 bits) of the sources that define what is sent.
pub const SCHEMA: u64 = {
    let view = fnv(include_bytes!("../../core/src/sim/playground/view.rs"), 0xcbf2_9ce4_8422_2325);
    fnv(include_bytes!("link.rs"), fnv(include_bytes!("../../core/src/sim/playground/mod.rs"), view))
};

/// Why a frame could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkError {
    /// The other program was built from other types: the page must be loaded again.
    Schema,
    Malformed,
}

pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut frame = SCHEMA.to_le_bytes().to_vec();
    // Plain data into memory: there is nothing in it that serde could refuse.
    if let Ok(body) = bincode::serde::encode_to_vec(message, bincode::config::standard()) {
        frame.extend(body);
    }
    frame
}

pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, LinkError> {
    let (schema, body) = frame.split_first_chunk::<8>().ok_or(LinkError::Malformed)?;
    if u64::from_le_bytes(*schema) != SCHEMA {
        return Err(LinkError::Schema);
    }
    match bincode::serde::decode_from_slice(body, bincode::config::standard()) {
        Ok((message, length)) if length == body.len() => Ok(message),
        _ => Err(LinkError::Malformed),
    }
}

const fn fnv(bytes: &[u8], mut hash: u64) -> u64 {
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_whole() {
        let command = Command::Input(Input::Line { terminal: 1, text: "kafka-topics.sh --list".into() });
        assert_eq!(decode(&encode(&command)), Ok(command));
    }

    #[test]
    fn another_schema_is_refused_before_the_body_is_read() {
        let mut frame = encode(&Command::Play);
        frame[0] ^= 1;
        assert_eq!(decode::<Command>(&frame), Err(LinkError::Schema));
    }

    #[test]
    fn short_and_long_frames_are_refused() {
        assert_eq!(decode::<Command>(&[1, 2, 3]), Err(LinkError::Malformed));
        let mut frame = encode(&Command::Step);
        frame.push(0);
        assert_eq!(decode::<Command>(&frame), Err(LinkError::Malformed));
    }
}
