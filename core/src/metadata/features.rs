//! Finalized features: what the whole cluster has agreed to use (KIP-584).

use ottla_protocol::Str;
use rpds::RedBlackTreeMapSync;

use super::MetadataVersion;

/// `metadata.version`, the one feature that every cluster has.
pub const METADATA_VERSION: &str = "metadata.version";
/// `kraft.version`, finalized by control records of the quorum and not by metadata records (KIP-853).
pub const KRAFT_VERSION: &str = "kraft.version";
/// Eligible leader replicas (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS_VERSION: &str = "eligible.leader.replicas.version";

/// What brokers of Ottla, and only these, name in their registrations: nothing in them pauses as a JVM may.
pub const OTTLA_VERSION: &str = "ottla.version";

/// The features this build supports besides `metadata.version`: (name, lowest, highest), as registrations and ApiVersions state
/// them. What Kafka 4.3 supports and this build has not built is not in here: a finalized level of it stops the node.
pub const SUPPORTED: [(&str, i16, i16); 2] =
    [(ELIGIBLE_LEADER_REPLICAS_VERSION, 0, 1), (KRAFT_VERSION, 0, 1)];

/// The features that Kafka 4.3 knows, by name, with its highest level.
pub const KNOWN: [(&str, i16); 7] = [
    (ELIGIBLE_LEADER_REPLICAS_VERSION, 1),
    ("group.version", 1),
    (KRAFT_VERSION, 1),
    (METADATA_VERSION, 30),
    ("share.version", 1),
    ("streams.version", 1),
    ("transaction.version", 2),
];

/// The finalized levels. A feature that is not there has level 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeaturesImage {
    /// `None` until the bootstrap records have been written.
    pub metadata_version: Option<MetadataVersion>,
    /// All features but `metadata.version`, with a level above 0.
    pub finalized: RedBlackTreeMapSync<Str, i16>,
}

impl FeaturesImage {
    /// `metadata.version`, or the lowest one when there is none yet.
    pub fn metadata_version(&self) -> MetadataVersion {
        self.metadata_version.unwrap_or(MetadataVersion::MINIMUM)
    }

    /// The finalized level of any feature, 0 when it is not finalized.
    pub fn level(&self, name: &str) -> i16 {
        match name {
            METADATA_VERSION => self.metadata_version.map_or(0, MetadataVersion::level),
            _ => self.finalized.get(name).copied().unwrap_or(0),
        }
    }

    /// Every finalized feature in order of name, `metadata.version` included.
    pub fn iter(&self) -> Vec<(Str, i16)> {
        let mut levels: Vec<_> = self.finalized.iter().map(|(name, level)| (name.clone(), *level)).collect();
        levels.extend(self.metadata_version.map(|version| (Str::from(METADATA_VERSION), version.level())));
        levels.sort_unstable();
        levels
    }

    /// Whether Kafka should keep eligible leader replicas.
    pub fn has_eligible_leader_replicas(&self) -> bool {
        self.level(ELIGIBLE_LEADER_REPLICAS_VERSION) >= 1
    }
}
