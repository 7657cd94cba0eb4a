//! Records inside Kafka's internal topics, and the structures that other messages carry inside bytes fields.
//!
//! A metadata record is a frame: frame version 1, the record's type, its version (unsigned variable-length
//! integers), then the record (KIP-631). The coordinators' records have a key (its type as an `i16`, then the
//! key) and a value (its version as an `i16`, then the value); no value is a tombstone.

mod frames;

/// One enumeration over all record types of a kind.
macro_rules! record_types {
    ($what:literal $name:ident { $($variant:ident($record:ident) = $key:literal,)* }) => {
        #[doc = $what]
        #[derive(Clone, Debug, PartialEq)]
        #[allow(clippy::large_enum_variant)]
        pub enum $name { $(
            #[doc = concat!("Type ", stringify!($key), ".")]
            $variant($record),
        )* }

        impl $name {
            /// The type's number.
            pub fn type_id(&self) -> i16 {
                match self { $(Self::$variant(_) => $key,)* }
            }

            /// What is known of the type with this number.
            pub fn spec(type_id: i16) -> Option<&'static MessageSpec> {
                match type_id { $($key => Some(<$record as Message>::SPEC),)* _ => None }
            }

            /// The record, whatever its type.
            pub fn as_struct(&self) -> &dyn crate::Struct {
                match self { $(Self::$variant(record) => record,)* }
            }

            /// The versions of the record's own type.
            pub fn versions(&self) -> Versions {
                match self { $(Self::$variant(_) => <$record as Message>::SPEC.versions,)* }
            }

            pub(in crate::records) fn read(
                decoder: &mut crate::Decoder,
                type_id: i16,
                version: i16,
            ) -> Result<Self, crate::DecodeError> {
                match type_id {
                    $($key => <$record as Message>::decode(decoder, version).map(Self::$variant),)*
                    _ => Err(decoder.error(crate::DecodeErrorKind::UnknownType(i64::from(type_id)))),
                }
            }

            pub(in crate::records) fn write(
                &self,
                encoder: &mut crate::Encoder,
                version: i16,
            ) -> Result<(), crate::EncodeError> {
                match self { $(Self::$variant(record) => record.encode(encoder, version),)* }
            }
        }

        $(impl From<$record> for $name {
            fn from(record: $record) -> Self {
                Self::$variant(record)
            }
        })*
    };
}

include!(concat!(env!("OUT_DIR"), "/records.rs"));

pub use group::{GroupKey, GroupValue};
pub use metadata::MetadataRecord;
pub use share::{ShareKey, ShareValue};
pub use transaction::{TransactionKey, TransactionValue};
