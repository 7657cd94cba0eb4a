//! The same random requests to Apache Kafka's managers of brokers, replicas, quotas, credentials and delegation tokens and to our controller's
//! decisions: they write the same records and give the same answers (`tests/controller/ControllerPeer.java`).
//!
//! Known to differ, and left out: where new replicas go (it is drawn), the order of eligible replicas and of records of different
//! partitions, that Apache Kafka lets a session outlive the permission to stop, and that its controller fails where the last known leader
//! of a partition is no replica of it any more.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use ottla_core::config::{BrokerConfig, Origin, Setting};
use ottla_core::controller::{ControllerRequest, ControllerResponse, Decisions, QuorumFacts};
use ottla_core::coordinator::{Append, Appended, Runtime, Token};
use ottla_core::ids::ConnectionId;
use ottla_core::metadata::{
    ConfigResourceType, MetadataImage, MetadataRecord, MetadataState, MetadataVersion, PartitionRegistration,
    record,
};
use ottla_core::rng::Rng;
use ottla_core::sim::mutation::Planted;
use ottla_core::time::{Instant, Now};
use ottla_protocol::messages::*;
use ottla_protocol::records::metadata::{ConfigRecord, FeatureLevelRecord, TopicRecord};
use ottla_protocol::{Bytes, Encoder, ErrorCode, Message, Request, Uuid};
use ottla_tests::program::{class_path, command, java_with, run, run_with};

const BROKERS: i32 = 6;
/// This one has two directories, and gets new replicas in neither.
const WITH_TWO_DIRECTORIES: i32 = 6;
const TOPICS: u128 = 5;
const STEPS: usize = 600;
const SEEDS: u64 = 30;
const SESSION_TIMEOUT_MS: i64 = 9_000;
const REBALANCE_MS: i64 = 20_000;
const UNCLEAN_MS: i64 = 15_000;
const TOKEN_SWEEP_MS: i64 = 7_000;
const TOKEN_SECRET: &str = "secret";

#[test]
fn decisions_are_those_of_apache_kafka() {
    let (mut script, mut expected) = (String::new(), Vec::new());
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        script.push_str(&world.script);
        expected.append(&mut world.expected);
    }
    let classes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("controller-peer");
    let mut javac = command(&["javac", "-nowarn", "-d"]);
    javac.arg(&classes).args(["-cp", &class_path(), "tests/controller/ControllerPeer.java"]);
    run(javac).ok();
    let class_path = format!("{}:{}", classes.display(), class_path());
    let printed =
        run_with(java_with(&class_path, "org.apache.kafka.controller.ControllerPeer", &[]), &script).ok();
    let mut lines = printed.lines();
    let mut failed = 0;
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for step in &expected {
        let theirs: Vec<&str> = lines.by_ref().take(step.lines).collect();
        let (records, response) = told(&theirs);
        if response == "failed" {
            failed += 1;
            continue;
        }
        assert_eq!((&step.records, &step.response), (&records, &response), "{}", step.what);
        let (count, with_records) = kinds.entry(step.kind).or_default();
        *count += 1;
        *with_records += usize::from(!records.is_empty());
    }
    println!("{kinds:?}, {failed} steps after a failure of Apache Kafka's controller");
    assert!(failed < expected.len() / 10, "{failed}");
    for (kind, (count, with_records)) in kinds {
        assert!(count > 50 && (with_records > 5 || kind.starts_with("List")), "{kind} was hardly asked");
    }
}

/// What we did, in the form in which Apache Kafka tells.
struct Expected {
    kind: &'static str,
    what: String,
    /// Lines that Apache Kafka answers with.
    lines: usize,
    records: Vec<String>,
    response: String,
}

/// Records and response of Apache Kafka's lines.
fn told(lines: &[&str]) -> (Vec<String>, String) {
    let mut records = Vec::new();
    let mut response = "";
    for line in lines {
        let (written, answer) = line.split_once(' ').expect("two parts");
        response = answer;
        for text in written.split(',').filter(|text| !text.is_empty()) {
            records.push(MetadataRecord::decode(unhex(text)).expect("a record").0);
        }
    }
    (canonical(&records), response.to_owned())
}

