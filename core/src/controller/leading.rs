//! [`Leading`]: what the active controller decides, and what of it is not committed yet.

use std::collections::VecDeque;

use ottla_protocol::ErrorCode;
use ottla_protocol::records::MetadataRecord;

use super::mutation_quotas::Asker;
use super::update_features::QuorumFacts;
use super::{ControllerRequest, ControllerResponse, Decisions};
use crate::coordinator::{Append, Appended, Decision, Runtime, Token};
use crate::log::{AppendBatch, LogError, LogStore, StoreError};
use crate::machine::Cx;
use crate::metadata::{MetadataImage, MetadataState, MetadataVersion};
use crate::quorum::checkpoint::metadata_batch;
use crate::quorum::control::KRAFT_VERSIONS;
use crate::quorum::raft::{AppendError, Quorum, QuorumCx, QuorumEffect, QuorumError};
use crate::record::{BatchView, Compressors};
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// The active controller.
#[derive(Clone, Debug)]
pub struct Leading {
    epoch: i32,
    runtime: Runtime<Decisions>,
    /// Appended and not known to be committed: (offset of the last record, the records).
    uncommitted: VecDeque<(i64, Vec<MetadataRecord>)>,
    /// When it appended last, ms.
    timestamp: i64,
}

impl Leading {
    /// From a state that is the log's up to its end.
    pub fn new(epoch: i32, decisions: Decisions, state: MetadataState, now: Now, rng: Rng) -> Self {
        let runtime = Runtime::loaded(decisions, state, now, rng);
        Self { epoch, runtime, uncommitted: VecDeque::new(), timestamp: now.wall }
    }

    /// That it leads.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// When it appended last, ms.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// Everything appended.
    pub fn tip(&self) -> &MetadataState {
        self.runtime.tip()
    }

    /// Everything committed.
    pub fn committed(&self) -> &MetadataState {
        self.runtime.committed()
    }

    /// Decides. What the quorum asks for is returned; the error is one that a node does not survive. A full disk is none: what was written
    /// before it was full is on its way.
    pub fn submit<S: LogStore>(
        &mut self,
        cx: &mut Cx<'_, S>,
        quorum: &mut Quorum<S>,
        (token, asker): (Token, Asker),
        request: ControllerRequest,
    ) -> Result<Vec<QuorumEffect<S>>, LogError> {
        self.runtime.coordinator_mut().set_asker(asker);
        let version = self.runtime.tip().tip().features.metadata_version();
        survive(
            self.append(cx, quorum, version, |runtime, now, log| runtime.submit(now, log, token, request)),
        )
    }

    /// Decides what passed deadlines ask for.
    pub fn tick<S: LogStore>(
        &mut self,
        cx: &mut Cx<'_, S>,
        quorum: &mut Quorum<S>,
    ) -> Result<Vec<QuorumEffect<S>>, LogError> {
        let version = self.runtime.tip().tip().features.metadata_version();
        survive(self.append(cx, quorum, version, |runtime, now, log| runtime.tick(now, log)))
    }

