//! What a message looks like, as data.

use super::{
    DecodeError, Decoder, EncodeError, Encoder, Struct,
    read::{Trace, find, read},
    write::write,
};

/// An inclusive range of versions; empty when `last < first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub first: i16,
    pub last: i16,
}

impl Versions {
    pub const fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }
}

/// The type of a field.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(&'static Schema),
    Array(&'static Kind),
}

/// A field's default. [`Preset::Zero`] is zero, false, or empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Preset {
    Zero,
    Null,
    Int(i64),
    Text(&'static str),
}

/// One field of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Kafka's name, as its message definitions spell it.
    pub name: &'static str,
    pub kind: Kind,
    /// The versions that have the field.
    pub versions: Versions,
    /// The versions in which it may be null.
    pub nullable: Versions,
    /// Its tag (KIP-482), or -1.
    pub tag: i32,
    /// The versions in which it is a tagged field.
    pub tagged: Versions,
    pub default: Preset,
    /// A value other than the default is dropped silently at versions that lack the field; otherwise it is an
    /// error.
    pub ignorable: bool,
    /// Keeps the encoding of inflexible versions always (only the client id of the request header).
    pub inflexible: bool,
}

impl Field {
    /// Whether the field stands among the untagged ones at `version`.
    pub(crate) const fn is_plain_at(&self, version: i16) -> bool {
        self.versions.contains(version) && !self.is_tagged_at(version)
    }

    pub(crate) const fn is_tagged_at(&self, version: i16) -> bool {
        self.tag >= 0 && self.tagged.contains(version)
    }

    pub(crate) const fn is_tagged_structure_at(&self, version: i16) -> bool {
        matches!(self.kind, Kind::Struct(_)) && self.is_tagged_at(version)
    }
}

/// A structure: its fields in wire order.
#[derive(Debug)]
pub struct Schema {
    pub name: &'static str,
    pub fields: &'static [Field],
    /// Indices of the tagged fields, in ascending order of tag.
    pub tags: &'static [usize],
}

impl Schema {
    /// The fewest bytes a value takes at `version`: what bounds an array's capacity before it is read.
    pub(crate) fn bytes_min(&self, version: i16, flexible: bool) -> usize {
        let plain = self.fields.iter().filter(|field| field.is_plain_at(version));
        let fields = plain.fold(0_usize, |sum, field| {
            let nullable = field.nullable.contains(version);
            sum.saturating_add(field.kind.bytes_min(version, flexible && !field.inflexible, nullable))
        });
        fields.saturating_add(usize::from(flexible))
    }
}

impl Kind {
    pub(crate) fn bytes_min(&self, version: i16, flexible: bool, nullable: bool) -> usize {
        match self {
            Self::Bool | Self::Int8 => 1,
            Self::Int64 | Self::Float64 => 8,
            Self::Uuid => 16,
            Self::String | Self::Bytes | Self::Records | Self::Array(_) if flexible => 1,
            Self::Int16 | Self::Uint16 | Self::String => 2,
            Self::Int32 | Self::Uint32 | Self::Bytes | Self::Records | Self::Array(_) => 4,
            Self::Struct(_) if nullable => 1,
            Self::Struct(schema) => schema.bytes_min(version, flexible),
        }
    }
}

/// A whole message.
#[derive(Debug)]
pub struct MessageSpec {
    pub name: &'static str,
    /// The API key, or the type of the record, or -1.
    pub key: i16,
    /// The versions that this codec speaks.
    pub versions: Versions,
    /// The versions with compact lengths and tagged fields (KIP-482).
    pub flexible: Versions,
    pub schema: &'static Schema,
}

impl MessageSpec {
    /// Where in its frame a field of the message begins, from where the decoder stands: to change a number in bytes that are written already.
    pub fn find(&self, decoder: &mut Decoder, version: i16, name: &str) -> Option<usize> {
        find(decoder, self, version, name)
    }

    /// [`Message::decode`](super::Message::decode) for who has the type only at run time. `target` must be of
    /// this message; without one, the frame is checked and dropped.
    pub fn decode(
        &self,
        decoder: &mut Decoder,
        version: i16,
        target: Option<&mut dyn Struct>,
    ) -> Result<(), DecodeError> {
        read(decoder, self, version, target, &mut Trace::Off)
    }

    /// [`Message::encode`](super::Message::encode) for who has the type only at run time.
    pub fn encode(
        &self,
        encoder: &mut Encoder,
        version: i16,
        message: &dyn Struct,
    ) -> Result<(), EncodeError> {
        write(encoder, self, version, message)
    }

    /// [`Message::encoded_len`](super::Message::encoded_len) for who has the type only at run time.
    pub fn encoded_len(&self, version: i16, message: &dyn Struct) -> Result<usize, EncodeError> {
        let mut counter = Encoder::counter();
        write(&mut counter, self, version, message)?;
        Ok(counter.len())
    }
}
