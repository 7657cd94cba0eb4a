//! The node as its listeners see it.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use ottla_core::broker::quotas::ConnectionLimits;
use ottla_core::broker::{
    Connection, ConnectionEvent, Message, Peer as ConnectionPeer, QuotasEvent, ShardEvent, cluster_view,
};
use ottla_core::controller::ControllerEvent;
use ottla_core::network::Target;
use tokio::sync::Notify;

use super::Driver;
use super::connections::Client;
use super::ready::{Ready, Storage};
use super::slot::Slot;
use crate::outbox::Outbox;
use crate::service::{Peer, Service, Session};
use crate::store::Durable;

struct ClientSession<S: Durable> {
    driver: Arc<Driver<S>>,
    client: Arc<Client<S>>,
    /// Brokers send their heartbeats by it.
    is_to_controller: bool,
}

impl<S: Durable> Service for Driver<S> {
    fn connected(self: Arc<Self>, peer: Peer, outbox: Arc<dyn Outbox>) -> Box<dyn Session> {
        let shards = u16::try_from(self.shards.len()).unwrap_or(u16::MAX);
        let is_to_controller = self.config.is_controller_listener(&peer.listener);
        let client = self.connections.add(outbox, |id, published, seed| {
            let peer = ConnectionPeer {
                id,
                listener: (*peer.listener).into(),
                host: format!("/{}", peer.host).into(),
            };
            let machine = Connection::new(peer, Arc::clone(&self.config), published, shards, seed);
            Slot::new(machine, &self.store)
        });
        tracing::debug!(target: "kafka.network", connection = client.id.0, host = %peer.host, listener = %peer.listener, "connected");
        Box::new(ClientSession { driver: self, client, is_to_controller })
    }

    fn connection_limits(&self, listener: &str, host: IpAddr) -> ConnectionLimits {
        ConnectionLimits::new(&self.config, &self.published().image, listener, host)
    }

    fn address(&self, node: i32, listener: &str) -> Option<Target> {
        cluster_view::plain_endpoint(&self.published().image, node, listener)
    }
}

impl<S: Durable> Session for ClientSession<S> {
    fn received(&self, frame: Bytes) {
        if self.client.slot.mailbox.post(ConnectionEvent::Received(frame)) {
            let mut ready = Ready::default();
            ready.client(Arc::clone(&self.client));
            self.driver.run(ready);
        }
    }

    fn wants_more(&self) -> bool {
        self.client.wants_more()
    }

    fn resumed(&self) -> &Notify {
        &self.client.resumed
    }

    fn may_part(&self) -> bool {
        self.client.slot.mailbox.at_rest(|seat| seat.machine.may_part()) == Some(true)
    }
}

impl<S: Durable> Drop for ClientSession<S> {
    fn drop(&mut self) {
        let id = self.client.id;
        self.driver.connections.remove(id);
        let mut ready = Ready::default();
        for (index, slot) in self.driver.shards.iter().enumerate() {
            if slot.mailbox.post(ShardEvent::ConnectionClosed(id)) {
                ready.storage(Storage::Shard(index));
            }
        }
        if self.is_to_controller {
            self.driver.post(Message::Controller(ControllerEvent::ConnectionClosed(id)), &mut ready);
        }
        self.driver.post(Message::Quotas(QuotasEvent::Forget(id)), &mut ready);
        self.driver.run(ready);
    }
}
