//! `kafka-consumer-perf-test`: reads a number of records and says how fast that was.

use super::date_format::DateFormat;
use super::{bootstrap, metrics, missing_file};
use crate::client::{ConsumerEvent, LinkEffect};
use crate::rng::Rng;
use crate::time::{Instant, Now, Timestamp};
use crate::tools::client_config::Properties;
use crate::tools::failure::{Refusal, refusal};
use crate::tools::machine::Machine;
use crate::tools::options::{BOOTSTRAP, Manual, OptionSpec, Options, Takes, flag, value};
use crate::tools::pattern::Pattern;
use crate::tools::reader::{Reader, Source};
use crate::tools::{Environment, Exit, ToolCx, ToolEvent};

const MANUAL: Manual =
    Manual { about: "This tool is used to verify the consumer performance.", specs: &SPECS };

static SPECS: [OptionSpec; 18] = [
    BOOTSTRAP,
    value("command-property", "key=value", "A property of the consumer; may be repeated."),
    value("consumer.config", "file", "The old name of --command-config."),
    value(
        "date-format",
        "pattern",
        "How times are written, as SimpleDateFormat does in UTC (default yyyy-MM-dd HH:mm:ss:SSS).",
    ),
    value("fetch-size", "bytes", "From a partition in a request at most (default 1048576)."),
    flag("from-latest", "Begins with the next record where the group has no offset."),
    value("group", "id", "The consumer group; one of its own by default."),
    flag("hide-header", "Leaves out what the figures are."),
    value("include", "regex", "The topics to read."),
    value("messages", "count", "The old name of --num-records."),
    value("num-records", "count", "REQUIRED: how many records to read."),
    flag("print-metrics", "Prints what the consumer counted at the end."),
    value("reporting-interval", "ms", "How often progress is printed (default 5000)."),
    flag("show-detailed-stats", "Prints progress rather than the whole."),
    value("socket-buffer-size", "bytes", "Taken, without effect."),
    OptionSpec {
        name: "timeout",
        takes: Takes::MaybeValue("ms"),
        help: "Ends when no record has come for so long (default 10000).",
    },
    value("topic", "topic", "The topic to read."),
    flag("version", "Prints the version."),
];

const FIGURES: &str = "data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec";

/// The running tool.
#[derive(Clone, Debug)]
pub struct ConsumerPerformance {
    reader: Reader,
    plan: Plan,
    /// What is said before anything else.
    greeting: String,
    started: Option<Run>,
    exit_code: Option<i32>,
}

#[derive(Clone, Debug)]
struct Plan {
    records: i64,
    timeout_ms: i64,
    reporting_interval_ms: i64,
    poll_max: usize,
    is_detailed: bool,
    metrics_of: Option<String>,
    date_format: DateFormat,
}

