//! `kafka-producer-perf-test`: writes records as fast as it goes, or at a rate, and says how fast that was.

use std::collections::VecDeque;

use ottla_protocol::Str;

use super::payload::Payload;
use super::stats::Stats;
use super::throttle::Throttle;
use super::{bootstrap, metrics, missing_file, uncaught};
use crate::client::{LinkEffect, Producer, ProducerRecord};
use crate::rng::Rng;
use crate::time::{Instant, Timestamp};
use crate::tools::client_config::Properties;
use crate::tools::failure::{Refusal, undelivered};
use crate::tools::machine::Machine;
use crate::tools::options::{OptionSpec, Options, Takes, flag, value};
use crate::tools::subcommands::{Command, Grammar, Typed};
use crate::tools::{Environment, Exit, ToolCx, ToolEvent};

/// Records that are handed over before the links are looked after again.
const TURN: usize = 1_000;
/// What a record takes of `buffer.memory` beside its value, about.
const RECORD_OVERHEAD: u64 = 10;
const CLIENT_ID: &str = "perf-producer-client";

const fn properties_option(name: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec { name, takes: Takes::Several("PROP-NAME=PROP-VALUE"), help }
}

static OPTIONS: [OptionSpec; 17] = [
    value("bootstrap-server", "host:port", "The cluster; goes before bootstrap.servers of properties."),
    value("topic", "topic", "REQUIRED: the topic to write to."),
    value("num-records", "count", "REQUIRED: how many records."),
    value(
        "payload-delimiter",
        "regex",
        "What separates the payloads of --payload-file; a line's end by default.",
    ),
    value("throughput", "rate", "REQUIRED: records a second at most, about; -1 for no limit."),
    properties_option("producer-props", "The old name of --command-property."),
    properties_option(
        "command-property",
        "Properties of the producer, such as linger.ms=10 batch.size=32768.",
    ),
    value("producer.config", "file", "The old name of --command-config."),
    value("command-config", "file", "A properties file for the producer."),
    flag("print-metrics", "Prints what the producer counted at the end."),
    value("transactional-id", "id", "Transactions are not built yet: refused."),
    value("transaction-duration-ms", "ms", "Transactions are not built yet: refused."),
    value("warmup-records", "count", "So many records are left out of a second summary (default 0)."),
    value("reporting-interval", "ms", "How often progress is printed (default 5000)."),
    value("record-size", "bytes", "The size of each value: random letters."),
    value("payload-file", "file", "Values are drawn from this file."),
    flag("payload-monotonic", "Values are numbers that go up."),
];

static GRAMMAR: Grammar = Grammar {
    name: "kafka-producer-perf-test",
    about: "",
    options: &[],
    commands: &[Command {
        name: "",
        help: "This tool is used to verify the producer performance.",
        options: &OPTIONS,
        required: &["topic", "num-records", "throughput"],
        typed: &[
            ("num-records", Typed::Long),
            ("throughput", Typed::Double),
            ("record-size", Typed::Integer),
            ("transaction-duration-ms", Typed::Long),
            ("warmup-records", Typed::Long),
            ("reporting-interval", Typed::Long),
        ],
        exclusive: &[(&["record-size", "payload-file", "payload-monotonic"], true)],
    }],
    letters: &[],
    needs_cluster: false,
};

/// The running tool.
#[derive(Clone, Debug)]
pub struct ProducerPerformance {
    producer: Producer,
    rng: Rng,
    plan: Plan,
    /// What is said before anything else.
    greeting: String,
    started: Option<(Throttle, Stats)>,
    steady_state: Option<Stats>,
    sent: u64,
    failed: u64,
    /// When those were sent that are not delivered, and their sizes; the first is that of record `settled`.
    waiting: VecDeque<Option<(Timestamp, u64)>>,
    settled: u64,
    waiting_bytes: u64,
    /// When more can be sent, if that does not depend on deliveries.
    due: Option<Instant>,
    exit_code: Option<i32>,
}

#[derive(Clone, Debug)]
struct Plan {
    topic: Str,
    payload: Payload,
    records: u64,
    warmup_records: u64,
    throughput: f64,
    reporting_interval_ms: i64,
    buffer_memory: u64,
    prints_metrics: bool,
}

