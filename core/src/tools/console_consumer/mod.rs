//! `kafka-console-consumer`: prints records as they come.

mod formatter;
mod options;

use self::options::Command;
use super::failure::refusal;
use super::reader::Reader;
use super::{Environment, Exit, ToolCx, ToolEvent};
use crate::client::{ConsumerEvent, LinkEffect};
use crate::rng::Rng;
use crate::time::Instant;

/// Records that are printed at a time (`max.poll.records`).
const POLL_MAX: usize = 500;

/// The running tool.
#[derive(Clone, Debug)]
pub struct ConsoleConsumer {
    command: Command,
    reader: Reader,
    printed: u64,
    /// When it gives up, with `--timeout-ms`.
    idle_until: Option<Instant>,
    /// The exit code, once it only says goodbye.
    ending: Option<i32>,
    exit_code: Option<i32>,
}

impl ConsoleConsumer {
    /// Reads the arguments; a group of its own is drawn when none is named.
    pub fn start(arguments: &[String], environment: &Environment, rng: &mut Rng) -> Result<Self, Exit> {
        let command = Command::parse(arguments, environment, rng)?;
        let reader = Reader::new(command.config.clone(), &command.source);
        Ok(Self { command, reader, printed: 0, idle_until: None, ending: None, exit_code: None })
    }

    /// Handles one event.
    pub fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent) {
        cx.output.stdout.push_str(&std::mem::take(&mut self.command.warnings));
        let now = cx.now;
        if let Some(timeout_ms) = self.command.timeout_ms {
            self.idle_until.get_or_insert(now.monotonic.plus_ms(timeout_ms));
        }
        match event {
            ToolEvent::Link(event) => self.reader.handle(cx, Some(event)),
            ToolEvent::Interrupt if self.ending.is_some() => self.exit(130),
            ToolEvent::Interrupt => self.end(cx, 130),
            ToolEvent::Tick | ToolEvent::Line(_) | ToolEvent::EndOfInput => self.reader.handle(cx, None),
        }
        self.consume(cx);
        if self.ending.is_none() && self.idle_until.is_some_and(|at| at <= now.monotonic) {
            self.end(cx, 0);
        }
        self.reader.tick(cx);
        if let Some(code) = self.ending
            && self.reader.is_closed()
        {
            self.exit(code);
        }
    }

    fn consume(&mut self, cx: &mut ToolCx<'_>) {
        loop {
            let Some(consumer) = self.reader.consumer().filter(|_| self.ending.is_none()) else { return };
            for event in consumer.take_events() {
                if let Some(sentence) = self.trouble(&event) {
                    cx.output.stderr.push_str(&format!("{sentence}\n"));
                    return self.end(cx, 1);
                }
            }
            let Some(consumer) = self.reader.consumer() else { return };
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
            ConsumerEvent::Assigned(_) | ConsumerEvent::Revoked | ConsumerEvent::Committed { .. } => None,
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
        if let Some(consumer) = self.reader.consumer() {
            consumer.close(cx.now.monotonic);
        }
    }

    fn exit(&mut self, code: i32) {
        self.exit_code.get_or_insert(code);
        self.reader.hang_up();
    }

    /// When it wants a tick.
    pub fn deadline(&self) -> Option<Instant> {
        let idle = self.idle_until.filter(|_| self.ending.is_none());
        [self.reader.deadline(), idle].into_iter().flatten().min()
    }

    /// What to do with its links.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.reader.take_effects()
    }

    /// Its exit code, once it has ended.
    pub fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }
}
