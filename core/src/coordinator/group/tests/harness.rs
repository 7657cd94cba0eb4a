//! A coordinator over a log in memory, a clock that the test turns, and clients that ask and look for their answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use ottla_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::leave_group_response::LeaveGroupResponse;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use ottla_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_protocol::messages::sync_group_response::SyncGroupResponse;
use ottla_protocol::{ErrorCode, Str};

use crate::coordinator::group::{
    GroupConfig, GroupCoordinator, GroupRecord, GroupRequest, GroupResponse, GroupState,
};
use crate::coordinator::{Append, Appended, Coordinator, ReplayAt, Runtime, Token};
use crate::ids::ConnectionId;
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// Where the wall clock stands when a test begins.
pub const EPOCH_MS: i64 = 1_700_000_000_000;
/// The group of tests that need only one.
pub const GROUP: &str = "group";

/// Keys and values as `__consumer_offsets` would hold them.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub records: Vec<(Bytes, Option<Bytes>)>,
    /// The next append fails with this.
    pub failure: Option<ErrorCode>,
    /// Appends do not commit until the test says so.
    pub holds_back: bool,
    pub high_watermark: i64,
}

impl Log {
    pub fn end(&self) -> i64 {
        i64::try_from(self.records.len()).unwrap()
    }
}

impl Append<GroupRecord> for Log {
    fn next_offset(&self) -> i64 {
        self.end()
    }

    fn append(&mut self, _now: Now, records: &[GroupRecord]) -> Result<Appended, ErrorCode> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let base_offset = self.end();
        self.records.extend(records.iter().map(|record| record.encode().unwrap()));
        if !self.holds_back {
            self.high_watermark = self.end();
        }
        Ok(Appended { base_offset, high_watermark: self.high_watermark })
    }
}

/// A coordinator and its surroundings.
#[derive(Clone, Debug)]
pub struct House {
    pub runtime: Runtime<GroupCoordinator>,
    pub log: Log,
    pub now_ms: i64,
    requests: u64,
    answers: BTreeMap<Token, GroupResponse>,
}

/// What a client says when it joins.
#[derive(Clone, Debug)]
pub struct Member {
    pub group: &'static str,
    pub version: i16,
    pub member_id: String,
    pub instance_id: Option<&'static str>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocols: Vec<(&'static str, Vec<u8>)>,
    pub generation_id: i32,
}

impl Member {
    /// A consumer of topic `t` that has never joined.
    pub fn new() -> Self {
        Self {
            group: GROUP,
            version: 9,
            member_id: String::new(),
            instance_id: None,
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            protocols: vec![("range", subscription(&["t"]))],
            generation_id: -1,
        }
    }

    /// A static member.
    pub fn fixed(instance_id: &'static str) -> Self {
        Self { instance_id: Some(instance_id), ..Self::new() }
    }

    pub fn id(&self) -> Str {
        Str::from(self.member_id.as_str())
    }

    pub fn instance(&self) -> Option<Str> {
        self.instance_id.map(Str::from)
    }

    /// Takes over what a join told it.
    pub fn learn(&mut self, joined: &JoinGroupResponse) {
        self.member_id = joined.member_id.to_string();
        self.generation_id = joined.generation_id;
    }
}

impl House {
    /// Kafka's defaults.
    pub fn new() -> Self {
        Self::with(GroupConfig::default())
    }

    pub fn with(config: GroupConfig) -> Self {
        Self::load(Log::default(), config, 0, 7)
    }

    /// A coordinator that loads `log`.
    pub fn load(log: Log, config: GroupConfig, now_ms: i64, seed: u64) -> Self {
        let state = replayed(&log);
        let runtime =
            Runtime::loaded(GroupCoordinator::new(config), state, now(now_ms), Rng::from_seed(seed));
        Self { runtime, log, now_ms, requests: 0, answers: BTreeMap::new() }
    }

    /// Asks; the answer is looked for with [`House::take`].
    pub fn ask(&mut self, request: GroupRequest) -> Token {
        self.requests += 1;
        let token = Token { connection: ConnectionId(1), request: self.requests };
        self.runtime.submit(now(self.now_ms), &mut self.log, token, request);
        self.collect();
        token
    }

    /// Asks what is answered at once.
    pub fn answer(&mut self, request: GroupRequest) -> GroupResponse {
        let token = self.ask(request);
        self.take(token).expect("an answer at once")
    }

