//! Kafka's command-line tools as machines: arguments in, client calls, lines out. The same code natively and in the tab.
//!
//! A shell starts a tool with [`start`], carries its links, hands it lines that are typed, and prints what it says until it has
//! an exit code.
//!
//! Those for administrators are a feature (`administration`), so that what a page loads at first stays small.

#![cfg_attr(not(any(feature = "administration", test)), allow(dead_code))]

mod admin;
mod api_versions;
pub mod check;
mod client_config;
mod client_metrics;
mod cluster;
mod configs;
mod console_consumer;
mod console_producer;
mod consumer_groups;
mod decode_json;
mod delete_records;
pub mod dump_log;
mod failure;
mod features;
mod get_offsets;
mod groups;
mod json;
mod leader_election;
mod load;
mod log_dirs;
mod machine;
mod metadata_quorum;
pub mod options;
mod partitions;
mod pattern;
mod reader;
mod reassign_partitions;
mod runner;
pub mod storage;
mod subcommands;
mod table;
mod topics;

use std::fmt::Debug;

use ottla_protocol::Str;

use self::options::OptionSpec;
use crate::client::{LinkEffect, LinkEvent, Target};
use crate::record::Compressors;
use crate::rng::Rng;
use crate::time::{Instant, Now};

pub use check::{CHECK, Check};
pub use dump_log::{DUMP_LOG, DumpLent, DumpLog};
pub use metadata_quorum::{meta_properties, metadata_directory};
pub use storage::STORAGE;

/// The tools that talk to a cluster, by the names that their scripts have in Kafka's `bin` directory (without `.sh`).
pub const TOOLS: &[&str] = if FOR_ADMINISTRATORS { &ALL_TOOLS } else { ALL_TOOLS.split_at(FIRST_TOOLS).0 };
/// Whether this build has what only administrators use.
const FOR_ADMINISTRATORS: bool = cfg!(any(feature = "administration", test));
/// So many of them are not for administrators only.
const FIRST_TOOLS: usize = 4;
const ALL_TOOLS: [&str; 21] = [
    "kafka-topics",
    "kafka-console-producer",
    "kafka-console-consumer",
    "kafka-consumer-groups",
    "kafka-configs",
    "kafka-get-offsets",
    "kafka-delete-records",
    "kafka-log-dirs",
    "kafka-groups",
    "kafka-broker-api-versions",
    "kafka-cluster",
    "kafka-metadata-quorum",
    "kafka-features",
    "kafka-client-metrics",
    "kafka-producer-perf-test",
    "kafka-consumer-perf-test",
    "kafka-e2e-latency",
    "kafka-verifiable-producer",
    "kafka-verifiable-consumer",
    "kafka-leader-election",
    "kafka-reassign-partitions",
];

/// The release of Apache Kafka whose tools these are like.
const KAFKA_VERSION: &str = "4.3.1";

/// What happens to a tool.
#[derive(Clone, Debug)]
pub enum ToolEvent {
    /// Of one of its links.
    Link(LinkEvent),
    /// A line was typed or piped in.
    Line(String),
    /// The input has ended.
    EndOfInput,
    /// Ctrl-C.
    Interrupt,
    /// A deadline passed.
    Tick,
}

/// What a tool says.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// For standard output, line ends included.
    pub stdout: String,
    /// For standard error, line ends included.
    pub stderr: String,
}

/// What a tool may use besides its event.
#[derive(Debug)]
pub struct ToolCx<'a> {
    /// The clocks.
    pub now: Now,
    /// The codecs that the shell lends.
    pub compressors: &'a Compressors,
    /// What it says.
    pub output: &'a mut Output,
}

/// Where a tool runs.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Where to go when the arguments name a ZooKeeper (`--zookeeper`): the broker behind it.
    pub behind_zookeeper: Option<Target>,
    /// Contents of files that arguments name (`--command-config`), read beforehand by the shell.
    pub files: std::collections::BTreeMap<String, String>,
    /// Where relative paths begin.
    pub current_directory: String,
}

