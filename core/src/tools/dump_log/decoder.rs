//! What keys and values are: text, or the records of internal topics.

use bytes::Bytes;
use ottla_protocol::records::embedded::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ottla_protocol::records::raft::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord,
};
use ottla_protocol::records::{
    GroupKey, GroupValue, MetadataRecord, ShareKey, ShareValue, TransactionKey, TransactionValue,
};
use ottla_protocol::{DecodeError, DecodeErrorKind, Message, Struct, json};

use super::{Refusal, failed, remote};
use crate::record::{ControlRecordType, Record};

/// How records are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    Plain {
        key: Plain,
        value: Plain,
    },
    /// `__consumer_offsets`
    Offsets,
    /// `__transaction_state`
    Transactions,
    /// `__share_group_state`
    ShareGroups,
    /// `__cluster_metadata`
    ClusterMetadata,
    /// `__remote_log_metadata`
    RemoteLogMetadata,
}

/// The decoders of `org.apache.kafka.tools.api`, but for the one that would show where Java keeps an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    String,
    Integer,
    Long,
}

impl Plain {
    /// By the name of its class.
    pub(super) fn of_class(class: &str) -> Option<Self> {
        match class.strip_prefix("org.apache.kafka.tools.api.")? {
            "StringDecoder" => Some(Self::String),
            "IntegerDecoder" => Some(Self::Integer),
            "LongDecoder" => Some(Self::Long),
            _ => None,
        }
    }

    fn decode(self, bytes: &Bytes) -> Result<String, Refusal> {
        let number = match self {
            Self::String => return Ok(java_text(bytes)),
            Self::Integer => bytes.first_chunk().map(|four| i32::from_be_bytes(*four).to_string()),
            Self::Long => bytes.first_chunk().map(|eight| i64::from_be_bytes(*eight).to_string()),
        };
        let missing = || format!("{} bytes are too few for the decoder", bytes.len());
        number.ok_or_else(|| failed("java.nio.BufferUnderflowException", missing()))
    }
}

/// UTF-8 as Java reads it: half a surrogate pair, even one that is cut, is one character that cannot be shown, where Rust sees one
/// for each byte.
fn java_text(bytes: &[u8]) -> String {
    let mut mended = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = match rest {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, after @ ..] | [0xed, 0xa0..=0xbf, after @ ..] => {
                mended.extend_from_slice("\u{fffd}".as_bytes());
                after
            }
            _ => {
                mended.push(*first);
                after
            }
        };
    }
    String::from_utf8_lossy(&mended).into_owned()
}

impl Decoder {
    /// Whether it is one for an internal topic.
    pub(super) fn is_of_a_topic(self) -> bool {
        !matches!(self, Self::Plain { .. })
    }

    /// Key and payload, where there is something to be shown.
    pub(super) fn decode(self, record: &Record) -> Result<(Option<String>, Option<String>), Refusal> {
        match self {
            Self::Plain { key, value } => Ok((
                record.key.as_ref().map(|bytes| key.decode(bytes)).transpose()?,
                record.value.as_ref().map(|bytes| value.decode(bytes)).transpose()?,
            )),
            Self::ClusterMetadata => Ok((None, Some(metadata(record)))),
            Self::RemoteLogMetadata => {
                let shown = remote::shown(record.value.clone().unwrap_or_default());
                let offset = record.offset;
                Ok((
                    None,
                    Some(shown.unwrap_or_else(|why| format!("Error at offset {offset}, skipping. {why}"))),
                ))
            }
            Self::Offsets => coordinator::<GroupKey, GroupValue>(record),
            Self::Transactions => coordinator::<TransactionKey, TransactionValue>(record),
            Self::ShareGroups => coordinator::<ShareKey, ShareValue>(record),
        }
    }
}

fn metadata(record: &Record) -> String {
    match MetadataRecord::decode(record.value.clone().unwrap_or_default()) {
        Ok((record, version)) => format!(
            "{{\"type\":\"{}\",\"version\":{version},\"data\":{}}}",
            record.type_name(),
            shown(record.as_struct(), version)
        ),
        Err(error) => format!("Error at {}, skipping. {error}", record.offset),
    }
}

fn shown(record: &dyn Struct, version: i16) -> String {
    let mut out = String::new();
    json::write(&mut out, record, version);
    out
}

/// The keys and values of a coordinator's topic.
trait Key: Sized {
    type Value: Value;
    fn read(key: Bytes) -> Result<Self, DecodeError>;
    fn read_value(&self, value: Bytes) -> Result<(Self::Value, i16), DecodeError>;
    fn number(&self) -> i16;
    fn structure(&self) -> &dyn Struct;
}

trait Value {
    fn shown(&self, version: i16) -> String;
}

macro_rules! coordinators {
    ($($key:ident, $value:ident;)*) => { $(
        impl Key for $key {
            type Value = $value;
            fn read(key: Bytes) -> Result<Self, DecodeError> {
                Self::decode(key)
            }
            fn read_value(&self, value: Bytes) -> Result<($value, i16), DecodeError> {
                self.decode_value(value)
            }
            fn number(&self) -> i16 {
                self.type_id()
            }
            fn structure(&self) -> &dyn Struct {
                self.as_struct()
            }
        }

    )* };
}

