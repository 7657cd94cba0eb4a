//! Time as an argument: no machine reads a clock.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the driver's monotonic clock, in microseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

/// Wall-clock time in milliseconds since the Unix epoch, as Kafka's records carry it. −1 means "none".
pub type Timestamp = i64;

/// The two clocks, read once by the driver for each event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timeouts and ordering.
    pub monotonic: Instant,
    /// For what is written into records and files.
    pub wall: Timestamp,
}

impl Instant {
    /// The instant `ms` milliseconds later; a negative or overlong wait saturates.
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(u64::try_from(ms).unwrap_or(0).saturating_mul(1_000)))
    }

    /// Whole milliseconds from `earlier` to here; 0 when `earlier` is later.
    pub fn ms_since(self, earlier: Self) -> i64 {
        i64::try_from(self.0.saturating_sub(earlier.0) / 1_000).unwrap_or(i64::MAX)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}
