//! What `kafka-consumer-groups` is asked for.

use std::collections::BTreeMap;

use ottla_protocol::Str;

use super::plan::{self, Offsets};
use super::time::{datetime, duration};
use crate::tools::failure::Refusal;
use crate::tools::options::{BOOTSTRAP, Manual, OptionSpec, Options, Takes, flag, value};
use crate::tools::partitions::TopicPartition;
use crate::tools::{Environment, Exit, FOR_ADMINISTRATORS};

/// The actions, one of which is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    List,
    Describe,
    Delete,
    ResetOffsets,
    DeleteOffsets,
}

/// What `--describe` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Offsets,
    Members,
    State,
}

/// Which partitions `--reset-offsets` and `--delete-offsets` are about.
#[derive(Clone, Debug)]
pub enum Scope {
    None,
    /// All for which something is committed.
    AllTopics,
    /// Whole topics, and single partitions.
    Topics {
        whole: Vec<Str>,
        parts: Vec<TopicPartition>,
    },
}

/// What `--reset-offsets` resets to. What is wrong with a time is said when its turn comes.
#[derive(Clone, Debug)]
pub enum Scenario {
    Offset(i64),
    Earliest,
    Latest,
    ShiftBy(i64),
    /// ms since 1970
    Datetime(Result<i64, Refusal>),
    /// ms
    Duration(Result<i64, Refusal>),
    Current,
    File(BTreeMap<Str, Offsets>),
}

/// A command line, understood.
#[derive(Clone, Debug)]
pub struct Command {
    pub action: Action,
    pub groups: Vec<Str>,
    pub all_groups: bool,
    pub view: View,
    pub verbose: bool,
    /// `--list --state`: the states, none for all of them.
    pub states: Option<Vec<String>>,
    /// `--list --type`: the types, none for all of them.
    pub types: Option<Vec<String>>,
    pub scope: Scope,
    pub scenario: Option<Scenario>,
    /// What was planned is done.
    pub execute: bool,
    /// What was planned is shown as CSV.
    pub export: bool,
    /// What is said of the command line, before anything else.
    pub warning: &'static str,
}

const MANUAL: Manual = Manual {
    about: "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets.",
    specs: &SPECS,
};

static SPECS: [OptionSpec; 28] = [
    flag("all-groups", "All consumer groups."),
    flag("all-topics", "With --reset-offsets: all topics for which the group has committed."),
    BOOTSTRAP,
    value("by-duration", "PnDTnHnMnS", "With --reset-offsets: to what was written so long ago."),
    flag("delete", "Deletes groups that have no members."),
    flag("delete-offsets", "Deletes what a group has committed for topics."),
    flag("describe", "Shows groups: their offsets and lag, or what --members or --state ask for."),
    flag("dry-run", "With --reset-offsets: only shows what would be committed, which is the default."),
    flag("execute", "With --reset-offsets: commits."),
    flag("export", "With --reset-offsets: shows it as CSV, as --from-file reads it."),
    value("from-file", "file", "With --reset-offsets: to what a CSV file says."),
    value("group", "id", "The group; may be repeated."),
    flag("list", "Lists groups."),
    flag("members", "With --describe: the members."),
    flag("offsets", "With --describe: offsets and lag, which is the default."),
    flag(
        "reset-offsets",
        "Commits other offsets for groups that have no members; see --to-earliest and its like.",
    ),
    value("shift-by", "count", "With --reset-offsets: so many offsets on, or back."),
    OptionSpec {
        name: "state",
        takes: Takes::MaybeValue("states"),
        help: "With --describe: the group's state. With --list: each group's state, or groups in these states.",
    },
    value("timeout", "ms", "Taken, without effect."),
    flag("to-current", "With --reset-offsets: to what is committed."),
    value("to-datetime", "YYYY-MM-DDTHH:mm:SS.sss", "With --reset-offsets: to what was written then."),
    flag("to-earliest", "With --reset-offsets: to the beginning."),
    flag("to-latest", "With --reset-offsets: to the end."),
    value("to-offset", "offset", "With --reset-offsets: to this offset."),
    value("topic", "t or t:0,1", "The topic, or some of its partitions; may be repeated."),
    OptionSpec {
        name: "type",
        takes: Takes::MaybeValue("types"),
        help: "With --list: each group's type, or groups of these types.",
    },
    value("validate-regex", "regex", "Says whether a regular expression is one."),
    flag("verbose", "With --describe: more."),
];

/// One of old, without effect.
const OLD_OPTION: &str = "--new-consumer";

const ACTIONS: [(&str, Action); 5] = [
    ("list", Action::List),
    ("describe", Action::Describe),
    ("delete", Action::Delete),
    ("reset-offsets", Action::ResetOffsets),
    ("delete-offsets", Action::DeleteOffsets),
];

/// Options that say what to reset to.
const SCENARIOS: [&str; 8] = [
    "to-offset",
    "to-datetime",
    "by-duration",
    "to-earliest",
    "to-latest",
    "to-current",
    "shift-by",
    "from-file",
];

