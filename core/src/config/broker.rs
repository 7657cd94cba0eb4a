//! The broker's configuration: typed fields for the keys that we honour, over the settings that gave them.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::fields::{Password, config_struct};
use super::listener::{Listener, SecurityProtocol, parse_listeners, parse_protocol_map};
use super::rules;
use super::settings::{Origin, Resolved, Setting, Settings, StartError};
use super::topic::TopicConfig;
use super::value::Value;
use crate::small_map::SmallMap;

config_struct! {
    /// What a broker obeys. Times are milliseconds and sizes bytes unless the name says otherwise.
    BrokerConfig: Settings as settings {
        auto_create_topics_enable: bool = "auto.create.topics.enable",
        auto_leader_rebalance_enable: bool = "auto.leader.rebalance.enable",
        broker_heartbeat_interval_ms: i32 = "broker.heartbeat.interval.ms",
        broker_rack: Option<String> = "broker.rack",
        broker_session_timeout_ms: i32 = "broker.session.timeout.ms",
        connections_max_idle_ms: i64 = "connections.max.idle.ms",
        controlled_shutdown_enable: bool = "controlled.shutdown.enable",
        controller_quorum_auto_join_enable: bool = "controller.quorum.auto.join.enable",
        controller_quorum_election_backoff_max_ms: i32 = "controller.quorum.election.backoff.max.ms",
        controller_quorum_election_timeout_ms: i32 = "controller.quorum.election.timeout.ms",
        controller_quorum_fetch_max_bytes: i32 = "controller.quorum.fetch.max.bytes",
        controller_quorum_fetch_snapshot_max_bytes: i32 = "controller.quorum.fetch.snapshot.max.bytes",
        controller_quorum_fetch_timeout_ms: i32 = "controller.quorum.fetch.timeout.ms",
        controller_quorum_request_timeout_ms: i32 = "controller.quorum.request.timeout.ms",
        controller_quorum_retry_backoff_ms: i32 = "controller.quorum.retry.backoff.ms",
        controller_quota_window_num: i32 = "controller.quota.window.num",
        controller_quota_window_size_seconds: i32 = "controller.quota.window.size.seconds",
        controller_socket_timeout_ms: i32 = "controller.socket.timeout.ms",
        default_replication_factor: i32 = "default.replication.factor",
        delegation_token_expiry_check_interval_ms: i64 = "delegation.token.expiry.check.interval.ms",
        delegation_token_expiry_time_ms: i64 = "delegation.token.expiry.time.ms",
        delegation_token_max_lifetime_ms: i64 = "delegation.token.max.lifetime.ms",
        delegation_token_secret_key: Option<Password> = "delegation.token.secret.key",
        delete_topic_enable: bool = "delete.topic.enable",
        fetch_max_bytes: i32 = "fetch.max.bytes",
        follower_replication_throttled_rate: i64 = "follower.replication.throttled.rate",
        group_coordinator_rebalance_protocols: Vec<String> = "group.coordinator.rebalance.protocols",
        group_initial_rebalance_delay_ms: i32 = "group.initial.rebalance.delay.ms",
        group_max_session_timeout_ms: i32 = "group.max.session.timeout.ms",
        group_max_size: i32 = "group.max.size",
        group_min_session_timeout_ms: i32 = "group.min.session.timeout.ms",
        leader_imbalance_check_interval_seconds: i64 = "leader.imbalance.check.interval.seconds",
        leader_replication_throttled_rate: i64 = "leader.replication.throttled.rate",
        log_cleaner_backoff_ms: i64 = "log.cleaner.backoff.ms",
        log_cleaner_dedupe_buffer_size: i64 = "log.cleaner.dedupe.buffer.size",
        log_cleaner_enable: bool = "log.cleaner.enable",
        log_cleaner_io_buffer_load_factor: f64 = "log.cleaner.io.buffer.load.factor",
        log_cleaner_io_buffer_size: i32 = "log.cleaner.io.buffer.size",
        log_cleaner_io_max_bytes_per_second: f64 = "log.cleaner.io.max.bytes.per.second",
        log_dir_failure_timeout_ms: i64 = "log.dir.failure.timeout.ms",
        log_flush_offset_checkpoint_interval_ms: i32 = "log.flush.offset.checkpoint.interval.ms",
        log_flush_scheduler_interval_ms: i64 = "log.flush.scheduler.interval.ms",
        log_flush_start_offset_checkpoint_interval_ms: i32 = "log.flush.start.offset.checkpoint.interval.ms",
        log_initial_task_delay_ms: i64 = "log.initial.task.delay.ms",
        log_retention_check_interval_ms: i64 = "log.retention.check.interval.ms",
        log_segment_bytes: i32 = "log.segment.bytes",
        max_connection_creation_rate: i32 = "max.connection.creation.rate",
        max_connections: i32 = "max.connections",
        max_connections_per_ip: i32 = "max.connections.per.ip",
        max_incremental_fetch_session_cache_slots: i32 = "max.incremental.fetch.session.cache.slots",
        max_request_partition_size_limit: i32 = "max.request.partition.size.limit",
        message_max_bytes: i32 = "message.max.bytes",
        metadata_log_max_record_bytes_between_snapshots: i64 = "metadata.log.max.record.bytes.between.snapshots",
        metadata_log_max_snapshot_interval_ms: i64 = "metadata.log.max.snapshot.interval.ms",
        metadata_log_segment_bytes: i32 = "metadata.log.segment.bytes",
        metadata_log_segment_ms: i64 = "metadata.log.segment.ms",
        metadata_max_idle_interval_ms: i32 = "metadata.max.idle.interval.ms",
        metadata_max_retention_bytes: i64 = "metadata.max.retention.bytes",
        metadata_max_retention_ms: i64 = "metadata.max.retention.ms",
        min_insync_replicas: i32 = "min.insync.replicas",
        num_partitions: i32 = "num.partitions",
        offset_metadata_max_bytes: i32 = "offset.metadata.max.bytes",
        offsets_commit_timeout_ms: i32 = "offsets.commit.timeout.ms",
        offsets_retention_check_interval_ms: i64 = "offsets.retention.check.interval.ms",
        offsets_retention_minutes: i32 = "offsets.retention.minutes",
        offsets_topic_compression_codec: i32 = "offsets.topic.compression.codec",
        offsets_topic_num_partitions: i32 = "offsets.topic.num.partitions",
        offsets_topic_replication_factor: i16 = "offsets.topic.replication.factor",
        offsets_topic_segment_bytes: i32 = "offsets.topic.segment.bytes",
        ottla_http_listeners: Vec<String> = "ottla.http.listeners",
        ottla_broker_fast_fencing_enable: bool = "ottla.broker.fast.fencing.enable",
        ottla_log_flush_idle_ms: i64 = "ottla.log.flush.idle.ms",
        ottla_log_reserve_bytes: i64 = "ottla.log.reserve.bytes",
        ottla_log_sync: String = "ottla.log.sync",
        ottla_shards: i32 = "ottla.shards",
        producer_id_expiration_check_interval_ms: i32 = "producer.id.expiration.check.interval.ms",
        producer_id_expiration_ms: i32 = "producer.id.expiration.ms",
        queued_max_request_bytes: i64 = "queued.max.request.bytes",
        queued_max_requests: i32 = "queued.max.requests",
        quota_window_num: i32 = "quota.window.num",
        quota_window_size_seconds: i32 = "quota.window.size.seconds",
        replica_fetch_backoff_ms: i32 = "replica.fetch.backoff.ms",
        replica_fetch_max_bytes: i32 = "replica.fetch.max.bytes",
        replica_fetch_min_bytes: i32 = "replica.fetch.min.bytes",
        replica_fetch_response_max_bytes: i32 = "replica.fetch.response.max.bytes",
        replica_fetch_wait_max_ms: i32 = "replica.fetch.wait.max.ms",
        replica_high_watermark_checkpoint_interval_ms: i64 = "replica.high.watermark.checkpoint.interval.ms",
        replica_lag_time_max_ms: i64 = "replica.lag.time.max.ms",
        replica_selector_class: Option<String> = "replica.selector.class",
        replica_socket_timeout_ms: i32 = "replica.socket.timeout.ms",
        replication_quota_window_num: i32 = "replication.quota.window.num",
        replication_quota_window_size_seconds: i32 = "replication.quota.window.size.seconds",
        request_timeout_ms: i32 = "request.timeout.ms",
        socket_listen_backlog_size: i32 = "socket.listen.backlog.size",
        socket_receive_buffer_bytes: i32 = "socket.receive.buffer.bytes",
        socket_request_max_bytes: i32 = "socket.request.max.bytes",
        socket_send_buffer_bytes: i32 = "socket.send.buffer.bytes",
        transaction_max_timeout_ms: i32 = "transaction.max.timeout.ms",
        unclean_leader_election_enable: bool = "unclean.leader.election.enable",
        unclean_leader_election_interval_ms: i64 = "unclean.leader.election.interval.ms",
    }
    derived {
        /// `node.id`, or its old name `broker.id`.
        node_id: i32 = 1,
        /// `process.roles`
        process_roles: Roles = Roles::default(),
        /// `listeners`: where to listen, controller listeners too.
        listeners: Vec<Listener> = Vec::new(),
        /// `advertised.listeners`: what clients are told; by default the broker's `listeners`.
        advertised_listeners: Vec<Listener> = Vec::new(),
        /// The controller's part of the same, for other nodes.
        advertised_controller_listeners: Vec<Listener> = Vec::new(),
        /// `controller.listener.names`
        controller_listener_names: Vec<String> = Vec::new(),
        /// `inter.broker.listener.name`, or the one of `security.inter.broker.protocol`.
        inter_broker_listener_name: String = String::new(),
        /// `log.dirs`, or `log.dir`.
        log_dirs: Vec<String> = Vec::new(),
        /// `metadata.log.dir`, or the first of `log.dirs`.
        metadata_log_dir: String = String::new(),
        /// `max.connections.per.ip.overrides`: host or address to bound.
        max_connections_per_ip_overrides: SmallMap<String, i32> = SmallMap::new(),
        /// What a topic without settings of its own gets.
        topic_defaults: TopicConfig = TopicConfig::defaults(settings),
        /// The settings that all this came from.
        settings: Settings = settings.clone(),
    }
}

