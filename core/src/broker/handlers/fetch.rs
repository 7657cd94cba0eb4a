//! Fetch: reads batches, waiting for `min.bytes` up to `max.wait` (KIP-74, 227, 320, 516).
//!
//! The limits are of the whole request, so the connection owns it: it watches every partition at its shard until Kafka's
//! completion cases hold, then reads in request order with what is left of `max.bytes`. The first batch is always whole.

use bytes::Bytes;
use ottla_protocol::messages::fetch_request::{FetchRequest, FetchTopic};
use ottla_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch,
    NodeEndpoint, PartitionData,
};
use ottla_protocol::{ErrorCode, Records};

use super::{Env, Handled, Outcome, Pending, Resume};
use crate::broker::current_leaders::CurrentLeaders;
use crate::broker::data::{
    DataRequest, DataResponse, Fetched, Isolation, Place, Readable, Reader, Replica, WatchPart,
};
use crate::broker::fan_out::{FanOut, held_here, held_here_by_id};
use crate::broker::fetch_sessions::{Resolved, Wanted};
use crate::broker::quotas::Windows;
use crate::broker::request::Request;
use crate::broker::{Message, ShardEvent};
use crate::ids::{ShardId, TopicIdPartition};
use crate::log::LogStore;
use crate::metadata::quotas::QuotaKind;
use crate::small_map::{SmallMap, SmallSet};
use crate::time::Instant;

/// From here on clients are told who leads instead (KIP-951).
const CURRENT_LEADER_VERSION: i16 = 16;

/// A fetch on its way.
#[derive(Clone, Debug)]
pub struct Join<S: LogStore> {
    resolved: Resolved,
    reader: Reader,
    min_bytes: u64,
    max_bytes: u64,
    deadline: Instant,
    parts: Vec<PartState<S>>,
    phase: Phase,
}

#[derive(Clone, Debug)]
struct PartState<S: LogStore> {
    id: Option<TopicIdPartition>,
    seen: Option<Result<Readable, ErrorCode>>,
    read: Option<Result<Fetched<S>, ErrorCode>>,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Until every shard has spoken, then until enough is readable.
    Watching { unheard: SmallSet<ShardId>, shards: SmallSet<ShardId> },
    /// All shards at once: everything fits.
    ReadingAll { unread: usize },
    /// One run of partitions of one shard after the other, with what is left of the budget.
    ReadingInOrder { next: usize, left: u64 },
}

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: FetchRequest = request.decode(body)?;
    let now = env.cx.now.monotonic;
    let mut resolved = match env.sessions.resolve(now, &asked, request.version) {
        Ok(resolved) => resolved,
        Err(error) => {
            let response = FetchResponse { error_code: error.code(), ..FetchResponse::default() };
            let frame = request.respond(&response, []);
            let replica = replica(&asked, request.version);
            return Ok(if replica.is_some() { Outcome::Exempt(frame) } else { Outcome::Reply(frame) });
        }
    };
    // A limit of the request that is below zero meets the first partition.
    if let Some(first) = resolved.wanted.first_mut().filter(|_| asked.max_bytes < 0) {
        first.max_bytes = asked.max_bytes;
    }
    let isolation = match asked.isolation_level {
        0 => Isolation::ReadUncommitted,
        1 => Isolation::ReadCommitted,
        _ => return Ok(Outcome::Reply(request.respond(&fail(&asked, request.version), []))),
    };
    let reader = reader(env, request, &asked, isolation);
    let locate = |wanted: &Wanted| match request.version {
        13.. => held_here_by_id(env.image(), env.config, wanted.topic_id, wanted.partition),
        _ => held_here(env.image(), env.config, &wanted.topic, wanted.partition),
    };
    let parts: Vec<PartState<S>> = resolved
        .wanted
        .iter()
        .map(|wanted| match locate(wanted) {
            Ok(id) => PartState { id: Some(id), seen: None, read: None },
            Err(error) => PartState { id: None, seen: None, read: Some(Err(error)) },
        })
        .collect();
    let refused = parts.iter().any(|part| part.read.is_some());
    let quota = if reader.replica.is_some() { i32::MAX } else { bytes_max(env, request) };
    let max_bytes = asked.max_bytes.min(env.config.fetch_max_bytes).min(quota).max(0);
    let mut join = Join {
        resolved,
        reader,
        // An error is answered at once.
        min_bytes: if refused { 0 } else { u64::try_from(asked.min_bytes.min(max_bytes)).unwrap_or(0) },
        max_bytes: u64::try_from(max_bytes).unwrap_or(0),
        deadline: now.plus_ms(i64::from(asked.max_wait_ms)),
        parts,
        phase: Phase::ReadingAll { unread: 0 },
    };
    let mut fan_out = FanOut::over(env.shards);
    for index in 0..join.parts.len() {
        if let Some(part) = join.watch_part(index) {
            fan_out.add(part.partition, part);
        }
    }
    if fan_out.is_empty() {
        return Ok(join.finish(env, request));
    }
    let token = env.token(request);
    let mut shards = SmallSet::new();
    for (shard, parts) in fan_out.into_parts() {
        shards.insert(shard);
        let request = DataRequest::Watch { parts, reader: join.reader.clone() };
        env.cx.effects.tell(Message::Shard(shard, ShardEvent::Data { token, request }));
    }
    join.phase = Phase::Watching { unheard: shards.clone(), shards };
    Ok(Outcome::Wait(Box::new(Pending::Fetch(join))))
}

