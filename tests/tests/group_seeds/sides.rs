//! The two that are asked: our coordinator in process, and Apache Kafka over sockets, one per request because requests wait.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant as Clock};

use bytes::Bytes;
use ottla_core::coordinator::group::{
    GroupConfig, GroupCoordinator, GroupRecord, GroupRequest, GroupResponse, GroupState,
};
use ottla_core::coordinator::{Append, Appended, Runtime, Token};
use ottla_core::ids::ConnectionId;
use ottla_core::rng::Rng;
use ottla_core::time::{Instant, Now};
use ottla_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    FindCoordinatorRequest, OffsetFetchRequest, OffsetFetchResponse,
};
use ottla_protocol::{
    ApiKey, Decoder, Encoder, ErrorCode, Message, Request, Response, ResponseHeader, Str, encode_request,
};

/// A request that was asked on both sides.
pub struct Asked {
    token: Token,
    stream: TcpStream,
    api: ApiKey,
    version: i16,
}

/// Our coordinator over a log that only counts.
pub struct Core {
    runtime: Runtime<GroupCoordinator>,
    log: Count,
    began: Clock,
    answers: BTreeMap<Token, GroupResponse>,
}

/// Apache Kafka.
pub struct Kafka {
    address: SocketAddr,
}

#[derive(Default)]
struct Count(i64);

impl Append<GroupRecord> for Count {
    fn next_offset(&self) -> i64 {
        self.0
    }

    fn append(&mut self, _now: Now, records: &[GroupRecord]) -> Result<Appended, ErrorCode> {
        let base_offset = self.0;
        for record in records {
            record.encode().expect("every record can be written");
            self.0 += 1;
        }
        Ok(Appended { base_offset, high_watermark: self.0 })
    }
}

impl Core {
    pub fn new(seed: u64) -> Self {
        let config = GroupConfig { initial_rebalance_delay_ms: 0, max_size: 3, ..GroupConfig::default() };
        let coordinator = GroupCoordinator::new(config);
        let runtime =
            Runtime::loaded(coordinator, GroupState::default(), Now::default(), Rng::from_seed(seed));
        Self { runtime, log: Count::default(), began: Clock::now(), answers: BTreeMap::new() }
    }

    pub fn ask(&mut self, number: usize, request: GroupRequest) -> Token {
        self.tick();
        let request_number = u64::try_from(number).expect("few");
        let token = Token { connection: ConnectionId(0), request: request_number };
        self.runtime.submit(self.now(), &mut self.log, token, decoded(request));
        self.tick();
        token
    }

    pub fn tick(&mut self) {
        let now = self.now();
        self.runtime.tick(now, &mut self.log);
        self.answers.extend(self.runtime.take_ready());
    }

    /// The answer as its version can tell it.
    pub fn answer(&mut self, asked: &Asked) -> Option<GroupResponse> {
        let answer = self.answers.remove(&asked.token)?;
        Some(read(asked.api, asked.version, written(answer, asked.version)))
    }

    fn now(&self) -> Now {
        let since = self.began.elapsed();
        Now {
            monotonic: Instant(u64::try_from(since.as_micros()).expect("short")),
            wall: i64::try_from(since.as_millis()).expect("short"),
        }
    }
}

impl Kafka {
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    pub fn ask(&self, token: Token, request: GroupRequest) -> Asked {
        let (api, version, frame) = frame(request);
        let mut stream = TcpStream::connect(self.address).expect("Kafka listens");
        stream.set_nodelay(true).expect("an option");
        stream.write_all(&frame).expect("Kafka reads");
        Asked { token, stream, api, version }
    }
}

impl Asked {
    /// Kafka's answer, if it comes in time.
    pub fn answer_within(&mut self, patience: Duration) -> Option<GroupResponse> {
        self.stream.set_read_timeout(Some(patience)).expect("an option");
        match self.stream.peek(&mut [0]) {
            Ok(0) => panic!("Kafka closed the connection of a {}", self.api),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
            Err(error) => panic!("{error}"),
        }
        self.stream.set_read_timeout(Some(Duration::from_secs(30))).expect("an option");
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).expect("a size");
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(size)).expect("a size")];
        self.stream.read_exact(&mut answer).expect("an answer");
        let mut decoder = Decoder::new(Bytes::from(answer));
        let header_version = self.api.response_header_version(self.version);
        ResponseHeader::decode(&mut decoder, header_version).expect("a header");
        Some(read(self.api, self.version, decoder))
    }
}

/// Waits until Kafka's coordinator has loaded its (empty) log.
pub fn await_coordinator(address: SocketAddr) {
    let find = FindCoordinatorRequest { key: Str::from("any"), ..FindCoordinatorRequest::default() };
    for _ in 0..100 {
        let mut stream = TcpStream::connect(address).expect("Kafka listens");
        stream.write_all(&framed(3, &find)).expect("Kafka reads");
        stream.read_exact(&mut [0; 4]).expect("an answer");
        let token = Token { connection: ConnectionId(0), request: 0 };
        let request = GroupRequest::ListGroups(Default::default());
        let answer = Kafka::new(address).ask(token, request).answer_within(Duration::from_secs(5));
        if matches!(answer, Some(GroupResponse::ListGroups(listed)) if listed.error_code == 0) {
            // Listing works before the log is there; a description needs it.
            let request = GroupRequest::DescribeGroups { version: 5, groups: vec![Str::from("any")] };
            let answer = Kafka::new(address).ask(token, request).answer_within(Duration::from_secs(5));
            if matches!(answer, Some(GroupResponse::DescribeGroups(groups)) if groups[0].error_code == 0) {
                return;
            }
        }
        thread::sleep(Duration::from_millis(200));
    }
    panic!("Kafka's group coordinator does not come up");
}

