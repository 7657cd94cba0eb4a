//! [`PartitionChange`]: what a partition shall be like, and the record that makes it so.
//!
//! Every change elects: a leader that can stay stays. With eligible leader replicas (KIP-966) the ISR may be empty; who left it
//! while it was smaller than `min.insync.replicas` has every committed record, and may lead after a clean stop. The last leader is
//! remembered in `last_known_elr` while there is none.

use std::collections::BTreeSet;

use ottla_protocol::Uuid;
use ottla_protocol::records::metadata::PartitionChangeRecord;

use super::cluster::{Candidates, Cluster, TopicRules};
use super::placement;
use crate::metadata::topics::{NO_LEADER, NO_LEADER_CHANGE};
use crate::metadata::{MetadataImage, PartitionRegistration};
use crate::tree::IntoTree as _;

/// In `leader_recovery_state`: the leader has all that was committed.
pub const RECOVERED: i8 = 0;
/// In `leader_recovery_state`: the leader was elected uncleanly and has not said yet that it is ready (KIP-704).
pub const RECOVERING: i8 = 1;

/// How a leader is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The preferred replica if it is in sync.
    Preferred,
    /// Any that is in sync; a leader that is stays.
    Online,
    /// The same, or else any that is alive.
    Unclean,
}

/// A change of one partition. The fields begin as the partition is.
#[derive(Clone, Debug)]
pub struct PartitionChange<'a> {
    image: &'a MetadataImage,
    before: &'a PartitionRegistration,
    min_isr: usize,
    candidates: Candidates<'a>,
    /// How a leader is looked for.
    pub election: Election,
    /// In-sync replicas.
    pub isr: Vec<i32>,
    /// All replicas, those on their way out at the end.
    pub replicas: Vec<i32>,
    /// On their way out.
    pub removing: Vec<i32>,
    /// On their way in.
    pub adding: Vec<i32>,
    /// See [`RECOVERING`].
    pub leader_recovery_state: i8,
    /// A broker that may have lost records since it was in sync.
    pub lossy: Option<i32>,
    /// The directory that a broker has put its replica into.
    pub directory: Option<(i32, Uuid)>,
}

impl<'a> PartitionChange<'a> {
    /// No change yet.
    pub fn new(
        cluster: Cluster<'a>,
        rules: TopicRules,
        before: &'a PartitionRegistration,
        candidates: Candidates<'a>,
    ) -> Self {
        Self {
            image: cluster.image,
            before,
            min_isr: rules.min_isr,
            candidates,
            election: Election::Online,
            isr: before.isr.clone(),
            replicas: before.replicas.clone(),
            removing: before.removing_replicas.clone(),
            adding: before.adding_replicas.clone(),
            leader_recovery_state: before.leader_recovery_state,
            lossy: None,
            directory: None,
        }
    }

    /// The record, or `None` if nothing changes.
    pub fn build(mut self, topic_id: Uuid, partition_id: i32) -> Option<PartitionChangeRecord> {
        let (before, version) = (self.before, self.image.features.metadata_version());
        let has_elr = self.image.features.has_eligible_leader_replicas();
        self.complete_reassignment();
        let unchanged = PartitionChangeRecord { partition_id, topic_id, ..PartitionChangeRecord::default() };
        let mut record = unchanged.clone();
        let mut elr = if has_elr { self.eligible() } else { before.elr.clone() };
        let (leader, is_unclean) = self.elect(&elr, has_elr);
        if leader != before.leader {
            record.leader = leader;
            if elr.contains(&leader) {
                self.isr = vec![leader];
                elr.retain(|replica| *replica != leader);
            }
            if is_unclean {
                self.isr = vec![leader];
                record.isr = Some(self.isr.clone());
                if before.leader_recovery_state != RECOVERING {
                    record.leader_recovery_state = RECOVERING;
                }
            }
        }
        if record.leader == NO_LEADER_CHANGE && !contains_all(&self.replicas, &before.replicas) {
            record.leader = before.leader;
        }
        if record.isr.is_some() || !has_elr {
            elr.clear();
        }
        if sorted(&elr) != sorted(&before.elr) {
            record.eligible_leader_replicas = Some(elr);
        }
        // Without a list of eligible replicas the last one in sync stays in the ISR, for it to lead again.
        if record.isr.is_none() && (has_elr || !self.isr.is_empty()) && self.isr != before.isr {
            record.isr = Some(self.isr.clone());
        }
        if version.bumps_leader_epoch_on_isr_shrink()
            && record.leader == NO_LEADER_CHANGE
            && record.isr.as_ref().is_some_and(|isr| !contains_all(isr, &before.isr))
        {
            record.leader = before.leader;
        }
        if has_elr {
            record.last_known_elr = self.last_known_leader(record.leader);
        }
        if version.has_directories() {
            let directories = self.directories(partition_id);
            record.directories = (directories != before.directories).then_some(directories);
        }
        let changed = |now: &Vec<i32>, before: &Vec<i32>| (now != before).then(|| now.clone());
        record.replicas = changed(&self.replicas, &before.replicas);
        record.removing_replicas = changed(&self.removing, &before.removing_replicas);
        record.adding_replicas = changed(&self.adding, &before.adding_replicas);
        if self.leader_recovery_state != before.leader_recovery_state {
            record.leader_recovery_state = self.leader_recovery_state;
        }
        (record != unchanged).then_some(record)
    }

