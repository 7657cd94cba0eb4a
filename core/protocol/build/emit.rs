//! Structures, their defaults and their schemas.

use std::fmt::Write as _;

use crate::names;
use crate::table::{Field, Message, Struct, Versions};

/// One module per message, and the messages themselves re-exported beside them.
pub fn messages(messages: &[Message]) -> String {
    let mut out = String::new();
    for message in messages {
        let module = names::snake(&message.name);
        let _ = writeln!(out, "pub use {module}::{};", message.name);
        let _ = writeln!(out, "/// `{}`{}.", message.name, versions_in_words(message));
        let _ = writeln!(out, "pub mod {module} {{\nuse crate::wire::generated::*;");
        for structure in &message.structs {
            check_depth(message, structure, 0);
            emit_struct(&mut out, message, structure);
        }
        emit_spec(&mut out, message);
        out.push_str("}\n");
    }
    out
}

/// A list of every message, with how to make one.
pub fn registry(families: &[(String, Vec<Message>)]) -> String {
    let mut out = String::from("pub fn all() -> Vec<Entry> { vec![\n");
    for (family, messages) in families {
        for message in messages {
            let path = format!("crate::{family}::{}::{}", names::snake(&message.name), message.name);
            let _ = writeln!(
                out,
                "Entry {{ family: {family:?}, spec: <{path} as crate::Message>::SPEC, make: || Box::new({path}::default()) }},"
            );
        }
    }
    out.push_str("] }\n");
    out
}

fn versions_in_words(message: &Message) -> String {
    let Versions { first, last } = message.versions;
    let mut words =
        if first == last { format!(", version {first}") } else { format!(", versions {first} to {last}") };
    if message.flexible != Versions::NONE {
        let _ = write!(words, ", flexible from {}", message.flexible.first);
    }
    words
}

fn emit_struct(out: &mut String, message: &Message, structure: &Struct) {
    let Struct { name, fields } = structure;
    let of = if *name == message.name { String::new() } else { format!(" in `{}`", message.name) };
    let _ = writeln!(out, "/// `{name}`{of}.");
    let derived = fields.iter().all(default_is_natural);
    let derive = if derived { "Clone, PartialEq, Default" } else { "Clone, PartialEq" };
    let _ = writeln!(out, "#[derive({derive})]\npub struct {name} {{");
    for field in fields {
        let _ = writeln!(out, "/// {}", field_in_words(field));
        let _ = writeln!(out, "pub {}: {},", names::field(&field.name), rust_type(field));
    }
    out.push_str("}\n");
    if !derived {
        let _ = writeln!(out, "impl Default for {name} {{ fn default() -> Self {{ Self {{");
        for field in fields {
            let _ = writeln!(out, "{}: {},", names::field(&field.name), rust_default(field));
        }
        out.push_str("} } }\n");
    }
    let _ = writeln!(out, "impl Struct for {name} {{");
    let _ = writeln!(out, "fn schema(&self) -> &'static Schema {{ &{} }}", schema_name(name));
    let (unused, arms) = if fields.is_empty() { ("_", false) } else { ("at", true) };
    for (signature, method, end) in [
        ("fn get(&self, #: usize) -> Ref<'_>", "get", "Ref::Null"),
        ("fn get_mut(&mut self, #: usize) -> Mut<'_>", "get_mut", "Mut::Nothing"),
    ] {
        let _ = write!(out, "{} {{ ", signature.replace('#', unused));
        if arms {
            out.push_str("match at { ");
            for (at, field) in fields.iter().enumerate() {
                let _ = write!(
                    out,
                    "{at} => Value::{method}(&{}self.{}), ",
                    if method == "get" { "" } else { "mut " },
                    names::field(&field.name)
                );
            }
            let _ = write!(out, "_ => {end} }}");
        } else {
            out.push_str(end);
        }
        out.push_str(" }\n");
    }
    out.push_str("}\n");
    let _ = writeln!(
        out,
        "impl fmt::Debug for {name} {{ fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{ debug(self, f) }} }}"
    );
    emit_schema(out, message, structure);
}

fn emit_schema(out: &mut String, message: &Message, structure: &Struct) {
    let _ = write!(
        out,
        "static {}: Schema = Schema {{ name: {:?}, fields: &[",
        schema_name(&structure.name),
        structure.name
    );
    for field in &structure.fields {
        let (tag, tagged) = match field.tag {
            Some((tag, since)) => (i32::from(tag), since),
            None => (-1, Versions::NONE),
        };
        let _ = writeln!(
            out,
            "Field {{ name: {:?}, kind: {}, versions: {}, nullable: {}, tag: {tag}, tagged: {}, default: {}, ignorable: {}, inflexible: {} }},",
            field.name,
            kind(field),
            versions(field.versions),
            versions(field.null),
            versions(tagged),
            schema_default(field),
            field.ignorable,
            field.inflexible,
        );
    }
    let mut tags: Vec<(u16, usize)> = structure
        .fields
        .iter()
        .enumerate()
        .filter_map(|(at, field)| field.tag.map(|(tag, _)| (tag, at)))
        .collect();
    tags.sort_unstable();
    assert!(tags.windows(2).all(|pair| pair[0].0 != pair[1].0), "{}: a tag twice", structure.name);
    assert!(tags.len() <= 64, "{}: too many tags", structure.name);
    let tags: Vec<usize> = tags.into_iter().map(|(_, at)| at).collect();
    let _ = writeln!(out, "], tags: &{tags:?} }};");
    let _ = message;
}

