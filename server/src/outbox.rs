//! What leaves for one client: a queue that machines fill and that the socket empties at its own pace.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use ottla_core::machine::{Chunk, Frame};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::Interest;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use crate::dispatcher::Dispatcher;
use crate::memory::{COUNTED_MIN, Memory};
use crate::store::Slice;

/// Slices shorter than this are copied into the response: one `write` costs less than a `sendfile` of its own.
const COPY_MAX: u64 = 16 * 1024;
/// Pieces that one `sendmsg` takes.
const PIECES_MAX: usize = 64;
/// Bytes that one `sendfile` is asked for.
const SENDFILE_MAX: u64 = 1 << 20;

/// The sending side of a transport, as the node knows it.
pub trait Outbox: Send + Sync + Debug {
    /// Queues a frame behind those that wait; never waits itself.
    fn push(&self, frame: Frame<Slice>);
    /// Sends what can be sent without waiting. Called when no machine is held.
    fn flush(&self);
    /// Ends the connection once all that was queued has left.
    fn close(&self, reason: &str);
}

/// A queue in front of a TCP socket.
#[derive(Debug)]
pub struct TcpOutbox {
    socket: OwnedWriteHalf,
    queue: Mutex<VecDeque<Chunk<Slice>>>,
    /// Bytes queued or being written.
    bytes: AtomicUsize,
    /// Bytes that have left since the beginning.
    sent: AtomicU64,
    /// What a flush has taken from the queue and not sent yet. Whoever holds it writes; nobody waits for it.
    sending: Mutex<VecDeque<Chunk<Slice>>>,
    closing: AtomicBool,
    /// The socket is full, or a slice is cold, or it is to be closed: the connection's own task goes on.
    stuck: Arc<Notify>,
    /// The connection's own task is awake and looks at [`is_stuck`](Self::is_stuck) before it sleeps.
    is_attended: AtomicBool,
    is_stuck: AtomicBool,
    dispatcher: Dispatcher,
    memory: Arc<Memory>,
}

/// How far a flush came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Everything queued has left, or another thread is at it.
    All,
    /// The socket takes no more for now.
    SocketFull,
    /// The next slice is not in the page cache.
    Cold,
    /// The peer is gone.
    Broken,
}

impl TcpOutbox {
    /// An empty queue in front of `socket`. What a flush cannot finish is the task's that waits at
    /// [`stuck`](Self::stuck), woken through `dispatcher`.
    pub fn new(socket: OwnedWriteHalf, dispatcher: Dispatcher, memory: Arc<Memory>) -> Self {
        Self {
            socket,
            queue: Mutex::default(),
            bytes: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            sending: Mutex::default(),
            closing: AtomicBool::new(false),
            stuck: Arc::default(),
            is_attended: AtomicBool::new(false),
            is_stuck: AtomicBool::new(false),
            dispatcher,
            memory,
        }
    }

    /// Returns when [`drain`](Self::drain) is needed.
    pub async fn stuck(&self) {
        self.stuck.notified().await;
    }

    /// Runs `work` on the connection's own task, which need not be woken meanwhile. `true` when [`drain`](Self::drain) is needed.
    pub fn attend(&self, work: impl FnOnce()) -> bool {
        self.is_attended.store(true, Ordering::SeqCst);
        work();
        self.is_attended.store(false, Ordering::SeqCst);
        self.is_stuck.swap(false, Ordering::SeqCst)
    }

    /// Has the connection's own task go on.
    fn call(&self) {
        self.is_stuck.store(true, Ordering::SeqCst);
        if !self.is_attended.load(Ordering::SeqCst) && self.is_stuck.swap(false, Ordering::SeqCst) {
            self.dispatcher.wake(Arc::clone(&self.stuck));
        }
    }

    /// [`drain`](Self::drain), unless others need the memory that answers hold which the client does not take.
    pub async fn drain_in_time(&self) -> bool {
        tokio::select! {
            biased;
            drained = self.drain() => drained,
            () = self.memory.wanted_back(Instant::now()), if self.holds_memory() => {
                tracing::info!(target: "kafka.network", peer = ?self.socket.peer_addr().ok(), "closing the connection of a client that does not take its answers");
                false
            }
        }
    }

