//! `kafka-consumer-groups --reset-offsets`, for one group.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    DescribeGroupsRequest, DescribeGroupsResponse, MetadataResponse, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse,
};
use ottla_protocol::{ErrorCode, Str};

use super::After;
use super::plan::Offsets;
use super::scope::{Command, Scenario, Scope};
use crate::client::{Destination, Reply, Target};
use crate::time::Instant;
use crate::tools::ToolCx;
use crate::tools::admin::Admin;
use crate::tools::failure::{Refusal, refusal};
use crate::tools::partitions::{
    ByLeader, EARLIEST, LATEST, TopicPartition, ask_metadata, ask_offsets, by_leader, error_of, offsets,
};
use crate::tree::IntoTree as _;

/// What has been learned so far.
#[derive(Clone, Debug)]
pub struct Reset {
    group: Str,
    coordinator: Target,
    stage: Stage,
    committed: Offsets,
    partitions: BTreeSet<TopicPartition>,
    leaders: ByLeader,
    /// By the timestamp that was asked for.
    known: BTreeMap<i64, Offsets>,
    /// The time of `--to-datetime` or `--by-duration`.
    timestamp: i64,
    /// What it comes to.
    pub planned: Offsets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    State,
    Committed,
    Topics,
    Offsets(i64),
    Commit,
}

impl Reset {
    /// Of this group, at its coordinator.
    pub fn new(group: Str, coordinator: Target) -> Self {
        Self {
            group,
            coordinator,
            stage: Stage::State,
            committed: Offsets::new(),
            partitions: BTreeSet::new(),
            leaders: ByLeader::new(),
            known: BTreeMap::new(),
            timestamp: 0,
            planned: Offsets::new(),
        }
    }

    /// Sends the requests of the stage.
    pub fn ask(&self, now: Instant, admin: &mut Admin, command: &Command) {
        let coordinator = Destination::Coordinator(self.coordinator.clone());
        let group_id = self.group.clone();
        match self.stage {
            Stage::State => {
                let request = DescribeGroupsRequest { groups: vec![group_id], ..Default::default() };
                admin.ask(now, &coordinator, (0, 6), request);
            }
            Stage::Committed => {
                let request = OffsetFetchRequest { group_id, topics: None, ..Default::default() };
                admin.ask(now, &coordinator, (2, 7), request);
            }
            Stage::Topics => {
                let mut topics: BTreeSet<Str> =
                    self.partitions.iter().map(|(topic, _)| topic.clone()).into_set();
                if let Scope::Topics { whole, .. } = &command.scope {
                    topics.extend(whole.iter().cloned());
                }
                ask_metadata(now, admin, Some(&mut topics.into_iter()));
            }
            Stage::Offsets(timestamp) => ask_offsets(now, admin, &self.leaders, timestamp),
            Stage::Commit => {
                let mut topics: BTreeMap<&Str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
                for ((topic, partition_index), offset) in &self.planned {
                    let partition = OffsetCommitRequestPartition {
                        partition_index: *partition_index,
                        committed_offset: *offset,
                        committed_metadata: Some(Str::default()),
                        ..Default::default()
                    };
                    topics.entry(topic).or_default().push(partition);
                }
                let topics = topics.into_iter().map(|(name, partitions)| OffsetCommitRequestTopic {
                    name: name.clone(),
                    partitions,
                    ..Default::default()
                });
                let request =
                    OffsetCommitRequest { group_id, topics: topics.collect(), ..Default::default() };
                admin.ask(now, &coordinator, (2, 9), request);
            }
        }
    }

    /// Takes the answers of the stage.
    pub fn answered(
        &mut self,
        cx: &mut ToolCx<'_>,
        command: &Command,
        replies: &[Reply],
    ) -> Result<After, Refusal> {
        if let Stage::Offsets(timestamp) = self.stage {
            return self.offsets_known(cx, command, timestamp, replies);
        }
        let Some(reply) = replies.first() else { return Ok(After::Again) };
        match self.stage {
            Stage::State => self.state_known(cx, command, &reply.decode()?),
            Stage::Committed => {
                let answer: OffsetFetchResponse = reply.decode()?;
                match error_of(answer.error_code) {
                    ErrorCode::None => {}
                    error if error.is_retriable() => return Ok(After::Again),
                    error => return Err(refusal(error, None)),
                }
                for topic in &answer.topics {
                    let partitions = topic.partitions.iter();
                    let committed = partitions.filter(|partition| partition.committed_offset >= 0);
                    self.committed.extend(committed.map(|partition| {
                        ((topic.name.detached(), partition.partition_index), partition.committed_offset)
                    }));
                }
                if matches!(command.scope, Scope::AllTopics) {
                    self.partitions = self.committed.keys().cloned().collect();
                }
                self.stage = Stage::Topics;
                self.unless_none(cx, command)
            }
            Stage::Topics => self.topics_known(cx, command, &reply.decode()?),
            Stage::Commit => committed(&reply.decode()?),
            Stage::Offsets(_) => Ok(After::Again),
        }
    }

