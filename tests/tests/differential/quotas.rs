//! Quotas of clients and what becomes of those who use too much; credentials for SCRAM.

use std::time::{Duration, Instant};

use ottla_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use ottla_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use ottla_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::describe_client_quotas_request::ComponentData;
use ottla_protocol::messages::describe_user_scram_credentials_request::UserName;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{
    AlterClientQuotasRequest, AlterUserScramCredentialsRequest, ApiVersionsRequest, CreatePartitionsRequest,
    CreateTopicsRequest, DeleteTopicsRequest, DescribeClientQuotasRequest,
    DescribeUserScramCredentialsRequest, FetchRequest, HeartbeatRequest, MetadataRequest, ProduceRequest,
};
use ottla_protocol::{ApiKey, Request, Str, Uuid};
use ottla_tests::batch::Batch;

use crate::family;
use crate::session::{KEPT, Session};

#[test]
fn client_quotas() {
    family(
        "client-quotas",
        &[ApiKey::AlterClientQuotas, ApiKey::DescribeClientQuotas],
        &[
            ("altered", altered),
            ("refused", refused),
            ("filters", filters),
            ("refused filters", refused_filters),
        ],
    );
    throttled_clients();
}

/// One after the other: a limit of everybody takes the place of a client's own.
fn throttled_clients() {
    family(
        "throttled-clients",
        // The scenarios choose their versions themselves: once is enough.
        &[ApiKey::AlterUserScramCredentials],
        &[
            ("producer", producer),
            ("consumer", consumer),
            ("request time", request_time),
            ("mutations", mutations),
            ("mutations of old", mutations_of_old),
        ],
    );
}

#[test]
fn scram_credentials() {
    family(
        "scram-credentials",
        &[ApiKey::AlterUserScramCredentials, ApiKey::DescribeUserScramCredentials],
        &[("altered", credentials), ("refused", refused_credentials)],
    );
}

/// An entity: kinds and names, `None` for the default.
type Entity<'a> = &'a [(&'a str, Option<&'a str>)];

