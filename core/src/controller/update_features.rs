//! UpdateFeatures (KIP-584, KIP-778).

use ottla_protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_protocol::messages::update_features_response::{UpdatableFeatureResult, UpdateFeaturesResponse};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{ConfigRecord, FeatureLevelRecord};
use ottla_protocol::{ErrorCode, Str};
use rpds::RedBlackTreeMapSync;

use super::ApiError;
use super::alter_configs::MIN_INSYNC_REPLICAS;
use super::cluster::Cluster;
use crate::metadata::features::{
    ELIGIBLE_LEADER_REPLICAS_VERSION, KRAFT_VERSION, METADATA_VERSION, SUPPORTED,
};
use crate::metadata::{ConfigResourceType, MetadataImage, MetadataVersion, VersionRange};

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

/// What the quorum is, as features have to do with it.
#[derive(Clone, Debug, Default)]
pub struct QuorumFacts {
    /// The level that holds.
    pub kraft_version: i16,
    /// Ids of the controllers that vote.
    pub voters: Vec<i32>,
    /// Why it cannot go over to the next `kraft.version`.
    pub upgrade_refusal: Option<String>,
}

/// What is written: records, and a `kraft.version`, which the quorum writes itself.
#[derive(Debug, Default)]
pub struct FeatureChanges {
    /// Of the metadata.
    pub records: Vec<MetadataRecord>,
    /// The level that the quorum goes over to.
    pub kraft_version: Option<i16>,
}

/// Decides whether the finalized levels change: all that are asked for, or none.
pub fn update_features(
    cluster: Cluster<'_>,
    quorum: &QuorumFacts,
    request: &UpdateFeaturesRequest,
) -> (FeatureChanges, UpdateFeaturesResponse) {
    let mut changes = FeatureChanges::default();
    let mut results = Vec::new();
    for update in &request.feature_updates {
        match update_feature(cluster, quorum, update) {
            Ok(FeatureChanges { mut records, kraft_version }) => {
                changes.records.append(&mut records);
                changes.kraft_version = changes.kraft_version.or(kraft_version);
            }
            Err(error) => {
                let reason = error.message.unwrap_or_default();
                let error_message = format!(
                    "The update failed for all features since the following feature had an error: {reason}"
                );
                let response = UpdateFeaturesResponse {
                    error_code: error.code.code(),
                    error_message: Some(error_message.into()),
                    ..UpdateFeaturesResponse::default()
                };
                return (FeatureChanges::default(), response);
            }
        }
        results.push(UpdatableFeatureResult {
            feature: update.feature.clone(),
            error_code: 0,
            error_message: Some("NONE".into()),
        });
    }
    if request.validate_only {
        changes = FeatureChanges::default();
    }
    (changes, UpdateFeaturesResponse { throttle_time_ms: 0, error_code: 0, error_message: None, results })
}

fn update_feature(
    cluster: Cluster<'_>,
    quorum: &QuorumFacts,
    update: &FeatureUpdateKey,
) -> Result<FeatureChanges, ApiError> {
    let (image, node_id) = (cluster.image, cluster.config.node_id);
    let (name, level) = (&update.feature, update.max_version_level);
    let refuse = |reason: String| {
        let sentence = format!("Invalid update version {level} for feature {name}. {reason}");
        Err(ApiError::new(ErrorCode::InvalidUpdateVersion, sentence))
    };
    // The flag that version 0 has in place of the type allows nothing, as in Kafka.
    let upgrade_type = match update.upgrade_type {
        UPGRADE | SAFE_DOWNGRADE | UNSAFE_DOWNGRADE => update.upgrade_type,
        _ => return refuse("The controller does not support the given upgrade type.".to_owned()),
    };
    let current = match &**name {
        KRAFT_VERSION => quorum.kraft_version,
        name => image.features.level(name),
    };
    if level < 0 {
        return refuse("A feature version cannot be less than 0.".to_owned());
    }
    match range(name) {
        None if level > 0 || upgrade_type == UPGRADE => {
            return refuse(format!("Local controller {node_id} does not support this feature."));
        }
        Some((min, max)) if !(min..=max).contains(&level) => {
            return refuse(format!("Local controller {node_id} only supports versions {min}-{max}"));
        }
        _ => {}
    }
    if let Some(reason) = unsupported(image, node_id, &quorum.voters, name, level) {
        return refuse(reason);
    }
    if level < current && upgrade_type == UPGRADE {
        return refuse(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade."
                .to_owned(),
        );
    }
    if level < current && **name == *KRAFT_VERSION {
        return refuse("Can't downgrade the version of this feature.".to_owned());
    }
    if level < current && **name == *METADATA_VERSION {
        check_downgrade(current, level, upgrade_type)?;
    }
    if level == current {
        return Ok(FeatureChanges::default());
    }
    if **name == *KRAFT_VERSION {
        return match &quorum.upgrade_refusal {
            Some(refusal) => Err(ApiError::new(ErrorCode::InvalidUpdateVersion, refusal.clone())),
            None => Ok(FeatureChanges { records: Vec::new(), kraft_version: Some(level) }),
        };
    }
    let mut records = Vec::new();
    if **name == *ELIGIBLE_LEADER_REPLICAS_VERSION && level > 0 {
        records = min_isr_of_the_cluster(cluster);
    }
    records.push(FeatureLevelRecord { name: name.detached(), feature_level: level }.into());
    Ok(FeatureChanges { records, kraft_version: None })
}

