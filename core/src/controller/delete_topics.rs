//! DeleteTopics.

use std::collections::BTreeMap;

use ottla_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::RemoveTopicRecord;
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::ApiError;
use crate::config::BrokerConfig;
use crate::metadata::MetadataImage;

/// Decides which topics go, and what is written.
pub fn delete_topics(
    image: &MetadataImage,
    config: &BrokerConfig,
    request: &DeleteTopicsRequest,
) -> (Vec<MetadataRecord>, DeleteTopicsResponse) {
    let by_name = |name: &Str| DeleteTopicState { name: Some(name.clone()), topic_id: Uuid::ZERO };
    let asked: Vec<DeleteTopicState> =
        request.topics.iter().cloned().chain(request.topic_names.iter().map(by_name)).collect();
    let mut records = Vec::new();
    let mut responses = Vec::new();
    let mut times: BTreeMap<(Option<Str>, Uuid), usize> = BTreeMap::new();
    for topic in &asked {
        *times.entry((topic.name.clone(), topic.topic_id)).or_default() += 1;
    }
    let mut deleted: Vec<Uuid> = Vec::new();
    for topic in &asked {
        let Some(count) = times.remove(&(topic.name.clone(), topic.topic_id)) else { continue };
        let (name, topic_id, outcome) = match resolve(image, config, topic, count) {
            Ok((_, id)) if deleted.contains(&id) => {
                let sentence = "The provided topic name maps to an ID that was already supplied.";
                (topic.name.clone(), topic.topic_id, Err(ApiError::new(ErrorCode::InvalidRequest, sentence)))
            }
            Ok((name, id)) => {
                deleted.push(id);
                records.push(RemoveTopicRecord { topic_id: id }.into());
                (Some(name), id, Ok(()))
            }
            Err(error) => (topic.name.clone(), topic.topic_id, Err(error)),
        };
        let (error_code, error_message) = ApiError::split(outcome);
        responses.push(DeletableTopicResult { name, topic_id, error_code, error_message });
    }
    (records, DeleteTopicsResponse { throttle_time_ms: 0, responses })
}

/// Name and id of the topic that is meant.
fn resolve(
    image: &MetadataImage,
    config: &BrokerConfig,
    topic: &DeleteTopicState,
    times: usize,
) -> Result<(Str, Uuid), ApiError> {
    let invalid = |sentence: &str| Err(ApiError::new(ErrorCode::InvalidRequest, sentence));
    if !config.delete_topic_enable {
        return Err(ApiError::standard(ErrorCode::TopicDeletionDisabled));
    }
    match (&topic.name, topic.topic_id) {
        (None, Uuid::ZERO) => invalid("Neither topic name nor id were specified."),
        (Some(_), id) if id != Uuid::ZERO => invalid("You may not specify both topic name and topic id."),
        (Some(_), _) if times > 1 => invalid("Duplicate topic name."),
        (None, _) if times > 1 => invalid("Duplicate topic id."),
        (Some(name), _) => match image.topic(name) {
            Some(topic) => Ok((topic.name.clone(), topic.id)),
            None => Err(ApiError::standard(ErrorCode::UnknownTopicOrPartition)),
        },
        (None, id) => match image.topic_by_id(id) {
            Some(topic) => Ok((topic.name.clone(), topic.id)),
            None => Err(ApiError::standard(ErrorCode::UnknownTopicId)),
        },
    }
}
