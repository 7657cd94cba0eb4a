//! What the controller decides: sent there, answered from there.

use bytes::Bytes;
use ottla_protocol::messages::{
    ElectLeadersResponse, InitProducerIdRequest, InitProducerIdResponse, UpdateFeaturesResponse,
};
use ottla_protocol::{ApiKey, ErrorCode, Response};

use super::{Env, Handled, Outcome, Pending, delegation_tokens};
use crate::broker::Message;
use crate::broker::request::Request;
use crate::controller::{ControllerEvent, ControllerRequest, ControllerResponse};
use crate::log::LogStore;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked = match request.api {
        ApiKey::CreateTopics => ControllerRequest::CreateTopics(request.decode(body)?),
        ApiKey::DeleteTopics => ControllerRequest::DeleteTopics(request.decode(body)?),
        ApiKey::CreatePartitions => ControllerRequest::CreatePartitions(request.decode(body)?),
        ApiKey::AlterConfigs => ControllerRequest::AlterConfigs(request.decode(body)?),
        ApiKey::UpdateFeatures => ControllerRequest::UpdateFeatures(request.decode(body)?),
        ApiKey::ElectLeaders => ControllerRequest::ElectLeaders(request.decode(body)?),
        ApiKey::AlterPartitionReassignments => {
            ControllerRequest::AlterPartitionReassignments(request.decode(body)?)
        }
        ApiKey::ListPartitionReassignments => {
            ControllerRequest::ListPartitionReassignments(request.decode(body)?)
        }
        ApiKey::BrokerRegistration => ControllerRequest::BrokerRegistration(request.decode(body)?),
        ApiKey::BrokerHeartbeat => ControllerRequest::BrokerHeartbeat(request.decode(body)?),
        ApiKey::ControllerRegistration => ControllerRequest::ControllerRegistration(request.decode(body)?),
        ApiKey::AlterPartition => ControllerRequest::AlterPartition(request.decode(body)?),
        ApiKey::AllocateProducerIds => ControllerRequest::AllocateProducerIds(request.decode(body)?),
        ApiKey::UnregisterBroker => ControllerRequest::UnregisterBroker(request.decode(body)?),
        ApiKey::AssignReplicasToDirs => ControllerRequest::AssignReplicasToDirs(request.decode(body)?),
        ApiKey::AlterClientQuotas => ControllerRequest::AlterClientQuotas(request.decode(body)?),
        ApiKey::AlterUserScramCredentials => {
            ControllerRequest::AlterUserScramCredentials(request.decode(body)?)
        }
        ApiKey::InitProducerId => {
            let asked: InitProducerIdRequest = request.decode(body)?;
            match init_producer_id(&asked) {
                Ok(()) => ControllerRequest::NextProducerId,
                Err(error) => return Ok(Outcome::Reply(request.respond(&producer_id(Err(error)), []))),
            }
        }
        other => return Err(format!("{} is advertised and has no handler", other.name())),
    };
    if asked.is_late() {
        return resume(request, asked.refusal(ErrorCode::RequestTimedOut));
    }
    Ok(ask(env, request, asked))
}

/// Asks the controller.
pub fn ask<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, asked: ControllerRequest) -> Outcome<S> {
    env.cx.effects.tell(Message::Controller(ControllerEvent::Request {
        token: env.token(request),
        context: request.context.clone(),
        request: asked,
        version: Some(request.version),
    }));
    Outcome::Wait(Box::new(Pending::Controller))
}

/// What an idempotent producer may ask; transactions are not built.
fn init_producer_id(asked: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    let has_id = asked.producer_id != -1;
    let has_epoch = asked.producer_epoch != -1;
    match &asked.transactional_id {
        _ if has_id != has_epoch => Err(ErrorCode::InvalidRequest),
        Some(id) if id.is_empty() => Err(ErrorCode::InvalidRequest),
        Some(_) => Err(ErrorCode::TransactionalIdAuthorizationFailed),
        None => Ok(()),
    }
}

fn producer_id(given: Result<i64, ErrorCode>) -> InitProducerIdResponse {
    match given {
        Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
        Err(error) => InitProducerIdResponse {
            error_code: error.code(),
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdResponse::default()
        },
    }
}

