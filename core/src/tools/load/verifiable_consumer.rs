//! `kafka-verifiable-consumer`: reads in a group, commits what it has read, and says what happens, a line of JSON each.

use ottla_protocol::{ErrorCode, Str};

use super::{bootstrap, missing_file, uncaught};
use crate::client::{Consumer, ConsumerEvent, ConsumerRecord, LinkEffect};
use crate::time::{Instant, Now};
use crate::tools::client_config::Properties;
use crate::tools::failure::{Refusal, refusal};
use crate::tools::json::quoted;
use crate::tools::machine::Machine;
use crate::tools::options::{OptionSpec, flag, value};
use crate::tools::subcommands::{Command, Grammar, Typed};
use crate::tools::{Environment, Exit, ToolCx, ToolEvent};

static OPTIONS: [OptionSpec; 14] = [
    value("topic", "topic", "REQUIRED: the topic to read."),
    value("group-protocol", "protocol", "Only classic, the default."),
    value("group-remote-assignor", "name", "Taken, without effect: of the protocol consumer."),
    value("group-id", "id", "REQUIRED: the group."),
    value("group-instance-id", "id", "Makes it a static member."),
    value("max-messages", "count", "So many records; -1, the default, until it is stopped."),
    value("session-timeout", "ms", "How long it may be silent before it is taken for dead."),
    flag("verbose", "Says of each record what it holds."),
    flag("enable-autocommit", "Commits in the background."),
    value("reset-policy", "policy", "earliest, the default, latest or none."),
    value("assignment-strategy", "class", "How partitions are shared out: RangeAssignor by default."),
    value("consumer.config", "file", "The old name of --command-config."),
    value("command-config", "file", "A properties file for the consumer."),
    value(
        "bootstrap-server",
        "host:port",
        "REQUIRED: a server of the cluster, or several, separated by commas.",
    ),
];

static GRAMMAR: Grammar = Grammar {
    name: "verifiable-consumer",
    about: "",
    options: &[],
    commands: &[Command {
        name: "",
        help: "This tool consumes messages from a specific topic and emits consumer events (e.g. group rebalances, \
               received messages, and offsets committed) as JSON objects to STDOUT.",
        options: &OPTIONS,
        required: &["bootstrap-server", "topic", "group-id"],
        typed: &[("max-messages", Typed::Integer), ("session-timeout", Typed::Integer)],
        exclusive: &[],
    }],
    letters: &[],
    needs_cluster: false,
};

/// The running tool.
#[derive(Clone, Debug)]
pub struct VerifiableConsumer {
    consumer: Consumer,
    plan: Plan,
    /// What is said before anything else.
    greeting: String,
    has_started: bool,
    consumed: u64,
    commit: Commit,
    /// What is its own.
    assigned: Vec<(Str, i32)>,
    /// The exit code, once it only says goodbye.
    ending: Option<i32>,
    exit_code: Option<i32>,
}

/// What was read is committed before more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commit {
    None,
    /// It waits for the group's coordinator to be known.
    Due,
    Asked,
}

