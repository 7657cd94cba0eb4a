//! What a machine is given and what it may ask for.
//!
//! A machine takes one closed enum of events and pushes effects into a sink that the driver lends it. It never waits, and it
//! never calls another machine: it tells it something, and the driver delivers.

use std::sync::Arc;

use bytes::Bytes;

use crate::broker::Message;
use crate::broker::loggers::LevelChange;
use crate::ids::ConnectionId;
use crate::log::LogStore;
use crate::metadata::Published;
use crate::metrics::{Answered, Measured};
use crate::network::LinkEffect;
use crate::record::compression::Compressors;
use crate::time::{Instant, Now};
use crate::trace::Traces;

/// All that a machine may touch while it handles one event.
#[derive(Debug)]
pub struct Cx<'a, S: LogStore> {
    /// The clocks, read once for this event.
    pub now: Now,
    /// Storage, lent.
    pub store: &'a mut S,
    /// The compressors that the shell lends.
    pub compressors: &'a Compressors,
    /// Where effects go.
    pub effects: &'a mut Effects<S>,
    /// Where traces go.
    pub traces: &'a mut Traces,
}

/// A state machine driven by events.
pub trait Machine<S: LogStore> {
    /// The closed enum of what can happen to it.
    type Event;

    /// Handles one event.
    fn handle(&mut self, cx: &mut Cx<'_, S>, event: Self::Event);

    /// When it wants to be woken; the driver sends its tick event no earlier.
    fn deadline(&self) -> Option<Instant>;
}

/// What a machine asks of its driver.
#[derive(Clone, Debug)]
pub enum Effect<S: LogStore> {
    /// Put a message into another machine's mailbox, in order.
    Tell(Message<S>),
    /// Write a frame to a client; frames of one connection leave in order.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// The whole frame, length prefix included.
        frame: Frame<S::Slice>,
    },
    /// Close a connection once what was sent before has left; the reason goes to the log.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why, for the log.
        reason: String,
    },
    /// Make files and directories durable, then deliver `then`. A failure is delivered as [`SyncOutcome::Failed`] and is
    /// never retried.
    Sync {
        /// What.
        targets: Vec<SyncTarget<S>>,
        /// To be delivered with the outcome.
        then: SyncCompletion,
    },
    /// Tell every shard, the log directories and every connection, present and (the newest only) future.
    Publish(Arc<Published>),
    /// Open, use or close a connection to another node; what happens to it comes back to the owner.
    Link {
        /// Whose it is: the numbers of links are each owner's own.
        owner: LinkOwner,
        /// What.
        effect: LinkEffect,
    },
    /// Count a request.
    Answered(Answered),
    /// What a shard has measured, which was asked for.
    Measured(Box<Measured>),
    /// Tell [`Quotas`](crate::broker::Quotas) how long this event has taken, before anything else that it asks for: it was for a client whose
    /// time is limited.
    Time(ConnectionId),
    /// Log at these levels from now on.
    SetLevels(Vec<LevelChange>),
    /// Tell a connection's request at which levels is logged: `ConnectionEvent::Levels`.
    SayLevels {
        /// Whose.
        connection: ConnectionId,
        /// Which.
        request: u64,
    },
    /// The node leads no partition any more, and all brokers know who does: its clients may be sent to them.
    Relieved,
    /// A clean stop has ended: everything is on the disk.
    Stopped,
    /// The node cannot go on: a broken invariant, or metadata that cannot be replayed.
    Halt {
        /// State, position and reason, for the log.
        reason: String,
    },
}

/// Something to be made durable.
#[derive(Clone, Debug)]
pub enum SyncTarget<S: LogStore> {
    /// A file's bytes.
    File(S::File),
    /// A directory's entries.
    Directory(String),
    /// All that was written below a directory, however deep: the bytes of files and the entries of directories. The disk is asked once, where
    /// asking for each of very many files would take longer than writing them.
    Tree(String),
}

/// Which machine waits for a sync, and the number it knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncCompletion {
    /// Who asked.
    pub waiter: Waiter,
    /// The waiter's own number for it.
    pub token: u64,
}

/// A machine that syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiter {
    /// The controller, for its metadata log.
    Controller,
    /// A shard, for its partitions.
    Shard(crate::ids::ShardId),
    /// The keeper of checkpoint files.
    LogDirs,
}

/// A machine that speaks to other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkOwner {
    /// The controller, to the other replicas of its log.
    Controller,
    /// A shard, to the leaders of the partitions that it follows.
    Shard(crate::ids::ShardId),
}

/// How a sync ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// Everything asked for is on the disk.
    Done,
    /// The device refused: the directory goes offline.
    Failed(String),
}

/// A piece of a frame.
#[derive(Clone, Debug)]
pub enum Chunk<L> {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes still in a log file.
    Slice(L),
}

/// A response, header first, as a list of pieces; its total length is known.
#[derive(Clone, Debug)]
pub struct Frame<L> {
    /// In order.
    pub chunks: Vec<Chunk<L>>,
    /// Bytes in all, the 4 of the length prefix included.
    pub len: usize,
}

/// The sink for effects.
#[derive(Clone, Debug)]
pub struct Effects<S: LogStore>(Vec<Effect<S>>);

impl<S: LogStore> Effects<S> {
    /// Asks for something.
    pub fn push(&mut self, effect: Effect<S>) {
        self.0.push(effect);
    }

    /// Tells another machine.
    pub fn tell(&mut self, message: impl Into<Message<S>>) {
        self.0.push(Effect::Tell(message.into()));
    }

    /// Takes what was asked for, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect<S>> {
        self.0.drain(..)
    }
}

impl<S: LogStore> Default for Effects<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
