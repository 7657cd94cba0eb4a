//! Links to nodes: API versions first, then requests and their answers in order. Clients and nodes speak through one of these.

use std::collections::VecDeque;

use bytes::Bytes;
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::{
    ApiKey, Decoder, EncodeError, Encoder, ErrorCode, Message as _, Request, RequestHeader, Response,
    ResponseHeader, Str, encode_request,
};

use crate::small_map::SmallMap;
use crate::time::Instant;

/// Requests of one link whose answers are outstanding; more wait.
pub const IN_FLIGHT_MAX: usize = 5;
/// How long a link may take to open, in ms (`socket.connection.setup.timeout.ms`).
const SETUP_TIMEOUT_MS: i64 = 10_000;
/// The version at which API versions are first asked for (KIP-511); a broker that does not know it says which it does.
const API_VERSIONS_VERSION: i16 = 4;
/// Who is speaking: the first thing that is said on a link (KIP-511).
pub fn introduction() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "ottla".into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// A connection that the shell holds for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A request that was handed to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Name or address.
    pub host: Str,
    /// Port.
    pub port: u16,
}

/// Which of the links to a broker: a request of the group does not queue behind a fetch that waits for records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// What most requests use.
    Data,
    /// What a group's members use for their coordinator.
    Coordination,
    /// What a leader that leaves passes on to the next.
    PassedOn,
}

/// What the shell does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEffect {
    /// Open a connection; [`LinkEvent::Opened`] or [`LinkEvent::Closed`] follows.
    Open { link: LinkId, target: Target },
    /// Send a frame, length prefix included.
    Send { link: LinkId, frame: Bytes },
    /// Close it; nothing follows.
    Close { link: LinkId },
}

/// What the shell says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The connection stands.
    Opened(LinkId),
    /// A whole frame came, without its length prefix.
    Received(LinkId, Bytes),
    /// The connection failed, could not be opened, or the broker closed it.
    Closed(LinkId, String),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The link went, or never came.
    Disconnected(String),
    /// `request.timeout.ms` passed.
    TimedOut,
    /// The broker speaks no version that this client can use.
    UnsupportedVersion { api: ApiKey },
    /// The answer cannot be read.
    Malformed(String),
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Which request.
    pub id: RequestId,
    /// The version it was sent at; the highest tried when it was not sent.
    pub version: i16,
    /// The body of the response, undecoded.
    pub body: Result<Bytes, Failure>,
}

/// All links of one client.
#[derive(Clone, Debug)]
pub struct Network {
    client_id: Str,
    links: SmallMap<LinkId, Link>,
    by_target: SmallMap<(Target, Lane), LinkId>,
    next_link: u64,
    next_request: u64,
    effects: Vec<LinkEffect>,
    replies: Vec<Reply>,
}

#[derive(Clone, Debug)]
struct Link {
    target: Target,
    lane: Lane,
    phase: Phase,
    waiting: VecDeque<Outgoing>,
    in_flight: VecDeque<InFlight>,
    next_correlation: i32,
    opened_by: Instant,
}

#[derive(Clone, Debug)]
enum Phase {
    Opening,
    Asking { version: i16 },
    Ready(SmallMap<i16, (i16, i16)>),
}

/// A request that waits for its link. Encoding waits for the version.
#[derive(Clone, Debug)]
struct Outgoing {
    id: RequestId,
    api: ApiKey,
    versions: (i16, i16),
    encode: Encode,
    deadline: Instant,
    expects_response: bool,
}

/// A request's body at every version that may be chosen, encoded when the version is known.
#[derive(Clone)]
struct Encode(std::sync::Arc<dyn Fn(i16, i32, &Str) -> Result<Bytes, String> + Send + Sync>);

impl std::fmt::Debug for Encode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encode")
    }
}

#[derive(Clone, Debug)]
struct InFlight {
    id: RequestId,
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    deadline: Instant,
}

impl Reply {
    /// Decodes the body.
    pub fn decode<R: Response>(&self) -> Result<R, Failure> {
        let body = self.body.clone()?;
        R::decode(&mut Decoder::new(body), self.version)
            .map_err(|error| Failure::Malformed(error.to_string()))
    }
}

