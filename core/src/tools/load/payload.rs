//! What records of a performance test hold.

use bytes::Bytes;
use regex_lite::Regex;

use crate::rng::Rng;

/// Where values come from.
#[derive(Clone, Debug)]
pub enum Payload {
    /// So many random capital letters.
    Random(usize),
    /// Any of these.
    OneOf(Vec<Bytes>),
    /// The number of the record.
    Monotonic,
}

impl Payload {
    /// The parts of a text between which the delimiter stands, a regular expression: as `java.util.Scanner` sees them.
    pub fn split(text: &str, delimiter: &str) -> Option<Vec<Bytes>> {
        let delimiter = Regex::new(delimiter).ok()?;
        let start = delimiter.find(text).filter(|first| first.start() == 0).map_or(0, |first| first.end());
        let mut parts: Vec<&str> = delimiter.split(text.get(start..)?).collect();
        if parts.last().is_some_and(|last| last.is_empty()) {
            parts.pop();
        }
        Some(parts.into_iter().map(|part| Bytes::copy_from_slice(part.as_bytes())).collect())
    }

    /// The value of a record.
    pub fn value(&self, record: u64, rng: &mut Rng) -> Bytes {
        match self {
            Self::Random(size) => letters(*size, rng),
            Self::OneOf(payloads) => {
                let at = usize::try_from(rng.below(payloads.len() as u64)).unwrap_or(0);
                payloads.get(at).cloned().unwrap_or_default()
            }
            Self::Monotonic => record.to_string().into(),
        }
    }
}

/// Random capital letters.
fn letters(size: usize, rng: &mut Rng) -> Bytes {
    const LETTERS: u16 = 26;
    let mut value = Vec::with_capacity(size);
    while value.len() < size {
        let eight = rng.next_u64().to_le_bytes();
        let letters = eight.map(|byte| b'A' + ((u16::from(byte) * LETTERS) >> 8) as u8);
        value.extend_from_slice(letters.get(..letters.len().min(size - value.len())).unwrap_or_default());
    }
    value.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_split_as_a_scanner_does() {
        let split = |text, delimiter| -> Vec<String> {
            let parts = Payload::split(text, delimiter).unwrap();
            parts.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect()
        };
        assert_eq!(split("a\nb\n\nc\n", "\n"), ["a", "b", "", "c"]);
        assert_eq!(split(",a;b", "[,;]"), ["a", "b"]);
        assert_eq!(Payload::split("a", "("), None);
    }

    #[test]
    fn random_values_are_capital_letters_of_the_size() {
        let value = Payload::Random(100).value(0, &mut Rng::from_seed(1));
        assert!(value.len() == 100 && value.iter().all(u8::is_ascii_uppercase), "{value:?}");
    }
}