    fn state_known(
        &mut self,
        cx: &mut ToolCx<'_>,
        command: &Command,
        answer: &DescribeGroupsResponse,
    ) -> Result<After, Refusal> {
        let Some(group) = answer.groups.first() else { return Ok(After::Again) };
        match error_of(group.error_code) {
            ErrorCode::None | ErrorCode::GroupIdNotFound => {}
            error if error.is_retriable() => return Ok(After::Again),
            error => {
                let refusal = refusal(error, group.error_message.as_deref()).executed();
                return Err(Refusal::new("RuntimeException", refusal.to_string()));
            }
        }
        let state = &group.group_state;
        if !matches!(&**state, "Empty" | "Dead" | "") {
            let group = &self.group;
            cx.output.stdout.push_str(&format!(
                "\nError: Assignments can only be reset if the group '{group}' is inactive, but the current state is {state}.\n"
            ));
            return Ok(After::Group);
        }
        match &command.scope {
            Scope::Topics { parts, .. } => self.partitions = parts.iter().cloned().collect(),
            Scope::AllTopics => {}
            Scope::None => match &command.scenario {
                Some(Scenario::File(plan)) => match plan.get(&self.group) {
                    Some(offsets) => self.partitions = offsets.keys().cloned().collect(),
                    None => {
                        let group = &self.group;
                        cx.output
                            .stdout
                            .push_str(&format!("\nError: No reset plan for group {group} found\n"));
                        return Ok(After::Group);
                    }
                },
                _ => return Err(usage("One of the reset scopes should be defined: --all-topics, --topic.")),
            },
        }
        let needs_committed = matches!(command.scope, Scope::AllTopics)
            || matches!(command.scenario, Some(Scenario::ShiftBy(_) | Scenario::Current));
        self.stage = if needs_committed { Stage::Committed } else { Stage::Topics };
        Ok(After::Proceed)
    }

    /// Nothing to reset is no reason to ask anybody.
    fn unless_none(&mut self, cx: &mut ToolCx<'_>, command: &Command) -> Result<After, Refusal> {
        match &command.scope {
            Scope::AllTopics if self.partitions.is_empty() => {
                self.scenario(cx, command)?;
                Ok(After::Group)
            }
            _ => Ok(After::Proceed),
        }
    }

    fn topics_known(
        &mut self,
        cx: &mut ToolCx<'_>,
        command: &Command,
        answer: &MetadataResponse,
    ) -> Result<After, Refusal> {
        let whole = match &command.scope {
            Scope::Topics { whole, .. } => whole.as_slice(),
            _ => &[],
        };
        for topic in &answer.topics {
            let Some(name) = topic.name.as_ref().map(Str::detached) else { continue };
            match error_of(topic.error_code) {
                ErrorCode::None => {}
                ErrorCode::LeaderNotAvailable => return Ok(After::Again),
                error if whole.contains(&name) => return Err(refusal(error, None)),
                error => {
                    let cause = refusal(error, None).executed();
                    return Err(Refusal::new("RuntimeException", cause.to_string()));
                }
            }
            if whole.contains(&name) {
                let all = topic.partitions.iter().map(|partition| (name.clone(), partition.partition_index));
                self.partitions.extend(all);
            }
        }
        let exists = |(topic, index): &TopicPartition| {
            let of_topic = answer.topics.iter().find(|known| known.name.as_ref() == Some(topic));
            of_topic.is_some_and(|known| known.partitions.iter().any(|known| known.partition_index == *index))
        };
        let missing: Vec<String> = self
            .partitions
            .iter()
            .filter(|place| !exists(place))
            .map(|(topic, partition)| format!("{topic}-{partition}"))
            .collect();
        if !missing.is_empty() {
            let sentence = format!("The partitions \"{}\" do not exist", missing.join(","));
            return Err(Refusal::new("UnknownTopicOrPartitionException", sentence));
        }
        let is_wanted = |topic: &Str, partition| self.partitions.contains(&(topic.clone(), partition));
        let Some(leaders) = by_leader(answer, is_wanted) else { return Ok(After::Again) };
        self.leaders = leaders;
        self.stage = Stage::Offsets(self.scenario(cx, command)?);
        Ok(After::Proceed)
    }