fn replica(asked: &FetchRequest, version: i16) -> Option<Replica> {
    let replica = match version {
        15.. => Replica {
            broker: asked.replica_state.replica_id,
            broker_epoch: asked.replica_state.replica_epoch,
        },
        _ => Replica { broker: asked.replica_id, broker_epoch: -1 },
    };
    (replica.broker >= 0).then_some(replica)
}

/// What a consumer can be given without having to wait for sure: more, and it would never get any.
fn bytes_max<S: LogStore>(env: &Env<'_, '_, S>, request: &Request) -> i32 {
    let quotas = &env.image().client_quotas;
    if !quotas.is_limited(QuotaKind::Fetch) {
        return i32::MAX;
    }
    let windows = Windows::new(env.config.quota_window_num, env.config.quota_window_size_seconds);
    let context = &request.context;
    let (_, limit) = quotas.limit(QuotaKind::Fetch, &context.user(), context.client_id.as_ref());
    limit.map_or(i32::MAX, |limit| windows.burst(limit) as i32)
}

/// Who asks. Followers serve consumers that can be told of replicas (KIP-392).
fn reader<S: LogStore>(
    env: &Env<'_, '_, S>,
    request: &Request,
    asked: &FetchRequest,
    isolation: Isolation,
) -> Reader {
    if let Some(replica) = replica(asked, request.version) {
        return Reader {
            isolation: Isolation::LogEnd,
            replica: Some(replica),
            leader_only: true,
            place: None,
        };
    }
    let is_placed = env.config.selects_replicas() && request.version >= 11 && !asked.rack_id.is_empty();
    let place = is_placed
        .then(|| Place { rack: asked.rack_id.detached(), listener: request.context.listener.clone() });
    Reader { isolation, replica: None, leader_only: request.version < 11, place }
}

pub fn resume<S: LogStore>(
    env: &mut Env<'_, '_, S>,
    request: &Request,
    mut join: Join<S>,
    event: Resume<S>,
) -> Handled<S> {
    match event {
        Resume::Shard(shard, DataResponse::Watched(seen)) => {
            for (index, seen) in seen {
                if let Some(part) = join.parts.get_mut(index) {
                    part.seen = Some(seen);
                }
            }
            if let Phase::Watching { unheard, .. } = &mut join.phase {
                unheard.remove(&shard);
            }
        }
        Resume::Shard(_, DataResponse::Read(read)) => return Ok(join.take_read(env, request, read)),
        _ => {}
    }
    let late = env.cx.now.monotonic >= join.deadline;
    match &join.phase {
        Phase::Watching { unheard, .. } if unheard.is_empty() && (late || join.enough()) => {
            Ok(join.start_reading(env, request))
        }
        _ => Ok(Outcome::Wait(Box::new(Pending::Fetch(join)))),
    }
}

