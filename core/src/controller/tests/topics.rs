//! Creating, growing and deleting topics: Kafka's codes and sentences.

use ottla_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics_request::CreatableReplicaAssignment;
use ottla_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::{ErrorCode, Uuid};

use super::*;

fn refusal(world: &mut World, topic: CreatableTopic) -> (i16, String) {
    let (_, code, message) = world.create(vec![topic], true).pop().expect("an answer");
    (code, message.unwrap_or_default())
}

#[test]
fn a_topic_with_defaults() {
    let mut world = World::new();
    let request = CreateTopicsRequest {
        topics: vec![with_configs(topic("orders", -1), &[("retention.ms", Some("77"))])],
        ..CreateTopicsRequest::default()
    };
    let ControllerResponse::CreateTopics(mut response) = world.ask(ControllerRequest::CreateTopics(request))
    else {
        panic!("another answer");
    };
    let created = response.topics.pop().expect("an answer");
    assert_eq!((created.error_code, created.num_partitions, created.replication_factor), (0, 1, 1));
    let configs = created.configs.expect("they are given");
    let value = |name: &str| {
        let config = configs.iter().find(|config| *config.name == *name).expect("it is described");
        (config.value.as_deref().map(str::to_owned), config.config_source)
    };
    assert_eq!(value("retention.ms"), (Some("77".to_owned()), 1));
    assert_eq!(value("min.insync.replicas"), (Some("1".to_owned()), 3));
    assert_eq!(value("cleanup.policy"), (Some("delete".to_owned()), 5));
    assert!(configs.is_sorted_by(|one, other| one.name < other.name));
    let found = world.image().topic("orders").expect("it is committed");
    assert_eq!(found.id, created.topic_id);
    let partition = found.partitions.get(&0).expect("it is there");
    assert_eq!(
        (partition.leader, partition.isr.as_slice(), partition.replicas.as_slice()),
        (1, &[1][..], &[1][..])
    );
    assert_eq!(partition.directories.as_slice(), world.image().broker(1).expect("registered").directories);
    let last = world.published.last().expect("published");
    assert!(
        last.delta.topics_created.contains(&created.topic_id) && last.delta.topic_configs_changed("orders")
    );
}

#[test]
fn names() {
    let mut world = World::new();
    world.create(vec![topic("a.b", 1)], false);
    let long = "x".repeat(250);
    for (name, sentence) in [
        ("", "Topic name is invalid: the empty string is not allowed".to_owned()),
        (".", "Topic name is invalid: '.' is not allowed".to_owned()),
        ("a/b", "Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'".to_owned()),
        ("a_b", "Topic 'a_b' collides with existing topic: a.b".to_owned()),
        (&long, format!("Topic name is invalid: the length of '{long}' is longer than the max allowed length 249")),
    ] {
        assert_eq!(refusal(&mut world, topic(name, 1)), (17, sentence));
    }
    assert_eq!(refusal(&mut world, topic("a.b", 1)), (36, "Topic 'a.b' already exists.".to_owned()));
    let prohibited = "Creation of internal topic __cluster_metadata is prohibited.";
    assert_eq!(refusal(&mut world, topic("__cluster_metadata", 1)), (42, prohibited.to_owned()));
    let twice = world.create(vec![topic("t", 1), topic("t", 2), topic("u", 1)], true);
    assert_eq!(
        twice,
        [("u".to_owned(), 0, None), ("t".to_owned(), 42, Some("Duplicate topic name.".to_owned())),]
    );
    assert!(world.image().topic("u").is_none(), "validate only");
}

#[test]
fn numbers() {
    let mut world = World::new();
    let with_factor = |replication_factor| CreatableTopic { replication_factor, ..topic("t", 1) };
    let partitions = "Number of partitions was set to an invalid non-positive value.";
    assert_eq!(refusal(&mut world, topic("t", 0)), (37, partitions.to_owned()));
    assert_eq!(refusal(&mut world, topic("t", -2)), (37, partitions.to_owned()));
    let factor = "Replication factor must be larger than 0, or -1 to use the default value.";
    assert_eq!(refusal(&mut world, with_factor(0)), (38, factor.to_owned()));
    assert_eq!(refusal(&mut world, with_factor(2)), (
        38,
        "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because only 1 \
         broker(s) are registered or some brokers have all their log directories cordoned."
            .to_owned()
    ));
    let (code, message) = refusal(&mut world, topic("t", 10_001));
    assert_eq!((code, message.as_str()), (44, "Excessively large number of partitions per request."));
}

