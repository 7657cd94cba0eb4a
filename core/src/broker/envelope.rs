//! Envelopes: a broker passes a client's request on to the active controller, and says who asked (KIP-590).

use core::net::IpAddr;
use std::fmt::Write as _;

use bytes::Bytes;
use ottla_protocol::messages::{EnvelopeRequest, EnvelopeResponse};
use ottla_protocol::records::embedded::DefaultPrincipalData;
use ottla_protocol::{
    ApiKey, Decoder, Encoder, ErrorCode, Message as _, Request, Str, encode_request, encode_response,
};

use super::RequestContext;

/// What is said to a request in an envelope that cannot be read, as Kafka does: the envelope itself is whole.
pub const UNREADABLE: ErrorCode = ErrorCode::UnsupportedVersion;

#[cfg(test)]
mod tests;

/// What a broker may pass on.
const FORWARDABLE: [ApiKey; 20] = [
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::CreateAcls,
    ApiKey::DeleteAcls,
    ApiKey::AlterConfigs,
    ApiKey::CreatePartitions,
    ApiKey::CreateDelegationToken,
    ApiKey::RenewDelegationToken,
    ApiKey::ExpireDelegationToken,
    ApiKey::ElectLeaders,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::AlterClientQuotas,
    ApiKey::AlterUserScramCredentials,
    ApiKey::DescribeQuorum,
    ApiKey::UpdateFeatures,
    ApiKey::UnregisterBroker,
    ApiKey::AddRaftVoter,
    ApiKey::RemoveRaftVoter,
];

/// Whether an API may come in an envelope.
pub fn is_forwardable(api: ApiKey) -> bool {
    FORWARDABLE.contains(&api)
}

/// The frame within, and who sent it; the correlation id is the envelope's.
pub fn open(
    asked: EnvelopeRequest,
    correlation_id: i32,
    context: &RequestContext,
) -> Result<(Bytes, RequestContext), ErrorCode> {
    let principal = asked.request_principal.and_then(principal);
    let (principal, has_token) = principal.ok_or(ErrorCode::PrincipalDeserializationFailure)?;
    let context = RequestContext {
        principal,
        has_token,
        host: address(&asked.client_host_address).ok_or(ErrorCode::InvalidRequest)?,
        envelope: Some(correlation_id),
        ..context.clone()
    };
    Ok((asked.request_data, context))
}

/// A request at this version in its envelope; `None` where it goes without: it is not a client's, or no client's address is known.
pub fn seal<R: Request>(request: &R, version: i16, context: &RequestContext) -> Option<EnvelopeRequest> {
    if !is_forwardable(R::API_KEY) {
        return None;
    }
    let client_host_address = address_bytes(&context.host)?.into();
    let mut inner = Encoder::new();
    encode_request(&mut inner, version, 0, context.client_id.clone(), request).ok()?;
    let (kind, name) = context.principal.split_once(':')?;
    let principal = DefaultPrincipalData {
        type_: kind.into(),
        name: name.into(),
        token_authenticated: context.has_token,
    };
    let mut output = Encoder::new();
    output.put_i16(0);
    principal.encode(&mut output, 0).ok()?;
    Some(EnvelopeRequest {
        // Without its length.
        request_data: inner.into_bytes().ok()?.slice(4..),
        request_principal: Some(output.into_bytes().ok()?),
        client_host_address,
    })
}

/// An answer in its envelope, as a frame. `inner` is a frame, too.
pub fn close(correlation_id: i32, inner: Result<Bytes, ErrorCode>) -> Option<Encoder> {
    let response = match inner {
        // Without its length.
        Ok(frame) => {
            EnvelopeResponse { response_data: Some(frame.slice(4.min(frame.len())..)), error_code: 0 }
        }
        Err(error) => EnvelopeResponse { response_data: None, error_code: error.code() },
    };
    let mut output = Encoder::new();
    encode_response(&mut output, 0, correlation_id, &response).ok()?;
    Some(output)
}

/// The version of `DefaultPrincipalData`, and that: who it is, and whether it came by a delegation token.
fn principal(data: Bytes) -> Option<(Str, bool)> {
    let mut input = Decoder::new(data);
    let version = input.i16().ok().filter(|version| *version == 0)?;
    let principal = DefaultPrincipalData::decode(&mut input, version).ok()?;
    Some((format!("{}:{}", principal.type_, principal.name).into(), principal.token_authenticated))
}

/// The bytes of an address as Kafka prints it.
fn address_bytes(host: &str) -> Option<Vec<u8>> {
    match host.strip_prefix('/')?.parse().ok()? {
        IpAddr::V4(address) => Some(address.octets().to_vec()),
        IpAddr::V6(address) => Some(address.octets().to_vec()),
    }
}

/// An address of four or sixteen bytes as Kafka prints it.
fn address(bytes: &[u8]) -> Option<Str> {
    let mut text = String::from("/");
    match bytes.len() {
        4 => {
            let parts: Vec<String> = bytes.iter().map(u8::to_string).collect();
            text.push_str(&parts.join("."));
        }
        16 => {
            for (index, pair) in bytes.chunks_exact(2).enumerate() {
                let number = pair.iter().fold(0_u16, |number, byte| number << 8 | u16::from(*byte));
                let colon = if index == 0 { "" } else { ":" };
                write!(text, "{colon}{number:x}").ok()?;
            }
        }
        _ => return None,
    }
    Some(text.into())
}
