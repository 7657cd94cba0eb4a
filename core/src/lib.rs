//! Ottla's no-IO core: every decision that a cluster makes, and none of the outside world.
//!
//! No clock, no socket, no file, no thread, no unseeded randomness: `now`, storage and the seed are arguments, effects are
//! values. The shells (`server/`, `web/`) drive the same machines. `ARCHITECTURE.md` is the map.

#![forbid(unsafe_code)]

pub mod broker;
pub mod client;
pub mod config;
pub mod controller;
pub mod coordinator;
mod crc;
pub mod feed;
pub mod ids;
pub mod log;
pub mod machine;
pub mod metadata;
pub mod metrics;
pub mod network;
pub mod partition;
pub mod quorum;
pub mod record;
pub mod replication;
pub mod rng;
pub mod sim;
pub mod small_map;
pub mod time;
pub mod tools;
pub mod trace;
pub mod tree;
