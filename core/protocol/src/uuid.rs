//! Kafka's 128-bit ids.

use std::{fmt, str::FromStr};

/// An id of a topic, a directory, a client instance … written as 22 characters of base64url, as Kafka does.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// No id.
    pub const ZERO: Self = Self([0; 16]);
    /// The second reserved id: the metadata topic's, and `DirectoryId.UNASSIGNED`'s neighbour.
    pub const ONE: Self = Self(1_u128.to_be_bytes());
    /// Kafka's id of `__cluster_metadata`.
    pub const METADATA_TOPIC: Self = Self::ONE;

    pub const fn from_u128(bits: u128) -> Self {
        Self(bits.to_be_bytes())
    }

    pub const fn as_u128(&self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    pub const fn is_zero(&self) -> bool {
        self.as_u128() == 0
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 128 bits are 21 digits of six bits and one of two, which stand at the top of its six.
        let bits = self.as_u128();
        let digits: String = (0..22_u32)
            .map(|at| {
                let digit = if at < 21 { bits >> (122 - 6 * at) } else { bits << 4 };
                char::from(ALPHABET[(digit & 0x3f) as usize])
            })
            .collect();
        f.pad(&digits)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not 22 characters (or 24 with padding) of base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseUuidError;

impl fmt::Display for ParseUuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id of 22 base64url characters")
    }
}

impl std::error::Error for ParseUuidError {}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let digits = text.trim_end_matches('=').as_bytes();
        if digits.len() != 22 {
            return Err(ParseUuidError);
        }
        let mut bits = 0_u128;
        for (at, digit) in digits.iter().enumerate() {
            let value = ALPHABET.iter().position(|known| known == digit).ok_or(ParseUuidError)? as u128;
            bits = if at < 21 { bits << 6 | value } else { bits << 2 | value >> 4 };
        }
        Ok(Self::from_u128(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_as_kafka_writes_it() {
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid::ONE.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        let id = Uuid::from_u128(0xfedc_ba98_7654_3210_0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "_ty6mHZUMhABI0VniavN7w");
        assert_eq!("_ty6mHZUMhABI0VniavN7w".parse(), Ok(id));
        assert_eq!("short".parse::<Uuid>(), Err(ParseUuidError));
        assert_eq!("_ty6mHZUMhABI0Vnia!N7w".parse::<Uuid>(), Err(ParseUuidError));
    }
}
