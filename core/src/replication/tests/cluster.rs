//! Brokers of one partition each on their own disks, and a loop that carries frames between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::messages::AlterPartitionResponse;
use ottla_protocol::messages::alter_partition_response::{PartitionData, TopicData};
use ottla_protocol::records::metadata::register_broker_record::BrokerEndpoint;
use ottla_protocol::records::metadata::{
    PartitionChangeRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord,
};
use ottla_protocol::{ErrorCode, Uuid};

use crate::broker::LifecycleEvent;
use crate::broker::data::{DataRequest, DataResponse, ProduceError, ProducePart, Produced};
use crate::broker::{Connection, ConnectionEvent, Message, Peer, Shard, ShardEvent};
use crate::config::BrokerConfig;
use crate::coordinator::Token;
use crate::coordinator::group::{GroupRequest, GroupResponse};
use crate::ids::{ConnectionId, LogDirId, ShardId, TopicIdPartition};
use crate::log::log_dirs::{LogDirState, LogDirs};
use crate::log::meta_properties::MetaProperties;
use crate::log::{LogStore as _, MemoryStore};
use crate::machine::{Chunk, Cx, Effect, Effects, Machine as _, SyncOutcome};
use crate::metadata::{MetadataDelta, MetadataImage, MetadataRecord, PartitionRegistration, Published};
use crate::network::{LinkEffect, LinkEvent, LinkId};
use crate::partition::Partition;
use crate::record::{BatchBuilder, BatchOptions, Compressors};
use crate::replication::{AlterPartitions, IsrAnswer};
use crate::rng::Rng;
use crate::sim::mutation::Planted;
use crate::small_map::SmallMap;
use crate::time::{Instant, Now};
use crate::trace::Traces;

pub const TOPIC_ID: Uuid = Uuid([7; 16]);
pub const ID: TopicIdPartition = TopicIdPartition { topic_id: TOPIC_ID, partition: 0 };
/// Whoever asks for the test.
const CLIENT: ConnectionId = ConnectionId(u64::MAX);
/// A link of a broker, by the broker.
type End = (i32, LinkId);

pub struct Broker {
    pub shard: Shard<MemoryStore>,
    connections: BTreeMap<ConnectionId, (Connection<MemoryStore>, End)>,
    alter: AlterPartitions,
    links: Vec<LinkEffect>,
}

pub struct Cluster {
    configs: BTreeMap<i32, Arc<BrokerConfig>>,
    pub stores: BTreeMap<i32, MemoryStore>,
    pub brokers: BTreeMap<i32, Broker>,
    pub now: Now,
    published: Arc<Published>,
    links: BTreeMap<End, (i32, ConnectionId)>,
    /// Answers on their way.
    frames: VecDeque<(End, Bytes)>,
    /// Pairs that hear nothing of each other.
    pub cut: BTreeSet<(i32, i32)>,
    /// Brokers that hear nothing of the controller, nor it of them.
    deaf: BTreeSet<i32>,
    /// So many rounds of frames are carried at a time; `None`: all there are.
    pub rounds: Option<usize>,
    /// What the controller refuses proposals with.
    pub refuse: Option<ErrorCode>,
    answers: BTreeMap<u64, DataResponse<MemoryStore>>,
    group_answers: BTreeMap<u64, GroupResponse>,
    planted: Planted,
    next: u64,
    /// Where brokers say that their replicas are, since the last look.
    pub placed: Vec<(i32, Uuid)>,
}

impl Cluster {
    /// Three brokers that have just created a partition; the first leads it.
    pub fn new(configure: impl Fn(&mut BrokerConfig)) -> Self {
        Self::of("t", Planted::default(), configure)
    }

