//! Throttles of replicas that move (KIP-73): who copies from whom, and what is set so that they do it slowly.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::Str;

use super::plan::Assignment;
use super::reassignments::Ongoing;
use crate::tools::partitions::TopicPartition;

/// What brokers are set, and what is unset once replicas have moved.
pub const OF_BROKERS: [&str; 3] =
    ["leader.replication.throttled.rate", "follower.replication.throttled.rate", DIRECTORIES];
/// The rate between directories of a broker.
pub const DIRECTORIES: &str = "replica.alter.log.dirs.io.max.bytes.per.second";
/// And what topics are.
pub const OF_TOPICS: [&str; 2] =
    ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

/// Settings, of which those without a value are unset.
pub type Settings = Vec<(Str, Option<Str>)>;

/// From which brokers replicas of a partition are copied, and to which.
#[derive(Clone, Debug, Default)]
struct Move {
    sources: BTreeSet<i32>,
    destinations: BTreeSet<i32>,
}

/// Everything that moves.
#[derive(Clone, Debug, Default)]
pub struct Moves(BTreeMap<TopicPartition, Move>);

impl Moves {
    /// What is under way, and what a plan adds.
    pub fn new(ongoing: &BTreeMap<TopicPartition, Ongoing>, plan: &Assignment, current: &Assignment) -> Self {
        let mut moves = BTreeMap::new();
        for (place, ongoing) in ongoing {
            let destinations: BTreeSet<i32> = ongoing.adding.iter().copied().collect();
            let sources = ongoing.replicas.iter().copied().filter(|id| !destinations.contains(id)).collect();
            moves.insert(place.clone(), Move { sources, destinations });
        }
        for (place, replicas) in plan {
            let sources = match moves.get(place) {
                Some(Move { sources, .. }) => sources.clone(),
                None => current.get(place).into_iter().flatten().copied().collect(),
            };
            let destinations = replicas.iter().copied().filter(|id| !sources.contains(id)).collect();
            moves.insert(place.clone(), Move { sources, destinations });
        }
        Self(moves)
    }

    /// What topics are set: which replicas are throttled where they are read, and where they are written.
    pub fn of_topics(&self) -> BTreeMap<Str, Settings> {
        let mut topics: BTreeMap<Str, [BTreeSet<String>; 2]> = BTreeMap::new();
        for ((topic, partition), moving) in &self.0 {
            let [leaders, followers] = topics.entry(topic.clone()).or_default();
            leaders.extend(moving.sources.iter().map(|id| format!("{partition}:{id}")));
            followers.extend(moving.destinations.iter().map(|id| format!("{partition}:{id}")));
        }
        let settings = |replicas: [BTreeSet<String>; 2]| {
            let lists = replicas.map(|replicas| replicas.into_iter().collect::<Vec<_>>().join(","));
            OF_TOPICS.into_iter().zip(lists).map(|(key, list)| (key.into(), Some(list.into()))).collect()
        };
        topics.into_iter().map(|(topic, replicas)| (topic, settings(replicas))).collect()
    }

    /// Who takes part.
    pub fn brokers(&self) -> BTreeSet<i32> {
        self.0
            .values()
            .flat_map(|moving| moving.sources.iter().chain(&moving.destinations))
            .copied()
            .collect()
    }
}

/// These keys with a value, or without one.
pub fn settings(keys: &[&'static str], value: Option<i64>) -> Settings {
    let value = value.map(|value| Str::from(value.to_string()));
    keys.iter().map(|key| (Str::from(*key), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_destinations_are_throttled() {
        let place = |partition| (Str::from("t"), partition);
        let ongoing = Ongoing { replicas: vec![1, 2, 3], adding: vec![3], removing: vec![1] };
        let ongoing = BTreeMap::from([(place(0), ongoing)]);
        let plan = Assignment::from([(place(0), vec![4, 2]), (place(1), vec![5, 1])]);
        let current = Assignment::from([(place(0), vec![1, 2]), (place(1), vec![1])]);
        let moves = Moves::new(&ongoing, &plan, &current);
        let settings = moves.of_topics().remove("t").unwrap();
        let lists: Vec<_> = settings.iter().map(|(_, list)| list.as_deref().unwrap()).collect();
        assert_eq!(lists, ["0:1,0:2,1:1", "0:4,1:5"]);
        assert_eq!(moves.brokers(), BTreeSet::from([1, 2, 4, 5]));
    }
}
