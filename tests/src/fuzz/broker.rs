//! A broker on a disk in memory, and connections to it. What it answers is read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ottla_core::broker::Peer;
use ottla_core::config::{BrokerConfig, Origin, Setting};
use ottla_core::ids::ConnectionId;
use ottla_core::log::MemoryStore;
use ottla_core::machine::{Chunk, Effect, SyncOutcome};
use ottla_core::sim::Host;
use ottla_core::sim::mutation::Planted;
use ottla_core::time::{Instant, Now};
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::{
    CreateTopicsRequest, FetchResponse, InitProducerIdResponse, JoinGroupResponse,
};
use ottla_protocol::{ApiKey, Decoder, Encoder, Message as _, RequestHeader, ResponseHeader, Str, Struct};

use super::fill::{Known, empty};

const CONTROLLER: &str = "CONTROLLER";

/// A broker in the middle of something.
#[derive(Clone)]
pub struct Broker {
    host: Host<MemoryStore>,
    now: Instant,
    clients: BTreeMap<ConnectionId, VecDeque<(i32, ApiKey, i16)>>,
    next: i32,
    pub known: Known,
}

impl Broker {
    /// One with a topic, as it is at its beginning.
    pub fn new() -> Self {
        static BROKER: OnceLock<Broker> = OnceLock::new();
        BROKER.get_or_init(Self::start).clone()
    }

    fn start() -> Self {
        let settings = [
            ("process.roles", "broker,controller"),
            ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
            ("advertised.listeners", "PLAINTEXT://h:9092"),
            ("controller.listener.names", CONTROLLER),
            ("controller.quorum.voters", "1@h:9093"),
            ("ottla.shards", "2"),
            ("offsets.topic.num.partitions", "2"),
            ("group.initial.rebalance.delay.ms", "0"),
            ("group.max.size", "4"),
        ];
        let setting = |(key, value): (&str, &str)| {
            (key.to_owned(), Setting { value: value.to_owned(), origin: Origin::Override })
        };
        let config = BrokerConfig::resolve(settings.map(setting), true).expect("it may start so").config;
        let host = Host::new(Arc::new(config), MemoryStore::new(), Planted::default());
        let mut broker = Self {
            host,
            now: Instant(1_000_000),
            clients: BTreeMap::new(),
            next: 0,
            known: Known::default(),
        };
        let effects = broker.host.start(broker.now(), 1).expect("it starts");
        broker.carry_out(effects);
        broker.connect(ConnectionId(0), "PLAINTEXT");
        let topic = |name: &str, num_partitions| CreatableTopic {
            name: name.into(),
            num_partitions,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let topics = vec![topic("t", 3), topic("u", 1), topic("__consumer_offsets", 2)];
        let request = CreateTopicsRequest { topics, timeout_ms: 1_000, ..CreateTopicsRequest::default() };
        broker.ask(ConnectionId(0), ApiKey::CreateTopics, 7, &request);
        broker.wait(1_000);
        let image = &broker.host.node().expect("it runs").published.image;
        let id = |name| image.topics.topic(name).expect("it was created").id;
        broker.known.topic_ids = ["t", "u"].map(id).to_vec();
        broker
    }

    pub fn connect(&mut self, id: ConnectionId, listener: &str) {
        if !self.clients.contains_key(&id) {
            self.host.connect(Peer { id, listener: listener.into(), host: "/10.0.0.1".into() });
            self.clients.insert(id, VecDeque::new());
        }
    }

    pub fn disconnect(&mut self, id: ConnectionId) {
        self.clients.remove(&id);
        let effects = self.host.disconnect(self.now(), id);
        self.carry_out(effects);
    }

    /// Sends a request, if its version can say that.
    pub fn ask(&mut self, id: ConnectionId, api: ApiKey, version: i16, body: &dyn Struct) {
        self.next += 1;
        let header = RequestHeader {
            request_api_key: api.key(),
            request_api_version: version,
            correlation_id: self.next,
            client_id: Some(Str::from("fuzz")),
        };
        let mut encoder = Encoder::new();
        let written = header
            .encode(&mut encoder, api.request_header_version(version))
            .and_then(|()| api.request().expect("it has messages").encode(&mut encoder, version, body));
        let Ok(frame) = written.and_then(|()| encoder.into_bytes()) else { return };
        if let Some(asked) = self.clients.get_mut(&id) {
            asked.push_back((self.next, api, version));
            self.send(id, frame);
        }
    }

    /// Sends anything. What comes back is not looked at.
    pub fn send_any(&mut self, id: ConnectionId, frame: Bytes) {
        if let Some(asked) = self.clients.get_mut(&id) {
            asked.clear();
            self.next = self.next.wrapping_add(1_000);
            self.send(id, frame);
        }
    }

    fn send(&mut self, id: ConnectionId, frame: Bytes) {
        let effects = self.host.received(self.now(), id, frame);
        self.carry_out(effects);
    }

    /// Lets time pass, and wakes what is due on the way.
    pub fn wait(&mut self, ms: u64) {
        let until = self.now.plus_ms(i64::try_from(ms).expect("not for ever"));
        while let Some(due) = self.host.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let effects = self.host.tick(self.now());
            self.carry_out(effects);
        }
        self.now = until;
    }

