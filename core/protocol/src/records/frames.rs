//! What stands around a record: type and version.

use bytes::Bytes;

use super::{GroupKey, GroupValue, MetadataRecord, ShareKey, ShareValue, TransactionKey, TransactionValue};
use crate::{DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder};

/// The frame version before every metadata record (KIP-631).
const METADATA_FRAME_VERSION: u32 = 1;

impl MetadataRecord {
    /// The name that Kafka's tools print, such as `TOPIC_RECORD`.
    pub fn type_name(&self) -> String {
        let mut name = String::new();
        for letter in self.as_struct().schema().name.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }

    /// Reads the value of a metadata record, frame and all; gives the record's version with it. Bytes after its
    /// end are an error: nothing in the metadata is skipped.
    pub fn decode(value: Bytes) -> Result<(Self, i16), DecodeError> {
        let mut decoder = Decoder::new(value);
        let frame_version = decoder.varint()?;
        if frame_version != METADATA_FRAME_VERSION {
            let version = i16::try_from(frame_version).unwrap_or(i16::MAX);
            return Err(decoder.error(DecodeErrorKind::UnsupportedVersion(version)));
        }
        let type_id = small(&mut decoder, DecodeErrorKind::UnknownType)?;
        let version = small(&mut decoder, |version| DecodeErrorKind::UnsupportedVersion(version as i16))?;
        let record = Self::read(&mut decoder, type_id, version)?;
        decoder.finish()?;
        Ok((record, version))
    }

    /// The value of a metadata record, frame and all.
    pub fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut encoder = Encoder::new();
        encoder.put_varint(METADATA_FRAME_VERSION);
        encoder.put_varint(self.type_id() as u32);
        encoder.put_varint(version as u32);
        self.write(&mut encoder, version)?;
        encoder.into_bytes()
    }
}

/// A varint that must fit an `i16`.
fn small(decoder: &mut Decoder, kind: impl Fn(i64) -> DecodeErrorKind) -> Result<i16, DecodeError> {
    let value = decoder.varint()?;
    i16::try_from(value).map_err(|_| decoder.error(kind(i64::from(value).min(i64::from(i16::MAX)))))
}

macro_rules! coordinator_records {
    ($($key:ident, $value:ident;)*) => { $(
        impl $key {
            /// Reads a record's key: its type, then the key. A type without a name is
            /// [`DecodeErrorKind::UnknownType`], which a loading coordinator may skip.
            pub fn decode(key: Bytes) -> Result<Self, DecodeError> {
                let mut decoder = Decoder::new(key);
                let type_id = decoder.i16()?;
                Self::read(&mut decoder, type_id, 0)
            }

            /// The record's key, its type first.
            pub fn encode(&self) -> Result<Bytes, EncodeError> {
                let mut encoder = Encoder::new();
                encoder.put_i16(self.type_id());
                self.write(&mut encoder, 0)?;
                encoder.into_bytes()
            }

            /// Reads the value that stands with this key: its version, then the value.
            pub fn decode_value(&self, value: Bytes) -> Result<($value, i16), DecodeError> {
                let mut decoder = Decoder::new(value);
                let version = decoder.i16()?;
                Ok(($value::read(&mut decoder, self.type_id(), version)?, version))
            }
        }

        impl $value {
            /// The record's value, its version first.
            pub fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
                let mut encoder = Encoder::new();
                encoder.put_i16(version);
                self.write(&mut encoder, version)?;
                encoder.into_bytes()
            }
        }
    )* };
}

coordinator_records! {
    GroupKey, GroupValue;
    TransactionKey, TransactionValue;
    ShareKey, ShareValue;
}
