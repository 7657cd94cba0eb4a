//! Opening: from the files of a node to a replica of the metadata log, and the state that the log adds up to.

use std::sync::Arc;

use ottla_protocol::Uuid;
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, ConfigRecord, EndTransactionRecord,
};

use super::checkpoint::{Checkpoint, SnapshotId};
use super::directories::{self, Directories};
use super::format::{BOOTSTRAP_FILE, FormatError, bootstrap_servers, own_voter, static_voters};
use super::raft::{Quorum, QuorumConfig, QuorumCx, QuorumEffect, QuorumError, RoleName};
use super::{METADATA_DIR, METADATA_TOPIC, join, metadata_dir, records};
use crate::config::BrokerConfig;
use crate::log::{LogConfig, LogError, LogStore, StoreError};
use crate::machine::{Cx, SyncTarget};
use crate::metadata::{ConfigResourceType, MetadataImage, MetadataState, MetadataVersion, ReplayError};
use crate::record::compression::Compressors;
use crate::rng::Rng;
use crate::small_map::SmallMap;

/// Bytes of the log that are replayed at a time.
const REPLAY_BYTES: u64 = 8 << 20;

/// A replica of the metadata log, and what of it is known to hold.
#[derive(Debug)]
pub struct Opened<S: LogStore> {
    /// The replica. A voter that is alone leads already.
    pub quorum: Quorum<S>,
    /// What the replica asks for.
    pub effects: Vec<QuorumEffect<S>>,
    /// What the log says below `next_offset`: its newest snapshot, or all of it if the replica leads.
    pub state: MetadataState,
    /// Where to go on.
    pub next_offset: i64,
    /// The ids of the log directories.
    pub directories: SmallMap<String, Uuid>,
}

/// Why a node does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The directories were empty, and formatting them failed.
    Format(FormatError),
    /// A `meta.properties` that is not readable.
    BadMetaProperties(String, String),
    /// `node.id` is another one's.
    WrongNode { directory: String, expected: i32, found: i32 },
    /// Directories of two clusters.
    WrongCluster { directory: String, expected: String, found: String },
    /// The directory with the metadata log is not formatted, though others are.
    NotFormatted(String),
    /// It is one of several, which have to be formatted for one cluster.
    FormatFirst(String),
    /// A snapshot that is not readable: file, reason.
    BadSnapshot(String, String),
    /// A record that is not readable or does not follow: where, and why.
    BadRecord(String),
    /// There is nothing to begin a cluster with.
    NoBootstrap(String),
    /// A finalized feature that this build cannot run with.
    Unsupported(ReplayError),
    /// Storage failed.
    Store(String, StoreError),
    /// The metadata log failed.
    Log(LogError),
    /// The quorum cannot take its place.
    Quorum(String),
}

impl OpenError {
    /// The disk is full.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Store(_, StoreError::NoSpace) | Self::Log(LogError::Store(StoreError::NoSpace)))
    }
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Format(error) => write!(f, "{error}"),
            Self::BadMetaProperties(path, reason) | Self::BadSnapshot(path, reason) => {
                write!(f, "{path}: {reason}")
            }
            Self::WrongNode { directory, expected, found } => {
                write!(
                    f,
                    "{directory} belongs to the node with node.id={found}, and this one is configured as node.id={expected}"
                )
            }
            Self::WrongCluster { directory, expected, found } => {
                write!(
                    f,
                    "{directory} belongs to the cluster {found}, and the other directories to {expected}"
                )
            }
            Self::NotFormatted(directory) => {
                write!(
                    f,
                    "{directory} is to hold the metadata log and is not formatted, though other log directories are"
                )
            }
            Self::FormatFirst(directory) => {
                write!(
                    f,
                    "{directory} is not formatted: run ottla format with the --cluster-id of its cluster, the same on every node"
                )
            }
            Self::BadRecord(reason) | Self::Quorum(reason) => f.write_str(reason),
            Self::NoBootstrap(path) => {
                write!(f, "the metadata log is empty and {path} is not there: format the node")
            }
            Self::Unsupported(reason) => write!(f, "{reason}"),
            Self::Store(path, error) => write!(f, "{path}: {error}"),
            Self::Log(error) => write!(f, "{METADATA_DIR}: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<LogError> for OpenError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<QuorumError> for OpenError {
    fn from(error: QuorumError) -> Self {
        match error {
            QuorumError::Store(path, error) => Self::Store(path, error),
            QuorumError::Log(error) => Self::Log(error),
            QuorumError::Broken(reason) => Self::Quorum(reason),
        }
    }
}

