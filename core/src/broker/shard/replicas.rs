//! A shard among other brokers: the replicas that follow its partitions, and those of its own that follow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::messages::{FetchResponse, ListOffsetsResponse};
use ottla_protocol::{ErrorCode, Records};

use super::Shard;
use super::passing_on::PassedOn;
use crate::broker::acknowledgements::Until;
use crate::broker::cluster_view::OFFSETS_TOPIC;
use crate::broker::data::{Reader, Replica, WatchPart};
use crate::broker::{LifecycleEvent, Message};
use crate::controller::ControllerEvent;
use crate::ids::TopicIdPartition;
use crate::log::LogStore;
use crate::machine::{Cx, Effect, LinkOwner};
use crate::metadata::{MetadataImage, PartitionRegistration};
use crate::network::{Failure, LinkEffect, LinkEvent, Network, Reply, Target};
use crate::partition::{Followed, LeaderData};
use crate::replication::fetcher::{FETCH_VERSIONS, LIST_OFFSETS_VERSIONS, LeaderEnd, Myself, client_id};
use crate::replication::{FetchPosition, Fetcher, IsrAnswer, IsrProposal};
use crate::small_map::SmallMap;
use crate::time::Instant;

/// What a shard has to do with other brokers.
#[derive(Clone, Debug)]
pub(super) struct Replicas {
    /// By the broker that they copy from.
    fetchers: SmallMap<i32, Fetcher>,
    pub(super) passed_on: PassedOn,
    /// Where each replica that follows copies from.
    sources: BTreeMap<TopicIdPartition, i32>,
    pub(super) network: Network,
    links: Vec<LinkEffect>,
    proposals: Vec<IsrProposal>,
    /// Those of the replicas that are throttled which had all that was committed when they last fetched.
    caught_up: BTreeSet<TopicIdPartition>,
    /// When it is next looked who has fallen out of sync; `None` while nobody follows.
    shrink_at: Option<Instant>,
}

impl Replicas {
    pub(super) fn new(node_id: i32, shard: u16) -> Self {
        Self {
            fetchers: SmallMap::new(),
            passed_on: PassedOn::default(),
            sources: BTreeMap::new(),
            network: Network::new(client_id(node_id, shard)),
            links: Vec::new(),
            proposals: Vec::new(),
            caught_up: BTreeSet::new(),
            shrink_at: None,
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let fetchers = self.fetchers.values().filter_map(Fetcher::deadline);
        fetchers.chain(self.network.deadline()).chain(self.passed_on.deadline()).chain(self.shrink_at).min()
    }

    /// Copies a partition from another broker, or from nobody, from now on.
    fn copy(&mut self, id: TopicIdPartition, source: Option<i32>) {
        self.caught_up.remove(&id);
        if let Some(before) = self.sources.remove(&id)
            && let Some(fetcher) = self.fetchers.get_mut(&before)
        {
            fetcher.remove(id);
        }
        if let Some(source) = source {
            self.sources.insert(id, source);
            self.fetchers.or_default(source).add(id);
        }
    }

    fn fetcher_of(&mut self, id: TopicIdPartition) -> Option<&mut Fetcher> {
        self.fetchers.get_mut(self.sources.get(&id)?)
    }

    /// A replica that follows stands elsewhere, or may fetch again.
    pub(super) fn changed(&mut self, id: TopicIdPartition) {
        if let Some(fetcher) = self.fetcher_of(id) {
            fetcher.changed(id);
        }
    }
}

impl<S: LogStore> Shard<S> {
    /// Sends what leaders ask the controller for, and uses the links to other brokers.
    pub(super) fn reach_out(&mut self, cx: &mut Cx<'_, S>) {
        if !self.replicas.proposals.is_empty() {
            let proposals = std::mem::take(&mut self.replicas.proposals);
            cx.effects.tell(Message::Lifecycle(LifecycleEvent::Proposed(proposals)));
        }
        for effect in self.replicas.links.drain(..) {
            cx.effects.push(Effect::Link { owner: LinkOwner::Shard(self.id), effect });
        }
    }

