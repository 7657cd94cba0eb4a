//! CreateDelegationToken, RenewDelegationToken, ExpireDelegationToken.

use hmac::{Hmac, Mac};
use ottla_protocol::messages::create_delegation_token_request::CreatableRenewers;
use ottla_protocol::messages::{
    CreateDelegationTokenRequest, CreateDelegationTokenResponse, ExpireDelegationTokenRequest,
    RenewDelegationTokenRequest,
};
use ottla_protocol::records::metadata::FeatureLevelRecord;
use ottla_protocol::{Bytes, ErrorCode};
use sha2::Sha512;

use super::house::House;
use crate::controller::{ControllerRequest, ControllerResponse};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A controller that gives tokens, at some time.
fn house() -> House {
    let mut house = House::with(&[("delegation.token.secret.key", "secret")], true);
    house.now.wall = 1_000;
    house
}

/// `User:a` asks for a token, which `User:b` may renew.
fn request() -> CreateDelegationTokenRequest {
    CreateDelegationTokenRequest {
        owner_principal_type: None,
        owner_principal_name: None,
        renewers: vec![CreatableRenewers { principal_type: "User".into(), principal_name: "b".into() }],
        max_lifetime_ms: -1,
    }
}

fn create(house: &mut House, request: CreateDelegationTokenRequest) -> CreateDelegationTokenResponse {
    match house.ask(ControllerRequest::CreateDelegationToken("User:a".into(), request)) {
        ControllerResponse::CreateDelegationToken(response) => response,
        other => panic!("{other:?}"),
    }
}

fn renew(house: &mut House, principal: &str, hmac: &Bytes, renew_period_ms: i64) -> (i16, i64) {
    let request = RenewDelegationTokenRequest { hmac: hmac.clone(), renew_period_ms };
    match house.ask(ControllerRequest::RenewDelegationToken(principal.into(), request)) {
        ControllerResponse::RenewDelegationToken(answer) => (answer.error_code, answer.expiry_timestamp_ms),
        other => panic!("{other:?}"),
    }
}

fn expire(house: &mut House, principal: &str, hmac: &Bytes, expiry_time_period_ms: i64) -> (i16, i64) {
    let request = ExpireDelegationTokenRequest { hmac: hmac.clone(), expiry_time_period_ms };
    match house.ask(ControllerRequest::ExpireDelegationToken(principal.into(), request)) {
        ControllerResponse::ExpireDelegationToken(answer) => (answer.error_code, answer.expiry_timestamp_ms),
        other => panic!("{other:?}"),
    }
}

fn refused(error: ErrorCode) -> (i16, i64) {
    (error.code(), 0)
}

#[test]
fn a_token_is_given_renewed_and_ended() {
    let mut house = house();
    let token = create(&mut house, request());
    assert_eq!((token.error_code, &*token.principal_type, &*token.principal_name), (0, "User", "a"));
    let times = (token.issue_timestamp_ms, token.expiry_timestamp_ms, token.max_timestamp_ms);
    assert_eq!(times, (1_000, 1_000 + DAY_MS, 1_000 + 7 * DAY_MS));
    let mac = Hmac::<Sha512>::new_from_slice(b"secret").expect("any key will do");
    assert!(mac.chain_update(&*token.token_id).verify_slice(&token.hmac).is_ok());
    let known = house.image().delegation_tokens.get(&token.token_id).expect("it is there");
    assert_eq!((&*known.owner, &*known.requester, &*known.renewers[0]), ("User:a", "User:a", "User:b"));

    house.now.wall += HOUR_MS;
    let now = house.now.wall;
    assert_eq!(renew(&mut house, "User:b", &token.hmac, -1), (0, now + DAY_MS));
    assert_eq!(renew(&mut house, "User:a", &token.hmac, 50), (0, now + 50));
    assert_eq!(expire(&mut house, "User:a", &token.hmac, i64::MAX), (0, token.max_timestamp_ms));
    assert_eq!(expire(&mut house, "User:b", &token.hmac, -1), (0, now));
    assert_eq!(house.image().delegation_tokens.size(), 0);
    assert_eq!(renew(&mut house, "User:a", &token.hmac, -1), refused(ErrorCode::DelegationTokenNotFound));
}

