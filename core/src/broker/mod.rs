//! The broker: connections, shards, and the messages between the machines of a node.

mod acknowledgements;
pub mod api;
pub mod authorizer;
pub mod cleaner;
pub mod cluster_view;
pub mod connection;
pub mod context;
pub mod coordinators;
mod current_leaders;
pub mod data;
mod due;
pub mod envelope;
mod fan_out;
mod fetch_sessions;
mod handlers;
pub mod lifecycle;
pub mod loggers;
pub mod messages;
pub mod node;
mod openings;
pub mod quotas;
mod request;
pub mod shard;
mod watches;

pub use connection::{Connection, Peer};
pub use context::RequestContext;
pub use lifecycle::{Identity, Lifecycle, LifecycleEvent};
pub use messages::{ConnectionEvent, Message, ShardEvent};
pub use node::Node;
pub use quotas::{Quotas, QuotasEvent};
pub use shard::Shard;

/// Shards of a node that does not say (`ottla.shards=0`).
const SHARDS_DEFAULT: u16 = 8;

/// How many shards a node has.
pub fn shard_count(config: &crate::config::BrokerConfig) -> u16 {
    u16::try_from(config.ottla_shards).ok().filter(|count| *count > 0).unwrap_or(SHARDS_DEFAULT)
}
