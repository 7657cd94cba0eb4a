//! A client's connection: frames in, frames out, in order.
//!
//! One request is executed at a time, as Apache Kafka does; only consecutive Produce requests overlap. What arrives meanwhile
//! waits in a backlog that the shell bounds by not reading on (see [`Connection::wants_more`]).

mod limits;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::{ApiKey, Str};

use super::api::{self, Supported};
use super::fetch_sessions::FetchSessions;
use super::handlers::{self, Env, Outcome, Pending};
use super::request::{self, Parsed, Request};
use super::{ConnectionEvent, RequestContext, envelope};
use crate::config::BrokerConfig;
use crate::ids::ConnectionId;
use crate::log::LogStore;
use crate::machine::{Cx, Effect, Frame, Machine};
use crate::metadata::Published;
use crate::metrics::Answered;
use crate::rng::Rng;
use crate::time::Instant;
use crate::trace::TraceEvent;
use limits::{Limits, Weighed};

/// Requests read ahead of the one that is executed.
pub const BACKLOG_MAX: usize = 2;
/// Produce requests of one connection under way at once.
pub const PRODUCES_MAX: usize = 16;

/// The machine of one connection.
#[derive(Clone, Debug)]
pub struct Connection<S: LogStore> {
    id: ConnectionId,
    context: RequestContext,
    config: Arc<BrokerConfig>,
    published: Arc<Published>,
    apis: &'static [Supported],
    shards: u16,
    sessions: FetchSessions,
    /// The client has asked here who leads what.
    has_named_leaders: bool,
    next_request: u64,
    in_flight: VecDeque<InFlight<S>>,
    backlog: VecDeque<Bytes>,
    limits: Limits,
    /// No request is started before, nor read.
    muted_until: Option<Instant>,
    closed: bool,
}

#[derive(Clone, Debug)]
struct InFlight<S: LogStore> {
    request: Request,
    /// Of the request, with its header.
    bytes: usize,
    began: Instant,
    state: State<S>,
}

#[derive(Clone, Debug)]
enum State<S: LogStore> {
    Waiting(Box<Pending<S>>),
    Answered(Frame<S::Slice>),
    /// Nothing is to be sent (Produce with acks=0).
    Silent,
    /// Whether the client has to wait is not known yet.
    Weighed(Box<Weighed<S>>),
}

/// How a node makes its connections.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The connection's number.
    pub id: ConnectionId,
    /// Name of the listener.
    pub listener: Str,
    /// The client's address as Kafka prints it (`/127.0.0.1`).
    pub host: Str,
}

impl<S: LogStore> Connection<S> {
    /// A connection that was just accepted.
    pub fn new(
        peer: Peer,
        config: Arc<BrokerConfig>,
        published: Arc<Published>,
        shards: u16,
        seed: u64,
    ) -> Self {
        let apis = api::of_listener(&config, &peer.listener);
        let context = RequestContext::anonymous(peer.listener, peer.host);
        let mut connection = Self {
            id: peer.id,
            context,
            published,
            apis,
            shards,
            sessions: FetchSessions::new(
                config.max_incremental_fetch_session_cache_slots,
                Rng::from_seed(seed),
            ),
            config,
            has_named_leaders: false,
            next_request: 0,
            in_flight: VecDeque::new(),
            backlog: VecDeque::new(),
            limits: Limits::default(),
            muted_until: None,
            closed: false,
        };
        connection.take_limits();
        connection
    }

    /// Only clients of brokers are limited.
    fn take_limits(&mut self) {
        if std::ptr::eq(self.apis, api::SUPPORTED) {
            self.limits = Limits::new(&self.published.image.client_quotas);
        }
    }

    /// Whether the shell may read another frame.
    pub fn wants_more(&self) -> bool {
        !self.closed && self.muted_until.is_none() && self.backlog.len() < BACKLOG_MAX
    }

    /// Whether the client would lose nothing if it were sent away now: nothing that it produces is on its way.
    pub fn may_part(&self) -> bool {
        self.backlog.is_empty() && self.in_flight.iter().all(|one| one.request.api != ApiKey::Produce)
    }

    fn close(&mut self, cx: &mut Cx<'_, S>, reason: String) {
        self.closed = true;
        self.backlog.clear();
        self.in_flight.clear();
        let connection = self.id;
        cx.traces.emit(|| TraceEvent::ConnectionClosed { connection, reason: reason.clone() });
        cx.effects.push(Effect::Close { connection, reason });
    }

