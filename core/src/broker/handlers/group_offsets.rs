//! OffsetCommit, OffsetFetch and OffsetDelete: which topics there are is the broker's part, the offsets are the coordinator's.

use bytes::Bytes;
use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_delete_request::OffsetDeleteRequest;
use ottla_protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::group::{self, Join};
use super::{Env, Handled, Outcome, Pending};
use crate::broker::request::Request;
use crate::coordinator::group::{GroupRequest, GroupResponse};
use crate::log::LogStore;

/// From here on both APIs name topics by id (KIP-848).
pub const TOPIC_ID_VERSION: i16 = 10;

/// What the broker refused of a commit, before the coordinator was asked for the rest.
#[derive(Clone, Debug)]
pub struct CommitJoin {
    refused: Vec<OffsetCommitResponseTopic>,
}

pub fn commit<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let mut asked: OffsetCommitRequest = request.decode(body)?;
    let mut join = CommitJoin { refused: Vec::new() };
    let topics = std::mem::take(&mut asked.topics);
    let nothing_asked = topics.is_empty();
    for mut topic in topics {
        let by_id = request.version >= TOPIC_ID_VERSION;
        let found =
            if by_id { env.image().topic_by_id(topic.topic_id) } else { env.image().topic(&topic.name) };
        let Some(image) = found else {
            let error = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
            join.refuse(&topic, &|_| Some(error));
            continue;
        };
        topic.name = image.name.clone();
        topic.topic_id = image.id;
        let unknown = |index: i32| {
            (!image.partitions.contains_key(&index)).then_some(ErrorCode::UnknownTopicOrPartition)
        };
        join.refuse(&topic, &unknown);
        topic.partitions.retain(|partition| unknown(partition.partition_index).is_none());
        if !topic.partitions.is_empty() {
            asked.topics.push(topic);
        }
    }
    if asked.topics.is_empty() && !nothing_asked {
        return Ok(join.finish(request, GroupResponse::OffsetCommit(OffsetCommitResponse::default())));
    }
    let partition = group::coordinator_of(env, &asked.group_id);
    let asked = GroupRequest::OffsetCommit { version: request.version, request: asked };
    match group::ask(env, request, partition, asked) {
        Some(refused) => Ok(join.finish(request, refused)),
        None => Ok(Outcome::Wait(Box::new(Pending::Group(Join::Commit(join))))),
    }
}

impl CommitJoin {
    fn refuse(&mut self, topic: &OffsetCommitRequestTopic, error: &dyn Fn(i32) -> Option<ErrorCode>) {
        let partitions: Vec<_> = topic
            .partitions
            .iter()
            .filter_map(|partition| {
                let partition_index = partition.partition_index;
                let error_code = error(partition_index)?.code();
                Some(OffsetCommitResponsePartition { partition_index, error_code })
            })
            .collect();
        if !partitions.is_empty() {
            let (name, topic_id) = (topic.name.clone(), topic.topic_id);
            self.refused.push(OffsetCommitResponseTopic { name, topic_id, partitions });
        }
    }

    /// The coordinator's answer behind the broker's own refusals, as Apache Kafka orders them.
    pub fn finish<S: LogStore>(self, request: &Request, response: GroupResponse) -> Outcome<S> {
        let mut topics = self.refused;
        if let GroupResponse::OffsetCommit(answer) = response {
            if topics.is_empty() {
                return Outcome::Reply(request.respond(&answer, []));
            }
            for topic in answer.topics {
                match topics
                    .iter_mut()
                    .find(|other| other.name == topic.name && other.topic_id == topic.topic_id)
                {
                    Some(other) => other.partitions.extend(topic.partitions),
                    None => topics.push(topic),
                }
            }
        }
        Outcome::Reply(request.respond(&OffsetCommitResponse { topics, ..Default::default() }, []))
    }
}

/// What the broker refused of an OffsetDelete, before the coordinator was asked for the rest.
#[derive(Clone, Debug)]
pub struct DeleteJoin {
    refused: Vec<OffsetDeleteResponseTopic>,
}

