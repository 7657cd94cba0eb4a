//! `quorum-state` on the disk: what depends on it waits until it is durable.
//!
//! Written beside the file, synced, renamed over it, and the directory synced: a power loss leaves the old text or the new one,
//! so that no vote is forgotten.

use std::io::IoSlice;

use super::log::Sync;
use super::{QuorumConfig, QuorumError};
use crate::log::{LogStore, StoreError};
use crate::quorum::join;
use crate::quorum::quorum_state::{FILE, QuorumState};

const TEMPORARY_SUFFIX: &str = ".tmp";

/// The file, and how far it has come.
#[derive(Clone, Debug)]
pub(super) struct StateFile {
    path: String,
    directories: Vec<String>,
    /// What it is to say, and how often that has changed.
    wanted: Option<(u64, QuorumState)>,
    number: u64,
    durable: u64,
    step: Step,
}

#[derive(Clone, Debug)]
enum Step {
    Idle,
    /// The new text is being synced.
    Syncing {
        token: u64,
        number: u64,
    },
    /// It has its name, and the directory is being synced.
    Renamed {
        token: Option<u64>,
        number: u64,
    },
}

impl StateFile {
    /// Reads it. `None` if there is none.
    pub fn open<S: LogStore>(
        store: &mut S,
        config: &QuorumConfig,
    ) -> Result<(Self, Option<QuorumState>), QuorumError> {
        let path = join(&config.dir, FILE);
        let failed = |error| QuorumError::Store(path.clone(), error);
        match store.remove(&format!("{path}{TEMPORARY_SUFFIX}")) {
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(failed(error)),
        }
        let found = match store.read(&path) {
            Ok(bytes) => {
                let broken = |reason| QuorumError::Broken(format!("{path}: {reason}"));
                let text = String::from_utf8(bytes).map_err(|_| broken("it is not text".to_owned()))?;
                Some(QuorumState::parse(&text).map_err(broken)?)
            }
            Err(StoreError::NotFound) => None,
            Err(error) => return Err(failed(error)),
        };
        let parent = config.dir.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        let directories =
            std::iter::once(config.dir.clone()).chain(parent.filter(|parent| !parent.is_empty()));
        let directories = directories.collect();
        let file = Self { path, directories, wanted: None, number: 0, durable: 0, step: Step::Idle };
        Ok((file, found))
    }

    /// It is to say this.
    pub fn write(&mut self, state: QuorumState) {
        if self.wanted.as_ref().is_some_and(|(_, wanted)| *wanted == state) {
            return;
        }
        self.number = self.number.saturating_add(1);
        self.wanted = Some((self.number, state));
    }

    /// What was said last: something that depends on it goes out once [`StateFile::durable`] has come so far.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How far it is durable.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Whether nothing waits for it.
    pub fn is_durable(&self) -> bool {
        self.durable >= self.number
    }

    /// A planted bug takes what was written for durable.
    pub fn pretend(&mut self) {
        self.durable = self.number;
    }

    /// The next thing to sync, if it is time for one.
    pub fn plan_sync<S: LogStore>(
        &mut self,
        store: &mut S,
        token: u64,
    ) -> Result<Option<Sync<S>>, QuorumError> {
        match (&mut self.step, &self.wanted) {
            (Step::Idle, Some((number, state))) if *number > self.durable => {
                let temporary = format!("{}{TEMPORARY_SUFFIX}", self.path);
                let failed = |error| QuorumError::Store(temporary.clone(), error);
                match store.remove(&temporary) {
                    Ok(()) | Err(StoreError::NotFound) => {}
                    Err(error) => return Err(failed(error)),
                }
                let file = store.create(&temporary).map_err(failed)?;
                store.append(&file, &[IoSlice::new(state.to_text().as_bytes())]).map_err(failed)?;
                self.step = Step::Syncing { token, number: *number };
                Ok(Some((vec![file], Vec::new())))
            }
            (Step::Renamed { token: waiting @ None, .. }, _) => {
                *waiting = Some(token);
                Ok(Some((Vec::new(), self.directories.clone())))
            }
            _ => Ok(None),
        }
    }

    /// A sync has ended well. True if it was this file's.
    pub fn synced<S: LogStore>(&mut self, store: &mut S, token: u64) -> Result<bool, QuorumError> {
        match self.step {
            Step::Syncing { token: waiting, number } if waiting == token => {
                let temporary = format!("{}{TEMPORARY_SUFFIX}", self.path);
                let renamed = store.rename(&temporary, &self.path);
                renamed.map_err(|error| QuorumError::Store(self.path.clone(), error))?;
                self.step = Step::Renamed { token: None, number };
                Ok(true)
            }
            Step::Renamed { token: Some(waiting), number } if waiting == token => {
                self.durable = self.durable.max(number);
                self.step = Step::Idle;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
