//! Any bytes as what a page sends over a WebSocket: each binary message is a frame for the broker.

use std::io::{self, Read, Write};

use ottla_core::ids::ConnectionId;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

use super::broker::Broker;

/// What the server reads; what it writes is lost.
struct Page<'a>(&'a [u8]);

impl Read for Page<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Page<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const BYTES_MAX: usize = 1 << 16;

pub fn run(input: &[u8]) {
    let config = WebSocketConfig::default().max_message_size(Some(BYTES_MAX)).max_frame_size(Some(BYTES_MAX));
    let mut socket = WebSocket::from_raw_socket(Page(input), Role::Server, Some(config));
    let (mut broker, client) = (Broker::new(), ConnectionId(1));
    broker.connect(client, "PLAINTEXT");
    loop {
        match socket.read() {
            Ok(Message::Binary(frame)) => {
                assert!(frame.len() <= BYTES_MAX);
                broker.send_any(client, frame);
            }
            Ok(Message::Text(_) | Message::Close(_)) | Err(Error::ConnectionClosed) => break,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    broker.disconnect(client);
}
