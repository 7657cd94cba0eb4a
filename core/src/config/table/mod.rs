//! The one table of keys, split by area. One row is a sentence of documentation and the facts:
//! `"name" Type = "default", bounds, importance, who may change it, what we do with it;`

use super::key::{ConfigKey, Scope};

/// Declares one area's rows.
macro_rules! keys {
    ($table:ident: $scope:ident, internal = $internal:literal;
     $($(#[doc = $doc:literal])+
       $name:literal $kind:ident = $preset:tt, $bounds:expr, $importance:ident, $mode:ident, $status:expr;)*) => {
        pub(super) const $table: &[ConfigKey] = &[$(ConfigKey {
            name: $name,
            scope: Scope::$scope,
            config_type: ConfigType::$kind,
            preset: keys!(@preset $preset),
            bounds: $bounds,
            importance: Importance::$importance,
            update_mode: UpdateMode::$mode,
            status: $status,
            internal: $internal,
            documentation: concat!($($doc),+),
        }),*];
    };
    (@preset required) => { Preset::Required };
    (@preset null) => { Preset::Null };
    (@preset $text:literal) => { Preset::Is($text) };
}

mod cluster;
mod entity;
mod group;
mod internal;
mod log;
mod metrics;
mod network;
mod ottla;
mod quorum;
mod remote;
mod replication;
mod request;
mod security;
mod share;
mod transaction;

/// What a row is written with.
mod rows {
    pub(super) use super::super::key::Bounds::*;
    pub(super) use super::super::key::Status::*;
    pub(super) use super::super::key::{ConfigKey, ConfigType, Importance, Preset, Scope, UpdateMode};

    // Why a key is accepted without effect.
    pub(super) const AUTHENTICATION: &str = "there is no authentication yet, so none fails";
    pub(super) const COMPACTION: &str = "compaction paces itself";
    pub(super) const CONSUMER: &str = "the consumer group protocol (KIP-848) is not built yet";
    pub(super) const JVM: &str = "it names or paces what lives in a Java machine";
    pub(super) const LOADING: &str = "coordinators load and batch by a byte budget of their own";
    pub(super) const ONE_NODE: &str = "it concerns other nodes, and there is one only";
    pub(super) const PURGATORY: &str = "purgatories hold no finished requests, so there is nothing to purge";
    pub(super) const QUORUM_BATCH: &str = "the metadata log sizes its batches and segments itself";
    pub(super) const REMOTE: &str = "tiered storage is not built yet";
    pub(super) const SHARDS: &str = "threads follow from `ottla.shards` and the machine's cores";
    pub(super) const SHARE: &str = "share groups are not built yet";
    pub(super) const STREAMS: &str = "streams groups are not built yet";
    pub(super) const TELEMETRY: &str = "client telemetry is not built yet";
    pub(super) const TRANSACTIONS: &str = "transactions are not built yet";
    pub(super) const WATCHDOG: &str = "it watches or delays a thread that does not exist here";
}

const BROKER: &[&[ConfigKey]] = &[
    ottla::KEYS,
    quorum::KEYS,
    network::KEYS,
    cluster::KEYS,
    request::KEYS,
    log::KEYS,
    replication::KEYS,
    group::KEYS,
    transaction::KEYS,
    share::KEYS,
    remote::KEYS,
    security::KEYS,
    metrics::KEYS,
    internal::KEYS,
];
const TOPIC: &[&[ConfigKey]] = &[entity::TOPIC_KEYS, entity::TOPIC_INTERNAL_KEYS];
const GROUP: &[&[ConfigKey]] = &[entity::GROUP_KEYS];
const CLIENT_METRICS: &[&[ConfigKey]] = &[entity::CLIENT_METRICS_KEYS];

/// Every key of one scope, internal ones too.
pub fn keys(scope: Scope) -> impl Iterator<Item = &'static ConfigKey> + Clone {
    let areas = match scope {
        Scope::Broker => BROKER,
        Scope::Topic => TOPIC,
        Scope::Group => GROUP,
        Scope::ClientMetrics => CLIENT_METRICS,
    };
    areas.iter().copied().flatten()
}

/// The row of one key.
pub fn key(scope: Scope, name: &str) -> Option<&'static ConfigKey> {
    keys(scope).find(|key| key.name == name)
}
