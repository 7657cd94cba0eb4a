//! [`Flights`]: frames on their way, for whoever draws them.
//!
//! A world that nobody watches keeps none. Watching changes nothing of what happens.

use ottla_protocol::ApiKey;

use super::{ProcessId, World};
use crate::sim::{Disk, Program};
use crate::small_map::SmallMap;
use crate::time::Instant;

/// How long a frame that has arrived is remembered, µs: who looks thirty times a second sees it.
const LINGER_US: u64 = 400_000;
/// Frames that are remembered at most; the oldest go first.
const FLIGHTS_MAX: usize = 1_000;
/// Requests of a connection that wait for their answer and are remembered; those that are never answered make room.
const ASKED_MAX: usize = 64;

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A broker.
    Host(i32),
    /// A client.
    Process(ProcessId),
}

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// Who sent it.
    pub from: Party,
    /// Who is to get it.
    pub to: Party,
    /// What is asked, or was.
    pub api: Option<ApiKey>,
    /// An answer.
    pub is_response: bool,
    /// When.
    pub sent: Instant,
    /// When it arrives, if nothing is in its way.
    pub arrives: Instant,
    /// It has, or was lost.
    pub is_over: bool,
}

/// Frames that are on their way, and those that were just now, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights {
    by_number: SmallMap<u64, Flight>,
    is_watched: bool,
}

impl Flights {
    /// A frame was sent.
    pub fn begin(&mut self, number: u64, flight: impl FnOnce() -> Flight) {
        if self.is_watched {
            let flight = flight();
            self.by_number.insert(number, flight);
            self.forget(flight.sent);
        }
    }

    /// It has arrived, or was lost with its connection.
    pub fn end(&mut self, number: u64) {
        if let Some(flight) = self.by_number.get_mut(&number) {
            flight.is_over = true;
        }
    }

    fn forget(&mut self, now: Instant) {
        self.by_number.retain(|_, flight| !flight.is_over || flight.arrives.0 + LINGER_US >= now.0);
        while self.by_number.len() > FLIGHTS_MAX {
            self.by_number.pop_first();
        }
    }
}

/// What was asked on a connection and has not been answered: correlation ids and APIs.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Vec<(i32, i16)>);

impl Asked {
    /// A request was sent; its frame begins with API, version and correlation id.
    pub fn note(&mut self, frame: &[u8]) -> Option<ApiKey> {
        let api = i16::from_be_bytes(frame.get(..2)?.try_into().ok()?);
        let correlation = i32::from_be_bytes(frame.get(4..8)?.try_into().ok()?);
        if self.0.len() == ASKED_MAX {
            self.0.remove(0);
        }
        self.0.push((correlation, api));
        ApiKey::from_key(api)
    }

    /// An answer was sent; its frame begins with the correlation id.
    pub fn answered(&mut self, frame: &[u8]) -> Option<ApiKey> {
        let correlation = i32::from_be_bytes(frame.get(..4)?.try_into().ok()?);
        let at = self.0.iter().position(|(asked, _)| *asked == correlation)?;
        ApiKey::from_key(self.0.remove(at).1)
    }
}

impl<S: Disk, P: Program> World<S, P> {
    /// From now on [`World::flights`] knows of frames.
    pub fn watch_flights(&mut self) {
        self.flights.is_watched = true;
    }

    /// Frames that are on their way, or have arrived within the last moments, by number; the oldest first.
    pub fn flights(&self) -> impl DoubleEndedIterator<Item = (u64, &Flight)> {
        let since = self.now.0.saturating_sub(LINGER_US);
        let flights = self.flights.by_number.iter();
        flights
            .filter(move |(_, flight)| !flight.is_over || flight.arrives.0 >= since)
            .map(|(number, flight)| (*number, flight))
    }
}