/// A running tool.
#[derive(Clone, Debug)]
pub enum Tool {
    /// `kafka-topics`
    Topics(topics::TopicsTool),
    /// `kafka-console-producer`
    ConsoleProducer(console_producer::ConsoleProducer),
    /// `kafka-console-consumer`
    ConsoleConsumer(console_consumer::ConsoleConsumer),
    /// Any that asks and prints.
    Other(runner::Runner),
    /// Any that has a client of its own.
    Machine(Box<dyn machine::Machine>),
}

/// Why a tool did not start: what it said, and its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// 0 after `--help` and `--version`.
    pub code: i32,
}

impl Exit {
    /// A wrong command line, then the help.
    fn usage(specs: &[&[OptionSpec]], message: &str) -> Self {
        Self { stdout: String::new(), stderr: format!("{message}\n{}", options::help(specs)), code: 1 }
    }

    /// A sentence.
    fn error(message: &str) -> Self {
        Self { stdout: String::new(), stderr: format!("{message}\n"), code: 1 }
    }

    /// A sentence where the results go, and its reason where complaints do.
    fn refused(sentence: &str, reason: &failure::Refusal) -> Self {
        let stdout = format!("{sentence}{}\n", reason.message);
        Self { stdout, stderr: format!("ERROR {reason}\n"), code: 1 }
    }

    fn not_found(tool: &str) -> Self {
        Self { stdout: String::new(), stderr: format!("{tool}: command not found\n"), code: 127 }
    }

    /// After `--version`: the release of Kafka whose behaviour this is.
    fn version() -> Self {
        Self { stdout: format!("{KAFKA_VERSION}\n"), stderr: String::new(), code: 0 }
    }
}

/// Starts a tool. `name` may carry `.sh`.
pub fn start(
    name: &str,
    arguments: &[String],
    environment: &Environment,
    rng: &mut Rng,
) -> Result<Tool, Exit> {
    match name.strip_suffix(".sh").unwrap_or(name) {
        "kafka-topics" => topics::TopicsTool::start(arguments, environment).map(Tool::Topics),
        "kafka-console-producer" => {
            let started = console_producer::ConsoleProducer::start(arguments, environment, rng.fork());
            started.map(Tool::ConsoleProducer)
        }
        "kafka-console-consumer" => {
            let started = console_consumer::ConsoleConsumer::start(arguments, environment, rng);
            started.map(Tool::ConsoleConsumer)
        }
        "kafka-consumer-groups" => consumer_groups::start(arguments, environment).map(Tool::Other),
        other => start_administration(other, arguments, environment, rng),
    }
}

#[cfg(any(feature = "administration", test))]
fn start_administration(
    name: &str,
    arguments: &[String],
    environment: &Environment,
    rng: &mut Rng,
) -> Result<Tool, Exit> {
    fn boxed(machine: impl machine::Machine + 'static) -> Tool {
        Tool::Machine(Box::new(machine))
    }
    match name {
        "kafka-producer-perf-test" => {
            return load::producer_performance::start(arguments, environment, rng).map(boxed);
        }
        "kafka-consumer-perf-test" => {
            return load::consumer_performance::start(arguments, environment, rng).map(boxed);
        }
        "kafka-e2e-latency" => {
            return load::end_to_end_latency::start(arguments, environment, rng).map(boxed);
        }
        "kafka-verifiable-producer" => {
            return load::verifiable_producer::start(arguments, environment, rng).map(boxed);
        }
        "kafka-verifiable-consumer" => {
            return load::verifiable_consumer::start(arguments, environment).map(boxed);
        }
        "kafka-configs" => configs::start(arguments, environment, rng),
        "kafka-get-offsets" => get_offsets::start(arguments, environment),
        "kafka-delete-records" => delete_records::start(arguments, environment),
        "kafka-log-dirs" => log_dirs::start(arguments, environment),
        "kafka-groups" => groups::start(arguments, environment),
        "kafka-broker-api-versions" => api_versions::start(arguments, environment),
        "kafka-cluster" => cluster::start(arguments, environment),
        "kafka-metadata-quorum" => metadata_quorum::start(arguments, environment),
        "kafka-features" => features::start(arguments, environment),
        "kafka-leader-election" => leader_election::start(arguments, environment),
        "kafka-reassign-partitions" => reassign_partitions::start(arguments, environment, rng),
        "kafka-client-metrics" => client_metrics::start(arguments, environment, rng),
        other => Err(Exit::not_found(other)),
    }
    .map(Tool::Other)
}

