//! Changing configuration.

use ottla_protocol::messages::alter_configs_request::{self, AlterConfigsRequest};
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use super::*;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

type Change<'a> = (&'a str, i8, Option<&'a str>);

fn resource(resource_type: i8, name: &str, configs: &[Change<'_>]) -> AlterConfigsResource {
    let configs = configs.iter().map(|(name, config_operation, value)| AlterableConfig {
        name: (*name).into(),
        config_operation: *config_operation,
        value: value.map(Str::from),
    });
    AlterConfigsResource { resource_type, resource_name: name.into(), configs: configs.collect() }
}

fn alter(world: &mut World, resources: Vec<AlterConfigsResource>) -> Vec<(i16, String)> {
    let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
    match world.ask(ControllerRequest::IncrementalAlterConfigs(request)) {
        ControllerResponse::IncrementalAlterConfigs(response) => response
            .responses
            .into_iter()
            .map(|one| (one.error_code, one.error_message.map(String::from).unwrap_or_default()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn refused(world: &mut World, resource_type: i8, name: &str, configs: &[Change<'_>]) -> (i16, String) {
    alter(world, vec![resource(resource_type, name, configs)]).pop().expect("an answer")
}

#[test]
fn every_kind_of_resource() {
    let mut world = World::new();
    world.create(vec![topic("alpha", 1)], false);
    let outcome = alter(
        &mut world,
        vec![
            resource(
                2,
                "alpha",
                &[("retention.ms", SET, Some("5")), ("cleanup.policy", APPEND, Some("compact"))],
            ),
            resource(4, "1", &[("log.cleaner.threads", SET, Some("2"))]),
            resource(4, "", &[("log.cleaner.threads", SET, Some("1"))]),
            resource(32, "g", &[("consumer.session.timeout.ms", SET, Some("45000"))]),
            resource(16, "m", &[("interval.ms", SET, Some("1000"))]),
        ],
    );
    assert!(outcome.iter().all(|(code, _)| *code == 0), "{outcome:?}");
    let image = world.image();
    let topic = image.topic_configs("alpha");
    assert_eq!(topic.get("cleanup.policy").map(|value| &**value), Some("delete,compact"));
    assert_eq!(image.broker_configs(1).len(), 1);
    assert_eq!(image.cluster_configs().len(), 2, "min.insync.replicas was there");
    assert_eq!(image.group_configs("g").len(), 1);
    assert_eq!(refused(&mut world, 2, "alpha", &[("retention.ms", DELETE, None)]).0, 0);
    assert!(!world.image().topic_configs("alpha").contains_key("retention.ms"));
    let world = world.restart();
    assert_eq!(world.image().topic_configs("alpha").len(), 1);
}

#[test]
fn refusals() {
    let mut world = World::new();
    world.create(vec![topic("alpha", 1)], false);
    let set = |value| [("retention.ms", SET, value)];
    let sentences = [
        (2, "nope", &set(Some("5"))[..], 3, "The topic 'nope' does not exist."),
        (2, "", &set(Some("5")), 42, "Default topic resources are not allowed."),
        (2, "alpha", &set(None), 42, "Null value not supported for : retention.ms"),
        (
            2,
            "alpha",
            &set(Some("x")),
            40,
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (2, "alpha", &[("nope", SET, Some("1"))], 40, "Unknown topic config name: nope"),
        (
            2,
            "alpha",
            &[("retention.ms", APPEND, Some("1"))],
            40,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (2, "alpha", &[("retention.ms", 9, Some("1"))], -1, ""),
        (
            2,
            "alpha",
            &[("retention.ms", SET, Some("1")), ("retention.ms", DELETE, None)],
            42,
            "Error due to duplicate config keys",
        ),
        (
            4,
            "7",
            &[("log.cleaner.threads", SET, Some("2"))],
            42,
            "Unexpected broker id, expected 1, but received 7",
        ),
        (4, "x", &[("log.cleaner.threads", SET, Some("2"))], 42, "Node id must be an integer, but it is: x"),
        (4, "1", &[("node.id", SET, Some("2"))], 42, "Cannot update these configs dynamically: [node.id]"),
        (
            4,
            "1",
            &[("min.insync.replicas", SET, Some("1"))],
            40,
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
        ),
        (
            4,
            "",
            &[("min.insync.replicas", DELETE, None)],
            40,
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        ),
        (
            32,
            "",
            &[("consumer.session.timeout.ms", SET, Some("45000"))],
            42,
            "Default group resources are not allowed.",
        ),
        (32, "g", &[("nope", SET, Some("1"))], 40, "Unknown group config name: nope"),
        (16, "", &[("interval.ms", SET, Some("1000"))], 42, "Subscription name can't be empty"),
        (16, "m", &[("nope", SET, Some("1"))], 42, "Unknown client metrics configuration: nope"),
        (
            16,
            "m",
            &[("interval.ms", SET, Some("1"))],
            42,
            "Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        ),
        (9, "q", &[("interval.ms", SET, Some("1000"))], 42, "Unknown resource type 9"),
    ];
    for (kind, name, configs, code, sentence) in sentences {
        assert_eq!(refused(&mut world, kind, name, configs), (code, sentence.to_owned()));
    }
    let twice =
        alter(&mut world, vec![resource(2, "alpha", &set(Some("1"))), resource(2, "alpha", &set(Some("1")))]);
    assert_eq!(twice, vec![(42, "Each resource must appear at most once.".to_owned()); 2]);
    assert_eq!(refused(&mut world, 2, "alpha", &[("nope", DELETE, None)]).0, 0, "what is not there may go");
}

#[test]
fn alter_configs_replaces_everything() {
    let mut world = World::new();
    world.create(vec![with_configs(topic("alpha", 1), &[("retention.ms", Some("5"))])], false);
    let request = AlterConfigsRequest {
        resources: vec![alter_configs_request::AlterConfigsResource {
            resource_type: 2,
            resource_name: "alpha".into(),
            configs: vec![alter_configs_request::AlterableConfig {
                name: "segment.ms".into(),
                value: Some("1000".into()),
            }],
        }],
        validate_only: false,
    };
    let ControllerResponse::AlterConfigs(response) = world.ask(ControllerRequest::AlterConfigs(request))
    else {
        panic!("another answer");
    };
    assert!(response.responses.iter().all(|one| one.error_code == 0));
    let configs = world.image().topic_configs("alpha");
    assert_eq!(configs.keys().map(|key| &**key).collect::<Vec<_>>(), ["segment.ms"]);
}
