//! Cluster metadata: the records of `__cluster_metadata`, the image they add up to, and what changed between two images.
//!
//! The image holds every record type of Kafka 4.3, acted upon or not: a snapshot written from an image that lacked one would
//! delete it for the whole cluster.

pub mod acls;
pub mod cluster;
pub mod configs;
pub mod delta;
pub mod features;
pub mod image;
pub mod quotas;
pub mod record;
pub mod replay;
pub mod scram;
pub mod snapshot;
pub mod state;
pub mod tokens;
pub mod topics;
pub mod version;

use std::sync::Arc;

pub use cluster::{BrokerRegistration, ControllerRegistration, Endpoint, VersionRange};
pub use configs::{ConfigResource, ConfigResourceType};
pub use delta::MetadataDelta;
pub use features::FeaturesImage;
pub use image::MetadataImage;
pub use ottla_protocol::records::MetadataRecord;
pub use replay::ReplayError;
pub use state::MetadataState;
pub use topics::{PartitionRegistration, TopicImage};
pub use version::MetadataVersion;

use crate::small_map::SmallMap;
use crate::time::Instant;

/// A committed image with what changed since the one published before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The metadata as of `offset`.
    pub image: MetadataImage,
    /// What changed since the image published before; in a node's first one, everything.
    pub delta: MetadataDelta,
    /// Offset of the last record in the image; −1 before the first.
    pub offset: i64,
    /// Leader epoch of the quorum in which that record was written.
    pub epoch: i32,
    /// Who leads the quorum, as far as this node knows; −1 for nobody.
    pub leader_id: i32,
    /// The finalized `kraft.version`, which the log's own control records hold.
    pub kraft_version: i16,
    /// Brokers to which a link of this node has just broken, and until when it is worth waiting to hear who leads what they led.
    pub lost: SmallMap<i32, Instant>,
}

impl Published {
    /// An image as the first thing that a node learns: everything in it is new.
    pub fn first(image: MetadataImage, offset: i64, epoch: i32, kraft_version: i16) -> Arc<Self> {
        let delta = MetadataDelta::everything(&image);
        Arc::new(Self { image, delta, offset, epoch, leader_id: -1, kraft_version, lost: SmallMap::new() })
    }
}

#[cfg(test)]
mod tests;
