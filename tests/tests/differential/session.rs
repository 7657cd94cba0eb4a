//! One connection to one broker, at one level of versions, and what was said on it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use std::{io, thread};

use bytes::Bytes;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest,
};
use ottla_protocol::{
    ApiKey, Decoder, Encoder, Message, Request, Response, Str, Uuid, encode_request, tree::response_tree,
};
use ottla_tests::peer::Peer;
use ottla_tests::wire::Wire;

use crate::transcript::{Answer, Transcript};

/// For topics whose records carry old timestamps: retention, which looks after half a minute, must not meet the comparison.
pub const KEPT: &[(&str, &str)] = &[("retention.ms", "-1")];

/// How long a broker may take to get ready for a scenario.
const UNTIL_MAX: Duration = Duration::from_secs(20);

/// An answer that takes longer is worth a line.
const SLOW: Duration = Duration::from_secs(2);

/// The versions of an API that both brokers serve and the codec speaks.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    pub min: i16,
    pub max: i16,
}

impl Range {
    pub fn count(self) -> i16 {
        self.max - self.min + 1
    }
}

/// By API key.
pub type Ranges = BTreeMap<i16, Range>;

/// What both brokers advertise, cut to what the codec speaks.
pub fn versions_of_both(one: &Peer, other: &Peer) -> Ranges {
    let mut both = advertised(one);
    let second = advertised(other);
    both.retain(|key, _| second.contains_key(key));
    for (key, range) in &mut both {
        let known = ApiKey::from_key(*key).and_then(ApiKey::valid_versions);
        let second = second[key];
        range.min = range.min.max(second.min).max(known.map_or(0, |known| known.first));
        range.max = range.max.min(second.max).min(known.map_or(-1, |known| known.last));
    }
    both.retain(|_, range| range.count() > 0);
    both
}

/// What one broker advertises.
pub fn advertised(peer: &Peer) -> Ranges {
    let only = [(ApiKey::ApiVersions.key(), Range { min: 0, max: 0 })].into();
    let mut session = Session::open(peer, &only, 0, "");
    let answer = session.quietly(&ApiVersionsRequest::default());
    let range = |api: &ottla_protocol::messages::api_versions_response::ApiVersion| {
        (api.api_key, Range { min: api.min_version, max: api.max_version })
    };
    answer.api_keys.iter().map(range).collect()
}

/// A conversation.
#[derive(Debug)]
pub struct Session {
    address: std::net::SocketAddr,
    wire: Option<Wire>,
    versions: Ranges,
    level: i16,
    prefix: String,
    correlation_id: i32,
    settled: u32,
    /// What its requests say of who sends them.
    pub client_id: Option<Str>,
    pub transcript: Transcript,
}

impl Session {
    pub fn open(peer: &Peer, versions: &Ranges, level: i16, prefix: &str) -> Self {
        Self {
            address: peer.address(),
            wire: None,
            versions: versions.clone(),
            level,
            prefix: prefix.to_owned(),
            correlation_id: 0,
            settled: 0,
            client_id: Some("differential".into()),
            transcript: Transcript::new(prefix),
        }
    }

    /// A name that belongs to this scenario at this level alone; the same on both brokers.
    pub fn name(&self, stem: &str) -> Str {
        format!("{}{stem}", self.prefix).into()
    }

    /// The version in which this session speaks an API; the highest level stops at the last version.
    pub fn version<R: Request>(&self) -> Option<i16> {
        let range = self.versions.get(&R::API_KEY.key())?;
        Some((range.min + self.level).min(range.max))
    }

    /// Sends a request and notes the answer under `label`. `None` where there is no answer: the version
    /// cannot carry the request, the broker closed the connection, or it serves no such API.
    pub fn ask<R: Request>(&mut self, label: &str, request: &R) -> Option<R::Response> {
        let version = self.version::<R>()?;
        self.ask_at(label, request, version)
    }

    /// [`Session::ask`] at a version of the caller's.
    pub fn ask_at<R: Request>(&mut self, label: &str, request: &R, version: i16) -> Option<R::Response> {
        let frame = self.frame(request, version)?;
        let asked = Instant::now();
        let answer = self.exchange(&frame);
        if asked.elapsed() > SLOW {
            println!("{} {label} v{version}: {:?}", R::API_KEY, asked.elapsed());
        }
        let (note, response) = match answer {
            Ok(frame) => (fields(R::API_KEY, version, &frame), decode::<R>(&frame, version)),
            Err(error) => {
                self.wire = None;
                (Answer::Closed(error.kind()), None)
            }
        };
        self.transcript.note(label, R::API_KEY, version, &note);
        response
    }

