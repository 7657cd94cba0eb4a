//! The classic group APIs: each group's part to its coordinator, and the parts of the answer put together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ottla_protocol::messages::delete_groups_request::DeleteGroupsRequest;
use ottla_protocol::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use ottla_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use ottla_protocol::messages::describe_groups_response::{DescribeGroupsResponse, DescribedGroup};
use ottla_protocol::messages::list_groups_response::ListGroupsResponse;
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use ottla_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use ottla_protocol::{ApiKey, ErrorCode, Str};

use super::{Env, Handled, Outcome, Pending, group_offsets};
use crate::broker::authorizer::GROUP_OPERATIONS;
use crate::broker::cluster_view::OFFSETS_TOPIC;
use crate::broker::request::Request;
use crate::broker::{Message, ShardEvent};
use crate::coordinator::group::{GroupRequest, GroupResponse, offset_fetch, partition_for};
use crate::ids::TopicIdPartition;
use crate::log::LogStore;
use crate::small_map::SmallMap;

/// What is known of an answer so far.
#[derive(Clone, Debug)]
pub enum Join {
    /// One coordinator's answer is the whole.
    Whole,
    /// Of an OffsetCommit: what the broker refused itself.
    Commit(group_offsets::CommitJoin),
    /// Of an OffsetDelete: likewise.
    OffsetDelete(group_offsets::DeleteJoin),
    /// Of an OffsetFetch.
    Fetch {
        asked: Vec<OffsetFetchRequestGroup>,
        refused: group_offsets::Refused,
        answers: ByGroup<OffsetFetchResponseGroup>,
        waiting: usize,
    },
    /// Of a DescribeGroups.
    Describe { asked: Vec<Str>, answers: ByGroup<DescribedGroup>, waiting: usize, operations: bool },
    /// Of a ListGroups.
    List { answer: ListGroupsResponse, waiting: usize },
    /// Of a DeleteGroups.
    Delete { answers: Vec<DeletableGroupResult>, waiting: usize },
}

/// Answers by group, in their order: a group that is named twice is answered twice.
type ByGroup<T> = BTreeMap<Str, VecDeque<T>>;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let version = request.version;
    match request.api {
        ApiKey::JoinGroup => {
            let asked: ottla_protocol::messages::JoinGroupRequest = request.decode(body)?;
            let group = asked.group_id.clone();
            let asked = GroupRequest::JoinGroup {
                version,
                client_id: request.context.client_id.clone().unwrap_or_default(),
                client_host: request.context.host.clone(),
                request: asked,
            };
            whole(env, request, &group, asked)
        }
        ApiKey::SyncGroup => {
            let asked: ottla_protocol::messages::SyncGroupRequest = request.decode(body)?;
            whole(env, request, &asked.group_id.clone(), GroupRequest::SyncGroup { version, request: asked })
        }
        ApiKey::Heartbeat => {
            let asked: ottla_protocol::messages::HeartbeatRequest = request.decode(body)?;
            whole(env, request, &asked.group_id.clone(), GroupRequest::Heartbeat(asked))
        }
        ApiKey::LeaveGroup => {
            let asked: ottla_protocol::messages::LeaveGroupRequest = request.decode(body)?;
            whole(env, request, &asked.group_id.clone(), GroupRequest::LeaveGroup { version, request: asked })
        }
        ApiKey::OffsetDelete => group_offsets::delete(env, request, body),
        ApiKey::OffsetCommit => group_offsets::commit(env, request, body),
        ApiKey::OffsetFetch => {
            let asked: OffsetFetchRequest = request.decode(body)?;
            Ok(fetch_offsets(env, request, asked))
        }
        ApiKey::DescribeGroups => {
            let asked: DescribeGroupsRequest = request.decode(body)?;
            let operations = asked.include_authorized_operations;
            let (parts, _) = by_coordinator(env, asked.groups.clone());
            let waiting = parts.len();
            let join = Join::Describe { asked: asked.groups, answers: BTreeMap::new(), waiting, operations };
            Ok(ask_all(env, request, parts, |groups| GroupRequest::DescribeGroups { version, groups }, join))
        }
        ApiKey::DeleteGroups => {
            let mut asked: DeleteGroupsRequest = request.decode(body)?;
            let mut seen = BTreeSet::new();
            asked.groups_names.retain(|group| seen.insert(group.clone()));
            let (parts, _) = by_coordinator(env, asked.groups_names);
            let join = Join::Delete { answers: Vec::new(), waiting: parts.len() };
            Ok(ask_all(env, request, parts, |groups| GroupRequest::DeleteGroups { groups }, join))
        }
        _ => {
            let asked: ottla_protocol::messages::ListGroupsRequest = request.decode(body)?;
            let parts: SmallMap<i32, Vec<Str>> =
                (0..coordinators(env)).map(|partition| (partition, Vec::new())).collect();
            let join = Join::List { answer: ListGroupsResponse::default(), waiting: parts.len() };
            Ok(ask_all(env, request, parts, |_| GroupRequest::ListGroups(asked.clone()), join))
        }
    }
}

