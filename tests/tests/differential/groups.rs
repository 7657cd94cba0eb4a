//! FindCoordinator, JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit, OffsetFetch, ListGroups,
//! DescribeGroups, DeleteGroups, OffsetDelete. All at one level: each at its own version there.

use bytes::Bytes;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, SyncGroupRequest,
};
use ottla_protocol::{ApiKey, ErrorCode, Str, Uuid};

use crate::family;
use crate::session::Session;

#[test]
fn find_coordinator() {
    family("find-coordinator", &[ApiKey::FindCoordinator], &[("all", coordinators)]);
}

#[test]
fn membership() {
    family(
        "membership",
        &[ApiKey::JoinGroup, ApiKey::SyncGroup, ApiKey::Heartbeat, ApiKey::LeaveGroup],
        &[
            ("life of a member", life_of_a_member),
            ("joins refused", joins_refused),
            ("strangers", strangers),
            ("static member", static_member),
            ("stale generation", stale_generation),
        ],
    );
}

#[test]
fn committed_offsets() {
    family(
        "committed-offsets",
        &[ApiKey::OffsetCommit, ApiKey::OffsetFetch, ApiKey::OffsetDelete],
        &[
            ("without members", simple_commits),
            ("of a member", member_commits),
            ("deletion", offset_deletion),
        ],
    );
}

#[test]
fn group_administration() {
    family(
        "group-administration",
        &[ApiKey::ListGroups, ApiKey::DescribeGroups, ApiKey::DeleteGroups],
        &[("all", administration)],
    );
}

/// Waits until the coordinator of the group has loaded.
pub fn ready(session: &mut Session, group: &Str) {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup { group_id: group.clone(), ..Default::default() }],
        ..Default::default()
    };
    let find = FindCoordinatorRequest { coordinator_keys: vec![group.clone()], ..Default::default() };
    session.until("a loaded coordinator", |session| {
        let found = session.quietly(&find).coordinators[0].error_code == 0;
        (found && session.quietly(&request).groups[0].error_code == 0).then_some(())
    });
}

fn coordinators(session: &mut Session) {
    let group = session.name("group");
    ready(session, &group);
    let old =
        |key: &Str, key_type| FindCoordinatorRequest { key: key.clone(), key_type, ..Default::default() };
    let new = |keys: &[&Str], key_type| FindCoordinatorRequest {
        coordinator_keys: keys.iter().map(|&key| key.clone()).collect(),
        key_type,
        ..Default::default()
    };
    let empty = Str::default();
    session.ask("group", &old(&group, 0));
    session.ask("empty group", &old(&empty, 0));
    session.ask("unknown type", &old(&group, 9));
    session.ask("groups", &new(&[&group, &empty], 0));
    session.ask("no keys", &new(&[], 0));
    session.ask("unknown type of several", &new(&[&group], 9));
    session.ask("negative type", &new(&[&group], -1));
    session.ask("a group twice", &new(&[&group, &group], 0));
    session.ask("a share group", &old(&group, 2));
    session.ask("a share partition", &new(&[&group], 2));
    session
        .ask("a share partition by its key", &new(&[&format!("{group}:AAAAAAAAAAAAAAAAAAAAAA:0").into()], 2));
}

fn protocols(names: &[&str]) -> Vec<JoinGroupRequestProtocol> {
    let protocol = |&name: &&str| JoinGroupRequestProtocol {
        name: name.into(),
        // Version 0 of a consumer's subscription to no topics, without user data.
        metadata: Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
    };
    names.iter().map(protocol).collect()
}

fn join(group: &Str, member_id: &Str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.clone(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        member_id: member_id.clone(),
        protocol_type: "consumer".into(),
        protocols: protocols(&["range"]),
        ..Default::default()
    }
}

/// The defaults of JoinGroup at this level: before version 1 there is no rebalance timeout.
fn fitted(session: &Session, request: JoinGroupRequest) -> JoinGroupRequest {
    match session.version::<JoinGroupRequest>() {
        Some(0) => JoinGroupRequest { rebalance_timeout_ms: -1, ..request },
        _ => request,
    }
}

