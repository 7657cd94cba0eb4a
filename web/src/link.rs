//! What the page and the engine say to each other: bincode behind a hash of the schema.
//!
//! Both programs are loaded separately, and a cache may hold an old one of them. A frame therefore starts with
//! [`SCHEMA`], eight bytes, little endian; a peer that was built from other types is recognised before anything is decoded.

use ottla_core::feed::{self, FrameError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::playground::{EdgeView, FlightView, Input, View};

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
    /// Time passed, frames moved, and nothing else changed.
    Traffic {
        now_us: u64,
        flights: Vec<FlightView>,
        edges: Vec<EdgeView>,
    },
    /// The engine stopped: a rule of its own was broken. The same seed and inputs break it again.
    Failed {
        now_us: u64,
        reason: String,
    },
}

/// A hash of the sources that define what is sent.
pub const SCHEMA: u64 = feed::schema(&[
    include_bytes!("../../core/src/sim/playground/view.rs"),
    include_bytes!("../../core/src/sim/playground/mod.rs"),
    include_bytes!("../../core/src/sim/playground/operation.rs"),
    include_bytes!("link.rs"),
]);

pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    feed::encode(SCHEMA, message)
}

pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, FrameError> {
    feed::decode(SCHEMA, frame)
}
