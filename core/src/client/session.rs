//! A client's session with a cluster: bootstrap, metadata, and requests to whoever should have them.

use ottla_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_protocol::messages::metadata_response::MetadataResponseBroker;
use ottla_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse, MetadataResponse};
use ottla_protocol::{ErrorCode, Request, Str};

use super::cluster::Cluster;
use crate::network::{Failure, Lane, LinkEffect, LinkEvent, Network, Reply, RequestId, Target};
use crate::time::Instant;

/// The highest Metadata version that this client reads.
const METADATA_VERSIONS: (i16, i16) = (0, 13);

/// DescribeCluster's number for controllers.
const CONTROLLERS: i8 = 2;

/// To whom a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Any broker.
    Any,
    /// A broker by id.
    Node(i32),
    /// The coordinator of a group, by address, on a link of its own.
    Coordinator(Target),
}

/// Settings of every client.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// `bootstrap.servers`
    pub bootstrap: Vec<Target>,
    /// `client.id`
    pub client_id: Str,
    /// `request.timeout.ms`
    pub request_timeout_ms: i64,
    /// `retry.backoff.ms`
    pub retry_backoff_ms: i64,
    /// `metadata.max.age.ms`
    pub metadata_max_age_ms: i64,
    /// The addresses are of controllers (`bootstrap.controllers`), which have no metadata to tell but who they are (KIP-919).
    pub controllers: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            client_id: Str::default(),
            request_timeout_ms: 30_000,
            retry_backoff_ms: 100,
            metadata_max_age_ms: 300_000,
            controllers: false,
        }
    }
}

/// What a client knows and has under way.
#[derive(Clone, Debug)]
pub struct Session {
    config: SessionConfig,
    network: Network,
    cluster: Cluster,
    /// The next of the known addresses to be asked.
    turn: usize,
    refresh: Refresh,
    topics: Topics,
    allow_auto_create: bool,
    /// What the last refresh failed with.
    trouble: Option<Failure>,
    /// Counts answered refreshes.
    epoch: u64,
}

/// Which topics the client wants to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topics {
    /// All there are.
    All,
    /// These.
    Named(Vec<Str>),
}

#[derive(Clone, Debug)]
enum Refresh {
    /// Due at this time.
    Due(Instant),
    Asked {
        id: RequestId,
        /// It asked for all topics.
        all: bool,
        /// Something else is wanted since: this answer is not the last.
        stale: bool,
    },
}

impl Session {
    /// A session that begins by asking who is there.
    pub fn new(config: SessionConfig) -> Self {
        Self {
            network: Network::new(config.client_id.clone()),
            config,
            cluster: Cluster::default(),
            turn: 0,
            refresh: Refresh::Due(Instant(0)),
            topics: Topics::Named(Vec::new()),
            allow_auto_create: false,
            trouble: None,
            epoch: 0,
        }
    }

    /// The settings.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Which topics it wants to know of.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// What is known of the cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Whether the cluster has been seen.
    pub fn is_ready(&self) -> bool {
        !self.cluster.brokers.is_empty()
    }

    /// Counts the Metadata answers so far that nothing was wanted after: a caller that needs news remembers the number and waits for a higher one.
    pub fn metadata_epoch(&self) -> u64 {
        self.epoch
    }

    /// What the last attempt to learn about the cluster failed with.
    pub fn trouble(&self) -> Option<&Failure> {
        self.trouble.as_ref()
    }

    /// Says which topics to know of; asks soon when that is news. `allow_auto_create` lets brokers create them.
    pub fn want_topics(&mut self, now: Instant, topics: Topics, allow_auto_create: bool) {
        self.allow_auto_create = allow_auto_create;
        if topics != self.topics {
            self.topics = topics;
            self.refresh_soon(now);
        }
    }

    /// Asks for metadata now; once more when it is being asked for.
    pub fn refresh_soon(&mut self, now: Instant) {
        match &mut self.refresh {
            Refresh::Due(at) => *at = (*at).min(now),
            Refresh::Asked { stale, .. } => *stale = true,
        }
    }

    /// Asks for metadata again at this time at the latest, unless it is being asked for.
    pub fn refresh_by(&mut self, by: Instant) {
        if let Refresh::Due(at) = &mut self.refresh {
            *at = (*at).min(by);
        }
    }

    /// Asks for metadata after the back-off: what is known did not work.
    pub fn refresh_after_backoff(&mut self, now: Instant) {
        self.refresh_by(now.plus_ms(self.config.retry_backoff_ms));
    }

