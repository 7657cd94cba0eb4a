//! `kafka-configs`: shows and alters the settings of topics, brokers, groups, users and more.

mod options;
mod quotas;
pub mod resources;

use std::collections::{BTreeSet, VecDeque};

use ottla_protocol::Str;
use ottla_protocol::messages::MetadataResponse;

use self::options::{
    BROKER_LOGGERS, BROKERS, CLIENT_METRICS, CLIENTS, Changes, Command, GROUPS, IPS, TOPICS, USERS, complaint,
};
use self::quotas::{Credentials, Subject};
use self::resources::{altered, ask_alter, ask_describe, ask_resources, described, resources};
use super::admin::Admin;
use super::client_config::admin_session;
use super::failure::Refusal;
use super::groups::{ask_groups, listed};
use super::partitions::ask_metadata;
use super::runner::{Next, Runner, Steps};
use super::{Environment, Exit, Output, ToolCx};
use crate::client::Reply;
use crate::controller::names;
use crate::rng::Rng;
use crate::time::Instant;
use crate::tree::IntoTree as _;

#[derive(Clone, Debug)]
struct Configs {
    command: Command,
    step: Step,
}

#[derive(Clone, Debug)]
enum Step {
    /// Which entities are there?
    Entities,
    /// What is set of each: the next one first.
    Describe(VecDeque<Str>),
    Alter(Vec<(Str, Option<Str>)>),
    /// The loggers that there are, before some are altered.
    Loggers(Changes),
    Limits,
    Credentials,
    /// What is set, before it is altered: only that can be unset.
    OldLimits(Vec<(Str, Option<f64>)>, Vec<Str>),
    AlterLimits(Vec<(Str, Option<f64>)>),
    AlterCredentials(Credentials),
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment, rng: &mut Rng) -> Result<Runner, Exit> {
    let (command, options) = Command::parse(arguments, environment)?;
    let step = Step::first(&command, rng).map_err(|refusal| complaint(&command.line, refusal))?;
    Ok(Runner::new(admin_session(&options, environment)?, Configs { command, step }))
}

impl Step {
    fn first(command: &Command, rng: &mut Rng) -> Result<Self, Refusal> {
        let kind = command.types.first().copied().unwrap_or_default();
        let name = command.names.first();
        let is_of_clients = [USERS, CLIENTS, IPS].contains(&kind);
        let Some(changes) = &command.alter else {
            if is_of_clients {
                if command.names.len() > command.types.len() {
                    return Err(Refusal::terse("More entity names specified than entity types"));
                }
                return Ok(Self::Limits);
            }
            if let Some(name) = name.filter(|_| kind == TOPICS) {
                names::validate(name).map_err(|error| Refusal::terse(error.message.unwrap_or_default()))?;
            }
            let is_known = command.all || name.is_some_and(|name| name.is_empty());
            return Ok(match name {
                Some(name) if is_known => Self::Describe([name.clone()].into()),
                _ => Self::Entities,
            });
        };
        if is_of_clients {
            return Ok(match quotas::subject(command, changes)? {
                Subject::Limits => Self::OldLimits(quotas::numbers(changes)?, changes.unset.clone()),
                Subject::Credentials => {
                    let user = name.cloned().unwrap_or_default();
                    Self::AlterCredentials(Credentials::of(&user, changes, rng)?)
                }
            });
        }
        if kind == BROKER_LOGGERS {
            return Ok(Self::Loggers(changes.clone()));
        }
        Ok(Self::Alter(changes.settings()))
    }
}

impl Changes {
    /// What is unset first, as Kafka's tool sends them.
    fn settings(&self) -> Vec<(Str, Option<Str>)> {
        let unset = self.unset.iter().map(|key| (key.clone(), None));
        unset.chain(self.set.iter().map(|(key, value)| (key.clone(), Some(value.clone())))).collect()
    }
}

