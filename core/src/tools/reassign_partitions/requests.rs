//! What is asked for.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::Str;
use ottla_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use ottla_protocol::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use ottla_protocol::messages::list_partition_reassignments_request::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};

use super::ReassignPartitions;
use super::options::{Action, Execution};
use crate::client::Destination;
use crate::time::Instant;
use crate::tools::admin::Admin;

/// How long the controller may take, in ms.
const TIMEOUT_MS: i32 = 60_000;

/// By topic.
pub fn by_topic<'p>(places: impl IntoIterator<Item = (&'p Str, i32)>) -> BTreeMap<Str, Vec<i32>> {
    let mut topics: BTreeMap<Str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in places {
        topics.entry(topic.clone()).or_default().push(partition);
    }
    topics
}

impl ReassignPartitions {
    pub(super) fn ask_reassignments(&self, now: Instant, admin: &mut Admin) {
        let listed = match &self.action {
            Action::Cancel { plan, .. } => Some(&plan.partitions),
            _ => None,
        };
        let topics = listed.map(|partitions| {
            let topics = by_topic(partitions.iter().map(|((topic, partition), _)| (topic, *partition)));
            let topics = topics.into_iter();
            topics
                .map(|(name, partition_indexes)| ListPartitionReassignmentsTopics { name, partition_indexes })
                .collect()
        });
        let request = ListPartitionReassignmentsRequest { timeout_ms: TIMEOUT_MS, topics };
        admin.ask(now, &admin.anyone(), (0, 0), request);
    }

    /// Those who are asked for the directories of their replicas.
    pub(super) fn holders(&self, admin: &Admin) -> Vec<i32> {
        let holders: BTreeSet<i32> = self.replicas().iter().map(|(broker, ..)| *broker).collect();
        admin.brokers().into_iter().filter(|broker| holders.contains(broker)).collect()
    }

    pub(super) fn ask_directories(&self, now: Instant, admin: &mut Admin) {
        let replicas = self.replicas();
        for broker in self.holders(admin) {
            let of_broker = replicas.iter().filter(|replica| replica.0 == broker);
            let topics = by_topic(of_broker.map(|(_, topic, partition)| (topic, *partition)));
            let topics = topics.into_iter();
            let topics = topics.map(|(topic, partitions)| DescribableLogDirTopic { topic, partitions });
            let request = DescribeLogDirsRequest { topics: Some(topics.collect()) };
            admin.ask(now, &Destination::Node(broker), (1, 5), request);
        }
    }

    pub(super) fn ask_changes(&self, now: Instant, admin: &mut Admin) {
        let keeps_factor =
            matches!(&self.action, Action::Execute(Execution { keeps_replication_factor: true, .. }));
        let mut topics: Vec<ReassignableTopic> = Vec::new();
        for ((name, partition_index), replicas) in self.changes() {
            let partition = ReassignablePartition { partition_index, replicas };
            match topics.last_mut().filter(|last| last.name == name) {
                Some(last) => last.partitions.push(partition),
                None => topics.push(ReassignableTopic { name, partitions: vec![partition] }),
            }
        }
        let request = AlterPartitionReassignmentsRequest {
            timeout_ms: TIMEOUT_MS,
            allow_replication_factor_change: !keeps_factor,
            topics,
        };
        admin.ask(now, &admin.anyone(), (i16::from(keeps_factor), 1), request);
    }

    pub(super) fn movers(&self) -> BTreeSet<i32> {
        self.moving.keys().map(|(broker, ..)| *broker).collect()
    }

    pub(super) fn ask_moves(&mut self, now: Instant, admin: &mut Admin) {
        let timeout_ms = match &self.action {
            Action::Execute(Execution { timeout_ms, .. }) | Action::Cancel { timeout_ms, .. } => *timeout_ms,
            _ => 0,
        };
        self.give_up.get_or_insert(now.plus_ms(timeout_ms));
        for broker in self.movers() {
            let mut dirs: BTreeMap<&Str, Vec<(&Str, i32)>> = BTreeMap::new();
            for ((_, topic, partition), path) in self.moving.iter().filter(|((id, ..), _)| *id == broker) {
                dirs.entry(path).or_default().push((topic, *partition));
            }
            let dirs = dirs.into_iter().map(|(path, places)| {
                let topics = by_topic(places).into_iter();
                let topics = topics.map(|(name, partitions)| AlterReplicaLogDirTopic { name, partitions });
                AlterReplicaLogDir { path: path.clone(), topics: topics.collect() }
            });
            let request = AlterReplicaLogDirsRequest { dirs: dirs.collect() };
            admin.ask(now, &Destination::Node(broker), (0, 2), request);
        }
    }
}
