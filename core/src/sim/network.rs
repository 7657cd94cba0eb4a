//! The network between clients and brokers: links with a delay each way, in order, until they are cut.

use crate::rng::Rng;
use crate::time::Instant;

/// How long messages travel, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// At least.
    pub delay_min_us: u64,
    /// At most.
    pub delay_max_us: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self { delay_min_us: 200, delay_max_us: 1_200 }
    }
}

impl Network {
    /// When a message sent now arrives, never before the one sent before it.
    pub fn arrival(&self, now: Instant, last: &mut Instant, rng: &mut Rng) -> Instant {
        let spread = self.delay_max_us.saturating_sub(self.delay_min_us).saturating_add(1);
        let arrival = Instant(now.0 + self.delay_min_us + rng.below(spread));
        *last = arrival.max(*last);
        *last
    }
}
