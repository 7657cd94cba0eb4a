//! Requests to the other replicas of the metadata log.

use std::collections::BTreeMap;

use ottla_protocol::{ApiKey, Bytes};

use crate::network::{self, LinkEffect, LinkEvent, Network, Reply, Target};
use crate::quorum::raft::rpc::{Request, Response, VERSIONS};
use crate::quorum::raft::{Failure, Peer, QuorumEvent};
use crate::time::Instant;

/// Links to them, and what was asked.
#[derive(Clone, Debug)]
pub struct Peers {
    network: Network,
    asked: BTreeMap<network::RequestId, (u64, ApiKey)>,
}

impl Peers {
    /// Nobody is spoken to yet.
    pub fn new(node_id: i32) -> Self {
        Self { network: Network::new(format!("raft-client-{node_id}")), asked: BTreeMap::new() }
    }

    /// Sends a request; the answer, or that there is none, comes out of [`Peers::take_answers`].
    pub fn send(&mut self, now: Instant, to: &Peer, correlation: u64, request: Request, timeout_ms: i64) {
        let api = request.api_key();
        let versions = VERSIONS.into_iter().find(|(key, ..)| *key == api).unwrap_or((api, 0, 0));
        let target = Target { host: to.host.clone(), port: to.port };
        let encode = move |version| request.encode(version);
        let id = self.network.send_encoded(now, &target, versions, encode, timeout_ms);
        self.asked.insert(id, (correlation, api));
    }

    /// Something happened to a link.
    pub fn handle(&mut self, event: LinkEvent) {
        self.network.handle(event);
    }

    /// Gives up what took too long.
    pub fn tick(&mut self, now: Instant) {
        self.network.tick(now);
    }

    /// When [`Peers::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.network.deadline()
    }

    /// What the shell is to do.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.network.take_effects()
    }

    /// What was answered.
    pub fn take_answers(&mut self) -> Vec<QuorumEvent> {
        let replies = self.network.take_replies();
        let answer = |reply: Reply| {
            let (correlation, api) = self.asked.remove(&reply.id)?;
            Some(QuorumEvent::Response { correlation, outcome: read(api, reply.version, reply.body) })
        };
        replies.into_iter().filter_map(answer).collect()
    }
}

fn read(api: ApiKey, version: i16, body: Result<Bytes, network::Failure>) -> Result<Response, Failure> {
    let body = body.map_err(|failure| match failure {
        network::Failure::UnsupportedVersion { .. } => Failure::UnsupportedVersion,
        _ => Failure::Disconnected,
    })?;
    let decoded = Response::decode(api, version, body).and_then(Result::ok);
    decoded.ok_or(Failure::Disconnected)
}
