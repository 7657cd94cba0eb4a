//! What the page draws.

mod app;
mod broker;
mod cluster;
mod groups;
mod header;
mod lane;
mod mirror;
mod record;
mod scenes;
mod steps;
pub mod terminal;
mod transport;
mod wire;

pub use app::{App, run};
pub use cluster::{Cluster, ClusterProps};
pub use groups::{Groups, GroupsProps};
pub use wire::{Wire, WireProps};
