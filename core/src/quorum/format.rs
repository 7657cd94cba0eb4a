//! Formatting: `meta.properties` in every log directory, `bootstrap.checkpoint`, and the snapshot that names the voter (KIP-853, what Kafka's
//! storage tool does with `--standalone`).

use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::FeatureLevelRecord;
use ottla_protocol::{Str, Uuid};

use super::checkpoint::{Checkpoint, SnapshotId};
use super::control::{KRAFT_VERSIONS, Voter};
use super::{ToSync, join, log_dirs, metadata_dir};
use crate::config::BrokerConfig;
use crate::log::meta_properties::{META_PROPERTIES, MetaProperties};
use crate::log::{LogStore, StoreError};
use crate::metadata::MetadataVersion;
use crate::metadata::features::{
    ELIGIBLE_LEADER_REPLICAS_VERSION, KNOWN, KRAFT_VERSION, METADATA_VERSION, SUPPORTED,
};
use crate::rng::Rng;
use crate::time::Now;

/// The bootstrap snapshot in `metadata.log.dir`.
pub const BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";

/// What a format is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatOptions {
    /// `--cluster-id`; drawn at random without one.
    pub cluster_id: Option<String>,
    /// `--release-version`.
    pub metadata_version: MetadataVersion,
    /// `--feature name=level`, over the defaults.
    pub features: Vec<(String, i16)>,
    /// Who votes first.
    pub voters: FirstVoters,
    /// `--ignore-formatted`: directories that are formatted already are left alone.
    pub ignore_formatted: bool,
}

impl Default for FormatOptions {
    fn default() -> Self {
        Self {
            cluster_id: None,
            metadata_version: MetadataVersion::LATEST,
            features: Vec::new(),
            voters: FirstVoters::default(),
            ignore_formatted: false,
        }
    }
}

/// Who votes in a quorum before it has a leader (KIP-853).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FirstVoters {
    /// Those of `controller.quorum.voters` if it names any, else the node alone.
    #[default]
    Configured,
    /// `--standalone`: the node alone.
    Standalone,
    /// `--initial-controllers`.
    Initial(Vec<Voter>),
    /// `--no-initial-controllers`: the node learns from others.
    Unknown,
}

/// What a format did.
#[derive(Clone, Debug)]
pub struct Formatted<F> {
    /// The id of the cluster.
    pub cluster_id: String,
    /// The directories that were formatted, with their ids.
    pub directories: Vec<(String, Uuid)>,
    /// What has to be synced before anything relies on it.
    pub sync: ToSync<F>,
}

/// Why nothing, or not everything, was formatted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It holds a `meta.properties`.
    AlreadyFormatted(String),
    /// No such feature.
    UnknownFeature(String),
    /// A level that this build does not support.
    UnsupportedLevel(String, i16),
    /// A level that there is not.
    UnknownLevel(String, i16),
    /// A directory is of another cluster: its file, the id that was given, its own.
    OtherCluster(String, String, String),
    /// The first voters do not name this node.
    NotAmongVoters(i32),
    /// It is written into `meta.properties`, a line each.
    BadClusterId(String),
    /// Storage failed.
    Store(String, StoreError),
}

impl std::fmt::Display for FormatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AlreadyFormatted(directory) => {
                write!(f, "The log directory {directory} is formatted already.")
            }
            Self::UnknownFeature(name) => {
                let known = KNOWN.iter().map(|(name, _)| *name).filter(|name| *name != METADATA_VERSION);
                let known = known.collect::<Vec<_>>().join(", ");
                write!(f, "Unsupported feature: {name}. Supported features are: {known}")
            }
            Self::UnsupportedLevel(name, level) => write!(f, "This build does not support {name}={level}."),
            Self::UnknownLevel(name, level) => write!(f, "No feature:{name} with feature level {level}"),
            Self::OtherCluster(path, expected, read) => {
                write!(f, "Invalid cluster.id in: {path}. Expected {expected}, but read {read}")
            }
            Self::NotAmongVoters(id) => {
                write!(f, "--initial-controllers does not name this node, whose node.id is {id}.")
            }
            Self::BadClusterId(id) => write!(f, "{id:?} cannot be a cluster id."),
            Self::Store(path, error) => write!(f, "{path}: {error}"),
        }
    }
}

impl std::error::Error for FormatError {}

