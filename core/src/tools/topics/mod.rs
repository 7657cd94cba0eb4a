//! `kafka-topics`: creates, lists, describes, alters and deletes topics.

mod describe;
mod options;

use std::collections::BTreeMap;

use ottla_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::messages::{
    CreatePartitionsResponse, CreateTopicsResponse, DeleteTopicsResponse, MetadataRequest, MetadataResponse,
};
use ottla_protocol::{ErrorCode, Str};

use self::describe::Description;
use self::options::{Action, Command};
use super::admin::{Admin, Turn};
use super::failure::{Refusal, refusal};
use super::{Environment, Exit, ToolCx, ToolEvent};
use crate::client::{Destination, LinkEffect, Reply};
use crate::time::Instant;

/// How long the brokers may take to apply what was asked, in ms.
const TIMEOUT_MS: i32 = 30_000;

/// The running tool.
#[derive(Clone, Debug)]
pub struct TopicsTool {
    command: Command,
    admin: Admin,
    step: Step,
}

/// What is being asked.
#[derive(Clone, Debug)]
enum Step {
    Create,
    /// Which topics there are, by name; `--create` does not ask.
    Names,
    Alter(BTreeMap<Str, i32>),
    Delete(Vec<Str>),
    Describe(Description),
}

impl TopicsTool {
    /// Reads the arguments.
    pub fn start(arguments: &[String], environment: &Environment) -> Result<Self, Exit> {
        let command = Command::parse(arguments, environment)?;
        let step = match command.action {
            Action::Create => Step::Create,
            Action::Describe | Action::List | Action::Alter | Action::Delete => Step::Names,
        };
        Ok(Self { admin: Admin::new(command.bootstrap.clone()), command, step })
    }

    /// Handles one event.
    pub fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent) {
        let now = cx.now.monotonic;
        match event {
            ToolEvent::Link(event) => self.admin.take(now, Some(event)),
            ToolEvent::Tick => {
                if self.command.warns_of_collisions && matches!(self.step, Step::Create) {
                    self.command.warns_of_collisions = false;
                    cx.output.stdout.push_str(options::COLLISION_WARNING);
                }
                self.admin.take(now, None);
            }
            ToolEvent::Interrupt => self.admin.exit(130),
            ToolEvent::Line(_) | ToolEvent::EndOfInput => {}
        }
        loop {
            match self.admin.turn(now) {
                Turn::Wait => return,
                Turn::Ask => self.ask(now),
                Turn::Answers(replies) => match self.answered(cx, &replies) {
                    Ok(Next::Exit) => self.admin.exit(0),
                    Ok(Next::Proceed) => self.admin.proceed(now),
                    Ok(Next::Again) => self.admin.again(now),
                    Err(refusal) => self.fail(cx, &refusal),
                },
                Turn::GaveUp(reason) => self.fail(cx, &Refusal::new("TimeoutException", reason)),
            }
        }
    }

    /// When it wants a tick.
    pub fn deadline(&self) -> Option<Instant> {
        self.admin.deadline()
    }

    /// What to do with its links.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.admin.take_effects()
    }

    /// Its exit code, once it has ended.
    pub fn exit_code(&self) -> Option<i32> {
        self.admin.exit_code()
    }

    fn fail(&mut self, cx: &mut ToolCx<'_>, refusal: &Refusal) {
        cx.output.stdout.push_str(&format!("Error while executing topic command : {}\n", refusal.message));
        cx.output.stderr.push_str(&format!("ERROR {refusal}\n"));
        self.admin.exit(1);
    }

    fn ask(&mut self, now: Instant) {
        let (admin, command) = (&mut self.admin, &self.command);
        match &self.step {
            Step::Create => admin.ask(now, &Destination::Any, (0, 7), create_request(command)),
            Step::Names => {
                let request =
                    MetadataRequest { topics: None, allow_auto_topic_creation: false, ..Default::default() };
                admin.ask(now, &Destination::Any, (1, 13), request);
            }
            Step::Alter(topics) => {
                let request = CreatePartitionsRequest {
                    topics: topics.iter().map(|(name, known)| growth(command, name, *known)).collect(),
                    timeout_ms: TIMEOUT_MS,
                    validate_only: false,
                };
                admin.ask(now, &Destination::Any, (0, 3), request);
            }
            Step::Delete(names) => {
                // Names stand in one field up to version 5 and in another from 6 on.
                let state = |name: &Str| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
                let request = DeleteTopicsRequest {
                    topics: names.iter().map(state).collect(),
                    timeout_ms: TIMEOUT_MS,
                    ..Default::default()
                };
                admin.ask(now, &Destination::Any, (6, 6), request);
            }
            Step::Describe(description) => description.ask(now, admin),
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, replies: &[Reply]) -> Result<Next, Refusal> {
        let Some(reply) = replies.first() else { return Ok(Next::Exit) };
        match &mut self.step {
            Step::Create => {
                let answer: CreateTopicsResponse = reply.decode()?;
                let results = answer.topics.iter().map(|t| (t.error_code, t.error_message.clone()));
                let existing = ErrorCode::TopicAlreadyExists;
                if settle(results, self.command.if_not_exists.then_some(existing))? == Next::Again {
                    return Ok(Next::Again);
                }
                let created = answer.topics.iter().filter(|topic| topic.error_code == 0);
                created.for_each(|topic| cx.output.stdout.push_str(&self.command.created(&topic.name)));
                Ok(Next::Exit)
            }
            Step::Names => self.names_known(cx, reply),
            Step::Alter(_) => {
                let answer: CreatePartitionsResponse = reply.decode()?;
                let results = answer.results.iter().map(|t| (t.error_code, t.error_message.clone()));
                let outcome = settle(results, None);
                if self.command.old_style && outcome == Ok(Next::Exit) {
                    cx.output.stdout.push_str("Adding partitions succeeded!\n");
                }
                outcome
            }
            Step::Delete(_) => {
                let answer: DeleteTopicsResponse = reply.decode()?;
                let results = answer.responses.iter().map(|t| (t.error_code, t.error_message.clone()));
                settle(results, None)
            }
            Step::Describe(description) => description.answered(cx, &self.command, reply),
        }
    }

    fn names_known(&mut self, cx: &mut ToolCx<'_>, reply: &Reply) -> Result<Next, Refusal> {
        let answer: MetadataResponse = reply.decode()?;
        let mut known: BTreeMap<Str, i32> = BTreeMap::new();
        for topic in &answer.topics {
            let Some(name) = &topic.name else { continue };
            let named_by_id = self.command.topic_id.is_none_or(|id| id == topic.topic_id);
            let hidden = self.command.exclude_internal && topic.is_internal;
            if named_by_id && !hidden && self.command.topics.matches(name) {
                known.insert(name.detached(), i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX));
            }
        }
        if known.is_empty() && self.command.action != Action::List && !self.command.if_exists {
            if let Some(id) = self.command.topic_id {
                let message = format!("TopicId '{id}' does not exist as expected");
                return Err(Refusal::new("IllegalArgumentException", message));
            }
            if let Some(topic) = self.command.topics.text() {
                let message = format!("Topic '{topic}' does not exist as expected");
                return Err(Refusal::new("IllegalArgumentException", message));
            }
        }
        if known.is_empty() {
            return Ok(Next::Exit);
        }
        match self.command.action {
            Action::List => {
                known.keys().for_each(|name| cx.output.stdout.push_str(&format!("{name}\n")));
                return Ok(Next::Exit);
            }
            Action::Alter => {
                if self.command.old_style {
                    cx.output.stdout.push_str(options::KEY_WARNING);
                }
                self.step = Step::Alter(known);
            }
            Action::Delete => {
                if self.command.old_style {
                    let marked = |name| format!("Topic {name} is marked for deletion.\n");
                    known.keys().for_each(|name| cx.output.stdout.push_str(&marked(name)));
                    cx.output.stdout.push_str(options::DELETE_NOTE);
                }
                self.step = Step::Delete(known.into_keys().collect());
            }
            Action::Describe => {
                let names = known.into_keys().collect();
                self.step = Step::Describe(Description::new(names, self.command.partitions_per_response));
            }
            Action::Create => return Ok(Next::Exit),
        }
        Ok(Next::Proceed)
    }
}

