//! One request on its way through a connection, and how its response becomes a frame.

use bytes::Bytes;
use ottla_protocol::{
    ApiKey, Decoder, Encoder, ErrorCode, Piece, Request as RequestMessage, RequestHeader,
    Response as ResponseMessage, encode_response,
};

use super::RequestContext;
use super::api::{self, Supported};
use super::envelope;
use crate::machine::{Chunk, Frame};

/// Elements of all arrays of a request. An element of a few bytes is hundreds in memory, until it is answered.
pub const ELEMENTS_MAX: usize = 250_000;

/// What every handler knows of its request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Number of the request on its connection.
    pub id: u64,
    /// Which API.
    pub api: ApiKey,
    /// At which version.
    pub version: i16,
    /// To be echoed.
    pub correlation_id: i32,
    /// Who asks.
    pub context: RequestContext,
}

/// What a frame's header says.
#[derive(Debug)]
pub enum Parsed {
    /// A request of a version that is supported; the body follows.
    Request(Request, Bytes),
    /// ApiVersions of a version that is not: answered with version 0 and an error (KIP-511).
    UnsupportedApiVersions(Request),
    /// An envelope whose content cannot be had: answered with an error.
    RefusedEnvelope(Request, ErrorCode),
    /// Nothing that can be answered: the connection is closed.
    Refused(String),
}

/// Reads the header of a frame.
pub fn parse(frame: Bytes, id: u64, context: &RequestContext, apis: &'static [Supported]) -> Parsed {
    let mut input = Decoder::new(frame);
    let (api, header) = match ottla_protocol::decode_request_header(&mut input) {
        Ok(read) => read,
        Err(error) => return Parsed::Refused(format!("a request's header: {error}")),
    };
    let RequestHeader { request_api_version: version, correlation_id, client_id, .. } = header;
    let Some(Supported { min, max, .. }) = api::find(apis, api) else {
        return Parsed::Refused(format!("{} is not enabled here", api.name()));
    };
    let context = RequestContext { client_id: client_id.map(|id| id.detached()), ..context.clone() };
    let request = Request { id, api, version, correlation_id, context };
    if (*min..=*max).contains(&version) {
        return match api {
            ApiKey::Envelope => unpack(request, input.rest(), apis),
            _ => Parsed::Request(request, input.rest()),
        };
    }
    match api {
        ApiKey::ApiVersions => Parsed::UnsupportedApiVersions(Request { version: 0, ..request }),
        _ => Parsed::Refused(format!("{} v{version} is not enabled here", api.name())),
    }
}

/// Reads the request that is in an envelope, and none that is in two. An envelope that cannot be read ends its connection.
fn unpack(mut outer: Request, body: Bytes, apis: &'static [Supported]) -> Parsed {
    let asked = match outer.decode(body) {
        Ok(asked) => asked,
        Err(reason) => return Parsed::Refused(reason),
    };
    let opened = envelope::open(asked, outer.correlation_id, &outer.context);
    outer.context.envelope = Some(outer.correlation_id);
    let (frame, context) = match opened {
        Ok(opened) => opened,
        Err(error) => return Parsed::RefusedEnvelope(outer, error),
    };
    let key = frame.get(..2).and_then(|key| key.try_into().ok()).map(i16::from_be_bytes);
    match key.and_then(ApiKey::from_key) {
        Some(api) if !envelope::is_forwardable(api) => {
            Parsed::RefusedEnvelope(outer, ErrorCode::InvalidRequest)
        }
        _ => match parse(frame, outer.id, &context, apis) {
            Parsed::Refused(_) => Parsed::RefusedEnvelope(outer, envelope::UNREADABLE),
            parsed => parsed,
        },
    }
}

impl Request {
    /// What answers an envelope without what is in it.
    pub fn refuse_envelope<L>(&self, error: ErrorCode) -> Frame<L> {
        let correlation_id = self.context.envelope.unwrap_or(self.correlation_id);
        match envelope::close(correlation_id, Err(error)) {
            Some(output) => frame(output, []),
            None => Frame { chunks: Vec::new(), len: 0 },
        }
    }

    /// Reads the body.
    pub fn decode<M: RequestMessage>(&self, body: Bytes) -> Result<M, String> {
        M::decode(&mut Decoder::new(body).with_elements_max(ELEMENTS_MAX), self.version)
            .map_err(|error| format!("{} v{}: {error}", self.api.name(), self.version))
    }

    /// The response as a frame; `slices` fill the holes that [`ottla_protocol::Records::Slice`] left, in order. An answer that its
    /// version cannot carry is an empty frame, for which the connection is closed: a mistake of ours never takes the node down.
    pub fn respond<M: ResponseMessage, L>(
        &self,
        response: &M,
        slices: impl IntoIterator<Item = L>,
    ) -> Frame<L> {
        let mut output = Encoder::new();
        if encode_response(&mut output, self.version, self.correlation_id, response).is_err() {
            return Frame { chunks: Vec::new(), len: 0 };
        }
        let Some(correlation_id) = self.context.envelope else { return frame(output, slices) };
        let packed = output.into_bytes().ok().and_then(|inner| envelope::close(correlation_id, Ok(inner)));
        packed.map_or(Frame { chunks: Vec::new(), len: 0 }, |output| frame(output, []))
    }
}

fn frame<L>(output: Encoder, slices: impl IntoIterator<Item = L>) -> Frame<L> {
    let len = output.len();
    let mut slices = slices.into_iter();
    let chunk = |piece| match piece {
        Piece::Bytes(bytes) => Some(Chunk::Bytes(bytes)),
        Piece::Slice { .. } => slices.next().map(Chunk::Slice),
    };
    Frame { chunks: output.into_pieces().into_iter().filter_map(chunk).collect(), len }
}
