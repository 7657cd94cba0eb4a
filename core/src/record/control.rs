//! Control records: what brokers write into the log for each other and consumers do not see.

use bytes::Bytes;

use super::builder::{BatchBuilder, BatchOptions};
use super::compression::Compressors;

/// What a control record says: the second number of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlRecordType {
    /// A transaction was aborted (KIP-98).
    Abort,
    /// A transaction was committed.
    Commit,
    /// A new leader of the quorum begins its epoch (KIP-595).
    LeaderChange,
    /// The first record of a snapshot (KIP-630).
    SnapshotHeader,
    /// The last record of a snapshot.
    SnapshotFooter,
    /// The `kraft.version` of the quorum (KIP-853).
    KRaftVersion,
    /// The set of voters (KIP-853).
    KRaftVoters,
}

impl ControlRecordType {
    const KEY_VERSION: i16 = 0;

    pub const fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
        }
    }

    pub const fn from_id(id: i16) -> Option<Self> {
        Some(match id {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KRaftVersion,
            6 => Self::KRaftVoters,
            _ => return None,
        })
    }

    /// The key of a control record: version and type.
    pub fn key(self) -> [u8; 4] {
        let [a, b] = Self::KEY_VERSION.to_be_bytes();
        let [c, d] = self.id().to_be_bytes();
        [a, b, c, d]
    }

    /// Reads a key. A newer version may be longer; `None` if it is malformed or its type unknown.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let &[a, b, c, d] = key.first_chunk::<4>()?;
        (i16::from_be_bytes([a, b]) >= Self::KEY_VERSION).then_some(())?;
        Self::from_id(i16::from_be_bytes([c, d]))
    }
}

/// The end of a transaction in a partition, written by its coordinator (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnMarker {
    pub is_commit: bool,
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    const VALUE_VERSION: i16 = 0;

    pub fn control_type(&self) -> ControlRecordType {
        if self.is_commit { ControlRecordType::Commit } else { ControlRecordType::Abort }
    }

    /// The value of the record: version and coordinator epoch.
    pub fn value(&self) -> [u8; 6] {
        let [a, b] = Self::VALUE_VERSION.to_be_bytes();
        let [c, d, e, f] = self.coordinator_epoch.to_be_bytes();
        [a, b, c, d, e, f]
    }

    /// Reads a control record; `None` if it is not such a marker.
    pub fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let is_commit = match ControlRecordType::from_key(key)? {
            ControlRecordType::Commit => true,
            ControlRecordType::Abort => false,
            _ => return None,
        };
        let &[a, b, c, d, e, f] = value.first_chunk::<6>()?;
        let is_readable = i16::from_be_bytes([a, b]) >= Self::VALUE_VERSION;
        is_readable.then_some(Self { is_commit, coordinator_epoch: i32::from_be_bytes([c, d, e, f]) })
    }

    /// A batch of this marker alone; `timestamp` is in ms.
    pub fn batch(
        &self,
        producer_id: i64,
        producer_epoch: i16,
        timestamp: i64,
        partition_leader_epoch: i32,
    ) -> Bytes {
        let mut builder = BatchBuilder::new(BatchOptions {
            partition_leader_epoch,
            producer_id,
            producer_epoch,
            is_transactional: true,
            is_control: true,
            ..BatchOptions::default()
        });
        builder.append_control(timestamp, self.control_type(), &self.value());
        builder.build(&Compressors::default())
    }
}

impl BatchBuilder {
    /// An empty batch for control records of the quorum.
    pub fn control(base_offset: i64, partition_leader_epoch: i32) -> Self {
        let options =
            BatchOptions { base_offset, partition_leader_epoch, is_control: true, ..BatchOptions::default() };
        Self::new(options)
    }

    /// Appends a control record and answers its offset. The value is the encoded message with its version before it.
    pub fn append_control(&mut self, timestamp: i64, kind: ControlRecordType, value: &[u8]) -> i64 {
        self.append(timestamp, Some(&kind.key()), Some(value), &[])
    }
}
