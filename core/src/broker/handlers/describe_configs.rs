//! DescribeConfigs: what a resource's keys are worth and who says so (KIP-133, 226, 569, 714, 848).

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use ottla_protocol::{ErrorCode, Str};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::loggers::{Level, Levels};
use crate::broker::request::Request;
use crate::config::{self, ConfigSource, DescribedConfig};
use crate::controller::names;
use crate::log::LogStore;
use crate::machine::Effect;
use crate::metadata::{ConfigResource, ConfigResourceType};

/// A refusal of one resource.
type Refused = (ErrorCode, Option<String>);

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: DescribeConfigsRequest = request.decode(body)?;
    let loggers = ConfigResourceType::BrokerLogger.code();
    if asked.resources.iter().any(|resource| resource.resource_type == loggers) {
        env.cx.effects.push(Effect::SayLevels { connection: env.connection, request: request.id });
        return Ok(Outcome::Wait(Box::new(Pending::DescribeConfigs(asked))));
    }
    Ok(answer(env, request, &asked, &Levels::default()))
}

pub fn answer<S: LogStore>(
    env: &Env<'_, '_, S>,
    request: &Request,
    asked: &DescribeConfigsRequest,
    levels: &Levels,
) -> Outcome<S> {
    let results = asked.resources.iter().map(|resource| {
        let described = describe(env, resource, levels);
        let (error, message, configs) = match described {
            Ok(configs) => (ErrorCode::None, Some(String::new()), configs),
            Err((error, message)) => (error, message, Vec::new()),
        };
        let wanted = |config: &DescribedConfig| match &resource.configuration_keys {
            Some(keys) if !keys.is_empty() => keys.iter().any(|key| *key == config.name),
            _ => true,
        };
        let entry =
            |config: DescribedConfig| entry(config, asked.include_synonyms, asked.include_documentation);
        DescribeConfigsResult {
            error_code: error.code(),
            error_message: message.map(Str::from),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs: configs.into_iter().filter(|config| wanted(config)).map(entry).collect(),
        }
    });
    let response =
        DescribeConfigsResponse { results: results.collect(), ..DescribeConfigsResponse::default() };
    Outcome::Reply(request.respond(&response, []))
}

fn describe<S: LogStore>(
    env: &Env<'_, '_, S>,
    asked: &DescribeConfigsResource,
    levels: &Levels,
) -> Result<Vec<DescribedConfig>, Refused> {
    let name = &*asked.resource_name;
    let invalid = |message: &str| (ErrorCode::InvalidRequest, Some(message.to_owned()));
    let set = |kind| env.image().configs.of(&ConfigResource::new(kind, name));
    match ConfigResourceType::from_code(asked.resource_type) {
        Some(ConfigResourceType::Topic) => {
            names::validate(name).map_err(|error| (error.code, error.message.map(String::from)))?;
            if env.image().topic(name).is_none() {
                return Err((ErrorCode::UnknownTopicOrPartition, Some(String::new())));
            }
            Ok(config::describe_topic(
                &env.image().in_force(env.config),
                borrowed(&set(ConfigResourceType::Topic)),
            ))
        }
        Some(ConfigResourceType::Broker) => {
            let id = match name {
                "" => None,
                name => Some(
                    name.parse::<i32>()
                        .map_err(|_| invalid(&format!("Broker id must be an integer, but it is: {name}")))?,
                ),
            };
            if id.is_some_and(|id| id != env.config.node_id) {
                let expected = env.config.node_id;
                return Err(invalid(&format!(
                    "Unexpected broker id, expected {expected} or empty string, but received {name}"
                )));
            }
            let broker = env.image().in_force(env.config);
            Ok(match id {
                None => config::describe_cluster_default(&broker),
                Some(_) => config::describe_broker(&broker),
            })
        }
        Some(ConfigResourceType::ClientMetrics) if name.is_empty() => {
            Err(invalid("Client metrics subscription name must not be empty"))
        }
        Some(ConfigResourceType::ClientMetrics) => {
            Ok(config::describe_client_metrics(borrowed(&set(ConfigResourceType::ClientMetrics))))
        }
        Some(ConfigResourceType::Group) if name.is_empty() => Err(invalid("Group name must not be empty")),
        Some(ConfigResourceType::Group) => Ok(config::describe_group(
            &env.image().in_force(env.config),
            borrowed(&set(ConfigResourceType::Group)),
        )),
        Some(ConfigResourceType::BrokerLogger) => match name.parse::<i32>() {
            Ok(id) if id == env.config.node_id => Ok(levels.all().into_iter().map(logger).collect()),
            Ok(_) => {
                let own = env.config.node_id;
                Err(invalid(&format!("Unexpected broker id, expected {own} but received {name}")))
            }
            Err(_) if name.is_empty() => Err(invalid("Broker id must not be empty")),
            Err(_) => Err(invalid(&format!("Broker id must be an integer, but it is: {name}"))),
        },
        None => Err(invalid(ErrorCode::InvalidRequest.message())),
    }
}

fn logger((name, level): (&'static str, Level)) -> DescribedConfig {
    DescribedConfig {
        name: name.to_owned(),
        value: Some(level.to_string()),
        read_only: false,
        source: ConfigSource::DynamicBrokerLoggerConfig,
        is_sensitive: false,
        synonyms: Vec::new(),
        config_type: 0,
        documentation: None,
    }
}

fn borrowed(configs: &BTreeMap<Str, Str>) -> impl Iterator<Item = (&str, &str)> {
    configs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn entry(config: DescribedConfig, synonyms: bool, documentation: bool) -> DescribeConfigsResourceResult {
    let synonym = |synonym: config::DescribedSynonym| DescribeConfigsSynonym {
        name: synonym.name.into(),
        value: synonym.value.map(Str::from),
        source: synonym.source as i8,
    };
    DescribeConfigsResourceResult {
        name: config.name.into(),
        value: config.value.map(Str::from),
        read_only: config.read_only,
        config_source: config.source as i8,
        is_sensitive: config.is_sensitive,
        synonyms: if synonyms { config.synonyms.into_iter().map(synonym).collect() } else { Vec::new() },
        config_type: config.config_type,
        documentation: config.documentation.filter(|_| documentation).map(Str::from_static),
        ..DescribeConfigsResourceResult::default()
    }
}
