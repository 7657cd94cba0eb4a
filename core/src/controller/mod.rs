//! The controller: decides what happens to topics, configurations, features and brokers, and writes it into the metadata log.
//!
//! [`Decisions`] decides on the shared decide/replay runtime; [`Controller`] is the machine around it: it syncs the log, publishes
//! what is committed, answers, and takes snapshots. One file per API.

mod acls;
mod allocate_producer_ids;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition;
mod alter_user_scram_credentials;
mod assign_replicas_to_dirs;
mod broker_heartbeat;
mod broker_registration;
mod cluster;
mod controller_registration;
mod create_partitions;
mod create_topics;
mod decisions;
mod delete_topics;
mod describe_quorum;
mod elections;
mod error;
mod heartbeats;
mod leadership;
pub(crate) mod names;
mod partition_change;
mod placement;
mod racks;
mod reassignments;
mod registration;
mod request;
mod unregister_broker;
mod update_features;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::RemoveTopicRecord;

pub use decisions::Decisions;
pub use describe_quorum::QuorumView;
pub use error::ApiError;
pub use request::{ControllerEvent, ControllerRequest, ControllerResponse};

use crate::broker::{ConnectionEvent, Message};
use crate::config::BrokerConfig;
use crate::coordinator::Runtime;
use crate::log::{LogError, LogStore, StoreError};
use crate::machine::{Cx, Effect, Machine, SyncCompletion, SyncOutcome, SyncTarget, Waiter};
use crate::metadata::{MetadataDelta, MetadataImage, Published};
use crate::quorum::open::append;
use crate::quorum::{self, Appender, MetadataLog, OpenError, Opened, ToSync};
use crate::rng::Rng;
use crate::sim::mutation::Mutation;
use crate::time::Instant;
use crate::trace::TraceEvent;

/// The controller of a node that is a metadata quorum of its own.
#[derive(Clone, Debug)]
pub struct Controller<S: LogStore> {
    runtime: Runtime<Decisions>,
    log: MetadataLog<S>,
    published: MetadataImage,
    /// The first image speaks of everything below, committed or not.
    opened_up_to: i64,
    snapshot_bytes_max: u64,
    snapshot_interval_ms: i64,
    /// When the next snapshot is due if anything was written by then.
    snapshot_due: Instant,
    /// A snapshot was written with the sync of this token: what it makes superfluous goes once that is done.
    snapshot_token: Option<u64>,
    snapshot_written: bool,
}

/// Opens a node's metadata (formatting its directories if they are all empty), begins a new epoch, and registers the node. The image is
/// what the node starts with: all that its log holds.
///
/// What was in the log is published before it is synced again. It was synced before anybody was answered; what was not
/// was never acknowledged.
pub fn open<S: LogStore>(
    cx: &mut Cx<'_, S>,
    config: &Arc<BrokerConfig>,
    mut rng: Rng,
) -> Result<(Controller<S>, Arc<Published>), OpenError> {
    let Opened { mut log, mut state, directories } =
        quorum::open::open(cx.store, cx.now, &mut rng, cx.compressors, config)?;
    // A driver that gives every life of a node the same seed still gets other ids in each.
    let life = u64::try_from(log.epoch()).unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut rng = Rng::from_seed(rng.next_u64().wrapping_add(life));
    let own: Vec<_> =
        config.log_dirs.iter().filter_map(|directory| directories.get(directory).copied()).collect();
    let mut records = registration::register(state.image(), config, &own, &mut rng, log.log_end_offset());
    if cx.traces.planted().is(Mutation::LeaderEpochNotRaised) {
        records.retain(|record| !matches!(record, MetadataRecord::PartitionChange(_)));
    }
    let version = state.image().features.metadata_version();
    append(cx.store, cx.now, &mut log, &mut state, version, &records)?;
    log.forget_unpublished();

    let offset = log.log_end_offset().saturating_sub(1);
    let published = Published::first(state.image().clone(), offset, log.epoch(), log.kraft_version());
    let view = QuorumView {
        leader_id: log.node_id(),
        leader_epoch: log.epoch(),
        high_watermark: log.high_watermark(),
        log_end_offset: log.log_end_offset(),
        voters: log.voters().to_vec(),
    };
    let decisions = Decisions::new(config.clone(), log.kraft_version(), view, cx.traces.planted());
    let mut controller = Controller {
        opened_up_to: log.log_end_offset(),
        published: state.image().clone(),
        runtime: Runtime::loaded(decisions, state, cx.now, rng),
        log,
        snapshot_bytes_max: u64::try_from(config.metadata_log_max_record_bytes_between_snapshots)
            .unwrap_or(u64::MAX),
        snapshot_interval_ms: config.metadata_log_max_snapshot_interval_ms,
        snapshot_due: cx.now.monotonic.plus_ms(config.metadata_log_max_snapshot_interval_ms),
        snapshot_token: None,
        snapshot_written: false,
    };
    controller.advance(cx);
    Ok((controller, published))
}

impl<S: LogStore> Machine<S> for Controller<S> {
    type Event = ControllerEvent;

