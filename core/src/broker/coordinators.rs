//! The group coordinators of one shard: one for each partition of `__consumer_offsets` that it leads.

use ottla_protocol::{ErrorCode, Str};

use super::data::TxnEnd;
use super::shard::Partitions;
use crate::config::BrokerConfig;
use crate::coordinator::group::offsets::partitions;
use crate::coordinator::group::{
    GroupConfig, GroupCoordinator, GroupRecord, GroupRequest, GroupResponse, GroupState,
};
use crate::coordinator::{Append, Appended, Coordinator as _, Replicated, Runtime, Token};
use crate::ids::{TopicIdPartition, TopicPartition};
use crate::log::LogStore;
use crate::machine::Cx;
use crate::partition::{LogRecord, Partition};
use crate::record::{BatchBuilder, BatchOptions};
use crate::rng::Rng;
use crate::sim::mutation::Mutation;
use crate::small_map::SmallMap;
use crate::time::{Instant, Now};
use crate::trace::TraceEvent;

/// Bytes of a log that one loading step replays.
const LOAD_STEP_BYTES: u64 = 1 << 20;

/// The coordinators of one shard, by partition of `__consumer_offsets`.
#[derive(Clone, Debug)]
pub struct GroupCoordinators {
    config: GroupConfig,
    /// `offsets.commit.timeout.ms`
    commit_timeout_ms: i64,
    by_partition: SmallMap<i32, (TopicIdPartition, Phase)>,
    ready: Vec<(Token, GroupResponse)>,
    grown: Vec<TopicIdPartition>,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The partition is not open yet.
    Waiting,
    /// The log is being replayed up to where it ended.
    Loading {
        state: Replicated<GroupState>,
        next_offset: i64,
        end_offset: i64,
        rng: Rng,
    },
    Active(Box<Runtime<GroupCoordinator>>),
}

/// A partition of the offsets topic as the log of its coordinator.
struct OffsetsLog<'a, 'b, S: LogStore> {
    partition: &'a mut Partition<S>,
    cx: &'a mut Cx<'b, S>,
    grown: &'a mut Vec<TopicIdPartition>,
}

impl<S: LogStore> Append<GroupRecord> for OffsetsLog<'_, '_, S> {
    fn next_offset(&self) -> i64 {
        self.partition.log().log_end_offset()
    }

    fn append(&mut self, now: Now, records: &[GroupRecord]) -> Result<Appended, ErrorCode> {
        let mut batch = BatchBuilder::new(BatchOptions::default());
        for record in records {
            let (key, value) = record.encode().map_err(|_| ErrorCode::UnknownServerError)?;
            batch.append(now.wall, Some(&key), value.as_deref(), &[]);
        }
        if self.cx.traces.planted().is(Mutation::CommitNotAppended)
            && matches!(records, [GroupRecord::OffsetCommit { .. }, ..])
        {
            let base_offset = self.partition.high_watermark();
            return Ok(Appended { base_offset, high_watermark: base_offset + records.len() as i64 });
        }
        let base_offset = self.partition.append(self.cx, &batch.build(self.cx.compressors))?;
        self.grown.push(self.partition.id());
        let high_watermark = match self.cx.traces.planted().is(Mutation::CommitAcknowledgedAlone) {
            false => self.partition.high_watermark(),
            true => self.partition.log().log_end_offset(),
        };
        Ok(Appended { base_offset, high_watermark })
    }
}

/// What happened to groups goes where everything is traced.
fn hand_on_traces<S: LogStore>(cx: &mut Cx<'_, S>, runtime: &mut Runtime<GroupCoordinator>) {
    for event in runtime.coordinator_mut().take_traces() {
        cx.traces.emit(|| event);
    }
}

/// What groups obey of the broker's configuration.
fn group_config(config: &BrokerConfig) -> GroupConfig {
    GroupConfig {
        min_session_timeout_ms: config.group_min_session_timeout_ms,
        max_session_timeout_ms: config.group_max_session_timeout_ms,
        initial_rebalance_delay_ms: config.group_initial_rebalance_delay_ms,
        max_size: config.group_max_size,
        member_metadata_max_bytes: config.message_max_bytes,
        offset_metadata_max_bytes: config.offset_metadata_max_bytes,
        offsets_retention_ms: i64::from(config.offsets_retention_minutes) * 60_000,
        offsets_retention_check_interval_ms: config.offsets_retention_check_interval_ms,
        ..GroupConfig::default()
    }
}

impl GroupCoordinators {
    /// None yet.
    pub fn new(config: &BrokerConfig) -> Self {
        Self {
            config: group_config(config),
            commit_timeout_ms: i64::from(config.offsets_commit_timeout_ms),
            by_partition: SmallMap::new(),
            ready: Vec::new(),
            grown: Vec::new(),
        }
    }

    /// The active ones, for views and checkers.
    pub fn active(&self) -> impl Iterator<Item = (i32, &Runtime<GroupCoordinator>)> {
        self.by_partition.iter().filter_map(|(partition, (_, phase))| match phase {
            Phase::Active(runtime) => Some((*partition, &**runtime)),
            Phase::Waiting | Phase::Loading { .. } => None,
        })
    }

