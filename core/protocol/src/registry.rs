//! Every message there is, for those who go over all of them: proofs, dumps, fuzzers.

use crate::wire::{MessageSpec, Struct};

/// One message.
#[derive(Debug)]
pub struct Entry {
    /// The module it stands in, such as `messages` or `records::metadata`.
    pub family: &'static str,
    pub spec: &'static MessageSpec,
    /// Makes one that holds the defaults.
    pub make: fn() -> Box<dyn Struct>,
}

include!(concat!(env!("OUT_DIR"), "/registry.rs"));
