//! The state machine above a quorum: a map that records change, one key each, and its snapshots.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::quorum::SnapshotId;
use crate::quorum::control;
use crate::quorum::raft::VoterSet;
use crate::record::compression::Compressors;
use crate::record::{BatchBuilder, BatchOptions, ControlRecordType, batches};

/// What the records add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The first offset that is not in it.
    pub next_offset: i64,
    entries: BTreeMap<u32, u64>,
    digest: u64,
}

/// A batch that sets keys, of an epoch still to be said.
pub fn batch(wall: i64, changes: &[(u32, u64)]) -> Bytes {
    let mut batch = BatchBuilder::new(BatchOptions::default());
    for (key, value) in changes {
        batch.append(wall, Some(&key.to_be_bytes()), Some(&value.to_be_bytes()), &[]);
    }
    batch.build(&Compressors::default())
}

impl Ledger {
    /// A digest of what is in it, the same whatever the order of the changes.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Takes in committed batches, those that it has already left out.
    pub fn apply(&mut self, bytes: &Bytes) {
        for batch in batches(bytes).map_while(Result::ok) {
            if batch.base_offset < self.next_offset {
                continue;
            }
            self.next_offset = batch.next_offset();
            if batch.is_control() {
                continue;
            }
            for record in batch.records(&Compressors::default()).into_iter().flatten().map_while(Result::ok) {
                self.set(record.key.as_deref(), record.value.as_deref());
            }
        }
    }

    fn set(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let key = key.and_then(|key| Some(u32::from_be_bytes(*key.first_chunk()?)));
        let value = value.and_then(|value| Some(u64::from_be_bytes(*value.first_chunk()?)));
        let (Some(key), Some(value)) = (key, value) else { return };
        if let Some(before) = self.entries.insert(key, value) {
            self.digest ^= mixed(key, before);
        }
        self.digest ^= mixed(key, value);
    }

    /// The file that stands for everything below its offset.
    pub fn snapshot(
        &self,
        id: SnapshotId,
        wall: i64,
        kraft_version: i16,
        voters: Option<&VoterSet>,
    ) -> Bytes {
        let none = Compressors::default();
        let mut header = BatchBuilder::control(0, id.epoch);
        header.append_control(wall, ControlRecordType::SnapshotHeader, &control::snapshot_header(wall));
        if kraft_version > 0 {
            let version = control::kraft_version(kraft_version);
            header.append_control(wall, ControlRecordType::KRaftVersion, &version);
            let voters = voters.map(VoterSet::to_vec).unwrap_or_default();
            header.append_control(wall, ControlRecordType::KRaftVoters, &control::voters(&voters));
        }
        let mut next_offset = header.next_offset();
        let mut bytes = header.build(&none).to_vec();
        if !self.entries.is_empty() {
            let options = BatchOptions {
                base_offset: next_offset,
                partition_leader_epoch: id.epoch,
                ..BatchOptions::default()
            };
            let mut batch = BatchBuilder::new(options);
            for (key, value) in &self.entries {
                batch.append(wall, Some(&key.to_be_bytes()), Some(&value.to_be_bytes()), &[]);
            }
            next_offset = batch.next_offset();
            bytes.extend_from_slice(&batch.build(&none));
        }
        let mut footer = BatchBuilder::control(next_offset, id.epoch);
        footer.append_control(wall, ControlRecordType::SnapshotFooter, &control::snapshot_footer());
        bytes.extend_from_slice(&footer.build(&none));
        bytes.into()
    }

    /// What a snapshot holds.
    pub fn load(id: SnapshotId, bytes: &Bytes) -> Self {
        let mut ledger = Self::default();
        ledger.apply(bytes);
        ledger.next_offset = id.end_offset;
        ledger
    }
}

fn mixed(key: u32, value: u64) -> u64 {
    let mut bits =
        u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ value.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    bits ^= bits >> 31;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^ (bits >> 33)
}
