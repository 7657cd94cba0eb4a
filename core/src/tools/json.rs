//! JSON (RFC 8259), as files that arguments name hold it.

use std::fmt;

/// How deep values may be nested.
const DEPTH_MAX: usize = 64;

/// A value. Numbers stay as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`, `true`, `false`, or a number.
    Word(String),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object, its members in order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a text that is one value and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let value = value(&mut rest, DEPTH_MAX)?;
        rest.trim_start().is_empty().then_some(value)
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comma = |at: usize| if at == 0 { "" } else { "," };
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(items) => {
                f.write_str("[")?;
                items.iter().enumerate().try_for_each(|(at, item)| write!(f, "{}{item}", comma(at)))?;
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                let mut members = members.iter().enumerate();
                members
                    .try_for_each(|(at, (name, value))| write!(f, "{}{}:{value}", comma(at), quoted(name)))?;
                f.write_str("}")
            }
        }
    }
}

/// A string with its quotes.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

fn value(rest: &mut &str, depth: usize) -> Option<Json> {
    *rest = rest.trim_start();
    match rest.chars().next()? {
        '"' => text(rest).map(Json::Text),
        '[' => {
            let mut items = Vec::new();
            sequence(rest, ']', |rest| {
                items.push(value(rest, depth.checked_sub(1)?)?);
                Some(())
            })?;
            Some(Json::List(items))
        }
        '{' => {
            let mut members = Vec::new();
            sequence(rest, '}', |rest| {
                let name = text(rest)?;
                *rest = rest.trim_start().strip_prefix(':')?;
                members.push((name, value(rest, depth.checked_sub(1)?)?));
                Some(())
            })?;
            Some(Json::Object(members))
        }
        _ => word(rest),
    }
}

/// What stands between brackets, with commas between.
fn sequence(rest: &mut &str, end: char, mut item: impl FnMut(&mut &str) -> Option<()>) -> Option<()> {
    *rest = rest.get(1..)?.trim_start();
    if let Some(after) = rest.strip_prefix(end) {
        *rest = after;
        return Some(());
    }
    loop {
        item(rest)?;
        *rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(end) {
            *rest = after;
            return Some(());
        }
        *rest = rest.strip_prefix(',')?.trim_start();
    }
}

fn word(rest: &mut &str) -> Option<Json> {
    let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
    let end = rest.find(|letter| !is_of_word(letter)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    let is_number = || {
        word.parse::<f64>().is_ok()
            && word.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-')
    };
    (matches!(word, "null" | "true" | "false") || is_number()).then(|| Json::Word(word.to_owned()))
}

fn text(rest: &mut &str) -> Option<String> {
    let mut text = String::new();
    let mut letters = rest.strip_prefix('"')?.chars();
    loop {
        match letters.next()? {
            '"' => break,
            '\\' => text.push(match letters.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'u' => escaped(&mut letters)?,
                letter @ ('"' | '\\' | '/') => letter,
                _ => return None,
            }),
            letter if letter < ' ' => return None,
            letter => text.push(letter),
        }
    }
    *rest = letters.as_str();
    Some(text)
}

/// Four hexadecimal digits, or twice four of a surrogate pair.
fn escaped(letters: &mut std::str::Chars<'_>) -> Option<char> {
    let mut unit = || {
        let digits = letters.as_str().get(..4)?;
        *letters = letters.as_str().get(4..)?.chars();
        u32::from_str_radix(digits, 16).ok()
    };
    let high = unit()?;
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high);
    }
    *letters = letters.as_str().strip_prefix("\\u")?.chars();
    let mut low = || {
        let digits = letters.as_str().get(..4)?;
        *letters = letters.as_str().get(4..)?.chars();
        u32::from_str_radix(digits, 16).ok()
    };
    let low = low()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn what_is_read_is_written() {
        let texts = [
            "null",
            "[1,-2.5e3,true]",
            r#"{"a":{"b":[]},"":"\"\\\n"}"#,
            r#"{"partitions":[{"topic":"커피","partition":0}],"version":1}"#,
        ];
        for text in texts {
            assert_eq!(Json::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Json::parse(r#" "\u00e9\ud83d\ude00" "#), Some(Json::Text("é😀".into())));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        for text in ["", "{", "[1,]", "{nope", "\"", "1 2", "[1 2]", "{\"a\" 1}", "nan", "\"\\ud800\"", &deep]
        {
            assert_eq!(Json::parse(text), None, "{text}");
        }
    }
}
