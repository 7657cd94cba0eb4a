//! Metadata, CreateTopics, CreatePartitions, DeleteTopics, DescribeTopicPartitions.

use ottla_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::metadata_response::MetadataResponseTopic;
use ottla_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeTopicPartitionsRequest,
    MetadataRequest,
};
use ottla_protocol::{ApiKey, Str, Uuid};

use crate::family;
use crate::session::Session;

#[test]
fn create_topics() {
    family(
        "create-topics",
        &[ApiKey::CreateTopics],
        &[
            ("counts", create_with_counts),
            ("names", create_with_names),
            ("assignments", create_with_assignments),
            ("configs", create_with_configs),
            ("existing and duplicates", create_existing_and_duplicates),
            ("validate only", create_validate_only),
            ("without time", without_time),
        ],
    );
}

#[test]
fn create_partitions() {
    family("create-partitions", &[ApiKey::CreatePartitions], &[("all", partitions)]);
}

#[test]
fn delete_topics() {
    family("delete-topics", &[ApiKey::DeleteTopics], &[("all", delete)]);
}

#[test]
fn metadata() {
    family("metadata", &[ApiKey::Metadata], &[("topics", metadata_topics), ("creation", metadata_creation)]);
}

#[test]
fn describe_topic_partitions() {
    family("describe-topic-partitions", &[ApiKey::DescribeTopicPartitions], &[("all", describe)]);
}

fn topic(name: &Str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { name: name.clone(), num_partitions, replication_factor, ..Default::default() }
}

fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() }
}

fn create_with_counts(session: &mut Session) {
    let cases = [
        ("one and one", 1, 1),
        ("three partitions", 3, 1),
        ("defaults", -1, -1),
        ("no partitions", 0, 1),
        ("minus two partitions", -2, 1),
        ("no replicas", 1, 0),
        ("minus two replicas", 1, -2),
        ("more replicas than brokers", 1, 2),
    ];
    for (label, partitions, replicas) in cases {
        let name = session.name(&label.replace(' ', "-"));
        session.ask(label, &create(vec![topic(&name, partitions, replicas)]));
    }
    session.ask("no topics", &create(vec![]));
    let excessive = session.name("excessive");
    session.ask("too many partitions", &create(vec![topic(&excessive, 10_001, 1)]));
    session.ask(
        "too many partitions in all",
        &create(vec![topic(&excessive, 6_000, 1), topic(&session.name("more"), 6_000, 1)]),
    );
    session.ask("most replicas", &create(vec![topic(&session.name("most"), 1, i16::MAX)]));
}

/// A controller that has no time to decide says so.
fn without_time(session: &mut Session) {
    let (name, late) = (session.topic("grow", 1, &[]).0, session.name("late"));
    for timeout_ms in [0, -1] {
        let request = CreateTopicsRequest { timeout_ms, ..create(vec![topic(&late, 1, 1)]) };
        session.ask(&format!("create within {timeout_ms}"), &request);
        let topics = vec![CreatePartitionsTopic { name: name.clone(), count: 2, assignments: None }];
        let request = CreatePartitionsRequest { topics, timeout_ms, validate_only: true };
        session.ask(&format!("grow within {timeout_ms}"), &request);
        let names = DeleteTopicsRequest { topic_names: vec![late.clone()], timeout_ms, ..Default::default() };
        session.ask(&format!("delete by name within {timeout_ms}"), &names);
        let state = DeleteTopicState { name: Some(late.clone()), topic_id: Uuid::ZERO };
        let request = DeleteTopicsRequest { topics: vec![state], timeout_ms, ..Default::default() };
        session.ask(&format!("delete within {timeout_ms}"), &request);
    }
}

