//! A partition's log: segments, indexes, recovery, retention, producer state, leader epochs.

pub mod store;

pub use store::{LogStore, StoreError};