    /// The same with a partition of this topic, and perhaps a planted bug.
    pub fn of(topic: &str, planted: Planted, configure: impl Fn(&mut BrokerConfig)) -> Self {
        let config = |node_id| {
            let mut config = BrokerConfig {
                node_id,
                ottla_shards: 1,
                log_dirs: vec!["data".to_owned()],
                ottla_log_reserve_bytes: 0,
                inter_broker_listener_name: "PLAINTEXT".to_owned(),
                ..BrokerConfig::default()
            };
            configure(&mut config);
            Arc::new(config)
        };
        let mut cluster = Self {
            configs: (1..=3).map(|id| (id, config(id))).collect(),
            stores: (1..=3).map(|id| (id, MemoryStore::new())).collect(),
            brokers: BTreeMap::new(),
            now: Now { monotonic: Instant(1_000_000), wall: 1_000_000 },
            published: Published::first(MetadataImage::default(), -1, -1, 0),
            links: BTreeMap::new(),
            frames: VecDeque::new(),
            cut: BTreeSet::new(),
            deaf: BTreeSet::new(),
            rounds: None,
            refuse: None,
            answers: BTreeMap::new(),
            group_answers: BTreeMap::new(),
            planted,
            next: 0,
            placed: Vec::new(),
        };
        let mut records: Vec<MetadataRecord> = (1..=3).map(|id| registration(id, 10)).collect();
        records.push(TopicRecord { name: topic.into(), topic_id: TOPIC_ID }.into());
        let partition = PartitionRecord {
            partition_id: 0,
            topic_id: TOPIC_ID,
            replicas: vec![1, 2, 3],
            isr: vec![1, 2, 3],
            leader: 1,
            leader_epoch: 0,
            partition_epoch: 0,
            ..PartitionRecord::default()
        };
        records.push(partition.into());
        cluster.publish(records);
        (1..=3).for_each(|id| cluster.start(id));
        cluster.settle();
        cluster
    }

    /// Commits records of metadata; everybody who runs hears of them.
    pub fn publish(&mut self, records: Vec<MetadataRecord>) {
        let before = &self.published.image;
        let mut image = before.clone();
        records.iter().for_each(|record| image.replay(record).unwrap());
        let delta = MetadataDelta::between(before, &image, &records);
        let offset = self.published.offset + 1;
        self.published = Arc::new(Published {
            image,
            delta,
            offset,
            epoch: 1,
            leader_id: 1,
            kraft_version: 0,
            lost: SmallMap::new(),
        });
        let hears = |id: &i32| !self.deaf.contains(id);
        for id in self.brokers.keys().copied().filter(hears).collect::<Vec<_>>() {
            let published = self.published.clone();
            self.drive(id, Message::Shard(ShardId(0), ShardEvent::Metadata(published.clone())));
            let connections: Vec<_> = self.brokers[&id].connections.keys().copied().collect();
            for connection in connections {
                let event = ConnectionEvent::Metadata(published.clone());
                self.drive(id, Message::Connection(connection, event));
            }
        }
    }

    /// A broker loses its controller.
    pub fn deafen(&mut self, id: i32) {
        self.deaf.insert(id);
    }

    /// A broker hears of the controller again, if it did not: everything at once.
    pub fn tell(&mut self, id: i32) {
        if self.deaf.remove(&id) {
            let published = &*self.published;
            let first = Published::first(published.image.clone(), published.offset, 1, 0);
            self.drive(id, Message::Shard(ShardId(0), ShardEvent::Metadata(first)));
            self.settle();
        }
    }

    /// The partition as the controller has it.
    pub fn registration(&self) -> &PartitionRegistration {
        self.published.image.partition(TOPIC_ID, 0).unwrap()
    }

    /// The controller takes a broker for dead.
    pub fn is_fenced(&self, id: i32) -> bool {
        self.published.image.broker(id).unwrap().fenced
    }

    /// The controller changes the partition.
    pub fn change(&mut self, change: PartitionChangeRecord) {
        self.publish(vec![PartitionChangeRecord { topic_id: TOPIC_ID, ..change }.into()]);
        self.settle();
    }