#[test]
fn configs_of_new_topics() {
    let mut world = World::new();
    let mut refused =
        |configs: &[(&str, Option<&str>)]| refusal(&mut world, with_configs(topic("t", 1), configs));
    assert_eq!(refused(&[("nope", Some("1"))]), (40, "Unknown topic config name: nope".to_owned()));
    assert_eq!(
        refused(&[("retention.ms", None)]),
        (40, "Null value not supported for topic configs: retention.ms".to_owned())
    );
    assert_eq!(
        refused(&[("retention.ms", Some("abc"))]),
        (40, "Invalid value abc for configuration retention.ms: Not a number of type LONG".to_owned())
    );
    assert_eq!(
        refused(&[("cleanup.policy", Some("a,delete"))]),
        (
            40,
            "Invalid value a for configuration cleanup.policy: String must be one of: compact, delete"
                .to_owned()
        )
    );
    assert_eq!(refused(&[("retention.ms", Some("1")), ("retention.ms", Some("2"))]).0, 0);
}

#[test]
fn manual_assignments() {
    let mut world = World::new();
    let assigned = |assignments: &[(i32, &[i32])]| CreatableTopic {
        name: "m".into(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: assignments
            .iter()
            .map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
                partition_index: *partition_index,
                broker_ids: broker_ids.to_vec(),
            })
            .collect(),
        configs: Vec::new(),
    };
    let mut refused = |topic: CreatableTopic| refusal(&mut world, topic);
    let invalid = |sentence: &str| (39, sentence.to_owned());
    assert_eq!(refused(assigned(&[(0, &[1]), (1, &[1])])).0, 0);
    assert_eq!(
        refused(CreatableTopic { num_partitions: 1, ..assigned(&[(0, &[1])]) }),
        (42, "A manual partition assignment was specified, but numPartitions was not set to -1.".to_owned())
    );
    assert_eq!(
        refused(CreatableTopic { replication_factor: 1, ..assigned(&[(0, &[1])]) }),
        (
            42,
            "A manual partition assignment was specified, but replication factor was not set to -1."
                .to_owned()
        )
    );
    assert_eq!(
        refused(assigned(&[(1, &[1])])),
        invalid("partitions should be a consecutive 0-based integer sequence")
    );
    assert_eq!(
        refused(assigned(&[(0, &[1]), (0, &[1])])),
        invalid("Found multiple manual partition assignments for partition 0")
    );
    assert_eq!(
        refused(assigned(&[(0, &[])])),
        invalid("The manual partition assignment includes an empty replica list.")
    );
    assert_eq!(
        refused(assigned(&[(0, &[1, 1])])),
        invalid("The manual partition assignment includes the broker 1 more than once.")
    );
    assert_eq!(
        refused(assigned(&[(0, &[1]), (1, &[1, 2])])),
        invalid("The manual partition assignment includes broker 2, but no such broker is registered.")
    );
}

