//! What answers say, and what comes next.

use std::collections::BTreeMap;

use ottla_protocol::messages::{
    AlterPartitionReassignmentsResponse, AlterReplicaLogDirsResponse, MetadataResponse,
};
use ottla_protocol::{ErrorCode, Str};

use super::options::{Action, Execution};
use super::plan::{Assignment, Replica, json, named, named_replica};
use super::reassignments::{listed, moves, states};
use super::requests::by_topic;
use super::{ReassignPartitions, Stage};
use crate::client::Reply;
use crate::controller::racks::Racks;
use crate::tools::ToolCx;
use crate::tools::admin::Admin;
use crate::tools::failure::{Refusal, refusal};
use crate::tools::partitions::error_of;

const EXISTING: &str = "Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new partition assignment in addition to the existing one. The --additional flag can also be used to change the throttle by resubmitting the current reassignment.";
const VERIFY: &str = "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.";

impl ReassignPartitions {
    pub(super) fn reassignments_known(&mut self, out: &mut String) -> Result<Stage, Refusal> {
        Ok(match &self.action {
            Action::List => {
                out.push_str(&listed(&self.ongoing));
                Stage::End
            }
            Action::Execute(execution) if !execution.is_additional && !self.ongoing.is_empty() => {
                return Err(Refusal::terse(EXISTING));
            }
            Action::Cancel { .. } => {
                self.ongoing.retain(|_, one| !one.adding.is_empty() || !one.removing.is_empty());
                match self.ongoing.is_empty() {
                    true => {
                        out.push_str("None of the specified partition reassignments are active.\n");
                        Stage::Directories
                    }
                    false => Stage::Reassign,
                }
            }
            _ => Stage::Topics,
        })
    }

    pub(super) fn topics_known(
        &mut self,
        answer: &MetadataResponse,
        out: &mut String,
    ) -> Result<Stage, Refusal> {
        self.racks = answer
            .brokers
            .iter()
            .map(|broker| (broker.node_id, broker.rack.as_ref().map(Str::detached)))
            .collect();
        let verifies = matches!(self.action, Action::Verify { .. });
        if let Action::Execute(Execution { plan, .. }) = &self.action {
            let unknown = plan.partitions.iter().flat_map(|(_, replicas)| replicas);
            if let Some(unknown) = unknown.copied().find(|id| !self.racks.contains_key(id)) {
                return Err(Refusal::new(
                    "AdminCommandFailedException",
                    format!("Unknown broker id {unknown}"),
                ));
            }
        }
        for topic in &answer.topics {
            let name = topic.name.as_ref().map(Str::detached).unwrap_or_default();
            match error_of(topic.error_code) {
                ErrorCode::None => {}
                ErrorCode::UnknownTopicOrPartition if verifies => continue,
                error @ ErrorCode::UnknownTopicOrPartition => {
                    return Err(refusal(error, Some(&format!("Topic {name} not found."))));
                }
                error => return Err(refusal(error, None)),
            }
            for partition in &topic.partitions {
                let place = (name.clone(), partition.partition_index);
                self.current.insert(place, partition.replica_nodes.clone());
            }
        }
        match &self.action {
            Action::Verify { plan, .. } => out.push_str(&states(plan, &self.ongoing, &self.current)),
            Action::Execute(Execution { plan, .. }) => {
                let wanted = plan.assignment();
                let missing = wanted.keys().filter(|place| !self.current.contains_key(*place));
                let missing: Vec<String> = missing.map(named).collect();
                if !missing.is_empty() {
                    let sentence = format!("Unable to find partition: {}", missing.join(", "));
                    return Err(refusal(ErrorCode::UnknownTopicOrPartition, Some(&sentence)));
                }
                self.current.retain(|place, _| wanted.contains_key(place));
            }
            _ => {}
        }
        Ok(Stage::Directories)
    }

    pub(super) fn directories_known(&mut self, admin: &Admin, out: &mut String) -> Result<Stage, Refusal> {
        let found = self.directories.iter();
        let at: BTreeMap<Replica, Str> =
            found.filter_map(|(place, found)| Some((place.clone(), found.current.clone()?))).collect();
        match &self.action {
            Action::Generate { .. } => {
                let proposed = self.proposed()?;
                out.push_str(&format!(
                    "Current partition replica assignment\n{}\n\nProposed partition reassignment configuration\n{}\n",
                    json(&self.current, &at),
                    json(&proposed, &BTreeMap::new())
                ));
                Ok(Stage::End)
            }
            Action::Execute(execution) => {
                out.push_str(&format!(
                    "Current partition replica assignment\n\n{}\n\nSave this to use as the --reassignment-json-file option during rollback\n",
                    json(&self.current, &at)
                ));
                if execution.throttle >= 0 || execution.directories_throttle >= 0 {
                    out.push_str(&format!("{VERIFY}\n"));
                }
                Ok(self.throttled(Stage::Directories))
            }
            Action::Verify { plan, preserves_throttles } => {
                let (text, are_done) = moves(&plan.directories, &self.directories);
                out.push_str(&format!("{text}\n"));
                match are_done && self.ongoing.is_empty() && !preserves_throttles {
                    true => Ok(self.clear(admin, out)),
                    false => Ok(Stage::End),
                }
            }
            Action::Cancel { .. } | Action::List => {
                let found = self.directories.iter().filter(|(_, found)| found.future.is_some());
                self.moving = found
                    .filter_map(|(place, found)| Some((place.clone(), found.current.clone()?)))
                    .collect();
                if !self.moving.is_empty() {
                    return Ok(Stage::Move);
                }
                out.push_str("None of the specified partition moves are active.");
                Ok(self.moved(admin, out))
            }
        }
    }

