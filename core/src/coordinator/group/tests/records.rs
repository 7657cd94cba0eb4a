//! Keys and values as Apache Kafka 4.3.1's own serializer writes them.

use bytes::Bytes;
use ottla_protocol::records::group::group_metadata_value::MemberMetadata;
use ottla_protocol::records::group::{GroupMetadataValue, OffsetCommitValue};
use ottla_protocol::{Str, Uuid};

use crate::coordinator::ReplayAt;
use crate::coordinator::group::{GroupRecord, GroupState};

const AT: ReplayAt = ReplayAt { offset: 0, timestamp: 0, producer_id: -1, producer_epoch: -1 };

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn same(record: &GroupRecord, key: &str, value: Option<&str>) {
    let (key, value) = (hex(key), value.map(hex));
    let (ours, our_value) = record.encode().unwrap();
    assert_eq!((&ours[..], our_value.as_deref()), (&key[..], value.as_deref()));
    assert_eq!(GroupRecord::decode(&key, value.as_deref()).unwrap(), *record);
}

#[test]
fn groups_and_offsets_are_written_as_kafka_writes_them() {
    let member = MemberMetadata {
        member_id: Str::from("m-1"),
        group_instance_id: Some(Str::from("i")),
        client_id: Str::from("c"),
        client_host: Str::from("/127.0.0.1"),
        rebalance_timeout: 60_000,
        session_timeout: 10_000,
        subscription: Bytes::from_static(&[1, 2]),
        assignment: Bytes::from_static(&[3]),
    };
    let value = GroupMetadataValue {
        protocol_type: Str::from("consumer"),
        generation: 7,
        protocol: Some(Str::from("range")),
        leader: Some(Str::from("m-1")),
        current_state_timestamp: 1_700_000_000_000,
        members: vec![member],
    };
    let group = Str::from("g");
    same(
        &GroupRecord::GroupMetadata { group: group.clone(), value: Some(value.into()) },
        "0002000167",
        Some(
            "00030008636f6e73756d657200000007000572616e676500036d2d310000018bcfe568000000000100036d2d31000169000163\
             000a2f3132372e302e302e310000ea60000027100000000201020000000103",
        ),
    );
    same(&GroupRecord::GroupMetadata { group: group.clone(), value: None }, "0002000167", None);

    let topic = Str::from("t");
    let mut uuid = [0; 16];
    (uuid[7], uuid[15]) = (1, 2);
    let offset = OffsetCommitValue {
        offset: 42,
        leader_epoch: 3,
        metadata: Str::from("meta"),
        commit_timestamp: 1_700_000_000_000,
        expire_timestamp: -1,
        topic_id: Uuid(uuid),
    };
    same(
        &GroupRecord::offset_commit(&group, &topic, 5, offset.clone()),
        "000100016700017400000005",
        Some("0004000000000000002a00000003056d6574610000018bcfe5680001001000000000000000010000000000000002"),
    );
    let plain =
        OffsetCommitValue { leader_epoch: -1, metadata: Str::default(), topic_id: Uuid::ZERO, ..offset };
    same(
        &GroupRecord::offset_commit(&group, &topic, 5, plain),
        "000100016700017400000005",
        Some("0004000000000000002affffffff010000018bcfe5680000"),
    );
    // An expiry of its own needs version 1, which has no place for the epoch.
    let expiring = OffsetCommitValue {
        leader_epoch: -1,
        expire_timestamp: 1_700_000_001_000,
        topic_id: Uuid::ZERO,
        ..offset
    };
    same(
        &GroupRecord::offset_commit(&group, &topic, 5, expiring),
        "000100016700017400000005",
        Some("0001000000000000002a00046d6574610000018bcfe568000000018bcfe56be8"),
    );
    same(&GroupRecord::offset_tombstone(&group, &topic, 5), "000100016700017400000005", None);
}

/// A record of a KIP-848 group is kept byte for byte, and its group's name is taken.
#[test]
fn records_of_other_group_types_are_kept() {
    let key = hex("000300026367");
    let record = GroupRecord::decode(&key, Some(&hex("000000000003010008000000000000004d"))).unwrap();
    same(&record, "000300026367", Some("000000000003010008000000000000004d"));
    let mut state = GroupState::default();
    state.replay(AT, &record);
    assert!(state.is_other_group("cg") && !state.has_group("cg"));
    state.replay(AT, &GroupRecord::decode(&key, None).unwrap());
    assert_eq!(state, GroupState::default());
    // Types from the future too.
    let future = GroupRecord::decode(&[0, 99, 0, 1, b'f'], Some(&[1, 2, 3])).unwrap();
    assert_eq!(future.encode().unwrap().1.as_deref(), Some(&[1, 2, 3][..]));
}

#[test]
fn torn_records_are_errors() {
    assert!(GroupRecord::decode(&hex("00020001"), None).is_err());
    assert!(GroupRecord::decode(&hex("0002000167"), Some(&hex("00030008"))).is_err());
    assert!(GroupRecord::decode(&hex("0002000167"), Some(&hex("7fff"))).is_err());
    assert!(GroupRecord::decode(&[0, 2], None).is_err());
}

/// Offsets in a transaction count once it commits, unless a later commit overtook them.
#[test]
fn offsets_of_a_transaction_count_when_it_commits() {
    let (group, topic) = (Str::from("g"), Str::from("t"));
    let commit = |offset| {
        let value = OffsetCommitValue { offset, expire_timestamp: -1, ..OffsetCommitValue::default() };
        GroupRecord::offset_commit(&group, &topic, 0, value)
    };
    let at = |offset, producer_id| ReplayAt { offset, producer_id, ..AT };
    let committed =
        |state: &GroupState| state.offsets().get("g", "t", 0).map(|offset| offset.committed_offset);

    let mut state = GroupState::default();
    state.replay(at(0, 9), &commit(10));
    assert_eq!((committed(&state), state.has_open_transaction("g")), (None, true));
    assert!(state.has_pending_transactional_offset("g", "t", 0));
    let mut aborted = state.clone();
    aborted.replay_end_marker(9, false);
    assert_eq!((committed(&aborted), aborted.has_open_transaction("g")), (None, false));
    let mut overtaken = state.clone();
    overtaken.replay(at(1, -1), &commit(11));
    overtaken.replay_end_marker(9, true);
    assert_eq!(committed(&overtaken), Some(11));
    state.replay_end_marker(9, true);
    assert_eq!(committed(&state), Some(10));
}
