//! Which brokers get the replicas of new partitions, and which of their directories.

use ottla_protocol::{ErrorCode, Uuid};

use super::ApiError;
use crate::metadata::topics::DIRECTORY_UNASSIGNED;
use crate::metadata::{BrokerRegistration, MetadataImage, PartitionRegistration};
use crate::rng::Rng;

/// Replicas for `partitions` new partitions: leaders stripe over the brokers from a random one on, so that each leads as many as
/// any other, and followers come from those after the leader. Fenced brokers get replicas only where there are too few others, and
/// never the lead.
pub fn place(
    image: &MetadataImage,
    rng: &mut Rng,
    partitions: i32,
    replication_factor: i16,
) -> Result<Vec<Vec<i32>>, ApiError> {
    let refuse = |reason: String| {
        let sentence = format!("Unable to replicate the partition {replication_factor} time(s): {reason}");
        Err(ApiError::new(ErrorCode::InvalidReplicationFactor, sentence))
    };
    let usable: Vec<&BrokerRegistration> = image.brokers().filter(|broker| !is_cordoned(broker)).collect();
    let (active, fenced): (Vec<_>, Vec<_>) =
        usable.iter().map(|broker| (broker.id, broker.fenced)).partition(|(_, fenced)| !fenced);
    let active: Vec<i32> = active.into_iter().map(|(id, _)| id).collect();
    let fenced: Vec<i32> = fenced.into_iter().map(|(id, _)| id).collect();
    let wanted = usize::try_from(replication_factor).unwrap_or(0);
    if active.is_empty() {
        return refuse(
            "All brokers are currently fenced or have all their log directories cordoned.".to_owned(),
        );
    }
    if usable.len() < wanted {
        return refuse(format!(
            "The target replication factor of {replication_factor} cannot be reached because only {} broker(s) are \
             registered or some brokers have all their log directories cordoned.",
            usable.len()
        ));
    }
    let start = usize::try_from(rng.below(active.len() as u64)).unwrap_or(0);
    let stripes = usize::try_from(partitions).unwrap_or(0);
    Ok((0..stripes)
        .map(|stripe| {
            let leader = (start + stripe) % active.len();
            // Each round over the leaders shifts the followers by one, so that no pair of brokers shares everything.
            let shift = stripe / active.len();
            let mut replicas: Vec<i32> =
                active.iter().cycle().skip(leader).take(active.len()).copied().collect();
            if let Some(followers) = replicas.get_mut(1..).filter(|followers| !followers.is_empty()) {
                let by = shift % followers.len();
                followers.rotate_left(by);
            }
            replicas.extend(&fenced);
            replicas.truncate(wanted);
            replicas
        })
        .collect())
}

fn is_cordoned(broker: &BrokerRegistration) -> bool {
    let Some(cordoned) = &broker.cordoned_directories else { return false };
    !broker.directories.is_empty() && broker.directories.iter().all(|directory| cordoned.contains(directory))
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

/// A new partition: the first active replica leads, the active ones are in sync. `index` is what error messages call it.
pub fn new_partition(
    image: &MetadataImage,
    index: i32,
    replicas: Vec<i32>,
) -> Result<PartitionRegistration, ApiError> {
    let is_active = |id: &i32| image.broker(*id).is_some_and(BrokerRegistration::is_active);
    let isr: Vec<i32> = replicas.iter().copied().filter(is_active).collect();
    let Some(leader) = isr.first().copied() else {
        return Err(ApiError::new(
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "All brokers specified in the manual partition assignment for partition {index} are fenced or in \
                 controlled shutdown."
            ),
        ));
    };
    let directories = replicas.iter().map(|id| directory(image, *id, index)).collect();
    Ok(PartitionRegistration { directories, replicas, isr, leader, ..PartitionRegistration::default() })
}

/// The directory for a new replica: partitions of a topic stripe over those of the broker that are not cordoned.
fn directory(image: &MetadataImage, broker: i32, index: i32) -> Uuid {
    let Some(broker) = image.broker(broker) else { return DIRECTORY_UNASSIGNED };
    let cordoned = broker.cordoned_directories.as_deref().unwrap_or_default();
    let usable: Vec<Uuid> =
        broker.directories.iter().copied().filter(|one| !cordoned.contains(one)).collect();
    let at = usize::try_from(index).unwrap_or(0).checked_rem(usable.len());
    at.and_then(|at| usable.get(at).copied()).unwrap_or(DIRECTORY_UNASSIGNED)
}