    /// What `--generate` proposes.
    pub(super) fn proposed(&mut self) -> Result<Assignment, Refusal> {
        let Action::Generate { brokers, is_rack_aware, .. } = &self.action else {
            return Ok(Assignment::new());
        };
        let there: Vec<(i32, Option<&str>)> = self
            .racks
            .iter()
            .filter(|(id, _)| brokers.contains(id))
            .map(|(id, rack)| (*id, rack.as_deref().filter(|_| *is_rack_aware)))
            .collect();
        let rackless = there.iter().filter(|(_, rack)| rack.is_none()).count();
        if *is_rack_aware && rackless != 0 && rackless != there.len() {
            let sentence = "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information.";
            return Err(Refusal::new("AdminOperationException", sentence));
        }
        // Nobody was asked: it is not said that a request failed.
        let refused = |sentence: &str| {
            let refusal = refusal(ErrorCode::InvalidReplicationFactor, Some(sentence));
            Refusal::terse(format!("Error: {}", refusal.complaint().trim_end()))
        };
        let mut proposed = Assignment::new();
        let topics = by_topic(self.current.keys().map(|(topic, partition)| (topic, *partition)));
        for (topic, partitions) in topics {
            let first = partitions.first().and_then(|first| self.current.get(&(topic.clone(), *first)));
            let replicas = first.map_or(0, Vec::len);
            if there.is_empty() {
                return Err(refused(
                    "All brokers are currently fenced, or have all their log directories cordoned.",
                ));
            }
            if there.len() < replicas {
                return Err(refused(&format!(
                    "The target replication factor of {replicas} cannot be reached because only {} broker(s) are registered or some brokers have all their log directories cordoned.",
                    there.len()
                )));
            }
            let usable = there.iter().map(|(id, rack)| (*id, *rack, false));
            let mut racks = Racks::new(&mut self.rng, usable);
            for partition in (0..).take(partitions.len()) {
                proposed.insert((topic.clone(), partition), racks.place(&mut self.rng, replicas));
            }
        }
        Ok(proposed)
    }

    pub(super) fn reassigned(
        &mut self,
        answer: &AlterPartitionReassignmentsResponse,
        out: &mut String,
    ) -> Result<Stage, Refusal> {
        let mut failures = Vec::new();
        for topic in &answer.responses {
            for partition in topic.partitions.iter().filter(|partition| partition.error_code != 0) {
                let why = refusal(error_of(partition.error_code), partition.error_message.as_deref());
                failures.push(((topic.name.detached(), partition.partition_index), why.message));
            }
        }
        failures.sort();
        let lines: Vec<String> =
            failures.iter().map(|(place, why)| format!("{}: {why}", named(place))).collect();
        let changes = self.changes();
        let places: Vec<String> = changes.iter().map(|(place, _)| named(place)).collect();
        let s = |count: usize| if count == 1 { "" } else { "s" };
        if let Action::Execute(execution) = &self.action {
            if !lines.is_empty() {
                return Err(Refusal::terse(format!("Error reassigning partition(s):\n{}", lines.join("\n"))));
            }
            self.moving = execution.plan.directories.clone();
            let (s, places) = (s(places.len()), places.join(","));
            out.push_str(&format!("Successfully started partition reassignment{s} for {places}\n"));
            return Ok(if self.moving.is_empty() { Stage::End } else { Stage::Move });
        }
        if !lines.is_empty() {
            let (s, lines) = (s(lines.len()), lines.join("\n"));
            return Err(Refusal::terse(format!("Error cancelling partition reassignment{s} for:\n{lines}")));
        }
        let (s, places) = (s(places.len()), places.join(","));
        out.push_str(&format!("Successfully cancelled partition reassignment{s} for: {places}\n"));
        Ok(Stage::Directories)
    }

    /// Takes answers to moves between directories; whether all have begun.
    pub(super) fn moves_begun(&mut self, cx: &mut ToolCx<'_>, replies: &[Reply]) -> Result<bool, Refusal> {
        for (broker, reply) in self.movers().into_iter().zip(replies) {
            let failed = |place: &Replica, cause: Refusal| {
                let sentence =
                    format!("Failed to alter dir for {}\nCaused by: {cause}", named_replica(place));
                Refusal::new("AdminCommandFailedException", sentence)
            };
            let of_broker = self.moving.keys().find(|(id, ..)| *id == broker).cloned().unwrap_or_default();
            let answer: AlterReplicaLogDirsResponse =
                reply.decode().map_err(|failure| failed(&of_broker, failure.into()))?;
            for topic in &answer.results {
                for partition in &topic.partitions {
                    let place = (broker, topic.topic_name.detached(), partition.partition_index);
                    match error_of(partition.error_code) {
                        ErrorCode::None => {
                            let Some(path) = self.moving.remove(&place) else { continue };
                            let (_, topic, partition) = place;
                            cx.output.stdout.push_str(&format!(
                                "Successfully started moving log directory to {path} for replica {topic}-{partition} with broker {broker} \n"
                            ));
                        }
                        ErrorCode::ReplicaNotAvailable => {}
                        error => return Err(failed(&place, refusal(error, None))),
                    }
                }
            }
        }
        if self.moving.is_empty() || self.give_up.is_none_or(|at| at > cx.now.monotonic) {
            return Ok(self.moving.is_empty());
        }
        let late: Vec<String> = self.moving.keys().map(named_replica).collect();
        let (s, late) = (if late.len() == 1 { "" } else { "s" }, late.join(","));
        Err(Refusal::terse(format!("Timed out before log directory move{s} could be started for: {late}")))
    }
}
