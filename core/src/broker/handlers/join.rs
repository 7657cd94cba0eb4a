//! A request over many partitions: shards answer part by part, the response leaves when all have answered.

use ottla_protocol::Response;

use super::{Env, Outcome, Pending};
use crate::broker::data::DataRequest;
use crate::broker::fan_out::FanOut;
use crate::broker::request::Request;
use crate::broker::{Message, ShardEvent};
use crate::log::LogStore;

/// The answer so far; `P` says where a part stands in it.
#[derive(Clone, Debug)]
pub struct Join<R, P = (usize, usize)> {
    /// What will be sent.
    pub response: R,
    /// Where each part stands.
    pub places: Places<P>,
    waiting: usize,
}

/// Where parts stand in a response, by their index.
#[derive(Clone, Debug)]
pub struct Places<P>(Vec<P>);

impl<P> Places<P> {
    /// Gives the next part its index.
    pub fn add(&mut self, place: P) -> usize {
        self.0.push(place);
        self.0.len() - 1
    }
}

impl<R: Response, P: Copy> Join<R, P> {
    /// An answer without parts.
    pub fn new() -> Self {
        Self { response: R::default(), places: Places(Vec::new()), waiting: 0 }
    }

    /// Asks the shards, each for its parts, and waits for all of them.
    pub fn ask<S: LogStore, Part>(
        mut self,
        env: &mut Env<'_, '_, S>,
        request: &Request,
        fan_out: FanOut<Part>,
        ask: impl Fn(Vec<Part>) -> DataRequest,
        wait: impl FnOnce(Self) -> Pending<S>,
    ) -> Outcome<S> {
        self.waiting = fan_out.len();
        let token = env.token(request);
        for (shard, parts) in fan_out.into_parts() {
            let request = ask(parts);
            env.cx.effects.tell(Message::Shard(shard, ShardEvent::Data { token, request }));
        }
        self.go_on(request, wait)
    }

    /// A shard answered: `fill` puts each of its parts into the response.
    pub fn answered<S: LogStore, A>(
        mut self,
        request: &Request,
        parts: Vec<(usize, A)>,
        fill: impl Fn(&mut R, P, A),
        wait: impl FnOnce(Self) -> Pending<S>,
    ) -> Outcome<S> {
        for (index, answer) in parts {
            if let Some(place) = self.places.0.get(index) {
                fill(&mut self.response, *place, answer);
            }
        }
        self.waiting = self.waiting.saturating_sub(1);
        self.go_on(request, wait)
    }

    fn go_on<S: LogStore>(self, request: &Request, wait: impl FnOnce(Self) -> Pending<S>) -> Outcome<S> {
        match self.waiting {
            0 => Outcome::Reply(request.respond(&self.response, [])),
            _ => Outcome::Wait(Box::new(wait(self))),
        }
    }
}
