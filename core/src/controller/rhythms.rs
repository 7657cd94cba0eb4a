//! [`Rhythms`]: brokers that hang. The kernel keeps the connections of a process that is stopped, so that only silence tells: an Ottla broker
//! sends its heartbeats more often than Apache Kafka asks for, and is fenced when one is missing for far longer than its usual interval.
//!
//! A wrong suspicion costs availability only: a broker that is fenced comes back with its next heartbeat. Brokers of Apache Kafka, whose JVM
//! may pause, are not listened to.

use crate::small_map::SmallMap;
use crate::time::Instant;

/// Intervals of which something is known before silence says anything.
const INTERVALS_MIN: u32 = 4;
/// Heartbeats that may be missing, and deviations of their interval besides.
const MISSING: i64 = 3;
const DEVIATIONS: i64 = 8;
/// No silence is shorter, µs: a machine may be busy.
const LIMIT_MIN_US: i64 = 1_500_000;
/// Whoever looks so late has not listened meanwhile, µs.
const LATE_US: i64 = 200_000;

/// How often brokers are heard of.
#[derive(Clone, Debug)]
pub struct Rhythms {
    limit_max_us: i64,
    brokers: SmallMap<i32, Rhythm>,
}

/// The heartbeats of one life of a broker.
#[derive(Clone, Copy, Debug)]
struct Rhythm {
    epoch: i64,
    last: Instant,
    /// Of the intervals, and of how far they are from it, µs.
    mean_us: i64,
    deviation_us: i64,
    intervals: u32,
}

impl Rhythms {
    /// None; no silence may be longer than a session.
    pub fn new(session_timeout_ms: i64) -> Self {
        Self { limit_max_us: session_timeout_ms.saturating_mul(1_000), brokers: SmallMap::new() }
    }

    /// A heartbeat came.
    pub fn heard(&mut self, now: Instant, broker: i32, epoch: i64) {
        let Some(rhythm) = self.brokers.get_mut(&broker).filter(|rhythm| rhythm.epoch == epoch) else {
            let first = Rhythm { epoch, last: now, mean_us: 0, deviation_us: 0, intervals: 0 };
            self.brokers.insert(broker, first);
            return;
        };
        let interval_us = us_between(rhythm.last, now);
        if rhythm.intervals == 0 {
            rhythm.mean_us = interval_us;
        }
        let off_us = interval_us.saturating_sub(rhythm.mean_us);
        rhythm.mean_us = rhythm.mean_us.saturating_add(off_us / 8);
        let more_us = off_us.saturating_abs().saturating_sub(rhythm.deviation_us);
        rhythm.deviation_us = rhythm.deviation_us.saturating_add(more_us / 4);
        rhythm.last = now;
        rhythm.intervals = rhythm.intervals.saturating_add(1);
    }

    /// Forgets one that is silent for too long: broker and epoch.
    pub fn take_silent(&mut self, now: Instant) -> Option<(i32, i64)> {
        let due = self.deadline()?;
        if us_between(due, now) >= LATE_US {
            // What was said may still wait to be read.
            self.brokers.values_mut().for_each(|rhythm| rhythm.last = now);
            return None;
        }
        let is_silent = |rhythm: &Rhythm| self.silent_at(rhythm).is_some_and(|at| at <= now);
        let (broker, epoch) =
            self.brokers.iter().find(|(_, one)| is_silent(one)).map(|(id, one)| (*id, one.epoch))?;
        self.brokers.remove(&broker);
        Some((broker, epoch))
    }

    /// When the next silence is too long.
    pub fn deadline(&self) -> Option<Instant> {
        self.brokers.values().filter_map(|rhythm| self.silent_at(rhythm)).min()
    }

    /// Another node is the active controller.
    pub fn forget(&mut self) {
        self.brokers.clear();
    }

    fn silent_at(&self, rhythm: &Rhythm) -> Option<Instant> {
        let usual_us = rhythm.mean_us.saturating_mul(MISSING);
        let limit_us = usual_us.saturating_add(rhythm.deviation_us.saturating_mul(DEVIATIONS));
        let limit_us = limit_us.max(LIMIT_MIN_US).min(self.limit_max_us);
        let limit_us = u64::try_from(limit_us).unwrap_or(0);
        (rhythm.intervals >= INTERVALS_MIN).then(|| Instant(rhythm.last.0.saturating_add(limit_us)))
    }
}

fn us_between(earlier: Instant, later: Instant) -> i64 {
    i64::try_from(later.0.saturating_sub(earlier.0)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION_MS: i64 = 9_000;

    fn at(ms: i64) -> Instant {
        Instant(0).plus_ms(ms)
    }

    /// Hears of broker 7 at these times; when its silence is too long, ms.
    fn limit(times: impl IntoIterator<Item = i64>) -> Option<u64> {
        let mut rhythms = Rhythms::new(SESSION_MS);
        times.into_iter().for_each(|ms| rhythms.heard(at(ms), 7, 70));
        rhythms.deadline().map(|deadline| deadline.0 / 1_000)
    }

    #[test]
    fn three_missing_heartbeats_are_too_many() {
        assert_eq!(limit((0..=100).map(|beat| beat * 500)), Some(51_500));
        assert_eq!(limit((0..=100).map(|beat| beat * 1_000)), Some(103_000));
        let mut rhythms = Rhythms::new(SESSION_MS);
        (0..=100).for_each(|beat| rhythms.heard(at(beat * 500), 7, 70));
        assert_eq!(rhythms.take_silent(at(51_499)), None);
        assert_eq!(rhythms.take_silent(at(51_500)), Some((7, 70)));
        assert_eq!(rhythms.take_silent(at(51_500)), None, "once");
    }

    #[test]
    fn one_that_is_irregular_is_given_more_time_but_no_more_than_a_session() {
        let irregular = (0..=100).map(|beat| beat * 500 + beat % 2 * 300);
        assert!(limit(irregular).is_some_and(|limit| (52_500..57_000).contains(&limit)));
        assert_eq!(limit((0..=10).map(|beat| beat * 8_000)), Some(89_000));
    }

    #[test]
    fn nothing_is_said_of_one_that_is_hardly_known() {
        assert_eq!(limit((0..=3).map(|beat| beat * 500)), None);
        let mut rhythms = Rhythms::new(SESSION_MS);
        (0..=100).for_each(|beat| rhythms.heard(at(beat * 500), 7, 70));
        rhythms.heard(at(50_100), 7, 71);
        assert_eq!(rhythms.deadline(), None, "another life");
    }

    #[test]
    fn bursts_make_nobody_impatient() {
        let burst = (0..=100).map(|beat| beat * 500).chain((1..=200).map(|beat| 50_000 + beat * 2));
        assert!(limit(burst).is_some_and(|limit| limit >= 51_900));
    }

    #[test]
    fn who_has_not_listened_suspects_nobody() {
        let mut rhythms = Rhythms::new(SESSION_MS);
        (0..=100).for_each(|beat| rhythms.heard(at(beat * 500), 7, 70));
        assert_eq!(rhythms.take_silent(at(55_000)), None, "this node hung itself");
        assert_eq!(rhythms.deadline(), Some(at(56_500)));
    }
}
