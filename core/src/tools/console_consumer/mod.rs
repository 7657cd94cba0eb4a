//! `kafka-console-consumer`: prints records as they come.

mod formatter;
mod options;

use self::options::{Command, Source};
use super::failure::refusal;
use super::pattern::Pattern;
use super::{Environment, Exit, ToolCx, ToolEvent};
use crate::client::{Consumer, ConsumerEvent, LinkEffect, Session, Topics};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use ottla_protocol::Str;

/// Records that are printed at a time (`max.poll.records`).
const POLL_MAX: usize = 500;
/// How long to wait for a topic whose name matches before asking again, in ms.
const LOOK_AGAIN_MS: i64 = 1_000;

/// The running tool.
#[derive(Clone, Debug)]
pub struct ConsoleConsumer {
    command: Command,
    phase: Phase,
    printed: u64,
    /// When it gives up, with `--timeout-ms`.
    idle_until: Option<Instant>,
    /// The exit code, once it only says goodbye.
    ending: Option<i32>,
    exit_code: Option<i32>,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Which topics match is to be found out.
    Looking {
        session: Session,
        pattern: Pattern,
        epoch: u64,
    },
    Consuming(Consumer),
}

impl ConsoleConsumer {
    /// Reads the arguments; a group of its own is drawn when none is named.
    pub fn start(arguments: &[String], environment: &Environment, rng: &mut Rng) -> Result<Self, Exit> {
        let command = Command::parse(arguments, environment, rng)?;
        let config = command.config.clone();
        let phase = match &command.source {
            Source::Topic(topic) => Phase::Consuming(Consumer::subscribe(config, vec![topic.clone()])),
            Source::Partition(topic, partition, from) => {
                Phase::Consuming(Consumer::assign(config, vec![((topic.clone(), *partition), Some(*from))]))
            }
            Source::Matching(pattern) => {
                let mut session = Session::new(config.session);
                session.want_topics(Instant(0), Topics::All, false);
                Phase::Looking { session, pattern: pattern.clone(), epoch: 0 }
            }
        };
        Ok(Self { command, phase, printed: 0, idle_until: None, ending: None, exit_code: None })
    }

    /// Handles one event.
    pub fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent) {
        cx.output.stdout.push_str(&std::mem::take(&mut self.command.warnings));
        let now = cx.now;
        if let Some(timeout_ms) = self.command.timeout_ms {
            self.idle_until.get_or_insert(now.monotonic.plus_ms(timeout_ms));
        }
        match (event, &mut self.phase) {
            (ToolEvent::Link(event), Phase::Looking { session, .. }) => {
                session.handle(now.monotonic, event);
            }
            (ToolEvent::Link(event), Phase::Consuming(consumer)) => {
                consumer.handle(now, cx.compressors, event);
            }
            (ToolEvent::Interrupt, _) if self.ending.is_some() => self.exit(130),
            (ToolEvent::Interrupt, _) => self.end(cx, 130),
            (ToolEvent::Tick | ToolEvent::Line(_) | ToolEvent::EndOfInput, _) => {}
        }
        self.look(now);
        self.consume(cx);
        if self.ending.is_none() && self.idle_until.is_some_and(|at| at <= now.monotonic) {
            self.end(cx, 0);
        }
        if let Phase::Consuming(consumer) = &mut self.phase {
            consumer.tick(now, cx.compressors);
        }
        if let Some(code) = self.ending
            && self.is_closed()
        {
            self.exit(code);
        }
    }

    /// Begins to consume once a topic matches.
    fn look(&mut self, now: Now) {
        let Phase::Looking { session, pattern, epoch } = &mut self.phase else { return };
        session.tick(now.monotonic);
        session.take_replies(now.monotonic);
        if session.metadata_epoch() == *epoch {
            return;
        }
        *epoch = session.metadata_epoch();
        let topics = session.cluster().topics.iter();
        let matching: Vec<Str> = topics
            .filter(|(name, topic)| !topic.is_internal && pattern.matches(name))
            .map(|(name, _)| name.clone())
            .collect();
        if matching.is_empty() {
            session.refresh_by(now.monotonic.plus_ms(LOOK_AGAIN_MS));
            return;
        }
        let session = session.clone();
        let consumer =
            Consumer::subscribe(self.command.config.clone(), matching).over(session, now.monotonic);
        self.phase = Phase::Consuming(consumer);
    }

    fn consume(&mut self, cx: &mut ToolCx<'_>) {
        loop {
            let Phase::Consuming(consumer) = &mut self.phase else { return };
            if self.ending.is_some() {
                return;
            }
            for event in consumer.take_events() {
                if let Some(sentence) = self.trouble(&event) {
                    cx.output.stderr.push_str(&format!("{sentence}\n"));
                    return self.end(cx, 1);
                }
            }
            let Phase::Consuming(consumer) = &mut self.phase else { return };
            let left = self.command.max_messages.map_or(u64::MAX, |max| max.saturating_sub(self.printed));
            if left == 0 {
                return self.end(cx, 0);
            }
            let records = consumer.poll(POLL_MAX.min(usize::try_from(left).unwrap_or(POLL_MAX)));
            if records.is_empty() {
                return;
            }
            for record in &records {
                self.command.formatter.write(record, &mut cx.output.stdout);
                self.printed += 1;
            }
            self.idle_until = self.command.timeout_ms.map(|timeout_ms| cx.now.monotonic.plus_ms(timeout_ms));
        }
    }

    /// What ends it, in words.
    fn trouble(&self, event: &ConsumerEvent) -> Option<String> {
        match event {
            ConsumerEvent::Assigned(_) | ConsumerEvent::Revoked => None,
            ConsumerEvent::Fatal(error) | ConsumerEvent::TopicError(_, error) => {
                Some(format!("ERROR Unknown error when running consumer: {}", refusal(*error, None)))
            }
            ConsumerEvent::NoOffset((topic, partition)) => Some(format!(
                "ERROR Unknown error when running consumer: \
                 org.apache.kafka.clients.consumer.NoOffsetForPartitionException: {topic}-{partition}"
            )),
            ConsumerEvent::Corrupt(..) if self.command.skip_message_on_error => None,
            ConsumerEvent::Corrupt((topic, partition), reason) => {
                Some(format!("ERROR Error processing message: {topic}-{partition}: {reason}"))
            }
        }
    }

    fn end(&mut self, cx: &mut ToolCx<'_>, code: i32) {
        self.ending.get_or_insert(code);
        cx.output.stderr.push_str(&format!("Processed a total of {} messages\n", self.printed));
        if let Phase::Consuming(consumer) = &mut self.phase {
            consumer.close(cx.now.monotonic);
        }
    }

    fn is_closed(&self) -> bool {
        match &self.phase {
            Phase::Looking { .. } => true,
            Phase::Consuming(consumer) => consumer.is_closed(),
        }
    }

    fn session(&mut self) -> &mut Session {
        match &mut self.phase {
            Phase::Looking { session, .. } => session,
            Phase::Consuming(consumer) => consumer.session(),
        }
    }

    fn exit(&mut self, code: i32) {
        self.exit_code.get_or_insert(code);
        self.session().network().close();
    }

    /// When it wants a tick.
    pub fn deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Looking { session, .. } => session.deadline(),
            Phase::Consuming(consumer) => consumer.deadline(),
        };
        let idle = self.idle_until.filter(|_| self.ending.is_none());
        [phase, idle].into_iter().flatten().min()
    }

    /// What to do with its links.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.session().take_effects()
    }

    /// Its exit code, once it has ended.
    pub fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }
}