/// Joins an empty group as a consumer does: from version 4 in two steps.
fn joined(session: &mut Session, label: &str, group: &Str) -> JoinGroupResponse {
    let request = fitted(session, join(group, &Str::default()));
    let answer = session.ask(&format!("{label}: join"), &request).expect("JoinGroup is answered");
    if answer.error_code != ErrorCode::MemberIdRequired.code() {
        return answer;
    }
    let request = fitted(session, join(group, &answer.member_id));
    session.ask(&format!("{label}: join with the id"), &request).expect("JoinGroup is answered")
}

fn sync(group: &Str, joined: &JoinGroupResponse, assignment: &'static [u8]) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: group.clone(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: joined.member_id.clone(),
            assignment: Bytes::from_static(assignment),
        }],
        ..Default::default()
    }
}

fn heartbeat(group: &Str, generation_id: i32, member_id: &Str) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: group.clone(),
        generation_id,
        member_id: member_id.clone(),
        ..Default::default()
    }
}

/// LeaveGroup in both of its shapes; the version takes one.
fn leave(session: &mut Session, label: &str, group: &Str, member_id: &Str, instance: Option<&str>) {
    let old =
        LeaveGroupRequest { group_id: group.clone(), member_id: member_id.clone(), ..Default::default() };
    let member = MemberIdentity {
        member_id: member_id.clone(),
        group_instance_id: instance.map(Str::from),
        ..Default::default()
    };
    let new = LeaveGroupRequest { group_id: group.clone(), members: vec![member], ..Default::default() };
    let old_shape = session.version::<LeaveGroupRequest>().is_some_and(|version| version < 3);
    session.ask(label, if old_shape { &old } else { &new });
}

fn life_of_a_member(session: &mut Session) {
    let group = session.name("life");
    ready(session, &group);
    let member = joined(session, "first", &group);
    session.ask("heartbeat before sync", &heartbeat(&group, member.generation_id, &member.member_id));
    session.ask("sync", &sync(&group, &member, b"assigned"));
    session.ask("sync again", &sync(&group, &member, b"other"));
    session.ask("heartbeat", &heartbeat(&group, member.generation_id, &member.member_id));
    let typed = SyncGroupRequest {
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..sync(&group, &member, b"assigned")
    };
    session.ask("sync with its protocol", &typed);
    session.ask(
        "sync with another protocol",
        &SyncGroupRequest { protocol_name: Some("roundrobin".into()), ..typed.clone() },
    );
    session
        .ask("sync with another type", &SyncGroupRequest { protocol_type: Some("connect".into()), ..typed });
    let again = fitted(session, join(&group, &member.member_id));
    session.ask("the leader joins again", &again);
    leave(session, "leave", &group, &member.member_id, None);
    leave(session, "leave again", &group, &member.member_id, None);
    session.ask("heartbeat of who left", &heartbeat(&group, member.generation_id, &member.member_id));
}

fn joins_refused(session: &mut Session) {
    let group = session.name("refused");
    ready(session, &group);
    let good = join(&group, &Str::default());
    let cases = [
        ("session too short", JoinGroupRequest { session_timeout_ms: 1, ..good.clone() }),
        ("session too long", JoinGroupRequest { session_timeout_ms: i32::MAX, ..good.clone() }),
        ("session zero", JoinGroupRequest { session_timeout_ms: 0, ..good.clone() }),
        ("negative session", JoinGroupRequest { session_timeout_ms: -1, ..good.clone() }),
        ("no protocols", JoinGroupRequest { protocols: vec![], ..good.clone() }),
        ("no protocol type", JoinGroupRequest { protocol_type: Str::default(), ..good.clone() }),
        ("empty group", JoinGroupRequest { group_id: Str::default(), ..good.clone() }),
        ("unknown member", JoinGroupRequest { member_id: "stranger".into(), ..good.clone() }),
        ("empty instance", JoinGroupRequest { group_instance_id: Some("".into()), ..good.clone() }),
        ("bad instance", JoinGroupRequest { group_instance_id: Some("no spaces".into()), ..good }),
    ];
    for (label, request) in cases {
        // A group for each: what is not refused is a member there.
        let own = session.name(&format!("refused-{}", label.replace(' ', "-")));
        let group_id = if request.group_id.is_empty() { request.group_id } else { own };
        let request = fitted(session, JoinGroupRequest { group_id, ..request });
        session.ask(label, &request);
    }
    // A member is there: another must speak its protocol.
    let member = joined(session, "member", &group);
    session.ask("member: sync", &sync(&group, &member, b"a"));
    let other = JoinGroupRequest { protocols: protocols(&["sticky"]), ..join(&group, &Str::default()) };
    let other = fitted(session, other);
    session.ask("another protocol", &other);
    let other = JoinGroupRequest { protocol_type: "connect".into(), ..join(&group, &Str::default()) };
    let other = fitted(session, other);
    session.ask("another protocol type", &other);
}