#[cfg(not(any(feature = "administration", test)))]
fn start_administration(name: &str, _: &[String], _: &Environment, _: &mut Rng) -> Result<Tool, Exit> {
    Err(Exit::not_found(name))
}

/// The same of whichever tool it is.
macro_rules! each {
    ($tool:expr, $one:ident => $what:expr) => {
        match $tool {
            Tool::Topics($one) => $what,
            Tool::ConsoleProducer($one) => $what,
            Tool::ConsoleConsumer($one) => $what,
            Tool::Other($one) => $what,
            Tool::Machine($one) => $what,
        }
    };
}

impl Tool {
    /// Handles one event; a fresh tool wants a `Tick` first.
    pub fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent) {
        each!(self, tool => tool.handle(cx, event));
    }

    /// When it wants a `Tick`.
    pub fn deadline(&self) -> Option<Instant> {
        each!(self, tool => tool.deadline())
    }

    /// What to do with its links.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        each!(self, tool => tool.take_effects())
    }

    /// Its exit code, once it has ended.
    pub fn exit_code(&self) -> Option<i32> {
        each!(self, tool => tool.exit_code())
    }

    /// Whether it wants lines.
    pub fn reads_input(&self) -> bool {
        self.prompt().is_some()
    }

    /// Whether Ctrl-C is for the tool to handle: it has something to say before it ends.
    pub fn ends_by_interrupt(&self) -> bool {
        match self {
            Self::Topics(_) | Self::Other(_) => false,
            Self::ConsoleProducer(_) | Self::ConsoleConsumer(_) => true,
            Self::Machine(tool) => tool.ends_by_interrupt(),
        }
    }

    /// Lines that it was given and has not brought anywhere yet.
    pub fn undelivered(&self) -> usize {
        match self {
            Self::ConsoleProducer(tool) => tool.undelivered(),
            Self::Topics(_) | Self::ConsoleConsumer(_) | Self::Other(_) | Self::Machine(_) => 0,
        }
    }

    /// What it writes before each line that is typed, if it wants lines.
    pub fn prompt(&self) -> Option<&'static str> {
        match self {
            Self::ConsoleProducer(_) => Some(">"),
            Self::Topics(_) | Self::ConsoleConsumer(_) | Self::Other(_) | Self::Machine(_) => None,
        }
    }
}

/// `host:port,host:port` as addresses.
fn addresses(list: &str) -> Result<Vec<Target>, Exit> {
    let mut targets = Vec::new();
    for address in list.split(',').map(str::trim).filter(|address| !address.is_empty()) {
        let address = address.rsplit_once("://").map_or(address, |(_, rest)| rest);
        let parsed = address.rsplit_once(':').and_then(|(host, port)| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Some(Target { host: Str::from(host), port: port.parse().ok()? }).filter(|_| !host.is_empty())
        });
        match parsed {
            Some(target) => targets.push(target),
            None => {
                return Err(Exit::error(&format!("Invalid url in bootstrap.servers: {address}")));
            }
        }
    }
    if targets.is_empty() {
        return Err(Exit::error("No resolvable bootstrap urls given in bootstrap.servers"));
    }
    Ok(targets)
}
