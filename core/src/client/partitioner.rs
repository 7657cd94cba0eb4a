//! Which partition a record goes to: by its key as every Kafka client agrees, or to one that sticks for a while (KIP-480, KIP-794).

use crate::rng::Rng;

/// Kafka's murmur2 of a key, as `org.apache.kafka.common.utils.Utils` computes it.
pub fn murmur2(key: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mut hash = SEED ^ u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = word.iter().rev().fold(0_u32, |k, byte| (k << 8) | u32::from(*byte)).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0_u32, |k, byte| (k << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ (hash >> 15)).cast_signed()
}

/// The partition of a key among `partitions`, which is above 0.
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & i32::MAX).checked_rem(partitions).unwrap_or(0)
}

/// The partition that records of one topic without a key stick to.
#[derive(Clone, Copy, Debug)]
pub struct Sticky {
    partition: i32,
    /// Bytes sent there since it was chosen.
    bytes: usize,
}

impl Sticky {
    /// Chooses the first one.
    pub fn choose(partitions: i32, rng: &mut Rng) -> Self {
        let below = u64::try_from(partitions.max(1)).unwrap_or(1);
        Self { partition: i32::try_from(rng.below(below)).unwrap_or(0), bytes: 0 }
    }

    /// The partition of the next record of so many bytes; after about `batch_size` bytes another one is chosen.
    pub fn next(&mut self, record_bytes: usize, batch_size: usize, partitions: i32, rng: &mut Rng) -> i32 {
        if self.bytes >= batch_size || self.partition >= partitions {
            *self = Self::choose(partitions, rng);
        }
        self.bytes = self.bytes.saturating_add(record_bytes);
        self.partition
    }
}

#[cfg(test)]
mod tests {
    use super::murmur2;

    #[test]
    fn hashes_are_those_that_apache_kafka_computes() {
        // From the unit tests' facts of org.apache.kafka.common.utils.UtilsTest.
        let known: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key), hash, "{}", String::from_utf8_lossy(key));
        }
    }
}
