//! ControllerRegistration (KIP-919).

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::controller_registration_request::ControllerRegistrationRequest;
use ottla_protocol::messages::controller_registration_response::ControllerRegistrationResponse;
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{RegisterControllerRecord, register_controller_record};

use super::ApiError;
use crate::metadata::MetadataImage;

/// Notes where a controller listens and what it supports.
pub fn controller_registration(
    image: &MetadataImage,
    request: &ControllerRegistrationRequest,
) -> (Vec<MetadataRecord>, ControllerRegistrationResponse) {
    if !image.features.metadata_version().has_controller_registrations() {
        let (error_code, error_message) = ApiError::split(Err(ApiError::new(
            ErrorCode::UnsupportedVersion,
            "The current MetadataVersion is too old to support controller registrations.",
        )));
        return (
            Vec::new(),
            ControllerRegistrationResponse { throttle_time_ms: 0, error_code, error_message },
        );
    }
    let end_points =
        request.listeners.iter().map(|listener| register_controller_record::ControllerEndpoint {
            name: listener.name.detached(),
            host: listener.host.detached(),
            port: listener.port,
            security_protocol: listener.security_protocol,
        });
    let features = request.features.iter().map(|feature| register_controller_record::ControllerFeature {
        name: feature.name.detached(),
        min_supported_version: feature.min_supported_version,
        max_supported_version: feature.max_supported_version,
    });
    let record = RegisterControllerRecord {
        controller_id: request.controller_id,
        incarnation_id: request.incarnation_id,
        zk_migration_ready: false,
        end_points: end_points.collect(),
        features: features.collect(),
    };
    let response = ControllerRegistrationResponse { throttle_time_ms: 0, error_code: 0, error_message: None };
    (vec![record.into()], response)
}
