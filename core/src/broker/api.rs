//! The APIs that a node answers, and the versions at which it does: the lists that ApiVersions advertises.

use ottla_protocol::ApiKey;

use crate::config::BrokerConfig;

/// An API and the versions at which every branch works or refuses as Apache Kafka does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supported {
    /// Which.
    pub key: ApiKey,
    /// Lowest version.
    pub min: i16,
    /// Highest version.
    pub max: i16,
}

const fn api(key: ApiKey, min: i16, max: i16) -> Supported {
    Supported { key, min, max }
}

/// What is answered on the listeners of brokers, in the order of their keys.
pub static SUPPORTED: &[Supported] = &[
    // From 0 as Apache Kafka does for librdkafka (KAFKA-18659); 0–2 are refused with UNSUPPORTED_VERSION.
    api(ApiKey::Produce, 0, 13),
    api(ApiKey::Fetch, 4, 18),
    api(ApiKey::ListOffsets, 1, 11),
    api(ApiKey::Metadata, 0, 13),
    api(ApiKey::OffsetCommit, 2, 10),
    api(ApiKey::OffsetFetch, 1, 10),
    api(ApiKey::FindCoordinator, 0, 6),
    api(ApiKey::JoinGroup, 0, 9),
    api(ApiKey::Heartbeat, 0, 4),
    api(ApiKey::LeaveGroup, 0, 5),
    api(ApiKey::SyncGroup, 0, 5),
    api(ApiKey::DescribeGroups, 0, 6),
    api(ApiKey::ListGroups, 0, 5),
    // What is about security says that there is none: an authorizer, SASL and tokens are not built.
    api(ApiKey::SaslHandshake, 0, 1),
    api(ApiKey::ApiVersions, 0, 4),
    api(ApiKey::CreateTopics, 2, 7),
    api(ApiKey::DeleteTopics, 1, 6),
    api(ApiKey::DeleteRecords, 0, 2),
    api(ApiKey::InitProducerId, 0, 5),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4),
    api(ApiKey::WriteTxnMarkers, 1, 2),
    api(ApiKey::DescribeAcls, 1, 3),
    api(ApiKey::CreateAcls, 1, 3),
    api(ApiKey::DeleteAcls, 1, 3),
    api(ApiKey::DescribeConfigs, 1, 4),
    api(ApiKey::AlterConfigs, 0, 2),
    api(ApiKey::DescribeLogDirs, 1, 5),
    api(ApiKey::SaslAuthenticate, 0, 2),
    api(ApiKey::CreatePartitions, 0, 3),
    api(ApiKey::CreateDelegationToken, 1, 3),
    api(ApiKey::RenewDelegationToken, 1, 2),
    api(ApiKey::ExpireDelegationToken, 1, 2),
    api(ApiKey::DescribeDelegationToken, 1, 3),
    api(ApiKey::DeleteGroups, 0, 2),
    api(ApiKey::ElectLeaders, 0, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1),
    api(ApiKey::AlterPartitionReassignments, 0, 1),
    api(ApiKey::ListPartitionReassignments, 0, 0),
    api(ApiKey::OffsetDelete, 0, 0),
    api(ApiKey::DescribeClientQuotas, 0, 1),
    api(ApiKey::AlterClientQuotas, 0, 1),
    api(ApiKey::DescribeUserScramCredentials, 0, 0),
    api(ApiKey::AlterUserScramCredentials, 0, 0),
    api(ApiKey::DescribeQuorum, 0, 2),
    api(ApiKey::UpdateFeatures, 0, 2),
    api(ApiKey::DescribeCluster, 0, 2),
    api(ApiKey::DescribeProducers, 0, 0),
    api(ApiKey::UnregisterBroker, 0, 0),
    api(ApiKey::ListConfigResources, 0, 1),
    api(ApiKey::DescribeTopicPartitions, 0, 0),
    api(ApiKey::AddRaftVoter, 0, 1),
    api(ApiKey::RemoveRaftVoter, 0, 0),
];

/// What is answered on the listeners of controllers (`controller.listener.names`), in the order of their keys.
pub static CONTROLLER: &[Supported] = &[
    api(ApiKey::Fetch, 12, 18),
    api(ApiKey::ApiVersions, 0, 4),
    api(ApiKey::CreateTopics, 2, 7),
    api(ApiKey::DeleteTopics, 1, 6),
    api(ApiKey::DescribeAcls, 1, 3),
    api(ApiKey::CreateAcls, 1, 3),
    api(ApiKey::DeleteAcls, 1, 3),
    api(ApiKey::AlterConfigs, 0, 2),
    api(ApiKey::CreatePartitions, 0, 3),
    api(ApiKey::CreateDelegationToken, 1, 3),
    api(ApiKey::RenewDelegationToken, 1, 2),
    api(ApiKey::ExpireDelegationToken, 1, 2),
    api(ApiKey::ElectLeaders, 0, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1),
    api(ApiKey::AlterPartitionReassignments, 0, 1),
    api(ApiKey::ListPartitionReassignments, 0, 0),
    api(ApiKey::AlterClientQuotas, 0, 1),
    api(ApiKey::AlterUserScramCredentials, 0, 0),
    api(ApiKey::Vote, 0, 2),
    api(ApiKey::BeginQuorumEpoch, 0, 1),
    api(ApiKey::EndQuorumEpoch, 0, 1),
    api(ApiKey::DescribeQuorum, 0, 2),
    api(ApiKey::AlterPartition, 2, 3),
    api(ApiKey::UpdateFeatures, 0, 2),
    api(ApiKey::Envelope, 0, 0),
    api(ApiKey::FetchSnapshot, 0, 1),
    api(ApiKey::DescribeCluster, 0, 2),
    api(ApiKey::BrokerRegistration, 0, 4),
    api(ApiKey::BrokerHeartbeat, 0, 2),
    api(ApiKey::UnregisterBroker, 0, 0),
    api(ApiKey::AllocateProducerIds, 0, 0),
    api(ApiKey::ControllerRegistration, 0, 0),
    api(ApiKey::AssignReplicasToDirs, 0, 0),
    api(ApiKey::AddRaftVoter, 0, 1),
    api(ApiKey::RemoveRaftVoter, 0, 0),
    api(ApiKey::UpdateRaftVoter, 0, 0),
];

/// What is answered on a listener.
pub fn of_listener(config: &BrokerConfig, listener: &str) -> &'static [Supported] {
    match config.is_controller_listener(listener) {
        true => CONTROLLER,
        false => SUPPORTED,
    }
}

/// The entry of an API, when it is built.
pub fn find(apis: &'static [Supported], key: ApiKey) -> Option<&'static Supported> {
    apis.iter().find(|api| api.key == key)
}
