//! `kafka-consumer-groups`: lists, describes and deletes groups.

mod describe;
mod options;

use ottla_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    ListGroupsRequest, ListGroupsResponse,
};
use ottla_protocol::{ErrorCode, Str};

use self::describe::Description;
use self::options::{Action, Command};
use super::admin::{Admin, Turn};
use super::failure::{Refusal, refusal};
use super::table::{Column, columns};
use super::{Environment, Exit, Output, ToolCx, ToolEvent};
use crate::client::{Destination, LinkEffect, Reply, Target};
use crate::time::Instant;

/// The running tool.
#[derive(Clone, Debug)]
pub struct ConsumerGroups {
    command: Command,
    admin: Admin,
    step: Step,
    /// Groups that remain to be described or deleted, the next one first.
    groups: Vec<Str>,
    /// Groups that could not be deleted, and why.
    refused: Vec<(Str, Refusal)>,
    deleted: Vec<Str>,
    /// What is printed once all groups are known: one that is not there is all that is said.
    described: Output,
}

#[derive(Clone, Debug)]
enum Step {
    List,
    /// Who coordinates the next group?
    Coordinator,
    Delete(Target),
    Describe(Description),
}

/// How the tool goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Proceed,
    Again,
    /// With the next group, when there is one.
    Group,
    Exit,
}

impl ConsumerGroups {
    /// Reads the arguments.
    pub fn start(arguments: &[String], environment: &Environment) -> Result<Self, Exit> {
        let command = Command::parse(arguments, environment)?;
        let groups = command.groups.clone();
        let step =
            if command.action == Action::List || command.all_groups { Step::List } else { Step::Coordinator };
        let admin = Admin::new(command.bootstrap.clone());
        Ok(Self {
            admin,
            command,
            step,
            groups,
            refused: Vec::new(),
            deleted: Vec::new(),
            described: Output::default(),
        })
    }