impl<S: LogStore> Join<S> {
    /// When waiting for bytes ends.
    pub fn deadline(&self) -> Option<Instant> {
        matches!(&self.phase, Phase::Watching { unheard, .. } if unheard.is_empty()).then_some(self.deadline)
    }

    fn watch_part(&self, index: usize) -> Option<WatchPart> {
        let partition = self.parts.get(index)?.id?;
        let wanted = self.resolved.wanted.get(index)?;
        Some(WatchPart {
            index,
            partition,
            fetch_offset: wanted.fetch_offset,
            current_leader_epoch: wanted.current_leader_epoch,
            last_fetched_epoch: wanted.last_fetched_epoch,
            log_start_offset: wanted.log_start_offset,
            max_bytes: i64::from(wanted.max_bytes),
        })
    }

    /// Bytes that a partition can contribute, at most its own limit.
    fn readable(&self, index: usize) -> u64 {
        let seen = self.parts.get(index).and_then(|part| part.seen.as_ref());
        let limit =
            self.resolved.wanted.get(index).map_or(0, |wanted| u64::try_from(wanted.max_bytes).unwrap_or(0));
        match seen {
            Some(Ok(readable)) => readable.bytes.min(limit),
            _ => 0,
        }
    }

    /// Kafka's completion cases, all but the deadline.
    fn enough(&self) -> bool {
        let at_once = |part: &PartState<S>| match &part.seen {
            Some(Ok(readable)) => readable.at_once,
            Some(Err(_)) => true,
            None => false,
        };
        self.parts.iter().any(at_once)
            || (0..self.parts.len()).map(|index| self.readable(index)).fold(0, u64::saturating_add)
                >= self.min_bytes
    }

    fn start_reading(mut self, env: &mut Env<'_, '_, S>, request: &Request) -> Outcome<S> {
        let Phase::Watching { shards, .. } = &self.phase else { return self.go_on_in_order(env, request) };
        let shards = shards.clone();
        for part in &mut self.parts {
            if let Some(Err(error)) = part.seen {
                part.read = Some(Err(error));
            }
        }
        let all = (0..self.parts.len()).map(|index| self.readable(index)).fold(0, u64::saturating_add);
        let oversized = |index| {
            let seen = self.parts.get(index).and_then(|part: &PartState<S>| part.seen.as_ref());
            matches!(seen, Some(Ok(readable)) if readable.bytes > self.readable(index))
        };
        // Only the first batch of the whole answer may exceed its limits, so order matters where one might.
        if all > self.max_bytes || (0..self.parts.len()).any(oversized) {
            for shard in shards {
                let event = ShardEvent::Data { token: env.token(request), request: DataRequest::Unwatch };
                env.cx.effects.tell(Message::Shard(shard, event));
            }
            self.phase = Phase::ReadingInOrder { next: 0, left: self.max_bytes };
            return self.go_on_in_order(env, request);
        }
        let mut fan_out: SmallMap<ShardId, Vec<WatchPart>> =
            shards.iter().map(|shard| (*shard, Vec::new())).collect();
        for index in 0..self.parts.len() {
            if self.parts.get(index).is_some_and(|part| part.read.is_some()) {
                continue;
            }
            if let Some(part) = self.watch_part(index) {
                fan_out.or_default(part.partition.shard(env.shards)).push(part);
            }
        }
        self.phase = Phase::ReadingAll { unread: fan_out.len() };
        for (shard, parts) in fan_out {
            self.read(env, request, shard, parts, self.max_bytes, false);
        }
        Outcome::Wait(Box::new(Pending::Fetch(self)))
    }