fn create_with_names(session: &mut Session) {
    let long = "n".repeat(250);
    let cases = [
        ("empty", ""),
        ("dot", "."),
        ("two dots", ".."),
        ("a space", "has a space"),
        ("a slash", "a/b"),
        ("not ascii", "자리"),
        ("too long", &long),
        ("just not too long", ""),
        ("two topics that collide", "col.lide"),
    ];
    for (label, name) in cases {
        let name = match label {
            "two topics that collide" => session.name(name),
            "just not too long" => format!("{:n<249}", session.name("long-")).into(),
            _ => name.into(),
        };
        session.ask(label, &create(vec![topic(&name, 1, 1)]));
    }
    let collides = session.name("col_lide");
    session.ask("collides", &create(vec![topic(&collides, 1, 1)]));
    session.ask("internal offsets topic", &create(vec![topic(&"__transaction_state".into(), 0, 1)]));
}

fn create_with_assignments(session: &mut Session) {
    let assigned = |session: &Session, label: &str, counts: (i32, i16), rows: &[(i32, &[i32])]| {
        let row = |&(partition_index, brokers): &(i32, &[i32])| CreatableReplicaAssignment {
            partition_index,
            broker_ids: brokers.to_vec(),
        };
        let name = session.name(&label.replace(' ', "-"));
        create(vec![CreatableTopic {
            assignments: rows.iter().map(row).collect(),
            ..topic(&name, counts.0, counts.1)
        }])
    };
    type Case<'a> = (&'a str, (i32, i16), &'a [(i32, &'a [i32])]);
    let cases: &[Case<'_>] = &[
        ("two partitions", (-1, -1), &[(0, &[1]), (1, &[1])]),
        ("with counts too", (1, 1), &[(0, &[1])]),
        ("with a factor only", (-1, 1), &[(0, &[1])]),
        ("unknown broker", (-1, -1), &[(0, &[7])]),
        ("broker twice", (-1, -1), &[(0, &[1, 1])]),
        ("no brokers", (-1, -1), &[(0, &[])]),
        ("negative broker", (-1, -1), &[(0, &[-1])]),
        ("a gap", (-1, -1), &[(0, &[1]), (2, &[1])]),
        ("not from zero", (-1, -1), &[(1, &[1])]),
        ("a partition twice", (-1, -1), &[(0, &[1]), (0, &[1])]),
        ("uneven", (-1, -1), &[(0, &[1]), (1, &[1, 7])]),
    ];
    for (label, counts, rows) in cases {
        let request = assigned(session, label, *counts, rows);
        session.ask(label, &request);
    }
}

fn create_with_configs(session: &mut Session) {
    let cases: &[(&str, &[(&str, Option<&str>)])] = &[
        ("retention", &[("retention.ms", Some("60000"))]),
        ("compacted", &[("cleanup.policy", Some("compact")), ("min.cleanable.dirty.ratio", Some("0.1"))]),
        ("several policies", &[("cleanup.policy", Some("compact,delete"))]),
        ("unknown key", &[("no.such.key", Some("1"))]),
        ("null value", &[("retention.ms", None)]),
        ("not a number", &[("retention.ms", Some("soon"))]),
        ("below the least", &[("segment.bytes", Some("1"))]),
        ("retention below minus one", &[("retention.ms", Some("-2"))]),
        ("unknown policy", &[("cleanup.policy", Some("burn"))]),
        ("unknown compression", &[("compression.type", Some("arj"))]),
        ("level without bounds", &[("compression.gzip.level", Some("100"))]),
        ("ratio above one", &[("min.cleanable.dirty.ratio", Some("1.5"))]),
        ("boolean", &[("preallocate", Some("perhaps"))]),
        ("min isr zero", &[("min.insync.replicas", Some("0"))]),
        (
            "max below min compaction lag",
            &[("min.compaction.lag.ms", Some("1000")), ("max.compaction.lag.ms", Some("10"))],
        ),
        ("a key twice", &[("retention.ms", Some("1000")), ("retention.ms", Some("2000"))]),
        ("remote storage", &[("remote.storage.enable", Some("true"))]),
        ("timestamp type", &[("message.timestamp.type", Some("LogAppendTime"))]),
        ("unknown timestamp type", &[("message.timestamp.type", Some("Never"))]),
    ];
    for (label, configs) in cases {
        let config = |&(name, value): &(&str, Option<&str>)| CreatableTopicConfig {
            name: name.into(),
            value: value.map(Str::from),
        };
        let name = session.name(&label.replace(' ', "-"));
        let configs = configs.iter().map(config).collect();
        session.ask(label, &create(vec![CreatableTopic { configs, ..topic(&name, 1, 1) }]));
    }
}