/// Limits by key; `None` removes one.
type Limits<'a> = &'a [(&'a str, Option<f64>)];

fn entry(entity: Entity<'_>, limits: Limits<'_>) -> EntryData {
    let part = |(kind, name): &(&str, Option<&str>)| EntityData {
        entity_type: (*kind).into(),
        entity_name: name.map(Into::into),
    };
    let op = |(key, value): &(&str, Option<f64>)| OpData {
        key: (*key).into(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
    };
    EntryData { entity: entity.iter().map(part).collect(), ops: limits.iter().map(op).collect() }
}

fn altering(entity: Entity<'_>, limits: Limits<'_>) -> AlterClientQuotasRequest {
    AlterClientQuotasRequest { entries: vec![entry(entity, limits)], validate_only: false }
}

/// Components: kind, how it is to match (0 exactly, 1 the default, 2 any), name.
fn describing(components: &[(&str, i8, Option<&str>)], strict: bool) -> DescribeClientQuotasRequest {
    let component = |(kind, match_type, name): &(&str, i8, Option<&str>)| ComponentData {
        entity_type: (*kind).into(),
        match_type: *match_type,
        match_: name.map(Into::into),
    };
    DescribeClientQuotasRequest { components: components.iter().map(component).collect(), strict }
}

/// So much that nobody is throttled.
const PLENTY: f64 = 1e12;
const PRODUCER: &str = "producer_byte_rate";
const CONSUMER: &str = "consumer_byte_rate";
const TIME: &str = "request_percentage";
const MUTATIONS: &str = "controller_mutation_rate";
const CONNECTIONS: &str = "connection_creation_rate";

fn altered(session: &mut Session) {
    let names = ["user", "client"].map(|stem| session.name(stem));
    let (user, client): (&str, &str) = (&names[0], &names[1]);
    let cases: [(&str, Entity<'_>); 5] = [
        ("a user", &[("user", Some(user))]),
        ("a client id", &[("client-id", Some(client))]),
        ("both", &[("client-id", Some(client)), ("user", Some(user))]),
        ("a user and any client", &[("user", Some(user)), ("client-id", None)]),
        ("any user and a client", &[("user", None), ("client-id", Some(client))]),
    ];
    for (label, entity) in cases {
        let dry =
            AlterClientQuotasRequest { validate_only: true, ..altering(entity, &[(PRODUCER, Some(1e9))]) };
        session.ask(&format!("{label}: validate only"), &dry);
        session
            .ask(&format!("{label}: set"), &altering(entity, &[(PRODUCER, Some(1e9)), (TIME, Some(0.5e9))]));
        session.ask(&format!("{label}: again"), &altering(entity, &[(PRODUCER, Some(1e9))]));
        session.ask(
            &format!("{label}: more"),
            &altering(entity, &[(CONSUMER, Some(2e9)), (MUTATIONS, Some(2.5e9))]),
        );
    }
    session.settle();
    for strict in [true, false] {
        let of_user = [("user", 0, Some(user))];
        session.ask(&format!("the user, strict {strict}"), &describing(&of_user, strict));
        let of_client = [("client-id", 0, Some(client))];
        session.ask(&format!("the client, strict {strict}"), &describing(&of_client, strict));
    }
    for (label, entity) in cases {
        session.ask(
            &format!("{label}: remove one"),
            &altering(entity, &[(PRODUCER, None), (CONSUMER, Some(3e9))]),
        );
    }
    session.settle();
    session.ask("after one was removed", &describing(&[("user", 0, Some(user))], false));
    let rest: Limits<'_> = &[(TIME, None), (CONSUMER, None), (MUTATIONS, None), (PRODUCER, None)];
    let all = cases.map(|(_, entity)| entry(entity, rest)).to_vec();
    session.ask("remove all", &AlterClientQuotasRequest { entries: all, validate_only: false });
    session.settle();
    session.ask("after all were removed", &describing(&[("user", 0, Some(user))], false));
    session.ask("nothing", &AlterClientQuotasRequest::default());
    session.ask("no limits", &altering(&[("user", Some(user))], &[]));

    // All that is of addresses.
    let ip: Entity<'_> = &[("ip", Some("10.1.2.3"))];
    session.ask("an address", &altering(ip, &[(CONNECTIONS, Some(12.0))]));
    session.ask("any address", &altering(&[("ip", None)], &[(CONNECTIONS, Some(1e6))]));
    session.settle();
    session.ask("addresses", &describing(&[("ip", 2, None)], true));
    session.ask("the address", &describing(&[("ip", 0, Some("10.1.2.3"))], true));
    session.ask("the default address", &describing(&[("ip", 1, None)], false));
    for entity in [ip, &[("ip", None)]] {
        session.ask("no address", &altering(entity, &[(CONNECTIONS, None)]));
    }
}

fn refused(session: &mut Session) {
    let user = session.name("refused");
    let user: Entity<'_> = &[("user", Some(&user))];
    let ip: Entity<'_> = &[("ip", Some("10.0.0.1"))];
    let rate: Limits<'_> = &[(PRODUCER, Some(PLENTY))];
    let cases: &[(&str, Entity<'_>, Limits<'_>)] = &[
        ("nobody", &[], rate),
        ("an unknown kind", &[("group", Some("x"))], rate),
        ("a kind without a name", &[("", Some("x"))], rate),
        ("an empty user", &[("user", Some(""))], rate),
        ("an empty client id", &[("client-id", Some(""))], rate),
        ("an empty address", &[("ip", Some(""))], &[(CONNECTIONS, Some(1.0))]),
        ("an address and a user", &[("ip", Some("10.0.0.1")), ("user", None)], rate),
        ("an address and a client id", &[("ip", None), ("client-id", Some("x"))], rate),
        ("no address", &[("ip", Some("not an address"))], &[(CONNECTIONS, Some(1.0))]),
        ("a user twice", &[("user", Some("one")), ("user", Some("two"))], &[("unknown", Some(1.0))]),
        ("an unknown key", user, &[("unknown", Some(1.0))]),
        ("an unknown key is removed", user, &[("unknown", None)]),
        ("the key of an address", user, &[(CONNECTIONS, Some(1.0))]),
        ("a client's key of an address", ip, rate),
        ("zero", user, &[(PRODUCER, Some(0.0))]),
        ("less than zero", user, &[(TIME, Some(-1.0))]),
        ("a fraction of a byte", user, &[(PRODUCER, Some(1e9 + 0.5))]),
        ("hardly a fraction", user, &[(PRODUCER, Some(1e9 + 1e-7))]),
        ("too many bytes", user, &[(PRODUCER, Some(1e19))]),
        ("no number", user, &[(TIME, Some(f64::NAN))]),
        ("without end", user, &[(MUTATIONS, Some(f64::INFINITY))]),
        ("half a connection", ip, &[(CONNECTIONS, Some(0.5))]),
        ("too many connections", ip, &[(CONNECTIONS, Some(3e9))]),
        ("no connections", ip, &[(CONNECTIONS, Some(0.0))]),
        ("a key twice", user, &[(PRODUCER, Some(PLENTY)), (PRODUCER, None)]),
        ("one of two is wrong", user, &[(CONSUMER, Some(PLENTY)), (PRODUCER, Some(-1.0))]),
    ];
    for (label, entity, limits) in cases {
        session.ask(label, &altering(entity, limits));
        let dry = AlterClientQuotasRequest { validate_only: true, ..altering(entity, limits) };
        session.ask(&format!("{label}, validate only"), &dry);
    }
    let twice = vec![entry(user, rate), entry(user, &[(CONSUMER, Some(PLENTY))])];
    session.ask("an entity twice", &AlterClientQuotasRequest { entries: twice, validate_only: false });
    let mixed = vec![entry(user, &[("unknown", Some(1.0))]), entry(&[("client-id", user[0].1)], rate)];
    session
        .ask("one right and one wrong", &AlterClientQuotasRequest { entries: mixed, validate_only: false });
    session.settle();
    session.ask("what is left", &describing(&[("user", 0, user[0].1)], false));
    session.ask("what is left of the client", &describing(&[("client-id", 0, user[0].1)], false));
    let removed = [user, &[("client-id", user[0].1)]]
        .map(|entity| entry(entity, &[(PRODUCER, None), (CONSUMER, None), (MUTATIONS, None), (TIME, None)]));
    session.quietly(&AlterClientQuotasRequest { entries: removed.to_vec(), validate_only: false });
}

/// Entities of every shape, and filters that let some of them through.
fn filters(session: &mut Session) {
    let names = ["one", "two"].map(|stem| session.name(stem));
    let named = [Some(&*names[0]), Some(&*names[1]), None];
    let mut entities: Vec<Vec<(&str, Option<&str>)>> = Vec::new();
    for name in named {
        entities.extend([vec![("user", name)], vec![("client-id", name)]]);
        entities.extend(named.map(|other| vec![("user", name), ("client-id", other)]));
    }
    let with = |limits: Limits<'_>| AlterClientQuotasRequest {
        entries: entities.iter().map(|entity| entry(entity, limits)).collect(),
        validate_only: false,
    };
    session.ask("set", &with(&[(PRODUCER, Some(PLENTY)), (CONSUMER, Some(PLENTY))]));
    session.settle();
    let of = |kind: &'static str| {
        let one: Option<&str> = named[0];
        [(kind, 0, one), (kind, 0, Some("nobody")), (kind, 0, Some("")), (kind, 1, None), (kind, 2, None)]
    };
    for strict in [false, true] {
        for kind in ["user", "client-id", "ip"] {
            for (at, component) in of(kind).iter().enumerate() {
                session.ask(&format!("{kind} {at}, strict {strict}"), &describing(&[*component], strict));
            }
        }
        for (user, user_component) in of("user").iter().enumerate() {
            for (client, client_component) in of("client-id").iter().enumerate() {
                let both = [*user_component, *client_component];
                session.ask(
                    &format!("user {user}, client {client}, strict {strict}"),
                    &describing(&both, strict),
                );
            }
        }
    }
    session.ask("nothing asked for", &describing(&[], true));
    session.ask("everything", &describing(&[], false));
    session.ask("removed", &with(&[(PRODUCER, None), (CONSUMER, None)]));
    session.settle();
    session.ask("nothing left", &describing(&[], false));
}

fn refused_filters(session: &mut Session) {
    let cases: &[(&str, &[(&str, i8, Option<&str>)])] = &[
        ("an empty kind", &[("", 2, None)]),
        ("an unknown kind", &[("group", 2, None)]),
        ("a kind twice", &[("user", 2, None), ("user", 1, None)]),
        ("an unknown kind twice", &[("group", 2, None), ("group", 1, None)]),
        ("exactly nothing", &[("user", 0, None)]),
        ("a default with a name", &[("user", 1, Some("x"))]),
        ("any with a name", &[("client-id", 2, Some("x"))]),
        ("an unknown way", &[("user", 3, None)]),
        ("a negative way", &[("user", -1, Some("x"))]),
        ("an address and a user", &[("ip", 2, None), ("user", 2, None)]),
        ("a client and an address", &[("client-id", 1, None), ("ip", 0, Some("10.0.0.1"))]),
        ("an address twice", &[("ip", 1, None), ("ip", 1, None)]),
        ("the first that is wrong", &[("user", 0, None), ("", 2, None)]),
    ];
    for (label, components) in cases {
        for strict in [true, false] {
            session.ask(label, &describing(components, strict));
        }
    }
}

/// From here on a client of this scenario alone speaks, and has this limit.
fn limit(session: &mut Session, stem: &str, key: &str, value: f64) {
    let client_id = session.name(stem);
    session.quietly(&altering(&[("client-id", Some(&client_id))], &[(key, Some(value))]));
    session.settle();
    session.client_id = Some(client_id);
    session.reconnect();
}

/// The client has no limit any more.
fn forgive(session: &mut Session, key: &str) {
    let client_id = session.client_id.take();
    session.client_id = Some("differential".into());
    session.reconnect();
    session.quietly(&altering(&[("client-id", client_id.as_deref())], &[(key, None)]));
}

/// The next request on this connection is answered when the time has passed, and not before.
fn muted<R: Request>(session: &mut Session, label: &str, request: &R, version: i16, throttle_ms: i32) {
    let since = Instant::now();
    session.ask_at(label, request, version);
    // It may have begun while the answer was on its way.
    let waited = since.elapsed() + Duration::from_millis(250);
    let is_muted = waited >= Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0));
    assert!(is_muted, "{label}: it is read after {waited:?}, and not after {throttle_ms} ms");
}