    fn read(
        &self,
        env: &mut Env<'_, '_, S>,
        request: &Request,
        shard: ShardId,
        parts: Vec<WatchPart>,
        max_bytes: u64,
        first_batch_whole: bool,
    ) {
        let token = env.token(request);
        let reader = self.reader.clone();
        let request = DataRequest::Read { parts, reader, max_bytes, first_batch_whole };
        env.cx.effects.tell(Message::Shard(shard, ShardEvent::Data { token, request }));
    }

    /// Reads the next run of partitions that one shard owns.
    fn go_on_in_order(mut self, env: &mut Env<'_, '_, S>, request: &Request) -> Outcome<S> {
        let Phase::ReadingInOrder { next, left } = self.phase else { return self.finish(env, request) };
        let mut run: Vec<WatchPart> = Vec::new();
        let mut after = next;
        while after < self.parts.len() {
            let unread = self.parts.get(after).is_some_and(|part| part.read.is_none());
            if let Some(part) = unread.then(|| self.watch_part(after)).flatten() {
                let shard = part.partition.shard(env.shards);
                if run.first().is_some_and(|first| first.partition.shard(env.shards) != shard) {
                    break;
                }
                run.push(part);
            }
            after += 1;
        }
        let Some(shard) = run.first().map(|first| first.partition.shard(env.shards)) else {
            return self.finish(env, request);
        };
        let nothing_yet = left == self.max_bytes;
        self.phase = Phase::ReadingInOrder { next: after, left };
        self.read(env, request, shard, run, left, nothing_yet);
        Outcome::Wait(Box::new(Pending::Fetch(self)))
    }

    fn take_read(
        mut self,
        env: &mut Env<'_, '_, S>,
        request: &Request,
        read: Vec<(usize, Result<Fetched<S>, ErrorCode>)>,
    ) -> Outcome<S> {
        let mut bytes = 0_u64;
        for (index, read) in read {
            if let Ok(Fetched { records: Some((_, len)), .. }) = &read {
                bytes = bytes.saturating_add(u64::from(*len));
            }
            if let Some(part) = self.parts.get_mut(index) {
                part.read = Some(read);
            }
        }
        match &mut self.phase {
            Phase::ReadingAll { unread } => {
                *unread = unread.saturating_sub(1);
                if *unread == 0 {
                    self.finish(env, request)
                } else {
                    Outcome::Wait(Box::new(Pending::Fetch(self)))
                }
            }
            Phase::ReadingInOrder { left, .. } => {
                *left = left.saturating_sub(bytes);
                self.go_on_in_order(env, request)
            }
            Phase::Watching { .. } => Outcome::Wait(Box::new(Pending::Fetch(self))),
        }
    }

