//! `kafka-verifiable-producer`: writes numbers that go up, and says of each what became of it, a line of JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::Str;

use super::throttle::Throttle;
use super::{bootstrap, missing_file, uncaught};
use crate::client::{Delivery, LinkEffect, Producer, ProducerRecord, RecordId};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::tools::client_config::Properties;
use crate::tools::failure::{Refusal, undelivered};
use crate::tools::json::quoted;
use crate::tools::machine::Machine;
use crate::tools::options::{OptionSpec, value};
use crate::tools::subcommands::{Command, Grammar, Typed};
use crate::tools::{Environment, Exit, ToolCx, ToolEvent};

/// Records that wait for their delivery at most.
const WAITING_MAX: usize = 100_000;
/// Records that are handed over before the links are looked after again.
const TURN: usize = 1_000;

static OPTIONS: [OptionSpec; 10] = [
    value("topic", "topic", "REQUIRED: the topic to write to."),
    value("max-messages", "count", "So many records; -1, the default, until it is stopped."),
    value("throughput", "rate", "Records a second at most, about; -1, the default, for no limit."),
    value("acks", "acks", "0, 1, or -1 for all, the default."),
    value("producer.config", "file", "The old name of --command-config."),
    value("message-create-time", "ms", "The time of the first record, since 1970."),
    value("value-prefix", "number", "Stands before each value, with a dot."),
    value("repeating-keys", "count", "Keys from 0 up to this, which is left out, and again."),
    value("command-config", "file", "A properties file for the producer."),
    value(
        "bootstrap-server",
        "host:port",
        "REQUIRED: a server of the cluster, or several, separated by commas.",
    ),
];

static GRAMMAR: Grammar = Grammar {
    name: "verifiable-producer",
    about: "",
    options: &[],
    commands: &[Command {
        name: "",
        help: "This tool produces increasing integers to the specified topic and prints JSON metadata to stdout on \
               each \"send\" request, making externally visible which messages have been acked and which have not.",
        options: &OPTIONS,
        required: &["topic"],
        typed: &[
            ("max-messages", Typed::Integer),
            ("throughput", Typed::Integer),
            ("acks", Typed::Choice(&["0", "1", "-1"])),
            ("message-create-time", Typed::Long),
            ("value-prefix", Typed::Integer),
            ("repeating-keys", Typed::Integer),
        ],
        exclusive: &[(&["bootstrap-server"], true)],
    }],
    letters: &[],
    needs_cluster: false,
};

/// The running tool.
#[derive(Clone, Debug)]
pub struct VerifiableProducer {
    producer: Producer,
    plan: Plan,
    /// What is said before anything else.
    greeting: String,
    started: Option<(Throttle, Now)>,
    sent: u64,
    acked: u64,
    /// Keys and values of those that are not delivered.
    waiting: BTreeMap<RecordId, (Option<String>, String)>,
    /// When more can be sent, if that does not depend on deliveries.
    due: Option<Instant>,
    /// The exit code, once nothing more is sent.
    ending: Option<i32>,
    exit_code: Option<i32>,
}

#[derive(Clone, Debug)]
struct Plan {
    topic: Str,
    /// None for as many as there is time for.
    records: Option<u64>,
    throughput: i32,
    /// The time of the next record.
    create_time: Option<i64>,
    value_prefix: Option<i32>,
    repeating_keys: Option<i32>,
    next_key: i32,
}

/// Reads the arguments.
pub fn start(
    arguments: &[String],
    environment: &Environment,
    rng: &mut Rng,
) -> Result<VerifiableProducer, Exit> {
    let (command, options) = GRAMMAR
        .read(arguments)
        .map_err(|misread| misread.exit(GRAMMAR.name, i32::from(!arguments.is_empty())))?;
    let files = ["producer.config", "command-config"];
    if files.iter().all(|name| options.has(name)) {
        let sentence = "Options --producer.config and --command-config are mutually exclusive.";
        return Err(GRAMMAR.refuse(command, sentence));
    }
    let mut said = String::new();
    if options.has("producer.config") {
        said.push_str("Option --producer.config has been deprecated and will be removed in a future version. Use --command-config instead.\n");
    }
    if let Some(path) = missing_file(&options, environment, &files) {
        return Err(Exit { stdout: said, ..GRAMMAR.refuse(command, path) });
    }
    let config = |sentence| uncaught(said.clone(), &Refusal::new("ConfigException", sentence));
    let mut properties = Properties::gather(&options, environment, &files, &[]).map_err(config)?;
    properties.set_default("retries", "0");
    properties.set_default("acks", options.value("acks").unwrap_or("-1"));
    properties.set_default("bootstrap.servers", options.value("bootstrap-server").unwrap_or_default());
    let mut producer = properties.producer("producer-1").map_err(config)?;
    producer.session.bootstrap =
        bootstrap(&properties, "producer").map_err(|refusal| uncaught(said.clone(), &refusal))?;
    let number = |name: &str| options.number::<i32>(name).ok().flatten();
    let plan = Plan {
        topic: options.value("topic").unwrap_or_default().into(),
        records: number("max-messages").and_then(|count| u64::try_from(count).ok()),
        throughput: number("throughput").unwrap_or(-1),
        create_time: options.number("message-create-time").ok().flatten().filter(|time| *time != -1),
        value_prefix: number("value-prefix"),
        repeating_keys: number("repeating-keys"),
        next_key: 0,
    };
    Ok(VerifiableProducer {
        producer: Producer::new(producer, rng.fork()),
        plan,
        greeting: said,
        started: None,
        sent: 0,
        acked: 0,
        waiting: BTreeMap::new(),
        due: None,
        ending: None,
        exit_code: None,
    })
}

