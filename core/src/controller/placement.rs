//! Which brokers get the replicas of new partitions, and which of their directories.

use ottla_protocol::{ErrorCode, Uuid};

use super::ApiError;
use super::racks::Racks;
use crate::metadata::topics::{DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED};
use crate::metadata::{BrokerRegistration, MetadataImage, PartitionRegistration};
use crate::rng::Rng;

/// New partitions from index `first` on, placed by [`Racks`].
pub fn place(
    image: &MetadataImage,
    rng: &mut Rng,
    first: i32,
    partitions: i32,
    replication_factor: i16,
) -> Result<Vec<PartitionRegistration>, ApiError> {
    let refused = |reason: &str| {
        let sentence = format!("Unable to replicate the partition {replication_factor} time(s): {reason}");
        ApiError::new(ErrorCode::InvalidReplicationFactor, sentence)
    };
    // A broker that is about to stop gets nothing; one that has stopped may be back soon.
    let stays = |broker: &&BrokerRegistration| broker.fenced || !broker.in_controlled_shutdown;
    let usable = image.brokers().filter(stays).filter(|broker| !is_cordoned(broker));
    let usable = usable.map(|broker| (broker.id, broker.rack.as_deref(), broker.fenced));
    let mut racks = Racks::new(rng, usable);
    let replicas = usize::try_from(replication_factor).unwrap_or(0);
    if racks.unfenced() == 0 {
        return Err(refused("All brokers are currently fenced, or have all their log directories cordoned."));
    }
    if racks.brokers() < replicas {
        return Err(refused(&format!(
            "The target replication factor of {replication_factor} cannot be reached because only {} broker(s) are \
             registered or some brokers have all their log directories cordoned.",
            racks.brokers()
        )));
    }
    (first..first.saturating_add(partitions))
        .map(|index| {
            new_partition(image, index, racks.place(rng, replicas))
                .ok_or_else(|| refused("All brokers are currently fenced or in controlled shutdown."))
        })
        .collect()
}

fn is_cordoned(broker: &BrokerRegistration) -> bool {
    let Some(cordoned) = &broker.cordoned_directories else { return false };
    !broker.directories.is_empty() && broker.directories.iter().all(|directory| cordoned.contains(directory))
}

/// A partition whose replicas were assigned by hand.
pub fn assigned_partition(
    image: &MetadataImage,
    index: i32,
    replicas: &[i32],
    replication_factor: Option<usize>,
) -> Result<PartitionRegistration, ApiError> {
    validate_manual(image, replicas, replication_factor)?;
    new_partition(image, index, replicas.to_vec()).ok_or_else(|| {
        let sentence = format!(
            "All brokers specified in the manual partition assignment for partition {index} are fenced or in controlled \
             shutdown."
        );
        ApiError::new(ErrorCode::InvalidReplicaAssignment, sentence)
    })
}

/// Checks replicas that were assigned by hand.
pub fn validate_manual(
    image: &MetadataImage,
    replicas: &[i32],
    replication_factor: Option<usize>,
) -> Result<(), ApiError> {
    let refuse = |sentence: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, sentence));
    if replicas.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".to_owned());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut previous = None;
    for id in sorted {
        if image.broker(id).is_none() {
            return refuse(format!(
                "The manual partition assignment includes broker {id}, but no such broker is registered."
            ));
        }
        if previous == Some(id) {
            return refuse(format!(
                "The manual partition assignment includes the broker {id} more than once."
            ));
        }
        previous = Some(id);
    }
    match replication_factor {
        Some(expected) if expected != replicas.len() => refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with \
             previous partitions, which have {expected} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

/// A new partition: the first active replica leads, the active ones are in sync. `None` if none is active.
fn new_partition(image: &MetadataImage, index: i32, replicas: Vec<i32>) -> Option<PartitionRegistration> {
    let is_active = |id: &i32| image.broker(*id).is_some_and(BrokerRegistration::is_active);
    let isr: Vec<i32> = replicas.iter().copied().filter(is_active).collect();
    let leader = isr.first().copied()?;
    let directories = replicas.iter().map(|id| directory(image, *id, index)).collect();
    Some(PartitionRegistration { directories, replicas, isr, leader, ..PartitionRegistration::default() })
}

/// The directory for a new replica: partitions of a topic stripe over those of the broker that are not cordoned.
pub fn directory(image: &MetadataImage, broker: i32, index: i32) -> Uuid {
    let Some(broker) = image.broker(broker) else { return DIRECTORY_UNASSIGNED };
    if broker.directories.is_empty() {
        return DIRECTORY_MIGRATING;
    }
    let cordoned = broker.cordoned_directories.as_deref().unwrap_or_default();
    let usable: Vec<Uuid> =
        broker.directories.iter().copied().filter(|one| !cordoned.contains(one)).collect();
    let at = usize::try_from(index).unwrap_or(0).checked_rem(usable.len());
    at.and_then(|at| usable.get(at).copied()).unwrap_or(DIRECTORY_UNASSIGNED)
}
