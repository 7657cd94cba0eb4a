//! A tool as a program of the world.

use crate::client::LinkEffect;
use crate::record::Compressors;
use crate::sim::{Program, ProgramEvent};
use crate::time::{Instant, Now};
use crate::tools::{Output, Tool, ToolCx, ToolEvent};

/// A tool, and what it said that nobody has printed yet.
#[derive(Clone, Debug)]
pub struct ToolProgram {
    /// The tool.
    pub tool: Tool,
    /// What it said.
    pub output: Output,
}

impl Program for ToolProgram {
    type Input = ToolEvent;

    fn handle(&mut self, now: Now, compressors: &Compressors, event: ProgramEvent<ToolEvent>) {
        let event = match event {
            ProgramEvent::Link(event) => ToolEvent::Link(event),
            ProgramEvent::Input(event) => event,
            ProgramEvent::Tick => ToolEvent::Tick,
        };
        self.tool.handle(&mut ToolCx { now, compressors, output: &mut self.output }, event);
    }

    fn deadline(&self) -> Option<Instant> {
        self.tool.deadline()
    }

    fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.tool.take_effects()
    }
}