fn create_existing_and_duplicates(session: &mut Session) {
    let name = session.name("there");
    session.ask("new", &create(vec![topic(&name, 1, 1)]));
    session.ask("again", &create(vec![topic(&name, 1, 1)]));
    let (twice, other) = (session.name("twice"), session.name("other"));
    let request = create(vec![topic(&twice, 1, 1), topic(&other, 1, 1), topic(&twice, 2, 1)]);
    session.ask("twice in a request", &request);
    let (good, bad) = (session.name("good"), session.name("bad"));
    session.ask("one good, one bad", &create(vec![topic(&good, 1, 1), topic(&bad, 0, 1)]));
}

fn create_validate_only(session: &mut Session) {
    let name = session.name("only");
    let dry = |topics| CreateTopicsRequest { validate_only: true, ..create(topics) };
    session.ask("valid", &dry(vec![topic(&name, 2, 1)]));
    session.ask("valid again", &dry(vec![topic(&name, 2, 1)]));
    session.ask("invalid", &dry(vec![topic(&name, 0, 1)]));
    session.ask("for real", &create(vec![topic(&name, 1, 1)]));
    session.ask("existing", &dry(vec![topic(&name, 1, 1)]));
}

fn partitions(session: &mut Session) {
    let grow = |name: &Str, count: i32, brokers: Option<&[&[i32]]>| {
        let row = |brokers: &&[i32]| CreatePartitionsAssignment { broker_ids: brokers.to_vec() };
        let assignments = brokers.map(|rows| rows.iter().map(row).collect());
        CreatePartitionsTopic { name: name.clone(), count, assignments }
    };
    let request =
        |topics, validate_only| CreatePartitionsRequest { topics, timeout_ms: 30_000, validate_only };
    let (name, _) = session.topic("grow", 1, &[]);
    type Case<'a> = (&'a str, i32, Option<&'a [&'a [i32]]>, bool);
    let cases: &[Case<'_>] = &[
        ("validate only", 2, None, true),
        ("to two", 2, None, false),
        ("the same", 2, None, false),
        ("fewer", 1, None, false),
        ("none", 0, None, false),
        ("negative", -1, None, false),
        ("assigned", 3, Some(&[&[1]]), false),
        ("too few assignments", 5, Some(&[&[1]]), false),
        ("too many assignments", 4, Some(&[&[1], &[1]]), false),
        ("unknown broker", 4, Some(&[&[7]]), false),
        ("broker twice", 4, Some(&[&[1, 1]]), false),
        ("no broker", 4, Some(&[&[]]), false),
        ("empty assignments", 4, Some(&[]), false),
    ];
    for (label, count, brokers, validate_only) in cases {
        session.ask(label, &request(vec![grow(&name, *count, *brokers)], *validate_only));
    }
    let missing = session.name("missing");
    session.ask("unknown topic", &request(vec![grow(&missing, 2, None)], false));
    session.ask("a topic twice", &request(vec![grow(&name, 5, None), grow(&name, 6, None)], false));
    session.ask("no topics", &request(vec![], false));
    session.ask("bad name", &request(vec![grow(&"no spaces".into(), 2, None)], false));
}