    /// Sends a request at the highest version without noting the answer, which must read.
    pub fn quietly<R: Request>(&mut self, request: &R) -> R::Response {
        let version = self.versions[&R::API_KEY.key()].max;
        self.quietly_at(request, version)
    }

    /// [`Session::quietly`] at a version of the caller's.
    pub fn quietly_at<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let frame = self.frame(request, version).expect("a version that carries everything");
        let answer = self.exchange(&frame).unwrap_or_else(|error| panic!("{}: {error}", R::API_KEY));
        decode::<R>(&answer, version).unwrap_or_else(|| panic!("{} does not read", R::API_KEY))
    }

    /// Sends a request that gets no answer.
    pub fn tell<R: Request>(&mut self, request: &R) {
        let Some(version) = self.version::<R>() else { return };
        self.tell_at(request, version);
    }

    /// [`Session::tell`] at a version of the caller's.
    pub fn tell_at<R: Request>(&mut self, request: &R, version: i16) {
        let Some(frame) = self.frame(request, version) else { return };
        self.wire().and_then(|wire| wire.send(&frame)).expect("a broker that listens");
    }

    /// Sends a frame (without its length) as it is, and notes what came back.
    pub fn ask_raw(&mut self, label: &str, frame: &[u8]) {
        let answer = self.exchange(frame);
        let note = match answer {
            Ok(answer) => match spoken(frame) {
                Some((api, version)) => fields(api, version, &answer),
                None => Answer::Bytes(answer),
            },
            Err(error) => {
                self.wire = None;
                Answer::Closed(error.kind())
            }
        };
        let (api, version) = spoken(frame).unwrap_or((ApiKey::ApiVersions, -1));
        self.transcript.note(label, api, version, &note);
    }

    /// Goes on with another connection.
    pub fn reconnect(&mut self) {
        self.wire = None;
    }

    /// Every API at this session's level; one without as many versions is left out.
    pub fn apis(&self) -> Vec<(ApiKey, i16)> {
        let at_level = |(key, range): (&i16, &Range)| {
            let version = range.min + self.level;
            Some((ApiKey::from_key(*key)?, version)).filter(|_| version <= range.max)
        };
        self.versions.iter().filter_map(at_level).collect()
    }

    /// A request's header with the null client id, to which a body can be appended.
    pub fn header(&self, api: ApiKey, version: i16) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend(api.key().to_be_bytes());
        header.extend(version.to_be_bytes());
        header.extend(1_i32.to_be_bytes());
        header.extend((-1_i16).to_be_bytes());
        if api.request_header_version(version) >= 2 {
            // No tagged fields.
            header.push(0);
        }
        header
    }

    fn frame<R: Request>(&mut self, request: &R, version: i16) -> Option<Bytes> {
        self.correlation_id += 1;
        let mut encoder = Encoder::new();
        encode_request(&mut encoder, version, self.correlation_id, self.client_id.clone(), request).ok()?;
        let frame = encoder.into_bytes().expect("requests hold no slices");
        // The wire adds the length itself.
        Some(frame.slice(4..))
    }

    fn exchange(&mut self, frame: &[u8]) -> io::Result<Bytes> {
        self.wire()?.ask(frame).map(Bytes::from)
    }

    fn wire(&mut self) -> io::Result<&mut Wire> {
        let wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::connect(self.address)?,
        };
        Ok(self.wire.insert(wire))
    }
}