/// Partitions of the offsets topic, 0 while there is none.
fn coordinators<S: LogStore>(env: &Env<'_, '_, S>) -> i32 {
    let topic = env.image().topic(OFFSETS_TOPIC);
    topic.map_or(0, |topic| i32::try_from(topic.partitions.size()).unwrap_or(i32::MAX))
}

fn by_coordinator<S: LogStore>(env: &Env<'_, '_, S>, groups: Vec<Str>) -> (SmallMap<i32, Vec<Str>>, i32) {
    let count = coordinators(env);
    let mut parts: SmallMap<i32, Vec<Str>> = SmallMap::new();
    for group in groups {
        parts.or_default(partition_for(&group, count.max(1))).push(group);
    }
    (parts, count)
}

/// Sends a request to one coordinator; an answer at once when there is none.
pub(super) fn ask<S: LogStore>(
    env: &mut Env<'_, '_, S>,
    request: &Request,
    partition: i32,
    asked: GroupRequest,
) -> Option<GroupResponse> {
    let found = env.image().topic(OFFSETS_TOPIC).and_then(|topic| {
        let registration = topic.partitions.get(&partition)?;
        Some((TopicIdPartition { topic_id: topic.id, partition }, registration.leader == env.config.node_id))
    });
    match found {
        Some((id, true)) => {
            let token = env.token(request);
            let event = ShardEvent::Group { token, partition, request: asked };
            env.cx.effects.tell(Message::Shard(id.shard(env.shards), event));
            None
        }
        // Without an offsets topic there are no groups, and this broker is no coordinator of any.
        Some((_, false)) | None if asked.has_no_group_id() => Some(asked.refusal(ErrorCode::InvalidGroupId)),
        Some((_, false)) | None => Some(asked.refusal(ErrorCode::NotCoordinator)),
    }
}

/// The coordinator's partition of a group.
pub(super) fn coordinator_of<S: LogStore>(env: &Env<'_, '_, S>, group: &str) -> i32 {
    partition_for(group, coordinators(env).max(1))
}

fn whole<S: LogStore>(
    env: &mut Env<'_, '_, S>,
    request: &Request,
    group: &str,
    asked: GroupRequest,
) -> Handled<S> {
    let partition = coordinator_of(env, group);
    match ask(env, request, partition, asked) {
        Some(refused) => resume(env, request, Join::Whole, refused),
        None => Ok(Outcome::Wait(Box::new(Pending::Group(Join::Whole)))),
    }
}

fn ask_all<S: LogStore>(
    env: &mut Env<'_, '_, S>,
    request: &Request,
    parts: SmallMap<i32, Vec<Str>>,
    asked: impl Fn(Vec<Str>) -> GroupRequest,
    mut join: Join,
) -> Outcome<S> {
    for (partition, groups) in parts {
        if let Some(refused) = ask(env, request, partition, asked(groups)) {
            join.take(refused);
        }
    }
    join.reply_or_wait(request)
}

