//! What a producer's performance is told in: windows, and the whole.

use crate::time::Timestamp;

/// So many latencies are kept at most, about.
const LATENCIES_MAX: u64 = 500_000;

/// Counts of records, bytes and latencies. Times are wall clock, in ms.
#[derive(Clone, Debug)]
pub struct Stats {
    start: Timestamp,
    reporting_interval_ms: i64,
    /// Of the records after a warm-up.
    is_steady_state: bool,
    /// Windows are not told.
    pub is_quiet: bool,
    /// Every so manieth latency is kept.
    sampling: u64,
    latencies: Vec<i64>,
    whole: Sums,
    window: Sums,
    window_start: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: u64,
    bytes: u64,
    latency_ms: i64,
    latency_max_ms: i64,
}

impl Sums {
    fn add(&mut self, latency_ms: i64, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
        self.latency_ms += latency_ms;
        self.latency_max_ms = self.latency_max_ms.max(latency_ms);
    }

    /// Records and MB in a second.
    fn rates(&self, elapsed_ms: i64) -> (f64, f64) {
        let a_second = |count: u64| 1000.0 * count as f64 / elapsed_ms as f64;
        (a_second(self.count), a_second(self.bytes) / (1024.0 * 1024.0))
    }

    fn average_ms(&self) -> f64 {
        self.latency_ms as f64 / self.count as f64
    }
}

impl Stats {
    /// Of so many records from now on.
    pub fn new(now: Timestamp, records: u64, reporting_interval_ms: i64, is_steady_state: bool) -> Self {
        Self {
            start: now,
            reporting_interval_ms,
            is_steady_state,
            is_quiet: false,
            sampling: records.checked_div(records.min(LATENCIES_MAX)).unwrap_or(1),
            latencies: Vec::new(),
            whole: Sums::default(),
            window: Sums::default(),
            window_start: now,
        }
    }

    /// A record arrived; says what there is to say of the window.
    pub fn record(&mut self, now: Timestamp, latency_ms: i64, bytes: u64, out: &mut String) {
        if self.whole.count.checked_rem(self.sampling) == Some(0) {
            self.latencies.push(latency_ms);
        }
        self.whole.add(latency_ms, bytes);
        self.window.add(latency_ms, bytes);
        if now - self.window_start < self.reporting_interval_ms {
            return;
        }
        if self.is_steady_state && self.whole.count == self.window.count {
            out.push_str("In steady state.\n");
        }
        if !self.is_quiet {
            let (records, megabytes) = self.window.rates(now - self.window_start);
            let Sums { count, latency_max_ms, .. } = self.window;
            out.push_str(&format!(
                "{count} records sent, {records:.1} records/sec ({megabytes:.2} MB/sec), {:.1} ms avg latency, \
                 {latency_max_ms}.0 ms max latency.\n",
                self.window.average_ms()
            ));
        }
        (self.window, self.window_start) = (Sums::default(), now);
    }

    /// What there is to say at the end.
    pub fn total(&mut self, now: Timestamp) -> String {
        let (records, megabytes) = self.whole.rates(now - self.start);
        let Sums { count, latency_max_ms, .. } = self.whole;
        let state = if self.is_steady_state { " steady state" } else { "" };
        self.latencies.sort_unstable();
        let percentile = |share: f64| {
            let at = (share * self.latencies.len() as f64) as usize;
            self.latencies.get(at).copied().unwrap_or(0)
        };
        format!(
            "{count}{state} records sent, {records:.6} records/sec ({megabytes:.2} MB/sec), {:.2} ms avg latency, \
             {latency_max_ms}.00 ms max latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.\n",
            self.whole.average_ms(),
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            percentile(0.999),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_the_whole_are_told() {
        let mut stats = Stats::new(0, 3, 1000, false);
        let mut out = String::new();
        stats.record(100, 10, 1024 * 1024, &mut out);
        assert_eq!(out, "");
        stats.record(1000, 20, 1024 * 1024, &mut out);
        let window =
            "2 records sent, 2.0 records/sec (2.00 MB/sec), 15.0 ms avg latency, 20.0 ms max latency.\n";
        assert_eq!(out, window);
        stats.record(1500, 30, 1024 * 1024, &mut out);
        let total = "3 records sent, 1.500000 records/sec (1.50 MB/sec), 20.00 ms avg latency, 30.00 ms max latency, \
                     20 ms 50th, 30 ms 95th, 30 ms 99th, 30 ms 99.9th.\n";
        assert_eq!(stats.total(2000), total);
        let nothing = Stats::new(0, 1, 1000, true).total(10);
        assert!(
            nothing
                .starts_with("0 steady state records sent, 0.000000 records/sec (0.00 MB/sec), NaN ms avg")
        );
    }
}
