//! The real clocks.

use std::time::{Duration, SystemTime};

use ottla_core::time::{Instant, Now};

/// Both clocks, from one start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// The monotonic clock begins here.
    pub fn start() -> Self {
        Self { start: std::time::Instant::now() }
    }

    /// What the clocks say.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { monotonic: self.monotonic(), wall: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX) }
    }

    /// What the monotonic clock says.
    pub fn monotonic(&self) -> Instant {
        Instant(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The same instant as the system knows it.
    pub fn instant(&self, at: Instant) -> std::time::Instant {
        // A deadline further off than the system can say is as good as a day: it is looked at again then.
        let far = self.start.elapsed() + Duration::from_secs(86_400);
        self.start + Duration::from_micros(at.0).min(far)
    }
}