impl Network {
    /// A client without links.
    pub fn new(client_id: impl Into<Str>) -> Self {
        Self {
            client_id: client_id.into(),
            links: SmallMap::new(),
            by_target: SmallMap::new(),
            next_link: 0,
            next_request: 0,
            effects: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// Sends a request to a broker at the highest version that both sides speak, opening a link when there is none.
    /// `versions` bounds what this client can fill in.
    pub fn send<R: Request + Send + Sync + 'static>(
        &mut self,
        now: Instant,
        target: &Target,
        versions: (i16, i16),
        request: R,
        timeout_ms: i64,
    ) -> RequestId {
        self.send_on(now, (target, Lane::Data), versions, request, timeout_ms, true)
    }

    /// As [`Network::send`], on one of the links, of a request whose body `encode` makes at the version that is chosen.
    pub fn send_encoded(
        &mut self,
        now: Instant,
        (target, lane): (&Target, Lane),
        (api, min, max): (ApiKey, i16, i16),
        encode: impl Fn(i16) -> Result<Bytes, EncodeError> + Send + Sync + 'static,
        timeout_ms: i64,
    ) -> RequestId {
        let encode = Encode(std::sync::Arc::new(move |version, correlation_id, client_id| {
            let header = RequestHeader {
                request_api_key: api.key(),
                request_api_version: version,
                correlation_id,
                client_id: Some(client_id.clone()),
            };
            let framed = || -> Result<Bytes, EncodeError> {
                let (mut encoder, body) = (Encoder::new(), encode(version)?);
                header.encode(&mut encoder, api.request_header_version(version))?;
                let header = encoder.into_bytes()?;
                let len = header.len() + body.len();
                let mut frame = Vec::with_capacity(len + 4);
                frame.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
                frame.extend_from_slice(&header);
                frame.extend_from_slice(&body);
                Ok(frame.into())
            };
            framed().map_err(|error| error.to_string())
        }));
        let (versions, deadline) = ((min, max), now.plus_ms(timeout_ms));
        self.submit(now, (target, lane), |id| Outgoing {
            id,
            api,
            versions,
            encode,
            deadline,
            expects_response: true,
        })
    }

    /// As [`Network::send`], on one of the links; without a response (Produce with acks=0) the reply is an empty body once it was sent.
    pub fn send_on<R: Request + Send + Sync + 'static>(
        &mut self,
        now: Instant,
        (target, lane): (&Target, Lane),
        versions: (i16, i16),
        request: R,
        timeout_ms: i64,
        expects_response: bool,
    ) -> RequestId {
        let encode = Encode(std::sync::Arc::new(move |version, correlation_id, client_id| {
            let mut encoder = Encoder::new();
            encode_request(&mut encoder, version, correlation_id, Some(client_id.clone()), &request)
                .and_then(|()| encoder.into_bytes())
                .map_err(|error| error.to_string())
        }));
        let deadline = now.plus_ms(timeout_ms);
        self.submit(now, (target, lane), |id| Outgoing {
            id,
            api: R::API_KEY,
            versions,
            encode,
            deadline,
            expects_response,
        })
    }