    fn finish(self, env: &mut Env<'_, '_, S>, request: &Request) -> Outcome<S> {
        let Self { resolved, parts, reader, .. } = self;
        let quotas = &env.image().client_quotas;
        let is_limited = quotas.is_limited(QuotaKind::Fetch) || quotas.is_limited(QuotaKind::Request);
        let unanswered = is_limited.then(|| env.sessions.unanswered(&resolved));
        let mut response = FetchResponse { session_id: resolved.session_id, ..FetchResponse::default() };
        let mut slices = Vec::new();
        let mut with_records = Vec::with_capacity(parts.len());
        let mut leaders = CurrentLeaders::default();
        for (index, (part, wanted)) in parts.into_iter().zip(&resolved.wanted).enumerate() {
            let read = part.read.unwrap_or_else(|| Err(ErrorCode::NotLeaderOrFollower));
            let bounds = match &read {
                Ok(fetched) => Some(fetched.bounds),
                Err(_) => None,
            };
            let has_records = matches!(&read, Ok(Fetched { records: Some(_), .. }));
            let has_news = match &read {
                Ok(fetched) => {
                    has_records || fetched.diverging.is_some() || fetched.preferred_read_replica.is_some()
                }
                Err(_) => true,
            };
            with_records.push(has_records);
            if !env.sessions.answers(&resolved, index, bounds, has_news) {
                continue;
            }
            let error = read.as_ref().err().copied();
            let mut data = partition_data(wanted.partition, part.id.is_some(), read, &mut slices);
            if request.version >= CURRENT_LEADER_VERSION
                && matches!(error, Some(ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch))
                && let Some(leader) = leaders.of(env.image(), wanted.topic_id, wanted.partition)
            {
                let (leader_id, leader_epoch) = leader;
                data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch };
            }
            let topics = &mut response.responses;
            match topics.last_mut() {
                Some(last) if last.topic == wanted.topic && last.topic_id == wanted.topic_id => {
                    last.partitions.push(data);
                }
                _ => topics.push(FetchableTopicResponse {
                    topic: wanted.topic.clone(),
                    topic_id: wanted.topic_id,
                    partitions: vec![data],
                }),
            }
        }
        env.sessions.rotate(&resolved, &with_records);
        response.node_endpoints = leaders
            .endpoints(env.image(), &request.context.listener)
            .map(|(node_id, host, port, rack)| NodeEndpoint { node_id, host, port, rack })
            .collect();
        let frame = request.respond(&response, slices);
        match unanswered {
            _ if reader.replica.is_some() => Outcome::Exempt(frame),
            Some(unanswered) => Outcome::Fetched(frame, unanswered),
            None => Outcome::Reply(frame),
        }
    }
}

/// `asked`: the answer is the replica's own.
fn partition_data<S: LogStore>(
    partition_index: i32,
    asked: bool,
    read: Result<Fetched<S>, ErrorCode>,
    slices: &mut Vec<S::Slice>,
) -> PartitionData {
    let data = PartitionData { partition_index, ..PartitionData::default() };
    match read {
        Ok(Fetched { bounds, records, aborted, diverging, preferred_read_replica }) => {
            let len = records.as_ref().map_or(0, |(_, len)| *len);
            slices.extend(records.map(|(slice, _)| slice));
            let aborted = aborted.map(|aborted| {
                let entry = |(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset };
                aborted.into_iter().map(entry).collect()
            });
            PartitionData {
                high_watermark: bounds.high_watermark,
                last_stable_offset: bounds.last_stable_offset,
                log_start_offset: bounds.log_start_offset,
                diverging_epoch: diverging.map_or_else(EpochEndOffset::default, |(epoch, end_offset)| {
                    EpochEndOffset { epoch, end_offset }
                }),
                aborted_transactions: aborted,
                preferred_read_replica: preferred_read_replica.unwrap_or(-1),
                records: if len == 0 { Records::Bytes(Bytes::new()) } else { Records::Slice { len } },
                ..data
            }
        }
        // Kafka lists no aborted transactions where the replica refused, and an empty list where nobody was asked.
        Err(code) => PartitionData {
            error_code: code.code(),
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted_transactions: (!asked).then(Vec::new),
            records: Records::Bytes(Bytes::new()),
            ..data
        },
    }
}

/// A request that asks for what there is not, as Kafka answers where it falls over: up to version 12 in each partition.
fn fail(asked: &FetchRequest, version: i16) -> FetchResponse {
    let error_code = ErrorCode::UnknownServerError.code();
    let refused = |topic: &FetchTopic| FetchableTopicResponse {
        topic: topic.topic.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| PartitionData {
                partition_index: partition.partition,
                error_code,
                high_watermark: -1,
                records: Records::Bytes(Bytes::new()),
                aborted_transactions: Some(Vec::new()),
                ..PartitionData::default()
            })
            .collect(),
    };
    FetchResponse {
        error_code,
        session_id: asked.session_id,
        responses: if version < 13 { asked.topics.iter().map(refused).collect() } else { Vec::new() },
        ..FetchResponse::default()
    }
}
