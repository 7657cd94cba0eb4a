//! What `kafka-reassign-partitions` is asked for.

use super::plan::{Plan, topics_to_move};
use crate::tools::failure::Refusal;
use crate::tools::options::{Manual, OptionSpec, Options, Takes, flag, value};
use crate::tools::{Environment, Exit};
use ottla_protocol::Str;

const MANUAL: Manual =
    Manual { about: "This tool helps to move topic partitions between replicas.", specs: &SPECS };

static SPECS: [OptionSpec; 17] = [
    flag(
        "additional",
        "With --execute: beside reassignments that are under way, or to change their throttle.",
    ),
    OptionSpec {
        name: "bootstrap-controller",
        takes: Takes::MaybeValue("host:port"),
        help: "With --cancel and --list: a controller of the cluster, or several, separated by commas.",
    },
    OptionSpec {
        name: "bootstrap-server",
        takes: Takes::MaybeValue("host:port"),
        help: "A server of the cluster, or several, separated by commas.",
    },
    value("broker-list", "ids", "With --generate: the brokers, as 0,1,2."),
    flag("cancel", "Takes back what of the plan is under way."),
    flag("disable-rack-aware", "With --generate: without regard to racks."),
    flag(
        "disallow-replication-factor-change",
        "With --execute: only plans that keep the number of replicas.",
    ),
    flag("execute", "Begins to move replicas as the plan says."),
    flag("generate", "Proposes a plan."),
    flag("list", "Lists what is under way."),
    flag("preserve-throttles", "With --verify and --cancel: leaves throttles as they are."),
    value(
        "reassignment-json-file",
        "file",
        r#"The plan: {"partitions": [{"topic": "t", "partition": 0, "replicas": [1,2], "log_dirs": ["any","/d"]}], "version": 1}"#,
    ),
    value(
        "replica-alter-log-dirs-throttle",
        "rate",
        "With --execute: bytes a second between directories of a broker.",
    ),
    value("throttle", "rate", "With --execute: bytes a second between brokers."),
    value("timeout", "ms", "How long moves between directories may take to begin (default 10000)."),
    value(
        "topics-to-move-json-file",
        "file",
        r#"With --generate: {"topics": [{"topic": "t"}], "version": 1}"#,
    ),
    flag("verify", "Says how far the plan is, and takes throttles away once it is done."),
];

const ACTIONS: [&str; 5] = ["generate", "execute", "verify", "cancel", "list"];
const EVERYWHERE: [&str; 1] = ["command-config"];

/// What an action needs, and may have besides.
fn grammar(action: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match action {
        "verify" => (&["reassignment-json-file"], &["bootstrap-server", "preserve-throttles"]),
        "generate" => {
            (&["topics-to-move-json-file", "broker-list"], &["bootstrap-server", "disable-rack-aware"])
        }
        "execute" => (
            &["reassignment-json-file"],
            &[
                "additional",
                "bootstrap-server",
                "throttle",
                "replica-alter-log-dirs-throttle",
                "timeout",
                "disallow-replication-factor-change",
            ],
        ),
        "cancel" => (
            &["reassignment-json-file"],
            &["bootstrap-server", "bootstrap-controller", "preserve-throttles", "timeout"],
        ),
        _ => (&[], &["bootstrap-server", "bootstrap-controller"]),
    }
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    Generate { topics: Vec<Str>, brokers: Vec<i32>, is_rack_aware: bool },
    Execute(Execution),
    Verify { plan: Plan, preserves_throttles: bool },
    Cancel { plan: Plan, preserves_throttles: bool, timeout_ms: i64 },
    List,
}

/// A plan, and how it is carried out. Rates are bytes a second, below 0 for none.
#[derive(Clone, Debug)]
pub struct Execution {
    pub plan: Plan,
    pub is_additional: bool,
    pub throttle: i64,
    pub directories_throttle: i64,
    pub timeout_ms: i64,
    pub keeps_replication_factor: bool,
}