    fn now(&self) -> Now {
        let wall = 1_760_000_000_000 + i64::try_from(self.now.0 / 1_000).expect("not for ever");
        Now { monotonic: self.now, wall }
    }

    fn carry_out(&mut self, effects: Vec<Effect<MemoryStore>>) {
        self.host.take_traces();
        for effect in effects {
            match effect {
                Effect::Sync { then, .. } => {
                    let effects = self.host.synced(self.now(), then, SyncOutcome::Done);
                    self.carry_out(effects);
                }
                Effect::Send { connection, frame } => {
                    let mut bytes = Vec::with_capacity(frame.len);
                    for chunk in frame.chunks {
                        match chunk {
                            Chunk::Bytes(part) => bytes.extend_from_slice(&part),
                            Chunk::Slice(slice) => bytes.extend_from_slice(&slice.bytes()),
                        }
                    }
                    assert_eq!(bytes.len(), frame.len, "an answer is as long as it says");
                    self.answered(connection, Bytes::from(bytes).slice(4..));
                }
                Effect::Close { connection, reason } => {
                    assert!(!reason.contains("does not fit its version"), "{reason}");
                    self.clients.remove(&connection);
                }
                Effect::Halt { reason } => panic!("the node gave up: {reason}"),
                _ => {}
            }
        }
    }

    /// What is answered reads, and comes in order.
    fn answered(&mut self, connection: ConnectionId, answer: Bytes) {
        let Some(asked) = self.clients.get_mut(&connection) else { return };
        let correlation_id = answer.first_chunk().copied().map(i32::from_be_bytes).expect("a header");
        // Produce with acks=0 has none.
        while asked.front().is_some_and(|(id, api, _)| *api == ApiKey::Produce && *id != correlation_id) {
            asked.pop_front();
        }
        let Some((id, api, version)) = asked.pop_front() else { return };
        assert_eq!(id, correlation_id, "{api} v{version}: answers are in order");
        // What an unsupported ApiVersions is answered with, and what an envelope holds.
        if api == ApiKey::ApiVersions || api == ApiKey::Envelope {
            return;
        }
        let mut decoder = Decoder::new(answer);
        ResponseHeader::decode(&mut decoder, api.response_header_version(version)).expect("a header");
        let body = decoder.rest();
        let spec = api.response().expect("it has messages");
        let read = spec.decode(&mut decoder, version, Some(&mut *empty(spec)));
        read.unwrap_or_else(|error| panic!("{api} v{version}: {error}"));
        decoder.finish().unwrap_or_else(|error| panic!("{api} v{version}: {error}"));
        self.learn(api, version, body);
    }

    fn learn(&mut self, api: ApiKey, version: i16, body: Bytes) {
        let mut decoder = Decoder::new(body);
        let known = &mut self.known;
        match api {
            ApiKey::JoinGroup => {
                let joined = JoinGroupResponse::decode(&mut decoder, version).expect("it was read before");
                known.texts.push(joined.member_id);
                known.numbers.push(i64::from(joined.generation_id));
            }
            ApiKey::Fetch => {
                let fetched = FetchResponse::decode(&mut decoder, version).expect("it was read before");
                known.numbers.push(i64::from(fetched.session_id));
            }
            ApiKey::InitProducerId => {
                let id = InitProducerIdResponse::decode(&mut decoder, version).expect("it was read before");
                known.numbers.push(id.producer_id);
            }
            _ => {}
        }
        let first = known.texts.len().saturating_sub(8);
        known.texts.drain(..first);
        let first = known.numbers.len().saturating_sub(8);
        known.numbers.drain(..first);
    }
}