    fn broker_epoch(&self) -> i64 {
        self.published.image.broker(self.config.node_id).map_or(-1, |broker| broker.epoch)
    }

    /// A follower on another broker asks for records: what that says of it. True if more is committed than before.
    pub(super) fn follower_fetched(
        &mut self,
        cx: &mut Cx<'_, S>,
        part: &WatchPart,
        replica: Replica,
    ) -> Result<bool, ErrorCode> {
        let broker_epoch = self.broker_epoch();
        let absent = self.absent(part.partition);
        let partition = self.partitions.get_mut(&part.partition).ok_or(absent)?;
        let has_committed = partition.follower_fetched(cx, part, replica, broker_epoch)?;
        self.replicas.proposals.extend(partition.take_proposal());
        if self.acknowledgements.awaits(part.partition, Until::Deleted) {
            let low_watermark = self.low_watermark(part.partition);
            let deleted = self.acknowledgements.reached(part.partition, Until::Deleted, low_watermark, None);
            for (token, response) in deleted {
                self.reply(cx, token, response);
            }
        }
        Ok(has_committed)
    }

    /// The first offset that every replica has which is alive.
    pub(super) fn low_watermark(&self, id: TopicIdPartition) -> i64 {
        let image = &self.published.image;
        let is_alive = |broker| image.broker(broker).is_some_and(|broker| !broker.fenced);
        self.partitions.get(&id).map_or(-1, |partition| partition.low_watermark(is_alive))
    }

    /// The replica that a consumer had better read from, if that is another one.
    pub(super) fn elsewhere(&self, cx: &Cx<'_, S>, part: &WatchPart, reader: &Reader) -> Option<i32> {
        let place = reader.place.as_ref()?;
        let leadership = self.partitions.get(&part.partition)?.leadership()?;
        let is_in_rack = |broker: i32| {
            self.published.image.broker(broker).is_some_and(|broker| {
                let is_there = !broker.fenced && broker.endpoint(&place.listener).is_some();
                is_there && broker.rack.as_ref() == Some(&place.rack)
            })
        };
        leadership.preferred_read_replica(cx.now.monotonic, part.fetch_offset, is_in_rack)
    }

    /// Whether a replica that is not in sync gets nothing of a partition for now (KIP-73).
    pub(super) fn is_held_back(&mut self, now: Instant, id: TopicIdPartition, reader: &Reader) -> bool {
        let Some(Replica { broker, .. }) = reader.replica else { return false };
        let leadership = self.partitions.get(&id).and_then(|partition| partition.leadership());
        let is_in_sync = leadership.is_some_and(|leadership| leadership.isr().contains(&broker));
        !is_in_sync && self.throttles.leader.pause_ms(now, id).is_some()
    }

    /// The controller answered what leaders proposed.
    pub(super) fn isr_answered(&mut self, cx: &mut Cx<'_, S>, answers: Vec<IsrAnswer>) {
        for IsrAnswer { partition: id, partition_epoch, outcome } in answers {
            let Some(partition) = self.partitions.get_mut(&id) else { continue };
            let answer = outcome.as_ref().map_err(|error| *error);
            let has_committed = partition.isr_answered(cx, partition_epoch, answer);
            self.replicas.proposals.extend(partition.take_proposal());
            if has_committed {
                self.committed(cx, id);
            }
        }
    }

    /// Proposes that those leave the in-sync replicas that have fallen behind, twice in each `replica.lag.time.max.ms`.
    pub(super) fn shrink_isrs(&mut self, cx: &mut Cx<'_, S>) {
        let now = cx.now.monotonic;
        if self.replicas.shrink_at.is_none_or(|at| at > now) {
            return;
        }
        let broker_epoch = self.broker_epoch();
        let mut has_followers = false;
        for partition in self.partitions.values_mut() {
            if partition.leadership().is_some() {
                has_followers = true;
                partition.shrink_isr(cx, broker_epoch);
                self.replicas.proposals.extend(partition.take_proposal());
            }
        }
        self.replicas.shrink_at = has_followers.then(|| now.plus_ms(self.config.replica_lag_time_max_ms / 2));
    }

