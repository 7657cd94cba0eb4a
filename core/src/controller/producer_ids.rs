//! [`ProducerIds`]: the producer ids that a broker may give while another node is the active controller (KIP-730).

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};

use super::{ControllerRequest, ControllerResponse};
use crate::coordinator::Token;
use crate::ids::ConnectionId;

/// What a block of ids is asked for under.
pub const TOKEN: Token = Token { connection: ConnectionId::BROKER, request: u64::MAX };

/// A block of ids, and who waits for the next one.
#[derive(Clone, Debug, Default)]
pub struct ProducerIds {
    block: std::ops::Range<i64>,
    waiting: Vec<Token>,
}

impl ProducerIds {
    /// The next id; without one `token` waits for the next block.
    pub fn next(&mut self, token: Token) -> Option<i64> {
        let id = self.block.next();
        if id.is_none() {
            self.waiting.push(token);
        }
        id
    }

    /// What to ask the active controller for: once for all who wait.
    pub fn wanted(&self, broker_id: i32, broker_epoch: i64) -> Option<ControllerRequest> {
        let request = AllocateProducerIdsRequest { broker_id, broker_epoch };
        (self.waiting.len() == 1).then_some(ControllerRequest::AllocateProducerIds(request))
    }

    /// A block came, or did not: the answers to those who waited. Those for whom it does not suffice ask again.
    pub fn answered(&mut self, response: &ControllerResponse) -> Vec<(Token, ControllerResponse)> {
        if let ControllerResponse::AllocateProducerIds(AllocateProducerIdsResponse {
            error_code: 0,
            producer_id_start: start,
            producer_id_len,
            ..
        }) = response
        {
            self.block = *start..start.saturating_add(i64::from(*producer_id_len));
        }
        let answer = |token| match self.block.next() {
            Some(id) => (token, ControllerResponse::NextProducerId(id)),
            // As Apache Kafka tells clients: to be tried again.
            None => (token, ControllerResponse::Failed(ErrorCode::CoordinatorLoadInProgress)),
        };
        std::mem::take(&mut self.waiting).into_iter().map(answer).collect()
    }
}
