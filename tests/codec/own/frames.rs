//! Whole frames: size, header, body, and how they look to a reader of bytes.

use ottla_protocol::{
    ApiKey, Bytes, DecodeErrorKind, Decoder, Encoder, Message, RequestHeader, ResponseHeader,
    decode_request_header, encode_request, encode_response,
    messages::{ApiVersionsResponse, MetadataRequest, metadata_request::MetadataRequestTopic},
    tree::{self, Node},
};

fn metadata_request(version: i16) -> Bytes {
    let topics = vec![MetadataRequestTopic { name: Some("news".into()), ..Default::default() }];
    let request = MetadataRequest { topics: Some(topics), ..Default::default() };
    let mut encoder = Encoder::new();
    encode_request(&mut encoder, version, 42, Some("reader".into()), &request).unwrap();
    let frame = encoder.into_bytes().unwrap();
    assert_eq!(frame[..4], (frame.len() as i32 - 4).to_be_bytes(), "a frame begins with its size");
    frame.slice(4..)
}

#[test]
fn a_request_in_both_kinds_of_header() {
    for version in [4, 9] {
        let mut decoder = Decoder::new(metadata_request(version));
        let (api, header) = decode_request_header(&mut decoder).unwrap();
        assert_eq!(api, ApiKey::Metadata);
        assert_eq!((header.request_api_version, header.correlation_id), (version, 42));
        assert_eq!(header.client_id.unwrap(), "reader");
        let request = MetadataRequest::decode(&mut decoder, version).unwrap();
        assert_eq!(request.topics.unwrap()[0].name.as_deref(), Some("news"));
        decoder.finish().unwrap();
    }
}

/// KIP-511: a client of the future asks with a version that we do not know; the answer, in version 0, says so.
#[test]
fn api_versions_from_the_future() {
    let header =
        RequestHeader { request_api_key: 18, request_api_version: 99, correlation_id: 7, client_id: None };
    let mut encoder = Encoder::new();
    header.encode(&mut encoder, 2).unwrap();
    encoder.put(b"a body that nobody here can read");
    let (api, read) = decode_request_header(&mut Decoder::new(encoder.into_bytes().unwrap())).unwrap();
    assert_eq!((api, read.request_api_version, read.correlation_id), (ApiKey::ApiVersions, 99, 7));

    let mut encoder = Encoder::new();
    encode_response(&mut encoder, 0, 7, &ApiVersionsResponse { error_code: 35, ..Default::default() })
        .unwrap();
    let mut decoder = Decoder::new(encoder.into_bytes().unwrap().slice(4..));
    assert_eq!(ResponseHeader::decode(&mut decoder, 0).unwrap().correlation_id, 7);
    assert_eq!(ApiVersionsResponse::decode(&mut decoder, 0).unwrap().error_code, 35);
}

#[test]
fn headers_that_name_nothing() {
    let refused = |key: i16, version: i16| {
        let frame = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0; 8]].concat();
        decode_request_header(&mut Decoder::new(frame)).unwrap_err().kind()
    };
    assert_eq!(refused(1234, 0), DecodeErrorKind::UnknownType(1234));
    assert_eq!(refused(4, 0), DecodeErrorKind::UnknownType(4), "an API of the ZooKeeper era");
    assert_eq!(refused(3, 99), DecodeErrorKind::UnsupportedVersion(99));
    assert_eq!(refused(18, -1), DecodeErrorKind::UnsupportedVersion(-1));
    assert!(matches!(
        decode_request_header(&mut Decoder::new(vec![0])).unwrap_err().kind(),
        DecodeErrorKind::Truncated { .. }
    ));
}

#[test]
fn a_request_as_a_tree_of_byte_ranges() {
    let (nodes, error) = tree::request_tree(metadata_request(9));
    assert_eq!(error, None);
    let mut lines = Vec::new();
    show(&nodes, 0, &mut lines);
    assert_eq!(
        lines,
        [
            "RequestApiKey 0..2 3",
            "RequestApiVersion 2..4 9",
            "CorrelationId 4..8 42",
            "ClientId 8..16 \"reader\"",
            "tagged fields 16..17 0",
            "Topics 17..24 1 elements",
            "  [0] 18..24 ",
            "    Name 18..23 \"news\"",
            "    tagged fields 23..24 0",
            "AllowAutoTopicCreation 24..25 true",
            "IncludeClusterAuthorizedOperations 25..26 false",
            "IncludeTopicAuthorizedOperations 26..27 false",
            "tagged fields 27..28 0",
        ]
    );
}

#[test]
fn a_tree_shows_what_was_read_before_the_damage() {
    let whole = metadata_request(9);
    let (nodes, error) = tree::request_tree(whole.slice(..22));
    assert_eq!(error.unwrap().path(), "Topics[0].Name");
    assert_eq!(nodes.last().unwrap().name, "Topics");
}

fn show(nodes: &[Node], depth: usize, lines: &mut Vec<String>) {
    for Node { name, range, value, children } in nodes {
        lines.push(format!("{:depth$}{name} {}..{} {value}", "", range.start, range.end));
        show(children, depth + 2, lines);
    }
}