/// Texts of records in an order of their own.
fn canonical(records: &[MetadataRecord]) -> Vec<String> {
    let mut texts: Vec<String> = records
        .iter()
        .cloned()
        .map(|mut record| {
            if let MetadataRecord::PartitionChange(change) = &mut record
                && let Some(elr) = &mut change.eligible_leader_replicas
            {
                elr.sort_unstable();
            }
            format!("{record:?}")
        })
        .collect();
    texts.sort_unstable();
    texts
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(text: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect::<Vec<u8>>().into()
}

fn encoded(message: &impl Message, version: i16) -> String {
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, version).expect("it encodes");
    hex(&encoder.into_bytes().expect("it is whole"))
}

#[derive(Default)]
struct Log(Vec<MetadataRecord>);

impl Append<MetadataRecord> for Log {
    fn next_offset(&self) -> i64 {
        i64::try_from(self.0.len()).expect("few")
    }

    fn append(&mut self, _now: Now, records: &[MetadataRecord]) -> Result<Appended, ErrorCode> {
        let base_offset = self.next_offset();
        self.0.extend_from_slice(records);
        Ok(Appended { base_offset, high_watermark: self.next_offset() })
    }
}

/// A broker as it is, whatever the controller thinks of it.
#[derive(Clone, Default)]
struct Broker {
    is_alive: bool,
    stops: bool,
    life: u128,
    epoch: i64,
    heard_at_ms: i64,
    /// It has all metadata: a controller that has taken over does not know how much of it a registration takes.
    keeps_up: bool,
    offline: Vec<Uuid>,
}

