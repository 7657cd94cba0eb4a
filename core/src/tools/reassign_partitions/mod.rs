//! `kafka-reassign-partitions`: moves replicas from broker to broker, and from directory to directory.

mod options;
mod plan;
mod reassignments;
mod throttles;

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use ottla_protocol::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use ottla_protocol::messages::list_partition_reassignments_request::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use ottla_protocol::messages::{
    AlterPartitionReassignmentsResponse, AlterReplicaLogDirsResponse, MetadataResponse,
};
use ottla_protocol::{ErrorCode, Str};

use self::options::{Action, Execution};
use self::plan::{Assignment, Plan, Replica, ids, json, named, named_replica};
use self::reassignments::{Directories, Ongoing, directories, listed, moves, ongoing, states};
use self::throttles::{DIRECTORIES, Moves, OF_BROKERS, OF_TOPICS, Settings, settings};
use super::admin::Admin;
use super::client_config::admin_session;
use super::configs::resources::{BROKER, TOPIC, altered, ask_alter};
use super::failure::{Refusal, refusal};
use super::partitions::{TopicPartition, ask_metadata, error_of};
use super::runner::{Next, Runner, Steps};
use super::{Environment, Exit, Output, ToolCx};
use crate::client::{Destination, Reply, SessionConfig};
use crate::controller::racks::Racks;
use crate::rng::Rng;
use crate::time::Instant;

/// How long the controller may take, in ms.
const TIMEOUT_MS: i32 = 60_000;
const EXISTING: &str = "Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new partition assignment in addition to the existing one. The --additional flag can also be used to change the throttle by resubmitting the current reassignment.";
const VERIFY: &str = "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.";

#[derive(Clone, Debug)]
struct ReassignPartitions {
    action: Action,
    stage: Stage,
    rng: Rng,
    ongoing: BTreeMap<TopicPartition, Ongoing>,
    current: Assignment,
    /// Brokers and their racks.
    racks: BTreeMap<i32, Option<Str>>,
    directories: BTreeMap<Replica, Directories>,
    /// What the present stage sets.
    altering: Vec<(i8, Str, Settings)>,
    /// What is said when that is done.
    saying: String,
    /// Moves between directories that have not begun, and until when they may.
    moving: BTreeMap<Replica, Str>,
    give_up: Option<Instant>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reassignments,
    Topics,
    Directories,
    TopicThrottles,
    BrokerThrottles,
    DirectoryThrottles,
    Reassign,
    Move,
    ClearBrokers,
    ClearTopics,
    End,
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment, rng: &mut Rng) -> Result<Runner, Exit> {
    let (name, options) = options::read(arguments)?;
    let failed = |refusal: Refusal| Exit { stdout: told(&refusal), stderr: String::new(), code: 1 };
    if let Some(path) = options.value("command-config").filter(|path| !environment.files.contains_key(*path))
    {
        return Err(failed(Refusal::new("NoSuchFileException", path)));
    }
    let session = admin_session(&options, environment)?;
    let action = options::understand(name, &options, environment).map_err(failed)?;
    let stage = if let Action::Generate { .. } = action { Stage::Topics } else { Stage::Reassignments };
    let steps = ReassignPartitions {
        action,
        stage,
        rng: rng.fork(),
        ongoing: BTreeMap::new(),
        current: Assignment::new(),
        racks: BTreeMap::new(),
        directories: BTreeMap::new(),
        altering: Vec::new(),
        saying: String::new(),
        moving: BTreeMap::new(),
        give_up: None,
    };
    Ok(Runner::new(SessionConfig { client_id: "reassign-partitions-tool".into(), ..session }, steps))
}

/// What is said of a failure, where results go.
fn told(refusal: &Refusal) -> String {
    if refusal.class.is_empty() { refusal.complaint() } else { format!("Error: {}", refusal.complaint()) }
}

/// By topic.
fn by_topic<'p>(places: impl IntoIterator<Item = (&'p Str, i32)>) -> BTreeMap<Str, Vec<i32>> {
    let mut topics: BTreeMap<Str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in places {
        topics.entry(topic.clone()).or_default().push(partition);
    }
    topics
}

