//! Which broker keys give a topic or a group its defaults, in order of precedence.

/// How a broker key's value becomes the topic key's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    Same,
    HoursToMs,
    MinutesToMs,
}

use Conversion::{HoursToMs, MinutesToMs, Same};

/// A broker key that stands in for a topic key which was not set.
pub type Synonym = (&'static str, Conversion);

const TOPIC: &[(&str, &[Synonym])] = &[
    ("cleanup.policy", &[("log.cleanup.policy", Same)]),
    ("compression.gzip.level", &[("compression.gzip.level", Same)]),
    ("compression.lz4.level", &[("compression.lz4.level", Same)]),
    ("compression.type", &[("compression.type", Same)]),
    ("compression.zstd.level", &[("compression.zstd.level", Same)]),
    ("delete.retention.ms", &[("log.cleaner.delete.retention.ms", Same)]),
    ("file.delete.delay.ms", &[("log.segment.delete.delay.ms", Same)]),
    ("flush.messages", &[("log.flush.interval.messages", Same)]),
    ("flush.ms", &[("log.flush.interval.ms", Same), ("log.flush.scheduler.interval.ms", Same)]),
    ("index.interval.bytes", &[("log.index.interval.bytes", Same)]),
    ("local.retention.bytes", &[("log.local.retention.bytes", Same)]),
    ("local.retention.ms", &[("log.local.retention.ms", Same)]),
    ("max.compaction.lag.ms", &[("log.cleaner.max.compaction.lag.ms", Same)]),
    ("max.message.bytes", &[("message.max.bytes", Same)]),
    ("message.timestamp.after.max.ms", &[("log.message.timestamp.after.max.ms", Same)]),
    ("message.timestamp.before.max.ms", &[("log.message.timestamp.before.max.ms", Same)]),
    ("message.timestamp.type", &[("log.message.timestamp.type", Same)]),
    ("min.cleanable.dirty.ratio", &[("log.cleaner.min.cleanable.ratio", Same)]),
    ("min.compaction.lag.ms", &[("log.cleaner.min.compaction.lag.ms", Same)]),
    ("min.insync.replicas", &[("min.insync.replicas", Same)]),
    ("preallocate", &[("log.preallocate", Same)]),
    ("retention.bytes", &[("log.retention.bytes", Same)]),
    (
        "retention.ms",
        &[
            ("log.retention.ms", Same),
            ("log.retention.minutes", MinutesToMs),
            ("log.retention.hours", HoursToMs),
        ],
    ),
    ("segment.bytes", &[("log.segment.bytes", Same)]),
    ("segment.index.bytes", &[("log.index.size.max.bytes", Same)]),
    ("segment.jitter.ms", &[("log.roll.jitter.ms", Same), ("log.roll.jitter.hours", HoursToMs)]),
    ("segment.ms", &[("log.roll.ms", Same), ("log.roll.hours", HoursToMs)]),
    ("unclean.leader.election.enable", &[("unclean.leader.election.enable", Same)]),
];

/// The broker keys behind a topic key, the strongest first; empty where the topic alone decides.
pub fn topic_synonyms(name: &str) -> &'static [Synonym] {
    TOPIC.iter().find(|(topic_key, _)| *topic_key == name).map_or(&[], |(_, synonyms)| synonyms)
}

/// Broker keys that mean the same thing in other units, the strongest first; `name` alone when it has none.
pub fn broker_synonyms(name: &str) -> Vec<&str> {
    let family = TOPIC
        .iter()
        .map(|(_, synonyms)| *synonyms)
        .find(|s| s.len() > 1 && s.iter().any(|(n, _)| *n == name));
    match family {
        // The flush scheduler's period is what an interval falls back on, not the reverse.
        Some(_) if name == "log.flush.scheduler.interval.ms" => vec![name],
        Some(family) => family.iter().map(|(n, _)| *n).collect(),
        None => vec![name],
    }
}

#[cfg(test)]
/// Whether a topic takes a default from this broker key.
pub fn is_topic_synonym(name: &str) -> bool {
    TOPIC.iter().any(|(_, synonyms)| synonyms.iter().any(|(broker_key, _)| *broker_key == name))
}

/// The broker key that gives a group key its default.
pub fn group_synonym(name: &str) -> Option<&'static str> {
    const OF_THE_GROUP_ALONE: [&str; 3] =
        ["share.auto.offset.reset", "share.isolation.level", "share.renew.acknowledge.enable"];
    if OF_THE_GROUP_ALONE.contains(&name) {
        return None;
    }
    let of_group = |key: &&super::ConfigKey| key.name.strip_prefix("group.") == Some(name);
    super::table::keys(super::Scope::Broker).find(of_group).map(|key| key.name)
}
