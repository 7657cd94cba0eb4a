//! A topic's effective configuration: its own settings over the broker's over Kafka's defaults.

use super::broker::BrokerConfig;
use super::fields::{FromValue, config_struct};
use super::key::Scope;
use super::settings::Settings;
use super::synonym::{Conversion, topic_synonyms};
use super::table;
use super::value::Value;

config_struct! {
    /// What a topic's partitions obey. Times are milliseconds, sizes bytes; -1 means "no limit" where Kafka says so.
    TopicConfig: Settings as settings {
        cleanup_policy: CleanupPolicy = "cleanup.policy",
        compression_type: CompressionType = "compression.type",
        compression_gzip_level: i32 = "compression.gzip.level",
        compression_lz4_level: i32 = "compression.lz4.level",
        compression_zstd_level: i32 = "compression.zstd.level",
        delete_retention_ms: i64 = "delete.retention.ms",
        file_delete_delay_ms: i64 = "file.delete.delay.ms",
        flush_messages: i64 = "flush.messages",
        flush_ms: i64 = "flush.ms",
        follower_replication_throttled_replicas: Vec<String> = "follower.replication.throttled.replicas",
        index_interval_bytes: i32 = "index.interval.bytes",
        leader_replication_throttled_replicas: Vec<String> = "leader.replication.throttled.replicas",
        local_retention_bytes: i64 = "local.retention.bytes",
        local_retention_ms: i64 = "local.retention.ms",
        max_compaction_lag_ms: i64 = "max.compaction.lag.ms",
        max_message_bytes: i32 = "max.message.bytes",
        message_timestamp_after_max_ms: i64 = "message.timestamp.after.max.ms",
        message_timestamp_before_max_ms: i64 = "message.timestamp.before.max.ms",
        message_timestamp_type: TimestampType = "message.timestamp.type",
        min_cleanable_dirty_ratio: f64 = "min.cleanable.dirty.ratio",
        min_compaction_lag_ms: i64 = "min.compaction.lag.ms",
        min_insync_replicas: i32 = "min.insync.replicas",
        preallocate: bool = "preallocate",
        remote_log_copy_disable: bool = "remote.log.copy.disable",
        remote_log_delete_on_disable: bool = "remote.log.delete.on.disable",
        remote_storage_enable: bool = "remote.storage.enable",
        retention_bytes: i64 = "retention.bytes",
        retention_ms: i64 = "retention.ms",
        segment_bytes: i32 = "segment.bytes",
        segment_index_bytes: i32 = "segment.index.bytes",
        segment_jitter_ms: i64 = "segment.jitter.ms",
        segment_ms: i64 = "segment.ms",
        unclean_leader_election_enable: bool = "unclean.leader.election.enable",
    }
    derived {}
}

impl TopicConfig {
    /// The topic's own settings (`name`, `value`) over `broker`'s. A setting that does not parse (it was checked when
    /// it was made, perhaps by another version) falls back on the broker's.
    pub fn new<'a>(broker: &BrokerConfig, overrides: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let overrides: Vec<(&str, &str)> = overrides.into_iter().collect();
        if overrides.is_empty() {
            return broker.topic_defaults.clone();
        }
        let settings = &broker.settings;
        let mut config = TopicConfig::from_values(settings, |s, name| topic_value(s, &overrides, name));
        if let Some(bytes) = internal_segment_bytes(&overrides) {
            config.segment_bytes = bytes;
        }
        config
    }

    /// What a topic without settings of its own gets.
    pub(super) fn defaults(settings: &Settings) -> Self {
        TopicConfig::from_values(settings, topic_default)
    }

    /// How old the active segment may grow: `max.compaction.lag.ms` bounds it when the topic is compacted.
    pub fn segment_ms_max(&self) -> i64 {
        if self.cleanup_policy.compact && self.max_compaction_lag_ms > 0 {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }
}

impl Default for TopicConfig {
    /// A topic without settings on a broker without settings.
    fn default() -> Self {
        TopicConfig::new(&BrokerConfig::default(), [])
    }
}

/// The value of one topic key and where it came from, as `TopicConfig` sees it.
pub(super) fn topic_value(settings: &Settings, overrides: &[(&str, &str)], name: &str) -> Value {
    let Some(key) = table::key(Scope::Topic, name) else { return Value::Null };
    if let Some((_, text)) = overrides.iter().rev().find(|(n, _)| *n == name)
        && let Ok(value) = key.parse(text)
    {
        return value;
    }
    topic_default(settings, name)
}

/// What the broker gives a topic that does not set `name` itself.
pub(super) fn topic_default(settings: &Settings, name: &str) -> Value {
    for (synonym, conversion) in topic_synonyms(name) {
        match (settings.effective(synonym), conversion) {
            (Value::Null, _) => {}
            (value, Conversion::Same) => return retention(name, value),
            (Value::Number(hours), Conversion::HoursToMs) => {
                return retention(name, Value::Number(hours.saturating_mul(3_600_000)));
            }
            (Value::Number(minutes), Conversion::MinutesToMs) => {
                return retention(name, Value::Number(minutes.saturating_mul(60_000)));
            }
            (value, _) => return value,
        }
    }
    table::key(Scope::Topic, name).map_or(Value::Null, |key| key.default_value())
}

/// Any negative retention of the broker's means "for ever".
fn retention(name: &str, value: Value) -> Value {
    match value {
        Value::Number(ms) if name == "retention.ms" && ms < 0 => Value::Number(-1),
        value => value,
    }
}

/// Kafka's key for tests that want segments smaller than `segment.bytes` allows.
fn internal_segment_bytes(overrides: &[(&str, &str)]) -> Option<i32> {
    let (_, text) = overrides.iter().rev().find(|(name, _)| *name == "internal.segment.bytes")?;
    text.trim().parse().ok().filter(|bytes| *bytes > 0)
}

/// What happens to old records; neither means that they are kept for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub compact: bool,
    pub delete: bool,
}

impl FromValue for CleanupPolicy {
    fn from_value(value: Value) -> Option<Self> {
        let names = Vec::<String>::from_value(value)?;
        let has = |name: &str| names.iter().any(|n| n == name);
        Some(CleanupPolicy { compact: has("compact"), delete: has("delete") })
    }
}

/// How batches are compressed in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent them.
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl FromValue for CompressionType {
    fn from_value(value: Value) -> Option<Self> {
        Some(match String::from_value(value)?.as_str() {
            "producer" => CompressionType::Producer,
            "uncompressed" => CompressionType::Uncompressed,
            "gzip" => CompressionType::Gzip,
            "snappy" => CompressionType::Snappy,
            "lz4" => CompressionType::Lz4,
            "zstd" => CompressionType::Zstd,
            _ => return None,
        })
    }
}

/// Whose clock stamps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

impl FromValue for TimestampType {
    fn from_value(value: Value) -> Option<Self> {
        Some(match String::from_value(value)?.as_str() {
            "CreateTime" => TimestampType::CreateTime,
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => return None,
        })
    }
}
