//! ListConfigResources: what there is to be configured (KIP-1142); at version 0 the client metrics subscriptions (KIP-714).

use bytes::Bytes;
use ottla_protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use ottla_protocol::messages::list_config_resources_response::{ConfigResource, ListConfigResourcesResponse};
use ottla_protocol::{ErrorCode, Str};

use super::{Env, Handled, Outcome};
use crate::broker::request::Request;
use crate::log::LogStore;
use crate::metadata::ConfigResourceType;

/// What is listed when no type is named.
const LISTED: [ConfigResourceType; 5] = [
    ConfigResourceType::Topic,
    ConfigResourceType::Broker,
    ConfigResourceType::BrokerLogger,
    ConfigResourceType::ClientMetrics,
    ConfigResourceType::Group,
];

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: ListConfigResourcesRequest = request.decode(body)?;
    let mut response = ListConfigResourcesResponse::default();
    let kinds: Option<Vec<_>> = match asked.resource_types.as_slice() {
        _ if request.version == 0 => Some(vec![ConfigResourceType::ClientMetrics]),
        [] => Some(LISTED.to_vec()),
        named => named
            .iter()
            .map(|code| ConfigResourceType::from_code(*code).filter(|kind| LISTED.contains(kind)))
            .collect(),
    };
    let Some(mut kinds) = kinds else {
        response.error_code = ErrorCode::UnsupportedVersion.code();
        return Ok(Outcome::Reply(request.respond(&response, [])));
    };
    kinds.sort_unstable_by_key(|kind| kind.code());
    kinds.dedup();
    for kind in kinds {
        let resources = names(env, kind).into_iter();
        response.config_resources.extend(
            resources.map(|resource_name| ConfigResource { resource_name, resource_type: kind.code() }),
        );
    }
    Ok(Outcome::Reply(request.respond(&response, [])))
}

fn names<S: LogStore>(env: &Env<'_, '_, S>, kind: ConfigResourceType) -> Vec<Str> {
    let image = env.image();
    match kind {
        ConfigResourceType::Topic => image.topics_by_name().map(|topic| topic.name.clone()).collect(),
        ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => {
            let brokers =
                image.brokers().filter(|one| one.endpoint(&env.config.inter_broker_listener_name).is_some());
            brokers.map(|broker| Str::from(broker.id.to_string())).collect()
        }
        ConfigResourceType::ClientMetrics | ConfigResourceType::Group => {
            let set = image
                .configs
                .resources
                .iter()
                .filter(|(resource, configs)| resource.kind == kind.code() && !configs.is_empty());
            set.map(|(resource, _)| resource.name.clone()).collect()
        }
    }
}