impl ReassignPartitions {
    fn plan(&self) -> Option<&Plan> {
        match &self.action {
            Action::Execute(Execution { plan, .. }) => Some(plan),
            Action::Verify { plan, .. } | Action::Cancel { plan, .. } => Some(plan),
            Action::Generate { .. } | Action::List => None,
        }
    }

    fn topics(&self) -> Vec<Str> {
        match &self.action {
            Action::Generate { topics, .. } => topics.clone(),
            _ => self.plan().map(Plan::topics).unwrap_or_default(),
        }
    }

    /// Replicas whose directories matter.
    fn replicas(&self) -> BTreeSet<Replica> {
        match &self.action {
            Action::Verify { plan, .. } | Action::Cancel { plan, .. } => {
                plan.directories.keys().cloned().collect()
            }
            _ => {
                let replicas = self.current.iter().flat_map(|((topic, partition), replicas)| {
                    replicas.iter().map(|broker| (*broker, topic.clone(), *partition))
                });
                replicas.collect()
            }
        }
    }

    /// What the controller is asked to change: the plan, or that what is under way be taken back.
    fn changes(&self) -> Vec<(TopicPartition, Option<Vec<i32>>)> {
        match &self.action {
            Action::Execute(execution) => {
                let plan = execution.plan.assignment().into_iter();
                plan.map(|(place, replicas)| (place, Some(replicas))).collect()
            }
            _ => self.ongoing.keys().map(|place| (place.clone(), None)).collect(),
        }
    }

    fn ask_reassignments(&self, now: Instant, admin: &mut Admin) {
        let listed = match &self.action {
            Action::Cancel { plan, .. } => Some(&plan.partitions),
            _ => None,
        };
        let topics = listed.map(|partitions| {
            let topics = by_topic(partitions.iter().map(|((topic, partition), _)| (topic, *partition)));
            let topics = topics.into_iter();
            topics
                .map(|(name, partition_indexes)| ListPartitionReassignmentsTopics { name, partition_indexes })
                .collect()
        });
        let request = ListPartitionReassignmentsRequest { timeout_ms: TIMEOUT_MS, topics };
        admin.ask(now, &admin.anyone(), (0, 0), request);
    }

    /// Those who are asked for the directories of their replicas.
    fn holders(&self, admin: &Admin) -> Vec<i32> {
        let holders: BTreeSet<i32> = self.replicas().iter().map(|(broker, ..)| *broker).collect();
        admin.brokers().into_iter().filter(|broker| holders.contains(broker)).collect()
    }

    fn ask_directories(&self, now: Instant, admin: &mut Admin) {
        let replicas = self.replicas();
        for broker in self.holders(admin) {
            let of_broker = replicas.iter().filter(|replica| replica.0 == broker);
            let topics = by_topic(of_broker.map(|(_, topic, partition)| (topic, *partition)));
            let topics = topics.into_iter();
            let topics = topics.map(|(topic, partitions)| DescribableLogDirTopic { topic, partitions });
            let request = DescribeLogDirsRequest { topics: Some(topics.collect()) };
            admin.ask(now, &Destination::Node(broker), (1, 5), request);
        }
    }

    fn ask_changes(&self, now: Instant, admin: &mut Admin) {
        let keeps_factor =
            matches!(&self.action, Action::Execute(Execution { keeps_replication_factor: true, .. }));
        let mut topics: Vec<ReassignableTopic> = Vec::new();
        for ((name, partition_index), replicas) in self.changes() {
            let partition = ReassignablePartition { partition_index, replicas };
            match topics.last_mut().filter(|last| last.name == name) {
                Some(last) => last.partitions.push(partition),
                None => topics.push(ReassignableTopic { name, partitions: vec![partition] }),
            }
        }
        let request = AlterPartitionReassignmentsRequest {
            timeout_ms: TIMEOUT_MS,
            allow_replication_factor_change: !keeps_factor,
            topics,
        };
        admin.ask(now, &admin.anyone(), (i16::from(keeps_factor), 1), request);
    }

