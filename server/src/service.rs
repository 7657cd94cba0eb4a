//! What a listener needs of the node behind it, so that frames and sockets can be tested without one.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use ottla_core::broker::quotas::ConnectionLimits;
use ottla_core::network::Target;
use tokio::sync::Notify;

use crate::outbox::Outbox;

/// Answers frames.
pub trait Service: Send + Sync + 'static {
    /// A client connected; what is sent to it goes into `outbox`.
    fn connected(self: Arc<Self>, peer: Peer, outbox: Arc<dyn Outbox>) -> Box<dyn Session>;
    /// How many connections may come from `host` to a listener in a second.
    fn connection_limits(&self, listener: &str, host: IpAddr) -> ConnectionLimits;
    /// Where a client of this listener finds another broker; `None` when a tunnel cannot lead there.
    fn address(&self, node: i32, listener: &str) -> Option<Target>;
}

/// One client, until it is dropped.
pub trait Session: Send + Sync {
    /// A whole frame arrived, without its length prefix.
    fn received(&self, frame: Bytes);
    /// Whether another frame may be handed over; while not, the socket is not read.
    fn wants_more(&self) -> bool;
    /// Told when [`wants_more`](Self::wants_more) becomes true again.
    fn resumed(&self) -> &Notify;
    /// Whether a node that stops may send this client away now: nothing that it produces is on its way.
    fn may_part(&self) -> bool;
}

/// Where a client came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Name of the listener.
    pub listener: Arc<str>,
    /// Its address.
    pub host: IpAddr,
}
