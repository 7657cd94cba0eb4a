//! One file per API: how a request becomes an answer, or the messages to wait for.

mod acls;
mod alter_configs;
pub mod api_versions;
mod delegation_tokens;
mod delete_records;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_user_scram_credentials;
mod fetch;
mod find_coordinator;
mod forward;
mod group;
mod group_offsets;
mod join;
mod list_config_resources;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod produce;
mod quorum;
mod sasl;
mod write_txn_markers;

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::ApiKey;
use ottla_protocol::messages::DescribeConfigsRequest;

use super::api::{self, Supported};
use super::data::DataResponse;
use super::fetch_sessions::{FetchSessions, Unanswered};
use super::loggers::Levels;
use super::request::Request;
use crate::config::BrokerConfig;
use crate::controller::ControllerResponse;
use crate::coordinator::Token;
use crate::coordinator::group::GroupResponse;
use crate::ids::{ConnectionId, ShardId};
use crate::log::LogStore;
use crate::machine::{Cx, Frame};
use crate::metadata::{MetadataImage, Published};
use crate::time::Instant;

/// What a handler may use.
#[derive(Debug)]
pub struct Env<'a, 'b, S: LogStore> {
    /// Clocks, storage, effects.
    pub cx: &'a mut Cx<'b, S>,
    /// The connection that asked.
    pub connection: ConnectionId,
    /// The broker's configuration.
    pub config: &'a Arc<BrokerConfig>,
    /// The newest committed metadata.
    pub published: &'a Arc<Published>,
    /// What the listener answers.
    pub apis: &'static [Supported],
    /// Shards of this node.
    pub shards: u16,
    /// The client has asked on this connection who leads what.
    pub has_named_leaders: bool,
    /// The fetch sessions of this connection.
    pub sessions: &'a mut FetchSessions,
}

/// How far a handler got. An `Err` beside it is a reason to close the connection.
#[derive(Debug)]
pub enum Outcome<S: LogStore> {
    /// The answer.
    Reply(Frame<S::Slice>),
    /// The answer to another broker, which is not limited as clients are.
    Exempt(Frame<S::Slice>),
    /// The answer of a controller that has the client wait for so many ms.
    Throttled(Frame<S::Slice>, i32),
    /// The answer to a consumer whose reading may be limited.
    Fetched(Frame<S::Slice>, Unanswered),
    /// There is no answer to this request.
    Silent,
    /// Others were asked.
    Wait(Box<Pending<S>>),
}

/// A request that waits for others.
#[derive(Clone, Debug)]
pub enum Pending<S: LogStore> {
    /// For shards to append.
    Produce(produce::Join),
    /// For bytes to become readable, or to be read.
    Fetch(fetch::Join<S>),
    /// For shards to look up offsets.
    ListOffsets(list_offsets::Join),
    /// For shards to look up epochs.
    OffsetForLeaderEpoch(offset_for_leader_epoch::Join),
    /// For shards to move their log start.
    DeleteRecords(delete_records::Join),
    /// For shards to end transactions.
    WriteTxnMarkers(write_txn_markers::Join),
    /// For shards to list producers.
    DescribeProducers(describe_producers::Join),
    /// For shards to list their logs.
    DescribeLogDirs(describe_log_dirs::Join),
    /// For the controller.
    Controller,
    /// For what the controller decides beside what was decided here.
    AlterConfigs(alter_configs::Join),
    /// For the levels of the loggers.
    DescribeConfigs(DescribeConfigsRequest),
    /// For group coordinators.
    Group(group::Join),
    /// For news of brokers that were lost sight of.
    Metadata(metadata::Join),
}

/// What a waiting request may hear.
#[derive(Debug)]
pub enum Resume<S: LogStore> {
    /// A shard's answer.
    Shard(ShardId, DataResponse<S>),
    /// A coordinator's answer.
    Group(GroupResponse),
    /// The controller's answer.
    Controller(ControllerResponse),
    /// What the shell logs.
    Levels(Levels),
    /// There is new metadata.
    Metadata,
    /// The deadline that [`Pending::deadline`] gave has passed.
    Deadline,
}

/// An answer, a wait, or a reason to close the connection.
pub type Handled<S> = Result<Outcome<S>, String>;

impl<S: LogStore> Pending<S> {
    /// When to wake it.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Fetch(join) => join.deadline(),
            Self::Metadata(join) => Some(join.until),
            _ => None,
        }
    }
}

impl<S: LogStore> Env<'_, '_, S> {
    /// The newest committed image.
    pub fn image(&self) -> &MetadataImage {
        &self.published.image
    }

    /// How others name this request.
    pub fn token(&self, request: &Request) -> Token {
        Token { connection: self.connection, request: request.id }
    }
}

