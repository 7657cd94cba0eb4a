//! Java's properties syntax, as `server.properties` is written in it.

use std::fmt;

use super::settings::{Origin, Setting};

/// One `key=value` of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub key: String,
    pub value: String,
    /// Where its first line stands, from 1.
    pub line: u32,
}

/// Text that is not in properties syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertiesError {
    /// From 1.
    pub line: u32,
    pub reason: &'static str,
}

impl fmt::Display for PropertiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for PropertiesError {}

/// Reads a whole file, in order. A key that comes twice comes twice: the later one is meant.
pub fn parse_properties(text: &str) -> Result<Vec<Property>, PropertiesError> {
    let mut properties = Vec::new();
    let mut lines = natural_lines(text).zip(1u32..);
    while let Some((first, line)) = lines.next() {
        let first = first.trim_start_matches(BLANK);
        // A backslash alone continues nothing: what follows is a fresh line, which may be a comment.
        if matches!(first, "" | "\\") || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some((more, _)) => logical.push_str(more.trim_start_matches(BLANK)),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        let unescape = |text| unescape(text).map_err(|reason| PropertiesError { line, reason });
        properties.push(Property { key: unescape(key)?, value: unescape(value)?, line });
    }
    Ok(properties)
}

/// The settings of a file whose name is `file`, for `BrokerConfig::resolve`.
pub fn file_settings(file: &str, properties: Vec<Property>) -> impl Iterator<Item = (String, Setting)> {
    properties.into_iter().map(move |Property { key, value, line }| {
        (key, Setting { value, origin: Origin::File { name: file.to_owned(), line } })
    })
}

/// One `key=value` of the command line; `None` without `=`.
pub fn override_setting(argument: &str) -> Option<(String, Setting)> {
    let (key, value) = argument.split_once('=')?;
    Some((key.trim().to_owned(), Setting { value: value.to_owned(), origin: Origin::Override }))
}

const BLANK: [char; 3] = [' ', '\t', '\x0c'];

/// Lines end in `\n`, `\r` or `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match text.find(['\n', '\r']) {
            Some(end) => {
                let after = &text[end..];
                rest = Some(after.strip_prefix("\r\n").unwrap_or(&after[1..]));
                Some(&text[..end])
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

/// An odd number of backslashes at the end.
fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// The key ends at the first `=`, `:` or blank that is not escaped; blanks around the separator are dropped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c| {
        let stop = !escaped && (matches!(c, '=' | ':') || BLANK.contains(&c));
        escaped = c == '\\' && !escaped;
        stop
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(BLANK);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(BLANK))
}

fn unescape(text: &str) -> Result<String, &'static str> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    // `\u` gives UTF-16; a pair of them may make one character.
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    units.push(four_hex_digits(&mut chars)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        flush_utf16(&mut units, &mut out)?;
        out.push(plain);
    }
    flush_utf16(&mut units, &mut out)?;
    Ok(out)
}

fn four_hex_digits(chars: &mut std::str::Chars<'_>) -> Result<u16, &'static str> {
    let digits = chars.as_str().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    let unit =
        digits.and_then(|d| u16::from_str_radix(d, 16).ok()).ok_or("\\u needs four hexadecimal digits")?;
    for _ in 0..4 {
        chars.next();
    }
    Ok(unit)
}

fn flush_utf16(units: &mut Vec<u16>, out: &mut String) -> Result<(), &'static str> {
    if !units.is_empty() {
        out.push_str(&String::from_utf16(units).map_err(|_| "\\u gives half of a surrogate pair")?);
        units.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse_properties(text).unwrap().into_iter().map(|p| (p.key, p.value)).collect()
    }

    #[test]
    fn one_line_at_a_time() {
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("  a = b  ", "a", "b  "),
            ("a:b", "a", "b"),
            ("a b", "a", "b"),
            ("a\t\x0c:  b", "a", "b"),
            ("a==b", "a", "=b"),
            ("a", "a", ""),
            ("=b", "", "b"),
            ("a\\=b=c", "a=b", "c"),
            ("a\\ b=c", "a b", "c"),
            ("a=b#c", "a", "b#c"),
            ("a=\\u0041\\t\\q\\\\", "a", "A\tq\\"),
            ("a=\\ud83e\\udda6", "a", "🦦"),
            ("a=수달", "a", "수달"),
            ("a=b\\", "a", "b"),
            ("a=b\\\r\n   c\\\n\n", "a", "bc"),
            ("\\#a=b", "#a", "b"),
        ] {
            assert_eq!(pairs(text), [(key.to_owned(), value.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn comments_and_blank_lines_do_not_count_but_are_counted() {
        let text = "# a=1\\\n\n ! b=2\r\rc=3\\\n#d=4\ne=5\ne=6";
        let lines: Vec<_> =
            parse_properties(text).unwrap().into_iter().map(|p| (p.key, p.value, p.line)).collect();
        let expected = [("c", "3#d=4", 5), ("e", "5", 7), ("e", "6", 8)];
        assert_eq!(lines, expected.map(|(k, v, l)| (k.to_owned(), v.to_owned(), l)));
    }

    #[test]
    fn errors_name_the_line() {
        for text in ["a=1\nb=\\u12", "a=1\nb=\\u+123", "a=1\nb=\\ud800", "a=1\nb=\\u00é"] {
            assert_eq!(parse_properties(text).unwrap_err().line, 2, "{text:?}");
        }
    }
}
