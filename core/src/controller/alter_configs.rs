//! IncrementalAlterConfigs and AlterConfigs.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::alter_configs_request::AlterConfigsRequest;
use ottla_protocol::messages::alter_configs_response::{self, AlterConfigsResponse};
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_protocol::messages::incremental_alter_configs_response::{self, IncrementalAlterConfigsResponse};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{ClearElrRecord, ConfigRecord};
use ottla_protocol::{ErrorCode, Str};

use super::{ApiError, names};
use crate::config::{
    self, AlterOp, Alteration, BrokerConfig, ConfigError, Scope, validate_broker_configs,
    validate_client_metrics_configs, validate_group_configs, validate_topic_configs,
};
use crate::metadata::{ConfigResource, ConfigResourceType, MetadataImage};
use crate::tree::IntoTree as _;

pub(super) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Decides which keys change, and what is written.
pub fn incremental_alter_configs(
    image: &MetadataImage,
    broker: &BrokerConfig,
    request: &IncrementalAlterConfigsRequest,
) -> (Vec<MetadataRecord>, IncrementalAlterConfigsResponse) {
    let resources = request
        .resources
        .iter()
        .map(|resource| (resource.resource_type, resource.resource_name.clone(), resource.configs.clone()));
    let (records, outcomes) = alter(image, broker, resources.collect(), false);
    let responses = outcomes.into_iter().map(|(resource_type, resource_name, outcome)| {
        let (error_code, error_message) = ApiError::split(outcome);
        incremental_alter_configs_response::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name,
        }
    });
    let response = IncrementalAlterConfigsResponse { throttle_time_ms: 0, responses: responses.collect() };
    (if request.validate_only { Vec::new() } else { records }, response)
}

/// Decides what becomes of resources of which every key is given.
pub fn alter_configs(
    image: &MetadataImage,
    broker: &BrokerConfig,
    request: &AlterConfigsRequest,
) -> (Vec<MetadataRecord>, AlterConfigsResponse) {
    let resources = request.resources.iter().map(|resource| {
        let set = |name: &Str, value: &Option<Str>| AlterableConfig {
            name: name.clone(),
            config_operation: AlterOp::Set as i8,
            value: value.clone(),
        };
        let asked = resource.configs.iter().map(|one| set(&one.name, &one.value));
        (resource.resource_type, resource.resource_name.clone(), asked.collect())
    });
    let (records, outcomes) = alter(image, broker, resources.collect(), true);
    let responses = outcomes.into_iter().map(|(resource_type, resource_name, outcome)| {
        let (error_code, error_message) = ApiError::split(outcome);
        alter_configs_response::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name,
        }
    });
    let response = AlterConfigsResponse { throttle_time_ms: 0, responses: responses.collect() };
    (if request.validate_only { Vec::new() } else { records }, response)
}

type Outcomes = Vec<(i8, Str, Result<(), ApiError>)>;

/// With `replace`, keys that are not given are removed.
fn alter(
    image: &MetadataImage,
    broker: &BrokerConfig,
    resources: Vec<(i8, Str, Vec<AlterableConfig>)>,
    replace: bool,
) -> (Vec<MetadataRecord>, Outcomes) {
    let twice = duplicates(resources.iter().map(|(kind, name, _)| (*kind, name)));
    let mut records = Vec::new();
    let mut outcomes = Vec::with_capacity(resources.len());
    for (kind, name, asked) in resources {
        let outcome = if twice.contains(&(kind, name.clone())) {
            Err(invalid_request("Each resource must appear at most once."))
        } else {
            alter_resource(image, broker, kind, &name, &asked, replace)
                .map(|mut changes| records.append(&mut changes))
        };
        outcomes.push((kind, name, outcome));
    }
    let mut cleared = clear_elr(image, &records);
    records.append(&mut cleared);
    (records, outcomes)
}

