//! The producer: records gather in batches by partition and leave when a batch is full or has lingered long enough.
//!
//! One batch of a partition is under way at a time, so that retries keep the order; idempotence (KIP-98) keeps them from being
//! appended twice.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProduceResponse};
use ottla_protocol::{ErrorCode, Records, Str};

use super::partitioner::{Sticky, partition_for_key};
use super::session::{Destination, Session, SessionConfig, Topics};
use crate::network::{Failure, Lane, LinkEvent, Reply, RequestId};
use crate::record::{
    BatchBuilder, BatchOptions, Compression, Compressors, estimate_size_upper_bound, increment_sequence,
};
use crate::rng::Rng;
use crate::small_map::SmallMap;
use crate::time::{Instant, Now};

/// The Produce versions that this client fills in; from 13 on topics go by id.
const PRODUCE_VERSIONS: (i16, i16) = (3, 12);

/// Settings of a producer, by Kafka's names.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// What every client has.
    pub session: SessionConfig,
    /// `acks`: 0, 1, or −1 for all.
    pub acks: i16,
    /// `linger.ms`
    pub linger_ms: i64,
    /// `batch.size`, bytes.
    pub batch_size: usize,
    /// `compression.type`
    pub compression: Compression,
    /// `enable.idempotence`
    pub enable_idempotence: bool,
    /// `delivery.timeout.ms`
    pub delivery_timeout_ms: i64,
    /// `retries`: how often a batch is sent again.
    pub retries: u32,
    /// `max.request.size`, bytes.
    pub max_request_size: usize,
    /// `max.block.ms`: how long a record waits for its topic to be known.
    pub max_block_ms: i64,
    /// Sequence of the first record of each partition: 0 but in simulations that want to see sequences begin anew.
    pub first_sequence: i32,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            session: SessionConfig::default(),
            acks: -1,
            linger_ms: 5,
            batch_size: 16_384,
            compression: Compression::default(),
            enable_idempotence: true,
            delivery_timeout_ms: 120_000,
            retries: i32::MAX as u32,
            max_request_size: 1_048_576,
            max_block_ms: 60_000,
            first_sequence: 0,
        }
    }
}

/// A record to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerRecord {
    /// To which topic.
    pub topic: Str,
    /// To which partition; by key or sticky when none is named.
    pub partition: Option<i32>,
    /// ms; the time of sending when none is given.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; none is a tombstone.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// Names a record that was handed to the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId(pub u64);

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which.
    pub id: RecordId,
    /// To which topic.
    pub topic: Str,
    /// The outcome.
    pub outcome: Result<RecordMetadata, DeliveryError>,
}

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// Its partition.
    pub partition: i32,
    /// Its offset; −1 when nobody said (acks=0, or a duplicate that is no longer remembered).
    pub offset: i64,
}

/// Why a record did not arrive, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryError {
    /// The broker refused it.
    Refused(ErrorCode),
    /// `delivery.timeout.ms` or `max.block.ms` passed.
    TimedOut,
    /// With what the protocol adds at most it exceeds `max.request.size`.
    TooLarge { bytes: usize, max: usize },
    /// The link failed and retrying was not allowed.
    Network(Failure),
}

#[derive(Clone, Debug)]
struct Batch {
    builder: BatchBuilder,
    ids: Vec<RecordId>,
    created: Instant,
    /// First sequence, once it has one: retries keep it.
    sequence: Option<(i64, i16, i32)>,
    /// Not before this time.
    not_before: Instant,
    /// So often it is sent again if need be.
    retries_left: u32,
}

#[derive(Clone, Debug, Default)]
struct PartitionQueue {
    batches: VecDeque<Batch>,
    next_sequence: i32,
    in_flight: bool,
}

/// A producer.
#[derive(Clone, Debug)]
pub struct Producer {
    config: ProducerConfig,
    session: Session,
    rng: Rng,
    unassigned: VecDeque<(RecordId, ProducerRecord, Instant)>,
    queues: BTreeMap<(Str, i32), PartitionQueue>,
    sticky: SmallMap<Str, Sticky>,
    topics: Vec<Str>,
    in_flight: SmallMap<RequestId, Vec<(Str, i32)>>,
    identity: Identity,
    next_record: u64,
    deliveries: Vec<Delivery>,
    flushing: bool,
}

