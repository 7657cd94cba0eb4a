//! `kafka-reassign-partitions`: moves replicas from broker to broker, and from directory to directory.

mod answers;
mod options;
mod plan;
mod reassignments;
mod requests;
mod throttles;

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::AlterPartitionReassignmentsResponse;
use ottla_protocol::{ErrorCode, Str};

use self::options::{Action, Execution};
use self::plan::{Assignment, Plan, Replica, ids};
use self::reassignments::{Directories, Ongoing, directories, ongoing};
use self::throttles::{DIRECTORIES, Moves, OF_BROKERS, OF_TOPICS, Settings, settings};
use super::admin::Admin;
use super::client_config::admin_session;
use super::configs::resources::{BROKER, TOPIC, altered, ask_alter};
use super::failure::{Refusal, refusal};
use super::partitions::{TopicPartition, ask_metadata, error_of};
use super::runner::{Next, Runner, Steps};
use super::{Environment, Exit, Output, ToolCx};
use crate::client::{Reply, SessionConfig};
use crate::rng::Rng;
use crate::time::Instant;

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
