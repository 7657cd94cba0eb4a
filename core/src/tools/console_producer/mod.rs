//! `kafka-console-producer`: each line that is typed becomes a record.

mod line_reader;

use self::line_reader::LineReader;
use super::client_config::Properties;
use super::failure::undelivered;
use super::options::{OptionSpec, Options, Takes, flag, value};
use super::{Environment, Exit, ToolCx, ToolEvent, addresses};
use crate::client::{Delivery, LinkEffect, Producer};
use crate::rng::Rng;
use crate::time::Instant;

/// The running tool.
#[derive(Clone, Debug)]
pub struct ConsoleProducer {
    producer: Producer,
    reader: LineReader,
    /// What is said before anything else.
    warnings: String,
    /// The exit code, once there is no more input and only deliveries are awaited.
    ending: Option<i32>,
    exit_code: Option<i32>,
}

static SPECS: [OptionSpec; 24] = [
    value("batch-size", "bytes", "A batch's size at most (batch.size, default 16384)."),
    value(
        "bootstrap-server",
        "host:port",
        "REQUIRED: a server of the cluster, or several, separated by commas.",
    ),
    value("command-config", "file", "A properties file for the producer."),
    value("command-property", "key=value", "A property of the producer; may be repeated."),
    OptionSpec {
        name: "compression-codec",
        takes: Takes::MaybeValue("codec"),
        help: "none, gzip (when no codec is named), snappy, lz4 or zstd.",
    },
    flag("help", "Prints this."),
    value("line-reader", "class", "Only Kafka's LineMessageReader."),
    value(
        "max-block-ms",
        "ms",
        "How long a record waits for its topic to be known (max.block.ms, default 60000).",
    ),
    value("max-memory-bytes", "bytes", "Taken, without effect."),
    value("max-partition-memory-bytes", "bytes", "As --batch-size."),
    value("message-send-max-retries", "count", "Taken, without effect: delivery.timeout.ms bounds retries."),
    value("metadata-expiry-ms", "ms", "When to ask for metadata again (metadata.max.age.ms)."),
    value("producer-property", "key=value", "As --command-property."),
    value("producer.config", "file", "As --command-config."),
    value("property", "key=value", "As --reader-property."),
    value("reader-config", "file", "A properties file for the reader of lines."),
    value(
        "reader-property",
        "key=value",
        "parse.key, key.separator, parse.headers, headers.delimiter, headers.separator, headers.key.separator, ignore.error, null.marker.",
    ),
    value("request-required-acks", "acks", "acks: 0, 1 or all (default)."),
    value("request-timeout-ms", "ms", "How long a request may take (request.timeout.ms, default 1500)."),
    value("retry-backoff-ms", "ms", "How long to wait before trying again (retry.backoff.ms, default 100)."),
    value("socket-buffer-size", "bytes", "Taken, without effect."),
    flag("sync", "Waits for each record's delivery before the next."),
    value("timeout", "ms", "How long records gather (linger.ms, default 1000)."),
    value("topic", "topic", "REQUIRED: the topic to write to."),
];

static OTHER_SPECS: [OptionSpec; 3] = [
    value("broker-list", "host:port", "As --bootstrap-server."),
    flag("version", "Prints the version."),
    flag("new-producer", "Taken, without effect."),
];

const ABOUT: &str = "This tool helps to read data from standard input and publish it to Kafka.";

