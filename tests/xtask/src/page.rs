//! The page: built by Trunk, its parts weighed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::repository::root;
use crate::shell::{Failure, Outcome, command, quiet, run};
use crate::tools;

const BUILD_MAX: Duration = Duration::from_secs(20 * 60);

/// What a first visit may load, compressed.
const FIRST_LOAD_BYTES_MAX: u64 = 1_000_000;

/// Builds the page into `dist`.
pub fn build() -> Outcome {
    tools::page()?;
    let mut trunk = command("trunk build --release --offline".split(' '));
    trunk.env("PATH", tools::path());
    // Trunk takes the value of this variable for an argument of its own.
    trunk.env_remove("NO_COLOR");
    run(trunk, BUILD_MAX).map_err(|failure| failure.advise("run `cargo xtask page` and read what Trunk says"))
}

/// Builds the page if something that it is made of is newer.
pub fn build_if_stale() -> Outcome {
    let built = modified(&root().join("dist/index.html"));
    let sources = ["web", "core", "www", "Trunk.toml", "Cargo.lock"].map(|name| newest(&root().join(name)));
    if built.is_some_and(|built| sources.iter().flatten().all(|source| *source <= built)) {
        println!("the page in dist is up to date");
        return Ok(());
    }
    build()
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

fn newest(path: &Path) -> Option<SystemTime> {
    let inside = fs::read_dir(path).ok().into_iter().flatten().flatten().map(|entry| newest(&entry.path()));
    inside.chain([modified(path).filter(|_| path.is_file())]).flatten().max()
}

/// Prints what each part of the page weighs; fails when a first visit loads too much.
pub fn ledger() -> Outcome {
    tools::debian(&[("brotli", "brotli")])?;
    let mut parts = Vec::new();
    collect(&root().join("dist"), &mut parts)?;
    parts.sort();
    println!("{:<60} {:>10} {:>10}", "part", "bytes", "brotli");
    let (mut plain_all, mut brotli_all) = (0, 0);
    for part in &parts {
        let plain = part.metadata()?.len();
        let brotli = compressed(part)?;
        let name = part.strip_prefix(root().join("dist")).unwrap_or(part).display();
        println!("{:<60} {plain:>10} {brotli:>10}", name.to_string());
        plain_all += plain;
        brotli_all += brotli;
    }
    println!("{:<60} {plain_all:>10} {brotli_all:>10}  of {FIRST_LOAD_BYTES_MAX}", "first load");
    match brotli_all {
        0 => Err(Failure::new("dist is empty").advise("run `cargo xtask page`")),
        bytes if bytes > FIRST_LOAD_BYTES_MAX => {
            Err(Failure::new(format!("the page weighs {bytes} bytes of at most {FIRST_LOAD_BYTES_MAX}")))
        }
        _ => Ok(()),
    }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => collect(&path, into)?,
            false => into.push(path),
        }
    }
    Ok(())
}

fn compressed(path: &Path) -> Outcome<u64> {
    let output = root().join(".tools/weighed.br");
    fs::create_dir_all(root().join(".tools"))?;
    let mut brotli = command(["brotli", "--best", "--force", "-o"]);
    brotli.arg(&output).arg(path);
    quiet(brotli)?;
    let bytes = output.metadata()?.len();
    fs::remove_file(output)?;
    Ok(bytes)
}