/// What many scenarios begin with.
impl Session {
    /// Creates a topic of this scenario's and waits until it has leaders; its full name and its id.
    pub fn topic(&mut self, stem: &str, partitions: i32, configs: &[(&str, &str)]) -> (Str, Uuid) {
        let name = self.name(stem);
        let config = |&(name, value): &(&str, &str)| {
            let value = Some(value.into());
            ottla_protocol::messages::create_topics_request::CreatableTopicConfig { name: name.into(), value }
        };
        let topic = CreatableTopic {
            name: name.clone(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let created = self.quietly(&CreateTopicsRequest { topics: vec![topic], ..Default::default() });
        assert_eq!(created.topics[0].error_code, 0, "{name}: {:?}", created.topics[0]);
        let asked = MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
        let topic_id = self.until("a topic with leaders", |session| {
            let metadata = session.quietly(&request);
            let topic = &metadata.topics[0];
            let led = topic.partitions.iter().all(|partition| partition.leader_id >= 0);
            let there = topic.error_code == 0 && topic.partitions.len() == partitions as usize;
            (there && led).then_some(topic.topic_id)
        });
        // Led is not yet opened: a broker that says so may still answer NOT_LEADER_OR_FOLLOWER.
        let partition =
            |partition_index| ListOffsetsPartition { partition_index, timestamp: -1, ..Default::default() };
        let listed =
            ListOffsetsTopic { name: name.clone(), partitions: (0..partitions).map(partition).collect() };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![listed], ..Default::default() };
        self.until("open partitions", |session| {
            let answer = session.quietly(&request);
            answer.topics[0].partitions.iter().all(|partition| partition.error_code == 0).then_some(())
        });
        (name, topic_id)
    }

    /// Waits until the broker shows what was changed before: it shows a topic created after that.
    pub fn settle(&mut self) {
        self.settled += 1;
        self.topic(&format!("settled-{}", self.settled), 1, &[]);
    }

    /// Asks again and again until there is an answer.
    pub fn until<T>(&mut self, what: &str, mut ask: impl FnMut(&mut Self) -> Option<T>) -> T {
        let end = Instant::now() + UNTIL_MAX;
        loop {
            if let Some(found) = ask(self) {
                return found;
            }
            assert!(Instant::now() < end, "not within {} s: {what}", UNTIL_MAX.as_secs());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Appends batches to partition 0 of a topic, which must accept them.
    pub fn fill(&mut self, (name, topic_id): &(Str, Uuid), batches: &[Bytes]) {
        use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
        for batch in batches {
            let partition = PartitionProduceData { index: 0, records: batch.clone().into() };
            let topic =
                TopicProduceData { name: name.clone(), topic_id: *topic_id, partition_data: vec![partition] };
            let request = ProduceRequest {
                acks: -1,
                timeout_ms: 10_000,
                topic_data: vec![topic],
                ..Default::default()
            };
            let answer = self.quietly(&request);
            let code = answer.responses[0].partition_responses[0].error_code;
            assert_eq!(code, 0, "produce to {name}");
        }
    }

    /// A new producer id (and epoch 0).
    pub fn producer_id(&mut self) -> i64 {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        self.until("a producer id", |session| {
            let answer = session.quietly(&request);
            (answer.error_code == 0).then_some(answer.producer_id)
        })
    }
}

/// An answer as it reads at a version.
fn fields(api: ApiKey, version: i16, frame: &Bytes) -> Answer {
    let (nodes, error) = response_tree(api, version, frame.clone());
    let end = nodes.last().map_or(0, |node| node.range.end);
    let rest = frame.len() - end;
    let fault = error.map(|error| format!("does not read: {error}"));
    let fault = fault.or_else(|| (rest > 0).then(|| format!("{rest} bytes too many")));
    Answer::Fields { nodes, frame: frame.clone(), fault }
}

/// API and version that a request frame names, if the codec speaks them. What ApiVersions lists has tests of its own.
fn spoken(frame: &[u8]) -> Option<(ApiKey, i16)> {
    let [a, b, c, d, ..] = *frame else { return None };
    let (api, version) = (ApiKey::from_key(i16::from_be_bytes([a, b]))?, i16::from_be_bytes([c, d]));
    let known = api.valid_versions()?;
    let is_spoken = api != ApiKey::ApiVersions && (known.first..=known.last).contains(&version);
    is_spoken.then_some((api, version))
}

fn decode<R: Request>(frame: &Bytes, version: i16) -> Option<R::Response> {
    let mut decoder = Decoder::new(frame.clone());
    let header = <R::Response as Response>::API_KEY.response_header_version(version);
    ottla_protocol::ResponseHeader::decode(&mut decoder, header).ok()?;
    R::Response::decode(&mut decoder, version).ok()
}
