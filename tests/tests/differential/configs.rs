//! DescribeConfigs, IncrementalAlterConfigs, AlterConfigs.

use bytes::Bytes;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, ProduceRequest,
    alter_configs_request, incremental_alter_configs_request,
};
use ottla_protocol::{ApiKey, ErrorCode, Str, Uuid};
use ottla_tests::batch::Batch;
use ottla_tests::peer::{Peer, chosen};

use crate::family;
use crate::session::{Session, versions_of_both};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

#[test]
fn describe_configs() {
    family(
        "describe-configs",
        &[ApiKey::DescribeConfigs],
        &[("topic", describe_topic), ("broker", describe_broker), ("refusals", describe_refused)],
    );
}

#[test]
fn incremental_alter_configs() {
    family(
        "incremental-alter-configs",
        &[ApiKey::IncrementalAlterConfigs],
        &[("topic", increment_topic), ("refusals", increment_refused)],
    );
}

#[test]
fn alter_configs() {
    family("alter-configs", &[ApiKey::AlterConfigs], &[("topic", alter_topic)]);
}

fn describing(resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsRequest {
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: keys.map(|keys| keys.iter().map(|&key| key.into()).collect()),
    };
    DescribeConfigsRequest { resources: vec![resource], ..Default::default() }
}

fn describe_topic(session: &mut Session) {
    let (name, _) =
        session.topic("described", 1, &[("retention.ms", "60000"), ("cleanup.policy", "compact")]);
    session.ask("all", &describing(TOPIC, &name, None));
    let synonyms =
        |request| DescribeConfigsRequest { include_synonyms: true, include_documentation: true, ..request };
    session.ask("all with synonyms and documentation", &synonyms(describing(TOPIC, &name, None)));
    session.ask("some", &describing(TOPIC, &name, Some(&["retention.ms", "segment.bytes", "no.such.key"])));
    session.ask("no keys", &describing(TOPIC, &name, Some(&[])));
}

/// What a broker has is its own affair; what a key of a plain node says is not.
fn describe_broker(session: &mut Session) {
    let keys: &[&str] = &[
        "node.id",
        "num.partitions",
        "default.replication.factor",
        "log.retention.hours",
        "log.retention.ms",
        "log.segment.bytes",
        "log.cleanup.policy",
        "message.max.bytes",
        "compression.type",
        "auto.create.topics.enable",
        "offsets.topic.num.partitions",
        "offsets.retention.minutes",
        "group.min.session.timeout.ms",
        "group.max.session.timeout.ms",
        "group.initial.rebalance.delay.ms",
        "min.insync.replicas",
        "unclean.leader.election.enable",
        "num.network.threads",
        "process.roles",
    ];
    let plain = describing(BROKER, "1", Some(keys));
    session.ask("some keys", &plain);
    session.ask("with synonyms", &DescribeConfigsRequest { include_synonyms: true, ..plain });
    session.ask("default of all brokers", &describing(BROKER, "", None));
}

fn describe_refused(session: &mut Session) {
    let missing = session.name("missing");
    session.ask("unknown topic", &describing(TOPIC, &missing, None));
    session.ask("bad topic name", &describing(TOPIC, "no spaces", None));
    session.ask("empty topic name", &describing(TOPIC, "", None));
    session.ask("another broker", &describing(BROKER, "7", None));
    session.ask("a broker that is no number", &describing(BROKER, "seven", None));
    session.ask("unknown type", &describing(99, "x", None));
    session.ask("no type", &describing(0, "x", None));
    session.ask("nothing", &DescribeConfigsRequest::default());
    session.ask("negative type", &describing(-1, "x", None));
    session.ask("long topic name", &describing(TOPIC, &"n".repeat(250), None));
    session.ask("a group", &describing(GROUP, "some-group", None));
    session.ask("a group without a name", &describing(GROUP, "", None));
    session.ask("client metrics", &describing(CLIENT_METRICS, "some", None));
    session.ask("client metrics without a name", &describing(CLIENT_METRICS, "", None));
    session.ask("loggers of another broker", &describing(LOGGER, "7", None));
    session.ask("loggers of a broker that is no number", &describing(LOGGER, "seven", None));
    session.ask("loggers of no broker", &describing(LOGGER, "", None));
    session.ask("a long number", &describing(BROKER, "99999999999", None));
    session.ask("a negative broker", &describing(BROKER, "-1", None));
    session.ask("a broker with a plus", &describing(BROKER, "+1", Some(&["node.id"])));
    let (name, _) = session.topic("twice", 1, &[]);
    let mut twice = describing(TOPIC, &name, Some(&["retention.ms", "retention.ms"]));
    session.ask("a key twice", &twice);
    twice.resources.push(twice.resources[0].clone());
    session.ask("a resource twice", &twice);
}

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Operation<'a> = (&'a str, i8, Option<&'a str>);

