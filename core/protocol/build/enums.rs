//! Enumerations: API keys, error codes, record types.

use std::fmt::Write as _;

use crate::names;
use crate::table::{Error, Message};

pub fn api_keys(messages: &[Message], retired: &[(i16, String)]) -> String {
    let mut keys: Vec<(i16, String, Option<&Message>)> = messages
        .iter()
        .filter(|message| message.kind == "request")
        .map(|message| {
            (
                message.key.expect("a request has an API key"),
                message.name.replace("Request", ""),
                Some(message),
            )
        })
        .collect();
    keys.extend(retired.iter().map(|(key, name)| (*key, name.clone(), None)));
    keys.sort_by_key(|(key, _, _)| *key);
    let mut out = String::from(
        "/// An API: what a request asks for, by the number that opens its header.\n\
         #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]\n#[repr(i16)]\npub enum ApiKey {\n",
    );
    for (key, name, _) in &keys {
        let _ = writeln!(out, "/// `{name}`, API key {key}.\n{name} = {key},");
    }
    let _ = writeln!(out, "}}\n/// Every API key, in order.\npub static ALL: &[ApiKey] = &[");
    for (_, name, _) in &keys {
        let _ = write!(out, "ApiKey::{name}, ");
    }
    out.push_str("];\npub(super) fn from_key(key: i16) -> Option<ApiKey> { Some(match key {\n");
    for (key, name, _) in &keys {
        let _ = writeln!(out, "{key} => ApiKey::{name},");
    }
    out.push_str("_ => return None }) }\npub(super) fn facts(key: ApiKey) -> Facts { match key {\n");
    for (_, name, message) in &keys {
        let (specs, listeners, unstable) = match message {
            None => ("None".to_owned(), &[][..], false),
            Some(message) => {
                let module = names::snake(name);
                let specs = format!(
                    "Some((&crate::messages::{module}_request::SPEC, &crate::messages::{module}_response::SPEC))"
                );
                (specs, &message.listeners[..], message.unstable)
            }
        };
        let on = |listener: &str| listeners.iter().any(|name| name == listener);
        let _ = writeln!(
            out,
            "ApiKey::{name} => Facts {{ name: {name:?}, specs: {specs}, broker: {}, controller: {}, unstable: {unstable} }},",
            on("broker"),
            on("controller"),
        );
    }
    out.push_str("} }\n");
    out
}

pub fn error_codes(errors: &[Error]) -> String {
    let mut out = String::from(
        "/// An error code, with Kafka's name for it.\n\
         #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]\n#[repr(i16)]\npub enum ErrorCode {\n",
    );
    for error in errors {
        if error.code == 0 {
            out.push_str("#[default]\n");
        }
        let _ = writeln!(out, "/// {} ({}): {}.", error.name, error.code, error.message);
        let _ = writeln!(out, "{} = {},", names::pascal(&error.name), error.code);
    }
    out.push_str("}\n/// Every error code, in order.\npub static ALL: &[ErrorCode] = &[");
    for error in errors {
        let _ = write!(out, "ErrorCode::{}, ", names::pascal(&error.name));
    }
    out.push_str("];\npub(super) fn from_code(code: i16) -> Option<ErrorCode> { Some(match code {\n");
    for error in errors {
        let _ = writeln!(out, "{} => ErrorCode::{},", error.code, names::pascal(&error.name));
    }
    out.push_str("_ => return None }) }\npub(super) fn facts(code: ErrorCode) -> Facts { match code {\n");
    for error in errors {
        let _ = writeln!(
            out,
            "ErrorCode::{} => Facts {{ name: {:?}, message: {:?}, retriable: {}, refresh: {} }},",
            names::pascal(&error.name),
            error.name,
            error.message,
            error.retriable,
            error.refresh,
        );
    }
    out.push_str("} }\n");
    out
}

/// One enumeration per kind of record (`metadata`, or `key` and `value`), by type number.
pub fn record_types(prefix: &str, messages: &[Message]) -> String {
    let mut out = String::from("use crate::wire::generated::*;\n");
    for (kind, suffix, what) in [
        ("metadata", "Record", "A record, by its type."),
        ("key", "Key", "A record's key: its type decides what the record says, and how its value reads."),
        ("value", "Value", "A record's value, by the type of its key."),
    ] {
        let of_kind: Vec<&Message> = messages.iter().filter(|message| message.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let name = format!("{prefix}{suffix}");
        let _ = writeln!(out, "record_types! {{ {what:?} {name} {{");
        for message in of_kind {
            let variant = message.name.trim_end_matches(suffix);
            let key = message.key.expect("a record has a type");
            let _ = writeln!(out, "{variant}({}) = {key},", message.name);
        }
        out.push_str("} }\n");
    }
    out
}
