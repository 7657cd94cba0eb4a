//! What the leader writes into a batch that it appends: offset, epoch and, under LogAppendTime, the time. The header is
//! stamped in a copy on the stack and appended with the untouched body.

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
        Self { crc: self.crc ^ followed_by_zeros(difference, body_len), ..changed }
    }
}

/// Checksum of the part of the header that the batch's checksum covers.
fn header_crc(header: &BatchHeader) -> u32 {
    crc32c(&header.to_array()[ATTRIBUTES_OFFSET..])
}

/// CRC-32C's polynomial, the bits in the order in which the checksum has them: the highest power is the lowest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// The polynomial 1.
const ONE: u32 = 1 << 31;

/// `x` to the powers 8, 16, 32 …, modulo the polynomial: 1, 2, 4 … bytes.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // The compiler runs it.
const BYTE_POWERS: [u32; 64] = {
    let mut powers = [0; 64];
    let mut power = ONE >> 8;
    let mut index = 0;
    while index < powers.len() {
        powers[index] = power;
        power = multiply(power, power);
        index += 1;
    }
    powers
};

/// What a difference between two checksums becomes when both are continued over the same bytes.
fn followed_by_zeros(difference: u32, bytes: u64) -> u32 {
    let powers = BYTE_POWERS.iter().enumerate().filter(|(index, _)| bytes >> index & 1 != 0);
    powers.fold(difference, |product, (_, &power)| multiply(power, product))
}

/// The product of two polynomials over GF(2), modulo CRC-32C's.
const fn multiply(left: u32, mut right: u32) -> u32 {
    let mut product = 0;
    let mut bit = ONE;
    while bit != 0 {
        if left & bit != 0 {
            product ^= right;
        }
        right = (right >> 1) ^ (POLYNOMIAL & (right & 1).wrapping_neg());
        bit >>= 1;
    }
    product
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