struct World {
    runtime: Runtime<Decisions>,
    log: Log,
    rng: Rng,
    now_ms: i64,
    rebalance_due_ms: i64,
    unclean_due_ms: i64,
    sweep_due_ms: i64,
    /// Without a secret there are no delegation tokens.
    has_tokens: bool,
    /// What clients know of those that were given.
    hmacs: Vec<Bytes>,
    brokers: BTreeMap<i32, Broker>,
    script: String,
    expected: Vec<Expected>,
    seed: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let state = MetadataState::new(MetadataImage::empty("house"));
        let has_tokens = seed % 5 != 4;
        let runtime = lead(state, Now::default(), seed, has_tokens);
        let mut world = Self {
            runtime,
            log: Log::default(),
            rng: Rng::from_seed(seed ^ 0x5eed),
            now_ms: 0,
            rebalance_due_ms: REBALANCE_MS,
            unclean_due_ms: UNCLEAN_MS,
            sweep_due_ms: TOKEN_SWEEP_MS,
            has_tokens,
            hmacs: Vec::new(),
            brokers: (1..=BROKERS).map(|id| (id, Broker::default())).collect(),
            script: if has_tokens { format!("new {TOKEN_SECRET}\n") } else { "new\n".to_owned() },
            expected: Vec::new(),
            seed,
        };
        let level =
            |name: &str, feature_level| FeatureLevelRecord { name: name.into(), feature_level }.into();
        // Before and after the lists of eligible replicas, and while every smaller ISR took a new leader epoch.
        let version = [30, 30, 30, 30, 24, 11][usize::try_from(seed % 6).expect("small")];
        let mut records = vec![level("metadata.version", version)];
        if version >= 23 && !seed.is_multiple_of(3) {
            records.push(level("eligible.leader.replicas.version", 1));
        }
        world.write(&records);
        for id in 1..=BROKERS {
            world.begin_life(id, false);
            world.beat(id);
        }
        for topic in 0..TOPICS {
            world.create_topic(topic);
        }
        world
    }

    fn image(&self) -> &MetadataImage {
        self.runtime.tip().image()
    }

    fn version(&self) -> MetadataVersion {
        self.image().features.metadata_version()
    }

    fn draw(&mut self, below: usize) -> usize {
        usize::try_from(self.rng.below(below as u64)).expect("small")
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.chance(percent, 100)
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.draw(list.len())]
    }

    fn now(&self) -> Now {
        Now { monotonic: Instant::default().plus_ms(self.now_ms), wall: self.now_ms }
    }

    /// Records that nobody decided about.
    fn write(&mut self, records: &[MetadataRecord]) {
        let offset = self.log.next_offset();
        let mut state = self.runtime.tip().clone();
        for one in records {
            state.replay(one).expect("it follows");
        }
        let version = state.image().features.metadata_version();
        let texts: Vec<String> =
            records.iter().map(|one| hex(&record::encode(one, version).expect("it encodes"))).collect();
        let _ = writeln!(self.script, "write {offset} {}", texts.join(","));
        self.log.append(self.now(), records).expect("it is written");
        self.runtime.appended_elsewhere(self.log.next_offset() - 1, |tip| *tip = state);
        self.runtime.high_watermark_advanced(self.log.next_offset());
    }

    fn expect(&mut self, kind: &'static str, what: String, lines: usize, from: i64, response: String) {
        let from = usize::try_from(from).expect("an offset");
        let what = format!("seed {}, {} ms: {what}", self.seed, self.now_ms);
        let records = canonical(&self.log.0[from..]);
        self.expected.push(Expected { kind, what, lines, records, response });
    }

    /// Asks both; our answer as Apache Kafka tells its own.
    fn ask<R: Request + std::fmt::Debug>(
        &mut self,
        kind: &'static str,
        version: i16,
        request: R,
        to_ours: impl FnOnce(R) -> ControllerRequest,
    ) -> ControllerResponse {
        self.ask_with(kind, version, request, to_ours, |_| String::new())
    }

    /// The same, with more words for Apache Kafka.
    fn ask_with<R: Request + std::fmt::Debug>(
        &mut self,
        kind: &'static str,
        version: i16,
        request: R,
        to_ours: impl FnOnce(R) -> ControllerRequest,
        words: impl FnOnce(&ControllerResponse) -> String,
    ) -> ControllerResponse {
        let offset = self.log.next_offset();
        let (at, api, body) = (self.now_ms, R::API_KEY as i16, encoded(&request, version));
        let what = format!("{request:?}\n{}", self.shown());
        let token = Token { connection: ConnectionId(1), request: 1 };
        let now = self.now();
        self.runtime.submit(now, &mut self.log, token, to_ours(request));
        let (_, response) = self.runtime.take_ready().pop().expect("an answer");
        let _ = writeln!(self.script, "ask {at} {offset} {api} {version} {body}{}", words(&response));
        let text = text_of(&response, version);
        self.expect(kind, what, 1, offset, text);
        // Sessions end one after the other, for both.
        self.now_ms += 2;
        response
    }

    /// Brokers and partitions, one a line.
    fn shown(&self) -> String {
        let mut shown = String::new();
        for broker in self.image().brokers() {
            let (fenced, stops) = (broker.fenced, broker.in_controlled_shutdown);
            let _ = writeln!(
                shown,
                "{} epoch {} fenced {fenced} stops {stops} {:?}",
                broker.id, broker.epoch, broker.directories
            );
        }
        for topic in self.image().topics.by_id.values() {
            for (index, partition) in &topic.partitions {
                let _ = writeln!(shown, "{} {index} {partition:?}", topic.id);
            }
        }
        shown
    }

    /// Time goes by; sessions end one after the other.
    fn pass(&mut self, ms: i64) {
        let mut target = self.now_ms + ms;
        // At the very millisecond Apache Kafka's session is not over yet.
        while self.brokers.values().any(|broker| broker.heard_at_ms + SESSION_TIMEOUT_MS == target) {
            target += 1;
        }
        loop {
            let ends = self.brokers.values().map(|broker| broker.heard_at_ms + SESSION_TIMEOUT_MS + 1);
            let next = ends.filter(|end| *end > self.now_ms && *end < target).min();
            self.now_ms = next.unwrap_or(target);
            self.tick();
            if next.is_none() {
                return;
            }
        }
    }

    fn tick(&mut self) {
        let (offset, at) = (self.log.next_offset(), self.now_ms);
        let mut lines = 0;
        let mut line = |script: &mut String, what: &str| {
            let _ = writeln!(script, "{what} {at} {offset}");
            lines += 1;
        };
        for _ in 0..BROKERS + 2 {
            line(&mut self.script, "tick");
        }
        let mut kind = "sessions";
        if self.rebalance_due_ms <= at {
            self.rebalance_due_ms = at + REBALANCE_MS;
            line(&mut self.script, "balance");
            kind = "rebalance";
        }
        if self.unclean_due_ms <= at {
            self.unclean_due_ms = at + UNCLEAN_MS;
            line(&mut self.script, "unclean");
            kind = "unclean elections";
        }
        if self.sweep_due_ms <= at {
            self.sweep_due_ms = at + TOKEN_SWEEP_MS;
            line(&mut self.script, "sweep");
            kind = "expirations of tokens";
        }
        let (now, what) = (self.now(), format!("{kind}\n{}", self.shown()));
        self.runtime.tick(now, &mut self.log);
        self.expect(kind, what, lines, offset, String::new());
    }

    fn step(&mut self) {
        let ms = 1 + i64::try_from(self.draw(700)).expect("small");
        self.pass(ms);
        let ids: Vec<i32> = self.brokers.keys().copied().collect();
        let id = self.pick(&ids);
        match self.draw(104) {
            0..40 => ids.iter().for_each(|id| self.beat(*id)),
            40..46 => self.begin_life(id, false),
            46..48 => self.begin_life(id, true),
            48..51 => self.brokers.entry(id).or_default().is_alive = false,
            51..54 => self.brokers.entry(id).or_default().stops = true,
            54..72 => self.alter_partition(),
            72..78 => self.elect(),
            78..86 => self.reassign(),
            86..88 => self.list(),
            88..89 => self.unregister(id),
            89..91 => self.allocate(id),
            91..94 => self.assign(),
            94..96 => self.lose_directory(),
            96 => self.fail_over(),
            97 => self.limit(),
            98 => self.credential(),
            100.. => self.token(),
            _ => self.configure(),
        }
    }

    /// Another controller takes over, with the log and nothing else.
    fn fail_over(&mut self) {
        let unfenced: Vec<i32> = self.image().unfenced_brokers().map(|broker| broker.id).collect();
        // Those that are not heard of any more would lose their sessions at once, in an order of chance.
        if unfenced.iter().filter(|id| !self.brokers[id].is_alive).count() > 1 {
            return;
        }
        let (state, now) = (self.runtime.tip().clone(), self.now());
        self.runtime = lead(state, now, self.rng.next_u64(), self.has_tokens);
        let _ = writeln!(self.script, "activate {}", self.now_ms);
        self.rebalance_due_ms = self.now_ms + REBALANCE_MS;
        self.unclean_due_ms = self.now_ms + UNCLEAN_MS;
        self.sweep_due_ms = self.now_ms + TOKEN_SWEEP_MS;
        for (id, broker) in &mut self.brokers {
            broker.keeps_up = true;
            if unfenced.contains(id) {
                broker.heard_at_ms = self.now_ms;
            }
        }
        let ids: Vec<i32> = self.brokers.keys().copied().collect();
        self.now_ms += 2;
        ids.iter().for_each(|id| self.beat(*id));
    }

    fn create_topic(&mut self, topic: u128) {
        let topic_id = Uuid::from_u128(1_000 + topic);
        let mut records = vec![TopicRecord { name: format!("t{topic}").into(), topic_id }.into()];
        let replication_factor = 1 + self.draw(4);
        for index in 0..1 + i32::try_from(self.draw(3)).expect("small") {
            let mut replicas: Vec<i32> = (1..=BROKERS).collect();
            while replicas.len() > replication_factor {
                replicas.remove(self.draw(replicas.len()));
            }
            let turn = self.draw(replicas.len());
            replicas.rotate_left(turn);
            let directories = replicas.iter().map(|id| directory(*id, 0)).collect();
            let partition = PartitionRegistration {
                isr: replicas.clone(),
                leader: replicas[0],
                directories,
                replicas,
                ..PartitionRegistration::default()
            };
            records.push(partition.to_record(topic_id, index, self.version()).into());
        }
        self.write(&records);
    }

    fn configure(&mut self) {
        let topic = self.draw(usize::try_from(TOPICS).expect("small"));
        let (name, value) = match self.draw(2) {
            0 => ("min.insync.replicas", self.pick(&["1", "2", "3"])),
            _ => ("unclean.leader.election.enable", self.pick(&["true", "false"])),
        };
        let record = ConfigRecord {
            resource_type: ConfigResourceType::Topic.code(),
            resource_name: format!("t{topic}").into(),
            name: name.into(),
            value: Some(value.into()),
        };
        self.write(&[record.into()]);
    }

    fn begin_life(&mut self, id: i32, amends: bool) {
        let mut broker = self.brokers[&id].clone();
        let is_new = self.image().broker(id).is_none();
        if amends && (is_new || !broker.is_alive) {
            return;
        }
        let life = if amends { broker.life } else { broker.life + 1 };
        let feature =
            |name: &str, min_supported_version, max_supported_version| broker_registration_request::Feature {
                name: name.into(),
                min_supported_version,
                max_supported_version,
            };
        let highest = if self.chance(90) { 30 } else { 23 };
        let version = self.pick(&[2, 3, 4, 4]);
        let previous_broker_epoch = match self.draw(4) {
            _ if version < 3 => -1,
            0 => -1,
            1 => broker.epoch - 1,
            _ => broker.epoch,
        };
        let mut log_dirs = vec![directory(id, 0)];
        if id == WITH_TWO_DIRECTORIES {
            log_dirs.push(directory(id, 1));
        }
        let neighbour = 1 + id % BROKERS;
        let taken = self.image().broker(neighbour).and_then(|broker| broker.directories.first().copied());
        if self.chance(3) {
            log_dirs.extend(taken);
        }
        let request = BrokerRegistrationRequest {
            broker_id: id,
            cluster_id: if self.chance(2) { "another" } else { "house" }.into(),
            incarnation_id: Uuid::from_u128((u128::from(id.unsigned_abs()) << 64) + life),
            listeners: Vec::new(),
            features: vec![
                feature("metadata.version", 7, highest),
                feature("eligible.leader.replicas.version", 0, 1),
                feature("kraft.version", 0, 1),
            ],
            rack: None,
            is_migrating_zk_broker: false,
            log_dirs,
            previous_broker_epoch,
        };
        let response =
            self.ask("BrokerRegistration", version, request, ControllerRequest::BrokerRegistration);
        let ControllerResponse::BrokerRegistration(response) = response else { panic!("another answer") };
        if response.error_code == 0 && !amends {
            broker = Broker { is_alive: true, life, epoch: response.broker_epoch, ..Broker::default() };
            broker.heard_at_ms = self.brokers[&id].heard_at_ms;
            self.brokers.insert(id, broker);
        } else if response.error_code == 0 {
            self.brokers.entry(id).or_default().offline.clear();
        }
    }

    fn beat(&mut self, id: i32) {
        let broker = self.brokers[&id].clone();
        if !broker.is_alive {
            return;
        }
        let behind =
            if self.chance(25) && !broker.keeps_up { i64::try_from(self.draw(6)).expect("small") } else { 0 };
        let stale = i64::from(self.chance(2));
        // With the heartbeat that unfences a broker Apache Kafka elects it from directories that the same heartbeat says are offline; Ottla does not.
        let is_fenced = self.image().broker(id).is_some_and(|broker| broker.fenced);
        let offline_log_dirs = if is_fenced { Vec::new() } else { broker.offline };
        let request = BrokerHeartbeatRequest {
            broker_id: id,
            broker_epoch: broker.epoch - stale,
            current_metadata_offset: self.log.next_offset() - 1 - behind,
            want_fence: self.chance(3),
            want_shut_down: broker.stops,
            offline_log_dirs,
            cordoned_log_dirs: None,
        };
        let at_ms = self.now_ms;
        let response = self.ask("BrokerHeartbeat", 1, request, ControllerRequest::BrokerHeartbeat);
        let ControllerResponse::BrokerHeartbeat(response) = response else { panic!("another answer") };
        let broker = self.brokers.entry(id).or_default();
        if response.error_code == 0 {
            broker.heard_at_ms = at_ms;
        }
        if response.should_shut_down {
            (broker.is_alive, broker.stops) = (false, false);
        }
    }

    /// A partition of any topic.
    fn any_partition(&mut self) -> (Uuid, i32, PartitionRegistration) {
        let all: Vec<_> = self
            .image()
            .topics
            .by_id
            .values()
            .flat_map(|topic| topic.partitions.iter().map(|(index, one)| (topic.id, *index, one.clone())))
            .collect();
        all[self.draw(all.len())].clone()
    }

    fn name_of(&self, topic_id: Uuid) -> ottla_protocol::Str {
        self.image().topic_by_id(topic_id).expect("it exists").name.clone()
    }

    fn alter_partition(&mut self) {
        let (topic_id, partition_index, partition) = self.any_partition();
        let leader = if self.chance(95) { partition.leader } else { partition.replicas[0] };
        let Some(broker_epoch) = self.image().broker(leader).map(|broker| broker.epoch) else { return };
        let mut isr = partition.isr.clone();
        for replica in partition.replicas.clone() {
            match self.draw(4) {
                0 => isr.retain(|member| *member != replica || replica == leader),
                1 | 2 if !isr.contains(&replica) => isr.push(replica),
                _ => {}
            }
        }
        if self.chance(3) {
            isr.push(1 + i32::try_from(self.draw(8)).expect("small"));
        }
        let version = self.pick(&[2, 3, 3, 3]);
        let mut data = alter_partition_request::PartitionData {
            partition_index,
            leader_epoch: partition.leader_epoch,
            leader_recovery_state: if self.chance(85) { 0 } else { 1 },
            partition_epoch: partition.partition_epoch,
            ..Default::default()
        };
        if self.chance(4) {
            data.leader_epoch += self.pick(&[-1, 1]);
        }
        if self.chance(4) {
            data.partition_epoch += self.pick(&[-1, 1]);
        }
        if version == 2 {
            data.new_isr = isr;
        } else {
            for broker_id in isr {
                let known = self.image().broker(broker_id).map_or(7, |broker| broker.epoch);
                let broker_epoch = if self.chance(3) { known - 1 } else { known };
                data.new_isr_with_epochs
                    .push(alter_partition_request::BrokerState { broker_id, broker_epoch });
            }
        }
        let topic_id = if self.chance(2) { Uuid::ONE } else { topic_id };
        let topics = vec![alter_partition_request::TopicData { topic_id, partitions: vec![data] }];
        let request = AlterPartitionRequest { broker_id: leader, broker_epoch, topics };
        self.ask("AlterPartition", version, request, ControllerRequest::AlterPartition);
    }

    fn elect(&mut self) {
        let (topic_id, index, _) = self.any_partition();
        let topic = self.name_of(topic_id);
        let request = ElectLeadersRequest {
            election_type: self.pick(&[0, 0, 1]),
            topic_partitions: Some(vec![elect_leaders_request::TopicPartitions {
                topic,
                partitions: vec![index, index + 9],
            }]),
            timeout_ms: 1_000,
        };
        self.ask("ElectLeaders", 2, request, ControllerRequest::ElectLeaders);
    }

    fn reassign(&mut self) {
        let (topic_id, partition_index, partition) = self.any_partition();
        let mut target: Vec<i32> = (1..=BROKERS).collect();
        let wanted = 1 + self.draw(4);
        while target.len() > wanted {
            target.remove(self.draw(target.len()));
        }
        if !partition.replicas.contains(&WITH_TWO_DIRECTORIES) {
            target.retain(|id| *id != WITH_TWO_DIRECTORIES);
        }
        if !target.is_empty() {
            let turn = self.draw(target.len());
            target.rotate_left(turn);
        }
        if self.chance(5) {
            target.push(self.pick(&[1, 2, 9]));
        }
        let replicas = if self.chance(25) { None } else { Some(target) };
        let partitions =
            vec![alter_partition_reassignments_request::ReassignablePartition { partition_index, replicas }];
        let name = self.name_of(topic_id);
        let request = AlterPartitionReassignmentsRequest {
            timeout_ms: 1_000,
            allow_replication_factor_change: self.chance(70),
            topics: vec![alter_partition_reassignments_request::ReassignableTopic { name, partitions }],
        };
        let ours = ControllerRequest::AlterPartitionReassignments;
        self.ask("AlterPartitionReassignments", 1, request, ours);
    }

    fn list(&mut self) {
        let (topic_id, ..) = self.any_partition();
        let name = self.name_of(topic_id);
        let topic = list_partition_reassignments_request::ListPartitionReassignmentsTopics {
            name,
            partition_indexes: vec![0, 1, 2, 3],
        };
        let request = ListPartitionReassignmentsRequest { timeout_ms: 1_000, topics: Some(vec![topic]) };
        self.ask("ListPartitionReassignments", 0, request, ControllerRequest::ListPartitionReassignments);
    }

    fn unregister(&mut self, broker_id: i32) {
        let request = UnregisterBrokerRequest { broker_id };
        self.ask("UnregisterBroker", 0, request, ControllerRequest::UnregisterBroker);
        self.brokers.entry(broker_id).or_default().is_alive = false;
    }

    fn allocate(&mut self, broker_id: i32) {
        let broker_epoch = self.brokers[&broker_id].epoch;
        let request = AllocateProducerIdsRequest { broker_id, broker_epoch };
        self.ask("AllocateProducerIds", 0, request, ControllerRequest::AllocateProducerIds);
    }

    fn limit(&mut self) {
        const KEYS: [&str; 6] = [
            "consumer_byte_rate",
            "controller_mutation_rate",
            "producer_byte_rate",
            "request_percentage",
            "connection_creation_rate",
            "x",
        ];
        let entity_type = self.pick(&["user", "client-id", "ip", "group"]);
        let names = if entity_type == "ip" { ["10.0.0.1", "no host"] } else { ["a", ""] };
        let entity_name = if self.chance(30) { None } else { Some(self.pick(&names).into()) };
        let entity =
            vec![alter_client_quotas_request::EntityData { entity_type: entity_type.into(), entity_name }];
        let op = alter_client_quotas_request::OpData {
            key: self.pick(&KEYS).into(),
            value: self.pick(&[-1.0, 0.0, 1.0, 1.5, 2.000_000_1, 1e3, 3e9, 1e19]),
            remove: self.chance(30),
        };
        let ops = if self.chance(10) { vec![op.clone(), op] } else { vec![op] };
        let request = AlterClientQuotasRequest {
            entries: vec![alter_client_quotas_request::EntryData { entity, ops }],
            validate_only: false,
        };
        self.ask("AlterClientQuotas", 1, request, ControllerRequest::AlterClientQuotas);
    }

    fn credential(&mut self) {
        let name = self.pick(&["a", "a", "b", ""]);
        let (mut deletions, mut upsertions) = (Vec::new(), Vec::new());
        for _ in 0..self.pick(&[1, 1, 1, 2, 3]) {
            let mechanism = self.pick(&[0, 1, 1, 1, 2, 2, 2, 3]);
            if self.chance(40) {
                let deletion = alter_user_scram_credentials_request::ScramCredentialDeletion {
                    name: name.into(),
                    mechanism,
                };
                deletions.push(deletion);
            } else {
                upsertions.push(alter_user_scram_credentials_request::ScramCredentialUpsertion {
                    name: name.into(),
                    mechanism,
                    iterations: self.pick(&[4_095, 4_096, 8_192, 16_384, 16_385]),
                    salt: b"salt"[..].into(),
                    salted_password: self.rng.next_u64().to_be_bytes().to_vec().into(),
                });
            }
        }
        let request = AlterUserScramCredentialsRequest { deletions, upsertions };
        let ours = ControllerRequest::AlterUserScramCredentials;
        self.ask("AlterUserScramCredentials", 0, request, ours);
    }

    fn token(&mut self) {
        const PRINCIPALS: [&str; 3] = ["User:a", "User:b", "User:c"];
        let principal = self.pick(&PRINCIPALS);
        let as_principal = |_: &ControllerResponse| format!(" {principal}");
        let hmac = match self.draw(10) {
            0 => b"nobody's"[..].into(),
            _ if self.hmacs.is_empty() => Bytes::new(),
            _ => {
                // Older ones have expired.
                let recent = self.hmacs.len().min(3);
                let back = 1 + self.draw(recent);
                self.hmacs[self.hmacs.len() - back].clone()
            }
        };
        match self.draw(3) {
            0 => self.create_token(principal),
            1 => {
                let renew_period_ms = self.pick(&[-1, 0, 1_000, 30_000, i64::MAX]);
                let request = RenewDelegationTokenRequest { hmac, renew_period_ms };
                let ours = |request| ControllerRequest::RenewDelegationToken(principal.into(), request);
                self.ask_with("RenewDelegationToken", 2, request, ours, as_principal);
            }
            _ => {
                let expiry_time_period_ms = self.pick(&[-1, 0, 3_000, 30_000, i64::MAX]);
                let request = ExpireDelegationTokenRequest { hmac, expiry_time_period_ms };
                let ours = |request| ControllerRequest::ExpireDelegationToken(principal.into(), request);
                self.ask_with("ExpireDelegationToken", 2, request, ours, as_principal);
            }
        }
    }

    fn create_token(&mut self, principal: &'static str) {
        let owner = self.pick(&[None, Some(""), Some("a"), Some("c")]);
        let renewers = (0..self.draw(3)).map(|_| create_delegation_token_request::CreatableRenewers {
            principal_type: if self.chance(95) { "User" } else { "Group" }.into(),
            principal_name: self.pick(&["a", "b"]).into(),
        });
        let request = CreateDelegationTokenRequest {
            renewers: renewers.collect(),
            owner_principal_type: owner.map(|_| "User".into()),
            owner_principal_name: owner.map(Into::into),
            max_lifetime_ms: self.pick(&[-1, 0, 2_000, 30_000, i64::MAX]),
        };
        let ours = |request| ControllerRequest::CreateDelegationToken(principal.into(), request);
        let words = |response: &ControllerResponse| match response {
            ControllerResponse::CreateDelegationToken(created) => {
                format!(" {principal} {}", created.token_id)
            }
            other => panic!("{other:?}"),
        };
        let response = self.ask_with("CreateDelegationToken", 3, request, ours, words);
        let ControllerResponse::CreateDelegationToken(created) = response else { panic!("another answer") };
        if created.error_code == 0 {
            self.hmacs.push(created.hmac);
        }
    }

    fn assign(&mut self) {
        let (topic_id, partition_index, _) = self.any_partition();
        let broker_id = WITH_TWO_DIRECTORIES;
        let id = directory(broker_id, self.rng.below(2));
        let partitions = vec![assign_replicas_to_dirs_request::PartitionData { partition_index }];
        let topics = vec![assign_replicas_to_dirs_request::TopicData { topic_id, partitions }];
        let request = AssignReplicasToDirsRequest {
            broker_id,
            broker_epoch: self.brokers[&broker_id].epoch,
            directories: vec![assign_replicas_to_dirs_request::DirectoryData { id, topics }],
        };
        self.ask("AssignReplicasToDirs", 0, request, ControllerRequest::AssignReplicasToDirs);
    }

    fn lose_directory(&mut self) {
        let lost = directory(WITH_TWO_DIRECTORIES, self.rng.below(2));
        let broker = self.brokers.entry(WITH_TWO_DIRECTORIES).or_default();
        // Without any directory it would be no broker any more.
        if broker.offline.is_empty() {
            broker.offline.push(lost);
        }
    }
}

