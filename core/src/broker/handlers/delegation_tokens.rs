//! CreateDelegationToken, RenewDelegationToken, ExpireDelegationToken and DescribeDelegationToken (KIP-48, KIP-373): who may ask.

use bytes::Bytes;
use ottla_protocol::messages::{
    CreateDelegationTokenRequest, CreateDelegationTokenResponse, DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse, ExpireDelegationTokenResponse, RenewDelegationTokenResponse,
};
use ottla_protocol::{ApiKey, ErrorCode, Str};

use super::{Env, Handled, Outcome, forward};
use crate::broker::request::Request;
use crate::controller::{ControllerRequest, split_principal, token_owner};
use crate::log::LogStore;
use crate::machine::Frame;

const ANONYMOUS: &str = "User:ANONYMOUS";
/// A time in a refusal.
const NEVER: i64 = -1;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let principal = request.context.principal.clone();
    let not_allowed = ErrorCode::DelegationTokenRequestNotAllowed;
    let asked = match request.api {
        ApiKey::CreateDelegationToken => {
            let asked: CreateDelegationTokenRequest = request.decode(body)?;
            match token_owner(&principal, &asked) {
                // An owner of no type: Kafka stumbles over it.
                None => {
                    return Ok(refuse_creation(request, ErrorCode::UnknownServerError, ANONYMOUS, ANONYMOUS));
                }
                Some(owner) if !is_allowed(request) => {
                    return Ok(refuse_creation(request, not_allowed, &owner, &principal));
                }
                Some(_) => ControllerRequest::CreateDelegationToken(principal, asked),
            }
        }
        ApiKey::RenewDelegationToken => {
            let asked = request.decode(body)?;
            if !is_allowed(request) {
                let (error_code, expiry_timestamp_ms) = (not_allowed.code(), NEVER);
                let answer =
                    RenewDelegationTokenResponse { error_code, expiry_timestamp_ms, throttle_time_ms: 0 };
                return Ok(Outcome::Reply(request.respond(&answer, [])));
            }
            ControllerRequest::RenewDelegationToken(principal, asked)
        }
        // Only brokers have it, and those without a listener on which it is allowed.
        ApiKey::DescribeDelegationToken => {
            let _: DescribeDelegationTokenRequest = request.decode(body)?;
            let error_code = not_allowed.code();
            let answer =
                DescribeDelegationTokenResponse { error_code, ..DescribeDelegationTokenResponse::default() };
            return Ok(Outcome::Reply(request.respond(&answer, [])));
        }
        _ => {
            let asked = request.decode(body)?;
            if !is_allowed(request) {
                let (error_code, expiry_timestamp_ms) = (not_allowed.code(), NEVER);
                let answer =
                    ExpireDelegationTokenResponse { error_code, expiry_timestamp_ms, throttle_time_ms: 0 };
                return Ok(Outcome::Reply(request.respond(&answer, [])));
            }
            ControllerRequest::ExpireDelegationToken(principal, asked)
        }
    };
    Ok(forward::ask(env, request, asked))
}

/// A token is for who has authenticated, and not by a token. Listeners are PLAINTEXT; of what came in an envelope the broker knows more.
fn is_allowed(request: &Request) -> bool {
    request.context.envelope.is_some() && !request.context.has_token
}

fn refuse_creation<S: LogStore>(
    request: &Request,
    error: ErrorCode,
    owner: &str,
    requester: &str,
) -> Outcome<S> {
    let (principal_type, principal_name) = split_principal(owner);
    let (requester_type, requester_name) = split_principal(requester);
    let answer = CreateDelegationTokenResponse {
        error_code: error.code(),
        principal_type: principal_type.into(),
        principal_name: principal_name.into(),
        token_requester_principal_type: requester_type.into(),
        token_requester_principal_name: requester_name.into(),
        issue_timestamp_ms: NEVER,
        expiry_timestamp_ms: NEVER,
        max_timestamp_ms: NEVER,
        ..CreateDelegationTokenResponse::default()
    };
    Outcome::Reply(created(request, answer))
}

/// Versions before 3 do not say who asked.
pub fn created<L>(request: &Request, mut answer: CreateDelegationTokenResponse) -> Frame<L> {
    if request.version < 3 {
        answer.token_requester_principal_type = Str::default();
        answer.token_requester_principal_name = Str::default();
    }
    request.respond(&answer, [])
}
