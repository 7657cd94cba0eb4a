//! Following the leader of a partition: its records as they are, its offsets as far as they go.

use bytes::Bytes;
use ottla_protocol::ErrorCode;

use super::{Partition, Role};
use crate::log::{LogError, LogStore};
use crate::machine::Cx;
use crate::metadata::PartitionRegistration;
use crate::metrics::count;
use crate::replication::FetchPosition;
use crate::sim::mutation::Mutation;

/// What a leader answered to a fetch of this replica.
#[derive(Clone, Debug)]
pub struct LeaderData {
    /// Whole batches, but for the last, which may be cut off.
    pub records: Bytes,
    /// The leader's high watermark.
    pub high_watermark: i64,
    /// The leader's first offset.
    pub log_start_offset: i64,
    /// (epoch, its end offset) where the logs part.
    pub diverging: Option<(i32, i64)>,
}

/// What a follower made of what its leader said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// It fetches on. True if consumers may read more than before.
    On { has_committed: bool },
    /// It could not be understood: the same is asked for again, later.
    Again,
    /// The replica does not serve any more.
    Failed,
}

impl<S: LogStore> Partition<S> {
    /// Follows from now on. True if that begins with a leader epoch; an older state of the metadata changes nothing.
    pub fn become_follower(&mut self, cx: &mut Cx<'_, S>, registration: &PartitionRegistration) -> bool {
        if registration.partition_epoch < self.partition_epoch {
            return false;
        }
        self.partition_epoch = registration.partition_epoch;
        let is_new_epoch = registration.leader_epoch > self.leader_epoch;
        self.role = Role::Follower;
        if is_new_epoch {
            self.leader_epoch = registration.leader_epoch;
            if self.log.latest_epoch() < 0 {
                // A log of before there were epochs: only what was committed is known to be the leader's, too.
                let high_watermark = self.log.high_watermark();
                self.truncate(cx, high_watermark);
            }
            self.trace(cx);
        }
        if registration.leader >= 0
            && let Some(offset) = self.doubtful_from.take()
        {
            self.truncate(cx, offset);
        }
        is_new_epoch
    }

    /// Where it goes on fetching; `None` while it does not follow, or while what it has is not as durable as is asked for: a fetch vouches for
    /// everything below.
    pub fn fetch_position(&self) -> Option<FetchPosition> {
        let is_following = matches!(self.role, Role::Follower) && self.failure.is_none() && self.has_room;
        (is_following && self.unsynced().is_none()).then(|| FetchPosition {
            fetch_offset: self.log.log_end_offset(),
            log_start_offset: self.log.log_start_offset(),
            current_leader_epoch: self.leader_epoch,
            last_fetched_epoch: if self.is_planted(Mutation::DivergenceNotAsked) {
                -1
            } else {
                self.log.latest_epoch()
            },
        })
    }

    /// Takes what the leader answered.
    pub fn follow(&mut self, cx: &mut Cx<'_, S>, data: &LeaderData) -> Followed {
        if let Some(diverging) = data.diverging {
            let end = self.common_end(diverging);
            if !self.truncate(cx, end) {
                return Followed::Failed;
            }
        }
        let has_unknown_tail = self.has_unknown_tail(data.log_start_offset);
        if has_unknown_tail && !self.start_at(cx, data.log_start_offset) {
            return Followed::Failed;
        }
        if has_unknown_tail || data.diverging.is_some() {
            return Followed::On { has_committed: false };
        }
        if !data.records.is_empty() {
            let appended = self.log.append_as_follower(cx.store, cx.now, self.leader_epoch, &data.records);
            match appended {
                Ok(info) => {
                    count(&mut self.meters.replication_bytes_in, info.size);
                    self.trace_append(cx, &info, info.size);
                }
                Err(LogError::InvalidRecords(_)) => return Followed::Again,
                Err(error) => {
                    self.failed(cx, &error);
                    // A disk without room is waited for.
                    return if self.failure.is_none() { Followed::Again } else { Followed::Failed };
                }
            }
        }
        let before = self.log.high_watermark();
        let after = self.log.set_high_watermark(data.high_watermark);
        if after > before {
            self.trace_high_watermark(cx, after);
        }
        if data.log_start_offset > self.log.log_start_offset() && data.log_start_offset <= after {
            match self.log.increment_log_start_offset(cx.store, data.log_start_offset) {
                Ok(true) => self.log_start_moved(cx),
                Ok(false) => {}
                Err(error) => {
                    self.failed(cx, &error);
                    return Followed::Failed;
                }
            }
        }
        Followed::On { has_committed: after > before }
    }

    /// Whether the leader begins where this replica ends, which has more than it knows to be committed, of earlier leaders: the leader has forgotten
    /// their epochs, and cannot say that it never had those records. What is above its beginning it can tell, and this replica has vouched for.
    fn has_unknown_tail(&self, leader_start_offset: i64) -> bool {
        let (committed, end) = (self.log.high_watermark(), self.log.log_end_offset());
        committed < end && end == leader_start_offset && self.log.latest_epoch() < self.leader_epoch
    }

    /// How far this log is the same as the leader's, as far as the two know: the leader says of which epoch it has records up to which offset,
    /// the largest that is not above the one asked about (KIP-101, 279). An epoch that is unknown here is asked about again.
    fn common_end(&self, (leader_epoch, leader_end_offset): (i32, i64)) -> i64 {
        let own_end = self.log.log_end_offset();
        if leader_end_offset < 0 {
            return self.log.high_watermark();
        }
        match self.log.end_offset_for_epoch(leader_epoch) {
            (epoch, end) if epoch == leader_epoch && end >= 0 => end.min(leader_end_offset).min(own_end),
            (epoch, end) if epoch >= 0 && end >= 0 => end.min(own_end),
            _ => leader_end_offset.min(own_end),
        }
    }

    /// Drops the records from `offset` on. False if the replica does not serve any more.
    pub fn truncate(&mut self, cx: &mut Cx<'_, S>, offset: i64) -> bool {
        let truncated = self.log.truncate_to(cx.store, cx.now, offset);
        self.shortened(cx, truncated.map(|_| ()))
    }

    /// Drops everything: the leader's log begins at `offset`, beyond the end of this one.
    pub fn start_at(&mut self, cx: &mut Cx<'_, S>, offset: i64) -> bool {
        let emptied = self.log.truncate_fully_and_start_at(cx.store, cx.now, offset);
        self.shortened(cx, emptied)
    }

    fn shortened(&mut self, cx: &mut Cx<'_, S>, outcome: Result<(), LogError>) -> bool {
        self.hint = None;
        match outcome {
            Ok(()) => {
                self.trace(cx);
                true
            }
            Err(error) => {
                self.failed(cx, &error);
                // The log stands as it was, or not at all.
                self.fail(error.to_string());
                false
            }
        }
    }

    /// Where the log ends.
    pub fn log_end_offset(&self) -> i64 {
        self.log.log_end_offset()
    }

    /// This replica may be read from by those whom a follower serves.
    pub(super) fn holds(&self) -> Result<(), ErrorCode> {
        match self.role {
            Role::Idle => Err(ErrorCode::NotLeaderOrFollower),
            Role::Sole | Role::Leader(_) | Role::Follower => Ok(()),
        }
    }
}
