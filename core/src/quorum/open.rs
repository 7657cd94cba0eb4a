//! Opening: from the files of a node to a metadata log that it leads, and the state that the log adds up to.

use std::collections::BTreeMap;

use ottla_protocol::Uuid;
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, ConfigRecord, EndTransactionRecord,
};

use super::checkpoint::{Checkpoint, SnapshotId};
use super::control::{self, Control, Voter};
use super::format::{BOOTSTRAP_FILE, FormatError, FormatOptions, format, own_voter};
use super::metadata_log::{MetadataLog, replay};
use super::quorum_state::{self, QuorumState};
use super::{METADATA_DIR, ToSync, join, log_dirs, metadata_dir};
use crate::config::BrokerConfig;
use crate::log::meta_properties::{META_PROPERTIES, MetaProperties};
use crate::log::{Log, LogConfig, LogError, LogStore, OpenLog, StoreError, partition_metadata};
use crate::metadata::{ConfigResourceType, MetadataImage, MetadataState, ReplayError};
use crate::record::compression::Compressors;
use crate::record::{BatchBuilder, ControlRecordType};
use crate::rng::Rng;
use crate::time::Now;

/// A metadata log that this node leads, everything in it replayed.
#[derive(Clone, Debug)]
pub struct Opened<S: LogStore> {
    /// The log, its epoch begun.
    pub log: MetadataLog<S>,
    /// What it says.
    pub state: MetadataState,
    /// The ids of the log directories.
    pub directories: BTreeMap<String, Uuid>,
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
    /// The quorum has other voters.
    NotAlone(Vec<i32>),
    /// A `quorum-state` that is not readable.
    BadQuorumState(String, String),
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
            Self::BadMetaProperties(path, reason)
            | Self::BadQuorumState(path, reason)
            | Self::BadSnapshot(path, reason) => write!(f, "{path}: {reason}"),
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
            Self::NotAlone(voters) => {
                write!(
                    f,
                    "the voters of the metadata quorum are {voters:?}; this build runs a quorum of one, itself"
                )
            }
            Self::BadRecord(reason) => f.write_str(reason),
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

/// Opens the metadata log, formatting the node if all its directories are empty, and begins a new epoch as its leader. What was
/// written has to be synced before it counts: [`MetadataLog::take_sync`].
pub fn open<S: LogStore>(
    store: &mut S,
    now: Now,
    rng: &mut Rng,
    compressors: &Compressors,
    config: &BrokerConfig,
) -> Result<Opened<S>, OpenError> {
    let (cluster_id, directories, mut beside) = open_directories(store, now, rng, config)?;
    let dir = metadata_dir(config);
    let own_directory = directories.get(&config.metadata_log_dir).copied().unwrap_or(Uuid::ZERO);
    let mut quorum = Quorum::configured(config, own_directory)?;

    let mut state = MetadataState::new(MetadataImage::empty(cluster_id));
    let mut snapshots = list_snapshots(store, &dir)?;
    let mut loaded = SnapshotId::default();
    let mut broken = None;
    while let Some(id) = snapshots.last() {
        let path = join(&dir, &id.file_name());
        let checkpoint = match read_checkpoint(store, &path, compressors) {
            // Its name is durable and what it holds is not: a power loss. The records are in the log until a snapshot is whole.
            Err(error @ OpenError::BadSnapshot(..)) => {
                broken.get_or_insert((path, error));
                snapshots.pop();
                continue;
            }
            other => other?,
        };
        quorum.apply(checkpoint.kraft_version, checkpoint.voters);
        for record in &checkpoint.records {
            state.replay(record).map_err(|error| OpenError::BadSnapshot(path.clone(), error.to_string()))?;
        }
        loaded = *id;
        break;
    }
    let mut log = open_log(store, now, config, &dir, &snapshots)?;
    if let Some((path, error)) = broken {
        if log.log_start_offset() > loaded.end_offset {
            return Err(error);
        }
        store.remove(&path).map_err(|error| OpenError::Store(path, error))?;
    }
    let mut seen_control = false;
    let bytes = replay(&mut log, store, compressors, loaded.end_offset, &mut state, |control| {
        seen_control = true;
        match control {
            Control::KRaftVersion(version) => quorum.apply(Some(version), None),
            Control::Voters(voters) => quorum.apply(None, Some(voters)),
            Control::LeaderChange | Control::SnapshotHeader(_) | Control::SnapshotFooter => {}
        }
    })
    .map_err(OpenError::BadRecord)?;
    quorum.check(config.node_id)?;

    let epoch = next_epoch(store, &dir, log.latest_epoch().max(loaded.epoch))?;
    let path = join(&dir, quorum_state::FILE);
    let leader = QuorumState::leader(config.node_id, epoch);
    let file = replace(store, &path, leader.to_text().as_bytes())?;
    beside.files.push(file);
    beside.directories.push(dir.clone());

    let first_epoch = log.log_end_offset() == 0;
    let mut log = MetadataLog::new(log, config.node_id, epoch, quorum.kraft_version, quorum.voters.clone());
    log.set_snapshots(snapshots);
    log.count_bytes_since_snapshot(bytes);
    for file in beside.files {
        log.sync_beside(file, config.metadata_log_dir.clone());
    }
    for directory in beside.directories {
        log.sync_directory(directory);
    }
    begin_epoch(store, now, &mut log, &quorum, first_epoch && !seen_control)?;
    settle(store, now, compressors, config, &mut log, &mut state)?;
    if let Some(unsupported) = state.image().features.unsupported() {
        return Err(OpenError::Unsupported(unsupported));
    }
    Ok(Opened { log, state, directories })
}

/// What the quorum's control records say.
#[derive(Debug)]
struct Quorum {
    kraft_version: i16,
    voters: Vec<Voter>,
}

impl Quorum {
    /// Before any control record: `controller.quorum.voters`, or the node alone.
    fn configured(config: &BrokerConfig, directory_id: Uuid) -> Result<Self, OpenError> {
        let voters = config.settings.text("controller.quorum.voters").unwrap_or_default();
        let ids: Vec<i32> =
            voters.split(',').filter_map(|voter| voter.split_once('@')?.0.trim().parse().ok()).collect();
        if !ids.is_empty() && ids != [config.node_id] {
            return Err(OpenError::NotAlone(ids));
        }
        Ok(Self { kraft_version: 0, voters: vec![own_voter(config, directory_id)] })
    }