    /// When [`Leading::tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.runtime.deadline()
    }

    /// Writes records that nobody asked for, all of them or the node does not go on.
    pub fn write<S: LogStore>(
        &mut self,
        cx: &mut Cx<'_, S>,
        quorum: &mut Quorum<S>,
        version: MetadataVersion,
        records: Vec<MetadataRecord>,
    ) -> Result<Vec<QuorumEffect<S>>, LogError> {
        let decision = Decision::records(records);
        let (effects, failure) =
            self.append(cx, quorum, version, |runtime, now, log| runtime.carry_out(now, log, decision));
        failure.map_or(Ok(effects), Err)
    }

    fn append<S: LogStore>(
        &mut self,
        cx: &mut Cx<'_, S>,
        quorum: &mut Quorum<S>,
        version: MetadataVersion,
        decide: impl FnOnce(&mut Runtime<Decisions>, Now, &mut Appender<'_, '_, S>),
    ) -> (Vec<QuorumEffect<S>>, Option<LogError>) {
        let kraft_version = quorum.kraft_version();
        let next = kraft_version.saturating_add(1);
        let facts = QuorumFacts {
            kraft_version,
            voters: quorum.voters().ids(),
            upgrade_refusal: quorum.upgrade_refusal(next).filter(|_| next <= KRAFT_VERSIONS.1),
        };
        self.runtime.coordinator_mut().set_quorum(facts);
        let (mut effects, planted) = (Vec::new(), cx.traces.planted());
        let mut appender = Appender {
            cx: QuorumCx { now: cx.now, store: cx.store, effects: &mut effects, planted },
            quorum,
            epoch: self.epoch,
            version,
            uncommitted: &mut self.uncommitted,
            failure: None,
        };
        decide(&mut self.runtime, cx.now, &mut appender);
        if let Some(version) = self.runtime.coordinator_mut().take_kraft_upgrade() {
            appender.upgrade(version);
        }
        let failure = appender.failure;
        if failure.is_none() {
            self.timestamp = cx.now.wall;
        }
        (effects, failure)
    }

    /// Everything below is committed: the records that were not before.
    pub fn high_watermark_advanced(&mut self, high_watermark: i64) -> Vec<MetadataRecord> {
        self.runtime.high_watermark_advanced(high_watermark);
        let committed = self.uncommitted.partition_point(|(last_offset, _)| *last_offset < high_watermark);
        self.uncommitted.drain(..committed).flat_map(|(_, records)| records).collect()
    }

    /// The first image of the node speaks of all that was appended.
    pub fn publish_tip(&mut self) -> MetadataImage {
        self.uncommitted.clear();
        self.runtime.tip().image().clone()
    }

    /// Another one leads: what is not committed never was.
    pub fn abandon(&mut self, now: Now) -> (MetadataState, Vec<(Token, ControllerResponse)>) {
        let refusals = self.runtime.abandon(now, ErrorCode::NotController);
        (self.runtime.committed().clone(), refusals)
    }

    /// A broker is known to be gone: its session is over, if it is still that life of it.
    pub fn lose(&mut self, broker: i32, epoch: i64) {
        self.runtime.coordinator_mut().lose(broker, epoch);
    }

    /// The answers that may be sent.
    pub fn take_ready(&mut self) -> Vec<(Token, ControllerResponse)> {
        self.runtime.take_ready()
    }
}

/// The quorum as the runtime's log.
struct Appender<'a, 'b, S: LogStore> {
    cx: QuorumCx<'b, S>,
    quorum: &'a mut Quorum<S>,
    epoch: i32,
    version: MetadataVersion,
    uncommitted: &'a mut VecDeque<(i64, Vec<MetadataRecord>)>,
    /// Why the storage refused.
    failure: Option<LogError>,
}

impl<S: LogStore> Appender<'_, '_, S> {
    fn upgrade(&mut self, kraft_version: i16) {
        if let Err(error) = self.quorum.upgrade(&mut self.cx, kraft_version) {
            self.failure = Some(match error {
                QuorumError::Log(error) => error,
                error => LogError::Store(StoreError::Io(error.to_string())),
            });
        }
    }
}

impl<S: LogStore> Append<MetadataRecord> for Appender<'_, '_, S> {
    fn next_offset(&self) -> i64 {
        self.quorum.log().end_offset()
    }

    fn append(&mut self, now: Now, records: &[MetadataRecord]) -> Result<Appended, ErrorCode> {
        let end_offset = self.quorum.log().end_offset();
        let batch = metadata_batch(end_offset, self.epoch, self.version, now.wall, records);
        let bytes = batch.build(&Compressors::default());
        let view = BatchView::read(&bytes).map_err(|_| ErrorCode::UnknownServerError)?;
        let batch = AppendBatch { header: *view.header(), body: view.body() };
        match self.quorum.append(&mut self.cx, self.epoch, batch) {
            Ok(base_offset) => {
                let last_offset = self.quorum.log().end_offset().saturating_sub(1);
                self.uncommitted.push_back((last_offset, records.to_vec()));
                Ok(Appended { base_offset, high_watermark: self.quorum.high_watermark().unwrap_or(0) })
            }
            Err(AppendError::NotLeader) => Err(ErrorCode::NotController),
            // More than a segment holds: nothing was written, and only this request is refused.
            Err(AppendError::Log(LogError::LargerThanSegment { .. })) => Err(ErrorCode::RecordListTooLarge),
            Err(AppendError::Log(error)) => {
                self.failure = Some(error);
                Err(ErrorCode::KafkaStorageError)
            }
        }
    }
}

/// A node goes on without room for what it decides.
fn survive<E>((effects, failure): (Vec<E>, Option<LogError>)) -> Result<Vec<E>, LogError> {
    match failure {
        None | Some(LogError::Store(StoreError::NoSpace)) => Ok(effects),
        Some(failure) => Err(failure),
    }
}
