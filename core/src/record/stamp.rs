//! What the leader writes into a batch that it appends: offset, epoch and, under LogAppendTime, the time. The header is
//! stamped in a copy on the stack and appended with the untouched body.

use crc_fast::{CrcAlgorithm, checksum_combine};

use super::header::{ATTRIBUTES_OFFSET, BATCH_HEADER_SIZE, BatchHeader, TimestampType, crc32c};

impl BatchHeader {
    /// The bytes of the header with the offset and the epoch that the leader assigns. Both are outside the checksum.
    pub fn stamped(&self, base_offset: i64, partition_leader_epoch: i32) -> [u8; BATCH_HEADER_SIZE] {
        Self { base_offset, partition_leader_epoch, ..*self }.to_array()
    }

    /// The header with another timestamp type and largest timestamp (ms), and with the checksum that the batch then
    /// has. The body is not read: a change in the first bytes moves a CRC by what it does to those bytes, shifted by
    /// the length of the rest.
    #[must_use]
    pub fn with_max_timestamp(&self, timestamp_type: TimestampType, max_timestamp: i64) -> Self {
        let attributes = self.attributes.with_timestamp_type(timestamp_type);
        let changed = Self { attributes, max_timestamp, ..*self };
        if changed == *self {
            return changed;
        }
        let difference = header_crc(self) ^ header_crc(&changed);
        let body_len = self.size_in_bytes().saturating_sub(BATCH_HEADER_SIZE) as u64;
        let crc = checksum_combine(CrcAlgorithm::Crc32Iscsi, difference.into(), self.crc.into(), body_len);
        Self { crc: crc as u32, ..changed }
    }
}

/// Checksum of the part of the header that the batch's checksum covers.
fn header_crc(header: &BatchHeader) -> u32 {
    crc32c(&header.to_array()[ATTRIBUTES_OFFSET..])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::record::{BatchBuilder, BatchOptions, BatchView, Compressors, TimestampType};

    #[test]
    fn a_stamped_batch_has_the_checksum_that_a_second_pass_would_find() {
        for body in [0usize, 1, 7, 100, 5_000, 1 << 20] {
            let mut builder = BatchBuilder::new(BatchOptions::default());
            builder.append(1_000, None, Some(&vec![0x5a; body]), &[]);
            let batch = builder.build(&Compressors::default());
            let header = *BatchView::read(&batch).unwrap().header();
            for (kind, max_timestamp) in [
                (TimestampType::LogAppendTime, 1_700_000_000_000),
                (TimestampType::CreateTime, 1_001),
                (TimestampType::CreateTime, 1_000),
            ] {
                let mut stamped = header.with_max_timestamp(kind, max_timestamp).stamped(77, 5).to_vec();
                stamped.extend_from_slice(batch.get(61..).unwrap());
                let view = BatchView::read(&stamped).unwrap();
                view.check_crc().unwrap();
                assert_eq!((view.base_offset, view.partition_leader_epoch), (77, 5));
                assert_eq!((view.timestamp_type(), view.max_timestamp), (kind, max_timestamp));
            }
        }
    }
}