/// Formats every log directory of a node.
pub fn format<S: LogStore>(
    store: &mut S,
    now: Now,
    rng: &mut Rng,
    config: &BrokerConfig,
    options: &FormatOptions,
) -> Result<Formatted<S::File>, FormatError> {
    let is_static = options.voters == FirstVoters::Configured && !static_voters(config).is_empty();
    let (kraft_version, records) = bootstrap_records(options, i16::from(!is_static))?;
    let own_id = match &options.voters {
        FirstVoters::Initial(voters) => {
            let own = voters.iter().find(|voter| voter.id == config.node_id);
            Some(own.map(|voter| voter.directory_id).ok_or(FormatError::NotAmongVoters(config.node_id))?)
        }
        _ => None,
    };
    let cluster_id = options.cluster_id.clone().unwrap_or_else(|| rng.uuid().to_string());
    if cluster_id.trim() != cluster_id || cluster_id.is_empty() || cluster_id.contains(char::is_control) {
        return Err(FormatError::BadClusterId(cluster_id));
    }
    let mut formatted =
        Formatted { cluster_id: cluster_id.clone(), directories: Vec::new(), sync: ToSync::default() };
    for directory in log_dirs(config) {
        let path = join(&directory, META_PROPERTIES);
        match store.open(&path) {
            Ok(_) => {
                let meta = MetaProperties::read(store, &directory).ok().flatten();
                let other = meta.map(|meta| meta.cluster_id).filter(|read| *read != cluster_id);
                if let (Some(read), true) = (other, options.cluster_id.is_some()) {
                    return Err(FormatError::OtherCluster(path, cluster_id, read));
                }
                if options.ignore_formatted {
                    continue;
                }
                return Err(FormatError::AlreadyFormatted(directory));
            }
            Err(StoreError::NotFound) => {}
            Err(error) => return Err(FormatError::Store(path, error)),
        }
        let own_id = own_id.filter(|_| directory == config.metadata_log_dir);
        formatted.directories.push((directory, own_id.unwrap_or_else(|| rng.uuid())));
    }
    // meta.properties comes last: it is what says that a directory is formatted.
    let mut write = |directory: &str, name: &str, bytes: &[u8]| {
        let path = join(directory, name);
        let failed = |error| FormatError::Store(path.clone(), error);
        store.create_dir(directory).map_err(failed)?;
        store.write_replacing(&path, bytes).map_err(failed)?;
        formatted.sync.files.push(store.open(&path).map_err(failed)?);
        formatted.sync.directories.push(directory.to_owned());
        Ok(())
    };
    let bootstrap = Checkpoint { records, ..Checkpoint::default() };
    let bootstrap = bootstrap.encode(0, options.metadata_version, now.wall);
    for (directory, directory_id) in &formatted.directories {
        write(directory, BOOTSTRAP_FILE, &bootstrap)?;
        let voters = match &options.voters {
            FirstVoters::Configured | FirstVoters::Standalone => Some(vec![own_voter(config, *directory_id)]),
            FirstVoters::Initial(voters) => Some(voters.clone()),
            FirstVoters::Unknown => None,
        };
        let is_wanted = kraft_version > 0 && *directory == config.metadata_log_dir;
        if let Some(voters) = voters.filter(|_| is_wanted) {
            let voters = Checkpoint {
                last_contained_log_timestamp: now.wall,
                kraft_version: Some(kraft_version),
                voters: Some(voters),
                records: Vec::new(),
            };
            let name = SnapshotId::default().file_name();
            write(&metadata_dir(config), &name, &voters.encode(0, options.metadata_version, now.wall))?;
        }
    }
    for (directory, directory_id) in &formatted.directories {
        let properties = MetaProperties {
            cluster_id: cluster_id.clone(),
            node_id: config.node_id,
            directory_id: Some(*directory_id),
        };
        write(directory, META_PROPERTIES, properties.to_text().as_bytes())?;
    }
    Ok(formatted)
}

