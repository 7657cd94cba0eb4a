//! The table notation, read.
//!
//! ```text
//! request FetchRequest 1 versions:0-18 flexible:12+ listeners:broker,controller
//!   ClusterId   string 12+ null:12+ tag:0 =null ignorable
//!   Topics      []FetchTopic 0+
//!     TopicId   uuid 13+ ignorable
//!   struct Shared
//!     Name      string 0+
//! ```
//!
//! A message is a line at the margin: what it is (`request`, `response`, `header`, `data`, `metadata`, `key`,
//! `value`), Kafka's name, the API key or record type where there is one, and attributes. Below it stand its
//! fields, one a line: name, type, versions, then `null:` (versions in which it may be null), `tag:` (and
//! `@versions` where it is tagged in fewer versions than it exists), `=` default, `ignorable` (dropped silently
//! at versions that lack it) and `inflexible` (the old encoding even in flexible versions). The fields of a
//! structure are indented below the field that uses it first; `struct` declares one that several fields share.

use std::{fs, path::Path};

/// An inclusive range of versions; empty when `last < first`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Versions {
    pub first: i16,
    pub last: i16,
}

impl Versions {
    pub const NONE: Self = Self { first: 0, last: -1 };

    fn parse(text: &str) -> Self {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("not a version: {text}"));
        if let Some(first) = text.strip_suffix('+') {
            return Self { first: number(first), last: i16::MAX };
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Self { first: number(first), last: number(last) }
    }
}

#[derive(Clone, Debug)]
pub struct Message {
    pub kind: String,
    pub name: String,
    pub key: Option<i16>,
    pub versions: Versions,
    pub flexible: Versions,
    pub listeners: Vec<String>,
    pub unstable: bool,
    /// The message itself first, then every structure below it.
    pub structs: Vec<Struct>,
}

#[derive(Clone, Debug)]
pub struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    /// The element type of an array, else the type.
    pub base: String,
    pub array: bool,
    pub versions: Versions,
    pub null: Versions,
    pub tag: Option<(u16, Versions)>,
    pub default: Option<String>,
    pub ignorable: bool,
    pub inflexible: bool,
}

impl Field {
    pub fn is_struct(&self) -> bool {
        self.base.starts_with(|first: char| first.is_ascii_uppercase())
    }

    pub fn nullable(&self) -> bool {
        self.null != Versions::NONE
    }

    pub fn default_is_null(&self) -> bool {
        self.default.as_deref() == Some("null")
    }
}

/// All messages of one table file.
pub fn messages(path: &Path) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    // The structures that are open at the current indentation: (indentation of their fields, index).
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (number, indent, words) in lines(path) {
        let fail = |what: &str| -> ! { panic!("{}:{number}: {what}", path.display()) };
        if indent == 0 {
            let message = head(&words).unwrap_or_else(|what| fail(&what));
            messages.push(message);
            open = vec![(2, 0)];
            continue;
        }
        let Some(message) = messages.last_mut() else { fail("a field without a message") };
        if words[0] == "struct" {
            message.structs.push(Struct { name: words[1].clone(), fields: Vec::new() });
            open = vec![(4, message.structs.len() - 1)];
            continue;
        }
        while open.last().is_some_and(|(depth, _)| *depth > indent) {
            open.pop();
        }
        let Some(&(depth, at)) = open.last() else { fail("indented less than its structure") };
        let field = field(&words).unwrap_or_else(|what| fail(&what));
        if depth == indent {
            message.structs[at].fields.push(field);
            continue;
        }
        // One step deeper: the fields of the structure that the field above names.
        let Some(parent) = message.structs[at].fields.last() else { fail("no field to stand below") };
        message.structs.push(Struct { name: parent.base.clone(), fields: vec![field] });
        open.push((indent, message.structs.len() - 1));
    }
    messages
}

/// `(key, name)` of API keys that exist in name only.
pub fn retired(path: &Path) -> Vec<(i16, String)> {
    lines(path).map(|(_, _, words)| (words[1].parse().expect("an API key"), words[2].clone())).collect()
}

#[derive(Debug)]
pub struct Error {
    pub code: i16,
    pub name: String,
    pub retriable: bool,
    pub refresh: bool,
    pub message: String,
}

/// `code NAME [retriable] [refresh] [: message]`
pub fn errors(path: &Path) -> Vec<Error> {
    lines(path)
        .map(|(_, _, words)| {
            let text = words.iter().position(|word| word == ":");
            Error {
                code: words[0].parse().expect("an error code"),
                name: words[1].clone(),
                retriable: words[2..text.unwrap_or(words.len())].iter().any(|word| word == "retriable"),
                refresh: words[2..text.unwrap_or(words.len())].iter().any(|word| word == "refresh"),
                message: match text {
                    Some(at) => words[at + 1..].join(" "),
                    None => words[1].to_lowercase().replace('_', " "),
                },
            }
        })
        .collect()
}

/// Line number, indentation and words of every line that says something.
fn lines(path: &Path) -> impl Iterator<Item = (usize, usize, Vec<String>)> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.into_iter().enumerate().filter_map(|(at, line)| {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let says = words.first().is_some_and(|word| !word.starts_with('#'));
        says.then_some((at + 1, indent, words))
    })
}

fn head(words: &[String]) -> Result<Message, String> {
    let [kind, name, attributes @ ..] = words else { return Err("a message has a kind and a name".into()) };
    let mut message = Message {
        kind: kind.clone(),
        name: name.clone(),
        key: None,
        versions: Versions::NONE,
        flexible: Versions::NONE,
        listeners: Vec::new(),
        unstable: false,
        structs: vec![Struct { name: name.clone(), fields: Vec::new() }],
    };
    for word in attributes {
        match word.split_once(':') {
            Some(("versions", versions)) => message.versions = Versions::parse(versions),
            Some(("flexible", versions)) => message.flexible = Versions::parse(versions),
            Some(("listeners", names)) => message.listeners = names.split(',').map(str::to_owned).collect(),
            None if word == "unstable" => message.unstable = true,
            None => message.key = Some(word.parse().map_err(|_| format!("not an attribute: {word}"))?),
            Some(_) => return Err(format!("not an attribute: {word}")),
        }
    }
    Ok(message)
}

fn field(words: &[String]) -> Result<Field, String> {
    let [name, kind, versions, attributes @ ..] = words else {
        return Err("a field has a name, a type and versions".into());
    };
    let versions = Versions::parse(versions);
    let (array, base) = kind.strip_prefix("[]").map_or((false, kind.as_str()), |base| (true, base));
    let mut field = Field {
        name: name.clone(),
        base: base.to_owned(),
        array,
        versions,
        null: Versions::NONE,
        tag: None,
        default: None,
        ignorable: false,
        inflexible: false,
    };
    for word in attributes {
        if let Some(default) = word.strip_prefix('=') {
            field.default = Some(default.to_owned());
        } else if let Some(null) = word.strip_prefix("null:") {
            field.null = Versions::parse(null);
        } else if let Some(tag) = word.strip_prefix("tag:") {
            let (tag, since) = tag.split_once('@').map_or((tag, versions), |(t, v)| (t, Versions::parse(v)));
            field.tag = Some((tag.parse().map_err(|_| format!("not a tag: {tag}"))?, since));
        } else if word == "ignorable" {
            field.ignorable = true;
        } else if word == "inflexible" {
            field.inflexible = true;
        } else {
            return Err(format!("not an attribute: {word}"));
        }
    }
    Ok(field)
}
