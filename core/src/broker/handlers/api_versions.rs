//! ApiVersions: what this broker speaks (KIP-35, 511, 584).

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::api_versions_request::ApiVersionsRequest;
use ottla_protocol::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use super::{Env, Handled, Outcome};
use crate::broker::api::Supported;
use crate::broker::request::Request;
use crate::log::LogStore;
use crate::metadata::features::{KRAFT_VERSION, METADATA_VERSION, SUPPORTED as SUPPORTED_FEATURES};
use crate::metadata::{MetadataVersion, Published};

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: ApiVersionsRequest = request.decode(body)?;
    let named = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.ends_with(|last: char| last.is_ascii_alphanumeric())
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '.' || letter == '-')
    };
    if request.version >= 3 && !(named(&asked.client_software_name) && named(&asked.client_software_version))
    {
        let response = ApiVersionsResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            ..ApiVersionsResponse::default()
        };
        return Ok(Outcome::Reply(request.respond(&response, [])));
    }
    Ok(Outcome::Reply(request.respond(&describe(env.apis, env.published, request.version), [])))
}

/// The answer to a version that is not spoken: version 0, an error, and the versions that are.
pub fn refuse_version<S: LogStore>(apis: &[Supported], request: &Request) -> Handled<S> {
    let only = apis.iter().filter(|api| api.key == request.api).map(entry).collect();
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: only,
        ..ApiVersionsResponse::default()
    };
    Ok(Outcome::Reply(request.respond(&response, [])))
}

fn entry(api: &Supported) -> ApiVersion {
    ApiVersion { api_key: api.key.key(), min_version: api.min, max_version: api.max }
}

fn describe(apis: &[Supported], published: &Published, version: i16) -> ApiVersionsResponse {
    // Up to version 3 a feature whose range starts at 0 cannot be told (KIP-1022).
    let tellable = |min: i16| version >= 4 || min > 0;
    let metadata_version =
        (METADATA_VERSION, MetadataVersion::MINIMUM.level(), MetadataVersion::LATEST.level());
    // The quorum's own feature is not in the image.
    let finalized = published
        .image
        .features()
        .iter()
        .into_iter()
        .chain([(KRAFT_VERSION.into(), published.kraft_version)]);
    let supported = SUPPORTED_FEATURES.into_iter().chain([metadata_version]);
    ApiVersionsResponse {
        api_keys: apis.iter().map(entry).collect(),
        supported_features: supported
            .filter(|(_, min, _)| tellable(*min))
            .map(|(name, min_version, max_version)| SupportedFeatureKey {
                name: name.into(),
                min_version,
                max_version,
            })
            .collect(),
        finalized_features_epoch: published.offset,
        finalized_features: finalized
            .filter(|(_, level)| *level > 0)
            .map(|(name, level)| FinalizedFeatureKey {
                name,
                max_version_level: level,
                min_version_level: level,
            })
            .collect(),
        ..ApiVersionsResponse::default()
    }
}