/// `process.roles`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    pub broker: bool,
    pub controller: bool,
}

/// What a node is when neither a file nor an option says anything: alone, on loopback, in `./data`.
const SINGLE_NODE: &[(&str, &str)] = &[
    ("log.dirs", "./data"),
    ("listeners", "PLAINTEXT://127.0.0.1:9092"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
];

/// What Kafka requires, and we fill in, file or not.
const ALWAYS: &[(&str, &str)] =
    &[("process.roles", "broker,controller"), ("controller.listener.names", "CONTROLLER")];

/// The one way to choose which replica a consumer reads from, besides none.
pub const RACK_AWARE_REPLICA_SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

impl BrokerConfig {
    /// Whether consumers are sent to replicas near them (KIP-392).
    pub fn selects_replicas(&self) -> bool {
        self.replica_selector_class.as_deref() == Some(RACK_AWARE_REPLICA_SELECTOR)
    }

    /// Whether an acknowledgement waits for the disk.
    pub fn syncs_batches(&self) -> bool {
        self.ottla_log_sync == "batch"
    }

    /// Reads settings in order, the later over the earlier. `single_node` puts the defaults of a lone node beneath
    /// them, for a start without a file. All errors are given, not only the first.
    pub fn resolve(
        settings: impl IntoIterator<Item = (String, Setting)>,
        single_node: bool,
    ) -> Result<Resolved, Vec<StartError>> {
        let built_in = ALWAYS.iter().chain(if single_node { SINGLE_NODE } else { &[] });
        let mut fixed: SmallMap<String, Setting> = built_in
            .map(|(name, value)| {
                ((*name).to_owned(), Setting { value: (*value).to_owned(), origin: Origin::SingleNode })
            })
            .collect();
        fixed.extend(settings);
        if !fixed.contains_key("node.id") {
            let old_name = fixed.get("broker.id").filter(|s| s.value.trim() != "-1").cloned();
            let id = old_name.unwrap_or(Setting { value: "1".into(), origin: Origin::SingleNode });
            fixed.insert("node.id".into(), id);
        }
        // Kafka shows both names with the same value.
        if let Some(id) = fixed.get("node.id").cloned() {
            fixed.or_insert_with("broker.id".into(), || id);
        }
        let settings = Settings { fixed, ..Settings::default() };
        let (mut errors, notices) = settings.check();
        if !errors.is_empty() {
            return Err(errors);
        }
        match Self::build(&settings) {
            Ok(config) => Ok(Resolved { config, notices }),
            Err((key, error)) => {
                let origin = settings.fixed.get(key).map(|s| s.origin.clone());
                errors.push(StartError { origin, error, allowed: String::new() });
                Err(errors)
            }
        }
    }

    /// The same broker with what the cluster set at run time: for all brokers, then for this one. Values that do not
    /// hold together are left out, as Kafka leaves them. What changes nothing leaves this broker as it is, values that no
    /// setting gave it included.
    #[must_use]
    pub fn with_dynamic(&self, cluster: BTreeMap<String, String>, broker: BTreeMap<String, String>) -> Self {
        let settings = Settings { fixed: self.settings.fixed.clone(), cluster, broker };
        let Ok(mut config) = Self::build(&settings) else { return self.clone() };
        // Simulations give topics defaults that no setting allows: they stay where the cluster has set nothing else.
        if config.topic_defaults == TopicConfig::defaults(&self.settings) {
            config.topic_defaults.clone_from(&self.topic_defaults);
        }
        config
    }

    /// `with_dynamic` of one layer, with the error of settings that do not hold together.
    pub(super) fn try_with_dynamic(
        &self,
        configs: &BTreeMap<String, String>,
        per_broker: bool,
    ) -> Result<Self, ConfigError> {
        let mut settings = self.settings.clone();
        let layer = if per_broker { &mut settings.broker } else { &mut settings.cluster };
        layer.clone_from(configs);
        Self::build(&settings).map_err(|(_, error)| error)
    }

    /// The error names the key whose setting is at fault.
    fn build(settings: &Settings) -> Result<Self, (&'static str, ConfigError)> {
        let mut config = BrokerConfig::from_values(settings, |settings, name| settings.in_force(name));
        config.derive(settings)?;
        rules::check(&config, settings)?;
        Ok(config)
    }

    fn derive(&mut self, settings: &Settings) -> Result<(), (&'static str, ConfigError)> {
        let list = |name: &str| match settings.effective(name) {
            Value::List(elements) => elements,
            _ => Vec::new(),
        };
        let text = |name: &str| match settings.effective(name) {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        };
        if let Value::Number(id) = settings.effective("node.id") {
            self.node_id = i32::try_from(id).unwrap_or(1);
        }
        let roles = list("process.roles");
        let has = |role: &str| roles.iter().any(|r| r == role);
        self.process_roles = Roles { broker: has("broker"), controller: has("controller") };
        self.log_dirs = list("log.dirs");
        if self.log_dirs.is_empty() {
            self.log_dirs = list("log.dir");
        }
        self.metadata_log_dir =
            text("metadata.log.dir").or_else(|| self.log_dirs.first().cloned()).unwrap_or_default();
        self.max_connections_per_ip_overrides = parse_ip_overrides(text("max.connections.per.ip.overrides"))
            .map_err(|e| ("max.connections.per.ip.overrides", e))?;
        self.derive_listeners(settings)
    }

    /// Whether controllers are spoken to by this listener.
    pub fn is_controller_listener(&self, name: &str) -> bool {
        self.controller_listener_names.iter().any(|listener| listener == name)
    }

    fn derive_listeners(&mut self, settings: &Settings) -> Result<(), (&'static str, ConfigError)> {
        let list = |name: &str| match settings.effective(name) {
            Value::List(elements) => elements,
            _ => Vec::new(),
        };
        let text = |name: &str| match settings.effective(name) {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        };
        self.controller_listener_names =
            list("controller.listener.names").iter().map(|n| n.to_ascii_uppercase()).collect();
        let mut protocols = parse_protocol_map(&text("listener.security.protocol.map").unwrap_or_default())
            .map_err(|e| ("listener.security.protocol.map", e))?;
        if settings.text("listener.security.protocol.map").is_none() {
            // Kafka's rule: without a map, controller listeners speak plaintext.
            for name in &self.controller_listener_names {
                protocols.entry(name.clone()).or_insert(SecurityProtocol::Plaintext);
            }
        }
        self.listeners =
            parse_listeners("listeners", &list("listeners"), &protocols).map_err(|e| ("listeners", e))?;
        self.advertised_listeners =
            parse_listeners("advertised.listeners", &list("advertised.listeners"), &protocols)
                .map_err(|e| ("advertised.listeners", e))?;
        let of_controller = |l: &Listener| self.controller_listener_names.contains(&l.name);
        let (of_listeners, for_clients): (Vec<_>, Vec<_>) =
            self.listeners.iter().cloned().partition(of_controller);
        let advertised = std::mem::take(&mut self.advertised_listeners);
        let (controllers, brokers): (Vec<_>, Vec<_>) = advertised.into_iter().partition(of_controller);
        self.advertised_listeners = if brokers.is_empty() { for_clients } else { brokers };
        self.advertised_controller_listeners =
            if controllers.is_empty() { of_listeners } else { controllers };
        let by_protocol = text("security.inter.broker.protocol").unwrap_or_default();
        self.inter_broker_listener_name =
            text("inter.broker.listener.name").map_or(by_protocol, |name| name.to_ascii_uppercase());
        Ok(())
    }
}

impl Default for BrokerConfig {
    /// A single node without any setting.
    fn default() -> Self {
        match Self::resolve([], true) {
            Ok(resolved) => resolved.config,
            Err(errors) => panic!("the single node's own settings are wrong: {errors:?}"),
        }
    }
}

/// `host:count,…`
fn parse_ip_overrides(text: Option<String>) -> Result<SmallMap<String, i32>, ConfigError> {
    let text = text.unwrap_or_default();
    let entries = text.split(',').map(str::trim).filter(|e| !e.is_empty());
    entries
        .map(|entry| {
            let (host, count) = entry.rsplit_once(':')?;
            Some((host.trim().to_owned(), count.trim().parse().ok()?))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| {
            ConfigError::invalid(
                "max.connections.per.ip.overrides",
                &text,
                "entries are host:count, between commas",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::super::key::Scope;
    use super::super::{Notice, Status, TopicConfig, table};
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Vec<(String, Setting)> {
        let setting = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), Setting { value: (*value).to_owned(), origin: Origin::Override })
        };
        pairs.iter().map(setting).collect()
    }

    fn resolve(pairs: &[(&str, &str)]) -> Result<Resolved, Vec<String>> {
        let errors = |errors: Vec<StartError>| errors.iter().map(ToString::to_string).collect();
        BrokerConfig::resolve(settings(pairs), false).map_err(errors)
    }

    #[test]
    fn a_node_without_settings_is_alone_and_on_loopback() {
        let config = BrokerConfig::default();
        assert_eq!(config.node_id, 1);
        assert_eq!(config.process_roles, Roles { broker: true, controller: true });
        assert_eq!(config.log_dirs, ["./data"]);
        assert_eq!(config.metadata_log_dir, "./data");
        assert_eq!(config.listeners[0].host, "127.0.0.1");
        assert_eq!(config.advertised_listeners, config.listeners);
        assert_eq!(config.inter_broker_listener_name, "PLAINTEXT");
        assert_eq!(config.offsets_topic_replication_factor, 1);
        assert_eq!(config.offsets_topic_num_partitions, 50);
    }

    #[test]
    fn with_a_file_the_defaults_are_kafkas() {
        let config = resolve(&[]).unwrap().config;
        assert_eq!(config.offsets_topic_replication_factor, 3);
        assert_eq!(config.log_dirs, ["/tmp/kafka-logs"]);
        assert_eq!((config.listeners[0].host.as_str(), config.listeners[0].port), ("", 9092));
    }

    #[test]
    fn every_honoured_key_has_a_field_somewhere() {
        const BY_HAND: &[&str] = &[
            "advertised.listeners",
            "broker.id",
            "controller.listener.names",
            "controller.quorum.bootstrap.servers",
            "controller.quorum.voters",
            "inter.broker.listener.name",
            "listener.security.protocol.map",
            "listeners",
            "log.dir",
            "log.dirs",
            "max.connections.per.ip.overrides",
            "metadata.log.dir",
            "node.id",
            "process.roles",
            "security.inter.broker.protocol",
        ];
        for key in table::keys(Scope::Broker).filter(|k| k.status == Status::Honoured) {
            let of_topic = super::super::synonym::is_topic_synonym(key.name);
            let known =
                BY_HAND.contains(&key.name) || BrokerConfig::FIELD_KEYS.contains(&key.name) || of_topic;
            assert!(known, "{} is honoured by nobody", key.name);
        }
        for key in table::keys(Scope::Topic).filter(|k| !k.internal) {
            assert!(TopicConfig::FIELD_KEYS.contains(&key.name), "{} is honoured by nobody", key.name);
        }
    }

    #[test]
    fn unknown_keys_warn_and_wrong_values_name_all_that_is_needed() {
        let resolved = resolve(&[("log.segmnt.bytes", "1"), ("num.io.threads", "4")]).unwrap();
        let notices: Vec<String> = resolved.notices.iter().map(Notice::to_string).collect();
        assert_eq!(notices.len(), 2, "{notices:?}");
        assert_eq!(notices[0], "--override: unknown key log.segmnt.bytes; is log.segment.bytes meant?");
        let errors = resolve(&[("log.segment.bytes", "14"), ("num.partitions", "x")]).unwrap_err();
        assert_eq!(
            errors,
            [
                "--override: Invalid value 14 for configuration log.segment.bytes: Value must be at least 1048576 \
                 (allowed: a 32-bit integer of at least 1048576)",
                "--override: Invalid value x for configuration num.partitions: Not a number of type INT \
                 (allowed: a 32-bit integer of at least 1)",
            ]
        );
    }

    #[test]
    fn what_is_not_built_refuses_the_start_away_from_its_default() {
        assert!(resolve(&[("ssl.protocol", "TLSv1.3"), ("ssl.keystore.location", "")]).is_ok());
        assert!(resolve(&[("ssl.keystore.location", "/k.jks")]).is_err());
        assert!(resolve(&[("listener.name.internal.ssl.keystore.location", "/k.jks")]).is_err());
        let errors = resolve(&[("ssl.keystore.password", "hunter2")]).unwrap_err();
        assert!(!errors[0].contains("hunter2"), "{errors:?}");
    }

    #[test]
    fn the_old_name_of_the_node_id() {
        assert_eq!(resolve(&[("broker.id", "7")]).unwrap().config.node_id, 7);
        assert_eq!(resolve(&[("broker.id", "-1"), ("node.id", "8")]).unwrap().config.node_id, 8);
        assert!(resolve(&[("broker.id", "7"), ("node.id", "8")]).is_err());
    }

    #[test]
    fn topics_inherit_from_the_broker() {
        let broker = resolve(&[("log.retention.hours", "1"), ("log.retention.minutes", "2")]).unwrap().config;
        assert_eq!(TopicConfig::new(&broker, []).retention_ms, 120_000);
        let topic = TopicConfig::new(&broker, [("retention.ms", "5"), ("cleanup.policy", "compact,delete")]);
        assert_eq!(topic.retention_ms, 5);
        assert!(topic.cleanup_policy.compact && topic.cleanup_policy.delete);
        assert_eq!(TopicConfig::default().flush_ms, i64::MAX);
        assert_eq!(TopicConfig::default().segment_ms, 604_800_000);
    }
}
