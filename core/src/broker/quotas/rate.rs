//! How much was used a second, as Apache Kafka's metrics measure it: in windows, of which the older are forgotten one by one.

use crate::time::Instant;

/// How a rate is measured (`quota.window.num`, `quota.window.size.seconds`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// How many count.
    pub count: usize,
    /// How long each is, ms.
    pub size_ms: i64,
}

/// What was used lately. A window begins with the first use in it.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    windows: Vec<Window>,
    current: usize,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    last: Instant,
    used: f64,
}

impl Windows {
    /// From the two keys.
    pub fn new(count: i32, size_seconds: i32) -> Self {
        let size_ms = i64::from(size_seconds).saturating_mul(1_000);
        Self { count: usize::try_from(count).unwrap_or(1), size_ms }
    }

    /// How long a use counts, ms.
    pub fn span_ms(self) -> i64 {
        self.size_ms.saturating_mul(i64::try_from(self.count).unwrap_or(i64::MAX))
    }

    /// The most that can be used at once without having to wait, with such a limit a second.
    pub fn burst(self, limit: f64) -> f64 {
        limit * (self.count.saturating_sub(1) as f64) * (self.size_ms as f64 / 1_000.0)
    }
}

impl Window {
    fn begun(now: Instant) -> Self {
        Self { since: now, last: now, used: 0.0 }
    }
}

impl Rate {
    /// So much more was used, or less than was thought.
    pub fn record(&mut self, windows: Windows, now: Instant, used: f64) {
        let is_over = |window: &Window| now.ms_since(window.since) >= windows.size_ms;
        match self.windows.get(self.current) {
            None => self.windows.push(Window::begun(now)),
            Some(window) if is_over(window) => {
                // One more than count: the oldest overlaps the first of them.
                self.current = (self.current + 1) % windows.count.saturating_add(1);
                match self.windows.get_mut(self.current) {
                    Some(oldest) => *oldest = Window::begun(now),
                    None => self.windows.push(Window::begun(now)),
                }
            }
            Some(_) => {}
        }
        if let Some(window) = self.windows.get_mut(self.current) {
            window.used += used;
            window.last = now;
        }
    }

    /// How long to wait until the mean is `limit` a second, ms; 0 if it is no more.
    pub fn throttle_ms(&mut self, windows: Windows, now: Instant, limit: f64) -> i64 {
        for window in &mut self.windows {
            if now.ms_since(window.last) >= windows.span_ms() {
                *window = Window::begun(now);
            }
        }
        let Some(oldest) = self.windows.iter().map(|window| window.since).min() else { return 0 };
        let used: f64 = self.windows.iter().map(|window| window.used).sum();
        let elapsed_ms = now.ms_since(oldest);
        let whole = elapsed_ms.checked_div(windows.size_ms).unwrap_or(0);
        let wanted = i64::try_from(windows.count).unwrap_or(i64::MAX).saturating_sub(1);
        // What is missing is taken for empty.
        let missing_ms = wanted.saturating_sub(whole).max(0).saturating_mul(windows.size_ms);
        let measured_ms = elapsed_ms.saturating_add(missing_ms).max(1) as f64;
        let rate = used / (measured_ms / 1_000.0);
        if rate <= limit {
            return 0;
        }
        // Rounded as Java rounds, half up.
        ((rate - limit) / limit * measured_ms + 0.5).floor() as i64
    }

    /// Whether nothing that was used counts any more.
    pub fn is_idle(&self, windows: Windows, now: Instant) -> bool {
        self.windows.iter().all(|window| now.ms_since(window.last) >= windows.span_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows { count: 11, size_ms: 1_000 };

    fn at(ms: i64) -> Instant {
        Instant(7_000_000).plus_ms(ms)
    }

    /// What Apache Kafka's `Rate` and `QuotaUtils.throttleTime` say to the same.
    #[test]
    fn a_first_use_is_measured_over_ten_windows() {
        let mut rate = Rate::default();
        rate.record(WINDOWS, at(0), 10_000.0);
        assert_eq!(rate.throttle_ms(WINDOWS, at(0), 1_000.0), 0);
        rate.record(WINDOWS, at(0), 500.0);
        assert_eq!(rate.throttle_ms(WINDOWS, at(0), 1_000.0), 500);
        assert_eq!(rate.throttle_ms(WINDOWS, at(400), 1_000.0), 100, "ten windows more than have begun");
        assert_eq!(rate.throttle_ms(WINDOWS, at(500), 1_000.0), 0);
    }

    #[test]
    fn what_is_older_than_the_windows_does_not_count() {
        let mut rate = Rate::default();
        rate.record(WINDOWS, at(0), 1e9);
        rate.record(WINDOWS, at(5_000), 1.0);
        assert!(rate.throttle_ms(WINDOWS, at(10_999), 1_000.0) > 0);
        assert!(!rate.is_idle(WINDOWS, at(11_000)));
        assert_eq!(rate.throttle_ms(WINDOWS, at(11_000), 1_000.0), 0);
        assert!(rate.is_idle(WINDOWS, at(30_000)));
    }

    #[test]
    fn twelve_windows_are_kept_and_the_first_is_used_again() {
        let mut rate = Rate::default();
        for second in 0..30 {
            rate.record(WINDOWS, at(second * 1_000), 1_000.0);
        }
        assert_eq!(rate.windows.len(), 12);
        // The eleven windows that count and the one that began before them are eleven seconds long.
        assert_eq!(rate.throttle_ms(WINDOWS, at(29_000), 1_000.0), 1_000);
    }

    #[test]
    fn what_is_taken_back_was_never_used() {
        let mut rate = Rate::default();
        rate.record(WINDOWS, at(0), 50_000.0);
        assert_eq!(rate.throttle_ms(WINDOWS, at(0), 1_000.0), 40_000);
        rate.record(WINDOWS, at(0), -50_000.0);
        assert_eq!(rate.throttle_ms(WINDOWS, at(0), 1_000.0), 0);
    }
}
