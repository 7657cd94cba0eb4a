//! A tool that drives a client of its own, behind one trait.

use std::fmt::Debug;

use super::{ToolCx, ToolEvent};
use crate::client::LinkEffect;
use crate::time::Instant;

/// What a tool is to whoever runs it.
pub trait Machine: Debug + Send + Sync + Duplicate {
    /// Handles one event; the first is a `Tick`.
    fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent);

    /// When it wants a tick.
    fn deadline(&self) -> Option<Instant>;

    /// What to do with its links.
    fn take_effects(&mut self) -> Vec<LinkEffect>;

    /// Its exit code, once it has ended.
    fn exit_code(&self) -> Option<i32>;

    /// Whether it has something to say when it is interrupted.
    fn ends_by_interrupt(&self) -> bool {
        false
    }
}

/// Worlds are cloned, and with them the tools that run in them.
pub trait Duplicate {
    /// A copy.
    fn duplicate(&self) -> Box<dyn Machine>;
}

impl<T: Machine + Clone + 'static> Duplicate for T {
    fn duplicate(&self) -> Box<dyn Machine> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Machine> {
    fn clone(&self) -> Self {
        (**self).duplicate()
    }
}