impl Plan {
    fn next_key(&mut self) -> Option<String> {
        let count = self.repeating_keys?;
        let key = self.next_key;
        self.next_key = if key.wrapping_add(1) == count { 0 } else { key.wrapping_add(1) };
        Some(key.to_string())
    }

    fn value(&self, number: u64) -> String {
        self.value_prefix.map_or(number.to_string(), |prefix| format!("{prefix}.{number}"))
    }
}

impl VerifiableProducer {
    fn send(&mut self, cx: &ToolCx<'_>) {
        self.due = None;
        let Some((throttle, started)) = self.started else { return };
        let is_known = self.producer.session().cluster().partition_count(&self.plan.topic) > 0;
        for _ in 0..TURN {
            if self.ending.is_some()
                || self.waiting.len() >= WAITING_MAX
                || !is_known && !self.waiting.is_empty()
            {
                return;
            }
            if self.plan.records.is_some_and(|records| self.sent >= records) {
                return self.end(0);
            }
            self.due = throttle.wait(self.sent, cx.now.monotonic);
            if self.due.is_some() {
                return;
            }
            let (key, value) = (self.plan.next_key(), self.plan.value(self.sent));
            let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
            let record = ProducerRecord {
                topic: self.plan.topic.clone(),
                timestamp: self.plan.create_time,
                key: key.as_deref().map(bytes),
                value: Some(bytes(&value)),
                ..Default::default()
            };
            if let Some(time) = &mut self.plan.create_time {
                *time = time.saturating_add(cx.now.wall - started.wall);
            }
            let id = self.producer.send(cx.now, record);
            self.waiting.insert(id, (key, value));
            self.sent += 1;
        }
        self.due = Some(cx.now.monotonic);
    }

    fn end(&mut self, code: i32) {
        self.ending.get_or_insert(code);
        self.producer.flush();
    }

    fn settle(&mut self, cx: &mut ToolCx<'_>) {
        for delivery in self.producer.take_deliveries() {
            let Some((key, value)) = self.waiting.remove(&delivery.id) else { continue };
            self.acked += u64::from(delivery.outcome.is_ok());
            let key = key.map_or("null".to_owned(), |key| quoted(&key));
            cx.output.stdout.push_str(&told(cx.now, &key, &quoted(&value), &delivery));
        }
    }

    fn exit(&mut self, cx: &mut ToolCx<'_>, code: i32) {
        let now = cx.now.wall;
        let elapsed_ms = self.started.map_or(0, |(_, started)| now - started.wall);
        let rate = 1000.0 * (self.acked as f64 / elapsed_ms.max(1) as f64);
        let (sent, acked, target) = (self.sent, self.acked, self.plan.throughput);
        cx.output.stdout.push_str(&format!(
            "{{\"timestamp\":{now},\"name\":\"shutdown_complete\"}}\n\
             {{\"timestamp\":{now},\"name\":\"tool_data\",\"sent\":{sent},\"acked\":{acked},\"target_throughput\":{target},\"avg_throughput\":{rate:?}}}\n"
        ));
        self.exit_code = Some(code);
        self.producer.session().network().close();
    }
}

/// What became of a record.
fn told(now: Now, key: &str, value: &str, delivery: &Delivery) -> String {
    let (now, topic) = (now.wall, quoted(&delivery.topic));
    match &delivery.outcome {
        Ok(metadata) => format!(
            "{{\"timestamp\":{now},\"name\":\"producer_send_success\",\"key\":{key},\"value\":{value},\"offset\":{},\"topic\":{topic},\"partition\":{}}}\n",
            metadata.offset, metadata.partition
        ),
        Err(error) => {
            let Refusal { class, message } = undelivered(error);
            format!(
                "{{\"timestamp\":{now},\"name\":\"producer_send_error\",\"topic\":{topic},\"key\":{key},\"value\":{value},\"exception\":\"class {class}\",\"message\":{}}}\n",
                quoted(&message)
            )
        }
    }
}

impl Machine for VerifiableProducer {
    fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent) {
        cx.output.stdout.push_str(&std::mem::take(&mut self.greeting));
        if self.started.is_none() {
            let throttle = Throttle::new(self.plan.throughput.into(), cx.now.monotonic);
            self.started = Some((throttle, cx.now));
            let now = cx.now.wall;
            cx.output.stdout.push_str(&format!("{{\"timestamp\":{now},\"name\":\"startup_complete\"}}\n"));
        }
        match event {
            ToolEvent::Link(event) => self.producer.handle(cx.now, cx.compressors, event),
            ToolEvent::Interrupt => self.end(130),
            ToolEvent::Tick | ToolEvent::Line(_) | ToolEvent::EndOfInput => {}
        }
        self.settle(cx);
        self.send(cx);
        self.producer.tick(cx.now, cx.compressors);
        self.settle(cx);
        if let Some(code) = self.ending.filter(|_| self.producer.is_idle() && self.exit_code.is_none()) {
            self.exit(cx, code);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        [self.due, self.producer.deadline()].into_iter().flatten().min()
    }

    fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.producer.session().take_effects()
    }

    fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }

    fn ends_by_interrupt(&self) -> bool {
        true
    }
}
