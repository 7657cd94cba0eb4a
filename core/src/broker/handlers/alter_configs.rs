//! IncrementalAlterConfigs: levels of loggers are changed here (KIP-412), all else is the controller's.

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use ottla_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use ottla_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::{Env, Handled, Outcome, Pending, forward};
use crate::broker::loggers::{self, LevelChange};
use crate::broker::request::Request;
use crate::controller::{ApiError, ControllerRequest, ControllerResponse, alter_configs};
use crate::log::LogStore;
use crate::machine::Effect;
use crate::metadata::ConfigResourceType;

/// What was decided here of a request, by its place there.
#[derive(Clone, Debug)]
pub struct Join(Vec<(usize, AlterConfigsResourceResponse)>);

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let mut asked: IncrementalAlterConfigsRequest = request.decode(body)?;
    let twice =
        alter_configs::duplicates(asked.resources.iter().map(|it| (it.resource_type, &it.resource_name)));
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for (place, resource) in std::mem::take(&mut asked.resources).into_iter().enumerate() {
        let is_twice = twice.contains(&(resource.resource_type, resource.resource_name.clone()));
        if resource.resource_type != ConfigResourceType::BrokerLogger.code() || is_twice {
            others.push(resource);
            continue;
        }
        let changes = changes(env, &resource);
        if let Ok(changes) = &changes
            && !asked.validate_only
        {
            env.cx.effects.push(Effect::SetLevels(changes.clone()));
        }
        let (error_code, error_message) = ApiError::split(changes.map(|_| ()));
        let AlterConfigsResource { resource_type, resource_name, .. } = resource;
        own.push((
            place,
            AlterConfigsResourceResponse { error_code, error_message, resource_type, resource_name },
        ));
    }
    if others.is_empty() && !own.is_empty() {
        return Ok(answer(request, Join(own), IncrementalAlterConfigsResponse::default()));
    }
    asked.resources = others;
    let asked = ControllerRequest::IncrementalAlterConfigs(asked);
    let pending = if own.is_empty() { Pending::Controller } else { Pending::AlterConfigs(Join(own)) };
    forward::ask(env, request, asked);
    Ok(Outcome::Wait(Box::new(pending)))
}

fn changes<S: LogStore>(
    env: &Env<'_, '_, S>,
    resource: &AlterConfigsResource,
) -> Result<Vec<LevelChange>, ApiError> {
    let alterations = alter_configs::parse(&resource.configs)?;
    let (own, name) = (env.config.node_id, &resource.resource_name);
    let invalid = |sentence: String| ApiError::new(ErrorCode::InvalidRequest, sentence);
    match name.parse::<i32>() {
        Ok(id) if id == own => loggers::changes(&alterations),
        Ok(id) => Err(invalid(format!("Unexpected node id. Expected {own}, but received {id}"))),
        Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
    }
}

pub fn resume<S: LogStore>(request: &Request, join: Join, response: ControllerResponse) -> Handled<S> {
    match response {
        ControllerResponse::IncrementalAlterConfigs(others) => Ok(answer(request, join, others)),
        other => forward::resume(request, other),
    }
}

fn answer<S: LogStore>(
    request: &Request,
    Join(own): Join,
    mut response: IncrementalAlterConfigsResponse,
) -> Outcome<S> {
    for (place, answer) in own {
        response.responses.insert(place.min(response.responses.len()), answer);
    }
    Outcome::Reply(request.respond(&response, []))
}
