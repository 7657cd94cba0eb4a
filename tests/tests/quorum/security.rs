//! What a controller says about credentials, quotas, ACLs and delegation tokens, to whoever speaks to it itself and has not authenticated, and to
//! brokers that pass requests on in envelopes.

use std::fmt::Debug;
use std::net::Ipv4Addr;

use ottla_protocol::messages::{
    AlterClientQuotasRequest, AlterUserScramCredentialsRequest, CreateAclsRequest,
    CreateDelegationTokenRequest, DeleteAclsRequest, DescribeAclsRequest, EnvelopeRequest, EnvelopeResponse,
    ExpireDelegationTokenRequest, RenewDelegationTokenRequest, alter_client_quotas_request,
    alter_user_scram_credentials_request, create_acls_request, create_delegation_token_request,
    delete_acls_request,
};
use ottla_protocol::{Decoder, Encoder, ErrorCode, Message as _, Request, ResponseHeader, encode_request};
use ottla_tests::peer::cluster::{Cluster, Roles};
use ottla_tests::wire::Wire;

use crate::Kind::{Kafka, Ottla};

#[test]
fn what_concerns_security_is_answered_alike() {
    let [theirs, ours] = [Kafka, Ottla].map(|kind| {
        let settings = [("delegation.token.secret.key", "house")];
        let mut quorum = Cluster::start(&[kind], Roles::Controllers, &settings);
        quorum.until("a leader", |status| status.high_watermark > 0);
        let mut said = [By::Itself, By::User, By::Token].map(|by| security(&quorum, by)).concat();
        said.extend(broken(&quorum));
        assert!(quorum.stop(1), "a clean stop");
        said
    });
    let differing: Vec<_> = theirs.iter().zip(&ours).filter(|(theirs, ours)| theirs != ours).collect();
    println!("{} answers compared", theirs.len());
    assert!(theirs.len() == ours.len() && differing.is_empty(), "{differing:#?}");
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
enum By {
    Itself,
    /// A broker, in an envelope, for a user who has authenticated.
    User,
    /// The same by a delegation token.
    Token,
}

fn security(quorum: &Cluster, by: By) -> Vec<String> {
    let text = |text: &str| ottla_protocol::Str::from(text);
    let part = |kind: &str, name: Option<&str>| alter_client_quotas_request::EntityData {
        entity_type: text(kind),
        entity_name: name.map(text),
    };
    let op = |key: &str, value| alter_client_quotas_request::OpData { key: text(key), value, remove: false };
    let entry = |entity, ops| alter_client_quotas_request::EntryData { entity, ops };
    // One at a time: Apache Kafka answers in no order.
    let quotas = [
        entry(vec![part("user", Some("a"))], vec![op("producer_byte_rate", 10.0)]),
        entry(vec![part("user", None)], vec![op("nothing", 10.0)]),
        entry(vec![part("ip", Some("nobody nowhere"))], vec![op("connection_creation_rate", 1.0)]),
    ];
    let credential =
        |name: &str, iterations| alter_user_scram_credentials_request::ScramCredentialUpsertion {
            name: text(name),
            mechanism: 1,
            iterations,
            salt: b"salt"[..].into(),
            salted_password: b"salted"[..].into(),
        };
    let deletion = |name: &str| alter_user_scram_credentials_request::ScramCredentialDeletion {
        name: text(name),
        mechanism: 1,
    };
    let acl = |operation| create_acls_request::AclCreation {
        resource_type: 2,
        resource_name: text("t"),
        resource_pattern_type: 3,
        principal: text("User:a"),
        host: text("*"),
        operation,
        permission_type: 3,
    };
    let filter = |operation| delete_acls_request::DeleteAclsFilter {
        resource_type_filter: 1,
        resource_name_filter: None,
        pattern_type_filter: 1,
        principal_filter: None,
        host_filter: None,
        operation,
        permission_type: 1,
    };
    let describe = |operation| DescribeAclsRequest {
        resource_type_filter: 1,
        resource_name_filter: None,
        pattern_type_filter: 1,
        principal_filter: None,
        host_filter: None,
        operation,
        permission_type: 1,
    };
    let token = |kind: Option<&str>, name: Option<&str>| CreateDelegationTokenRequest {
        owner_principal_type: kind.map(text),
        owner_principal_name: name.map(text),
        // Only users may renew: nothing is given whose id and times would differ.
        renewers: vec![create_delegation_token_request::CreatableRenewers {
            principal_type: text("Group"),
            principal_name: text("g"),
        }],
        max_lifetime_ms: -1,
    };
    let mut said = Vec::new();
    for (version, validate_only) in [(0, true), (1, true), (0, false), (1, false)] {
        for quota in &quotas {
            let request = AlterClientQuotasRequest { entries: vec![quota.clone()], validate_only };
            said.push(ask(quorum, by, &request, version));
        }
    }
    for (deletions, upsertions) in [
        (vec![deletion("b")], vec![]),
        (vec![], vec![credential("a", 4_096)]),
        (vec![], vec![credential("c", 1)]),
        (vec![deletion("a")], vec![credential("a", 4_096)]),
    ] {
        said.push(ask(quorum, by, &AlterUserScramCredentialsRequest { deletions, upsertions }, 0));
    }
    for version in 1..=3 {
        for operation in [3, 0, 99] {
            let creations = vec![acl(3), acl(operation)];
            said.push(ask(quorum, by, &CreateAclsRequest { creations }, version));
            let filters = vec![filter(1), filter(operation)];
            said.push(ask(quorum, by, &DeleteAclsRequest { filters }, version));
            said.push(ask(quorum, by, &describe(operation), version));
        }
    }
    for version in 1..=2 {
        said.push(ask(quorum, by, &token(Some(""), Some("")), version));
        let hmac = ottla_protocol::Bytes::from_static(b"hmac");
        let renewal = RenewDelegationTokenRequest { hmac: hmac.clone(), renew_period_ms: -1 };
        said.push(ask(quorum, by, &renewal, version));
        said.push(ask(
            quorum,
            by,
            &ExpireDelegationTokenRequest { hmac, expiry_time_period_ms: -1 },
            version,
        ));
    }
    let owners = [(None, None), (Some("User"), Some("a")), (Some("User"), Some("")), (None, Some("a"))];
    said.extend(owners.map(|(kind, name)| ask(quorum, by, &token(kind, name), 3)));
    said
}

/// Envelopes of which a part is wrong.
fn broken(quorum: &Cluster) -> Vec<String> {
    type Change = fn(&mut EnvelopeRequest);
    fn frame(envelope: &mut EnvelopeRequest, change: fn(&mut Vec<u8>)) {
        let mut bytes = envelope.request_data.to_vec();
        change(&mut bytes);
        envelope.request_data = bytes.into();
    }
    let changes: [(&str, Change); 9] = [
        ("the whole", |_| ()),
        ("nothing in it", |one| one.request_data = b""[..].into()),
        ("a part of a header", |one| frame(one, |bytes| bytes.truncate(6))),
        ("a part of a body", |one| frame(one, |bytes| bytes.truncate(bytes.len() - 3))),
        ("another version", |one| frame(one, |bytes| bytes[3] = 99)),
        ("another API", |one| frame(one, |bytes| bytes[1] = 99)),
        ("no principal", |one| one.request_principal = None),
        ("a part of a principal", |one| one.request_principal = Some(b"\0\0\x05Us"[..].into())),
        ("a part of an address", |one| one.client_host_address = b"\x7f\0\0"[..].into()),
    ];
    let hmac = ottla_protocol::Bytes::from_static(b"hmac");
    let request = RenewDelegationTokenRequest { hmac, renew_period_ms: -1 };
    let whole = envelope(&request, 2, false);
    let said = changes.map(|(what, change)| {
        let mut envelope = whole.clone();
        change(&mut envelope);
        let address = (Ipv4Addr::LOCALHOST, quorum.ports(1).0).into();
        let mut wire = Wire::connect(address).expect("it listens");
        let answer = wire.call(&envelope, 0).map(|answer| opened::<RenewDelegationTokenRequest>(answer, 2));
        format!("{what}: {}", answer.unwrap_or_else(|_| "no answer".to_owned()))
    });
    said.into()
}

/// The answer of the first controller, or that there is none.
fn ask<R: Request + Debug>(quorum: &Cluster, by: By, request: &R, version: i16) -> String
where
    R::Response: Debug,
{
    let address = (Ipv4Addr::LOCALHOST, quorum.ports(1).0).into();
    let mut wire = Wire::connect(address).expect("it listens");
    let answer = match by {
        By::Itself => wire.call(request, version).map(|answer| format!("{answer:?}")),
        By::User => {
            wire.call(&envelope(request, version, false), 0).map(|answer| opened::<R>(answer, version))
        }
        By::Token => {
            wire.call(&envelope(request, version, true), 0).map(|answer| opened::<R>(answer, version))
        }
    };
    let answer = answer.unwrap_or_else(|_| "no answer".to_owned());
    format!("{by:?}: {request:?} v{version}: {answer}")
}

/// From `User:a`, as a broker passes it on (KIP-590).
fn envelope<R: Request>(request: &R, version: i16, has_token: bool) -> EnvelopeRequest {
    let mut encoder = Encoder::new();
    encode_request(&mut encoder, version, 7, Some("client".into()), request).expect("it encodes");
    let principal = [&b"\0\0\x05User\x02a"[..], &[u8::from(has_token), 0]].concat();
    EnvelopeRequest {
        request_data: encoder.into_bytes().expect("it is whole").slice(4..),
        request_principal: Some(principal.into()),
        client_host_address: b"\x7f\0\0\x01"[..].into(),
    }
}

fn opened<R: Request>(answer: EnvelopeResponse, version: i16) -> String
where
    R::Response: Debug,
{
    let error = ErrorCode::from_code(answer.error_code);
    let inner = answer.response_data.map(|bytes| {
        let mut decoder = Decoder::new(bytes);
        let header = R::API_KEY.response_header_version(version);
        ResponseHeader::decode(&mut decoder, header).expect("a header");
        R::Response::decode(&mut decoder, version).expect("a response")
    });
    format!("{error:?} {inner:?}")
}
