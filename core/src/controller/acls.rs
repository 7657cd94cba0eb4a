//! CreateAcls and DeleteAcls (KIP-140, KIP-290, KIP-801). Whether anybody obeys them is the brokers' business.

use std::collections::BTreeSet;

use ottla_protocol::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use ottla_protocol::messages::create_acls_response::{AclCreationResult, CreateAclsResponse};
use ottla_protocol::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use ottla_protocol::messages::delete_acls_response::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsResponse,
};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::RemoveAccessControlEntryRecord;
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::ApiError;
use crate::metadata::MetadataImage;
use crate::metadata::acls::Acl;
use crate::rng::Rng;

/// Kafka's names of the numbers in entries and filters, from 0; a number without a name is the first.
const RESOURCE_TYPES: [&str; 8] =
    ["UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"];
const PATTERN_TYPES: [&str; 5] = ["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"];
const OPERATIONS: [&str; 16] = [
    "UNKNOWN",
    "ANY",
    "ALL",
    "READ",
    "WRITE",
    "CREATE",
    "DELETE",
    "ALTER",
    "DESCRIBE",
    "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS",
    "ALTER_CONFIGS",
    "IDEMPOTENT_WRITE",
    "CREATE_TOKENS",
    "DESCRIBE_TOKENS",
    "TWO_PHASE_COMMIT",
];
const PERMISSION_TYPES: [&str; 4] = ["UNKNOWN", "ANY", "DENY", "ALLOW"];

const UNKNOWN: i8 = 0;
const ANY: i8 = 1;
const MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const CLUSTER: i8 = 4;
const CLUSTER_NAME: &str = "kafka-cluster";
const WILDCARD: &str = "*";

/// Adds the entries that are not there yet.
pub fn create_acls(
    image: &MetadataImage,
    rng: &mut Rng,
    request: &CreateAclsRequest,
) -> (Vec<MetadataRecord>, CreateAclsResponse) {
    let mut added: Vec<Acl> = Vec::new();
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(request.creations.len());
    for creation in &request.creations {
        let outcome = check_creation(creation).map(|()| {
            let acl = entry(creation);
            let is_known = added.contains(&acl) || image.acls.values().any(|known| *known == acl);
            if !is_known {
                records.push(acl.to_record(rng.uuid()).into());
                added.push(acl);
            }
        });
        let (error_code, error_message) = ApiError::split(outcome);
        results.push(AclCreationResult { error_code, error_message });
    }
    (records, CreateAclsResponse { throttle_time_ms: 0, results })
}

fn entry(creation: &AclCreation) -> Acl {
    Acl {
        resource_type: creation.resource_type,
        resource_name: creation.resource_name.detached(),
        pattern_type: creation.resource_pattern_type,
        principal: creation.principal.detached(),
        host: creation.host.detached(),
        operation: creation.operation,
        permission_type: creation.permission_type,
    }
}

fn check_creation(creation: &AclCreation) -> Result<(), ApiError> {
    let invalid = |sentence: String| Err(ApiError::new(ErrorCode::InvalidRequest, sentence));
    let name = &creation.resource_name;
    if creation.resource_type == CLUSTER && **name != *CLUSTER_NAME {
        return invalid(format!("The only valid name for the CLUSTER resource is {CLUSTER_NAME}"));
    }
    if name.is_empty() {
        return invalid("Invalid empty resource name".to_owned());
    }
    // Neither of these says what exactly is allowed; a pattern may not be a filter either.
    let resource_type = named(&RESOURCE_TYPES, creation.resource_type);
    if ["UNKNOWN", "ANY"].contains(&resource_type) {
        return invalid(format!("Invalid resourceType {resource_type}"));
    }
    let pattern_type = named(&PATTERN_TYPES, creation.resource_pattern_type);
    if ["UNKNOWN", "ANY", "MATCH"].contains(&pattern_type) {
        return invalid(format!("Invalid patternType {pattern_type}"));
    }
    let operation = named(&OPERATIONS, creation.operation);
    if ["UNKNOWN", "ANY"].contains(&operation) {
        return invalid(format!("Invalid operation {operation}"));
    }
    let permission_type = named(&PERMISSION_TYPES, creation.permission_type);
    if ["UNKNOWN", "ANY"].contains(&permission_type) {
        return invalid(format!("Invalid permissionType {permission_type}"));
    }
    if !creation.principal.contains(':') {
        return invalid(format!(
            "Could not parse principal from `{}` (no colon is present separating the principal type from the principal \
             name)",
            creation.principal
        ));
    }
    Ok(())
}

