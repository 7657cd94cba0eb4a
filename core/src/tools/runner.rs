//! A tool that asks, prints and ends: steps of requests, one after another, behind one trait.

use std::fmt::Debug;

use super::admin::{Admin, Turn};
use super::failure::Refusal;
use super::{Output, ToolCx, ToolEvent};
use crate::client::{LinkEffect, Reply, SessionConfig};
use crate::time::Instant;

/// How a tool goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// With its next step.
    Proceed,
    /// With the same one, after a while.
    Again,
    /// Not at all: its exit code.
    Exit(i32),
}

/// What a tool does, step by step. A step without requests is answered at once.
pub trait Steps: Debug + Send + Sync + Boxed {
    /// Sends the requests of the present step.
    fn ask(&mut self, now: Instant, admin: &mut Admin);

    /// Takes their answers, in the order of the requests.
    fn answered(&mut self, cx: &mut ToolCx<'_>, admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal>;

    /// Says why it cannot go on: its exit code.
    fn refused(&self, output: &mut Output, refusal: Refusal) -> i32 {
        output.stderr.push_str(&refusal.executed().complaint());
        1
    }
}

/// Worlds are cloned, and with them the tools that run in them.
pub trait Boxed {
    /// A copy.
    fn boxed(&self) -> Box<dyn Steps>;
}

impl<T: Steps + Clone + 'static> Boxed for T {
    fn boxed(&self) -> Box<dyn Steps> {
        Box::new(self.clone())
    }
}

/// A tool that runs.
#[derive(Debug)]
pub struct Runner {
    admin: Admin,
    steps: Box<dyn Steps>,
    /// What it says before anything else.
    greeting: Output,
}

impl Clone for Runner {
    fn clone(&self) -> Self {
        let (admin, greeting) = (self.admin.clone(), self.greeting.clone());
        Self { admin, steps: (*self.steps).boxed(), greeting }
    }
}

impl Runner {
    /// Of a tool whose arguments were understood.
    pub fn new(session: SessionConfig, steps: impl Steps + 'static) -> Self {
        Self { admin: Admin::with(session), steps: Box::new(steps), greeting: Output::default() }
    }

    /// The same, with something to say first.
    pub fn greets(mut self, greeting: Output) -> Self {
        self.greeting = greeting;
        self
    }

    /// Handles one event.
    pub fn handle(&mut self, cx: &mut ToolCx<'_>, event: ToolEvent) {
        let now = cx.now.monotonic;
        let greeting = std::mem::take(&mut self.greeting);
        cx.output.stdout.push_str(&greeting.stdout);
        cx.output.stderr.push_str(&greeting.stderr);
        match event {
            ToolEvent::Link(event) => self.admin.take(now, Some(event)),
            ToolEvent::Tick => self.admin.take(now, None),
            ToolEvent::Interrupt => self.admin.exit(130),
            ToolEvent::Line(_) | ToolEvent::EndOfInput => {}
        }
        loop {
            let outcome = match self.admin.turn(now) {
                Turn::Wait => return,
                Turn::Ask => {
                    self.steps.ask(now, &mut self.admin);
                    continue;
                }
                Turn::Answers(replies) => self.steps.answered(cx, &self.admin, &replies),
                Turn::GaveUp(reason) => Err(Refusal::new("TimeoutException", reason)),
            };
            match outcome {
                Ok(Next::Proceed) => self.admin.proceed(now),
                Ok(Next::Again) => self.admin.again(now),
                Ok(Next::Exit(code)) => self.admin.exit(code),
                Err(refusal) => {
                    let code = self.steps.refused(cx.output, refusal);
                    self.admin.exit(code);
                }
            }
        }
    }

    /// When it wants a tick.
    pub fn deadline(&self) -> Option<Instant> {
        self.admin.deadline()
    }

    /// What to do with its links.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.admin.take_effects()
    }

    /// Its exit code, once it has ended.
    pub fn exit_code(&self) -> Option<i32> {
        self.admin.exit_code()
    }
}
