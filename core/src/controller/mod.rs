//! Placeholder while the controller is being written.
use ottla_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use crate::coordinator::Token;
use crate::broker::RequestContext;
use crate::machine::SyncOutcome;
#[derive(Clone, Debug)]
pub enum ControllerEvent { Request { token: Token, context: RequestContext, request: ControllerRequest }, Synced { token: u64, outcome: SyncOutcome }, Tick }
#[derive(Clone, Debug)]
pub enum ControllerRequest { CreateTopics(CreateTopicsRequest) }
#[derive(Clone, Debug)]
pub enum ControllerResponse { CreateTopics(CreateTopicsResponse) }
