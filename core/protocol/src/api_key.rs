//! API keys.

use std::fmt;

use crate::wire::{MessageSpec, Versions};

/// Generated from the tables.
#[allow(clippy::all)]
mod generated {
    use super::{Facts, MessageSpec};
    include!(concat!(env!("OUT_DIR"), "/api_key.rs"));

    /// Type of the specs of a request and its response.
    pub(super) type Specs = Option<(&'static MessageSpec, &'static MessageSpec)>;
}

pub use generated::ApiKey;

struct Facts {
    name: &'static str,
    specs: generated::Specs,
    broker: bool,
    controller: bool,
    unstable: bool,
}

impl ApiKey {
    /// Every key that has a name, in order, with or without messages here.
    pub const fn all() -> &'static [Self] {
        generated::ALL
    }

    pub fn from_key(key: i16) -> Option<Self> {
        generated::from_key(key)
    }

    pub const fn key(self) -> i16 {
        self as i16
    }

    /// Kafka's name, such as `FindCoordinator`.
    pub fn name(self) -> &'static str {
        generated::facts(self).name
    }

    /// The versions of the request that this codec speaks; `None` when it has no messages for the API. Which
    /// of them a broker serves is another matter.
    pub fn valid_versions(self) -> Option<Versions> {
        self.request().map(|spec| spec.versions)
    }

    /// The highest version is unstable: Kafka advertises it only where it is told to.
    pub fn latest_version_unstable(self) -> bool {
        generated::facts(self).unstable
    }

    /// Whether Kafka's brokers answer it.
    pub fn on_broker(self) -> bool {
        generated::facts(self).broker
    }

    /// Whether Kafka's controllers answer it.
    pub fn on_controller(self) -> bool {
        generated::facts(self).controller
    }

    pub fn request(self) -> Option<&'static MessageSpec> {
        generated::facts(self).specs.map(|(request, _)| request)
    }

    pub fn response(self) -> Option<&'static MessageSpec> {
        generated::facts(self).specs.map(|(_, response)| response)
    }

    /// 2 where the request is flexible, else 1.
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.request().is_some_and(|spec| spec.flexible.contains(version)) { 2 } else { 1 }
    }

    /// 1 where the response is flexible, else 0; always 0 for ApiVersions, whose answer a client must read
    /// before it knows what the broker speaks (KIP-511).
    pub fn response_header_version(self, version: i16) -> i16 {
        let flexible = self.response().is_some_and(|spec| spec.flexible.contains(version));
        i16::from(flexible && self != Self::ApiVersions)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
