//! Clients of one broker on a virtual clock, of which some have a limit: they are answered at once, and wait before they are read again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ottla_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{AlterClientQuotasRequest, ProduceRequest, ProduceResponse};
use ottla_protocol::{Bytes, Decoder, Encoder, Message as _, encode_request};

use crate::broker::Peer;
use crate::config::BrokerConfig;
use crate::ids::ConnectionId;
use crate::log::MemoryStore;
use crate::machine::{Chunk, Effect, SyncOutcome};
use crate::rng::Rng;
use crate::sim::Host;
use crate::sim::mutation::Planted;
use crate::time::{Instant, Now};

const LIMIT: f64 = 2_000.0;
const REQUEST_BYTES_MAX: u64 = 8_000;
const VERSION: i16 = 9;
/// Connections of the client that has a limit; it is of all of them together.
const LIMITED: std::ops::Range<u64> = 0..3;
const FREE: std::ops::Range<u64> = 3..6;
const ADMIN: ConnectionId = ConnectionId(9);

struct World {
    host: Host<MemoryStore>,
    now: Instant,
    clients: BTreeMap<ConnectionId, Client>,
    mutes: usize,
}

#[derive(Default)]
struct Client {
    /// Correlation ids of what is not answered yet.
    asked: VecDeque<i32>,
    muted_until: Instant,
}

impl World {
    fn new(seed: u64) -> Self {
        let store = MemoryStore::new();
        let host = Host::new(Arc::new(BrokerConfig::default()), store, Planted::default());
        let clients = LIMITED.chain(FREE).map(|id| (ConnectionId(id), Client::default())).collect();
        let mut world = Self { host, now: Instant(1_000_000), clients, mutes: 0 };
        let effects = world.host.start(world.now(), seed).expect("it starts");
        world.carry_out(effects);
        for id in world.clients.keys().copied().chain([ADMIN]).collect::<Vec<_>>() {
            world.host.connect(Peer { id, listener: "PLAINTEXT".into(), host: "/h".into() });
        }
        let entity = EntityData { entity_type: "client-id".into(), entity_name: Some("limited".into()) };
        let limit = OpData { key: "producer_byte_rate".into(), value: LIMIT, remove: false };
        let entry = EntryData { entity: vec![entity], ops: vec![limit] };
        world.send(
            ADMIN,
            frame(1, 0, "admin", &AlterClientQuotasRequest { entries: vec![entry], validate_only: false }),
        );
        world
    }

    fn now(&self) -> Now {
        Now { monotonic: self.now, wall: 0 }
    }

    fn send(&mut self, connection: ConnectionId, frame: Bytes) {
        let effects = self.host.received(self.now(), connection, frame);
        self.carry_out(effects);
    }

    /// Sends a request of a client.
    fn produce(&mut self, id: u64, correlation_id: i32, bytes: u64) {
        let records = vec![0; usize::try_from(bytes).expect("small")];
        let partition = PartitionProduceData { index: 0, records: Bytes::from(records).into() };
        let topic = TopicProduceData {
            name: "nowhere".into(),
            partition_data: vec![partition],
            ..TopicProduceData::default()
        };
        let request = ProduceRequest { acks: 1, topic_data: vec![topic], ..ProduceRequest::default() };
        let client_id = if LIMITED.contains(&id) { "limited" } else { "free" };
        let frame = frame(VERSION, correlation_id, client_id, &request);
        let client = self.clients.get_mut(&ConnectionId(id)).expect("a client");
        client.asked.push_back(correlation_id);
        self.send(ConnectionId(id), frame);
    }

    fn carry_out(&mut self, effects: Vec<Effect<MemoryStore>>) {
        for effect in effects {
            match effect {
                Effect::Sync { then, .. } => {
                    let effects = self.host.synced(self.now(), then, SyncOutcome::Done);
                    self.carry_out(effects);
                }
                Effect::Send { connection, frame } if connection != ADMIN => {
                    let [Chunk::Bytes(bytes)] = &frame.chunks[..] else { panic!("one piece") };
                    self.answered(connection, bytes);
                }
                Effect::Close { reason, .. } => panic!("{reason}"),
                _ => {}
            }
        }
    }

    fn answered(&mut self, connection: ConnectionId, answer: &Bytes) {
        let mut decoder = Decoder::new(answer.slice(4..));
        let correlation_id = decoder.i32().expect("a header");
        _ = decoder.i8();
        let answer = ProduceResponse::decode(&mut decoder, VERSION).expect("an answer");
        let client = self.clients.get_mut(&connection).expect("a client");
        assert_eq!(Some(correlation_id), client.asked.pop_front(), "in order");
        assert!(client.muted_until <= self.now, "it is read again before its time");
        assert!(answer.throttle_time_ms == 0 || LIMITED.contains(&connection.0));
        if answer.throttle_time_ms > 0 {
            client.muted_until = self.now.plus_ms(i64::from(answer.throttle_time_ms));
            self.mutes += 1;
        }
    }

    /// Lets time pass, and wakes what is due on the way.
    fn wait(&mut self, ms: u64) {
        let until = self.now.plus_ms(i64::try_from(ms).expect("small"));
        while let Some(due) = self.host.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let effects = self.host.tick(self.now());
            self.carry_out(effects);
        }
        self.now = until;
    }

    /// Whoever need not wait has been answered, and nobody else is read from.
    fn check(&self) {
        let node = self.host.node().expect("it runs");
        for (id, client) in &self.clients {
            let is_muted = client.muted_until > self.now;
            assert_eq!(node.connections[id].wants_more(), !is_muted, "{id:?}");
            assert!(is_muted || client.asked.is_empty(), "{id:?} is delayed");
        }
    }
}

fn frame<R: ottla_protocol::Request>(
    version: i16,
    correlation_id: i32,
    client_id: &str,
    request: &R,
) -> Bytes {
    let mut encoder = Encoder::new();
    encode_request(&mut encoder, version, correlation_id, Some(client_id.into()), request)
        .expect("it encodes");
    encoder.into_bytes().expect("no slices").slice(4..)
}

#[test]
fn who_has_used_too_much_waits_and_nobody_else() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        let mut rng = Rng::from_seed(seed);
        for correlation_id in 0..300 {
            if rng.below(3) == 0 {
                world.wait(rng.below(3_000));
            }
            world.check();
            world.produce(rng.below(FREE.end), correlation_id, rng.below(REQUEST_BYTES_MAX));
            world.check();
        }
        assert!(world.mutes > 10, "seed {seed}: {} mutes", world.mutes);
        world.wait(600_000);
        world.check();
        assert!(world.clients.values().all(|client| client.asked.is_empty()), "seed {seed}");
    }
}
