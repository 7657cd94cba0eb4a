//! [`Playground`]: a world with terminals, as a page shows it.
//!
//! Everything a user does is an [`Input`] at an instant, so that a session is its seed and its inputs.

mod program;
mod shell;
mod view;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::program::ToolProgram;
use self::shell::Terminal;
use super::{World, WorldConfig};
use crate::config::{BrokerConfig, Origin, Setting};
use crate::log::MemoryStore;
use crate::time::Instant;

pub use view::{
    BrokerView, CellView, GroupView, LineKind, LineView, MemberView, OffsetView, PartitionView, TerminalView,
    TopicView, View,
};

/// Terminals that a playground opens at most.
const TERMINALS_MAX: usize = 8;

/// What differs from a broker's defaults: partitions of the offsets topic are few, so that they fit a picture, and groups do not
/// wait three seconds for members that nobody has started.
/// Nobody watches for a week: segments close after seconds, and what retention and compaction do is seen soon after.
const SETTINGS: [(&str, &str); 9] = [
    ("offsets.topic.num.partitions", "1"),
    ("group.initial.rebalance.delay.ms", "500"),
    ("listeners", "PLAINTEXT://localhost:9092"),
    ("log.roll.ms", "5000"),
    ("log.initial.task.delay.ms", "1000"),
    ("log.retention.check.interval.ms", "1000"),
    ("log.cleaner.backoff.ms", "1000"),
    ("log.segment.delete.delay.ms", "1000"),
    ("ottla.log.reserve.bytes", "0"),
];

/// What a user does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A line was typed into a terminal.
    Line { terminal: u8, text: String },
    /// Ctrl-C in a terminal.
    Interrupt { terminal: u8 },
    /// Ctrl-D in a terminal.
    EndOfInput { terminal: u8 },
    /// A terminal is wanted.
    OpenTerminal { terminal: u8 },
}

/// A world with terminals.
#[derive(Clone, Debug)]
pub struct Playground {
    world: World<MemoryStore, ToolProgram>,
    terminals: Vec<Terminal>,
}

impl Playground {
    /// One broker, formatted and running, and one terminal.
    pub fn new(seed: u64) -> Self {
        let mut world = World::new(WorldConfig { seed, ..WorldConfig::default() });
        let setting = |(name, value): (&str, &str)| {
            (name.to_owned(), Setting { value: value.to_owned(), origin: Origin::SingleNode })
        };
        let resolved = BrokerConfig::resolve(SETTINGS.map(setting), true);
        let config = resolved.map(|resolved| resolved.config).unwrap_or_default();
        if let Err(reason) = world.add_host(Arc::new(config), MemoryStore::new()) {
            panic!("the first broker of a playground does not start: {reason}");
        }
        Self { world, terminals: vec![Terminal::new(0)] }
    }

    /// Microseconds since the beginning.
    pub fn now_us(&self) -> u64 {
        self.world.now().monotonic.0
    }

    /// Does what a user does, now.
    pub fn input(&mut self, input: Input) {
        match input {
            Input::OpenTerminal { terminal } => {
                if usize::from(terminal) < TERMINALS_MAX && self.terminal(terminal).is_none() {
                    self.terminals.push(Terminal::new(terminal));
                }
            }
            Input::Line { terminal, text } => {
                self.with_terminal(terminal, |shell, world| shell.line(world, &text));
            }
            Input::Interrupt { terminal } => self.with_terminal(terminal, Terminal::interrupt),
            Input::EndOfInput { terminal } => self.with_terminal(terminal, Terminal::end_of_input),
        }
        self.listen();
    }

    fn terminal(&self, id: u8) -> Option<&Terminal> {
        self.terminals.iter().find(|terminal| terminal.id() == id)
    }

    fn with_terminal(
        &mut self,
        id: u8,
        act: impl FnOnce(&mut Terminal, &mut World<MemoryStore, ToolProgram>),
    ) {
        if let Some(terminal) = self.terminals.iter_mut().find(|terminal| terminal.id() == id) {
            act(terminal, &mut self.world);
        }
    }

    /// Terminals print what their programs said.
    fn listen(&mut self) {
        for terminal in &mut self.terminals {
            terminal.listen(&mut self.world);
        }
    }

    /// When something happens next.
    pub fn next_event_at(&self) -> Option<u64> {
        self.world.next_event_at().map(|at| at.0)
    }

    /// Lets the one next event happen, if there is one up to `until_us`.
    pub fn step(&mut self, until_us: u64) -> bool {
        let happened = self.world.step(Instant(until_us));
        self.listen();
        happened
    }

    /// Lets everything happen up to `until_us`.
    pub fn advance(&mut self, until_us: u64) {
        self.world.run_until(Instant(until_us));
        self.listen();
        // The view is made from the machines; what they traced has been seen.
        self.world.take_traces();
    }

    /// A digest of all that happened.
    pub fn trace_hash(&self) -> u64 {
        self.world.trace_hash()
    }

