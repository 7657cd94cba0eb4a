//! The cluster as clients of one listener see it.

use ottla_protocol::Str;

use crate::metadata::topics::DIRECTORY_LOST;
use crate::metadata::{MetadataImage, PartitionRegistration};

/// Groups and their offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Topics that clients do not write to.
const INTERNAL_TOPICS: [&str; 3] = [OFFSETS_TOPIC, "__transaction_state", "__share_group_state"];

/// Whether a topic belongs to the brokers.
pub fn is_internal(topic: &str) -> bool {
    INTERNAL_TOPICS.contains(&topic)
}

/// Where clients of a listener find a broker that is alive.
pub fn endpoint(image: &MetadataImage, broker: i32, listener: &str) -> Option<(Str, i32)> {
    let broker = image.broker(broker).filter(|broker| !broker.fenced)?;
    let endpoint = broker.endpoint(listener)?;
    Some((endpoint.host.clone(), i32::from(endpoint.port)))
}

/// The broker that clients are told is the controller: any that is alive, for it forwards (KIP-590).
pub fn controller_id(image: &MetadataImage) -> i32 {
    image.unfenced_brokers().next().map_or(-1, |broker| broker.id)
}

/// Replicas that do not serve: their broker is fenced or their log directory is lost.
pub fn offline_replicas(image: &MetadataImage, partition: &PartitionRegistration) -> Vec<i32> {
    let is_offline = |id: &i32| {
        let Some(broker) = image.broker(*id).filter(|broker| !broker.fenced) else { return true };
        let is_elsewhere =
            |its| !broker.directories.is_empty() && broker.directories.binary_search(&its).is_err();
        partition.directory(*id) == Some(DIRECTORY_LOST)
            || partition.directory_of(*id).is_some_and(is_elsewhere)
    };
    partition.replicas.iter().copied().filter(|id| is_offline(id)).collect()
}
