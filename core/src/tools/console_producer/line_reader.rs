//! From a line to a record, as Kafka's `LineMessageReader` splits it.

use bytes::Bytes;
use ottla_protocol::Str;

use crate::client::ProducerRecord;
use crate::tools::client_config::Properties;

/// How lines are split.
#[derive(Clone, Debug)]
pub struct LineReader {
    topic: Str,
    /// What separates the key from the value, when there are keys.
    key_separator: Option<String>,
    headers: Option<HeaderSeparators>,
    ignore_error: bool,
    null_marker: Option<String>,
    line_number: u64,
}

#[derive(Clone, Debug)]
struct HeaderSeparators {
    /// Between the headers and the rest of the line.
    delimiter: String,
    /// Between headers.
    separator: String,
    /// Between a header's key and its value.
    key_separator: String,
}

impl LineReader {
    /// With the properties of `--reader-property`.
    pub fn new(topic: &str, properties: &Properties) -> Result<Self, String> {
        let text = |key: &str, default: &str| properties.get(key).unwrap_or(default).to_owned();
        let is_set =
            |key: &str| properties.get(key).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let key_separator = text("key.separator", "\t");
        let headers = HeaderSeparators {
            delimiter: text("headers.delimiter", "\t"),
            separator: text("headers.separator", ","),
            key_separator: text("headers.key.separator", ":"),
        };
        if headers.delimiter == headers.separator {
            return Err("headers.delimiter and headers.separator may not be equal".into());
        }
        if headers.separator == headers.key_separator {
            return Err("headers.separator and headers.key.separator may not be equal".into());
        }
        let null_marker = properties.get("null.marker").map(str::to_owned);
        if let Some(marker) = &null_marker {
            let clashing = [
                ("key.separator", &key_separator),
                ("headers.delimiter", &headers.delimiter),
                ("headers.separator", &headers.separator),
                ("headers.key.separator", &headers.key_separator),
            ];
            if let Some((name, _)) = clashing.into_iter().find(|(_, separator)| *separator == marker) {
                return Err(format!("null.marker and {name} may not be equal"));
            }
        }
        Ok(Self {
            topic: topic.into(),
            key_separator: is_set("parse.key").then_some(key_separator),
            headers: is_set("parse.headers").then_some(headers),
            ignore_error: is_set("ignore.error"),
            null_marker,
            line_number: 0,
        })
    }

    /// The record of the next line.
    pub fn read(&mut self, line: &str) -> Result<ProducerRecord, String> {
        self.line_number += 1;
        let mut rest = line;
        let mut headers = Vec::new();
        if let Some(separators) = &self.headers {
            let (head, after) = self.split(rest, &separators.delimiter, "headers delimiter")?;
            if let Some(head) = head.filter(|head| !self.is_null(head)) {
                headers = self.headers(head, separators)?;
            }
            rest = after;
        }
        let mut key = None;
        if let Some(separator) = &self.key_separator {
            let (before, after) = self.split(rest, separator, "key separator")?;
            key = before.and_then(|before| self.bytes(before));
            rest = after;
        }
        let value = self.bytes(rest);
        Ok(ProducerRecord { topic: self.topic.clone(), key, value, headers, ..ProducerRecord::default() })
    }

    fn split<'l>(
        &self,
        text: &'l str,
        separator: &str,
        what: &str,
    ) -> Result<(Option<&'l str>, &'l str), String> {
        match text.split_once(separator) {
            Some((before, after)) => Ok((Some(before), after)),
            None if self.ignore_error => Ok((None, text)),
            None => Err(format!("No {what} found on line number {}: '{text}'", self.line_number)),
        }
    }

    fn headers(
        &self,
        text: &str,
        separators: &HeaderSeparators,
    ) -> Result<Vec<(Bytes, Option<Bytes>)>, String> {
        let mut headers = Vec::new();
        for pair in text.split(separators.separator.as_str()) {
            let (key, value) = match pair.split_once(separators.key_separator.as_str()) {
                Some((key, value)) => (key, self.bytes(value)),
                None if self.ignore_error => (pair, None),
                None => {
                    let line = self.line_number;
                    return Err(format!(
                        "No header key separator found in pair '{pair}' on line number {line}"
                    ));
                }
            };
            if self.is_null(key) {
                return Err(format!("Header keys should not be equal to the null marker '{key}'"));
            }
            headers.push((Bytes::copy_from_slice(key.as_bytes()), value));
        }
        Ok(headers)
    }

    fn is_null(&self, text: &str) -> bool {
        self.null_marker.as_deref() == Some(text)
    }

    fn bytes(&self, text: &str) -> Option<Bytes> {
        (!self.is_null(text)).then(|| Bytes::copy_from_slice(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> LineReader {
        let mut given = Properties::default();
        properties.iter().for_each(|(key, value)| given.set(key, Some(value)));
        LineReader::new("t", &given).unwrap()
    }

    fn text(bytes: &Option<Bytes>) -> Option<&str> {
        bytes.as_ref().map(|bytes| std::str::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_line_is_a_value() {
        let record = reader(&[]).read("k\tv").unwrap();
        assert_eq!((text(&record.key), text(&record.value)), (None, Some("k\tv")));
    }

    #[test]
    fn keys_end_at_the_first_separator() {
        let mut reader = reader(&[("parse.key", "true"), ("key.separator", "::")]);
        let record = reader.read("k::v::w").unwrap();
        assert_eq!((text(&record.key), text(&record.value)), (Some("k"), Some("v::w")));
        assert_eq!(reader.read("none").unwrap_err(), "No key separator found on line number 2: 'none'");
    }

    #[test]
    fn errors_may_be_ignored() {
        let mut reader = reader(&[("parse.key", "true"), ("ignore.error", "true")]);
        let record = reader.read("none").unwrap();
        assert_eq!((text(&record.key), text(&record.value)), (None, Some("none")));
    }

    #[test]
    fn headers_come_first_and_the_marker_is_null() {
        let mut reader = reader(&[("parse.headers", "true"), ("parse.key", "true"), ("null.marker", "NULL")]);
        let record = reader.read("a:1,b:NULL\tk\tNULL").unwrap();
        let one = (Bytes::from("a"), Some(Bytes::from("1")));
        assert_eq!(record.headers, [one, (Bytes::from("b"), None)]);
        assert_eq!((text(&record.key), text(&record.value)), (Some("k"), None));
        let error = reader.read("a=1\tk\tv").unwrap_err();
        assert_eq!(error, "No header key separator found in pair 'a=1' on line number 2");
    }
}
