//! Ottla natively: sockets, files, threads and the real clock around the core.
//!
//! Nothing here decides anything about Kafka. `store` keeps bytes in files; `mailbox` and `driver` let threads drive the core's
//! machines; the listeners carry frames; `server` is a node's life from its configuration to its clean stop.

pub mod cli;
pub mod compressors;
pub mod dispatcher;
pub mod driver;
pub mod events;
pub mod format;
pub mod frames;
pub mod http;
pub mod kafka_listener;
pub mod keys;
pub mod links;
pub mod lock;
pub mod logging;
pub mod mailbox;
pub mod memory;
pub mod metrics;
pub mod outbox;
pub mod page;
pub mod server;
pub mod service;
pub mod store;
pub mod tools;
pub mod tunnel;
pub mod websocket;

/// The version of this binary.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The primitives that `mailbox` is built from; its model test has others.
mod sync {
    pub(crate) use std::sync::{Mutex, MutexGuard};
}
