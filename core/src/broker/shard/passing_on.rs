//! A broker that leaves has handed over: what producers have sent here meanwhile is passed on to the next leaders, and what was appended here is
//! acknowledged once it is committed there. A restart need not cost a client a request that fails, and the pause before it tries again.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{ProduceRequest, ProduceResponse};
use ottla_protocol::{ErrorCode, Records};

use super::Shard;
use super::replicas::address;
use crate::broker::acknowledgements::{Awaited, Until};
use crate::broker::cluster_view::is_internal;
use crate::broker::data::{ProduceError, ProducePart, Produced};
use crate::ids::TopicIdPartition;
use crate::log::LogStore;
use crate::machine::Cx;
use crate::metadata::MetadataImage;
use crate::network::{Failure, Lane, Reply, RequestId, Target};
use crate::small_map::SmallMap;
use crate::time::Instant;

/// What Produce is sent at: with names, to those who do not know ids yet.
const PRODUCE_VERSIONS: (i16, i16) = (9, 13);
/// How long a leader that has not heard yet that it is one is left alone, ms.
const RETRY_MS: i64 = 2;

/// Batches on their way to those who lead now; of each partition one at a time, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct PassedOn {
    batches: BTreeMap<TopicIdPartition, VecDeque<Batch>>,
    asked: SmallMap<RequestId, TopicIdPartition>,
    next: i64,
}

#[derive(Clone, Debug)]
struct Batch {
    number: i64,
    acks: i16,
    records: Bytes,
    /// Nobody waits for it any more.
    until: Instant,
    /// When it is sent; `None` while the answer is awaited.
    due: Option<Instant>,
}

impl PassedOn {
    /// Whether there is nothing to be passed on.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// When a batch is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.batches.values().filter_map(|batches| batches.front()?.due).min()
    }

    fn take_front(&mut self, id: TopicIdPartition) -> Option<Batch> {
        let batches = self.batches.get_mut(&id)?;
        let batch = batches.pop_front();
        if batches.is_empty() {
            self.batches.remove(&id);
        }
        batch
    }
}

impl<S: LogStore> Shard<S> {
    /// Who leads a partition instead of this broker, which leaves.
    pub(super) fn next_leader(&self, id: TopicIdPartition) -> Option<Target> {
        self.next_leader_in(&self.published.image, id)
    }

    fn next_leader_in(&self, image: &MetadataImage, id: TopicIdPartition) -> Option<Target> {
        let config = &self.config;
        image.broker(config.node_id).filter(|broker| broker.in_controlled_shutdown)?;
        // Clients that may write to internal topics are known by their names, and the next leader would see another.
        image.topic_by_id(id.topic_id).filter(|topic| !is_internal(&topic.name))?;
        let leader = image.partition(id.topic_id, id.partition)?.leader;
        address(image, leader, &config.inter_broker_listener_name).filter(|_| leader != config.node_id)
    }

    /// Passes a batch on; what its answer waits for.
    pub(super) fn pass_on(&mut self, now: Instant, acks: i16, timeout_ms: i32, part: ProducePart) -> Awaited {
        let ProducePart { index, partition, records } = part;
        let passed_on = &mut self.replicas.passed_on;
        let number = passed_on.next;
        passed_on.next += 1;
        let until = now.plus_ms(i64::from(timeout_ms));
        let batch = Batch { number, acks, records, until, due: Some(now) };
        passed_on.batches.entry(partition).or_default().push_back(batch);
        Awaited { partition, until: Until::PassedOn, up_to: number, index }
    }