/// A controller that begins to lead.
fn lead(state: MetadataState, now: Now, seed: u64, has_tokens: bool) -> Runtime<Decisions> {
    let settings = [
        ("leader.imbalance.check.interval.seconds", (REBALANCE_MS / 1_000).to_string()),
        ("unclean.leader.election.interval.ms", UNCLEAN_MS.to_string()),
        ("delegation.token.secret.key", if has_tokens { TOKEN_SECRET } else { "" }.to_owned()),
        ("delegation.token.max.lifetime.ms", "60000".to_owned()),
        ("delegation.token.expiry.time.ms", "20000".to_owned()),
        ("delegation.token.expiry.check.interval.ms", TOKEN_SWEEP_MS.to_string()),
    ];
    let settings =
        settings.map(|(name, value)| (name.to_owned(), Setting { value, origin: Origin::Override }));
    let config = Arc::new(BrokerConfig::resolve(settings, true).expect("they are valid").config);
    let mut decisions = Decisions::new(config, Planted::default());
    decisions.set_quorum(QuorumFacts { kraft_version: 1, ..QuorumFacts::default() });
    Runtime::loaded(decisions, state, now, Rng::from_seed(seed))
}

fn directory(broker: i32, number: u64) -> Uuid {
    Uuid::from_u128(500_000 + 10 * u128::from(broker.unsigned_abs()) + u128::from(number))
}

