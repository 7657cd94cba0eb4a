//! Limits of clients (KIP-13, KIP-55, KIP-124): what each has used of this broker, and how long it has to wait.
//!
//! A limit is of the whole broker, so one machine counts. Connections ask it before they answer, and only while somebody has a limit of that
//! kind: without any, nobody does. The answer leaves at once and says how long the client is throttled; for so long the connection takes no
//! other request.

mod answer;
mod connections;
mod rate;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::Str;

pub use answer::set_throttle_time;
pub use connections::{ConnectionLimits, ConnectionRates};
pub use rate::{Rate, Windows};

use super::{ConnectionEvent, Message};
use crate::config::BrokerConfig;
use crate::coordinator::Token;
use crate::ids::ConnectionId;
use crate::log::LogStore;
use crate::machine::{Cx, Machine};
use crate::metadata::Published;
use crate::metadata::quotas::{QuotaKind, QuotaTags};
use crate::time::Instant;

/// Counters above which those are looked for that nobody needs.
const COUNTERS_MIN: usize = 256;

/// What a nanosecond is of a second.
const PERCENT_OF_A_NANOSECOND: f64 = 100.0 / 1e9;

/// What can happen to it.
#[derive(Clone, Debug)]
pub enum QuotasEvent {
    /// A request is done but for its answer.
    Used(Box<Use>),
    /// Requests of a connection have taken so much of a thread's time, µs.
    Spent(ConnectionId, u64),
    /// What the connection's requests have taken does not count, or it is gone.
    Forget(ConnectionId),
}

/// What a request has used.
#[derive(Clone, Debug)]
pub struct Use {
    /// To be answered under.
    pub token: Token,
    /// The limits.
    pub published: Arc<Published>,
    /// The name of the principal.
    pub user: Str,
    /// `client.id`
    pub client_id: Option<Str>,
    /// Bytes of it, of Produce: header and body.
    pub produced: Option<usize>,
    /// Bytes of its answer, of Fetch; they do not count if it has to wait.
    pub fetched: Option<usize>,
    /// Whether its time counts; if not, it is forgotten.
    pub is_timed: bool,
}

/// What clients have used of a broker.
#[derive(Clone, Debug)]
pub struct Quotas {
    windows: Windows,
    rates: BTreeMap<(QuotaKind, QuotaTags), Rate>,
    /// µs that requests have taken and that are not counted yet.
    spent: BTreeMap<ConnectionId, u64>,
    /// With so many counters it looks for idle ones.
    counters_max: usize,
}

impl Quotas {
    /// Nothing was used.
    pub fn new(config: &BrokerConfig) -> Self {
        Self {
            windows: Windows::new(config.quota_window_num, config.quota_window_size_seconds),
            rates: BTreeMap::new(),
            spent: BTreeMap::new(),
            counters_max: COUNTERS_MIN,
        }
    }

    /// Requests of a connection have taken so much of a thread's time, µs.
    pub fn spend(&mut self, connection: ConnectionId, us: u64) {
        let spent = self.spent.entry(connection).or_default();
        *spent = spent.saturating_add(us);
    }

    /// How long the client of a request has to wait, ms.
    pub fn throttle_ms(&mut self, now: Instant, used: &Use) -> i64 {
        let spent_us = self.spent.remove(&used.token.connection).filter(|_| used.is_timed);
        let percent_of_a_second =
            spent_us.map(|spent_us| spent_us as f64 * 1_000.0 * PERCENT_OF_A_NANOSECOND);
        let of_time = self.record(now, used, QuotaKind::Request, percent_of_a_second);
        let of_time = of_time.min(self.windows.size_ms);
        let bytes = |bytes: Option<usize>| bytes.map(|bytes| bytes as f64);
        let of_bytes = self.record(now, used, QuotaKind::Produce, bytes(used.produced));
        let of_answer = self.record(now, used, QuotaKind::Fetch, bytes(used.fetched));
        let throttle_ms = of_time.max(of_bytes).max(of_answer);
        if let (Some(fetched), 1..) = (used.fetched, throttle_ms) {
            // It gets nothing.
            self.counter(now, used, QuotaKind::Fetch, |rate, windows, _| {
                rate.record(windows, now, -(fetched as f64));
            });
        }
        throttle_ms
    }

    fn record(&mut self, now: Instant, used: &Use, kind: QuotaKind, amount: Option<f64>) -> i64 {
        let Some(amount) = amount else { return 0 };
        let throttle = self.counter(now, used, kind, |rate, windows, limit| {
            rate.record(windows, now, amount);
            limit.map_or(0, |limit| rate.throttle_ms(windows, now, limit))
        });
        throttle.unwrap_or(0)
    }

    /// Does something with the counter of a client, if anybody has a limit of that kind.
    fn counter<T>(
        &mut self,
        now: Instant,
        used: &Use,
        kind: QuotaKind,
        act: impl FnOnce(&mut Rate, Windows, Option<f64>) -> T,
    ) -> Option<T> {
        let quotas = &used.published.image.client_quotas;
        if !quotas.is_limited(kind) {
            return None;
        }
        let (tags, limit) = quotas.limit(kind, &used.user, used.client_id.as_ref());
        if self.rates.len() >= self.counters_max {
            let windows = self.windows;
            self.rates.retain(|_, rate| !rate.is_idle(windows, now));
            self.counters_max = self.rates.len().saturating_mul(2).max(COUNTERS_MIN);
        }
        Some(act(self.rates.entry((kind, tags)).or_default(), self.windows, limit))
    }
}

impl<S: LogStore> Machine<S> for Quotas {
    type Event = QuotasEvent;

    fn handle(&mut self, cx: &mut Cx<'_, S>, event: QuotasEvent) {
        match event {
            QuotasEvent::Used(used) => {
                let throttle_ms = self.throttle_ms(cx.now.monotonic, &used);
                let throttle_ms = i32::try_from(throttle_ms).unwrap_or(i32::MAX);
                let event = ConnectionEvent::Throttled { request: used.token.request, throttle_ms };
                cx.effects.tell(Message::Connection(used.token.connection, event));
            }
            QuotasEvent::Spent(connection, us) => {
                self.spend(connection, us);
            }
            QuotasEvent::Forget(connection) => _ = self.spent.remove(&connection),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}