/// Starts a request.
pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let is_controller = std::ptr::eq(env.apis, api::CONTROLLER);
    match request.api {
        ApiKey::Fetch if is_controller => quorum::handle(env, request, body),
        ApiKey::DescribeQuorum
        | ApiKey::Vote
        | ApiKey::BeginQuorumEpoch
        | ApiKey::EndQuorumEpoch
        | ApiKey::FetchSnapshot
        | ApiKey::AddRaftVoter
        | ApiKey::RemoveRaftVoter
        | ApiKey::UpdateRaftVoter => quorum::handle(env, request, body),
        ApiKey::Produce => produce::handle(env, request, body),
        ApiKey::Fetch => fetch::handle(env, request, body),
        ApiKey::ListOffsets => list_offsets::handle(env, request, body),
        ApiKey::Metadata => metadata::handle(env, request, body),
        ApiKey::FindCoordinator => find_coordinator::handle(env, request, body),
        ApiKey::ApiVersions => api_versions::handle(env, request, body),
        ApiKey::DeleteRecords => delete_records::handle(env, request, body),
        ApiKey::OffsetForLeaderEpoch => offset_for_leader_epoch::handle(env, request, body),
        ApiKey::WriteTxnMarkers => write_txn_markers::handle(env, request, body),
        ApiKey::DescribeProducers => describe_producers::handle(env, request, body),
        ApiKey::DescribeLogDirs => describe_log_dirs::handle(env, request, body),
        ApiKey::ListConfigResources => list_config_resources::handle(env, request, body),
        ApiKey::DescribeConfigs => describe_configs::handle(env, request, body),
        ApiKey::IncrementalAlterConfigs => alter_configs::handle(env, request, body),
        ApiKey::DescribeCluster => describe_cluster::handle(env, request, body),
        ApiKey::DescribeTopicPartitions => describe_topic_partitions::handle(env, request, body),
        ApiKey::DescribeClientQuotas => describe_client_quotas::handle(env, request, body),
        ApiKey::DescribeUserScramCredentials => describe_user_scram_credentials::handle(env, request, body),
        ApiKey::JoinGroup
        | ApiKey::SyncGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::OffsetCommit
        | ApiKey::OffsetFetch
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::DeleteGroups
        | ApiKey::OffsetDelete => group::handle(env, request, body),
        ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => sasl::handle(request, body),
        ApiKey::DescribeAcls | ApiKey::CreateAcls | ApiKey::DeleteAcls => acls::handle(request, body),
        ApiKey::CreateDelegationToken
        | ApiKey::RenewDelegationToken
        | ApiKey::ExpireDelegationToken
        | ApiKey::DescribeDelegationToken => delegation_tokens::handle(env, request, body),
        _ => forward::handle(env, request, body),
    }
}

/// Goes on with a request that waited.
pub fn resume<S: LogStore>(
    env: &mut Env<'_, '_, S>,
    request: &Request,
    pending: Pending<S>,
    event: Resume<S>,
) -> Handled<S> {
    match (pending, event) {
        (Pending::Produce(join), Resume::Shard(_, DataResponse::Produced(parts))) => {
            produce::resume(env, request, join, parts)
        }
        (Pending::Fetch(join), event) => fetch::resume(env, request, join, event),
        (Pending::ListOffsets(join), Resume::Shard(_, DataResponse::Offsets(parts))) => {
            Ok(list_offsets::resume(request, join, parts))
        }
        (Pending::OffsetForLeaderEpoch(join), Resume::Shard(_, DataResponse::EpochEnds(parts))) => {
            Ok(offset_for_leader_epoch::resume(request, join, parts))
        }
        (Pending::DeleteRecords(join), Resume::Shard(_, DataResponse::Deleted(parts))) => {
            Ok(delete_records::resume(request, join, parts))
        }
        (Pending::WriteTxnMarkers(join), Resume::Shard(_, DataResponse::Marked(parts))) => {
            Ok(write_txn_markers::resume(request, join, parts))
        }
        (Pending::DescribeProducers(join), Resume::Shard(_, DataResponse::Producers(parts))) => {
            Ok(describe_producers::resume(request, join, parts))
        }
        (Pending::DescribeLogDirs(join), Resume::Shard(_, DataResponse::Logs(logs))) => {
            Ok(describe_log_dirs::resume(env, request, join, logs))
        }
        (Pending::Controller, Resume::Controller(ControllerResponse::Quorum(response))) => {
            quorum::resume(request, response)
        }
        (Pending::Controller, Resume::Controller(response)) => forward::resume(request, response),
        (Pending::AlterConfigs(join), Resume::Controller(response)) => {
            alter_configs::resume(request, join, response)
        }
        (Pending::DescribeConfigs(asked), Resume::Levels(levels)) => {
            Ok(describe_configs::answer(env, request, &asked, &levels))
        }
        (Pending::Metadata(join), Resume::Metadata | Resume::Deadline) => {
            metadata::handle(env, request, join.asked)
        }
        (Pending::Group(join), Resume::Group(response)) => group::resume(env, request, join, response),
        // An answer that comes after its request went another way.
        (pending, _) => Ok(Outcome::Wait(Box::new(pending))),
    }
}
