//! The broker: connections, shards, and the messages between the machines of a node.

pub mod context;
pub mod messages;

pub use context::RequestContext;
pub use messages::{ConnectionEvent, Message, ShardEvent};
