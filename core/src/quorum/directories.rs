//! The directories of a node: whose they are, and which.

use ottla_protocol::Uuid;

use super::format::{FormatOptions, format, static_voters};
use super::open::OpenError;
use super::{ToSync, join, log_dirs};
use crate::config::BrokerConfig;
use crate::log::meta_properties::{META_PROPERTIES, MetaProperties};
use crate::log::{LogStore, StoreError};
use crate::rng::Rng;
use crate::small_map::SmallMap;
use crate::time::Now;

/// What `meta.properties` say.
#[derive(Debug)]
pub(super) struct Directories<F> {
    /// Of the cluster.
    pub cluster_id: String,
    /// Ids by directory; those that are offline are missing.
    pub ids: SmallMap<String, Uuid>,
    /// What was written and is to be synced before anything is promised.
    pub sync: ToSync<F>,
}

/// Reads `meta.properties` everywhere, formats a node without any, and gives directories that came later, or from before
/// they had ids, an id.
pub(super) fn open<S: LogStore>(
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
        let may_be_alone = config.process_roles.broker && config.process_roles.controller;
        if !may_be_alone || static_voters(config).len() > 1 {
            return Err(OpenError::FormatFirst(config.metadata_log_dir.clone()));
        }
        let formatted =
            format(store, now, rng, config, &FormatOptions::default()).map_err(OpenError::Format)?;
        let ids = formatted.directories.into_iter().collect();
        return Ok(Directories { cluster_id: formatted.cluster_id, ids, sync: formatted.sync });
    };
    let (mut ids, mut sync) = (SmallMap::new(), ToSync::default());
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
        ids.insert(directory, directory_id);
    }
    Ok(Directories { cluster_id, ids, sync })
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