/// Times are wall clock, in ms.
#[derive(Clone, Debug)]
struct Run {
    start: Timestamp,
    read: Read,
    /// At the last report.
    reported: Read,
    reported_at: Timestamp,
    /// When it gives up.
    idle_until: Instant,
    /// When the group began to share partitions out; none while it has them.
    joining_since: Option<Timestamp>,
    join_ms: i64,
    join_ms_in_round: i64,
    /// The figures are out: it only says goodbye, with this exit code.
    ending: Option<i32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Read {
    records: i64,
    bytes: i64,
}

impl Read {
    fn megabytes(self) -> f64 {
        self.bytes as f64 / (1024.0 * 1024.0)
    }
}

/// Reads the arguments.
pub fn start(
    arguments: &[String],
    environment: &Environment,
    rng: &mut Rng,
) -> Result<ConsumerPerformance, Exit> {
    let wrong = |message: String| MANUAL.usage(&message);
    let options = MANUAL.read(arguments, wrong)?;
    options.require(&["bootstrap-server"]).map_err(wrong)?;
    for names in [["topic", "include"], ["messages", "num-records"]] {
        if options.only(&names).is_none() {
            let [one, other] = names;
            return Err(wrong(format!(
                "Exactly one of the following arguments is required: [{one}], [{other}]"
            )));
        }
    }
    options.exclude("consumer.config", &["command-config"]).map_err(wrong)?;
    let mut said = String::new();
    for (old, new) in [("messages", "num-records"), ("consumer.config", "command-config")] {
        if options.has(old) {
            said.push_str(&format!("Warning: --{old} is deprecated. Use --{new} instead.\n"));
        }
    }
    let is_detailed = options.has("show-detailed-stats");
    if !options.has("hide-header") {
        let times = if is_detailed { "time, threadId" } else { "start.time, end.time" };
        said.push_str(&format!("{times}, {FIGURES}\n"));
    }
    understand(&options, environment, rng, is_detailed)
        .map(|(reader, plan)| ConsumerPerformance {
            reader,
            plan,
            greeting: said.clone(),
            started: None,
            exit_code: None,
        })
        .map_err(|refusal| Exit { stdout: said, stderr: refusal.complaint(), code: 1 })
}

fn understand(
    options: &Options,
    environment: &Environment,
    rng: &mut Rng,
    is_detailed: bool,
) -> Result<(Reader, Plan), Refusal> {
    let files = ["consumer.config", "command-config"];
    if let Some(path) = missing_file(options, environment, &files) {
        return Err(Refusal::new("NoSuchFileException", path));
    }
    let config = |sentence: String| Refusal::new("ConfigException", sentence);
    let mut properties =
        Properties::gather(options, environment, &files, &["command-property"]).map_err(config)?;
    let own_group = format!("perf-consumer-{}", rng.below(100_000));
    let reset = if options.has("from-latest") { "latest" } else { "earliest" };
    let set = [
        ("bootstrap.servers", options.value("bootstrap-server")),
        ("group.id", Some(options.value("group").unwrap_or(&own_group))),
        ("max.partition.fetch.bytes", Some(options.value("fetch-size").unwrap_or("1048576"))),
        ("auto.offset.reset", Some(reset)),
    ];
    set.into_iter().for_each(|(key, value)| properties.set(key, value));
    let number = |name: &str| {
        options
            .number::<i64>(name)
            .map_err(|message| Refusal::new("OptionArgumentConversionException", message))
    };
    let reporting_interval_ms = number("reporting-interval")?.unwrap_or(5_000);
    let mut consumer = properties.consumer("perf-consumer-client").map_err(config)?;
    consumer.session.bootstrap = bootstrap(&properties, "consumer")?;
    let illegal = |sentence: String| Refusal::new("IllegalArgumentException", sentence);
    let plan = Plan {
        records: number("messages")?.or(number("num-records")?).unwrap_or(0),
        timeout_ms: options.value("timeout").map_or(Some(10_000), |text| text.parse().ok()).unwrap_or(10_000),
        reporting_interval_ms,
        poll_max: properties.number("max.poll.records", 500).map_err(config)?,
        is_detailed,
        metrics_of: options.has("print-metrics").then(|| consumer.session.client_id.to_string()),
        date_format: DateFormat::parse(options.value("date-format").unwrap_or("yyyy-MM-dd HH:mm:ss:SSS"))
            .map_err(illegal)?,
    };
    if reporting_interval_ms < 1 {
        return Err(illegal("Reporting interval must be greater than 0.".to_owned()));
    }
    let source = match (options.value("topic"), options.value("include")) {
        (Some(topic), _) => Source::Topic(topic.into()),
        (None, pattern) => Source::Matching(
            Pattern::parse(pattern.unwrap_or_default())
                .map_err(|sentence| Refusal::new("PatternSyntaxException", sentence))?,
        ),
    };
    Ok((Reader::new(consumer, &source), plan))
}

impl ConsumerPerformance {
    fn consume(&mut self, cx: &mut ToolCx<'_>) -> Result<(), Refusal> {
        let (Some(run), now) = (&mut self.started, cx.now.wall) else { return Ok(()) };
        let out = &mut cx.output.stdout;
        let Some(consumer) = self.reader.consumer() else { return run.give_up(&self.plan, cx.now, out) };
        for event in consumer.take_events() {
            match event {
                ConsumerEvent::Assigned(_) => {
                    let join_ms = run.joining_since.take().map_or(0, |since| now - since);
                    run.join_ms += join_ms;
                    run.join_ms_in_round += join_ms;
                }
                ConsumerEvent::Revoked => run.joining_since = Some(now),
                ConsumerEvent::Fatal(error) | ConsumerEvent::TopicError(_, error) => {
                    return Err(refusal(error, None));
                }
                ConsumerEvent::NoOffset(_) | ConsumerEvent::Corrupt(..) | ConsumerEvent::Committed { .. } => {
                }
            }
        }
        while run.read.records < self.plan.records {
            let records = consumer.poll(self.plan.poll_max);
            if records.is_empty() {
                return run.give_up(&self.plan, cx.now, out);
            }
            run.idle_until = cx.now.monotonic.plus_ms(self.plan.timeout_ms + 1);
            for record in &records {
                let bytes =
                    |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as i64);
                run.read.records += 1;
                run.read.bytes += bytes(&record.key) + bytes(&record.value);
                if now - run.reported_at >= self.plan.reporting_interval_ms {
                    run.report(&self.plan, now, out);
                }
            }
        }
        run.end(&self.plan, now, out);
        Ok(())
    }

    fn exit(&mut self, code: i32) {
        self.exit_code.get_or_insert(code);
        self.reader.hang_up();
    }
}

