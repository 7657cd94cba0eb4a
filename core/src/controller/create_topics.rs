//! CreateTopics.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{ConfigRecord, TopicRecord};
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::mutation_quotas::MutationQuota;
use super::{ApiError, names, placement};
use crate::config::{self, BrokerConfig};
use crate::metadata::{ConfigResourceType, MetadataImage, PartitionRegistration};
use crate::quorum::METADATA_TOPIC;
use crate::rng::Rng;
use crate::tree::IntoTree as _;

/// Partitions that one request may create.
pub(super) const PARTITIONS_PER_REQUEST_MAX: i64 = 10_000;

/// Decides which of the topics come to be, and what is written.
pub fn create_topics(
    image: &MetadataImage,
    config: &BrokerConfig,
    rng: &mut Rng,
    quota: &mut MutationQuota<'_>,
    request: &CreateTopicsRequest,
) -> (Vec<MetadataRecord>, CreateTopicsResponse) {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&Str> =
        request.topics.iter().map(|topic| &topic.name).filter(|name| !seen.insert(*name)).into_set();
    let is_metadata_topic = |topic: &CreatableTopic| *topic.name == *METADATA_TOPIC;
    let asked =
        || request.topics.iter().filter(|topic| !twice.contains(&topic.name) && !is_metadata_topic(topic));
    let mut records = Vec::new();
    let mut topics: Vec<CreatableTopicResult> = Vec::new();
    if asked().map(|topic| partitions_of(config, topic)).sum::<i64>() > PARTITIONS_PER_REQUEST_MAX {
        let error =
            ApiError::new(ErrorCode::PolicyViolation, "Excessively large number of partitions per request.");
        topics.extend(asked().map(|topic| refused(topic.name.clone(), error.clone())));
    } else {
        for topic in asked() {
            topics.push(match create_topic(image, config, rng, quota, topic) {
                Ok((mut written, created)) => {
                    records.append(&mut written);
                    created
                }
                Err(error) => refused(topic.name.clone(), error),
            });
        }
    }
    topics.extend(twice.iter().map(|name| {
        refused((*name).clone(), ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
    }));
    let prohibited = format!("Creation of internal topic {METADATA_TOPIC} is prohibited.");
    topics.extend(
        request.topics.iter().filter(|topic| is_metadata_topic(topic) && !twice.contains(&topic.name)).map(
            |topic| {
                refused(topic.name.clone(), ApiError::new(ErrorCode::InvalidRequest, prohibited.as_str()))
            },
        ),
    );
    if request.validate_only {
        records.clear();
    }
    (records, CreateTopicsResponse { throttle_time_ms: quota.throttle_time_ms(), topics })
}

fn refused(name: Str, error: ApiError) -> CreatableTopicResult {
    let (error_code, error_message) = ApiError::split(Err(error));
    CreatableTopicResult {
        name,
        topic_id: Uuid::ZERO,
        error_code,
        error_message,
        num_partitions: -1,
        replication_factor: -1,
        configs: Some(Vec::new()),
        ..CreatableTopicResult::default()
    }
}

/// How many partitions a topic asks for; nonsense counts as none.
fn partitions_of(config: &BrokerConfig, topic: &CreatableTopic) -> i64 {
    if !topic.assignments.is_empty() {
        return i64::try_from(topic.assignments.len()).unwrap_or(i64::MAX);
    }
    match topic.num_partitions {
        -1 => i64::from(config.num_partitions),
        partitions => i64::from(partitions.max(0)),
    }
}

fn create_topic(
    image: &MetadataImage,
    config: &BrokerConfig,
    rng: &mut Rng,
    quota: &mut MutationQuota<'_>,
    topic: &CreatableTopic,
) -> Result<(Vec<MetadataRecord>, CreatableTopicResult), ApiError> {
    names::validate(&topic.name)?;
    names::check_collision(image, &topic.name)?;
    if image.topic(&topic.name).is_some() {
        let sentence = format!("Topic '{}' already exists.", topic.name);
        return Err(ApiError::new(ErrorCode::TopicAlreadyExists, sentence));
    }
    let configs = creation_configs(config, topic)?;
    let partitions = if topic.assignments.is_empty() {
        placed(image, config, rng, topic)?
    } else {
        assigned(image, topic)?
    };
    quota.take(partitions.len())?;
    let topic_id = rng.uuid();
    let name = topic.name.detached();
    let mut records: Vec<MetadataRecord> = vec![TopicRecord { name: name.clone(), topic_id }.into()];
    records.extend(configs.iter().map(|(key, value)| {
        ConfigRecord {
            resource_type: ConfigResourceType::Topic.code(),
            resource_name: name.clone(),
            name: key.detached(),
            value: Some(value.detached()),
        }
        .into()
    }));
    let version = image.features.metadata_version();
    let indexed = (0..).zip(&partitions);
    records.extend(indexed.map(|(index, partition)| partition.to_record(topic_id, index, version).into()));
    let replicas = partitions.first().map_or(0, |partition| partition.replicas.len());
    let created = CreatableTopicResult {
        name,
        topic_id,
        error_message: None,
        num_partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(replicas).unwrap_or(i16::MAX),
        configs: Some(describe(image, config, &configs)),
        ..CreatableTopicResult::default()
    };
    Ok((records, created))
}

/// The last of several values for one key holds.
fn creation_configs(config: &BrokerConfig, topic: &CreatableTopic) -> Result<BTreeMap<Str, Str>, ApiError> {
    let nulls: Vec<&str> =
        topic.configs.iter().filter(|config| config.value.is_none()).map(|config| &*config.name).collect();
    if !nulls.is_empty() {
        let sentence = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err(ApiError::new(ErrorCode::InvalidConfig, sentence));
    }
    let configs: BTreeMap<Str, Str> = topic
        .configs
        .iter()
        .filter_map(|config| Some((config.name.clone(), config.value.clone()?)))
        .into_map();
    let texts = configs.iter().map(|(key, value)| (key.to_string(), value.to_string())).into_map();
    config::validate_topic_configs(config, &BTreeMap::new(), &texts)
        .map_err(|error| ApiError::new(ErrorCode::InvalidConfig, error.to_string()))?;
    Ok(configs)
}

/// Every key of the topic with its value and where that comes from (KIP-525).
fn describe(
    image: &MetadataImage,
    config: &BrokerConfig,
    own: &BTreeMap<Str, Str>,
) -> Vec<CreatableTopicConfigs> {
    let config = image.in_force(config);
    let described = config::describe_topic(&config, own.iter().map(|(key, value)| (&**key, &**value)));
    described
        .into_iter()
        .map(|one| CreatableTopicConfigs {
            name: one.name.into(),
            value: one.value.map(Str::from),
            read_only: one.read_only,
            config_source: one.source as i8,
            is_sensitive: one.is_sensitive,
        })
        .collect()
}

fn placed(
    image: &MetadataImage,
    config: &BrokerConfig,
    rng: &mut Rng,
    topic: &CreatableTopic,
) -> Result<Vec<PartitionRegistration>, ApiError> {
    let replication_factor = match topic.replication_factor {
        -1 => i16::try_from(config.default_replication_factor).unwrap_or(i16::MAX),
        given if given < 1 => {
            return Err(ApiError::new(
                ErrorCode::InvalidReplicationFactor,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            ));
        }
        given => given,
    };
    let partitions = match topic.num_partitions {
        -1 => config.num_partitions,
        given if given < 1 => {
            return Err(ApiError::new(
                ErrorCode::InvalidPartitions,
                "Number of partitions was set to an invalid non-positive value.",
            ));
        }
        given => given,
    };
    placement::place(image, rng, 0, partitions, replication_factor)
}

fn assigned(image: &MetadataImage, topic: &CreatableTopic) -> Result<Vec<PartitionRegistration>, ApiError> {
    let invalid = |sentence: &str| ApiError::new(ErrorCode::InvalidRequest, sentence);
    if topic.replication_factor != -1 {
        return Err(invalid(
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ));
    }
    if topic.num_partitions != -1 {
        return Err(invalid(
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ));
    }
    let mut partitions: BTreeMap<i32, PartitionRegistration> = BTreeMap::new();
    let mut replication_factor = None;
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if partitions.contains_key(&index) {
            return Err(ApiError::new(
                ErrorCode::InvalidReplicaAssignment,
                format!("Found multiple manual partition assignments for partition {index}"),
            ));
        }
        let partition =
            placement::assigned_partition(image, index, &assignment.broker_ids, replication_factor)?;
        replication_factor = Some(assignment.broker_ids.len());
        partitions.insert(index, partition);
    }
    if !partitions.keys().copied().eq((0..).take(partitions.len())) {
        return Err(ApiError::new(
            ErrorCode::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence",
        ));
    }
    Ok(partitions.into_values().collect())
}