#[test]
fn a_token_for_another_with_a_shorter_life() {
    let mut house = house();
    let token = create(
        &mut house,
        CreateDelegationTokenRequest {
            owner_principal_type: Some("User".into()),
            owner_principal_name: Some("c".into()),
            max_lifetime_ms: 500,
            ..request()
        },
    );
    assert_eq!((&*token.principal_name, &*token.token_requester_principal_name), ("c", "a"));
    assert_eq!((token.expiry_timestamp_ms, token.max_timestamp_ms), (1_500, 1_500));
    assert_eq!(renew(&mut house, "User:c", &token.hmac, -1), (0, 1_500));
    // Who asked for it is not who it is for.
    assert_eq!(
        renew(&mut house, "User:a", &token.hmac, -1),
        refused(ErrorCode::DelegationTokenOwnerMismatch)
    );
}

#[test]
fn what_is_refused() {
    let mut house = house();
    let group = CreatableRenewers { principal_type: "Group".into(), principal_name: "b".into() };
    let asked = CreateDelegationTokenRequest { renewers: vec![group], ..request() };
    assert_eq!(create(&mut house, asked).error_code, ErrorCode::InvalidPrincipalType.code());
    let token = create(&mut house, request());
    for hmac in [Bytes::new(), Bytes::from_static(b"x"), token.hmac.slice(1..)] {
        assert_eq!(renew(&mut house, "User:a", &hmac, -1), refused(ErrorCode::DelegationTokenNotFound));
    }
    let mismatch = refused(ErrorCode::DelegationTokenOwnerMismatch);
    assert_eq!(renew(&mut house, "User:x", &token.hmac, -1), mismatch);
    assert_eq!(expire(&mut house, "User:x", &token.hmac, -1), mismatch);
    // At its very end it is still good.
    house.now.wall = token.expiry_timestamp_ms;
    assert_eq!(expire(&mut house, "User:a", &token.hmac, 0), (0, house.now.wall));
    house.now.wall += 1;
    let expired = refused(ErrorCode::DelegationTokenExpired);
    assert_eq!(renew(&mut house, "User:a", &token.hmac, -1), expired);
    assert_eq!(expire(&mut house, "User:a", &token.hmac, 5), expired);
    assert_eq!(expire(&mut house, "User:a", &token.hmac, -1).0, 0);

    let level = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 13 };
    house.write(vec![level.into()]);
    assert_eq!(create(&mut house, request()).error_code, ErrorCode::UnsupportedVersion.code());
    for secret in [&[][..], &[("delegation.token.secret.key", "")]] {
        let mut house = House::with(secret, true);
        let disabled = refused(ErrorCode::DelegationTokenAuthDisabled);
        assert_eq!(create(&mut house, request()).error_code, disabled.0);
        assert_eq!(renew(&mut house, "User:a", &token.hmac, -1), disabled);
        assert_eq!(expire(&mut house, "User:a", &token.hmac, -1), disabled);
    }
}

#[test]
fn tokens_that_have_expired_are_removed_now_and_then() {
    let settings =
        [("delegation.token.secret.key", "secret"), ("delegation.token.expiry.check.interval.ms", "500")];
    let mut house = House::with(&settings, true);
    let short = create(&mut house, CreateDelegationTokenRequest { max_lifetime_ms: 100, ..request() });
    create(&mut house, request());
    house.now.wall = 101;
    house.wait(400);
    assert_eq!(house.image().delegation_tokens.size(), 2);
    house.wait(100);
    assert_eq!(house.image().delegation_tokens.size(), 1);
    assert!(!house.image().delegation_tokens.contains_key(&short.token_id));
    // Another controller looks, too.
    house.now.wall = 2 * DAY_MS;
    let mut house = house.fail_over();
    house.wait(500);
    assert_eq!(house.image().delegation_tokens.size(), 0);
}
