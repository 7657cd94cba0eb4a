//! Limits of clients as a connection meets them: what it has to ask [`Quotas`](crate::broker::Quotas) before it answers.

use std::sync::Arc;

use ottla_protocol::ApiKey;
use ottla_protocol::messages::FetchResponse;

use super::Connection;
use crate::broker::Message;
use crate::broker::fetch_sessions::Unanswered;
use crate::broker::quotas::{QuotasEvent, Use, set_throttle_time};
use crate::broker::request::Request;
use crate::coordinator::Token;
use crate::log::LogStore;
use crate::machine::{Cx, Effect, Frame};
use crate::metadata::quotas::{ClientQuotasImage, QuotaKind};
use crate::time::Instant;

/// Of what somebody has a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    produce: bool,
    fetch: bool,
    request: bool,
}

/// An answer that waits to hear how long the client has to wait.
#[derive(Clone, Debug)]
pub struct Weighed<S: LogStore> {
    /// `None` where nothing is to be sent.
    pub answer: Option<Frame<S::Slice>>,
    /// ms that the controller has said already.
    pub throttle_ms: i32,
    /// Of a Fetch.
    pub unanswered: Option<Unanswered>,
}

impl Limits {
    /// What is set.
    pub fn new(quotas: &ClientQuotasImage) -> Self {
        Self {
            produce: quotas.is_limited(QuotaKind::Produce),
            fetch: quotas.is_limited(QuotaKind::Fetch),
            request: quotas.is_limited(QuotaKind::Request),
        }
    }

    /// Whether Produce requests may have to wait: then they are executed one by one.
    pub fn of_produce(self) -> bool {
        self.produce || self.request
    }
}

impl<S: LogStore> Connection<S> {
    /// Asks how long the client has to wait after this request, if there is a limit on what it has used.
    pub(super) fn weigh(
        &self,
        cx: &mut Cx<'_, S>,
        request: &Request,
        bytes: usize,
        answer: Option<&Frame<S::Slice>>,
    ) -> bool {
        let (api, version) = (request.api, request.version);
        let is_timed = self.limits.request && answer.is_some() && api != ApiKey::WriteTxnMarkers;
        let produced = (self.limits.produce && api == ApiKey::Produce).then_some(bytes);
        // Kafka counts the length of the frame, and not its header.
        let header_bytes = if api.response_header_version(version) >= 1 { 5 } else { 4 };
        let fetched = answer.filter(|_| self.limits.fetch && api == ApiKey::Fetch);
        let fetched = fetched.map(|frame| frame.len.saturating_sub(header_bytes));
        if !self.limits.request && produced.is_none() && fetched.is_none() {
            return false;
        }
        cx.effects.tell(Message::Quotas(QuotasEvent::Used(Box::new(Use {
            token: Token { connection: self.id, request: request.id },
            published: Arc::clone(&self.published),
            user: request.context.user(),
            client_id: request.context.client_id.clone(),
            produced,
            fetched,
            is_timed,
        }))));
        true
    }

    /// The time that this event takes is the client's, where that is limited.
    pub(super) fn time(&self, cx: &mut Cx<'_, S>) {
        if self.limits.request {
            cx.effects.push(Effect::Time(self.id));
        }
    }

    /// What was done for another broker is not limited.
    pub(super) fn exempt(&self, cx: &mut Cx<'_, S>) {
        if self.limits.request {
            cx.effects.tell(Message::Quotas(QuotasEvent::Forget(self.id)));
        }
    }

    /// The answer as it leaves. A Fetch of a client that has to wait is answered with nothing, as if it had not been.
    pub(super) fn throttle(
        &mut self,
        now: Instant,
        request: &Request,
        weighed: Weighed<S>,
        throttle_ms: i32,
    ) -> Option<Frame<S::Slice>> {
        let Weighed { answer, throttle_ms: by_controller, unanswered } = weighed;
        self.mute(now, throttle_ms.max(by_controller));
        if throttle_ms <= by_controller {
            return answer;
        }
        match (answer, unanswered) {
            (Some(_), Some(unanswered)) => {
                let session_id = self.sessions.take_back(unanswered);
                let nothing =
                    FetchResponse { throttle_time_ms: throttle_ms, session_id, ..FetchResponse::default() };
                Some(request.respond(&nothing, []))
            }
            (answer, _) => answer.map(|frame| set_throttle_time(request, frame, throttle_ms)),
        }
    }

    /// Takes no other request for so long.
    pub(super) fn mute(&mut self, now: Instant, throttle_ms: i32) {
        if throttle_ms > 0 {
            self.muted_until = self.muted_until.max(Some(now.plus_ms(i64::from(throttle_ms))));
        }
    }
}
