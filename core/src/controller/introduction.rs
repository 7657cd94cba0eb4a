//! [`Introduction`]: how a controller makes itself known to the active one (KIP-919).

use ottla_protocol::Uuid;
use ottla_protocol::messages::ControllerRegistrationRequest;
use ottla_protocol::messages::controller_registration_request::{Feature, Listener};
use ottla_protocol::records::metadata::RegisterControllerRecord;

use crate::time::Instant;

/// Pause after an attempt that failed, ms.
const RETRY_MS: i64 = 100;
/// How long a registration that was accepted may take to arrive in the metadata, ms.
const ARRIVES_WITHIN_MS: i64 = 5_000;

/// How far it has come.
#[derive(Clone, Debug)]
pub struct Introduction {
    incarnation_id: Uuid,
    /// When to try again; `None` while there is nothing to do.
    retry_at: Option<Instant>,
}

impl Introduction {
    /// Of a life with this id.
    pub fn new(incarnation_id: Uuid) -> Self {
        Self { incarnation_id, retry_at: None }
    }

    /// The id of this life of the controller.
    pub fn incarnation_id(&self) -> Uuid {
        self.incarnation_id
    }

    /// Nothing is to be waited for: the metadata knows of it, or there is nobody to ask.
    pub fn done(&mut self) {
        self.retry_at = None;
    }

    /// Whether to try now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    /// An attempt is under way.
    pub fn sent(&mut self, now: Instant, timeout_ms: i64) {
        self.retry_at = Some(now.plus_ms(timeout_ms));
    }

    /// It has ended.
    pub fn answered(&mut self, now: Instant, is_accepted: bool) {
        self.retry_at = Some(now.plus_ms(if is_accepted { ARRIVES_WITHIN_MS } else { RETRY_MS }));
    }

    /// When there may be something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }
}

/// As a request states what the record would.
pub fn request(record: RegisterControllerRecord) -> ControllerRegistrationRequest {
    let listeners = record.end_points.into_iter().map(|endpoint| Listener {
        name: endpoint.name,
        host: endpoint.host,
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    });
    let features = record.features.into_iter().map(|feature| Feature {
        name: feature.name,
        min_supported_version: feature.min_supported_version,
        max_supported_version: feature.max_supported_version,
    });
    ControllerRegistrationRequest {
        controller_id: record.controller_id,
        incarnation_id: record.incarnation_id,
        zk_migration_ready: record.zk_migration_ready,
        listeners: listeners.collect(),
        features: features.collect(),
    }
}