#[derive(Clone, Debug)]
struct Plan {
    records: Option<u64>,
    is_verbose: bool,
    commits_itself: bool,
    poll_max: usize,
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment) -> Result<VerifiableConsumer, Exit> {
    let (command, options) = GRAMMAR
        .read(arguments)
        .map_err(|misread| misread.exit(GRAMMAR.name, i32::from(!arguments.is_empty())))?;
    let files = ["consumer.config", "command-config"];
    if files.iter().all(|name| options.has(name)) {
        let sentence = "Options --consumer.config and --command-config are mutually exclusive.";
        return Err(GRAMMAR.refuse(command, sentence));
    }
    let mut said = String::new();
    if options.has("consumer.config") {
        said.push_str("Option --consumer.config has been deprecated and will be removed in a future version. Use --command-config instead.\n");
    }
    if let Some(path) = missing_file(&options, environment, &files) {
        return Err(Exit { stdout: said, ..GRAMMAR.refuse(command, path) });
    }
    let failed = |refusal| uncaught(said.clone(), &refusal);
    match options.value("group-protocol").map(str::to_ascii_uppercase).as_deref() {
        None | Some("CLASSIC") => {}
        Some("CONSUMER") => {
            let sentence = "The group protocol consumer (KIP-848) is not built yet: use classic";
            return Err(failed(Refusal::new("UnsupportedVersionException", sentence)));
        }
        Some(other) => {
            let sentence =
                format!("No enum constant org.apache.kafka.clients.consumer.GroupProtocol.{other}");
            return Err(failed(Refusal::new("IllegalArgumentException", sentence)));
        }
    }
    let config = |sentence| failed(Refusal::new("ConfigException", sentence));
    let mut properties = Properties::gather(&options, environment, &files, &[]).map_err(config)?;
    let commits_itself = !options.has("enable-autocommit");
    let set = [
        ("bootstrap.servers", options.value("bootstrap-server")),
        ("group.id", options.value("group-id")),
        ("group.instance.id", options.value("group-instance-id")),
        ("session.timeout.ms", options.value("session-timeout")),
        ("enable.auto.commit", Some(if commits_itself { "false" } else { "true" })),
        ("auto.offset.reset", Some(options.value("reset-policy").unwrap_or("earliest"))),
        (
            "partition.assignment.strategy",
            Some(options.value("assignment-strategy").unwrap_or("RangeAssignor")),
        ),
    ];
    set.into_iter().for_each(|(key, value)| properties.set(key, value));
    let mut consumer = properties.consumer("consumer-1").map_err(config)?;
    consumer.session.bootstrap =
        bootstrap(&properties, "consumer").map_err(|refusal| uncaught(said.clone(), &refusal))?;
    let records = options.number::<i32>("max-messages").ok().flatten();
    let plan = Plan {
        records: records.and_then(|records| u64::try_from(records).ok()),
        is_verbose: options.has("verbose"),
        commits_itself,
        poll_max: properties.number("max.poll.records", 500).map_err(config)?,
    };
    let topic = options.value("topic").unwrap_or_default();
    Ok(VerifiableConsumer {
        consumer: Consumer::subscribe(consumer, vec![topic.into()]),
        plan,
        greeting: said,
        has_started: false,
        consumed: 0,
        commit: Commit::None,
        assigned: Vec::new(),
        ending: None,
        exit_code: None,
    })
}

/// An event with its name, and more members.
fn event(now: Now, name: &str, members: &str) -> String {
    format!("{{\"timestamp\":{},\"name\":\"{name}\"{members}}}\n", now.wall)
}

fn place((topic, partition): &(Str, i32)) -> String {
    format!("\"topic\":{},\"partition\":{partition}", quoted(topic))
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.map(|item| format!("{{{item}}}")).collect();
    format!("[{}]", items.join(","))
}

fn record_data(now: Now, record: &ConsumerRecord) -> String {
    let text = |bytes: &Option<bytes::Bytes>| {
        bytes.as_ref().map_or("null".to_owned(), |bytes| quoted(&String::from_utf8_lossy(bytes)))
    };
    let (key, value, topic) = (text(&record.key), text(&record.value), quoted(&record.topic));
    let (partition, offset) = (record.partition, record.offset);
    let members = format!(
        ",\"key\":{key},\"value\":{value},\"topic\":{topic},\"partition\":{partition},\"offset\":{offset}"
    );
    event(now, "record_data", &members)
}

impl VerifiableConsumer {
    fn is_finished(&self) -> bool {
        self.plan.records.is_some_and(|records| self.consumed >= records)
    }

    /// Takes what happened; the error is why it cannot go on.
    fn events(&mut self, cx: &mut ToolCx<'_>) -> Result<(), ErrorCode> {
        for happened in self.consumer.take_events() {
            match happened {
                ConsumerEvent::Assigned(partitions) => {
                    self.revoke(cx);
                    let named = format!(",\"partitions\":{}", list(partitions.iter().map(place)));
                    cx.output.stdout.push_str(&event(cx.now, "partitions_assigned", &named));
                    self.assigned = partitions;
                }
                ConsumerEvent::Revoked => self.revoke(cx),
                ConsumerEvent::Committed { offsets, error } => self.committed(cx, &offsets, error),
                ConsumerEvent::Fatal(error) | ConsumerEvent::TopicError(_, error) => return Err(error),
                ConsumerEvent::NoOffset(_) => return Err(ErrorCode::OffsetOutOfRange),
                ConsumerEvent::Corrupt(..) => return Err(ErrorCode::CorruptMessage),
            }
        }
        Ok(())
    }

    fn revoke(&mut self, cx: &mut ToolCx<'_>) {
        let partitions = std::mem::take(&mut self.assigned);
        if !partitions.is_empty() {
            let named = format!(",\"partitions\":{}", list(partitions.iter().map(place)));
            cx.output.stdout.push_str(&event(cx.now, "partitions_revoked", &named));
        }
    }

    fn committed(&mut self, cx: &mut ToolCx<'_>, offsets: &[((Str, i32), i64)], error: Option<ErrorCode>) {
        if std::mem::replace(&mut self.commit, Commit::None) != Commit::Asked {
            return;
        }
        let offset =
            |(partition, offset): &((Str, i32), i64)| format!("{},\"offset\":{offset}", place(partition));
        let why = error.map(|error| format!(",\"error\":{}", quoted(error.message()))).unwrap_or_default();
        let (offsets, success) = (list(offsets.iter().map(offset)), error.is_none());
        let members = format!(",\"offsets\":{offsets}{why},\"success\":{success}");
        cx.output.stdout.push_str(&event(cx.now, "offsets_committed", &members));
    }