fn strangers(session: &mut Session) {
    let (group, missing) = (session.name("strangers"), session.name("missing"));
    ready(session, &group);
    let stranger = Str::from("stranger");
    let nobody = JoinGroupResponse { member_id: stranger.clone(), generation_id: 1, ..Default::default() };
    for (where_, group_id) in [("unknown group", &missing), ("empty group", &Str::default())] {
        session.ask(&format!("{where_}: heartbeat"), &heartbeat(group_id, 1, &stranger));
        session.ask(&format!("{where_}: sync"), &sync(group_id, &nobody, b"x"));
        leave(session, &format!("{where_}: leave"), group_id, &stranger, None);
    }
    let member = joined(session, "member", &group);
    session.ask("member: sync", &sync(&group, &member, b"x"));
    session.ask("heartbeat", &heartbeat(&group, member.generation_id, &stranger));
    session.ask("sync", &sync(&group, &nobody, b"x"));
    leave(session, "leave", &group, &stranger, None);
    leave(session, "leave with an instance", &group, &stranger, Some("instance"));
    session.ask("nobody leaves", &LeaveGroupRequest { group_id: group, ..Default::default() });
}

fn static_member(session: &mut Session) {
    let group = session.name("static");
    ready(session, &group);
    let of = |member_id: &Str| JoinGroupRequest {
        group_instance_id: Some("one".into()),
        ..join(&group, member_id)
    };
    // Before version 5 there are none.
    let Some(first) = session.ask("join", &of(&Str::default())) else { return };
    let with =
        |request: SyncGroupRequest| SyncGroupRequest { group_instance_id: Some("one".into()), ..request };
    session.ask("sync", &with(sync(&group, &first, b"assigned")));
    let Some(second) = session.ask("join again as a new process", &of(&Str::default())) else { return };
    session.ask("sync of the new process", &with(sync(&group, &second, b"assigned")));
    let beat = |member: &JoinGroupResponse| HeartbeatRequest {
        group_instance_id: Some("one".into()),
        ..heartbeat(&group, member.generation_id, &member.member_id)
    };
    session.ask("heartbeat of the old process", &beat(&first));
    session.ask("heartbeat of the new process", &beat(&second));
    session.ask("sync of the old process", &with(sync(&group, &first, b"assigned")));
    session.ask("join of the old process", &of(&first.member_id));
    leave(session, "the old process leaves", &group, &first.member_id, Some("one"));
    leave(session, "another instance leaves", &group, &Str::default(), Some("two"));
    leave(session, "the instance leaves", &group, &Str::default(), Some("one"));
}

fn stale_generation(session: &mut Session) {
    let group = session.name("stale");
    ready(session, &group);
    let member = joined(session, "member", &group);
    session.ask("sync", &sync(&group, &member, b"assigned"));
    for wrong in [-1, 0, 2, 100] {
        session.ask(&format!("heartbeat of {wrong}"), &heartbeat(&group, wrong, &member.member_id));
        let stale = SyncGroupRequest { generation_id: wrong, ..sync(&group, &member, b"x") };
        session.ask(&format!("sync of {wrong}"), &stale);
    }
}

