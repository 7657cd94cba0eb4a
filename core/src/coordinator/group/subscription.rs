//! The part of the embedded consumer protocol that the coordinator understands.

use std::collections::BTreeSet;

use ottla_protocol::Str;

/// The topics of a consumer's subscription (`ConsumerProtocolSubscription`, any version: all begin like version 0); `None`
/// when the bytes are not one.
pub(super) fn subscribed_topics(metadata: &[u8]) -> Option<BTreeSet<Str>> {
    let mut rest = metadata;
    let version = take_i16(&mut rest)?;
    if version < 0 {
        return None;
    }
    let (count, tail) = rest.split_first_chunk::<4>()?;
    rest = tail;
    let count = u32::try_from(i32::from_be_bytes(*count)).ok()?;
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        let len = usize::try_from(take_i16(&mut rest)?).ok()?;
        let (name, tail) = rest.split_at_checked(len)?;
        rest = tail;
        topics.insert(Str::from(std::str::from_utf8(name).ok()?));
    }
    Some(topics)
}

fn take_i16(bytes: &mut &[u8]) -> Option<i16> {
    let (head, tail) = bytes.split_first_chunk::<2>()?;
    *bytes = tail;
    Some(i16::from_be_bytes(*head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_what_follows_is_ignored() {
        let bytes = [0, 3, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 255, 255, 255, 255];
        let topics = subscribed_topics(&bytes).unwrap();
        assert_eq!(topics.iter().map(|topic| &**topic).collect::<Vec<_>>(), ["a", "bc"]);
    }

    #[test]
    fn hostile_bytes_are_no_subscription() {
        for bytes in [
            &[][..],
            &[0],
            &[0, 0, 0, 0, 0],
            &[0, 0, 0x7f, 255, 255, 255],
            &[0, 0, 0, 0, 0, 1, 255, 255],
            &[0, 0, 0, 0, 0, 1, 0, 9, b'a'],
            &[0, 0, 0, 0, 0, 1, 0, 1, 0xff],
            &[0x80, 0, 0, 0, 0, 0],
            &[0, 0, 255, 255, 255, 255],
        ] {
            assert_eq!(subscribed_topics(bytes), None, "{bytes:?}");
        }
        assert_eq!(subscribed_topics(&[0, 0, 0, 0, 0, 0]), Some(BTreeSet::new()));
    }
}
