//! Where things are: the repository, and the folder of tools that clones share.

use std::path::{Path, PathBuf};

/// The top of this checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tests/xtask is two levels below the top").to_path_buf()
}

/// The cargo target folder (`CARGO_TARGET_DIR`, else `target` at the top).
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
