//! What a client hears of a leader that this node has lost sight of.

use std::sync::Arc;

use ottla_protocol::records::metadata::{
    PartitionRecord, RegisterBrokerRecord, TopicRecord, register_broker_record,
};
use ottla_protocol::{Decoder, Encoder, Message, encode_request};

use super::*;
use crate::broker::{Connection, ConnectionEvent, Peer};
use crate::config::BrokerConfig;
use crate::ids::ConnectionId;
use crate::log::MemoryStore;
use crate::machine::{Chunk, Cx, Effect, Effects, Machine as _};
use crate::metadata::MetadataRecord;
use crate::record::Compressors;
use crate::time::Now;
use crate::trace::Traces;

const TOPIC_ID: Uuid = Uuid([7; 16]);
const VERSION: i16 = 9;
const LOST_UNTIL: Instant = Instant(500_000);

/// A topic of one partition, with replicas on two brokers.
fn published(leader: i32, lost: &[i32]) -> Arc<Published> {
    let broker = |broker_id: i32| -> MetadataRecord {
        let end_point = register_broker_record::BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: "h".into(),
            port: 9092,
            ..Default::default()
        };
        let end_points = vec![end_point];
        RegisterBrokerRecord { broker_id, end_points, fenced: false, ..Default::default() }.into()
    };
    let partition = PartitionRecord {
        topic_id: TOPIC_ID,
        replicas: vec![1, 2],
        isr: vec![1, 2],
        leader,
        ..PartitionRecord::default()
    };
    let topic = TopicRecord { name: "t".into(), topic_id: TOPIC_ID };
    let mut image = MetadataImage::default();
    for record in [broker(1), broker(2), topic.into(), partition.into()] {
        image.replay(&record).unwrap();
    }
    let mut published = Arc::unwrap_or_clone(Published::first(image, 3, 1, 0));
    published.lost.extend(lost.iter().map(|broker| (*broker, LOST_UNTIL)));
    Arc::new(published)
}

struct World {
    store: MemoryStore,
    connection: Connection<MemoryStore>,
}

impl World {
    fn new(published: Arc<Published>) -> Self {
        let peer = Peer { id: ConnectionId(1), listener: "PLAINTEXT".into(), host: "/h".into() };
        let connection = Connection::new(peer, Arc::new(BrokerConfig::default()), published, 1, 1);
        Self { store: MemoryStore::new(), connection }
    }

    /// Who leads, if it is said now.
    fn tell(&mut self, now: Instant, event: ConnectionEvent<MemoryStore>) -> Option<i32> {
        let (compressors, mut effects, mut traces) =
            (Compressors::default(), Effects::default(), Traces::default());
        let mut cx = Cx {
            now: Now { monotonic: now, wall: 0 },
            store: &mut self.store,
            compressors: &compressors,
            effects: &mut effects,
            traces: &mut traces,
        };
        self.connection.handle(&mut cx, event);
        let frame = effects.drain().into_iter().find_map(|effect| match effect {
            Effect::Send { frame, .. } => Some(frame),
            _ => None,
        })?;
        let Chunk::Bytes(said) = &frame.chunks[0] else { panic!("{frame:?}") };
        // Behind the length, the correlation id and its tagged fields.
        let response = MetadataResponse::decode(&mut Decoder::new(said.slice(9..)), VERSION).unwrap();
        Some(response.topics[0].partitions[0].leader_id)
    }

    fn ask(&mut self, now: Instant) -> Option<i32> {
        let topic = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        let mut encoder = Encoder::new();
        encode_request(&mut encoder, VERSION, 1, None, &request).unwrap();
        let frame = encoder.into_bytes().unwrap().slice(4..);
        self.tell(now, ConnectionEvent::Received(frame))
    }
}

#[test]
fn who_asks_for_a_leader_that_is_lost_hears_of_the_next_one() {
    let mut world = World::new(published(2, &[2]));
    assert_eq!(world.ask(Instant(0)), None);
    let other_news = ConnectionEvent::Metadata(published(2, &[2]));
    assert_eq!(world.tell(Instant(0), other_news), None);
    assert_eq!(world.tell(Instant(0), ConnectionEvent::Metadata(published(1, &[2]))), Some(1));
    assert_eq!(world.ask(Instant(0)), Some(1));
}

#[test]
fn without_news_it_is_told_what_is_known() {
    let mut world = World::new(published(2, &[2]));
    assert_eq!(world.ask(Instant(0)), None);
    assert_eq!(world.connection.deadline(), Some(LOST_UNTIL));
    assert_eq!(world.tell(LOST_UNTIL, ConnectionEvent::Tick), Some(2));
    assert_eq!(world.ask(LOST_UNTIL), Some(2), "that was no news any more");
}

#[test]
fn nobody_waits_for_news_of_another_broker() {
    let mut world = World::new(published(1, &[2]));
    assert_eq!(world.ask(Instant(0)), Some(1));
}