impl ConsoleProducer {
    /// Reads the arguments.
    pub fn start(arguments: &[String], environment: &Environment, rng: Rng) -> Result<Self, Exit> {
        let usage = |message: String| Exit::usage(&[&SPECS], &message);
        let options = Options::parse(&[&SPECS, &OTHER_SPECS], arguments).map_err(usage)?;
        if options.has("help") {
            return Err(usage(ABOUT.into()));
        }
        if options.has("version") {
            return Err(Exit::version());
        }
        let Some(topic) = options.value("topic") else {
            return Err(usage("Missing required argument \"[topic]\"".into()));
        };
        let Some(servers) = options.value("bootstrap-server").or_else(|| options.value("broker-list")) else {
            return Err(usage("Missing required argument \"[bootstrap-server]\"".into()));
        };
        let properties = properties(&options, environment).map_err(|error| Exit::error(&error))?;
        let mut config =
            properties.producer("console-producer").map_err(|error| Exit::error(&config_error(&error)))?;
        config.session.bootstrap = addresses(servers)?;
        if options.has("sync") {
            config.linger_ms = 0;
        }
        let reader =
            Properties::gather(&options, environment, &["reader-config"], &["property", "reader-property"]);
        let reader = reader.and_then(|properties| LineReader::new(topic, &properties));
        let mut warnings = String::new();
        for (old, new) in [("property", "reader-property"), ("producer-property", "command-property")] {
            if options.has(old) {
                warnings.push_str(&format!(
                    "Warning: --{old} is deprecated and will be removed in a future version. Use --{new} instead.\n"
                ));
            }
        }
        Ok(Self {
            producer: Producer::new(config, rng),
            reader: reader.map_err(|error| Exit::error(&error))?,
            warnings,
            ending: None,
            exit_code: None,
        })
    }

    /// Handles one event.
    pub fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent) {
        cx.output.stdout.push_str(&std::mem::take(&mut self.warnings));
        match event {
            ToolEvent::Link(event) => self.producer.handle(cx.now, cx.compressors, event),
            ToolEvent::Line(line) if self.ending.is_none() => match self.reader.read(&line) {
                Ok(record) => {
                    self.producer.send(cx.now, record);
                }
                Err(sentence) => {
                    let class = "org.apache.kafka.common.KafkaException";
                    cx.output.stderr.push_str(&format!("{class}: {sentence}\n"));
                    self.end(1);
                }
            },
            ToolEvent::EndOfInput => self.end(0),
            ToolEvent::Interrupt if self.ending.is_some() => self.exit(130),
            ToolEvent::Interrupt => self.end(130),
            ToolEvent::Line(_) | ToolEvent::Tick => {}
        }
        self.producer.tick(cx.now, cx.compressors);
        for delivery in self.producer.take_deliveries() {
            report(cx, &delivery);
        }
        if let Some(code) = self.ending
            && self.producer.is_idle()
        {
            self.exit(code);
        }
    }

    fn end(&mut self, code: i32) {
        self.ending.get_or_insert(code);
        self.producer.flush();
    }

    fn exit(&mut self, code: i32) {
        self.exit_code.get_or_insert(code);
        self.producer.session().network().close();
    }

    /// Records that have not been delivered.
    pub fn undelivered(&self) -> usize {
        self.producer.outstanding()
    }

    /// When it wants a tick.
    pub fn deadline(&self) -> Option<Instant> {
        self.producer.deadline()
    }

    /// What to do with its links.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.producer.session().take_effects()
    }

    /// Its exit code, once it has ended.
    pub fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }
}

fn properties(options: &Options, environment: &Environment) -> Result<Properties, String> {
    let files = ["producer.config", "command-config"];
    let pairs = ["producer-property", "command-property"];
    let mut properties = Properties::gather(options, environment, &files, &pairs)?;
    let codec = options.value("compression-codec").map(|codec| if codec.is_empty() { "gzip" } else { codec });
    properties.set("compression.type", codec);
    let options_of = [
        ("batch.size", "max-partition-memory-bytes"),
        ("batch.size", "batch-size"),
        ("max.block.ms", "max-block-ms"),
        ("metadata.max.age.ms", "metadata-expiry-ms"),
        ("acks", "request-required-acks"),
        ("request.timeout.ms", "request-timeout-ms"),
        ("retry.backoff.ms", "retry-backoff-ms"),
        ("linger.ms", "timeout"),
    ];
    for (key, option) in options_of {
        properties.set(key, options.value(option));
    }
    properties.set_default("linger.ms", "1000");
    properties.set_default("request.timeout.ms", "1500");
    Ok(properties)
}

fn config_error(sentence: &str) -> String {
    format!("org.apache.kafka.common.config.ConfigException: {sentence}")
}

/// Says that a record did not arrive.
fn report(cx: &mut ToolCx<'_>, delivery: &Delivery) {
    let Err(error) = &delivery.outcome else { return };
    let topic = &delivery.topic;
    cx.output
        .stderr
        .push_str(&format!("ERROR Error when sending message to topic {topic}: {}\n", undelivered(error)));
}