/// What a consumer group may be in, of either protocol.
const STATES: [&str; 7] =
    ["PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling"];
const TYPES: [&str; 2] = ["Classic", "Consumer"];

const WARNING: &str = "WARN: No action will be performed as the --execute option is missing. In version 5.0, this \
command will require either --dry-run or --execute to be specified. You should add the --dry-run option explicitly if \
you are scripting this command and want to keep the current default behavior without prompting.\n";

/// A wrong command line.
pub fn usage(message: &str) -> Exit {
    MANUAL.usage(message)
}

impl Command {
    /// Understands the arguments.
    pub fn parse(arguments: &[String], environment: &Environment) -> Result<(Self, Options), Exit> {
        let arguments: Vec<String> =
            arguments.iter().filter(|argument| *argument != OLD_OPTION).cloned().collect();
        let options = MANUAL.read(&arguments, |message| usage(&message))?;
        let needed = if options.has("validate-regex") { &[][..] } else { &["bootstrap-server"] };
        options.require(needed).map_err(|message| usage(&message))?;
        let warning = check(&options)?;
        let names = ACTIONS.map(|(name, _)| name);
        let all = [&names[..], &["validate-regex"]].concat();
        let Some(name) = options.only(&all) else {
            let all: Vec<String> = all.iter().map(|name| format!("--{name}")).collect();
            let sentence = format!("Command must include exactly one action: {}", all.join(", "));
            return Err(Self::warned(warning, usage(&sentence)));
        };
        if let Some(regex) = options.value("validate-regex") {
            return Err(validated(regex));
        }
        let action =
            ACTIONS.iter().find(|(action, _)| *action == name).map_or(Action::List, |(_, action)| *action);
        let is_of_administrators = matches!(action, Action::ResetOffsets | Action::DeleteOffsets);
        if is_of_administrators && !FOR_ADMINISTRATORS {
            let sentence =
                "a page does not change what is committed; the binary's kafka-consumer-groups does";
            return Err(Exit::error(sentence));
        }
        let views = [("members", View::Members), ("state", View::State)];
        let view = views.iter().find(|(name, _)| options.has(name)).map_or(View::Offsets, |(_, view)| *view);
        let (states, types) = lists(action, &options)?;
        let groups: Vec<Str> = options.values("group").map(Str::from).collect();
        let scenario = if FOR_ADMINISTRATORS {
            Scenario::of(&options, environment, &groups)
                .map_err(|refusal| Self::warned(warning, failed(&refusal)))?
        } else {
            None
        };
        let scope = Scope::of(&options).map_err(|sentence| Self::warned(warning, usage(&sentence)))?;
        let command = Self {
            action,
            groups,
            all_groups: options.has("all-groups"),
            view,
            verbose: options.has("verbose"),
            states,
            types,
            scope,
            scenario,
            execute: options.has("execute"),
            export: options.has("export"),
            warning,
        };
        Ok((command, options))
    }

    fn warned(warning: &str, exit: Exit) -> Exit {
        Exit { stderr: format!("{warning}{}", exit.stderr), ..exit }
    }
}

/// What Kafka's tool says of what it could not do; it ends well all the same.
pub fn failed(refusal: &Refusal) -> Exit {
    let stdout = format!("\nError: Executing consumer group command failed due to {}\n", refusal.message);
    Exit { stdout, stderr: format!("{refusal}\n"), code: 0 }
}

/// Which options go together: a warning.
fn check(options: &Options) -> Result<&'static str, Exit> {
    let has = |name: &str| options.has(name);
    let unavailable = |name: &str| {
        usage(&format!("Option(s) [{name}] are unavailable given other options on the command line"))
    };
    let only_with: [(&str, &[&str]); 5] = [
        ("members", &["describe"]),
        ("offsets", &["describe"]),
        ("state", &["describe", "list"]),
        ("type", &["list"]),
        ("verbose", &["describe"]),
    ];
    for (name, others) in only_with {
        if has(name) && !others.iter().any(|other| has(other)) {
            return Err(unavailable(name));
        }
    }
    let needs_group = |name: &str| match has(name) && !has("group") && !has("all-groups") {
        true => Err(usage(&format!("Option [{name}] takes one of these options: [group], [all-groups]"))),
        false => Ok(()),
    };
    if has("describe") {
        needs_group("describe")?;
        if ["members", "offsets", "state"].iter().filter(|name| has(name)).count() > 1 {
            let sentence =
                "Option [describe] takes at most one of these options: [members], [offsets], [state]";
            return Err(usage(sentence));
        }
        if options.value("state").is_some_and(|value| !value.is_empty()) {
            return Err(usage("Option [describe] does not take a value for [state]"));
        }
    }
    needs_group("delete")?;
    if has("delete") && has("topic") {
        return Err(usage(
            "The consumer does not support topic-specific offset deletion from a consumer group.",
        ));
    }
    if has("delete-offsets") && !(has("group") && has("topic")) {
        return Err(usage("Option [delete-offsets] takes the following options: [group], [topic]"));
    }
    let mut warning = "";
    if has("reset-offsets") {
        if has("dry-run") && has("execute") {
            return Err(usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]"));
        }
        if !has("dry-run") && !has("execute") {
            warning = WARNING;
        }
        let warned = |exit: Exit| Command::warned(warning, exit);
        needs_group("reset-offsets").map_err(warned)?;
        for name in SCENARIOS {
            let others: Vec<&str> = SCENARIOS.iter().copied().filter(|other| *other != name).collect();
            options.exclude(name, &others).map_err(|message| warned(usage(&message)))?;
        }
    }
    let clash = options
        .exclude("group", &["all-groups", "list"])
        .and_then(|()| options.exclude("topic", &["list", "describe"]));
    clash.map_err(|message| Command::warned(warning, usage(&message)))?;
    Ok(warning)
}

