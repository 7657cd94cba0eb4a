//! The log, to standard error: who says what (`broker::loggers`), at levels that can be changed while the node runs.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use ottla_core::broker::loggers::{LOGGERS, Level, LevelChange, Levels};
use ottla_core::metrics::Answered;
use ottla_core::trace::TraceEvent;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

/// The log of this process.
struct Log {
    levels: Mutex<Levels>,
    filter: reload::Handle<Targets, Registry>,
}

static LOG: OnceLock<Log> = OnceLock::new();
static WANTS_TRACES: AtomicBool = AtomicBool::new(false);

/// Starts logging at `level`, or as `RUST_LOG` says, or what an operator wants to know.
pub fn start(level: Option<&str>) -> Result<(), String> {
    let directives = level.map(str::to_owned).or_else(|| std::env::var("RUST_LOG").ok()).unwrap_or_default();
    let levels = Levels::parse(&directives).map_err(|error| format!("--log {directives}: {error}"))?;
    let (filter, handle) = reload::Layer::new(targets(&levels));
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = tracing_subscriber::registry().with(filter).with(log).try_init();
    started.map_err(|error| error.to_string())?;
    let log = Log { levels: Mutex::new(levels), filter: handle };
    LOG.set(log).map_err(|_| "the log was started already".to_owned())
}

/// The levels in force.
pub fn levels() -> Levels {
    let levels = |log: &Log| log.levels.lock().unwrap_or_else(PoisonError::into_inner).clone();
    LOG.get().map(levels).unwrap_or_default()
}

/// Changes levels, from now on.
pub fn set_levels(changes: &[LevelChange]) {
    let Some(log) = LOG.get() else { return };
    let mut levels = log.levels.lock().unwrap_or_else(PoisonError::into_inner);
    levels.apply(changes);
    if let Err(error) = log.filter.reload(targets(&levels)) {
        tracing::error!(target: "kafka.server", %error, "the levels of the log could not be changed");
    }
}

/// Whether somebody wants to read what machines trace.
pub fn wants_traces() -> bool {
    WANTS_TRACES.load(Ordering::Relaxed)
}

/// What the log lets through at these levels; machines trace if any of them wants that.
fn targets(levels: &Levels) -> Targets {
    WANTS_TRACES.store(levels.all().iter().any(|(_, level)| *level >= Level::Debug), Ordering::Relaxed);
    let mut targets = Targets::new();
    for (logger, level) in levels.all() {
        let filter = match level {
            Level::Fatal | Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        };
        targets = match LOGGERS.contains(&logger) {
            true => targets.with_target(logger, filter),
            false => targets.with_default(filter),
        };
    }
    targets
}

/// Logs what happened: what went wrong with storage, or was mended after an unclean stop, and the rest for whoever wants all of it.
pub fn happened(event: &TraceEvent) {
    match event {
        TraceEvent::StorageFailed { path, reason } => {
            tracing::error!(target: "kafka.log", "{path} does not serve: {reason}");
        }
        TraceEvent::DiskFull { path, is_full: true } => tracing::error!(
            target: "kafka.log", "{path}: the disk is full: reads go on, writes are refused until there is room"
        ),
        TraceEvent::DiskFull { path, is_full: false } => {
            tracing::warn!(target: "kafka.log", "{path}: there is room again");
        }
        TraceEvent::LogRecovered { partition, log_end_offset, truncated_bytes, reason } => tracing::warn!(
            target: "kafka.log",
            "{partition}: {truncated_bytes} bytes were cut off, it ends at offset {log_end_offset} now: {reason}"
        ),
        TraceEvent::ReplicaSetAside { partition, path } => tracing::warn!(
            target: "kafka.log",
            "{partition}: the metadata does not know this replica; its directory is {path} now"
        ),
        TraceEvent::PartitionUncleanable { partition, reason } => {
            tracing::warn!(target: "kafka.log", "{partition} is not compacted any more: {reason}");
        }
        TraceEvent::SegmentRolled { .. } | TraceEvent::LogCleaned { .. } => {
            tracing::debug!(target: "kafka.log", "{event:?}");
        }
        TraceEvent::RecordsAppended { .. }
        | TraceEvent::HighWatermarkAdvanced { .. }
        | TraceEvent::LogStartOffsetAdvanced { .. } => tracing::trace!(target: "kafka.log", "{event:?}"),
        TraceEvent::RequestReceived { .. } | TraceEvent::ResponseSent { .. } => {
            tracing::trace!(target: "kafka.request.logger", "{event:?}");
        }
        TraceEvent::ConnectionClosed { .. } => tracing::debug!(target: "kafka.network", "{event:?}"),
        TraceEvent::PartitionServed { .. } | TraceEvent::PartitionRemoved { .. } => {
            tracing::debug!(target: "state.change.logger", "{event:?}");
        }
        TraceEvent::GroupChanged { .. } | TraceEvent::OffsetCommitted { .. } => {
            tracing::debug!(target: "kafka.coordinator.group", "{event:?}");
        }
        TraceEvent::MetadataPublished { .. } => tracing::debug!(target: "kafka.controller", "{event:?}"),
    }
}

/// Logs a request that was answered.
pub fn answered(connection: u64, request: &Answered) {
    let Answered { api, version, took_us, request_bytes } = request;
    tracing::debug!(target: "kafka.request.logger", connection, api = api.name(), version, request_bytes, took_us, "answered");
}

/// A panic is a broken invariant of ours: it is logged and ends the process, whatever thread it happened on, before anything
/// claims that the stop was clean.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::force_capture();
        tracing::error!(target: "kafka.server", "broken invariant: {panic}\n{backtrace}");
        std::process::exit(EXIT_BROKEN);
    }));
}

/// Exit code of a node that could not go on.
pub const EXIT_BROKEN: i32 = 70;