fn fetch_offsets<S: LogStore>(
    env: &mut Env<'_, '_, S>,
    request: &Request,
    asked: OffsetFetchRequest,
) -> Outcome<S> {
    let require_stable = asked.require_stable;
    let mut groups = offset_fetch::groups_of(asked, request.version);
    let refused = group_offsets::resolve_fetch(env, request.version, &mut groups);
    let mut join =
        Join::Fetch { asked: groups.clone(), refused, answers: BTreeMap::new(), waiting: groups.len() };
    for group in groups {
        let partition = coordinator_of(env, &group.group_id);
        if let Some(refused) =
            ask(env, request, partition, GroupRequest::OffsetFetch { group, require_stable })
        {
            join.take(refused);
        }
    }
    join.reply_or_wait(request)
}

/// A coordinator's answer arrived.
pub fn resume<S: LogStore>(
    env: &mut Env<'_, '_, S>,
    request: &Request,
    mut join: Join,
    mut response: GroupResponse,
) -> Handled<S> {
    join = match join {
        Join::Commit(commit) => return Ok(commit.finish(request, response)),
        Join::OffsetDelete(delete) => return Ok(delete.finish(request, response)),
        other => other,
    };
    if let GroupResponse::OffsetFetch(group) = &mut response
        && request.version >= group_offsets::TOPIC_ID_VERSION
    {
        group_offsets::add_topic_ids(env, group);
    }
    if !matches!(join, Join::Whole) {
        join.take(response);
        return Ok(join.reply_or_wait(request));
    }
    Ok(Outcome::Reply(match response {
        GroupResponse::JoinGroup(answer) => request.respond(&answer, []),
        GroupResponse::SyncGroup(answer) => request.respond(&answer, []),
        GroupResponse::Heartbeat(answer) => request.respond(&answer, []),
        GroupResponse::LeaveGroup(answer) => request.respond(&answer, []),
        other => return Err(format!("{} was answered with {other:?}", request.api.name())),
    }))
}

impl Join {
    /// Takes one coordinator's part.
    fn take(&mut self, response: GroupResponse) {
        match (self, response) {
            (Self::Fetch { answers, waiting, .. }, GroupResponse::OffsetFetch(answer)) => {
                *waiting = waiting.saturating_sub(1);
                answers.entry(answer.group_id.clone()).or_default().push_back(answer);
            }
            (Self::Describe { answers, waiting, .. }, GroupResponse::DescribeGroups(described)) => {
                *waiting = waiting.saturating_sub(1);
                for group in described {
                    answers.entry(group.group_id.clone()).or_default().push_back(group);
                }
            }
            (Self::List { answer, waiting }, GroupResponse::ListGroups(part)) => {
                *waiting = waiting.saturating_sub(1);
                // Other brokers coordinate the groups of other partitions, and list them.
                if answer.error_code == 0 && part.error_code != ErrorCode::NotCoordinator.code() {
                    answer.error_code = part.error_code;
                }
                answer.groups.extend(part.groups);
            }
            (Self::Delete { answers, waiting }, GroupResponse::DeleteGroups(part)) => {
                *waiting = waiting.saturating_sub(1);
                answers.extend(part);
            }
            _ => {}
        }
    }

    fn reply_or_wait<S: LogStore>(self, request: &Request) -> Outcome<S> {
        match self {
            Self::Fetch { asked, refused, mut answers, waiting: 0 } => {
                let groups = asked.iter().filter_map(|group| answers.get_mut(&group.group_id)?.pop_front());
                let groups = refused.put_back(groups.collect());
                Outcome::Reply(
                    request.respond(&offset_fetch::response_of(groups, &asked, request.version), []),
                )
            }
            Self::Describe { asked, mut answers, waiting: 0, operations } => {
                let mut groups: Vec<DescribedGroup> =
                    asked.iter().filter_map(|group| answers.get_mut(group)?.pop_front()).collect();
                for group in groups.iter_mut().filter(|group| operations && group.error_code == 0) {
                    group.authorized_operations = GROUP_OPERATIONS;
                }
                Outcome::Reply(request.respond(&DescribeGroupsResponse { throttle_time_ms: 0, groups }, []))
            }
            Self::List { answer, waiting: 0 } => Outcome::Reply(request.respond(&answer, [])),
            Self::Delete { answers, waiting: 0 } => Outcome::Reply(
                request.respond(&DeleteGroupsResponse { throttle_time_ms: 0, results: answers }, []),
            ),
            waiting => Outcome::Wait(Box::new(Pending::Group(waiting))),
        }
    }
}