    /// The answer, if there is one.
    pub fn take(&mut self, token: Token) -> Option<GroupResponse> {
        self.answers.remove(&token)
    }

    /// Lets time pass, deadline by deadline.
    pub fn pass(&mut self, ms: i64) {
        let until = self.now_ms + ms;
        while let Some(deadline) = self.runtime.deadline() {
            let due = i64::try_from(deadline.0.div_ceil(1_000)).unwrap();
            if due > until {
                break;
            }
            self.now_ms = self.now_ms.max(due);
            self.runtime.tick(now(self.now_ms), &mut self.log);
            self.collect();
        }
        self.now_ms = until;
    }

    /// Everything appended commits.
    pub fn commit_log(&mut self) {
        self.log.high_watermark = self.log.end();
        self.runtime.high_watermark_advanced(self.log.high_watermark);
        self.collect();
    }

    fn collect(&mut self) {
        for (token, response) in self.runtime.take_ready() {
            let before = self.answers.insert(token, response);
            assert!(before.is_none(), "two answers to {token:?}");
        }
    }

    // ---- what clients do ----

    pub fn join(&mut self, member: &Member) -> Token {
        let protocols = member.protocols.iter().map(|(name, metadata)| JoinGroupRequestProtocol {
            name: Str::from(*name),
            metadata: Bytes::from(metadata.clone()),
        });
        self.ask(GroupRequest::JoinGroup {
            version: member.version,
            client_id: Str::from("client"),
            client_host: Str::from("/127.0.0.1"),
            request: JoinGroupRequest {
                group_id: Str::from(member.group),
                session_timeout_ms: member.session_timeout_ms,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                member_id: member.id(),
                group_instance_id: member.instance(),
                protocol_type: Str::from("consumer"),
                protocols: protocols.collect(),
                ..JoinGroupRequest::default()
            },
        })
    }

    /// Joins, with the id that it is sent back for.
    pub fn join_with_id(&mut self, member: &mut Member) -> Token {
        if member.member_id.is_empty() && member.instance_id.is_none() && member.version >= 4 {
            let token = self.join(member);
            let refused = self.joined(token);
            assert_eq!(refused.error_code, ErrorCode::MemberIdRequired.code());
            member.member_id = refused.member_id.to_string();
        }
        self.join(member)
    }

