//! A replica with its disk, its clock and the state machine above it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::{ApiKey, Uuid};

use super::ledger::Ledger;
use crate::quorum::raft::{Quorum, QuorumConfig, ReplicaKey, RequestId};
use crate::sim::SimDisk;
use crate::time::{Instant, Now};

/// Where the replicas keep their logs.
pub const ROOT: &str = "./data";

/// Who waits for an answer.
#[derive(Clone, Copy, Debug)]
pub enum Asker {
    /// Another replica, in this life of it.
    Replica {
        id: i32,
        life: u64,
        correlation: u64,
        api_key: ApiKey,
        version: i16,
        /// The vote that it asks for: who it is, and in which epoch.
        vote: Option<(ReplicaKey, i32)>,
    },
    /// The administrator.
    Admin,
}

/// A clock that is off, and runs too fast or too slow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Of a million microseconds it counts so many more or fewer.
    pub drift_ppm: i64,
    /// ms that the wall clock is off.
    pub wall_off_ms: i64,
}

impl Clock {
    /// What it shows.
    pub fn now(&self, world_us: u64) -> Now {
        let wall = i64::try_from(world_us / 1_000).unwrap_or(0) + 1_700_000_000_000 + self.wall_off_ms;
        Now { monotonic: Instant(self.scale(world_us)), wall }
    }

    fn rate(&self) -> u128 {
        u128::try_from(1_000_000 + self.drift_ppm).unwrap_or(1_000_000)
    }

    fn scale(&self, world_us: u64) -> u64 {
        u64::try_from(u128::from(world_us) * self.rate() / 1_000_000).unwrap_or(u64::MAX)
    }

    /// When it shows this, or more.
    pub fn world_us(&self, instant: Instant) -> u64 {
        let world = (u128::from(instant.0) * 1_000_000).div_ceil(self.rate());
        u64::try_from(world).unwrap_or(u64::MAX)
    }
}

/// A replica.
#[derive(Clone, Debug)]
pub struct Node {
    /// `node.id`
    pub id: i32,
    /// Of the directory that its log is in.
    pub directory_id: Uuid,
    /// What it acts on when it starts.
    pub config: Arc<QuorumConfig>,
    /// Its disk.
    pub disk: SimDisk,
    /// `None` while it is down.
    pub quorum: Option<Quorum<SimDisk>>,
    /// Counts its starts.
    pub life: u64,
    /// Its clock.
    pub clock: Clock,
    /// Nothing happens to it until then, µs.
    pub paused_until_us: u64,
    /// It does not know the newest versions of the APIs.
    pub is_old: bool,
    /// What it has applied.
    pub ledger: Ledger,
    /// Who waits for its answers.
    pub askers: BTreeMap<RequestId, Asker>,
    /// When it will be woken, µs, and the number of the event that does.
    pub wake: Option<(u64, u64)>,
    /// It has said that it cannot go on.
    pub failure: Option<String>,
}

impl Node {
    /// Its key.
    pub fn key(&self) -> ReplicaKey {
        ReplicaKey { id: self.id, directory_id: self.directory_id }
    }

    /// The newest version of an API that it knows.
    pub fn newest_version(&self, api_key: ApiKey) -> i16 {
        let is_versioned = self.config.static_voters.is_empty();
        let newest = crate::quorum::raft::rpc::VERSIONS.iter().find(|(key, ..)| *key == api_key);
        let newest = newest.map_or(0, |(_, _, newest)| *newest);
        match api_key {
            // Before pre-votes, and where voters have no directories, before they are named by a key.
            ApiKey::Vote if self.is_old => i16::from(is_versioned),
            ApiKey::BeginQuorumEpoch | ApiKey::EndQuorumEpoch | ApiKey::FetchSnapshot if self.is_old => {
                i16::from(is_versioned)
            }
            ApiKey::Fetch if self.is_old => {
                if is_versioned {
                    17
                } else {
                    12
                }
            }
            _ => newest,
        }
    }
}
