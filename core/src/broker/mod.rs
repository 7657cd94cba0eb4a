//! The broker: connections, shards, and the messages between the machines of a node.

pub mod api;
pub mod authorizer;
pub mod cluster_view;
pub mod connection;
pub mod context;
pub mod coordinators;
pub mod data;
mod fan_out;
mod fetch_sessions;
mod handlers;
pub mod messages;
mod request;
pub mod shard;
mod watches;

pub use connection::{Connection, Peer};
pub use context::RequestContext;
pub use messages::{ConnectionEvent, Message, ShardEvent};
pub use shard::Shard;
