//! How records are printed: Kafka's `DefaultMessageFormatter` and its siblings.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::client::ConsumerRecord;
use crate::tools::client_config::Properties;

/// A formatter with its settings.
#[derive(Clone, Debug, Default)]
pub struct Formatter {
    /// Print nothing.
    silent: bool,
    timestamp: bool,
    partition: bool,
    offset: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: String,
    line_separator: String,
    headers_separator: String,
    null_literal: String,
    key_deserializer: Deserializer,
    value_deserializer: Deserializer,
    header_deserializer: Deserializer,
}

/// What bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Deserializer {
    /// Text, or bytes as they are.
    #[default]
    Text,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Uuid,
}

impl Formatter {
    /// By the name of Kafka's class, with the properties of `--formatter-property`.
    pub fn new(class: Option<&str>, properties: &Properties) -> Result<Self, String> {
        let class = class.unwrap_or("DefaultMessageFormatter");
        let silent = match class.rsplit(['.', '$']).next().unwrap_or(class) {
            "DefaultMessageFormatter" | "LoggingMessageFormatter" => false,
            "NoOpMessageFormatter" => true,
            _ => return Err(format!("java.lang.ClassNotFoundException: {class}")),
        };
        let is_set = |key: &str, default: bool| {
            properties.get(key).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
        };
        let text = |key: &str, default: &str| properties.get(key).unwrap_or(default).to_owned();
        Ok(Self {
            silent,
            timestamp: is_set("print.timestamp", false),
            partition: is_set("print.partition", false),
            offset: is_set("print.offset", false),
            epoch: is_set("print.epoch", false),
            headers: is_set("print.headers", false),
            key: is_set("print.key", false),
            value: is_set("print.value", true),
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null_literal: text("null.literal", "null"),
            key_deserializer: deserializer(properties.get("key.deserializer"))?,
            value_deserializer: deserializer(properties.get("value.deserializer"))?,
            header_deserializer: deserializer(
                properties.get("headers.deserializer").or_else(|| properties.get("header.deserializer")),
            )?,
        })
    }

    /// Appends a record: its parts between separators, then the end of the line.
    pub fn write(&self, record: &ConsumerRecord, out: &mut String) {
        if self.silent {
            return;
        }
        let mut parts: Vec<String> = Vec::new();
        if self.timestamp {
            let kind = if record.log_append_time { "LogAppendTime" } else { "CreateTime" };
            parts.push(match record.timestamp {
                -1 => "NO_TIMESTAMP".to_owned(),
                timestamp => format!("{kind}:{timestamp}"),
            });
        }
        if self.partition {
            parts.push(format!("Partition:{}", record.partition));
        }
        if self.offset {
            parts.push(format!("Offset:{}", record.offset));
        }
        if self.epoch {
            parts.push(format!("Epoch:{}", record.leader_epoch));
        }
        if self.headers {
            parts.push(self.headers(record));
        }
        if self.key {
            parts.push(self.bytes(self.key_deserializer, record.key.as_ref()));
        }
        if self.value {
            parts.push(self.bytes(self.value_deserializer, record.value.as_ref()));
        }
        let _ = write!(out, "{}{}", parts.join(&self.key_separator), self.line_separator);
    }

    fn headers(&self, record: &ConsumerRecord) -> String {
        if record.headers.is_empty() {
            return "NO_HEADERS".to_owned();
        }
        let header = |(key, value): &(Bytes, Option<Bytes>)| {
            let value = self.bytes(self.header_deserializer, value.as_ref());
            format!("{}:{value}", String::from_utf8_lossy(key))
        };
        record.headers.iter().map(header).collect::<Vec<_>>().join(&self.headers_separator)
    }

    fn bytes(&self, deserializer: Deserializer, bytes: Option<&Bytes>) -> String {
        let Some(bytes) = bytes else { return self.null_literal.clone() };
        let number = match deserializer {
            Deserializer::Text => None,
            Deserializer::Short => exactly(bytes).map(|bytes| i16::from_be_bytes(bytes).to_string()),
            Deserializer::Integer => exactly(bytes).map(|bytes| i32::from_be_bytes(bytes).to_string()),
            Deserializer::Long => exactly(bytes).map(|bytes| i64::from_be_bytes(bytes).to_string()),
            Deserializer::Float => exactly(bytes).map(|bytes| format!("{:?}", f32::from_be_bytes(bytes))),
            Deserializer::Double => exactly(bytes).map(|bytes| format!("{:?}", f64::from_be_bytes(bytes))),
            Deserializer::Boolean => exactly(bytes).map(|[byte]| (byte != 0).to_string()),
            Deserializer::Uuid => std::str::from_utf8(bytes).ok().map(str::to_owned),
        };
        number.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned())
    }
}

fn exactly<const N: usize>(bytes: &Bytes) -> Option<[u8; N]> {
    bytes.as_ref().try_into().ok()
}

fn deserializer(class: Option<&str>) -> Result<Deserializer, String> {
    let Some(class) = class else { return Ok(Deserializer::Text) };
    Ok(match class.rsplit('.').next().unwrap_or(class) {
        "StringDeserializer" | "ByteArrayDeserializer" | "BytesDeserializer" | "ByteBufferDeserializer" => {
            Deserializer::Text
        }
        "ShortDeserializer" => Deserializer::Short,
        "IntegerDeserializer" => Deserializer::Integer,
        "LongDeserializer" => Deserializer::Long,
        "FloatDeserializer" => Deserializer::Float,
        "DoubleDeserializer" => Deserializer::Double,
        "BooleanDeserializer" => Deserializer::Boolean,
        "UUIDDeserializer" => Deserializer::Uuid,
        _ => return Err(format!("java.lang.ClassNotFoundException: {class}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(properties: &[(&str, &str)], record: &ConsumerRecord) -> String {
        let mut given = Properties::default();
        properties.iter().for_each(|(key, value)| given.set(key, Some(value)));
        let mut out = String::new();
        Formatter::new(None, &given).unwrap().write(record, &mut out);
        out
    }

    fn record() -> ConsumerRecord {
        ConsumerRecord {
            topic: "t".into(),
            partition: 1,
            offset: 7,
            timestamp: 1_000,
            log_append_time: false,
            key: Some(Bytes::from("k")),
            value: None,
            headers: vec![(Bytes::from("h"), Some(Bytes::from("x"))), (Bytes::from("i"), None)],
            leader_epoch: 3,
        }
    }

    #[test]
    fn parts_are_in_the_order_of_the_original() {
        let all = ["timestamp", "partition", "offset", "epoch", "headers", "key"];
        let all: Vec<_> = all.iter().map(|part| (format!("print.{part}"), "true")).collect();
        let all: Vec<(&str, &str)> = all.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let expected = "CreateTime:1000\tPartition:1\tOffset:7\tEpoch:3\th:x,i:null\tk\tnull\n";
        assert_eq!(printed(&all, &record()), expected);
    }

    #[test]
    fn separators_literals_and_numbers() {
        let mut record = record();
        record.key = Some(Bytes::copy_from_slice(&5_i64.to_be_bytes()));
        record.headers.clear();
        let properties = [
            ("print.key", "true"),
            ("print.headers", "true"),
            ("key.separator", "|"),
            ("line.separator", ";"),
            ("null.literal", "NIL"),
            ("key.deserializer", "org.apache.kafka.common.serialization.LongDeserializer"),
        ];
        assert_eq!(printed(&properties, &record), "NO_HEADERS|5|NIL;");
    }
}