/// Reads the arguments.
pub fn start(
    arguments: &[String],
    environment: &Environment,
    rng: &mut Rng,
) -> Result<ProducerPerformance, Exit> {
    let (command, options) = GRAMMAR
        .read(arguments)
        .map_err(|misread| misread.exit(GRAMMAR.name, i32::from(!arguments.is_empty())))?;
    if let Some(fault) = fault(&options) {
        return Err(GRAMMAR.refuse(command, fault));
    }
    let mut said = String::new();
    let payload = payload(&options, environment, &mut said);
    let payload = payload
        .map_err(|sentence| uncaught(said.clone(), &Refusal::new("IllegalArgumentException", sentence)))?;
    for (old, new) in [("producer-props", "command-property"), ("producer.config", "command-config")] {
        if options.has(old) {
            said.push_str(&format!(
                "Option --{old} has been deprecated and will be removed in a future version. Use --{new} instead.\n"
            ));
        }
    }
    let failed = |refusal: Refusal| uncaught(said.clone(), &refusal);
    if let Some(path) = missing_file(&options, environment, &["producer.config", "command-config"]) {
        return Err(failed(Refusal::new("NoSuchFileException", path)));
    }
    let pairs = ["producer-props", "command-property"];
    let is_pair = |pair: &&str| pair.trim_end_matches('=').matches('=').count() != 1;
    if let Some(pair) = pairs.iter().flat_map(|name| options.values(name)).find(is_pair) {
        return Err(failed(Refusal::new("IllegalArgumentException", format!("Invalid property: {pair}"))));
    }
    let config = |sentence: String| failed(Refusal::new("ConfigException", sentence));
    let files = ["producer.config", "command-config"];
    let mut properties = Properties::gather(&options, environment, &files, &pairs).map_err(config)?;
    let is_transactional =
        ["transactional-id", "transaction-duration-ms"].iter().any(|name| options.has(name))
            || properties.get("transactional.id").is_some();
    if is_transactional {
        let sentence = "Transactions are not built yet: nothing was sent";
        return Err(failed(Refusal::new("UnsupportedVersionException", sentence)));
    }
    properties.set("bootstrap.servers", options.value("bootstrap-server"));
    let mut producer = properties.producer(CLIENT_ID).map_err(config)?;
    producer.session.bootstrap =
        bootstrap(&properties, "producer").map_err(|refusal| uncaught(said.clone(), &refusal))?;
    let number = |name: &str| options.number::<i64>(name).ok().flatten();
    let plan = Plan {
        topic: options.value("topic").unwrap_or_default().into(),
        payload,
        records: count(number("num-records")),
        warmup_records: count(number("warmup-records")),
        throughput: options.number("throughput").ok().flatten().unwrap_or(-1.0),
        reporting_interval_ms: number("reporting-interval").unwrap_or(5_000),
        buffer_memory: properties.number("buffer.memory", 33_554_432).map_err(config)?,
        prints_metrics: options.has("print-metrics"),
    };
    if plan.warmup_records > 0 {
        said.push_str(&format!(
            "Warmup first {} records. Steady state results will print after the complete test summary.\n",
            plan.warmup_records
        ));
    }
    Ok(ProducerPerformance {
        producer: Producer::new(producer, rng.fork()),
        rng: rng.fork(),
        plan,
        greeting: said,
        started: None,
        steady_state: None,
        sent: 0,
        failed: 0,
        waiting: VecDeque::new(),
        settled: 0,
        waiting_bytes: 0,
        due: None,
        exit_code: None,
    })
}

fn count(number: Option<i64>) -> u64 {
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// What arguments that can be read are wrong in.
fn fault(options: &Options) -> Option<&'static str> {
    let number = |name: &str| options.number::<i64>(name).ok().flatten();
    let is_below_1 = |name: &str| number(name).is_some_and(|number| number < 1);
    let places =
        ["bootstrap-server", "command-property", "producer-props", "producer.config", "command-config"];
    let both = |one: &str, other: &str| options.has(one) && options.has(other);
    let faults = [
        (is_below_1("num-records"), "--num-records should be greater than zero."),
        (
            number("warmup-records") >= number("num-records"),
            "The value for --warmup-records must be strictly fewer than the number of records in the test, --num-records.",
        ),
        (is_below_1("record-size"), "--record-size should be greater than zero."),
        (
            !places.iter().any(|name| options.has(name)),
            "At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or --command-config must be specified.",
        ),
        (
            both("command-property", "producer-props"),
            "--command-property and --producer-props cannot be specified together.",
        ),
        (
            both("command-config", "producer.config"),
            "--command-config and --producer.config cannot be specified together.",
        ),
        (is_below_1("transaction-duration-ms"), "--transaction-duration-ms should be greater than zero."),
        (is_below_1("reporting-interval"), "--reporting-interval should be greater than zero."),
    ];
    faults.into_iter().find(|(is_fault, _)| *is_fault).map(|(_, sentence)| sentence)
}

fn payload(options: &Options, environment: &Environment, said: &mut String) -> Result<Payload, &'static str> {
    let Some(path) = options.value("payload-file") else {
        let size = options.number("record-size").ok().flatten();
        return Ok(size.map_or(Payload::Monotonic, Payload::Random));
    };
    let whole =
        if path.starts_with('/') { path } else { &format!("{}/{path}", environment.current_directory) };
    said.push_str(&format!("Reading payloads from: {whole}\n"));
    let text = environment.files.get(path).filter(|text| !text.is_empty());
    let text = text.ok_or("File does not exist or empty file provided.")?;
    let delimiter = options.value("payload-delimiter").unwrap_or("\\n");
    let payloads = Payload::split(text, delimiter).ok_or("The delimiter is no regular expression.")?;
    said.push_str(&format!("Number of records read: {}\n", payloads.len()));
    match payloads.is_empty() {
        true => Err("No payload file, record size or payload-monotonic option provided."),
        false => Ok(Payload::OneOf(payloads)),
    }
}

