//! Ottla natively: sockets, files, threads and the real clock around the core.
//!
//! Nothing here decides anything about Kafka: `store` keeps bytes in files, `mailbox` lets threads drive the core's machines.

pub mod compressors;
pub mod mailbox;
pub mod store;

/// The primitives that `mailbox` is built from; its model test has others.
mod sync {
    pub(crate) use std::sync::{Mutex, MutexGuard};
}
