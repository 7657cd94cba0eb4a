//! Brokers and controllers as they registered.

use ottla_protocol::{Str, Uuid};
use rpds::RedBlackTreeMapSync;

use super::features::OTTLA_VERSION;
use super::topics::{DIRECTORY_LOST, DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED};

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the listener.
    pub name: Str,
    /// Host that clients connect to.
    pub host: Str,
    /// Port that clients connect to.
    pub port: u16,
    /// 0 PLAINTEXT, 1 SSL, 2 `SASL_PLAINTEXT`, 3 `SASL_SSL`.
    pub security_protocol: i16,
}

/// The levels of a feature that a node supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// Lowest.
    pub min: i16,
    /// Highest.
    pub max: i16,
}

/// A broker's registration.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerRegistration {
    /// `node.id`.
    pub id: i32,
    /// Offset of the registration record: grows with every restart.
    pub epoch: i64,
    /// Drawn at random by each life of the broker.
    pub incarnation_id: Uuid,
    /// Left over from the days of ZooKeeper; kept because snapshots carry it.
    pub is_migrating_zk_broker: bool,
    /// Its listeners, in the order of its registration.
    pub endpoints: Vec<Endpoint>,
    /// What it supports.
    pub features: RedBlackTreeMapSync<Str, VersionRange>,
    /// `broker.rack`.
    pub rack: Option<Str>,
    /// A fenced broker serves no clients and leads nothing.
    pub fenced: bool,
    /// Whether it is handing over its leaderships before it stops.
    pub in_controlled_shutdown: bool,
    /// Ids of its log directories, sorted (KIP-858).
    pub directories: Vec<Uuid>,
    /// Directories that take no new replicas (KIP-1066); `None` when its metadata version has no such list.
    pub cordoned_directories: Option<Vec<Uuid>>,
}

impl BrokerRegistration {
    /// The endpoint of a listener.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == *listener)
    }

    /// Whether a replica in this directory can be served. A broker without any registered when clusters knew no directories.
    pub fn has_online_directory(&self, directory: Uuid) -> bool {
        match directory {
            DIRECTORY_UNASSIGNED | DIRECTORY_MIGRATING => true,
            DIRECTORY_LOST => false,
            directory => self.directories.is_empty() || self.directories.contains(&directory),
        }
    }

    /// Whether its process may be silent for seconds and go on, as a JVM may.
    pub fn may_pause(&self) -> bool {
        !self.features.contains_key(OTTLA_VERSION)
    }

    /// Whether it may lead partitions and serve clients.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }
}

/// A controller's registration (KIP-919).
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerRegistration {
    /// `node.id`.
    pub id: i32,
    /// Drawn at random by each life of the controller.
    pub incarnation_id: Uuid,
    /// Left over from the days of ZooKeeper.
    pub zk_migration_ready: bool,
    /// Its listeners.
    pub endpoints: Vec<Endpoint>,
    /// What it supports.
    pub features: RedBlackTreeMapSync<Str, VersionRange>,
}

/// All nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterImage {
    /// Brokers by id.
    pub brokers: RedBlackTreeMapSync<i32, BrokerRegistration>,
    /// Controllers by id.
    pub controllers: RedBlackTreeMapSync<i32, ControllerRegistration>,
}