/// A response as the peer prints it: what went wrong with all of it, or its bytes.
fn text_of(response: &ControllerResponse, version: i16) -> String {
    fn text(error_code: i16, message: &impl Message, version: i16) -> String {
        if error_code == 0 { encoded(message, version) } else { format!("error {error_code}") }
    }
    match response {
        ControllerResponse::BrokerRegistration(one) => text(one.error_code, one, version),
        ControllerResponse::BrokerHeartbeat(one) => text(one.error_code, one, version),
        ControllerResponse::AlterPartition(one) => text(one.error_code, one, version),
        ControllerResponse::ElectLeaders(one) => text(one.error_code, one, version),
        ControllerResponse::AlterPartitionReassignments(one) => text(one.error_code, one, version),
        ControllerResponse::ListPartitionReassignments(one) => text(one.error_code, one, version),
        ControllerResponse::UnregisterBroker(one) => text(one.error_code, one, version),
        ControllerResponse::AllocateProducerIds(one) => text(one.error_code, one, version),
        ControllerResponse::AlterClientQuotas(one) => text(0, one, version),
        ControllerResponse::AlterUserScramCredentials(one) => text(0, one, version),
        ControllerResponse::CreateDelegationToken(one) => text(0, one, version),
        ControllerResponse::RenewDelegationToken(one) => text(0, one, version),
        ControllerResponse::ExpireDelegationToken(one) => text(0, one, version),
        ControllerResponse::AssignReplicasToDirs(one) => text(one.error_code, one, version),
        other => panic!("{other:?}"),
    }
}