    fn movers(&self) -> BTreeSet<i32> {
        self.moving.keys().map(|(broker, ..)| *broker).collect()
    }

    fn ask_moves(&mut self, now: Instant, admin: &mut Admin) {
        let timeout_ms = match &self.action {
            Action::Execute(Execution { timeout_ms, .. }) | Action::Cancel { timeout_ms, .. } => *timeout_ms,
            _ => 0,
        };
        self.give_up.get_or_insert(now.plus_ms(timeout_ms));
        for broker in self.movers() {
            let mut dirs: BTreeMap<&Str, Vec<(&Str, i32)>> = BTreeMap::new();
            for ((_, topic, partition), path) in self.moving.iter().filter(|((id, ..), _)| *id == broker) {
                dirs.entry(path).or_default().push((topic, *partition));
            }
            let dirs = dirs.into_iter().map(|(path, places)| {
                let topics = by_topic(places).into_iter();
                let topics = topics.map(|(name, partitions)| AlterReplicaLogDirTopic { name, partitions });
                AlterReplicaLogDir { path: path.clone(), topics: topics.collect() }
            });
            let request = AlterReplicaLogDirsRequest { dirs: dirs.collect() };
            admin.ask(now, &Destination::Node(broker), (0, 2), request);
        }
    }

    /// The stages that come after the present one are left out where there is nothing to do.
    fn set(&mut self, kind: i8, holders: impl IntoIterator<Item = (Str, Settings)>, saying: String) {
        self.altering = holders.into_iter().map(|(name, settings)| (kind, name, settings)).collect();
        self.saying = saying;
    }

    fn set_brokers(&mut self, brokers: impl IntoIterator<Item = i32>, settings: &Settings, saying: String) {
        let named = brokers.into_iter().map(|id| (Str::from(id.to_string()), settings.clone()));
        let named: Vec<_> = named.collect();
        self.set(BROKER, named, saying);
    }

    /// Throttles go once nothing moves any more: of all brokers, since nobody knows who took part.
    fn clear(&mut self, admin: &Admin, out: &mut String) -> Stage {
        let Some(plan) = self.plan() else { return Stage::End };
        let mut brokers: BTreeSet<i32> = admin.brokers().into_iter().collect();
        brokers.extend(plan.partitions.iter().flat_map(|(_, replicas)| replicas));
        let s = if brokers.len() == 1 { "" } else { "s" };
        out.push_str(&format!("Clearing broker-level throttles on broker{s} {}\n", ids(&brokers)));
        self.set_brokers(brokers, &settings(&OF_BROKERS, None), String::new());
        Stage::ClearBrokers
    }

