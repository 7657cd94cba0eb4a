//! Which directories a shard's replicas are in, and which it leaves to others (KIP-858).

use super::Shard;
use crate::broker::openings::name_of;
use crate::broker::{LifecycleEvent, Message};
use crate::ids::{LogDirId, TopicIdPartition, TopicPartition};
use crate::log::LogStore;
use crate::log::log_dirs::LogDirState;
use crate::machine::Cx;
use crate::metadata::topics::{DIRECTORY_LOST, NO_LEADER};
use crate::metadata::{BrokerRegistration, MetadataImage, PartitionRegistration};

impl<S: LogStore> Shard<S> {
    /// Has the controller told where a replica is, if the metadata says otherwise. Of directories that are offline heartbeats tell.
    ///
    /// A replica that cannot take records for now, because its directory is full, or for good, because its log is broken, is said to be lost
    /// while others are in sync: the controller has one of these lead and waits for this one no more. Once there is room it is where it was.
    pub(super) fn report_directory(
        &mut self,
        cx: &mut Cx<'_, S>,
        image: &MetadataImage,
        id: TopicIdPartition,
        name: &TopicPartition,
        registration: &PartitionRegistration,
    ) {
        let me = self.config.node_id;
        let known = registration.directory(me);
        if known.is_none() || !image.features.metadata_version().has_directories() {
            return;
        }
        let place = match self.partitions.get(&id) {
            Some(partition) => Some((partition.log_dir(), partition.failure().is_some())),
            None if self.checkpoints.has(name, id.topic_id) => {
                let place = self.checkpoints.of(name, id.topic_id, None);
                place.map(|place| (place.log_dir, self.openings.has_failed(id)))
            }
            None => None,
        };
        let Some((log_dir, has_failed)) = place else { return };
        let state = self.log_dirs.get(&log_dir).copied().unwrap_or(LogDirState::Online);
        let (false, Some(actual)) =
            (self.checkpoints.is_offline(log_dir), self.checkpoints.directory_id(log_dir))
        else {
            return;
        };
        let is_unable = has_failed || state != LogDirState::Online;
        let has_lead = registration.leader != NO_LEADER;
        let others_have_it = has_lead && registration.isr.iter().any(|member| *member != me);
        let is_counted_on = registration.isr.contains(&me) || known == Some(DIRECTORY_LOST);
        let is_left = is_unable && others_have_it && is_counted_on;
        let directory = if is_left { DIRECTORY_LOST } else { actual };
        // Nobody leads what was left while this one was the last: what is said once more has the controller look for a leader.
        let is_stuck = !is_left
            && known == Some(actual)
            && !has_lead
            && image.broker(me).is_some_and(BrokerRegistration::is_active)
            && (registration.isr.contains(&me) || registration.elr.contains(&me));
        if known != Some(directory) || is_stuck {
            cx.effects.tell(Message::Lifecycle(LifecycleEvent::Placed(id, directory)));
        }
    }

    /// The same for a replica as the newest metadata has it.
    pub(super) fn report_directory_of(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition) {
        let published = self.published.clone();
        let registration = published.image.partition(id.topic_id, id.partition);
        if let (Some(name), Some(registration)) = (name_of(&published.image, id), registration) {
            self.report_directory(cx, &published.image, id, &name, registration);
        }
    }

    /// The same for all replicas of a directory.
    pub(super) fn report_directories_in(&mut self, cx: &mut Cx<'_, S>, log_dir: LogDirId) {
        let open = self.partitions.iter().filter(|(_, partition)| partition.log_dir() == log_dir);
        let ids: Vec<_> = open.map(|(id, _)| *id).chain(self.openings.ids()).collect();
        for id in ids {
            self.report_directory_of(cx, id);
        }
    }
}
