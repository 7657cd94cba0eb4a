//! Requests by API and version, and how long they took.

use std::collections::BTreeMap;

use ottla_protocol::ApiKey;

use super::count;

/// A request was answered, or needed no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What was asked.
    pub api: ApiKey,
    /// In which version.
    pub version: i16,
    /// From when it was begun, which the ones before it may delay, to its answer, in µs.
    pub took_us: u64,
    /// Its size in bytes, without the length prefix.
    pub request_bytes: usize,
}

/// Upper bounds of the classes that durations are sorted into, in µs: Prometheus reads seconds.
pub const BOUNDS_US: [u64; 11] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000];

/// What was measured of the requests of one API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestMeter {
    /// How many took at most each of [`BOUNDS_US`] and more than the bound before.
    pub classes: [u64; BOUNDS_US.len()],
    /// All of them.
    pub count: u64,
    /// How long they took together, in µs.
    pub total_us: u64,
    /// Their sizes together, in bytes.
    pub request_bytes: u64,
}

/// Everything that was asked of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestMeters {
    /// By the number of the API.
    pub by_api: BTreeMap<i16, RequestMeter>,
    /// How many, by the number of the API and the version.
    pub by_version: BTreeMap<(i16, i16), u64>,
}

impl RequestMeter {
    fn add(&mut self, other: &Self) {
        for (own, other) in self.classes.iter_mut().zip(other.classes) {
            count(own, other);
        }
        count(&mut self.count, other.count);
        count(&mut self.total_us, other.total_us);
        count(&mut self.request_bytes, other.request_bytes);
    }
}

impl RequestMeters {
    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        for (api, meter) in &other.by_api {
            self.by_api.entry(*api).or_default().add(meter);
        }
        for (version, meter) in &other.by_version {
            count(self.by_version.entry(*version).or_default(), *meter);
        }
    }

    /// Another one.
    pub fn answered(&mut self, answered: &Answered) {
        let api = answered.api.key();
        let meter = self.by_api.entry(api).or_default();
        let class = BOUNDS_US.partition_point(|bound| *bound < answered.took_us);
        if let Some(class) = meter.classes.get_mut(class) {
            count(class, 1);
        }
        count(&mut meter.count, 1);
        count(&mut meter.total_us, answered.took_us);
        count(&mut meter.request_bytes, answered.request_bytes as u64);
        count(self.by_version.entry((api, answered.version)).or_default(), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_sorted_by_their_upper_bounds() {
        let mut meters = RequestMeters::default();
        for took_us in [0, 100, 101, 1_000_000, 1_000_001] {
            meters.answered(&Answered { api: ApiKey::Produce, version: 9, took_us, request_bytes: 10 });
        }
        let meter = meters.by_api[&0];
        assert_eq!(meter.classes, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((meter.count, meter.total_us, meter.request_bytes), (5, 2_000_202, 50));
        assert_eq!(meters.by_version[&(0, 9)], 5);
    }
}