    /// The timestamp to ask for first.
    fn scenario(&mut self, cx: &ToolCx<'_>, command: &Command) -> Result<i64, Refusal> {
        match &command.scenario {
            Some(Scenario::Datetime(time)) => self.timestamp = time.clone()?,
            Some(Scenario::Duration(ms)) => self.timestamp = cx.now.wall.saturating_sub(ms.clone()?),
            Some(Scenario::Latest | Scenario::Current) => return Ok(LATEST),
            Some(_) => return Ok(EARLIEST),
            None => {
                let all = "[[by-duration], [from-file], [shift-by], [to-current], [to-datetime], \
                           [to-earliest], [to-latest], [to-offset]]";
                let sentence = "Option '[reset-offsets]' requires one of the following scenarios: ";
                return Err(usage(&format!("{sentence}{all}")));
            }
        }
        Ok(self.timestamp)
    }

    fn offsets_known(
        &mut self,
        cx: &mut ToolCx<'_>,
        command: &Command,
        timestamp: i64,
        replies: &[Reply],
    ) -> Result<After, Refusal> {
        let mut known = Offsets::new();
        for (place, offset) in offsets(replies)? {
            match offset {
                Ok(offset) => _ = known.insert(place, offset),
                Err(error) if error.is_retriable() => {
                    self.stage = Stage::Topics;
                    return Ok(After::Again);
                }
                Err(error) => {
                    let cause = refusal(error, None).executed();
                    return Err(Refusal::new("RuntimeException", cause.to_string()));
                }
            }
        }
        self.known.insert(timestamp, known);
        if timestamp != LATEST && !matches!(command.scenario, Some(Scenario::Earliest)) {
            self.stage = Stage::Offsets(LATEST);
            return Ok(After::Proceed);
        }
        self.plan(cx, command)?;
        if command.execute && !self.planned.is_empty() {
            self.stage = Stage::Commit;
            return Ok(After::Proceed);
        }
        Ok(After::Group)
    }

    fn offset(&self, timestamp: i64, place: &TopicPartition) -> i64 {
        self.known.get(&timestamp).and_then(|known| known.get(place)).copied().unwrap_or(-1)
    }

    fn plan(&mut self, cx: &mut ToolCx<'_>, command: &Command) -> Result<(), Refusal> {
        let mut planned = Offsets::new();
        for place in &self.partitions {
            let (topic, partition) = place;
            let requested = match &command.scenario {
                Some(Scenario::Earliest) => self.offset(EARLIEST, place),
                Some(Scenario::Latest) | None => self.offset(LATEST, place),
                Some(Scenario::Current) => {
                    self.committed.get(place).copied().unwrap_or_else(|| self.offset(LATEST, place))
                }
                Some(Scenario::Datetime(_) | Scenario::Duration(_)) => {
                    match self.offset(self.timestamp, place) {
                        -1 => {
                            cx.output.stdout.push_str(&format!(
                            "\nWarn: Partition {partition} from topic {topic} is empty. Falling back to latest known offset.\n"
                        ));
                            self.offset(LATEST, place)
                        }
                        offset => offset,
                    }
                }
                Some(Scenario::Offset(offset)) => self.within(cx, place, *offset),
                Some(Scenario::ShiftBy(by)) => {
                    let Some(committed) = self.committed.get(place) else {
                        return Err(usage(&format!(
                            "Cannot shift offset for partition {topic}-{partition} since there is no current committed offset"
                        )));
                    };
                    self.within(cx, place, committed.saturating_add(*by))
                }
                Some(Scenario::File(plan)) => {
                    let offset = plan.get(&self.group).and_then(|offsets| offsets.get(place));
                    self.within(cx, place, offset.copied().unwrap_or_default())
                }
            };
            planned.insert(place.clone(), requested);
        }
        self.planned = planned;
        Ok(())
    }

    /// No offset leaves the log.
    fn within(&self, cx: &mut ToolCx<'_>, place: &TopicPartition, requested: i64) -> i64 {
        let (start, end) = (self.offset(EARLIEST, place), self.offset(LATEST, place));
        let (than, kept) = if requested > end {
            ("higher than latest", end)
        } else if requested < start {
            ("lower than earliest", start)
        } else {
            return requested;
        };
        cx.output.stderr.push_str(&format!(
            "WARN New offset ({requested}) is {than} offset for topic partition {}-{}. Value will be set to {kept}\n",
            place.0, place.1
        ));
        kept
    }
}

/// A wrong command line, of which only the cluster could tell.
fn usage(message: &str) -> Refusal {
    Refusal::new("IllegalArgumentException", message)
}

fn committed(answer: &OffsetCommitResponse) -> Result<After, Refusal> {
    for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
        match error_of(partition.error_code) {
            ErrorCode::None => {}
            ErrorCode::CoordinatorLoadInProgress => return Ok(After::Again),
            error => return Err(refusal(error, None)),
        }
    }
    Ok(After::Group)
}
