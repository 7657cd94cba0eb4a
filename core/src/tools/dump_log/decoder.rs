//! What keys and values are: text, or the records of internal topics.

use bytes::Bytes;
use ottla_protocol::records::raft::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord,
};
use ottla_protocol::records::{
    GroupKey, GroupValue, MetadataRecord, ShareKey, ShareValue, TransactionKey, TransactionValue,
};
use ottla_protocol::{DecodeError, Message, Struct, json};

use crate::record::{ControlRecordType, Record};

/// How records are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoder {
    Text,
    /// `__consumer_offsets`
    Offsets,
    /// `__transaction_state`
    Transactions,
    /// `__share_group_state`
    ShareGroups,
    /// `__cluster_metadata`
    ClusterMetadata,
}

impl Decoder {
    /// Key and payload, where there is something to be shown.
    pub fn decode(self, record: &Record) -> (Option<String>, Option<String>) {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Self::Text => (record.key.as_ref().map(text), record.value.as_ref().map(text)),
            Self::ClusterMetadata => (None, record.value.clone().map(metadata)),
            Self::Offsets => coordinator::<GroupKey, GroupValue>(record),
            Self::Transactions => coordinator::<TransactionKey, TransactionValue>(record),
            Self::ShareGroups => coordinator::<ShareKey, ShareValue>(record),
        }
    }
}

fn metadata(value: Bytes) -> String {
    match MetadataRecord::decode(value) {
        Ok((record, version)) => format!(
            "{{\"type\":\"{}\",\"version\":{version},\"data\":{}}}",
            record.type_name(),
            shown(record.as_struct(), version)
        ),
        Err(error) => format!("Error at {error}, skipping."),
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
    fn structure(&self) -> &dyn Struct;
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

        impl Value for $value {
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

fn coordinator<K: Key<Value = V>, V: Value>(record: &Record) -> (Option<String>, Option<String>) {
    let Some(bytes) = &record.key else {
        return (None, record.value.as_ref().map(|_| "<no key>".to_owned()));
    };
    let Ok(key) = K::read(bytes.clone()) else {
        return (Some("<UNKNOWN>".to_owned()), Some("<UNKNOWN>".to_owned()));
    };
    let number = key.number();
    let shown_key = format!("{{\"type\":\"{number}\",\"data\":{}}}", shown(key.structure(), 0));
    let payload = match &record.value {
        None => "<DELETE>".to_owned(),
        Some(value) => match key.read_value(value.clone()) {
            Ok((value, version)) => {
                format!("{{\"version\":\"{version}\",\"data\":{}}}", shown(value.structure(), version))
            }
            Err(error) => format!("Error at {error}"),
        },
    };
    (Some(shown_key), Some(payload))
}

/// What a control record says.
pub fn control_record(record: &Record) -> String {
    let kind = record.key.as_ref().and_then(|key| ControlRecordType::from_key(key));
    let value = record.value.clone().unwrap_or_default();
    match kind {
        Some(kind @ (ControlRecordType::Abort | ControlRecordType::Commit)) => {
            let name = if kind == ControlRecordType::Commit { "COMMIT" } else { "ABORT" };
            let epoch = value.get(2..6).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes);
            format!(" endTxnMarker: {name} coordinatorEpoch: {}", epoch.unwrap_or(-1))
        }
        Some(kind) => raft(kind, value),
        None => " controlType: UNKNOWN(-1)".to_owned(),
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