impl Configs {
    fn kind(&self) -> &'static str {
        self.command.types.first().copied().unwrap_or_default()
    }

    fn name(&self) -> Str {
        self.command.names.first().cloned().unwrap_or_default()
    }

    /// Number of the kind of resource, and of the source that what is set of it has.
    fn resource(&self) -> (i8, Option<i8>) {
        match self.kind() {
            TOPICS => (resources::TOPIC, Some(1)),
            BROKERS => (resources::BROKER, Some(2)),
            CLIENT_METRICS => (resources::CLIENT_METRICS, Some(7)),
            GROUPS => (resources::GROUP, Some(8)),
            _ => (resources::BROKER_LOGGER, None),
        }
    }

    /// `topic` of `topics`.
    fn singular(&self) -> &'static str {
        let kind = self.kind();
        kind.get(..kind.len().saturating_sub(1)).unwrap_or_default()
    }

    /// All entities of the kind that are there.
    fn entities(&self, admin: &Admin, replies: &[Reply]) -> Result<Option<Vec<Str>>, Refusal> {
        let Some((last, groups)) = replies.split_last() else {
            let ids = admin.brokers().into_iter().map(|id| Str::from(id.to_string().as_str()));
            return Ok(Some(ids.collect()));
        };
        Ok(match self.kind() {
            TOPICS => {
                let answer: MetadataResponse = last.decode()?;
                let topics = answer.topics.iter().filter(|topic| topic.error_code == 0);
                Some(topics.filter_map(|topic| topic.name.as_ref().map(Str::detached)).collect())
            }
            CLIENT_METRICS => Some(resources(last)?),
            _ => {
                let Some(groups) = listed(groups)? else { return Ok(None) };
                let mut all: BTreeSet<Str> = groups.into_iter().map(|[group, ..]| group).into_set();
                // Brokers of old do not tell which groups have settings.
                all.extend(resources(last).unwrap_or_default());
                Some(all.into_iter().collect())
            }
        })
    }

    fn entities_known(&mut self, out: &mut String, mut entities: Vec<Str>) -> Next {
        match self.command.names.first() {
            Some(name) if entities.contains(name) => entities = vec![name.clone()],
            Some(name) => {
                let kind = self.singular();
                out.push_str(&format!(
                    "The {kind} '{name}' doesn't exist and doesn't have dynamic config.\n"
                ));
                return Next::Exit(0);
            }
            None if self.kind() == BROKERS => entities.push(Str::default()),
            None => {}
        }
        if entities.is_empty() {
            return Next::Exit(0);
        }
        self.step = Step::Describe(entities.into());
        Next::Proceed
    }

    fn described(&self, out: &mut String, name: &str, reply: &Reply) -> Result<(), Refusal> {
        let which = if self.command.all { "All" } else { "Dynamic" };
        out.push_str(&match name {
            "" => format!("Default configs for {} in the cluster are:\n", self.kind()),
            name => format!("{which} configs for {} {name} are:\n", self.singular()),
        });
        // Brokers have a source of their own for what is set of all.
        let source = self.resource().1.map(|source| if name.is_empty() { source + 1 } else { source });
        let source = source.filter(|_| !self.command.all);
        for setting in
            described(reply)?.iter().filter(|setting| source.is_none_or(|wanted| wanted == setting.source))
        {
            let value = setting.value.as_ref().map_or("null", |value| value);
            let (sensitive, synonyms) = (setting.is_sensitive, &setting.synonyms);
            out.push_str(&format!(
                "  {}={value} sensitive={sensitive} synonyms={{{synonyms}}}\n",
                setting.name
            ));
        }
        Ok(())
    }

    fn completed(&self, out: &mut String) -> Next {
        let name = self.name();
        out.push_str(&match &*name {
            "" => format!("Completed updating default config for {} in the cluster.\n", self.kind()),
            name => format!("Completed updating config for {} {name}.\n", self.singular()),
        });
        Next::Exit(0)
    }
}

impl Steps for Configs {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        let (kind, _) = self.resource();
        match &self.step {
            Step::Entities => match self.kind() {
                TOPICS => ask_metadata(now, admin, None),
                CLIENT_METRICS => ask_resources(now, admin, kind),
                GROUPS => {
                    ask_groups(now, admin);
                    ask_resources(now, admin, kind);
                }
                _ => {}
            },
            Step::Describe(names) => {
                if let Some(name) = names.front() {
                    ask_describe(now, admin, kind, name);
                }
            }
            Step::Loggers(_) => ask_describe(now, admin, kind, &self.name()),
            Step::Alter(settings) => ask_alter(now, admin, kind, &self.name(), settings),
            Step::Limits | Step::OldLimits(..) => quotas::ask_limits(now, admin, &self.command),
            Step::Credentials => quotas::ask_credentials(now, admin, &self.command.names),
            Step::AlterLimits(limits) => quotas::ask_alter_limits(now, admin, &self.command, limits),
            Step::AlterCredentials(credentials) => credentials.ask(now, admin),
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        let out = &mut cx.output.stdout;
        if matches!(self.step, Step::Entities) {
            let Some(entities) = self.entities(admin, replies)? else { return Ok(Next::Again) };
            return Ok(self.entities_known(out, entities));
        }
        let Some(reply) = replies.first() else { return Ok(Next::Again) };
        let done = match &mut self.step {
            Step::Entities => return Ok(Next::Again),
            Step::Describe(names) => {
                let name = names.pop_front().unwrap_or_default();
                let is_last = names.is_empty();
                self.described(out, &name, reply)?;
                return Ok(if is_last { Next::Exit(0) } else { Next::Proceed });
            }
            Step::Loggers(changes) => {
                let known = described(reply)?;
                let settings = changes.settings();
                let unknown =
                    settings.iter().filter(|(key, _)| !known.iter().any(|logger| logger.name == *key));
                let unknown: Vec<&str> = unknown.map(|(key, _)| &**key).collect();
                if !unknown.is_empty() {
                    return Err(Refusal::terse(format!("Invalid broker logger(s): {}", unknown.join(","))));
                }
                self.step = Step::Alter(settings);
                return Ok(Next::Proceed);
            }
            Step::Limits => {
                out.push_str(&quotas::limits_shown(&quotas::limits(reply)?));
                let Command { types, names, .. } = &self.command;
                if types != &[USERS] || names.iter().any(|name| name.is_empty()) {
                    return Ok(Next::Exit(0));
                }
                self.step = Step::Credentials;
                return Ok(Next::Proceed);
            }
            Step::Credentials => {
                out.push_str(&quotas::credentials_shown(reply)?);
                return Ok(Next::Exit(0));
            }
            Step::OldLimits(limits, unset) => {
                quotas::without_limit(&quotas::limits(reply)?, unset)?;
                self.step = Step::AlterLimits(std::mem::take(limits));
                return Ok(Next::Proceed);
            }
            Step::Alter(_) => altered(reply)?,
            Step::AlterLimits(_) => quotas::limits_altered(reply)?,
            Step::AlterCredentials(_) => quotas::credentials_altered(reply)?,
        };
        Ok(if done { self.completed(out) } else { Next::Again })
    }

    fn refused(&self, output: &mut Output, refusal: Refusal) -> i32 {
        let exit = complaint(&self.command.line, refusal);
        output.stderr.push_str(&exit.stderr);
        exit.code
    }
}