    /// Whether the next frame of the backlog may start now.
    fn may_start(&self, frame: &Bytes) -> bool {
        let produce = |api: i16| api == ApiKey::Produce.key();
        let next = frame.get(..2).and_then(|key| key.try_into().ok()).map(i16::from_be_bytes);
        self.in_flight.is_empty()
            || (!self.limits.of_produce()
                && self.in_flight.len() < PRODUCES_MAX
                && next.is_some_and(produce)
                && self.in_flight.iter().all(|other| other.request.api == ApiKey::Produce))
    }

    fn start_what_may(&mut self, cx: &mut Cx<'_, S>) {
        while !self.closed
            && self.muted_until.is_none()
            && self.backlog.front().is_some_and(|frame| self.may_start(frame))
        {
            if let Some(frame) = self.backlog.pop_front() {
                self.start(cx, frame);
            }
        }
    }

    fn start(&mut self, cx: &mut Cx<'_, S>, frame: Bytes) {
        let bytes = frame.len();
        let id = self.next_request;
        self.next_request += 1;
        let (request, outcome) = match request::parse(frame, id, &self.context, self.apis) {
            Parsed::Refused(reason) => return self.close(cx, reason),
            Parsed::RefusedEnvelope(request, error) => {
                let frame = request.refuse_envelope(error);
                (request, Ok(Outcome::Reply(frame)))
            }
            Parsed::UnsupportedApiVersions(request) => {
                let outcome = handlers::api_versions::refuse_version(self.apis, &request);
                (request, outcome)
            }
            Parsed::Request(request, body) => {
                let (connection, api, version) = (self.id, request.api, request.version);
                cx.traces.emit(|| TraceEvent::RequestReceived { connection, api, version, bytes });
                self.has_named_leaders |= matches!(api, ApiKey::Metadata | ApiKey::DescribeTopicPartitions);
                let outcome = match handlers::handle(&mut self.env(cx), &request, body) {
                    Err(_) if request.context.envelope.is_some() => {
                        Ok(Outcome::Reply(request.refuse_envelope(envelope::UNREADABLE)))
                    }
                    outcome => outcome,
                };
                (request, outcome)
            }
        };
        let state = match outcome {
            Ok(outcome) => self.settle(cx, &request, bytes, outcome),
            Err(reason) => return self.close(cx, reason),
        };
        self.in_flight.push_back(InFlight { request, bytes, began: cx.now.monotonic, state });
        self.send_what_is_ready(cx);
    }

    fn settle(
        &mut self,
        cx: &mut Cx<'_, S>,
        request: &Request,
        bytes: usize,
        outcome: Outcome<S>,
    ) -> State<S> {
        let (answer, throttle_ms, unanswered) = match outcome {
            Outcome::Wait(pending) => return State::Waiting(pending),
            Outcome::Exempt(frame) => {
                self.exempt(cx);
                return State::Answered(frame);
            }
            Outcome::Reply(frame) => (Some(frame), 0, None),
            Outcome::Silent => (None, 0, None),
            Outcome::Throttled(frame, throttle_ms) => (Some(frame), throttle_ms, None),
            Outcome::Fetched(frame, unanswered) => (Some(frame), 0, Some(unanswered)),
        };
        if self.weigh(cx, request, bytes, answer.as_ref()) {
            return State::Weighed(Box::new(Weighed { answer, throttle_ms, unanswered }));
        }
        self.mute(cx.now.monotonic, throttle_ms);
        answer.map_or(State::Silent, State::Answered)
    }

    fn env<'a, 'b>(&'a mut self, cx: &'a mut Cx<'b, S>) -> Env<'a, 'b, S> {
        Env {
            cx,
            connection: self.id,
            config: &self.config,
            published: &self.published,
            apis: self.apis,
            shards: self.shards,
            has_named_leaders: self.has_named_leaders,
            sessions: &mut self.sessions,
        }
    }

    /// Lets a waiting request see an event; `request` is its number.
    fn resume(&mut self, cx: &mut Cx<'_, S>, request: u64, event: handlers::Resume<S>) {
        let Some(position) = self.in_flight.iter().position(|other| other.request.id == request) else {
            return;
        };
        let Some(in_flight) = self.in_flight.get_mut(position) else { return };
        let State::Waiting(pending) = std::mem::replace(&mut in_flight.state, State::Silent) else { return };
        let (asked, bytes) = (in_flight.request.clone(), in_flight.bytes);
        let outcome = handlers::resume(&mut self.env(cx), &asked, *pending, event);
        let state = match outcome {
            Ok(outcome) => self.settle(cx, &asked, bytes, outcome),
            Err(reason) => return self.close(cx, reason),
        };
        if let Some(in_flight) = self.in_flight.get_mut(position) {
            in_flight.state = state;
        }
        self.send_what_is_ready(cx);
    }

