//! What the controller is asked, and what it answers.

use std::collections::BTreeSet;

use ottla_protocol::messages::alter_partition_reassignments_request::ReassignableTopic;
use ottla_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use ottla_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use ottla_protocol::messages::create_acls_response::AclCreationResult;
use ottla_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use ottla_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::create_topics_response::CreatableTopicResult;
use ottla_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use ottla_protocol::messages::delete_topics_response::DeletableTopicResult;
use ottla_protocol::messages::elect_leaders_request::TopicPartitions;
use ottla_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, AlterClientQuotasRequest,
    AlterClientQuotasResponse, AlterConfigsRequest, AlterConfigsResponse, AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse, AlterPartitionRequest, AlterPartitionResponse,
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, AssignReplicasToDirsRequest,
    AssignReplicasToDirsResponse, BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest,
    BrokerRegistrationResponse, ControllerRegistrationRequest, ControllerRegistrationResponse,
    CreateAclsRequest, CreateAclsResponse, CreateDelegationTokenRequest, CreateDelegationTokenResponse,
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteAclsRequest, DeleteAclsResponse, DeleteTopicsRequest, DeleteTopicsResponse, ElectLeadersRequest,
    ElectLeadersResponse, ExpireDelegationTokenRequest, ExpireDelegationTokenResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse, RenewDelegationTokenRequest, RenewDelegationTokenResponse,
    UnregisterBrokerRequest, UnregisterBrokerResponse, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use ottla_protocol::messages::{
    alter_client_quotas_request, alter_client_quotas_response, alter_configs_request, alter_configs_response,
    incremental_alter_configs_request, incremental_alter_configs_response,
};
use ottla_protocol::{ErrorCode, Str, Uuid};

use crate::broker::RequestContext;
use crate::coordinator::Token;
use crate::ids::ConnectionId;
use crate::machine::SyncOutcome;
use crate::network::LinkEvent;
use crate::quorum::raft::rpc;
use crate::tree::IntoTree as _;

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
        /// In which version a client asked it: whoever it is passed on to is to answer that.
        version: Option<i16>,
    },
    /// Another replica, or somebody who asks about the quorum.
    Quorum {
        /// To be answered under.
        token: Token,
        /// Of the API.
        version: i16,
        /// What.
        request: rpc::Request,
        /// It was asked of the broker, which passes it on to the active controller.
        is_of_broker: bool,
    },
    /// Something happened to a link to another replica.
    Link(LinkEvent),
    /// A sync of the metadata log ended.
    Synced {
        /// The one it was asked for under.
        token: u64,
        /// How.
        outcome: SyncOutcome,
    },
    /// A connection to this node is gone.
    ConnectionClosed(ConnectionId),
    /// A broker that this one copies from has closed the link.
    Lost(i32),
    /// The node is to stop: a leader hands over.
    Stop,
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
    /// A producer id that nobody has: what InitProducerId answers.
    NextProducerId,
    /// A broker wants to take part (KIP-631).
    BrokerRegistration(BrokerRegistrationRequest),
    /// A broker is alive.
    BrokerHeartbeat(BrokerHeartbeatRequest),
    /// Another controller is there (KIP-919).
    ControllerRegistration(ControllerRegistrationRequest),
    /// A leader changes its ISR (KIP-497).
    AlterPartition(AlterPartitionRequest),
    /// A block of producer ids for a broker (KIP-730).
    AllocateProducerIds(AllocateProducerIdsRequest),
    /// A broker is gone for good.
    UnregisterBroker(UnregisterBrokerRequest),
    /// Where a broker's replicas are (KIP-858).
    AssignReplicasToDirs(AssignReplicasToDirsRequest),
    /// Limits of clients (KIP-546).
    AlterClientQuotas(AlterClientQuotasRequest),
    /// Access control entries.
    CreateAcls(CreateAclsRequest),
    /// By filter.
    DeleteAcls(DeleteAclsRequest),
    /// What servers need to know of passwords (KIP-554).
    AlterUserScramCredentials(AlterUserScramCredentialsRequest),
    /// A token, by the principal that asks (KIP-48).
    CreateDelegationToken(Str, CreateDelegationTokenRequest),
    /// Another end for it.
    RenewDelegationToken(Str, RenewDelegationTokenRequest),
    /// The same, or its end at once.
    ExpireDelegationToken(Str, ExpireDelegationTokenRequest),
}

