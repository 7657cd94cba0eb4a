//! A partition's place among its replicas: which it is, and what that commits.

use ottla_protocol::ErrorCode;

use super::{FollowerFetch, Leadership, Partition, ProposalContext, Role};
use crate::broker::data::{Replica, WatchPart};
use crate::config::BrokerConfig;
use crate::log::{LogAppendInfo, LogStore};
use crate::machine::Cx;
use crate::metadata::{MetadataImage, PartitionRegistration};
use crate::replication::{AlteredIsr, IsrProposal};
use crate::sim::mutation::Mutation;
use crate::trace::TraceEvent;

impl<S: LogStore> Partition<S> {
    /// Leads from now on with the epoch of the metadata. True if more is committed than before; an older state of the metadata changes nothing.
    ///
    /// An epoch begins in memory: its first record says so in the log, and nobody asks before.
    pub fn become_leader(
        &mut self,
        cx: &mut Cx<'_, S>,
        broker: &BrokerConfig,
        image: &MetadataImage,
        registration: &PartitionRegistration,
    ) -> bool {
        if registration.partition_epoch < self.partition_epoch {
            return false;
        }
        let is_known = registration.partition_epoch == self.partition_epoch
            && !self.is_planted(Mutation::ProposalForgotten);
        self.partition_epoch = registration.partition_epoch;
        self.doubtful_from = None;
        let (now, end) = (cx.now.monotonic, self.log.log_end_offset());
        let is_new_epoch = registration.leader_epoch > self.leader_epoch;
        if is_new_epoch {
            self.leader_epoch = registration.leader_epoch;
            self.log.assign_epoch_start_offset(self.leader_epoch, end);
        }
        match &mut self.role {
            _ if registration.replicas.len() <= 1 => self.role = Role::Sole,
            Role::Leader(leadership) => {
                // The answer to a proposal was here before: what has been proposed since counts until it is decided.
                if !is_known {
                    leadership.overrule(&registration.isr);
                }
                leadership.assign(registration, image);
                if is_new_epoch {
                    leadership.begin_epoch(now, end);
                }
            }
            Role::Idle | Role::Sole | Role::Follower => {
                let start = self.epoch_start_offset();
                let lag_time_max_ms = broker.replica_lag_time_max_ms;
                let leadership = Leadership::new(now, registration, image, start, lag_time_max_ms);
                self.role = Role::Leader(Box::new(leadership));
            }
        }
        if is_new_epoch {
            self.trace(cx);
        }
        self.commit(cx)
    }

    /// Where the present epoch began.
    fn epoch_start_offset(&self) -> i64 {
        let latest = self.log.leader_epochs().latest().filter(|latest| latest.epoch == self.leader_epoch);
        latest.map_or(self.log.log_end_offset(), |latest| latest.start_offset)
    }

