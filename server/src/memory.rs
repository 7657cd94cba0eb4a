//! What long requests and unsent answers hold in memory, of all clients together (`queued.max.request.bytes`).
//!
//! Whoever wants to read on waits while it is used up, as in Apache Kafka (KIP-72): what was granted last may exceed the bound. Meanwhile
//! clients that hold some of it and get nowhere have to give it back: their connections are closed.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

/// Requests and answers up to this size are not counted: a connection has few of them.
pub const COUNTED_MIN: usize = 64 << 10;
/// How long a client may keep what others wait for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The account.
#[derive(Debug)]
pub struct Memory {
    used: AtomicUsize,
    bytes_max: usize,
    waiting: AtomicUsize,
    given_back: Notify,
}

/// A part of it, until dropped.
#[derive(Debug)]
pub struct Charge {
    memory: Arc<Memory>,
    bytes: usize,
    since: Instant,
}

impl Memory {
    /// Room for so many bytes; without a number a quarter of what the machine has, as a JVM's heap.
    pub fn new(queued_max_request_bytes: i64) -> Arc<Self> {
        let bytes_max = usize::try_from(queued_max_request_bytes).unwrap_or_else(|_| available() / 4);
        Arc::new(Self {
            used: AtomicUsize::new(0),
            bytes_max,
            waiting: AtomicUsize::new(0),
            given_back: Notify::new(),
        })
    }

    /// Whether there is none left.
    pub fn is_used_up(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.bytes_max
    }

    /// Takes so much, however much there is.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Charge {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Charge { memory: Arc::clone(self), bytes, since: Instant::now() }
    }

    /// Waits until there is some.
    pub async fn available(&self) {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let given_back = self.given_back.notified();
            if !self.is_used_up() {
                return;
            }
            given_back.await;
        }
    }

    /// Returns once others have to wait for what is held since then.
    pub async fn wanted_back(&self, since: Instant) {
        tokio::time::sleep_until((since + PATIENCE).into()).await;
        while self.waiting.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Counts who waits, however the waiting ends.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Charge {
    /// When it was taken.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Ties it to a frame: it ends with the last slice of it.
    pub fn tie(self, frame: Bytes) -> Bytes {
        struct Tied(Bytes, #[expect(dead_code, reason = "it is dropped with the frame")] Charge);
        impl AsRef<[u8]> for Tied {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Tied(frame, self))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
        if self.memory.waiting.load(Ordering::Relaxed) > 0 {
            self.memory.given_back.notify_waiters();
        }
    }
}

/// Bytes that this process may have: of the machine, or of its container.
fn available() -> usize {
    let system = rustix::system::sysinfo();
    let machine = u64::from(system.mem_unit).saturating_mul(system.totalram);
    let container =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    usize::try_from(container.map_or(machine, |bytes: u64| bytes.min(machine))).unwrap_or(usize::MAX)
}
