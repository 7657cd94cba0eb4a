//! Leading replicas of other brokers: what they have, who of them is in sync, and what that commits (KIP-497, 841, 903, 966).
//!
//! The leader never changes the in-sync replicas by itself. It proposes, one change at a time, and until the controller has answered
//! counts on the larger of both sets: a proposal that was accepted while its answer got lost has then committed nothing too early.

use ottla_protocol::{ErrorCode, Uuid};

use crate::ids::TopicIdPartition;
use crate::metadata::topics::DIRECTORY_UNASSIGNED;
use crate::metadata::{BrokerRegistration, MetadataImage, PartitionRegistration};
use crate::replication::{AlteredIsr, IsrProposal};
use crate::time::Instant;

/// An offset that is not known yet.
const UNKNOWN_OFFSET: i64 = -1;
/// What a follower says that does not tell the epoch of its broker (Fetch before version 15).
const UNKNOWN_BROKER_EPOCH: i64 = -1;

/// What a leader knows of the partition's other replicas.
#[derive(Clone, Debug)]
pub struct Leadership {
    node_id: i32,
    /// The log's end when the leader epoch began.
    epoch_start_offset: i64,
    /// As the controller has it.
    isr: Vec<i32>,
    change: Option<Change>,
    followers: Vec<Follower>,
    /// To be handed to the controller.
    proposal: Option<IsrProposal>,
    /// `replica.lag.time.max.ms`
    lag_time_max_ms: i64,
}

/// A change of the in-sync replicas that the controller has not answered.
#[derive(Clone, Debug)]
struct Change {
    /// Who is to join; those who are to leave count until they have.
    joining: Option<i32>,
    proposal: IsrProposal,
}

/// A replica that follows.
#[derive(Clone, Copy, Debug)]
pub struct Follower {
    /// Its broker.
    pub broker: i32,
    /// The first offset that it has; −1 before its first fetch.
    pub log_start_offset: i64,
    /// The offset that it fetched last, and so has everything below; −1 before its first fetch.
    pub log_end_offset: i64,
    /// Where the leader's log ended when it last fetched.
    leader_end_offset: i64,
    last_fetch: Option<Instant>,
    last_caught_up: Option<Instant>,
    /// The epoch of the broker, as its last fetch named it.
    broker_epoch: Option<i64>,
    /// The epoch of the broker, as the metadata names it, unless that is fenced.
    alive_epoch: Option<i64>,
    /// Where it is, as the metadata says.
    directory: Uuid,
    /// Its broker is about to stop, or its directory is offline.
    is_leaving: bool,
}

/// A follower's fetch: what it tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// Its broker.
    pub broker: i32,
    /// The epoch of its broker; −1 when it does not say.
    pub broker_epoch: i64,
    /// It has everything below.
    pub fetch_offset: i64,
    /// The first offset that it has.
    pub log_start_offset: i64,
    /// Where the leader's log ends now.
    pub leader_end_offset: i64,
}

impl Leadership {
    /// A leadership that has just begun, or is the first with followers.
    pub fn new(
        now: Instant,
        registration: &PartitionRegistration,
        image: &MetadataImage,
        epoch_start_offset: i64,
        lag_time_max_ms: i64,
    ) -> Self {
        let mut leadership = Self {
            node_id: registration.leader,
            epoch_start_offset,
            isr: Vec::new(),
            change: None,
            followers: Vec::new(),
            proposal: None,
            lag_time_max_ms,
        };
        leadership.overrule(&registration.isr);
        leadership.assign(registration, image);
        for follower in &mut leadership.followers {
            follower.last_caught_up = registration.isr.contains(&follower.broker).then_some(now);
        }
        leadership
    }

    /// Takes over the in-sync replicas that the controller has decided on, whatever was proposed.
    pub fn overrule(&mut self, isr: &[i32]) {
        self.isr = isr.to_vec();
        (self.change, self.proposal) = (None, None);
    }

