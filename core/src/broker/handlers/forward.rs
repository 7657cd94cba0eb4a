//! What the controller decides: sent there, answered from there.

use bytes::Bytes;

use super::{Env, Handled, Outcome, Pending};
use crate::broker::Message;
use crate::broker::request::Request;
use crate::controller::{ControllerEvent, ControllerRequest, ControllerResponse};
use crate::log::LogStore;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked = ControllerRequest::CreateTopics(request.decode(body)?);
    env.cx.effects.tell(Message::Controller(ControllerEvent::Request {
        token: env.token(request),
        context: request.context.clone(),
        request: asked,
    }));
    Ok(Outcome::Wait(Box::new(Pending::Controller)))
}

pub fn resume<S: LogStore>(request: &Request, response: ControllerResponse) -> Outcome<S> {
    match response {
        ControllerResponse::CreateTopics(answer) => Outcome::Reply(request.respond(&answer, [])),
    }
}
