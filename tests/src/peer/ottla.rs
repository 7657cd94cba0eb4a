//! Ottla's server with its keys on the command line.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use super::Peer;

/// `OTTLA_BIN`, else the newest of the built binaries.
pub fn binary() -> PathBuf {
    if let Some(path) = env::var_os("OTTLA_BIN") {
        return path.into();
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
    let built = ["release/ottla", "debug/ottla"].map(|name| target.join(name));
    let newest =
        built.into_iter().filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path))).max();
    newest.expect("no binary: run `cargo build -p ottla-server`").1
}

/// The server's command line.
pub fn command(peer: &Peer) -> Command {
    let listener = format!("PLAINTEXT://127.0.0.1:{}", peer.port);
    let mut command = Command::new(binary());
    // The first words of a panic say more than its last.
    command.arg("server").current_dir(&peer.directory).env("RUST_BACKTRACE", "0");
    let place = [
        ("listeners".to_owned(), listener.clone()),
        ("advertised.listeners".to_owned(), listener),
        ("log.dirs".to_owned(), peer.directory.join("data").display().to_string()),
        ("ottla.http.listeners".to_owned(), format!("127.0.0.1:{}", peer.controller_port)),
    ];
    for (key, value) in place.iter().chain(&peer.overrides) {
        command.arg("--override").arg(format!("{key}={value}"));
    }
    command
}