impl ControllerRequest {
    /// Whether it may take no time at all, and asks for something: Kafka's controller looks at the clock of these.
    pub fn is_late(&self) -> bool {
        let (timeout_ms, asks) = match self {
            Self::CreateTopics(request) => (request.timeout_ms, !request.topics.is_empty()),
            Self::DeleteTopics(request) => {
                (request.timeout_ms, !(request.topics.is_empty() && request.topic_names.is_empty()))
            }
            Self::CreatePartitions(request) => (request.timeout_ms, !request.topics.is_empty()),
            Self::ElectLeaders(request) => (
                request.timeout_ms,
                request.topic_partitions.as_ref().is_none_or(|topics| !topics.is_empty()),
            ),
            Self::AlterPartitionReassignments(request) => (request.timeout_ms, !request.topics.is_empty()),
            _ => return false,
        };
        timeout_ms <= 0 && asks
    }

    /// Whether what is too much for a client is refused (KIP-599); earlier versions have it wait.
    pub fn is_strict(&self, version: Option<i16>) -> bool {
        let version = version.unwrap_or(i16::MAX);
        match self {
            Self::CreateTopics(_) => version >= 6,
            Self::DeleteTopics(_) => version >= 5,
            Self::CreatePartitions(_) => version >= 3,
            _ => false,
        }
    }