impl ProducerPerformance {
    /// Hands over as many records as there is room for, and as the rate allows.
    fn send(&mut self, cx: &ToolCx<'_>) {
        self.due = None;
        let Some((throttle, stats)) = &mut self.started else { return };
        let plan = &self.plan;
        let is_known = self.producer.session().cluster().partition_count(&plan.topic) > 0;
        for _ in 0..TURN {
            let is_full = self.waiting_bytes >= plan.buffer_memory || !is_known && !self.waiting.is_empty();
            if is_full || self.sent == plan.records {
                return;
            }
            self.due = throttle.wait(self.sent, cx.now.monotonic);
            if self.due.is_some() {
                return;
            }
            if plan.warmup_records > 0 && self.sent == plan.warmup_records {
                let records = plan.records - plan.warmup_records;
                let steady = Stats::new(cx.now.wall, records, plan.reporting_interval_ms, true);
                (self.steady_state, stats.is_quiet) = (Some(steady), true);
            }
            let value = plan.payload.value(self.sent, &mut self.rng);
            let bytes = value.len() as u64;
            self.waiting.push_back(Some((cx.now.wall, bytes)));
            self.waiting_bytes += bytes + RECORD_OVERHEAD;
            self.sent += 1;
            let topic = plan.topic.clone();
            self.producer.send(cx.now, ProducerRecord { topic, value: Some(value), ..Default::default() });
        }
        self.due = Some(cx.now.monotonic);
    }

    /// Counts what was delivered.
    fn settle(&mut self, cx: &mut ToolCx<'_>) {
        let Some((_, stats)) = &mut self.started else { return };
        for delivery in self.producer.take_deliveries() {
            let place = usize::try_from(delivery.id.0 - self.settled).ok();
            let Some(sent) = place.and_then(|place| self.waiting.get_mut(place)?.take()) else { continue };
            self.waiting_bytes -= sent.1 + RECORD_OVERHEAD;
            let (now, latency_ms) = (cx.now.wall, cx.now.wall - sent.0);
            match &delivery.outcome {
                Ok(_) => {
                    stats.record(now, latency_ms, sent.1, &mut cx.output.stdout);
                    let is_steady = delivery.id.0 >= self.plan.warmup_records;
                    if let Some(steady) = self.steady_state.as_mut().filter(|_| is_steady) {
                        steady.record(now, latency_ms, sent.1, &mut cx.output.stdout);
                    }
                }
                Err(error) => {
                    self.failed += 1;
                    cx.output.stderr.push_str(&format!("{}\n", undelivered(error)));
                }
            }
        }
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.settled += 1;
        }
    }

    fn end(&mut self, cx: &mut ToolCx<'_>) {
        let out = &mut cx.output.stdout;
        for stats in self.started.iter_mut().map(|(_, stats)| stats).chain(&mut self.steady_state) {
            out.push_str(&stats.total(cx.now.wall));
        }
        if self.plan.prints_metrics {
            let counts = [
                ("producer-metrics", "record-error-total", self.failed),
                ("producer-metrics", "record-send-total", self.sent - self.failed),
            ];
            out.push_str(&metrics(&counts, &self.producer.config().session.client_id));
        }
        self.exit(0);
    }

    fn exit(&mut self, code: i32) {
        self.exit_code.get_or_insert(code);
        self.producer.session().network().close();
    }
}

impl Machine for ProducerPerformance {
    fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent) {
        cx.output.stdout.push_str(&std::mem::take(&mut self.greeting));
        let plan = &self.plan;
        self.started.get_or_insert_with(|| {
            let stats = Stats::new(cx.now.wall, plan.records, plan.reporting_interval_ms, false);
            (Throttle::new(plan.throughput, cx.now.monotonic), stats)
        });
        match event {
            ToolEvent::Link(event) => self.producer.handle(cx.now, cx.compressors, event),
            ToolEvent::Interrupt => return self.exit(130),
            ToolEvent::Tick | ToolEvent::Line(_) | ToolEvent::EndOfInput => {}
        }
        self.settle(cx);
        self.send(cx);
        if self.sent == self.plan.records {
            self.producer.flush();
        }
        self.producer.tick(cx.now, cx.compressors);
        self.settle(cx);
        if self.sent == self.plan.records && self.producer.is_idle() && self.exit_code.is_none() {
            self.end(cx);
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
}