/// States and types to list; none of either for all.
type Lists = (Option<Vec<String>>, Option<Vec<String>>);

fn lists(action: Action, options: &Options) -> Result<Lists, Exit> {
    let words = |name: &str| -> Option<Vec<String>> {
        let word = |word: &str| word.trim().replace("PREPARING_REBALANCE", "PreparingRebalance");
        options.value(name).map(|list| list.split(',').map(word).filter(|word| !word.is_empty()).collect())
    };
    let known = |name: &str, words: &Option<Vec<String>>, known: &[&str]| {
        let is_known = |word: &String| known.iter().any(|known| known.eq_ignore_ascii_case(word));
        match words {
            Some(words) if action == Action::List && !words.iter().all(is_known) => {
                let given = options.value(name).unwrap_or_default();
                Err(format!("'{given}'. Valid {name}s are: {}", known.join(", ")))
            }
            _ => Ok(()),
        }
    };
    let (states, types) = (words("state"), words("type"));
    known("state", &states, &STATES).map_err(|rest| usage(&format!("Invalid state list {rest}")))?;
    known("type", &types, &TYPES).map_err(|rest| usage(&format!("Invalid types list {rest}")))?;
    Ok((states, types))
}

/// `--validate-regex`
fn validated(regex: &str) -> Exit {
    let stdout = match regex_lite::Regex::new(regex) {
        Ok(_) => format!("The regular expression `{regex}` is valid.\n"),
        Err(error) => {
            // What RE2 calls it, of what goes wrong most.
            let reason = match error.to_string() {
                said if said.contains("open group without closing") => "missing closing )".to_owned(),
                said if said.contains("closing ')' without") => "unexpected )".to_owned(),
                said if said.contains("unclosed character class") => "missing closing ]".to_owned(),
                said if said.contains("repetition operator must be applied") => {
                    "missing argument to repetition operator".to_owned()
                }
                said => said,
            };
            format!("The regular expression `{regex}` is invalid: {reason}.\n")
        }
    };
    Exit { stdout, stderr: String::new(), code: 0 }
}

impl Scope {
    fn of(options: &Options) -> Result<Self, String> {
        if options.has("all-topics") {
            return Ok(Self::AllTopics);
        }
        if !options.has("topic") {
            return Ok(Self::None);
        }
        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        for word in options.values("topic") {
            let Some((topic, partitions)) = word.split_once(':') else {
                whole.push(Str::from(word));
                continue;
            };
            if partitions.is_empty() || partitions.contains(':') {
                return Err(format!("Invalid topic arg '{word}', expected topic name and partitions"));
            }
            for partition in partitions.split(',') {
                let number = partition.parse().map_err(|_| {
                    format!("Invalid partition '{partition}' specified in topic arg '{word}''")
                })?;
                parts.push((Str::from(topic), number));
            }
        }
        Ok(Self::Topics { whole, parts })
    }
}

impl Scenario {
    fn of(options: &Options, environment: &Environment, groups: &[Str]) -> Result<Option<Self>, Refusal> {
        let number = |name: &str| {
            let read = options.number::<i64>(name);
            read.map_err(|message| Refusal::new("OptionArgumentConversionException", message))
        };
        let (offset, by) = (number("to-offset")?, number("shift-by")?);
        Ok(Some(match options.only(&SCENARIOS) {
            Some("to-offset") => Self::Offset(offset.unwrap_or_default()),
            Some("to-earliest") => Self::Earliest,
            Some("to-latest") => Self::Latest,
            Some("shift-by") => Self::ShiftBy(by.unwrap_or_default()),
            Some("to-datetime") => Self::Datetime(datetime(options.value("to-datetime").unwrap_or_default())),
            Some("by-duration") => Self::Duration(duration(options.value("by-duration").unwrap_or_default())),
            Some("to-current") => Self::Current,
            Some(_) => {
                let path = options.value("from-file").unwrap_or_default();
                let text = environment.files.get(path).ok_or_else(|| {
                    let cause = format!("java.io.IOException: Unable to read file {path}");
                    Refusal::new("RuntimeException", cause)
                })?;
                Self::File(plan::read(text, groups.first().filter(|_| groups.len() == 1))?)
            }
            None => return Ok(None),
        }))
    }
}