    /// A broker's directory can take more, or less, than before.
    pub fn log_dir(&mut self, id: i32, state: LogDirState) {
        let log_dir = LogDirId(0);
        self.drive(id, Message::Shard(ShardId(0), ShardEvent::LogDir { log_dir, state }));
        self.settle();
    }

    /// The controller has another replica lead.
    pub fn elect(&mut self, leader: i32, isr: &[i32]) {
        self.change(PartitionChangeRecord { leader, isr: Some(isr.to_vec()), ..unchanged() });
    }

    pub fn start(&mut self, id: i32) {
        let config = self.configs[&id].clone();
        let mut store = self.stores[&id].clone();
        let (compressors, mut effects, mut traces) =
            (Compressors::default(), Effects::default(), Traces::default().with(self.planted));
        let mut cx = Cx {
            now: self.now,
            store: &mut store,
            compressors: &compressors,
            effects: &mut effects,
            traces: &mut traces,
        };
        let named =
            MetaProperties { cluster_id: "c".to_owned(), node_id: id, directory_id: Some(directory(id)) };
        if cx.store.list("data").is_err() {
            cx.store.create_dir("data").unwrap();
            cx.store.write_replacing("data/meta.properties", named.to_text().as_bytes()).unwrap();
        }
        let (_, checkpoints) = LogDirs::open(&mut cx, &config).unwrap();
        let rng = Rng::from_seed(u64::from(id.unsigned_abs()));
        let shard = Shard::new(ShardId(0), 1, config, Some(Arc::new(checkpoints)), self.now.monotonic, rng);
        self.stores.insert(id, store);
        let broker = Broker {
            shard,
            connections: BTreeMap::new(),
            alter: AlterPartitions::default(),
            links: Vec::new(),
        };
        self.brokers.insert(id, broker);
        let published = &*self.published;
        let (image, offset) = (published.image.clone(), published.offset);
        let first = Published::first(image, offset, 1, 0);
        self.drive(id, Message::Shard(ShardId(0), ShardEvent::Metadata(first)));
        self.drive(id, Message::Shard(ShardId(0), ShardEvent::Tick));
    }

    /// A process ends; what it had written stays.
    pub fn kill(&mut self, id: i32) {
        self.brokers.remove(&id);
        self.deaf.remove(&id);
        self.break_links(|one, other| one == id || other == id);
        self.settle();
    }

    /// Two brokers hear nothing of each other from now on.
    pub fn cut(&mut self, one: i32, other: i32) {
        self.cut.extend([(one, other), (other, one)]);
        self.break_links(|a, b| (a, b) == (one, other) || (a, b) == (other, one));
        self.settle();
    }

    fn break_links(&mut self, which: impl Fn(i32, i32) -> bool) {
        let broken: Vec<_> = self
            .links
            .iter()
            .filter(|((from, _), (to, _))| which(*from, *to))
            .map(|(end, at)| (*end, *at))
            .collect();
        for (end, (to, connection)) in broken {
            self.links.remove(&end);
            if let Some(broker) = self.brokers.get_mut(&to) {
                broker.connections.remove(&connection);
                self.drive(to, Message::Shard(ShardId(0), ShardEvent::ConnectionClosed(connection)));
            }
            self.link_event(end, |link| LinkEvent::Closed(link, "cut".to_owned()));
        }
    }

    fn link_event(&mut self, (broker, link): End, event: impl FnOnce(LinkId) -> LinkEvent) {
        if self.brokers.contains_key(&broker) {
            self.drive(broker, Message::Shard(ShardId(0), ShardEvent::Link(event(link))));
        }
    }

    /// Has time pass, in steps of 100 ms.
    pub fn advance(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(100) {
            self.now.monotonic.0 += 100_000;
            self.now.wall += 100;
            self.tick();
            self.settle();
        }
    }