    /// How many groups are coordinated here.
    pub fn groups(&self) -> usize {
        self.active().map(|(_, runtime)| runtime.committed().groups().count()).sum()
    }

    /// Tells those who begin to watch where the first `max` groups stand.
    pub fn trace<S: LogStore>(&self, cx: &mut Cx<'_, S>, max: usize) {
        let groups = self.active().flat_map(|(_, runtime)| {
            let state = runtime.committed();
            state.groups().map(move |(id, value)| (runtime.coordinator(), state, id, value))
        });
        for (coordinator, state, group, value) in groups.take(max) {
            cx.traces.emit(|| TraceEvent::GroupChanged {
                group: group.clone(),
                state: Str::from_static(coordinator.state_of(group).unwrap_or("Empty")),
                generation_id: value.map_or(0, |value| value.generation),
                members: value.map_or(0, |value| value.members.len()),
            });
            for (topic, partition, offset) in state.offsets().of_group(group).into_iter().flat_map(partitions)
            {
                cx.traces.emit(|| TraceEvent::OffsetCommitted {
                    group: group.clone(),
                    partition: TopicPartition { topic: topic.clone(), partition },
                    offset: offset.committed_offset,
                });
            }
        }
    }

    /// This shard leads the partition, and will [load](Self::load) it once it is open.
    pub fn expect(&mut self, index: i32, id: TopicIdPartition) {
        self.by_partition.or_insert_with(index, || (id, Phase::Waiting));
    }

    /// The partition that a request for the coordinator on `index` has to wait for.
    pub fn waits_for(&self, index: i32) -> Option<TopicIdPartition> {
        self.by_partition.get(&index).filter(|(_, phase)| matches!(phase, Phase::Waiting)).map(|(id, _)| *id)
    }

    /// This shard leads the partition now: replays its log, a step at a time.
    pub fn load<S: LogStore>(
        &mut self,
        cx: &mut Cx<'_, S>,
        index: i32,
        partition: &mut Partition<S>,
        rng: Rng,
    ) {
        if self.by_partition.get(&index).is_some_and(|(_, phase)| !matches!(phase, Phase::Waiting)) {
            return;
        }
        let phase = Phase::Loading {
            state: Replicated::new(GroupState::default()),
            next_offset: partition.log_start_offset(),
            // What a predecessor appended last may have been acknowledged, before this broker heard that it is committed.
            end_offset: partition.log_end_offset(),
            rng,
        };
        self.by_partition.insert(index, (partition.id(), phase));
        self.load_step(cx, index, partition);
    }

    /// The partition went elsewhere: who waits is told.
    pub fn unload(&mut self, now: Now, index: i32) {
        if let Some((_, Phase::Active(mut runtime))) = self.by_partition.remove(&index) {
            self.ready.extend(runtime.coordinator_mut().unloaded());
            self.ready.extend(runtime.abandon(now, ErrorCode::NotLeaderOrFollower));
        }
    }

    fn load_step<S: LogStore>(&mut self, cx: &mut Cx<'_, S>, index: i32, partition: &mut Partition<S>) {
        let Some((_, phase)) = self.by_partition.get_mut(&index) else { return };
        let Phase::Loading { state, next_offset, end_offset, rng } = phase else { return };
        let planted = cx.traces.planted();
        let high_watermark = partition.high_watermark();
        let mut last_offset = next_offset.saturating_sub(1);
        let replayed =
            partition.for_each_record(cx, *next_offset, *end_offset, LOAD_STEP_BYTES, |at, record| {
                // From the high watermark on every state is kept until it is committed, as after an append.
                if at.offset >= high_watermark {
                    state.appended(last_offset);
                }
                last_offset = at.offset;
                let state = state.tip_mut();
                let (key, value) = match record {
                    LogRecord::Data { key, value } => (key.unwrap_or_default(), value),
                    LogRecord::EndTxn { is_commit } => {
                        state.replay_end_marker(at.producer_id, is_commit);
                        return Ok(());
                    }
                };
                let record = GroupRecord::decode(key, value).map_err(|error| error.to_string())?;
                if planted.is(Mutation::OffsetsLostOnLoad)
                    && matches!(record, GroupRecord::OffsetCommit { .. })
                {
                    return Ok(());
                }
                if planted.is(Mutation::TombstonesIgnored) && value.is_none() {
                    return Ok(());
                }
                GroupCoordinator::replay(state, at, &record);
                Ok(())
            });
        match replayed {
            Ok(next) => *next_offset = next,
            Err(reason) => {
                let path = partition.name().to_string();
                partition.fail(reason.clone());
                self.unload(cx.now, index);
                cx.traces.fault(TraceEvent::StorageFailed { path, reason });
                return;
            }
        }
        if next_offset >= end_offset {
            let coordinator = GroupCoordinator::new(GroupConfig { planted, ..self.config.clone() });
            state.appended(end_offset.saturating_sub(1));
            let mut runtime = Runtime::resumed(coordinator, state.clone(), cx.now, rng.fork());
            runtime.high_watermark_advanced(partition.high_watermark());
            *phase = Phase::Active(Box::new(runtime));
        }
    }