/// Why another node of the cluster could not run with a level: a feature that a node does not name it has at 0 only.
fn unsupported(
    image: &MetadataImage,
    node_id: i32,
    voters: &[i32],
    name: &Str,
    level: i16,
) -> Option<String> {
    let reason = |node: String, features: &RedBlackTreeMapSync<Str, VersionRange>| {
        let VersionRange { min, max } =
            features.get(name).copied().unwrap_or(VersionRange { min: 0, max: 0 });
        match max {
            _ if (min..=max).contains(&level) => None,
            0 => Some(format!("{node} does not support this feature.")),
            _ if min == max => Some(format!("{node} only supports versions {min}")),
            _ => Some(format!("{node} only supports versions {min}-{max}")),
        }
    };
    let by_broker = image.brokers().find_map(|one| reason(format!("Broker {}", one.id), &one.features));
    if by_broker.is_some() || !image.features.metadata_version().has_controller_registrations() {
        return by_broker;
    }
    let others = || image.controllers().filter(|controller| controller.id != node_id);
    let by_controller = others().find_map(|one| reason(format!("Controller {}", one.id), &one.features));
    let is_known = |voter: &i32| *voter == node_id || others().any(|controller| controller.id == *voter);
    let stranger = || voters.iter().find(|voter| !is_known(voter));
    by_controller.or_else(|| {
        let sentence =
            |voter| format!("controller {voter} has not registered, and may not support this feature");
        stranger().map(sentence)
    })
}

/// With eligible leader replicas, `min.insync.replicas` has one value for all brokers (KIP-966).
fn min_isr_of_the_cluster(cluster: Cluster<'_>) -> Vec<MetadataRecord> {
    let (image, kind) = (cluster.image, ConfigResourceType::Broker.code());
    let of = |resource_name: &Str, value: Option<Str>| {
        let (resource_name, name) = (resource_name.clone(), MIN_INSYNC_REPLICAS.into());
        ConfigRecord { resource_type: kind, resource_name, name, value }.into()
    };
    let set = image
        .configs
        .resources
        .iter()
        .filter(|(resource, configs)| resource.kind == kind && configs.contains_key(MIN_INSYNC_REPLICAS));
    let (for_all, for_one): (Vec<_>, Vec<_>) = set.partition(|(resource, _)| resource.name.is_empty());
    let mut records = Vec::new();
    if for_all.is_empty() {
        let value = cluster.config.min_insync_replicas.to_string();
        records.push(of(&Str::default(), Some(value.into())));
    }
    records.extend(for_one.into_iter().map(|(resource, _)| of(&resource.name, None)));
    records
}

fn range(name: &Str) -> Option<(i16, i16)> {
    if **name == *METADATA_VERSION {
        return Some((MetadataVersion::MINIMUM.level(), MetadataVersion::LATEST.level()));
    }
    SUPPORTED.iter().find(|(supported, ..)| **name == **supported).map(|(_, min, max)| (*min, *max))
}

/// A downgrade is safe when no level on the way down takes something from the metadata.
fn check_downgrade(from: i16, to: i16, upgrade_type: i8) -> Result<(), ApiError> {
    /// Levels that brought new records or fields.
    const CHANGED_METADATA: [i16; 8] = [8, 11, 13, 14, 15, 17, 23, 30];
    if !CHANGED_METADATA.iter().any(|level| (to..from).contains(&(level - 1))) {
        return Ok(());
    }
    let reason = if upgrade_type == UNSAFE_DOWNGRADE {
        "Unsafe metadata downgrade is not supported in this version."
    } else {
        "Refusing to perform the requested downgrade because it might delete metadata information."
    };
    let sentence = format!("Unsupported metadata.version downgrade from {from} to {to}. {reason}");
    Err(ApiError::new(ErrorCode::InvalidUpdateVersion, sentence))
}