    /// What there is to be seen.
    pub fn view(&self) -> View {
        view::of(&self.world, &self.terminals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(playground: &mut Playground, text: &str, seconds: u64) {
        playground.input(Input::Line { terminal: 0, text: text.into() });
        playground.advance(playground.now_us() + seconds * 1_000_000);
    }

    fn screen(playground: &Playground) -> String {
        let view = playground.view();
        view.terminals[0].lines.iter().map(|line| line.text.clone() + "\n").collect()
    }

    #[test]
    fn a_topic_is_created_and_described_from_the_terminal() {
        let mut playground = Playground::new(1);
        let create =
            "kafka-topics.sh --create --topic exam-topic --partitions 3 --bootstrap-server localhost:9092";
        say(&mut playground, create, 5);
        assert!(screen(&playground).contains("Created topic exam-topic."), "{}", screen(&playground));
        let view = playground.view();
        let topic = view.topics.iter().find(|topic| topic.name == "exam-topic").unwrap();
        assert_eq!(topic.partitions.len(), 3);
    }

    #[test]
    fn what_is_typed_into_the_producer_appears_in_the_consumer() {
        let mut playground = Playground::new(2);
        let at = "--topic exam-topic --bootstrap-server localhost:9092";
        say(&mut playground, &format!("kafka-topics.sh --create {at}"), 5);
        say(&mut playground, &format!("kafka-console-producer.sh {at}"), 3);
        playground.input(Input::OpenTerminal { terminal: 1 });
        let consume = format!("kafka-console-consumer.sh {at} --group readers --from-beginning");
        playground.input(Input::Line { terminal: 1, text: consume });
        playground.advance(playground.now_us() + 10_000_000);
        say(&mut playground, "커피 주문", 10);
        let view = playground.view();
        let shown: Vec<&str> = view.terminals[1].lines.iter().map(|line| line.text.as_str()).collect();
        assert!(shown.contains(&"커피 주문"), "{:?} {}", shown, screen(&playground));
        let group = view.groups.iter().find(|group| group.id == "readers").unwrap();
        assert_eq!((group.state.as_str(), group.members.len()), ("Stable", 1));
        let committed: Vec<_> = group.offsets.iter().map(|offset| (offset.committed, offset.lag)).collect();
        assert_eq!(committed, [(1, 0)]);
        playground.input(Input::Interrupt { terminal: 1 });
        playground.advance(playground.now_us() + 5_000_000);
        assert_eq!(playground.view().terminals[1].running, None);
    }

    #[test]
    fn the_same_seed_and_inputs_give_the_same_world() {
        let run = || {
            let mut playground = Playground::new(3);
            say(&mut playground, "kafka-topics.sh --list --bootstrap-server localhost:9092", 5);
            say(&mut playground, "ls /opt/kafka/bin", 1);
            (playground.trace_hash(), playground.view())
        };
        assert_eq!(run(), run());
    }

    /// Offsets and values of the records of a topic's only partition.
    fn records(playground: &Playground) -> Vec<(i64, String)> {
        let view = playground.view();
        let topic = view.topics.iter().find(|topic| topic.name == "exam-topic").unwrap();
        topic.partitions[0].cells.iter().map(|cell| (cell.offset, cell.value.clone())).collect()
    }

    const PRODUCE: &str = "kafka-console-producer.sh --topic exam-topic --bootstrap-server localhost:9092 \
                           --property parse.key=true --property key.separator=:";

    #[test]
    fn compaction_takes_cells_away_and_leaves_offsets() {
        let mut playground = Playground::new(4);
        let create = "kafka-topics.sh --create --topic exam-topic --config cleanup.policy=compact \
                      --bootstrap-server localhost:9092";
        say(&mut playground, create, 5);
        say(&mut playground, PRODUCE, 3);
        for line in ["tea:1", "milk:1", "tea:2", "tea:3", "milk:2"] {
            say(&mut playground, line, 0);
        }
        playground.advance(playground.now_us() + 2_000_000);
        assert_eq!(records(&playground).len(), 5);
        // The first record after a while closes the segment of those before.
        playground.advance(playground.now_us() + 5_000_000);
        say(&mut playground, "bread:1", 15);
        let kept = [(3, "3"), (4, "2"), (5, "1")].map(|(offset, value)| (offset, value.to_owned()));
        assert_eq!(records(&playground), kept, "{}", screen(&playground));
    }

    #[test]
    fn retention_takes_cells_away_and_leaves_offsets() {
        let mut playground = Playground::new(5);
        let create = "kafka-topics.sh --create --topic exam-topic --config retention.ms=4000 \
                      --bootstrap-server localhost:9092";
        say(&mut playground, create, 5);
        say(&mut playground, PRODUCE, 3);
        say(&mut playground, "tea:1", 1);
        say(&mut playground, "tea:2", 6);
        say(&mut playground, "tea:3", 3);
        assert_eq!(records(&playground), [(2, "3".to_owned())], "{}", screen(&playground));
        let view = playground.view();
        let topic = view.topics.iter().find(|topic| topic.name == "exam-topic").unwrap();
        assert_eq!((topic.partitions[0].log_start_offset, topic.partitions[0].log_end_offset), (2, 3));
    }
}