fn delete(session: &mut Session) {
    let of = |topics: &[(Option<&Str>, Uuid)]| DeleteTopicsRequest {
        topics: topics
            .iter()
            .map(|&(name, topic_id)| DeleteTopicState { name: name.cloned(), topic_id })
            .collect(),
        timeout_ms: 30_000,
        ..Default::default()
    };
    let named = |names: &[&Str]| DeleteTopicsRequest {
        topic_names: names.iter().map(|&name| name.clone()).collect(),
        timeout_ms: 30_000,
        ..Default::default()
    };
    let (name, id) = session.topic("gone", 2, &[]);
    let (other, other_id) = session.topic("other", 1, &[]);
    let missing = session.name("missing");
    let unknown = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
    // Up to version 5 by name in one field, from version 6 in another: one of the two is sent.
    session.ask("unknown", &named(&[&missing]));
    session.ask("by name", &named(&[&name]));
    session.ask("again", &named(&[&name]));
    session.ask("twice in a request", &named(&[&other, &other]));
    session.ask("none", &named(&[]));
    session.ask("unknown name", &of(&[(Some(&missing), Uuid::ZERO)]));
    session.ask("unknown id", &of(&[(None, unknown)]));
    session.ask("neither name nor id", &of(&[(None, Uuid::ZERO)]));
    session.ask("name and id", &of(&[(Some(&name), id)]));
    session.ask("id twice", &of(&[(None, other_id), (None, other_id)]));
    session.ask("by id", &of(&[(None, id)]));
    session.ask("name of the same", &of(&[(Some(&name), Uuid::ZERO)]));
    session.ask("bad name", &of(&[(Some(&"no spaces".into()), Uuid::ZERO)]));
    session.ask("empty name", &of(&[(Some(&Str::default()), Uuid::ZERO)]));
    session.ask("unknown id twice", &of(&[(None, unknown), (None, unknown)]));
    session.ask("neither, twice", &of(&[(None, Uuid::ZERO), (None, Uuid::ZERO)]));
    session
        .ask("id twice and its name", &of(&[(None, other_id), (None, other_id), (Some(&other), Uuid::ZERO)]));
    session.ask("unknown name twice", &of(&[(Some(&missing), Uuid::ZERO), (Some(&missing), Uuid::ZERO)]));
    session.ask("id and its name", &of(&[(Some(&other), Uuid::ZERO), (None, other_id)]));
}

fn named(names: &[&Str]) -> Option<Vec<MetadataRequestTopic>> {
    let named = |name: &&Str| MetadataRequestTopic { name: Some((*name).clone()), ..Default::default() };
    Some(names.iter().map(named).collect())
}

fn metadata_topics(session: &mut Session) {
    let first = session.topic("one", 1, &[]);
    let second = session.topic("two", 3, &[("retention.ms", "60000")]);
    let missing = session.name("missing");
    let plain = MetadataRequest { allow_auto_topic_creation: false, ..Default::default() };
    // Before version 4 a request cannot forbid creation: an unknown topic would be created.
    let cannot_forbid = session.version::<MetadataRequest>().is_some_and(|version| version < 4);
    let plain = MetadataRequest { allow_auto_topic_creation: cannot_forbid, ..plain };
    session.ask("all", &MetadataRequest { topics: None, ..plain });
    session.ask("all, as version 0 says it", &MetadataRequest { topics: Some(vec![]), ..plain });
    session.ask("one", &MetadataRequest { topics: named(&[&first.0]), ..plain });
    session.ask("two", &MetadataRequest { topics: named(&[&second.0, &first.0]), ..plain });
    session.ask("twice", &MetadataRequest { topics: named(&[&first.0, &first.0]), ..plain });
    session.ask("bad name", &MetadataRequest { topics: named(&[&"no spaces".into()]), ..plain });
    session.ask("empty name", &MetadataRequest { topics: named(&[&"".into()]), ..plain });
    if !cannot_forbid {
        session.ask("unknown", &MetadataRequest { topics: named(&[&missing, &first.0]), ..plain });
    }
    let by_id = |topic_id, name: Option<Str>| Some(vec![MetadataRequestTopic { topic_id, name }]);
    let unknown = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
    session.ask("by id", &MetadataRequest { topics: by_id(first.1, None), ..plain });
    session.ask("unknown id", &MetadataRequest { topics: by_id(unknown, None), ..plain });
    session.ask("no id", &MetadataRequest { topics: by_id(Uuid::ZERO, None), ..plain });
    session.ask("id and name", &MetadataRequest { topics: by_id(first.1, Some(first.0.clone())), ..plain });
    session.ask("long name", &MetadataRequest { topics: named(&[&"n".repeat(250).into()]), ..plain });
    let several = |topics: &[(Uuid, Option<&Str>)]| {
        let topic =
            |&(topic_id, name): &(Uuid, Option<&Str>)| MetadataRequestTopic { topic_id, name: name.cloned() };
        Some(topics.iter().map(topic).collect::<Vec<_>>())
    };
    let cases: [(&str, &[(Uuid, Option<&Str>)]); 5] = [
        ("an id and a name", &[(first.1, None), (Uuid::ZERO, Some(&second.0))]),
        ("an id twice", &[(first.1, None), (first.1, None)]),
        ("an id with two names", &[(first.1, Some(&first.0)), (first.1, Some(&second.0))]),
        ("a known and an unknown id", &[(first.1, None), (unknown, None)]),
        ("an id and nobody", &[(first.1, None), (Uuid::ZERO, None)]),
    ];
    for (label, topics) in cases {
        session.ask(label, &MetadataRequest { topics: several(topics), ..plain });
    }
    let operations =
        MetadataRequest { include_topic_authorized_operations: true, topics: named(&[&first.0]), ..plain };
    session.ask("operations of a topic", &operations);
    let operations =
        MetadataRequest { include_cluster_authorized_operations: true, topics: named(&[]), ..plain };
    session.ask("operations of the cluster", &operations);
}

