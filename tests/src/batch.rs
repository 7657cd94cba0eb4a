//! Record batches (magic 2) as a test wants them: valid, or wrong in one place.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};

/// A batch before it is encoded. The defaults are those of a plain producer.
#[derive(Debug, Clone)]
pub struct Batch {
    pub base_offset: i64,
    pub partition_leader_epoch: i32,
    pub magic: i8,
    pub attributes: i16,
    /// Milliseconds; each record is one millisecond later than the one before.
    pub base_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    /// Key and value of each record.
    pub records: Vec<(Option<Bytes>, Option<Bytes>)>,
    /// Added to the true value.
    pub crc_error: u32,
    pub last_offset_delta_error: i32,
    pub count_error: i32,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            base_offset: 0,
            partition_leader_epoch: -1,
            magic: 2,
            attributes: 0,
            base_timestamp: 1_700_000_000_000,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            records: Vec::new(),
            crc_error: 0,
            last_offset_delta_error: 0,
            count_error: 0,
        }
    }
}

impl Batch {
    /// A batch of keyed records `k0: v0`, `k1: v1`, …
    pub fn of(count: usize) -> Self {
        let record = |n| (Some(Bytes::from(format!("k{n}"))), Some(Bytes::from(format!("v{n}"))));
        Self { records: (0..count).map(record).collect(), ..Self::default() }
    }

    /// A batch of one record with a value of so many bytes.
    pub fn sized(bytes: usize) -> Self {
        let record = (Some(Bytes::from_static(b"key")), Some(Bytes::from(vec![b'x'; bytes])));
        Self { records: vec![record], ..Self::default() }
    }

    pub fn at(self, base_timestamp: i64) -> Self {
        Self { base_timestamp, ..self }
    }

    pub fn sequenced(self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Self {
        Self { producer_id, producer_epoch, base_sequence, ..self }
    }

    pub fn encode(&self) -> Bytes {
        let count = self.records.len() as i32;
        let last_delta = count - 1;
        let mut tail = Vec::new();
        tail.extend(self.attributes.to_be_bytes());
        tail.extend((last_delta + self.last_offset_delta_error).to_be_bytes());
        tail.extend(self.base_timestamp.to_be_bytes());
        tail.extend((self.base_timestamp + i64::from(last_delta)).to_be_bytes());
        tail.extend(self.producer_id.to_be_bytes());
        tail.extend(self.producer_epoch.to_be_bytes());
        tail.extend(self.base_sequence.to_be_bytes());
        tail.extend((count + self.count_error).to_be_bytes());
        for (delta, (key, value)) in self.records.iter().enumerate() {
            tail.extend(record(delta as i64, key.as_ref(), value.as_ref()));
        }
        let crc = checksum(CrcAlgorithm::Crc32Iscsi, &tail) as u32;
        let mut batch = Vec::new();
        batch.extend(self.base_offset.to_be_bytes());
        batch.extend((4 + 1 + 4 + tail.len() as i32).to_be_bytes());
        batch.extend(self.partition_leader_epoch.to_be_bytes());
        batch.extend(self.magic.to_be_bytes());
        batch.extend(crc.wrapping_add(self.crc_error).to_be_bytes());
        batch.extend(tail);
        batch.into()
    }
}

fn record(delta: i64, key: Option<&Bytes>, value: Option<&Bytes>) -> Vec<u8> {
    let mut body = vec![0];
    varint(&mut body, delta);
    varint(&mut body, delta);
    for field in [key, value] {
        varint(&mut body, field.map_or(-1, |field| field.len() as i64));
        body.extend(field.into_iter().flatten());
    }
    varint(&mut body, 0);
    let mut record = Vec::new();
    varint(&mut record, body.len() as i64);
    record.extend(body);
    record
}

/// Zigzag, then seven bits a byte, lowest first.
fn varint(into: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}
