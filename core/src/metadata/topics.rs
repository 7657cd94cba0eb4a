//! Topics and their partitions.

use ottla_protocol::records::metadata::{PartitionChangeRecord, PartitionRecord};
use ottla_protocol::{Str, Uuid};
use rpds::RedBlackTreeMapSync;

/// In `PartitionChangeRecord.leader`: the leader stays.
pub const NO_LEADER_CHANGE: i32 = -2;
/// In `leader`: there is none.
pub const NO_LEADER: i32 = -1;
/// A replica not yet assigned to a log directory (KIP-858).
pub const DIRECTORY_UNASSIGNED: Uuid = reserved_directory(1);
/// A replica whose log directory is offline.
pub const DIRECTORY_LOST: Uuid = reserved_directory(2);
/// A replica from before log directories had ids.
pub const DIRECTORY_MIGRATING: Uuid = reserved_directory(0);

/// Whether an id can be no directory's own: the first hundred mean other things.
pub fn is_reserved_directory(id: Uuid) -> bool {
    id.as_u128() < 100
}

const fn reserved_directory(last: u8) -> Uuid {
    Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
}

/// A partition's state as the controller decided it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionRegistration {
    /// Brokers that hold it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// For each replica the log directory it is in.
    pub directories: Vec<Uuid>,
    /// In-sync replicas.
    pub isr: Vec<i32>,
    /// Replicas on their way out.
    pub removing_replicas: Vec<i32>,
    /// Replicas on their way in.
    pub adding_replicas: Vec<i32>,
    /// The leader, or −1.
    pub leader: i32,
    /// 0 recovered, 1 recovering from an unclean election (KIP-704).
    pub leader_recovery_state: i8,
    /// Grows with every leader.
    pub leader_epoch: i32,
    /// Grows with every change.
    pub partition_epoch: i32,
    /// Eligible leader replicas outside the ISR (KIP-966).
    pub elr: Vec<i32>,
    /// The last members of ISR and ELR that went.
    pub last_known_elr: Vec<i32>,
}

impl PartitionRegistration {
    /// As a record states it.
    pub fn from_record(record: &PartitionRecord) -> Self {
        Self {
            replicas: record.replicas.clone(),
            directories: default_to_migrating(record.directories.clone(), record.replicas.len()),
            isr: record.isr.clone(),
            removing_replicas: record.removing_replicas.clone(),
            adding_replicas: record.adding_replicas.clone(),
            leader: record.leader,
            leader_recovery_state: record.leader_recovery_state,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            elr: record.eligible_leader_replicas.clone().unwrap_or_default(),
            last_known_elr: record.last_known_elr.clone().unwrap_or_default(),
        }
    }

    /// The directory that a broker's replica is assigned to, if it is one of its own.
    pub fn directory_of(&self, broker: i32) -> Option<Uuid> {
        const RESERVED: [Uuid; 3] = [DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED, DIRECTORY_LOST];
        let at = self.replicas.iter().position(|replica| *replica == broker)?;
        self.directories.get(at).copied().filter(|directory| !RESERVED.contains(directory))
    }

    /// With the fields that a change names; every change raises the partition epoch, every named leader the leader epoch.
    pub fn merge(&self, change: &PartitionChangeRecord) -> Self {
        let list = |new: &Option<Vec<i32>>, old: &Vec<i32>| new.clone().unwrap_or_else(|| old.clone());
        let replicas = list(&change.replicas, &self.replicas);
        let directories = change.directories.clone().unwrap_or_else(|| self.directories.clone());
        let (leader, leader_epoch) = match change.leader {
            NO_LEADER_CHANGE => (self.leader, self.leader_epoch),
            leader => (leader, self.leader_epoch.saturating_add(1)),
        };
        Self {
            directories: default_to_migrating(directories, replicas.len()),
            replicas,
            isr: list(&change.isr, &self.isr),
            removing_replicas: list(&change.removing_replicas, &self.removing_replicas),
            adding_replicas: list(&change.adding_replicas, &self.adding_replicas),
            leader,
            leader_recovery_state: match change.leader_recovery_state {
                -1 => self.leader_recovery_state,
                state => state,
            },
            leader_epoch,
            partition_epoch: self.partition_epoch.saturating_add(1),
            elr: list(&change.eligible_leader_replicas, &self.elr),
            last_known_elr: list(&change.last_known_elr, &self.last_known_elr),
        }
    }

    /// Whether the preferred replica leads.
    pub fn has_preferred_leader(&self) -> bool {
        self.replicas.first() == Some(&self.leader)
    }

    /// Whether replicas are being moved (KIP-455).
    pub fn is_reassigning(&self) -> bool {
        !self.removing_replicas.is_empty() || !self.adding_replicas.is_empty()
    }

    /// The log directory of a replica.
    pub fn directory(&self, broker: i32) -> Option<Uuid> {
        let at = self.replicas.iter().position(|replica| *replica == broker)?;
        self.directories.get(at).copied()
    }
}

fn default_to_migrating(directories: Vec<Uuid>, replicas: usize) -> Vec<Uuid> {
    if directories.iter().all(|directory| *directory == DIRECTORY_MIGRATING) {
        vec![DIRECTORY_MIGRATING; replicas]
    } else {
        directories
    }
}

/// A topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicImage {
    /// Its name, which a later topic may take again.
    pub name: Str,
    /// Its id, which no other topic ever has.
    pub id: Uuid,
    /// Its partitions by index.
    pub partitions: RedBlackTreeMapSync<i32, PartitionRegistration>,
}

/// All topics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicsImage {
    /// Topics by id.
    pub by_id: RedBlackTreeMapSync<Uuid, TopicImage>,
    /// Ids by name.
    pub by_name: RedBlackTreeMapSync<Str, Uuid>,
}

impl TopicsImage {
    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<&TopicImage> {
        self.by_id.get(self.by_name.get(name)?)
    }
}
