//! Where things are: the repository, and the folder of tools that clones share.

use std::path::{Path, PathBuf};

/// The top of this checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tests/xtask is two levels below the top").to_path_buf()
}