/// Opens the metadata log, formatting the node if all its directories are empty. Nothing that was written counts before it is synced:
/// the first of the effects does that.
pub fn open<S: LogStore>(
    cx: &mut Cx<'_, S>,
    rng: &mut Rng,
    config: &BrokerConfig,
) -> Result<Opened<S>, OpenError> {
    let Directories { cluster_id, ids: directories, sync } =
        directories::open(cx.store, cx.now, rng, config)?;
    let own_directory = directories.get(&config.metadata_log_dir).copied().unwrap_or(Uuid::ZERO);
    let quorum_config = Arc::new(quorum_config(config, &cluster_id, own_directory));
    let mut effects = Vec::new();
    let mut quorum_cx =
        QuorumCx { now: cx.now, store: cx.store, effects: &mut effects, planted: cx.traces.planted() };
    let quorum = Quorum::open(&mut quorum_cx, quorum_config, rng.fork())?;
    sync_first(&mut effects, sync.files, sync.directories);

    let mut state = MetadataState::new(MetadataImage::empty(cluster_id));
    let snapshot = quorum.log().snapshots().last().copied();
    if let Some(id) = snapshot {
        state = load_snapshot(cx.store, cx.compressors, &metadata_dir(config), id, state.image())?;
    }
    let next_offset = snapshot.map_or(0, |id| id.end_offset);
    let mut opened = Opened { quorum, effects, state, next_offset, directories };
    // A voter that is alone.
    if opened.quorum.role() == RoleName::Leader {
        // What was in the log is published before it is synced again. It was synced before anybody was answered; what was not was never acknowledged.
        while opened.next_offset < opened.quorum.log().end_offset() {
            let bytes = opened.quorum.read(cx.store, opened.next_offset, REPLAY_BYTES)?;
            let before = opened.next_offset;
            let decoded = records::decode(&bytes, cx.compressors, before)?;
            opened.next_offset = decoded.next_offset;
            records::replay(decoded, &mut opened.state)?;
            if opened.next_offset == before {
                break;
            }
        }
    }
    Ok(opened)
}

/// The directories' own files go to the disk before, or with, the first that the quorum asks for.
fn sync_first<S: LogStore>(
    effects: &mut Vec<QuorumEffect<S>>,
    files: Vec<S::File>,
    directories: Vec<String>,
) {
    let more = files.into_iter().map(SyncTarget::File);
    let more = more.chain(directories.into_iter().map(SyncTarget::Directory));
    match effects.iter_mut().find_map(|effect| match effect {
        QuorumEffect::Sync { targets, .. } => Some(targets),
        _ => None,
    }) {
        Some(targets) => targets.extend(more),
        None => effects.push(QuorumEffect::Sync { targets: more.collect(), token: u64::MAX }),
    }
}

fn quorum_config(config: &BrokerConfig, cluster_id: &str, directory_id: Uuid) -> QuorumConfig {
    let own = own_voter(config, directory_id);
    let mut static_voters = static_voters(config);
    // A node that is broker and controller needs to be told of nobody else.
    if static_voters.is_empty() && config.process_roles.broker && config.process_roles.controller {
        static_voters.push(own.clone());
    }
    QuorumConfig {
        node_id: config.node_id,
        directory_id,
        cluster_id: cluster_id.into(),
        topic: METADATA_TOPIC.into(),
        topic_id: Uuid::METADATA_TOPIC,
        dir: metadata_dir(config),
        log: LogConfig {
            segment_bytes: u64::try_from(config.metadata_log_segment_bytes).unwrap_or(1 << 30),
            segment_ms: config.metadata_log_segment_ms,
            delete: false,
            compact: false,
            ..LogConfig::default()
        },
        listener: config.controller_listener_names.first().map_or("CONTROLLER", String::as_str).into(),
        endpoints: if config.process_roles.controller { own.endpoints } else { Vec::new() },
        static_voters,
        bootstrap_servers: bootstrap_servers(config),
        auto_join: config.controller_quorum_auto_join_enable,
        fast_election: config.ottla_broker_fast_fencing_enable,
        election_timeout_ms: config.controller_quorum_election_timeout_ms.into(),
        fetch_timeout_ms: config.controller_quorum_fetch_timeout_ms.into(),
        election_backoff_max_ms: config.controller_quorum_election_backoff_max_ms.into(),
        request_timeout_ms: config.controller_quorum_request_timeout_ms.into(),
        retry_backoff_ms: config.controller_quorum_retry_backoff_ms.into(),
        fetch_max_bytes: config.controller_quorum_fetch_max_bytes,
        fetch_snapshot_max_bytes: config.controller_quorum_fetch_snapshot_max_bytes,
    }
}