    /// Sends what is due.
    pub(super) fn send_passed_on(&mut self, cx: &mut Cx<'_, S>) {
        let now = cx.now.monotonic;
        let is_due =
            |batches: &VecDeque<Batch>| batches.front().is_some_and(|it| it.due.is_some_and(|at| at <= now));
        let due = self.replicas.passed_on.batches.iter().filter(|(_, batches)| is_due(batches));
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            match self.next_leader(id) {
                Some(target) => self.send_batch(now, id, &target),
                None => self.passed_on(cx, id, Err(ProduceError::of(ErrorCode::NotLeaderOrFollower))),
            }
        }
    }

    fn send_batch(&mut self, now: Instant, id: TopicIdPartition, target: &Target) {
        let Some(topic) = self.published.image.topic_by_id(id.topic_id) else { return };
        let passed_on = &mut self.replicas.passed_on;
        let Some(batch) = passed_on.batches.get_mut(&id).and_then(VecDeque::front_mut) else { return };
        batch.due = None;
        let left_ms = batch.until.ms_since(now);
        let records = Records::Bytes(batch.records.clone());
        let data = PartitionProduceData { index: id.partition, records };
        let topic =
            TopicProduceData { name: topic.name.clone(), topic_id: id.topic_id, partition_data: vec![data] };
        let request = ProduceRequest {
            // An answer is wanted also where the client wants none.
            acks: if batch.acks == 0 { 1 } else { batch.acks },
            timeout_ms: i32::try_from(left_ms).unwrap_or(i32::MAX),
            topic_data: vec![topic],
            ..ProduceRequest::default()
        };
        let link = (target, Lane::PassedOn);
        let asked = self.replicas.network.send_on(now, link, PRODUCE_VERSIONS, request, left_ms, true);
        self.replicas.passed_on.asked.insert(asked, id);
    }

    /// Whether this answers something that was passed on.
    pub(super) fn was_passed_on(&mut self, cx: &mut Cx<'_, S>, reply: &Reply) -> bool {
        let Some(id) = self.replicas.passed_on.asked.remove(&reply.id) else { return false };
        let outcome = outcome(reply);
        let now = cx.now.monotonic;
        let batch = self.replicas.passed_on.batches.get_mut(&id).and_then(VecDeque::front_mut);
        match batch {
            Some(batch) if is_early(&outcome) && batch.until > now => batch.due = Some(now.plus_ms(RETRY_MS)),
            _ => self.passed_on(cx, id, outcome),
        }
        true
    }

    /// The first batch of a partition has its answer; the next may go.
    fn passed_on(
        &mut self,
        cx: &mut Cx<'_, S>,
        id: TopicIdPartition,
        outcome: Result<Produced, ProduceError>,
    ) {
        let Some(batch) = self.replicas.passed_on.take_front(id) else { return };
        if let Some((token, response)) = self.acknowledgements.answered(id, batch.number, outcome) {
            self.reply(cx, token, response);
        }
    }

    /// This broker leads no more. Who waits for what it has appended is refused; if it leaves, only once that is lost.
    pub(super) fn hand_over(&mut self, cx: &mut Cx<'_, S>, image: &MetadataImage, id: TopicIdPartition) {
        let error = ErrorCode::NotLeaderOrFollower;
        if self.next_leader_in(image, id).is_none() {
            return self.refuse_unsynced(cx, id, error);
        }
        for until in [Until::Durable, Until::Deleted] {
            for (token, response) in self.acknowledgements.reached(id, until, i64::MAX, Some(error)) {
                self.reply(cx, token, response);
            }
        }
    }

    /// A replica that has led knows more of what is committed: what it appended then, and still has, is acknowledged, or it is lost.
    pub(super) fn acknowledge_handed_over(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition) {
        if !self.acknowledgements.awaits(id, Until::Committed) {
            return;
        }
        let Some(partition) = self.partitions.get(&id).filter(|partition| partition.is_follower()) else {
            return;
        };
        let (end, high_watermark) = (partition.log_end_offset(), partition.high_watermark());
        let lost = self.acknowledgements.cut(id, end, ErrorCode::NotLeaderOrFollower);
        let committed = self.acknowledgements.reached(id, Until::Committed, high_watermark, None);
        for (token, response) in lost.into_iter().chain(committed) {
            self.reply(cx, token, response);
        }
    }
}

/// Whether the one who was asked does not know yet that it leads.
fn is_early(outcome: &Result<Produced, ProduceError>) -> bool {
    let codes =
        [ErrorCode::NotLeaderOrFollower, ErrorCode::UnknownTopicId, ErrorCode::UnknownTopicOrPartition];
    outcome.as_ref().is_err_and(|error| codes.contains(&error.code))
}

/// What the next leader made of a batch. Where it was not heard, the client tries again.
fn outcome(reply: &Reply) -> Result<Produced, ProduceError> {
    let unheard = || ProduceError::of(ErrorCode::NotLeaderOrFollower);
    let answer = match reply.decode::<ProduceResponse>() {
        Ok(response) => response.responses.into_iter().flat_map(|topic| topic.partition_responses).next(),
        Err(Failure::TimedOut) => return Err(ProduceError::of(ErrorCode::RequestTimedOut)),
        Err(_) => None,
    };
    let answer = answer.ok_or_else(unheard)?;
    let produced = Produced {
        base_offset: answer.base_offset,
        log_append_time: answer.log_append_time_ms,
        log_start_offset: answer.log_start_offset,
    };
    match ErrorCode::from_code(answer.error_code).unwrap_or(ErrorCode::UnknownServerError) {
        ErrorCode::None => Ok(produced),
        code => Err(ProduceError {
            code,
            message: answer.error_message,
            records: answer
                .record_errors
                .into_iter()
                .map(|error| (error.batch_index, error.batch_index_error_message))
                .collect(),
            log_start_offset: answer.log_start_offset,
            appended: (answer.base_offset >= 0).then_some(produced),
        }),
    }
}
