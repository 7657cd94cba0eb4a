//! What the page draws.

mod app;
mod cluster;
mod groups;
mod header;
mod lane;
mod record;
mod scenes;
mod steps;
pub mod terminal;
mod transport;

pub use app::{App, run};
pub use cluster::{Cluster, ClusterProps};
pub use groups::{Groups, GroupsProps};