impl Run {
    fn new(now: Now, timeout_ms: i64) -> Self {
        let idle_until = now.monotonic.plus_ms(timeout_ms + 1);
        let now = now.wall;
        Self {
            start: now,
            read: Read::default(),
            reported: Read::default(),
            reported_at: now,
            idle_until,
            joining_since: Some(now),
            join_ms: 0,
            join_ms_in_round: 0,
            ending: None,
        }
    }

    /// Ends when nothing has come for too long.
    fn give_up(&mut self, plan: &Plan, now: Now, out: &mut String) -> Result<(), Refusal> {
        if self.idle_until <= now.monotonic {
            out.push_str(&format!(
                "WARNING: Exiting before consuming the expected number of records: timeout ({} ms) exceeded. \
                 You can use the --timeout option to increase the timeout.\n",
                plan.timeout_ms
            ));
            self.end(plan, now.wall, out);
        }
        Ok(())
    }

    /// Progress since the last report.
    fn report(&mut self, plan: &Plan, now: Timestamp, out: &mut String) {
        if plan.is_detailed {
            let since = Read {
                records: self.read.records - self.reported.records,
                bytes: self.read.bytes - self.reported.bytes,
            };
            let elapsed_ms = now - self.reported_at;
            let fetch_ms = elapsed_ms - self.join_ms_in_round;
            let rate = |count: f64, ms: i64| if ms <= 0 { 0.0 } else { 1000.0 * count / ms as f64 };
            out.push_str(&format!(
                "{}, 0, {:.4}, {:.4}, {}, {:.4}, {}, {fetch_ms}, {:.4}, {:.4}\n",
                plan.date_format.format(now),
                self.read.megabytes(),
                rate(since.megabytes(), elapsed_ms),
                self.read.records,
                rate(since.records as f64, elapsed_ms),
                self.join_ms_in_round,
                rate(since.megabytes(), fetch_ms),
                rate(since.records as f64, fetch_ms),
            ));
        }
        (self.join_ms_in_round, self.reported, self.reported_at) = (0, self.read, now);
    }

    /// The whole.
    fn end(&mut self, plan: &Plan, now: Timestamp, out: &mut String) {
        let (elapsed_ms, megabytes) = (now - self.start, self.read.megabytes());
        let fetch_ms = elapsed_ms - self.join_ms;
        let rate = |count: f64, ms: i64| count / (ms as f64 / 1000.0);
        if !plan.is_detailed {
            out.push_str(&format!(
                "{}, {}, {megabytes:.4}, {:.4}, {}, {:.4}, {}, {fetch_ms}, {:.4}, {:.4}\n",
                plan.date_format.format(self.start),
                plan.date_format.format(now),
                rate(megabytes, elapsed_ms),
                self.read.records,
                rate(self.read.records as f64, elapsed_ms),
                self.join_ms,
                rate(megabytes, fetch_ms),
                rate(self.read.records as f64, fetch_ms),
            ));
        }
        if let Some(client_id) = &plan.metrics_of {
            let count = u64::try_from(self.read.records).unwrap_or(0);
            out.push_str(&metrics(
                &[("consumer-fetch-manager-metrics", "records-consumed-total", count)],
                client_id,
            ));
        }
        self.ending = Some(0);
    }
}

impl Machine for ConsumerPerformance {
    fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent) {
        cx.output.stdout.push_str(&std::mem::take(&mut self.greeting));
        self.started.get_or_insert_with(|| Run::new(cx.now, self.plan.timeout_ms));
        match event {
            ToolEvent::Link(event) => self.reader.handle(cx, Some(event)),
            ToolEvent::Interrupt => return self.exit(130),
            ToolEvent::Tick | ToolEvent::Line(_) | ToolEvent::EndOfInput => self.reader.handle(cx, None),
        }
        let is_over = |tool: &Self| tool.started.as_ref().and_then(|run| run.ending);
        if is_over(self).is_none() {
            let consumed = self.consume(cx);
            if let (Err(refusal), Some(run)) = (consumed, &mut self.started) {
                cx.output.stderr.push_str(&refusal.complaint());
                run.ending = Some(1);
            }
            if let (Some(_), Some(consumer)) = (is_over(self), self.reader.consumer()) {
                consumer.close(cx.now.monotonic);
            }
        }
        self.reader.tick(cx);
        if let Some(code) = is_over(self).filter(|_| self.reader.is_closed()) {
            self.exit(code);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let run = self.started.as_ref().filter(|run| run.ending.is_none());
        [self.reader.deadline(), run.map(|run| run.idle_until)].into_iter().flatten().min()
    }

    fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.reader.take_effects()
    }

    fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }
}
