//! [`Playground`]: a world with terminals, as a page shows it.
//!
//! Everything a user does is an [`Input`] at an instant, so that a session is its seed and its inputs.

mod nodes;
mod operation;
mod program;
mod shell;
mod view;

use serde::{Deserialize, Serialize};

use self::program::ToolProgram;
use self::shell::Terminal;
use super::{Network, World, WorldConfig};
use crate::log::MemoryStore;
use crate::time::Instant;

pub use operation::Operation;
pub use view::{
    BrokerView, CellView, EdgeView, FlightView, GroupView, LineKind, LineView, MemberView, MessageKind,
    OffsetView, PartitionView, Place, ReplicaView, TerminalView, TopicView, View,
};

/// Terminals that a playground opens at most.
const TERMINALS_MAX: usize = 8;

/// Slow enough for what is on its way to be met there when the clock is stopped.
const NETWORK: Network = Network { delay_min_us: 1_500, delay_max_us: 6_000 };
/// Brokers of a playground that nobody has asked for another number of.
const BROKERS: u8 = 3;

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
    /// Something befalls a broker. Where it makes no sense, nothing happens.
    Operate { broker: i32, operation: Operation },
}

/// The machines of a playground and what runs on them.
type Machines = World<MemoryStore, ToolProgram>;

/// A world with terminals.
#[derive(Clone, Debug)]
pub struct Playground {
    world: Machines,
    terminals: Vec<Terminal>,
}

impl Playground {
    /// Three brokers that serve, and one terminal.
    pub fn new(seed: u64) -> Self {
        Self::with_brokers(seed, BROKERS)
    }

    /// So many brokers that serve, one at least, and one terminal.
    pub fn with_brokers(seed: u64, brokers: u8) -> Self {
        let mut world = World::new(WorldConfig { seed, network: NETWORK, ..WorldConfig::default() });
        nodes::start(&mut world, brokers);
        world.watch_flights();
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
            // A button that comes too late does nothing.
            Input::Operate { broker, operation } => {
                drop(operation::carry_out(&mut self.world, broker, operation));
            }
        }
        self.listen();
    }

    fn terminal(&self, id: u8) -> Option<&Terminal> {
        self.terminals.iter().find(|terminal| terminal.id() == id)
    }

    fn with_terminal(&mut self, id: u8, act: impl FnOnce(&mut Terminal, &mut Machines)) {
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
mod tests;