/// Who this producer is to the brokers.
#[derive(Clone, Debug)]
enum Identity {
    /// No idempotence.
    Nobody,
    Unknown {
        not_before: Instant,
    },
    Asked(RequestId),
    Known {
        producer_id: i64,
        epoch: i16,
    },
}

impl Producer {
    /// A producer that knows nobody yet.
    pub fn new(config: ProducerConfig, rng: Rng) -> Self {
        let identity = if config.enable_idempotence && config.acks == -1 {
            Identity::Unknown { not_before: Instant(0) }
        } else {
            Identity::Nobody
        };
        Self {
            session: Session::new(config.session.clone()),
            config,
            rng,
            unassigned: VecDeque::new(),
            queues: BTreeMap::new(),
            sticky: SmallMap::new(),
            topics: Vec::new(),
            in_flight: SmallMap::new(),
            identity,
            next_record: 0,
            deliveries: Vec::new(),
            flushing: false,
        }
    }

    /// What is known of the cluster, and the links.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The settings.
    pub fn config(&self) -> &ProducerConfig {
        &self.config
    }

    /// Hands a record over; its [`Delivery`] follows.
    pub fn send(&mut self, now: Now, record: ProducerRecord) -> RecordId {
        let id = RecordId(self.next_record);
        self.next_record += 1;
        if !self.topics.contains(&record.topic) {
            self.topics.push(record.topic.clone());
            self.session.want_topics(now.monotonic, Topics::Named(self.topics.clone()), true);
        }
        let give_up = now.monotonic.plus_ms(self.config.max_block_ms);
        self.unassigned.push_back((id, record, give_up));
        id
    }

    /// Sends what has gathered without waiting for more, from now on.
    pub fn flush(&mut self) {
        self.flushing = true;
    }

    /// Whether every record has had its delivery.
    pub fn is_idle(&self) -> bool {
        self.unassigned.is_empty()
            && self.in_flight.is_empty()
            && self.queues.values().all(|q| q.batches.is_empty())
    }

    /// Records that have not had their delivery.
    pub fn outstanding(&self) -> usize {
        let queued: usize =
            self.queues.values().flat_map(|queue| &queue.batches).map(|batch| batch.ids.len()).sum();
        queued + self.unassigned.len()
    }

    /// Its id to the brokers, once it has one.
    pub fn producer_id(&self) -> Option<i64> {
        match self.identity {
            Identity::Known { producer_id, .. } => Some(producer_id),
            Identity::Nobody | Identity::Unknown { .. } | Identity::Asked(_) => None,
        }
    }