coordinators! {
    GroupKey, GroupValue;
    TransactionKey, TransactionValue;
    ShareKey, ShareValue;
}

impl Value for GroupValue {
    /// What the members of a consumers' group sent is shown as what it means.
    fn shown(&self, version: i16) -> String {
        match self {
            Self::GroupMetadata(group) if &*group.protocol_type == "consumer" => {
                let mut out = String::new();
                json::write_with(&mut out, group, version, &|name, bytes| match name {
                    "subscription" => embedded::<ConsumerProtocolSubscription>(bytes),
                    "assignment" => embedded::<ConsumerProtocolAssignment>(bytes),
                    _ => None,
                });
                out
            }
            other => shown(other.as_struct(), version),
        }
    }
}

impl Value for TransactionValue {
    fn shown(&self, version: i16) -> String {
        shown(self.as_struct(), version)
    }
}

impl Value for ShareValue {
    fn shown(&self, version: i16) -> String {
        shown(self.as_struct(), version)
    }
}

/// A message of the consumers' protocol, its version first; one of a version to come is left as it is.
fn embedded<M: Message>(bytes: &[u8]) -> Option<String> {
    let mut input = ottla_protocol::Decoder::new(Bytes::copy_from_slice(bytes));
    let version = input.i16().ok()?;
    M::decode(&mut input, version).ok().map(|message| shown(&message, version))
}

fn coordinator<K: Key<Value = V>, V: Value>(
    record: &Record,
) -> Result<(Option<String>, Option<String>), Refusal> {
    let offset = record.offset;
    let Some(bytes) = &record.key else {
        let message = format!(
            "Failed to decode message at offset {offset} using the specified decoder (message had a missing key)"
        );
        return Err(failed("java.lang.RuntimeException", message));
    };
    let skipped = |error: &DecodeError| match error.kind() {
        DecodeErrorKind::UnknownType(kind) => {
            format!("Unknown record type {kind} at offset {offset}, skipping.")
        }
        _ => format!("Error at offset {offset}, skipping. {error}"),
    };
    let key = match K::read(bytes.clone()) {
        Ok(key) => key,
        Err(error) => return Ok((Some(skipped(&error)), None)),
    };
    let payload = match &record.value {
        None => "<DELETE>".to_owned(),
        Some(value) => match key.read_value(value.clone()) {
            Ok((value, version)) => {
                format!("{{\"version\":\"{version}\",\"data\":{}}}", value.shown(version))
            }
            Err(error) => return Ok((Some(skipped(&error)), None)),
        },
    };
    let key = format!("{{\"type\":\"{}\",\"data\":{}}}", key.number(), shown(key.structure(), 0));
    Ok((Some(key), Some(payload)))
}

/// What a control record says.
pub(super) fn control_record(record: &Record) -> String {
    let key = record.key.clone().unwrap_or_default();
    let value = record.value.clone().unwrap_or_default();
    match ControlRecordType::from_key(&key) {
        Some(kind @ (ControlRecordType::Abort | ControlRecordType::Commit)) => {
            let name = if kind == ControlRecordType::Commit { "COMMIT" } else { "ABORT" };
            let epoch = value.get(2..6).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes);
            format!(" endTxnMarker: {name} coordinatorEpoch: {}", epoch.unwrap_or(-1))
        }
        Some(kind) => raft(kind, value),
        None => {
            let kind = key.get(2..4).and_then(|bytes| bytes.try_into().ok()).map(i16::from_be_bytes);
            format!(" controlType: UNKNOWN({})", kind.unwrap_or(-1))
        }
    }
}

fn raft(kind: ControlRecordType, value: Bytes) -> String {
    match kind {
        ControlRecordType::LeaderChange => {
            format!(" LeaderChange: {}", message::<LeaderChangeMessage>(value))
        }
        ControlRecordType::SnapshotHeader => {
            format!(" SnapshotHeader {}", message::<SnapshotHeaderRecord>(value))
        }
        ControlRecordType::SnapshotFooter => {
            format!(" SnapshotFooter {}", message::<SnapshotFooterRecord>(value))
        }
        ControlRecordType::KRaftVersion => format!(" KRaftVersion {}", message::<KRaftVersionRecord>(value)),
        ControlRecordType::KRaftVoters => format!(" KRaftVoters {}", message::<VotersRecord>(value)),
        ControlRecordType::Abort | ControlRecordType::Commit => String::new(),
    }
}

/// A message whose version is its own first field.
fn message<M: Message>(value: Bytes) -> String {
    let version = value.get(..2).and_then(|bytes| bytes.try_into().ok()).map_or(0, i16::from_be_bytes);
    match M::decode(&mut ottla_protocol::Decoder::new(value), version) {
        Ok(message) => shown(&message, version),
        Err(error) => format!("cannot be read: {error}"),
    }
}
