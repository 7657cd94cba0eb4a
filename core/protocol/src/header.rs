//! Frames: size, header, body.

pub use crate::records::headers::{RequestHeader, ResponseHeader};
use crate::{
    ApiKey, DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, Message, Request, Response, Str,
};

/// Reads the header of a request (the frame without its size) and leaves the decoder at the body.
///
/// The first eight bytes are the same in all header versions: an unknown API key or version is an error of
/// [`DecodeErrorKind::UnknownType`] or [`DecodeErrorKind::UnsupportedVersion`], except for ApiVersions, whose
/// unknown versions read as version 0 of the header's tail so that the broker can answer which it speaks.
pub fn decode_request_header(decoder: &mut Decoder) -> Result<(ApiKey, RequestHeader), DecodeError> {
    let mut ahead = decoder.clone();
    let key = ahead.i16()?;
    let version = ahead.i16()?;
    let error = |kind| Err(DecodeError::new(kind, 0));
    let Some(api) = ApiKey::from_key(key) else { return error(DecodeErrorKind::UnknownType(i64::from(key))) };
    let Some(versions) = api.valid_versions() else {
        return error(DecodeErrorKind::UnknownType(i64::from(key)));
    };
    let header_version = match api {
        // Every version since 3 is flexible, those to come as well.
        ApiKey::ApiVersions if version > versions.last => 2,
        _ if versions.contains(version) => api.request_header_version(version),
        _ => return error(DecodeErrorKind::UnsupportedVersion(version)),
    };
    let header = RequestHeader::decode(decoder, header_version)?;
    Ok((api, header))
}

/// Appends a whole request frame, its size first.
pub fn encode_request<R: Request>(
    encoder: &mut Encoder,
    version: i16,
    correlation_id: i32,
    client_id: Option<Str>,
    request: &R,
) -> Result<(), EncodeError> {
    let header = RequestHeader {
        request_api_key: R::API_KEY.key(),
        request_api_version: version,
        correlation_id,
        client_id,
    };
    let (header_version, body) = (R::API_KEY.request_header_version(version), request);
    framed(encoder, |encoder| {
        header.encode(encoder, header_version)?;
        body.encode(encoder, version)
    })
}

/// Appends a whole response frame, its size first. Where the body holds slices of a log, the size counts them.
pub fn encode_response<R: Response>(
    encoder: &mut Encoder,
    version: i16,
    correlation_id: i32,
    response: &R,
) -> Result<(), EncodeError> {
    let header_version = R::API_KEY.response_header_version(version);
    framed(encoder, |encoder| {
        ResponseHeader { correlation_id }.encode(encoder, header_version)?;
        response.encode(encoder, version)
    })
}

fn framed(
    encoder: &mut Encoder,
    write: impl FnOnce(&mut Encoder) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let at = encoder.start_frame();
    write(encoder)?;
    encoder.end_frame(at)
}
