//! `/events`: who watches learns how everything stands, then what happens.

#[allow(dead_code)]
mod kafka;

use std::collections::VecDeque;

use futures_util::StreamExt as _;
use ottla_core::feed::{self, Feed};
use ottla_core::ids::{NodeId, TopicPartition};
use ottla_core::trace::TraceEvent;
use ottla_server::store::FileStore;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Somebody who watches, and what they have not looked at yet.
struct Watcher {
    socket: WebSocketStream<TcpStream>,
    news: VecDeque<Feed>,
}

impl Watcher {
    async fn of(node: &kafka::Running<FileStore>) -> Self {
        let address = node.serve_http().await;
        let stream = TcpStream::connect(address).await.expect("connected");
        let (socket, _) = client_async(format!("ws://{address}/events"), stream).await.expect("a WebSocket");
        Self { socket, news: VecDeque::new() }
    }

    async fn next(&mut self) -> Feed {
        loop {
            if let Some(feed) = self.news.pop_front() {
                return feed;
            }
            let message = self.socket.next().await.expect("the feed goes on").expect("a message");
            if let Message::Binary(frame) = message {
                self.news = feed::decode(feed::SCHEMA, &frame).expect("a list of events");
            }
        }
    }

    /// Reads on until `found` says so.
    async fn until(&mut self, found: impl Fn(&TraceEvent) -> bool) {
        loop {
            if let Feed::Happened { event, .. } = self.next().await
                && found(&event)
            {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_survey_comes_first_then_what_happens() {
    let directory = tempfile::tempdir().expect("directory");
    let node = kafka::start(FileStore::default(), &directory.path().display().to_string(), &[]).await;
    let mut client = node.connect().await;
    client.create_topic("t", 1).await;
    assert_eq!(client.produce("t", 0, b"before anybody watches").await, Ok(0));
    let mine = TopicPartition { topic: "t".into(), partition: 0 };

    let mut watcher = Watcher::of(&node).await;
    assert_eq!(watcher.next().await, Feed::Begins { node: NodeId(1) });
    let stands = |event: &TraceEvent| matches!(event, TraceEvent::PartitionServed { partition, log_end_offset: 1, .. } if *partition == mine);
    watcher.until(stands).await;

    assert_eq!(client.produce("t", 0, b"seen").await, Ok(1));
    watcher.until(|event| matches!(event, TraceEvent::RecordsAppended { base_offset: 1, .. })).await;
    let advanced = TraceEvent::HighWatermarkAdvanced { partition: mine.clone(), high_watermark: 2 };
    watcher.until(|event| *event == advanced).await;
    node.stop().await;
}
