//! Clients' properties, as files and `--command-property` give them.

use super::admin::CLIENT_ID;
use super::options::Options;
use super::{Environment, Exit, addresses};
use crate::client::assignor::Assignor;
use crate::client::{AutoOffsetReset, ConsumerConfig, MembershipConfig, ProducerConfig, SessionConfig};
use crate::config::parse_properties;
use crate::record::{Compression, CompressionType};
use crate::small_map::SmallMap;

/// The session that an administrative tool's options ask for.
pub fn admin_session(options: &Options, environment: &Environment) -> Result<SessionConfig, Exit> {
    let properties = Properties::gather(options, environment, &["command-config"], &[]);
    let session = properties.and_then(|properties| properties.session(CLIENT_ID));
    let session = session.map_err(|sentence| Exit::error(&sentence))?;
    let controllers = options.value("bootstrap-controller");
    let servers = options.value("bootstrap-server").or(controllers).unwrap_or_default();
    Ok(SessionConfig { bootstrap: addresses(servers)?, controllers: controllers.is_some(), ..session })
}

/// Properties by their names.
#[derive(Clone, Debug, Default)]
pub struct Properties(SmallMap<String, String>);

impl Properties {
    /// Those of the files that `files` name, then those of the options `pairs`.
    pub fn gather(
        options: &Options,
        environment: &Environment,
        files: &[&str],
        pairs: &[&str],
    ) -> Result<Self, String> {
        let mut properties = SmallMap::new();
        for path in files.iter().filter_map(|name| options.value(name)) {
            let text = environment.files.get(path).ok_or_else(|| format!("{path}: no such file"))?;
            let read = parse_properties(text).map_err(|error| format!("{path}: {error}"))?;
            properties.extend(read.into_iter().map(|property| (property.key, property.value)));
        }
        for name in pairs {
            properties.extend(options.pairs(name)?);
        }
        let protocol = properties.get("security.protocol").map_or("PLAINTEXT", String::as_str);
        if !protocol.eq_ignore_ascii_case("PLAINTEXT") {
            return Err(format!("security.protocol {protocol} is not supported: only PLAINTEXT is"));
        }
        Ok(Self(properties))
    }