    /// Whether more than a little of what has not left is in memory, and not in a file.
    fn holds_memory(&self) -> bool {
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = |chunk: &Chunk<Slice>| if let Chunk::Bytes(bytes) = chunk { bytes.len() } else { 0 };
        sending.iter().chain(self.queue().iter()).map(bytes).sum::<usize>() >= COUNTED_MIN
    }

    /// Bytes that have not left.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that have left since the beginning.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends the connection now, whatever waits.
    pub fn shut_down(&self) {
        self.closing.store(true, Ordering::Release);
        let _ = rustix::net::shutdown(self.socket.as_ref(), rustix::net::Shutdown::Both);
    }

    /// Waits until everything has left. `false` when the connection is over: closed by us, or its peer gone.
    pub async fn drain(&self) -> bool {
        loop {
            match self.try_flush() {
                Flushed::All => return !self.closing.load(Ordering::Acquire),
                Flushed::Broken => return false,
                Flushed::SocketFull => {
                    if self.socket.writable().await.is_err() {
                        return false;
                    }
                }
                Flushed::Cold => {
                    let Some(slice) = self.first_slice() else { continue };
                    // An error shows again, and is handled, where the slice is sent.
                    let _ = tokio::task::spawn_blocking(move || slice.warm()).await;
                    if self.send_warmed() == Flushed::Broken {
                        return false;
                    }
                }
            }
        }
    }

    /// Sends what the socket takes now.
    pub fn try_flush(&self) -> Flushed {
        loop {
            let mut sending = match self.sending.try_lock() {
                Ok(sending) => sending,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // Whoever has it looks at the queue again after letting go.
                Err(TryLockError::WouldBlock) => return Flushed::All,
            };
            let flushed = self.send_all(&mut sending, false);
            drop(sending);
            if flushed != Flushed::All || self.queue().is_empty() {
                return flushed;
            }
        }
    }

    /// As a flush, but the first slice has just been read in: it goes even if the cache has dropped it again.
    fn send_warmed(&self) -> Flushed {
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        self.send_all(&mut sending, true)
    }

