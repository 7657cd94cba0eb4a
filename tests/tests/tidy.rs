//! What a reader may rely on in every file of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file longer than this no longer fits a head: find the domain's seam.
const LINES_MAX: usize = 1000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is below the top").to_path_buf()
}

/// The tracked text files, as (path from the top, text).
fn tracked() -> Vec<(String, String)> {
    let listing =
        Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git runs");
    assert!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
    let names = String::from_utf8(listing.stdout).expect("names are UTF-8");
    let names = names.split('\0').filter(|name| !name.is_empty());
    let files: Vec<_> = names
        .filter_map(|name| Some((name.to_owned(), std::fs::read_to_string(root().join(name)).ok()?)))
        .collect();
    assert!(files.len() > 10, "only {} files are tracked", files.len());
    files
}

fn rust_files() -> Vec<(String, String)> {
    tracked().into_iter().filter(|(name, _)| name.ends_with(".rs")).collect()
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n  {}", faults.len(), faults.join("\n  "));
}

#[test]
fn no_rust_file_is_longer_than_a_head_holds() {
    let faults: Vec<_> = rust_files()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > LINES_MAX)
        .map(|(name, text)| format!("{name}: {} lines of at most {LINES_MAX}", text.lines().count()))
        .collect();
    report(&faults);
}

#[test]
fn every_module_says_what_it_is() {
    let faults: Vec<_> = rust_files()
        .into_iter()
        .filter(|(name, _)| name.contains("src/") && !name.ends_with("/tests.rs"))
        .filter(|(_, text)| !["", "fn main() {}"].contains(&text.trim()) && !text.starts_with("//!"))
        .map(|(name, _)| format!("{name}: begins without a `//!` line"))
        .collect();
    report(&faults);
}

#[test]
fn nothing_is_left_for_later_or_ignored() {
    let marks = [
        "to".to_owned() + "do!(",
        "FIX".to_owned() + "ME",
        "XX".to_owned() + "X",
        "#[ign".to_owned() + "ore",
    ];
    let faults = lines_with(&rust_files(), &marks);
    report(&faults);
}

#[test]
fn core_forbids_what_a_pure_machine_must_not_do() {
    let banned = ["std::fs", "std::net", "std::thread", "SystemTime", "std::time::Instant", "std::env"];
    let banned: Vec<String> = banned.iter().map(ToString::to_string).collect();
    let core: Vec<_> = rust_files().into_iter().filter(|(name, _)| name.starts_with("core/src/")).collect();
    let code: Vec<_> = core
        .into_iter()
        .map(|(name, text)| (name, text.lines().map(without_comment).collect::<Vec<_>>().join("\n")))
        .collect();
    report(&lines_with(&code, &banned));
}

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    let words = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["/home", "/"].concat()];
    let files: Vec<_> = tracked().into_iter().filter(|(name, _)| !name.ends_with(".lock")).collect();
    report(&lines_with(&files, &words));
}

/// A lock file that names a mirror installs nowhere else.
#[test]
fn lock_files_name_only_the_public_registries() {
    let faults: Vec<_> = tracked()
        .into_iter()
        .filter(|(name, _)| name.ends_with("Cargo.lock"))
        .flat_map(|(name, text)| {
            let sources = text.lines().filter(|line| line.starts_with("source = ")).map(str::to_owned);
            let foreign = sources.filter(|line| !line.contains("github.com/rust-lang/crates.io-index"));
            foreign.map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
        })
        .collect();
    report(&faults);
}

fn lines_with(files: &[(String, String)], words: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, text) in files {
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(word.as_str())) {
                faults.push(format!("{name}:{}: {word}", index + 1));
            }
        }
    }
    faults
}
