//! What is in an envelope, and what is answered to one that is wrong: as Apache Kafka's `EnvelopeUtils` does.

use std::sync::Arc;

use ottla_protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, EnvelopeRequest, EnvelopeResponse, MetadataRequest,
};
use ottla_protocol::{ApiKey, Bytes, Decoder, Encoder, ErrorCode, Message as _, encode_request};

use super::seal;
use crate::broker::api::CONTROLLER;
use crate::broker::request::{Parsed, parse};
use crate::broker::{Connection, ConnectionEvent, Peer, RequestContext};
use crate::config::BrokerConfig;
use crate::ids::ConnectionId;
use crate::log::MemoryStore;
use crate::machine::{Chunk, Cx, Effect, Effects, Machine as _};
use crate::metadata::{MetadataImage, Published};
use crate::record::Compressors;
use crate::rng::Rng;
use crate::time::Now;
use crate::trace::Traces;

/// `User:eve` in version 0, without a delegation token.
const EVE: &[u8] = b"\0\0\x05User\x04eve\0\0";

fn frame<R: ottla_protocol::Request>(version: i16, request: &R) -> Bytes {
    let mut output = Encoder::new();
    encode_request(&mut output, version, 5, Some("inner".into()), request).expect("it encodes");
    output.into_bytes().expect("no slices").slice(4..)
}

fn envelope(data: impl Into<Bytes>, principal: Option<&[u8]>, address: &[u8]) -> Bytes {
    let envelope = EnvelopeRequest {
        request_data: data.into(),
        request_principal: principal.map(Bytes::copy_from_slice),
        client_host_address: Bytes::copy_from_slice(address),
    };
    frame(0, &envelope)
}

fn read(frame: Bytes) -> Parsed {
    let context = RequestContext::anonymous("CONTROLLER", "/127.0.0.1");
    parse(frame, 1, &context, CONTROLLER)
}