    fn send_all(&self, sending: &mut VecDeque<Chunk<Slice>>, mut warmed: bool) -> Flushed {
        loop {
            if sending.is_empty() {
                std::mem::swap(sending, &mut self.queue());
            }
            let sent = match sending.front() {
                None => return Flushed::All,
                Some(Chunk::Bytes(_)) => self.send_bytes(sending),
                Some(Chunk::Slice(slice)) if !std::mem::take(&mut warmed) && !slice.is_resident() => {
                    return Flushed::Cold;
                }
                Some(Chunk::Slice(slice)) if slice.len() < COPY_MAX => {
                    let copied = slice.read().map(Chunk::Bytes);
                    copied.map(|bytes| {
                        if let Some(first) = sending.front_mut() {
                            *first = bytes;
                        }
                    })
                }
                Some(Chunk::Slice(_)) => self.send_slice(sending),
            };
            match sent {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flushed::SocketFull,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(target: "kafka.network", %error, "a response could not be sent");
                    sending.clear();
                    self.closing.store(true, Ordering::Release);
                    return Flushed::Broken;
                }
            }
        }
    }

    /// One `sendmsg` of the pieces in front that are in memory; short slices among them are read first.
    fn send_bytes(&self, sending: &mut VecDeque<Chunk<Slice>>) -> io::Result<()> {
        for chunk in sending.iter_mut().take(PIECES_MAX) {
            if let Chunk::Slice(slice) = chunk {
                if slice.len() >= COPY_MAX || !slice.is_resident() {
                    break;
                }
                let bytes = slice.read()?;
                *chunk = Chunk::Bytes(bytes);
            }
        }
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let mut count = 0;
        for (piece, chunk) in pieces.iter_mut().zip(sending.iter()) {
            let Chunk::Bytes(bytes) = chunk else { break };
            *piece = IoSlice::new(bytes);
            count += 1;
        }
        let pieces = pieces.get(..count).unwrap_or_default();
        // More follows at once: no packet for the header alone.
        let more = if sending.len() > count { SendFlags::MORE } else { SendFlags::empty() };
        let socket = self.socket.as_ref();
        let sent = socket.try_io(Interest::WRITABLE, || {
            let flags = more | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            rustix::net::sendmsg(socket, pieces, &mut SendAncillaryBuffer::default(), flags)
                .map_err(io::Error::from)
        })?;
        self.count(sent);
        let mut left = sent;
        while let Some(Chunk::Bytes(bytes)) = sending.front_mut() {
            if left < bytes.len() {
                bytes.advance(left);
                break;
            }
            left -= bytes.len();
            sending.pop_front();
        }
        Ok(())
    }

    /// One `sendfile` of the slice in front.
    fn send_slice(&self, sending: &mut VecDeque<Chunk<Slice>>) -> io::Result<()> {
        let Some(Chunk::Slice(slice)) = sending.front_mut() else { return Ok(()) };
        let socket = self.socket.as_ref();
        let sent = socket.try_io(Interest::WRITABLE, || {
            let mut at = slice.range().start;
            let count = usize::try_from(slice.len().min(SENDFILE_MAX)).unwrap_or(0);
            rustix::fs::sendfile(socket, &*slice, Some(&mut at), count).map_err(io::Error::from)
        })?;
        if sent == 0 && !slice.is_empty() {
            // The file is shorter than the slice: somebody else cut it. The frame cannot be completed.
            return Err(Errno::IO.into());
        }
        self.count(sent);
        slice.advance(sent as u64);
        if slice.is_empty() {
            sending.pop_front();
        }
        Ok(())
    }

    fn count(&self, sent: usize) {
        self.bytes.fetch_sub(sent, Ordering::Relaxed);
        self.sent.fetch_add(sent as u64, Ordering::Relaxed);
    }

    fn first_slice(&self) -> Option<Slice> {
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        match sending.front() {
            Some(Chunk::Slice(slice)) => Some(slice.clone()),
            _ => None,
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Chunk<Slice>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox for TcpOutbox {
    fn push(&self, frame: Frame<Slice>) {
        self.bytes.fetch_add(frame.len, Ordering::Relaxed);
        let counted = |chunk| match chunk {
            Chunk::Bytes(bytes) if bytes.len() >= COUNTED_MIN => {
                Chunk::Bytes(self.memory.take(bytes.len()).tie(bytes))
            }
            chunk => chunk,
        };
        self.queue().extend(frame.chunks.into_iter().filter(|chunk| !is_empty(chunk)).map(counted));
    }

    fn flush(&self) {
        if self.try_flush() != Flushed::All {
            self.call();
        }
    }

    fn close(&self, reason: &str) {
        tracing::info!(target: "kafka.network", reason, peer = ?self.socket.peer_addr().ok(), "closing a connection");
        self.closing.store(true, Ordering::Release);
        self.call();
    }
}

/// An empty piece would look like a closed socket.
fn is_empty(chunk: &Chunk<Slice>) -> bool {
    match chunk {
        Chunk::Bytes(bytes) => bytes.is_empty(),
        Chunk::Slice(slice) => slice.is_empty(),
    }
}

/// A frame's bytes without the length prefix, for transports that have their own framing.
pub fn body(frame: Frame<Slice>) -> io::Result<Bytes> {
    let mut chunks = frame.chunks;
    if let [Chunk::Bytes(only)] = chunks.as_mut_slice() {
        only.advance(only.len().min(PREFIX_BYTES));
        return Ok(std::mem::take(only));
    }
    let mut body = Vec::with_capacity(frame.len);
    for chunk in chunks {
        match chunk {
            Chunk::Bytes(bytes) => body.extend_from_slice(&bytes),
            Chunk::Slice(slice) => body.extend_from_slice(&slice.read()?),
        }
    }
    let mut body = Bytes::from(body);
    body.advance(body.len().min(PREFIX_BYTES));
    Ok(body)
}

const PREFIX_BYTES: usize = 4;
