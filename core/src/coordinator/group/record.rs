//! [`GroupRecord`]: one entry of `__consumer_offsets`.

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::records::group::{
    GroupKey, GroupMetadataKey, GroupMetadataValue, GroupValue, OffsetCommitKey, OffsetCommitValue,
};
use ottla_protocol::{DecodeError, EncodeError, Str};

/// The version of a group's value that Kafka 4.3 writes.
const GROUP_METADATA_VALUE_VERSION: i16 = 3;
/// The version of an offset's value that Kafka 4.3 writes.
const OFFSET_COMMIT_VALUE_VERSION: i16 = 4;
/// The only version that knows `expireTimestamp`, which old clients set with their commit.
const OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY: i16 = 1;

/// An entry of the group coordinator's log. It holds no slice of a frame or of a log: decisions and [`GroupRecord::decode`] copy.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    /// A committed offset, or its deletion.
    OffsetCommit {
        /// Which.
        key: OffsetCommitKey,
        /// `None`: a tombstone.
        value: Option<OffsetCommitValue>,
    },
    /// A classic group at the end of a rebalance, or its deletion.
    GroupMetadata {
        /// The group's id.
        group: Str,
        /// `None`: a tombstone.
        value: Option<Arc<GroupMetadataValue>>,
    },
    /// A record of a group type that this coordinator does not act upon (consumer, share and streams groups): kept as it is.
    Other {
        /// Type and key.
        key: Bytes,
        /// Version and value; `None`: a tombstone.
        value: Option<Bytes>,
    },
}

impl GroupRecord {
    /// The record that says that an offset was committed.
    pub fn offset_commit(group: &Str, topic: &Str, partition: i32, value: OffsetCommitValue) -> Self {
        let key = OffsetCommitKey { group: group.clone(), topic: topic.clone(), partition };
        Self::OffsetCommit { key, value: Some(value) }
    }

    /// The record that deletes an offset.
    pub fn offset_tombstone(group: &Str, topic: &Str, partition: i32) -> Self {
        let key = OffsetCommitKey { group: group.clone(), topic: topic.clone(), partition };
        Self::OffsetCommit { key, value: None }
    }

    /// Reads key and value as they stand in the log.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, DecodeError> {
        let key_bytes = Bytes::copy_from_slice(key);
        let value = value.map(Bytes::copy_from_slice);
        if !key.starts_with(&[0, 0]) && !key.starts_with(&[0, 1]) && !key.starts_with(&[0, 2]) {
            return Ok(Self::Other { key: key_bytes, value });
        }
        let key = GroupKey::decode(key_bytes.clone())?;
        let typed = value.clone().map(|value| key.decode_value(value)).transpose()?;
        let typed = typed.map(|(value, _version)| value);
        Ok(match (key, typed) {
            (GroupKey::OffsetCommit(key), None) => Self::OffsetCommit { key, value: None },
            (GroupKey::OffsetCommit(key), Some(GroupValue::OffsetCommit(value))) => {
                Self::OffsetCommit { key, value: Some(value) }
            }
            (GroupKey::LegacyOffsetCommit(key), None) => {
                Self::offset_tombstone(&key.group, &key.topic, key.partition)
            }
            (GroupKey::LegacyOffsetCommit(key), Some(GroupValue::LegacyOffsetCommit(old))) => {
                let value = OffsetCommitValue {
                    offset: old.offset,
                    metadata: old.metadata,
                    commit_timestamp: old.commit_timestamp,
                    ..OffsetCommitValue::default()
                };
                Self::offset_commit(&key.group, &key.topic, key.partition, value)
            }
            (GroupKey::GroupMetadata(key), None) => Self::GroupMetadata { group: key.group, value: None },
            (GroupKey::GroupMetadata(key), Some(GroupValue::GroupMetadata(value))) => {
                Self::GroupMetadata { group: key.group, value: Some(Arc::new(value)) }
            }
            _ => Self::Other { key: key_bytes, value },
        })
    }

    /// Key and value as Apache Kafka 4.3 writes them.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            Self::OffsetCommit { key, value } => {
                let value = value.clone().map(|value| {
                    let version = match value.expire_timestamp {
                        -1 => OFFSET_COMMIT_VALUE_VERSION,
                        _ => OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY,
                    };
                    GroupValue::OffsetCommit(value).encode(version)
                });
                Ok((GroupKey::OffsetCommit(key.clone()).encode()?, value.transpose()?))
            }
            Self::GroupMetadata { group, value } => {
                let key = GroupKey::GroupMetadata(GroupMetadataKey { group: group.clone() });
                let value = value.as_deref().cloned().map(GroupValue::GroupMetadata);
                let value = value.map(|value| value.encode(GROUP_METADATA_VALUE_VERSION));
                Ok((key.encode()?, value.transpose()?))
            }
            Self::Other { key, value } => Ok((key.clone(), value.clone())),
        }
    }
}

/// The group that a record of another group type belongs to: every such key begins with its type and the group's id.
pub(super) fn group_of_other(key: &[u8]) -> Option<Str> {
    let (head, rest) = key.split_first_chunk::<4>()?;
    let [_, _, high, low] = *head;
    let name = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
    std::str::from_utf8(name).ok().map(Str::from)
}
