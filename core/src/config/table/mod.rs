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
            // A page shows none of it.
            documentation: if cfg!(any(feature = "administration", test)) { concat!($($doc),+) } else { "" },
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
    pub(super) const CONSUMER: &str = "the consumer group protocol (KIP-848) is not built yet";
    pub(super) const DIRECTORIES: &str = "replicas are not moved between directories yet";
    pub(super) const JVM: &str = "it names or paces what lives in a Java machine";
    pub(super) const LOADING: &str = "coordinators load and batch by a byte budget of their own";
    pub(super) const METADATA_LOG: &str = "the metadata log keeps everything and writes nothing while idle";
    pub(super) const LINKS: &str =
        "a connection to another node has 10 s to open, and buffers as the system has them";
    pub(super) const ONE_REPLICA: &str = "with one replica a commit waits for nobody";
    pub(super) const PLAIN_OFFSETS: &str = "committed offsets are written uncompressed, and read either way";
    pub(super) const PREALLOCATE: &str = "segments grow as they are written";
    pub(super) const PRODUCERS: &str =
        "forgotten producers are removed when their partition looks at its segments";
    pub(super) const PURGATORY: &str = "purgatories hold no finished requests, so there is nothing to purge";
    pub(super) const QUEUES: &str = "a connection has one request in work, so none queue";
    pub(super) const QUORUM_BATCH: &str = "the metadata log sizes its batches and segments itself";
    pub(super) const REGISTRATION: &str = "a broker tries to register until it is stopped";
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
    replication::THROTTLE_KEYS,
    group::KEYS,
    transaction::KEYS,
    share::KEYS,
    remote::KEYS,
    security::KEYS,
    metrics::KEYS,
    internal::KEYS,
];
/// What Kafka takes at run time only.
pub(super) const DYNAMIC_ONLY: &[ConfigKey] = replication::THROTTLE_KEYS;
const TOPIC: &[&[ConfigKey]] = &[entity::TOPIC_KEYS, entity::TOPIC_INTERNAL_KEYS];
const GROUP: &[&[ConfigKey]] = &[entity::GROUP_KEYS];
const CLIENT_METRICS: &[&[ConfigKey]] = &[entity::CLIENT_METRICS_KEYS];
const CLIENT_QUOTA: &[&[ConfigKey]] = &[entity::CLIENT_QUOTA_KEYS];
const IP_QUOTA: &[&[ConfigKey]] = &[entity::IP_QUOTA_KEYS];

/// Every key of one scope, internal ones too.
pub fn keys(scope: Scope) -> impl Iterator<Item = &'static ConfigKey> + Clone {
    let areas = match scope {
        Scope::Broker => BROKER,
        Scope::Topic => TOPIC,
        Scope::Group => GROUP,
        Scope::ClientMetrics => CLIENT_METRICS,
        Scope::ClientQuota => CLIENT_QUOTA,
        Scope::IpQuota => IP_QUOTA,
    };
    areas.iter().copied().flatten()
}

/// The row of one key.
pub fn key(scope: Scope, name: &str) -> Option<&'static ConfigKey> {
    keys(scope).find(|key| key.name == name)
}

/// The key that `name` was probably meant to be: the closest within two or three slips of the pen.
pub(super) fn nearest(scope: Scope, name: &str) -> Option<&'static str> {
    // Hostile names are not worth the work.
    const NAME_BYTES_MAX: usize = 100;
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let slips_max = if name.len() < 12 { 2 } else { 3 };
    let slips = |key: &ConfigKey| edit_distance(key.name.as_bytes(), name.as_bytes());
    keys(scope)
        .filter(|key| !key.internal)
        .map(|key| (slips(key), key.name))
        .min()
        .filter(|(d, _)| *d <= slips_max)
        .map(|(_, n)| n)
}

/// Levenshtein's.
fn edit_distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
