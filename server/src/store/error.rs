//! What the operating system says, as the core understands it.

use std::io::{Error, ErrorKind};

use ottla_core::log::store::StoreError;

/// The store's error for one of the system's, with what was tried and where.
pub(super) fn store_error(path: &str, verb: &str, error: &Error) -> StoreError {
    match error.kind() {
        ErrorKind::NotFound => StoreError::NotFound,
        ErrorKind::AlreadyExists => StoreError::AlreadyExists,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::NoSpace,
        _ => StoreError::Io(format!("{path}: cannot {verb}: {error}")),
    }
}