/// How the tool goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Proceed,
    Again,
    Exit,
}

/// Whether all results are good; `tolerated` is good too.
fn settle(
    results: impl Iterator<Item = (i16, Option<Str>)>,
    tolerated: Option<ErrorCode>,
) -> Result<Next, Refusal> {
    for (code, message) in results {
        let error = ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError);
        match error {
            ErrorCode::None => {}
            error if Some(error) == tolerated => {}
            ErrorCode::NotController | ErrorCode::ThrottlingQuotaExceeded => return Ok(Next::Again),
            error => return Err(refusal(error, message.as_deref())),
        }
    }
    Ok(Next::Exit)
}

fn create_request(command: &Command) -> CreateTopicsRequest {
    let assignments = command.replica_assignment.iter().flatten();
    let assignments = (0..).zip(assignments).map(|(partition_index, broker_ids)| {
        CreatableReplicaAssignment { partition_index, broker_ids: broker_ids.clone() }
    });
    let config = |(name, value): (&String, &String)| CreatableTopicConfig {
        name: name.as_str().into(),
        value: Some(value.as_str().into()),
    };
    let topic = CreatableTopic {
        name: command.topics.text().unwrap_or_default().into(),
        num_partitions: command.partitions.unwrap_or(-1),
        replication_factor: command.replication_factor.unwrap_or(-1),
        assignments: assignments.collect(),
        configs: command.configs.iter().map(config).collect(),
    };
    CreateTopicsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, validate_only: false }
}

fn growth(command: &Command, name: &Str, known: i32) -> CreatePartitionsTopic {
    let count = command.partitions.unwrap_or(0);
    // The assignment names all partitions; only new ones are assigned.
    let assignments = command.replica_assignment.as_ref().map(|all| {
        let new = all.iter().skip(usize::try_from(known).unwrap_or(0));
        new.map(|broker_ids| CreatePartitionsAssignment { broker_ids: broker_ids.clone() }).collect()
    });
    CreatePartitionsTopic { name: name.clone(), count, assignments }
}