    /// Leads or follows, as the metadata says, with a partition that is open.
    pub(super) fn assign(
        &mut self,
        cx: &mut Cx<'_, S>,
        id: TopicIdPartition,
        registration: &PartitionRegistration,
    ) {
        let published = self.published.clone();
        self.assign_as_of(cx, &published.image, id, registration);
    }

    pub(super) fn assign_as_of(
        &mut self,
        cx: &mut Cx<'_, S>,
        image: &MetadataImage,
        id: TopicIdPartition,
        registration: &PartitionRegistration,
    ) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let was_leader = partition.is_leader();
        let is_offsets_topic = *partition.name().topic == *OFFSETS_TOPIC;
        let index = partition.name().partition;
        if registration.leader == self.config.node_id {
            let has_committed = partition.become_leader(cx, &self.config, image, registration);
            if partition.leadership().is_some() && self.replicas.shrink_at.is_none() {
                let half = self.config.replica_lag_time_max_ms / 2;
                self.replicas.shrink_at = Some(cx.now.monotonic.plus_ms(half));
            }
            if is_offsets_topic && partition.is_leader() {
                let rng = self.rng.fork();
                self.coordinators.load(cx, index, partition, rng);
            }
            self.replicas.copy(id, None);
            if has_committed {
                self.committed(cx, id);
            }
        } else {
            let is_new_epoch = partition.become_follower(cx, registration);
            if partition.is_follower() && (is_new_epoch || was_leader) {
                self.step_down(cx, image, id, registration.leader);
            }
        }
        self.flush(cx, id);
        self.touched(id);
    }

    /// Another broker leads, or nobody does: what waited for this one is told, and its records are copied.
    fn step_down(&mut self, cx: &mut Cx<'_, S>, image: &MetadataImage, id: TopicIdPartition, leader: i32) {
        if let Some(partition) = self.partitions.get(&id)
            && *partition.name().topic == *OFFSETS_TOPIC
        {
            self.coordinators.unload(cx.now, partition.name().partition);
        }
        self.hand_over(cx, image, id);
        self.tell_watchers(cx, id, |_| true);
        self.replicas.copy(id, Some(leader).filter(|leader| *leader >= 0));
        self.send_group_replies(cx);
    }

    /// This broker has no replica of a partition any more.
    pub(super) fn stop_copying(&mut self, id: TopicIdPartition) {
        self.replicas.copy(id, None);
    }

    /// Brokers came, went or moved.
    pub(super) fn brokers_changed(
        &mut self,
        cx: &mut Cx<'_, S>,
        image: &MetadataImage,
        changed: impl Iterator<Item = i32>,
    ) {
        for broker in changed {
            if let Some(fetcher) = self.replicas.fetchers.get_mut(&broker) {
                fetcher.source_changed();
            }
        }
        let mut committed = Vec::new();
        for (id, partition) in &mut self.partitions {
            if partition.brokers_changed(cx, image) {
                committed.push(*id);
            }
        }
        committed.into_iter().for_each(|id| self.committed(cx, id));
    }

    /// A link to another broker did something.
    pub(super) fn link(&mut self, event: LinkEvent) {
        self.replicas.network.handle(event);
    }

    /// Takes what came from other brokers, and asks them for more.
    pub(super) fn replicate(&mut self, cx: &mut Cx<'_, S>) {
        let is_idle = self.replicas.fetchers.is_empty()
            && self.replicas.network.deadline().is_none()
            && self.replicas.passed_on.is_empty();
        if is_idle || self.stopping {
            return;
        }
        self.replicas.network.tick(cx.now.monotonic);
        loop {
            self.send_fetches(cx);
            self.send_passed_on(cx);
            let replies = self.replicas.network.take_replies();
            if replies.is_empty() {
                break;
            }
            for reply in replies {
                self.replied(cx, &reply);
            }
        }
        self.replicas.fetchers.retain(|_, fetcher| !fetcher.is_empty());
        self.replicas.links.extend(self.replicas.network.take_effects());
    }

