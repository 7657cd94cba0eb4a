//! The playground: a cluster in a browser tab.
//!
//! Two programs are built from this crate. `engine` runs the world ([`ottla_core`]'s simulator with a broker, clients and
//! command lines) in a Web Worker; `page` draws what the engine reports and sends it what the visitor types. They speak the
//! messages of [`link`]. The page owns nothing but what it draws.

pub mod complete;
pub mod draw;
pub mod history;
pub mod i18n;
pub mod link;
pub mod pace;
pub mod wire;

#[cfg(target_arch = "wasm32")]
pub mod components;
#[cfg(target_arch = "wasm32")]
pub mod engine;
#[cfg(target_arch = "wasm32")]
pub mod infra;

/// The engine that the worker runs and the snapshots that it reports.
pub use ottla_core::sim::playground;
