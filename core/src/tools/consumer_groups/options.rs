//! What `kafka-consumer-groups` is asked for.

use ottla_protocol::Str;

use crate::client::Target;
use crate::tools::options::{OptionSpec, Options, Takes, flag, value};
use crate::tools::{Environment, Exit, addresses};

/// The actions, one of which is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    List,
    Describe,
    Delete,
}

/// What `--describe` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Offsets,
    Members,
    State,
}

/// A command line, understood.
#[derive(Clone, Debug)]
pub struct Command {
    pub action: Action,
    pub bootstrap: Vec<Target>,
    pub groups: Vec<Str>,
    pub all_groups: bool,
    pub view: View,
    pub verbose: bool,
    /// `--list --state`: the states, none for all of them.
    pub states: Option<Vec<String>>,
    /// `--list --type`: the types, none for all of them.
    pub types: Option<Vec<String>>,
}

static SPECS: [OptionSpec; 15] = [
    flag("all-groups", "All consumer groups."),
    value(
        "bootstrap-server",
        "host:port",
        "REQUIRED: a server of the cluster, or several, separated by commas.",
    ),
    value("command-config", "file", "A properties file for the admin client."),
    flag("delete", "Deletes groups that have no members."),
    flag("describe", "Shows groups: their offsets and lag, or what --members or --state ask for."),
    value("group", "id", "The group; may be repeated."),
    flag("help", "Prints this."),
    flag("list", "Lists groups."),
    flag("members", "With --describe: the members."),
    flag("offsets", "With --describe: offsets and lag, which is the default."),
    OptionSpec {
        name: "state",
        takes: Takes::MaybeValue("states"),
        help: "With --describe: the group's state. With --list: each group's state, or groups in these states.",
    },
    value("timeout", "ms", "Taken, without effect."),
    OptionSpec {
        name: "type",
        takes: Takes::MaybeValue("types"),
        help: "With --list: each group's type, or groups of these types.",
    },
    flag("verbose", "With --describe: more."),
    flag("version", "Prints the version."),
];

/// Options of old, without effect.
static OLD_SPECS: [OptionSpec; 1] = [flag("new-consumer", "Taken, without effect.")];

const ACTIONS: [(&str, Action); 3] =
    [("list", Action::List), ("describe", Action::Describe), ("delete", Action::Delete)];

/// What a consumer group may be in, of either protocol.
const STATES: [&str; 7] =
    ["PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling"];
const TYPES: [&str; 2] = ["Classic", "Consumer"];

const ABOUT: &str =
    "This tool helps to list all consumer groups, describe a consumer group, or delete consumer group info.";

impl Command {
    /// Understands the arguments.
    pub fn parse(arguments: &[String], _environment: &Environment) -> Result<Self, Exit> {
        let usage = |message: String| Exit::usage(&[&SPECS], &message);
        let options = Options::parse(&[&SPECS, &OLD_SPECS], arguments).map_err(usage)?;
        if options.has("help") {
            return Err(usage(ABOUT.into()));
        }
        if options.has("version") {
            return Err(Exit::version());
        }
        let Some(servers) = options.value("bootstrap-server") else {
            return Err(usage("Missing required argument \"[bootstrap-server]\"".into()));
        };
        let (named, all_groups) = (options.has("group"), options.has("all-groups"));
        if let Some(name) = ["describe", "delete"].iter().find(|name| options.has(name))
            && !named
            && !all_groups
        {
            return Err(usage(format!("Option [{name}] takes one of these options: [group], [all-groups]")));
        }
        let mut actions = ACTIONS.iter().filter(|(name, _)| options.has(name));
        let (Some((_, action)), None) = (actions.next(), actions.next()) else {
            return Err(usage(
                "Command must include exactly one action: --list, --describe, --delete".into(),
            ));
        };
        let views = [("members", View::Members), ("state", View::State), ("offsets", View::Offsets)];
        let mut views = views.iter().filter(|(name, _)| options.has(name));
        let view = match (views.next(), views.next()) {
            (first, None) => first.map_or(View::Offsets, |(_, view)| *view),
            (_, Some(_)) if *action == Action::Describe => {
                let message =
                    "Option [describe] takes at most one of these options: [members], [offsets], [state]";
                return Err(usage(message.into()));
            }
            _ => View::Offsets,
        };
        let words = |name: &str| -> Option<Vec<String>> {
            let word = |word: &str| word.trim().replace("PREPARING_REBALANCE", "PreparingRebalance");
            options
                .value(name)
                .map(|list| list.split(',').map(word).filter(|word| !word.is_empty()).collect())
        };
        let known = |name: &str, words: &Option<Vec<String>>, known: &[&str]| {
            let is_known = |word: &String| known.iter().any(|known| known.eq_ignore_ascii_case(word));
            match words {
                Some(words) if *action == Action::List && !words.iter().all(is_known) => {
                    let given = options.value(name).unwrap_or_default();
                    Err(format!("'{given}'. Valid {name}s are: {}", known.join(", ")))
                }
                _ => Ok(()),
            }
        };
        let (states, types) = (words("state"), words("type"));
        known("state", &states, &STATES).map_err(|rest| usage(format!("Invalid state list {rest}")))?;
        known("type", &types, &TYPES).map_err(|rest| usage(format!("Invalid types list {rest}")))?;
        Ok(Self {
            action: *action,
            bootstrap: addresses(servers)?,
            groups: options.values("group").map(Str::from).collect(),
            all_groups,
            view,
            verbose: options.has("verbose"),
            states,
            types,
        })
    }
}
