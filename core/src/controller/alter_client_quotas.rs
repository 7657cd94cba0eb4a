//! AlterClientQuotas (KIP-546).

use core::net::IpAddr;
use std::collections::BTreeMap;

use ottla_protocol::messages::alter_client_quotas_request::{AlterClientQuotasRequest, OpData};
use ottla_protocol::messages::alter_client_quotas_response::{
    self, AlterClientQuotasResponse, EntryData as Altered,
};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{ClientQuotaRecord, client_quota_record};
use ottla_protocol::{ErrorCode, Str};

use super::ApiError;
use crate::config::{self, ConfigType, Scope};
use crate::metadata::MetadataImage;
use crate::metadata::quotas::QuotaEntity;
use crate::tree::IntoTree as _;

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

/// Decides which limits change. An entity that is named again is refused, but what was said of it first holds, as in Kafka.
pub fn alter_client_quotas(
    image: &MetadataImage,
    request: &AlterClientQuotasRequest,
) -> (Vec<MetadataRecord>, AlterClientQuotasResponse) {
    let mut records = Vec::new();
    let mut outcomes: Vec<(QuotaEntity, Result<(), ApiError>)> = Vec::new();
    for entry in &request.entries {
        let entity: QuotaEntity = entry
            .entity
            .iter()
            .map(|part| (part.entity_type.detached(), part.entity_name.as_ref().map(Str::detached)))
            .into_map();
        let known = outcomes.iter_mut().find(|(other, _)| *other == entity);
        let ops: BTreeMap<&Str, &OpData> = entry.ops.iter().map(|op| (&op.key, op)).into_map();
        if known.is_some() || ops.len() < entry.ops.len() {
            let refused = Err(invalid(format!("Ignoring duplicate entity {}", shown(&entity))));
            match known {
                Some((_, outcome)) => *outcome = refused,
                None => outcomes.push((entity, refused)),
            }
            continue;
        }
        let outcome = alter(image, &entity, &ops).map(|mut written| records.append(&mut written));
        outcomes.push((entity, outcome));
    }
    if request.validate_only {
        records.clear();
    }
    let entries = outcomes.into_iter().map(|(entity, outcome)| {
        let (error_code, error_message) = ApiError::split(outcome);
        let part = |(entity_type, entity_name)| alter_client_quotas_response::EntityData {
            entity_type,
            entity_name,
        };
        Altered { error_code, error_message, entity: entity.into_iter().map(part).collect() }
    });
    (records, AlterClientQuotasResponse { throttle_time_ms: 0, entries: entries.collect() })
}

fn alter(
    image: &MetadataImage,
    entity: &QuotaEntity,
    ops: &BTreeMap<&Str, &OpData>,
) -> Result<Vec<MetadataRecord>, ApiError> {
    let scope = check_entity(entity)?;
    let current = image.client_quotas.entities.get(entity);
    let record = |key: &Str, value: f64, remove: bool| {
        let part = |(entity_type, entity_name): (&Str, &Option<Str>)| client_quota_record::EntityData {
            entity_type: entity_type.clone(),
            entity_name: entity_name.clone(),
        };
        let entity = entity.iter().map(part).collect();
        ClientQuotaRecord { entity, key: key.detached(), value, remove }.into()
    };
    let mut records = Vec::new();
    for (key, op) in ops {
        let before = current.and_then(|quotas| quotas.get(*key)).copied();
        if op.remove {
            records.extend(before.map(|_| record(key, 0.0, true)));
            continue;
        }
        check_value(scope, key, op.value)?;
        if before != Some(op.value) {
            records.push(record(key, op.value, false));
        }
    }
    Ok(records)
}

/// The keys that an entity may have limits for.
fn check_entity(entity: &QuotaEntity) -> Result<Scope, ApiError> {
    for (kind, name) in entity {
        if ![USER, CLIENT_ID, IP].contains(&&**kind) {
            return Err(invalid(format!("Unhandled client quota entity type: {kind}")));
        }
        if name.as_deref() == Some("") {
            return Err(invalid(format!("Empty {kind} not supported")));
        }
    }
    match entity.get(IP) {
        None if entity.is_empty() => Err(invalid("Invalid empty client quota entity".to_owned())),
        None => Ok(Scope::ClientQuota),
        Some(_) if entity.len() > 1 => Err(invalid(
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"
                .to_owned(),
        )),
        // Kafka would ask its resolver for a name; there is none in here, where addresses are all that is known of networks.
        Some(Some(address)) if address.parse::<IpAddr>().is_err() => {
            Err(invalid(format!("{address} is not a valid IP or resolvable host.")))
        }
        Some(_) => Ok(Scope::IpQuota),
    }
}

fn check_value(scope: Scope, key: &Str, value: f64) -> Result<(), ApiError> {
    let Some(known) = config::key(scope, key) else {
        return Err(invalid(format!("Invalid configuration key {key}")));
    };
    if value <= 0.0 {
        return Err(invalid(format!("Quota {key} must be greater than 0")));
    }
    let (most, name) = match known.config_type {
        ConfigType::Int => (f64::from(i32::MAX), "an INT"),
        ConfigType::Long => (i64::MAX as f64, "a LONG"),
        _ => return Ok(()),
    };
    if value > most {
        return Err(invalid(format!("Proposed value for {key} is too large for {name}.")));
    }
    if (value % 1.0).abs() > 1e-6 {
        return Err(invalid(format!("{key} cannot be a fractional value.")));
    }
    Ok(())
}

fn invalid(sentence: String) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, sentence)
}

/// As Kafka prints an entity.
fn shown(entity: &QuotaEntity) -> String {
    let part = |(kind, name): (&Str, &Option<Str>)| format!("{kind}={}", name.as_deref().unwrap_or("null"));
    let parts: Vec<String> = entity.iter().map(part).collect();
    format!("ClientQuotaEntity(entries={{{}}})", parts.join(", "))
}