/// The levels that a new cluster begins with, and `kraft.version`, which is not among them.
fn bootstrap_records(
    options: &FormatOptions,
    default_kraft_version: i16,
) -> Result<(i16, Vec<MetadataRecord>), FormatError> {
    let mut version = options.metadata_version;
    let mut levels: Vec<(String, i16)> = Vec::new();
    if version >= MetadataVersion::ELR {
        levels.push((ELIGIBLE_LEADER_REPLICAS_VERSION.to_owned(), 1));
    }
    let mut kraft_version = default_kraft_version;
    for (name, level) in &options.features {
        let unsupported = || match KNOWN.iter().find(|(known, _)| known == name) {
            Some((_, highest)) if !(0..=*highest).contains(level) => {
                FormatError::UnknownLevel(name.clone(), *level)
            }
            _ => FormatError::UnsupportedLevel(name.clone(), *level),
        };
        if name == METADATA_VERSION {
            version = MetadataVersion::from_level(*level).ok_or_else(unsupported)?;
            continue;
        }
        if !KNOWN.iter().any(|(known, _)| known == name) {
            return Err(FormatError::UnknownFeature(name.clone()));
        }
        let supported = SUPPORTED.iter().find(|(supported, ..)| supported == name);
        if !supported.map_or(*level == 0, |(_, min, max)| (*min..=*max).contains(level)) {
            return Err(unsupported());
        }
        if name == KRAFT_VERSION {
            kraft_version = *level;
            continue;
        }
        levels.retain(|(other, _)| other != name);
        levels.push((name.clone(), *level));
    }
    levels.retain(|(_, level)| *level > 0);
    levels.sort_unstable();
    levels.insert(0, (METADATA_VERSION.to_owned(), version.level()));
    let record =
        |(name, feature_level): (String, i16)| FeatureLevelRecord { name: name.into(), feature_level }.into();
    Ok((kraft_version, levels.into_iter().map(record).collect()))
}

/// The voters of `controller.quorum.voters`, `id@host:port` each.
pub(super) fn static_voters(config: &BrokerConfig) -> Vec<Voter> {
    let voters = config.settings.text("controller.quorum.voters").unwrap_or_default();
    let listener = Str::from(config.controller_listener_names.first().map_or("CONTROLLER", String::as_str));
    let parse = |voter: &str| {
        let (id, address) = voter.split_once('@')?;
        let (host, port) = host_and_port(address)?;
        Some(Voter {
            id: id.trim().parse().ok()?,
            directory_id: Uuid::ZERO,
            endpoints: vec![(listener.clone(), host, port)],
            kraft_versions: KRAFT_VERSIONS,
        })
    };
    voters.split(',').filter_map(parse).collect()
}

/// The controllers of `controller.quorum.bootstrap.servers`.
pub(super) fn bootstrap_servers(config: &BrokerConfig) -> Vec<(Str, u16)> {
    let servers = config.settings.text("controller.quorum.bootstrap.servers").unwrap_or_default();
    servers.split(',').filter_map(host_and_port).collect()
}

/// Reads `host:port`; an IPv6 address stands in brackets.
fn host_and_port(text: &str) -> Option<(Str, u16)> {
    let (host, port) = text.trim().rsplit_once(':')?;
    Some((host.trim_start_matches('[').trim_end_matches(']').into(), port.parse().ok()?))
}

/// Reads a voter of `--initial-controllers`: `id@host:port:directory id`.
pub fn initial_voter(config: &BrokerConfig, text: &str) -> Option<Voter> {
    let (id, rest) = text.trim().split_once('@')?;
    let (address, directory_id) = rest.rsplit_once(':')?;
    let (host, port) = host_and_port(address)?;
    let listener = config.controller_listener_names.first().map_or("CONTROLLER", String::as_str);
    Some(Voter {
        id: id.parse().ok()?,
        directory_id: directory_id.parse().ok()?,
        endpoints: vec![(listener.into(), host, port)],
        kraft_versions: KRAFT_VERSIONS,
    })
}

/// Where other controllers would find this one. A node without a controller listener states the default port.
pub(super) fn own_voter(config: &BrokerConfig, directory_id: Uuid) -> Voter {
    let endpoints = controller_endpoints(config);
    Voter { id: config.node_id, directory_id, endpoints, kraft_versions: KRAFT_VERSIONS }
}

/// Name, host and port of each controller listener.
pub(crate) fn controller_endpoints(config: &BrokerConfig) -> Vec<(Str, Str, u16)> {
    const CONTROLLER_PORT: u16 = 9093;
    let host = |host: &str| Str::from(if host.is_empty() { "localhost" } else { host });
    let names = &config.controller_listener_names;
    let listeners = config.advertised_controller_listeners.iter();
    let mut endpoints: Vec<_> =
        listeners.map(|listener| (Str::from(&listener.name), host(&listener.host), listener.port)).collect();
    if endpoints.is_empty() {
        let name = names.first().map_or("CONTROLLER", String::as_str);
        let own = config.advertised_listeners.first().map_or("", |listener| listener.host.as_str());
        endpoints.push((Str::from(name), host(own), CONTROLLER_PORT));
    }
    endpoints
}
