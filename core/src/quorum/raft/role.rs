//! What a replica is at the moment. Whether it votes is a question of the voters, not of the role: an observer is one that does not.

use super::leader::Leader;
use super::voters::{ReplicaKey, VoterSet, majority};
use crate::quorum::control::Endpoints;
use crate::small_map::SmallSet;
use crate::time::Instant;

/// The role, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoleName {
    /// Knows no leader that it could follow.
    Unattached,
    /// Asks whether it would be elected.
    Prospective,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
    /// Follows.
    Follower,
    /// Led in this epoch, and does no longer.
    Resigned,
}

#[derive(Clone, Debug)]
pub(super) enum Role {
    Unattached(Unattached),
    Prospective(Prospective),
    Candidate(Candidate),
    Leader(Box<Leader>),
    Follower(Follower),
    Resigned(Resigned),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Unattached {
    /// Known by id only.
    pub leader_id: Option<i32>,
    /// When to ask for votes.
    pub election_at: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Prospective {
    /// The leader it followed, to be followed again if the others still do.
    pub leader: Option<(i32, Endpoints)>,
    pub election: Election,
    pub timeout_at: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub election: Election,
    pub timeout_at: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Follower {
    pub leader_id: i32,
    pub endpoints: Endpoints,
    /// When it gives the leader up.
    pub fetch_timeout_at: Instant,
    /// It has heard from the leader itself.
    pub has_fetched: bool,
    /// How often the connection to it has failed since.
    pub refusals: u8,
    /// Its process is gone: when it is this voter's turn to stand for election.
    pub stands_at: Option<Instant>,
    /// It has told the leader about itself, which is asked for where the log does not say it (before `kraft.version` 1).
    pub has_told: bool,
    /// When to see whether what the voters know of it is still right.
    pub update_voter_at: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Resigned {
    /// Who has not heard of it.
    pub unacknowledged: SmallSet<i32>,
    /// Who had best come next.
    pub preferred: Vec<ReplicaKey>,
    pub timeout_at: Instant,
}

/// Votes as they come in.
#[derive(Clone, Debug)]
pub(super) struct Election {
    voters: Vec<i32>,
    granted: SmallSet<i32>,
    rejected: SmallSet<i32>,
}

impl Election {
    /// One in which the candidate has its own vote.
    pub fn new(voters: &VoterSet, own: i32) -> Self {
        Self { voters: voters.ids(), granted: SmallSet::from([own]), rejected: SmallSet::new() }
    }

    pub fn record(&mut self, voter: i32, granted: bool) {
        if self.voters.contains(&voter) {
            let (into, from) = match granted {
                true => (&mut self.granted, &mut self.rejected),
                false => (&mut self.rejected, &mut self.granted),
            };
            into.insert(voter);
            from.remove(&voter);
        }
    }

    pub fn is_granted(&self) -> bool {
        self.granted.len() >= majority(self.voters.len())
    }

    /// It can no longer be won.
    pub fn is_rejected(&self) -> bool {
        self.voters.len().saturating_sub(self.rejected.len()) < majority(self.voters.len())
    }

    pub fn granting(&self) -> Vec<i32> {
        self.granted.iter().copied().collect()
    }

    pub fn unrecorded(&self) -> Vec<i32> {
        let is_open = |voter: &&i32| !self.granted.contains(voter) && !self.rejected.contains(voter);
        self.voters.iter().filter(is_open).copied().collect()
    }
}

impl Default for Role {
    fn default() -> Self {
        Self::Unattached(Unattached::default())
    }
}

impl Role {
    pub fn name(&self) -> RoleName {
        match self {
            Self::Unattached(_) => RoleName::Unattached,
            Self::Prospective(_) => RoleName::Prospective,
            Self::Candidate(_) => RoleName::Candidate,
            Self::Leader(_) => RoleName::Leader,
            Self::Follower(_) => RoleName::Follower,
            Self::Resigned(_) => RoleName::Resigned,
        }
    }

    pub fn leader_id(&self, own: i32) -> Option<i32> {
        match self {
            Self::Unattached(role) => role.leader_id,
            Self::Prospective(role) => role.leader.as_ref().map(|(id, _)| *id),
            Self::Candidate(_) => None,
            Self::Follower(role) => Some(role.leader_id),
            Self::Leader(_) | Self::Resigned(_) => Some(own),
        }
    }

    pub fn leader_endpoints(&self) -> Option<&Endpoints> {
        match self {
            Self::Prospective(role) => role.leader.as_ref().map(|(_, endpoints)| endpoints),
            Self::Follower(role) => Some(&role.endpoints),
            Self::Unattached(_) | Self::Candidate(_) | Self::Leader(_) | Self::Resigned(_) => None,
        }
    }
}