    fn send_fetches(&mut self, cx: &mut Cx<'_, S>) {
        let now = cx.now.monotonic;
        let me = Myself { broker: self.config.node_id, broker_epoch: self.broker_epoch() };
        let published = self.published.clone();
        let timeout_ms = i64::from(self.config.replica_socket_timeout_ms);
        let (config, partitions, replicas) = (&self.config, &self.partitions, &mut self.replicas);
        let throttle = &mut self.throttles.follower;
        for (source, fetcher) in &mut replicas.fetchers {
            let Some(target) = address(&published.image, *source, &config.inter_broker_listener_name) else {
                if fetcher.deadline().is_none_or(|at| at <= now) {
                    fetcher.fetch_failed(now, config);
                }
                continue;
            };
            let mut held_back = Vec::new();
            let position = |id: TopicIdPartition| {
                let position = partitions.get(&id)?.fetch_position()?;
                let pause_ms = throttle.pause_ms(now, id).filter(|_| !replicas.caught_up.contains(&id));
                held_back.extend(pause_ms.map(|pause_ms| (id, pause_ms)));
                if pause_ms.is_some() { None } else { Some(position) }
            };
            if let Some(request) = fetcher.next_fetch(now, config, me, position) {
                let request = replicas.network.send_on(
                    now,
                    (&target, fetcher.lane()),
                    FETCH_VERSIONS,
                    request,
                    timeout_ms,
                    true,
                );
                fetcher.sent(request);
            }
            for (id, pause_ms) in held_back {
                fetcher.pause(now, id, pause_ms);
            }
            let name = |id: TopicIdPartition| {
                let partition = partitions.get(&id)?;
                Some((partition.name().clone(), partition.leader_epoch()))
            };
            if let Some((request, ids)) = fetcher.next_lookup(me, name) {
                let request = replicas.network.send(now, &target, LIST_OFFSETS_VERSIONS, request, timeout_ms);
                fetcher.asked(request, ids);
            }
        }
    }

    fn replied(&mut self, cx: &mut Cx<'_, S>, reply: &Reply) {
        if self.was_passed_on(cx, reply) {
            return;
        }
        let now = cx.now.monotonic;
        let config: Arc<_> = self.config.clone();
        let whose = |fetcher: &Fetcher| fetcher.is_fetch(reply.id) || fetcher.is_lookup(reply.id);
        let fetchers = &mut self.replicas.fetchers;
        let Some((source, fetcher)) = fetchers.iter_mut().find(|(_, it)| whose(it)) else { return };
        if fetcher.is_fetch(reply.id) {
            let found = match reply.decode::<FetchResponse>() {
                Ok(response) => fetcher.fetched(now, &config, &response),
                Err(failure) => {
                    if fetcher.is_in_session() && matches!(failure, Failure::Disconnected(_)) {
                        cx.effects.tell(Message::Controller(ControllerEvent::Lost(*source)));
                    }
                    fetcher.fetch_failed(now, &config);
                    return;
                }
            };
            for (id, position, data) in found {
                self.take_fetched(cx, id, position, data);
            }
            return;
        }
        let response = reply.decode::<ListOffsetsResponse>().ok();
        let partitions = &self.partitions;
        let name = |id: TopicIdPartition| Some(partitions.get(&id)?.name().clone());
        for (id, end) in fetcher.found(response.as_ref(), name) {
            self.take_leader_end(cx, id, end);
        }
    }