pub fn resume<S: LogStore>(request: &Request, response: ControllerResponse) -> Handled<S> {
    Ok(Outcome::Reply(match response {
        ControllerResponse::CreateTopics(answer) => {
            return throttled(request, answer.throttle_time_ms, &answer);
        }
        ControllerResponse::DeleteTopics(answer) => {
            return throttled(request, answer.throttle_time_ms, &answer);
        }
        ControllerResponse::CreatePartitions(answer) => {
            return throttled(request, answer.throttle_time_ms, &answer);
        }
        ControllerResponse::IncrementalAlterConfigs(answer) => request.respond(&answer, []),
        ControllerResponse::AlterConfigs(answer) => request.respond(&answer, []),
        ControllerResponse::UpdateFeatures(answer) => request.respond(&answer, []),
        ControllerResponse::ElectLeaders(mut answer) => {
            if request.version < 1 {
                answer.error_code = 0;
            }
            request.respond(&answer, [])
        }
        ControllerResponse::AlterPartitionReassignments(answer) => request.respond(&answer, []),
        ControllerResponse::ListPartitionReassignments(answer) => request.respond(&answer, []),
        ControllerResponse::Quorum(_) => return Err(format!("{}: another answer", request.api.name())),
        ControllerResponse::NextProducerId(id) => request.respond(&producer_id(Ok(id)), []),
        ControllerResponse::BrokerRegistration(answer) => request.respond(&answer, []),
        ControllerResponse::BrokerHeartbeat(answer) => request.respond(&answer, []),
        ControllerResponse::ControllerRegistration(answer) => request.respond(&answer, []),
        ControllerResponse::AlterPartition(answer) => request.respond(&answer, []),
        ControllerResponse::AllocateProducerIds(answer) => request.respond(&answer, []),
        ControllerResponse::UnregisterBroker(answer) => request.respond(&answer, []),
        ControllerResponse::AssignReplicasToDirs(answer) => request.respond(&answer, []),
        ControllerResponse::AlterClientQuotas(answer) => request.respond(&answer, []),
        ControllerResponse::CreateAcls(answer) => request.respond(&answer, []),
        ControllerResponse::DeleteAcls(answer) => request.respond(&answer, []),
        ControllerResponse::AlterUserScramCredentials(answer) => request.respond(&answer, []),
        ControllerResponse::CreateDelegationToken(answer) => delegation_tokens::created(request, answer),
        ControllerResponse::RenewDelegationToken(answer) => request.respond(&answer, []),
        ControllerResponse::ExpireDelegationToken(answer) => request.respond(&answer, []),
        // Whoever passed it on looks for the active controller.
        ControllerResponse::Failed(error) if request.context.envelope.is_some() => {
            request.refuse_envelope(error)
        }
        ControllerResponse::Failed(error) => return failed(request, error),
    }))
}

/// An answer after which the client has to wait: whoever passed the request on sees to that.
fn throttled<S: LogStore, M: Response>(request: &Request, throttle_ms: i32, answer: &M) -> Handled<S> {
    let frame = request.respond(answer, []);
    Ok(if request.context.envelope.is_some() {
        Outcome::Reply(frame)
    } else {
        Outcome::Throttled(frame, throttle_ms)
    })
}

/// Nothing was done: the answer says so where it has a place for it, or the client is sent away to come back.
fn failed<S: LogStore>(request: &Request, error: ErrorCode) -> Handled<S> {
    let error_code = error.code();
    Ok(Outcome::Reply(match request.api {
        ApiKey::InitProducerId => request.respond(&producer_id(Err(error)), []),
        ApiKey::UpdateFeatures => {
            request.respond(&UpdateFeaturesResponse { error_code, ..UpdateFeaturesResponse::default() }, [])
        }
        ApiKey::ElectLeaders if request.version >= 1 => {
            request.respond(&ElectLeadersResponse { error_code, ..ElectLeadersResponse::default() }, [])
        }
        api => return Err(format!("{}: the metadata log failed with {error:?}", api.name())),
    }))
}