/// Reads the arguments; what cannot be read at all ends a tool of Java's with an exception.
pub fn read(arguments: &[String]) -> Result<(&'static str, Options), Exit> {
    let wrong = |message: String| MANUAL.usage(&message);
    let options = MANUAL.read(arguments, |message| Exit {
        stderr: format!(
            "Exception in thread \"main\" {}\n",
            Refusal::new("UnrecognizedOptionException", message)
        ),
        ..Exit::error("")
    })?;
    let Some(action) = options.only(&ACTIONS) else {
        let actions = ACTIONS.map(|action| format!("--{action}")).join(", ");
        return Err(wrong(format!("Command must include exactly one action: {actions}")));
    };
    match (options.has("bootstrap-server"), options.has("bootstrap-controller")) {
        (true, true) => {
            return Err(wrong(
                "Please don't specify both --bootstrap-server and --bootstrap-controller".into(),
            ));
        }
        (false, false) => {
            return Err(wrong("Please specify either --bootstrap-server or --bootstrap-controller".into()));
        }
        _ => {}
    }
    let (required, permitted) = grammar(action);
    options.require(required).map_err(wrong)?;
    let may_stand = |name: &&str| {
        *name == action || [required, permitted, &EVERYWHERE].iter().any(|names| names.contains(name))
    };
    match options.order.iter().find(|name| !may_stand(name)) {
        Some(name) => Err(wrong(format!("Option \"[{name}]\" can't be used with action \"[{action}]\""))),
        None => Ok((action, options)),
    }
}

/// The action with all that it needs.
pub fn understand(action: &str, options: &Options, environment: &Environment) -> Result<Action, Refusal> {
    let file = |name: &str| {
        let path = options.value(name).unwrap_or_default();
        let unread = || Refusal::new("IOException", format!("Unable to read file {path}"));
        environment.files.get(path).ok_or_else(unread)
    };
    let number = |name: &str, default: i64| {
        let read = options.number::<i64>(name);
        read.map(|number| number.unwrap_or(default))
            .map_err(|message| Refusal::new("OptionArgumentConversionException", message))
    };
    let plan = || Plan::parse(file("reassignment-json-file")?);
    let preserves_throttles = options.has("preserve-throttles");
    Ok(match action {
        "generate" => Action::Generate {
            brokers: brokers(options.value("broker-list").unwrap_or_default())?,
            topics: topics_to_move(file("topics-to-move-json-file")?)?,
            is_rack_aware: !options.has("disable-rack-aware"),
        },
        "execute" => {
            let text = file("reassignment-json-file")?;
            let (throttle, directories_throttle) =
                (number("throttle", -1)?, number("replica-alter-log-dirs-throttle", -1)?);
            let timeout_ms = number("timeout", 10_000)?;
            Action::Execute(Execution {
                plan: Plan::parse(text)?.checked()?,
                is_additional: options.has("additional"),
                throttle,
                directories_throttle,
                timeout_ms,
                keeps_replication_factor: options.has("disallow-replication-factor-change"),
            })
        }
        "verify" => Action::Verify { plan: plan()?, preserves_throttles },
        "cancel" => {
            let timeout_ms = number("timeout", 10_000)?;
            Action::Cancel { plan: plan()?, preserves_throttles, timeout_ms }
        }
        _ => Action::List,
    })
}

fn brokers(list: &str) -> Result<Vec<i32>, Refusal> {
    let mut brokers = Vec::new();
    let mut twice = Vec::new();
    for word in list.split(',') {
        let unread = |_| Refusal::new("NumberFormatException", format!("For input string: \"{word}\""));
        let broker: i32 = word.parse().map_err(unread)?;
        if brokers.contains(&broker) {
            twice.push(broker);
        }
        brokers.push(broker);
    }
    if twice.is_empty() {
        return Ok(brokers);
    }
    twice.dedup();
    let sentence = format!("Broker list contains duplicate entries: {twice:?}");
    Err(Refusal::new("AdminCommandFailedException", sentence))
}