    /// Sends a request; `None` when its destination is unknown.
    pub fn send<R: Request + Send + Sync + 'static>(
        &mut self,
        now: Instant,
        to: &Destination,
        versions: (i16, i16),
        request: R,
    ) -> Option<RequestId> {
        self.send_within(now, to, versions, request, self.config.request_timeout_ms)
    }

    /// As [`Session::send`], with a patience of its own in ms.
    pub fn send_within<R: Request + Send + Sync + 'static>(
        &mut self,
        now: Instant,
        to: &Destination,
        versions: (i16, i16),
        request: R,
        timeout_ms: i64,
    ) -> Option<RequestId> {
        let target = self.resolve(to)?;
        let lane = match to {
            Destination::Coordinator(_) => Lane::Coordination,
            Destination::Any | Destination::Node(_) => Lane::Data,
        };
        Some(self.network.send_on(now, (&target, lane), versions, request, timeout_ms, true))
    }

    /// The network, for what the session does not know of.
    pub fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    /// The address of a destination.
    pub fn resolve(&self, to: &Destination) -> Option<Target> {
        match to {
            Destination::Any => self.any(),
            Destination::Node(id) => self.cluster.brokers.get(id).cloned(),
            Destination::Coordinator(target) => Some(target.clone()),
        }
    }

    fn any(&self) -> Option<Target> {
        if self.cluster.brokers.is_empty() {
            let bootstrap = &self.config.bootstrap;
            return bootstrap.get(self.turn.checked_rem(bootstrap.len())?).cloned();
        }
        let turn = self.turn.checked_rem(self.cluster.brokers.len())?;
        self.cluster.brokers.values().nth(turn).cloned()
    }

    /// Takes what the shell says.
    pub fn handle(&mut self, now: Instant, event: LinkEvent) {
        self.network.handle(event);
        self.tick(now);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        self.network.tick(now);
        if let Refresh::Due(at) = self.refresh
            && at <= now
        {
            self.ask_metadata(now);
        }
    }

    fn ask_metadata(&mut self, now: Instant) {
        let Some(target) = self.any() else { return };
        let topics = match &self.topics {
            Topics::All => None,
            Topics::Named(names) => Some(
                names
                    .iter()
                    .map(|name| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() })
                    .collect(),
            ),
        };
        let request = MetadataRequest {
            topics,
            allow_auto_topic_creation: self.allow_auto_create,
            ..MetadataRequest::default()
        };
        let timeout = self.config.request_timeout_ms;
        let id = if self.config.controllers {
            let request = DescribeClusterRequest { endpoint_type: CONTROLLERS, ..Default::default() };
            self.network.send(now, &target, (1, 2), request, timeout)
        } else {
            self.network.send(now, &target, METADATA_VERSIONS, request, timeout)
        };
        self.refresh = Refresh::Asked { id, all: self.topics == Topics::All, stale: false };
    }

    /// The answers that came to requests of others; metadata is taken in on the way.
    pub fn take_replies(&mut self, now: Instant) -> Vec<Reply> {
        let mut others = Vec::new();
        for reply in self.network.take_replies() {
            match self.refresh {
                Refresh::Asked { id, all, stale } if id == reply.id => {
                    self.take_metadata(now, &reply, all, stale);
                }
                _ => others.push(reply),
            }
        }
        others
    }

    fn take_metadata(&mut self, now: Instant, reply: &Reply, all: bool, stale: bool) {
        let answer = match self.config.controllers {
            true => reply.decode::<DescribeClusterResponse>().map(metadata_of),
            false => reply.decode::<MetadataResponse>(),
        };
        match answer {
            Ok(answer) if !answer.brokers.is_empty() => {
                self.cluster.update(&answer, all);
                self.trouble = None;
                if stale {
                    self.refresh = Refresh::Due(now);
                    return;
                }
                self.epoch += 1;
                let unsettled = answer.topics.iter().any(|topic| {
                    let passing = |code: i16| {
                        ErrorCode::from_code(code)
                            .is_some_and(|error| error != ErrorCode::None && error.is_retriable())
                    };
                    passing(topic.error_code)
                        || topic.partitions.iter().any(|partition| passing(partition.error_code))
                });
                let wait =
                    if unsettled { self.config.retry_backoff_ms } else { self.config.metadata_max_age_ms };
                self.refresh = Refresh::Due(now.plus_ms(wait));
            }
            Ok(_) => self.try_another(now, Failure::Malformed("a Metadata answer without brokers".into())),
            Err(failure) => self.try_another(now, failure),
        }
    }

    fn try_another(&mut self, now: Instant, failure: Failure) {
        self.trouble = Some(failure);
        self.turn = self.turn.wrapping_add(1);
        if self.turn.is_multiple_of(self.cluster.brokers.len().max(1)) {
            // Nobody of those who are known answers: back to the bootstrap addresses.
            self.cluster.brokers.clear();
        }
        self.refresh = Refresh::Due(now.plus_ms(self.config.retry_backoff_ms));
    }

    /// When [`Session::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let refresh = match self.refresh {
            Refresh::Due(at) => Some(at),
            Refresh::Asked { .. } => None,
        };
        [refresh, self.network.deadline()].into_iter().flatten().min()
    }

    /// What the shell is to do.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.network.take_effects()
    }
}

/// What controllers tell of themselves.
fn metadata_of(answer: DescribeClusterResponse) -> MetadataResponse {
    let brokers = answer.brokers.into_iter().map(|node| MetadataResponseBroker {
        node_id: node.broker_id,
        host: node.host,
        port: node.port,
        rack: node.rack,
    });
    MetadataResponse {
        brokers: brokers.collect(),
        cluster_id: Some(answer.cluster_id),
        controller_id: answer.controller_id,
        ..Default::default()
    }
}
