//! Limits on what replicas copy that catch up (KIP-73).
//!
//! Topics name the replicas that count (`leader.` and `follower.replication.throttled.replicas`), brokers the rates
//! (`leader.` and `follower.replication.throttled.rate`, bytes a second). What is copied of such a replica counts always; once it is too much, those that
//! are not in sync wait. The rate is measured as Apache Kafka's metrics do: over the windows that are kept, the current one included, and over one
//! window at least.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ottla_protocol::Uuid;

use crate::config::BrokerConfig;
use crate::ids::{ShardId, TopicIdPartition};
use crate::metadata::{ConfigResource, ConfigResourceType, MetadataImage};
use crate::time::Instant;
use crate::tree::IntoTree as _;

/// The topic settings that name replicas.
const LEADER_REPLICAS: &str = "leader.replication.throttled.replicas";
const FOLLOWER_REPLICAS: &str = "follower.replication.throttled.replicas";
/// The longest that a replica waits before it is looked at again, ms.
const PAUSE_MAX_MS: i64 = 1_000;

/// Both sides of a shard's copying: what its leaders send, and what its followers fetch.
#[derive(Clone, Debug, Default)]
pub struct Throttles {
    /// What is sent.
    pub leader: Throttle,
    /// What is fetched.
    pub follower: Throttle,
}

/// A limit and the replicas that it is for.
#[derive(Clone, Debug, Default)]
pub struct Throttle {
    replicas: BTreeMap<Uuid, Partitions>,
    /// Bytes a second; `None` is without limit.
    rate: Option<i64>,
    window_ms: i64,
    windows: usize,
    samples: VecDeque<Sample>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Partitions {
    All,
    These(BTreeSet<i32>),
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    since: Instant,
    last: Instant,
    bytes: i64,
}

impl Throttles {
    /// Takes over what the metadata says. A rate is the broker's: the shards that have replicas which count share it evenly.
    pub fn configure(&mut self, image: &MetadataImage, in_force: &BrokerConfig, shards: u16) {
        let sides = [
            (&mut self.leader, LEADER_REPLICAS, in_force.leader_replication_throttled_rate),
            (&mut self.follower, FOLLOWER_REPLICAS, in_force.follower_replication_throttled_rate),
        ];
        for (side, key, rate) in sides {
            side.replicas = throttled(image, key, in_force.node_id);
            let sharing = i64::try_from(sharing(image, &side.replicas, shards).max(1)).unwrap_or(1);
            side.rate = (rate < i64::MAX).then(|| rate.checked_div(sharing).unwrap_or(rate));
            side.window_ms = i64::from(in_force.replication_quota_window_size_seconds).saturating_mul(1_000);
            side.windows = usize::try_from(in_force.replication_quota_window_num).unwrap_or(1);
        }
    }
}

impl Throttle {
    /// Whether a replica counts.
    pub fn concerns(&self, id: TopicIdPartition) -> bool {
        match self.replicas.get(&id.topic_id) {
            Some(Partitions::All) => true,
            Some(Partitions::These(partitions)) => partitions.contains(&id.partition),
            None => false,
        }
    }

    /// Something of a replica was copied.
    pub fn record(&mut self, now: Instant, id: TopicIdPartition, bytes: u64) {
        if bytes == 0 || !self.concerns(id) {
            return;
        }
        self.purge(now);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        match self.samples.back_mut().filter(|sample| now.ms_since(sample.since) < self.window_ms) {
            Some(sample) => (sample.bytes, sample.last) = (sample.bytes.saturating_add(bytes), now),
            None => self.samples.push_back(Sample { since: now, last: now, bytes }),
        }
        // One more than are measured: the oldest overlaps the first of them.
        if self.samples.len() > self.windows.saturating_add(1) {
            self.samples.pop_front();
        }
    }

    /// How long a replica that is not in sync has to wait, ms; `None` if it need not.
    pub fn pause_ms(&mut self, now: Instant, id: TopicIdPartition) -> Option<i64> {
        let rate = self.rate.filter(|_| self.concerns(id))?;
        self.purge(now);
        let elapsed_ms = now.ms_since(self.samples.front()?.since).max(self.window_ms);
        let bytes = self.samples.iter().fold(0_i64, |sum, sample| sum.saturating_add(sample.bytes));
        // Exceeded where bytes / elapsed > rate.
        let enough_ms = bytes.saturating_mul(1_000).checked_div(rate).unwrap_or(i64::MAX);
        (enough_ms > elapsed_ms).then(|| enough_ms.saturating_sub(elapsed_ms).min(PAUSE_MAX_MS))
    }