    /// A transaction ended on partition `index`, with a marker at `offset`.
    pub fn transaction_ended<S: LogStore>(
        &mut self,
        index: i32,
        partition: &Partition<S>,
        offset: i64,
        end: TxnEnd,
    ) {
        let Some((_, phase)) = self.by_partition.get_mut(&index) else { return };
        match phase {
            Phase::Waiting => {}
            Phase::Loading { end_offset, .. } => *end_offset = offset.saturating_add(1),
            Phase::Active(runtime) => {
                runtime.appended_elsewhere(offset, |state| {
                    state.replay_end_marker(end.producer_id, end.marker.is_commit);
                });
                runtime.high_watermark_advanced(partition.high_watermark());
                self.ready.extend(runtime.take_ready());
            }
        }
    }

    /// More of partition `index` is committed: answers that waited for it may go.
    pub fn committed<S: LogStore>(&mut self, index: i32, partition: &Partition<S>) {
        if let Some((_, Phase::Active(runtime))) = self.by_partition.get_mut(&index) {
            runtime.high_watermark_advanced(partition.high_watermark());
            self.ready.extend(runtime.take_ready());
        }
    }

    /// A request for the coordinator on partition `index`.
    pub fn submit<S: LogStore>(
        &mut self,
        cx: &mut Cx<'_, S>,
        partitions: &mut Partitions<S>,
        token: Token,
        index: i32,
        request: GroupRequest,
    ) {
        let Some((id, phase)) = self.by_partition.get_mut(&index) else {
            return self.ready.push((token, request.refusal(ErrorCode::NotCoordinator)));
        };
        let Phase::Active(runtime) = phase else {
            return self.ready.push((token, request.refusal(ErrorCode::CoordinatorLoadInProgress)));
        };
        let Some(partition) = partitions.get_mut(id) else {
            return self.ready.push((token, request.refusal(ErrorCode::NotCoordinator)));
        };
        let now = cx.now;
        let mut log = OffsetsLog { partition, cx, grown: &mut self.grown };
        runtime.submit(now, &mut log, token, request);
        self.ready.extend(runtime.take_ready());
        hand_on_traces(cx, runtime);
    }

    /// Goes on loading, and lets passed deadlines decide.
    pub fn tick<S: LogStore>(&mut self, cx: &mut Cx<'_, S>, partitions: &mut Partitions<S>) {
        let loading: Vec<(i32, TopicIdPartition)> = self
            .by_partition
            .iter()
            .filter(|(_, (_, phase))| matches!(phase, Phase::Loading { .. }))
            .map(|(index, (id, _))| (*index, *id))
            .collect();
        for (index, id) in loading {
            if let Some(partition) = partitions.get_mut(&id) {
                self.load_step(cx, index, partition);
            }
        }
        let now = cx.now;
        for (id, phase) in self.by_partition.values_mut() {
            let (Phase::Active(runtime), Some(partition)) = (phase, partitions.get_mut(id)) else { continue };
            if runtime.deadline().is_some_and(|deadline| deadline <= now.monotonic) {
                let mut log = OffsetsLog { partition, cx, grown: &mut self.grown };
                runtime.tick(now, &mut log);
                self.ready.extend(runtime.take_ready());
                hand_on_traces(cx, runtime);
            }
            // Its replicas do not follow: what was written may be committed later, and nobody is told.
            while let Some(since) = runtime.parked_since()
                && since.plus_ms(self.commit_timeout_ms) <= now.monotonic
            {
                let late = runtime.take_parked_since(since).into_iter();
                let refused = |response: GroupResponse| response.failed(ErrorCode::CoordinatorNotAvailable);
                self.ready.extend(late.map(|(token, response)| (token, refused(response))));
            }
        }
    }

    /// Topics are gone, and with them what was committed for them.
    pub fn topics_deleted<'a>(&mut self, now: Instant, topics: impl Iterator<Item = &'a Str> + Clone) {
        for (_, phase) in self.by_partition.values_mut() {
            if let Phase::Active(runtime) = phase {
                runtime.coordinator_mut().topics_deleted(now, topics.clone().cloned());
            }
        }
    }

    /// When [`GroupCoordinators::tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.by_partition
            .values()
            .filter_map(|(_, phase)| match phase {
                Phase::Waiting => None,
                Phase::Loading { .. } => Some(Instant(0)),
                Phase::Active(runtime) => {
                    let late = runtime.parked_since().map(|since| since.plus_ms(self.commit_timeout_ms));
                    runtime.deadline().into_iter().chain(late).min()
                }
            })
            .min()
    }

    /// Whether one is being loaded.
    pub fn are_loading(&self) -> bool {
        self.by_partition.values().any(|(_, phase)| matches!(phase, Phase::Loading { .. }))
    }

    /// The answers that may be sent.
    pub fn take_ready(&mut self) -> Vec<(Token, GroupResponse)> {
        std::mem::take(&mut self.ready)
    }

    /// The partitions that records were appended to.
    pub fn take_grown(&mut self) -> Vec<TopicIdPartition> {
        std::mem::take(&mut self.grown)
    }
}