    /// What became of records since the last call.
    pub fn take_deliveries(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.deliveries)
    }

    /// Takes what the shell says.
    pub fn handle(&mut self, now: Now, compressors: &Compressors, event: LinkEvent) {
        self.session.handle(now.monotonic, event);
        self.tick(now, compressors);
    }

    /// Does what is due; call it after [`Producer::send`] too.
    pub fn tick(&mut self, now: Now, compressors: &Compressors) {
        self.session.tick(now.monotonic);
        let mut replies = self.session.take_replies(now.monotonic);
        loop {
            replies.iter().for_each(|reply| self.take_reply(now, reply));
            self.assign(now);
            self.expire(now.monotonic);
            self.ask_identity(now.monotonic);
            self.drain(now.monotonic, compressors);
            if self.config.acks != 0 {
                break;
            }
            // What nobody answers is settled once it is sent, and the next batch of its partition may go.
            replies = self.session.take_replies(now.monotonic);
            if replies.is_empty() {
                break;
            }
        }
        if self.flushing && self.is_idle() {
            self.flushing = false;
        }
    }

    /// When [`Producer::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let ready = self.queues.values().filter(|queue| !queue.in_flight).filter_map(|queue| {
            let first = queue.batches.front()?;
            let linger = if self.flushing || queue.batches.len() > 1 {
                first.created
            } else {
                first.created.plus_ms(self.config.linger_ms)
            };
            // What waits for its leader or the producer id is woken by their answers.
            self.can_send().then(|| linger.max(first.not_before))
        });
        let expiry = self.queues.values().filter(|queue| !queue.in_flight).filter_map(|queue| {
            Some(queue.batches.front()?.created.plus_ms(self.config.delivery_timeout_ms))
        });
        let blocked = self.unassigned.front().map(|(_, _, give_up)| *give_up);
        let identity = match self.identity {
            Identity::Unknown { not_before } if self.session.is_ready() => Some(not_before),
            _ => None,
        };
        ready.chain(expiry).chain(blocked).chain(identity).chain(self.session.deadline()).min()
    }

    fn can_send(&self) -> bool {
        self.session.is_ready() && matches!(self.identity, Identity::Nobody | Identity::Known { .. })
    }

    /// Moves records whose topic is known into batches.
    fn assign(&mut self, now: Now) {
        for _ in 0..self.unassigned.len() {
            let Some((id, record, give_up)) = self.unassigned.pop_front() else { return };
            let partitions = self.session.cluster().partition_count(&record.topic);
            if partitions > 0 && record.partition.is_none_or(|partition| partition < partitions) {
                self.append(now, id, record, partitions);
                continue;
            }
            let error = self.session.cluster().topics.get(&record.topic).and_then(|topic| topic.error);
            match error {
                Some(error) if !error.is_retriable() => {
                    self.fail(id, record.topic, DeliveryError::Refused(error));
                }
                _ if give_up <= now.monotonic => self.fail(id, record.topic, DeliveryError::TimedOut),
                _ => self.unassigned.push_back((id, record, give_up)),
            }
        }
    }

    fn fail(&mut self, id: RecordId, topic: Str, error: DeliveryError) {
        self.deliveries.push(Delivery { id, topic, outcome: Err(error) });
    }

    fn append(&mut self, now: Now, id: RecordId, record: ProducerRecord, partitions: i32) {
        let ProducerRecord { topic, partition, timestamp, key, value, headers } = record;
        let headers: Vec<_> = headers.iter().map(|(key, value)| (key.as_ref(), value.as_deref())).collect();
        let (size, max) = (
            estimate_size_upper_bound(key.as_deref(), value.as_deref(), &headers),
            self.config.max_request_size,
        );
        if size > max {
            return self.fail(id, topic, DeliveryError::TooLarge { bytes: size, max });
        }
        let bytes = key.as_ref().map_or(0, Bytes::len) + value.as_ref().map_or(0, Bytes::len);
        let partition = match (partition, &key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_for_key(key, partitions),
            (None, None) => {
                let rng = &mut self.rng;
                let sticky = self.sticky.or_insert_with(topic.clone(), || Sticky::choose(partitions, rng));
                sticky.next(bytes, self.config.batch_size, partitions, rng)
            }
        };
        let timestamp = timestamp.unwrap_or(now.wall);
        let fresh = PartitionQueue { next_sequence: self.config.first_sequence, ..PartitionQueue::default() };
        let queue = self.queues.entry((topic, partition)).or_insert(fresh);
        let (key, value) = (key.as_deref(), value.as_deref());
        let fits = |batch: &&mut Batch| {
            batch.sequence.is_none()
                && batch.builder.has_room_for(self.config.batch_size, timestamp, key, value, &headers)
        };
        // The first batch may be on its way.
        let open = if queue.in_flight && queue.batches.len() == 1 { None } else { queue.batches.back_mut() };
        if let Some(batch) = open.filter(fits) {
            batch.builder.append(timestamp, key, value, &headers);
            batch.ids.push(id);
            return;
        }
        let options = BatchOptions { compression: self.config.compression, ..BatchOptions::default() };
        let mut builder = BatchBuilder::new(options);
        builder.append(timestamp, key, value, &headers);
        queue.batches.push_back(Batch {
            builder,
            ids: vec![id],
            created: now.monotonic,
            sequence: None,
            not_before: now.monotonic,
            retries_left: self.config.retries,
        });
    }

    /// Gives up on batches that are too old and not under way.
    fn expire(&mut self, now: Instant) {
        let timeout = self.config.delivery_timeout_ms;
        let mut expired = Vec::new();
        let mut unknown_outcome = false;
        for ((topic, _), queue) in self.queues.iter_mut().filter(|(_, queue)| !queue.in_flight) {
            while queue.batches.front().is_some_and(|batch| batch.created.plus_ms(timeout) <= now) {
                let batch = queue.batches.pop_front();
                unknown_outcome |= batch.as_ref().is_some_and(|batch| batch.sequence.is_some());
                expired.extend(batch.into_iter().flat_map(|batch| batch.ids).map(|id| (id, topic.clone())));
            }
        }
        if unknown_outcome && matches!(self.identity, Identity::Known { .. }) {
            self.renew_identity(now);
        }
        for (id, topic) in expired {
            self.fail(id, topic, DeliveryError::TimedOut);
        }
    }

    /// The sequence is broken: what follows begins a new one under a new id.
    fn renew_identity(&mut self, now: Instant) {
        self.identity = Identity::Unknown { not_before: now };
        for queue in self.queues.values_mut() {
            queue.next_sequence = 0;
        }
    }

    fn ask_identity(&mut self, now: Instant) {
        let Identity::Unknown { not_before } = self.identity else { return };
        if not_before > now || !self.session.is_ready() {
            return;
        }
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        };
        if let Some(id) = self.session.send(now, &Destination::Any, (0, 5), request) {
            self.identity = Identity::Asked(id);
        }
    }

    /// Sends the first batch of every partition whose turn it is, one request for each leader.
    fn drain(&mut self, now: Instant, compressors: &Compressors) {
        if !self.can_send() {
            return;
        }
        let mut by_leader: SmallMap<i32, Vec<(Str, i32, Bytes)>> = SmallMap::new();
        let mut leaderless = false;
        for ((topic, partition), queue) in &mut self.queues {
            let more = queue.batches.len() > 1;
            let Some(batch) = queue.batches.front_mut() else { continue };
            let lingered = self.flushing
                || more
                || batch.created.plus_ms(self.config.linger_ms) <= now
                || batch.builder.estimated_size_in_bytes() >= self.config.batch_size;
            if queue.in_flight || !lingered || batch.not_before > now {
                continue;
            }
            let Some((leader, _)) = self.session.cluster().leader(topic, *partition) else {
                leaderless = true;
                batch.not_before = now.plus_ms(self.config.session.retry_backoff_ms);
                continue;
            };
            if let Identity::Known { producer_id, epoch } = self.identity {
                // A batch that may have arrived keeps the id it had then, or it could arrive twice.
                let (own_id, own_epoch, sequence) =
                    *batch.sequence.get_or_insert((producer_id, epoch, queue.next_sequence));
                batch.builder.set_producer(own_id, own_epoch, sequence, false);
                if (own_id, own_epoch) == (producer_id, epoch) {
                    let count = i32::try_from(batch.ids.len()).unwrap_or(i32::MAX);
                    queue.next_sequence = increment_sequence(sequence, count);
                }
            } else {
                batch.sequence = Some((-1, -1, -1));
            }
            queue.in_flight = true;
            let records = batch.builder.build(compressors);
            by_leader.or_default(leader).push((topic.clone(), *partition, records));
        }
        if leaderless {
            self.session.refresh_after_backoff(now);
        }
        for (leader, parts) in by_leader {
            self.produce(now, leader, parts);
        }
    }

    fn produce(&mut self, now: Instant, leader: i32, parts: Vec<(Str, i32, Bytes)>) {
        let places: Vec<_> = parts.iter().map(|(topic, partition, _)| (topic.clone(), *partition)).collect();
        let mut topics: Vec<TopicProduceData> = Vec::new();
        for (topic, index, records) in parts {
            let data = PartitionProduceData { index, records: Records::Bytes(records) };
            match topics.last_mut() {
                Some(last) if last.name == topic => last.partition_data.push(data),
                _ => topics.push(TopicProduceData {
                    name: topic,
                    partition_data: vec![data],
                    ..TopicProduceData::default()
                }),
            }
        }
        let timeout_ms = i32::try_from(self.config.session.request_timeout_ms).unwrap_or(i32::MAX);
        let request = ProduceRequest {
            acks: self.config.acks,
            timeout_ms,
            topic_data: topics,
            ..ProduceRequest::default()
        };
        let Some(target) = self.session.resolve(&Destination::Node(leader)) else { return };
        let id = self.session.network().send_on(
            now,
            (&target, Lane::Data),
            PRODUCE_VERSIONS,
            request,
            self.config.session.request_timeout_ms,
            self.config.acks != 0,
        );
        self.in_flight.insert(id, places);
    }

    fn take_reply(&mut self, now: Now, reply: &Reply) {
        if matches!(self.identity, Identity::Asked(id) if id == reply.id) {
            return self.take_identity(now.monotonic, reply);
        }
        let Some(places) = self.in_flight.remove(&reply.id) else { return };
        if self.config.acks == 0 && reply.body.is_ok() {
            for place in places {
                self.settle(&place, -1, now.monotonic, Ok(()));
            }
            return;
        }
        let answer = match reply.decode::<ProduceResponse>() {
            Ok(answer) => answer,
            Err(failure) => {
                for place in places {
                    self.settle(&place, -1, now.monotonic, Err(DeliveryError::Network(failure.clone())));
                }
                self.session.refresh_after_backoff(now.monotonic);
                return;
            }
        };
        let mut unanswered = places;
        for topic in &answer.responses {
            for part in &topic.partition_responses {
                let error = ErrorCode::from_code(part.error_code).unwrap_or(ErrorCode::UnknownServerError);
                let outcome = match error {
                    ErrorCode::None | ErrorCode::DuplicateSequenceNumber => Ok(()),
                    error => Err(DeliveryError::Refused(error)),
                };
                let place = (topic.name.detached(), part.index);
                let asked = unanswered.len();
                unanswered.retain(|other| *other != place);
                if unanswered.len() < asked {
                    self.settle(&place, part.base_offset, now.monotonic, outcome);
                }
            }
        }
        for place in unanswered {
            let failure = Failure::Malformed("an answer without this partition".into());
            self.settle(&place, -1, now.monotonic, Err(DeliveryError::Network(failure)));
        }
    }

    fn take_identity(&mut self, now: Instant, reply: &Reply) {
        let backoff = now.plus_ms(self.config.session.retry_backoff_ms);
        self.identity = match reply.decode::<InitProducerIdResponse>() {
            Ok(answer) if answer.error_code == 0 => {
                Identity::Known { producer_id: answer.producer_id, epoch: answer.producer_epoch }
            }
            // A broker from before idempotence.
            Err(Failure::UnsupportedVersion { .. }) => Identity::Nobody,
            _ => Identity::Unknown { not_before: backoff },
        };
    }

    /// The first batch of a partition came back.
    fn settle(
        &mut self,
        place: &(Str, i32),
        base_offset: i64,
        now: Instant,
        outcome: Result<(), DeliveryError>,
    ) {
        let Some(queue) = self.queues.get_mut(place) else { return };
        queue.in_flight = false;
        let broken = matches!(
            &outcome,
            Err(DeliveryError::Refused(
                ErrorCode::OutOfOrderSequenceNumber
                    | ErrorCode::UnknownProducerId
                    | ErrorCode::InvalidProducerEpoch
            ))
        );
        let sequence = queue.batches.front_mut().and_then(|batch| match broken {
            true => batch.sequence.take(),
            false => batch.sequence,
        });
        let is_current = matches!((&self.identity, sequence), (Identity::Known { producer_id, epoch }, Some((id, of, _)))
            if (*producer_id, *epoch) == (id, of));
        if broken && is_current {
            self.renew_identity(now);
        }
        let Some(queue) = self.queues.get_mut(place) else { return };
        let retriable = match &outcome {
            Ok(()) => false,
            // Nothing was appended: the batch goes again under the new id.
            Err(_) if broken => true,
            Err(DeliveryError::Refused(error)) => error.is_retriable(),
            Err(DeliveryError::Network(Failure::UnsupportedVersion { .. })) => false,
            Err(DeliveryError::Network(_)) => true,
            Err(DeliveryError::TimedOut | DeliveryError::TooLarge { .. }) => false,
        };
        if retriable {
            self.session.refresh_after_backoff(now);
            if let Some(batch) = queue.batches.front_mut().filter(|batch| batch.retries_left > 0) {
                batch.retries_left -= 1;
                batch.not_before = now.plus_ms(self.config.session.retry_backoff_ms);
                return;
            }
        }
        let Some(batch) = queue.batches.pop_front() else { return };
        if let (Err(_), Some((_, _, sequence)), true, false) = (&outcome, sequence, is_current, retriable) {
            // Nothing was appended: the sequence is free for the next batch.
            queue.next_sequence = sequence.max(0);
        }
        if retriable && is_current {
            // It is out of retries, and may have been appended.
            self.renew_identity(now);
        }
        for (delta, id) in (0_i64..).zip(batch.ids) {
            let offset = if base_offset < 0 { -1 } else { base_offset + delta };
            let outcome = outcome.clone().map(|()| RecordMetadata { partition: place.1, offset });
            self.deliveries.push(Delivery { id, topic: place.0.clone(), outcome });
        }
    }
}