fn metadata_creation(session: &mut Session) {
    let (fresh, refused) = (session.name("fresh"), session.name("refused"));
    let asking = |name: &Str, allow_auto_topic_creation| MetadataRequest {
        topics: named(&[name]),
        allow_auto_topic_creation,
        ..Default::default()
    };
    session.ask("forbidden", &asking(&refused, false));
    session.ask("created", &asking(&fresh, true));
    session.ask("a bad name", &asking(&"no spaces".into(), true));
    session.until("a topic that was created on demand", |session| {
        let metadata = session.quietly(&asking(&fresh, false));
        let is_led = |topic: &MetadataResponseTopic| {
            let partitions = &topic.partitions;
            !partitions.is_empty() && partitions.iter().all(|partition| partition.leader_id >= 0)
        };
        metadata.topics.iter().all(is_led).then_some(())
    });
    session.ask("there", &asking(&fresh, false));
}

fn describe(session: &mut Session) {
    let (name, _) = session.topic("described", 5, &[]);
    let (other, _) = session.topic("other", 1, &[]);
    let missing = session.name("missing");
    let of = |names: &[&Str], limit, cursor: Option<(&Str, i32)>| DescribeTopicPartitionsRequest {
        topics: names.iter().map(|&name| TopicRequest { name: name.clone() }).collect(),
        response_partition_limit: limit,
        cursor: cursor.map(|(name, partition_index)| Cursor { topic_name: name.clone(), partition_index }),
    };
    session.ask("one", &of(&[&name], 2000, None));
    session.ask("two", &of(&[&name, &other], 2000, None));
    session.ask("unknown", &of(&[&missing], 2000, None));
    session.ask("bad name", &of(&[&"no spaces".into()], 2000, None));
    session.ask("limited", &of(&[&name, &other], 2, None));
    session.ask("limit of zero", &of(&[&name], 0, None));
    session.ask("from a cursor", &of(&[&name, &other], 2, Some((&name, 2))));
    session.ask("cursor past the partitions", &of(&[&name, &other], 2, Some((&name, 9))));
    session.ask("cursor at an unknown topic", &of(&[&name, &other], 2, Some((&missing, 0))));
    session.ask("negative cursor", &of(&[&name], 2, Some((&name, -1))));
    session.ask("negative limit", &of(&[&name, &other], -5, None));
    session.ask("twice", &of(&[&name, &name], 2000, None));
    session.ask("empty name", &of(&[&Str::default()], 2000, None));
    session.ask("long name", &of(&[&"n".repeat(250).into()], 2000, None));
    session.ask("cursor after a topic", &of(&[&name, &other], 2000, Some((&other, 0))));
    session.ask("a limit that a topic fills", &of(&[&name, &other], 5, None));
    session.ask("a limit that both fill", &of(&[&name, &other], 6, None));
    session.ask("all of this scenario", &of(&[], 100_000, Some((&name, 0))));
    session.ask("all from a cursor below zero", &of(&[], 100_000, Some((&name, -1))));
}
