//! What the controller is asked, and what it answers.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse, CreatePartitionsRequest, CreatePartitionsResponse,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeQuorumRequest, DescribeQuorumResponse, ElectLeadersRequest, ElectLeadersResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

use crate::broker::RequestContext;
use crate::coordinator::Token;
use crate::machine::SyncOutcome;

/// What can happen to the controller.
#[derive(Clone, Debug)]
pub enum ControllerEvent {
    /// Somebody asks.
    Request {
        /// To be answered under.
        token: Token,
        /// Who asks.
        context: RequestContext,
        /// What.
        request: ControllerRequest,
    },
    /// A sync of the metadata log ended.
    Synced {
        /// The one it was asked for under.
        token: u64,
        /// How.
        outcome: SyncOutcome,
    },
    /// A deadline passed.
    Tick,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub enum ControllerRequest {
    /// Also from brokers on behalf of clients, where topics are created on demand.
    CreateTopics(CreateTopicsRequest),
    /// By name or id.
    DeleteTopics(DeleteTopicsRequest),
    /// More partitions for a topic.
    CreatePartitions(CreatePartitionsRequest),
    /// Single keys (KIP-339).
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest),
    /// All keys of a resource.
    AlterConfigs(AlterConfigsRequest),
    /// Finalized features (KIP-584).
    UpdateFeatures(UpdateFeaturesRequest),
    /// Preferred or unclean elections (KIP-460).
    ElectLeaders(ElectLeadersRequest),
    /// Other replicas for a partition (KIP-455).
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest),
    /// Reassignments under way.
    ListPartitionReassignments(ListPartitionReassignmentsRequest),
    /// The metadata quorum (KIP-595).
    DescribeQuorum(DescribeQuorumRequest),
    /// A producer id that nobody has: what InitProducerId answers.
    NextProducerId,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ControllerResponse {
    /// To [`ControllerRequest::CreateTopics`].
    CreateTopics(CreateTopicsResponse),
    /// To [`ControllerRequest::DeleteTopics`].
    DeleteTopics(DeleteTopicsResponse),
    /// To [`ControllerRequest::CreatePartitions`].
    CreatePartitions(CreatePartitionsResponse),
    /// To [`ControllerRequest::IncrementalAlterConfigs`].
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse),
    /// To [`ControllerRequest::AlterConfigs`].
    AlterConfigs(AlterConfigsResponse),
    /// To [`ControllerRequest::UpdateFeatures`].
    UpdateFeatures(UpdateFeaturesResponse),
    /// To [`ControllerRequest::ElectLeaders`].
    ElectLeaders(ElectLeadersResponse),
    /// To [`ControllerRequest::AlterPartitionReassignments`].
    AlterPartitionReassignments(AlterPartitionReassignmentsResponse),
    /// To [`ControllerRequest::ListPartitionReassignments`].
    ListPartitionReassignments(ListPartitionReassignmentsResponse),
    /// To [`ControllerRequest::DescribeQuorum`].
    DescribeQuorum(DescribeQuorumResponse),
    /// To [`ControllerRequest::NextProducerId`].
    NextProducerId(i64),
    /// To any: nothing was done, because the metadata log failed.
    Failed(ErrorCode),
}
