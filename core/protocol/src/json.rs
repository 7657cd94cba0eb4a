//! Messages as JSON, in the shape in which Kafka's tools print them (`kafka-dump-log`, request logs): fields of
//! the version by their names in lower camel case, tagged fields only where they differ from their default, bytes
//! in base64, ids as text, and of records only their size.

use std::fmt::Write as _;

use crate::wire::{Field, List, Records, Ref, Struct, is_default};

/// Appends `message` at `version`, without any white space.
pub fn write(out: &mut String, message: &dyn Struct, version: i16) {
    write_with(out, message, version, &|_, _| None);
}

/// What stands in place of a bytes field, given its name in lower camel case; `None` leaves it as it is.
pub type Embedded<'a> = &'a dyn Fn(&str, &[u8]) -> Option<String>;

/// The same, with what some bytes fields hold shown as `embedded` says.
pub fn write_with(out: &mut String, message: &dyn Struct, version: i16, embedded: Embedded<'_>) {
    let mut separator = '{';
    let fields = message.schema().fields.iter().enumerate();
    for (at, field) in fields.filter(|(_, field)| field.versions.contains(version)) {
        let value = message.get(at);
        if field.is_tagged_at(version) && is_default(field.default, value) {
            continue;
        }
        out.push(separator);
        separator = ',';
        member(out, field, value, version, embedded);
    }
    if separator == '{' {
        out.push('{');
    }
    out.push('}');
}

fn member(out: &mut String, field: &Field, value: Ref<'_>, version: i16, embedded: Embedded<'_>) {
    let mut name = field.name.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    match value {
        Ref::Records(Records::Null) => {
            let _ = write!(out, "\"{name}\":null");
        }
        Ref::Records(records) => {
            let _ = write!(out, "\"{name}SizeInBytes\":{}", records.len());
        }
        value => {
            let _ = write!(out, "\"{name}\":");
            let shown = if let Ref::Bytes(bytes) = value { embedded(&name, bytes) } else { None };
            match shown {
                Some(shown) => out.push_str(&shown),
                None => self::value(out, value, version, embedded),
            }
        }
    }
}

fn value(out: &mut String, value: Ref<'_>, version: i16, embedded: Embedded<'_>) {
    let _ = match value {
        Ref::Null | Ref::Records(_) => write!(out, "null"),
        Ref::Bool(value) => write!(out, "{value}"),
        Ref::Int8(value) => write!(out, "{value}"),
        Ref::Int16(value) => write!(out, "{value}"),
        Ref::Uint16(value) => write!(out, "{value}"),
        Ref::Int32(value) => write!(out, "{value}"),
        Ref::Uint32(value) => write!(out, "{value}"),
        Ref::Int64(value) => write!(out, "{value}"),
        Ref::Float64(value) => return float(out, value),
        Ref::Uuid(value) => write!(out, "\"{value}\""),
        Ref::Str(value) => return text(out, value),
        Ref::Bytes(value) => return base64(out, value),
        Ref::Struct(value) => return write_with(out, value, version, embedded),
        Ref::List(value) => return list(out, value, version, embedded),
    };
}

fn list(out: &mut String, list: &dyn List, version: i16, embedded: Embedded<'_>) {
    out.push('[');
    for at in 0..list.len() {
        if at > 0 {
            out.push(',');
        }
        value(out, list.get(at), version, embedded);
    }
    out.push(']');
}

fn text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..' ' => {
                let _ = write!(out, "\\u{:04X}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// As Java writes a double: with a point always, and an exponent below 10⁻³ and from 10⁷ on.
fn float(out: &mut String, value: f64) {
    let magnitude = value.abs();
    let _ = if !value.is_finite() {
        let name = if value.is_nan() { "NaN" } else { "Infinity" };
        write!(out, "\"{}{name}\"", if value == f64::NEG_INFINITY { "-" } else { "" })
    } else if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        write!(out, "{value:?}")
    } else {
        let shortest = format!("{value:e}");
        let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        write!(out, "{digits}{point}E{exponent}")
    };
}

fn base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push('"');
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 0x3f) as usize];
            out.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::metadata::TopicRecord;

    #[test]
    fn a_record_as_kafka_dump_log_shows_it() {
        let mut json = String::new();
        write(&mut json, &TopicRecord { name: "a\"b\u{1}".into(), ..Default::default() }, 0);
        assert_eq!(json, r#"{"name":"a\"b\u0001","topicId":"AAAAAAAAAAAAAAAAAAAAAA"}"#);
    }

    #[test]
    fn numbers_and_bytes() {
        let shown = |value| {
            let mut out = String::new();
            float(&mut out, value);
            out
        };
        assert_eq!(
            [shown(1.0), shown(0.25), shown(1e7), shown(-1.5e-9)],
            ["1.0", "0.25", "1.0E7", "-1.5E-9"]
        );
        let shown = |bytes: &[u8]| {
            let mut out = String::new();
            base64(&mut out, bytes);
            out
        };
        assert_eq!(
            [shown(b""), shown(b"f"), shown(b"fo"), shown(b"foo")],
            ["\"\"", "\"Zg==\"", "\"Zm8=\"", "\"Zm9v\""]
        );
    }
}
