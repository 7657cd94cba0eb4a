//! Requests on their way: one at a time to each peer, with a timeout, and a pause after a failure.

use ottla_protocol::Str;

use crate::quorum::control::Endpoints;
use crate::small_map::SmallMap;
use crate::time::Instant;

/// Somebody to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `node.id`; a bootstrap server, of which only the address is known, has a negative one.
    pub id: i32,
    /// Where.
    pub host: Str,
    /// Where.
    pub port: u16,
}

impl Peer {
    /// The one with this id at the address that the listener has.
    pub fn at(id: i32, endpoints: &Endpoints, listener: &Str) -> Option<Self> {
        let (_, host, port) = endpoints.iter().find(|(name, ..)| name == listener)?;
        Some(Self { id, host: host.clone(), port: *port })
    }
}

/// What is on its way to whom.
#[derive(Clone, Debug)]
pub(super) struct Links {
    by_id: SmallMap<i32, Link>,
    next_correlation: u64,
    request_timeout_ms: i64,
    retry_backoff_ms: i64,
}

#[derive(Clone, Copy, Debug)]
enum Link {
    Waiting { correlation: u64, until: Instant },
    BackingOff { until: Instant },
}

impl Links {
    pub fn new(request_timeout_ms: i64, retry_backoff_ms: i64) -> Self {
        Self { by_id: SmallMap::new(), next_correlation: 0, request_timeout_ms, retry_backoff_ms }
    }

    /// Answers that are on their way concern nobody any more.
    pub fn reset_all(&mut self) {
        self.by_id.clear();
    }

    /// Nothing is on its way to this one any more.
    pub fn reset(&mut self, id: i32) {
        self.by_id.remove(&id);
    }

    /// A request may be sent.
    pub fn is_ready(&self, id: i32, now: Instant) -> bool {
        match self.by_id.get(&id) {
            None => true,
            Some(Link::Waiting { until, .. } | Link::BackingOff { until }) => *until <= now,
        }
    }

    /// It has not answered in time.
    pub fn has_timed_out(&self, id: i32, now: Instant) -> bool {
        matches!(self.by_id.get(&id), Some(Link::Waiting { until, .. }) if *until <= now)
    }

    /// It failed a moment ago.
    pub fn is_backing_off(&self, id: i32, now: Instant) -> bool {
        matches!(self.by_id.get(&id), Some(Link::BackingOff { until }) if *until > now)
    }

    /// Somebody is to answer something.
    pub fn any_in_flight(&self, now: Instant) -> bool {
        self.by_id.values().any(|link| matches!(link, Link::Waiting { until, .. } if *until > now))
    }

    /// A request is sent: its number.
    pub fn sent(&mut self, id: i32, now: Instant) -> u64 {
        self.next_correlation = self.next_correlation.saturating_add(1);
        let until = now.plus_ms(self.request_timeout_ms);
        self.by_id.insert(id, Link::Waiting { correlation: self.next_correlation, until });
        self.next_correlation
    }

    /// Who is expected to answer the request with this number. After its time nobody is: another one may have been asked the same.
    pub fn expected_from(&self, correlation: u64, now: Instant) -> Option<i32> {
        let is_it = |link: &Link| matches!(link, Link::Waiting { correlation: sent, until } if *sent == correlation && *until > now);
        self.by_id.iter().find(|(_, link)| is_it(link)).map(|(id, _)| *id)
    }

    /// It was answered; after a failure the peer is left alone for a moment.
    pub fn answered(&mut self, correlation: u64, well: bool, now: Instant) {
        let Some(id) = self.expected_from(correlation, now) else { return };
        if well {
            self.by_id.remove(&id);
        } else {
            self.by_id.insert(id, Link::BackingOff { until: now.plus_ms(self.retry_backoff_ms) });
        }
    }

    /// Forgets pauses that are over.
    pub fn tick(&mut self, now: Instant) {
        self.by_id.retain(|_, link| !matches!(link, Link::BackingOff { until } if *until <= now));
    }

    /// When something will have changed by itself.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let until = self.by_id.values().map(|link| match link {
            Link::Waiting { until, .. } | Link::BackingOff { until } => *until,
        });
        until.filter(|until| *until > now).min()
    }
}
