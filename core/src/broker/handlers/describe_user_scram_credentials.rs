//! DescribeUserScramCredentials: by which mechanisms users can authenticate, and with how many iterations (KIP-554).

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::messages::describe_user_scram_credentials_request::DescribeUserScramCredentialsRequest;
use ottla_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
};
use ottla_protocol::{ErrorCode, Str};

use super::{Env, Handled, Outcome};
use crate::broker::request::Request;
use crate::controller::ApiError;
use crate::log::LogStore;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: DescribeUserScramCredentialsRequest = request.decode(body)?;
    let mut credentials: BTreeMap<&Str, Vec<CredentialInfo>> = BTreeMap::new();
    for ((mechanism, user), credential) in &env.image().scram {
        let info = CredentialInfo { mechanism: *mechanism, iterations: credential.iterations };
        credentials.entry(user).or_default().push(info);
    }
    // How often each is asked for.
    let mut users: BTreeMap<&Str, usize> = BTreeMap::new();
    for user in asked.users.iter().flatten() {
        *users.entry(&user.name).or_default() += 1;
    }
    if users.is_empty() {
        users.extend(credentials.keys().map(|user| (*user, 1)));
    }
    let result = |(user, times): (&Str, usize)| {
        let found = credentials.get(user).cloned();
        let outcome = match (&found, times) {
            (Some(_), 1) => Ok(()),
            (None, 1) => Err(ApiError::new(
                ErrorCode::ResourceNotFound,
                format!("Attempt to describe a user credential that does not exist: {user}"),
            )),
            _ => Err(ApiError::new(
                ErrorCode::DuplicateResource,
                format!(
                    "Cannot describe SCRAM credentials for the same user twice in a single request: {user}"
                ),
            )),
        };
        let credential_infos = found.filter(|_| outcome.is_ok()).unwrap_or_default();
        let (error_code, error_message) = ApiError::split(outcome);
        // Kafka leaves an empty sentence where there is none to say.
        let error_message = error_message.or_else(|| Some(Str::default()));
        DescribeUserScramCredentialsResult { user: user.clone(), error_code, error_message, credential_infos }
    };
    let response = DescribeUserScramCredentialsResponse {
        results: users.into_iter().map(result).collect(),
        ..DescribeUserScramCredentialsResponse::default()
    };
    Ok(Outcome::Reply(request.respond(&response, [])))
}