/// Who was eligible under another `min.insync.replicas` may lack what was committed since (KIP-966).
fn clear_elr(image: &MetadataImage, records: &[MetadataRecord]) -> Vec<MetadataRecord> {
    if !image.features.has_eligible_leader_replicas() {
        return Vec::new();
    }
    let changed = records.iter().filter_map(|record| match record {
        MetadataRecord::Config(config) if *config.name == *MIN_INSYNC_REPLICAS => Some(config),
        _ => None,
    });
    let is_of_topic = |config: &ConfigRecord| config.resource_type == ConfigResourceType::Topic.code();
    let topic = |config| if is_of_topic(config) { config.resource_name.clone() } else { Str::default() };
    changed.map(|config| ClearElrRecord { topic_name: topic(config) }.into()).collect()
}

fn alter_resource(
    image: &MetadataImage,
    broker: &BrokerConfig,
    kind: i8,
    name: &Str,
    asked: &[AlterableConfig],
    replace: bool,
) -> Result<Vec<MetadataRecord>, ApiError> {
    let Some(resource_type) = ConfigResourceType::from_code(kind) else {
        return Err(invalid_request(format!("Unknown resource type {kind}")));
    };
    if resource_type == ConfigResourceType::BrokerLogger {
        // Who was asked for them has taken them out.
        return Err(invalid_request(format!("Unknown resource type {kind}")));
    }
    let alterations = parse(asked)?;
    check_name(image, broker, resource_type, name)?;
    let resource = ConfigResource::new(resource_type, name.detached());
    let current = texts(&image.configs.of(&resource));
    let alterations = if replace { with_removals(alterations, &current) } else { alterations };
    check_elr(image, &resource, resource_type, &alterations)?;
    let changes =
        config::alter_configs(scope(resource_type), &current, &alterations).map_err(invalid_config)?;
    let mut after = current.clone();
    for (key, value) in &changes {
        match value {
            Some(value) => after.insert(key.clone(), value.clone()),
            None => after.remove(key),
        };
    }
    validate(broker, resource_type, name, &current, &after)?;
    if resource_type == ConfigResourceType::Topic {
        names::validate(name)?;
        if image.topic(name).is_none() {
            let sentence = format!("The topic '{name}' does not exist.");
            return Err(ApiError::new(ErrorCode::UnknownTopicOrPartition, sentence));
        }
    }
    let record = |(key, value): (String, Option<String>)| {
        ConfigRecord {
            resource_type: resource.kind,
            resource_name: resource.name.clone(),
            name: key.into(),
            value: value.map(Str::from),
        }
        .into()
    };
    Ok(changes.into_iter().map(record).collect())
}

/// The resources that are named more than once.
pub fn duplicates<'a>(resources: impl Iterator<Item = (i8, &'a Str)>) -> BTreeSet<(i8, Str)> {
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for (kind, name) in resources {
        if !seen.insert((kind, name)) {
            twice.insert((kind, name.clone()));
        }
    }
    twice
}

/// The changes of one resource, each of another key.
pub fn parse(asked: &[AlterableConfig]) -> Result<Vec<Alteration>, ApiError> {
    let is_null =
        |one: &&AlterableConfig| one.config_operation != AlterOp::Delete as i8 && one.value.is_none();
    let nulls: Vec<&str> = asked.iter().filter(is_null).map(|one| &*one.name).collect();
    if !nulls.is_empty() {
        return Err(invalid_request(format!("Null value not supported for : {}", nulls.join(", "))));
    }
    let mut seen = BTreeSet::new();
    if !asked.iter().all(|one| seen.insert(&one.name)) {
        return Err(invalid_request("Error due to duplicate config keys"));
    }
    let alteration = |one: &AlterableConfig| {
        let unknown = ApiError::bare(ErrorCode::UnknownServerError);
        let op = AlterOp::from_id(one.config_operation).ok_or(unknown)?;
        Ok(Alteration { name: one.name.to_string(), op, value: one.value.as_ref().map(Str::to_string) })
    };
    asked.iter().map(alteration).collect()
}

fn with_removals(mut alterations: Vec<Alteration>, current: &BTreeMap<String, String>) -> Vec<Alteration> {
    let given: BTreeSet<String> = alterations.iter().map(|one| one.name.clone()).into_set();
    let gone = current.keys().filter(|key| !given.contains(*key));
    alterations.extend(gone.map(|key| Alteration { name: key.clone(), op: AlterOp::Delete, value: None }));
    alterations
}

