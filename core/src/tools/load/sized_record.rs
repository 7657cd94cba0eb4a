//! Records of given sizes, and whether one came back as it was sent.

use bytes::Bytes;
use ottla_protocol::Str;

use crate::client::{ConsumerRecord, ProducerRecord};
use crate::rng::Rng;

/// Bytes of what a record consists of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    pub key: i32,
    pub value: i32,
    pub headers: i32,
    pub header_key: i32,
    /// −1 for none.
    pub header_value: i32,
}

impl Sizes {
    /// A record of random letters.
    pub fn record(self, topic: &Str, rng: &mut Rng) -> ProducerRecord {
        let mut letters = |size: i32| -> Bytes {
            let letter = b'A' + u8::try_from(rng.below(26)).unwrap_or(0);
            vec![letter; usize::try_from(size).unwrap_or(0)].into()
        };
        let (key, value) = (letters(self.key), letters(self.value));
        let header =
            |_| (letters(self.header_key), (self.header_value >= 0).then(|| letters(self.header_value)));
        let headers = (0..self.headers).map(header).collect();
        ProducerRecord {
            topic: topic.clone(),
            key: Some(key),
            value: Some(value),
            headers,
            ..Default::default()
        }
    }
}

/// What is wrong with what was read, beside what was sent.
pub fn fault(sent: &ProducerRecord, read: &[ConsumerRecord]) -> Option<String> {
    let text =
        |bytes: &Option<Bytes>| String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    let record = read.first()?;
    if record.value != sent.value {
        let (read, sent) = (text(&record.value), text(&sent.value));
        return Some(format!(
            "The message value read [{read}] did not match the message value sent [{sent}]"
        ));
    }
    if record.key.is_none() {
        return Some("Expected message key but received null".to_owned());
    }
    if record.key != sent.key {
        let (read, sent) = (text(&record.key), text(&sent.key));
        return Some(format!("The message key read [{read}] did not match the message key sent [{sent}]"));
    }
    if record.headers != sent.headers {
        return Some("The message headers read did not match the message headers sent".to_owned());
    }
    let count = read.len();
    (count != 1).then(|| format!("Only one result was expected during this test. We found [{count}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_otherwise_is_told() {
        let sizes = Sizes { key: 1, value: 3, headers: 2, header_key: 2, header_value: -1 };
        let sent = sizes.record(&"t".into(), &mut Rng::from_seed(1));
        assert_eq!(sent.headers.len(), 2);
        let read = ConsumerRecord {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            timestamp: 0,
            log_append_time: false,
            key: sent.key.clone(),
            value: sent.value.clone(),
            headers: sent.headers.clone(),
            leader_epoch: 0,
        };
        assert_eq!(fault(&sent, std::slice::from_ref(&read)), None);
        let twice = "Only one result was expected during this test. We found [2]";
        assert_eq!(fault(&sent, &[read.clone(), read.clone()]).as_deref(), Some(twice));
        let other = ConsumerRecord { key: None, ..read };
        assert_eq!(fault(&sent, &[other]).as_deref(), Some("Expected message key but received null"));
    }
}