fn producing((name, topic_id): &(Str, Uuid), bytes: usize, acks: i16) -> ProduceRequest {
    let records = Batch::sized(bytes).encode().into();
    let topic = TopicProduceData {
        name: name.clone(),
        topic_id: *topic_id,
        partition_data: vec![PartitionProduceData { index: 0, records }],
    };
    ProduceRequest { acks, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() }
}

fn producer(session: &mut Session) {
    let topic = session.topic("produced", 1, KEPT);
    // A first request is measured over ten seconds.
    for version in [3, 9, 12, 13] {
        limit(session, &format!("producer-{version}"), PRODUCER, 1_000.0);
        session.ask_at("within the limit", &producing(&topic, 5_000, 1), version);
    }
    for (version, bytes) in [(9, 10_500), (13, 10_700)] {
        limit(session, &format!("producer-over-{version}"), PRODUCER, 1_000.0);
        let answer = session.ask_at("over the limit", &producing(&topic, bytes, 1), version);
        let throttle_ms = answer.map_or(0, |answer| answer.throttle_time_ms);
        muted(session, "after that", &MetadataRequest::default(), 9, throttle_ms);
        forgive(session, PRODUCER);
    }
    limit(session, "producer-silent", PRODUCER, 1_000.0);
    session.tell_at(&producing(&topic, 10_600, 0), 9);
    muted(session, "after no answer", &MetadataRequest::default(), 9, 500);
    limit(session, "producer-refused", PRODUCER, 1_000.0);
    let nowhere = ("nowhere".into(), Uuid::from_u128(7));
    session.ask_at("a refused request counts", &producing(&nowhere, 10_600, 1), 12);
    forgive(session, PRODUCER);
}