    /// A reassignment ends once all that it adds is in sync; one that adds less than it removes waits for every replica that stays.
    fn complete_reassignment(&mut self) {
        if self.removing.is_empty() && self.adding.is_empty() {
            return;
        }
        let staying = |list: &[i32]| -> Vec<i32> {
            list.iter().copied().filter(|replica| !self.removing.contains(replica)).collect()
        };
        let (isr, replicas) = (staying(&self.isr), staying(&self.replicas));
        let is_stranded = !self.removing.is_empty() && (isr.is_empty() || replicas.is_empty());
        let is_waiting = !contains_all(&isr, &self.adding)
            || self.adding.len() < self.removing.len() && !contains_all(&isr, &replicas);
        if is_stranded || is_waiting {
            return;
        }
        (self.isr, self.replicas) = (isr, replicas);
        self.removing.clear();
        self.adding.clear();
    }

    /// Who left the ISR with every committed record, and has not come back to it.
    fn eligible(&self) -> Vec<i32> {
        if self.isr.len() >= self.min_isr {
            return Vec::new();
        }
        let ever: BTreeSet<i32> = self.before.elr.iter().chain(&self.before.isr).copied().into_set();
        ever.into_iter()
            .filter(|replica| !self.isr.contains(replica) && self.lossy != Some(*replica))
            .collect()
    }

    /// The leader, and whether it may lack what was committed.
    fn elect(&self, elr: &[i32], has_elr: bool) -> (i32, bool) {
        let is_valid = |replica: &i32| {
            let is_in_sync = self.isr.contains(replica) || self.isr.is_empty() && elr.contains(replica);
            is_in_sync && self.is_alive(replica)
        };
        let preferred = self.replicas.first().filter(|_| self.election == Election::Preferred);
        let clean = preferred
            .filter(|replica| is_valid(replica))
            .or_else(|| Some(&self.before.leader).filter(|leader| is_valid(leader)))
            .or_else(|| self.replicas.iter().find(|replica| is_valid(replica)));
        if let Some(leader) = clean {
            return (*leader, false);
        }
        let last_known = match self.before.last_known_elr[..] {
            [leader] if has_elr && elr.is_empty() && self.isr.is_empty() => Some(leader),
            _ => None,
        };
        let anybody = || self.replicas.iter().copied().find(|replica| self.is_alive(replica));
        let unclean = last_known
            .filter(|leader| self.is_alive(leader))
            .or_else(|| if self.election == Election::Unclean { anybody() } else { None });
        unclean.map_or((NO_LEADER, false), |leader| (leader, true))
    }

    fn is_alive(&self, replica: &i32) -> bool {
        self.candidates.accepts(self.before, *replica)
    }

    /// The change of `last_known_elr` that goes with `leader` in the record: remembered when it goes, forgotten when there is another.
    fn last_known_leader(&self, leader: i32) -> Option<Vec<i32>> {
        let before = self.before;
        match leader {
            NO_LEADER if before.last_known_elr.is_empty() && before.leader >= 0 => Some(vec![before.leader]),
            0.. if !before.last_known_elr.is_empty() => Some(Vec::new()),
            _ => None,
        }
    }

    fn directories(&self, partition_id: i32) -> Vec<Uuid> {
        let directory = |replica: &i32| {
            let moved =
                self.directory.filter(|(broker, _)| broker == replica).map(|(_, directory)| directory);
            moved
                .or_else(|| self.before.directory(*replica))
                .unwrap_or_else(|| placement::directory(self.image, *replica, partition_id))
        };
        self.replicas.iter().map(directory).collect()
    }
}

fn contains_all(list: &[i32], wanted: &[i32]) -> bool {
    wanted.iter().all(|replica| list.contains(replica))
}

fn sorted(list: &[i32]) -> Vec<i32> {
    let mut list = list.to_vec();
    list.sort_unstable();
    list
}
