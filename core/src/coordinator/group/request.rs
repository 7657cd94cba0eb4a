//! What a group coordinator is asked and what it answers.

use ottla_protocol::messages::delete_groups_response::DeletableGroupResult;
use ottla_protocol::messages::describe_groups_response::DescribedGroup;
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::heartbeat_response::HeartbeatResponse;
use ottla_protocol::messages::join_group_request::JoinGroupRequest;
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use ottla_protocol::messages::leave_group_request::LeaveGroupRequest;
use ottla_protocol::messages::leave_group_response::LeaveGroupResponse;
use ottla_protocol::messages::list_groups_request::ListGroupsRequest;
use ottla_protocol::messages::list_groups_response::ListGroupsResponse;
use ottla_protocol::messages::offset_commit_request::OffsetCommitRequest;
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_delete_request::OffsetDeleteRequest;
use ottla_protocol::messages::offset_delete_response::OffsetDeleteResponse;
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use ottla_protocol::messages::sync_group_request::SyncGroupRequest;
use ottla_protocol::messages::sync_group_response::SyncGroupResponse;
use ottla_protocol::{ErrorCode, Str};

/// A request to the coordinator of its group. Topics are known, names are resolved and access is granted: that is the broker's part.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRequest {
    /// Become a member, or join again in a rebalance. Parked until the join phase completes.
    JoinGroup {
        /// API version: 4 asks new members to come back with their id, 9 knows `SkipAssignment`.
        version: i16,
        /// `client.id`; empty when the header had none.
        client_id: Str,
        /// The client's address as Kafka prints it (`/127.0.0.1`).
        client_host: Str,
        /// The message.
        request: JoinGroupRequest,
    },
    /// Hand in (the leader) and ask for the assignment. Parked until the leader has spoken.
    SyncGroup {
        /// API version: from 5 on, protocol type and name are mandatory.
        version: i16,
        /// The message.
        request: SyncGroupRequest,
    },
    /// Stay a member.
    Heartbeat(HeartbeatRequest),
    /// Leave, alone or (from version 3) several at once.
    LeaveGroup {
        /// API version.
        version: i16,
        /// The message.
        request: LeaveGroupRequest,
    },
    /// Commit offsets.
    OffsetCommit {
        /// API version: from 9 on, a group that does not exist is GROUP_ID_NOT_FOUND.
        version: i16,
        /// The message, names filled in.
        request: OffsetCommitRequest,
    },
    /// Committed offsets of one group; see [`super::offset_fetch::groups_of`].
    OffsetFetch {
        /// The group and its partitions, names filled in; no topics: all of them, answered without topic ids.
        group: OffsetFetchRequestGroup,
        /// Wait for what is not committed yet, refuse what an open transaction holds.
        require_stable: bool,
    },
    /// Describe groups of this coordinator.
    DescribeGroups {
        /// API version: from 6 on, a group that does not exist is GROUP_ID_NOT_FOUND.
        version: i16,
        /// Their names.
        groups: Vec<Str>,
    },
    /// List this coordinator's groups.
    ListGroups(ListGroupsRequest),
    /// Delete groups of this coordinator.
    DeleteGroups {
        /// Their names.
        groups: Vec<Str>,
    },
    /// Delete committed offsets.
    OffsetDelete(OffsetDeleteRequest),
}

/// The answer to the request of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupResponse {
    /// To JoinGroup.
    JoinGroup(JoinGroupResponse),
    /// To SyncGroup.
    SyncGroup(SyncGroupResponse),
    /// To Heartbeat.
    Heartbeat(HeartbeatResponse),
    /// To LeaveGroup.
    LeaveGroup(LeaveGroupResponse),
    /// To OffsetCommit.
    OffsetCommit(OffsetCommitResponse),
    /// To OffsetFetch: one group's part.
    OffsetFetch(OffsetFetchResponseGroup),
    /// To DescribeGroups: one coordinator's part.
    DescribeGroups(Vec<DescribedGroup>),
    /// To ListGroups: one coordinator's part.
    ListGroups(ListGroupsResponse),
    /// To DeleteGroups: one coordinator's part.
    DeleteGroups(Vec<DeletableGroupResult>),
    /// To OffsetDelete.
    OffsetDelete(OffsetDeleteResponse),
}

impl GroupRequest {
    /// Whether it is INVALID_GROUP_ID, whoever coordinates. (Offsets may be committed for the empty group.)
    pub fn has_no_group_id(&self) -> bool {
        match self {
            Self::JoinGroup { request, .. } => request.group_id.is_empty(),
            Self::SyncGroup { request, .. } => request.group_id.is_empty(),
            Self::Heartbeat(request) => request.group_id.is_empty(),
            Self::LeaveGroup { request, .. } => request.group_id.is_empty(),
            Self::OffsetDelete(request) => request.group_id.is_empty(),
            _ => false,
        }
    }