    /// Takes over who the replicas are. One that is none any more is not waited for: the controller lets it in no more.
    pub fn assign(&mut self, registration: &PartitionRegistration, image: &MetadataImage) {
        let joining = self.change.as_ref().and_then(|change| change.joining);
        if joining.is_some_and(|broker| !registration.replicas.contains(&broker)) {
            (self.change, self.proposal) = (None, None);
        }
        let before = std::mem::take(&mut self.followers);
        let others = registration.replicas.iter().filter(|broker| **broker != self.node_id);
        self.followers = others
            .map(|broker| {
                let known = before.iter().find(|follower| follower.broker == *broker).copied();
                let directory = registration.directory(*broker).unwrap_or(DIRECTORY_UNASSIGNED);
                Follower { directory, ..known.unwrap_or_else(|| Follower::unknown(*broker)) }
            })
            .collect();
        self.brokers_changed(image);
    }

    /// The same leader goes on in another epoch.
    pub fn begin_epoch(&mut self, now: Instant, start_offset: i64) {
        self.epoch_start_offset = start_offset;
        for follower in &mut self.followers {
            let is_in_sync = self.isr.contains(&follower.broker);
            follower.leader_end_offset = start_offset;
            follower.last_fetch = is_in_sync.then_some(now);
            follower.last_caught_up = is_in_sync.then_some(now);
        }
    }

    /// Brokers were fenced or unfenced, began to shut down or lost a directory: that says who may join.
    pub fn brokers_changed(&mut self, image: &MetadataImage) {
        for follower in &mut self.followers {
            let broker = image.broker(follower.broker);
            let alive = broker.filter(|broker| !broker.fenced);
            follower.alive_epoch = alive.map(|broker| broker.epoch);
            follower.is_leaving = alive.is_some_and(|broker: &BrokerRegistration| {
                broker.in_controlled_shutdown || !broker.has_online_directory(follower.directory)
            });
        }
    }

    /// Where the log ended when the leader epoch began.
    pub fn epoch_start_offset(&self) -> i64 {
        self.epoch_start_offset
    }

    /// The in-sync replicas, as the controller has them.
    pub fn isr(&self) -> &[i32] {
        &self.isr
    }

    /// The other replicas.
    pub fn followers(&self) -> &[Follower] {
        &self.followers
    }

    /// Fewer replicas are in sync than `min.insync.replicas`, or than there are when that is more.
    pub fn is_under_min_isr(&self, min_insync_replicas: i32) -> bool {
        self.isr.len() < self.effective_min_isr(min_insync_replicas)
    }

    /// The same, with those who are about to join.
    pub fn is_maximal_isr_too_small(&self, min_insync_replicas: i32) -> bool {
        let joining = usize::from(self.change.as_ref().is_some_and(|change| change.joining.is_some()));
        self.isr.len().saturating_add(joining) < self.effective_min_isr(min_insync_replicas)
    }

    /// With one fewer in sync there would be too few.
    pub fn is_at_min_isr(&self, min_insync_replicas: i32) -> bool {
        self.isr.len() == self.effective_min_isr(min_insync_replicas)
    }

    fn effective_min_isr(&self, min_insync_replicas: i32) -> usize {
        usize::try_from(min_insync_replicas).unwrap_or(0).min(self.followers.len().saturating_add(1))
    }

    /// What is committed by what the replicas have: `own_end_offset` is what the leader counts for, `log_end_offset` where its log ends.
    /// `None` while too few are in sync. One that has caught up and may join is waited for: once it has, it must have what is committed.
    pub fn committed_offset(
        &self,
        now: Instant,
        own_end_offset: i64,
        log_end_offset: i64,
        min_insync_replicas: i32,
    ) -> Option<i64> {
        if self.is_under_min_isr(min_insync_replicas) {
            return None;
        }
        let joining = self.change.as_ref().and_then(|change| change.joining);
        let counts = |follower: &&Follower| {
            self.isr.contains(&follower.broker)
                || joining == Some(follower.broker)
                || follower.may_join() && follower.is_caught_up(now, log_end_offset, self.lag_time_max_ms)
        };
        let ends = self.followers.iter().filter(counts).map(|follower| follower.log_end_offset);
        Some(ends.fold(own_end_offset, i64::min))
    }

