//! The decide/replay runtime that the controller and the coordinators share.
//!
//! A decision reads the *tip*. Its records are appended and replayed onto the tip at once; its replies wait until the high watermark has
//! passed them. A decision without records waits for the last write before it. A failed append changes nothing and
//! turns the replies into refusals.

pub mod group;
pub mod replicated;
pub mod runtime;

use std::fmt::Debug;

use ottla_protocol::ErrorCode;

use crate::rng::Rng;
use crate::time::{Instant, Now};

pub use replicated::Replicated;
pub use runtime::{Append, Appended, Runtime};

/// Names a parked request to whoever will answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The connection that asked.
    pub connection: crate::ids::ConnectionId,
    /// The request on that connection.
    pub request: u64,
}

/// What a decision may look at, besides its request and its own soft state.
#[derive(Debug)]
pub struct DecideCx<'a, State> {
    /// The clocks.
    pub now: Now,
    /// Seeded randomness (member ids, topic ids).
    pub rng: &'a mut Rng,
    /// The offset that the decision's first record will have.
    pub next_offset: i64,
    /// The state with every appended record: what decisions build on.
    pub tip: &'a State,
    /// The state up to the high watermark: what descriptions and lists show.
    pub committed: &'a State,
}

/// Records to write, and answers that wait for them.
#[derive(Clone, Debug)]
pub struct Decision<C: Coordinator> {
    /// To be appended, in order.
    pub records: Vec<C::Record>,
    /// All of the records or none. Where any number of the first makes sense without the others, they may become several writes.
    pub is_atomic: bool,
    /// To be sent once the records (or, without any, the last write before) are committed.
    pub replies: Vec<(Token, C::Response)>,
}

/// Where a record stands in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayAt {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in ms.
    pub timestamp: i64,
    /// −1 outside transactions.
    pub producer_id: i64,
    /// −1 outside transactions.
    pub producer_epoch: i16,
}

/// A replicated state machine: `Self` is its soft state, [`Coordinator::State`] what its log says.
pub trait Coordinator: Clone + Debug + Sized {
    /// What the log says; cloning it is O(1).
    type State: Clone + Debug;
    /// One entry of its log.
    type Record: Clone + Debug;
    /// What it is asked.
    type Request;
    /// What it answers.
    type Response: Clone + Debug;

    /// Decides about a request. Parking it is keeping `token` in soft state.
    fn decide(
        &mut self,
        cx: &mut DecideCx<'_, Self::State>,
        token: Token,
        request: Self::Request,
    ) -> Decision<Self>;

    /// Decides what a passed deadline asks for. Called repeatedly while `deadline()` has passed.
    fn tick(&mut self, cx: &mut DecideCx<'_, Self::State>) -> Decision<Self>;

    /// When it wants to be woken.
    fn deadline(&self) -> Option<Instant>;

    /// Applies one record: the same at run time, at load and on followers.
    fn replay(state: &mut Self::State, at: ReplayAt, record: &Self::Record);

    /// The log was loaded up to its end: rebuild soft state from `state`.
    fn loaded(&mut self, now: Now, state: &Self::State);

    /// The append of a decision failed with `error`: the answers to give instead of `replies`.
    fn append_failed(
        &mut self,
        now: Now,
        error: ErrorCode,
        replies: Vec<(Token, Self::Response)>,
    ) -> Vec<(Token, Self::Response)>;
}

impl<C: Coordinator> Decision<C> {
    /// Nothing to write, nothing to say: the request is parked, or the event changed nothing.
    pub fn none() -> Self {
        Self { records: Vec::new(), is_atomic: true, replies: Vec::new() }
    }

    /// An answer that needs no record.
    pub fn reply(token: Token, response: C::Response) -> Self {
        Self { replies: vec![(token, response)], ..Self::none() }
    }

    /// Records and the answer that waits for them.
    pub fn write(records: Vec<C::Record>, token: Token, response: C::Response) -> Self {
        Self { records, replies: vec![(token, response)], ..Self::none() }
    }

    /// Records that nobody waits for.
    pub fn records(records: Vec<C::Record>) -> Self {
        Self { records, ..Self::none() }
    }

    /// The same, of which the first records make sense without the last.
    #[must_use]
    pub fn divisible(self) -> Self {
        Self { is_atomic: false, ..self }
    }

    /// Both decisions, this one first.
    pub fn and(mut self, mut other: Self) -> Self {
        self.is_atomic |= other.is_atomic;
        self.records.append(&mut other.records);
        self.replies.append(&mut other.replies);
        self
    }
}
