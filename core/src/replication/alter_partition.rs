//! AlterPartition: what leaders propose of their in-sync replicas, brought to the controller (KIP-497, 841, 903).

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::AlterPartitionResponse;
use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState, PartitionData, TopicData,
};

use crate::ids::TopicIdPartition;
use crate::tree::IntoTree as _;

/// The version of the requests: the first in which members of the ISR have epochs (KIP-903).
pub const ALTER_PARTITION_VERSION: i16 = 3;

/// What a leader asks the controller for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    /// Of which partition.
    pub partition: TopicIdPartition,
    /// The epoch that it leads in.
    pub leader_epoch: i32,
    /// The partition's epoch that this would change.
    pub partition_epoch: i32,
    /// Brokers that are to be in sync, with their epochs (−1 when they did not say).
    pub isr: Vec<(i32, i64)>,
}

/// What the controller made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlteredIsr {
    /// The leader epoch after it.
    pub leader_epoch: i32,
    /// The partition's epoch after it.
    pub partition_epoch: i32,
    /// The in-sync replicas.
    pub isr: Vec<i32>,
}

/// The answer to a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrAnswer {
    /// Of which partition.
    pub partition: TopicIdPartition,
    /// The partition's epoch in the proposal.
    pub partition_epoch: i32,
    /// What became of it.
    pub outcome: Result<AlteredIsr, ErrorCode>,
}

/// The proposals of all shards of a broker, of which one request at a time goes to the controller.
#[derive(Clone, Debug, Default)]
pub struct AlterPartitions {
    /// The newest of each partition.
    waiting: BTreeMap<TopicIdPartition, IsrProposal>,
    in_flight: Vec<IsrProposal>,
}

impl AlterPartitions {
    /// Takes a proposal, which replaces one of the same partition that has not been sent.
    pub fn add(&mut self, proposal: IsrProposal) {
        self.waiting.insert(proposal.partition, proposal);
    }

    /// Whether a request has to be sent, and may be.
    pub fn is_due(&self) -> bool {
        self.in_flight.is_empty() && !self.waiting.is_empty()
    }

    /// Everything that waits, as one request of version [`ALTER_PARTITION_VERSION`]; `None` while one is on its way.
    pub fn next_request(&mut self, broker_id: i32, broker_epoch: i64) -> Option<AlterPartitionRequest> {
        if !self.is_due() {
            return None;
        }
        self.in_flight = std::mem::take(&mut self.waiting).into_values().collect();
        let mut topics: Vec<TopicData> = Vec::new();
        for proposal in &self.in_flight {
            let topic_id = proposal.partition.topic_id;
            let member = |&(broker_id, broker_epoch): &(i32, i64)| BrokerState { broker_id, broker_epoch };
            let partition = PartitionData {
                partition_index: proposal.partition.partition,
                leader_epoch: proposal.leader_epoch,
                new_isr_with_epochs: proposal.isr.iter().map(member).collect(),
                leader_recovery_state: 0,
                partition_epoch: proposal.partition_epoch,
                ..PartitionData::default()
            };
            match topics.last_mut() {
                Some(last) if last.topic_id == topic_id => last.partitions.push(partition),
                _ => topics.push(TopicData { topic_id, partitions: vec![partition] }),
            }
        }
        Some(AlterPartitionRequest { broker_id, broker_epoch, topics })
    }

    /// The controller's answer, or `None` when there is none. What it does not settle waits again: it was refused as a whole, went to somebody
    /// who is not the controller, or got lost.
    pub fn answered(&mut self, response: Option<&AlterPartitionResponse>) -> Vec<IsrAnswer> {
        let mut asked: BTreeMap<TopicIdPartition, IsrProposal> = std::mem::take(&mut self.in_flight)
            .into_iter()
            .map(|proposal| (proposal.partition, proposal))
            .into_map();
        let mut answers = Vec::new();
        let settled = response.filter(|response| response.error_code == ErrorCode::None.code());
        for topic in settled.into_iter().flat_map(|response| &response.topics) {
            for partition in &topic.partitions {
                let id = TopicIdPartition { topic_id: topic.topic_id, partition: partition.partition_index };
                let Some(proposal) = asked.remove(&id) else { continue };
                let error = ErrorCode::from_code(partition.error_code);
                let outcome = match error.unwrap_or(ErrorCode::UnknownServerError) {
                    ErrorCode::None => Ok(AlteredIsr {
                        leader_epoch: partition.leader_epoch,
                        partition_epoch: partition.partition_epoch,
                        isr: partition.isr.clone(),
                    }),
                    error => Err(error),
                };
                let partition_epoch = proposal.partition_epoch;
                answers.push(IsrAnswer { partition: id, partition_epoch, outcome });
            }
        }
        for (id, proposal) in asked {
            self.waiting.entry(id).or_insert(proposal);
        }
        answers
    }
}