fn commit(group: &Str, topics: &[(&Str, Uuid)], offset: i64, metadata: Option<&str>) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        committed_metadata: metadata.map(Str::from),
        ..Default::default()
    };
    let topic = |&(name, topic_id): &(&Str, Uuid)| OffsetCommitRequestTopic {
        name: name.clone(),
        topic_id,
        partitions: vec![partition.clone()],
    };
    OffsetCommitRequest {
        group_id: group.clone(),
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

/// OffsetFetch in both of its shapes; `None` asks for all partitions.
fn fetch(
    session: &mut Session,
    label: &str,
    group: &Str,
    topics: Option<&[(&Str, Uuid)]>,
    partition_indexes: &[i32],
) {
    let old_topic = |&(name, _): &(&Str, Uuid)| OffsetFetchRequestTopic {
        name: name.clone(),
        partition_indexes: partition_indexes.to_vec(),
    };
    let new_topic = |&(name, topic_id): &(&Str, Uuid)| OffsetFetchRequestTopics {
        name: name.clone(),
        topic_id,
        partition_indexes: partition_indexes.to_vec(),
    };
    let old = OffsetFetchRequest {
        group_id: group.clone(),
        topics: topics.map(|topics| topics.iter().map(old_topic).collect()),
        ..Default::default()
    };
    let of_group = OffsetFetchRequestGroup {
        group_id: group.clone(),
        topics: topics.map(|topics| topics.iter().map(new_topic).collect()),
        ..Default::default()
    };
    let new = OffsetFetchRequest { groups: vec![of_group], ..Default::default() };
    let old_shape = session.version::<OffsetFetchRequest>().is_some_and(|version| version < 8);
    session.ask(label, if old_shape { &old } else { &new });
}

fn simple_commits(session: &mut Session) {
    let group = session.name("simple");
    let topic = session.topic("simple", 2, &[]);
    let missing = session.name("missing");
    ready(session, &group);
    let known = (&topic.0, topic.1);
    let unknown = (&missing, Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0));
    fetch(session, "before", &group, Some(&[known]), &[0, 1]);
    session.ask("commit", &commit(&group, &[known], 5, Some("a note")));
    fetch(session, "after", &group, Some(&[known]), &[0, 1, 9]);
    session.ask("commit back", &commit(&group, &[known], 2, None));
    fetch(session, "null metadata", &group, None, &[]);
    session.ask("negative offset", &commit(&group, &[known], -1, Some("")));
    session.ask("very negative offset", &commit(&group, &[known], -7, Some("")));
    session.ask("long metadata", &commit(&group, &[known], 3, Some(&"m".repeat(4097))));
    session.ask("longest metadata", &commit(&group, &[known], 3, Some(&"m".repeat(4096))));
    session.ask("unknown topic", &commit(&group, &[unknown], 3, Some("")));
    session.ask("known and unknown", &commit(&group, &[known, unknown], 4, Some("")));
    let mut partition = commit(&group, &[known], 3, Some(""));
    partition.topics[0].partitions[0].partition_index = 9;
    session.ask("unknown partition", &partition);
    session.ask("empty group", &commit(&Str::default(), &[known], 3, Some("")));
    session.ask(
        "a stranger",
        &OffsetCommitRequest {
            member_id: "stranger".into(),
            generation_id_or_member_epoch: 1,
            ..commit(&group, &[known], 3, Some(""))
        },
    );
    session.ask(
        "a generation without a member",
        &OffsetCommitRequest { generation_id_or_member_epoch: 1, ..commit(&group, &[known], 3, Some("")) },
    );
    session.ask("nothing", &commit(&group, &[], 3, Some("")));
    fetch(session, "at the end", &group, Some(&[known, unknown]), &[0]);
    fetch(session, "all at the end", &group, None, &[]);
    fetch(session, "another group", &missing, Some(&[known]), &[0]);
    fetch(session, "another group, all", &missing, None, &[]);
    fetch(session, "empty group id", &Str::default(), Some(&[known]), &[0]);
    fetch(session, "no topics", &group, Some(&[]), &[]);
    let batch = OffsetFetchRequest {
        groups: [&group, &missing]
            .map(|group| OffsetFetchRequestGroup {
                group_id: group.clone(),
                topics: None,
                ..Default::default()
            })
            .into(),
        ..Default::default()
    };
    session.ask("two groups", &batch);
    session.ask("stable", &OffsetFetchRequest { require_stable: true, ..batch.clone() });
    let again = [&batch.groups[..], &batch.groups[..1]].concat();
    session.ask("a group twice", &OffsetFetchRequest { groups: again, ..batch });
    fetch(session, "a topic twice", &group, Some(&[known, known]), &[0]);
    fetch(session, "a partition twice", &group, Some(&[known]), &[0, 0]);
    fetch(session, "a negative partition", &group, Some(&[known]), &[-1]);
    fetch(session, "no partitions", &group, Some(&[known]), &[]);
    fetch(session, "a topic without a name", &group, Some(&[(&Str::default(), Uuid::ZERO)]), &[0]);
    session.ask("no groups", &OffsetFetchRequest::default());
    let mut twice = commit(&group, &[known], 6, Some("first"));
    twice.topics[0].partitions.push(OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: 8,
        ..Default::default()
    });
    session.ask("commit a partition twice", &twice);
    session.ask("commit a topic twice", &commit(&group, &[known, known], 9, Some("twice")));
    let mut negative = commit(&group, &[known], 3, Some(""));
    negative.topics[0].partitions[0].partition_index = -1;
    session.ask("commit a negative partition", &negative);
    let mut none = commit(&group, &[known], 3, Some(""));
    none.topics[0].partitions.clear();
    session.ask("commit no partitions", &none);
    session.ask("commit for nobody", &commit(&group, &[(&Str::default(), Uuid::ZERO)], 3, Some("")));
    session.ask("commit to a bad name", &commit(&group, &[(&"no spaces".into(), Uuid::ZERO)], 3, Some("")));
    for generation in [-2, 0, i32::MAX] {
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: generation,
            ..commit(&group, &[known], 3, Some(""))
        };
        session.ask(&format!("commit of generation {generation}"), &request);
    }
    fetch(session, "then all", &group, None, &[]);
}