    fn submit(
        &mut self,
        now: Instant,
        (target, lane): (&Target, Lane),
        outgoing: impl FnOnce(RequestId) -> Outgoing,
    ) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let link = self.link_to(now, target, lane);
        if let Some(entry) = self.links.get_mut(&link) {
            entry.waiting.push_back(outgoing(id));
        }
        self.pump(link);
        id
    }

    fn link_to(&mut self, now: Instant, target: &Target, lane: Lane) -> LinkId {
        if let Some(link) = self.by_target.get(&(target.clone(), lane)) {
            return *link;
        }
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.by_target.insert((target.clone(), lane), link);
        self.links.insert(
            link,
            Link {
                target: target.clone(),
                lane,
                phase: Phase::Opening,
                waiting: VecDeque::new(),
                in_flight: VecDeque::new(),
                next_correlation: 0,
                opened_by: now.plus_ms(SETUP_TIMEOUT_MS),
            },
        );
        self.effects.push(LinkEffect::Open { link, target: target.clone() });
        link
    }

    /// Takes what the shell says.
    pub fn handle(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Opened(link) => self.ask_versions(link, API_VERSIONS_VERSION),
            LinkEvent::Received(link, frame) => self.received(link, frame),
            LinkEvent::Closed(link, reason) => self.lost(link, &Failure::Disconnected(reason)),
        }
    }

    fn ask_versions(&mut self, id: LinkId, version: i16) {
        let client_id = self.client_id.clone();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.phase = Phase::Asking { version };
        let request = introduction();
        let correlation_id = link.next_correlation;
        link.next_correlation += 1;
        let mut encoder = Encoder::new();
        let encoded = encode_request(&mut encoder, version, correlation_id, Some(client_id), &request);
        match encoded.and_then(|()| encoder.into_bytes()) {
            Ok(frame) => self.effects.push(LinkEffect::Send { link: id, frame }),
            Err(error) => self.lost(id, &Failure::Malformed(error.to_string())),
        }
    }

    fn received(&mut self, id: LinkId, frame: Bytes) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if let Phase::Asking { version } = link.phase {
            return self.versions_received(id, version, frame);
        }
        let Some(in_flight) = link.in_flight.pop_front() else {
            return self.lost(id, &Failure::Malformed("a response that nobody asked for".into()));
        };
        let InFlight { id: request, api, version, correlation_id, .. } = in_flight;
        let mut input = Decoder::new(frame);
        let body = match ResponseHeader::decode(&mut input, api.response_header_version(version)) {
            Ok(header) if header.correlation_id == correlation_id => Ok(input.rest()),
            Ok(_) => Err(Failure::Malformed("a response to another request".into())),
            Err(error) => Err(Failure::Malformed(error.to_string())),
        };
        self.replies.push(Reply { id: request, version, body });
        self.pump(id);
    }

    fn versions_received(&mut self, id: LinkId, version: i16, frame: Bytes) {
        let read = |version: i16| {
            let mut input = Decoder::new(frame.clone());
            ResponseHeader::decode(&mut input, ApiKey::ApiVersions.response_header_version(version))?;
            ApiVersionsResponse::decode(&mut input, version)
        };
        // A broker that does not know the version answers in version 0, whatever was asked.
        let unsupported = ErrorCode::UnsupportedVersion.code();
        let refused = read(0).is_ok_and(|answer| answer.error_code == unsupported);
        if refused && version > 0 {
            return self.ask_versions(id, 0);
        }
        match read(version) {
            Ok(answer) => {
                let spoken =
                    answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
                if let Some(link) = self.links.get_mut(&id) {
                    link.phase = Phase::Ready(spoken.collect());
                }
                self.pump(id);
            }
            Err(error) => self.lost(id, &Failure::Malformed(error.to_string())),
        }
    }

    /// Sends what may be sent now.
    fn pump(&mut self, id: LinkId) {
        let client_id = self.client_id.clone();
        let Some(link) = self.links.get_mut(&id) else { return };
        let Phase::Ready(spoken) = &link.phase else { return };
        while link.in_flight.len() < IN_FLIGHT_MAX {
            let Some(next) = link.waiting.pop_front() else { break };
            let common = spoken.get(&next.api.key()).and_then(|(min, max)| {
                let version = (*max).min(next.versions.1);
                (version >= (*min).max(next.versions.0)).then_some(version)
            });
            let Some(version) = common else {
                let body = Err(Failure::UnsupportedVersion { api: next.api });
                self.replies.push(Reply { id: next.id, version: next.versions.1, body });
                continue;
            };
            let correlation_id = link.next_correlation;
            link.next_correlation = link.next_correlation.wrapping_add(1) & i32::MAX;
            match (next.encode.0)(version, correlation_id, &client_id) {
                Ok(frame) => {
                    self.effects.push(LinkEffect::Send { link: id, frame });
                    if next.expects_response {
                        link.in_flight.push_back(InFlight {
                            id: next.id,
                            api: next.api,
                            version,
                            correlation_id,
                            deadline: next.deadline,
                        });
                    } else {
                        self.replies.push(Reply { id: next.id, version, body: Ok(Bytes::new()) });
                    }
                }
                Err(reason) => {
                    self.replies.push(Reply { id: next.id, version, body: Err(Failure::Malformed(reason)) });
                }
            }
        }
    }

    /// A link is gone: everything on it fails.
    fn lost(&mut self, id: LinkId, failure: &Failure) {
        let Some(link) = self.links.remove(&id) else { return };
        self.by_target.remove(&(link.target, link.lane));
        self.effects.push(LinkEffect::Close { link: id });
        let in_flight = link.in_flight.iter().map(|request| (request.id, request.version));
        let waiting = link.waiting.iter().map(|request| (request.id, request.versions.1));
        let failed = in_flight.chain(waiting);
        self.replies.extend(failed.map(|(id, version)| Reply { id, version, body: Err(failure.clone()) }));
    }

    /// Fails what took too long.
    pub fn tick(&mut self, now: Instant) {
        let late = |link: &Link| {
            let opening = !matches!(link.phase, Phase::Ready(_)) && link.opened_by <= now;
            opening || link.deadline().is_some_and(|deadline| deadline <= now)
        };
        let lost: Vec<LinkId> = self.links.iter().filter(|(_, link)| late(link)).map(|(id, _)| *id).collect();
        for id in lost {
            self.lost(id, &Failure::TimedOut);
        }
    }

    /// When [`Network::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.links
            .values()
            .flat_map(|link| {
                let opening = (!matches!(link.phase, Phase::Ready(_))).then_some(link.opened_by);
                [opening, link.deadline()]
            })
            .flatten()
            .min()
    }

    /// Closes every link; nothing is answered any more.
    pub fn close(&mut self) {
        for (link, _) in std::mem::take(&mut self.links) {
            self.effects.push(LinkEffect::Close { link });
        }
        self.by_target.clear();
    }

    /// What the shell is to do, in order.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        std::mem::take(&mut self.effects)
    }

    /// The answers that came.
    pub fn take_replies(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.replies)
    }
}

impl Link {
    fn deadline(&self) -> Option<Instant> {
        let in_flight = self.in_flight.iter().map(|request| request.deadline);
        in_flight.chain(self.waiting.iter().map(|request| request.deadline)).min()
    }
}