/// What a snapshot says.
pub(crate) fn load_snapshot<S: LogStore>(
    store: &mut S,
    compressors: &Compressors,
    dir: &str,
    id: SnapshotId,
    before: &MetadataImage,
) -> Result<MetadataState, OpenError> {
    let path = join(dir, &id.file_name());
    let checkpoint = read_checkpoint(store, &path, compressors)?;
    let mut state = MetadataState::new(MetadataImage::empty(before.cluster_id.clone()));
    for record in &checkpoint.records {
        state.replay(record).map_err(|error| OpenError::BadSnapshot(path.clone(), error.to_string()))?;
    }
    Ok(state)
}

fn read_checkpoint<S: LogStore>(
    store: &mut S,
    path: &str,
    compressors: &Compressors,
) -> Result<Checkpoint, OpenError> {
    let bytes = store.read(path).map_err(|error| OpenError::Store(path.to_owned(), error))?;
    let checkpoint = Checkpoint::decode(&bytes.into(), compressors);
    checkpoint.map_err(|reason| OpenError::BadSnapshot(path.to_owned(), reason))
}

/// What a new leader writes before anything else: the end of a transaction that the one before left open, and the bootstrap records of a new
/// cluster; and the `metadata.version` to write it with.
pub(crate) fn first_records<S: LogStore>(
    cx: &mut Cx<'_, S>,
    config: &BrokerConfig,
    state: &MetadataState,
) -> Result<(MetadataVersion, Vec<MetadataRecord>), OpenError> {
    let mut records: Vec<MetadataRecord> = Vec::new();
    if state.in_transaction() {
        let reason = Some("the leader of the epoch before left it open".into());
        records.push(AbortTransactionRecord { reason }.into());
    }
    if state.image().features.metadata_version.is_some() {
        return Ok((state.image().features.metadata_version(), records));
    }
    let path = join(&config.metadata_log_dir, BOOTSTRAP_FILE);
    let bootstrap = match read_checkpoint(cx.store, &path, cx.compressors) {
        Err(OpenError::Store(path, StoreError::NotFound)) => return Err(OpenError::NoBootstrap(path)),
        other => other?.records,
    };
    let mut image = MetadataImage::default();
    for record in &bootstrap {
        image.replay(record).map_err(|error| OpenError::BadSnapshot(path.clone(), error.to_string()))?;
    }
    let version = image.features.metadata_version();
    if version.has_transactions() {
        records.push(BeginTransactionRecord { name: Some("Bootstrap records".into()) }.into());
    }
    records.extend(bootstrap);
    if image.features.has_eligible_leader_replicas() {
        records.push(cluster_min_insync_replicas(config));
    }
    if version.has_transactions() {
        records.push(EndTransactionRecord::default().into());
    }
    Ok((version, records))
}

/// With eligible leader replicas, `min.insync.replicas` is the cluster's and no longer each broker's (KIP-966).
fn cluster_min_insync_replicas(config: &BrokerConfig) -> MetadataRecord {
    ConfigRecord {
        resource_type: ConfigResourceType::Broker.code(),
        resource_name: "".into(),
        name: "min.insync.replicas".into(),
        value: Some(config.min_insync_replicas.to_string().into()),
    }
    .into()
}
