//! DescribeClientQuotas: the limits of clients that a filter lets through (KIP-546).

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::messages::describe_client_quotas_request::{ComponentData, DescribeClientQuotasRequest};
use ottla_protocol::messages::describe_client_quotas_response::{
    DescribeClientQuotasResponse, EntityData, EntryData, ValueData,
};
use ottla_protocol::{ErrorCode, Str};

use super::{Env, Handled, Outcome};
use crate::broker::request::Request;
use crate::controller::ApiError;
use crate::log::LogStore;
use crate::metadata::quotas::QuotaEntity;

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

/// What is asked of one part of an entity.
#[derive(Debug)]
enum Wanted {
    /// This name; `None` for the default.
    Exactly(Option<Str>),
    /// That there is one.
    Any,
}

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: DescribeClientQuotasRequest = request.decode(body)?;
    let response = match filter(&asked.components) {
        Ok(filter) => {
            let entities = env.image().client_quotas.entities.iter();
            let found = entities.filter(|(entity, _)| matches(entity, &filter, asked.strict));
            let entry = |(entity, quotas): (&QuotaEntity, &_)| EntryData {
                entity: entity
                    .iter()
                    .map(|(kind, name)| EntityData { entity_type: kind.clone(), entity_name: name.clone() })
                    .collect(),
                values: values(quotas),
            };
            DescribeClientQuotasResponse {
                entries: Some(found.map(entry).collect()),
                ..DescribeClientQuotasResponse::default()
            }
        }
        Err(ApiError { code, message }) => DescribeClientQuotasResponse {
            error_code: code.code(),
            error_message: message,
            entries: None,
            ..DescribeClientQuotasResponse::default()
        },
    };
    Ok(Outcome::Reply(request.respond(&response, [])))
}

fn values(quotas: &rpds::RedBlackTreeMapSync<Str, f64>) -> Vec<ValueData> {
    quotas.iter().map(|(key, value)| ValueData { key: key.clone(), value: *value }).collect()
}

fn filter(components: &[ComponentData]) -> Result<BTreeMap<Str, Wanted>, ApiError> {
    let invalid = |sentence: String| ApiError::new(ErrorCode::InvalidRequest, sentence);
    let mut filter = BTreeMap::new();
    for ComponentData { entity_type, match_type, match_: name } in components {
        if entity_type.is_empty() {
            return Err(invalid("Invalid empty entity type.".to_owned()));
        }
        if filter.contains_key(entity_type) {
            let sentence = format!("Entity type {entity_type} cannot appear more than once in the filter.");
            return Err(invalid(sentence));
        }
        if ![USER, CLIENT_ID, IP].contains(&&**entity_type) {
            let sentence = format!("Unsupported entity type {entity_type}");
            return Err(ApiError::new(ErrorCode::UnsupportedVersion, sentence));
        }
        let named = |kind| format!("Request specified MATCH_TYPE_{kind}, but also specified a match string.");
        let wanted = match (match_type, name) {
            (0, Some(name)) => Wanted::Exactly(Some(name.clone())),
            (0, None) => {
                let sentence = "Request specified MATCH_TYPE_EXACT, but set match string to null.";
                return Err(invalid(sentence.to_owned()));
            }
            (1, None) => Wanted::Exactly(None),
            (1, Some(_)) => return Err(invalid(named("DEFAULT"))),
            (2, None) => Wanted::Any,
            (2, Some(_)) => return Err(invalid(named("SPECIFIED"))),
            (unknown, _) => return Err(invalid(format!("Unknown match type {unknown}"))),
        };
        filter.insert(entity_type.clone(), wanted);
    }
    if filter.contains_key(IP) && filter.len() > 1 {
        return Err(invalid(
            "Invalid entity filter component combination. IP filter component should not be used with user or \
             clientId filter component."
                .to_owned(),
        ));
    }
    Ok(filter)
}

fn matches(entity: &QuotaEntity, filter: &BTreeMap<Str, Wanted>, strict: bool) -> bool {
    if strict && entity.len() != filter.len() {
        return false;
    }
    filter.iter().all(|(kind, wanted)| match (entity.get(kind), wanted) {
        (Some(name), Wanted::Exactly(wanted)) => name == wanted,
        (Some(_), Wanted::Any) => true,
        (None, _) => false,
    })
}
