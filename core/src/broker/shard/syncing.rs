//! Bringing a shard's partitions to the disk, and the clean stop.

use ottla_protocol::ErrorCode;

use super::{Purpose, RESTING_MAX, Shard};
use crate::broker::Message;
use crate::broker::acknowledgements::Until;
use crate::ids::TopicIdPartition;
use crate::log::LogStore;
use crate::log::log_dirs::LogDirsEvent;
use crate::machine::{Cx, Effect, SyncCompletion, SyncOutcome, SyncTarget, Waiter};
use crate::partition::Partition;
use crate::sim::mutation::Mutation;
use crate::trace::TraceEvent;

impl<S: LogStore> Shard<S> {
    pub(super) fn sync(&mut self, cx: &mut Cx<'_, S>, targets: Vec<SyncTarget<S>>, purpose: Purpose) {
        let token = self.next_sync;
        self.next_sync += 1;
        self.syncs.insert(token, purpose);
        cx.effects
            .push(Effect::Sync { targets, then: SyncCompletion { waiter: Waiter::Shard(self.id), token } });
    }

    /// A clean stop: everything goes to the disk, then the keeper of the directories is told where each partition ended.
    pub(super) fn stop(&mut self, cx: &mut Cx<'_, S>) {
        self.stopping = true;
        self.cleaner.stop(cx, &mut self.partitions);
        let plans: Vec<_> = self
            .partitions
            .iter_mut()
            .filter_map(|(id, partition)| {
                partition.close(cx).map(|(targets, reached)| (*id, targets, reached))
            })
            .collect();
        for (id, targets, reached) in plans {
            self.sync(cx, targets, Purpose::Flush(id, reached));
        }
        self.stopped_when_synced(cx);
    }

    pub(super) fn stopped_when_synced(&mut self, cx: &mut Cx<'_, S>) {
        if self.stopping && self.syncs.is_empty() {
            let failed = self.partitions().filter(|partition| partition.failure().is_some());
            let unopened = self.openings.unopened().filter_map(|(id, is_untouched)| {
                let (_, log_dir) = self.found(id)?;
                (!is_untouched || !self.checkpoints.is_clean(log_dir)).then_some(log_dir)
            });
            let not_created = self.not_created.values().copied();
            let unclean = failed.map(Partition::log_dir).chain(unopened).chain(not_created).collect();
            let event = LogDirsEvent::Stopped { shard: self.id, offsets: self.offsets(), unclean };
            cx.effects.tell(Message::LogDirs(event));
        }
    }

    pub(super) fn synced(&mut self, cx: &mut Cx<'_, S>, token: u64, outcome: &SyncOutcome) {
        let Some(purpose) = self.syncs.remove(&token) else { return };
        match purpose {
            Purpose::Flush(id, reached) => self.flushed(cx, id, reached, outcome),
            Purpose::Rest(id, reached) => {
                self.rests -= 1;
                self.flushed(cx, id, reached, outcome);
                self.sync_idle(cx);
            }
            Purpose::Cleaning(id) => {
                self.cleaner.synced(cx.now.monotonic, id, outcome);
                if let SyncOutcome::Failed(reason) = outcome {
                    self.sync_failed(cx, id, reason);
                }
                self.touched(id);
            }
            Purpose::Opening(log_dir) if !self.stopping => {
                for (partition, reached) in self.openings.synced(log_dir) {
                    let id = partition.id();
                    self.partitions.insert(id, partition);
                    self.flushed(cx, id, reached, outcome);
                    self.opened(cx, id);
                }
                self.sync_opened(cx);
            }
            Purpose::Opening(_) => {}
        }
        self.stopped_when_synced(cx);
    }

    pub(super) fn flushed(
        &mut self,
        cx: &mut Cx<'_, S>,
        id: TopicIdPartition,
        reached: (i64, u32),
        outcome: &SyncOutcome,
    ) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        match outcome {
            SyncOutcome::Done => {
                let has_committed = partition.synced(cx, reached);
                let (up_to, is_follower) = (partition.recovery_point(), partition.is_follower());
                let acknowledged = self.acknowledgements.reached(id, Until::Durable, up_to, None);
                if has_committed {
                    self.committed(cx, id);
                }
                if is_follower {
                    self.replicas.changed(id);
                }
                for (token, response) in acknowledged {
                    self.reply(cx, token, response);
                }
            }
            SyncOutcome::Failed(reason) => self.sync_failed(cx, id, reason),
        }
        self.touched(id);
    }

    pub(super) fn sync_failed(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition, reason: &str) {
        if cx.traces.planted().is(Mutation::FailedSyncRetried) {
            return;
        }
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let (path, reason) = (partition.name().to_string(), reason.to_owned());
        partition.sync_failed(cx, &reason);
        cx.traces.fault(TraceEvent::StorageFailed { path, reason });
        self.refuse_unsynced(cx, id, ErrorCode::KafkaStorageError);
    }

    /// Has partitions synced that have been idle for a while, a few at a time.
    pub(super) fn sync_idle(&mut self, cx: &mut Cx<'_, S>) {
        while !self.stopping
            && self.rests < RESTING_MAX
            && let Some(id) = self.resting.next(cx.now.monotonic)
        {
            self.resting.set(id, None);
            let plan = self.partitions.get_mut(&id).and_then(|partition| partition.rest(cx));
            if let Some((targets, reached)) = plan {
                self.rests += 1;
                self.sync(cx, targets, Purpose::Rest(id, reached));
            }
        }
    }

    /// Has the disk asked for what recovery did.
    pub(super) fn sync_opened(&mut self, cx: &mut Cx<'_, S>) {
        for (log_dir, targets) in self.openings.take_syncs(&self.config.log_dirs) {
            self.sync(cx, targets, Purpose::Opening(log_dir));
        }
    }
}
