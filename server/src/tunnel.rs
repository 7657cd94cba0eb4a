//! A tunnel: the frames of a WebSocket to another broker of the cluster and back, for pages that reach only this node.
//!
//! Its connection is one that any client of the listener could open, and nothing is read of what it carries: whatever the caller may do
//! there, the other broker decides.

use std::io;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::{Buf as _, Bytes};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use ottla_core::network::Target;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::frames::{FrameReader, RESPONSE_BYTES_MAX};
use crate::memory::Memory;

/// How long a connection may take to stand (`socket.connection.setup.timeout.ms`).
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to hear why its tunnel ends.
const PARTING: Duration = Duration::from_millis(500);

/// Connects to the other broker.
pub async fn open(target: &Target) -> io::Result<TcpStream> {
    let stream = timeout(SETUP_TIMEOUT, TcpStream::connect((&*target.host, target.port))).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Carries frames until either side ends it. Each direction goes as fast as its taker, and waits for nothing else.
pub async fn carry(socket: WebSocket, stream: TcpStream, node: i32) {
    let (mut to_client, from_client) = socket.split();
    let (from_node, to_node) = stream.into_split();
    let (code, reason) = tokio::select! {
        end = requests(from_client, to_node) => end,
        end = responses(from_node, &mut to_client) => end,
    };
    tracing::info!(target: "kafka.network", node, reason, "closing a tunnel");
    let farewell = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let _ = timeout(PARTING, to_client.send(farewell)).await;
}

/// Why a tunnel ends, for the client: a code of WebSocket's and a few words.
type End = (u16, &'static str);

const CLIENT_LEFT: End = (close_code::NORMAL, "closed by the client");
const NODE_LEFT: End = (close_code::AWAY, "closed by the other node");

async fn requests(mut from_client: SplitStream<WebSocket>, mut to_node: OwnedWriteHalf) -> End {
    loop {
        let frame = match from_client.next().await {
            Some(Ok(Message::Binary(frame))) => frame,
            Some(Ok(Message::Text(_))) => {
                return (close_code::UNSUPPORTED, "one Kafka frame per binary message");
            }
            // Pings are answered by the library.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_))) | None => return CLIENT_LEFT,
            Some(Err(error)) => {
                tracing::debug!(target: "kafka.network", %error, "a WebSocket broke");
                return (close_code::PROTOCOL, "what the client sent cannot be read");
            }
        };
        if let Err(error) = send(&mut to_node, frame).await {
            tracing::debug!(target: "kafka.network", %error, "a tunnel broke");
            return NODE_LEFT;
        }
    }
}

async fn send(to_node: &mut OwnedWriteHalf, frame: Bytes) -> io::Result<()> {
    let prefix = i32::try_from(frame.len()).map_err(io::Error::other)?.to_be_bytes();
    to_node.write_all_buf(&mut prefix.chain(frame)).await
}

async fn responses(mut from_node: OwnedReadHalf, to_client: &mut SplitSink<WebSocket, Message>) -> End {
    let mut frames = FrameReader::new(RESPONSE_BYTES_MAX, Memory::new(-1));
    loop {
        match frames.next_frame() {
            Ok(Some(frame)) => {
                if to_client.send(Message::Binary(frame)).await.is_err() {
                    return CLIENT_LEFT;
                }
                continue;
            }
            Ok(None) => {}
            Err(_) => return (close_code::ERROR, "the length of a response makes no sense"),
        }
        match frames.fill(&mut from_node).await {
            Ok(0) => return NODE_LEFT,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(target: "kafka.network", %error, "a tunnel broke");
                return NODE_LEFT;
            }
        }
    }
}