fn incremental(
    resource_type: i8,
    name: &str,
    operations: &[Operation<'_>],
) -> IncrementalAlterConfigsRequest {
    use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let config = |&(name, config_operation, value): &Operation<'_>| AlterableConfig {
        name: name.into(),
        config_operation,
        value: value.map(Str::from),
    };
    let configs = operations.iter().map(config).collect();
    let resource = AlterConfigsResource { resource_type, resource_name: name.into(), configs };
    IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() }
}

const SHOWN: &[&str] = &["retention.ms", "cleanup.policy", "max.message.bytes", "segment.ms"];

fn increment_topic(session: &mut Session) {
    let (name, _) = session.topic("altered", 1, &[]);
    let cases: &[(&str, &[Operation<'_>])] = &[
        ("set", &[("retention.ms", SET, Some("60000")), ("max.message.bytes", SET, Some("5000"))]),
        ("append to a list", &[("cleanup.policy", APPEND, Some("compact"))]),
        ("append what is there", &[("cleanup.policy", APPEND, Some("compact"))]),
        ("subtract from a list", &[("cleanup.policy", SUBTRACT, Some("delete"))]),
        ("subtract what is not there", &[("cleanup.policy", SUBTRACT, Some("delete"))]),
        ("subtract the last", &[("cleanup.policy", SUBTRACT, Some("compact"))]),
        ("delete", &[("retention.ms", DELETE, None)]),
        ("delete what is not set", &[("segment.ms", DELETE, None)]),
        ("delete with a value", &[("max.message.bytes", DELETE, Some("1"))]),
        ("nothing", &[]),
    ];
    for (label, operations) in cases {
        session.ask(label, &incremental(TOPIC, &name, operations));
        session.settle();
        session.ask(&format!("{label}: then"), &describing(TOPIC, &name, Some(SHOWN)));
    }
    let dry = IncrementalAlterConfigsRequest {
        validate_only: true,
        ..incremental(TOPIC, &name, &[("retention.ms", SET, Some("1"))])
    };
    session.ask("validate only", &dry);
    session.settle();
    session.ask("validate only: then", &describing(TOPIC, &name, Some(SHOWN)));
}

fn increment_refused(session: &mut Session) {
    let (name, _) = session.topic("refused", 1, &[]);
    let cases: &[(&str, &[Operation<'_>])] = &[
        ("not a number", &[("retention.ms", SET, Some("soon"))]),
        ("out of bounds", &[("segment.bytes", SET, Some("1"))]),
        ("unknown key", &[("no.such.key", SET, Some("1"))]),
        ("null value", &[("retention.ms", SET, None)]),
        ("append to what is no list", &[("retention.ms", APPEND, Some("1"))]),
        ("unknown operation", &[("retention.ms", 9, Some("1"))]),
        ("a key twice", &[("retention.ms", SET, Some("1")), ("retention.ms", SET, Some("2"))]),
        ("one good, one bad", &[("retention.ms", SET, Some("1")), ("segment.bytes", SET, Some("x"))]),
        ("empty key", &[("", SET, Some("1"))]),
        ("append nothing", &[("cleanup.policy", APPEND, None)]),
    ];
    for (label, operations) in cases {
        session.ask(label, &incremental(TOPIC, &name, operations));
    }
    session.settle();
    session.ask("then", &describing(TOPIC, &name, Some(SHOWN)));
    let missing = session.name("missing");
    let valid: &[Operation<'_>] = &[("retention.ms", SET, Some("1"))];
    session.ask("unknown topic", &incremental(TOPIC, &missing, valid));
    session.ask("empty topic", &incremental(TOPIC, "", valid));
    session.ask("unknown type", &incremental(99, "x", valid));
    session.ask("another broker", &incremental(BROKER, "7", valid));
    session.ask("a broker that is no number", &incremental(BROKER, "seven", valid));
    session
        .ask("a key that a broker reads at start", &incremental(BROKER, "1", &[("node.id", SET, Some("2"))]));
    session.ask("no type", &incremental(0, "x", valid));
    session.ask("negative type", &incremental(-1, "x", valid));
    session.ask("bad topic name", &incremental(TOPIC, "no spaces", valid));
    session.ask(
        "client metrics without a name",
        &incremental(CLIENT_METRICS, "", &[("interval.ms", SET, Some("1000"))]),
    );
    session.ask(
        "client metrics of a bad key",
        &incremental(CLIENT_METRICS, "some", &[("no.such.key", SET, Some("1"))]),
    );
    session.ask(
        "client metrics too often",
        &incremental(CLIENT_METRICS, "some", &[("interval.ms", SET, Some("1"))]),
    );
    session.ask(
        "group without a name",
        &incremental(GROUP, "", &[("consumer.session.timeout.ms", SET, Some("50000"))]),
    );
    session.ask("group of a bad key", &incremental(GROUP, "some", &[("no.such.key", SET, Some("1"))]));
    session.ask("loggers of another broker", &incremental(LOGGER, "7", &[("root", SET, Some("INFO"))]));
    loggers(session, &name);
    session
        .ask("broker: not a number", &incremental(BROKER, "1", &[("log.retention.ms", SET, Some("soon"))]));
    session.ask("broker: an unknown key", &incremental(BROKER, "1", &[("no.such.key", SET, None)]));
    session.ask("broker: null", &incremental(BROKER, "1", &[("log.retention.ms", SET, None)]));
    session.ask(
        "all brokers: not a number",
        &incremental(BROKER, "", &[("log.retention.ms", SET, Some("soon"))]),
    );
    session.ask(
        "all brokers: a key that a broker reads at start",
        &incremental(BROKER, "", &[("node.id", SET, Some("2"))]),
    );
    session.ask(
        "all brokers: min isr removed",
        &incremental(BROKER, "", &[("min.insync.replicas", DELETE, None)]),
    );
    session.ask("a broker's min isr", &incremental(BROKER, "1", &[("min.insync.replicas", SET, Some("1"))]));
    session.ask("nothing", &IncrementalAlterConfigsRequest::default());
    let mut twice = incremental(TOPIC, &name, valid);
    twice.resources.push(twice.resources[0].clone());
    session.ask("a resource twice", &twice);
}

/// The loggers are of each build, but for the root.
fn loggers(session: &mut Session, topic: &str) {
    let shown = describing(LOGGER, "1", Some(&["root"]));
    let steps: &[(&str, &[(&str, i8, Option<&str>)])] = &[
        ("root: set", &[("root", SET, Some("WARN"))]),
        ("root: no level", &[("root", SET, Some("loud"))]),
        ("root: in small letters", &[("root", SET, Some("info"))]),
        ("root: null", &[("root", SET, None)]),
        ("root: removed", &[("root", DELETE, None)]),
        ("root: appended", &[("root", APPEND, Some("INFO"))]),
        ("root: subtracted", &[("root", SUBTRACT, Some("INFO"))]),
        ("root: some other way", &[("root", 9, Some("INFO"))]),
        ("root: twice", &[("root", SET, Some("INFO")), ("root", SET, Some("WARN"))]),
        ("no such logger", &[("no.such.logger", SET, Some("INFO"))]),
        ("no such logger: removed", &[("no.such.logger", DELETE, None)]),
        ("one right, one wrong", &[("root", SET, Some("ERROR")), ("no.such.logger", SET, Some("INFO"))]),
        ("nothing", &[]),
    ];
    for (label, changes) in steps {
        session.ask(&format!("loggers, {label}"), &incremental(LOGGER, "1", changes));
        session.ask(&format!("loggers, {label}: then"), &shown);
    }
    for name in ["", "one"] {
        session.ask("loggers of what is no node", &incremental(LOGGER, name, &[("root", SET, Some("INFO"))]));
    }
    let mut validated = incremental(LOGGER, "1", &[("root", SET, Some("ERROR"))]);
    validated.validate_only = true;
    session.ask("loggers, validated", &validated);
    session.ask("loggers, validated: then", &shown);
    // The loggers' part is decided by the broker, the others' by the controller: the answers are in the order of the request.
    let mut mixed = incremental(TOPIC, topic, &[("retention.ms", SET, Some("70000"))]);
    mixed.resources.extend(incremental(LOGGER, "1", &[("root", SET, Some("ERROR"))]).resources);
    mixed.resources.extend(incremental(TOPIC, "no spaces", &[("retention.ms", SET, Some("1"))]).resources);
    session.ask("loggers and topics", &mixed);
    session.ask("loggers and topics: then", &shown);
    mixed.resources.push(mixed.resources[1].clone());
    session.ask("loggers twice", &mixed);
}

fn alter_topic(session: &mut Session) {
    use alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let (name, _) = session.topic("altered", 1, &[("segment.ms", "60000")]);
    let of = |name: &Str, configs: &[(&str, Option<&str>)], validate_only| {
        let config = |&(name, value): &(&str, Option<&str>)| AlterableConfig {
            name: name.into(),
            value: value.map(Str::from),
        };
        let configs = configs.iter().map(config).collect();
        let resource = AlterConfigsResource { resource_type: TOPIC, resource_name: name.clone(), configs };
        AlterConfigsRequest { resources: vec![resource], validate_only }
    };
    let cases: &[(&str, &[(&str, Option<&str>)], bool)] = &[
        ("validate only", &[("retention.ms", Some("1"))], true),
        ("replaces all", &[("retention.ms", Some("60000")), ("cleanup.policy", Some("compact"))], false),
        ("not a number", &[("retention.ms", Some("soon"))], false),
        ("null", &[("retention.ms", None)], false),
        ("unknown key", &[("no.such.key", Some("1"))], false),
        ("nothing", &[], false),
    ];
    for (label, configs, validate_only) in cases {
        session.ask(label, &of(&name, configs, *validate_only));
        session.settle();
        session.ask(&format!("{label}: then"), &describing(TOPIC, &name, Some(SHOWN)));
    }
    let missing = session.name("missing");
    session.ask("unknown topic", &of(&missing, &[("retention.ms", Some("1"))], false));
    session.ask("empty topic", &of(&Str::default(), &[("retention.ms", Some("1"))], false));
    session
        .ask("a key twice", &of(&name, &[("retention.ms", Some("1")), ("retention.ms", Some("2"))], false));
    session.ask("an empty key", &of(&name, &[("", Some("1"))], false));
    // A resource twice is left out: Apache Kafka never answers that.
    for resource_type in [-1, 0, 99, LOGGER] {
        let mut other = of(&name, &[("retention.ms", Some("1"))], false);
        other.resources[0].resource_type = resource_type;
        session.ask(&format!("type {resource_type}"), &other);
    }
    let mut other = of(&"7".into(), &[("log.retention.ms", Some("1"))], false);
    other.resources[0].resource_type = BROKER;
    session.ask("another broker", &other);
    session.ask("no resources", &AlterConfigsRequest::default());
}

/// A topic without a setting of its own obeys what all brokers were told while they run, after a restart too.
#[test]
fn topics_inherit_what_is_set_at_run_time() {
    for kind in chosen() {
        let mut peer = Peer::start(kind, &[]);
        let versions = versions_of_both(&peer, &peer);
        let mut session = Session::open(&peer, &versions, 0, "d-inherit-");
        let topic = session.topic("inherits", 1, &[]);
        let large = |session: &mut Session| {
            let records = Batch::sized(5_000).encode();
            session.quietly(&producing(&topic, records)).responses[0].partition_responses[0].error_code
        };
        let limit = |session: &mut Session, operation, value| {
            let request = incremental(BROKER, "", &[("message.max.bytes", operation, value)]);
            assert_eq!(session.quietly(&request).responses[0].error_code, 0);
            session.settle();
        };
        assert_eq!(large(&mut session), 0, "{kind:?}");
        limit(&mut session, SET, Some("1000"));
        assert_eq!(large(&mut session), ErrorCode::MessageTooLarge.code(), "{kind:?}");
        peer.restart();
        let mut session = Session::open(&peer, &versions, 0, "d-inherit-again-");
        session.settle();
        assert_eq!(large(&mut session), ErrorCode::MessageTooLarge.code(), "{kind:?} after a restart");
        limit(&mut session, DELETE, None);
        assert_eq!(large(&mut session), 0, "{kind:?}");
    }
}

fn producing((name, topic_id): &(Str, Uuid), records: Bytes) -> ProduceRequest {
    let partition_data = vec![PartitionProduceData { index: 0, records: records.into() }];
    let topic = TopicProduceData { name: name.clone(), topic_id: *topic_id, partition_data };
    ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() }
}
