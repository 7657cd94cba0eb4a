//! A service that is no broker, for tests of listeners.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ottla_core::broker::quotas::ConnectionLimits;
use ottla_core::log::store::LogStore as _;
use ottla_core::machine::{Chunk, Frame};
use ottla_core::network::Target;
use ottla_server::outbox::Outbox;
use ottla_server::service::{Peer, Service, Session};
use ottla_server::store::{File, FileStore};
use tokio::sync::Notify;

/// Answers each frame with itself; `slice A-B` with that range of a file between two pieces of header; `close` by closing.
pub struct Echo {
    file: (FileStore, File),
    /// What the file holds.
    pub content: Vec<u8>,
    /// Frames wait while this is set.
    pub held: AtomicBool,
    pub sessions: Mutex<Vec<Arc<State>>>,
    pub open: AtomicUsize,
    /// Other nodes.
    pub others: Mutex<BTreeMap<i32, Target>>,
}

pub struct State {
    outbox: Arc<dyn Outbox>,
    pub waiting: Mutex<Vec<Bytes>>,
    resumed: Notify,
}

struct EchoSession(Arc<Echo>, Arc<State>);

pub const WAITING_MAX: usize = 3;

impl Service for Echo {
    fn connection_limits(&self, _listener: &str, _host: IpAddr) -> ConnectionLimits {
        ConnectionLimits::default()
    }

    fn connected(self: Arc<Self>, _: Peer, outbox: Arc<dyn Outbox>) -> Box<dyn Session> {
        let state = Arc::new(State { outbox, waiting: Mutex::default(), resumed: Notify::new() });
        self.sessions.lock().expect("lock").push(Arc::clone(&state));
        self.open.fetch_add(1, Ordering::SeqCst);
        Box::new(EchoSession(self, state))
    }

    fn address(&self, node: i32, listener: &str) -> Option<Target> {
        let others = self.others.lock().expect("lock");
        others.get(&node).filter(|_| listener == "PLAINTEXT").cloned()
    }
}

impl Session for EchoSession {
    fn received(&self, frame: Bytes) {
        if self.0.held.load(Ordering::SeqCst) {
            self.1.waiting.lock().expect("lock").push(frame);
        } else {
            self.0.answer(&self.1, &frame);
        }
    }

    fn wants_more(&self) -> bool {
        self.1.waiting.lock().expect("lock").len() < WAITING_MAX
    }

    fn resumed(&self) -> &Notify {
        &self.1.resumed
    }

    fn may_part(&self) -> bool {
        self.1.waiting.lock().expect("lock").is_empty()
    }
}

impl Drop for EchoSession {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Echo {
    /// With a file of 6,000,000 bytes in `directory`.
    pub fn new(directory: &tempfile::TempDir) -> Arc<Self> {
        let mut store = FileStore::default();
        let file = store.create(&format!("{}/log", directory.path().display())).expect("created");
        let content: Vec<u8> = (0..1_500_000_u32).flat_map(u32::to_be_bytes).collect();
        store.append(&file, &[IoSlice::new(&content)]).expect("appended");
        Arc::new(Self {
            file: (store, file),
            content,
            held: AtomicBool::new(false),
            sessions: Mutex::default(),
            open: AtomicUsize::new(0),
            others: Mutex::default(),
        })
    }

    /// What `slice …` is answered with.
    pub fn sliced(&self, request: &str) -> Vec<u8> {
        let mut expected = request.as_bytes().to_vec();
        for range in request["slice ".len()..].split(' ') {
            let (from, to) = range.split_once('-').expect("A-B");
            expected.extend(&self.content[from.parse().expect("A")..to.parse().expect("B")]);
            expected.push(b';');
        }
        expected
    }

    fn answer(&self, state: &State, frame: &Bytes) {
        if &frame[..] == b"close" {
            state.outbox.close("asked to");
            return;
        }
        let text = std::str::from_utf8(frame).unwrap_or_default();
        let mut body = vec![Chunk::Bytes(frame.clone())];
        let mut len = frame.len();
        for range in text.strip_prefix("slice ").into_iter().flat_map(|ranges| ranges.split(' ')) {
            let (from, to) = range.split_once('-').expect("A-B");
            let range = from.parse().expect("A")..to.parse().expect("B");
            len += usize::try_from(range.end - range.start).expect("fits") + 1;
            let slice = self.file.0.clone().slice(&self.file.1, range).expect("slice");
            body.extend([Chunk::Slice(slice), Chunk::Bytes(Bytes::from_static(b";"))]);
        }
        let prefix = u32::try_from(len).expect("short").to_be_bytes();
        body.insert(0, Chunk::Bytes(Bytes::copy_from_slice(&prefix)));
        state.outbox.push(Frame { chunks: body, len: len + 4 });
        state.outbox.flush();
    }

    /// Answers what waits.
    pub fn release(&self) {
        self.held.store(false, Ordering::SeqCst);
        for state in self.sessions.lock().expect("lock").iter() {
            for frame in std::mem::take(&mut *state.waiting.lock().expect("lock")) {
                self.answer(state, &frame);
            }
            state.resumed.notify_one();
        }
    }
}
