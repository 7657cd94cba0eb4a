//! Who means no good: each kind in a thread of its own.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use ottla_core::record::{BatchBuilder, BatchOptions, CompressionType, Compressors};
use ottla_core::rng::Rng;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{FetchRequest, JoinGroupRequest, MetadataRequest, ProduceRequest};
use ottla_tests::wire::frame;

use crate::{IDLE, SLOW_READERS, SLOW_WRITERS};

/// All of them.
pub struct Attackers {
    kinds: Vec<(&'static str, JoinHandle<usize>)>,
    missing: Arc<AtomicUsize>,
}

/// Where they attack, and how long.
#[derive(Clone)]
struct Attack {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    missing: Arc<AtomicUsize>,
}

type Kind = (&'static str, fn(&Attack) -> usize);

const KINDS: &[Kind] = &[
    ("idle connections", idle),
    ("bytes read slowly by slow readers", slow_readers),
    ("requests of clients that never read", never_readers),
    ("bytes of slow writers", slow_writers),
    ("connections with random bytes", random_bytes),
    ("frames with hostile lengths", hostile_lengths),
    ("requests with much in them", crowded),
];

pub fn start(address: SocketAddr, over: &Arc<AtomicBool>) -> Attackers {
    let missing = Arc::new(AtomicUsize::new(KINDS.len()));
    let attack = Attack { address, over: Arc::clone(over), missing: Arc::clone(&missing) };
    let kinds = KINDS.iter().map(|(name, attacks)| {
        let attack = attack.clone();
        (*name, thread::spawn(move || attacks(&attack)))
    });
    Attackers { kinds: kinds.collect(), missing }
}

impl Attackers {
    pub fn are_all_there(&self) -> bool {
        self.missing.load(Ordering::Relaxed) == 0
    }

    /// What they did.
    pub fn end(self) -> String {
        let kinds = self.kinds.into_iter();
        kinds.map(|(name, thread)| format!("{} {name}\n", thread.join().expect(name))).collect()
    }
}

impl Attack {
    fn connect(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(10)).ok()?;
        stream.set_write_timeout(Some(Duration::from_secs(1))).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        Some(stream)
    }

    fn there(&self) {
        self.missing.fetch_sub(1, Ordering::Relaxed);
    }

    /// Lets others have the processor, too: this is about bytes.
    fn goes_on(&self) -> bool {
        thread::sleep(Duration::from_millis(20));
        !self.over.load(Ordering::Relaxed)
    }
}

fn framed(body: &Bytes) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes(), &body[..]].concat()
}

fn idle(attack: &Attack) -> usize {
    let mut connections = Vec::new();
    while connections.len() < IDLE && !attack.over.load(Ordering::Relaxed) {
        connections.extend(attack.connect());
    }
    attack.there();
    while attack.goes_on() {
        thread::sleep(Duration::from_millis(50));
    }
    let there = |stream: &&TcpStream| {
        stream.set_nonblocking(true).is_ok()
            && matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    };
    connections.iter().filter(there).count()
}

/// Each fetches much and takes sixteen bytes a second.
fn slow_readers(attack: &Attack) -> usize {
    let partition = FetchPartition { partition_max_bytes: i32::MAX, ..FetchPartition::default() };
    let topic = FetchTopic { topic: "large".into(), partitions: vec![partition], ..FetchTopic::default() };
    let request = FetchRequest { max_bytes: i32::MAX, topics: vec![topic], ..FetchRequest::default() };
    let fetch = framed(&frame(&request, 12).expect("it can be written"));
    let mut readers: Vec<_> = (0..SLOW_READERS).filter_map(|_| attack.connect()).collect();
    for reader in &mut readers {
        let _ = reader.write_all(&fetch.repeat(4));
        reader.set_nonblocking(true).expect("an option");
    }
    attack.there();
    let mut bytes = 0;
    while attack.goes_on() {
        bytes += readers.iter_mut().map(|reader| reader.read(&mut [0; 16]).unwrap_or(0)).sum::<usize>();
        thread::sleep(Duration::from_secs(1));
    }
    bytes
}