    fn apply(&mut self, kraft_version: Option<i16>, voters: Option<Vec<Voter>>) {
        self.kraft_version = kraft_version.unwrap_or(self.kraft_version);
        self.voters = voters.unwrap_or_else(|| std::mem::take(&mut self.voters));
    }

    fn check(&self, node_id: i32) -> Result<(), OpenError> {
        let ids: Vec<i32> = self.voters.iter().map(|voter| voter.id).collect();
        if ids == [node_id] { Ok(()) } else { Err(OpenError::NotAlone(ids)) }
    }
}

type Directories<F> = (String, BTreeMap<String, Uuid>, ToSync<F>);

/// Reads `meta.properties` everywhere, formats a node without any, and gives directories that came later, or from before
/// they had ids, an id.
fn open_directories<S: LogStore>(
    store: &mut S,
    now: Now,
    rng: &mut Rng,
    config: &BrokerConfig,
) -> Result<Directories<S::File>, OpenError> {
    let mut found = Vec::new();
    for directory in log_dirs(config) {
        let path = join(&directory, META_PROPERTIES);
        let properties = match store.read(&path) {
            Ok(bytes) => {
                let bad = |reason| OpenError::BadMetaProperties(path.clone(), reason);
                let text = String::from_utf8(bytes).map_err(|_| bad("it is not text".to_owned()))?;
                Some(MetaProperties::parse(&text).map_err(bad)?)
            }
            Err(StoreError::NotFound) => None,
            // It is offline, as the keeper of the directories will find.
            Err(StoreError::Io(_)) if directory != config.metadata_log_dir => continue,
            Err(error) => return Err(OpenError::Store(path, error)),
        };
        found.push((directory, properties));
    }
    let Some(cluster_id) =
        found.iter().find_map(|(_, properties)| Some(properties.as_ref()?.cluster_id.clone()))
    else {
        let formatted =
            format(store, now, rng, config, &FormatOptions::default()).map_err(OpenError::Format)?;
        return Ok((formatted.cluster_id, formatted.directories.into_iter().collect(), formatted.sync));
    };
    let mut directories = BTreeMap::new();
    let mut sync = ToSync::new(0);
    for (directory, properties) in found {
        if let Some(properties) = &properties {
            check(&directory, properties, config.node_id, &cluster_id)?;
        } else if directory == config.metadata_log_dir {
            return Err(OpenError::NotFormatted(directory));
        }
        let known = properties.and_then(|properties| properties.directory_id);
        let directory_id = known.unwrap_or_else(|| rng.uuid());
        if known.is_none() {
            let properties = MetaProperties {
                cluster_id: cluster_id.clone(),
                node_id: config.node_id,
                directory_id: Some(directory_id),
            };
            store.create_dir(&directory).map_err(|error| OpenError::Store(directory.clone(), error))?;
            let path = join(&directory, META_PROPERTIES);
            sync.files.push(replace(store, &path, properties.to_text().as_bytes())?);
            sync.directories.push(directory.clone());
        }
        directories.insert(directory, directory_id);
    }
    Ok((cluster_id, directories, sync))
}

fn check(
    directory: &str,
    properties: &MetaProperties,
    node_id: i32,
    cluster_id: &str,
) -> Result<(), OpenError> {
    let directory = directory.to_owned();
    if properties.node_id != node_id {
        return Err(OpenError::WrongNode { directory, expected: node_id, found: properties.node_id });
    }
    if properties.cluster_id != cluster_id {
        let found = properties.cluster_id.clone();
        return Err(OpenError::WrongCluster { directory, expected: cluster_id.to_owned(), found });
    }
    Ok(())
}

fn replace<S: LogStore>(store: &mut S, path: &str, bytes: &[u8]) -> Result<S::File, OpenError> {
    let failed = |error| OpenError::Store(path.to_owned(), error);
    store.write_replacing(path, bytes).map_err(failed)?;
    store.open(path).map_err(failed)
}

fn list_snapshots<S: LogStore>(store: &mut S, dir: &str) -> Result<Vec<SnapshotId>, OpenError> {
    match store.list(dir) {
        Ok(entries) => {
            let mut ids: Vec<_> = entries.iter().filter_map(|entry| SnapshotId::parse(&entry.name)).collect();
            ids.sort_unstable();
            Ok(ids)
        }
        Err(StoreError::NotFound) => Ok(Vec::new()),
        Err(error) => Err(OpenError::Store(dir.to_owned(), error)),
    }
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

fn open_log<S: LogStore>(
    store: &mut S,
    now: Now,
    config: &BrokerConfig,
    dir: &str,
    snapshots: &[SnapshotId],
) -> Result<Log<S>, OpenError> {
    let log_config = LogConfig {
        segment_bytes: u64::try_from(config.metadata_log_segment_bytes).unwrap_or(1 << 30),
        segment_ms: config.metadata_log_segment_ms,
        delete: false,
        compact: false,
        ..LogConfig::default()
    };
    let options = OpenLog {
        dir: dir.to_owned(),
        config: log_config,
        log_start_offset: 0,
        recovery_point: 0,
        high_watermark: 0,
        clean_shutdown: false,
    };
    let (mut log, _) = Log::open(store, now, options)?;
    if let Some(newest) = snapshots.last()
        && log.log_end_offset() < newest.end_offset
    {
        log.truncate_fully_and_start_at(store, now, newest.end_offset)?;
    }
    if partition_metadata::read(store, dir)?.is_none() {
        partition_metadata::write(store, dir, Uuid::METADATA_TOPIC)?;
    }
    Ok(log)
}

fn next_epoch<S: LogStore>(store: &mut S, dir: &str, newest: i32) -> Result<i32, OpenError> {
    let path = join(dir, quorum_state::FILE);
    let remembered = match store.read(&path) {
        Ok(bytes) if was_torn(&bytes) => 0,
        Ok(bytes) => {
            let bad = |reason| OpenError::BadQuorumState(path.clone(), reason);
            let text = String::from_utf8(bytes).map_err(|_| bad("it is not text".to_owned()))?;
            QuorumState::parse(&text).map_err(bad)?.leader_epoch
        }
        Err(StoreError::NotFound) => 0,
        Err(error) => return Err(OpenError::Store(path, error)),
    };
    Ok(remembered.max(newest).saturating_add(1))
}

/// Whether a JSON object is what a power loss left of it: shorter than it was, or zeros where pages were missing. The epoch that it
/// named had not begun then: an epoch begins with a record that is synced together with this file.
fn was_torn(bytes: &[u8]) -> bool {
    bytes.contains(&0) || !bytes.trim_ascii_end().ends_with(b"}")
}

/// The first batch of an epoch; in a new log it carries the voters of the 0-0 snapshot too, as Kafka's does.
fn begin_epoch<S: LogStore>(
    store: &mut S,
    now: Now,
    log: &mut MetadataLog<S>,
    quorum: &Quorum,
    with_voters: bool,
) -> Result<(), OpenError> {
    let mut batch = BatchBuilder::control(log.log_end_offset(), log.epoch());
    let voters: Vec<i32> = quorum.voters.iter().map(|voter| voter.id).collect();
    let leader_change = control::leader_change(log.node_id(), &voters, &voters);
    batch.append_control(now.wall, ControlRecordType::LeaderChange, &leader_change);
    if with_voters && quorum.kraft_version > 0 {
        let version = control::kraft_version(quorum.kraft_version);
        batch.append_control(now.wall, ControlRecordType::KRaftVersion, &version);
        batch.append_control(now.wall, ControlRecordType::KRaftVoters, &control::voters(&quorum.voters));
    }
    log.append_control(store, now, &batch)?;
    Ok(())
}

/// Aborts the transaction that the leader before left open, and writes the bootstrap records of a new cluster.
fn settle<S: LogStore>(
    store: &mut S,
    now: Now,
    compressors: &Compressors,
    config: &BrokerConfig,
    log: &mut MetadataLog<S>,
    state: &mut MetadataState,
) -> Result<(), OpenError> {
    let mut records: Vec<MetadataRecord> = Vec::new();
    if state.in_transaction() {
        let reason = Some("the leader of the epoch before left it open".into());
        records.push(AbortTransactionRecord { reason }.into());
    }
    let mut version = state.image().features.metadata_version();
    if state.image().features.metadata_version.is_none() {
        let path = join(&config.metadata_log_dir, BOOTSTRAP_FILE);
        let bootstrap = match read_checkpoint(store, &path, compressors) {
            Err(OpenError::Store(path, StoreError::NotFound)) => return Err(OpenError::NoBootstrap(path)),
            other => other?.records,
        };
        let mut image = MetadataImage::default();
        for record in &bootstrap {
            image.replay(record).map_err(|error| OpenError::BadSnapshot(path.clone(), error.to_string()))?;
        }
        version = image.features.metadata_version();
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
    }
    append(store, now, log, state, version, &records)
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

/// Appends records and replays them.
pub(crate) fn append<S: LogStore>(
    store: &mut S,
    now: Now,
    log: &mut MetadataLog<S>,
    state: &mut MetadataState,
    version: crate::metadata::MetadataVersion,
    records: &[MetadataRecord],
) -> Result<(), OpenError> {
    if records.is_empty() {
        return Ok(());
    }
    log.append(store, now, version, records)?;
    for record in records {
        state.replay(record).map_err(|error| OpenError::BadRecord(error.to_string()))?;
    }
    Ok(())
}
