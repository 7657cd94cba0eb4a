//! `kafka-consumer-groups --describe`, for one group.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::{
    DescribeGroupsRequest, DescribeGroupsResponse, MetadataResponse, OffsetFetchRequest, OffsetFetchResponse,
};
use ottla_protocol::{ErrorCode, Str};

use super::After;
use super::scope::{Command, View};
use crate::client::{Destination, Reply, Target, assigned_partitions};
use crate::time::Instant;
use crate::tools::ToolCx;
use crate::tools::admin::Admin;
use crate::tools::failure::{Refusal, refusal};
use crate::tools::partitions::{ByLeader, LATEST, TopicPartition, ask_metadata, ask_offsets, offsets};
use crate::tools::table::{Column, columns};
use crate::tree::IntoTree as _;

/// What `--members --verbose` shows besides.
const VERBOSE_HEAD: [&str; 5] =
    ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT", ""];

/// What has been learned of a group so far.
#[derive(Clone, Debug)]
pub struct Description {
    group: Str,
    coordinator: Target,
    coordinator_id: i32,
    stage: Stage,
    state: Str,
    /// The assignor that the members agreed upon.
    strategy: Str,
    members: Vec<Member>,
    committed: BTreeMap<TopicPartition, Committed>,
    leaders: ByLeader,
    ends: BTreeMap<TopicPartition, i64>,
}

#[derive(Clone, Debug)]
enum Stage {
    Group,
    Committed,
    Leaders,
    Ends,
}

#[derive(Clone, Debug)]
struct Member {
    id: Str,
    instance_id: Option<Str>,
    client_id: Str,
    host: Str,
    partitions: Vec<TopicPartition>,
}

#[derive(Clone, Copy, Debug)]
struct Committed {
    offset: i64,
    leader_epoch: i32,
}

impl Description {
    /// Of this group, at its coordinator.
    pub fn new(group: Str, coordinator: Target, coordinator_id: i32) -> Self {
        Self {
            group,
            coordinator,
            coordinator_id,
            stage: Stage::Group,
            state: Str::default(),
            strategy: Str::default(),
            members: Vec::new(),
            committed: BTreeMap::new(),
            leaders: BTreeMap::new(),
            ends: BTreeMap::new(),
        }
    }

    /// Sends the requests of the stage.
    pub fn ask(&self, now: Instant, admin: &mut Admin) {
        let coordinator = Destination::Coordinator(self.coordinator.clone());
        match &self.stage {
            Stage::Group => {
                let request =
                    DescribeGroupsRequest { groups: vec![self.group.clone()], ..Default::default() };
                admin.ask(now, &coordinator, (0, 6), request);
            }
            Stage::Committed => {
                let request =
                    OffsetFetchRequest { group_id: self.group.clone(), topics: None, ..Default::default() };
                admin.ask(now, &coordinator, (2, 7), request);
            }
            Stage::Leaders => {
                let mut topics: BTreeSet<Str> = self.partitions().map(|(topic, _)| topic.clone()).into_set();
                ask_metadata(now, admin, Some(&mut std::mem::take(&mut topics).into_iter()));
            }
            Stage::Ends => ask_offsets(now, admin, &self.leaders, LATEST),
        }
    }

    fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.members.iter().flat_map(|member| &member.partitions).chain(self.committed.keys())
    }

    /// Takes the answers of the stage; prints when all is known.
    pub fn answered(
        &mut self,
        cx: &mut ToolCx<'_>,
        command: &Command,
        replies: &[Reply],
    ) -> Result<After, Refusal> {
        let first = replies.first();
        match &self.stage {
            Stage::Group => {
                let Some(reply) = first else { return Ok(After::Again) };
                let next = self.group_known(&reply.decode()?)?;
                if next == After::Again {
                    return Ok(next);
                }
                if command.view != View::Offsets {
                    self.print(cx, command);
                    return Ok(After::Group);
                }
                self.stage = Stage::Committed;
            }
            Stage::Committed => {
                let Some(reply) = first else { return Ok(After::Again) };
                self.committed_known(&reply.decode()?)?;
                self.stage = Stage::Leaders;
                if self.partitions().next().is_none() {
                    self.print(cx, command);
                    return Ok(After::Group);
                }
            }
            Stage::Leaders => {
                let Some(reply) = first else { return Ok(After::Again) };
                self.leaders_known(&reply.decode()?);
                self.stage = Stage::Ends;
            }
            Stage::Ends => {
                let known = offsets(replies)?.into_iter();
                self.ends = known.filter_map(|(place, offset)| Some((place, offset.ok()?))).into_map();
                self.print(cx, command);
                return Ok(After::Group);
            }
        }
        Ok(After::Proceed)
    }

    fn group_known(&mut self, answer: &DescribeGroupsResponse) -> Result<After, Refusal> {
        let Some(group) = answer.groups.first() else { return Ok(After::Again) };
        let missing = || {
            let message = format!("Group {} not found.", self.group);
            Refusal::new("GroupIdNotFoundException", message)
        };
        match ErrorCode::from_code(group.error_code).unwrap_or(ErrorCode::UnknownServerError) {
            ErrorCode::None if &*group.group_state == "Dead" => return Err(missing()),
            ErrorCode::None => {}
            ErrorCode::GroupIdNotFound => return Err(missing()),
            error if error.is_retriable() => return Ok(After::Again),
            error => return Err(refusal(error, group.error_message.as_deref())),
        }
        self.state = group.group_state.detached();
        self.strategy = group.protocol_data.detached();
        self.members = group
            .members
            .iter()
            .map(|member| Member {
                id: member.member_id.detached(),
                instance_id: member.group_instance_id.as_ref().map(Str::detached),
                client_id: member.client_id.detached(),
                host: member.client_host.detached(),
                partitions: assigned_partitions(&member.member_assignment),
            })
            .collect();
        Ok(After::Proceed)
    }

    fn committed_known(&mut self, answer: &OffsetFetchResponse) -> Result<(), Refusal> {
        match ErrorCode::from_code(answer.error_code).unwrap_or(ErrorCode::UnknownServerError) {
            ErrorCode::None => {}
            error => return Err(refusal(error, None)),
        }
        for topic in &answer.topics {
            for partition in topic.partitions.iter().filter(|partition| partition.committed_offset >= 0) {
                let committed = Committed {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                };
                self.committed.insert((topic.name.detached(), partition.partition_index), committed);
            }
        }
        Ok(())
    }

    fn leaders_known(&mut self, answer: &MetadataResponse) {
        let wanted: BTreeSet<TopicPartition> = self.partitions().cloned().into_set();
        self.leaders.clear();
        for topic in &answer.topics {
            let Some(name) = &topic.name else { continue };
            for partition in topic.partitions.iter().filter(|partition| partition.leader_id >= 0) {
                let key = (name.detached(), partition.partition_index);
                if wanted.contains(&key) {
                    self.leaders.entry(partition.leader_id).or_default().push(key);
                }
            }
        }
    }

    fn print(&self, cx: &mut ToolCx<'_>, command: &Command) {
        let group = &self.group;
        match &*self.state {
            "Empty" => {
                cx.output.stderr.push_str(&format!("\nConsumer group '{group}' has no active members.\n"));
            }
            "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
                cx.output.stderr.push_str(&format!("\nWarning: Consumer group '{group}' is rebalancing.\n"));
            }
            _ => {}
        }
        let table = match command.view {
            View::Offsets => self.offsets(command.verbose),
            View::Members => Some(self.members(command.verbose)),
            View::State => Some(self.state(command.verbose)),
        };
        if let Some(table) = table {
            cx.output.stdout.push_str(&format!("\n{table}"));
        }
    }

    fn offsets(&self, verbose: bool) -> Option<String> {
        let dash = || "-".to_owned();
        let row = |place: Option<&TopicPartition>, member: Option<&Member>| {
            let committed = place.and_then(|place| self.committed.get(place));
            let end = place.and_then(|place| self.ends.get(place));
            let lag = committed.zip(end).map(|(committed, end)| (end - committed.offset).to_string());
            let number = |value: Option<i64>| value.map_or_else(dash, |value| value.to_string());
            let epoch = committed.filter(|committed| committed.leader_epoch >= 0);
            let mut cells = vec![
                self.group.to_string(),
                place.map_or_else(dash, |(topic, _)| topic.to_string()),
                place.map_or_else(dash, |(_, partition)| partition.to_string()),
            ];
            cells.extend(verbose.then(|| number(epoch.map(|committed| i64::from(committed.leader_epoch)))));
            cells.extend([
                number(committed.map(|committed| committed.offset)),
                number(end.copied()),
                lag.unwrap_or_else(dash),
                member.map_or_else(dash, |member| member.id.to_string()),
                member.map_or_else(dash, |member| member.host.to_string()),
                member.map_or_else(dash, |member| member.client_id.to_string()),
            ]);
            cells
        };
        let mut rows = Vec::new();
        let mut owned: BTreeSet<&TopicPartition> = BTreeSet::new();
        let mut members: Vec<&Member> = self.members.iter().collect();
        members.sort_by_key(|member| std::cmp::Reverse(member.partitions.len()));
        for member in members {
            let mut partitions: Vec<&TopicPartition> = member.partitions.iter().collect();
            partitions.sort_unstable();
            rows.extend(partitions.iter().map(|place| row(Some(place), Some(member))));
            if partitions.is_empty() {
                rows.push(row(None, Some(member)));
            }
            owned.extend(partitions);
        }
        let unowned = self.committed.keys().filter(|place| !owned.contains(place));
        rows.extend(unowned.map(|place| row(Some(place), None)));
        if rows.is_empty() {
            return None;
        }
        let mut head = vec!["GROUP", "TOPIC", "PARTITION"];
        head.extend(verbose.then_some("LEADER-EPOCH"));
        head.extend(["CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"]);
        rows.insert(0, head.into_iter().map(str::to_owned).collect());
        let mut layout = vec![Column::AtLeast(15), Column::AtLeast(15), Column::Fixed(10)];
        layout.extend(verbose.then_some(Column::Fixed(15)));
        layout.extend([Column::Fixed(15); 3]);
        layout.extend([Column::AtLeast(15), Column::AtLeast(15), Column::Last]);
        Some(columns(&layout, &rows))
    }

    fn members(&self, verbose: bool) -> String {
        let with_instances = self.members.iter().any(|member| member.instance_id.is_some());
        let mut head = vec!["GROUP", "CONSUMER-ID"];
        head.extend(with_instances.then_some("GROUP-INSTANCE-ID"));
        head.extend(["HOST", "CLIENT-ID", "#PARTITIONS"]);
        head.extend(if verbose { &VERBOSE_HEAD[..] } else { &[""] });
        let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
        for member in &self.members {
            let mut cells = vec![self.group.to_string(), member.id.to_string()];
            let instance = member.instance_id.as_ref().map(Str::to_string).unwrap_or_default();
            cells.extend(with_instances.then_some(instance));
            cells.extend([
                member.host.to_string(),
                member.client_id.to_string(),
                member.partitions.len().to_string(),
            ]);
            // A classic member has no epochs and no target.
            let more = [
                "-".to_owned(),
                assignment(&member.partitions),
                "-".to_owned(),
                "-".to_owned(),
                String::new(),
            ];
            cells.extend(if verbose { more.to_vec() } else { vec![String::new()] });
            rows.push(cells);
        }
        let mut layout = vec![Column::AtLeast(15), Column::AtLeast(15)];
        layout.extend(with_instances.then_some(Column::AtLeast(17)));
        layout.extend([Column::AtLeast(15), Column::AtLeast(15), Column::Fixed(15)]);
        if verbose {
            layout.extend([15, 20, 15, 20].map(Column::Fixed));
        }
        layout.push(Column::Last);
        columns(&layout, &rows)
    }

    fn state(&self, verbose: bool) -> String {
        let mut head = vec!["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE"];
        head.extend(verbose.then_some(["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"]).into_iter().flatten());
        head.push("#MEMBERS");
        let strategy = if self.strategy.is_empty() { "-".to_owned() } else { self.strategy.to_string() };
        let Target { host, port } = &self.coordinator;
        let mut row = vec![
            self.group.to_string(),
            format!("{host}:{port}  ({})", self.coordinator_id),
            strategy,
            self.state.to_string(),
        ];
        row.extend(verbose.then(|| ["-".to_owned(), "-".to_owned()]).into_iter().flatten());
        row.push(self.members.len().to_string());
        let mut layout = vec![Column::AtLeast(15), Column::AtLeast(25), Column::Fixed(20), Column::Fixed(20)];
        layout.extend(verbose.then_some([Column::Fixed(15), Column::Fixed(25)]).into_iter().flatten());
        layout.push(Column::Last);
        columns(&layout, &[head.into_iter().map(str::to_owned).collect(), row])
    }
}

/// `topic:0,1;other:2`.
fn assignment(partitions: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&Str, BTreeSet<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(topic).or_default().insert(*partition);
    }
    let topic = |(topic, partitions): (&Str, &BTreeSet<i32>)| {
        let partitions: Vec<String> = partitions.iter().map(i32::to_string).collect();
        format!("{topic}:{}", partitions.join(","))
    };
    let topics: Vec<String> = topics.iter().map(|(name, partitions)| topic((*name, partitions))).collect();
    if topics.is_empty() { "-".to_owned() } else { topics.join(";") }
}
