//! `/events`: what happens on this node, for those who watch. See [`ottla_core::feed`].

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::ws::{Message, WebSocket};
use ottla_core::feed::{self, Feed};
use ottla_core::ids::NodeId;
use ottla_core::time::Timestamp;
use ottla_core::trace::TraceEvent;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{Receiver, Sender, channel};

/// Events that a watcher may be behind; one who is further behind begins again.
const BEHIND_MAX: usize = 16 * 1024;
/// Events of one message.
const TOGETHER_MAX: usize = 512;

/// A node that can be watched.
pub trait Watched: Debug + Send + Sync + 'static {
    /// Where its events are handed out.
    fn events(&self) -> &Events;
    /// Has every machine trace how it stands.
    fn survey(&self);
}

/// Hands events to whoever watches; while nobody does, machines do not even build them.
#[derive(Debug)]
pub struct Events {
    sender: Sender<Arc<Feed>>,
    watchers: AtomicUsize,
}

impl Default for Events {
    fn default() -> Self {
        Self { sender: channel(BEHIND_MAX).0, watchers: AtomicUsize::new(0) }
    }
}

impl Events {
    /// Whether anybody watches.
    pub fn are_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// Hands out what happened.
    pub fn happened(&self, at_ms: Timestamp, event: TraceEvent) {
        // Nobody may be there any more.
        let _ = self.sender.send(Arc::new(Feed::Happened { at_ms, event }));
    }
}

/// Counts a watcher for as long as it is there.
struct Watching<'a>(&'a Events);

impl<'a> Watching<'a> {
    fn begin(events: &'a Events) -> (Self, Receiver<Arc<Feed>>) {
        let receiver = events.sender.subscribe();
        events.watchers.fetch_add(1, Ordering::Relaxed);
        (Self(events), receiver)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends the feed until either side ends it. Each message is a list of [`Feed`] behind [`feed::SCHEMA`].
pub async fn serve(mut socket: WebSocket, node: Arc<dyn Watched>, node_id: NodeId) {
    let (_watching, mut receiver) = Watching::begin(node.events());
    loop {
        // What comes before the survey is told by it; what comes after follows in order.
        receiver = receiver.resubscribe();
        if !send(&mut socket, &[Arc::new(Feed::Begins { node: node_id })]).await {
            return;
        }
        node.survey();
        if !follow(&mut socket, &mut receiver).await {
            return;
        }
    }
}

/// `false` at the end of the connection, `true` when the watcher fell behind.
async fn follow(socket: &mut WebSocket, receiver: &mut Receiver<Arc<Feed>>) -> bool {
    loop {
        let mut news = tokio::select! {
            event = receiver.recv() => match event {
                Ok(event) => vec![event],
                Err(RecvError::Lagged(_)) => return true,
                Err(RecvError::Closed) => return false,
            },
            // Watchers have nothing to say; what they send keeps the connection alive, or ends it.
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return false,
                Some(Ok(_)) => continue,
            },
        };
        while news.len() < TOGETHER_MAX {
            match receiver.try_recv() {
                Ok(event) => news.push(event),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                Err(TryRecvError::Lagged(_)) => return true,
            }
        }
        if !send(socket, &news).await {
            return false;
        }
    }
}

async fn send(socket: &mut WebSocket, news: &[Arc<Feed>]) -> bool {
    let news: Vec<&Feed> = news.iter().map(AsRef::as_ref).collect();
    socket.send(Message::Binary(feed::encode(feed::SCHEMA, &news).into())).await.is_ok()
}
