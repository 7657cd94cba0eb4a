//! Requests to the other replicas of the metadata log, and to the active controller.

use ottla_protocol::messages::{
    ControllerRegistrationRequest, ControllerRegistrationResponse, EnvelopeResponse,
};
use ottla_protocol::{ApiKey, Bytes, Decoder, ErrorCode, Message as _, ResponseHeader};

use super::{ControllerRequest, ControllerResponse};
use crate::broker::{RequestContext, envelope};
use crate::coordinator::Token;
use crate::network::{self, Lane, LinkEffect, LinkEvent, Network, Reply, Target};
use crate::quorum::raft::rpc::{Request, Response, VERSIONS};
use crate::quorum::raft::{Failure, Peer, QuorumEvent};
use crate::small_map::SmallMap;
use crate::time::Instant;

/// How long a look at a broker may take, ms: one that does not even refuse may be slow.
const LOOK_TIMEOUT_MS: i64 = 1_000;

/// Links to them, and what was asked.
#[derive(Clone, Debug)]
pub struct Peers {
    network: Network,
    asked: SmallMap<network::RequestId, Asked>,
    /// What cannot be passed on, with what is said to it.
    unsent: Vec<(Token, ControllerResponse)>,
}

#[derive(Clone, Debug)]
enum Asked {
    /// By the quorum, which knows it by this number.
    ByQuorum(u64, ApiKey),
    /// That this controller is there.
    Registration,
    /// What somebody asked this node for, perhaps in an envelope.
    Forwarded(Token, Option<Wrapped>, Box<ControllerResponse>),
    /// What somebody asked this node about the quorum.
    ForwardedToQuorum(Token, ApiKey, Box<Response>),
    /// Whether a broker is there.
    Look(i32),
}

/// A request that went in an envelope.
#[derive(Clone, Copy, Debug)]
struct Wrapped {
    api: ApiKey,
    version: i16,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub enum Answered {
    /// The quorum is to hear of it.
    Quorum(QuorumEvent),
    /// Whether this controller is registered.
    Registration(bool),
    /// What the active controller says to who asked.
    Forwarded(Token, ControllerResponse),
    /// What a broker that was looked for did.
    Look { broker: i32, look: Look },
}

/// What a broker did that was asked for its API versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Answered,
    /// It refused the connection, or closed it.
    Refused,
    /// Nothing, for a second.
    Silent,
}

/// The requests that go to the active controller as they are, and the versions at which they do.
macro_rules! forwarded {
    ($($name:ident $min:literal..=$max:literal,)*) => {
        impl Peers {
            /// Passes a request on to the active controller: a client's at the version that it came at, for another may mean something else by
            /// the same fields, and with a word on who asked (KIP-590).
            pub fn forward(
                &mut self,
                now: Instant,
                to: &Peer,
                token: Token,
                (request, asked): (ControllerRequest, Option<(i16, RequestContext)>),
                timeout_ms: i64,
            ) {
                let target = Target { host: to.host.clone(), port: to.port };
                let refusal = request.refusal(ErrorCode::NotController);
                let (id, wrapped) = match request {
                    $(ControllerRequest::$name(request) => {
                        self.pass_on(now, &target, ($min, $max), (request, asked), timeout_ms)
                    })*
                    // A broker has ids of its own to give, and no listener of Ottla's brokers gives tokens.
                    ControllerRequest::NextProducerId
                    | ControllerRequest::CreateDelegationToken(..)
                    | ControllerRequest::RenewDelegationToken(..)
                    | ControllerRequest::ExpireDelegationToken(..) => return self.refuse(token, refusal),
                };
                self.asked.insert(id, Asked::Forwarded(token, wrapped, Box::new(refusal)));
            }
        }

        fn read_forwarded(refusal: ControllerResponse, reply: &Reply) -> ControllerResponse {
            match refusal {
                $(ControllerResponse::$name(_) => match reply.decode() {
                    Ok(response) => ControllerResponse::$name(response),
                    Err(_) => refusal,
                },)*
                _ => refusal,
            }
        }
    };
}

forwarded! {
    CreateTopics 2..=7,
    DeleteTopics 1..=6,
    CreatePartitions 0..=3,
    IncrementalAlterConfigs 0..=1,
    AlterConfigs 0..=2,
    UpdateFeatures 0..=2,
    ElectLeaders 0..=2,
    AlterPartitionReassignments 0..=1,
    ListPartitionReassignments 0..=0,
    BrokerRegistration 0..=4,
    BrokerHeartbeat 0..=2,
    ControllerRegistration 0..=0,
    AlterPartition 2..=3,
    AllocateProducerIds 0..=0,
    UnregisterBroker 0..=0,
    AssignReplicasToDirs 0..=0,
    AlterClientQuotas 0..=1,
    CreateAcls 1..=3,
    DeleteAcls 1..=3,
    AlterUserScramCredentials 0..=0,
}