    /// The value of a property.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Sets a property that an option stands for.
    pub fn set(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), value.to_owned());
        }
    }

    /// Sets a property that was not set.
    pub fn set_default(&mut self, key: &str, value: &str) {
        self.0.or_insert_with(key.to_owned(), || value.to_owned());
    }

    /// A property that is a number.
    pub fn number<N: std::str::FromStr>(&self, key: &str, default: N) -> Result<N, String> {
        let Some(text) = self.get(key) else { return Ok(default) };
        text.trim().parse().map_err(|_| invalid(text, key, "Not a number of its type"))
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, String> {
        match self.get(key).map(str::trim) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(invalid(text, key, "Expected value to be either true or false")),
        }
    }

    fn session(&self, client_id: &str) -> Result<SessionConfig, String> {
        let default = SessionConfig::default();
        Ok(SessionConfig {
            client_id: self.get("client.id").unwrap_or(client_id).into(),
            request_timeout_ms: self.number("request.timeout.ms", default.request_timeout_ms)?,
            retry_backoff_ms: self.number("retry.backoff.ms", default.retry_backoff_ms)?,
            metadata_max_age_ms: self.number("metadata.max.age.ms", default.metadata_max_age_ms)?,
            ..default
        })
    }

    /// A producer's settings; the addresses are the caller's to fill in.
    pub fn producer(&self, client_id: &str) -> Result<ProducerConfig, String> {
        let default = ProducerConfig::default();
        let acks = match self.get("acks") {
            None | Some("all" | "-1") => -1,
            Some("0") => 0,
            Some("1") => 1,
            Some(text) => {
                return Err(invalid(text, "acks", "String must be one of: all, -1, 0, 1"));
            }
        };
        let compression = match self.get("compression.type") {
            None => CompressionType::None,
            Some(text) => CompressionType::from_name(text).ok_or_else(|| {
                let names = "String must be one of: none, gzip, snappy, lz4, zstd";
                invalid(text, "compression.type", names)
            })?,
        };
        let retries = self.number("retries", default.retries)?;
        Ok(ProducerConfig {
            session: self.session(client_id)?,
            acks,
            retries,
            linger_ms: self.number("linger.ms", default.linger_ms)?,
            batch_size: self.number("batch.size", default.batch_size)?,
            compression: Compression::from(compression),
            // Without retries there is nothing to be idempotent about, unless that is asked for.
            enable_idempotence: self.flag("enable.idempotence", retries > 0)?,
            delivery_timeout_ms: self.number("delivery.timeout.ms", default.delivery_timeout_ms)?,
            max_request_size: self.number("max.request.size", default.max_request_size)?,
            max_block_ms: self.number("max.block.ms", default.max_block_ms)?,
            ..default
        })
    }

    /// A consumer's settings; the addresses are the caller's to fill in.
    pub fn consumer(&self, client_id: &str) -> Result<ConsumerConfig, String> {
        let default = ConsumerConfig::default();
        let auto_offset_reset = match self.get("auto.offset.reset") {
            None | Some("latest") => AutoOffsetReset::Latest,
            Some("earliest") => AutoOffsetReset::Earliest,
            Some("none") => AutoOffsetReset::None,
            Some(text) => {
                return Err(invalid(text, "auto.offset.reset", "it is one of earliest, latest, none"));
            }
        };
        let read_committed = match self.get("isolation.level") {
            None | Some("read_uncommitted") => false,
            Some("read_committed") => true,
            Some(text) => {
                let names = "String must be one of: read_committed, read_uncommitted";
                return Err(invalid(text, "isolation.level", names));
            }
        };
        Ok(ConsumerConfig {
            session: self.session(client_id)?,
            membership: self.membership()?,
            auto_offset_reset,
            read_committed,
            enable_auto_commit: self.flag("enable.auto.commit", true)?,
            auto_commit_interval_ms: self
                .number("auto.commit.interval.ms", default.auto_commit_interval_ms)?,
            fetch_min_bytes: self.number("fetch.min.bytes", default.fetch_min_bytes)?,
            fetch_max_bytes: self.number("fetch.max.bytes", default.fetch_max_bytes)?,
            fetch_max_wait_ms: self.number("fetch.max.wait.ms", default.fetch_max_wait_ms)?,
            max_partition_fetch_bytes: self
                .number("max.partition.fetch.bytes", default.max_partition_fetch_bytes)?,
        })
    }

    fn membership(&self) -> Result<Option<MembershipConfig>, String> {
        let Some(group_id) = self.get("group.id").filter(|id| !id.is_empty()) else { return Ok(None) };
        let default = MembershipConfig::default();
        let assignors = match self.get("partition.assignment.strategy") {
            None => default.assignors,
            Some(list) => list.split(',').map(|name| assignor(name.trim())).collect::<Result<_, _>>()?,
        };
        Ok(Some(MembershipConfig {
            group_id: group_id.into(),
            group_instance_id: self.get("group.instance.id").map(Into::into),
            session_timeout_ms: self.number("session.timeout.ms", default.session_timeout_ms)?,
            heartbeat_interval_ms: self.number("heartbeat.interval.ms", default.heartbeat_interval_ms)?,
            rebalance_timeout_ms: self.number("max.poll.interval.ms", default.rebalance_timeout_ms)?,
            assignors,
        }))
    }
}

/// By the name of Kafka's class, or by the one of the group protocol.
fn assignor(name: &str) -> Result<Assignor, String> {
    match name.rsplit('.').next().unwrap_or(name) {
        "RangeAssignor" => Ok(Assignor::Range),
        "RoundRobinAssignor" => Ok(Assignor::RoundRobin),
        "StickyAssignor" => Ok(Assignor::Sticky),
        "CooperativeStickyAssignor" => Ok(Assignor::CooperativeSticky),
        other => Assignor::by_name(other).ok_or_else(|| {
            invalid(name, "partition.assignment.strategy", "there is no assignor of this name here")
        }),
    }
}

fn invalid(value: &str, key: &str, why: &str) -> String {
    format!("Invalid value {value} for configuration {key}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_retries_a_producer_is_not_idempotent_unless_it_is_told_to_be() {
        let producer = |pairs: &[(&str, &str)]| {
            let mut properties = Properties::default();
            pairs.iter().for_each(|(key, value)| properties.set(key, Some(value)));
            let config = properties.producer("p").unwrap();
            (config.retries, config.enable_idempotence)
        };
        assert_eq!(producer(&[]), (i32::MAX as u32, true));
        assert_eq!(producer(&[("retries", "0")]), (0, false));
        assert_eq!(producer(&[("retries", "3")]), (3, true));
    }
}