    fn reassignments_known(&mut self, out: &mut String) -> Result<Stage, Refusal> {
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

    fn topics_known(&mut self, answer: &MetadataResponse, out: &mut String) -> Result<Stage, Refusal> {
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

    fn directories_known(&mut self, admin: &Admin, out: &mut String) -> Result<Stage, Refusal> {
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

    /// The throttles that are to be set next, and what comes after them.
    fn throttled(&mut self, after: Stage) -> Stage {
        let Action::Execute(execution) = &self.action else { return Stage::End };
        let (rate, of_directories) = (execution.throttle, execution.directories_throttle);
        let moves = || Moves::new(&self.ongoing, &execution.plan.assignment(), &self.current);
        match after {
            Stage::Directories if rate >= 0 => {
                let topics = moves().of_topics();
                self.set(TOPIC, topics, String::new());
                Stage::TopicThrottles
            }
            Stage::TopicThrottles => {
                let brokers = moves().brokers();
                let saying = format!("The inter-broker throttle limit was set to {rate} B/s\n");
                self.set_brokers(brokers, &settings(&OF_BROKERS[..2], Some(rate)), saying);
                Stage::BrokerThrottles
            }
            Stage::Directories | Stage::BrokerThrottles if of_directories >= 0 => {
                let brokers: BTreeSet<i32> = execution.plan.directories.keys().map(|(id, ..)| *id).collect();
                let saying =
                    format!("The replica-alter-dir throttle limit was set to {of_directories} B/s\n");
                self.set_brokers(brokers, &settings(&[DIRECTORIES], Some(of_directories)), saying);
                Stage::DirectoryThrottles
            }
            _ => Stage::Reassign,
        }
    }

    /// What `--generate` proposes.
    fn proposed(&mut self) -> Result<Assignment, Refusal> {
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

    fn reassigned(
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
    fn moves_begun(&mut self, cx: &mut ToolCx<'_>, replies: &[Reply]) -> Result<bool, Refusal> {
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

    /// What comes after moves between directories.
    fn moved(&mut self, admin: &Admin, out: &mut String) -> Stage {
        match self.action {
            Action::Cancel { preserves_throttles: false, .. } => self.clear(admin, out),
            _ => Stage::End,
        }
    }
}

impl Steps for ReassignPartitions {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        match self.stage {
            Stage::Reassignments => self.ask_reassignments(now, admin),
            Stage::Topics => ask_metadata(now, admin, Some(&mut self.topics().into_iter())),
            Stage::Directories => self.ask_directories(now, admin),
            Stage::Reassign => self.ask_changes(now, admin),
            Stage::Move => self.ask_moves(now, admin),
            Stage::TopicThrottles
            | Stage::BrokerThrottles
            | Stage::DirectoryThrottles
            | Stage::ClearBrokers
            | Stage::ClearTopics => {
                for (kind, name, settings) in &self.altering {
                    ask_alter(now, admin, *kind, name, settings);
                }
            }
            Stage::End => {}
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        let first = || replies.first().ok_or_else(|| Refusal::terse("Nobody was there to be asked."));
        let next = match self.stage {
            Stage::Reassignments => match ongoing(first()?)? {
                Some(ongoing) => {
                    self.ongoing = ongoing;
                    self.reassignments_known(&mut cx.output.stdout)?
                }
                None => return Ok(Next::Again),
            },
            Stage::Topics => self.topics_known(&first()?.decode()?, &mut cx.output.stdout)?,
            Stage::Directories => {
                for (broker, reply) in self.holders(admin).into_iter().zip(replies) {
                    self.directories.extend(directories(broker, reply)?);
                }
                self.directories_known(admin, &mut cx.output.stdout)?
            }
            Stage::Reassign => {
                let answer: AlterPartitionReassignmentsResponse = first()?.decode()?;
                match error_of(answer.error_code) {
                    ErrorCode::None => self.reassigned(&answer, &mut cx.output.stdout)?,
                    ErrorCode::NotController => return Ok(Next::Again),
                    error => return Err(refusal(error, answer.error_message.as_deref())),
                }
            }
            Stage::Move => match self.moves_begun(cx, replies)? {
                true => self.moved(admin, &mut cx.output.stdout),
                false => return Ok(Next::Again),
            },
            Stage::End => return Ok(Next::Exit(0)),
            set => {
                for reply in replies {
                    if !altered(reply)? {
                        return Ok(Next::Again);
                    }
                }
                cx.output.stdout.push_str(&std::mem::take(&mut self.saying));
                match set {
                    Stage::ClearBrokers => {
                        let topics = self.topics();
                        let s = if topics.len() == 1 { "" } else { "s" };
                        let names: Vec<&str> = topics.iter().map(|name| &**name).collect();
                        let line =
                            format!("Clearing topic-level throttles on topic{s} {}\n", names.join(","));
                        cx.output.stdout.push_str(&line);
                        let unset = settings(&OF_TOPICS, None);
                        self.set(
                            TOPIC,
                            topics.into_iter().map(|topic| (topic, unset.clone())),
                            String::new(),
                        );
                        Stage::ClearTopics
                    }
                    Stage::ClearTopics => Stage::End,
                    other => self.throttled(other),
                }
            }
        };
        self.stage = next;
        Ok(if next == Stage::End { Next::Exit(0) } else { Next::Proceed })
    }

    fn refused(&self, output: &mut Output, refusal: Refusal) -> i32 {
        output.stdout.push_str(&told(&refusal.executed()));
        1
    }
}
