//! `kafka-consumer-groups`: lists, describes and deletes groups, and resets and deletes what they have committed.

mod deletion;
mod describe;
mod plan;
mod reset;
mod scope;
mod time;

use std::collections::BTreeMap;

use ottla_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::{ErrorCode, Str};

use self::deletion::Deletion;
use self::describe::Description;
use self::plan::Offsets;
use self::reset::Reset;
use self::scope::{Action, Command};
use super::admin::Admin;
use super::client_config::admin_session;
use super::failure::{Refusal, refusal};
use super::groups::{ask_groups, listed};
use super::runner::{Next, Runner, Steps};
use super::table::{Column, capitalized, columns};
use super::{Environment, Exit, FOR_ADMINISTRATORS, Output, ToolCx};
use crate::client::{Destination, Reply, Target};
use crate::time::Instant;

/// The tool at work.
#[derive(Clone, Debug)]
struct ConsumerGroups {
    command: Command,
    step: Step,
    /// Groups that remain to be described, deleted or reset, the next one first.
    groups: Vec<Str>,
    /// Groups that could not be deleted, and why.
    refused: Vec<(Str, Refusal)>,
    deleted: Vec<Str>,
    /// What is printed once all groups are known: one that is not there is all that is said.
    described: Output,
    /// What the groups are reset to.
    planned: BTreeMap<Str, Offsets>,
}

#[derive(Clone, Debug)]
enum Step {
    List,
    /// Who coordinates the next group?
    Coordinator,
    Delete(Target),
    Describe(Description),
    Reset(Reset),
    DeleteOffsets(Deletion),
}

/// How the tool goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Proceed,
    Again,
    /// With the next group, when there is one.
    Group,
    Exit,
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment) -> Result<Runner, Exit> {
    let (command, options) = Command::parse(arguments, environment)?;
    let mut groups = command.groups.clone();
    if command.action == Action::DeleteOffsets {
        groups.truncate(1);
    }
    let step =
        if command.action == Action::List || command.all_groups { Step::List } else { Step::Coordinator };
    let greeting = Output { stdout: String::new(), stderr: command.warning.to_owned() };
    let steps = ConsumerGroups {
        command,
        step,
        groups,
        refused: Vec::new(),
        deleted: Vec::new(),
        described: Output::default(),
        planned: BTreeMap::new(),
    };
    Ok(Runner::new(admin_session(&options, environment)?, steps).greets(greeting))
}

impl Steps for ConsumerGroups {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        match &self.step {
            Step::List => ask_groups(now, admin),
            Step::Coordinator => {
                let key = self.groups.first().cloned().unwrap_or_default();
                let request = FindCoordinatorRequest { key, ..FindCoordinatorRequest::default() };
                admin.ask(now, &Destination::Any, (0, 3), request);
            }
            Step::Delete(coordinator) => {
                let request =
                    DeleteGroupsRequest { groups_names: self.groups.first().cloned().into_iter().collect() };
                admin.ask(now, &Destination::Coordinator(coordinator.clone()), (0, 2), request);
            }
            Step::Describe(description) => description.ask(now, admin),
            Step::Reset(reset) if FOR_ADMINISTRATORS => reset.ask(now, admin, &self.command),
            Step::DeleteOffsets(deletion) if FOR_ADMINISTRATORS => deletion.ask(now, admin),
            Step::Reset(_) | Step::DeleteOffsets(_) => {}
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, _admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        let after = match &mut self.step {
            Step::List => self.listed(cx, replies).map_err(Refusal::executed)?,
            Step::Coordinator => {
                let Some(reply) = replies.first() else { return Ok(Next::Again) };
                self.coordinator_found(&reply.decode()?).map_err(Refusal::executed)?
            }
            Step::Delete(_) => {
                let Some(reply) = replies.first() else { return Ok(Next::Again) };
                self.group_deleted(&reply.decode()?)?
            }
            Step::Describe(description) => {
                let (now, compressors) = (cx.now, cx.compressors);
                let mut held = ToolCx { now, compressors, output: &mut self.described };
                let after = description.answered(&mut held, &self.command, replies);
                let after = after.map_err(Refusal::executed)?;
                if after == After::Group {
                    self.groups.remove(0);
                }
                after
            }
            Step::Reset(reset) if FOR_ADMINISTRATORS => {
                let after = reset.answered(cx, &self.command, replies)?;
                if after == After::Group {
                    self.planned.insert(self.groups.remove(0), std::mem::take(&mut reset.planned));
                }
                after
            }
            Step::DeleteOffsets(deletion) if FOR_ADMINISTRATORS => deletion.answered(cx, replies)?,
            Step::Reset(_) | Step::DeleteOffsets(_) => After::Exit,
        };
        Ok(match after {
            After::Proceed => Next::Proceed,
            After::Again => Next::Again,
            After::Exit => Next::Exit(0),
            After::Group if self.groups.is_empty() => {
                self.finish(cx.output);
                Next::Exit(0)
            }
            After::Group => {
                self.step = Step::Coordinator;
                Next::Proceed
            }
        })
    }

