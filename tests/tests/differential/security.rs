//! SASL, ACLs and delegation tokens where there is no authorizer and nobody authenticates: what a broker refuses, and how.

use ottla_protocol::messages::create_acls_request::AclCreation;
use ottla_protocol::messages::create_delegation_token_request::CreatableRenewers;
use ottla_protocol::messages::delete_acls_request::DeleteAclsFilter;
use ottla_protocol::messages::describe_delegation_token_request::DescribeDelegationTokenOwner;
use ottla_protocol::messages::{
    CreateAclsRequest, CreateDelegationTokenRequest, DeleteAclsRequest, DescribeAclsRequest,
    DescribeDelegationTokenRequest, ExpireDelegationTokenRequest, RenewDelegationTokenRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest,
};
use ottla_protocol::{ApiKey, Bytes};

use crate::family;
use crate::session::Session;

#[test]
fn sasl() {
    family("sasl", &[ApiKey::SaslHandshake, ApiKey::SaslAuthenticate], &[("all", authentication)]);
}

#[test]
fn acls() {
    let apis = [ApiKey::DescribeAcls, ApiKey::CreateAcls, ApiKey::DeleteAcls];
    family("acls", &apis, &[("describe", describe), ("create", create), ("delete", delete)]);
}

#[test]
fn delegation_tokens() {
    let apis = [
        ApiKey::CreateDelegationToken,
        ApiKey::RenewDelegationToken,
        ApiKey::ExpireDelegationToken,
        ApiKey::DescribeDelegationToken,
    ];
    family("delegation-tokens", &apis, &[("all", tokens)]);
}

fn authentication(session: &mut Session) {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "", "nothing"] {
        session.ask(mechanism, &SaslHandshakeRequest { mechanism: mechanism.into() });
    }
    for bytes in [&b""[..], b"\0user\0secret"] {
        session.ask("authenticate", &SaslAuthenticateRequest { auth_bytes: Bytes::copy_from_slice(bytes) });
    }
}

/// Numbers of operations: valid, any, unknown, and none of Kafka's.
const OPERATIONS: [i8; 4] = [3, 1, 0, 99];

fn describe(session: &mut Session) {
    for operation in OPERATIONS {
        let request = DescribeAclsRequest {
            resource_type_filter: 1,
            resource_name_filter: None,
            pattern_type_filter: 1,
            principal_filter: None,
            host_filter: None,
            operation,
            permission_type: 1,
        };
        session.ask(&format!("operation {operation}"), &request);
    }
}

fn create(session: &mut Session) {
    let acl = |operation| AclCreation {
        resource_type: 2,
        resource_name: "t".into(),
        resource_pattern_type: 3,
        principal: "User:a".into(),
        host: "*".into(),
        operation,
        permission_type: 3,
    };
    session.ask("none", &CreateAclsRequest { creations: vec![] });
    for operation in OPERATIONS {
        let request = CreateAclsRequest { creations: vec![acl(3), acl(operation)] };
        session.ask(&format!("operation {operation}"), &request);
    }
}

fn delete(session: &mut Session) {
    let filter = |operation| DeleteAclsFilter {
        resource_type_filter: 1,
        resource_name_filter: None,
        pattern_type_filter: 1,
        principal_filter: None,
        host_filter: None,
        operation,
        permission_type: 1,
    };
    session.ask("none", &DeleteAclsRequest { filters: vec![] });
    for operation in OPERATIONS {
        let request = DeleteAclsRequest { filters: vec![filter(1), filter(operation)] };
        session.ask(&format!("operation {operation}"), &request);
    }
}

fn tokens(session: &mut Session) {
    let hmac = Bytes::from_static(b"hmac");
    for (kind, name) in [(None, None), (Some("User"), Some("a")), (Some("User"), Some("")), (None, Some("a"))]
    {
        let renewer = CreatableRenewers { principal_type: "User".into(), principal_name: "r".into() };
        let request = CreateDelegationTokenRequest {
            owner_principal_type: kind.map(Into::into),
            owner_principal_name: name.map(Into::into),
            renewers: vec![renewer],
            max_lifetime_ms: -1,
        };
        session.ask(&format!("create for {kind:?} {name:?}"), &request);
    }
    session.ask("renew", &RenewDelegationTokenRequest { hmac: hmac.clone(), renew_period_ms: -1 });
    session.ask("expire", &ExpireDelegationTokenRequest { hmac, expiry_time_period_ms: -1 });
    let owner = DescribeDelegationTokenOwner { principal_type: "User".into(), principal_name: "a".into() };
    for owners in [None, Some(vec![]), Some(vec![owner])] {
        session.ask("describe", &DescribeDelegationTokenRequest { owners });
    }
}