fn member_commits(session: &mut Session) {
    let group = session.name("member");
    let topic = session.topic("member", 1, &[]);
    let known = (&topic.0, topic.1);
    ready(session, &group);
    let member = joined(session, "member", &group);
    let of = |generation, member_id: &Str| OffsetCommitRequest {
        generation_id_or_member_epoch: generation,
        member_id: member_id.clone(),
        ..commit(&group, &[known], 7, Some("by a member"))
    };
    session.ask("commit before sync", &of(member.generation_id, &member.member_id));
    session.ask("sync", &sync(&group, &member, b"assigned"));
    session.ask("commit", &of(member.generation_id, &member.member_id));
    session.ask("old generation", &of(member.generation_id - 1, &member.member_id));
    session.ask("generation to come", &of(member.generation_id + 1, &member.member_id));
    session.ask("a stranger", &of(member.generation_id, &"stranger".into()));
    session.ask("without a member", &of(-1, &Str::default()));
    session.ask(
        "an unknown instance",
        &OffsetCommitRequest {
            group_instance_id: Some("instance".into()),
            ..of(member.generation_id, &member.member_id)
        },
    );
    fetch(session, "then", &group, None, &[]);
    leave(session, "leave", &group, &member.member_id, None);
    session.ask("after leaving", &of(member.generation_id, &member.member_id));
    session.ask("after leaving, without a member", &of(-1, &Str::default()));
}