    /// A follower that the partition is not assigned to is none.
    pub fn has_follower(&self, broker: i32) -> bool {
        self.followers.iter().any(|follower| follower.broker == broker)
    }

    /// Notes what a follower's fetch says of it; true if it has more than before.
    ///
    /// Errors: NOT_LEADER_OR_FOLLOWER when the broker has started again since.
    pub fn fetched(&mut self, now: Instant, fetch: &FollowerFetch) -> Result<bool, ErrorCode> {
        let follower = self.followers.iter_mut().find(|follower| follower.broker == fetch.broker);
        let follower = follower.ok_or(ErrorCode::NotLeaderOrFollower)?;
        if fetch.broker_epoch != UNKNOWN_BROKER_EPOCH
            && follower.alive_epoch.is_some_and(|alive| alive > fetch.broker_epoch)
        {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if fetch.fetch_offset >= fetch.leader_end_offset {
            follower.last_caught_up = follower.last_caught_up.max(Some(now));
        } else if fetch.fetch_offset >= follower.leader_end_offset {
            // It has what there was at its last fetch: that is how far it lags.
            follower.last_caught_up = follower.last_caught_up.max(follower.last_fetch);
        }
        let has_moved = follower.log_end_offset != fetch.fetch_offset;
        follower.log_start_offset = fetch.log_start_offset;
        follower.log_end_offset = fetch.fetch_offset;
        follower.leader_end_offset = follower.leader_end_offset.max(fetch.leader_end_offset);
        follower.last_fetch = Some(now);
        follower.broker_epoch = Some(fetch.broker_epoch);
        Ok(has_moved)
    }

    /// Proposes that a follower joins, if it has caught up with everything committed and with the start of the epoch.
    pub fn maybe_expand(&mut self, context: ProposalContext, broker: i32, high_watermark: i64) {
        let Some(follower) = self.followers.iter().find(|follower| follower.broker == broker) else { return };
        if self.change.is_some()
            || self.isr.contains(&broker)
            || !follower.may_join()
            || follower.log_end_offset < high_watermark.max(self.epoch_start_offset)
        {
            return;
        }
        let isr = self.isr.iter().copied().chain([broker]).collect();
        self.propose(context, isr, Some(broker));
    }

    /// Proposes that those leave who have not caught up for `replica.lag.time.max.ms`.
    pub fn maybe_shrink(&mut self, now: Instant, context: ProposalContext, log_end_offset: i64) {
        let lags = |broker: &&i32| {
            let follower = self.followers.iter().find(|follower| follower.broker == **broker);
            **broker != self.node_id
                && !follower.is_some_and(|it| it.is_caught_up(now, log_end_offset, self.lag_time_max_ms))
        };
        if self.change.is_some() || !self.isr.iter().any(|broker| lags(&broker)) {
            return;
        }
        let isr = self.isr.iter().filter(|broker| !lags(broker)).copied().collect();
        self.propose(context, isr, None);
    }

    /// The planted bug that does not ask.
    pub fn shrink_alone(&mut self) {
        if let Some(Change { joining: None, proposal }) = &self.change {
            self.isr = proposal.isr.iter().map(|(broker, _)| *broker).collect();
        }
    }

    fn propose(&mut self, context: ProposalContext, isr: Vec<i32>, joining: Option<i32>) {
        let epoch_of = |broker: i32| {
            if broker == self.node_id {
                return context.broker_epoch;
            }
            let follower = self.followers.iter().find(|follower| follower.broker == broker);
            follower.and_then(|follower| follower.broker_epoch).unwrap_or(UNKNOWN_BROKER_EPOCH)
        };
        let proposal = IsrProposal {
            partition: context.partition,
            leader_epoch: context.leader_epoch,
            partition_epoch: context.partition_epoch,
            isr: isr.into_iter().map(|broker| (broker, epoch_of(broker))).collect(),
        };
        self.proposal = Some(proposal.clone());
        self.change = Some(Change { joining, proposal });
    }

    /// What is to be handed to the controller.
    pub fn take_proposal(&mut self) -> Option<IsrProposal> {
        self.proposal.take()
    }

    /// The controller answered the proposal that was made in `partition_epoch`. The partition's epoch from now on, if it agreed.
    ///
    /// A replica that may not join leaves everything as it was; after any other refusal the metadata is behind, and what was proposed
    /// counts until it has come. A failure that says nothing is asked again.
    pub fn answered(
        &mut self,
        leader_epoch: i32,
        partition_epoch: i32,
        answer: Result<&AlteredIsr, ErrorCode>,
    ) -> Option<i32> {
        let change = self.change.as_ref()?;
        if change.proposal.partition_epoch != partition_epoch {
            return None;
        }
        match answer {
            Ok(altered)
                if altered.leader_epoch != leader_epoch || altered.partition_epoch < partition_epoch =>
            {
                None
            }
            Ok(altered) => {
                self.isr.clone_from(&altered.isr);
                self.change = None;
                Some(altered.partition_epoch)
            }
            Err(ErrorCode::OperationNotAttempted | ErrorCode::IneligibleReplica) => {
                self.change = None;
                None
            }
            Err(
                ErrorCode::UnknownTopicOrPartition
                | ErrorCode::UnknownTopicId
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::InvalidUpdateVersion
                | ErrorCode::InvalidRequest
                | ErrorCode::NewLeaderElected,
            ) => None,
            Err(_) => {
                self.proposal = Some(change.proposal.clone());
                None
            }
        }
    }

    /// The replica that a consumer in `rack` had better read from, as `RackAwareReplicaSelector` chooses it (KIP-392): one in its rack that is
    /// in sync and has the offset, with the most records; the leader where that is in the rack, or nobody is (`None`).
    pub fn preferred_read_replica(
        &self,
        now: Instant,
        fetch_offset: i64,
        is_in_rack: impl Fn(i32) -> bool,
    ) -> Option<i32> {
        if is_in_rack(self.node_id) {
            return None;
        }
        let has_offset = |follower: &&Follower| {
            self.isr.contains(&follower.broker)
                && (follower.log_start_offset..=follower.log_end_offset).contains(&fetch_offset)
                && is_in_rack(follower.broker)
        };
        let lag_ms = |follower: &Follower| {
            follower.last_caught_up.map_or(i64::MAX, |at| now.ms_since(at)).saturating_neg()
        };
        self.followers
            .iter()
            .filter(has_offset)
            .max_by_key(|follower| (follower.log_end_offset, lag_ms(follower), follower.broker))
            .map(|follower| follower.broker)
    }
}

/// What a proposal says of its partition.
#[derive(Clone, Copy, Debug)]
pub struct ProposalContext {
    /// Which.
    pub partition: TopicIdPartition,
    /// Its leader epoch.
    pub leader_epoch: i32,
    /// Its epoch.
    pub partition_epoch: i32,
    /// The epoch of this broker.
    pub broker_epoch: i64,
}

impl Follower {
    fn unknown(broker: i32) -> Self {
        Self {
            broker,
            log_start_offset: UNKNOWN_OFFSET,
            log_end_offset: UNKNOWN_OFFSET,
            leader_end_offset: UNKNOWN_OFFSET,
            last_fetch: None,
            last_caught_up: None,
            broker_epoch: None,
            alive_epoch: None,
            directory: DIRECTORY_UNASSIGNED,
            is_leaving: false,
        }
    }

    fn is_caught_up(&self, now: Instant, log_end_offset: i64, lag_time_max_ms: i64) -> bool {
        self.log_end_offset == log_end_offset
            || self.last_caught_up.is_some_and(|at| now.ms_since(at) <= lag_time_max_ms)
    }

    /// Its broker is the one that the metadata knows, alive and here to stay.
    fn may_join(&self) -> bool {
        let (Some(fetched), Some(alive)) = (self.broker_epoch, self.alive_epoch) else { return false };
        !self.is_leaving && (fetched == UNKNOWN_BROKER_EPOCH || fetched == alive)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;