    fn handle(&mut self, cx: &mut Cx<'_, S>, event: ControllerEvent) {
        match event {
            ControllerEvent::Request { token, context: _, request } => {
                let version = self.runtime.tip().tip().features.metadata_version();
                let mut appender = Appender { log: &mut self.log, store: cx.store, version, failure: None };
                self.runtime.submit(cx.now, &mut appender, token, request);
                if let Some(error) = appender.failure {
                    self.halt(cx, format!("appending to the metadata log failed: {error}"));
                }
            }
            ControllerEvent::Synced { token, outcome: SyncOutcome::Done } => self.synced(cx, token),
            ControllerEvent::Synced { outcome: SyncOutcome::Failed(reason), .. } => {
                self.halt(cx, format!("syncing the metadata log failed: {reason}"));
            }
            ControllerEvent::Tick => self.maybe_snapshot(cx),
        }
        self.advance(cx);
    }

    fn deadline(&self) -> Option<Instant> {
        (self.snapshot_interval_ms > 0 && self.log.bytes_since_snapshot() > 0).then_some(self.snapshot_due)
    }
}

impl<S: LogStore> Controller<S> {
    /// The metadata as of the high watermark.
    pub fn image(&self) -> &MetadataImage {
        &self.published
    }

    /// The metadata log.
    pub fn log(&self) -> &MetadataLog<S> {
        &self.log
    }

    fn synced(&mut self, cx: &mut Cx<'_, S>, token: u64) {
        let high_watermark = self.log.synced(token);
        if let Err(error) = self.log.settle(cx.store) {
            self.halt(cx, format!("the metadata log cannot be settled: {error}"));
        }
        self.runtime.high_watermark_advanced(high_watermark);
        self.publish(cx, high_watermark);
        if self.snapshot_token.take_if(|written_with| *written_with == token).is_some()
            && let Err(error) = self.log.clean_up(cx.store, cx.now)
        {
            self.halt(cx, format!("removing old metadata failed: {error}"));
        }
        if self.snapshot_bytes_max <= self.log.bytes_since_snapshot() {
            self.maybe_snapshot(cx);
        }
    }

    fn publish(&mut self, cx: &mut Cx<'_, S>, high_watermark: i64) {
        let records = self.log.take_committed();
        let image = self.runtime.committed().image();
        if records.is_empty() || *image == self.published {
            return;
        }
        let delta = MetadataDelta::between(&self.published, image, &records);
        let offset = high_watermark.saturating_sub(1);
        let (epoch, kraft_version) = (self.log.epoch(), self.log.kraft_version());
        let published = Published { image: image.clone(), delta, offset, epoch, kraft_version };
        self.published = image.clone();
        cx.effects.push(Effect::Publish(Arc::new(published)));
        cx.traces.emit(|| TraceEvent::MetadataPublished { offset });
    }

    fn maybe_snapshot(&mut self, cx: &mut Cx<'_, S>) {
        let is_due = self.deadline().is_some_and(|due| due <= cx.now.monotonic);
        let is_committed = self.log.high_watermark() >= self.opened_up_to;
        if !is_committed || !is_due && self.log.bytes_since_snapshot() < self.snapshot_bytes_max {
            return;
        }
        self.snapshot_due = cx.now.monotonic.plus_ms(self.snapshot_interval_ms);
        let mut image = self.published.clone();
        if cx.traces.planted().is(Mutation::MetadataSnapshotIncomplete)
            && let Some(topic_id) = image.topics_by_name().last().map(|topic| topic.id)
        {
            _ = image.replay(&RemoveTopicRecord { topic_id }.into());
        }
        match self.log.write_snapshot(cx.store, cx.now, &image) {
            Ok(_) => self.snapshot_written = true,
            // The log has it all.
            Err(LogError::Store(StoreError::NoSpace)) => {}
            Err(error) => self.halt(cx, format!("writing a metadata snapshot failed: {error}")),
        }
    }

    /// Sends what may be sent and asks for the next sync.
    fn advance(&mut self, cx: &mut Cx<'_, S>) {
        if cx.traces.planted().is(Mutation::MetadataNotSynced)
            && let Ok(Some(sync)) = self.log.take_sync(cx.store, cx.now)
        {
            self.synced(cx, sync.token);
        }
        let (high_watermark, log_end_offset) = (self.log.high_watermark(), self.log.log_end_offset());
        self.runtime.coordinator_mut().quorum_advanced(high_watermark, log_end_offset);
        for (token, response) in self.runtime.take_ready() {
            let event = ConnectionEvent::Controller { request: token.request, response };
            cx.effects.push(Effect::Tell(Message::Connection(token.connection, event)));
        }
        match self.log.take_sync(cx.store, cx.now) {
            Ok(Some(sync)) => {
                if std::mem::take(&mut self.snapshot_written) {
                    self.snapshot_token = Some(sync.token);
                }
                cx.effects.push(to_effect(sync));
            }
            Ok(None) => {}
            Err(error) => self.halt(cx, format!("flushing the metadata log failed: {error}")),
        }
    }

    fn halt(&self, cx: &mut Cx<'_, S>, reason: String) {
        cx.effects.push(Effect::Halt { reason });
    }
}

fn to_effect<S: LogStore>(sync: ToSync<S::File>) -> Effect<S> {
    let files = sync.files.into_iter().map(SyncTarget::File);
    let targets = files.chain(sync.directories.into_iter().map(SyncTarget::Directory)).collect();
    Effect::Sync { targets, then: SyncCompletion { waiter: Waiter::Controller, token: sync.token } }
}