fn offset_deletion(session: &mut Session) {
    let (group, missing) = (session.name("deletion"), session.name("missing"));
    let topic = session.topic("deletion", 1, &[]);
    ready(session, &group);
    session.quietly(&commit(&group, &[(&topic.0, topic.1)], 7, Some("")));
    let of = |group: &Str, name: &Str, partition_index| OffsetDeleteRequest {
        group_id: group.clone(),
        topics: vec![OffsetDeleteRequestTopic {
            name: name.clone(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index }],
        }],
    };
    session.ask("unknown group", &of(&missing, &topic.0, 0));
    session.ask("unknown topic", &of(&group, &missing, 0));
    session.ask("unknown partition", &of(&group, &topic.0, 9));
    session.ask("empty group", &of(&Str::default(), &topic.0, 0));
    let mut several = of(&group, &missing, 0);
    several.topics.extend(of(&group, &topic.0, 7).topics);
    session.ask("several unknown", &several);
    several.group_id = missing.clone();
    session.ask("several unknown of an unknown group", &several);
    session.ask("a negative partition", &of(&group, &topic.0, -1));
    session.ask("an empty name", &of(&group, &Str::default(), 0));
    session.ask("no topics", &OffsetDeleteRequest { group_id: group.clone(), topics: vec![] });
    for name in [&topic.0, &missing] {
        let mut none = of(&group, name, 0);
        none.topics[0].partitions.clear();
        session.ask(&format!("no partitions of {}", name.trim_start_matches("d-")), &none);
    }
    let mut mixed = of(&group, &topic.0, 0);
    mixed.topics[0].partitions.push(OffsetDeleteRequestPartition { partition_index: 9 });
    mixed.topics.extend(of(&group, &missing, 0).topics);
    mixed.topics.extend(of(&group, &topic.0, 0).topics);
    session.ask("known and unknown", &mixed);
    session.ask("delete", &of(&group, &topic.0, 0));
    session.ask("delete again", &of(&group, &topic.0, 0));
    fetch(session, "then", &group, None, &[]);
}

fn administration(session: &mut Session) {
    let (group, missing) = (session.name("listed"), session.name("missing"));
    let topic = session.topic("listed", 1, &[]);
    ready(session, &group);
    let describe = |groups: &[&Str], include_authorized_operations| DescribeGroupsRequest {
        groups: groups.iter().map(|&group| group.clone()).collect(),
        include_authorized_operations,
    };
    let delete = |groups: &[&Str]| DeleteGroupsRequest {
        groups_names: groups.iter().map(|&group| group.clone()).collect(),
    };
    let list = |states: &[&str], types: &[&str]| ListGroupsRequest {
        states_filter: states.iter().map(|&state| state.into()).collect(),
        types_filter: types.iter().map(|&kind| kind.into()).collect(),
    };
    session.ask("describe what is not there", &describe(&[&missing], false));
    session.ask("describe what is not there, with operations", &describe(&[&missing], true));
    session.ask("describe none", &describe(&[], false));
    session.ask("delete none", &delete(&[]));
    session.ask("delete twice", &delete(&[&missing, &missing]));
    session.ask("delete what is not there", &delete(&[&missing]));
    let member = joined(session, "member", &group);
    session.ask("describe while rebalancing", &describe(&[&group], false));
    session.ask("member: sync", &sync(&group, &member, b"assigned"));
    session.ask("describe", &describe(&[&group], false));
    session.ask("describe with operations", &describe(&[&group, &group], true));
    session.ask("delete with members", &delete(&[&group]));
    for (label, states, types) in [
        ("list", &[][..], &[][..]),
        ("list stable", &["Stable"], &[]),
        ("list in small letters", &["stable"], &[]),
        ("list empty", &["Empty"], &[]),
        ("list an unknown state", &["Happy"], &[]),
        ("list classic", &[], &["classic"]),
        ("list consumer", &[], &["consumer"]),
        ("list an unknown type", &[], &["happy"]),
    ] {
        session.ask(label, &list(states, types));
    }
    session.quietly(&OffsetCommitRequest {
        generation_id_or_member_epoch: member.generation_id,
        member_id: member.member_id.clone(),
        ..commit(&group, &[(&topic.0, topic.1)], 7, Some(""))
    });
    leave(session, "leave", &group, &member.member_id, None);
    session.ask("describe when empty", &describe(&[&group], false));
    session.ask("list when empty", &list(&[], &[]));
    session.ask("delete", &delete(&[&group, &missing]));
    session.ask("delete again", &delete(&[&group]));
    session.ask("describe when deleted", &describe(&[&group], false));
    session.ask("list when deleted", &list(&[], &[]));
}