pub fn delete<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let mut asked: OffsetDeleteRequest = request.decode(body)?;
    let mut join = DeleteJoin { refused: Vec::new() };
    for mut topic in std::mem::take(&mut asked.topics) {
        let image = env.image().topic(&topic.name);
        let is_known = |index: i32| image.is_some_and(|image| image.partitions.contains_key(&index));
        let refused = topic.partitions.iter().filter(|partition| !is_known(partition.partition_index));
        let refused: Vec<_> = refused
            .map(|partition| OffsetDeleteResponsePartition {
                partition_index: partition.partition_index,
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
            })
            .collect();
        if image.is_none() || !refused.is_empty() {
            merge(
                &mut join.refused,
                OffsetDeleteResponseTopic { name: topic.name.clone(), partitions: refused },
            );
        }
        topic.partitions.retain(|partition| is_known(partition.partition_index));
        if !topic.partitions.is_empty() {
            asked.topics.push(topic);
        }
    }
    let partition = group::coordinator_of(env, &asked.group_id);
    match group::ask(env, request, partition, GroupRequest::OffsetDelete(asked)) {
        Some(refused) => Ok(join.finish(request, refused)),
        None => Ok(Outcome::Wait(Box::new(Pending::Group(Join::OffsetDelete(join))))),
    }
}

fn merge(topics: &mut Vec<OffsetDeleteResponseTopic>, topic: OffsetDeleteResponseTopic) {
    match topics.iter_mut().find(|other| other.name == topic.name) {
        Some(other) => other.partitions.extend(topic.partitions),
        None => topics.push(topic),
    }
}

impl DeleteJoin {
    /// The coordinator's answer behind the broker's own refusals, unless it refused everything.
    pub fn finish<S: LogStore>(self, request: &Request, response: GroupResponse) -> Outcome<S> {
        let mut answer = match response {
            GroupResponse::OffsetDelete(answer) => answer,
            _ => OffsetDeleteResponse::default(),
        };
        if answer.error_code == 0 {
            let found = std::mem::replace(&mut answer.topics, self.refused);
            found.into_iter().for_each(|topic| merge(&mut answer.topics, topic));
        }
        Outcome::Reply(request.respond(&answer, []))
    }
}

/// Topics of an OffsetFetch that do not exist, by the place of their group in the request.
#[derive(Clone, Debug, Default)]
pub struct Refused(Vec<(usize, OffsetFetchResponseTopics)>);

/// Gives topics their names and ids, and takes those out that no id leads to.
pub fn resolve_fetch<S: LogStore>(
    env: &Env<'_, '_, S>,
    version: i16,
    groups: &mut [OffsetFetchRequestGroup],
) -> Refused {
    let mut refused = Refused::default();
    if version < TOPIC_ID_VERSION {
        return refused;
    }
    for (place, group) in groups.iter_mut().enumerate() {
        let Some(topics) = &mut group.topics else { continue };
        topics.retain_mut(|topic| match env.image().topic_by_id(topic.topic_id) {
            Some(image) => {
                topic.name = image.name.clone();
                true
            }
            None => {
                let partition = |index: &i32| OffsetFetchResponsePartitions {
                    partition_index: *index,
                    committed_offset: -1,
                    committed_leader_epoch: -1,
                    metadata: Some(Str::default()),
                    error_code: ErrorCode::UnknownTopicId.code(),
                };
                let answer = OffsetFetchResponseTopics {
                    topic_id: topic.topic_id,
                    partitions: topic.partition_indexes.iter().map(partition).collect(),
                    ..OffsetFetchResponseTopics::default()
                };
                refused.0.push((place, answer));
                false
            }
        });
    }
    refused
}

/// Gives topics that were not asked for by id theirs; one that is no more is left out.
pub fn add_topic_ids<S: LogStore>(env: &Env<'_, '_, S>, group: &mut OffsetFetchResponseGroup) {
    group.topics.retain_mut(|topic| {
        if topic.topic_id == Uuid::ZERO {
            topic.topic_id = env.image().topic(&topic.name).map_or(Uuid::ZERO, |image| image.id);
        }
        topic.topic_id != Uuid::ZERO
    });
}

impl Refused {
    /// Adds the refusals behind what the coordinators found; a group that failed as a whole says so alone.
    pub fn put_back(self, mut groups: Vec<OffsetFetchResponseGroup>) -> Vec<OffsetFetchResponseGroup> {
        for (place, topic) in self.0 {
            if let Some(group) = groups.get_mut(place).filter(|group| group.error_code == 0) {
                group.topics.push(topic);
            }
        }
        groups
    }
}
