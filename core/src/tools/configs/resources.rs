//! Settings of resources: asked for, and altered (KIP-133, KIP-339).

use ottla_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_protocol::messages::{
    DescribeConfigsResponse, IncrementalAlterConfigsResponse, ListConfigResourcesRequest,
    ListConfigResourcesResponse,
};
use ottla_protocol::{ErrorCode, Str};

use crate::client::{Destination, Reply};
use crate::time::Instant;
use crate::tools::admin::Admin;
use crate::tools::failure::{Refusal, refusal};
use crate::tools::partitions::error_of;

/// Numbers of the kinds of resources.
pub const TOPIC: i8 = 2;
pub const BROKER: i8 = 4;
pub const BROKER_LOGGER: i8 = 8;
pub const CLIENT_METRICS: i8 = 16;
pub const GROUP: i8 = 32;

/// IncrementalAlterConfigs' numbers.
const SET: i8 = 0;
const DELETE: i8 = 1;

/// Where a setting comes from, by DescribeConfigs' number.
pub const SOURCES: [&str; 9] = [
    "UNKNOWN",
    "DYNAMIC_TOPIC_CONFIG",
    "DYNAMIC_BROKER_CONFIG",
    "DYNAMIC_DEFAULT_BROKER_CONFIG",
    "STATIC_BROKER_CONFIG",
    "DEFAULT_CONFIG",
    "DYNAMIC_BROKER_LOGGER_CONFIG",
    "DYNAMIC_CLIENT_METRICS_CONFIG",
    "DYNAMIC_GROUP_CONFIG",
];

/// One setting of a resource.
#[derive(Clone, Debug)]
pub struct Setting {
    pub name: Str,
    pub value: Option<Str>,
    pub source: i8,
    pub is_sensitive: bool,
    /// `SOURCE:name=value`, with commas between.
    pub synonyms: String,
}

/// Settings of a broker, and its loggers, are with the broker itself.
fn holder(admin: &Admin, kind: i8, name: &str) -> Destination {
    match (kind, name.parse()) {
        (BROKER | BROKER_LOGGER, Ok(id)) if admin.brokers().contains(&id) => Destination::Node(id),
        _ => admin.anyone(),
    }
}

/// Asks for the settings of a resource.
pub fn ask_describe(now: Instant, admin: &mut Admin, kind: i8, name: &str) {
    let resource =
        DescribeConfigsResource { resource_type: kind, resource_name: name.into(), configuration_keys: None };
    let request =
        DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, ..Default::default() };
    admin.ask(now, &holder(admin, kind, name), (1, 4), request);
}

/// What was asked for, by name.
pub fn described(reply: &Reply) -> Result<Vec<Setting>, Refusal> {
    let answer: DescribeConfigsResponse = reply.decode()?;
    let mut settings = Vec::new();
    for resource in &answer.results {
        match error_of(resource.error_code) {
            ErrorCode::None => {}
            error => return Err(refusal(error, resource.error_message.as_deref())),
        }
        settings.extend(resource.configs.iter().map(|config| {
            let synonyms = config.synonyms.iter().map(|synonym| {
                let source = usize::try_from(synonym.source).ok().and_then(|source| SOURCES.get(source));
                let value = synonym.value.as_ref().map_or("null", |value| value);
                format!("{}:{}={value}", source.unwrap_or(&SOURCES[0]), synonym.name)
            });
            Setting {
                name: config.name.detached(),
                value: config.value.as_ref().map(Str::detached),
                source: config.config_source,
                is_sensitive: config.is_sensitive,
                synonyms: synonyms.collect::<Vec<_>>().join(", "),
            }
        }));
    }
    settings.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(settings)
}

/// Asks to set, and to unset what has no value.
pub fn ask_alter(now: Instant, admin: &mut Admin, kind: i8, name: &str, settings: &[(Str, Option<Str>)]) {
    let configs = settings.iter().map(|(name, value)| AlterableConfig {
        name: name.clone(),
        config_operation: if value.is_some() { SET } else { DELETE },
        value: Some(value.clone().unwrap_or_default()),
    });
    let resource =
        AlterConfigsResource { resource_type: kind, resource_name: name.into(), configs: configs.collect() };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    admin.ask(now, &holder(admin, kind, name), (0, 1), request);
}

/// Whether it was done; not yet, when it may be tried again.
pub fn altered(reply: &Reply) -> Result<bool, Refusal> {
    let answer: IncrementalAlterConfigsResponse = reply.decode()?;
    for resource in &answer.responses {
        match error_of(resource.error_code) {
            ErrorCode::None => {}
            ErrorCode::NotController | ErrorCode::RequestTimedOut => return Ok(false),
            error => return Err(refusal(error, resource.error_message.as_deref())),
        }
    }
    Ok(true)
}

/// Asks which resources of a kind have settings (KIP-1142).
pub fn ask_resources(now: Instant, admin: &mut Admin, kind: i8) {
    // Before its first version there were only client metrics to be asked for.
    let lowest = if kind == CLIENT_METRICS { 0 } else { 1 };
    let resource_types = vec![kind];
    admin.ask(now, &Destination::Any, (lowest, 1), ListConfigResourcesRequest { resource_types });
}

/// Their names.
pub fn resources(reply: &Reply) -> Result<Vec<Str>, Refusal> {
    let answer: ListConfigResourcesResponse = reply.decode()?;
    match error_of(answer.error_code) {
        ErrorCode::None => {}
        error => return Err(refusal(error, None)),
    }
    Ok(answer.config_resources.iter().map(|resource| resource.resource_name.detached()).collect())
}
