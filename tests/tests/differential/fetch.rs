//! Fetch, and what it says of sessions, epochs and limits.

use ottla_protocol::messages::FetchRequest;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use ottla_protocol::{ApiKey, Str, Uuid};
use ottla_tests::batch::Batch;

use crate::family;
use crate::session::{KEPT, Session};

#[test]
fn fetch() {
    family(
        "fetch",
        &[ApiKey::Fetch],
        &[
            ("offsets", offsets),
            ("limits", limits),
            ("epochs", epochs),
            ("topics", topics),
            ("sessions", sessions),
        ],
    );
}

type Topic = (Str, Uuid);

fn partition(partition: i32, fetch_offset: i64) -> FetchPartition {
    FetchPartition { partition, fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() }
}

fn request((name, topic_id): &Topic, partitions: Vec<FetchPartition>) -> FetchRequest {
    let topic = FetchTopic { topic: name.clone(), topic_id: *topic_id, partitions };
    // Up to version 14 a consumer says so in a field, later by leaving a tagged field out.
    FetchRequest {
        min_bytes: 1,
        max_wait_ms: 100,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

/// Three batches of three, four and five records.
fn filled(session: &mut Session, stem: &str) -> Topic {
    let topic = session.topic(stem, 2, KEPT);
    session.fill(&topic, &[3, 4, 5].map(|count| Batch::of(count).encode()));
    topic
}

fn offsets(session: &mut Session) {
    let topic = filled(session, "offsets");
    for offset in [0, 2, 3, 6, 11, 12, 13, 1000, -1, -2] {
        session.ask(&format!("from {offset}"), &request(&topic, vec![partition(0, offset)]));
    }
    session.ask("an empty partition", &request(&topic, vec![partition(1, 0)]));
    session.ask("both", &request(&topic, vec![partition(0, 7), partition(1, 0)]));
    session.ask("the same twice", &request(&topic, vec![partition(0, 7), partition(0, 3)]));
    let committed = FetchRequest { isolation_level: 1, ..request(&topic, vec![partition(0, 0)]) };
    session.ask("read committed", &committed);
    session.ask("unknown isolation", &FetchRequest { isolation_level: 7, ..committed.clone() });
    session.ask("negative isolation", &FetchRequest { isolation_level: -1, ..committed });
    let mut twice = request(&topic, vec![partition(0, 7)]);
    twice.topics.extend(request(&topic, vec![partition(1, 0), partition(0, 3)]).topics);
    session.ask("the topic twice", &twice);
}

fn limits(session: &mut Session) {
    let topic = filled(session, "limits");
    let small = |bytes| FetchPartition { partition_max_bytes: bytes, ..partition(0, 0) };
    for bytes in [0, 1, 100, 150, 250] {
        session.ask(&format!("partition limit {bytes}"), &request(&topic, vec![small(bytes)]));
        let limited = FetchRequest { max_bytes: bytes, ..request(&topic, vec![partition(0, 0)]) };
        session.ask(&format!("request limit {bytes}"), &limited);
    }
    let unlimited = FetchRequest { min_bytes: 0, ..request(&topic, vec![partition(0, 12)]) };
    session.ask("nothing to wait for", &unlimited);
    let patient =
        FetchRequest { min_bytes: 1 << 20, max_wait_ms: 50, ..request(&topic, vec![partition(0, 0)]) };
    session.ask("less than the least after the wait", &patient);
    session.ask("negative limits", &FetchRequest { min_bytes: -1, max_wait_ms: -1, ..unlimited.clone() });
    session.ask(
        "a negative limit of all",
        &FetchRequest { max_bytes: -1, ..request(&topic, vec![partition(0, 0)]) },
    );
    session.ask("a negative limit of one", &request(&topic, vec![small(-1)]));
    session.ask(
        "both limited",
        &FetchRequest { max_bytes: 120, ..request(&topic, vec![partition(0, 0), partition(1, 0)]) },
    );
    session.ask("no partitions", &request(&topic, vec![]));
}

fn epochs(session: &mut Session) {
    let topic = filled(session, "epochs");
    for epoch in [-2, -1, 0, 1, 100] {
        let current = FetchPartition { current_leader_epoch: epoch, ..partition(0, 0) };
        session.ask(&format!("current leader epoch {epoch}"), &request(&topic, vec![current]));
        let last = FetchPartition { last_fetched_epoch: epoch, ..partition(0, 5) };
        session.ask(&format!("last fetched epoch {epoch}"), &request(&topic, vec![last]));
        for offset in [-1, 12, 13, 1000] {
            let last = FetchPartition { last_fetched_epoch: epoch, ..partition(0, offset) };
            session.ask(&format!("last fetched epoch {epoch} from {offset}"), &request(&topic, vec![last]));
        }
    }
}

fn topics(session: &mut Session) {
    let topic = filled(session, "topics");
    let unknown_id = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
    let missing = (session.name("missing"), unknown_id);
    session.ask("unknown partition", &request(&topic, vec![partition(2, 0)]));
    session.ask("negative partition", &request(&topic, vec![partition(-1, 0)]));
    session.ask("unknown topic", &request(&missing, vec![partition(0, 0)]));
    session.ask("no id", &request(&(topic.0.clone(), Uuid::ZERO), vec![partition(0, 0)]));
    let mut both = request(&topic, vec![partition(0, 0)]);
    both.topics.extend(request(&missing, vec![partition(0, 0)]).topics);
    session.ask("a known and an unknown topic", &both);
    session.ask("no topics", &FetchRequest { topics: vec![], ..request(&topic, vec![]) });
    session.ask("an empty name", &request(&(Str::default(), Uuid::ZERO), vec![partition(0, 0)]));
    session.ask("a bad name", &request(&("no spaces".into(), unknown_id), vec![partition(0, 0)]));
    session.ask("a long name", &request(&("n".repeat(250).into(), unknown_id), vec![partition(0, 0)]));
    let other = FetchRequest { cluster_id: Some("other".into()), ..request(&topic, vec![partition(0, 0)]) };
    session.ask("of another cluster", &other);
    let rack = FetchRequest { rack_id: "somewhere".into(), ..request(&topic, vec![partition(0, 0)]) };
    session.ask("from a rack", &rack);
}

/// KIP-227. The id of a session is the broker's choice.
fn sessions(session: &mut Session) {
    let topic = filled(session, "sessions");
    let all = || vec![partition(0, 12), partition(1, 0)];
    let at = |session_id, session_epoch, partitions: Vec<FetchPartition>| {
        let topics = if partitions.is_empty() { vec![] } else { request(&topic, partitions).topics };
        FetchRequest { session_id, session_epoch, topics, ..request(&topic, vec![]) }
    };
    session.ask("unknown session", &at(12_345, 1, vec![]));
    session.ask("unknown session, first epoch", &at(12_345, 0, all()));
    let Some(opened) = session.ask("open", &at(0, 0, all())) else { return };
    let id = opened.session_id;
    session.ask("nothing new", &at(id, 1, vec![]));
    session.fill(&topic, &[Batch::of(1).encode()]);
    session.ask("news", &at(id, 2, vec![]));
    session.ask("moved on", &at(id, 3, vec![partition(0, 13)]));
    session.ask("wrong epoch", &at(id, 3, vec![]));
    session.ask("skipped epoch", &at(id, 9, vec![]));
    session.ask("an unknown partition joins", &at(id, 4, vec![partition(7, 0)]));
    let forgotten = ForgottenTopic { topic: topic.0.clone(), topic_id: topic.1, partitions: vec![7, 0] };
    let forget = FetchRequest { forgotten_topics_data: vec![forgotten], ..at(id, 5, vec![]) };
    session.ask("forget", &forget);
    session.fill(&topic, &[Batch::of(1).encode()]);
    session.ask("no news of what is forgotten", &at(id, 6, vec![]));
    session.ask("close and open another", &at(id, 0, all()));
    session.ask("the closed one", &at(id, 7, vec![]));
    session.ask("without a session", &at(0, -1, all()));
    session.ask("a session that is closed and none", &at(id, -1, all()));
    session.ask("a negative epoch", &at(0, -2, all()));
    session.ask("a negative session", &at(-7, 1, all()));
    session.ask("an epoch without a session", &at(0, 1, all()));
    session.ask("a session of nothing", &at(0, 0, vec![]));
    let Some(opened) = session.ask("open with a refusal", &at(0, 0, vec![partition(0, 12), partition(7, 0)]))
    else {
        return;
    };
    let id = opened.session_id;
    session.ask("refused again", &at(id, 1, vec![]));
    session.ask("out of range joins", &at(id, 2, vec![partition(1, 99)]));
    session.ask("and again", &at(id, 3, vec![]));
    let all_of_them =
        ForgottenTopic { topic: topic.0.clone(), topic_id: topic.1, partitions: vec![0, 1, 7, 9] };
    let forget = FetchRequest { forgotten_topics_data: vec![all_of_them], ..at(id, 4, vec![]) };
    session.ask("forget all, and more", &forget);
    session.ask("the empty one", &at(id, 5, vec![]));
}