    /// The answer of a broker that cannot decide: NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS,
    /// COORDINATOR_NOT_AVAILABLE. A heartbeat during loading is answered as if all were well, as Kafka does.
    pub fn refusal(&self, error: ErrorCode) -> GroupResponse {
        let error_code = error.code();
        match self {
            Self::JoinGroup { version, request, .. } => GroupResponse::JoinGroup(super::join_group::refusal(
                *version,
                request.member_id.clone(),
                error,
            )),
            Self::SyncGroup { .. } => GroupResponse::SyncGroup(super::sync_group::refusal(error)),
            Self::Heartbeat(_) => {
                let loading = error == ErrorCode::CoordinatorLoadInProgress;
                let error_code = if loading { ErrorCode::None.code() } else { error_code };
                GroupResponse::Heartbeat(HeartbeatResponse { error_code, ..HeartbeatResponse::default() })
            }
            Self::LeaveGroup { .. } => {
                GroupResponse::LeaveGroup(LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() })
            }
            Self::OffsetCommit { request, .. } => GroupResponse::OffsetCommit(refuse_commit(request, error)),
            Self::OffsetFetch { group, .. } => GroupResponse::OffsetFetch(OffsetFetchResponseGroup {
                group_id: group.group_id.clone(),
                error_code,
                ..OffsetFetchResponseGroup::default()
            }),
            Self::DescribeGroups { groups, .. } => GroupResponse::DescribeGroups(
                groups
                    .iter()
                    .map(|group| DescribedGroup {
                        group_id: group.clone(),
                        error_code,
                        ..DescribedGroup::default()
                    })
                    .collect(),
            ),
            Self::ListGroups(_) => {
                GroupResponse::ListGroups(ListGroupsResponse { error_code, ..ListGroupsResponse::default() })
            }
            Self::DeleteGroups { groups } => GroupResponse::DeleteGroups(
                groups
                    .iter()
                    .map(|group| DeletableGroupResult { group_id: group.clone(), error_code })
                    .collect(),
            ),
            Self::OffsetDelete(_) => GroupResponse::OffsetDelete(OffsetDeleteResponse {
                error_code,
                ..OffsetDeleteResponse::default()
            }),
        }
    }
}

impl GroupResponse {
    /// The answer when what it speaks of could not be written.
    pub fn failed(self, error: ErrorCode) -> Self {
        let error_code = error.code();
        match self {
            Self::JoinGroup(response) => Self::JoinGroup(JoinGroupResponse {
                error_code,
                protocol_name: response.protocol_name,
                ..JoinGroupResponse::default()
            }),
            Self::SyncGroup(_) => Self::SyncGroup(super::sync_group::refusal(error)),
            Self::Heartbeat(response) => Self::Heartbeat(HeartbeatResponse { error_code, ..response }),
            Self::LeaveGroup(_) => {
                Self::LeaveGroup(LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() })
            }
            Self::OffsetCommit(mut response) => {
                for topic in &mut response.topics {
                    for partition in &mut topic.partitions {
                        partition.error_code = error_code;
                    }
                }
                Self::OffsetCommit(response)
            }
            Self::OffsetFetch(response) => Self::OffsetFetch(OffsetFetchResponseGroup {
                group_id: response.group_id,
                error_code,
                ..OffsetFetchResponseGroup::default()
            }),
            Self::DescribeGroups(groups) => Self::DescribeGroups(
                groups
                    .into_iter()
                    .map(|group| DescribedGroup {
                        group_id: group.group_id,
                        error_code,
                        ..DescribedGroup::default()
                    })
                    .collect(),
            ),
            Self::ListGroups(_) => {
                Self::ListGroups(ListGroupsResponse { error_code, ..ListGroupsResponse::default() })
            }
            Self::DeleteGroups(groups) => Self::DeleteGroups(
                groups.into_iter().map(|group| DeletableGroupResult { error_code, ..group }).collect(),
            ),
            Self::OffsetDelete(_) => {
                Self::OffsetDelete(OffsetDeleteResponse { error_code, ..OffsetDeleteResponse::default() })
            }
        }
    }
}

/// Every partition of a commit, refused.
pub(super) fn refuse_commit(request: &OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error.code(),
            })
            .collect(),
    });
    OffsetCommitResponse { topics: topics.collect(), ..OffsetCommitResponse::default() }
}

/// What a failed append means to a client, as Kafka tells it.
pub(super) fn append_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}
