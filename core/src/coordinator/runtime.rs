//! [`Runtime`]: drives one coordinator over one partition's log.

use std::collections::VecDeque;

use ottla_protocol::ErrorCode;

use super::{Coordinator, DecideCx, Decision, ReplayAt, Replicated, Token};
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// Records in one write of a decision that may become several (Kafka's controller takes as many into a batch).
const RECORDS_PER_WRITE_MAX: usize = 10_000;

/// The log that a coordinator writes to.
pub trait Append<Record> {
    /// Where the next record goes.
    fn next_offset(&self) -> i64;

    /// Appends the records as one write, or nothing.
    fn append(&mut self, now: Now, records: &[Record]) -> Result<Appended, ErrorCode>;
}

/// Where a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: i64,
    /// The log's high watermark after it.
    pub high_watermark: i64,
}

/// A coordinator, its replicated state and the answers that wait for the high watermark.
#[derive(Clone, Debug)]
pub struct Runtime<C: Coordinator> {
    coordinator: C,
    state: Replicated<C::State>,
    rng: Rng,
    parked: VecDeque<Parked<C>>,
    ready: Vec<(Token, C::Response)>,
}

/// Answers that wait for the high watermark.
#[derive(Clone, Debug)]
struct Parked<C: Coordinator> {
    /// Of the last record waited for.
    offset: i64,
    since: Instant,
    replies: Vec<(Token, C::Response)>,
}

impl<C: Coordinator> Runtime<C> {
    /// A runtime over a state that was loaded from the log.
    pub fn loaded(coordinator: C, state: C::State, now: Now, rng: Rng) -> Self {
        Self::resumed(coordinator, Replicated::new(state), now, rng)
    }

    /// The same for a log of which the end is not committed yet: a predecessor's last writes.
    pub fn resumed(mut coordinator: C, state: Replicated<C::State>, now: Now, rng: Rng) -> Self {
        coordinator.loaded(now, state.tip());
        Self { coordinator, state, rng, parked: VecDeque::new(), ready: Vec::new() }
    }

    /// The log went elsewhere: what waited for it to be committed is refused, as if it had not been appended. Nothing is submitted any more.
    pub fn abandon(&mut self, now: Now, error: ErrorCode) -> Vec<(Token, C::Response)> {
        let parked = std::mem::take(&mut self.parked).into_iter().flat_map(|parked| parked.replies);
        let mut refused = std::mem::take(&mut self.ready);
        refused.extend(self.coordinator.append_failed(now, error, parked.collect()));
        refused
    }

    /// Asks the coordinator something. Answers appear in [`Runtime::take_ready`], at once or after later calls.
    pub fn submit(&mut self, now: Now, log: &mut impl Append<C::Record>, token: Token, request: C::Request) {
        let mut cx = DecideCx {
            now,
            rng: &mut self.rng,
            next_offset: log.next_offset(),
            tip: self.state.tip(),
            committed: self.state.committed(),
        };
        let decision = self.coordinator.decide(&mut cx, token, request);
        self.carry_out(now, log, decision);
    }

    /// Lets passed deadlines decide.
    pub fn tick(&mut self, now: Now, log: &mut impl Append<C::Record>) {
        while self.deadline().is_some_and(|deadline| deadline <= now.monotonic) {
            let mut cx = DecideCx {
                now,
                rng: &mut self.rng,
                next_offset: log.next_offset(),
                tip: self.state.tip(),
                committed: self.state.committed(),
            };
            let decision = self.coordinator.tick(&mut cx);
            self.carry_out(now, log, decision);
        }
    }

    /// When [`Runtime::tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.coordinator.deadline()
    }

    /// Something was appended to the log by others, at `offset`, that changes the state.
    pub fn appended_elsewhere(&mut self, offset: i64, change: impl FnOnce(&mut C::State)) {
        change(self.state.tip_mut());
        self.state.appended(offset);
    }

    /// Everything below `high_watermark` is committed: frees the answers that waited for it.
    pub fn high_watermark_advanced(&mut self, high_watermark: i64) {
        self.state.committed_up_to(high_watermark);
        while let Some(parked) = self.parked.pop_front_if(|parked| parked.offset < high_watermark) {
            self.ready.extend(parked.replies);
        }
    }

    fn park(&mut self, now: Now, offset: i64, replies: Vec<(Token, C::Response)>) {
        self.parked.push_back(Parked { offset, since: now.monotonic, replies });
    }

    /// Since when the first of the answers waits that wait for the high watermark.
    pub fn parked_since(&self) -> Option<Instant> {
        self.parked.front().map(|parked| parked.since)
    }

    /// Gives up those that wait since `since` or longer, as if they were given: what they speak of is appended, and may be committed later.
    pub fn take_parked_since(&mut self, since: Instant) -> Vec<(Token, C::Response)> {
        let mut taken = Vec::new();
        while let Some(parked) = self.parked.pop_front_if(|parked| parked.since <= since) {
            taken.extend(parked.replies);
        }
        taken
    }

    /// The answers that may be sent.
    pub fn take_ready(&mut self) -> Vec<(Token, C::Response)> {
        std::mem::take(&mut self.ready)
    }

    /// The state up to the high watermark.
    pub fn committed(&self) -> &C::State {
        self.state.committed()
    }

    /// The state with every appended record.
    pub fn tip(&self) -> &C::State {
        self.state.tip()
    }

    /// The soft state.
    pub fn coordinator(&self) -> &C {
        &self.coordinator
    }

    /// The soft state, for events that need no record (a new image, a closed connection).
    pub fn coordinator_mut(&mut self) -> &mut C {
        &mut self.coordinator
    }

    /// Carries out a decision that was made outside [`Runtime::submit`].
    pub fn carry_out(&mut self, now: Now, log: &mut impl Append<C::Record>, decision: Decision<C>) {
        if decision.records.is_empty() {
            match self.state.last_pending() {
                Some(offset) if !decision.replies.is_empty() => {
                    self.park(now, offset, decision.replies);
                }
                _ => self.ready.extend(decision.replies),
            }
            return;
        }
        let at_most = if decision.is_atomic { decision.records.len() } else { RECORDS_PER_WRITE_MAX };
        let mut written = None;
        let mut replies = decision.replies;
        for records in decision.records.chunks(at_most) {
            match log.append(now, records) {
                Ok(appended) => written = Some((self.replay(now, appended.base_offset, records), appended)),
                Err(error) => {
                    let refusals = self.coordinator.append_failed(now, error, std::mem::take(&mut replies));
                    self.ready.extend(refusals);
                    break;
                }
            }
        }
        if let Some((last_offset, appended)) = written {
            self.park(now, last_offset, replies);
            self.high_watermark_advanced(appended.high_watermark);
        }
    }

    /// Replays a write onto the tip: the offset of its last record.
    fn replay(&mut self, now: Now, base_offset: i64, records: &[C::Record]) -> i64 {
        let mut offset = base_offset;
        for record in records {
            let at = ReplayAt { offset, timestamp: now.wall, producer_id: -1, producer_epoch: -1 };
            C::replay(self.state.tip_mut(), at, record);
            offset = offset.saturating_add(1);
        }
        let last_offset = offset.saturating_sub(1);
        self.state.appended(last_offset);
        last_offset
    }
}
