//! What must not be read, or written.

use ottla_protocol::{
    DecodeErrorKind, Decoder, EncodeErrorKind, Encoder, Message,
    messages::{
        ApiVersionsRequest, CreateTopicsRequest, MetadataRequest, ProduceRequest,
        create_topics_request::CreatableTopic,
    },
};

fn refused<M: Message>(version: i16, frame: &[u8]) -> (DecodeErrorKind, String) {
    let error = M::decode(&mut Decoder::new(frame.to_vec()), version).expect_err("hostile");
    (error.kind(), error.path().to_owned())
}

#[test]
fn lengths_beyond_the_frame() {
    let (kind, path) = refused::<MetadataRequest>(1, &[0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(kind, DecodeErrorKind::TooManyElements { count: 0x7fff_ffff, remaining: 0 });
    assert_eq!(path, "Topics");
    let (kind, path) = refused::<MetadataRequest>(1, &[0, 0, 0, 1, 0, 9, b't']);
    assert_eq!(kind, DecodeErrorKind::Truncated { needed: 9, remaining: 1 });
    assert_eq!(path, "Topics[0].Name");
}

#[test]
fn more_elements_than_a_request_may_have() {
    let topics = [0, 0, 0, 3, 0, 1, b'a', 0, 1, b'b', 0, 1, b'c'];
    let read = |elements_max| {
        MetadataRequest::decode(&mut Decoder::new(topics.to_vec()).with_elements_max(elements_max), 1)
    };
    assert_eq!(read(3).expect("as many as there may be").topics.map(|topics| topics.len()), Some(3));
    assert_eq!(read(2).expect_err("too many").kind(), DecodeErrorKind::TooManyInAll { count: 3, left: 2 });
}

#[test]
fn negative_lengths() {
    let (kind, path) = refused::<MetadataRequest>(1, &[0xff, 0xff, 0xff, 0xfe]);
    assert_eq!((kind, path.as_str()), (DecodeErrorKind::NegativeLength(-2), "Topics"));
    // Null topics came with version 1.
    let (kind, _) = refused::<MetadataRequest>(0, &[0xff, 0xff, 0xff, 0xff]);
    assert_eq!(kind, DecodeErrorKind::UnexpectedNull);
}

#[test]
fn varints_that_do_not_end() {
    let (kind, path) = refused::<ApiVersionsRequest>(3, &[0xff; 6]);
    assert_eq!((kind, path.as_str()), (DecodeErrorKind::VarintOverflow, "ClientSoftwareName"));
    let (kind, _) = refused::<ApiVersionsRequest>(3, &[0xff, 0xff, 0xff, 0xff, 0x10]);
    assert_eq!(kind, DecodeErrorKind::VarintOverflow);
}

/// Not refused: Java's decoder puts a mark in its place.
#[test]
fn strings_that_are_not_text() {
    let frame = vec![3, 0xc3, 0x28, 1, 0];
    let read = ApiVersionsRequest::decode(&mut Decoder::new(frame), 3).expect("it reads");
    assert_eq!(read.client_software_name, "\u{fffd}(");
}

#[test]
fn strings_longer_than_kafka_takes() {
    let mut frame = vec![0x81, 0x80, 0x02];
    frame.extend([b'x'; 0x8000]);
    frame.extend([1, 0]);
    let (kind, _) = refused::<ApiVersionsRequest>(3, &frame);
    assert_eq!(kind, DecodeErrorKind::StringTooLong(0x8000));
}

#[test]
fn tagged_fields_of_the_wrong_size() {
    // Fetch v12: the cluster id is tag 0; its string takes 3 of the 4 bytes declared.
    use ottla_protocol::messages::FetchRequest;
    let mut encoder = Encoder::new();
    FetchRequest { cluster_id: Some("ab".into()), ..Default::default() }.encode(&mut encoder, 12).unwrap();
    let mut frame = encoder.into_bytes().unwrap().to_vec();
    let tag = frame.len() - 5;
    assert_eq!(frame[tag..], [0, 3, 3, b'a', b'b']);
    frame[tag + 1] = 4;
    frame.push(0);
    let (kind, path) = refused::<FetchRequest>(12, &frame);
    assert_eq!(kind, DecodeErrorKind::TaggedFieldSize { tag: 0, declared: 4, actual: 3 });
    assert_eq!(path, "ClusterId");
}

#[test]
fn versions_that_do_not_exist() {
    let (kind, _) = refused::<ProduceRequest>(99, &[]);
    assert_eq!(kind, DecodeErrorKind::UnsupportedVersion(99));
    let error = ProduceRequest::default().encode(&mut Encoder::new(), -1).unwrap_err();
    assert_eq!(error.kind(), EncodeErrorKind::UnsupportedVersion(-1));
}

#[test]
fn values_that_a_version_cannot_carry() {
    let request = ProduceRequest { transactional_id: Some("t".into()), ..Default::default() };
    let error = request.encode(&mut Encoder::new(), 2).unwrap_err();
    assert_eq!((error.kind(), error.path()), (EncodeErrorKind::FieldNotInVersion(2), "TransactionalId"));

    let long = "x".repeat(40_000);
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic { name: long.as_str().into(), ..Default::default() }],
        ..Default::default()
    };
    for version in [2, 7] {
        let error = request.encode(&mut Encoder::new(), version).unwrap_err();
        assert_eq!((error.kind(), error.path()), (EncodeErrorKind::TooLong(40_000), "Topics[0].Name"));
    }
    assert_eq!(error_text(), "Topics[0].Name: 9 bytes wanted, 1 left (at byte 6)");
}

fn error_text() -> String {
    MetadataRequest::decode(&mut Decoder::new(vec![0, 0, 0, 1, 0, 9, b't']), 1).unwrap_err().to_string()
}