/// Names that no resource of its kind can have. The other brokers of the cluster ask for themselves.
fn check_name(
    image: &MetadataImage,
    broker: &BrokerConfig,
    resource_type: ConfigResourceType,
    name: &Str,
) -> Result<(), ApiError> {
    match resource_type {
        ConfigResourceType::Topic if name.is_empty() => {
            Err(invalid_request("Default topic resources are not allowed."))
        }
        ConfigResourceType::Topic => names::validate(name),
        ConfigResourceType::Group if name.is_empty() => {
            Err(invalid_request("Default group resources are not allowed."))
        }
        ConfigResourceType::ClientMetrics if name.is_empty() => {
            Err(invalid_request("Subscription name can't be empty"))
        }
        ConfigResourceType::Group | ConfigResourceType::ClientMetrics => Ok(()),
        ConfigResourceType::Broker if name.is_empty() => Ok(()),
        ConfigResourceType::Broker => match name.parse::<i32>() {
            Ok(id) if id == broker.node_id || image.broker(id).is_some() => Ok(()),
            Ok(id) => {
                let own = broker.node_id;
                Err(invalid_request(format!("Unexpected broker id, expected {own}, but received {id}")))
            }
            Err(_) => Err(invalid_request(format!("Node id must be an integer, but it is: {name}"))),
        },
        // Never comes so far.
        ConfigResourceType::BrokerLogger => Ok(()),
    }
}

/// With eligible leader replicas, `min.insync.replicas` belongs to the cluster and the topics (KIP-966).
fn check_elr(
    image: &MetadataImage,
    resource: &ConfigResource,
    resource_type: ConfigResourceType,
    alterations: &[Alteration],
) -> Result<(), ApiError> {
    if resource_type != ConfigResourceType::Broker || !image.features.has_eligible_leader_replicas() {
        return Ok(());
    }
    let Some(alteration) = alterations.iter().find(|one| one.name == MIN_INSYNC_REPLICAS) else {
        return Ok(());
    };
    let refuse = |what: &str| {
        let sentence = format!("{what} while ELR is enabled.");
        Err(ApiError::new(ErrorCode::InvalidConfig, sentence))
    };
    if !resource.name.is_empty() {
        return refuse("Broker-level min.insync.replicas cannot be altered");
    }
    if alteration.op == AlterOp::Delete {
        return refuse("Cluster-level min.insync.replicas cannot be removed");
    }
    Ok(())
}

fn validate(
    broker: &BrokerConfig,
    resource_type: ConfigResourceType,
    name: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    match resource_type {
        ConfigResourceType::Topic => validate_topic_configs(broker, before, after).map_err(invalid_config),
        ConfigResourceType::Group => validate_group_configs(broker, after).map_err(invalid_config),
        ConfigResourceType::ClientMetrics => {
            validate_client_metrics_configs(name, after).map_err(client_metrics_error)
        }
        ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => {
            let refused = |error: ConfigError| invalid_request(error.to_string());
            validate_broker_configs(broker, after, !name.is_empty()).map_err(refused)
        }
    }
}

fn scope(resource_type: ConfigResourceType) -> Scope {
    match resource_type {
        ConfigResourceType::Topic => Scope::Topic,
        ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => Scope::Broker,
        ConfigResourceType::ClientMetrics => Scope::ClientMetrics,
        ConfigResourceType::Group => Scope::Group,
    }
}

fn texts(configs: &BTreeMap<Str, Str>) -> BTreeMap<String, String> {
    configs.iter().map(|(key, value)| (key.to_string(), value.to_string())).into_map()
}

fn invalid_request(sentence: impl Into<Str>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, sentence)
}

fn invalid_config(error: ConfigError) -> ApiError {
    ApiError::new(ErrorCode::InvalidConfig, error.to_string())
}

/// Kafka calls some of these a wrong request and some a wrong configuration.
fn client_metrics_error(error: ConfigError) -> ApiError {
    let sentence = error.to_string();
    let is_request = matches!(error, ConfigError::UnknownKey { .. }) || sentence.contains("interval must be");
    let code = if is_request { ErrorCode::InvalidRequest } else { ErrorCode::InvalidConfig };
    ApiError::new(code, sentence)
}
