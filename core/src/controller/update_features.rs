//! UpdateFeatures (KIP-584, KIP-778).

use ottla_protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_protocol::messages::update_features_response::{UpdatableFeatureResult, UpdateFeaturesResponse};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::FeatureLevelRecord;
use ottla_protocol::{ErrorCode, Str};

use super::ApiError;
use crate::metadata::features::{KRAFT_VERSION, METADATA_VERSION, SUPPORTED};
use crate::metadata::{MetadataImage, MetadataVersion};

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

/// Decides whether the finalized levels change: all that are asked for, or none.
pub fn update_features(
    image: &MetadataImage,
    node_id: i32,
    kraft_version: i16,
    request: &UpdateFeaturesRequest,
) -> (Vec<MetadataRecord>, UpdateFeaturesResponse) {
    let mut records = Vec::new();
    let mut results = Vec::new();
    for update in &request.feature_updates {
        match update_feature(image, node_id, kraft_version, update) {
            Ok(record) => records.extend(record),
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
                return (Vec::new(), response);
            }
        }
        results.push(UpdatableFeatureResult {
            feature: update.feature.clone(),
            error_code: 0,
            error_message: Some("NONE".into()),
        });
    }
    if request.validate_only {
        records.clear();
    }
    (records, UpdateFeaturesResponse { throttle_time_ms: 0, error_code: 0, error_message: None, results })
}

fn update_feature(
    image: &MetadataImage,
    node_id: i32,
    kraft_version: i16,
    update: &FeatureUpdateKey,
) -> Result<Option<MetadataRecord>, ApiError> {
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
        KRAFT_VERSION => kraft_version,
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
        return Ok(None);
    }
    if **name == *KRAFT_VERSION {
        return refuse("This build does not change the version of a quorum that is running.".to_owned());
    }
    Ok(Some(FeatureLevelRecord { name: name.detached(), feature_level: level }.into()))
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