fn emit_spec(out: &mut String, message: &Message) {
    let name = &message.name;
    let _ = writeln!(
        out,
        "/// What is known of `{name}` without a value of it.\npub static SPEC: MessageSpec = MessageSpec {{ name: {name:?}, key: {}, versions: {}, flexible: {}, schema: &{} }};",
        message.key.unwrap_or(-1),
        versions(message.versions),
        versions(message.flexible),
        schema_name(name),
    );
    let _ = writeln!(out, "impl Message for {name} {{ const SPEC: &'static MessageSpec = &SPEC; }}");
    if message.kind == "request" || message.kind == "response" {
        let base = name.trim_end_matches("Request").trim_end_matches("Response");
        if message.kind == "request" {
            let module = names::snake(&format!("{base}Response"));
            let _ = writeln!(
                out,
                "impl Request for {name} {{ const API_KEY: ApiKey = ApiKey::{base}; type Response = super::{module}::{base}Response; }}"
            );
        } else {
            let _ = writeln!(out, "impl Response for {name} {{ const API_KEY: ApiKey = ApiKey::{base}; }}");
        }
    }
}

/// Structures do not recurse, so that the stack a frame can take is bounded by the tables.
fn check_depth(message: &Message, structure: &Struct, depth: usize) {
    assert!(depth < 12, "{}.{} nests too deep", message.name, structure.name);
    for field in &structure.fields {
        let can_be_null =
            field.array || field.is_struct() || ["string", "bytes", "records"].contains(&&*field.base);
        assert!(can_be_null || !field.nullable(), "{}.{} is a nullable number", structure.name, field.name);
    }
    for field in structure.fields.iter().filter(|field| field.is_struct()) {
        let mut below = message.structs.iter().filter(|below| below.name == field.base);
        let Some(found) = below.next() else { panic!("{}: no structure {}", message.name, field.base) };
        assert!(below.next().is_none(), "{}: structure {} twice", message.name, field.base);
        check_depth(message, found, depth + 1);
    }
}

fn field_in_words(field: &Field) -> String {
    let mut words = match field.versions {
        Versions { first, last: i16::MAX } => format!("`{}`, since version {first}", field.name),
        Versions { first, last } if first == last => format!("`{}`, version {first} only", field.name),
        Versions { first, last } => format!("`{}`, versions {first} to {last}", field.name),
    };
    if let Some((tag, _)) = field.tag {
        let _ = write!(words, ", tag {tag}");
    }
    if let Some(default) = &field.default {
        let _ = write!(words, "; {default} by default");
    }
    words.push('.');
    words
}

fn rust_type(field: &Field) -> String {
    let base = match field.base.as_str() {
        "bool" => "bool",
        "int8" => "i8",
        "int16" => "i16",
        "uint16" => "u16",
        "int32" => "i32",
        "uint32" => "u32",
        "int64" => "i64",
        "float64" => "f64",
        "uuid" => "Uuid",
        "string" => "Str",
        "bytes" => "Bytes",
        "records" => "Records",
        base => base,
    };
    let whole = if field.array { format!("Vec<{base}>") } else { base.to_owned() };
    if field.nullable() && field.base != "records" { format!("Option<{whole}>") } else { whole }
}

/// Whether Kafka's default is what `Default` gives the Rust type.
fn default_is_natural(field: &Field) -> bool {
    match (&field.default, field.nullable() && field.base != "records") {
        (None, nullable) => !nullable,
        (Some(_), nullable) => (nullable || field.base == "records") && field.default_is_null(),
    }
}

fn rust_default(field: &Field) -> String {
    if default_is_natural(field) {
        return "Default::default()".to_owned();
    }
    match (&field.default, field.base.as_str()) {
        // Kafka's default of a nullable field is the empty value unless the table says null.
        (None, _) => "Some(Default::default())".to_owned(),
        (Some(text), "string") if field.nullable() => format!("Some(Str::from_static({text:?}))"),
        (Some(text), "string") => format!("Str::from_static({text:?})"),
        (Some(text), _) => text.clone(),
    }
}

fn schema_default(field: &Field) -> String {
    match (&field.default, field.base.as_str()) {
        (None, _) => "Preset::Zero".to_owned(),
        (Some(_), _) if field.default_is_null() => "Preset::Null".to_owned(),
        (Some(text), "string") => format!("Preset::Text({text:?})"),
        (Some(text), "bool") => format!("Preset::Int({})", i64::from(text == "true")),
        (Some(text), _) => format!("Preset::Int({text})"),
    }
}

fn kind(field: &Field) -> String {
    let base = match field.base.as_str() {
        "bool" => "Kind::Bool",
        "int8" => "Kind::Int8",
        "int16" => "Kind::Int16",
        "uint16" => "Kind::Uint16",
        "int32" => "Kind::Int32",
        "uint32" => "Kind::Uint32",
        "int64" => "Kind::Int64",
        "float64" => "Kind::Float64",
        "uuid" => "Kind::Uuid",
        "string" => "Kind::String",
        "bytes" => "Kind::Bytes",
        "records" => "Kind::Records",
        base => return wrap(field.array, &format!("Kind::Struct(&{})", schema_name(base))),
    };
    wrap(field.array, base)
}

fn wrap(array: bool, base: &str) -> String {
    if array { format!("Kind::Array(&{base})") } else { base.to_owned() }
}

fn versions(Versions { first, last }: Versions) -> String {
    format!("Versions {{ first: {first}, last: {last} }}")
}

fn schema_name(name: &str) -> String {
    format!("{}_SCHEMA", names::snake(name).to_uppercase())
}
