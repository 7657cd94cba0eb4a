//! What the broker's configuration says about groups.

use crate::sim::mutation::Planted;
use crate::time::Timestamp;

/// The broker settings that a classic group obeys. Times are in ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: members beyond it are refused with GROUP_MAX_SIZE_REACHED.
    pub max_size: i32,
    /// `message.max.bytes`: what members bring to a group is stored in one record, and one that could not be stored is not kept either.
    pub member_metadata_max_bytes: i32,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_max_bytes: i32,
    /// `offsets.retention.minutes`, as ms.
    pub offsets_retention_ms: Timestamp,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: i64,
    /// How long a new member may wait in its first join; a constant in Kafka.
    pub new_member_join_timeout_ms: i32,
    /// The bug that is planted in this coordinator: none, outside of simulations that look for it.
    pub planted: Planted,
}

impl Default for GroupConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX,
            member_metadata_max_bytes: 1_048_588,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 10_080 * 60 * 1_000,
            offsets_retention_check_interval_ms: 600_000,
            new_member_join_timeout_ms: 5 * 60 * 1_000,
            planted: Planted::default(),
        }
    }
}