    /// How long the client has to wait after a request is known: it is answered.
    fn throttled(&mut self, cx: &mut Cx<'_, S>, request: u64, throttle_ms: i32) {
        let Some(position) = self.in_flight.iter().position(|other| other.request.id == request) else {
            return;
        };
        let Some(in_flight) = self.in_flight.get_mut(position) else { return };
        let State::Weighed(weighed) = std::mem::replace(&mut in_flight.state, State::Silent) else { return };
        let asked = in_flight.request.clone();
        let answer = self.throttle(cx.now.monotonic, &asked, *weighed, throttle_ms);
        if let Some(in_flight) = self.in_flight.get_mut(position) {
            in_flight.state = answer.map_or(State::Silent, State::Answered);
        }
        self.send_what_is_ready(cx);
    }

    fn send_what_is_ready(&mut self, cx: &mut Cx<'_, S>) {
        while let Some(InFlight { request, bytes, began, state }) = self.in_flight.pop_front() {
            match state {
                State::Waiting(_) | State::Weighed(_) => {
                    self.in_flight.push_front(InFlight { request, bytes, began, state });
                    return;
                }
                State::Silent => self.count(cx, &request, bytes, began),
                State::Answered(frame) if frame.len == 0 => {
                    let (api, version) = (request.api.name(), request.version);
                    return self
                        .close(cx, format!("the answer to {api} v{version} does not fit its version"));
                }
                State::Answered(frame) => {
                    let (connection, api, response_bytes) = (self.id, request.api, frame.len);
                    cx.traces.emit(|| TraceEvent::ResponseSent { connection, api, bytes: response_bytes });
                    cx.effects.push(Effect::Send { connection, frame });
                    self.count(cx, &request, bytes, began);
                }
            }
        }
    }

    /// A request is over.
    fn count(&self, cx: &mut Cx<'_, S>, request: &Request, request_bytes: usize, began: Instant) {
        let took_us = cx.now.monotonic.0.saturating_sub(began.0);
        let (api, version) = (request.api, request.version);
        cx.effects.push(Effect::Answered(Answered { api, version, took_us, request_bytes }));
    }
}

impl<S: LogStore> Machine<S> for Connection<S> {
    type Event = ConnectionEvent<S>;

    fn handle(&mut self, cx: &mut Cx<'_, S>, event: ConnectionEvent<S>) {
        if self.closed {
            return;
        }
        if !matches!(event, ConnectionEvent::Metadata(_)) {
            self.time(cx);
        }
        match event {
            ConnectionEvent::Received(frame) => self.backlog.push_back(frame),
            ConnectionEvent::Metadata(published) => {
                self.published = published;
                self.take_limits();
                let waits = |in_flight: &&InFlight<S>| match &in_flight.state {
                    State::Waiting(pending) => matches!(**pending, Pending::Metadata(_)),
                    State::Answered(_) | State::Silent | State::Weighed(_) => false,
                };
                if let Some(request) = self.in_flight.front().filter(waits).map(|one| one.request.id) {
                    self.resume(cx, request, handlers::Resume::Metadata);
                }
            }
            ConnectionEvent::Shard { request, shard, response } => {
                self.resume(cx, request, handlers::Resume::Shard(shard, response));
            }
            ConnectionEvent::Group { request, response } => {
                self.resume(cx, request, handlers::Resume::Group(response));
            }
            ConnectionEvent::Controller { request, response } => {
                self.resume(cx, request, handlers::Resume::Controller(response));
            }
            ConnectionEvent::Levels { request, levels } => {
                self.resume(cx, request, handlers::Resume::Levels(levels));
            }
            ConnectionEvent::Throttled { request, throttle_ms } => self.throttled(cx, request, throttle_ms),
            ConnectionEvent::Tick => {
                self.muted_until = self.muted_until.filter(|until| *until > cx.now.monotonic);
                let due = |in_flight: &&InFlight<S>| {
                    let State::Waiting(pending) = &in_flight.state else { return false };
                    pending.deadline().is_some_and(|deadline| deadline <= cx.now.monotonic)
                };
                if let Some(request) = self.in_flight.iter().find(due).map(|in_flight| in_flight.request.id) {
                    self.resume(cx, request, handlers::Resume::Deadline);
                }
            }
        }
        self.start_what_may(cx);
    }

    fn deadline(&self) -> Option<Instant> {
        let waiting = |in_flight: &InFlight<S>| match &in_flight.state {
            State::Waiting(pending) => pending.deadline(),
            State::Answered(_) | State::Silent | State::Weighed(_) => None,
        };
        self.in_flight.iter().filter_map(waiting).chain(self.muted_until).min()
    }
}
