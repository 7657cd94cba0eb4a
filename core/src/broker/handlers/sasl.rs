//! SaslHandshake and SaslAuthenticate (KIP-43, KIP-152) on a listener where nobody authenticates, or after somebody has.

use bytes::Bytes;
use ottla_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use ottla_protocol::{ApiKey, ErrorCode};

use super::{Handled, Outcome};
use crate::broker::request::Request;
use crate::log::LogStore;

pub fn handle<S: LogStore>(request: &Request, body: Bytes) -> Handled<S> {
    let error_code = ErrorCode::IllegalSaslState.code();
    Ok(Outcome::Reply(match request.api {
        ApiKey::SaslHandshake => {
            let _: SaslHandshakeRequest = request.decode(body)?;
            request.respond(&SaslHandshakeResponse { error_code, mechanisms: Vec::new() }, [])
        }
        _ => {
            let _: SaslAuthenticateRequest = request.decode(body)?;
            let sentence = "SaslAuthenticate request received after successful authentication";
            let answer = SaslAuthenticateResponse {
                error_code,
                error_message: Some(sentence.into()),
                ..SaslAuthenticateResponse::default()
            };
            request.respond(&answer, [])
        }
    }))
}