#[test]
fn more_partitions() {
    let mut world = World::new();
    world.create(vec![topic("one", 1), topic("three", 3)], false);
    let grow = |name: &str, count, assignments: Option<&[&[i32]]>| CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments: assignments.map(|assignments| {
            assignments.iter().map(|ids| CreatePartitionsAssignment { broker_ids: ids.to_vec() }).collect()
        }),
    };
    let mut ask = |topics: Vec<CreatePartitionsTopic>| {
        let request = CreatePartitionsRequest { topics, timeout_ms: 1_000, validate_only: false };
        let ControllerResponse::CreatePartitions(response) =
            world.ask(ControllerRequest::CreatePartitions(request))
        else {
            panic!("another answer");
        };
        response
            .results
            .into_iter()
            .map(|one| (one.error_code, one.error_message.map(String::from).unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ask(vec![grow("one", 1, None), grow("three", 2, None), grow("none", 2, None)]),
        [
            (37, "Topic already has 1 partition(s).".to_owned()),
            (37, "The topic three currently has 3 partition(s); 2 would not be an increase.".to_owned()),
            (3, String::new()),
        ]
    );
    assert_eq!(
        ask(vec![grow("one", 3, Some(&[&[1]])), grow("three", 4, Some(&[&[2]]))]),
        [
            (
                39,
                "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."
                    .to_owned()
            ),
            (
                39,
                "The manual partition assignment includes broker 2, but no such broker is registered."
                    .to_owned()
            ),
        ]
    );
    assert_eq!(
        ask(vec![grow("one", 2, None), grow("one", 3, None)]),
        [(42, "Duplicate topic name.".to_owned())]
    );
    assert_eq!(
        ask(vec![grow("one", 3, None), grow("three", 4, Some(&[&[1]]))]),
        [(0, String::new()), (0, String::new())]
    );
    assert_eq!(world.image().topic("one").map(|topic| topic.partitions.size()), Some(3));
    assert_eq!(world.image().topic("three").map(|topic| topic.partitions.size()), Some(4));
}

#[test]
fn deleting() {
    let mut world = World::new();
    world.create(vec![topic("a", 1), topic("b", 1), topic("c", 1)], false);
    let id = |world: &World, name: &str| world.image().topic(name).expect("it exists").id;
    let (b, c) = (id(&world, "b"), id(&world, "c"));
    let absent = Uuid::from_u128(9);
    let by_id = |topic_id| DeleteTopicState { name: None, topic_id };
    let by_name = |name: &str| DeleteTopicState { name: Some(name.into()), topic_id: Uuid::ZERO };
    let both = DeleteTopicState { name: Some("a".into()), topic_id: b };
    let topics =
        vec![by_name("a"), by_id(b), by_name("b"), by_id(absent), by_name("x"), by_id(Uuid::ZERO), both];
    let request = DeleteTopicsRequest { topics, ..DeleteTopicsRequest::default() };
    let ControllerResponse::DeleteTopics(response) = world.ask(ControllerRequest::DeleteTopics(request))
    else {
        panic!("another answer");
    };
    let mut answers: Vec<_> = response
        .responses
        .iter()
        .map(|one| (one.name.as_deref().unwrap_or("-"), one.topic_id, one.error_code))
        .collect();
    answers.sort_unstable();
    let a = answers.iter().find(|(name, _, code)| (*name, *code) == ("a", 0)).expect("a goes").1;
    let mut expected = [
        ("a", a, 0),
        // Both an id and its name: neither counts.
        ("b", b, 42),
        ("-", absent, 100),
        ("x", Uuid::ZERO, 3),
        ("-", Uuid::ZERO, 42),
        ("a", b, 42),
    ];
    expected.sort_unstable();
    assert_eq!(answers, expected);
    assert!(world.image().topic("a").is_none());
    assert!([b, c].iter().all(|id| world.image().topic_by_id(*id).is_some()));
    let deleted = &world.published.last().expect("published").delta.topics_deleted;
    assert_eq!(deleted.len(), 1);

    let names = vec!["c".into(), "c".into()];
    let request = DeleteTopicsRequest { topic_names: names, ..DeleteTopicsRequest::default() };
    let ControllerResponse::DeleteTopics(response) = world.ask(ControllerRequest::DeleteTopics(request))
    else {
        panic!("another answer");
    };
    let messages: Vec<_> = response.responses.iter().map(|one| one.error_message.as_deref()).collect();
    assert_eq!(messages, [Some("Duplicate topic name.")]);
}

#[test]
fn deletion_may_be_disabled() {
    let disabled = config(&[("delete.topic.enable", "false")]);
    let mut world = World::open(MemoryStore::new(), disabled).expect("it opens");
    world.create(vec![topic("a", 1)], false);
    let request = DeleteTopicsRequest { topic_names: vec!["a".into()], ..DeleteTopicsRequest::default() };
    let ControllerResponse::DeleteTopics(response) = world.ask(ControllerRequest::DeleteTopics(request))
    else {
        panic!("another answer");
    };
    let codes: Vec<_> = response.responses.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [ErrorCode::TopicDeletionDisabled.code()]);
    assert!(world.image().topic("a").is_some());
}