/// A request as a frame, at its version or, where the coordinator does not care, at one that has all fields.
fn frame(request: GroupRequest) -> (ApiKey, i16, Bytes) {
    fn of<R: Request>(version: i16, request: &R) -> (ApiKey, i16, Bytes) {
        (R::API_KEY, version, framed(version, request))
    }
    match request {
        GroupRequest::JoinGroup { version, request, .. } => of(version, &request),
        GroupRequest::SyncGroup { version, request } => of(version, &request),
        GroupRequest::Heartbeat(request) => of(4, &request),
        GroupRequest::LeaveGroup { version, request } => of(version, &request),
        GroupRequest::OffsetCommit { version, request } => of(version, &request),
        GroupRequest::OffsetFetch { group, require_stable } => {
            let groups = vec![group];
            of(9, &OffsetFetchRequest { groups, require_stable, ..OffsetFetchRequest::default() })
        }
        GroupRequest::DescribeGroups { version, groups } => {
            of(version, &DescribeGroupsRequest { groups, ..DescribeGroupsRequest::default() })
        }
        GroupRequest::ListGroups(request) => of(5, &request),
        GroupRequest::DeleteGroups { groups } => of(2, &DeleteGroupsRequest { groups_names: groups }),
        GroupRequest::OffsetDelete(request) => of(0, &request),
    }
}

fn framed<R: Request>(version: i16, request: &R) -> Bytes {
    let mut encoder = Encoder::new();
    encode_request(&mut encoder, version, 1, Some(Str::from("client")), request).expect("a request");
    encoder.into_bytes().expect("no slices")
}

/// The request as a broker would read it at its version.
fn decoded(request: GroupRequest) -> GroupRequest {
    fn again<M: Message>(message: &M, version: i16) -> M {
        M::decode(&mut body(message, version), version).expect("what was written")
    }
    match request {
        GroupRequest::JoinGroup { version, client_id, client_host, request } => {
            GroupRequest::JoinGroup { version, client_id, client_host, request: again(&request, version) }
        }
        GroupRequest::SyncGroup { version, request } => {
            GroupRequest::SyncGroup { version, request: again(&request, version) }
        }
        GroupRequest::LeaveGroup { version, request } => {
            GroupRequest::LeaveGroup { version, request: again(&request, version) }
        }
        GroupRequest::OffsetCommit { version, request } => {
            GroupRequest::OffsetCommit { version, request: again(&request, version) }
        }
        other => other,
    }
}

fn body<M: Message>(message: &M, version: i16) -> Decoder {
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, version).expect("every answer fits its version");
    Decoder::new(encoder.into_bytes().expect("no slices"))
}

/// Our answer, written.
fn written(answer: GroupResponse, version: i16) -> Decoder {
    match answer {
        GroupResponse::JoinGroup(answer) => body(&answer, version),
        GroupResponse::SyncGroup(answer) => body(&answer, version),
        GroupResponse::Heartbeat(answer) => body(&answer, version),
        GroupResponse::LeaveGroup(answer) => body(&answer, version),
        GroupResponse::OffsetCommit(answer) => body(&answer, version),
        GroupResponse::OffsetFetch(group) => {
            body(&OffsetFetchResponse { groups: vec![group], ..OffsetFetchResponse::default() }, version)
        }
        GroupResponse::DescribeGroups(groups) => {
            body(&DescribeGroupsResponse { groups, ..DescribeGroupsResponse::default() }, version)
        }
        GroupResponse::ListGroups(answer) => body(&answer, version),
        GroupResponse::DeleteGroups(results) => {
            body(&DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }, version)
        }
        GroupResponse::OffsetDelete(answer) => body(&answer, version),
    }
}

/// An answer, read.
fn read(api: ApiKey, version: i16, mut decoder: Decoder) -> GroupResponse {
    fn of<R: Response>(decoder: &mut Decoder, version: i16) -> R {
        R::decode(decoder, version).expect("an answer")
    }
    let decoder = &mut decoder;
    match api {
        ApiKey::JoinGroup => GroupResponse::JoinGroup(of(decoder, version)),
        ApiKey::SyncGroup => GroupResponse::SyncGroup(of(decoder, version)),
        ApiKey::Heartbeat => GroupResponse::Heartbeat(of(decoder, version)),
        ApiKey::LeaveGroup => GroupResponse::LeaveGroup(of(decoder, version)),
        ApiKey::OffsetCommit => GroupResponse::OffsetCommit(of(decoder, version)),
        ApiKey::OffsetFetch => {
            GroupResponse::OffsetFetch(of::<OffsetFetchResponse>(decoder, version).groups.remove(0))
        }
        ApiKey::DescribeGroups => {
            GroupResponse::DescribeGroups(of::<DescribeGroupsResponse>(decoder, version).groups)
        }
        ApiKey::ListGroups => GroupResponse::ListGroups(of(decoder, version)),
        ApiKey::DeleteGroups => {
            GroupResponse::DeleteGroups(of::<DeleteGroupsResponse>(decoder, version).results)
        }
        ApiKey::OffsetDelete => GroupResponse::OffsetDelete(of(decoder, version)),
        other => unreachable!("{other} is not asked"),
    }
}