#[track_caller]
fn refused(frame: Bytes) -> ErrorCode {
    match read(frame) {
        Parsed::RefusedEnvelope(_, error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_asks_is_who_asked_the_broker() {
    let inner = || frame(7, &CreateTopicsRequest::default());
    let mut six = [0; 16];
    six[15] = 1;
    for (address, host) in [(&[192, 0, 2, 7][..], "/192.0.2.7"), (&six, "/0:0:0:0:0:0:0:1")] {
        let Parsed::Request(request, _) = read(envelope(inner(), Some(EVE), address)) else {
            panic!("a request")
        };
        assert_eq!((request.api, request.version, request.correlation_id), (ApiKey::CreateTopics, 7, 5));
        let context = request.context;
        assert_eq!((&*context.principal, &*context.host, context.envelope), ("User:eve", host, Some(5)));
        assert_eq!(context.client_id.as_deref(), Some("inner"));
    }
}

#[test]
fn what_cannot_be_had_is_refused_as_kafka_does() {
    let inner = || frame(7, &CreateTopicsRequest::default());
    let here = &[127, 0, 0, 1];
    for principal in [
        None,
        Some(&b""[..]),
        Some(b"\0"),
        Some(b"\0\x01\x05User\x04eve\0\0"),
        Some(b"\0\0\x05User\xff\x7feve"),
    ] {
        let error = refused(envelope(inner(), principal, here));
        assert_eq!(error, ErrorCode::PrincipalDeserializationFailure, "{principal:?}");
    }
    for len in 0..EVE.len() {
        let error = refused(envelope(inner(), Some(&EVE[..len]), here));
        assert_eq!(error, ErrorCode::PrincipalDeserializationFailure, "{len} bytes of the principal");
    }
    for len in [0, 1, 3, 5, 15, 17, 1_000] {
        assert_eq!(refused(envelope(inner(), Some(EVE), &vec![1; len])), ErrorCode::InvalidRequest, "{len}");
    }

    let refused = |data: Bytes| refused(envelope(data, Some(EVE), here));
    assert_eq!(refused(frame(9, &MetadataRequest::default())), ErrorCode::InvalidRequest);
    let twice = envelope(inner(), Some(EVE), here);
    assert_eq!(refused(twice), ErrorCode::InvalidRequest, "an envelope in an envelope");
    let mut from_the_future = inner().to_vec();
    from_the_future[3] = 99;
    let mut of_nobody = inner().to_vec();
    of_nobody[..2].copy_from_slice(&9_999_i16.to_be_bytes());
    for data in
        [Bytes::new(), inner().slice(..3), inner().slice(..9), from_the_future.into(), of_nobody.into()]
    {
        assert_eq!(refused(data.clone()), ErrorCode::UnsupportedVersion, "{data:?}");
    }
}

/// What a controller's connection answers: the error of the envelope, or why it was closed.
fn answered(frame: Bytes) -> Result<i16, String> {
    let config = BrokerConfig { controller_listener_names: vec!["CONTROLLER".into()], ..Default::default() };
    let published = Published::first(MetadataImage::default(), -1, -1, 0);
    let peer = Peer { id: ConnectionId(1), listener: "CONTROLLER".into(), host: "/127.0.0.1".into() };
    let mut connection = Connection::<MemoryStore>::new(peer, Arc::new(config), published, 1, 1);
    let (mut store, compressors) = (MemoryStore::new(), Compressors::default());
    let (mut effects, mut traces) = (Effects::default(), Traces::default());
    let mut cx = Cx {
        now: Now::default(),
        store: &mut store,
        compressors: &compressors,
        effects: &mut effects,
        traces: &mut traces,
    };
    connection.handle(&mut cx, ConnectionEvent::Received(frame));
    match effects.drain().next() {
        Some(Effect::Send { frame, .. }) => {
            let Some(Chunk::Bytes(bytes)) = frame.chunks.first() else { panic!("{frame:?}") };
            // Length, correlation id, tagged fields.
            let mut input = Decoder::new(bytes.slice(9..));
            Ok(EnvelopeResponse::decode(&mut input, 0).expect("an envelope").error_code)
        }
        Some(Effect::Close { reason, .. }) => Err(reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_body_that_cannot_be_read_ends_no_connection() {
    let inner = frame(7, &CreateTopicsRequest::default());
    let cut = inner.slice(..inner.len() - 1);
    let here = &[127, 0, 0, 1];
    assert_eq!(answered(envelope(cut, Some(EVE), here)), Ok(ErrorCode::UnsupportedVersion.code()));
    let whole = envelope(inner, Some(EVE), here);
    assert!(answered(whole.slice(..whole.len() - 1)).is_err(), "an envelope that cannot be read does");
}

#[test]
fn hostile_bytes_are_answers_or_an_end() {
    let inner = frame(5, &DeleteTopicsRequest { topic_names: vec!["t".into()], ..Default::default() });
    let whole = envelope(inner, Some(EVE), &[127, 0, 0, 1]);
    for len in 0..whole.len() {
        assert!(!matches!(read(whole.slice(..len)), Parsed::Request(..)), "{len} bytes");
    }
    let (mut requests, mut answers, mut ends) = (0, 0, 0);
    for seed in 0..20_000 {
        let mut rng = Rng::from_seed(seed);
        let mut bytes = whole.to_vec();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            match rng.below(4) {
                0 => bytes[at] = rng.next_u64() as u8,
                1 => bytes[at] = 0xff,
                2 => bytes.insert(at, rng.next_u64() as u8),
                _ => _ = bytes.remove(at),
            }
        }
        match read(bytes.into()) {
            Parsed::Request(request, body) => {
                requests += 1;
                if request.api == ApiKey::DeleteTopics {
                    let _ = request.decode::<DeleteTopicsRequest>(body);
                }
            }
            Parsed::RefusedEnvelope(request, error) => {
                answers += 1;
                assert!(request.refuse_envelope::<()>(error).len > 0);
            }
            Parsed::Refused(_) | Parsed::UnsupportedApiVersions(_) => ends += 1,
        }
    }
    assert!(requests > 1_000 && answers > 1_000 && ends > 1_000, "{requests} {answers} {ends}");
}

#[test]
fn what_is_sealed_is_opened() {
    for host in ["/192.0.2.7", "/0:0:0:0:0:0:0:1", "/2001:db8:0:0:0:0:0:7"] {
        let context = RequestContext {
            principal: "User:a:b".into(),
            client_id: Some("tool".into()),
            has_token: true,
            ..RequestContext::anonymous("PLAINTEXT", host)
        };
        let sealed = seal(&CreateTopicsRequest::default(), 5, &context).expect("a client's");
        let Parsed::Request(request, _) = read(frame(0, &sealed)) else { panic!("a request") };
        assert_eq!((request.api, request.version), (ApiKey::CreateTopics, 5));
        assert_eq!(
            request.context,
            RequestContext { listener: "CONTROLLER".into(), envelope: Some(5), ..context }
        );
    }
    let unnamed = RequestContext::anonymous("PLAINTEXT", "");
    assert!(seal(&CreateTopicsRequest::default(), 5, &unnamed).is_none());
    assert!(seal(&MetadataRequest::default(), 5, &RequestContext::anonymous("PLAINTEXT", "/::1")).is_none());
}
