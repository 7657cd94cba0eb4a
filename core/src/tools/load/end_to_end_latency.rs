//! `kafka-e2e-latency`: how long a record takes from a producer to a consumer, one after the other.

use ottla_protocol::Str;
use ottla_protocol::messages::CreateTopicsResponse;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};

use super::missing_file;
use super::sized_record::{Sizes, fault};
use super::two_clients::{inward, outward};
use crate::client::{
    Consumer, ConsumerConfig, ConsumerEvent, Destination, LinkEffect, Producer, ProducerConfig,
    ProducerRecord, RequestId, Session, Topics,
};
use crate::rng::Rng;
use crate::time::Instant;
use crate::tools::client_config::Properties;
use crate::tools::failure::{Refusal, refusal, undelivered};
use crate::tools::machine::Machine;
use crate::tools::options::{BOOTSTRAP, Manual, OptionSpec, Options, Takes, value};
use crate::tools::partitions::error_of;
use crate::tools::{Environment, Exit, ToolCx, ToolEvent, addresses};

/// How long a record may take, in ms.
const POLL_TIMEOUT_MS: i64 = 60_000;
/// Every so manieth record is told of.
const PROGRESS: usize = 1_000;

const fn size(name: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec { name, takes: Takes::MaybeValue("bytes"), help }
}

static SPECS: [OptionSpec; 9] = [
    BOOTSTRAP,
    value("topic", "topic", "REQUIRED: the topic, which is made if it is not there."),
    value("num-records", "count", "REQUIRED: how many records."),
    value("producer-acks", "acks", "REQUIRED: 1 or all."),
    value("record-size", "bytes", "REQUIRED: the size of each value."),
    size("record-key-size", "The size of each key (default 0)."),
    size("record-header-key-size", "The size of each header's key (default 0)."),
    size("record-header-size", "The size of each header's value (default 0); -1 for none."),
    size("num-headers", "How many headers a record has (default 0)."),
];

const MANUAL: Manual = Manual {
    about: "This tool measures end-to-end latency in Kafka by sending messages and timing their reception.",
    specs: &SPECS,
};

/// The options that stand for arguments without a name, in their order.
const PLACES: [&str; 6] =
    ["bootstrap-server", "topic", "num-records", "producer-acks", "record-size", "command-config"];

/// The running tool.
#[derive(Clone, Debug)]
pub struct EndToEndLatency {
    plan: Plan,
    greeting: String,
    phase: Phase,
    rng: Rng,
    latencies_us: Vec<u64>,
    exit_code: Option<i32>,
}

#[derive(Clone, Debug)]
struct Plan {
    topic: Str,
    records: usize,
    sizes: Sizes,
    producer: ProducerConfig,
    consumer: ConsumerConfig,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The topic is looked up, or created.
    Preparing {
        session: Session,
        asked: Option<RequestId>,
    },
    Measuring {
        clients: Box<(Consumer, Producer)>,
        flying: Option<Flying>,
    },
}

/// A record on its way.
#[derive(Clone, Debug)]
struct Flying {
    record: ProducerRecord,
    begun: Instant,
    is_delivered: bool,
}

/// Reads the arguments.
pub fn start(
    arguments: &[String],
    environment: &Environment,
    rng: &mut Rng,
) -> Result<EndToEndLatency, Exit> {
    let mut greeting = String::new();
    let is_named =
        |argument: &String| PLACES[..5].iter().any(|name| argument.strip_prefix("--") == Some(*name));
    let mut named = arguments.to_vec();
    if !arguments.is_empty() && !arguments.iter().any(is_named) {
        if !(5..=6).contains(&arguments.len()) {
            return Err(Exit::error(&format!(
                "Invalid number of arguments. Expected 5 or 6 positional arguments, but got {}. \
                 Usage: bootstrap-server topic num-records producer-acks record-size [optional] command-config",
                arguments.len()
            )));
        }
        greeting = format!(
            "WARNING: Positional argument usage is deprecated and will be removed in Apache Kafka 5.0. \
             Please use named arguments instead: --{}\n",
            PLACES.join(", --")
        );
        let pairs = PLACES.iter().zip(arguments);
        named = pairs.flat_map(|(name, value)| [format!("--{name}"), value.clone()]).collect();
    }
    let wrong = |message: String| MANUAL.usage(&message);
    let said = |exit: Exit| Exit { stdout: format!("{greeting}{}", exit.stdout), ..exit };
    let options = MANUAL.read(&named, wrong).map_err(said)?;
    options.require(&PLACES[..5]).map_err(wrong).map_err(said)?;
    let plan = plan(&options, environment).map_err(said)?;
    let mut session = Session::new(plan.consumer.session.clone());
    session.want_topics(Instant(0), Topics::Named(vec![plan.topic.clone()]), false);
    let phase = Phase::Preparing { session, asked: None };
    Ok(EndToEndLatency { plan, greeting, phase, rng: rng.fork(), latencies_us: Vec::new(), exit_code: None })
}

