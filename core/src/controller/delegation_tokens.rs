//! CreateDelegationToken, RenewDelegationToken and ExpireDelegationToken (KIP-48, KIP-373, KIP-900), and the end of those that have expired.
//!
//! Times are milliseconds since the epoch. A token is known to clients by its HMAC, which every node derives from its id.

use hmac::{Hmac, Mac};
use ottla_protocol::messages::{
    CreateDelegationTokenRequest, CreateDelegationTokenResponse, ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse, RenewDelegationTokenRequest, RenewDelegationTokenResponse,
};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::RemoveDelegationTokenRecord;
use ottla_protocol::{ErrorCode, Str};
use sha2::Sha512;

use crate::config::BrokerConfig;
use crate::metadata::MetadataImage;
use crate::metadata::tokens::DelegationToken;
use crate::rng::Rng;

/// The only kind of principal that may renew.
const USER: &str = "User";
/// As many expired tokens go at once.
pub const EXPIRATIONS_MAX: usize = 1_000;

/// What is decided upon: the tokens, how long they live, and what time it is.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// The metadata.
    pub image: &'a MetadataImage,
    /// The controller's settings.
    pub config: &'a BrokerConfig,
    /// Now.
    pub now: i64,
}

type Mac512 = Hmac<Sha512>;

impl Tokens<'_> {
    /// A new token, for the principal that asks or for another.
    pub fn create(
        self,
        rng: &mut Rng,
        requester: &Str,
        request: &CreateDelegationTokenRequest,
    ) -> (Vec<MetadataRecord>, CreateDelegationTokenResponse) {
        let owner = token_owner(requester, request).unwrap_or_default();
        let (principal_type, principal_name) = split_principal(&owner);
        let (requester_type, requester_name) = split_principal(requester);
        let mut response = CreateDelegationTokenResponse {
            principal_type: principal_type.into(),
            principal_name: principal_name.into(),
            token_requester_principal_type: requester_type.into(),
            token_requester_principal_name: requester_name.into(),
            ..CreateDelegationTokenResponse::default()
        };
        let is_user = request.renewers.iter().all(|renewer| *renewer.principal_type == *USER);
        let mac = match self.mac() {
            Ok(mac) if is_user => mac,
            refused => {
                let error = refused.err().unwrap_or(ErrorCode::InvalidPrincipalType);
                response.error_code = error.code();
                return (Vec::new(), response);
            }
        };
        let max_timestamp =
            self.after(at_most(self.config.delegation_token_max_lifetime_ms, request.max_lifetime_ms));
        let token = DelegationToken {
            owner,
            requester: requester.detached(),
            renewers: request
                .renewers
                .iter()
                .map(|renewer| format!("{}:{}", renewer.principal_type, renewer.principal_name).into())
                .collect(),
            issue_timestamp: self.now,
            max_timestamp,
            expiration_timestamp: max_timestamp.min(self.after(self.config.delegation_token_expiry_time_ms)),
        };
        response.issue_timestamp_ms = token.issue_timestamp;
        response.expiry_timestamp_ms = token.expiration_timestamp;
        response.max_timestamp_ms = token.max_timestamp;
        response.token_id = rng.uuid().to_string().into();
        response.hmac = mac.chain_update(&*response.token_id).finalize().into_bytes().to_vec().into();
        (vec![token.to_record(&response.token_id).into()], response)
    }

    /// A later end for a token.
    pub fn renew(
        self,
        principal: &str,
        request: &RenewDelegationTokenRequest,
    ) -> (Vec<MetadataRecord>, RenewDelegationTokenResponse) {
        let outcome = self.find(&request.hmac).and_then(|(id, token)| {
            if is_expired(token, self.now) {
                return Err(ErrorCode::DelegationTokenExpired);
            }
            check_may_renew(token, principal)?;
            let period_ms = at_most(self.config.delegation_token_expiry_time_ms, request.renew_period_ms);
            Ok(self.until(id, token, period_ms))
        });
        let (records, error_code, expiry_timestamp_ms) = split(outcome);
        (records, RenewDelegationTokenResponse { error_code, expiry_timestamp_ms, throttle_time_ms: 0 })
    }

    /// Another end for a token: at once, where the period is negative.
    pub fn expire(
        self,
        principal: &str,
        request: &ExpireDelegationTokenRequest,
    ) -> (Vec<MetadataRecord>, ExpireDelegationTokenResponse) {
        let outcome = self.find(&request.hmac).and_then(|(id, token)| {
            check_may_renew(token, principal)?;
            if request.expiry_time_period_ms < 0 {
                return Ok((removal(id), self.now));
            }
            if is_expired(token, self.now) {
                return Err(ErrorCode::DelegationTokenExpired);
            }
            Ok(self.until(id, token, request.expiry_time_period_ms))
        });
        let (records, error_code, expiry_timestamp_ms) = split(outcome);
        (records, ExpireDelegationTokenResponse { error_code, expiry_timestamp_ms, throttle_time_ms: 0 })
    }

    /// Removes tokens that have expired.
    pub fn sweep(self) -> Vec<MetadataRecord> {
        let expired = self.image.delegation_tokens.iter().filter(|(_, token)| is_expired(token, self.now));
        expired.take(EXPIRATIONS_MAX).map(|(id, _)| removal(id)).collect()
    }

    /// What makes HMACs, where there are tokens at all.
    fn mac(self) -> Result<Mac512, ErrorCode> {
        let secret = self.config.delegation_token_secret_key.as_ref().and_then(|key| key.bytes());
        let mac = secret.and_then(|secret| Mac512::new_from_slice(secret).ok());
        let mac = mac.ok_or(ErrorCode::DelegationTokenAuthDisabled)?;
        match self.image.features.metadata_version().has_delegation_tokens() {
            true => Ok(mac),
            false => Err(ErrorCode::UnsupportedVersion),
        }
    }

    fn find(&self, hmac: &[u8]) -> Result<(&Str, &DelegationToken), ErrorCode> {
        let mac = self.mac()?;
        let mut tokens = self.image.delegation_tokens.iter();
        let found = tokens.find(|(id, _)| mac.clone().chain_update(&***id).verify_slice(hmac).is_ok());
        found.ok_or(ErrorCode::DelegationTokenNotFound)
    }

    /// The token with an end after this period, but no later than it may live, and that end.
    fn until(self, id: &Str, token: &DelegationToken, period_ms: i64) -> (MetadataRecord, i64) {
        let expiration_timestamp = token.max_timestamp.min(self.after(period_ms));
        let token = DelegationToken { expiration_timestamp, ..token.clone() };
        (token.to_record(id).into(), expiration_timestamp)
    }

    fn after(self, period_ms: i64) -> i64 {
        self.now.saturating_add(period_ms)
    }
}