impl Peers {
    /// Nobody is spoken to yet.
    pub fn new(node_id: i32) -> Self {
        Self {
            network: Network::new(format!("raft-client-{node_id}")),
            asked: SmallMap::new(),
            unsent: Vec::new(),
        }
    }

    fn pass_on<R: ottla_protocol::Request + Send + Sync + 'static>(
        &mut self,
        now: Instant,
        target: &Target,
        versions: (i16, i16),
        (request, asked): (R, Option<(i16, RequestContext)>),
        timeout_ms: i64,
    ) -> (network::RequestId, Option<Wrapped>) {
        // Beside the fetches, which wait for records.
        let link = (target, Lane::Coordination);
        let Some((version, context)) = asked else {
            return (self.network.send_on(now, link, versions, request, timeout_ms, true), None);
        };
        match envelope::seal(&request, version, &context) {
            Some(envelope) => {
                let id = self.network.send_on(now, link, (0, 0), envelope, timeout_ms, true);
                (id, Some(Wrapped { api: R::API_KEY, version }))
            }
            None => (self.network.send_on(now, link, (version, version), request, timeout_ms, true), None),
        }
    }

    /// Sends a request; the answer, or that there is none, comes out of [`Peers::take_answers`].
    pub fn send(&mut self, now: Instant, to: &Peer, correlation: u64, request: Request, timeout_ms: i64) {
        let api = request.api_key();
        let id = self.send_to_quorum(now, (to, Lane::Data), request, timeout_ms);
        self.asked.insert(id, Asked::ByQuorum(correlation, api));
    }

    /// Passes on to the active controller what somebody asked this node about the quorum. Not behind the fetches, nor they behind it: a change of
    /// the voters is answered when it is committed, for which the leader may need the next fetch of this replica.
    pub fn forward_to_quorum(
        &mut self,
        now: Instant,
        to: &Peer,
        token: Token,
        request: Request,
        timeout_ms: i64,
    ) {
        let api = request.api_key();
        let Some(refusal) = request.refusal() else { return };
        let id = self.send_to_quorum(now, (to, Lane::Coordination), request, timeout_ms);
        self.asked.insert(id, Asked::ForwardedToQuorum(token, api, Box::new(refusal)));
    }

    fn send_to_quorum(
        &mut self,
        now: Instant,
        (to, lane): (&Peer, Lane),
        request: Request,
        timeout_ms: i64,
    ) -> network::RequestId {
        let api = request.api_key();
        let versions = VERSIONS.into_iter().find(|(key, ..)| *key == api).unwrap_or((api, 0, 0));
        let target = Target { host: to.host.clone(), port: to.port };
        let encode = move |version| request.encode(version);
        self.network.send_encoded(now, (&target, lane), versions, encode, timeout_ms)
    }

    /// Tells the active controller that this one is there (KIP-919).
    pub fn register(
        &mut self,
        now: Instant,
        to: &Peer,
        request: ControllerRegistrationRequest,
        timeout_ms: i64,
    ) {
        let target = Target { host: to.host.clone(), port: to.port };
        let id = self.network.send(now, &target, (0, 0), request, timeout_ms);
        self.asked.insert(id, Asked::Registration);
    }

    /// Looks whether a broker is there.
    pub fn look(&mut self, now: Instant, broker: i32, target: &Target) {
        let link = (target, Lane::Data);
        let id = self.network.send_on(now, link, (0, 4), network::introduction(), LOOK_TIMEOUT_MS, true);
        self.asked.insert(id, Asked::Look(broker));
    }

    /// Nobody can be asked: this comes out of [`Peers::take_answers`].
    pub fn refuse(&mut self, token: Token, refusal: ControllerResponse) {
        self.unsent.push((token, refusal));
    }

    /// Whoever something was passed on for is told that there is no answer: the controller that was asked is not the active one any more.
    pub fn refuse_forwarded(&mut self) {
        let is_forwarded =
            |asked: &Asked| matches!(asked, Asked::Forwarded(..) | Asked::ForwardedToQuorum(..));
        for (_, asked) in self.asked.take_if(|_, asked| is_forwarded(asked)) {
            match asked {
                Asked::Forwarded(token, _, refusal) => self.unsent.push((token, *refusal)),
                Asked::ForwardedToQuorum(token, _, refusal) => {
                    self.unsent.push((token, ControllerResponse::Quorum(*refusal)));
                }
                Asked::ByQuorum(..) | Asked::Registration | Asked::Look(_) => {}
            }
        }
    }

    /// Whether [`Peers::take_answers`] has refusals to give.
    pub fn has_refused(&self) -> bool {
        !self.unsent.is_empty()
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
    pub fn take_answers(&mut self) -> Vec<Answered> {
        let replies = self.network.take_replies();
        let answer = |reply: Reply| {
            Some(match self.asked.remove(&reply.id)? {
                Asked::ByQuorum(correlation, api) => {
                    let outcome = read(api, reply.version, reply.body);
                    Answered::Quorum(QuorumEvent::Response { correlation, outcome })
                }
                Asked::Look(broker) => {
                    let look = match reply.body {
                        Err(network::Failure::Disconnected(_)) => Look::Refused,
                        Err(network::Failure::TimedOut) => Look::Silent,
                        _ => Look::Answered,
                    };
                    Answered::Look { broker, look }
                }
                Asked::Forwarded(token, wrapped, refusal) => {
                    let opened = match wrapped {
                        Some(wrapped) => wrapped.open(&reply),
                        None => Some(reply),
                    };
                    Answered::Forwarded(
                        token,
                        match opened {
                            Some(reply) => read_forwarded(*refusal, &reply),
                            None => *refusal,
                        },
                    )
                }
                Asked::ForwardedToQuorum(token, api, refusal) => {
                    let response = read(api, reply.version, reply.body).unwrap_or(*refusal);
                    Answered::Forwarded(token, ControllerResponse::Quorum(response))
                }
                Asked::Registration => {
                    let answer = reply.decode::<ControllerRegistrationResponse>();
                    Answered::Registration(answer.is_ok_and(|answer| answer.error_code == 0))
                }
            })
        };
        let unsent = std::mem::take(&mut self.unsent).into_iter();
        let unsent = unsent.map(|(token, refusal)| Answered::Forwarded(token, refusal));
        replies.into_iter().filter_map(answer).chain(unsent).collect()
    }
}

