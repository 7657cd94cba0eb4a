//! What all administrative tools share: a session, steps of requests that are repeated until they are answered, and the end.

use crate::client::cluster::Cluster;
use crate::client::{
    Destination, Failure, LinkEffect, LinkEvent, Reply, RequestId, Session, SessionConfig, Target,
};
use crate::time::Instant;
use ottla_protocol::Request;

/// How long a step may take, in ms (`default.api.timeout.ms`).
const PATIENCE_MS: i64 = 60_000;
/// `client.id` of tools that are told none.
pub const CLIENT_ID: &str = "adminclient-1";

/// A session and the step that is under way: some requests, all of whose answers are awaited together.
#[derive(Clone, Debug)]
pub struct Admin {
    session: Session,
    state: State,
    asked: Vec<(RequestId, Option<Reply>)>,
    /// A request of the step had nobody to go to.
    unaddressed: bool,
    give_up: Option<Instant>,
    exit_code: Option<i32>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The requests of the step are to be sent, not before this time.
    Due(Instant),
    Asked,
}

/// What a tool does next.
#[derive(Clone, Debug)]
pub enum Turn {
    /// Nothing, until something happens.
    Wait,
    /// Send the requests of its step, for the first time or again.
    Ask,
    /// Go on: here are the answers, in the order of the requests.
    Answers(Vec<Reply>),
    /// Give up: the cluster does not answer.
    GaveUp(String),
}

impl Admin {
    /// A session with the cluster behind these addresses.
    pub fn new(bootstrap: Vec<Target>) -> Self {
        Self::with(SessionConfig { bootstrap, client_id: CLIENT_ID.into(), ..SessionConfig::default() })
    }

    /// The same, as the caller's settings have it.
    pub fn with(config: SessionConfig) -> Self {
        Self {
            session: Session::new(config),
            state: State::Due(Instant(0)),
            asked: Vec::new(),
            unaddressed: false,
            give_up: None,
            exit_code: None,
        }
    }

    /// Takes what a link says.
    pub fn take(&mut self, now: Instant, event: Option<LinkEvent>) {
        self.give_up.get_or_insert(now.plus_ms(PATIENCE_MS));
        match event {
            Some(event) => self.session.handle(now, event),
            None => self.session.tick(now),
        }
        self.collect(now);
    }

    fn collect(&mut self, now: Instant) {
        for reply in self.session.take_replies(now) {
            if let Some(place) = self.asked.iter_mut().find(|(id, _)| *id == reply.id) {
                place.1 = Some(reply);
            }
        }
    }

    /// What to do next; to be called until it says to wait.
    pub fn turn(&mut self, now: Instant) -> Turn {
        if self.exit_code.is_some() {
            return Turn::Wait;
        }
        // What no broker is asked, because it does not know the API, is answered at once.
        self.collect(now);
        match self.state {
            State::Asked if self.is_answered() => return self.answers(now),
            State::Due(at) if at <= now && self.session.is_ready() => {
                self.asked.clear();
                self.unaddressed = false;
                self.state = State::Asked;
                return Turn::Ask;
            }
            State::Due(_) | State::Asked => {}
        }
        if self.give_up.is_some_and(|give_up| give_up <= now) {
            let reason = match self.session.trouble() {
                Some(Failure::Disconnected(reason)) => format!(": {reason}"),
                _ => String::new(),
            };
            return Turn::GaveUp(format!("Timed out waiting for a node assignment{reason}"));
        }
        Turn::Wait
    }

    fn is_answered(&self) -> bool {
        self.unaddressed || self.asked.iter().all(|(_, reply)| reply.is_some())
    }

    fn answers(&mut self, now: Instant) -> Turn {
        let replies: Vec<Reply> =
            std::mem::take(&mut self.asked).into_iter().filter_map(|(_, reply)| reply).collect();
        let passing = |reply: &Reply| {
            matches!(reply.body, Err(Failure::Disconnected(_) | Failure::TimedOut | Failure::Malformed(_)))
        };
        if self.unaddressed || replies.iter().any(passing) {
            self.again(now);
            return self.turn(now);
        }
        Turn::Answers(replies)
    }

    /// Sends a request of the step; its answer comes with the others'.
    pub fn ask<R: Request + Send + Sync + 'static>(
        &mut self,
        now: Instant,
        to: &Destination,
        versions: (i16, i16),
        request: R,
    ) {
        match self.session.send(now, to, versions, request) {
            Some(id) => self.asked.push((id, None)),
            None => self.unaddressed = true,
        }
    }

    /// What is known of the cluster.
    pub fn cluster(&self) -> &Cluster {
        self.session.cluster()
    }

    /// Whom to ask what any broker may answer: of controllers only the active one does.
    pub fn anyone(&self) -> Destination {
        match self.session.cluster().controller {
            Some(active) if self.session.config().controllers => Destination::Node(active),
            _ => Destination::Any,
        }
    }

    /// The brokers that are known.
    pub fn brokers(&self) -> Vec<i32> {
        self.session.cluster().brokers.keys().copied().collect()
    }

    /// The next step begins at once.
    pub fn proceed(&mut self, now: Instant) {
        self.state = State::Due(now);
        self.give_up = Some(now.plus_ms(PATIENCE_MS));
    }

    /// The step is repeated after a while.
    pub fn again(&mut self, now: Instant) {
        self.state = State::Due(now.plus_ms(self.session.config().retry_backoff_ms));
        self.session.refresh_after_backoff(now);
    }

    /// When it wants to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        let due = match self.state {
            State::Due(at) if self.session.is_ready() => Some(at),
            State::Due(_) | State::Asked => None,
        };
        [self.session.deadline(), due, self.give_up].into_iter().flatten().min()
    }

    /// What to do with its links.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.session.take_effects()
    }

    /// Ends.
    pub fn exit(&mut self, code: i32) {
        self.exit_code.get_or_insert(code);
        self.session.network().close();
    }

    /// The exit code, once it has ended.
    pub fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }
}