    /// Reads what is there, until it has to wait for a commit.
    fn consume(&mut self, cx: &mut ToolCx<'_>) {
        if self.commit == Commit::Due && self.consumer.commit(cx.now.monotonic) {
            self.commit = Commit::Asked;
        }
        while !self.is_finished() && self.commit == Commit::None {
            let records = self.consumer.poll(self.plan.poll_max);
            if records.is_empty() {
                return;
            }
            self.received(cx, &records);
            if self.plan.commits_itself {
                let is_asked = self.consumer.commit(cx.now.monotonic);
                self.commit = if is_asked { Commit::Asked } else { Commit::Due };
            }
        }
    }

    fn received(&mut self, cx: &mut ToolCx<'_>, records: &[ConsumerRecord]) {
        let mut partitions: Vec<((Str, i32), Vec<&ConsumerRecord>)> = Vec::new();
        for record in records {
            let partition = (record.topic.clone(), record.partition);
            match partitions.iter_mut().find(|(other, _)| *other == partition) {
                Some((_, records)) => records.push(record),
                None => partitions.push((partition, vec![record])),
            }
        }
        let mut summaries = Vec::new();
        for (partition, mut of_partition) in partitions {
            let Some(first) = of_partition.first().map(|record| record.offset) else { continue };
            let left = self.plan.records.map_or(u64::MAX, |records| records.saturating_sub(self.consumed));
            of_partition.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            let Some(last) = of_partition.last().map(|record| record.offset) else {
                self.consumer.seek(&partition, first);
                continue;
            };
            let count = of_partition.len();
            summaries.push(format!(
                "{},\"count\":{count},\"minOffset\":{first},\"maxOffset\":{last}",
                place(&partition)
            ));
            if self.plan.is_verbose {
                of_partition
                    .iter()
                    .for_each(|record| cx.output.stdout.push_str(&record_data(cx.now, record)));
            }
            self.consumed += count as u64;
            if self.is_finished() {
                // What goes beyond the limit is not consumed.
                self.consumer.seek(&partition, last + 1);
            }
        }
        let partitions = list(summaries.into_iter());
        let members = format!(",\"count\":{},\"partitions\":{partitions}", records.len());
        cx.output.stdout.push_str(&event(cx.now, "records_consumed", &members));
    }

    fn end(&mut self, cx: &mut ToolCx<'_>, code: i32) {
        if self.ending.is_none() {
            self.ending = Some(code);
            self.revoke(cx);
            self.consumer.close(cx.now.monotonic);
        }
    }
}

impl Machine for VerifiableConsumer {
    fn handle(&mut self, cx: &mut ToolCx<'_>, happened: ToolEvent) {
        cx.output.stdout.push_str(&std::mem::take(&mut self.greeting));
        if !std::mem::replace(&mut self.has_started, true) {
            cx.output.stdout.push_str(&event(cx.now, "startup_complete", ""));
        }
        match happened {
            ToolEvent::Link(event) => self.consumer.handle(cx.now, cx.compressors, event),
            ToolEvent::Interrupt if self.ending.is_none() => {
                cx.output.stdout.push_str(&event(cx.now, "shutdown_requested", ""));
                self.end(cx, 130);
            }
            ToolEvent::Interrupt | ToolEvent::Tick | ToolEvent::Line(_) | ToolEvent::EndOfInput => {}
        }
        if self.ending.is_none() {
            if let Err(error) = self.events(cx) {
                let why = refusal(error, None);
                let sentence =
                    format!("ERROR Error during processing, terminating consumer process: {why}\n");
                cx.output.stderr.push_str(&sentence);
                self.end(cx, 0);
            } else {
                self.consume(cx);
                if self.is_finished() && self.commit == Commit::None {
                    self.end(cx, 0);
                }
            }
        }
        self.consumer.tick(cx.now, cx.compressors);
        if let Some(code) = self.ending.filter(|_| self.consumer.is_closed() && self.exit_code.is_none()) {
            cx.output.stdout.push_str(&event(cx.now, "shutdown_complete", ""));
            if code == 0 {
                cx.output.stdout.push_str(&event(cx.now, "shutdown_requested", ""));
            }
            self.exit_code = Some(code);
            self.consumer.session().network().close();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.consumer.deadline()
    }

    fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.consumer.session().take_effects()
    }

    fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }

    fn ends_by_interrupt(&self) -> bool {
        true
    }
}
