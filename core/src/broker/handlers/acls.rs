//! DescribeAcls, CreateAcls and DeleteAcls (KIP-140): without an authorizer there is nothing to say or to do.

use bytes::Bytes;
use ottla_protocol::messages::create_acls_response::AclCreationResult;
use ottla_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use ottla_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};
use ottla_protocol::{ApiKey, ErrorCode};

use super::{Handled, Outcome};
use crate::broker::request::Request;
use crate::log::LogStore;

const SENTENCE: &str = "No Authorizer is configured.";

pub fn handle<S: LogStore>(request: &Request, body: Bytes) -> Handled<S> {
    let error_code = ErrorCode::SecurityDisabled.code();
    Ok(Outcome::Reply(match request.api {
        ApiKey::DescribeAcls => {
            let asked: DescribeAclsRequest = request.decode(body)?;
            let (resource, pattern) = (asked.resource_type_filter, asked.pattern_type_filter);
            if is_unknown(resource, pattern, asked.operation, asked.permission_type) {
                return malformed(request);
            }
            let answer = DescribeAclsResponse {
                error_code,
                error_message: Some("No Authorizer is configured on the broker".into()),
                ..DescribeAclsResponse::default()
            };
            request.respond(&answer, [])
        }
        ApiKey::CreateAcls => {
            let asked: CreateAclsRequest = request.decode(body)?;
            if asked.creations.iter().any(|one| {
                is_unknown(one.resource_type, one.resource_pattern_type, one.operation, one.permission_type)
            }) {
                return malformed(request);
            }
            let result = AclCreationResult { error_code, error_message: Some(SENTENCE.into()) };
            let results = vec![result; asked.creations.len()];
            request.respond(&CreateAclsResponse { throttle_time_ms: 0, results }, [])
        }
        _ => {
            let asked: DeleteAclsRequest = request.decode(body)?;
            if asked.filters.iter().any(|one| {
                let (resource, pattern) = (one.resource_type_filter, one.pattern_type_filter);
                is_unknown(resource, pattern, one.operation, one.permission_type)
            }) {
                return malformed(request);
            }
            let result = DeleteAclsFilterResult {
                error_code,
                error_message: Some(SENTENCE.into()),
                matching_acls: Vec::new(),
            };
            let filter_results = vec![result; asked.filters.len()];
            request.respond(&DeleteAclsResponse { throttle_time_ms: 0, filter_results }, [])
        }
    }))
}

/// Whether one of these says that it is unknown. Numbers that nobody knows do not.
fn is_unknown(resource_type: i8, pattern_type: i8, operation: i8, permission_type: i8) -> bool {
    [resource_type, pattern_type, operation, permission_type].contains(&0)
}

/// What Kafka does not take for a request at all.
fn malformed<S: LogStore>(request: &Request) -> Handled<S> {
    Err(format!("{} with what is unknown", request.api.name()))
}
