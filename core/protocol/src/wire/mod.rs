//! How messages are read and written: values, schemas, and the two walks over them.

mod debug;
mod decoder;
mod encoder;
mod error;
mod payload;
mod read;
mod schema;
mod value;
mod write;

pub use decoder::Decoder;
pub use encoder::{Encoder, Piece};
pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
pub use payload::Records;
pub(crate) use read::{Trace, read};
pub use schema::{Field, Kind, MessageSpec, Preset, Schema, Versions};
pub use value::{List, Message, Mut, Optional, Ref, Request, Response, Struct, Value};
pub(crate) use write::is_default;

/// What generated code names.
pub(crate) mod generated {
    pub use std::fmt;

    pub(crate) use super::debug::debug;
    pub use super::{
        Field, Kind, Message, MessageSpec, Mut, Preset, Records, Ref, Request, Response, Schema, Struct,
        Value, Versions,
    };
    pub use crate::{ApiKey, Str, Uuid};
    pub use bytes::Bytes;
}