fn named(names: &[&'static str], number: i8) -> &'static str {
    let at = usize::try_from(number).ok().and_then(|at| names.get(at));
    at.or(names.first()).copied().unwrap_or_default()
}

/// Removes every entry that a filter matches.
pub fn delete_acls(
    image: &MetadataImage,
    request: &DeleteAclsRequest,
) -> (Vec<MetadataRecord>, DeleteAclsResponse) {
    let mut gone: BTreeSet<Uuid> = BTreeSet::new();
    let mut filter_results = Vec::with_capacity(request.filters.len());
    for filter in &request.filters {
        let outcome = check_filter(filter);
        let matching: Vec<(&Uuid, &Acl)> = match outcome {
            Ok(()) => image.acls.iter().filter(|(_, acl)| matches(filter, acl)).collect(),
            Err(_) => Vec::new(),
        };
        gone.extend(matching.iter().map(|(id, _)| **id));
        let matching_acls = matching.into_iter().map(|(_, acl)| deleted(acl)).collect();
        let (error_code, error_message) = ApiError::split(outcome);
        filter_results.push(DeleteAclsFilterResult { error_code, error_message, matching_acls });
    }
    let records = gone.into_iter().map(|id| RemoveAccessControlEntryRecord { id }.into()).collect();
    (records, DeleteAclsResponse { throttle_time_ms: 0, filter_results })
}

fn deleted(acl: &Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl {
        error_code: 0,
        error_message: None,
        resource_type: acl.resource_type,
        resource_name: acl.resource_name.clone(),
        pattern_type: acl.pattern_type,
        principal: acl.principal.clone(),
        host: acl.host.clone(),
        operation: acl.operation,
        permission_type: acl.permission_type,
    }
}

fn check_filter(filter: &DeleteAclsFilter) -> Result<(), ApiError> {
    let is_unknown = |names: &[&'static str], number| named(names, number) == named(names, UNKNOWN);
    let unknown = |what| Err(ApiError::new(ErrorCode::InvalidRequest, format!("Unknown {what}.")));
    if is_unknown(&RESOURCE_TYPES, filter.resource_type_filter)
        || is_unknown(&PATTERN_TYPES, filter.pattern_type_filter)
    {
        return unknown("patternFilter");
    }
    if is_unknown(&OPERATIONS, filter.operation) || is_unknown(&PERMISSION_TYPES, filter.permission_type) {
        return unknown("entryFilter");
    }
    Ok(())
}

fn matches(filter: &DeleteAclsFilter, acl: &Acl) -> bool {
    let is_one_of = |wanted: i8, number: i8| wanted == ANY || wanted == number;
    let is_named = |wanted: &Option<Str>, name: &Str| wanted.as_ref().is_none_or(|wanted| wanted == name);
    is_one_of(filter.resource_type_filter, acl.resource_type)
        && matches_pattern(filter.pattern_type_filter, filter.resource_name_filter.as_ref(), acl)
        && is_named(&filter.principal_filter, &acl.principal)
        && is_named(&filter.host_filter, &acl.host)
        && is_one_of(filter.operation, acl.operation)
        && is_one_of(filter.permission_type, acl.permission_type)
}

/// `MATCH` asks for whatever holds for a resource of that name.
fn matches_pattern(pattern_type: i8, name: Option<&Str>, acl: &Acl) -> bool {
    let Some(name) = name else { return [ANY, MATCH, acl.pattern_type].contains(&pattern_type) };
    match (pattern_type, acl.pattern_type) {
        (MATCH, LITERAL) => *name == acl.resource_name || *acl.resource_name == *WILDCARD,
        (MATCH, PREFIXED) => name.starts_with(&*acl.resource_name),
        (ANY, _) => *name == acl.resource_name,
        (wanted, own) => wanted == own && *name == acl.resource_name,
    }
}
