//! Putting `throttle_time_ms` into an answer that is encoded already.

use ottla_protocol::{Bytes, Decoder, Message as _, ResponseHeader};

use crate::broker::request::Request;
use crate::machine::{Chunk, Frame};

/// Of a frame, before its header.
const LENGTH_BYTES: usize = 4;

/// Says in the answer to a request how long the client has to wait, where the version has a place for it.
pub fn set_throttle_time<L>(request: &Request, mut frame: Frame<L>, throttle_ms: i32) -> Frame<L> {
    // Only answers to Fetch hold slices, and those are empty when they say this.
    let [Chunk::Bytes(bytes)] = frame.chunks.as_mut_slice() else { return frame };
    let mut patched = bytes.to_vec();
    if let Some(field) = place(request, bytes).and_then(|at| patched.get_mut(at..)?.first_chunk_mut()) {
        *field = throttle_ms.to_be_bytes();
        *bytes = patched.into();
    }
    frame
}

fn place(request: &Request, frame: &Bytes) -> Option<usize> {
    let (api, version) = (request.api, request.version);
    let mut decoder = Decoder::new(frame.slice(LENGTH_BYTES.min(frame.len())..));
    ResponseHeader::decode(&mut decoder, api.response_header_version(version)).ok()?;
    Some(api.response()?.find(&mut decoder, version, "ThrottleTimeMs")? + LENGTH_BYTES)
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::produce_response::{
        PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
    };
    use ottla_protocol::messages::{ApiVersionsResponse, HeartbeatResponse, SaslHandshakeResponse};
    use ottla_protocol::{ApiKey, Response};

    use super::*;
    use crate::broker::RequestContext;

    fn request(api: ApiKey, version: i16) -> Request {
        let context = RequestContext::anonymous("PLAINTEXT", "/127.0.0.1");
        Request { id: 0, api, version, correlation_id: 7, context }
    }

    /// What an answer says after it was told to say 1,234 ms.
    fn told<R: Response>(version: i16, answer: &R) -> R {
        let request = request(R::API_KEY, version);
        let frame = set_throttle_time(&request, request.respond::<R, ()>(answer, []), 1_234);
        let [Chunk::Bytes(bytes)] = frame.chunks.as_slice() else { panic!("one piece") };
        assert_eq!(bytes.len(), frame.len);
        let mut decoder = Decoder::new(bytes.slice(LENGTH_BYTES..));
        let header = ResponseHeader::decode(&mut decoder, R::API_KEY.response_header_version(version));
        assert_eq!(header.expect("a header").correlation_id, 7);
        R::decode(&mut decoder, version).expect("an answer")
    }

    #[test]
    fn it_is_said_wherever_it_stands() {
        for version in 0..=4 {
            let expected = if version >= 1 { 1_234 } else { 0 };
            assert_eq!(told(version, &HeartbeatResponse::default()).throttle_time_ms, expected);
            assert_eq!(told(version, &ApiVersionsResponse::default()).throttle_time_ms, expected);
        }
        let partition = PartitionProduceResponse { error_message: Some("why".into()), ..Default::default() };
        let topic = TopicProduceResponse {
            name: "topic".into(),
            partition_responses: vec![partition; 3],
            ..Default::default()
        };
        let answer = ProduceResponse { responses: vec![topic], ..Default::default() };
        assert_eq!(told(12, &answer), ProduceResponse { throttle_time_ms: 1_234, ..answer });
        assert_eq!(told(1, &SaslHandshakeResponse::default()), SaslHandshakeResponse::default());
    }
}