    /// The answer in which everything that was asked is refused, without a sentence.
    pub fn refusal(&self, error: ErrorCode) -> ControllerResponse {
        let error_code = error.code();
        match self {
            Self::CreateTopics(request) => {
                let refused = |topic: &CreatableTopic| CreatableTopicResult {
                    name: topic.name.clone(),
                    error_code,
                    error_message: None,
                    ..CreatableTopicResult::default()
                };
                ControllerResponse::CreateTopics(CreateTopicsResponse {
                    topics: request.topics.iter().map(refused).collect(),
                    ..CreateTopicsResponse::default()
                })
            }
            Self::DeleteTopics(request) => {
                let named = request.topic_names.iter().map(|name| (Some(name.clone()), Uuid::ZERO));
                let states = request.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id));
                let refused = |(name, topic_id)| DeletableTopicResult {
                    name,
                    topic_id,
                    error_code,
                    error_message: None,
                };
                ControllerResponse::DeleteTopics(DeleteTopicsResponse {
                    responses: states.chain(named).map(refused).collect(),
                    ..DeleteTopicsResponse::default()
                })
            }
            Self::CreatePartitions(request) => {
                let refused = |topic: &CreatePartitionsTopic| CreatePartitionsTopicResult {
                    name: topic.name.clone(),
                    error_code,
                    error_message: None,
                };
                ControllerResponse::CreatePartitions(CreatePartitionsResponse {
                    results: request.topics.iter().map(refused).collect(),
                    ..CreatePartitionsResponse::default()
                })
            }
            Self::IncrementalAlterConfigs(request) => {
                let refused = |resource: &incremental_alter_configs_request::AlterConfigsResource| {
                    incremental_alter_configs_response::AlterConfigsResourceResponse {
                        error_code,
                        error_message: None,
                        resource_type: resource.resource_type,
                        resource_name: resource.resource_name.clone(),
                    }
                };
                ControllerResponse::IncrementalAlterConfigs(IncrementalAlterConfigsResponse {
                    responses: request.resources.iter().map(refused).collect(),
                    ..IncrementalAlterConfigsResponse::default()
                })
            }
            Self::AlterConfigs(request) => {
                let refused = |resource: &alter_configs_request::AlterConfigsResource| {
                    alter_configs_response::AlterConfigsResourceResponse {
                        error_code,
                        error_message: None,
                        resource_type: resource.resource_type,
                        resource_name: resource.resource_name.clone(),
                    }
                };
                ControllerResponse::AlterConfigs(AlterConfigsResponse {
                    responses: request.resources.iter().map(refused).collect(),
                    ..AlterConfigsResponse::default()
                })
            }
            Self::UpdateFeatures(_) => ControllerResponse::UpdateFeatures(UpdateFeaturesResponse {
                error_code,
                error_message: None,
                ..UpdateFeaturesResponse::default()
            }),
            Self::ElectLeaders(request) => {
                let refused = |topic: &TopicPartitions| ReplicaElectionResult {
                    topic: topic.topic.clone(),
                    partition_result: topic
                        .partitions
                        .iter()
                        .map(|index| PartitionResult {
                            partition_id: *index,
                            error_code,
                            error_message: None,
                        })
                        .collect(),
                };
                ControllerResponse::ElectLeaders(ElectLeadersResponse {
                    error_code,
                    replica_election_results: request
                        .topic_partitions
                        .iter()
                        .flatten()
                        .map(refused)
                        .collect(),
                    ..ElectLeadersResponse::default()
                })
            }
            Self::AlterPartitionReassignments(request) => {
                let refused = |topic: &ReassignableTopic| ReassignableTopicResponse {
                    name: topic.name.clone(),
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|partition| ReassignablePartitionResponse {
                            partition_index: partition.partition_index,
                            error_code,
                            error_message: None,
                        })
                        .collect(),
                };
                ControllerResponse::AlterPartitionReassignments(AlterPartitionReassignmentsResponse {
                    error_code,
                    error_message: None,
                    responses: request.topics.iter().map(refused).collect(),
                    ..AlterPartitionReassignmentsResponse::default()
                })
            }
            Self::ListPartitionReassignments(_) => {
                ControllerResponse::ListPartitionReassignments(ListPartitionReassignmentsResponse {
                    error_code,
                    error_message: None,
                    ..ListPartitionReassignmentsResponse::default()
                })
            }
            // Tokens are asked for in envelopes, which say themselves that this is not the active controller.
            Self::NextProducerId
            | Self::CreateDelegationToken(..)
            | Self::RenewDelegationToken(..)
            | Self::ExpireDelegationToken(..) => ControllerResponse::Failed(error),
            Self::BrokerRegistration(_) => {
                ControllerResponse::BrokerRegistration(BrokerRegistrationResponse {
                    error_code,
                    ..BrokerRegistrationResponse::default()
                })
            }
            Self::BrokerHeartbeat(_) => ControllerResponse::BrokerHeartbeat(BrokerHeartbeatResponse {
                error_code,
                ..BrokerHeartbeatResponse::default()
            }),
            Self::ControllerRegistration(_) => {
                ControllerResponse::ControllerRegistration(ControllerRegistrationResponse {
                    error_code,
                    error_message: None,
                    ..ControllerRegistrationResponse::default()
                })
            }
            Self::AlterPartition(_) => ControllerResponse::AlterPartition(AlterPartitionResponse {
                error_code,
                ..AlterPartitionResponse::default()
            }),
            Self::AllocateProducerIds(_) => {
                ControllerResponse::AllocateProducerIds(AllocateProducerIdsResponse {
                    error_code,
                    ..AllocateProducerIdsResponse::default()
                })
            }
            Self::UnregisterBroker(_) => ControllerResponse::UnregisterBroker(UnregisterBrokerResponse {
                error_code,
                error_message: None,
                ..UnregisterBrokerResponse::default()
            }),
            Self::AlterClientQuotas(request) => {
                let part = |part: &alter_client_quotas_request::EntityData| {
                    alter_client_quotas_response::EntityData {
                        entity_type: part.entity_type.clone(),
                        entity_name: part.entity_name.clone(),
                    }
                };
                let refused = |entry: &alter_client_quotas_request::EntryData| {
                    let entity = entry.entity.iter().map(part).collect();
                    alter_client_quotas_response::EntryData { error_code, error_message: None, entity }
                };
                let entries = request.entries.iter().map(refused).collect();
                ControllerResponse::AlterClientQuotas(AlterClientQuotasResponse {
                    throttle_time_ms: 0,
                    entries,
                })
            }
            Self::CreateAcls(request) => {
                let refused = |_| AclCreationResult { error_code, error_message: None };
                let results = request.creations.iter().map(refused).collect();
                ControllerResponse::CreateAcls(CreateAclsResponse { throttle_time_ms: 0, results })
            }
            Self::DeleteAcls(request) => {
                let refused =
                    |_| DeleteAclsFilterResult { error_code, error_message: None, matching_acls: Vec::new() };
                let filter_results = request.filters.iter().map(refused).collect();
                ControllerResponse::DeleteAcls(DeleteAclsResponse { throttle_time_ms: 0, filter_results })
            }
            Self::AlterUserScramCredentials(request) => {
                let deleted = request.deletions.iter().map(|one| &one.name);
                let named = deleted.chain(request.upsertions.iter().map(|one| &one.name));
                let users: BTreeSet<&Str> = named.into_set();
                let refused = |user: &Str| AlterUserScramCredentialsResult {
                    user: user.clone(),
                    error_code,
                    error_message: None,
                };
                let results = users.into_iter().map(refused).collect();
                ControllerResponse::AlterUserScramCredentials(AlterUserScramCredentialsResponse {
                    throttle_time_ms: 0,
                    results,
                })
            }
            Self::AssignReplicasToDirs(_) => {
                ControllerResponse::AssignReplicasToDirs(AssignReplicasToDirsResponse {
                    error_code,
                    ..AssignReplicasToDirsResponse::default()
                })
            }
        }
    }
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
    /// To [`ControllerEvent::Quorum`].
    Quorum(rpc::Response),
    /// To [`ControllerRequest::NextProducerId`].
    NextProducerId(i64),
    /// To [`ControllerRequest::BrokerRegistration`].
    BrokerRegistration(BrokerRegistrationResponse),
    /// To [`ControllerRequest::BrokerHeartbeat`].
    BrokerHeartbeat(BrokerHeartbeatResponse),
    /// To [`ControllerRequest::ControllerRegistration`].
    ControllerRegistration(ControllerRegistrationResponse),
    /// To [`ControllerRequest::AlterPartition`].
    AlterPartition(AlterPartitionResponse),
    /// To [`ControllerRequest::AllocateProducerIds`].
    AllocateProducerIds(AllocateProducerIdsResponse),
    /// To [`ControllerRequest::UnregisterBroker`].
    UnregisterBroker(UnregisterBrokerResponse),
    /// To [`ControllerRequest::AssignReplicasToDirs`].
    AssignReplicasToDirs(AssignReplicasToDirsResponse),
    /// To [`ControllerRequest::AlterClientQuotas`].
    AlterClientQuotas(AlterClientQuotasResponse),
    /// To [`ControllerRequest::CreateAcls`].
    CreateAcls(CreateAclsResponse),
    /// To [`ControllerRequest::DeleteAcls`].
    DeleteAcls(DeleteAclsResponse),
    /// To [`ControllerRequest::AlterUserScramCredentials`].
    AlterUserScramCredentials(AlterUserScramCredentialsResponse),
    /// To [`ControllerRequest::CreateDelegationToken`].
    CreateDelegationToken(CreateDelegationTokenResponse),
    /// To [`ControllerRequest::RenewDelegationToken`].
    RenewDelegationToken(RenewDelegationTokenResponse),
    /// To [`ControllerRequest::ExpireDelegationToken`].
    ExpireDelegationToken(ExpireDelegationTokenResponse),
    /// To any: nothing was done, because the metadata log failed.
    Failed(ErrorCode),
}
