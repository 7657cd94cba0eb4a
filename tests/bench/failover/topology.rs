//! Who leads what in a cluster, and having it otherwise.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use ottla_protocol::Request;
use ottla_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use ottla_protocol::messages::elect_leaders_request::TopicPartitions;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::metadata_response::MetadataResponsePartition;
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, DescribeQuorumRequest, ElectLeadersRequest, MetadataRequest,
};
use ottla_tests::load::Client;

/// How long a cluster may take for anything.
const PATIENCE: Duration = Duration::from_secs(90);
const NODES: [i32; 3] = [1, 2, 3];

/// Asks whoever answers.
#[derive(Debug)]
pub struct Topology {
    clients: Vec<Client>,
}

/// Tries until there is something.
pub fn wait<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

impl Topology {
    pub fn new(brokers: Vec<SocketAddr>) -> Self {
        Self { clients: brokers.into_iter().map(Client::new).collect() }
    }

    fn ask<R: Request>(&mut self, request: &R, version: i16) -> Option<R::Response> {
        self.clients.iter_mut().find_map(|client| client.ask(request, version).ok())
    }

    /// Who leads the metadata quorum.
    pub fn controller(&mut self) -> i32 {
        let partitions = vec![PartitionData { partition_index: 0 }];
        let topic = TopicData { topic_name: "__cluster_metadata".into(), partitions };
        let request = DescribeQuorumRequest { topics: vec![topic] };
        wait("active controller", || {
            self.clients.iter_mut().find_map(|client| {
                let answer = client.ask(&request, 1).ok()?;
                let partition = answer.topics.first()?.partitions.first()?;
                let is_known = partition.error_code == 0 && NODES.contains(&partition.leader_id);
                is_known.then_some(partition.leader_id)
            })
        })
    }

    fn partitions(&mut self, topic: &str) -> Option<Vec<MetadataResponsePartition>> {
        let topic = MetadataRequestTopic { name: Some(topic.into()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        let mut found = self.ask(&request, 9)?.topics.pop()?;
        found.partitions.sort_by_key(|partition| partition.partition_index);
        (found.error_code == 0 && !found.partitions.is_empty()).then_some(found.partitions)
    }

    /// Waits until every replica of a topic is in sync, in the eyes of every broker.
    pub fn until_whole(&mut self, topic: &str) {
        for client in 0..self.clients.len() {
            wait("replicas in sync", || {
                self.clients.rotate_left(client);
                let partitions = self.partitions(topic);
                self.clients.rotate_right(client);
                let is_whole = |one: &MetadataResponsePartition| one.isr_nodes.len() == NODES.len();
                partitions?.iter().all(is_whole).then_some(())
            });
        }
    }

    /// Waits until another node leads the first partition of a topic.
    pub fn until_led_by_another(&mut self, topic: &str, node: i32) {
        wait("other leader", || {
            let leader = self.partitions(topic)?[0].leader_id;
            (NODES.contains(&leader) && leader != node).then_some(())
        });
    }

    /// Has a node lead a partition.
    pub fn lead(&mut self, topic: &str, partition: i32, node: i32) {
        let at = usize::try_from(partition).expect("a partition");
        let is_leader = |found: &Option<Vec<MetadataResponsePartition>>| {
            found.as_ref().is_some_and(|found| found[at].leader_id == node)
        };
        if is_leader(&self.partitions(topic)) {
            return;
        }
        self.until_whole(topic);
        let replicas = [node].into_iter().chain(NODES.into_iter().filter(|other| *other != node)).collect();
        let reassigned = ReassignablePartition { partition_index: partition, replicas: Some(replicas) };
        let reassigned = ReassignableTopic { name: topic.into(), partitions: vec![reassigned] };
        let reassign = AlterPartitionReassignmentsRequest {
            timeout_ms: 10_000,
            topics: vec![reassigned],
            ..Default::default()
        };
        let elected = TopicPartitions { topic: topic.into(), partitions: vec![partition] };
        let elect = ElectLeadersRequest {
            election_type: 0,
            topic_partitions: Some(vec![elected]),
            timeout_ms: 10_000,
        };
        wait("leader that was asked for", || {
            _ = self.ask(&reassign, 0);
            _ = self.ask(&elect, 2);
            thread::sleep(Duration::from_millis(100));
            is_leader(&self.partitions(topic)).then_some(())
        });
    }
}
