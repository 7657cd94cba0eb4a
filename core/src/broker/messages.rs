//! What the machines of one node tell each other.

use std::sync::Arc;

use bytes::Bytes;

use super::data::{DataRequest, DataResponse};
use super::loggers::Levels;
use super::{LifecycleEvent, QuotasEvent};
use crate::controller::{ControllerEvent, ControllerResponse};
use crate::coordinator::Token;
use crate::coordinator::group::{GroupRequest, GroupResponse};
use crate::ids::{ConnectionId, LogDirId, ShardId};
use crate::log::LogStore;
use crate::log::log_dirs::{Checkpoints, LogDirState, LogDirsEvent};
use crate::machine::SyncOutcome;
use crate::metadata::Published;
use crate::network::LinkEvent;
use crate::replication::IsrAnswer;

/// A message with its address.
#[derive(Clone, Debug)]
pub enum Message<S: LogStore> {
    /// To one connection; lost without harm when it has closed.
    Connection(ConnectionId, ConnectionEvent<S>),
    /// To one shard.
    Shard(ShardId, ShardEvent),
    /// To the controller.
    Controller(ControllerEvent),
    /// To the keeper of the log directories.
    LogDirs(LogDirsEvent),
    /// To what keeps the broker in its cluster.
    Lifecycle(LifecycleEvent),
    /// To what counts what clients use.
    Quotas(QuotasEvent),
}

/// What can happen to a connection.
#[derive(Clone, Debug)]
pub enum ConnectionEvent<S: LogStore> {
    /// A whole request frame arrived, without its length prefix.
    Received(Bytes),
    /// A shard answered.
    Shard { request: u64, shard: ShardId, response: DataResponse<S> },
    /// A group coordinator answered.
    Group { request: u64, response: GroupResponse },
    /// The controller answered.
    Controller { request: u64, response: ControllerResponse },
    /// What is logged, which was asked for.
    Levels { request: u64, levels: Levels },
    /// How long its client has to wait after a request that is done but for its answer.
    Throttled { request: u64, throttle_ms: i32 },
    /// New metadata was committed.
    Metadata(Arc<Published>),
    /// A deadline passed.
    Tick,
}

/// What can happen to a shard.
#[derive(Clone, Debug)]
pub enum ShardEvent {
    /// Partitions of one request that this shard owns.
    Data { token: Token, request: DataRequest },
    /// A request for the coordinator on this partition of `__consumer_offsets`.
    Group { token: Token, partition: i32, request: GroupRequest },
    /// The connection is gone: nothing of it needs an answer.
    ConnectionClosed(ConnectionId),
    /// What the log directories hold: partitions can be placed.
    Found(Arc<Checkpoints>),
    /// New metadata was committed.
    Metadata(Arc<Published>),
    /// A log directory can take more, or less, than before.
    LogDir { log_dir: LogDirId, state: LogDirState },
    /// A link of this shard to another broker did something.
    Link(LinkEvent),
    /// The controller answered what leaders of this shard proposed.
    IsrAnswered(Vec<IsrAnswer>),
    /// Trace how everything stands: somebody begins to watch.
    Survey,
    /// Say how everything stands in numbers: [`Effect::Measured`](crate::machine::Effect::Measured).
    Measure,
    /// Bring everything to the disk and stop.
    Stop,
    /// A sync that this shard asked for ended.
    Synced { token: u64, outcome: SyncOutcome },
    /// A deadline passed.
    Tick,
}