    /// It leads.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Sole | Role::Leader(_))
    }

    /// It follows.
    pub fn is_follower(&self) -> bool {
        matches!(self.role, Role::Follower)
    }

    /// What is known of the other replicas, where it leads any.
    pub fn leadership(&self) -> Option<&Leadership> {
        match &self.role {
            Role::Leader(leadership) => Some(leadership),
            Role::Idle | Role::Sole | Role::Follower => None,
        }
    }

    pub(super) fn leading(&self) -> Result<(), ErrorCode> {
        self.serving()?;
        if self.is_leader() { Ok(()) } else { Err(ErrorCode::NotLeaderOrFollower) }
    }

    /// Brokers came, went, are about to go, or lost a directory: who may not join any more is not waited for. True if more is committed than
    /// before.
    pub fn brokers_changed(&mut self, cx: &mut Cx<'_, S>, image: &MetadataImage) -> bool {
        let Role::Leader(leadership) = &mut self.role else { return false };
        leadership.brokers_changed(image);
        self.commit(cx)
    }

    /// What is appended is committed once all in-sync replicas have it, durably where that is asked for. True if more is than before.
    pub(super) fn commit(&mut self, cx: &mut Cx<'_, S>) -> bool {
        let log_end_offset = self.log.log_end_offset();
        let own_end_offset = if self.syncs_first { self.log.recovery_point() } else { log_end_offset };
        let committed = match &self.role {
            Role::Idle | Role::Follower => return false,
            Role::Sole => own_end_offset,
            Role::Leader(_) if self.is_planted(Mutation::HighWatermarkTooEarly) => own_end_offset,
            Role::Leader(leadership) => {
                let is_planted = self.is_planted(Mutation::CommittedUnderMinIsr);
                let min_insync_replicas = if is_planted { 1 } else { self.config.min_insync_replicas };
                let now = cx.now.monotonic;
                match leadership.committed_offset(now, own_end_offset, log_end_offset, min_insync_replicas) {
                    Some(committed) => committed,
                    None => return false,
                }
            }
        };
        let moved = self.log.maybe_increment_high_watermark(committed);
        if let Some(high_watermark) = moved {
            self.trace_high_watermark(cx, high_watermark);
        }
        moved.is_some()
    }

    pub(super) fn trace_high_watermark(&self, cx: &mut Cx<'_, S>, high_watermark: i64) {
        let partition = &self.name;
        cx.traces.emit(|| TraceEvent::HighWatermarkAdvanced { partition: partition.clone(), high_watermark });
    }

    pub(super) fn trace_append(&self, cx: &mut Cx<'_, S>, info: &LogAppendInfo, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let partition = &self.name;
        if info.has_rolled {
            let base_offset = info.first_offset;
            cx.traces.emit(|| TraceEvent::SegmentRolled { partition: partition.clone(), base_offset });
        }
        cx.traces.emit(|| TraceEvent::RecordsAppended {
            partition: partition.clone(),
            base_offset: info.first_offset,
            last_offset: info.last_offset,
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        });
    }

    /// Fewer replicas are in sync than a write with acks=all asks for.
    pub(super) fn has_too_few_in_sync(&self) -> bool {
        self.leadership().is_some_and(|it| it.is_under_min_isr(self.config.min_insync_replicas))
    }

    /// What a write with acks=all is told that was appended when enough replicas were in sync, and is committed when they are not any more.
    pub fn error_after_append(&self) -> Option<ErrorCode> {
        let min_insync_replicas = self.config.min_insync_replicas;
        let leadership = self.leadership()?;
        leadership
            .is_maximal_isr_too_small(min_insync_replicas)
            .then_some(ErrorCode::NotEnoughReplicasAfterAppend)
    }

    /// A follower's fetch came: what that says of the follower. True if more is committed than before.
    ///
    /// Errors: of the read; for a replica that is not assigned UNKNOWN_LEADER_EPOCH where it named the epoch, so that it asks again.
    pub fn follower_fetched(
        &mut self,
        cx: &mut Cx<'_, S>,
        part: &WatchPart,
        replica: Replica,
        broker_epoch: i64,
    ) -> Result<bool, ErrorCode> {
        self.may_read(part, true)?;
        let log_end_offset = self.log.log_end_offset();
        let is_assigned = self.leadership().is_some_and(|leadership| leadership.has_follower(replica.broker));
        if !is_assigned {
            return Err(match part.current_leader_epoch {
                0.. => ErrorCode::UnknownLeaderEpoch,
                _ => ErrorCode::NotLeaderOrFollower,
            });
        }
        if self.diverging(part)?.is_some() {
            return Ok(false);
        }
        self.check_range(part.fetch_offset)?;
        let may_hold_unknown = self.may_hold_unknown(part);
        let fetch = FollowerFetch {
            broker: replica.broker,
            broker_epoch: replica.broker_epoch,
            fetch_offset: part.fetch_offset,
            log_start_offset: part.log_start_offset,
            leader_end_offset: log_end_offset,
        };
        let context = self.proposal_context(broker_epoch);
        let (high_watermark, planted) = (self.log.high_watermark(), self.log.config().planted);
        let Role::Leader(leadership) = &mut self.role else { return Ok(false) };
        let has_moved = leadership.fetched(cx.now.monotonic, &fetch)?;
        let needed = if planted.is(Mutation::JoinedTooEarly) { i64::MIN } else { high_watermark };
        // With the answer it drops them: who asks for the same again has had one.
        if !(has_moved && may_hold_unknown) {
            leadership.maybe_expand(context, fetch.broker, needed);
        }
        Ok(has_moved && self.commit(cx))
    }

    /// Whether a follower that ends where this log begins has records below, of an epoch that is forgotten here: they may never have been committed.
    fn may_hold_unknown(&self, part: &WatchPart) -> bool {
        let start = self.log.log_start_offset();
        let is_forgotten =
            |epoch: i32| self.log.leader_epochs().earliest().is_none_or(|first| epoch < first.epoch);
        part.fetch_offset == start && part.log_start_offset < start && is_forgotten(part.last_fetched_epoch)
    }

    /// Proposes that replicas leave the ISR that have not caught up for too long.
    pub fn shrink_isr(&mut self, cx: &mut Cx<'_, S>, broker_epoch: i64) {
        let context = self.proposal_context(broker_epoch);
        let log_end_offset = self.log.log_end_offset();
        if let Role::Leader(leadership) = &mut self.role {
            leadership.maybe_shrink(cx.now.monotonic, context, log_end_offset);
            if self.log.config().planted.is(Mutation::IsrShrunkAlone) {
                leadership.shrink_alone();
            }
        }
    }

    pub(super) fn is_planted(&self, mutation: Mutation) -> bool {
        self.log.config().planted.is(mutation)
    }

    fn proposal_context(&self, broker_epoch: i64) -> ProposalContext {
        ProposalContext {
            partition: self.id,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            broker_epoch,
        }
    }

    /// What is to be handed to the controller.
    pub fn take_proposal(&mut self) -> Option<IsrProposal> {
        match &mut self.role {
            Role::Leader(leadership) => leadership.take_proposal(),
            Role::Idle | Role::Sole | Role::Follower => None,
        }
    }

    /// The controller answered. True if more is committed than before.
    pub fn isr_answered(
        &mut self,
        cx: &mut Cx<'_, S>,
        partition_epoch: i32,
        answer: Result<&AlteredIsr, ErrorCode>,
    ) -> bool {
        let leader_epoch = self.leader_epoch;
        if partition_epoch != self.partition_epoch {
            return false;
        }
        let Role::Leader(leadership) = &mut self.role else { return false };
        match leadership.answered(leader_epoch, partition_epoch, answer) {
            Some(partition_epoch) => {
                self.partition_epoch = partition_epoch;
                self.commit(cx)
            }
            None => false,
        }
    }

    /// The first offset that all replicas have which are alive: below it nothing is left anywhere.
    pub fn low_watermark(&self, is_alive: impl Fn(i32) -> bool) -> i64 {
        let followers = self.leadership().map(Leadership::followers).unwrap_or_default();
        let starts = followers.iter().filter(|it| is_alive(it.broker)).map(|it| it.log_start_offset);
        starts.fold(self.log.log_start_offset(), i64::min)
    }
}
