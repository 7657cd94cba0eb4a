//! Logs, to standard error.

use std::io::IsTerminal as _;

use ottla_core::trace::TraceEvent;
use tracing_subscriber::EnvFilter;

/// Starts logging at `level`, or as `RUST_LOG` says, or what an operator wants to know.
pub fn start(level: Option<&str>) -> Result<(), String> {
    let directives = level.map(str::to_owned).or_else(|| std::env::var("RUST_LOG").ok());
    let directives =
        directives.filter(|directives| !directives.is_empty()).unwrap_or_else(|| "info".to_owned());
    let filter = EnvFilter::try_new(&directives).map_err(|error| format!("--log {directives}: {error}"))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    subscriber.try_init().map_err(|error| error.to_string())
}

/// Logs what went wrong with storage, or was mended after an unclean stop.
pub fn fault(event: &TraceEvent) {
    match event {
        TraceEvent::StorageFailed { path, reason } => tracing::error!("{path} does not serve: {reason}"),
        TraceEvent::DiskFull { path, is_full: true } => {
            tracing::error!("{path}: the disk is full: reads go on, writes are refused until there is room");
        }
        TraceEvent::DiskFull { path, is_full: false } => tracing::warn!("{path}: there is room again"),
        TraceEvent::LogRecovered { partition, log_end_offset, truncated_bytes, reason } => tracing::warn!(
            "{partition}: {truncated_bytes} bytes were cut off, it ends at offset {log_end_offset} now: {reason}"
        ),
        TraceEvent::ReplicaSetAside { partition, path } => {
            tracing::warn!(
                "{partition}: the metadata does not know this replica; its directory is {path} now"
            );
        }
        TraceEvent::PartitionUncleanable { partition, reason } => {
            tracing::warn!("{partition} is not compacted any more: {reason}");
        }
        _ => {}
    }
}

/// A panic is a broken invariant of ours: it is logged and ends the process, whatever thread it happened on, before anything
/// claims that the stop was clean.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::force_capture();
        tracing::error!("broken invariant: {panic}\n{backtrace}");
        std::process::exit(EXIT_BROKEN);
    }));
}

/// Exit code of a node that could not go on.
pub const EXIT_BROKEN: i32 = 70;