    fn tick(&mut self) {
        let now = self.now.monotonic;
        for id in self.brokers.keys().copied().collect::<Vec<_>>() {
            let broker = &self.brokers[&id];
            let is_due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
            let connections: Vec<_> = broker
                .connections
                .iter()
                .filter(|(_, (connection, _))| is_due(connection.deadline()))
                .map(|(id, _)| *id)
                .collect();
            if is_due(broker.shard.deadline()) {
                self.drive(id, Message::Shard(ShardId(0), ShardEvent::Tick));
            }
            for connection in connections {
                self.drive(id, Message::Connection(connection, ConnectionEvent::Tick));
            }
        }
    }

    /// Carries frames and proposals until there are no more.
    pub fn settle(&mut self) {
        for _ in 0..self.rounds.unwrap_or(10_000) {
            let mut effects = Vec::new();
            for (id, broker) in &mut self.brokers {
                effects.extend(std::mem::take(&mut broker.links).into_iter().map(|effect| (*id, effect)));
            }
            let frames = std::mem::take(&mut self.frames);
            let has_proposals = self.decide();
            if effects.is_empty() && frames.is_empty() && !has_proposals {
                return;
            }
            for (end, frame) in frames {
                if self.links.contains_key(&end) {
                    self.link_event(end, |link| LinkEvent::Received(link, frame));
                }
            }
            for (id, effect) in effects {
                self.carry_out(id, effect);
            }
        }
        assert!(self.rounds.is_some(), "the brokers never come to rest");
    }

    fn carry_out(&mut self, from: i32, effect: LinkEffect) {
        match effect {
            LinkEffect::Open { link, target } => {
                let to = i32::from(target.port);
                if !self.brokers.contains_key(&to) || self.cut.contains(&(from, to)) {
                    return self
                        .link_event((from, link), |link| LinkEvent::Closed(link, "refused".to_owned()));
                }
                self.next += 1;
                let id = ConnectionId(self.next);
                let peer = Peer { id, listener: "PLAINTEXT".into(), host: "/127.0.0.1".into() };
                let config = self.configs[&to].clone();
                let connection = Connection::new(peer, config, self.published.clone(), 1, self.next);
                let broker = self.brokers.get_mut(&to).unwrap();
                broker.connections.insert(id, (connection, (from, link)));
                self.links.insert((from, link), (to, id));
                self.link_event((from, link), LinkEvent::Opened);
            }
            LinkEffect::Send { link, frame } => {
                if let Some((to, connection)) = self.links.get(&(from, link)).copied() {
                    let event = ConnectionEvent::Received(frame.slice(4..));
                    self.drive(to, Message::Connection(connection, event));
                }
            }
            LinkEffect::Close { link } => {
                if let Some((to, connection)) = self.links.remove(&(from, link)) {
                    self.brokers.get_mut(&to).unwrap().connections.remove(&connection);
                }
            }
        }
    }

    /// The controller decides what leaders propose.
    fn decide(&mut self) -> bool {
        let mut requests = Vec::new();
        for (id, broker) in self.brokers.iter_mut().filter(|(id, _)| !self.deaf.contains(id)) {
            requests.extend(broker.alter.next_request(*id, 10).map(|request| (*id, request)));
        }
        let has_proposals = !requests.is_empty();
        for (id, request) in requests {
            let asked = &request.topics[0].partitions[0];
            let now = self.registration();
            let refusal = if asked.leader_epoch != now.leader_epoch {
                Some(ErrorCode::FencedLeaderEpoch)
            } else if asked.partition_epoch != now.partition_epoch {
                Some(ErrorCode::InvalidUpdateVersion)
            } else {
                self.refuse.take()
            };
            let mut answer = PartitionData { partition_index: 0, ..PartitionData::default() };
            if let Some(error) = refusal {
                answer.error_code = error.code();
            } else {
                let isr: Vec<i32> = asked.new_isr_with_epochs.iter().map(|member| member.broker_id).collect();
                self.publish(vec![
                    PartitionChangeRecord { topic_id: TOPIC_ID, isr: Some(isr), ..unchanged() }.into(),
                ]);
                let now = self.registration();
                answer.isr.clone_from(&now.isr);
                (answer.leader_id, answer.leader_epoch) = (now.leader, now.leader_epoch);
                answer.partition_epoch = now.partition_epoch;
            }
            let topics = vec![TopicData { topic_id: TOPIC_ID, partitions: vec![answer] }];
            let response = AlterPartitionResponse { topics, ..AlterPartitionResponse::default() };
            let answers: Vec<IsrAnswer> = self.brokers.get_mut(&id).unwrap().alter.answered(Some(&response));
            self.drive(id, Message::Shard(ShardId(0), ShardEvent::IsrAnswered(answers)));
        }
        has_proposals
    }

