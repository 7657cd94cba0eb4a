//! Kafka's protocol over WebSocket, for pages: one request or response in each binary message.
//!
//! The message is the frame *without* its four bytes of length, since a message knows its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use ottla_core::machine::Frame;
use tokio::sync::Notify;

use crate::dispatcher::Dispatcher;
use crate::memory::{COUNTED_MIN, Memory};
use crate::outbox::{self, Outbox};
use crate::service::{Peer, Service};
use crate::store::Slice;

#[derive(Debug)]
struct SocketOutbox {
    frames: Mutex<VecDeque<Frame<Slice>>>,
    closing: AtomicBool,
    arrived: Arc<Notify>,
    dispatcher: Dispatcher,
    memory: Arc<Memory>,
}

impl Outbox for SocketOutbox {
    fn push(&self, frame: Frame<Slice>) {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).push_back(frame);
    }

    fn flush(&self) {
        if !self.frames.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.dispatcher.wake(Arc::clone(&self.arrived));
        }
    }

    fn close(&self, reason: &str) {
        tracing::info!(target: "kafka.network", reason, "closing a WebSocket");
        self.closing.store(true, Ordering::Release);
        self.dispatcher.wake(Arc::clone(&self.arrived));
    }
}

/// Carries frames until either side ends it.
pub async fn serve(
    mut socket: WebSocket,
    service: Arc<dyn Service>,
    peer: Peer,
    dispatcher: Dispatcher,
    memory: Arc<Memory>,
) {
    let outbox = Arc::new(SocketOutbox {
        frames: Mutex::default(),
        closing: AtomicBool::new(false),
        arrived: Arc::default(),
        dispatcher,
        memory,
    });
    let session = service.connected(peer, Arc::clone(&outbox) as _);
    loop {
        let may_read = session.wants_more();
        tokio::select! {
            biased;
            () = outbox.arrived.notified() => if !send_all(&mut socket, &outbox).await { return },
            () = session.resumed().notified(), if !may_read => {}
            message = socket.recv(), if may_read => match message {
                Some(Ok(Message::Binary(frame))) => session.received(frame),
                Some(Ok(Message::Text(_))) => {
                    let reason = "one Kafka frame per binary message".into();
                    let refusal = CloseFrame { code: close_code::UNSUPPORTED, reason };
                    let _ = socket.send(Message::Close(Some(refusal))).await;
                    return;
                }
                // Pings are answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        }
    }
}

/// `false` at the end of the connection.
async fn send_all(socket: &mut WebSocket, outbox: &SocketOutbox) -> bool {
    loop {
        // One at a time: of the others, what is in files stays there.
        let frame = outbox.frames.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(frame) = frame else { break };
        // Slices may be cold.
        let Ok(Ok(body)) = tokio::task::spawn_blocking(|| outbox::body(frame)).await else { return false };
        let _charge = (body.len() >= COUNTED_MIN).then(|| outbox.memory.take(body.len()));
        if socket.send(Message::Binary(body)).await.is_err() {
            return false;
        }
    }
    !outbox.closing.load(Ordering::Acquire)
}