    pub fn joined(&mut self, token: Token) -> JoinGroupResponse {
        match self.take(token) {
            Some(GroupResponse::JoinGroup(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    /// The error of a join that is answered at once.
    pub fn join_error(&mut self, member: &Member) -> ErrorCode {
        let token = self.join(member);
        error(self.joined(token).error_code)
    }

    pub fn sync(&mut self, member: &Member, assignments: &[(&Member, &'static str)]) -> Token {
        let assignments = assignments.iter().map(|(member, bytes)| SyncGroupRequestAssignment {
            member_id: member.id(),
            assignment: Bytes::from_static(bytes.as_bytes()),
        });
        self.ask(GroupRequest::SyncGroup {
            version: 5,
            request: SyncGroupRequest {
                group_id: Str::from(member.group),
                generation_id: member.generation_id,
                member_id: member.id(),
                group_instance_id: member.instance(),
                protocol_type: Some(Str::from("consumer")),
                protocol_name: Some(Str::from(member.protocols[0].0)),
                assignments: assignments.collect(),
            },
        })
    }

    pub fn synced(&mut self, token: Token) -> SyncGroupResponse {
        match self.take(token) {
            Some(GroupResponse::SyncGroup(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    pub fn sync_error(&mut self, member: &Member) -> ErrorCode {
        let token = self.sync(member, &[]);
        error(self.synced(token).error_code)
    }

    pub fn heartbeat(&mut self, member: &Member) -> ErrorCode {
        let response = self.answer(GroupRequest::Heartbeat(HeartbeatRequest {
            group_id: Str::from(member.group),
            generation_id: member.generation_id,
            member_id: member.id(),
            group_instance_id: member.instance(),
        }));
        match response {
            GroupResponse::Heartbeat(response) => error(response.error_code),
            other => panic!("{other:?}"),
        }
    }

    pub fn leave(
        &mut self,
        version: i16,
        group: &str,
        members: &[(&str, Option<&str>)],
    ) -> LeaveGroupResponse {
        let (alone, _) = members.first().copied().unwrap_or_default();
        let members = members.iter().map(|(member_id, instance_id)| MemberIdentity {
            member_id: Str::from(*member_id),
            group_instance_id: instance_id.map(Str::from),
            reason: None,
        });
        let request = LeaveGroupRequest {
            group_id: Str::from(group),
            member_id: Str::from(if version < 3 { alone } else { "" }),
            members: if version < 3 { Vec::new() } else { members.collect() },
        };
        match self.answer(GroupRequest::LeaveGroup { version, request }) {
            GroupResponse::LeaveGroup(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// Commits offset `offset` of `topic`-0 as `member`.
    pub fn commit(&mut self, member: &Member, topic: &str, offset: i64) -> ErrorCode {
        self.commit_with(commit_request(member, topic, offset), 9)
    }

    pub fn commit_with(&mut self, request: OffsetCommitRequest, version: i16) -> ErrorCode {
        match self.answer(GroupRequest::OffsetCommit { version, request }) {
            GroupResponse::OffsetCommit(response) => error(response.topics[0].partitions[0].error_code),
            other => panic!("{other:?}"),
        }
    }

    pub fn fetch(
        &mut self,
        group: OffsetFetchRequestGroup,
        require_stable: bool,
    ) -> OffsetFetchResponseGroup {
        match self.answer(GroupRequest::OffsetFetch { group, require_stable }) {
            GroupResponse::OffsetFetch(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// The committed offset of `topic`-0; −1: none.
    pub fn committed(&mut self, group: &str, topic: &str) -> i64 {
        let topics = vec![OffsetFetchRequestTopics {
            name: Str::from(topic),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        }];
        let group = OffsetFetchRequestGroup {
            group_id: Str::from(group),
            topics: Some(topics),
            ..OffsetFetchRequestGroup::default()
        };
        self.fetch(group, false).topics[0].partitions[0].committed_offset
    }

    /// State and protocol of a group, as DescribeGroups shows them.
    pub fn described(&mut self, group: &str) -> String {
        let request = GroupRequest::DescribeGroups { version: 5, groups: vec![Str::from(group)] };
        let GroupResponse::DescribeGroups(described) = self.answer(request) else { panic!("described") };
        format!("{} {}", described[0].group_state, described[0].members.len())
    }

    /// Members that join, share partitions and are settled; the first one leads.
    pub fn settle<const N: usize>(&mut self, mut members: [Member; N]) -> [Member; N] {
        let tokens: Vec<Token> = members.iter_mut().map(|member| self.join_with_id(member)).collect();
        let delay = i64::from(GroupConfig::default().initial_rebalance_delay_ms);
        self.pass(delay * 2);
        for (member, token) in members.iter_mut().zip(tokens) {
            let joined = self.joined(token);
            assert_eq!(joined.error_code, 0);
            member.learn(&joined);
        }
        let assignments: Vec<(&Member, &'static str)> =
            members.iter().map(|member| (member, "share")).collect();
        for member in &members {
            self.sync(member, &assignments);
        }
        self.answers.clear();
        members
    }
}

/// The state that a log holds.
pub fn replayed(log: &Log) -> GroupState {
    let mut state = GroupState::default();
    for (offset, (key, value)) in (0_i64..).zip(&log.records) {
        let record = GroupRecord::decode(key, value.as_deref()).unwrap();
        let at = ReplayAt { offset, timestamp: 0, producer_id: -1, producer_epoch: -1 };
        GroupCoordinator::replay(&mut state, at, &record);
    }
    state
}

/// A commit of one offset of `topic`-0.
pub fn commit_request(member: &Member, topic: &str, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: Str::from(member.group),
        generation_id_or_member_epoch: member.generation_id,
        member_id: member.id(),
        group_instance_id: member.instance(),
        topics: vec![OffsetCommitRequestTopic {
            name: Str::from(topic),
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: offset,
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    }
}

/// A subscription as Kafka's consumers write it.
pub fn subscription(topics: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0, u8::try_from(topics.len()).unwrap()];
    for topic in topics {
        bytes.extend([0, u8::try_from(topic.len()).unwrap()]);
        bytes.extend(topic.bytes());
    }
    bytes.extend([255, 255, 255, 255]);
    bytes
}

/// Both clocks at `ms`.
pub fn now(ms: i64) -> Now {
    Now { monotonic: Instant(u64::try_from(ms).unwrap() * 1_000), wall: EPOCH_MS + ms }
}

pub fn error(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap()
}
