//! Puts the page into the binary: Trunk's `dist` folder, when it has been built (`OTTLA_PAGE` names another folder).
//! A debug build reads the folder at run time instead.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=OTTLA_PAGE");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let page = env::var_os("OTTLA_PAGE").map_or_else(|| root.join("../dist"), PathBuf::from);
    let mut table = String::from("&[");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") && page.join("index.html").is_file() {
        let page = page.canonicalize().expect("it is there");
        println!("cargo::rerun-if-changed={}", page.display());
        add(&page, &page, &mut table);
    }
    table.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("page.rs");
    fs::write(out, table).expect("OUT_DIR is writable");
}

/// Adds the files of a folder, by their paths below the page's.
fn add(page: &Path, folder: &Path, table: &mut String) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            add(page, &path, table);
        } else {
            let name = path.strip_prefix(page).expect("below it").to_string_lossy().into_owned();
            writeln!(table, "({name:?}, include_bytes!({path:?})),").expect("strings take everything");
        }
    }
}