    /// Hands a message to its machine, and all that follows within its broker.
    fn drive(&mut self, id: i32, message: Message<MemoryStore>) {
        let Some(broker) = self.brokers.get_mut(&id) else { return };
        let store = self.stores.get_mut(&id).unwrap();
        let compressors = Compressors::default();
        let mut traces = Traces::default().with(self.planted);
        let mut queue = VecDeque::from([message]);
        let mut outside = Vec::new();
        while let Some(message) = queue.pop_front() {
            let mut effects = Effects::default();
            let mut cx = Cx {
                now: self.now,
                store: &mut *store,
                compressors: &compressors,
                effects: &mut effects,
                traces: &mut traces,
            };
            match message {
                Message::Shard(_, event) => broker.shard.handle(&mut cx, event),
                Message::Connection(CLIENT, ConnectionEvent::Shard { request, response, .. }) => {
                    self.answers.insert(request, response);
                }
                Message::Connection(CLIENT, ConnectionEvent::Group { request, response }) => {
                    self.group_answers.insert(request, response);
                }
                Message::Connection(connection, event) => {
                    if let Some((connection, _)) = broker.connections.get_mut(&connection) {
                        connection.handle(&mut cx, event);
                    }
                }
                Message::Lifecycle(LifecycleEvent::Proposed(proposals)) => {
                    proposals.into_iter().for_each(|proposal| broker.alter.add(proposal));
                }
                Message::Lifecycle(LifecycleEvent::Placed(_, directory)) => self.placed.push((id, directory)),
                Message::Controller(_) | Message::LogDirs(_) | Message::Lifecycle(_) | Message::Quotas(_) => {
                }
            }
            for effect in effects.drain() {
                match effect {
                    Effect::Tell(message) => queue.push_back(message),
                    Effect::Sync { then, .. } => {
                        let event = ShardEvent::Synced { token: then.token, outcome: SyncOutcome::Done };
                        queue.push_back(Message::Shard(ShardId(0), event));
                    }
                    Effect::Send { connection, frame } => {
                        let bytes = frame.chunks.iter().flat_map(|chunk| match chunk {
                            Chunk::Bytes(bytes) => bytes.to_vec(),
                            Chunk::Slice(slice) => store.read_slice(slice).unwrap().to_vec(),
                        });
                        let bytes: Vec<u8> = bytes.collect();
                        outside.push((broker.connections[&connection].1, Bytes::from(bytes).slice(4..)));
                    }
                    Effect::Link { effect, .. } => broker.links.push(effect),
                    Effect::Answered(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        self.frames.extend(outside);
    }

    /// Asks a broker; the number by which the answer is known.
    pub fn ask(&mut self, broker: i32, request: DataRequest) -> u64 {
        self.next += 1;
        let token = Token { connection: CLIENT, request: self.next };
        let number = self.next;
        self.drive(broker, Message::Shard(ShardId(0), ShardEvent::Data { token, request }));
        number
    }

    /// Asks a broker's group coordinator; the number by which the answer is known.
    pub fn ask_group(&mut self, broker: i32, request: GroupRequest) -> u64 {
        self.next += 1;
        let token = Token { connection: CLIENT, request: self.next };
        let event = ShardEvent::Group { token, partition: 0, request };
        self.drive(broker, Message::Shard(ShardId(0), event));
        token.request
    }

    /// The answer of a group coordinator.
    pub fn group_answer(&mut self, number: u64) -> Option<GroupResponse> {
        self.group_answers.remove(&number)
    }

    /// The newest answer to a question.
    pub fn answer(&mut self, number: u64) -> Option<DataResponse<MemoryStore>> {
        self.answers.remove(&number)
    }

    /// Has a broker append a record of so many bytes.
    pub fn produce(&mut self, broker: i32, acks: i16, bytes: usize) -> u64 {
        let mut batch = BatchBuilder::new(BatchOptions::default());
        batch.append(self.now.wall, None, Some(&vec![1; bytes]), &[]);
        let records = batch.build(&Compressors::default());
        let parts = vec![ProducePart { index: 0, partition: ID, records }];
        self.ask(
            broker,
            DataRequest::Produce { version: 12, acks, timeout_ms: 5_000, may_pass_on: true, parts },
        )
    }

    /// What became of an append.
    pub fn produced(&mut self, number: u64) -> Option<Result<Produced, ProduceError>> {
        match self.answer(number)? {
            DataResponse::Produced(mut answers) => answers.pop().map(|(_, answer)| answer),
            other => panic!("{other:?}"),
        }
    }

    /// A broker's replica.
    pub fn replica(&self, broker: i32) -> &Partition<MemoryStore> {
        self.brokers[&broker].shard.partitions().find(|partition| partition.id() == ID).unwrap()
    }

    /// (log end offset, high watermark) of a broker's replica.
    pub fn ends(&self, broker: i32) -> (i64, i64) {
        let replica = self.replica(broker);
        (replica.log_end_offset(), replica.high_watermark())
    }

    /// All bytes of a broker's replica.
    pub fn bytes(&mut self, broker: i32) -> Vec<u8> {
        let store = self.stores.get_mut(&broker).unwrap();
        let files = store.list("data/t-0").unwrap();
        let logs = files.iter().filter(|file| file.name.ends_with(".log"));
        logs.flat_map(|file| store.read(&format!("data/t-0/{}", file.name)).unwrap()).collect()
    }

    /// All replicas are the same, to the byte and in what they say of their epochs.
    pub fn assert_identical(&mut self) {
        let leader = self.bytes(1);
        for id in [2, 3] {
            assert!(self.bytes(id) == leader, "broker {id} has other bytes");
            let epochs = |id| {
                let replica = self.replica(id);
                let end = replica.log_end_offset();
                let entries = replica.log().leader_epochs().entries().iter();
                entries.filter(|entry| entry.start_offset < end).copied().collect::<Vec<_>>()
            };
            assert_eq!(epochs(id), epochs(1), "broker {id}");
        }
    }
}

/// The log directory of a broker.
pub fn directory(id: i32) -> Uuid {
    Uuid([u8::try_from(id).unwrap(); 16])
}

/// A broker as it registers.
pub fn registration(broker_id: i32, broker_epoch: i64) -> MetadataRecord {
    let port = u16::try_from(broker_id).unwrap();
    let listener = BrokerEndpoint { name: "PLAINTEXT".into(), host: "h".into(), port, security_protocol: 0 };
    RegisterBrokerRecord {
        broker_id,
        broker_epoch,
        end_points: vec![listener],
        rack: Some(format!("rack-{broker_id}").into()),
        fenced: false,
        ..RegisterBrokerRecord::default()
    }
    .into()
}

/// A change that changes nothing but the partition's epoch.
pub fn unchanged() -> PartitionChangeRecord {
    PartitionChangeRecord {
        partition_id: 0,
        leader: crate::metadata::topics::NO_LEADER_CHANGE,
        leader_recovery_state: -1,
        isr: None,
        replicas: None,
        removing_replicas: None,
        adding_replicas: None,
        directories: None,
        eligible_leader_replicas: None,
        last_known_elr: None,
        ..PartitionChangeRecord::default()
    }
}