    fn purge(&mut self, now: Instant) {
        let kept_ms = self.window_ms.saturating_mul(i64::try_from(self.windows).unwrap_or(i64::MAX));
        self.samples.retain(|sample| now.ms_since(sample.last) < kept_ms);
    }
}

/// The replicas of a broker that a topic setting names: `*`, or pairs `partition:broker`.
fn throttled(image: &MetadataImage, key: &str, broker: i32) -> BTreeMap<Uuid, Partitions> {
    let is_topic = |resource: &ConfigResource| resource.kind == ConfigResourceType::Topic.code();
    let named = image.configs.resources.iter().filter(|(resource, _)| is_topic(resource));
    let named = named.filter_map(|(resource, configs)| {
        let topic_id = image.topic(&resource.name)?.id;
        let value = configs.get(key)?;
        let pairs = || value.split(',').map(str::trim);
        if pairs().any(|pair| pair == "*") {
            return Some((topic_id, Partitions::All));
        }
        let own = |pair: &str| {
            let (partition, replica) = pair.split_once(':')?;
            (replica.parse() == Ok(broker)).then(|| partition.parse::<i32>().ok())?
        };
        let partitions: BTreeSet<i32> = pairs().filter_map(own).into_set();
        (!partitions.is_empty()).then_some((topic_id, Partitions::These(partitions)))
    });
    named.into_map()
}

/// How many shards have replicas that count.
fn sharing(image: &MetadataImage, replicas: &BTreeMap<Uuid, Partitions>, shards: u16) -> usize {
    let mut having: BTreeSet<ShardId> = BTreeSet::new();
    for (topic_id, partitions) in replicas {
        let shard =
            |partition: &i32| TopicIdPartition { topic_id: *topic_id, partition: *partition }.shard(shards);
        match partitions {
            Partitions::These(these) => having.extend(these.iter().map(shard)),
            Partitions::All => {
                having.extend(
                    image.topic_by_id(*topic_id).iter().flat_map(|topic| topic.partitions.keys()).map(shard),
                );
            }
        }
    }
    having.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: Uuid = Uuid([7; 16]);
    const ID: TopicIdPartition = TopicIdPartition { topic_id: TOPIC, partition: 0 };

    fn throttle(rate: i64) -> Throttle {
        let replicas = BTreeMap::from([(TOPIC, Partitions::These(BTreeSet::from([0])))]);
        Throttle { replicas, rate: Some(rate), window_ms: 1_000, windows: 11, samples: VecDeque::new() }
    }

    fn at(ms: i64) -> Instant {
        Instant(5_000_000).plus_ms(ms)
    }

    #[test]
    fn a_burst_is_waited_for_until_the_mean_is_low_enough() {
        let mut throttle = throttle(1_000);
        assert_eq!(throttle.pause_ms(at(0), ID), None);
        throttle.record(at(0), ID, 3_000);
        assert_eq!(throttle.pause_ms(at(0), ID), Some(PAUSE_MAX_MS));
        assert_eq!(throttle.pause_ms(at(2_500), ID), Some(500));
        assert_eq!(throttle.pause_ms(at(3_000), ID), None, "3,000 bytes in three seconds");
        throttle.record(at(3_000), ID, 1);
        assert_eq!(throttle.pause_ms(at(3_000), ID), Some(1));
    }

    #[test]
    fn a_rate_is_over_one_window_at_least() {
        let mut throttle = throttle(1_000);
        throttle.record(at(0), ID, 1_000);
        assert_eq!(throttle.pause_ms(at(1), ID), None);
        throttle.record(at(1), ID, 100);
        assert_eq!(throttle.pause_ms(at(1), ID), Some(100));
    }

    #[test]
    fn what_is_older_than_the_windows_does_not_count() {
        let mut throttle = throttle(10);
        throttle.record(at(0), ID, 1_000_000);
        assert!(throttle.pause_ms(at(10_999), ID).is_some());
        assert_eq!(throttle.pause_ms(at(11_000), ID), None);
    }

    #[test]
    fn others_neither_count_nor_wait() {
        let mut throttle = throttle(10);
        let other = TopicIdPartition { partition: 1, ..ID };
        throttle.record(at(0), other, 1_000_000);
        assert_eq!(throttle.pause_ms(at(0), ID), None);
        throttle.record(at(0), ID, 1_000_000);
        assert_eq!(throttle.pause_ms(at(0), other), None);
    }
}