    fn refused(&self, output: &mut Output, refusal: Refusal) -> i32 {
        let exit = match refusal.class.ends_with(".IllegalArgumentException") {
            true => scope::usage(&refusal.message),
            false => scope::failed(&refusal),
        };
        output.stdout.push_str(&exit.stdout);
        output.stderr.push_str(&exit.stderr);
        exit.code
    }
}

impl ConsumerGroups {
    fn listed(&mut self, cx: &mut ToolCx<'_>, replies: &[Reply]) -> Result<After, Refusal> {
        let Some(groups) = listed(replies)? else { return Ok(After::Again) };
        let mut listed: Vec<(Str, Str, Str)> = Vec::new();
        for [group, kind, protocol, state] in groups {
            if matches!(&*protocol, "consumer" | "") && !matches!(&*kind, "share" | "streams") {
                listed.push((group, kind, state));
            }
        }
        if self.command.action != Action::List {
            listed.sort_unstable();
            self.groups = listed.into_iter().map(|(group, ..)| group).collect();
            return Ok(After::Group);
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
            return Ok(After::Exit);
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
        Ok(After::Exit)
    }

    fn coordinator_found(&mut self, answer: &FindCoordinatorResponse) -> Result<After, Refusal> {
        match ErrorCode::from_code(answer.error_code).unwrap_or(ErrorCode::UnknownServerError) {
            ErrorCode::None => {}
            error if error.is_retriable() => return Ok(After::Again),
            error => return Err(refusal(error, answer.error_message.as_deref())),
        }
        let Ok(port) = u16::try_from(answer.port) else { return Ok(After::Again) };
        let coordinator = Target { host: answer.host.detached(), port };
        let group = self.groups.first().cloned().unwrap_or_default();
        self.step = match self.command.action {
            Action::Delete => Step::Delete(coordinator),
            Action::ResetOffsets if FOR_ADMINISTRATORS => Step::Reset(Reset::new(group, coordinator)),
            Action::DeleteOffsets if FOR_ADMINISTRATORS => {
                Step::DeleteOffsets(Deletion::new(group, coordinator, &self.command.scope))
            }
            Action::Describe | Action::List | Action::ResetOffsets | Action::DeleteOffsets => {
                Step::Describe(Description::new(group, coordinator, answer.node_id))
            }
        };
        Ok(After::Proceed)
    }

    fn group_deleted(&mut self, answer: &DeleteGroupsResponse) -> Result<After, Refusal> {
        for result in &answer.results {
            match ErrorCode::from_code(result.error_code).unwrap_or(ErrorCode::UnknownServerError) {
                ErrorCode::None => self.deleted.push(result.group_id.detached()),
                ErrorCode::NotCoordinator
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::CoordinatorNotAvailable => {
                    self.step = Step::Coordinator;
                    return Ok(After::Again);
                }
                error => self.refused.push((result.group_id.detached(), refusal(error, None))),
            }
        }
        self.groups.remove(0);
        Ok(After::Group)
    }

    /// All groups have had their turn.
    fn finish(&mut self, output: &mut Output) {
        output.stdout.push_str(&self.described.stdout);
        output.stderr.push_str(&self.described.stderr);
        let out = &mut output.stdout;
        if self.command.action == Action::ResetOffsets && FOR_ADMINISTRATORS {
            out.push_str(&self.reset());
        }
        if self.command.action == Action::Delete {
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
    }

    /// What the groups were, or would be, reset to.
    fn reset(&self) -> String {
        if self.command.export {
            return format!("{}\n", plan::written(&self.planned, self.command.groups.len() != 1));
        }
        if self.planned.is_empty() {
            return "\n".to_owned();
        }
        let mut rows = vec![["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"].map(str::to_owned).to_vec()];
        for (group, offsets) in &self.planned {
            rows.extend(offsets.iter().map(|((topic, partition), offset)| {
                vec![group.to_string(), topic.to_string(), partition.to_string(), offset.to_string()]
            }));
        }
        let layout = [Column::AtLeast(15), Column::AtLeast(15), Column::Fixed(10), Column::Last];
        format!("\n{}", columns(&layout, &rows))
    }
}
