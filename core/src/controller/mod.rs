//! The controller's messages; the machine that answers them comes next.

use ottla_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

use crate::broker::RequestContext;
use crate::coordinator::Token;
use crate::machine::SyncOutcome;

/// What can happen to the controller.
#[derive(Clone, Debug)]
pub enum ControllerEvent {
    /// A client asks for a decision.
    Request { token: Token, context: RequestContext, request: ControllerRequest },
    /// A sync of the metadata log ended.
    Synced { token: u64, outcome: SyncOutcome },
    /// A deadline passed.
    Tick,
}

/// What the controller is asked.
#[derive(Clone, Debug)]
pub enum ControllerRequest {
    /// Create topics.
    CreateTopics(CreateTopicsRequest),
}

/// The answer to the request of the same name.
#[derive(Clone, Debug)]
pub enum ControllerResponse {
    /// To CreateTopics.
    CreateTopics(CreateTopicsResponse),
}