fn fetching((name, topic_id): &(Str, Uuid), fetch_offset: i64) -> FetchRequest {
    let partition =
        FetchPartition { fetch_offset, partition_max_bytes: 1 << 20, ..FetchPartition::default() };
    let topic = FetchTopic { topic: name.clone(), topic_id: *topic_id, partitions: vec![partition] };
    FetchRequest {
        min_bytes: 1,
        max_wait_ms: 100,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

fn consumer(session: &mut Session) {
    let large = session.topic("large", 1, KEPT);
    session.fill(&large, &[10_500, 100].map(|bytes| Batch::sized(bytes).encode()));
    let small = session.topic("small", 1, KEPT);
    session.fill(&small, &[3_000, 3_000].map(|bytes| Batch::sized(bytes).encode()));
    for version in [4, 12, 13, 18] {
        limit(session, &format!("consumer-{version}"), CONSUMER, 1_000.0);
        session.ask_at("less than ten seconds allow", &fetching(&small, 0), version);
        let again = session.quietly_at(&fetching(&small, 0), version);
        session.transcript.say("as much again", "topics", &again.responses.len().to_string());
        about("as much again", again.throttle_time_ms, 2_600);
        forgive(session, CONSUMER);
    }
    for version in [11, 17] {
        limit(session, &format!("consumer-over-{version}"), CONSUMER, 1_000.0);
        let answer = session.ask_at("a batch that is too large", &fetching(&large, 0), version);
        let throttle_ms = answer.map_or(0, |answer| answer.throttle_time_ms);
        muted(session, "after that, nothing was used", &fetching(&small, 0), version, throttle_ms);
        forgive(session, CONSUMER);
    }
    // A session that had to wait has not begun; one that is there goes on.
    limit(session, "consumer-session", CONSUMER, 1_000.0);
    let open = FetchRequest { session_epoch: 0, ..fetching(&large, 0) };
    session.ask_at("a session does not begin", &open, 12);
    session.reconnect();
    let open = FetchRequest { session_epoch: 0, ..fetching(&small, 0) };
    let opened = session.ask_at("a session begins", &open, 12);
    let session_id = opened.map_or(0, |answer| answer.session_id);
    let on = |session_epoch, offset| FetchRequest { session_id, session_epoch, ..fetching(&small, offset) };
    let answer = session.quietly_at(&on(1, 0), 12);
    let said = (answer.session_id == session_id, answer.error_code, answer.responses.len());
    session.transcript.say("it has to wait", "answer", &format!("{said:?}"));
    about("it has to wait", answer.throttle_time_ms, 2_600);
    session.ask_at("it goes on", &on(2, 1), 12);
    forgive(session, CONSUMER);
}

fn request_time(session: &mut Session) {
    limit(session, "slow", TIME, 1e-12);
    let answer = session.ask_at("metadata", &MetadataRequest::default(), 9);
    let throttle_ms = answer.map_or(0, |answer| answer.throttle_time_ms);
    muted(session, "a heartbeat", &HeartbeatRequest::default(), 3, throttle_ms);
    session.reconnect();
    session.ask_at("a heartbeat that cannot say", &HeartbeatRequest::default(), 0);
    session.reconnect();
    session.ask_at("a filter that is refused", &describing(&[("", 2, None)], true), 1);
    session.reconnect();
    let versions =
        ApiVersionsRequest { client_software_name: "a".into(), client_software_version: "1".into() };
    let throttle_ms = [0, 1, 3].map(|version| {
        session.reconnect();
        session.quietly_at(&versions, version).throttle_time_ms
    });
    session.transcript.say("versions", "throttle times", &format!("{throttle_ms:?}"));
    session.reconnect();
    let topic = session.name("nowhere");
    session.ask_at("a fetch", &fetching(&(topic, Uuid::from_u128(7)), 0), 12);
    forgive(session, TIME);
}

fn creating(name: &Str, partitions: i32) -> CreateTopicsRequest {
    let topic = CreatableTopic {
        name: name.clone(),
        num_partitions: partitions,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() }
}

fn growing(name: &Str, count: i32) -> CreatePartitionsRequest {
    let topic = CreatePartitionsTopic { name: name.clone(), count, assignments: None };
    CreatePartitionsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() }
}

fn deleting(name: &Str, version: i16) -> DeleteTopicsRequest {
    let topic = DeleteTopicState { name: Some(name.clone()), topic_id: Uuid::ZERO };
    let (topics, topic_names) =
        if version >= 6 { (vec![topic], Vec::new()) } else { (Vec::new(), vec![name.clone()]) };
    DeleteTopicsRequest { topics, topic_names, timeout_ms: 30_000 }
}

/// An answer throttles about so many ms, a little less each time.
fn about(label: &str, throttle_ms: i32, expected_ms: i32) {
    let is_so = (expected_ms / 2..=expected_ms).contains(&throttle_ms);
    assert!(is_so, "{label}: {throttle_ms} ms, and not about {expected_ms}");
}

fn mutations(session: &mut Session) {
    let names = ["first", "second", "third"].map(|stem| session.name(stem));
    // A tenth a second: 1.1 at once, of which one can be taken more than there are.
    limit(session, "admin", MUTATIONS, 0.1);
    session.ask_at("a first topic", &creating(&names[0], 3), 7);
    let second = session.quietly_at(&creating(&names[1], 1), 7);
    session.transcript.say(
        "a second topic",
        "refused with",
        &format!("{:?}", second.topics[0]).replace(&*session.name(""), ""),
    );
    about("a second topic", second.throttle_time_ms, 19_000);
    session.reconnect();
    let dry = CreateTopicsRequest { validate_only: true, ..creating(&names[1], 1) };
    let dry = session.quietly_at(&dry, 6);
    session.transcript.say("validate only", "refused with", &dry.topics[0].error_code.to_string());
    session.reconnect();
    let grown = session.quietly_at(&growing(&names[0], 5), 3);
    session.transcript.say("more partitions", "refused with", &grown.results[0].error_code.to_string());
    about("more partitions", grown.throttle_time_ms, 19_000);
    for version in [5, 6] {
        session.reconnect();
        let deleted = session.quietly_at(&deleting(&names[0], version), version);
        let code = deleted.responses[0].error_code.to_string();
        session.transcript.say(&format!("deletion v{version}"), "refused with", &code);
        about("deletion", deleted.throttle_time_ms, 19_000);
    }
    session.reconnect();
    session.ask_at("what is wrong costs nothing", &creating(&"no spaces".into(), 1), 7);
    forgive(session, MUTATIONS);
    let settled = session.quietly_at(&deleting(&names[0], 6), 6);
    session.transcript.say("without a limit", "deletion", &settled.responses[0].error_code.to_string());
}

fn mutations_of_old(session: &mut Session) {
    let names = ["old-first", "old-second"].map(|stem| session.name(stem));
    limit(session, "admin-of-old", MUTATIONS, 0.1);
    let answer = session.quietly_at(&creating(&names[0], 3), 5);
    session.transcript.say("a first topic", "answer", &answer.topics[0].error_code.to_string());
    about("a first topic", answer.throttle_time_ms, 19_000);
    for (label, version, expected_ms) in [("a second topic", 4, 29_000), ("a third topic", 5, 39_000)] {
        session.reconnect();
        let name = if version == 4 { names[1].clone() } else { session.name("old-third") };
        let answer = session.quietly_at(&creating(&name, 1), version);
        session.transcript.say(label, "answer", &answer.topics[0].error_code.to_string());
        about(label, answer.throttle_time_ms, expected_ms);
    }
    session.reconnect();
    let grown = session.quietly_at(&growing(&names[1], 2), 2);
    session.transcript.say("more partitions", "answer", &grown.results[0].error_code.to_string());
    about("more partitions", grown.throttle_time_ms, 49_000);
    session.reconnect();
    let deleted = session.quietly_at(&deleting(&names[0], 4), 4);
    session.transcript.say("deletion", "answer", &deleted.responses[0].error_code.to_string());
    about("deletion", deleted.throttle_time_ms, 79_000);
    forgive(session, MUTATIONS);
}

const SCRAM_SHA_256: i8 = 1;
const SCRAM_SHA_512: i8 = 2;

fn upserting(name: &str, mechanism: i8, iterations: i32) -> AlterUserScramCredentialsRequest {
    let upsertion = ScramCredentialUpsertion {
        name: name.into(),
        mechanism,
        iterations,
        salt: b"salt".as_slice().into(),
        salted_password: b"salted password".as_slice().into(),
    };
    AlterUserScramCredentialsRequest { deletions: Vec::new(), upsertions: vec![upsertion] }
}

fn removing(name: &str, mechanism: i8) -> AlterUserScramCredentialsRequest {
    let deletion = ScramCredentialDeletion { name: name.into(), mechanism };
    AlterUserScramCredentialsRequest { deletions: vec![deletion], upsertions: Vec::new() }
}

fn describing_users(names: &[&str]) -> DescribeUserScramCredentialsRequest {
    let users = names.iter().map(|name| UserName { name: (*name).into() });
    DescribeUserScramCredentialsRequest { users: Some(users.collect()) }
}

fn credentials(session: &mut Session) {
    let names = ["carol", "dave", "erin"].map(|stem| session.name(stem));
    let [carol, dave, erin] = names.each_ref().map(|name| &**name);
    session.ask("carol", &upserting(carol, SCRAM_SHA_256, 4_096));
    session.ask("carol's other", &upserting(carol, SCRAM_SHA_512, 8_192));
    session.ask("dave", &upserting(dave, SCRAM_SHA_512, 16_384));
    session.settle();
    session.ask("described", &describing_users(&[carol, dave]));
    session.ask("one described", &describing_users(&[dave]));
    session.ask("one twice", &describing_users(&[carol, dave, carol]));
    session.ask("one that is not there", &describing_users(&[erin, dave]));
    session.ask("one that is not there twice", &describing_users(&[erin, erin, erin]));
    session.ask("one without a name", &describing_users(&[""]));
    session.ask("none asked for", &describing_users(&[]));
    session.ask("all", &DescribeUserScramCredentialsRequest { users: None });
    session.ask("again with more iterations", &upserting(carol, SCRAM_SHA_256, 5_000));
    session.ask("one removed", &removing(carol, SCRAM_SHA_512));
    session.settle();
    session.ask("after that", &describing_users(&[carol]));
    session.ask("removed", &removing(carol, SCRAM_SHA_256));
    session.ask("dave removed", &removing(dave, SCRAM_SHA_512));
    session.settle();
    session.ask("after all were removed", &describing_users(&[carol, dave]));
}

fn refused_credentials(session: &mut Session) {
    let name = session.name("frank");
    let name = &*name;
    for (label, user, mechanism, iterations) in [
        ("too few iterations", name, SCRAM_SHA_256, 4_095),
        ("too many iterations", name, SCRAM_SHA_256, 16_385),
        ("negative iterations", name, SCRAM_SHA_512, -1),
        ("nobody", "", SCRAM_SHA_256, 4_096),
        ("no mechanism", name, 0, 4_096),
        ("an unknown mechanism", name, 3, 4_096),
        ("a negative mechanism", name, -1, 4_096),
        ("nobody by an unknown mechanism", "", 7, 1),
    ] {
        session.ask(label, &upserting(user, mechanism, iterations));
        session.ask(&format!("{label}: removal"), &removing(user, mechanism));
    }
    let mut twice = upserting(name, SCRAM_SHA_256, 4_096);
    twice.upsertions.extend(upserting(name, SCRAM_SHA_512, 4_096).upsertions);
    session.ask("two of one user", &twice);
    let mut both = upserting(name, SCRAM_SHA_256, 4_096);
    both.deletions = removing(name, SCRAM_SHA_256).deletions;
    session.ask("set and removed", &both);
    session.ask("nothing", &AlterUserScramCredentialsRequest::default());
}