impl Wrapped {
    /// The answer that is in the envelope.
    fn open(self, reply: &Reply) -> Option<Reply> {
        let answer: EnvelopeResponse = reply.decode().ok()?;
        let mut inner = Decoder::new(answer.response_data.filter(|_| answer.error_code == 0)?);
        ResponseHeader::decode(&mut inner, self.api.response_header_version(self.version)).ok()?;
        Some(Reply { id: reply.id, version: self.version, body: Ok(inner.rest()) })
    }
}

fn read(api: ApiKey, version: i16, body: Result<Bytes, network::Failure>) -> Result<Response, Failure> {
    let body = body.map_err(|failure| match failure {
        network::Failure::UnsupportedVersion { .. } => Failure::UnsupportedVersion,
        network::Failure::TimedOut => Failure::TimedOut,
        _ => Failure::Disconnected,
    })?;
    let decoded = Response::decode(api, version, body).and_then(Result::ok);
    decoded.ok_or(Failure::Disconnected)
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::{BrokerHeartbeatRequest, FetchRequest, RemoveRaftVoterRequest};

    use super::*;
    use crate::ids::ConnectionId;

    fn token() -> Token {
        Token { connection: ConnectionId::BROKER, request: 7 }
    }

    fn leader() -> Peer {
        Peer { id: 2, host: "h".into(), port: 1 }
    }

    #[test]
    fn a_change_of_voters_and_the_fetch_that_commits_it_do_not_wait_for_each_other() {
        let mut peers = Peers::new(1);
        peers.send(Instant(0), &leader(), 1, Request::Fetch(FetchRequest::default()), 2_000);
        let change = Request::RemoveRaftVoter(RemoveRaftVoterRequest::default());
        peers.forward_to_quorum(Instant(0), &leader(), token(), change, 30_000);
        let opened = peers.take_effects().into_iter();
        assert_eq!(opened.filter(|effect| matches!(effect, LinkEffect::Open { .. })).count(), 2);
    }

    #[test]
    fn what_was_passed_on_to_a_controller_that_is_no_more_the_active_one_is_refused() {
        let mut peers = Peers::new(1);
        let (token, to) = (token(), leader());
        let request = ControllerRequest::BrokerHeartbeat(BrokerHeartbeatRequest::default());
        peers.forward(Instant(0), &to, token, (request, None), 30_000);
        assert!(peers.take_answers().is_empty());
        peers.refuse_forwarded();
        let answers = peers.take_answers();
        let [Answered::Forwarded(refused, ControllerResponse::BrokerHeartbeat(response))] = &answers[..]
        else {
            panic!("{answers:?}")
        };
        assert_eq!((*refused, response.error_code), (token, ErrorCode::NotController.code()));
        peers.refuse_forwarded();
        assert!(!peers.has_refused(), "once");
    }
}
