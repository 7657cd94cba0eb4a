//! `/metrics`: how a node stands in numbers, for Prometheus. See [`ottla_core::metrics`].

use std::fmt::Debug;
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use ottla_core::metrics::{CONTENT_TYPE, Measured};
use tokio::sync::oneshot;

use crate::page::plain;

/// A node that can be measured.
pub trait Metered: Debug + Send + Sync + 'static {
    /// Has every shard say what it has measured; the answer comes when all have.
    fn measure(&self) -> oneshot::Receiver<Vec<Measured>>;
    /// Whether clients had better come here: the cluster has let the broker in, and it does not leave. A node that is no broker is ready.
    fn is_ready(&self) -> bool;
    /// All of it as text, with what the node knows besides.
    fn exposition(&self, shards: &[Measured], process: &Process) -> String;
}

/// What the system knows of this process.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// CPU time, in s.
    pub cpu_seconds: f64,
    /// Memory that is resident, in bytes; 0 where the system does not say.
    pub resident_bytes: u64,
    /// Files and sockets that are open; 0 where the system does not say.
    pub open_files: usize,
    /// When it began, in s since 1970.
    pub started_at: f64,
}

/// A node whose disk stalls is not waited for longer than a scrape takes.
const PATIENCE: Duration = Duration::from_secs(5);

static STARTED_AT: LazyLock<f64> =
    LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());

/// To be called when the process begins.
pub fn begin() {
    LazyLock::force(&STARTED_AT);
}

/// Answers a scrape.
pub async fn respond(node: &dyn Metered) -> Response<Body> {
    let Ok(Ok(shards)) = tokio::time::timeout(PATIENCE, node.measure()).await else {
        return plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "a shard does not answer: its disk stalls, or the node stops\n",
        );
    };
    let mut response = Response::new(Body::from(node.exposition(&shards, &Process::now())));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}

impl Process {
    /// As it is now.
    fn now() -> Self {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: Option<u64> = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        Self {
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            resident_bytes: pages.unwrap_or(0) * rustix::param::page_size() as u64,
            open_files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            started_at: *STARTED_AT,
        }
    }
}
