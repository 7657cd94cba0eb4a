//! A rate that is not exceeded by much.

use crate::time::Instant;

/// Waits that are shorter are put together.
const WAIT_MIN_MS: i64 = 2;

/// When records may go, so that about so many do in a second: below 0 all at once, with 0 none.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    target: f64,
    start: Instant,
}

impl Throttle {
    /// From now on.
    pub fn new(target: f64, start: Instant) -> Self {
        Self { target, start }
    }

    /// When the next record may go, if that is not now. So many were sent.
    pub fn wait(&self, sent: u64, now: Instant) -> Option<Instant> {
        if self.target < 0.0 || sent < 2 {
            return None;
        }
        let elapsed_ms = now.ms_since(self.start);
        let due_ms = (sent - 1) as f64 * 1000.0 / self.target;
        if elapsed_ms as f64 >= due_ms {
            return None;
        }
        let wait_ms = (due_ms - elapsed_ms as f64).ceil().min(i64::MAX as f64) as i64;
        Some(now.plus_ms(wait_ms.max(WAIT_MIN_MS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_none_means_none() {
        let at = |ms: i64| Instant(0).plus_ms(ms);
        let throttle = |target| Throttle::new(target, at(0));
        assert_eq!(throttle(-1.0).wait(1_000_000, at(1)), None);
        assert_eq!(throttle(100.0).wait(11, at(100)), None);
        assert_eq!(throttle(100.0).wait(12, at(100)), Some(at(110)));
        assert_eq!(throttle(1000.0).wait(12, at(10)), Some(at(12)));
        assert!(throttle(0.0).wait(2, at(1000)).is_some_and(|due| due > at(1_000_000_000)));
    }
}