    /// Handles one event.
    pub fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent) {
        let now = cx.now.monotonic;
        match event {
            ToolEvent::Link(event) => self.admin.take(now, Some(event)),
            ToolEvent::Tick => self.admin.take(now, None),
            ToolEvent::Interrupt => self.admin.exit(130),
            ToolEvent::Line(_) | ToolEvent::EndOfInput => {}
        }
        loop {
            let outcome = match self.admin.turn(now) {
                Turn::Wait => return,
                Turn::Ask => {
                    self.ask(now);
                    continue;
                }
                Turn::Answers(replies) => self.answered(cx, &replies),
                Turn::GaveUp(reason) => Err(Refusal::new("TimeoutException", reason)),
            };
            match outcome {
                Ok(Next::Proceed) => self.admin.proceed(now),
                Ok(Next::Again) => self.admin.again(now),
                Ok(Next::Group) if self.groups.is_empty() => self.finish(cx),
                Ok(Next::Group) => {
                    self.step = Step::Coordinator;
                    self.admin.proceed(now);
                }
                Ok(Next::Exit) => self.admin.exit(0),
                Err(refusal) => {
                    // Kafka's tool says so and ends well all the same.
                    let sentence = "\nError: Executing consumer group command failed due to";
                    cx.output.stdout.push_str(&format!("{sentence} {refusal}\n"));
                    cx.output
                        .stderr
                        .push_str(&format!("java.util.concurrent.ExecutionException: {refusal}\n"));
                    self.admin.exit(0);
                }
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

    fn ask(&mut self, now: Instant) {
        match &self.step {
            Step::List => {
                for broker in self.admin.brokers() {
                    self.admin.ask(now, &Destination::Node(broker), (0, 5), ListGroupsRequest::default());
                }
            }
            Step::Coordinator => {
                let key = self.groups.first().cloned().unwrap_or_default();
                let request = FindCoordinatorRequest { key, ..FindCoordinatorRequest::default() };
                self.admin.ask(now, &Destination::Any, (0, 3), request);
            }
            Step::Delete(coordinator) => {
                let request =
                    DeleteGroupsRequest { groups_names: self.groups.first().cloned().into_iter().collect() };
                self.admin.ask(now, &Destination::Coordinator(coordinator.clone()), (0, 2), request);
            }
            Step::Describe(description) => description.ask(now, &mut self.admin),
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, replies: &[Reply]) -> Result<Next, Refusal> {
        match &mut self.step {
            Step::List => self.listed(cx, replies),
            Step::Coordinator => {
                let Some(reply) = replies.first() else { return Ok(Next::Again) };
                self.coordinator_found(&reply.decode()?)
            }
            Step::Delete(_) => {
                let Some(reply) = replies.first() else { return Ok(Next::Again) };
                self.group_deleted(&reply.decode()?)
            }
            Step::Describe(description) => {
                let (now, compressors) = (cx.now, cx.compressors);
                let mut held = ToolCx { now, compressors, output: &mut self.described };
                let next = description.answered(&mut held, &self.command, replies)?;
                if next == Next::Group {
                    self.groups.remove(0);
                }
                Ok(next)
            }
        }
    }

    fn listed(&mut self, cx: &mut ToolCx<'_>, replies: &[Reply]) -> Result<Next, Refusal> {
        let mut listed: Vec<(Str, Str, Str)> = Vec::new();
        for reply in replies {
            let answer: ListGroupsResponse = reply.decode()?;
            match ErrorCode::from_code(answer.error_code).unwrap_or(ErrorCode::UnknownServerError) {
                ErrorCode::None => {}
                ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress => {
                    return Ok(Next::Again);
                }
                error => return Err(refusal(error, None)),
            }
            let consumers = answer.groups.iter().filter(|group| {
                matches!(&*group.protocol_type, "consumer" | "")
                    && !matches!(&*group.group_type, "share" | "streams")
            });
            listed.extend(consumers.map(|group| {
                (group.group_id.detached(), group.group_type.detached(), group.group_state.detached())
            }));
        }
        if self.command.action != Action::List {
            listed.sort_unstable();
            self.groups = listed.into_iter().map(|(group, ..)| group).collect();
            return Ok(Next::Group);
        }
        let wanted = |filter: &Option<Vec<String>>, value: &Str| {
            let chosen = filter.as_deref().unwrap_or_default();
            chosen.is_empty() || chosen.iter().any(|one| one.eq_ignore_ascii_case(value))
        };
        listed.retain(|(_, kind, state)| {
            wanted(&self.command.types, kind) && wanted(&self.command.states, state)
        });
        let (types, states) = (self.command.types.is_some(), self.command.states.is_some());
        if !types && !states {
            listed.iter().for_each(|(group, ..)| cx.output.stdout.push_str(&format!("{group}\n")));
            return Ok(Next::Exit);
        }
        let width = listed.iter().map(|(group, ..)| group.chars().count()).max().unwrap_or(0).max(15) + 10;
        let row = |group: &str, kind: &str, state: &str| {
            let mut cells = vec![group.to_owned()];
            cells.extend(types.then(|| kind.to_owned()));
            cells.extend(states.then(|| state.to_owned()));
            cells
        };
        let mut rows = vec![row("GROUP", "TYPE", "STATE")];
        rows.extend(listed.iter().map(|(group, kind, state)| row(group, &capitalized(kind), state)));
        let layout = [Column::Fixed(width), Column::Fixed(20), Column::Fixed(20)];
        cx.output.stdout.push_str(&columns(&layout, &rows));
        Ok(Next::Exit)
    }

    fn coordinator_found(&mut self, answer: &FindCoordinatorResponse) -> Result<Next, Refusal> {
        match ErrorCode::from_code(answer.error_code).unwrap_or(ErrorCode::UnknownServerError) {
            ErrorCode::None => {}
            error if error.is_retriable() => return Ok(Next::Again),
            error => return Err(refusal(error, answer.error_message.as_deref())),
        }
        let Ok(port) = u16::try_from(answer.port) else { return Ok(Next::Again) };
        let coordinator = Target { host: answer.host.detached(), port };
        let group = self.groups.first().cloned().unwrap_or_default();
        self.step = match self.command.action {
            Action::Delete => Step::Delete(coordinator),
            Action::Describe | Action::List => {
                Step::Describe(Description::new(group, coordinator, answer.node_id))
            }
        };
        Ok(Next::Proceed)
    }

    fn group_deleted(&mut self, answer: &DeleteGroupsResponse) -> Result<Next, Refusal> {
        for result in &answer.results {
            match ErrorCode::from_code(result.error_code).unwrap_or(ErrorCode::UnknownServerError) {
                ErrorCode::None => self.deleted.push(result.group_id.detached()),
                ErrorCode::NotCoordinator
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::CoordinatorNotAvailable => {
                    self.step = Step::Coordinator;
                    return Ok(Next::Again);
                }
                error => self.refused.push((result.group_id.detached(), refusal(error, None))),
            }
        }
        self.groups.remove(0);
        Ok(Next::Group)
    }

    /// All groups have had their turn.
    fn finish(&mut self, cx: &mut ToolCx<'_>) {
        cx.output.stdout.push_str(&self.described.stdout);
        cx.output.stderr.push_str(&self.described.stderr);
        if self.command.action == Action::Delete {
            let out = &mut cx.output.stdout;
            let names = |groups: &[Str]| {
                groups.iter().map(|group| format!("'{group}'")).collect::<Vec<_>>().join(", ")
            };
            if self.refused.is_empty() {
                out.push_str(&format!(
                    "Deletion of requested consumer groups ({}) was successful.\n",
                    names(&self.deleted)
                ));
            } else {
                out.push_str("\nError: Deletion of some consumer groups failed:\n");
                for (group, refusal) in &self.refused {
                    out.push_str(&format!("* Group '{group}' could not be deleted due to: {refusal}\n"));
                }
                if !self.deleted.is_empty() {
                    let names = names(&self.deleted);
                    out.push_str(&format!("\nThese consumer groups were deleted successfully: {names}\n"));
                }
            }
        }
        self.admin.exit(0);
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
