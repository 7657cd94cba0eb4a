//! DeleteTopics.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::RemoveTopicRecord;
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::ApiError;
use super::mutation_quotas::MutationQuota;
use crate::config::BrokerConfig;
use crate::metadata::MetadataImage;

/// Decides which topics go, and what is written.
pub fn delete_topics(
    image: &MetadataImage,
    config: &BrokerConfig,
    quota: &mut MutationQuota<'_>,
    request: &DeleteTopicsRequest,
) -> (Vec<MetadataRecord>, DeleteTopicsResponse) {
    let by_name = |name: &Str| DeleteTopicState { name: Some(name.clone()), topic_id: Uuid::ZERO };
    let asked: Vec<DeleteTopicState> =
        request.topics.iter().cloned().chain(request.topic_names.iter().map(by_name)).collect();
    let mut answers = Answers::default();
    if !config.delete_topic_enable {
        for topic in asked {
            answers.refuse(topic.name, topic.topic_id, ApiError::standard(ErrorCode::TopicDeletionDisabled));
        }
        return (Vec::new(), answers.into());
    }
    let mut times: BTreeMap<(Option<Str>, Uuid), usize> = BTreeMap::new();
    for topic in &asked {
        *times.entry((topic.name.clone(), topic.topic_id)).or_default() += 1;
    }
    let mut doomed: BTreeMap<Uuid, Str> = BTreeMap::new();
    let mut named_twice: BTreeSet<Uuid> = BTreeSet::new();
    // Ids first: a name that leads to one of them is refused, and nothing happens to the topic.
    let (by_id, by_name): (Vec<_>, Vec<_>) = asked.into_iter().partition(|topic| topic.name.is_none());
    for DeleteTopicState { topic_id, .. } in by_id {
        if topic_id == Uuid::ZERO {
            answers.invalid(None, topic_id, "Neither topic name nor id were specified.");
            continue;
        }
        match times.remove(&(None, topic_id)) {
            None => {}
            Some(1) => match image.topic_by_id(topic_id) {
                Some(topic) => _ = doomed.insert(topic_id, topic.name.clone()),
                None => answers.refuse(None, topic_id, ApiError::standard(ErrorCode::UnknownTopicId)),
            },
            Some(_) => {
                named_twice.insert(topic_id);
                answers.invalid(None, topic_id, "Duplicate topic id.");
            }
        }
    }
    for DeleteTopicState { name, topic_id } in by_name {
        if topic_id != Uuid::ZERO {
            answers.invalid(name, topic_id, "You may not specify both topic name and topic id.");
            continue;
        }
        let Some(times) = times.remove(&(name.clone(), topic_id)) else { continue };
        if times > 1 {
            answers.invalid(name, Uuid::ZERO, "Duplicate topic name.");
            continue;
        }
        match name.as_deref().and_then(|name| image.topic(name)) {
            None => {
                let unknown = ApiError::standard(ErrorCode::UnknownTopicOrPartition);
                answers.refuse(name, Uuid::ZERO, unknown);
            }
            Some(topic) if named_twice.contains(&topic.id) || doomed.remove(&topic.id).is_some() => {
                named_twice.insert(topic.id);
                let sentence = "The provided topic name maps to an ID that was already supplied.";
                answers.invalid(name, topic.id, sentence);
            }
            Some(topic) => _ = doomed.insert(topic.id, topic.name.clone()),
        }
    }
    let mut records = Vec::new();
    for (topic_id, name) in doomed {
        let partitions = image.topic_by_id(topic_id).map_or(0, |topic| topic.partitions.size());
        let outcome = quota.take(partitions);
        records.extend(outcome.is_ok().then(|| RemoveTopicRecord { topic_id }.into()));
        answers.add(Some(name), topic_id, outcome);
    }
    let throttle_time_ms = quota.throttle_time_ms();
    (records, DeleteTopicsResponse { throttle_time_ms, ..answers.into() })
}

/// The answers so far. (Kafka shuffles them: their order is nothing.)
#[derive(Debug, Default)]
struct Answers(Vec<DeletableTopicResult>);

impl Answers {
    fn add(&mut self, name: Option<Str>, topic_id: Uuid, outcome: Result<(), ApiError>) {
        let (error_code, error_message) = ApiError::split(outcome);
        self.0.push(DeletableTopicResult { name, topic_id, error_code, error_message });
    }

    fn refuse(&mut self, name: Option<Str>, topic_id: Uuid, error: ApiError) {
        self.add(name, topic_id, Err(error));
    }

    fn invalid(&mut self, name: Option<Str>, topic_id: Uuid, sentence: &'static str) {
        self.refuse(name, topic_id, ApiError::new(ErrorCode::InvalidRequest, sentence));
    }
}

impl From<Answers> for DeleteTopicsResponse {
    fn from(answers: Answers) -> Self {
        Self { throttle_time_ms: 0, responses: answers.0 }
    }
}