/// Who a token is for: who asks, unless another is named. `None` where that one has a name and no type.
pub fn token_owner(requester: &Str, request: &CreateDelegationTokenRequest) -> Option<Str> {
    match request.owner_principal_name.as_deref() {
        None | Some("") => Some(requester.detached()),
        Some(name) => Some(format!("{}:{name}", request.owner_principal_type.as_deref()?).into()),
    }
}

/// Type and name of a principal.
pub fn split_principal(principal: &str) -> (&str, &str) {
    principal.split_once(':').unwrap_or(("", principal))
}

/// What is asked for, where that is something and no more than may be had.
fn at_most(most: i64, asked: i64) -> i64 {
    if asked > 0 { asked.min(most) } else { most }
}

fn is_expired(token: &DelegationToken, now: i64) -> bool {
    token.max_timestamp < now || token.expiration_timestamp < now
}

fn check_may_renew(token: &DelegationToken, principal: &str) -> Result<(), ErrorCode> {
    let may = *token.owner == *principal || token.renewers.iter().any(|renewer| **renewer == *principal);
    if may { Ok(()) } else { Err(ErrorCode::DelegationTokenOwnerMismatch) }
}

fn removal(id: &Str) -> MetadataRecord {
    RemoveDelegationTokenRecord { token_id: id.clone() }.into()
}

/// Records, error code and end of a token.
fn split(outcome: Result<(MetadataRecord, i64), ErrorCode>) -> (Vec<MetadataRecord>, i16, i64) {
    match outcome {
        Ok((record, end)) => (vec![record], 0, end),
        Err(error) => (Vec::new(), error.code(), 0),
    }
}
