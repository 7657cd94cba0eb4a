//! The fetching side of an incremental fetch session (KIP-227): the broker is told what has changed since the last request.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::FetchResponse;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};

use super::FetchPosition;
use crate::ids::TopicIdPartition;

const NO_SESSION: i32 = 0;
const INITIAL_EPOCH: i32 = 0;

/// A session with one broker.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    id: i32,
    /// Of the next request.
    epoch: i32,
    /// What the broker has been told.
    partitions: BTreeMap<TopicIdPartition, FetchPosition>,
}

impl Session {
    /// The next request names every partition.
    pub(super) fn is_full(&self) -> bool {
        self.epoch == INITIAL_EPOCH
    }

    /// Where the fetch that was sent last begins.
    pub(super) fn position(&self, id: TopicIdPartition) -> Option<FetchPosition> {
        self.partitions.get(&id).copied()
    }

    /// Names the partitions in a request that are fetched from another place than before, and those that are not fetched any more. False if there
    /// is nothing to be fetched.
    pub(super) fn name(
        &mut self,
        request: &mut FetchRequest,
        changed: impl Iterator<Item = (TopicIdPartition, Option<FetchPosition>)>,
        partition_bytes_max: i32,
    ) -> bool {
        if self.is_full() {
            self.partitions.clear();
        }
        for (id, position) in changed {
            match position {
                Some(position) => {
                    if self.partitions.insert(id, position) != Some(position) {
                        add(&mut request.topics, id, position, partition_bytes_max);
                    }
                }
                None => {
                    if self.partitions.remove(&id).is_some() {
                        forget(&mut request.forgotten_topics_data, id);
                    }
                }
            }
        }
        if self.partitions.is_empty() {
            self.lost();
            return false;
        }
        (request.session_id, request.session_epoch) = (self.id, self.epoch);
        true
    }

    /// Takes in what an answer says of the session.
    pub(super) fn answered(&mut self, response: &FetchResponse) {
        match ErrorCode::from_code(response.error_code) {
            Some(ErrorCode::None) if response.session_id == NO_SESSION => *self = Self::default(),
            Some(ErrorCode::None) => {
                self.id = response.session_id;
                self.epoch = self.epoch.checked_add(1).unwrap_or(1);
            }
            Some(ErrorCode::FetchSessionIdNotFound) => *self = Self::default(),
            _ => self.lost(),
        }
    }

    /// Nobody knows what the broker has heard: the next request closes this session and opens another.
    pub(super) fn lost(&mut self) {
        self.epoch = INITIAL_EPOCH;
        self.partitions.clear();
    }
}

fn add(
    topics: &mut Vec<FetchTopic>,
    id: TopicIdPartition,
    position: FetchPosition,
    partition_max_bytes: i32,
) {
    let partition = FetchPartition {
        partition: id.partition,
        current_leader_epoch: position.current_leader_epoch,
        fetch_offset: position.fetch_offset,
        last_fetched_epoch: position.last_fetched_epoch,
        log_start_offset: position.log_start_offset,
        partition_max_bytes,
        ..FetchPartition::default()
    };
    match topics.last_mut() {
        Some(last) if last.topic_id == id.topic_id => last.partitions.push(partition),
        _ => topics.push(FetchTopic {
            topic_id: id.topic_id,
            partitions: vec![partition],
            ..FetchTopic::default()
        }),
    }
}

fn forget(topics: &mut Vec<ForgottenTopic>, id: TopicIdPartition) {
    match topics.last_mut() {
        Some(last) if last.topic_id == id.topic_id => last.partitions.push(id.partition),
        _ => topics.push(ForgottenTopic {
            topic_id: id.topic_id,
            partitions: vec![id.partition],
            ..ForgottenTopic::default()
        }),
    }
}