/// Each asks for what is made in memory, again and again.
fn never_readers(attack: &Attack) -> usize {
    let topic = |number: usize| MetadataRequestTopic {
        name: Some(format!("there-is-no-such-topic-{number}").into()),
        ..MetadataRequestTopic::default()
    };
    let request =
        MetadataRequest { topics: Some((0..2_000).map(topic).collect()), ..MetadataRequest::default() };
    let asked = framed(&frame(&request, 9).expect("it can be written"));
    let mut clients: Vec<_> = (0..100).filter_map(|_| attack.connect()).collect();
    clients.iter().for_each(|client| client.set_nonblocking(true).expect("an option"));
    attack.there();
    let mut asked_for = 0;
    while attack.goes_on() {
        for client in &mut clients {
            match client.write(&asked) {
                Ok(sent) if sent == asked.len() => asked_for += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => {
                    if let Some(next) = attack.connect() {
                        next.set_nonblocking(true).expect("an option");
                        *client = next;
                    }
                }
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    asked_for
}

/// Half of them begin with most of a request at once, all go on with little.
fn slow_writers(attack: &Attack) -> usize {
    let open = |number: usize| {
        let mut writer = attack.connect()?;
        writer.write_all(&(8_i32 << 20).to_be_bytes()).ok()?;
        if number.is_multiple_of(2) {
            // As much as it takes.
            let _ = writer.write_all(&vec![0; 7 << 20]);
        }
        writer.set_nonblocking(true).ok()?;
        Some(writer)
    };
    let mut writers: Vec<_> = (0..20).map(open).collect();
    writers.extend((20..SLOW_WRITERS).map(|number| open(number | 1)));
    attack.there();
    let mut bytes = 0;
    while attack.goes_on() {
        for (number, writer) in writers.iter_mut().enumerate() {
            match writer.as_mut().map(|writer| writer.write(&[0; 64])) {
                Some(Ok(sent)) => bytes += sent,
                Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => {}
                // It was sent away, and comes again.
                _ => *writer = open(number | 1),
            }
        }
        thread::sleep(Duration::from_millis(200));
    }
    bytes
}

fn random_bytes(attack: &Attack) -> usize {
    attack.there();
    let (mut rng, mut count) = (Rng::from_seed(1), 0);
    while attack.goes_on() {
        let Some(mut stream) = attack.connect() else { continue };
        let bytes: Vec<u8> = (0..rng.below(4_000)).map(|_| rng.below(256) as u8).collect();
        let _ = stream.write_all(&bytes);
        // The length of a frame, an API that there is, and anything.
        let framed = [
            &(bytes.len() as i32).to_be_bytes()[..],
            &[0, rng.below(90) as u8, 0, rng.below(14) as u8],
            &bytes,
        ]
        .concat();
        if let Some(mut stream) = attack.connect() {
            let _ = stream.write_all(&framed);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
            let _ = stream.read(&mut [0; 64]);
        }
        count += 2;
    }
    count
}

/// Lengths and counts that promise what does not come.
fn hostile_lengths(attack: &Attack) -> usize {
    attack.there();
    let header = |key: u8, version: u8| [0, key, 0, version, 0, 0, 0, 1, 0xff, 0xff];
    let flexible = |key: u8, version: u8| [&header(key, version)[..], &[0]].concat();
    let most = [0x7f, 0xff, 0xff, 0xff];
    let most_compact = [0xff, 0xff, 0xff, 0xff, 0x0f];
    // A tagged field that holds as many as fit, each empty.
    let tags = [&flexible(18, 3)[..], &[1, 1], &[0xff, 0xff, 0x03], &[0; 200_000]].concat();
    let bodies: Vec<Vec<u8>> = vec![
        [&header(3, 1)[..], &most].concat(),
        [&header(3, 1)[..], &[0xff, 0xff, 0xff, 0xfe]].concat(),
        [&flexible(3, 12)[..], &most_compact].concat(),
        [&header(0, 3)[..], &[0xff, 0xff, 0, 1, 0, 0, 0, 1], &most].concat(),
        [&header(3, 1)[..], &[0, 0, 0, 1, 0x7f, 0xff]].concat(),
        [&flexible(1, 12)[..], &most_compact.repeat(4)].concat(),
        tags,
        [&header(11, 5)[..], &[0; 3], &most.repeat(5)].concat(),
        // A million empty topics.
        [&header(3, 1)[..], &1_000_000_i32.to_be_bytes(), &[0; 2_000_000]].concat(),
        vec![],
    ];
    let mut count = 0;
    while attack.goes_on() {
        for body in &bodies {
            let Some(mut stream) = attack.connect() else { continue };
            let _ = stream.write_all(&framed(&Bytes::copy_from_slice(body)));
            let _ = stream.read(&mut [0; 64]);
            count += 1;
        }
        for prefix in [[0xff; 4], [0x80, 0, 0, 0], most] {
            let Some(mut stream) = attack.connect() else { continue };
            let _ = stream.write_all(&prefix);
            assert!(matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)), "it is closed");
            count += 1;
        }
    }
    count
}

/// What is well-formed and large: a batch that unpacks to a hundred times its size, very many partitions, sessions, long metadata.
fn crowded(attack: &Attack) -> usize {
    let partition = |partition| FetchPartition { partition, ..FetchPartition::default() };
    let topic = FetchTopic {
        topic: "large".into(),
        partitions: (0..50_000).map(partition).collect(),
        ..FetchTopic::default()
    };
    let many = FetchRequest { topics: vec![topic], session_epoch: 0, ..FetchRequest::default() };
    let protocol = JoinGroupRequestProtocol { name: "range".into(), metadata: vec![0; 7 << 20].into() };
    let join = |number: usize| JoinGroupRequest {
        group_id: format!("hostile-{}", number % 50).into(),
        session_timeout_ms: 300_000,
        rebalance_timeout_ms: 300_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol.clone()],
        ..JoinGroupRequest::default()
    };
    let [gzip, lz4] = [CompressionType::Gzip, CompressionType::Lz4].map(|kind| frame(&bomb(kind), 9));
    let frames = [gzip, lz4, frame(&many, 12)].map(|frame| frame.expect("it can be written"));
    attack.there();
    let mut count = 0;
    while attack.goes_on() {
        let join = frame(&join(count), 3).expect("it can be written");
        for frame in frames.iter().chain([&join]) {
            thread::sleep(Duration::from_millis(100));
            let Some(mut stream) = attack.connect() else { continue };
            let _ = stream.write_all(&framed(frame));
            let _ = stream.read(&mut [0; 64]);
            count += 1;
        }
    }
    count
}

fn bomb(compression: CompressionType) -> ProduceRequest {
    let options = BatchOptions { compression: compression.into(), ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    builder.append(1_700_000_000_000, None, Some(&vec![0; 16 << 20]), &[]);
    let records = builder.build(&Compressors::default());
    let partition = PartitionProduceData { index: 0, records: records.into() };
    let topic = TopicProduceData {
        name: "large".into(),
        partition_data: vec![partition],
        ..TopicProduceData::default()
    };
    ProduceRequest { acks: 1, timeout_ms: 1_000, topic_data: vec![topic], ..ProduceRequest::default() }
}
