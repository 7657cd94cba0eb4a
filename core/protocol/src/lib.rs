//! Kafka's wire messages, declared once as tables of facts.
//!
//! `tables/` lists every message: requests and responses from the versions that Kafka 2.0's tools send to those
//! of 4.3, the headers before them, and the records inside Kafka's internal topics. `build.rs` turns each into a
//! struct ([`messages`], [`records`]) and a static [`Schema`]. One walk over the schema reads a frame
//! into a struct or into a tree of named byte ranges ([`tree`]), another writes a struct or counts its bytes.
//!
//! ```
//! use ottla_protocol::{Decoder, Encoder, Message, messages::MetadataRequest};
//!
//! let mut frame = Encoder::new();
//! MetadataRequest { topics: None, ..Default::default() }.encode(&mut frame, 9).unwrap();
//! let frame = frame.into_bytes().unwrap();
//! assert_eq!(MetadataRequest::decode(&mut Decoder::new(frame), 9).unwrap().topics, None);
//! ```
#![forbid(unsafe_code)]

mod api_key;
mod error_code;
mod header;
pub mod json;
pub mod records;
pub mod registry;
mod serialize;
mod text;
pub mod tree;
mod uuid;
mod wire;

pub use api_key::ApiKey;
pub use bytes::Bytes;
pub use error_code::ErrorCode;
pub use header::{RequestHeader, ResponseHeader, decode_request_header, encode_request, encode_response};
pub use text::Str;
pub use uuid::{ParseUuidError, Uuid};
pub use wire::{
    DecodeError, DecodeErrorKind, Decoder, EncodeError, EncodeErrorKind, Encoder, Field, Kind, List, Message,
    MessageSpec, Mut, Optional, Piece, Preset, Records, Ref, Request, Response, Schema, Struct, Value,
    Versions,
};

/// Requests and responses: one module per message, its top structure re-exported here.
#[allow(clippy::all)]
pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}
