//! Snapshots on their way to the disk: synced under another name, then named, then the directory synced. What they make superfluous goes after that.

use std::io::IoSlice;

use ottla_protocol::Bytes;

use super::log::{PART_SUFFIX, Sync};
use super::role::Role;
use super::{Quorum, QuorumCx, QuorumEffect, QuorumError};
use crate::log::{LogStore, StoreError};
use crate::quorum::checkpoint::SnapshotId;
use crate::quorum::join;

/// A whole snapshot that is not durable yet.
#[derive(Clone, Debug)]
pub(super) struct Writing<F> {
    id: SnapshotId,
    file: F,
    purpose: Purpose,
    step: Step,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The state machine above wrote it.
    Own,
    /// It takes the place of the log.
    Fetched,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Its bytes are to be synced; the sync that does.
    Bytes(Option<u64>),
    /// It has its name, and the directory is to be synced.
    Name(Option<u64>),
}

impl<F> Writing<F> {
    pub fn new(id: SnapshotId, file: F, purpose: Purpose) -> Self {
        Self { id, file, purpose, step: Step::Bytes(None) }
    }
}

impl<S: LogStore> Quorum<S> {
    /// A snapshot is about to take the place of the log.
    pub(super) fn is_installing(&self) -> bool {
        self.writing.as_ref().is_some_and(|writing| writing.purpose == Purpose::Fetched)
    }

    /// Whether a snapshot of its own would be taken: one at a time.
    pub fn may_snapshot(&self) -> bool {
        self.writing.is_none() && self.download.is_none()
    }

    /// Writes what the state machine above has made. Of something that is not committed, or older than what there is, nothing comes.
    pub(super) fn write_snapshot(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        id: SnapshotId,
        bytes: &Bytes,
    ) -> Result<(), QuorumError> {
        let is_committed = self.high_watermark.is_some_and(|high_watermark| id.end_offset <= high_watermark);
        let is_news = self.log.snapshots().last().is_none_or(|newest| *newest < id);
        if !self.may_snapshot()
            || !is_committed
            || !is_news
            || self.log.snapshot_id(id.end_offset) != Some(id)
        {
            return Ok(());
        }
        let path = join(&self.config.dir, &format!("{}{PART_SUFFIX}", id.file_name()));
        let failed = |error| QuorumError::Store(path.clone(), error);
        match cx.store.remove(&path) {
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(failed(error)),
        }
        let file = cx.store.create(&path).map_err(failed)?;
        match cx.store.append(&file, &[IoSlice::new(bytes)]) {
            Ok(()) => self.writing = Some(Writing::new(id, file, Purpose::Own)),
            // The log has it all.
            Err(StoreError::NoSpace) => _ = cx.store.remove(&path),
            Err(error) => return Err(failed(error)),
        }
        Ok(())
    }

    pub(super) fn plan_snapshot_sync(&mut self, token: u64) -> Option<Sync<S>> {
        let writing = self.writing.as_mut()?;
        match &mut writing.step {
            Step::Bytes(waiting @ None) => {
                *waiting = Some(token);
                Some((vec![writing.file.clone()], Vec::new()))
            }
            Step::Name(waiting @ None) => {
                *waiting = Some(token);
                Some((Vec::new(), vec![self.config.dir.clone()]))
            }
            Step::Bytes(Some(_)) | Step::Name(Some(_)) => None,
        }
    }

    pub(super) fn snapshot_synced(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        token: u64,
    ) -> Result<(), QuorumError> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        match writing.step {
            Step::Bytes(Some(waiting)) if waiting == token => {
                writing.step = Step::Name(None);
                let path = join(&self.config.dir, &writing.id.file_name());
                let renamed = cx.store.rename(&format!("{path}{PART_SUFFIX}"), &path);
                renamed.map_err(|error| QuorumError::Store(path, error))
            }
            Step::Name(Some(waiting)) if waiting == token => {
                let (id, purpose) = (writing.id, writing.purpose);
                self.writing = None;
                self.snapshot_is_durable(cx, id, purpose)
            }
            _ => Ok(()),
        }
    }

    fn snapshot_is_durable(
        &mut self,
        cx: &mut QuorumCx<'_, S>,
        id: SnapshotId,
        purpose: Purpose,
    ) -> Result<(), QuorumError> {
        if purpose == Purpose::Own {
            return Ok(self.log.add_snapshot(cx.store, cx.now, id)?);
        }
        let is_ahead = (id.epoch, id.end_offset) > (self.log.last_epoch(), self.log.end_offset());
        if !is_ahead || matches!(self.role, Role::Leader(_)) {
            // It caught up by other ways meanwhile.
            let path = join(&self.config.dir, &id.file_name());
            return cx.store.remove(&path).map_err(|error| QuorumError::Store(path, error));
        }
        self.log.install(cx.store, cx.now, id)?;
        self.high_watermark = self.high_watermark.max(Some(id.end_offset));
        self.log.set_high_watermark(id.end_offset);
        cx.effects.push(QuorumEffect::SnapshotInstalled { id });
        cx.effects.push(QuorumEffect::HighWatermarkAdvanced {
            high_watermark: self.high_watermark.unwrap_or(id.end_offset),
        });
        Ok(())
    }
}
