//! Turns the tables of facts under `tables/` into Rust: one struct per Kafka structure, its schema, and the
//! enumerations of API keys, error codes and record types.

// A build script reads the tables and writes the code: what the core may not do, its build must.
#![allow(clippy::disallowed_methods)]

#[path = "build/emit.rs"]
mod emit;
#[path = "build/enums.rs"]
mod enums;
#[path = "build/names.rs"]
mod names;
#[path = "build/table.rs"]
mod table;

use std::{env, fs, path::Path};

/// Record families: table file, and the Rust prefix of the key, value or record enumeration.
const FAMILIES: [(&str, Option<&str>); 8] = [
    ("headers", None),
    ("embedded", None),
    ("raft", None),
    ("metadata", Some("Metadata")),
    ("group", Some("Group")),
    ("transaction", Some("Transaction")),
    ("share", Some("Share")),
    ("remote", None),
];

fn main() {
    println!("cargo::rerun-if-changed=tables");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let out = Path::new(&out);

    let mut files: Vec<_> = fs::read_dir("tables/api")
        .expect("tables/api is there")
        .map(|entry| entry.expect("a readable directory").path())
        .collect();
    files.sort();
    let apis: Vec<_> = files.iter().flat_map(|file| table::messages(file)).collect();
    fs::write(out.join("messages.rs"), emit::messages(&apis)).expect("OUT_DIR is writable");
    let retired = table::retired(Path::new("tables/retired.txt"));
    fs::write(out.join("api_key.rs"), enums::api_keys(&apis, &retired)).expect("OUT_DIR is writable");
    let errors = table::errors(Path::new("tables/errors.txt"));
    fs::write(out.join("error_code.rs"), enums::error_codes(&errors)).expect("OUT_DIR is writable");

    let mut records = String::new();
    let mut registry = vec![("messages".to_owned(), apis)];
    for (family, prefix) in FAMILIES {
        let messages = table::messages(Path::new(&format!("tables/records/{family}.txt")));
        records.push_str(&format!("/// See `tables/records/{family}.txt`.\npub mod {family} {{\n"));
        records.push_str(&emit::messages(&messages));
        if let Some(prefix) = prefix {
            records.push_str(&enums::record_types(prefix, &messages));
        }
        records.push_str("}\n");
        registry.push((format!("records::{family}"), messages));
    }
    fs::write(out.join("registry.rs"), emit::registry(&registry)).expect("OUT_DIR is writable");
    fs::write(out.join("records.rs"), records).expect("OUT_DIR is writable");
}
