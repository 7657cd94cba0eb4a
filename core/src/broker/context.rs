//! Who asks.

use ottla_protocol::Str;

/// Every handler gets one; the authorizer and the quotas answer through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    /// `User:ANONYMOUS` until authentication says more.
    pub principal: Str,
    /// It has authenticated by a delegation token (KIP-48).
    pub has_token: bool,
    /// Name of the listener the connection came in by.
    pub listener: Str,
    /// `client.id` of the request header.
    pub client_id: Option<Str>,
    /// Address of the client, as Kafka prints it in groups (`/127.0.0.1`).
    pub host: Str,
    /// The correlation id of the envelope in which another broker passed the request on (KIP-590).
    pub envelope: Option<i32>,
}

impl RequestContext {
    /// Somebody who has not authenticated, and has not said anything yet.
    pub fn anonymous(listener: impl Into<Str>, host: impl Into<Str>) -> Self {
        Self {
            principal: "User:ANONYMOUS".into(),
            has_token: false,
            listener: listener.into(),
            client_id: None,
            host: host.into(),
            envelope: None,
        }
    }

    /// The name of the principal, as quotas know it.
    pub fn user(&self) -> Str {
        self.principal.split_once(':').map_or_else(|| self.principal.clone(), |(_, name)| name.into())
    }
}