fn plan(options: &Options, environment: &Environment) -> Result<Plan, Exit> {
    let wrong = |message: &str| MANUAL.usage(message);
    let failed = |refusal: Refusal| Exit { stdout: String::new(), stderr: refusal.complaint(), code: 1 };
    if !matches!(options.value("producer-acks"), Some("1" | "all")) {
        return Err(wrong(
            "Invalid value for --producer-acks. Latency testing requires synchronous acknowledgement. Please use '1' or 'all'.",
        ));
    }
    let number = |name: &str, least: i32, what: &str| {
        let given = options.value(name).is_some_and(|text| !text.is_empty());
        let number: Option<i32> = if given { options.number(name) } else { Ok(Some(0)) }
            .map_err(|message| failed(Refusal::new("OptionArgumentConversionException", message)))?;
        let number = number.unwrap_or(0);
        if number < least {
            return Err(wrong(&format!("Value for --{name} must be a {what}.")));
        }
        Ok(number)
    };
    let natural = "non-negative integer";
    let records = number("num-records", 1, "positive integer")?;
    let sizes = Sizes {
        value: number("record-size", 0, natural)?,
        key: number("record-key-size", 0, natural)?,
        header_key: number("record-header-key-size", 0, natural)?,
        header_value: number("record-header-size", -1, "non-negative integer or -1 for null header value")?,
        headers: number("num-headers", 0, natural)?,
    };
    let files = ["command-config"];
    if let Some(path) = missing_file(options, environment, &files) {
        return Err(failed(Refusal::new("NoSuchFileException", path)));
    }
    let config = |sentence| failed(Refusal::new("ConfigException", sentence));
    let mut properties = Properties::gather(options, environment, &files, &[]).map_err(config)?;
    let set = [
        ("linger.ms", "0"),
        ("fetch.max.wait.ms", "0"),
        ("auto.offset.reset", "latest"),
        ("enable.auto.commit", "false"),
        ("acks", options.value("producer-acks").unwrap_or_default()),
    ];
    set.into_iter().for_each(|(key, value)| properties.set(key, Some(value)));
    let mut producer = properties.producer("producer-1").map_err(config)?;
    let mut consumer = properties.consumer("consumer-1").map_err(config)?;
    producer.max_block_ms = i64::MAX;
    producer.session.bootstrap = addresses(options.value("bootstrap-server").unwrap_or_default())?;
    consumer.session.bootstrap = producer.session.bootstrap.clone();
    let topic = options.value("topic").unwrap_or_default().into();
    Ok(Plan { topic, records: usize::try_from(records).unwrap_or(0), sizes, producer, consumer })
}

impl EndToEndLatency {
    /// Goes on until it has to wait; the error is why it cannot.
    fn proceed(&mut self, cx: &mut ToolCx<'_>) -> Result<(), Refusal> {
        while self.prepare(cx)? || self.measure(cx)? {}
        Ok(())
    }

    /// Finds the topic, or makes it; whether that is done now.
    fn prepare(&mut self, cx: &mut ToolCx<'_>) -> Result<bool, Refusal> {
        let (now, topic) = (cx.now.monotonic, &self.plan.topic);
        let Phase::Preparing { session, asked } = &mut self.phase else { return Ok(false) };
        session.tick(now);
        for reply in session.take_replies(now) {
            if *asked == Some(reply.id) {
                let answer: CreateTopicsResponse = reply.decode()?;
                if let Some(created) = answer.topics.iter().find(|created| created.error_code != 0) {
                    let error = error_of(created.error_code);
                    cx.output.stdout.push_str(&format!("Creation of topic {topic} failed\n"));
                    let cause = refusal(error, created.error_message.as_deref()).executed();
                    return Err(Refusal::new("RuntimeException", cause.to_string()));
                }
                session.refresh_soon(now);
            }
        }
        let Some(known) = session.cluster().topics.get(topic) else { return Ok(false) };
        let is_led = known.partitions.values().all(|partition| partition.leader >= 0);
        if known.error.is_none() && is_led && !known.partitions.is_empty() {
            let partitions =
                known.partitions.keys().map(|index| ((topic.clone(), *index), Some(-1))).collect();
            let consumer =
                Consumer::assign(self.plan.consumer.clone(), partitions).over(session.clone(), now);
            let producer = Producer::new(self.plan.producer.clone(), self.rng.fork());
            self.phase = Phase::Measuring { clients: Box::new((consumer, producer)), flying: None };
            return Ok(true);
        }
        if known.error.is_some() && asked.is_none() {
            cx.output.stdout.push_str(&format!(
                "Topic \"{topic}\" does not exist. Will create topic with 1 partition(s) and replication factor = 1\n"
            ));
            let name = topic.clone();
            let topic =
                CreatableTopic { name, num_partitions: 1, replication_factor: 1, ..Default::default() };
            let request =
                CreateTopicsRequest { topics: vec![topic], timeout_ms: 60_000, ..Default::default() };
            *asked = session.send(now, &Destination::Any, (2, 7), request);
        }
        Ok(false)
    }

