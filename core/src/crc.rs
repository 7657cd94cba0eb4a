//! CRC-32C and CRC-32 (IEEE): the checksums of record batches and of legacy messages.
//!
//! Natively they come from `crc-fast` and its vector instructions. In WebAssembly that crate would bring the tables of
//! every algorithm it knows, half of the page's first load, so that there the two are computed here, eight bytes at a time.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crc_fast::{CrcAlgorithm, Digest, checksum};

#[cfg(target_arch = "wasm32")]
pub(crate) use tables::{CrcAlgorithm, Digest, checksum};

#[cfg(any(test, target_arch = "wasm32"))]
mod tables {
    type Tables = [[u32; 256]; 8];

    static CASTAGNOLI: Tables = tables(0x82f6_3b78);
    static IEEE: Tables = tables(0xedb8_8320);

    #[derive(Clone, Copy, Debug)]
    pub(crate) enum CrcAlgorithm {
        /// CRC-32C
        Crc32Iscsi,
        /// CRC-32 (IEEE)
        Crc32IsoHdlc,
    }

    /// A checksum over pieces.
    #[derive(Clone, Debug)]
    pub(crate) struct Digest {
        tables: &'static Tables,
        state: u32,
    }

    impl Digest {
        pub(crate) fn new(algorithm: CrcAlgorithm) -> Self {
            let tables = match algorithm {
                CrcAlgorithm::Crc32Iscsi => &CASTAGNOLI,
                CrcAlgorithm::Crc32IsoHdlc => &IEEE,
            };
            Self { tables, state: u32::MAX }
        }

        pub(crate) fn update(&mut self, bytes: &[u8]) {
            let [t0, t1, t2, t3, t4, t5, t6, t7] = self.tables;
            let at = |table: &[u32; 256], byte: u8| table[usize::from(byte)];
            let (words, rest) = bytes.as_chunks::<8>();
            for &[b0, b1, b2, b3, b4, b5, b6, b7] in words {
                let [s0, s1, s2, s3] = self.state.to_le_bytes();
                self.state = at(t7, b0 ^ s0)
                    ^ at(t6, b1 ^ s1)
                    ^ at(t5, b2 ^ s2)
                    ^ at(t4, b3 ^ s3)
                    ^ at(t3, b4)
                    ^ at(t2, b5)
                    ^ at(t1, b6)
                    ^ at(t0, b7);
            }
            for &byte in rest {
                let [low, ..] = self.state.to_le_bytes();
                self.state = at(t0, low ^ byte) ^ (self.state >> 8);
            }
        }

        pub(crate) fn finalize(&self) -> u64 {
            u64::from(!self.state)
        }
    }

    pub(crate) fn checksum(algorithm: CrcAlgorithm, bytes: &[u8]) -> u64 {
        let mut digest = Digest::new(algorithm);
        digest.update(bytes);
        digest.finalize()
    }

    /// For each byte, its remainder; in the tables after the first, with one zero byte more behind it each.
    const fn tables(polynomial: u32) -> Tables {
        let mut tables = [[0; 256]; 8];
        let mut byte = 0;
        while byte < 256 {
            let mut remainder = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                remainder = if remainder & 1 == 1 { (remainder >> 1) ^ polynomial } else { remainder >> 1 };
                bit += 1;
            }
            tables[0][byte] = remainder;
            byte += 1;
        }
        let mut zeros = 1;
        while zeros < 8 {
            let mut byte = 0;
            while byte < 256 {
                let before = tables[zeros - 1][byte];
                tables[zeros][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
                byte += 1;
            }
            zeros += 1;
        }
        tables
    }
}

#[cfg(test)]
mod tests {
    use super::tables;

    #[test]
    fn the_check_values_of_both_algorithms() {
        assert_eq!(tables::checksum(tables::CrcAlgorithm::Crc32Iscsi, b"123456789"), 0xe306_9283);
        assert_eq!(tables::checksum(tables::CrcAlgorithm::Crc32IsoHdlc, b"123456789"), 0xcbf4_3926);
    }

    /// Over every length around the eight bytes of a step, whole and in two pieces.
    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn the_tables_agree_with_the_vector_instructions() {
        let bytes: Vec<u8> = (0..100u32).map(|index| (index * 167 + 13) as u8).collect();
        for end in 0..bytes.len() {
            let piece = &bytes[..end];
            let expected = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, piece);
            assert_eq!(tables::checksum(tables::CrcAlgorithm::Crc32Iscsi, piece), expected, "{end} bytes");
            let mut digest = tables::Digest::new(tables::CrcAlgorithm::Crc32IsoHdlc);
            let (head, tail) = piece.split_at(end / 3);
            digest.update(head);
            digest.update(tail);
            assert_eq!(digest.finalize(), crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, piece));
        }
    }
}
