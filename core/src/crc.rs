//! CRC-32C and CRC-32 (IEEE): the checksums of record batches and of legacy messages.
//!
//! Natively they come from `crc-fast` and its vector instructions. In WebAssembly that crate would bring the tables of
//! every algorithm it knows, half of the page's first load. There the two are computed here, byte by byte: tables for eight bytes at
//! a time would be thirty times as long, and nothing compresses them.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crc_fast::{CrcAlgorithm, Digest, checksum};

#[cfg(target_arch = "wasm32")]
pub(crate) use tables::{CrcAlgorithm, Digest, checksum};

#[cfg(any(test, target_arch = "wasm32"))]
mod tables {
    /// For each byte, its remainder.
    type Table = [u32; 256];

    static CASTAGNOLI: Table = table(0x82f6_3b78);
    static IEEE: Table = table(0xedb8_8320);

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
        table: &'static Table,
        state: u32,
    }

    impl Digest {
        pub(crate) fn new(algorithm: CrcAlgorithm) -> Self {
            let table = match algorithm {
                CrcAlgorithm::Crc32Iscsi => &CASTAGNOLI,
                CrcAlgorithm::Crc32IsoHdlc => &IEEE,
            };
            Self { table, state: u32::MAX }
        }

        pub(crate) fn update(&mut self, bytes: &[u8]) {
            for &byte in bytes {
                let [low, ..] = self.state.to_le_bytes();
                self.state = self.table[usize::from(low ^ byte)] ^ (self.state >> 8);
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

    const fn table(polynomial: u32) -> Table {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut remainder = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                remainder = if remainder & 1 == 1 { (remainder >> 1) ^ polynomial } else { remainder >> 1 };
                bit += 1;
            }
            table[byte] = remainder;
            byte += 1;
        }
        table
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

    /// Over every length, whole and in two pieces.
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