    /// Sends a record and waits for it; whether there is more to do now.
    fn measure(&mut self, cx: &mut ToolCx<'_>) -> Result<bool, Refusal> {
        let now = cx.now.monotonic;
        let Phase::Measuring { clients, flying } = &mut self.phase else { return Ok(false) };
        let (consumer, producer) = &mut **clients;
        consumer.tick(cx.now, cx.compressors);
        producer.tick(cx.now, cx.compressors);
        for event in consumer.take_events() {
            if let ConsumerEvent::TopicError(_, error) | ConsumerEvent::Fatal(error) = event {
                return Err(refusal(error, None));
            }
        }
        let Some(flown) = flying else {
            let is_placed = consumer.assignment().all(|partition| consumer.position(partition).is_some());
            if is_placed {
                let record = self.plan.sizes.record(&self.plan.topic, &mut self.rng);
                producer.send(cx.now, record.clone());
                *flying = Some(Flying { record, begun: now, is_delivered: false });
            }
            return Ok(is_placed);
        };
        for delivery in producer.take_deliveries() {
            delivery.outcome.map_err(|error| undelivered(&error).executed())?;
            flown.is_delivered = true;
        }
        if !flown.is_delivered {
            return Ok(false);
        }
        let records = consumer.poll(usize::MAX);
        if records.is_empty() {
            if now.ms_since(flown.begun) < POLL_TIMEOUT_MS {
                return Ok(false);
            }
            let sentence =
                format!("poll() timed out before finding a result (timeout:[{POLL_TIMEOUT_MS}ms])");
            return Err(Refusal::new("RuntimeException", sentence));
        }
        let elapsed_us = now.0.saturating_sub(flown.begun.0);
        if let Some(sentence) = fault(&flown.record, &records) {
            return Err(Refusal::new("RuntimeException", sentence));
        }
        *flying = None;
        let at = self.latencies_us.len();
        if at.is_multiple_of(PROGRESS) {
            cx.output.stdout.push_str(&format!("{at}\t{:?}\n", elapsed_us as f64 / 1000.0));
        }
        self.latencies_us.push(elapsed_us);
        if self.latencies_us.len() < self.plan.records {
            return Ok(true);
        }
        cx.output.stdout.push_str(&self.results());
        self.exit(0);
        Ok(false)
    }

    fn results(&mut self) -> String {
        let count = self.latencies_us.len();
        let average_ms = self.latencies_us.iter().sum::<u64>() as f64 / count as f64 / 1000.0;
        self.latencies_us.sort_unstable();
        let percentile = |share: f64| {
            let at = (share * count as f64) as usize;
            self.latencies_us.get(at).map_or(0, |latency_us| latency_us / 1000)
        };
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(percentile);
        format!("Avg latency: {average_ms:.4} ms\nPercentiles: 50th = {p50}, 99th = {p99}, 99.9th = {p999}\n")
    }

    fn exit(&mut self, code: i32) {
        self.exit_code.get_or_insert(code);
        match &mut self.phase {
            Phase::Preparing { session, .. } => session.network().close(),
            Phase::Measuring { clients, .. } => {
                clients.0.session().network().close();
                clients.1.session().network().close();
            }
        }
    }
}

impl Machine for EndToEndLatency {
    fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent) {
        cx.output.stdout.push_str(&std::mem::take(&mut self.greeting));
        match (event, &mut self.phase) {
            (ToolEvent::Interrupt, _) => return self.exit(130),
            (ToolEvent::Link(event), Phase::Preparing { session, .. }) => {
                session.handle(cx.now.monotonic, inward(event).1);
            }
            (ToolEvent::Link(event), Phase::Measuring { clients, .. }) => match inward(event) {
                (0, event) => clients.0.handle(cx.now, cx.compressors, event),
                (_, event) => clients.1.handle(cx.now, cx.compressors, event),
            },
            (ToolEvent::Tick | ToolEvent::Line(_) | ToolEvent::EndOfInput, _) => {}
        }
        if let Err(refusal) = self.proceed(cx) {
            cx.output.stderr.push_str(&refusal.complaint());
            self.exit(1);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Preparing { session, .. } => session.deadline(),
            Phase::Measuring { clients, flying } => {
                let late = flying.as_ref().map(|flying| flying.begun.plus_ms(POLL_TIMEOUT_MS));
                [clients.0.deadline(), clients.1.deadline(), late].into_iter().flatten().min()
            }
        }
    }

    fn take_effects(&mut self) -> Vec<LinkEffect> {
        match &mut self.phase {
            Phase::Preparing { session, .. } => {
                session.take_effects().into_iter().map(|effect| outward(effect, 0)).collect()
            }
            Phase::Measuring { clients, .. } => {
                let consumer =
                    clients.0.session().take_effects().into_iter().map(|effect| outward(effect, 0));
                let producer =
                    clients.1.session().take_effects().into_iter().map(|effect| outward(effect, 1));
                consumer.chain(producer).collect()
            }
        }
    }

    fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }
}