    /// What the leader said of one partition. It counts if the replica still stands where the fetch began.
    fn take_fetched(
        &mut self,
        cx: &mut Cx<'_, S>,
        id: TopicIdPartition,
        position: FetchPosition,
        data: PartitionData,
    ) {
        let (now, pause_ms) = (cx.now.monotonic, i64::from(self.config.replica_fetch_backoff_ms));
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let is_there = partition.fetch_position().is_some_and(|now| {
            (now.fetch_offset, now.current_leader_epoch)
                == (position.fetch_offset, position.current_leader_epoch)
        });
        let Replicas { fetchers, sources, caught_up, .. } = &mut self.replicas;
        let Some(fetcher) = sources.get(&id).and_then(|source| fetchers.get_mut(source)) else { return };
        if !is_there {
            return fetcher.changed(id);
        }
        match ErrorCode::from_code(data.error_code).unwrap_or(ErrorCode::UnknownServerError) {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => return fetcher.ask_latest(id),
            // The metadata that says who leads is on its way to this broker.
            ErrorCode::FencedLeaderEpoch => return self.replicas.copy(id, None),
            ErrorCode::UnknownLeaderEpoch | ErrorCode::NotLeaderOrFollower | ErrorCode::UnknownTopicId => {
                return fetcher.pause_briefly(now, id, pause_ms);
            }
            _ => return fetcher.pause(now, id, pause_ms),
        }
        let diverging = (data.diverging_epoch.epoch >= 0)
            .then_some((data.diverging_epoch.epoch, data.diverging_epoch.end_offset));
        let data = LeaderData {
            records: match data.records {
                Records::Bytes(records) => records,
                _ => bytes::Bytes::new(),
            },
            high_watermark: data.high_watermark,
            log_start_offset: data.log_start_offset,
            diverging,
        };
        let followed = partition.follow(cx, &data);
        if self.throttles.follower.concerns(id) {
            self.throttles.follower.record(now, id, data.records.len() as u64);
            let is_caught_up = data.high_watermark <= partition.log_end_offset();
            _ = if is_caught_up { caught_up.insert(id) } else { caught_up.remove(&id) };
        }
        match followed {
            Followed::On { has_committed } => {
                fetcher.went_well(id);
                self.flush(cx, id);
                if has_committed {
                    self.tell_watchers(cx, id, |_| true);
                }
                self.acknowledge_handed_over(cx, id);
            }
            Followed::Again => fetcher.pause(now, id, pause_ms),
            Followed::Failed => {
                self.replicas.copy(id, None);
                self.flush(cx, id);
            }
        }
        self.touched(id);
    }

    /// Where the leader's log ends: one that is longer than that is cut, one that ends before it begins starts anew.
    fn take_leader_end(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition, end: Option<LeaderEnd>) {
        let (now, pause_ms) = (cx.now.monotonic, i64::from(self.config.replica_fetch_backoff_ms));
        let (Some(partition), Some(fetcher)) = (self.partitions.get_mut(&id), self.replicas.fetcher_of(id))
        else {
            return;
        };
        let own_end = partition.log_end_offset();
        let serves = match end {
            None => return fetcher.pause(now, id, pause_ms),
            Some(LeaderEnd::Latest(end)) if end < own_end => partition.truncate(cx, end),
            Some(LeaderEnd::Latest(_)) => return fetcher.ask_earliest(id),
            Some(LeaderEnd::Earliest(start)) if start > own_end => partition.start_at(cx, start),
            Some(LeaderEnd::Earliest(_)) => true,
        };
        if serves {
            fetcher.went_well(id);
        } else {
            self.replicas.copy(id, None);
        }
        self.acknowledge_handed_over(cx, id);
        self.flush(cx, id);
        self.touched(id);
    }
}

/// Where a broker listens to others.
pub(super) fn address(image: &MetadataImage, broker: i32, listener: &str) -> Option<Target> {
    let endpoint = image.broker(broker)?.endpoint(listener)?;
    Some(Target { host: endpoint.host.clone(), port: endpoint.port })
}
