//! `kafka-consumer-groups --delete-offsets`.

use std::collections::BTreeMap;

use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::{MetadataResponse, OffsetDeleteResponse};
use ottla_protocol::{ErrorCode, Str};

use super::After;
use super::scope::Scope;
use crate::client::{Destination, Reply, Target};
use crate::time::Instant;
use crate::tools::ToolCx;
use crate::tools::admin::Admin;
use crate::tools::failure::{Refusal, refusal};
use crate::tools::partitions::{TopicPartition, ask_metadata, error_of};
use crate::tools::table::{Column, columns};
use crate::tree::IntoTree as _;

/// What has been learned so far.
#[derive(Clone, Debug)]
pub struct Deletion {
    group: Str,
    coordinator: Target,
    whole: Vec<Str>,
    /// What became of each partition; of a topic that is not there, of its partition −1.
    partitions: BTreeMap<TopicPartition, ErrorCode>,
    topics_are_known: bool,
}

impl Deletion {
    /// Of this group, at its coordinator.
    pub fn new(group: Str, coordinator: Target, scope: &Scope) -> Self {
        let (whole, parts) = match scope {
            Scope::Topics { whole, parts } => (whole.clone(), parts.as_slice()),
            _ => (Vec::new(), &[][..]),
        };
        let partitions = parts.iter().map(|place| (place.clone(), ErrorCode::None)).into_map();
        Self { group, coordinator, topics_are_known: whole.is_empty(), whole, partitions }
    }

    /// Sends the request of the stage.
    pub fn ask(&self, now: Instant, admin: &mut Admin) {
        if !self.topics_are_known {
            return ask_metadata(now, admin, Some(&mut self.whole.iter().cloned()));
        }
        let mut topics: BTreeMap<&Str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for (topic, partition_index) in self.partitions.keys().filter(|(_, partition)| *partition >= 0) {
            let partition = OffsetDeleteRequestPartition { partition_index: *partition_index };
            topics.entry(topic).or_default().push(partition);
        }
        let topics = topics.into_iter();
        let topics =
            topics.map(|(name, partitions)| OffsetDeleteRequestTopic { name: name.clone(), partitions });
        let request = OffsetDeleteRequest { group_id: self.group.clone(), topics: topics.collect() };
        admin.ask(now, &Destination::Coordinator(self.coordinator.clone()), (0, 0), request);
    }

    /// Takes the answer of the stage; prints at the end.
    pub fn answered(&mut self, cx: &mut ToolCx<'_>, replies: &[Reply]) -> Result<After, Refusal> {
        let Some(reply) = replies.first() else { return Ok(After::Again) };
        if !self.topics_are_known {
            let answer: MetadataResponse = reply.decode()?;
            for topic in &answer.topics {
                let Some(name) = topic.name.as_ref().map(Str::detached) else { continue };
                match error_of(topic.error_code) {
                    ErrorCode::None => {
                        let all = topic.partitions.iter();
                        let all = all.map(|partition| (name.clone(), partition.partition_index));
                        self.partitions.extend(all.map(|place| (place, ErrorCode::None)));
                    }
                    ErrorCode::LeaderNotAvailable => return Ok(After::Again),
                    error => _ = self.partitions.insert((name, -1), error),
                }
            }
            self.topics_are_known = true;
            return Ok(After::Proceed);
        }
        let answer: OffsetDeleteResponse = reply.decode()?;
        let mut overall = error_of(answer.error_code);
        if matches!(overall, ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable) {
            return Ok(After::Again);
        }
        let is_of_group = overall != ErrorCode::None;
        for topic in &answer.topics {
            for partition in &topic.partitions {
                let error = error_of(partition.error_code);
                self.partitions.insert((topic.name.detached(), partition.partition_index), error);
                if overall == ErrorCode::None {
                    overall = error;
                }
            }
        }
        if is_of_group {
            let asked = self.partitions.iter_mut().filter(|((_, partition), _)| *partition >= 0);
            asked.for_each(|(_, error)| *error = overall);
        }
        self.print(&mut cx.output.stdout, overall);
        Ok(After::Exit)
    }

    fn print(&self, out: &mut String, overall: ErrorCode) {
        out.push_str(&match overall {
            ErrorCode::None => {
                format!("Request succeeded for deleting offsets from group {}.\n", self.group)
            }
            ErrorCode::InvalidGroupId
            | ErrorCode::GroupIdNotFound
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::NonEmptyGroup => format!("\nError: {}\n", overall.message()),
            ErrorCode::GroupSubscribedToTopic
            | ErrorCode::TopicAuthorizationFailed
            | ErrorCode::UnknownTopicOrPartition => {
                "\nError: Encountered some partition-level error, see the follow-up details.\n".to_owned()
            }
            other => format!("\nError: Encountered some unknown error: {}\n", other.name()),
        });
        let mut rows: Vec<Vec<String>> = Vec::new();
        for ((topic, partition), error) in &self.partitions {
            let status = match error {
                ErrorCode::None => "Successful".to_owned(),
                error => format!("Error: {}", refusal(*error, None)),
            };
            let partition = if *partition < 0 { "-".to_owned() } else { partition.to_string() };
            rows.push(vec![topic.to_string(), partition, status]);
        }
        rows.sort_by_cached_key(|row| row.iter().take(2).cloned().collect::<String>());
        rows.insert(0, ["TOPIC", "PARTITION", "STATUS"].map(str::to_owned).to_vec());
        let layout = [Column::AtLeast(15), Column::Fixed(10), Column::Fixed(15)];
        out.push_str(&format!("\n{}", columns(&layout, &rows)));
    }
}
