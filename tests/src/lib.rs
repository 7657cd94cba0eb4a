//! End to end: Ottla beside Apache Kafka, real clients against both.
//!
//! - [`load`] asks again until it is answered;
//! - [`batch`] makes record batches, right and wrong ones;
//! - [`dump`] dumps files with both tools;
//! - [`fuzz`] takes any bytes wherever bytes of others come in;
//! - [`peer`] starts Apache Kafka and Ottla with one interface;
//! - [`wire`] speaks Kafka's frames over a plain socket;
//! - [`program`] runs a client program and keeps what it printed.
//!
//! The suites are in `tests/`, the client programs in `clients/`.

pub mod batch;
pub mod dump;
pub mod fuzz;
pub mod load;
pub mod peer;
pub mod program;
pub mod wire;

use std::path::{Path, PathBuf};

/// The top of this checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is below the top").to_path_buf()
}

/// What `cargo xtask test` installed for the tests: jars, a Python environment, npm packages.
pub fn tools() -> PathBuf {
    root().join(".tools")
}
