//! What holds of every message without asking anyone: round trips, lengths, trees.

use ottla_protocol::{
    ApiKey, Decoder, Encoder, ErrorCode, Message, Piece, Records, Struct, encode_response,
    messages::{
        FetchResponse,
        fetch_response::{FetchableTopicResponse, PartitionData},
    },
    registry,
    tree::{self, Node},
};

use crate::common::{again, count, encode, random, seed};

#[test]
fn every_message_comes_back_as_it_went_in() {
    let mut random = random::Random::new(seed() ^ 1);
    for entry in registry::all() {
        let name = entry.spec.name;
        for version in entry.spec.versions.first..=entry.spec.versions.last {
            for _ in 0..count() {
                let mut message = (entry.make)();
                random::fill(&mut *message, version, &mut random);
                let frame = encode(&entry, version, &*message).expect("a message of its own version");
                assert_eq!(entry.spec.encoded_len(version, &*message), Ok(frame.len()), "{name} v{version}");
                let mut read = (entry.make)();
                let mut decoder = Decoder::new(frame.clone());
                entry.spec.decode(&mut decoder, version, Some(&mut *read)).expect(name);
                assert_eq!(decoder.remaining(), 0, "{name} v{version}");
                assert_eq!(format!("{message:?}"), format!("{read:?}"), "{name} v{version}");

                let (nodes, error) =
                    tree::message_tree(entry.spec, version, &mut Decoder::new(frame.clone()));
                assert_eq!(error, None, "{name} v{version}");
                assert_eq!(covered(&nodes, 0), frame.len(), "{name} v{version}: {nodes:#?}");
            }
        }
    }
}

/// Siblings follow each other without overlap, inside their parent; gives where the last ends. Between them
/// stand only lengths, tags and null markers, which belong to the parent.
fn covered(nodes: &[Node], from: usize) -> usize {
    nodes.iter().fold(from, |at, node| {
        assert!(node.range.start >= at && node.range.end >= node.range.start, "{node:?} begins before {at}");
        assert!(covered(&node.children, node.range.start) <= node.range.end, "{node:?}");
        node.range.end
    })
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    use ottla_protocol::messages::ApiVersionsRequest;
    let mut encoder = Encoder::new();
    ApiVersionsRequest { client_software_name: "n".into(), ..Default::default() }
        .encode(&mut encoder, 3)
        .unwrap();
    let mut frame = encoder.into_bytes().unwrap().to_vec();
    assert_eq!(frame.pop(), Some(0), "no tagged fields");
    frame.extend([2, 77, 3, 1, 2, 3, 200, 1, 0]);
    let mut decoder = Decoder::new(frame);
    let read = ApiVersionsRequest::decode(&mut decoder, 3).unwrap();
    assert_eq!(read.client_software_name, "n");
    assert_eq!(decoder.remaining(), 0);
}

#[test]
fn slices_of_a_log_leave_holes() {
    let partition = |index, records| PartitionData { partition_index: index, records, ..Default::default() };
    let whole = vec![7_u8; 5000];
    let response = |records: [Records; 2]| FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: "t".into(),
            partitions: records
                .into_iter()
                .zip(0..)
                .map(|(records, index)| partition(index, records))
                .collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    for version in FetchResponse::SPEC.versions.first..=FetchResponse::SPEC.versions.last {
        let mut plain = response([Records::Bytes(whole.clone().into()), Records::Bytes(vec![9; 3].into())]);
        let mut sliced = response([Records::Slice { len: 5000 }, Records::Slice { len: 3 }]);
        if version >= 13 {
            plain.responses[0].topic = Default::default();
            sliced.responses[0].topic = Default::default();
        }
        let mut encoder = Encoder::new();
        encode_response(&mut encoder, version, 5, &plain).unwrap();
        let plain_pieces = encoder.into_pieces();
        assert!(plain_pieces.len() > 1, "long records are not copied");
        let plain: Vec<u8> = plain_pieces.iter().flat_map(|piece| bytes(piece).to_vec()).collect();

        let mut encoder = Encoder::new();
        encode_response(&mut encoder, version, 5, &sliced).unwrap();
        assert_eq!(encoder.len(), plain.len());
        let mut slices = [whole.clone(), vec![9; 3]].into_iter();
        let mut filled = Vec::new();
        for piece in encoder.into_pieces() {
            match piece {
                Piece::Bytes(bytes) => filled.extend_from_slice(&bytes),
                Piece::Slice { len } => {
                    let slice = slices.next().expect("two holes");
                    assert_eq!(slice.len(), len as usize);
                    filled.extend_from_slice(&slice);
                }
            }
        }
        assert_eq!(filled, plain, "v{version}");
        let size = i32::from_be_bytes(plain[..4].try_into().unwrap());
        assert_eq!(size as usize, plain.len() - 4);
    }
}

fn bytes(piece: &Piece) -> &[u8] {
    match piece {
        Piece::Bytes(bytes) => bytes,
        Piece::Slice { .. } => panic!("no slice was written"),
    }
}

#[test]
fn coordinator_and_metadata_records_carry_type_and_version() {
    use ottla_protocol::records::{
        GroupKey, GroupValue, MetadataRecord,
        group::{GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue},
        metadata::TopicRecord,
    };
    let record = MetadataRecord::from(TopicRecord { name: "t".into(), ..Default::default() });
    let bytes = record.encode(0).unwrap();
    assert_eq!(bytes[..3], [1, 2, 0], "frame version, type, version");
    assert_eq!(MetadataRecord::decode(bytes), Ok((record, 0)));
    MetadataRecord::decode(vec![1, 99, 0].into()).unwrap_err();

    let key = GroupKey::from(OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 3 });
    let bytes = key.encode().unwrap();
    assert_eq!(bytes[..2], [0, 1]);
    assert_eq!(GroupKey::decode(bytes), Ok(key.clone()));
    let value = GroupValue::from(OffsetCommitValue { offset: 42, ..Default::default() });
    let bytes = value.encode(3).unwrap();
    assert_eq!(key.decode_value(bytes), Ok((value, 3)));

    let key = GroupKey::from(GroupMetadataKey { group: "g".into() });
    let value =
        GroupValue::from(GroupMetadataValue { protocol_type: "consumer".into(), ..Default::default() });
    assert_eq!(key.decode_value(value.encode(3).unwrap()), Ok((value, 3)));
}

#[test]
fn names_and_numbers() {
    assert_eq!(ErrorCode::from_code(3), Some(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(ErrorCode::UnknownTopicOrPartition.name(), "UNKNOWN_TOPIC_OR_PARTITION");
    assert_eq!(ErrorCode::UnknownServerError.code(), -1);
    assert_eq!(ApiKey::from_key(1), Some(ApiKey::Fetch));
    assert_eq!(ApiKey::all().len(), 94);
    assert_eq!(ApiKey::ApiVersions.response_header_version(4), 0);
    let defaults: Vec<String> = registry::all().iter().map(|entry| format!("{:?}", (entry.make)())).collect();
    assert_eq!(defaults.len(), registry::all().len());
    let entry = registry::all().into_iter().find(|entry| entry.spec.name == "MetadataRequest").unwrap();
    assert_eq!(again(&entry, 0, vec![0, 0, 0, 0].into()).unwrap().len(), 4);
    let _: &dyn Struct = &*(entry.make)();
}
